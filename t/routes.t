#!/usr/bin/perl

# Copyright (C) sync for nginx

# sync_routes: a manifest is read with the configuration; what is wrong in it
# is told with its line, and a reload with such a file leaves all as it was.
# Routes that are not in it are not found, those without a server part are not
# asked about, one may have a hook of its own.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

###############################################################################

# what of a manifest, the line, what is said of it

my @bad = (
	[ '',                                   1, "expected|JSON" ],
	[ '{ "version": 1,',                    1, 'expected' ],
	[ "{\n\"version\": 1,\n\"routes\": }",  3, 'unexpected token' ],
	[ "{ \"version\": 1,\n\"version\": 1 }", 2, 'duplicate' ],
	[ '[]',                     1, 'a manifest must be an object' ],
	[ '{ "version": 1 }',       1, 'no "routes"' ],
	[ '{ "routes": {} }',       1, 'no "version"' ],
	[ '{ "version": 2, "routes": {} }', 1, '"version" must be 1' ],
	[ '{ "version": "1", "routes": {} }', 1, '"version" must be 1' ],
	[ '{ "version": 1, "routes": [] }', 1, '"routes" must be an object' ],
	[ "{ \"version\": 1, \"routes\": {},\n\n \"route\": {} }", 3,
		'unknown key "route" in a manifest' ],

	(map { [ route('{}', $_), 2, "route \"$_\" must be named" ] }
		'board/moveCard/v1', 'sync/moveCard/v1', 'sync/a/b/1',
		'/sync/a/b/v1', 'sync/a//b/v1', 'room/a/b/v1', 'api/a/b/v1/', '' ),

	[ route('true'),                     2, 'a route must be an object' ],
	[ route('{ "auths": {} }'),          2, 'unknown key "auths" in a route' ],
	[ route("{\n\"auth\": {\n\"logon\": true } }"), 4,
		'unknown key "logon" in "auth"' ],
	[ route('{ "auth": [] }'),           2, '"auth" must be an object' ],
	[ route('{ "auth": { "login": 1 } }'), 2,
		'"login" must be true or false' ],
	[ route('{ "auth": { "additional": {} } }'), 2,
		'"additional" must be an array' ],
	[ route('{ "auth": { "additional": [ "admin" ] } }'), 2,
		'an entry of "additional" must be an object' ],
	[ route('{ "auth": { "additional": [ { "value": 1 } ] } }'), 2,
		'has no "key"' ],
	[ route('{ "auth": { "additional": [ { "key": 1 } ] } }'), 2,
		'"key" must be a string' ],
	[ route("{ \"auth\": { \"additional\": [\n{ \"key\": \"a\" },\n"
		. '{ "key": "b", "is": 1 } ] } }'), 4,
		'unknown key "is" in an entry of "additional"' ],
	[ route('{ "auth": { "additional": [ { "key": "a", "type": "date" } ] } }'),
		2, '"type" must be "string", "number" or "boolean"' ],
	[ route('{ "auth": { "additional": [ { "key": "a", "nullish": 1 } ] } }'),
		2, '"nullish" must be true or false' ],
	[ route('{ "auth": { "additional": [ ' . join(', ', ('{ "key": "a" }') x 33)
		. ' ] } }'), 2, 'more than 32 conditions' ],
	[ route('{ "rateLimit": "60" }'),    2, '"rateLimit" must be a number' ],
	[ route('{ "rateLimit": 1.5 }'),     2, '"rateLimit" must be a number' ],
	[ route('{ "rateLimit": true }'),    2, '"rateLimit" must be a number' ],
	[ route('{ "server": null }'),       2, '"server" must be true or false' ],
	[ route('{ "volatile": 1 }'),        2, '"volatile" must be true or' ],
	[ route('{ "key": "" }'),            2, '"key" is empty' ],
	[ route('{ "hook": "@named" }'),     2, '"hook" must be an uri' ],
	[ route('{ "httpMethod": "PATCH" }', 'api/a/b/v1'), 2,
		'"httpMethod" must be' ],
	[ route('{ "httpMethod": "GET" }'),  2, '"httpMethod" is not of a sync' ],
	[ route('{ "server": false }', 'api/a/b/v1'), 2, 'are not of an api' ],
	[ route('{ "throttle": { "everyMs": 0 } }'), 2, '"everyMs" must be' ],
	[ route('{ "throttle": { "chars": 70000 } }'), 2, '"chars" must be' ],
	[ route('{ "throttle": { "every": 5 } }'), 2,
		'unknown key "every" in "throttle"' ],

	[ route('{ "client": 1 }'),          2, '"client" must be an object' ],
	[ route('{ "client": { "filters": [] } }'), 2,
		'unknown key "filters" in "client"' ],
	[ filter('{}'),                      2, 'must have "key" and one of' ],
	[ filter('{ "key": "a" }'),          2, 'must have "key" and one of' ],
	[ filter('{ "equals": "a" }'),       2, 'must have "key" and one of' ],
	[ filter('{ "key": "a", "equals": 1, "in": [ 1 ] }'), 2,
		'two operators' ],
	[ filter('{ "key": "a..b", "equals": 1 }'), 2, 'path "a..b" must be' ],
	[ filter('{ "key": "a", "equals": [] }'), 2, 'equals nothing' ],
	[ filter('{ "key": "a", "equals": "$me.id" }'), 2, 'must begin with' ],
	[ filter('{ "key": "a", "equals": "$senders.id" }'), 2,
		'must begin with' ],
	[ filter('{ "key": "a", "in": [] }'), 2, '"in" must be an array' ],
	[ filter('{ "key": "a", "exists": "yes" }'), 2, '"exists" must be' ],
	[ filter(join ', ', ('{ "key": "a", "equals": 1 }') x 17), 2,
		'more than 16 tests' ],
	[ filter('{ "key": "a", "in": [ ' . join(', ', 1 .. 65) . ' ] }'), 2,
		'more than 64 values' ],
);

