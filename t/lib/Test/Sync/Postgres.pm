package Test::Sync::Postgres;

# Copyright (C) sync for nginx

# A PostgreSQL of the test's own, on a socket in the test's directory.
#
#     my $db = Test::Sync::Postgres->new($t);
#     $db->sql("CREATE TABLE ...");
#     print $db->url;
#
# It does not run as root: then it runs as the user that Debian's package made.

use warnings;
use strict;

use POSIX ();

my $USER = 'postgres';

sub new {
	my ($class, $t) = @_;

	my ($bin) = reverse sort glob '/usr/lib/postgresql/*/bin';
	die "no PostgreSQL: install postgresql\n" unless $bin;

	my $self = bless {
		dir => $t->testdir . '/pg',
		bin => $bin,
		as => $> ? [] : [ 'setpriv', "--reuid=$USER", "--regid=$USER",
			'--clear-groups' ],
	}, $class;

	# what leads to it is only to be passed through

	chmod 0711, $t->testdir;
	mkdir $self->{dir} or die "$self->{dir}: $!\n";
	chown((getpwnam $USER)[2, 3], $self->{dir}) unless $>;

	$self->_run("$bin/initdb", '-D', "$self->{dir}/data", '-U', 'app',
		'-A', 'trust', '--no-sync', '-E', 'UTF8', '--locale=C');

	$t->write_file('pg.conf', <<EOF);
listen_addresses = ''
unix_socket_directories = '$self->{dir}'
wal_level = logical
fsync = off
max_connections = 20
shared_buffers = 16MB
EOF

	$self->{pid} = $t->spawn([@{$self->{as}}, "$bin/postgres", '-D',
		"$self->{dir}/data", '-c', "config_file=" . $t->testdir
		. '/pg.conf'], $t->testdir . '/pg.out');

	$t->wait_for(sub { $self->_try('SELECT 1') })
		or die "PostgreSQL does not start\n"
			. $t->read_file('pg.out');

	return $self;
}

sub url {
	my ($self) = @_;
	return "postgres://app\@localhost/postgres?host=$self->{dir}";
}

# Each statement in a transaction of its own.

sub sql {
	my ($self, @sql) = @_;

	$self->_try(@sql) or die "psql failed: @sql\n";
}

# What a query has for an answer: a line a row, columns separated by "|".

sub query {
	my ($self, $sql) = @_;

	open my $out, '-|', $self->psql('-c', $sql) or die "psql: $!\n";
	my @lines = <$out>;
	close $out or die "psql failed: $sql\n";

	chomp @lines;
	return wantarray ? @lines : $lines[0];
}

sub stop {
	my ($self) = @_;

	my $pid = delete $self->{pid} or return;

	kill 'QUIT', $pid;
	waitpid $pid, 0;
}

sub _try {
	my ($self, @sql) = @_;

	my $pid = fork // die "fork: $!\n";

	if ($pid == 0) {
		open STDOUT, '>', '/dev/null';
		open STDERR, '>', '/dev/null';
		exec($self->psql(map { ('-c', $_) } @sql)) or POSIX::_exit(127);
	}

	waitpid $pid, 0;
	return $? == 0;
}

sub psql {
	my ($self, @args) = @_;

	return ("$self->{bin}/psql", '-X', '-At', '-q', '-v', 'ON_ERROR_STOP=1',
		'-h', $self->{dir}, '-U', 'app', '-d', 'postgres', @args);
}

sub _run {
	my ($self, @command) = @_;

	open my $out, '-|', @{$self->{as}}, @command or die "$command[0]: $!\n";
	my @lines = <$out>;
	close $out or die "$command[0] failed\n@lines";
}

1;
