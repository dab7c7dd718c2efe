#!/usr/bin/perl

# Copyright (C) sync for nginx

# 500 clients listen while 100 messages a second are published; nginx is
# reloaded twice and a worker is killed.  A client hears every message of its
# room for as long as it is connected.  Those that a reload lets go get 1012,
# spread over sync_drain, and come back; only those of the killed worker lose
# their connection without a word.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use POSIX ();
use Time::HiRes qw/ time sleep /;

use Test::More;
use Test::Sync;
use Test::Sync::WS;

my $CLIENTS = 500;
my $ROOMS = 10;
my $DRAIN = 4;

my $t = Test::Sync->new->plan(16);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
    worker_connections 2048;
}

http {
    %%HTTP%%

    sync_zone zone=sync:16m;
    sync_drain 4s;

    server {
        listen 127.0.0.1:%%PORT_0%% reuseport;

        location /ws      { sync websocket; }
        location /control { sync control; }
        location /status  { sync status; }
    }
}
EOF

$t->run;

my (%room, %heard, %ready, %closed, %ended, @all);

$SIG{CHLD} = 'DEFAULT';

add_client($_ % $ROOMS) for 0 .. $CLIENTS - 1;
pump(60, sub { keys %ready == $CLIENTS });
is(keys %ready, $CLIENTS, 'all listen');

my $publisher = publish();

pump(1, sub { 0 });

for my $round (1, 2) {
	my @before = live();
	my %code;

	my $start = time();
	$t->reload;

	pump($DRAIN + 30, sub { !grep { !$closed{fd($_)} } @before });

	$code{$closed{fd($_)}{code} // 'none'}++ for grep { $closed{fd($_)} }
		@before;
	is_deeply(\%code, { 1012 => scalar @before },
		"reload $round: all were told to come back");

	cmp_ok(time() - $start, '>', $DRAIN * 0.7, "reload $round: in its time");

	pump(30, sub { live() == $CLIENTS
		&& !grep { !$ready{fd($_)} } live() });
	is(scalar live(), $CLIENTS, "reload $round: all are back");
}

my @before = live();
$t->kill_worker(0);

# till its slot is reaped, and all clients of now are known

pump(30, sub {
	my $s = $t->http('GET', '/status')->json;
	return $s->{counters}{reaped} && $s->{clients} == $CLIENTS
		&& live() == $CLIENTS && !grep { !$ready{fd($_)} } live();
});

my @lost = grep { $closed{fd($_)} } @before;
cmp_ok(scalar @lost, '>', 0, 'killed: its clients lost their connection');
is(scalar(grep { $closed{fd($_)}{code} != 1006 } @lost), 0,
	'killed: without a word');
cmp_ok(scalar @lost, $t->worker_processes > 1 ? '<' : '<=', $CLIENTS,
	'killed: no others did');
is(scalar live(), $CLIENTS, 'killed: all are back');

pump(1, sub { 0 });

kill 'TERM', $publisher;
waitpid $publisher, 0;

# the last message of each room

$t->http('POST', '/control/publish', json => { room => "room$_",
	event => 'end' }) for 0 .. $ROOMS - 1;
pump(30, sub { !grep { !$ended{fd($_)} } live() });

my %published = map { split ' ' } split /\n/, $t->read_file('published');
my @drained = split ' ', $t->read_file('drained');
cmp_ok(scalar(grep { $published{$_} eq 'ok' } keys %published), '>', 500,
	'messages published');

# how many goodbyes were said, as seen ten times a second

for my $round (1, 2) {
	my %seen = map { $_ => 1 } grep { $_ > ($round - 1) * $CLIENTS
		&& $_ < $round * $CLIENTS } @drained;

	cmp_ok(scalar keys %seen, '>', 4, "reload $round: spread");
}

# what each connection heard is all of its room from its first to its last

my ($gaps, $foreign, $deaf) = (0, 0, 0);

for my $ws (@all) {
	my $list = $heard{fd($ws)} || [];
	my $room = $room{fd($ws)};

	$deaf++ unless @$list;
	$foreign += grep { $_ % $ROOMS != $room } @$list;

	for my $i (1 .. $#$list) {
		my $n = $list->[$i - 1] + $ROOMS;
		$n += $ROOMS while $n < $list->[$i]
			&& ($published{$n} // '') ne 'ok';
		$gaps++ if $n != $list->[$i];
	}
}

is($gaps, 0, 'nothing missed, doubled or out of order');
is($foreign + $deaf, 0, 'all heard their room and no other');

$_->disconnect for live();

# The key of a connection: descriptors are used again.

sub fd { return $_[0]{serial} }

sub live { return grep { !$closed{fd($_)} } @all }

sub add_client {
	my ($room) = @_;

	my $ws = $t->ws('/ws');

	$ws->{serial} = @all;
	$room{$ws->{serial}} = $room;
	push @all, $ws;

	$ws->send_json([ joinRoom => { group => "room$room",
		responseIndex => 1 } ]);
}

# Reads from all, and puts a new client in the place of each one that closed.

sub pump {
	my ($timeout, $until) = @_;

	my $end = time() + $timeout * $Test::Sync::SLOW;

	while (1) {
		my @live = live();

		Test::Sync::WS->pump(\@live, \&hear, timeout => 0.2,
			until => sub { scalar grep { $_->eof } @live });

		for my $ws (grep { $_->eof } @live) {
			$closed{fd($ws)} = { code => $ws->close_code };
			$ws->disconnect;
			add_client($room{fd($ws)});
		}

		return if $until->() || time() > $end;
	}
}

sub hear {
	my ($ws, $text) = @_;

	if ($text =~ /^\["message",(\d+),/) {
		push @{$heard{fd($ws)}}, $1;

	} elsif ($text =~ /^\["end"/) {
		$ended{fd($ws)} = 1;

	} elsif ($text =~ /^\["joinRoom-1",\{"rooms"/) {
		$ready{fd($ws)} = 1;
	}
}

# Publishes in a process of its own, each message once; notes which ones were
# accepted and which may have been.

sub publish {
	my $pid = fork() // die "fork: $!";
	return $pid if $pid;

	my $stop = 0;
	$SIG{TERM} = sub { $stop = 1 };
	$SIG{ALRM} = 'DEFAULT';

	my $start = time();
	my $log = '';
	my $drained = '';

	for (my $n = 0; !$stop && $n < 10000; $n++) {
		my $wait = $start + $n / 100 - time();
		sleep($wait) if $wait > 0;

		my $r = eval { $t->http('POST', '/control/publish',
			json => { room => 'room' . $n % $ROOMS, data => $n }) };

		$log .= "$n " . ($r && $r->status == 200 ? 'ok' : 'unknown')
			. "\n";

		next if $n % 10;

		$r = eval { $t->http('GET', '/status')->json } or next;
		$drained .= "$r->{counters}{drained}\n";
	}

	$t->write_file('published', $log);
	$t->write_file('drained', $drained);
	POSIX::_exit(0);
}
