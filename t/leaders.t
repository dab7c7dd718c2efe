#!/usr/bin/perl

# Copyright (C) sync for nginx

# What other servers lose in silence.
#
#   - Redis fails over to a replica that lagged: the same offset in the same
#     stream, another message.
#   - A message falls between the last read of the history and the join.
#   - An event stream comes back with an id that is not kept any more.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

###############################################################################

my $a = Test::Sync->new->plan(36);
my $b = Test::Sync->new;

my $redis = $a->redis(port => 1);
my $replica = $a->redis(port => 2);
my $link = $a->testdir . '/redis.sock';

lead($redis);

for my $t ($a, $b) {
	$t->write_conf(<<"EOF");
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone  zone=sync:8m;
    sync_redis unix:$link prefix=app timeout=1s;
    sync_room  "doc:*" recoverable history=100;
    sync_room  "few:*" recoverable history=5;
    sync_drain 1s;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /ws         { sync websocket; }
        location /sse        { sync sse; }
        location /socket.io/ { sync socketio; }
        location /control/   { sync control; }
        location /status     { sync status; }
    }
}
EOF

	$t->run;
}

ok(linked($_), 'links') for $a, $b;

$replica->command('REPLICAOF', '127.0.0.1', $redis->port);

###############################################################################

# Fail-over to a replica that lagged.  Of each dialect a client that stays, on
# each host, and one that comes back.

my %dialects = (
	websocket => \&by_ws,
	'event stream' => \&by_sse,
	'socket.io' => \&by_sio,
);

my @stay = map { my $n = $_; map { $dialects{$n}->($_, 'doc:1') } $a, $b }
	sort keys %dialects;

my @kept = map { publish($a, 'doc:1', $_) } 1 .. 5;

