-- The joint covariance of any two metrics' effects against brute force in plain SQL: covar_samp over per-user totals,
-- the delta method for ratios and for relative effects, theta by covar_samp for CUPED; on random data of sixty seeds with ties, NULLs,
-- duplicated events, one-event units, units in two arms; for the fast and the two-level shape of the scan.
SET client_min_messages = warning;
CREATE EXTENSION guardrail;
CREATE SCHEMA covariance_test;
SET search_path = covariance_test, public;

CREATE FUNCTION u(purpose int, a bigint, b bigint DEFAULT 0) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN (((hashint8extended(a * 100000 + b, purpose) >> 11) & 9007199254740991) + 0.5) / 9007199254740992;
CREATE TABLE ev (experiment_id text, user_id int, variant text, clicks int, revenue numeric(10,2), returned boolean, ms float8, score int, before float8);
-- units 1 .. 20 are seen in two arms; many have one event; every seventh event comes twice; six seeds do not fit the memory setting
INSERT INTO ev
SELECT 'seed ' || seed, who, CASE WHEN n = 2 AND who <= 20 THEN 'b' ELSE arm END, (4 * u(1, key, n))::int,
       CASE WHEN u(2, key, n) > 0.2 THEN round((u(3, key) * 5 + 10 * u(4, key, n))::numeric, 2) END,
       CASE WHEN u(5, key, n) > 0.1 THEN u(6, key, n) < 0.15 + 0.3 * u(3, key) END,
       CASE WHEN u(7, key, n) > 0.3 THEN round((50 * u(8, key, n) * (1 + u(3, key)))::numeric)::float8 END,
       (u(9, key, n) * 4)::int - 2, CASE WHEN who % 10 > 0 THEN u(3, key) + u(10, key) END
FROM generate_series(1, 60) seed, generate_series(1, CASE WHEN seed % 10 = 0 THEN 800 ELSE 170 END) who, LATERAL (SELECT seed * 1000 + who AS key, (ARRAY['control', 'a', 'b'])[1 + (who * 7 + seed) % 3] AS arm) k,
     generate_series(1, greatest(1, (8 * u(11, key)::numeric - 3)::int)) n, generate_series(1, CASE WHEN u(12, key, n) < 0.15 THEN 2 ELSE 1 END);
INSERT INTO guardrail_experiment (experiment_id, events, monitoring, max_crossover) SELECT 'seed ' || seed, 'ev', 'fixed', 1 FROM generate_series(1, 60) seed;
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, denominator, filter, unit_aggregate, covariate, cap_value, quantile, worse, limit_kind, limit_value, at_least)
SELECT experiment_id, r.*, NULL FROM guardrail_experiment, (VALUES
  ('clicks',   'primary',   'mean',       'clicks',   NULL,     NULL,          'sum',   NULL,     NULL::float8, NULL::float8, 'lower', 'difference', 0::float8),
  ('revenue',  'guardrail', 'mean',       'revenue',  NULL,     'score >= 0',  'sum',   NULL,     NULL, NULL, 'lower',  'relative',     0.1),
  ('cuped',    'guardrail', 'mean',       'revenue',  NULL,     NULL,          'sum',   'before', NULL, NULL, 'lower',  'difference',   0.1),
  ('returned', 'guardrail', 'proportion', 'returned', NULL,     NULL,          'sum',   NULL,     NULL, NULL, 'higher', 'relative',     0.1),
  ('bought',   'guardrail', 'proportion', 'revenue',  NULL,     'clicks > 1',  'sum',   NULL,     NULL, NULL, 'lower',  'absolute',     0.1),
  ('load',     'guardrail', 'ratio',      'ms',       NULL,     NULL,          'sum',   NULL,     NULL, NULL, 'higher', 'difference',   10),
  ('per click','guardrail', 'ratio',      'revenue',  'clicks', NULL,          'sum',   'before', NULL, NULL, 'lower',  'relative',     0.1),
  ('slowest',  'guardrail', 'mean',       'ms',       NULL,     NULL,          'max',   NULL,     NULL, NULL, 'higher', 'difference',   10),
  ('average',  'guardrail', 'mean',       'ms',       NULL,     'ms > 10',     'avg',   NULL,     NULL, NULL, 'higher', 'difference',   10),
  ('capped',   'guardrail', 'mean',       'clicks',   NULL,     NULL,          'sum',   NULL,     5,    NULL, 'lower',  'significance', NULL),
  ('liked',    'guardrail', 'proportion', 'score',    NULL,     NULL,          'sum',   NULL,     NULL, NULL, 'lower',  'significance', NULL),
  ('p90',      'guardrail', 'quantile',   'ms',       NULL,     NULL,          'sum',   NULL,     NULL, 0.9,  'higher', 'difference',   10)) AS r;

