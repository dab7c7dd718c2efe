#!/usr/bin/perl

# Copyright (C) sync for nginx

# What the app is asked while the worker exits, and no client is left: a
# handshake, a channel of an event stream, a sync and a call by HTTP.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use Test::Sync;
use Test::Sync::Peer;

my $t = Test::Sync->new(workers => 1)->plan(14);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone  zone=sync:8m;
    sync_drain 100ms;

    sync_room "doc:*"  recoverable;
    sync_room "gate:*" join=hook;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_hook server /_hook/sync;
        sync_hook api    /_hook/api;
        sync_hook join   /_hook/join;

        location /ws     { sync websocket; }
        location /asked  { sync websocket; sync_hook connect /_hook/connect; }
        location /events { sync sse; }
        location /sync/  { sync request; sync_receiver any; }
        location /api/   { sync api; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
        }
    }
}
EOF

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;

	return [ [ 'wait', $r->{uri} ], [ 'head', 200, 'Content-Length: 20',
		'Content-Type: application/json' ],
		[ 'raw', '{"status":"success"}' ] ];
});

$t->run;

###############################################################################

my $r = late('join', "GET /events?channels=gate:1 HTTP/1.1\r\n"
	. "Host: localhost\r\n\r\n");
is($r->status, 200, 'an event stream is answered');
like($r->body, qr/^retry: \d+$/m, 'and told when to come back');

$r = late('connect', join "\r\n", 'GET /asked HTTP/1.1', 'Host: localhost',
	'Upgrade: websocket', 'Connection: Upgrade',
	'Sec-WebSocket-Version: 13', 'Sec-WebSocket-Key: ' . 'A' x 22 . '==',
	'', '');
is($r->status, 101, 'a handshake is answered');

$r = late('api', post('/api/t/createIt/v1', {}));
is($r->status, 200, 'a call is answered');

my $ws;
$r = late('sync', post('/sync/t/say/v1', { receiver => 'doc:1', data => {} }),
	sub {
		$ws = $t->ws('/ws');
		$ws->send_json([ 'joinRoom', { group => 'doc:1',
			responseIndex => 1 } ]);
		$ws->recv_event('joinRoom-1');
	});
is($r->status, 200, 'a sync is accepted');
is(($ws->recv_event('sync') || [])->[1]{status}, 'success',
	'the room hears it');

###############################################################################

# Says that to a worker, which has drained for long when the app answers.

sub late {
	my ($hook_uri, $bytes, $meanwhile) = @_;

	my $peer = Test::Sync::Peer->new(port => $t->port(0));
	$peer->put($bytes);
	$t->wait_for(sub { grep { $_->{uri} eq "/_hook/$hook_uri" }
		$hook->requests });

	$t->reload;
	$meanwhile->() if $meanwhile;

	select undef, undef, undef, 0.5;

	ok(scalar($t->leaving), "$hook_uri: the worker waits");
	$hook->go("/_hook/$hook_uri");

	my $answer = $peer->recv_response($bytes =~ /^(\w+)/);
	$peer->disconnect;
	ok($t->wait_for(sub { !$t->leaving }), 'and ends');

	return $answer;
}

sub post {
	my ($uri, $json) = @_;
	my $body = encode_json($json);

	return join "\r\n", "POST $uri HTTP/1.1", 'Host: localhost',
		'Content-Type: application/json',
		'Content-Length: ' . length $body, '', $body;
}
