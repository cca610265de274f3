-- Published numbers through SQL: Welch's test, proportions, tails and quantiles.
--
-- Where they come from: test/truth/two_sample_mean.tsv (scipy.stats, p and degrees of freedom at 50 digits by mpmath),
-- proportions.tsv (statsmodels; Newcombe 1998), distributions.tsv (mpmath at 50 digits): see the head of each.
-- Tolerances: 1e-10 relative for estimate, se, df, t and bounds (from listed observations 1e-9), p 1e-8 down to 1e-300.
-- A bound is an estimate plus a multiple of se: it may be off by 1e-14 se besides.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/truth/load.sql'
\set ECHO none
\set file two_sample_mean
\i :load
\set file proportions
\i :load
\set file distributions
\i :load
\set ECHO all

-- ---- two means

CREATE TABLE mean AS
  SELECT id, r, CASE WHEN r->>'raw_c' IS NULL THEN 1e-10 ELSE 1e-9 END AS tolerance, num(r, 'mt') AS mt, num(r, 'vt') AS vt, num(r, 'nt') AS nt,
         num(r, 'mc') AS mc, num(r, 'vc') AS vc, num(r, 'nc') AS nc, num(r, 'margin') AS margin,
         (SELECT guardrail_summarize(x) FROM unnest(list(r, 'raw_t')) AS u(x)) AS raw_t, (SELECT guardrail_summarize(x) FROM unnest(list(r, 'raw_c')) AS u(x)) AS raw_c
    FROM truth('two_sample_mean') WHERE r->>'status' = 'ok';
-- the variance of one row is beyond the largest double: its observations are left out and counted, and the numbers refused
SELECT id, guardrail_units(raw_c) < nc AS left_out, refused(format('guardrail_welch(%L,%L,%L,%L,%L,%L)', mt, vt, nt, mc, vc, nc), 'argument "var_t"') AS refused
  FROM mean WHERE vc = 'Infinity';
DELETE FROM mean WHERE vc = 'Infinity';
-- neither arm varies: nothing is decided
SELECT id, g.estimate, g.se, g.p_value IS NULL AND g.statistic IS NULL AND g.lower IS NULL AND g.upper IS NULL AS no_verdict
  FROM truth('two_sample_mean'), guardrail_welch(num(r, 'mt'), num(r, 'vt'), num(r, 'nt'), num(r, 'mc'), num(r, 'vc'), num(r, 'nc')) AS g WHERE r->>'status' = 'no_verdict';

CREATE FUNCTION tests(m mean) RETURNS TABLE (by text, alternative text, estimate float8, se float8, df float8, statistic float8, p_value float8, lower float8, upper float8) LANGUAGE plpgsql AS $$
BEGIN
  FOREACH alternative IN ARRAY ARRAY['two-sided', 'greater', 'less'] LOOP
    RETURN QUERY SELECT 'guardrail_welch', alternative, w.* FROM guardrail_welch(m.mt, m.vt, m.nt, m.mc, m.vc, m.nc, 0, alternative, CASE alternative WHEN 'two-sided' THEN 0.95 ELSE 0.9 END) AS w;
    IF m.raw_t IS NOT NULL AND m.raw_c IS NOT NULL THEN
      RETURN QUERY SELECT 'guardrail_compare', alternative, w.* FROM guardrail_compare(m.raw_t, m.raw_c, 'difference', 0, alternative, CASE alternative WHEN 'two-sided' THEN 0.95 ELSE 0.9 END) AS w;
    END IF;
  END LOOP;
END $$;
INSERT INTO checked SELECT 'two_sample_mean', t.by || v.what, id, v.got, v.expected, coalesce(v.tol, tolerance), v.slack
  FROM mean, tests(mean) AS t, LATERAL (VALUES ('two-sided', '', t.estimate, num(r, 'estimate'), NULL::float8, 0::float8), ('two-sided', '', t.se, num(r, 'se'), NULL, 0),
    ('two-sided', '', t.df, num(r, 'df'), NULL, 0), ('two-sided', '', t.statistic, num(r, 't'), NULL, 0), ('two-sided', ', p', t.p_value, num(r, 'p_two_sided'), 1e-8, 1e-300),
    ('greater', ', p', t.p_value, num(r, 'p_greater'), 1e-8, 1e-300), ('less', ', p', t.p_value, num(r, 'p_less'), 1e-8, 1e-300),
    ('two-sided', ', bounds', t.lower, num(r, 'ci_lower'), NULL, 1e-14 * t.se), ('two-sided', ', bounds', t.upper, num(r, 'ci_upper'), NULL, 1e-14 * t.se),
    ('greater', ', bounds', t.lower, num(r, 'lb90'), NULL, 1e-14 * t.se), ('less', ', bounds', t.upper, num(r, 'ub90'), NULL, 1e-14 * t.se)) AS v(alternative, what, got, expected, tol, slack)
 WHERE v.alternative = t.alternative AND v.expected IS NOT NULL;
-- bounds at 95 %, and non-inferiority by a margin on either side
INSERT INTO checked SELECT 'two_sample_mean', v.what, id, v.got, v.expected, v.tol, v.slack
  FROM mean, guardrail_welch(mt, vt, nt, mc, vc, nc, -margin, 'greater') AS higher, guardrail_welch(mt, vt, nt, mc, vc, nc, margin, 'less') AS lower,
       LATERAL (VALUES ('non-inferiority, p', higher.p_value, num(r, 'p_ni_higher'), 1e-8, 1e-300), ('non-inferiority, p', lower.p_value, num(r, 'p_ni_lower'), 1e-8, 1e-300),
        ('guardrail_welch, bounds', higher.lower, num(r, 'lb95'), tolerance, 1e-14 * higher.se), ('guardrail_welch, bounds', lower.upper, num(r, 'ub95'), tolerance, 1e-14 * higher.se)) AS v(what, got, expected, tol, slack)
 WHERE margin IS NOT NULL AND v.expected IS NOT NULL;
