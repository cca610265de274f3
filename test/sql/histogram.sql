-- The type guardrail_histogram: input, output, aggregates, quantiles.
--
-- Expected numbers: percentile_disc and percentile_cont over the same values; a quantile of the histogram must lie
-- within a relative 2^-10 of the values that the exact quantile falls on or between.
SET client_min_messages = warning;
CREATE EXTENSION guardrail;
CREATE SCHEMA histogram_test;
SET search_path = histogram_test, public;

-- uniform in (0,1), and standard normal, by hash
CREATE FUNCTION u(purpose int, a bigint) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN (((hashint8extended(a, purpose) >> 11) & 9007199254740991) + 0.5) / 9007199254740992;
CREATE FUNCTION z(purpose int, a bigint) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN sqrt(-2 * ln(u(purpose, a))) * cos(2 * pi() * u(purpose + 1000, a));

-- ---- text form

SELECT guardrail_histogram(x) FROM (VALUES (0), (0), (0)) AS v(x);
SELECT guardrail_histogram(x) FROM (VALUES (0::float8), (NULL), ('NaN'), ('Infinity'), ('-Infinity'), (0)) AS v(x);
SELECT guardrail_histogram(x) FROM (VALUES (NULL::float8)) AS v(x);
SELECT guardrail_histogram(x) IS NULL AS nothing FROM (SELECT 1.0 WHERE false) AS v(x);
-- bins are mirrored and ascend with the value
SELECT p.h::text = replace(m.h::text, 'bins=-', 'bins=') AS mirrored
  FROM (SELECT guardrail_histogram(3.7) AS h) AS p, (SELECT guardrail_histogram(-3.7) AS h) AS m;

CREATE TABLE kept (id int PRIMARY KEY, h guardrail_histogram);
INSERT INTO kept SELECT k, guardrail_histogram(z(1, i) * 10.0 ^ (k * 10 - 150)) FROM generate_series(0, 30) k, generate_series(1, 200) i GROUP BY k;
INSERT INTO kept SELECT 100 + k, guardrail_histogram(round((10 * z(2, i))::numeric, k)) FROM generate_series(0, 3) k, generate_series(1, 3000) i GROUP BY k;
INSERT INTO kept VALUES (200, 'v1 skipped=0 bins='), (201, 'v1 skipped=7 bins=-5:1,0:2,7:1');
SELECT count(*) AS histograms, count(*) FILTER (WHERE h::text::guardrail_histogram::text = h::text) AS text_survives,
       count(*) FILTER (WHERE _guardrail_histogram_send(h::text::guardrail_histogram) = _guardrail_histogram_send(h)) AS bytes_survive
  FROM kept;

