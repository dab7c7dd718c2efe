#!/usr/bin/perl

# Copyright (C) sync for nginx

# Values of directives: the good ones, all at once, and each bad one, which
# "nginx -t" has to refuse with the value and what is allowed.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

###############################################################################

my $conf = <<'EOC';
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    HTTP

    server {
        listen 127.0.0.1:%%PORT_0%%;

        SERVER

        location / {
            LOCATION
        }
    }
}
EOC

my $kinds = '"websocket", "sse", "socketio", "control", "status", '
	. '"client", "request", or "api"';
my $rooms = '"volatile", "recoverable", "history=number", "ttl=time", '
	. '"join=open", "join=public", "join=user", '
	. '"join=hook", "join=deny", "queue=close", "queue=drop", '
	. '"queue=conflate", "presence=on", "presence=off", or '
	. '"stream=accumulate"';
my $events = '"server", "api", "connect", "join", "leave", "client", "fanout", '
	. '"delivered", '
	. '"disconnect", "connected", "joined", "left", "location", '
	. '"presence", or "cancel"';
my $origins = '"same", an origin as "https://example.com", '
	. '"~regex", or "*"';
my $rates = '"route=60r/m", "ip=100r/m"';
my $sources = '"cookie:name", "header:name", "query:name", or '
	. '"auth:name"';
my $presence = '"off", or "on" and times up to 1d: "tab=", "transport=", '
	. '"other=", "afk="';
my $recovery = '"off", or a time up to 1d and "max=number" from 1 to 1000000';
my $times = 'two times from 50ms to 1d: the interval and the '
	. 'timeout';
