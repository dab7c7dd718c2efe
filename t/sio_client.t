#!/usr/bin/perl

# Copyright (C) sync for nginx

# socket.io-client as it comes from npm: by default, by polling alone, by
# WebSocket alone; 200 of them, who hear 20,000 messages, and by WebSocket say
# as many.

use warnings;
use strict;

use FindBin;
use JSON::PP;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::Sync;

my ($clients, $rooms, $messages) = (200, 20, 100);

my $t = Test::Sync->new(timeout => 300)->plan(24);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
    worker_connections 4096;
}

http {
    %%HTTP%%

    sync_zone zone=sync:16m;

    keepalive_requests 100000;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /socket.io/ { sync socketio; }
        location /control/ { sync control; }
        location /status { sync status; }
    }
}
EOF

$t->run;

my $url = 'http://127.0.0.1:' . $t->port(0);

my %talks = ('polling,websocket' => 0.25, polling => 0.25, websocket => 1.5);

for my $transports ('polling,websocket', 'polling', 'websocket') {
	my $stay = $clients - int $clients / 3;
	my $r = load($transports);

	is_deeply($r->{faults}, [], "$transports: nothing lost, doubled, reordered");
	is($r->{connected}, $clients + $r->{breaks}, 'all connected');
	cmp_ok($r->{breaks}, '>', $clients / 4, 'some left and came back');
	cmp_ok($r->{killed}, '>', $clients / 16, 'some had their polls killed');
	cmp_ok($r->{heard}, '>', $clients * $messages * 9 / 10, 'messages heard');
	cmp_ok($r->{acks}, '>=', $stay * (int($messages * $talks{$transports}) - 1),
		'messages said');
	is($r->{upgraded}, $transports eq 'polling' ? 0 : $clients,
		'transports at the end');
	ok($t->wait_for(sub { return clients() == 0 }), 'all are gone');
}

sub load {
	my ($transports) = @_;

	open my $out, '-|', 'node', "$FindBin::Bin/sio/load.mjs", $url,
		$transports, $clients, $rooms, $messages, $talks{$transports}
		or die "node: $!\n";
	my $line = <$out> // '{}';
	close $out;

	diag($line) if $ENV{V};

	return decode_json($line);
}

sub clients {
	return $t->http('GET', '/status')->json->{clients};
}
