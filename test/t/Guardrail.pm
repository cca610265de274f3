# What several of these tests share: a database with experiments in every state, and the whole content of the
# extension's tables as text.

package Guardrail;

use strict;
use warnings;
use Exporter 'import';

our @EXPORT = qw(make_shop contents intact replayed inconsistencies);

# Events in schema shop, the extension in schema guard; experiments that ship, block, fail, are drafts, were amended,
# look group-sequentially, are stopped; checks of each. The database is new; the server may have role analyst.
my $shop = q{
CREATE SCHEMA guard;
CREATE SCHEMA shop;
CREATE EXTENSION guardrail SCHEMA guard;
GRANT USAGE ON SCHEMA shop, guard TO analyst;
CREATE TABLE shop.ev AS
  SELECT e AS experiment_id, i AS user_id, CASE WHEN i % 2 = 0 THEN 'control' ELSE 'treatment' END AS variant,
         '2026-01-01'::timestamptz + i * interval '1 minute' AS at, 100 + i % 7 + CASE WHEN e = 'blocks' AND i % 2 = 1 THEN 50 ELSE 0 END AS x,
         i % 5 + i % 2 AS goal, 1 AS doomed
    FROM unnest('{ships,blocks,stopped,draft,fails,looks,amended}'::text[]) e, generate_series(1, 600) i;
CREATE FUNCTION shop.twice(int) RETURNS int LANGUAGE sql IMMUTABLE RETURN $1 * 2;
CREATE VIEW shop.ev_view AS SELECT * FROM shop.ev WHERE shop.twice(user_id) > 0;
CREATE MATERIALIZED VIEW shop.ev_matview AS SELECT * FROM shop.ev;
CREATE TABLE shop.kept AS
  SELECT i % 3 AS id, guard.guardrail_summarize(exp(i / 10.0), i) AS s, guard.guardrail_histogram(i * 1.1) AS h FROM generate_series(1, 500) i GROUP BY 1;
GRANT SELECT ON ALL TABLES IN SCHEMA shop TO analyst;
INSERT INTO guard.guardrail_experiment (experiment_id, events, time_column, starts_at, planned_units, shares, owner, description)
VALUES ('ships', 'shop.ev', 'at', '2026-01-01', 500, '{"control": 1, "treatment": 1}', 'analyst', E'two\nlines\t\\\\and "quotes"'),
       ('blocks', 'shop.ev_view', NULL, NULL, 500, NULL, 'analyst', NULL), ('stopped', 'shop.ev_matview', NULL, NULL, NULL, NULL, 'analyst', NULL),
       ('draft', 'shop.ev', NULL, NULL, NULL, NULL, 'analyst', NULL), ('fails', 'shop.ev', NULL, NULL, NULL, NULL, 'analyst', NULL),
       ('looks', 'shop.ev', NULL, NULL, 2000, NULL, 'analyst', NULL), ('amended', 'shop.ev_view', NULL, NULL, NULL, NULL, 'analyst', NULL);
INSERT INTO guard.guardrail_rule (experiment_id, metric, role, kind, value, filter, quantile, worse, limit_kind, limit_value, evidence, display_unit, north_star, note)
SELECT experiment_id, r.* FROM guard.guardrail_experiment, (VALUES
  ('load', 'guardrail', 'mean', E'x -- the ''time''', NULL, NULL::float8, 'higher', 'difference', 10, 'breach', 'ms', false, E'a note;\n\\\\.'),
  ('p95', 'guardrail', 'quantile', 'shop.twice(x)', 'x > 0', 0.95, 'higher', 'relative', 0.1, 'safe', NULL, false, NULL),
  ('sales', 'primary', 'mean', 'goal', NULL, NULL, 'lower', 'difference', 0.1, 'breach', NULL, true, NULL)) AS r;
INSERT INTO guard.guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES ('fails', 'doomed', 'guardrail', 'mean', 'doomed', 'higher', 'difference', 1);
SELECT guard.guardrail_launch(experiment_id) FROM guard.guardrail_experiment WHERE experiment_id <> 'draft';
CALL guard.guardrail_check();
SELECT guard.guardrail_stop('stopped');
CALL guard.guardrail_check('stopped');
SELECT guard.guardrail_amend('amended', E'the limit was\ntoo tight', '{"experiment": {"min_units": 50, "segments": ["user_id % 6 < 2", "user_id"]}, "rules": {"load": {"limit_value": 12.5, "segment_veto": true}, "p95": null}}');
INSERT INTO shop.ev SELECT experiment_id, user_id + 1000, variant, at, x, goal, doomed FROM shop.ev WHERE experiment_id = 'looks';
CALL guard.guardrail_check();
};

# make_shop NODE DATABASE
sub make_shop
{
	my ($node, $db) = @_;
	$node->safe_psql('postgres', "CREATE DATABASE $db");
	$node->safe_psql($db, $shop);
	return;
}

