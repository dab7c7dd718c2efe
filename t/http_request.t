#!/usr/bin/perl

# Copyright (C) sync for nginx

# sync request: a sync by HTTP, answered in JSON or as an event stream.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

my $t = Test::Sync->new->plan(45);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;
    sync_hook server /_hook/sync;
    sync_hook cancel /_hook/cancel;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /ws     { sync websocket; }
        location /status { sync status; }

        location /sync/ {
            sync request;
            sync_receiver any;
            sync_allow_origin same http://other.example;
        }

        location /member/ { sync request; sync_max_message 200; }
        location /plain/  { sync request; sync_receiver any; sync_hook server /none; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
EOF

my %answer = (
	ok => { json => { status => 'success', n => 1 } },
	own => { json => { status => 'success', message => 'mine' } },
	rejected => { json => { status => 'error', errorCode => 'a.b',
		httpStatus => 409 } },
	broken => { status => 500, json => {} },
	pretty => { body => "{\n\"status\":\r\n\"success\" }" },
);

my @head = ('head', 200, 'Content-Type: application/x-ndjson');

my %lines = (
	streamed => [ [ 'chunk', qq({"stream":{"n":1}}\n{"broadcast":{"n":2}}\n) ],
		[ 'wait', 'streamed' ], [ 'chunk', qq({"stream":"t"}\n) ],
		[ 'chunk', qq({"final":{"status":"success","n":3}}\n) ], [ 'end' ] ],
	late => [ [ 'chunk', qq({"stream":{}}\n{"final":)
		. qq({"status":"error","errorCode":"x"}}\n) ], [ 'end' ] ],
	early => [ [ 'chunk', qq({"final":{"status":"error","errorCode":"x"}}\n) ],
		[ 'end' ] ],
	died => [ [ 'chunk', qq({"stream":{}}\n) ], [ 'close' ] ],
	hang => [ [ 'chunk', qq({"stream":{}}\n) ], [ 'hang' ] ],
);

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;

	return { json => {} } if $r->{uri} eq '/_hook/cancel';

	my $n = $r->{json}{name};

	return [ [ @head ], @{$lines{$n}} ] if $lines{$n};
	return $answer{$n} || { json => { status => 'success' } };
});

$t->run;

my $ws = $t->ws('/ws');
$ws->recv_json;
$ws->send_json([ 'joinRoom', { group => 'r', responseIndex => 0 } ]);
$ws->recv_json;

# JSON

my $r = post('/sync/t/ok/v1', { receiver => 'r', data => { a => 1 } },
	'X-Request-Id' => 'my-Id-1');
is($r->status, 200, 'status');
is($r->body, '{"status":"success","message":"sync sync/t/ok/v1 success",'
	. '"result":{"n":1,"status":"success"}}', 'answer');
is($r->header('content-type'), 'application/json', 'its type');
is($r->header('x-request-id'), 'my-Id-1', 'its id');
is($ws->recv_text, '["sync",{"cb":"sync/t/ok/v1","fullName":"sync/t/ok/v1",'
	. '"serverOutput":{"n":1,"status":"success"},"clientOutput":{},'
	. '"message":"sync/t/ok/v1 sync success","status":"success"}]', 'heard');

my $asked = $hook->wait_requests(1)->[0];
is($asked->{headers}{'x-request-id'}, 'my-Id-1', 'the id is passed on');
is_deeply([ @{$asked->{json}}{qw/ transport clientId data receiver kind ip / } ],
	[ 'http', undef, { a => 1 }, 'r', 'sync', '127.0.0.1' ], 'hook');

like(post('/sync/t/ok/v1', { receiver => 'r' }, 'X-Request-Id' => 'no good')
	->header('x-request-id'), qr/^[\da-f]{32}$/, 'an id of our own');
$ws->recv_text;

is(post('/sync/sync/t/own/v1', { receiver => 'nobody' })->json->{message},
	'mine', "the handler's message; nobody there is no error");

# errors, with their status

for my $case (
	[ 409, 'a.b', '/sync/t/rejected/v1', { receiver => 'r' } ],
	[ 400, 'sync.serverExecutionFailed', '/sync/t/broken/v1',
		{ receiver => 'r' } ],
	[ 400, 'sync.serverExecutionFailed', '/plain/t/x/v1', { receiver => 'r' } ],
	[ 400, 'sync.missingReceiver', '/sync/t/ok/v1', {} ],
	[ 400, 'sync.invalidRequest', '/sync/t/ok/v1', { data => [] } ],
	[ 400, 'routing.invalidServiceRouteName', '/sync/t', { receiver => 'r' } ],
	[ 400, 'sync.invalidName', '/sync/', { receiver => 'r' } ],
	[ 403, 'sync.receiverNotAllowed', '/sync/t/ok/v1', { receiver => 'all' } ],
	[ 403, 'sync.notRoomMember', '/member/t/ok/v1', { receiver => 'r' } ],
	[ 413, 'api.payloadTooLarge', '/member/t/ok/v1',
		{ receiver => 'r' x 200 } ],
	[ 400, 'api.invalidRequestFormat', '/sync/t/ok/v1', [] ],
) {
	my ($status, $code, $uri, $body) = @$case;
	my $r = post($uri, $body);
	is_deeply([ $r->status, @{$r->json}{qw/ status errorCode message / } ],
		[ $status, 'error', $code, $code ], "$uri: $code");
}

