#!/usr/bin/perl

# Copyright (C) sync for nginx

# queue=conflate: a client that stops reading and goes on hears the last message
# of each key, in the order of the room; what is held for it is bounded.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

###############################################################################

my $t = Test::Sync->new->plan(36);

$t->write_file('routes.json', <<'EOF');
{ "version": 1, "routes": {
    "sync/canvas/cursor/v1": { "server": false, "key": "clientId" },
    "sync/canvas/move/v1": { "server": false, "key": "shape" } } }
EOF

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:16m;
    sync_room "cursor:*" queue=conflate;
    sync_room "log:*" recoverable history=10;

    server {
        listen 127.0.0.1:%%PORT_0%% sndbuf=32k;

        keepalive_requests 1000000;
        sync_queue 100k;
        sync_routes %%TESTDIR%%/routes.json;

        location /ws         { sync websocket; }
        location /sse        { sync sse; }
        location /socket.io/ { sync socketio; }
        location /control    { sync control; }
        location /status     { sync status; }
    }
}
EOF

$t->run;

###############################################################################

my $pad = 'x' x 2000;
my $n = 0;

# one that reads hears everything

my $fast = client();
my $slow = client(rcvbuf => 4096);

my @fast = map { publish("k" . $_ % 10); heard($fast, 1)->{n} } 1 .. 250;

is("@fast", join(' ', 1 .. 250), 'all, by who reads');

# and one that does not the last of each key

my @slow = heard($slow, undef, 250);

cmp_ok(@slow, '<', 200, 'not all, by who does not');
ok(rising(@slow), 'in their order');
is_deeply(last_of(@slow), { map { ("k" . $_ % 10) => $_ } 241 .. 250 },
	'the last one of each key');
is(counter('conflated'), 250 - @slow, 'the others are counted');
is(counter('dropped') + counter('slow'), 0, 'nothing else');

# it has caught up

publish('k1');
is($slow->recv_event('say')->[1]{n}, 251, 'then it hears what is new');
is(heard($fast, 1)->{n}, 251, 'as the other one');
$fast->disconnect;

# messages without a key are not replaced

publish("k" . $_ % 10) for 1 .. 200;
publish(undef) for 1 .. 20;
publish("k" . $_ % 10) for 1 .. 200;

@slow = heard($slow, undef, 671);

ok(rising(@slow), 'in their order');
is(join(' ', map { $_->{n} } grep { !defined $_->{key} } @slow),
	join(' ', 452 .. 471), 'all of those without a key');
is_deeply(last_of(grep { defined $_->{key} } @slow),
	{ map { ("k" . $_ % 10) => 471 + $_ } 191 .. 200 }, 'and the last ones');

# an event of another name has keys of its own

publish("k" . $_ % 10) for 1 .. 200;
publish('k0', 'other') for 1 .. 10;
publish('end');

my @events;

