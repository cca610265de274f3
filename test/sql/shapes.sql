-- One answer from every kind of relation, type of arm and type of unit, by every way of reading it: one scan, parallel
-- workers, with units spilled to disk because they do not fit the memory set, and grouped by the server's executor, also
-- in parallel, because with a cap at a pooled quantile they cannot be spilled.
--
-- Expected numbers: counts in plain SQL; the ways are held to each other: counts, whole numbers and quantiles exactly,
-- other numbers to 1e-12 relative.
SET client_min_messages = warning;
CREATE EXTENSION guardrail;
-- these tests are of the fixed design, whatever else is planned
ALTER TABLE guardrail_experiment ALTER monitoring SET DEFAULT 'fixed';
CREATE SCHEMA shapes_test;
SET search_path = shapes_test, public;

-- uniform in (0,1), by hash of (what for, who, which event)
CREATE FUNCTION u(purpose int, a bigint, b bigint DEFAULT 0) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN (((hashint8extended(a * 100000 + b, purpose) >> 11) & 9007199254740991) + 0.5) / 9007199254740992;
CREATE TYPE arm AS ENUM ('treatment', 'bot', 'control');
CREATE TYPE colour AS ENUM ('red', 'green');
CREATE DOMAIN arm_name AS varchar(20);
CREATE DOMAIN whole AS bigint;
CREATE COLLATION any_case (provider = icu, locale = 'und-u-ks-level2', deterministic = false);

-- 3,000 users; one in 100 seen in both arms, some rows without a user, some of another arm, some without an arm; values that
-- are NULL, NaN or infinite
CREATE TABLE ev AS
SELECT who AS u_bigint, who::int AS u_int, who::smallint AS u_smallint, 'user ' || who AS u_text, ('User ' || who)::varchar AS u_varchar, who::text::char(8) AS u_char, md5(who::text)::uuid AS u_uuid, who::numeric / 8 AS u_numeric, who / 8.0::float8 AS u_float,
       '2000-01-01'::date + who::int AS u_date, to_timestamp(who) AS u_time, decode(md5(who::text), 'hex') AS u_bytea, ('10.0.0.0'::inet + who) AS u_inet, who::whole AS u_domain, CASE WHEN who > 0 THEN jsonb_build_object('id', who) END AS u_jsonb, CASE WHEN who > 0 THEN ARRAY[who, 7] END AS u_array, md5(who::text)::name AS u_name,
       CASE WHEN n % 2 = 0 THEN 'USER ' ELSE 'user ' END || who AS u_anycase,
       variant AS v_text, variant::arm AS v_enum, variant::varchar AS v_varchar, variant::char(12) AS v_char, variant::name AS v_name, variant::arm_name AS v_domain,
       CASE variant WHEN 'control' THEN 0 WHEN 'treatment' THEN 1 ELSE 2 END AS v_int, (CASE variant WHEN 'control' THEN -1 WHEN 'treatment' THEN 1 ELSE 2 END)::smallint AS v_small, (CASE variant WHEN 'control' THEN 0 WHEN 'treatment' THEN 5000000000 ELSE 2 END)::bigint AS v_big,
       CASE variant WHEN 'control' THEN false WHEN 'treatment' THEN true END AS v_bool,
       n, floor(100 * u(5, user_key, n))::int AS points, CASE WHEN u(6, user_key, n) < 0.05 THEN NULL WHEN u(6, user_key, n) < 0.06 THEN 'NaN' WHEN u(6, user_key, n) < 0.07 THEN 'Infinity' WHEN u(6, user_key, n) < 0.075 THEN '-Infinity' ELSE 1000 * u(7, user_key, n) ^ 3 - 10 END AS ms,
       CASE WHEN u(8, user_key, n) < 0.02 THEN 'NaN' ELSE round((50 * u(9, user_key, n))::numeric, 2) END AS revenue, u(10, user_key, n) < 0.1 AS flag, (u(11, user_key, n) * 10)::real AS small_float
  FROM (SELECT k AS user_key, n, CASE WHEN u(1, k, n) < 0.004 THEN NULL ELSE k END AS who,
               CASE WHEN u(2, k, n) < 0.01 THEN 'bot' WHEN u(2, k, n) < 0.015 THEN NULL WHEN u(3, k) < 0.02 THEN CASE WHEN n % 2 = 0 THEN 'control' ELSE 'treatment' END WHEN u(4, k) < 0.5 THEN 'control' ELSE 'treatment' END AS variant
          FROM generate_series(1, 3000) k, generate_series(1, least(30, ceil(1 / u(12, k)))::int) n) AS rows;
