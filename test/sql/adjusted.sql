-- Covariates (CUPED) and winsorising against brute force in plain SQL: theta
-- pooled within arms, units without a covariate at its pooled mean; caps by
-- percentile_cont over the units of both arms; for the fast and the two-level
-- shape of the scan.  The data are made by a linear congruence: no random().
SET client_min_messages = warning;
CREATE EXTENSION guardrail;
CREATE TABLE adjusted_users AS
SELECT u AS user_id, (ARRAY['control', 'treatment'])[(u * 7919 % 13 < 6)::int + 1] AS variant,
       CASE WHEN u % 10 > 0 THEN exp((u * 104729 % 1000) / 500.0) END AS pre
FROM generate_series(1, 3000::bigint) AS u;
CREATE TABLE adjusted_events AS
SELECT user_id, variant, pre, (user_id * 31 + k * 17) % 4 + 1 AS items,
       coalesce(pre, 2) * ((user_id * 15485863 + k * 32452843) % 997) / 400.0 * (((user_id + k) % 3 > 0)::int) AS rev
FROM adjusted_users, generate_series(1, 3) AS k;
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, planned_units, monitoring)
VALUES ('adjusted', 'adjusted_events', NULL, 3000, 'fixed');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, denominator, worse, limit_kind, limit_value,
                            covariate, cap_quantile, cap_value)
VALUES ('adjusted', 'plain', 'primary', 'mean', 'rev', NULL, 'lower', 'difference', 0, NULL, NULL, NULL),
       ('adjusted', 'mean', 'secondary', 'mean', 'rev', NULL, 'lower', 'difference', 0, 'pre', NULL, NULL),
       ('adjusted', 'ratio', 'guardrail', 'ratio', 'rev', 'items', 'lower', 'difference', 0.1, 'pre', NULL, NULL),
       ('adjusted', 'capped', 'guardrail', 'mean', 'rev', NULL, 'lower', 'relative', 0.1, NULL, 0.95, NULL),
       ('adjusted', 'capped value', 'guardrail', 'mean', 'rev', NULL, 'lower', 'relative', 0.1, NULL, NULL, 12),
       ('adjusted', 'capped ratio', 'guardrail', 'ratio', 'rev', 'items', 'lower', 'relative', 0.1, NULL, 0.9, NULL),
       ('adjusted', 'nothing', 'guardrail', 'mean', 'rev', NULL, 'lower', 'relative', 0.1, '7', NULL, NULL);

CREATE VIEW adjusted_per_user AS
SELECT user_id, variant, sum(rev) AS x, sum(items)::float8 AS y, max(pre) AS u0 FROM adjusted_events GROUP BY 1, 2;
CREATE VIEW adjusted_linear AS           -- the outcome: x, or the linearised ratio
SELECT p.variant, p.x, (p.x - r.r * p.y) / r.ybar AS l, coalesce(p.u0, m.m) AS u, m.m, r.r
FROM adjusted_per_user p
JOIN (SELECT variant, sum(x) / sum(y) AS r, avg(y) AS ybar FROM adjusted_per_user GROUP BY 1) r USING (variant),
     (SELECT avg(u0) AS m FROM adjusted_per_user) m;
CREATE TABLE adjusted_oracle AS
WITH theta AS (
  SELECT sum(sx) / sum(su) AS x, sum(sl) / sum(su) AS l
  FROM (SELECT covar_samp(x, u) * (count(*) - 1) AS sx, covar_samp(l, u) * (count(*) - 1) AS sl,
               var_samp(u) * (count(*) - 1) AS su FROM adjusted_linear GROUP BY variant) AS s),
caps AS (
  SELECT percentile_cont(0.95) WITHIN GROUP (ORDER BY x) FILTER (WHERE x > 0) AS p95,
         percentile_cont(0.9) WITHIN GROUP (ORDER BY x) AS px, percentile_cont(0.9) WITHIN GROUP (ORDER BY y) AS py
  FROM adjusted_per_user)
