#!/usr/bin/perl

# Copyright (C) sync for nginx

# A join, or a subscription, in the middle of which the room's log ceases to be
# what it is in Redis: it has looked, and does not have to wait.  The worker is
# held at that instant, while another one, which hears Redis, loses it.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Test::Sync::Cluster;
use Test::Sync::Ptrace;

###############################################################################

my $t = Test::Sync->new(workers => 2)->plan(14);
my $redis = $t->redis(port => 1);
my $port = $redis->port;

$t->write_conf(<<"EOF");
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone  zone=sync:8m;
    sync_redis redis://127.0.0.1:$port prefix=app timeout=300ms;
    sync_room  "doc:*" recoverable history=100;
    sync_drain 1s;

    keepalive_requests 100000;
    keepalive_timeout 600s;

    server {
        listen 127.0.0.1:%%PORT_0%% reuseport;

        location /ws       { sync websocket; }
        location /control/ { sync control; }
        location /status   { sync status; }
    }
}
EOF

$t->run;

ok(linked($t), 'links');

my @workers = $t->workers;
my ($hears) = map { $_->{name} =~ /(\d+)$/ }
	$redis->clients(qr/^sync-subscriber-/);
my ($looks) = grep { $_ != $hears } @workers;

my $status = talker($hears);
my $member = member($t, 'doc:1');
my $last = 0;
say_more() for 1 .. 3;

interrupted('joinRoom', group => 'doc:1', pos => say_more());
interrupted('subscribe', channels => [ 'doc:1' ],
	positions => { 'doc:1' => say_more() });

is_deeply([ $t->workers ], \@workers, 'no worker died');

###############################################################################

sub interrupted {
	my ($event, %arg) = @_;

	my ($subscriber) = $redis->clients(qr/^sync-subscriber-$hears$/);
	my $ws = client($looks);
	my $p = Test::Sync::Ptrace->attach($looks, "$t->{dir}/sync.so",
		'sync_position_parse')->arm;

	$ws->send_json([ $event, { %arg, responseIndex => 1 } ]);
	ok($p->wait(30 * $Test::Sync::SLOW), "$event: it was as in Redis");

	$redis->commands([ 'CLIENT', 'KILL', 'ID', $subscriber->{id} ],
		[ 'DEBUG', 'SLEEP', 2 ]);
	ok($t->wait_for(sub { !$status->()->{redis}{subscribed} }),
		'it no more is');
	$p->go;

	my $r = $ws->recv_event("$event-1")->[1];
	$r = $r->{recovery}{'doc:1'} if $r->{recovery};

	ok(!$r->{recovered}, 'it is answered');
	is($r->{reason}, 'unavailable', 'and is told why');

	# as long as it might wait, what lay on its stack is something else

	for (2 .. 30) {
		$ws->send_json([ 'getJoinedRooms', { responseIndex => $_ } ]);
		$ws->recv_event("getJoinedRooms-$_");
	}

	ok(linked($t), 'Redis is heard again');

	# by the position of what it hears it has missed nothing

	my $said = say_more();
	my $m = heard($ws, 1)->[0];

	is_deeply([ $m->[1], $m->[2]{pos} ], [ $last, $said ],
		'it hears what is new');
}

# Says something in the room; returns its position, when a member has heard it.

sub say_more {
	my $said = publish($t, 'doc:1', data => ++$last)->{position};
	heard($member, 1);
	return $said;
}

# A client that the worker holds.

sub client {
	my ($pid) = @_;

	for (1 .. 100) {
		my $before = clients($pid);
		my $ws = $t->ws('/ws');
		$ws->recv_json;

		return $ws if clients($pid) > $before;

		$ws->disconnect;
	}

	die "no client of worker $pid\n";
}

sub clients {
	my ($pid) = @_;
	my ($w) = grep { $_->{pid} == $pid } @{$status->()->{workers}};
	return $w->{clients};
}

# Asks that worker for its status, over one connection.

sub talker {
	my ($pid) = @_;

	for (1 .. 1000) {
		my $peer = Test::Sync::Peer->new(port => $t->port(0));

		my $ask = sub {
			$peer->put("GET /status HTTP/1.1\r\n"
				. "Host: localhost\r\n\r\n");
			return $peer->recv_response('GET')->json;
		};

		return $ask if $ask->()->{worker}{pid} == $pid;
	}

	die "no connection to worker $pid\n";
}

###############################################################################
