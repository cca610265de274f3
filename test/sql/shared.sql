-- guardrail_check() over experiments that have their events in one relation: one scan for all of them, where it costs less.
--
-- Expected: what a scan for each says; the server's own count of sequential scans.
SET client_min_messages = warning;
CREATE EXTENSION guardrail;
CREATE SCHEMA shared_test;
SET search_path = shared_test, public;
SET max_parallel_workers_per_gather = 0;
SELECT setseed(0.2);
CREATE TABLE ev (experiment_id text, user_id int, variant text, at timestamptz, x numeric, y boolean);
INSERT INTO ev SELECT 'e' || i % 7, random() * 500, CASE WHEN i % 7 = 5 AND i % 3 = 0 THEN 'b' WHEN random() < 0.01 THEN NULL ELSE 'x' END, '2026-01-01'::timestamptz + i * interval '1 minute', CASE WHEN i % 50 = 0 THEN NULL ELSE round((random() * 100)::numeric, 2) END, random() < 0.2 FROM generate_series(1, 20000) i;
UPDATE ev SET variant = (ARRAY['control', 'treatment'])[1 + user_id % 2] WHERE variant = 'x';
ANALYZE ev;
INSERT INTO guardrail_experiment (experiment_id, events, shares, time_column, starts_at, ends_at) SELECT 'e' || e, 'ev', CASE e WHEN 1 THEN '{"control": 1, "treatment": 1}'::jsonb END, CASE WHEN e IN (2, 3) THEN 'at' END, CASE e WHEN 2 THEN '2026-01-03'::timestamptz END, CASE e WHEN 3 THEN '2026-01-10'::timestamptz END FROM generate_series(0, 6) e;
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, filter, quantile, worse, limit_kind, limit_value)
SELECT e.experiment_id, r.* FROM guardrail_experiment e, (VALUES ('load', 'guardrail', 'mean', 'x', NULL, NULL::float8, 'higher', 'difference', 5), ('p95', 'guardrail', 'quantile', 'x', 'x > 0', 0.95, 'higher', 'difference', 5), ('goal', 'primary', 'proportion', 'y', NULL, NULL, 'lower', 'difference', 0)) r;
-- each with something of its own
UPDATE guardrail_rule SET value = '100 / (x - 150)' WHERE experiment_id = 'e4' AND metric = 'load';
UPDATE guardrail_rule SET cap_quantile = 0.9 WHERE experiment_id = 'e6' AND metric = 'load';
SELECT count(guardrail_launch(experiment_id)) FROM guardrail_experiment;

CREATE FUNCTION scans() RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN PERFORM pg_stat_force_next_flush(); PERFORM pg_stat_clear_snapshot(); RETURN pg_stat_get_numscans('ev'::regclass); END $$;
-- a bound that is not there is NULL in the views
CREATE FUNCTION finite(jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT regexp_replace($1::text, '"-?Infinity"', 'null', 'g')::jsonb $$;
CREATE FUNCTION compared() RETURNS TABLE (verdicts bigint, same bigint, results bigint, same_results bigint) LANGUAGE sql AS $$
  SELECT (SELECT count(*) FROM guardrail_verdict), (SELECT count(*) FROM guardrail_verdict v JOIN LATERAL guardrail_decide(v.experiment_id) d USING (variant) WHERE to_jsonb(v) @> finite(to_jsonb(d))),
         (SELECT count(*) FROM guardrail_result), (SELECT count(*) FROM guardrail_result v JOIN LATERAL guardrail_evaluate(v.experiment_id) d USING (variant, metric) WHERE to_jsonb(v) @> finite(to_jsonb(d))) $$;
SELECT scans() AS before \gset
SELECT scans() AS before \gset
CALL guardrail_check();
SELECT scans() AS after \gset
SELECT scans() - :before AS scans;
SELECT * FROM compared();
SELECT count(*) AS replayed, bool_and(identical) AS identical FROM guardrail_check_input, guardrail_replay(check_id);
-- in a transaction of one's own events
BEGIN;
DELETE FROM ev WHERE user_id < 100;
CALL guardrail_check();
SELECT count(*) AS results, count(*) FILTER (WHERE v.control_value = d.control_value AND v.treatment_value = d.treatment_value AND v.units_treatment = d.units_treatment AND v.events_control = d.events_control) AS same
  FROM guardrail_result v JOIN LATERAL guardrail_evaluate(v.experiment_id) d USING (variant, metric);
ROLLBACK;
-- one that fails fails by itself, and does not stop the scan for the others
UPDATE ev SET x = 150 WHERE experiment_id = 'e4' AND user_id = 7;
SET client_min_messages = error;
CALL guardrail_check();
SET client_min_messages = warning;
SELECT experiment_id, variant, status, error FROM guardrail_verdict WHERE status LIKE 'UNMEASURED%' ORDER BY 1, 2;
UPDATE ev SET x = 10 WHERE experiment_id = 'e4' AND user_id = 7;
-- memory for one, not for all of them: their own scans
SET guardrail.unit_memory = '200kB';
CALL guardrail_check();
SELECT * FROM compared();
RESET guardrail.unit_memory;
-- an index that finds each one's rows is better
CREATE INDEX ON ev (experiment_id) INCLUDE (user_id, variant, at, x, y);
VACUUM ANALYZE ev;
SET enable_seqscan = off;
SELECT scans() AS before \gset
SELECT scans() AS before \gset
CALL guardrail_check();
SELECT scans() AS after \gset
SELECT scans() - :before AS scans;
SELECT * FROM compared();
RESET enable_seqscan;

SET client_min_messages = warning;
DROP SCHEMA shared_test CASCADE;
DROP EXTENSION guardrail;
