package Test::Sync::SSE;

# Copyright (C) sync for nginx

# Reads an event stream.
#
#     my $es = $t->sse('/api/events?channels=a,b');
#
#     is($es->recv_json->{type}, 'connected', 'connected');
#     my $e = $es->recv;      # { id, event, data, retry }
#
# Options of connect(): uri, port, headers (lines), last_event_id, cookie,
# origin, tls, rcvbuf, timeout; http2 (through curl, by prior knowledge or,
# with tls, by ALPN).

use warnings;
use strict;

use JSON::PP;

use parent -norequire, 'Test::Sync::Peer';

my $json = JSON::PP->new->utf8->allow_nonref;

sub connect {
	my ($class, %o) = @_;

	my @lines = (
		'Accept: text/event-stream',
		defined $o{last_event_id}
			? "Last-Event-ID: $o{last_event_id}" : (),
		defined $o{cookie} ? "Cookie: $o{cookie}" : (),
		defined $o{origin} ? "Origin: $o{origin}" : (),
		@{$o{headers} || []},
	);

	my $self = $o{http2} ? $class->_curl(\@lines, %o)
		: $class->SUPER::new(%o);

	$self->{body} = '';
	$self->{comments} = 0;

	$self->put(join "\r\n", "GET $o{uri} HTTP/1.1", 'Host: localhost',
		@lines, '', '') unless $o{http2};

	$self->recv_head($o{timeout});
	$self->{chunked} = 1
		if ($self->header('transfer-encoding') // '') eq 'chunked';

	return $self;
}

# The next event; undef if none came, or the stream ended.

sub recv {
	my ($self, $timeout) = @_;
	return $self->take($timeout, sub { return $self->next_event });
}

# Its data as a value.

sub recv_json {
	my ($self, $timeout) = @_;

	my $e = $self->recv($timeout) // return undef;

	return eval { $json->decode($e->{data}) };
}

# How many comments were read.

sub comments { return $_[0]{comments} }

# What "retry:" said last.

sub retry { return $_[0]{retry} }

# The last id, of an event or alone.

sub last_id { return $_[0]{last_id} // '' }

# True if the last chunk was read.

sub complete { return $_[0]{complete} }

# The next event from what was read already.

sub next_event {
	my ($self) = @_;

	$self->_unwrap;

	while ($self->{body} =~ s/^(.*?)\n\n//s) {
		my ($e, @data) = {};

		for my $line (split /\n/, $1) {
			if ($line =~ /^:/) {
				$self->{comments}++;
				next;
			}

			my ($field, $value) = $line =~ /^([^:]+)(?:: ?(.*))?$/;
			$value //= '';

			if ($field eq 'data') {
				push @data, $value;

			} else {
				$e->{$field} = $value;
			}
		}

		$self->{retry} = $e->{retry} if defined $e->{retry};
		$self->{last_id} = $e->{id} if defined $e->{id};

		if (@data) {
			$e->{data} = join "\n", @data;
			return $e;
		}
	}

	return undef;
}

sub _unwrap {
	my ($self) = @_;

	if (!$self->{chunked}) {
		$self->{body} .= $self->{in};
		$self->{in} = '';
		return;
	}

	while (defined(my $chunk = $self->_chunk)) {
		$self->{complete} = 1 if $chunk eq '';
		$self->{body} .= $chunk;
	}
}

sub _curl {
	my ($class, $lines, %o) = @_;

	my $self = bless { in => '', eof => 0, owner => $$ }, $class;
	my $scheme = $o{tls} ? 'https' : 'http';

	$self->{sock} = $self->_pipe('curl', '-sSNik', $o{tls} ? '--http2'
		: '--http2-prior-knowledge', map({ ('-H', $_) } @$lines),
		"$scheme://127.0.0.1:$o{port}$o{uri}");
	$self->{sock}->blocking(0);

	return $self;
}

1;
