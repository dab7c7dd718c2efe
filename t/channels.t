#!/usr/bin/perl

# Copyright (C) sync for nginx

# A room is a channel by another name: what is published is heard by WebSockets
# and event streams alike, in one order; patterns on either side, each client
# once; everybody at once; exceptions.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

my $t = Test::Sync->new->plan(36);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /ws      { sync websocket; }
        location /events  { sync sse; }
        location /control { sync control; }
        location /status  { sync status; }
    }
}
EOF

$t->run;

my $i = 0;

# one room, two dialects

my $ws = client('timer:u1');
my $es = $t->sse('/events?userId=u1&channels=timer:u1,chat:room:r9');
my $ws_id = $ws->{id};
my $es_id = $es->recv_json->{clientId};

my $data = { type => 'sync', list => [ 1, undef, "\x{e9}\n\"" ] };

is(publish(channel => 'timer:u1', data => $data, op => 'broadcast')
	->{rooms}{'timer:u1'}{receivers}, 2, 'receivers');

is_deeply($ws->recv_json, [ 'message', $data, { room => 'timer:u1' } ],
	'WebSocket');

my $e = $es->recv;
my $d = JSON::PP::decode_json($e->{data});
ok(!defined $e->{event} && !defined $e->{id}, 'plain message');
is_deeply([ @$d{qw/ channel data /} ], [ 'timer:u1', $data ], 'event stream');
cmp_ok(abs($d->{timestamp} / 1000 - time()), '<', 60, 'timestamp');

publish(room => 'timer:u1', event => 'tick "1"', data => 5);
is_deeply($ws->recv_json, [ 'tick "1"', 5, { room => 'timer:u1' } ],
	'an event of another name');
$e = $es->recv;
is($e->{event}, 'tick "1"', 'its name on the stream');
is(JSON::PP::decode_json($e->{data})->{data}, 5, 'its data');

publish(room => 'timer:u1', event => 'bare');
is_deeply($ws->recv_json, [ 'bare', undef, { room => 'timer:u1' } ],
	'without data');
$es->recv;

publish(room => 'chat:room:r9', data => 'for the stream');
is($es->recv_json->{channel}, 'chat:room:r9', 'the other channel');
is($ws->recv_text(0.2), undef, 'which the WebSocket is not in');

# data of several lines, and what a line could be mistaken for

my $r = $t->http('POST', '/control/publish', headers =>
	{ 'Content-Type' => 'application/json' },
	body => qq({"room":"timer:u1","data":{\n"a":\r\n1,\n"data: x":2}}));
is($r->status, 200, 'data of several lines');
is_deeply($es->recv_json->{data}, { a => 1, 'data: x' => 2 }, 'streamed');
is_deeply($ws->recv_json->[1], { a => 1, 'data: x' => 2 }, 'framed');

# exceptions

publish(room => 'timer:u1', data => 1, except => [ $es_id ]);
publish(room => 'timer:u1', data => 2, except => [ $ws_id ]);
publish(room => 'timer:u1', data => 3);
is_deeply([ map { $ws->recv_json->[1] } 1 .. 2 ], [ 1, 3 ],
	'WebSocket is excepted');
is_deeply([ map { $es->recv_json->{data} } 1 .. 2 ], [ 2, 3 ],
	'event stream is excepted');
$_->disconnect for $ws, $es;

# who subscribes to a pattern

my $all = $t->sse('/events?channels=notification:*');
my $both = $t->sse('/events?channels=notification:*,notification:u1');
my $one = $t->sse('/events?channels=notification:u1');
my $wide = client('notif*');
$_->recv_json for $all, $both, $one;

publish(room => 'notification:u1', data => 1);
publish(room => 'notification:u2', data => 2);
publish(room => 'notifications', data => 3);

is_deeply([ map { @$_{qw/ channel data /} } map { $all->recv_json } 1 .. 2 ],
	[ 'notification:u1', 1, 'notification:u2', 2 ], 'a pattern');
is_deeply([ sort map { $both->recv_json->{data} } 1 .. 2 ], [ 1, 2 ],
	'a room and its pattern');
is($one->recv_json->{data}, 1, 'a room');
is_deeply([ map { my $m = $wide->recv_json; ($m->[1], $m->[2]{room}) } 1 .. 3 ],
	[ 1, 'notification:u1', 2, 'notification:u2', 3, 'notifications' ],
	'a wider pattern, on a WebSocket');
is($both->recv(0.2), undef, 'nobody hears a message twice');

# what is published to a pattern

my $two = client('notification:u1', 'notification:u2', 'notification:u3');
my $other = client('notify');

my $p = publish(room => 'notification:*', data => 4);
is($p->{status}, 'success', 'published to a pattern');

for ([ $all, 'pattern' ], [ $both, 'both' ], [ $one, 'room' ]) {
	my $m = $_->[0]->recv_json;
	is_deeply([ @$m{qw/ channel data /} ], [ 'notification:*', 4 ],
		"heard in a $_->[1]");
}

is_deeply($wide->recv_json, [ 'message', 4, { room => 'notification:*' } ],
	'heard in a wider pattern');
is_deeply($two->recv_json, [ 'message', 4, { room => 'notification:*' } ],
	'heard in three rooms');
is($two->recv_text(0.2), undef, 'but once');
is($other->recv_text(0), undef, 'not heard elsewhere');

# everybody

$p = publish(all => JSON::PP::true, event => 'news', data => 5);
is($_->recv_event('news')->[1], 5, 'all: WebSocket')
	for $wide, $two, $other;
is(scalar(grep { my $e = $_->recv;
	$e->{event} eq 'news' && JSON::PP::decode_json($e->{data})->{data} == 5 }
	$all, $both, $one), 3, 'all: event streams');

publish(all => JSON::PP::true, data => 6, except => [ $two->{id} ]);
is($two->recv_text(0.3), undef, 'all but one');
is($other->recv_json->[1], 6, 'the others');

# nobody

is(publish(room => 'nobody', data => 1)->{rooms}{nobody}{receivers}, 0,
	'nobody there');

$_->disconnect for $all, $both, $one, $wide, $two, $other;

sub client {
	my (@rooms) = @_;

	my $ws = $t->ws('/ws');
	$ws->{id} = $ws->recv_event('connected')->[1]{clientId};

	for my $room (@rooms) {
		my $n = ++$i;
		$ws->send_json([ 'joinRoom', { group => $room,
			responseIndex => $n } ]);
		$ws->recv_event("joinRoom-$n");
	}

	return $ws;
}

sub publish {
	my (%o) = @_;
	my $op = delete $o{op} || 'publish';
	return $t->http('POST', "/control/$op", json => \%o)->json;
}
