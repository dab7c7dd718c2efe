#!/usr/bin/perl

# Copyright (C) sync for nginx

# How WebSockets end (RFC 6455, 7): begun by the peer, by us, by neither; what
# was queued comes first, a close frame survives unread input, and nobody can
# hold a connection by not answering.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Test::Sync::WS;
use Time::HiRes qw/ time /;

my @echoed = (1000, 1001, 1003, 1008, 1011, 3000, 4999);

my @invalid = (
	map({ [ 1002, "code $_", pack 'n', $_ ] } 0, 999, 1004, 1005, 1006, 1015,
		1016, 2999, 5000, 65535),
	[ 1002, 'one byte', 'x' ],
	[ 1007, 'reason is no UTF-8', pack('n', 1000) . "\xff" ],
	[ 1007, 'reason is cut', pack('n', 1000) . "\xe2\x82" ],
);

my $t = Test::Sync->new->plan(@echoed + @invalid + 28);

$t->write_conf(<<'EOF');
%%GLOBALS%%

worker_shutdown_timeout 1s;

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;
    sync_drain 600s;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_queue 64k;

        location /ws      { sync websocket; }
        location /control { sync control; }
        location /status  { sync status; }
        location /stub    { stub_status; }
    }
}
EOF

$t->run;

my $join = '["joinRoom",{"group":"g","responseIndex":1}]';

# begun by the peer: its code comes back, and then the end

my @took;

for my $code (@echoed) {
	my $ws = opened();
	my $start = time();

	is($ws->shut($code, 'a reason'), $code, "code $code is echoed");
	push @took, time() - $start;
}

cmp_ok((sort { $a <=> $b } @took)[0], '<', 2, 'and is the end');

is(opened()->shut(undef), 1000, 'shut() says 1000');

my $ws = opened();
$ws->send_frame(opcode => 8);
is($ws->wait_close, 1005, 'no code');
is($ws->buffer, '', 'nothing behind it');

$ws = opened();
$ws->send_frame(opcode => 8, payload => pack('n', 1000) . 'x' x 123);
is($ws->wait_close, 1000, 'the longest reason');

$ws = opened();
$ws->put_pieces($ws->frame(opcode => 8, payload => pack('n', 4000) . 'bye'), 1);
is($ws->wait_close, 4000, 'byte by byte');

for my $case (@invalid) {
	my ($code, $name, $payload) = @$case;

	$ws = opened();
	$ws->send_frame(opcode => 8, payload => $payload);
	is($ws->wait_close, $code, $name);
}

# what was asked before is answered before; what comes after is not

$ws = opened();
$ws->put(join '', $ws->frame(payload => $join), $ws->frame(opcode => 9),
	$ws->frame(opcode => 8, payload => pack 'n', 4001),
	$ws->frame(payload => '["joinRoom",{"group":"h","responseIndex":2}]'));
is($ws->recv_json->[0], 'joinRoom-1', 'answered first');
is($ws->recv_frame->{opcode}, 10, 'then the pong');
is($ws->wait_close, 4001, 'then closed');
is($ws->recv_json, undef, 'and nothing more');

# in the middle of a message of its own

$ws = opened();
$ws->put($ws->frame(fin => 0, payload => '["') . $ws->frame(opcode => 8,
	payload => pack 'n', 1001));
is($ws->wait_close, 1001, 'close between fragments');

# a peer that ends its sending side with its close frame

$ws = opened();
$ws->send_close(4002);
$ws->half_close;
is($ws->wait_close, 4002, 'close and FIN');

# no close frame: there is nobody to tell

$ws = opened();
$ws->half_close;
is($ws->wait_close, 1006, 'FIN alone');

# begun by us: the peer sees our FIN at once, whether or not it answers

my ($one, $two) = (opened(), opened());
my $start = time();
is(disconnect($_)->{status}, 'success', 'told to go') for $one, $two;
is($one->wait_close, 1000, 'our code');
is($two->wait_close, 1000, 'our FIN does not wait for an answer');
is($two->eof && !$two->{reset}, 1, 'and is no reset');

# one that has ended too is let go at once; one that has not, after 3 s

$one->disconnect;
ok(left(2), 'the one that ended');
ok(left(1), 'the one that did not');
cmp_ok(time() - $start, '>', 2, 'had time to');

# our close frame survives input that nobody reads any more

$ws = opened();
$ws->put($ws->frame(opcode => 3) . 'x' x 300000);
is($ws->wait_close, 1002, 'close frame before unread input');
is($ws->{close_reason}, 'invalid frame', 'with its reason');
$ws->disconnect;

# a peer that floods does not hold us up

$ws = opened();
$ws->send_frame(opcode => 3);
my $end = time() + 60;
1 while time() < $end && $ws->put('x' x 65536, 1);
cmp_ok(time(), '<', $end, 'flood after our close is cut off');
$ws->disconnect;

# resets leave nothing

my @many = map { opened() } 1 .. 20;
$_->send_text($join) for @many;
$_->reset for @many;
ok(left(1), 'nobody left');

# nginx's own time limit for a stop: all are told, none waits for its turn

@many = map { opened() } 1 .. 20;
$many[$_]->send_frame(fin => 0, payload => '["') for 0 .. 4;
$start = time();
$t->reload;
is(scalar(grep { ($_->wait_close // 0) == 1012 } @many), 20,
	'worker_shutdown_timeout: all get 1012');
cmp_ok(time() - $start, '<', 60 * $Test::Sync::SLOW, 'in time');
$_->disconnect for @many;
ok($t->wait_for(sub { !$t->leaving }, 30), 'and the old workers end');


sub opened {
	my $ws = $t->ws('/ws');
	my $hello = $ws->recv_json;

	$ws->{id} = $hello->[1]{clientId};

	return $ws;
}

sub disconnect {
	my ($ws) = @_;
	return $t->http('POST', '/control/disconnect',
		json => { clientId => $ws->{id} })->json;
}

# Connections of which nginx knows, apart from the one that asks.

sub left {
	my ($n, $timeout) = @_;

	return $t->wait_for(sub {
		my ($active) = $t->http('GET', '/stub')->body
			=~ /^Active connections: (\d+)/;
		return $active <= $n;
	}, $timeout);
}
