# Events in foreign tables: file_fdw, and postgres_fdw to the same server: what they hold gives what a table gives.
#
# Expected: the results of the table itself.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

# what is freed is overwritten (glibc), so that its use shows
$ENV{MALLOC_PERTURB_} = 165;
my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->start;
my $csv = $PostgreSQL::Test::Utils::tmp_check . '/events.csv';
$node->safe_psql('postgres', q{
CREATE EXTENSION guardrail;
CREATE SCHEMA shop;
CREATE TABLE shop.ev AS SELECT 'e'::text AS experiment_id, i % 6000 AS user_id, CASE WHEN i % 6000 % 2 = 0 THEN 'control' ELSE 'treatment' END AS variant, '2026-01-01'::timestamptz + i * interval '1 minute' AS at,
       nullif(i % 97, 5) AS points, (i % 89) ^ 2 / 7.0 AS ms, i % 13 = 0 AS crashed FROM generate_series(1, 20000) i;
});
sub results
{
	my ($relation, $set, $more) = @_;
	$more //= '';
	$node->safe_psql('postgres', qq{
DELETE FROM guardrail_experiment;
INSERT INTO guardrail_experiment (experiment_id, events, time_column, starts_at, planned_units) VALUES ('e', '$relation', 'at', '2026-01-01 01:00+00', 100);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, filter, quantile, worse, limit_kind, limit_value) VALUES
  ('e', 'points', 'guardrail', 'mean', 'points', NULL, NULL, 'higher', 'difference', 1), ('e', 'crash', 'guardrail', 'proportion', 'crashed', NULL, NULL, 'higher', 'difference', 0.01),
  ('e', 'load', 'guardrail', 'quantile', 'points', 'NOT crashed', 0.95, 'higher', 'relative', 0.1), ('e', 'ratio', 'primary', 'ratio', 'points', 'points > 3', NULL, 'higher', NULL, NULL);});
	my $out = $node->safe_psql('postgres', "$more $set SELECT e FROM guardrail_evaluate('e') e WHERE metric <> 'capped'; SELECT d FROM guardrail_decide('e') d; SELECT guardrail_status('e');");
	# twelve digits: products are summed in the order of the rows
	$out =~ s/(-?\d+\.\d{6,}(?:e-?\d+)?)/sprintf '%.11e', $1/ge;
	return $out;
}
my $expected = results('shop.ev', '');
like($expected, qr/points/, 'the table itself');

# units that do not fit are spilled to disk, or, where a cap needs them all at once, grouped by the executor
my $little = q{SET guardrail.unit_memory = '64kB';};
my $capped = q{INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, cap_quantile, worse, limit_kind, limit_value) VALUES ('e', 'capped', 'secondary', 'mean', 'points', 0.9, 'higher', 'difference', 1);};
is(results('shop.ev', $little), $expected, 'the table, units spilled');

my %tried;
if ($node->psql('postgres', 'CREATE EXTENSION file_fdw') == 0)
{
	$tried{file_fdw} = 1;
	$node->safe_psql('postgres', qq{
COPY shop.ev TO '$csv' (FORMAT csv);
CREATE SERVER files FOREIGN DATA WRAPPER file_fdw;
CREATE FOREIGN TABLE shop.ev_file (experiment_id text, user_id int, variant text, at timestamptz, points int, ms float8, crashed boolean) SERVER files OPTIONS (filename '$csv', format 'csv');});
	is(results('shop.ev_file', ''), $expected, 'file_fdw');
	is(results('shop.ev_file', $little, $capped), $expected, 'file_fdw, grouped by the executor');
}
if ($node->psql('postgres', 'CREATE EXTENSION postgres_fdw') == 0)
{
	$tried{postgres_fdw} = 1;
	my ($host, $port) = ($node->host, $node->port);
	$node->safe_psql('postgres', qq{
CREATE SERVER loopback FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host '$host', port '$port', dbname 'postgres');
CREATE USER MAPPING FOR CURRENT_USER SERVER loopback;
CREATE FOREIGN TABLE shop.ev_remote (experiment_id text, user_id int, variant text, at timestamptz, points int, ms float8, crashed boolean) SERVER loopback OPTIONS (schema_name 'shop', table_name 'ev');
CREATE TABLE shop.ev_half (LIKE shop.ev) PARTITION BY RANGE (user_id);
CREATE TABLE shop.ev_here PARTITION OF shop.ev_half FOR VALUES FROM (MINVALUE) TO (3000);
CREATE TABLE shop.there AS SELECT * FROM shop.ev WHERE user_id >= 3000;
CREATE FOREIGN TABLE shop.ev_there PARTITION OF shop.ev_half FOR VALUES FROM (3000) TO (MAXVALUE) SERVER loopback OPTIONS (schema_name 'shop', table_name 'there');
INSERT INTO shop.ev_here SELECT * FROM shop.ev WHERE user_id < 3000;});
	is(results('shop.ev_remote', ''), $expected, 'postgres_fdw');
	is(results('shop.ev_remote', $little, $capped), $expected, 'postgres_fdw, grouped by the executor');
	is(results('shop.ev_half', ''), $expected, 'a partition here and one there');
	is(results('shop.ev_half', $little, $capped), $expected, 'the same, grouped by the executor');
	# the other server fails: the check says so
	$node->safe_psql('postgres', q{SELECT guardrail_launch('e'); ALTER SERVER loopback OPTIONS (SET dbname 'nosuch')});
	isnt($node->psql('postgres', 'CALL guardrail_check()'), 0, 'a run with a failure fails');
	like($node->safe_psql('postgres', 'SELECT verdict, error FROM guardrail_verdict'), qr/^HOLD\|could not connect to server/, 'a server that is away is a failed check');
}
ok(1, 'tried: ' . (join(', ', sort keys %tried) || 'no foreign data wrapper is installed'));

$node->stop;
done_testing();