my $t = Test::Sync->new->plan(@bad + 24);

my $conf = <<'EOF';
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:2m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_routes routes.json;
        sync_hook server /_hook/server;
        sync_hook api /_hook/api;

        location /ws { sync websocket; }
        location /any { sync websocket; sync_routes off; }
        location /other { sync websocket; sync_routes other.json; }
        location /socket.io/ { sync socketio; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
        }
    }
}
EOF

my $good = <<'EOF';
{ "version": 1,
  "routes": {
    "sync/board/move/v1": { "rateLimit": false, "client": true },
    "sync/board/\u006dove/v2": { "throttle": {}, "server": true },
    "sync/board/cursor/v1": { "server": false, "volatile": true,
        "key": "clientId" },
    "sync/board/own/v1": { "hook": "/_hook/own",
        "client": { "filter": [
            { "key": "a.b.0", "equals": "$sender.a" },
            { "key": "a", "notEquals": "$$5" },
            { "key": "a", "in": "$serverOutput.ids" },
            { "key": "a", "in": [ 1, "$data.x", null ] },
            { "key": "a", "exists": false } ] } },
    "api/user/save/v1": { "httpMethod": "PUT", "auth": { } },
    "api/user/own/v1": { "hook": "/_hook/own" } } }
EOF

$t->write_conf($conf);
$t->write_file('routes.json', $good);
$t->write_file('other.json', '{"version":1,"routes":{"sync/o/n/v1":{}}}');

my $hook = $t->hook(port => 1, answer => sub {
	return { json => { status => 'success', by => $_[0]{uri} } };
});

$t->run;

###############################################################################

for my $case (@bad) {
	my ($text, $line, $said) = @$case;

	$t->write_file('routes.json', $text);
	my ($rc, $out) = $t->nginx_t;

	$said = quotemeta $said if $said !~ /\|/;
	ok($rc && $out =~ /\[emerg\] .*(?:$said).* in \S+routes\.json:$line in/,
		"refused: $said") or diag($text, $out);
}

# a reload with a bad file leaves all as it was

$t->expected(qr/"rateLimit" must be a number/);
$t->write_file('routes.json', route('{ "rateLimit": [] }'));
$t->signal('HUP');

ok($t->wait_log(qr/"rateLimit" must be a number .*routes\.json:2/),
	'a reload with a bad file is refused');

my $ws = $t->ws('/ws');
$ws->recv_json;

is(sync('board/move/v1')->{result}{by}, '/_hook/server', 'the old one serves');
is(sync('board/move/v2')->{status}, 'success', 'a name with an escape');

is_deeply(sync('board/move/v3'), error('sync.notFound', 400), 'not found');
is_deeply(sync('board/Move/v1'), error('sync.notFound', 400), 'letters count');
is_deeply(sync('user/save/v1'), error('sync.notFound', 400),
	'an api is no sync');

