#!/usr/bin/perl

# Copyright (C) sync for nginx

# The control endpoint when the zone is full, which a worker that does not come
# round makes it: its messages wait.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use Test::Sync;
use Test::Sync::Peer;

###############################################################################

my $t = Test::Sync->new(workers => 2)->plan(13);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:1m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /ws       { sync websocket; sync_queue 8m; }
        location /control/ { sync control; }
        location /status   { sync status; }
    }
}
EOF

$t->run;

###############################################################################

my @rooms = map { "r$_" } 1 .. 20;
my $ws = $t->ws('/ws');
$ws->recv_json;

for my $room (@rooms) {
	$ws->send_json([ 'joinRoom', { group => $room, responseIndex => 1 } ]);
	$ws->recv_event('joinRoom-1');
}

my ($holder) = map { $_->{pid} } grep { $_->{clients} }
	@{$t->http('GET', '/status')->json->{workers}};

# a connection to the other worker

my $peer;

ok($t->wait_for(sub {
	$peer = Test::Sync::Peer->new(port => $t->port);
	return ask('GET', '/status')->json->{worker}{pid} != $holder;
}), 'the other worker');

kill 'STOP', $holder;

my $data = 'x' x 100_000;
my ($r, @said);

for my $room (@rooms) {
	$r = publish({ room => $room, data => $data });
	last if $r->status != 200;
	push @said, $room;
}

cmp_ok(scalar @said, '>', 3, 'what fits is taken');
cmp_ok(scalar @said, '<', 10, 'not more');
is($r->status, 503, 'full');
is($r->body, '{"status":"error","rooms":{},'
	. '"errorCode":"broker.unavailable","message":"the zone is full"}',
	'told so');

$r = publish({ rooms => [ 'nobody', 'r20', 'other' ], data => $data });
is($r->status, 503, 'full for one of them');
is_deeply($r->json->{rooms}, { nobody => { receivers => 0,
	position => undef } }, 'those before it have it');

cmp_ok(ask('GET', '/status')->json->{counters}{full}, '>', 0, 'counted');
is(ask('GET', '/control/members?room=r1')->json->{count}, 1,
	'lists go on');

kill 'CONT', $holder;

is_deeply([ sort map { $ws->recv_json->[2]{room} } @said ], [ sort @said ],
	'what was taken is heard');
ok($t->wait_for(sub {
	return publish({ room => 'r20', data => 'again' })->status == 200;
}), 'there is room again');
is($ws->recv_json->[1], 'again', 'heard');

$ws->send_json([ 'getJoinedRooms', { responseIndex => 2 } ]);
is(scalar @{$ws->recv_event('getJoinedRooms-2')->[1]{rooms}}, 20,
	'nothing was lost');

###############################################################################

sub publish {
	my ($fields) = @_;
	return ask('POST', '/control/publish', encode_json($fields));
}

# A request on the connection.

sub ask {
	my ($method, $uri, $body) = @_;

	$body //= '';

	$peer->put("$method $uri HTTP/1.1\r\nHost: localhost\r\n"
		. "Content-Type: application/json\r\n"
		. 'Content-Length: ' . length($body) . "\r\n\r\n$body");

	return $peer->recv_response($method);
}

###############################################################################
