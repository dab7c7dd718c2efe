package Test::Sync::Redis;

# Copyright (C) sync for nginx

# A real redis-server, and what one says to it, byte by byte.
#
#     my $redis = $t->redis(port => 1, password => 'secret');
#
#     is($redis->command('SET', 'k', 'v'), 'OK', 'set');
#     is_deeply($redis->command('MGET', 'k', 'x'), [ 'v', undef ], 'get');
#     ok(!eval { $redis->command('NO'); 1 }, 'an error dies');
#
#     $redis->stop;                 # SIGTERM, as a shutdown
#     $redis->kill;                 # SIGKILL
#     $redis->start;                # on the same port; what was saved is back
#
# It listens on 127.0.0.1 at the port of %%PORT_i%%, and at the socket
# redis-i.sock in the test's directory; what it saves is there, too.  Options:
# password; args, lines of its configuration.

use warnings;
use strict;

use IO::Select;
use IO::Socket::INET;
use POSIX ();
use Time::HiRes qw/ sleep time /;

my $BINARY = '/usr/bin/redis-server';

sub new {
	my ($class, $t, %o) = @_;

	my $i = $o{port} // 0;

	my $self = bless {
		test => $t,
		owner => $$,
		name => "redis-$i",
		dir => $t->testdir,
		port => $t->port($i),
		password => $o{password},
		args => $o{args} || [],
	}, $class;

	mkdir "$self->{dir}/$self->{name}", 0700;

	return $self;
}

sub port { return $_[0]{port} }
sub pid { return $_[0]{pid} }
sub socket { return "$_[0]{dir}/$_[0]{name}.sock" }

# Returns when it answers.

sub start {
	my ($self) = @_;

	my @conf = (
		'bind 127.0.0.1', "port $self->{port}", 'daemonize no',
		'save ""', 'appendonly no', 'databases 16',
		"dir $self->{dir}/$self->{name}",
		'unixsocket ' . $self->socket,
		'enable-debug-command yes',
	);

	push @conf, "requirepass $self->{password}"
		if defined $self->{password};
	push @conf, @{$self->{args}};

	$self->{test}->write_file("$self->{name}.conf",
		join "\n", @conf, '');

	$self->{pid} = $self->{test}->spawn([ $BINARY,
		"$self->{dir}/$self->{name}.conf" ],
		"$self->{dir}/$self->{name}.log");

	$self->{test}->wait_for(sub {
		return eval { $self->command('PING') eq 'PONG' };
	}, 20) or die "redis-server did not start:\n"
		. $self->{test}->read_file("$self->{name}.log");

	return $self;
}

sub stop { return $_[0]->_end('TERM') }
sub kill { return $_[0]->_end('KILL') }

# SIGSTOP and SIGCONT: it is there, and does not answer.

sub freeze { CORE::kill('STOP', $_[0]{pid}) }
sub thaw { CORE::kill('CONT', $_[0]{pid}) }

# Sends a command and returns its reply: a string, undef, or a reference to
# an array.  Dies of an error, or if there is none within 10 s.

sub command {
	my ($self, @command) = @_;

	local $SIG{PIPE} = 'IGNORE';

	my $reply = eval {
		$self->_connect unless $self->{socket};
		$self->_send(\@command);
		$self->_reply;
	};

	if ($@) {
		my $error = $@;
		$self->disconnect unless ref $error;
		die ref $error ? $$error : $error;
	}

	return $reply;
}

# Sends commands, references to arrays, over a connection of their own: Redis
# does nothing else between them.  What it answers is not waited for.

sub commands {
	my ($self, @commands) = @_;

	my $r = $self->another;
	$r->_connect;
	$r->_send(@commands);

	push @{$self->{others}}, $r;
}

# Takes what a subscription brings: a reference to an array; undef if nothing
# comes in time.

sub message {
	my ($self, $timeout) = @_;
	return eval { $self->_reply($timeout) };
}

# One more connection to the same server.

sub another {
	my ($self) = @_;
	return bless { %$self, socket => undef, pid => undef, in => '' },
		ref $self;
}

sub disconnect {
	my ($self) = @_;
	close delete $self->{socket} if $self->{socket};
	$self->{in} = '';
}

# Names and ids of the clients that nginx has there, those that match.

sub clients {
	my ($self, $re) = @_;

	my @found;

	for my $line (split /\n/, $self->command('CLIENT', 'LIST')) {
		my %c = $line =~ /(\S+?)=(\S*)/g;
		push @found, \%c if $c{name} =~ ($re // qr/^sync-/);
	}

	return @found;
}

sub _connect {
	my ($self) = @_;

	$self->{socket} = IO::Socket::INET->new(Proto => 'tcp',
		PeerAddr => "127.0.0.1:$self->{port}")
		or die "cannot connect to redis-server: $!\n";
	$self->{in} = '';

	if (defined $self->{password}) {
		$self->_send([ 'AUTH', $self->{password} ]);
		$self->_reply;
	}
}

sub _send {
	my ($self, @commands) = @_;

	my $out = '';

	for my $command (@commands) {
		$out .= '*' . @$command . "\r\n";
		$out .= '$' . length($_) . "\r\n$_\r\n" for @$command;
	}

	while (length $out) {
		my $n = syswrite $self->{socket}, $out;
		die "cannot write to redis-server: $!\n" unless $n;
		substr $out, 0, $n, '';
	}
}

sub _reply {
	my ($self, $timeout) = @_;

	my $line = $self->_line($timeout);
	my $kind = substr $line, 0, 1, '';

	return $line if $kind eq '+' || $kind eq ':';
	die \"$line\n" if $kind eq '-';

	if ($kind eq '$') {
		return undef if $line < 0;
		my $data = $self->_bytes($line + 2, $timeout);
		return substr $data, 0, $line;
	}

	die "not a reply: $kind$line\n" if $kind ne '*';
	return undef if $line < 0;

	return [ map { $self->_reply($timeout) } 1 .. $line ];
}

sub _line {
	my ($self, $timeout) = @_;

	$self->_more($timeout) while $self->{in} !~ /\r\n/;
	$self->{in} =~ s/^(.*?)\r\n//s;

	return $1;
}

sub _bytes {
	my ($self, $n, $timeout) = @_;

	$self->_more($timeout) while length $self->{in} < $n;

	return substr $self->{in}, 0, $n, '';
}

sub _more {
	my ($self, $timeout) = @_;

	IO::Select->new($self->{socket})->can_read(
		($timeout // 10) * $Test::Sync::SLOW)
		or die "no answer from redis-server\n";

	sysread $self->{socket}, $self->{in}, 65536, length $self->{in}
		or die "redis-server closed the connection\n";
}

sub _end {
	my ($self, $signal) = @_;

	my $pid = delete $self->{pid} or return $self;

	CORE::kill('CONT', $pid);
	CORE::kill($signal, $pid);

	local $?;
	waitpid $pid, 0;

	$self->disconnect;

	return $self;
}

sub DESTROY {
	my ($self) = @_;
	$self->kill if $self->{pid} && $self->{owner} == $$;
}

1;
