-- guardrail_sequential, guardrail_spending_bounds, guardrail_srm_sequential, guardrail_sample_size, guardrail_mde:
-- check values, extremes, cancelling, and every argument refused.
--
-- Expected numbers: the normal mixture's bounds by confseq.boundaries (Howard et al. 2021), v = n* = 100 at 0.05; group
-- sequential bounds by gsDesign, and Jennison and Turnbull (2000), tables 2.1 and 2.3; Bayes factors and normal tails by
-- mpmath at 50 digits; sample sizes by R. More of them in truth_sequential and truth_split.
SET client_min_messages = warning;
CREATE EXTENSION guardrail;
CREATE SCHEMA sequential_test;
SET search_path = sequential_test, public;

-- ---- always valid

-- with se = 1/sqrt(n) a bound on the sum is the half-width times n
SELECT round((two.upper * 100)::numeric, 5) AS two_sided, two.lower = -two.upper AS symmetric, round((-one.lower * 100)::numeric, 5) AS one_sided, one.upper
  FROM guardrail_sequential(0, 0.1, 100, 100) AS two, guardrail_sequential(0, 0.1, 100, 100, sides => 1) AS one;
-- rho = 12.60056: log e of an estimate of 0 is ln(rho/(n + rho))/2
SELECT round((100 / (exp(-2 * log_e) - 1))::numeric, 5) AS rho, p_value FROM guardrail_sequential(0, 0.1, 100, 100);
SELECT a = b AS defaults FROM guardrail_sequential(0.1, 0.04, 1000) AS a, guardrail_sequential(0.1, 0.04, 1000, 5000, 0.05, 2) AS b;
-- the bound excludes 0 exactly when p < alpha; one-sided only a positive effect is evidence; a larger estimate has a smaller p
SELECT count(*) AS cases, count(*) FILTER (WHERE (g.lower > 0 OR g.upper < 0) = (g.p_value < alpha)) AS agree,
       count(*) FILTER (WHERE sides = 2 OR estimate > 0 OR g.p_value = 1) AS one_sided, count(*) FILTER (WHERE g.p_value >= more.p_value OR estimate < 0 AND sides = 2) AS falling,
       count(*) FILTER (WHERE g.lower < estimate AND estimate < g.upper) AS around
  FROM unnest('{-3,-0.02,0,0.01,0.05,0.2,7}'::float8[]) AS estimate, unnest('{0.001,0.02,0.5}'::float8[]) AS se, unnest('{1,20,5000,1e7}'::float8[]) AS n, unnest('{10,5000,1e9}'::float8[]) AS planned,
       unnest('{0.4,0.1,0.05,1e-6}'::float8[]) AS alpha, unnest('{1,2}'::int[]) AS sides, guardrail_sequential(estimate, se, n, planned, alpha, sides) AS g, guardrail_sequential(estimate * 1.1, se, n, planned, alpha, sides) AS more;
-- the level over all looks is alpha at any one of them: the bound is never inside the fixed one
SELECT bool_and(g.upper > 1.959963984540054 * 0.01) AS wider, round(min(g.upper / 0.01)::numeric, 3) AS at_best FROM generate_series(0, 60) AS i, guardrail_sequential(0, 0.01, 10 ^ (i / 6.0)) AS g;
-- evidence beyond any p: log e keeps what p cannot
SELECT round(log_e::numeric, 6) AS log_e, p_value > 0 AS p FROM guardrail_sequential(37, 1, 1e6);
SELECT round(log_e::numeric, 3) AS log_e, p_value, round(lower::numeric, 3) AS lower FROM guardrail_sequential(40, 1, 1e9);
SELECT log_e, p_value, lower, upper FROM guardrail_sequential(1e300, 1e-300, 1e6);
SELECT round(log_e::numeric, 6) AS log_e, p_value FROM guardrail_sequential(-40, 1, 1e6, sides => 1);
SELECT round((estimate - lower)::numeric, 6) AS half, round(log_e::numeric, 6) AS log_e FROM (VALUES (0.0::float8)) AS e(estimate), guardrail_sequential(estimate, 1, 1e6, 5000, 1e-300, 1);
SELECT count(*) AS extremes, count(*) FILTER (WHERE lower <= upper AND p_value BETWEEN 0 AND 1 AND log_e IS NOT NULL) AS sound
  FROM unnest('{0,-1.7e308,5e-324,1e150}'::float8[]) AS estimate, unnest('{5e-324,1e-200,1,1.7e308}'::float8[]) AS se, unnest('{5e-324,1,1.7e308}'::float8[]) AS n, unnest('{5e-324,1,1.7e308}'::float8[]) AS planned,
       unnest('{5e-324,0.1,0.49999999999999994}'::float8[]) AS alpha, unnest('{1,2}'::int[]) AS sides, guardrail_sequential(estimate, se, n, planned, alpha, sides);

