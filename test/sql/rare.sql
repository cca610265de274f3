-- Rare events, canaries, arms that do not vary, one heavy unit, values that occur often: nothing ships unmeasured.
--
-- Expected: what is counted by hand in the comments, and Fisher's exact test (scipy.stats.fisher_exact(..., 'greater')).
SET client_min_messages = error;
CREATE EXTENSION guardrail;
CREATE SCHEMA rare_test;
SET search_path = rare_test, public;
CREATE TABLE ev (experiment_id text, user_id bigint, variant text, clicks float8, value float8, weight float8);
CREATE INDEX ON ev (experiment_id);

-- an experiment of n_c and n_t units whose first x_c and x_t have the event; the treatment wins its primary
CREATE FUNCTION planned(id text, n_c int, n_t int, monitoring text) RETURNS void LANGUAGE sql AS $$
  INSERT INTO guardrail_experiment (experiment_id, events, planned_units, monitoring, shares)
  VALUES (id, 'ev', CASE WHEN monitoring = 'always_valid' THEN NULL ELSE n_c + n_t END, monitoring, jsonb_build_object('control', n_c, 'treatment', n_t));
  INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value)
  VALUES (id, 'clicks', 'primary', 'mean', 'clicks', 'lower', 'relative', 0);
$$;
CREATE FUNCTION counted(id text, n_c int, n_t int, x_c int, x_t int) RETURNS void LANGUAGE sql AS $$
  INSERT INTO ev SELECT id, u, CASE WHEN u <= n_c THEN 'control' ELSE 'treatment' END, u % 7 + CASE WHEN u > n_c THEN 2 ELSE 0 END,
    CASE WHEN u <= n_c THEN u <= x_c ELSE u - n_c <= x_t END::int, 1 FROM generate_series(1, n_c + n_t) AS u;
$$;
CREATE TABLE design AS SELECT unnest('{fixed,group_sequential,always_valid}'::text[]) AS monitoring;

-- ---- an outage: none of 1000 in control, all of 1000 in treatment; 30,000 ms against 100 ms. One order in C(2000, 1000).
CREATE TABLE limits AS SELECT * FROM (VALUES ('absolute', 0.05), ('difference', 0.01), ('relative', 0.05), ('significance', NULL)) AS l (limit_kind, limit_value);
SELECT planned('outage ' || monitoring, 1000, 1000, monitoring), counted('outage ' || monitoring, 1000, 1000, 0, 1000) FROM design \g /dev/null
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, quantile, worse, limit_kind, limit_value)
SELECT 'outage ' || monitoring, what || ' ' || limit_kind, 'guardrail', kind, value, quantile, 'higher', limit_kind, limit_value
  FROM design, limits, (VALUES ('failed', 'proportion', 'value = 1', NULL::float8), ('failures', 'mean', 'value', NULL), ('per event', 'ratio', 'value', NULL),
    ('ms', 'mean', '100 + 29900 * value', NULL), ('p95', 'quantile', '100 + 29900 * value', 0.95)) AS k (what, kind, value, quantile);
SELECT monitoring, count(*) AS guardrails, count(*) FILTER (WHERE r.status = 'BREACHED') AS breached, string_agg(metric || ' ' || r.status, ', ') FILTER (WHERE r.status <> 'BREACHED') AS others
  FROM design, guardrail_evaluate('outage ' || monitoring) AS r WHERE metric <> 'clicks' GROUP BY 1 ORDER BY 1;

-- ---- a control with next to nothing, limit +10 %: 200 of 1000 against 0, 1, 3, 10, 40 of 1000 (Fisher: p from 1e-65 to 3e-30)
SELECT planned(id, 1000, 1000, monitoring), counted(id, 1000, 1000, x_c, 200)
  FROM design, unnest(ARRAY[0, 1, 3, 10, 40]) AS x_c, LATERAL (SELECT 'few ' || monitoring || ' ' || x_c AS id) AS named \g /dev/null
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value)
SELECT experiment_id, 'errors', 'guardrail', 'proportion', 'value = 1', 'higher', 'relative', 0.1 FROM guardrail_experiment WHERE experiment_id LIKE 'few %';
SELECT e.monitoring, count(*) AS experiments, count(*) FILTER (WHERE d.verdict = 'BLOCK') AS block FROM guardrail_experiment AS e, guardrail_decide(e.experiment_id) AS d
 WHERE e.experiment_id LIKE 'few %' GROUP BY 1 ORDER BY 1;
