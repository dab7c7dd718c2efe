#!/usr/bin/perl

# Copyright (C) sync for nginx

# Sessions in the zone: who a client is, what it is told when its session
# changes, ends or is replaced, and control session/*.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use Test::Sync;

###############################################################################

my $t = Test::Sync->new->plan(71);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;
    sync_room "free:*" join=public;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_session memory;
        sync_token cookie:token header:authorization query:t auth:token;
        sync_hook server /_hook/server;

        location /socket.io/ { sync socketio; }
        location /ws         { sync websocket; }
        location /off        { sync websocket; sync_session off; }
        location /sse        { sync sse; }
        location /control/   { sync control; }
        location /one/       { sync control; sync_session memory per_user=single; }
        location /brief/     { sync control; sync_session memory ttl=1s; }
        location /status     { sync status; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
        }
    }
}
EOF

my $hook = $t->hook(port => 1, answer => sub { return { json => { status => 'success' } } });

$t->run;

###############################################################################

my ($r, $e);

# what is no session

is(save('', { id => 'u' })->status, 400, 'no token');
is(save('x' x 4097, { id => 'u' })->status, 400, 'a token too long');
is(save('t', [ 1 ])->status, 400, 'not an object');
is(save('t', { name => 'x' })->status, 400, 'no id');
is(save('t', { id => '' })->status, 400, 'an empty id');
is(save('t', { id => 'u', x => 'x' x 65536 })->json->{message},
	'"session" is too large', 'too large');
is(control('session/get', { token => 't' })->status, 404, 'nothing was kept');

# what is

is(save('t1', { id => 'u1', name => 'Ann', token => 't1' })->status, 200,
	'saved');
is_deeply(control('session/get', { token => 't1' })->json->{session},
	{ id => 'u1', name => 'Ann' }, 'without its token');

# sources, in their order

is(user('/ws', cookie => 'a=b; token=t1'), 'u1', 'cookie');
is(user('/ws', cookie => 'token=%741'), 'u1', 'cookie, decoded');
is(user('/ws', headers => [ 'Authorization: Bearer t1' ]), 'u1', 'bearer');
is(user('/ws?t=t1'), 'u1', 'query');
is(user('/ws?t=t1', cookie => 'token=other'), undef, 'the first one counts');
is(user('/ws?t=t1', cookie => 'token='), 'u1', 'an empty cookie is none');
is(user('/ws?t=t1', cookie => 'xtoken=t2'), 'u1', 'a name is a whole one');

is($t->ws('/ws', cookie => 'token=t1')->recv_event('connected', 2)->[1]{userId},
	'u1', 'who has a token is greeted at once');

my $auth = $t->ws('/ws');
$auth->send_json([ 'auth', { token => 't1' } ]);
is($auth->recv_event('connected')->[1]{userId}, 'u1', 'the first frame');

my $none = $t->ws('/ws');
$none->send_json([ 'joinRoom', { group => 'r', responseIndex => 1 } ]);
is($none->recv_event('connected')->[1]{userId}, undef, 'another frame');
is($none->recv_json->[1]{errorCode}, 'auth.required', 'is served after that');
$none->send_json([ 'joinRoom', { group => 'free:1', responseIndex => 2 } ]);
is_deeply($none->recv_json, [ 'joinRoom-2', { rooms => [ 'free:1' ] } ],
	'a public room');
$none->send_json([ 'getJoinedRooms', { responseIndex => 3 } ]);
is_deeply($none->recv_json->[1]{rooms}, [], 'no list without a token');

# without sessions: nothing to wait for, the first frame may still be a token

my @off = map { $t->ws('/off') } 1 .. 2;
is($_->recv_event('connected', 2)->[1]{userId}, undef,
	'no session: greeted at once') for @off;
$_->send_json([ 'auth', { token => 'x1' } ]) for $off[0];
$off[1]->send_json([ 'joinRoom', { group => 'off', responseIndex => 1 } ]);
is_deeply($off[1]->recv_json, [ 'joinRoom-1', { rooms => [ 'off' ] } ],
	'no session: another frame is served');
