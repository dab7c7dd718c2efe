#!/usr/bin/perl

# Copyright (C) sync for nginx

# What the app gives by its answer to the connect hook: a session, for the
# client's token or for the connection alone, and rooms; on each transport, with
# sessions in the zone and in Redis.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use Test::Sync;

###############################################################################

my $t = Test::Sync->new->plan(42);

$t->write_conf(<<'EOC');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;
    sync_redis redis://127.0.0.1:%%PORT_2%%;
    sync_room "mine:*" join=user;
    sync_room "deny:*" join=deny;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_session memory;
        sync_token cookie:token auth:token;
        sync_hook connect /_hook/connect;
        sync_hook server /_hook/server;

        location /socket.io/ { sync socketio; }
        location /ws         { sync websocket; }
        location /sse        { sync sse; }
        location /lax        { sync websocket;
                               sync_hook connect /_hook/connect on_error=allow; }
        location /control/   { sync control; }
        location /status     { sync status; }

        location /redis/ {
            sync_session redis key=s:$sync_token users=u:$sync_user;

            location /redis/ws   { sync websocket; }
            location /redis/sse  { sync sse; }
            location /redis/sio/ { sync socketio; }
        }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
        }
    }
}
EOC

# the answer is what the client says in a header

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;
	return { json => { status => 'success' } } if $r->{uri} =~ /server/;
	my $answer = $r->{headers}{'user-agent'} // '{}';
	return [ [ 'head', 200, 'Content-Type: application/json' ],
		[ 'chunk', $answer ], [ 'end' ] ];
});
my $redis = $t->redis(port => 2);

$t->run;

ok($t->wait_for(sub { status()->{redis}{tracked} }, 20), 'Redis is there')
	or diag $t->http('GET', '/status')->body;

###############################################################################

my ($c, $s, $e, $r, $token);

for my $at ('', '/redis') {
	my $n = $at || 'memory';
	my $sio = $at ? '/redis/sio/' : '/socket.io/';

	# for the connection alone

	$c = ws("$at/ws", { session => { id => 'u1', name => 'Ann' },
		rooms => [ 'deny:a', ' b ', 7, '', 'mine:u9:x' ] });
	is($c->{user}, 'u1', "$n: the app says who it is");
	is_deeply($c->{rooms}, [ 'deny:a', 'b', 'mine:u9:x' ],
		'and where, whatever the rules');

	$c->{ws}->send_json([ 'joinRoom', { group => 'mine:u1:z',
		responseIndex => 1 } ]);
	is_deeply(decode_json(($c->{ws}->recv_event('updateSession'))->[1]), {
		id => 'u1', name => 'Ann', roomCodes => [ 'mine:u1:z' ] },
		'it has a session');
	is_deeply($c->{ws}->recv_event('joinRoom-1')->[1]{rooms},
		[ 'deny:a', 'b', 'mine:u9:x', 'mine:u1:z' ], 'a room of its own');

	$c->{ws}->send_json([ 'sync', { name => 'sync/a/b/v1', cb => 'a/b/v1',
		receiver => 'b', data => {}, responseIndex => 2 } ]);
	is($c->{ws}->recv_event('sync-2')->[1]{status}, 'success', 'heard');
	$r = $hook->wait_requests(1, qr/server/)->[-1];
	is($r->{json}{user}{name}, 'Ann', 'hooks know it');
	$token = $r->{json}{token};
	like($token, qr/^@[\w-]{44}$/, 'by a token of its own');
	is(ws("$at/ws", { session => { id => 'u1' } })->{ws}->recv_event(
		'nothing', 0.2), undef, 'another one is another');

	$s = sio($sio, { session => { id => 'u2' }, rooms => [ 'b' ] });
	is_deeply(rooms($s, 1), [ 'b' ], 'Socket.IO');

	$e = sse("$at/sse?channels=mine:u3:c&userId=u3", {
		session => { id => 'u3' }, rooms => [ 'b' ] });
	is_deeply([ map { $e->{$_} } qw/ userId channels / ],
		[ 'u3', [ 'mine:u3:c', 'b' ] ], 'an event stream');
	is($t->sse("$at/sse?channels=a&userId=u3",
		headers => [ agent({ session => { id => 'u4' } }) ])->status, 403,
		'with another claim');

	# for its token

	$c = ws("$at/ws", { session => { id => 'u5', n => 1 } }, "t$at");
	is($c->{user}, 'u5', "$n: a token gets a session");
	my $other = ws("$at/ws", {}, "t$at");
	is($other->{user}, 'u5', 'others have it as well');
	$s = sio($sio, { session => { id => 'u5', n => 2 } }, "t$at");
	is(decode_json($other->{ws}->recv_event('updateSession')->[1])->{n}, 2,
		'and hear of a change');
	ok(rooms($s, 1), 'who came is in');
}

