#!/usr/bin/perl

# Copyright (C) sync for nginx

# What a client missed goes through the client stage when it comes back: what
# the app does not let it hear moves its position all the same.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use Test::Sync;

###############################################################################

my $t = Test::Sync->new->plan(23);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;
    sync_room "log:*" recoverable history=100;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_hook client /_hook/client;

        location /ws         { sync websocket; }
        location /sse        { sync sse; }
        location /socket.io/ { sync socketio; }

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

	return [ [ 'head', 200, 'Content-Type: application/x-ndjson' ],
		[ 'wait', $r->{json}{data}{go} ],
		map({ [ 'chunk', encode_json({ k => $_->{k},
			out => { status => 'success' } }) . "\n" ] }
			@{$r->{json}{recipients}}), [ 'end' ] ]
		if $r->{json}{route} =~ /slow/;

	my ($hold, @others) = sort { ($b->{clientId} eq $r->{json}{data}{hold})
		<=> ($a->{clientId} eq $r->{json}{data}{hold}) }
		@{$r->{json}{recipients}} if $r->{json}{route} =~ /hold/;

	return [ [ 'head', 200, 'Content-Type: application/x-ndjson' ],
		map({ ($_ == $hold && $_->{clientId} eq $r->{json}{data}{hold}
			? [ 'wait', 'held' ] : (), [ 'chunk', encode_json({
				k => $_->{k}, out => { status => 'success' } })
				. "\n" ]) } @others, $hold), [ 'end' ] ] if $hold;

	my $out = $r->{json}{route} =~ /ignore/ ? { status => 'error',
		errorCode => 'sync.ignore' } : { status => 'success' };

	return { headers => [ 'Content-Type: application/x-ndjson' ],
		body => join '', map { encode_json({ k => $_->{k},
			out => $out }) . "\n" } @{$r->{json}{recipients}} };
});

$t->run;

###############################################################################

my $ws = client();
join_room($ws, 'log:1');

my @pos = map { say_it($ws, $_) } qw/ keep ignore keep ignore ignore /;

is(scalar(grep { defined } @pos), 5, 'all have a position');

# one that comes back

my $two = client();
my $r = join_room($two, 'log:1', $pos[0]);

is_deeply([ @$r{qw/ recovered pos /} ], [ JSON::PP::true(), $pos[4] ],
	'recovered');
is_deeply([ map { told($two) } 1 .. 4 ], [
	[ 'position', $pos[1] ], [ 'sync', $pos[2] ], [ 'position', $pos[3] ],
	[ 'position', $pos[4] ] ], 'what is withheld moves its position');

my $next = say_it($ws, 'keep');
is_deeply(told($two), [ 'sync', $next ], 'then what is new');

# it is not asked about them again

my $three = client();
join_room($three, 'log:1', $pos[4]);
is_deeply(told($three), [ 'sync', $next ], 'from the last position on');

# its own message

my $own = say_it($ws, 'keep', ignoreSelf => JSON::PP::true());
ask($ws, 'leaveRoom', group => 'log:1');
join_room($ws, 'log:1', $next);
is_deeply(told($ws), [ 'position', $own ], 'its own');

# of Socket.IO

my $eio = $t->eio;
$eio->connect;
$eio->event('joinRoom', { group => 'log:1', pos => $pos[0],
	responseIndex => 1 });
$eio->recv_event;

my @heard;

while (@heard < 5) {
	my $m = $eio->recv_event or last;
	push @heard, $m->[0] eq 'position' ? $m->[1]{pos} : $m->[2]{pos};
}

is_deeply(\@heard, [ @pos[1 .. 4], $next ], 'of Socket.IO');

# an event stream: an id with no event, which is not seen by itself

my $last = say_it($ws, 'ignore');
my $sse = $t->sse('/sse?channels=log:1', last_event_id => $next);
ok(decode_json($sse->recv->{data})->{recovery}{'log:1'}{recovered},
	'an event stream');
is(decode_json($sse->recv->{data})->{channel}, 'log:1', 'what it missed');
ok($t->wait_for(sub { $sse->fill(0.1); ids($sse) eq $last }),
	'and where it is') or diag ids($sse);

# of several channels