# contents NODE DATABASE [except => [TABLE...], columns => {TABLE => LIST}, schema => NAME]: each row of each of the extension's tables and views, the
# sequence, and columns of its types; names instead of OIDs
sub contents
{
	my ($node, $db, %how) = @_;
	my $schema = $how{schema} // 'guard';
	my %except = map { $_ => 1 } @{ $how{except} // [] };
	my @relations = grep { !$except{$_} } split /\n/, $node->safe_psql($db, qq{
SELECT c.relname FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid JOIN pg_class c ON c.oid = d.objid
 WHERE d.classid = 'pg_class'::regclass AND d.refclassid = 'pg_extension'::regclass AND d.deptype = 'e' AND e.extname = 'guardrail' AND c.relkind IN ('r', 'v')
 ORDER BY 1});
	@relations = grep { $how{columns}{$_} } @relations if $how{columns};
	my $sql = join '', map { my $row = $how{columns} ? "ROW($how{columns}{$_})" : 't'; "SELECT '$_', ${row}::text FROM $_ t ORDER BY 2;\n" } @relations;
	return $node->safe_psql($db, "SET search_path = $schema;\n$sql SELECT 'sequence', last_value FROM guardrail_check_id;\n"
		  . ($how{schema} ? '' : q{SELECT 'summary', id, s::text, h::text FROM shop.kept ORDER BY id;}));
}

# what guardrail_verify says of every plan
sub intact
{
	my ($node, $db, $schema) = @_;
	$schema //= 'guard';
	return $node->safe_psql($db, qq{SELECT experiment_id, v.* FROM $schema.guardrail_experiment e, LATERAL $schema.guardrail_verify(experiment_id) v WHERE state <> 'draft' ORDER BY 1, 2});
}

# what guardrail_replay says of every check that stored its inputs
sub replayed
{
	my ($node, $db, $schema) = @_;
	$schema //= 'guard';
	return $node->safe_psql($db, qq{SELECT check_id, r.* FROM (SELECT check_id FROM $schema.guardrail_check_input i JOIN $schema.guardrail_plan p ON p.experiment_id = i.experiment_id AND p.version = i.plan_version
 WHERE plan_hash = encode(sha256(convert_to(plan, 'UTF8')), 'hex') OFFSET 0) i, LATERAL $schema.guardrail_replay(check_id) r ORDER BY 1, 3});
}

# What a check that was interrupted must not leave: part of its rows, a look that is missing or double, a broken chain, a
# check that is not replayed identically (of the last 200). ARMS: the treatment arms that every check saw. Nothing: the
# empty string.
sub inconsistencies
{
	my ($node, $db, $arms) = @_;
	my $schema = $node->safe_psql($db, q{SELECT extnamespace::regnamespace FROM pg_extension WHERE extname = 'guardrail'});
	return $node->safe_psql($db, qq{
SET search_path = $schema;
WITH worked AS (SELECT * FROM guardrail_check_log WHERE error IS NULL AND status <> 'INVALID: plan changed after launch'),
  metrics AS (SELECT experiment_id, version AS plan_version, jsonb_object_keys(plan::jsonb -> 'rules') AS metric FROM guardrail_plan)
SELECT 'result is missing', check_id, variant || ' ' || metric FROM worked JOIN metrics USING (experiment_id, plan_version)
  WHERE variant IS NOT NULL AND NOT EXISTS (SELECT FROM guardrail_result_log r WHERE (r.check_id, r.variant, r.metric) = (worked.check_id, worked.variant, metrics.metric))
UNION ALL SELECT 'result of no check', check_id, metric FROM guardrail_result_log r WHERE NOT EXISTS (SELECT FROM worked w WHERE (w.check_id, w.variant, w.experiment_id) = (r.check_id, r.variant, r.experiment_id))
UNION ALL SELECT 'input of a look is missing', check_id, experiment_id FROM worked w WHERE look_no IS NOT NULL AND NOT EXISTS (SELECT FROM guardrail_check_input i WHERE (i.check_id, i.experiment_id, i.plan_version) = (w.check_id, w.experiment_id, w.plan_version))
UNION ALL SELECT 'input of no check', check_id, experiment_id FROM guardrail_check_input i WHERE NOT EXISTS (SELECT FROM worked w WHERE w.check_id = i.check_id)
UNION ALL SELECT 'arms', check_id, string_agg(coalesce(variant, 'NULL'), ' ') FROM worked GROUP BY check_id HAVING count(DISTINCT variant) <> $arms OR count(*) <> $arms
UNION ALL SELECT 'one check, two things', check_id, string_agg(DISTINCT experiment_id, ' ') FROM guardrail_check_log GROUP BY check_id HAVING count(DISTINCT (experiment_id, checked_at, error, look_no)) > 1
UNION ALL SELECT 'looks', max(look_no), experiment_id FROM (SELECT DISTINCT experiment_id, plan_version, check_id, look_no FROM guardrail_check_log WHERE look_no IS NOT NULL) l
  GROUP BY experiment_id, plan_version HAVING max(look_no) <> count(*) OR min(look_no) <> 1 OR count(DISTINCT look_no) <> count(*) OR array_agg(look_no ORDER BY look_no) <> array_agg(look_no ORDER BY check_id)
UNION ALL SELECT 'plan', version, finding FROM guardrail_experiment e, LATERAL guardrail_verify(experiment_id) WHERE state <> 'draft' AND NOT intact
UNION ALL SELECT 'replay', check_id, differences FROM guardrail_check_input i, LATERAL guardrail_replay(check_id) WHERE check_id > (SELECT max(check_id) - 200 FROM guardrail_check_log) AND NOT identical});
}

1;
