#!/usr/bin/perl

# Copyright (C) sync for nginx

# The client stage with 1,000 members, spread unevenly over the workers: calls
# an event, who is told and when; frames that are shared; and what a filter
# costs in place of it.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Time::HiRes qw/ time /;

use constant { MEMBERS => 1000, EVENTS => 8 };

my $t = Test::Sync->new->plan(14);

$t->write_file('routes.json', <<'EOC');
{ "version": 1, "routes": {
    "sync/t/asked/v1": { "server": false, "client": true },
    "sync/t/plain/v1": { "server": false },
    "sync/t/filter/v1": { "server": false, "client": { "filter": [
        { "key": "location.pathName",
          "equals": "$sender.location.pathName" } ] } } } }
EOC

$t->write_conf(<<'EOC');
%%GLOBALS%%

events {
    worker_connections 4096;
}

http {
    %%HTTP%%

    sync_zone zone=sync:32m;
    sync_ping 1h 1h;
    sync_room "r" join=public;
    sync_routes %%TESTDIR%%/routes.json;

    upstream app {
        server 127.0.0.1:%%PORT_1%%;
        keepalive 32;
    }

    server {
        listen 127.0.0.1:%%PORT_0%% backlog=2048 reuseport;

        keepalive_requests 100000;

        sync_session memory;
        sync_token query:t;
        sync_hook client /_hook/client share=10s;

        location /ws      { sync websocket; }
        location /control { sync control; }
        location /status  { sync status; }
        location /pid     { return 200 $pid; }

        location /_hook/ {
            internal;
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
EOC

# half of the members are told one thing, half another

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;
	my $list = $r->{json}{recipients};
	my $go = $r->{json}{data}{go};
	my $n = $r->{json}{data}{n} // 0;

	my @lines = ([ 'head', 200, 'Content-Type: application/x-ndjson' ],
		[ 'chunk', join '', map { qq({"k":$_->{k},"out":{"status":"success",)
			. '"half":' . (ord($_->{clientId}) & 1)
			. qq(,"n":$n}}\n) } @$list ],
		[ 'end' ]);

	return [ $go ? [ 'wait', $go ] : (), @lines ];
});

$t->run;

my $r = $t->http('POST', '/control/session/save', json => { token => 'token',
	session => { id => 'u', name => 'x' x 200, roles => [ 1 .. 20 ],
	location => { pathName => '/a' } } });
is($r->json->{status}, 'success', 'a session for all');

# so many members of each worker

my $workers = $t->worker_processes;
my %left;
@left{$t->workers} = $workers == 4 ? (70, 190, 290, 450) : (MEMBERS) x $workers;

my @ws = $t->ws_many(MEMBERS, '/ws?t=token', choose => sub {
	my ($peer) = @_;

	$peer->put("GET /pid HTTP/1.1\r\nHost: localhost\r\n\r\n");

	return $left{$peer->recv_response('GET')->body}-- > 0;
});

is(scalar(grep { $_->recv_event('connected', 20) } @ws), MEMBERS, 'connected');
$_->send_json([ 'joinRoom', { group => 'r', responseIndex => 1 } ]) for @ws;
is(scalar(grep { $_->recv_event('joinRoom-1', 20) } @ws), MEMBERS, 'joined');

# what an event takes till the last one is told

my (@took, %half, $in_order);

for my $n (1 .. EVENTS) {
	my $start = time();
	send_sync('asked', { n => $n });

	for my $ws (@ws) {
		my $text;

		do {
			$text = $ws->recv_text(30);
		} until (!defined $text || $text =~ /^\["sync",/);

		$half{$1}++ if ($text // '') =~ /"half":(\d)/;
		$in_order++ if ($text // '') =~ /"n":$n\b/;
	}

	push @took, time() - $start;
}

is($half{0} + $half{1}, MEMBERS * EVENTS, 'each is told of each event, once');
is($in_order, MEMBERS * EVENTS, 'in order');

my @calls = map { scalar @{$_->{json}{recipients}} } $hook->requests;
my %calls;
$calls{$_->{json}{data}{n}}++ for $hook->requests;

is(join(' ', map { $calls{$_} } 1 .. EVENTS),
	join(' ', (int((MEMBERS + 63) / 64)) x EVENTS), 'calls an event');
is((grep { $_ > 64 } @calls), 0, 'at most 64 recipients a call');
is(scalar(grep { $_ == 64 } @calls), int(MEMBERS / 64) * EVENTS,
	'calls are full');

@took = sort { $a <=> $b } @took;
diag(sprintf '%d members, %d workers: half within %.0f ms, p99 %.0f ms',
	MEMBERS, $workers, $took[$#took / 2] * 1000, $took[-1] * 1000);
cmp_ok($took[-1], '<', 10 * $Test::Sync::SLOW, 'p99');

# an app that does not answer holds up the room, and nothing else

send_sync('asked', { go => 'on' });
$hook->wait_requests(@calls + 1);
my $start = time();
is($t->http('POST', '/control/publish', json => { room => 'other',
	event => 'e', data => 1 })->status, 200, 'others are served');

cmp_ok($t->http('GET', '/status')->json->{worker}{hooksRunning}, '<=',
	16, 'so many calls at once');
$hook->go('on');
is(scalar(grep { $_->recv_event('sync', 30) } @ws), MEMBERS, 'told at last')
	or diag(map { 'closed: ' . ($_->wait_close(0) // 'no') . "\n" }
		@ws[0 .. 3]);

# a filter, against none

my %cpu;

for my $name (qw/ plain filter plain filter /) {
	my $before = cpu();
	send_sync($name, {}) for 1 .. 50;

	for my $ws (@ws) {
		$ws->recv_text(30) // last for 1 .. 50;
	}

	$cpu{$name} += cpu() - $before;
}

diag(sprintf 'CPU with a filter: %.2f of that without', $cpu{filter}
	/ ($cpu{plain} || 1));
cmp_ok($cpu{filter}, '<', 3 * $cpu{plain} + 30, 'a filter is cheap');

is(scalar(grep { $_->{json}{route} !~ /asked/ } $hook->requests), 0,
	'and asks nobody');

sub send_sync {
	my ($name, $data) = @_;
	$ws[0]->send_json([ 'sync', { name => "t/$name/v1", cb => 'x',
		receiver => 'r', data => $data } ]);
}

# Ticks of all workers.

sub cpu {
	my $sum = 0;

	for my $pid ($t->workers) {
		my @stat = split / /, Test::Sync::_slurp("/proc/$pid/stat")
			=~ s/.*\) //sr;
		$sum += $stat[11] + $stat[12];
	}

	return $sum;
}