-- one row per unit and metric: x, for ratios y, the covariate; no row: no observation
CREATE TABLE unit AS
SELECT experiment_id, user_id, min(variant) AS variant, coalesce(sum(clicks), 0)::float8 AS clicks, coalesce(sum(revenue) FILTER (WHERE score >= 0), 0)::float8 AS revenue,
       coalesce(sum(revenue), 0)::float8 AS all_revenue, max(before) AS before, (count(*) FILTER (WHERE returned) > 0)::int::float8 AS returned,
       (coalesce(sum(revenue) FILTER (WHERE clicks > 1), 0) > 0)::int::float8 AS bought, coalesce(sum(ms), 0) AS ms, count(ms)::float8 AS loads,
       max(ms) AS slowest, avg(ms) FILTER (WHERE ms > 10) AS average, least(5, coalesce(sum(clicks), 0))::float8 AS capped, (sum(score) > 0)::int::float8 AS liked
FROM ev GROUP BY 1, 2 HAVING min(variant) = max(variant);
CREATE TABLE long AS
SELECT experiment_id, variant, user_id, m.* FROM unit, LATERAL (VALUES ('clicks', clicks, NULL::float8, NULL::float8), ('revenue', revenue, NULL, NULL), ('cuped', all_revenue, NULL, coalesce(before, 'NaN')),
  ('returned', returned, NULL, NULL), ('bought', bought, NULL, NULL), ('load', ms, loads, NULL), ('per click', all_revenue, clicks, coalesce(before, 'NaN')), ('slowest', slowest, NULL, NULL),
  ('average', average, NULL, NULL), ('capped', capped, NULL, NULL), ('liked', liked, NULL, NULL)) AS m(metric, x, y, cov) WHERE x IS NOT NULL;
-- a covariate that is missing is its pooled mean
CREATE TABLE pooled AS SELECT experiment_id, avg(before) AS mean FROM unit GROUP BY 1;
UPDATE long l SET cov = mean FROM pooled p WHERE cov = 'NaN' AND p.experiment_id = l.experiment_id;
-- the linearised value of a unit, then less theta times its covariate, centred; and the value of the arm
CREATE TABLE linear AS
SELECT l.*, CASE WHEN y IS NULL THEN x ELSE (x - y * r.r) / r.ybar END AS z, r.r FROM long l
JOIN (SELECT experiment_id, variant, metric, sum(x) / sum(y) AS r, avg(y) AS ybar FROM long GROUP BY 1, 2, 3) r USING (experiment_id, variant, metric);
CREATE TABLE theta AS
SELECT experiment_id, metric, sum(szu) / sum(suu) AS theta FROM (SELECT experiment_id, metric, variant, covar_samp(z, cov) * (count(*) - 1) AS szu, var_samp(cov) * (count(*) - 1) AS suu
  FROM linear WHERE cov IS NOT NULL GROUP BY 1, 2, 3) s GROUP BY 1, 2;
CREATE TABLE psi AS
SELECT experiment_id, variant, metric, user_id, p - avg(p) OVER w AS psi, count(*) OVER w AS n,
       coalesce(r, avg(x) OVER w) - coalesce(theta * (avg(cov) OVER w - mean), 0) AS value
FROM (SELECT l.*, t.theta, mean, z - coalesce(t.theta * cov, 0) AS p FROM linear l JOIN pooled USING (experiment_id) LEFT JOIN theta t USING (experiment_id, metric)) q
WINDOW w AS (PARTITION BY experiment_id, variant, metric);
CREATE INDEX ON psi (experiment_id, variant, user_id);
ANALYZE psi;
-- covariance of two values in an arm: covar_samp / n over the same units
CREATE TABLE arm AS
SELECT a.experiment_id, a.variant, a.metric, b.metric AS other, min(a.value) AS value, min(b.value) AS other_value,
       CASE WHEN min(a.n) = count(*) AND min(b.n) = count(*) THEN covar_samp(a.psi, b.psi) / count(*) ELSE sum(a.psi * b.psi) / sqrt(min(a.n)::float8 * (min(a.n) - 1) * min(b.n) * (min(b.n) - 1)) END AS cov
