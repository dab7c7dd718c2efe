#!/usr/bin/perl

# Copyright (C) sync for nginx

# Engine.IO 4 by polling: handshakes and their errors, payloads, polls that
# overlap or are given up, heartbeats, limits, origins.

use warnings;
use strict;

use FindBin;
use Test::More;
use Time::HiRes qw/ time sleep /;

use lib "$FindBin::Bin/lib";
use Test::Sync;

my $t = Test::Sync->new->plan(81);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /socket.io/ {
            sync socketio;
            sync_max_message 1000;
            sync_allow_origin http://page.example;
        }

        location /quick/ {
            sync socketio;
            sync_ping 300ms 1500ms;
        }

        location /other/ { sync socketio; }
        location /control/ { sync control; }
        location /status { sync status; }
    }
}
EOF

$t->run;


# a handshake

my $s = $t->eio;
my $h = $s->handshake;

is($s->response->status, 200, 'handshake');
is($s->response->header('content-type'), 'text/plain; charset=UTF-8', 'type');
is($s->response->header('cache-control'), 'no-store', 'not to be stored');
like($s->sid, qr/^[\w-]{22}$/, 'sid');
is_deeply($h->{upgrades}, [ 'websocket' ], 'upgrades');
is("$h->{pingInterval} $h->{pingTimeout} $h->{maxPayload}", '25000 20000 1000',
	'parameters');

# errors of a handshake

for my $case (
	[ 'GET', 'EIO=4', 0, 'Transport unknown' ],
	[ 'GET', 'EIO=4&transport=abc', 0, 'Transport unknown' ],
	[ 'GET', 'EIO=4&transport=polling&sid=', 1, 'Session ID unknown' ],
	[ 'GET', 'EIO=4&transport=polling&sid=abc', 1, 'Session ID unknown' ],
	[ 'GET', 'EIO=4&transport=polling&sid=' . 'A' x 22, 1,
		'Session ID unknown' ],
	[ 'POST', 'EIO=4&transport=polling', 2, 'Bad handshake method' ],
	[ 'PUT', 'EIO=4&transport=polling', 2, 'Bad handshake method' ],
	[ 'GET', 'EIO=4&transport=websocket', 3, 'Bad request' ],
	[ 'PUT', 'EIO=4&transport=polling&sid=' . $s->sid, 3, 'Bad request' ],
	[ 'GET', 'transport=polling', 5, 'Unsupported protocol version' ],
	[ 'GET', 'EIO=3&transport=polling', 5, 'Unsupported protocol version' ],
) {
	my ($method, $args, $code, $message) = @$case;

	my $r = $t->http($method, "/socket.io/?$args");

	is($r->status, 400, "$method $args");
	is_deeply($r->json, { code => $code, message => $message }, $message);
}

is($t->http('GET', '/other/?EIO=4&transport=polling&sid=' . $s->sid)->json
	->{code}, 1, 'a session of another endpoint');

# payloads

is($s->post('40')->body, 'ok', 'posted');
like($s->recv, qr/^40\{"sid":"[\w-]{22}"\}$/, 'connected');

my $r = $s->post('42["getJoinedRooms",{"responseIndex":1}]',
	'42["getJoinedRooms",{"responseIndex":2}]',
	'42["getJoinedRooms",{"responseIndex":3}]');

is($r->status, 200, 'three packets');
is($r->header('content-type'), 'text/html', 'type of the answer');

my @got;
push @got, $s->recv_event->[0] for 1 .. 3;
is("@got", 'getJoinedRooms-1 getJoinedRooms-2 getJoinedRooms-3', 'in order');

# a poll waits, and gets all there is

my $poll = $s->poll;
ok(!defined $s->answer($poll, 0.3), 'nothing to say');
$s->event('getJoinedRooms', { responseIndex => 4 });
is($s->answer($poll)->body, '42["getJoinedRooms-4",{"rooms":[]}]', 'answered');

# one that was given up has taken nothing with it

