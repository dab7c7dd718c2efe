#!/usr/bin/perl

# Copyright (C) sync for nginx

# WebSockets and event streams over TLS 1.2 and 1.3: the connection keeps its
# TLS state when it is taken from its request, and nothing else changes.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::MD5 qw/ md5_hex /;
use JSON::PP;
use Test::More;
use Test::Sync;
use Test::Sync::WS;

my @versions = qw/ -tls1_2 -tls1_3 /;

my $t = Test::Sync->new->plan(@versions * 28 + 7);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;
    sync_drain 1s;

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;
    ssl_protocols       TLSv1.2 TLSv1.3;

    server {
        listen 127.0.0.1:%%PORT_0%% ssl http2;
        listen 127.0.0.1:%%PORT_1%%;

        sync_max_message 1m;
        sync_queue 512k;

        location /ws      { sync websocket; }
        location /deflate { sync websocket; sync_compression on; }
        location /pinged  { sync websocket; sync_ping 300ms 1500ms; }
        location /events  { sync sse; }
        location /control { sync control; }
        location /status  { sync status; }
        location /stub    { stub_status; }
    }
}
EOF

$t->write_certificate('localhost');
$t->run;

my $json = JSON::PP->new->canonical;

for my $version (@versions) {
	my @tls = (tls => [ $version ]);
	my $name = substr $version, 1;

	my $ws = $t->ws('/ws', @tls);
	is($ws->status, 101, "$name: accepted");
	my $id = $ws->recv_json->[1]{clientId};

	# both ways, small and large, more than a record and than a read

	join_room($ws, 'r');

	for my $size (1, 16000, 16384, 70000, 400000) {
		my $text = join '', map { chr 0x61 + rand 26 } 1 .. $size;
		publish('r', $text);
		my $m = $ws->recv_json(15);
		is(md5_hex($m->[1]), md5_hex($text), "$size bytes out");
	}

	for my $size (16000, 70000, 900000) {
		$ws->send_json([ 'joinRoom', { group => 'r', pad => 'x' x $size,
			responseIndex => $size } ]);
		ok($ws->recv_event("joinRoom-$size", 15), "$size bytes in");
	}

	$ws->put(join '', map { $ws->frame(payload =>
		qq(["getJoinedRooms",{"responseIndex":$_}])) } 1 .. 500);
	is(scalar(grep { $ws->recv_json->[0] eq "getJoinedRooms-$_" } 1 .. 500),
		500, '500 requests in a write');

	$ws->put_pieces($ws->frame(payload =>
		'["getJoinedRooms",{"responseIndex":7}]'), 1);
	ok($ws->recv_event('getJoinedRooms-7'), 'byte by byte');

	$ws->send_ping('hello');
	is($ws->recv_frame->{payload}, 'hello', 'pong');

	# the end: by the peer, by us, by neither

	is($ws->shut(4000), 4000, 'closed by the peer');

	$ws = $t->ws('/ws', @tls);
	$id = $ws->recv_json->[1]{clientId};
	disconnect($id);
	is($ws->wait_close, 1000, 'closed by us');

	$ws = $t->ws('/ws', @tls);
	$ws->recv_json;
	$ws->put($ws->frame(opcode => 3) . 'x' x 200000);
	is($ws->wait_close, 1002, 'closed with unread input');

	my @many = map { $t->ws('/ws', @tls) } 1 .. 4;
	is(clients_become(4), 4, 'some more');
	$_->disconnect for @many;
	is(clients_become(0), 0, 'and gone');

	# pings

	my ($good, $silent) = map { $t->ws('/pinged', @tls, auto_pong => $_) }
		1, 0;
	$_->recv_json for $good, $silent;

	# which is read meanwhile, and so answers

	$t->wait_for(sub {
		$good->recv_json(0.1);
		$silent->recv_json(0.1);
		return $silent->close_code;
	});
	is($silent->wait_close, 1011, 'silent client');
	$good->recv_json(0.1);
	is($good->close_code, undef, 'the other stays');
	$good->disconnect;

	# frames that came in one record with the handshake

	my $p = Test::Sync::WS->_open(port => $t->port, uri => '/ws', @tls);
	$p->put($p->frame(payload => '["getJoinedRooms",{"responseIndex":3}]'));
	$p->_handshake;
	ok($p->recv_event('getJoinedRooms-3'), 'frames behind the handshake');
	$p->disconnect;

	# compression

	$ws = $t->ws('/deflate', @tls, deflate => 1);
	$ws->recv_json;
	$ws->send_deflated('["joinRoom",{"group":"r","responseIndex":1}]');
	ok($ws->recv_event('joinRoom-1'), 'compressed in');
	publish('r', 'abc' x 10000);
	is($ws->recv_json->[1], 'abc' x 10000, 'compressed out');
	$ws->disconnect;

	# event streams

	my $es = $t->sse('/events?channels=s', @tls);
	my $hello = $es->recv_json;
	is($hello->{type}, 'connected', 'event stream');
	publish('s', 'q' x 100000);
	is(length $es->recv_json(15)->{data}, 100000, 'large event');
	disconnect($hello->{clientId});
	ok($es->wait_eof, 'ended by us');
	$es->next_event;
	ok($es->retry && $es->complete, 'in good order');
	$es->disconnect;

	# a slow one is closed when its queue is full

	my $before = $t->http('GET', '/status', port => 1)->json
		->{counters}{slow};
	$ws = $t->ws('/ws', @tls);
	$ws->recv_json;
	join_room($ws, 'slow');

	ok($t->wait_for(sub {
		publish('slow', 'z' x 100000);
		return $t->http('GET', '/status', port => 1)->json
			->{counters}{slow} > $before;
	}, 60), 'slow client');
	is(clients_become(0), 0, 'is gone');
	$ws->disconnect;
}

# HTTP/2, agreed to by ALPN

my $curl = $t->sse('/events?channels=h', tls => 1, http2 => 1);
is($curl->status, 200, 'HTTP/2');
is($curl->recv_json->{type}, 'connected', 'event stream');
publish('h', 'x');
is($curl->recv_json->{data}, 'x', 'event');

# a reload lets all go in good order

my $ws = $t->ws('/ws', tls => 1);
$ws->recv_json;
$t->reload;
is($ws->wait_close, 1012, 'reload');
ok($curl->wait_eof, 'for all');
$_->disconnect for $ws, $curl;
ok($t->wait_for(sub { !$t->leaving }), 'the old worker ends');

ok($t->wait_for(sub {
	return $t->http('GET', '/stub', port => 1)->body
		=~ /^Active connections: 1 /;
}), 'no connection is left');


sub join_room {
	my ($ws, $room) = @_;
	$ws->send_json([ 'joinRoom', { group => $room, responseIndex => 1 } ]);
	$ws->recv_event('joinRoom-1');
}

sub publish {
	my ($room, $data) = @_;
	$t->http('POST', '/control/publish', port => 1, json => {
		room => $room, event => 'message', data => $data });
}

sub disconnect {
	$t->http('POST', '/control/disconnect', port => 1,
		json => { clientId => $_[0] });
}

sub clients_become {
	my ($n) = @_;
	my $clients = sub {
		return $t->http('GET', '/status', port => 1)->json->{clients};
	};
	$t->wait_for(sub { $clients->() == $n });
	return $clients->();
}
