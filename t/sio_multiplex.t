#!/usr/bin/perl

# Copyright (C) sync for nginx

# Several namespaces in one session: each has its client, its rooms and its
# answers, comes and goes by itself, and moves with the session; the end of the
# session is that of all.

use warnings;
use strict;

use FindBin;
use JSON::PP;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::Sync;

my $t = Test::Sync->new->plan(58);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    keepalive_requests 100000;

    sync_zone zone=sync:8m;
    sync_room "doc:*" recoverable history=100 ttl=1h;
    sync_drain 1s;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /socket.io/ {
            sync socketio;
            sync_hook connect /hook;
            sync_hook disconnect /gone;
        }

        location /again/ {
            sync socketio;
            sync_recovery 2m;
            sync_hook connect /hook;
        }

        location /slow/ {
            sync socketio;
            sync_queue 4m;
            sync_hook connect /hook;
        }

        location ~ ^/(hook|gone)$ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
        }

        location /control/ { sync control; }
        location /status { sync status; }
    }
}
EOF

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;
	my $nsp = $r->{json}{namespace} // '';

	return [ [ 'wait', 'slow' ], [ 'head', 200,
		'Content-Type: application/json', 'Content-Length: 2' ],
		[ 'raw', '{}' ] ] if $nsp eq '/slow';

	return { json => $nsp eq '/no' ? { stop => { errorCode => 'no.entry' } }
		: {} };
});

$t->run;

my $url = 'http://127.0.0.1:' . $t->port(0);
my $rounds = 30;

# socket.io-client

