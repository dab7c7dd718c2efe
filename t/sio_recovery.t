#!/usr/bin/perl

# Copyright (C) sync for nginx

# Connection state recovery of Socket.IO: a client that comes back with its
# "pid" and the position of the last message it got is who it was, in its rooms,
# and hears what it missed; or it is told that it is not.

use warnings;
use strict;

use FindBin;
use JSON::PP;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::Sync;

my $t = Test::Sync->new->plan(68);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone  zone=sync:8m;
    sync_drain 0;
    sync_room  "doc:*"   recoverable history=20 ttl=1h;
    sync_room  "brief:*" recoverable history=20 ttl=1s;
    sync_room  "small:*" recoverable history=2 ttl=1h;

    sync_token auth:token;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /socket.io/ { sync socketio; sync_recovery 2m; }
        location /short/     { sync socketio; sync_recovery 200ms; }
        location /few/       { sync socketio; sync_recovery 2m max=1; }
        location /off/       { sync socketio; }
        location /who/       { sync socketio; sync_recovery 2m;
                               sync_session memory; }
        location /control    { sync control; }
        location /status     { sync status; }
    }
}
EOF

$t->run;

# one room

my $c = client();
like($c->{pid}, qr/^[\w-]{44}$/, 'a pid');

join_room($c, 'doc:1');
my @one = map { publish('doc:1', $_) } 1 .. 4;
is(heard($c, 2), 'doc:1 1, doc:1 2', 'heard');

# the others were on their way

$c = again($c);
ok($c->{same}, 'who it was');
is(heard($c, 2), 'doc:1 3, doc:1 4', 'what it missed');
is_deeply(rooms_of($c), [ 'doc:1' ], 'its room');

publish('doc:1', 5);
is(heard($c, 1), 'doc:1 5', 'what is new');

leave($c);
publish('doc:1', $_) for 6, 7;
$c = back($c);
ok($c->{same}, 'again');
is(heard($c, 2), 'doc:1 6, doc:1 7', 'what was said while it was away');
is(quiet($c), '', 'no more');
counted(2, 0, 0);

# nothing was heard yet, in this life or the one before

$c = client();
join_room($c, 'doc:2');
publish('doc:2', 1);
wait_delivered();
$c = again($c);
ok($c->{same} && heard($c, 1) eq 'doc:2 1', 'nothing was heard');
$c = again($c, $c->{offset}, 1);
ok($c->{same} && quiet($c) eq '', 'all was heard');

$c = client();
$c->{offset} = $one[0];
join_room($c, 'doc:1');
publish('doc:1', 8);
wait_delivered();
$c = again($c);
ok($c->{same} && heard($c, 7) =~ /^doc:1 2, .*, doc:1 8$/,
	'a position of before it joined');

# in no room at all

$c = again(client());
ok($c->{same}, 'in no room');

# two rooms: what was heard of the one says what was of the other

for my $n (0 .. 5) {
	$c = client();
	join_room($c, $_) for "doc:a$n", "doc:b$n";

	my @all;

	for my $i (1 .. 3) {
		for my $room ("doc:a$n", "doc:b$n") {
			publish($room, $i);
			push @all, "$room $i";
			wait_delivered();
		}
	}

	my $first = heard($c, $n);
	$c = again($c);

	my $rest = heard($c, 6 - $n);
	my @rest = split /, /, $rest;

	ok($c->{same}, "two rooms, $n heard");
	is($first, join(', ', @all[0 .. $n - 1]), 'in order');

	is_deeply([ grep(/:a/, @rest), grep(/:b/, @rest) ],
		[ grep(/:a/, @all[$n .. 5]), grep(/:b/, @all[$n .. 5]) ],
		'the others, once');
	ok(quiet($c) eq '', 'no more');
	leave($c);
}

# a room that was left, in between

$c = client();
join_room($c, $_) for 'doc:c', 'doc:d', 'doc:e';
publish($_, 1) for 'doc:c', 'doc:d', 'doc:e';
heard($c, 3);
ask($c, 'leaveRoom', { group => 'doc:d' });
publish('doc:c', 2);
heard($c, 1);
$c = again($c);
ok($c->{same}, 'a room was left');
is_deeply(rooms_of($c), [ 'doc:c', 'doc:e' ], 'it still is');
is(quiet($c), '', 'nothing was missed');
leave($c);

