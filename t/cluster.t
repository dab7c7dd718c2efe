#!/usr/bin/perl

# Copyright (C) sync for nginx

# Two hosts on one Redis: what is said on one is heard on the other, once and
# in order; what becomes of it when Redis, or a worker, is away.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Test::Sync::Cluster qw/ linked status post /;

###############################################################################

my $a = Test::Sync->new->plan(44);
my $b = Test::Sync->new;
my $redis = $a->redis(port => 1, password => 'secret');

for my $t ($a, $b) {
	my $port = $redis->port;

	$t->write_conf(<<"EOF");
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone  zone=sync:8m;
    sync_redis redis://:secret\@127.0.0.1:$port/2 prefix=app timeout=500ms;
    sync_drain 1s;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_receiver any all=on;

        location /ws       { sync websocket; }
        location /sse      { sync sse; }
        location /control/ { sync control; }
        location /status   { sync status; }
    }
}
EOF

	$t->run;
}

ok(linked($_), 'links') for $a, $b;

###############################################################################

my $wa = member($a, 'r', 'other');
my $wb = member($b, 'r', 'p*');
my $wp = member($b, 'q*');

ok(subscribed('app:r:r', 2), 'both subscribe to the room');
ok(subscribed('app:r:other', 1), 'one to its own');

# each message once, in order, wherever it is said

say_to($wa, 'r', $_) for 1 .. 50;
is_deeply(heard($wa, 50), [ 1 .. 50 ], 'heard where it was said');
is_deeply(heard($wb, 50), [ 1 .. 50 ], 'heard on the other host');

say_to($wb, 'r', $_) for 51 .. 60;
is_deeply(heard($wa, 10), [ 51 .. 60 ], 'the other way');
is_deeply(heard($wb, 10), [ 51 .. 60 ], 'and where it was said');

# with who has said it left out

my $id = $wb->{id};

is(post($a, 'publish', { room => 'r', event => 'x', data => 'but',
	except => [ $id ] })->status, 200, 'published but to one');
is_deeply(heard($wa, 1), [ 'but' ], 'to others');
publish($a, 'r', 'next');
is_deeply(heard($wa, 1), [ 'next' ], 'to all');
is_deeply(heard($wb, 1), [ 'next' ], 'but the one');

# patterns: a room's message to a subscription, a message to many rooms

publish($a, 'p1', 1);
is_deeply(heard($wb, 1), [ 1 ], 'subscription to a pattern');

my $w2 = member($b, 'p1', 'p*');
ok(subscribed('app:r:p1', 1), 'a room of the pattern as well');

say_to($wa, 'p1', $_) for 2, 3;
is_deeply(heard($wb, 2), [ 2, 3 ], 'by the pattern');
is_deeply(heard($w2, 2), [ 2, 3 ],
	'once a client');

is(post($a, 'publish', { room => 'oth*', event => 'x', data => 'many' })
	->status, 200, 'to a pattern');
is_deeply(heard($wa, 1), [ 'many' ], 'heard here');

is(post($b, 'publish', { room => 'oth*', event => 'x', data => 'far' })
	->status, 200, 'to a pattern, from the other host');
is_deeply(heard($wa, 1), [ 'far' ], 'heard there');

# to all, to one

is(post($a, 'publish', { all => JSON::PP::true(), event => 'x',
	data => 'all' })->status, 200, 'to all');
is_deeply(heard($_, 1), [ 'all' ], 'heard') for $wa, $wb, $wp;

say_to($wa, 'all', 'sync');
is_deeply(heard($wb, 1), [ 'sync' ], 'a sync to all');

is(post($a, 'disconnect', { clientId => $wp->{id} })->status, 200,
	'an order for a client there');
is($wp->wait_close, 1000, 'obeyed');

# what it looks like

ok($a->wait_for(sub {
	my $s = status($a);
	return $s->{redis}{connected} == $s->{redis}{expected};
}), 'all links are up');

my $s = status($a);
is($s->{counters}{clusterUnsent}, 0, 'nothing was lost');
is($s->{counters}{clusterInvalid}, 0, 'nor garbled');

