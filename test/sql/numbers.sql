-- Numbers that an independent recomputation found otherwise: units without a time, p-values beyond 1e-4, values that are not
-- finite, whole numbers beyond 2^53, intervals of small arms, replays after an arm appeared.
--
-- Expected: counts by hand (what is asked stands beside each query); bounds of guardrail_spending_bounds, which are held against
-- published ones in truth_sequential.sql; p-values of a first look under O'Brien-Fleming by scipy 1.10: 2 * norm.sf(sqrt(t) *
-- norm.isf(norm.sf(z) / 2)); intervals: the margins next to the lift whose two-sided p, by scipy's t with the degrees of freedom of
-- each margin, is 1 - level, found by brentq.
SET client_min_messages = error;
CREATE EXTENSION guardrail;
CREATE SCHEMA numbers_test;
SET search_path = numbers_test, public;
CREATE FUNCTION near(a float8, b float8, tolerance float8 DEFAULT 1e-9) RETURNS boolean LANGUAGE sql IMMUTABLE
  RETURN CASE WHEN b IN ('Infinity', '-Infinity') THEN a = b ELSE abs(a - b) <= tolerance * abs(b) END;

-- ---- units none of whose events has a time: 500 of 1,000; they are in no window

CREATE TABLE timeless (experiment_id text, user_id bigint, variant text, at timestamptz, x float8);
INSERT INTO timeless SELECT e, u, (ARRAY['control', 'treatment'])[1 + u % 2], CASE WHEN u % 4 < 2 THEN now() - interval '10 days' END, u % 5
  FROM generate_series(1, 1000) u, unnest('{fixed,always,two levels}'::text[]) e;
INSERT INTO guardrail_experiment (experiment_id, events, time_column, monitoring, planned_units) SELECT e, 'timeless', 'at', CASE e WHEN 'always' THEN 'always_valid' ELSE 'fixed' END, 1000 FROM unnest('{fixed,always,two levels}'::text[]) e;
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, window_length, quantile, cap_quantile, worse, limit_kind, limit_value)
SELECT e, r.* FROM unnest('{fixed,always,two levels}'::text[]) e, (VALUES ('p', 'primary', 'mean', 'x', '1 day'::interval, NULL::float8, NULL::float8, 'lower', 'difference', 0),
  ('g', 'guardrail', 'mean', 'x', '1 day', NULL, NULL, 'higher', 'difference', 1), ('q', 'guardrail', 'quantile', 'x', '1 day', 0.5, NULL, 'higher', 'difference', 1.5), ('c', 'guardrail', 'mean', 'x', '1 day', NULL, 0.9, 'higher', 'difference', 1)) r;
-- 250 and 250
SELECT metric, units_control, units_treatment, status FROM guardrail_evaluate('fixed') ORDER BY 1;
SELECT DISTINCT units_control, units_treatment FROM guardrail_evaluate('always');
SET guardrail.unit_memory = '64kB';
SELECT DISTINCT units_control, units_treatment FROM guardrail_evaluate('two levels');
RESET guardrail.unit_memory;
-- 0.5: the test is not over
SELECT units_control, units_treatment, information, verdict, reason FROM guardrail_decide('fixed');
SELECT information FROM guardrail_decide('always');

-- ---- p-values of group-sequential tests far below 1e-4

CREATE TABLE far (experiment_id text, user_id bigint, variant text, x float8);
INSERT INTO far SELECT 'far', u, (ARRAY['control', 'treatment'])[1 + u % 2], (u * 7919) % 101 / 10.0 FROM generate_series(1, 1000) u;
INSERT INTO guardrail_experiment (experiment_id, events, planned_units, correction) VALUES ('far', 'far', 2000, 'none');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value)
  SELECT 'far', m, r, 'mean', 'x', w, 'difference', l FROM (VALUES ('p', 'primary', 'lower', 0)) v(m, r, w, l) UNION ALL
  SELECT 'far', 'g' || l, 'guardrail', 'mean', 'x', 'higher', 'difference', l FROM unnest('{0.6,0.8,1,1.2,1.4,1.6,1.8}'::float8[]) l;
