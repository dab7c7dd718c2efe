#!/usr/bin/perl

# Copyright (C) sync for nginx

# Sessions that outlive workers: through reloads while they poll, and not
# through the death of the worker that held them; handshakes that were
# abandoned, and what they leave.

use warnings;
use strict;

use FindBin;
use Test::More;
use Time::HiRes qw/ time /;

use lib "$FindBin::Bin/lib";
use Test::Sync;

my $clients = 20;
my $abandoned = 10000;

my $t = Test::Sync->new->plan(16);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
    worker_connections 2048;
}

http {
    %%HTTP%%

    sync_zone zone=sync:16m;
    sync_drain 30s;

    keepalive_requests 100000;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /socket.io/ { sync socketio; }

        location /short/ {
            sync socketio;
            sync_ping 1s 500ms;
        }

        location /control/ { sync control; }
        location /status { sync status; }
    }
}
EOF

$t->run;

my @all = map { $t->eio } 1 .. $clients;

for my $s (@all) {
	$s->{id} = $s->connect;
	$s->event('joinRoom', { group => 'r', responseIndex => 1 });
	$s->recv;
}

# messages go on while workers are replaced twice

my (%heard, $n);

for my $round (1 .. 2) {
	my %old = map { $_ => 1 } $t->workers;

	say($n++) for 1 .. 5;

	my @polls = map { $_->poll } @all;

	$t->reload;
	say($n++) for 1 .. 5;

	for my $i (0 .. $#all) {
		hear($i, $all[$i]->answer($polls[$i]));
	}

	ok($t->wait_for(sub {
		hear($_, $all[$_]->answer($all[$_]->poll)) for grep {
			@{$heard{$_}} < $n } 0 .. $#all;
		return !grep { @{$heard{$_}} < $n } 0 .. $#all;
	}), 'all were heard');

	ok($t->wait_for(sub { return !grep { $old{$_} }
		map { $_->[0] } $t->processes }), 'the old workers are gone');
}

my $order = join ' ', 0 .. $n - 1;
is(scalar(grep { "@{$heard{$_}}" ne $order } 0 .. $#all), 0,
	'once and in order');

$_->event('getJoinedRooms', { responseIndex => 9 }) for @all;
is(scalar(grep { $_->recv !~ /"rooms":\["r"\]/ } @all), 0,
	'all are still in their room');
is(status()->{clients}, $clients, 'clients');
is(status()->{sessions}, $clients, 'sessions');

# a worker dies: its sessions end, others live

my @polls = map { $_->poll } @all;

# the oldest one each time

$t->kill_worker(0) for 1 .. $t->worker_processes;

ok($t->wait_for(sub { return status()->{sessions} == 0 }),
	'sessions are reaped');
ok($t->wait_for(sub { return status()->{clients} == 0 }), 'clients too');
ok($t->wait_for(sub { return status()->{rooms} == 0 }), 'and the room');
is($all[0]->post('3')->json->{code}, 1, 'the session is unknown');

my $s = $t->eio;
ok($s->connect, 'a new one connects');
$s->post('1');
ok($t->wait_for(sub { return status()->{sessions} == 0 }), 'and goes');

# handshakes and no more

my $unused = status()->{zone}{unused};
my $peer = Test::Sync::Peer->new(port => $t->port(0));
my $request = "GET /short/?EIO=4&transport=polling HTTP/1.1\r\n"
	. "Host: localhost\r\n\r\n";

for my $batch (1 .. $abandoned / 100) {
	$peer->put($request x 100, 10);
	$peer->recv_response('GET') // last for 1 .. 100;
}

cmp_ok(status()->{counters}{connects} // 0, '>=', 0, 'status answers');
ok($t->wait_for(sub {
	return status()->{sessions} == 0 && status()->{zone}{unused} == $unused
}, 60), "$abandoned handshakes leave nothing");

sub say {
	my ($i) = @_;
	$t->http('POST', '/control/publish', json => { room => 'r',
		event => 'n', data => $i });
}

sub hear {
	my ($i, $r) = @_;

	$heard{$i} //= [];
	return unless $r && $r->status == 200;

	for my $packet (split /\x1e/, $r->body) {
		push @{$heard{$i}}, $1 if $packet =~ /^42\["n",(\d+)/;
		$all[$i]->post('3') if $packet eq '2';
	}
}

sub status { return $t->http('GET', '/status')->json }
