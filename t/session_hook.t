#!/usr/bin/perl

# Copyright (C) sync for nginx

# Sessions that the app has: asked for once, kept for a while, asked for again;
# changed, ended and replaced by control; an app that fails or answers nonsense.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use Test::Sync;

###############################################################################

my $t = Test::Sync->new->plan(72);

$t->write_conf(<<'EOC');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;
    sync_session hook /_hook/session cache=1h per_user=single;
    sync_token cookie:token header:authorization auth:token;
    sync_routes routes.json;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_hook api /_hook/api;

        location /socket.io/ { sync socketio; }
        location /ws         { sync websocket; }
        location /sse        { sync sse; }
        location /api/       { sync api; }
        location /control/   { sync control; }
        location /status     { sync status; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;

        sync_session hook /_hook/brief cache=1s;

        location /ws { sync websocket; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_3%%;

        location /ws { sync websocket; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%/other/;
        }
    }
}
EOC

$t->write_file('routes.json', encode_json({ version => 1, routes => {
	'api/a/mine/v1' => { auth => { login => JSON::PP::true } } } }));

# what the app has: answers by token, as text

my $dir = $t->testdir;
answers();

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;

	return { json => { status => 'success' } } if $r->{uri} eq '/_hook/api';

	open my $f, '<', "$dir/answers.json" or return { status => 503 };
	local $/;
	my $answers = decode_json(<$f>);
	close $f;

	my $key = $r->{json}{event} eq 'logout' ? 'logout' : $r->{json}{token};
	$key = "other $key" if $r->{uri} =~ m!^/other/!;

	my $a = $answers->{$key} // '{"session":null}';

	return [ [ 'hang' ] ] if $a eq 'hang';
	return { status => 500 } if $a eq 'fail';

	my @answer = ([ 'head', 200, 'Content-Type: application/json' ],
		[ 'chunk', $a ], [ 'end' ]);

	return $key =~ /^slow/ ? [ [ 'wait', $key ], @answer ] : \@answer;
});

$t->run;

###############################################################################

my ($r, $e, $n);

# asked once, wherever the client comes

answers(t1 => session({ id => 'u1', name => 'Ann', token => 't1' }));

my $c = connected('t1');
is($c->{user}, 'u1', 'the app says who it is');
$r = $hook->wait_requests(1)->[0];
is($r->{method} . ' ' . $r->{uri}, 'POST /_hook/session', 'it was asked');
like(delete $r->{json}{id}, qr/^[0-9a-f]{32}$/, 'by a name');
is_deeply($r->{json}, { v => 1, event => 'session', token => 't1' },
	'for the token');
is($r->{headers}{cookie}, undef, 'with no header of the client');

my $s = socketio('t1');
my $s2 = $t->eio;
ok($s2->connect({ token => 't1' }), 'Socket.IO by what it says');
is($t->sse('/sse?channels=r', cookie => 'token=t1')
	->recv_json->{userId}, 'u1', 'an event stream');
is(api('t1')->json->{status}, 'success', 'HTTP, a route for who logged in');
is(asked('t1'), 1, 'once for all');

is(connected('nobody')->{user}, undef, 'no session');
ok($t->eio->connect, 'no token');
is(api('nobody')->json->{errorCode}, 'auth.required', 'no login');

# one that was none may be there later

answers(t1 => session({ id => 'u1', name => 'Ann' }),
	nobody => session({ id => 'u7' }));