FROM psi a JOIN psi b USING (experiment_id, variant, user_id) GROUP BY 1, 2, 3, 4;
ANALYZE arm;
CREATE TABLE oracle AS
SELECT t.experiment_id, t.variant, t.metric, t.other, gt.t * ho.t * t.cov + gt.c * ho.c * c.cov AS cov, gt.e AS effect, ho.e AS other_effect
FROM arm t JOIN arm c ON c.experiment_id = t.experiment_id AND c.metric = t.metric AND c.other = t.other AND c.variant = 'control' AND t.variant <> 'control',
     LATERAL (SELECT CASE WHEN t.metric IN ('revenue', 'returned', 'per click') THEN 1 / c.value ELSE 1 END AS t, CASE WHEN t.metric IN ('revenue', 'returned', 'per click') THEN -t.value / c.value ^ 2 ELSE -1 END AS c,
              CASE WHEN t.metric IN ('revenue', 'returned', 'per click') THEN t.value / c.value - 1 ELSE t.value - c.value END AS e) gt,
     LATERAL (SELECT CASE WHEN t.other IN ('revenue', 'returned', 'per click') THEN 1 / c.other_value ELSE 1 END AS t, CASE WHEN t.other IN ('revenue', 'returned', 'per click') THEN -t.other_value / c.other_value ^ 2 ELSE -1 END AS c,
              CASE WHEN t.other IN ('revenue', 'returned', 'per click') THEN t.other_value / c.other_value - 1 ELSE t.other_value - c.other_value END AS e) ho;
ANALYZE oracle;
CREATE FUNCTION near(a float8, b float8, scale float8 DEFAULT 0) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN coalesce(abs(a - b) <= 1e-9 * greatest(abs(b), scale), false);

-- pairs in all, those with a covariance, and whether all numbers agree: an effect's and a variance's to 1e-9, a covariance's
-- to 1e-9 of the product of its standard errors
CREATE FUNCTION compared() RETURNS TABLE (pairs bigint, covariances bigint, agree boolean, effects boolean, variances boolean, correlations boolean) LANGUAGE sql AS $$
  WITH g AS MATERIALIZED (SELECT g.* FROM guardrail_experiment x, guardrail_covariance(x.experiment_id) g)
  SELECT count(*), count(g.covariance), bool_and(near(g.covariance, o.cov, sqrt(g.variance * g.other_variance))) FILTER (WHERE g.covariance IS NOT NULL),
         bool_and(near(g.effect, o.effect) AND near(g.other_effect, o.other_effect)) FILTER (WHERE g.metric <> 'p90' AND g.other <> 'p90'),
         bool_and(near(g.variance, v.cov) AND near(g.other_variance, w.cov)) FILTER (WHERE g.metric <> 'p90' AND g.other <> 'p90'),
         bool_and(near(g.correlation, g.covariance / sqrt(g.variance * g.other_variance), 1)) FILTER (WHERE g.covariance IS NOT NULL)
    FROM g
    LEFT JOIN oracle o USING (experiment_id, variant, metric, other)
    LEFT JOIN oracle v ON v.experiment_id = g.experiment_id AND v.variant = g.variant AND v.metric = g.metric AND v.other = g.metric
    LEFT JOIN oracle w ON w.experiment_id = g.experiment_id AND w.variant = g.variant AND w.metric = g.other AND w.other = g.other $$;
SELECT * FROM compared();
SET guardrail.unit_memory = '64kB';
SELECT * FROM compared();
RESET guardrail.unit_memory;
SELECT DISTINCT metric, other, reason FROM guardrail_experiment x, guardrail_covariance(x.experiment_id) WHERE reason IS NOT NULL AND 'p90' NOT IN (metric, other) ORDER BY 1, 2;
SELECT DISTINCT reason FROM guardrail_experiment x, guardrail_covariance(x.experiment_id) WHERE 'p90' IN (metric, other);
SET client_min_messages = warning;
DROP SCHEMA covariance_test CASCADE;
DROP EXTENSION guardrail CASCADE;