$off[1]->send_json([ 'auth', { token => 'x1' } ]);
$_->send_json([ 'getJoinedRooms', { responseIndex => 2 } ]) for @off;
$_->recv_event('getJoinedRooms-2') for @off;
is(control('publish', { token => 'x1', event => 'hi', data => 1 })
	->json->{receivers}, 1, 'no session: the first frame counts');
is_deeply($off[0]->recv_json, [ 'hi', 1 ], 'no session: by its token');
$_->disconnect for @off;
is(save('x1', { id => 'u9' })->status, 200, 'a session of that token');

my $stranger = $t->ws('/ws?t=unknown');
$stranger->recv_event('connected');
$stranger->send_json([ 'joinRoom', { group => 'r', responseIndex => 1 } ]);
is($stranger->recv_json->[1]{errorCode}, 'session.notFound', 'no session');

my $s = $t->eio(undef, headers => [ Cookie => 'token=t1' ]);
ok($s->connect, 'Socket.IO by its cookie');
my $s2 = $t->eio;
ok($s2->connect({ token => 't1' }), 'Socket.IO by what it says');

# joinRoom: the session, then the answer; the other tabs hear of it

$s->event('joinRoom', { group => 'r', responseIndex => 1 });
$e = $s->recv_event;
is($e->[0], 'updateSession', 'the session comes first');
is_deeply(decode_json($e->[1]),
	{ id => 'u1', name => 'Ann', roomCodes => [ 'r' ] }, 'with its rooms');
is_deeply($s->recv_event, [ 'joinRoom-1', { rooms => [ 'r' ] } ],
	'then the answer');
is($s2->recv_event->[0], 'updateSession', 'another tab is told');
is($auth->recv_event('updateSession')->[0], 'updateSession', 'and another');

# rejoined before anything else is served

my $back = $t->ws('/ws?t=t1');
is_deeply($back->recv_event('connected')->[1]{channels}, [ 'r' ],
	'back in the rooms');

# the hook's body

sync_request($s, 5, 'r');
$r = $hook->wait_requests(1)->[0];
is($r->{json}{user}{id}, 'u1', 'the app knows the user');
is($r->{json}{token}, 't1', 'and the token');

# which has to answer before anybody hears

$back->recv_event('sync');

# ignoreSelf is for all tabs; own token as receiver

ok(!grep({ $_->[0] eq 'sync' } ask($s2, $back)), 'ignoreSelf skips all tabs');
upto($s, 'end');
sync_request($s, 8, 't1');
upto($s, 'sync-8');
is(upto($s, 'sync')->[1]{status}, 'success', 'a receiver that is its token');
is($back->recv_event('sync')->[1]{status}, 'success', 'is all its tabs');

# a change by control

is(save('t1', { id => 'u1', name => 'Bob', roomCodes => [] })->status, 200,
	'changed');
is(decode_json(upto($s, 'updateSession')->[1])->{name}, 'Bob', 'told');
is(decode_json(($back->recv_event('updateSession'))->[1])->{name}, 'Bob',
	'told elsewhere');

# those that were closed above may be there a little longer

cmp_ok(control('publish', { token => 't1', event => 'hi', data => 1 })
	->json->{receivers}, '>=', 4, 'to a token');
is_deeply($s->recv_event, [ 'hi', 1 ], 'arrives');

is(control('rooms', {})->body =~ /\x01|\\u0001/, '', 'no list shows a token');
is_deeply([ sort map { $_->{room} } @{control('rooms', {})->json->{rooms}} ],
	[ 'free:1', 'r' ], 'but rooms') or diag control('rooms', {})->body;

# updateLocation

$s->event('updateLocation', { pathName => '/a', searchParams => {} });
is(decode_json($s->recv_event->[1])->{location}{pathName}, '/a', 'location');
$s->event('updateLocation', { pathName => 'a' });
$s->event('updateLocation', 'x');

# a second login replaces the first one

$r = $t->http('POST', '/one/session/login', json => { user => 'u1',
	token => 't2', session => { id => 'u1' } });
is($r->json->{replaced}, 1, 'one was replaced');
is_deeply($s->recv_event, [ 'sessionReplaced',
	'{"reason":"session-replaced","userId":"u1"}' ], 'told why');
