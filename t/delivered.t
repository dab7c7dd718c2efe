#!/usr/bin/perl

# Copyright (C) sync for nginx

# The delivered hook: how many clients a sync went to, over all workers, told
# once, when all of them have delivered it.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

my $t = Test::Sync->new->plan(24);

$t->write_file('routes.json', <<'EOC');
{ "version": 1, "routes": {
    "sync/t/plain/v1": {},
    "sync/t/even/v1": { "client": { "filter": [
        { "key": "even", "equals": true } ] } },
    "sync/t/own/v1": { "client": true },
    "sync/t/slow/v1": { "client": true },
    "sync/t/bare/v1": { "server": false } } }
EOC

$t->write_conf(<<'EOC');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;
    sync_drain 1s;
    sync_room "log:*" recoverable;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_routes %%TESTDIR%%/routes.json;
        sync_session memory;
        sync_token query:t;
        sync_receiver any all=on;
        sync_hook server    /_hook/server;
        sync_hook client    /_hook/client;
        sync_hook delivered /_hook/delivered;

        location /ws      { sync websocket; }
        location /sync/   { sync request; }
        location /control { sync control; }
        location /status  { sync status; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
EOC

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;
	my $j = $r->{json};

	return { json => { status => 'success' } } if $j->{event} eq 'server';

	return [ [ 'hang' ] ] if $j->{event} eq 'client'
		&& $j->{route} =~ /slow/ && $j->{receiver} eq 'hang';

	return { json => [ map { { k => $_->{k}, out => { status =>
		$_->{k} ? 'success' : 'error', errorCode => 'no' } } }
		@{$j->{recipients}} ] } if $j->{event} eq 'client';

	return { status => 204 };
});

$t->run;

$t->http('POST', '/control/session/save', json => { token => "t$_",
	session => { id => "u$_", even => $_ % 2 ? JSON::PP::false()
	: JSON::PP::true() } }) for 1 .. 20;

my @ws = map { $t->ws("/ws?t=t$_") } 1 .. 20;
my $id = $ws[0]->recv_event('connected')->[1]{clientId};
$_->send_json([ 'joinRoom', { group => 'r', responseIndex => 0 } ]) for @ws;
$_->recv_event('joinRoom-0') for @ws;

my $i = 0;
my $told = 0;

# to all members, wherever they are

is(ask('plain'), 'success', 'answered');
my $e = next_one();
is_deeply([ sort keys %$e ], [ qw/ clientId complete id receiver recipientCount
	route timestamp token transport userId / ], 'what is told');
is_deeply({ map { $_ => $e->{$_} } qw/ clientId complete receiver recipientCount
	route token transport userId / }, { clientId => $id,
	complete => JSON::PP::true(), receiver => 'r', recipientCount => 20,
	route => 'sync/t/plain/v1', token => 't1', transport => 'socket',
	userId => 'u1' }, 'all members');
is($e->{id}, (grep { $_->{json}{event} eq 'server' } $hook->requests)[0]
	->{json}{id}, "the call's id");

ask('plain', ignoreSelf => JSON::PP::true());
is(count(), 19, 'but the sender');

ask('even');
is(count(), 10, 'those that the filter lets through');
ask('own');
is(count(), 20, 'those that the app is asked for, whatever it said');
ask('bare');
$e = next_one();
is_deeply([ @{$e}{qw/ recipientCount complete /} ],
	[ 20, JSON::PP::true() ], 'with no server hook');
ask('plain', receiver => 'all');
is(count(), 20, 'to all');
ask('plain', receiver => 't1');
is(count(), 1, 'to a token');

# members of a pattern that are not in the room

my @more = map { $t->ws("/ws?t=t$_") } 1, 2;
$_->send_json([ 'joinRoom', { group => 'r*', responseIndex => 0 } ])
	for @more, $ws[1];
$_->recv_event('joinRoom-0') for @more, $ws[1];
ask('plain');
is(count(), 22, 'pattern');

# a room with a history

for (@ws[0 .. 7]) {
	$_->send_json([ 'joinRoom', { group => 'log:1', responseIndex => 1 } ]);
	$_->recv_event('joinRoom-1');
}

ask('plain', receiver => 'log:1');
is(count(), 8, 'a room with a history');

# by HTTP, where it is no error that there is nobody

my $r = post('r');
is($r->status, 200, 'HTTP');
$e = next_one();
is_deeply([ @{$e}{qw/ recipientCount transport clientId /} ],
	[ 22, 'http', undef ], 'HTTP: counted');
is(post('nobody')->status, 200, 'HTTP: nobody');
is(count(), 0, 'HTTP: is told');

is(ask('plain', receiver => 'nobody'), 'sync.noReceiversFound', 'no receivers');

# many at once: each once

for my $n (1 .. 300) {
	$ws[$n % 20]->send_json([ 'sync', { name => 'sync/t/plain/v1', cb => 'c',
		receiver => 'r', data => { n => $n }, responseIndex => 5 } ]);
}

my @all = next_ones(300);
is(scalar(grep { $_->{recipientCount} == 22 && $_->{complete} } @all), 300,
	'300 at once');
my %ids = map { $_->{id} => 1 } @all;
is(scalar keys %ids, 300, 'each once');
is($t->http('GET', '/status')->json->{counters}{deliveredUnknown}, 0,
	'none unknown');

# not before the last one is told

my $member = $t->ws('/ws?t=t3');
$member->send_json([ 'joinRoom', { group => 'hang',
	responseIndex => 0 } ]);
$member->recv_event('joinRoom-0');
ask('slow', receiver => 'hang');
ok($t->wait_for(sub { grep { $_->{json}{event} eq 'client'
	&& $_->{json}{receiver} eq 'hang' } $hook->requests }), 'hangs');
is(told_now(), $told, 'nothing is told till it is over');
$member->disconnect;
is(count(), 1, 'then it is');

# a worker that goes tells what it knows

$member = $t->ws('/ws?t=t3');
$member->send_json([ 'joinRoom', { group => 'hang', responseIndex => 0 } ]);
$member->recv_event('joinRoom-0');
ask('slow', receiver => 'hang');
$t->quit;
is(count(), 1, 'told before the end');

sub ask {
	my ($name, %o) = @_;

	$ws[0]->send_json([ 'sync', { name => "sync/t/$name/v1", cb => 'c',
		receiver => 'r', data => {}, responseIndex => ++$i, %o } ]);

	my $m = ($ws[0]->recv_event("sync-$i") || [ 0, {} ])->[1];
	return $m->{errorCode} // $m->{status};
}

sub post {
	my ($room) = @_;

	return $t->http('POST', '/sync/t/plain/v1?t=t1', json => {
		receiver => $room }, headers => [ 'Origin', 'http://localhost' ]);
}

sub events {
	my %seen;
	return map { @{$_->{events}} } grep {
		$_->{event} eq 'delivered' && !$seen{"$_->{worker} $_->{seq}"}++ }
		map { $_->{json} } $hook->requests;
}

sub told_now { return scalar(my @e = events()) }

# The next one that was told.

sub next_one { return (next_ones(1))[0] }

sub next_ones {
	my ($n) = @_;
	my @e;

	$t->wait_for(sub { @e = events(); return @e >= $told + $n }, 20);
	@e = @e[$told .. $told + $n - 1];
	$told += $n;
	return @e;
}

sub count { return (next_one() || {})->{recipientCount} }