-- the listed observations give the means and variances too
INSERT INTO checked SELECT 'two_sample_mean', 'guardrail_summarize', id, v.got, v.expected, tolerance, 0
  FROM mean, LATERAL (VALUES (raw_t, mt, vt), (raw_c, mc, vc)) AS a(s, m, s2), LATERAL (VALUES (guardrail_mean(s), m), (guardrail_variance(s), s2)) AS v(got, expected) WHERE s IS NOT NULL;

-- ---- proportions: normal theory with variance p (1 - p)/n, so 1e20 units of as large a standard error stand for each arm

CREATE TABLE proportion AS
  SELECT id, r, xt / nt AS pt, xt / nt * (1 - xt / nt) / nt * 1e20 AS vt, xc / nc AS pc, xc / nc * (1 - xc / nc) / nc * 1e20 AS vc, xt, nt, xc, nc, num(r, 'margin') AS margin
    FROM truth('proportions'), LATERAL (SELECT num(r, 'nt'), num(r, 'xt'), num(r, 'nc'), num(r, 'xc')) AS n(nt, xt, nc, xc);
INSERT INTO checked SELECT 'proportions', v.what, id, v.got, v.expected, 1e-9, v.slack
  FROM proportion, guardrail_welch(pt, vt, 1e20, pc, vc, 1e20) AS two, guardrail_welch(pt, vt, 1e20, pc, vc, 1e20, -margin, 'greater') AS higher,
       guardrail_welch(pt, vt, 1e20, pc, vc, 1e20, margin, 'less') AS lower,
       LATERAL (VALUES ('two-sided', two.estimate, num(r, 'diff'), 1e-17), ('two-sided', two.se, num(r, 'se'), 0::float8), ('two-sided', two.statistic, num(r, 'z'), 0),
        ('two-sided', two.p_value, num(r, 'p_two_sided'), 1e-300), ('two-sided', two.lower, num(r, 'ci_lower'), 1e-16), ('two-sided', two.upper, num(r, 'ci_upper'), 1e-16),
        ('non-inferiority', higher.statistic, num(r, 'ni_z'), 0), ('non-inferiority', higher.p_value, num(r, 'ni_p_higher'), 1e-300), ('non-inferiority', lower.p_value, num(r, 'ni_p_lower'), 1e-300)) AS v(what, got, expected, slack)
 WHERE vt + vc > 0 AND v.expected IS NOT NULL;
SELECT id, g.estimate = num(r, 'diff') AS estimate, g.p_value IS NULL AND g.lower IS NULL AS no_verdict
  FROM proportion, guardrail_welch(pt, vt, 1e20, pc, vc, 1e20) AS g WHERE vt + vc = 0;
-- the units themselves; n - 1 divides here
INSERT INTO checked SELECT 'proportions', 'guardrail_summarize', id, v.got, v.expected, 1e-12, 0
  FROM proportion, LATERAL (VALUES (nt, xt), (nc, xc)) AS a(n, x), LATERAL (SELECT guardrail_summarize(CASE WHEN i <= x THEN 1 ELSE 0 END) AS s FROM generate_series(1, n::int) AS i) AS units,
       LATERAL (VALUES (guardrail_mean(s), x / n), (guardrail_variance(s), x * ((n - x) / n) / nullif(n - 1, 0))) AS v(got, expected) WHERE v.expected IS NOT NULL;

-- ---- tails and quantiles: a treatment of n_t = df + 1 units, variance n_t, mean t against a constant 0 has statistic t

CREATE TABLE tail AS
  SELECT id, split_part(replace(r->>'function', 'log10_', ''), '_', 1) AS family, r->>'function' AS function, num(r, 'x') AS x, coalesce(num(r, 'df'), 1e30) + 1 AS n, num(r, 'expected') AS expected FROM truth('distributions');
INSERT INTO checked SELECT 'distributions', family || ' tails', id,
       CASE WHEN function LIKE 'log10%' THEN log(upper_tail.p_value) WHEN function LIKE '%cdf' THEN lower_tail.p_value WHEN function LIKE '%sf' THEN upper_tail.p_value ELSE two.p_value END, expected,
       CASE WHEN n > 1e6 AND family = 't' THEN 1e-10 ELSE 1e-12 END, 1e-300
  FROM tail, guardrail_welch(x, n, n, 0, 0, 2) AS two, guardrail_welch(x, n, n, 0, 0, 2, alternative => 'greater') AS upper_tail,
       guardrail_welch(x, n, n, 0, 0, 2, alternative => 'less') AS lower_tail
 WHERE family IN ('normal', 't') AND function NOT LIKE '%quantile' AND n >= 2 AND NOT (function LIKE 'log10%' AND expected < -300); -- no digits left there
-- a one-sided level is one minus the tail: only quantiles whose tail survives that
INSERT INTO checked SELECT 'distributions', family || ' quantiles', id, g.upper, expected, 1e-10, 1e-12
  FROM tail, guardrail_welch(0, n, n, 0, 0, 2, 0, 'less', x) AS g WHERE function LIKE '%quantile' AND n >= 2 AND x BETWEEN 1e-3 AND 1 - 1e-7;

SELECT * FROM report;
DROP SCHEMA truth_test CASCADE;
DROP EXTENSION guardrail;
