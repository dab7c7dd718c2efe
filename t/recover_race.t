#!/usr/bin/perl

# Copyright (C) sync for nginx

# Joins while there is a storm of messages, by all dialects: between what a
# client reads of the past and what it hears from then on nothing is missing,
# nothing comes twice, nothing out of order, and nobody is told that it
# recovered when it did not.  Who is so slow that its messages go from the room
# before they are read for it is told of that gap, and where it ends.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX qw/ _exit /;
use Test::More;
use Test::Sync;
use Time::HiRes qw/ time /;

my $t = Test::Sync->new->plan(9);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;

    sync_room "doc:*" recoverable history=400 queue=drop;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        keepalive_requests 1000000;

        location /ws         { sync websocket; }
        location /events     { sync sse; }
        location /socket.io/ { sync socketio; }
        location /control    { sync control; }
        location /status     { sync status; }
    }
}
EOF

$t->run;

my $i = 0;
my (%joins, %reasons, @wrong);
my $gaps = 0;

# messages without a pause, several a turn, by two publishers

my @pids = map { storm($_) } 1, 2;

# where clients of each dialect were when they left

my %at = (ws => '', sse => '', sio => '');
my $end = time() + 5 * $Test::Sync::SLOW;

for (my $n = 0; time() < $end; $n++) {
	my $kind = (qw/ ws sse sio /)[$n % 3];

	# now and then one that has nothing to hand back, or too old a position

	my $pos = $n % 7 == 5 ? '' : $at{$kind};

	my $r = { ws => \&by_ws, sse => \&by_sse, sio => \&by_sio }->{$kind}
		->($pos);

	check($kind, $pos, $r);
	$joins{$kind}++;
	$at{$kind} = $r->{messages}[-1] =~ s/^gap //r
		if @{$r->{messages}} && $n % 5 != 4;
}

kill 'KILL', @pids;
waitpid $_, 0 for @pids;

cmp_ok($joins{$_}, '>', 5, "joins by $_: $joins{$_}") for qw/ ws sse sio /;
is(join("\n", @wrong), '', 'no gap, none twice, all in order');
diag("gaps: $gaps") if $gaps;
cmp_ok($reasons{recovered}, '>', 5, "recovered: $reasons{recovered}");
cmp_ok($reasons{new}, '>', 0, "new: $reasons{new}");
is(join(' ', grep { !/^(?:recovered|new|trimmed)$/ } keys %reasons), '',
	'nothing else was told');

# who is too far back is told

my $old = by_ws('0/1.00000000', 0);
isnt($old->{reason} // 'recovered', 'recovered', 'too far back');
is($t->http('GET', '/status')->json->{counters}{resets}, 0, 'no resets');

sub storm {
	my ($n) = @_;

	my $pid = fork() // die "fork: $!\n";
	return $pid if $pid;

	my $s = IO::Socket::INET->new(PeerAddr => '127.0.0.1:' . $t->port(0))
		or _exit(1);
	my $body = qq({"room":"doc:1","data":$n});
	my $request = "POST /control/publish HTTP/1.1\r\nHost: localhost\r\n"
		. "Content-Type: application/json\r\nContent-Length: "
		. length($body) . "\r\n\r\n$body";

	while (1) {
		syswrite($s, $request x 4) or _exit(1);

		# four answers

		my $got = '';

		while ((() = $got =~ /"position":"[^"]+"/g) < 4) {
			sysread($s, $got, 65536, length $got) or _exit(1);
		}

		select undef, undef, undef, 0.004;
	}
}

# Each joins after a position, reads some messages, and goes.

sub by_ws {
	my ($pos, $count) = @_;

	my $ws = $t->ws('/ws');
	$ws->recv_event('connected');

	my $n = ++$i;
	$ws->send_json([ 'joinRoom', { group => 'doc:1', responseIndex => $n,
		length $pos ? (pos => $pos) : () } ]);

	my $r = $ws->recv_event("joinRoom-$n")->[1];

	$r->{messages} = [ map { $_->[0] eq 'gap' ? gap($_->[1]) : $_->[2]{pos} }
		grep { defined } map { $ws->recv_event(qr/^(?:message|gap)$/) }
		1 .. ($count // 40) ];

	$ws->disconnect;

	return $r;
}

sub by_sse {
	my ($pos) = @_;

	my $es = $t->sse('/events?channels=doc:1',
		length $pos ? (last_event_id => $pos) : ());
	my $r = JSON::PP::decode_json($es->recv->{data})->{recovery}{'doc:1'};

	$r->{messages} = [ map { ($_->{event} // '') eq 'gap'
			? gap(JSON::PP::decode_json($_->{data})) : $_->{id} }
		grep { defined } map { $es->recv } 1 .. 40 ];

	$es->disconnect;

	return $r;
}

sub by_sio {
	my ($pos) = @_;

	my $s = $t->eio('/socket.io/');
	$s->connect;

	my $n = ++$i;
	$s->event('joinRoom', { group => 'doc:1', responseIndex => $n,
		length $pos ? (pos => $pos) : () });

	my ($r, @messages);

	while (@messages < 40) {
		my $e = $s->recv_event or last;

		if ($e->[0] eq "joinRoom-$n") {
			$r = $e->[1];

		} elsif ($e->[0] eq 'message') {
			push @wrong, 'sio: a message before the answer' unless $r;
			push @wrong, 'sio: the offset is another one'
				unless $e->[3] eq $e->[2]{pos};
			push @messages, $e->[2]{pos};

		} elsif ($e->[0] eq 'gap') {
			push @messages, gap($e->[1]);
		}
	}

	$r->{messages} = \@messages;

	return $r;
}

# A gap that opened while it was read for the client, as an entry of its own.

sub gap {
	my ($gap) = @_;

	push @wrong, "a gap: $gap->{reason}" if $gap->{reason} ne 'trimmed';

	return "gap $gap->{pos}";
}

sub check {
	my ($kind, $pos, $r) = @_;

	my $reason = $r->{recovered} ? 'recovered' : $r->{reason};
	$reasons{$reason}++;

	# recovered: from what was handed back; else from what the answer says

	my $last = lsn($r->{recovered} ? $pos : $r->{pos});

	push @wrong, "$kind: recovered without a position"
		if $r->{recovered} && $pos eq '';
	push @wrong, "$kind: heard nothing" unless @{$r->{messages}};

	for my $p (@{$r->{messages}}) {
		my $lsn = lsn($p =~ s/^gap //r);

		if ($p =~ /^gap/) {
			$gaps++;
			push @wrong, "$kind: a gap up to $lsn after $last"
				if $lsn <= $last;
			$last = $lsn;
			next;
		}

		push @wrong, "$kind, $reason: $lsn after $last"
			if $lsn != $last + 1;

		$last = $lsn;
	}
}

sub lsn {
	my ($pos) = @_;
	return $pos =~ m!^0/([0-9A-F]+)\.[0-9a-f]{8}$! ? hex $1 : -1;
}
