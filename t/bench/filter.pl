#!/usr/bin/perl

# Copyright (C) sync for nginx

# A room of 1,024 members, each with a session of its own: CPU a delivery of a
# sync with a filter that nginx looks at, against the same without; and what the
# app is asked with the client hook, and how long that takes.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::Sync;
use Test::Sync::Bench;

my $members = 1024;

my $t = Test::Sync->new(workers => 1, timeout => 0);

$t->write_file('routes.json', <<'EOF');
{ "version": 1, "routes": {
    "sync/b/none/v1": {},
    "sync/b/path/v1": { "client": { "filter": [
        { "key": "location.pathName",
          "equals": "$sender.location.pathName" } ] } },
    "sync/b/many/v1": { "client": { "filter": [
        { "key": "location.pathName",
          "equals": "$sender.location.pathName" },
        { "key": "team", "equals": "$sender.team" },
        { "key": "role", "in": [ "reader", "writer" ] },
        { "key": "muted", "notEquals": true } ] } },
    "sync/b/asked/v1": { "client": true } } }
EOF

# an app that costs as little as it can: each call is of 64 members

my $answer = join ',', map { qq({"k":$_,"out":{"status":"success"}}) }
	0 .. 63;

$t->write_conf(<<'EOF' =~ s/%%ANSWER%%/$answer/r);
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

        sync_routes %%TESTDIR%%/routes.json;
        sync_session memory;
        sync_token query:t;
        sync_receiver any;
        sync_queue 64m;
        sync_hook server /hook;
        sync_hook client /client;

        location /ws { sync websocket; }
        location /sync/ { sync request; }
        location /control/ { sync control; }

        location /hook {
            internal;
            default_type application/json;
            return 200 '{"status":"success","asked":$request_body}';
        }

        location /client {
            internal;
            default_type application/json;
            return 200 '[%%ANSWER%%]';
        }

        location /status { sync status; }
    }
}
EOF

$t->run;

my ($worker) = $t->workers;

# what a session of an app may have

my $pad = join ',', map { qq("field$_":"value number $_") } 1 .. 12;

for my $i (0 .. $members - 1) {
	$t->http('POST', '/control/session/save', headers => [ 'Content-Type',
		'application/json' ], body => qq({"token":"t$i","session":{"id":"u$i",)
		. qq("name":"User $i",$pad,"team":7,"role":"reader","muted":false,)
		. '"roomCodes":["r0"],"location":{"pathName":"/board/7",'
		. '"searchParams":{}}}}');
}

filters();
stage();

$t->stop;

exit bench_end();


sub filters {
	my %ns;

	for (1 .. bench_rounds()) {
		for my $route (qw/ none path many /) {
			my $r = load($route, '--messages', 300);
			push @{$ns{$route}}, @{$r->{cpu_ns_parts}};
		}
	}

	bench_head('filters, CPU ns a delivery', 'none');
	bench_row("$members members, one test", bench_low(@{$ns{none}}),
		bench_low(@{$ns{path}}), 1.5);
	bench_row("$members members, four tests", bench_low(@{$ns{none}}),
		bench_low(@{$ns{many}}));
}

# The client hook: calls an event, and the time till members were told.

sub stage {
	my $n = 100;
	my $calls = hooks();
	my $r = load('asked', '--messages', $n, '--rate', 10);

	$calls = (hooks() - $calls) / ($n + 2) - 1;

	bench_head("the client hook, $members members");
	bench_plain('calls an event', $calls, 16);
	bench_plain('till a member is told, us, p50', $r->{lat_us_p50});
	bench_plain('till a member is told, us, p99', $r->{lat_us_p99});
}

sub hooks { return $t->http('GET', '/status')->json->{counters}{hooks} }

sub load {
	my ($route, @options) = @_;

	my $r = bench_fanload('--clients', $members, '--size', 64, '--warmup', 2,
		'--sub', bench_url($t, 'ws', '/ws?t=t%d'), '--wait', '["connected"',
		'--send', '["joinRoom",{"group":"r0","responseIndex":1}]',
		'--wait', '["joinRoom-1"',
		'--post', bench_url($t, 'http', "/sync/b/$route/v1?t=t0"),
		'--pub-header', 'Content-Type: application/json',
		'--pub-header', 'Origin: http://127.0.0.1:' . $t->port(0),
		'--body', '{"receiver":"r0","data":{"m":"%m"}}',
		'--pid', $worker, @options);

	die "deliveries were lost\n" if $r->{lost} || $r->{dup};

	return $r;
}
