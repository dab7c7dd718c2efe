package Test::Sync;

# Copyright (C) sync for nginx

# Runs nginx with the sync module in a directory of its own.
#
#     use FindBin;
#     use lib "$FindBin::Bin/lib";
#     use Test::More;
#     use Test::Sync;
#
#     my $t = Test::Sync->new->plan(2);
#
#     $t->write_conf(<<'EOF');
#     %%GLOBALS%%
#
#     events {
#     }
#
#     http {
#         %%HTTP%%
#
#         sync_zone zone=sync:8m;
#
#         server {
#             listen 127.0.0.1:%%PORT_0%%;
#
#             location /ws { sync websocket; }
#         }
#     }
#     EOF
#
#     $t->run;
#
#     my $ws = $t->ws('/ws');
#     is($ws->status, 101, 'upgraded');
#     is($ws->recv_json->[0], 'connected', 'connected');
#
# Every test runs twice, with 1 and with 4 worker processes: t/tap sets
# SYNC_WORKERS, %%GLOBALS%% obeys it.  A test that needs a certain number says
# new(workers => 2).  One that takes longer than 180 s is ended, new(timeout =>
# 300) gives it more.
#
# plan(n) plans one test more, which comes at the end of the file: that nginx
# ended, left no process behind, logged no [crit], [alert] or [emerg] but what
# was expected(), that no worker exited by a signal or with an error, and that
# no sanitizer reported.
#
# Timeouts are seconds, and are multiplied by SYNC_SLOW where it is set.
#
# The environment:
#
#     SYNC_NGINX    the binary, /usr/sbin/nginx
#     SYNC_MODULE   the module, t/build/ngx_http_sync_module.so; "" if built in
#     SYNC_WORKERS  worker processes, 1
#     SYNC_SLOW     factor for all timeouts, 1
#     SYNC_LOG      level of the error log, info
#     SYNC_LEAVE    do not remove the directory

use warnings;
use strict;

use Cwd qw/ abs_path /;
use Fcntl qw/ :flock /;
use File::Basename qw/ dirname /;
use File::Copy qw/ copy /;
use File::Spec;
use File::Temp qw/ tempdir /;
use IO::Socket::INET;
use JSON::PP;
use POSIX qw/ _exit /;
use Test::More ();
use Time::HiRes qw/ sleep time /;

use Test::Sync::Peer;

our $SLOW = $ENV{SYNC_SLOW} || 1;
our $TOP = abs_path(dirname(__FILE__) . '/../../..');

my $PORT_FIRST = 12000;
my $PORT_LAST = 19999;
my $WATCHDOG = 180;

my $owner = $$;
my $planned;
my @instances;

$SIG{PIPE} = 'IGNORE';
$SIG{$_} = sub { exit 1 } for qw/ INT TERM HUP /;

