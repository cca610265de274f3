-- The check that most teams write by hand, and guardrail with three point rules: the same numbers to 1e-9 and the same
-- verdict, on random data of sixty seeds, with NULLs.
--
-- Expected numbers: the hand-written query itself, in plain SQL.
SET client_min_messages = warning;
CREATE EXTENSION guardrail;
-- these tests are of the fixed design, whatever else is planned
ALTER TABLE guardrail_experiment ALTER monitoring SET DEFAULT 'fixed';
CREATE SCHEMA oracle_test;
SET search_path = oracle_test, public;

-- uniform in (0,1), and standard normal, by hash of (what for, who, which event)
CREATE FUNCTION u(purpose int, a bigint, b bigint DEFAULT 0) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN (((hashint8extended(a * 100000 + b, purpose) >> 11) & 9007199254740991) + 0.5) / 9007199254740992;
CREATE FUNCTION z(purpose int, a bigint, b bigint DEFAULT 0) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN sqrt(-2 * ln(u(purpose, a, b))) * cos(2 * pi() * u(purpose + 1000, a, b));

CREATE TABLE experiment_events (experiment_id text, user_id bigint, variant text, page_load_ms float8, crashed boolean, revenue numeric(10,2));

-- Each experiment of 60 has its own harm, so that every verdict comes up; NULL loads, crashes, revenues; users with one event and with forty.
INSERT INTO experiment_events
SELECT 'experiment ' || seed, seed * 100000 + who, variant,
       CASE WHEN u(1, user_key, n) < 0.1 THEN NULL ELSE exp(6 + 0.4 * z(2, user_key) + 0.6 * z(3, user_key, n)) + CASE WHEN variant = 'treatment' THEN 500 * u(4, seed) - 100 ELSE 0 END END,
       CASE WHEN u(5, user_key, n) < 0.05 THEN NULL ELSE u(6, user_key, n) < 0.02 + CASE WHEN variant = 'treatment' THEN 0.02 * u(7, seed) - 0.016 ELSE 0 END END,
       CASE WHEN u(8, user_key, n) < 0.5 THEN NULL WHEN u(8, user_key, n) < 0.9 THEN 0 ELSE round((exp(3 + z(9, user_key, n)) * CASE WHEN variant = 'treatment' THEN 0.9 + 0.6 * u(10, seed) ELSE 1 END)::numeric, 2) END
  FROM generate_series(1, 60) seed, generate_series(1, 400) who,
       LATERAL (SELECT seed * 1000 + who AS user_key, CASE WHEN u(11, seed * 1000 + who) < 0.5 THEN 'control' ELSE 'treatment' END AS variant) AS arm,
       generate_series(1, least(40, ceil(2 / u(12, seed * 1000 + who)))::int) n;
ANALYZE experiment_events;

INSERT INTO guardrail_experiment (experiment_id, events, min_units) SELECT 'experiment ' || seed, 'experiment_events', 2 FROM generate_series(1, 60) seed;
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value, evidence)
SELECT experiment_id, r.* FROM guardrail_experiment, (VALUES
  ('load',    'guardrail', 'ratio', 'page_load_ms',                         'higher', 'difference', 200,   'point'),
  ('crash',   'guardrail', 'ratio', 'CASE WHEN crashed THEN 1.0 ELSE 0 END', 'higher', 'difference', 0.001, 'point'),
  ('revenue', 'guardrail', 'mean',  'revenue',                              'lower',  'relative',   0.02,  'point')) AS r;

CREATE VIEW by_hand AS
WITH metrics AS (
  SELECT experiment_id, variant, AVG(page_load_ms) AS load_ms, AVG(CASE WHEN crashed THEN 1.0 ELSE 0 END) AS crash_rate,
         SUM(revenue) * 1.0 / COUNT(DISTINCT user_id) AS rev_per_user
  FROM experiment_events GROUP BY experiment_id, variant)
SELECT t.experiment_id, t.load_ms - c.load_ms AS load_delta_ms, (t.crash_rate - c.crash_rate) * 100 AS crash_delta_pp, (t.rev_per_user / c.rev_per_user - 1) * 100 AS rev_delta_pct,
       c.load_ms AS load_c, t.load_ms AS load_t, c.crash_rate AS crash_c, t.crash_rate AS crash_t, c.rev_per_user AS rev_c, t.rev_per_user AS rev_t,
       CASE WHEN t.load_ms - c.load_ms > 200 THEN 'BLOCK: load' WHEN t.crash_rate - c.crash_rate > 0.001 THEN 'BLOCK: crash'
            WHEN t.rev_per_user / c.rev_per_user < 0.98 THEN 'BLOCK: revenue' ELSE 'OK' END AS guardrail_status
FROM metrics t JOIN metrics c ON t.experiment_id = c.experiment_id AND t.variant = 'treatment' AND c.variant = 'control';

CREATE VIEW by_guardrail AS
SELECT e.experiment_id, max(effect) FILTER (WHERE metric = 'load') AS load, max(effect) FILTER (WHERE metric = 'crash') AS crash, max(effect) FILTER (WHERE metric = 'revenue') AS revenue,
       max(control_value) FILTER (WHERE metric = 'load') AS load_c, max(treatment_value) FILTER (WHERE metric = 'load') AS load_t, max(control_value) FILTER (WHERE metric = 'crash') AS crash_c,
       max(treatment_value) FILTER (WHERE metric = 'crash') AS crash_t, max(control_value) FILTER (WHERE metric = 'revenue') AS rev_c, max(treatment_value) FILTER (WHERE metric = 'revenue') AS rev_t,
       CASE WHEN bool_or(metric = 'load' AND status = 'BREACHED') THEN 'BLOCK: load' WHEN bool_or(metric = 'crash' AND status = 'BREACHED') THEN 'BLOCK: crash'
            WHEN bool_or(metric = 'revenue' AND status = 'BREACHED') THEN 'BLOCK: revenue' WHEN bool_and(status = 'SAFE') THEN 'OK' END AS guardrail_status
  FROM guardrail_experiment x, guardrail_evaluate(x.experiment_id) e GROUP BY e.experiment_id;

