-- Values that occur often, and units that weigh much.
--
-- Expected: percentile_disc over the same events; counting by hand; of the A/A tests a binomial bound.
SET client_min_messages = error;
CREATE EXTENSION guardrail;
CREATE SCHEMA ties_test;
SET search_path = ties_test, public;
CREATE FUNCTION u(purpose int, a bigint, b bigint DEFAULT 0) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN (((hashint8extended(a * 100000 + b, purpose) >> 11) & 9007199254740991) + 0.5) / 9007199254740992;

-- ---- requests cut off at 30,000 ms (6 % in control, 20 % in treatment), whole milliseconds, a price list, sessions of at most 30 minutes
CREATE TABLE ev (id bigint GENERATED ALWAYS AS IDENTITY, experiment_id text, user_id int, variant text, device text, cut float8, ms float8, price float8, session float8, smooth float8);
CREATE FUNCTION events(id text, first int, last int) RETURNS void LANGUAGE sql AS $$
  INSERT INTO ties_test.ev (experiment_id, user_id, variant, device, cut, ms, price, session, smooth)
  SELECT id, u, CASE u % 2 WHEN 0 THEN 'control' ELSE 'treatment' END, CASE u / 2 % 2 WHEN 0 THEN 'phone' ELSE 'desk' END,
    CASE WHEN ties_test.u(1, u, i) < CASE u % 2 WHEN 0 THEN 0.06 ELSE 0.2 END THEN 30000 ELSE 200 + floor(500 * ties_test.u(2, u, i)) END,
    1 + floor(20 * ties_test.u(3, u, i)), (ARRAY[4.99, 9.99, 19.99, 49.99, 99.99])[1 + floor(5 * ties_test.u(4, u, i))::int],
    CASE WHEN ties_test.u(5, u, i) < CASE u % 2 WHEN 0 THEN 0.4 ELSE 0.1 END THEN 5 ELSE 1800 END, -1000 * ln(ties_test.u(6, u, i))
  FROM generate_series(first, last) AS u, generate_series(1, 3 + u / 2 % 5) AS i;
$$;
INSERT INTO guardrail_experiment (experiment_id, events, planned_units, monitoring, cursor_column, segments) VALUES
  ('scan', 'ev', 4000, 'fixed', NULL, NULL), ('cursor', 'ev', 4000, 'fixed', 'id', NULL), ('parts', 'ev', 4000, 'fixed', NULL, '{device}');
CREATE TABLE kinds AS SELECT what, quantile FROM unnest('{cut,ms,price,session,smooth}'::text[]) AS what, unnest(ARRAY[0.01, 0.25, 0.5, 0.75, 0.95, 0.99]) AS quantile;
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value)
SELECT experiment_id, 'goal', 'primary', 'mean', 'smooth', 'lower', 'difference', 0 FROM guardrail_experiment;
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, quantile, quantile_over, unit_aggregate, worse, limit_kind, limit_value)
SELECT experiment_id, what || ' ' || quantile || CASE o WHEN 'units' THEN ' of units' ELSE '' END, 'guardrail', 'quantile', what, quantile, o, CASE o WHEN 'units' THEN 'max' ELSE 'sum' END, 'higher', 'significance', NULL
  FROM guardrail_experiment, kinds, unnest('{events,units}'::text[]) AS o;
SELECT count(guardrail_launch(experiment_id)) FROM guardrail_experiment;
SELECT events(id, 0, 2999) FROM unnest('{scan,cursor,parts}'::text[]) AS id \g /dev/null
CALL guardrail_check();
SELECT events(id, 3000, 3999) FROM unnest('{scan,cursor,parts}'::text[]) AS id \g /dev/null
CALL guardrail_check();
SELECT count(*) > 0 AS sliced FROM guardrail_slice WHERE experiment_id = 'cursor';

CREATE TABLE counted AS
SELECT 'scan' AS experiment_id, variant, what, quantile, false AS of_units, percentile_disc(quantile) WITHIN GROUP (ORDER BY x) AS q, min(x), max(x)
  FROM ev, LATERAL (VALUES ('cut', cut), ('ms', ms), ('price', price), ('session', session), ('smooth', smooth)) AS v (what, x) JOIN kinds USING (what) WHERE experiment_id = 'scan' GROUP BY 2, 3, 4
UNION ALL
SELECT 'scan', variant, what, quantile, true, percentile_disc(quantile) WITHIN GROUP (ORDER BY x), min(x), max(x)
  FROM (SELECT variant, what, max(x) AS x FROM ev, LATERAL (VALUES ('cut', cut), ('ms', ms), ('price', price), ('session', session), ('smooth', smooth)) AS v (what, x) WHERE experiment_id = 'scan' GROUP BY user_id, 1, 2) AS unit JOIN kinds USING (what) GROUP BY 2, 3, 4;
ANALYZE counted;
-- exactly the values that occurred, of smooth data to 0.1 %; by each path, recorded and live
CREATE TABLE told AS
SELECT 'recorded' AS by, experiment_id, metric, control_value, treatment_value, effect, effect_lower, effect_upper, status FROM guardrail_result WHERE metric <> 'goal'
UNION ALL SELECT 'live', id, metric, control_value, treatment_value, effect, effect_lower, effect_upper, status FROM unnest('{scan,cursor}'::text[]) AS id, guardrail_evaluate(id) WHERE metric <> 'goal'
UNION ALL SELECT 'replayed', v.experiment_id, metric, control_value, treatment_value, effect, effect_lower, effect_upper, e.status
  FROM guardrail_result AS r JOIN (SELECT *, (SELECT identical FROM guardrail_replay(check_id)) AS identical FROM guardrail_verdict OFFSET 0) AS v USING (experiment_id, variant, check_id), LATERAL (SELECT r.status) AS e WHERE metric <> 'goal' AND v.identical;
