#!/usr/bin/perl

# Copyright (C) sync for nginx

# Sessions in Redis against the hostile: odd cookies, tokens and values; changes
# that others make, as clients of two workers hear of them; Redis, and an app that
# has sessions, gone for longer than what is known is relied upon.  No token is in
# a log.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use Test::Sync;
use Time::HiRes qw/ time /;

###############################################################################

my $CLIENTS = 24;

my $t = Test::Sync->new(workers => 2)->plan(85);

$t->write_file('routes.json', <<'EOF');
{ "version": 1, "routes": {
    "sync/a/login/v1": { "auth": { "login": true }, "server": false },
    "sync/a/open/v1": { "auth": { "login": false }, "server": false } } }
EOF

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    access_log %%TESTDIR%%/access.log;

    large_client_header_buffers 4 16k;

    sync_zone zone=sync:8m;
    sync_redis redis://127.0.0.1:%%PORT_1%%;
    sync_room "free:*" join=public;
    sync_routes routes.json;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_session redis key=s:$sync_token;
        sync_token cookie:token header:authorization auth:token;
        sync_receiver any;

        location /socket.io/ { sync socketio; }
        location /ws         { sync websocket; sync_token cookie:token; }
        location /greeted    { sync websocket; }
        location /sse        { sync sse; }
        location /sync/      { sync request; }
        location /status     { sync status; }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;

        sync_session hook /_hook/session cache=1s;
        sync_token cookie:token;
        sync_receiver any;

        location /ws { sync websocket; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_3%%;
        }
    }
}
EOF

my $redis = $t->redis(port => 1);

$t->run;

ok($t->wait_for(sub { status()->{redis}{tracked} }, 20), 'changes are heard of');

###############################################################################

# what a cookie may hold: [ cookie, user ]; "secret" is in each

my $long = 'secret' . 'x' x 4991;
my $longer = 'secret' . 'x' x 8186;
my $most = 'secret' . 'y' x 4090;

$redis->command('SET', "s:$_", '{"id":"u1"}')
	for 'secret-1', 'secret/2', 'secret%zz', '"secret-1"', $most, $long;
$redis->command('SET', 's:secret-2', '{"id":"u2"}');

my @cookies = (
	[ 'token=secret-1', 'u1', 'a token' ],
	[ 'token=secret-1; token=secret-2', 'u1', 'the first of two' ],
	[ 'token=secret-2; token=secret-1', 'u2', 'whichever that is' ],
	[ 'token=; token=secret-1', undef, 'an empty one' ],
	[ 'mytoken=secret-1', undef, 'another name' ],
	[ 'a="; token=secret-1; b="', 'u1', 'quotes hide nothing' ],
	[ 'token="secret-1"', 'u1', 'quotes are part of it' ],
	[ 'token = secret-1', undef, 'a name with a space' ],
	[ 'token=secret%2F2', 'u1', 'percent-encoded' ],
	[ 'token=secret%zz', 'u1', 'what is not is taken as it is' ],
	[ 'token=secret-1%', undef, 'cut short' ],
	[ 'token=secret-1%00', undef, 'a NUL' ],
	[ 'token=secret-1%0d%0aX', undef, 'a line break' ],
	[ "token=secret-1\xff", undef, 'no ASCII' ],
	[ ";;;===;token=secret-1;=", 'u1', 'garbage around it' ],
	[ "token=$most", 'u1', 'as long as it may be' ],
	[ "token=$long", undef, '5 KB' ],
);

my $invalid = counter('tokensInvalid');

for my $c (@cookies) {
	is(ws_user($c->[0]), $c->[1], "WebSocket: $c->[2]");
	is(sse_user($c->[0]), $c->[1], "event stream: $c->[2]");
}

is($t->ws('/ws', cookie => "token=\0secret-1")->status, 400, 'a NUL as it is');

# more than is kept for hooks: not let in, whoever it is

for my $uri ('/ws', '/greeted') {
	is($t->ws($uri, cookie => "token=$longer")->status, 431, "$uri: 8 KB");
}

is($t->sse('/sse?channels=free:1', cookie => "token=$longer")->status, 431,
	'event stream: 8 KB');
is($t->http('GET', '/socket.io/?EIO=4&transport=polling',
	headers => [ Cookie => "token=$longer" ])->json->{errorCode},
	'protocol.headersTooLarge', 'polling: 8 KB');
is(sio_user(headers => [ Cookie => "token=$longer" ]), 'none connected',
	'Socket.IO: 8 KB');
is(call('login', "token=$longer")->json->{errorCode}, 'auth.required',
	'HTTP call: 8 KB');

cmp_ok(counter('tokensInvalid'), '>=', $invalid + 8, 'counted');

