#!/usr/bin/perl

# Copyright (C) sync for nginx

# Links to Redis: not there at first, a wrong password, killed, silent, slow;
# what is told of it, and that nothing is left when nginx ends.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

###############################################################################

my $t = Test::Sync->new->plan(23);
my $n = $t->worker_processes;

my $redis = $t->redis(port => 1, password => 'p@ss');
$redis->stop;

configure(':p%40ss@');
$t->run;

# not there when nginx starts: that is no error

is($t->http('GET', '/status')->status, 200, 'nginx runs without');
my $s = status();
is($s->{connected}, 0, 'not connected');
is($s->{expected}, $n, 'one link a worker');
ok($s->{degraded}, 'degraded');

$redis->start;
ok(linked(), 'it comes');
ok(!status()->{degraded}, 'not degraded');

is(scalar(@{[ $redis->clients(qr/^sync-commands-\d+$/) ]}), $n,
	'a command link of each worker');
is(scalar(@{[ $redis->clients(qr/^sync-subscriber-\d+$/) ]}), 1,
	'one subscriber');
is(scalar(grep { $_->{db} != 3 } $redis->clients), 0, 'in their database');

# a link that is killed comes again

my $again = count('redisReconnects');
$redis->command('CLIENT', 'KILL', 'ID', $_->{id}) for $redis->clients;
ok($t->wait_for(sub { count('redisReconnects') >= $again + $n + 1 }, 15),
	'all of them come again');
ok(linked(), 'connected');
is(publish(), 200, 'and used');

# silence: the process is there, and the sockets are open

$redis->freeze;
is(publish(), 200, 'a publish does not hang');
ok($t->wait_for(sub { count('redisTimeouts') > 0 }, 15), 'a time limit');
ok($t->wait_for(sub { status()->{connected} == 0 }, 20),
	'the links are given up');
$redis->thaw;
ok(linked(), 'and come again');

# slow answers: late, but in time

$redis->command('CLIENT', 'PAUSE', 150, 'ALL');
my $late = count('redisTimeouts');
is(publish(), 200, 'a slow answer');
is(count('redisTimeouts'), $late, 'is no failure');

# a worker that dies takes its links with it

$t->kill_worker(0);
ok($t->wait_for(sub {
	return $redis->clients(qr/^sync-commands-/) == $n
		&& $redis->clients(qr/^sync-subscriber-/) == 1;
}, 15), 'links of the one that replaces it');

# a reload: the new ones have theirs, the old ones let go

configure(':wrong@');
$t->reload;
ok($t->wait_for(sub { !$t->leaving }, 20), 'old workers end');
ok($t->wait_log(qr/redis 127.0.0.1:\d+\/3: WRONGPASS/), 'a wrong password');
ok($t->wait_for(sub { status()->{connected} == 0 }, 10), 'is no link');

unlike(join("\n", $t->log_lines), qr/p\@ss|wrong\@/, 'no password in the log');

$t->quit;

###############################################################################

sub configure {
	my ($auth) = @_;
	my $port = $redis->port;

	$t->write_conf(<<"EOF");
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone  zone=sync:2m;
    sync_redis redis://${auth}127.0.0.1:$port/3 prefix=a timeout=500ms
               connect_timeout=500ms;
    sync_drain 0;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /control/ { sync control; }
        location /status   { sync status; }
    }
}
EOF
}

sub linked {
	return $t->wait_for(sub {
		my $r = status();
		return $r->{connected} == $r->{expected} && $r->{subscribed};
	}, 20);
}

sub publish {
	return $t->http('POST', '/control/publish',
		json => { room => 'r', data => 1 })->status;
}

sub count {
	my ($name) = @_;
	return $t->http('GET', '/status')->json->{counters}{$name};
}

sub status { return $t->http('GET', '/status')->json->{redis} }

###############################################################################
