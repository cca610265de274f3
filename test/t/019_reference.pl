# doc/reference.md is what scripts/make-reference prints of a fresh database, in whichever schema the extension is.
#
# Expected: the page in the tree.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
my $page = slurp_file('doc/reference.md');
for my $schema ('public', 'we ird')
{
	my $db = 'in ' . $schema;
	$node->safe_psql('postgres', qq{CREATE DATABASE "$db"});
	$node->safe_psql($db, qq{CREATE SCHEMA IF NOT EXISTS "$schema"; CREATE EXTENSION guardrail SCHEMA "$schema";});
	local $ENV{PGHOST} = $node->host;
	local $ENV{PGPORT} = $node->port;
	my ($out, $err) = run_command([ 'scripts/make-reference', $db ]);
	is($err, '', "schema $schema: nothing is said beside the page");
	is($out, $page =~ s/\n\z//r, "schema $schema: the page in the tree; if not: scripts/make-reference DATABASE > doc/reference.md");
}
my (undef, $err) = run_command([ 'scripts/make-reference', $node->connstr('postgres') ]);
like($err, qr/the database has no extension guardrail/, 'a database without guardrail is refused');

$node->stop;
done_testing();
