#!/usr/bin/perl

# Copyright (C) sync for nginx

# Clients that left one host are known to the other, by way of Redis; they are
# written again when Redis was away.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use Test::Sync;

###############################################################################

my $a = Test::Sync->new->plan(18);
my $b = Test::Sync->new;
my $redis = $a->redis(port => 1);

for my $t ($a, $b) {
	my $port = $redis->port;

	$t->write_conf(<<"EOF");
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone  zone=sync:8m;
    sync_redis redis://127.0.0.1:$port prefix=app timeout=2s;
    sync_room  "doc:*" recoverable history=150 ttl=1h;
    sync_registry ttl=1h;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /ws       { sync websocket; }
        location /sse      { sync sse; }
        location /control/ { sync control; }
        location /status   { sync status; }
    }
}
EOF

	$t->run;
}

ok(linked($_), 'links') for $a, $b;

###############################################################################

# one that leaves

my $sse = $a->sse('/sse?channels=doc:1,chat&userId=u1');
my $id = $sse->recv_json->{clientId};

ok(answer($b, $id)->json->{client}{connected}, 'who is here is known there');

my $pos = $a->http('POST', '/control/publish', json => { room => 'doc:1',
	event => 'say', data => 1 })->json->{rooms}{'doc:1'}{position};
is($sse->recv_json->{data}, 1, 'heard');
$sse->disconnect;

ok(left($b, $id), 'it left');

my $r = answer($b, $id)->json->{client};

is($r->{clientId}, $id, 'its id');
is($r->{userId}, 'u1', 'its user');
is($r->{connected}, JSON::PP::false(), 'not connected');
is_deeply($r->{rooms}, [ 'doc:1', 'chat' ], 'its rooms');
is_deeply($r->{lastPosition}, { 'doc:1' => $pos }, 'its position');
is_deeply($r, answer($a, $id)->json->{client}, 'as its host tells of it');

my $ttl = $redis->command('TTL', "app:c:$id");
ok($ttl > 3000 && $ttl <= 3600, 'it is not kept for ever');
is(answer($b, 'AAAAAAAAAAAAAAAAAAAAAA')->status, 404, 'nobody');

# many at once

my @ws = $a->ws_many(200, '/ws');
my @ids = map { $_->recv_json->[1]{clientId} } @ws;
$_->disconnect for @ws;

ok($a->wait_for(sub {
	return !grep { !defined } @{$redis->command('MGET',
		map { "app:c:$_" } @ids)};
}), 'many at once');

# Redis is away, and has forgotten all

my $ws = $a->ws('/ws');
$id = $ws->recv_json->[1]{clientId};

$redis->kill;
$ws->disconnect;

ok($b->wait_for(sub { answer($b, $id)->status == 503 }), 'Redis is away');

$redis->start;

ok(linked($_), 'links again') for $a, $b;
ok(left($b, $id), 'it left meanwhile');

###############################################################################

sub answer {
	my ($t, $id) = @_;
	return $t->http('GET', "/control/client?clientId=$id");
}

sub left {
	my ($t, $id) = @_;

	# its host may be asked before Redis has it

	return $t->wait_for(sub {
		my $r = answer($t, $id);
		return $r->status == 200 && !$r->json->{client}{connected}
			&& $redis->command('EXISTS', "app:c:$id");
	});
}

sub linked {
	my ($t) = @_;

	return $t->wait_for(sub {
		my $r = $t->http('GET', '/status')->json->{redis};
		return $r->{subscribed} && !$r->{degraded};
	}, 20);
}

###############################################################################
