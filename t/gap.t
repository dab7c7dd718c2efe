#!/usr/bin/perl

# Copyright (C) sync for nginx

# What members of every dialect are told of a hole, before anything newer: a
# worker that was stopped for too long, and one that died while it wrote to the
# room.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use Test::Sync;
use Test::Sync::Ptrace;

###############################################################################

# one worker is stopped, or killed, and another one goes on

my $t = Test::Sync->new(workers => 2)->plan(29);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:16m;
    sync_room "doc:*" recoverable history=20 ttl=1h;

    keepalive_requests 100000;
    keepalive_timeout 600s;

    server {
        listen 127.0.0.1:%%PORT_0%% reuseport;

        location /ws         { sync websocket; }
        location /sse        { sync sse; }
        location /socket.io/ { sync socketio; sync_ping 120s 120s; }
        location /control    { sync control; }
        location /status     { sync status; }
    }
}
EOF

$t->run;

my @dialects = qw/ websocket sse socketio /;
my $n = 0;

###############################################################################

# stopped: what the room cannot keep for its members is lost to them

my ($stopped, $going) = $t->workers;
my ($to_stopped, $to_going) = map { talker($_) } $stopped, $going;
my %members = map { $_ => member($_, $stopped, 'doc:1') } @dialects;

is(publish('doc:1')->{receivers}, 3, 'members of one worker');
is($members{$_}{next}->()->[1]{n}, 1, "$_: hears") for @dialects;

kill 'STOP', $stopped;

my $last;

ok($t->wait_for(sub {
	my ($w) = grep { $_->{pid} == $stopped } @{status()->{workers}};
	return $w->{stalled};
}, 20), 'it is stopped');

$last = publish('doc:1')->{position} for 1 .. 100;

kill 'CONT', $stopped;

for my $d (@dialects) {
	my $m = $members{$d};
	my $gap = $m->{next}->();

	is($gap->[0], 'gap', "$d: a gap");
	is_deeply([ @{$gap->[1]}{qw/ room reason /} ], [ 'doc:1', 'trimmed' ],
		"$d: which and why");

	my @all = map { $m->{next}->() } 1 .. 20;

	is($all[0][1]{n}, $n - 19, "$d: then what is kept");
	is(lsn($gap->[1]{pos}) + 1, lsn($all[0][2]), "$d: behind its position");
	is($all[19][2], $last, "$d: up to the last");
}

is(counter('gaps'), 3, 'counted: gaps');
is(counter('overrun'), 80, 'counted: overrun');

$_->{close}->() for values %members;

# killed while it wrote to the room

%members = map { $_ => member($_, $going, 'doc:2') } @dialects;
publish('doc:2') for 1 .. 3;
my @pos = map { $members{websocket}{next}->()->[2] } 1 .. 3;
$members{$_}{next}->() for map { ($_) x 3 } qw/ sse socketio /;

my $victim = $stopped;

$t->expected(qr/worker process $victim exited on signal/);
$t->expected(qr/shared memory zone .* was locked by $victim\b/);

my $p = Test::Sync::Ptrace->attach($victim, "$t->{dir}/sync.so",
	'sync_log_append_locked')->arm;

$to_stopped->('POST', '/control/publish', message('doc:2'), 1);
ok($p->wait(30 * $Test::Sync::SLOW), 'a worker writes');
$p->kill;

for my $d (@dialects) {
	my $m = $members{$d};
	my $e;

	# what the other worker said before it is heard, or lost with the rest

	do { $e = $m->{next}->() } while $e && $e->[0] eq 'say';

	is_deeply([ $e->[0], @{$e->[1]}{qw/ room reason /} ],
		[ 'gap', 'doc:2', 'reset' ], "$d: a reset");
}

my $said = publish('doc:2')->{position};

is_deeply([ map { $members{$_}{next}->()->[2] } @dialects ],
	[ ($said) x 3 ], 'and then what is new');

