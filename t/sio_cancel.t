#!/usr/bin/perl

# Copyright (C) sync for nginx

# Streamed answers to a client that polls, whose requests may each meet another
# worker: chunks and the answer come in order wherever it is, and a request can
# be cancelled from anywhere.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

my $t = Test::Sync->new->plan(15);

$t->write_conf(<<'EOC');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_receiver any;
        sync_hook server /_hook/sync;
        sync_hook api    /_hook/api;
        sync_hook cancel /_hook/cancel;

        location /socket.io/ { sync socketio; }
        location /ws         { sync websocket; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
EOC

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;

	return { json => {} } if $r->{uri} eq '/_hook/cancel';

	my $n = $r->{json}{data}{n};

	return [ [ 'head', 200, 'Content-Type: application/x-ndjson' ],
		map({ [ 'chunk', qq({"stream":{"n":$_}}\n) ] } 1 .. $n),
		[ 'chunk', qq({"final":{"status":"success"}}\n) ], [ 'end' ] ] if $n;

	return [ [ 'head', 200, 'Content-Type: application/x-ndjson' ],
		[ 'chunk', qq({"stream":{"n":1}}\n) ],
		[ 'wait', $r->{json}{data}{step} ],
		[ 'chunk', qq({"stream":{"n":2}}\n{"final":{"status":"success"}}\n) ],
		[ 'end' ] ];
});

$t->run;

my $i = 0;
my $s = $t->eio('/socket.io/');
$s->connect;

# others have nothing to say of it

my $other = $t->eio('/socket.io/');
$other->connect;

# many chunks, polled for one after another

$s->event('apiRequest', { name => 'api/t/s/v1', data => { n => 500 },
	responseIndex => ++$i });
my @all;

while (my $m = $s->recv_event) {
	push @all, $m;
	last if $m->[0] ne "apiStream-$i";
}

is_deeply([ map { $_->[1]{n} } @all[0 .. $#all - 1] ], [ 1 .. 500 ],
	'chunks, in order');
is($all[-1][0], "apiResponse-$i", 'then the answer');

# given up from wherever it is now; each request has a connection of its own

my (@cancelled, @answers, @chunks);

for my $n (1 .. 12) {
	my $kind = $n % 2 ? 'api' : 'sync';

	if ($kind eq 'api') {
		$s->event('apiRequest', { name => 'api/t/s/v1',
			data => { step => "go$n" }, responseIndex => ++$i });

	} else {
		$s->event('sync', { name => 'sync/t/s/v1', cb => 'c',
			receiver => 'nowhere', data => { step => "go$n" },
			responseIndex => ++$i });
	}

	my $id;
	my ($answer, $chunk) = $kind eq 'api' ? qw/ apiResponse apiStream /
		: qw/ sync sync-progress /;

	while (my $m = $s->recv_event) {
		$id = $m->[1]{__cancelId} and next if $m->[1]{__cancelId};
		last if $m->[0] eq "$chunk-$i";
	}

	# somebody else knows neither name

	$other->event('apiCancel', { responseIndex => $i });
	$other->event('syncCancel', { cb => $id }) if $id;

	$s->event($kind eq 'api' ? ('apiCancel', { responseIndex => $i })
		: ('syncCancel', { cb => $id }));

	$t->wait_for(sub { told() >= $n }, 20);
	push @cancelled, (told())[$n - 1];
	$hook->go("go$n");

	while (my $m = $s->recv_event) {
		push @chunks, $m if $m->[0] eq "$chunk-$i";
		push @answers, $m and last if $m->[0] eq "$answer-$i";
	}
}

is(scalar @cancelled, 12, 'each is cancelled');
is_deeply([ map { $_->{reason} } @cancelled ], [ ('cancel') x 12 ], 'as such');
is(scalar told(), 12, 'once');
is(scalar @answers, 12, 'each is answered');
is(scalar(grep { ($_->[1]{status} // '') eq 'success' } @answers), 6,
	'the result counts');
is(scalar @chunks, 0, 'no chunk comes after that');

# names that nobody has

$s->event('apiCancel', { responseIndex => 999 });
$s->event('apiCancel', { responseIndex => 'x"y' });
$s->event('syncCancel', { cb => 'x' x 36 });
$s->event('syncCancel', { cb => 'raw/name/v1' });
$s->event('getJoinedRooms', { responseIndex => 7 });
is($s->recv_event->[0], 'getJoinedRooms-7', 'nothing comes of them');
is(scalar told(), 12, 'nobody is told');

# a request that goes on hears its chunks at its new place

$s->event('apiRequest', { name => 'api/t/s/v1', data => { step => 'last' },
	responseIndex => ++$i });
is($s->recv_event->[1]{n}, 1, 'the first chunk');
$s->event('getJoinedRooms', { responseIndex => 8 }) for 1 .. 4;
$s->recv_event for 1 .. 4;
$hook->go('last');
is_deeply([ map { $s->recv_event } 1, 2 ], [ [ "apiStream-$i", { n => 2 } ],
	[ "apiResponse-$i", { status => 'success', httpStatus => 200 } ] ],
	'the others');

# sessions that are upgraded go to the worker that has the connection, their
# requests do not

my (@sessions, @wrong);
my $before = told();

for my $n (1 .. 12) {
	my $kind = $n % 2 ? 'api' : 'sync';
	my $e = $t->eio('/socket.io/');

	$e->connect;
	$e->event($kind eq 'api' ? 'apiRequest' : 'sync', {
		name => "$kind/t/s/v1", cb => 'c', receiver => 'nowhere',
		data => { step => 'moved' }, responseIndex => $n });

	my $id;

	while (my $m = $e->recv_event) {
		last if $m->[1]{n};
		$id = $m->[1]{__cancelId};
	}

	push @sessions, { eio => $e, kind => $kind, id => $id, n => $n };
}

my @ws = $t->ws_many(12, sub {
	return '/socket.io/?EIO=4&transport=websocket&sid='
		. $sessions[$_[0]]{eio}->sid;
});

for (@sessions) {
	my $ws = shift @ws;
	$_->{ws} = $ws;

	$ws->send_text('2probe');
	push @wrong, 'no probe' if ($ws->recv_text // '') ne '3probe';
	$ws->send_text('5');
	$ws->send_text('42' . JSON::PP->new->encode([ $_->{kind} eq 'api'
		? ('apiCancel', { responseIndex => $_->{n} })
		: ('syncCancel', { cb => $_->{id} }) ]));
}

$t->wait_for(sub { told() >= $before + 12 }, 20);
is(told() - $before, 12, 'cancelled wherever they are');
$hook->go('moved');

for (@sessions) {
	my $text = $_->{ws}->recv_text // 'nothing';
	my $event = $_->{kind} eq 'api' ? 'apiResponse' : 'sync';

	push @wrong, $text unless $text =~ /^42\["$event-$_->{n}"/;
}

is_deeply(\@wrong, [], 'answered there, with no chunk before');

is((() = $hook->requests(qr/api/)) + (() = $hook->requests(qr/sync/)), 26,
	'asked once each');

# What the app was told of, each once.

sub told {
	my %seen;
	return map { @{$_->{events}} } grep {
		!$seen{"$_->{worker} $_->{seq}"}++ }
		map { $_->{json} } $hook->requests(qr/cancel/);
}
