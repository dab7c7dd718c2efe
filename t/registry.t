#!/usr/bin/perl

# Copyright (C) sync for nginx

# The registry: clients that left are remembered, with the rooms they were in
# and how far they had come; through a reload, and when a worker dies.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use Test::Sync;

###############################################################################

my $t = Test::Sync->new->plan(35);

my $conf = <<'EOF';
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:4m;
    sync_room "doc:*" recoverable history=100 ttl=1h;
    sync_drain 1s;
    sync_registry REGISTRY;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /ws         { sync websocket; }
        location /sse        { sync sse; }
        location /socket.io/ { sync socketio; }
        location /control/   { sync control; }
        location /status     { sync status; }
    }
}
EOF

configure('ttl=1h');
$t->run;

###############################################################################

my ($n, $pos);

my $ws = $t->ws('/ws');
my $id = $ws->recv_json->[1]{clientId};

join_room($ws, $_) for 'chat', 'doc:1', 'doc:2';

publish('doc:1') for 1 .. 3;
$pos = $ws->recv_event('say')->[-1]{pos} for 1 .. 3;

my $r = client($id);

ok($r->{connected}, 'connected');
is($r->{leftAt}, undef, 'did not leave');
is_deeply($r->{rooms}, [ 'chat', 'doc:1', 'doc:2' ], 'its rooms');
is($r->{lastPosition}{'doc:1'}, $pos, 'its position');
like($r->{lastPosition}{'doc:2'}, qr|^0/0\.|, 'at the beginning');
is($r->{lastPosition}{chat}, undef, 'none where there are none');

# what it says is its last activity

my $active = $r->{lastActivity};

ok($t->wait_for(sub {
	$ws->send_json([ 'getJoinedRooms', { responseIndex => 9 } ]);
	$ws->recv_event('getJoinedRooms-9');
	return client($id)->{lastActivity} > $active;
}), 'activity');

$ws->disconnect;

ok(left($id), 'it left');

$r = client($id);

ok(!$r->{connected}, 'not connected');
is_deeply($r->{rooms}, [ 'chat', 'doc:1', 'doc:2' ], 'its rooms');
is($r->{lastPosition}{'doc:1'}, $pos, 'its position');
is($r->{roomCount}, 3, 'how many rooms');
cmp_ok($r->{leftAt}, '>=', $r->{lastActivity}, 'when it left');

# where it left off it goes on

publish('doc:1');

$ws = $t->ws('/ws');
$ws->recv_json;

is(join_room($ws, 'doc:1', $r->{lastPosition}{'doc:1'})->{recovered},
	JSON::PP::true(), 'its position is good');
is($ws->recv_event('say')->[1]{n}, 4, 'and it misses nothing');

# of each dialect, and lists

my $sse = $t->sse('/sse?channels=doc:1&userId=u1');
my $sse_id = $sse->recv_json->{clientId};
my $eio = $t->eio;
my $sio_id = $eio->connect;

is(client($sse_id)->{transport}, 'sse', 'an event stream');
is(client($sio_id)->{transport}, 'polling', 'of Socket.IO');

$sse->disconnect;
$eio->post('1');

ok(left($sio_id), 'Socket.IO left');
ok(left($sse_id), 'the event stream left');
like(client($sse_id)->{lastPosition}{'doc:1'}, qr|^0/4\.|, 'its position');

is_deeply(ids(connected => 'false', user => 'u1'), [ $sse_id ], 'by user');
is_deeply(ids(connected => JSON::PP::false(), room => 'doc:1'),
	[ sort $id, $sse_id ], 'by room');
is(@{ids(connected => 'false')}, 3, 'all that left');
is(@{ids(connected => 'any')}, 4, 'all');
is(@{ids()}, 1, 'those that are here');
is($t->http('POST', '/control/clients', json => { connected => 1 })->status,
	400, 'a filter that is none');
is(status()->{left}, 3, 'in the status');

# a worker that dies

join_room($ws, 'doc:3');

my ($here) = @{ids()};

$t->kill_worker(0) for 1 .. $t->worker_processes;

ok(left($here), 'clients of a dead worker');
is_deeply(client($here)->{rooms}, [ 'doc:1', 'doc:3' ], 'with their rooms');

# a reload; and by themselves they are forgotten

configure('ttl=2h');
$t->reload;
is(client($id)->{lastPosition}{'doc:1'}, $pos, 'reloaded');

configure('ttl=1s');
$t->reload;

ok($t->wait_for(sub { status()->{left} == 0 }), 'all are forgotten');
is($t->http('GET', "/control/client?clientId=$id")->status, 404, 'not found');

# off

configure('off');
$t->reload;

$ws = $t->ws('/ws');
$id = $ws->recv_json->[1]{clientId};
ok(client($id), 'one that is here');
$ws->disconnect;
ok($t->wait_for(sub { !client($id) }), 'and is not remembered');
is(status()->{counters}{forgotten}, 0, 'nobody was forgotten before time');

###############################################################################

sub configure {
	$t->write_conf($conf =~ s/REGISTRY/$_[0]/r);
}

sub join_room {
	my ($c, $room, $pos) = @_;

	$c->send_json([ 'joinRoom', { group => $room, responseIndex => 1,
		defined $pos ? (pos => $pos) : () } ]);

	return $c->recv_event('joinRoom-1')->[1];
}

sub publish {
	my ($room) = @_;

	return $t->http('POST', '/control/publish', json => { room => $room,
		event => 'say', data => { n => ++$n } })->json;
}

sub client {
	return $t->http('GET', "/control/client?clientId=$_[0]")->json->{client};
}

sub left {
	my ($id) = @_;

	return $t->wait_for(sub {
		my $c = client($id);
		return $c && $c->{leftAt};
	});
}

sub list {
	return $t->http('POST', '/control/clients', json => { @_ })->json;
}

sub ids { return [ sort map { $_->{clientId} } @{list(@_)->{clients}} ] }

sub status { return $t->http('GET', '/status')->json }

###############################################################################
