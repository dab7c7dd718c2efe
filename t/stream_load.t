#!/usr/bin/perl

# Copyright (C) sync for nginx

# A streamed answer of 2,000 chunks to a room of 100, one of whom does not read:
# the order, what the slow one costs, memory; an app that dies midway, and one
# that is killed and started again under load.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use IO::Select;
use Test::More;
use Test::Sync;

my $t = Test::Sync->new->plan(15);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
    worker_connections 2048;
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;
    sync_ping 1h 1h;
    sync_queue 1m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /ws {
            sync websocket;
            sync_hook server /_hook/sync;
            sync_hook api /_hook/api;
        }

        location /status { sync status; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
EOF

# 2,000 chunks of 1k, as fast as they are taken.

my $pad = 'x' x 1000;

my %app = (port => 1, answer => sub {
	my ($r) = @_;
	my $name = $r->{json}{name};

	return { json => { status => 'success', n => $r->{json}{data}{n} } }
		if $name eq 'one';

	return [ [ 'head', 200, 'Content-Type: application/x-ndjson' ], map({
		my $from = $_ * 100;
		[ 'chunk', join '', map { qq({"stream":{"n":$_,"x":"$pad"}}\n) }
			$from .. $from + 99 ]
	} 0 .. 79), [ 'chunk', qq({"final":{"status":"success"}}\n) ], [ 'end' ] ]
		if $name eq 'long';

	my @chunks = map {
		my $from = $_ * 50;
		[ 'chunk', join '', map { qq({"broadcast":{"n":$_,"x":"$pad"}}\n) }
			$from .. $from + 49 ]
	} 0 .. 39;

	return [ [ 'head', 200, 'Content-Type: application/x-ndjson' ],
		@chunks[0 .. ($name eq 'dies' ? 19 : 39)],
		$name eq 'dies' ? [ 'reset' ] : ([ 'chunk',
			qq({"final":{"status":"success"}}\n) ], [ 'end' ]) ];
});

my $hook = $t->hook(%app);

$t->run;

my $slow = $t->ws('/ws', rcvbuf => 4096);
my @ws = $t->ws_many(99, '/ws');

for my $c ($slow, @ws) {
	$c->recv_json;
	$c->send_json([ 'joinRoom', { group => 'r', responseIndex => 0 } ]);
}

$_->recv_event('joinRoom-0') for $slow, @ws;

my $asker = $ws[0];

# once for the buffers that stay, and again

my @memory;

for my $i (1 .. 2) {
	$asker->send_json([ 'sync', { name => 't/streamed/v1', cb => 'c',
		receiver => 'r', data => {}, responseIndex => $i } ]);

	# the bytes alone are looked at: there are 200 megabytes

	my $frame = qr/\["sync(?:",\{"n":(\d+),|-$i",
		|",\{"cb".*?"status":"success"\}\])/sx;
	my $answered;
	my @heard = (0) x 99;
	my @rest = ('') x 99;
	my %number = map { fileno($ws[$_]->sock) => $_ } 0 .. 98;
	my $select = IO::Select->new(map { $_->sock } @ws);
	my $end = time() + 60 * $Test::Sync::SLOW;

	while ($select->count && time() < $end) {

		for my $sock ($select->can_read(1)) {
			my $n = $number{fileno $sock};

			if (!sysread $sock, $rest[$n], 262144, length $rest[$n]) {
				$select->remove($sock);
				next;
			}

			while ($rest[$n] =~ /$frame/gc) {

				if (defined $1) {
					$heard[$n] = $1 == $heard[$n] ? $1 + 1 : -1e9;

				} elsif ($& =~ /^\["sync-/) {
					$answered = $heard[$n];

				} else {
					$select->remove($sock);
					$heard[$n]++;
				}
			}

			substr $rest[$n], 0, length($rest[$n]) - 400, ''
				if length $rest[$n] > 400
				&& (pos($rest[$n]) // 0) <= length($rest[$n]) - 400;
			substr $rest[$n], 0, pos($rest[$n]), '' if pos $rest[$n];
		}
	}

	is(scalar(grep { $_ == 2001 } @heard), 99, "run $i: all of it, in order");
	is($answered, 2000, "run $i: the answer after the last chunk");

	push @memory, memory();
}

cmp_ok($memory[1] - $memory[0], '<', 2048, 'memory is flat');

my $c = $t->http('GET', '/status')->json->{counters};
is($c->{slow}, 1, 'the slow one was closed');
is($c->{overrun}, 0, 'nothing was lost');

# an asker that does not read holds the app up, and loses nothing

my $lazy = $t->ws('/ws', rcvbuf => 4096);
$lazy->recv_json;
$lazy->send_json([ 'apiRequest', { name => 't/long/v1', data => {},
	responseIndex => 1 } ]);
ok($t->wait_for(sub { held() }), 'the app is held up');
cmp_ok(held(), '<=', 1024 * 1024, 'by what the asker may leave unread');
my $n = 0;
$n++ while ($lazy->recv_text // '') =~ /^\["apiStream-1",\{"n":$n,/;
is($n, 8000, 'it hears all of it in the end');
$lazy->disconnect;

# the app dies

$asker->send_json([ 'sync', { name => 't/dies/v1', cb => 'c',
	receiver => 'r', data => {}, responseIndex => 9 } ]);
is($asker->recv_event('sync-9', 20)->[1]{errorCode},
	'sync.serverExecutionFailed', 'an app that dies');
my ($chunks, $bad) = (0, 0);

while (my $m = $ws[1]->recv_text(0.3)) {
	$m =~ /"status":"stream"/ ? $chunks++ : $bad++;
}

cmp_ok($chunks, '<=', 1000, 'chunks before it');
is($bad, 0, 'nobody hears of a success');

# killed and started again, with requests all the time

my %answers;
my $asked = 0;

for my $round (1 .. 30) {
	for my $n (1 .. 64) {
		$asked++;
		$ws[$n]->send_json([ 'apiRequest', { name => 't/one/v1',
			data => { n => $asked }, responseIndex => $asked } ]);
	}

	$hook->stop if $round == 10;
	$hook = $t->hook(%app) if $round == 20;

	for my $n (1 .. 64) {
		my $m = $ws[$n]->recv_event('apiResponse-' . ($asked - 64 + $n), 10);
		$answers{$m->[0]} .= $m->[1]{status} if $m;
	}
}

is(scalar(grep { /^(?:success|error)$/ } values %answers), $asked,
	'each is answered once');
is($answers{"apiResponse-$asked"}, 'success', 'and well in the end');

# Bytes that wait while the app is held up, or 0.

sub held {
	my $s = $t->http('GET', '/status')->json;
	return $s->{counters}{hookHeld} && $s->{worker}{queuedBytes};
}

# Kilobytes that the workers have of their own, more or less.

sub memory {
	my $sum = 0;

	for my $pid ($t->workers) {
		$sum += $1 if $t->read_file("/proc/$pid/status")
			=~ /^RssAnon:\s+(\d+)/m;
	}

	return $sum;
}
