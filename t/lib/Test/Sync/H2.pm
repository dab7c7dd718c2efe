package Test::Sync::H2;

# Copyright (C) sync for nginx

# One HTTP/2 connection (RFC 9113) without TLS, whose streams are event streams.
#
#     my $h2 = Test::Sync::H2->new(port => $t->port, window => 100);
#     my $es = $h2->get('/events?channels=a');
#
#     is($es->status, 200, 'accepted');
#     is($es->recv_json->{type}, 'connected', 'connected');
#
#     $es->window(50);        # lets nginx send 50 bytes more
#     $es->rst;
#
# Options of new(): port, host, rcvbuf; window (bytes that nginx may send on a
# stream before it is told more; without it, it is told at once).
#
# Header fields are sent without Huffman codes; of a response only the status
# is understood, if it has an index.

use warnings;
use strict;

use Test::Sync::SSE;

use parent -norequire, 'Test::Sync::Peer';

use constant { DATA => 0, HEADERS => 1, RST_STREAM => 3, SETTINGS => 4,
	PING => 6, GOAWAY => 7, WINDOW_UPDATE => 8 };

use constant { END_STREAM => 1, ACK => 1, END_HEADERS => 4, PADDED => 8 };

my %status = (0x88 => 200, 0x89 => 204, 0x8b => 304, 0x8c => 400, 0x8d => 404,
	0x8e => 500);

sub new {
	my ($class, %o) = @_;

	my $self = $class->SUPER::new(%o);

	@$self{qw/ next streams window /} = (1, {}, $o{window});

	$self->put("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

	# SETTINGS_INITIAL_WINDOW_SIZE; the connection's own window is opened

	$self->send_frame(SETTINGS, 0, 0, defined $o{window}
		? pack 'nN', 4, $o{window} : '');
	$self->send_frame(WINDOW_UPDATE, 0, 0, pack 'N', 1 << 30);

	return $self;
}

sub get {
	my ($self, $path, %o) = @_;

	my $id = $self->{next};
	$self->{next} += 2;

	my $es = bless { connection => $self, id => $id, in => '', body => '',
		eof => 0, comments => 0, owner => 0 }, 'Test::Sync::H2::Stream';

	$self->{streams}{$id} = $es;

	# :scheme http, :path, :authority have indices; others are spelt out

	my $block = "\x86" . "\x04" . _string($path) . "\x01" . _string('localhost')
		. "\x02" . _string($o{method} || 'GET');

	for (@{$o{headers} || []}) {
		my ($name, $value) = /^([^:]+): (.*)/;
		$block .= "\x00" . _string(lc $name) . _string($value);
	}

	$self->send_frame(HEADERS, END_HEADERS | END_STREAM, $id, $block);

	$es->take($o{timeout}, sub { return $es->{status} });

	return $es;
}

sub send_frame {
	my ($self, $type, $flags, $id, $payload) = @_;

	return $self->put(substr(pack('N', length $payload), 1)
		. pack('CCN', $type, $flags, $id) . $payload);
}

# What nginx said when it let the connection go, or undef.

sub goaway { return $_[0]{goaway} }

# Reads, and gives each stream what is its own.

sub fill {
	my ($self, $end) = @_;

	my $got = $self->SUPER::fill($end);

	while (length $self->{in} >= 9) {
		my ($high, $low, $type, $flags, $id) = unpack 'CnCCN', $self->{in};
		my $length = $high << 16 | $low;

		last if length $self->{in} < 9 + $length;

		my $payload = substr $self->{in}, 9, $length;
		substr $self->{in}, 0, 9 + $length, '';

		$self->_frame($type, $flags, $id, $payload);
	}

	if ($self->{eof}) {
		$_->{eof} = 1 for values %{$self->{streams}};
	}

	return $got;
}

sub _frame {
	my ($self, $type, $flags, $id, $payload) = @_;

	my $es = $self->{streams}{$id} || {};

	if ($type == SETTINGS || $type == PING) {
		$self->send_frame($type, ACK, 0, $type == PING ? $payload : '')
			unless $flags & ACK;

	} elsif ($type == GOAWAY) {
		$self->{goaway} = unpack 'x4N', $payload;

	} elsif ($type == HEADERS) {
		$es->{status} = $status{ord $payload} || 0;
		$es->{eof} = $es->{complete} = 1 if $flags & END_STREAM;

	} elsif ($type == DATA) {
		$es->{in} .= $payload;
		$es->{frames}++;
		$es->{eof} = $es->{complete} = 1 if $flags & END_STREAM;

		$self->send_frame(WINDOW_UPDATE, 0, $id, pack 'N',
			length $payload) if length $payload
				&& !defined $self->{window} && !$es->{eof};

	} elsif ($type == RST_STREAM) {
		$es->{eof} = 1;
		$es->{error} = unpack 'N', $payload;
	}
}

sub _string {
	my ($s) = @_;
	my $n = length $s;

	return $n < 127 ? chr($n) . $s
		: $n < 255 ? "\x7f" . chr($n - 127) . $s
		: die "too long: $s\n";
}


package Test::Sync::H2::Stream;

use warnings;
use strict;

use parent -norequire, 'Test::Sync::SSE';

# Without an index the status is 0.

sub status { return $_[0]{status} }

# The code of RST_STREAM, if there was one; DATA frames so far.

sub error { return $_[0]{error} }
sub frames { return $_[0]{frames} || 0 }

sub fill {
	my ($self, $end) = @_;

	my $seen = join ' ', $self->_state;

	return 0 if $self->{eof};

	while ($self->{connection}->fill($end)) {
		return 1 if join(' ', $self->_state) ne $seen;
	}

	return 0;
}

sub _state {
	my ($self) = @_;
	return (length $self->{in}, $self->{eof}, $self->{status} // '');
}

sub window {
	my ($self, $n) = @_;
	$self->{connection}->send_frame(Test::Sync::H2::WINDOW_UPDATE, 0,
		$self->{id}, pack 'N', $n);
}

sub rst {
	my ($self, $code) = @_;
	$self->{eof} = 1;
	$self->{connection}->send_frame(Test::Sync::H2::RST_STREAM, 0,
		$self->{id}, pack 'N', $code // 8);
}

1;