is_deeply(api('user/save/v2'), error('api.notFound', 404, 'name',
	'user/save/v2'), 'api: not found, with the name as it came');
is_deeply(api('"quoted"/save/v2'), error('api.notFound', 404, 'name',
	'"quoted"/save/v2'), 'api: a name with quotes');
is(api(' /user\save/v1/ ')->{by}, '/_hook/api', 'api: a name by its one form');
is(api('user/own/v1')->{by}, '/_hook/own', 'api: a hook of its own');

# nobody is asked

my $before = $hook->requests;

is_deeply(sync('board/cursor/v1')->{result}, {}, 'no server part');
is($hook->requests, $before, 'not asked');
is(sync('board/own/v1')->{result}{by}, '/_hook/own', 'a hook of its own');

# Socket.IO

my $eio = $t->eio;
$eio->connect;
$eio->post('42["apiRequest",{"name":"api/no/ne/v1","data":{},'
	. '"responseIndex":1}]');
is_deeply($eio->recv_event, [ 'apiResponse-1', error('api.notFound', 404,
	'name', 'api/no/ne/v1') ], 'Socket.IO: not found');
$eio->post('42["apiRequest",{"name":"api/user/own/v1","data":{},'
	. '"responseIndex":2}]');
is($eio->recv_event->[1]{by}, '/_hook/own', 'Socket.IO: found');

# other locations

$ws = $t->ws('/other');
$ws->recv_json;
is(sync('board/move/v1')->{errorCode}, 'sync.notFound', 'another file');
is(sync('o/n/v1')->{status}, 'success', 'its route');

$ws = $t->ws('/any');
$ws->recv_json;
is(sync('board/move/v9')->{status}, 'success', 'no file: any route');

# a reload with a good one

$t->write_file('routes.json', route('{}', 'sync/new/one/v1'));
$t->reload;

$ws = $t->ws('/ws');
$ws->recv_json;
is(sync('new/one/v1')->{status}, 'success', 'reloaded');
is(sync('board/move/v1')->{errorCode}, 'sync.notFound', 'the old one is gone');

# no file; many routes; the one of the docs

unlink $t->testdir . '/routes.json';
my ($rc, $out) = $t->nginx_t;
like($out, qr/\[emerg\] open\(\) "\S+routes\.json" failed/, 'no file');

$t->write_file('routes.json', '{"version":1,"routes":{' . join(',',
	map { "\"sync/many/r$_/v1\":{}" } 1 .. 5000) . '}}');
($rc, $out) = $t->nginx_t;
is($rc, 0, 'many routes') or diag($out);

open my $f, '<', "$FindBin::Bin/../docs/routes.md" or die "docs/routes.md: $!\n";
my @blocks = do { local $/; <$f> } =~ /^```json\n(.*?)^```/msg;
cmp_ok(scalar @blocks, '>', 0, 'a manifest in the docs');

$t->write_file('routes.json', $blocks[0]);
($rc, $out) = $t->nginx_t;
is($rc, 0, 'is good') or diag($out);

###############################################################################

sub route {
	my ($text, $name) = @_;
	return "{ \"version\": 1, \"routes\": {\n\"" . ($name // 'sync/a/b/v1')
		. "\": $text } }";
}

sub filter {
	my ($text) = @_;
	return route("{ \"client\": { \"filter\": [ $text ] } }");
}

sub error {
	my ($code, $status, %params) = @_;

	return { status => 'error', errorCode => $code, message => $code,
		httpStatus => $status, %params ? (errorParams => [ map {
			{ key => $_, value => $params{$_} } } keys %params ]) : () };
}

# A sync to a room, a call: their answers.

sub sync {
	my ($name) = @_;

	$ws->send_json([ 'joinRoom', { group => 'r', responseIndex => 6 } ]);
	$ws->send_json([ 'sync', { name => $name, cb => 'c', data => {},
		receiver => 'r', responseIndex => 7 } ]);

	return $ws->recv_event('sync-7')->[1];
}

sub api {
	my ($name) = @_;

	$ws->send_json([ 'apiRequest', { name => $name, data => {},
		responseIndex => 8 } ]);

	return $ws->recv_event('apiResponse-8')->[1];
}

###############################################################################
