package Test::Sync::EIO;

# Copyright (C) sync for nginx

# An Engine.IO session by long polling, one connection a request: with several
# workers, any of them.
#
#     my $s = $t->eio('/socket.io/');
#
#     $s->connect;                      # CONNECT; returns the client's id
#     $s->event('joinRoom', { group => 'r', responseIndex => 1 });
#     is_deeply($s->recv_event, [ 'joinRoom-1', { rooms => [ 'r' ] } ]);
#
#     my $poll = $s->poll;              # a Test::Sync::Peer that waits
#     is($s->answer($poll)->body, '6');

use warnings;
use strict;

use JSON::PP;
use Time::HiRes qw/ time /;

use Test::Sync::Peer;

my $json = JSON::PP->new->utf8->allow_nonref->canonical;

sub open {
	my ($class, $t, $uri, %o) = @_;

	my $self = bless { t => $t, uri => $uri, o => \%o, packets => [] },
		$class;

	$self->{response} = $t->http('GET', $self->uri, %o);

	if ($self->{response} && $self->{response}->status == 200) {
		my $text = substr $self->{response}->body, 1;
		$self->{handshake} = $json->decode($text);
		$self->{sid} = $self->{handshake}{sid};
	}

	return $self;
}

sub response { return $_[0]{response} }
sub handshake { return $_[0]{handshake} }
sub sid { return $_[0]{sid} }

sub uri {
	my ($self, $transport) = @_;

	$transport //= 'polling';

	return "$self->{uri}?EIO=4&transport=$transport"
		. (defined $self->{sid} ? "&sid=$self->{sid}" : '');
}

# A POST; returns its response.

sub post {
	my ($self, @packets) = @_;

	return $self->{t}->http('POST', $self->uri, %{$self->{o}},
		body => join "\x1e", @packets);
}

# Begins a GET.

sub poll {
	my ($self) = @_;

	my $peer = Test::Sync::Peer->new(port => $self->{t}->port(
		$self->{o}{port}));

	$peer->put('GET ' . $self->uri . " HTTP/1.1\r\nHost: localhost\r\n"
		. "Connection: close\r\n\r\n");

	return $peer;
}

sub answer {
	my ($self, $poll, $timeout) = @_;
	return $poll->recv_response('GET', $timeout);
}

# A whole poll; returns its packets.

sub get {
	my ($self, $timeout) = @_;

	my $r = $self->answer($self->poll, $timeout) // return;

	return $r->status == 200 ? split /\x1e/, $r->body : ();
}

# The next packet but pings, which are answered; undef if none came.

sub recv {
	my ($self, $timeout) = @_;

	my $end = time() + ($timeout // 20) * $Test::Sync::SLOW;

	while (!@{$self->{packets}}) {
		my $left = ($end - time()) / $Test::Sync::SLOW;
		return undef if $left <= 0;

		my @all = $self->get($left) or return undef;

		$self->post('3') if grep { $_ eq '2' } @all;
		push @{$self->{packets}}, grep { $_ ne '2' } @all;
	}

	return shift @{$self->{packets}};
}

sub recv_event {
	my ($self, $timeout) = @_;

	my $packet = $self->recv($timeout) // return undef;

	return $packet =~ /^42(.*)/s ? $json->decode($1) : $packet;
}

sub connect {
	my ($self, $auth) = @_;

	$self->post('40' . (defined $auth ? $json->encode($auth) : ''));

	my $packet = $self->recv // return undef;

	return $packet =~ /^40\{"sid":"([\w-]+)"\}$/ ? $1 : undef;
}

sub event {
	my ($self, @array) = @_;
	return $self->post('42' . $json->encode(\@array));
}

1;
