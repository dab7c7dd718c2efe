package Test::Sync::WS;

# Copyright (C) sync for nginx

# A WebSocket peer that can misbehave.
#
#     my $ws = $t->ws('/ws', headers => [ 'Origin: http://localhost' ]);
#
#     $ws->send_json([ 'joinRoom', { group => 'r', responseIndex => 1 } ]);
#     is_deeply($ws->recv_event('joinRoom-1'), ...);
#
#     $ws->send_frame(opcode => 1, fin => 0, payload => 'a', mask => 0);
#     is($ws->wait_close, 1002, 'not masked');
#
# Options of connect(): uri, port, headers (lines), origin, protocol, key,
# version, deflate (1, or the offer as text), tls, rcvbuf, cookie, timeout,
# auto_pong (1), choose: a function that looks at the connection before anything
# is asked for, and says whether another is to be tried instead.  After it, status() is 101 if there is a WebSocket, response()
# the body of a refusal.

use warnings;
use strict;

use Compress::Raw::Zlib;
use Digest::SHA qw/ sha1_base64 /;
use IO::Poll qw/ POLLIN POLLHUP POLLERR /;
use JSON::PP;
use MIME::Base64 qw/ encode_base64 /;
use Time::HiRes qw/ time /;

use parent -norequire, 'Test::Sync::Peer';

use constant { TEXT => 1, BINARY => 2, CLOSE => 8, PING => 9, PONG => 10 };

my $GUID = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11';
my $json = JSON::PP->new->utf8->allow_nonref->canonical;

sub connect {
	my ($class, %o) = @_;

	my $self = $class->_open(%o);
	$self->_handshake;

	return $self;
}

# n connections; all ask before the first is answered.  uri may be a function
# of the number of the connection.

sub connect_many {
	my ($class, $n, %o) = @_;

	my @all = map {
		$class->_open(%o, uri => ref $o{uri} ? $o{uri}->($_) : $o{uri})
	} 0 .. $n - 1;

	$_->_handshake for @all;

	return @all;
}

sub _open {
	my ($class, %o) = @_;

	my $self = $class->SUPER::new(%o);

	while ($o{choose} && !$o{choose}->($self)) {
		$self->disconnect;
		$self = $class->SUPER::new(%o);
	}

	$self->{frames} = [];
	$self->{pings} = $self->{pongs} = 0;
	$self->{auto_pong} = $o{auto_pong} // 1;
	$self->{timeout} = $o{timeout};
	$self->{key} = $o{key} // encode_base64(join('', map { chr int rand 256 }
		1 .. 16), '');

	my $offer = $o{deflate} // '';
	$offer = 'permessage-deflate' if $offer eq '1';

	my @lines = (
		'Host: localhost',
		'Upgrade: websocket',
		'Connection: Upgrade',
		'Sec-WebSocket-Version: ' . ($o{version} // 13),
		$self->{key} eq '' ? () : "Sec-WebSocket-Key: $self->{key}",
		$offer eq '' ? () : "Sec-WebSocket-Extensions: $offer",
		defined $o{protocol} ? "Sec-WebSocket-Protocol: $o{protocol}" : (),
		defined $o{origin} ? "Origin: $o{origin}" : (),
		defined $o{cookie} ? "Cookie: $o{cookie}" : (),
		@{$o{headers} || []},
	);

	$self->put(join "\r\n", "GET $o{uri} HTTP/1.1", @lines, '', '');

	return $self;
}

