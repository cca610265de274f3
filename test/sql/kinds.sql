-- Every kind of metric: the numbers of guardrail_evaluate.
--
-- Expected numbers: for the small data set scipy 1.10 (by test/truth/evidence.py, with Student's t at each limit's degrees of
-- freedom, bounds by root finding); for the large one a second computation in plain SQL: avg,
-- var_samp, covar_samp over units, percentile_cont over events; p-values and bounds from scipy again.
SET client_min_messages = warning;
CREATE EXTENSION guardrail;
-- these tests are of the fixed design, whatever else is planned
ALTER TABLE guardrail_experiment ALTER monitoring SET DEFAULT 'fixed';
CREATE SCHEMA kinds_test;
SET search_path = kinds_test, public;

CREATE FUNCTION near(a float8, b float8, tolerance float8 DEFAULT 1e-9) RETURNS boolean LANGUAGE sql IMMUTABLE
  RETURN CASE WHEN a IS NULL OR b IS NULL THEN a IS NULL AND b IS NULL WHEN b IN ('Infinity', '-Infinity') THEN a = b ELSE abs(a - b) <= tolerance * abs(b) + 1e-12 END;
-- uniform in (0,1), and standard normal, by hash of (what for, who, which event)
CREATE FUNCTION u(purpose int, a bigint, b bigint DEFAULT 0) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN (((hashint8extended(a * 100000 + b, purpose) >> 11) & 9007199254740991) + 0.5) / 9007199254740992;
CREATE FUNCTION z(purpose int, a bigint, b bigint DEFAULT 0) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN sqrt(-2 * ln(u(purpose, a, b))) * cos(2 * pi() * u(purpose + 1000, a, b));

-- ---- a small data set, and scipy

CREATE TABLE small (user_id serial, variant text, x float8, y float8);
INSERT INTO small (variant, x, y) SELECT 'treatment', * FROM unnest('{12.5,3,0,24.25,7,7,18.5,0,0,5.75,21,9}'::float8[], '{2,1,1,5,2,1,3,1,0,1,7,2}'::float8[]);
INSERT INTO small (variant, x, y) SELECT 'control', * FROM unnest('{10,4.5,0,0,21,6.25,8,0,3,2.5,20,11,0,1.5,7}'::float8[], '{2,1,1,1,3,1,2,1,1,1,4,2,1,1,2}'::float8[]);
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, min_units, planned_units, correction) VALUES ('small', 'small', NULL, 2, 27, 'none');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, denominator, worse, limit_kind, limit_value) VALUES
  ('small', 'absolute', 'guardrail', 'mean', 'x', NULL, 'higher', 'absolute', 10), ('small', 'difference', 'guardrail', 'mean', 'x', NULL, 'higher', 'difference', 2.5),
  ('small', 'lift', 'guardrail', 'mean', 'x', NULL, 'higher', 'relative', 0.1), ('small', 'loss', 'guardrail', 'mean', 'x', NULL, 'lower', 'relative', 0.1),
  ('small', 'ratio', 'guardrail', 'ratio', 'x', 'y', 'higher', 'significance', NULL), ('small', 'goal', 'primary', 'mean', 'x', NULL, 'lower', NULL, NULL), ('small', 'share', 'secondary', 'proportion', 'x > 5', NULL, 'lower', NULL, NULL);
