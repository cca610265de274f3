# The SQL blocks of README.md and doc/*.md, pasted into psql where they were pasted before, or where the reader has tables
# of the same names and a running experiment: psql goes on after each error, and nothing that was there changes.
#
# Expected: the rows before.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

sub pasted { return join "\n", slurp_file(shift) =~ /^```sql\n(.*?)^```$/msg }

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "fsync = off\n");
$node->start;

# without ON_ERROR_STOP
sub paste
{
	my ($db, $sql) = @_;
	my ($out, $err) = ('', '');
	IPC::Run::run([ 'psql', '-X', '-q', '-d', $node->connstr($db) ], '<', \$sql, '>', \$out, '2>', \$err);
	return $err;
}

# the rows of every table that is not the extension's, and what was recorded of the reader's experiment
sub contents
{
	my ($db) = @_;
	my $tables = $node->safe_psql($db, q{SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind = 'r' AND nspname !~ '^pg_|information_schema'
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND deptype = 'e') ORDER BY 1});
	my $text = join '', map { "$_: " . $node->safe_psql($db, "SELECT count(*), sum(hashtextextended(t::text, 0)) FROM $_ AS t") . "\n" } split /\n/, $tables;
	return $text . $node->safe_psql($db, q{SELECT (SELECT count(*) FROM guardrail_check_log WHERE experiment_id = 'checkout'), (SELECT count(*) FROM guardrail_plan WHERE experiment_id = 'checkout'),
  (SELECT e::text FROM guardrail_experiment e WHERE experiment_id = 'checkout'), (SELECT string_agg(r::text, ';' ORDER BY metric) FROM guardrail_rule r WHERE experiment_id = 'checkout')});
}

my $number = 0;
for my $page (grep { -e && pasted($_) ne '' } ('README.md', sort glob 'doc/*.md'))
{
	my $sql = pasted($page);
	my ($again, $own) = map { "pages_${_}_$number" } qw(again own);
	$number++;

	# ---- pasted twice, and with tables of the same names in the reader's own schema
	$node->safe_psql('postgres', "CREATE DATABASE $again");
	is(join('', grep { /ERROR/ && !/role .* already exists/ } split /^/, paste($again, $sql)), '', "$page: runs when it is pasted whole");
	my @made = split /\n/, $node->safe_psql($again, q{SELECT c.oid::regclass FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE relkind = 'r' AND nspname ~ '^guardrail_'});
	my @outside = split /\n/, $node->safe_psql($again, q{SELECT c.oid::regclass FROM pg_class c WHERE relkind IN ('r', 'v', 'm') AND relnamespace = 'public'::regnamespace
  AND NOT EXISTS (SELECT FROM pg_depend d WHERE d.objid = c.oid AND d.classid = 'pg_class'::regclass AND deptype = 'e')});
	is("@outside", '', "$page: makes nothing outside a schema of its own");
	$node->safe_psql($again, join '', map { my ($name) = /\.(.*)/; "CREATE TABLE public.$name AS TABLE $_;" } @made);
	my $before = contents($again);
	# what the page itself recorded may go on: only the rows of tables are compared
	paste($again, $sql);
	my ($tables) = contents($again) =~ /\A(.*)^/ms;
	my ($was) = $before =~ /\A(.*)^/ms;
	is($tables, $was, "$page: a second time, nothing changes");

	# ---- beside an experiment that runs
	$node->safe_psql('postgres', "CREATE DATABASE $own");
	$node->safe_psql($own, q{
CREATE EXTENSION guardrail;
CREATE TABLE mine AS SELECT 'checkout' AS experiment_id, u AS user_id, CASE u % 2 WHEN 0 THEN 'control' ELSE 'treatment' END AS variant, u % 7 AS x FROM generate_series(1, 1000) u;
INSERT INTO guardrail_experiment (experiment_id, events) VALUES ('checkout', 'mine');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES
  ('checkout', 'x', 'primary', 'mean', 'x', 'lower', 'difference', 0), ('checkout', 'load', 'guardrail', 'ratio', 'x', 'higher', 'difference', 100);
SELECT guardrail_launch('checkout');
CALL guardrail_check();});
	$before = contents($own);
	paste($own, $sql);
	like(contents($own), qr/\Q@{[ $before =~ m{^(mine: .*)$}m ]}\E/, "$page: leaves the reader's events alone");
	is((split /\n/, contents($own))[-1], (split /\n/, $before)[-1], "$page: and the reader's experiment");
}
$node->stop;
done_testing();
