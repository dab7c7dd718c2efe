#!/usr/bin/perl

# Copyright (C) sync for nginx

# auth of routes: login, and each pattern of additional, over WebSocket and
# Socket.IO; the order of all gates; sessions that change; join=user.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use Test::Sync;

my ($true, $false) = (JSON::PP::true, JSON::PP::false);
my $json = JSON::PP->new->utf8->canonical->allow_nonref;

my %session = (id => 'u1', admin => $true, banned => $false, age => 30,
	name => 'Ann', empty => '', gone => undef, list => []);

# additional, what is answered: '' for success, f forbidden, i invalid; the key
# is the first one's, or is told

my @patterns = (
	[ [ { key => 'admin' } ],                                '' ],
	[ [ { key => 'gone' } ],                                 '' ],
	[ [ { key => 'role' } ],                                 'i' ],
	[ [ { key => 'admin', value => $true } ],                '' ],
	[ [ { key => 'admin', value => $false } ],               'f' ],
	[ [ { key => 'admin', value => 1 } ],                    'f' ],
	[ [ { key => 'name', value => 'Ann' } ],                 '' ],
	[ [ { key => 'list', value => [] } ],                    'f' ],
	[ [ { key => 'gone', value => undef } ],                 '' ],
	[ [ { key => 'name', type => 'string' } ],               '' ],
	[ [ { key => 'age', type => 'string' } ],                'f' ],
	[ [ { key => 'gone', type => 'number' } ],               '' ],
	[ [ { key => 'gone', nullish => $true } ],               '' ],
	[ [ { key => 'gone', nullish => $false } ],              'f' ],
	[ [ { key => 'name', nullish => $true } ],               'f' ],
	[ [ { key => 'name', nullish => $false } ],              '' ],
	[ [ { key => 'banned', mustBeFalsy => $true } ],         '' ],
	[ [ { key => 'empty', mustBeFalsy => $true } ],          '' ],
	[ [ { key => 'admin', mustBeFalsy => $true } ],          'f' ],
	[ [ { key => 'list', mustBeFalsy => $false } ],          '' ],
	[ [ { key => 'age', type => 'number', value => 30, nullish => $false,
		mustBeFalsy => $false } ],                           '' ],
	[ [ { key => 'age', type => 'number', value => 31, nullish => $false,
		mustBeFalsy => $false } ],                           'f' ],
	[ [ { key => 'admin' }, { key => 'age', value => 31 },
		{ key => 'role' } ],                                 'f', 'age' ],
	[ [ { key => 'admin' }, { key => 'role' },
		{ key => 'age', value => 31 } ],                     'i', 'role' ],
	[ [],                                                    '' ],
);

my $t = Test::Sync->new->plan(3 * @patterns + 53);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:4m;
    sync_routes routes.json;

    sync_room "timer:*" join=user;
    sync_room "free:*"  join=public;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_session memory;
        sync_token query:t auth:token;
        sync_hook api /_hook/api;

        location /ws         { sync websocket; }
        location /sse        { sync sse; }
        location /socket.io/ { sync socketio; }
        location /control/   { sync control; }

        location /nobody/ {
            sync websocket;
            sync_session off;
            sync_token query:t;
        }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
        }
    }
}
EOF

my %routes = (
	login => { auth => { login => $true } },
	open => {},
	both => { auth => { login => $true, additional => [
		{ key => 'admin', value => $true } ] } },
	all => { auth => { login => $true, additional => [
		{ key => 'admin', value => $true } ] }, rateLimit => 2,
		schema => { required => [ 'x' ] } },
);

$routes{"p$_"} = { auth => { additional => $patterns[$_][0] } }
	for 0 .. $#patterns;

my %all;

for my $name (keys %routes) {
	$all{"$_/a/$name/v1"} = $routes{$name} for qw/ sync api /;
}

$t->write_file('routes.json', $json->encode({ version => 1,
	routes => \%all }));

my $hook = $t->hook(port => 1, answer => sub {
	return { json => { status => 'success' } } });

