#!/usr/bin/perl

# Copyright (C) sync for nginx

# The layout of the sources, which file includes which, what floor 0 links to,
# and that config, floors.txt and the folders name the same files.

use warnings;
use strict;

use File::Basename qw/ basename /;
use File::Temp qw/ tempdir /;
use FindBin;
use Test::More;

chdir "$FindBin::Bin/.." or die "$FindBin::Bin/..: $!\n";

my @sources = sort glob 'src/*/*.[ch]';
my @wire = grep { m!^src/wire/.*\.c$! } @sources;
my @headers = grep { m!^src/wire/.*\.h$! } @sources;
my @tests = sort(glob('t/unit/*.[ch]'), glob('t/fuzz/*.[ch]'));

plan tests => @sources + @tests + @wire + @headers + 6;

my $dir = tempdir(CLEANUP => 1);

for my $file (@sources) {
	my $out = output('t/style-check.pl', '-f', 't/floors.txt', $file);
	is($out, '', "$file has the layout");
}

for my $file (@tests) {
	my $out = output('t/style-check.pl', $file);
	is($out, '', "$file has the layout");
}

# a file of floor 0 is bytes and values, nothing else

for my $file (@wire) {
	my $object = "$dir/" . basename($file, '.c') . '.o';
	my $out = output(qw/ cc -O2 -fno-stack-protector
		-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=0 -c -o /, $object,
		"-Isrc/wire", $file);
	my @foreign = grep { !/^(?:mem|str|sync_|deflate|inflate)/ }
		map { /\sU (\w+)/ } split /\n/, output('nm', '-u', $object);

	is("$out@foreign", '', "$file imports nothing foreign");
}

for my $file (@headers) {
	my $out = output(qw/ cc -x c -Wall -Wextra -Werror -fsyntax-only
		-Wno-unused -I /, 'src/wire', $file);
	is($out, '', "$file stands alone");
}

my $config = slurp('config');
my @named = sort map { "src/$_" }
	$config =~ m!\$sync_src/([a-z]+/\w+\.[ch])\b!g;

is_deeply(\@named, \@sources, 'config names every file');

my @floors = map { /^(\w+)\s+\d/ } split /\n/, slurp('t/floors.txt');
my %stems = map { basename($_) =~ s/\.[ch]$//r => 1 } @sources;

is_deeply([ sort @floors ], [ sort keys %stems ],
	'floors.txt names every file');

my %number = (wire => 0, store => 1, io => 2, sync => 3, module => 4);
my %floor = slurp('t/floors.txt') =~ /^(\w+)\s+(\d)/mg;
my @misplaced = grep {
	my ($folder) = m!^src/(\w+)/!;
	my $stem = basename($_) =~ s/\.[ch]$//r;
	($floor{$stem} // -1) != ($number{$folder} // -2);
} @sources;

is("@misplaced", '', 'files are in the folders of their floors');

my %allowed = map { $_ => 1 }
	qw/ config src t examples docs CHANGES README.md LICENSE /;

is(join(' ', grep { !$allowed{$_} } glob '*'), '', 'nothing else at the top');

my @unsigned = grep {
	slurp($_) !~ m!^\n/\*\n \* Copyright \(C\) sync for nginx\n \*/\n!
} @sources, @tests;

is("@unsigned", '', 'every file has the copyright');

my @todo = grep { slurp($_) =~ /\b(?:TODO|FIXME|XXX)\b(?!.*#\d)/ }
	@sources, @tests;

is("@todo", '', 'nothing is left to be done without an issue');

sub output {
	my (@command) = @_;

	my $pid = open my $out, '-|';
	die "fork: $!\n" unless defined $pid;

	if (!$pid) {
		open STDERR, '>&', \*STDOUT;
		exec @command or die "$command[0]: $!\n";
	}

	my @lines = <$out>;
	close $out;

	return join '', @lines;
}

sub slurp {
	my ($name) = @_;
	open my $f, '<', $name or die "$name: $!\n";
	local $/;
	return scalar <$f>;
}
