-- Published numbers through SQL: adjusted p-values, and the split of units.
--
-- Where they come from: test/truth/multiple_testing.tsv (R's p.adjust, statsmodels), srm.tsv (scipy.stats.chisquare),
-- sequential_srm.tsv (ssrm, its log Bayes factors computed again by mpmath at 50 digits): see the head of each.
-- Tolerances: adjusted p 1e-12 absolute; chi-square 1e-10 relative (1e-6 for counts of 1e12), p 1e-8; log Bayes factors
-- 1e-8 absolute and 1e-10 relative, p 1e-6.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/truth/load.sql'
\set ECHO none
\set file multiple_testing
\i :load
\set file srm
\i :load
\set file sequential_srm
\i :load
\set ECHO all

-- ---- several tests

INSERT INTO checked SELECT 'multiple_testing', method, id, u.got, u.expected, 0, 1e-12
  FROM truth('multiple_testing'), unnest(ARRAY['bonferroni', 'holm', 'hochberg', 'bh']) AS method, unnest(guardrail_p_adjust(list(r, 'p'), method), list(r, method)) AS u(got, expected) WHERE r->>'status' = 'ok';
-- a missing p-value is refused, not dropped
SELECT id, refused(format('guardrail_p_adjust(%L)', '{' || (r->>'p') || '}'), 'argument "p" must contain') AS refused FROM truth('multiple_testing') WHERE r->>'status' <> 'ok';

-- ---- the split, once

INSERT INTO checked SELECT 'srm', v.what, id, v.got, v.expected, v.tolerance, v.slack
  FROM truth('srm'), LATERAL (SELECT list(r, 'counts')::bigint[] AS counts) AS c, guardrail_srm(counts, list(r, 'weights')) AS g,
       LATERAL (VALUES ('statistic', g.statistic, num(r, 'chisq'), CASE WHEN counts[1] > 1e9 THEN 1e-6 ELSE 1e-10 END, 1e-15), ('df', g.df, num(r, 'df'), 0, 0), ('p', g.p_value, num(r, 'p'), 1e-8, 1e-300)) AS v(what, got, expected, tolerance, slack);

-- ---- the split, again and again
--
-- guardrail_srm_sequential mixes two Bayes factors, half and half: Dirichlet(prior * shares), kind "prior" here, and
-- Dirichlet(1), kind "slab".  A row gives one of them; the other comes from the Dirichlet-multinomial formula in decimal
-- arithmetic, which the rows hold to their numbers first.

-- Stirling's series behind a shift to x >= 30 (Abramowitz and Stegun 6.1.40)
CREATE FUNCTION ln_gamma(x numeric) RETURNS numeric LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE
  y numeric := x + 0.0000000000000000000000000000000000000000;
  product numeric := 1;
BEGIN
  WHILE y < 30 LOOP
    product := product * y;
    y := y + 1;
  END LOOP;
  RETURN (y - 0.5) * ln(y) - y + 0.9189385332046727417803297364056176398614 + 1 / (12 * y) - 1 / (360 * y ^ 3) + 1 / (1260 * y ^ 5) - 1 / (1680 * y ^ 7)
         + 1 / (1188 * y ^ 9) - 691 / (360360 * y ^ 11) + 1 / (156 * y ^ 13) - 3617 / (122400 * y ^ 15) - ln(product);
END $$;
-- ln of Gamma(A) prod Gamma(a + c) / (Gamma(A + N) prod Gamma(a) share^c)
CREATE FUNCTION ln_bayes_factor(counts numeric[], shares numeric[], a numeric[]) RETURNS numeric LANGUAGE sql IMMUTABLE AS $$
  SELECT ln_gamma(sum(a)) - ln_gamma(sum(a + c)) + sum(ln_gamma(a + c) - ln_gamma(a) - c * ln(s + 0.0000000000000000000000000000000000000000)) FROM unnest(counts, shares, a) AS u(c, s, a) $$;
CREATE TABLE split AS
  SELECT id, left(id, 18) AS experiment, r->>'kind' AS kind, counts, shares, num(r, 'prior') AS prior, num(r, 'log_bf') AS log_bf, num(r, 'p') AS p,
         ln_bayes_factor(counts, unit, (SELECT array_agg(num(r, 'prior')::numeric * s ORDER BY i) FROM unnest(unit) WITH ORDINALITY AS u(s, i)))::float8 AS ln_prior,
         ln_bayes_factor(counts, unit, array_fill(1.0, ARRAY[cardinality(unit)]))::float8 AS ln_slab
    FROM truth('sequential_srm'), LATERAL (SELECT list(r, 'counts')::numeric[], list(r, 'shares')) AS l(counts, shares),
         LATERAL (SELECT array_agg(s::text::numeric / (SELECT sum(x::text::numeric) FROM unnest(shares) AS x) ORDER BY i) FROM unnest(shares) WITH ORDINALITY AS u(s, i)) AS n(unit);
INSERT INTO checked SELECT 'sequential_srm', 'the formula here', id, CASE kind WHEN 'slab' THEN ln_slab ELSE ln_prior END, log_bf, 1e-10, 1e-8 FROM split;
CREATE TABLE mixed AS
  SELECT s.*, g.log_e, g.p_value, greatest(log_bf, other) + ln(1 + exp(greatest(-abs(log_bf - other), -300))) - ln(2::float8) AS expected
    FROM split AS s, LATERAL (SELECT CASE kind WHEN 'slab' THEN ln_prior ELSE ln_slab END AS other) AS o, guardrail_srm_sequential(counts::bigint[], shares, prior) AS g;
INSERT INTO checked SELECT 'sequential_srm', v.what, id, v.got, v.expected, v.tolerance, v.slack
  FROM mixed AS m, LATERAL (VALUES ('log_e', log_e, m.expected, 1e-10, 1e-8), ('p', p_value, CASE WHEN m.expected > 690 THEN 0 ELSE least(1, exp(-m.expected)) END, 1e-6, 1e-300)) AS v(what, got, expected, tolerance, slack);
-- whoever keeps the smallest p so far pays at most a factor of two for the second Bayes factor
SELECT count(*) AS rows, count(*) FILTER (WHERE smallest <= 2 * p * (1 + 1e-6) + 1e-300) AS at_most_double
  FROM (SELECT p, min(p_value) OVER (PARTITION BY experiment ORDER BY split_part(id, '-', 3)::int) AS smallest FROM mixed WHERE kind = 'prior') AS m;

SELECT * FROM report;
DROP SCHEMA truth_test CASCADE;
DROP EXTENSION guardrail;
