#!/usr/bin/perl

# Copyright (C) sync for nginx

# Event streams over HTTP/1.1 and 1.0: the header, what events look like, how
# they end, and peers that go, send what nobody asked for, or do not read.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use Test::Sync;
use Test::Sync::SSE;

my $t = Test::Sync->new->plan(71);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;

    gzip on;
    gzip_types *;
    gzip_min_length 0;

    log_format short "$status $uri";

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_queue 64k;

        location /events  {
            sync sse;
            access_log %%TESTDIR%%/access.log short;
        }

        location /raw {
            sync sse;
            chunked_transfer_encoding off;
        }

        location /control { sync control; }
        location /status  { sync status; }
        location /stub    { stub_status; }
    }
}
EOF

$t->run;

my $json = JSON::PP->new->utf8->canonical;
my $long = $t->sse('/events?channels=long');
$long->recv;

my $opened = time();

# the header

my $es = $t->sse('/events?channels=a,b', headers => [ 'Accept-Encoding: gzip' ]);
is($es->status, 200, 'status');
is($es->header('content-type'), 'text/event-stream', 'Content-Type');
is($es->header('cache-control'), 'no-cache', 'Cache-Control');
is($es->header('x-accel-buffering'), 'no', 'X-Accel-Buffering');
is($es->header('transfer-encoding'), 'chunked', 'Transfer-Encoding');
is($es->header('connection'), 'close', 'Connection');
is($es->header('content-encoding'), undef, 'not compressed');
is($es->header('content-length'), undef, 'no end is known');

# the first event

my $e = $es->recv;
my $hello = $json->decode($e->{data});
$es->{id} = $hello->{clientId};
is(join(' ', sort keys %$e), 'data', 'connected is data alone');
is($hello->{type}, 'connected', 'connected');
is_deeply($hello->{channels}, [ 'a', 'b' ], 'channels');

# events

publish('a', 'message', { n => 1 });
$e = $es->recv;
is(join(' ', sort keys %$e), 'data', 'a message is data alone');
is_deeply(shape($e), { channel => 'a', data => { n => 1 } }, 'and where from');

my $now = time();
my $ms = $json->decode($e->{data})->{timestamp};
cmp_ok(abs($ms / 1000 - $now), '<', 60, 'timestamp in milliseconds');

publish('b', 'moved', [ 1, 'two', undef ]);
$e = $es->recv;
is($e->{event}, 'moved', 'event has its name');
is_deeply(shape($e), { channel => 'b', data => [ 1, 'two', undef ] }, 'array');

for my $data ('text', 7, undef, "l1\nl2\r\n\tl3", "\x{20ac} \x{1f600}", '') {
	publish('a', 'message', $data);
	is_deeply(shape($es->recv), { channel => 'a', data => $data },
		'data ' . $json->allow_nonref->encode($data));
}

# JSON with white space is the same JSON

$t->http('POST', '/control/publish', headers =>
	[ 'Content-Type', 'application/json' ], body => "{\r\n\"room\": \"a\",\n"
	. "\"event\":\"message\",\n\"data\":\n{\n\r\"x\":\r\n[1,\n2]\n}\n}");
is_deeply(shape($es->recv), { channel => 'a', data => { x => [ 1, 2 ] } },
	'lines in JSON');

publish('a', "quo\"te\\ \x{e9}", 1);
is($es->recv->{event}, "quo\"te\\ \xc3\xa9", 'event is not a JSON string');

publish('a', "no\ndata: x", 1);
is($es->recv->{event}, 'nodata: x', 'a line break in an event ends nothing');

publish('a', 'message', "$_-" . 'x' x 500) for 1 .. 100;
is(join(' ', map { substr(shape($es->recv)->{data}, 0, 3) =~ /(\d+)/ }
	1 .. 100), join(' ', 1 .. 100), 'a hundred in their order');

publish('a', 'message', 'y' x 40000);
is(length shape($es->recv)->{data}, 40000, 'a large one');

# no chunks where there can be none

my $old = raw("GET /events?channels=a HTTP/1.0\r\n\r\n");
ok($old->recv_head, 'HTTP/1.0');
is($old->status, 200, 'status');
is($old->header('transfer-encoding'), undef, 'no chunks');
$old->{id} = connected($old, 'connected');

my $plain = $t->sse('/raw?channels=a');
is($plain->header('transfer-encoding'), undef, 'chunks switched off');
$plain->{id} = connected($plain, 'connected');

publish('a', 'e', 1);
is($_->recv->{event}, 'e', 'event') for $es, $old, $plain;

# methods

is($t->http($_, '/events')->status, 405, $_) for qw/ POST PUT DELETE /;

