#!/usr/bin/perl

# Copyright (C) sync for nginx

# The opening handshake of a WebSocket: what is agreed to, what is refused and
# how, and what becomes of the request.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Test::Sync::WS;

my $t = Test::Sync->new->plan(43);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;

    log_format short "$status $sync_client";

    server {
        listen 127.0.0.1:%%PORT_0%%;

        client_header_buffer_size 256;

        location /ws {
            sync websocket;
            access_log %%TESTDIR%%/access.log short;
        }

        location /deflate { sync websocket; sync_compression on; }
        location /status  { sync status; }
        location /stub    { stub_status; }
    }
}
EOF

$t->run;

# what is agreed to

my $ws = $t->ws('/ws', key => 'dGhlIHNhbXBsZSBub25jZQ==');
is($ws->status, 101, 'accepted');
is($ws->{reason}, 'Switching Protocols', 'reason phrase');
is($ws->header('sec-websocket-accept'), 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
	'the key and answer of RFC 6455');
is(lc $ws->header('upgrade'), 'websocket', 'Upgrade');
is(lc $ws->header('connection'), 'upgrade', 'Connection');
is($ws->header('content-type'), undef, 'no Content-Type');
is($ws->header('transfer-encoding'), undef, 'no Transfer-Encoding');
is($ws->extensions, undef, 'no extension');
is($ws->protocol, undef, 'no subprotocol');
is($ws->recv_json->[0], 'connected', 'first frame');

is($t->ws('/ws', protocol => 'chat, sync.v1')->protocol, 'sync.v1',
	'subprotocol in a list');
is($t->ws('/ws', headers => [ map { "Sec-WebSocket-Protocol: $_" }
	qw/ chat sync.v1 / ])->protocol, 'sync.v1', 'subprotocol in lines');
is($t->ws('/ws', protocol => 'chat')->status, 101, 'unknown subprotocol');
is($t->ws('/ws', protocol => 'Sync.V1')->protocol, undef,
	'subprotocols have their case');
is($t->ws('/ws', deflate => 1)->extensions, undef, 'compression is off');
like($t->ws('/deflate', deflate => 1)->extensions, qr/^permessage-deflate/,
	'compression is on');

my $key = 'AAAAAAAAAAAAAAAAAAAAAA==';
my %h = ('Host' => 'a', 'Upgrade' => 'WebSocket', 'Sec-WebSocket-Key' => $key,
	'Connection' => 'keep-alive, UPGRADE', 'Sec-WebSocket-Version' => '13');

is(status(raw()), 101, 'tokens in lists, in any case');

# what is not

my $post = 'POST /ws HTTP/1.1';

is(status(raw('Sec-WebSocket-Key' => undef)), 400, 'no key');
is(status(raw('Sec-WebSocket-Key' => 'AAAA')), 400, 'short key');
is(status(raw('Sec-WebSocket-Key' => 'A' x 24)), 400, 'key is no base64');
is(status(raw("Sec-WebSocket-Key: $key\r\nX" => '')), 400, 'two keys');
is(status(raw('Connection' => 'keep-alive')), 400, 'Connection without it');
is(status(raw('Sec-WebSocket-Version' => undef)), 400, 'no version');
is(status(raw("Sec-WebSocket-Version: 13\r\nX" => '')), 400, 'two versions');
is(status(raw('Content-Length' => 2, tail => '{}')), 400, 'a body');
is(status(raw('Transfer-Encoding' => 'chunked')), 400, 'a chunked body');
is(status(raw(request => $post, 'Content-Length' => 0)), 405, 'POST');
is(status(raw(request => 'GET /ws HTTP/1.0')), 400, 'HTTP/1.0');

my $old = raw('Sec-WebSocket-Version' => '8');
is(status($old), 426, 'another version');
is($old->header('sec-websocket-version'), '13', 'told which');

my $plain = raw('Upgrade' => undef, 'Connection' => undef);
is(status($plain), 426, 'no upgrade');
is($plain->header('upgrade'), 'websocket', 'told to what');

# the connection of a refused one may be used for another

$plain->put(request());
is(status($plain), 101, 'again on the same connection');

# frames right behind the request, also when its header was large

my $frames = join '', map { $ws->frame(payload =>
	qq(["joinRoom",{"group":"g$_","responseIndex":$_}])) } 1 .. 3;

for my $padding (0, 3000) {
	my $p = raw('X-Padding' => 'x' x $padding, tail => $frames);
	is(status($p), 101, "pipelined, padding $padding");
	$p->recv_event('joinRoom-3');
	is(join(' ', map { $_->[0] } $p->skipped),
		'connected joinRoom-1 joinRoom-2', 'frames in their order');
}

# byte by byte

my $slow = bless Test::Sync::Peer->new(port => $t->port), 'Test::Sync::WS';
$slow->put_pieces(request(tail => $frames), 1);
is(status($slow), 101, 'byte by byte');
ok($slow->recv_event('joinRoom-3'), 'with frames');

# the request is logged when it ends, which is at once

my @lines;
ok($t->wait_for(sub {
	@lines = grep { /^101 / } split /\n/, $t->read_file('access.log');
	return @lines >= 10;
}), 'logged');
like($lines[0], qr/^101 [\w-]{22}$/, 'with $sync_client');

# connections are counted while they are there

my @many = $t->ws_many(20, '/ws');
my $before = active();
$_->disconnect for @many[0 .. 9];
$_->reset for @many[10 .. 14];
$_->shut for @many[15 .. 19];
ok($t->wait_for(sub { active() == $before - 20 }), 'stub_status counts');

# peers that are gone when their handshake is answered

for (1 .. 20) {
	my $p = Test::Sync::Peer->new(port => $t->port);
	$p->put(request());
	$_ & 1 ? $p->reset : $p->disconnect;
}

$_->disconnect for $ws, $slow, $plain, $old;
ok($t->wait_for(sub {
	return $t->http('GET', '/status')->json->{clients} == 0;
}), 'nobody left');


sub request {
	my %r = (%h, request => 'GET /ws HTTP/1.1', tail => '', @_);
	my ($line, $tail) = delete @r{qw/ request tail /};

	return join("\r\n", $line, map({ "$_: $r{$_}" }
		grep { defined $r{$_} } sort keys %r), '', '') . $tail;
}

sub raw {
	my $p = Test::Sync::Peer->new(port => $t->port);
	$p->put(request(@_));
	return bless $p, 'Test::Sync::WS';
}

# Reads the header, and the body of what is no WebSocket.

sub status {
	my ($p) = @_;

	$p->recv_head or return undef;

	my $length = $p->header('content-length') // 0;
	$p->take(undef, sub { length $p->{in} >= $length or return undef;
		return substr $p->{in}, 0, $length, ''; })
		if $p->status != 101;

	return $p->status;
}

sub active {
	my ($n) = $t->http('GET', '/stub')->body =~ /^Active connections: (\d+)/;
	return $n;
}