is(sio_user(headers => [ Cookie => 'token=secret-1' ]), 1, 'Socket.IO');
is(sio_user(headers => [ Cookie => "token=$long" ]), 0, 'of 5 KB');
is(sio_user(headers => [ Authorization => 'Bearer secret-1' ]), 1, 'bearer');
is(sio_user(headers => [ Authorization => 'Basic secret-1' ]), 0, 'basic');
is(sio_user(auth => { token => 'secret-1' }), 1, 'auth');
is(sio_user(auth => { token => $long }), 0, 'auth of 5 KB');
is(sio_user(auth => { token => "secret-1\0" }), 0, 'auth with a NUL');
is(sio_user(auth => { token => [ 'secret-1' ] }), 0, 'auth that is no string');

is(call('login', "token=secret-1")->json->{status}, 'success', 'HTTP call');
is(call('login', "token=$long")->json->{errorCode}, 'auth.required',
	'of 5 KB');

unseen('odd tokens');

# values

my %values = (
	number => '7', string => '"u1"', null => 'null', empty => '', 'list' => '[]',
	'no-id' => '{"name":"x"}', 'null-id' => '{"id":null}', 'true-id' => '{"id":true}',
	'list-id' => '{"id":["u1"]}', 'empty-id' => '{"id":""}',
	'long-id' => '{"id":"' . 'i' x 256 . '"}',
	deep => '{"id":"u1","x":' . '[' x 100000 . ']' x 100000 . '}',
	open => '{"id":"u1","x":' . '{"a":' x 10000,
	large => '{"id":"u1","x":"' . 'x' x 2_000_000 . '"}',
	many => '{"id":"u1","x":[' . '0,' x 100000 . '0]}',
	nul => "{\"id\":\"u1\"}\0", tail => '{"id":"u1"}x', utf8 => "{\"id\":\"\xff\"}",
	twice => '{"id":"u1"}{"id":"u1"}',
);

my $wrong = counter('sessionsInvalid');

for my $name (sort keys %values) {
	$redis->command('SET', "s:secret-value-$name", $values{$name});
}

is_deeply([ grep { defined ws_user("token=secret-value-$_") } sort keys %values ],
	[], 'values that are no session');
is(counter('sessionsInvalid'), $wrong + keys %values, 'counted, each once');

$redis->command('SET', 's:secret-id', '{"id":"' . 'i' x 255 . '"}');
is(ws_user('token=secret-id'), 'i' x 255, 'an id as long as it may be');
$wrong = counter('sessionsInvalid');
$redis->command('SET', 's:secret-id', '{"id":' . '[' x 100000);
ok($t->wait_for(sub { counter('sessionsInvalid') > $wrong }),
	'a session that becomes none');

unseen('odd values');

# clients of both workers hear of what others do

$redis->command('SET', 's:secret-w', '{"id":"u1","n":0}');

my %before = map { $_ => sockets($_) } $t->workers;
my @all;

ok($t->wait_for(sub {
	my @more = map { $t->ws('/ws', cookie => 'token=secret-w') } 1 .. 8;
	$_->recv_event('connected') for @more;
	push @all, @more;

	return @all >= $CLIENTS
		&& 2 == grep { sockets($_) > $before{$_} + 2 } $t->workers;
}), 'both workers have some');

my ($n, %took) = (0);

for my $round (1 .. 5) {
	$n++;
	took('SET', sub { $redis->command('SET', 's:secret-w',
		qq({"id":"u1","n":$n})) },
		sub { return changed($_[0]) == $n });
}

took('DEL', sub { $redis->command('DEL', 's:secret-w') },
	sub { return $_[0]->recv_event('logout')->[1] eq 'success' });
took('SET', sub { $redis->command('SET', 's:secret-w', '{"id":"u1","n":9}') },
	sub { return changed($_[0]) == 9 });
took('EXPIRE', sub { $redis->command('EXPIRE', 's:secret-w', 0) },
	sub { return $_[0]->recv_event('logout')->[1] eq 'success' });

for my $how (sort keys %took) {
	my ($most) = sort { $b <=> $a } @{$took{$how}};
	note sprintf '%s: heard by all %d in %.1f ms at most', $how, scalar @all,
		$most * 1000;
	cmp_ok($most, '<', 2 * $Test::Sync::SLOW, "$how is heard of soon");
}

# Redis gone: what is known is good for 10 s, then it is not

$redis->command('SET', 's:secret-o', '{"id":"u1"}');

my $ws = $t->ws('/ws', cookie => 'token=secret-o');
$ws->recv_event('connected');
my $none = $t->ws('/ws');
$none->recv_event('connected');

for my $peer ($ws, $none) {
	$peer->send_json([ 'joinRoom', { group => 'free:1',
		responseIndex => 0 } ]);
	$peer->recv_event('joinRoom-0');
}

my $app = app();
my $asked = $t->ws('/ws', port => 2, cookie => 'token=secret-h');
is($asked->recv_event('connected')->[1]{userId}, 'u1', 'as the app says');
$asked->send_json([ 'joinRoom', { group => 'free:1', responseIndex => 0 } ]);
$asked->recv_event('joinRoom-0');

$app->stop;
$redis->stop;

