-- The type guardrail_summary: input, output, aggregates, accessors, guardrail_compare.
--
-- Expected numbers: avg, var_samp, sum over numeric columns in plain SQL; for guardrail_compare scipy 1.10
-- (ttest_ind with equal_var = False, ttest_1samp, and t quantiles polished by Newton's method), Fieller's bounds by
-- root finding with scipy's t quantile at the margin's degrees of freedom, the ratio by numpy's cov.
SET client_min_messages = warning;
CREATE EXTENSION guardrail;
CREATE SCHEMA summary_test;
SET search_path = summary_test, public;

CREATE FUNCTION near(a float8, b float8, tolerance float8 DEFAULT 1e-9) RETURNS boolean LANGUAGE sql IMMUTABLE
  RETURN CASE WHEN b IN ('Infinity', '-Infinity') THEN a = b ELSE abs(a - b) <= tolerance * abs(b) + 1e-12 END;

-- uniform in (0,1), by hash
CREATE FUNCTION u(purpose int, a bigint) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN (((hashint8extended(a, purpose) >> 11) & 9007199254740991) + 0.5) / 9007199254740992;

-- ---- text form

SELECT guardrail_summarize(x) FROM (VALUES (1), (2), (3)) AS v(x);
SELECT guardrail_summarize(x, y) FROM (VALUES (1, 2), (2, 2), (3, 5)) AS v(x, y);
SELECT guardrail_summarize(x) FROM (VALUES (1.5), (NULL), ('NaN'), ('Infinity'), ('-Infinity')) AS v(x);
SELECT guardrail_summarize(x, y) FROM (VALUES (1.5, 1::float8), (2, NULL), (NULL, 'NaN'), (1, 'NaN'), ('Infinity', 1)) AS v(x, y);
SELECT guardrail_summarize(x) FROM (VALUES (NULL::float8)) AS v(x);
SELECT guardrail_summarize(x) IS NULL AS nothing FROM (SELECT 1.0 WHERE false) AS v(x);

-- what is written can be read, and says the same
CREATE TABLE kept (id int PRIMARY KEY, s guardrail_summary);
INSERT INTO kept SELECT k, guardrail_summarize((u(1, i) - 0.5) * 10.0 ^ (k * 10 - 150), u(2, i) * k)
  FROM generate_series(0, 30) k, generate_series(1, 17) i GROUP BY k;
INSERT INTO kept SELECT 100 + k, guardrail_summarize(exp(20 * u(3, i) - 10)) FROM generate_series(1, 20) k, generate_series(1, k) i GROUP BY k;
SELECT count(*) AS summaries, count(*) FILTER (WHERE s::text::guardrail_summary::text = s::text) AS text_survives,
       count(*) FILTER (WHERE _guardrail_summary_send(s::text::guardrail_summary) = _guardrail_summary_send(s)) AS bytes_survive
  FROM kept;

-- hostile text
CREATE FUNCTION refuses(input text, type text DEFAULT 'guardrail_summary') RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('SELECT %L::%s', input, type);
  RETURN 'accepted';
EXCEPTION WHEN invalid_text_representation THEN RETURN 'refused';
END $$;
SELECT input, refuses(input) FROM (VALUES
  ('v1 n=3 sum=6 low=0 products=2'), ('v1 n=0 sum=0 low=0 products=0'), ('v1 n=3 sum=6 low=0 products=2 skipped=4'),
  (''), (' '), ('v1'), ('v2 n=3 sum=6 low=0 products=2'), ('n=3 sum=6 low=0 products=2'),
  (' v1 n=3 sum=6 low=0 products=2'), ('v1 n=3 sum=6 low=0 products=2 '), ('v1  n=3 sum=6 low=0 products=2'),
  ('v1 n=-3 sum=6 low=0 products=2'), ('v1 n=99999999999999999999 sum=6 low=0 products=2'),
  ('v1 n=3.5 sum=6 low=0 products=2'), ('v1 n=0x3 sum=6 low=0 products=2'),
  ('v1 n=3 sum=NaN low=0 products=2'), ('v1 n=3 sum=inf low=0 products=2'), ('v1 n=3 sum=1e999 low=0 products=2'),
  ('v1 n=3 sum=6 low=7 products=2'), ('v1 n=3 sum=6 low=0 products=-2'), ('v1 n=3 sum=6 low=0 products='),
  ('v1 n=3 sum= low=0 products=2'), ('v1 n=3 sum=6,1 low=0 products=2'), ('v1 n=3 sum=6,1 low=0,0 products=2,9,2'),
  ('v1 n=3 sum=6,1 low=0,0 products=2,1,2'), ('v1 n=1 sum=6 low=0 products=2'), ('v1 n=0 sum=6 low=0 products=0'),
  ('v1 n=3 sum=6,1,1,1 low=0,0,0,0 products=2,1,2,1,2,1,2,1,2,1'), ('v1 n=3 sum=6 low=0 products=2 skipped=-1'),
  ('v1 n=3 sum=6 low=0 products=2 skipped=0'), ('v1 n=3 sum=6 low=0 products=2 skipped=1 skipped=1'),
  ('v1 n=3 sum=6 low=0 products=2 skipped=1x'), ('v1 n=3 sum=6 low=0 products=2 skipped=99999999999999999999'),
  (repeat('v1 n=3 ', 3)), ('v1 n=3 sum=6 low=0 products=2;DROP TABLE kept')) AS v(input);
SELECT 'nonsense'::guardrail_summary;
SELECT refuses(repeat('9', 100000)) AS long_text, refuses('v1 n=3 sum=' || repeat('1,', 50000) || '1 low=0 products=2') AS long_list;

-- ---- accessors

SELECT guardrail_units(s), guardrail_skipped(s), guardrail_mean(s), guardrail_variance(s)
  FROM (SELECT guardrail_summarize(x) AS s FROM (VALUES (2), (4), (9)) AS v(x)) AS q;
SELECT guardrail_units(s), guardrail_mean(s), guardrail_variance(s) FROM (SELECT guardrail_summarize(7) AS s) AS q;
SELECT guardrail_units(s), guardrail_mean(s), guardrail_variance(s) FROM (SELECT guardrail_summarize(NULL) AS s) AS q;
SELECT guardrail_ratio(guardrail_summarize(x, y)) FROM (VALUES (3, 2), (5, 2)) AS v(x, y);
SELECT guardrail_ratio(guardrail_summarize(x, y)) AS over_zero FROM (VALUES (3, 2), (5, -2)) AS v(x, y);
SELECT guardrail_ratio(guardrail_summarize(NULL, 1)) AS of_nothing, guardrail_ratio(guardrail_summarize(3, 2)) AS of_one_unit;
SELECT guardrail_ratio(guardrail_summarize(1));
SELECT guardrail_units(NULL), guardrail_mean(NULL), guardrail_variance(NULL), guardrail_ratio(NULL);

-- ---- numerically hard values

-- values near 1e15 with variance 1, up to the factor n/(n - 1)
SELECT near(guardrail_variance(guardrail_summarize(1e15 + (i % 2) * 2)), 1000.0 / 999, 1e-12) AS one,
       guardrail_mean(guardrail_summarize(1e15 + (i % 2) * 2)) = 1e15 + 1 AS mean
  FROM generate_series(1, 1000) i;
-- the same merged out of two hundred pieces
SELECT near(guardrail_variance(guardrail_rollup(s)), 1000.0 / 999, 1e-12) AS one, guardrail_mean(guardrail_rollup(s)) = 1e15 + 1 AS mean
  FROM (SELECT guardrail_summarize(1e15 + (i % 2) * 2) AS s FROM generate_series(1, 1000) i GROUP BY i % 200) AS q;
-- huge and tiny: what cannot be said as a number is none, never a wrong one
SELECT k, guardrail_units(s) AS units, guardrail_skipped(s) AS skipped, abs(guardrail_mean(s) - m) <= 1e-15 * m + '5e-324' AS mean, guardrail_variance(s) >= 0 AS variance,
       s::text::guardrail_summary::text = s::text AS text_survives
  FROM (SELECT k, guardrail_summarize(x) AS s
          FROM (VALUES (1, '1e308'::float8), (1, '1e308'), (2, '1e-307'), (2, '3e-307'), (3, '5e-324'), (3, '0'), (4, '1e150'), (4, '-1e150'), (5, '1e-150'), (5, '3e-150'),
                       (6, '1.7e308'), (6, '-1.7e308')) AS v(k, x)
         GROUP BY k) AS q
  JOIN (VALUES (1, '1e308'::float8), (2, '2e-307'), (3, '0'), (4, '0'), (5, '2e-150'), (6, '1.7e308')) AS e(k, m) USING (k) ORDER BY k;
-- integer sums are exact beyond 2^53: sum of 10^15 + i, i = 1 .. 1000, is 1000000000000500500
SELECT guardrail_mean(guardrail_summarize(1000000000000000 + i)) = 1000000000000500.5 AS exact FROM generate_series(1, 1000) i;

-- ---- merging is the same as all at once

CREATE TABLE units AS SELECT i AS id, i % 37 AS part, exp(3 * u(4, i)) AS x, 1 + floor(9 * u(5, i)) AS y FROM generate_series(1, 20000) i;
SELECT guardrail_units(r) = guardrail_units(a) AS units, near(guardrail_mean(r), guardrail_mean(a), 1e-14) AS mean,
       near(guardrail_variance(r), guardrail_variance(a), 1e-12) AS variance, near(guardrail_ratio(r), guardrail_ratio(a), 1e-14) AS ratio,
       near(guardrail_mean(a), m) AS mean_by_sql, near(guardrail_variance(a), v) AS variance_by_sql, near(guardrail_ratio(a), q) AS ratio_by_sql
  FROM (SELECT guardrail_rollup(s) AS r FROM (SELECT part, guardrail_summarize(x, y) AS s FROM units GROUP BY part) AS p) AS rolled,
       (SELECT guardrail_summarize(x, y) AS a, avg(x::numeric)::float8 AS m, var_samp(x::numeric)::float8 AS v, (sum(x::numeric) / sum(y::numeric))::float8 AS q FROM units) AS whole;
SELECT guardrail_rollup(s) AS one_alone FROM (VALUES (guardrail_summary 'v1 n=1 sum=1 low=0 products=0'), (NULL)) AS v(s);
SELECT guardrail_rollup(s) IS NULL AS none FROM (VALUES (NULL::guardrail_summary)) AS v(s);
SELECT guardrail_rollup(s) AS with_an_empty_one FROM (VALUES (guardrail_summary 'v1 n=0 sum=0 low=0 products=0 skipped=2'), ('v1 n=2 sum=6 low=0 products=2')) AS v(s);
SELECT guardrail_rollup(s) FROM (VALUES (guardrail_summary 'v1 n=1 sum=1 low=0 products=0'), ('v1 n=1 sum=1,1 low=0,0 products=0,0,0')) AS v(s);
-- counts do not wrap round
SELECT guardrail_rollup(s) FROM unnest(ARRAY['v1 n=9223372036854775807 sum=0 low=0 products=0', 'v1 n=1 sum=0 low=0 products=0']::guardrail_summary[]) AS s;
SELECT guardrail_rollup(s) FROM unnest(ARRAY['v1 n=0 sum=0 low=0 products=0 skipped=9223372036854775807', 'v1 n=0 sum=0 low=0 products=0 skipped=1']::guardrail_summary[]) AS s;
SELECT _guardrail_summary_add('v1 n=9223372036854775807 sum=0 low=0 products=0'::guardrail_summary, 1);
-- as an ordinary function the transition leaves its argument alone
SELECT s, _guardrail_summary_add(s, 5) AS added, s AS still FROM (SELECT 'v1 n=2 sum=6 low=0 products=2'::guardrail_summary AS s OFFSET 0) AS q;
SELECT _guardrail_summary_add('v1 n=2 sum=6 low=0 products=2'::guardrail_summary, 5, 6);

-- ---- in parallel, and partition by partition

SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET max_parallel_workers_per_gather = 2;
ALTER TABLE units SET (parallel_workers = 2);
ANALYZE units;
EXPLAIN (COSTS OFF) SELECT guardrail_summarize(x, y) FROM units;
CREATE TEMP TABLE results AS SELECT 'parallel' AS how, guardrail_summarize(x, y) AS s, guardrail_summarize(y) AS whole FROM units;
SET max_parallel_workers_per_gather = 0;
INSERT INTO results SELECT 'serial', guardrail_summarize(x, y), guardrail_summarize(y) FROM units;
CREATE TABLE parts (LIKE units) PARTITION BY RANGE (part);
CREATE TABLE parts_0 PARTITION OF parts FOR VALUES FROM (0) TO (1);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (1) TO (30);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (30) TO (40);
CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM (40) TO (50);
INSERT INTO parts SELECT * FROM units;
ANALYZE parts;
SET enable_partitionwise_aggregate = on;
EXPLAIN (COSTS OFF) SELECT guardrail_summarize(x, y) FROM parts;
INSERT INTO results SELECT 'partitioned', guardrail_summarize(x, y), guardrail_summarize(y) FROM parts;
RESET enable_partitionwise_aggregate;
SELECT how, guardrail_units(r.s) = guardrail_units(o.s) AS units, guardrail_mean(r.whole) = guardrail_mean(o.whole) AS whole_numbers, near(guardrail_mean(r.s), guardrail_mean(o.s), 1e-14) AS mean,
       near(guardrail_variance(r.s), guardrail_variance(o.s), 1e-12) AS variance, near(guardrail_ratio(r.s), guardrail_ratio(o.s), 1e-14) AS ratio
  FROM results r, (SELECT s, whole FROM results WHERE how = 'serial') AS o WHERE how <> 'serial' ORDER BY how;

-- ---- guardrail_compare against scipy

CREATE TABLE arms AS
SELECT (SELECT guardrail_summarize(x) FROM unnest('{12.5,3,0,44.25,7,7,18.5,0,0,5.75,61,9}'::float8[]) x) AS t,
       (SELECT guardrail_summarize(x) FROM unnest('{10,4.5,0,0,21,6.25,8,0,3,2.5,30,11,0,1.5,7}'::float8[]) x) AS c,
       (SELECT guardrail_summarize(x, y) FROM unnest('{12.5,3,0,44.25,7,7,18.5,0,0,5.75,61,9}'::float8[], '{2,1,1,5,2,1,3,1,0,1,7,2}'::float8[]) AS v(x, y)) AS tr,
       (SELECT guardrail_summarize(x, y) FROM unnest('{10,4.5,0,0,21,6.25,8,0,3,2.5,30,11,0,1.5,7}'::float8[], '{2,1,1,1,3,1,2,1,1,1,4,2,1,1,2}'::float8[]) AS v(x, y)) AS cr;
SELECT near(guardrail_mean(t), 14) AS mean_t, near(guardrail_variance(t), 367.875) AS var_t, near(guardrail_mean(c), 6.983333333333333) AS mean_c,
       near(guardrail_variance(c), 72.87916666666666) AS var_c, near(guardrail_ratio(tr), 6.461538461538462) AS ratio_t, near(guardrail_ratio(cr), 4.364583333333333) AS ratio_c FROM arms;
SELECT alternative, margin, near(g.estimate, 7.016666666666667) AS estimate, near(g.se, 5.959434630156715) AS se, near(g.df, 14.477290088767052) AS df,
       near(g.statistic, e.statistic) AS statistic, near(g.p_value, e.p) AS p_value, near(g.lower, e.lower) AS lower, near(g.upper, e.upper) AS upper
  FROM arms, (VALUES
    ('two-sided', 0,   1.177404754330219,  0.25802830356770373, -5.725628957996963, 19.758962291330295),
    ('two-sided', 2.5, 0.7579018727398796, 0.4606695682100561,  -5.725628957996963, 19.758962291330295),
    ('greater',   0,   1.177404754330219,  0.12901415178385187, -3.455348447769107, 'Infinity'::float8),
    ('greater',   2.5, 0.7579018727398796, 0.23033478410502806, -3.455348447769107, 'Infinity'),
    ('less',      0,   1.177404754330219,  0.8709858482161481,  '-Infinity', 17.48868178110244),
    ('less',      2.5, 0.7579018727398796, 0.7696652158949719,  '-Infinity', 17.48868178110244)) AS e(alternative, margin, statistic, p, lower, upper),
  guardrail_compare(t, c, 'difference', margin, alternative) AS g;
SELECT near(estimate, 14) AS estimate, near(se, 5.5368086475875256) AS se, df, near(statistic, 0.7224378255771694) AS statistic, near(p_value, 0.4851013363213208) AS p_value,
       near(lower, 1.8135663324409137, 1e-8) AS lower, near(upper, 26.186433667559086, 1e-8) AS upper FROM arms, guardrail_compare(t, c, 'absolute', 10);
SELECT near(estimate, 1.0047732696897373) AS estimate, near(lower, -0.12574837327881414, 1e-8) AS lower, near(upper, 2.9572920816818384, 1e-8) AS upper FROM arms, guardrail_compare(t, c, 'relative', level => 0.8);
SELECT near(df, 15.184687291572859) AS df, near(statistic, 1.0453144912974621) AS statistic, near(p_value, 0.312233519397436) AS p_value FROM arms, guardrail_compare(t, c, 'relative', 0.1);
SELECT near(estimate, 2.0969551282051286) AS estimate, near(se, 1.213018001033084) AS se, near(df, 22.878628509486948) AS df, near(statistic, 1.7287089939466909) AS statistic,
       near(p_value, 0.09733507009818025) AS p_value, near(lower, -0.4131005991661785) AS lower, near(upper, 4.607010855576435) AS upper FROM arms, guardrail_compare(tr, cr);
-- nothing varies: nothing is tested
SELECT estimate, statistic, p_value, lower, upper FROM (SELECT guardrail_summarize(3) AS s FROM generate_series(1, 5)) AS q, guardrail_compare(s, s);

-- bad arguments
SELECT guardrail_compare(NULL, c) FROM arms;
SELECT guardrail_compare(t, NULL) FROM arms;
SELECT guardrail_compare(t, guardrail_summary 'v1 n=1 sum=1 low=0 products=0') FROM arms;
SELECT guardrail_compare(guardrail_summary 'v1 n=0 sum=0 low=0 products=0', c) FROM arms;
SELECT guardrail_compare(t, cr) FROM arms;
SELECT guardrail_compare(tr, guardrail_summary 'v1 n=2 sum=1,0 low=0,0 products=0.5,0,0') FROM arms;
SELECT guardrail_compare(t, c, 'better') FROM arms;
SELECT guardrail_compare(t, c, NULL) FROM arms;
SELECT guardrail_compare(t, c, margin => 'NaN') FROM arms;
SELECT guardrail_compare(t, c, alternative => 'both') FROM arms;
SELECT guardrail_compare(t, c, level => 1) FROM arms;
SELECT guardrail_compare(t, c, level => 0) FROM arms;
SELECT guardrail_compare(t, guardrail_summary 'v1 n=2 sum=-6 low=0 products=2', 'relative') FROM arms;

SET client_min_messages = warning;
DROP SCHEMA summary_test CASCADE;
DROP TABLE results;
DROP EXTENSION guardrail;