ok($t->wait_for(sub { (connected('nobody')->{user} // '') eq 'u7' }, 10),
	'a session at last');

# many at once: one question

answers(slow => session({ id => 'u2' }));

my @many = begun('slow', 12);
ok($t->wait_for(sub { asked('slow') }, 10), 'many at once');
select undef, undef, undef, 0.3;
is(asked('slow'), 1, 'ask once');
$hook->go('slow');
is(join(' ', map { ended($_) } @many), join(' ', ('u2') x 12),
	'and all have the answer');
is(asked('slow'), 1, 'indeed');

# rooms are kept, without the app

$s->event('joinRoom', { group => 'r', responseIndex => 1 });
is_deeply(decode_json(upto($s, 'updateSession')->[1]),
	{ id => 'u1', name => 'Ann', roomCodes => [ 'r' ] }, 'rooms are kept');
is_deeply(upto($s, 'joinRoom-1')->[1], { rooms => [ 'r' ] }, 'answered');
is(upto($s2, 'updateSession')->[0], 'updateSession', 'another tab is told');
is_deeply(connected('t1')->{channels}, [ 'r' ], 'rejoined');
$s->event('updateLocation', { pathName => '/a' });
is(decode_json(upto($s, 'updateSession')->[1])->{location}{pathName}, '/a',
	'so is the location');

# what the app says by control counts at once

is(control('session/save', { token => 't1', session => { id => 'u1',
	name => 'Bob' } })->status, 200, 'saved');
is_deeply(decode_json(upto($s, 'updateSession')->[1]), { id => 'u1',
	name => 'Bob', roomCodes => [ 'r' ], location => { pathName => '/a' } },
	'told, with what is kept');
is(control('session/get', { token => 't1' })->json->{session}{name}, 'Bob',
	'it is there');
is(asked('t1'), 1, 'without a question');

is(control('session/delete', { token => 't1' })->status, 200, 'deleted');
is(upto($s, 'logout')->[1], 'success', 'logged out');
is(upto($s2, 'logout')->[1], 'success', 'all tabs');
$s->event('joinRoom', { group => 'r', responseIndex => 2 });
is(upto($s, 'joinRoom-2')->[1]{errorCode}, 'session.notFound', 'no more');

# a second login kicks the first

answers(l1 => session({ id => 'u3' }), l2 => session({ id => 'u3' }));
my $l = socketio('l1');
$r = control('session/login', { token => 'l2', session => { id => 'u3' } })
	->json;
is($r->{replaced}, 1, 'one is replaced');
is_deeply($r->{tokens}, [ 'l1' ], 'the app is told which it is to forget');
is(upto($l, 'sessionReplaced')->[1],
	'{"reason":"session-replaced","userId":"u3"}', 'replaced');
is(upto($l, 'logout')->[1], 'success', 'and logged out');
is(connected('l2')->{user}, 'u3', 'the other is in');
is(asked('l2'), 0, 'without a question');
is_deeply(control('session/revoke', { user => 'u3' })->json->{tokens},
	[ 'l2' ], 'revoked');

# system/logout: the app is told, and has to agree

answers(o1 => session({ id => 'u4' }), logout => 'fail');
my $o = socketio('o1');
logout($o, 1);
is(upto($o, 'apiResponse-1')->[1]{errorCode}, 'session.unavailable',
	'no logout without the app');
is(connected('o1')->{user}, 'u4', 'it still is there');
answers(logout => '{}');
logout($o, 2);
is_deeply([ map { $_->[0] } $o->recv_event, $o->recv_event ],
	[ 'logout', 'apiResponse-2' ], 'logged out, then answered');
$r = (grep { $_->{json}{event} eq 'logout' }
	@{$hook->wait_requests(1, qr/session/)})[-1];
is($r->{json}{token}, 'o1', 'the app knows whom');
is(connected('o1')->{user}, undef, 'gone');

# an app that fails, or answers nonsense

my %bad = (b1 => 'fail', b2 => 'no JSON', b3 => '[]', b4 => '{}',
	b5 => '{"session":null,"ttl":"x"}', b6 => '{"session":null,"ttl":0}',
	b7 => '{"session":{"id":"u","x":"' . 'x' x 80000 . '"}}',
	b8 => '{"session":{"id":"u","x":' . '[' x 100 . ']' x 100 . '}}');
answers(%bad);

for my $token (sort keys %bad) {
	is($t->ws('/ws', cookie => "token=$token")->status, 503,
		"not known: $token");
}

$e = $t->eio;
ok(!$e->connect({ token => 'b1' }), 'Socket.IO');
is(api('b1')->status, 503, 'HTTP');
is(control('session/get', { token => 'b1' })->json->{errorCode},
	'session.unavailable', 'control');
is($t->ws('/ws')->status, 101, 'those without a token come in');

my $secret = 'secret-token-of-';
my %none = ($secret . 1 => '{"session":[1]}', $secret . 2 => '{"session":"x"}',
	$secret . 3 => '{"session":{"name":"x"}}');
answers(%none);
$n = status()->{counters}{sessionsInvalid};
is(scalar(grep { defined connected($_)->{user} } keys %none), 0,
	'what is no session');
is(status()->{counters}{sessionsInvalid} - $n, 3, 'is counted, each once');
ok($t->wait_log(qr/answer of the hook of token "secr.{0,2}\.\.\." has no id/),
	'and logged, with a few bytes of the token');
unlike($t->read_file('error.log'), qr/secret-/, 'no more of it');

# what one app says is not another's word

is(connected('other', 3)->{user}, undef, 'a token of another app');
answers(other => session({ id => 'u5' }), 'other other' =>
	session({ id => 'u6' }));
ok($t->wait_for(sub { (connected('other')->{user} // '') eq 'u5' }, 10),
	'is another session');
ok($t->wait_for(sub { (connected('other', 3)->{user} // '') eq 'u6' }, 10),
	'than this one');

# after its time it is asked again, also for who is silent

answers(brief => session({ id => 'u8', n => 1 }),
	ttl => session({ id => 'u9' }, 3600));
my $b = connected('brief', 2)->{ws};
my $long = connected('ttl', 2);
answers(brief => session({ id => 'u8', n => 2 }));
is(decode_json(upto($b, 'updateSession')->[1])->{n}, 2, 'a change is told');
$b->send_json([ 'joinRoom', { group => 'r', responseIndex => 1 } ]);
is_deeply(decode_json(upto($b, 'updateSession')->[1])->{roomCodes}, [ 'r' ],
	'a room');
answers(brief => session({ id => 'u8', n => 3 }));
is_deeply(decode_json(upto($b, 'updateSession')->[1]), { id => 'u8', n => 3,
	roomCodes => [ 'r' ] }, 'is kept');

# an app that cannot be asked: what is known counts for a while

answers(brief => 'fail');
$n = asked('brief');
ok($t->wait_for(sub { asked('brief') > $n + 1 }, 15), 'asked in vain');
$b->send_json([ 'joinRoom', { group => 'q', responseIndex => 2 } ]);
is_deeply(upto($b, 'joinRoom-2')->[1]{rooms}, [ 'r', 'q' ], 'good for now');

answers();
is(upto($b, 'logout')->[1], 'success', 'an end is told');
is(asked('ttl'), 1, 'an answer may say for how long it counts');

# a worker that is gone while it asks

answers(slower => session({ id => 'u10' }));
my ($lost) = begun('slower', 1);
ok($t->wait_for(sub { asked('slower') }, 10), 'a worker asks');
$t->kill_worker for 1 .. $t->worker_processes;
ok($lost->wait_eof, 'it is killed');
answers(slower => session({ id => 'u10' }));
$hook->go('slower');
is(connected('slower')->{user}, 'u10', 'another one asks again');

unlike($t->read_file('error.log'), qr/slower|nobody|other/,
	'no token in the log');

###############################################################################

sub control { return $t->http('POST', "/control/$_[0]", json => $_[1]) }
sub status { return $t->http('GET', '/status')->json }
sub asked {
	my ($token) = @_;
	return scalar grep { ($_->{json}{token} // '') eq $token
		&& $_->{json}{event} eq 'session' } $hook->requests;
}

sub session {
	my ($session, $ttl) = @_;
	return encode_json({ session => $session, $ttl ? (ttl => $ttl) : () });
}

# Replaces what the app has.

sub answers {
	my (%answers) = @_;
	$t->write_file('answers.new', encode_json(\%answers));
	rename "$dir/answers.new", "$dir/answers.json" or die "rename: $!\n";
}

sub api {
	return $t->http('POST', '/api/a/mine/v1', json => {},
		headers => [ Authorization => "Bearer $_[0]" ]);
}

sub socketio {
	my $s = $t->eio(undef, headers => [ Cookie => "token=$_[0]" ]);
	$s->connect;
	return $s;
}

sub logout {
	my ($peer, $i) = @_;
	$peer->event('apiRequest', { name => 'api/system/logout/v1', data => {},
		responseIndex => $i });
}

# A WebSocket with the token.

sub connected {
	my ($token, $port) = @_;

	my $ws = $t->ws('/ws', cookie => "token=$token",
		port => $port);
	my $m = $ws->recv_event('connected');

	return { ws => $ws, user => $m->[1]{userId},
		channels => $m->[1]{channels} };
}

# WebSockets that are not answered yet, and who they are in the end.

sub begun {
	my ($token, $n) = @_;
	return map { Test::Sync::WS->_open(port => $t->port(0), uri => '/ws',
		cookie => "token=$token") } 1 .. $n;
}

sub ended {
	my ($ws) = @_;
	$ws->_handshake;
	return $ws->recv_event('connected')->[1]{userId} // 'nobody';
}

# The next event of this name.

sub upto {
	my ($peer, $name) = @_;

	return $peer->recv_event($name) // [ 'nothing', '{}' ]
		if $peer->isa('Test::Sync::WS');

	while (my $e = $peer->recv_event) {
		return $e if ref $e && $e->[0] eq $name;
	}

	return [ 'nothing', '{}' ];
}

###############################################################################
