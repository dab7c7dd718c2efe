#!/usr/bin/perl

# Copyright (C) sync for nginx

# The fanout hook: what the app is asked once it has answered a sync, that
# nobody hears of it before, what its no comes to for who asked, by WebSocket
# and by HTTP, and what the lack of an answer does.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

my $t = Test::Sync->new->plan(38);

$t->write_conf(<<'EOC');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_receiver any all=on;
        sync_hook server /_hook/server;
        sync_hook fanout /_hook/fanout;

        location /ws      { sync websocket; }
        location /sync/   { sync request; }
        location /control/ {
            sync control;
            sync_session memory;
        }

        location /allow {
            sync websocket;
            sync_hook fanout /_hook/fanout on_error=allow;
        }

        location /in {
            sync websocket;
            sync_session memory;
            sync_token query:t;
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

        location /ws {
            sync websocket;
            sync_receiver any;
            sync_hook fanout /_hook/fanout;
        }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
        }
    }
}
EOC

my %answer = (
	stop => { json => { stop => { errorCode => 't.quiet',
		httpStatus => 409 } } },
	plain => { json => { stop => JSON::PP::true() } },
	500 => { status => 500, json => {} },
	html => { body => '<html>' },
	cut => [ [ 'head', 200, 'Content-Length: 9' ], [ 'raw', '{' ],
		[ 'reset' ] ],
	hang => [ [ 'hang' ] ],
	slow => [ [ 'wait', 'slow' ], [ 'head', 200, 'Content-Length: 2' ],
		[ 'raw', '{}' ] ],
	gone => [ [ 'wait', 'gone' ], [ 'head', 200, 'Content-Length: 2' ],
		[ 'raw', '{}' ] ],
);

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;
	my $j = $r->{json};
	my ($name) = $j->{route} =~ m!/(\w+)/v1$!;

	return $answer{$name} || { json => {} } if $j->{event} eq 'fanout';

	return { headers => [ 'Content-Type: application/x-ndjson' ], body =>
		qq({"stream":{"n":1}}\n{"broadcast":{"n":2}}\n)
		. qq({"final":{"status":"success"}}\n) } if $name eq 'lines';

	return { json => { status => 'error', errorCode => 't.no' } }
		if $name eq 'error';

	return { json => { status => 'success', n => 7 } };
});

$t->run;

$t->http('POST', '/control/session/save', json => { token => 't1',
	session => { id => 'u1' } });

my $i = 0;
my $peer = member('/ws');
my $ws = member('/ws');

# it goes

is(ask($ws, 'ok', { a => 1 })->{status}, 'success', 'goes');
is($peer->recv_event('sync')->[1]{serverOutput}{n}, 7, 'is heard');
is($ws->recv_event('sync')->[1]{serverOutput}{n}, 7, 'by all');

my @asked = map { $_->{json} } $hook->requests;
is_deeply([ map { $_->{event} } @asked ], [ 'server', 'fanout' ],
	'asked after the answer');
is_deeply([ sort keys %{$asked[1]} ], [ qw/ clientId data event id ignoreSelf ip
	locale receiver route serverOutput token transport user v / ], 'fields');
is_deeply({ map { $_ => $asked[1]{$_} } qw/ data ignoreSelf receiver route
	serverOutput transport user token / }, { data => { a => 1 },
	ignoreSelf => JSON::PP::false(), receiver => 'r',
	route => 'sync/t/ok/v1', serverOutput => { status => 'success', n => 7 },
	transport => 'socket', user => undef, token => undef }, 'what is asked');
isnt($asked[1]{id}, $asked[0]{id}, 'an id of its own');

# nobody hears of it before

begin($ws, 'slow');
ok($t->wait_for(sub { grep { $_->{json}{event} eq 'fanout'
	&& $_->{json}{route} =~ /slow/ } $hook->requests }), 'asked');
is(quiet($_), 1, 'nobody has heard') for $ws, $peer;
$hook->go('slow');
is($ws->recv_event("sync-$i")->[1]{status}, 'success', 'then who asked');
is($_->recv_event('sync')->[1]{status}, 'success', 'and all') for $ws, $peer;

# it does not

is_deeply([ @{ask($ws, 'stop')}{qw/ status errorCode httpStatus message /} ],
	[ 'error', 't.quiet', 409, 't.quiet' ], 'a no');
is_deeply([ @{ask($ws, 'plain')}{qw/ errorCode httpStatus /} ],
	[ 'sync.fanoutBlocked', 400 ], 'with nothing said');
