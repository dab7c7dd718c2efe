#!/usr/bin/perl

# Copyright (C) sync for nginx

# Filters of routes at delivery: who hears a message, what the sender's
# session, the data and the app's answer have to do with it, that nobody is
# asked, and that positions move all the same.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

my $t = Test::Sync->new->plan(25);

$t->write_file('routes.json', <<'EOC');
{ "version": 1, "routes": {
    "sync/t/plain/v1": { "server": false },
    "sync/t/same/v1": { "server": false, "client": { "filter": [
        { "key": "location.pathName",
          "equals": "$sender.location.pathName" } ] } },
    "sync/t/data/v1": { "server": false, "client": { "filter": [
        { "key": "team", "equals": "$data.team" } ] } },
    "sync/t/output/v1": { "client": { "filter": [
        { "key": "id", "in": "$server.to" } ] } },
    "sync/t/admin/v1": { "server": false, "client": { "filter": [
        { "key": "admin", "equals": true } ] } },
    "sync/t/asked/v1": { "server": false, "client": true } } }
EOC

$t->write_conf(<<'EOC');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;
    sync_room "log:*" recoverable history=10 join=public;
    sync_room "r*" join=public;
    sync_routes %%TESTDIR%%/routes.json;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_session memory;
        sync_token query:t;
        sync_hook server /_hook/server;
        sync_hook client /_hook/client;
        sync_receiver member all=on;

        location /ws      { sync websocket; }
        location /events  { sync sse; }
        location /control { sync control; }
        location /status  { sync status; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
        }
    }
}
EOC

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;

	return { json => [ map { { k => $_->{k}, out => { status => 'success' } } }
		@{$r->{json}{recipients}} ] } if $r->{json}{event} eq 'client';

	return { json => { status => 'success', to => $r->{json}{data}{to} } };
});

$t->run;

my $i = 0;
my %session = (
	a => { id => 'a', team => 1, location => { pathName => '/x' } },
	b => { id => 'b', team => 1, location => { pathName => '/y' } },
	c => { id => 'c', team => 2, location => { pathName => '/x' },
		admin => JSON::PP::true },
	d => { id => 'd' },
);

for (sort keys %session) {
	my $r = $t->http('POST', '/control/session/save',
		json => { token => "token-$_", session => $session{$_} });
	is($r->json->{status}, 'success', "session of $_");
}

my %ws = map { $_ => $t->ws("/ws?t=token-$_") } sort keys %session;
$ws{none} = $t->ws('/ws');
my %id = map { $_ => $ws{$_}->recv_event('connected')->[1]{clientId} } keys %ws;
join_room($ws{$_}, 'r') for sort keys %ws;

is(heard('a', 'plain'), 'a b c d none', 'no filter: all');
is(heard('a', 'same'), 'a c', "the sender's location");
is(heard('b', 'same'), 'b', 'of another sender');
is(heard('d', 'same'), '', 'the sender has none: nobody');
is(heard('none', 'same'), '', 'no session: nobody');
is(heard('none', 'admin'), 'c', 'a value');
is(heard('a', 'data', { team => 2 }), 'c', 'what the client sent');
is(heard('c', 'data', { team => 1 }), 'a b', 'what it sent then');
is(heard('c', 'data', {}), '', 'it sent nothing: nobody');
is(heard('a', 'output', { to => [ 'd', 'b' ] }), 'b d',
	'what the app answered');

# a session that changes

$t->http('POST', '/control/session/save', json => { token => 'token-b',
	session => { %{$session{b}}, location => { pathName => '/x' } } });
ok($t->wait_for(sub { heard('a', 'same') eq 'a b c' }), 'it moved');

is(scalar(grep { $_->{json}{event} eq 'client' } $hook->requests), 0,
	'nobody was asked');
is(heard('a', 'asked'), 'a b c d none', 'with "client": true');
cmp_ok(scalar(grep { $_->{json}{event} eq 'client' } $hook->requests), '>=', 1,
	'all are asked for');

# to all, and to oneself

is(heard('a', 'same', {}, 'all'), 'a b c', 'to all');
is(heard('c', 'admin', {}, $id{c}), 'c', 'to oneself');
is(heard('a', 'admin', {}, $id{a}), '', 'to oneself, withheld');

# positions move past what was withheld

join_room($_, 'log:1') for @ws{qw/ a b c d /};
send_sync('a', 'log:1', 'plain');
my $first = $ws{d}->recv_event('sync')->[2]{pos};
$ws{c}->recv_event('sync');
send_sync('a', 'log:1', 'same');
is(($ws{d}->recv_event('position') || [])->[1]{pos},
	$ws{c}->recv_event('sync')->[2]{pos}, 'the position of what was withheld');

$ws{d}->disconnect;
$ws{d} = $t->ws('/ws?t=token-d');
$ws{d}->send_json([ 'joinRoom', { group => 'log:1', pos => $first,
	responseIndex => ++$i } ]);
ok($ws{d}->recv_event("joinRoom-$i")->[1]{recovered}, 'recovered');
send_sync('a', 'log:1', 'plain');
is(($ws{d}->recv_event('sync') || [])->[1]{cb}, 'sync/t/plain/v1',
	'what was withheld is not read again');

cmp_ok($t->http('GET', '/status')->json->{counters}{withheld}, '>=', 20,
	'counted');

# Who hears a sync of that client; all hear the end.

sub heard {
	my ($from, $name, $data, $room) = @_;

	$_->{heard} = [] for values %ws;
	send_sync($from, $room || 'r', $name, $data);

	my $end = 'end' . ++$i;
	$t->http('POST', '/control/publish', json => { all => JSON::PP::true,
		event => $end, data => {} });
	$t->http('POST', '/control/publish', json => { room => 'r',
		event => "r$end", data => {} });

	return join ' ', grep {
		my %seen;
		my $ws = $ws{$_};

		until ($seen{$end} && $seen{"r$end"}) {
			my $m = $ws->recv_json(10) or die "no end\n";
			$seen{$m->[0]} = 1;
			push @{$ws->{heard}}, $m;
		}

		grep { $_->[0] eq 'sync' && $_->[1]{cb} =~ m!/$name/! }
			@{$ws->{heard}};
	} sort keys %ws;
}

sub join_room {
	my ($ws, $room) = @_;
	$ws->send_json([ 'joinRoom', { group => $room, responseIndex => ++$i } ]);
	return $ws->recv_event("joinRoom-$i");
}

# What comes before the answer is kept for heard().

sub send_sync {
	my ($from, $room, $name, $data) = @_;
	my ($ws, $m) = $ws{$from};

	$ws->send_json([ 'sync', { name => "t/$name/v1", cb => 'x',
		receiver => $room, data => $data || {}, responseIndex => ++$i } ]);

	do {
		$m = $ws->recv_json(10) or die "no answer\n";
		push @{$ws->{heard}}, $m;
	} until ($m->[0] eq "sync-$i");

	return $m;
}
