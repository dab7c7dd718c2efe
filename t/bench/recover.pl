#!/usr/bin/perl

# Copyright (C) sync for nginx

# What a recoverable room costs: a publish, on one host and through Redis; many
# clients that come back at once; memory of a message.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::Sync;
use Test::Sync::Bench;
use Test::Sync::Cluster qw/ linked member post publish status /;

my $MESSAGES = 20_000;
my $CLIENTS = 10_000;
my $MISSED = 20;

my $alone = Test::Sync->new(workers => 1, timeout => 0);
my $shared = Test::Sync->new(workers => 1, timeout => 0);
my $redis = $alone->redis(port => 1);

for my $t ($alone, $shared) {
	my $conf = $t == $alone ? ''
		: 'sync_redis redis://127.0.0.1:' . $redis->port . ';';

	$t->write_conf(<<"EOF");
%%GLOBALS%%

events {
    worker_connections 18000;
}

http {
    %%HTTP%%

    keepalive_requests 100000000;

    sync_zone zone=bench:256m;
    sync_room "doc:*" recoverable history=100000;
    sync_drain 1s;
    $conf

    server {
        listen 127.0.0.1:%%PORT_0%% backlog=4096;

        sync_queue 64m;

        location /ws       { sync websocket; }
        location /control/ { sync control; }
        location /status   { sync status; }
    }
}
EOF

	$t->run;
}

linked($shared) or die "no link to Redis\n";

my $floor = publishes();
together($floor);
resumes();
bytes();

$_->stop for $alone, $shared;

exit bench_end();


# CPU of the processes for each message, to one client, with so many POSTs by
# one write.

sub publishes {
	bench_head('a publish, CPU ns', 'floor');

	my $port = $alone->port(2);
	my $floor = $alone->spawn([ bench_build('floor'), '-c', $port ],
		bench_build('floor.log'));

	$alone->wait_for(sub {
		return eval { Test::Sync::Peer->new(port => $port) };
	}) or die "floor did not start\n";

	my %low;

	for my $burst (1, 20) {
		my %cpu;

		for (1 .. bench_rounds()) {
			load(\%cpu, $burst, { floor => $floor },
				'--sub', "ws://127.0.0.1:$port/",
				'--post', "http://127.0.0.1:$port/");
			load(\%cpu, $burst, { volatile => worker($alone) },
				room($alone, 'chat'));
			load(\%cpu, $burst, { recoverable => worker($alone) },
				room($alone, 'doc:1'));
			load(\%cpu, $burst, { nginx => worker($shared),
				redis => $redis->pid }, room($shared, 'doc:1'));
		}

		%low = map { $_ => bench_low(@{$cpu{$_}}) } keys %cpu;

		bench_row("volatile, $burst at once", $low{floor},
			$low{volatile});
		bench_row("recoverable, $burst at once", $low{floor},
			$low{recoverable});
		bench_row('  through Redis: nginx', $low{floor}, $low{nginx});
		bench_row('  through Redis: redis-server', $low{floor},
			$low{redis});
	}

	kill 'TERM', $floor;
	waitpid $floor, 0;

	return $low{floor};
}

# The same number at once through Redis, by other ways than one connection,
# whose requests nginx answers one after another.

sub together {
	my ($floor) = @_;

	my $n = 20;
	my $ws = member($shared, 'doc:1');
	my $http = sub {
		my ($body) = @_;
		return "POST /control/publish HTTP/1.1\r\nHost: localhost\r\n"
			. "Content-Type: application/json\r\nContent-Length: "
			. length($body) . "\r\n\r\n$body";
	};
	my $message = '{"room":"doc:1","event":"m","data":"' . 'x' x 64 . '"}';
	my $request = '["sync",{"name":"sync/a/b/v1","cb":"' . 'x' x 64
		. '","receiver":"doc:1","data":{},"responseIndex":1}]';
	my @peers = map { Test::Sync::Peer->new(port => $shared->port(0)) }
		1 .. $n;

	my @ways = ([ 'connections' => sub {
		$_->put($http->($message)) for @peers;
		$_->recv_response('POST')->status == 200 or die "not published\n"
			for @peers;
	} ], [ 'messages of a publish' => sub {
		$peers[0]->put($http->('{"messages":['
			. join(',', ($message) x $n) . ']}'));
		$peers[0]->recv_response('POST')->status == 200
			or die "not published\n";
	} ], [ 'requests by WebSocket' => sub {
		$ws->put(join '', map { $ws->frame(payload => $request) } 1 .. $n);
	} ]);

	bench_head("$n through Redis, CPU ns each", 'floor');

	for my $way (@ways) {
		my ($name, $say) = @$way;
		my (@nginx, @redis);

		for (1 .. bench_rounds()) {
			my %pids = (nginx => worker($shared), redis => $redis->pid);
			my %before = map { $_ => bench_cpu($pids{$_}) } keys %pids;

			for (1 .. $MESSAGES / $n / 4) {
				$say->();

				for (my $heard = 0; $heard < $n; ) {
					my $m = $ws->recv_json // die "lost\n";
					$heard++ if $m->[0] =~ /^(m|sync)$/;
				}
			}

			my %cpu = map { $_ => (bench_cpu($pids{$_}) - $before{$_})
				* 1e9 / ($MESSAGES / 4) } keys %pids;

			push @nginx, $cpu{nginx};
			push @redis, $cpu{redis};
		}

		bench_row("$name: nginx", $floor, bench_low(@nginx));
		bench_row('  redis-server', $floor, bench_low(@redis));
	}
}

