#!/usr/bin/perl

# Copyright (C) sync for nginx

# Calls of Redis that sessions cost: of clients that connect, and of requests on
# sessions that are known; and how many can connect in a second.  What hosts tell one another by Redis (SUBSCRIBE,
# PUBLISH, SET of who left) is not counted.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/../lib";

use JSON::PP;
use Time::HiRes qw/ time /;

use Test::Sync;
use Test::Sync::Bench;
use Test::Sync::WS;

# 10,000 connects a minute, and 20,000 requests a second, are wanted

my ($tokens, $requests, $peers) = (2000, 100_000, 50);

my $t = Test::Sync->new(workers => 1, timeout => 0);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
    worker_connections 18000;
}

http {
    %%HTTP%%

    sync_zone zone=bench:64m;
    sync_redis redis://127.0.0.1:%%PORT_1%%;
    sync_routes routes.json;

    server {
        listen 127.0.0.1:%%PORT_0%% backlog=4096;

        sync_session redis key=s:$sync_token users=u:$sync_user;
        sync_token cookie:token;

        location /ws { sync websocket; }
        location /q { sync websocket; sync_token query:t; }
        location /off { sync websocket; sync_session off; }
        location /status { sync status; }
    }
}
EOF

$t->write_file('routes.json', encode_json({ version => 1, routes => {
	'sync/bench/echo/v1' => { auth => { login => JSON::PP::true },
		server => JSON::PP::false } } }));

my $redis = $t->redis(port => 1);

$t->run;

$t->wait_for(sub { $t->http('GET', '/status')->json->{redis}{tracked} }, 20)
	or die "no Redis\n";

sessions();
rates();

$t->stop;

exit bench_end();


sub sessions {
	my (@new, @known, @hits, @connects, @rates);

	for my $round (1 .. bench_rounds()) {
		$redis->command('SET', "s:$round-$_", '{"id":"u' . $_ . '"}',
			'EX', 7 * 24 * 3600)
			for 1 .. $tokens;

		push @new, calls($tokens, sub { connects($round); quiet() });
		push @known, calls($tokens, sub {
			push @connects, 60 * $tokens / taken(sub {
				connects($round)
			});
		});
		push @hits, calls($requests, sub {
			push @rates, $requests / taken(sub { requests($round) });
		});
	}

	bench_head('sessions, calls of Redis for 1000');
	bench_plain('connects, sessions not known', bench_low(@new), 2000);
	bench_plain('connects, sessions known', bench_low(@known), 0,
		sprintf '%d connects a minute', (sort { $b <=> $a } @connects)[0]);
	bench_plain('requests', bench_low(@hits), 0,
		sprintf '%d a second', (sort { $b <=> $a } @rates)[0]);
}

# All come at once.  What nginx and Redis take of their CPUs is what bounds it:
# a worker process, and the one thread of Redis.

sub rates {
	my $n = 10_000;
	my (%nginx, %redis, %rate);
	my $worker = ($t->workers)[0];

	for my $round (1 .. bench_rounds()) {
		$redis->command('EVAL', "for i = 0, $n do redis.call('SET',"
			. "'s:r$round-' .. i, '{\"id\":\"u' .. i .. '\"}', 'EX',"
			. '604800) end', 0);

		for ([ off => '/off' ], [ new => "/q?t=r$round-%d" ],
			[ known => "/q?t=r$round-%d" ])
		{
			my ($name, $uri) = @$_;
			my $before = bench_cpu($redis->pid);

			my $r = bench_fanload('--clients', $n, '--sources', 4,
				'--inflight', 1000, '--idle', 0.1, '--sub',
				bench_url($t, 'ws', $uri), '--wait', '["connected"',
				'--pid', $worker);

			push @{$nginx{$name}}, 1000 * $r->{setup_cpu_us_per_conn};
			push @{$redis{$name}}, (bench_cpu($redis->pid) - $before)
				* 1e9 / $n;
			push @{$rate{$name}}, $r->{conn_per_s};
		}
	}

	bench_head("$n connect at once, CPU ns each", 'no session');

	for my $name (qw/ new known /) {
		bench_row("session $name: nginx", bench_low(@{$nginx{off}}),
			bench_low(@{$nginx{$name}}), undef, sprintf '%d a second',
			(sort { $b <=> $a } @{$rate{$name}})[0]);
		bench_plain('  redis-server', bench_low(@{$redis{$name}}));
	}

	bench_plain('  of other things, redis-server',
		bench_low(@{$redis{off}}));
}

# Waits until nothing is said of sessions.

sub quiet {
	my $said = -1;

	while ($said != said()) {
		$said = said();
		sleep 1;
	}
}

# What is said of sessions for 1000 of n things that are done.

sub calls {
	my ($n, $sub) = @_;

	my $before = said();
	$sub->();

	return 1000 * (said() - $before) / $n;
}

sub said {
	my $stats = $redis->command('INFO', 'commandstats');
	my $n = 0;

	$n += $1 while $stats =~ /^cmdstat_(?:get|expire|pexpire|pttl|sadd|srem
		|smembers|eval|del):calls=(\d+)/gmx;

	# a host's heart beat is a script with a PEXPIRE, of who left with two EXPIRE

	$n -= 2 * $1 while $stats =~ /^cmdstat_zremrangebyscore:calls=(\d+)/gm;
	$n -= 3 * $1 while $stats =~ /^cmdstat_zrangebyscore:calls=(\d+)/gm;

	return $n;
}

sub taken {
	my ($sub) = @_;

	my $began = time;
	$sub->();

	return time - $began;
}

sub connects {
	my ($round) = @_;

	for my $i (1 .. $tokens / $peers) {
		my @ws = map { Test::Sync::WS->_open(port => $t->port(0),
			uri => '/ws', cookie => "token=$round-"
			. (($i - 1) * $peers + $_)) } 1 .. $peers;

		$_->_handshake for @ws;
		($_->recv_event('connected') // [])->[1]{userId}
			or die "no session\n" for @ws;
	}
}

# A hundred at a time, to nobody but the sender itself, who does not want it.

sub requests {
	my ($round) = @_;

	my @ws = map { $t->ws('/ws', cookie => "token=$round-$_") } 1 .. $peers;
	my ($asked, $done, $end) = (0, 0, time + 600);

	for my $i (1 .. $peers) {
		my $ws = $ws[$i - 1];
		$ws->recv_event('connected') or die "not connected\n";
		$ws->{hundred} = join '', map { $ws->frame(payload =>
			encode_json([ 'sync', { name => 'sync/bench/echo/v1',
			cb => 'bench/echo/v1', data => {}, responseIndex => 1,
			receiver => "$round-$i", ignoreSelf => JSON::PP::true,
			} ])) } 1 .. 100;
	}

	while ($done < $requests) {
		for my $ws (@ws) {
			if ($asked < $requests) {
				$ws->put($ws->{hundred});
				$asked += 100;
				$ws->{left} += 100;
			}
		}

		for my $ws (@ws) {
			while ($ws->{left}) {
				my $to = 0;

				while ($ws->{in} =~ /\["sync-1",\{"status":"(\w+)/g) {
					die "refused\n" if $1 ne 'success';
					$ws->{left}--;
					$done++;
					$to = pos $ws->{in};
				}

				substr $ws->{in}, 0, $to, '';

				$ws->{left} == 0 || $ws->fill($end)
					or die "no answer\n";
			}
		}
	}
}
