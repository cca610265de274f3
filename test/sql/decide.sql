-- Statuses and verdicts, and the reasons that people read.
--
-- Expected: the rules of the verdicts (what blocks, what holds, what ships), written out as a table; adjusted p-values by
-- guardrail_p_adjust, the split by scipy.stats.chisquare, the numbers in the reasons by numpy and scipy.
SET client_min_messages = warning;
CREATE EXTENSION guardrail;
-- these tests are of the fixed design, whatever else is planned
ALTER TABLE guardrail_experiment ALTER monitoring SET DEFAULT 'fixed';
CREATE SCHEMA decide_test;
SET search_path = decide_test, public;

CREATE TABLE ev (experiment_id text, user_id bigint GENERATED ALWAYS AS IDENTITY, variant text, x float8, goal float8, flag boolean);
-- n users whose x lies spread above and below its mean, and likewise the goal
CREATE FUNCTION arm(experiment text, variant text, n int, mean float8, spread float8, goal float8 DEFAULT 0, goal_spread float8 DEFAULT 10, share float8 DEFAULT 0) RETURNS void LANGUAGE sql AS $$
  INSERT INTO ev (experiment_id, variant, x, goal, flag) SELECT $1, $2, $4 + CASE WHEN i % 2 = 0 THEN $5 ELSE -$5 END, $6 + CASE WHEN i % 4 < 2 THEN $7 ELSE -$7 END, i <= $8 * n FROM generate_series(1, n) i $$;
CREATE FUNCTION experiment(id text, planned bigint DEFAULT 1, extra text DEFAULT '', vals text DEFAULT '') RETURNS void LANGUAGE plpgsql AS $$
BEGIN EXECUTE format('INSERT INTO guardrail_experiment (experiment_id, events, planned_units %s) VALUES (%L, ''ev'', %L %s)', extra, id, planned, vals); END $$;
CREATE FUNCTION rule(id text, metric text, kind text, value text, worse text, limit_kind text, limit_value float8, evidence text DEFAULT 'breach', severity text DEFAULT 'block', role text DEFAULT 'guardrail', unit text DEFAULT NULL, alpha float8 DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
  INSERT INTO guardrail_rule (experiment_id, metric, kind, value, worse, limit_kind, limit_value, evidence, severity, role, display_unit, alpha) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) $$;

-- ---- severity × evidence × harm × primary: the table of verdicts

CREATE TABLE cases AS
SELECT format('%s %s %s %s', severity, evidence, harm, goal) AS id, severity, evidence, harm, goal,
       CASE harm WHEN 'none' THEN 'SAFE' WHEN 'much' THEN 'BREACHED' WHEN 'some' THEN CASE evidence WHEN 'point' THEN 'BREACHED' ELSE 'UNDECIDED' END END AS status,
       CASE goal WHEN 'better' THEN 'WON' WHEN 'worse' THEN 'LOST' ELSE 'UNDECIDED' END AS primary_status
  FROM unnest('{block,hold,warn}'::text[]) severity, unnest('{point,breach,safe}'::text[]) evidence, unnest('{none,some,much}'::text[]) harm, unnest('{better,same,worse}'::text[]) goal;
ALTER TABLE cases ADD verdict text;
UPDATE cases SET verdict = CASE WHEN status = 'BREACHED' AND severity = 'block' THEN 'BLOCK' WHEN primary_status <> 'WON' THEN 'HOLD' WHEN status = 'BREACHED' AND severity = 'hold' THEN 'HOLD'
                                WHEN status = 'UNDECIDED' AND severity <> 'warn' THEN 'HOLD' ELSE 'SHIP' END;
-- the limit is 10; the standard error 1.4; some harm lies 0.5 above the limit: not proven, but watched
SELECT count(experiment(id)) AS experiments, count(arm(id, 'control', 201, 100, 14)) + count(arm(id, 'treatment', 201, CASE harm WHEN 'none' THEN 100 WHEN 'some' THEN 110.5 ELSE 120 END, 14, CASE goal WHEN 'better' THEN 5 WHEN 'same' THEN 0 ELSE -5 END)) AS arms,
       count(rule(id, 'load', 'mean', 'x', 'higher', 'difference', 10, evidence, severity)) + count(rule(id, 'sales', 'mean', 'goal', 'lower', 'difference', NULL, role => 'primary')) AS rules FROM cases;
