#!/usr/bin/perl

# Copyright (C) sync for nginx

# The control endpoint: messages and orders to clients.  What is wrong in a
# request is in control_errors.t, lists are in control_lists.t.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use Test::Sync;

###############################################################################

my $t = Test::Sync->new->plan(42);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:2m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /ws       { sync websocket; }
        location /sse      { sync sse; }
        location /control/ { sync control; }
        location /file/    { sync control; client_body_in_file_only clean; }
    }
}
EOF

$t->run;

###############################################################################

my @ws = map { client('r') } 1 .. 3;
my ($first, $second, $third) = @ws;

join_room($third, 'other');

my $stream = $t->sse('/sse?channels=note:1&userId=u7');
$stream->recv;

# messages

my $r = control('publish', { room => 'r', event => 'e', data => { x => 1 } });
is($r->status, 200, 'publish');
is($r->header('content-type'), 'application/json', 'type');
is($r->header('cache-control'), 'no-store', 'not to be stored');
is($r->body, '{"status":"success","rooms":{"r":{"receivers":3,'
	. '"position":null}}}', 'answer');
hears([ '["e",{"x":1},{"room":"r"}]' ], @ws);

is(control('publish', { rooms => [ 'r', 'other', 'r', 'none' ], data => 1 })
	->body, '{"status":"success","rooms":{"r":{"receivers":3,"position":null},'
	. '"other":{"receivers":1,"position":null},'
	. '"none":{"receivers":0,"position":null}}}', 'rooms, each once');
hears([ '["message",1,{"room":"r"}]' ], $first, $second);
is_deeply([ sort map { $third->recv_text } 1 .. 2 ],
	[ '["message",1,{"room":"other"}]', '["message",1,{"room":"r"}]' ],
	'in both rooms');

is(control('publish', { room => 'nobody' })->body, '{"status":"success",'
	. '"rooms":{"nobody":{"receivers":0,"position":null}}}', 'nobody there');

$r = control('publish', { room => 'r', data => 2,
	except => [ $first->{id}, $third->{id} ] });
is($r->json->{rooms}{r}{receivers}, 1, 'except');
hears([ '["message",2,{"room":"r"}]' ], $second);

$r = control('publish', { pattern => 'note:*', event => 'n', data => [] });
is($r->body, '{"status":"success","rooms":{"note:*":{"receivers":null,'
	. '"position":null}}}', 'pattern');
is_deeply(event($stream), { event => 'n', channel => 'note:*', data => [] },
	'heard');

is(control('publish', { all => JSON::PP::true, event => 'all', data => 3 })
	->body, '{"status":"success","receivers":4}', 'all');
hears([ '["all",3]' ], @ws);
is(event($stream)->{data}, 3, 'heard by an event stream');

$r = control('broadcast', { channel => 'note:1', data => 'hi' });
is($r->json->{rooms}{'note:1'}{receivers}, 1, 'broadcast');
is_deeply(event($stream), { channel => 'note:1', data => 'hi' }, 'heard');

control('broadcast', { channel => 'no*', data => 'all' });
is_deeply(event($stream), { channel => 'no*', data => 'all' },
	'broadcast to a pattern');

# data goes through as it is

my $data = qq([ 1.0, 10000000000000000000000, "\\u0041\xc3\xa9", {"a":1,"a":2}]);
post('/control/publish', qq({"room":"r","data" : $data }));
hears([ qq(["message",$data,{"room":"r"}]) ], @ws);

my $big = '"' . 'x' x 200_000 . '"';
is(post('/file/publish', qq({"room":"r","data":$big}))->status, 200,
	'body in a file');
is(join(',', map { length $_->recv_text } @ws), join(',',
	(length qq(["message",$big,{"room":"r"}])) x 3), 'heard');

is(post('/control/publish', '{"room":"\u00e9 \ud83d\ude00"}')->body,
	qq({"status":"success","rooms":{"\xc3\xa9 \xf0\x9f\x98\x80":)
	. '{"receivers":0,"position":null}}}', 'name with escapes');
post('/control/publish', '{"room":"r","event":"\u0022q\u0022"}');
hears([ '["\"q\"",null,{"room":"r"}]' ], @ws);
control('publish', { room => 'r', rooms => undef, event => undef,
	data => undef, except => undef });
hears([ '["message",null,{"room":"r"}]' ], @ws);

# orders

is(control('join', { room => 'put', clientId => $first->{id} })->body,
	'{"status":"success"}', 'join');
ok($t->wait_for(sub { return members('put') == 1 }), 'joined');
control('publish', { room => 'put', data => 4 });
hears([ '["message",4,{"room":"put"}]' ], $first);

is(control('leave', { room => 'put', clientId => $first->{id} })->status, 200,
	'leave');
ok($t->wait_for(sub { return members('put') == 0 }), 'left');

$r = control('kick', { clientId => $second->{id}, reason => "go\x{e9}" });
is($r->body, '{"status":"success","clients":1}', 'kick');
is($second->wait_close, 1008, 'code');
is($second->close_reason, "go\xc3\xa9", 'reason');

is(control('disconnect', { clientId => $third->{id} })->status, 200,
	'disconnect');
is($third->wait_close, 1000, 'code');

ok($t->wait_for(sub {
	return control('kick', { clientId => $second->{id} })->status == 404;
}), 'gone');

my @tabs = map { my $s = $t->sse('/sse?channels=x&userId=u7'); $s->recv; $s }
	1 .. 2;
is(control('kick', { user => 'u7' })->json->{clients}, 3, 'kick a user');
ok($_->wait_eof, 'stream ended') for $stream, @tabs;
ok($t->wait_for(sub {
	return control('kick', { user => 'u7' })->json->{clients} == 0;
}), 'all gone');

control('publish', { room => 'r', event => 'end' });
hears([ '["end",null,{"room":"r"}]' ], $first);

###############################################################################

sub client {
	my ($room) = @_;

	my $ws = $t->ws('/ws');
	$ws->{id} = $ws->recv_json->[1]{clientId};
	join_room($ws, $room);

	return $ws;
}

sub join_room {
	my ($ws, $room) = @_;

	$ws->send_json([ 'joinRoom', { group => $room, responseIndex => 1 } ]);
	$ws->recv_event('joinRoom-1') or die "no answer to joinRoom\n";
}

sub control {
	my ($op, $fields) = @_;
	return $t->http('POST', "/control/$op", json => $fields);
}

sub post {
	my ($uri, $body) = @_;

	return $t->http('POST', $uri, body => $body,
		headers => { 'Content-Type' => 'application/json' });
}

sub members { return control('members', { room => $_[0] })->json->{count} }

# Whether these messages are the next ones of each client.

sub hears {
	my ($messages, @clients) = @_;

	is_deeply([ map { my $ws = $_; [ map { $ws->recv_text } @$messages ] }
		@clients ], [ map { $messages } @clients ],
		'heard by ' . @clients);
}

# The next event of a stream, without its time.

sub event {
	my ($es) = @_;

	my $e = $es->recv or return undef;
	my $value = decode_json($e->{data});

	delete $value->{timestamp};
	$value->{event} = $e->{event} if exists $e->{event};

	return $value;
}

###############################################################################
