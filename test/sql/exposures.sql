-- Assignment tables: every kind of metric over the events after a unit's first exposure, with and without windows, in both
-- shapes of the scan.
--
-- Expected numbers: the same in plain SQL, unit by unit, on random data of twenty seeds: units without events, events before the
-- exposure and at its very moment, exposures twice and in two arms, of unknown arms, without a time or a unit, NULLs, ties.
SET client_min_messages = warning;
CREATE EXTENSION guardrail;
CREATE SCHEMA exposures_test;
SET search_path = exposures_test, public;
SET timezone = 'UTC';

CREATE FUNCTION u(purpose int, a bigint, b bigint DEFAULT 0) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN (((hashint8extended(a * 100000 + b, purpose) >> 11) & 9007199254740991) + 0.5) / 9007199254740992;
CREATE FUNCTION near(a float8, b float8, tolerance float8 DEFAULT 1e-9) RETURNS boolean LANGUAGE sql IMMUTABLE
  RETURN CASE WHEN a IS NULL OR b IS NULL THEN a IS NULL AND b IS NULL ELSE abs(a - b) <= tolerance * abs(b) + 1e-12 END;

-- times are whole hours, so that many are the same; the clocks change on 29 March
CREATE TABLE exposures (experiment_id text, user_id bigint, variant text, exposed_at timestamptz);
INSERT INTO exposures
SELECT 'seed ' || seed, CASE WHEN u(1, k, n) < 0.01 THEN NULL ELSE who END,
       CASE WHEN u(2, k, n) < 0.01 THEN 'other' WHEN u(2, k, n) < 0.02 THEN NULL WHEN (u(3, k) < 0.5) <> (u(4, k, n) < 0.02) THEN 'control' ELSE 'treatment' END,
       CASE WHEN u(5, k, n) < 0.02 THEN NULL ELSE '2026-03-20'::timestamptz + interval '1 hour' * floor(24 * 17 * u(6, k) + 30 * u(7, k, n)) END
  FROM generate_series(1, 20) seed, generate_series(1, 500) who, LATERAL (SELECT seed * 1000 + who AS k) AS key, generate_series(1, 1 + (u(8, k) < 0.3)::int + (u(8, k) < 0.1)::int) n;
-- events know neither experiment nor arm; users 480 to 520 may be without an exposure, and many are without an event
CREATE TABLE events AS
SELECT seed, who::int AS user_id, CASE WHEN u(11, k, n) < 0.01 THEN NULL ELSE '2026-03-18'::timestamptz + interval '1 hour' * floor(24 * 22 * u(12, k, n)) END AS at,
       CASE WHEN u(13, k, n) < 0.1 THEN NULL ELSE floor(10 * u(14, k, n) - 3)::int END AS x, floor(3 * u(15, k, n))::int AS y,
       CASE WHEN u(16, k, n) < 0.05 THEN NULL ELSE u(17, k, n) < 0.3 END AS ok, round((exp(3 * u(18, k, n)) * 100)::numeric, 1) AS ms,
       floor(10 * u(19, k))::float8 AS before
  FROM generate_series(1, 20) seed, generate_series(1, 520) who, LATERAL (SELECT seed * 1000 + who AS k) AS key, generate_series(1, floor(12 * u(20, k))::int) n;
CREATE INDEX ON events (seed);
ANALYZE exposures, events;
SELECT format('CREATE VIEW events_%s AS SELECT user_id, at, x, y, ok, ms, before FROM events WHERE seed = %s', seed, seed) FROM generate_series(1, 20) seed \gexec

