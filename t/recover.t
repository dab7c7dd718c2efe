#!/usr/bin/perl

# Copyright (C) sync for nginx

# Recoverable rooms over WebSocket: positions, and what a client is told that
# hands one back.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

my $t = Test::Sync->new->plan(45);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;

    sync_room "doc:*"   recoverable history=10 ttl=1h;
    sync_room "brief:*" recoverable history=10 ttl=1s;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /ws      { sync websocket; }
        location /control { sync control; }
        location /status  { sync status; }
    }
}
EOF

$t->run;

my $i = 0;

my $ws = client();
my $r = ask($ws, 'joinRoom', group => 'doc:1');

is_deeply([ @$r{qw/ rooms recovered reason /} ], [ [ 'doc:1' ],
	JSON::PP::false, 'new' ], 'nothing to recover');
like($r->{pos}, qr!^0/0\.[0-9a-f]{8}$!, 'an empty room has a position');
is_deeply(ask($ws, 'joinRoom', group => 'chat'), { rooms => [ 'doc:1', 'chat' ]
	}, 'a volatile room has none');

my $empty = $r->{pos};

# each message has one

my @said = map { publish('doc:1', $_) } 1 .. 5;
my @heard = map { $ws->recv_event('message') } 1 .. 5;

is_deeply([ map { $_->[1] } @heard ], [ 1 .. 5 ], 'heard');
is_deeply([ map { $_->[2]{pos} } @heard ], [ map { $_->{position} } @said ],
	'with the position that the publisher was told');
like($said[0]{position}, qr!^0/1\.!, 'LSN of the first');
like($said[4]{position}, qr!^0/5\.!, 'and of the last');
is($said[4]{receivers}, 1, 'receivers');

# handed back

my $two = client();
$r = ask($two, 'joinRoom', group => 'doc:1', pos => $said[1]{position});
is_deeply($r, { rooms => [ 'doc:1' ], recovered => JSON::PP::true,
	reason => undef, pos => $said[4]{position} }, 'recovered');
is_deeply(missed($two, 3), [ 3 .. 5 ], 'what was missed follows');

publish('doc:1', 6);
is_deeply(missed($two, 1), [ 6 ], 'then what is new');

my $three = client();
ok(ask($three, 'joinRoom', group => 'doc:1', pos => $empty)->{recovered},
	'from the very beginning');
is_deeply(missed($three, 6), [ 1 .. 6 ], 'all of it');

# on the same connection, too

ok(ask($three, 'joinRoom', group => 'doc:1', pos => $said[3]{position})
	->{recovered}, 'once more');
is_deeply(missed($three, 2), [ 5, 6 ], 'again from there');
is(ask($three, 'joinRoom', group => 'doc:1')->{pos}, at(6),
	'who is there already is told where it is');

# positions that are none

refused('invalid', $_->[1], $_->[0])
	for [ 'no position', 'x' ], [ 'a number', 5 ], [ 'empty', '' ],
	[ 'an LSN alone', '0/1' ], [ 'too long', '0/1.' . '0' x 100 ];

refused('reset', '0/99.00000000', 'beyond the top');
refused('reset', '1/0.00000000', 'far beyond');
refused('fork', '0/3.00000000', 'of another log');
refused('fork', '0/6.00000000', 'of another log, at the top');
refused('fork', '0/0.00000000', 'of another log, at its beginning');

# too old: the log keeps 10

publish('doc:1', $_) for 7 .. 15;
is_deeply(missed($ws, 10), [ 6 .. 15 ], 'all are heard');

