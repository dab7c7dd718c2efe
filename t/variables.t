#!/usr/bin/perl

# Copyright (C) sync for nginx

# Variables, in the access log line of a request that became a client, or not.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

###############################################################################

my $t = Test::Sync->new->plan(11);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:2m;

    log_format sync '$uri $status client=$sync_client user=$sync_user '
                    'rooms=$sync_rooms close=$sync_close token=$sync_token';

    server {
        access_log %%TESTDIR%%/access.log sync;

        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% http2;

        location /ws       { sync websocket; }
        location /sse      { sync sse; }
        location /control/ { sync control; }
        location /status   { sync status; }
        location /told     { sync_token cookie:t header:x-token query:q;
                             return 200 "<$sync_token>"; }
        location /plain    { return 200 "x$sync_client$sync_user$sync_rooms"; }
    }
}
EOF

$t->run;

###############################################################################

my $ws = $t->ws('/ws');
my $id = $ws->recv_json->[1]{clientId};
is(logged('/ws'), "101 client=$id user=- rooms=0 close=- token=-",
	'WebSocket');

my $es = $t->sse('/sse?channels=a,b&userId=u%201');
$id = $es->recv_json->{clientId};
is(logged('/sse'), "200 client=$id user=u 1 rooms=2 close=- token=-",
	'event stream');

my $h2 = $t->sse('/sse/h2?channels=a&userId=u2', port => 1, http2 => 1);
$id = $h2->recv_json->{clientId};
$t->http('POST', '/control/disconnect', json => { clientId => $id });
like(logged('/sse/h2'), qr/^200 client=$id /, 'by HTTP/2, when it ends');

$t->ws('/ws/origin', origin => 'http://evil.test');
is(logged('/ws/origin'), '403 client=- user=- rooms=- close=- token=-',
	'refused');
$t->http('GET', '/ws/get');
like(logged('/ws/get'), qr/^4\d\d client=\S+ user=- rooms=\S+ /,
	'no handshake');

is($t->http('GET', '/plain')->body, 'x', 'empty elsewhere');
is($t->http('GET', '/told', headers => [ Cookie => 't=a%62c' ])->body, '<abc>',
	'a token, where it is asked for');
is($t->http('GET', '/told?q=x', headers => [ 'X-Token' => 'abc' ])->body,
	'<abc>', 'the first source');
is($t->http('GET', '/told?q=a%01')->body, '<>', 'what is none');
$t->http('GET', '/status');
is(logged('/status'), '200 client=- user=- rooms=- close=- token=-',
	'no client');
is(logged('/control/disconnect'),
	'200 client=- user=- rooms=- close=- token=-', 'control');

###############################################################################

# The log line of the only request with this path.

sub logged {
	my ($path) = @_;

	my $line;

	$t->wait_for(sub {
		($line) = $t->read_file('access.log') =~ /^\Q$path\E (.*)\n/m;
		return defined $line;
	});

	return $line;
}

###############################################################################