is(ask($asked, 'login')->{status}, 'success', 'relied upon, by the app');
is(ask($ws, 'login')->{status}, 'success', 'relied upon');
is(call('login', 'token=secret-o')->json->{status}, 'success', 'by HTTP');

my $e;

ok($t->wait_for(sub {
	$e = ask($ws, 'login');
	return $e->{status} eq 'error';
}, 30), 'for a while');
is($e->{errorCode}, 'session.unavailable', 'not auth.required');
is(ask($ws, 'open')->{status}, 'success', 'what needs none goes on');
is(ask($none, 'login')->{errorCode}, 'auth.required', 'who has no token');

my $r = call('login', 'token=secret-o');
is($r->status, 503, 'by HTTP');
is($r->json->{errorCode}, 'session.unavailable', 'the same');
is(call('login')->json->{errorCode}, 'auth.required', 'who has no token');
is(bearer('open', 'secret-o')->json->{status}, 'success',
	'what needs none goes on by HTTP, too');
is(bearer('login', 'secret-o')->json->{errorCode}, 'session.unavailable',
	'but not what does');
is(call('open', 'token=secret-o')->status, 503,
	'nor what may be forged, by a cookie');
is($t->ws('/ws', cookie => 'token=secret-o')->status, 503, 'a handshake');

# and the same where the app has the sessions

ok($t->wait_for(sub {
	$e = ask($asked, 'login');
	return $e->{status} eq 'error';
}, 30), 'for a while, by the app');
is($e->{errorCode}, 'session.unavailable', 'then it is not known');
is(ask($asked, 'open')->{status}, 'success', 'what needs none goes on');
is($t->ws('/ws', port => 2, cookie => 'token=secret-h')->status, 503,
	'no handshake');
$app = app();
ok($t->wait_for(sub { ask($asked, 'login')->{status} eq 'success' }, 30),
	'it is known again');

$redis->start;
$redis->command('SET', 's:secret-o', '{"id":"u1"}');
ok($t->wait_for(sub { ask($ws, 'login')->{status} eq 'success' }, 30),
	'it is back');

unseen('an outage');

###############################################################################

sub app {
	return $t->hook(port => 3, answer => sub {
		return { json => { session => { id => 'u1' } } };
	});
}

sub status { return $t->http('GET', '/status')->json }
sub counter { return status()->{counters}{$_[0]} }

sub ws_user {
	my ($cookie) = @_;
	my $m = $t->ws('/ws', cookie => $cookie)->recv_event('connected');
	return $m ? $m->[1]{userId} : 'none connected';
}

sub sse_user {
	my ($cookie) = @_;
	my $m = $t->sse('/sse?channels=free:1', cookie => $cookie)->recv_json;
	return $m ? $m->{userId} : 'none connected';
}

# Whether a Socket.IO client has a session.

sub sio_user {
	my (%o) = @_;

	my $auth = delete $o{auth};
	my $s = $t->eio(undef, %o);

	$s->connect($auth) or return 'none connected';
	$s->event('sync', { name => 'sync/a/login/v1', cb => 'a/login/v1',
		receiver => $s->sid, data => {}, responseIndex => 1 });

	while (my $e = $s->recv_event) {
		next if !ref $e || $e->[0] ne 'sync-1';
		return ($e->[1]{errorCode} // '') eq 'auth.required' ? 0 : 1;
	}

	return 'no answer';
}

sub call {
	my ($name, $cookie) = @_;
	return $t->http('POST', "/sync/a/$name/v1", json => { data => {},
		receiver => 'free:1' }, headers => [ $cookie
		? ( Cookie => $cookie ) : () ]);
}

sub bearer {
	my ($name, $token) = @_;
	return $t->http('POST', "/sync/a/$name/v1", json => { data => {},
		receiver => 'free:1' }, headers => [
		Authorization => "Bearer $token" ]);
}

my $index;

sub ask {
	my ($peer, $name) = @_;

	$index++;
	$peer->send_json([ 'sync', { name => "sync/a/$name/v1",
		cb => "a/$name/v1", receiver => 'free:1', data => {},
		responseIndex => $index } ]);

	return $peer->recv_event("sync-$index")->[1];
}

sub changed {
	my ($peer) = @_;
	return decode_json($peer->recv_event('updateSession')->[1])->{n};
}

# How long it takes till all have heard of it.

sub took {
	my ($name, $do, $heard) = @_;

	my $began = time;

	$do->();
	my $n = grep { $heard->($_) } @all;

	push @{$took{$name}}, $n == @all ? time - $began : 1000;
}

# Connections of a worker.

sub sockets {
	my ($pid) = @_;
	my @found = grep { (readlink($_) // '') =~ /^socket/ }
		glob "/proc/$pid/fd/*";
	return scalar @found;
}

sub unseen {
	my ($what) = @_;

	my $text = join '', map { $t->read_file($_) } 'error.log', 'access.log';

	$text .= $t->http('GET', "/status$_")->body for '', '?format=prometheus';

	unlike($text, qr/secret.?[-\w]/, "$what: no token is shown");
}

###############################################################################
