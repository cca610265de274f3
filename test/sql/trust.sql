-- Whether the test itself can be trusted, and what happens at its edges: the split, units in two arms, too few units, arms
-- that are missing, nothing that varies, a control without a level, the time span.
--
-- Expected: p-values of the split by scipy.stats.chisquare; counts in plain SQL.
SET client_min_messages = warning;
CREATE EXTENSION guardrail;
-- these tests are of the fixed design, whatever else is planned
ALTER TABLE guardrail_experiment ALTER monitoring SET DEFAULT 'fixed';
CREATE SCHEMA trust_test;
SET search_path = trust_test, public;
CREATE TABLE ev (experiment_id text, user_id bigint GENERATED ALWAYS AS IDENTITY, variant text, x float8);
CREATE FUNCTION arm(experiment text, variant text, n int, mean float8 DEFAULT 100, spread float8 DEFAULT 10) RETURNS void LANGUAGE sql AS $$
  INSERT INTO ev (experiment_id, variant, x) SELECT $1, $2, $4 + CASE WHEN i % 2 = 0 THEN $5 ELSE -$5 END FROM generate_series(1, n) i $$;
-- an experiment that is over, with one guardrail and a primary that both ask about x
CREATE FUNCTION experiment(id text, shares jsonb DEFAULT NULL, kind text DEFAULT 'difference', lim float8 DEFAULT 5) RETURNS void LANGUAGE sql AS $$
  INSERT INTO guardrail_experiment (experiment_id, events, planned_units, shares) VALUES ($1, 'ev', 1, $2);
  INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES ($1, 'load', 'guardrail', 'mean', 'x', 'higher', $3, $4), ($1, 'goal', 'primary', 'mean', 'x', 'higher', NULL, NULL) $$;

-- ---- the split

SELECT experiment('split'), arm('split', 'control', 600), arm('split', 'treatment', 400, 90);
SELECT verdict, status, reason, abs(srm_p - 2.5396285894708634e-10) < 1e-18 AS p FROM guardrail_decide('split');
UPDATE guardrail_experiment SET shares = '{"control": 0.6, "treatment": 0.4}' WHERE experiment_id = 'split';
SELECT verdict, status, srm_p > 0.999 AS p FROM guardrail_decide('split');
UPDATE guardrail_experiment SET shares = '{"control": 6, "treatment": 4, "missing": 10}' WHERE experiment_id = 'split';
SELECT variant, verdict, status, srm_p < 1e-100 AS p FROM guardrail_decide('split');
UPDATE guardrail_experiment SET shares = NULL, srm_alpha = 1e-12 WHERE experiment_id = 'split';
SELECT verdict, status FROM guardrail_decide('split');
-- fewer than five expected units somewhere: not tested
SELECT experiment('few'), arm('few', 'control', 8);
INSERT INTO ev (experiment_id, variant, x) VALUES ('few', 'treatment', 1);
SELECT verdict, status, srm_p FROM guardrail_decide('few');
SELECT arm('few', 'control', 1);
SELECT srm_p IS NOT NULL AS tested FROM guardrail_decide('few');

-- ---- units in two arms

SELECT experiment('cross'), arm('cross', 'control', 495), arm('cross', 'treatment', 495, 90);
INSERT INTO ev (experiment_id, user_id, variant, x) OVERRIDING SYSTEM VALUE SELECT 'cross', -i, v, 1e6 FROM generate_series(1, 10) i, unnest('{control,treatment}'::text[]) v;
SELECT verdict, status, crossover_units, crossover_share, units_control, units_treatment FROM guardrail_decide('cross');
SELECT round(treatment_value::numeric, 9) AS treatment, round(control_value::numeric, 9) AS control FROM guardrail_evaluate('cross') WHERE metric = 'load';
INSERT INTO ev (experiment_id, user_id, variant, x) OVERRIDING SYSTEM VALUE SELECT 'cross', -11, v, 1e6 FROM unnest('{control,treatment}'::text[]) v;
SELECT verdict, status, reason FROM guardrail_decide('cross');
UPDATE guardrail_experiment SET max_crossover = 0.02 WHERE experiment_id = 'cross';
SELECT verdict, status FROM guardrail_decide('cross');
-- a sample ratio mismatch is said before a breach is
SELECT experiment('both'), arm('both', 'control', 600), arm('both', 'treatment', 400, 200);
SELECT verdict, status FROM guardrail_decide('both');
SELECT metric, status FROM guardrail_evaluate('both');

