#!/usr/bin/perl

# Copyright (C) sync for nginx

# sync_rate and a route's own rateLimit: who is counted and for what, in which
# order, what it is answered; the same counts on all workers, after a reload and
# a worker's death; addresses behind a proxy.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

my $t = Test::Sync->new->plan(46);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:2m;
    sync_routes routes.json;
    sync_drain 0;

    set_real_ip_from 127.0.0.0/8;
    real_ip_header X-Forwarded-For;

    server {
        listen 127.0.0.1:%%PORT_0%% reuseport;

        sync_hook api /_hook/api;
        sync_receiver any;

        location /own { sync websocket; }

        location /route { sync websocket; sync_rate route=3r/m; }
        location /ip    { sync websocket; sync_rate ip=3r/m; }
        location /both  { sync websocket; sync_rate route=2r/m ip=5r/m; }
        location /quick { sync websocket; sync_rate route=2r/s; }

        location /post/ { sync request; sync_rate ip=2r/m; }
        location /out {
            sync websocket;
            sync_session memory;
            sync_token query:t;
            sync_rate route=1r/m ip=2r/m;
        }

        location /eio/ { sync socketio; sync_rate route=2r/m; }
        location /status { sync status; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
        }
    }
}
EOF

$t->write_file('routes.json', <<'EOF');
{ "version": 1, "routes": {
    "sync/a/own/v1": { "rateLimit": 2 },
    "sync/a/free/v1": { "rateLimit": false },
    "sync/a/one/v1": { },
    "sync/a/two/v1": { },
    "sync/a/three/v1": { },
    "sync/a/login/v1": { "auth": { "login": true }, "rateLimit": 2 },
    "api/a/own/v1": { "rateLimit": 1 },
    "api/a/one/v1": { } } }
EOF

my $hook = $t->hook(port => 1, answer => sub {
	return { json => { status => 'success' } } });

$t->run;

my $address = 0;
my $ws;

###############################################################################

# a route's own, with sync_rate off

client('/own');

is(sync('own'), 'success', 'own rate: first');
is(sync('own'), 'success', 'own rate: second');
is(sync('own'), 'sync.rateLimitExceeded', 'own rate: third');

my $answer = $ws->{answer};
my $seconds = delete $answer->{errorParams}[0]{value};

is_deeply($answer, { status => 'error', errorCode => 'sync.rateLimitExceeded',
	message => 'sync.rateLimitExceeded', httpStatus => 429,
	errorParams => [ { key => 'seconds' } ] }, 'what is answered');
ok($seconds =~ /^\d+$/ && $seconds > 0 && $seconds <= 60, 'seconds');

is(join(' ', map { sync('one') } 1 .. 5), join(' ', ('success') x 5),
	'the others have none');
is(api('own'), 'success', 'api: first');
is(api('own'), 'api.rateLimitExceeded', 'api: second');
is($ws->{answer}{httpStatus}, 429, 'api: status');
is($hook->requests, 1, 'api: the app is not asked');

# the same address, and another

client('/own', $address);
is(sync('own'), 'sync.rateLimitExceeded', 'another connection');

client('/own');
is(sync('own'), 'success', 'another address');

# what is refused before is not charged

client('/own');
is(join(' ', map { sync('login') } 1 .. 3),
	join(' ', ('auth.required') x 3), 'no login, not charged');

# sync_rate route

client('/route');

is(join(' ', map { sync('one') } 1 .. 4),
	'success success success sync.rateLimitExceeded', 'route: 3');
is(sync('two'), 'success', 'route: each its own');
is(sync('own'), 'success', 'route: its own rate');
is(sync('own'), 'success', 'route: its own rate again');
is(sync('own'), 'sync.rateLimitExceeded', 'route: its own wins');
is(join(' ', map { sync('free') } 1 .. 5), join(' ', ('success') x 5),
	'route: false');

# sync_rate ip

client('/ip');

is(sync('one'), 'success', 'ip: one');
is(sync('two'), 'success', 'ip: two');
is(sync('free'), 'success', 'ip: false is the route alone');
is(sync('three'), 'sync.rateLimitExceeded', 'ip: all of them');
is(api('one'), 'success', 'ip: calls are counted apart');

client('/ip', $address);
is(sync('one'), 'sync.rateLimitExceeded', 'ip: another connection');

# both: what the route refused is not charged to the address

client('/both');

is(join(' ', map { sync('one') } 1 .. 4), 'success success '
	. 'sync.rateLimitExceeded sync.rateLimitExceeded', 'both: route');
is(join(' ', map { sync('free') } 1 .. 4), 'success success success '
	. 'sync.rateLimitExceeded', 'both: the address has three left');

