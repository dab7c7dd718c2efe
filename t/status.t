#!/usr/bin/perl

# Copyright (C) sync for nginx

# The status endpoint: its figures, as JSON and for Prometheus, and the page
# for a browser, which is looked at in Chromium.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Time::HiRes qw/ time /;

###############################################################################

my @page = (
	'the page shows the clients',
	'it follows by itself',
	'it tells when there is no answer',
	'and when there is one again',
	'the page did not complain',
);

my $t = Test::Sync->new;
my $others = $t->worker_processes > 1 ? 1 : 0;

$t->plan(56 + @page + $others);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=board:2m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_hook server /_hook;

        location /ws       { sync websocket; }
        location /sse      { sync sse; }
        location /control/ { sync control; }
        location /status   { sync status; }
        location /_hook    { internal; return 200 '{"status":"success"}'; }
    }
}
EOF

$t->run;

###############################################################################

my $r = $t->http('GET', '/status');
is($r->header('content-type'), 'application/json', 'JSON');
is($r->header('cache-control'), 'no-store', 'not to be stored');
is($r->header('vary'), 'Accept', 'vary');

my $s = $r->json;
is_deeply([ sort keys %$s ], [ sort qw/ version timestamp clients sessions
	absent away rooms patterns members left leftBytes zone worker redis workers
	counters / ], 'fields');
like($s->{version}, qr/^\d+\.\d+\.\d+$/, 'version');
cmp_ok(abs($s->{timestamp} / 1000 - time()), '<', 60, 'timestamp');
is($s->{zone}{name}, 'board', 'zone');
is($s->{zone}{size}, 2 * 1024 * 1024, 'size');
cmp_ok($s->{zone}{unused}, '>', 1024 * 1024, 'unused');
is(@{$s->{workers}}, $t->worker_processes, 'workers');
is_deeply([ sort map { $_->{pid} } @{$s->{workers}} ], [ sort $t->workers ],
	'their pids');
is(grep({ $_->{exiting} } @{$s->{workers}}), 0, 'serving');
ok($t->wait_for(sub {
	return !grep { $_->{stalled} || $_->{beatAge} > 3000 }
		@{status()->{workers}};
}), 'beating');
ok(grep({ $_ == $s->{worker}{pid} } $t->workers), 'the one that answers');
is_deeply([ @{$s}{qw/ clients rooms patterns members /} ], [ 0, 0, 0, 0 ],
	'empty');

my $unused = $s->{zone}{unused};

# figures

my @ws = $t->ws_many(5, '/ws');
$_->recv_json for @ws;

for my $ws (@ws) {
	$ws->send_json([ 'joinRoom', { group => 'r', responseIndex => 1 } ]);
	$ws->recv_event('joinRoom-1');
}

my $es = $t->sse('/sse?channels=r,a*');
$es->recv;

$ws[0]->send_json([ 'leaveRoom', { group => 'r', responseIndex => 2 } ]);
$ws[0]->recv_event('leaveRoom-2');

$t->http('POST', '/control/publish', json => { room => 'r', data => 'x' });
$_->recv_json for @ws[1 .. 4];

$ws[1]->send_json([ 'sync', { name => 'a/b/v1', data => {}, cb => 'a/b',
	receiver => 'r', responseIndex => 3 } ]);
$ws[1]->recv_event('sync-3');
$_->recv_json for @ws[2 .. 4];

$t->ws('/ws', origin => 'http://evil.test');
$ws[4]->send_text('no JSON');
$ws[4]->recv_json;

$ws[3]->disconnect;

ok($t->wait_for(sub { status()->{clients} == 5 }), 'clients');

$s = status();
is($s->{rooms}, 2, 'rooms');
is($s->{patterns}, 1, 'patterns');
is($s->{members}, 5, 'members');
cmp_ok($s->{zone}{unused}, '<', $unused, 'memory is used');
is(sum($s, 'clients'), 5, 'clients of the workers');
is(sum($s, 'members'), 5, 'members of the workers');

