#!/usr/bin/perl

# Copyright (C) sync for nginx

# examples/postgres: what is committed to a database reaches the rooms of the
# rows, once and in the order of the commits, though the relay is killed again
# and again; positions are the database's own.

###############################################################################

use warnings;
use strict;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Copy qw/ copy /;
use JSON::PP;
use Test::More;
use Test::Sync;
use Test::Sync::Postgres;
use Test::Sync::WS;

my $WRITERS = 4;
my $EACH = 60;

my $t = Test::Sync->new->plan(21);
my $dir = $t->testdir;
my $example = "$Test::Sync::TOP/examples/postgres";

# its configuration, on a port of ours

my $conf = slurp("$example/nginx.conf")
	=~ s/^load_module .*\n\n^worker_processes.*$/%%GLOBALS%%/mr
	=~ s/^http \{/http {\n    %%HTTP%%/mr
	=~ s/127\.0\.0\.1:8080/127.0.0.1:%%PORT_0%%/r;

$t->write_conf($conf)->run;

my $db = Test::Sync::Postgres->new($t);
$db->sql(slurp("$example/schema.sql"));

for my $file (qw/ relay.mjs pgoutput.mjs package.json /) {
	copy("$example/$file", "$dir/$file") or die "$file: $!\n";
}

symlink "$FindBin::Bin/node_modules", "$dir/node_modules";

my $relay = relay();

ok($t->wait_for(sub { $db->query('SELECT count(*) FROM '
	. 'pg_replication_slots') == 1 }), 'the relay made its slot');

# one of each kind

my $b1 = $t->ws('/ws');
my $b2 = $t->ws('/ws');

join_room($b1, 'board:b1');
join_room($b2, 'board:b2');

$db->sql(q{INSERT INTO card VALUES (1, 'b1', 'größer'), (2, 'b2', 'x')});
$db->sql(q{UPDATE card SET title = 'it''s' WHERE id = 1});
$db->sql(q{UPDATE card SET board = 'b2' WHERE id = 1});
$db->sql(q{DELETE FROM card WHERE id = 1});

my $row = { id => '1', board => 'b1', title => "gr\x{f6}\x{df}er" };
my $other = { %$row, title => "it's" };
my $moved = { %$other, board => 'b2' };
my $x = { id => '2', board => 'b2', title => 'x' };

my @first = map { change($b1) } 1 .. 3;

is_deeply($first[0]{changes}, [ told('insert', $row, undef) ], 'insert');
is_deeply($first[1]{changes}, [ told('update', $other, $row) ], 'update');
is_deeply($first[2]{changes}, [ told('update', $moved, $other) ],
	'a row that leaves the room');

my @second = map { change($b2) } 1 .. 3;

is_deeply($second[0]{changes}, [ told('insert', $x, undef) ],
	'the same transaction in another room');
is($second[0]{lsn}, $first[0]{lsn}, 'has the same position');
is_deeply($second[1]{changes}, [ told('update', $moved, $other) ],
	'a row that comes');
is_deeply($second[2]{changes}, [ told('delete', undef, $moved) ], 'delete');

is($first[0]{room}, 'board:b1', 'messages tell their room');
like($first[0]{pos}, qr/^\Q$first[0]{lsn}\E\.[0-9a-f]{8}$/,
	'their position is the LSN of the commit');

# who comes back gets what was missed

$b1->disconnect;

$db->sql(q{INSERT INTO card VALUES (3, 'b1', 'missed')});
$db->sql(q{INSERT INTO card VALUES (4, 'b2', 'seen')});

is(change($b2)->{changes}[0]{row}{title}, 'seen', 'told');

$b1 = $t->ws('/ws');

my $joined = join_room($b1, 'board:b1', $first[2]{pos});

ok($joined->{recovered}, 'recovered');
is(change($b1)->{changes}[0]{row}{title}, 'missed', 'what was missed');

# a truncation is told to the table's own room, a large transaction by number

my $table = $t->ws('/ws');
join_room($table, 'table:card');

$db->sql(q{TRUNCATE card});
is(change($table)->{changes}[0]{action}, 'truncate', 'truncate');

$db->sql(q{INSERT INTO card SELECT n, 'b1', repeat('x', 1000)
	FROM generate_series(1001, 2000) n});
my $large = change($b1);
is($large->{changes}, undef, 'a large transaction');
is($large->{count}, 1000, 'is told by its number of changes');

# several write at once, and the relay is killed

my @writers;

for my $w (0 .. $WRITERS - 1) {
	my $sql = join '', map {
		sprintf "BEGIN; INSERT INTO card VALUES (%d, '%s', '%s'); "
			. "SELECT pg_sleep(0.02); COMMIT;\n",
			10000 + $w * 1000 + $_, $_ % 3 ? 'b1' : 'b2', "$w-$_"
	} 1 .. $EACH;

	$t->write_file("writer$w.sql", $sql);
	push @writers, $t->spawn([$db->psql('-f', "$dir/writer$w.sql")],
		"$dir/writer$w.out");
}

my $kills = 0;
my (%seen, %order);

collect($b2, 'b2', $WRITERS * int($EACH / 3), sub {
	my $n = shift;

	if ($n % 10 == 0 && $kills < 5) {
		kill 'KILL', $relay;
		waitpid $relay, 0;
		$kills++;
		$relay = relay();
	}
});

collect($b1, 'b1', $WRITERS * ($EACH - int($EACH / 3)), sub { });

waitpid $_, 0 for @writers;

cmp_ok($kills, '>=', 3, 'the relay was killed');
is_deeply([ grep { $seen{$_} != 1 } keys %seen ], [],
	'no commit was told twice');
is(keys %seen, $WRITERS * $EACH, 'and none was left out');

my @unordered = grep { my $o = $order{$_};
	grep { $o->[$_] <= $o->[$_ - 1] } 1 .. $#$o } keys %order;
is_deeply(\@unordered, [], 'positions rise');

kill 'TERM', $relay;
waitpid $relay, 0;
is($? >> 8, 143, 'the relay ends');

$db->stop;

###############################################################################

sub relay {
	local $ENV{DATABASE_URL} = $db->url;
	local $ENV{RELAY_CONTROL} = 'http://127.0.0.1:' . $t->port(0)
		. '/control';
	local $ENV{RELAY_ROOMS} = '{"public.card":"board:{board}"}';

	return $t->spawn(['node', "$dir/relay.mjs"], "$dir/relay.out");
}

sub join_room {
	my ($ws, $room, $pos) = @_;

	$ws->send_json([ 'joinRoom', { group => $room, responseIndex => 1,
		defined $pos ? (pos => $pos) : () } ]);

	while (my $m = $ws->recv_json) {
		return $m->[1] if $m->[0] eq 'joinRoom-1';
	}
}

# The next change, with room and position of its message.

sub change {
	my ($ws) = @_;

	while (my $m = $ws->recv_json) {
		return { %{$m->[1]}, %{$m->[2] // {}} } if $m->[0] eq 'change';
	}

	diag($t->read_file('relay.out'));
	return {};
}

sub told {
	my ($action, $new, $old) = @_;

	return { action => $action, schema => 'public', table => 'card',
		row => $new, old => $old };
}

sub collect {
	my ($ws, $board, $n, $each) = @_;

	for my $i (1 .. $n) {
		my $m = change($ws);
		my ($c) = @{$m->{changes} // []} or return;

		$seen{$c->{row}{title}}++;

		my ($high, $low) = $m->{lsn} =~ m!^(\w+)/(\w+)$!;
		push @{$order{$board}}, hex($high) * 2 ** 32 + hex($low);

		$each->($i);
	}
}

sub slurp {
	my ($file) = @_;

	open my $f, '<', $file or die "$file: $!\n";
	local $/;
	return scalar <$f>;
}

###############################################################################
