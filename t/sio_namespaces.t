#!/usr/bin/perl

# Copyright (C) sync for nginx

# Namespaces: the app lets a session into one, which its client is in then, by
# each transport and over an upgrade; who else asks is told that there is none.
# Several of them are sio_multiplex.t's.

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

        location /socket.io/ {
            sync socketio;
            sync_hook connect /hook;
        }

        location /none/ { sync socketio; }

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

	return { json => $r->{json}{namespace} eq '/no' ? { stop => {
		errorCode => 'no.entry' } } : {} };
});

$t->run;

my $url = 'http://127.0.0.1:' . $t->port(0);
my $true = JSON::PP::true;

# WebSocket alone

my $ws = open_ws('/none/');
$ws->send_text('40/foo,');
is($ws->recv_text, '44/foo,{"message":"Invalid namespace"}', 'no hook');
$ws->send_text('40');
like($ws->recv_text, qr/^40\{"sid"/, 'the default one');
$ws->send_text('40/foo,');
is($ws->recv_text, '44/foo,{"message":"Invalid namespace"}', 'nor then');

$ws = open_ws();
$ws->send_text('40/no,{"token":"x"}');
is($ws->recv_text, '44/no,{"message":"no.entry","data":{"errorCode":"no.entry",'
	. '"httpStatus":403}}', 'refused by the app');
$ws->send_text('40/' . 'x' x 128 . ',');
is($ws->recv_text, '44/' . 'x' x 128 . ',{"message":"Invalid namespace"}',
	'a long name');
$ws->send_text('40/foo?a=b&c=/d,{"token":"y"}');
my ($id) = $ws->recv_text =~ /^40\/foo,\{"sid":"([\w-]{22})"\}$/;
ok($id, 'admitted, a query being no part of the name');

my ($asked) = grep { $_->{json}{namespace} eq '/foo' }
	@{$hook->wait_requests(2)};
is($asked->{json}{auth}{token}, 'y', 'the app was told');

$ws->send_text('42/foo,["joinRoom",{"group":"r","responseIndex":1}]');
is($ws->recv_text, '42/foo,["joinRoom-1",{"rooms":["r"]}]', 'an event');
$ws->send_text('42/foo,12["getJoinedRooms"]');
is($ws->recv_text, '43/foo,12[{"rooms":["r"]}]', 'an acknowledgement');

my $plain = open_ws('/none/');
$plain->send_text('40');
$plain->recv_text;
$plain->send_text('42["joinRoom",{"group":"r","responseIndex":1}]');
$plain->recv_text;

publish(data => 1);
is($ws->recv_text, '42/foo,["e",1,{"room":"r"}]', 'a message');
is($plain->recv_text, '42["e",1,{"room":"r"}]', 'and in the default one');
publish(data => 'x' x 200);
is($ws->recv_text, '42/foo,["e","' . 'x' x 200 . '",{"room":"r"}]', 'longer');
$plain->recv_text;
publish(data => 'x' x 65530);
is($ws->recv_text, '42/foo,["e","' . 'x' x 65530 . '",{"room":"r"}]', 'long');
$plain->recv_text;

emit(args => [ { base64 => 'AAE=' } ], binary => $true);
is($ws->recv_text, '451-/foo,["e",{"_placeholder":true,"num":0}]', 'bytes');
is($ws->recv_frame->{payload}, "\x00\x01", 'as they are');

my $begun = begin(clientId => $id, event => 'q', ack => $true);
my ($n) = $ws->recv_text =~ /^42\/foo,(\d+)\["q"\]$/;
$ws->send_text("43/foo,$n" . '["a"]');
is_deeply($begun->recv_response('POST')->json->{acks}, { $id => [ 'a' ] },
	'an acknowledgement of the client');

$ws->send_text('41/foo,');
ok($t->wait_for(sub { clients() == 1 }), 'disconnected');
$ws->send_text('40');
like($ws->recv_text, qr/^40\{"sid"/, 'the default one is free again');
$ws->send_text('42/foo,["a"]');
is($ws->wait_close, 1005, 'an event in another one');

$ws = open_ws();
$ws->send_text('40/foo,');
$ws->recv_text;
$ws->send_text('40/foo,');
is($ws->wait_close, 1005, 'twice');

$ws = open_ws();
$ws->send_text('40/foo,');
$ws->recv_text;
$ws->send_text('42["a"]');
is($ws->wait_close, 1005, 'an event in the default one');

# polling, and over an upgrade

my $s = $t->eio;
$s->post('40/foo,{}');
like($s->recv, qr/^40\/foo,\{"sid"/, 'polling');
$s->post('42/foo,["joinRoom",{"group":"r","responseIndex":1}]');
is($s->recv, '42/foo,["joinRoom-1",{"rooms":["r"]}]', 'an event');
publish(data => 2);
is($s->recv, '42/foo,["e",2,{"room":"r"}]', 'a message');
emit(args => [ { base64 => 'AAE=' }, 3 ], binary => $true);
is($s->recv, '451-/foo,["e",{"_placeholder":true,"num":0},3]', 'bytes');
is($s->recv, 'bAAE=', 'as they are');

my $up = $t->ws($s->uri('websocket'));
$up->send_text('2probe');
is($up->recv_text, '3probe', 'upgrade');
publish(data => 3);
$up->send_text('5');
publish(data => 4);
$up->send_text('42/foo,["getJoinedRooms",{"responseIndex":2}]');
my @got = sort map { $up->recv_text } 1 .. 3;
is_deeply(\@got, [ '42/foo,["e",3,{"room":"r"}]', '42/foo,["e",4,{"room":"r"}]',
	'42/foo,["getJoinedRooms-2",{"rooms":["r"]}]' ], 'the namespace stays');
$up->shut;
$plain->shut;

# socket.io-client

for my $transports ('polling,websocket', 'polling', 'websocket') {
	my $r = client($transports, '/foo');
	is_deeply($r->{errors}, [], "$transports: no error");
	is_deeply($r->{rooms}, { rooms => [ 'n' ] }, 'an acknowledgement');
	is_deeply($r->{heard}, [ 'x' ], 'a message');

	$r = client($transports, '/no');
	is_deeply($r->{errors}, [ 'no.entry' ], 'refused by the app');
}

ok($t->wait_for(sub { clients() == 0 }), 'all are gone');
is($t->http('GET', '/status')->json->{sessions}, 0, 'and their sessions');

###############################################################################

sub open_ws {
	my ($uri) = @_;

	my $ws = $t->ws(($uri // '/socket.io/') . '?EIO=4&transport=websocket');
	$ws->recv_text;

	return $ws;
}

sub client {
	my (@arguments) = @_;

	open my $out, '-|', 'node', "$FindBin::Bin/sio/namespace.mjs", $url,
		@arguments or die "node: $!\n";
	my $line = <$out> // '{}';
	close $out;

	return decode_json($line);
}

sub publish {
	$t->http('POST', '/control/publish', json => { room => 'r', event => 'e',
		@_ });
}

sub emit {
	$t->http('POST', '/control/emit', json => { room => 'r', event => 'e',
		except => [], @_ });
	$plain->recv_text;
	$plain->recv_frame;
}

sub begin {
	my $peer = Test::Sync::Peer->new(port => $t->port(0));
	my $body = encode_json({ @_ });

	$peer->put("POST /control/emit HTTP/1.1\r\nHost: localhost\r\n"
		. "Content-Type: application/json\r\nConnection: close\r\n"
		. 'Content-Length: ' . length($body) . "\r\n\r\n$body");

	return $peer;
}

sub clients { return $t->http('GET', '/status')->json->{clients} }
