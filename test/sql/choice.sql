-- Several metrics and several arms: guardrail_cannibalization, guardrail_choose, guardrail_optimize, column parameter, and the
-- flag of recorded verdicts.
--
-- Expected: exchange rates and joint regions by their equations in plain SQL, with multipliers from guardrail_welch,
-- guardrail_sequential and guardrail_spending_bounds, which have tests of their own; the choice, frontier and shadow prices in
-- plain SQL over guardrail_evaluate; the best settings from numpy, over the arms' means and variances.
SET client_min_messages = warning;
CREATE EXTENSION guardrail;
CREATE SCHEMA choice_test;
SET search_path = choice_test, public;
CREATE FUNCTION u(purpose int, a bigint) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN (((hashint8extended(a, purpose) >> 11) & 9007199254740991) + 0.5) / 9007199254740992;
CREATE FUNCTION z(purpose int, a bigint) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN sqrt(-2 * ln(u(purpose, a))) * cos(2 * pi() * u(purpose + 1000, a));

-- arm k of a..d or of weights 0.25..1: clicks rise and fall again, returns and load rise
CREATE TABLE ev AS
SELECT e AS experiment_id, who AS user_id, arm AS variant, 10 + 8 * s - 6 * s * s + 3 * z(1, who) AS clicks,
       u(2, who) < 0.1 + 0.12 * s * s + 0.002 * z(1, who) AS returned, 200 + 60 * s + 5 * z(1, who) + 20 * z(3, who) AS load
FROM generate_series(1, 20000) who, LATERAL (SELECT who % 5 AS k) q, LATERAL (SELECT (ARRAY['control', 'a', 'b', 'c', 'd'])[1 + k] AS arm, (ARRAY[0, 0.25, 0.5, 0.75, 1])[1 + k] AS s) p,
     unnest('{once,any,looks}'::text[]) e;
INSERT INTO guardrail_experiment (experiment_id, events, monitoring, planned_units, parameter) VALUES
  ('once', 'ev', 'fixed', 20000, '{"control": 0, "a": 0.25, "b": 0.5, "c": 0.75, "d": 1}'),
  ('any', 'ev', 'always_valid', NULL, '{"control": 0, "a": 0.25, "b": 0.5, "c": 0.75, "d": 1}'),
  ('looks', 'ev', 'group_sequential', 40000, '{"a": 0.25, "b": 0.5, "c": 0.75, "d": 1}');
INSERT INTO guardrail_rule (experiment_id, metric, role, severity, kind, value, quantile, worse, limit_kind, limit_value, evidence)
SELECT experiment_id, r.* FROM guardrail_experiment, (VALUES
  ('clicks',   'primary',   'block', 'mean',       'clicks',   NULL::float8, 'lower',  'difference', 0::float8, 'breach'),
  ('returned', 'guardrail', 'block', 'proportion', 'returned', NULL,         'higher', 'difference', 0.06,      'safe'),
  ('load',     'guardrail', 'block', 'ratio',      'load',     NULL,         'higher', 'relative',   0.25,      'safe'),
  ('p90',      'guardrail', 'warn',  'quantile',   'load',     0.9,          'higher', 'difference', 100,       'breach')) AS r;

-- ---- what is paid for what --------------------------------------------------
\a
SELECT variant, won, lost, correlation IS NOT NULL AS joint, region, round(exchange_rate::numeric, 4) AS rate, reason FROM guardrail_cannibalization('once') ORDER BY 1, 2, 3;
\a
CREATE TABLE pair AS SELECT c.*, g.covariance FROM guardrail_experiment x, guardrail_cannibalization(x.experiment_id) c
  LEFT JOIN LATERAL (SELECT * FROM guardrail_covariance(x.experiment_id) v WHERE v.variant = c.variant AND ARRAY[v.metric, v.other] <@ ARRAY[c.won, c.lost]) g ON true;
