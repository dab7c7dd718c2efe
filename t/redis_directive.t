#!/usr/bin/perl

# Copyright (C) sync for nginx

# What sync_redis takes and what it refuses, with the part that is wrong; no
# password is ever shown.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

###############################################################################

my $url = 'redis[s]://[[user]:password@]host[:port][/database] or unix:path';
my $time = 'a time from 10ms to 1h';
my $prefix = '1 to 64 letters, digits';

# what is given, what is said of it

my @bad = (
	[ '127.0.0.1',                 'invalid parameter in' ],
	[ 'http://127.0.0.1',          'invalid parameter in' ],
	[ 'redis:127.0.0.1',           'invalid parameter in' ],
	[ 'redis://h timeouts=1s',     'invalid parameter in' ],
	[ 'prefix=a',                  "there must be at least one $url" ],
	[ 'redis://',                  'invalid host "" in' ],
	[ 'redis://:secret@',          'invalid host "" in' ],
	[ 'redis:///1',                'invalid host "" in' ],
	[ 'redis://a,b',               'invalid host "a,b" in' ],
	[ 'redis://a?db=1',            'invalid host "a?db=1" in' ],
	[ 'redis://[::1',              'invalid host "[::1" in' ],
	[ 'redis://unix:',             'invalid host "unix:" in' ],
	[ 'redis://127.0.0.1:0',       'invalid port "127.0.0.1:0" in' ],
	[ 'redis://127.0.0.1:65536',   'invalid port "127.0.0.1:65536" in' ],
	[ 'redis://127.0.0.1:x',       'invalid port "127.0.0.1:x" in' ],
	[ 'redis://127.0.0.1/x',       'invalid database "x" in' ],
	[ 'redis://127.0.0.1/65536',   'invalid database "65536" in' ],
	[ 'redis://127.0.0.1/1/2',     'invalid database "1/2" in' ],
	[ 'redis://secret@127.0.0.1',  'no password before "@" in' ],
	[ 'redis://u:@127.0.0.1',      'no password before "@" in' ],
	[ 'redis://@127.0.0.1',        'no password before "@" in' ],
	[ 'redis://u%4:secret@h',      'invalid user "u" in' ],
	[ 'redis://:secret%zz@h',      'invalid password in' ],
	[ 'redis://:secret%2@h',       'invalid password in' ],
	[ 'unix:',                     'invalid socket "unix:" in' ],
	[ 'unix:/' . 'x' x 200,        'invalid socket' ],
	[ 'redis://h prefix=',         qq{invalid prefix "" in} ],
	[ 'redis://h prefix=a*',       'invalid prefix "a*" in' ],
	[ 'redis://h "prefix={a}"',    'invalid prefix "{a}" in' ],
	[ 'redis://h prefix=' . 'x' x 65, $prefix ],
	[ 'redis://h timeout=9ms',     qq{value "timeout=9ms" in "sync_redis" }
		. "directive, it must be $time" ],
	[ 'redis://h timeout=soon',    qq{value "timeout=soon"} ],
	[ 'redis://h connect_timeout=2h', qq{value "connect_timeout=2h"} ],
	[ 'redis://h prefix=a prefix=b', 'has a duplicate parameter' ],
	[ 'redis://h timeout=1s timeout=1s', 'has a duplicate parameter' ],
	[ 'redis://h:1 redis://:x@h:1', 'duplicate Redis "h:1"' ],
	[ 'unix:/a unix:/a',           'duplicate Redis "unix:/a"' ],
	[ join(' ', map { "redis://127.0.0.1:$_" } 1 .. 17), 'there may be 16' ],

	[ 'rediss://',                 'invalid host "" in' ],
	[ 'rediss://h ca=',            'value "ca=" in "sync_redis"' ],
	[ 'rediss://h verify=no',      'value "verify=no" in "sync_redis"' ],
	[ 'rediss://h ca=a ca=a',      'has a duplicate parameter' ],
	[ 'redis://h verify=off',      'are for "rediss://"' ],
	[ 'redis://h ca=a',            'are for "rediss://"' ],
	[ 'rediss://127.0.0.1 ca=/no/such/file',
		'SSL_CTX_load_verify_locations("/no/such/file") failed' ],
	[ 'redis+sentinel://h/master', 'Redis Sentinel ("redis+sentinel:") in' ],
	[ 'sentinel://h',              'Redis Sentinel ("sentinel:") in' ],
	[ 'redis-cluster://h',         'Redis Cluster ("redis-cluster:") in' ],

	[ 'redis://no-such-host.invalid',
		'host not found "no-such-host.invalid" of "sync_redis" directive in' ],
);

my @good = (
	'redis://127.0.0.1',
	'redis://127.0.0.1:6380/15',
	'redis://127.0.0.1/',
	'redis://:secret@127.0.0.1',
	'redis://user:s:e@c%2Fret%25@127.0.0.1/1',
	'redis://[::1]:6379',
	'rediss://:secret@127.0.0.1:6380/1',
	'rediss://[::1]:6379 verify=off',
	'redis://localhost unix:/run/redis.sock prefix=my.App_1:x timeout=10ms '
		. 'connect_timeout=1h',
	join(' ', map { "redis://127.0.0.1:$_" } 1 .. 16),
);

my $t = Test::Sync->new->plan(3 * @bad + @good + 5);

###############################################################################

for my $text (@good) {
	my ($rc, $out) = test("sync_redis $text;");
	is($rc, 0, $text) or diag($out);
}

for my $case (@bad) {
	my ($text, $said) = @$case;
	my ($rc, $out) = test("sync_redis $text;");

	isnt($rc, 0, "no $text");
	like($out, qr/\Q$said\E/, 'it says why');
	unlike($out, qr/secret/, 'and tells no password');
}

my (undef, $out) = test("sync_redis redis://h;\nsync_redis redis://h;");
like($out, qr/"sync_redis" directive is duplicate/, 'twice');

my ($rc);
($rc, $out) = test("resolver 127.0.0.1:1;\n"
	. 'sync_redis redis://no-such-host.invalid;');
is($rc, 0, 'a name may lead nowhere yet if there is a resolver');
like($out, qr/\[warn\].*no-such-host\.invalid/, 'a warning says so');

($rc, $out) = test("sync_redis redis://no-such-host.invalid;\n"
	. 'resolver 127.0.0.1:1;');
is($rc, 0, 'which may come later');

($rc, $out) = test('', 'sync_redis redis://h;');
like($out, qr/directive is not allowed here/, 'not in a server');

###############################################################################

sub test {
	my ($http, $server) = @_;

	$server //= '';

	return $t->nginx_t(<<"EOF");
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:1m;
    $http

    server {
        listen 127.0.0.1:%%PORT_0%%;
        $server
    }
}
EOF
}

###############################################################################