SELECT e.metric, near(effect, e_effect) AS effect, near(p_breach, e_breach, 1e-7) AND near(p_safe, e_safe, 1e-7) AS p, near(p_value, e_p, 1e-7) AS two_sided, near(effect_lower, e_lower, 1e-7) AND near(effect_upper, e_upper, 1e-7) AS bounds, status
  FROM guardrail_evaluate('small') e JOIN (VALUES
    ('absolute', 9.0, 0.6485125449964386, NULL, NULL, 5.643163002648856, 'Infinity'),
    ('difference', 2.6833333333333336, 0.47402865026031005, 0.5266771395301826, NULL, -1.2216424108034245, 6.716933615947621),
    ('lift', 0.42480211081794206, 0.2568028620068526, 0.7457776925850705, NULL, -0.1551836890374129, 1.5823821208442592),
    ('loss', 0.42480211081794206, 0.874401599953736, 0.1276172956130518, NULL, -0.1551836890374129, 1.5823821208442592),
    ('ratio', 0.20592948717948767, 0.4089440245172001, 0.6065084904912966, NULL, -0.9353238713214519, 1.3614870295445933),
    ('goal', 2.6833333333333336, NULL, NULL, 0.37459569320538977, -3.45671342486967, 9.06145376889883)) AS v(metric, e_effect, e_breach, e_safe, e_p, e_lower, e_upper) USING (metric) ORDER BY metric COLLATE "C";
SELECT near(control_value, 0.4666666666666667) AS control, near(treatment_value, 0.6666666666666666) AS treatment, near(p_value, 0.636621734009381, 1e-6) AS p, status FROM guardrail_evaluate('small') WHERE metric = 'share';

-- ---- a large one, and plain SQL

CREATE TABLE ev AS
SELECT 'e'::text AS experiment_id, who AS user_id, CASE WHEN u(1, who) < 0.4 THEN 'control' ELSE 'treatment' END AS variant,
       CASE WHEN u(2, who, n) < 0.1 THEN NULL ELSE z(3, who) * 5 + z(4, who, n) * 10 END AS x, CASE WHEN u(5, who, n) < 0.05 THEN NULL ELSE u(5, who, n) < 0.2 END AS flag,
       floor(4 * u(6, who, n))::int AS y, round((exp(z(7, who) + z(8, who, n)) * 100)::numeric, 1) AS ms
  FROM generate_series(1, 6000) who, generate_series(1, least(60, ceil(1.5 / u(9, who)))::int) n;
ANALYZE ev;
INSERT INTO guardrail_experiment (experiment_id, events, planned_units, correction, shares) VALUES ('e', 'ev', 6000, 'none', '{"control": 4, "treatment": 6}');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, denominator, filter, unit_aggregate, quantile, quantile_over, worse, limit_kind, limit_value)
SELECT 'e', metric, 'guardrail', kind, value, denominator, filter, unit_aggregate, quantile, over, 'higher', 'difference', 0.5 FROM (VALUES
  ('mean sum',    'mean', 'x', NULL, NULL, 'sum', NULL::float8, 'events'), ('mean count', 'mean', 'x', NULL, NULL, 'count', NULL, 'events'), ('mean max', 'mean', 'x', NULL, NULL, 'max', NULL, 'events'),
  ('mean min',    'mean', 'x', NULL, NULL, 'min', NULL, 'events'),         ('mean avg',   'mean', 'x', NULL, NULL, 'avg', NULL, 'events'),   ('mean filter', 'mean', 'x * 2', NULL, 'y > 1', 'sum', NULL, 'events'),
  ('avg filter',  'mean', 'x', NULL, 'flag', 'avg', NULL, 'events'),       ('mean numeric', 'mean', 'ms', NULL, NULL, 'sum', NULL, 'events'),
  ('share flag',  'proportion', 'flag', NULL, NULL, 'sum', NULL, 'events'), ('share value', 'proportion', 'x', NULL, NULL, 'sum', NULL, 'events'), ('share filter', 'proportion', 'flag', NULL, 'y = 0', 'sum', NULL, 'events'),
  ('ratio',       'ratio', 'x', NULL, NULL, 'sum', NULL, 'events'),        ('ratio y',    'ratio', 'x', 'y + 1', NULL, 'sum', NULL, 'events'), ('ratio filter', 'ratio', 'ms', 'y', 'y > 1 AND flag', 'sum', NULL, 'events'), ('ratio flag', 'ratio', 'flag', NULL, NULL, 'sum', NULL, 'events'),
  ('guarded',     'ratio', '1.0 / y', NULL, 'y > 0', 'sum', NULL, 'events'),
  ('p50',         'quantile', 'x', NULL, NULL, 'sum', 0.5, 'events'),      ('p95',        'quantile', 'ms', NULL, NULL, 'sum', 0.95, 'events'), ('p99 filter', 'quantile', 'ms', NULL, 'y > 1', 'sum', 0.99, 'events'),
  ('p90 of sums', 'quantile', 'x', NULL, NULL, 'sum', 0.9, 'units'),       ('p10 of avgs', 'quantile', 'ms', NULL, NULL, 'avg', 0.1, 'units'),  ('p75 of maxima', 'quantile', 'ms', NULL, 'y > 1', 'max', 0.75, 'units'), ('p50 of counts', 'quantile', 'x', NULL, NULL, 'count', 0.5, 'units')
) AS v(metric, kind, value, denominator, filter, unit_aggregate, quantile, over);

