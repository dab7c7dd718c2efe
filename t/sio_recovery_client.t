#!/usr/bin/perl

# Copyright (C) sync for nginx

# Connection state recovery with socket.io-client as it comes from npm: its
# connection breaks while it is told something all the time.

use warnings;
use strict;

use FindBin;
use JSON::PP;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::Sync;

my $CLIENTS = 4;

my $t = Test::Sync->new->plan(9);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;
    sync_room "doc:*" recoverable history=1000 ttl=1h;
    sync_recovery 2m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /socket.io/ { sync socketio; }
        location /control/   { sync control; }
        location /status     { sync status; }
    }
}
EOF

$t->run;

for my $transports ('polling,websocket', 'polling', 'websocket') {
	open my $out, '-|', 'node', "$FindBin::Bin/sio/recovery.mjs",
		'http://127.0.0.1:' . $t->port(0), $transports, $CLIENTS
		or die "node: $!\n";

	my $r = decode_json(<$out> // '{}');
	close $out;

	is_deeply($r->{faults}, [], "$transports: as they were, with all");
	is($r->{recovered}, 4 * $CLIENTS, 'recovered, each time');
	is($r->{fresh}, $CLIENTS, 'but not in a volatile room');
}

###############################################################################
