-- An expression that fails keeps no other rule from being judged: its rule is UNMEASURED by name, and nothing ships.
--
-- Expected: by thought and by counting. One event has y = 0, one z = 0, one a segment that is no number; the other rules' results
-- are those of the same events without the failing rules.
SET client_min_messages = error;
CREATE EXTENSION guardrail;
-- every check is replayed
SET guardrail.all_inputs = on;
CREATE SCHEMA failing_test;
SET search_path = failing_test, public;
CREATE TABLE ev (id bigint GENERATED ALWAYS AS IDENTITY, experiment_id text, user_id bigint, variant text, x int, y int, z int, g text);
INSERT INTO ev (experiment_id, user_id, variant, x, y, z, g) SELECT e, u, (ARRAY['control', 'treatment'])[1 + u % 2], u % 5 + u % 2, 1 + u % 3, 1 + u % 2, u % 4 FROM generate_series(1, 2000) u, unnest('{plain,cursor,groups,segments,without}'::text[]) e;
INSERT INTO guardrail_experiment (experiment_id, events, monitoring, cursor_column, segments) VALUES ('plain', 'ev', 'always_valid', NULL, NULL), ('cursor', 'ev', 'always_valid', 'id', NULL), ('groups', 'ev', 'always_valid', NULL, NULL),
  ('segments', 'ev', 'always_valid', NULL, '{g::int}'), ('without', 'ev', 'always_valid', NULL, NULL);
CREATE TABLE rules (metric, role, kind, value, denominator, filter, covariate, worse, limit_value) AS SELECT * FROM (VALUES
  ('p', 'primary', 'mean', 'x', NULL, NULL, NULL, 'lower', 0::float8), ('value', 'guardrail', 'ratio', 'x * 1.0 / y', NULL, NULL, NULL, 'higher', 3), ('denominator', 'guardrail', 'ratio', 'x', '1.0 / y', NULL, NULL, 'higher', 3),
  ('filter', 'guardrail', 'mean', 'x', NULL, '1.0 / y > 0.1', NULL, 'higher', 3), ('covariate', 'guardrail', 'mean', 'x', NULL, NULL, '1.0 / z', 'higher', 3), ('both', 'guardrail', 'mean', 'x * 1.0 / z', NULL, '1.0 / y > 0.1', NULL, 'higher', 3),
  ('fine', 'guardrail', 'mean', 'x + y', NULL, NULL, NULL, 'higher', 3), ('harm', 'guardrail', 'mean', '1 + z', NULL, NULL, NULL, 'higher', 0.5)) AS v;
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, denominator, filter, covariate, worse, limit_kind, limit_value)
  SELECT e, metric, role, kind, value, denominator, filter, covariate, worse, 'difference', limit_value FROM rules, unnest('{plain,cursor,groups}'::text[]) e;
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value)
  SELECT e, metric, role, kind, value, worse, 'difference', limit_value FROM rules, unnest('{segments,without}'::text[]) e WHERE metric IN ('p', 'fine', 'harm') OR (metric = 'value' AND e = 'segments');
-- the two-level shape: a pooled quantile with little memory
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, cap_quantile, worse, limit_kind, limit_value) VALUES ('groups', 'capped', 'guardrail', 'mean', 'x * 1.0 / z', 0.9, 'higher', 'difference', 3), ('groups', 'kinds', 'guardrail', 'distinct', '10 / z', NULL, 'higher', 'difference', 3);
SELECT count(guardrail_launch(experiment_id)) FROM guardrail_experiment;
CREATE FUNCTION check_all() RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  CALL guardrail_check('plain'); CALL guardrail_check('cursor'); CALL guardrail_check('segments'); CALL guardrail_check('without');
  SET LOCAL guardrail.unit_memory = '64kB';
  CALL guardrail_check('groups');
END $$;
SELECT check_all();
SELECT experiment_id, verdict, status, units_control, error FROM guardrail_verdict ORDER BY 1;

-- y = 0 in one event: what divides by it is UNMEASURED; the BLOCK of another rule stands
INSERT INTO ev (experiment_id, user_id, variant, x, y, z, g) SELECT e, 5000, 'control', 1, 0, 1, '1' FROM unnest('{plain,cursor,groups,segments,without}'::text[]) e;
SELECT check_all();
SELECT experiment_id, verdict, status, units_control, error FROM guardrail_verdict ORDER BY 1;
SELECT metric, status, reason FROM guardrail_result WHERE experiment_id = 'plain' ORDER BY 1;
SET client_min_messages = warning;
SELECT metric, status FROM guardrail_evaluate('segments') ORDER BY 1;
SET client_min_messages = error;

