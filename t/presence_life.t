#!/usr/bin/perl

# Copyright (C) sync for nginx

# Who is away, over a reload and the death of workers: who is there again in
# time is not held for gone, and who is not, is.

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use Test::More;
use Test::Sync;

my $t = Test::Sync->new->plan(9);

$t->write_conf(<<'EOC');
%%GLOBALS%%

events {
}

http {
    %%HTTP%%

    sync_zone  zone=sync:8m;
    sync_drain 0;

    server {
        listen 127.0.0.1:%%PORT_0%%;

        sync_session  memory;
        sync_token    query:t;
        sync_hook     presence /_hook/presence;
        sync_presence on transport=60s;

        location /ws      { sync websocket; }
        location /short   { sync websocket;
                            sync_presence on transport=500ms; }
        location /control { sync control; }
        location /status  { sync status; }

        location /_hook/ {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_1%%;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }
    }
}
EOC

my $hook = $t->hook(port => 1, answer => sub { return { status => 204 } });

$t->run;

$t->http('POST', '/control/session/save', json => { token => "t$_",
	session => { id => "u$_" } }) for 1 .. 4;

# a reload

my @ws = (client('/ws', 1), client('/short', 2), client('/ws', 3));

$t->reload;
is($_->wait_close(20), 1012, 'reload: let go') for @ws[0, 1];

$ws[0] = client('/ws', 1);
is(told('u1', 1), 'back', 'reload: there again');
is(told('u2', 1), 'left', 'reload: gone');
state('u3', 'grace');

# all workers die, with their clients

$ws[2] = client('/ws', 3);
$ws[1] = client('/short', 4);

$t->kill_worker(0) for 1 .. $t->worker_processes;

$ws[0] = client('/ws', 1);
is(told('u4', 1), 'left', 'death: gone');
state('u1', 'online');
state('u3', 'grace');

is_deeply([ grep { $_->{kind} eq 'left' && $_->{userId} =~ /[13]/ } events() ],
	[], 'nobody else was held for gone');

sub client {
	my ($uri, $n) = @_;

	my $ws;

	$t->wait_for(sub {
		$ws = eval { $t->ws("$uri?t=t$n") };
		return $ws && $ws->recv_event('connected');
	}, 20);

	return $ws;
}

sub state {
	my ($user, $state) = @_;

	my $now;

	$t->wait_for(sub {
		my $r = $t->http('GET', "/control/presence?user=$user")->json;
		$now = @{$r->{users}} ? $r->{users}[0]{state} : 'none';
		return $now eq $state;
	}, 20);

	is($now, $state, "$user: $state");
}

sub events {
	my %seen;

	return map { @{$_->{events}} }
		grep { !$seen{"$_->{worker} $_->{seq}"}++ }
		map { $_->{json} } $hook->requests;
}

# What the app is told of a user, the n-th time.

sub told {
	my ($user, $n) = @_;

	my @all;

	$t->wait_for(sub {
		@all = grep { $_->{userId} eq $user } events();
		return @all >= $n;
	}, 20);

	return @all < $n ? 'nothing' : $all[$n - 1]{kind};
}
