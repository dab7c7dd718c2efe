#!/usr/bin/perl

# Copyright (C) sync for nginx

# Sessions and answers of hooks: who asks by HTTP, chunks by token, a session
# that the app changes while it answers.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

my $t = Test::Sync->new->plan(18);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone    zone=sync:8m;
    sync_session memory;
    sync_token   cookie:token header:authorization auth:token;
    sync_hook    server /_hook/sync;
    sync_hook    api /_hook/api;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /ws      { sync websocket; }
        location /sync/   { sync request; }
        location /control { sync control; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
EOF

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;

	return [ [ 'head', 200, 'Content-Type: application/x-ndjson' ],
		map({ [ 'chunk', JSON::PP::encode_json($_) . "\n" ] }
			@{$r->{json}{data}{lines}},
			{ final => { status => 'success' } }), [ 'end' ] ];
});

$t->run;

my %token = map { $_ => $_ x 32 } qw/ a b /;

for my $name (keys %token) {
	is($t->http('POST', '/control/session/save', json => {
		token => $token{$name}, session => { id => $name, n => 1,
			roomCodes => [ 'r' ], csrfToken => "csrf-$name" } })->status,
		200, "session of $name");
}

my ($a1, $a2, $b) = map {
	my $ws = $t->ws('/ws', headers => [ "Cookie: token=$token{$_}" ]);
	$ws->recv_event('connected');
	$ws;
} qw/ a a b /;

# by HTTP: who asks, and its rooms

my @cookie = (Cookie => "token=$token{a}", 'X-CSRF-Token' => 'csrf-a');

is(post('r', \@cookie)->status, 200, 'a room of the session');
my $asked = $hook->wait_requests(1)->[0]{json};
is($asked->{user}{id}, 'a', 'the app knows who asks');
is($asked->{token}, $token{a}, 'its token');
is(post('other', \@cookie)->json->{errorCode}, 'sync.notRoomMember',
	'no room of it');
is(post('r', [ Cookie => "token=$token{a}" ])->json->{errorCode},
	'auth.csrfMismatch', 'a cookie alone');
is(post('r', [ Authorization => "Bearer $token{a}" ])->status, 200,
	'a header alone');
is(post('r', [])->status, 403, 'nobody');
is(post($token{a}, \@cookie, { broadcast => { n => 1 } })->status, 200,
	'its own token as a room');
is(chunk($_)->{n}, 1, 'all of its clients hear') for $a1, $a2;

# by token: each client once

post($token{a}, \@cookie, { to => [ $token{b}, $token{b}, 'none' ],
	payload => { n => 2 } }, { to => $token{b}, payload => { n => 3 } },
	{ emit => { token => $token{b}, event => 'hello', data => 4 } });
is_deeply([ chunk($b), map { $b->recv_json->[1] } 1 .. 2 ], [
	(map { { n => $_, cb => 'sync/t/s/v1', fullName => 'sync/t/s/v1',
		status => 'stream' } } 2 .. 3), 4 ], 'chunks by token');

# a session that is changed

post($token{a}, \@cookie, { session => { merge => { n => 5, m => 6 } } });
is_deeply(updated($a1), { id => 'a', n => 5, m => 6, roomCodes => [ 'r' ],
	csrfToken => 'csrf-a' }, 'merged');
post($token{a}, \@cookie, { session => { set => { id => 'a', x => 7 } } });
is_deeply(updated($a1), { id => 'a', x => 7, roomCodes => [ 'r' ],
	csrfToken => 'csrf-a' }, 'set');
is(post($token{a}, \@cookie, { session => { set => 1 } })
	->json->{errorParams}[0]{value}, 'value', 'a bad one');

my $anybody = $t->ws('/ws');
$anybody->recv_json;
$anybody->send_json([ 'apiRequest', { name => 't/s/v1', responseIndex => 1,
	data => { lines => [ { session => { merge => {} } } ] } } ]);
is($anybody->recv_event('apiResponse-1')->[1]{errorParams}[0]{value},
	'session', 'none to be changed');

is(post('r', \@cookie)->status, 200, 'the room is still there');

sub post {
	my ($receiver, $headers, @lines) = @_;
	return $t->http('POST', '/sync/t/s/v1', headers => $headers,
		json => { receiver => $receiver, data => { lines => \@lines } });
}

# The next chunk; messages are passed over.

sub chunk {
	my ($ws) = @_;

	while (my $m = next_event($ws, 'sync')->[1]) {
		return $m if !defined $m->{status} || $m->{status} eq 'stream';
	}
}

sub next_event {
	my ($ws, $event) = @_;
	return $ws->recv_event($event) || [ '', {} ];
}

sub updated {
	my ($ws) = @_;
	return JSON::PP::decode_json(next_event($ws, 'updateSession')->[1]);
}