is(ask($ws, 'error')->{errorCode}, 't.no', 'an error is not asked about');

for my $name (qw/ 500 html cut hang /) {
	is(ask($ws, $name)->{errorCode}, 'sync.serverExecutionFailed',
		"no answer: $name");
}

is(quiet($peer), 1, 'nobody has heard of these');

my $allow = member('/allow');
is(ask($allow, $_)->{status}, 'success', "on_error=allow: $_")
	for qw/ 500 html cut hang /;
is(scalar(grep { $_->[1]{fullName} =~ m!/(?:500|html|cut|hang)/v1$! }
	map { $peer->recv_event('sync') } 1 .. 4), 4, 'all of these are heard');
is(ask($allow, 'stop')->{errorCode}, 't.quiet', 'on_error=allow: a no');

# chunks were heard by then

is(ask($ws, 'lines')->{status}, 'success', 'lines');
is_deeply([ map { $_->[1]{n} // $_->[1]{status} }
	map { $peer->recv_event('sync') } 1, 2 ], [ 2, 'success' ],
	'chunks, then the message');

# by HTTP

my $r = post('stop', { receiver => 'r' });
is_deeply([ $r->status, $r->json->{errorCode} ], [ 409, 't.quiet' ],
	'HTTP: a no');
$r = post('ok', { receiver => 'r', data => { b => 1 } });
is_deeply([ $r->status, $r->json->{result}{n} ], [ 200, 7 ], 'HTTP: goes');
is($peer->recv_event('sync')->[1]{fullName}, 'sync/t/ok/v1', 'HTTP: heard');
is_deeply([ map { @{$_->{json}}{qw/ transport clientId /} }
	($hook->requests)[-1] ], [ 'http', undef ], 'HTTP: what is asked');

# who asked is gone: who it was is known all the same

my $in = $t->ws('/in?t=t1');
$in->recv_json;
begin($in, 'gone');
ok($t->wait_for(sub { grep { $_->{json}{event} eq 'fanout'
	&& $_->{json}{route} =~ /gone/ } $hook->requests }), 'asked');
is_deeply([ map { [ $_->{user}{id}, $_->{token} ] } grep {
	$_->{event} eq 'fanout' && $_->{route} =~ /gone/ }
	map { $_->{json} } $hook->requests ], [ [ 'u1', 't1' ] ], 'who asks');
$in->disconnect;
$hook->go('gone');
is(($peer->recv_event('sync') || [ 0, {} ])->[1]{fullName}, 'sync/t/gone/v1',
	'heard without the one who asked');

# a route that has no server hook

my $bare = $t->ws('/ws', port => 2);
$bare->recv_json;
join_room($bare);
is_deeply([ map { ask($bare, $_)->{errorCode} // 'success' }
	qw/ ok stop / ], [ 'success', 't.quiet' ], 'no server hook');

# to the caller alone, and to all

$ws->send_json([ 'sync', { name => 'sync/t/stop/v1', cb => 'c', data => {},
	receiver => 'all', responseIndex => ++$i } ]);
is($ws->recv_event("sync-$i")->[1]{errorCode}, 't.quiet', 'to all: a no');

sub member {
	my $ws = $t->ws(@_);
	$ws->recv_json;
	join_room($ws);
	return $ws;
}

sub join_room {
	my ($ws) = @_;

	$ws->send_json([ 'joinRoom', { group => 'r', responseIndex => 0 } ]);
	return $ws->recv_event('joinRoom-0');
}

sub begin {
	my ($ws, $name, $data) = @_;

	$ws->send_json([ 'sync', { name => "sync/t/$name/v1", cb => 'c',
		receiver => 'r', data => $data || {}, responseIndex => ++$i } ]);
}

sub ask {
	my ($ws) = @_;

	begin(@_);
	return ($ws->recv_event("sync-$i", 20) || [ 0, {} ])->[1];
}

sub post {
	my ($name, $body) = @_;

	return $t->http('POST', "/sync/t/$name/v1", json => $body,
		headers => [ 'Origin', 'http://localhost' ]);
}

# Whether it has heard nothing of a sync up to now.

sub quiet {
	my ($ws) = @_;

	$ws->send_json([ 'getJoinedRooms', { responseIndex => 5 } ]);

	while (my $m = $ws->recv_json) {
		return 1 if $m->[0] eq 'getJoinedRooms-5';
		return 0 if $m->[0] eq 'sync';
	}

	return 0;
}
