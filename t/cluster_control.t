#!/usr/bin/perl

# Copyright (C) sync for nginx

# Control on several hosts: lists of all of them, page by page; orders to
# clients wherever they are; a host that does not answer, Redis away.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Test::Sync::Cluster;

###############################################################################

my $a = Test::Sync->new->plan(42);
my ($b, $c) = map { Test::Sync->new } 1 .. 2;
my $redis = $a->redis(port => 1);

for my $t ($a, $b, $c) {
	my $port = $redis->port;

	$t->write_conf(<<"EOF");
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone  zone=sync:8m;
    sync_redis redis://127.0.0.1:$port prefix=app timeout=3s;
    sync_drain 1s;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_session redis key=app-session:\$sync_token;
        sync_token query:token;

        location /ws       { sync websocket; }
        location /open     { sync websocket; sync_session off; }
        location /sse      { sync sse; sync_session off; }
        location /control/ { sync control; }
        location /status   { sync status; }
    }
}
EOF

	$t->run;
}

ok(linked($_), 'links') for $a, $b, $c;

###############################################################################

my %at = (a => $a, b => $b, c => $c);
my %ws;

for my $host (qw/ a b c /) {
	$ws{$host} = [ map { client($at{$host}) } 1 .. 4 ];
	join_room($_, 'all', "only-$host") for @{$ws{$host}};
}

my %ids = map { my $h = $_; map { $_->{id} => $h } @{$ws{$h}} } keys %ws;

# lists

my $r = get($a, 'rooms');
is_deeply($r->{rooms}, [ { room => 'all', members => 12 },
	map { { room => "only-$_", members => 4 } } qw/ a b c / ],
	'rooms of all hosts, in order');
is_deeply($r->{hosts}, { asked => 3, answered => 3 }, 'who all answered');
is($r->{cursor}, undef, 'all of it');

is_deeply([ pages($b, 'rooms', 'rooms', 1) ], $r->{rooms}, 'in pages of one');
is_deeply([ map { $_->{room} } pages($c, 'rooms', 'rooms', 2,
	prefix => 'only') ], [ map { "only-$_" } qw/ a b c / ], 'by prefix');

$r = get($b, 'members', room => 'all', limit => 0);
is($r->{count}, 12, 'members are counted');
is_deeply($r->{members}, [], 'alone');

for my $limit (1, 5, 100) {
	my @got = map { $_->{clientId} } pages($c, 'members', 'members', $limit,
		room => 'all');
	is_deeply([ sort @got ], [ sort keys %ids ], "members, by $limit");
}

is_deeply([ sort map { $_->{clientId} } pages($a, 'members', 'members', 3,
	room => 'only-b') ], [ sort map { $_->{id} } @{$ws{b}} ],
	'members elsewhere');

# clients come and go between pages: the others are there once

my ($cursor, @got);

do {
	$r = get($a, 'clients', limit => 2, $cursor ? (cursor => $cursor) : ());
	$cursor = $r->{cursor};
	push @got, map { $_->{clientId} } @{$r->{clients}};
	client($_) for $b, $c;
} while ($cursor);

my %got;
$got{$_}++ for @got;
is(scalar(grep { $_ > 1 } values %got), 0, 'none twice');
is(scalar(grep { !$got{$_} } keys %ids), 0, 'none missing');

is(post($a, 'clients', { cursor => 'x' })->status, 400, 'a bad cursor');

$r = get($a, 'client', clientId => $ws{b}[0]{id});
is_deeply($r->{client}{rooms}, [ 'all', 'only-b' ], 'a client elsewhere');

$r = $a->http('GET', '/control/client?clientId=AAAAAAAAAAAAAAAAAAAAAA');
is($r->status, 404, 'one who is nowhere');
is_deeply($r->json->{hosts}, { asked => 3, answered => 3 }, 'all say so');

# orders

my $id = $ws{c}[0]{id};

is(post($a, 'join', { room => 'new', clientId => $id })->status, 200,
	'put into a room');