ALTER TABLE ev ALTER u_anycase TYPE text COLLATE any_case;
CREATE VIEW ev_view AS SELECT * FROM ev WHERE n < 20;
CREATE TABLE ev_20 AS SELECT * FROM ev WHERE n < 20;
CREATE MATERIALIZED VIEW ev_matview AS SELECT * FROM ev;
CREATE TABLE ev_parts (LIKE ev) PARTITION BY RANGE (n);
CREATE TABLE ev_parts_1 PARTITION OF ev_parts FOR VALUES FROM (0) TO (2) PARTITION BY LIST (v_text);
CREATE TABLE ev_parts_1_c PARTITION OF ev_parts_1 FOR VALUES IN ('control');
CREATE TABLE ev_parts_1_d PARTITION OF ev_parts_1 DEFAULT;
CREATE TABLE ev_parts_2 PARTITION OF ev_parts DEFAULT;
INSERT INTO ev_parts SELECT * FROM ev;
CREATE TABLE ev_parent (LIKE ev);
CREATE TABLE ev_child () INHERITS (ev_parent);
INSERT INTO ev_child SELECT * FROM ev WHERE n > 1;
INSERT INTO ev_parent SELECT * FROM ev WHERE n = 1;
VACUUM ANALYZE ev, ev_20, ev_matview, ev_parts, ev_parent, ev_child;

INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, unit_column, variant_column, control, shares, max_crossover, planned_units)
SELECT name, events, NULL, unit, variant, control, jsonb_build_object(control, 1, treatment, 1), 0.02, 100 FROM (
  SELECT 'table', 'ev', 'u_bigint', 'v_text', 'control', 'treatment'
  UNION ALL SELECT relation, relation, 'u_bigint', 'v_text', 'control', 'treatment' FROM unnest('{ev_view,ev_20,ev_matview,ev_parts,ev_parent}'::text[]) relation
  UNION ALL SELECT unit, 'ev', unit, 'v_text', 'control', 'treatment' FROM unnest('{u_int,u_smallint,u_text,u_varchar,u_char,u_uuid,u_numeric,u_float,u_date,u_time,u_bytea,u_inet,u_domain,u_jsonb,u_array,u_name,u_anycase}'::text[]) unit
  UNION ALL SELECT variant, 'ev', 'u_bigint', variant, 'control', 'treatment' FROM unnest('{v_enum,v_varchar,v_char,v_name,v_domain}'::text[]) variant
  UNION ALL VALUES ('v_int', 'ev', 'u_bigint', 'v_int', '0', '1'), ('v_small', 'ev', 'u_bigint', 'v_small', '-1', '1'), ('v_big', 'ev', 'u_bigint', 'v_big', '0', '5000000000'), ('v_bool', 'ev', 'u_bigint', 'v_bool', 'false', 'true')
) AS x(name, events, unit, variant, control, treatment), LATERAL (SELECT x.events::regclass) AS y(relation);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, denominator, filter, unit_aggregate, quantile, quantile_over, worse, limit_kind, limit_value)
SELECT experiment_id, m.*, 'higher', 'difference', 1 FROM guardrail_experiment, (VALUES
  ('points', 'guardrail', 'mean', 'points', NULL, NULL, 'sum', NULL::float8, 'events'), ('most', 'guardrail', 'mean', 'points', NULL, NULL, 'max', NULL, 'events'), ('least', 'guardrail', 'mean', 'ms', NULL, NULL, 'min', NULL, 'events'), ('average', 'guardrail', 'mean', 'ms', NULL, 'n > 1', 'avg', NULL, 'events'),
  ('flag', 'guardrail', 'proportion', 'flag', NULL, NULL, 'sum', NULL, 'events'), ('ms', 'guardrail', 'ratio', 'ms', NULL, NULL, 'sum', NULL, 'events'), ('share', 'guardrail', 'ratio', 'revenue', 'points + 1', 'NOT flag', 'sum', NULL, 'events'), ('guarded', 'guardrail', 'ratio', '100 / points', NULL, 'points > 0', 'sum', NULL, 'events'),
  ('p95', 'guardrail', 'quantile', 'ms', NULL, NULL, 'sum', 0.95, 'events'), ('p50 real', 'guardrail', 'quantile', 'small_float', NULL, 'flag', 'sum', 0.5, 'events'), ('p90 of users', 'guardrail', 'quantile', 'points', NULL, NULL, 'sum', 0.9, 'units'), ('p50 of averages', 'guardrail', 'quantile', 'revenue * 100', NULL, NULL, 'avg', 0.5, 'units')) AS m;

