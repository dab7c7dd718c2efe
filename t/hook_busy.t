#!/usr/bin/perl

# Copyright (C) sync for nginx

# More calls of the app than may run and wait: a client has 512 at most, a
# worker process runs a quarter of its connections and has 4096 wait; who asks
# beyond that is told so at once, and all others are answered.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Test::Sync::WS;

###############################################################################

my $CALLS = 512;
my $RUN = 32;
my $WAIT = 4096;

my $t = Test::Sync->new(workers => 1)->plan(11);

$t->write_conf(<<'EOC');
%%GLOBALS%%

events {
    worker_connections 128;
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_hook server /hook;
        sync_ping 600s 600s;

        location /ws     { sync websocket; }
        location /status { sync status; }

        location /hook {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_read_timeout 600s;
        }
    }
}
EOC

my $hook = $t->hook(port => 1, quiet => 1, answer => sub {
	return [ [ 'wait', 'go' ], [ 'head', 200, 'Content-Length: 20' ],
		[ 'raw', '{"status":"success"}' ] ];
});

$t->run;

###############################################################################

# a client alone

my (%told, %code);

my $first = client();
ask($first, $CALLS + 3);

ok($t->wait_for(sub { hear($first); ($code{$first}{'hook.busy'} // 0) >= 3 }),
	'a client has no more');
is($told{$first}, 3, 'and is told at once');
is($t->http('GET', '/status')->json->{worker}{hooksRunning}, $RUN,
	'as many run as may');

# all together; the last of them finds no place for most of its calls

my @all = ($first, map { client() } 1 .. ($WAIT + $RUN) / $CALLS);
ask($_, $CALLS) for @all[1 .. $#all];

my $busy = @all * $CALLS - $WAIT - $RUN;

ok($t->wait_for(sub { hear($_) for @all; busy() >= 3 + $busy }),
	'a worker process has no more');
is(busy(), 3 + $busy, 'told to as many as are too many');

my $s = $t->http('GET', '/status')->json;
is($s->{worker}{hooksRunning}, $RUN, 'running');
is($s->{worker}{hooksWaiting}, $WAIT, 'waiting');
cmp_ok($s->{counters}{hookBusy}, '>=', $busy, 'counted');

# the app goes on

$hook->go('go');

my $answers = $WAIT + $RUN;

ok($t->wait_for(sub { hear($_) for @all; success() >= $answers }, 120),
	'all others are answered');
is(success(), $answers, 'each once');
is($t->http('GET', '/status')->json->{worker}{hooksWaiting}, 0,
	'and nobody waits');

###############################################################################

sub client {
	my $ws = $t->ws('/ws');

	$ws->send_json([ 'joinRoom', { group => 'r', responseIndex => 1 } ]);
	$ws->recv_event('joinRoom-1') or die "not joined\n";
	$told{$ws} = 0;

	return $ws;
}

sub ask {
	my ($ws, $n) = @_;

	$ws->put(join('', map { $ws->frame(payload => '["sync",{"name":"a/b/v1",'
		. '"cb":"c","data":{},"receiver":"r","ignoreSelf":true,'
		. qq("responseIndex":$_}])) } 1 .. $n), 60)
		or die "not taken\n";
}

# What is said to the room is not looked at.

sub hear {
	my ($ws) = @_;

	while (defined(my $text = $ws->recv_text(0))) {
		next unless $text =~ /^\["sync-\d+",/;
		$told{$ws}++;
		$code{$ws}{$1}++ if $text =~ /"errorCode":"([^"]+)"/;
		$code{$ws}{success}++ if $text =~ /^\["sync-\d+",\{"status":"success"/;
	}
}

sub busy { return count('hook.busy') }
sub success { return count('success') }

sub count {
	my ($what) = @_;

	my $n = 0;
	$n += $_->{$what} // 0 for values %code;

	return $n;
}

###############################################################################
