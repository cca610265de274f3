-- Nobody may stop the alarm: arm names that are long, or too many, in the events of an experiment whose arms are not planned.
--
-- Expected: by counting; 1,000 of 2,000 units fail in treatment, none of 2,000 in control.
SET client_min_messages = error;
CREATE EXTENSION guardrail;
CREATE SCHEMA arms_test;
SET search_path = arms_test, public;
CREATE TABLE ev (experiment_id text, user_id int, variant text, x float8, failed boolean);
INSERT INTO ev SELECT e, u, CASE u % 2 WHEN 0 THEN 'control' ELSE 'treatment' END, u % 7 + u % 2, u % 4 = 1 FROM unnest('{scan,grouped}'::text[]) AS e, generate_series(1, 4000) AS u;
-- the cap's quantile needs all units at once: with little memory the server groups them
INSERT INTO guardrail_experiment (experiment_id, events, planned_units) SELECT e, 'ev', 4000 FROM unnest('{scan,grouped}'::text[]) AS e;
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, cap_quantile, worse, limit_kind, limit_value)
SELECT e, r.* FROM unnest('{scan,grouped}'::text[]) AS e, (VALUES ('x', 'primary', 'mean', 'x', NULL::float8, 'lower', 'relative', 0), ('failed', 'guardrail', 'proportion', 'failed', NULL, 'higher', 'difference', 0.01)) AS r;
INSERT INTO guardrail_rule (experiment_id, metric, role, severity, kind, value, cap_quantile, worse, limit_kind, limit_value) VALUES ('grouped', 'capped', 'guardrail', 'warn', 'mean', 'x', 0.9, 'lower', 'relative', 0.5);
SELECT count(guardrail_launch(e)) FROM unnest('{scan,grouped}'::text[]) AS e;

-- names of 3,000 and of 9,600 bytes that do not compress are no arms
INSERT INTO ev SELECT e, 5000 + i, (SELECT left(string_agg(md5(k::text || i), ''), n) FROM generate_series(1, 300) AS k), 1, false FROM unnest('{scan,grouped}'::text[]) AS e, (VALUES (1, 3000), (2, 9600)) AS l (i, n);
CALL guardrail_check('scan');
SET guardrail.unit_memory = '64kB';
CALL guardrail_check('grouped');
RESET guardrail.unit_memory;
SELECT experiment_id, variant, verdict, status, units_control, units_treatment, unknown_arm_rows, error FROM guardrail_verdict ORDER BY 1;
SELECT guardrail_assert_shippable('scan', 'treatment');
CREATE TABLE release (experiment_id text, variant text);
CREATE TRIGGER gate BEFORE INSERT ON release FOR EACH ROW EXECUTE FUNCTION guardrail_release_gate();
INSERT INTO release VALUES ('scan', 'treatment');

-- 120 names, one of them with more rows than treatment: the control, the arm of earlier checks and the 98 with most rows are
-- judged, the rows of 22 others are of unknown arms, beside the two long ones: INVALID, which says what is breached
INSERT INTO ev SELECT e, 6000 + i, 'arm ' || i, 1, false FROM unnest('{scan,grouped}'::text[]) AS e, generate_series(1, 120) AS i;
INSERT INTO ev SELECT e, 7000 + i, 'arm 120', 1, false FROM unnest('{scan,grouped}'::text[]) AS e, generate_series(1, 3000) AS i;
CALL guardrail_check('scan');
SET guardrail.unit_memory = '64kB';
CALL guardrail_check('grouped');
RESET guardrail.unit_memory;
SELECT experiment_id, count(*), bool_and(verdict = 'INVALID' AND status = 'INVALID: too many arm names') AS invalid, min(unknown_arm_rows) AS unknown, max(error) AS error FROM guardrail_verdict GROUP BY 1 ORDER BY 1;
SELECT experiment_id, variant, verdict, reason, units_control, units_treatment FROM guardrail_verdict WHERE variant IN ('treatment', 'arm 120') ORDER BY 1, 2;
SELECT r.identical, count(*) FROM guardrail_verdict v, guardrail_replay(v.check_id) r WHERE v.variant = 'treatment' GROUP BY 1;
SELECT guardrail_assert_shippable('scan', 'treatment');
INSERT INTO release VALUES ('scan', 'treatment');
-- of an experiment that was never judged before, nobody knows: nothing passes
INSERT INTO guardrail_experiment (experiment_id, events, planned_units) VALUES ('new', 'ev', 4000);
INSERT INTO ev SELECT 'new', user_id, variant, x, failed FROM ev WHERE experiment_id = 'scan';
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES ('new', 'x', 'primary', 'mean', 'x', 'lower', 'relative', 0), ('new', 'failed', 'guardrail', 'proportion', 'failed', 'higher', 'difference', 0.01);
SELECT guardrail_launch('new');
CALL guardrail_check('new');
SELECT count(*), min(verdict) AS verdict, min(status) AS status, max(error) AS error FROM guardrail_verdict WHERE experiment_id = 'new';
SELECT guardrail_assert_shippable('new', 'treatment');
INSERT INTO release VALUES ('new', 'treatment');
INSERT INTO release VALUES ('new', NULL);
-- once a check works, the one that saw no arm speaks no more
DELETE FROM ev WHERE experiment_id = 'new' AND (variant LIKE 'arm %' OR length(variant) > 500);
UPDATE ev SET failed = false WHERE experiment_id = 'new';
INSERT INTO ev SELECT 'new', u, 'treatment', 5, true FROM generate_series(1, 3, 2) AS u;
INSERT INTO ev SELECT 'new', u, 'control', 5, true FROM generate_series(2, 4, 2) AS u;
CALL guardrail_check('new');
SELECT variant, verdict, status FROM guardrail_verdict WHERE experiment_id = 'new';
INSERT INTO release VALUES ('new', NULL);
SELECT * FROM release;
DROP SCHEMA arms_test CASCADE;
DROP EXTENSION guardrail;
