#!/usr/bin/perl

# Copyright (C) sync for nginx

# The rules of the Engine.IO protocol, version 4, that sio_polling.t,
# sio_events.t and sio_life.t have not: the open packet, errors of each
# transport, the time of heartbeats, payloads, bodies, upgrades, each type of
# packet in each state.

use warnings;
use strict;

use FindBin;
use Test::More;
use Time::HiRes qw/ time /;

use lib "$FindBin::Bin/lib";
use Test::Sync;

my $max = 1000;

my $t = Test::Sync->new->plan(174);

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
            client_body_timeout 1s;
        }

        location /quick/ {
            sync socketio;
            sync_ping 300ms 1s;
        }

        location /expires/ {
            sync socketio;
            sync_ping 300ms 200ms;
        }

        location /lone/ {
            sync socketio;
            sync_ping 200ms 1s;
        }

        location /other/ { sync socketio; }
        location /control/ { sync control; }
        location /status { sync status; }
    }
}
EOF

$t->run;

my %message = (
	0 => 'Transport unknown',
	1 => 'Session ID unknown',
	2 => 'Bad handshake method',
	3 => 'Bad request',
	5 => 'Unsupported protocol version',
);

# the open packet

my $s = $t->eio;
like($s->response->body, qr/^0\{"sid":"[\w-]{22}","upgrades":\["websocket"\],
	"pingInterval":25000,"pingTimeout":20000,"maxPayload":$max\}$/x,
	'open, by polling');

my $ws = $t->ws('/socket.io/?EIO=4&transport=websocket');
like($ws->recv_text, qr/^0\{"sid":"[\w-]{22}","upgrades":\[\],
	"pingInterval":25000,"pingTimeout":20000,"maxPayload":$max\}$/x,
	'by WebSocket');
$ws->shut;

my $quick = $t->eio('/quick/')->handshake;
is("$quick->{pingInterval} $quick->{pingTimeout}", '300 1000', 'as configured');
isnt($quick->{sid}, $t->eio('/quick/')->sid, 'each has an id of its own');

# errors: of a poll, of a WebSocket, in the order of the checks

my $other = $t->eio('/other/');
my $guess = 'A' x 22;

for my $case (
	[ 'GET', '', 0 ],
	[ 'GET', 'EIO=4&transport=', 0 ],
	[ 'GET', 'EIO=4&transport=webtransport', 0 ],
	[ 'GET', 'EIO=4&transport=POLLING', 0 ],
	[ 'GET', "EIO=4&transport=abc&sid=$guess", 0 ],
	[ 'POST', 'EIO=3&transport=abc', 0 ],
	[ 'GET', "EIO=4&transport=websocket&sid=$guess", 1 ],
	[ 'POST', "EIO=4&transport=polling&sid=$guess", 1 ],
	[ 'POST', 'EIO=4&transport=polling&sid=' . $other->sid, 1 ],
	[ 'GET', 'EIO=4&transport=polling&sid=' . $s->sid . 'x', 1 ],
	[ 'DELETE', 'EIO=4&transport=polling', 2 ],
	[ 'POST', 'EIO=4&transport=websocket', 2 ],
	[ 'PATCH', 'EIO=3&transport=polling', 2 ],
	[ 'GET', 'EIO=3&transport=websocket', 3 ],
	[ 'GET', 'EIO=4&transport=websocket&sid=' . $s->sid, 3 ],
	[ 'DELETE', 'EIO=4&transport=polling&sid=' . $s->sid, 3 ],
	[ 'GET', 'EIO=abc&transport=polling', 5 ],
	[ 'GET', 'EIO=&transport=polling', 5 ],
	[ 'GET', 'EIO=40&transport=polling', 5 ],
	[ 'GET', 'EIO=5&transport=polling', 5 ],
) {
	my ($method, $args, $code) = @$case;

	my $r = $t->http($method, "/socket.io/?$args");

	is($r->status . ' ' . $r->header('content-type') . ' ' . $r->body,
		qq(400 application/json {"code":$code,"message":)
		. qq("$message{$code}"}), "polling: $method $args");
}

my $r = $t->http('HEAD', '/socket.io/?EIO=4&transport=polling');
is($r->status, 400, 'no HEAD of a handshake');

