#!/usr/bin/perl

# Copyright (C) sync for nginx

# Many messages by one publish: each has its own answer, they are in order, and
# none waits for Redis to have the one before.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Test::Sync::Cluster;

###############################################################################

my $a = Test::Sync->new->plan(37);
my $b = Test::Sync->new;
my $alone = Test::Sync->new;
my $redis = $a->redis(port => 2);

for my $t ($a, $b, $alone) {
	my $port = $redis->port;
	my $conf = $t == $alone ? ''
		: "sync_redis redis://127.0.0.1:$port prefix=app timeout=20s;";

	$t->write_conf(<<"EOF");
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone  zone=sync:8m;
    $conf
    sync_room  "doc:*" recoverable history=10000 ttl=1h;
    sync_drain 1s;
    sync_ping  1h 1h;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /ws       { sync websocket; }
        location /control/ { sync control; }
        location /status   { sync status; }
    }
}
EOF
}

$_->run for $a, $b, $alone;
ok(linked($_), 'links') for $a, $b;

###############################################################################

# one host

my $ws = member($alone, 'doc:1');
$ws->send_json([ 'joinRoom', { group => 'chat', responseIndex => 1 } ]);
$ws->recv_event('joinRoom-1');

my ($r, $json) = batch($alone, { room => 'doc:1', event => 'x', data => 1 },
	{ room => 'chat', event => 'x', data => 2 },
	{ clientId => $ws->{id}, event => 'x', data => 3 },
	{ rooms => [ 'doc:1', 'chat' ], event => 'x', data => 4 });

is($r->status, 200, 'four messages');
is($json->{status}, 'success', 'success');
is_deeply([ map { $_->{status} } @{$json->{messages}} ], [ ('success') x 4 ],
	'each has an answer');
like($json->{messages}[0]{rooms}{'doc:1'}{position}, qr!^0/1\.!,
	'with a position');
is_deeply([ sort keys %{$json->{messages}[3]{rooms}} ], [ 'chat', 'doc:1' ],
	'and its rooms');
is_deeply([ sort map { $_->[1] } @{heard($ws, 5)} ], [ 1, 2, 3, 4, 4 ],
	'they are heard');

batch($alone, map { { room => 'doc:1', event => 'x', data => $_ } } 1 .. 1000);
is_deeply(data($ws, 1000), [ 1 .. 1000 ], 'a thousand, in order');

# what is refused, and what is not

($r, $json) = batch($alone, { room => 'doc:1', data => 1, lsn => '0/2000' },
	{ room => 'doc:1', data => 2, lsn => '0/2000' }, { data => 3 },
	{ room => 'doc:1', data => 4, id => 'm' },
	{ room => 'doc:1', data => 5, id => 'm' });

is($r->status, 409, 'one is stale');
is($json->{errorCode}, 'publish.stale', 'the first that was refused');
like($json->{message}, qr/^message 1 /, 'which one');
is_deeply([ map { $_->{errorCode} // 'ok' } @{$json->{messages}} ],
	[ 'ok', 'publish.stale', 'control.invalidRequest', 'ok', 'ok' ],
	'the others are said');
is($json->{messages}[3]{rooms}{'doc:1'}{position},
	$json->{messages}[4]{rooms}{'doc:1'}{position}, 'one id, one position');

for ([ messages => {} ], [ messages => [] ], [ messages => [ 1 ] ],
	[ messages => [ ({ room => 'r' }) x 1001 ] ],
	[ messages => [ { room => 'r' }, { messages => [] } ] ],
	[ messages => [ { room => 'r' } ], room => 'r' ])
{
	my $r = post($alone, 'publish', { @$_ });
	is($r->status . $r->json->{errorCode}, '400control.invalidRequest',
		$r->json->{message});
}

# through Redis: all are on their way before the first is answered

my $wa = member($a, 'doc:2');
my $wb = member($b, 'doc:2');

ok($a->wait_for(sub {
	return publish($a, 'doc:2', data => 0)->{receivers} == 2;
}), 'hosts know of each other');
skip_to($_, 'end') for $wa, $wb;

$redis->freeze;

my $peer = ask($a, messages(1 .. 200));

ok($a->wait_for(sub { return pending() >= 200 }), '200 wait for Redis');
cmp_ok(pending(), '<', 400, 'and are counted together');

$redis->thaw;
$json = $peer->recv_response('POST')->json;

is_deeply([ map { $_->{rooms}{'doc:2'}{receivers} } @{$json->{messages}} ],
	[ (2) x 200 ], 'receivers on all hosts');
is_deeply(data($_, 200), [ 1 .. 200 ], 'heard in order') for $wa, $wb;

# more than may wait

($r, $json) = batch($a, messages(1 .. 1000));
is(scalar(grep { $_->{status} eq 'success' } @{$json->{messages}}), 1000,
	'a thousand');
is_deeply(data($wb, 800), [ 201 .. 1000 ], 'the known ones are said once');
data($wa, 800);

# to users: other hosts are asked, a few at once

($r, $json) = batch($a, map({ { clientId => $wb->{id}, event => 'x',
	data => $_ } } 1 .. 40), { room => 'doc:2', event => 'x', data => 41 });
is(scalar(grep { $_->{degraded} || $_->{status} ne 'success' }
	@{$json->{messages}}), 0, 'clients of another host');
is_deeply({ map { $_ => 1 } @{data($wb, 41)} }, { map { $_ => 1 } 1 .. 41 },
	'hear them');

# Redis dies with what it was sent: all is refused, the rest too, and may be
# said again

$redis->freeze;
$peer = ask($a, messages(2001 .. 2300));
ok($a->wait_for(sub { return pending() >= 200 }), 'they wait for Redis');
kill 'KILL', $redis->pid;
$redis->kill;

$r = $peer->recv_response('POST');
is($r->status, 503, 'Redis is gone');
is_deeply([ map { $_->{errorCode} } @{$r->json->{messages}} ],
	[ ('broker.unavailable') x 300 ], 'all are refused');

$redis->start;

for my $t ($a, $b) {
	ok($t->wait_for(sub { return eval { publish($t, 'doc:3') } }),
		'it is back');
}

my $again = member($b, 'doc:2');
(undef, $json) = batch($a, messages(2001 .. 2300));
is(scalar(grep { $_->{status} eq 'success' } @{$json->{messages}}), 300,
	'said again');
is_deeply(data($again, 300), [ 2001 .. 2300 ], 'in order');

###############################################################################

sub messages {
	return map { { room => 'doc:2', event => 'x', data => $_, id => "m$_" } }
		@_;
}

sub batch {
	my ($t, @messages) = @_;

	my $r = post($t, 'publish', { messages => \@messages });

	return ($r, $r->json);
}

# The answer is not waited for.

sub ask {
	my ($t, @messages) = @_;

	my $peer = Test::Sync::Peer->new(port => $t->port(0));
	my $body = encode({ messages => \@messages });

	$peer->put("POST /control/publish HTTP/1.1\r\nHost: localhost\r\n"
		. "Content-Type: application/json\r\nContent-Length: "
		. length($body) . "\r\n\r\n$body");

	return $peer;
}

sub encode { return JSON::PP->new->canonical->encode($_[0]) }

sub pending { return status($a)->{redis}{pending} }

sub data { return [ map { $_->[1] } @{heard(@_)} ] }

# Forgets what came before a message of that data.

sub skip_to {
	my ($ws, $end) = @_;

	publish($a, 'doc:2', data => $end, id => $end);

	while (my $m = $ws->recv_json) {
		last if $m->[0] eq 'x' && $m->[1] eq $end;
	}
}

###############################################################################