while (1) {
	my $m = $slow->recv_json // last;
	push @events, [ $m->[0], $m->[1] ];
	last if ($m->[1]{key} // '') eq 'end';
}

is(scalar(grep { $_->[0] eq 'other' } @events), 1, 'another event');
is((grep { $_->[1]{key} eq 'k0' && $_->[0] eq 'say' } @events)[-1][1]{n}, 871,
	'does not replace it');

# too many keys

publish("key$_") for 1 .. 300;
ok($t->wait_for(sub { counter('slow') == 1 }), 'too many keys');
ok($slow->wait_close, 'it is closed');

# who leaves does not hear what was held

$slow = client(rcvbuf => 4096);
publish("k" . $_ % 10) for 1 .. 250;
my $id = clients()->[0]{clientId};
$t->http('POST', '/control/leave', json => { room => 'cursor:1',
	clientId => $id });
$slow->send_json([ 'joinRoom', { group => 'chat', responseIndex => 1 } ]);
$slow->recv_event('joinRoom-1');
cmp_ok(scalar($slow->skipped), '<', 200, 'who left');
is(scalar(grep { $_->[1]{n} == $n } $slow->skipped), 0, 'hears no more');
$slow->disconnect;

# one that catches up in another room meanwhile

my @log = map { $t->http('POST', '/control/publish', json => {
	room => 'log:1', event => 'log', data => $_ })
	->json->{rooms}{'log:1'}{position} } 1 .. 3;

$slow = client(rcvbuf => 4096);
publish("k" . $_ % 10) for 1 .. 250;
$slow->send_json([ 'joinRoom', { group => 'log:1', pos => $log[0],
	responseIndex => 2 } ]);
ok($t->wait_for(sub { counter('recovered') == 1 }), 'one that catches up');

my (@log_heard, $last_n);

while (!defined $last_n || $last_n < $n || @log_heard < 2) {
	my $m = $slow->recv_json // last;
	push @log_heard, $m->[1] if $m->[0] eq 'log';
	$last_n = $m->[1]{n} if $m->[0] eq 'say';
}

is("@log_heard", '2 3', 'hears what it missed');
is($last_n, $n, 'and the last one of what was held');
$slow->disconnect;

# one that goes while something is held for it

$slow = client(rcvbuf => 4096);
publish("k" . $_ % 10) for 1 .. 250;
$slow->reset;
ok($t->wait_for(sub { !@{clients()} }), 'gone');

# an event stream

my $sse = $t->sse('/sse?channels=cursor:1', rcvbuf => 4096);
$sse->recv_json;
publish("k" . $_ % 10) for 1 .. 250;

my @sse;

while (my $m = $sse->recv_json) {
	push @sse, $m->{data};
	last if $m->{data}{n} == $n;
}

cmp_ok(@sse, '<', 200, 'an event stream');
ok(rising(@sse), 'in their order');
is_deeply([ sort { $a <=> $b } values %{last_of(@sse)} ],
	[ $n - 9 .. $n ], 'the last ones');
$sse->disconnect;

# one that polls

my $eio = $t->eio;
$eio->connect;
$eio->event('joinRoom', { group => 'cursor:1', responseIndex => 1 });
$eio->recv_event;
publish("k" . $_ % 10) for 1 .. 250;

my @poll;

while (my $m = $eio->recv_event) {
	push @poll, $m->[1];
	last if $m->[1]{n} == $n;
}

cmp_ok(@poll, '<', 200, 'one that polls');
ok(rising(@poll), 'in their order');
is_deeply([ sort { $a <=> $b } values %{last_of(@poll)} ],
	[ $n - 9 .. $n ], 'the last ones');

# and goes on by a WebSocket, which any worker may have

publish("k" . $_ % 10) for 1 .. 250;

my $up = $t->ws('/socket.io/?EIO=4&transport=websocket&sid=' . $eio->sid);
$up->send_text('2probe');
is($up->recv_text, '3probe', 'one that polled');
$up->send_text('5');

@poll = ();

while (defined(my $text = $up->recv_text)) {
	next if $text !~ s/^42//;
	push @poll, JSON::PP->new->decode($text)->[1];
	last if $poll[-1]{n} == $n;
}

cmp_ok(@poll, '<', 200, 'hears not all');
ok(rising(@poll), 'in their order');
is_deeply([ sort { $a <=> $b } values %{last_of(@poll)} ],
	[ $n - 9 .. $n ], 'the last ones');
$up->disconnect;
ok($t->wait_for(sub { !@{clients()} }), 'gone');

# routes: by the sender, or by a member of the data

$slow = client(rcvbuf => 4096);
my @two = map { client(ignore => 1) } 1, 2;

for my $i (1 .. 150) {
	sync($_, 'cursor', { i => $i, pad => $pad }) for @two;
}

sync($two[0], 'move', { i => $_, shape => "s" . $_ % 3, pad => $pad })
	for 1 .. 150;
publish('end');

my (%cursor, %move);
my $count = 0;

while (my $m = $slow->recv_json) {
	last if $m->[0] eq 'say';
	next if $m->[0] ne 'sync';
	$count++;
	my $of = $m->[1]{fullName} =~ /cursor/ ? \%cursor : \%move;
	$of->{$m->[1]{serverOutput}{i} // $count} = $count;
}

cmp_ok($count, '<', 440, 'routes have keys');
cmp_ok($count, '>=', 5, 'and the last of each is heard');

is(status()->{clients}, 3, 'all are there');
is(counter('slow'), 1, 'nobody else was too slow');

###############################################################################

sub client {
	my (%o) = @_;

	my $ws = $t->ws('/ws', %o);
	$ws->recv_json;
	$ws->send_json([ 'joinRoom', { group => 'cursor:1',
		responseIndex => 1 } ]);
	$ws->recv_event('joinRoom-1');

	return $ws;
}

sub publish {
	my ($key, $event) = @_;

	return $t->http('POST', '/control/publish', json => {
		room => 'cursor:1', event => $event // 'say',
		data => { n => ++$n, key => $key, pad => $pad },
		defined $key ? (key => $key) : () })->json;
}

sub sync {
	my ($ws, $name, $data) = @_;

	$ws->send_json([ 'sync', { name => "sync/canvas/$name/v1",
		data => $data, cb => 'x', receiver => 'cursor:1',
		ignoreSelf => JSON::PP::true(), responseIndex => 9 } ]);
	$ws->recv_event('sync-9');
}

# The next messages: so many, or up to one.

sub heard {
	my ($ws, $count, $last) = @_;
	my @all;

	while (!defined $count || @all < $count) {
		my $m = $ws->recv_event('say') // last;
		push @all, $m->[1];
		last if defined $last && $m->[1]{n} == $last;
	}

	return wantarray ? @all : $all[0];
}

sub rising {
	my $last = 0;
	for (@_) { return 0 if $_->{n} <= $last; $last = $_->{n} }
	return 1;
}

sub last_of { return { map { ($_->{key} // '') => $_->{n} } @_ } }

sub clients { return $t->http('GET', '/control/clients')->json->{clients} }
sub status { return $t->http('GET', '/status')->json }
sub counter { return status()->{counters}{$_[0]} }

###############################################################################