-- ---- group sequential

CREATE FUNCTION rounded(bounds float8[]) RETURNS numeric[] LANGUAGE sql IMMUTABLE AS $$ SELECT array_agg(CASE WHEN b = 'Infinity' THEN b::numeric ELSE round(b::numeric, 4) END ORDER BY i) FROM unnest(bounds) WITH ORDINALITY AS u(b, i) $$;
SELECT rounded(guardrail_spending_bounds('{0.2,0.4,0.6,0.8,1}')) AS obrien_fleming;
SELECT rounded(guardrail_spending_bounds('{0.2,0.4,0.6,0.8,1}', spending => 'pocock')) AS pocock;
SELECT rounded(guardrail_spending_bounds('{0.2,0.4,0.6,0.8,1}', 0.1, 1)) AS one_sided;
-- one look is a fixed test; phi = 1 spends in proportion
SELECT rounded(guardrail_spending_bounds('{1}')) AS fixed, rounded(guardrail_spending_bounds('{1}', 0.05, 1, 'pocock')) AS fixed_one_sided, rounded(guardrail_spending_bounds('{0.5,1}', 0.1, 1, 'power', 1)) AS power;
-- the first bound alone is the quantile of what is spent by then: 1e-6 of alpha one-sided, and nothing worth a bound
SELECT rounded(guardrail_spending_bounds('{1e-6,0.5,1}', 0.05, 1, 'power')) AS early, rounded(guardrail_spending_bounds('{1e-6,0.5,1}', 0.05, 1)) AS nothing_yet;
SELECT rounded(guardrail_spending_bounds('{0.001,1}', 0.05, 2, 'power', 1e6)) AS all_at_the_end;
-- later looks and larger levels have lower bounds; a look more costs little
SELECT count(*) AS designs, count(*) FILTER (WHERE strict[10] > 1.2815 AND strict[10] >= loose[10] AND array_position(strict, NULL) IS NULL AND cardinality(strict) = 10) AS sound
  FROM unnest('{obrien_fleming,pocock,power}'::text[]) AS spending, unnest('{1,2}'::int[]) AS sides, unnest('{0.5,1,3}'::float8[]) AS phi, unnest('{0.05,1e-3,1e-6}'::float8[]) AS alpha,
       LATERAL (SELECT array_agg(i / 10.0::float8 ORDER BY i) FROM generate_series(1, 10) AS i) AS f(fractions), guardrail_spending_bounds(fractions, alpha, sides, spending, phi) AS strict,
       guardrail_spending_bounds(fractions, alpha * 2, sides, spending, phi) AS loose;
-- many looks, which can be cancelled
SELECT cardinality(b) AS looks, round(b[200]::numeric, 4) AS last FROM (SELECT guardrail_spending_bounds(array_agg(i / 200.0::float8 ORDER BY i)) FROM generate_series(1, 200) AS i) AS u(b);
SET statement_timeout = '20ms';
SELECT guardrail_spending_bounds(array_agg(i / 1000.0::float8 ORDER BY i), 0.05, 1, 'power') FROM generate_series(1, 1000) AS i;
RESET statement_timeout;

-- ---- the split

