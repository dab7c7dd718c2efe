#!/usr/bin/perl

# Copyright (C) sync for nginx

# sync: the order of its checks, its answers and frames, and what a client is
# told when the app fails in each way that an app can.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

my $t = Test::Sync->new->plan(65);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /plain { sync websocket; }
        location /any   { sync websocket; sync_receiver any all=on; }
        location /ws    { sync websocket; sync_hook server /_hook/sync; }
        location /short { sync websocket; sync_hook server /_hook/short; }
        location /down  { sync websocket; sync_hook server /_down; }
        location /none  { sync websocket; sync_hook server /nowhere; }

        location /status { sync status; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
        }

        location /_hook/short {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
            proxy_read_timeout 1s;
        }

        location /_down {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_2%%;
        }
    }
}
EOF

my %answer = (
	error => { json => { status => 'error', errorCode => ' board.locked ',
		message => 'not shown', httpStatus => 423,
		errorParams => [ { key => 'n', value => 7 } ] } },
	bare => { json => { status => 'error' } },
	params => { json => { status => 'error', errorCode => 'x',
		errorParams => [ { key => 'n', value => [] } ] } },
	other => { json => { status => 'maybe' } },
	nostatus => { json => { ok => 1 } },
	array => { body => '[1]' },
	garbage => { body => '{"status":"success"' },
	empty => { body => '' },
	html => { body => '<html>' },
	400 => { status => 400, json => { status => 'success' } },
	500 => { status => 500, json => { status => 'success' } },
	302 => { status => 302, headers => [ 'Location: /' ], body => '' },
	large => { body => '{"status":"success","x":"' . 'x' x 1100000 . '"}' },
	cut => [ [ 'head', 200, 'Content-Length: 100' ],
		[ 'raw', '{"status":"success"}' ], [ 'close' ] ],
	reset => [ [ 'head', 200 ], [ 'chunk', '{"status":"success"}' ],
		[ 'reset' ] ],
	hang => [ [ 'hang' ] ],
	stall => [ [ 'head', 200 ], [ 'chunk', '{"status":"succ' ], [ 'hang' ] ],
	pieces => [ [ 'head', 200 ], [ 'chunk', '{"status":"su' ],
		[ 'chunk', 'ccess","a":"b' ], [ 'chunk', '"}' ], [ 'end' ] ],
	big => { body => '{"status":"success","x":"' . 'x' x 200000 . '"}' },
);

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;
	my $n = $r->{json}{name};

	return $answer{$n} if $answer{$n};

	return [ [ 'wait', $n ], [ 'head', 200, 'Content-Length: 20' ],
		[ 'raw', '{"status":"success"}' ] ] if $n =~ /^slow/;

	return { json => { status => 'success', got => $r->{json}{data} } };
});

$t->run;

my $i = 0;

# with no hook: a client-only sync

my ($ws, $peer) = map { $t->ws('/plain') } 1 .. 2;
my $id = $ws->recv_event('connected')->[1]{clientId};
join_room($_, 'r1') for $ws, $peer;

my $r = ask($ws, 'sync', name => 'sync/t/echo/v1', cb => 't/echo/v1',
	receiver => 'r1', data => {});
is_deeply($r, { status => 'success', message => 'sync sync/t/echo/v1 success',
	result => {} }, 'acknowledged');
is_deeply(($ws->skipped)[-1][0], "sync-progress-$i", 'cancel id first');
like(($ws->skipped)[-1][1]{__cancelId}, qr/^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/,
	'cancel id');

my $frame = '["sync",{"cb":"sync/t/echo/v1","fullName":"sync/t/echo/v1",'
	. '"serverOutput":{},"clientOutput":{},'
	. '"message":"sync/t/echo/v1 sync success","status":"success"}]';
is($peer->recv_text, $frame, 'frame at the other');
is($ws->recv_text, $frame, 'frame at the sender, after its acknowledgement');

ask($ws, 'sync', name => 'sync/t/echo/v1', cb => 'x', receiver => 'r1',
	data => {}, ignoreSelf => JSON::PP::true);
