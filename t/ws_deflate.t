#!/usr/bin/perl

# Copyright (C) sync for nginx

# permessage-deflate (RFC 7692): what is agreed to, messages in and out, each
# compressed on its own, and bounds for what a message may become.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Compress::Raw::Zlib;
use Test::More;
use Test::Sync;
use Test::Sync::WS;

my @offers = (
	[ 'permessage-deflate', 1 ],
	[ 'permessage-deflate; client_max_window_bits', 1 ],
	[ 'permessage-deflate; client_max_window_bits=10', 1 ],
	[ 'permessage-deflate; server_max_window_bits=15', 1 ],
	[ 'permessage-deflate; server_no_context_takeover', 1 ],
	[ 'permessage-deflate; client_no_context_takeover; '
		. 'server_no_context_takeover', 1 ],
	[ 'x-webkit-deflate-frame, permessage-deflate', 1 ],
	[ 'permessage-deflate; unknown, permessage-deflate', 1 ],
	[ 'permessage-deflate; unknown', 0 ],
	[ 'permessage-deflate; server_max_window_bits=8', 0 ],
	[ 'permessage-deflate; server_max_window_bits=16', 0 ],
	[ 'permessage-bzip2', 0 ],
);

my $t = Test::Sync->new->plan(2 * @offers + 45);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_max_message 64k;

        location /ws      { sync websocket; sync_compression on min=200; }
        location /fast    { sync websocket; sync_compression on level=1 min=0; }
        location /off     { sync websocket; }
        location /control { sync control; }
    }
}
EOF

$t->run;

# what is agreed to

for my $offer (@offers) {
	my ($text, $good) = @$offer;
	my $ws = $t->ws('/ws', deflate => $text);

	is($ws->status, 101, "offer: $text");

	if ($good) {
		like($ws->extensions, qr/^permessage-deflate(?=.*;
			\s*server_no_context_takeover)(?=.*;
			\s*client_no_context_takeover)/x, 'is agreed to');

	} else {
		is($ws->extensions, undef, 'is not');
	}
}

is($t->ws('/ws', deflate => 'permessage-deflate; =')->status, 400,
	'malformed offer');
is($t->ws('/off', deflate => 1)->extensions, undef, 'switched off');
is($t->ws('/ws', headers => [ map { "Sec-WebSocket-Extensions: $_" }
	'x', 'permessage-deflate' ])->extensions =~ /^permessage-deflate/, 1,
	'an offer in a second line');

# in

my $ws = opened('/ws');
my $i = 0;

$ws->send_deflated(join_room());
joined('a message');

$ws->send_frame(payload => join_room());
joined('one that is not compressed');

$ws->put_pieces($ws->frame(rsv => 4, payload => $ws->deflate(join_room())), 1);
joined('byte by byte');

fragments(1, $ws->deflate(join_room()));
joined('in fragments of a byte');

fragments(7, $ws->deflate(join_room('x' x 5000)), 1);
joined('in fragments with pings between');

$ws->send_deflated(join_room(join '', map { chr 0x61 + rand 26 } 1 .. 60000));
joined('a long one');

$ws->put(join '', map { $ws->frame(rsv => 4, payload =>
	$ws->deflate(join_room("p$_"))) } 1 .. 100);
$i -= 99;
my $n = grep { $_ } map { $ws->recv_event('joinRoom-' . ($i + $_)) } 0 .. 99;
is($n, 100, 'many at once');
$i += 99;

for my $level (0, 1, 9) {
	my $text = join_room(join '', map { "word$_" } 1 .. 5000);
	$ws->send_frame(rsv => 4, payload => deflated($text, -Level => $level));
	joined("level $level");
}

$ws->send_frame(rsv => 4, payload => deflated(join_room('y' x 100),
	-Strategy => Z_FIXED));
joined('fixed codes');

# a final block, and the empty one that RFC 7692, 7.2.3.4 adds to it

$ws->send_frame(rsv => 4, payload => final(join_room()) . "\0");
joined('a final block');

$ws->send_frame(rsv => 4, payload => "\0");
is($ws->recv_json->[1]{errorCode}, 'protocol.invalidFrame', 'empty message');

# stored as it is, a message of the largest size is longer than that size

my $stored = join_room('');
$stored = join_room('s' x (65536 - length $stored), $i);
is(length $stored, 65536, 'a message of the largest size');
$ws->send_frame(rsv => 4, payload => deflated($stored, -Level => 0));
joined('stored');

# out

my ($plain, $other, $fast) = (opened('/off'), opened('/ws'), opened('/fast'));
$ws = opened('/ws');

for my $peer ($plain, $other, $fast, $ws) {
	$peer->send_text('["joinRoom",{"group":"out","responseIndex":1}]');
	$peer->recv_event('joinRoom-1');
}

# fast hears the answer to its own joining compressed, as min=0