my %count = (
	connects => 6, disconnects => 1, refused => 1, received => 8, joins => 7,
	leaves => 2, published => 2, delivered => 10, hooks => 1,
	hookFailures => 0, hookBusy => 0, notifyDropped => 0, dropped => 0,
	slow => 0, timeouts => 0, full => 0, resets => 0, reaped => 0,
	drained => 0, overrun => 0, acks => 0, acksLate => 0, acksDropped => 0,
);

# a worker may count what it did after another has seen it

$t->wait_for(sub {
	$s = status();
	return !grep { $s->{counters}{$_} != $count{$_} } keys %count;
}, 5);

is($s->{counters}{$_}, $count{$_}, $_) for sort keys %count;

# Prometheus

$r = $t->http('GET', '/status?format=prometheus');
is($r->header('content-type'), 'text/plain; version=0.0.4; charset=utf-8',
	'Prometheus');

my $metrics = metrics($r->body);
$s = status();

is_deeply([ sort map { s/^sync_|_total$//gr } grep { /_total$/ }
	keys %$metrics ], [ sort map { s/([A-Z])/_\l$1/gr }
	keys %{$s->{counters}} ], 'all counters');
is($metrics->{sync_published_total}, $s->{counters}{published},
	'a counter');
is($metrics->{sync_clients}, 5, 'a gauge');
is(grep({ /^sync_worker_clients\{slot="\d+"\}$/ } keys %$metrics),
	$t->worker_processes, 'a gauge of each worker');

# which of them

is(type('text/plain;version=0.0.4;q=0.5,*/*;q=0.1'), 'text/plain',
	'Accept of Prometheus');
is(type('text/html,application/xhtml+xml,*/*;q=0.8'), 'text/html',
	'Accept of a browser');
is(type('*/*'), 'application/json', 'Accept of anything');
is(type('text/html', '?format=json'), 'application/json', 'as told');
is($t->http('GET', '/status?format=xml')->status, 400, 'no such format');
is($t->http('POST', '/status')->header('allow'), 'GET, HEAD', 'only to read');

# a worker that does not come round

if ($others) {
	my ($pid) = grep { $_ != status()->{worker}{pid} } $t->workers;

	kill 'STOP', $pid;

	# asked until it is not the stopped one that has to answer

	ok($t->wait_for(sub {
		my $r = $t->http('GET', '/status', timeout => 0.2) // return 0;
		return grep { $_->{pid} == $pid && $_->{stalled} }
			@{$r->json->{workers}};
	}, 60), 'stalled');

	kill 'CONT', $pid;
}

# the page

my $browser = $t->spawn([ 'node', "$FindBin::Bin/browser/status.mjs",
	'http://127.0.0.1:' . $t->port, 5 ], $t->testdir . '/page.out');
waitpid $browser, 0;

my $said = $t->read_file('page.out');

ok($said =~ /^ok \Q$_\E$/m, $_) for @page;
diag($said) if $said =~ /^not ok/m;

###############################################################################

sub status { return $t->http('GET', '/status')->json }

sub sum {
	my ($status, $name) = @_;

	my $n = 0;
	$n += $_->{$name} for @{$status->{workers}};

	return $n;
}

# Figures by name, if each family is told of before it comes, once.

sub metrics {
	my ($text) = @_;

	my (%value, %told);

	for my $line (split /\n/, $text) {
		if ($line =~ /^# (?:HELP|TYPE) (sync_\w+) \S/) {
			$told{$1}++;
			next;
		}

		my ($name, $label, $n) = $line
			=~ /^(sync_\w+)(\{slot="\d+"\})? (\d+(?:\.\d+)?)$/
			or die "bad line: $line\n";

		die "untold: $line\n" if ($told{$name} // 0) != 2;
		die "twice: $line\n" if exists $value{$name . ($label // '')};

		$value{$name . ($label // '')} = $n;
	}

	return \%value;
}

sub type {
	my ($accept, $args) = @_;

	my $r = $t->http('GET', '/status' . ($args // ''),
		headers => { Accept => $accept });

	return $r->header('content-type') =~ s/;.*//r;
}

###############################################################################