for my $way ('websocket', 'polling', 'polling,websocket') {
	open my $out, '-|', 'node', "$FindBin::Bin/sio/multiplex.mjs", $url, $way,
		$rounds or die "node: $!\n";
	my $r = decode_json(<$out> // '{}');
	close $out;

	is_deeply($r->{errors}, { '/no' => 'no.entry' }, "$way: one is refused");
	is($r->{ids}, 3, "$way: the others have their ids");
	is($r->{answers}, 3 * $rounds + 2, "$way: and their answers");
	is_deeply([ map { wrong($r->{heard}{$_}, $_ eq '/a') } qw( / /a /b ) ],
		[], "$way: each hears each, in order");
	is($r->{closed}, '/a', "$way: one leaves, the others stay");
	is_deeply([ $r->{again}{rooms}, $r->{rooms}{rooms} ], [ [], [ 'm' ] ],
		"$way: it comes back, as another");
	is($r->{transport}, $way eq 'polling' ? 'polling' : 'websocket',
		"$way: the transport");
	ok($t->wait_for(sub { return clients() == 0 }), "$way: all are gone");
}

# the app is told who asks

my %who = map { $_->{json}{namespace} => $_->{json}{auth}{who} }
	$hook->requests(qr/hook/);
is_deeply(\%who, { map { $_ => $_ } qw( / /a /b /no ) }, 'the app is told');

# WebSocket alone, packet by packet

my $ws = $t->ws('/socket.io/?EIO=4&transport=websocket');
$ws->recv_text;
$ws->send_text('40/slow,');
$ws->send_text('40/a,');
like($ws->recv_text, qr/^40\/a,\{"sid"/, 'one does not wait for another');
$hook->go('slow');
like($ws->recv_text, qr/^40\/slow,\{"sid"/, 'which comes');
$ws->send_text('40');
my ($id) = $ws->recv_text =~ /^40\{"sid":"([\w-]+)"/;
ok($id, 'the default one too');

$ws->send_text('42/a,["joinRoom",{"group":"r","responseIndex":1}]');
is($ws->recv_text, '42/a,["joinRoom-1",{"rooms":["r"]}]', 'an event');
$ws->send_text('42["getJoinedRooms",{"responseIndex":1}]');
is($ws->recv_text, '42["getJoinedRooms-1",{"rooms":[]}]',
	'rooms are each one\'s');
$ws->send_text('451-/a,7["getJoinedRooms",{"_placeholder":true,"num":0}]');
$ws->send_binary("\x00\x01");
is($ws->recv_text, '43/a,7[{"rooms":["r"]}]', 'bytes, and an answer');
publish('x' x 1000);
is($ws->recv_text, '42/a,["e","' . 'x' x 1000 . '",{"room":"r"}]', 'a message');

$ws->send_text('41/slow,');
ok($t->wait_for(sub { return clients() == 2 }), 'the first one leaves');
$ws->send_text('41/a,');
ok($t->wait_for(sub { return clients() == 1 }), 'another one leaves');
$ws->send_text('42["getJoinedRooms",{"responseIndex":2}]');
is($ws->recv_text, '42["getJoinedRooms-2",{"rooms":[]}]', 'the last stays');
$ws->send_text("40/n$_,") for 2 .. 16;
like($ws->recv_text, qr/^40\/n/, "one more") for 2 .. 3;
$ws->recv_text for 4 .. 16;
$ws->send_text('40/more,');
is($ws->recv_text, '44/more,{"message":"Too many namespaces"}', 'too many');
$ws->send_text('40/n2,');
is($ws->wait_close, 1005, 'one of them twice: all end');
ok($t->wait_for(sub { return clients() == 0 }), 'all are gone');

# kicked is the session

$ws = $t->ws('/socket.io/?EIO=4&transport=websocket');
$ws->recv_text;
$ws->send_text('40');
$ws->recv_text;
$ws->send_text('40/a,');
($id) = $ws->recv_text =~ /"sid":"([\w-]+)"/;
$t->http('POST', '/control/disconnect', json => { clientId => $id });
ok($ws->wait_close, 'kicked: the session ends');
ok($t->wait_for(sub { return clients() == 0 }), 'all are gone');

# who lost its connection is told to the app as all that it was, and comes back
# as that: a namespace by itself

$ws = $t->ws('/again/?EIO=4&transport=websocket');
$ws->recv_text;
my (%was, %is, %pos);

for my $nsp ('', '/a,', '/b,') {
	$ws->send_text("40$nsp");
	$was{$nsp} = decode_json($ws->recv_text =~ s/^40$nsp//r);
	$ws->send_text("42$nsp" . '["joinRoom",{"group":"doc:1",'
		. '"responseIndex":1}]');
	$ws->recv_text;
}

publish(1, 'doc:1');

for (1 .. 3) {
	my ($nsp, $pos) = $ws->recv_text =~ m!^42(/\w,)?.*"pos":"([^"]+)"!;
	$pos{$nsp // ''} = $pos;
}

$ws->disconnect;
ok($t->wait_for(sub { return clients() == 0 }), 'the connection is lost');
publish(2, 'doc:1');

$ws = $t->ws('/again/?EIO=4&transport=websocket');
$ws->recv_text;
my %missed;

for my $nsp ('/b,', '', '/a,') {
	$ws->send_text("40$nsp" . encode_json({ pid => $was{$nsp}{pid},
		offset => $nsp eq '/a,' ? 'x' : $pos{$nsp} }));
	$is{$nsp} = decode_json($ws->recv_text =~ s/^40$nsp//r);
	($missed{$nsp}) = $ws->recv_text =~ m!^42$nsp\["e",(\d)! if $nsp ne '/a,';
}

is_deeply(\%missed, { '/b,' => 2, '' => 2 }, 'two are back and missed nothing');
is_deeply([ map { $is{$_}{sid} eq $was{$_}{sid} ? 1 : 0 } ('', '/a,', '/b,') ],
	[ 1, 0, 1 ], 'as who they were, and one is new');
$ws->shut;
ok($t->wait_for(sub { return clients() == 0 }), 'all are gone');

# one that does not read for a while hears all then; one that never does ends

my ($slow, $never) = map {
	my $ws = $t->ws("$_?EIO=4&transport=websocket");

	$ws->recv_text;

	for my $nsp ('', '/a,', '/b,') {
		$ws->send_text("40$nsp");
		$ws->recv_text;
		$ws->send_text("42$nsp" . '["joinRoom",{"group":"r",'
			. '"responseIndex":1}]');
		$ws->recv_text;
	}

	$ws;
} '/slow/', '/socket.io/';

my $many = 60;
publish("$_," . 'x' x 60000) for 1 .. $many;
my %got;

for (1 .. 3 * $many) {
	my $text = $slow->recv_text // last;
	push @{$got{$1 // ''}}, $2 if $text =~ m!^42(/\w,)?\["e","(\d+),x{60000}"!;
}

is_deeply(\%got, { map { $_ => [ 1 .. $many ] } ('', '/a,', '/b,') },
	'who did not read hears all');
$slow->shut;

for (1 .. 2000) {
	publish('x' x 60000);
	last if clients() == 0;
}

is(clients(), 0, 'who never does ends');
$never->disconnect;

# many sessions are upgraded while they are told and say something

my @many = map { opened('/', '/a', '/b') } 1 .. 12;
my @up = $t->ws_many(12, sub { return $many[$_[0]]->uri('websocket') });
my $said = 0;
my @lost;

for (0 .. $#up) {
	$up[$_]->send_text('2probe');
	publish($said++);
	$up[$_]->recv_text;
	publish($said++);
	$up[$_]->send_text('5');
	publish($said++);
	$up[$_]->send_text('42/b,["getJoinedRooms",{"responseIndex":3}]');
	publish($said++);
	$up[$_]->send_text('42/a,["getJoinedRooms",{"responseIndex":4}]');
}

for my $up (@up) {
	my (%got, %answers);

	while (keys %answers < 2 || grep { @{$got{$_} || []} < $said }
		('', '/a,', '/b,'))
	{
		my $text = $up->recv_text // last;
		push @{$got{$1 // ''}}, $2 if $text =~ m!^42(/\w,)?\["e",(\d+)!;
		$answers{$1 . $2} = 1 if $text =~ m!^42(/\w,)\["getJ\w+-(\d)!;
	}

	push @lost, grep { "@{$got{$_} || []}" ne "@{[ 0 .. $said - 1 ]}" }
		('', '/a,', '/b,');
	push @lost, %answers if "@{[ sort keys %answers ]}" ne '/a,4 /b,3';
}

is_deeply(\@lost, [], 'upgrades: nothing lost, doubled, reordered');
is($t->http('GET', '/status')->json->{sessions}, 0, 'no sessions are left');
$up[$_]->shut for 0 .. 5;
$up[$_]->disconnect for 6 .. 11;
ok($t->wait_for(sub { return clients() == 0 }), 'all are gone');

# a session that polls is taken over by another worker

my @all = map { opened('/', '/a', '/b') } 1 .. 4;
my @polls = map { $_->poll } @all;
$t->reload;
$all[$_]->answer($polls[$_]) for 0 .. $#all;
publish('moved');

my @heard;

for my $s (@all) {
	push @heard, join ' ', sort map { $s->recv } 1 .. 3;
	$s->post('42/b,["getJoinedRooms",{"responseIndex":5}]');
	push @heard, $s->recv;
}

is_deeply(\@heard, [ map { ('42/a,["e","moved",{"room":"r"}] '
	. '42/b,["e","moved",{"room":"r"}] 42["e","moved",{"room":"r"}]',
	'42/b,["getJoinedRooms-5",{"rooms":["r"]}]') } @all ],
	'a reload: all go on');
ok($t->wait_for(sub { return !$t->leaving }), 'the workers leave');
is($t->http('GET', '/status')->json->{sessions}, 4, 'sessions');
$_->post('1') for @all;
ok($t->wait_for(sub { return clients() == 0 }), 'they close: all are gone');
is($t->http('GET', '/status')->json->{sessions}, 0, 'and the sessions');

# workers die

opened('/', '/a', '/b') for 1 .. 4;
$t->kill_worker(0) for 1 .. $t->worker_processes;
ok($t->wait_for(sub { return clients() == 0 }), 'they die: all are gone');
ok($t->wait_for(sub { return !$t->http('GET', '/status')->json->{sessions} }),
	'and the sessions');

###############################################################################

# What is wrong with what one heard: its own, and that of the other two.

sub wrong {
	my ($heard, $left) = @_;
	my @wrong;

	for my $from (qw/ a b c /) {
		my @got = map { /^$from(.*)/ ? $1 : () } @$heard;
		my @want = (0 .. $rounds - 1,
			$left || $from eq 'b' ? () : 'left');

		push @wrong, "$from: @got" if "@got" ne "@want";
	}

	return @wrong;
}

# A session that polls, in some namespaces and in a room in each.

sub opened {
	my $s = $t->eio;

	for my $nsp (@_) {
		my $to = $nsp eq '/' ? '' : "$nsp,";

		$s->post("40$to");
		$s->recv;
		$s->post("42$to" . '["joinRoom",{"group":"r","responseIndex":1}]');
		$s->recv;
	}

	return $s;
}

sub publish {
	my ($data, $room) = @_;
	$t->http('POST', '/control/publish', json => { room => $room // 'r',
		event => 'e', data => $data });
}

sub clients { return $t->http('GET', '/status')->json->{clients} }
