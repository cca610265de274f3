-- A fixed test is one test: the first recorded check after its end decides, later ones show that decision.
--
-- Expected: by counting; the numbers of the first check after the end, whatever came later.
SET client_min_messages = error;
CREATE EXTENSION guardrail;
-- every check is replayed
SET guardrail.all_inputs = on;
CREATE SCHEMA fixed_test;
SET search_path = fixed_test, public;
CREATE TABLE ev (id bigint GENERATED ALWAYS AS IDENTITY, experiment_id text, user_id bigint, variant text, at timestamptz, x float8, load float8, g text);
CREATE PROCEDURE more(e text, first int, last int, harm float8) LANGUAGE sql AS $$
  INSERT INTO ev (experiment_id, user_id, variant, at, x, load, g) SELECT e, u, (ARRAY['control', 'treatment'])[1 + u % 2], now() - interval '10 days', u % 5 + u % 2, u % 7 + harm * (u % 2), (u / 2) % 3 FROM generate_series(first, last) u $$;
INSERT INTO guardrail_experiment (experiment_id, events, monitoring, planned_units, time_column, ends_at, cursor_column, segments)
VALUES ('planned', 'ev', 'fixed', 1000, 'at', NULL, NULL, NULL), ('ends', 'ev', 'fixed', NULL, 'at', now() - interval '1 day', NULL, NULL), ('stopped', 'ev', 'fixed', NULL, 'at', NULL, NULL, NULL),
  ('cursor', 'ev', 'fixed', 1000, 'at', NULL, 'id', NULL), ('segments', 'ev', 'fixed', 1000, 'at', NULL, NULL, '{g}');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, quantile, evidence, segment_veto, worse, limit_kind, limit_value) SELECT e, m, r, k, v, q, ev, CASE WHEN e = 'segments' AND m = 'load' THEN true END, w, 'difference', l
  FROM unnest('{planned,ends,stopped,cursor,segments}'::text[]) e, (VALUES ('x', 'primary', 'mean', 'x', NULL::float8, 'breach', 'lower', 0), ('load', 'guardrail', 'mean', 'load', NULL, 'breach', 'higher', 1), ('p90', 'guardrail', 'quantile', 'load', 0.9, 'breach', 'higher', 2), ('point', 'guardrail', 'mean', 'load', NULL, 'point', 'higher', 1)) v (m, r, k, v, q, ev, w, l);
SELECT count(guardrail_launch(experiment_id)) FROM guardrail_experiment;
CREATE PROCEDURE all_more(first int, last int, harm float8) LANGUAGE plpgsql AS $$ DECLARE e text; BEGIN FOREACH e IN ARRAY '{planned,ends,stopped,cursor,segments}'::text[] LOOP CALL more(e, first, last, harm); END LOOP; END $$;

-- before the end: nothing but point rules, and no decision
CALL all_more(1, 600, 0);
CALL guardrail_check();
SELECT experiment_id, verdict, status, information, units_treatment FROM guardrail_verdict ORDER BY 1;
-- after it: decided
CALL all_more(601, 1000, 0);
SELECT count(*) AS stopped FROM (SELECT guardrail_stop('stopped')) s;
CALL guardrail_check();
CALL guardrail_check('stopped');
SELECT experiment_id, verdict, status, units_control, units_treatment, reason FROM guardrail_verdict ORDER BY 1;
CREATE TABLE decided AS SELECT experiment_id, metric, status, effect, effect_lower, effect_upper, p_breach, p_safe, p_value, units_treatment, events_treatment, reason FROM guardrail_result;
-- harm that comes later: the test is over; 1,000 units and as many events of each are counted, and 1,400 of the one that its first check decided
CALL all_more(1001, 2000, 9);
CALL guardrail_check();
CALL guardrail_check('stopped');
SELECT experiment_id, verdict, status, units_treatment, substring(reason from 'decided by .*') AS decided FROM guardrail_verdict ORDER BY 1;
SELECT count(*) AS results, count(*) FILTER (WHERE (d.*) IS DISTINCT FROM (r.experiment_id, r.metric, r.status, r.effect, r.effect_lower, r.effect_upper, r.p_breach, r.p_safe, r.p_value, r.units_treatment, r.events_treatment, r.reason)) AS otherwise
  FROM decided d JOIN guardrail_result r USING (experiment_id, metric);
-- a live call says the same
SELECT e AS experiment_id, d.verdict, d.status, d.units_treatment, substring(d.reason from 'decided by .*') AS decided FROM unnest('{cursor,ends,planned,segments,stopped}'::text[]) e, guardrail_decide(e) d;
SELECT guardrail_status('planned');
SELECT r.identical, count(*), max(r.differences) AS differences FROM (SELECT DISTINCT check_id FROM guardrail_check_log) c, guardrail_replay(c.check_id) r GROUP BY 1;
-- an expression that fails after the decision changes nothing, and the check that decided is not pruned
INSERT INTO ev (experiment_id, user_id, variant, at, x, load) SELECT 'planned', 1, 'treatment', now() - interval '10 days', 'NaN', 'Infinity';
ALTER TABLE ev RENAME load TO gone;
CALL guardrail_check('planned');
SELECT guardrail_prune('0 days') > 0 AS pruned;
ALTER TABLE ev RENAME gone TO load;
CALL guardrail_check('planned');
SELECT verdict, status, substring(reason from 'decided by .*') AS decided FROM guardrail_verdict WHERE experiment_id = 'planned';
-- an amended plan is decided anew, by what is there then
SELECT guardrail_amend('planned', 'another limit', '{"rules": {"load": {"limit_value": 2}, "point": {"limit_value": 2}}}');
CALL guardrail_check('planned');
SELECT verdict, status, units_treatment, substring(reason from 'decided by .*') AS decided FROM guardrail_verdict WHERE experiment_id = 'planned';

