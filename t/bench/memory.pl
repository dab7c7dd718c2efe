#!/usr/bin/perl

# Copyright (C) sync for nginx

# Memory of clients that sleep.

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

memory();

$t->stop;

exit bench_end();


sub memory {
	my (@alone, @member);

	for (1 .. bench_rounds()) {
		push @alone, idle('--sub', bench_url($t, 'ws', '/ws'),
			'--wait', '["connected"');
		push @member, idle(bench_subscribe($t));
	}

	bench_head('memory, bytes');
	bench_plain('a sleeping WebSocket', bench_low(@alone), 256);
	bench_plain('a membership', bench_low(@member) - bench_low(@alone), 64);
}

# In a worker that has served nobody yet, and that is done with its start.

sub idle {
	$t->stop->run;
	($worker) = $t->workers;
	sleep 1;

	return bench_fanload('--clients', 10000, '--idle', 3, '--sources', 4, @_,
		'--pid', $worker)->{idle_anon_bytes_per_conn};
}
