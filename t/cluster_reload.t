#!/usr/bin/perl

# Copyright (C) sync for nginx

# A host that shares a Redis is reloaded: the link that hears of messages goes
# from a worker to one of its successors, and positions are good all the time.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Test::Sync::Cluster;

###############################################################################

my $a = Test::Sync->new->plan(13);
my $b = Test::Sync->new;
my $redis = $a->redis(port => 1);

for my $t ($a, $b) {
	my $port = $redis->port;

	$t->write_conf(<<"EOF");
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone  zone=sync:8m;
    sync_redis redis://127.0.0.1:$port prefix=app;
    sync_room  "doc:*" recoverable history=1000;
    sync_drain 100ms;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /ws       { sync websocket; }
        location /control/ { sync control; }
        location /status   { sync status; }
    }
}
EOF

	$t->run;
}

ok(linked($_), 'links') for $a, $b;

###############################################################################

my ($there) = member($a, 'doc:1');
my ($here) = member($b, 'doc:1');
my $pos = publish($a, 'doc:1', data => 0)->{position};
my $n = 0;

heard($_, 1) for $there, $here;

for my $round (1 .. 4) {
	$b->reload;

	# the old workers are gone, or one of the new is killed, too

	ok($b->wait_for(sub { return !$b->leaving }), 'the old ones are gone')
		if $round != 3;
	$b->kill_worker(0) if $round == 4;

	my @said = map { publish($a, 'doc:1', data => ++$n) } 1 .. 3;
	my ($w, $j) = member($b, 'doc:1', $pos);
	my @heard = map { $_->[1] } @{heard($w, 3)};

	is_deeply([ $j->{recovered}, $j->{reason}, @heard ],
		[ JSON::PP::true(), undef, $n - 2 .. $n ],
		"who comes back recovers, $round");

	$pos = $said[-1]{position};
}

is_deeply([ map { $_->[1] } @{heard($there, $n)} ], [ 1 .. $n ],
	'nobody elsewhere notices');

# it starts anew: who comes at once waits for the link to Redis

$b->quit->run;

ok((member($b, 'doc:1', $pos))[1]{recovered}, 'at once after a start');

# a position of the other host that is not known here yet: the worker that hears
# of messages is stopped for a while

ok(linked($b), 'links');

my @ws = map { $b->ws('/ws') } 1 .. 8;
$_->recv_json for @ws;

my ($hears) = map { $_->{name} =~ /subscriber-(\d+)/ }
	$redis->clients(qr/^sync-subscriber-(?:@{[ join '|', $b->workers ]})$/);

$b->signal('STOP', $hears);
$pos = publish($a, 'doc:1', data => ++$n)->{position};

$_->send_json([ 'joinRoom', { group => 'doc:1', responseIndex => 1,
	pos => $pos } ]) for @ws;

select undef, undef, undef, 0.3;
$b->signal('CONT', $hears);

is(join(' ', map { $_->[1]{reason} // 'recovered' }
	map { $_->recv_event('joinRoom-1') } @ws), join(' ', ('recovered') x 8),
	'a position that is ahead');

###############################################################################