INSERT INTO guardrail_experiment (experiment_id, events, time_column, exposures, min_units, max_crossover, srm_alpha, monitoring, correction, ends_at, shares)
SELECT 'seed ' || seed, ('events_' || seed)::regclass, 'at', 'exposures', 2, 1, 1e-300, 'fixed', 'none', '2026-04-07 05:00', CASE WHEN seed % 3 > 0 THEN '{"control": 1, "treatment": 1}'::jsonb END FROM generate_series(1, 20) seed;
-- in every third experiment the unknown arm is one of the arms seen
UPDATE guardrail_experiment SET starts_at = '2026-03-22 12:00' WHERE experiment_id LIKE '%5';
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, denominator, filter, unit_aggregate, quantile, quantile_over, at_least, window_length, retention_day, retention_time_zone, worse, limit_kind, limit_value)
SELECT experiment_id, r.*, 'higher', 'difference', 0.5 FROM guardrail_experiment, (VALUES
  ('sum',          'primary',   'mean', 'x', NULL, NULL, 'sum', NULL::float8, 'events', NULL::float8, NULL::interval, NULL::int, NULL),
  ('count',        'guardrail', 'mean', 'x', NULL, NULL, 'count', NULL, 'events', NULL, NULL, NULL, NULL),
  ('max',          'guardrail', 'mean', 'x', NULL, NULL, 'max', NULL, 'events', NULL, NULL, NULL, NULL),
  ('min filter',   'guardrail', 'mean', 'x', NULL, 'y > 0', 'min', NULL, 'events', NULL, NULL, NULL, NULL),
  ('avg',          'guardrail', 'mean', 'x', NULL, NULL, 'avg', NULL, 'events', NULL, NULL, NULL, NULL),
  ('share',        'guardrail', 'proportion', 'ok', NULL, NULL, 'sum', NULL, 'events', NULL, NULL, NULL, NULL),
  ('at least 5',   'guardrail', 'proportion', 'x', NULL, NULL, 'sum', NULL, 'events', 5, NULL, NULL, NULL),
  ('ratio',        'guardrail', 'ratio', 'x', NULL, NULL, 'sum', NULL, 'events', NULL, NULL, NULL, NULL),
  ('ratio y',      'guardrail', 'ratio', 'x', 'y + 1', '2 / coalesce(y + 1, 0) > 0', 'sum', NULL, 'events', NULL, NULL, NULL, NULL),
  ('guarded',      'guardrail', 'mean', '1.0 / y', NULL, 'coalesce(y, 0) > 0', 'sum', NULL, 'events', NULL, NULL, NULL, NULL),
  ('p50',          'guardrail', 'quantile', 'ms', NULL, NULL, 'sum', 0.5, 'events', NULL, NULL, NULL, NULL),
  ('p90 of sums',  'guardrail', 'quantile', 'ms', NULL, NULL, 'sum', 0.9, 'units', NULL, NULL, NULL, NULL),
  ('sum 3d',       'guardrail', 'mean', 'x', NULL, NULL, 'sum', NULL, 'events', NULL, '3 days', NULL, NULL),
  ('avg 36h',      'guardrail', 'mean', 'x', NULL, 'y > 0', 'avg', NULL, 'events', NULL, '1 day 12:00', NULL, NULL),
  ('at least 3d',  'guardrail', 'proportion', 'x', NULL, NULL, 'sum', NULL, 'events', 3, '3 days', NULL, NULL),
  ('ratio 5d',     'guardrail', 'ratio', 'x', NULL, NULL, 'sum', NULL, 'events', NULL, '5 days', NULL, NULL),
  ('p50 3d',       'guardrail', 'quantile', 'ms', NULL, NULL, 'sum', 0.5, 'events', NULL, '3 days', NULL, NULL),
  ('p90 3d',       'guardrail', 'quantile', 'ms', NULL, NULL, 'sum', 0.9, 'units', NULL, '3 days', NULL, NULL),
  ('day 1',        'guardrail', 'retention', NULL, NULL, NULL, 'sum', NULL, 'events', NULL, NULL, 1, NULL),
  ('day 2 ok',     'guardrail', 'retention', 'ok', NULL, 'y > 0', 'sum', NULL, 'events', NULL, NULL, 2, NULL),
  ('day 0 Berlin', 'guardrail', 'retention', NULL, NULL, NULL, 'sum', NULL, 'events', NULL, NULL, 0, 'Europe/Berlin'),
  ('day 2 Berlin', 'guardrail', 'retention', 'x', NULL, NULL, 'sum', NULL, 'events', NULL, NULL, 2, 'Europe/Berlin')
) AS r(metric, role, kind, value, denominator, filter, unit_aggregate, quantile, over, at_least, window_length, day, zone);
-- these only need to be the same in both shapes: what they are is tested elsewhere
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, window_length, covariate, cap_quantile, worse, limit_kind, limit_value)
SELECT experiment_id, r.*, 'higher', 'difference', 0.5 FROM guardrail_experiment, (VALUES ('adjusted', 'guardrail', 'mean', 'x', NULL::interval, 'before', NULL::float8), ('adjusted 3d', 'guardrail', 'ratio', 'ms', '3 days', 'before + 1', NULL), ('capped 3d', 'guardrail', 'mean', 'ms', '3 days', NULL, 0.8), ('different 3d', 'guardrail', 'distinct', 'y', '3 days', NULL, NULL), ('entropy', 'guardrail', 'entropy', 'x', NULL, 'before', NULL)) AS r;