for my $case (
	[ 'EIO=4', 0 ],
	[ 'EIO=4&transport=abc', 0 ],
	[ "EIO=4&transport=websocket&sid=$guess", 1 ],
	[ 'EIO=4&transport=websocket&sid=', 1 ],
	[ 'EIO=4&transport=websocket&sid=' . $other->sid, 1 ],
	[ 'EIO=4&transport=polling', 3 ],
	[ 'EIO=4&transport=polling&sid=' . $s->sid, 3 ],
	[ 'transport=websocket', 5 ],
	[ 'EIO=3&transport=websocket', 5 ],
	[ 'EIO=abc&transport=websocket', 5 ],
) {
	my ($args, $code) = @$case;

	$ws = $t->ws("/socket.io/?$args");
	is($ws->status . ' ' . $ws->response, "400 $message{$code}",
		"WebSocket: $args");
}

$r = $t->http('POST', '/socket.io/?EIO=4&transport=websocket', body => '',
	headers => { Upgrade => 'websocket', Connection => 'Upgrade' });
is($r->status . ' ' . $r->body, "400 $message{2}", 'WebSocket: a POST');

# with all that the session is as it was

is($s->post('40')->body, 'ok', 'no harm done');
like($s->recv, qr/^40\{"sid"/, 'it connects');
is($t->eio('/socket.io/')->response->status, 200, 'others begin');

# heartbeats: the next ping is an interval after the last one

# where others use the machine, too, some are read late; a quarter is not

for my $transport ('websocket', 'polling') {
	my @late = sort { $a <=> $b } $transport eq 'websocket'
		? heartbeats_ws() : heartbeats_polling();

	note(sprintf '%s, pings: %+.0f to %+.0f ms, a quarter by %+.0f ms',
		$transport, map { $_ * 1000 } @late[0, -1, @late / 4]);
	cmp_ok(abs $late[@late / 4], '<', 0.05 * $Test::Sync::SLOW,
		"$transport: pings come within 50 ms of their time");
}

# a session that does not answer has pingTimeout, and no longer

for my $transport ('websocket', 'polling') {
	my ($begun, $closed);

	if ($transport eq 'websocket') {
		$ws = open_ws('/quick/');
		is($ws->recv_text, '2', 'a ping');
		$begun = time();
		$ws->wait_close;

	} else {
		my $s = $t->eio('/quick/');
		is(join('|', $s->get), '2', 'a ping');
		$begun = time();
		is(join('|', $s->get), '1', 'the poll is closed');
		is($s->answer($s->poll)->json->{code}, 1, 'the session is gone');
	}

	$closed = time() - $begun;

	cmp_ok($closed, '>', 0.8, 'not too soon');
	cmp_ok($closed, '<', 1 + 2 * $Test::Sync::SLOW, 'nor too late');
}

# one that answers, but never connects, has the sum of both

for my $transport ('websocket', 'polling') {
	my ($begun, $pings, $closed) = lone($transport, 0);

	cmp_ok($pings, '>', 2, "$transport: it lives, and does not connect");
	ok($closed, 'it is closed');
	cmp_ok($begun, '>', 1.1, 'not too soon');
	cmp_ok($begun, '<', 1.2 + 2 * $Test::Sync::SLOW, 'nor too late');

	(undef, undef, $closed) = lone($transport, 1);
	ok(!$closed, 'one that connects is not');
}

# a pong that nobody asked for does not count

$ws = open_ws('/quick/');
$ws->send_text('3') for 1 .. 3;
is($ws->recv_text, '2', 'a ping');
is($ws->wait_close, 1005, 'pongs of before do not answer it');

# payloads: what was said between two polls comes in one

$s = connected();
$s->event('joinRoom', { group => 'p', responseIndex => 1 });
$s->recv;
publish('p', $_) for 1, "a\x1eb", "\x{e9}";

my $text = '';
my $room = '{"room":"p"}';

$t->wait_for(sub {
	$text .= ($text eq '' ? '' : "\x1e") . $s->answer($s->poll)->body;
	return $text =~ /\x1e.*\x1e/;
});
is($text, join("\x1e", qq(42["e",1,$room]), qq(42["e","a\\u001eb",$room]),
	qq(42["e","\xc3\xa9",$room])), 'three packets, with separators');

is($s->post('6', '3', '421["getJoinedRooms"]', '6',
	'422["getJoinedRooms"]')->body, 'ok', 'several packets');
is($s->recv, '431[{"rooms":["p"]}]', 'the first one');
is($s->recv, '432[{"rooms":["p"]}]', 'the second one');

# bodies

is($s->post('420["a","' . 'x' x ($max - 11) . '"]')->status, 200,
	'a body of maxPayload');
is($s->post('420["a","' . 'x' x ($max - 10) . '"]')->status, 413, 'one more');

my $peer = begin_post($s, 'Transfer-Encoding: chunked');
my $sent = 0;

while ($sent < 1 << 24 && $peer->put("400\r\n" . 'x' x 1024 . "\r\n")) {
	$sent += 1024;
	$peer->fill(0);
	last if $peer->buffer ne '' || $peer->eof;
}

$peer->recv_head;
is($peer->status, 413, 'an endless body');

$peer = begin_post($s, 'Transfer-Encoding: chunked');
$peer->put("400\r\n" . 'x' x 1024 . "\r\n0\r\n\r\n");
$peer->recv_head;
is($peer->status, 413, 'in chunks');

$peer = begin_post($s, 'Transfer-Encoding: chunked');
$peer->put("13\r\n" . '420["getJoinedRooms' . "\r\n");
$peer->put("2\r\n" . '"]' . "\r\n0\r\n\r\n");
is($peer->recv_response('POST')->body, 'ok', 'that ends');
is($s->recv, '430[{"rooms":["p"]}]', 'is whole');

$peer = begin_post($s, 'Content-Length: 100');
$peer->put('42["x');
ok($peer->wait_eof, 'a body that stops');
is($peer->buffer =~ /^HTTP\S+ 2/ ? 'taken' : '', '', 'is not taken');

$peer = begin_post($s, 'Content-Length: 30');
$peer->put('429["getJoined');
$peer->reset;

is($s->post('427["getJoinedRooms"]')->body, 'ok', 'the session goes on');
is($s->recv, '437[{"rooms":["p"]}]', 'after all that');

for my $bad ('', 'abc', "\x1e", "6\x1e", "\x1e6", "6\x1e\x1e6", "4\xc3(", '8',
	'{"a":1}', "\0", 'b=', 'bA', 'bA*A=')
{
	$s = connected();
	$r = $s->post($bad);
	is($r->status . ' ' . $r->body, '400 {"code":3,"message":"Bad request"}',
		'POST ' . unpack 'H*', $bad);
	ok(gone($s), 'closes');
}

# maxPayload of a WebSocket: of the message, not of its frames

$ws = open_ws();
$ws->send_text('4' . '0{"a":"' . 'x' x ($max - 10) . '"}');
like($ws->recv_text, qr/^40\{"sid"/, 'a message of maxPayload');
$ws->send_frame(payload => '6' . 'x' x ($max - 2), fin => 0);
$ws->send_frame(payload => 'xx', opcode => 0);
is($ws->wait_close, 1009, 'one more, in fragments');

# the upgrade

$s = connected();
$s->event('joinRoom', { group => 'up', responseIndex => 1 });
$s->recv;

my $poll = $s->poll;
ok(!defined $s->answer($poll, 0.1), 'a poll waits');
my $up = $t->ws($s->uri('websocket'));
ok(!defined $s->answer($poll, 0.1), 'till there is a probe');
$up->send_text('2probe');
is($up->recv_text, '3probe', 'that is answered');
is($s->answer($poll)->body, '6', 'a noop lets the poll go');
is($s->post('421["getJoinedRooms"]')->body, 'ok', 'a POST during the upgrade');
publish('up', 1);
$up->send_text('5');
$up->send_text('422["getJoinedRooms"]');

my @got = sort map { $up->recv_text // '' } 1 .. 3;
is_deeply(\@got, [ '42["e",1,{"room":"up"}]', '431[{"rooms":["up"]}]',
	'432[{"rooms":["up"]}]' ], 'all that was said comes, once');

for my $case (
	[ 'a poll', sub { $s->answer($s->poll) } ],
	[ 'a POST', sub { $s->post('6') } ],
) {
	my ($name, $sub) = @$case;

	my $r = $sub->();
	is($r->status . ' ' . $r->body, '400 {"code":3,"message":"Bad request"}',
		"$name after the upgrade");
}

is(refused_ws($s), 400, 'and a WebSocket');
$up->send_text('42["getJoinedRooms",{"responseIndex":3}]');
is($up->recv_text, '42["getJoinedRooms-3",{"rooms":["up"]}]', 'no harm done');
$up->shut;
ok($t->wait_for(sub { return refused_ws($s) == 400
	&& $s->post('6')->json->{code} == 1 }), 'closed: unknown');

# a WebSocket from the start has no polls

$ws = $t->ws('/socket.io/?EIO=4&transport=websocket');
my ($sid) = $ws->recv_text =~ /"sid":"([\w-]+)"/;
$ws->send_text('40');
$ws->recv_text;
is($t->http('GET', "/socket.io/?EIO=4&transport=polling&sid=$sid")->body,
	'{"code":3,"message":"Bad request"}', 'a poll of a WebSocket');
$ws->send_text('421["getJoinedRooms"]');
is($ws->recv_text, '431[{"rooms":[]}]', 'does no harm');
$ws->shut;

# a probe that is none: the WebSocket is closed, the session polls on

$s = connected();

for my $bad ([ '2' ], [ '2prob' ], [ '2probe2' ], [ '3probe' ], [ '4probe' ],
	[ '5' ], [ '' ], [ 'x' ], [ '1' ], [ '6' ], [ '2probe', '2probe' ],
	[ '2probe', '4x' ], [ '2probe', '6' ], [ '2probe', 'x' ],
	[ '2probe', '1' ])
{
	my $up;

	$t->wait_for(sub {
		$up = $t->ws($s->uri('websocket'));
		return $up->status == 101;
	});

	$up->send_text($_) for @$bad;
	is($up->wait_close, 1005, "a bad probe: @$bad");
}

$up = upgrading($s);
$up->send_binary('2probe');
is($up->wait_close, 1005, 'in bytes');

$up = upgrading($s);
$up->send_text('2probe');
$up->recv_text;
$up->reset;

is($s->post('424["getJoinedRooms"]')->body, 'ok', 'polling goes on');
$t->wait_for(sub { $text = $s->recv; return $text ne '6' });
is($text, '434[{"rooms":[]}]', 'as before');

# of a session that has expired meanwhile, or of another endpoint

$s = $t->eio('/expires/');
ok(gone($s), 'expired');
is(refused_ws($s), 400, 'no upgrade of it');
is($t->ws('/socket.io/?EIO=4&transport=websocket&sid=' . $other->sid)->response,
	$message{1}, 'nor of one of elsewhere');

# who closes while upgrading closes both

$s = connected();
$up = upgrading($s);
$up->send_text('2probe');
$up->recv_text;
is($s->post('1')->body, 'ok', 'closed during an upgrade');
$up->send_text('5');
is($up->wait_close, 1005, 'the WebSocket, too');
ok(gone($s), 'and the session');

# polls that are cancelled, more than one after another, lose nothing

$s = connected();
$s->event('joinRoom', { group => 'c', responseIndex => 1 });
$s->recv;

@got = ();

for my $i (1 .. 10) {
	$s->poll->reset for 0 .. $i % 3;
	publish('c', $i);
	push @got, numbers($s->answer($s->poll));
}

is("@got", join(' ', 1 .. 10), 'once and in order');

# types of packets in an open session

for my $case (
	[ '0', 'stays' ],
	[ '0{"sid":"x"}', 'stays' ],
	[ '1', 'closes' ],
	[ '2', 'closes' ],
	[ '2probe', 'closes' ],
	[ '3', 'stays' ],
	[ '3probe', 'stays' ],
	[ '4', 'closes' ],
	[ '42["unknown"]', 'stays' ],
	[ '5', 'stays' ],
	[ '6', 'stays' ],
	[ '6x', 'stays' ],
	[ '7', 'closes' ],
	[ 'x', 'closes' ],
	[ ' 6', 'closes' ],
	[ 'bAAA=', 'closes' ],
) {
	my ($packet, $what) = @$case;

	my $ws = open_ws();
	$ws->send_text('40');
	$ws->recv_text;
	$ws->send_text($packet);
	$ws->send_text('420["getJoinedRooms"]');

	is($what eq 'stays' ? $ws->recv_text : $ws->wait_close,
		$what eq 'stays' ? '430[{"rooms":[]}]' : 1005,
		"WebSocket: '$packet' $what");
	$ws->disconnect;

	my $s = connected();
	$s->post($packet);

	if ($what eq 'stays') {
		$s->post('420["getJoinedRooms"]');
		is($s->recv, '430[{"rooms":[]}]', "polling: '$packet' stays");
		$s->post('1');

	} else {
		ok(gone($s), "polling: '$packet' closes");
	}
}

# a connection that breaks ends a WebSocket's session

$ws = open_ws();
$ws->send_text('40');
my ($id) = $ws->recv_text =~ /"sid":"([\w-]+)"/;
$ws->reset;
ok($t->wait_for(sub {
	my $r = $t->http('GET', "/control/client?clientId=$id");
	return !$r->json->{client}{connected};
}), 'a WebSocket that broke');


###############################################################################

sub open_ws {
	my ($uri) = @_;

	my $ws = $t->ws(($uri // '/socket.io/') . '?EIO=4&transport=websocket');
	$ws->recv_text;

	return $ws;
}

sub connected {
	my ($uri) = @_;

	my $s = $t->eio($uri);
	$s->connect or die "not connected\n";

	return $s;
}

sub upgrading {
	my ($s) = @_;

	return $t->wait_for(sub {
		my $up = $t->ws($s->uri('websocket'));
		return $up->status == 101 ? $up : undef;
	});
}

sub refused_ws {
	my ($s) = @_;
	my $ws = $t->ws($s->uri('websocket'));
	return $ws->status;
}

sub gone {
	my ($s) = @_;
	return $t->wait_for(sub { return $s->post('6')->status == 400 });
}

sub begin_post {
	my ($s, $header) = @_;

	my $peer = Test::Sync::Peer->new(port => $t->port(0));

	$peer->put('POST ' . $s->uri . " HTTP/1.1\r\nHost: localhost\r\n"
		. "Connection: close\r\n$header\r\n\r\n");

	return $peer;
}

sub numbers {
	my ($r) = @_;
	return $r ? map { /"e",(\d+)/ ? $1 : () } split /\x1e/, $r->body : ();
}

sub publish {
	my ($room, $data) = @_;
	$t->http('POST', '/control/publish', json => { room => $room,
		event => 'e', data => $data });
}

# What five pings of each session are later than they should be, seconds.

sub heartbeats_ws {
	my (@ws, @late, %last);

	for my $n (1 .. 12) {
		push @ws, open_ws('/quick/');
		$ws[-1]->send_text('40');

		select undef, undef, undef, 0.017;
	}

	Test::Sync::WS->pump(\@ws, sub {
		my ($ws, $text) = @_;

		return if $text ne '2';

		my $now = time();

		$ws->send_text('3');
		push @late, $now - $last{$ws} - 0.3 if $last{$ws};
		$last{$ws} = $now;
	}, until => sub { return @late >= 5 * @ws });

	$_->shut for @ws;

	return @late;
}

sub heartbeats_polling {
	my $s = connected('/quick/');
	my (@late, $begun);

	$s->get;

	for (1 .. 8) {
		$begun = time();
		$s->post('3');
		$s->get;
		push @late, time() - $begun - 0.3;
	}

	$s->post('1');

	return @late;
}

# A session that answers pings; for how long, how many, and whether it was closed,
# which is waited for unless it connects.

sub lone {
	my ($transport, $connects) = @_;

	my $begun = time();
	my $pings = 0;
	my $closed = 0;
	my $polling = $transport eq 'polling';
	my $c = $polling ? $t->eio('/lone/') : open_ws('/lone/');

	my $say = sub { $polling ? $c->post($_[0]) : $c->send_text($_[0]) };

	$say->('40') if $connects;

	while (!$closed && time() - $begun < ($connects ? 1.8 : 20)) {

		for my $packet ($polling ? $c->get : $c->recv_text) {
			$closed ||= !defined $packet || $packet eq '1';

			if (defined $packet && $packet eq '2') {
				$pings++;
				$say->('3');
			}
		}
	}

	$say->('1') unless $closed;

	return (time() - $begun, $pings, $closed);
}

###############################################################################
