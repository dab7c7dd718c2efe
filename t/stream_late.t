#!/usr/bin/perl

# Copyright (C) sync for nginx

# Who joins a room while the app streams text into it: the text so far in one
# frame, then the pieces that follow, with no hole and none twice, whatever it
# speaks and whatever worker has it; limits, and when a text is forgotten.

use warnings;
use strict;
use utf8;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

my $t = Test::Sync->new->plan(36);

$t->write_conf(<<'EOC');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;
    sync_room "chat:*"  stream=accumulate;
    sync_room "small:*" stream=accumulate:1k;
    sync_room "log:*"   stream=accumulate recoverable;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_receiver any;
        sync_hook server /_hook/server;

        location /ws         { sync websocket; }
        location /deflate    { sync websocket; sync_compression on min=1; }
        location /socket.io/ { sync socketio; }
        location /events     { sync sse; }
        location /status     { sync status; }
        location /close {
            sync websocket;
            sync_hook server /_hook/server cancel=close;
        }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
EOC

# the app says what it is told to: lines, and where to wait

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;
	my $data = $r->{json}{data};

	my @lines = @{$data->{lines} || []};

	my @steps = map { ref $_ ? [ 'chunk',
		JSON::PP->new->utf8->encode($_) . "\n" ]
		: [ split / /, $_, 2 ] } @lines;

	# many at once, and again when it is told to go on

	@steps = ([ 'chunk', qq({"throttle":{"chars":100,"everyMs":1}}\n) ],
		map { my $n = $_; [ 'chunk', join '', map {
			qq({"broadcast":{"chunk":"$_ "}}\n) }
			$n * 50 .. $n * 50 + 49 ], [ 'wait', "go$n" ] }
		0 .. $data->{count} - 1) if $data->{count};

	return [ [ 'head', 200, 'Content-Type: application/x-ndjson' ], @steps,
		@steps && $steps[-1][0] =~ /^(?:reset|hang)$/ ? () : ([ 'chunk',
		qq({"final":{"status":"success"}}\n) ], [ 'end' ]) ];
});

$t->run;

my $i = 0;
my %names = (cb => 'sync/t/say/v1', fullName => 'sync/t/say/v1',
	status => 'stream');

# the text so far, then what follows: each dialect

my $asker = member('/ws', 'chat:1');

ask($asker, 'chat:1', piece('On'), piece("ce \"\x{e9}"), 'wait 1', piece(' b'),
	'wait 2', piece('!'));
is(join('', map { heard($asker) } 1, 2), "Once \"\x{e9}", 'who was there');

my %late = (
	websocket => member('/ws', 'chat:1'),
	deflate => member('/deflate', 'chat:1', deflate => 1),
	socketio => socketio('/socket.io/', 'chat:1'),
	polling => polling('chat:1'),
	sse => sse('chat:1'),
);

for my $name (sort keys %late) {
	is_deeply(frame($late{$name}), { chunk => "Once \"\x{e9}", %names,
		accumulated => JSON::PP::true() }, "$name: the text so far");
}

$hook->go('1');
heard($asker);

for my $name (sort keys %late) {
	is_deeply(frame($late{$name}), { chunk => ' b', %names },
		"$name: then what follows");
}

my $later = member('/ws', 'chat:1');
is(heard($later), "Once \"\x{e9} b", 'later: more of it');

# who was there hears nothing twice, not by joining again

$late{websocket}->send_json([ 'joinRoom', { group => 'chat:1',
	responseIndex => 9 } ]);
is($late{websocket}->recv_json->[0], 'joinRoom-9', 'joins again');

# who left and comes back has missed some

leave($late{deflate}, 'chat:1');
join_room($late{deflate}, 'chat:1');
is(heard($late{deflate}), "Once \"\x{e9} b", 'left, and came back');

$hook->go('2');
is(heard($_), '!', 'the last piece') for $asker, $later, @late{qw/ websocket
	deflate /};
