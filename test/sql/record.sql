-- guardrail_check and what it records; guardrail_launch, guardrail_stop, guardrail_assert_shippable.
--
-- Expected: the live answers of guardrail_decide and guardrail_evaluate at the same moment, and what the documentation
-- says of each error.
SET client_min_messages = warning;
CREATE EXTENSION guardrail;
-- these tests are of the fixed design, whatever else is planned
ALTER TABLE guardrail_experiment ALTER monitoring SET DEFAULT 'fixed';
CREATE ROLE regress_guardrail_owner;
CREATE ROLE regress_guardrail_checker;
CREATE SCHEMA record_test;
GRANT USAGE ON SCHEMA record_test TO PUBLIC;
SET search_path = record_test, public;
CREATE TABLE ev (experiment_id text, user_id bigint GENERATED ALWAYS AS IDENTITY, variant text, x float8, goal float8, extra float8);
CREATE FUNCTION arm(experiment text, variant text, n int, mean float8, goal float8) RETURNS void LANGUAGE sql AS $$
  INSERT INTO ev (experiment_id, variant, x, goal, extra) SELECT $1, $2, $4 + CASE WHEN i % 2 = 0 THEN 10 ELSE -10 END, $5 + CASE WHEN i % 4 < 2 THEN 10 ELSE -10 END, i FROM generate_series(1, n) i $$;
CREATE FUNCTION experiment(id text, events regclass DEFAULT 'ev') RETURNS void LANGUAGE sql AS $$
  INSERT INTO guardrail_experiment (experiment_id, events, planned_units) VALUES ($1, $2, 400);
  INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES ($1, 'load', 'guardrail', 'mean', 'x', 'higher', 'difference', 5), ($1, 'sales', 'primary', 'mean', 'goal', 'lower', 'difference', 1) $$;
SELECT experiment(e), arm(e, 'control', 200, 100, 50), arm(e, 'treatment', 200, load, goal) FROM (VALUES ('a ships', 100, 60), ('b blocks', 130, 60), ('c holds', 100, 50), ('d fails', 100, 60)) AS v(e, load, goal);

-- ---- launch and stop

SELECT guardrail_launch('nosuch');
SELECT guardrail_launch(NULL);
CALL guardrail_check('a ships');
SELECT count(*) AS recorded FROM guardrail_check_log;
SELECT guardrail_stop('a ships');
INSERT INTO guardrail_experiment (experiment_id, events) VALUES ('no rules', 'ev');
SELECT guardrail_launch('no rules');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES ('no rules', 'g', 'guardrail', 'mean', 'x', 'higher', 'difference', 5);
SELECT guardrail_launch('no rules');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind) VALUES ('no rules', 'p', 'primary', 'mean', 'x', 'higher', NULL), ('no rules', 'q', 'primary', 'mean', 'x', 'higher', NULL);
SELECT guardrail_launch('no rules');
SELECT experiment_id, guardrail_launch(experiment_id) FROM guardrail_experiment WHERE experiment_id <> 'no rules' ORDER BY 1;
SELECT guardrail_launch('a ships');
SELECT experiment_id, state, launched_at = now() AS now, stopped_at, plan_version FROM guardrail_experiment WHERE experiment_id IN ('a ships', 'no rules') ORDER BY 1;
SELECT launched_at IS NOT NULL AS launched FROM guardrail_experiment WHERE experiment_id = 'a ships';

-- ---- what is recorded is what the live functions say

CALL guardrail_check('nosuch');
CALL guardrail_check();
SELECT experiment_id, variant, verdict, status, primary_status, plan_version, error, check_id FROM guardrail_verdict ORDER BY experiment_id;
SELECT count(*) AS verdicts, count(*) FILTER (WHERE to_jsonb(v) @> to_jsonb(d) - 'reason') AS same FROM guardrail_verdict v JOIN LATERAL guardrail_decide(v.experiment_id) d USING (variant);
SELECT count(*) AS results, count(*) FILTER (WHERE to_jsonb(r) @> to_jsonb(e)) AS same FROM guardrail_result r JOIN LATERAL guardrail_evaluate(r.experiment_id) e USING (variant, metric);
SELECT guardrail_status();
SELECT checked_at BETWEEN now() AND clock_timestamp() OR checked_at > now() - interval '1 minute' AS recent FROM guardrail_verdict WHERE experiment_id = 'a ships';
-- one of them again: the views show the last check of each
CALL guardrail_check('b blocks');
SELECT experiment_id, check_id FROM guardrail_verdict ORDER BY 1;
SELECT count(*) AS checks, count(DISTINCT check_id) AS ids FROM guardrail_check_log;