-- per unit, with NULL where the unit has no observation of the metric
CREATE VIEW units AS
SELECT variant, user_id, coalesce(sum(x), 0) AS "mean sum", count(x) AS "mean count", max(x) AS "mean max", min(x) AS "mean min", avg(x) AS "mean avg", coalesce(sum(2 * x) FILTER (WHERE y > 1), 0) AS "mean filter",
       avg(x) FILTER (WHERE flag) AS "avg filter", sum(ms) AS "mean numeric", coalesce(bool_or(flag), false)::int AS "share flag", (coalesce(sum(x), 0) > 0)::int AS "share value", coalesce(bool_or(flag) FILTER (WHERE y = 0), false)::int AS "share filter",
       avg(ms) AS avg_ms, max(ms) FILTER (WHERE y > 1) AS max_ms
  FROM ev GROUP BY variant, user_id;
CREATE VIEW pairs AS
SELECT variant, user_id, 'ratio' AS metric, coalesce(sum(x), 0) AS n, count(x)::float8 AS d FROM ev GROUP BY 1, 2
UNION ALL SELECT variant, user_id, 'ratio y', coalesce(sum(x), 0), sum(y + 1) FROM ev GROUP BY 1, 2
UNION ALL SELECT variant, user_id, 'ratio filter', coalesce(sum(ms) FILTER (WHERE y > 1 AND flag), 0), coalesce(sum(y) FILTER (WHERE y > 1 AND flag), 0) FROM ev GROUP BY 1, 2
UNION ALL SELECT variant, user_id, 'ratio flag', coalesce(sum(flag::int), 0), count(flag) FROM ev GROUP BY 1, 2
UNION ALL SELECT variant, user_id, 'guarded', coalesce(sum(1.0 / nullif(y, 0)), 0), count(nullif(y, 0)) FROM ev GROUP BY 1, 2;
CREATE TABLE expected AS
SELECT metric, variant, avg(value) AS value, var_samp(value) AS variance, count(value) AS n FROM units, jsonb_each_text(to_jsonb(units) - '{variant,user_id,avg_ms,max_ms}'::text[]) AS j(metric, text), LATERAL (SELECT text::float8 AS value) AS v GROUP BY 1, 2
UNION ALL
SELECT metric, variant, r, s.vn - 2 * r * s.c + r * r * s.vd AS variance, count FROM (SELECT metric, variant, sum(n) / sum(d) AS ratio, var_samp(n) / avg(d) ^ 2 AS vn, covar_samp(n, d) / avg(d) ^ 2 AS c, var_samp(d) / avg(d) ^ 2 AS vd, count(*) FROM pairs GROUP BY 1, 2) AS s, LATERAL (SELECT s.ratio AS r) AS q;
-- p-values and bounds: test/truth/evidence.py over these units, with scipy's t and brentq; one unit has 0.63 of the variance of "ratio filter"
SELECT e.metric, near(control_value, c.value) AND near(treatment_value, t.value) AS vals, near(effect, t.value - c.value) AS effect, near(p_breach, e_breach, 1e-6) AND near(p_safe, e_safe, 1e-6) AS p,
       near(effect_lower, e_lower, 1e-6) AND near(effect_upper, e_upper, 1e-6) AS bounds, near(control_se, sqrt(c.variance / c.n)) AND near(treatment_se, sqrt(t.variance / t.n)) AS se, units_control = c.n AND units_treatment = t.n AS units
  FROM guardrail_evaluate('e') e JOIN expected c ON c.metric = e.metric AND c.variant = 'control' JOIN expected t ON t.metric = e.metric AND t.variant = 'treatment' JOIN (VALUES
    ('avg filter', 0.688142405667469, 0.312000224348242, -0.176740021207072, 0.802534482978468),
    ('guarded', 1, 2.26304324160481e-270, -0.00738806111230879, -4.50037854602075e-05),
    ('mean avg', 0.980892901589344, 0.0193698254158626, -0.172121614483476, 0.342312170696926),
    ('mean count', 0.974576505175172, 0.0277331895814015, -0.360255254686562, 0.32887880335412),
    ('mean filter', 0.666854053081533, 0.333178653233358, -2.64435788771348, 2.06173879627327),
    ('mean max', 0.96875902539839, 0.0316432149945609, -0.35326915688122, 0.343330643034422),
    ('mean min', 0.926519414852509, 0.0745991991447658, -0.23524772979584, 0.456583899963482),
    ('mean numeric', 0.0835179692596215, 0.930502509445188, 14.5721161298291, 382.912862187139),
    ('mean sum', 0.842857768552895, 0.159402156596872, -3.34045472257911, 0.979489072047276),
    ('ratio', 0.996706730518959, 0.00355319803942737, -0.496493086006923, 0.145682171752647),
    ('ratio filter', 0.0510961382753342, NULL, 5.56414469936741, 'Infinity'),
    ('ratio flag', 1, 1.35264900556383e-271, -0.00680199402532779, 0.00177020931690405),
    ('ratio y', 0.999999999818562, 3.2960611695564e-10, -0.178984815263369, 0.052484296963502),
    ('share filter', 1, 4.60535300958195e-308, -0.00120774643936513, 0.0258777153540999),
    ('share flag', 1, 4.60535300958195e-308, -0.0105443161662615, 0.0233424719556357),
    ('share value', 1, 4.60535300958195e-308, -0.020321998906641, 0.013593190137707)) AS x(metric, e_breach, e_safe, e_lower, e_upper) ON x.metric = e.metric
 ORDER BY e.metric COLLATE "C";

