#!/usr/bin/perl

# Copyright (C) sync for nginx

# 200 clients in 20 rooms, 5,000 messages, most of them syncs of members
# through the app's hook, the others published through "control", on any
# worker: every member sees each message of its room once, all members in the
# same order, nobody sees anything else.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;
use Test::Sync::WS;

my $CLIENTS = 200;
my $ROOMS = 20;
my $MESSAGES = 5000;
my $WINDOW = 100;

my $t = Test::Sync->new->plan(8);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
    worker_connections 1024;
}

http {
    %%HTTP%%

    sync_zone zone=sync:16m;
    sync_ping 1h 1h;

    upstream app {
        server 127.0.0.1:%%PORT_1%%;
        keepalive 16;
    }

    server {
        listen 127.0.0.1:%%PORT_0%% reuseport;

        sync_hook server /_hook/sync;

        location /ws      { sync websocket; }
        location /control { sync control; }
        location /status  { sync status; }

        location /_hook/ {
            internal;
            proxy_pass http://app;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
EOF

$t->hook(port => 1, quiet => 1, answer => sub {
	return { json => { status => 'success', n => $_[0]{json}{data}{n} } };
});

$t->run;

my (%seen, %joined);
my ($seen, $acks, $wrong) = (0, 0, 0);

my @ws = $t->ws_many($CLIENTS, '/ws');
my %room = map { (fileno $ws[$_]->sock) => $_ % $ROOMS } 0 .. $#ws;

$_->send_json([ joinRoom => { group => 'room' . $room{fileno $_->sock},
	responseIndex => 1 } ]) for @ws;

Test::Sync::WS->pump(\@ws, \&hear, timeout => 60,
	until => sub { keys %joined == @ws });
is(keys %joined, $CLIENTS, 'all joined');

is(scalar(grep { $_->{clients} } @{$t->http('GET', '/status')
	->json->{workers}}), $t->worker_processes, 'every worker has clients');

my ($sent, $syncs, $refused) = (0, 0, 0);

while ($sent < $MESSAGES) {

	for (1 .. $WINDOW) {
		my $n = $sent++;
		my $r = $n % $ROOMS;

		if ($n % 7 == 0) {
			my $res = $t->http('POST', '/control/publish', json => {
				room => "room$r", data => { n => $n } });
			$refused++ unless $res && $res->status == 200
				&& $res->json->{rooms}{"room$r"}{receivers}
				== $CLIENTS / $ROOMS;
			next;
		}

		# one of the room's members, whichever worker has it

		my $ws = $ws[$r + $ROOMS * int rand($CLIENTS / $ROOMS)];
		$syncs++;

		$ws->send_json([ sync => { name => 'sync/t/say/v1',
			cb => 't/say/v1', receiver => "room$r",
			data => { n => $n }, responseIndex => $n } ]);
	}

	Test::Sync::WS->pump(\@ws, \&hear, timeout => 60, until => sub {
		$acks == $syncs && $seen == $sent * $CLIENTS / $ROOMS });
}

is($refused, 0, 'publishes counted their receivers');
is($acks, $syncs, 'syncs acknowledged');
is($seen, $MESSAGES * $CLIENTS / $ROOMS, 'deliveries');
is($wrong, 0, 'nothing else was heard');

my ($orders, $complete) = (0, 0);

for my $r (0 .. $ROOMS - 1) {
	my @lists = map { $seen{fileno $_->sock} || [] }
		grep { $room{fileno $_->sock} == $r } @ws;

	my %distinct = map { join(' ', @$_) => 1 } @lists;
	$orders++ if keys %distinct == 1;

	my $all = join ' ', grep { $_ % $ROOMS == $r } 0 .. $MESSAGES - 1;
	$complete += grep { join(' ', sort { $a <=> $b } @$_) eq $all } @lists;
}

is($orders, $ROOMS, 'one order in each room');
is($complete, $CLIENTS, 'each message once at each member');

$_->disconnect for @ws;

# Notes the number of a message that a client hears.

sub hear {
	my ($ws, $text) = @_;

	my $fd = fileno $ws->sock;

	if ($text =~ /^\["message",\{"n":(\d+)\},\{"room":"room(\d+)"\}\]$/
		|| $text =~ /^\["sync",\{"cb":"sync\/t\/say\/v1".*"n":(\d+)/)
	{
		push @{$seen{$fd}}, $1;
		$seen++;
		$wrong++ unless $1 % $ROOMS == $room{$fd}
			&& (!defined $2 || $2 == $room{$fd});

	} elsif ($text =~ /^\["sync-\d+",\{"status":"success"/) {
		$acks++;

	} elsif ($text =~ /^\["joinRoom-1",\{"rooms":\["room\d+"\]\}\]$/) {
		$joined{$fd} = 1;

	} elsif ($text !~ /^\["(?:connected|sync-progress-\d+)"/) {
		diag("unexpected: $text");
		$wrong++;
	}
}