# who cannot be

$c = client();
join_room($c, $_) for 'doc:3', 'chat';
leave($c, 1);
fresh('a volatile room');

$c = client();
join_room($c, 'small:1');
my $p = publish('small:1', 1);
heard($c, 1);
leave($c);
publish('small:1', $_) for 2 .. 4;
fresh('messages that were trimmed');

$c = client();
join_room($c, 'brief:1');
publish('brief:1', 1);
heard($c, 1);
leave($c);
publish('brief:1', 2);
ok($t->wait_for(sub { room('brief:1') !~ /brief/ }), 'a room is gone');
fresh('a room that is gone');

$c = client();
join_room($c, 'brief:1');
publish('brief:1', 1);
heard($c, 1);
leave($c);
$t->wait_for(sub { room('brief:1') !~ /brief/ });
publish('brief:1', $_) for 1 .. 3;
fresh('a room of the same name');

$c = client();
join_room($c, $_) for 'brief:2', 'doc:9';
publish($_, 1), heard($c, 1) for 'brief:2', 'doc:9';
leave($c);
$t->wait_for(sub { room('brief:2') !~ /brief/ });
publish('brief:2', $_) for 1 .. 3;
fresh('the same, and another that is as it was');

$c = client('/short/');
my $kept = status()->{absent};
leave($c);
ok($t->wait_for(sub { status()->{absent} == $kept }), 'time is over: freed');
fresh('too late');

$c = client();
$c->{ws}->send_text('41');
leave($c, 1);
fresh('one that said goodbye');

$c = client();
control('disconnect', clientId => $c->{id});
leave($c, 1);
fresh('one that was told to go');

$c = client();
join_room($c, 'doc:4');
$c->{offset} = 'hello';
leave($c);
fresh('a position that is none');

$c = client();
join_room($c, $_) for 'doc:4', 'doc:5';
$c->{offset} = $one[0];
leave($c);
fresh('a position of elsewhere');

$c = client('/off/');
is($c->{pid}, undef, 'off: no pid');

# keys

my $victim = client();
join_room($victim, 'doc:6');
leave($victim);

my $pid = $victim->{pid};

for my $bad (substr($pid, 0, 22) . client()->{pid} =~ s/^.{22}//r,
	substr($pid, 0, 22), $pid . 'A', '', 1, undef)
{
	$c = client('/socket.io/', { pid => $bad, offset => 'x' });
	isnt($c->{id}, $victim->{id}, 'a key that is not its own');
}

$c = back($victim);
ok($c->{same}, 'its own key');
my $other = back($victim);
ok(!$other->{same}, 'once');

# as many as there may be

my @few = map { client('/few/') } 1 .. 2;
my $dropped = status()->{counters}{returnDropped};
my $absent = status()->{absent};
leave($few[0], 1);
$t->wait_for(sub { status()->{counters}{returnDropped} > $dropped
	|| status()->{absent} > $absent });
leave($few[1], 1);
ok($t->wait_for(sub { status()->{counters}{returnDropped} > $dropped }),
	'one too many');

# sessions

control('session', token => "t$_", session => { id => "u$_" }) for 1, 2;

my $who = client('/who/', { token => 't1' });
join_room($who, 'doc:7');
leave($who);

$c = client('/who/', { token => 't2', pid => $who->{pid} });
isnt($c->{id}, $who->{id}, 'somebody else');
$c = client('/who/', { pid => $who->{pid} });
isnt($c->{id}, $who->{id}, 'nobody');
$c = client('/who/', { token => 't1', pid => $who->{pid} });
is($c->{id}, $who->{id}, 'the same');

# a reload lets it go

$c = client();
join_room($c, 'doc:8');
publish('doc:8', 1);
heard($c, 1);
$t->reload;
leave($c, 1);
publish('doc:8', 2);
$c = back($c);
ok($c->{same}, 'reload');
is(heard($c, 1), 'doc:8 2', 'what was said meanwhile');

