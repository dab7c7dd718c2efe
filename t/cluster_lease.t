#!/usr/bin/perl

# Copyright (C) sync for nginx

# What hosts know of one another: who there is, how many members rooms have
# there; until a lease lapses, or Redis forgets.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Test::Sync::Cluster;

###############################################################################

my $a = Test::Sync->new->plan(28);
my ($b, $c) = map { Test::Sync->new } 1 .. 2;
my $redis = $a->redis(port => 1);

for my $t ($a, $b, $c) {
	my $port = $redis->port;

	$t->write_conf(<<"EOF");
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone  zone=sync:8m;
    sync_redis redis://127.0.0.1:$port prefix=app timeout=2s;
    sync_room  "doc:*" recoverable history=150 ttl=1h;
    sync_drain 1s;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_session redis key=app-session:\$sync_token;
        sync_token query:token;

        location /token    { sync websocket; }
        location /ws       { sync websocket; sync_session off; }
        location /control/ { sync control; }
        location /status   { sync status; }
    }
}
EOF

	$t->run;
}

ok(linked($_), 'links') for $a, $b, $c;

###############################################################################

# hosts

ok($a->wait_for(sub { hosts($_) == 3 or return for $a, $b, $c; 1 }),
	'each knows of all');

my @hosts = @{status($b)->{redis}{hosts}};
is(scalar(grep { $_->{self} } @hosts), 1, 'which of them it is');
like($hosts[0]{name}, qr/^[\w.-]+$/, 'their names');
like($a->http('GET', '/status?format=prometheus')->body,
	qr/^sync_redis_hosts 3$/m, 'for Prometheus');

# receivers

my @ws = map { my $t = $_; map { scalar member($t, 'doc:1') } 1 .. 2 }
	$a, $b, $c;
my @there = map { scalar member($_, 'chat') } $b, $b, $c;

ok(receivers($a, 'doc:1', 6), 'of a room that keeps a history');
ok(receivers($c, 'doc:1', 6), 'from anywhere');
ok(receivers($a, 'chat', 3), 'of one that has no members here');
ok(receivers($b, 'chat', 3), 'and of one that has');

ok($a->wait_for(sub {
	return post($a, 'publish', { all => JSON::PP::true(), event => 'x' })
		->json->{receivers} == 9;
}), 'of all');

$redis->command('SET', 'app-session:t1', '{"id":"u1","token":"t1"}');
my @tokens = map { $_->ws('/token?token=t1') } $a, $b, $b;
$_->recv_json for @tokens;

ok($a->wait_for(sub {
	return post($c, 'publish', { token => 't1', event => 'x' })
		->json->{receivers} == 3;
}), 'of a token');

my @keys = map { @{$redis->command('HKEYS', $_)} }
	@{$redis->command('KEYS', 'app:m:*')};
is(scalar(grep { /t1/ } @keys), 0, 'which is not told');

# they leave

$_->disconnect for $ws[0], @there[0, 1];
ok(receivers($b, 'doc:1', 5), 'one less');
ok(receivers($a, 'chat', 1), 'two less');

# Redis forgets

$redis->command('FLUSHALL');
ok(receivers($a, 'doc:1', 5), 'told again');

# the worker that tells is another one

if ($c->worker_processes > 1) {
	my ($holder) = map { $_->{name} =~ /-(\d+)$/ } grep {
		my ($pid) = $_->{name} =~ /-(\d+)$/;
		grep { $pid == $_ } $c->workers;
	} $redis->clients(qr/^sync-subscriber-/);
	my @workers = $c->workers;
	my ($i) = grep { $workers[$_] == $holder } 0 .. $#workers;

	$c->kill_worker($i);

	# whoever it had is gone

	ok($a->wait_for(sub {
		my $n = get($c, 'doc:1');
		return $n == get($a, 'doc:1')
			&& publish($a, 'doc:1')->{receivers} == $n;
	}), 'all agree');

} else {
	pass('no other worker');
}

# a host dies

my $left = get($a, 'doc:1');
$b->kill_all;

ok($a->wait_for(sub { hosts($a) == 2 && hosts($c) == 2 }), 'a host is gone');
ok(receivers($a, 'doc:1', $left - 2), 'its members, too');
is($redis->command('ZCARD', 'app:hosts'), 2, 'Redis does not remember it');
is(scalar(@{$redis->command('KEYS', 'app:m:*')}), 2, 'nor its members');
my $r = $a->http('GET', '/control/rooms')->json;
is_deeply($r->{hosts}, { asked => 2, answered => 2 }, 'nobody asks it');

# Redis is away

$redis->kill;
ok($a->wait_for(sub { hosts($a) == 0 }), 'nobody knows');
is(post($a, 'publish', { room => 'chat', event => 'x' })->json->{rooms}{chat}
	{receivers}, 0, 'members here are counted');

$redis->start;
ok(linked($_), 'it is back') for $a, $c;
ok(receivers($a, 'chat', get($a, 'chat')), 'all is told again');

###############################################################################

sub hosts { return scalar @{status($_[0])->{redis}{hosts}} }

# How many members control counts now, which asks all hosts.

sub get {
	my ($t, $room) = @_;
	return $t->http('GET', "/control/members?room=$room&limit=0")
		->json->{count};
}

sub receivers {
	my ($t, $room, $n) = @_;

	return $t->wait_for(sub {
		return publish($t, $room)->{receivers} == $n;
	});
}

###############################################################################