-- ---- in plain SQL

-- a unit's arm (NULL: two of them) and its first exposure
CREATE TABLE unit AS
SELECT x.experiment_id, split_part(x.experiment_id, ' ', 2)::int AS seed, x.ends_at AS as_of, p.user_id, CASE WHEN count(DISTINCT p.variant) = 1 THEN min(p.variant) END AS arm, min(p.exposed_at) AS exposed_at
  FROM guardrail_experiment x JOIN exposures p USING (experiment_id)
 WHERE p.user_id IS NOT NULL AND p.exposed_at >= coalesce(x.starts_at, '-infinity') AND p.exposed_at < x.ends_at AND (p.variant IN ('control', 'treatment') OR (x.shares IS NULL AND p.variant = 'other'))
 GROUP BY 1, 2, 3, 4;
CREATE TABLE did AS
SELECT unit.*, e.at, e.x, e.y, e.ok, e.ms, e.at IS NOT NULL AS event FROM unit LEFT JOIN events e ON e.seed = unit.seed AND e.user_id = unit.user_id AND e.at BETWEEN unit.exposed_at AND unit.as_of - interval '1 microsecond' WHERE arm IS NOT NULL;
-- one observation (a, and b of a ratio) per unit and metric; a NULL is none
CREATE TABLE observed AS
WITH folded AS (
  SELECT experiment_id, arm, user_id, exposed_at, as_of, count(at) AS events, coalesce(sum(x), 0) AS sum_x, count(x) AS count_x, max(x) AS max_x, min(x) FILTER (WHERE y > 0) AS min_x, avg(x) AS avg_x, coalesce(bool_or(ok), false) AS any_ok,
         coalesce(sum(x) FILTER (WHERE y < 2), 0) AS filtered_x, coalesce(sum(y + 1) FILTER (WHERE y < 2), 0) AS filtered_y,
         coalesce(sum(CASE WHEN y > 0 THEN 1.0 / y END), 0) AS guarded, coalesce(sum(ms), 0) AS sum_ms,
         coalesce(sum(x) FILTER (WHERE at - exposed_at < '72:00'), 0) AS sum_3d, avg(x) FILTER (WHERE y > 0 AND at - exposed_at < '36:00') AS avg_36h, coalesce(sum(x) FILTER (WHERE at - exposed_at < '120:00'), 0) AS sum_5d, count(x) FILTER (WHERE at - exposed_at < '120:00') AS count_5d,
         coalesce(sum(ms) FILTER (WHERE at - exposed_at < '72:00'), 0) AS ms_3d,
         coalesce(bool_or(at - exposed_at >= '24:00' AND at - exposed_at < '48:00'), false) AS day_1, coalesce(bool_or(ok AND y > 0 AND at - exposed_at >= '48:00' AND at - exposed_at < '72:00'), false) AS day_2,
         coalesce(bool_or(date(timezone('Europe/Berlin', at)) = date(timezone('Europe/Berlin', exposed_at))), false) AS berlin_0,
         coalesce(sum(x) FILTER (WHERE date(timezone('Europe/Berlin', at)) - date(timezone('Europe/Berlin', exposed_at)) = 2), 0) > 0 AS berlin_2
    FROM did GROUP BY 1, 2, 3, 4, 5)