is_deeply(decode_json($redis->command('GET', 's:t/redis')),
	{ id => 'u5', n => 2 },
	'what is to be there is in Redis');
is_deeply($redis->command('KEYS', 's:*'), [ 's:t/redis' ], 'and no more');

# a bound one moves with its client, and ends with it

$s = sio('/socket.io/', { session => { id => 'u6' }, rooms => [ 'up' ] });
is(control('publish', { room => 'up', event => 'hi', data => 1 })
	->json->{rooms}{up}{receivers}, 1, 'it is in its room');

# answers that are none

my %bad = ('a room' => { rooms => 'a' }, 'an object' => { rooms => {} },
	'a session' => { session => 'x' }, 'an id' => { session => {} });

for my $what (sort keys %bad) {
	is($t->ws('/ws', headers => [ agent($bad{$what}) ])->status, 503,
		"$what is none");
}

is(ws('/lax', { rooms => 'a' }, 't')->{user}, 'u5', 'allowed all the same');
$s = $t->eio(undef, headers => [ 'User-Agent' => encode_json({ rooms => 1 }) ]);
ok(!$s->connect, 'nor for Socket.IO');

# nobody waits for a first frame with a token, but rooms wait with it

$c = $t->ws('/ws', headers => [ agent({ rooms => [ 'w' ] }) ]);
$c->send_json([ 'auth', { token => 't' } ]);
$r = $c->recv_event('connected')->[1];
is_deeply([ $r->{userId}, $r->{channels} ], [ 'u5', [ 'w' ] ],
	'rooms, and a token in the first frame');

unlike($t->read_file('error.log'), qr/\Q$token/, 'no token in the log');

###############################################################################

sub control { return $t->http('POST', "/control/$_[0]", json => $_[1]) }
sub status { return $t->http('GET', '/status')->json }
sub agent { return 'User-Agent: ' . encode_json($_[0]) }

sub ws {
	my ($uri, $answer, $token) = @_;

	my $ws = $t->ws($uri, headers => [ agent($answer) ],
		defined $token ? (cookie => "token=$token") : ());
	my $m = $ws->recv_event('connected');

	return { ws => $ws, user => $m->[1]{userId},
		rooms => $m->[1]{channels} };
}

sub sse {
	my ($uri, $answer) = @_;
	return $t->sse($uri, headers => [ agent($answer) ])->recv_json;
}

sub sio {
	my ($uri, $answer, $token) = @_;

	my $s = $t->eio($uri, headers => [ 'User-Agent' => encode_json($answer),
		defined $token ? (Cookie => "token=$token") : () ]);
	$s->connect;

	return $s;
}

sub rooms {
	my ($s, $i) = @_;

	$s->event('getJoinedRooms', { responseIndex => $i });

	while (my $e = $s->recv_event) {
		return $e->[1]{rooms} if ref $e && $e->[0] eq "getJoinedRooms-$i";
	}

	return undef;
}

###############################################################################
