-- Windows and retention without an assignment table: a unit's first event is its exposure. When cohorts are immature. What is refused.
--
-- Expected numbers: the same in plain SQL, unit by unit, on random data of twenty seeds: units of one event and in two arms, rows of
-- unknown arms, NULLs, ties, times without one; then data made so that the verdict is known.
SET client_min_messages = warning;
CREATE EXTENSION guardrail;
CREATE SCHEMA windows_test;
SET search_path = windows_test, public;
SET timezone = 'UTC';

CREATE FUNCTION u(purpose int, a bigint, b bigint DEFAULT 0) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN (((hashint8extended(a * 100000 + b, purpose) >> 11) & 9007199254740991) + 0.5) / 9007199254740992;
CREATE FUNCTION near(a float8, b float8, tolerance float8 DEFAULT 1e-9) RETURNS boolean LANGUAGE sql IMMUTABLE
  RETURN CASE WHEN a IS NULL OR b IS NULL THEN a IS NULL AND b IS NULL ELSE abs(a - b) <= tolerance * abs(b) + 1e-12 END;

-- the clocks of New York change on 8 March
CREATE TABLE ev AS
SELECT 'seed ' || seed AS experiment_id, CASE WHEN u(1, k, n) < 0.005 THEN NULL ELSE who::int END AS user_id, CASE WHEN u(2, k, n) < 0.03 THEN 'other' WHEN u(2, k, n) < 0.04 THEN NULL WHEN (u(3, k) < 0.5) <> (u(4, k, n) < 0.004) THEN 'control' ELSE 'treatment' END AS variant,
       CASE WHEN u(5, k, n) < 0.01 THEN NULL ELSE '2026-03-01'::timestamp + interval '1 hour' * floor(24 * 12 * u(6, k) + 24 * 6 * u(7, k, n)) END AS at,
       CASE WHEN u(8, k, n) < 0.1 THEN NULL ELSE floor(10 * u(9, k, n) - 2)::int END AS x, floor(3 * u(10, k, n))::int AS y, round((exp(3 * u(11, k, n)) * 100)::numeric, 1) AS ms, floor(10 * u(12, k))::float8 AS before
  FROM generate_series(1, 20) seed, generate_series(1, 500) who, LATERAL (SELECT seed * 1000 + who AS k) AS key, generate_series(1, ceil(8 * u(13, k) ^ 2)::int) n;
ANALYZE ev;
INSERT INTO guardrail_experiment (experiment_id, events, time_column, min_units, max_crossover, srm_alpha, monitoring, correction, ends_at, starts_at, shares)
SELECT 'seed ' || seed, 'ev', 'at', 2, 1, 1e-300, 'fixed', 'none', '2026-03-15 04:30', CASE WHEN seed % 2 > 0 THEN '2026-03-02 12:00'::timestamptz END, '{"control": 1, "treatment": 1}' FROM generate_series(1, 20) seed;
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, denominator, filter, unit_aggregate, quantile, quantile_over, at_least, window_length, retention_day, retention_time_zone, covariate, cap_value, worse, limit_kind, limit_value)
SELECT experiment_id, r.*, 'higher', 'difference', 0.5 FROM guardrail_experiment, (VALUES
  ('sum',        'primary',   'mean', 'x', NULL, NULL, 'sum', NULL::float8, 'events', NULL::float8, NULL::interval, NULL::int, NULL, NULL, NULL::float8),
  ('at least',   'guardrail', 'proportion', 'x', NULL, NULL, 'sum', NULL, 'events', 4, NULL, NULL, NULL, NULL, NULL),
  ('sum 2d',     'guardrail', 'mean', 'ev.x', NULL, NULL, 'sum', NULL, 'events', NULL, '2 days', NULL, NULL, NULL, NULL),
  ('max 2d',     'guardrail', 'mean', 'x', NULL, 'y > 0', 'max', NULL, 'events', NULL, '2 days', NULL, NULL, NULL, NULL),
  ('capped 2d',  'guardrail', 'mean', 'x', NULL, NULL, 'sum', NULL, 'events', NULL, '2 days', NULL, NULL, NULL, 6),
  ('share 6h',   'guardrail', 'proportion', 'x > 4', NULL, NULL, 'sum', NULL, 'events', NULL, '6 hours', NULL, NULL, NULL, NULL),
  ('ratio 3d',   'guardrail', 'ratio', 'x', 'y', NULL, 'sum', NULL, 'events', NULL, '3 days', NULL, NULL, NULL, NULL),
  ('p50 2d',     'guardrail', 'quantile', 'ms', NULL, NULL, 'sum', 0.5, 'events', NULL, '2 days', NULL, NULL, NULL, NULL),
  ('p90 2d',     'guardrail', 'quantile', 'ms', NULL, NULL, 'avg', 0.9, 'units', NULL, '2 days', NULL, NULL, NULL, NULL),
  ('day 1',      'guardrail', 'retention', NULL, NULL, NULL, 'sum', NULL, 'events', NULL, NULL, 1, NULL, NULL, NULL),
  ('day 3 y',    'guardrail', 'retention', 'y', NULL, 'x > 0', 'sum', NULL, 'events', NULL, NULL, 3, NULL, NULL, NULL),
  ('day 1 NY',   'guardrail', 'retention', NULL, NULL, NULL, 'sum', NULL, 'events', NULL, NULL, 1, 'America/New_York', NULL, NULL)
) AS r(metric, role, kind, value, denominator, filter, unit_aggregate, quantile, over, at_least, window_length, day, zone, covariate, cap_value);

