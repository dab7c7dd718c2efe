#!/usr/bin/perl

# Copyright (C) sync for nginx

# A pattern hears of a message of a recoverable room once, whether its host has
# members in the room or not, and of no history that it reads for them.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Test::Sync::Cluster;

###############################################################################

my $a = Test::Sync->new->plan(9);
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
    sync_redis redis://127.0.0.1:$port prefix=app timeout=2s;
    sync_room  "doc:*" recoverable history=150 ttl=1h;
    sync_ping  1h 1h;

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

my ($pattern) = member($b, 'doc:*');

# till it is subscribed to

$a->wait_for(sub {
	post($a, 'publish', { room => 'doc:0', event => 'x', data => 0 });
	return $pattern->recv_event('x', 0.2);
});

1 while $pattern->recv_event('x', 0.5);

publish($a, 'doc:1', data => $_) for 1 .. 3;
is_deeply(next_of($pattern, 3), [ 1, 2, 3 ], 'a room that nobody is in');

my ($w, $j) = member($b, 'doc:1');
is($j->{reason}, 'new', 'a first member');
publish($a, 'doc:1', data => 4);
is_deeply(next_of($w, 1), [ 4 ], 'hears what is new');
is_deeply(next_of($pattern, 1), [ 4 ], 'and so does the pattern');

my ($again, $r) = member($b, 'doc:1', '0/1.00000000');
is($r->{reason}, 'fork', 'the history was read');

# as the room's host reads it again

$_->disconnect for $w, $again;
publish($a, 'doc:1', data => 5);
member($b, 'doc:1');
publish($a, 'doc:1', data => 6);
is_deeply(next_of($pattern, 2), [ 5, 6 ], 'members come and go');
is($pattern->recv_text(0.3), undef, 'each once');

###############################################################################

# The data of so many messages.

sub next_of {
	my ($ws, $n) = @_;

	return [ map { ($ws->recv_event('x') // [])->[1] } 1 .. $n ];
}