SELECT count(*) AS cases, count(*) FILTER (WHERE e.status = c.status) AS statuses, count(*) FILTER (WHERE d.primary_status = c.primary_status) AS primaries, count(*) FILTER (WHERE d.verdict = c.verdict) AS verdicts,
       count(*) FILTER (WHERE d.status = CASE WHEN c.status = 'BREACHED' THEN CASE c.severity WHEN 'block' THEN 'BLOCK: load' ELSE 'OK; breached without a veto: load' END WHEN c.status = 'UNDECIDED' AND c.severity <> 'warn' THEN 'WATCH: load' ELSE 'OK' END) AS texts,
       count(*) FILTER (WHERE (d.guardrails, d.breached, d.safe, d.undecided, d.no_data, d.unmeasured, d.watch, e.watch) = (1, (c.status = 'BREACHED')::int, (c.status = 'SAFE')::int, (c.status = 'UNDECIDED')::int, 0, 0, (c.status = 'UNDECIDED')::int, c.status = 'UNDECIDED')) AS counts
  FROM cases c, guardrail_decide(id) d, guardrail_evaluate(id) e WHERE e.metric = 'load';
SELECT verdict, count(*) FROM cases GROUP BY 1 ORDER BY 1;
-- the same before the end: only what needs no test speaks
UPDATE guardrail_experiment SET planned_units = 100000;
SELECT c.evidence, e.status, d.verdict, count(*), count(p_breach) AS with_p FROM cases c, guardrail_decide(id) d, guardrail_evaluate(id) e WHERE e.metric = 'load' AND c.severity = 'block' AND c.status = 'BREACHED' GROUP BY 1, 2, 3 ORDER BY 1, 2;
-- nor is it over without a planned size and without an end; when it is stopped it is
UPDATE guardrail_experiment SET planned_units = NULL;
SELECT verdict, reason FROM guardrail_decide('block breach much better');
SELECT guardrail_launch('block breach much better');
SELECT verdict FROM guardrail_decide('block breach much better');
SELECT guardrail_stop('block breach much better');
SELECT verdict FROM guardrail_decide('block breach much better');

-- ---- several arms and guardrails: one family of tests

SELECT experiment(c, 1, ', correction, shares', format(', %L, ''{"control": 1, "a": 1, "b": 1, "c": 1}''', c)), arm(c, 'control', 400, 100, 20), arm(c, 'a', 400, 103.2, 20), arm(c, 'b', 400, 104, 20), arm(c, 'c', 400, 101, 20),
       rule(c, 'one', 'mean', 'x', 'higher', 'difference', 0), rule(c, 'two', 'mean', 'x', 'higher', 'difference', 0.6), rule(c, 'three', 'mean', 'x', 'higher', 'relative', 0.012, 'safe'), rule(c, 'quiet', 'mean', 'x', 'higher', 'difference', 0, severity => 'warn'),
       rule(c, 'waits', 'mean', 'x', 'higher', 'difference', 0, severity => 'hold'), rule(c, 'wide', 'mean', 'x', 'higher', 'difference', 8), rule(c, 'point', 'mean', 'x', 'higher', 'difference', 3.5, 'point'), rule(c, 'goal', 'mean', '-x', 'higher', NULL, NULL, role => 'primary')
  FROM unnest('{none,bonferroni,holm,hochberg}'::text[]) c;
-- the tests that are adjusted together, in the order of the results
CREATE TABLE family AS SELECT c AS correction, e.*, CASE WHEN role = 'primary' THEN 'primary' WHEN severity = 'block' AND evidence <> 'point' THEN 'tests' END AS member FROM unnest('{none,bonferroni,holm,hochberg}'::text[]) c, guardrail_evaluate(c) e;
ALTER TABLE family ADD adjusted float8;
UPDATE family f SET adjusted = a[i] FROM (SELECT correction, member, array_agg(variant || metric ORDER BY variant, metric) AS names, guardrail_p_adjust(array_agg(coalesce(p_breach, p_value) ORDER BY variant, metric), correction) AS a FROM family WHERE member IS NOT NULL GROUP BY 1, 2) AS g,
       LATERAL generate_subscripts(a, 1) i WHERE f.correction = g.correction AND f.member = g.member AND f.variant || f.metric = names[i];
