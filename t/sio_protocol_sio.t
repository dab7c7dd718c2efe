#!/usr/bin/perl

# Copyright (C) sync for nginx

# The rules of the Socket.IO protocol, version 5, by polling and by WebSocket:
# CONNECT, DISCONNECT, events, acknowledgements and bytes, and each type of
# packet where it is malformed or comes when it may not.

use warnings;
use strict;

use FindBin;
use JSON::PP;
use MIME::Base64 qw/ encode_base64 /;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::Sync;

my $t = Test::Sync->new->plan(274);

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
            sync_max_message 4096;
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

# the app says what it heard

$t->hook(port => 1, answer => sub {
	return { json => { status => 'success', it => $_[0]{json}{data} } };
});

$t->run;

my $true = JSON::PP::true;
my $json = JSON::PP->new->canonical;

my $event = '["getJoinedRooms"]';
my $place = '{"_placeholder":true,"num":';
my $api = '["apiRequest",{"name":"api/a/b/v1","responseIndex":1,"data":';

for my $transport ('websocket', 'polling') {
	my $c = opened($transport);

	# CONNECT

	for my $packet ('40', '40{}', '40{"token":"x","a":[1]}', '40/,', '40/,{}') {
		my $c = opened($transport);
		say_to($c, $packet);
		like(heard($c), qr/^40\{"sid":"[\w-]{22}"\}$/,
			"$transport: '$packet'");
		leave($c);
	}

	for my $packet ('40/foo', '40/foo,', '40/foo,{"token":"x"}', '40/foo?a=b,{}')
	{
		my ($name) = $packet =~ m!^40(/[^,?]+)!;
		say_to($c, $packet);
		is(heard($c), qq(44$name,{"message":"Invalid namespace"}),
			"$transport: '$packet'");
	}

	say_to($c, '40');
	my ($id) = heard($c) =~ /"sid":"([\w-]+)"/;
	ok($id, 'the session goes on');

	for my $again ('40', '40{}', '40{"a":1}', '40/,') {
		closes($transport, 1, "a second '$again'", $again);
	}

	# what may not be said before CONNECT

	closes($transport, 0, "'$_' before CONNECT", $_)
		for "42$event", "421$event", "42/foo,$event", '41', '41/foo,',
			'431[]', '44{"message":"x"}', qq(451-["a",${place}0}]),
			qq(461-1[${place}0}]);

	# what is malformed, whenever it comes

	for my $bad ('4', '4x', '47', '4 0', '4-1', '40"x"', '40[]', '40{', '40null',
		'40 x', '40{}x', '401x')
	{
		closes($transport, 0, "'$bad'", $bad);
	}

	for my $bad ('41{}', '411{}', '42', '421', '42{}', '42[]', '42[{}]',
		'42[null]', '42[["a"]]', '42[true]', '42"a"', '42abc', '42["a"',
		'42["a"]]', '42["a"],', '42["a",]', '42[\'a\']', '42["a",NaN]',
		"42[\"a\n\"]", '42-1["a"]', '429007199254740992["a"]', '43', '431',
		'43["a"]', '431{}', '431["a"', '431"a"', '44', '44[]', '441',
		'44"x"', '44{"message":"x"}',
		'45', '45["a"]', '45-["a"]', '450-["a"]', '4565-["a"]', '451["a"]',
		'451-', '451-{}', '451-[]', '45x-["a"]', '4599999999999999999-["a"]',
		'46', '46["a"]', '461-["a"]', '460-1["a"]', '461-1{}', '461-1', '461')
	{
		closes($transport, 1, "'$bad'", $bad);
	}

	closes($transport, 1, "the event '$_'", qq(42["$_",1])) for qw/ connect
		connect_error disconnect disconnecting newListener removeListener /;
	closes($transport, 1, 'one with bytes', qq(451-["connect",${place}0}]),
		\'x');
	closes($transport, 1, 'one that is escaped', '42["\u0063onnect"]');

	# events: unknown ones, and names that are numbers, are nothing

	for my $packet ('42["unknown"]', '423["unknown",{}]', '42[1,2]', '42[""]',
		'42["message","x"]', '431[]', '437["a",{}]', '43281474976710655[]',
		qq(42["a",${place}0}]))
	{
		say_to($c, $packet);
	}

	say_to($c, qq(451-["unknown",${place}0}]), \'abc');
	say_to($c, qq(461-9[${place}0}]), \'abc');
	say_to($c, "420$event");
	is(heard($c), '430[{"rooms":[]}]', 'ignored, not answered');

	# acknowledgements: of events that ask, by their number

	say_to($c, '421["joinRoom",{"group":"r"}]', '4212["joinRoom",{}]',
		'4200013["leaveRoom",{"group":"r"}]');
	is(heard($c), '431[{"rooms":["r"]}]', 'acknowledged');
	like(heard($c), qr/^4312\[\{"status":"error"/, 'an error, too');
	is(heard($c), '4313[{"rooms":[]}]', 'numbers are numbers');

	# the server's events, and the acknowledgements that it waits for

	emit($id, args => [ 1, 'a', { b => [] }, undef ]);
	is(heard($c), '42["e",1,"a",{"b":[]},null]', 'any arguments');

	my $asked = begin_emit($id, ack => $true);
	my ($n) = heard($c) =~ /^42(\d+)\["e"\]$/;
	ok(defined $n, 'an event that asks');
	say_to($c, "43" . ($n + 1) . '["another"]', "43${n}[1,{\"a\":2}]",
		"43${n}[\"again\"]");
	is(acks($asked, $id), '[1,{"a":2}]', 'the first one counts');

	$asked = begin_emit($id, ack => $true);
	($n) = heard($c) =~ /^42(\d+)\["e"\]$/;
	say_to($c, "462-${n}[{\"a\":${place}1}},${place}0}]", \"\0\1", \'xyz');
	is(acks($asked, $id), '[{"a":{"base64":"eHl6"}},{"base64":"AAE="}]',
		'bytes in an acknowledgement, each in its place');

	emit($id, args => [ { base64 => 'AAE=' }, [ { base64 => 'eHl6' } ], 3,
		{ base64 => '' } ], binary => $true);
	is(heard($c), qq(453-["e",${place}0},[${place}1}],3,${place}2}]),
		'bytes of the server');
	is(heard_bytes($c), "\0\1", 'the first');
	is(heard_bytes($c), 'xyz', 'the second');
	is(heard_bytes($c), '', 'the last one has none');

	# bytes of the client

	for my $case (
		[ 'one', '451-', "${place}0}", '{"base64":"AP8="}', "\0\xff" ],
		[ 'in order', '452-', "[${place}0},${place}1}]",
			'[{"base64":"YQ=="},{"base64":"YmI="}]', 'a', 'bb' ],
		[ 'out of order', '452-', "[${place}1},${place}0}]",
			'[{"base64":"YmI="},{"base64":"YQ=="}]', 'a', 'bb' ],
		[ 'not used', '452-', "{\"x\":{\"y\":${place}1}}}",
			'{"x":{"y":{"base64":"YmI="}}}', 'a', 'bb' ],
		[ 'empty', '451-', "${place}0}", '{"base64":""}', '' ],
		[ 'false ones', '451-', "[{\"_placeholder\":false},${place}0}]",
			'[{"_placeholder":false},{"base64":"YQ=="}]', 'a' ],
	) {
		my ($name, $head, $data, $want, @bytes) = @$case;

		$data = "{\"v\":$data}";
		say_to($c, "$head$api$data}]", map { \$_ } @bytes);
		is($json->encode(decode_json(substr heard($c), 2)->[1]{it}),
			"{\"v\":$want}", "bytes: $name");
	}

	say_to($c, "451-5${api}{\"v\":${place}0}}}]", \'a');
	like(join(' ', sort(heard($c), heard($c))),
		qr/^42\["apiResponse-1",\S+ 435\[\{"it":\{"v":\{"base64":"YQ==/,
		'with an acknowledgement');

	say_to($c, join('', '4564-', $api, '[', join(',', map { "$place$_}" }
		0 .. 63), ']}]'), map { my $x = chr $_; \$x } 0 .. 63);
	ok(defined heard($c), 'bytes: 64 of them');

	closes($transport, 1, 'bytes of no event', \'a');
	closes($transport, 1, 'more than were told',
		qq(451-["a",${place}0}]), \'a', \'b');
	closes($transport, 1, 'bytes that are missing',
		qq(452-["a",${place}0}]), \'a', "42$event");
	closes($transport, 1, 'a CONNECT instead', qq(451-["a",${place}0}]), '40');
	closes($transport, 1, 'a DISCONNECT instead', qq(451-["a",${place}0}]), '41');
	closes($transport, 1, "a placeholder $_", qq(451-["a",$_]), \'a') for
		"${place}1}", "${place}-1}", "${place}0.5}", "${place}\"0\"}",
		'{"_placeholder":true}', "[${place}0},${place}0}]";
	closes($transport, 1, 'more bytes than maxPayload',
		qq(453-["a",${place}0}]), map { \('x' x 2048) } 1 .. 3);

	# a packet that is none of Socket.IO may come between an event and its bytes

	say_to($c, "451-${api}{\"v\":${place}0}}}]", \undef);
	is($json->encode(decode_json(substr heard($c), 2)->[1]{it}),
		'{"v":{"base64":"YQ=="}}', 'a noop before the bytes');

	# namespaces it is not in

	closes($transport, 1, "'$_'", $_) for '41/foo,', '42/foo,["a"]',
		'43/foo,1[]', '44/foo,{"message":"x"}',
		qq(451-/foo,["a",${place}0}]), qq(461-/foo,1[${place}0}]);

	# DISCONNECT: the session stays, and may CONNECT again

	say_to($c, '41');
	ok($t->wait_for(sub { return !is_client($id) }), 'disconnected');
	say_to($c, '6');
	say_to($c, '40/foo,');
	is(heard($c), '44/foo,{"message":"Invalid namespace"}', 'still heard');
	say_to($c, '40{}');
	like(heard($c), qr/^40\{"sid"/, 'connected again');
	say_to($c, "421$event");
	is(heard($c), '431[{"rooms":[]}]', 'as new');

	say_to($c, '41/');
	say_to($c, "42$event");
	ok(closed($c), 'an event after DISCONNECT');
}