my $pattern = q(a room's name of 1 to 256 bytes, or the beginning )
	. 'of one and "*"';

my $memory = '"ttl=" and a time from 1s to 365d, or "off"';

my @bad = (

	# directive, value, what is said after it

	[ 'sync_zone sync:8m',             'sync:8m', 'zone=name:size' ],
	[ 'sync_zone zone=sync',           'zone=sync', 'zone=name:size' ],
	[ 'sync_zone zone=:8m',            'zone=:8m', 'zone=name:size' ],
	[ 'sync_zone zone=sync:',          'zone=sync:', 'at least 1m' ],
	[ 'sync_zone zone=sync:1023k',     'zone=sync:1023k', 'at least 1m' ],
	[ 'sync_zone zone=sync:8x',        'zone=sync:8x', 'at least 1m' ],
	[ 'sync_zone zone=sync:-8m',       'zone=sync:-8m', 'at least 1m' ],

	[ 'sync_room ""',                  '', $pattern ],
	[ 'sync_room a*b',                 'a*b', $pattern ],
	[ 'sync_room "a' . "\t" . 'b"',    "a\tb", $pattern ],
	[ 'sync_room ' . 'x' x 257,        'x' x 257, $pattern ],
	[ 'sync_room a joins=open',        'joins=open', $rooms ],
	[ 'sync_room a join=all',          'join=all', $rooms ],
	[ 'sync_room a join=',             'join=', $rooms ],
	[ 'sync_room a queue=wait',        'queue=wait', $rooms ],
	[ 'sync_room a history=x',         'history=x', '"history=" and a '
		. 'number of messages up to 1000000' ],
	[ 'sync_room a recoverable history=1000001', 'history=1000001',
		'"history=" and a number of messages up to 1000000' ],
	[ 'sync_room a recoverable ttl=0', 'ttl=0',
		'"ttl=" and a time from 1s to 365d' ],
	[ 'sync_room a recoverable ttl=366d', 'ttl=366d',
		'"ttl=" and a time from 1s to 365d' ],
	[ 'sync_room a stream=on',         'stream=on', 'from 1k to 1m' ],
	[ 'sync_room a stream=accumulate:2m', 'stream=accumulate:2m',
		'from 1k to 1m' ],
	[ 'sync_room a volatile join',     'join', $rooms ],

	[ 'sync_registry 24h',             '24h', $memory ],
	[ 'sync_registry ttl=',            'ttl=', $memory ],
	[ 'sync_registry ttl=0',           'ttl=0', $memory ],
	[ 'sync_registry ttl=366d',        'ttl=366d', $memory ],
	[ 'sync_drain never',              'never', 'a time up to 1d' ],
	[ 'sync_drain 25h',                '25h', 'a time up to 1d' ],

	[ 'sync socket',                   'socket', $kinds ],
	[ 'sync ""',                       '', $kinds ],
	[ 'sync socketio old',             'old', '"legacy"' ],
	[ 'sync sse legacy',               'legacy', 'left out' ],

	[ 'sync_hook before /hook',        'before', $events ],
	[ 'sync_hook join hook',           'hook', '"/..."' ],
	[ 'sync_hook join ""',             '', '"/..."' ],
	[ 'sync_hook join /hook?a=b',      '/hook?a=b', '"/..."' ],
	[ 'sync_hook join /hook allow',    'allow',
		'"on_error=deny", "on_error=allow"' ],
	[ 'sync_hook join /h on_error=no', 'on_error=no',
		'"on_error=deny", "on_error=allow"' ],
	[ 'sync_hook api /h cancel=no',    'cancel=no', 'or "cancel=close"' ],
	[ 'sync_hook client /h share=0',   'share=0', '"share=off"' ],
	[ 'sync_hook client /h share=61s', 'share=61s', '"share=off"' ],
	[ 'sync_hook client /h timeout=0', 'timeout=0', '"timeout=" and a time' ],
	[ 'sync_hook client /h timeout=25h', 'timeout=25h', '"share=off"' ],
	[ 'sync_hook server /h timeout=1s', 'timeout=1s', '"on_error=deny"' ],
	[ 'sync_hook join /h cancel=close', 'cancel=close',
		'"cancel=notify" for an event' ],
	[ 'sync_hook server /h on_error=allow', 'on_error=allow',
		'"on_error=deny" for an event' ],

	[ 'sync_allow_origin example.com', 'example.com', $origins ],
	[ 'sync_allow_origin ""',          '', $origins ],
	[ 'sync_allow_origin ~',           '~', $origins ],
	[ 'sync_allow_origin http://',     'http://', $origins ],
	[ 'sync_allow_origin http://a/b',  'http://a/b', $origins ],
	[ 'sync_allow_origin http://a:0',  'http://a:0', $origins ],
	[ 'sync_allow_origin http://a:99999', 'http://a:99999', $origins ],
	[ 'sync_allow_origin http://u@a',  'http://u@a', $origins ],
	[ 'sync_allow_origin same any',    'any', $origins ],

	[ 'sync_routes ""',                '', 'a file or "off"' ],

	[ 'sync_csrf "a b"',               'a b', q(a header's name or "off") ],
	[ 'sync_csrf ""',                  '', q(a header's name or "off") ],

	[ 'sync_rate on',                  'on', $rates ],
	[ 'sync_rate off ip=1r/s',         'off', $rates ],
	[ 'sync_rate route=60',            'route=60', $rates ],
	[ 'sync_rate route=r/m',           'route=r/m', $rates ],
	[ 'sync_rate ip=0r/m',             'ip=0r/m', $rates ],
	[ 'sync_rate ip=5r/h',             'ip=5r/h', $rates ],
	[ 'sync_rate ip=1r/s ip=2r/s',     'ip=2r/s', $rates ],

	[ 'sync_receiver all',             'all', '"member" or "any"' ],
	[ 'sync_receiver any on',          'on', '"all=on" or "all=off"' ],
	[ 'sync_receiver any all=yes',     'all=yes', '"all=on" or "all=off"' ],

	[ 'sync_session on',               'on', '"off", "memory"' ],
	[ 'sync_session memory ttl=0',     'ttl=0', '"ttl=time"' ],
	[ 'sync_session memory per_user=no', 'per_user=no', '"per_user=single"' ],
	[ 'sync_session memory per_user=multiple:0', 'per_user=multiple:0',
		'"per_user=single"' ],
	[ 'sync_session memory key=a',     'key=a', '"ttl=time" or' ],
	[ 'sync_session redis key=a',      'key=a', '"key=prefix$sync_token"' ],
	[ 'sync_session redis key=$sync_token', 'key=$sync_token',
		'"key=prefix$sync_token"' ],
	[ 'sync_session redis key=a$sync_token$b', 'key=a$sync_token$b',
		'"key=prefix$sync_token"' ],
	[ 'sync_session redis key=a$sync_token users=$sync_token',
		'users=$sync_token', '"users=prefix$sync_user"' ],
	[ 'sync_session redis key=a$sync_token users=a',
		'users=a', '"users=prefix$sync_user"' ],
	[ 'sync_session off ttl=1h',       'ttl=1h', 'left out after "off"' ],
	[ 'sync_session hook',             '', '"/..."' ],
	[ 'sync_session hook hook',        'hook', '"/..."' ],
	[ 'sync_session hook /h?a',        '/h?a', '"/..."' ],
	[ 'sync_session hook /h cache=0',  'cache=0', '"cache=time" from 1s' ],
	[ 'sync_session hook /h cache=2d', 'cache=2d', '"cache=time" from 1s' ],
	[ 'sync_session hook /h key=a',    'key=a', '"cache=time", "ttl=time"' ],
	[ 'sync_token token',              'token', $sources ],
	[ 'sync_token cookie:',            'cookie:', $sources ],
	[ 'sync_token cookie:a body:b',    'body:b', $sources ],

	[ 'sync_ping 25x 20s',             '25x', $times ],
	[ 'sync_ping 25s 0',               '0', $times ],
	[ 'sync_ping 49ms 20s',            '49ms', $times ],
	[ 'sync_ping 25s 2d',              '2d', $times ],

	[ 'sync_max_message 0',            '0', 'a size from 1 byte to 64m' ],
	[ 'sync_max_message 65m',          '65m', 'a size from 1 byte to 64m' ],
	[ 'sync_max_message big',          'big', 'a size from 1 byte to 64m' ],

	[ 'sync_max_rooms 0',              '0', 'a number from 1 to 65535' ],
	[ 'sync_max_rooms 65536',          '65536', 'a number from 1 to 65535' ],
	[ 'sync_max_rooms 5k',             '5k', 'a number from 1 to 65535' ],

	[ 'sync_recovery 0',               '0', $recovery ],
	[ 'sync_recovery 2d',              '2d', $recovery ],
	[ 'sync_recovery long',            'long', $recovery ],
	[ 'sync_recovery max=5',           'max=5', $recovery ],
	[ 'sync_recovery off max=5',       'off', $recovery ],
	[ 'sync_recovery 2m 5',            '5', $recovery ],
	[ 'sync_recovery 2m max=0',        'max=0', $recovery ],
	[ 'sync_recovery 2m max=1000001',  'max=1000001', $recovery ],

	[ 'sync_presence yes',             'yes', $presence ],
	[ 'sync_presence off tab=1s',      'off', $presence ],
	[ 'sync_presence on 5s',           '5s', $presence ],
	[ 'sync_presence on tab=soon',     'tab=soon', $presence ],
	[ 'sync_presence on other=2d',     'other=2d', $presence ],
	[ 'sync_presence on afk=0',        'afk=0', $presence ],
	[ 'sync_room a presence=maybe',    'presence=maybe', $rooms ],

	[ 'sync_queue 1023',               '1023', 'a size from 1k to 1024m' ],
	[ 'sync_queue 1025m',              '1025m', 'a size from 1k to 1024m' ],
	[ 'sync_queue none',               'none', 'a size from 1k to 1024m' ],

	[ 'sync_compression yes',          'yes', '"on" or "off"' ],
	[ 'sync_compression on level=0',   'level=0', 'from 1 to 9' ],
	[ 'sync_compression on level=10',  'level=10', 'from 1 to 9' ],
	[ 'sync_compression on min=x',     'min=x', '"min=size" up to 64m' ],
	[ 'sync_compression on window=9',  'window=9',
		'"level=number" or "min=size"' ],
);

my @twice = (
	'sync_zone zone=other:8m', 'sync_registry off', 'sync_drain 1s', 'sync status',
	'sync_hook join /a', 'sync_allow_origin *', 'sync_receiver any',
	'sync_ping 1s 1s', 'sync_max_message 1k', 'sync_max_rooms 1',
	'sync_queue 1m', 'sync_compression off', 'sync_session off',
	'sync_token cookie:a', 'sync_routes off',
	'sync_rate off', 'sync_csrf off', 'sync_recovery off',
	'sync_presence off',
);

my @wrong = (
	[ HTTP => 'sync status' ], [ SERVER => 'sync status' ],
	[ SERVER => 'sync_zone zone=other:8m' ], [ LOCATION => 'sync_room a' ],
	[ SERVER => 'sync_drain 1s' ], [ SERVER => 'sync_compression on' ],
);

my $t = Test::Sync->new->plan(2 * @bad + 2 * @twice + @wrong
	+ 1 + 8);

###############################################################################

my ($rc, $out) = test(HTTP => <<'EOC', SERVER => <<'EOC', LOCATION => <<'EOC');
    sync_zone zone=sync:1m;
    sync_room a;
    sync_room a* volatile;
    sync_room b history=0 join=open queue=close;
    sync_room c join=public queue=drop;
    sync_room d join=hook stream=off;
    sync_room e stream=accumulate presence=off;
    sync_room f stream=accumulate:1k presence=on;
    sync_room u:* join=user;
    sync_room * join=deny;
    sync_registry ttl=1s;
    sync_drain 0;
    sync_hook connect /hook;
    sync_hook join /hook on_error=deny;
    sync_max_message 64m;
    sync_queue 1k;
EOC
    sync_hook server /hook cancel=close;
    sync_hook api /hook on_error=deny cancel=notify;
    sync_hook cancel /hook;
    sync_hook presence /hook;
    sync_hook connect /hook on_error=allow;
    sync_hook leave /hook on_error=allow;
    sync_hook disconnect /hook on_error=deny;
    sync_allow_origin *;
    sync_receiver any all=on;
    sync_session off;
    sync_csrf X-Token;
    sync_rate route=1r/s ip=100000000r/m;
    sync_token cookie:a header:Authorization query:b auth:c;
    sync_ping 50ms 1d;
    sync_max_message 1;
    sync_max_rooms 65535;
    sync_recovery 1ms max=1000000;
    sync_presence on tab=0 transport=1d other=5ms afk=off;
EOC
    sync websocket;
    sync_allow_origin same https://Example.COM:443/ http://[::1]:3000 null
                      capacitor://localhost ~^https://[a-z]+\.example\.com$;
    sync_receiver member all=off;
    sync_compression on level=9 min=0;
    sync_queue 1024m;
    sync_recovery off;
    sync_presence on afk=1ms;
    limit_except GET { deny all; }
    if ($arg_a) { set $a $sync_client$sync_user$sync_rooms; }
EOC

is($rc, 0, 'good values') or diag($out);

for my $case (@bad) {
	my ($text, $value, $allowed) = @$case;
	my ($name) = $text =~ /^(\w+)/;

	($rc, $out) = refuse($text);
	isnt($rc, 0, "$name \"$value\"");
	like($out, qr/\Qinvalid value "$value" in "$name" directive, it must be \E
		.*\Q$allowed\E/x, 'says what is allowed');
}

for my $text (@twice) {
	($rc, $out) = refuse("$text;\n$text");
	isnt($rc, 0, "$text twice");
	like($out, qr/\[emerg\].*is\ duplicate/x, 'is duplicate');
}

for my $case (@wrong) {
	($rc, $out) = test(HTTP => 'sync_zone zone=sync:1m;',
		$case->[0] => "$case->[1];");
	like($out, qr/directive is not allowed here/,
		"$case->[1] in " . lc $case->[0]);
}

# what is wrong as a whole

(undef, $out) = refuse("sync_room a;\nsync_room a join=deny");
like($out, qr/duplicate pattern "a" in "sync_room"/, 'same pattern twice');

(undef, $out) = refuse('sync_room a queue=conflate recoverable');
like($out, qr/"queue=conflate" contradicts "recoverable"/,
	'no history with conflation');

($rc, $out) = test(LOCATION => 'sync websocket;');
isnt($rc, 0, 'no zone');
like($out, qr/"sync" directive requires "sync_zone" in the "http" block/,
	'says so');
like($out, qr/test\.conf:\d+$/m, 'and where');

($rc, $out) = test(HTTP => "sync_zone zone=sync:1m;\n"
	. 'limit_req_zone $uri zone=sync:1m rate=1r/s;');
isnt($rc, 0, 'a zone of another module');

(undef, $out) = refuse('sync_allow_origin ~(');
like($out, qr/pcre2?_compile\(\) failed/, 'bad regex');

($rc, $out) = test(HTTP => "sync_room a;\nsync_hook join /a;");
is($rc, 0, 'no zone needed where nothing is used') or diag($out);

###############################################################################

# A directive where it may stand, in a configuration that is good without it.

sub refuse {
	my ($text) = @_;

	my $where = $text =~ /^sync_(?:zone|room|registry|drain)\b/ ? 'HTTP'
		: $text =~ /^sync(?:_compression)? / ? 'LOCATION' : 'SERVER';

	my $zone = $text =~ /^sync_zone\b/ ? '' : 'sync_zone zone=sync:1m;';

	return test(HTTP => $where eq 'HTTP' ? "$zone\n$text;" : $zone,
		$where ne 'HTTP' ? ($where => "$text;") : ());
}

sub test {
	my %text = @_;

	return $t->nginx_t($conf =~ s/^ +(HTTP|SERVER|LOCATION)$/
		$text{$1} \/\/ ''/gemr);
}

###############################################################################