-- what cannot be shown as a per cent is shown as it is
SELECT reason FROM guardrail_evaluate('few fixed 0') WHERE metric = 'errors';

-- ---- uneven splits, events that are rare in control (Fisher: p from 7e-7 to below 1e-300)
CREATE TABLE canary AS SELECT * FROM (VALUES ('even 0 and 25', 1000, 1000, 0, 25), ('even 2 and 27', 1000, 1000, 2, 27), ('90/10', 9000, 1000, 9, 300), ('90/10 all', 9000, 1000, 9, 900),
  ('95/5', 9500, 500, 10, 480), ('80/20', 8000, 2000, 8, 400), ('99/1', 9900, 100, 10, 99)) AS c (id, n_c, n_t, x_c, x_t);
SELECT planned(id || ' ' || monitoring, n_c, n_t, monitoring), counted(id || ' ' || monitoring, n_c, n_t, x_c, x_t) FROM canary, design \g /dev/null
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value)
SELECT id || ' ' || monitoring, kind || ' ' || limit_kind, 'guardrail', kind, CASE kind WHEN 'proportion' THEN 'value = 1' ELSE 'value' END, 'higher', limit_kind, size
  FROM canary, design, (VALUES ('proportion'), ('mean'), ('ratio')) AS k (kind), (VALUES ('difference', 0.005), ('relative', 0.1), ('absolute', 0.01), ('significance', NULL)) AS l (limit_kind, size);
SELECT id, count(*) AS tests, count(*) FILTER (WHERE r.status = 'BREACHED') AS breached, string_agg(monitoring || ' ' || metric || ' ' || r.status, ', ') FILTER (WHERE r.status <> 'BREACHED') AS others
  FROM canary, design, guardrail_evaluate(id || ' ' || monitoring) AS r WHERE metric <> 'clicks' GROUP BY 1 ORDER BY 1;

-- ---- the canary: crashes 0.5 % to 5 % in 5 % of 100,000 users (Fisher: p = 3e-137), at its first recorded check; a harmless one of 200 users at 99/1
SELECT planned('canary ' || monitoring, 95000, 5000, monitoring), counted('canary ' || monitoring, 95000, 5000, 475, 250),
       planned('harmless ' || monitoring, 19800, 200, monitoring), counted('harmless ' || monitoring, 19800, 200, 99, 1) FROM design WHERE monitoring <> 'fixed' \g /dev/null
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value)
SELECT experiment_id, 'crashed', 'guardrail', 'proportion', 'value = 1', 'higher', 'difference', 0.001 FROM guardrail_experiment WHERE experiment_id LIKE 'canary %' OR experiment_id LIKE 'harmless %';
SELECT count(guardrail_launch(experiment_id)) FROM guardrail_experiment WHERE experiment_id LIKE 'canary %' OR experiment_id LIKE 'harmless %';
CALL guardrail_check();
SELECT experiment_id, verdict, status FROM guardrail_verdict ORDER BY 1;
-- 2 of 200 where 0.5 % are expected, limit +0.1 pp: nothing is proven (Fisher: p = 0.27), but the check by hand would block
INSERT INTO ev SELECT 'harmless always_valid', 19800 + 201, 'treatment', 9, 1, 1;
CALL guardrail_check('harmless always_valid');
SELECT verdict, status, watch, reason FROM guardrail_verdict WHERE experiment_id = 'harmless always_valid';
SELECT metric, status, watch, reason FROM guardrail_result WHERE experiment_id = 'harmless always_valid' AND metric = 'crashed';
SELECT guardrail_status('harmless always_valid');
SELECT guardrail_assert_shippable('harmless always_valid', 'treatment');

