-- Published numbers through SQL: relative lifts, ratios of sums, shares of clustered events.
--
-- Where they come from: test/truth/relative_lift.tsv (textbook formulas with t quantiles at 50 digits by mpmath; gbstats),
-- ratio_metric.tsv (exact rational moments; gbstats), quantile_clustered.tsv (gbstats): see the head of each.
-- Tolerances: relative 1e-9, of shares 1e-8, of what gbstats computed from raw sums 1e-6. The difference of two numbers
-- near 1 is good to 5e-16.
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/truth/load.sql'
\set ECHO none
\set file relative_lift
\i :load
\set file ratio_metric
\i :load
\set file quantile_clustered
\i :load
\set ECHO all

-- ---- lifts

CREATE TABLE lift AS
  SELECT id, r, r->>'status' AS status, num(r, 'mt') AS mt, num(r, 'vt') AS vt, num(r, 'nt') AS nt, num(r, 'mc') AS mc, num(r, 'vc') AS vc, num(r, 'nc') AS nc FROM truth('relative_lift');
-- a control that is not positive, an arm of one unit: refused
SELECT id, bool_and(refused(format('guardrail_relative(%s,%s,%s,%s,%s,%s,method => %L)', mt, vt, nt, mc, vc, nc, method), 'argument "' || CASE WHEN nc < 2 THEN 'n_c' ELSE 'mean_c' END || '" must be')) AS refused
  FROM lift, unnest(ARRAY['fieller', 'delta']) AS method WHERE status <> 'ok' GROUP BY id ORDER BY id;
DELETE FROM lift WHERE status <> 'ok';

INSERT INTO checked SELECT 'relative_lift', v.what, id, v.got, v.expected, v.tolerance, v.slack
  FROM lift, guardrail_relative(mt, vt, nt, mc, vc, nc, method => 'delta') AS two, guardrail_relative(mt, vt, nt, mc, vc, nc, 0, 'greater', 0.9, 'delta') AS greater,
       guardrail_relative(mt, vt, nt, mc, vc, nc, 0, 'less', 0.9, 'delta') AS less,
       LATERAL (VALUES ('delta', two.estimate, num(r, 'lift'), 1e-9, 2e-16), ('delta', two.se, num(r, 'se'), 1e-9, 0::float8), ('delta', two.df, num(r, 'df'), 1e-9, 0),
        ('delta, bounds', two.lower, num(r, 'ci_lower'), 1e-9, 0), ('delta, bounds', two.upper, num(r, 'ci_upper'), 1e-9, 0), ('delta, bounds', greater.lower, num(r, 'lb90'), 1e-9, 0),
        ('delta, bounds', less.upper, num(r, 'ub90'), 1e-9, 0), ('delta, gbstats', two.p_value, num(r, 'gb_p'), 1e-6, 0), ('delta, gbstats', less.upper, num(r, 'gb_upper90'), 1e-6, 0),
        ('delta, gbstats', less.p_value, num(r, 'gb_p_less'), 1e-6, 0)) AS v(what, got, expected, tolerance, slack)
 WHERE v.expected IS NOT NULL;
-- margins: the delta method with t; Fieller's linear contrast with z, where 1e20 units of as large a standard error stand
-- for each arm
INSERT INTO checked SELECT 'relative_lift', v.what, id, v.got, v.expected, 1e-8, 0
  FROM lift, unnest(ARRAY['01', '02', '05']) AS m, guardrail_relative(mt, vt, nt, mc, vc, nc, -m::float8 / 100, 'greater', method => 'delta') AS delta,
       guardrail_relative(mt, vt / nt * 1e20, 1e20, mc, vc / nc * 1e20, 1e20, -m::float8 / 100, 'greater') AS fieller,
       LATERAL (VALUES ('delta, margin', delta.p_value, num(r, 'p_m' || m)), ('fieller, margin', fieller.p_value, num(r, 'p_l' || m))) AS v(what, got, expected);
INSERT INTO checked SELECT 'relative_lift', 'fieller, bounds', id, v.got, v.expected, 1e-9, 0
  FROM lift, guardrail_relative(mt, vt / nt * 1e20, 1e20, mc, vc / nc * 1e20, 1e20) AS g, LATERAL (VALUES (g.lower, num(r, 'fieller_lower')), (g.upper, num(r, 'fieller_upper'))) AS v(got, expected);

-- ---- ratios of sums: from the units where they are listed, else from sums and centred products

CREATE FUNCTION arm(r jsonb, a text) RETURNS guardrail_summary LANGUAGE sql AS $$
  SELECT CASE WHEN r->>('m_' || a) IS NULL
              THEN format('v1 n=%s sum=%s,%s low=0,0 products=%s,%s,%s', r->>('n_' || a), r->>('msum_' || a), r->>('dsum_' || a), r->>('mm_' || a), r->>('md_' || a), r->>('dd_' || a))::guardrail_summary
              ELSE (SELECT guardrail_summarize(x, y) FROM unnest(list(r, 'm_' || a), list(r, 'd_' || a)) AS u(x, y)) END $$;
