-- Monitoring designs through recorded checks.
--
-- Expected multipliers are published: O'Brien-Fleming type spending, five equal
-- looks, one-sided 0.10: 3.4972 2.3566 1.8682 1.5936 1.4128 (Lan and DeMets);
-- one-sided normal mixture at v = n* = 100, alpha 0.05: 27.66071 on the scale of
-- the sum, 2.766071 standard errors (Howard et al. 2021).
\set VERBOSITY default
SET client_min_messages = warning;
CREATE EXTENSION guardrail;
CREATE TABLE monitored (user_id bigint, variant text, batch int, x float8, y float8);
-- two arms, batches alike: the effect stays, its error shrinks
INSERT INTO monitored
SELECT b * 1000 + a * 500 + u, (ARRAY['control', 'treatment'])[a + 1], b, u % 10 + a * 0.5, u % 7
FROM generate_series(1, 5) b, generate_series(0, 1) a, generate_series(1, 100) u;
CREATE TABLE seen (LIKE monitored);
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, planned_units, monitoring, spending)
VALUES ('obf', 'seen', NULL, 1000, NULL, 'obrien_fleming');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value)
VALUES ('obf', 'x', 'guardrail', 'mean', 'x', 'higher', 'difference', 0.1),
       ('obf', 'y', 'primary', 'mean', 'y', 'lower', 'difference', 0);
-- settled at launch
SELECT guardrail_launch('obf');
SELECT monitoring FROM guardrail_experiment WHERE experiment_id = 'obf';

-- five looks of 200 units; in between a check that is none
CREATE PROCEDURE look(batch_no int) LANGUAGE plpgsql AS $$
BEGIN
  INSERT INTO seen SELECT * FROM monitored WHERE batch = batch_no;
  CALL guardrail_check('obf');
END $$;
CALL look(1);
CALL guardrail_check('obf');
CALL look(2);
CALL look(3);
CALL look(4);
CALL look(5);
CALL guardrail_check('obf');
SELECT c.look_no, c.information, c.monitoring, r.status,
       abs((r.effect - r.effect_lower) / sqrt(r.control_se ^ 2 + r.treatment_se ^ 2) - z.z) < 1e-3 AS published_bound
FROM guardrail_check_log c JOIN guardrail_result_log r USING (check_id)
LEFT JOIN unnest(ARRAY[3.4972, 2.3566, 1.8682, 1.5936, 1.4128]) WITH ORDINALITY AS z(z, look) ON z.look = c.look_no
WHERE c.experiment_id = 'obf' AND r.metric = 'x' ORDER BY c.check_id;
-- running p-values never rise
SELECT count(*) FILTER (WHERE p_breach > before + 1e-15) AS risen
FROM (SELECT p_breach, lag(p_breach) OVER (PARTITION BY metric ORDER BY check_id) AS before
      FROM guardrail_result_log WHERE experiment_id = 'obf') AS p;
-- the stored recursion is only a cache: without it the same comes out
CREATE TABLE with_cache AS SELECT metric, p_breach, p_safe, p_value, effect_lower, effect_upper, status FROM guardrail_evaluate('obf');
DELETE FROM guardrail_look_state;
SELECT count(*) FROM (TABLE with_cache EXCEPT
  SELECT metric, p_breach, p_safe, p_value, effect_lower, effect_upper, status FROM guardrail_evaluate('obf')) AS differing;

-- a live call spends nothing: many of them leave the log as it is
SELECT count(*) FROM generate_series(1, 5), LATERAL guardrail_decide('obf');
SELECT max(look_no), count(*) FROM guardrail_check_log WHERE experiment_id = 'obf';

-- always valid: the published bound; n* is a quarter of the plan
CREATE TABLE mixture AS SELECT user_id, variant, x FROM monitored WHERE batch = 1 AND user_id % 2 = 0;
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, planned_units, monitoring, min_units)
VALUES ('mixture', 'mixture', NULL, 400, 'always_valid', 50);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value, alpha)
VALUES ('mixture', 'x', 'guardrail', 'mean', 'x', 'higher', 'difference', 0.1, 0.05),
       ('mixture', 'y', 'primary', 'mean', '-x', 'lower', 'difference', 0, NULL);
SELECT units_control, units_treatment,
       abs((effect - effect_lower) / sqrt(control_se ^ 2 + treatment_se ^ 2) - 2.766071) < 1e-5 AS published_bound
FROM guardrail_evaluate('mixture') WHERE metric = 'x';

-- a recorded BREACHED stays when the harm goes away, and says so in the view
CREATE TABLE latch (user_id bigint, variant text, x float8);
INSERT INTO latch SELECT u, (ARRAY['control', 'treatment'])[u % 2 + 1], u % 5 + (u % 2) * 3 FROM generate_series(1, 1000) u;
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column) VALUES ('latch', 'latch', NULL);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value, evidence)
VALUES ('latch', 'x', 'guardrail', 'mean', 'x', 'higher', 'difference', 0.5, 'breach'),
       ('latch', 'point', 'guardrail', 'mean', 'x', 'higher', 'difference', 0.5, 'point'),
       ('latch', 'y', 'primary', 'mean', 'x', 'higher', 'difference', 0, DEFAULT);
SELECT guardrail_launch('latch');
SELECT monitoring FROM guardrail_experiment WHERE experiment_id = 'latch';
CALL guardrail_check('latch');
SELECT metric, status FROM guardrail_result WHERE experiment_id = 'latch' ORDER BY metric;
UPDATE latch SET x = user_id % 5;
CALL guardrail_check('latch');
SELECT metric, status, round(effect::numeric, 3) AS effect, effect_lower > 0.5 AS bound_beyond_limit
FROM guardrail_result WHERE experiment_id = 'latch' ORDER BY metric;
SELECT verdict, status FROM guardrail_verdict WHERE experiment_id = 'latch';

