#!/usr/bin/perl

# Copyright (C) sync for nginx

# The hooks of examples/hooks in Python, PHP and Go: the same answers, the
# same messages.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

my $t = Test::Sync->new(timeout => 300);
my $dir = $t->testdir;
my $hooks = "$Test::Sync::TOP/examples/hooks";
my @ports = map { $t->port($_) } 0 .. 3;

my %command = (
	python => [ 'python3', "$hooks/hooks.py", $ports[1] ],
	php => [ 'php', '-S', "127.0.0.1:$ports[2]", "$hooks/hooks.php" ],
	go => [ "$dir/hooks", $ports[3] ],
);

$t->plan(7 * keys %command);

$t->write_conf(<<'EOC');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_hook server /_hook/server;
        sync_hook api    /_hook/api;
        sync_hook client /_hook/client;

        location /python { sync websocket; }

        location /_hook/ { internal; proxy_pass http://127.0.0.1:%%PORT_1%%; }

        location /php {
            sync websocket;
            sync_hook server /_php/server;
            sync_hook api    /_php/api;
            sync_hook client /_php/client;
        }

        location /_php/ { internal; proxy_pass http://127.0.0.1:%%PORT_2%%; }

        location /go {
            sync websocket;
            sync_hook server /_go/server;
            sync_hook api    /_go/api;
            sync_hook client /_go/client;
        }

        location /_go/ { internal; proxy_pass http://127.0.0.1:%%PORT_3%%; }
    }
}
EOC

@ENV{qw/ HOME GOCACHE GOFLAGS GO111MODULE /}
	= ($dir, "$dir/gocache", '-p=2', 'off');

my $build = $t->spawn([ 'go', 'build', '-o', "$dir/hooks", "$hooks/hooks.go" ],
	"$dir/build.out");
waitpid $build, 0;
diag($t->read_file('build.out')) if $?;

my @pids = map { $t->spawn($command{$_}, "$dir/$_.out") } sort keys %command;

$t->wait_for(sub { !grep { !IO::Socket::INET->new("127.0.0.1:$_") }
	@ports[1 .. 3] }, 20) or diag(map { $t->read_file("$_.out") }
	sort keys %command);

$t->run;

for my $language (sort keys %command) {
	my ($ws, $peer) = map { $t->ws("/$language") } 1 .. 2;
	$_->recv_event('connected') for $ws, $peer;

	for ($ws, $peer) {
		$_->send_json([ 'joinRoom', { group => $language,
			responseIndex => 1 } ]);
		$_->recv_event('joinRoom-1');
	}

	$ws->send_json([ 'apiRequest', { name => 'board/echo/v1',
		data => { a => "\x{e9}" }, responseIndex => 2 } ]);
	is_deeply($ws->recv_event('apiResponse-2', 10), [ 'apiResponse-2', {
		status => 'success', echo => { a => "\x{e9}" },
		httpStatus => 200 } ], "$language: api");

	$ws->send_json([ 'sync', { name => 'board/moveCard/v1', cb => 'x',
		receiver => $language, data => { cardId => 'c1' },
		responseIndex => 3 } ]);

	$ws->recv_event('sync-progress-3', 10);
	is_deeply($ws->recv_event('sync-progress-3', 10),
		[ 'sync-progress-3', { progress => 0.5 } ], "$language: chunk");
	my $r = ($ws->recv_event('sync-3', 10) || [])->[1];
	is($r->{result}{cardId}, 'c1', "$language: sync");

	my ($mine, $other) = map { ($_->recv_event('sync', 10) || [])->[1] }
		$ws, $peer;
	is_deeply($other->{serverOutput}, $r->{result}, "$language: serverOutput");
	is_deeply([ map { $_->{clientOutput} } $mine, $other ],
		[ map { { status => 'success', mine => $_ } }
		JSON::PP::true, JSON::PP::false ], "$language: client");

	my ($file) = grep { /\Q$hooks\E/ } @{$command{$language}},
		"$hooks/hooks.go";
	my $lines = () = Test::Sync::_slurp($file) =~ /\n/g;
	cmp_ok($lines, '<', 40, "$language: $lines lines");

	# all recipients of the message were told

	is($ws->recv_text(0.1), undef, "$language: once");

	$_->disconnect for $ws, $peer;
}

for my $pid (@pids) {
	kill 'TERM', $pid;
	waitpid $pid, 0;
}
