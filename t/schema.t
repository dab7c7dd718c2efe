#!/usr/bin/perl

# Copyright (C) sync for nginx

# "schema" in a route: schemas that zod and TypeBox make, and what ajv says of
# values, must come to the same here.  What is at fault is told by its path and
# keyword, before the app is asked; bounds of depth and work; what is refused
# when the file is read.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use Test::Sync;

# schema, data, path, keyword

my @faults = (
	[ { properties => { a => { properties => { b => { items => {
		type => 'string' } } } } } }, { a => { b => [ 'x', 1 ] } },
		'a.b.1', 'type' ],
	[ { required => [ 'x"y' ] }, {}, 'x"y', 'required' ],
	[ { properties => { a => { required => [ 'b' ] } } }, { a => {} },
		'a.b', 'required' ],
	[ { additionalProperties => JSON::PP::false }, { 'k"' => 1 }, 'k"',
		'additionalProperties' ],
	[ { properties => { a => { anyOf => [ { type => 'string' },
		{ properties => { b => { type => 'null' } } } ] } } },
		{ a => { b => 1 } }, 'a', 'anyOf' ],
	[ { properties => { a => { allOf => [ {}, { minLength => 2 } ] } } },
		{ a => 'x' }, 'a', 'minLength' ],
	[ { properties => { a => { enum => [ 1, 2 ] } } }, { a => 3 }, 'a',
		'enum' ],
	[ { properties => { a => { const => 1 } } }, { a => 3 }, 'a', 'const' ],
	[ { properties => { a => { format => 'email' } } }, { a => 'x' }, 'a',
		'format' ],
	[ { properties => { a => { pattern => '^x$' } } }, { a => 'xx' }, 'a',
		'pattern' ],
	[ { not => {} }, {}, '', 'not' ],
	[ { properties => { a => JSON::PP::false } }, { a => 1 }, 'a', 'false' ],
	[ { '$ref' => '#' }, {}, '', 'limit' ],
	[ { properties => { a => { pattern => '^(a+)+$' } } },
		{ a => ('a' x 30) . 'b' }, 'a', 'pattern' ],
	[ { properties => { a => { uniqueItems => JSON::PP::true } } },
		{ a => [ 1 .. 20000 ] }, 'a', 'limit' ],
	[ { '$defs' => { t => { anyOf => [ map { { properties => { a =>
		{ '$ref' => '#/$defs/t' } }, required => [ "n$_" ] } } 1 .. 8 ] } },
		'$ref' => '#/$defs/t' }, nested(20), '', 'limit' ],
);

my @bad = (
	[ '{ "unevaluatedProperties": false }',
		'keyword "unevaluatedProperties" of "schema" is not supported' ],
	[ '{ "properties": { "a": { "if": {} } } }',
		'keyword "if" of "schema" is not supported' ],
	[ '{ "$defs": { "a": { "contains": {} } } }', 'keyword "contains"' ],
	[ '5', 'a schema must be an object, true or false' ],
	[ '{ "type": "Date" }', '"type" "Date" must be' ],
	[ '{ "type": [ "string", "text" ] }', '"type" "text" must be' ],
	[ '{ "minLength": -1 }', '"minLength" must be a number' ],
	[ '{ "minimum": "1" }', '"minimum" must be a number' ],
	[ '{ "exclusiveMinimum": true }', '"exclusiveMinimum" must be' ],
	[ '{ "multipleOf": 0 }', '"multipleOf" must be a number above 0' ],
	[ '{ "pattern": "(" }', 'pcre2?_compile\(\) failed|' ],
	[ '{ "pattern": 1 }', '"pattern" must be a string' ],
	[ '{ "format": "postcode" }', '"format" "postcode" is not known' ],
	[ '{ "$ref": "#/$defs/none" }', '"$ref" leads nowhere' ],
	[ '{ "$ref": "other.json" }', '"$ref" leads nowhere' ],
	[ '{ "required": [ 1 ] }', '"required" must be an array of strings' ],
	[ '{ "enum": 1 }', '"enum" must be an array' ],
	[ '{ "properties": { ' . join(', ', map { "\"p$_\": {}" } 0 .. 1024)
		. ' } }', 'more than 1024 properties' ],
);

my $t = Test::Sync->new;
my %answers;
my $json = JSON::PP->new->utf8->canonical->allow_nonref;

open my $f, '-|', 'node', "$FindBin::Bin/schema/cases.mjs"
	or die "node: $!\n";
my $made = $json->decode(do { local $/; <$f> });
close $f or die "schema/cases.mjs failed\n";

$t->plan(@$made + 3 * @faults + @bad + 8);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:2m;
    sync_routes routes.json;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_hook api /_hook/api;
        sync_max_message 1m;

        location /ws { sync websocket; }
        location /socket.io/ { sync socketio; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
        }
    }
}
EOF

my %routes;
my $n = 0;

$routes{'api/made/r' . $n++ . '/v1'} = { schema => $_->{schema} }
	for @$made;

$n = 0;
$routes{'api/fault/r' . $n++ . '/v1'} = { schema => $_->[0] } for @faults;
$routes{'sync/a/b/v1'} = { schema => { required => [ 'x' ] },
	server => JSON::PP::false };

