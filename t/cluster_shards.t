#!/usr/bin/perl

# Copyright (C) sync for nginx

# Rooms spread over two Redis servers: when one dies, those of the other go on.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Test::Sync::Cluster;

###############################################################################

my $a = Test::Sync->new->plan(38);
my $b = Test::Sync->new;
my @redis = map { $a->redis(port => $_,
	args => [ 'appendonly yes', 'appendfsync always' ]) } 1, 2;

for my $t ($a, $b) {
	my $urls = join ' ', map { "redis://127.0.0.1:" . $_->port } @redis;

	$t->write_conf(<<"EOF");
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone  zone=sync:8m;
    sync_redis $urls prefix=app timeout=1s;
    sync_room  "doc:*" recoverable history=150 ttl=1h;
    sync_drain 1s;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_receiver any;

        location /ws       { sync websocket; }
        location /control/ { sync control; }
        location /status   { sync status; }
    }
}
EOF

	$t->run;
}

ok(linked($_), 'links') for $a, $b;
is(status($a)->{redis}{shards}, 2, 'to two shards');

###############################################################################

# one of each kind on each shard

my (@doc, @chat);

for (my $i = 1; @doc < 2 || !$doc[0]; $i++) {
	publish($a, "doc:$i");
	$doc[shard("app:s:doc:$i")] //= "doc:$i";
}

for (my $i = 1; !$chat[0] || !$chat[1]; $i++) {
	my $ws = member($a, "chat:$i");
	my $at;

	$a->wait_for(sub {
		($at) = grep { $redis[$_]->command('PUBSUB', 'NUMSUB',
			"app:r:chat:$i")->[1] } 0, 1;
		return defined $at;
	});

	$chat[$at] //= "chat:$i";
}

my (%wa, %wb);

for my $room (@doc, @chat) {
	($wa{$room}) = member($a, $room);
	($wb{$room}) = member($b, $room);
}

ok($a->wait_for(sub {
	return !grep { $redis[$_]->command('PUBSUB', 'NUMSUB',
		"app:r:$chat[$_]")->[1] != 2 } 0, 1;
}), 'both are subscribed to both');

says($_, 'all is well') for @doc, @chat;

for my $n (0, 1) {
	ok($a->wait_for(sub {
		return publish($b, $doc[$n])->{receivers} == 2;
	}), "members of shard $n are counted");
	ok(heard($wa{$doc[$n]}, 1), 'heard');
}

is_deeply([ sort map { $_->{room} } @{rooms($a)->{rooms}} ],
	[ sort @doc, @chat ], 'rooms of both');

# the second dies

$redis[1]->kill;
ok($_->wait_for(sub {
	my $r = status($_)->{redis};
	return $r->{degraded} && $r->{connected} == $r->{expected} / 2;
}), 'one is away') for $a, $b;

says($_, 'of the other') for $doc[0], $chat[0];
refuses($doc[1]);

publish($a, $chat[1], data => 'here');
is_deeply([ map { $_->[1] } @{next_of($wa{$chat[1]}, 'here')} ], [ 'here' ],
	'a volatile room goes on on each host');

my $r = rooms($a);
is_deeply($r->{hosts}, { asked => 2, answered => 2 }, 'lists are whole');
ok(!$r->{degraded}, 'for they need the first alone');

# it comes back, with what it had

$redis[1]->start;
ok(back($_), 'it is back') for $a, $b;
says($_, 'again') for @doc, @chat;

# the first dies

$redis[0]->kill;
ok($_->wait_for(sub { status($_)->{redis}{degraded} }), 'the first is away')
	for $a, $b;

says($_, 'of the second') for $doc[1], $chat[1];
refuses($doc[0]);
ok(rooms($a)->{degraded}, 'lists are of one host');

$redis[0]->start;
ok(back($_), 'it is back') for $a, $b;
says($doc[0], 'at last');

###############################################################################

# Which shard has a key.

sub shard {
	my ($key) = @_;
	my ($n) = grep { $redis[$_]->command('EXISTS', $key) } 0, 1;
	return $n;
}

# What is said on one host is heard on both, whatever came before.

sub says {
	my ($room, $data) = @_;

	publish($a, $room, data => $data);

	my $one = next_of($wa{$room}, $data);
	my $two = next_of($wb{$room}, $data);

	is_deeply($one, $two, "$room: $data");
}

# The messages up to one.

sub next_of {
	my ($ws, $data) = @_;

	while (my $m = $ws->recv_json(10)) {
		return [ $m ] if $m->[0] eq 'x' && defined $m->[1]
			&& $m->[1] eq $data;
	}

	return [];
}

# To a room whose shard is away, by control and by a client.

sub refuses {
	my ($room) = @_;

	is(post($a, 'publish', { room => $room, event => 'x' })->status, 503,
		"$room: refused");

	$wa{$room}->send_json([ 'sync', { name => 'a/b/v1', cb => 'x',
		data => {}, receiver => $room, responseIndex => 5 } ]);
	is($wa{$room}->recv_event('sync-5')->[1]{errorCode},
		'broker.unavailable', "$room: a client is refused");
}

# All links are there, and rooms of both shards are served, by each worker.

sub back {
	my ($t) = @_;

	return linked($t) && $t->wait_for(sub {
		return !grep { post($t, 'publish', { room => $doc[$_ % 2],
			event => 'x' })->status != 200 }
			1 .. 4 * $t->worker_processes;
	});
}

sub rooms { return $_[0]->http('GET', '/control/rooms')->json }

###############################################################################
