#!/usr/bin/perl

# Copyright (C) sync for nginx

# The browser module by itself: its unit tests under node's own runner, and
# its declarations under the TypeScript compiler (npm ci in t/).

###############################################################################

use warnings;
use strict;

use Cwd qw/ abs_path /;
use File::Basename qw/ dirname /;
use Test::More tests => 2;

###############################################################################

my $dir = dirname(abs_path(__FILE__));

is(run('node', '--test', glob("$dir/client/*.test.mjs")), 0, 'unit tests');
is(run('node', "$dir/node_modules/typescript/bin/tsc", '-p', "$dir/client"),
	0, 'declarations');

###############################################################################

sub run {
	my @command = @_;

	my $pid = open(my $out, '-|') // die "Can't fork: $!\n";

	if ($pid == 0) {
		open(STDERR, '>&', \*STDOUT) or die "Can't dup: $!\n";
		exec @command or die "Can't run $command[0]: $!\n";
	}

	my @lines = <$out>;
	close $out;

	my $rc = $?;

	diag(@lines) if $rc != 0;

	return $rc;
}

###############################################################################
