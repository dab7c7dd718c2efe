#!/usr/bin/perl

# Copyright (C) sync for nginx

# The demo as a newcomer starts it: examples/run prints one URL, two pages in
# Chromium share the board behind it, Ctrl-C leaves nothing behind.

###############################################################################

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use Test::More;
use Test::Sync;

###############################################################################

my @steps = (
	'a page alone is told so',
	'both pages show the same board',
	'two are here',
	'a card moved in A is moved in B',
	'a card moved by a finger in B is moved in A',
	'B sees where A points',
	'B sees which card A holds, and that it was put back',
	'a card added in B is added in A',
	'a card edited in A is edited in B',
	'after a reload of nginx both are connected again',
	'and go on in both directions',
	'one is here when B is closed',
	'no page complained',
);

my $t = Test::Sync->new->plan(@steps + 4);
my $dir = $t->testdir;
my $port = $t->port;

# the demo's workers may run as another user

chmod 0777, $dir;
$ENV{TMPDIR} = $dir;

my $run = $t->spawn(["$Test::Sync::TOP/examples/run", $port], "$dir/run.out");

$t->wait_for(sub { $t->read_file('run.out') =~ /\n/ || !alive($run) }, 120);

is($t->read_file('run.out'), "http://127.0.0.1:$port/\n", 'one line, the URL');

my $prefix = (map { s!.*/!!r } glob "$dir/sync-board-*")[0] // '';
my ($master) = $t->read_file("$prefix/nginx.pid") =~ /^(\d+)$/;

my $pages = $t->spawn(['node', "$FindBin::Bin/browser/board.mjs",
	"http://127.0.0.1:$port/", $master // 0], "$dir/pages.out");

waitpid $pages, 0;

my $said = $t->read_file('pages.out');

ok($said =~ /^ok \Q$_\E$/m, $_) for @steps;
diag($said . $t->read_file("$prefix/app.log")) if $said =~ /^not ok/m;

# looked at when the test ends

$t->write_file('error.log', $t->read_file("$prefix/error.log"));

kill 'INT', $run;
waitpid $run, 0;

is($? >> 8, 130, 'Ctrl-C ends it');
is(join("\n", map { $_->[2] } $t->processes), '', 'with all it started');
is(join("\n", glob "$dir/sync-board-*"), '', 'and nothing is left');

###############################################################################

sub alive {
	my ($pid) = @_;
	return waitpid($pid, 1) == 0;
}

###############################################################################
