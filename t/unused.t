#!/usr/bin/perl

# Copyright (C) sync for nginx

# The module when it is loaded and not used: nginx has the same memory zones,
# descriptors, headers and log lines as without it; also if it was used before
# a reload.  Only processes that serve requests use it.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

###############################################################################

my $conf = <<'EOC';
GLOBALS

events {
}

http {
    %%HTTP%%

    SYNC

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location / { return 200 "plain\n"; }
    }
}
EOC

my $used = <<'EOC';
    sync_zone zone=sync:4m;
    sync_hook server /hook;
    proxy_cache_path %%TESTDIR%%/cache keys_zone=cache:1m;
EOC

my $t = Test::Sync->new->plan(16);

# without the module, then with it

my %seen;

for my $how ('without', 'with') {
	$t->write_conf($conf =~ s/GLOBALS/globals($how)/er =~ s/SYNC//r);
	$t->run;

	my $r = $t->http('GET', '/');

	$seen{$how} = {
		answer => [ $r->status, $r->body,
			map { $r->header($_) } qw/ server content-type vary / ],
		zones => zones($t->master),
		master => files($t->master),
		worker => quiet(($t->workers)[0]),
		processes => scalar(my @all = $t->processes),
		events => connected(($t->workers)[0]),
		log => [ map { s/^\S+ \S+ (\[\w+\]) [\d#]+: /$1 /r
			=~ s/\d{3,}/N/gr } $t->log_lines ],
	};

	$t->stop;
}

my ($with, $without) = @seen{qw/ with without /};

is_deeply($with->{answer}, $without->{answer}, 'answer');
is_deeply($with->{zones}, $without->{zones}, 'shared memory');
is_deeply($with->{master}, $without->{master}, 'descriptors of the master');
is_deeply($with->{worker}, $without->{worker}, 'descriptors of a worker');
is($with->{processes}, $without->{processes}, 'processes');
is_deeply($with->{log}, $without->{log}, 'log lines');
is(grep({ /sync/i } @{$with->{log}}), 0, 'not a word');

# used: what the above would see

$t->write_conf($conf =~ s/GLOBALS/globals('with')/er =~ s/SYNC/$used/r)->run;

# its title comes when it has set up its events, later than the workers', maybe

my $helper = $t->wait_for(sub {
	my ($p) = grep { $_->[2] =~ /cache manager/ } $t->processes;
	return $p;
}, 20);

cmp_ok(grep({ /event/ } @{files($t->master)}), '>=', 32,
	'the master has eventfds');
isnt("@{zones($t->master)}", "@{$without->{zones}}", 'there is a zone');
is(connected(($t->workers)[0]), $without->{events} + 1,
	'a worker listens to one of them');
is(connected($helper->[0]), $without->{events}, 'the cache manager does not');

# used no more

$t->write_conf($conf =~ s/GLOBALS/globals('with')/er =~ s/SYNC//r)->reload;

ok($t->wait_for(sub { return !$t->leaving }), 'reloaded');
is_deeply(zones($t->master), $without->{zones}, 'the zone is gone');
is(connected(($t->workers)[0]), $without->{events}, 'and nobody listens');
is($t->http('GET', '/')->body, "plain\n", 'serving');

# nginx -t leaves nothing, as it makes nothing

my ($rc) = $t->nginx_t($conf =~ s/GLOBALS/globals('with')/er
	=~ s/SYNC/sync_zone zone=sync:4m;/r);
is($rc, 0, 'tested');

###############################################################################

sub globals {
	my ($how) = @_;

	my $globals = $t->expand('%%GLOBALS%%');
	my $load = $t->expand('%%LOAD_MODULE%%');

	return $how eq 'with' ? $globals : $globals =~ s/\Q$load\E//r;
}

# Sizes of the shared anonymous mappings of a process.

sub zones {
	my ($pid) = @_;

	open my $f, '<', "/proc/$pid/maps" or die "/proc/$pid/maps: $!\n";

	no warnings 'portable';

	return [ sort map { /^(\w+)-(\w+) ..\Ss.* (?:\/dev\/zero|$)/
		? hex($2) - hex($1) : () } <$f> ];
}

# The same for a worker, which may be about to close the connection of a request
# that was answered.

sub quiet {
	my ($pid) = @_;

	my $least;

	for (1 .. 20) {
		my $files = files($pid);

		$least = $files if !$least || @$files < @$least;
		select undef, undef, undef, 0.01;
	}

	return $least;
}

# What the descriptors of a process are.

sub files {
	my ($pid) = @_;

	return [ sort map { (readlink($_) // '') =~ s/\d+//gr }
		glob "/proc/$pid/fd/*" ];
}

# On how many eventfds the process waits; nginx has some of its own.

sub connected {
	my ($pid) = @_;

	my (%event, $n);

	for my $fd (glob "/proc/$pid/fd/*") {
		$event{$1} = 1 if (readlink($fd) // '') =~ /eventfd/
			&& $fd =~ /(\d+)$/;
	}

	for my $info (glob "/proc/$pid/fdinfo/*") {
		open my $f, '<', $info or next;
		/^tfd:\s+(\d+) events:\s+(\w+)/ && $event{$1} && $n++ for <$f>;
	}

	return $n // 0;
}

###############################################################################