is(frame($_)->{status}, 'success', 'the end') for $asker, $later;

my $after = member('/ws', 'chat:1');
is(quiet($after), 'nothing', 'who comes after the end');

# other rooms, other ways to say it

join_room($asker, 'plain');
ask($asker, 'plain', piece('a'), 'wait 3');
heard($asker);
my $there = member('/ws', 'plain');
$hook->go('3');
is(frame($there)->{status}, 'success', 'a room without');
frame($asker);

my $two = member('/ws', 'chat:2');
ask($two, 'chat:2', piece('a'), { broadcast => { chunk => 'b', n => 1 } },
	{ broadcast => { text => 'c' } }, { broadcast => { chunk => 4 } },
	piece('d'), 'wait 4');
heard($two) for 1 .. 5;
ask($asker, 'chat:2', { throttle => { field => 'x"', chars => 1 } },
	{ broadcast => { 'x"' => '1' } }, { broadcast => { 'x"' => '2' } },
	piece('e'), 'wait 4');
heard($two) for 1 .. 3;

$there = member('/ws', 'chat:2');
is_deeply([ sort map { $_->{chunk} // $_->{'x"'} } map { frame($there) }
	1, 2 ], [ '12', 'ad' ], 'two texts, of what is text and nothing else');
$hook->go('4');
is(frame($there)->{status}, 'success', 'one ends') for 1, 2;
is(quiet(member('/ws', 'chat:2')), 'nothing', 'both are over');

# a text that is too long is there up to a point, and says so

my $small = member('/ws', 'small:1');
ask($small, 'small:1', piece('x' x 1000), piece('y' x 100), piece('z'),
	'wait 5');
heard($small) for 1 .. 3;
is_deeply(frame(member('/ws', 'small:1')), { chunk => 'x' x 1000, %names,
	accumulated => JSON::PP::true(), truncated => JSON::PP::true() },
	'a long text');
is($t->http('GET', '/status')->json->{counters}{textsTruncated}, 1,
	'is counted');
$hook->go('5');
$small->recv_event("sync-$i");

# however it ends, it is forgotten

for my $end ('reset', 'hang') {
	my $ws = member('/close', 'chat:3');
	ask($ws, 'chat:3', piece('a'), 'wait 6', $end);
	heard($ws);
	my $ws2 = member('/ws', 'chat:3');
	is(heard($ws2), 'a', "$end: under way");
	$hook->go('6');

	if ($end eq 'reset') {
		$ws->recv_event("sync-$i");

	} else {
		$ws->disconnect;
	}

	ok($t->wait_for(sub {
		return quiet(member('/ws', 'chat:3')) eq 'nothing' }), "$end: over");
}

# a room with a history: it has a position, and who has one reads on from it

my $log = member('/ws', 'log:1');
ask($log, 'log:1', piece('a'), piece('b'), 'wait 7', piece('c'), 'wait 8');
my @pos = map { $log->recv_event('sync')->[2]{pos} } 1, 2;
$there = member('/ws', 'log:1');
my $m = $there->recv_event('sync');
is_deeply([ @{$m->[1]}{qw/ chunk accumulated /}, $m->[2]{pos} ],
	[ 'ab', JSON::PP::true(), $pos[1] ], 'a position');
$hook->go('7');
my $back = $t->ws('/ws');
$back->recv_json;
join_room($back, 'log:1', pos => $pos[0]);
is_deeply([ map { $back->recv_event('sync')->[1] } 1, 2 ], [
	map { { chunk => $_, %names } } qw/ b c / ], 'reads on from a position');
$back = $t->ws('/ws');
$back->recv_json;
join_room($back, 'log:1', pos => '0/1.00000001');
is(heard($back), 'abc', 'has a position that is no good');
$hook->go('8');
$log->recv_event("sync-$i");

# many, at any moment

my @all = map { my $ws = $t->ws('/ws'); $ws->recv_json; $ws } 1 .. 30;
my $main = member('/ws', 'chat:9');
$main->send_json([ 'sync', { name => 't/say/v1', cb => 'c',
	receiver => 'chat:9', data => { count => 31 },
	responseIndex => ++$i } ]);

my $first = heard($main);

for my $n (1 .. 30) {
	$hook->go('go' . ($n - 1));
	$all[$n - 1]->send_json([ 'joinRoom', { group => 'chat:9',
		responseIndex => 0 } ]);
}

my $whole = join '', map { "$_ " } 0 .. 31 * 50 - 1;
my ($right, $wrong, $late, $gone) = (0, 0, 0, 0);

for my $ws ($main, @all) {
	my $text = $ws == $main ? $first : '';

	while (my $m = frame($ws)) {

		# the last part waits until all are there

		$hook->go('go30') if !$gone++;
		last if $m->{status} ne 'stream';
		$late++ if $m->{accumulated};
		$wrong++ if $m->{accumulated} && length $text;
		$text .= $m->{chunk};
	}

	$text eq $whole ? $right++ : $wrong++;
}

is("$right $wrong $late", '31 0 30', 'no hole, nothing twice');

sub piece { return { broadcast => { chunk => $_[0] } } }

sub ask {
	my ($ws, $room, @lines) = @_;

	$ws->send_json([ 'sync', { name => 't/say/v1', cb => 'c',
		receiver => $room, data => { lines => \@lines },
		responseIndex => ++$i } ]);
}

sub member {
	my ($uri, $room, @options) = @_;

	my $ws = $t->ws($uri, @options);
	$ws->recv_json;
	join_room($ws, $room);
	return $ws;
}

sub join_room {
	my ($ws, $room, @more) = @_;

	$ws->send_json([ 'joinRoom', { group => $room, responseIndex => 0,
		@more } ]);
	return $ws->recv_event('joinRoom-0');
}

sub leave {
	my ($ws, $room) = @_;

	$ws->send_json([ 'leaveRoom', { group => $room, responseIndex => 0 } ]);
	return $ws->recv_event('leaveRoom-0');
}

sub socketio {
	my ($uri, $room) = @_;

	my $ws = $t->ws("$uri?EIO=4&transport=websocket");
	$ws->recv_text;
	$ws->send_text('40');
	$ws->recv_text;
	$ws->send_text(qq(42["joinRoom",{"group":"$room","responseIndex":0}]));
	$ws->recv_text;
	return $ws;
}

sub polling {
	my ($room) = @_;

	my $s = $t->eio('/socket.io/');
	$s->connect;
	$s->event('joinRoom', { group => $room, responseIndex => 0 });
	$s->recv_event;
	return $s;
}

sub sse {
	my ($room) = @_;

	my $es = $t->sse("/events?channels=$room");
	$es->recv;
	return $es;
}

# What a member hears next of a sync.

sub frame {
	my ($c) = @_;

	if (ref $c eq 'Test::Sync::SSE') {
		my $m = $c->recv;
		my $data = JSON::PP->new->utf8->decode($m->{data});
		return $data->{data};
	}

	return $c->recv_event->[1] if ref $c eq 'Test::Sync::EIO';

	while (defined(my $text = $c->recv_text)) {
		$text =~ s/^42//;
		my $m = JSON::PP->new->utf8->decode($text);
		return $m->[1] if $m->[0] eq 'sync';
	}
}

sub heard { return (frame(@_) || {})->{chunk} }

# Whether it hears anything but the answer to what it asks.

sub quiet {
	my ($ws) = @_;

	$ws->send_json([ 'getJoinedRooms', { responseIndex => 5 } ]);
	my $m = $ws->recv_json;
	return $m->[0] eq 'getJoinedRooms-5' ? 'nothing' : $m->[1]{chunk};
}
