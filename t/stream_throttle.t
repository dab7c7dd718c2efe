#!/usr/bin/perl

# Copyright (C) sync for nginx

# Text that nginx gathers: by length, by time, with the tail before the end.

use warnings;
use strict;
use utf8;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

my $t = Test::Sync->new->plan(22);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /ws {
            sync websocket;
            sync_hook server /_hook/sync;
            sync_hook api /_hook/api;
        }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
EOF

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;

	my @steps = map {
		ref $_ ? [ 'chunk', JSON::PP->new->ascii->encode($_) . "\n" ]
			: /^wait (.*)/ ? [ 'wait', $1 ] : [ 'chunk', "$_\n" ]
	} @{$r->{json}{data}{lines}};

	return [ [ 'head', 200, 'Content-Type: application/x-ndjson' ], @steps,
		[ 'end' ] ];
});

$t->run;

my $ws = $t->ws('/ws');
my $peer = $t->ws('/ws');
my $own = $ws->recv_json->[1]{clientId};
my $other = $peer->recv_json->[1]{clientId};

for my $c ($ws, $peer) {
	$c->send_json([ 'joinRoom', { group => 'r', responseIndex => 0 } ]);
	$c->recv_event('joinRoom-0');
}

my $i = 0;
my $final = { final => { status => 'success' } };

# by length: 4 units, and no time limit

my %by4 = (throttle => { chars => 4, everyMs => JSON::PP::false() });

is_deeply([ chunks(\%by4, text('a'), text('b'), text('cd'), text('e'),
	text('fghijk'), text('l')) ], [ map { { chunk => $_ } }
	qw/ abcd efghijk l / ], 'by length, the tail before the end');

is_deeply([ chunks(\%by4, text('€'), text("\x{1f600}"), text('é')) ],
	[ { chunk => "€\x{1f600}é" } ], 'units of UTF-16');

is_deeply([ chunks(\%by4, '{"stream":{"chunk":"\ud83d"}}',
	'{"stream":{"chunk":"\ude00"}}', '{"stream":{"chunk":"\n\""}}') ],
	[ { chunk => "\x{1f600}\n\"" } ], 'a pair that was cut');

# what is no text goes on its own, and does not overtake

is_deeply([ chunks(\%by4, text('a'), { stream => { chunk => 'b', x => 1 } },
	text('c'), { stream => { chunk => 1 } }, text('d'), { stream => 'e' },
	text('f'), { stream => {} }) ],
	[ { chunk => 'a' }, { chunk => 'b', x => 1 }, { chunk => 'c' },
	{ chunk => 1 }, { chunk => 'd' }, 'e', { chunk => 'f' }, {} ],
	'other chunks');

is_deeply([ chunks({ throttle => { chars => 4, field => 'te"xt' } },
	{ stream => { 'te"xt' => 'a' } }, { stream => { 'te"xt' => 'b' } },
	text('c')) ], [ { 'te"xt' => 'ab' }, { chunk => 'c' } ],
	'another field');

# the defaults: 32 units

is_deeply([ map { length $_->{chunk} }
	chunks({ throttle => { everyMs => 0 } }, map { text('x') } 1 .. 70) ],
	[ 32, 32, 6 ], 'a throttle that says nothing');

is_deeply([ chunks(map { text('x') } 1 .. 3) ], [ ({ chunk => 'x' }) x 3 ],
	'no throttle');

# by time, while the app is silent

ask({ throttle => { chars => 1000, everyMs => 20 } }, text('ab'), text('cd'),
	'wait time', text('e'), $final);
is($ws->recv_json->[1]{chunk}, 'abcd', 'by time');
$hook->go('time');
is($ws->recv_json->[1]{chunk}, 'e', 'the tail');
is($ws->recv_json->[0], "apiResponse-$i", 'before the answer');

# each way for itself, in its own order

sync_ask(\%by4, text('a'), { broadcast => { chunk => 'A' } }, text('b'),
	{ broadcast => { chunk => 'B' } },
	{ to => $other, payload => { chunk => '1' } },
	{ to => $other, payload => { chunk => '2' } },
	{ to => [ $own, $other ], payload => { chunk => '3' } }, $final);
my @own = map { $ws->recv_json } 1 .. 5;
my @other = map { $peer->recv_json } 1 .. 4;
is($own[0][1]{chunk}, 'ab', 'to the sender');
is($own[1][1]{chunk}, 'AB', 'to the room');
is($own[2][1]{chunk}, '3', 'to both');
is($own[3][0], "sync-$i", 'then the answer');
my @chunks = map { $_->[1]{chunk} } @other[0 .. 2];
is_deeply([ [ grep { /\d/ } @chunks ], [ grep { /\D/ } @chunks ] ],
	[ [ '12', '3' ], [ 'AB' ] ], 'one who is told both ways');
is($other[3][1]{status}, 'success', 'then the message');

# text that was gathered comes before an error

ask({ throttle => { chars => 1000 } }, text('ab'), 'no JSON');
is($ws->recv_json->[1]{chunk}, 'ab', 'text before an error');
is($ws->recv_json->[1]{errorCode}, 'api.invalidResponseStatus', 'the error');

for my $bad ({ everyMs => 60001 }, { chars => 65537 },
	{ field => 'x' x 65 }, { everyMs => 'x' })
{
	ask({ throttle => $bad }, $final);
	is_deeply($ws->recv_json->[1]{errorParams}[0]{value}, 'value',
		'a bad throttle: ' . (keys %$bad)[0]);
}

sub text { return { stream => { chunk => $_[0] } } }

sub ask {
	my (@lines) = @_;
	$ws->send_json([ 'apiRequest', { name => 't/s/v1',
		data => { lines => \@lines }, responseIndex => ++$i } ]);
}

sub sync_ask {
	my (@lines) = @_;
	$ws->send_json([ 'sync', { name => 't/s/v1', cb => 'c', receiver => 'r',
		data => { lines => \@lines }, responseIndex => ++$i } ]);
	$ws->recv_event("sync-progress-$i");
}

# What the caller hears before the answer.

sub chunks {
	my (@lines) = @_;

	ask(@lines, $final);

	my @chunks;

	while (my $m = $ws->recv_json) {
		return @chunks if $m->[0] eq "apiResponse-$i"
			&& $m->[1]{status} eq 'success';
		push @chunks, $m->[1];
	}

	return ('no answer');
}
