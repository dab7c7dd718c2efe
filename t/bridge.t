#!/usr/bin/perl

# Copyright (C) sync for nginx

# Two zones of a host side by side, after a reload that changes the size and
# while two binaries serve: what is said in one is heard in both, once and in
# order; orders reach clients of both; a worker that passes messages on and
# dies is replaced.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

###############################################################################

my $MESSAGES = 200;

my $t = Test::Sync->new(workers => ($ENV{SYNC_WORKERS} // 1) > 1 ? 4 : 2)
	->plan(32);

my $i = 0;

write_conf('8m');
$t->run;

###############################################################################

# another size

my @old = map { client("old$_") } 1 .. 4;
my ($old, $kept) = @old;
my $stream = $t->sse('/events?channels=note:1');
my $named = $t->sse('/events?channels=x&userId=u9');
$_->recv for $stream, $named;

write_conf('16m');
$t->reload;

my $new = client('new');
my $events = $t->sse('/events?channels=note:2,note:*');
$events->recv;

is(status()->{zone}{size}, 16 * 1024 * 1024, 'another zone');

# from the new one; its answer counts its own

is(publish(room => 'r', data => 'x')->{rooms}{r}{receivers}, 1, 'receivers');
is(join(' ', map { heard($_) } $new, @old), 'x x x x x', 'new to old');

publish(room => 'r', data => $_) for 1 .. $MESSAGES;
my @got = map { my $ws = $_; join ' ', map { heard($ws) } 1 .. $MESSAGES }
	$new, @old;
is_deeply(\@got, [ (join ' ', 1 .. $MESSAGES) x 5 ], 'in order');

# from the old one

ask($old, $_) for 1 .. $MESSAGES;
@got = map { my $ws = $_; join ' ', map { heard($ws) } 1 .. $MESSAGES }
	$new, @old;
is_deeply(\@got, [ (join ' ', 1 .. $MESSAGES) x 5 ], 'old to new');

# both at once: each zone has an order of its own, what one side says keeps its

for (1 .. $MESSAGES) {
	ask($old, "o$_");
	publish(room => 'r', data => "n$_");
}

for my $ws ($new, $old) {
	my @all = map { heard($ws) } 1 .. 2 * $MESSAGES;

	is(join(' ', grep { /^o/ } @all), join(' ', map { "o$_" } 1 .. $MESSAGES),
		'both at once: those of the old one');
	is(join(' ', grep { /^n/ } @all), join(' ', map { "n$_" } 1 .. $MESSAGES),
		'and of the new one');
}

heard($_) for map { ($_) x (2 * $MESSAGES) } @old[1 .. 3];
is(join('', map { $_->recv_text(0.3) // '' } $new, @old), '',
	'nothing comes back');

# large ones, patterns, all

my $large = 'l' x 300_000;
publish(room => 'r', data => $large);
is(scalar(grep { heard($_) eq $large } $new, @old), 5, 'a large one');

publish(pattern => 'note:*', data => 'p');
is(join(' ', map { $_->recv_json->{data} } $stream, $events), 'p p', 'pattern');
publish(room => 'note:1', data => 'q');
is(join(' ', map { $_->recv_json->{data} } $stream, $events), 'q q',
	'a room, and who subscribed to a pattern');
publish(all => JSON::PP::true, event => 'message', data => 'a');
is(join(' ', map { heard($_) } $new, @old), 'a a a a a', 'all');

publish(room => 'r', data => 'e', except => [ $old->{id} ]);
publish(room => 'r', data => 'f');
is(heard($old), 'f', 'except');
heard($_), heard($_) for $new, @old[1 .. 3];

# orders

is(control('join', { room => 'put', clientId => $old->{id} })->status, 200,
	'join');
ok($t->wait_for(sub {
	publish(room => 'put', data => 'j');
	my $m = $old->recv_json(0.2);
	return $m && $m->[1] eq 'j';
}), 'joined');

is(control('disconnect', { clientId => $old[3]{id} })->status, 200,
	'disconnect');
is($old[3]->wait_close, 1000, 'disconnected');

is(control('kick', { user => 'u9' })->json->{clients}, 0, 'kick a user');
ok($named->wait_eof, 'who was in the old zone');
ok(!$stream->eof, 'and no other');

my $s = status();
cmp_ok($s->{counters}{bridged}, '>', $MESSAGES, 'counted');
is($s->{counters}{bridgeLost}, 0, 'none was lost');

# workers of the new zone die: the next one takes over

for (1 .. $t->worker_processes) {
	$t->kill_worker(0);

	my $n = "k$_";

	ok($t->wait_for(sub {
		publish(room => 'r', data => $n);
		my $m = $kept->recv_json(0.2);
		return $m && $m->[1] eq $n;
	}), 'killed: another one passes on') if $_ <= 2;
}

# the old zone goes, and nothing is kept for it

$_->disconnect for @old, $stream, $named;
ok($t->wait_for(sub { !$t->leaving }), 'the old workers are gone');
my $before = status()->{counters}{bridged};
publish(room => 'r', data => 'alone');
is(status()->{counters}{bridged}, $before, 'nothing to pass on');
$_->disconnect for $new, $events;

# two binaries

$old = client('binary');
my $master = $t->upgrade;
$t->signal('WINCH', $master);
$t->wait_for(sub {
	return !grep { $_->[1] == $master && $_->[2] =~ /worker process$/ }
		$t->processes;
});

$new = client('upgraded');

ok($t->wait_for(sub {
	publish(room => 'r', data => 'b');
	my $m = $old->recv_json(0.2);
	return $m && $m->[1] eq 'b';
}), 'upgrade: new to old');

ask($old, 'c');

for my $ws ($new, $old) {
	my $last = heard($ws);
	$last = heard($ws) while $last eq 'b';
	is($last, 'c', 'upgrade: old to both');
}

$_->disconnect for $old, $new;
$t->signal('QUIT', $master);
ok($t->wait_for(sub { !kill 0, $master }), 'upgrade: the old master is gone');

###############################################################################

sub write_conf {
	my ($size) = @_;

	$t->write_conf(<<"EOC");
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:$size;
    sync_ping 1h 1h;
    sync_drain 300s;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /ws      { sync websocket; }
        location /events  { sync sse; }
        location /control { sync control; }
        location /status  { sync status; }
    }
}
EOC
}

sub client {
	my $ws = $t->ws('/ws');

	$ws->{id} = $ws->recv_json->[1]{clientId};
	$ws->send_json([ 'joinRoom', { group => 'r', responseIndex => ++$i } ]);
	$ws->recv_event("joinRoom-$i") or die "not joined\n";

	return $ws;
}

# A sync without a hook is heard by the room, whoever serves its sender.

sub ask {
	my ($ws, $text) = @_;

	$ws->send_json([ 'sync', { name => "a/$text/v1", cb => 'x', data => {},
		receiver => 'r', responseIndex => ++$i } ]);
}

# The next message, or what was asked, without what the asker is told.

sub heard {
	my ($ws) = @_;

	while (my $m = $ws->recv_json) {
		return $m->[1] if $m->[0] eq 'message';
		return $m->[1]{cb} =~ s!^sync/a/(.*)/v1$!$1!r if $m->[0] eq 'sync';
	}

	return 'nothing';
}

sub publish { return control('publish', { @_ })->json }

sub control {
	my ($op, $fields) = @_;
	return $t->http('POST', "/control/$op", json => $fields);
}

sub status { return $t->http('GET', '/status')->json }

###############################################################################