ok($a->wait_for(sub { ($replica->command('XLEN', 'app:s:doc:1') // 0) == 5 }),
	'a replica has the log');

# it hears nothing any more; two messages are accepted, and heard

$replica->command('REPLICAOF', '127.0.0.1', 1);

my @lost = map { publish($b, 'doc:1', "$_, lost") } 6, 7;

is_deeply([ map { join ' ', map { $_->[2] } $_->{next}->(7) } @stay ],
	[ (join ' ', @kept, @lost) x @stay ], 'all was heard');

# the first is gone, the second takes its place

$redis->kill;
$replica->command('REPLICAOF', 'NO', 'ONE');
lead($replica);

ok(linked($_), 'links to the other') for $a, $b;

my @other = map { publish($a, 'doc:1', "$_, other") } 6, 7;

is(lsn($other[$_]), lsn($lost[$_]), 'the same offset') for 0, 1;
isnt($other[$_], $lost[$_], 'is not the same position') for 0, 1;

# the gap says where it goes on, which may be after the first of them

for my $c (@stay) {
	my ($gap) = $c->{next}->(1);

	is($gap->[0], 'gap', "$c->{name}: who stayed is told of a gap");

	my @rest = grep { lsn($_) > lsn($gap->[2]) } @other;
	my @heard = map { $_->[2] } $c->{next}->(scalar @rest);

	is_deeply(\@heard, \@rest, "$c->{name}: before what is new");
}

for my $n (sort keys %dialects) {
	for my $t ($a, $b) {
		my $c = $dialects{$n}->($t, 'doc:1', $lost[0]);

		is_deeply([ @{$c->{answer}}{qw/ recovered reason pos /} ],
			[ JSON::PP::false(), 'fork', $other[1] ],
			"$n: who comes back from there is told of a fork");
	}

	my $c = $dialects{$n}->($b, 'doc:1', $kept[4]);

	ok($c->{answer}{recovered}, "$n: who comes from before it recovers");
	is(join(' ', map { $_->[2] } $c->{next}->(2)), "@other",
		"$n: all that there is");
}

# A message between the last read of the history and the join: rooms that a
# host does not have yet, with messages said while it reads what there was.

my (@holes, @twice);

for my $i (1 .. 20) {
	my $room = "doc:between:$i";
	my @said = map { publish($a, $room, $_) } 1 .. 3;
	my $c = by_ws($b, $room, $said[0], 'later');

	push @said, map { publish($a, $room, $_) } 4 .. 6;

	my @heard = map { $_->[2] } $c->{next}->(5);

	push @holes, "$room: @heard" if "@heard" ne "@said[1 .. 5]";
	$c->{ws}->disconnect;
}

is(join("\n", @holes), '', 'a message between the read and the join');

# An id that is not kept any more: the loss is the first event, whatever is said
# meanwhile.

my @evicted = map { publish($a, 'few:1', $_) } 1 .. 20;
my @wrong;

for my $i (1 .. 10) {
	my $es = $b->sse('/sse?channels=few:1', last_event_id => $evicted[0]);

	my @said = map { publish($a, 'few:1', "$i.$_") } 1, 2;

	my $first = $es->recv;
	my $r = JSON::PP::decode_json($first->{data})->{recovery}{'few:1'};
	my $at = lsn($r->{pos});

	push @wrong, "recovered: $r->{reason}"
		if $r->{recovered} || $r->{reason} ne 'trimmed';
	push @wrong, "id: $first->{id}" if $first->{id} ne $r->{pos};

	while ($at < lsn($said[1])) {
		my $e = $es->recv or last;

		push @wrong, "$e->{id} after $at" if lsn($e->{id}) != $at + 1;
		$at = lsn($e->{id});
	}

	$es->disconnect;
}

is(join("\n", @wrong), '', 'an evicted id: the loss comes first');

###############################################################################

# Each joins, and returns { name, answer, next }: next(n) gives the next n
# events, as [ name, data, position ].

sub by_ws {
	my ($t, $room, $pos, $later) = @_;

	my $ws = $t->ws('/ws');
	$ws->recv_json;
	$ws->send_json([ 'joinRoom', { group => $room, responseIndex => 1,
		$pos ? (pos => $pos) : () } ]);

	return { name => 'websocket', ws => $ws,
		answer => $later || $ws->recv_event('joinRoom-1')->[1],
		next => sub {
			return map { my $e = $ws->recv_event(qr/^(?:x|gap)$/)
				// []; [ @{$e}[0, 1], $e->[-1]{pos} ] }
				1 .. $_[0];
		} };
}

sub by_sse {
	my ($t, $room, $pos) = @_;

	my $es = $t->sse("/sse?channels=$room",
		$pos ? (last_event_id => $pos) : ());

	return { name => 'event stream',
		answer => $es->recv_json->{recovery}{$room},
		next => sub {
			return map { my $e = $es->recv // {};
				[ $e->{event}, JSON::PP::decode_json(
					$e->{data} // '{}')->{data}, $e->{id} ]
				} 1 .. $_[0];
		} };
}

sub by_sio {
	my ($t, $room, $pos) = @_;

	my $s = $t->eio('/socket.io/');
	$s->connect;
	$s->event('joinRoom', { group => $room, responseIndex => 1,
		$pos ? (pos => $pos) : () });

	return { name => 'socket.io',
		answer => $s->recv_event->[1],
		next => sub {
			return map { my $e = $s->recv_event // [];
				[ @{$e}[0, 1], $e->[-1] ] } 1 .. $_[0];
		} };
}

sub lead {
	my ($to) = @_;

	symlink $to->socket, "$link.new" or die "symlink: $!\n";
	rename "$link.new", $link or die "rename: $!\n";
}

sub linked {
	my ($t) = @_;

	return $t->wait_for(sub {
		my $r = $t->http('GET', '/status')->json->{redis};
		return $r->{connected} == $r->{expected} && $r->{subscribed};
	});
}

# Until it is accepted: links may just have gone.

sub publish {
	my ($t, $room, $data) = @_;

	my $id = "$room $data";

	return $t->wait_for(sub {
		my $r = $t->http('POST', '/control/publish', json => {
			room => $room, event => 'x', data => $data,
			id => $id });

		return $r->json->{rooms}{$room}{position};
	});
}

sub lsn { return hex(($_[0] =~ m!^0/([0-9A-F]+)\.!)[0]) }

###############################################################################
