#!/usr/bin/perl

# Copyright (C) sync for nginx

# What is said to a user, and who is kicked or revoked by it: all clients on all
# hosts, those whom a hook gave a session without a token among them.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use Test::Sync;
use Test::Sync::Cluster;

###############################################################################

my $a = Test::Sync->new->plan(41);
my $b = Test::Sync->new;
my $redis = $a->redis(port => 2);

for my $t ($a, $b) {
	my $port = $redis->port;
	my $app = $a->port(1);

	$t->write_conf(<<"EOF");
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone  zone=sync:8m;
    sync_redis redis://127.0.0.1:$port prefix=app timeout=20s;
    sync_drain 1s;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_session redis key=s:\$sync_token users=u:\$sync_user;
        sync_token query:t;

        location /ws       { sync websocket; sync_hook connect /_hook/c; }
        location /control/ { sync control; }
        location /status   { sync status; }

        location /memory/ {
            sync_session memory;
            sync_hook connect /_hook/c;
            location /memory/ws       { sync websocket; }
            location /memory/control/ { sync control; }
        }

        location /none/ {
            sync_session off;
            location /none/sse      { sync sse; }
            location /none/control/ { sync control; }
        }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:$app;
        }
    }
}
EOF
}

# the answer is what the client says in a header

my $hook = $a->hook(port => 1, answer => sub {
	my ($r) = @_;
	return [ [ 'head', 200, 'Content-Type: application/json' ],
		[ 'chunk', $r->{headers}{'user-agent'} // '{}' ], [ 'end' ] ];
});

$_->run for $a, $b;
ok(linked($_), 'links') for $a, $b;

ok($a->wait_for(sub { @{status($_)->{redis}{hosts}} == 2 }),
	'hosts know of each other') for $a, $b;

###############################################################################

for my $at ('', '/memory') {
	my $n = $at || 'redis';

	# with a session of the connection

	my @u1 = map { client($_, $at, 'u1') } $a, $a, $b;
	my $u2 = client($b, $at, 'u2');

	my $r = control($a, $at, 'publish', { user => 'u1', event => 'x',
		data => 7 });
	is($r->{receivers}, 3, "$n: said to a user");
	is($_->recv_event('x')->[1], 7, 'heard') for @u1;

	$r = control($a, $at, 'kick', { user => 'u1', reason => 'bye' });
	is($r->{sessions}, 3, "$n: kicked");
	is($r->{hosts}{answered}, 2, 'on both hosts');
	is(decode_json($_->recv_event('sessionReplaced')->[1])->{reason}, 'bye',
		'told why') for @u1;
	is($_->recv_event('logout')->[1], 'success', 'logged out') for @u1;

	@u1 = map { client($_, $at, 'u1') } $a, $b;

	$r = control($b, $at, 'session/revoke', { user => 'u1' });
	is($r->{sessions}, 2, "$n: revoked");
	is($_->recv_json->[0], 'logout', 'without a word') for @u1;

	control($a, $at, 'publish', { user => 'u2', event => 'x', data => 8 });
	is($u2->recv_event('x')->[1], 8, 'another user stays');
}

# many clients of one user, among others

my @many = map { sse($a, 'many') } 1 .. 130;
my @others = map { sse($a, "o$_") } 1 .. 130;
my @there = map { sse($b, 'many') } 1 .. 20;

is(control($a, '/none', 'publish', { user => 'many', event => 'x', data => 1 })
	->{receivers}, 150, 'to all of them');

my (%seen, $cursor);

do {
	my $r = control($b, '/none', 'clients', { user => 'many', limit => 37,
		defined $cursor ? (cursor => $cursor) : () });
	$seen{$_->{clientId}}++ for @{$r->{clients}};
	$cursor = $r->{cursor};
} while ($cursor);

is_deeply(\%seen, { map { $_->{id} => 1 } @many, @there }, 'listed by pages');

is(control($b, '/none', 'disconnect', { user => 'many' })->{clients}, 150,
	'all are closed');
ok($a->wait_for(sub {
	return @{control($a, '/none', 'clients', { user => 'many' })
		->{clients}} == 0;
}), 'and gone');
is(control($a, '/none', 'publish', { user => 'o7', data => 1 })->{receivers}, 1,
	'others are there');

###############################################################################

sub client {
	my ($t, $at, $user) = @_;

	my $ws = $t->ws("$at/ws", headers => [ 'User-Agent: '
		. encode_json({ session => { id => $user } }) ]);
	$ws->recv_event('connected');

	return $ws;
}

sub sse {
	my ($t, $user) = @_;

	my $sse = $t->sse("/none/sse?channels=r&userId=$user");
	$sse->{id} = $sse->recv_json->{clientId};

	return $sse;
}

sub control {
	my ($t, $at, $op, $json) = @_;
	return $t->http('POST', "$at/control/$op", json => $json)->json;
}

###############################################################################