-- and z = 0 in another, and a segment that cannot be cast
INSERT INTO ev (experiment_id, user_id, variant, x, y, z, g) SELECT e, 5001, 'control', 1, 1, 0, 'none' FROM unnest('{plain,cursor,groups,segments,without}'::text[]) e;
SELECT check_all();
-- what was BREACHED stays so: harm is no division, and is judged
SELECT experiment_id, verdict, status, units_control, error FROM guardrail_verdict ORDER BY 1;
-- as by the rules without the failing ones
SELECT count(*) AS the_same FROM guardrail_result a JOIN guardrail_result b USING (metric, control_value, treatment_value, status, units_control, units_treatment) WHERE a.experiment_id <> 'without' AND b.experiment_id = 'without';
SELECT DISTINCT segment, reason FROM guardrail_segment_result;
SELECT r.identical, count(*), max(r.differences) AS differences FROM (SELECT DISTINCT check_id FROM guardrail_check_log) c, guardrail_replay(c.check_id) r GROUP BY 1;

-- mended: all are measured, and the slices have gone on
DELETE FROM ev WHERE user_id >= 5000;
SELECT check_all();
SELECT experiment_id, verdict, status, units_control, error FROM guardrail_verdict ORDER BY 1;

-- a column that is gone: harm was BREACHED, and stands; a rule that was not is UNMEASURED
ALTER TABLE ev RENAME z TO gone;
SELECT check_all();
SELECT experiment_id, verdict, status, units_control, error FROM guardrail_verdict ORDER BY 1;
SELECT metric, status, reason FROM guardrail_result WHERE experiment_id = 'plain' AND metric IN ('covariate', 'both', 'harm') ORDER BY 1;
SELECT guardrail_assert_shippable('plain', 'treatment');
-- of a point rule and of a fixed test as well
ALTER TABLE ev RENAME gone TO z;
INSERT INTO ev (experiment_id, user_id, variant, x, y, z, g) SELECT 'fixed', user_id, variant, x, y, z, g FROM ev WHERE experiment_id = 'plain';
INSERT INTO guardrail_experiment (experiment_id, events, monitoring, planned_units) VALUES ('fixed', 'ev', 'fixed', 1000);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, evidence, worse, limit_kind, limit_value) VALUES ('fixed', 'p', 'primary', 'mean', 'x', 'breach', 'lower', 'difference', 0), ('fixed', 'point', 'guardrail', 'mean', '1 + z', 'point', 'higher', 'difference', 0.5), ('fixed', 'harm', 'guardrail', 'mean', '1 + z', 'breach', 'higher', 'difference', 0.5);
SELECT guardrail_launch('fixed');
CALL guardrail_check('fixed');
SELECT verdict, status FROM guardrail_verdict WHERE experiment_id = 'fixed';
ALTER TABLE ev RENAME z TO gone;
CALL guardrail_check('fixed');
CALL guardrail_check('fixed');
SELECT verdict, status FROM guardrail_verdict WHERE experiment_id = 'fixed';
-- what all rules need is gone: the check fails, and is recorded so
ALTER TABLE ev RENAME user_id TO uid;
SELECT check_all();
SELECT experiment_id, verdict, status, error FROM guardrail_verdict ORDER BY 1;
ALTER TABLE ev RENAME uid TO user_id;
ALTER TABLE ev RENAME gone TO z;

