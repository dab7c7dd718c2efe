#!/usr/bin/perl

# Copyright (C) sync for nginx

# Socket.IO 5 above WebSocket: connecting, namespaces, events and what is none,
# binary ones, the app's say; the upgrade, and heartbeats.

use warnings;
use strict;

use FindBin;
use JSON::PP;
use Test::More;
use Time::HiRes qw/ time /;

use lib "$FindBin::Bin/lib";
use Test::Sync;

my $t = Test::Sync->new->plan(71);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /socket.io/ { sync socketio; }

        location /quick/ {
            sync socketio;
            sync_ping 300ms 1500ms;
        }

        location /app/ {
            sync socketio;
            sync_hook connect /hook;
            sync_hook server /hook;
            sync_hook api /hook;
        }

        location /hook {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
        }

        location /control/ { sync control; }
        location /status { sync status; }
    }
}
EOF

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;

	if ($r->{json}{event} eq 'connect') {
		return { json => ($r->{json}{auth}{token} // '') eq 'good' ? {}
			: { stop => { errorCode => 'no.entry' } } };
	}

	if ($r->{json}{event} eq 'api') {
		my $kind = $r->{json}{data}{kind};

		return { status => 500 } if $kind eq 'down';
		return { body => 'x' } if $kind eq 'text';
		return { json => { status => $kind, errorCode => 'a.b',
			httpStatus => 409, more => 1 } };
	}

	return [ [ 'head', 200, 'Content-Type: application/json' ],
		[ 'wait', 'thought' ], [ 'chunk', '{"status":"success"}' ],
		[ 'end' ] ];
});

$t->run;

my $ws;

# WebSocket alone

$ws = open_ws();
my $open = decode_json(substr $ws->{open}, 1);

is_deeply($open->{upgrades}, [], 'no upgrades');
$ws->send_text('40');
my $text = $ws->recv_text;
like($text, qr/^40\{"sid":"[\w-]{22}"\}$/, 'connected');
unlike($text, qr/$open->{sid}/, 'by another id');

$ws->send_text('42["joinRoom",{"group":"r","responseIndex":1}]');
is($ws->recv_text, '42["joinRoom-1",{"rooms":["r"]}]', 'an event');
$ws->send_text('427["getJoinedRooms",{"responseIndex":2}]');
is($ws->recv_text, '42["getJoinedRooms-2",{"rooms":["r"]}]',
	'one that asks for an acknowledgement');
is($ws->recv_text, '437[{"rooms":["r"]}]', 'gets it as well');

$ws->send_text('42["sync",{"name":"sync/a/b/v1","cb":"a/b/v1","data":{},'
	. '"receiver":"r","responseIndex":3}]');