SELECT experiment_id, arm, user_id, events, m.* FROM folded, LATERAL (VALUES
  ('sum', sum_x::float8, NULL::float8, true), ('count', count_x, NULL, true), ('max', max_x, NULL, true), ('min filter', min_x, NULL, true), ('avg', avg_x::float8, NULL, true), ('share', any_ok::int, NULL, true), ('at least 5', (sum_x >= 5)::int, NULL, true),
  ('ratio', sum_x, count_x, true), ('ratio y', filtered_x, filtered_y, true), ('guarded', guarded::float8, NULL, true), ('p90 of sums', sum_ms::float8, NULL, true),
  ('sum 3d', sum_3d, NULL, as_of - exposed_at >= '72:00'), ('avg 36h', avg_36h::float8, NULL, as_of - exposed_at >= '36:00'), ('at least 3d', (sum_3d >= 3)::int, NULL, as_of - exposed_at >= '72:00'), ('ratio 5d', sum_5d, count_5d, as_of - exposed_at >= '120:00'),
  ('p90 3d', ms_3d::float8, NULL, as_of - exposed_at >= '72:00'),
  ('day 1', day_1::int, NULL, as_of - exposed_at >= '48:00'), ('day 2 ok', day_2::int, NULL, as_of - exposed_at >= '72:00'),
  ('day 0 Berlin', berlin_0::int, NULL, date(timezone('Europe/Berlin', as_of)) - date(timezone('Europe/Berlin', exposed_at)) > 0), ('day 2 Berlin', berlin_2::int, NULL, date(timezone('Europe/Berlin', as_of)) - date(timezone('Europe/Berlin', exposed_at)) > 2)
) AS m(metric, a, b, mature);
CREATE TABLE expected AS
WITH value AS (
  SELECT experiment_id, metric, arm, count(*) FILTER (WHERE NOT mature) AS immature, count(a) FILTER (WHERE mature) AS n, sum(events)::bigint AS events,
         CASE WHEN metric LIKE 'p90%' THEN percentile_disc(0.9) WITHIN GROUP (ORDER BY a) FILTER (WHERE mature) WHEN metric LIKE 'ratio%' THEN sum(a) FILTER (WHERE mature) / nullif(sum(b) FILTER (WHERE mature), 0) ELSE avg(a) FILTER (WHERE mature) END AS value
    FROM observed GROUP BY 1, 2, 3)
SELECT v.experiment_id, metric, arm, v.immature, v.n, v.events, v.value,
       CASE WHEN metric LIKE 'p90%' THEN NULL WHEN metric LIKE 'ratio%' THEN sqrt(v.n / nullif(v.n - 1.0, 0) * sum((o.a - v.value * o.b) ^ 2)) / nullif(sum(o.b), 0) ELSE sqrt(var_samp(o.a) / nullif(v.n, 0)) END AS se
  FROM value v LEFT JOIN (SELECT * FROM observed WHERE mature) AS o USING (experiment_id, metric, arm) GROUP BY 1, 2, 3, 4, 5, 6, 7
UNION ALL
SELECT experiment_id, 'p50', arm, 0, NULL, count(ms), percentile_disc(0.5) WITHIN GROUP (ORDER BY ms::float8), NULL FROM did GROUP BY 1, 3
UNION ALL
SELECT experiment_id, 'p50 3d', arm, count(DISTINCT user_id) FILTER (WHERE as_of - exposed_at < '72:00'), NULL, count(ms) FILTER (WHERE counts), percentile_disc(0.5) WITHIN GROUP (ORDER BY ms::float8) FILTER (WHERE counts), NULL
  FROM (SELECT *, at - exposed_at < '72:00' AND as_of - exposed_at >= '72:00' AS counts FROM did) AS d GROUP BY 1, 3;

-- both shapes of the scan
CREATE TABLE result AS SELECT 'one scan' AS shape, x.experiment_id AS experiment, e.* FROM guardrail_experiment x, guardrail_evaluate(x.experiment_id) e;
CREATE TABLE verdict AS SELECT 'one scan' AS shape, x.experiment_id AS experiment, e.* FROM guardrail_experiment x, guardrail_decide(x.experiment_id) e;
SET guardrail.unit_memory = '64kB';
SELECT guardrail_status('seed 7') IS NOT NULL AS warm;
SET client_min_messages = debug1;
SELECT guardrail_status('seed 7') IS NOT NULL AS fell_back;
SET client_min_messages = warning;
INSERT INTO result SELECT 'two levels', x.experiment_id, e.* FROM guardrail_experiment x, guardrail_evaluate(x.experiment_id) e;
INSERT INTO verdict SELECT 'two levels', x.experiment_id, e.* FROM guardrail_experiment x, guardrail_decide(x.experiment_id) e;
RESET guardrail.unit_memory;

