#!/usr/bin/perl

# Copyright (C) sync for nginx

# Event streams over HTTP/2: many on a connection, each with its own end, and
# flow control as the only brake.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use Test::Sync;
use Test::Sync::H2;

my $t = Test::Sync->new->plan(49);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;
    sync_drain 1s;

    gzip on;
    gzip_types *;
    gzip_min_length 0;

    server {
        listen 127.0.0.1:%%PORT_0%%;
        listen 127.0.0.1:%%PORT_1%% http2;

        location /events  { sync sse; sync_queue 64k; }
        location /limited { sync sse; limit_rate 20k; }
        location /control { sync control; }
        location /status  { sync status; }
        location /ws      { sync websocket; }
    }
}
EOF

$t->run;

my $json = JSON::PP->new->utf8->canonical;

# the header, as another HTTP/2 client understands it

my $curl = $t->sse('/events?channels=a', port => 1, http2 => 1,
	headers => [ 'Accept-Encoding: gzip' ]);
is($curl->status, 200, 'status');
is($curl->header('content-type'), 'text/event-stream', 'Content-Type');
is($curl->header('cache-control'), 'no-cache', 'Cache-Control');
is($curl->header('content-encoding'), undef, 'not compressed');
is($curl->header('transfer-encoding'), undef, 'no chunks');
is($curl->recv_json->{type}, 'connected', 'connected');
publish('a', 'e', 1);
is($curl->recv->{event}, 'e', 'event');
$curl->disconnect;
is(clients_become(0), 0, 'gone');

# one connection, several streams

my $h2 = h2();
my %es = map { $_ => $h2->get("/events?channels=$_,all") } qw/ a b c /;
my %id;

for (sort keys %es) {
	is($es{$_}->status, 200, "stream $_");
	my $hello = $es{$_}->recv_json;
	is_deeply($hello->{channels}, [ $_, 'all' ], 'its channels');
	$id{$_} = $hello->{clientId};
}

publish($_, 'message', "for $_") for qw/ c a b all /;

for (sort keys %es) {
	is(data($es{$_}), "for $_", "what is for $_");
	is(data($es{$_}), 'for all', 'and for all');
}

publish('a', 'message', "$_-" . 'x' x 500) for 1 .. 100;
is(join(' ', map { data($es{a}) =~ /^(\d+)/ } 1 .. 100), join(' ', 1 .. 100),
	'a hundred in their order');

my $large = join '', map { chr 0x61 + $_ % 26 } 1 .. 40000;
publish('a', 'message', $large);
is(data($es{a}), $large, 'one larger than our buffer and their frames');

# we end one: the others go on

disconnect($id{b});
ok($es{b}->wait_eof, 'ended by us');
is($es{b}->recv, undef, 'no event');
is($es{b}->error, undef, 'no RST_STREAM');
ok($es{b}->complete, 'END_STREAM');
cmp_ok($es{b}->retry, '>=', 1000, 'retry');

# the peer ends one

$es{c}->rst;
is(clients_become(1), 1, 'ended by the peer');
publish('a', 'message', 'still');
is(data($es{a}), 'still', 'the other goes on');

# and all that are left, by ending the connection

my @more = map { $h2->get("/events?channels=m$_") } 1 .. 10;
$_->recv_json for @more;
publish("m$_", 'message', 'x' x 1000) for 1 .. 10;
$h2->disconnect;
is(clients_become(0), 0, 'the connection ended');

# what is no stream

$h2 = h2();
my $head = $h2->get('/events?channels=a', method => 'HEAD');
is($head->status, 200, 'HEAD');
ok($head->complete, 'is the header alone');

# the page comes behind the header

my $put = $h2->get('/events', method => 'PUT');
ok($t->wait_for(sub { $put->fill(time() + 0.02); return $put->complete }),
	'PUT is refused');
is($h2->get('/ws')->status, 400, 'no WebSocket over HTTP/2');

# a small window: nothing is lost, doubled or mixed up

my $small = h2(window => 100);
my $slow = $small->get('/events?channels=w');

my @events;
my $trickle = sub {
	$slow->window(37);
	$slow->fill(time() + 0.02);
	while (my $e = $slow->next_event) {
		push @events, $e;
	}
	return scalar @events;
};

# who was told "connected" is there, not who has the header

$t->wait_for($trickle, 60);
publish('w', 'message', "$_-" . 'y' x 300) for 1 .. 20;
$t->wait_for(sub { return $trickle->() == 21 }, 60);

is(join(' ', map { $json->decode($_->{data})->{data} =~ /^(\d+)/ }
	@events[1 .. 20]), join(' ', 1 .. 20), 'in windows of 37 bytes');
cmp_ok($slow->frames, '>', 100, 'which were kept to');
$small->disconnect;

# a window that stays shut: the client is closed when its queue is full, and
# another stream of the same connection does not notice

$small = h2(window => 100);
$slow = $small->get('/events?channels=big');
my $other = $small->get('/events?channels=other');
$other->window(1 << 20);
$other->recv_json;
is(clients_become(2), 2, 'two on a connection');

ok($t->wait_for(sub {
	publish('big', 'message', 'z' x 20000);
	return $t->http('GET', '/status')->json->{counters}{slow};
}), 'queue is full');
publish('other', 'message', 'fine');
is(data($other), 'fine', 'the other stream');

# nginx sends RST_STREAM with what it sends next

$t->wait_for(sub {
	publish('other', 'message', 'more');
	data($other);
	return $slow->eof;
});
isnt($slow->error, undef, 'closed by RST_STREAM, as it takes no more');
$small->disconnect;

# limit_rate is nginx's, and is obeyed

my $limited = $h2->get('/limited?channels=rate');
$limited->recv_json;
my $start = time();
publish('rate', 'message', 'r' x 25000) for 1 .. 4;
is(length(data($limited, 30)), 25000, 'limit_rate') for 1 .. 4;
cmp_ok(time() - $start, '>=', 2, 'takes its time');

# a reload ends streams in time, and their connection

my $last = $h2->get('/events?channels=a');
$last->recv_json;
$t->reload;
ok($last->wait_eof, 'ended by a reload');
$last->next_event;
cmp_ok($last->retry // 0, '>=', 1000, 'retry');
ok($last->complete, 'in good order');
$_->disconnect for $h2;
ok($t->wait_for(sub { !$t->leaving }), 'the old worker ends');


sub h2 {
	return Test::Sync::H2->new(port => $t->port(1), @_);
}

sub publish {
	my ($room, $event, $data) = @_;
	$t->http('POST', '/control/publish', json => { room => $room,
		event => $event, data => $data });
}

sub disconnect {
	$t->http('POST', '/control/disconnect', json => { clientId => $_[0] });
}

sub data {
	my ($es, $timeout) = @_;
	my $e = $es->recv($timeout) or return undef;
	return $json->decode($e->{data})->{data};
}

sub clients_become {
	my ($n) = @_;
	my $clients = sub { $t->http('GET', '/status')->json->{clients} };
	$t->wait_for(sub { $clients->() == $n });
	return $clients->();
}
