#!/usr/bin/perl

# Copyright (C) sync for nginx

# The client stage: what the app is asked of a message's recipients, what each
# of them is told, in every dialect, and in which order.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

my $t = Test::Sync->new->plan(57);

$t->write_conf(<<'EOC');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;
    sync_room "log:*" recoverable history=10;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_hook client /_hook/client;
        sync_receiver member all=on;

        location /ws      { sync websocket; }
        location /deflate { sync websocket; sync_compression on min=1; }
        location /io      { sync socketio; }
        location /events  { sync sse; }
        location /control { sync control; }
        location /status  { sync status; }

        location /full {
            sync websocket;
            sync_hook server /_hook/server;
        }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_read_timeout 2s;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;

        location /ws { sync websocket; }
    }
}
EOC

my $nd = 'Content-Type: application/x-ndjson';

# by the first part of a route's name, what is answered for its recipients

my %answer = (
	reset => [ [ 'head', 200, $nd ], [ 'chunk', qq({"k":0,"out":) ],
		[ 'reset' ] ],
	500 => { status => 500, json => [] },
	hang => [ [ 'hang' ] ],
	html => { body => '<html>' },
	empty => { body => '' },
	number => { json => 7 },
	foreign => lines({ k => 64, out => good() }),
	negative => lines({ k => -1, out => good() }),
	nothing => lines({ k => 0, what => 1 }),
	broken => { headers => [ $nd ], body => "{\n" },
	long => { headers => [ $nd ], body => '{"k":0,"out":{"status":"success",'
		. '"x":"' . 'x' x 1100000 . '"}}' },
);

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;
	my $j = $r->{json};

	return { json => { status => 'success', message => 'no', n => 7 } }
		if $r->{uri} eq '/_hook/server';

	my ($name) = $j->{route} =~ m!/(\w+)/v1$!;
	my @k = map { $_->{k} } @{$j->{recipients}};

	return $answer{$name} if $answer{$name};

	return { json => [ map { { k => $_, out => good(n => $_) } } @k ] }
		if $name eq 'array';

	return lines({ k => \@k, out => good() }) if $name eq 'list';

	return lines(map { ({ k => $_, stream => { chunk => 'a', status => 1 } },
		{ k => $_, stream => { chunk => 'b' } },
		{ k => $_, out => good(message => 'hi') },
		{ k => $_, stream => { chunk => 'late' } },
		{ k => $_, out => good(again => 1) }) } @k) if $name eq 'chunks';

	return lines({ k => \@k, stream => { chunk => 'a' } },
		{ k => \@k, out => { status => 'error',
			errorCode => ' t.no ', httpStatus => 409,
			errorParams => [ { key => 'n', value => 1 } ], x => 1 } })
		if $name eq 'error';

	return lines({ k => \@k, out => { status => 'error' } })
		if $name eq 'rejected';
	return lines({ k => \@k, out => { n => 1 } }) if $name eq 'nostatus';
	return lines({ k => \@k, out => [] }) if $name eq 'notobject';
	return lines({ k => \@k, threw => 1 }) if $name eq 'threw';
	return lines({ k => \@k, out => { status => 'error',
		errorCode => 'sync.ignore' } }) if $name eq 'ignore';

	# only those before, and then the end, or what is no line

	return lines({ k => $k[0], out => good() }) if $name eq 'missing';
	return { headers => [ $nd ], body => qq({"k":0,"out":{"status":"success"}}\n)
		. qq(garbage\n{"k":1,"out":{"status":"success"}}\n) }
		if $name eq 'garbage';

	return [ [ 'head', 200, $nd ],
		[ 'chunk', json({ k => $k[0], out => good() }) . "\n" ],
		[ 'wait', $j->{data}{go} ],
		map({ [ 'chunk', json({ k => $_, out => good() }) . "\n" ] }
			@k[1 .. $#k]), [ 'end' ] ] if $name eq 'slow';

	return lines(map { { k => $_, out => good(got => $j->{data}) } } @k);
});

$t->run;

my $i = 0;

# the request

my @ws = map { $t->ws('/ws') } 1 .. 3;
my @ids = map { $_->recv_event('connected')->[1]{clientId} } @ws;
join_room($_, 'r') for @ws;

my $r = sync('echo', { a => "\x{e9}" });
is_deeply($r, { status => 'success', message => 'sync sync/t/echo/v1 success',
	result => {} }, 'acknowledged');

my $out = good(got => { a => "\x{e9}" });
is_deeply([ map { $_->recv_event('sync') } @ws ], [ ([ 'sync', {
	cb => 'sync/t/echo/v1', fullName => 'sync/t/echo/v1', serverOutput => {},
	clientOutput => $out, message => 'sync/t/echo/v1 sync success',
	status => 'success' } ]) x 3 ], 'each is told what the app says');

my @asked = map { $_->{json} } $hook->requests;
is(scalar(map { @{$_->{recipients}} } @asked), 3, 'asked for each');
is_deeply([ map { { %{$_}{qw/ v event route data serverOutput receiver / } } }
	$asked[0] ], [ { v => 1, event => 'client', route => 'sync/t/echo/v1',
	data => { a => "\x{e9}" }, serverOutput => {}, receiver => 'r' } ],
	'what is asked');
is_deeply([ sort map { $_->{clientId} } map { @{$_->{recipients}} } @asked ],
	[ sort @ids ], 'recipients');
is_deeply([ sort keys %{$asked[0]{recipients}[0]} ],
	[ qw/ clientId k token user / ], 'what is told of them');
is(($hook->requests)[0]->{headers}{'x-request-id'}, $asked[0]{id}, 'id');

# the forms of an answer

for my $name (qw/ array list /) {
	sync($name);
	is(scalar(grep { $_->recv_event('sync')->[1]{status} eq 'success' } @ws),
		3, "answer: $name");
}

# chunks come before the result, nothing after it

sync('chunks');
for my $ws ($ws[0]) {
	my @got = map { $ws->recv_event('sync')->[1] } 1 .. 3;
	is_deeply([ @got[0, 1] ], [ map { { chunk => $_, status => 'stream',
		cb => 'sync/t/chunks/v1', fullName => 'sync/t/chunks/v1' } }
		qw/ a b / ], 'chunks first');
	is_deeply([ @{$got[2]}{qw/ message clientOutput /} ],
		[ 'hi', good(message => 'hi') ], 'then the result, with its message');
}

$_->recv_event('sync') for map { ($_) x 3 } @ws[1, 2];

# errors

sync('error');
is(($_->recv_event('sync') || [])->[1]{chunk}, 'a', 'a chunk') for $ws[1];
is($ws[1]->recv_text, '["sync",{"cb":"sync/t/error/v1",'
	. '"fullName":"sync/t/error/v1","status":"error","message":"t.no",'
	. '"errorCode":"t.no","errorParams":[{"key":"n","value":1}],'
	. '"httpStatus":409}]', 'the error');
$_->recv_event('sync') for map { ($_) x 2 } @ws[0, 2];

my %code = (
	rejected => 'sync.clientRejected',
	(map { $_ => 'sync.clientExecutionFailed' }
		qw/ threw 500 hang reset empty /),
	(map { $_ => 'sync.invalidClientResponse' }
		qw/ nostatus notobject html number foreign negative nothing broken
		long /),
);

for my $name (sort keys %code) {
	is(sync($name)->{status}, 'success', "$name: acknowledged")
		if $name eq '500';

	is_deeply([ map { my $m = $_->recv_event('sync', 10) || [];
		"@{$m->[1]}{qw/ status errorCode httpStatus /}" } @ws ],
		[ ("error $code{$name} 400") x 3 ], "error: $name") if $name eq '500'
		|| sync($name);
}

# who is forgotten gets the error, the others their result

sync('missing');
my %got;
$got{($_->recv_event('sync') || [])->[1]{errorCode} // 'success'}++ for @ws;
is($got{success} + ($got{'sync.clientExecutionFailed'} // 0), 3,
	'missing: each is told');
cmp_ok($got{success}, '>=', 1, 'missing: some have a result');

sync('garbage');
%got = ();
$got{($_->recv_event('sync') || [])->[1]{errorCode} // 'success'}++ for @ws;
is($got{success} + ($got{'sync.invalidClientResponse'} // 0), 3,
	'a broken line: each is told');

# sync.ignore

sync('ignore');
sync('echo');
is(scalar(grep { $_->recv_event('sync')->[1]{fullName} eq 'sync/t/echo/v1' }
	@ws), 3, 'ignored: nothing is told');

# ignoreSelf

ask($ws[0], 'sync', name => 't/echo/v1', cb => 'x', receiver => 'r', data => {},
	ignoreSelf => JSON::PP::true);
is(scalar(grep { $_->recv_event('sync') } @ws[1, 2]), 2, 'ignoreSelf: the others');
is($ws[0]->recv_text(0.2), undef, 'ignoreSelf: not the sender');

# what the room says later does not overtake

$ws[0]->send_json([ 'sync', { name => 't/slow/v1', cb => 'x', receiver => 'r',
	data => { go => 'one' }, responseIndex => ++$i } ]);
ok($ws[0]->recv_event("sync-$i"), 'slow: acknowledged at once');
publish('r', 'after', 1);
sync('echo', { n => 2 });
my @passed = grep { $_->[0] eq 'sync' } $ws[0]->skipped;
publish('r', 'after', 3);

$t->wait_for(sub { grep { $_->{json}{route} =~ /slow/ } $hook->requests });
my @early = (@passed ? 'slow' : name($ws[0], 0.2),
	map { name($_, 0.2) } @ws[1, 2]);
$hook->go('one');

my @order = map { my $ws = $_; my $first = shift @early;
	join ' ', $first eq '-' ? () : $first,
	map { name($ws) } $first eq '-' ? 1 .. 4 : 1 .. 3 } @ws;
is_deeply(\@order, [ ('slow 1 echo 3') x 3 ], 'slow: nothing overtook it');

# who leaves, or closes, meanwhile

my @more = map { $t->ws('/ws') } 1 .. 3;
join_room($_, 'r2') for @more, $ws[1];
send_sync($ws[1], 'r2', 'slow', { go => 'two' });
$t->wait_for(sub { grep { ($_->{json}{data}{go} // '') eq 'two' }
	$hook->requests });
$more[0]->disconnect;
ask($more[1], 'leaveRoom', group => 'r2');
$hook->go('two');
is(($_->recv_event('sync') || [])->[1]{status}, 'success',
	'who stays is told') for $more[2], $ws[1];
publish('r2', 'after', 9);
ok($more[2]->recv_event('after'), 'the room goes on');

# all of them leave: nothing is left behind

send_sync($more[2], 'r2', 'slow', { go => 'never' });
$t->wait_for(sub { grep { ($_->{json}{data}{go} // '') eq 'never' }
	$hook->requests });
$_->disconnect for @more;
ask($ws[1], 'leaveRoom', group => 'r2');
join_room($ws[1], 'r2');
publish('r2', 'after', 10);
is(($ws[1]->recv_event('after') || [])->[1], 10, 'the room begins anew');
ask($ws[1], 'leaveRoom', group => 'r2');

# the server hook's output goes with it

my $full = $t->ws('/full');
join_room($full, 'r3');
send_sync($full, 'r3', 'echo', { a => 1 });
my $m = $full->recv_event('sync')->[1];
is_deeply($m->{serverOutput}, { status => 'success', message => 'no', n => 7 },
	'serverOutput');
is_deeply($m->{clientOutput}, good(got => { a => 1 }), 'clientOutput');
is_deeply((grep { ($_->{json}{receiver} // '') eq 'r3' && $_->{json}{event}
	eq 'client' } $hook->requests)[0]{json}{serverOutput},
	$m->{serverOutput}, 'asked with it');

# to itself, and to all

my $own = $t->ws('/ws');
my $id = $own->recv_event('connected')->[1]{clientId};
send_sync($own, $id, 'echo', { self => 1 });
is_deeply(($own->recv_event('sync') || [])->[1]{clientOutput},
	good(got => { self => 1 }), 'to itself');

send_sync($own, 'all', 'echo', { all => 1 });
is(scalar(grep { my $e = $_->recv_event('sync') || [];
	($e->[1]{clientOutput}{got}{all} // 0) == 1 } $own, $full, @ws), 5,
	'to all');

# dialects

my $deflate = $t->ws('/deflate', deflate => 1);
my $es = $t->sse('/events?channels=r4');
$es->recv;
join_room($_, 'r4') for $deflate, $ws[0];
send_sync($ws[0], 'r4', 'echo', { text => 'x' x 200 });
is_deeply(($_->recv_event('sync') || [])->[1]{clientOutput},
	good(got => { text => 'x' x 200 }), 'deflated and not') for $deflate, $ws[0];
my $ev = $es->recv(5);
is_deeply(JSON::PP->new->decode($ev->{data})->{data}{clientOutput},
	good(got => { text => 'x' x 200 }), 'event stream');

# positions: with the result, not with chunks, and where nothing is told

my @log = map { $t->ws('/ws') } 1 .. 2;
join_room($_, 'log:1') for @log;
send_sync($log[0], 'log:1', 'chunks');
my @said = map { $log[1]->recv_event('sync') } 1 .. 3;
is_deeply([ map { $_->[2]{room} } @said ], [ undef, undef, 'log:1' ],
	'position with the result');
send_sync($log[0], 'log:1', 'ignore');
my $moved = $log[1]->recv_event('position');
is($moved->[1]{room}, 'log:1', 'position where nothing is told');
isnt($moved->[1]{pos}, $said[2][2]{pos}, 'it is another one');

ask($log[1], 'leaveRoom', group => 'log:1');
ask($log[1], 'joinRoom', group => 'log:1', pos => $said[2][2]{pos});
send_sync($log[0], 'log:1', 'echo');
is(($log[1]->recv_event('sync') || [])->[1]{cb}, 'sync/t/echo/v1',
	'what was not for it is not read again');

# another location, that has no such hook, is told nothing it should not be

my $other = $t->ws('/ws', port => 2);
join_room($_, 'r5') for $other, $ws[0];
send_sync($ws[0], 'r5', 'echo');
is(($ws[0]->recv_event('sync') || [])->[1]{status}, 'success', 'asked');
is(($other->recv_event('sync') || [])->[1]{errorCode},
	'sync.clientExecutionFailed', 'no hook to be asked');

my $c = $t->http('GET', '/status')->json->{counters};
cmp_ok($c->{clientErrors}, '>=', 45, 'errors are counted');
cmp_ok($c->{withheld}, '>=', 3, 'silence is counted');

sub good { return { status => 'success', @_ } }
sub json { return JSON::PP->new->utf8->canonical->encode($_[0]) }

sub lines {
	return { headers => [ 'Content-Type: application/x-ndjson; charset=utf-8' ],
		body => join '', map { json($_) . "\n" } @_ };
}

sub name {
	my ($ws, $timeout) = @_;
	my $m = $ws->recv_json($timeout // 5) || return '-';
	return name($ws, $timeout) if $m->[0] =~ /-/;
	return $m->[0] eq 'after' ? $m->[1] : $m->[1]{cb} =~ s!.*/(\w+)/v1!$1!r;
}

sub publish {
	my ($room, $event, $data) = @_;
	$t->http('POST', '/control/publish', json => { room => $room,
		event => $event, data => $data });
}

sub join_room { return ask($_[0], 'joinRoom', group => $_[1]) }

sub send_sync {
	my ($ws, $room, $name, $data) = @_;
	return ask($ws, 'sync', name => "t/$name/v1", cb => 'x', receiver => $room,
		data => $data || {});
}

sub sync { return send_sync($ws[0], 'r', @_) }

sub ask {
	my ($ws, $event, %o) = @_;
	my $n = ++$i;
	$ws->send_json([ $event, { %o, responseIndex => $n } ]);
	return ($ws->recv_event("$event-$n") || [])->[1];
}
