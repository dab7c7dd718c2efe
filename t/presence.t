#!/usr/bin/perl

# Copyright (C) sync for nginx

# Who is away, and who hears of it: a user who leaves is told of when the grace
# is over, and not if it came back; what the grace depends on; several clients
# of a user; pages that are hidden; silence; and what the app is told.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

my $t = Test::Sync->new->plan(41);

$t->write_conf(<<'EOC');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;
    sync_room quiet:* presence=off;
    sync_room log:* recoverable presence=on;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_session  memory;
        sync_token    query:t auth:token;
        sync_hook     presence /_hook/presence;
        sync_presence on tab=60s transport=60s other=60s;

        location /ws      { sync websocket; }
        location /io/     { sync socketio; }
        location /events  { sync sse; }
        location /off     { sync websocket; sync_presence off; }
        location /tab     { sync websocket;
                            sync_presence on tab=200ms transport=60s; }
        location /lost    { sync websocket;
                            sync_presence on transport=200ms other=60s; }
        location /other/  { sync socketio;
                            sync_presence on transport=60s other=0; }
        location /idle    { sync websocket;
                            sync_presence on transport=60s afk=1s; }
        location /control { sync control; }
        location /status  { sync status; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
EOC

my $hook = $t->hook(port => 1, answer => sub { return { status => 204 } });

$t->run;

my $marks = 0;
my %users = map { $_ => $_ =~ s/[a-z]$//r } qw/ u0 u1 u1b u2 u3 u4 u5 u6 u7
	u7b u8 u9 u9b /;

$t->http('POST', '/control/session/save', json => { token => "t$_",
	session => { id => $users{$_} } }) for keys %users;

# who hears: in two rooms, in one, in none that tells

my $all = client('/ws', 'u0', qw/ a b quiet:1 /);
my $one = client('/off', 'u8', qw/ b /);
my $quiet = client('/ws', 'u9', qw/ quiet:1 /);

# a connection is lost

my $ws = client('/lost', 'u1', qw/ a b quiet:1 log:1 /);
$ws->disconnect;

is_deeply([ heard($all, 1) ], [ [ 'userLeft', { userId => 'u1' } ] ],
	'gone: told once, of two rooms');
is_deeply([ heard($one, 1) ], [ [ 'userLeft', { userId => 'u1' } ] ],
	'gone: a location without presence is told');

my ($e) = told(1);
is_deeply([ sort keys %$e ], [ qw/ kind reason rooms timestamp token userId / ],
	'gone: what the app is told');
is_deeply([ @{$e}{qw/ kind userId token reason /} ],
	[ 'left', 'u1', 'tu1', 'transport close' ], 'gone: who, and why');
is_deeply([ sort @{$e->{rooms}} ], [ qw/ a b log:1 / ], 'gone: where');
cmp_ok(abs($e->{timestamp} / 1000 - time()), '<', 60 * $Test::Sync::SLOW,
	'gone: when');

# and is there again in time

$ws = client('/ws', 'u1', qw/ a /);
$ws->disconnect;
away(1);
$ws = client('/lost', 'u1', qw/ a /);
is_deeply([ heard($all, 1) ], [ [ 'userBack', { userId => 'u1' } ] ],
	'back: told');
is_deeply([ @{(told(2))[1]}{qw/ kind userId token /} ],
	[ 'back', 'u1', 'tu1' ], 'back: the app is told');
away(0);

# another client of the user is there

my $tab = client('/lost', 'u1b', qw/ b /);
$ws->disconnect;
gone_client(4);
is_deeply([ heard($all) ], [], 'two clients: one goes');
$tab->disconnect;
is_deeply([ heard($all, 1) ], [ [ 'userLeft', { userId => 'u1' } ] ],
	'two clients: both go');

# a page is hidden

my $before = time();
$ws = client('/tab', 'u2', qw/ a /);
$ws->send_json([ 'intentionalDisconnect' ]);
is($ws->wait_close, 1000, 'hidden: closed');

my ($afk) = heard($all, 1);
is($afk->[0], 'userAfk', 'hidden: told');
is_deeply([ sort keys %{$afk->[1]} ], [ qw/ endTime userId / ],
	'hidden: what is told');
cmp_ok($afk->[1]{endTime} / 1000, '>=', int $before, 'hidden: till when');
cmp_ok($afk->[1]{endTime} / 1000, '<=', time() + 2, 'hidden: not longer');

is_deeply([ heard($all, 1) ], [ [ 'userLeft', { userId => 'u2' } ] ],
	'hidden: for too long');
is_deeply([ map { $_->{kind} } grep { $_->{userId} eq 'u2' } told(5) ],
	[ qw/ afk left / ], 'hidden: the app is told');

# seen again

$ws = client('/ws', 'u2', qw/ a /);
$ws->send_json([ 'intentionalDisconnect' ]);
$ws->wait_close;
($afk) = heard($all, 1);
cmp_ok($afk->[1]{endTime} / 1000, '>', time() + 30, 'hidden: a minute');
$ws = client('/ws', 'u2');
$ws->send_json([ 'intentionalReconnect' ]);
is_deeply([ heard($all, 1) ], [ [ 'userBack', { userId => 'u2' } ] ],
	'hidden: back, in the rooms that it left');

# with another client it is not away

$tab = client('/ws', 'u2', qw/ a /);
$ws->send_json([ 'intentionalDisconnect' ]);
is($ws->wait_close, 1000, 'hidden: one of two');
is_deeply([ heard($all) ], [], 'hidden: the other one is here');

# Socket.IO: the namespace is closed to it, the session stays

my $s = session('/io/', 'u3', 'a');
$s->event('intentionalDisconnect');
is($s->recv, '41', 'hidden: Socket.IO');
($afk) = heard($all, 1);
is($afk->[0], 'userAfk', 'hidden: Socket.IO, told');
like($s->connect({ token => 'tu3' }), qr/./, 'hidden: the session connects again');
is_deeply([ heard($all, 1) ], [ [ 'userBack', { userId => 'u3' } ] ],
	'hidden: Socket.IO, back');

# what it wants itself is no loss

$s = session('/other/', 'u4', 'a');
$s->post('41');
is_deeply([ heard($all, 1) ], [ [ 'userLeft', { userId => 'u4' } ] ],
	'disconnect: told');
is((grep { $_->{userId} eq 'u4' } told(10))[0]{reason},
	'client namespace disconnect', 'disconnect: why');

$s = session('/other/', 'u4', 'a');
$t->http('POST', '/control/disconnect', json => { user => 'u4' });
is_deeply([ heard($all, 1) ], [ [ 'userLeft', { userId => 'u4' } ] ],
	'disconnected by control: told');
is((grep { $_->{userId} eq 'u4' } told(11))[1]{reason},
	'server namespace disconnect', 'disconnected by control: why');

# silence: of all its clients

my $es = $t->sse('/events?channels=a&t=tu5');
is($es->recv_json->{type}, 'connected', 'an event stream');

$ws = client('/idle', 'u7', qw/ a /);
$tab = client('/idle', 'u7b', qw/ b /);

my @heard;
$t->wait_for(sub {
	$tab->send_json([ 'activity' ]);
	push @heard, heard($all);
	return time() - $before > 3;
}) while time() - $before < 4;
is_deeply(\@heard, [], 'afk: not while one speaks');

($afk) = heard($all, 1);
is($afk->[0], 'userAfk', 'afk: told');
is($afk->[1]{userId}, 'u7', 'afk: who');
cmp_ok(abs($afk->[1]{endTime} / 1000 - time()), '<', 60 * $Test::Sync::SLOW,
	'afk: since now');
my $event;
do { $event = $es->recv(10) } while $event && $event->{event} =~ /^mark/;
is($event->{event}, 'userAfk', 'afk: an event stream is told');

$ws->send_json([ 'activity' ]);
is_deeply([ heard($all, 1) ], [ [ 'userBack', { userId => 'u7' } ] ],
	'afk: it speaks');
is((grep { $_->[0] =~ /^user/ } events($tab)), 0, 'afk: it is not told itself');

$_->disconnect for $ws, $tab;

# who is logged out is nobody

$ws = client('/lost', 'u6', qw/ a /);
$t->http('POST', '/control/session/delete', json => { token => 'tu6' });
$ws->recv_event('logout');
$ws->disconnect;

$ws = client('/lost', 'u1', qw/ a /);
$ws->disconnect;
is_deeply([ heard($all, 1) ], [ [ 'userLeft', { userId => 'u1' } ] ],
	'logged out: not told');

is_deeply([ grep { $_->[0] =~ /^user/ } events($quiet) ], [],
	'a room that does not tell');

my %told = (afk => 0, back => 0, left => 0);
$told{$_->{kind}}++ for told(14);
is_deeply([ sort grep { $_->{userId} eq 'u6' } told(14) ], [],
	'logged out: the app is not told');

my $st = $t->http('GET', '/status')->json->{counters};
is_deeply([ @{$st}{qw/ afk back gone presenceDropped /} ],
	[ @told{qw/ afk back left /}, 0 ], 'counters');

# A client of a user, in rooms.

sub client {
	my ($uri, $user, @rooms) = @_;

	my $ws = $t->ws("$uri?t=t$user");
	$ws->recv_event('connected');

	for my $i (1 .. @rooms) {
		$ws->send_json([ 'joinRoom', { group => $rooms[$i - 1],
			responseIndex => $i } ]);
		$ws->recv_event("joinRoom-$i");
	}

	return $ws;
}

# The same by Socket.IO, polling.

sub session {
	my ($uri, $user, $room) = @_;

	my $s = $t->eio($uri);
	$s->connect({ token => "t$user" });
	$s->event('joinRoom', { group => $room, responseIndex => 1 });

	for (1 .. 10) {
		last if ($s->recv // '') =~ /joinRoom-1/;
	}

	return $s;
}

# What a client hears of users: n of that, and what comes till a mark.

sub heard {
	my ($ws, $n) = @_;

	my @heard;

	while (@heard < ($n // 0)) {
		push @heard, $ws->recv_event(qr/^user/, 20) // return @heard;
	}

	return @heard, grep { $_->[0] =~ /^user/ } events($ws);
}

sub events {
	my ($ws) = @_;

	my ($m, @events);
	my $mark = 'mark' . ++$marks;

	$t->http('POST', '/control/publish', json => { all => \1,
		event => $mark, data => {} });

	while ($m = $ws->recv_json) {
		return @events if $m->[0] eq $mark;
		push @events, $m;
	}

	return (@events, 'no mark');
}

# Waits till n users are away.

sub away {
	my ($n) = @_;

	$t->wait_for(sub {
		return $t->http('GET', '/status')->json->{away} == $n;
	}, 20) or diag("$n users are not away");
}

# Waits till n clients are left.

sub gone_client {
	my ($n) = @_;

	$t->wait_for(sub {
		return $t->http('GET', '/status')->json->{clients} <= $n;
	}, 20) or diag("there are more than $n clients");
}

# What the app was told, when it is n events at least.

sub told {
	my ($n) = @_;

	my @all;

	$t->wait_for(sub {
		my %seen;
		@all = map { @{$_->{events}} }
			grep { !$seen{"$_->{worker} $_->{seq}"}++ }
			map { $_->{json} } $hook->requests;
		return @all >= $n;
	}, 20);

	return sort { $a->{timestamp} <=> $b->{timestamp} } @all;
}
