#!/usr/bin/perl

# Copyright (C) sync for nginx

# What the app is told of: clients that connect, join, leave and go, in
# batches, with numbers that show what was told and what was not, again until
# it is answered for, and never so that a client waits.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

my $t = Test::Sync->new->plan(19);

$t->write_conf(<<'EOC');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;
    sync_drain 1s;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_hook connected  /_hook/connected;
        sync_hook joined     /_hook/joined;
        sync_hook left       /_hook/left;
        sync_hook disconnect /_hook/disconnect;

        location /ws      { sync websocket; }
        location /io      { sync socketio; }
        location /events  { sync sse; }
        location /control { sync control; }
        location /status  { sync status; }
        location /down    { sync websocket; sync_hook joined /_down; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }

        location /_down {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_2%%;
        }
    }
}
EOC

# the first two batches about rooms are not answered for

my $refused = 0;

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;

	return { status => 500 }
		if $r->{json}{event} eq 'joined' && $refused++ < 2;

	return { status => 204 };
});

$t->run;

my $i = 0;

my @ws = map { $t->ws('/ws?userId=u' . $_) } 1 .. 3;
my @ids = map { $_->recv_event('connected')->[1]{clientId} } @ws;

my @events = told('connected', 3);
is_deeply([ sort map { $_->{clientId} } @events ], [ sort @ids ],
	'connected: each client');
is_deeply([ sort keys %{$events[0]} ], [ qw/ clientId timestamp token userId / ],
	'connected: what is told');
is($events[0]{token}, undef, 'no session, no token');
cmp_ok(abs($events[0]{timestamp} / 1000 - time()), '<', 60 * $Test::Sync::SLOW,
	'timestamp');

# rooms: told again with the same id, until it is answered for

ask($ws[0], 'joinRoom', 'a');
ask($ws[0], 'joinRoom', 'b');
ask($ws[0], 'joinRoom', 'a');

@events = told('joined', 2);
is_deeply([ map { $_->{room} } @events ], [ 'a', 'b' ],
	'joined: once, in order');
is($events[0]{clientId}, $ids[0], 'joined: who');

my @again;

$t->wait_for(sub {
	my %tries;
	push @{$tries{$_->{json}{id}}}, $_->{json} for grep {
		$_->{json}{event} eq 'joined' } $hook->requests;
	@again = map { @$_ > 2 ? @$_ : () } values %tries;
	return @again;
});

is_deeply([ map { [ $_->{seq}, $_->{events}[0] ] } @again ],
	[ ([ 1, $events[0] ]) x 3 ], 'told again: the same batch');

ask($ws[0], 'leaveRoom', 'a');
ask($ws[0], 'leaveRoom', 'nowhere');
ask($ws[0], 'leaveRoom', 'b');
is_deeply([ map { $_->{room} } told('left', 2) ], [ 'a', 'b' ],
	'left: rooms it was in');

# whoever made it happen

my $r = $t->http('POST', '/control/join',
	json => { room => 'c', clientId => $ids[1] })->json;
is($r->{status}, 'success', 'joined by control');
is((told('joined', 3))[2]{room}, 'c', 'joined by control: told');

my $es = $t->sse('/events?channels=x:1,x:2');
$es->recv;
is_deeply([ sort map { $_->{room} } (told('joined', 5))[3, 4] ],
	[ 'x:1', 'x:2' ], 'channels');
told('connected', 4);

# who goes has not left

ask($ws[2], 'joinRoom', 'd');
$ws[2]->disconnect;
@events = told('disconnect', 1);
is_deeply($events[0]{rooms}, [ 'd' ], 'disconnect: its rooms');
is(scalar told('left', 2), 2, 'disconnect: nothing left');

# each event of a worker once, numbered without a hole

for my $event (qw/ connected joined /) {
	my %seq;

	for my $b (grep { $_->{event} eq $event }
		map { $_->{json} } $hook->requests)
	{
		my $n = $b->{seq};
		$seq{$b->{worker}}{$n++} = 1 for @{$b->{events}};
	}

	is((grep { my $n = keys %$_; join(',', sort { $a <=> $b } keys %$_)
		ne join(',', 1 .. $n) } values %seq), 0, "$event: numbers");
}

# an app that is not there holds nobody up, and what is lost is counted

my $ws = $t->ws('/down');
my $start = time();
ask($ws, 'joinRoom', "room$_") for 1 .. 100;
cmp_ok(time() - $start, '<', 5 * $Test::Sync::SLOW, 'nobody waits');

ok($t->wait_for(sub {
	return $t->http('GET', '/status')->json->{counters}{notifyDropped} >= 64;
}, 20), 'dropped after five tries');
ok($t->wait_log(qr/hook "\/_down" failed 5 times, 64 events dropped/),
	'logged');

# the last ones are told by a worker that goes

my $before = told('disconnect', 1);
$ws[0]->disconnect;
$t->quit;
cmp_ok(scalar told('disconnect', 2), '>', $before, 'told before the end');

# All events of that name that were told so far, each once, in the order of
# their workers; waits until there are n.

sub told {
	my ($event, $n) = @_;

	my @all;

	$t->wait_for(sub {
		my %seen;
		@all = ();

		for (grep { $_->{json}{event} eq $event } $hook->requests) {
			my $b = $_->{json};
			next if $seen{"$b->{worker} $b->{seq}"}++;
			push @all, @{$b->{events}};
		}

		return @all >= $n;
	}, 10);

	return @all;
}

sub ask {
	my ($ws, $event, $room) = @_;

	my $n = ++$i;
	$ws->send_json([ $event, { group => $room, responseIndex => $n } ]);
	return $ws->recv_event("$event-$n");
}