my $text = 'a text that repeats itself, ' x 40;
publish($text) for 1 .. 2;

my @first = map { $ws->recv_frame } 1 .. 2;
is($first[0]{rsv}, 4, 'compressed');
is($first[0]{payload}, $first[1]{payload}, 'each message on its own');
cmp_ok(length $first[0]{payload}, '<', 150, 'and shorter');
is_deeply(JSON::PP::decode_json($ws->_inflate($first[1]{payload})),
	[ 'message', $text, { room => 'out' } ], 'and the same');
is($other->recv_frame->{payload}, $first[0]{payload}, 'compressed once');
is($other->recv_json->[1], $text, 'once more');
my $f = $plain->recv_frame;
is($f->{rsv}, 0, 'not without agreement');
like($f->{payload}, qr/^\["message","a text/, 'but plain');
is($plain->recv_json->[1], $text, 'once more');
is($fast->recv_json->[1], $text, 'at another level') for 1 .. 2;

publish('short');
$f = $ws->recv_frame;
is($f->{rsv}, 0, 'below the least size');
$f = $fast->recv_frame;
is($f->{rsv}, 0, 'what would not be shorter');
is($f->{payload}, '["message","short",{"room":"out"}]', 'but plain');

# messages of several sizes in one turn

$t->http('POST', '/control/publish', json => { room => 'out',
	event => 'message', data => $_ x 300 }) for 1 .. 20;
is(join(' ', map { $ws->recv_json->[1] } 1 .. 20),
	join(' ', map { $_ x 300 } 1 .. 20), 'twenty in their order');

# a request's own answer is compressed as well

$ws->send_text('["getJoinedRooms",{"responseIndex":77}]');
is($ws->recv_event('getJoinedRooms-77')->[1]{rooms}[0], 'out', 'an answer');

# what is malformed or too much

refused(1007, 'not deflate', "\xff\xff\xff");
refused(1007, 'cut', substr deflated('["' . 'abc' x 100 . '"]'), 0, 10);
refused(1007, 'no UTF-8', deflated("[\"\xff\"]"));
refused(1009, 'a byte more than allowed', deflated('x' x 65537, -Level => 0));
refused(1009, 'a bomb', deflated('0' x 50_000_000));
refused(1009, 'a small bomb', deflated('0' x 60000));
refused(1002, 'RSV1 in a continuation', '["', fin => 0, then => 0);
refused(1002, 'RSV1 on a ping', 'x', opcode => 9);
refused(1003, 'binary', deflated('x'), opcode => 2);

$ws = opened('/ws');
$ws->put(substr $ws->frame(rsv => 4, bits => 64, length => 2 ** 33), 0, 14);
is($ws->wait_close, 1009, 'announced too much');

# the state that others' messages use is not harmed

$ws = opened('/ws');
$ws->send_deflated(join_room());
joined('after all that');


sub opened {
	my ($uri) = @_;
	my $ws = $t->ws($uri, deflate => 1);
	$ws->recv_json;
	return $ws;
}

sub join_room {
	my ($pad, $index) = @_;

	$index //= ++$i;
	$pad //= '';

	return qq(["joinRoom",{"group":"g","pad":"$pad",)
		. qq("responseIndex":$index}]);
}

sub joined {
	my ($name) = @_;
	ok($ws->recv_event("joinRoom-$i"), $name);
}

sub publish {
	$t->http('POST', '/control/publish', json => { room => 'out',
		event => 'message', data => $_[0] });
}

sub fragments {
	my ($size, $bytes, $pings) = @_;

	my @p = unpack "(a$size)*", $bytes;

	$ws->put(join '', map { ($ws->frame(opcode => $_ ? 0 : 1,
		rsv => $_ ? 0 : 4, fin => $_ == $#p, payload => $p[$_]),
		$pings ? $ws->frame(opcode => 9) : ()) } 0 .. $#p);
}

sub deflated {
	my ($text, %o) = @_;

	my ($d) = Compress::Raw::Zlib::Deflate->new(-WindowBits => -15,
		-AppendOutput => 1, %o);
	my $out = '';

	$d->deflate($text, $out);
	$d->flush($out, Z_SYNC_FLUSH);

	return substr $out, 0, -4;
}

sub final {
	my ($text) = @_;

	my ($d) = Compress::Raw::Zlib::Deflate->new(-WindowBits => -15,
		-AppendOutput => 1);
	my $out = '';

	$d->deflate($text, $out);
	$d->flush($out, Z_FINISH);

	return $out;
}

sub refused {
	my ($code, $name, $payload, %o) = @_;

	my $ws = opened('/ws');
	my $then = delete $o{then};

	$ws->send_frame(rsv => 4, payload => $payload, %o);
	$ws->send_frame(rsv => 4, opcode => $then) if defined $then;

	is($ws->wait_close, $code, $name);
}