is($t->http('POST', '/sync/t/ok/v1', body => 'x', headers => {
	'Content-Type' => 'text/plain' })->status, 415, 'type');
is($t->http('POST', '/sync/t/ok/v1', body => 'receiver=r&ignoreSelf=1',
	headers => { 'Content-Type' => 'application/x-www-form-urlencoded' })
	->status, 200, 'a form');
$ws->recv_text;

$r = $t->http('GET', '/sync/t/ok/v1');
is($r->status, 405, 'method');
is($r->json->{errorCode}, 'sync.methodNotAllowed', 'its code');
is($r->header('allow'), 'POST', 'the one allowed');

# origins

$r = post('/sync/t/ok/v1', { receiver => 'r' },
	Origin => 'http://other.example');
is($r->header('access-control-allow-origin'), 'http://other.example',
	'origin');
$ws->recv_text;
is(post('/sync/t/ok/v1', { receiver => 'r' }, Origin => 'http://evil.example')
	->status, 403, 'another one');
$r = $t->http('OPTIONS', '/sync/t/ok/v1',
	headers => { Origin => 'http://other.example' });
is($r->status, 204, 'preflight');
like($r->header('access-control-allow-headers'), qr/X-CSRF-Token/, 'headers');

# an event stream

my $es = stream('/sync/t/streamed/v1', 'Accept: text/event-stream');
is($es->status, 200, 'stream');
is($es->header('content-type'), 'text/event-stream', 'its type');
is($es->header('cache-control'), 'no-cache, no-transform', 'not kept');
is($es->recv_chunk . $es->recv_chunk,
	qq(: connected\n\nevent: stream\ndata: {"n":1}\n\n), 'the first chunk');
is($ws->recv_json->[1]{n}, 2, 'a broadcast');
$hook->go('streamed');
is($es->recv_chunk, qq(event: stream\ndata: "t"\n\n), 'another');
is($es->recv_chunk, qq(event: final\ndata: {"status":"success",)
	. '"message":"sync sync/t/streamed/v1 success",'
	. qq("result":{"status":"success","n":3}}\n\n), 'the end');
is($ws->recv_json->[1]{serverOutput}{n}, 3, 'the message');
is($es->recv_chunk, '', 'and no more');

$es = stream('/sync/t/late/v1?stream=true');
like(body($es), qr/^: connected\n\nevent: stream\n.*\n\nevent: final\ndata: \{"status":"error","message":"x"/s,
	'an error after a chunk');
$es = stream('/sync/t/died/v1?stream=1');
like(body($es), qr/event: final\ndata: \{"status":"error","message":"sync.serverExecutionFailed"/,
	'the app died');
is(stream('/sync/t/early/v1?stream=1')->status, 400, 'an error before it');
like(body(stream('/sync/t/pretty/v1?stream=1')),
	qr/^: connected\n\nevent: final\ndata: .*"result":\{ "status":  "success" \}\}\n\n$/,
	'no line ends');
$ws->recv_text;

# who goes away

$es = stream('/sync/t/hang/v1?stream=1');
$es->recv_chunk for 1 .. 2;
$es->disconnect;
ok($t->wait_for(sub { $hook->requests(qr/cancel/) }), 'left');
my $e = ($hook->requests(qr/cancel/))[0]{json}{events}[0];
is_deeply([ @$e{qw/ reason clientId route /} ],
	[ 'disconnect', undef, 'sync/t/hang/v1' ], 'the app is told');

is($ws->recv_text(0.2), undef, 'nobody heard of failures');

sub post {
	my ($uri, $body, @headers) = @_;
	return $t->http('POST', $uri, json => $body, headers => \@headers);
}

sub stream {
	my ($uri, @headers) = @_;

	my $peer = Test::Sync::Peer->new(port => $t->port(0));
	my $body = '{"receiver":"r"}';

	$peer->put(join "\r\n", "POST $uri HTTP/1.1", 'Host: localhost',
		'Content-Type: application/json',
		'Content-Length: ' . length $body, @headers, '', $body);
	$peer->recv_head;

	return $peer;
}

sub body {
	my ($peer) = @_;
	my $body = '';

	while (defined(my $chunk = $peer->recv_chunk)) {
		return $body if $chunk eq '';
		$body .= $chunk;
	}

	return "$body, cut";
}