SELECT g.metric, shape, count(*) AS experiments, count(*) FILTER (WHERE near(control_value, c.value, tolerance) AND near(treatment_value, t.value, tolerance)) AS value,
       count(*) FILTER (WHERE g.metric LIKE 'p%' OR (near(control_se, c.se) AND near(treatment_se, t.se))) AS se, count(*) FILTER (WHERE g.metric LIKE 'p50%' OR (units_control = c.n AND units_treatment = t.n)) AS units,
       count(*) FILTER (WHERE events_control = c.events AND events_treatment = t.events) AS events, count(*) FILTER (WHERE coalesce(replace(substring(reason FROM '; ([0-9,]+) units? immature'), ',', '')::int, 0) = c.immature + t.immature) AS immature
  FROM result g JOIN expected c ON c.arm = 'control' AND (c.experiment_id, c.metric) = (g.experiment_id, g.metric) JOIN expected t ON t.arm = 'treatment' AND (t.experiment_id, t.metric) = (g.experiment_id, g.metric),
       LATERAL (SELECT CASE WHEN g.metric LIKE 'p%' THEN 1e-3 ELSE 1e-9 END AS tolerance) AS allowed
 WHERE variant = 'treatment' GROUP BY g.metric, shape ORDER BY g.metric COLLATE "C", shape COLLATE "C";
-- units, and those exposed to two arms
SELECT shape, count(*) AS experiments, count(*) FILTER (WHERE units_control = w.control AND units_treatment = w.treatment AND crossover_units = w.both) AS units
  FROM verdict, LATERAL (SELECT count(*) FILTER (WHERE arm = 'control') AS control, count(*) FILTER (WHERE arm = 'treatment') AS treatment, count(*) FILTER (WHERE arm IS NULL) AS both FROM unit WHERE unit.experiment_id = experiment) AS w
 WHERE variant = 'treatment' GROUP BY shape ORDER BY shape COLLATE "C";
-- the data have what they claim to have
SELECT bool_and(n) AS all_of_it FROM (SELECT count(*) > 15 FROM unit WHERE arm IS NULL UNION ALL SELECT count(*) > 15 FROM did WHERE NOT event UNION ALL SELECT count(*) > 15 FROM did WHERE at = exposed_at UNION ALL SELECT count(*) > 15 FROM expected WHERE immature > 0
  UNION ALL SELECT count(*) > 15 FROM exposures WHERE user_id IS NULL OR exposed_at IS NULL UNION ALL SELECT count(*) > 15 FROM events WHERE user_id > 500) AS v(n);
-- the shapes agree on everything: numbers to rounding, and words
SELECT count(*) AS results, count(*) FILTER (WHERE (f.status, f.reason, f.units_control, f.units_treatment, f.events_control, f.events_treatment) IS NOT DISTINCT FROM (s.status, s.reason, s.units_control, s.units_treatment, s.events_control, s.events_treatment)
         AND near(f.p_breach, s.p_breach) AND near(f.p_value, s.p_value)) AS same
  FROM result f JOIN result s USING (experiment, variant, metric) WHERE f.shape = 'one scan' AND s.shape = 'two levels';
SELECT count(*) AS verdicts, count(*) FILTER (WHERE (f.verdict, f.reason, f.crossover_units, f.null_unit_rows, f.unknown_arm_rows) = (s.verdict, s.reason, s.crossover_units, s.null_unit_rows, s.unknown_arm_rows)) AS same
  FROM verdict f JOIN verdict s USING (experiment, variant) WHERE f.shape = 'one scan' AND s.shape = 'two levels';