-- a veto that reaches into segments: while they cannot be judged, its rule is not measured
DELETE FROM ev;
INSERT INTO guardrail_experiment (experiment_id, events, monitoring, planned_units, segments) SELECT m, 'ev', NULLIF(m, 'looks'), CASE WHEN m = 'looks' THEN 2000 END, '{g::int}' FROM unnest('{always_valid,looks}'::text[]) m;
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value, segment_veto) SELECT e, r.* FROM unnest('{always_valid,looks}'::text[]) e, (VALUES ('p', 'primary', 'mean', 'x', 'lower', 'difference', 0, NULL::boolean), ('veto', 'guardrail', 'mean', 'y', 'higher', 'difference', 0.5, true), ('plain', 'guardrail', 'mean', 'z', 'higher', 'difference', 0.5, NULL)) r;
SELECT count(guardrail_launch(e)) FROM unnest('{always_valid,looks}'::text[]) e;
-- 1 of 4 segments has harm of 1, all of them 0.25; the plan is full with the event that cannot be cast
INSERT INTO ev (experiment_id, user_id, variant, x, y, z, g) SELECT e, u, (ARRAY['control', 'treatment'])[1 + u % 2], u % 5 + u % 2, u % 3 + CASE WHEN u % 8 = 1 THEN 1 ELSE 0 END, u % 3, (u / 2) % 4 FROM generate_series(1, 2000) u, unnest('{always_valid,looks}'::text[]) e;
INSERT INTO ev (experiment_id, user_id, variant, x, y, z, g) SELECT e, 1, 'treatment', 0, 0, 0, 'oops' FROM unnest('{always_valid,looks}'::text[]) e;
CALL guardrail_check('always_valid');
CALL guardrail_check('looks');
SELECT experiment_id, verdict, status FROM guardrail_verdict WHERE experiment_id IN ('always_valid', 'looks') ORDER BY 1;
SELECT experiment_id, metric, status, reason FROM guardrail_result WHERE experiment_id = 'looks' ORDER BY 2;
-- mended: the last look is there still
DELETE FROM ev WHERE g = 'oops';
CALL guardrail_check('always_valid');
CALL guardrail_check('looks');
SELECT experiment_id, verdict, status FROM guardrail_verdict WHERE experiment_id IN ('always_valid', 'looks') ORDER BY 1;
-- so is that of a rule which failed when the plan was full
INSERT INTO guardrail_experiment (experiment_id, events, planned_units) VALUES ('last', 'ev', 2000);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES ('last', 'p', 'primary', 'mean', 'x', 'lower', 'difference', 0), ('last', 'late', 'guardrail', 'mean', 'x + 0 / z', 'higher', 'difference', 0.5), ('last', 'other', 'guardrail', 'mean', 'z', 'higher', 'difference', 0.5);
SELECT guardrail_launch('last');
INSERT INTO ev (experiment_id, user_id, variant, x, y, z, g) SELECT 'last', u, (ARRAY['control', 'treatment'])[1 + u % 2], u % 5 + u % 2, 1, CASE u WHEN 7 THEN 0 ELSE 1 + u % 3 END, '1' FROM generate_series(1, 2000) u;
CALL guardrail_check('last');
CALL guardrail_check('last');
SELECT verdict, status FROM guardrail_verdict WHERE experiment_id = 'last';
DELETE FROM ev WHERE experiment_id = 'last' AND z = 0;
INSERT INTO ev (experiment_id, user_id, variant, x, y, z, g) VALUES ('last', 7, 'treatment', 3, 1, 2, '1');
CALL guardrail_check('last');
SELECT verdict, status FROM guardrail_verdict WHERE experiment_id = 'last';
-- whatever a function raises is its rule's failure, be it what a cancel raises
CREATE FUNCTION raises(int, text) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN IF $1 = 0 THEN RAISE EXCEPTION 'boo' USING ERRCODE = $2; END IF; RETURN $1; END $$;
INSERT INTO guardrail_experiment (experiment_id, events, monitoring) VALUES ('codes', 'ev', 'always_valid');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES ('codes', 'p', 'primary', 'mean', 'x', 'lower', 'difference', 0);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) SELECT 'codes', c, 'guardrail', 'mean', format('failing_test.raises(z, %L)', c), 'higher', 'difference', 0.5 FROM unnest('{57014,40001,40P01,53200,55P03,08006,XX000,P0001}'::text[]) c;
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES ('codes', 'harm', 'guardrail', 'mean', 'y', 'higher', 'difference', 0.5);
SELECT guardrail_launch('codes');
INSERT INTO ev (experiment_id, user_id, variant, x, y, z, g) SELECT 'codes', u, (ARRAY['control', 'treatment'])[1 + u % 2], u % 5 + u % 2, u % 7 + 2 * (u % 2), u % 3, '1' FROM generate_series(1, 2000) u;
CALL guardrail_check('codes');
SELECT verdict, status FROM guardrail_verdict WHERE experiment_id = 'codes';
SELECT metric, status FROM guardrail_result WHERE experiment_id = 'codes' ORDER BY 1;
SELECT r.identical, count(*), max(r.differences) AS differences FROM (SELECT DISTINCT check_id FROM guardrail_check_input) c, guardrail_replay(c.check_id) r GROUP BY 1;
DROP SCHEMA failing_test CASCADE;
DROP EXTENSION guardrail;
