#!/usr/bin/perl

# Copyright (C) sync for nginx

# What the pages say is true.  Of README.md and docs/*.md:
#
#     nginx     is loaded by nginx -t: a whole file, or what may stand in
#               http, server or server with locations
#     console   is run, "$ " before a command; its output follows
#     frames    is said over a WebSocket ("> "), heard ("< "), or run ("! ")
#     stream    is heard by an event stream, or run ("! ")
#     js        imports what the browser module has
#
# Ids and times are compared as such.  A JSON block after a comment
# "hook NAME" has the fields of such a hook.  The tables of directives,
# variables and counters are those of the source, and links lead somewhere.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use Test::Sync;

###############################################################################

my $top = "$FindBin::Bin/..";
my $id = 'AACerChXAdw2WWGXu2kHgw';

my $t = Test::Sync->new->plan(23);

$t->write_conf(<<'EOF');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;
    sync_room "secret"  join=deny;
    sync_room "asked:*" join=hook;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_hook server /_hook/server;

        location /ws         { sync websocket; }
        location /api/events { sync sse; }
        location /control/   { sync control; }
        location /status     { sync status; }

        location /sync/ { sync request; sync_receiver any; }
        location /api/  { sync api; sync_hook api /_hook/api; }

        location /asked {
            sync sse;
            sync_hook connect    /_hook/connect;
            sync_hook disconnect /_hook/disconnect;
        }

        location /asked/ws {
            sync websocket;
            sync_hook join       /_hook/join;
            sync_hook leave      /_hook/join;
            sync_hook joined     /_hook/joined;
            sync_hook api        /_hook/hang;
            sync_hook cancel     /_hook/cancel;
            sync_hook client     /_hook/client;
        }

        location /asked/in/ {
            sync control;
            sync_session memory;
            sync_token query:t;

            location /asked/in/ws {
                sync websocket;
                sync_hook location /_hook/location;
                sync_hook fanout   /_hook/fanout;
                sync_hook delivered /_hook/delivered;
                sync_hook presence /_hook/presence;
                sync_presence on transport=0;
            }
        }

        location /present/ {
            sync control;
            sync_session memory;
            sync_token query:t;
            sync_presence on transport=1s;

            location /present/ws     { sync websocket; }
            location /present/events { sync sse; }
        }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
EOF

my $hook = $t->hook(port => 1, answer => sub {
	my ($r) = @_;
	return [ [ 'hang' ] ] if $r->{uri} =~ /hang/;
	return { body => '{"status":"success","cards":[]}' }
		if $r->{uri} eq '/_hook/api';

	return { body => $r->{uri} eq '/_hook/server'
		? '{"status":"success","order":1}' : '{}' };
});

$t->run;

my %pages = map { $_ => source($_) } 'README.md',
	map { s!\Q$top\E/!!r } glob "$top/docs/*.md";

cmp_ok(scalar keys %pages, '>', 5, 'pages');

###############################################################################

# configurations

my @bad;

# a configuration's own files stand beside it

$t->write_file(s!.*/!!r, source(s!\Q$top\E/!!r))
	for glob "$top/examples/*/routes.json";

for my $page (sort keys %pages) {
	push @bad, map { refused("$page, $_->{line}", complete($_->{text})) }
		blocks($page, 'nginx');
}

for my $file (map { s!\Q$top\E/!!r } glob "$top/examples/*/*.conf") {
	push @bad, refused($file, complete(source($file)));
}

is_deeply(\@bad, [], 'configurations are good');

# directives

my $directives = source('src/module/ngx_http_sync_directives.c');
my %source;

