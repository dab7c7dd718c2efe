#!/usr/bin/perl

# Copyright (C) sync for nginx

# Publishing to recoverable rooms: id and lsn, and what is answered.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

my $t = Test::Sync->new->plan(35);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;

    sync_room "doc:*" recoverable history=100;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /ws      { sync websocket; }
        location /control { sync control; }
        location /status  { sync status; }
    }
}
EOF

$t->run;

my $ws = $t->ws('/ws');
$ws->recv_event('connected');
$ws->send_json([ 'joinRoom', { group => 'doc:1', responseIndex => 1 } ]);
$ws->recv_event('joinRoom-1');

# the same id, the same answer

my $first = publish(room => 'doc:1', data => 1, id => 'a');
is($first->status, 200, 'published');
is($first->json->{rooms}{'doc:1'}{receivers}, 1, 'to one');
is(publish(room => 'doc:1', data => 1, id => 'a')->body, $first->body,
	'again, byte by byte');
publish(room => 'doc:1', data => 2, id => 'b');
is(publish(room => 'doc:1', data => 'other', id => 'a')->body, $first->body,
	'whatever is said');
publish(room => 'doc:1', data => 3);
is_deeply([ map { $ws->recv_event('message')->[1] } 1 .. 3 ], [ 1, 2, 3 ],
	'heard once');

publish(room => 'doc:2', data => 'x', id => 'a');
my $r = publish(rooms => [ 'doc:1', 'doc:2', 'doc:3' ], data => 4, id => 'a')
	->json->{rooms};
is($r->{'doc:1'}{position}, $first->json->{rooms}{'doc:1'}{position},
	'known in this room');
like($r->{'doc:3'}{position}, qr!^0/1\.!, 'new in that one');

# many ids: as many as there are messages, 64 at least

publish(room => 'doc:4', data => $_, id => "id$_") for 1 .. 300;
like(pos_of('doc:4', id => 'id300'), qr!^0/12C\.!, 'the last one');
like(pos_of('doc:4', id => 'id201'), qr!^0/C9\.!, 'and a hundred before it');
like(pos_of('doc:4', id => 'id1'), qr!^0/12D\.!, 'the first was forgotten');

# in a volatile room there is nothing to know it by

my $v = publish(room => 'chat', data => 1, id => 'a');
is($v->json->{rooms}{chat}{position}, undef, 'a volatile room');

# one's own LSNs

like(pos_of('doc:5', lsn => '0/16B3748'), qr!^0/16B3748\.[0-9a-f]{8}$!,
	'an LSN');
like(pos_of('doc:5', lsn => 23803721), qr!^0/16B3749\.!, 'a number');
like(pos_of('doc:5'), qr!^0/16B374A\.!, 'none: the next');
like(pos_of('doc:5', lsn => '1/0'), qr!^1/0\.!, 'far above');

my $stale = publish(room => 'doc:5', data => 1, lsn => '1/0');
is($stale->status, 409, 'not above the top');
is($stale->json->{errorCode}, 'publish.stale', 'stale');
like($stale->json->{rooms}{'doc:5'}{position}, qr!^1/0\.!,
	'with the last position');
is(publish(room => 'doc:5', data => 1, lsn => '0/1')->status, 409, 'far below');

# of several rooms those get it that have not

publish(room => 'doc:6', data => 1, lsn => 10);
$stale = publish(rooms => [ 'doc:6', 'doc:7' ], data => 1, lsn => 10);
is($stale->status, 409, 'one is stale');
is($stale->json->{rooms}{'doc:6'}{errorCode}, 'publish.stale', 'that one');
like($stale->json->{rooms}{'doc:7'}{position}, qr!^0/A\.!,
	'the other has it');

# an id is looked at first: a replay is harmless both ways

$r = publish(room => 'doc:8', data => 1, lsn => 5, id => 'x');
is(publish(room => 'doc:8', data => 1, lsn => 5, id => 'x')->body, $r->body,
	'a known id is not stale');

is($t->http('POST', '/control/broadcast', json => { channel => 'doc:8',
	data => 1, lsn => 5 })->status, 409, 'a broadcast may be stale, too');

# fields that are none

bad('"id" must be 1 to 256 bytes long', room => 'doc:1', id => '');
bad('"id" must be 1 to 256 bytes long', room => 'doc:1', id => 'x' x 257);
bad('"lsn" must be a number above 0, or as "0/16B3748"', room => 'doc:1',
	lsn => $_) for 0, -1, '0/0', 'x', '1', [ ];
bad('"id" and "lsn" are for rooms', all => JSON::PP::true, id => 'a');

my $s = $t->http('GET', '/status')->json->{counters};
is($s->{repeated}, 7, 'counted: repeated');
is($s->{stale}, 4, 'counted: stale');

sub publish {
	my %o = @_;
	return $t->http('POST', '/control/publish', json => \%o);
}

sub pos_of {
	my ($room, %o) = @_;
	return publish(room => $room, data => 0, %o)->json->{rooms}{$room}
		{position};
}

sub bad {
	my ($message, %o) = @_;
	is(publish(%o)->json->{message}, $message, $message);
}