###############################################################################

sub opened {
	my ($transport) = @_;

	return $t->eio if $transport eq 'polling';

	my $ws = $t->ws('/socket.io/?EIO=4&transport=websocket');
	$ws->recv_text;

	return $ws;
}

# Sends packets; a reference is to bytes, or to none: then a noop comes first.

sub say_to {
	my ($c, @packets) = @_;

	@packets = map { ref $_ && !defined $$_ ? ('6', \'a') : $_ } @packets;

	if ($c->isa('Test::Sync::EIO')) {
		return $c->post(map { ref $_ ? 'b' . encode_base64($$_, '') : $_ }
			@packets);
	}

	for my $packet (@packets) {
		ref $packet ? $c->send_binary($$packet) : $c->send_text($packet);
	}
}

sub heard {
	my ($c) = @_;
	return ($c->isa('Test::Sync::EIO') ? $c->recv : $c->recv_text) // '';
}

sub heard_bytes {
	my ($c) = @_;

	if ($c->isa('Test::Sync::EIO')) {
		my $packet = $c->recv // return undef;
		return $packet =~ s/^b// ? MIME::Base64::decode_base64($packet)
			: undef;
	}

	my $f = $c->recv_frame;

	return $f && $f->{opcode} == 2 ? $f->{payload} : undef;
}