-- ---- in plain SQL

CREATE TABLE did AS
SELECT *, CASE WHEN min(variant) OVER w = max(variant) OVER w THEN variant END AS arm, min(at) OVER w AS first_at, '2026-03-15 04:30'::timestamp AS as_of
  FROM (SELECT ev.* FROM ev JOIN guardrail_experiment USING (experiment_id) WHERE variant IN ('control', 'treatment') AND user_id IS NOT NULL AND at < '2026-03-15 04:30' AND at >= coalesce(starts_at::timestamp, '-infinity')) AS e
WINDOW w AS (PARTITION BY experiment_id, user_id);
CREATE TABLE observed AS
WITH folded AS (
  SELECT experiment_id, arm, user_id, first_at, as_of, coalesce(sum(x), 0) AS sum_x, coalesce(sum(x) FILTER (WHERE at - first_at < '48:00'), 0) AS sum_2d, max(x) FILTER (WHERE y > 0 AND at - first_at < '48:00') AS max_2d,
         coalesce(bool_or(x > 4) FILTER (WHERE at - first_at < '6:00'), false) AS share_6h, coalesce(sum(x) FILTER (WHERE at - first_at < '72:00'), 0) AS x_3d, coalesce(sum(y) FILTER (WHERE at - first_at < '72:00'), 0) AS y_3d, avg(ms) FILTER (WHERE at - first_at < '48:00') AS ms_2d,
         bool_or(at - first_at >= '24:00' AND at - first_at < '48:00') AS day_1, coalesce(sum(y) FILTER (WHERE x > 0 AND at - first_at >= '72:00' AND at - first_at < '96:00'), 0) > 0 AS day_3,
         bool_or(date(timezone('America/New_York', timezone('UTC', at))) = date(timezone('America/New_York', timezone('UTC', first_at))) + 1) AS day_1_ny
    FROM did WHERE arm IS NOT NULL GROUP BY 1, 2, 3, 4, 5)
SELECT experiment_id, arm, m.* FROM folded, LATERAL (VALUES
  ('sum', sum_x::float8, NULL::float8, true), ('at least', (sum_x >= 4)::int, NULL, true), ('sum 2d', sum_2d, NULL, as_of - first_at >= '48:00'), ('max 2d', max_2d, NULL, as_of - first_at >= '48:00'), ('capped 2d', least(sum_2d, 6), NULL, as_of - first_at >= '48:00'),
  ('share 6h', share_6h::int, NULL, as_of - first_at >= '6:00'), ('ratio 3d', x_3d, y_3d, as_of - first_at >= '72:00'), ('p90 2d', ms_2d::float8, NULL, as_of - first_at >= '48:00'), ('day 1', day_1::int, NULL, as_of - first_at >= '48:00'), ('day 3 y', day_3::int, NULL, as_of - first_at >= '96:00'),
  ('day 1 NY', day_1_ny::int, NULL, date(timezone('America/New_York', timezone('UTC', as_of))) - date(timezone('America/New_York', timezone('UTC', first_at))) > 1)
) AS m(metric, a, b, mature);
CREATE TABLE expected AS
WITH value AS (
  SELECT experiment_id, metric, arm, count(*) FILTER (WHERE NOT mature) AS immature, count(a) FILTER (WHERE mature) AS n,
         CASE WHEN metric LIKE 'p90%' THEN percentile_disc(0.9) WITHIN GROUP (ORDER BY a) FILTER (WHERE mature) WHEN metric LIKE 'ratio%' THEN sum(a) FILTER (WHERE mature) / sum(b) FILTER (WHERE mature) ELSE avg(a) FILTER (WHERE mature) END AS value
    FROM observed GROUP BY 1, 2, 3)