my $ws = $t->ws('/ws');
$ws->recv_json;
$ws->send_json([ 'joinRoom', { group => 'doc:2', pos => $pos[1],
	responseIndex => 1 } ]);
is($ws->recv_event('joinRoom-1')->[1]{reason}, 'reset', 'who comes back');

is(counter('resets'), 1, 'counted: resets');

###############################################################################

# A member of the room by a dialect, whose client is held by that worker.

sub member {
	my ($dialect, $pid, $room) = @_;

	for (1 .. 100) {
		my $before = clients($pid);
		my $m = $dialect eq 'sse' ? sse($room) : $dialect eq 'websocket'
			? websocket($room) : socketio($room);

		return $m if clients($pid) > $before;

		$m->{close}->();
	}

	die "no client of worker $pid\n";
}

sub websocket {
	my ($room) = @_;

	my $ws = $t->ws('/ws');
	$ws->recv_json;
	$ws->send_json([ 'joinRoom', { group => $room, responseIndex => 1 } ]);
	$ws->recv_event('joinRoom-1');

	return { close => sub { gone(sub { $ws->disconnect }) }, next => sub {
		my $m = $ws->recv_json // return;
		return [ $m->[0], $m->[1], ref $m->[2] ? $m->[2]{pos} : undef ];
	} };
}

sub sse {
	my ($room) = @_;

	my $sse = $t->sse("/sse?channels=$room");
	$sse->recv_json;

	return { close => sub { gone(sub { $sse->disconnect }) }, next => sub {
		my $e = $sse->recv // return;
		return [ $e->{event}, decode_json($e->{data})->{data}, $e->{id} ];
	} };
}

# Socket.IO in a WebSocket, as polls may come to any worker.

sub socketio {
	my ($room) = @_;

	my $ws = $t->ws('/socket.io/?EIO=4&transport=websocket');
	$ws->recv_text;
	$ws->send_text('40');
	$ws->recv_text;
	$ws->send_text('42' . encode_json([ 'joinRoom', { group => $room,
		responseIndex => 1 } ]));
	$ws->recv_text;

	return { close => sub { gone(sub { $ws->disconnect }) }, next => sub {
		my $text = $ws->recv_text // return;
		my $m = decode_json($text =~ s/^42//r);
		return [ $m->[0], $m->[1], ref $m->[2] ? $m->[2]{pos} : undef ];
	} };
}

# Returns when it is not counted any more.

sub gone {
	my ($close) = @_;

	my $count = status()->{clients};
	$close->();
	$t->wait_for(sub { status()->{clients} < $count });
}

sub clients {
	my ($pid) = @_;
	my ($w) = grep { $_->{pid} == $pid } @{status()->{workers}};
	return $w->{clients};
}

sub message {
	my ($room) = @_;
	return { room => $room, event => 'say', data => { n => ++$n } };
}

sub publish {
	my ($room) = @_;

	return $to_going->('POST', '/control/publish', message($room))
		->{rooms}{$room};
}

# A connection to that worker, that goes on; returns what asks by it.

sub talker {
	my ($pid) = @_;

	for (1 .. 1000) {
		my $peer = Test::Sync::Peer->new(port => $t->port(0));
		my $ask = sub { ask($peer, @_) };

		return $ask if $ask->('GET', '/status')->{worker}{pid} == $pid;
	}

	die "no connection to worker $pid\n";
}

sub ask {
	my ($peer, $method, $uri, $json, $only) = @_;

	my $body = $json ? encode_json($json) : '';

	$peer->put("$method $uri HTTP/1.1\r\nHost: localhost\r\n"
		. ($json ? "Content-Type: application/json\r\n" : '')
		. 'Content-Length: ' . length($body) . "\r\n\r\n$body");

	return $only || $peer->recv_response($method)->json;
}

sub status { return $to_going->('GET', '/status') }
sub counter { return status()->{counters}{$_[0]} }
sub lsn { return hex(($_[0] =~ m!/(\w+)\.!)[0]) }

###############################################################################