ok($a->wait_for(sub { get($b, 'members', room => 'new')->{count} == 1 }),
	'there it is');
is(post($b, 'leave', { room => 'new', clientId => $id })->status, 200,
	'taken out');
ok($a->wait_for(sub { get($b, 'members', room => 'new')->{count} == 0 }),
	'gone from it');
is(post($b, 'join', { room => 'new', clientId => 'A' x 22 })->status, 404,
	'one who is nowhere');

is(post($a, 'publish', { clientId => $id, event => 'x', data => 1 })
	->json->{receivers}, 1, 'to a client elsewhere');
is(heard($ws{c}[0], 1)->[0][1], 1, 'heard');

is(post($a, 'kick', { clientId => $id })->json->{clients}, 1, 'kicked');
is($ws{c}[0]->wait_close, 1008, 'it is');
is(post($a, 'disconnect', { clientId => 'A' x 22 })->status, 404,
	'one who is nowhere');

# all of a user, on two hosts

my @sse = map { $_->sse('/sse?channels=s&userId=u1') } $b, $c, $c;
$_->recv_json for @sse;

is(post($a, 'publish', { user => 'u1', event => 'x', data => 2 })
	->json->{receivers}, 3, 'to a user');
is_deeply([ map { $_->recv_json->{data} } @sse ], [ 2, 2, 2 ], 'heard');
is(post($b, 'disconnect', { user => 'u1' })->json->{clients}, 3,
	'a user lets go');

ok($a->wait_for(sub {
	return 3 == pages($a, 'clients', 'clients', 1, user => 'u1',
		connected => 'false');
}), 'and is remembered by all hosts');

# all of a token

$redis->command('SET', 'app-session:t1', '{"id":"u2","token":"t1"}');
my @tokens = map { client($_, '/ws?token=t1') } $a, $b, $c;

is(post($a, 'join', { room => 'mine', token => 't1' })->status, 200,
	'a token joins');
ok($a->wait_for(sub { get($c, 'members', room => 'mine')->{count} == 3 }),
	'everywhere');
is(post($b, 'disconnect', { token => 't1' })->json->{clients}, 3,
	'and lets go');
is_deeply([ map { $_->wait_close } @tokens ], [ 1000, 1000, 1000 ],
	'everywhere');

# a host that does not answer

my @frozen = $c->workers;
kill 'STOP', @frozen;
$r = get($a, 'rooms');
is_deeply($r->{hosts}, { asked => 3, answered => 2 }, 'one is missing');
kill 'CONT', @frozen;

# Redis away

$redis->kill;
ok($a->wait_for(sub { status($a)->{redis}{connected} == 0 }), 'Redis is away');
$r = get($a, 'rooms');
ok($r->{degraded}, 'who answers says so');
is_deeply([ map { $_->{room} } @{$r->{rooms}} ], [ 'all', 'only-a' ],
	'and what it knows');

###############################################################################

sub client {
	my ($t, $uri) = @_;

	my $ws = $t->ws($uri // '/open');
	$ws->{id} = $ws->recv_json->[1]{clientId};

	return $ws;
}

sub join_room {
	my ($ws, @rooms) = @_;

	for my $room (@rooms) {
		$ws->send_json([ 'joinRoom', { group => $room,
			responseIndex => 1 } ]);
		$ws->recv_event('joinRoom-1');
	}
}

sub get {
	my ($t, $op, %fields) = @_;

	my $args = join '&', map { "$_=$fields{$_}" } keys %fields;

	return $t->http('GET', "/control/$op?$args")->json;
}

# All entries of a list, by pages of so many.

sub pages {
	my ($t, $op, $list, $limit, %fields) = @_;

	my @all;

	while (1) {
		my $r = get($t, $op, limit => $limit, %fields);
		die "too many\n" if @{$r->{$list}} > $limit;
		push @all, @{$r->{$list}};
		$fields{cursor} = $r->{cursor} // return @all;
	}
}

###############################################################################
