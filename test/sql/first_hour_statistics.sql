-- What an analyst meets in the first hour: metrics in which every unit has the same value, values that are NULL by
-- design, and a choice beside the verdict SHIP.
--
-- Expected, by counting: how many units have which value, and shares of NULLs.  The numbers of events needed: four units
-- without the event, all in control, have p = 1/2^4 = 0.0625 and three 0.125; two events, both in treatment, have z =
-- sqrt(2) and p = 0.079, one 0.16; alpha is 0.10.  Of the choice, by statsmodels' score test of a difference of 0.01: 50 of
-- 1,000 in both arms are not proven to be within it (p = 0.153), and 20 against 50 are (p = 1e-6).
SET client_min_messages = warning;
CREATE EXTENSION guardrail;
CREATE SCHEMA first_hour_statistics;
SET search_path = first_hour_statistics, public;

-- ---- every unit has the same value ----------------------------------------------
-- 1,000 units an arm, two events each, on two days
CREATE TABLE ev AS
SELECT n AS user_id, CASE WHEN n % 2 = 0 THEN 'control' ELSE 'treatment' END AS variant, '2026-01-01'::timestamptz + day * interval '1 day' AS at,
       0.1 AS tenth, n % 2 AS treated, n % 2 = 0 OR n % 3 > 0 AS mixed, n = 2 AS once, n
FROM generate_series(1, 2000) n, generate_series(0, 1) day;
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, time_column, monitoring, planned_units) VALUES ('same', 'ev', NULL, 'at', 'fixed', 2000);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value, quantile, retention_day, display_unit, unit_aggregate) VALUES
  ('same', 'primary', 'primary', 'proportion', 'true', 'lower', 'difference', 0, NULL, NULL, NULL, 'sum'),
  ('same', 'all true', 'guardrail', 'proportion', 'true', 'higher', 'significance', NULL, NULL, NULL, NULL, 'sum'),
  ('same', 'all true, margin', 'guardrail', 'proportion', 'true', 'higher', 'difference', 0.05, NULL, NULL, NULL, 'sum'),
  ('same', 'all true, +5 %', 'guardrail', 'proportion', 'true', 'higher', 'relative', 0.05, NULL, NULL, NULL, 'sum'),
  ('same', 'all false', 'guardrail', 'proportion', 'false', 'higher', 'significance', NULL, NULL, NULL, NULL, 'sum'),
  ('same', 'all false, margin', 'guardrail', 'proportion', 'false', 'higher', 'difference', 0.05, NULL, NULL, NULL, 'sum'),
  ('same', 'mean 2', 'guardrail', 'mean', '1', 'higher', 'significance', NULL, NULL, NULL, 'EUR', 'sum'),
  ('same', 'mean 2, margin', 'guardrail', 'mean', '1', 'higher', 'relative', 0.05, NULL, NULL, 'EUR', 'sum'),
  ('same', 'mean 1', 'guardrail', 'mean', '1', 'higher', 'significance', NULL, NULL, NULL, NULL, 'max'),
  ('same', 'mean 0', 'guardrail', 'mean', '0', 'higher', 'significance', NULL, NULL, NULL, NULL, 'sum'),
  ('same', 'mean 0.2', 'guardrail', 'mean', 'tenth', 'higher', 'significance', NULL, NULL, NULL, NULL, 'sum'),
  ('same', 'ratio 0.1', 'guardrail', 'ratio', 'tenth', 'higher', 'significance', NULL, NULL, NULL, NULL, 'sum'),
  ('same', 'median 0.1', 'guardrail', 'quantile', 'tenth', 'higher', 'significance', NULL, 0.5, NULL, NULL, 'sum'),
  ('same', 'distinct 1', 'guardrail', 'distinct', 'tenth', 'higher', 'significance', NULL, NULL, NULL, NULL, 'sum'),
  ('same', 'entropy 0', 'guardrail', 'entropy', 'tenth', 'higher', 'significance', NULL, NULL, NULL, NULL, 'sum'),
  ('same', 'retained', 'guardrail', 'retention', 'true', 'lower', 'significance', NULL, NULL, 1, NULL, 'sum'),
  ('same', 'one and two', 'guardrail', 'mean', '1 + treated', 'higher', 'significance', NULL, NULL, NULL, NULL, 'max'),
  ('same', 'all of control', 'guardrail', 'proportion', 'mixed', 'lower', 'significance', NULL, NULL, NULL, NULL, 'sum'),
  ('same', 'none of treatment', 'guardrail', 'proportion', 'treated = 0 AND n % 10 = 0', 'higher', 'significance', NULL, NULL, NULL, NULL, 'sum'),
  -- one unit of a thousand: none of the others is no surprise
  ('same', 'rare', 'guardrail', 'proportion', 'once', 'higher', 'difference', 0.05, NULL, NULL, NULL, 'sum');