-- ---- what is counted, and what is left out

CREATE TABLE counts AS SELECT ''::text AS way, d.* FROM guardrail_decide('table') d LIMIT 0;
CREATE VIEW by_sql AS
WITH known AS (SELECT * FROM ev WHERE u_bigint IS NOT NULL AND v_text IN ('control', 'treatment')), arms AS (SELECT u_bigint, min(v_text) AS variant, count(DISTINCT v_text) AS arms, count(*) AS events FROM known GROUP BY 1)
SELECT count(*) FILTER (WHERE arms > 1) AS crossover, count(*) FILTER (WHERE arms = 1 AND variant = 'control') AS units_control, count(*) FILTER (WHERE arms = 1 AND variant = 'treatment') AS units_treatment,
       sum(events) FILTER (WHERE arms = 1 AND variant = 'control') AS events_control, sum(events) FILTER (WHERE arms = 1 AND variant = 'treatment') AS events_treatment,
       (SELECT count(*) FROM ev WHERE u_bigint IS NULL) AS null_units, (SELECT count(*) FROM ev WHERE u_bigint IS NOT NULL AND (v_text NOT IN ('control', 'treatment') OR v_text IS NULL)) AS unknown_arms FROM arms;
SELECT crossover > 10 AND null_units > 10 AND unknown_arms > 10 AS worth_testing FROM by_sql;
SET max_parallel_workers_per_gather = 0;
SELECT x.experiment_id, d.crossover_units = s.crossover AND abs(d.crossover_share - s.crossover::float8 / (s.crossover + s.units_control + s.units_treatment)) < 1e-12 AS crossover, d.units_control = s.units_control AND d.units_treatment = s.units_treatment AS units,
       d.events_control = s.events_control AND d.events_treatment = s.events_treatment AS events, d.null_unit_rows = s.null_units AND d.unknown_arm_rows = s.unknown_arms AS left_out
  FROM guardrail_experiment x, guardrail_decide(x.experiment_id) d, by_sql s WHERE x.experiment_id NOT IN ('ev_view', 'ev_20') ORDER BY x.experiment_id COLLATE "C";
SELECT metric, substring(reason from '; (\d+) non-finite values')::int = (SELECT count(*) FROM ev WHERE u_bigint IS NOT NULL AND v_text IN ('control', 'treatment') AND CASE e.metric WHEN 'average' THEN n > 1 ELSE true END AND ms IN ('NaN', 'Infinity', '-Infinity')) AS not_finite
  FROM guardrail_evaluate('table') e WHERE metric IN ('least', 'average', 'ms', 'p95') ORDER BY metric COLLATE "C";

-- ---- six ways to the same results

CREATE TABLE results AS SELECT ''::text AS way, e.* FROM guardrail_evaluate('table') e LIMIT 0;
CREATE FUNCTION keep(how text, experiments text DEFAULT '') RETURNS void LANGUAGE sql AS $$
  INSERT INTO results SELECT how, e.* FROM guardrail_experiment x, guardrail_evaluate(x.experiment_id) e WHERE experiments = '' OR x.experiment_id = ANY (experiments::text[]);
  INSERT INTO counts SELECT how, d.* FROM guardrail_experiment x, guardrail_decide(x.experiment_id) d WHERE x.experiment_id = ANY ('{table,ev_parts,ev_view,u_text,v_bool}') $$;
