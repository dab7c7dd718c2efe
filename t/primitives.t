#!/usr/bin/perl

# Copyright (C) sync for nginx

# The four ways to stream, and the message after them: who hears what, in which
# order and form, whatever it speaks and whoever asks (luckystack-wire, 3 to 5).

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

my @dialects = qw/ websocket deflate socketio polling sse /;
my @askers = qw/ websocket socketio polling http /;

my $t = Test::Sync->new->plan(@askers * (2 * @dialects + 3));

$t->write_conf(<<'EOC');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_session memory;
        sync_token query:t auth:t;
        sync_receiver any;
        sync_hook server /_hook/server;
        sync_hook client /_hook/client;

        location /ws         { sync websocket; }
        location /deflate    { sync websocket; sync_compression on min=1; }
        location /socket.io/ { sync socketio; }
        location /events     { sync sse; }
        location /sync/      { sync request; }
        location /control    { sync control; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
EOC

my $nd = 'Content-Type: application/x-ndjson';

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;
	my $j = $r->{json};

	return { headers => [ $nd ], body => join '',
		map { JSON::PP->new->canonical->encode($_) . "\n" }
		{ stream => { n => 1 } },
		{ broadcast => { n => 2, status => 'mine', cb => 'mine' } },
		{ to => [ map { "named-$_" } @dialects ], payload => { n => 3 } },
		{ stream => { n => 4 } },
		{ final => { status => 'success', n => 5 } } }
		if $j->{event} eq 'server';

	return { headers => [ $nd ], body => join '',
		map { JSON::PP->new->canonical->encode($_) . "\n" }
		map { ({ k => $_->{k}, stream => { n => 6 } },
		{ k => $_->{k}, out => { status => 'success',
		for => $_->{token} } }) } @{$j->{recipients}} };
});

$t->run;

my @tokens = map { ("member-$_", "named-$_") } @dialects;

$t->http('POST', '/control/session/save', json => { token => $_,
	session => { id => $_ } }) for @tokens, map { "asker-$_" } @askers;

my $name = 'sync/t/four/v1';
my $i = 100;

for my $asker (@askers) {
	my $room = "room-$asker";

	my %member = map { $_ => open_client($_, "member-$_", $room) } @dialects;
	my %named = map { $_ => open_client($_, "named-$_") } @dialects;

	# what who asks hears; it is in the room as well

	my @heard = ask($asker, $room);

	is_deeply([ map { $_->[0] } grep { $_->[0] ne 'sync' } @heard ],
		$asker eq 'http' ? [ qw/ stream stream final / ]
		: [ ("sync-progress-$i") x 3, "sync-$i" ], "$asker: to who asks");

	is_deeply([ map { $_->[1]{n} } grep { $_->[0] =~ /progress|stream/
		&& !$_->[1]{__cancelId} } @heard ], [ 1, 4 ],
		"$asker: its chunks, as they are");

	my ($end) = grep { $_->[0] =~ /^(?:final|sync-\d+)$/ } @heard;
	is_deeply($end->[1], { status => 'success',
		message => "sync $name success",
		result => { status => 'success', n => 5 } }, "$asker: the answer");

	for my $dialect (@dialects) {
		is_deeply([ map { hear($member{$dialect}, $dialect) } 1 .. 3 ], [
			{ n => 2, frame('stream') }, { n => 6, frame('stream') },
			{ frame('success'), serverOutput => { status => 'success',
			n => 5 }, clientOutput => { status => 'success',
			for => "member-$dialect" }, message => "$name sync success" } ],
			"$asker: a member, $dialect");

		is_deeply([ hear($named{$dialect}, $dialect), quiet($named{$dialect},
			$dialect) ], [ { n => 3, frame('stream') }, 'quiet' ],
			"$asker: who is named, $dialect");
	}
}

sub frame {
	return (cb => $name, fullName => $name, status => $_[0]);
}

