#!/usr/bin/perl

# Copyright (C) sync for nginx

# "legacy": the names of routes that older clients have, without a service and
# a version, and their short names of callbacks.

use warnings;
use strict;

use FindBin;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::Sync;

my $t = Test::Sync->new->plan(24);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_hook api /hook;

        location /socket.io/ {
            sync socketio legacy;
            sync_hook server /hook;
        }

        location /staged/ {
            sync socketio legacy;
            sync_hook client /hook;
        }

        location /ws  { sync websocket legacy; }
        location /new { sync websocket; sync_hook client /hook; }

        location /hook {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
        }
    }
}
EOF

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;

	my $out = ($r->{json}{route} // '') =~ /refused$/
		? { status => 'error', errorCode => 'not.yours' }
		: { status => 'success', n => 1 };

	return { json => $r->{json}{event} eq 'client'
		? [ map { { k => $_->{k}, out => $out } } @{$r->{json}{recipients}} ]
		: { status => 'success', x => 1 } };
});

$t->run;

# Socket.IO, through the app

my $ws = sio('/socket.io/');

$ws->send_text(request(' sync/games/board/move ', 'move', 1));
like($ws->recv_text, qr/^42\["sync-progress-1"/, 'progress');
is($ws->recv_text, '42["sync-1",{"status":"success",'
	. '"message":"sync sync/games/board/move success",'
	. '"result":{"status":"success","x":1}}]', 'acknowledgement');
is($ws->recv_text, '42["sync",{"cb":"move","fullName":"sync/games/board/move",'
	. '"serverOutput":{"status":"success","x":1},"clientOutput":{},'
	. '"message":"sync/games/board/move sync success","status":"success"}]',
	'the callback as the client said it');

my $r = $hook->wait_requests(1)->[0]{json};
is($r->{route}, 'sync/games/board/move', 'the route');
is($r->{name}, 'games/board/move', 'its name');
is("$r->{service}$r->{version}", '', 'without service and version');

$ws->send_text(request('sync//move', 'm"\u00e9', 2));
$ws->recv_text for 1 .. 2;
like($ws->recv_text, qr/^42\["sync",\{"cb":"m\\"\\u00e9","fullName":"sync\/\/move"/,
	'as it was written');

# names of today are what they were

$ws->send_text(request('sync/games/move/v1', 'move', 3));
$ws->recv_text for 1 .. 2;
like($ws->recv_text, qr/^42\["sync",\{"cb":"sync\/games\/move\/v1"/,
	'with a version');

for my $bad ('synchro/games/move', 'sync/', 'sync', 'move', 'api/games/move') {
	$ws->send_text(request($bad, 'move', 4));
	like($ws->recv_text, qr/^42\["sync-4",.*routing.invalidServiceRouteName/,
		"none: $bad");
}

$ws->send_text('42["apiRequest",{"name":"api/settings/save","data":{},'
	. '"responseIndex":5}]');
is($ws->recv_text, '42["apiResponse-5",{"status":"success","x":1,'
	. '"httpStatus":200}]', 'api');
$ws->send_text('42["apiRequest",{"name":"sync/settings/save","data":{},'
	. '"responseIndex":5}]');
like($ws->recv_text, qr/routing.invalidServiceRouteName/, 'none');

# through the client stage

$ws = sio('/staged/');
$ws->send_text(request('sync/games/board/move', 'move', 1));
$ws->recv_text for 1 .. 2;
like($ws->recv_text, qr/^42\["sync",\{"cb":"move",.*"clientOutput":\{.*"n":1/,
	'client stage');

# an error of the app's passes them over; others are told

my $new = ws('/new');
$ws->send_text(request('sync/games/board/refused', 'no', 2));
$ws->recv_text for 1 .. 2;
like($new->recv_text, qr/^\["sync",\{.*"errorCode":"not.yours"/, 'an error');

$ws->send_text(request('sync/games/board/move', 'move', 3));
$ws->recv_text for 1 .. 2;
like($ws->recv_text, qr/^42\["sync",\{"cb":"move"/, 'not for older clients');
$new->shut;

# WebSocket

$ws = ws('/ws');
$ws->send_text(request('sync/games/board/move', 'move', 1) =~ s/^42//r);
like($ws->recv_text, qr/^\["sync-progress-1"/, 'WebSocket');
like($ws->recv_text, qr/^\["sync-1",\{"status":"success"/, 'acknowledgement');
like($ws->recv_text, qr/^\["sync",\{"cb":"move"/, 'callback');

$ws = ws('/new');
$ws->send_text(request('sync/games/board/move', 'move', 1) =~ s/^42//r);
like($ws->recv_text, qr/routing.invalidServiceRouteName/, 'not without it');

###############################################################################

sub sio {
	my ($uri) = @_;

	my $ws = $t->ws("$uri?EIO=4&transport=websocket");
	$ws->recv_text;
	$ws->send_text('40');
	$ws->recv_text;
	$ws->send_text('42["joinRoom",{"group":"r","responseIndex":1}]');
	is($ws->recv_text, '42["joinRoom-1",{"rooms":["r"]}]', 'joined');

	return $ws;
}

sub ws {
	my ($uri) = @_;

	my $ws = $t->ws($uri);
	$ws->recv_text;
	$ws->send_text('["joinRoom",{"group":"r","responseIndex":1}]');
	$ws->recv_text;

	return $ws;
}

sub request {
	my ($name, $cb, $index) = @_;

	$cb =~ s/"/\\"/g;

	return qq(42["sync",{"name":"$name","cb":"$cb","data":{},"receiver":"r",)
		. qq("responseIndex":$index}]);
}