-- joint covariances of effects: over all units, or over those that are mature for both
CREATE TABLE joint AS SELECT x.experiment_id AS experiment, c.* FROM guardrail_experiment x, guardrail_covariance(x.experiment_id) c WHERE variant = 'treatment';
SELECT j.metric, j.other, count(*) AS experiments, count(*) FILTER (WHERE near(j.covariance, e.covariance)) AS same
  FROM joint j JOIN (SELECT experiment_id, metric, other, sum(c) AS covariance FROM (
         SELECT a.experiment_id, a.metric, b.metric AS other, covar_samp(a.a, b.a) / count(*) AS c FROM observed a JOIN observed b USING (experiment_id, arm, user_id)
          WHERE arm IN ('control', 'treatment') AND a.mature AND b.mature AND a.metric IN ('sum', 'count', 'share', 'at least 5', 'guarded', 'sum 3d', 'at least 3d') AND b.metric IN ('sum', 'count', 'share', 'at least 5', 'guarded', 'sum 3d', 'at least 3d') GROUP BY 1, 2, 3, arm) AS per_arm GROUP BY 1, 2, 3) AS e
    ON (j.experiment, j.metric, j.other) = (e.experiment_id, e.metric, e.other) WHERE j.covariance IS NOT NULL GROUP BY 1, 2 ORDER BY j.metric COLLATE "C", j.other COLLATE "C";
SELECT reason, count(*) > 0 AS given FROM joint WHERE covariance IS NULL GROUP BY reason ORDER BY reason COLLATE "C";

-- ---- what a person meets