-- the multiplier that each design has at alpha, two-sided, and the radius of the joint region
CREATE TABLE arm AS
SELECT experiment_id, variant, avg(clicks) AS m, var_samp(clicks) AS v, avg(returned::int) AS rm, var_samp(returned::int) AS rv, avg(load) AS lm, var_samp(load) AS lv, count(*) AS n FROM ev GROUP BY 1, 2;
CREATE VIEW designed AS
SELECT p.*, CASE experiment_id
    WHEN 'once' THEN (SELECT (least_w.upper - least_w.estimate) / least_w.se FROM arm t, arm c, LATERAL (
        SELECT * FROM guardrail_welch(t.m, t.v, t.n, c.m, c.v, c.n) UNION ALL SELECT * FROM guardrail_welch(t.rm, t.rv, t.n, c.rm, c.rv, c.n)) least_w
        WHERE t.experiment_id = 'once' AND c.experiment_id = 'once' AND c.variant = 'control' AND t.variant = p.variant ORDER BY least_w.df LIMIT 1)
    WHEN 'any' THEN (SELECT s.upper FROM guardrail_sequential(0, 1, 8000, 5000, alpha, 2) s)
    ELSE (guardrail_spending_bounds('{0.5}', alpha))[1] END AS crit,
  CASE experiment_id WHEN 'once' THEN sqrt(-2 * ln(alpha)) WHEN 'looks' THEN (guardrail_spending_bounds('{0.5}', alpha / 2))[1]
    -- the mixture is tuned to 5000 units: rho = 5000 / (-2 ln(alpha) + ln(1 - 2 ln(alpha)))
    ELSE (SELECT sqrt(2 * (8000 + rho) / 8000 * (ln(1 + 8000 / rho) - ln(alpha))) FROM (SELECT 5000 / (-2 * ln(alpha) + ln(1 - 2 * ln(alpha))) AS rho) q) END AS region_radius
FROM pair p;
SELECT experiment_id, region, count(*), bool_and(abs(radius - region_radius) < 1e-6 * radius) AS radius,
       bool_and(abs(won_upper - won_effect - radius * won_se) < 1e-12 AND abs(lost_effect - lost_lower - radius * lost_se) < 1e-12) AS box,
       bool_and(abs(exchange_rate - lost_effect / won_effect) < 1e-12 * abs(exchange_rate)) AS rate,
       bool_and((SELECT bool_and(abs(abs(lost_effect - r * won_effect) / sqrt(lost_se ^ 2 - 2 * r * covariance + r * r * won_se ^ 2) / crit - 1) < CASE WHEN lost = 'load' AND experiment_id = 'once' THEN 1e-4 ELSE 1e-6 END)
                 FROM unnest(ARRAY[exchange_lower, exchange_upper]) r)) AS fieller
FROM designed WHERE covariance IS NOT NULL GROUP BY 1, 2 ORDER BY 1;
SELECT experiment_id, count(*), bool_and(correlation IS NULL AND region IS NULL AND exchange_lower IS NULL AND won_lower IS NULL) AS nothing_invented, min(substring(reason FROM 'a quantile.*')) FROM pair WHERE covariance IS NULL GROUP BY 1 ORDER BY 1;

-- ---- the choice of an arm -----------------------------------------------------
SELECT DISTINCT variant, chosen, feasible, primary_status, reason FROM guardrail_choose('once') WHERE shadow_price IS NULL ORDER BY 1;
SELECT variant, guardrail, guardrail_status, frontier, round(shadow_price::numeric, 3) AS price, shadow_lower < shadow_price AND shadow_price < shadow_upper AS bounded FROM guardrail_choose('once') ORDER BY 2, 1;
CREATE VIEW chosen AS SELECT c.* FROM guardrail_experiment x, guardrail_choose(x.experiment_id) c;
CREATE TABLE choice AS SELECT * FROM chosen;
CREATE TABLE result AS SELECT r.* FROM guardrail_experiment x, guardrail_evaluate(x.experiment_id) r;
-- the arm: the largest primary of those that won and whose guardrails, warnings aside, are all SAFE
SELECT experiment_id, (SELECT min(variant) FROM choice c WHERE c.experiment_id = x.experiment_id AND chosen) AS chosen, by_hand.variant AS by_hand
FROM guardrail_experiment x LEFT JOIN LATERAL (SELECT variant FROM result r WHERE r.experiment_id = x.experiment_id GROUP BY variant
  HAVING bool_and(CASE WHEN role = 'primary' THEN status = 'WON' WHEN severity <> 'warn' THEN status = 'SAFE' ELSE true END)
  ORDER BY max(effect) FILTER (WHERE role = 'primary') DESC LIMIT 1) by_hand ON true ORDER BY 1;
-- the frontier, with the control at (0, 0)
WITH point AS (SELECT g.experiment_id, g.variant, g.metric, p.effect AS gain, g.effect AS harm FROM result g JOIN result p USING (experiment_id, variant) WHERE p.role = 'primary' AND g.role = 'guardrail'
  UNION ALL SELECT DISTINCT experiment_id, 'control', metric, 0::float8, 0::float8 FROM result WHERE role = 'guardrail')
