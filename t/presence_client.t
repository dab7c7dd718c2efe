#!/usr/bin/perl

# Copyright (C) sync for nginx

# Presence with socket.io-client as it comes from npm.

use warnings;
use strict;

use FindBin;
use JSON::PP;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::Sync;

my $t = Test::Sync->new->plan(9);

$t->write_conf(<<'EOC');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_session  memory;
        sync_token    auth:token;
        sync_presence on other=100ms;

        location /socket.io/ { sync socketio; }
        location /control/   { sync control; }
    }
}
EOC

$t->run;

$t->http('POST', '/control/session/save', json => { token => "t$_",
	session => { id => "u$_" } }) for 1, 2;

for my $transports ('polling,websocket', 'polling', 'websocket') {
	open my $out, '-|', 'node', "$FindBin::Bin/sio/presence.mjs",
		'http://127.0.0.1:' . $t->port(0), $transports
		or die "node: $!\n";

	my $r = decode_json(<$out> // '{}');
	close $out;

	is($r->{reason}, 'io server disconnect', "$transports: let go");
	cmp_ok(abs(($r->{end} // 0) - 20000), '<', 10000 * $Test::Sync::SLOW,
		"$transports: till when");
	is_deeply($r->{heard}, [ map { [ $_, 'u2' ] } qw/ userAfk userBack
		userBack userLeft / ], "$transports: what its peer hears");
}
