#!/usr/bin/perl

# Copyright (C) sync for nginx

# Redis is killed, with its log on disk, while two hosts publish: what was
# accepted is heard everywhere, the rest was refused.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Test::Sync::Cluster;

###############################################################################

my $a = Test::Sync->new->plan(8);
my $b = Test::Sync->new;
my $redis = $a->redis(port => 1,
	args => [ 'appendonly yes', 'appendfsync always' ]);

for my $t ($a, $b) {
	my $port = $redis->port;

	$t->write_conf(<<"EOF");
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone  zone=sync:8m;
    sync_redis redis://127.0.0.1:$port prefix=app timeout=500ms;
    sync_room  "doc:*" recoverable history=10000 ttl=1h;
    sync_drain 1s;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /ws       { sync websocket; }
        location /control/ { sync control; }
        location /status   { sync status; }
    }
}
EOF

	$t->run;
}

ok(linked($_), 'links') for $a, $b;

###############################################################################

my ($wa) = member($a, 'doc:1');
my ($wb) = member($b, 'doc:1');

my @accepted;
my ($refused, $n) = (0, 0);

say_until(sub { @accepted >= 60 });

$redis->kill;
say_until(sub { $refused >= 10 });

$redis->start;
my $before = @accepted;
ok(say_until(sub { @accepted >= $before + 60 }), 'accepted again');

ok($refused >= 10, 'refused meanwhile');

# each of those refused may be there as well: nobody knew

my ($ha, $hb) = (all_heard($wa), all_heard($wb));
my %a = map { $_->[1] => $_->[2]{pos} } @$ha;
my %b = map { $_->[1] => $_->[2]{pos} } @$hb;

is(grep({ ($a{$_->[0]} // '') ne $_->[1] } @accepted), 0,
	'what was accepted was heard, at its position');
is(grep({ ($b{$_->[0]} // '') ne $_->[1] } @accepted), 0,
	'on the other host as well');
is_deeply($ha, $hb, 'in one order');
is(scalar(keys %a), scalar(@$ha), 'and once');

###############################################################################

# Publishes on both hosts in turn, each message by an id.

sub say_until {
	my ($sub) = @_;

	return $a->wait_for(sub {
		$n++;

		my $r = post($n % 2 ? $a : $b, 'publish', { room => 'doc:1',
			event => 'x', data => $n, id => "m$n" });

		if ($r->status == 200) {
			push @accepted,
				[ $n, $r->json->{rooms}{'doc:1'}{position} ];

		} else {
			$refused++;
		}

		return $sub->();
	}, 30);
}

# All up to the last that was accepted.

sub all_heard {
	my ($ws) = @_;

	my @heard;

	while (my $m = $ws->recv_json(10)) {
		push @heard, $m if $m->[0] eq 'x';
		last if $m->[0] eq 'x' && $m->[1] == $accepted[-1][0];
	}

	return \@heard;
}

###############################################################################
