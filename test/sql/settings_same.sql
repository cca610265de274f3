-- Memory settings and workers change how a scan is done, not what comes out: with work_mem and guardrail.unit_memory at
-- the lowest and the highest they may be, serial and parallel.
--
-- Expected numbers: sums, counts and quantile ranks in plain SQL; all ways are held to the first: counts, whole numbers
-- and quantiles exactly, bounds to 1e-12 relative.
SET client_min_messages = warning;
CREATE EXTENSION guardrail;
ALTER TABLE guardrail_experiment ALTER monitoring SET DEFAULT 'fixed';
CREATE SCHEMA settings_test;
SET search_path = settings_test, public;

-- uniform in (0,1), by hash of (what for, who, which event)
CREATE FUNCTION u(purpose int, a bigint, b bigint DEFAULT 0) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN (((hashint8extended(a * 100000 + b, purpose) >> 11) & 9007199254740991) + 0.5) / 9007199254740992;

-- 12,000 users, more than one table of units takes, with 1 to 40 events, one in 50 seen in both arms; whole numbers, so that no sum rounds; "wide" has bins from one
-- end of double precision to the other; numeric of each length that is converted in another way
CREATE TABLE ev AS
SELECT 'user ' || k AS user_id, CASE WHEN u(1, k) < 0.02 THEN CASE WHEN n % 2 = 0 THEN 'control' ELSE 'treatment' END WHEN u(2, k) < 0.5 THEN 'control' ELSE 'treatment' END AS variant, n,
       CASE WHEN u(3, k, n) < 0.05 THEN NULL ELSE floor(2000 * u(4, k, n) ^ 3) END AS ms, CASE WHEN u(5, k, n) < 0.7 THEN 0 ELSE floor(10000 * u(6, k, n))::numeric END AS revenue,
       (u(7, k, n) - 0.5) * 10 ^ floor(600 * u(8, k, n) - 300) AS wide, u(9, k, n) < 0.05 AS crashed, floor(100 * u(10, k)) AS before
  FROM generate_series(1, 12000) k, generate_series(1, least(40, ceil(2 / u(11, k)))::int) n;
-- one user whose events alone are more than the lowest setting holds, so that parting users does not help
CREATE TABLE heavy AS
SELECT k AS user_id, CASE WHEN k % 2 = 0 THEN 'control' ELSE 'treatment' END AS variant, floor(2000 * u(4, k, n) ^ 3) AS ms FROM generate_series(0, 1500) k, generate_series(1, CASE WHEN k = 0 THEN 30000 ELSE 8 END) n;
-- so many that 5 MB hold them no more when they are in several tables already
CREATE TABLE many AS
SELECT k AS user_id, CASE WHEN u(1, k) < 0.02 THEN CASE WHEN n % 2 = 0 THEN 'control' ELSE 'treatment' END WHEN u(2, k) < 0.5 THEN 'control' ELSE 'treatment' END AS variant, floor(2000 * u(4, k, n) ^ 3) AS ms FROM generate_series(1, 10) n, generate_series(1, 40000) k;
VACUUM ANALYZE ev, heavy, many;
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, max_crossover, planned_units) VALUES ('same', 'ev', NULL, 0.05, 100), ('wide', 'ev', NULL, 0.05, 100), ('heavy', 'heavy', NULL, 0.05, 100), ('many', 'many', NULL, 0.05, 100);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, unit_aggregate, quantile, quantile_over, covariate, cap_quantile, worse, limit_kind, limit_value) VALUES
  ('same', 'load',     'guardrail', 'ratio',      'ms',      'sum', NULL, 'events', NULL,     NULL, 'higher', 'difference', 1),
  ('same', 'crash',    'guardrail', 'proportion', 'crashed', 'sum', NULL, 'events', NULL,     NULL, 'higher', 'difference', 1),
  ('same', 'revenue',  'guardrail', 'mean',       'revenue', 'sum', NULL, 'events', NULL,     NULL, 'lower',  'difference', 1),
  ('same', 'capped',   'guardrail', 'mean',       'revenue', 'sum', NULL, 'events', NULL,     0.9,  'lower',  'difference', 1),
  ('same', 'adjusted', 'guardrail', 'mean',       'revenue', 'sum', NULL, 'events', 'before', NULL, 'lower',  'difference', 1),
  ('same', 'most',     'guardrail', 'mean',       'ms',      'max', NULL, 'events', NULL,     NULL, 'higher', 'difference', 1),
  ('same', 'slow',     'guardrail', 'quantile',   'ms',      'sum', 0.95, 'events', NULL,     NULL, 'higher', 'difference', 1),
  ('same', 'users',    'guardrail', 'quantile',   'ms',      'max', 0.5,  'units',  NULL,     NULL, 'higher', 'difference', 1),
  ('many', 'slow',     'guardrail', 'quantile',   'ms',      'sum', 0.95, 'events', NULL,     NULL, 'higher', 'difference', 1),
  ('many', 'load',     'guardrail', 'ratio',      'ms',      'sum', NULL, 'events', NULL,     NULL, 'higher', 'difference', 1),
  ('heavy', 'slow',    'guardrail', 'quantile',   'ms',      'sum', 0.95, 'events', NULL,     NULL, 'higher', 'difference', 1),
  ('heavy', 'load',    'guardrail', 'ratio',      'ms',      'sum', NULL, 'events', NULL,     NULL, 'higher', 'difference', 1),
  ('heavy', 'kinds',   'guardrail', 'distinct',   'ms',      'sum', NULL, 'events', NULL,     NULL, 'higher', 'difference', 1),
  ('wide', 'kinds',    'guardrail', 'distinct',   'ms',      'sum', NULL, 'events', NULL,     NULL, 'higher', 'difference', 1),
  ('wide', 'bits',     'guardrail', 'entropy',    'revenue', 'sum', NULL, 'events', NULL,     NULL, 'higher', 'difference', 1),
  ('wide', 'slow',     'guardrail', 'quantile',   'ms',      'sum', 0.95, 'events', NULL,     NULL, 'higher', 'difference', 1),
  ('wide', 'wide',     'guardrail', 'quantile',   'wide',    'sum', 0.95, 'events', NULL,     NULL, 'higher', 'difference', 1);