SELECT 'mean' AS metric, variant, avg(a.x) - t.x * (avg(u) - min(m)) AS value, sqrt(var_samp(a.x - t.x * u) / count(*)) AS se
FROM adjusted_linear a, theta t GROUP BY variant, t.x
UNION ALL
SELECT 'ratio', variant, min(r) - t.l * (avg(u) - min(m)), sqrt(var_samp(a.l - t.l * u) / count(*))
FROM adjusted_linear a, theta t GROUP BY variant, t.l
UNION ALL
SELECT 'capped', variant, avg(least(x, p95)), sqrt(var_samp(least(x, p95)) / count(*))
FROM adjusted_per_user, caps GROUP BY variant
UNION ALL
SELECT 'capped value', variant, avg(least(x, 12)), sqrt(var_samp(least(x, 12)) / count(*))
FROM adjusted_per_user GROUP BY variant
UNION ALL
SELECT 'nothing', variant, avg(x), sqrt(var_samp(x) / count(*)) FROM adjusted_per_user GROUP BY variant
UNION ALL
SELECT 'capped ratio', variant, sum(cx) / sum(cy),
       sqrt((var_samp(cx) - 2 * sum(cx) / sum(cy) * covar_samp(cx, cy) + (sum(cx) / sum(cy)) ^ 2 * var_samp(cy))
            / (count(*) * avg(cy) ^ 2))
FROM (SELECT variant, least(x, px) AS cx, least(y, py) AS cy FROM adjusted_per_user, caps) AS c GROUP BY variant;

CREATE FUNCTION against_oracle(OUT metric text, OUT agrees boolean) RETURNS SETOF record LANGUAGE sql AS $$
  SELECT e.metric, abs(e.control_value / c.value - 1) < 1e-9 AND abs(e.treatment_value / t.value - 1) < 1e-9
         AND abs(e.control_se / c.se - 1) < 1e-9 AND abs(e.treatment_se / t.se - 1) < 1e-9
  FROM guardrail_evaluate('adjusted') e
  JOIN adjusted_oracle c ON c.metric = e.metric AND c.variant = 'control'
  JOIN adjusted_oracle t ON t.metric = e.metric AND t.variant = 'treatment' ORDER BY 1 $$;
SELECT * FROM against_oracle();
SET guardrail.unit_memory = '64kB';
SELECT * FROM against_oracle();
RESET guardrail.unit_memory;
-- the reason says what the covariate was worth, and the cap
SELECT metric, reason ~ 'the covariate removed \d+ % of the variance' AS covariate, reason ~ 'unit totals capped at' AS capped
FROM guardrail_evaluate('adjusted') ORDER BY metric;

-- what cannot be
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, quantile, worse, limit_kind, limit_value, covariate)
VALUES ('adjusted', 'p95', 'guardrail', 'quantile', 'rev', 0.95, 'higher', 'difference', 1, 'pre');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value, cap_quantile)
VALUES ('adjusted', 'share', 'guardrail', 'proportion', 'rev', 'higher', 'difference', 1, 0.9);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value, cap_value)
VALUES ('adjusted', 'r', 'guardrail', 'ratio', 'rev', 'higher', 'difference', 1, 9);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value, cap_value, cap_quantile)
VALUES ('adjusted', 'r', 'guardrail', 'mean', 'rev', 'higher', 'difference', 1, 9, 0.9);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value, cap_quantile)
VALUES ('adjusted', 'r', 'guardrail', 'mean', 'rev', 'higher', 'difference', 1, 1);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value, covariate)
VALUES ('adjusted', 'r', 'guardrail', 'mean', 'rev', 'higher', 'difference', 1, 'avg(pre)');
DROP FUNCTION against_oracle;
DROP VIEW adjusted_linear, adjusted_per_user;
DROP TABLE adjusted_users, adjusted_events, adjusted_oracle;
DELETE FROM guardrail_experiment;
DROP EXTENSION guardrail;