# a stranger says something

$redis->command('PUBLISH', 'app:r:r', $_)
	for '', 'x', 's1', 's1' . "\xff" x 62, 's1' . "\0" x 64;
publish($a, 'r', 'well');
is_deeply(heard($wb, 1), [ 'well' ], 'noise does no harm');
ok($b->wait_for(sub { status($b)->{counters}{clusterInvalid} >= 4 }),
	'it is counted');

# the worker that subscribes dies

my ($holder) = map { $_->{name} =~ /-(\d+)$/ } grep {
	my ($pid) = $_->{name} =~ /-(\d+)$/;
	grep { $pid == $_ } $b->workers;
} $redis->clients(qr/^sync-subscriber-/);

if ($b->worker_processes > 1) {
	my @workers = $b->workers;
	my ($i) = grep { $workers[$_] == $holder } 0 .. $#workers;
	my @there = map { member($b, 'k') } 1 .. 12;

	$b->kill_worker($i);

	ok(linked($b), 'another one takes over');

	# the one that died may have had them all

	push @there, member($b, 'k');

	ok($b->wait_for(sub {
		my $r = post($a, 'publish', { room => 'k', event => 'x',
			data => 'again' });
		return grep { eval { $_->recv_json(0.05)->[1] eq 'again' } } @there;
	}), 'and is heard');

} else {
	pass('no other worker') for 1 .. 2;
}

# Redis is away

$redis->kill;
ok($a->wait_for(sub { status($a)->{redis}{connected} == 0 }), 'Redis is away');

$wa = member($a, 'r');
is(post($a, 'publish', { room => 'r', event => 'x', data => 'here' })->status,
	200, 'rooms go on on each host');
is_deeply(heard($wa, 1), [ 'here' ], 'with the members there');
ok($a->wait_for(sub { status($a)->{counters}{clusterUnsent} > 0 }),
	'what others miss is counted');

# a room that is new in the meantime

my $wn = member($b, 'new', 'r');

$redis->start;
ok(linked($_), 'it is back') for $a, $b;
ok(subscribed('app:r:r', 2), 'what was subscribed to is again');
ok(subscribed('app:r:new', 1), 'what is new, too');

publish($a, 'new', 'back');
is_deeply(heard($wn, 1), [ 'back' ], 'and heard');

# a room without members

$wn->disconnect;
ok(subscribed('app:r:new', 0), 'who is alone hears nothing');

###############################################################################

sub subscribed {
	my ($channel, $n, $timeout) = @_;

	return $a->wait_for(sub {
		return $redis->command('PUBSUB', 'NUMSUB', $channel)->[1] == $n;
	}, $timeout // 30);
}

sub member {
	my ($t, @rooms) = @_;

	my $ws = $t->ws('/ws');
	$ws->{id} = $ws->recv_json->[1]{clientId};

	for my $i (0 .. $#rooms) {
		$ws->send_json([ 'joinRoom', { group => $rooms[$i],
			responseIndex => $i } ]);
		$ws->recv_event("joinRoom-$i");
	}

	return $ws;
}

# By a client, whose messages go one way.

sub say_to {
	my ($ws, $room, $data) = @_;

	$ws->send_json([ 'sync', { name => "a/n$data/v1", cb => 'x', data => {},
		receiver => $room, responseIndex => 1 } ]);
}

sub publish {
	my ($t, $room, $data) = @_;

	post($t, 'publish', { room => $room, event => 'x', data => $data })
		->status == 200 or die "not published\n";
}

# What a client hears: n messages, and no more.

sub heard {
	my ($ws, $n) = @_;

	my @heard;

	while (@heard < $n) {
		my $m = $ws->recv_json(5) or last;

		push @heard, $m->[1] if $m->[0] eq 'x';
		push @heard, $1 if $m->[0] eq 'sync'
			&& $m->[1]{cb} =~ m!/n(\w+)/v1$!;
	}

	return \@heard;
}

###############################################################################