-- ---- a check that fails is recorded, and does not stop the others

ALTER TABLE ev RENAME user_id TO renamed;
SELECT e, guardrail_amend(e, 'the column was renamed', '{"experiment": {"unit_column": "renamed"}}') FROM unnest('{a ships,b blocks,c holds}'::text[]) e;
SELECT e, guardrail_waive(e, 'treatment', 'unit_column', 'the same column by another name') FROM unnest('{a ships,b blocks,c holds}'::text[]) e;
SET client_min_messages = warning;
CALL guardrail_check();
SELECT experiment_id, variant, verdict, status, reason, error, check_id FROM guardrail_verdict ORDER BY experiment_id;
SELECT count(*) AS results_of_the_failed FROM guardrail_result WHERE experiment_id = 'd fails';
SELECT guardrail_status();
SELECT guardrail_status('d fails');
ALTER TABLE ev RENAME renamed TO user_id;
SELECT e, guardrail_amend(e, 'and renamed again', '{"experiment": {"unit_column": "user_id"}}') FROM unnest('{a ships,b blocks,c holds}'::text[]) e;
CALL guardrail_check('d fails');
SELECT experiment_id, verdict, status, error FROM guardrail_verdict WHERE experiment_id = 'd fails';
SELECT arm_no, verdict, error FROM guardrail_check_log WHERE experiment_id = 'd fails' ORDER BY check_id, arm_no;

