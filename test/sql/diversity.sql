-- Diversity of what a unit sees: `distinct` and `entropy` of categories of any type that can be hashed.
--
-- Expected numbers: count(DISTINCT ...) and Shannon's sum over count(*) per unit and category in plain SQL, on random data of
-- twenty seeds: NULLs, duplicates, units of one event, units without a category, units in two arms.
SET client_min_messages = warning;
CREATE EXTENSION guardrail;
CREATE SCHEMA diversity_test;
SET search_path = diversity_test, public;
SET timezone = 'UTC';

CREATE FUNCTION u(purpose int, a bigint, b bigint DEFAULT 0) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN (((hashint8extended(a * 100000 + b, purpose) >> 11) & 9007199254740991) + 0.5) / 9007199254740992;
CREATE FUNCTION near(a float8, b float8) RETURNS boolean LANGUAGE sql IMMUTABLE
  RETURN CASE WHEN a IS NULL OR b IS NULL THEN a IS NULL AND b IS NULL ELSE abs(a - b) <= 1e-9 * abs(b) + 1e-12 END;

CREATE TYPE mood AS ENUM ('calm', 'loud', 'odd');
CREATE TYPE pair AS (a int, b text);
CREATE TABLE ev AS
SELECT 'seed ' || seed AS experiment_id, who::int AS user_id, CASE WHEN (u(1, k) < 0.5) <> (u(2, k, n) < 0.003) THEN 'control' ELSE 'treatment' END AS variant,
       '2026-05-01'::timestamptz + interval '1 hour' * floor(240 * u(3, k) + 200 * u(4, k, n)) AS at,
       CASE WHEN u(5, k) < 0.1 OR u(6, k, n) < 0.1 THEN NULL ELSE floor(u(7, k) * 30 * u(8, k, n) ^ 2)::bigint END AS creator, floor(3 * u(9, k, n))::int AS y
  FROM generate_series(1, 20) seed, generate_series(1, 500) who, LATERAL (SELECT seed * 1000 + who AS k) AS key, generate_series(1, least(80, ceil(0.7 / u(10, k)))::int) n;
ALTER TABLE ev ADD name text, ADD id uuid, ADD price numeric, ADD day date, ADD mood mood, ADD tags int[], ADD pair pair, ADD share float8;
UPDATE ev SET name = 'creator ' || creator, id = md5(creator::text)::uuid, price = CASE WHEN u(11, creator, y) < 0.5 THEN creator::numeric ELSE (creator || '.00')::numeric END, day = '2026-01-01'::date + creator::int,
  mood = (ARRAY['calm', 'loud', 'odd'])[1 + creator % 3]::mood, tags = CASE WHEN creator % 4 > 0 THEN ARRAY[creator % 4, NULL] ELSE '{}' END, pair = ROW(creator % 5, NULLIF(creator % 2, 0)), share = CASE creator % 3 WHEN 0 THEN '-0'::float8 WHEN 1 THEN 'NaN' ELSE 0 END
 WHERE creator IS NOT NULL;
ANALYZE ev;

INSERT INTO guardrail_experiment (experiment_id, events, time_column, min_units, max_crossover, srm_alpha, monitoring, correction, ends_at, shares)
SELECT 'seed ' || seed, 'ev', 'at', 2, 1, 1e-300, 'fixed', 'none', '2026-05-15', '{"control": 1, "treatment": 1}' FROM generate_series(1, 20) seed;
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, filter, window_length, worse, limit_kind, limit_value, covariate)
SELECT experiment_id, what.kind || ' ' || r.name, CASE WHEN r.name = 'creators' AND what.kind = 'distinct' THEN 'primary' ELSE 'guardrail' END, what.kind, r.value, r.filter, r.window_length::interval, 'lower', 'difference', 0.1, r.covariate
  FROM guardrail_experiment, (VALUES ('distinct'), ('entropy')) AS what(kind), (VALUES
  ('creators', 'creator', NULL, NULL, NULL), ('filter', 'creator', 'y > 0', NULL, NULL), ('guarded', '60 / y', 'y > 0', NULL, NULL), ('5 days', 'creator', NULL, '5 days', NULL), ('5 days filter', 'name', 'y < 2', '5 days', NULL),
  ('names', 'name', NULL, NULL, NULL), ('ids', 'id', NULL, NULL, NULL), ('prices', 'price', NULL, NULL, NULL), ('days', 'day', NULL, NULL, NULL), ('moods', 'mood', NULL, NULL, NULL), ('tags', 'tags', NULL, NULL, NULL), ('pairs', 'pair', NULL, NULL, NULL),
  ('shares', 'share', NULL, NULL, NULL), ('flags', 'creator > 5', NULL, NULL, NULL), ('constants', '''the same''', NULL, NULL, NULL)
) AS r(name, value, filter, window_length, covariate);

