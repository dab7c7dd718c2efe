#!/usr/bin/perl

# Copyright (C) sync for nginx

# What a hook call is on the wire, when its answer counts as whole, and that
# nginx's own means work for it: keepalive, error_page, X-Accel-Redirect,
# retries, limits.  That it waits its turn, and ends with who asked.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

my $t = Test::Sync->new->plan(48);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
    worker_connections 4096;
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;
    sync_room "ask:*" join=hook;

    limit_req_zone $binary_remote_addr zone=req:1m rate=10r/s;

    upstream app {
        server 127.0.0.1:%%PORT_1%%;
        keepalive 16;
    }

    upstream second {
        server 127.0.0.1:%%PORT_2%%;
        server 127.0.0.1:%%PORT_1%%;
    }

    server {
        listen 127.0.0.1:%%PORT_0%%;
        server_name sync.example;

        client_max_body_size 10k;
        proxy_http_version 1.1;
        proxy_set_header Connection "";
        proxy_read_timeout 2s;

        location /status { sync status; }

        location /app       { sync websocket; sync_hook server /_app/x;
                              sync_hook join /_app/join; }
        location /vars      { sync websocket; sync_hook server /_vars; }
        location /buffers   { sync websocket; sync_hook server /_buffers; }
        location /return    { sync websocket; sync_hook server /_return; }
        location /accel     { sync websocket; sync_hook server /_accel; }
        location /page      { sync websocket; sync_hook server /_page; }
        location /page502   { sync websocket; sync_hook server /_page502; }
        location /named     { sync websocket; sync_hook server /_named; }
        location /second    { sync websocket; sync_hook server /_second; }
        location /limit     { sync websocket; sync_hook server /_limit; }
        location /denied    { sync websocket; sync_hook server /_denied; }
        location /many      { sync websocket; sync_hook server /_many; }
        location /file      { sync websocket; sync_hook server /_file/l.json; }

        location /_app/     { internal; proxy_pass http://app; }
        location /_app/join { internal; proxy_read_timeout 60s;
                              proxy_pass http://app; }
        location /_many     { internal; proxy_read_timeout 60s;
                              proxy_pass http://app; }
        location /_limit    { internal; limit_req zone=req burst=9;
                              proxy_pass http://app; }
        location /_denied   { internal; deny all; return 403; }
        location /_return   { internal; return 200 '{"status":"success"}'; }
        location /_accel    { internal; proxy_pass http://app; }
        location /_file/    { internal; alias %%TESTDIR%%/;
                              error_page 405 =200 $uri; }
        location @app       { proxy_pass http://app; }

        location /_vars {
            internal;
            proxy_set_header Host $host;
            proxy_set_header X-Host $http_host;
            proxy_set_header X-Addr $remote_addr;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_set_header X-A $cookie_a;
            proxy_set_header X-Cookie $http_cookie;
            proxy_set_header X-User $remote_user;
            proxy_set_header X-Length $content_length;
            proxy_set_header X-Body $request_body;
            proxy_set_header X-Server $server_addr:$server_port;
            proxy_pass http://app;
        }

        location /_buffers {
            internal;
            proxy_buffering on;
            proxy_pass http://app;
        }

        location /_page {
            internal;
            error_page 502 =200 /_file/s.json;
            proxy_pass http://127.0.0.1:%%PORT_2%%;
        }

        location /_page502 {
            internal;
            error_page 502 /_file/s.json;
            proxy_pass http://127.0.0.1:%%PORT_2%%;
        }

        location /_named {
            internal;
            error_page 502 =200 @app;
            proxy_pass http://127.0.0.1:%%PORT_2%%;
        }

        location /_second {
            internal;
            proxy_next_upstream error non_idempotent;
            proxy_pass http://second;
        }
    }
}
EOF

my $ok = '{"status":"success"}';

$t->write_file('s.json', '{"status":"success","from":"file"}');
$t->write_file('l.json', '{"status":"success","x":"' . 'x' x 300000 . '"}');

# [ steps, whole ]

my $head = "HTTP/1.1 200 OK\r\n";
my $chunked = "${head}Transfer-Encoding: chunked\r\n\r\n";

my %answers = (
	length => [ 1, "${head}Content-Length: 20\r\n\r\n$ok" ],
	more => [ 1, "${head}Content-Length: 20\r\n\r\n${ok}more" ],
	chunks => [ 1, "${chunked}1\r\n{\r\n13\r\n\"status\":\"success\"}\r\n"
		. "0\r\n\r\n" ],
	close => [ 1, "HTTP/1.0 200 OK\r\n\r\n$ok", 'close' ],
	201 => [ 1, "HTTP/1.1 201 OK\r\nContent-Length: 20\r\n\r\n$ok" ],

	short => [ 0, "${head}Content-Length: 21\r\n\r\n$ok", 'close' ],
	none => [ 0, "${head}Content-Length: 20\r\n\r\n", 'close' ],
	chunk => [ 0, "${chunked}14\r\n$ok\r\n", 'close' ],
	zero => [ 0, "${chunked}14\r\n$ok\r\n0\r\n", 'close' ],
	nochunk => [ 0, "${chunked}14\r\n$ok\r\nx\r\n", 'close' ],
	silence => [ 0, "${chunked}14\r\n$ok\r\n", 'hang' ],
	garbage => [ 0, "$ok\r\n\r\n", 'hang' ],
	huge => [ 0, "HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n"
		. "200000\r\n" . 'x' x 0x200000, 'hang' ],

	# whole, but nothing

	204 => [ -1, "HTTP/1.1 204 No\r\n\r\n" ],
	length0 => [ -1, "${head}Content-Length: 0\r\n\r\n" ],
	chunks0 => [ -1, "${chunked}0\r\n\r\n" ],
	close0 => [ -1, "HTTP/1.0 200 OK\r\n\r\n", 'close' ],
);

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;
	my $name = $r->{json}{name} || 'join';

	if (my $a = $answers{$name}) {
		return [ [ 'raw', $a->[1] ], $a->[2] ? [ $a->[2] ] : () ];
	}

	return [ [ 'hang' ] ] if $name eq 'hang' || $name eq 'join';

	return [ [ 'raw', "${head}X-Accel-Redirect: /_file/s.json\r\n"
		. "Content-Length: 0\r\n\r\n" ] ] if $r->{uri} eq '/_accel';

	return [ [ 'wait', 'all' ], [ 'head', 200, 'Content-Length: 20' ],
		[ 'raw', $ok ] ] if $name eq 'many';

	return { json => { status => 'success', data => $r->{json}{data} } };
});

$t->run;

my $i = 0;
my (%ws, %told);

# the request

is(call('/app', 'echo', { n => 1 })->{result}{data}{n}, 1, 'answer');

my $r = $hook->wait_requests(1)->[0];
my $h = $r->{headers};

is("$r->{method} $r->{uri}", 'POST /_app/x', 'request line');
is($h->{'content-type'}, 'application/json', 'type');
is($h->{'content-length'}, length $r->{body}, 'length');
is($h->{'x-request-id'}, JSON::PP->new->decode($r->{body})->{id}, 'id');
is($h->{'accept-language'}, 'nl', 'header of the client');
is_deeply([ grep { /^(?:upgrade|sec-|accept-encoding|connection)/ } keys %$h ],
	[], 'headers of its connection');

call('/app', 'echo') for 1 .. 10;
is(scalar(grep { $_->{connection} == $r->{connection} } $hook->requests), 11,
	'one connection to the app');

call('/vars', 'echo');
$h = $hook->wait_requests(12)->[11]{headers};
is_deeply([ @$h{qw/ host x-host x-addr x-forwarded-for x-a x-cookie x-user
	x-length x-server /} ],
	[ 'localhost', 'localhost', '127.0.0.1', '127.0.0.1', 1, 'a=1; b=2',
	'user', $h->{'content-length'}, '127.0.0.1:' ], 'variables');
is(length $h->{'x-body'}, $h->{'content-length'}, 'variable of the body');

# its answer

my @results = qw/ sync.invalidServerResponse sync.serverExecutionFailed
	success /;

my @names = sort keys %answers;
my %number = map { $_ => ask('/app', $_) } @names;

for my $name (@names) {
	my $a = told('/app', $number{$name});
	is($a->{errorCode} || $a->{status}, $results[$answers{$name}[0] + 1],
		"answer: $name");
}

is(call('/buffers', $_->[0])->{status}, $_->[1], "buffered: $_->[0]")
	for [ 'length', 'success' ], [ 'chunks', 'success' ], [ 'short', 'error' ];

# nginx's own

is(call('/return', 'echo')->{status}, 'success', 'return');
is(call('/denied', 'echo')->{status}, 'error', 'return 403');
is(call('/accel', 'echo')->{result}{from}, 'file', 'X-Accel-Redirect');
is(call('/page', 'echo')->{result}{from}, 'file', 'error_page =200');
is(call('/page502', 'echo')->{errorCode}, 'sync.serverExecutionFailed',
	'error_page');
is(call('/named', 'echo', { n => 2 })->{result}{data}{n}, 2,
	'error_page with a named location');
is(length call('/file', 'echo')->{result}{x}, 300000, 'large file');
is(call('/second', 'echo', { n => $_ })->{result}{data}{n}, $_,
	'another server') for 1 .. 2;
is(call('/app', 'echo', { x => 'x' x 11000 })->{errorCode},
	'sync.serverExecutionFailed', 'client_max_body_size');
is_deeply([ map { call('/limit', 'echo')->{status} } 1 .. 4 ],
	[ ('success') x 4 ], 'limit_req');

like($t->wait_log(qr/\[error\].*too large body/),
	qr!client: 127\.0\.0\.1, hook: "/_app/x", server: sync\.example,!, 'log');

# more than may run at once

my @many = map { client('/many') } 1 .. 2;

for my $ws (@many) {
	$ws->send_json([ 'sync', { name => 'sync/t/many/v1', cb => 'c',
		data => {}, receiver => '/many', responseIndex => $_ } ])
		for 1001 .. 1350;
}

# with more workers each client may be at one of its own

my $one = $t->worker_processes == 1;

ok($hook->wait_requests(512, qr/_many/), 'as many run as may');
ok($t->wait_for(sub { !$one || $t->http('GET', '/status')->body
	=~ /"hooksRunning":\s*512,\s*"hooksWaiting":\s*188\b/ }),
	'the others wait');

$hook->go('all');
is_deeply([ map { answered($_) } @many ], [ 350, 350 ], 'all are answered');

# who asked leaves

my $n = scalar $hook->requests;
my $ws = client('/app');
$ws->send_json([ 'joinRoom', { group => 'ask:1', responseIndex => 1 } ]);
is($hook->wait_requests($n + 1)->[$n]{uri}, '/_app/join', 'asked to join');
$ws->disconnect;
ok($hook->wait_gone($n + 1), 'the call is dropped');

# a graceful stop waits for what runs

$ws{'/app'}->send_json([ 'sync', { name => 'sync/t/hang/v1', cb => 'c',
	data => {}, receiver => '/app', responseIndex => 0 } ]);
ok($hook->wait_requests($n + 2), 'asked');
$_->disconnect for @many, values %ws;
$t->quit;

sub client {
	my ($uri) = @_;

	my $ws = $t->ws($uri, headers => [ 'Cookie: a=1; b=2',
		'Accept-Language: nl', 'Accept-Encoding: gzip',
		'Authorization: Basic dXNlcjpwYXNz' ]);

	$ws->send_json([ 'joinRoom', { group => $uri, responseIndex => 0 } ]);
	$ws->recv_event('joinRoom-0');

	return $ws;
}

# How many of the many were acknowledged.

sub answered {
	my ($ws) = @_;
	my %seen;

	while (keys %seen < 350) {
		my $e = $ws->recv_event(qr/^sync-1\d{3}$/) or last;
		$seen{$e->[0]}++ if $e->[1]{status} eq 'success';
	}

	return scalar keys %seen;
}

# Asks and returns the acknowledgement's object.

sub call {
	my ($uri, $name, $data) = @_;
	return told($uri, ask($uri, $name, $data));
}

# Asks, returns the number of the request.

sub ask {
	my ($uri, $name, $data) = @_;

	my $ws = $ws{$uri} ||= client($uri);
	my $n = ++$i;

	$ws->send_json([ 'sync', { name => "sync/t/$name/v1", cb => 'c',
		receiver => $uri, data => $data || {}, responseIndex => $n } ]);

	return $n;
}

# What was acknowledged; several may come in any order.

sub told {
	my ($uri, $n) = @_;

	while (!$told{$n}) {
		my $e = $ws{$uri}->recv_event(qr/^sync-\d+$/) // last;
		$told{$1} = $e->[1] if $e->[0] =~ /(\d+)$/;
	}

	return $told{$n};
}