-- hostile text
CREATE FUNCTION refuses(input text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('SELECT %L::guardrail_histogram', input);
  RETURN 'accepted';
EXCEPTION WHEN invalid_text_representation THEN RETURN 'refused';
END $$;
SELECT input, refuses(input) FROM (VALUES
  ('v1 skipped=0 bins=-5:1,0:2,7:1'), ('v1 skipped=0 bins='), ('v1 skipped=9223372036854775807 bins=0:9223372036854775807'),
  (''), ('v1'), ('v2 skipped=0 bins=1:1'), (' v1 skipped=0 bins=1:1'), ('v1 skipped=0 bins=1:1 '), ('v1 skipped=0 bins=1:1,'), ('v1 skipped=0 bins=,1:1'),
  ('v1 skipped=-1 bins=1:1'), ('v1 skipped= bins=1:1'), ('v1 skipped=0x1 bins=1:1'), ('v1 skipped=99999999999999999999 bins=1:1'), ('v1 skipped=0 bins=1'),
  ('v1 skipped=0 bins=1:0'), ('v1 skipped=0 bins=1:-4'), ('v1 skipped=0 bins=1:1.5'), ('v1 skipped=0 bins=2:1,1:1'), ('v1 skipped=0 bins=1:1,1:1'),
  ('v1 skipped=0 bins=2096128:1'), ('v1 skipped=0 bins=2096129:1'), ('v1 skipped=0 bins=-2096129:1'), ('v1 skipped=0 bins=99999999999:1'), ('v1 skipped=0 bins=4294967297:1'),
  ('v1 skipped=0 bins=1:9223372036854775807,2:1'), ('v1 skipped=0 bins=1:99999999999999999999'), ('v1 skipped=0 bins= 1:1'), ('v1 skipped=0 bins=+1:1')) AS v(input);
SELECT 'nonsense'::guardrail_histogram;
SELECT refuses('v1 skipped=0 bins=' || string_agg(format('%s:1', i % 1000), ',')) AS long_list FROM generate_series(1, 100000) i;

-- ---- accessors

SELECT guardrail_events(h) AS events, guardrail_quantile(h, 0.5) AS median FROM (SELECT guardrail_histogram(0) AS h FROM generate_series(1, 3)) AS q;
SELECT guardrail_events(h) AS events, guardrail_quantile(h, 0.5) AS median FROM (SELECT guardrail_histogram(NULL::float8) AS h) AS q;
SELECT guardrail_events(NULL) AS events, guardrail_quantile(NULL, 0.5) AS median;
SELECT p, abs(guardrail_quantile(h, p) / 42 - 1) <= 2 ^ -10 AS one_value FROM (SELECT guardrail_histogram(42) AS h) AS q, unnest('{0,0.001,0.5,0.999,1}'::float8[]) p;
SELECT guardrail_quantile('v1 skipped=0 bins=0:1', NULL);
SELECT guardrail_quantile('v1 skipped=0 bins=0:1', -0.1);
SELECT guardrail_quantile('v1 skipped=0 bins=0:1', 1.1);
SELECT guardrail_quantile('v1 skipped=0 bins=0:1', 'NaN');
SELECT guardrail_quantile('v1 skipped=0 bins=0:1', 'Infinity');

-- ---- quantiles against the server's own

CREATE TABLE samples AS
SELECT s.name, i, CASE s.name
         WHEN 'normal' THEN z(10, i) WHEN 'shifted' THEN 1000 + z(11, i) WHEN 'latency' THEN exp(6.9 + 0.6 * z(12, i))
         WHEN 'many zeros' THEN CASE WHEN u(13, i) < 0.9 THEN 0 ELSE exp(3 * z(14, i)) END
         WHEN 'ties' THEN round(10 * z(15, i)::numeric)::float8 WHEN 'negative' THEN -exp(2 * z(16, i))
         WHEN 'heavy' THEN u(17, i) ^ -3 - u(18, i) ^ -3 WHEN 'tiny' THEN exp(-600 + 10 * z(19, i)) WHEN 'large' THEN -1e300 * u(20, i)
         WHEN 'mixed' THEN z(21, i) * 10.0 ^ floor(40 * u(22, i) - 20) END AS x
  FROM unnest('{normal,shifted,latency,many zeros,ties,negative,heavy,tiny,large,mixed}'::text[]) AS s(name), generate_series(1, 5000) i;

-- The histogram's quantile lies between the values of rank ceil(np) and its neighbours, widened by a bin.
SELECT name, count(*) AS quantiles,
       count(*) FILTER (WHERE q BETWEEN least(lo - abs(lo) * 2 ^ -10, lo) AND greatest(hi + abs(hi) * 2 ^ -10, hi)) AS within_a_bin,
       count(*) FILTER (WHERE hi - lo <= 2 ^ -10 * abs(c) AND abs(q - c) <= 2 * 2 ^ -10 * abs(c) OR hi - lo > 2 ^ -10 * abs(c)) AS near_percentile_cont
  FROM (SELECT name, p, guardrail_quantile(guardrail_histogram(x), p) AS q, percentile_cont(p) WITHIN GROUP (ORDER BY x) AS c,
               percentile_disc(greatest(p - 1.0 / 5000, 0)) WITHIN GROUP (ORDER BY x) AS lo, percentile_disc(least(p + 1.0 / 5000, 1)) WITHIN GROUP (ORDER BY x) AS hi
          FROM samples, unnest('{0.001,0.01,0.05,0.1,0.25,0.333,0.5,0.75,0.9,0.95,0.99,0.995,0.999}'::float8[]) p GROUP BY name, p) AS both_ways
 GROUP BY name ORDER BY name COLLATE "C";
-- rank for rank: the histogram's median of an odd number of equal neighbours is theirs
SELECT abs(guardrail_quantile(guardrail_histogram(x), 0.5) - 500) <= 500 * 2 ^ -10 AS median FROM generate_series(0, 1000) x;
SELECT guardrail_quantile(guardrail_histogram(x), 0.5) = 0 AS zero_is_exact FROM (VALUES (-3), (0), (0), (0), (5)) AS v(x);

-- ---- merging is exact: pieces, parallel workers, partitions

SELECT count(*) AS samples, bool_and(a::text = r::text) AS same
  FROM (SELECT name, guardrail_histogram(x) AS a FROM samples GROUP BY name) AS whole
  JOIN (SELECT name, guardrail_rollup(h) AS r FROM (SELECT name, i % 41, guardrail_histogram(x) AS h FROM samples GROUP BY 1, 2) AS pieces GROUP BY name) AS rolled USING (name);
SELECT guardrail_rollup(h) FROM (VALUES (guardrail_histogram 'v1 skipped=1 bins=-5:1,0:2'), (NULL), ('v1 skipped=2 bins='), ('v1 skipped=0 bins=0:1,9:4')) AS v(h);
SELECT guardrail_rollup(h) IS NULL AS none FROM (VALUES (NULL::guardrail_histogram)) AS v(h);
-- counts do not wrap round
SELECT guardrail_rollup(h) FROM unnest(ARRAY['v1 skipped=0 bins=1:9223372036854775807', 'v1 skipped=0 bins=1:1']::guardrail_histogram[]) AS h;
SELECT guardrail_rollup(h) FROM unnest(ARRAY['v1 skipped=0 bins=1:9223372036854775807', 'v1 skipped=0 bins=2:1']::guardrail_histogram[]) AS h;
SELECT guardrail_rollup(h) FROM unnest(ARRAY['v1 skipped=9223372036854775807 bins=', 'v1 skipped=1 bins=']::guardrail_histogram[]) AS h;
-- as an ordinary function the transition leaves its argument alone
SELECT _guardrail_histogram_add(h, 0) AS added, h AS still FROM (SELECT 'v1 skipped=0 bins=0:2'::guardrail_histogram AS h OFFSET 0) AS q;
SELECT _guardrail_histogram_add(_guardrail_histogram_add(NULL, 0), 'NaN') AS out_of_nothing;

SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET max_parallel_workers_per_gather = 2;
ALTER TABLE samples SET (parallel_workers = 2);
ANALYZE samples;
EXPLAIN (COSTS OFF) SELECT guardrail_histogram(x) FROM samples;
CREATE TEMP TABLE histogram_results AS SELECT 'parallel' AS how, guardrail_histogram(x) AS h FROM samples;
SET max_parallel_workers_per_gather = 0;
INSERT INTO histogram_results SELECT 'serial', guardrail_histogram(x) FROM samples;
CREATE TABLE parts (LIKE samples) PARTITION BY RANGE (i);
CREATE TABLE parts_0 PARTITION OF parts FOR VALUES FROM (0) TO (2);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (2) TO (4500);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (4500) TO (5001);
CREATE TABLE parts_3 PARTITION OF parts FOR VALUES FROM (6000) TO (7000);
INSERT INTO parts SELECT * FROM samples;
ANALYZE parts;
SET enable_partitionwise_aggregate = on;
EXPLAIN (COSTS OFF) SELECT guardrail_histogram(x) FROM parts;
INSERT INTO histogram_results SELECT 'partitioned', guardrail_histogram(x) FROM parts;
RESET enable_partitionwise_aggregate;
SELECT count(DISTINCT how) AS ways, count(DISTINCT h::text) AS results, min(guardrail_events(h)) AS events FROM histogram_results;

-- sums of two histograms of 2 x 10^5 values each, spread over many bins
SELECT guardrail_events(guardrail_rollup(h)) AS events, guardrail_rollup(h)::text = (SELECT guardrail_histogram(z(30, i) * 10.0 ^ (i % 300 - 150))::text FROM generate_series(1, 100000) i) AS same
  FROM (SELECT guardrail_histogram(z(30, i) * 10.0 ^ (i % 300 - 150)) AS h FROM generate_series(1, 100000) i GROUP BY i % 2) AS q;

SET client_min_messages = warning;
DROP SCHEMA histogram_test CASCADE;
DROP TABLE histogram_results;
DROP EXTENSION guardrail;
