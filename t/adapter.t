#!/usr/bin/perl

# Copyright (C) sync for nginx

# examples/node-adapter and the app of three pages that is built with it:
# type-checked by tsc, what the adapter writes, its answers to hooks, and the
# pages in Chromium.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Find;
use File::Path qw/ make_path /;
use Test::More;
use Test::Sync;

my @steps = (
	'counter: what A counts B sees',
	'counter: what the client handler made of it',
	'counter: what the schema does not allow',
	'board: a card moves on both pages',
	'board: who has not logged in may not clear it',
	'chat: mine for A, theirs for B',
	'chat: both saw it being spoken',
	'chat: who comes later reads it',
	'no page complained',
);

my $t = Test::Sync->new(timeout => 300)->plan(@steps + 22);
my $dir = $t->testdir;
my $top = $Test::Sync::TOP;

# a tree of its own, as what is built lies beside the sources

copy_tree($_) for 'examples/app', 'examples/node-adapter', 'src/client';
symlink "$FindBin::Bin/node_modules", "$dir/node_modules";
chdir "$dir/examples/app";

my $generated = $t->read_file('examples/app/src/apiTypes.generated.ts');
my $manifest = $t->read_file('examples/app/routes.json');

is(run('tsc.out', 'node', "$dir/node_modules/typescript/bin/tsc"), 0,
	'type-checked');
diag($t->read_file('tsc.out')) if -s "$dir/tsc.out";

unlink 'routes.json', 'src/apiTypes.generated.ts';
my ($command) = $t->read_file('examples/app/package.json')
	=~ /"build": "tsc && node (.*?)"/;
is(run('write.out', 'node', split / /, $command), 0, 'written');
is($t->read_file('examples/app/src/apiTypes.generated.ts'), $generated,
	'apiTypes.generated.ts is what the handlers say');
is($t->read_file('examples/app/routes.json'), $manifest,
	'routes.json is, too');

# what the types are for: each of these lines is wrong

my @wrong = (
	'syncRequest({ name: "counter/updateCounter", data: { amount: "1" } });',
	'syncRequest({ name: "board/moveCard", data: { cardId: "c1" } });',
	'upsertSyncEventCallback({ name: "counter/updateCounter", version: "v1", '
	. 'callback: ({ serverOutput }) => serverOutput.newValue.length });',
	'upsertSyncEventCallback({ name: "chat/sendMessage", version: "v1", '
	. 'callback: ({ clientOutput }) => clientOutput.yours });',
	'apiRequest("board/list/v2", {});',
	'export const typed: InputOf<typeof H> = { n: "1" };',
);

$t->write_file('examples/app/src/wrong.ts', join "\n",
	'import "./apiTypes.generated.js";',
	'import { apiRequest } from "./api.js";',
	'import { syncRequest, upsertSyncEventCallback } from "./sync.js";',
	'import type { InputOf } from "../../node-adapter/types.js";',
	'import type * as H from "./typed.js";',
	@wrong);
$t->write_file('examples/app/src/typed.ts',
	'import { Type } from "@sinclair/typebox"; '
	. "export const schema = Type.Object({ n: Type.Integer() });\n");
$t->write_file('examples/app/wrong.json',
	'{"extends":"./tsconfig.json","compilerOptions":{"noEmit":true},'
	. '"include":["src/wrong.ts"]}');
run('wrong.out', 'node', "$dir/node_modules/typescript/bin/tsc", '-p',
	'wrong.json');
