#!/usr/bin/perl

# Copyright (C) sync for nginx

# Frames and messages of WebSockets as RFC 6455, 5, has them: each length,
# fragments, control frames between them, UTF-8, and whatever a client may not
# send; in one piece, cut anywhere, and byte by byte.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::MD5 qw/ md5_hex /;
use Encode qw/ encode /;
use Test::More;
use Test::Sync;
use Test::Sync::WS;

my @invalid = (
	[ 1002, 'not masked', { mask => 0 } ],
	[ 1002, 'RSV1', { rsv => 4 } ],
	[ 1002, 'RSV2', { rsv => 2 } ],
	[ 1002, 'RSV3', { rsv => 1 } ],
	map({ [ 1002, "opcode $_", { opcode => $_ } ] } 3 .. 7, 11 .. 15),
	[ 1002, 'ping of 126 bytes', { opcode => 9, payload => 'x' x 126 } ],
	[ 1002, 'ping in fragments', { opcode => 9, fin => 0 } ],
	[ 1002, 'close in fragments', { opcode => 8, fin => 0 } ],
	[ 1002, 'continuation of nothing', { opcode => 0 } ],
	[ 1002, 'continuation after a message', {}, { opcode => 0 } ],
	[ 1002, 'message in a message', { fin => 0 }, {} ],
	[ 1002, 'binary message in one', { fin => 0 }, { opcode => 2 } ],
	[ 1002, '16 bits for 125', { bits => 16, payload => 'x' x 125 } ],
	[ 1002, '64 bits for 65535', { bits => 64, payload => 'x' x 65535 } ],
	[ 1002, '2^63 bytes', { bits => 64, length => 2 ** 63 } ],
	[ 1003, 'binary', { opcode => 2, payload => '[]' } ],
	[ 1003, 'binary in fragments', { opcode => 2, fin => 0 } ],
	[ 1007, 'no UTF-8', { payload => "[\"\xff\"]" } ],
	[ 1007, 'overlong', { payload => "[\"\xc0\xaf\"]" } ],
	[ 1007, 'surrogate', { payload => "[\"\xed\xa0\x80\"]" } ],
	[ 1007, 'above U+10FFFF', { payload => "[\"\xf4\x90\x80\x80\"]" } ],
	[ 1007, 'cut character', { payload => "[\"\xe2\x82" } ],
	[ 1007, 'cut in the last fragment', { payload => '["', fin => 0 },
		{ opcode => 0, payload => "\xe2\x82" } ],
	[ 1007, 'seen before the message ends', { payload => "[\"\xe2",
		fin => 0 }, { opcode => 0, fin => 0, payload => 'x' } ],
);

my $t = Test::Sync->new->plan(37 + 2 * @invalid);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_hook server /_hook/sync;
        sync_receiver any;
        sync_max_message 256k;

        location /ws     { sync websocket; }
        location /status { sync status; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
        }
    }
}
EOF

# the app answers what the message was, by its length and sum

$t->hook(port => 1, answer => sub {
	my $text = encode('UTF-8', $_[0]{json}{data}{text});
	return { json => { status => 'success', length => length $text,
		md5 => md5_hex($text) } };
});

$t->run;

# somebody has to hear it

my $member = $t->ws('/ws');
$member->send_text('["joinRoom",{"group":"r","responseIndex":1}]');
$member->recv_event('joinRoom-1');

my $n = 0;

# payloads of each form of length

my $ws = $t->ws('/ws');

for my $length (125, 126, 127, 128, 65535, 65536, 65537, 131072, 262144) {
	my $text = text($length - length message(++$n, ''));
	$ws->send_text(message($n, $text));
	answered($ws, $text, "message of $length bytes");
}

# many in one write; one in many writes