manifest(\%routes);

my $hook = $t->hook(port => 1, answer => sub {
	return { json => { status => 'success' } } });

$t->run;

my $ws = $t->ws('/ws');
$ws->recv_json;

###############################################################################

# the same verdict as ajv's

my ($passed, $refused) = (0, 0);

for my $i (0 .. $#$made) {
	my $schema = $made->[$i];
	my @wrong;

	my @values = @{$schema->{values}};

	utf8::encode($_->[0]) for @values;

	# a hundred at a time

	while (my @some = splice @values, 0, 100) {
		my $n = 0;

		$ws->send_text(request("api/made/r$i/v1", $_->[0], ++$n)) for @some;

		$n = 0;

		for my $value (@some) {
			my ($text, $valid) = @$value;
			my $e = answer(++$n);
			my $ok = !defined $e->{errorCode};

			$ok ? $passed++ : $refused++;

			push @wrong, ($valid ? 'good: ' : 'bad: ') . $text . ' '
				. $json->encode($e->{errorParams}) if $ok != !!$valid;
		}
	}

	is(scalar @wrong, 0, "$schema->{name}, " . @{$schema->{values}}
		. ' values') or diag(map { "$_\n" } @wrong[0 .. 9 > $#wrong
		? $#wrong : 9]);
}

cmp_ok($passed, '>', 300, "$passed are good");
cmp_ok($refused, '>', 1000, "$refused are not");
is($hook->requests, $passed, 'the app is asked about the good ones alone');

# what is at fault

$n = 0;

for my $case (@faults) {
	my ($schema, $data, $path, $keyword) = @$case;

	my $e = call('api/fault/r' . $n++ . '/v1', $json->encode($data));

	is($e->{errorCode}, 'api.invalidInputType', "$keyword: refused");
	is($e->{httpStatus}, 400, "$keyword: status");
	is_deeply($e->{errorParams}, [ { key => 'path', value => $path },
		{ key => 'keyword', value => $keyword } ], "$keyword: at \"$path\"");
}

# a sync, by Socket.IO

my $eio = $t->eio;
$eio->connect;
$eio->post('42["joinRoom",{"group":"r","responseIndex":1}]');
$eio->recv_event;

my @heard;

for my $data ('{}', '{"x":1}') {
	$eio->post('42["sync",{"name":"a/b/v1","cb":"c","receiver":"r",'
		. "\"data\":$data,\"responseIndex\":2}]");

	do { push @heard, $eio->recv_event } until $heard[-1][0] eq 'sync-2';
}

@heard = map { $_->[1] } grep { $_->[0] eq 'sync-2' } @heard;

is($heard[0]{errorCode}, 'sync.invalidInputType', 'sync: refused');
is_deeply($heard[0]{errorParams}, [ { key => 'path', value => 'x' },
	{ key => 'keyword', value => 'required' } ], 'sync: where');
is($heard[1]{status}, 'success', 'sync: good');

# files that are refused

for my $case (@bad) {
	my ($schema, $said) = @$case;

	$t->write_file('routes.json', "{ \"version\": 1, \"routes\": {\n"
		. "\"sync/a/b/v1\": {\n\"schema\": $schema } } }");

	my ($rc, $out) = $t->nginx_t;

	$said = $said =~ s/\|$// ? $said : quotemeta $said;
	ok($rc && $out =~ /\[emerg\] .*$said.* in \S+routes\.json:3 in/,
		"refused: $said") or diag($out);
}

my $deep = '{"not":' x 101 . '{}' . '}' x 101;
$t->write_file('routes.json',
	"{\"version\":1,\"routes\":{\"sync/a/b/v1\":{\"schema\":$deep}}}");
my ($rc, $out) = $t->nginx_t;
like($out, qr/nested too deep in \S+routes\.json:1 in/, 'too deep');

# many references, one after another

my %defs = map { ("d$_" => { '$ref' => '#/$defs/d' . ($_ + 1) }) } 0 .. 200;
$defs{d201} = {};
manifest({ 'sync/a/b/v1' => { schema => { '$defs' => \%defs,
	'$ref' => '#/$defs/d0' } } });
($rc, $out) = $t->nginx_t;
like($out, qr/too large or nested too deep in \S+routes\.json/, 'a chain');

###############################################################################

sub manifest {
	my ($routes) = @_;
	$t->write_file('routes.json', $json->encode({ version => 1,
		routes => $routes }));
}

# Objects one in another.

sub nested {
	my ($n) = @_;

	my $v = {};
	$v = { a => $v } for 1 .. $n;

	return $v;
}

sub call {
	my ($name, $data) = @_;

	$ws->send_text(request($name, $data, 1));

	return answer(1);
}

sub request {
	my ($name, $data, $n) = @_;
	return "[\"apiRequest\",{\"name\":\"$name\",\"data\":$data,"
		. "\"responseIndex\":$n}]";
}

# Answers come in any order.

sub answer {
	my ($n) = @_;

	while (!$answers{"apiResponse-$n"}) {
		my $event = $ws->recv_json(20) // die "no answer\n";
		$answers{$event->[0]} = $event->[1];
	}

	return delete $answers{"apiResponse-$n"};
}

###############################################################################
