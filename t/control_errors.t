#!/usr/bin/perl

# Copyright (C) sync for nginx

# What is wrong in a request to the control endpoint, and where it finds the
# operation's name.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

###############################################################################

# operation, fields, what is said

my @wrong = (
	[ publish => {}, qr/exactly one of "room"/ ],
	[ publish => { room => 'a', rooms => [ 'b' ] }, qr/exactly one of/ ],
	[ publish => { room => '' }, qr/"room" must be a name of 1 to 256/ ],
	[ publish => { room => "a\n" }, qr/"room" must be a name/ ],
	[ publish => { room => 'x' x 257 }, qr/"room" must be a name/ ],
	[ publish => { room => 1 }, qr/"room" must be a string/ ],
	[ publish => { rooms => 'a' }, qr/"rooms" must be an array/ ],
	[ publish => { rooms => [] }, qr/"rooms" is empty/ ],
	[ publish => { rooms => [ 'a', {} ] }, qr/"rooms" must hold strings/ ],
	[ publish => { rooms => [ ' ' ] }, qr/"rooms" holds what is not a na/ ],
	[ publish => { rooms => [ map { "r$_" } 0 .. 1000 ] },
		qr/"rooms" has more than 1000/ ],
	[ publish => { pattern => 'a' }, qr/"pattern" must end in "\*"/ ],
	[ publish => { all => 1 }, qr/"all" must be true/ ],
	[ publish => { room => 'a', event => '' }, qr/"event" must be 1 to 12/ ],
	[ publish => { room => 'a', event => 'x' x 129 }, qr/"event" must be/ ],
	[ publish => { room => 'a', event => [] }, qr/"event" must be a stri/ ],
	[ publish => { room => 'a', except => 'x' }, qr/"except" must be an a/ ],
	[ publish => { room => 'a', except => [ 1 ] }, qr/must hold strings/ ],
	[ publish => { room => 'a', except => [ 'x' ] }, qr/not the id of a c/ ],
	[ publish => { room => 'a', except => [ ('A' x 22) x 257 ] },
		qr/"except" has more than 256/ ],
	[ publish => { room => 'a', dta => 1 }, qr/unknown field "dta"/ ],
	[ publish => { room => 'a', 'room rooms' => 1 }, qr/unknown field "ro/ ],
	[ publish => { room => 'a', '' => 1 }, qr/unknown field ""/ ],
	[ publish => { room => 'a', 'x' x 65 => 1 }, qr/unknown field of 65/ ],
	[ publish => { room => 'a', key => 1 }, qr/"key" must be a string/ ],
	[ publish => { room => 'a', key => '' }, qr/"key" must be 1 to 256/ ],
	[ publish => { room => 'a', key => 'x' x 257 }, qr/"key" must be 1/ ],
	[ publish => { room => 'a', id => 1 }, qr/"id" must be a string/ ],
	[ publish => { room => 'a', lsn => 'x' }, qr/"lsn" must be/ ],

	[ broadcast => { data => 1 }, qr/"channel" is missing/ ],
	[ broadcast => { channel => '', data => 1 }, qr/"channel" must be/ ],
	[ broadcast => { channel => 'a', event => 'e' }, qr/unknown field "ev/ ],

	[ kick => {}, qr/exactly one of "clientId", "token" and "user"/ ],
	[ kick => { clientId => 'A' x 22, user => 'u' }, qr/exactly one of/ ],
	[ kick => { clientId => 'x' }, qr/"clientId" is not the id of a client/ ],
	[ kick => { user => 'u', reason => 'x' x 124 }, qr/"reason" must be up/ ],
	[ kick => { user => 'u', reason => "a\0" }, qr/"reason" must be up to/ ],
	[ kick => { user => '' }, qr/"user" is empty/ ],
	[ disconnect => { user => 'u', token => 't' }, qr/exactly one of/ ],
	[ publish => { token => 1 }, qr/"token" must be a string/ ],
	[ publish => { tokens => [ 1 ] }, qr/"tokens" must hold/ ],
	[ disconnect => { token => '' }, qr/"token" must be 1 to 4096/ ],
	[ 'session/get' => { token => 't' }, qr/"sync_session" is off/ ],
	[ disconnect => { user => 'u', reason => 'r' }, qr/unknown field "rea/ ],
	[ join => { clientId => 'A' x 22 }, qr/"room" is missing/ ],
	[ leave => { room => 'a' }, qr/"clientId" is missing/ ],

	[ rooms => { limit => 15 }, qr/"limit" must be a number from 16 to 1000/ ],
	[ rooms => { limit => 1001 }, qr/"limit" must be a number/ ],
	[ rooms => { limit => 20.5 }, qr/"limit" must be a number/ ],
	[ rooms => { limit => '2x' }, qr/"limit" must be a number/ ],
	[ rooms => { limit => [] }, qr/"limit" must be a number/ ],
	[ rooms => { cursor => -1 }, qr/"cursor" must be a number/ ],
	[ rooms => { cursor => 'x' }, qr/"cursor" must be a number/ ],
	[ rooms => { prefix => 1 }, qr/"prefix" must be a string/ ],
	[ members => {}, qr/"room" is missing/ ],
	[ members => { room => 'a', limit => -1 }, qr/number from 0 to 1000/ ],
	[ clients => { rooms => 'a' }, qr/unknown field "rooms"/ ],
	[ clients => { room => '' }, qr/"room" must be/ ],
	[ clients => { user => 1 }, qr/"user" must be a string/ ],
	[ clients => { connected => 'no' }, qr/"connected" must be true, fal/ ],
	[ client => {}, qr/"clientId" is missing/ ],
);

my $t = Test::Sync->new->plan(@wrong + 34);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:1m;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        client_max_body_size 8m;

        location /control/        { sync control; }
        location /bare            { sync control; }
        location = /exact/rooms   { sync control; }
        location ~ ^/re/          { sync control; }
        location /small/          { sync control; client_max_body_size 100; }

        location /post/ {
            sync control;
            limit_except POST { deny all; }
        }

        location /get/ {
            sync control;
            limit_except POST { allow all; }
        }

        location /if/ {
            sync control;
            if ($arg_x) { set $x 1; }
        }
    }
}
EOF

$t->run;

###############################################################################

for my $case (@wrong) {
	fails(control($case->[0], $case->[1]), 400, 'control.invalidRequest',
		$case->[2]);
}

for my $op (qw/ kick disconnect client /) {
	fails(control($op, { clientId => 'A' x 22 }), 404, 'client.notFound',
		qr/no client/);
}

for my $op (qw/ join leave /) {
	fails(control($op, { clientId => 'A' x 22, room => 'r' }), 404,
		'client.notFound', qr/no client/);
}

# bodies

for my $case (
	[ '{"room":', qr/not JSON at byte 8/ ],
	[ '{"room":"a"} x', qr/not JSON at byte 13/ ],
	[ '[]', qr/not a JSON object/ ],
	[ "{\"room\":\"\xff\"}", qr/not JSON at byte 9/ ],
	[ '{"data":' . '[' x 100 . ']' x 100 . '}', qr/not JSON/ ])
{
	fails(post('/control/publish', $case->[0]), 400,
		'control.invalidRequest', $case->[1]);
}

# an eighth of the zone

my $room = '{"room":"r","data":""}';
my $max = 1024 * 1024 / 8;

is(post('/control/publish', $room =~ s/""/'"' . 'x' x ($max - length $room)
	. '"'/er)->status, 200, 'as large as it may be');
fails(post('/control/publish', $room =~ s/""/'"' . 'x' x ($max + 1
	- length $room) . '"'/er), 413, 'control.payloadTooLarge', qr/larger/);
is(post('/small/publish', ' ' x 101)->status, 413, 'client_max_body_size');

# types

for my $type ('text/plain', 'application/jsonp', 'application/jso') {
	fails($t->http('POST', '/control/publish', body => $room,
		headers => { 'Content-Type' => $type }), 415,
		'control.unsupportedMediaType', qr/application\/json/);
}

fails($t->http('POST', '/control/publish', body => $room), 415,
	'control.unsupportedMediaType', qr/application\/json/);
is($t->http('POST', '/control/publish', body => $room,
	headers => { 'Content-Type' => 'Application/JSON; charset=utf-8' })
	->status, 200, 'type with a parameter');
is($t->http('POST', '/control/rooms')->status, 200, 'no body, no type');

# operations and methods

fails(control('nothing', {}), 404, 'control.notFound', qr/no such operation/);
fails(control('', {}), 404, 'control.notFound', qr/no such operation/);
fails($t->http('GET', '/control/publish?room=r'), 405,
	'control.methodNotAllowed', qr/method/);
fails($t->http('PUT', '/control/publish', body => 'x'), 405,
	'control.methodNotAllowed', qr/method/);
is($t->http('GET', '/control/publish')->header('allow'), 'POST', 'allow');
is($t->http('PUT', '/control/rooms')->header('allow'), 'GET, HEAD, POST',
	'allow where nothing changes');
is($t->http('HEAD', '/control/rooms')->status, 200, 'HEAD');

# where the operation's name stands

is($t->http('GET', '/bare/rooms')->status, 200, 'prefix without a slash');
is($t->http('GET', '/exact/rooms')->status, 200, 'exact location');
is($t->http('GET', '/re/v1/rooms')->status, 200, 'location by a regex');
is($t->http('GET', '/control/a/rooms')->status, 404, 'not deeper');
is($t->http('GET', '/if/rooms?x=1')->status, 400, 'in an if: x is unknown');
is(post('/post/publish', $room)->status, 200, 'beside limit_except');
is($t->http('GET', '/post/rooms')->status, 403, 'in limit_except, denied');
is($t->http('GET', '/get/rooms')->status, 200, 'in limit_except, allowed');

###############################################################################

sub control {
	my ($op, $fields) = @_;
	return $t->http('POST', "/control/$op", json => $fields);
}

sub post {
	my ($uri, $body) = @_;

	return $t->http('POST', $uri, body => $body,
		headers => { 'Content-Type' => 'application/json' });
}

sub fails {
	my ($r, $status, $code, $message) = @_;

	my $body = $r->json // {};

	ok($r->status == $status && ($body->{status} // '') eq 'error'
		&& $body->{errorCode} eq $code && $body->{message} =~ $message,
		"$code: $message")
		or diag($r->status . ' ' . $r->body);
}

###############################################################################
