#!/usr/bin/perl

# Copyright (C) sync for nginx

# Calls of the client hook that workers share: one call for members of all of
# them, whatever is answered, and whoever of them leaves, dies or stands still.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Time::HiRes qw/ time /;

my $t = Test::Sync->new(workers => 4)->plan(55);

$t->write_conf(<<'EOC');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;
    sync_ping 1h 1h;
    sync_drain 1h;
    sync_room "log:*" recoverable history=50;

    server {
        listen 127.0.0.1:%%PORT_0%% reuseport;

        keepalive_requests 100000;
        sync_receiver any all=on;

        # workers are waited for, however slow they are, or for a moment

        location /ws {
            sync websocket;
            sync_hook client /_hook/client share=20s;
        }

        location /quick {
            sync websocket;
            sync_hook client /_hook/client;
        }

        location /off {
            sync websocket;
            sync_hook client /_hook/client share=off;
        }

        location /status  { sync status; }
        location /control { sync control; }
        location /pid     { return 200 $pid; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header X-Worker $pid;
        }
    }
}
EOC

my $nd = 'Content-Type: application/x-ndjson';

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;
	my $j = $r->{json};

	my ($name) = $j->{route} =~ m!/(\w+)/v1$!;
	my @list = @{$j->{recipients}};
	my @k = map { $_->{k} } @list;

	my %out = map { $_->{k} => { k => $_->{k}, out => good(
		me => $_->{clientId}, n => $j->{data}{n}) } } @list;

	return { json => [ @out{@k} ] } if $name eq 'array';
	return { status => 500, json => [] } if $name eq 'down';

	return lines({ k => [ @k ], out => good() }) if $name eq 'list';

	return lines({ k => [ @k ], stream => { chunk => 'a' } },
		(map { { k => $_, stream => { chunk => 'b' } } } @k),
		map { ($out{$_}, { k => $_, stream => { chunk => 'late' } }) } @k)
		if $name eq 'chunks';

	return lines({ k => [ @k ], out => { status => 'error',
		errorCode => 'sync.ignore' } }) if $name eq 'ignore';
	return lines({ k => [ @k ], threw => 1 }) if $name eq 'threw';
	return lines(map { { k => $_, out => { status => 'error',
		errorCode => 'my.no' } } } @k) if $name eq 'error';
	return lines() if $name eq 'nothing';
	return lines({ k => scalar @k, out => good() }) if $name eq 'foreign';
	return { headers => [ $nd ], body => "garbage\n" } if $name eq 'garbage';
	return [ [ 'head', 200, $nd ], [ 'chunk', '{"k":' ], [ 'reset' ] ]
		if $name eq 'reset';

	# after some lines the test goes on

	return [ [ 'head', 200, $nd ],
		$j->{data}{begin} ? [ 'chunk', join '', map { json({ k => $_,
			stream => { chunk => 'a' } }) . "\n" } @k ] : (),
		[ 'wait', $j->{data}{go} ],
		[ 'chunk', join '', map { json($out{$_}) . "\n" } @k ], [ 'end' ] ]
		if $name eq 'slow';

	return lines(@out{@k});
});

$t->run;

my $asked = 0;
my $event = 0;
my $i = 0;
my $speaker = $t->ws('/ws');
$speaker->recv_event('connected');

# one, two, three and four members of four workers

my @workers = $t->workers;
my @all = members('/ws', 'r', map { ($workers[$_]) x ($_ + 1) } 0 .. 3);

my $unused = status()->{zone}{unused};

is_deeply(told('echo'), [ map { "success $_->{id}" } @all ], 'each is told');
is_deeply(asked(), [ 10 ], 'one call');
is_deeply([ sort map { $_->{clientId} } map { @{$_->{json}{recipients}} }
	($hook->requests)[-1] ], [ sort map { $_->{id} } @all ], 'for all');
is_deeply([ map { $_->{k} } @{($hook->requests)[-1]{json}{recipients}} ],
	[ 0 .. 9 ], 'numbered');

# whatever the answer is

