#!/usr/bin/perl

# Copyright (C) sync for nginx

# socket.io-client as it comes from npm, with sessions in Redis: known by a
# cookie, by what it says, by a bearer token; two tabs of a session, and a second
# login that kicks the first.

use warnings;
use strict;

use FindBin;
use IO::Select;
use IPC::Open2;
use JSON::PP;
use Test::More;

use lib "$FindBin::Bin/lib";
use Test::Sync;

my $t = Test::Sync->new->plan(39);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;
    sync_redis redis://127.0.0.1:%%PORT_1%%;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_session redis key=s:$sync_token users=u:$sync_user per_user=single;
        sync_token cookie:token header:authorization auth:token;

        location /socket.io/ { sync socketio; }
        location /control/   { sync control; }
        location /status     { sync status; }
    }
}
EOF

my $redis = $t->redis(port => 1);

$t->run;

ok($t->wait_for(sub { $t->http('GET', '/status')->json->{redis}{tracked} }, 20),
	'Redis is there');

$redis->command('SET', 's:t1', '{"id":"u1","roomCodes":["r"]}', 'EX', 1000);
$redis->command('SADD', 'u:u1', 't1');

# each way by each transport; two tabs; who is nobody; who logs in later

my %by = (
	cookie => { extraHeaders => { Cookie => 'a=b; token=t1' } },
	auth => { auth => { token => 't1' } },
	bearer => { extraHeaders => { Authorization => 'Bearer t1' } },
);

my %transports = (polling => [ 'polling' ], websocket => [ 'websocket' ],
	upgrade => [ 'polling', 'websocket' ]);

my %clients = (
	unknown => { auth => { token => 'no' } },
	nobody => {},
	second => { auth => { token => 't2' }, late => JSON::PP::true },
	third => { extraHeaders => { Cookie => 'token=t2' },
		late => JSON::PP::true },
);

for my $way (keys %by) {
	$clients{"$way $_"} = { %{$by{$way}}, transports => $transports{$_} }
		for keys %transports;
}

my @ours = sort grep { / / } keys %clients;

my $pid = open2(my $out, my $in, 'node', "$FindBin::Bin/sio/session.mjs",
	'http://127.0.0.1:' . $t->port(0), encode_json(\%clients));
my ($buffer, %heard) = ('');

###############################################################################

for my $name (@ours) {
	ok(hear($name, 'connect'), "$name is in");
	is_deeply(hear($name, 'getJoinedRooms-0'), [ { rooms => [ 'r' ] } ],
		'and in its room before it says anything');
}

is_deeply([ map { hear($_, 'transport') } grep { /upgrade/ } @ours ],
	[ ([ 'websocket' ]) x 3 ], 'upgraded');

# a change, by who writes to Redis

$redis->command('SET', 's:t1', '{"id":"u1","name":"Bob","roomCodes":["r"]}');
is(scalar(grep { decode_json(hear($_, 'updateSession')->[0])->{name} eq 'Bob' }
	@ours), 9, 'all hear of a change');

# two tabs

my ($tab, $other) = ('cookie upgrade', 'auth polling');

emit($tab, 'joinRoom', { group => 'x', responseIndex => 1 });
is_deeply(decode_json(hear($other, 'updateSession')->[0])->{roomCodes},
	[ 'r', 'x' ], 'another tab hears of a room');
is_deeply(hear($tab, 'joinRoom-1'), [ { rooms => [ 'r', 'x' ] } ],
	'that one has joined');
emit($other, 'getJoinedRooms', { responseIndex => 2 });
is_deeply(hear($other, 'getJoinedRooms-2'), [ { rooms => [ 'r' ] } ],
	'for itself');

# those that are nobody

emit($_, 'joinRoom', { group => 'r', responseIndex => 3 })
	for qw/ unknown nobody /;
is(hear('unknown', 'joinRoom-3')->[0]{errorCode}, 'session.notFound',
	'a token without a session');
is(hear('nobody', 'joinRoom-3')->[0]{errorCode}, 'auth.required', 'no token');

# a second login

is($t->http('POST', '/control/session/login', json => { user => 'u1',
	token => 't2', session => { id => 'u1', n => 2 } })->json->{replaced}, 1,
	'a second login');
is_deeply([ map { hear($_, 'sessionReplaced') } @ours ],
	[ ([ '{"reason":"session-replaced","userId":"u1"}' ]) x 9 ],
	'kicks all tabs of the first');
is_deeply([ map { hear($_, 'logout') } @ours ], [ ([ 'success' ]) x 9 ],
	'and logs them out');

emit($_, 'connect') for qw/ second third /;
ok(hear('second', 'connect') && hear('third', 'connect'), 'the second is in');
emit('second', 'joinRoom', { group => 'y', responseIndex => 4 });
is_deeply(hear('second', 'joinRoom-4'), [ { rooms => [ 'y' ] } ],
	'and may do what it may');

emit('second', 'apiRequest', { name => 'api/system/logout/v1', data => {},
	responseIndex => 5 });
is_deeply(hear('second', 'apiResponse-5'), [ { status => 'success',
	httpStatus => 200, result => JSON::PP::true } ], 'a logout');
is_deeply(hear('third', 'logout'), [ 'success' ], 'is one of all tabs');

# nothing was heard twice, and a logout does not close

my %left;
$left{$_->[0]}++ for map { @$_ } values %heard;
is($left{sessionReplaced} // 0, 0, 'nobody was kicked twice');
is($left{logout} // 0, 1, 'nor logged out, but for who asked for that');
is($left{error} // 0, 0, 'no errors');
is($t->http('GET', '/status')->json->{clients}, 13, 'all are connected still');
ok($t->wait_for(sub {
	return $redis->command('EXISTS', 's:t1', 's:t2', 'u:u1') == 0;
}, 10), 'nothing is left in Redis');

close $in;
waitpid $pid, 0;
is($?, 0, 'the clients end');

###############################################################################

sub emit {
	print $in encode_json([ @_ ]), "\n";
	$in->flush;
}

# The arguments of the next event of this name.

sub hear {
	my ($name, $event) = @_;

	while (1) {
		my $list = $heard{$name} //= [];

		for my $i (0 .. $#$list) {
			return (splice @$list, $i, 1)->[1]
				if $list->[$i][0] eq $event;
		}

		while ($buffer =~ s/^(.*)\n//) {
			my ($who, $what, $args) = @{decode_json($1)};
			push @{$heard{$who}}, [ $what, $args ];
		}

		next if grep { $_->[0] eq $event } @$list;

		return [ '{}' ] unless IO::Select->new($out)->can_read(
			20 * $Test::Sync::SLOW)
			&& sysread $out, $buffer, 65536, length $buffer;
	}
}

###############################################################################
