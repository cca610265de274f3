# What pg_dump writes, restored: experiments in every state, rules, logs, the sequence, and what goes on from there.
#
# Expected: the rows of the original database, read as text.

use strict;
use warnings;
use PostgreSQL::Test::Cluster;
use PostgreSQL::Test::Utils;
use Test::More;

my $node = PostgreSQL::Test::Cluster->new('main');
$node->init;
$node->append_conf('postgresql.conf', "timezone = 'UTC'\n");
$node->start;
$node->safe_psql('postgres', 'CREATE ROLE analyst');

# every table, row by row; regclass and regrole as names
my $content = q{
SET search_path = guard;
SELECT 'experiment', e::text FROM guardrail_experiment e ORDER BY 2;
SELECT 'rule', r::text FROM guardrail_rule r ORDER BY 2;
SELECT 'check', c::text FROM guardrail_check_log c ORDER BY 2;
SELECT 'result', r::text FROM guardrail_result_log r ORDER BY 2;
SELECT 'verdict', v::text FROM guardrail_verdict v ORDER BY 2;
SELECT 'view', r::text FROM guardrail_result r ORDER BY 2;
SELECT 'sequence', last_value FROM guardrail_check_id;
SELECT 'summary', id, s::text, h::text FROM shop.kept ORDER BY id;
};

$node->safe_psql('postgres', 'CREATE DATABASE original');
$node->safe_psql('original', q{
CREATE SCHEMA guard;
CREATE SCHEMA shop;
CREATE EXTENSION guardrail SCHEMA guard;
GRANT USAGE ON SCHEMA shop, guard TO analyst;
CREATE TABLE shop.ev AS
  SELECT e AS experiment_id, i AS user_id, CASE WHEN i % 2 = 0 THEN 'control' ELSE 'treatment' END AS variant,
         '2026-01-01'::timestamptz + i * interval '1 minute' AS at, 100 + i % 7 + CASE WHEN e = 'blocks' AND i % 2 = 1 THEN 50 ELSE 0 END AS x,
         i % 5 + i % 2 AS goal, 1 AS doomed
    FROM unnest('{ships,blocks,stopped,draft,fails}'::text[]) e, generate_series(1, 600) i;
GRANT SELECT ON shop.ev TO analyst;
CREATE FUNCTION shop.twice(int) RETURNS int LANGUAGE sql IMMUTABLE RETURN $1 * 2;
CREATE VIEW shop.ev_view AS SELECT * FROM shop.ev;
CREATE MATERIALIZED VIEW shop.ev_matview AS SELECT * FROM shop.ev;
CREATE TABLE shop.kept AS
  SELECT i % 3 AS id, guard.guardrail_summarize(exp(i / 10.0), i) AS s, guard.guardrail_histogram(i * 1.1) AS h FROM generate_series(1, 500) i GROUP BY 1;
INSERT INTO guard.guardrail_experiment (experiment_id, events, time_column, starts_at, planned_units, shares, owner, description)
VALUES ('ships', 'shop.ev', 'at', '2026-01-01', 500, '{"control": 1, "treatment": 1}', 'analyst', E'two\nlines\t\\and "quotes"'),
       ('blocks', 'shop.ev_view', NULL, NULL, 500, NULL, 'analyst', NULL), ('stopped', 'shop.ev_matview', NULL, NULL, NULL, NULL, 'analyst', NULL),
       ('draft', 'shop.ev', NULL, NULL, NULL, NULL, 'analyst', NULL), ('fails', 'shop.ev', NULL, NULL, NULL, NULL, 'analyst', NULL);
GRANT SELECT ON ALL TABLES IN SCHEMA shop TO analyst;
INSERT INTO guard.guardrail_rule (experiment_id, metric, role, kind, value, filter, quantile, worse, limit_kind, limit_value, evidence, display_unit, north_star, note)
SELECT experiment_id, r.* FROM guard.guardrail_experiment, (VALUES
  ('load', 'guardrail', 'mean', E'x -- the ''time''', NULL, NULL::float8, 'higher', 'difference', 10, 'breach', 'ms', false, E'a note;\n\\.'),
  ('p95', 'guardrail', 'quantile', 'shop.twice(x)', 'x > 0', 0.95, 'higher', 'relative', 0.1, 'safe', NULL, false, NULL),
  ('sales', 'primary', 'mean', 'goal', NULL, NULL, 'lower', 'difference', 0.1, 'breach', NULL, true, NULL)) AS r;
INSERT INTO guard.guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES ('fails', 'doomed', 'guardrail', 'mean', 'doomed', 'higher', 'difference', 1);
SELECT guard.guardrail_launch(experiment_id) FROM guard.guardrail_experiment WHERE experiment_id <> 'draft';
CALL guard.guardrail_check();
SELECT guard.guardrail_stop('stopped');
CALL guard.guardrail_check('stopped');
CALL guard.guardrail_check();
});
my $before = $node->safe_psql('original', $content);
like($before, qr/experiment\|\(ships,shop\.ev,.*running/, 'there are running experiments to dump');
like($before, qr/check\|.*BLOCK/, 'and verdicts');

my $dump = $PostgreSQL::Test::Utils::tmp_check . '/original.sql';
my $custom = $PostgreSQL::Test::Utils::tmp_check . '/original.dump';
$node->command_ok([ 'pg_dump', '-d', $node->connstr('original'), '-f', $dump ], 'pg_dump');
$node->command_ok([ 'pg_dump', '-Fc', '-d', $node->connstr('original'), '-f', $custom ], 'pg_dump -Fc');

$node->safe_psql('postgres', 'CREATE DATABASE plain');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('plain'), '-f', $dump ], 'restore by psql');
is($node->safe_psql('plain', $content), $before, 'plain: everything is there again');

