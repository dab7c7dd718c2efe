package Test::Sync::Bench;

# Copyright (C) sync for nginx

# What the programs of bench/ share: the load tool, the processor's time, and the
# table they print.
#
# Each is started with the number of rounds and prints rows of a figure of a
# yardstick, our own, and their ratio; its exit code is bench_end()'s.

use warnings;
use strict;

use Exporter qw/ import /;
use JSON::PP;
use Time::HiRes qw/ clock_gettime /;

use Test::Sync;

our @EXPORT = qw/ bench_build bench_cpu bench_cpu_of bench_end bench_fanload
	bench_head bench_low bench_plain bench_row bench_rounds bench_single
	bench_subscribe bench_url /;

my $build = "$Test::Sync::TOP/t/build/bench";
my $missed = 0;

$| = 1;

sub bench_rounds {
	return @ARGV && $ARGV[0] =~ /^\d+$/ ? $ARGV[0] : 3;
}

# Keeps this process, and what it starts from now on, to one processor.  On two
# a worker sleeps between some calls and not between others, as it happens, and
# each sleep costs a switch, which may be more than what is measured.

sub bench_single {
	my ($cpu) = `taskset -pc $$` =~ /(\d+)$/
		or die "taskset does not tell of processors\n";

	system("taskset -pc $cpu $$ > /dev/null") == 0 or die "taskset failed\n";
}

# A file of the folder that the tools are built in.

sub bench_build {
	my ($name) = @_;
	return "$build/$name";
}

sub bench_fanload {
	my (@options) = @_;

	open my $out, '-|', "$build/fanload", @options
		or die "$build/fanload: $!\n";
	my $line = <$out>;
	close $out;

	return decode_json($line // die "fanload @options failed\n");
}

# A path of the first port, and what has a client of the load tool join a room
# by WebSocket at /ws.

sub bench_url {
	my ($t, $scheme, $path) = @_;
	return "$scheme://127.0.0.1:" . $t->port(0) . $path;
}

sub bench_subscribe {
	my ($t) = @_;

	return ('--sub', bench_url($t, 'ws', '/ws'), '--wait', '["connected"',
		'--send', '["joinRoom",{"group":"r%r","responseIndex":1}]',
		'--wait', '["joinRoom-1"');
}

# The CPU time of a process, seconds.

sub bench_cpu {
	my ($pid) = @_;
	return clock_gettime(-8 * ($pid + 1) + 2);
}

# What each of the n things that sub does costs a process, ns of CPU.

sub bench_cpu_of {
	my ($pid, $n, $sub) = @_;

	my $before = bench_cpu($pid);
	$sub->($n);

	return (bench_cpu($pid) - $before) * 1e9 / $n;
}

# The lower quartile: what the machine does otherwise only adds.

sub bench_low {
	my @sorted = sort { $a <=> $b } @_;
	return $sorted[$#sorted / 4];
}

# The head of a table: what is measured, and against what.

sub bench_head {
	my ($name, $yardstick) = @_;

	printf "\n%-34s %9s %9s %7s\n", $name, $yardstick // '', 'sync',
		defined $yardstick ? 'ratio' : '';
}

# A bound of undef: the figure is only told.

sub bench_row {
	my ($name, $yardstick, $sync, $bound, $remark) = @_;

	my $bad = defined $bound && $sync / $yardstick > $bound;

	$missed ||= $bad;

	printf "%-34s %9.0f %9.0f %6.2fx  %s\n", $name, $yardstick, $sync,
		$sync / $yardstick, join '; ',
		defined $bound ? verdict($bad, "${bound}x") : (),
		$remark || ();
}

# A figure that has a bound but no yardstick.

sub bench_plain {
	my ($name, $sync, $bound, $remark) = @_;

	my $bad = defined $bound && $sync > $bound;

	$missed ||= $bad;

	printf "%-34s %9s %9.0f %7s  %s\n", $name, '', $sync, '',
		join '; ', defined $bound ? verdict($bad, $bound) : (),
		$remark || ();
}

sub verdict {
	my ($bad, $bound) = @_;
	return $bad ? "over $bound" : "within $bound";
}

# The exit code: 1 if a bound was not met.

sub bench_end {
	return $missed ? 1 : 0;
}

1;
