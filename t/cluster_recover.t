#!/usr/bin/perl

# Copyright (C) sync for nginx

# Recoverable rooms over two hosts: one order, made by Redis; a client that
# comes back on the other host; Redis away, emptied, set back.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Test::Sync::Cluster;

###############################################################################

my $a = Test::Sync->new->plan(48);
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
    sync_drain 1s;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /ws       { sync websocket; }
        location /sse      { sync sse; }
        location /control/ { sync control; }
        location /status   { sync status; }
    }
}
EOF

	$t->run;
}

ok(linked($_), 'links') for $a, $b;

###############################################################################

# one order, the same positions

my ($wa, $ja) = member($a, 'doc:1');
my ($wb, $jb) = member($b, 'doc:1');

ok(!$ja->{recovered}, 'an empty room');
is($ja->{reason}, 'new', 'there was no position');
like($ja->{pos}, qr!^0/0\.[0-9a-f]{8}$!, 'there is one now');
isnt($ja->{pos}, '0/0.00000000', 'of this life');
is($jb->{pos}, $ja->{pos}, 'the same on the other host');

my @said;

for my $i (1 .. 120) {
	push @said, publish($i % 3 ? $a : $b, 'doc:1', data => $i);
}

my ($ha, $hb) = (heard($wa, 120), heard($wb, 120));

is_deeply([ map { $_->[1] } @$ha ], [ 1 .. 120 ], 'one order');
is_deeply($hb, $ha, 'the same on the other host, with the same positions');
is_deeply([ map { $_->[2]{pos} } @$ha ], [ map { $_->{position} } @said ],
	'which are those that publishers were given');

# who comes back, here or there, from any point

for my $t ($a, $b) {
	my ($w, $j) = member($t, 'doc:1', $ha->[19][2]{pos});

	ok($j->{recovered}, 'recovered');
	is_deeply(heard($w, 100), [ @{$ha}[20 .. 119] ], 'all of it');
}

my $at = $ha->[119][2]{pos};

$wa->disconnect;
publish($b, 'doc:1', data => $_) for 121 .. 125;
heard($wb, 5);

# a host that never had the room

my $c = Test::Sync->new;
$c->write_conf($b->read_file('nginx.conf') =~ s/\Q${\$b->testdir}\E/$c->testdir/ger
	=~ s/127\.0\.0\.1:${\$b->port};/'127.0.0.1:' . $c->port . ';'/ger);
$c->run;
ok(linked($c), 'a third host');

my ($wc, $jc) = member($c, 'doc:1', $at);
ok($jc->{recovered}, 'recovered on it');
is_deeply([ map { $_->[1] } @{heard($wc, 5)} ], [ 121 .. 125 ], 'all of it');

# the same as an event stream

my $es = $c->sse('/sse?channels=doc:1', last_event_id => $at);
my $first = $es->recv_json;
ok($first->{recovery}{'doc:1'}{recovered}, 'an event stream, too');
is_deeply([ map { $es->recv_json->{data} } 1 .. 5 ], [ 121 .. 125 ],
	'all of it');

# the same id, the same answer, wherever it is sent to

my $once = publish($a, 'doc:1', data => 'once', id => 'm1');
my $twice = publish($b, 'doc:1', data => 'once', id => 'm1');
is($twice->{position}, $once->{position}, 'known by its id');

publish($a, 'doc:1', data => 'next');
is_deeply([ map { $_->[1] } @{heard($wb, 2)} ], [ 'once', 'next' ], 'said once');

# nothing was said yet, and then something; the same after it came to its end

my ($wn, $jn) = member($a, 'doc:new');
$wn->disconnect;
my ($wm, $jm) = member($b, 'doc:new', $jn->{pos});
ok($jm->{recovered}, 'nothing was missed');
publish($a, 'doc:new', data => 'first');
is(heard($wm, 1)->[0][1], 'first', 'heard');
$wm->disconnect;

($wn, $jm) = member($c, 'doc:new', $jn->{pos});
ok($jm->{recovered}, 'on a host that never had it');
is(heard($wn, 1)->[0][1], 'first', 'all of it');
$wn->disconnect;