$node->safe_psql('postgres', 'CREATE DATABASE custom');
$node->command_ok([ 'pg_restore', '--exit-on-error', '-d', $node->connstr('custom'), $custom ], 'restore by pg_restore');
is($node->safe_psql('custom', $content), $before, 'custom: everything is there again');

# it goes on where it was
my $last = $node->safe_psql('original', 'SELECT max(check_id) FROM guard.guardrail_check_log');
$node->safe_psql('plain', 'CALL guard.guardrail_check()');
is($node->safe_psql('plain', "SELECT min(check_id) - $last FROM guard.guardrail_check_log WHERE check_id > $last"), '1', 'checks are numbered on');
my $statuses = q{SELECT experiment_id, variant, verdict, status, reason FROM guard.guardrail_verdict ORDER BY 1};
is($node->safe_psql('plain', $statuses), $node->safe_psql('original', $statuses), 'the next check says the same');
is($node->safe_psql('plain', 'SELECT guard.guardrail_status()'), $node->safe_psql('original', 'SELECT guard.guardrail_status()'), 'so does the live status');
is($node->safe_psql('plain', q{SELECT tgenabled FROM pg_trigger WHERE tgname = 'guardrail_append_only'}), "O\nO", 'logs are append-only again');
isnt($node->psql('plain', q{UPDATE guard.guardrail_experiment SET state = 'draft' WHERE experiment_id = 'ships'}), 0, 'the state is guarded again');

# a dump of the dump is the dump
my $again = $PostgreSQL::Test::Utils::tmp_check . '/again.sql';
$node->command_ok([ 'pg_dump', '-d', $node->connstr('custom'), '-f', $again ], 'pg_dump of the restored');
sub lines { return join '', grep { !/^--|^\\(un)?restrict/ } split /^/, slurp_file(shift) }
is(lines($again), lines($dump), 'it is the same dump');

# rules that fit no longer, and events that are gone, do not stand in the way of a restore
$node->safe_psql('original', q{
CREATE TABLE shop.gone AS SELECT * FROM shop.ev;
INSERT INTO guard.guardrail_experiment (experiment_id, events, owner) VALUES ('lost', 'shop.gone', 'analyst');
DROP TABLE shop.gone;
ALTER TABLE shop.ev DROP doomed CASCADE;
CALL guard.guardrail_check('fails');
});
$before = $node->safe_psql('original', $content);
like($before, qr/column ""doomed"" does not exist/, 'an experiment whose column is gone');
unlink $dump;
$node->command_ok([ 'pg_dump', '-d', $node->connstr('original'), '-f', $dump ], 'pg_dump of what is broken');
$node->safe_psql('postgres', 'CREATE DATABASE broken');
$node->command_ok([ 'psql', '-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', $node->connstr('broken'), '-f', $dump ], 'it can be restored');
is($node->safe_psql('broken', $content), $before, 'as broken as it was');

# and it can be dropped
$node->safe_psql('broken', 'DROP EXTENSION guardrail CASCADE');
is($node->safe_psql('broken', q{SELECT count(*) FROM pg_class WHERE relname LIKE 'guardrail%'}), '0', 'DROP EXTENSION leaves no table');

$node->stop;
done_testing();