is_deeply([ sort { $a <=> $b } $t->read_file('wrong.out') =~ /^src\/wrong\.ts\((\d+),/mg ],
	[ 6 .. 5 + @wrong ], 'what is wrong is found');

# a schema of TypeBox; what nginx does not know of is left to the app

make_path("$dir/examples/app/typed/board/_sync");
symlink "$FindBin::Bin/node_modules", "$dir/examples/app/node_modules";
my %typed = (
	typebox => 'import { Type } from "@sinclair/typebox"; export const schema '
	. '= Type.Object({ n: Type.Integer({ minimum: 1 }) });',
	refined => 'import { z } from "zod"; export const schema = '
	. 'z.object({ s: z.string().transform((s) => s.length) });',
	foreign => 'export const schema = { type: "object", '
	. 'properties: { a: { contains: { const: 1 } } } };',
	named => 'export const schema = { type: "object", properties: '
	. '{ contains: { type: "string" } } };',
	none => '',
);
$t->write_file("examples/app/typed/board/_sync/${_}_server_v1.js",
	"$typed{$_} export const main = () => ({ status: 'success' });\n")
	for keys %typed;
is(run('typed.out', 'node', 'build/node-adapter/write.js', 'typed',
	'typed.json', 'typed.ts', './sync.js', '../../node-adapter/types.js'), 0,
	'written') or diag($t->read_file('typed.out'));
my $typed = JSON::PP->new->decode($t->read_file('examples/app/typed.json'))
	->{routes};
is_deeply({ map { $_ => $typed->{"sync/board/$_/v1"}{schema} } keys %typed }, {
	typebox => { type => 'object', required => [ 'n' ],
		properties => { n => { type => 'integer', minimum => 1 } } },
	refined => { type => 'object', required => [ 's' ],
		properties => { s => { type => 'string' } } },
	named => { type => 'object', properties => {
		contains => { type => 'string' } } },
	foreign => undef, none => undef }, 'schemas');

# the app behind nginx, with the configuration that stands beside it

my $conf = $t->read_file('examples/app/nginx.conf');
my ($app, $port) = ($t->port(1), $t->port(0));
$conf =~ s/^load_module.*\n|^worker_processes.*\n//mg;
$conf =~ s/127\.0\.0\.1:3000/127.0.0.1:$app/;
$conf =~ s/127\.0\.0\.1:8080/127.0.0.1:$port/;
$conf =~ s/routes\.json/$dir\/examples\/app\/routes.json/;
$conf =~ s/http \{\n/http {\n    %%HTTP%%\n/;
$t->write_conf("%%GLOBALS%%\n$conf");

@ENV{qw/ PORT SOURCES /} = ($app, "$dir/examples/app/src");
my $server = $t->spawn([ 'node', "$dir/examples/app/build/app/server.js" ],
	"$dir/app.out");
$t->wait_for(sub { IO::Socket::INET->new("127.0.0.1:$app") }, 20)
	or diag($t->read_file('app.out'));

$t->run;

my $i = 0;
my ($ws, $peer) = map { $t->ws('/ws') } 1 .. 2;
$_->recv_event('connected') for $ws, $peer;

is_deeply(ask($ws, 'apiRequest', name => 'board/list/v1', data => {}),
	{ status => 'success', httpStatus => 200,
	cards => { c1 => 'todo', c2 => 'todo', c3 => 'done' } }, 'api');
is(ask($ws, 'apiRequest', name => 'board/nothing/v1', data => {})->{errorCode},
	'api.notFound', 'api: not found');
is(ask($ws, 'apiRequest', name => 'board/clear/v1', data => {})->{errorCode},
	'auth.required', 'api: login');

ask($_, 'joinRoom', group => 'r') for $ws, $peer;
my $e = sync('board/moveCard/v1', cardId => 'c9', toLane => 'done');
is_deeply([ @$e{qw/ errorCode httpStatus errorParams /} ],
	[ 'board.noSuchCard', 404, [ { key => 'card', value => 'c9' } ] ],
	"the handler's error");
$e = sync('board/moveCard/v1', cardId => 'c1', toLane => 'x');
is($e->{errorCode}, 'sync.invalidInputType', 'schema');
is_deeply([ map { $_->{value} } @{$e->{errorParams}} ], [ qw/ toLane enum / ],
	'schema: by nginx');
is(sync('board/moveCard/v1', cardId => 'c1', toLane => 'todo')->{status},
	'success', 'sync');
is_deeply($peer->recv_event('sync')->[1]{serverOutput}, { status => 'success',
	cardId => 'c1', toLane => 'todo' }, 'serverOutput');

# chunks, then a result for each

sync('chat/sendMessage/v1', text => 'one two three four');
my @got;
do { push @got, $peer->recv_event('sync')->[1] }
	while $got[-1]{status} eq 'stream';
my $last = pop @got;
is(join('', map { $_->{chunk} } @got), 'one two three four', 'chunks');
cmp_ok(scalar @got, '>', 1, 'some of them');
is_deeply($last->{clientOutput}, { status => 'success',
	mine => JSON::PP::false }, "the other's result");
my $own;
do { $own = $ws->recv_event('sync')->[1] } while $own->{status} eq 'stream';
ok($own->{clientOutput}{mine}, "the sender's");

# a cancelled request is heard of by its handler, which stops

$ws->send_json([ 'sync', { name => 'chat/sendMessage/v1', cb => 'x',
	receiver => 'r', data => { text => 'word ' x 100 },
	responseIndex => ++$i } ]);
my $id = $ws->recv_event("sync-progress-$i")->[1]{__cancelId};
$peer->recv_event('sync');
$ws->send_json([ 'syncCancel', { cb => $id } ]);
my $start = Time::HiRes::time();
is(($ws->recv_event("sync-$i", 10) || [])->[1]{status}, 'success',
	'cancelled: the result counts');

# no file of the server's

is($t->http('GET', $_)->status, 404, "not given out: $_")
	for '/counter/_sync/updateCounter_server_v1.js', '/functions.js';

$_->disconnect for $ws, $peer;

# the pages

@ENV{qw/ HOME TMPDIR /} = ($dir, $dir);
run('pages.out', 'node', "$FindBin::Bin/browser/app.mjs",
	"http://127.0.0.1:$port/");
my $said = $t->read_file('pages.out');

ok($said =~ /^ok \Q$_\E$/m, $_) for @steps;
diag($said . $t->read_file('app.out')) if $said =~ /^not ok/m;

kill 'TERM', $server;
waitpid $server, 0;
chdir '/';

sub run {
	my ($out, @command) = @_;
	my $pid = $t->spawn([ 'sh', '-c', 'cd "$0" && exec "$@"',
		"$dir/examples/app", @command ], "$dir/$out");
	waitpid $pid, 0;
	return $? >> 8;
}

sub copy_tree {
	my ($from) = @_;

	find({ no_chdir => 1, wanted => sub {
		my $to = "$dir/" . ($File::Find::name =~ s/^\Q$top\E\///r);
		return make_path($to) if -d $File::Find::name;
		File::Copy::copy($File::Find::name, $to) or die "$to: $!\n";
	} }, "$top/$from");
}

sub sync {
	my ($name, %data) = @_;
	return ask($ws, 'sync', name => $name, cb => 'x', receiver => 'r',
		data => \%data);
}

sub ask {
	my ($ws, $event, %o) = @_;
	my $n = ++$i;
	$ws->send_json([ $event, { %o, responseIndex => $n } ]);
	my $answer = $event eq 'apiRequest' ? 'apiResponse' : $event;
	return ($ws->recv_event("$answer-$n", 10) || [])->[1];
}
