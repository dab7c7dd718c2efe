#!/usr/bin/perl

# Copyright (C) sync for nginx

# WebSockets that take too much: messages too large, floods, peers that never
# read or never answer.  Each is bounded and counted, and nobody else suffers.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Poll qw/ POLLIN POLLOUT /;
use POSIX ();
use Test::More;
use Test::Sync;
use Test::Sync::WS;
use Time::HiRes qw/ time /;

# memory is looked at, and a sanitizer would keep what is freed

$ENV{ASAN_OPTIONS} = join ':', $ENV{ASAN_OPTIONS} // (),
	'quarantine_size_mb=0', 'thread_local_quarantine_size_kb=0';

my $t = Test::Sync->new(workers => 1)->plan(42);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:32m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_max_message 64k;

        location /ws      { sync websocket; }
        location /large   { sync websocket; sync_max_message 8m; }
        location /small   { sync websocket; sync_queue 64k; }
        location /pinged  { sync websocket; sync_ping 500ms 2s; }
        location /control { sync control; }
        location /status  { sync status; }
        location /stub    { stub_status; }
    }
}
EOF

$t->run;

my $max = 65536;

# a message that is too large is refused at its header

my $ws = opened('/ws');
$ws->send_text(padded($max));
is($ws->recv_json->[0], 'joinRoom-1', 'as large as allowed');

$ws->put(substr $ws->frame(length => $max + 1), 0, 14);
is($ws->wait_close, 1009, 'a byte more');

for my $length (65537, 2 ** 31, 2 ** 32, 2 ** 62) {
	$ws = opened('/ws');
	$ws->put(substr $ws->frame(bits => 64, length => $length), 0, 14);
	is($ws->wait_close, 1009, "announced $length bytes");
}

$ws = opened('/ws');
$ws->send_frame(fin => 0, payload => '["');
$ws->send_frame(opcode => 0, fin => 0, payload => 'x' x ($max - 2));
$ws->send_ping('still');
is($ws->recv_frame->{payload}, 'still', 'fragments as large as allowed');
$ws->send_frame(opcode => 0, payload => 'x');
is($ws->wait_close, 1009, 'a fragment too many');

$ws = opened('/ws');
$ws->send_frame(fin => 0, payload => 'x' x $max);
$ws->send_frame(opcode => 0, fin => 0) for 1 .. 1000;
$ws->send_ping('still');
is($ws->recv_frame->{payload}, 'still', 'empty fragments add nothing');
$ws->put(substr $ws->frame(opcode => 0, length => 2 ** 40, bits => 64), 0, 14);
is($ws->wait_close, 1009, 'the sum does not wrap');

# what is announced takes no memory before it comes

my @many = $t->ws_many(100, '/large');
$_->recv_json for @many;
my $before = memory();

for $ws (@many) {
	$ws->put($ws->frame(bits => 64, length => 8000000, payload => '["'));
}

answers('/ws', 'while large messages are announced');
cmp_ok(memory() - $before, '<', 4000, 'memory for what came, kB');
$_->disconnect for @many;

# floods: of messages, of pings, of bytes; another client is served meanwhile

my $other = opened('/ws');

flood('messages', sub { $_[0]->frame(payload => '["x"]') });
flood('pings', sub { $_[0]->frame(opcode => 9, payload => 'p') });
flood('pongs', sub { $_[0]->frame(opcode => 10, payload => 'p') });
flood('empty fragments', sub { $_[0]->frame(opcode => 0, fin => 0) }, 1);

# a peer that sends pings and reads no pongs: the last is answered, and some of
# the others; what waits does not grow

$ws = $t->ws('/ws', rcvbuf => 4096);
$ws->recv_json;
$before = memory();

my $pings = join '', map { $ws->frame(opcode => 9, payload => 'x' x 125) }
	1 .. 500;
my $most = 0;

for (1 .. 60) {
	$ws->put($pings) or last;
	my $queued = queued();
	$most = $queued if $queued > $most;
}

cmp_ok($most, '<', 1024, 'bytes of pongs that wait');
cmp_ok(memory() - $before, '<', 2000, 'memory while pings come, kB');
$ws->send_ping('the last');

my ($pongs, $last) = (0, '');

while (my $f = $ws->recv_frame) {
	$pongs++;
	$last = $f->{payload};
	last if $last eq 'the last';
}

is($last, 'the last', 'the last ping is answered');
cmp_ok($pongs, '<', 30001, 'not more pongs than pings');
$ws->send_text('["joinRoom",{"group":"g","responseIndex":1}]');
is($ws->recv_json->[0], 'joinRoom-1', 'and it may go on');

# a peer that never reads is closed when its queue is full, and no other is

my ($slow, $fast) = map { $t->ws('/small', rcvbuf => $_) } 4096, 0;

for ($slow, $fast) {
	$_->recv_json;
	$_->send_text('["joinRoom",{"group":"big","responseIndex":1}]');
	$_->recv_event('joinRoom-1');
}

my $data = 'x' x 30000;
my $n = 0;

my $closed = $t->wait_for(sub {
	$t->http('POST', '/control/publish', json => { room => 'big',
		event => 'message', data => ++$n . $data });
	return 0 unless $fast->recv_json->[1] eq $n . $data;
	return count('slow');
}, 60);

