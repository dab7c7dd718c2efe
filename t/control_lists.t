#!/usr/bin/perl

# Copyright (C) sync for nginx

# The lists of the control endpoint: rooms, members, clients, a client; by GET
# and POST, and page by page.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Time::HiRes qw/ time /;

###############################################################################

my $t = Test::Sync->new->plan(33);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:4m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /ws       { sync websocket; sync_max_rooms 100; }
        location /sse      { sync sse; }
        location /control/ { sync control; }
    }
}
EOF

$t->run;

###############################################################################

# nothing yet

is($t->http('GET', '/control/rooms')->body,
	'{"status":"success","rooms":[],"cursor":null}', 'no rooms');
is($t->http('GET', '/control/clients')->body,
	'{"status":"success","count":0,"clients":[],"cursor":null}', 'no clients');
is($t->http('GET', '/control/members?room=r')->body,
	'{"status":"success","room":"r","count":0,"members":[],"cursor":null}',
	'no members');

my $ws = $t->ws('/ws');
my $id = $ws->recv_json->[1]{clientId};
my $sse = $t->sse('/sse?channels=zoo,a%20%26%20b,n*&userId=u1');
my $sse_id = $sse->recv_json->{clientId};

my @rooms = map { "room:$_" } 1 .. 90;

for my $room ('zoo', @rooms) {
	$ws->send_json([ 'joinRoom', { group => $room, responseIndex => 1 } ]);
	$ws->recv_event('joinRoom-1');
}

# a room's members

my $r = list('members', room => 'zoo');
is($r->{count}, 2, 'count');
is_deeply([ sort map { $_->{clientId} } @{$r->{members}} ],
	[ sort $id, $sse_id ], 'members');
is($r->{cursor}, undef, 'all of them');

my ($member) = grep { $_->{clientId} eq $sse_id } @{$r->{members}};
is($member->{userId}, 'u1', 'user');
is($member->{transport}, 'sse', 'transport');
is($member->{roomCount}, 3, 'rooms');
cmp_ok(abs($member->{connectedAt} / 1000 - time()), '<', 60, 'connected');

is(list('members', room => 'zoo', limit => 0)->{count}, 2, 'count alone');
is_deeply(list('members', room => 'zoo', limit => 0)->{members}, [], 'no one');

$r = list('members', room => 'zoo', limit => 1);
my $next = list('members', room => 'zoo', limit => 1, cursor => $r->{cursor});
is_deeply([ sort map { $_->{clientId} } @{$r->{members}},
	@{$next->{members}} ], [ sort $id, $sse_id ], 'one by one');
is($next->{cursor}, undef, 'to the end');

is($t->http('GET', '/control/members?room=a+%26+b')->json->{count}, 1,
	'escaped arguments');
is($t->http('GET', '/control/members?room=n%2A')->json->{count}, 1,
	'subscribers of a pattern');
is($t->http('GET', '/control/members?room=zoo&&limit=1&')->json->{cursor}, 1,
	'empty arguments');
is($t->http('GET', '/control/members?room=%22')->json->{room}, '"',
	'a quote');
is($t->http('GET', '/control/members?room')->status, 400, 'no value');

# rooms, page by page

is_deeply([ rooms() ], [ sort 'zoo', 'a & b', 'n*', @rooms ], 'rooms');
is_deeply([ rooms(limit => 16) ], [ sort 'zoo', 'a & b', 'n*', @rooms ],
	'in small pages');
is_deeply([ rooms(prefix => 'room:') ], [ sort @rooms ], 'by prefix');
is_deeply([ rooms(prefix => 'none') ], [], 'none');

($r) = grep { $_->{room} eq 'zoo' } @{list('rooms', prefix => 'z')->{rooms}};
is_deeply($r, { room => 'zoo', members => 2 }, 'a room');

# clients, page by page

my @ws = $t->ws_many(100, '/ws');
my @ids = map { $_->recv_json->[1]{clientId} } @ws;

is_deeply([ pages('clients', 'clientId', limit => 20) ],
	[ sort $id, $sse_id, @ids ], 'clients');
is(list('clients')->{count}, 102, 'count');

$r = $t->http('GET', "/control/client?clientId=$sse_id")->json->{client};
is($r->{userId}, 'u1', 'client');
is_deeply($r->{rooms}, [ 'zoo', 'a & b', 'n*' ], 'its rooms, oldest first');
cmp_ok($r->{lastActivity}, '>=', $r->{connectedAt}, 'activity');

$r = list('client', clientId => $id)->{client};
is($r->{userId}, undef, 'no user');
is_deeply($r->{rooms}, [ 'zoo', @rooms ], 'many rooms');

$_->disconnect for @ws, $ws, $sse;

ok($t->wait_for(sub { return list('clients')->{count} == 0 }), 'gone');
is_deeply([ rooms() ], [], 'and so are the rooms');

###############################################################################

sub list {
	my ($op, %fields) = @_;
	return $t->http('POST', "/control/$op", json => \%fields)->json;
}

sub rooms { return pages('rooms', 'room', @_) }

# A member of all entries of a list that is read to its end.

sub pages {
	my ($op, $key, %fields) = @_;

	my (@all, $r);

	do {
		$r = list($op, %fields);
		push @all, map { $_->{$key} } @{$r->{$op}};
		$fields{cursor} = $r->{cursor};

	} while (defined $r->{cursor});

	@all = sort @all;

	return @all;
}

###############################################################################
