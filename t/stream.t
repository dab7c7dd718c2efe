#!/usr/bin/perl

# Copyright (C) sync for nginx

# A hook's answer in lines: what each instruction does, in which order clients
# hear of it, and what is told when a line is none or the end is missing; for
# plain WebSocket and for Socket.IO.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

my $t = Test::Sync->new->plan(2 * 50 + 1);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;
    sync_hook server /_hook/sync;
    sync_hook api /_hook/api;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /ws         { sync websocket; sync_receiver any all=on; }
        location /socket.io/ { sync socketio; sync_receiver any all=on; }
        location /status     { sync status; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
EOF

# The app answers with the lines that it is sent, in pieces of so many bytes.

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;
	my $data = $r->{json}{data};

	my $out = join '', map { ref $_ ? encode($_) . "\n" : $_ }
		@{$data->{lines}};

	$out = '{"stream":"' . 'x' x $data->{long} . "\"}\n" if $data->{long};

	my $n = $data->{cut} || length $out || 1;

	return [ [ 'head', 200, 'Content-Type: application/x-ndjson' ],
		map({ [ 'chunk', $_ ] } unpack "(a$n)*", $out),
		[ $data->{end} || 'end' ] ];
});

$t->run;

my $final = { final => { status => 'success', n => 1 } };
my $name = 'sync/t/s/v1';
my $i;