while ($directives =~ /\{ ngx_string\("(\w+)"\),\n\s+([A-Z_0-9|]+),\n/g) {
	my ($name, $flags) = ($1, $2);

	$source{$name} = join ', ', map { $flags =~ /NGX_HTTP_$_->[0]_CONF/
		? $_->[1] : () } [ MAIN => 'http' ], [ SRV => 'server' ],
		[ LOC => 'location' ];
}

my (%documented, @untold, @defaults);

for (split /^(?=## )/m, $pages{'docs/directives.md'}) {
	my ($name) = /^## (sync\w*)$/m or next;
	my ($context) = /^\*\*Context:\*\* (.+)$/m;

	$documented{$name} = $context;

	push @untold, $name unless /^\*\*Syntax:\*\* `\Q$name\E [^`]+;`\n/m
		&& /^This directive appeared in version [\d.]+\.\n/m;

	push @defaults, [ $name, $1, $context ]
		if /^\*\*Default:\*\* `(\S+ .+;)`$/m;
}

is_deeply(\%documented, \%source, 'directives and their contexts');
is_deeply(\@untold, [], 'their syntax and version');
is_deeply([ map { refused($_->[0], complete($_->[2] eq 'location'
	? "location / { $_->[1] }" : $_->[1])) } @defaults ], [],
	'defaults are good');
cmp_ok(scalar @defaults, '>', 6, 'defaults are told');

# tables

my $variables = source('src/module/ngx_http_sync_variables.c');

is_deeply([ sort $pages{'docs/directives.md'} =~ /^\| `\$(\w+)` \|/mg ],
	[ sort $variables =~ /\{ ngx_string\("(\w+)"\), NULL/g ], 'variables');

my $status = $t->http('GET', '/status')->json;
my ($figures, $counters) = split /^## Counters$/m, $pages{'docs/status.md'};

is_deeply([ sort $counters =~ /^\| `(\w+)` \|/mg ],
	[ sort keys %{$status->{counters}} ], 'counters');
is_deeply([ sort $figures =~ /^\| `([\w.\[\]]+)` \|/mg ],
	[ fields($status) ], 'figures');
is_deeply([ sort $figures =~ /`(sync_\w+)` \|/g ],
	[ gauges($t->http('GET', '/status?format=prometheus')->body) ],
	'figures for Prometheus');

# hooks

my %hooks = asked();

my %told = $pages{'docs/hooks.md'}
	=~ /^<!-- hook (\w+) -->\n```json\n(.*?)^```/msg;

is_deeply({ map { $_ => [ fields(decode_json($told{$_})) ] } keys %told },
	{ map { $_ => [ fields($hooks{$_}) ] } keys %told }, 'fields of hooks');
is(join(' ', sort keys %told),
	'cancel client connect delivered disconnect fanout join joined location '
	. 'presence server',
	'hooks that are told');

# dialogues

my $ws = $t->ws('/ws');
is_deeply([ map { frames($ws, $_->{text}) }
	blocks('docs/websocket.md', 'frames') ], [], 'frames');
$ws->shut;

$t->http('POST', '/present/session/save', json => { token => "t$_",
	session => { id => "u$_" } }) for 1, 2;
$ws = $t->ws('/present/ws?t=t2');
$ws->recv_event('connected');
is_deeply([ map { frames($ws, $_->{text}) }
	blocks('docs/presence.md', 'frames') ], [], 'frames: presence');
$ws->shut;

my $es = $t->sse('/api/events?channels=timer:u1,notification:*');
$es->recv;
is_deeply([ map { stream($es, $_->{text}) } blocks('docs/sse.md', 'stream') ],
	[], 'events of a stream');
$es->disconnect;

ok($t->wait_for(sub {
	my $st = $t->http('GET', '/status')->json;
	return $st->{clients} == 0 && $st->{away} == 0;
}), 'all gone');

# commands, with a client of the id that the page has

$ws = $t->ws('/ws');
my $own = $ws->recv_json->[1]{clientId};
$ws->send_json([ 'joinRoom', { group => 'chat', responseIndex => 1 } ]);
$ws->recv_event('joinRoom-1');

for my $page ('docs/status.md', 'docs/sse.md', 'README.md',
	'docs/control.md', 'docs/http.md')
{
	my @wrong = map { console($_->{text}) } blocks($page, 'console');

	is(scalar @wrong, 0, "commands: $page") or diag(explain(@wrong));
}

# imports, links

my $module = source('src/client/sync.js');
my @exports = $module =~ /^export (?:const|class|function) (\w+)/mg;

is_deeply([ grep { my $name = $_; !grep { $_ eq $name } @exports }
	map { $_->{text} =~ /import \{([^}]+)\} from/ ? $1 =~ /(\w+)/g : () }
	blocks('README.md', 'js') ], [], 'imports');
is_deeply([ map { broken($_) } sort keys %pages ], [], 'links');

###############################################################################

sub source {
	my ($name) = @_;

	open my $f, '<', "$top/$name" or die "$name: $!\n";
	local $/;
	return scalar <$f>;
}

# Blocks of a page: { line, text }.

sub blocks {
	my ($page, $kind) = @_;

	my @blocks;
	my $text = $pages{$page};

	while ($text =~ /^```$kind\n(.*?)^```$/msg) {
		push @blocks, { text => $1,
			line => 1 + (substr($text, 0, $-[0]) =~ tr/\n//) };
	}

	return @blocks;
}

# A whole configuration that has the text in it.

sub complete {
	my ($text) = @_;

	if ($text !~ /^http \{/m) {
		$text = "server { listen 80; $text }"
			if $text =~ /^\s*location /m && $text !~ /^\s*server \{/m;
		$text = "sync_zone zone=sync:1m;\n$text" if $text !~ /\bsync_zone /;
		$text = "events {\n}\n\nhttp {\n$text\n}\n";
	}

	$text =~ s/^(?:load_module|worker_processes|pid) .*\n//mg;
	$text =~ s/^http \{/http {\n%%HTTP%%/m;
	$text =~ s/^(http \{)/$1\nupstream app { server 127.0.0.1:1; }/m
		if $text !~ /upstream app /;
	$text =~ s/listen [\w.:]+;/listen 127.0.0.1:%%PORT_2%%;/g;

	return "%%GLOBALS%%\n$text";
}

sub refused {
	my ($name, $conf) = @_;

	my ($rc, $out) = $t->nginx_t($conf);

	return $rc == 0 ? () : "$name: $out";
}

# Names of all fields, those within others as "a.b" and "a[].b".

sub fields {
	my ($value, $prefix) = @_;

	$prefix //= '';

	my @names = map {
		my $v = $value->{$_};
		my $name = $prefix . $_;

		ref $v eq 'HASH' && $_ eq 'counters' ? ()
			: ref $v eq 'HASH' ? fields($v, "$name.")
			: ref $v eq 'ARRAY' && ref $v->[0] eq 'HASH'
			? fields($v->[0], "$name\[].") : $name;

	} keys %$value;

	@names = sort @names;

	return @names;
}

sub gauges {
	my ($text) = @_;
	my @names = sort $text =~ /^# TYPE (\w+) gauge$/mg;
	return @names;
}

# What hooks are asked, by event.

sub asked {
	my @headers = ('Accept-Language: en');

	my $es = $t->sse('/asked?channels=a&userId=u1', headers => \@headers);
	$es->recv;

	my $ws = $t->ws('/asked/ws', headers => \@headers);
	$ws->recv_json;

	$ws->send_json([ 'joinRoom', { group => 'asked:1', responseIndex => 1 } ]);
	$ws->recv_event('joinRoom-1');
	$ws->send_json([ 'sync', { name => 'a/b/v1', data => { card => 'c1' },
		cb => 'x', receiver => 'asked:1', responseIndex => 2 } ]);
	$ws->recv_event('sync-2');

	$ws->send_json([ 'apiRequest', { name => 'a/b/v1', data => {},
		responseIndex => 3 } ]);
	$hook->wait_requests(1, qr/hang/);
	$ws->send_json([ 'apiCancel', { responseIndex => 3 } ]);

	$t->http('POST', '/asked/in/session/save', json => { token => 't1',
		session => { id => 'u1' } });
	my $in = $t->ws('/asked/in/ws?t=t1', headers => \@headers);
	$in->send_json([ 'joinRoom', { group => 'chat', responseIndex => 1 } ]);
	$in->send_json([ 'sync', { name => 'a/b/v1', data => { card => 'c1' },
		cb => 'x', receiver => 'chat', responseIndex => 2 } ]);
	$in->recv_event('sync-2');
	$in->send_json([ 'updateLocation', { pathName => '/board/7' } ]);

	$es->disconnect;
	$hook->wait_requests(1, qr/cancel/);
	$hook->wait_requests(1, qr/location/);
	$hook->wait_requests(1, qr/delivered/);
	$in->shut;
	$hook->wait_requests(1, qr/presence/);
	$ws->shut;

	return map { $_->{json}{event} => $_->{json} }
		reverse grep { $_->{uri} !~ /hang/ } @{$hook->wait_requests(13)};
}

# These return what was not as the text says.

sub frames {
	my ($ws, $text) = @_;

	my @bad;

	for my $line (split /\n/, $text) {
		my ($what, $said) = $line =~ /^([<>!]) (.*)$/
			or die "no frame: $line\n";

		if ($what eq '>') {
			$ws->send_text($said);

		} elsif ($what eq '!') {
			command($said);

		} else {
			my $heard = $ws->recv_text // 'nothing';
			push @bad, [ $said, $heard ]
				if masked($said) ne masked($heard);
		}
	}

	return @bad;
}

sub stream {
	my ($es, $text) = @_;

	my @bad;

	for my $part (split /^(?=! )/m, $text) {
		$part =~ s/^! (.*)\n// && command($1);

		for my $said (split /\n\n/, $part) {
			my $e = $es->recv // {};
			my $heard = (defined $e->{event} ? "event: $e->{event}\n" : '')
				. 'data: ' . ($e->{data} // '');

			push @bad, [ $said, $heard ]
				if masked($said) ne masked($heard);
		}
	}

	return @bad;
}

sub console {
	my ($text) = @_;

	my @bad;

	for my $part (split /^(?=\$ )/m, $text) {
		my ($command, $said) = $part =~ /^\$ ([^\n]*)\n(.*)\z/s
			or die "no command: $part\n";
		my $heard = command($command, $said =~ tr/\n//);

		# what curl prints need not end with a line

		s/\n*\z/\n/ for $said, $heard;

		push @bad, [ $command, $said, $heard ]
			if masked($said) ne masked($heard);
	}

	return @bad;
}

# Output of a command; only so many lines of one that does not end.

sub command {
	my ($command, $lines) = @_;

	$command =~ s!http://localhost/!'http://127.0.0.1:' . $t->port . '/'!ge;
	$command =~ s/\b$id\b/$own/g if defined $own;
	$command =~ s/^curl (?!-s)/curl -s /;

	my $endless = $command =~ s/^(?=curl -sN )/exec /;
	my $pid = open my $out, '-|', 'sh', '-c', $command
		or die "$command: $!\n";

	my $text = '';

	if ($endless) {
		while ($lines-- > 0) {
			$text .= <$out> // last;
		}

		kill 'TERM', $pid;

	} else {
		local $/;
		$text = <$out> // '';
	}

	close $out;

	return $text;
}

sub masked {
	my ($text) = @_;

	$text =~ s/\b[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}\b/UUID/g;
	$text =~ s/"[\w-]{22}"/"ID"/g;
	$text =~ s/\b\d{13}\b/TIME/g;

	return $text;
}

sub broken {
	my ($page) = @_;

	my ($dir) = $page =~ m!^(.*/)?!;
	my @broken;

	for my $link ($pages{$page} =~ /\]\(([^)]+)\)/g) {
		my ($file, $anchor) = $link =~ /^([^#]*)(?:#(.*))?$/;
		my $path = $file eq '' ? $page : ($dir // '') . $file;

		$path =~ s!\w+/\.\./!!;

		if (!-e "$top/$path") {
			push @broken, "$page: $link";
			next;
		}

		next unless defined $anchor;

		my @anchors = map { lc s/[^\w\s-]//gr =~ s/ /-/gr }
			$pages{$path} =~ /^#+ (.*)$/mg;

		push @broken, "$page: $link" unless grep { $_ eq $anchor } @anchors;
	}

	return @broken;
}

###############################################################################
