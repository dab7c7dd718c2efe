#!/usr/bin/perl

# Copyright (C) sync for nginx

# A host that comes to Redis late: clients that joined a room there when nothing
# was known of it are told where they go on, before they hear anything.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Test::Sync::Cluster qw/ linked member /;

###############################################################################

my $a = Test::Sync->new->plan(14);
my $b = Test::Sync->new;
my $redis = $a->redis(port => 1);
my $late = $b->testdir . '/late.sock';

$b->expected(qr/connect\(\) to unix:\S*late\.sock failed/);

for my $t ($a, $b) {
	my $url = $t == $a ? 'redis://127.0.0.1:' . $redis->port : "unix:$late";

	$t->write_conf(<<"EOF");
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone  zone=sync:8m;
    sync_redis $url prefix=app timeout=1s;
    sync_room  "doc:*"   recoverable history=100;
    sync_room  "brief:*" recoverable history=3;
    sync_drain 1s;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /ws       { sync websocket; }
        location /sse      { sync sse; }
        location /control/ { sync control; }
        location /status   { sync status; }
    }
}
EOF

	$t->run;
}

ok(linked($a), 'one host has Redis');

for my $room ('doc:1', 'brief:1') {
	publish($room, $_) for 1 .. 3;
}

###############################################################################

my ($w, $j) = member($b, 'brief:1');
is($j->{reason}, 'unavailable', 'the other does not');

my $es = $b->sse('/sse?channels=brief:1');
is($es->recv_json->{recovery}{'brief:1'}{reason}, 'unavailable',
	'nor is an event stream told');

my ($whole) = member($b, 'doc:1');
my ($empty, $e) = member($b, 'doc:2');
is($e->{pos}, '0/0.00000000', 'where it begins is not known');

# what nobody there hears

publish('doc:1', $_) for 4, 5;
my $last = (map { publish('brief:1', $_) } 4 .. 8)[-1];

symlink $redis->socket, $late or die "symlink: $!\n";
ok(linked($b), 'now it has');

# is read if it is kept, or is told as a gap

is_deeply([ map { $whole->recv_json->[1] } 1 .. 5 ], [ 1 .. 5 ],
	'all there was');

my $gap = $w->recv_event('gap');
is_deeply([ @{$gap->[1]}{qw/ room reason pos /} ], [ 'brief:1', 'reset',
	$last ], 'a gap');

publish('brief:1', 9);
is($w->recv_json->[1], 9, 'then what is new');

my $event = $es->recv;
is($event->{event}, 'gap', 'on an event stream, too');
is($event->{id}, $last, 'with the position as its id');
is($es->recv_json->{data}, 9, 'then what is new');

# where nothing was said nothing is missing

publish('doc:2', 1);
my $first = $empty->recv_json;
is($first->[0], 'x', 'no gap in an empty room');

ok((member($a, 'doc:2', $first->[2]{pos}))[1]{recovered},
	'and its position is good elsewhere');
is((member($a, 'doc:2', $e->{pos}))[1]{reason}, 'fork',
	'but not one of nowhere');

###############################################################################

sub publish {
	my ($room, $data) = @_;

	return $a->http('POST', '/control/publish', json => { room => $room,
		event => 'x', data => $data })->json->{rooms}{$room}{position};
}

###############################################################################
