#!/usr/bin/perl

# Copyright (C) sync for nginx

# Many rooms in one message: subscribe, with positions, and unsubscribe; what
# each room says to it; with hooks that take their time.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use Test::Sync;

###############################################################################

my $t = Test::Sync->new->plan(35);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;
    sync_room "doc:*"  recoverable history=10 ttl=1h;
    sync_room "deny:*" join=deny;
    sync_room "hook:*" recoverable history=10 ttl=1h join=hook;

    upstream app {
        server 127.0.0.1:%%PORT_1%%;
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_hook join /_hook/join;
        sync_hook leave /_hook/leave;
        sync_max_rooms 5;

        location /ws         { sync websocket; }
        location /socket.io/ { sync socketio; }
        location /control/   { sync control; }

        location /none {
            sync websocket;
            sync_session memory;
            sync_token header:authorization;
        }

        location /_hook/ {
            internal;
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
EOF

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;
	my $room = $r->{json}{room};

	my $body = $room =~ /no/ ? '{"stop":{"errorCode":"app.no",'
		. '"httpStatus":402}}' : '{}';

	return [ [ 'wait', 'go' ], [ 'head', 200 ], [ 'chunk', $body ], [ 'end' ] ]
		if $room =~ /slow/;

	return { body => $body };
});

$t->run;

###############################################################################

my $ws = client();

my $r = ask($ws, 'subscribe', channels => [ 'doc:1', 'chat', 'doc:2' ]);

is_deeply($r->{rooms}, [ 'doc:1', 'chat', 'doc:2' ], 'three rooms');
is_deeply([ sort keys %{$r->{recovery}} ], [ 'doc:1', 'doc:2' ],
	'two with positions');
is($r->{recovery}{'doc:1'}{reason}, 'new', 'none was handed back');
is($r->{errors}, undef, 'no errors');

my @said = map { publish('doc:1', $_) } 1 .. 4;
push @said, publish('doc:2', 5);
is_deeply(heard($ws, 5), [ 1 .. 5 ], 'heard');

# positions

my $two = client();

$r = ask($two, 'subscribe', channels => [ 'doc:2', 'doc:1', 'chat' ],
	positions => { 'doc:1' => $said[1], 'doc:2' => 'x', 'doc:3' => 'y' });

is_deeply($r->{recovery}{'doc:1'}, { recovered => JSON::PP::true(),
	reason => undef, pos => $said[3] }, 'recovered');
is_deeply($r->{recovery}{'doc:2'}, { recovered => JSON::PP::false(),
	reason => 'invalid', pos => $said[4] }, 'not that one');
is($r->{recovery}{chat}, undef, 'nor that');

publish('doc:1', 6);
is_deeply(heard($two, 3), [ 3, 4, 6 ], 'what it missed, and what is new');

# what is wrong with some does not concern the others

$r = ask($two, 'subscribe', channels => [ 'deny:1', ' ', 'hook:no', 'hook:1',
	7 ]);

is_deeply($r->{rooms}, [ 'doc:2', 'doc:1', 'chat', 'hook:1' ], 'one of them');
is_deeply($r->{errors}, {
	'deny:1' => { errorCode => 'room.joinBlocked', httpStatus => 403 },
	'' => { errorCode => 'room.invalid', httpStatus => 400 },
	'hook:no' => { errorCode => 'app.no', httpStatus => 402 } }, 'errors');
is($r->{recovery}{'hook:1'}{reason}, 'new', 'and its recovery');

$r = ask($two, 'subscribe', channels => [ 'a', 'b' ]);
is_deeply($r->{rooms}, [ 'doc:2', 'doc:1', 'chat', 'hook:1', 'a' ], 'room');
is_deeply($r->{errors}, { b => { errorCode => 'room.limit',
	httpStatus => 400 } }, 'for one more');

$r = ask($two, 'subscribe', channels => [ 'a', 'a', 'doc:1' ]);
is(scalar @{$r->{rooms}}, 5, 'again');
is($r->{errors}, undef, 'is nothing wrong');
is_deeply([ keys %{$r->{recovery}} ], [ 'doc:1' ], 'and answered once');