sub closed {
	my ($c) = @_;

	return $t->wait_for(sub { return $c->post('6')->status == 400 })
		if $c->isa('Test::Sync::EIO');

	return ($c->wait_close // '') eq 1005;
}

# A session, connected or not, is closed by what is said.

sub closes {
	my ($transport, $connected, $name, @packets) = @_;

	my $c = opened($transport);

	if ($connected) {
		say_to($c, '40');
		heard($c);
	}

	# each in a POST of its own

	say_to($c, $_) for @packets;
	$name =~ s/\n/\\n/g;
	ok(closed($c), "$transport closes: $name");
}

sub leave {
	my ($c) = @_;
	say_to($c, '1');
}

sub emit {
	my ($id, @o) = @_;
	$t->http('POST', '/control/emit', json => { clientId => $id,
		event => 'e', @o });
}

sub begin_emit {
	my ($id, @o) = @_;

	my $peer = Test::Sync::Peer->new(port => $t->port(0));
	my $body = encode_json({ clientId => $id, event => 'e', @o });

	$peer->put("POST /control/emit HTTP/1.1\r\nHost: localhost\r\n"
		. "Content-Type: application/json\r\nConnection: close\r\n"
		. 'Content-Length: ' . length($body) . "\r\n\r\n$body");

	return $peer;
}

sub acks {
	my ($peer, $id) = @_;
	return $json->encode($peer->recv_response('POST')->json->{acks}{$id});
}

sub is_client {
	my ($id) = @_;

	return $t->http('GET', "/control/client?clientId=$id")
		->json->{client}{connected};
}
