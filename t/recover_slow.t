#!/usr/bin/perl

# Copyright (C) sync for nginx

# Recoverable rooms and clients that read slowly: what they have to catch up
# with waits in the room, and what is not kept there is told before anything
# newer.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

my $t = Test::Sync->new->plan(19);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:64m;

    sync_room "doc:*"  recoverable history=2000;
    sync_room "drop:*" recoverable history=2000 queue=drop;
    sync_room "few:*"  recoverable history=50 queue=drop;

    server {
        listen 127.0.0.1:%%PORT_0%% sndbuf=32k;

        keepalive_requests 1000000;

        location /socket.io/ { sync socketio; sync_queue 100k;
                               sync_ping 1h 1h; }
        location /ws      { sync websocket; sync_queue 100k; }
        location /events  { sync sse; sync_queue 100k; }
        location /control { sync control; }
        location /status  { sync status; }
    }
}
EOF

$t->run;

my $i = 0;
my $data = 'x' x 2000;

# a history of 1 MB, by a queue of 100k

my $first = publish('doc:1', 0);
publish('doc:1', $_) for 1 .. 499;

my $ws = client();
ok(join_room($ws, 'doc:1', $first)->{recovered}, 'recovered');
is(sequence($ws, 499), '1 .. 499', 'much more than the queue holds');

my $es = $t->sse('/events?channels=doc:1', last_event_id => $first);
$es->recv;
is(sequence($es, 499), '1 .. 499', 'on an event stream, too');
$es->disconnect;

# meanwhile something new is said

$ws = client();
join_room($ws, 'doc:1', $first, 1);
publish('doc:1', $_) for 500 .. 599;
$ws->recv_event('joinRoom-' . $i);
is(sequence($ws, 599), '1 .. 599', 'what is new comes after it');

# several at once

my @ws = map { client() } 1 .. 5;
join_room($_, 'doc:1', $first, 1) for @ws;
is(join(',', map { sequence($_, 599) } @ws),
	join(',', ('1 .. 599') x 5), 'several at once');
$_->disconnect for @ws, $ws;

# queue=drop: who does not read catches up

$ws = client(rcvbuf => 4096);
join_room($ws, 'drop:1');
publish('drop:1', $_) for 1 .. 600;
is(sequence($ws, 600), '1 .. 600', 'a slow client misses nothing');
publish('drop:1', 601);
is(sequence($ws, 1), '601 .. 601', 'and is with the others again');
$ws->disconnect;

# and if the room does not keep it

my $gaps = 0;

for my $dialect (\&websocket, \&events, \&socketio) {
	my ($name, $next, $peer) = $dialect->();
	my ($last, $told, $bad) = (0, 0, 0);
	my @why;

	$i++;
	publish("few:$i", $_) for 1 .. 400;

	while ($last < 400) {
		my $e = $next->() or last;

		if ($e->[0] eq 'gap') {
			push @why, "$e->[1]{room} $e->[1]{reason}";
			$last = hex(($e->[1]{pos} =~ m!/(\w+)\.!)[0]);

		} else {
			my ($n) = $e->[1] =~ /^(\d+) /;
			$bad++ if $n != $last + 1;
			$last = $n;
		}
	}

	is($why[0], "few:$i overflow", "$name: what was missed is told");
	is($bad, 0, "$name: before what is newer, and where it goes on");
	is($last, 400, "$name: up to the last");

	$gaps += @why;
	$peer->disconnect;
}

my $s = $t->http('GET', '/status')->json->{counters};
cmp_ok($s->{gaps}, '>=', $gaps, 'counted: gaps');
cmp_ok($s->{replayed}, '>', 4000, 'counted: replayed');
is($s->{slow}, 0, 'nobody was closed');

# A slow member of the next room, by each dialect: what it hears.

sub websocket {
	my $ws = client(rcvbuf => 4096);

	$ws->send_json([ 'joinRoom', { group => 'few:' . ($i + 1),
		responseIndex => 1 } ]);
	$ws->recv_event('joinRoom-1');

	return ('WebSocket', sub {
		return $ws->recv_event(qr/^(?:message|gap)$/);
	}, $ws);
}

sub events {
	my $es = $t->sse('/events?channels=few:' . ($i + 1), rcvbuf => 4096);

	$es->recv;

	return ('SSE', sub {
		my $e = $es->recv or return;
		return [ $e->{event} // 'message',
			JSON::PP->new->decode($e->{data})->{data} ];
	}, $es);
}

sub socketio {
	my $ws = $t->ws('/socket.io/?EIO=4&transport=websocket',
		rcvbuf => 4096);

	$ws->recv_text;
	$ws->send_text('40');
	$ws->recv_text;
	$ws->send_text('42' . JSON::PP->new->encode([ 'joinRoom',
		{ group => 'few:' . ($i + 1), responseIndex => 1 } ]));
	$ws->recv_text;

	return ('Socket.IO', sub {
		my $text = $ws->recv_text or return;
		return JSON::PP->new->decode($text =~ s/^42//r);
	}, $ws);
}

sub client {
	my $ws = $t->ws('/ws', @_);
	$ws->recv_event('connected');
	return $ws;
}

sub join_room {
	my ($ws, $room, $pos, $later) = @_;
	my $n = ++$i;

	$ws->send_json([ 'joinRoom', { group => $room, responseIndex => $n,
		defined $pos ? (pos => $pos) : () } ]);

	return $later || $ws->recv_event("joinRoom-$n")->[1];
}

# "1 .. n" if the next n messages are these.

sub sequence {
	my ($c, $n) = @_;
	my ($from, $last);

	for (1 .. $n) {
		my $text;

		if ($c->can('recv_event')) {
			my $e = $c->recv_event('message') or last;
			$text = $e->[1];

		} else {
			my $e = $c->recv or last;
			$text = JSON::PP::decode_json($e->{data})->{data};
		}

		my ($k) = $text =~ /^(\d+) /;
		return "$k after $last" if defined $last && $k != $last + 1;
		$from //= $k;
		$last = $k;
	}

	return ($from // 'none') . ' .. ' . ($last // 'none');
}

my $control;

sub publish {
	my ($room, $n) = @_;

	my $body = qq({"room":"$room","data":"$n $data"});

	$control //= IO::Socket::INET->new(
		PeerAddr => '127.0.0.1:' . $t->port(0)) or die "$!\n";

	print $control "POST /control/publish HTTP/1.1\r\nHost: localhost\r\n",
		"Content-Type: application/json\r\nContent-Length: ",
		length $body, "\r\n\r\n$body";

	my $got = '';

	my $pos;

	until (($pos) = $got =~ /"position":"([^"]+)"/) {
		sysread($control, $got, 65536, length $got) or die "closed\n";
	}

	return $pos;
}