-- quantiles: percentile_cont, or one of the values next to it, within a bin of relative width 2^-10
CREATE VIEW values_of AS
SELECT 'p50' AS metric, variant, user_id, x AS value FROM ev UNION ALL SELECT 'p95', variant, user_id, ms FROM ev UNION ALL SELECT 'p99 filter', variant, user_id, ms FROM ev WHERE y > 1
UNION ALL SELECT 'p90 of sums', variant, user_id, "mean sum" FROM units UNION ALL SELECT 'p10 of avgs', variant, user_id, avg_ms FROM units UNION ALL SELECT 'p75 of maxima', variant, user_id, max_ms FROM units
UNION ALL SELECT 'p50 of counts', variant, user_id, "mean count" FROM units;
SELECT e.metric, control_value BETWEEN c.lo - abs(c.lo) * 2 ^ -10 AND c.hi + abs(c.hi) * 2 ^ -10 AS control, treatment_value BETWEEN t.lo - abs(t.lo) * 2 ^ -10 AND t.hi + abs(t.hi) * 2 ^ -10 AS treatment, near(effect, treatment_value - control_value) AS effect, effect_lower <= effect AND effect <= effect_upper AS bounds,
       CASE WHEN quantile_over = 'events' THEN events_control = c.n AND events_treatment = t.n ELSE units_control = c.n AND units_treatment = t.n END AS counts
  FROM guardrail_evaluate('e') e JOIN guardrail_rule r USING (experiment_id, metric),
       LATERAL (SELECT a[1] AS lo, a[2] AS hi, n FROM (SELECT percentile_disc(ARRAY[r.quantile - 1.0 / n, r.quantile + 1.0 / n]) WITHIN GROUP (ORDER BY v.value) AS a, n
                  FROM values_of v, (SELECT count(value) AS n FROM values_of v WHERE v.metric = e.metric AND v.variant = 'control') AS k WHERE v.metric = e.metric AND v.variant = 'control' GROUP BY n) AS s) AS c,
       LATERAL (SELECT a[1] AS lo, a[2] AS hi, n FROM (SELECT percentile_disc(ARRAY[r.quantile - 1.0 / n, r.quantile + 1.0 / n]) WITHIN GROUP (ORDER BY v.value) AS a, n
                  FROM values_of v, (SELECT count(value) AS n FROM values_of v WHERE v.metric = e.metric AND v.variant = 'treatment') AS k WHERE v.metric = e.metric AND v.variant = 'treatment' GROUP BY n) AS s) AS t
 WHERE e.kind = 'quantile' ORDER BY e.metric COLLATE "C";