SELECT keep('serial');
SET guardrail.unit_memory = '64kB';
SELECT keep('spilled');
RESET guardrail.unit_memory;
SET max_parallel_workers_per_gather = 2;
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SELECT keep('parallel', '{table,ev_parts,ev_view,ev_parent,u_text,u_numeric,u_anycase,v_enum,v_bool}');
SET guardrail.unit_memory = '64kB';
SELECT keep('parallel, spilled', '{table,ev_parts,ev_view,u_text,v_bool}');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, cap_quantile, worse, limit_kind, limit_value)
SELECT experiment_id, 'capped', 'secondary', 'mean', 'points', 0.9, 'higher', 'difference', 1 FROM guardrail_experiment;
SELECT keep('parallel two levels', '{table,ev_parts,ev_view,u_text,v_bool}');
SET max_parallel_workers_per_gather = 0;
SELECT keep('two levels');
SET max_parallel_workers_per_gather = 2;
RESET guardrail.unit_memory;
CREATE FUNCTION near(a float8, b float8) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN a IS NOT DISTINCT FROM b OR abs(a - b) <= 1e-12 * greatest(abs(a), abs(b));
SELECT r.way, count(*) AS results, count(*) FILTER (WHERE (r.units_control, r.units_treatment, r.events_control, r.events_treatment, r.status) IS NOT DISTINCT FROM (o.units_control, o.units_treatment, o.events_control, o.events_treatment, o.status)) AS counts,
       count(*) FILTER (WHERE near(r.control_value, o.control_value) AND near(r.treatment_value, o.treatment_value) AND near(r.effect, o.effect)) AS values, count(*) FILTER (WHERE abs(r.effect_lower - o.effect_lower) + abs(r.effect_upper - o.effect_upper) <= 1e-12 * (abs(o.control_value) + abs(o.treatment_value))) AS bounds,
       count(*) FILTER (WHERE (r.metric IN ('points', 'most', 'flag') OR r.kind = 'quantile') AND (r.control_value, r.treatment_value) = (o.control_value, o.treatment_value)) AS exact, count(*) FILTER (WHERE r.kind = 'quantile' AND (r.effect_lower, r.effect_upper) = (o.effect_lower, o.effect_upper)) AS exact_bounds,
       count(*) FILTER (WHERE substring(r.reason from '; (\d+) non-finite values') IS NOT DISTINCT FROM substring(o.reason from '; (\d+) non-finite values')) AS not_finite
  FROM results r JOIN results o USING (experiment_id, metric) WHERE o.way = 'serial' GROUP BY r.way ORDER BY r.way COLLATE "C";
SELECT c.way, count(*) AS experiments, bool_and((c.crossover_units, c.units_control, c.units_treatment, c.events_control, c.events_treatment, c.null_unit_rows, c.unknown_arm_rows, c.verdict, c.status, c.srm_p) IS NOT DISTINCT FROM
       (o.crossover_units, o.units_control, o.units_treatment, o.events_control, o.events_treatment, o.null_unit_rows, o.unknown_arm_rows, o.verdict, o.status, o.srm_p)) AS same FROM counts c JOIN (SELECT * FROM counts WHERE way = 'serial') o USING (experiment_id) GROUP BY c.way ORDER BY c.way COLLATE "C";
-- every kind of relation, arm and unit gives what the table does; quantiles to the bin, their bounds by other batches
SELECT r.experiment_id, count(*) AS metrics, count(*) FILTER (WHERE near(r.control_value, o.control_value) AND near(r.treatment_value, o.treatment_value) AND r.events_control = o.events_control AND r.units_treatment = o.units_treatment AND (r.kind = 'quantile' OR abs(r.effect_lower - o.effect_lower) <= 1e-12 * abs(o.control_value))) AS same
  FROM results r JOIN results o USING (metric) WHERE r.way = 'serial' AND o.way = 'serial' AND o.experiment_id = CASE r.experiment_id WHEN 'ev_view' THEN 'ev_20' ELSE 'table' END AND r.experiment_id NOT IN ('ev_20', 'table') GROUP BY 1 ORDER BY r.experiment_id COLLATE "C";

-- ---- the plan

CREATE FUNCTION plan(experiment text) RETURNS SETOF text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
  FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || substring(guardrail_explain(experiment) FROM E'\nThe statement, run as [^\n]*\n(.*?)\n\nUnits and events') LOOP
    IF line ~ 'Aggregate|Gather|Workers|Sort|Hash' THEN RETURN NEXT ltrim(line, ' ->'); END IF;
  END LOOP;
END $$;
SELECT x AS relation, array_agg(plan ORDER BY ordinality) FROM unnest('{table,ev_matview,ev_view}'::text[]) x, LATERAL ROWS FROM (plan(x)) WITH ORDINALITY AS p(plan) GROUP BY x ORDER BY x COLLATE "C";
SELECT bool_or(p = 'Partial Aggregate') AS partial, bool_or(p LIKE 'Workers Planned%') AS workers FROM plan('ev_parts') p;

-- ---- arms that are not planned are those that are seen

UPDATE guardrail_experiment SET shares = NULL WHERE experiment_id IN ('table', 'v_bool');
SELECT x.experiment_id, d.variant, units_control > 100 AS control, units_treatment > 100 AS treatment, unknown_arm_rows = (SELECT count(*) FROM ev WHERE u_bigint IS NOT NULL AND CASE x.experiment_id WHEN 'table' THEN v_text IS NULL ELSE v_bool IS NULL END) AS unknown
  FROM guardrail_experiment x, guardrail_decide(x.experiment_id) d WHERE x.experiment_id IN ('table', 'v_bool') ORDER BY 1, 2;

SET client_min_messages = warning;
DROP SCHEMA shapes_test CASCADE;
DROP EXTENSION guardrail;