SELECT counts, round(g.log_e::numeric, 9) AS log_e, round(g.p_value::numeric, 9) AS p FROM (VALUES ('{5200,4800}'::bigint[]), ('{600,400}'), ('{80,20}'), ('{0,0}'), ('{1,0}')) AS v(counts), guardrail_srm_sequential(counts) AS g;
SELECT a = b AS equal_shares, a = c AS prior FROM guardrail_srm_sequential('{480,520}') AS a, guardrail_srm_sequential('{480,520}', '{3,3}') AS b, guardrail_srm_sequential('{480,520}', NULL, 10000) AS c;
SELECT round(log_e::numeric, 3) AS log_e, p_value FROM guardrail_srm_sequential('{1000000000000,1001000000000}');
SELECT round(log_e::numeric, 3) AS log_e, p_value FROM guardrail_srm_sequential('{100000000,300000000,600000000}', '{1,3,6}');
-- Ville: split as planned by hash, watched after each of 400 units: at most one experiment in twenty ever alarms at 0.05
SELECT count(DISTINCT e) AS experiments, count(DISTINCT e) FILTER (WHERE g.p_value < 0.05) <= 10 AS level_kept
  FROM (SELECT e, i, count(*) FILTER (WHERE hashint8extended(i, e) % 2 = 0) OVER w AS a, count(*) OVER w AS n FROM generate_series(1, 200) AS e, generate_series(1, 400) AS i WINDOW w AS (PARTITION BY e ORDER BY i)) AS u,
       guardrail_srm_sequential(ARRAY[a, n - a]) AS g;

-- ---- planning

SELECT round(guardrail_sample_size(1, 0.1)::numeric, 6) AS n, round(guardrail_sample_size(1, 0, -0.1, sides => 1, power => 0.9)::numeric, 6) AS non_inferiority, round(guardrail_mde(1, 50, 50)::numeric, 12) AS mde;
SELECT count(*) AS plans, count(*) FILTER (WHERE abs(guardrail_mde(sd, n * ratio, n, alpha, power, sides) / beyond - 1) < 1e-9) AS inverse
  FROM unnest('{1e-100,1,3e5}'::float8[]) AS sd, unnest('{1e-3,7}'::float8[]) AS beyond, unnest('{0.01,0.1}'::float8[]) AS alpha, unnest('{0.6,0.99}'::float8[]) AS power, unnest('{1,2}'::int[]) AS sides,
       unnest('{0.1,1,9}'::float8[]) AS ratio, guardrail_sample_size(sd, 5 - beyond, 5, alpha, power, sides, ratio) AS n;
-- any number of units has a power below the level
SELECT guardrail_sample_size(1, 0.1, 0, 0.4, 0.1, 1) AS none_needed, guardrail_mde(1, 10, 10, 0.4, 0.1, 1) AS none;

-- ---- NULL for each argument, and what each may not hold

