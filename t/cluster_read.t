#!/usr/bin/perl

# Copyright (C) sync for nginx

# A room whose stream is read from Redis slowly: who joins, and what is said,
# while it is.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Test::Sync::Cluster;

my $PAGE = qr/\A\*[1-9]\d*\r\n\*2\r\n\$\d+\r\n\d+-\d+\r\n/;

###############################################################################

my $a = Test::Sync->new->plan(15);
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
    sync_redis redis://127.0.0.1:$port prefix=app timeout=1s;
    sync_room  "doc:*" recoverable history=300;
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

###############################################################################

# longer than a join waits: it is in the room, and hears that the rest came

my $top = (map { publish($b, 'doc:1', data => $_) } 1 .. 250)[-1]{position};

$proxy->delay($PAGE, 0.6, 3);

my ($ws, $joined) = member($a, 'doc:1');
is($joined->{reason}, 'unavailable', 'a join waited long enough');
isnt($joined->{pos}, $top, 'the room was not read');

my $gap = $ws->recv_json;
is($proxy->delayed, 3, 'it took its time');
is_deeply([ $gap->[0], @{$gap->[1]}{qw/ room reason pos /} ],
	[ 'gap', 'doc:1', 'reset', $top ], 'now it was: a gap');

publish($b, 'doc:1', data => 'new');
is($ws->recv_json->[1], 'new', 'then what is new');

($ws, $joined) = member($a, 'doc:1', $top);
ok($joined->{recovered}, 'the position of the gap is good');
is($ws->recv_json->[1], 'new', 'and nothing else was missed');

# nothing was said, as Redis tells; before it tells where that begins, something
# is

($ws, $joined) = member($a, 'doc:2');
my ($nonce) = $joined->{pos} =~ m!^0/0\.([0-9a-f]{8})$!;
ok($nonce, 'an empty room');

my $forks = status($a)->{counters}{clusterForks};
$proxy->delay(qr/\A\$8\r\n$nonce\r\n/, 0.6);

$redis->command('CLIENT', 'KILL', 'ID', $_->{id})
	for $redis->clients(qr/^sync-subscriber-/);
ok($a->wait_for(sub { $proxy->delayed == 4 }), 'it is read again');

publish($b, 'doc:2', data => 'first');
is($ws->recv_json->[1], 'first', 'a message is heard, no gap');

ok(followed(), 'the room is known');
is(status($a)->{counters}{clusterForks}, $forks, 'as the one it was');

publish($b, 'doc:2', data => 'second');
is($ws->recv_json->[1], 'second', 'nor is there a gap later');

###############################################################################

# Who comes with the position is told at once, as the room follows Redis again.

sub followed {
	return $a->wait_for(sub {
		return (member($a, 'doc:2', $joined->{pos}))[1]{recovered};
	});
}

###############################################################################
