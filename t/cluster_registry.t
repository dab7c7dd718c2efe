#!/usr/bin/perl

# Copyright (C) sync for nginx

# Clients that left one host are known to the other, by way of Redis, also when
# that host is no more; they are written again when Redis was away.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use Test::Sync;

###############################################################################

my $a = Test::Sync->new->plan(32);
my $b = Test::Sync->new;
my $redis = $a->redis(port => 1);

for my $t ($a, $b) {
	my $port = $redis->port;

	$t->write_conf(<<"EOF");
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone  zone=sync:8m;
    sync_redis redis://127.0.0.1:$port prefix=app timeout=2s;
    sync_room  "doc:*" recoverable history=150 ttl=1h;
    sync_registry ttl=1h;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /ws       { sync websocket; }
        location /sse      { sync sse; }
        location /sio/     { sync socketio; sync_recovery 2m; }
        location /control/ { sync control; }
        location /status   { sync status; }
    }
}
EOF

	$t->run;
}

ok(linked($_), 'links') for $a, $b;

###############################################################################

# one that leaves

my $sse = $a->sse('/sse?channels=doc:1,chat&userId=u1');
my $id = $sse->recv_json->{clientId};

ok(answer($b, $id)->json->{client}{connected}, 'who is here is known there');

my $pos = $a->http('POST', '/control/publish', json => { room => 'doc:1',
	event => 'say', data => 1 })->json->{rooms}{'doc:1'}{position};
is($sse->recv_json->{data}, 1, 'heard');
$sse->disconnect;

ok(left($b, $id), 'it left');

my $r = answer($b, $id)->json->{client};

is($r->{clientId}, $id, 'its id');
is($r->{userId}, 'u1', 'its user');
is($r->{connected}, JSON::PP::false(), 'not connected');
is_deeply($r->{rooms}, [ 'doc:1', 'chat' ], 'its rooms');
is_deeply($r->{lastPosition}, { 'doc:1' => $pos }, 'its position');
is_deeply($r, answer($a, $id)->json->{client}, 'as its host tells of it');

my $ttl = $redis->command('TTL', "app:c:$id");
ok($ttl > 3000 && $ttl <= 3600, 'it is not kept for ever');
is(answer($b, 'AAAAAAAAAAAAAAAAAAAAAA')->status, 404, 'nobody');

# many at once

my @ws = $a->ws_many(200, '/ws');
my @ids = map { $_->recv_json->[1]{clientId} } @ws;
$_->disconnect for @ws;

ok($a->wait_for(sub {
	return !grep { !defined } @{$redis->command('MGET',
		map { "app:c:$_" } @ids)};
}), 'many at once');

# Redis is away, and has forgotten all

my $ws = $a->ws('/ws');
$id = $ws->recv_json->[1]{clientId};

$redis->kill;
$ws->disconnect;

ok($b->wait_for(sub { answer($b, $id)->status == 503 }), 'Redis is away');

$redis->start;

ok(linked($_), 'links again') for $a, $b;
ok(left($b, $id), 'it left meanwhile');

# one that comes back as who it was did not leave

my $sio = recovered();
$sio->{ws}->shut;
ok(left($b, $sio->{sid}), 'a client of Socket.IO left');
my $same = recovered($sio->{pid});
is($same->{sid}, $sio->{sid}, 'it is back');
ok($a->wait_for(sub {
	return !$redis->command('EXISTS', "app:c:$sio->{sid}")
		&& $redis->command('ZCARD', 'app:left') == 1;
}), 'and is not listed');

# the host dies: those who left it are listed by the other, by pages

my $here = $b->ws('/ws');
my %left = map { $_ => 1 } $id, $here->recv_json->[1]{clientId};
$same->{ws}->shut;
ok(left($b, $same->{sid}), 'it left for good');
$left{$same->{sid}} = 1;

my @named = map { $a->sse("/sse?channels=doc:2&userId=who$_") } 1 .. 30;
my @who = map { $_->recv_json->{clientId} } @named;
$_->disconnect for @named;
$left{$_} = 1 for @who;

cmp_ok(scalar(ids('connected' => 'any', limit => 1000)), '>=', 232,
	'with all that their host knows');

ok($a->wait_for(sub {
	return $redis->command('ZCARD', 'app:left') == keys(%left) - 1;
}), 'Redis has those that left since it is back');

$a->kill_all;

is_deeply([ sort(ids('connected' => 'any', limit => 7)) ],
	[ sort keys %left ], 'all, by pages of 7');
is_deeply([ ids('connected' => 'any', limit => 1000) ],
	[ ids('connected' => 'any', limit => 7) ], 'in the same order');
is(scalar(ids('connected' => 'false', limit => 100)), keys(%left) - 1,
	'those that left');
is_deeply([ ids('connected' => 'false', user => 'who7') ], [ $who[6] ],
	'by user');
is_deeply([ sort(ids('connected' => 'false', room => 'doc:2', limit => 4)) ],
	[ sort @who ], 'by room');
is(scalar(ids('connected' => 'false', user => 'who')), 0, 'of no user');

$r = $b->http('GET', "/control/clients?connected=false&user=who7")->json
	->{clients}[0];
is_deeply([ sort keys %$r ], [ qw/ clientId connected connectedAt lastActivity
	leftAt roomCount transport userId / ], 'as lists have them');

# what Redis has not any more is not listed, and forgotten

$redis->command('DEL', "app:c:$who[6]");
is(scalar(ids('connected' => 'false', user => 'who7')), 0, 'forgotten');

###############################################################################

sub recovered {
	my ($pid) = @_;

	my $ws = $a->ws('/sio/?EIO=4&transport=websocket');

	$ws->recv_text;
	$ws->send_text('40' . ($pid ? qq({"pid":"$pid"}) : ''));

	return { ws => $ws, %{decode_json(substr $ws->recv_text, 2)} };
}

# All that are listed.

sub ids {
	my (%o) = @_;

	my (@ids, $cursor);

	do {
		my $args = join '&', map { "$_=$o{$_}" } sort keys %o;
		$args .= "&cursor=$cursor" if defined $cursor;
		my $json = $b->http('GET', "/control/clients?$args")->json;
		push @ids, map { $_->{clientId} } @{$json->{clients}};
		$cursor = $json->{cursor};
	} while ($cursor);

	return @ids;
}

sub answer {
	my ($t, $id) = @_;
	return $t->http('GET', "/control/client?clientId=$id");
}

sub left {
	my ($t, $id) = @_;

	# its host may be asked before Redis has it

	return $t->wait_for(sub {
		my $r = answer($t, $id);
		return $r->status == 200 && !$r->json->{client}{connected}
			&& $redis->command('EXISTS', "app:c:$id");
	});
}

sub linked {
	my ($t) = @_;

	return $t->wait_for(sub {
		my $r = $t->http('GET', '/status')->json->{redis};
		return $r->{subscribed} && !$r->{degraded};
	}, 20);
}

###############################################################################