$poll = $s->poll;
ok(!defined $s->answer($poll, 0.2), 'waits');
$poll->disconnect;
$s->event('getJoinedRooms', { responseIndex => 5 });
is($s->recv_event->[0], 'getJoinedRooms-5', 'after a poll that was given up');

for my $i (1 .. 20) {
	$poll = $s->poll;
	$s->event('getJoinedRooms', { responseIndex => 100 + $i }) if $i % 2;
	$poll->disconnect if $i % 2 == 0;
	is($s->answer($poll)->body,
		"42[\"getJoinedRooms-@{[ 100 + $i ]}\",{\"rooms\":[]}]", "poll $i")
		if $i % 2;
}

# the last one given up is not about any more when another one was answered

$s->event('getJoinedRooms', { responseIndex => 6 });
is($s->recv_event->[0], 'getJoinedRooms-6', 'as if nothing had been');

# bounds

is($s->post('4' . 'x' x 1000)->status, 413, 'above maxPayload');
is($t->http('POST', $s->uri, body => '40', headers => [ 'Content-Type',
	'application/octet-stream' ])->status, 400, 'bytes as such');

# two polls at once: both end, and so does the session

$poll = $s->poll;
ok(!defined $s->answer($poll, 0.2), 'the first waits');
$r = $s->answer($s->poll);
is($r->status, 400, 'a second poll');
is($r->body, '', 'has no body');
is($s->answer($poll)->body, '1', 'the first is closed');
is($s->answer($s->poll)->json->{code}, 1, 'the session is gone');

# the client closes

$s = $t->eio;
$s->connect;
$poll = $s->poll;
ok(!defined $s->answer($poll, 0.2), 'waits');
is($s->post('1')->body, 'ok', 'close');
is($s->answer($poll)->body, '6', 'the poll is let go');
is($s->post('3')->json->{code}, 1, 'closed');

# packets that are none

for my $bad ('', 'x', '7', "4\xff", '2', '42["a"]', '40{', "40\x1e\x1e40") {
	$s = $t->eio;
	$s->post($bad);
	ok($t->wait_for(sub { return $s->post('3')->status == 400 }),
		'closed by ' . unpack 'H*', $bad);
}

# heartbeats

$s = $t->eio('/quick/');
my $begun = time();
$s->post('40');
my $left = 4;
my @late;

while ($left) {
	for my $packet ($s->get) {
		next unless $packet eq '2';

		push @late, time() - $begun - 0.3;
		$begun = time();
		$s->post('3');
		$left--;
	}
}

# some of them may have been read late, and the next one seems to be early then

@late = sort { $a <=> $b } @late;
cmp_ok($late[2], '>', -0.1, 'pings are not early');
cmp_ok($late[0], '<', 0.3, 'nor late');

is(($s->get)[0], '2', 'a ping that is not answered');
$poll = $s->poll;
is($s->answer($poll)->body, '1', 'closed');
ok($t->wait_for(sub { return sessions() == 0 }), 'no session is left');

# origins

$r = $t->http('OPTIONS', '/socket.io/?EIO=4&transport=polling', headers => {
	Origin => 'http://page.example',
	'Access-Control-Request-Headers' => 'x-a, x-b' });

is($r->status, 204, 'preflight');
is($r->header('access-control-allow-origin'), 'http://page.example', 'origin');
is($r->header('access-control-allow-headers'), 'x-a, x-b', 'headers');
is($r->header('access-control-allow-methods'), 'GET,POST,PUT,DELETE,OPTIONS',
	'methods');
is($r->header('access-control-allow-credentials'), 'true', 'credentials');

$r = $t->http('GET', '/socket.io/?EIO=4&transport=polling',
	headers => { Origin => 'http://elsewhere.example' });

is($r->status, 400, 'another origin');
is($r->json->{code}, 3, 'is a bad request');
is($r->header('access-control-allow-origin'), undef, 'with no leave');

sub sessions { return $t->http('GET', '/status')->json->{sessions} }