sub new {
	my ($class, %o) = @_;

	my $self = bless {
		nginx => $ENV{SYNC_NGINX} || '/usr/sbin/nginx',
		module => $ENV{SYNC_MODULE}
			// "$TOP/t/build/ngx_http_sync_module.so",
		workers => $o{workers} || $ENV{SYNC_WORKERS} || 1,
		dir => abs_path(tempdir('sync-test-XXXXXXXX', TMPDIR => 1)),
		ports => [],
		locks => [],
		expected => [],
		problems => [],
		helpers => [],
	}, $class;

	chmod 0755, $self->{dir};
	push @instances, $self;

	if ($self->{module} ne '') {
		die "no module $self->{module}: run make -C t build\n"
			unless -f $self->{module};

		# another build may replace it while the test runs

		copy($self->{module}, "$self->{dir}/sync.so")
			or die "cannot copy $self->{module}: $!\n";
	}

	$SIG{ALRM} = sub { die "the test takes too long\n" };
	alarm(($o{timeout} // $WATCHDOG) * $SLOW);

	return $self;
}

# Plans n tests and the one at the end.

sub plan {
	my ($self, $n) = @_;

	Test::More::plan(tests => $n + 1);
	$planned = 1;

	return $self;
}

sub testdir { return $_[0]{dir} }
sub worker_processes { return $_[0]{workers} }

# The port for %%PORT_i%%: a free one, held until the test ends.

sub port {
	my ($self, $i) = @_;

	$i //= 0;
	$self->{ports}[$i] //= $self->_free_port;

	return $self->{ports}[$i];
}

# Writes nginx.conf.

sub write_conf {
	my ($self, $text) = @_;
	return $self->write_file('nginx.conf', $self->expand($text));
}

sub write_file {
	my ($self, $name, $content) = @_;

	open my $f, '>', "$self->{dir}/$name"
		or die "cannot create $self->{dir}/$name: $!\n";
	binmode $f;
	print $f $content;
	close $f or die "cannot write $self->{dir}/$name: $!\n";

	return $self;
}

# The content of a file, "" if it is not there.

sub read_file {
	my ($self, $name) = @_;

	open my $f, '<', "$self->{dir}/$name" or return '';
	binmode $f;
	local $/;
	return scalar(<$f>) // '';
}

sub expand {
	my ($self, $text) = @_;

	$text =~ s/%%GLOBALS%%/$self->_globals/ge;
	$text =~ s/%%HTTP%%/$self->_http/ge;
	$text =~ s/%%LOAD_MODULE%%/$self->_load_module/ge;
	$text =~ s/%%WORKERS%%/$self->{workers}/g;
	$text =~ s/%%TESTDIR%%/$self->{dir}/g;
	$text =~ s/%%PORT_(\d+)%%/$self->port($1)/ge;

	return $text;
}

# Starts nginx; returns when all workers are initialised.

sub run {
	my ($self) = @_;

	# a daemon: otherwise it would ignore USR2

	$self->{running} = 1;

	my $pid = $self->spawn([ $self->_command('nginx.conf') ],
		"$self->{dir}/stderr", leaks => 1);
	waitpid($pid, 0);

	my $fallen = qr/worker process \d+ exited (?:with code [1-9]|on signal)/;

	$? == 0 && $self->wait_for(sub {
		return $self->workers == $self->{workers}
			|| grep { $_ =~ $fallen } $self->log_lines;
	}, 20) && $self->workers == $self->{workers}
		or die join "\n", 'nginx did not start:',
			$self->read_file('stderr'),
			grep({ defined } ($self->log_lines)[0 .. 20]), '';

	return $self;
}

# Runs "nginx -t" with a configuration, by default the one of write_conf();
# returns its exit status and what it printed.

sub nginx_t {
	my ($self, $conf) = @_;

	my $name = 'nginx.conf';

	if (defined $conf) {
		$name = 'test.conf';
		$self->write_file($name, $self->expand($conf));
	}

	my $pid = $self->spawn([ $self->_command($name, 'test.log'), '-t' ],
		"$self->{dir}/output", truncate => 1);
	waitpid($pid, 0);
	my $rc = $?;

	return ($rc & 127 ? 128 + ($rc & 127) : $rc >> 8,
		$self->read_file('output'));
}

# Reloads the configuration; returns when the new workers are initialised and
# the old ones know that they are to go.  If the number of workers changed, the
# new one is to be given.

sub reload {
	my ($self, %o) = @_;

	$self->{workers} = $o{workers} if $o{workers};

	my %old = map { $_ => 1 } $self->workers, $self->leaving;

	$self->signal('HUP');

	$self->wait_for(sub {
		my @now = $self->workers;
		return @now == $self->{workers} && !grep { $old{$_} } @now;
	}, 20) or die "nginx did not reload:\n" . $self->read_file('error.log');

	return $self;
}

# Replaces the binary (USR2): returns the pid of the old master when the
# workers of the new one are initialised.  The old one goes on until it gets a
# signal.

sub upgrade {
	my ($self) = @_;

	my $old = $self->master;

	$self->signal('USR2');

	$self->wait_for(sub {
		my $now = $self->master;
		return $now && $now != $old
			&& $self->workers == $self->{workers};
	}, 20) or die "nginx did not upgrade:\n" . $self->read_file('error.log');

	return $old;
}

# Kills all of it, with SIGKILL, as if the machine had died.

sub kill_all {
	my ($self) = @_;

	$self->expected(qr/worker process \d+ exited on signal 9/,
		qr/shared memory zone .* was locked by/);

	# the master first: it would start others

	for my $p (sort { ($b->[2] =~ /master/) <=> ($a->[2] =~ /master/) }
		$self->processes)
	{
		kill 'KILL', $p->[0];
	}

	$self->wait_for(sub { return !$self->processes })
		or die "nginx was not killed\n";

	return $self;
}

# Sends a signal to the master, or to a process.

sub signal {
	my ($self, $sig, $pid) = @_;

	$pid //= $self->master;

	kill($sig, $pid) or die "cannot send $sig to $pid: $!\n";

	return $self;
}

# Kills the i-th worker, with SIGKILL if not told otherwise; returns its pid
# when another was started in its place.

sub kill_worker {
	my ($self, $i, $sig) = @_;

	my $pid = ($self->workers)[$i // 0] or die "no such worker\n";

	$self->expected(qr/worker process $pid exited on signal/);
	$self->expected(qr/shared memory zone .* was locked by $pid\b/);

	$self->signal($sig || 'KILL', $pid);

	$self->wait_for(sub {
		my @now = $self->workers;
		return @now == $self->{workers} && !grep { $_ == $pid } @now;
	}, 20) or die "worker $pid was not replaced\n";

	return $pid;
}

# Declares lines of the error log that would fail the test otherwise.

sub expected {
	my ($self, @re) = @_;
	push @{$self->{expected}}, @re;
	return $self;
}

# Fast stop (TERM), graceful stop (QUIT).  Both return when all processes have
# ended, and do what is checked at the end of a test.

sub stop { return $_[0]->_stop('TERM', 20) }
sub quit { return $_[0]->_stop('QUIT', $_[1] || 60) }

# pid of the master, or undef.

sub master {
	my ($self) = @_;
	my ($pid) = $self->read_file('nginx.pid') =~ /^(\d+)\s*\z/;
	return $pid;
}

# pids of the workers of the current master that are initialised and not
# shutting down, oldest first; in scalar context their number.

sub workers {
	my ($self) = @_;
	my $master = $self->master // -1;
	return $self->_pids(qr/^nginx: worker process$/, $master);
}

# pids of the workers that are shutting down.

sub leaving {
	my ($self) = @_;
	return $self->_pids(qr/^nginx: worker process is shutting down$/);
}

# All processes of this nginx: references to [pid, parent, title].

sub processes {
	my ($self) = @_;

	my @found;
	my $dir = $self->{dir};

	for my $proc (glob '/proc/[0-9]*') {
		my $cwd = readlink "$proc/cwd";
		next unless defined $cwd && $cwd =~ /^\Q$dir\E(?: \(deleted\))?$/;

		my ($pid) = $proc =~ /(\d+)$/;
		my $title = _slurp("$proc/cmdline") // '';
		my $stat = _slurp("$proc/stat") // next;
		my ($state, $parent) = $stat =~ /\) (\S) (\d+)/ or next;

		next if $state =~ /[ZX]/;

		$title =~ s/\0+$//;
		$title =~ tr/\0/ /;
		$title =~ s/\s+$//;

		push @found, [ $pid, $parent, $title ];
	}

	@found = sort { $a->[0] <=> $b->[0] } @found;

	return @found;
}

# Calls a function until it returns true, and returns that; or false when the
# timeout, 20 s if not given, is over.

sub wait_for {
	my ($self, $sub, $timeout) = @_;

	my $end = time() + ($timeout || 20) * $SLOW;

	while (1) {
		my $r = $sub->();
		return $r if $r;
		return $r if time() > $end;
		sleep 0.01;
	}
}

# Waits until a line of the error log matches, returns it.

sub wait_log {
	my ($self, $re, $timeout) = @_;

	return $self->wait_for(sub {
		my ($line) = grep { /$re/ } split /\n/,
			$self->read_file('error.log');
		return $line;
	}, $timeout);
}

# Lines of the error log of some levels.

sub log_lines {
	my ($self, @levels) = @_;

	my $re = join '|', @levels;

	return grep { !@levels || /\[(?:$re)\]/ } split /\n/,
		$self->read_file('error.log');
}

# One HTTP/1.1 request over a connection of its own.
#
#     $t->http('GET', '/status')->json;
#     $t->http('POST', '/control/publish', json => { room => 'r' })->status;
#
# Options: port (as for %%PORT_i%%), headers (hash or array), body, json, tls,
# timeout.  See Test::Sync::Response; undef if there was no full response.

sub http {
	my ($self, $method, $uri, %o) = @_;

	my $body = $o{body};
	my @headers = ref $o{headers} eq 'HASH' ? %{$o{headers}}
		: @{$o{headers} || []};

	if (exists $o{json}) {
		$body = JSON::PP->new->utf8->canonical->encode($o{json});
		unshift @headers, 'Content-Type', 'application/json';
	}

	unshift @headers, 'Host', 'localhost'
		unless grep { lc $_ eq 'host' } @headers;
	push @headers, 'Connection', 'close'
		unless grep { lc $_ eq 'connection' } @headers;
	push @headers, 'Content-Length', length $body if defined $body;

	my $request = "$method $uri HTTP/1.1\r\n";
	$request .= shift(@headers) . ': ' . shift(@headers) . "\r\n"
		while @headers;
	$request .= "\r\n" . ($body // '');

	my $peer = Test::Sync::Peer->new(port => $self->port($o{port}),
		tls => $o{tls});
	$peer->put($request, $o{timeout});

	return $peer->recv_response($method, $o{timeout});
}

# A WebSocket, an event stream, an app.

sub ws {
	my ($self, $uri, %o) = @_;
	require Test::Sync::WS;
	return Test::Sync::WS->connect(uri => $uri, %o,
		port => $self->port($o{port}));
}

# n of them at once.

sub ws_many {
	my ($self, $n, $uri, %o) = @_;
	require Test::Sync::WS;
	return Test::Sync::WS->connect_many($n, uri => $uri, %o,
		port => $self->port($o{port}));
}

sub sse {
	my ($self, $uri, %o) = @_;
	require Test::Sync::SSE;
	return Test::Sync::SSE->connect(uri => $uri, %o,
		port => $self->port($o{port}));
}

# An Engine.IO session by polling.

sub eio {
	my ($self, $uri, %o) = @_;
	require Test::Sync::EIO;
	return Test::Sync::EIO->open($self, $uri // '/socket.io/', %o);
}

# Listens on the port of %%PORT_i%% (port => i).

sub hook {
	my ($self, %o) = @_;

	require Test::Sync::Hook;

	my $hook = Test::Sync::Hook->start(%o, dir => $self->{dir},
		port => $self->port($o{port}));

	push @{$self->{helpers}}, $hook;

	return $hook;
}

# A redis-server at the port of %%PORT_i%% (port => i), started.

sub redis {
	my ($self, %o) = @_;

	require Test::Sync::Redis;

	my $redis = Test::Sync::Redis->new($self, %o);

	push @{$self->{helpers}}, $redis;

	return $redis->start;
}

# Between nginx and what listens on a port (to => n), at that of %%PORT_i%% (port
# => i), started; it can lose replies of Redis.

sub proxy {
	my ($self, %o) = @_;

	require Test::Sync::Proxy;

	my $proxy = Test::Sync::Proxy->start(to => $o{to},
		port => $self->port($o{port}));

	push @{$self->{helpers}}, $proxy;

	return $proxy;
}

# Writes name.crt and name.key, a self-signed certificate for localhost.

sub write_certificate {
	my ($self, $name) = @_;

	my $pid = $self->spawn([ qw( openssl req -x509 -newkey rsa:2048 -nodes
		-days 2 -subj /CN=localhost -keyout ), "$self->{dir}/$name.key",
		'-out', "$self->{dir}/$name.crt" ], "$self->{dir}/openssl.log");
	waitpid($pid, 0);

	die "openssl failed:\n" . $self->read_file('openssl.log') if $?;

	return $self;
}

# Starts a command with its output in a file; returns its pid.

sub spawn {
	my ($self, $command, $output, %o) = @_;

	my $pid = fork // die "fork: $!\n";
	return $pid if $pid;

	chdir $self->{dir};

	open STDIN, '<', '/dev/null';
	open STDOUT, $o{truncate} ? '>' : '>>', $output or _exit(126);
	open STDERR, '>&', \*STDOUT;

	$SIG{$_} = 'DEFAULT' for qw/ PIPE INT TERM HUP /;
	alarm(0);

	# nginx and each module have tables of the same names; nginx -t, among
	# others, leaves all it has to exit()

	my $log = "log_path=$self->{dir}/sanitizer";

	$ENV{ASAN_OPTIONS} = join ':', $ENV{ASAN_OPTIONS} // (), $log,
		'detect_odr_violation=0', 'detect_leaks=' . ($o{leaks} // 0);
	$ENV{UBSAN_OPTIONS} = join ':', $ENV{UBSAN_OPTIONS} // (), $log,
		'print_stacktrace=1';

	$ENV{LSAN_OPTIONS} //= "suppressions=$TOP/t/asan.supp"
		. ':print_suppressions=0';

	exec { $command->[0] } @$command or _exit(127);
}

sub _command {
	my ($self, $conf, $log) = @_;
	return ($self->{nginx}, '-p', "$self->{dir}/", '-c', $conf,
		'-e', "$self->{dir}/" . ($log || 'error.log'));
}

sub _load_module {
	my ($self) = @_;
	return $self->{module} eq '' ? ''
		: "load_module $self->{dir}/sync.so;";
}

sub _globals {
	my ($self) = @_;

	my @lines = (
		"pid $self->{dir}/nginx.pid;",
		"error_log $self->{dir}/error.log "
			. ($ENV{SYNC_LOG} || 'info') . ';',
		"worker_processes $self->{workers};",
		$self->_load_module,
	);

	push @lines, 'user root;' if $> == 0;

	# for a binary that is started by the old one

	push @lines, map { "env $_;" }
		qw/ ASAN_OPTIONS UBSAN_OPTIONS LSAN_OPTIONS /;

	return join "\n", grep { $_ ne '' } @lines;
}

sub _http {
	my ($self) = @_;

	return join "\n    ", 'access_log off;',
		map { "${_}_temp_path $self->{dir}/${_}_temp;" }
		qw/ client_body proxy fastcgi uwsgi scgi /;
}

sub _free_port {
	my ($self) = @_;

	my $dir = File::Spec->tmpdir . "/sync-test-ports-$>";
	mkdir $dir, 0700;

	my $n = $PORT_LAST - $PORT_FIRST + 1;
	my $at = int rand $n;

	for my $i (0 .. $n - 1) {
		my $port = $PORT_FIRST + ($at + $i) % $n;

		open my $lock, '>>', "$dir/$port" or die "$dir/$port: $!\n";
		next unless flock $lock, LOCK_EX | LOCK_NB;

		IO::Socket::INET->new(Listen => 1, ReuseAddr => 1,
			LocalAddr => "127.0.0.1:$port") or next;

		push @{$self->{locks}}, $lock;
		return $port;
	}

	die "no free port\n";
}

sub _pids {
	my ($self, $title, $parent) = @_;

	my @pids = map { $_->[0] }
		grep { $_->[2] =~ $title && (!$parent || $_->[1] == $parent) }
		$self->processes;

	return @pids;
}

sub _stop {
	my ($self, $sig, $timeout) = @_;

	return $self unless $self->{running};

	$self->{running} = 0;

	# two masters after an upgrade

	for my $p (grep { $_->[2] =~ /^nginx: master process/ }
		$self->processes)
	{
		kill $sig, $p->[0];
	}

	my $gone = $self->wait_for(sub { return !$self->processes }, $timeout);

	if (!$gone) {
		for my $p ($self->processes) {
			push @{$self->{problems}},
				"left after $sig: $p->[0] $p->[2]";
			kill 'KILL', $p->[0];
		}

		$self->wait_for(sub { return !$self->processes });
	}

	$self->_inspect;

	return $self;
}

# Looks for what must not be there.

sub _inspect {
	my ($self) = @_;

	my @bad = -d $self->{dir} ? () : "$self->{dir} was removed";

	for my $file (map { s!.*/!!r } sort glob "$self->{dir}/sanitizer.*") {
		push @bad, split /\n/, $self->read_file($file);
	}

	for my $file ('error.log', 'stderr', 'output') {
		my $text = $self->read_file($file);
		push @bad, $text =~ /^(.*(?:runtime error:|Sanitizer:).*|\s+\#\d+ .*)/mg;
	}

	my $stopping;

	for my $line ($self->log_lines) {

		# nginx kills workers that take longer than a second or so to
		# end, which they do while a sanitizer looks for leaks

		$stopping ||= $line =~ /signal 15 \(SIGTERM\) received/;
		next if $SLOW > 1 && $stopping
			&& $line =~ /worker process \d+ exited on signal 9/;

		next unless $line =~ /^\S+ \S+ \[(?:crit|alert|emerg)\]/
			|| $line =~ /process \d+ exited with code [1-9]/;
		next if grep { $line =~ $_ } @{$self->{expected}};
		push @bad, $line;
	}

	my %seen;
	push @{$self->{problems}}, grep { !/runtime error:/ || !$seen{$_}++ } @bad;

	# what follows a new run() is looked at alone

	if (@bad || $ENV{SYNC_LEAVE}) {
		rename "$self->{dir}/error.log",
			"$self->{dir}/error.log." . ++$self->{runs};

	} else {
		unlink "$self->{dir}/error.log";
	}

	unlink glob "$self->{dir}/sanitizer.*" unless $ENV{SYNC_LEAVE};
	unlink map { "$self->{dir}/$_" } qw/ stderr output /;
}

sub _end {
	my ($self) = @_;

	$self->stop;
	$self->_inspect;
	$_->stop for @{$self->{helpers}};

	for my $p ($self->processes) {
		push @{$self->{problems}}, "left: $p->[0] $p->[2]";
		kill 'KILL', $p->[0];
	}

	return @{$self->{problems}};
}

sub _slurp {
	open my $f, '<', $_[0] or return undef;
	local $/;
	return scalar <$f>;
}

sub _remove {
	my ($self) = @_;

	return if $ENV{SYNC_LEAVE};

	require File::Path;
	File::Path::remove_tree($self->{dir});
}

END {
	if ($$ == $owner) {
		my $status = $?;
		my @problems;

		alarm(0);

		for my $t (@instances) {
			push @problems, eval { $t->_end }, $@ || ();
		}

		if ($planned) {
			Test::More::ok(!@problems, 'nginx ended well');
			Test::More::diag("  $_") for splice @problems, 0, 60;
		}

		$_->_remove for @instances;

		$? = $status;
	}
}

1;
