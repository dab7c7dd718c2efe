#!/usr/bin/perl

# Copyright (C) sync for nginx

# "control emit": events with any arguments to rooms, clients, users and all;
# bytes; acknowledgements by every transport, from every worker, and those that
# do not come.

use warnings;
use strict;

use FindBin;
use JSON::PP;
use Test::More;
use Time::HiRes qw/ time /;

use lib "$FindBin::Bin/lib";
use Test::Sync;

my $t = Test::Sync->new->plan(61);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /socket.io/ {
            sync socketio;
            sync_max_message 300k;
        }

        location /ws {
            sync websocket;
            sync_max_message 300k;
        }

        location /sse { sync sse; }
        location /control/ { sync control; }
        location /status { sync status; }
    }
}
EOF

$t->run;

my $json = JSON::PP->new->utf8->canonical;
my $true = JSON::PP::true;

my ($sio, $plain, $polling) = (sio(), ws(), $t->eio);

$polling->{client} = $polling->connect;
$polling->event('joinRoom', { group => 'r', responseIndex => 1 });
$polling->recv;

my $stream = $t->sse('/sse?channels=r,s&userId=u1');
$stream->recv;

# any arguments, as they are

my $r = post('{"room":"r","event":"e","args":[1.0, "a" ,{"a":1,"a":2}]}');
is($r->body, '{"status":"success","rooms":{"r":{"receivers":4,'
	. '"position":null}}}', 'to a room');
is($sio->recv_text, '42["e",1.0,"a",{"a":1,"a":2}]', 'Socket.IO');
is($plain->recv_text, '["e",1.0,"a",{"a":1,"a":2}]', 'WebSocket');
is($polling->recv, '42["e",1.0,"a",{"a":1,"a":2}]', 'polling');
is(data($stream), '[1.0,"a",{"a":1,"a":2}]', 'event stream');

emit(room => 'r', event => 'none');
is($sio->recv_text, '42["none"]', 'no argument');
is($plain->recv_text, '["none"]', 'WebSocket');
is($polling->recv, '42["none"]', 'polling');
is(data($stream), 'null', 'event stream');

is(emit(rooms => [ 'r', 'nobody' ], event => 'f', args => [ 2 ],
	except => [ $sio->{id}, $plain->{id} ])->body, '{"status":"success",'
	. '"rooms":{"r":{"receivers":2,"position":null},'
	. '"nobody":{"receivers":0,"position":null}}}', 'rooms, with exceptions');
is($polling->recv, '42["f",2]', 'heard');
is(data($stream), '2', 'one argument');

# a client, a user, all

is(emit(clientId => $plain->{id}, event => 'c', args => [ 1, 2 ])->body,
	'{"status":"success","receivers":1}', 'to a client');
is($plain->recv_text, '["c",1,2]', 'heard');
is(emit(clientId => 'A' x 22, event => 'c')->status, 404, 'no such client');
is(emit(user => 'u1', event => 'u', args => [ 'x', 'y' ])->json->{receivers}, 1,
	'to a user');
