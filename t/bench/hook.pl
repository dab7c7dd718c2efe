#!/usr/bin/perl

# Copyright (C) sync for nginx

# CPU a hook call, against the same POST by proxy_pass.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/../lib";

use Test::Sync;
use Test::Sync::Bench;

bench_single();

my $t = Test::Sync->new(workers => 1, timeout => 0);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
    worker_connections 18000;
}

http {
    %%HTTP%%

    keepalive_requests 100000000;
    client_body_buffer_size 64k;

    sync_zone zone=bench:64m;
    sync_room "asked:*" join=hook;

    upstream app {
        server 127.0.0.1:%%PORT_1%%;
        keepalive 128;
        keepalive_requests 100000000;
    }

    server {
        listen 127.0.0.1:%%PORT_0%% backlog=4096;

        sync_hook server /hook;
        sync_hook join   /hook;
        sync_hook leave  /hook;

        location /ws { sync websocket; }
        location /control/ { sync control; }

        location /hook {
            internal;
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }

        location /alone {
            return 200 '{"status":"success"}';
        }

        location /app {
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
EOF

$t->hook(port => 1, quiet => 1, answer => sub {
	return { json => { status => 'success', echo => 'x' x 64 } };
});

$t->run;

my ($worker) = $t->workers;

hook();

$t->stop;

exit bench_end();


# The same POST to the same app, 64 at a time: by proxy_pass; by a hook whose
# answer goes to one client in one message (joinRoom and leaveRoom); and by a
# whole sync, which tells its caller how to cancel it, calls its hook,
# acknowledges, and is heard by a room of one.

sub hook {
	my $n = 20_480;
	my (@alone, @proxy, @open, @hook, @sync);

	for (1 .. bench_rounds()) {
		push @alone, bench_cpu_of($worker, $n, sub { posts('/alone', @_) });
		push @proxy, bench_cpu_of($worker, $n, sub { posts('/app', @_) });
		push @open, bench_cpu_of($worker, $n, sub { joins('open', @_) });
		push @hook, bench_cpu_of($worker, $n, sub { joins('asked', @_) });
		push @sync, bench_cpu_of($worker, $n, \&sync_calls);
	}

	bench_head('hooks, CPU ns a call', 'proxy');
	bench_row('without an app', bench_low(@alone), bench_low(@open));
	bench_row('a hook call', bench_low(@proxy), bench_low(@hook), 1.25);
	bench_row('a sync through its hook', bench_low(@proxy), bench_low(@sync));
}

sub posts {
	my ($path, $n) = @_;

	my $body = '{"data":{"text":"' . 'x' x 64 . '"}}';
	my $request = "POST $path HTTP/1.1\r\nHost: localhost\r\n"
		. "Content-Type: application/json\r\nContent-Length: "
		. length($body) . "\r\n\r\n$body";

	my @peers = map { Test::Sync::Peer->new(port => $t->port(0)) } 1 .. 64;
	my ($asked, $done) = (0, 0);

	$_->put($request) for @peers;
	$asked = @peers;

	while ($done < $n) {
		for my $p (@peers) {
			$p->recv_response('POST') or die "no response\n";
			last if ++$done == $n;
			next if $asked == $n;
			$p->put($request);
			$asked++;
		}
	}
}

sub joins {
	my ($rule, $n) = @_;

	my @ws = $t->ws_many(64, '/ws');
	my ($asked, $done) = (0, 0);

	my $ask = sub {
		my $op = $_[0]{joined}++ % 2 ? 'leaveRoom' : 'joinRoom';
		$_[0]->send_text(qq(["$op",{"group":"$rule:bench",)
			. '"responseIndex":' . ++$asked . '}]');
	};

	# in turn, as posts() goes through its connections

	$ask->($_) for @ws;

	while ($done < $n) {
		for my $ws (@ws) {
			my $text;

			do {
				$text = $ws->recv_text or die "no answer\n";
			} while ($text !~ /^\["\w+Room-\d+",(.{0,40})/);

			die "a hook failed: $text\n" unless $1 =~ /"rooms"/;
			last if ++$done == $n;
			$ask->($ws) if $asked < $n;
		}
	}
}

sub sync_calls {
	my ($n) = @_;

	my @ws = $t->ws_many(64, '/ws');
	my ($asked, $done) = (0, 0);

	# nobody else is in the room: the price is that of the hook

	my $ask = sub {
		$asked++;
		$_[0]->send_text('["sync",{"name":"sync/bench/echo/v1",'
			. '"cb":"bench/echo/v1","receiver":"' . $_[0]->sock->fileno
			. '","responseIndex":' . $asked . ',"ignoreSelf":true,'
			. '"data":{"text":"' . 'x' x 64 . '"}}]');
	};

	for my $ws (@ws) {
		$ws->send_json([ 'joinRoom',
			{ group => $ws->sock->fileno . '', responseIndex => 1 } ]);
		$ws->recv_event('joinRoom-1') or die "no answer\n";
	}

	$ask->($_) for @ws;

	while ($done < $n) {
		for my $ws (@ws) {
			my $text;

			do {
				$text = $ws->recv_text or die "no answer\n";
			} while ($text !~ /^\["sync-\d+",(.{0,40})/);

			die "a sync failed: $text\n" unless $1 =~ /"success"/;
			last if ++$done == $n;
			$ask->($ws) if $asked < $n;
		}
	}
}
