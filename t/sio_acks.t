#!/usr/bin/perl

# Copyright (C) sync for nginx

# Acknowledgements between socket.io-client and the server, both ways, by each
# transport; of a client whose session moves while the app thinks.

use warnings;
use strict;

use FindBin;
use JSON::PP;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::Sync;

my $t = Test::Sync->new->plan(42);

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

        location /socket.io/ { sync socketio; }

        location /slow/ {
            sync socketio;
            sync_hook server /hook;
        }

        location /hook {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
        }

        location /control/ { sync control; }
    }
}
EOF

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;

	return { json => { status => 'success', it => 'works' } }
		if $r->{json}{event} eq 'api';

	return [ [ 'head', 200, 'Content-Type: application/json' ],
		[ 'wait', 'thought' ],
		[ 'chunk', '{"status":"success","out":1}' ], [ 'end' ] ];
});

$t->run;

my $url = 'http://127.0.0.1:' . $t->port(0);
my $true = JSON::PP::true;

for my $transports ('polling,websocket', 'polling', 'websocket') {
	open my $out, '-|', 'node', "$FindBin::Bin/sio/acks.mjs", $url,
		$transports or die "node: $!\n";

	my $id = decode_json(scalar <$out>)->{connected};

	my $r = control(room => 'acks', event => 'quiz', args => [ 1, { a => [] } ],
		ack => $true);
	is_deeply($r->{acks}, { $id => [ 'right', { n => 1.5 },
		{ base64 => 'AP8=' } ] }, "$transports: a client's answer");
	is_deeply($r->{missing}, [], 'nobody else');

	control(clientId => $id, event => 'bytes', binary => $true,
		args => [ { x => { base64 => 'AP8Q' } }, [ { base64 => 'AQ==' }, 1 ] ]);
	control(clientId => $id, event => 'end');

	$r = decode_json(scalar <$out>);
	close $out;

	my $a = $r->{answers};

	is_deeply($a->{join}, { rooms => [ 'acks' ] }, 'joinRoom');
	is_deeply($a->{joinBoth}, { rooms => [ 'acks', 'more' ] },
		'with an index, too');
	is_deeply($a->{list}, $a->{joinBoth}, 'getJoinedRooms');
	is_deeply($a->{leave}, $a->{join}, 'leaveRoom');
	is_deeply($a->{sync}, { status => 'success', result => {},
		message => 'sync sync/a/b/v1 success' }, 'sync');
	is($a->{refused}{errorCode}, 'sync.notRoomMember', 'that is refused');
	is($a->{none}{errorCode}, 'sync.invalidRequest', 'that is none');
	is_deeply($a->{api}, { status => 'success', it => 'works',
		httpStatus => 200 }, 'apiRequest');
	is_deeply($r->{heard}, [ [ 1, { a => [] } ], [ '00ff10', [ '01', 1 ] ] ],
		'heard');
	like($a->{unknown}, qr/timed out/, 'unknown events are not answered');
}

# the session moves, or not, while the app thinks

my $s = $t->eio('/slow/');
$s->connect;
$s->post('420["joinRoom",{"group":"slow"}]');
is($s->recv, '430[{"rooms":["slow"]}]', 'polling: the number 0');
$s->post('421["sync",{"name":"sync/a/b/v1","cb":"a/b/v1","data":{},'
	. '"receiver":"slow","responseIndex":"none"}]');
$hook->wait_requests(4);

my $up = $t->ws($s->uri('websocket'));
$up->send_text('2probe');
$up->recv_text;
$up->send_text('5');
$up->send_text('42["getJoinedRooms",{"responseIndex":3}]');
is($up->recv_text, '42["getJoinedRooms-3",{"rooms":["slow"]}]', 'moved');
$hook->go('thought');

my @told = sort map { $up->recv_text } 1 .. 2;
like($told[0], qr/^42\["sync",\{/, 'the message');
like($told[1], qr/^431\[\{"status":"success".*"out":1\}\}\]$/,
	'and the acknowledgement, alone');

$up->send_text('42281474976710655["getJoinedRooms",{"responseIndex":4}]');
$up->send_text('42281474976710654["getJoinedRooms",{}]');
is($up->recv_text, '42["getJoinedRooms-4",{"rooms":["slow"]}]',
	'a number that is too large');
is($up->recv_text, '43281474976710654[{"rooms":["slow"]}]', 'the largest');

###############################################################################

sub control {
	return $t->http('POST', '/control/emit', json => { @_ })->json;
}