my $e = $stream->recv;
is($e->{event}, 'u', 'heard');
like($e->{data}, qr/^\{"channel":"[\w-]{22}","data":\["x","y"\],/, 'as its own');
is(emit(user => 'nobody', event => 'u')->json->{receivers}, 0, 'no such user');
is(emit(all => $true, event => 'a', args => [ 3 ])->json->{receivers}, 4,
	'to all');
is($_->recv_text =~ s/^42//r, '["a",3]', 'heard') for $sio, $plain;
is($polling->recv, '42["a",3]', 'heard');
is(data($stream), '3', 'heard');

is($t->http('POST', '/control/publish', json => { clientId => $sio->{id},
	event => 'p', data => 4 })->body, '{"status":"success","receivers":1}',
	'publish to a client');
is($sio->recv_text, '42["p",4]', 'heard');

# bytes: 0 255 16, with a slash that is escaped, and none

post('{"room":"r","event":"b","binary":true,"args":[{"base64":"AP8Q"},'
	. '{"base64":"","x":1},[{"base64":"\/w=="},{"base64":""}]]}');
my $bytes = '["b",{"_placeholder":true,"num":0},{"base64":"","x":1},'
	. '[{"_placeholder":true,"num":1},{"_placeholder":true,"num":2}]]';
is($sio->recv_text, "453-$bytes", 'bytes');
is_deeply([ map { unpack 'H*', $sio->recv_frame->{payload} } 1 .. 3 ],
	[ '00ff10', 'ff', '' ], 'in messages of their own');
is($plain->recv_text, '["b",{"base64":"AP8Q"},{"base64":"","x":1},'
	. '[{"base64":"\/w=="},{"base64":""}]]', 'WebSocket: as JSON');
is(join(' ', map { $polling->recv } 1 .. 4), "453-$bytes bAP8Q b/w== b",
	'polling');
$stream->recv;
emit(clientId => $sio->{id}, event => 'j', args => [ { base64 => 'AP8Q' } ]);
is($sio->recv_text, '42["j",{"base64":"AP8Q"}]', 'not unless it is said');

for my $bad ('{"base64":"A"}', '{"base64":"A=A="}', '{"base64":"A-_="}',
	'{"base64":""},{"_placeholder":true,"num":1}',
	join ',', ('{"base64":""}') x 65)
{
	is(post('{"room":"r","event":"b","binary":true,"args":[' . $bad . ']}')
		->status, 400, 'bytes that are none');
}

# acknowledgements

my $begun = begin(room => 'r', event => 'q', args => [ 1 ], ack => $true);
my $number = ack_of($sio->recv_text, qr/^42(\d+)\["q",1\]$/);
is(ack_of($plain->recv_text, qr/^\["q",1,\{"ack":(\d+)\}\]$/), $number,
	'WebSocket');
is(ack_of($polling->recv, qr/^42(\d+)\["q",1\]$/), $number, 'polling');
$stream->recv;

$sio->send_text("43$number" . '["s",{"x":1.0}]');
$sio->send_text("43$number" . '["again"]');
$plain->send_json([ 'ack', { id => $number + 0, args => [ 'w' ] } ]);
$polling->post("461-$number" . '[{"_placeholder":true,"num":0}]', 'bAP8=');

$r = $begun->recv_response('POST');
is_deeply($r->json->{acks}, { $sio->{id} => [ 's', { x => 1 } ],
	$plain->{id} => [ 'w' ], $polling->{client} => [ { base64 => 'AP8=' } ] },
	'acknowledgements of all');
like($r->body, qr/\["s",\{"x":1.0\}\]/, 'byte by byte');
is_deeply($r->json->{missing}, [], 'none is missing');
is($r->json->{rooms}{r}{receivers}, 4, 'receivers');

# late ones, unknown ones

my $late = counter('acksLate');
$sio->send_text('43' . ($number + 256) . '[]');
$plain->send_json([ 'ack', { id => $number + 0, args => [] } ]);
$plain->send_json([ 'ack', { id => 'x', args => [] } ]);
$plain->send_json([ 'ack', { id => 1, args => 1 } ]);
$plain->send_json([ 'ack' ]);
ok($t->wait_for(sub { counter('acksLate') >= $late + 2 }), 'late ones');

# who does not answer, and who leaves

$begun = begin(rooms => [ 'r' ], event => 'q', ack => $true, timeout => '300ms',
	except => [ $polling->{client} ]);
$number = ack_of($sio->recv_text, qr/^42(\d+)\["q"\]$/);
$sio->send_text("43$number" . '[]');
$plain->recv_text;
$stream->recv;
$r = $begun->recv_response('POST')->json;
is_deeply([ $r->{acks}, $r->{missing} ], [ { $sio->{id} => [] },
	[ $plain->{id} ] ], 'timeout');

my $leaver = ws();
my $time = time();
$begun = begin(rooms => [ 'r', 'r' ], event => 'q', ack => $true,
	timeout => '60s', except => [ $plain->{id}, $polling->{client} ]);
$number = ack_of($sio->recv_text, qr/^42(\d+)\["q"\]$/);
$leaver->recv_text;
$sio->send_text("43$number" . '[]');
$leaver->disconnect;
$r = $begun->recv_response('POST')->json;
is_deeply([ $r->{acks}, $r->{missing} ], [ { $sio->{id} => [] },
	[ $leaver->{id} ] ], 'who left is not waited for');
cmp_ok(time() - $time, '<', 30 * $Test::Sync::SLOW, 'in time');
$stream->recv;

is_deeply(emit(room => 'nobody', event => 'q', ack => $true)->json,
	{ status => 'success', acks => {}, missing => [],
	rooms => { nobody => { receivers => 0, position => undef } } }, 'nobody');

# who asks leaves

$begun = begin(clientId => $sio->{id}, event => 'q', ack => $true,
	timeout => '60s');
$number = ack_of($sio->recv_text, qr/^42(\d+)/);
$begun->disconnect;
ok($t->wait_for(sub {
	my $n = counter('acksLate');
	$sio->send_text("43$number" . '[]');
	return $t->wait_for(sub { counter('acksLate') > $n }, 1);
}), 'who asked is gone');

# bounds: of all answers, and of messages that wait

my $dropped = counter('acksDropped');
my @many = map { sio('many') } 1 .. 5;
$begun = begin(room => 'many', event => 'q', ack => $true, timeout => '1s');

for my $ws (@many) {
	my $n = ack_of($ws->recv_text, qr/^42(\d+)/);
	$ws->send_text("43$n" . '["' . 'x' x 250_000 . '"]');
}

$r = $begun->recv_response('POST')->json;
is(keys %{$r->{acks}}, 4, 'a megabyte of answers');
is(@{$r->{missing}}, 1, 'one is too much');
is(counter('acksDropped'), $dropped + 1, 'counted');

my @busy = map { begin(clientId => $sio->{id}, event => 'q', ack => $true,
	timeout => '20s') } 1 .. 256;
ack_of($sio->recv_text, qr/^42(\d+)/) for @busy;
$r = emit(clientId => $sio->{id}, event => 'q', ack => $true);
is($r->status . $r->json->{errorCode}, '503emit.busy', '256 wait');
$_->disconnect for @busy;
ok($t->wait_for(sub {
	return emit(clientId => $sio->{id}, event => 'q', ack => $true,
		timeout => '1ms')->status == 200;
}), 'and no more');

# what is none

my %bad = (
	'"event":"e"' => 'exactly one of',
	'"room":"r"' => 'event',
	'"room":"r","event":"e","args":1' => '"args" must be an array',
	'"room":"r","event":"e","ack":1' => '"ack" must be true or false',
	'"room":"r","event":"e","timeout":"61s"' => 'from "1ms" to "60s"',
	'"room":"r","event":"e","timeout":"x"' => 'from "1ms" to "60s"',
	'"pattern":"r*","event":"e","ack":true' => 'a pattern',
	'"room":"r","event":"e","data":1' => 'unknown field "data"',
);

for my $fields (sort keys %bad) {
	$r = post("{$fields}");
	like($r->status . $r->json->{message}, qr/^400.*\Q$bad{$fields}\E/,
		$bad{$fields});
}

###############################################################################

sub sio {
	my ($room) = @_;

	my $ws = $t->ws('/socket.io/?EIO=4&transport=websocket');
	$ws->recv_text;
	$ws->send_text('40');
	$ws->{id} = $ws->recv_text =~ /"sid":"([\w-]+)"/ && $1;
	$ws->send_text('42' . $json->encode([ 'joinRoom', { group => $room // 'r',
		responseIndex => 1 } ]));
	$ws->recv_text;

	return $ws;
}

sub ws {
	my $ws = $t->ws('/ws');
	$ws->{id} = $ws->recv_json->[1]{clientId};
	$ws->send_json([ 'joinRoom', { group => 'r', responseIndex => 1 } ]);
	$ws->recv_text;

	return $ws;
}

sub post {
	return $t->http('POST', '/control/emit', body => $_[0],
		headers => { 'Content-Type' => 'application/json' });
}

sub emit { return post($json->encode({ @_ })) }

# One whose answer is not waited for.

sub begin {
	my $peer = Test::Sync::Peer->new(port => $t->port(0));
	my $body = $json->encode({ @_ });

	$peer->put("POST /control/emit HTTP/1.1\r\nHost: localhost\r\n"
		. "Content-Type: application/json\r\nConnection: close\r\n"
		. 'Content-Length: ' . length($body) . "\r\n\r\n$body");

	return $peer;
}

sub ack_of {
	my ($text, $re) = @_;
	return ($text // '') =~ $re ? $1 : die 'no number in ', $text // 'none';
}

sub data {
	my $e = $_[0]->recv or return undef;
	return $e->{data} =~ /"data":(.*),"timestamp":\d+\}$/ ? $1 : $e->{data};
}

sub counter {
	return $t->http('GET', '/status')->json->{counters}{$_[0]};
}