CREATE FUNCTION message(call text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE m text; d text; h text; s text;
BEGIN
  EXECUTE 'SELECT ' || call;
  RETURN 'ACCEPTED';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT, s = RETURNED_SQLSTATE;
  RETURN s || ' ' || concat_ws(' | ', m, nullif(d, ''), nullif(h, ''));
END $$;
CREATE FUNCTION with_argument(f text, good text[], at int, bad text) RETURNS text LANGUAGE sql AS
  $$ SELECT f || '(' || string_agg(CASE WHEN i = at THEN bad ELSE g END, ', ' ORDER BY i) || ')' FROM unnest(good) WITH ORDINALITY AS u(g, i) $$;
CREATE TABLE subject (f text, good text[]);
INSERT INTO subject VALUES ('guardrail_sequential', '{0.1,0.04,1000,5000,0.05,2}'), ('guardrail_spending_bounds', '{"''{0.5,1}''",0.05,2,''power'',1}'), ('guardrail_srm_sequential', '{"''{5,6}''","''{1,1}''",10000}'),
  ('guardrail_sample_size', '{1,0.1,0,0.05,0.8,2,1}'), ('guardrail_mde', '{1,10,10,0.05,0.8,2}');
SELECT f, argument, message(with_argument(f, good, argument::int, 'NULL')) FROM subject, unnest(good) WITH ORDINALITY AS u(g, argument) ORDER BY f, argument;
SELECT f, argument, bad, message(with_argument(f, good, argument, bad)) FROM subject NATURAL JOIN (VALUES
  ('guardrail_sequential', 1, '''NaN'''), ('guardrail_sequential', 1, '''Infinity'''), ('guardrail_sequential', 2, '0'), ('guardrail_sequential', 2, '-1'), ('guardrail_sequential', 2, '''Infinity'''),
  ('guardrail_sequential', 3, '0'), ('guardrail_sequential', 4, '0'), ('guardrail_sequential', 4, '''NaN'''), ('guardrail_sequential', 5, '0'), ('guardrail_sequential', 5, '1'), ('guardrail_sequential', 5, '5'),
  ('guardrail_sequential', 6, '0'), ('guardrail_sequential', 6, '3'),
  ('guardrail_spending_bounds', 1, '''{}'''), ('guardrail_spending_bounds', 1, '''{0,1}'''), ('guardrail_spending_bounds', 1, '''{0.5,1.01}'''), ('guardrail_spending_bounds', 1, '''{0.5,0.5}'''),
  ('guardrail_spending_bounds', 1, '''{0.5,0.4,1}'''), ('guardrail_spending_bounds', 1, '''{0.5,NULL}'''), ('guardrail_spending_bounds', 1, '''{0.5,NaN}'''), ('guardrail_spending_bounds', 1, '''{{0.5},{1}}'''),
  ('guardrail_spending_bounds', 1, 'array_fill(1::float8, ARRAY[1001])'), ('guardrail_spending_bounds', 1, '''{0.5,0.50000000000000011}'''), ('guardrail_spending_bounds', 2, '0'), ('guardrail_spending_bounds', 2, '1'),
  ('guardrail_spending_bounds', 3, '4'), ('guardrail_spending_bounds', 4, '''bonferroni'''), ('guardrail_spending_bounds', 5, '0'), ('guardrail_spending_bounds', 5, '''Infinity'''),
  ('guardrail_srm_sequential', 1, '''{5}'''), ('guardrail_srm_sequential', 1, '''{5,-1}'''), ('guardrail_srm_sequential', 1, '''{5,NULL}'''), ('guardrail_srm_sequential', 2, '''{1}'''), ('guardrail_srm_sequential', 2, '''{1,0}'''),
  ('guardrail_srm_sequential', 3, '0'), ('guardrail_srm_sequential', 3, '''NaN'''),
  ('guardrail_sample_size', 1, '0'), ('guardrail_sample_size', 2, '0'), ('guardrail_sample_size', 2, '''NaN'''), ('guardrail_sample_size', 2, '1e-200'), ('guardrail_sample_size', 3, '''-Infinity'''), ('guardrail_sample_size', 4, '1'),
  ('guardrail_sample_size', 5, '0'), ('guardrail_sample_size', 5, '1'), ('guardrail_sample_size', 6, '-2'), ('guardrail_sample_size', 7, '0'),
  ('guardrail_mde', 1, '0'), ('guardrail_mde', 1, '1.7e308'), ('guardrail_mde', 2, '0'), ('guardrail_mde', 3, '-4'), ('guardrail_mde', 4, '0'), ('guardrail_mde', 5, '2'), ('guardrail_mde', 6, '7')) AS v(f, argument, bad)
 ORDER BY f, argument, bad COLLATE "C";
-- one-sided alpha stays below one half
SELECT message('guardrail_sequential(0.1, 0.04, 1000, 5000, 0.5, 1)');

-- ---- what the server may do with them

SELECT proname, provolatile, proparallel, proisstrict, obj_description(oid, 'pg_proc') IS NOT NULL AS commented, pg_get_function_arguments(oid) AS arguments FROM pg_proc
 WHERE proname IN ('guardrail_sequential', 'guardrail_spending_bounds', 'guardrail_srm_sequential', 'guardrail_sample_size', 'guardrail_mde') ORDER BY proname COLLATE "C";

SET client_min_messages = warning;
DROP SCHEMA sequential_test CASCADE;
DROP EXTENSION guardrail;