$ws->put(join '', map { $ws->frame(payload => message(++$n, "m$_")) } 1 .. 200);
my %got = map { $_->[0] => 1 }
	map { $ws->recv_event(qr/^sync-\d+$/) // () } 1 .. 200;
is(scalar(grep { $got{'sync-' . ($n - 200 + $_)} } 1 .. 200), 200,
	'200 messages in a write');

my $text = text(300);
$ws->put_pieces($ws->frame(payload => message(++$n, $text)), 1);
answered($ws, $text, 'byte by byte');

$text = text(70000);
$ws->put_pieces($ws->frame(payload => message(++$n, $text)), 4099);
answered($ws, $text, 'cut at every 4099 bytes');

# in fragments, with characters and frames cut anywhere

for my $size (1, 2, 3, 7, 1000) {
	$text = text($size < 1000 ? 200 : 20000);
	$ws->put(join '', fragments($size, message(++$n, $text)));
	answered($ws, $text, "fragments of $size bytes");
}

$text = text(50);
$ws->put_pieces(join('', fragments(3, message(++$n, $text))), 1);
answered($ws, $text, 'fragments of 3 bytes, byte by byte');

my @f = fragments(40, message(++$n, $text = text(400)));
$ws->put($f[0]);
$ws->send_ping('between');
is($ws->recv_frame->{payload}, 'between', 'ping in a message is answered');
$ws->put(join '', map { ($_, $ws->frame(opcode => 10, payload => 'unasked')) }
	@f[1 .. $#f]);
answered($ws, $text, 'pongs between fragments');

@f = fragments(150, message(++$n, $text = text(400)));
$ws->put($ws->frame(fin => 0) . join '', map { ($_,
	$ws->frame(opcode => 0, fin => 0)) } continued(@f));
$ws->send_frame(opcode => 0);
answered($ws, $text, 'empty fragments');

# control frames

for my $payload ('', 'p', "\x00\xff" x 62 . 'x') {
	$ws->send_ping($payload);
	my $f = $ws->recv_frame;
	is_deeply([ @$f{qw/ opcode fin rsv masked payload /} ],
		[ 10, 1, 0, 0, $payload ],
		'pong of ' . length($payload) . ' bytes');
}

$ws->put_pieces($ws->frame(opcode => 9, payload => 'slowly'), 1);
is($ws->recv_frame->{payload}, 'slowly', 'ping byte by byte');

$ws->put(join '', map { $ws->frame(opcode => 9, payload => "p$_") } 1 .. 10);
is(join(' ', map { $ws->recv_frame->{payload} } 1 .. 10),
	join(' ', map { "p$_" } 1 .. 10), 'pings in a row');

# what is JSON or not is not for this layer to close for

for my $payload ('', '{}', '[', 'null', '[]', '[1]') {
	$ws->send_text($payload);
	is($ws->recv_json->[1]{errorCode}, 'protocol.invalidFrame',
		"payload \"$payload\"");
}

$ws->send_text(qq(["joinRoom",{"group":"\xf0\x9f\x98\x80","responseIndex":1}]));
is_deeply($ws->recv_event('joinRoom-1')->[1]{rooms}, [ "\x{1f600}" ],
	'characters outside of the BMP');

# masks

for my $mask ("\0\0\0\0", "\xff\x00\x80\x7f") {
	$text = text(1003);
	$ws->send_frame(mask => $mask, payload => message(++$n, $text));
	answered($ws, $text, 'mask ' . unpack 'H*', $mask);
}

# what frames of ours look like

$ws->send_text('["getJoinedRooms",{"responseIndex":5}]');
my $f = $ws->recv_frame;
is_deeply([ @$f{qw/ opcode fin rsv masked /} ], [ 1, 1, 0, 0 ], 'our frame');

# what no client may send: whole, and byte by byte

for my $case (@invalid) {
	my ($code, $name, @frames) = @$case;

	for my $pieces (1 << 20, 1) {
		my $bad = $t->ws('/ws');
		$bad->recv_json;

		for my $frame (@frames) {

			# refused at the header: the rest may meet a reset

			my $bytes = $bad->frame(payload => '["x"]', %$frame);
			$bytes = substr $bytes, 0, 20
				if $pieces == 1 && length $bytes > 100;

			$bad->put_pieces($bytes, $pieces);
		}

		is($bad->wait_close, $code,
			$name . ($pieces == 1 ? ', byte by byte' : ''));
	}
}

is($t->http('GET', '/status')->json->{counters}{invalid},
	6 + 2 * @invalid, 'counted');


# A message that is of some length, with characters of 1 to 4 bytes.

sub text {
	my ($length) = @_;

	my @chars = map { encode('UTF-8', chr) } 0x61 .. 0x7a, 0xe9, 0x20ac,
		0x1f600;
	my $text = '';

	while (1) {
		my $c = $chars[rand @chars];
		last if length($text) + length $c > $length;
		$text .= $c;
	}

	return $text . 'z' x ($length - length $text);
}

sub message {
	my ($index, $text) = @_;

	return '["sync",{"name":"sync/t/echo/v1","cb":"c","receiver":"r",'
		. qq("responseIndex":$index,"data":{"text":"$text"}}]);
}

sub answered {
	my ($ws, $text, $name) = @_;

	my $r = $ws->recv_event("sync-$n");

	is_deeply([ @{$r->[1]{result}}{qw/ length md5 /} ],
		[ length $text, md5_hex($text) ], $name);
}

sub fragments {
	my ($size, $text) = @_;

	my @pieces = unpack "(a$size)*", $text;

	return map { $ws->frame(opcode => $_ ? 0 : 1, fin => $_ == $#pieces,
		payload => $pieces[$_]) } 0 .. $#pieces;
}

# The same frames as those of a message that has begun, and does not end.

sub continued {
	return map { chr(0) . substr $_, 1 } @_;
}
