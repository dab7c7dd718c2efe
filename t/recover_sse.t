#!/usr/bin/perl

# Copyright (C) sync for nginx

# Recoverable rooms on event streams: ids, Last-Event-ID, several channels.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

my $t = Test::Sync->new->plan(31);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;

    sync_room "doc:*"  recoverable history=10;
    sync_room "deny:*" join=deny;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /events  { sync sse; }
        location /control { sync control; }
    }
}
EOF

$t->run;

# one channel: its id is the position

my $es = $t->sse('/events?channels=doc:1');
my $e = $es->recv;
my $c = JSON::PP::decode_json($e->{data});

is($c->{type}, 'connected', 'connected');
is($c->{recovery}{'doc:1'}{reason}, 'new', 'nothing to recover');
ok(!$c->{recovery}{'doc:1'}{recovered}, 'and not recovered');
is($e->{id}, $c->{recovery}{'doc:1'}{pos}, 'the first event has an id');

my $empty = $e->{id};
my @pos = map { publish('doc:1', $_) } 1 .. 3;
my @got = map { $es->recv } 1 .. 3;

is_deeply([ map { $_->{id} } @got ], \@pos, 'ids are positions');
is_deeply([ map { data($_) } @got ], [ 1 .. 3 ], 'of what was said');
$es->disconnect;

# the header is what a browser sends

$es = $t->sse('/events?channels=doc:1', last_event_id => $pos[0]);
$e = $es->recv;
$c = JSON::PP::decode_json($e->{data});
is_deeply($c->{recovery}, { 'doc:1' => { recovered => JSON::PP::true,
	reason => undef, pos => $pos[2] } }, 'recovered');
is($e->{id}, $pos[0], 'who goes now has missed the same');
is_deeply([ map { data($es->recv) } 2, 3 ], [ 2, 3 ], 'what was missed');
publish('doc:1', 4);
is(data($es->recv), 4, 'what is new');
$es->disconnect;

$es = $t->sse('/events?channels=doc:1&lastEventId=' . escape($pos[1]));
ok(connected($es)->{recovery}{'doc:1'}{recovered}, 'from the query');
is(data($es->recv), 3, 'from there on');
$es->disconnect;

# an id that is not kept any more is told before anything newer

publish('doc:1', $_) for 5 .. 20;
$es = $t->sse('/events?channels=doc:1', last_event_id => $pos[0]);
publish('doc:1', 21);
$c = connected($es)->{recovery}{'doc:1'};
is_deeply([ $c->{recovered}, $c->{reason} ], [ JSON::PP::false, 'trimmed' ],
	'trimmed');
is(data($es->recv), 21, 'nothing of what was missed follows');
$es->disconnect;

# several channels, one of them volatile, one denied, one twice

my $url = '/events?channels=doc:2,chat,deny:1,doc:3,doc:2';

$es = $t->sse($url);
$e = $es->recv;
$c = JSON::PP::decode_json($e->{data});
is_deeply([ sort keys %{$c->{recovery}} ], [ 'doc:2', 'doc:3' ],
	'recovery of the recoverable ones');
is_deeply($c->{denied}, [ 'deny:1' ], 'denied');
like($e->{id}, qr!^0/0\.[0-9a-f]{8},-,-,0/0\.[0-9a-f]{8}$!,
	'ids in the order of the URL');

publish('doc:2', 'a');
publish('doc:3', 'b');
publish('chat', 'c');
publish('doc:2', 'd');

my %seen = map { my $e = $es->recv; (data($e) => $e->{id}) } 1 .. 4;
like($seen{a}, qr!^0/1\.\w+,-,-,0/[01]\.\w+$!, 'first');
like($seen{d}, qr!^0/2\.\w+,-,-,0/[01]\.\w+$!, 'last of a channel');
is_deeply([ sort keys %seen ], [ qw/ a b c d / ], 'all are heard');

# the id of the last event of each says it all

my ($last) = grep { defined && m!^0/2\.\w+,-,-,0/1! } values %seen;
$last //= (sort grep { defined } values %seen)[-1];
$es->disconnect;

publish('doc:3', 'e');
publish('doc:2', 'f');

$es = $t->sse($url, last_event_id => $last);
$e = $es->recv;
$c = JSON::PP::decode_json($e->{data});
ok($c->{recovery}{'doc:2'}{recovered} && $c->{recovery}{'doc:3'}{recovered},
	'both are recovered');
is($e->{id}, $last, 'at the same positions');
is_deeply([ sort map { data($es->recv) } 1, 2 ], [ qw/ e f / ],
	'each is given what it missed');
$es->disconnect;

# some positions are good

my @list = split /,/, $last;
$es = $t->sse($url, last_event_id => "$list[0],-,-,0/99.00000000");
$c = connected($es)->{recovery};
ok($c->{'doc:2'}{recovered}, 'one is recovered');
is($c->{'doc:3'}{reason}, 'reset', 'the other is not');
is(data($es->recv), 'f', 'what the one missed');
$es->disconnect;

$es = $t->sse($url, last_event_id => 'garbage');
$c = connected($es)->{recovery};
is($c->{'doc:2'}{reason}, 'invalid', 'what is no position');
is($c->{'doc:3'}{reason}, 'new', 'and what is not there');

# a message that is not for the client moves its position, and is no event

my $es2 = $t->sse('/events?channels=doc:4');
my $id = connected($es2)->{clientId};
publish('doc:4', 'secret', except => [ $id ]);
my $pos = publish('doc:4', 'open');
$e = $es2->recv;
is(data($e), 'open', 'withheld');
is($e->{id}, $pos, 'its position is not');

# the position of an empty room

$es = $t->sse('/events?channels=doc:1', last_event_id => $empty);
is(connected($es)->{recovery}{'doc:1'}{reason}, 'trimmed',
	'an empty room that went on');

sub connected { return JSON::PP::decode_json($_[0]->recv->{data}) }

sub data {
	my ($e) = @_;
	return $e && JSON::PP::decode_json($e->{data})->{data};
}

sub escape {
	my ($s) = @_;
	$s =~ s!/!%2F!g;
	return $s;
}

sub publish {
	my ($room, $data, %o) = @_;

	return $t->http('POST', '/control/publish',
		json => { room => $room, data => $data, %o })
		->json->{rooms}{$room}{position};
}
