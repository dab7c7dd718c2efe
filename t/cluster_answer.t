#!/usr/bin/perl

# Copyright (C) sync for nginx

# A client's message to a recoverable room of a cluster is acknowledged when
# Redis has it, and not before; chunks of a hook's answer come first.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Test::Sync::Cluster;
use Time::HiRes qw/ time /;

###############################################################################

my $a = Test::Sync->new->plan(37);
my $b = Test::Sync->new;
my $redis = $a->redis(port => 2);

for my $t ($a, $b) {
	my $port = $redis->port;
	my $app = $a->port(1);

	$t->write_conf(<<"EOF");
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone  zone=sync:8m;
    sync_redis redis://127.0.0.1:$port prefix=app timeout=20s;
    sync_room  "doc:*" recoverable history=1000 ttl=1h;
    sync_drain 1s;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_receiver any;

        location /ws         { sync websocket; }
        location /mine       {
            sync websocket;
            sync_hook server /_hook/sync;
            sync_session redis key=app-session:\$sync_token;
            sync_token query:token;
        }

        location /app        { sync websocket; sync_hook server /_hook/sync; }
        location /socket.io/ { sync socketio; }
        location /sync/      { sync request; }
        location /control/   { sync control; }
        location /status     { sync status; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:$app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
EOF
}

# The app answers with the lines it is sent, in pieces of so many bytes.

my $hook = $a->hook(port => 1, answer => sub {
	my ($r) = @_;

	my $data = $r->{json}{data};
	my $out = join "\n", map { JSON::PP->new->canonical->encode($_) }
		@{$data->{lines}};
	my $n = $data->{cut} || length $out;

	return [ [ 'head', 200, 'Content-Type: application/x-ndjson' ],
		map({ [ 'chunk', $_ ] } unpack "(a$n)*", $out), [ 'end' ] ];
});

$_->run for $a, $b;
ok(linked($_), 'links') for $a, $b;

###############################################################################

my $wa = member($a, 'doc:1');
my $wb = member($b, 'doc:1');

# one that Redis keeps waiting; the volatile room does not wait

pause(60);
sync($wa, 'doc:1', 1);
sync($wa, 'room', 2);
is(ack($wa)->[0], 'sync-2', 'a volatile room waits for nothing');

sync($wa, 'room', 3);
is(ack($wa)->[0], 'sync-3', 'nothing is said meanwhile');

go_on();
my $m = ack($wa);
is($m->[0], 'sync-1', 'acknowledged when Redis has answered');
is($m->[1]{status}, 'success', 'with success');
is_deeply(names($wb, 1), [ 1 ], 'heard elsewhere');

# the order of a client's calls

sync($wa, 'doc:1', $_) for 1 .. 100;
is_deeply([ map { ack($wa)->[0] } 1 .. 100 ], [ map { "sync-$_" } 1 .. 100 ],
	'answers in order');
is_deeply(names($wb, 100), [ 1 .. 100 ], 'messages in order');

# who asked is gone, or is elsewhere: by polling, each request may be at
# another worker

pause(60);
my $gone = $a->ws('/ws');
$gone->recv_json;
sync($gone, 'doc:1', 200);
$gone->recv_event('sync-progress-200');
$gone->disconnect;

my $poll = $a->eio;
$poll->connect;
$poll->event('sync', request('doc:1', 7));
$poll->event('getJoinedRooms', { responseIndex => 8 });
my @told;
push @told, $poll->recv_event->[0] until @told && $told[-1] =~ /-8$/;
is(grep({ /^sync-7$/ } @told), 0, 'nothing is said by polling');

go_on();
my $end = $poll->recv_event;
is($end->[0], 'sync-7', 'acknowledged by polling');
is($end->[1]{status}, 'success', 'with success');
is_deeply([ sort @{names($wb, 2)} ], [ 200, 7 ], 'who asked may be gone');

# by HTTP

my $PAUSE = 0.4;
my $since = pause($PAUSE);
is(by_http()->status, 200, 'by HTTP');
ok(time() - $since >= $PAUSE, 'when Redis has answered');
names($wb, 1);

# the app's chunks, in order, before the acknowledgement

my $app = member_of($a, '/app', 'doc:1');
my $peer = member_of($a, '/app', 'doc:1');

for my $cut (0, 7) {
	sync($app, 'doc:1', 300, cut => $cut, lines => [
		map({ { broadcast => { n => $_ } } } 1 .. 100),
		{ stream => 'a' }, { broadcast => { n => 101 } }, { ping => 1 },
		{ emit => { room => 'doc:1', event => 'x', data => 102 } },
		{ stream => 'b' }, { broadcast => { n => 103 } },
		{ final => { status => 'success' } } ]);

	is_deeply(told($app), [ 1 .. 100, 'a', 101, 102, 'b', 103, 'ack' ],
		'chunks in order, acknowledged after them');
	is_deeply(told($peer), [ 1 .. 103, 'end' ], 'the same for a member');
}

# text that is gathered is out before the end

sync($app, 'doc:1', 300, lines => [ { throttle => { chars => 1000,
	everyMs => 60000 } }, map({ { broadcast => { chunk => $_ } } } 'a' .. 'e'),
	{ final => { status => 'success' } } ]);

is_deeply(told($app), [ 'abcde', 'ack' ], 'gathered chunks, too');
is_deeply(told($peer), [ 'abcde', 'end' ], 'the same for a member');

# a session that is changed is saved before the rest is acted upon

$redis->command('SET', 'app-session:t1', '{"id":"u1","token":"t1","n":1}');
my $mine = member_of($a, '/mine?token=t1', 'room');
my @change = (lines => [ { session => { merge => { n => 2 } } },
	{ stream => 's' }, { final => { status => 'success' } } ]);

pause(60);
sync($mine, 'room', 300, @change);
$mine->recv_event('sync-progress-300');
$hook->wait_requests(4);

for my $i (1 .. 3) {
	$mine->send_json([ 'getJoinedRooms', { responseIndex => $i } ]);
	@told = ();
	push @told, $mine->recv_json->[0] until @told
		&& $told[-1] eq "getJoinedRooms-$i";
	is(scalar(@told), 1, 'nothing is said before');
}

go_on();
ok((grep { $_ eq 's' } @{told($mine)}), 'then it is');
like($redis->command('GET', 'app-session:t1'), qr/"n":2/, 'it was saved');

# Redis forgets the script: what it does not have is refused, nothing overtakes
# it, and what follows goes on

$redis->command('SCRIPT', 'FLUSH');
sync($wa, 'doc:1', $_) for 400 .. 450;
my @acks = map { ack($wa) } 400 .. 450;
my @taken = map { $_->[0] =~ /(\d+)/ } grep { $_->[1]{status} eq 'success' }
	@acks;

ok($acks[0][1]{errorCode}, 'refused');

ok($a->wait_for(sub {
	sync($wa, 'doc:1', 451);
	return ack($wa)->[1]{status} eq 'success';
}), 'it knows it again');

my @there = names($wb, 1)->[0];
push @there, names($wb, 1)->[0] while ($there[-1] // 451) != 451;
is_deeply([ grep { $_ >= 400 } @there ], [ @taken, 451 ], 'in order');

# Redis goes while somebody waits

pause(60);
sync($wa, 'doc:1', 201);
$wa->recv_event('sync-progress-201');
sync($app, 'doc:1', 300, lines => [ { broadcast => { n => 1 } },
	{ final => { status => 'success' } } ]);
$app->recv_event('sync-progress-300');
sync($mine, 'room', 301, @change);
$mine->recv_event('sync-progress-301');
$hook->wait_requests(6);

$redis->kill;

$m = ack($wa);
is($m->[1]{errorCode}, 'broker.unavailable', 'refused, if it goes meanwhile');
is(ack($app)->[1]{errorCode}, 'broker.unavailable', 'so is a chunk');
$m = ack($mine);
is($m->[1]{errorCode}, 'sync.invalidServerResponse', 'and a session');
is($m->[1]{errorParams}[0]{value}, 'session', 'which was not saved');

sync($wa, 'doc:1', 202);
is(ack($wa)->[1]{errorCode}, 'broker.unavailable', 'and while it is away');
is(by_http()->status, 503, 'by HTTP as well');

$redis->start;
ok(linked($_), 'it is back') for $a, $b;

###############################################################################

# For so many seconds, at least, nothing is written; returns since when.

sub pause {
	my ($s) = @_;

	my $since = time();
	$redis->command('CLIENT', 'PAUSE', 1000 * $s, 'WRITE');

	return $since;
}

sub go_on { $redis->command('CLIENT', 'UNPAUSE') }

sub request {
	my ($room, $n, %data) = @_;

	return { name => "a/n$n/v1", cb => 'x', data => \%data,
		receiver => $room, responseIndex => $n };
}

sub sync {
	my ($ws, @rest) = @_;
	$ws->send_json([ 'sync', request(@rest) ]);
}

sub by_http {
	return $a->http('POST', '/sync/a/nweb/v1', json => { data => {},
		receiver => 'doc:1' });
}

sub member_of {
	my ($t, $uri, $room) = @_;

	my $ws = $t->ws($uri);
	$ws->recv_json;
	$ws->send_json([ 'joinRoom', { group => $room, responseIndex => 1 } ]);
	$ws->recv_event('joinRoom-1');

	return $ws;
}

# The next answer to a sync.

sub ack {
	my ($ws) = @_;

	while (my $m = $ws->recv_json) {
		return $m if $m->[0] =~ /^sync-(?!progress)/;
	}
}

# Names in the next n messages.

sub names {
	my ($ws, $n) = @_;

	my @names;

	while (@names < $n) {
		my $m = $ws->recv_json(5) or last;
		push @names, $1 if $m->[0] eq 'sync' && $m->[1]{cb} =~ m!/n(\w+)/v1$!;
	}

	return \@names;
}

# Everything up to both the acknowledgement and the message, which may come in
# any order; a member hears the message alone.

sub told {
	my ($ws) = @_;

	my (@told, $end, $ack);

	until ($end && ($ack || $ws == $peer)) {
		my $m = $ws->recv_json(5) or last;
		my ($event, $data) = @$m;

		next if ref $data && $data->{__cancelId};

		if ($event eq 'sync' && $data->{status} eq 'success') {
			push @told, 'end' if $ws == $peer;
			$end = 1;

		} elsif ($event eq 'sync') {
			push @told, $data->{n} // $data->{chunk};

		} elsif ($event eq 'sync-300') {
			push @told, 'ack';
			$ack = 1;

		} else {
			push @told, $data;
		}
	}

	return \@told;
}

###############################################################################