ok($t->wait_for(sub { (ask(client(), 'joinRoom', group => 'doc:1',
	pos => $said[3]{position})->{reason} // '') eq 'trimmed' }), 'trimmed');
my $late = client();
ok(ask($late, 'joinRoom', group => 'doc:1', pos => $said[4]{position})
	->{recovered}, 'the last one that was trimmed is enough');
is_deeply(missed($late, 10), [ 6 .. 15 ], 'as nothing is missing');

# too old: none is younger than a second

my $brief = publish('brief:1', 1);
publish('brief:1', 2);
my $keeper = client();
ask($keeper, 'joinRoom', group => 'brief:1');
ok($t->wait_for(sub { (ask(client(), 'joinRoom', group => 'brief:1',
	pos => $brief->{position})->{reason} // '') eq 'expired' }), 'expired');

my $gone = publish('brief:2', 1);
ok($t->wait_for(sub { !exists_room('brief:2') }, 10),
	'a room without members expires');
is(ask(client(), 'joinRoom', group => 'brief:2', pos => $gone->{position})
	->{reason}, 'reset', 'who comes back is told');

# a room that was there, and began anew, is not the same

my $anew = client();
my $old = ask($anew, 'joinRoom', group => 'brief:3')->{pos};
$anew->disconnect;
publish('brief:3', 'missed');
ok($t->wait_for(sub { !exists_room('brief:3') }, 10), 'it went');
publish('brief:3', 'new');
is(ask(client(), 'joinRoom', group => 'brief:3', pos => $old)->{reason},
	'fork', 'an empty room that began anew is another one');

# the room stays without members, and the position is good on any worker

my $before = at(14);
$_->disconnect for $ws, $two, $three, $late;
my $again = client();
ok(ask($again, 'joinRoom', group => 'doc:1', pos => $before)->{recovered},
	'recovered after all had left');
is_deeply(missed($again, 1), [ 15 ], 'what was missed');

# messages that are not for a client move its position

my $me = client();
ask($me, 'joinRoom', group => 'doc:2');
$r = control('publish', room => 'doc:2', data => 1, except => [ $me->{id} ]);
is_deeply($me->recv_event('position'), [ 'position', { room => 'doc:2',
	pos => $r->{rooms}{'doc:2'}{position} } ], 'it is told where it is');

control('publish', rooms => [ 'doc:2' ], data => 2, except => [ $me->{id} ]);
control('publish', room => 'doc:2', data => 3);
is($me->recv_event('message')->[1], 3, 'or learns by what it hears');

my $s = $t->http('GET', '/status')->json->{counters};
cmp_ok($s->{recovered}, '>=', 5, 'counted: recovered');
cmp_ok($s->{lost}, '>=', 10, 'counted: lost');
cmp_ok($s->{replayed}, '>=', 20, 'counted: replayed');
cmp_ok($s->{evictedCount}, '>=', 5, 'counted: evicted by number');
cmp_ok($s->{evictedAge}, '>=', 2, 'counted: evicted by age');
is($s->{gaps}, 0, 'nobody was told of a gap');

# Asks and returns the answer's object.

sub ask {
	my ($ws, $event, %o) = @_;
	my $n = ++$i;

	$ws->send_json([ $event, { %o, responseIndex => $n } ]);

	return $ws->recv_event("$event-$n")->[1];
}

sub client {
	my $ws = $t->ws('/ws');
	$ws->{id} = $ws->recv_event('connected')->[1]{clientId};
	return $ws;
}

sub control {
	my ($op, %o) = @_;
	return $t->http('POST', "/control/$op",
		headers => { 'Content-Type' => 'application/json' },
		body => JSON::PP::encode_json(\%o))->json;
}

sub publish {
	my ($room, $data) = @_;
	return control('publish', room => $room, data => $data)->{rooms}{$room};
}

sub exists_room {
	my ($room) = @_;
	return grep { $_->{room} eq $room }
		@{$t->http('GET', '/control/rooms')->json->{rooms}};
}

# The data of the next n messages.

sub missed {
	my ($ws, $n) = @_;
	return [ map { ($ws->recv_event('message') // [])->[1] } 1 .. $n ];
}

# The position of the n-th message of doc:1, as a newcomer hears it.

sub at {
	my ($n) = @_;
	my $c = client();

	ask($c, 'joinRoom', group => 'doc:1', pos => $said[4]{position});

	while (my $m = $c->recv_event('message')) {
		return $m->[2]{pos} if $m->[1] == $n;
	}
}

sub refused {
	my ($reason, $pos, $name) = @_;
	my $r = ask(client(), 'joinRoom', group => 'doc:1', pos => $pos);

	is_deeply([ $r->{recovered}, $r->{reason} ], [ JSON::PP::false, $reason ],
		$name);
}