CREATE FUNCTION message(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE m text; h text;
BEGIN
  EXECUTE sql;
  RETURN 'ACCEPTED';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, h = PG_EXCEPTION_HINT;
  RETURN SQLSTATE || ': ' || m || E'\n  hint: ' || h;
END $$;
CREATE TABLE clicks (who bigint, at timestamp, ms float8, "Experiment" text);
CREATE TABLE shown (who int, arm text, "when" date, "Experiment" text, sometime interval, label text);
CREATE FUNCTION write(columns text, vals text) RETURNS text LANGUAGE sql AS $$
  SELECT message(format('INSERT INTO guardrail_experiment (experiment_id, events, exposures, %s) VALUES (''a'', ''clicks'', ''shown'', %s)', columns, vals)) $$;
\x on
SELECT write('unit_column, variant_column, exposed_at_column, experiment_column, time_column', v) AS message FROM unnest(ARRAY[
  $$'who', 'arm', 'when', 'Experiment', NULL$$, $$'who', 'variant', 'when', 'Experiment', 'at'$$, $$'who', 'arm', 'at', 'Experiment', 'at'$$, $$'who', 'arm', 'sometime', 'Experiment', 'at'$$,
  $$'arm', 'arm', 'when', 'Experiment', 'at'$$, $$'who', 'arm', 'when', 'experiment', 'at'$$, $$'who', 'when', 'when', 'Experiment', 'at'$$]) v;
ALTER TABLE clicks ADD label uuid;
SELECT write('unit_column, variant_column, exposed_at_column, experiment_column, time_column', $$'label', 'arm', 'when', 'Experiment', 'at'$$) AS message
UNION ALL SELECT message($$INSERT INTO guardrail_experiment (experiment_id, events, exposed_at_column) VALUES ('a', 'events', 'when')$$)
UNION ALL SELECT message($$INSERT INTO guardrail_experiment (experiment_id, events, exposures, time_column) VALUES ('a', 'clicks', 'guardrail_rule_north_star', 'at')$$);
\x off
-- the events need no column for the arm; times of other types are read in UTC
SELECT write('unit_column, variant_column, exposed_at_column, experiment_column, time_column, min_units, max_crossover, monitoring', $$'who', 'arm', 'when', 'Experiment', 'at', 2, 0.1, 'always_valid'$$);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value, evidence) VALUES ('a', 'load', 'primary', 'mean', 'clicks.ms', 'higher', 'difference', 0, 'breach'), ('a', 'slow', 'guardrail', 'mean', 'ms', 'higher', 'difference', 5, 'point');
INSERT INTO shown SELECT n, CASE WHEN n % 2 = 0 THEN 'control' ELSE 'treatment' END, '2026-02-02', 'a' FROM generate_series(1, 200) n;
-- at midnight of the day it counts; before, or of another experiment, it does not
INSERT INTO clicks VALUES (1, '2026-02-02 00:00', 100, 'a'), (1, '2026-02-01 23:59:59.999999', 1000, 'a'), (3, '2026-02-09', 50, 'b'), (300, '2026-02-03', 7, 'a'), (2, '2026-02-03', 10, 'a'), (4, '2026-02-04', 30, 'a');
SELECT metric, control_value, treatment_value, units_control, units_treatment, events_control, events_treatment FROM guardrail_evaluate('a') ORDER BY 1;
-- launching asks whether there is an event after an exposure, whose it ever is
SET client_min_messages = error;
SELECT guardrail_launch('a');
SELECT version, after_data FROM guardrail_plan;
SET client_min_messages = warning;
CALL guardrail_check('a');
SELECT variant, verdict, status, reason FROM guardrail_verdict;
SELECT r.variant, r.identical, r.differences FROM guardrail_check_log l, guardrail_replay(l.check_id) r;
-- who was shown both is in none, and too many of them end the test
INSERT INTO shown SELECT n, CASE WHEN n % 2 = 0 THEN 'treatment' ELSE 'control' END, '2026-02-05', 'a' FROM generate_series(1, 40) n;
SELECT variant, verdict, reason, units_control, units_treatment, crossover_units FROM guardrail_decide('a');
SELECT guardrail_explain('a') LIKE '%FROM (SELECT who AS guardrail_unit, arm AS guardrail_variant, min("when") AS guardrail_exposed_at FROM exposures_test.shown WHERE "Experiment" = ''a'' AND "when" IS NOT NULL GROUP BY who, arm) AS guardrail_exposure%LEFT JOIN exposures_test.clicks ON clicks.who = guardrail_exposure.guardrail_unit AND clicks.at >= guardrail_exposure.guardrail_exposed_at AND clicks."Experiment" = ''a''%' AS statement;
-- a reader needs the right to read both; a check needs the owner's
CREATE ROLE regress_exposures_reader;
GRANT USAGE ON SCHEMA exposures_test TO regress_exposures_reader;
GRANT SELECT ON clicks, guardrail_experiment, guardrail_rule TO regress_exposures_reader;
SET ROLE regress_exposures_reader;
SELECT message($$SELECT guardrail_status('a')$$);
RESET ROLE;
GRANT SELECT ON shown TO regress_exposures_reader;
SET ROLE regress_exposures_reader;
SELECT guardrail_status('a');
RESET ROLE;
-- an assignment table that is a view belongs to the plan
CREATE VIEW assigned AS SELECT who, arm, "when", "Experiment" FROM shown;
INSERT INTO guardrail_experiment (experiment_id, events, exposures, unit_column, variant_column, exposed_at_column, experiment_column, time_column, shares) VALUES ('b', 'clicks', 'assigned', 'who', 'arm', 'when', 'Experiment', 'at', '{"control": 1, "treatment": 1}');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind) VALUES ('b', 'load', 'primary', 'mean', 'ms', 'higher', 'significance');
SET client_min_messages = error;
SELECT guardrail_launch('b');
SELECT intact, finding FROM guardrail_verify('b');
CREATE OR REPLACE VIEW assigned AS SELECT who, arm, "when", 'b'::text AS "Experiment" FROM shown;
SELECT intact, finding FROM guardrail_verify('b');
-- a column of the events with a name that the statement uses is told at launch
CREATE TABLE taken (who int, at timestamptz, ms float8, guardrail_exposed_at timestamptz);
INSERT INTO guardrail_experiment (experiment_id, events, exposures, unit_column, variant_column, exposed_at_column, experiment_column, time_column) VALUES ('c', 'taken', 'shown', 'who', 'arm', 'when', 'Experiment', 'at');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, window_length) VALUES ('c', 'load', 'primary', 'mean', 'ms', 'higher', 'significance', '2 days');
SELECT message($$SELECT guardrail_launch('c')$$);
-- without the table
DROP TABLE shown CASCADE;
SELECT regexp_replace(message($$SELECT guardrail_status('a')$$), 'OID \d+', 'OID ...');

SET client_min_messages = warning;
DROP SCHEMA exposures_test CASCADE;
DROP EXTENSION guardrail;
DROP ROLE regress_exposures_reader;