SELECT count(*), bool_and(c.frontier = NOT EXISTS (SELECT FROM point o WHERE o.experiment_id = p.experiment_id AND o.metric = p.metric AND o.gain >= p.gain AND o.harm <= p.harm AND (o.gain > p.gain OR o.harm < p.harm))) AS agree
FROM point p JOIN choice c ON c.experiment_id = p.experiment_id AND c.variant = p.variant AND c.guardrail = p.metric;
-- all pairs of five arms at alpha/10: the bounds of the primary
SELECT bool_and(abs(c.primary_lower - w.lower) < 1e-9 AND abs(c.primary_upper - w.upper) < 1e-9) AS effects FROM choice c JOIN arm t USING (experiment_id, variant) JOIN arm k ON k.experiment_id = c.experiment_id AND k.variant = 'control',
  guardrail_welch(t.m, t.v, t.n, k.m, k.v, k.n, level => 0.995) w WHERE c.experiment_id = 'once' AND c.variant <> 'control';
SELECT bool_and(abs(c.difference - w.estimate) < 1e-9 AND abs(c.difference_lower - w.lower) < 1e-9 AND abs(c.difference_upper - w.upper) < 1e-9) AS differences, count(*)
FROM choice c JOIN choice best ON best.experiment_id = c.experiment_id AND best.chosen AND best.guardrail = c.guardrail JOIN arm t ON t.experiment_id = c.experiment_id AND t.variant = c.variant JOIN arm k ON k.experiment_id = c.experiment_id AND k.variant = best.variant,
  guardrail_welch(t.m, t.v, t.n, k.m, k.v, k.n, level => 0.995) w WHERE c.experiment_id = 'once' AND NOT c.chosen;
-- a relative primary: Fieller's set of (t1 - t2)/c satisfies its equation at both ends
UPDATE guardrail_rule SET limit_kind = 'relative' WHERE metric = 'clicks' AND experiment_id = 'any';
SELECT count(*), bool_and((SELECT bool_and(abs(abs(t.m - b.m - r * k.m) / sqrt(t.v / t.n + b.v / b.n + r * r * k.v / k.n) / s.upper - 1) < 1e-6) FROM unnest(ARRAY[c.difference_lower, c.difference_upper]) r)) AS fieller
FROM guardrail_choose('any') c JOIN guardrail_choose('any') best ON best.chosen AND best.guardrail = c.guardrail JOIN arm t ON t.experiment_id = 'any' AND t.variant = c.variant JOIN arm b ON b.experiment_id = 'any' AND b.variant = best.variant
  JOIN arm k ON k.experiment_id = 'any' AND k.variant = 'control', guardrail_sequential(0, 1, 8000, 5000, 0.005, 2) s WHERE NOT c.chosen AND c.variant <> 'control';
UPDATE guardrail_rule SET limit_kind = 'difference' WHERE metric = 'clicks' AND experiment_id = 'any';

-- ---- the best setting ------------------------------------------------------------
SELECT experiment_id, o.status, round(setting::numeric, 3) AS setting, round(primary_value::numeric, 3) AS clicks, round(primary_lower::numeric, 3) AS lower, round(primary_upper::numeric, 3) AS upper,
       round(setting_lower::numeric, 2) AS from, round(setting_upper::numeric, 2) AS to, guardrail, round(fit_p::numeric, 4) AS fit_p, (SELECT array_agg(round(n::numeric, 2)) FROM unnest(next_settings) n) AS next
FROM guardrail_experiment x, LATERAL (SELECT status, setting, primary_value, primary_lower, primary_upper, setting_lower, setting_upper, guardrail, fit_p, next_settings FROM guardrail_optimize(x.experiment_id)) o ORDER BY 1;
SELECT reason FROM guardrail_optimize('once');

