#!/usr/bin/perl

# Copyright (C) sync for nginx

# docs/start.md as a newcomer follows it: the files that it shows, put together
# as it says, with its own app and two pages in Chromium.

###############################################################################

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";
use IPC::Open2;
use Test::More;
use Test::Sync;

###############################################################################

my @steps = (
	'two pages are connected',
	'what one says both show',
	'what the app refuses the sender is told',
	'who comes later sees it, too',
	'without the app pages stay connected',
	'with a new app they go on',
	'so they do after a reload of nginx',
	'anybody may speak by control',
	'an answer comes word by word',
	'no page complained',
);

my $t = Test::Sync->new->plan(@steps + 1);

my %parts = parts("$FindBin::Bin/../docs/start.md");

is(join(' ', map { "$_ " . @{$parts{$_}} } sort keys %parts),
	'app.mjs 1 command 1 handler 1 index.html 1 nginx.conf 1 page 2',
	'all that there is to copy');

my $conf = $parts{'nginx.conf'}[0];

$conf =~ s/^(?:load_module|pid) .*\n//mg;
$conf =~ s/^http \{/http {\n%%HTTP%%/m;
$conf =~ s/127\.0\.0\.1:8080/127.0.0.1:%%PORT_0%%/;
$conf =~ s/127\.0\.0\.1:3000/127.0.0.1:%%PORT_1%%/;

# what is said to be changed later is changed from the beginning

my $page = $parts{'index.html'}[0];
my $script = join "\n", @{$parts{page}};

$page =~ s!^(?=</script>)!$script!m;
$parts{'app.mjs'}[0] =~ s!^(?=createServer)!$parts{handler}[0]\n!m;

$t->write_conf("%%GLOBALS%%\n$conf");
$t->write_file('app.mjs', $parts{'app.mjs'}[0]);
$t->write_file('index.html', $page);

$ENV{PORT} = $t->port(1);

my $app = start_app();

$t->run;

my $url = 'http://127.0.0.1:' . $t->port . '/';
my $pid = open2(my $out, my $in, 'node',
	"$FindBin::Bin/browser/start.mjs", $url);

$in->autoflush(1);

my $said = '';

while (my $line = <$out>) {
	$said .= $line;

	my ($what) = $line =~ /^do (\w+)$/ or next;

	if ($what eq 'stop') {
		stop_app();

	} elsif ($what eq 'start') {
		$app = start_app();

	} elsif ($what eq 'reload') {
		$t->reload;

	} elsif ($what eq 'notice') {
		my $command = $parts{command}[0];

		$command =~ s!http://127\.0\.0\.1:8080/!$url!;
		$command =~ s/^curl /curl -s /;

		diag("no success: $command")
			if `$command` !~ /^\{"status":"success"/;
	}

	print $in "done\n";
}

waitpid $pid, 0;

ok($said =~ /^ok \Q$_\E$/m, $_) for @steps;
diag($said . $t->read_file('app.log')) if $said =~ /^not ok/m;

stop_app();

###############################################################################

# The blocks after a comment "file NAME", by name.

sub parts {
	my ($file) = @_;

	open my $f, '<', $file or die "$file: $!\n";
	local $/;

	my $text = <$f>;
	my %parts;

	push @{$parts{$1}}, $2
		while $text =~ /^<!-- file (\S+) -->\n```\w+\n(.*?)^```$/msg;

	return %parts;
}

sub start_app {
	my $pid = $t->spawn([ 'node', 'app.mjs' ], $t->testdir . '/app.log');

	$t->wait_for(sub {
		return IO::Socket::INET->new(PeerAddr => '127.0.0.1:' . $t->port(1));
	}, 30) or die 'no app: ' . $t->read_file('app.log');

	return $pid;
}

sub stop_app {
	kill 'TERM', $app;
	waitpid $app, 0;
}

###############################################################################