-- ---- gates, when a guardrail is UNMEASURED: nobody has failed, so a limit of +10 % of nothing says nothing
SELECT planned('unmeasured', 2000, 2000, 'group_sequential') \g /dev/null
INSERT INTO guardrail_rule (experiment_id, metric, role, severity, kind, value, worse, limit_kind, limit_value) VALUES
  ('unmeasured', 'failed', 'guardrail', 'hold', 'proportion', 'value = 1', 'higher', 'relative', 0.1), ('unmeasured', 'shown only', 'guardrail', 'warn', 'mean', 'value', 'higher', 'relative', 0.1);
SELECT guardrail_launch('unmeasured');
SELECT counted('unmeasured', 2000, 2000, 0, 0) \g /dev/null
CALL guardrail_check('unmeasured');
SELECT verdict, status, unmeasured, watch, undecided, reason FROM guardrail_verdict WHERE experiment_id = 'unmeasured';
SELECT metric, status, reason FROM guardrail_result WHERE experiment_id = 'unmeasured' ORDER BY 1;
SELECT guardrail_assert_shippable('unmeasured', 'treatment');
CREATE TABLE release (experiment_id text, variant text);
CREATE TRIGGER gate BEFORE INSERT ON release FOR EACH ROW EXECUTE FUNCTION guardrail_release_gate('experiment_id', 'variant');
INSERT INTO release VALUES ('unmeasured', 'treatment');
SELECT verdict, identical FROM guardrail_replay((SELECT check_id FROM guardrail_verdict WHERE experiment_id = 'unmeasured'));
-- of severity warn alone it is only shown
SELECT guardrail_amend('unmeasured', 'shown only', '{"rules": {"failed": {"severity": "warn"}}}') IS NOT NULL AS amended;
SELECT guardrail_waive('unmeasured', 'treatment', 'failed', 'nobody needs it');
CALL guardrail_check('unmeasured');
SELECT verdict, status FROM guardrail_verdict WHERE experiment_id = 'unmeasured';

-- ---- a negative control under a relative limit: refused at launch when the data are there, UNMEASURED when they come later
SELECT planned('margin', 1000, 1000, 'fixed'), planned('margin later', 1000, 1000, 'fixed') \g /dev/null
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value)
SELECT id, 'margin', 'guardrail', 'mean', 'value', 'lower', 'relative', 0.05 FROM unnest('{margin,margin later}'::text[]) AS id;
SELECT guardrail_launch('margin later');
INSERT INTO ev SELECT id, u, CASE WHEN u <= 1000 THEN 'control' ELSE 'treatment' END, u % 7 + u / 1001, CASE WHEN u <= 1000 THEN -10 ELSE -15 END + u % 7 - 3, 1
  FROM unnest('{margin,margin later}'::text[]) AS id, generate_series(1, 2000) AS u;
SELECT guardrail_launch('margin');
CALL guardrail_check('margin later');
SELECT verdict, status, reason FROM guardrail_verdict WHERE experiment_id = 'margin later';
SELECT effect_lower, effect_upper, p_breach FROM guardrail_evaluate('margin later') WHERE metric = 'margin';

-- ---- no treatment yet, and an arm under another name
SELECT planned('unseen', 1000, 1000, 'fixed'), planned('misnamed', 1000, 1000, 'fixed') \g /dev/null
INSERT INTO ev SELECT id, u, CASE WHEN u <= 1000 THEN 'control' ELSE 'treatment ' END, u % 7, 1, 1 FROM unnest('{unseen,misnamed}'::text[]) AS id, generate_series(1, 2000) AS u WHERE u <= 1000 OR id = 'misnamed';
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value)
SELECT id, 'failed', 'guardrail', 'proportion', 'value = 1', 'higher', 'difference', 0.1 FROM unnest('{unseen,misnamed}'::text[]) AS id;
SELECT experiment_id, variant, verdict, status, units_treatment, reason FROM (VALUES ('misnamed'), ('unseen')) AS e (id), guardrail_decide(id);
SELECT experiment_id, variant, metric, status FROM (VALUES ('misnamed'), ('unseen')) AS e (id), guardrail_evaluate(id);
SELECT count(guardrail_launch(id, true)) FROM (VALUES ('misnamed'), ('unseen')) AS e (id);
CALL guardrail_check('unseen');
SELECT guardrail_assert_shippable('unseen', 'treatment');
DROP SCHEMA rare_test CASCADE;
DROP EXTENSION guardrail;
