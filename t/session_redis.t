#!/usr/bin/perl

# Copyright (C) sync for nginx

# Sessions in Redis: what the app writes there is who a client is, and what it
# changes there is told at once; values that are none, and a Redis that is gone.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use Test::Sync;
use Time::HiRes qw/ time /;

###############################################################################

my $t = Test::Sync->new->plan(48);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;
    sync_redis redis://127.0.0.1:%%PORT_1%% prefix=app;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_session redis key=app-session:$sync_token
                           users=app-activeUsers:$sync_user ttl=1h
                           per_user=single;
        sync_token cookie:token header:authorization auth:token;

        location /socket.io/ { sync socketio; }
        location /ws         { sync websocket; }
        location /control/   { sync control; }
        location /status     { sync status; }
    }
}
EOF

my $redis = $t->redis(port => 1);

$t->run;

ok($t->wait_for(sub { status()->{redis}{tracked} }, 20), 'changes are heard of')
	or diag $t->http('GET', '/status')->body;

###############################################################################

my ($r, $e);

$redis->command('SET', key('t1'), '{"id":"u1","name":"Ann"}', 'EX', 100);

my $c = connected('t1');
is($c->{user}, 'u1', 'the session is in Redis');
ok($t->wait_for(sub { $redis->command('TTL', key('t1')) > 3000 }),
	'its end is put off');

is(connected('none')->{user}, undef, 'a token without a session');

# the end of one that was just written is not put off

my $before = $redis->command('INFO', 'commandstats');
$redis->command('SET', key('t0'), '{"id":"u0"}', 'EX', 3600);
is(connected('t0')->{user}, 'u0', 'another one');
is(put_off($redis->command('INFO', 'commandstats')), put_off($before),
	'is left as it is');

# a hit costs no call

my $s = $t->eio(undef, headers => [ Cookie => 'token=t1' ]);
ok($s->connect, 'Socket.IO by its cookie');
my $s2 = $t->eio;
ok($s2->connect({ token => 't1' }), 'by what it says');
my $s3 = $t->eio(undef, headers => [ Authorization => 'Bearer t1' ]);
ok($s3->connect, 'by a bearer token');

my $reads = settled();

for my $i (1 .. 20) {
	$s->event('apiRequest', { name => 'api/a/b/v1', data => {},
		responseIndex => $i });
	$s->recv_event;
}

is(status()->{counters}{sessionReads}, $reads, 'requests ask Redis nothing');

# SET, EXPIRE, DEL by another client

my $began = time;
$redis->command('SET', key('t1'), '{"id":"u1","name":"Bob"}', 'EX', 100);
is(name($s), 'Bob', 'a change is told');
cmp_ok(time - $began, '<', 2 * $Test::Sync::SLOW, 'soon');
is(name($s2), 'Bob', 'to another tab');
is(decode_json($c->{ws}->recv_event('updateSession')->[1])->{name}, 'Bob',
	'and another');

# the layout of what nginx writes

$s->event('joinRoom', { group => 'r', responseIndex => 1 });
is_deeply(decode_json(upto($s, 'updateSession')->[1]),
	{ id => 'u1', name => 'Bob', roomCodes => [ 'r' ] }, 'rooms are kept');
is_deeply(upto($s, 'joinRoom-1'), [ 'joinRoom-1', { rooms => [ 'r' ] } ],
	'before the answer');
is($redis->command('GET', key('t1')),
	'{"id":"u1","name":"Bob","roomCodes":["r"]}', 'in Redis');
upto($s2, 'updateSession');

# two tabs join at once, and the app writes meanwhile: all is kept

$s->event('joinRoom', { group => "a$_", responseIndex => $_ }) for 2 .. 6;
$s2->event('joinRoom', { group => "b$_", responseIndex => $_ }) for 2 .. 6;
upto($s, 'joinRoom-6');
upto($s2, 'joinRoom-6');
is_deeply([ sort @{decode_json($redis->command('GET', key('t1')))
	->{roomCodes}} ], [ (map { "a$_" } 2 .. 6), (map { "b$_" } 2 .. 6), 'r' ],
	'nothing is lost');

is_deeply([ sort @{connected('t1')->{channels}} ], [ (map { "a$_" } 2 .. 6),
	(map { "b$_" } 2 .. 6), 'r' ], 'rejoined');

# its end

$redis->command('EXPIRE', key('t1'), 0);
is(upto($s, 'logout')->[1], 'success', 'EXPIRE');
is(upto($s2, 'logout')->[1], 'success', 'all tabs');
$s->event('joinRoom', { group => 'r', responseIndex => 9 });
is(upto($s, 'joinRoom-9')->[1]{errorCode}, 'session.notFound', 'no more');

$redis->command('SET', key('t1'), '{"id":"u1"}');
is(name_of(upto($s, 'updateSession')), 'u1', 'it is back');
$redis->command('DEL', key('t1'));
is(upto($s, 'logout')->[1], 'success', 'DEL');

$redis->command('SET', key('t1'), '{"id":"u1"}', 'PX', 1500);
upto($s, 'updateSession');
$redis->command('PERSIST', key('t1'));
$redis->command('PEXPIRE', key('t1'), 300);
is(upto($s, 'logout')->[1], 'success', 'its time is over');

# control, and a second login