SELECT correction, count(*) FILTER (WHERE member = 'tests') AS tests, bool_and(abs(p_breach_adjusted - adjusted) < 1e-12) FILTER (WHERE member = 'tests') AS adjusted, bool_and(p_breach_adjusted = p_breach) FILTER (WHERE severity <> 'block') AS others_alone,
       bool_and(abs(p_value_adjusted - adjusted) < 1e-12) FILTER (WHERE member = 'primary') AS primary, bool_and((status = 'BREACHED') = (p_breach_adjusted <= alpha)) FILTER (WHERE evidence <> 'point' AND role = 'guardrail') AS breached_by_p,
       bool_and((status = 'BREACHED') = (effect_lower > limit_value)) FILTER (WHERE evidence <> 'point' AND role = 'guardrail') AS breached_by_bound, bool_and((status = 'SAFE') = (p_safe <= alpha / 3 AND status <> 'BREACHED')) FILTER (WHERE evidence <> 'point' AND role = 'guardrail') AS safe_by_p,
       bool_and((status = 'SAFE') = (effect_upper < limit_value)) FILTER (WHERE evidence <> 'point' AND role = 'guardrail') AS safe_by_bound, bool_and((status = 'BREACHED') = (effect > 3.5) AND p_breach IS NULL) FILTER (WHERE evidence = 'point') AS points,
       count(*) FILTER (WHERE status = 'BREACHED' AND member = 'tests') AS breached FROM family GROUP BY 1 ORDER BY 1;
SELECT c, variant, status FROM unnest('{bonferroni,hochberg,holm,none}'::text[]) c, guardrail_decide(c) ORDER BY 1, 2;
SELECT guardrail_status('holm') AS worst, guardrail_status('holm', 'c') AS of_c, guardrail_status('holm', NULL) AS null_is_worst;
SELECT guardrail_status('holm', 'control');
SELECT guardrail_status('holm', 'd');
SELECT guardrail_status('nosuch');
SELECT guardrail_status(NULL);

-- ---- limits of every kind, in both directions: limit and effect as numbers, expected statuses written out

SELECT experiment('limits', 1, ', correction', ', ''none'''), arm('limits', 'control', 400, 200, 10, 50, 2, 0.10), arm('limits', 'treatment', 400, 210, 10, 45, 2, 0.12);
SELECT rule('limits', 'r' || n, 'mean', value, worse, kind, lim) FROM (VALUES (1, 'x', 'higher', 'absolute', 205.0), (2, 'x', 'higher', 'absolute', 215), (3, 'x', 'lower', 'absolute', 205), (4, 'x', 'lower', 'absolute', 215), (5, 'x', 'higher', 'difference', 5), (6, 'x', 'higher', 'difference', 15), (7, 'x', 'lower', 'difference', 5), (8, 'goal', 'lower', 'difference', 3),
  (9, 'goal', 'lower', 'difference', 7), (10, 'x', 'higher', 'relative', 0.03), (11, 'x', 'higher', 'relative', 0.07), (12, 'goal', 'lower', 'relative', 0.05), (13, 'goal', 'lower', 'relative', 0.15), (14, 'x', 'higher', 'significance', NULL), (15, 'x', 'lower', 'significance', NULL), (16, 'goal', 'lower', 'significance', NULL)) AS v(n, value, worse, kind, lim);
SELECT string_agg(status, ' ' ORDER BY substr(metric, 2)::int) = 'BREACHED SAFE SAFE BREACHED BREACHED SAFE SAFE BREACHED SAFE BREACHED SAFE BREACHED SAFE BREACHED SAFE BREACHED' AS as_written FROM guardrail_evaluate('limits');

-- ---- what people read

SELECT rule('limits', 'load', 'mean', 'x', 'higher', 'difference', 8, unit => 'ms'), rule('limits', 'crash', 'proportion', 'flag', 'higher', 'difference', 0.001), rule('limits', 'revenue', 'mean', 'goal', 'lower', 'relative', 0.02, 'safe', unit => 'EUR'), rule('limits', 'sla', 'mean', 'x', 'higher', 'absolute', 205, 'point', unit => 'ms'),
       rule('limits', 'margin', 'ratio', 'goal', 'lower', 'absolute', 40, unit => 'EUR'), rule('limits', 'latency', 'mean', 'x', 'higher', 'difference', 10.3, unit => 'ms'), rule('limits', 'sales', 'mean', 'x', 'lower', 'relative', 0.04, role => 'primary'), rule('limits', 'visits', 'mean', 'goal', 'lower', NULL, NULL, role => 'secondary');
SELECT metric, status, reason FROM guardrail_evaluate('limits') WHERE metric !~ '^r\d' ORDER BY metric COLLATE "C";
SELECT verdict, status, left(reason, 120) AS reason FROM guardrail_decide('limits');

SET client_min_messages = warning;
DROP SCHEMA decide_test CASCADE;
DROP EXTENSION guardrail;
