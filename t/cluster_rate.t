#!/usr/bin/perl

# Copyright (C) sync for nginx

# Rates over two hosts on one Redis: what one host lets through counts on the
# other; how much is let through beyond; what becomes of it when Redis is away,
# or forgets.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Time::HiRes qw/ time /;

###############################################################################

my $a = Test::Sync->new->plan(33);
my $b = Test::Sync->new;
my $redis = $a->redis(port => 1);

for my $t ($a, $b) {
	my $port = $redis->port;

	$t->write_conf(<<"EOF");
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone   zone=sync:2m;
    sync_redis  redis://127.0.0.1:$port/0 prefix=app timeout=500ms;
    sync_routes routes.json;

    server {
        listen 127.0.0.1:%%PORT_0%% reuseport;

        sync_receiver any;

        location /ws     { sync websocket; }
        location /quick  { sync websocket; sync_rate route=5r/s; }
        location /status { sync status; }
    }
}
EOF

	my $routes = join ', ', map { qq("sync/a/$_/v1": { "rateLimit": 20 }) }
		qw/ one two burst away flush bad /;

	$t->write_file('routes.json', qq({ "version": 1, "routes": { $routes,
		"sync/a/free/v1": { } } }));

	$t->run;
}

ok(up($_), 'links are up') for $a, $b;

# what one host has let through counts on the other, from its first word on

my $wa = client($a);
my $wb = client($b);

is(told($wa, 'one', 15), 15, 'here: below the limit');
is(told($wb, 'one', 1), 1, 'there: the first one');
is(told($wb, 'one', 10), 4, 'there: up to the limit of both');

my $left = $wb->{answer}{errorParams}[0]{value};
ok($left > 0 && $left <= 60, 'there: seconds');

# here nothing is known of it before the next one is told

is(told($wa, 'one', 1), 1, 'here: not known yet');
is(told($wa, 'one', 3), 0, 'here: known');

# what it looks like in Redis

my @keys = grep { /:l:/ } @{$redis->command('KEYS', '*')};
is(scalar @keys, 1, 'one key');
like($keys[0], qr/^app:l:[0-9a-f]{40}$/, 'of a digest');
is($redis->command('GET', $keys[0]), 30, 'all that was asked for');
my $ttl = $redis->command('PTTL', $keys[0]);
ok($ttl > 0 && $ttl <= 60000, 'lives as long as the window');

# both at once: no more than what is asked before the other's word is heard

my $total = 0;

for my $round (1 .. 8) {
	my @told = map { counters($_)->{rateTold} + 3 } $a, $b;

	$total += passed($wa, 'burst', 3) + passed($wb, 'burst', 3);

	wait_told($a, $told[0]);
	wait_told($b, $told[1]);
}

cmp_ok($total, '>=', 20, 'both at once: the limit');
cmp_ok($total, '<=', 20 + 6, 'both at once: and what is on its way');

# a worker that dies; workers share what they know

$b->expected(qr/signal 9/);
$b->kill_worker(0);
ok(up($b), 'a new worker');
$wb = client($b);
is(passed($wb, 'burst', 3), 0, 'a new worker knows');

# windows end on both

$wa = client($a, '/quick');
$wb = client($b, '/quick');

for my $ws ($wa, $wb) {
	ok($a->wait_for(sub { passed($ws, 'free', 10) < 10 }, 10),
		'a second: exceeded');
	ok($a->wait_for(sub { passed($ws, 'free', 1) == 1 }, 10),
		'a second: again');
}

# Redis forgets: each host goes on with what it knows

told($wa, 'flush', 12);
told($wb, 'flush', 1);
$redis->command('FLUSHALL');
is(told($wb, 'flush', 20), 7, 'flushed: what was known still is');
ok(told($wa, 'flush', 1), 'flushed: and goes on');

# Redis refuses

$redis->command('FLUSHALL');
told($wa, 'bad', 1);
@keys = @{$redis->command('KEYS', '*')};
$redis->command('SET', $_, 'x') for @keys;
is(passed($wa, 'bad', 25), 19, 'refused: each for itself');
ok($a->wait_log(qr/redis did not count for sync_rate/), 'and logged');

# Redis is away: nobody waits, each counts for itself

$redis->kill;
ok($a->wait_for(sub { !status($a)->{redis}{connected} }), 'away');
my $untold = counters($a)->{rateUntold};
my $begun = time();
is(passed($wa, 'away', 25), 20, 'away: each for itself');
cmp_ok(time() - $begun, '<', 10 * $Test::Sync::SLOW, 'away: at once');
ok($a->wait_for(sub { counters($a)->{rateUntold} >= $untold + 25 }),
	'away: counted');

# it is back: what was counted meanwhile is told with the next one

$redis->start;
ok(up($_), 'back') for $a, $b;
is(told($wa, 'away', 1, 26), 0, 'back: all of it is told');
is(told($wb, 'away', 1), 1, 'back: not known there');
is(told($wb, 'away', 1), 0, 'back: known there');

###############################################################################

sub up {
	my ($t) = @_;

	return $t->wait_for(sub {
		my $r = status($t)->{redis};
		return $r->{connected} == $r->{expected};
	}, 15);
}

sub client {
	my ($t, $uri) = @_;

	my $ws = $t->ws($uri // '/ws');
	$ws->{host} = $t;

	$ws->recv_event('connected');
	$ws->send_json([ 'joinRoom', { group => 'r', responseIndex => 1 } ]);
	$ws->recv_event('joinRoom-1');

	return $ws;
}

# How many of n were let through.

sub passed {
	my ($ws, $name, $n) = @_;

	my $passed = 0;

	for my $i (1 .. $n) {
		$ws->send_json([ 'sync', { name => "a/$name/v1", cb => 'c',
			data => {}, receiver => 'r', responseIndex => $i } ]);
		$ws->{answer} = $ws->recv_event("sync-$i")->[1];
		$passed += $ws->{answer}{status} eq 'success';
	}

	return $passed;
}

# The same; returns when other hosts can know of them, or of so many.

sub told {
	my ($ws, $name, $n, $told) = @_;

	my $before = counters($ws->{host})->{rateTold};
	my $passed = passed($ws, $name, $n);

	wait_told($ws->{host}, $before + ($told // $n));

	return $passed;
}

sub wait_told {
	my ($t, $n) = @_;

	$t->wait_for(sub { counters($t)->{rateTold} == $n })
		or die "not told: " . counters($t)->{rateTold} . " of $n\n";
}

sub counters { return status($_[0])->{counters} }
sub status { return $_[0]->http('GET', '/status')->json }

###############################################################################
