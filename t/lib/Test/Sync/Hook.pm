package Test::Sync::Hook;

# Copyright (C) sync for nginx

# The app behind the hooks: an HTTP/1.1 server in a process of its own, that
# answers as told, at the pace it is told.
#
#     my $hook = $t->hook(port => 1, answer => sub {
#         my ($r) = @_;
#
#         return { json => { status => 'success', n => $r->{json}{data} } }
#             if $r->{uri} eq '/_hook/sync';
#
#         return [ [ 'head', 200, 'Content-Type: application/x-ndjson' ],
#                  [ 'chunk', qq({"stream":1}\n) ],
#                  [ 'wait', 'more' ],
#                  [ 'chunk', qq({"final":{}}\n) ],
#                  [ 'end' ] ];
#     });
#
#     $hook->go('more');
#     is($hook->wait_requests(2)->[1]{uri}, '/_hook/sync', 'asked');
#
# The function runs in the server: what it changes is not seen by the test.  It
# gets { n, connection, method, uri, headers, body, json }, n counting from 1,
# and returns either { status (200), headers (lines), json or body, close } or
# steps, which are gone through in order:
#
#     [ 'head', status, lines ]   status line and header; chunked, if no line
#                                 says Content-Length
#     [ 'chunk', bytes ]          one chunk
#     [ 'raw', bytes ]            as it is
#     [ 'end' ]                   last chunk; the connection is kept
#     [ 'close' ], [ 'reset' ]    FIN, RST
#     [ 'wait', name ]            until the test calls go(name), or has called
#     [ 'hang' ]                  until the peer closes
#
# Requests on other connections are answered meanwhile.  With quiet => 1 none is
# written down: for measuring.

use warnings;
use strict;

use Errno qw/ EAGAIN EINTR /;
use IO::Select;
use IO::Socket::INET;
use JSON::PP;
use POSIX ();
use Socket qw/ SOL_SOCKET SO_LINGER IPPROTO_TCP TCP_NODELAY /;
use Time::HiRes qw/ sleep time /;

my $json = JSON::PP->new->utf8->allow_nonref->canonical;
my $number = 0;

sub start {
	my ($class, %o) = @_;

	my $self = bless {
		answer => $o{answer} || sub { return { json => {} } },
		journal => "$o{dir}/hook-" . ++$number . '.log',
		port => $o{port},
		quiet => $o{quiet},
	}, $class;

	$self->{listen} = IO::Socket::INET->new(Listen => 511, ReuseAddr => 1,
		LocalAddr => "127.0.0.1:$o{port}", Blocking => 0)
		or die "cannot listen on port $o{port}: $!\n";

	pipe my $read, my $write or die "pipe: $!\n";
	open my $touch, '>', $self->{journal} or die "$self->{journal}: $!\n";

	$self->{pid} = fork // die "fork: $!\n";

	if (!$self->{pid}) {
		close $write;
		alarm(0);
		$SIG{$_} = 'DEFAULT' for qw/ INT TERM HUP /;
		eval { $self->_serve($read); };
		print STDERR "hook: $@" if $@;
		POSIX::_exit(1);
	}

	close $read;
	close delete $self->{listen};

	$self->{control} = $write;
	$self->{control}->autoflush(1);

	return $self;
}

# Lets all pass that wait, or will, for the name.

sub go {
	my ($self, $name) = @_;
	print { $self->{control} } "$name\n";
}

# Ends the server, as a crash would.

sub stop {
	my ($self) = @_;

	my $pid = delete $self->{pid} or return;

	kill 'KILL', $pid;
	local $?;
	waitpid $pid, 0;
}

# The requests so far: those that match, if a pattern for the uri is given.

sub requests {
	my ($self, $re) = @_;
	return grep { $_->{method} && (!$re || $_->{uri} =~ $re) }
		$self->_read;
}

# Waits until there are n of them; returns a reference to all, or undef.

