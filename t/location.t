#!/usr/bin/perl

# Copyright (C) sync for nginx

# updateLocation: what is a location and what is not, what it makes of the
# session, and what the app is told: each change once, in order, from what to
# what, again until it is answered for.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

my $t = Test::Sync->new->plan(14);

$t->write_conf(<<'EOC');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_session memory;
        sync_token query:t;
        sync_hook location /_hook/location;

        location /ws      { sync websocket; }
        location /off     { sync websocket; sync_session off; }
        location /control { sync control; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
EOC

my $refused = 0;

my $hook = $t->hook(port => 1, answer => sub {
	return { status => $refused++ < 2 ? 503 : 200 };
});

$t->run;

$t->http('POST', '/control/session/save', json => { token => "t$_",
	session => { id => "u$_", location => { pathName => '/home' } } })
	for 1, 2;

my $ws = $t->ws('/ws?t=t1');
my $id = $ws->recv_event('connected')->[1]{clientId};

# what came and what was there before

is(place({ pathName => '/a', searchParams => { q => 'x', n => 1 } }), '/a',
	'told to the clients of the session');

my ($e) = told(1);
is_deeply([ sort keys %$e ], [ qw/ clientId newLocation oldLocation timestamp
	token userId / ], 'what is told');
is_deeply([ @{$e}{qw/ clientId userId token /} ], [ $id, 'u1', 't1' ], 'who');
is_deeply($e->{oldLocation}, { pathName => '/home' }, 'from what');
is_deeply($e->{newLocation}, { pathName => '/a', searchParams =>
	{ q => 'x', n => 1 } }, 'to what, as it was said');
cmp_ok(abs($e->{timestamp} / 1000 - time()), '<', 60 * $Test::Sync::SLOW,
	'timestamp');

my %tries;
$t->wait_for(sub {
	%tries = ();
	$tries{"$_->{json}{id} $_->{json}{seq}"}++ for $hook->requests;
	return grep { $_ > 2 } values %tries;
});
ok((grep { $_ > 2 } values %tries), 'told again till it was answered for');

# what is no location

$ws->send_json([ 'updateLocation', $_ ]) for {}, { pathName => 'a' },
	{ pathName => 7 }, { pathName => '/' . 'x' x 2048 },
	{ pathName => "/a\0" }, { pathName => '/b', searchParams => [] },
	{ pathName => '/b', searchParams => { map { $_ => 1 } 1 .. 51 } },
	{ pathName => '/b', searchParams => { 'k' x 257 => 1 } },
	{ pathName => '/b', searchParams => { k => 'v' x 1025 } }, '/b', undef;

is(place({ pathName => '/b', searchParams => {
	map { $_ => 'v' x 1024 } 1 .. 50 } }), '/b', 'at the limits');
is_deeply((told(2))[1]{oldLocation}{pathName}, '/a', 'nothing between');

# who has no session has no location

my $off = $t->ws('/off?t=t1');
my $none = $t->ws('/ws');
$_->send_json([ 'updateLocation', { pathName => '/c' } ]) for $off, $none;

# each change has one that it came from

place({ pathName => "/n/$_" }) for 1 .. 200;

my @events = told(202);
is(scalar @events, 202, 'each change');
is_deeply([ map { $_->{newLocation}{pathName} } @events[2 .. 201] ],
	[ map { "/n/$_" } 1 .. 200 ], 'in order');
is((grep { $events[$_]{oldLocation}{pathName}
	ne $events[$_ - 1]{newLocation}{pathName} } 1 .. 201), 0,
	'each from where the one before went');

# another session, and a client that goes at once

my $other = $t->ws('/ws?t=t2');
$other->recv_event('connected');
$other->send_json([ 'updateLocation', { pathName => '/z' } ]);
$other->disconnect;
@events = told(203);
is_deeply([ map { @{$_}{qw/ userId token /} }
	grep { $_->{newLocation}{pathName} eq '/z' } @events ], [ 'u2', 't2' ],
	'of one that is gone');
is(scalar(grep { $_->{newLocation}{pathName} eq '/c' } @events), 0,
	'none without a session');

# Says where it is, and returns what the session then says.

sub place {
	my ($location) = @_;

	$ws->send_json([ 'updateLocation', $location ]);

	my $m = $ws->recv_event('updateSession') || return;
	return JSON::PP->new->decode($m->[1])->{location}{pathName};
}

# The events told so far, each once; waits until there are n.

sub told {
	my ($n) = @_;

	my @all;

	$t->wait_for(sub {
		my %seen;
		@all = map { @{$_->{events}} } sort {
			$a->{worker} cmp $b->{worker} || $a->{seq} <=> $b->{seq} }
			grep { !$seen{"$_->{worker} $_->{seq}"}++ }
			map { $_->{json} } $hook->requests;
		return @all >= $n;
	}, 20);

	return @all;
}
