#!/usr/bin/perl

# Copyright (C) sync for nginx

# The way in and out: the connect hook, the channels of an event stream and who
# is granted them, the disconnect hook.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

my $t = Test::Sync->new->plan(34);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    log_format client $sync_client;

    sync_zone zone=sync:8m;

    sync_room "deny:*"  join=deny;
    sync_room "asked:*" join=hook;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        set_real_ip_from 127.0.0.1;

        sync_hook connect    /_hook/connect;
        sync_hook join       /_hook/join;
        sync_hook disconnect /_hook/disconnect;

        location /ws     { sync websocket; access_log %%TESTDIR%%/client.log client; }
        location /events { sync sse; }
        location /status { sync status; }

        location /strict { sync websocket; sync_hook connect /_down; }
        location /lax    { sync websocket;
                           sync_hook connect /_down on_error=allow; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
        }

        location /_down {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_2%%;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_3%%;

        location /events { sync sse; sync_max_rooms 3; }
    }
}
EOF

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;

	# the first batch of disconnects is refused twice

	if ($r->{uri} =~ /disconnect/) {
		return { status => 503 } if $r->{json}{seq} == 1
			&& $r->{headers}{'x-try'}++;
		return { json => {} };
	}

	my $who = ($r->{headers}{cookie} // '') . ($r->{json}{room} // '');

	return { json => { stop => { errorCode => 'auth.expired',
		httpStatus => 401 } } } if $who =~ /expired/;
	return { json => { stop => {} } } if $who =~ /stranger/;
	return [ [ 'wait', 'slow' ], [ 'head', 200, 'Content-Length: 2' ],
		[ 'raw', '{}' ] ] if $who =~ /slow/;

	return { json => {} };
});

$t->run;

# the connect hook

my $ws = $t->ws('/ws', cookie => 'who=friend');
my $c = $ws->recv_event('connected')->[1];
is($ws->status, 101, 'admitted');

my $r = $hook->wait_requests(1)->[0];
is_deeply([ @{$r->{json}}{qw/ v event clientId transport ip /} ],
	[ 1, 'connect', $c->{clientId}, 'websocket', '127.0.0.1' ],
	'asked, with the id the client will have');
is($r->{headers}{cookie}, 'who=friend', 'cookie');
ok($t->wait_for(sub { $t->read_file('client.log') eq "$c->{clientId}\n" }),
	'$sync_client in the access log');

my $no = $t->ws('/ws', cookie => 'who=expired');
is($no->status, 401, 'refused with its status');
is_deeply(JSON::PP::decode_json($no->response), { status => 'error',
	message => 'auth.expired', errorCode => 'auth.expired',
	httpStatus => 401 }, 'and its code');

$no = $t->ws('/ws', cookie => 'who=stranger');
is($no->status, 403, 'refused without a status');

is($t->ws('/strict')->status, 503, 'hook down: refused');
is($t->ws('/lax')->status, 101, 'hook down: on_error=allow');

# who goes while the app thinks is forgotten

my $peer = Test::Sync::Peer->new(port => $t->port(0));
$peer->put(join "\r\n", 'GET /ws HTTP/1.1', 'Host: localhost',
	'Upgrade: websocket', 'Connection: Upgrade', 'Cookie: who=slow',
	'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: ' . 'A' x 22 . '==',
	'', '');
my $n = $hook->wait_requests(4, qr{/connect$})->[-1]{n};
ok($t->wait_for(sub { $t->http('GET', '/status')->json->{clients} >= 2 }),
	'a client while it is decided');
$peer->disconnect;
ok($hook->wait_gone($n), 'the hook is dropped with its client');

# channels

my $es = $t->sse('/events?channels=a,b%3A1,%20c+d%20,a,&userId=u%201');
my $first = $es->recv;
my $d = JSON::PP::decode_json($first->{data});
ok(!defined $first->{event} && !defined $first->{id}, 'only data');
is_deeply([ @$d{qw/ type userId channels /} ],
	[ 'connected', 'u 1', [ 'a', 'b:1', 'c d' ] ], 'connected');
