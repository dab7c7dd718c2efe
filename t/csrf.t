#!/usr/bin/perl

# Copyright (C) sync for nginx

# sync_csrf: a call whose token came with a cookie has to have a header equal
# to csrfToken of its session.  The origin of a call, by Origin or Referer.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

my $t = Test::Sync->new->plan(29);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:2m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_session memory;
        sync_token cookie:token header:authorization;
        sync_hook api /_hook/api;

        location /api/     { sync api; }
        location /sync/    { sync request; sync_receiver any; }
        location /control/ { sync control; }

        location /off/   { sync api; sync_csrf off; }
        location /own/   { sync api; sync_csrf X-Own; }
        location /sites/ { sync api; sync_allow_origin https://a.example; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
        }
    }
}
EOF

my $hook = $t->hook(port => 1, answer => sub {
	return { json => { status => 'success' } } });

$t->run;

my $secret = 'c' x 63 . 'd';

save('t1', { id => 'u1', csrfToken => $secret });
save('t2', { id => 'u2' });
save('t3', { id => 'u3', csrfToken => '' });
save('t4', { id => 'u4', csrfToken => 5 });

###############################################################################

my $before = $hook->requests;

my $r = $t->http('POST', '/api/a/b/v1', headers => { Cookie => 'token=t1' },
	json => {});
is($r->status, 403, 'no header');
is($r->json->{errorCode}, 'auth.csrfMismatch', 'code');
is($r->json->{status}, 'error', 'an error');

is(call('/api/', 't1', 'X-CSRF-Token: x'), 403, 'a wrong one');
is(call('/api/', 't1', 'X-CSRF-Token:'), 403, 'an empty one');
is(call('/api/', 't1', 'X-CSRF-Token: ' . 'c' x 64), 403, 'the last byte');
is(call('/api/', 't1', "X-CSRF-Token: ${secret}x"), 403, 'longer');
is(call('/api/', 't1', "X-Own: $secret"), 403, 'another header');
is($hook->requests, $before, 'the app is not asked');

is(call('/api/', 't1', "X-CSRF-Token: $secret"), 200, 'the right one');
is(call('/api/', 't1', "x-csrf-TOKEN: $secret"), 200, 'in any case');

is(call('/api/', 't2'), 200, 'a session without one');
is(call('/api/', 't3'), 200, 'an empty one in the session');
is(call('/api/', 't4', 'X-CSRF-Token: 5'), 403, 'one that is no string');
is(call('/api/', 'unknown'), 200, 'no session');
is(call('/api/', undef), 200, 'no token');
is(call('/api/', undef, 'Authorization: Bearer t1'), 200, 'by a header');

is($t->http('GET', '/api/a/getb/v1', headers => { Cookie => 'token=t1' })
	->status, 200, 'GET');

is(call('/off/', 't1'), 200, 'off');
is(call('/own/', 't1', "X-Own: $secret"), 200, 'a header of its own');
is(call('/own/', 't1', "X-CSRF-Token: $secret"), 403, 'not the other');

$r = $t->http('POST', '/sync/a/b/v1', headers => { Cookie => 'token=t1' },
	json => { receiver => 'r', data => {} });
is($r->json->{errorCode}, 'auth.csrfMismatch', 'a sync');

# origins

is(call('/sites/', undef, 'Origin: https://a.example'), 200, 'origin');
is(call('/sites/', undef, 'Origin: https://b.example'), 403, 'another');
is(call('/sites/', undef, 'Referer: https://a.example/page?x#y'), 200,
	'referer');
is(call('/sites/', undef, 'Referer: https://a.example.b/'), 403,
	'another referer');
is(call('/sites/', undef, 'Referer: a.example'), 403, 'a referer that is none');
is(call('/sites/', undef, 'Origin: https://b.example',
	'Referer: https://a.example/'), 403, 'origin before referer');
is(call('/sites/', undef), 200, 'neither');

###############################################################################

sub save {
	my ($token, $session) = @_;

	my $r = $t->http('POST', '/control/session/save',
		json => { token => $token, session => $session });
	die $r->body if $r->status != 200;
}

# The status of a call.

sub call {
	my ($uri, $token, @headers) = @_;

	push @headers, "Cookie: token=$token" if defined $token;

	return $t->http('POST', "${uri}a/b/v1",
		headers => [ map { split /: ?/, $_, 2 } @headers ], json => {})->status;
}

###############################################################################
