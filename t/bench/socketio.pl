#!/usr/bin/perl

# Copyright (C) sync for nginx

# Clients of Socket.IO: what a message to one that polls costs, and what those
# take that sleep, by polling and by WebSocket.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::Sync;
use Test::Sync::Bench;
use Test::Sync::EIO;
use Test::Sync::WS;

my ($sleepers, $pollers, $messages) = (2000, 100, 60);

my $t = Test::Sync->new(workers => 1, timeout => 0);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
    worker_connections 18000;
}

http {
    %%HTTP%%

    keepalive_requests 100000000;

    sync_zone zone=bench:64m;

    server {
        listen 127.0.0.1:%%PORT_0%% backlog=4096;

        sync_ping 600s 600s;

        location /ws         { sync websocket; }
        location /socket.io/ { sync socketio; }
        location /control/   { sync control; }
        location /status     { sync status; }

        location /plain {
            default_type text/plain;
            return 200 '42["m","0123456789012345678901234567890123456789012345678901234567890123"]';
        }
    }
}
EOF

$t->run;

my $worker;

messages();
memory();

$t->stop;

exit bench_end();


# Against a GET that is answered with the same at once, and against send().

sub messages {
	my (@floor, @plain, @polled);

	anew();

	my $port = $t->port(5);
	my $floor = $t->spawn([ bench_build('floor'), $port ],
		bench_build('floor.log'));

	$t->wait_for(sub {
		return eval { Test::Sync::Peer->new(port => $port) };
	}) or die "floor did not start\n";

	my @sessions = map { session() } 1 .. $pollers;
	my @peers = map { Test::Sync::Peer->new(port => $t->port(0)) } @sessions;

	for (1 .. bench_rounds()) {
		push @floor, @{bench_fanload('--clients', $pollers, '--size', 64,
			'--messages', 3000, '--warmup', 2,
			'--sub', "ws://127.0.0.1:$port/",
			'--post', "http://127.0.0.1:$port/", '--pid', $floor)
			->{cpu_ns_parts}};

		push @plain, cpu(sub {
			get($_, '/plain') for @peers;
			answered($_) for @peers;
		});

		# what publishing costs is not the polls'

		push @polled, cpu(sub {
			get($peers[$_], $sessions[$_]->uri) for 0 .. $#peers;
			publish('m');
			answered($_) for @peers;
		}) - cpu(sub { publish('nobody') });
	}

	kill 'TERM', $floor;
	waitpid $floor, 0;

	bench_head('a message to who polls, CPU ns', 'GET');
	bench_row("$pollers clients, 64 B", bench_low(@plain), bench_low(@polled),
		3);

	bench_head('the same', 'floor');
	bench_row("$pollers clients, 64 B", bench_low(@floor), bench_low(@polled));
}

# Of the worker, a client and message.

sub cpu {
	my ($sub) = @_;

	return bench_cpu_of($worker, $pollers * $messages,
		sub { $sub->() for 1 .. $messages });
}

sub get {
	my ($peer, $uri) = @_;
	$peer->put("GET $uri HTTP/1.1\r\nHost: localhost\r\n\r\n");
}

sub answered {
	my ($peer) = @_;

	my $r = $peer->recv_response('GET');

	die "no message\n" if !$r || $r->body !~ /^42\["m"/;
}

sub publish {
	my ($room) = @_;

	$t->http('POST', '/control/publish', json => { room => $room,
		event => 'm', data => '0123456789' x 6 . '0123' });
}

sub session {
	my $s = $t->eio('/socket.io/');

	$s->connect or die "not connected\n";
	$s->event('joinRoom', { group => 'm', responseIndex => 1 });
	$s->recv =~ /joinRoom-1/ or die "not in its room\n";

	return $s;
}


# Each in a worker that has served nobody yet; in a room, as all are.

sub memory {
	my (%bytes, %zone);

	for (1 .. bench_rounds()) {
		for my $kind (qw/ plain socketio upgraded polls between /) {
			anew();

			my $zone = zone();
			my $before = anon();
			my @clients = map { sleeper($kind) } 1 .. $sleepers;

			sleep 3;

			push @{$bytes{$kind}}, (anon() - $before) / $sleepers;
			push @{$zone{$kind}}, ($zone - zone()) / $sleepers;
		}
	}

	my %low = map { $_ => bench_low(@{$bytes{$_}}) } keys %bytes;

	bench_head('memory of a worker, bytes', 'WebSocket');
	bench_row('Socket.IO by WebSocket', @low{qw/ plain socketio /}, 1.1);
	bench_row('Socket.IO, upgraded', @low{qw/ plain upgraded /}, 1.1);
	bench_row('polling, a poll waits', @low{qw/ plain polls /});
	bench_row('polling, between polls', @low{qw/ plain between /});

	%low = map { $_ => bench_low(@{$zone{$_}}) } keys %zone;

	bench_head('memory in the zone, bytes', 'WebSocket');
	bench_row('Socket.IO by WebSocket', @low{qw/ plain socketio /}, 1.1);
	bench_row('Socket.IO, upgraded', @low{qw/ plain upgraded /}, 1.1);
	bench_row('polling, a poll waits', @low{qw/ plain polls /});
}

sub sleeper {
	my ($kind) = @_;

	if ($kind eq 'plain') {
		my $ws = $t->ws('/ws');

		$ws->recv_text;
		$ws->send_text('["joinRoom",{"group":"m","responseIndex":1}]');
		$ws->recv_text;

		return $ws;
	}

	if ($kind eq 'socketio') {
		my $ws = $t->ws('/socket.io/?EIO=4&transport=websocket');

		$ws->recv_text;
		$ws->send_text('40');
		$ws->recv_text;
		$ws->send_text('42["joinRoom",{"group":"m","responseIndex":1}]');
		$ws->recv_text;

		return $ws;
	}

	my $s = session();

	return $s->poll if $kind eq 'polls';
	return $s if $kind eq 'between';

	my $ws = $t->ws($s->uri('websocket'));

	$ws->send_text('2probe');
	$ws->recv_text;
	$ws->send_text('5');

	# it has come when it is heard

	$ws->send_text('42["getJoinedRooms",{"responseIndex":1}]');
	$ws->recv_text;

	return $ws;
}

sub anew {
	$t->stop->run;
	($worker) = $t->workers;
	sleep 1;
}

sub anon {
	open my $f, '<', "/proc/$worker/smaps_rollup" or die "smaps_rollup: $!\n";
	my ($kb) = map { /^Pss_Anon:\s+(\d+)/ ? $1 : () } <$f>;
	close $f;

	return $kb * 1024;
}

sub zone { return $t->http('GET', '/status')->json->{zone}{unused} }