is_deeply($s->recv_event, [ 'logout', 'success' ], 'then logged out');
is(($back->recv_event('logout'))->[1], 'success', 'all tabs');
is(control('session/get', { token => 't1' })->status, 404, 'it is gone');
is(control('session/get', { token => 't2' })->status, 200, 'the new one not');

$s->event('joinRoom', { group => 'r', responseIndex => 7 });
is($s->recv_event->[1]{errorCode}, 'session.notFound', 'nothing is left');

# system/logout

my $l = $t->eio(undef, headers => [ Cookie => 'token=t2' ]);
$l->connect;
$l->event('apiRequest', { name => 'api/system/logout/v1', data => {},
	responseIndex => 1 });
is_deeply($l->recv_event, [ 'logout', 'success' ], 'logged out');
is_deeply($l->recv_event, [ 'apiResponse-1', { status => 'success',
	httpStatus => 200, result => JSON::PP::true } ], 'then answered');

# kick, revoke

save("k$_", { id => 'u2' }) for 1 .. 3;
my @k = map { $t->ws("/ws?t=k$_") } 1 .. 3;
$_->recv_event('connected') for @k;

is(control('session/revoke', { user => 'u2', except => 'k1' })->json
	->{sessions}, 2, 'revoked');
is($k[1]->recv_event('logout')->[1], 'success', 'logged out');
is($k[2]->recv_event('logout')->[1], 'success', 'and the other');
is(control('session/get', { token => 'k1' })->status, 200, 'but one');

is(control('kick', { token => 'k1', reason => 'bye' })->status, 200, 'kicked');
is($k[0]->recv_event('sessionReplaced')->[1],
	'{"reason":"bye","userId":""}', 'told why');
is($k[0]->recv_event('logout')->[1], 'success', 'and logged out');

# the end of its time

$t->http('POST', '/brief/session/save', json => { token => 'b',
	session => { id => 'u3' } });
my $b = $t->ws('/ws?t=b');
is($b->recv_event('connected')->[1]{userId}, 'u3', 'there for a while');

# clients of this location make it last

$t->http('POST', '/control/session/save', json => { token => 'c',
	session => { id => 'u4' }, ttl => 1 });
my $c = $t->ws('/sse?t=c&channels=a&userId=u9');
is($c->status, 403, 'a claim to be somebody else');
is($t->sse('/sse?t=b&channels=a&userId=u3')->recv_json->{userId}, 'u3',
	'a claim that is true');

# a killed worker takes no session with it

$t->kill_worker;
is(control('session/get', { token => 'b' })->status, 200, 'sessions live on');

unlike($t->read_file('error.log'), qr/t1|unknown/, 'no token in the log');

###############################################################################

sub control {
	my ($op, $json) = @_;
	return $t->http('POST', "/control/$op", json => $json);
}

sub save {
	my ($token, $session) = @_;
	return control('session/save', { token => $token, session => $session });
}

sub user {
	my ($uri, %o) = @_;
	my $ws = $t->ws($uri, %o);
	return $ws->recv_event('connected', 5)->[1]{userId};
}

sub sync_request {
	my ($peer, $i, $room, %o) = @_;
	$peer->event('sync', { name => 'sync/a/b/v1', cb => 'a/b/v1',
		receiver => $room, data => {}, responseIndex => $i, %o });
}

# The next event of this name.

sub upto {
	my ($peer, $name) = @_;

	while (my $e = $peer->recv_event) {
		return $e if ref $e && $e->[0] eq $name;
	}

	return [ 'nothing' ];
}

# What $ws hears of a message that the peer sends without its own tabs, and of
# one to its own token.

sub ask {
	my ($peer, $ws) = @_;

	$peer->event('joinRoom', { group => 'r', responseIndex => 1 });
	upto($peer, 'joinRoom-1');
	control('publish', { room => 'r', event => 'begin', data => 1 });
	sync_request($peer, 6, 'r', ignoreSelf => JSON::PP::true);
	upto($peer, 'sync-6');
	control('publish', { room => 'r', event => 'end', data => 1 });
	upto($peer, 'end');

	my @heard;
	$ws->recv_event('begin');

	while (my $m = $ws->recv_json) {
		last if $m->[0] eq 'end';
		push @heard, $m;
	}

	return @heard;
}

###############################################################################