like($d->{timestamp}, qr/^\d{13}$/, 'timestamp');
ok(!exists $d->{denied}, 'nothing denied');

$es = $t->sse('/events');
is_deeply($es->recv_json->{channels}, [], 'no channels');

$es = $t->sse('/events?channels=a,deny:1,asked:1,asked:stranger,asked:expired');
$d = $es->recv_json;
is_deeply($d->{channels}, [ 'a', 'asked:1' ], 'granted');
is_deeply($d->{denied}, [ 'deny:1', 'asked:stranger', 'asked:expired' ],
	'denied');

$es = $t->sse('/events?channels=deny:1,asked:stranger');
is($es->status, 403, 'all denied');
$r = $t->http('GET', '/events?channels=deny:1');
is($r->json->{errorCode}, 'room.joinBlocked', 'and why');

is($t->sse("/events?channels=$_->[0]")->status, 400, $_->[1])
	for [ 'x' x 257, 'name too long' ], [ 'a%01b', 'control character' ],
	[ 'a%ffb', 'not UTF-8' ];
is($t->sse('/events?userId=' . 'u' x 256)->status, 400, 'user too long');
is($t->sse('/events?channels=a,b,c', port => 3)->status, 200, 'at the limit');
is($t->sse('/events?channels=a,b,c,d', port => 3)->status, 400,
	'above the limit');
is($t->sse('/events?channels=deny:1', port => 3)->status, 403, 'no hooks');

# an IPv4 client of a listener for both

my $both = $t->ws('/ws', headers => [ 'X-Real-IP: ::ffff:192.0.2.7' ]);
$both->recv_event('connected');
$both->send_json([ 'joinRoom', { group => 'asked:ip', responseIndex => 1 } ]);
$both->recv_event('joinRoom-1');
is_deeply([ grep { defined && $_ ne '127.0.0.1' } map { $_->{json}{ip} }
	$hook->requests ], [ ('192.0.2.7') x 2 ], 'an address is a plain one');
$both->disconnect;

# the way out

$ws->send_json([ 'joinRoom', { group => 'r1', responseIndex => 1 } ]);
$ws->recv_event('joinRoom-1');
$ws->shut;

ok($t->wait_for(sub { grep { $_->{clientId} eq $c->{clientId} } told() }),
	'told of the end');
my ($e) = grep { $_->{clientId} eq $c->{clientId} } told();
is_deeply([ @$e{qw/ userId rooms /} ], [ undef, [ 'r1' ] ], 'and of the rooms');

my @ws = $t->ws_many(70, '/ws');
my %id = map { $_->recv_event('connected')->[1]{clientId} => 1 } @ws;
my $batches = $hook->requests(qr/disconnect/);
$_->disconnect for @ws;
ok($t->wait_for(sub { 70 <= grep { $id{$_->{clientId}} } told() }),
	'told of all');
cmp_ok($hook->requests(qr/disconnect/) - $batches, '<', 40, 'in batches');

my %next;
my $wrong = 0;

for ($hook->requests(qr/disconnect/)) {
	my $b = $_->{json};
	my $at = $next{$b->{worker}} // 1;

	$wrong++ unless $b->{seq} <= $at
		&& $b->{seq} + @{$b->{events}} >= $at;
	$next{$b->{worker}} = $b->{seq} + @{$b->{events}};
}

is($wrong, 0, 'numbered without a gap');

$_->disconnect for $es;
ok($t->wait_for(sub { my $s = $t->http('GET', '/status')->json;
	return $s->{clients} == 0 && $s->{rooms} == 0 && $s->{members} == 0 }),
	'nothing is left');

# The events that the disconnect hook was told of.

sub told {
	return map { @{$_->{json}{events}} } $hook->requests(qr/disconnect/);
}