-- ---- in plain SQL: one row per event and metric, then per unit and category, then per unit, then per arm

CREATE TABLE unit AS
SELECT experiment_id, user_id, CASE WHEN count(DISTINCT variant) = 1 THEN min(variant) END AS arm, min(at) AS first_at FROM ev WHERE at < '2026-05-15' GROUP BY 1, 2;
CREATE TABLE seen AS
SELECT experiment_id, user_id, unit.arm, m.name, m.category, '2026-05-15' - first_at >= '120:00' OR m.name NOT LIKE '5 days%' AS mature
  FROM ev JOIN unit USING (experiment_id, user_id), LATERAL (VALUES
  ('creators', creator::text), ('filter', CASE WHEN y > 0 THEN creator::text END), ('guarded', CASE WHEN y > 0 THEN (60 / y)::text END), ('5 days', CASE WHEN at < first_at + interval '120 hours' THEN creator::text END),
  ('5 days filter', CASE WHEN at < first_at + interval '120 hours' AND y < 2 THEN name END), ('names', name), ('ids', id::text), ('prices', price::int::text), ('days', day::text), ('moods', mood::text), ('tags', tags::text), ('pairs', pair::text),
  ('shares', NULLIF(replace(share::text, '-', ''), 'NaN')), ('flags', (creator > 5)::text), ('constants', 'the same')) AS m(name, category)
 WHERE at < '2026-05-15' AND unit.arm IS NOT NULL;
CREATE TABLE expected AS
WITH counted AS (SELECT experiment_id, user_id, arm, name, mature, category, count(category) AS n FROM seen GROUP BY 1, 2, 3, 4, 5, 6),
     per_unit AS (SELECT experiment_id, user_id, arm, name, mature, count(category) AS different, -sum(n / total * ln(n / total) / ln(2::float8)) FILTER (WHERE n > 0) AS bits
                    FROM (SELECT *, nullif(sum(n) OVER (PARTITION BY experiment_id, user_id, name), 0)::float8 AS total FROM counted) AS c GROUP BY 1, 2, 3, 4, 5)
SELECT experiment_id, arm, kind || ' ' || name AS metric, count(x) FILTER (WHERE mature) AS n, avg(x) FILTER (WHERE mature) AS value, sqrt(var_samp(x) FILTER (WHERE mature) / count(x) FILTER (WHERE mature)) AS se, count(*) FILTER (WHERE NOT mature) AS immature
  FROM per_unit, LATERAL (VALUES ('distinct', different::float8), ('entropy', bits::float8)) AS v(kind, x) GROUP BY 1, 2, 3;

-- one scan, with units spilled to disk, and, with a cap at a pooled quantile, grouped by the server; the first once more
-- with parallel workers
CREATE TABLE result AS SELECT 'one scan' AS shape, x.experiment_id AS experiment, e.* FROM guardrail_experiment x, guardrail_evaluate(x.experiment_id) e;
SET guardrail.unit_memory = '64kB';
INSERT INTO result SELECT 'spilled', x.experiment_id, e.* FROM guardrail_experiment x, guardrail_evaluate(x.experiment_id) e;
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, cap_quantile, worse, limit_kind, limit_value)
SELECT experiment_id, 'capped', 'secondary', 'mean', 'y', 0.9, 'higher', 'difference', 1 FROM guardrail_experiment;
SELECT guardrail_status('seed 7') IS NOT NULL AS warm;
SET client_min_messages = debug1;
SELECT guardrail_status('seed 7') IS NOT NULL AS fell_back;
SET client_min_messages = warning;
INSERT INTO result SELECT 'two levels', x.experiment_id, e.* FROM guardrail_experiment x, guardrail_evaluate(x.experiment_id) e;
DELETE FROM guardrail_rule WHERE metric = 'capped';
RESET guardrail.unit_memory;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SET max_parallel_workers_per_gather = 2;
ALTER TABLE ev SET (parallel_workers = 2);
-- an order of the events by unit keeps workers out
DELETE FROM guardrail_rule WHERE window_length IS NOT NULL;
INSERT INTO result SELECT 'workers', x.experiment_id, e.* FROM guardrail_experiment x, guardrail_evaluate(x.experiment_id) e;
RESET max_parallel_workers_per_gather;