like($ws->recv_text, qr/^42\["sync-progress-3",\{"__cancelId":"/, 'progress');
like($ws->recv_text, qr/^42\["sync-3",\{"status":"success"/, 'answer');
like($ws->recv_text, qr/^42\["sync",\{"cb":"sync\/a\/b\/v1"/, 'message');

for my $ignored ('42["unknown",1]', '42["joinRoom"]', '42["leaveRoom"]',
	'42["getJoinedRooms"]', '42["syncCancel"]', '42["apiCancel"]', '42[1]',
	'6', '0', '431[]')
{
	$ws->send_text($ignored);
}

$ws->send_text('42["getJoinedRooms",{"responseIndex":4}]');
is($ws->recv_text, '42["getJoinedRooms-4",{"rooms":["r"]}]', 'no harm done');

$ws->send_text('40/foo,{"a":1}');
is($ws->recv_text, '44/foo,{"message":"Invalid namespace"}', 'a namespace');

# binary events

$ws->send_text('452-["unknown",{"_placeholder":true,"num":1},'
	. '{"_placeholder":true,"num":0}]');
$ws->send_binary("\x00\xff");
$ws->send_binary('');
$ws->send_text('42["getJoinedRooms",{"responseIndex":5}]');
is($ws->recv_text, '42["getJoinedRooms-5",{"rooms":["r"]}]',
	'a binary event came whole');

$t->http('POST', '/control/publish', json => { room => 'r', event => 'e',
	data => [ 1 ] });
is($ws->recv_text, '42["e",[1],{"room":"r"}]', 'published');

$ws->send_text('41');
ok($t->wait_for(sub { return status()->{clients} == 0 }), 'disconnected');
$ws->send_text('42["getJoinedRooms",{"responseIndex":6}]');
is($ws->wait_close, 1005, 'an event after that');

# what closes

for my $bad ('42["joinRoom",{}]', '41', 'x', '9', '', '2', '2probe', '4', '49',
	'40{', '40[]', '42{}', "4\x1e", '450-["a"]', '451["a"]')
{
	$ws = open_ws();
	$ws->send_text($bad);
	is($ws->wait_close, 1005, "before CONNECT: '$bad'");
}

for my $bad ('40', '42["connect"]', '42["disconnecting",1]', '42["newListener"]',
	'42/foo,["a"]', '43[]', '44{}', '42[]', '42["a"')
{
	$ws = open_ws();
	$ws->send_text('40');
	$ws->recv_text;
	$ws->send_text($bad);
	is($ws->wait_close, 1005, "after CONNECT: '$bad'");
}

$ws = open_ws();
$ws->send_text('40');
$ws->recv_text;
$ws->send_binary('abc');
is($ws->wait_close, 1005, 'bytes of no event');

$ws = open_ws();
$ws->send_text('1');
is($ws->wait_close, 1005, 'closed by the client');

$ws = open_ws();
$ws->send_text('4' . 'x' x 65536);
is($ws->wait_close, 1009, 'above maxPayload');

# heartbeats

$ws = open_ws('/quick/');
$ws->send_text('40');
$ws->recv_text;

my $begun = time();
my @late;

for my $i (1 .. 4) {
	is($ws->recv_text, '2', "ping $i");
	push @late, time() - $begun - 0.3 if $i > 1;
	$begun = time();
	$ws->send_text('3');
}

# some of them may have been read late, and the next one seems to be early then

@late = sort { $a <=> $b } @late;
cmp_ok($late[1], '>', -0.1, 'not early');
cmp_ok($late[0], '<', 0.3, 'nor late');

is($ws->recv_text, '2', 'a ping that is not answered');
is($ws->wait_close, 1005, 'closed');

# upgrades: what is said meanwhile arrives, once and in order

my @lost;

for my $round (1 .. 20) {
	my $s = $t->eio;
	$s->connect;
	$s->event('joinRoom', { group => "u$round", responseIndex => 1 });
	$s->recv;

	my $poll = $s->poll;
	my $up = $t->ws($s->uri('websocket'));

	publish("u$round", $_) for 0 .. 2;

	$up->send_text('2probe');
	my @got = map { /^42\["e",(\d)/ } split /\x1e/,
		$s->answer($poll)->body;
	push @lost, 'no probe' if $up->recv_text ne '3probe';

	publish("u$round", 3);
	$up->send_text('5');
	$up->send_text('42["getJoinedRooms",{"responseIndex":2}]');
	publish("u$round", 4);
	push @lost, 'a poll was taken' if $s->answer($s->poll)->body
		!~ /^6$|"code":[13]/;
	publish("u$round", 5);

	my $rooms = 0;

	while (defined(my $text = $up->recv_text)) {
		push @got, map { /^42\["e",(\d)/ } split /\x1e/, $text;
		$rooms++ if $text =~ /getJoinedRooms-2/;
		last if @got && $got[-1] == 5;
	}

	while (!$rooms && defined(my $text = $up->recv_text(1))) {
		$rooms++ if $text =~ /getJoinedRooms-2/;
	}

	push @lost, "round $round: @got, $rooms" if "@got" ne '0 1 2 3 4 5'
		|| $rooms != 1;
	$up->shut;
}

is_deeply(\@lost, [], 'upgrades');

my $s = $t->eio;
$s->connect;
my $up = $t->ws($s->uri('websocket'));
$up->send_text('2probe');
is($up->recv_text, '3probe', 'a probe');
is($s->answer($s->poll)->body, '6', 'polls are let go');
is($t->ws($s->uri('websocket'))->status, 400, 'a second upgrade');
$up->disconnect;
ok($t->wait_for(sub {
	my $other = $t->ws($s->uri('websocket'));
	return $other->status == 101 && $other->disconnect || 1;
}), 'one that was given up can be begun again');
is($t->ws('/socket.io/?EIO=4&transport=websocket&sid=abc')->status, 400,
	'of no session');

# calls of the app

$ws = open_ws('/app/');
$ws->send_text('40{"token":"good"}');
$ws->recv_text;

for my $case (
	[ 'success', '{"errorCode":"a.b","more":1,"status":"success",'
		. '"httpStatus":409}' ],
	[ 'error', '{"status":"error","message":"a.b","errorCode":"a.b",'
		. '"httpStatus":409}' ],
	[ 'odd', envelope('api.invalidResponseStatus', 500) ],
	[ 'text', envelope('api.invalidResponseStatus', 500) ],
	[ 'down', envelope('api.internalServerError', 500) ],
) {
	my ($kind, $answer) = @$case;

	$ws->send_text('42["apiRequest",{"name":"api/a/b/v1","data":{"kind":"'
		. $kind . '"},"responseIndex":1}]');
	is($ws->recv_text, qq(42["apiResponse-1",$answer]), "api: $kind");
}

$ws->send_text('42["apiRequest",{"name":"api/a/b/v1","responseIndex":2}]');
is($ws->recv_text, '42["apiResponse-2",' . envelope('api.invalidRequest', 400)
	. ']', 'api: no data');
$ws->send_text('42["apiRequest",{"name":"api/a","data":{},"responseIndex":2}]');
like($ws->recv_text, qr/routing.invalidServiceRouteName/, 'api: no route');
$ws->shut;

# the app decides, and may take longer than the upgrade

$ws = open_ws('/app/');
$ws->send_text('40{"token":"bad"}');
is($ws->recv_text, '44{"message":"no.entry","data":{"errorCode":"no.entry",'
	. '"httpStatus":403}}', 'refused by the app');
$ws->send_text('40{"token":"good"}');
like($ws->recv_text, qr/^40\{"sid":"/, 'admitted');

my ($asked) = grep { $_->{json}{event} eq 'connect'
	&& $_->{json}{auth}{token} eq 'bad' } @{$hook->wait_requests(8)};
is($asked->{json}{auth}{token}, 'bad', 'what the client said of itself');
is($asked->{json}{transport}, 'socketio', 'transport');

$s = $t->eio('/app/');
$s->connect({ token => 'good' });
$s->event('joinRoom', { group => 'slow', responseIndex => 1 });
$s->recv;
$s->event('sync', { name => 'sync/a/b/v1', cb => 'a/b/v1', data => {},
	receiver => 'slow', responseIndex => 2 });
like($s->recv, qr/^42\["sync-progress-2"/, 'the app thinks');
$hook->wait_requests(10);

$up = $t->ws($s->uri('websocket'));
$up->send_text('2probe');
is($up->recv_text, '3probe', 'upgraded meanwhile');
$up->send_text('5');
$up->send_text('42["getJoinedRooms",{"responseIndex":3}]');
is($up->recv_text, '42["getJoinedRooms-3",{"rooms":["slow"]}]', 'moved');
$hook->go('thought');

my @told = sort map { $up->recv_text =~ /^42\["([\w-]+)"/ } 1 .. 2;
is("@told", 'sync sync-2', 'the answer finds the client');

sub open_ws {
	my ($uri) = @_;

	my $ws = $t->ws(($uri // '/socket.io/') . '?EIO=4&transport=websocket');
	$ws->{open} = $ws->recv_text;

	return $ws;
}

sub envelope {
	my ($code, $status) = @_;

	return qq({"status":"error","message":"$code","errorCode":"$code",)
		. qq("httpStatus":$status});
}

sub publish {
	my ($room, $data) = @_;
	$t->http('POST', '/control/publish', json => { room => $room,
		event => 'e', data => $data });
}

sub status { return $t->http('GET', '/status')->json }
