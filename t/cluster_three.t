#!/usr/bin/perl

# Copyright (C) sync for nginx

# Three hosts, each published to all the time, while one of them dies, and
# Redis stands still, is killed and comes again: what was accepted is heard on
# all hosts in one order, what was not was answered with an error, and who
# comes back on another host misses nothing.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Test::Sync::Cluster qw/ linked member post /;
use Time::HiRes qw/ sleep /;

###############################################################################

my $a = Test::Sync->new->plan(28);
my ($b, $c) = map { Test::Sync->new } 1 .. 2;
my $redis = $a->redis(port => 1,
	args => [ 'appendonly yes', 'appendfsync always' ]);

my %host = (a => $a, b => $b, c => $c);

for my $t ($a, $b, $c) {
	my $port = $redis->port;

	$t->write_conf(<<"EOF");
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone  zone=sync:32m;
    sync_redis redis://127.0.0.1:$port prefix=app timeout=500ms;
    sync_room  "doc:*" recoverable history=20000 ttl=1h;
    sync_queue 16m;
    sync_drain 1s;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_receiver any;

        location /ws       { sync websocket; }
        location /control/ { sync control; }
        location /status   { sync status; }
    }
}
EOF

	$t->run;
}

ok(linked($_), 'links') for $a, $b, $c;

###############################################################################

# members, and who speaks: to each host by control, and as a client

my $parent = $$;
my %ws = map { $_ => scalar member($host{$_}, 'doc:1') } keys %host;
my %pid;

for my $name (sort keys %host) {
	$pid{"$name-control"} = fork_off(sub { by_control($name) });
	$pid{"$name-client"} = fork_off(sub { by_client($name) });
}

ok(says($_, 'ok', 30), "$_ speaks") for sort keys %pid;

# a host dies, and its client comes back elsewhere

my @before = @{heard($ws{c}, 20)};
my $at = $before[-1][2]{pos};

$c->kill_all;
is(waitpid($pid{$_}, 0), $pid{$_}, "$_ is gone") for 'c-client', 'c-control';

my ($back, $joined) = member($a, 'doc:1', $at);
ok($joined->{recovered}, 'who was there comes back here');
ok(says($_, 'ok', 20), "$_ goes on") for 'a-client', 'b-control';

# Redis stands still, for longer than nginx waits

$redis->freeze;
ok(says($_, 'refused', 3), "$_ is refused") for 'a-client', 'b-control';
$redis->thaw;
ok(says($_, 'ok', 20), "$_ goes on") for 'a-client', 'b-control';

# it is killed

$redis->kill;
ok(says($_, 'refused', 3), "$_ is refused") for 'b-client', 'a-control';
$redis->start;
ok(says($_, 'ok', 20), "$_ goes on") for 'b-client', 'a-control';

# all that was said

$a->write_file('stop', '');
waitpid $pid{$_}, 0 for grep { !/^c/ } keys %pid;

ok($a->wait_for(sub {
	return post($a, 'publish', { room => 'doc:1', event => 'x',
		data => 'end', id => 'end' })->status == 200;
}), 'the end');

my ($ha, $hb, $hc) = map { to_the_end($_) } $ws{a}, $ws{b}, $back;

is_deeply($hb, $ha, 'one order, the same positions');
is_deeply([ @before, @$hc ], $ha, 'also for who came back');

is(scalar(map { said($_, 'odd') } keys %pid), 0,
	'whatever was not accepted was refused');

# each of those refused may be there as well: nobody knew

my %pos;
my $twice = grep { $pos{$_->[1]}++ } @$ha;
my @accepted = map { said($_, 'ok') } keys %pid;

is($twice, 0, 'each of them once');
is(scalar(grep { !$pos{$_} } @accepted), 0, 'all that was accepted')
	or diag(join ' ', grep { !$pos{$_} } @accepted);

###############################################################################

# A message on each line of a file: what became of it, and its data.

sub by_control {
	my ($name) = @_;

	speak("$name-control", sub {
		my ($data) = @_;

		my $r = eval { post($host{$name}, 'publish', { room => 'doc:1',
			event => 'x', data => $data, id => $data }) };

		return !$r ? 'gone' : $r->status == 200 ? 'ok'
			: $r->json->{errorCode} eq 'broker.unavailable' ? 'refused'
			: 'odd';
	});
}

# What a client says has its name for data.

sub by_client {
	my ($name) = @_;

	my $ws = $host{$name}->ws('/ws');
	$ws->recv_json;

	my $n = 0;

	speak("$name-client", sub {
		my ($data) = @_;

		my $sent = eval { $ws->send_json([ 'sync', { name => "a/$data/v1",
			cb => 'x', data => {}, receiver => 'doc:1',
			responseIndex => ++$n } ]); 1 };
		my $r = $sent ? $ws->recv_event("sync-$n") : undef;

		return !$r ? 'gone' : $r->[1]{status} eq 'success' ? 'ok'
			: $r->[1]{errorCode} eq 'broker.unavailable' ? 'refused'
			: 'odd';
	});
}

sub speak {
	my ($who, $say) = @_;

	open my $f, '>>', $a->testdir . "/$who" or die "$who: $!\n";
	$f->autoflush;

	for (my $n = 1; !-e $a->testdir . '/stop' && getppid == $parent; $n++) {
		my $result = $say->("$who-$n");
		print $f "$result $who-$n\n";
		last if $result eq 'gone';
		sleep 0.005;
	}
}

sub said {
	my ($who, $result) = @_;
	return $a->read_file($who) =~ /^$result (\S+)$/mg;
}

# So many more with this result.

sub says {
	my ($who, $result, $n) = @_;

	my $before = said($who, $result);

	return $a->wait_for(sub {
		return (my @now = said($who, $result)) >= $before + $n;
	}, 30);
}

# What a client hears: [event, data, position] of each, whoever said it; a gap
# is none.

sub to_the_end {
	my ($ws) = @_;

	my @heard;

	while (my $m = message($ws)) {
		push @heard, $m;
		last if $m->[1] eq 'end';
	}

	return \@heard;
}

sub message {
	my ($ws) = @_;

	while (my $m = $ws->recv_json(10)) {
		return $m if $m->[0] eq 'x' || $m->[0] eq 'gap';
		return [ 'x', $1, $m->[2] ] if $m->[0] eq 'sync'
			&& $m->[1]{cb} =~ m!/([^/]+)/v1$!;
	}
}

sub fork_off {
	my ($sub) = @_;

	my $pid = fork // die "fork: $!\n";
	return $pid if $pid;

	alarm(0);
	eval { $sub->() };
	POSIX::_exit($@ ? 1 : 0);
}

# The next n of these.

sub heard {
	my ($ws, $n) = @_;
	return [ map { message($ws) } 1 .. $n ];
}

###############################################################################