\pset format unaligned
SELECT metric, status, substring(reason FROM '(?:every unit|no unit|all values|nothing varies).*') AS says FROM guardrail_evaluate('same') ORDER BY 1;
-- below min_units it says nothing yet
UPDATE guardrail_experiment SET min_units = 2000 WHERE experiment_id = 'same';
SELECT count(*) FILTER (WHERE reason ~ 'every unit|no unit of') AS said FROM guardrail_evaluate('same');
\pset format aligned

-- ---- NULL by design, and values that are lost ------------------------------------
-- four events a unit: 100 of 1,000 units of control buy once, 160 of treatment; rated: no value in 800 of 4,000 events, in
-- 1,200 of treatment; load: one event in twenty of treatment has lost it
CREATE TABLE visit AS
SELECT n AS user_id, CASE WHEN n % 2 = 0 THEN 'control' ELSE 'treatment' END AS variant, k,
       CASE WHEN k = 0 AND n / 2 % 100 < CASE WHEN n % 2 = 0 THEN 10 ELSE 16 END THEN 20 + n % 7 END AS revenue,
       CASE WHEN (n / 2 * 4 + k) % 20 >= CASE WHEN n % 2 = 0 THEN 4 ELSE 6 END THEN 3 + n % 3 END AS rating,
       CASE WHEN n % 2 = 0 OR (n / 2 * 4 + k) % 20 > 0 THEN 100 + n * 7919 % 101 END AS load
FROM generate_series(2, 2001) n, generate_series(0, 3) k;
SELECT variant, count(DISTINCT user_id) FILTER (WHERE revenue > 0) AS buyers, count(*) AS events, count(*) - count(rating) AS unrated, count(*) - count(load) AS lost FROM visit GROUP BY 1 ORDER BY 1;
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, monitoring, planned_units) VALUES ('nulls', 'visit', NULL, 'fixed', 2000);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, filter, worse, limit_kind, limit_value, unit_aggregate, quantile, denominator) VALUES
  ('nulls', 'revenue', 'primary', 'mean', 'revenue', NULL, 'lower', 'difference', 0, 'sum', NULL, NULL),
  ('nulls', 'purchases', 'secondary', 'mean', 'revenue', NULL, 'lower', 'difference', 0, 'count', NULL, NULL),
  ('nulls', 'buyers', 'secondary', 'proportion', 'revenue > 0', NULL, 'lower', 'difference', 0, 'sum', NULL, NULL),
  ('nulls', 'prices', 'secondary', 'distinct', 'revenue', NULL, 'lower', 'difference', 0, 'sum', NULL, NULL),
  ('nulls', 'revenue per visit', 'secondary', 'ratio', 'revenue', NULL, 'lower', 'difference', 0, 'sum', NULL, '1'),
  ('nulls', 'order value', 'secondary', 'ratio', 'revenue', NULL, 'lower', 'difference', 0, 'sum', NULL, NULL),
  ('nulls', 'order value, none 0', 'secondary', 'ratio', 'COALESCE(revenue, 0)', NULL, 'lower', 'difference', 0, 'sum', NULL, NULL),
  ('nulls', 'order value, filtered', 'secondary', 'ratio', 'revenue', 'revenue IS NOT NULL', 'lower', 'difference', 0, 'sum', NULL, NULL),
  ('nulls', 'average', 'secondary', 'mean', 'revenue', NULL, 'lower', 'difference', 0, 'avg', NULL, NULL),
  ('nulls', 'largest', 'secondary', 'mean', 'revenue', NULL, 'lower', 'difference', 0, 'max', NULL, NULL),
  ('nulls', 'median', 'secondary', 'quantile', 'revenue', NULL, 'lower', 'difference', 0, 'sum', 0.5, NULL),
  ('nulls', 'entropy', 'secondary', 'entropy', 'revenue', NULL, 'lower', 'difference', 0, 'sum', NULL, NULL),
  ('nulls', 'rating', 'secondary', 'mean', 'rating', NULL, 'lower', 'difference', 0, 'sum', NULL, NULL),
  ('nulls', 'rating per event', 'secondary', 'ratio', 'rating', NULL, 'lower', 'difference', 0, 'sum', NULL, NULL),
  ('nulls', 'load', 'guardrail', 'mean', 'load', NULL, 'higher', 'relative', 0.05, 'sum', NULL, NULL);