sub _handshake {
	my ($self) = @_;

	$self->recv_head($self->{timeout}) or return;

	if ($self->{status} != 101) {
		my $length = $self->header('content-length') || 0;
		$self->{response} = $self->take($self->{timeout}, sub {
			return undef if length $self->{in} < $length;
			return substr $self->{in}, 0, $length, '';
		});
		return;
	}

	my $accept = sha1_base64($self->{key} . $GUID) . '=';

	if (($self->header('sec-websocket-accept') // '') ne $accept) {
		$self->{status} = 0;
		$self->{reason} = 'wrong Sec-WebSocket-Accept';
	}
}

sub response { return $_[0]{response} }
sub protocol { return $_[0]->header('sec-websocket-protocol') }
sub extensions { return $_[0]->header('sec-websocket-extensions') }

# What the peer said in its close frame; 1006 if it ended without one, undef
# if it has not ended.

sub close_code {
	my ($self) = @_;
	return $self->{close_code} // ($self->{eof} ? 1006 : undef);
}

sub close_reason { return $_[0]{close_reason} }
sub pings { return $_[0]{pings} }
sub pongs { return $_[0]{pongs} }

# Sends a frame.  Options: opcode (1), fin (1), rsv (0; 4 is RSV1), payload,
# mask (1; 0 for none, or four bytes), length (what the header says, instead of
# the truth), bits (7, 16 or 64 bits for the length, instead of the shortest),
# pieces (so many bytes a write).

sub send_frame {
	my ($self, %o) = @_;
	return $self->put_pieces($self->frame(%o), $o{pieces} || 1 << 20);
}

# The bytes of a frame.

sub frame {
	my ($self, %o) = @_;

	my $payload = $o{payload} // '';
	my $length = $o{length} // length $payload;
	my $bits = $o{bits} // ($length < 126 ? 7 : $length < 65536 ? 16 : 64);
	my $mask = $o{mask} // 1;

	my $bytes = chr(($o{fin} // 1) << 7 | ($o{rsv} // 0) << 4
		| ($o{opcode} // TEXT));
	my $flag = $mask eq '0' ? 0 : 128;

	$bytes .= $bits == 7 ? chr($flag | $length)
		: $bits == 16 ? pack 'Cn', $flag | 126, $length
		: pack 'CQ>', $flag | 127, $length;

	if ($flag) {
		$mask = pack 'N', int rand 2 ** 32 if $mask eq '1';
		$bytes .= $mask;
		$payload = _mask($payload, $mask);
	}

	return $bytes . $payload;
}

sub send_text { return $_[0]->send_frame(payload => $_[1]) }

sub send_binary {
	return $_[0]->send_frame(opcode => BINARY, payload => $_[1]);
}

sub send_json {
	my ($self, $value) = @_;
	return $self->send_frame(payload => $json->encode($value));
}

# A message compressed as RFC 7692 says, in one frame.

sub send_deflated {
	my ($self, $payload, %o) = @_;
	return $self->send_frame(rsv => 4, payload => $self->deflate($payload),
		%o);
}

sub deflate {
	my ($self, $payload) = @_;

	my ($d) = Compress::Raw::Zlib::Deflate->new(
		-WindowBits => -15, -AppendOutput => 1);

	my $out = '';
	$d->deflate($payload, $out);
	$d->flush($out, Z_SYNC_FLUSH);
	substr $out, -4, 4, '';

	return $out;
}

sub send_ping {
	return $_[0]->send_frame(opcode => PING, payload => $_[1] // '');
}

sub send_close {
	my ($self, $code, $reason) = @_;

	return $self->send_frame(opcode => CLOSE, payload => defined $code
		? pack('n', $code) . ($reason // '') : '');
}

# The next frame: { fin, rsv, opcode, masked, payload, header }; undef if none
# came.  A close frame sets close_code().

sub recv_frame {
	my ($self, $timeout) = @_;
	return $self->take($timeout, sub { return $self->next_frame });
}

# The same from what was read already.

sub next_frame {
	my ($self) = @_;

	my $n = length $self->{in};
	return undef if $n < 2;

	my ($b0, $b1) = unpack 'CC', $self->{in};
	my ($header, $length) = (2, $b1 & 127);

	if ($length == 126) {
		return undef if $n < 4;
		($header, $length) = (4, unpack 'x2n', $self->{in});

	} elsif ($length == 127) {
		return undef if $n < 10;
		($header, $length) = (10, unpack 'x2Q>', $self->{in});
	}

	my $mask;

	if ($b1 & 128) {
		return undef if $n < $header + 4;
		$mask = substr $self->{in}, $header, 4;
		$header += 4;
	}

	return undef if $n < $header + $length;

	my $payload = substr $self->{in}, $header, $length;
	substr $self->{in}, 0, $header + $length, '';
	$payload = _mask($payload, $mask) if defined $mask;

	my $f = { fin => $b0 >> 7, rsv => $b0 >> 4 & 7, opcode => $b0 & 15,
		masked => $b1 >> 7, header => $header, payload => $payload };

	if ($f->{opcode} == CLOSE) {
		$self->{close_code} = length $payload ? unpack 'n', $payload
			: 1005;
		$self->{close_reason} = substr $payload, 2 if length $payload;
	}

	return $f;
}

# The next message, inflated, as bytes; undef if none came.  Pings are answered
# (if auto_pong) and counted.

sub recv_text {
	my ($self, $timeout) = @_;

	my $r = $self->take($timeout, sub {
		my $text = $self->next_text;
		return defined $text || defined $self->{close_code}
			? \$text : undef;
	});

	return $r ? $$r : undef;
}

sub next_text {
	my ($self) = @_;

	while (my $f = $self->next_frame) {
		my $op = $f->{opcode};

		if ($op == PING) {
			$self->{pings}++;
			$self->send_frame(opcode => PONG, payload => $f->{payload})
				if $self->{auto_pong};
			next;
		}

		if ($op == PONG) {
			$self->{pongs}++;
			next;
		}

		if ($op == CLOSE) {
			return undef;
		}

		push @{$self->{frames}}, $f;
		next unless $f->{fin};

		my @frames = splice @{$self->{frames}};
		my $bytes = join '', map { $_->{payload} } @frames;

		return $frames[0]{rsv} & 4 ? $self->_inflate($bytes) : $bytes;
	}

	return undef;
}

# The next message as a value; undef if none came or it is not JSON.

sub recv_json {
	my ($self, $timeout) = @_;

	my $text = $self->recv_text($timeout) // return undef;

	return eval { $json->decode($text) };
}

# The next message whose first element is the name, as a reference to the
# array; what came before it is kept in skipped().

sub recv_event {
	my ($self, $name, $timeout) = @_;

	my $end = $self->deadline($timeout);

	while (1) {
		my $left = ($end - time()) / $Test::Sync::SLOW;
		my $m = $self->recv_json($left > 0 ? $left : 0) // return undef;

		return $m if ref $m eq 'ARRAY' && ref $name
			? $m->[0] =~ $name : $m->[0] eq $name;

		push @{$self->{skipped}}, $m;
	}
}

sub skipped { return @{$_[0]{skipped} || []} }

# Reads until the peer has closed; returns close_code(), undef if it has not.

sub wait_close {
	my ($self, $timeout) = @_;

	my $end = $self->deadline($timeout);

	while (1) {
		1 while !defined $self->{close_code}
			&& defined $self->next_text;
		last unless $self->fill($end);
	}

	return $self->{eof} ? $self->close_code : undef;
}

# The close handshake, begun by us: returns what the peer answered.

sub shut {
	my ($self, $code, $reason, $timeout) = @_;

	$self->send_close($code // 1000, $reason);

	return $self->wait_close($timeout);
}

# Reads from many at once.
#
#     Test::Sync::WS->pump(\@ws, sub { my ($ws, $text) = @_; ... },
#         until => sub { $n == 1000 }, timeout => 10);
#
# Returns what until() returned last.

sub pump {
	my ($class, $all, $each, %o) = @_;

	my $end = time() + ($o{timeout} // 20) * $Test::Sync::SLOW;
	my $poll = IO::Poll->new;
	my %by;

	for my $ws (@$all) {
		while (defined(my $text = $ws->next_text)) {
			$each->($ws, $text);
		}

		next if $ws->eof;

		$by{fileno $ws->sock} = $ws;
		$poll->mask($ws->sock => POLLIN);
	}

	while (1) {
		my $r = $o{until}->();
		my $left = $end - time();

		return $r if $r || $left <= 0 || !%by;

		$poll->poll($left < 0.1 ? $left : 0.1);

		for my $sock ($poll->handles(POLLIN | POLLHUP | POLLERR)) {
			my $ws = $by{fileno $sock};

			if (!$ws->fill(0) && $ws->eof) {
				$poll->remove($sock);
				delete $by{fileno $sock};
			}

			while (defined(my $text = $ws->next_text)) {
				$each->($ws, $text);
			}
		}
	}
}

sub _inflate {
	my ($self, $bytes) = @_;

	# what the server compresses never refers to an earlier message

	my ($i) = Compress::Raw::Zlib::Inflate->new(-WindowBits => -15,
		-AppendOutput => 1);

	my $in = $bytes . "\x00\x00\xff\xff";
	my $out = '';
	my $rc = $i->inflate($in, $out);

	return $rc == Z_OK || $rc == Z_STREAM_END || $rc == Z_BUF_ERROR
		? $out : undef;
}

sub _mask {
	my ($bytes, $mask) = @_;

	my $n = length $bytes;

	return $bytes ^ substr $mask x (int($n / 4) + 1), 0, $n;
}

1;