-- a deleted experiment leaves its log, which says nothing of one of the same name
CREATE TABLE latch_plan AS SELECT * FROM guardrail_rule WHERE experiment_id = 'latch';
ALTER TABLE guardrail_experiment DISABLE TRIGGER guardrail_frozen;
ALTER TABLE guardrail_rule DISABLE TRIGGER guardrail_frozen;
DELETE FROM guardrail_experiment WHERE experiment_id = 'latch';
ALTER TABLE guardrail_experiment ENABLE TRIGGER guardrail_frozen;
ALTER TABLE guardrail_rule ENABLE TRIGGER guardrail_frozen;
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column) VALUES ('latch', 'latch', NULL);
INSERT INTO guardrail_rule SELECT * FROM latch_plan;
SELECT count(*) FROM guardrail_verdict WHERE experiment_id = 'latch';
SELECT guardrail_launch('latch');
SELECT count(*) FROM guardrail_verdict WHERE experiment_id = 'latch';
CALL guardrail_check('latch');
SELECT metric, status FROM guardrail_result WHERE experiment_id = 'latch' ORDER BY metric;

-- what is remembered belongs to the rule as it was: a limit changed since starts anew
CREATE TABLE memory (user_id bigint, variant text, x float8);
INSERT INTO memory SELECT u, (ARRAY['control', 'a', 'b'])[u % 3 + 1], u % 5 + (u % 3 = 2)::int * 50 FROM generate_series(1, 1500) u;
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column) VALUES ('memory', 'memory', NULL);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value, evidence)
VALUES ('memory', 'x', 'guardrail', 'mean', 'x', 'higher', 'difference', 10, 'breach'),
       ('memory', 'y', 'primary', 'mean', 'x', 'higher', 'difference', 0, DEFAULT);
SELECT guardrail_launch('memory');
CALL guardrail_check('memory');
UPDATE memory SET x = user_id % 5 WHERE variant = 'b';
CALL guardrail_check('memory');
SELECT variant, status FROM guardrail_result WHERE experiment_id = 'memory' AND metric = 'x' ORDER BY 1;
-- an arm that is missing from a check and comes back is still latched
UPDATE memory SET variant = 'c' WHERE variant = 'b';
UPDATE memory SET variant = NULL WHERE variant = 'c';
CALL guardrail_check('memory');
UPDATE memory SET variant = 'b' WHERE variant IS NULL;
CALL guardrail_check('memory');
SELECT variant, status FROM guardrail_result WHERE experiment_id = 'memory' AND metric = 'x' ORDER BY 1;
SELECT guardrail_amend('memory', 'a wider limit', '{"rules": {"x": {"limit_value": 11}}}');
CALL guardrail_check('memory');
SELECT variant, status FROM guardrail_result WHERE experiment_id = 'memory' AND metric = 'x' ORDER BY 1;
-- the alarm of the split survives a check without units
CREATE TABLE memory_units AS TABLE memory;
DELETE FROM memory WHERE variant = 'a' AND user_id > 200;
CALL guardrail_check('memory');
SELECT DISTINCT verdict FROM guardrail_verdict WHERE experiment_id = 'memory';
TRUNCATE memory;
CALL guardrail_check('memory');
INSERT INTO memory TABLE memory_units;
CALL guardrail_check('memory');
SELECT DISTINCT verdict FROM guardrail_verdict WHERE experiment_id = 'memory';
DROP TABLE memory_units;

-- the test of the split: p of 300/180 by the e-process with slab, computed with
-- lgamma in Python: 9.42382665e-06; the reason names the arm
CREATE TABLE split (user_id bigint, variant text, x float8);
INSERT INTO split SELECT u, CASE WHEN u <= 300 THEN 'control' ELSE 'treatment' END, u % 3 FROM generate_series(1, 480) u;
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column) VALUES ('split', 'split', NULL);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind)
VALUES ('split', 'x', 'primary', 'mean', 'x', 'higher', 'difference');
SELECT verdict, status, abs(srm_p / 9.42382665302638e-06 - 1) < 1e-6 AS independent_p, reason FROM guardrail_decide('split');

-- fixed decides nothing before its end, and then once
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, planned_units, monitoring)
VALUES ('fixed', 'mixture', NULL, 5000, 'fixed');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value)
VALUES ('fixed', 'x', 'guardrail', 'mean', 'x', 'higher', 'difference', 0.1),
       ('fixed', 'y', 'primary', 'mean', 'x', 'higher', 'difference', 0);
UPDATE guardrail_experiment SET min_units = 50 WHERE experiment_id = 'fixed';
SELECT metric, status, p_breach IS NULL AND p_value IS NULL AS no_p FROM guardrail_evaluate('fixed');

-- what cannot be
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, monitoring) VALUES ('no plan', 'seen', NULL, 'group_sequential');
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, monitoring) VALUES ('bad', 'seen', NULL, 'hourly');
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, planned_units, spending) VALUES ('bad', 'seen', NULL, 10, 'haybittle');
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, planned_units, spending_phi) VALUES ('bad', 'seen', NULL, 10, 0);
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, planned_units, spending, spending_phi) VALUES ('bad', 'seen', NULL, 10, 'pocock', 2);

BEGIN ISOLATION LEVEL REPEATABLE READ;
CALL guardrail_check('obf');
ROLLBACK;
DROP PROCEDURE look;
DROP TABLE monitored, seen, with_cache, mixture, latch, latch_plan, memory, split;
DROP EXTENSION guardrail;