CREATE FUNCTION near(a float8, b numeric) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN abs(a::numeric - b) <= 1e-9 * abs(b) + 1e-12;

CREATE FUNCTION compared() RETURNS TABLE (experiments bigint, numbers bigint, effects bigint, verdicts bigint, status bigint) LANGUAGE sql AS $$
  SELECT count(*),
         count(*) FILTER (WHERE near(g.load_c, h.load_c::numeric) AND near(g.load_t, h.load_t::numeric) AND near(g.crash_c, h.crash_c) AND near(g.crash_t, h.crash_t) AND near(g.rev_c, h.rev_c) AND near(g.rev_t, h.rev_t)),
         count(*) FILTER (WHERE abs(load - load_delta_ms) <= 1e-9 * greatest(1, abs(load_delta_ms)) AND abs(crash * 100 - crash_delta_pp) <= 1e-9 AND abs(revenue * 100 - rev_delta_pct) <= 1e-9),
         count(*) FILTER (WHERE g.guardrail_status = h.guardrail_status),
         count(*) FILTER (WHERE (h.guardrail_status = 'OK' AND s = 'OK') OR (h.guardrail_status <> 'OK' AND s LIKE 'BLOCK: %' AND s ~ substr(h.guardrail_status, 8)))
    FROM by_hand h JOIN by_guardrail g USING (experiment_id), LATERAL guardrail_status(h.experiment_id) s $$;
SELECT * FROM compared();
-- each verdict came up, and each metric lies on both sides of its limit
SELECT guardrail_status, count(*) > 2 AS several FROM by_hand GROUP BY guardrail_status ORDER BY guardrail_status COLLATE "C";

-- all the events as one experiment: in one scan with its own table of units, when they do not fit the memory set with
-- units spilled to disk, and, when these are to be capped at a pooled quantile, grouped by the server's executor
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column) VALUES ('all', 'experiment_events', NULL);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value, evidence)
SELECT 'all', metric, role, kind, value, worse, limit_kind, limit_value, evidence FROM guardrail_rule WHERE experiment_id = 'experiment 1';
CREATE TEMP TABLE whole AS SELECT 'one scan' AS shape, e.* FROM guardrail_evaluate('all') e;
SET guardrail.unit_memory = '64kB';
INSERT INTO whole SELECT 'spilled', e.* FROM guardrail_evaluate('all') e;
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, cap_quantile, worse, limit_kind, limit_value, evidence)
VALUES ('all', 'capped', 'guardrail', 'mean', 'revenue', 0.9, 'lower', 'difference', 1, 'point');
-- once before, so that the server has nothing else to say at this level
SELECT guardrail_status('all') IS NOT NULL AS warm;
SET client_min_messages = debug1;
SELECT guardrail_status('all') IS NOT NULL AS fell_back;
SET client_min_messages = warning;
INSERT INTO whole SELECT 'two levels', e.* FROM guardrail_evaluate('all') e;
DELETE FROM guardrail_rule WHERE metric = 'capped';
RESET guardrail.unit_memory;
SELECT shape, w.metric, near(w.control_value, h.control::numeric) AS control, near(w.treatment_value, h.treatment::numeric) AS treatment, w.units_control = n.control AS units_control, w.units_treatment = n.treatment AS units_treatment
  FROM whole w,
       (SELECT 'load' AS metric, avg(page_load_ms) FILTER (WHERE variant = 'control') AS control, avg(page_load_ms) FILTER (WHERE variant = 'treatment') AS treatment FROM experiment_events
        UNION ALL SELECT 'crash', avg(crashed::int) FILTER (WHERE variant = 'control'), avg(crashed::int) FILTER (WHERE variant = 'treatment') FROM (SELECT variant, coalesce(crashed, false) AS crashed FROM experiment_events) AS c
        UNION ALL SELECT 'revenue', sum(revenue) FILTER (WHERE variant = 'control') / count(DISTINCT user_id) FILTER (WHERE variant = 'control'), sum(revenue) FILTER (WHERE variant = 'treatment') / count(DISTINCT user_id) FILTER (WHERE variant = 'treatment') FROM experiment_events) AS h,
       (SELECT count(DISTINCT user_id) FILTER (WHERE variant = 'control') AS control, count(DISTINCT user_id) FILTER (WHERE variant = 'treatment') AS treatment FROM experiment_events) AS n
 WHERE h.metric = w.metric ORDER BY shape COLLATE "C", w.metric COLLATE "C";

-- with a rule of each as evidence `breach` the numbers stay, and before the end nothing is decided
UPDATE guardrail_rule SET evidence = 'breach';
SELECT count(*) AS results, count(*) FILTER (WHERE status = 'UNDECIDED') AS undecided, count(*) FILTER (WHERE p_breach IS NULL AND p_safe IS NULL) AS without_p FROM guardrail_experiment x, guardrail_evaluate(x.experiment_id) e;

SET client_min_messages = warning;
DROP SCHEMA oracle_test CASCADE;
DROP TABLE whole;
DROP EXTENSION guardrail;