-- ---- what is refused, and what is said instead of a setting -----------------------
\set VERBOSITY default
UPDATE guardrail_experiment SET parameter = '[0, 1]' WHERE experiment_id = 'once';
UPDATE guardrail_experiment SET parameter = '{"a": "much"}' WHERE experiment_id = 'once';
UPDATE guardrail_experiment SET parameter = '{"a": null}' WHERE experiment_id = 'once';
UPDATE guardrail_experiment SET parameter = '{"a": 1e400}' WHERE experiment_id = 'once';
UPDATE guardrail_experiment SET parameter = '{}' WHERE experiment_id = 'once';
UPDATE guardrail_experiment SET shares = '{"control": 1, "a": 1}', parameter = '{"a": 1, "b": 2}' WHERE experiment_id = 'once';
UPDATE guardrail_experiment SET parameter = '{"control": 0, "a": 0.25, "b": 0.5, "nobody": 3}' WHERE experiment_id = 'once';
SELECT status, reason ~ 'no unit of variant "nobody"' AS says_so FROM guardrail_optimize('once');
UPDATE guardrail_experiment SET parameter = '{"a": 1, "b": 2, "nobody": 3}' WHERE experiment_id = 'once';
SELECT * FROM guardrail_optimize('once');
UPDATE guardrail_experiment SET parameter = NULL WHERE experiment_id = 'once';
SELECT * FROM guardrail_optimize('once');
SELECT * FROM guardrail_optimize(NULL);
SELECT * FROM guardrail_choose('nothing');
SELECT * FROM guardrail_cannibalization('nothing');
-- three different settings are needed
UPDATE guardrail_experiment SET parameter = '{"a": 1, "b": 2, "c": 1}' WHERE experiment_id = 'once';
SELECT status, setting, next_settings, reason FROM guardrail_optimize('once');
-- with three nothing says whether the response is a quadratic
UPDATE guardrail_experiment SET parameter = '{"control": 0, "b": 0.5, "d": 1}' WHERE experiment_id = 'once';
SELECT status, fit_p, reason ~ 'cannot be tested' AS says_so FROM guardrail_optimize('once');
-- the settings in another order: no quadratic
UPDATE guardrail_experiment SET parameter = '{"control": 0.5, "a": 0.25, "b": 0, "c": 1, "d": 0.75}' WHERE experiment_id = 'once';
SELECT status, setting, cardinality(next_settings) AS next, reason ~ 'is not quadratic' AS says_so FROM guardrail_optimize('once');
UPDATE guardrail_experiment SET parameter = '{"control": 0, "a": 0.25, "b": 0.5, "c": 0.75, "d": 1}' WHERE experiment_id = 'once';
-- a limit that nothing keeps to, and a primary that does not move
UPDATE guardrail_rule SET limit_kind = 'absolute', limit_value = 0.05 WHERE experiment_id = 'once' AND metric = 'returned';
SELECT status, setting, guardrail, reason FROM guardrail_optimize('once');
UPDATE guardrail_rule SET limit_kind = 'difference', limit_value = 0.06 WHERE experiment_id = 'once' AND metric = 'returned';
UPDATE guardrail_rule SET value = 'user_id % 7' WHERE experiment_id = 'once' AND metric = 'clicks';
SELECT status, setting, primary_value, reason ~ 'cannot tell' AS says_so FROM guardrail_optimize('once');
UPDATE guardrail_rule SET value = 'clicks' WHERE experiment_id = 'once' AND metric = 'clicks';
-- before its end a fixed test proves nothing
UPDATE guardrail_experiment SET planned_units = 30000 WHERE experiment_id = 'once';
SELECT status, setting, reason FROM guardrail_optimize('once');
SELECT count(*) FROM guardrail_cannibalization('once');
SELECT variant, chosen, reason FROM guardrail_choose('once') WHERE guardrail = 'load' AND chosen;
-- too few units in an arm that is compared
UPDATE guardrail_experiment SET planned_units = 20000, min_units = 5000 WHERE experiment_id = 'once';
SELECT status, reason FROM guardrail_optimize('once');
UPDATE guardrail_experiment SET min_units = 100, shares = '{"control": 2, "a": 1, "b": 1, "c": 1, "d": 1}' WHERE experiment_id = 'once';
-- a test that is not valid chooses nothing
SELECT status, setting, reason ~ 'sample ratio mismatch' AS says_so FROM guardrail_optimize('once');
SELECT count(*) FROM guardrail_cannibalization('once');
SELECT bool_or(chosen) AS chosen, bool_or(feasible) AS feasible, bool_and(reason ~ 'sample ratio mismatch') AS says_so FROM guardrail_choose('once');
UPDATE guardrail_experiment SET shares = NULL WHERE experiment_id = 'once';