sub open_client {
	my ($dialect, $token, $room) = @_;

	if ($dialect eq 'sse') {
		my $es = $t->sse("/events?t=$token&channels="
			. ($room // 'elsewhere'));
		$es->recv;
		return $es;
	}

	my $c;

	if ($dialect eq 'polling') {
		$c = $t->eio('/socket.io/');
		$c->connect({ t => $token });

	} elsif ($dialect eq 'socketio') {
		$c = $t->ws("/socket.io/?EIO=4&transport=websocket&t=$token");
		$c->recv_text;
		$c->send_text('40');
		$c->recv_text;

	} else {
		$c = $t->ws(($dialect eq 'deflate' ? '/deflate' : '/ws')
			. "?t=$token", $dialect eq 'deflate' ? (deflate => 1) : ());
		$c->recv_event('connected');
	}

	join_room($c, $dialect, $room) if defined $room;
	return $c;
}

sub join_room {
	my ($c, $dialect, $room) = @_;

	say_to($c, $dialect, 'joinRoom', { group => $room, responseIndex => 1 });

	while (my $m = heard($c, $dialect)) {
		return if $m->[0] eq 'joinRoom-1';
	}
}

sub say_to {
	my ($c, $dialect, @event) = @_;

	return $c->event(@event) if $dialect eq 'polling';

	my $text = JSON::PP->new->encode(\@event);
	$c->send_text($dialect eq 'socketio' ? "42$text" : $text);
}

# The next event, as [ name, arguments ].

sub heard {
	my ($c, $dialect) = @_;

	return $c->recv_event if $dialect eq 'polling';

	if ($dialect eq 'sse') {
		my $m = $c->recv // return;
		return [ $m->{event}, JSON::PP->new->utf8->decode($m->{data})->{data} ];
	}

	my $text = $c->recv_text // return;
	return if $dialect eq 'socketio' && $text !~ s/^42//;
	return JSON::PP->new->utf8->decode($text);
}

sub hear {
	my ($c, $dialect) = @_;

	while (my $m = heard($c, $dialect)) {
		return $m->[1] if $m->[0] eq 'sync';
	}

	return 'nothing';
}

# An event stream cannot be asked: what it hears is looked at by the next one.

sub quiet {
	my ($c, $dialect) = @_;

	return 'quiet' if $dialect eq 'sse';

	say_to($c, $dialect, 'getJoinedRooms', { responseIndex => 9 });

	while (my $m = heard($c, $dialect)) {
		return 'quiet' if $m->[0] eq 'getJoinedRooms-9';
		return $m->[1] if $m->[0] eq 'sync';
	}

	return 'gone';
}

# All that who asks hears till it has had its answer and the message.

sub ask {
	my ($dialect, $room) = @_;

	if ($dialect eq 'http') {
		my $peer = Test::Sync::Peer->new(port => $t->port(0));
		my $body = qq({"receiver":"$room","data":{}});

		$peer->put(join "\r\n",
			'POST /sync/t/four/v1?t=asker-http&stream=1 HTTP/1.1',
			'Host: localhost', 'Origin: http://localhost',
			'Content-Type: application/json', 'Connection: close',
			'Content-Length: ' . length $body, '', $body);

		my $r = $peer->recv_response('POST');
		return map { [ $_->[0], JSON::PP->new->utf8->decode($_->[1]) ] }
			map { [ /^event: (\w+)\ndata: (.*)$/m ] }
			grep { /^event/ } split /\n\n/, $r->body;
	}

	my $c = open_client($dialect, "asker-$dialect", $room);
	my @all;

	say_to($c, $dialect, 'sync', { name => $name, cb => 't/four/v1',
		receiver => $room, data => {}, responseIndex => ++$i });

	while (my $m = heard($c, $dialect)) {
		push @all, $m;
		last if $m->[0] eq 'sync' && $m->[1]{status} eq 'success';
	}

	# the room's chunk comes among its own; its message, and what the app
	# says to it of that, behind the answer

	my @order = map { $_->[0] eq 'sync' ? $_->[1]{n} // 'end' : $_->[0] } @all;
	my $want = join ' ', "sync-progress-$i", "sync-progress-$i", 2,
		"sync-progress-$i", "sync-$i", 6, 'end';
	diag("$dialect heard: @order") if "@order" ne $want;

	return "@order" eq $want ? @all : ();
}
