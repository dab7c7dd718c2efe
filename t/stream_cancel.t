#!/usr/bin/perl

# Copyright (C) sync for nginx

# A request that is given up: by syncCancel, apiCancel, or by leaving; with the
# app told of it, and with its connection closed.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

my $t = Test::Sync->new->plan(24);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /ws {
            sync websocket;
            sync_hook server /_hook/sync;
            sync_hook api    /_hook/api cancel=notify;
            sync_hook cancel /_hook/cancel;
        }

        location /close {
            sync websocket;
            sync_hook server /_hook/sync cancel=close;
            sync_hook api    /_hook/api cancel=close;
            sync_hook cancel /_hook/cancel;
        }

        location /status { sync status; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
EOF

# "step" lets the app go on, which says one more chunk of each kind, and ends.

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;

	return { json => {} } if $r->{uri} eq '/_hook/cancel';

	my $broadcast = $r->{json}{kind} eq 'sync' ? qq({"broadcast":{"n":2}}\n)
		: '';

	return [ [ 'head', 200, 'Content-Type: application/x-ndjson' ],
		[ 'chunk', qq({"stream":{"n":1}}\n$broadcast) ],
		[ 'wait', $r->{json}{data}{step} ],
		[ 'chunk', qq({"stream":{"n":3}}\n$broadcast)
			. qq({"final":{"status":"success"}}\n) ], [ 'end' ] ];
});

$t->run;

my $i = 0;
my $asked = 0;

my $peer = open_ws('/ws');

# by the name that was given

my $ws = open_ws('/ws');
my $id = begin($ws, 'sync', 'a');
$ws->send_json([ 'syncCancel', { cb => 't/s/v1' } ]);
$ws->send_json([ 'syncCancel', { } ]);
$ws->send_json([ 'syncCancel' ]);
$ws->send_json([ 'syncCancel', { cb => $id } ]);
$ws->send_json([ 'syncCancel', { cb => $id } ]);

my $told = cancelled(1);
is_deeply([ @$told{qw/ id reason route /} ], [ $id, 'cancel', 'sync/t/s/v1' ],
	'the app is told, once');

$hook->go('a');
is($ws->recv_json->[0], "sync-$i", 'no more chunks, but the answer');
is($ws->recv_json->[1]{status}, 'success', 'and the message');
is($peer->recv_json->[1]{n}, 2, 'the room heard the chunk before');
is($peer->recv_json->[1]{status}, 'success', 'and not the one after');

# by its index, as a number or a string

for my $index (sub { $_[0] }, sub { "$_[0]" }) {
	$id = begin($ws, 'apiRequest', "api$i");
	$ws->send_json([ 'apiCancel', { responseIndex => $i + 1 } ]);
	$ws->send_json([ 'apiCancel', { responseIndex => $index->($i),
		reason => 'timeout' } ]);

	$told = cancelled(++$asked + 1);
	is_deeply([ @$told{qw/ reason route /} ], [ 'timeout', 'api/t/s/v1' ],
		'by index');
	$hook->go('api' . ($i - 1));
	is($ws->recv_json->[0], "apiResponse-$i", 'the answer');
}

# by leaving

$id = begin($ws, 'sync', 'b');
$peer->recv_json;
$ws->shut;
$told = cancelled(4);
is_deeply([ @$told{qw/ id reason /} ], [ $id, 'disconnect' ], 'who left');
$hook->go('b');
is($peer->recv_json->[1]{status}, 'success', 'its message goes out');

# the connection is closed

$ws = open_ws('/close');
my $n = @{$hook->wait_requests(1, qr/sync|api/)};

for my $event (qw/ sync apiRequest /) {
	$id = begin($ws, $event, 'never');
	$ws->send_json($event eq 'sync' ? [ 'syncCancel', { cb => $id } ]
		: [ 'apiCancel', { responseIndex => $i } ]);
	my ($name, $answer) = @{$ws->recv_json};
	is($name, $event eq 'sync' ? "sync-$i" : "apiResponse-$i",
		'closed: answered at once');
	is($answer->{errorCode}, $event eq 'sync' ? 'sync.serverExecutionFailed'
		: 'api.internalServerError', 'closed: with an error');
	my ($r) = grep { $_->{json}{data}{i} == $i }
		$hook->requests(qr/sync|api/);
	ok($hook->wait_gone($r->{n}), 'closed: the app sees it');
}

is($peer->recv_json->[1]{n}, 2, 'closed: the room heard the chunk before');
is($peer->recv_text(0.2), undef, 'closed: and nothing else');

begin($ws, 'sync', 'never');
my ($r) = grep { $_->{json}{data}{i} == $i } $hook->requests(qr/sync/);
$ws->disconnect;
ok($hook->wait_gone($r->{n}), 'closed: by leaving');
$peer->recv_json;

# a hundred at once, all given up

$ws = open_ws('/ws');
my $first = $i + 1;
my @ids = map { begin($ws, 'sync', 'all') } 1 .. 100;
$ws->send_json([ 'syncCancel', { cb => $_ } ]) for @ids;
ok($t->wait_for(sub { events() == 104 }), 'the app is told of each');
$hook->go('all');

my %answers = map { $_->[0] => 1 } grep { $_->[0] =~ /^sync-\d/ }
	map { $ws->recv_json } 1 .. 200;
is(scalar keys %answers, 100, 'each is answered once');

my $c = $t->http('GET', '/status')->json;
is($c->{counters}{hookCancelled}, 107, 'counted');
ok($t->wait_for(sub {
	return $t->http('GET', '/status')->json->{worker}{hooksRunning} == 0;
}), 'no call is left');

sub open_ws {
	my ($uri) = @_;

	my $ws = $t->ws($uri);
	$ws->recv_json;
	$ws->send_json([ 'joinRoom', { group => 'r', responseIndex => 0 } ]);
	$ws->recv_json;

	return $ws;
}

# Asks, and waits for the first chunks; returns the name to cancel by.

sub begin {
	my ($ws, $event, $step) = @_;

	$i++;
	$ws->send_json([ $event, { name => 't/s/v1', cb => 't/s/v1',
		data => { step => $step, i => $i }, receiver => 'r',
		responseIndex => $i, ignoreSelf => JSON::PP::false() } ]);

	my ($id, $chunk);

	while (!$chunk || $event eq 'sync' && $chunk->{n} != 2) {
		my $m = $ws->recv_json or die "nothing came\n";
		$id = $m->[1]{__cancelId} if $m->[1]{__cancelId};
		$chunk = $m->[1] if $m->[1]{n};
	}

	return $id;
}

sub events {
	return map { @{$_->{json}{events}} } $hook->requests(qr/cancel/);
}

# The n-th event of the "cancel" hook.

sub cancelled {
	my ($n) = @_;
	$t->wait_for(sub { events() >= $n });
	return (events())[$n - 1];
}