SELECT g.metric, shape, count(*) AS experiments, count(*) FILTER (WHERE near(control_value, c.value) AND near(treatment_value, t.value)) AS value, count(*) FILTER (WHERE near(control_se, c.se) AND near(treatment_se, t.se)) AS se,
       count(*) FILTER (WHERE units_control = c.n AND units_treatment = t.n) AS units, count(*) FILTER (WHERE coalesce(replace(substring(reason FROM '; ([0-9,]+) units? immature'), ',', '')::int, 0) = c.immature + t.immature) AS immature
  FROM result g JOIN expected c ON c.arm = 'control' AND (c.experiment_id, c.metric) = (g.experiment_id, g.metric) JOIN expected t ON t.arm = 'treatment' AND (t.experiment_id, t.metric) = (g.experiment_id, g.metric)
 GROUP BY g.metric, shape ORDER BY g.metric COLLATE "C", shape COLLATE "C";
-- the shapes agree to the last bit, and in their words
SELECT s.shape, count(*) AS results, count(*) FILTER (WHERE (f.control_value, f.treatment_value, f.reason, f.events_control) IS NOT DISTINCT FROM (s.control_value, s.treatment_value, s.reason, s.events_control)) AS same
  FROM result s JOIN (SELECT * FROM result WHERE shape = 'one scan') AS f USING (experiment, variant, metric) GROUP BY s.shape ORDER BY s.shape COLLATE "C";
SELECT bool_and(n) AS all_of_it FROM (SELECT count(*) > 15 FROM unit WHERE arm IS NULL UNION ALL SELECT count(*) > 15 FROM expected WHERE immature > 0 UNION ALL SELECT count(*) > 15 FROM (SELECT FROM ev GROUP BY experiment_id, user_id HAVING count(*) = 1) AS one
  UNION ALL SELECT count(*) > 15 FROM (SELECT FROM ev GROUP BY experiment_id, user_id HAVING count(creator) = 0) AS none UNION ALL SELECT max(n) > 10 FROM (SELECT count(DISTINCT creator) AS n FROM ev GROUP BY experiment_id, user_id) AS many) AS v(n);

-- ---- the functions behind them

SELECT _guardrail_category(1::bigint) = _guardrail_category(1::int) AS integers, _guardrail_category(1.0) = _guardrail_category(1.00) AS numerics, _guardrail_category('a'::text) <> _guardrail_category('b'::text) AS texts, _guardrail_category(NULL::text) IS NULL AS nothing,
       (SELECT count(DISTINCT _guardrail_category(n)) FROM generate_series(1, 100000) n) AS different;
SELECT _guardrail_distinct('{}') AS none, _guardrail_distinct('{3,1,3,3}') AS two, _guardrail_entropy('{}') AS no_bits, _guardrail_entropy('{1,2,1,2}') AS one_bit, _guardrail_entropy('{5,5,5}') AS zero, _guardrail_entropy('{1,2,3,4,5,6,7,8}') AS three_bits;
SELECT _guardrail_category('{}'::json);
SELECT _guardrail_entropy('{1,NULL}');
SELECT _guardrail_distinct('{{1,2},{3,4}}');
SELECT _guardrail_distinct('{NaN}');

SET client_min_messages = warning;
DROP SCHEMA diversity_test CASCADE;
DROP EXTENSION guardrail;