$t->run;

save('t1', \%session);
save('t2', { id => 'u2', admin => $false });

my $ws = client('t1');
my $eio = $t->eio;
$eio->connect({ token => 't1' });
$eio->recv_event while !has_room($eio);

###############################################################################

# patterns

for my $i (0 .. $#patterns) {
	my ($additional, $verdict, $key) = @{$patterns[$i]};
	my $name = $json->encode($additional);

	my $e = $verdict eq '' ? undef : error($verdict eq 'f'
		? ('auth.forbidden', 403) : ('auth.invalidCondition', 500),
		key => $key // $additional->[0]{key});

	is_deeply(failed(sync("p$i")), $e, "sync: $name");
	is_deeply(failed(api("p$i")), $e, "api: $name");
	is_deeply(failed(sio("p$i")), $e, "Socket.IO: $name");
}

# no session: with a token, without one; over both transports

for my $who ('unknown', undef) {
	my $name = $who // 'no token';

	client($who);

	is_deeply(failed(sync('login')), error('auth.required', 400),
		"$name: sync, login");
	is_deeply(failed(api('login')), error('auth.required', 401),
		"$name: api, login");
	is_deeply(failed(sync('p0')), error('auth.required', 400),
		"$name: sync, additional");
	is_deeply(failed(api('p0')), error('auth.forbidden', 403,
		key => 'admin'), "$name: api, additional");
	is_deeply(failed(sync('both')), error('auth.required', 400),
		"$name: sync, both");
	is_deeply(failed(api('both')), error('auth.required', 401),
		"$name: api, both");
	is(failed(sync('open')), undef, "$name: sync, none");
	is(failed(api('open')), undef, "$name: api, none");
	is(failed(api("p$#patterns")), undef, "$name: api, an empty list");
}

# an id that is nothing is no user

client('t1');
is(failed(sync('login')), undef, 'login');
is(failed(api('both')), undef, 'login and more');

client('t2');
is_deeply(failed(sync('both')), error('auth.forbidden', 403,
	key => 'admin'), 'another user');

# order, each gate before the next: exists, login, additional, receiver, rate,
# schema; what is refused by one is not charged by the rate

client('unknown');
is(code(sync('none', 'elsewhere', {})), 'sync.notFound', 'order: exists');
is(code(sync('all', 'elsewhere', {})), 'auth.required', 'order: login');

client('t2');
is(code(sync('all', 'elsewhere', {})), 'auth.forbidden',
	'order: additional');

client('t1');
is(code(sync('all', 'elsewhere', {})), 'sync.notRoomMember',
	'order: receiver');
is(code(sync('all', 'all', {})), 'sync.receiverNotAllowed',
	'order: receiver is all');
is(code(sync('all', 'free:r', {})), 'sync.invalidInputType',
	'order: schema');
is(code(sync('all', 'free:r', { x => 1 })), 'success', 'order: good');
is(code(sync('all', 'free:r', {})), 'sync.rateLimitExceeded',
	'order: rate before schema');
is(code(sync('all', 'elsewhere', {})), 'sync.notRoomMember',
	'order: receiver before rate');

my $before = $hook->requests;

is(code(api('none', {})), 'api.notFound', 'order: api, exists');
is(code(api('all', {})), 'api.invalidInputType', 'order: api, schema');
is(code(api('all', { x => 1 })), 'success', 'order: api, good');
is(code(api('all', {})), 'api.rateLimitExceeded', 'order: api, rate');
is($hook->requests, $before + 1, 'the app was asked once');

# one user with two sessions is counted once

save('t3', { %session });
client('t3');
is(code(api('all', { x => 1 })), 'api.rateLimitExceeded', 'a user is counted');

# a session that changes, and one that ends, count at once

client('t2');
is(code(sync('both')), 'auth.forbidden', 'before a change');
save('t2', { id => 'u2', admin => $true });
ok($t->wait_for(sub { return code(sync('both')) eq 'success' }),
	'after a change');

control('session/delete', { token => 't2' });
ok($t->wait_for(sub { return code(sync('both')) eq 'auth.required' }),
	'after its end');

# join=user

client('t1');

is(joined('timer:u1'), 1, 'user: the last part');
is(joined('timer:u1:work'), 1, 'user: a part');
is(joined('timer:u1:*'), 1, 'user: a pattern within');
is(joined('timer:u2'), 0, 'user: another');
is(joined('timer:u12'), 0, 'user: a longer one');
is(joined('timer:*'), 0, 'user: a pattern of all');
is(joined('timer:u1*'), 0, 'user: a pattern of more');
is($ws->{answer}{errorCode}, 'room.joinBlocked', 'user: code');
is($ws->{answer}{httpStatus}, 403, 'user: status');

save('t4', { id => 42 });
client('t4');
is(joined('timer:42'), 1, 'user: a number');

my $es = $t->sse('/sse?t=t1&channels=timer:u1,timer:u2');
my $connected = $es->recv_json;
is_deeply($connected->{channels}, [ 'timer:u1' ], 'user: event stream');
is_deeply($connected->{denied}, [ 'timer:u2' ], 'user: denied');

is($t->sse('/sse?channels=timer:u1&userId=u1')->status, 403,
	'user: a claim is nothing');

$ws = $t->ws('/nobody/');
$ws->recv_event('connected');
is(joined('timer:u1'), 0, 'user: no sessions');

###############################################################################

sub control {
	my ($op, $body) = @_;
	return $t->http('POST', "/control/$op", json => $body);
}

sub save {
	my ($token, $session) = @_;

	my $r = control('session/save', { token => $token,
		session => $session });
	die $r->body if $r->status != 200;
}

sub client {
	my ($token) = @_;

	$ws = $t->ws('/ws' . (defined $token ? "?t=$token" : ''));

	$ws->send_json([ 'joinRoom', { group => 'free:r',
		responseIndex => 1 } ]);
	$ws->recv_event('joinRoom-1');

	return $ws;
}

sub has_room {
	my ($eio) = @_;

	$eio->post('42["joinRoom",{"group":"free:r","responseIndex":1}]');

	while (my $e = $eio->recv_event) {
		return 1 if $e->[0] eq 'joinRoom-1';
	}
}

sub joined {
	my ($room) = @_;

	$ws->send_json([ 'joinRoom', { group => $room, responseIndex => 3 } ]);
	$ws->{answer} = $ws->recv_event('joinRoom-3')->[1];

	return $ws->{answer}{rooms} ? 1 : 0;
}

sub error {
	my ($code, $status, %params) = @_;

	return { status => 'error', errorCode => $code, message => $code,
		httpStatus => $status, %params ? (errorParams => [ map {
			{ key => $_, value => $params{$_} } } keys %params ]) : () };
}

# The answers of a sync, of a call, of a call by Socket.IO.

sub sync {
	my ($name, $receiver, $data) = @_;

	$ws->send_json([ 'sync', { name => "a/$name/v1", cb => 'c',
		data => $data // {}, receiver => $receiver // 'free:r',
		responseIndex => 7 } ]);

	return $ws->recv_event('sync-7')->[1];
}

sub api {
	my ($name, $data) = @_;

	$ws->send_json([ 'apiRequest', { name => "a/$name/v1",
		data => $data // {}, responseIndex => 8 } ]);

	return $ws->recv_event('apiResponse-8')->[1];
}

sub sio {
	my ($name) = @_;

	$eio->post("42[\"apiRequest\",{\"name\":\"a/$name/v1\",\"data\":{},"
		. '"responseIndex":9}]');

	while (my $e = $eio->recv_event) {
		return $e->[1] if $e->[0] eq 'apiResponse-9';
	}
}

# An error, or undef; its code, or "success".

sub failed {
	my ($answer) = @_;
	return $answer->{status} eq 'success' ? undef : $answer;
}

sub code {
	my ($answer) = @_;
	return $answer->{errorCode} // $answer->{status};
}

###############################################################################