sub wait_requests {
	my ($self, $n, $re, $timeout) = @_;

	my $end = time() + ($timeout // 20) * $Test::Sync::SLOW;

	while (1) {
		my @all = $self->requests($re);
		return \@all if @all >= $n;
		return undef if time() > $end;
		sleep 0.01;
	}
}

# Waits until the peer has closed the connection on which the n-th request came
# before it was answered.

sub wait_gone {
	my ($self, $n, $timeout) = @_;

	my $end = time() + ($timeout // 20) * $Test::Sync::SLOW;

	while (1) {
		return 1 if grep { ($_->{gone} // 0) == $n } $self->_read;
		return 0 if time() > $end;
		sleep 0.01;
	}
}

# How many connections there were.

sub connections {
	my ($self) = @_;
	my %seen = map { $_->{connection} => 1 } $self->requests;
	return scalar keys %seen;
}

sub _read {
	my ($self) = @_;

	# what is new

	open my $f, '<', $self->{journal} or return;
	seek $f, $self->{at} // 0, 0;

	while (my $line = <$f>) {
		last if $line !~ /\n\z/;
		push @{$self->{read}}, $json->decode($line);
		$self->{at} = tell $f;
	}

	return @{$self->{read} || []};
}

sub _note {
	my ($self, $what) = @_;

	return if $self->{quiet};

	open my $f, '>>', $self->{journal} or die "$self->{journal}: $!\n";
	syswrite $f, $json->encode($what) . "\n";
}

# In the server from here on.

sub _serve {
	my ($self, $control) = @_;

	my $select = IO::Select->new($self->{listen}, $control);
	my %c;
	my $accepted = 0;
	my $commands = '';

	$self->{requests} = 0;
	$self->{passed} = {};

	while (1) {
		my $writers = IO::Select->new(
			map { $_->{sock} } grep { length $_->{out} } values %c);

		my ($r, $w) = IO::Select->select($select, $writers);

		for my $fh (@{$r || []}) {
			if ($fh == $self->{listen}) {
				my $s = $self->{listen}->accept or next;
				$s->blocking(0);
				setsockopt $s, IPPROTO_TCP, TCP_NODELAY, pack 'i', 1;
				$select->add($s);
				$c{$s} = { sock => $s, in => '', out => '',
					steps => [], number => ++$accepted };

			} elsif ($fh == $control) {
				sysread $control, $commands, 4096, length $commands
					or POSIX::_exit(0);
				$self->{passed}{$1} = 1 while $commands =~ s/^(.*)\n//;

			} else {
				my $c = $c{$fh};
				my $n = sysread $fh, $c->{in}, 65536, length $c->{in};

				next if !defined $n && ($! == EAGAIN || $! == EINTR);

				if (!$n) {
					$self->_note({ gone => $c->{request} })
						if $c->{request};
					$c->{closed} = 1;
				}
			}
		}

		for my $c (values %c) {
			$self->_advance($c) unless $c->{closed};

			if ($c->{closed}) {
				$select->remove($c->{sock});
				delete $c{$c->{sock}};
				close $c->{sock};
			}
		}
	}
}

sub _advance {
	my ($self, $c) = @_;

	while (1) {
		$self->_flush($c) or return;

		if (!@{$c->{steps}}) {
			$c->{request} = 0;
			my $r = $self->_request($c) or return;
			$c->{request} = $r->{n};
			$c->{steps} = _steps($self->{answer}->($r));
			next;
		}

		my ($op, @args) = @{$c->{steps}[0]};

		return if $op eq 'hang'
			|| $op eq 'wait' && !$self->{passed}{$args[0]};

		shift @{$c->{steps}};

		if ($op eq 'head') {
			$c->{out} = _head(@args);

		} elsif ($op eq 'chunk') {
			$c->{out} = sprintf "%x\r\n%s\r\n", length $args[0],
				$args[0];

		} elsif ($op eq 'raw') {
			$c->{out} = $args[0];

		} elsif ($op eq 'end') {
			$c->{out} = "0\r\n\r\n";

		} elsif ($op eq 'close' || $op eq 'reset') {
			setsockopt $c->{sock}, SOL_SOCKET, SO_LINGER,
				pack 'ii', 1, 0 if $op eq 'reset';
			$c->{closed} = 1;
			return;

		} elsif ($op ne 'wait') {
			die "no such step: $op\n";
		}
	}
}

# Returns true if all is written.

sub _flush {
	my ($self, $c) = @_;

	while (length $c->{out}) {
		my $n = syswrite $c->{sock}, $c->{out};

		if (!defined $n) {
			$c->{closed} = 1 if $! != EAGAIN && $! != EINTR;
			return 0;
		}

		substr $c->{out}, 0, $n, '';
	}

	return 1;
}

sub _request {
	my ($self, $c) = @_;

	$c->{in} =~ /^(.*?)\r\n\r\n/s or return undef;

	my $head = length $&;
	my ($line, @lines) = split /\r\n/, $1;
	my %headers;

	for (@lines) {
		my ($name, $value) = /^([^:]+):\s*(.*)/ or next;
		$headers{lc $name} = $value;
	}

	my $length = $headers{'content-length'} || 0;
	return undef if length $c->{in} < $head + $length;

	my $body = substr $c->{in}, $head, $length;
	substr $c->{in}, 0, $head + $length, '';

	my ($method, $uri) = split / /, $line;

	my $r = { n => ++$self->{requests}, connection => $c->{number},
		method => $method, uri => $uri, headers => \%headers };

	$r->{body} = $body;
	$r->{json} = eval { $json->decode($body) };

	$self->_note($r);

	return $r;
}

sub _steps {
	my ($answer) = @_;

	return $answer if ref $answer eq 'ARRAY';

	my @lines = @{$answer->{headers} || []};
	my $body = $answer->{body} // '';

	if (exists $answer->{json}) {
		$body = $json->encode($answer->{json});
		push @lines, 'Content-Type: application/json'
			unless grep { /^content-type:/i } @lines;
	}

	push @lines, 'Content-Length: ' . length $body;
	push @lines, 'Connection: close' if $answer->{close};

	return [ [ 'head', $answer->{status} || 200, @lines ],
		[ 'raw', $body ], $answer->{close} ? [ 'close' ] : () ];
}

sub _head {
	my ($status, @lines) = @_;

	push @lines, 'Transfer-Encoding: chunked'
		unless grep { /^(?:content-length|transfer-encoding):/i } @lines;

	return join "\r\n", "HTTP/1.1 $status Status", @lines, '', '';
}

1;