$sse = $t->sse('/sse?channels=log:1,log:2', last_event_id => "$next,-");
ok(decode_json($sse->recv->{data})->{recovery}{'log:1'}{recovered},
	'of several channels');
like($sse->recv->{id}, qr/^\Q$own\E,/, 'what it missed, with its id');
ok($t->wait_for(sub { $sse->fill(0.1); ids($sse) =~ /^\Q$last\E,/ }),
	'and where it is') or diag ids($sse);

my $live = say_it($ws, 'keep');
like($sse->recv->{id}, qr/^\Q$live\E,/, 'what is new, with its id');

# who joins again while the app is asked, of what is new, or of what it missed

$ws = client();
join_room($ws, 'log:3');

my $one = client();
join_room($one, 'log:3');

my $seen = say_it($ws, 'keep', receiver => 'log:3');
told($one);

slow('new');
ok(join_room($one, 'log:3', $seen)->{recovered}, 'joined again');
$hook->go('new');
my $slow = told($ws)->[1];
my $then = say_it($ws, 'keep', receiver => 'log:3');
is_deeply([ map { told($one)->[1] } 1, 2 ], [ $slow, $then ],
	'what is new comes once');

slow('missed');
my $late = client();
join_room($late, 'log:3', $then);
asked('missed', 3);
ok(join_room($late, 'log:3', $then)->{recovered}, 'joined again');
$hook->go('missed');
$slow = told($ws)->[1];
$then = say_it($ws, 'keep', receiver => 'log:3');
is_deeply([ map { told($late)->[1] } 1, 2 ], [ $slow, $then ],
	'what was missed comes once');
told($one) for 1, 2;

# who was told is behind the message, though another is not

my $held = $t->ws('/ws');
my $id = $held->recv_event('connected')->[1]{clientId};
$ws = client();
join_room($_, 'log:4') for $ws, $held;

my $mine = hold($ws, $id);
is(join_room($ws, 'log:4')->{pos}, $mine, 'where one is that was told');
isnt(join_room($held, 'log:4')->{pos}, $mine, 'and another that was not');
$hook->go('held');
is(told($held)->[1], $mine, 'but is');

is(scalar(grep { $_->{json}{route} !~ /keep|ignore|slow|hold/ } $hook->requests), 0,
	'nothing else was asked');
is($ws->recv_text(0), undef, 'and nobody hears more');

###############################################################################

sub client {
	my $ws = $t->ws('/ws');
	$ws->recv_json;
	return $ws;
}

sub ask {
	my ($ws, $event, %arg) = @_;

	$ws->send_json([ $event, { responseIndex => 1, %arg } ]);
	return $ws->recv_event("$event-1")->[1];
}

sub join_room {
	my ($ws, $room, $pos) = @_;

	return ask($ws, 'joinRoom', group => $room,
		defined $pos ? (pos => $pos) : ());
}

# What the client is told next: a message, or a position.

sub told {
	my ($ws) = @_;

	my $m = $ws->recv_event(qr/^(?:sync|position)$/) // return;

	return [ $m->[0], $m->[$m->[0] eq 'sync' ? 2 : 1]{pos} ];
}

# Its position.

sub say_it {
	my ($ws, $name, %arg) = @_;

	ask($ws, 'sync', name => "sync/t/$name/v1", data => {}, cb => 'x',
		receiver => 'log:1', %arg);

	return told($ws)->[1];
}

# Says what the app answers for one, and not yet for another.

sub hold {
	my ($ws, $id) = @_;

	ask($ws, 'sync', name => 'sync/t/hold/v1', data => { hold => $id },
		cb => 'x', receiver => 'log:4');

	return told($ws)->[1];
}

# Says what the app takes its time for; returns when it was asked for both.

sub slow {
	my ($go) = @_;

	ask($ws, 'sync', name => 'sync/t/slow/v1', data => { go => $go },
		cb => 'x', receiver => 'log:3');
	asked($go, 2);
}

# Waits till the app was asked for so many recipients.

sub asked {
	my ($go, $n) = @_;

	$t->wait_for(sub { $n <= map { @{$_->{json}{recipients}} }
		grep { ($_->{json}{data}{go} // '') eq $go } $hook->requests });
}

# The last id that an event stream was given.

sub ids {
	my ($sse) = @_;

	$sse->next_event;

	return $sse->last_id;
}

###############################################################################
