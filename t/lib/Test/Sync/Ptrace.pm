package Test::Sync::Ptrace;

# Copyright (C) sync for nginx

# A process that is stopped where it enters a function, to die there, or to go on
# when something else has happened.
#
#     my $p = Test::Sync::Ptrace->attach($pid, $t->{module}, 'sync_log_read');
#
#     $p->arm;                          # it goes on, until it gets there
#     ok($p->wait(5), 'is in there');
#     $p->kill;                         # SIGKILL, before anything else
#     $p->go;                           # or: it goes on, and is left alone
#
# Linux on amd64 and arm64, for a process of the same user.

use warnings;
use strict;

no warnings qw/ portable /;

use Fcntl qw/ SEEK_SET /;
use POSIX qw/ WNOHANG /;
use Time::HiRes qw/ sleep time /;

use constant { POKEUSER => 6, CONT => 7, ATTACH => 16, DETACH => 17,
	GETSIGINFO => 0x4202, WALL => 0x40000000 };

# number of ptrace(); an instruction that traps; where the program counter stands
# among the registers, if it goes on behind that instruction

my %machines = (
	x86_64 => [ 101, "\xcc", 16 * 8 ],
	aarch64 => [ 117, pack 'V', 0xd4200000 ],
);

sub attach {
	my ($class, $pid, $module, $function) = @_;

	my $machine = (POSIX::uname())[4];
	my $m = $machines{$machine} or die "no ptrace() on $machine\n";

	my $self = bless { pid => $pid, ptrace => $m->[0], trap => $m->[1],
		counter => $m->[2] }, $class;

	$self->{address} = _base($pid, $module) + _symbol($module, $function);

	$self->_call(ATTACH);
	waitpid($pid, WALL) == $pid or die "process $pid does not stop\n";

	return $self;
}

sub pid { return $_[0]{pid} }

# Writes the trap, and lets it go on.

sub arm {
	my ($self) = @_;

	$self->{code} = $self->_put($self->{trap});
	$self->_call(CONT);

	return $self;
}

# Whether it got there, in some seconds; other signals are passed on.

sub wait {
	my ($self, $timeout) = @_;

	my $end = time() + $timeout;

	while (time() < $end) {

		if (waitpid($self->{pid}, WNOHANG | WALL) != $self->{pid}) {
			sleep 0.01;
			next;
		}

		# perl does not tell how one that is stopped came to that

		my $info = "\0" x 128;

		return 0 if syscall($self->{ptrace}, GETSIGINFO, $self->{pid}, 0,
			$info) != 0;

		my $signal = unpack 'l', $info;
		return 1 if $signal == POSIX::SIGTRAP();

		$self->_call(CONT, $signal);
	}

	return 0;
}

# It goes on from there, as if it had never stood.

sub go {
	my ($self) = @_;

	$self->_put($self->{code});

	defined $self->{counter}
		&& syscall($self->{ptrace}, POKEUSER, $self->{pid},
			$self->{counter}, $self->{address}) != 0
		and die "registers of $self->{pid}: $!\n";

	$self->_call(DETACH);
}

sub kill {
	my ($self) = @_;

	kill 'KILL', $self->{pid};
	waitpid $self->{pid}, WALL;
}

# Puts code at the address; returns what was there.

sub _put {
	my ($self, $code) = @_;

	open my $mem, '+<:raw', "/proc/$self->{pid}/mem"
		or die "memory of $self->{pid}: $!\n";

	sysseek $mem, $self->{address}, SEEK_SET or die "memory: $!\n";
	sysread($mem, my $old, length $code) == length $code
		or die "memory cannot be read: $!\n";
	sysseek $mem, $self->{address}, SEEK_SET or die "memory: $!\n";
	syswrite($mem, $code) == length $code
		or die "memory cannot be written: $!\n";
	close $mem;

	return $old;
}

sub _call {
	my ($self, $request, $signal) = @_;

	syscall($self->{ptrace}, $request, $self->{pid}, 0, $signal // 0) == 0
		or die "ptrace($request) of $self->{pid}: $!\n";
}

# Where the module begins in the process.

sub _base {
	my ($pid, $module) = @_;

	open my $maps, '<', "/proc/$pid/maps" or die "maps of $pid: $!\n";

	while (<$maps>) {
		return hex $1 if /^([0-9a-f]+)-\S+ \S+ 0+ .* \Q$module\E$/;
	}

	die "$module is not in $pid\n";
}

sub _symbol {
	my ($module, $function) = @_;

	open my $nm, '-|', 'nm', $module or die "nm: $!\n";

	while (<$nm>) {
		return hex $1 if /^([0-9a-f]+) [tT] \Q$function\E$/;
	}

	die "$function is not in $module\n";
}

1;