# an address of IPv4 is the same one in IPv6, by HTTP and by a socket

is(post('10.8.0.1'), 'success', 'HTTP: an address');
is(post('::ffff:10.8.0.1'), 'success', 'HTTP: the same');
is(post('10.8.0.1'), 'sync.rateLimitExceeded', 'HTTP: is one');
is(post('::ffff:10.8.0.1'), 'sync.rateLimitExceeded', 'HTTP: both ways');

# system/logout: of the address alone

client('/out');
is(join(' ', map { api('logout', 'system') } 1 .. 3),
	'success success api.rateLimitExceeded', 'logout: the address');
is($ws->{answer}{httpStatus}, 429, 'logout: status');
is($ws->{answer}{errorParams}[0]{key}, 'seconds', 'logout: seconds');

# a window that ends

client('/quick');

ok($t->wait_for(sub { return sync('one') ne 'success' }, 10),
	'second: exceeded');
is($ws->{answer}{errorParams}[0]{value}, 1, 'second: seconds');
ok($t->wait_for(sub { return sync('one') eq 'success' }, 10),
	'second: again');

# Socket.IO

my $eio = $t->eio('/eio/', headers => { 'X-Forwarded-For' => '10.9.0.1' });
$eio->connect;

for my $n (1 .. 3) {
	$eio->post('42["sync",{"name":"a/one/v1","cb":"c","data":{},'
		. "\"receiver\":\"r\",\"responseIndex\":$n}]");
	my $heard;
	do { $heard = $eio->recv_event } until !$heard
		|| $heard->[0] eq "sync-$n";
	is($heard->[1]{errorCode} // 'success', $n < 3 ? 'success'
		: 'sync.rateLimitExceeded', "Socket.IO: $n");
}

# a worker that dies, a reload: counts stay

client('/route');
sync('one') for 1 .. 3;

$t->expected(qr/signal 9/);
$t->kill_worker(0);
client('/route', $address);
is(sync('one'), 'sync.rateLimitExceeded', 'after a death');

$t->reload;
client('/route', $address);
is(sync('one'), 'sync.rateLimitExceeded', 'after a reload');

# two at once never have more than one would

client('/route');
my @two = map { client('/route', $address) } 1 .. 2;

for my $c (@two) {
	$c->send_json(request('one', $_)) for 1 .. 5;
}

my $passed = 0;

for my $c (@two) {
	for my $n (1 .. 5) {
		$passed += $c->recv_event("sync-$n")->[1]{status} eq 'success';
	}
}

is($passed, 3, 'two connections');

# more addresses than the zone has room for

my $before = status();

for my $n (1 .. 40) {
	client('/own');
	sync('own') for 1 .. 3;
	$ws->disconnect;
}

my $after = status();
is($after->{rateLimited} - $before->{rateLimited}, 40, 'counted');
is($after->{rateEvicted}, 0, 'nothing was forgotten');
is($after->{published} - $before->{published}, 80, 'and published');

###############################################################################

# A client with an address of its own, or this one.

sub client {
	my ($uri, $n) = @_;

	$n //= ++$address;

	$ws = $t->ws($uri, headers => [ "X-Forwarded-For: 10.0.$n.1" ]);
	$ws->recv_json;
	$ws->send_json([ 'joinRoom', { group => 'r', responseIndex => 1 } ]);
	$ws->recv_event('joinRoom-1');

	return $ws;
}

sub request {
	my ($name, $n) = @_;
	return [ 'sync', { name => "a/$name/v1", cb => 'c', data => {},
		receiver => 'r', responseIndex => $n } ];
}

# Both return "success", or the code of an error.

sub sync {
	my ($name) = @_;

	$ws->send_json(request($name, 7));
	$ws->{answer} = $ws->recv_event('sync-7')->[1];

	return $ws->{answer}{errorCode} // $ws->{answer}{status};
}

sub api {
	my ($name, $service) = @_;

	$service //= 'a';

	$ws->send_json([ 'apiRequest', { name => "api/$service/$name/v1", data => {},
		responseIndex => 8 } ]);
	$ws->{answer} = $ws->recv_event('apiResponse-8')->[1];

	return $ws->{answer}{errorCode} // $ws->{answer}{status};
}

sub post {
	my ($ip) = @_;

	my $json = $t->http('POST', '/post/a/one/v1',
		headers => { 'X-Forwarded-For' => $ip },
		json => { data => {}, receiver => 'nobody' })->json;

	return $json->{errorCode} // $json->{status};
}

sub status {
	return $t->http('GET', '/status')->json->{counters};
}

###############################################################################