CREATE TABLE results AS SELECT ''::text AS way, e.* FROM guardrail_evaluate('same') e LIMIT 0;
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
DO $$
DECLARE
  unit_memory text; work text; workers text;
BEGIN
  FOREACH unit_memory IN ARRAY '{1GB,5MB,64kB}'::text[] LOOP
    FOREACH work IN ARRAY '{64kB,2147483647kB}'::text[] LOOP
      FOREACH workers IN ARRAY '{0,2}'::text[] LOOP
        PERFORM set_config('guardrail.unit_memory', unit_memory, true), set_config('work_mem', work, true), set_config('max_parallel_workers_per_gather', workers, true);
        INSERT INTO results SELECT format('units %s, work_mem %s, %s workers', unit_memory, work, workers), e.* FROM guardrail_experiment x, guardrail_evaluate(x.experiment_id) e;
      END LOOP;
    END LOOP;
  END LOOP;
END $$;

-- the first, by plain SQL: units of two arms are left out; a quantile lies in a bin of the histogram, which is 0.1 % wide
CREATE VIEW known AS SELECT e.* FROM ev e JOIN (SELECT user_id FROM ev GROUP BY 1 HAVING count(DISTINCT variant) = 1) AS one USING (user_id);
SELECT r.experiment_id, r.metric, abs(r.control_value / s.control - 1) < tolerance AND abs(r.treatment_value / s.treatment - 1) < tolerance AS same
  FROM results r, LATERAL (
    SELECT max(value) FILTER (WHERE variant = 'control') AS control, max(value) FILTER (WHERE variant = 'treatment') AS treatment FROM (
      SELECT variant, CASE r.metric WHEN 'load' THEN sum(ms) / count(ms) WHEN 'revenue' THEN sum(revenue)::float8 / count(DISTINCT user_id)
                                    WHEN 'crash' THEN count(DISTINCT user_id) FILTER (WHERE crashed)::float8 / count(DISTINCT user_id)
                                    WHEN 'slow' THEN percentile_disc(0.95) WITHIN GROUP (ORDER BY ms) WHEN 'wide' THEN percentile_disc(0.95) WITHIN GROUP (ORDER BY wide) END AS value
        FROM known GROUP BY variant) AS by_arm) AS s, LATERAL (SELECT CASE WHEN r.kind = 'quantile' THEN 0.001 ELSE 1e-12 END AS tolerance) AS t
 WHERE way = 'units 1GB, work_mem 64kB, 0 workers' AND r.experiment_id IN ('same', 'wide') AND r.metric IN ('load', 'revenue', 'crash', 'slow', 'wide') ORDER BY r.experiment_id, r.metric COLLATE "C";
