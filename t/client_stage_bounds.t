#!/usr/bin/perl

# Copyright (C) sync for nginx

# How long the client stage may take: a worker that makes a call for others and
# stands still, and an app that never ends an answer.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Time::HiRes qw/ time /;

my $t = Test::Sync->new(workers => 4)->plan(20);

my $long = 5 * (1 + $Test::Sync::SLOW) / 2;

$t->write_conf(<<'EOC' =~ s/%%LONG%%/int(1000 * $long)/ger);
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;
    sync_ping 1h 1h;

    server {
        listen 127.0.0.1:%%PORT_0%% reuseport;

        keepalive_requests 100000;
        sync_receiver any all=on;

        location /ws {
            sync websocket;
            sync_hook client /_hook/client;
        }

        location /short {
            sync websocket;
            sync_hook client /_hook/client share=500ms timeout=2500ms;
        }

        location /one {
            sync websocket;
            sync_hook client /_hook/one timeout=%%LONG%%ms;
        }

        location /two {
            sync websocket;
            sync_hook client /_hook/two timeout=%%LONG%%ms;
        }

        location /status { sync status; }
        location /pid    { return 200 $pid; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header X-Worker $pid;
        }
    }
}
EOC

# one recipient is told at once, the others never: pings go on instead

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;
	my $j = $r->{json};
	my ($name) = $j->{route} =~ m!/(\w+)/v1$!;
	my @out = map { qq({"k":$_->{k},"out":{"status":"success",)
		. qq("me":"$_->{clientId}"}}\n) } @{$j->{recipients}};

	return [ [ 'head', 200, 'Content-Type: application/x-ndjson' ],
		$name eq 'ping' ? ([ 'chunk', $out[0] ],
			map({ ([ 'chunk', qq({"ping":1}\n) ], [ 'wait', "ping$_" ]) }
				1 .. 1000)) : (),
		$name eq 'wait' ? [ 'wait', 'go' ] : (),
		$name eq 'long' ? [ 'wait', $r->{uri} ] : (),
		[ 'chunk', join '', @out ], [ 'end' ] ];
});

$t->run;

my $i = 0;
my @workers = $t->workers;
my @speakers = members('/ws', 'speak', @workers[0, 1]);
my @four = members('/ws', 'four', @workers);
my @short = members('/short', 'short', @workers);
my @long = map { members($_, 'long', $workers[2]),
	members($_, 'long', $workers[3]) } qw! /one /two !;

# who makes the call stands still

my $speaker = $speakers[0];
say_it('wait', 'four');

my $pid = $hook->wait_requests(1)->[0]{headers}{'x-worker'};
my ($caller, @others) = ((grep { $_->{pid} == $pid } @four),
	grep { $_->{pid} != $pid } @four);
($speaker) = grep { $_->{pid} != $pid } @speakers;

kill 'STOP', $pid;
$hook->go('go');

# an app that says nothing but that it is there

my @going = grep { $_->{pid} != $pid } @short;
my $start = time();
say_it('long', 'long');
say_it('ping', 'short');
say_it('echo', 'short');
my $n = 0;
my %told;

while (keys %told < @going && time() - $start < 20 * $Test::Sync::SLOW) {
	$hook->go('ping' . ++$n);

	for my $m (@going) {
		next if $told{$m->{id}};
		my $got = result($m, 0.05) // next;
		$told{$m->{id}} = $got->{errorCode} // 'success';
	}
}

my $took = time() - $start;
my @errors = grep { $_ eq 'sync.clientExecutionFailed' } values %told;
cmp_ok(scalar @errors, '>', 0, 'who was not told is told of an error');
is(scalar(grep { $_ eq 'success' } values %told), @going - @errors,
	'and nobody else');
cmp_ok($took, '>', 2, 'not before its time');
cmp_ok($n, '>', 3, 'pings went on');
is(result($_)->{status}, 'success', 'then what follows') for @going;

my ($call) = grep { $_->{json}{route} =~ /ping/ } $hook->requests;
ok($hook->wait_gone($call->{n}), 'the call is closed');

# a message whose calls end, one after another

my @alive = grep { $_->{pid} != $pid } @long;
$t->wait_for(sub { time() - $start > 0.5 * $long });
$hook->go('/_hook/one');
is(result($alive[0])->{status}, 'success', 'one call ends');

# the others ask for themselves

is(result($_, 15)->{me}, $_->{id}, 'who waited is told') for @others;

$t->wait_for(sub { time() - $start > 1.1 * $long });
$hook->go('/_hook/two');
is(result($alive[-1])->{status}, 'success', 'and then another');

kill 'CONT', $pid;

is(result($caller)->{me}, $caller->{id}, 'it goes on');
ok(!result($_, 0.2), 'told once') for @others;

my $c = $t->http('GET', '/status')->json->{counters};
cmp_ok($c->{hookTimeouts}, '>=', 1, 'counted: timeouts');
cmp_ok($c->{hookSharedLost}, '>=', 3, 'counted: lost');
cmp_ok($c->{hookSharedLate}, '>=', 1, 'counted: late');

###############################################################################

sub members {
	my ($uri, $room, @pids) = @_;

	return map {
		my $pid = $_;

		my $ws = $t->ws($uri, choose => sub {
			$_[0]->put("GET /pid HTTP/1.1\r\nHost: localhost\r\n\r\n");
			$_[0]->recv_response('GET')->body == $pid;
		});

		my $id = $ws->recv_event('connected')->[1]{clientId};
		ask($ws, 'joinRoom', group => $room);

		+{ ws => $ws, id => $id, pid => $pid };
	} @pids;
}

sub say_it {
	my ($name, $room) = @_;
	ask($speaker->{ws}, 'sync', name => "t/$name/v1", cb => 'x',
		receiver => $room, data => {});
}

sub result {
	my ($m, $timeout) = @_;
	my $e = $m->{ws}->recv_event('sync', $timeout // 10) or return undef;
	return { %{$e->[1]}, %{$e->[1]{clientOutput} || {}} };
}

sub ask {
	my ($ws, $event, %o) = @_;
	my $n = ++$i;
	$ws->send_json([ $event, { %o, responseIndex => $n } ]);
	return ($ws->recv_event("$event-$n", 10) || [])->[1];
}
