-- Published numbers through SQL: anytime-valid bounds and e-values, group sequential bounds, sample sizes.
--
-- Where they come from: test/truth/sequential.tsv (gbstats, confseq, drconfseq, avlm), sequential_test.tsv (gbstats),
-- group_sequential.tsv (gsDesign, rpact, spotify confidence), power.tsv (R, rpact): see the head of each.
-- Tolerances: relative 1e-9, one-sided boundaries 1e-6 (root finding there), z bounds 1e-4 (confidence 1e-3).
\getenv srcdir PG_ABS_SRCDIR
\set load :srcdir '/truth/load.sql'
\set ECHO none
\set file sequential
\i :load
\set file sequential_test
\i :load
\set file group_sequential
\i :load
\set file power
\i :load
\set ECHO all

-- ---- the mixture: guardrail_sequential is told the n it is tightest at; k turns that into the mixture's rho = n*/k

CREATE FUNCTION k(level float8) RETURNS float8 LANGUAGE sql IMMUTABLE RETURN 2 * ln(1 / level) + ln(1 + 2 * ln(1 / level));
CREATE TABLE mixture AS
  SELECT id, r->>'quantity' AS quantity, num(r, 'alpha') AS alpha, num(r, 'n_star') AS n_star, num(r, 'n') AS n, num(r, 'rho') AS rho, (r->>'sides')::int AS sides, num(r, 'z') AS z, num(r, 'expected') AS expected FROM truth('sequential');
-- rho from log e of an estimate of 0, which is ln(rho/(n + rho))/2 on either side
INSERT INTO checked SELECT 'sequential', quantity, id, n_star / expm1, CASE quantity WHEN 'gb_rho' THEN 1 / expected ^ 2 ELSE 1 / expected END, 1e-9, 0
  FROM mixture, LATERAL (SELECT exp(-2 * log_e) - 1 FROM guardrail_sequential(0, 1, n_star, n_star, alpha, sides)) AS e(expm1) WHERE quantity IN ('gb_rho', 'ws_rho2');
INSERT INTO checked SELECT 'sequential', quantity || ', two-sided', id, g.upper, expected, 1e-9, 0
  FROM mixture, guardrail_sequential(0, sqrt(z / n), n, n_star, alpha, sides) AS g WHERE quantity = 'gb_halfwidth' AND sides = 2;
-- one-sided theirs is the closed form of the paper (equation 134), up to 5 % wider than the exact root
SELECT count(*) AS closed_forms, count(*) FILTER (WHERE -g.lower BETWEEN 0.95 * expected AND expected AND g.upper = 'Infinity') AS just_inside
  FROM mixture, guardrail_sequential(0, sqrt(z / n), n, n_star, alpha, sides) AS g WHERE quantity = 'gb_halfwidth' AND sides = 1;
-- a boundary at alpha whose rho was tuned at another level, z
INSERT INTO checked SELECT 'sequential', quantity, id, -g.lower * sqrt(n), expected, CASE sides WHEN 1 THEN 1e-6 ELSE 1e-9 END, 0
  FROM mixture, guardrail_sequential(0, 1, n, n_star / k((3 - sides) * z) * k((3 - sides) * alpha), alpha, sides) AS g WHERE quantity = 'boundary';
INSERT INTO checked SELECT 'sequential', quantity, id, g.log_e, expected, 1e-9, 1e-12
  FROM mixture, guardrail_sequential(z / sqrt(n), 1, n, n_star, alpha, sides) AS g WHERE quantity = 'log_mixture';
INSERT INTO checked SELECT 'sequential', quantity, id, CASE quantity WHEN 'z_radius' THEN g.upper ELSE g.upper / sqrt(n) END, expected, 1e-9, 0
  FROM mixture, guardrail_sequential(0, 1, n, k(alpha) * CASE quantity WHEN 'z_radius' THEN rho ELSE 1 / rho END, alpha) AS g WHERE quantity IN ('ws_conjmix', 'z_radius');

-- whole tests, from the arms' means and variances
CREATE TABLE arms AS
  SELECT id, r, num(r, 'nt') + num(r, 'nc') AS n, num(r, 'n_star') AS n_star, w.estimate, w.se
    FROM truth('sequential_test'), guardrail_welch(num(r, 'mt'), num(r, 'vt'), num(r, 'nt'), num(r, 'mc'), num(r, 'vc'), num(r, 'nc')) AS w;