SELECT r.metric, r.units_control = 751 AND r.events_control = 36000 AS counts, abs(r.control_value / CASE r.metric WHEN 'load' THEN s.mean ELSE s.slow END - 1) < CASE r.metric WHEN 'load' THEN 1e-12 ELSE 0.001 END AS same
  FROM results r, (SELECT avg(ms) AS mean, percentile_disc(0.95) WITHIN GROUP (ORDER BY ms) AS slow FROM heavy WHERE variant = 'control') AS s WHERE way = 'units 1GB, work_mem 64kB, 0 workers' AND r.experiment_id = 'heavy' AND r.metric <> 'kinds' ORDER BY r.metric COLLATE "C";
SELECT r.metric, r.units_control = s.units AND r.events_control = s.events AS counts, abs(r.control_value / CASE r.metric WHEN 'load' THEN s.mean ELSE s.slow END - 1) < CASE r.metric WHEN 'load' THEN 1e-12 ELSE 0.001 END AS same
  FROM results r, (SELECT count(DISTINCT user_id) AS units, count(*) AS events, avg(ms) AS mean, percentile_disc(0.95) WITHIN GROUP (ORDER BY ms) AS slow FROM many JOIN (SELECT user_id FROM many GROUP BY 1 HAVING count(DISTINCT variant) = 1) AS one USING (user_id) WHERE variant = 'control') AS s
 WHERE way = 'units 1GB, work_mem 64kB, 0 workers' AND r.experiment_id = 'many' ORDER BY r.metric COLLATE "C";

CREATE FUNCTION near(a float8, b float8, scale float8) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN a IS NOT DISTINCT FROM b OR abs(a - b) <= 1e-12 * scale;
SELECT r.way, count(*) AS results, count(*) FILTER (WHERE (r.units_control, r.units_treatment, r.events_control, r.events_treatment, r.status) IS NOT DISTINCT FROM (o.units_control, o.units_treatment, o.events_control, o.events_treatment, o.status)) AS counts,
       count(*) FILTER (WHERE r.metric IN ('capped', 'adjusted') OR (r.control_value, r.treatment_value, r.effect) = (o.control_value, o.treatment_value, o.effect)) AS exact,
       count(*) FILTER (WHERE near(r.effect, o.effect, abs(o.control_value) + abs(o.treatment_value)) AND near(r.effect_lower, o.effect_lower, abs(o.control_value) + abs(o.treatment_value)) AND near(r.effect_upper, o.effect_upper, abs(o.control_value) + abs(o.treatment_value))) AS bounds
  FROM results r JOIN results o USING (experiment_id, metric) WHERE o.way = 'units 1GB, work_mem 64kB, 0 workers' GROUP BY r.way ORDER BY r.way COLLATE "C";

-- the aggregate by itself, by groups, of which a limit takes some before the parallel scan is shut down, again and again
CREATE VIEW by_group AS SELECT user_id % 5 AS grp, _guardrail_collect('columns=1 filters=. folds=s0,c0,h0 metrics=r0/1,e2', '{control,treatment}', 100000, variant, user_id, ms::float8) AS c FROM many GROUP BY 1;
SET max_parallel_workers_per_gather = 0;
CREATE TABLE serial AS SELECT * FROM by_group;
SET max_parallel_workers_per_gather = 2;
SET enable_sort = off;
SELECT x.n, count(*) AS groups, bool_and(l.c = s.c) AS same FROM generate_series(1, 4) AS x(n), LATERAL (SELECT * FROM by_group LIMIT x.n) AS l, serial s WHERE s.grp = l.grp GROUP BY x.n ORDER BY x.n;
RESET enable_sort;

-- numeric to double precision, digit by digit or by way of text, is the server's own conversion
SELECT count(*) AS numbers, count(*) FILTER (WHERE _guardrail_number(x) = x::float8) AS same
  FROM (SELECT (CASE WHEN u(12, k) < 0.5 THEN -1 ELSE 1 END * floor(10::numeric ^ (k % 19) * u(13, k)::numeric)) * 10::numeric ^ (k % 61 - 30) AS x FROM generate_series(1, 20000) k
        UNION ALL SELECT x::numeric FROM unnest('{0,-0,0.0000,NaN,Infinity,-Infinity,9007199254740991,9007199254740992,9007199254740993,-9007199254740993,0.1,0.3,123456789012345.6,1e22,1e23,1e-22,1e-23,1e-300,99999999.99,1e131071}'::text[]) x WHERE x <> '1e131071') AS numbers;
SELECT _guardrail_number('1e131071'), _guardrail_number('-1e131071'), _guardrail_number('1e-16000');

SET client_min_messages = warning;
DROP SCHEMA settings_test CASCADE;
DROP EXTENSION guardrail;
