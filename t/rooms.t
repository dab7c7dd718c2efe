#!/usr/bin/perl

# Copyright (C) sync for nginx

# joinRoom, leaveRoom, getJoinedRooms: their answers, their order, their
# limits, and who may join.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

my $t = Test::Sync->new->plan(36);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;

    sync_room "secret:*" join=deny;
    sync_room "asked:*"  join=hook;
    sync_room "free:*"   join=public;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_hook join  /_hook/join;
        sync_hook leave /_hook/leave;

        location /ws      { sync websocket; }
        location /few     { sync websocket; sync_max_rooms 3; }
        location /lax     { sync websocket; sync_hook join /_hook/down on_error=allow; }
        location /strict  { sync websocket; sync_hook join /_hook/down; }
        location /control { sync control; }
        location /status  { sync status; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
        }

        location /_hook/down {
            internal;
            return 503;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;

        location /unasked { sync websocket; }
    }
}
EOF

my $hook = $t->hook(port => 1, answer => sub {
	my $room = $_[0]{json}{room};

	return { json => { stop => { errorCode => 'room.full',
		httpStatus => 409 } } } if $room =~ /full/;
	return { json => { stop => {} } } if $room =~ /no/;
	return [ [ 'wait', $room ], [ 'head', 200, 'Content-Length: 2' ],
		[ 'raw', '{}' ] ] if $room =~ /slow/;

	return { json => {} };
});

$t->run;

my $i = 0;
my $ws = $t->ws('/ws');

my $c = $ws->recv_event('connected')->[1];
like($c->{clientId}, qr/^[\w-]{22}$/, 'client id');
is_deeply($c->{channels}, [], 'in no room');
cmp_ok(abs($c->{timestamp} / 1000 - time()), '<', 60, 'timestamp in ms');

is_deeply(ask($ws, 'getJoinedRooms'), { rooms => [] }, 'no rooms');
is_deeply(ask($ws, 'joinRoom', group => ' r1 '), { rooms => [ 'r1' ] },
	'joined, name trimmed');
is_deeply(ask($ws, 'joinRoom', group => 'r2'), { rooms => [ 'r1', 'r2' ] },
	'in the order of joining');
is_deeply(ask($ws, 'joinRoom', group => 'r1'), { rooms => [ 'r1', 'r2' ] },
	'joined again, keeps its place');
is_deeply(ask($ws, 'leaveRoom', group => 'r1'), { rooms => [ 'r2' ] }, 'left');
is_deeply(ask($ws, 'leaveRoom', group => 'r9'), { rooms => [ 'r2' ] },
	'left without having joined');
is_deeply(ask($ws, 'getJoinedRooms'), { rooms => [ 'r2' ] }, 'rooms');

my $invalid = { status => 'error', message => 'room.invalid',
	errorCode => 'room.invalid', httpStatus => 400 };

is_deeply(ask($ws, 'joinRoom', group => $_->[1]), $invalid, $_->[0])
	for [ 'empty', '' ], [ 'blank', "  \t" ], [ 'not a string', 5 ],
	[ 'absent', undef ], [ 'too long', 'x' x 257 ],
	[ 'control character', "a\x01b" ];

is_deeply(ask($ws, 'joinRoom', group => 'x' x 256)->{rooms}[1], 'x' x 256,
	'the longest name');
is_deeply(ask($ws, 'joinRoom', group => "caf\x{e9} \x{1f600} \"q\"\\")
	->{rooms}[2], "caf\x{e9} \x{1f600} \"q\"\\", 'any characters');

# without a number to answer to, nothing happens

$ws->send_json([ 'joinRoom', { group => 'ghost' } ]);
$ws->send_json([ 'joinRoom', { group => 'ghost', responseIndex => '7' } ]);
$ws->send_text($_) for '["joinRoom"]', '["leaveRoom",null]',
	'["getJoinedRooms",[]]', '["joinRoom","r"]';
is(scalar @{ask($ws, 'getJoinedRooms')->{rooms}}, 3, 'nothing was joined');
is(scalar $ws->skipped, 0, 'and nothing answered');

# who may

is(ask($ws, 'joinRoom', group => 'secret:1')->{errorCode}, 'room.joinBlocked',
	'denied');
ok(ask($ws, 'joinRoom', group => 'free:1')->{rooms}, 'public');
ok(ask($ws, 'joinRoom', group => 'asked:1')->{rooms}, 'the app agrees');

my $r = $hook->wait_requests(1)->[0];
is($r->{uri}, '/_hook/join', 'hook asked');
is_deeply([ @{$r->{json}}{qw/ v event room clientId user token /} ],
	[ 1, 'join', 'asked:1', $c->{clientId}, undef, undef ], 'hook request');
is($r->{headers}{'x-request-id'}, $r->{json}{id}, 'X-Request-Id');

my $full = ask($ws, 'joinRoom', group => 'asked:full');
is_deeply([ @$full{qw/ errorCode httpStatus /} ], [ 'room.full', 409 ],
	'the app says why not');
is(ask($ws, 'joinRoom', group => 'asked:no')->{errorCode}, 'room.joinBlocked',
	'the app says no');

# what is asked behind a slow answer waits for it

$ws->send_json([ 'joinRoom', { group => 'asked:slow', responseIndex => 101 } ]);
$ws->send_json([ 'leaveRoom', { group => 'asked:slow', responseIndex => 102 } ]);
is(ask($ws, 'leaveRoom', group => 'zzz', unanswered => 1), undef, 'waits');
$hook->go('asked:slow');
ok((grep { $_ eq 'asked:slow' } @{$ws->recv_event('joinRoom-101')->[1]{rooms}}),
	'joined late');
$ws->recv_event('leaveRoom-102');
is($hook->wait_requests(5)->[4]{uri}, '/_hook/leave', 'asked of leaving too');

# nobody to ask, and nobody who answers

is(ask($t->ws('/unasked', port => 2),
	'joinRoom', group => 'asked:1')->{errorCode},
	'room.joinBlocked', 'no hook: denied');
is(ask($t->ws('/strict'), 'joinRoom', group => 'asked:1')->{errorCode},
	'room.joinBlocked', 'hook down: denied');
ok(ask($t->ws('/lax'), 'joinRoom', group => 'asked:1')->{rooms},
	'hook down: on_error=allow');

# no more than so many: the oldest goes

my $few = $t->ws('/few');
ask($few, 'joinRoom', group => "f$_") for 1 .. 3;
is_deeply(ask($few, 'joinRoom', group => 'f4'),
	{ rooms => [ 'f2', 'f3', 'f4' ] }, 'the oldest room is left');

# a client that goes leaves its rooms

$_->disconnect for $ws, $few;
ok($t->wait_for(sub { $t->http('GET', '/status')->json->{rooms} == 1
	|| 0 == @{$t->http('GET', '/control/rooms')->json->{rooms}} }),
	'no rooms are left');

# Asks and returns the answer's object; undef, if it is not to come.

sub ask {
	my ($ws, $event, %o) = @_;

	my $unanswered = delete $o{unanswered};
	my $n = ++$i;

	$ws->send_json([ $event, { %o, responseIndex => $n } ]);

	my $r = $ws->recv_event("$event-$n", $unanswered ? 0.3 : 5);

	return $r && $r->[1];
}