my $head = $t->http('HEAD', '/events?channels=a');
is($head->status, 200, 'HEAD');
is($head->header('content-type'), 'text/event-stream', 'has the same header');

# behind another request on the same connection

my $second = raw("GET /status HTTP/1.1\r\nHost: a\r\n\r\n");
is($second->recv_response('GET')->status, 200, 'a request');
$second->put("GET /events?channels=a HTTP/1.1\r\nHost: a\r\n\r\n");
$second->recv_head;
$second->{chunked} = 1;
connected($second, 'then a stream');

# we end it: told when to come back, a last chunk, a FIN

for my $one ($es, $old, $plain) {
	my $chunked = $one->{chunked};
	my $name = $chunked ? 'chunked' : 'raw';

	$t->http('POST', '/control/disconnect',
		json => { clientId => $one->{id} });

	is($one->recv, undef, "$name: no more events");
	ok($one->wait_eof, 'ended');
	$one->next_event;
	cmp_ok($one->retry, '>=', 1000, 'retry');
	is(!!$one->complete, !!$chunked, 'last chunk') if $chunked;
	ok(!$one->{reset}, 'without a reset');
	$one->disconnect;
}

# the request is logged at once

ok($t->wait_for(sub {
	return $t->read_file('access.log') =~ m!^200 /events$!m;
}), 'logged');

# peers that go are noticed at once

$second->disconnect;
is(clients_become(1), 1, 'only the long one is left');

my @many = map { $t->sse("/events?channels=c$_") } 1 .. 20;
$_->recv for @many;
is(clients_become(21), 21, 'twenty more');
$_->disconnect for @many[0 .. 6];
$_->reset for @many[7 .. 13];
$_->half_close for @many[14 .. 19];
is(clients_become(1), 1, 'and gone');
$_->disconnect for @many;

# what comes behind the request is dropped, up to a bound

$es = raw("GET /events?channels=a HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n"
	. "\r\nhelloGET /status HTTP/1.1\r\nHost: a\r\n\r\n");
$es->recv_head;
$es->{chunked} = 1;
connected($es, 'body and another request');
publish('a', 'message', 'still');
is(shape($es->recv)->{data}, 'still', 'do no harm');

my $end = time() + 30 * $Test::Sync::SLOW;
1 while time() < $end && $es->put('x' x 4096, 1);
cmp_ok(time(), '<', $end, 'but without end they do');
$es->disconnect;
is(clients_become(1), 1, 'it is gone');

# one that does not read is closed, and others are not held up

my ($slow, $fast) = map { $t->sse('/events?channels=big', rcvbuf => $_) }
	4096, 0;
$_->recv for $slow, $fast;

my $n = 0;

ok($t->wait_for(sub {
	publish('big', 'message', ++$n . 'x' x 20000);
	return 0 unless shape($fast->recv)->{data} =~ /^${n}x/;
	return $t->http('GET', '/status')->json->{counters}{slow} == 1;
}, 60), 'slow client is closed');
is(clients_become(2), 2, 'and gone');
$_->disconnect for $slow, $fast;

# nothing happens, and the connection stays: a comment each 30 s

$t->wait_for(sub {
	$long->fill(time() + 1);
	$long->next_event;
	return $long->comments;
}, 90 + $opened - time());

is($long->comments, 1, 'a comment');
cmp_ok(time() - $opened, '>=', 29, 'after half a minute');
publish('long', 'message', 1);
is(shape($long->recv)->{data}, 1, 'and the stream goes on');
$long->disconnect;
is(clients_become(0), 0, 'nobody left');

ok($t->wait_for(sub {
	return $t->http('GET', '/stub')->body =~ /^Active connections: 1 /;
}), 'nor a connection');


sub publish {
	my ($room, $event, $data) = @_;
	$t->http('POST', '/control/publish', json => { room => $room,
		event => $event, data => $data });
}

# An event's data without the time.

sub shape {
	my ($e) = @_;
	my $data = $json->decode($e->{data});
	delete $data->{timestamp};
	return $data;
}

# Takes the first event; returns the client's id.

sub connected {
	my ($es, $name) = @_;
	my $hello = $es->recv_json;
	is($hello->{type}, 'connected', $name);
	return $hello->{clientId};
}

sub raw {
	my $p = Test::Sync::Peer->new(port => $t->port);
	$p->put($_[0]);
	@$p{qw/ body comments /} = ('', 0);
	return bless $p, 'Test::Sync::SSE';
}

sub clients { return $t->http('GET', '/status')->json->{clients} }

sub clients_become {
	my ($n) = @_;
	$t->wait_for(sub { clients() == $n });
	return clients();
}