SELECT experiment_id, metric, arm, v.immature, v.n, v.value, CASE WHEN metric LIKE 'p90%' THEN NULL WHEN metric LIKE 'ratio%' THEN sqrt(v.n / (v.n - 1.0) * sum((o.a - v.value * o.b) ^ 2)) / sum(o.b) ELSE sqrt(var_samp(o.a) / v.n) END AS se
  FROM value v JOIN (SELECT * FROM observed WHERE mature) AS o USING (experiment_id, metric, arm) GROUP BY 1, 2, 3, 4, 5, 6
UNION ALL
SELECT experiment_id, 'p50 2d', arm, count(DISTINCT user_id) FILTER (WHERE as_of - first_at < '48:00'), count(DISTINCT user_id) FILTER (WHERE as_of - first_at >= '48:00' AND ms IS NOT NULL AND at - first_at < '48:00'), percentile_disc(0.5) WITHIN GROUP (ORDER BY ms::float8) FILTER (WHERE at - first_at < '48:00' AND as_of - first_at >= '48:00'), NULL
  FROM did WHERE arm IS NOT NULL GROUP BY 1, 3;

-- both shapes of the scan
CREATE TABLE result AS SELECT 'one scan' AS shape, x.experiment_id AS experiment, e.* FROM guardrail_experiment x, guardrail_evaluate(x.experiment_id) e;
SET guardrail.unit_memory = '64kB';
SELECT guardrail_status('seed 7') IS NOT NULL AS warm;
SET client_min_messages = debug1;
SELECT guardrail_status('seed 7') IS NOT NULL AS fell_back;
SET client_min_messages = warning;
INSERT INTO result SELECT 'two levels', x.experiment_id, e.* FROM guardrail_experiment x, guardrail_evaluate(x.experiment_id) e;
RESET guardrail.unit_memory;
SELECT g.metric, shape, count(*) AS experiments, count(*) FILTER (WHERE near(control_value, c.value, tolerance) AND near(treatment_value, t.value, tolerance)) AS value,
       count(*) FILTER (WHERE g.metric LIKE 'p%' OR (near(control_se, c.se) AND near(treatment_se, t.se))) AS se, count(*) FILTER (WHERE units_control = c.n AND units_treatment = t.n) AS units,
       count(*) FILTER (WHERE coalesce(replace(substring(reason FROM '; ([0-9,]+) units? immature'), ',', '')::int, 0) = c.immature + t.immature) AS immature
  FROM result g JOIN expected c ON c.arm = 'control' AND (c.experiment_id, c.metric) = (g.experiment_id, g.metric) JOIN expected t ON t.arm = 'treatment' AND (t.experiment_id, t.metric) = (g.experiment_id, g.metric),
       LATERAL (SELECT CASE WHEN g.metric LIKE 'p%' THEN 1e-3 ELSE 1e-9 END AS tolerance) AS allowed
 GROUP BY g.metric, shape ORDER BY g.metric COLLATE "C", shape COLLATE "C";
SELECT count(*) AS results, count(*) FILTER (WHERE (f.status, f.reason, f.units_control, f.units_treatment, f.events_control, f.events_treatment) IS NOT DISTINCT FROM (s.status, s.reason, s.units_control, s.units_treatment, s.events_control, s.events_treatment)) AS same
  FROM result f JOIN result s USING (experiment, variant, metric) WHERE f.shape = 'one scan' AND s.shape = 'two levels';
SELECT bool_and(n) AS all_of_it FROM (SELECT count(*) > 15 FROM did WHERE arm IS NULL UNION ALL SELECT count(*) > 15 FROM expected WHERE immature > 0 UNION ALL SELECT count(*) > 15 FROM ev WHERE variant IS NULL UNION ALL SELECT count(*) > 15 FROM ev WHERE at IS NULL
  UNION ALL SELECT count(*) > 15 FROM (SELECT FROM did GROUP BY experiment_id, user_id HAVING count(*) = 1) AS one) AS v(n);

-- ---- cohorts that are not mature yet