-- every way to fail: the others still go on
CREATE TABLE goes AS SELECT 'goes'::text AS experiment_id, i AS user_id, CASE WHEN i % 2 = 0 THEN 'control' ELSE 'treatment' END AS variant, i % 3 AS x, i % 5 AS goal FROM generate_series(1, 400) i;
CREATE MATERIALIZED VIEW unpopulated AS SELECT * FROM goes;
CREATE FUNCTION fails(int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE EXCEPTION 'it fails' USING ERRCODE = current_setting('fails.code', true); END $$;
SELECT experiment('e dropped', 'goes'), experiment('f unpopulated', 'unpopulated'), experiment('g without rules', 'goes'), experiment('h divides', 'goes'), experiment('i raises', 'goes'), experiment('j last', 'goes');
INSERT INTO goes SELECT e, user_id, variant, x, goal FROM goes, unnest('{e dropped,f unpopulated,g without rules,h divides,i raises,j last}'::text[]) e;
UPDATE guardrail_rule SET value = '10 / x' WHERE experiment_id = 'h divides' AND metric = 'load';
UPDATE guardrail_rule SET value = 'record_test.fails(x)' WHERE experiment_id = 'i raises' AND metric = 'load';
CREATE TABLE gone AS SELECT * FROM goes;
UPDATE guardrail_experiment SET events = 'gone' WHERE experiment_id = 'e dropped';
SELECT guardrail_launch(e, unseen => e = 'f unpopulated') FROM unnest('{e dropped,f unpopulated,g without rules,h divides,i raises,j last}'::text[]) e;
DROP TABLE gone;
REFRESH MATERIALIZED VIEW unpopulated WITH NO DATA;
ALTER TABLE guardrail_rule DISABLE TRIGGER guardrail_frozen;
DELETE FROM guardrail_rule WHERE experiment_id = 'g without rules';
ALTER TABLE guardrail_rule ENABLE TRIGGER guardrail_frozen;
SELECT guardrail_stop(e) FROM unnest('{a ships,b blocks,c holds,d fails}'::text[]) e;
SET fails.code = '22000';
SET client_min_messages = error;
CALL guardrail_check();
SELECT experiment_id, variant, verdict, status, regexp_replace(error, 'OID \d+', 'OID ...') AS error FROM guardrail_verdict WHERE experiment_id > 'e' ORDER BY experiment_id;
-- whatever the code of the error
DO $$
DECLARE code text;
BEGIN
  FOREACH code IN ARRAY '{55000,53000,53400,53200,40001,XX000,P0004}'::text[] LOOP
    PERFORM set_config('fails.code', code, true);
    CALL guardrail_check();
  END LOOP;
END $$;
SELECT experiment_id, count(*) AS checks, count(error) AS failed FROM guardrail_check_log WHERE experiment_id IN ('i raises', 'j last') GROUP BY 1 ORDER BY 1;
RESET fails.code;
SET client_min_messages = warning;

-- an arm's name that no index takes is no arm
CREATE TABLE names AS SELECT 'i names'::text AS experiment_id, i AS user_id, CASE i % 2 WHEN 0 THEN 'control' ELSE (SELECT string_agg(md5(k::text), '') FROM generate_series(1, 300) k) END AS variant, i % 3 AS x, i AS goal FROM generate_series(1, 400) i;
SELECT experiment('i names', 'names');
SELECT guardrail_launch('i names');
SET client_min_messages = error;
CALL guardrail_check();
SET client_min_messages = warning;
SELECT experiment_id, variant, left(error, 20) AS error FROM guardrail_verdict WHERE experiment_id IN ('i names', 'j last') ORDER BY 1;
SELECT guardrail_stop('i names');

-- stopped ones are checked when they are named
CALL guardrail_check('a ships');
SELECT verdict, plan_version FROM guardrail_verdict WHERE experiment_id = 'a ships';
-- an experiment without a treatment arm has one line that says so
CREATE TABLE alone AS SELECT 'k alone'::text AS experiment_id, i AS user_id, 'control'::text AS variant, i AS x, i AS goal FROM generate_series(1, 200) i;
SELECT experiment('k alone', 'alone');
SELECT guardrail_launch('k alone');
CALL guardrail_check('k alone');
SELECT variant, verdict, status, reason FROM guardrail_verdict WHERE experiment_id = 'k alone';

-- ---- a deploy job

SELECT guardrail_assert_shippable('a ships', 'treatment');
SELECT guardrail_assert_shippable('a ships', 'treatment', '1 hour');
SELECT guardrail_assert_shippable('a ships', 'control');
SELECT guardrail_assert_shippable('b blocks', 'treatment');
SELECT guardrail_assert_shippable('nosuch', 'treatment');
SELECT guardrail_assert_shippable('a ships', NULL);
SELECT guardrail_assert_shippable(NULL, 'treatment');
SELECT guardrail_assert_shippable('a ships', 'treatment', NULL);
\set VERBOSITY terse
SELECT guardrail_assert_shippable('a ships', 'treatment', '0 seconds');
SELECT guardrail_assert_shippable('a ships', 'treatment', '-1 day');
\set VERBOSITY default

-- ---- nothing is recorded that is rolled back or may not be written

SELECT count(*) AS before FROM guardrail_check_log \gset
BEGIN;
CALL guardrail_check('a ships');
ROLLBACK;
BEGIN READ ONLY;
CALL guardrail_check('a ships');
ROLLBACK;
SELECT count(*) - :before AS recorded FROM guardrail_check_log;

-- ---- rights: who checks is granted, whose rights are used is the owner's

GRANT SELECT ON ev TO regress_guardrail_owner;
GRANT SELECT ON guardrail_experiment, guardrail_rule, guardrail_verdict, guardrail_result, guardrail_check_log TO regress_guardrail_owner, regress_guardrail_checker;
UPDATE guardrail_experiment SET owner = 'regress_guardrail_owner' WHERE experiment_id = 'no rules';
SET ROLE regress_guardrail_checker;
CALL guardrail_check('a ships');
SELECT guardrail_stop('c holds');
SELECT guardrail_launch('no rules');
SELECT guardrail_status('a ships');
SELECT verdict FROM guardrail_verdict WHERE experiment_id = 'a ships';
INSERT INTO guardrail_check_log SELECT * FROM guardrail_check_log;
RESET ROLE;

SET client_min_messages = warning;
DROP SCHEMA record_test CASCADE;
DROP EXTENSION guardrail;
DROP ROLE regress_guardrail_owner, regress_guardrail_checker;