###############################################################################

sub client {
	my ($uri, $auth) = @_;

	my $ws = $t->ws(($uri // '/socket.io/')
		. '?EIO=4&transport=websocket');

	$ws->recv_text;
	$ws->send_text('40' . ($auth ? encode_json($auth) : ''));

	my $answer = decode_json(substr $ws->recv_text // '40{}', 2);

	return { ws => $ws, id => $answer->{sid}, pid => $answer->{pid},
		uri => $uri, index => 0 };
}

# The connection breaks; unless it is not to be kept that is waited for.

sub leave {
	my ($c, $forgotten) = @_;

	my $n = status()->{absent};

	$c->{ws}->shut;

	if ($forgotten) {
		$t->wait_for(sub { !connected($c) });
		return;
	}

	$t->wait_for(sub { status()->{absent} > $n })
		or diag('was not kept');
}

sub back {
	my ($c) = @_;

	my $new = client($c->{uri}, { pid => $c->{pid},
		$c->{offset} ? (offset => $c->{offset}) : () });

	$new->{same} = ($new->{id} eq $c->{id} && $new->{pid} eq $c->{pid});
	$new->{offset} = $c->{offset};

	return $new;
}

sub again {
	my ($c) = @_;

	leave($c);
	return back($c);
}

sub fresh {
	my ($name) = @_;

	my $new = back($c);

	ok(!$new->{same} && $new->{id} ne $c->{id} && $new->{pid} ne $c->{pid}
		&& !@{rooms_of($new)}, "not recovered: $name");
	$new->{ws}->shut;
}

sub ask {
	my ($c, $event, $arg) = @_;

	my $index = ++$c->{index};

	$c->{ws}->send_text('42' . encode_json([ $event,
		{ %$arg, responseIndex => $index } ]));

	while (1) {
		my $m = $c->{ws}->recv_text // return {};

		return decode_json(substr $m, 2)->[1]
			if $m =~ /^42\["$event-$index"/;

		push @{$c->{got}}, $m;
	}
}

sub join_room {
	my ($c, $room) = @_;

	return ask($c, 'joinRoom', { group => $room });
}

sub rooms_of { return ask($_[0], 'getJoinedRooms', {})->{rooms} }

# The next n messages, as "room data"; the last position is what it has got.

sub heard {
	my ($c, $n) = @_;

	my @got;

	while (@got < $n) {
		my $m = shift @{$c->{got} // []} // $c->{ws}->recv_text(10) // last;

		$m =~ /^42\["e",/ or next;

		my (undef, $data, $place, $offset) = @{decode_json(substr $m, 2)};

		push @got, "$place->{room} $data";
		$c->{offset} = $offset;
	}

	return join ', ', @got;
}

# What else was said to it: it asks, and that is answered after it.

sub quiet {
	my ($c) = @_;

	rooms_of($c);

	my @rest = grep { /^42\["e"/ } @{delete $c->{got} // []};

	return "@rest";
}

sub control {
	my ($op, %fields) = @_;

	return $t->http('POST', "/control/$op", json => \%fields)->json;
}

sub publish {
	my ($room, $data) = @_;

	return control('publish', room => $room, event => 'e', data => $data)
		->{rooms}{$room}{position};
}

sub connected {
	my ($c) = @_;

	my $client = control('client', clientId => $c->{id})->{client};

	return $client && $client->{connected};
}

sub room { return encode_json(control('rooms', prefix => $_[0])) }
sub status { return $t->http('GET', '/status')->json }

# What was published so far is on its way to who is to hear it.

my $delivered;

sub wait_delivered {
	my $s = status()->{counters};

	$delivered //= 0;
	$t->wait_for(sub { status()->{counters}{delivered} > $delivered });
	$delivered = status()->{counters}{delivered};
}

sub counted {
	my ($returned, $failed, $dropped) = @_;

	is_deeply([ @{status()->{counters}}{qw/ returned returnFailed
		returnDropped /} ], [ $returned, $failed, $dropped ], 'counted');
}

###############################################################################