is($t->http('POST', '/control/session/login', json => { token => 'l1',
	session => { id => 'u2', token => 'l1' } })->json->{replaced}, 0, 'login');
is($redis->command('GET', key('l1')), '{"id":"u2"}', 'without its token');
is_deeply($redis->command('SMEMBERS', 'app-activeUsers:u2'), [ 'l1' ],
	'among the tokens of the user');
cmp_ok($redis->command('TTL', 'app-activeUsers:u2'), '>', 3000,
	'that have an end, too');

my $l = $t->eio(undef, headers => [ Cookie => 'token=l1' ]);
$l->connect;

is($t->http('POST', '/control/session/login', json => { token => 'l2',
	session => { id => 'u2' } })->json->{replaced}, 1, 'another login');
is(upto($l, 'sessionReplaced')->[1],
	'{"reason":"session-replaced","userId":"u2"}', 'replaced');
is(upto($l, 'logout')->[1], 'success', 'and logged out');
is_deeply($redis->command('SMEMBERS', 'app-activeUsers:u2'), [ 'l2' ],
	'one token is left');

$l = $t->eio(undef, headers => [ Cookie => 'token=l2' ]);
$l->connect;
$l->event('apiRequest', { name => 'api/system/logout/v1', data => {},
	responseIndex => 1 });
is_deeply($l->recv_event, [ 'logout', 'success' ], 'system/logout');
is_deeply($l->recv_event, [ 'apiResponse-1', { status => 'success',
	httpStatus => 200, result => JSON::PP::true } ], 'is answered then');
is($redis->command('EXISTS', key('l2')), 0, 'and gone from Redis');

# values that are no session

my %bad = (
	array => '[1]', text => 'no JSON', none => '{"name":"x"}',
	large => '{"id":"u","x":"' . 'x' x 65536 . '"}',
	deep => '{"id":"u","x":' . '[' x 100 . ']' x 100 . '}',
	nested => '{"id":{}}',
);

my $tokens = 'secret-token-of-';

$redis->command('SET', key($tokens . $_), $bad{$_}) for keys %bad;
$redis->command('LPUSH', key($tokens . 'list'), 'x');

is(scalar(grep { defined connected($tokens . $_)->{user} } keys %bad, 'list'),
	0, 'none of them is one');
is(status()->{counters}{sessionsInvalid}, 7, 'counted, each once');
ok($t->wait_log(qr/value in Redis of token "secr.{0,2}\.\.\." is too large/),
	'logged, with a few bytes of the token');
unlike($t->read_file('error.log'), qr/secret-/, 'and no more of it');

# FLUSHALL, CLIENT KILL

$redis->command('SET', key('f'), '{"id":"u3"}');
my $f = $t->eio(undef, headers => [ Cookie => 'token=f' ]);
$f->connect;
$redis->command('FLUSHALL');
is(upto($f, 'logout')->[1], 'success', 'FLUSHALL');

$redis->command('SET', key('f'), '{"id":"u3"}');
upto($f, 'updateSession');
$redis->command('CLIENT', 'KILL', 'TYPE', 'normal');
$redis = $redis->reconnect if $redis->can('reconnect');
$redis->command('SET', key('f'), '{"id":"u3","name":"again"}');
is(name($f), 'again', 'CLIENT KILL');

# an outage: what is known is relied upon for a while, and read again then

$redis->stop;
is(connected('f')->{user}, 'u3', 'what is known is used');
is($t->ws('/ws', cookie => 'token=new')->status, 503, 'what is not is not');
$f->event('joinRoom', { group => 'r', responseIndex => 5 });
is(upto($f, 'joinRoom-5')->[1]{errorCode}, 'session.unavailable',
	'nothing is kept');

$redis->start;
$redis->command('SET', key('f'), '{"id":"u3","name":"later"}');
ok($t->wait_for(sub { status()->{redis}{tracked} }, 30), 'it is back');
$e = upto($f, "updateSession");
is(name_in($e), "later", "and read again") or diag explain $e;
is(connected('f')->{user}, 'u3', 'all goes on');

###############################################################################

sub key { return "app-session:$_[0]" }
sub put_off { return $_[0] =~ /^cmdstat_pexpire:calls=(\d+)/m ? $1 : 0 }
sub status { return $t->http('GET', '/status')->json }

# A WebSocket with the token.

sub connected {
	my ($token) = @_;

	my $ws = $t->ws('/ws', cookie => "token=$token");
	my $m = $ws->recv_event('connected');

	return { ws => $ws, user => $m->[1]{userId},
		channels => $m->[1]{channels} };
}

# The count of reads when what was begun has ended.

sub settled {
	my $reads = -1;

	$t->wait_for(sub {
		select undef, undef, undef, 0.3;
		my $now = status()->{counters}{sessionReads};
		my $same = ($now == $reads);
		$reads = $now;
		return $same;
	}, 10);

	return $reads;
}

sub name { return decode_json(upto($_[0], 'updateSession')->[1])->{name} }
sub name_in { return decode_json($_[0][1])->{name} }
sub name_of { return decode_json($_[0][1])->{id} }

# The next event of this name.

sub upto {
	my ($peer, $name) = @_;

	while (my $e = $peer->recv_event) {
		return $e if ref $e && $e->[0] eq $name;
	}

	return [ 'nothing', '{}' ];
}

###############################################################################
