#!/usr/bin/perl

# Copyright (C) sync for nginx

# Who is away, where hosts share a Redis: a user is here while it is on any of
# them; who comes back on another one is told of as back, and who goes on one
# and is there on another as nothing; and what control says of all of them.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Test::Sync::Cluster;

my $a = Test::Sync->new->plan(14);
my $b = Test::Sync->new;
my $redis = $a->redis(port => 1);

for my $t ($a, $b) {
	my $port = $redis->port;

	$t->write_conf(<<"EOC");
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone  zone=sync:8m;
    sync_redis redis://127.0.0.1:$port prefix=app timeout=2s;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_session  redis key=app-session:\$sync_token;
        sync_token    query:token;
        sync_presence on tab=60s transport=60s;

        location /ws      { sync websocket; }
        location /lost    { sync websocket;
                            sync_presence on transport=300ms; }
        location /idle    { sync websocket;
                            sync_presence on transport=60s afk=1s; }
        location /control { sync control; }
        location /status  { sync status; }
    }
}
EOC

	$t->run;
}

ok(linked($_), 'links') for $a, $b;

$redis->command('SET', "app-session:t$_", qq({"id":"u$_"})) for 0 .. 5;

my $marks = 0;
my $w = client($a, '/ws', 0);
my $v = client($b, '/ws', 5);

# gone from one host: both hear it

my $ws = client($b, '/lost', 1);
$ws->disconnect;
is_deeply([ users($w, 1) ], [ [ 'userLeft', { userId => 'u1' } ] ],
	'gone: told on another host');
is_deeply([ users($v, 1) ], [ [ 'userLeft', { userId => 'u1' } ] ],
	'gone: and on that one');

# it comes back to the other host

$ws = client($a, '/ws', 2);
$ws->disconnect;
$a->wait_for(sub { return status($a)->{away} == 1 });
$ws = client($b, '/ws', 2);
is_deeply([ users($w, 1) ], [ [ 'userBack', { userId => 'u2' } ] ],
	'back: on another host');
ok($a->wait_for(sub { return status($a)->{away} == 0 }),
	'back: waited for no more');
$ws->disconnect;

# it is on both, and goes from one

my @both = (client($a, '/lost', 3), client($b, '/lost', 3));
users($w);
$both[0]->disconnect;
ok($a->wait_for(sub { return status($a)->{away} == 0
	&& status($a)->{clients} == 1 }), 'on both: one goes');
is_deeply([ users($w) ], [], 'on both: nobody is told');
$both[1]->disconnect;
is_deeply([ users($w, 1) ], [ [ 'userLeft', { userId => 'u3' } ] ],
	'on both: the last one goes');

# a page is hidden on one host, another one is seen on the other

@both = (client($a, '/ws', 3), client($b, '/ws', 3));
both_know(3);
$both[0]->send_json([ 'intentionalDisconnect' ]);
$both[0]->wait_close;
ok($a->wait_for(sub { return status($a)->{away} == 0 }),
	'hidden: it is here all the same');
$both[1]->send_json([ 'intentionalDisconnect' ]);
is_deeply([ map { [ $_->[0], $_->[1]{userId} ] } users($w, 1) ],
	[ [ 'userAfk', 'u3' ] ], 'hidden: told when both are');

# silent on one host, not on the other

@both = (client($a, '/idle', 4), client($b, '/ws', 4));
my $heard = 0 * users($v);
my $end = time() + 4;

while (time() < $end) {
	$both[1]->send_json([ 'activity' ]);
	$heard += users($v);
}

is($heard, 0, 'afk: not while it speaks elsewhere');

# what control says

my $r = $b->http('GET', '/control/presence?room=a')->json;
is_deeply([ map { [ @{$_}{qw/ userId state clients /} ] } @{$r->{users}} ],
	[ [ 'u0', 'online', 1 ], [ 'u2', 'grace', 0 ], [ 'u3', 'grace', 0 ],
		[ 'u4', 'online', 2 ], [ 'u5', 'online', 1 ] ], 'control: users of all hosts');

my @all;
my $cursor;

do {
	$r = $a->http('POST', '/control/presence', json => { room => 'a',
		limit => 1, cursor => $cursor })->json;
	push @all, map { $_->{userId} } @{$r->{users}};
	$cursor = $r->{cursor};
} while (defined $cursor && @all < 10);

is_deeply(\@all, [ qw/ u0 u2 u3 u4 u5 / ], 'control: page by page');

# before Redis goes

$b->stop;

sub client {
	my ($t, $uri, $n) = @_;

	my $ws = $t->ws("$uri?token=t$n");
	$ws->recv_event('connected');
	$ws->send_json([ 'joinRoom', { group => 'a', responseIndex => 1 } ]);
	$ws->recv_event('joinRoom-1');

	return $ws;
}

# Each host has heard of the user's client on the other one, as what it was told
# of that comes before what it is answered now.

sub both_know {
	my ($n) = @_;

	for my $t ($a, $b) {
		$t->wait_for(sub {
			my $r = $t->http('GET', "/control/presence?user=u$n")->json;
			return ($r->{users}[0]{clients} // 0) == 2;
		});
	}
}

# What a client hears of users: n of that, and what comes till a mark.

sub users {
	my ($ws, $n) = @_;

	my ($m, @heard);

	while (@heard < ($n // 0)) {
		push @heard, $ws->recv_event(qr/^user/, 20) // return @heard;
	}

	my $mark = 'mark' . ++$marks;
	post($a, 'publish', { room => 'a', event => $mark, data => {} });

	while ($m = $ws->recv_json) {
		return @heard if $m->[0] eq $mark;
		push @heard, $m if $m->[0] =~ /^user/;
	}

	return (@heard, 'no mark');
}