is($peer->recv_text, $frame, 'ignoreSelf: the other hears it');
is($ws->recv_text(0.2), undef, 'ignoreSelf: the sender does not');

ask($ws, 'sync', name => 'sync/t/echo/v1', cb => 'x', receiver => 'r1',
	data => {}, ignoreSelf => 1);
is($ws->recv_text, $frame, 'ignoreSelf: 1 is not true');
$peer->recv_text;

# the order of checks

my @checks = (
	[ 'no data', 'sync.invalidRequest', 400, name => 'a' ],
	[ 'data is an array', 'sync.invalidRequest', 400, data => [] ],
	[ 'no name', 'sync.invalidRequest', 400, data => {} ],
	[ 'name is no route', 'routing.invalidServiceRouteName', 400,
		data => {}, name => 'echo' ],
	[ 'no version', 'routing.invalidServiceRouteName', 400, data => {},
		name => 'sync/t/echo' ],
	[ 'no cb', 'sync.invalidCallback', 400, data => {},
		name => 'sync/t/e/v1' ],
	[ 'no receiver', 'sync.missingReceiver', 400, data => {},
		name => 't/e/v1', cb => 'c' ],
	[ 'blank receiver', 'sync.missingReceiver', 400, data => {},
		name => 't/e/v1', cb => 'c', receiver => '  ' ],
	[ 'all', 'sync.receiverNotAllowed', 403, data => {},
		name => 't/e/v1', cb => 'c', receiver => 'all' ],
	[ 'pattern', 'sync.receiverNotAllowed', 403, data => {},
		name => 't/e/v1', cb => 'c', receiver => 'r*' ],
	[ 'not a member', 'sync.notRoomMember', 403, data => {},
		name => 't/e/v1', cb => 'c', receiver => 'r2' ],
	[ 'long receiver', 'sync.notRoomMember', 403, data => {},
		name => 't/e/v1', cb => 'c', receiver => 'r' x 300 ],
);

for my $c (@checks) {
	my ($name, $code, $status, %o) = @$c;
	my $e = ask($ws, 'sync', %o);
	is_deeply([ @$e{qw/ status message errorCode httpStatus /} ],
		[ 'error', $code, $code, $status ], $name);
}

is_deeply(ask($ws, 'sync', data => {}, name => "e\"\x{e9}")->{errorParams},
	[ { key => 'name', value => "e\"\x{e9}" } ], 'the name that is no route');

$ws->send_text('["sync","text"]');
is_deeply($ws->recv_json, [ 'sync', { status => 'error',
	message => 'sync.invalidRequest', errorCode => 'sync.invalidRequest',
	httpStatus => 400 } ], 'not an object');

# without an index: it runs, and nobody is told

$ws->send_json([ 'sync', { name => 't/echo/v1', cb => 'c', receiver => 'r1',
	data => {}, responseIndex => '5' } ]);
is($ws->recv_text, $frame, 'no index, no acknowledgement');
$peer->recv_text;

# to itself, to anybody

ask($ws, 'sync', name => 't/echo/v1', cb => 'c', data => {}, receiver => $id);
is($ws->recv_text, $frame, 'to itself');
is($peer->recv_text(0.2), undef, 'to nobody else');

my $any = $t->ws('/any');
is(ask($any, 'sync', name => 't/e/v1', cb => 'c', data => {},
	receiver => 'empty')->{errorCode}, 'sync.noReceiversFound', 'nobody there');
is(ask($any, 'sync', name => 't/echo/v1', cb => 'c', data => {},
	receiver => 'r1')->{status}, 'success', 'any room');
is($peer->recv_text, $frame, 'any room: heard');
$ws->recv_text;
is(ask($any, 'sync', name => 't/echo/v1', cb => 'c', data => {},
	receiver => 'all')->{status}, 'success', 'all');
is($_->recv_text, $frame, 'all: heard') for $ws, $peer, $any;

# what is no message

$_->[0]->send_text($_->[1]), is($_->[0]->recv_json->[1]{errorCode},
	'protocol.invalidFrame', "invalid: $_->[1]")
	for map { [ $ws, $_ ] } '{}', 'x', '[]', '[1]', '["a"';