-- ---- too few units, missing arms, no events

SELECT experiment('small'), arm('small', 'control', 99), arm('small', 'treatment', 200, 200);
SELECT verdict, status, reason FROM guardrail_decide('small');
SELECT metric, status, p_breach IS NULL AND p_value IS NULL AS without_p, reason FROM guardrail_evaluate('small');
SELECT arm('small', 'control', 100);
SELECT verdict, status FROM guardrail_decide('small');
SELECT experiment('no control'), arm('no control', 'treatment', 200), experiment('no treatment'), arm('no treatment', 'control', 200), experiment('no treatment, planned', '{"control": 1, "treatment": 1}'), arm('no treatment, planned', 'control', 200),
       experiment('nothing'), experiment('nothing, planned', '{"control": 1, "treatment": 1}'), experiment('one unit'), arm('one unit', 'control', 1), arm('one unit', 'treatment', 1);
SELECT x AS experiment, d.variant, d.verdict, d.status, d.reason, guardrail_status(x) FROM unnest('{no control,no treatment,"no treatment, planned",nothing,"nothing, planned",one unit}'::text[]) x LEFT JOIN LATERAL guardrail_decide(x) d ON true;
SELECT x AS experiment, e.metric, e.status, e.reason, e.units_control, e.units_treatment FROM unnest('{no control,"no treatment, planned","nothing, planned",one unit}'::text[]) x, guardrail_evaluate(x) e;
SELECT count(*) AS explained FROM unnest('{no control,no treatment,"no treatment, planned",nothing,"nothing, planned",one unit}'::text[]) x WHERE guardrail_explain(x) <> '';
-- an absolute limit needs no control
UPDATE guardrail_rule SET limit_kind = 'absolute', limit_value = 90 WHERE experiment_id = 'no control' AND metric = 'load';
SELECT metric, status, reason FROM guardrail_evaluate('no control');

-- ---- nothing that varies; a control without a level

SELECT experiment('constant'), arm('constant', 'control', 200, 100, 0), arm('constant', 'treatment', 200, 200, 0), experiment('zero', NULL, 'relative', 0.05), arm('zero', 'control', 200, 0), arm('zero', 'treatment', 200, 50), experiment('negative', NULL, 'relative', 0.05), arm('negative', 'control', 200, -5), arm('negative', 'treatment', 200, 50),
       experiment('noisy', NULL, 'relative', 0.05), arm('noisy', 'control', 200, 0.1), arm('noisy', 'treatment', 200, 50);
SELECT x AS experiment, metric, status, p_breach IS NULL AS without_p, round(effect::numeric, 9) AS effect, effect_lower, effect_upper > 100 AS open_above, reason FROM unnest('{constant,zero,negative,noisy}'::text[]) x, guardrail_evaluate(x) WHERE metric = 'load';
UPDATE guardrail_rule SET evidence = 'point' WHERE metric = 'load';
SELECT x AS experiment, status, reason FROM unnest('{constant,zero,negative,noisy}'::text[]) x, guardrail_evaluate(x) WHERE metric = 'load';
-- all values NULL, or none of them a number
INSERT INTO ev (experiment_id, variant, x) SELECT 'empty', v, CASE WHEN v = 'control' THEN NULL ELSE 'NaN'::float8 END FROM unnest('{control,treatment}'::text[]) v, generate_series(1, 150);
SELECT experiment('empty');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value, quantile) VALUES ('empty', 'ratio', 'guardrail', 'ratio', 'x', 'higher', 'difference', 1, NULL), ('empty', 'p95', 'guardrail', 'quantile', 'x', 'higher', 'difference', 1, 0.95), ('empty', 'share', 'guardrail', 'proportion', 'x', 'higher', 'difference', 0, NULL);
SELECT metric, status, reason FROM guardrail_evaluate('empty');
SELECT verdict, status FROM guardrail_decide('empty');
-- values without a finite sum
SELECT experiment('huge'), arm('huge', 'control', 200, 1e308, 1e307), arm('huge', 'treatment', 200, 1e308, 1e307);
SELECT metric, status, units_control, reason FROM guardrail_evaluate('huge');