$redis->command('DEL', 'app:s:doc:new');
my $d = Test::Sync->new;
$d->write_conf($b->read_file('nginx.conf') =~ s/\Q${\$b->testdir}\E/$d->testdir/ger
	=~ s/127\.0\.0\.1:${\$b->port};/'127.0.0.1:' . $d->port . ';'/ger);
$d->run;
ok(linked($d), 'a fourth host');

(undef, $jm) = member($d, 'doc:new', $jn->{pos});
ok(!$jm->{recovered}, 'another life of an empty room');
is($jm->{reason}, 'fork', 'is told');
publish($d, 'doc:new', data => 'second');
(undef, $jm) = member($d, 'doc:new', $jn->{pos});
is($jm->{reason}, 'fork', 'and of one that is not');

# the publisher's own LSN

my $own = publish($a, 'doc:2', data => 1, lsn => '16/B374D848');
like($own->{position}, qr!^16/B374D848\.!, 'LSN of the publisher');

my $r = post($b, 'publish', { room => 'doc:2', event => 'x', data => 2,
	lsn => '16/B374D848' });
is($r->status, 409, 'stale');
is($r->json->{rooms}{'doc:2'}{position}, $own->{position}, 'with the top');

# many at once, from everywhere

my ($w3) = member($a, 'doc:3');
my ($w4) = member($b, 'doc:3');

my @pids = map { my $n = $_; fork_off(sub {
	publish($n % 2 ? $a : $b, 'doc:3', data => "$n.$_") for 1 .. 15;
}) } 1 .. 4;
waitpid $_, 0 for @pids;

my ($h3, $h4) = (heard($w3, 60), heard($w4, 60));
is_deeply($h3, $h4, 'the same order of what was said at once');
is(scalar(@$h3), 60, 'all of it');

# a subscriber that is cut off misses nothing

$redis->command('CLIENT', 'KILL', 'TYPE', 'pubsub');
publish($a, 'doc:3', data => $_) for 1 .. 5;
is_deeply([ map { $_->[1] } @{heard($w4, 5)} ], [ 1 .. 5 ],
	'read from the stream');

# another life of the stream, as of a replica that lagged

my $dump = $redis->command('DUMP', 'app:s:doc:3');
my $lost = publish($a, 'doc:3', data => 'lost');
heard($_, 6) for $w3;
heard($w4, 1);

$redis->command('RESTORE', 'app:s:doc:3', 0, $dump, 'REPLACE');
$redis->command('CLIENT', 'KILL', 'TYPE', 'pubsub');

my $gap = $w4->recv_event('gap', 15);
is($gap->[1]{room}, 'doc:3', 'members are told');
is($gap->[1]{reason}, 'reset', 'that it begins anew');

publish($a, 'doc:3', data => 'other');
is_deeply([ map { $_->[1] } @{heard($w4, 1)} ], [ 'other' ], 'and go on');

my ($w5, $j5) = member($b, 'doc:3', $lost->{position});
ok(!$j5->{recovered}, 'who was in the other life');
is($j5->{reason}, 'fork', 'is told of it');

# Redis is away

$redis->kill;
ok($a->wait_for(sub { status($a)->{redis}{connected} == 0 }), 'Redis is away');

$r = post($a, 'publish', { room => 'doc:1', event => 'x', data => 'no' });
is($r->status, 503, 'a publish is refused');
is($r->json->{errorCode}, 'broker.unavailable', 'and says why');

my (undef, $j6) = member($a, 'doc:1', $once->{position});
is($j6->{reason}, 'unavailable', 'so is a position');

# it comes back, with nothing

$redis->start;
ok(linked($_), 'it is back') for $a, $b;
ok($a->wait_for(sub {
	my (undef, $j) = member($a, 'doc:1', $once->{position});
	return $j->{reason} eq 'reset';
}, 10), 'and remembers nothing');

publish($b, 'doc:1', data => 'anew');
is(heard($wb, 1)->[0][1], 'anew', 'all goes on');

###############################################################################

sub fork_off {
	my ($sub) = @_;

	my $pid = fork // die "fork: $!\n";
	return $pid if $pid;

	eval { $sub->() };
	warn $@ if $@;
	POSIX::_exit($@ ? 1 : 0);
}

###############################################################################
