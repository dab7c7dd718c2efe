package Test::Sync::Proxy;

# Copyright (C) sync for nginx

# What stands between nginx and a redis-server, and loses some of what Redis
# says.
#
#     my $proxy = $t->proxy(port => 2, to => $redis->port);
#
#     $proxy->swallow(qr/subscribe\r\n\$\d+\r\napp:r:doc:1\r\n/, 2);
#     ...
#     is($proxy->swallowed, 2, 'no answer');
#
# The pattern is looked for in each reply, as Redis writes it, on any connection
# that goes through.  A reply is lost as a whole, all others pass.

use warnings;
use strict;

use Errno qw/ EINTR /;
use IO::Handle;
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Socket qw/ AF_UNIX SOCK_STREAM PF_UNSPEC IPPROTO_TCP TCP_NODELAY /;

sub start {
	my ($class, %o) = @_;

	my $self = bless { port => $o{port}, to => $o{to} }, $class;

	my $listen = IO::Socket::INET->new(Listen => 511, ReuseAddr => 1,
		LocalAddr => "127.0.0.1:$o{port}", Blocking => 0)
		or die "cannot listen on port $o{port}: $!\n";

	socketpair my $ours, my $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC
		or die "socketpair: $!\n";

	$self->{pid} = fork // die "fork: $!\n";

	if (!$self->{pid}) {
		close $ours;
		alarm(0);
		$SIG{$_} = 'DEFAULT' for qw/ INT TERM HUP /;
		eval { $self->_serve($listen, $theirs); };
		print STDERR "proxy: $@" if $@;
		POSIX::_exit(1);
	}

	$ours->autoflush(1);
	$self->{control} = $ours;

	return $self;
}

sub port { return $_[0]{port} }

# Loses the next n replies that match, 1 if not given.  Returns when it will.

sub swallow {
	my ($self, $re, $n) = @_;
	return $self->_ask(join ' ', 'swallow', $n // 1, unpack 'H*', "$re");
}

# How many were lost, ever.

sub swallowed { return $_[0]->_ask('swallowed') }

sub stop {
	my ($self) = @_;

	my $pid = delete $self->{pid} or return;

	kill 'KILL', $pid;
	local $?;
	waitpid $pid, 0;
}

sub _ask {
	my ($self, $order) = @_;

	print { $self->{control} } "$order\n";
	my $answer = readline $self->{control};
	die "the proxy is gone\n" unless defined $answer;
	chomp $answer;

	return $answer;
}

sub _serve {
	my ($self, $listen, $control) = @_;

	my $select = IO::Select->new($listen, $control);
	my (%to, %in);		# by file number: the other end; what came

	while (1) {
		for my $s ($select->can_read) {

			if ($s == $control) {
				$self->_obey($control);
				next;
			}

			if ($s == $listen) {
				my $c = $listen->accept or next;
				my $r = IO::Socket::INET->new(Proto => 'tcp',
					PeerAddr => "127.0.0.1:$self->{to}")
					or next;

				setsockopt $_, IPPROTO_TCP, TCP_NODELAY,
					pack 'i', 1 for $c, $r;

				$to{fileno $c} = $r;
				$to{fileno $r} = $c;
				$in{fileno $r} = '';
				$select->add($c, $r);
				next;
			}

			# one that went with its other end

			my $fd = fileno $s;
			my $other = defined $fd ? $to{$fd} : undef;
			next unless $other;

			my $n = sysread $s, my $bytes, 65536;
			next if !defined $n && $! == EINTR;

			if ($n && defined $in{$fd}) {
				$in{$fd} .= $bytes;
				$bytes = $self->_passes(\$in{$fd});
			}

			next if $n && _write($other, $bytes);

			for my $gone ($s, $other) {
				delete $to{fileno $gone};
				delete $in{fileno $gone};
				$select->remove($gone);
			}

			close $s;
			close $other;
		}
	}
}

sub _obey {
	my ($self, $control) = @_;

	defined(my $order = _line($control)) or POSIX::_exit(0);

	if ($order =~ /^swallow (\d+) (\S+)$/) {
		my $re = pack 'H*', $2;
		push @{$self->{orders}}, [ $1, qr/$re/ ];
	}

	syswrite $control, ($self->{swallowed} // 0) . "\n";
}

# Takes whole replies; returns those that are not lost.

sub _passes {
	my ($self, $in) = @_;

	my $out = '';

	while (defined(my $end = _end($in, 0))) {
		my $reply = substr $$in, 0, $end, '';

		my ($order) = grep { $_->[0] && $reply =~ $_->[1] }
			@{$self->{orders}};

		if ($order) {
			$order->[0]--;
			$self->{swallowed}++;

		} else {
			$out .= $reply;
		}
	}

	return $out;
}

# Where the reply that begins at a place ends; undef if it is not there in full.

sub _end {
	my ($in, $at) = @_;

	my $eol = index $$in, "\r\n", $at;
	return undef if $eol == -1;

	my $kind = substr $$in, $at, 1;
	my $n = substr $$in, $at + 1, $eol - $at - 1;
	my $end = $eol + 2;

	if ($kind eq '$' && $n >= 0) {
		$end += $n + 2;

	} elsif ($kind eq '*') {
		for (1 .. $n) {
			$end = _end($in, $end) // return undef;
		}
	}

	return $end <= length $$in ? $end : undef;
}

sub _line {
	my ($s) = @_;

	my $line = '';

	while ($line !~ /\n/) {
		sysread $s, $line, 1, length $line or return undef;
	}

	chomp $line;

	return $line;
}

sub _write {
	my ($s, $bytes) = @_;

	while (length $bytes) {
		my $n = syswrite $s, $bytes;

		if (!defined $n) {
			next if $! == EINTR;
			return 0;
		}

		substr $bytes, 0, $n, '';
	}

	return 1;
}

1;
