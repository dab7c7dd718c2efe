#!/usr/bin/perl

# Copyright (C) sync for nginx

# Who leaves takes back what it asked for, though its session went to another
# connection or worker meanwhile: by an upgrade, or as its worker was replaced.
# The app is told, or its connection closed.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Socket qw/ sockaddr_in /;
use Test::More;
use Test::Sync;

my @ways = qw/ shut close disconnect kick silence /;

my $t = Test::Sync->new(workers => ($ENV{SYNC_WORKERS} // 1) > 1 ? 4 : 2)
	->plan(@ways * 3 + 11);

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

        sync_receiver any;

        sync_hook cancel /_hook/cancel;

        location /socket.io/ {
            sync socketio;
            sync_hook server /_hook/sync;
            sync_hook api    /_hook/api;
        }

        location /closes/ {
            sync socketio;
            sync_hook server /_hook/sync cancel=close;
            sync_hook api    /_hook/api cancel=close;
        }

        location /short/ {
            sync socketio;
            sync_ping 500ms 500ms;
            sync_hook server /_hook/sync;
            sync_hook api    /_hook/api;
        }

        location /control/ { sync control; }
        location /status { sync status; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
EOC

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;

	return { json => {} } if $r->{uri} eq '/_hook/cancel';

	return [ [ 'head', 200, 'Content-Type: application/x-ndjson' ],
		[ 'chunk', qq({"stream":{"n":1}}\n) ],
		[ 'wait', $r->{json}{data}{step} ],
		map({ [ 'chunk', qq({"stream":{"n":$_}}\n) ] } 2 .. 50),
		[ 'chunk', qq({"final":{"status":"success"}}\n) ], [ 'end' ] ];
});

$t->run;

my $n = 0;

# upgraded, and gone

for my $way (@ways) {
	my $uri = $way eq 'silence' ? '/short/' : '/socket.io/';
	my @all = map { upgrade(begin($uri, $_ % 2 ? 'api' : 'sync')) } 1 .. 4;
	my %calls = map { $_->{call} => 1 } @all;

	leave($_, $way) for @all;

	ok($t->wait_for(sub { return 4 == grep { $calls{$_->{id}} } told() }),
		"$way: the app is told");
	is_deeply([ grep { $_->{reason} ne 'disconnect' } told() ], [],
		'why');
	$hook->go($_->{step}) for @all;
	ok($t->wait_for(sub { return clients() == 0 }), 'all are gone');
}

# nobody is told twice, nor of what was answered

my $before = told();
my $s = begin('/socket.io/', 'api');
$hook->go($s->{step});
is(chunks($s), 50, 'all of an answer');
$s = upgrade($s);
$s->{ws}->shut;
ok($t->wait_for(sub { return clients() == 0 }), 'gone');
is(told(), $before, 'which is nothing to be told of');

# connections that are closed

my @all = map { upgrade(begin('/closes/', $_ % 2 ? 'api' : 'sync')) } 1 .. 4;
leave($_, 'shut') for @all;
is(scalar(grep { $hook->wait_gone($_->{n}) } @all), 4, 'closed: the app sees it');

# the worker that has the session now dies

my ($from, $to);

for (1 .. 100) {
	$s = upgrade(begin('/socket.io/', 'api'));

	$from = worker($t->port(1));
	$to = worker((sockaddr_in(getsockname $s->{ws}->sock))[0]);

	last if $from != $to;

	leave($s, 'shut');
	$hook->go($s->{step});
	$t->wait_for(sub { return !worker($t->port(1)) });
}

my @workers = $t->workers;
my ($i) = grep { $workers[$_] == $to } 0 .. $#workers;
$t->kill_worker($i);
ok($t->wait_for(sub { return grep { $_->{id} eq $s->{call} } told() }),
	'its worker died: the app is told');
$hook->go($s->{step});

# sessions that poll are taken over on a reload, in the middle of an answer

@all = map { begin('/socket.io/', $_ % 2 ? 'api' : 'sync') } 1 .. 4;
my @polls = map { $_->{eio}->poll } @all;

$t->reload;
$all[$_]{eio}->answer($polls[$_]) for 0 .. 3;

# the others say something wherever they are, and are moved by that

for my $s (@all) {
	$s->{eio}->event('getJoinedRooms', { responseIndex => 1000 });
	$s->{eio}->recv_event;
}

$all[$_]{eio}->post('1') for 0, 1;
ok($t->wait_for(sub { my %told = map { $_->{id} => 1 } told();
	return 2 == grep { $told{$all[$_]{call}} } 0, 1 }),
	'reload: who leaves then');

$hook->go($_->{step}) for @all;
is(chunks($all[$_]), 50, 'reload: all of an answer') for 2, 3;
is(scalar(grep { my $s = $_; grep { $_->{id} eq $s->{call} } told() }
	@all[2, 3]), 0, 'of which nobody is told');

# those with a WebSocket are let go

$s = upgrade(begin('/socket.io/', 'sync'));
$t->reload;
ok($t->wait_for(sub { return grep { $_->{id} eq $s->{call} } told() }),
	'reload: a WebSocket is let go');
$hook->go($s->{step});
ok($t->wait_for(sub { return !$t->leaving }), 'and the workers are');

###############################################################################

# A session that has asked for something, and heard the first chunk.

sub begin {
	my ($uri, $kind) = @_;

	my $s = { eio => $t->eio($uri), kind => $kind, index => ++$n,
		step => "step$n" };

	$s->{id} = $s->{eio}->connect;
	$s->{eio}->event($kind eq 'api' ? 'apiRequest' : 'sync', {
		name => "$kind/t/s/v1", cb => 'c', receiver => 'nowhere',
		data => { step => $s->{step} }, responseIndex => $n });

	while (my $m = $s->{eio}->recv_event) {
		last if ($m->[1]{n} // 0) == 1;
	}

	my ($r) = grep { ($_->{json}{data}{step} // '') eq $s->{step} }
		$hook->requests(qr/sync|api/);
	$s->{call} = $r->{json}{id};
	$s->{n} = $r->{n};

	return $s;
}

# How many chunks it hears, if they are in order and the answer follows.

sub chunks {
	my ($s) = @_;
	my $last = 1;

	while (my $m = $s->{eio}->recv_event) {
		return $last if $m->[0] =~ /^(?:sync|apiResponse)-$s->{index}$/;
		next if $m->[0] !~ /^(?:sync-progress|apiStream)-$s->{index}$/;
		return "$m->[1]{n} after $last" if $m->[1]{n} != ++$last;
	}

	return 'no answer';
}

sub upgrade {
	my ($s) = @_;

	my $ws = $s->{ws} = $t->ws($s->{eio}->uri('websocket'));

	$ws->send_text('2probe');
	$ws->recv_text;
	$ws->send_text('5');
	$ws->send_text('42["getJoinedRooms",{"responseIndex":1000}]');

	while (defined(my $text = $ws->recv_text)) {
		last if $text =~ /getJoinedRooms-1000/;
	}

	return $s;
}

sub leave {
	my ($s, $way) = @_;

	if ($way eq 'shut') {
		$s->{ws}->shut;

	} elsif ($way eq 'close') {
		$s->{ws}->send_text('1');

	} elsif ($way eq 'disconnect') {
		$s->{ws}->send_text('41');

	} elsif ($way eq 'kick') {
		$t->http('POST', '/control/disconnect',
			json => { clientId => $s->{id} });
	}
}

# What the app was told of, each once.

sub told {
	my %seen;
	return map { @{$_->{events}} } grep {
		!$seen{"$_->{worker} $_->{seq}"}++ }
		map { $_->{json} } $hook->requests(qr/cancel/);
}

sub clients { return $t->http('GET', '/status')->json->{clients} }

# The worker with a connection to or from a port; 0 if there is none.

sub worker {
	my ($port) = @_;
	my %inodes;

	open my $f, '<', '/proc/net/tcp' or die "/proc/net/tcp: $!\n";

	while (<$f>) {
		my @f = split;
		$inodes{$f[9]} = 1 if $f[2] =~ /:(\w+)$/ && hex $1 == $port;
	}

	for my $pid ($t->workers) {
		for (glob "/proc/$pid/fd/*") {
			my ($inode) = (readlink($_) // '') =~ /^socket:\[(\d+)\]/;
			return $pid if $inode && $inodes{$inode};
		}
	}

	return 0;
}
