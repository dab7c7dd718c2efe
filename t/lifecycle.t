#!/usr/bin/perl

# Copyright (C) sync for nginx

# Stop, upgrade of the binary, a changed number of workers, a changed zone, a
# worker that stands still: what clients are told, what goes on, and that
# nothing is left behind.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Time::HiRes qw/ time /;

use Test::More;
use Test::Sync;

my $t = Test::Sync->new->plan(30);
my $size = '8m';

write_conf();
$t->run;

my $i = 0;

# more workers, fewer workers: what is published by new ones reaches old ones

for my $workers (4, 8, 2) {
	my @old = map { client('r') } 1 .. 8;

	write_conf($workers);
	$t->reload(workers => $workers);
	my $start = time();

	my @new = map { client('r') } 1 .. 8;

	# some of the old ones may have left by now

	my $receivers = publish('r', $workers);
	my $heard = grep { my $m = $_->recv_event('message');
		$m && $m->[1] == $workers } @new, @old;
	is($heard, $receivers, "$workers workers: heard by its receivers");
	cmp_ok($heard, '>', 8, "$workers workers: of both generations");

	my %code;
	$code{$_->wait_close // 'none'}++ for @old;
	is_deeply(\%code, { 1012 => 8 }, "$workers workers: the old ones left");
	cmp_ok(time() - $start, '<', 20 * $Test::Sync::SLOW,
		"$workers workers: in time");

	$_->disconnect for @old, @new;
	ok($t->wait_for(sub { !$t->leaving }),
		"$workers workers: old processes are gone");
}

# event streams end in good order

my $es = $t->sse('/events?channels=r');
$es->recv_json;
$t->reload;
ok($t->wait_for(sub { $es->recv(0.1); $es->complete }), 'stream ended');
cmp_ok($es->retry, '>=', 1000, 'and says when to come back');
$es->disconnect;

# a worker that stands still holds nobody up, and hears the rest when it goes on

write_conf(2);
$t->reload(workers => 2);

my @ws = map { client('r') } 1 .. 8;
my ($stopped) = grep { $_->{clients} } @{status()->{workers}};

# a connection to another worker, as the stopped one accepts some, too

my $peer;

do {
	$peer = Test::Sync::Peer->new(port => $t->port(0));
	$peer->put("GET /status HTTP/1.1\r\nHost: localhost\r\n\r\n");
} while ($peer->recv_response('GET')->json->{worker}{pid} == $stopped->{pid});

kill 'STOP', $stopped->{pid};

my $published = 0;

for (0 .. 199) {
	my $body = qq({"room":"r","data":$_});
	$peer->put("POST /control/publish HTTP/1.1\r\nHost: localhost\r\n"
		. "Content-Type: application/json\r\nContent-Length: "
		. length($body) . "\r\n\r\n$body");
	$published++ if $peer->recv_response('POST')
		->json->{rooms}{r}{receivers} == 8;
}

is($published, 200, 'published past a stopped worker');

kill 'CONT', $stopped->{pid};

my $all = grep { my $ws = $_;
	!grep { my $m = $ws->recv_event('message'); !$m || $m->[1] != $_ }
	0 .. 199 } @ws;
is($all, 8, 'all heard all of it, in order');
$_->disconnect for @ws;

# another size: the old zone lives as long as its clients

write_conf(2, '16m');
my $old = client('r');
$t->reload;
my $new = client('r');
is(status()->{zone}{size}, 16 * 1024 * 1024, 'another zone');
is(publish('r', 'x'), 1, 'its members');
is(($new->recv_event('message') || [])->[1], 'x', 'heard');
is($old->wait_close, 1012, 'the old client was told to come back');
$_->disconnect for $old, $new;
ok($t->wait_for(sub { !$t->leaving }), 'old processes are gone');

# another binary: both serve until the old one is told to go

$old = client('r');
my $pid = $t->upgrade;
$t->signal('WINCH', $pid);

my $code = $old->wait_close;
ok($code && ($code == 1012 || $code == 1001), 'upgrade: the old client left');
$old->disconnect;

# the old workers accept no more

$t->wait_for(sub {
	return !grep { $_->[1] == $pid && $_->[2] =~ /worker/ } $t->processes;
});

$new = client('r');
is(publish('r', 'y'), 1, 'upgrade: members');
is(($new->recv_event('message') || [])->[1], 'y', 'upgrade: heard');
$t->signal('QUIT', $pid);
ok($t->wait_for(sub { !kill 0, $pid }), 'upgrade: the old master is gone');

# the end

@ws = (map({ client('r') } 1 .. 6), $new);
my $start = time();
$t->signal('QUIT');
my %code;
$code{$_->wait_close // 'none'}++ for @ws;
is_deeply(\%code, { 1001 => 7 }, 'stop: going away');
cmp_ok(time() - $start, '>', 0.5, 'stop: spread');
$_->disconnect for @ws;

$t->wait_for(sub { !defined $t->master });

sub write_conf {
	my ($workers, $zone) = @_;

	$size = $zone if $zone;
	$t->{workers} = $workers if $workers;

	$t->write_conf(<<"EOF");
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:$size;
    sync_drain 2s;

    server {
        listen 127.0.0.1:%%PORT_0%% reuseport;

        location /ws      { sync websocket; }
        location /events  { sync sse; }
        location /control { sync control; }
        location /status  { sync status; }
    }
}
EOF
}

sub client {
	my ($room) = @_;

	my $ws = $t->ws('/ws');
	my $n = ++$i;

	$ws->send_json([ 'joinRoom', { group => $room, responseIndex => $n } ]);
	$ws->recv_event("joinRoom-$n") or die "not joined\n";

	return $ws;
}

sub publish {
	my ($room, $data) = @_;
	return $t->http('POST', '/control/publish',
		json => { room => $room, data => $data })
		->json->{rooms}{$room}{receivers};
}

sub status { return $t->http('GET', '/status')->json }
