package Test::Sync::Peer;

# Copyright (C) sync for nginx

# One connection to nginx, as bytes.  The socket does not block; whatever waits
# takes a timeout in seconds, 20 if none is given: one that is for what must not
# come is to be given.
#
# Options of new(): port, host (127.0.0.1), rcvbuf (bytes, for a peer that does
# not read), tls (through "openssl s_client").

use warnings;
use strict;

use Errno qw/ EAGAIN EINTR /;
use IO::Handle;
use IO::Select;
use POSIX ();
use Socket qw/ :DEFAULT IPPROTO_TCP TCP_NODELAY /;
use Time::HiRes qw/ time /;

my $TIMEOUT = 20;

sub new {
	my ($class, %o) = @_;

	my $self = bless { in => '', eof => 0, owner => $$ }, $class;

	$self->{sock} = $o{tls} ? $self->_dial_tls(%o) : $self->_dial(%o);
	$self->{sock}->blocking(0);

	return $self;
}

sub sock { return $_[0]{sock} }

# True if the peer has closed or reset the connection, as far as was read.

sub eof { return $_[0]{eof} }

# What was read and not yet taken.

sub buffer { return $_[0]{in} }

# When a timeout that starts now is over.

sub deadline {
	my ($self, $timeout) = @_;
	return time() + ($timeout // $TIMEOUT) * $Test::Sync::SLOW;
}

# Reads what is there, waiting for it until the deadline if there is nothing.
# Returns false if nothing came.

sub fill {
	my ($self, $end) = @_;

	return 0 if $self->{eof};

	while (1) {
		my $n = sysread $self->{sock}, $self->{in}, 65536,
			length $self->{in};

		return 1 if $n;

		if (defined $n || $! != EAGAIN && $! != EINTR) {
			$self->{eof} = 1;
			$self->{reset} = !defined $n;
			return 0;
		}

		my $left = $end - time();
		return 0 if $left <= 0;

		IO::Select->new($self->{sock})->can_read($left);
	}
}

# Calls a function, which looks into $self->{in}, until it returns something
# defined, and returns that; or undef after the timeout or the end of input.

sub take {
	my ($self, $timeout, $sub) = @_;

	my $end = $self->deadline($timeout);

	while (1) {
		my $r = $sub->();
		return $r if defined $r;
		return undef unless $self->fill($end);
	}
}

# Writes all; returns false if it could not.

sub put {
	my ($self, $bytes, $timeout) = @_;

	my $end = $self->deadline($timeout);
	my $at = 0;

	while ($at < length $bytes) {
		my $n = syswrite $self->{sock}, $bytes, 65536, $at;

		if (defined $n) {
			$at += $n;
			next;
		}

		return 0 if $! != EAGAIN && $! != EINTR;

		my $left = $end - time();
		return 0 if $left <= 0;

		IO::Select->new($self->{sock})->can_write($left);
	}

	return 1;
}

# Writes in pieces of n bytes, 1 if not given.

sub put_pieces {
	my ($self, $bytes, $n) = @_;

	$n ||= 1;

	for (my $at = 0; $at < length $bytes; $at += $n) {
		$self->put(substr $bytes, $at, $n) or return 0;
	}

	return 1;
}

# Waits for the end of input; returns false if it did not come.

sub wait_eof {
	my ($self, $timeout) = @_;

	my $end = $self->deadline($timeout);
	1 while $self->fill($end);

	return $self->{eof};
}

# Closes; sends FIN only; sends RST.

sub disconnect {
	my ($self) = @_;

	if ($self->{sock}) {
		close delete $self->{sock};
	}

	$self->{eof} = 1;
	$self->_reap;
}

sub half_close {
	my ($self) = @_;
	shutdown $self->{sock}, 1;
}

sub reset {
	my ($self) = @_;
	setsockopt $self->{sock}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
	$self->disconnect;
}

# Reads the status line and header of a response into status, reason and
# headers; returns false if they did not come.

sub recv_head {
	my ($self, $timeout) = @_;

	my $head = $self->take($timeout, sub {
		return $self->{in} =~ s/^(.*?)\r\n\r\n//s ? $1 : undef;
	}) // return 0;

	my ($status, @lines) = split /\r\n/, $head;

	$status =~ m!^HTTP/\d(?:\.\d)? (\d{3}) ?(.*)! or return 0;
	($self->{status}, $self->{reason}) = ($1, $2);
	$self->{headers} = {};

	for (@lines) {
		my ($name, $value) = /^([^:]+):\s*(.*)/ or next;
		$name = lc $name;
		$self->{headers}{$name} = defined $self->{headers}{$name}
			? "$self->{headers}{$name}, $value" : $value;
	}

	return 1;
}

sub status { return $_[0]{status} }
sub header { return $_[0]{headers}{lc $_[1]} }

# Takes the next chunk of a chunked body: "" for the last one.

sub recv_chunk {
	my ($self, $timeout) = @_;

	return $self->take($timeout, sub { return $self->_chunk });
}

# Reads a whole response.

sub recv_response {
	my ($self, $method, $timeout) = @_;

	$self->recv_head($timeout) or return undef;

	my $length = $self->header('content-length');
	my $body = '';

	if ($method eq 'HEAD' || $self->{status} =~ /^(?:1\d\d|204|304)$/) {
		$length = 0;
	}

	if (($self->header('transfer-encoding') // '') eq 'chunked') {
		while (1) {
			my $chunk = $self->recv_chunk($timeout) // return undef;
			last if $chunk eq '';
			$body .= $chunk;
		}

	} elsif (defined $length) {
		$body = $self->take($timeout, sub {
			return undef if length $self->{in} < $length;
			return substr $self->{in}, 0, $length, '';
		}) // return undef;

	} else {
		$self->wait_eof($timeout) or return undef;
		$body = $self->{in};
		$self->{in} = '';
	}

	return bless { status => $self->{status}, reason => $self->{reason},
		headers => $self->{headers}, body => $body },
		'Test::Sync::Response';
}

sub _chunk {
	my ($self) = @_;

	$self->{in} =~ /^([0-9a-fA-F]+)[^\r\n]*\r\n/ or return undef;

	my ($head, $size) = (length $&, hex $1);

	return undef if length $self->{in} < $head + $size + 2;

	my $chunk = substr $self->{in}, $head, $size;
	substr $self->{in}, 0, $head + $size + 2, '';

	return $chunk;
}

sub _dial {
	my ($self, %o) = @_;

	socket my $s, PF_INET, SOCK_STREAM, IPPROTO_TCP or die "socket: $!\n";

	setsockopt $s, SOL_SOCKET, SO_RCVBUF, pack 'i', $o{rcvbuf}
		if $o{rcvbuf};
	setsockopt $s, IPPROTO_TCP, TCP_NODELAY, pack 'i', 1;

	connect $s, pack_sockaddr_in($o{port},
			inet_aton($o{host} || '127.0.0.1'))
		or die "connect to port $o{port}: $!\n";

	return bless $s, 'IO::Handle';
}

# The connection is a socket pair with s_client at its other end.

sub _dial_tls {
	my ($self, %o) = @_;

	my $to = ($o{host} || '127.0.0.1') . ":$o{port}";

	return $self->_pipe(qw/ openssl s_client -quiet -ign_eof -connect /, $to,
		ref $o{tls} ? @{$o{tls}} : ());
}

sub _pipe {
	my ($self, @command) = @_;

	socketpair my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC
		or die "socketpair: $!\n";

	my $pid = fork // die "fork: $!\n";

	if (!$pid) {
		open STDIN, '<&', $theirs;
		open STDOUT, '>&', $theirs;
		open STDERR, '>', '/dev/null';
		$SIG{$_} = 'DEFAULT' for qw/ INT TERM HUP /;
		alarm(0);
		exec { $command[0] } @command or POSIX::_exit(127);
	}

	$self->{child} = $pid;

	return bless $ours, 'IO::Handle';
}

sub _reap {
	my ($self) = @_;

	my $pid = delete $self->{child} or return;

	kill 'TERM', $pid;
	local $?;
	waitpid $pid, 0;
}

sub DESTROY {
	my ($self) = @_;
	$self->_reap if $self->{owner} == $$;
}


package Test::Sync::Response;

use JSON::PP ();

sub status { return $_[0]{status} }
sub reason { return $_[0]{reason} }
sub header { return $_[0]{headers}{lc $_[1]} }
sub body { return $_[0]{body} }

# The body as a value, undef if it is not JSON.

sub json {
	my ($self) = @_;
	return eval { JSON::PP->new->utf8->allow_nonref->decode($self->{body}) };
}

1;
