#!/usr/bin/perl

# Copyright (C) sync for nginx

# A SUBSCRIBE that Redis does not answer, on a link that works otherwise: the
# link is made anew, whoever waits for the room is told, and then hears.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Test::Sync::Cluster;

###############################################################################

my $a = Test::Sync->new->plan(19);
my $b = Test::Sync->new;
my $redis = $a->redis(port => 1);
my $proxy = $a->proxy(port => 2, to => $redis->port);

for my $t ($a, $b) {
	my $port = ($t == $a ? $proxy : $redis)->port;

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

my @workers = $a->workers;

###############################################################################

# one that waits for nothing, with more that is asked behind it

lose('v:1');

my @ws = map { scalar member($a, "v:$_") } 1 .. 4;

again('a volatile room');
is($proxy->swallowed, 1, 'its answer was lost');

for my $i (1 .. 4) {
	ok(hears("app:r:v:$i"), "subscribed to room $i");
}

publish($b, "v:$_", data => $_) for 1 .. 4;
is_deeply([ map { heard($_, 1)->[0][1] } @ws ], [ 1 .. 4 ],
	'all hear what another host says');

# one that waits for the room's log

my $top = (map { publish($b, 'doc:1', data => $_) } 1 .. 3)[0]{position};

lose('doc:1');

my ($ws, $joined) = member($a, 'doc:1', $top);

ok($joined, 'who waits is answered');
again('a room with a history');
is($proxy->swallowed, 2, 'its answer was lost');

ok(hears('app:r:doc:1'), 'subscribed');
publish($b, 'doc:1', data => 4);
is(last_heard($ws)->[1], 4, 'it hears what is new');

# the same again, when what is there already is asked for anew

lose('doc:1');
$redis->command('CLIENT', 'KILL', 'ID', $_->{id})
	for $redis->clients(qr/^sync-subscriber-/);

ok($a->wait_for(sub { $proxy->swallowed == 3 }), 'asked anew, no answer');
ok(linked($_), 'links') for $a, $b;

publish($b, 'doc:1', data => 5);
is(last_heard($ws, 5)->[1], 5, 'and heard again');

is_deeply([ $a->workers ], \@workers, 'no worker died');

###############################################################################

sub lose { $proxy->swallow(qr/\r\nsubscribe\r\n\$\d+\r\napp:r:$_[0]\r\n/) }

sub hears {
	my ($channel) = @_;

	return $a->wait_for(sub {
		return $redis->command('PUBSUB', 'NUMSUB', $channel)->[1];
	});
}

# The link is given up and comes again.

my $times;

sub again {
	my ($name) = @_;

	$times++;

	ok($a->wait_for(sub {
		return $times == grep { /SUBSCRIBE failed \(subscriber\)/ }
			$a->log_lines;
	}) && linked($a), "$name: the link is made anew");
}

# Up to a message; what comes before it may have been heard already.

sub last_heard {
	my ($ws, $data) = @_;

	$data //= 4;

	while (my $m = heard($ws, 1)->[0]) {
		return $m if $m->[1] == $data;
	}
}

###############################################################################
