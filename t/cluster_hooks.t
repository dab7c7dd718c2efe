#!/usr/bin/perl

# Copyright (C) sync for nginx

# Hooks where hosts share a Redis: the delivered hook counts members on all of
# them, and who joins on another host while the app streams gets the text so far,
# as long as that host has heard it from the beginning.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Test::Sync::Cluster;

###############################################################################

my $a = Test::Sync->new->plan(20);
my $b = Test::Sync->new;
my $redis = $a->redis(port => 2);

for my $t ($a, $b) {
	my $port = $redis->port;
	my $app = $a->port(1);

	$t->write_conf(<<"EOF");
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone  zone=sync:8m;
    sync_redis redis://127.0.0.1:$port prefix=app timeout=20s;
    sync_room  "doc:*"  recoverable stream=accumulate;
    sync_room  "chat:*" stream=accumulate;
    sync_drain 1s;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_receiver any;
        sync_hook server /_hook/server;
        sync_hook delivered /_hook/delivered;

        location /ws     { sync websocket; }
        location /status { sync status; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:$app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
EOF
}

my $hook = $a->hook(port => 1, answer => sub {
	my ($r) = @_;

	return { status => 204 } if $r->{json}{event} eq 'delivered';

	my $step = $r->{json}{data}{step};

	return { json => { status => 'success' } } unless $step;

	return [ [ 'head', 200, 'Content-Type: application/x-ndjson' ],
		map({ ([ 'chunk', qq({"broadcast":{"chunk":"$_"}}\n) ],
			[ 'wait', "$step-$_" ]) } 1 .. 3),
		[ 'chunk', qq({"final":{"status":"success"}}\n) ], [ 'end' ] ];
});

$_->run for $a, $b;
ok(linked($_), 'links') for $a, $b;

###############################################################################

my $i = 0;
my $told = 0;

for my $room ('chat:1', 'doc:1') {

	# members of both hosts

	my @here = map { open_member($a, $room) } 1 .. 3;
	my @there = map { open_member($b, $room) } 1, 2;

	# it is known elsewhere that there are members

	ok($a->wait_for(sub {
		ask($here[0], $room);
		return defined $there[0]->recv_event('sync', 1);
	}, 20), "$room: the hosts are joined");

	ok($a->wait_for(sub {
		ask($here[0], $room);
		return (count() // 0) == 5;
	}, 20), "$room: members of both hosts are counted");

	# a text that both hear from the beginning

	ask($here[0], $room, step => $room);
	is(text($_), '1', "$room: the first chunk") for $here[1], $there[1];
	$hook->go("$room-1");
	is(text($_), '2', "$room: the second") for $there[1];

	my $late = open_member($b, $room);
	my $m = $late->recv_event('sync');
	is_deeply([ @{$m->[1]}{qw/ chunk accumulated /} ],
		[ '12', JSON::PP::true() ], "$room: the text so far, elsewhere");
	$hook->go("$room-2");
	is(text($late), '3', "$room: then what follows");
	$hook->go("$room-3");
	is($late->recv_event('sync')->[1]{status}, 'success', "$room: the end");

	$late = open_member($b, $room);
	is(quiet($late), 1, "$room: it is forgotten elsewhere");
}

sub open_member {
	my ($t, $room) = @_;

	my $ws = $t->ws('/ws');
	$ws->recv_event('connected');
	$ws->send_json([ 'joinRoom', { group => $room, responseIndex => 0 } ]);
	$ws->recv_event('joinRoom-0', 20);
	return $ws;
}

sub ask {
	my ($ws, $room, %data) = @_;

	$ws->send_json([ 'sync', { name => 't/a/v1', cb => 'c',
		receiver => $room, data => \%data, responseIndex => ++$i } ]);
	$ws->recv_event("sync-$i", 20) unless %data;
}

# The next chunk; messages of before may stand in front of it.

sub text {
	my ($ws) = @_;

	while (my $m = $ws->recv_event('sync', 20)) {
		return $m->[1]{chunk} if defined $m->[1]{chunk};
	}

	return 'nothing';
}

# What the app was told last of a message.

sub count {
	my @e;

	$a->wait_for(sub {
		my %seen;
		@e = map { @{$_->{events}} } grep { $_->{event} eq 'delivered'
			&& !$seen{"$_->{worker} $_->{seq}"}++ }
			map { $_->{json} } $hook->requests;
		return @e > $told;
	}, 20);

	$told = @e;
	return $e[-1]{recipientCount};
}

# Whether it hears nothing but what it asks for.

sub quiet {
	my ($ws) = @_;

	$ws->send_json([ 'getJoinedRooms', { responseIndex => 5 } ]);
	return ($ws->recv_json || [ 0 ])->[0] eq 'getJoinedRooms-5';
}
