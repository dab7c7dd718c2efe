#!/usr/bin/perl

# Copyright (C) sync for nginx

# What waits for a Redis that stands still is bounded, in commands and in
# bytes; what comes beyond fails at once, is counted, and loses nothing else.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Test::Sync::Cluster qw/ linked status /;

my $COMMANDS = 4096;

###############################################################################

my $t = Test::Sync->new->plan(17);
my $redis = $t->redis(port => 1);
my $port = $redis->port;

$t->write_conf(<<"EOF");
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone  zone=sync:32m;
    sync_redis redis://127.0.0.1:$port prefix=app timeout=60s;
    sync_room  "doc:*" recoverable history=150 ttl=1h;
    sync_drain 1s;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_receiver any;
        location /ws       { sync websocket; }
        location /control/ { sync control; client_max_body_size 2m; }
        location /status   { sync status; }
    }
}
EOF

$t->run;

ok(linked($t), 'links');

# one that listens to what Redis gets

my $ear = $redis->another;
$ear->command('SUBSCRIBE', 'app:r:v');

my $ws = client();
$ws->send_json([ 'joinRoom', { group => 'v', responseIndex => 0 } ]);
$ws->recv_event('joinRoom-0');

###############################################################################

# too many commands

$redis->freeze;

my ($from, $n) = (status($t)->{redis}{pending}, 0);
say_to('v', $n) while $n < $COMMANDS + 100;

is(answers(), $n, 'a volatile room goes on');
ok($t->wait_for(sub { counter('redisBusy') >= 100 }), 'some were too many');
cmp_ok(counter('clusterUnsent'), '>=', 100, 'others do not hear those');
cmp_ok(counter('clusterUnsent'), '<=', counter('redisBusy'), 'and no more');

# each worker waits for a few of its own besides

ok($t->wait_for(sub {
	my $pending = status($t)->{redis}{pending};
	return $pending >= $COMMANDS
		&& $pending <= $COMMANDS + 200 * $t->worker_processes;
}), 'no more of them wait');

say_to('doc:1', 'refused');
is(answer()->[1]{errorCode}, 'broker.unavailable',
	'a room that keeps a history is refused');
is(counter('redisTimeouts'), 0, 'nothing timed out');

$redis->thaw;
ok($t->wait_for(sub { status($t)->{redis}{pending} < 100 }), 'all is answered');

my @heard = heard();
cmp_ok(@heard, '<=', $COMMANDS, 'what waited was done');
cmp_ok(@heard, '>', $COMMANDS - 200, 'nearly all of it');
is_deeply(\@heard, [ 0 .. $#heard ], 'in order');

say_to('doc:1', 'taken');
is(answer()->[1]{status}, 'success', 'the link goes on');

# too many bytes, from whichever worker

$ws->disconnect;
$redis->freeze;

my $busy = counter('clusterUnsent');
my $large = 0;

while ($large < 17 * $t->worker_processes + 1
	&& counter('clusterUnsent') == $busy)
{
	$t->http('POST', '/control/publish', json => { all => JSON::PP::true(),
		event => 'x', data => 'x' x 1e6 });
	$large++;
}

cmp_ok(counter('clusterUnsent'), '>', $busy, 'some were too much');
cmp_ok($large, '>', 15, 'not the first ones');
cmp_ok(status($t)->{redis}{pending}, '<', 1000, 'though there are few');

$redis->thaw;
$ws = client();

ok($t->wait_for(sub {
	say_to('doc:1', 'taken');
	return answer()->[1]{status} eq 'success';
}), 'the link goes on');

###############################################################################

sub client {
	my $ws = $t->ws('/ws');
	$ws->recv_json;
	return $ws;
}

sub say_to {
	my ($room, $data) = @_;

	$ws->send_json([ 'sync', { name => "a/n$data/v1", cb => 'x',
		data => {}, receiver => $room, ignoreSelf => JSON::PP::true(),
		responseIndex => 1 } ]);
	$n++;
}

sub answer {
	while (my $m = $ws->recv_json) {
		return $m if $m->[0] eq 'sync-1';
	}
}

# How many succeeded, of n.

sub answers {
	return scalar grep { answer()->[1]{status} eq 'success' } 1 .. $n;
}

sub counter { return status($t)->{counters}{$_[0]} }

# Numbers of messages, up to when nothing comes any more.

sub heard {
	my @heard;

	$redis->command('PUBLISH', 'app:r:v', 'end');

	while (my $m = $ear->message(10)) {
		last if $m->[2] eq 'end';
		push @heard, $m->[2] =~ m!sync/a/n(\d+)/v1!;
	}

	return @heard;
}

###############################################################################
