package Test::Sync::Cluster;

# Copyright (C) sync for nginx

# What is done with each of several hosts that share a Redis.
#
#     my ($a, $b) = (Test::Sync->new->plan(3), Test::Sync->new);
#
#     ok(linked($_), 'links') for $a, $b;
#
#     my ($ws, $joined) = member($a, 'doc:1', $pos);
#     is($joined->{recovered}, ...);
#
#     publish($b, 'doc:1', data => 1);      # dies if it is refused
#     is_deeply([ map { $_->[1] } @{heard($ws, 1)} ], [ 1 ], 'heard');
#
# Everything is published as the event "x".

use warnings;
use strict;

use Exporter qw/ import /;

our @EXPORT = qw/ linked status member publish post heard /;

# All links to Redis are up, and it is subscribed.

sub linked {
	my ($t, $timeout) = @_;

	return $t->wait_for(sub {
		my $r = status($t)->{redis};
		return $r->{connected} == $r->{expected} && $r->{subscribed};
	}, $timeout // 15);
}

sub status { return $_[0]->http('GET', '/status')->json }

# A client at /ws in a room, and the answer to its join; its id is $ws->{id}.

sub member {
	my ($t, $room, $pos) = @_;

	my $ws = $t->ws('/ws');
	$ws->{id} = $ws->recv_json->[1]{clientId};
	$ws->send_json([ 'joinRoom', { group => $room, responseIndex => 1,
		$pos ? (pos => $pos) : () } ]);

	return wantarray ? ($ws, $ws->recv_event('joinRoom-1')->[1])
		: ($ws->recv_event('joinRoom-1'), $ws)[1];
}

# Returns what is said of the room: its position and receivers.

sub publish {
	my ($t, $room, %o) = @_;

	my $r = post($t, 'publish', { room => $room, event => 'x', %o });
	die "not published: " . $r->body . "\n" if $r->status != 200;

	return $r->json->{rooms}{$room};
}

# An operation of control.

sub post {
	my ($t, $op, $json) = @_;
	return $t->http('POST', "/control/$op", json => $json);
}

# The next n messages that a client hears, or fewer if no more come.

sub heard {
	my ($ws, $n, $timeout) = @_;

	my @heard;

	while (@heard < $n) {
		my $m = $ws->recv_json($timeout // 5) or last;
		push @heard, $m if $m->[0] eq 'x';
	}

	return \@heard;
}

1;
