#!/usr/bin/perl

# Copyright (C) sync for nginx

# sync_room: the first rule that matches a room counts, and a subscription to a
# pattern goes by the strictest rule of the rooms that it would hear.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

###############################################################################

# room, "open", "hook" or "deny"

my @cases = (
	[ 'doc:public:a', 'open' ],
	[ 'doc:public:', 'open' ],
	[ 'doc:a', 'deny' ],
	[ 'doc:', 'deny' ],
	[ 'doc', 'open' ],
	[ 'ask:a', 'hook' ],
	[ 'exact', 'deny' ],
	[ 'exactly', 'open' ],
	[ 'other', 'open' ],

	# all within one rule

	[ 'doc:public:*', 'open' ],
	[ 'doc:public:a*', 'open' ],
	[ 'doc:a*', 'deny' ],
	[ 'ask:*', 'hook' ],
	[ 'ask:a*', 'hook' ],
	[ 'other*', 'open' ],
	[ 'exactly*', 'open' ],

	# more than one

	[ 'doc:*', 'deny' ],
	[ 'doc:p*', 'deny' ],
	[ 'd*', 'deny' ],
	[ 'as*', 'hook' ],
	[ 'a*', 'hook' ],
	[ 'exact*', 'deny' ],
	[ 'e*', 'deny' ],
	[ '*', 'deny' ],
);

my $t = Test::Sync->new->plan(2 * @cases + 2);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:2m;

    sync_room "doc:public:*" join=public;
    sync_room "doc:*"        join=deny;
    sync_room "ask:*"        join=hook;
    sync_room "exact"        join=deny;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_hook join /_hook/join;

        location /ws  { sync websocket; }
        location /sse { sync sse; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
        }
    }
}
EOF

my $hook = $t->hook(port => 1, answer => sub { return { json => {} } });

$t->run;

###############################################################################

my $asked = 0;

for my $case (@cases) {
	my ($room, $rule) = @$case;

	my $ws = $t->ws('/ws');
	$ws->recv_json;
	$ws->send_json([ 'joinRoom', { group => $room, responseIndex => 1 } ]);

	is(told($ws->recv_event('joinRoom-1')->[1]{rooms} ? 1 : 0), $rule,
		"$room: WebSocket");
	$ws->disconnect;

	my $es = $t->sse('/sse?channels=' . $room =~ s/\*/%2A/r);

	is(told($es->status == 200), $rule, "$room: event stream");
	$es->disconnect;
}

# some granted, others not

my $es = $t->sse('/sse?channels=doc:a,other,doc:public:a,e*');
my $connected = $es->recv_json;

is_deeply($connected->{channels}, [ 'other', 'doc:public:a' ], 'granted');
is_deeply([ sort @{$connected->{denied}} ], [ 'doc:a', 'e*' ], 'denied');

###############################################################################

# What the rule was, as one sees from outside.

sub told {
	my ($granted) = @_;

	my $before = $asked;
	$asked = $hook->requests;

	return !$granted ? 'deny' : $asked == $before ? 'open' : 'hook';
}

###############################################################################
