#!/usr/bin/perl

# Copyright (C) sync for nginx

# The browser module as nginx serves it, in Chromium: rooms, requests,
# channels, and what a reload does to them.

###############################################################################

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Sync;

###############################################################################

my @steps = (
	'the module is served with its type and an ETag',
	'connected, with an id',
	'a room is joined, heard, left',
	'a request is answered, and heard by all members',
	'refusals carry their codes',
	'an aborted request leaves the link as it was',
	'channels are heard, by name and by pattern',
	'a reload: rooms again, then what waited, then what is new',
	'a client that is disconnected comes back, one kicked does not',
	'a closed client is no member',
	'the page did not complain',
);

my $t = Test::Sync->new->plan(scalar @steps);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone  zone=sync:8m;
    sync_room  "private:*" join=deny;
    sync_drain 1s;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_hook server /_hook/sync;

        location /ws         { sync websocket; }
        location /api/events { sync sse; }
        location /control/   { sync control; }
        location /sync.js    { sync client; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }

        location / {
            default_type text/html;
            return 200 "<!doctype html><title>test</title>";
        }
    }
}
EOF

my $hook = $t->hook(port => 1, answer => \&answer);

$t->run;

my $url = 'http://127.0.0.1:' . $t->port . '/';
my $page = $t->spawn(['node', "$FindBin::Bin/browser/client.mjs", $url,
	$t->master], $t->testdir . '/page.out');

# the answer that was no longer waited for, before the reload

$t->wait_for(sub {
	return $t->read_file('page.out') =~ /^(?:ok an aborted|not ok)/m;
}, 60);
$hook->go('aborted');

waitpid $page, 0;

my $said = $t->read_file('page.out');

ok($said =~ /^ok \Q$_\E$/m, $_) for @steps;
diag($said) if $said =~ /^not ok/m;

###############################################################################

sub answer {
	my ($r) = @_;

	my $route = $r->{json}{route};

	return { json => { status => 'success', echo => $r->{json}{data} } }
		if $route eq 'sync/t/echo/v1';

	return { json => { status => 'error', errorCode => 't.refused' } }
		if $route eq 'sync/t/refuse/v1';

	return [ [ 'head', 200, 'Content-Type: application/json' ],
		[ 'wait', 'aborted' ],
		[ 'chunk', '{"status":"success"}' ], [ 'end' ] ]
		if $route eq 'sync/t/slow/v1';

	return { status => 500, body => 'broken' };
}

###############################################################################
