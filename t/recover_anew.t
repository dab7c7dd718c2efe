#!/usr/bin/perl

# Copyright (C) sync for nginx

# Redis loses what it has, and a room begins anew, while clients are behind: they
# hear what is sent to them already, a gap, and all that is new.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use Test::Sync;
use Test::Sync::Cluster qw/ linked publish /;

###############################################################################

my $t = Test::Sync->new->plan(29);
my $redis = $t->redis(port => 1);
my $port = $redis->port;

$t->write_conf(<<"EOF");
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone  zone=sync:32m;
    sync_redis redis://127.0.0.1:$port prefix=app;
    sync_room  "doc:*" recoverable history=1000 queue=drop;
    sync_drain 1s;

    server {
        listen 127.0.0.1:%%PORT_0%% sndbuf=32k;

        sync_queue 100k;

        location /socket.io/ { sync socketio; sync_ping 1h 1h; }
        location /ws         { sync websocket; }
        location /sse        { sync sse; }
        location /control/   { sync control; }
        location /status     { sync status; }
    }
}
EOF

$t->run;

ok(linked($t), 'links');

my $data = 'x' x 2000;
my $n;

begins_anew('doc:1');
begins_anew('doc:2', 10);

###############################################################################

# A room of which Redis keeps the first messages, or nothing.

sub begins_anew {
	my ($room, $kept) = @_;

	($n, $kept) = (0, $kept // 0);

	my $what = "$kept are left";
	my $first = say_more($room);

	# one that reads; and some that do not: members, and those that come
	# back

	my $reads = websocket($room);

	my %slow = (
		'a member' => websocket($room, rcvbuf => 4096),
		'a member by SSE' => sse($room),
		'a member by Socket.IO' => socketio($room),
	);

	say_more($room) while $n < ($kept || 1);
	my $dump = $redis->command('DUMP', "app:s:$room");

	say_more($room) while $n < 300;
	is(numbers($reads, 299), join(' ', 2 .. 300),
		"$what: there was much to hear");

	$slow{'one that came back'} = websocket($room, rcvbuf => 4096,
		pos => $first);
	$slow{'one that came back by SSE'} = sse($room, $first);

	$redis->command('DEL', "app:s:$room", "app:b:$room");
	$redis->command('RESTORE', "app:s:$room", 0, $dump) if $kept;
	$redis->command('CLIENT', 'KILL', 'TYPE', 'pubsub');

	is($reads->()->[1]{reason}, 'reset', "$what: the room begins anew");

	say_more($room) for 1 .. 5;
	is(numbers($reads, 5), '301 302 303 304 305',
		"$what: who reads hears what is new");

	for my $name (sort keys %slow) {
		my @all;

		while (my $e = $slow{$name}->()) {
			push @all, $e->[0] eq 'gap' ? 'gap' : number($e);
			last if $all[-1] eq '305';
		}

		my ($at) = grep { $all[$_] eq 'gap' } 0 .. $#all;
		my @old = splice @all, 0, $at // @all;

		ok(@old && $old[-1] < 300, "$what: $name was behind");

		# what Redis kept may come again

		@all = grep { $_ !~ /^\d+$/ || $_ > $kept } @all;

		is("@all", 'gap 301 302 303 304 305',
			"$what: $name hears of it, then what is new");
	}

	say_more($room);
	is(join(' ', map { number($_->()) } values %slow),
		join(' ', (306) x 5), "$what: then they are as all others");
}

sub say_more {
	my ($room) = @_;
	$n++;
	return publish($t, $room, data => "$n $data")->{position};
}

sub numbers {
	my ($next, $n) = @_;
	return join ' ', map { number($next->()) } 1 .. $n;
}

sub number { return $_[0] && $_[0][1] =~ /^(\d+) / ? $1 : 'nothing' }

# Each of these returns what gives the next message or gap.

sub websocket {
	my ($room, %o) = @_;

	my $ws = $t->ws('/ws', rcvbuf => $o{rcvbuf});
	$ws->recv_event('connected');
	$ws->send_json([ 'joinRoom', { group => $room, responseIndex => 1,
		$o{pos} ? (pos => $o{pos}) : () } ]);
	$ws->recv_event('joinRoom-1');

	return sub { return $ws->recv_json };
}

sub sse {
	my ($room, $pos) = @_;

	my $es = $t->sse("/sse?channels=$room", rcvbuf => 4096,
		last_event_id => $pos);
	$es->recv;

	return sub {
		my $e = $es->recv or return;
		return [ $e->{event}, decode_json($e->{data})->{data} ];
	};
}

sub socketio {
	my ($room) = @_;

	my $ws = $t->ws('/socket.io/?EIO=4&transport=websocket',
		rcvbuf => 4096);

	$ws->recv_text;
	$ws->send_text('40');
	$ws->recv_text;
	$ws->send_text('42' . encode_json([ 'joinRoom', { group => $room,
		responseIndex => 1 } ]));
	$ws->recv_text;

	return sub {
		my $text = $ws->recv_text or return;
		return decode_json($text =~ s/^42//r);
	};
}

###############################################################################
