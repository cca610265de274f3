-- What BI tools and people read: the views' columns and order, bounds that are not there, the state of an experiment.
--
-- Expected, by hand: the columns and units that the documentation names; verdicts, states and their order; levels, in a test
-- where nothing is BREACHED, are 1 - 0.10 / 4 of the breach tests (Holm over the four that are tested), 1 - 0.10 of the
-- safety tests and 1 - 0.05 / 2 of the primary metric; below min_units, and on a point rule, there is no bound.
SET client_min_messages = warning;
CREATE EXTENSION guardrail;
CREATE ROLE "regress guardrail BI";
CREATE TABLE ev (experiment_id text, user_id int, variant text, x float8, goal float8, ok boolean);
-- in each 400 units an arm; the treatment of "b blocks" is 30 worse; "d few" has 20 units
INSERT INTO ev SELECT e, i, CASE WHEN i % 2 = 0 THEN 'control' ELSE 'treatment' END,
  100 + i % 7 + CASE WHEN e = 'b blocks' AND i % 2 = 1 THEN 30 ELSE 0 END, 50 + i % 5 + CASE WHEN i % 2 = 1 THEN 5 ELSE 0 END, i % 3 = 0
FROM (VALUES ('a ships', 800), ('b blocks', 800), ('c stopped', 800), ('d few', 20)) AS v(e, n), generate_series(1, n) i;
INSERT INTO guardrail_experiment (experiment_id, events, monitoring, planned_units, description, owner)
  SELECT e, 'ev'::regclass, 'always_valid', 800, initcap(e), '"regress guardrail BI"'::regrole FROM unnest('{d few,c stopped,b blocks,a ships}'::text[]) e;
GRANT SELECT ON ev TO "regress guardrail BI";
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value, display_unit, evidence)
  SELECT experiment_id, v.* FROM guardrail_experiment CROSS JOIN (VALUES
    ('load', 'guardrail', 'mean', 'x', 'higher', 'difference', 5, 'ms', 'breach'),
    ('load share', 'guardrail', 'mean', 'x', 'higher', 'relative', 0.2, 'ms', 'breach'),
    ('ok', 'guardrail', 'proportion', 'ok', 'lower', 'difference', 0.2, NULL, 'breach'),
    ('ok at all', 'guardrail', 'proportion', 'ok', 'lower', 'absolute', 0.01, NULL, 'breach'),
    ('plain', 'guardrail', 'mean', 'x', 'higher', 'difference', 500, '', 'point'),
    ('sales', 'primary', 'mean', 'goal', 'lower', 'significance', NULL, 'EUR', 'breach')) AS v(metric, role, kind, value, worse, limit_kind, limit_value, display_unit, evidence);
SELECT count(guardrail_launch(experiment_id)) AS launched FROM guardrail_experiment;
CALL guardrail_check();
SELECT count(guardrail_stop(e)) AS stopped FROM unnest('{c stopped}'::text[]) e;

-- ---- who it is, how it stands: the running ones first, the worst first

SELECT experiment_id, variant, verdict, state, description, owner, launched_at = (SELECT e.launched_at FROM guardrail_experiment e WHERE e.experiment_id = v.experiment_id) AS launched FROM guardrail_verdict v;
SELECT verdict, state, description, owner, launched_at IS NOT NULL AS launched FROM guardrail_decide('c stopped');
SELECT experiment_id, metric, state FROM guardrail_result WHERE metric IN ('sales', 'ok', 'load');
-- a draft has no recorded verdict, but a live one
INSERT INTO guardrail_experiment (experiment_id, events) VALUES ('e draft', 'ev');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind) VALUES ('e draft', 'sales', 'primary', 'mean', 'goal', 'lower', 'significance');
INSERT INTO ev SELECT 'e draft', user_id, variant, x, goal, ok FROM ev WHERE experiment_id = 'd few';
SELECT verdict, state, description, owner = current_user AS mine, launched_at FROM guardrail_decide('e draft');
-- functions and views have the same columns, and those of the views come last that a version has added
SELECT string_agg(column_name || ' ' || data_type, ', ' ORDER BY ordinal_position) FROM information_schema.columns WHERE table_name = 'guardrail_verdict' AND column_name IN ('state', 'description', 'owner', 'launched_at');
SELECT string_agg(column_name || ' ' || data_type, ', ' ORDER BY ordinal_position) FROM information_schema.columns WHERE table_name = 'guardrail_result' AND column_name IN ('effect_unit', 'level_lower', 'level_upper', 'state');

-- ---- the unit of an effect, and the levels of its bounds

SELECT metric, effect_unit, round(level_lower::numeric, 4) AS level_lower, round(level_upper::numeric, 4) AS level_upper, effect_lower IS NULL AS no_lower, effect_upper IS NULL AS no_upper FROM guardrail_result WHERE experiment_id = 'a ships';
SELECT metric, reason FROM guardrail_result WHERE experiment_id = 'a ships';

-- ---- no bound: infinite from a function, NULL in a view

SELECT metric, effect_lower, effect_upper, level_lower, level_upper FROM guardrail_evaluate('d few');
SELECT metric, effect_lower, effect_upper, level_lower, level_upper FROM guardrail_result WHERE experiment_id = 'd few';
SELECT primary_lower, primary_upper FROM guardrail_decide('d few');
SELECT primary_lower, primary_upper FROM guardrail_verdict WHERE experiment_id = 'd few';
-- in no view, whatever the column
SELECT (SELECT count(*) FROM guardrail_verdict v WHERE to_jsonb(v)::text ~ '"-?Infinity"') AS verdicts, (SELECT count(*) FROM guardrail_result v WHERE to_jsonb(v)::text ~ '"-?Infinity"') AS results,
  (SELECT count(*) FROM guardrail_segment_result v WHERE to_jsonb(v)::text ~ '"-?Infinity"') AS segments, (SELECT count(*) > 0 FROM guardrail_result_log v WHERE to_jsonb(v)::text ~ '"-?Infinity"') AS in_the_log;
-- a level stands where a bound stands, and nowhere else
SELECT count(*) AS results, count(*) FILTER (WHERE (level_lower IS NULL) = (effect_lower IS NULL) AND (level_upper IS NULL) = (effect_upper IS NULL)) AS fit FROM guardrail_result;
-- what is recorded is replayed
SELECT DISTINCT r.identical, r.differences FROM guardrail_verdict v, guardrail_replay(v.check_id) r;

-- ---- one experiment of many is found by an index

SET enable_seqscan = off;
CREATE FUNCTION plan_of(query text) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RETURN QUERY EXECUTE 'EXPLAIN (COSTS off) ' || query; END $$;
SELECT count(*) FILTER (WHERE line LIKE '%Index Scan%guardrail_experiment %' OR line ~ 'Index.*guardrail_experiment_pkey') > 0 AS experiment, count(*) FILTER (WHERE line ~ 'Index.*guardrail_result_log') > 0 AS results
FROM plan_of($$SELECT * FROM guardrail_result WHERE experiment_id = 'a ships'$$) line;
RESET enable_seqscan;

DROP EXTENSION guardrail;
DROP TABLE ev;
DROP FUNCTION plan_of(text);
DROP ROLE "regress guardrail BI";
