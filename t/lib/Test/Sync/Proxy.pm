package Test::Sync::Proxy;

# Copyright (C) sync for nginx

# What stands between nginx and a redis-server, and loses or delays some of what
# Redis says.
#
#     my $proxy = $t->proxy(port => 2, to => $redis->port);
#
#     $proxy->swallow(qr/subscribe\r\n\$\d+\r\napp:r:doc:1\r\n/, 2);
#     ...
#     is($proxy->swallowed, 2, 'no answer');
#
#     $proxy->delay(qr/^\*0\r\n/, 0.5);
#
# The pattern is looked for in each reply, as Redis writes it, on any connection
# that goes through.  A reply is lost as a whole, all others pass; those behind
# one that is delayed wait for it.

use warnings;
use strict;

use Errno qw/ EINTR /;
use IO::Handle;
use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Socket qw/ AF_UNIX SOCK_STREAM PF_UNSPEC IPPROTO_TCP TCP_NODELAY /;
use Time::HiRes qw/ time /;

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
	return $self->_order($re, $n, -1);
}

# Passes the next n replies that match some seconds later than they came.

sub delay {
	my ($self, $re, $seconds, $n) = @_;
	return $self->_order($re, $n, $seconds);
}

# How many were lost, ever; how many came that are, or were, delayed.

sub swallowed { return ($_[0]->_ask('counts'))[0] }
sub delayed { return ($_[0]->_ask('counts'))[1] }

sub stop {
	my ($self) = @_;

	my $pid = delete $self->{pid} or return;

	kill 'KILL', $pid;
	local $?;
	waitpid $pid, 0;
}

sub _order {
	my ($self, $re, $n, $seconds) = @_;
	$self->_ask(join ' ', 'next', $n // 1, $seconds, unpack 'H*', "$re");
}

sub _ask {
	my ($self, $line) = @_;

	print { $self->{control} } "$line\n";
	my $answer = readline $self->{control};
	die "the proxy is gone\n" unless defined $answer;

	return split ' ', $answer;
}

sub _serve {
	my ($self, $listen, $control) = @_;

	my $select = IO::Select->new($listen, $control);
	my (%to, %in);		# by file number: the other end; what came
	my %late;		# the same: times and replies

	$self->{counts} = [ 0, 0 ];

	while (1) {
		my @times = map { $_->[0][0] } values %late;
		my ($due) = sort { $a <=> $b } @times;
		$due = $due <= time() ? 0 : $due - time() if defined $due;

		my @ready = $select->can_read($due);
		my @gone;

		for my $fd (keys %late) {
			my $queue = $late{$fd};

			while (@$queue && $queue->[0][0] <= time()) {
				my $bytes = (shift @$queue)->[1];
				push @gone, $to{$fd}
					unless _write($to{$fd}, $bytes);
			}

			delete $late{$fd} if !@$queue;
		}

		for my $s (@ready) {

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

			my $fd = fileno $s;
			my $n = sysread $s, my $bytes, 65536;
			next if !defined $n && $! == EINTR;

			if (!$n) {
				push @gone, $s;

			} elsif (!defined $in{$fd}) {
				push @gone, $s unless _write($to{$fd}, $bytes);

			} else {
				$in{$fd} .= $bytes;

				my $queue = $late{$fd} || [];
				$self->_take(\$in{$fd}, $queue);
				$late{$fd} = $queue if @$queue;
			}
		}

		for my $s (@gone) {
			next unless defined fileno $s;

			my $other = $to{fileno $s};

			for my $end ($s, $other) {
				my $fd = fileno $end;
				delete $_->{$fd} for \%to, \%in, \%late;
				$select->remove($end);
				close $end;
			}
		}
	}
}

sub _obey {
	my ($self, $control) = @_;

	defined(my $line = _line($control)) or POSIX::_exit(0);

	if ($line =~ /^next (\d+) (\S+) (\S+)$/) {
		my $re = pack 'H*', $3;
		push @{$self->{orders}}, [ $1, qr/$re/, $2 ];
	}

	syswrite $control, "@{$self->{counts}}\n";
}

# Takes whole replies, each with the time when it is to pass.

sub _take {
	my ($self, $in, $queue) = @_;

	while (defined(my $end = _end($in, 0))) {
		my $reply = substr $$in, 0, $end, '';
		my $time = @$queue ? $queue->[-1][0] : time();

		my ($order) = grep { $_->[0] && $reply =~ $_->[1] }
			@{$self->{orders}};

		if ($order) {
			$order->[0]--;
			$self->{counts}[$order->[2] >= 0]++;
			next if $order->[2] < 0;
			$time += $order->[2];
		}

		push @$queue, [ $time, $reply ];
	}
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
