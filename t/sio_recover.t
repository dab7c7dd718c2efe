#!/usr/bin/perl

# Copyright (C) sync for nginx

# Clients of Socket.IO that have much to catch up with: by WebSocket, by polling,
# and while their session goes from one to the other.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Test::Sync::EIO;

my $MESSAGES = 400;

my $t = Test::Sync->new->plan(10);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:32m;
    sync_room "doc:*" recoverable history=1000 ttl=1h;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /ws         { sync websocket; }
        location /socket.io/ { sync socketio; }
        location /control    { sync control; }
    }
}
EOF

$t->run;

# a position, and a megabyte behind it

my $r = $t->http('POST', '/control/publish', json => { room => 'doc:1',
	event => 'e', data => { n => 0 } });
my $pos = $r->json->{rooms}{'doc:1'}{position};

for my $n (1 .. $MESSAGES) {
	$t->http('POST', '/control/publish', json => { room => 'doc:1',
		event => 'e', data => { n => $n, fill => 'x' x 2500 } });
}

my $join = '42["joinRoom",{"group":"doc:1","responseIndex":1,"pos":"' . $pos
	. '"}]';

# by WebSocket

my $ws = $t->ws('/socket.io/?EIO=4&transport=websocket');

$ws->recv_text;
$ws->send_text('40');
$ws->recv_text;
$ws->send_text($join);

my ($answer, @got) = by_websocket($ws, $MESSAGES);

like($answer, qr/"recovered":true/, 'WebSocket: recovered');
is(wrong(@got), '', 'WebSocket: all of it, in order');

publish($MESSAGES + 1);
is((by_websocket($ws, 1))[1], $MESSAGES + 1, 'WebSocket: and what is new');

# by polling

my $eio = polling();

($answer, @got) = by_polling($eio, $MESSAGES + 1);

like($answer, qr/"recovered":true/, 'polling: recovered');
is(wrong(@got), '', 'polling: all of it, in order');

publish($MESSAGES + 2);
is((by_polling($eio, 1))[1], $MESSAGES + 2, 'polling: and what is new');

# an upgrade in the middle

$eio = polling();

($answer, @got) = by_polling($eio, 1);

my $up = $t->ws('/socket.io/?EIO=4&transport=websocket&sid=' . $eio->sid);

$up->send_text('2probe');
is($up->recv_text, '3probe', 'upgrade: probed');
$up->send_text('5');

my (undef, @rest) = by_websocket($up, $MESSAGES + 2 - @got);
push @got, @rest;

is(wrong(@got), '', 'upgrade: all of it, in order');
is(scalar(@got), $MESSAGES + 2, 'upgrade: no more');

publish($MESSAGES + 3);
is((by_websocket($up, 1))[1], $MESSAGES + 3, 'upgrade: and what is new');

###############################################################################

sub publish {
	my ($n) = @_;

	$t->http('POST', '/control/publish', json => { room => 'doc:1',
		event => 'e', data => { n => $n } });
}

# What is not as it should be: 1, 2, 3 and so on.

sub wrong {
	my @got = @_;

	return join ' ', map { ($got[$_] // 'none') == $_ + 1 ? ()
		: "$_: " . ($got[$_] // 'none') } 0 .. $#got;
}

# The answer to the join, if it comes, and the numbers of n messages.

sub by_websocket {
	my ($ws, $n) = @_;

	my ($answer, @got);

	while (@got < $n) {
		my $m = $ws->recv_text(20) // last;

		if ($m eq '2') {
			$ws->send_text('3');
			next;
		}

		$answer = $m if $m =~ /^42\["joinRoom-1"/;
		push @got, $1 if $m =~ /^42\["e",.*"n":(\d+)/;
	}

	return ($answer, @got, ('none') x ($n - @got));
}

sub polling {
	my $eio = $t->eio('/socket.io/');

	$eio->connect;
	$eio->post($join);

	return $eio;
}

sub by_polling {
	my ($eio, $n) = @_;

	my ($answer, @got);

	while (@got < $n) {
		my @packets = $eio->get or last;

		for my $m (@packets) {
			$eio->post('3') if $m eq '2';

			$answer = $m if $m =~ /^42\["joinRoom-1"/;
			push @got, $1 if $m =~ /^42\["e",.*"n":(\d+)/;
		}
	}

	return ($answer, @got);
}

###############################################################################