is_deeply(told('array'), [ map { "success $_->{id}" } @all ], 'an array');
is_deeply(told('list'), [ ('success ') x 10 ], 'a list of them');
is_deeply(told('chunks'), [ map { "ab success $_->{id}" } @all ],
	'chunks before the result, none after it');

my %code = (
	error => 'my.no',
	(map { $_ => 'sync.clientExecutionFailed' }
		qw/ down threw nothing reset /),
	(map { $_ => 'sync.invalidClientResponse' } qw/ foreign garbage /),
);

is_deeply(told($_), [ ("error $code{$_}") x 10 ], "an error: $_")
	for sort keys %code;
is_deeply(asked(), [ (10) x 10 ], 'one call for each');

say_it('ignore', {});
is_deeply(told('echo'), [ map { "success $_->{id}" } @all ],
	'nothing, and then what follows');
is_deeply(asked(), [ 10, 10 ], 'one call for each');

# what follows does not overtake

my @n = map { say_it('echo', {}) } 1 .. 30;
my %order;

for my $m (@all) {
	my @got = map { result($m)->{n} // '' } @n;
	$order{"@got"}++;
}

is_deeply(\%order, { "@n" => 10 }, 'many, in order');
is(scalar(grep { $_ == 10 } @{asked()}), 30, 'a call for each');

# not to one of them; from a room with positions; to all

is_deeply([ told_by($all[0], 'echo', [ @all[1 .. 9] ], ignoreSelf => 1) ],
	[ map { "success $_->{id}" } @all[1 .. 9] ], 'not to the sender');
is_deeply(asked(), [ 9 ], 'whose worker has nobody else');

my @kept = members('/ws', 'log:1', @workers);
say_it('echo', {}, 'log:1');
my @pos = map { my ($m, $pos) = result($_); "$m->{status} $pos" } @kept;
is_deeply([ uniq(@pos) ], [ $pos[0] ], 'with a position');
is_deeply(asked(), [ 4 ], 'one call');
gone(@kept);

say_it('echo', {}, 'all');
is_deeply([ map { result($_)->{me} } @all ], [ map { $_->{id} } @all ],
	'to all');
is(result({ ws => $speaker })->{status}, 'success', 'who said it as well');
is_deeply(asked(), [ 11 ], 'one call');

# without

my @off = members('/off', 'off', @workers);
say_it('echo', {}, 'off');
is_deeply([ map { result($_)->{status} } @off ], [ ('success') x 4 ],
	'share=off');
is_deeply(asked(), [ 1, 1, 1, 1 ], 'a call a worker');

# hooks of two locations

my @mixed = (members('/ws', 'mixed', @workers),
	members('/off', 'mixed', @workers[0, 1]));
say_it('echo', {}, 'mixed');
is_deeply([ map { result($_)->{status} } @mixed ], [ ('success') x 6 ],
	'two hooks');
is_deeply([ sort @{asked()} ], [ 1, 1, 4 ], 'one is shared');
gone(@off, @mixed);

###############################################################################

# who made the call loses its member: it is made for the others all the same

my @four = members('/ws', 'four', @workers);
say_it('slow', { go => 'on' }, 'four');
my ($caller, @others) = caller_of(@four);
gone($caller);
$hook->go('on');
is_deeply([ map { result($_)->{me} } @others ], [ map { $_->{id} } @others ],
	'the caller leaves');
is_deeply(asked(), [ 4 ], 'there is no other call');

# a member of another worker leaves

say_it('slow', { go => 'leave' }, 'four');
($caller, my @two) = caller_of(@others);
gone($two[0]);
$hook->go('leave');
is_deeply([ map { result($_)->{status} } $caller, $two[1] ],
	[ 'success', 'success' ], 'another one leaves');
gone($caller, $two[1]);
asked();

# killed: who made the call

@four = members('/ws', 'four', @workers);
my $n = say_it('slow', { go => 'kill' }, 'four');
($caller, @others) = caller_of(@four);
kill_worker($caller->{pid});
$hook->go('kill');
is_deeply([ map { result($_)->{me} } @others ], [ map { $_->{id} } @others ],
	'the caller is killed: others are asked for again');
is(scalar(grep { $_ == 1 } @{asked()}), 3, 'each by its worker');
is(told_of(@others), 0, 'and told once');
gone(@others);
back();

# the same in the middle of what it streamed

@four = members('/ws', 'four', $t->workers);
say_it('slow', { go => 'kill2', begin => 1 }, 'four');
is_deeply([ map { next_sync($_)->{chunk} } @four ], [ ('a') x 4 ], 'a chunk');
($caller, @others) = caller_of(@four);
kill_worker($caller->{pid});
is_deeply([ map { result($_)->{errorCode} } @others ],
	[ ('sync.clientExecutionFailed') x 3 ], 'who heard a part gets an error');
is_deeply(asked(), [ 4 ], 'nobody is asked for again');
gone(@others);
back();

# killed: one that the call is made for

@four = members('/ws', 'four', $t->workers);
say_it('slow', { go => 'kill3' }, 'four');
($caller, @others) = caller_of(@four);
kill_worker($others[0]{pid});
$hook->go('kill3');
is_deeply([ map { result($_)->{status} } $caller, @others[1, 2] ],
	[ ('success') x 3 ], 'another one is killed');
is_deeply(asked(), [ 4 ], 'there is no other call');
gone($caller, @others[1, 2]);
back();

###############################################################################

# one stands still: the others wait for a moment

@workers = $t->workers;
@four = members('/quick', 'four', @workers);
say_it('echo', {}, 'four');
is_deeply([ map { result($_)->{status} } @four ], [ ('success') x 4 ],
	'quick');
asked();

my ($stopped, @going) = grep { $_->{pid} != $speaker->{holder} } @four;
@going = grep { $_ != $stopped } @four;

kill 'STOP', $stopped->{pid};
say_it('echo', {}, 'four') for 1 .. 3;
is_deeply([ map { my $m = $_; map { result($m)->{status} } 1 .. 3 } @going ],
	[ ('success') x 9 ], 'one stands still: others go on');
is(told_of($stopped), 0, 'it does not');
kill 'CONT', $stopped->{pid};
is_deeply([ map { result($stopped)->{me} } 1 .. 3 ], [ ($stopped->{id}) x 3 ],
	'it goes on');
asked();

ok($t->wait_for(sub {
	say_it('echo', {}, 'four');
	result($_) for @four;
	return "@{asked()}" eq '4';
}), 'and shares again');

gone(@four);
asked();

###############################################################################

# a reload: each generation shares its own calls

@four = members('/ws', 'four', $t->workers);
say_it('slow', { go => 'reload' }, 'four');
$hook->wait_requests($asked + 1);
$t->reload;
my @new = members('/ws', 'four', $t->workers);
$hook->go('reload');
is_deeply([ map { result($_)->{status} } @four ], [ ('success') x 4 ],
	'a reload in the middle');
is_deeply(asked(), [ 4 ], 'one call');

say_it('echo', {}, 'four');
is_deeply([ map { result($_)->{me} } @four, @new ],
	[ map { $_->{id} } @four, @new ], 'old and new ones');
is_deeply(asked(), [ 4, 4 ], 'a call of each generation');

###############################################################################

my $c = status()->{counters};

cmp_ok($c->{hookShared}, '>', 50, 'counted: shared');
cmp_ok($c->{hookSharedLate}, '>=', 1, 'counted: late');
cmp_ok($c->{hookSharedLost}, '>=', 3, 'counted: lost');

$speaker->disconnect;
gone(@four, @new);
ok($t->wait_for(sub { !$t->leaving }), 'the old workers end');
ok($t->wait_for(sub { status()->{zone}{unused} >= $unused - 65536 }),
	'nothing is left in the zone');

###############################################################################

# Members of a room, of these workers.

sub members {
	my ($uri, $room, @pids) = @_;

	return map {
		my $pid = $_;

		my $ws = $t->ws($uri, choose => sub { holder($_[0]) == $pid });
		my $id = $ws->recv_event('connected')->[1]{clientId};
		ask($ws, 'joinRoom', group => $room);

		+{ ws => $ws, id => $id, pid => $pid };
	} @pids;
}

# Which worker has a connection.

sub holder {
	my ($peer) = @_;
	$peer->put("GET /pid HTTP/1.1\r\nHost: localhost\r\n\r\n");
	return $peer->recv_response('GET')->body;
}

# Says it in a room; returns its number.

sub say_it {
	my ($name, $data, $room) = @_;
	ask($speaker, 'sync', name => "t/$name/v1", cb => 'x',
		receiver => $room // 'r', data => { %$data, n => ++$event });
	return $event;
}

# What all are told.

sub told {
	my ($name) = @_;
	say_it($name, {});
	return [ map { summary($_) } @all ];
}

sub told_by {
	my ($m, $name, $to, %o) = @_;
	ask($m->{ws}, 'sync', name => "t/$name/v1", cb => 'x', receiver => 'r',
		data => { n => ++$event }, map { $_ => JSON::PP::true() } keys %o);
	return map { summary($_) } @$to;
}

sub summary {
	my ($m) = @_;
	my $chunks = '';

	while (1) {
		my $s = next_sync($m) // return "$chunks nothing";
		my $out = $s->{clientOutput};

		return ($chunks ne '' ? "$chunks " : '') . ($s->{status} eq 'success'
			? 'success ' . ($out->{me} // '') : "error $s->{errorCode}")
			if $s->{status} ne 'stream';

		$chunks .= $s->{chunk};
	}
}

sub next_sync {
	my ($m, $timeout) = @_;

	while (my $e = $m->{ws}->recv_event('sync', $timeout // 10)) {
		$m->{pos} = ref $e->[2] ? $e->[2]{pos} : undef;
		return $e->[1];
	}

	return undef;
}

# A result, or an error; in a list with its position.

sub result {
	my ($m, $timeout) = @_;
	my $s = next_sync($m, $timeout) // {};
	my $r = { %$s, %{$s->{clientOutput} || {}} };
	return wantarray ? ($r, $m->{pos}) : $r;
}

# How many of them are told something more, in a while.

sub told_of { return scalar grep { next_sync($_, 0.2) } @_ }

# How many each call since was for.

sub asked {
	my @r = map { scalar @{$_->{json}{recipients}} } $hook->requests;
	my @new = @r[$asked .. $#r];
	$asked = @r;
	return \@new;
}

# The member whose worker makes the next call, then the others.

sub caller_of {
	my $r = $hook->wait_requests($asked + 1)->[$asked];
	my $pid = $r->{headers}{'x-worker'};
	return ((grep { $_->{pid} == $pid } @_), grep { $_->{pid} != $pid } @_);
}

sub gone {
	my $n = status()->{clients};
	$_->{ws}->disconnect for @_;
	my $all = @_;
	$t->wait_for(sub { status()->{clients} <= $n - $all });
}

sub kill_worker {
	my ($pid) = @_;
	my @now = $t->workers;
	$t->kill_worker((grep { $now[$_] == $pid } 0 .. $#now)[0]);
}

# Who speaks comes back, if its worker was killed; the members of the first room
# are not needed any more.

sub back {
	$_->{ws}->disconnect for splice @all;
	$speaker->disconnect;
	$speaker = $t->ws('/ws', choose => sub {
		$_[0]{holder} = holder($_[0]) });
	$speaker->recv_event('connected');
}

sub status { return $t->http('GET', '/status')->json }

sub uniq { my %seen; return grep { !$seen{$_}++ } @_ }

sub good { return { status => 'success', @_ } }

sub json { return JSON::PP->new->canonical->encode($_[0]) }

sub lines {
	return { headers => [ $nd ], body => join '', map { json($_) . "\n" } @_ };
}

sub ask {
	my ($ws, $event, %o) = @_;
	my $n = ++$i;
	$ws->send_json([ $event, { %o, responseIndex => $n } ]);
	return ($ws->recv_event("$event-$n", 10) || [])->[1];
}