-- their bounds, within 5 % of Woodruff's by percentile_cont: the share of a batch's values below the quantile, its error over
-- batches, and the values at the quantile plus and minus that error
WITH q AS (SELECT v.metric, variant, r.quantile AS p, percentile_cont(r.quantile) WITHIN GROUP (ORDER BY v.value) AS q FROM values_of v JOIN guardrail_rule r USING (metric) GROUP BY 1, 2, 3),
batches AS (SELECT v.metric, variant, p, _guardrail_batch(user_id) AS b, count(*) FILTER (WHERE value <= q.q) AS below, count(value) AS total FROM values_of v JOIN q USING (metric, variant) WHERE value IS NOT NULL GROUP BY 1, 2, 3, 4),
shares AS (SELECT metric, variant, p, sqrt(sum((below - f * total) ^ 2) * count(*) / (count(*) - 1)) / sum(total) AS se, count(*) AS k
             FROM batches JOIN (SELECT metric, variant, p, sum(below) / sum(total) AS f FROM batches GROUP BY 1, 2, 3) AS whole USING (metric, variant, p) GROUP BY 1, 2, 3),
-- t quantile of 0.90 at k - 1 degrees of freedom, from the bound of a mean whose standard error is 1
steps AS (SELECT s.*, (SELECT upper FROM guardrail_welch(0, k, k, 0, 0, k, 0, 'less', 0.9)) AS c FROM shares s),
errors AS (SELECT s.metric, s.variant, k, (percentile_cont(s.p + c * se) WITHIN GROUP (ORDER BY value) - percentile_cont(s.p - c * se) WITHIN GROUP (ORDER BY value)) / (2 * c) AS se
             FROM steps s JOIN values_of v USING (metric, variant) GROUP BY s.metric, s.variant, s.p, s.se, s.c, s.k)
SELECT e.metric, c.k > 120 AND t.k > 120 AS batches, near(effect_upper - effect_lower, w.upper - g.lower, 0.05) AS width
  FROM guardrail_evaluate('e') e JOIN errors c ON c.metric = e.metric AND c.variant = 'control' JOIN errors t ON t.metric = e.metric AND t.variant = 'treatment',
       guardrail_welch(0, t.se ^ 2 * t.k, t.k, 0, c.se ^ 2 * c.k, c.k, 0, 'less', 0.9) w, guardrail_welch(0, t.se ^ 2 * t.k, t.k, 0, c.se ^ 2 * c.k, c.k, 0, 'greater', 0.9) g
 WHERE e.metric NOT IN ('p50 of counts') ORDER BY e.metric COLLATE "C";

SET client_min_messages = warning;
DROP SCHEMA kinds_test CASCADE;
DROP EXTENSION guardrail;