is($closed, 1, 'slow client is counted');
cmp_ok(queued(), '<', 65536 + 60000, 'and its queue was bounded');
my $active = active();
ok($t->wait_for(sub { active() == $active - 1 }), 'and it is let go');
is($fast->recv_json(0.1), undef, 'the fast one has had all');
$slow->disconnect;

# so is one with many small messages that were answered

$ws = $t->ws('/small', rcvbuf => 4096);
$ws->recv_json;
my $ask = join '', map { $ws->frame(payload => '["getJoinedRooms",'
	. '{"responseIndex":1}]') } 1 .. 1000;
my $end = time() + 30 * $Test::Sync::SLOW;
1 while time() < $end && $ws->put($ask) && count('slow') < 2;
is(count('slow'), 2, 'a peer that asks and does not read');
$ws->disconnect;

# pings of ours: who answers stays, who sends anything stays, who is silent
# goes, in time

my ($good, $busy, $silent) = map { $t->ws('/pinged', auto_pong => $_) } 1, 0, 0;
$_->recv_json for $good, $busy, $silent;

my $start = time();
my ($gone, $ended);

while (time() - $start < 20 * $Test::Sync::SLOW
	&& (!$gone || $good->pings < 4))
{
	$good->recv_text(0.05);
	$busy->recv_text(0.05);
	$busy->send_text('["getJoinedRooms",{"responseIndex":1}]');
	next if $gone;
	$silent->recv_text(0.05);
	$gone = $silent->close_code and $ended = time() - $start;
}

is($gone, 1011, 'silent client is closed');
cmp_ok($ended, '>=', 2.4, 'after a ping and the time to answer it');
cmp_ok($ended, '<', 10 * $Test::Sync::SLOW, 'but not much later');
is($silent->close_reason, 'ping timeout', 'with the reason');
is($silent->pings, 1, 'after one ping');
is(count('timeouts'), 1, 'counted');
is($good->close_code, undef, 'the one that answered stays');
is($busy->close_code, undef, 'the one that sent anything stays');
cmp_ok($good->pings, '>=', 4, 'pings go on');
$_->disconnect for $good, $busy, $silent;

# a byte now and then is life, but no message

$ws = $t->ws('/pinged', auto_pong => 0);
$ws->recv_json;
my @bytes = split //, $ws->frame(payload => '["joinRoom",{"group":"g",'
	. '"responseIndex":1}]');
$start = time();

for my $byte (@bytes) {
	$ws->put($byte);
	$ws->fill(time() + 3 / @bytes);
}

cmp_ok(time() - $start, '>', 2.6, 'a slow message');
ok($ws->recv_event('joinRoom-1'), 'is a message all the same');
$ws->disconnect;

is(status()->{worker}{queuedBytes}, 0, 'nothing is queued');


sub opened {
	my ($uri) = @_;
	my $ws = $t->ws($uri);
	$ws->recv_json;
	return $ws;
}

# A request that is n bytes long.

sub padded {
	my ($n) = @_;
	my ($head, $tail) = ('["joinRoom",{"group":"g","pad":"',
		'","responseIndex":1}]');
	return $head . 'x' x ($n - length $head . $tail) . $tail;
}

sub answers {
	my ($uri, $name) = @_;
	my $ws = opened($uri);
	$ws->send_text('["getJoinedRooms",{"responseIndex":9}]');
	ok($ws->recv_event('getJoinedRooms-9'), $name);
}

# Frames without end until the other client has been answered five times, its
# worst time being looked at; the flood is then still on.

sub flood {
	my ($name, $frame, $message) = @_;

	my $ws = opened('/ws');
	$ws->send_frame(fin => 0) if $message;

	my $bytes = join '', map { $frame->($ws) } 1 .. 20000;
	my $pid = fork // die "fork: $!\n";

	if (!$pid) {
		$SIG{ALRM} = 'DEFAULT';
		alarm(60 * $Test::Sync::SLOW);

		# what is said to it is read: it is a flood and no slow client

		my $poll = IO::Poll->new;
		$poll->mask($ws->sock => POLLIN | POLLOUT);

		for (my $at = 0; !$ws->eof; $at %= length $bytes) {
			$poll->poll;
			$ws->{in} = '' while $ws->fill(0);
			$at += syswrite($ws->sock, $bytes, 65536, $at) // 0;
		}

		POSIX::_exit(0);
	}

	my $worst = 0;

	for (1 .. 5) {
		my $start = time();
		$other->send_text('["getJoinedRooms",{"responseIndex":9}]');
		$other->recv_event('getJoinedRooms-9', 10) or $worst = 99;
		$worst = time() - $start if time() - $start > $worst;
		select undef, undef, undef, 0.05;
	}

	cmp_ok($worst, '<', 5 * $Test::Sync::SLOW, "other client, flood of $name");

	is(waitpid($pid, POSIX::WNOHANG()), 0, "flood of $name is still on");
	kill 'KILL', $pid;
	waitpid $pid, 0;
	$ws->reset;
}

sub status { return $t->http('GET', '/status')->json }
sub count { return status()->{counters}{$_[0]} }
sub queued { return status()->{worker}{queuedBytes} }

sub active {
	my ($n) = $t->http('GET', '/stub')->body =~ /^Active connections: (\d+)/;
	return $n;
}

# Resident memory of the worker, kB.

sub memory {
	my ($pid) = $t->workers;
	open my $f, '<', "/proc/$pid/status" or die "no worker: $!\n";
	my ($rss) = map { /^VmRSS:\s+(\d+)/ } <$f>;
	return $rss;
}
