#!/usr/bin/perl

# Copyright (C) sync for nginx

# A caller hears the acknowledgement before the message that it stands for,
# though another worker holds it than the one that asked the app, and that one
# is busy: with the room, or with what is said to all its clients.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use Test::Sync;
use Test::Sync::WS;

my ($callers, $rounds, $others) = (10, 4, 2400);

my $t = Test::Sync->new(workers => ($ENV{SYNC_WORKERS} // 1) > 1 ? 2 : 1)
	->plan(11);

$t->write_conf(<<'EOC');
%%GLOBALS%%

worker_rlimit_nofile 16384;

events {
    worker_connections 8192;
}

http {
    %%HTTP%%

    keepalive_requests 100000;

    sync_zone zone=sync:32m;
    sync_room "kept:*" recoverable history=1000;
    sync_ping 1h 1h;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /socket.io/ {
            sync socketio;
            sync_receiver member all=on;
            sync_hook server /_hook/sync;
        }

        location /ws { sync websocket; }
        location /control/ { sync control; }

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

	return [ [ 'head', 200, 'Content-Type: application/x-ndjson' ],
		[ 'chunk', qq({"stream":{"n":1}}\n) ],
		[ 'wait', $r->{json}{data}{step} ],
		[ 'chunk', qq({"stream":{"n":2}}\n{"final":{"status":"success",)
			. qq("n":$r->{json}{data}{n}}}\n) ], [ 'end' ] ];
});

$t->run;

my $n = 0;
my @all = map { new_caller() } 1 .. $callers;

# while the room is written to

for my $room ('r', 'kept:r', 'all') {
	my @wrong;

	for my $round (1 .. $rounds) {
		my $step = "$room$round";
		ask($_, $room, $step) for @all;
		move($_) for @all;

		my $peer = publish($room, 40);
		$hook->go($step);
		push @wrong, map { listen_to($_) } @all;
		answers($peer, 40);

		renew($_) for @all;
	}

	is_deeply(\@wrong, [], "$room: the answer, then the message");
	is($n, $callers * $rounds * ($room eq 'r' ? 1 : $room eq 'all' ? 3 : 2),
		'of each');
}

# while what is said to all takes many turns

my @crowd = $t->ws_many($others, '/ws');
is(scalar @crowd, $others, 'a crowd');

for my $room ('r', 'kept:r') {
	my @wrong;

	for my $round (1, 2) {
		my $step = "crowd$room$round";
		ask($_, $room, $step) for @all;
		move($_) for @all;

		my $peer = publish('all', 25);
		$hook->go($step);
		push @wrong, map { listen_to($_) } @all;
		answers($peer, 25);

		renew($_) for @all;
	}

	is_deeply(\@wrong, [], "$room, and a crowd: the answer, then the message");
}

my $heard = $crowd[-1]->recv_json;
is($heard->[0], 'connected', 'the crowd is there');
my @data = map { $crowd[-1]->recv_json->[1] } 1 .. 100;
is_deeply(\@data, [ (1 .. 25) x 4 ], 'and hears all, in order');

###############################################################################

# A session that polls, in all rooms.

sub new_caller {
	my $s = { eio => $t->eio };

	$s->{eio}->connect;

	for ('r', 'kept:r') {
		$s->{eio}->event('joinRoom', { group => $_, responseIndex => 1 });
		$s->{eio}->recv_event;
	}

	return $s;
}

# It asks, and hears the first chunk.

sub ask {
	my ($s, $room, $step) = @_;

	$s->{n} = ++$n;
	$s->{eio}->event('sync', { name => 'sync/t/s/v1', cb => 'c',
		receiver => $room, data => { step => $step, n => $n },
		responseIndex => $n });

	while (my $m = $s->{eio}->recv_event) {
		last if ref $m && $m->[0] eq "sync-progress-$n" && $m->[1]{n};
	}
}

# It goes on by a WebSocket.

sub move {
	my ($s) = @_;

	my $ws = $s->{ws} = $t->ws($s->{eio}->uri('websocket'));

	$ws->send_text('2probe');
	$ws->recv_text;
	$ws->send_text('5');
	$ws->send_text('42["getJoinedRooms",{"responseIndex":1000000}]');

	while (defined(my $text = $ws->recv_text)) {
		last if $text =~ /getJoinedRooms-1000000/;
	}
}

# What is wrong with what it hears, if anything.

sub listen_to {
	my ($s) = @_;
	my @got;

	while (defined(my $text = $s->{ws}->recv_text)) {
		my $m = decode_json($text =~ s/^42//r);

		push @got, 'chunk' if $m->[0] eq "sync-progress-$s->{n}";
		push @got, 'answer' if $m->[0] eq "sync-$s->{n}";
		next if $m->[0] ne 'sync' || $m->[1]{serverOutput}{n} != $s->{n};
		push @got, 'message';
		last;
	}

	return "@got" eq 'chunk answer message' ? () : "@got";
}

sub renew {
	my ($s) = @_;
	$s->{ws}->shut;
	%$s = %{new_caller()};
}

# A lot is published; the answers are read later.

sub publish {
	my ($room, $many) = @_;

	my $peer = Test::Sync::Peer->new(port => $t->port(0));

	for my $i (1 .. $many) {
		my $body = encode_json({ $room eq 'all' ? (all => JSON::PP::true)
			: (room => $room), event => 'n', data => $i });

		$peer->put("POST /control/publish HTTP/1.1\r\nHost: localhost\r\n"
			. "Content-Type: application/json\r\n"
			. 'Content-Length: ' . length($body) . "\r\n\r\n$body");
	}

	return $peer;
}

sub answers {
	my ($peer, $many) = @_;
	$peer->recv_response('POST') for 1 .. $many;
}
