#!/usr/bin/perl

# Copyright (C) sync for nginx

# Streamed answers and their cancelling with socket.io-client as it comes from
# npm: by polling, by WebSocket, and with an upgrade in between.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use Test::Sync;

my @ways = ('polling', 'polling,websocket', 'websocket');
my $chunks = 300;

my $t = Test::Sync->new->plan(@ways * 4);

$t->write_conf(<<'EOC');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    keepalive_requests 100000;

    sync_zone zone=sync:8m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_hook server /_hook/sync;
        sync_hook api    /_hook/api;
        sync_hook cancel /_hook/cancel;

        location /socket.io/ { sync socketio; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
EOC

# what is given up goes on when the app was told of that

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;
	my $j = $r->{json};

	return { json => {} } if $r->{uri} eq '/_hook/cancel';

	my $says = sub {
		return qq({"stream":{"n":$_[0]}}\n) . ($j->{kind} eq 'sync'
			? qq({"broadcast":{"n":$_[0]}}\n) : '');
	};
	my @end = ([ 'chunk', qq({"final":{"status":"success"}}\n) ], [ 'end' ]);

	return [ [ 'head', 200, 'Content-Type: application/x-ndjson' ],
		$j->{data}{n} ? map({ [ 'chunk', $says->($_) ] } 1 .. $j->{data}{n})
		: ([ 'chunk', $says->(1) ], [ 'wait', $j->{id} ],
		[ 'chunk', $says->(2) ]), @end ];
});

$t->run;

my %seen;

for my $way (@ways) {
	open my $out, '-|', 'node', "$FindBin::Bin/sio/stream.mjs",
		'http://127.0.0.1:' . $t->port(0), $way, $chunks
		or die "node: $!\n";

	# of each that was given up

	for (1, 2) {
		$t->wait_for(sub {
			my ($id) = grep { !$seen{$_}++ } map { $_->{id} }
				map { @{$_->{json}{events}} } $hook->requests(qr/cancel/);
			return 0 unless defined $id;
			$hook->go($id);
			return 1;
		}, 60);
	}

	my $told = decode_json(<$out> // '{}');
	close $out;

	is_deeply($told->{api}, [ 1 .. $chunks, 'success' ],
		"$way: an api's chunks, then its answer");
	is_deeply($told->{sync}, [ map({ ($_, "r$_") } 1 .. $chunks), 'success',
		'msuccess' ], "$way: a sync's, and the room's, in order");
	is_deeply([ map { [ grep { !/^r?1$/ } @{$told->{$_} || []} ] }
		qw/ apiCancelled syncCancelled / ], [ [ 'success' ],
		[ 'success', 'msuccess' ] ],
		"$way: given up, nothing but the answer comes");
	is($told->{transport}, $way eq 'polling' ? 'polling' : 'websocket',
		"$way: the transport");
}
