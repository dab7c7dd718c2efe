#!/usr/bin/perl

# Copyright (C) sync for nginx

# CPU a delivery, against the floor of the same machine and moment.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::Sync;
use Test::Sync::Bench;

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

        sync_queue 64m;

        location /ws { sync websocket; }
        location /control/ { sync control; }
    }
}
EOF

$t->run;

my ($worker) = $t->workers;

fanout();

$t->stop;

exit bench_end();


sub fanout {
	bench_head('fan-out, CPU ns a delivery', 'floor');

	for my $burst (1, 20) {
		my $port = $t->port(2 + $burst);
		my $floor = $t->spawn([ bench_build('floor'), $burst > 1 ? '-c' : (),
			$port ], bench_build('floor.log'));

		$t->wait_for(sub {
			return eval { Test::Sync::Peer->new(port => $port) };
		}) or die "floor did not start\n";

		for my $members (1000, 10000) {
			for my $size (64, 1024) {
				fanout_case($burst, $port, $floor, $members, $size);
			}
		}

		kill 'TERM', $floor;
		waitpid $floor, 0;
	}
}

sub fanout_case {
	my ($burst, $port, $floor, $members, $size) = @_;

	# in ten parts of some bursts each

	my $messages = 300_000 * ($burst > 1 ? 5 : 1) / $members;
	$messages = 20 * $burst if $messages < 20 * $burst;

	my @common = ('--clients', $members, '--size', $size, '--burst', $burst,
		'--messages', $messages, '--warmup', 2 * $burst,
		'--sources', 4);
	my (@floor, @sync, $other);

	for (1 .. bench_rounds()) {
		my $f = bench_fanload(@common, '--sub', "ws://127.0.0.1:$port/",
			'--post', "http://127.0.0.1:$port/", '--pid', $floor);

		my $s = bench_fanload(@common, bench_subscribe($t),
			'--post', bench_url($t, 'http', '/control/publish'),
			'--pub-header', 'Content-Type: application/json',
			'--body', '{"room":"r%r","event":"m","data":"%m"}',
			'--pid', $worker);

		push @floor, @{$f->{cpu_ns_parts}};
		push @sync, @{$s->{cpu_ns_parts}};

		for my $r ($f, $s) {
			die "deliveries were lost\n" if $r->{lost} || $r->{dup}
				|| $r->{ooo} || $r->{misrouted};
			$other = 1 if $r->{other_cpu_s} > $r->{server_cpu_s} / 10;
		}
	}

	my ($floor_ns, $sync_ns) = (bench_low(@floor), bench_low(@sync));

	bench_row(
		sprintf('%d members, %d B, %d a turn', $members, $size,
			$burst),
		$floor_ns, $sync_ns, $burst > 1 ? 1.25 : 1.15,
		$other ? 'the machine was busy' : '');
}