-- ---- names: long ones, and what is no ASCII

SELECT experiment('names'), arm('names', 'control', 150), arm('names', repeat('ü', 40) || repeat('a😀', 30), 150, 50), arm('names', 'x' || repeat('ü', 80), 1);
UPDATE guardrail_experiment SET srm_alpha = 1e-200 WHERE experiment_id = 'names';
SELECT length(variant), verdict, status, convert_from(convert_to(reason, 'UTF8'), 'UTF8') = reason AS readable FROM guardrail_decide('names');
SELECT bool_and(convert_from(convert_to(reason, 'UTF8'), 'UTF8') = reason) AS readable FROM guardrail_evaluate('names');

-- ---- the time span: [starts_at, ends_at), whatever the session's settings

CREATE TABLE timed AS SELECT i AS user_id, CASE WHEN i % 2 = 0 THEN 'control' ELSE 'treatment' END AS variant, '2026-01-01 00:00+00'::timestamptz + i * interval '1 hour' AS at, '2026-01-01 00:00'::timestamp + i * interval '1 hour' AS ts, ('2026-01-01'::date + i / 24) AS d, 1 AS x FROM generate_series(0, 24 * 40) i;
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, time_column, starts_at, ends_at) SELECT 'timed ' || c, 'timed', NULL, c, '2026-01-02 00:00+00', '2026-02-05 12:00+00' FROM unnest('{at,ts,d}'::name[]) c;
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind) SELECT 'timed ' || c, 'x', 'primary', 'mean', 'x', 'lower', 'significance' FROM unnest('{at,ts,d}'::name[]) c;
CREATE FUNCTION counted() RETURNS TABLE (experiment text, events bigint) LANGUAGE sql AS $$ SELECT experiment_id, events_control + events_treatment FROM unnest('{at,ts,d}'::text[]) c, guardrail_decide('timed ' || c) $$;
SELECT (SELECT count(*) FROM timed WHERE ts >= '2026-01-02' AND ts < '2026-02-05 12:00') AS at_and_ts, (SELECT count(*) FROM timed WHERE d >= '2026-01-02' AND d <= '2026-02-05') AS d;
SELECT * FROM counted();
SET TimeZone = 'Asia/Kolkata';
SET DateStyle = 'SQL, DMY';
SELECT * FROM counted();
SET TimeZone = 'America/New_York';
SET DateStyle = 'German';
SELECT * FROM counted();
SET TimeZone = 'Europe/Dublin';
SET DateStyle = 'Postgres, DMY';
SELECT * FROM counted();
RESET TimeZone;
RESET DateStyle;
UPDATE guardrail_experiment SET starts_at = '-infinity', ends_at = 'infinity' WHERE experiment_id LIKE 'timed%';
SELECT * FROM counted();
-- with the end passed the test is over
SELECT reason ~ 'not over' AS not_over FROM guardrail_decide('timed at');
UPDATE guardrail_experiment SET starts_at = NULL, ends_at = '2026-02-01' WHERE experiment_id = 'timed at';
SELECT reason ~ 'not over' AS not_over FROM guardrail_decide('timed at');

SET client_min_messages = warning;
DROP SCHEMA trust_test CASCADE;
DROP EXTENSION guardrail;