WITH told AS MATERIALIZED (TABLE told)
SELECT by, told.experiment_id, count(*) AS quantiles, count(*) FILTER (WHERE c.what <> 'smooth' AND (control_value, treatment_value) IS DISTINCT FROM (c.q, t.q)) AS not_exact,
       count(*) FILTER (WHERE abs(control_value / c.q - 1) > 0.001 OR abs(treatment_value / t.q - 1) > 0.001) AS beyond,
       count(*) FILTER (WHERE control_value NOT BETWEEN c.min AND c.max OR treatment_value NOT BETWEEN t.min AND t.max) AS out_of_range,
       count(*) FILTER (WHERE c.q = t.q AND (effect <> 0 OR effect_lower > 0 OR effect_upper < 0 OR status IN ('BREACHED', 'WON'))) AS not_equal
  FROM told JOIN counted AS c ON c.variant = 'control' AND metric = c.what || ' ' || c.quantile || CASE WHEN c.of_units THEN ' of units' ELSE '' END
            JOIN counted AS t ON t.variant = 'treatment' AND (t.what, t.quantile, t.of_units) = (c.what, c.quantile, c.of_units)
 GROUP BY 1, 2 ORDER BY 1, 2;
SELECT metric, status, control_value, treatment_value, effect FROM guardrail_result WHERE experiment_id = 'scan' AND metric IN ('cut 0.95', 'session 0.5', 'session 0.25') ORDER BY 1;
-- segments say what an experiment of their own would
SELECT count(*) AS segments, count(*) FILTER (WHERE (s.control_value, s.treatment_value) IS DISTINCT FROM (q.c, q.t)) AS not_exact
  FROM guardrail_segment_result AS s, LATERAL (SELECT percentile_disc(0.95) WITHIN GROUP (ORDER BY cut) FILTER (WHERE variant = 'control') AS c, percentile_disc(0.95) WITHIN GROUP (ORDER BY cut) FILTER (WHERE variant = 'treatment') AS t
    FROM ev WHERE experiment_id = 'parts' AND device = s.value) AS q WHERE experiment_id = 'parts' AND metric = 'cut 0.95';

-- ---- clicks per view, A/A: 100 tests of 1000 users, one in a thousand a bot of 20,000 views; and Pareto views
CREATE TABLE visit AS
SELECT 'aa' || e AS experiment_id, u AS user_id, CASE WHEN u(10, e, u) < 0.5 THEN 'control' ELSE 'treatment' END AS variant, CASE WHEN bot THEN 20000 ELSE v END AS views, CASE WHEN bot THEN 0 ELSE round(v * (0.2 + 0.2 * r)) END AS clicks, p AS pareto, round(p * (0.1 + 0.4 * r)) AS pareto_clicks
  FROM generate_series(1, 100) AS e, generate_series(1, 1000) AS u, LATERAL (SELECT u(11, e, u) < 0.001 AS bot, 1 + floor(6 * u(12, e, u)) AS v, u(13, e, u) AS r, least(100000, floor(3 / u(14, e, u) ^ (1 / 1.2))) AS p) AS x;
CREATE INDEX ON visit (experiment_id);
INSERT INTO guardrail_experiment (experiment_id, events, planned_units, monitoring, correction) SELECT 'aa' || e, 'visit', 1000, 'fixed', 'none' FROM generate_series(1, 100) AS e;
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, denominator, worse, limit_kind, limit_value)
SELECT 'aa' || e, r.* FROM generate_series(1, 100) AS e, (VALUES ('goal', 'primary', 'mean', 'clicks', NULL, 'lower', 'difference', 0),
  ('ctr lower', 'guardrail', 'ratio', 'clicks', 'views', 'lower', 'significance', NULL), ('ctr higher', 'guardrail', 'ratio', 'clicks', 'views', 'higher', 'significance', NULL),
  ('pareto lower', 'guardrail', 'ratio', 'pareto_clicks', 'pareto', 'lower', 'significance', NULL), ('pareto higher', 'guardrail', 'ratio', 'pareto_clicks', 'pareto', 'higher', 'significance', NULL)) AS r;
CREATE TABLE said AS SELECT r.* FROM generate_series(1, 100) AS e, guardrail_evaluate('aa' || e) AS r WHERE metric <> 'goal';
-- level 0.10: at most 10 + 3 sqrt(100 * 0.1 * 0.9) = 19 of 100
SELECT metric, count(*) AS tests, count(*) FILTER (WHERE status = 'BREACHED') <= 19 AS nominal FROM said GROUP BY 1 ORDER BY 1;
-- wherever there is a bot nothing is SAFE, and nearly always the reason says why
SELECT count(*) FILTER (WHERE status = 'SAFE') AS safe, count(*) FILTER (WHERE status = 'UNMEASURED' AND reason ~ 'few units carry the metric, and one unit accounts for [0-9]+ % .*cap_quantile') > 0.9 * count(*) AS told
  FROM said JOIN (SELECT experiment_id FROM visit GROUP BY 1 HAVING count(*) FILTER (WHERE views = 20000) = 1) AS b USING (experiment_id) WHERE metric LIKE 'ctr%';
DROP SCHEMA ties_test CASCADE;
DROP EXTENSION guardrail;