CREATE TABLE ratio AS SELECT id, r, arm(r, 'c') AS c, arm(r, 't') AS t FROM truth('ratio_metric');
-- a treatment without any denominator has no ratio
SELECT id, guardrail_ratio(t) IS NULL AS no_ratio, refused(format('guardrail_compare(%L::guardrail_summary, %L::guardrail_summary)', t, c), 'argument "treatment" has no estimate') AS refused FROM ratio WHERE r->>'ratio_t' IS NULL;
INSERT INTO checked SELECT 'ratio_metric', 'guardrail_ratio', id, v.got, v.expected, 1e-12, 0
  FROM ratio, LATERAL (VALUES (guardrail_ratio(c), num(r, 'ratio_c')), (guardrail_ratio(t), num(r, 'ratio_t'))) AS v(got, expected) WHERE v.expected IS NOT NULL;
DELETE FROM ratio WHERE r->>'ratio_t' IS NULL;
INSERT INTO checked SELECT 'ratio_metric', 'variance of an arm', id, g.se * g.se, v.expected, 1e-9, 0
  FROM ratio, LATERAL (VALUES (c, num(r, 'var_c')), (t, num(r, 'var_t'))) AS v(arm, expected), guardrail_compare(v.arm, v.arm, 'absolute') AS g WHERE v.expected > 0;
INSERT INTO checked SELECT 'ratio_metric', v.what, id, v.got, v.expected, v.tolerance, v.slack
  FROM ratio, guardrail_compare(t, c) AS g, LATERAL (VALUES ('difference', g.estimate, num(r, 'diff'), 1e-9, 5e-16), ('difference', g.se, num(r, 'se'), 1e-9, 0::float8),
        ('difference', g.statistic, num(r, 'z'), 1e-9, 5e-16 / num(r, 'se')), ('difference, gbstats', g.lower, num(r, 'gb_lower'), 1e-6, 0), ('difference, gbstats', g.upper, num(r, 'gb_upper'), 1e-6, 0),
        ('difference, gbstats', g.p_value, num(r, 'gb_p'), 1e-6, 0)) AS v(what, got, expected, tolerance, slack)
 WHERE v.expected IS NOT NULL;
INSERT INTO checked SELECT 'ratio_metric', 'lift', id, v.got, v.expected, 1e-9, v.slack
  FROM ratio, guardrail_compare(t, c, 'relative') AS g, LATERAL (VALUES (g.estimate, num(r, 'lift'), 5e-16), (g.se, num(r, 'lift_se'), 0::float8)) AS v(got, expected, slack)
 WHERE guardrail_ratio(c) > 0 AND v.expected IS NOT NULL;

-- ---- quantiles: the share of events at or below one is a ratio over clusters

CREATE TABLE share AS
  SELECT id, r, format('v1 n=%s sum=%s,%s low=0,0 products=%s,%s,%s', r->>'clusters', r->>'main_sum', r->>'den_sum', r->>'mm', r->>'md', r->>'dd') AS s FROM truth('quantile_clustered');
-- one cluster does not vary: its products are no such thing
SELECT count(*) AS single, bool_and(refused(format('%L::guardrail_summary', s), 'invalid input syntax for type guardrail_summary')) AS refused FROM share WHERE num(r, 'clusters') < 2;
DELETE FROM share WHERE num(r, 'clusters') < 2;
INSERT INTO checked SELECT 'quantile_clustered', 'variance of the share', id, g.se * g.se, num(r, 'share_var'), 1e-8, 0
  FROM share, guardrail_compare(s::guardrail_summary, s::guardrail_summary, 'absolute') AS g WHERE r->>'share_var' IS NOT NULL;
-- the events themselves: the same sums over clusters, and a quantile within its bin of those beside it
CREATE TABLE event AS
  SELECT id, num(r, 'p') AS p, num(r, 'quantile') AS q, cluster, value, num(r, 'share_var') AS share_var FROM truth('quantile_clustered'), unnest(list(r, 'cluster'), list(r, 'value')) AS u(cluster, value) WHERE r->>'cluster' IS NOT NULL;
INSERT INTO checked SELECT 'quantile_clustered', 'variance of the share, from events', id, g.se * g.se, share_var, 1e-8, 0
  FROM (SELECT id, share_var, guardrail_summarize(below, events) AS s FROM (SELECT id, share_var, cluster, count(*) FILTER (WHERE value <= q) AS below, count(*) AS events FROM event GROUP BY 1, 2, 3) AS c GROUP BY 1, 2) AS u,
       guardrail_compare(s, s, 'absolute') AS g;
SELECT count(*) AS quantiles, count(*) FILTER (WHERE mine BETWEEN a - abs(a) / 1024 AND b + abs(b) / 1024) AS between_neighbours
  FROM (SELECT id, guardrail_quantile(guardrail_histogram(value), min(p)) AS mine, (array_agg(value ORDER BY value))[1 + floor(min(p) * (count(*) - 1))] AS a,
               (array_agg(value ORDER BY value))[2 + floor(min(p) * (count(*) - 1))] AS b FROM event GROUP BY id) AS e;

SELECT * FROM report;
DROP SCHEMA truth_test CASCADE;
DROP EXTENSION guardrail;