-- what was INVALID, or could not evaluate a rule, or waits for windows decides nothing
INSERT INTO guardrail_experiment (experiment_id, events, monitoring, planned_units, time_column, shares) VALUES ('late', 'ev', 'fixed', 500, 'at', '{"control": 1, "treatment": 1}');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES ('late', 'x', 'primary', 'mean', 'x', 'lower', 'difference', 0), ('late', 'load', 'guardrail', 'mean', 'load', 'higher', 'difference', 1);
CALL more('late', 1, 1000, 0);
INSERT INTO ev (experiment_id, user_id, variant, at, x, load) SELECT 'late', u, 'control', now() - interval '10 days', 1, 1 FROM generate_series(3001, 3400) u;
SELECT guardrail_launch('late');
CALL guardrail_check('late');
SELECT verdict, status FROM guardrail_verdict WHERE experiment_id = 'late';
DELETE FROM ev WHERE experiment_id = 'late' AND user_id > 3000;
ALTER TABLE ev RENAME load TO gone;
CALL guardrail_check('late');
SELECT verdict, status FROM guardrail_verdict WHERE experiment_id = 'late';
ALTER TABLE ev RENAME gone TO load;
CALL guardrail_check('late');
SELECT verdict, status, look_no FROM guardrail_verdict JOIN guardrail_check_log USING (check_id, experiment_id, variant, verdict, status) WHERE experiment_id = 'late';
-- harm that a check after the end has found stands, though that check could not judge another rule, and so decided nothing
INSERT INTO guardrail_experiment (experiment_id, events, monitoring, planned_units, time_column) VALUES ('stands', 'ev', 'fixed', 500, 'at'), ('windows', 'ev', 'fixed', 500, 'at'), ('secondary', 'ev', 'fixed', 500, 'at');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, window_length, worse, limit_kind, limit_value) VALUES ('stands', 'x', 'primary', 'mean', 'x', NULL, 'lower', 'difference', 0), ('stands', 'load', 'guardrail', 'mean', 'load', NULL, 'higher', 'difference', 1), ('stands', 'other', 'guardrail', 'ratio', 'x', NULL, 'lower', 'difference', 1),
  ('windows', 'x', 'primary', 'mean', 'x', NULL, 'lower', 'difference', 0), ('windows', 'load', 'guardrail', 'mean', 'load', '100 days', 'higher', 'difference', 1), ('secondary', 'x', 'primary', 'mean', 'x', NULL, 'lower', 'difference', 0), ('secondary', 'load', 'secondary', 'mean', '1 / (user_id - 7)', NULL, 'higher', 'difference', 1);
UPDATE guardrail_rule SET denominator = '1 / (user_id - 7)' WHERE experiment_id = 'stands' AND metric = 'other';
SELECT count(guardrail_launch(e)) FROM unnest('{stands,windows,secondary}'::text[]) e;
CALL more('stands', 1, 600, 9);
CALL more('windows', 1, 600, 0);
CALL more('secondary', 1, 600, 0);
SELECT count(*) FROM (SELECT guardrail_stop('windows')) s;
CALL guardrail_check();
CALL guardrail_check('windows');
SELECT experiment_id, verdict, status, look_no FROM guardrail_verdict JOIN guardrail_check_log USING (check_id, experiment_id, variant, verdict, status) WHERE experiment_id IN ('stands', 'windows', 'secondary') ORDER BY 1;
DELETE FROM ev WHERE experiment_id = 'stands' AND user_id = 7;
UPDATE ev SET load = 1 WHERE experiment_id = 'stands';
CALL guardrail_check('stands');
SELECT verdict, status, look_no FROM guardrail_verdict JOIN guardrail_check_log USING (check_id, experiment_id, variant, verdict, status) WHERE experiment_id = 'stands';
-- a note, and there and back, buy no second test; another limit does, and says so
CALL more('late', 1001, 3000, 9);
SELECT guardrail_amend('late', 'a note', '{"rules": {"load": {"note": "typo"}}}');
CALL guardrail_check('late');
SELECT verdict, status, substring(reason from 'decided by .*') IS NOT NULL AS decided, reason LIKE '%plan version 2, amended after data' AS amended FROM guardrail_verdict WHERE experiment_id = 'late';
SELECT guardrail_amend('late', 'there', '{"rules": {"load": {"limit_value": 2}}}');
CALL guardrail_check('late');
SELECT verdict, status FROM guardrail_verdict WHERE experiment_id = 'late';
SELECT guardrail_amend('late', 'and back', '{"rules": {"load": {"limit_value": 1}}}');
CALL guardrail_check('late');
SELECT verdict, status, substring(reason from 'decided by .*') IS NOT NULL AS decided FROM guardrail_verdict WHERE experiment_id = 'late';
SELECT r.identical, count(*), max(r.differences) AS differences FROM (SELECT DISTINCT check_id FROM guardrail_check_input) c, guardrail_replay(c.check_id) r GROUP BY 1;
DROP SCHEMA fixed_test CASCADE;
DROP EXTENSION guardrail;