\pset format unaligned
SELECT metric, regexp_replace(substring(reason FROM 'warning.*'), 'p = [0-9.e-]+', 'p') AS warning FROM guardrail_evaluate('nulls') ORDER BY 1;
SELECT status, reason ~ 'NULL' AS warns FROM guardrail_evaluate('nulls') WHERE metric = 'revenue';
\pset format aligned

-- ---- the choice beside SHIP --------------------------------------------------------
-- a gains more and has as many errors as control, which is no proof of safety; b gains less and has fewer
CREATE TABLE run AS
SELECT arm || n AS user_id, arm AS variant, e AS experiment_id, n % 20 + CASE arm WHEN 'a' THEN 4 WHEN 'b' THEN 2 ELSE 0 END AS score,
       n <= CASE arm WHEN 'b' THEN 20 ELSE 50 END AS error, n <= 400 AS early
FROM unnest('{control,a,b}'::text[]) arm, generate_series(1, 1000) n, unnest('{two,three,asked,unmeasured,immature}'::text[]) e WHERE e = 'three' OR arm <> CASE e WHEN 'immature' THEN 'a' ELSE 'b' END;
ALTER TABLE run ADD at timestamptz;
UPDATE run SET at = CASE WHEN early THEN '2026-01-01'::timestamptz ELSE 'infinity' END;
UPDATE run SET at = now() WHERE at = 'infinity';
INSERT INTO guardrail_experiment (experiment_id, events, time_column, monitoring, planned_units)
SELECT e, 'run', CASE WHEN e = 'immature' THEN 'at' END, CASE WHEN e = 'immature' THEN 'always_valid' ELSE 'fixed' END, CASE e WHEN 'three' THEN 3000 ELSE 2000 END
FROM unnest('{two,three,asked,unmeasured,immature}'::text[]) e;
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value, evidence, window_length)
SELECT experiment_id, 'score', 'primary', 'mean', 'score', 'lower', 'difference', 0, 'breach', CASE WHEN experiment_id = 'immature' THEN interval '1 day' END FROM guardrail_experiment WHERE events = 'run'::regclass
UNION ALL
SELECT experiment_id, 'errors', 'guardrail', 'proportion', 'error', 'higher', 'difference', CASE WHEN experiment_id = 'immature' THEN 0.05 ELSE 0.01 END, CASE WHEN experiment_id = 'asked' THEN 'safe' ELSE 'breach' END, NULL FROM guardrail_experiment WHERE events = 'run'::regclass
UNION ALL SELECT 'unmeasured', 'crash', 'guardrail', 'proportion', 'false', 'higher', 'significance', NULL, 'breach', NULL;
\pset format unaligned
SELECT e, d.variant, d.verdict FROM unnest('{two,three,asked,unmeasured,immature}'::text[]) e, guardrail_decide(e) d ORDER BY 1, 2;
SELECT e, guardrail, variant, chosen, feasible, guardrail_status, shadow_price, reason FROM unnest('{two,three,asked,unmeasured,immature}'::text[]) e, guardrail_choose(e) ORDER BY 1, 2, 3;
\pset format aligned
SET client_min_messages = warning;
DROP SCHEMA first_hour_statistics CASCADE;
DROP EXTENSION guardrail CASCADE;