INSERT INTO checked SELECT 'sequential_test', 'two-sided', id, v.got, v.expected, 1e-9, v.slack
  FROM arms, guardrail_sequential(estimate, se, n, n_star) AS g, LATERAL (VALUES (estimate, num(r, 'estimate'), 0::float8), (se, num(r, 'se'), 0), (g.lower, num(r, 'lower'), 0), (g.upper, num(r, 'upper'), 0), (g.p_value, num(r, 'p'), 1e-300)) AS v(got, expected, slack)
 WHERE v.expected IS NOT NULL;
-- one-sided bounds: the closed form again; the upper bound by turning the estimate over
SELECT count(*) AS closed_forms, count(*) FILTER (WHERE (estimate - low.lower) / (estimate - num(r, 'lower90')) BETWEEN 0.95 AND 1 AND (-high.lower - estimate) / (num(r, 'upper90') - estimate) BETWEEN 0.95 AND 1) AS just_inside
  FROM arms, guardrail_sequential(estimate, se, n, n_star, 0.1, 1) AS low, guardrail_sequential(-estimate, se, n, n_star, 0.1, 1) AS high WHERE r->>'lower90' IS NOT NULL;

-- ---- group sequential: alpha of spending rows is spent on each side

CREATE TABLE design AS
  SELECT id, r->>'kind' AS kind, r->>'spending' AS spending, sides, num(r, 'alpha') * CASE r->>'kind' WHEN 'spending' THEN sides ELSE 1 END AS alpha, num(r, 'parameter') AS phi,
         list(r, 'information') AS fractions, list(r, CASE sides WHEN 1 THEN 'z_one_sided' ELSE 'z_two_sided' END) AS z
    FROM truth('group_sequential'), generate_series(1, 2) AS sides;
INSERT INTO checked SELECT 'group_sequential', format('%s %s', kind, spending), id, u.got, u.expected, 0, CASE kind WHEN 'power' THEN 1e-3 ELSE 1e-4 END
  FROM design, guardrail_spending_bounds(fractions, alpha, sides, CASE spending WHEN 'OF' THEN 'obrien_fleming' WHEN 'P' THEN 'pocock' ELSE 'power' END, CASE WHEN phi > 0 THEN phi ELSE 1 END) AS bounds,
       unnest(bounds, z) AS u(got, expected) WHERE kind <> 'constant' AND spending <> 'HSD' AND z IS NOT NULL;
-- spending that guardrail does not offer; constant bounds are held to their total alpha by the unit tests
SELECT CASE spending WHEN 'HSD' THEN 'Hwang, Shih and DeCani' ELSE 'constant bounds' END AS not_offered, count(DISTINCT id) AS rows FROM design WHERE kind = 'constant' OR spending = 'HSD' GROUP BY 1 ORDER BY 1;

-- ---- planning: the normal formulas; Student's answer is a little larger

CREATE TABLE plan AS
  SELECT id, r->>'quantity' AS quantity, num(r, 'expected') AS expected, num(r, 't_answer') AS t_answer,
         CASE r->>'quantity' WHEN 'mde' THEN guardrail_mde(num(r, 'sd'), num(r, 'n'), num(r, 'n'), num(r, 'alpha'), num(r, 'power'), (r->>'sides')::int)
              ELSE guardrail_sample_size(num(r, 'sd'), num(r, 'effect'), num(r, 'margin'), num(r, 'alpha'), num(r, 'power'), (r->>'sides')::int, num(r, 'ratio')) * CASE r->>'quantity' WHEN 'n_total' THEN 1 + num(r, 'ratio') ELSE 1 END END AS got
    FROM truth('power');
INSERT INTO checked SELECT 'power', quantity, id, got, expected, 1e-9, 0 FROM plan;
SELECT count(*) AS plans, count(*) FILTER (WHERE got < t_answer AND got > CASE quantity WHEN 'mde' THEN 0.98 * t_answer ELSE t_answer - 2.5 END) AS just_below_student FROM plan WHERE t_answer IS NOT NULL;

SELECT * FROM report;
DROP SCHEMA truth_test CASCADE;
DROP EXTENSION guardrail;