-- 50 units an arm come each day, 1000 in 20 days; day 7 retention is 0.2 and 0.4
CREATE TABLE app (user_id int, variant text, at timestamptz);
INSERT INTO app SELECT n, CASE WHEN n % 2 = 0 THEN 'control' ELSE 'treatment' END, '2026-01-01'::timestamptz + interval '1 day' * (n / 100) FROM generate_series(0, 1999) n;
INSERT INTO app SELECT user_id, variant, at + interval '7 days 1 hour' FROM app WHERE CASE WHEN variant = 'control' THEN user_id % 10 < 2 ELSE user_id % 10 < 4 END;
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, time_column, monitoring, ends_at) VALUES ('app', 'app', NULL, 'at', 'always_valid', '2026-01-28');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, retention_day, worse, limit_kind, value) VALUES ('app', 'd7', 'primary', 'retention', 7, 'lower', 'difference', NULL);
CREATE FUNCTION at_end(t timestamptz) RETURNS TABLE (verdict text, status text, units_control bigint, units_treatment bigint, reason text) LANGUAGE plpgsql AS $$
BEGIN
  UPDATE guardrail_experiment SET ends_at = t WHERE experiment_id = 'app';
  RETURN QUERY SELECT d.verdict, e.status, e.units_control, e.units_treatment, d.reason FROM guardrail_decide('app') d, guardrail_evaluate('app') e WHERE e.metric = 'd7';
END $$;
-- nobody's day has passed; then that of 50 units an arm (min_units is 100), of 150 of 500, of 800 of 1000, of all
SELECT t::date, r.* FROM unnest('{2026-01-08 23:00,2026-01-09,2026-01-11,2026-01-24,2026-01-28}'::timestamptz[]) t, at_end(t) r;
-- of 650 units an arm 300 are mature; of 700 it is 350, which is half of them
SELECT t::date, r.verdict, r.status, r.units_treatment, r.reason ~ 'd7 is immature' AS immature FROM unnest('{2026-01-14,2026-01-15}'::timestamptz[]) t, at_end(t) r;
-- the metric of a guardrail can be what is not mature, unless it is shown only
SELECT at_end('2026-01-11') IS NOT NULL AS back;
UPDATE guardrail_rule SET retention_day = 1 WHERE metric = 'd7';
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, window_length, worse, limit_kind, limit_value) VALUES ('app', 'visits', 'guardrail', 'mean', '1', '8 days', 'higher', 'difference', 5);
UPDATE app SET at = at - interval '6 days' WHERE (user_id, at) IN (SELECT user_id, max(at) FROM app GROUP BY user_id HAVING count(*) > 1);
SELECT verdict, reason FROM guardrail_decide('app');
UPDATE guardrail_rule SET severity = 'warn' WHERE metric = 'visits';
SELECT verdict, reason FROM guardrail_decide('app');
UPDATE guardrail_rule SET severity = 'hold' WHERE metric = 'visits';
SELECT verdict FROM guardrail_decide('app');
-- harm that is proven on the mature ones blocks
UPDATE guardrail_rule SET severity = 'block', window_length = '2 days', worse = 'higher', limit_value = 0.01 WHERE metric = 'visits';
SELECT verdict, reason FROM guardrail_decide('app');
DELETE FROM guardrail_rule WHERE metric = 'visits';
-- planned units are mature units: under a fixed design the test is not over before
UPDATE guardrail_experiment SET monitoring = 'fixed', planned_units = 1000, ends_at = NULL WHERE experiment_id = 'app';
UPDATE app SET at = at + (now() - '2026-01-11');
SELECT verdict, reason, information FROM guardrail_decide('app');
UPDATE guardrail_experiment SET planned_units = 900 WHERE experiment_id = 'app';
SELECT verdict, information FROM guardrail_decide('app');
UPDATE guardrail_experiment SET monitoring = 'group_sequential', planned_units = 1000 WHERE experiment_id = 'app';
SET client_min_messages = error;
SELECT guardrail_launch('app');
SET client_min_messages = warning;
CALL guardrail_check('app');
SELECT information, verdict FROM guardrail_verdict;
SELECT r.variant, r.identical FROM guardrail_check_log l, guardrail_replay(l.check_id) r;
SELECT split_part(line, ' close after ', 1) AS explained FROM regexp_split_to_table(guardrail_explain('app'), '\n') line WHERE line ~ 'windows|planned|mature' AND line !~ 'SELECT|FROM';

-- a mean that grows is worth a notice when it is launched; one with a window does not grow
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, time_column, monitoring) VALUES ('grows', 'app', NULL, 'at', 'always_valid');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, window_length, worse, limit_kind, limit_value) VALUES ('grows', 'goal', 'primary', 'mean', '1', '1 day', 'higher', 'significance', NULL), ('grows', 'visits', 'guardrail', 'mean', '1', NULL, 'higher', 'difference', 1),
  ('grows', 'days', 'guardrail', 'distinct', 'at', NULL, 'lower', 'difference', 1), ('grows', 'early days', 'guardrail', 'distinct', 'at', '3 days', 'lower', 'difference', 1);
SET client_min_messages = notice;
SELECT guardrail_launch('grows');
SET client_min_messages = warning;