SELECT guardrail_launch('far');
-- a first look at half of the plan; bound: the level at which the design would have rejected gives the statistic back
CREATE VIEW at_level AS SELECT metric, limit_value, status, (limit_value - effect) / sqrt(control_se ^ 2 + treatment_se ^ 2) AS z, p_safe FROM guardrail_evaluate('far') WHERE role = 'guardrail';
SELECT metric, status, near((guardrail_spending_bounds(ARRAY[0.5], p_safe, 1))[1], z, 1e-4) AS bound FROM at_level ORDER BY limit_value;
SELECT near(p_safe, p, 0.005) AS p FROM at_level JOIN (VALUES (1.2, 2.079033227415032e-06), (1.6, 3.818384451426818e-10)) v(l, p) ON limit_value = l ORDER BY limit_value;
CALL guardrail_check('far');
INSERT INTO far SELECT 'far', u, (ARRAY['control', 'treatment'])[1 + u % 2], (u * 7919) % 101 / 10.0 FROM generate_series(1001, 1500) u;
-- a second one at three quarters
SELECT metric, status, near((guardrail_spending_bounds(ARRAY[0.5, 0.75], p_safe, 1))[2], z, 1e-3) AS bound FROM at_level WHERE limit_value < 1.8 ORDER BY limit_value;

-- ---- what the check knew is stored: an arm that appears after the first look changes no replay

CREATE TABLE grows (experiment_id text, user_id bigint, variant text, x float8, paid float8);
INSERT INTO guardrail_experiment (experiment_id, events, planned_units, correction) SELECT c, 'grows', 1000, c FROM unnest('{none,bonferroni,holm,hochberg}'::text[]) c;
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value, alpha)
  SELECT c, r.* FROM unnest('{none,bonferroni,holm,hochberg}'::text[]) c, (VALUES ('p', 'primary', 'mean', 'paid', 'lower', 'difference', 0, 0.05), ('g', 'guardrail', 'mean', 'x', 'higher', 'difference', 0.5, 0.1)) r;
SELECT count(guardrail_launch(c)) FROM unnest('{none,bonferroni,holm,hochberg}'::text[]) c;
INSERT INTO grows SELECT c, u, (ARRAY['control', 'a', 'b'])[1 + u % 3], (u * 7919 % 101) / 10.0, u * 31 % 17 FROM generate_series(1, 600) u, unnest('{none,bonferroni,holm,hochberg}'::text[]) c;
CALL guardrail_check();
INSERT INTO grows SELECT c, u, (ARRAY['control', 'a', 'b', 'late'])[1 + u % 4], (u * 7919 % 101) / 10.0, u * 31 % 17 FROM generate_series(601, 900) u, unnest('{none,bonferroni,holm,hochberg}'::text[]) c;
CALL guardrail_check();
SELECT r.identical, count(*), max(r.differences) AS differences FROM (SELECT DISTINCT check_id FROM guardrail_check_log WHERE experiment_id <> 'far') c, guardrail_replay(c.check_id) r GROUP BY 1;

-- ---- values that are not finite

CREATE TABLE odd (experiment_id text, user_id bigint, variant text, f float8, r real, n numeric, i bigint, y float8);
-- of each unit's four values two of treatment's are none: 1 distinct value in every unit, 1,000 left out
INSERT INTO odd SELECT e, u, (ARRAY['control', 'treatment'])[1 + u % 2], CASE WHEN u % 2 = 1 AND k = 1 THEN 'NaN'::float8 WHEN u % 2 = 1 AND k = 2 THEN 'Infinity' ELSE u % 5 END,
  CASE WHEN u % 2 = 1 AND k = 1 THEN 'NaN'::real WHEN u % 2 = 1 AND k = 2 THEN '-Infinity' ELSE u % 5 END, CASE WHEN u % 2 = 1 AND k = 1 THEN 'NaN'::numeric WHEN u % 2 = 1 AND k = 2 THEN 'Infinity' ELSE u % 5 END,
  9007199254740993 + u % 3, CASE WHEN u % 2 = 1 AND k = 1 THEN 'NaN'::float8 ELSE 1 END FROM generate_series(1, 1000) u, generate_series(1, 4) k, unnest('{odd,odd by groups}'::text[]) e;