-- ---- recorded: the flag; the last look's bounds, until a unit comes ----------------
CREATE TABLE live AS SELECT * FROM guardrail_cannibalization('looks');
CREATE TABLE live_setting AS SELECT * FROM guardrail_optimize('looks');
SELECT count(guardrail_launch(experiment_id)) FROM guardrail_experiment;
CALL guardrail_check();
SELECT experiment_id, variant, cannibalization FROM guardrail_verdict ORDER BY 1, 2;
SELECT count(*), bool_and(v.cannibalization IS NOT NULL AND position(c.won || ' up' IN v.cannibalization) < position('; lost: ' IN v.cannibalization) AND position(c.lost || ' up' IN v.cannibalization) > position('; lost: ' IN v.cannibalization)) AS named
FROM guardrail_verdict v, guardrail_cannibalization(v.experiment_id) c WHERE c.variant = v.variant;
SELECT count(*), bool_and(identical) FROM (SELECT DISTINCT check_id FROM guardrail_check_log) c, guardrail_replay(c.check_id);
-- a quantile's error is that of the multiplier in force, which a look has and what comes after it has not
SELECT count(*) FROM (SELECT * FROM live WHERE lost <> 'p90' INTERSECT SELECT * FROM guardrail_cannibalization('looks')) same;
TABLE live_setting EXCEPT SELECT * FROM guardrail_optimize('looks');
INSERT INTO ev SELECT 'looks', who, (ARRAY['control', 'a', 'b', 'c', 'd'])[1 + who % 5], 10, false, 200 FROM generate_series(30001, 30010) who;
SELECT DISTINCT region, exchange_lower, reason ~ 'between two looks' OR reason ~ 'quantile' AS says_so FROM guardrail_cannibalization('looks');
SELECT status, setting, reason FROM guardrail_optimize('looks');
SELECT count(*), bool_and(primary_lower = '-Infinity' AND primary_upper = 'Infinity') AS unbounded, string_agg(DISTINCT variant, ',') FILTER (WHERE chosen) AS chosen FROM guardrail_choose('looks') WHERE variant <> 'control';
-- the settings are part of the plan
UPDATE guardrail_experiment SET parameter = NULL WHERE experiment_id = 'any';
SELECT plan::jsonb -> 'experiment' -> 'parameter' ->> 'b' AS planned, (SELECT bool_and(intact) FROM guardrail_verify('any')) AS intact FROM guardrail_plan WHERE experiment_id = 'any';
SELECT guardrail_amend('any', 'another scale', '{"experiment": {"parameter": {"control": 0, "a": 1, "b": 2, "c": 3, "d": 4}}}');
SELECT status, setting > 1 AS rescaled FROM guardrail_optimize('any');

-- who may not read the events reads nothing of them here
CREATE ROLE regress_guardrail_reader;
GRANT USAGE ON SCHEMA choice_test TO regress_guardrail_reader;
GRANT SELECT ON guardrail_experiment, guardrail_rule TO regress_guardrail_reader;
SET ROLE regress_guardrail_reader;
SELECT * FROM guardrail_covariance('once');
SELECT * FROM guardrail_cannibalization('once');
SELECT * FROM guardrail_choose('once');
SELECT * FROM guardrail_optimize('once');
RESET ROLE;
GRANT SELECT ON ev TO regress_guardrail_reader;
SET ROLE regress_guardrail_reader;
SELECT (SELECT count(*) FROM guardrail_covariance('once')) > 0 AS covariance, (SELECT count(*) FROM guardrail_cannibalization('once')) > 0 AS pairs, (SELECT count(*) FROM guardrail_choose('once')) AS choice, (SELECT status FROM guardrail_optimize('once'));
RESET ROLE;

-- ---- without guardrails, without units, with one arm --------------------------------
CREATE TABLE few (experiment_id text, user_id int, variant text, x float8);
INSERT INTO guardrail_experiment (experiment_id, events, monitoring, parameter) VALUES ('few', 'few', 'fixed', '{"control": 0, "a": 1, "b": 2}');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES ('few', 'x', 'primary', 'mean', 'x', 'lower', 'difference', 0);
SELECT * FROM guardrail_choose('few');
SELECT * FROM guardrail_cannibalization('few');
SELECT * FROM guardrail_covariance('few');
SELECT status, reason FROM guardrail_optimize('few');
INSERT INTO few SELECT 'few', n, (ARRAY['control', 'a'])[1 + n % 2], n % 10 + n % 2 FROM generate_series(1, 1000) n;
SELECT variant, chosen, guardrail, reason FROM guardrail_choose('few');
SELECT status, reason FROM guardrail_optimize('few');
DELETE FROM guardrail_rule WHERE experiment_id = 'few';
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES ('few', 'x', 'guardrail', 'mean', 'x', 'lower', 'difference', 0);
SELECT * FROM guardrail_choose('few');
SELECT * FROM guardrail_optimize('few');
DROP OWNED BY regress_guardrail_reader;
DROP ROLE regress_guardrail_reader;
SET client_min_messages = warning;
DROP SCHEMA choice_test CASCADE;
DROP EXTENSION guardrail CASCADE;
