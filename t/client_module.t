#!/usr/bin/perl

# Copyright (C) sync for nginx

# "sync client": the browser module and its types, as they stand in src/, and
# how they are cached.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Digest::MD5 qw/ md5_hex /;
use Test::More;
use Test::Sync;

###############################################################################

my $t = Test::Sync->new->plan(26);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    gzip_types text/javascript;
    gzip_min_length 1;

    sync_zone zone=sync:1m;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        location /sync.  { sync client; }
        location /gzip/  { sync client; gzip on; }
    }
}
EOF

$t->run;

###############################################################################

my $js = source('sync.js');
my $types = source('sync.d.ts');

my $r = $t->http('GET', '/sync.js');
is($r->status, 200, 'module');
is($r->body, $js, 'as it is');
is($r->header('content-type'), 'text/javascript; charset=utf-8', 'type');
is($r->header('content-length'), length $js, 'length');
is($r->header('cache-control'), 'no-cache', 'asked for each time');
is($r->header('etag'), '"' . md5_hex($js) . '"', 'ETag of its content');

my $etag = $r->header('etag');

$r = $t->http('GET', '/sync.d.ts');
is($r->status, 200, 'types');
is($r->body, $types, 'as they are');
is($r->header('content-type'), 'text/plain; charset=utf-8', 'type');
is($r->header('etag'), '"' . md5_hex($types) . '"', 'an ETag of their own');

# what was seen before

is(status('If-None-Match' => $etag), 304, 'not modified');
is(status('If-None-Match' => "W/$etag"), 304, 'weak comparison');
is(status('If-None-Match' => "\"x\", $etag"), 304, 'one of several');
is(status('If-None-Match' => '*'), 304, 'any');
is(status('If-None-Match' => '"x"'), 200, 'another');
is(status('If-None-Match' => $r->header('etag')), 200, 'that of the types');
is(status('If-Match' => $etag), 200, 'If-Match');
is(status('If-Match' => '"x"'), 412, 'If-Match of another');
is(status('If-Modified-Since' => 'Sat, 01 Jan 2050 00:00:00 GMT'), 200,
	'it has no date');

$r = $t->http('GET', '/sync.js', headers => { 'If-None-Match' => $etag });
is($r->body, '', 'no body');
is($r->header('etag'), $etag, 'but the ETag');

$r = $t->http('HEAD', '/sync.js');
is($r->status, 200, 'HEAD');
is($r->header('content-length'), length $js, 'length');

$r = $t->http('POST', '/sync.js', body => 'x');
is($r->status, 405, 'only to read');
is($r->header('allow'), 'GET, HEAD', 'allow');

is($t->http('GET', '/gzip/sync.js', headers => { 'Accept-Encoding' => 'gzip' })
	->header('etag'), "W/$etag", 'weak if compressed');

###############################################################################

sub source {
	my ($name) = @_;

	open my $f, '<', "$FindBin::Bin/../src/client/$name"
		or die "$name: $!\n";
	binmode $f;
	local $/;
	return scalar <$f>;
}

sub status {
	return $t->http('GET', '/sync.js', headers => { @_ })->status;
}

###############################################################################