# back

$r = ask($two, 'unsubscribe', channels => [ 'doc:2', 'hook:1', 'none' ]);
is_deeply($r, { rooms => [ 'doc:1', 'chat', 'a' ] }, 'left');

# requests that are none

for my $channels ([], 'doc:1', { 'doc:1' => 1 }, undef) {
	is(ask($two, 'subscribe', channels => $channels)->{errorCode},
		'room.invalid', 'no channels');
}

is(ask($two, 'subscribe', channels => [ 1 .. 6 ])->{errorCode}, 'room.limit',
	'too many at once');

$two->send_json([ 'subscribe', { channels => [ 'z' ] } ]);
is_deeply(ask($two, 'getJoinedRooms')->{rooms}, [ 'doc:1', 'chat', 'a' ],
	'without a number nothing is done');

# sessions

my $none = $t->ws('/none');
$none->recv_json;
is_deeply(ask($none, 'subscribe', channels => [ 'a' ])->{errors},
	{ a => { errorCode => 'auth.required', httpStatus => 400 } },
	'no session');

# in its turn, and nothing is heard before the answer

$two = client();
$two->send_json([ 'subscribe', { responseIndex => 1,
	channels => [ 'doc:1', 'hook:slow' ],
	positions => { 'doc:1' => $said[3] } } ]);
$two->send_json([ 'joinRoom', { responseIndex => 2, group => 'chat' } ]);
$two->send_json([ 'unsubscribe', { responseIndex => 3,
	channels => [ 'doc:1' ] } ]);

$hook->wait_requests(4);
publish('doc:1', 7);
$hook->go('go');

$r = $two->recv_json;
is($r->[0], 'subscribe-1', 'first the first');
is_deeply($r->[1]{rooms}, [ 'doc:1', 'hook:slow' ], 'its rooms');
is_deeply([ map { $two->recv_json->[1] } 1, 2 ], [ 6, 7 ],
	'what it missed follows at once');
is_deeply($two->recv_json, [ 'joinRoom-2', { rooms => [ 'doc:1', 'hook:slow',
	'chat' ] } ], 'then the second');
is_deeply($two->recv_json, [ 'unsubscribe-3', { rooms => [ 'hook:slow',
	'chat' ] } ], 'then the third');

# one that leaves meanwhile

$two = client();
$two->send_json([ 'subscribe', { responseIndex => 1,
	channels => [ 'hook:slow2' ] } ]);
$hook->wait_requests(5);
$two->disconnect;
ok($t->wait_for(sub {
	return $t->http('GET', '/control/clients')->json->{count} == 2;
}), 'gone');

# Socket.IO

my $eio = $t->eio;
$eio->connect;
$eio->event('subscribe', { channels => [ 'doc:1', 'chat' ],
	positions => { 'doc:1' => $said[3] }, responseIndex => 1 });

$r = $eio->recv_event;
is($r->[0], 'subscribe-1', 'Socket.IO');
ok($r->[1]{recovery}{'doc:1'}{recovered}, 'recovered');
is_deeply([ map { $eio->recv_event->[1] } 1, 2 ], [ 6, 7 ], 'what it missed');
$eio->event('unsubscribe', { channels => [ 'doc:1' ], responseIndex => 2 });
is_deeply($eio->recv_event, [ 'unsubscribe-2', { rooms => [ 'chat' ] } ],
	'left');

###############################################################################

sub client {
	my $ws = $t->ws('/ws');
	$ws->recv_json;
	return $ws;
}

sub ask {
	my ($ws, $event, %arg) = @_;

	$ws->send_json([ $event, { responseIndex => 1, %arg } ]);
	return $ws->recv_event("$event-1")->[1];
}

sub publish {
	my ($room, $data) = @_;

	return $t->http('POST', '/control/publish', json => { room => $room,
		event => 'say', data => $data })->json->{rooms}{$room}{position};
}

sub heard {
	my ($ws, $n) = @_;
	return [ map { $ws->recv_event('say')->[1] } 1 .. $n ];
}

###############################################################################
