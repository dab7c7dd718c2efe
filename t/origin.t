#!/usr/bin/perl

# Copyright (C) sync for nginx

# sync_allow_origin, and the headers that let a page of another origin read an
# event stream.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

###############################################################################

# location, Host, Origin, TLS; whether it is allowed

my @cases = (

	# by default: the request's own

	[ '/same', 'localhost', undef, 0 => 1 ],
	[ '/same', 'localhost', 'http://localhost', 0 => 1 ],
	[ '/same', 'LocalHost', 'HTTP://LOCALHOST', 0 => 1 ],
	[ '/same', 'localhost:80', 'http://localhost', 0 => 1 ],
	[ '/same', 'localhost', 'http://localhost:80', 0 => 1 ],
	[ '/same', 'localhost:8080', 'http://localhost:8080', 0 => 1 ],
	[ '/same', '[::1]:8080', 'http://[::1]:8080', 0 => 1 ],
	[ '/same', 'localhost', 'https://localhost', 1 => 1 ],
	[ '/same', 'localhost:443', 'https://localhost', 1 => 1 ],
	[ '/same', 'localhost', 'https://localhost', 0 => 0 ],
	[ '/same', 'localhost', 'http://localhost', 1 => 0 ],
	[ '/same', 'localhost', 'http://localhost:443', 0 => 0 ],
	[ '/same', 'localhost', 'http://localhost:8080', 0 => 0 ],
	[ '/same', 'localhost', 'http://localhost.evil.test', 0 => 0 ],
	[ '/same', 'localhost', 'http://evil.test', 0 => 0 ],
	[ '/same', 'localhost', 'null', 0 => 0 ],
	[ '/same', 'localhost', '', 0 => 0 ],
	[ '/same', 'localhost', 'localhost', 0 => 0 ],
	[ '/same', 'localhost', 'http://', 0 => 0 ],
	[ '/same', 'localhost', 'http://evil@localhost', 0 => 0 ],
	[ '/same', 'localhost', 'http://localhost/path', 0 => 0 ],
	[ '/same', 'localhost', 'http://localhost http://evil.test', 0 => 0 ],
	[ '/same', 'localhost', 'http://localhost:8080x', 0 => 0 ],
	[ '/same', 'localhost', 'http://localhost:', 0 => 0 ],
	[ '/same', 'localhost', 'http://' . 'a' x 400, 0 => 0 ],

	# by name

	[ '/exact', 'x', undef, 0 => 1 ],
	[ '/exact', 'x', 'https://app.example.com', 0 => 1 ],
	[ '/exact', 'x', 'https://app.example.com:443', 0 => 1 ],
	[ '/exact', 'x', 'https://APP.example.com', 0 => 1 ],
	[ '/exact', 'x', 'http://localhost:3000', 0 => 1 ],
	[ '/exact', 'x', 'capacitor://localhost', 0 => 1 ],
	[ '/exact', 'x', 'null', 0 => 1 ],
	[ '/exact', 'x', 'http://x', 0 => 0 ],
	[ '/exact', 'x', 'http://app.example.com', 0 => 0 ],
	[ '/exact', 'x', 'https://app.example.com:8443', 0 => 0 ],
	[ '/exact', 'x', 'https://example.com', 0 => 0 ],
	[ '/exact', 'x', 'http://localhost', 0 => 0 ],

	# with the own

	[ '/both', 'x', 'http://x', 0 => 1 ],
	[ '/both', 'x', 'https://other.test', 0 => 1 ],
	[ '/both', 'x', 'http://other.test', 0 => 0 ],

	# by a regex

	[ '/regex', 'x', 'https://a.example.com', 0 => 1 ],
	[ '/regex', 'x', 'https://A.Example.com', 0 => 1 ],
	[ '/regex', 'x', 'https://a.example.org', 0 => 1 ],
	[ '/regex', 'x', 'https://example.com', 0 => 0 ],
	[ '/regex', 'x', 'https://a.example.com.evil.test', 0 => 0 ],
	[ '/regex', 'x', 'https://a.example.com/', 0 => 1 ],

	# any

	[ '/any', 'x', 'https://evil.test', 0 => 1 ],
	[ '/any', 'x', 'what it is', 0 => 1 ],

	# inherited

	[ '/in/none', 'x', 'https://server.test', 0 => 1 ],
	[ '/in/own', 'x', 'https://server.test', 0 => 0 ],
	[ '/in/own', 'x', 'https://own.test', 0 => 1 ],
);

my $t = Test::Sync->new->plan(@cases + 15);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:1m;

    ssl_certificate     localhost.crt;
    ssl_certificate_key localhost.key;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% ssl;

        location /ws    { sync websocket; }
        location /same  { sync sse; }

        location /exact {
            sync sse;
            sync_allow_origin https://App.example.com:443/ null
                              http://localhost:3000 capacitor://localhost;
        }

        location /both {
            sync sse;
            sync_allow_origin same https://other.test;
        }

        location /regex {
            sync sse;
            sync_allow_origin ~^https://\w+\.example\.com$ ~\.org$;
        }

        location /any {
            sync sse;
            sync_allow_origin *;
        }

        location /status { sync status; }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;
        sync_allow_origin https://server.test;

        location /in/none { sync sse; }
        location /in/own  { sync sse; sync_allow_origin https://own.test; }
    }
}
EOF

$t->write_certificate('localhost')->run;

###############################################################################

for my $case (@cases) {
	my ($uri, $host, $origin, $tls, $allowed) = @$case;

	my $r = $t->http('HEAD', "$uri?channels=a", tls => $tls,
		port => $uri =~ m!^/in/! ? 2 : $tls ? 1 : 0, headers => {
		Host => $host, defined $origin ? (Origin => $origin) : () });

	is($r && $r->status, $allowed ? 200 : 403, "$uri: "
		. ($tls ? 'https' : 'http') . "://$host, " . ($origin // 'none'));
}

my $counted = refused();
is($counted, grep({ !$_->[4] } @cases), 'counted');
like($t->wait_log(qr/origin "http:\/\/evil.test" is not allowed/),
	qr/\[info\]/, 'logged');

# headers

my $es = $t->sse('/any?channels=a', origin => 'https://Else.test');
is($es->status, 200, 'event stream');
is($es->header('access-control-allow-origin'), 'https://Else.test', 'origin');
is($es->header('access-control-allow-credentials'), 'true', 'credentials');
is($es->header('vary'), 'Origin', 'vary');

$es = $t->sse('/any?channels=a');
is($es->header('access-control-allow-origin'), undef, 'no origin');
is($es->header('vary'), 'Origin', 'vary all the same');

$es = $t->http('GET', '/same?channels=a', headers => { Origin => 'http://b' });
is($es->status, 403, 'refused');
is($es->header('access-control-allow-origin'), undef, 'may not be read');

# WebSocket

is($t->ws('/ws')->status, 101, 'no origin');
is($t->ws('/ws', origin => 'http://localhost')->status, 101, 'same');
is($t->ws('/ws', origin => 'http://evil.test')->status, 403, 'other');
is($t->http('POST', '/ws')->header('allow'), 'GET', 'only GET');
is($t->http('POST', '/same')->header('allow'), 'GET, HEAD', 'GET or HEAD');

###############################################################################

sub refused {
	return $t->http('GET', '/status')->json->{counters}{refused};
}

###############################################################################