sub load {
	my ($cpu, $burst, $pids, @options) = @_;

	my %before = map { $_ => bench_cpu($pids->{$_}) } keys %$pids;

	my $r = bench_fanload('--clients', 1, '--size', 64, '--burst', $burst,
		'--messages', $MESSAGES, '--warmup', 0, @options);

	die "deliveries were lost\n" if $r->{lost} || $r->{dup} || $r->{ooo};

	push @{$cpu->{$_}}, (bench_cpu($pids->{$_}) - $before{$_}) * 1e9
		/ $MESSAGES for keys %$pids;
}

sub room {
	my ($t, $room) = @_;

	return ('--sub', bench_url($t, 'ws', '/ws'), joined($room),
		'--post', bench_url($t, 'http', '/control/publish'),
		'--pub-header', 'Content-Type: application/json',
		'--body', qq({"room":"$room","event":"m","data":"%m"}));
}

# All come at once and join; then the same with a position each, and what each
# missed: a client is ready when it has heard all of it, in order.

sub resumes {
	my @said = map { publish($alone, 'doc:back', data => "$_" . 'x' x 64)
		->{position} } 0 .. $MISSED;
	my @missed = map { ('--wait', qq(["x","$_) . 'x') } 1 .. $MISSED;

	my (@join, @resume, @seconds);

	for (1 .. bench_rounds()) {
		push @join, come(joined('doc:back'))->{setup_cpu_us_per_conn};

		my $r = come(joined('doc:back', $said[0]), @missed);

		push @resume, $r->{setup_cpu_us_per_conn};
		push @seconds, $CLIENTS / $r->{conn_per_s};
	}

	my $lost = status($alone)->{counters};

	die "some were not recovered\n" if $lost->{lost} || $lost->{gaps};

	bench_head("$CLIENTS come at once, CPU us a client", 'join');
	bench_row("back, having missed $MISSED", bench_low(@join),
		bench_low(@resume), undef,
		sprintf 'all there after %.1f s', bench_low(@seconds));
}

sub come {
	return bench_fanload('--clients', $CLIENTS, '--sources', 4,
		'--inflight', 1000, '--idle', 1, '--sub',
		bench_url($alone, 'ws', '/ws'), @_, '--pid', worker($alone));
}

# What a log takes, beyond what clients are sent.

sub bytes {
	bench_head('memory, bytes a message');

	for my $size (16, 64, 1024) {
		my $room = "doc:bytes:$size";
		my $data = 'x' x $size;
		my $n = 10_000;

		publish($alone, $room, data => $data);

		my $before = status($alone)->{zone}{unused};

		posts($n, qq({"room":"$room","event":"x","data":"$data"}));

		my $taken = ($before - status($alone)->{zone}{unused}) / $n;

		bench_plain("$size bytes of data", $taken,
			length(qq(["x","$data"])) + 96);
	}
}

sub posts {
	my ($n, $body) = @_;

	my $peer = Test::Sync::Peer->new(port => $alone->port(0));
	my $request = "POST /control/publish HTTP/1.1\r\nHost: localhost\r\n"
		. "Content-Type: application/json\r\nContent-Length: "
		. length($body) . "\r\n\r\n$body";

	for (1 .. $n) {
		$peer->put($request);

		my $r = $peer->recv_response('POST');

		die "not published\n" if $r->status != 200;
	}
}

sub joined {
	my ($room, $pos) = @_;

	my $more = $pos ? qq(,"pos":"$pos") : '';

	return ('--wait', '["connected"', '--send',
		qq(["joinRoom",{"group":"$room"$more,"responseIndex":1}]),
		'--wait', '["joinRoom-1"');
}

sub worker { return ($_[0]->workers)[0] }
