#!/usr/bin/perl

# Copyright (C) sync for nginx

# Redis by TLS: sessions over it, a link that comes again, and servers that are
# not who they should be.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP;
use Test::More;
use Test::Sync;

###############################################################################

my $t = Test::Sync->new->plan(18);
my $dir = $t->testdir;

# a certificate for localhost, by name and by address; one of somebody else

certificate('good', 'subjectAltName=DNS:localhost,IP:127.0.0.1');
certificate('other', 'subjectAltName=DNS:elsewhere.test,IP:192.0.2.1');

my $redis = $t->redis(port => 1, password => 'secret',
	args => tls('good', $t->port(2)));
my $other = $t->redis(port => 3, password => 'secret',
	args => tls('other', $t->port(4)));

conf("rediss://:secret\@localhost:%%PORT_2%% ca=$dir/good.crt");
$t->run;

###############################################################################

up('by its name');

# what is larger than a record of TLS goes both ways

my $name = 'x' x 60000;

$redis->command('SET', 's:t1', qq({"id":"u1","name":"$name"}), 'EX', 60);
my $ws = connected('t1');
is($ws->{user}, 'u1', 'a large session');
$ws->{ws}->send_json([ 'joinRoom', { group => 'r', responseIndex => 1 } ]);
is_deeply(decode_json($ws->{ws}->recv_event('updateSession')->[1]),
	{ id => 'u1', name => $name, roomCodes => [ 'r' ] }, 'is changed');
is(decode_json($redis->command('GET', 's:t1'))->{roomCodes}[0], 'r',
	'in Redis');

# many at once

$redis->command('SET', "s:m$_", qq({"id":"m$_"})) for 1 .. 60;
my @many = map { Test::Sync::WS->_open(port => $t->port(0), uri => '/ws',
	cookie => "token=m$_") } 1 .. 60;
$_->_handshake for @many;
is_deeply([ map { $_->recv_event('connected')->[1]{userId} } @many ],
	[ map { "m$_" } 1 .. 60 ], 'many at once');

# a link that is cut comes again

$redis->command('SET', 's:t2', '{"id":"u2"}');
my $cut = connected('t2')->{ws};
$redis->command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
$redis->command('CLIENT', 'KILL', 'TYPE', 'pubsub');
$redis->command('SET', 's:t2', '{"id":"u2","n":2}');
is(decode_json($cut->recv_event('updateSession')->[1])->{n}, 2, 'CLIENT KILL');

$redis->stop;
ok($t->wait_for(sub { !status()->{redis}{tracked} }, 20), 'it is gone');
$redis->start;
up('back again');

# others

again("rediss://:secret\@127.0.0.1:%%PORT_2%% ca=$dir/good.crt");
up('by its address');
again("rediss://:secret\@localhost:%%PORT_2%% ca=$dir/other.crt");
down(qr/self.signed certificate/, 'another authority');
again("rediss://:secret\@localhost:%%PORT_2%%");
down(qr/self.signed certificate/, 'none that the system knows');
again("rediss://:secret\@localhost:%%PORT_4%% ca=$dir/other.crt");
down(qr/hostname mismatch/i, 'another name');
again("rediss://:secret\@127.0.0.1:%%PORT_4%% ca=$dir/other.crt");
down(qr/IP address mismatch/i, 'another address');
again("rediss://:secret\@localhost:%%PORT_4%% verify=off");
up('whoever it is');
again("rediss://:secret\@localhost:%%PORT_1%% verify=off");
down(qr/TLS handshake/, 'a server without TLS');
again("redis://:secret\@localhost:%%PORT_2%%");
down(qr/closed the connection|read failed|Protocol error|write failed/,
	'TLS that is not asked for');

$redis->freeze;
again("rediss://:secret\@localhost:%%PORT_2%% verify=off "
	. 'connect_timeout=300ms');
down(qr/TLS handshake takes too long/, 'a server that is silent');
$redis->thaw;

# nothing said of the password

unlike($t->read_file('error.log'), qr/secret/, 'no password in the log');

###############################################################################

sub status { return $t->http('GET', '/status')->json }

sub certificate {
	my ($name, $for) = @_;

	my $pid = $t->spawn([ qw( openssl req -x509 -newkey rsa:2048 -nodes
		-days 2 -subj /CN=redis -addext ), $for, '-keyout',
		"$dir/$name.key", '-out', "$dir/$name.crt" ],
		"$dir/openssl.log");
	waitpid($pid, 0);

	die "openssl failed:\n" . $t->read_file('openssl.log') if $?;
}

sub tls {
	my ($name, $port) = @_;
	return [ "tls-port $port", "tls-cert-file $dir/$name.crt",
		"tls-key-file $dir/$name.key",
		"tls-ca-cert-file $dir/$name.crt", 'tls-auth-clients no' ];
}

sub conf {
	my ($where) = @_;

	$t->write_conf(<<"EOF");
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone zone=sync:8m;
    sync_drain 0;
    sync_redis $where;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_session redis key=s:\$sync_token;
        sync_token cookie:token;

        location /ws     { sync websocket; }
        location /status { sync status; }
    }
}
EOF
}

# Another configuration; what is logged from then on is looked at.

my $logged = 0;

sub again {
	$logged = length $t->read_file('error.log');
	conf(@_);
	$t->reload;
}

sub up {
	my ($how) = @_;
	ok($t->wait_for(sub { status()->{redis}{tracked} }, 20), $how)
		or diag substr $t->read_file('error.log'), $logged;
}

sub down {
	my ($re, $how) = @_;

	ok($t->wait_for(sub {
		return substr($t->read_file('error.log'), $logged)
			=~ /\[error\].*redis (?:localhost|127).*$re/;
	}, 20), $how) or diag substr $t->read_file('error.log'), $logged;
}

sub connected {
	my ($token) = @_;

	my $ws = $t->ws('/ws', cookie => "token=$token");
	my $m = $ws->recv_event('connected');

	return { ws => $ws, user => $m->[1]{userId} };
}

###############################################################################