for my $dialect (qw/ websocket socketio /) {
	$i = 0;

	my $sio = $dialect eq 'socketio';
	my ($ws, $peer, $other) = map { open_client($sio) } 1 .. 3;
	my $room = "room-$dialect";
	my $is = sub { is($_[0], $_[1], "$dialect: $_[2]") };

	ask($_, 'joinRoom', group => $room) for $ws, $peer;

	# chunks, acknowledgement, message

	sync($ws, $room, { lines => [
		{ stream => { n => 1 } }, { broadcast => { n => 2 } }, { ping => 1 },
		{ stream => 'text' }, { broadcast => { n => 3 } },
		{ to => [ $other->{id} ], payload => { n => 4 } }, $final ] });

	my $done = qq("message":"sync $name success","result":)
		. '{"n":1,"status":"success"}';
	my $frame = qq({"cb":"$name","fullName":"$name","serverOutput":)
		. '{"n":1,"status":"success"},"clientOutput":{},"message":'
		. qq("$name sync success","status":"success"});
	my $chunk = sub {
		return qq(["sync",{"n":$_[0],"cb":"$name","fullName":"$name",)
			. '"status":"stream"}]';
	};

	like(recv_text($ws), qr/^\["sync-progress-$i",\{"__cancelId":"[-\da-f]{36}"/,
		"$dialect: cancel id");
	$is->(recv_text($ws), qq(["sync-progress-$i",{"n":1}]), 'chunk');
	$is->(recv_text($ws), $chunk->(2), 'broadcast, to the sender too');
	$is->(recv_text($ws), qq(["sync-progress-$i","text"]),
		'a chunk after a broadcast');
	$is->(recv_text($ws), $chunk->(3), 'broadcast');
	$is->(recv_text($ws), qq(["sync-$i",{"status":"success",$done}]),
		'acknowledged after the chunks');
	$is->(recv_text($ws), qq(["sync",$frame]), 'the message');

	$is->(recv_text($peer), $chunk->(2), 'member: broadcast');
	$is->(recv_text($peer), $chunk->(3), 'member: broadcast');
	$is->(recv_text($peer), qq(["sync",$frame]), 'member: the message');
	$is->(recv_text($other), $chunk->(4), 'by id');

	# ignoreSelf is of the message alone

	my %alone = (ignoreSelf => JSON::PP::true());

	sync($ws, $room, { lines => [ { broadcast => { n => 5 } }, $final ] },
		%alone);
	$is->(next_text($ws), $chunk->(5), 'ignoreSelf: broadcast to the sender');
	like(recv_text($ws), qr/^\["sync-$i",/, "$dialect: ignoreSelf: answered");
	$is->(recv_text($peer), $chunk->(5), 'ignoreSelf: broadcast');
	like(recv_text($peer), qr/"status":"success"\}\]$/,
		"$dialect: ignoreSelf: message");

	# the route's own names are nobody else's

	sync($ws, $room, { lines => [
		qq({"broadcast":{"status":"x","a":1,"\\u0063b":"y"}}\n), $final ],
		cut => 1 }, %alone);
	$is->(next_text($ws), qq(["sync",{"status":"stream","a":1,)
		. qq("\\u0063b":"$name","fullName":"$name"}]), 'names, byte by byte');
	like(recv_text($ws), qr/^\["sync-$i",/, "$dialect: in pieces of a byte");
	recv_text($peer) for 1 .. 2;

	# to several, each once; to the sender alone; to all

	sync($ws, $room, { lines => [ { to => [ $peer->{id}, $peer->{id}, 'none',
		1, '', $other->{id} ], payload => { n => 6 } },
		{ to => $peer->{id}, payload => { n => 7 } }, $final ] }, %alone);
	$is->(recv_text($peer), $chunk->(6), 'to several');
	$is->(recv_text($peer), $chunk->(7), 'each of them once');
	$is->(recv_text($other), $chunk->(6), 'to another');
	recv_text($peer);
	next_text($ws);

	sync($ws, $ws->{id}, { lines => [ { broadcast => { n => 8 } }, $final ] });
	$is->(next_text($ws), $chunk->(8), 'to itself');
	like(recv_text($ws), qr/^\["sync-$i",/, "$dialect: to itself: answered");
	recv_text($ws);

	sync($ws, 'all', { lines => [ { broadcast => { n => 9 } }, $final ] });
	$is->(recv_text($_), $chunk->(9), 'all') for $other, $peer;
	recv_text($_) for $other, $peer;
	next_text($ws);
	recv_text($ws) for 1 .. 2;

	# rooms and events

	sync($ws, $room, { lines => [ { join => "r2-$dialect" },
		{ emit => { room => "r2-$dialect", event => 'hello',
			data => [ 1 ] } },
		{ emit => { clientId => $other->{id}, event => 'hello' } },
		$final ] }, %alone);
	$is->(next_text($ws), qq(["hello",[1],{"room":"r2-$dialect"}]),
		'joined, and heard what was said there');
	$is->(recv_text($other), '["hello",null]', 'an event to one client');
	recv_text($ws);
	recv_text($peer);
	sync($ws, $room, { lines => [ { leave => "r2-$dialect" }, $final ] },
		%alone);
	next_text($ws);
	recv_text($peer);
	is_deeply(ask($ws, 'getJoinedRooms')->{rooms}, [ $room ],
		"$dialect: left");

	# what is wrong is told, and nobody hears of a success

	my @wrong = (
		[ 'json', 1, '{"stream":' . "\n" ],
		[ 'instruction', 2, { ping => 1 }, '[1]' . "\n" ],
		[ 'instruction', 2, { ping => 1 }, { strem => 1 } ],
		[ 'instruction', 1, { stream => 1, broadcast => {} } ],
		[ 'instruction', 1, { stream => 1, payload => {} } ],
		[ 'instruction', 2, { ping => 1 }, { throttle => {} } ],
		[ 'value', 1, { broadcast => 1 } ],
		[ 'value', 1, { to => 1, payload => {} } ],
		[ 'value', 1, { join => '' } ],
		[ 'value', 1, { emit => { event => 'x' } } ],
		[ 'value', 1, { throttle => { chars => -1 } } ],
		[ 'value', 1, { final => 1 } ],
	);

	for my $w (@wrong, [ 'size', 1 ]) {
		my ($reason, $line, @lines) = @$w;
		my $e = sync_error($ws, $room, { lines => [ @lines, $final ],
			$reason eq 'size' ? (long => 1048576) : () });

		is_deeply([ @$e{qw/ errorCode httpStatus errorParams /} ],
			[ 'sync.invalidServerResponse', 400, [
			{ key => 'reason', value => $reason },
			{ key => 'line', value => $line } ] ],
			"$dialect: $reason, line $line");
	}

	for my $c ([ 'final', 1, { lines => [ { ping => 1 } ] } ],
		[ 'final', 0, { lines => [ "\r\n\n" ] } ],
		[ 'cut', 1, { lines => [ { stream => 1 } ], end => 'close' } ])
	{
		my ($reason, $line, $data) = @$c;
		my $e = sync_error($ws, $room, $data);

		is_deeply([ @$e{qw/ errorCode errorParams /} ],
			[ 'sync.serverExecutionFailed', [
			{ key => 'reason', value => $reason },
			{ key => 'line', value => $line } ] ],
			"$dialect: no end, $reason");
	}

	# the result counts when it is there, whatever comes after

	sync($ws, $room, { lines => [ $final, "not JSON\n" ], end => 'close' },
		%alone);
	like(next_text($ws), qr/^\["sync-$i",\{"status":"success"/,
		"$dialect: nothing counts after the last line");
	like(recv_text($peer), qr/"status":"success"\}\]$/,
		"$dialect: and nobody heard of a failure");

	sync($ws, $room, { lines => [ '{"final":{"status":"success"}}' ] },
		%alone);
	like(next_text($ws), qr/^\["sync-$i",\{"status":"success"/,
		"$dialect: the last line may lack its end");
	recv_text($peer);

	# calls

	api($ws, { lines => [ { stream => { n => 1 } }, { stream => 2 }, $final ] });
	$is->(recv_text($ws), qq(["apiStream-$i",{"n":1}]), 'api: chunk');
	$is->(recv_text($ws), qq(["apiStream-$i",2]), 'api: chunk');
	$is->(recv_text($ws), qq(["apiResponse-$i",{"n":1,"status":"success",)
		. '"httpStatus":200}]', 'api: answer');
	api($ws, { lines => [ { broadcast => {} }, $final ] });
	like(recv_text($ws), qr/^\["apiResponse-$i",.*invalidResponseStatus/,
		"$dialect: api: has no room");

	$_->{ws}->disconnect for $ws, $peer, $other;
}

is($t->http('GET', '/status')->json->{counters}{chunks}, 28,
	'chunks are counted');

sub encode { return JSON::PP->new->canonical->allow_nonref->encode($_[0]) }

sub open_client {
	my ($sio) = @_;

	my $self = { sio => $sio, ws => $t->ws($sio
		? '/socket.io/?EIO=4&transport=websocket' : '/ws') };

	if ($sio) {
		$self->{ws}->recv_text;
		$self->{ws}->send_text('40');
		($self->{id}) = $self->{ws}->recv_text =~ /"sid":"([^"]+)"/;

	} else {
		$self->{id} = $self->{ws}->recv_json->[1]{clientId};
	}

	return $self;
}

sub recv_text {
	my ($c) = @_;
	my $text = $c->{ws}->recv_text;
	$text =~ s/^42// if $c->{sio};
	return $text;
}

# The next one but for the name to cancel by.

sub next_text {
	my ($c) = @_;
	my $text = recv_text($c);
	return $text =~ /"__cancelId"/ ? recv_text($c) : $text;
}

sub send_event {
	my ($c, @event) = @_;
	$c->{ws}->send_text(($c->{sio} ? '42' : '') . encode(\@event));
}

sub ask {
	my ($c, $event, %o) = @_;
	send_event($c, $event, { %o, responseIndex => ++$i });
	return JSON::PP::decode_json(recv_text($c))->[1];
}

sub sync {
	my ($c, $receiver, $data, %o) = @_;
	send_event($c, 'sync', { name => $name, cb => 't/s/v1', data => $data,
		receiver => $receiver, responseIndex => ++$i, %o });
}

sub api {
	my ($c, $data) = @_;
	send_event($c, 'apiRequest', { name => 'api/t/s/v1', data => $data,
		responseIndex => ++$i });
}

sub sync_error {
	my ($c, @args) = @_;

	sync($c, @args);

	while (1) {
		my $m = JSON::PP::decode_json(recv_text($c));
		return $m->[1] if $m->[0] eq "sync-$i";
		die "a success: $m->[0]\n" if $m->[0] eq 'sync';
	}
}