INSERT INTO guardrail_experiment (experiment_id, events, monitoring, planned_units) SELECT e, 'odd', 'fixed', 100 FROM unnest('{odd,odd by groups}'::text[]) e;
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, denominator, cap_quantile, worse, limit_kind, limit_value)
  SELECT e, r.* FROM unnest('{odd,odd by groups}'::text[]) e, (VALUES ('p', 'primary', 'mean', 'f', NULL, NULL::float8, 'lower', 'difference', 0), ('distinct f', 'guardrail', 'distinct', 'f', NULL, NULL, 'higher', 'difference', 0.1), ('distinct r', 'guardrail', 'distinct', 'r', NULL, NULL, 'higher', 'difference', 0.1),
    ('distinct n', 'guardrail', 'distinct', 'n', NULL, NULL, 'higher', 'difference', 0.1), ('entropy', 'guardrail', 'entropy', 'f', NULL, NULL, 'higher', 'difference', 0.1), ('whole', 'guardrail', 'mean', 'i', NULL, NULL, 'higher', 'relative', 0.1),
    ('ratio', 'guardrail', 'ratio', 'i - 9007199254740990', 'y', NULL, 'higher', 'relative', 0.5)) r;
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, cap_quantile, worse, limit_kind, limit_value) VALUES ('odd by groups', 'capped', 'guardrail', 'mean', 'f', 0.9, 'higher', 'relative', 0.5);
SELECT metric, control_value, treatment_value, status, reason FROM guardrail_evaluate('odd') WHERE metric <> 'whole' ORDER BY 1;
SELECT status, reason LIKE '%; values beyond 2^53 are kept to 16 digits' AS said FROM guardrail_evaluate('odd') WHERE metric = 'whole';
SET guardrail.unit_memory = '64kB';
SELECT count(*) AS the_same FROM guardrail_evaluate('odd by groups') a JOIN guardrail_evaluate('odd') b USING (metric, reason, status) WHERE metric <> 'whole';
RESET guardrail.unit_memory;

-- ---- Fieller's interval: the margins that their own test does not reject

SELECT near(r.lower, v.lower) AS lower, near(r.upper, v.upper) AS upper, (guardrail_relative(mt, vt, nt, mc, vc, nc, v.upper * 1.001, 'two-sided', level)).p_value < 1 - level AS beyond, (guardrail_relative(mt, vt, nt, mc, vc, nc, v.upper * 0.999, 'two-sided', level)).p_value > 1 - level AS within
  FROM (VALUES (1.4, 1, 40, 1.0, 0.8, 25, 0.99, -0.1750244485209288, 1.893492852334931),
    (105, 900, 50, 100, 400, 8, 0.95, -0.11207810283982456, 0.27018061734651505), (1.2, 0.5, 6, 1, 0.3, 200, 0.95, -0.5417864972650153, 0.9393199480017512)) v (mt, vt, nt, mc, vc, nc, level, lower, upper),
    guardrail_relative(mt, vt, nt, mc, vc, nc, 0, 'two-sided', level) r;
-- the control is not far from 0: no margin above is rejected
SELECT near(lower, -0.0943816303935176) AS lower, upper FROM guardrail_relative(2.0, 4, 30, 1.0, 4, 12, 0, 'two-sided', 0.9);
-- whatever margin is asked for, the interval is the same
SELECT count(DISTINCT (r.lower, r.upper)) FROM unnest('{-0.5,0,0.1,3}'::float8[]) m, guardrail_relative(105, 900, 50, 100, 400, 8, m) r;
DROP SCHEMA numbers_test CASCADE;
DROP EXTENSION guardrail;