$ws->send_text('["unheard of",{}]');
is_deeply(ask($ws, 'apiRequest', name => 'api/t/x/v1', data => {}),
	{ status => 'error', message => 'api.notFound',
	errorCode => 'api.notFound', httpStatus => 404 }, 'no api');

# with a hook

$_->disconnect for $ws, $peer, $any;

($ws, $peer) = map { $t->ws('/ws', headers => [ 'Cookie: a=b',
	'Accept-Language: nl' ]) } 1 .. 2;
$id = $ws->recv_event('connected')->[1]{clientId};
join_room($_, 'r1') for $ws, $peer;

my $data = { text => "\x{e9}\"", list => [ 1, 2.5 ] };
is_deeply(sync($ws, 'echo', $data)->{result},
	{ status => 'success', got => $data }, 'result of the hook');
is_deeply($peer->recv_event('sync')->[1]{serverOutput},
	{ status => 'success', got => $data }, 'serverOutput');

my $req = $hook->wait_requests(1)->[0];
is_deeply([ @{$req->{json}}{qw/ v event kind route service name version
	transport receiver roomCode user token clientId ip locale /} ],
	[ 1, 'server', 'sync', 'sync/t/echo/v1', 't', 'echo', 'v1', 'socket', 'r1',
	'r1', undef, undef, $id, '127.0.0.1', 'nl' ], 'hook request');
is($req->{headers}{cookie}, 'a=b', 'cookie of the handshake');

my %code = (
	bare => [ 'error.invalidResponse', 400 ],
	params => [ 'x', 400 ],
	(map { $_ => [ 'sync.invalidServerResponse', 400 ] }
		qw/ other nostatus array garbage empty html large /),
	(map { $_ => [ 'sync.serverExecutionFailed', 400 ] }
		qw/ 400 500 302 cut reset hang stall /),
);

is_deeply(sync($ws, 'error'), { status => 'error', message => 'board.locked',
	errorCode => 'board.locked', httpStatus => 423,
	errorParams => [ { key => 'n', value => 7 } ] }, "the handler's error");

# those that do not answer are waited for, the others have time

my $short = $t->ws('/short');
join_room($short, 'r1');

for my $name (sort keys %code) {
	my $e = sync($name =~ /hang|stall/ ? $short : $ws, $name);
	is_deeply([ @$e{qw/ errorCode httpStatus /} ], $code{$name},
		"hook: $name");
}

is($peer->recv_text(0.2), undef, 'nobody hears of failures');
$short->disconnect;

is_deeply(sync($ws, 'pieces')->{result}, { status => 'success', a => 'b' },
	'answer in pieces');
is(length sync($ws, 'big')->{result}{x}, 200000, 'large answer');

# the sender leaves: the others hear it all the same

$ws->send_json([ 'sync', { name => 't/slow/v1', cb => 'c', receiver => 'r1',
	data => {}, responseIndex => 1000 } ]);
$ws->recv_event('sync-progress-1000');
$hook->wait_requests(21);
$ws->disconnect;
$hook->go('slow');
$peer->recv_event('sync') for 1 .. 2;
is($peer->recv_event('sync')->[1]{cb}, 'sync/t/slow/v1',
	'the sender left, its message did not');

for my $uri ('/down', '/none') {
	my $c = $t->ws($uri);
	join_room($c, 'r3');
	is(sync($c, 'x', {}, 'r3')->{errorCode}, 'sync.serverExecutionFailed',
		"hook: $uri");
}

sub join_room {
	my ($ws, $room) = @_;
	return ask($ws, 'joinRoom', group => $room);
}

sub sync {
	my ($ws, $name, $data, $room) = @_;
	return ask($ws, 'sync', name => "sync/t/$name/v1", cb => "t/$name/v1",
		receiver => $room || 'r1', data => $data || {});
}

# Asks and returns the answer's object.

sub ask {
	my ($ws, $event, %o) = @_;

	my $n = ++$i;
	$ws->send_json([ $event, { %o, responseIndex => $n } ]);

	my $answer = $event eq 'apiRequest' ? 'apiResponse' : $event;

	return ($ws->recv_event("$answer-$n") || [])->[1];
}