-- ---- what is refused

CREATE FUNCTION message(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE m text; h text;
BEGIN
  EXECUTE sql;
  RETURN 'ACCEPTED';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, h = PG_EXCEPTION_HINT;
  RETURN SQLSTATE || ': ' || m || E'\n  hint: ' || h;
END $$;
SET intervalstyle = 'postgres';
INSERT INTO guardrail_experiment (experiment_id, events, time_column) VALUES ('e', 'ev', 'at'), ('timeless', 'ev', NULL);
CREATE FUNCTION write(columns text, vals text, kind text DEFAULT 'mean', id text DEFAULT 'e') RETURNS text LANGUAGE sql AS $$
  SELECT message(format('INSERT INTO guardrail_rule (experiment_id, metric, role, worse, limit_kind, kind, value, %s) VALUES (%L, ''m'', ''primary'', ''higher'', ''significance'', %L, ''x'', %s)', columns, id, kind, vals)) $$;
\x on
SELECT k AS kind, c AS columns, v AS values, write(c, v, k) AS message FROM (VALUES
  ('mean', 'window_length', $$'0'$$), ('mean', 'window_length', $$'-1 day'$$), ('mean', 'window_length', $$'1 month -1 day'$$), ('mean', 'window_length', $$'200 years'$$), ('mean', 'retention_day', '7'), ('mean', 'retention_time_zone', $$'UTC'$$), ('mean', 'at_least', '3'),
  ('proportion', 'at_least', '0'), ('proportion', 'at_least', $$'NaN'$$), ('proportion', 'at_least', $$'Infinity'$$), ('retention', 'note', 'NULL'), ('retention', 'retention_day', '-1'), ('retention', 'retention_day', '100000'),
  ('retention', 'retention_day, window_length', $$7, '1 day'$$), ('retention', 'retention_day, retention_time_zone', $$7, 'Mars/Olympus'$$), ('retention', 'retention_day, at_least', '7, 2'), ('retention', 'retention_day, cap_value', '7, 2'),
  ('distinct', 'unit_aggregate', $$'max'$$), ('distinct', 'cap_quantile', '0.9'), ('entropy', 'denominator', $$'x'$$), ('entropy', 'at_least', '2')) AS v(k, c, v);
SELECT write(c, v, k, 'timeless') AS message FROM (VALUES ('mean', 'window_length', $$'1 day'$$), ('retention', 'retention_day', '1')) AS v(k, c, v);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, window_length, worse, limit_kind) VALUES ('e', 'm', 'primary', 'mean', 'x', '1 day', 'higher', 'significance');
SELECT message($$UPDATE guardrail_experiment SET time_column = NULL WHERE experiment_id = 'e'$$);
-- categories: of a type that has no hash, or that is no expression
ALTER TABLE ev ADD doc json, ADD place point;
SELECT message(format('UPDATE guardrail_rule SET kind = ''distinct'', window_length = NULL, value = %L WHERE experiment_id = ''e''', v)) AS message FROM unnest('{doc,place,"(x, y)",count(x),x y}'::text[]) v;
\x off
-- what is written with the triggers off is an error, not a crash
ALTER TABLE guardrail_rule DISABLE TRIGGER USER;
ALTER TABLE guardrail_experiment DISABLE TRIGGER USER;
UPDATE guardrail_experiment SET experiment_id = 'seed 0' WHERE experiment_id = 'e';
UPDATE guardrail_experiment SET experiment_id = 'e', time_column = NULL WHERE experiment_id = 'seed 0';
SELECT message($$SELECT guardrail_status('e')$$);
UPDATE guardrail_experiment SET time_column = 'at' WHERE experiment_id = 'e';
UPDATE guardrail_rule SET kind = 'retention', value = NULL, window_length = NULL WHERE experiment_id = 'e';
SELECT message($$SELECT guardrail_status('e')$$);
UPDATE guardrail_rule SET retention_day = 3, retention_time_zone = 'nowhere' WHERE experiment_id = 'e';
SELECT message($$SELECT guardrail_status('e')$$);
UPDATE guardrail_rule SET kind = 'entropy', value = 'doc', retention_day = NULL WHERE experiment_id = 'e';
SELECT message($$SELECT guardrail_status('e')$$);
UPDATE guardrail_experiment SET exposures = 'pg_am' WHERE experiment_id = 'e';
UPDATE guardrail_rule SET value = 'x' WHERE experiment_id = 'e';
SELECT message($$SELECT guardrail_status('e')$$);

SET client_min_messages = warning;
DROP SCHEMA windows_test CASCADE;
DROP EXTENSION guardrail;
