#!/usr/bin/perl

# Copyright (C) sync for nginx

# Who comes to a worker that is about to exit, on a connection that it accepted
# before: a browser tries a WebSocket again, but gives up on an event stream
# that is refused by status.  A hook that is still asked holds the worker.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Test::Sync::SSE;

my $t = Test::Sync->new(workers => 1)->plan(9);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;
    sync_drain 1s;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_hook server /_hook/sync;

        location /ws     { sync websocket; }
        location /events { sync sse; }
        location /status { sync status; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
        }
    }
}
EOF

my $hook = $t->hook(port => 1, answer => sub {
	return [ [ 'wait', 'answer' ], [ 'head', 200, 'Content-Length: 20' ],
		[ 'raw', '{"status":"success"}' ] ];
});

$t->run;

my ($sse, $ws) = map { Test::Sync::Peer->new(port => $t->port(0)) } 1 .. 2;

my $client = $t->ws('/ws');
$client->send_json([ 'joinRoom', { group => 'r', responseIndex => 1 } ]);
$client->recv_event('joinRoom-1');
$client->send_json([ 'sync', { name => 't/slow/v1', cb => 'c', data => {},
	receiver => 'r', responseIndex => 2 } ]);
$client->recv_event('sync-progress-2');
$hook->wait_requests(1);

# connections are accepted in order: those before are

my ($old) = $t->workers;
$t->reload;

$sse->put("GET /events?channels=r HTTP/1.1\r\nHost: localhost\r\n\r\n");
my $r = $sse->recv_response('GET');
is($r->status, 200, 'event stream is not refused');
is($r->header('content-type'), 'text/event-stream', 'type');
like($r->body, qr/^retry: [1-4]\d{3}\n\n$/, 'but told when to come back');

$ws->put(join "\r\n", 'GET /ws HTTP/1.1', 'Host: localhost',
	'Upgrade: websocket', 'Connection: Upgrade',
	'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: ' . 'A' x 22 . '==',
	'', '');
$r = $ws->recv_response('GET');
is($r->status, 503, 'WebSocket is refused');
is($r->header('connection'), 'close', 'and its connection closed');

is($client->wait_close, 1012, 'the client was let go');
is_deeply([ $t->leaving ], [ $old ], 'the worker waits for its hook');
$hook->go('answer');
ok($t->wait_for(sub { !$t->leaving }), 'and ends with it');

is($t->http('GET', '/status')->json->{counters}{hooks}, 1, 'counted');
