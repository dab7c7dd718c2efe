#!/usr/bin/perl

# Copyright (C) sync for nginx

# sync api: calls by HTTP; which method a route takes, what becomes its data,
# answers with their status, and event streams.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

my $t = Test::Sync->new->plan(35);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /api/    { sync api; sync_hook api /_hook/api; }
        location /none/   { sync api; }
        location /rest/   { sync api; sync_hook api /_hook/api;
                            sync_routes %%TESTDIR%%/routes.json; }
        location /status  { sync status; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
EOF

$t->write_file('routes.json', <<'EOF');
{ "version": 1,
  "routes": {
    "api/t/getThing/v1": { "httpMethod": "POST" },
    "api/t/secret/v1": { "auth": { "login": true } } } }
EOF

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;
	my $name = $r->{json}{name};

	return [ [ 'head', 200, 'Content-Type: application/x-ndjson' ],
		[ 'chunk', qq({"throttle":{"everyMs":10000}}\n) ],
		map({ [ 'chunk', qq({"stream":{"chunk":"$_"}}\n) ] } 'a' .. 'e'),
		[ 'chunk', qq({"final":{"status":"success"}}\n) ], [ 'end' ] ]
		if $name eq 'streamed';

	return { json => { status => 'error', errorCode => 'gone.away',
		httpStatus => 410 } } if $name eq 'gone';
	return { status => 500, json => {} } if $name eq 'broken';

	return { json => { status => 'success', httpStatus => $name eq 'made'
		? 201 : 200, got => $r->{json}{data} } };
});

$t->run;

# methods, by name

for my $case ([ 'GET', 'getThing' ], [ 'GET', 'fetch' ], [ 'GET', 'a/listAll' ],
	[ 'DELETE', 'deleteIt' ], [ 'DELETE', 'remove' ], [ 'PUT', 'updateIt' ],
	[ 'PUT', 'edit' ], [ 'PUT', 'patch' ], [ 'POST', 'getaway/make' ])
{
	my ($method, $name) = @$case;
	my $other = $method eq 'POST' ? 'PUT' : 'POST';

	is($t->http($method, "/api/t/$name/v1")->status, 200, "$method $name");
	my $r = $t->http($other, "/api/t/$name/v1", json => {});
	is_deeply([ $r->status, $r->json->{errorCode}, $r->json->{errorParams} ],
		[ 405, 'api.methodNotAllowed',
		[ { key => 'method', value => $method } ] ], "$other $name");
}

is($t->http('POST', '/rest/t/getThing/v1', json => {})->status, 200,
	'a method that is declared');
is($t->http('GET', '/rest/t/getThing/v1')->status, 405, 'and no other');
is($t->http('PATCH', '/api/t/x/v1')->status, 405, 'no such method');

# what exists, and who may

is($t->http('POST', '/rest/t/other/v1')->status, 404, 'not found');
is($t->http('POST', '/none/t/other/v1')->status, 404, 'no hook');
is($t->http('POST', '/rest/t/secret/v1')->status, 401, 'login');

# data

is_deeply($t->http('GET', '/api/t/get/v1?a=1&b=x%20y&a%26=%7b')->json->{got},
	{ a => '1', b => 'x y', 'a&' => '{' }, 'a query');
is_deeply($t->http('GET', '/api/t/get/v1?a=1&stream=no&b=')->json->{got},
	{ a => '1', b => '' }, 'but for what says how to answer');
is_deeply($t->http('GET', '/api/t/get/v1?a=1&__luckystack_data=%7B%22n%22:'
	. '%7B%22b%22%3A1%7D%7D')->json->{got}, { n => { b => 1 } },
	'an object in the query');
is($t->http('GET', '/api/t/get/v1?__luckystack_data=%7B')->status, 400,
	'a bad one');
is_deeply($t->http('PUT', '/api/t/edit/v1', json => { a => [ 1 ] })
	->json->{got}, { a => [ 1 ] }, 'a body');

# answers

my $r = $t->http('POST', '/api/t/made/v1', json => {});
is($r->status, 201, 'a status of its own');
is($r->body, '{"got":{},"status":"success","httpStatus":201}', 'answer');
$r = $t->http('POST', '/api/t/gone/v1');
is_deeply([ $r->status, $r->json ], [ 410, { status => 'error',
	message => 'gone.away', errorCode => 'gone.away', httpStatus => 410 } ],
	'error');
is($t->http('POST', '/api/t/broken/v1')->status, 500, 'the app fails');

is($t->http('POST', '/api/t/streamed/v1?stream=1', json => {})->body,
	": connected\n\nevent: stream\ndata: {\"chunk\":\"abcde\"}\n\n"
	. "event: final\ndata: {\"status\":\"success\",\"httpStatus\":200}\n\n",
	'event stream');
is($t->http('POST', '/api/t/streamed/v1', json => {})->body,
	'{"status":"success","httpStatus":200}', 'chunks that nobody wants');
