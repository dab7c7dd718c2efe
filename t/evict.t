#!/usr/bin/perl

# Copyright (C) sync for nginx

# Why messages of a history are freed, one counter each: too many of them, too
# many bytes, too old, or a zone that is nearly full; and what is told to who
# comes back with a position of them.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

###############################################################################

my $t = Test::Sync->new->plan(18);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:2m;

    sync_room "few:*"   recoverable history=5;
    sync_room "many:*"  recoverable history=10000;
    sync_room "brief:*" recoverable history=100 ttl=1s;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /ws      { sync websocket; }
        location /control { sync control; }
        location /status  { sync status; }
    }
}
EOF

$t->run;

###############################################################################

my @none = (0, 0, 0);

is_deeply([ counters() ], \@none, 'nothing yet');

# too many

my @few = map { publish('few:1', 10) } 1 .. 12;

is_deeply([ counters() ], [ 7, 0, 0 ], 'too many');
is(reason('few:1', $few[5]), 'trimmed', 'the ones that are gone');
is(reason('few:1', $few[6]), undef, 'and those that are not');

# too many bytes: an eighth of the zone is one room's

my @many = map { publish('many:1', 10000) } 1 .. 40;
my ($count, $age, $pressure) = counters();

cmp_ok($count, '>=', 7 + 40 - 27, 'too many bytes');
cmp_ok($count, '<=', 7 + 40 - 20, 'no more than that');
is($age + $pressure, 0, 'counted as that');
is(reason('many:1', $many[0]), 'trimmed', 'the ones that are gone');
is(reason('many:1', $many[39]), undef, 'and those that are not');

# too old

my $ws = member('brief:1');
my @brief = map { publish('brief:1', 10) } 1 .. 6;

ok($t->wait_for(sub { (counters())[1] == 6 }, 30), 'too old');
is_deeply([ counters() ], [ $count, 6, 0 ], 'counted as that');
is(reason('brief:1', $brief[2]), 'expired', 'the ones that are gone');
is(reason('brief:1', $brief[5]), undef, 'after the last one nothing is');

# a zone that is nearly full: rooms without members, the oldest first

my $edge = $many[$count - 7 - 1];
is(reason('many:1', $edge), undef, 'the last one that is gone');

for my $room (2 .. 20) {
	publish("many:$room", 10000) for 1 .. 12;
	last if (counters())[2] >= 8;
}

cmp_ok((counters())[2], '>', 0, 'the zone is nearly full');
is((counters())[0], $count, 'counted as that');
is(reason('many:1', $edge), 'trimmed', 'the oldest are gone');
is(status()->{counters}{full}, 0, 'there was memory all the time');

###############################################################################

sub publish {
	my ($room, $len) = @_;

	return $t->http('POST', '/control/publish', json => { room => $room,
		data => 'x' x $len })->json->{rooms}{$room}{position};
}

sub member {
	my ($room, $pos) = @_;

	my $ws = $t->ws('/ws');
	$ws->recv_json;
	$ws->send_json([ 'joinRoom', { group => $room, responseIndex => 1,
		defined $pos ? (pos => $pos) : () } ]);
	$ws->{answer} = $ws->recv_event('joinRoom-1')->[1];

	return $ws;
}

# What is said to who comes back with a position.

sub reason {
	my $ws = member(@_);
	return $ws->{answer}{reason};
}

sub status { return $t->http('GET', '/status')->json }

sub counters {
	return @{status()->{counters}}{qw/ evictedCount evictedAge
		evictedPressure /};
}

###############################################################################
