-- Segments: every guardrail is judged for each value of expressions, in the same scan; alarms by e-BH or BH.
--
-- Expected: each segment's numbers are those of an experiment over a view of its rows; e-BH and BH computed by plain SQL
-- from their definitions; harm that was put into one segment is found, and nothing else.
SET client_min_messages = warning;
CREATE EXTENSION guardrail;
-- every check is replayed
SET guardrail.all_inputs = on;
CREATE SCHEMA segment_test;
SET search_path = segment_test, public;
CREATE TYPE tier AS ENUM ('free', 'paid');
CREATE TABLE ev (experiment_id text, user_id bigint, variant text, device text, country text, tier tier, at timestamptz, ms float8, crashed boolean, bought boolean);
-- fine on average, terrible on mid-range Android phones in one country
INSERT INTO ev
SELECT 'shop', u, CASE WHEN u % 2 = 0 THEN 'control' ELSE 'treatment' END, device, country, CASE WHEN u % 14 < 7 THEN 'free' ELSE 'paid' END::tier, '2024-01-01'::timestamptz + u * interval '1 second',
  700 + 17 * ((u * 7919 + i * 104729) % 31) + CASE WHEN u % 2 = 1 AND device = 'android mid' AND country = 'BR' THEN 900 WHEN u % 2 = 1 THEN -8 ELSE 0 END,
  (u * 31 + i) % 97 = 0, (u * 13 + i) % 11 < 1 + u % 2
FROM (SELECT u, (ARRAY['android mid', 'android top', 'ios'])[1 + (u / 2) % 3] AS device, (ARRAY['BR', 'DE', 'ES', 'FR', 'IN', 'JP', 'MX', 'US', 'ZA', NULL])[1 + (u / 6) % 10] AS country FROM generate_series(1, 12000) u) units, generate_series(1, 3) i;
ANALYZE ev;
INSERT INTO guardrail_experiment (experiment_id, events, segments) VALUES ('shop', 'ev', ARRAY['device', 'country', $$device || ' / ' || country$$, 'tier']);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, quantile, worse, limit_kind, limit_value, evidence, severity, display_unit, alpha) VALUES
  ('shop', 'bought', 'primary', 'proportion', 'bought', NULL, 'lower', 'relative', 0, 'breach', 'block', NULL, 0.05),
  ('shop', 'load', 'guardrail', 'quantile', 'ms', 0.95, 'higher', 'difference', 200, 'breach', 'block', 'ms', 0.1),
  ('shop', 'wait', 'guardrail', 'ratio', 'ms', NULL, 'higher', 'relative', 0.2, 'safe', 'hold', NULL, 0.05),
  ('shop', 'crash', 'guardrail', 'proportion', 'crashed', NULL, 'higher', 'difference', 0.05, 'breach', 'warn', NULL, 0.1),
  ('shop', 'sla', 'guardrail', 'mean', 'ms', NULL, 'higher', 'absolute', 3500, 'point', 'block', 'ms', 0.1);

-- ---- the case: safe on the whole, and named where it is not
SELECT metric, status, reason FROM guardrail_evaluate('shop');
SELECT segment, value, metric, units_control, units_treatment, status, reason FROM guardrail_segment_evaluate('shop') WHERE status = 'BREACHED' ORDER BY effect DESC, metric;
SELECT segment, status, count(*), min(tests) AS tests FROM guardrail_segment_evaluate('shop') GROUP BY segment, status ORDER BY 1, 2;
SELECT verdict, status, reason FROM guardrail_decide('shop');
SELECT guardrail_status('shop');

-- ---- the oracle: an experiment over a view of the segment's rows

CREATE FUNCTION oracle(monitor text) RETURNS TABLE (cells bigint, segments bigint, judged bigint, differ bigint) LANGUAGE plpgsql AS $$
DECLARE s record; n int := 0;
BEGIN
  UPDATE guardrail_experiment SET monitoring = monitor WHERE experiment_id = 'shop';
  CREATE TABLE found AS SELECT * FROM guardrail_segment_evaluate('shop');
  CREATE TABLE wanted AS SELECT NULL::text AS segment, NULL::text AS value, * FROM guardrail_evaluate('shop') WHERE false;
  FOR s IN SELECT DISTINCT f.segment, f.value FROM found f LOOP
    n := n + 1;
    EXECUTE format('CREATE VIEW part%s AS SELECT * FROM ev WHERE (%s)::text IS NOT DISTINCT FROM %L', n, s.segment, s.value);
    INSERT INTO guardrail_experiment SELECT (jsonb_populate_record(e, jsonb_build_object('experiment_id', 'part ' || n, 'events', 'part' || n, 'experiment_column', NULL, 'segments', NULL, 'correction', 'none', 'time_column', 'at'))).* FROM guardrail_experiment e WHERE e.experiment_id = 'shop';
    INSERT INTO guardrail_rule SELECT (jsonb_populate_record(r, jsonb_build_object('experiment_id', 'part ' || n))).* FROM guardrail_rule r WHERE r.experiment_id = 'shop';
    INSERT INTO wanted SELECT s.segment, s.value, * FROM guardrail_evaluate('part ' || n) WHERE role = 'guardrail';
    DELETE FROM guardrail_experiment WHERE experiment_id = 'part ' || n;
    EXECUTE format('DROP VIEW part%s', n);
  END LOOP;
  RETURN QUERY SELECT count(*), count(DISTINCT (f.segment, f.value)), count(f.p_safe),
    count(*) FILTER (WHERE w.metric IS NULL OR f.metric IS NULL
      OR (f.variant, f.units_control, f.units_treatment, f.events_control, f.events_treatment, f.severity, f.kind, f.alpha) IS DISTINCT FROM (w.variant, w.units_control, w.units_treatment, w.events_control, w.events_treatment, w.severity, w.kind, w.alpha)
      OR EXISTS (SELECT FROM unnest(ARRAY[f.control_value, f.treatment_value, f.control_se, f.treatment_se, f.effect, f.effect_lower, f.effect_upper, f.p_breach, f.p_safe],
          ARRAY[w.control_value, w.treatment_value, w.control_se, w.treatment_se, w.effect, w.effect_lower, w.effect_upper, w.p_breach, w.p_safe]) AS x(got, want)
        WHERE NOT CASE WHEN got IS NULL OR want IS NULL OR got IN ('-Infinity', 'Infinity') THEN got IS NOT DISTINCT FROM want ELSE abs(got - want) <= 1e-12 * greatest(abs(want), 1e-300) + 1e-15 END)
      -- a status is the view's, but that an alarm must survive, and that a point rule raises none
      OR f.status IS DISTINCT FROM CASE WHEN f.evidence = 'point' THEN 'UNDECIDED' WHEN w.status = 'BREACHED' AND f.p_breach_adjusted > f.alpha THEN 'UNDECIDED' ELSE w.status END)
    FROM found f FULL JOIN wanted w ON f.segment = w.segment AND f.value IS NOT DISTINCT FROM w.value AND f.metric = w.metric;
  DROP TABLE found, wanted;
END $$;
UPDATE guardrail_experiment SET time_column = 'at', ends_at = '2024-02-01', min_units = 250 WHERE experiment_id = 'shop';
SELECT * FROM oracle('always_valid');
SELECT * FROM oracle('fixed');
-- a CUPED covariate and a cap are of the segment's own units too, and so are a window and different values
UPDATE guardrail_rule SET kind = 'mean', covariate = 'user_id % 50', cap_value = 4000, limit_value = 0.3 WHERE metric = 'wait';
UPDATE guardrail_rule SET window_length = '1 hour' WHERE metric = 'crash';
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES ('shop', 'waits', 'guardrail', 'distinct', 'ms > 1000', 'higher', 'relative', 0.5);
SELECT * FROM oracle('always_valid');

UPDATE guardrail_rule SET window_length = NULL WHERE metric = 'crash';
DELETE FROM guardrail_rule WHERE metric = 'waits';

-- ---- e-BH and BH from their definitions

-- weighted by each rule's own alpha: e alpha / 0.1 is held to 0.1, and p 0.1 / alpha
SELECT tests, count(*) AS rows, count(*) FILTER (WHERE status = 'BREACHED') AS alarms, bool_and((status = 'BREACHED') = coalesce(weighted >= ln(tests / (k * 0.1)), false)) AS as_defined
FROM (SELECT *, max(CASE WHEN weighted >= ln(tests / (rank * 0.1)) THEN rank ELSE 0 END) OVER () AS k
  FROM (SELECT *, log_e + ln(alpha / 0.1) AS weighted, rank() OVER (ORDER BY log_e + ln(alpha / 0.1) DESC NULLS LAST) AS rank FROM guardrail_segment_evaluate('shop') WHERE evidence <> 'point') f) g WHERE k > 0 GROUP BY tests;
SELECT bool_and(abs(p_breach - least(1, exp(-log_e))) <= 1e-13) AS p_is_one_over_e FROM guardrail_segment_evaluate('shop') WHERE log_e < 700;
UPDATE guardrail_experiment SET monitoring = 'fixed' WHERE experiment_id = 'shop';
SELECT tests, count(*) AS rows, count(log_e) AS e_values, count(*) FILTER (WHERE status = 'BREACHED') AS alarms, bool_and((status = 'BREACHED') = coalesce(weighted <= k * 0.1 / tests, false)) AS as_defined
FROM (SELECT *, max(CASE WHEN weighted <= rank * 0.1 / tests THEN rank ELSE 0 END) OVER () AS k
  FROM (SELECT *, p_breach * 0.1 / alpha AS weighted, rank() OVER (ORDER BY p_breach * 0.1 / alpha NULLS LAST) AS rank FROM guardrail_segment_evaluate('shop') WHERE evidence <> 'point') f) g GROUP BY tests;
-- the test is not over: nothing is concluded
UPDATE guardrail_experiment SET ends_at = NULL WHERE experiment_id = 'shop';
SELECT status, count(*), count(p_breach) AS p FROM guardrail_segment_evaluate('shop') GROUP BY 1;

-- ---- NULL is a segment of its own, and a unit seen with two values counts in both

UPDATE guardrail_experiment SET segments = '{country}', monitoring = NULL WHERE experiment_id = 'shop';
SELECT value, units_control + units_treatment AS units, (SELECT count(DISTINCT user_id) FROM ev WHERE country IS NOT DISTINCT FROM value) AS expected, reason LIKE '%where country is null%' AS of_null
FROM guardrail_segment_evaluate('shop') WHERE metric = 'crash' ORDER BY value;
CREATE TABLE moved (user_id int, variant text, place text, x float8);
INSERT INTO moved SELECT u, (ARRAY['control', 'treatment'])[1 + u % 2], CASE WHEN u <= 300 AND e = 2 THEN 'abroad' WHEN u % 3 = 0 THEN '(null)' WHEN u % 3 = 1 THEN NULL ELSE '' END, u % 7 FROM generate_series(1, 1200) u, generate_series(1, 2) e;
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, segments) VALUES ('moved', 'moved', NULL, '{place}');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES ('moved', 'm', 'guardrail', 'mean', 'x', 'higher', 'difference', 1);
SELECT value, units_control, units_treatment, events_control + events_treatment AS events FROM guardrail_segment_evaluate('moved') ORDER BY value;
SELECT units_control, units_treatment FROM guardrail_decide('moved');
-- no units, no segments
TRUNCATE moved;
SELECT count(*) FROM guardrail_segment_evaluate('moved');
UPDATE guardrail_experiment SET segments = NULL WHERE experiment_id = 'moved';
SELECT count(*) FROM guardrail_segment_evaluate('moved');

-- ---- too many values, too little memory: said, and the rest is judged

UPDATE guardrail_experiment SET segments = '{user_id,tier}' WHERE experiment_id = 'shop';
SELECT segment, value, metric, status, reason FROM guardrail_segment_evaluate('shop') WHERE metric = 'load' OR metric IS NULL;
-- fifty are not too many; text that looks like the marks of the scan is text
UPDATE guardrail_experiment SET segments = '{user_id % 50,user_id % 51,''o'' || tier}' WHERE experiment_id = 'shop';
SELECT segment, count(DISTINCT value) AS values, count(*) FILTER (WHERE metric IS NULL) AS not_judged FROM guardrail_segment_evaluate('shop') GROUP BY 1 ORDER BY 1;
UPDATE guardrail_experiment SET segments = '{device}' WHERE experiment_id = 'shop';
SET guardrail.unit_memory = '64kB';
SELECT segment, status, reason FROM guardrail_segment_evaluate('shop');
SELECT metric, units_treatment, status FROM guardrail_evaluate('shop') WHERE metric = 'load';
RESET guardrail.unit_memory;
SELECT _guardrail_segment_value(v, 2) FROM unnest(ARRAY['a', NULL, 'b', 'a', 'c', 'a', NULL]) v;
SELECT _guardrail_segment_value('a', 0);

-- ---- sorted instead of hashed, with parallel workers below: the same

UPDATE guardrail_experiment SET segments = '{device,country,user_id}' WHERE experiment_id = 'shop';
CREATE VIEW rounded AS SELECT segment, value, metric, status, units_control, units_treatment, events_control, round(effect::numeric, 9) AS effect, round(log_e::numeric, 6) AS log_e, tests FROM guardrail_segment_evaluate('shop');
CREATE TABLE hashed AS SELECT * FROM rounded;
SET enable_hashagg = off;
SELECT count(*) AS rows, count(*) FILTER (WHERE NOT EXISTS (SELECT FROM hashed h WHERE h IS NOT DISTINCT FROM r::text::hashed)) AS differ FROM rounded r;
SET max_parallel_workers_per_gather = 2;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT count(*) AS rows, count(*) FILTER (WHERE NOT EXISTS (SELECT FROM hashed h WHERE h IS NOT DISTINCT FROM r::text::hashed)) AS differ FROM rounded r;
RESET enable_hashagg;
SELECT count(*) AS rows, count(*) FILTER (WHERE NOT EXISTS (SELECT FROM hashed h WHERE h IS NOT DISTINCT FROM r::text::hashed)) AS differ FROM rounded r;
RESET max_parallel_workers_per_gather;
RESET parallel_setup_cost;
RESET parallel_tuple_cost;
RESET min_parallel_table_scan_size;

-- ---- what is refused

CREATE FUNCTION message(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE m text; h text;
BEGIN
  EXECUTE sql;
  RETURN 'ACCEPTED';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, h = PG_EXCEPTION_HINT;
  RETURN SQLSTATE || ': ' || m || E'\n  hint: ' || h;
END $$;
SELECT s AS segments, message(format('UPDATE guardrail_experiment SET segments = %s WHERE experiment_id = ''shop''', s)) FROM unnest(ARRAY[
  $$'{}'$$, $$'{{device},{country}}'$$, $$'{device,NULL}'$$, $$'{device,device}'$$, $$'{1,2,3,4,5,6,7,8,9}'$$, $$'{""}'$$, $$'{nowhere}'$$, $$'{"device, country"}'$$, $$ARRAY['device) || (country']$$,
  $$ARRAY['random()']$$, $$ARRAY['count(*)']$$, $$ARRAY['(SELECT 1)']$$, $$ARRAY['device; DROP TABLE ev']$$]) s;
SELECT s AS segments, message(format('UPDATE guardrail_experiment SET segments = %s WHERE experiment_id = ''shop''', s)) FROM unnest(ARRAY[
  $$ARRAY['device -- or its maker']$$, $$ARRAY['date_trunc(''day'', at)']$$, $$ARRAY['crashed']$$, $$ARRAY['ROW(device, country)']$$, $$ARRAY['''one''']$$, $$ARRAY['tier']$$]) s;
CREATE TABLE assigned AS SELECT DISTINCT experiment_id, user_id, variant, at AS exposed_at FROM ev;
ALTER TABLE ev ADD COLUMN event_id bigint GENERATED ALWAYS AS IDENTITY;
UPDATE guardrail_experiment SET segments = '{tier}' WHERE experiment_id = 'shop';
SELECT message($$UPDATE guardrail_experiment SET cursor_column = 'event_id' WHERE experiment_id = 'shop'$$), message($$UPDATE guardrail_experiment SET exposures = 'assigned' WHERE experiment_id = 'shop'$$);
SELECT metric, message(format('UPDATE guardrail_rule SET segment_veto = true WHERE experiment_id = ''shop'' AND metric = %L', metric)) FROM guardrail_rule WHERE experiment_id = 'shop' ORDER BY 1;
UPDATE guardrail_experiment SET segments = NULL WHERE experiment_id = 'shop';
SELECT guardrail_launch('shop');

-- ---- recorded: without a veto it is shown, with one it BLOCKs

UPDATE guardrail_experiment SET segments = ARRAY['device', $$device || ' / ' || country$$, 'user_id'], min_units = 100 WHERE experiment_id = 'shop';
UPDATE guardrail_rule SET segment_veto = NULL WHERE experiment_id = 'shop';
SELECT guardrail_launch('shop');
SET client_min_messages = notice;
CALL guardrail_check('shop');
SET client_min_messages = warning;
SELECT verdict, status FROM guardrail_verdict WHERE experiment_id = 'shop';
SELECT segment, value, metric, status, reason FROM guardrail_segment_result WHERE metric = 'load' AND status <> 'SAFE' OR metric IS NULL ORDER BY 1, 2;
SELECT count(*) AS rows, count(*) FILTER (WHERE to_jsonb(r) - '{checked_at,check_id,plan_version,state}'::text[] = to_jsonb(l) || jsonb_build_object('effect_lower', r.effect_lower, 'effect_upper', r.effect_upper) AND COALESCE(r.effect_lower, '-Infinity') = l.effect_lower AND COALESCE(r.effect_upper, 'Infinity') = l.effect_upper) AS as_live FROM guardrail_segment_result r FULL JOIN guardrail_segment_evaluate('shop') l USING (segment, value, metric) WHERE value IS NOT NULL;
SELECT guardrail_amend('shop', 'no segment may suffer', '{"rules": {"load": {"segment_veto": true}}}');
CALL guardrail_check('shop');
SELECT verdict, status, reason FROM guardrail_verdict WHERE experiment_id = 'shop';
-- the alarm stands when the harm is gone, and the segment too
UPDATE ev SET ms = 700 + 17 * (user_id % 31) WHERE device = 'android mid' AND country = 'BR';
CALL guardrail_check('shop');
SELECT verdict, reason FROM guardrail_verdict WHERE experiment_id = 'shop';
UPDATE ev SET country = NULL WHERE device = 'android mid' AND country = 'BR';
CALL guardrail_check('shop');
CALL guardrail_check('shop');
SELECT verdict, reason FROM guardrail_verdict WHERE experiment_id = 'shop';
SELECT verdict FROM guardrail_decide('shop');
-- a check that failed leaves no rows; the alarm stands over it, and after it
ALTER TABLE ev RENAME user_id TO unit_id;
SET client_min_messages = error;
CALL guardrail_check('shop');
SET client_min_messages = warning;
SELECT count(*) FROM guardrail_segment_result;
ALTER TABLE ev RENAME unit_id TO user_id;
CALL guardrail_check('shop');
SELECT verdict, status FROM guardrail_verdict WHERE experiment_id = 'shop';
-- every check replays, segments and all
SELECT c.check_id - min(c.check_id) OVER () AS check_no, r.verdict, r.identical, r.differences FROM (SELECT DISTINCT check_id FROM guardrail_check_log WHERE error IS NULL) c, guardrail_replay(c.check_id) r ORDER BY 1;
ALTER TABLE guardrail_segment_log DISABLE TRIGGER USER;
UPDATE guardrail_segment_log SET status = 'SAFE' WHERE check_id = (SELECT max(check_id) FROM guardrail_check_log) AND segment = 'device' AND metric = 'load' AND status = 'BREACHED';
SELECT identical, regexp_replace(differences, 'row \d+', 'row n') AS differences FROM guardrail_replay((SELECT max(check_id) FROM guardrail_check_log));
UPDATE guardrail_segment_log SET status = 'BREACHED' WHERE check_id = (SELECT max(check_id) FROM guardrail_check_log) AND segment = 'device' AND metric = 'load' AND value = 'android mid' ;
ALTER TABLE guardrail_segment_log ENABLE TRIGGER USER;
DELETE FROM guardrail_segment_log;
TRUNCATE guardrail_segment_input;
-- an amended plan begins anew
SELECT guardrail_amend('shop', 'the harm is mended', '{"experiment": {"segments": ["device"]}}');
CALL guardrail_check('shop');
SELECT verdict, status FROM guardrail_verdict WHERE experiment_id = 'shop';
-- rows go with their checks
SELECT guardrail_prune('0') > 0 AS pruned;
SELECT count(*) > 0 AS rows, count(*) FILTER (WHERE NOT EXISTS (SELECT FROM guardrail_check_log l WHERE l.check_id = s.check_id)) AS orphans FROM guardrail_segment_log s;
SELECT count(*) > 0 AS rows, count(*) FILTER (WHERE NOT EXISTS (SELECT FROM guardrail_check_log l WHERE l.check_id = s.check_id)) AS orphans FROM guardrail_segment_input s;
SELECT guardrail_amend('shop', 'no segments', '{"experiment": {"segments": null}}');
SELECT guardrail_amend('shop', 'no segments', '{"experiment": {"segments": null}, "rules": {"load": {"segment_veto": null}}}');
CALL guardrail_check('shop');
SELECT intact, finding FROM guardrail_verify('shop') ORDER BY version;

-- ---- group_sequential: BH over the design's p-values at each look, and between looks what stood

CREATE TABLE grow (experiment_id text, user_id int, variant text, place text, x float8);
INSERT INTO guardrail_experiment (experiment_id, events, planned_units, segments) VALUES ('grow', 'grow', 4000, '{place}');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value, segment_veto) VALUES
  ('grow', 'goal', 'primary', 'mean', 'user_id % 5', 'lower', 'difference', 0, NULL), ('grow', 'load', 'guardrail', 'mean', 'x', 'higher', 'difference', 1, true);
SELECT guardrail_launch('grow');
DO $$
BEGIN
  FOR i IN 0 .. 3 LOOP
    INSERT INTO grow SELECT 'grow', u, (ARRAY['control', 'treatment'])[1 + u % 2], (ARRAY['north', 'south', 'east', 'west'])[1 + u / 2 % 4], u % 7 + CASE WHEN u % 2 = 1 AND u / 2 % 4 = 1 THEN 3 ELSE 0 END FROM generate_series(i * 1000 + 1, i * 1000 + 1000) u;
    CALL guardrail_check('grow');
    CALL guardrail_check('grow');
  END LOOP;
END $$;
SELECT l.look_no, s.value, s.status, s.p_breach IS NULL AS between_looks, s.tests, regexp_replace(s.reason, '^[^;:]*', '') AS why FROM guardrail_segment_log s JOIN guardrail_check_log l USING (check_id) WHERE s.value IN ('south', 'west') AND s.experiment_id = 'grow' ORDER BY check_id, value LIMIT 8;
SELECT verdict, count(*), bool_and(r.identical) AS identical FROM guardrail_check_log l, LATERAL (SELECT identical FROM guardrail_replay(l.check_id)) r WHERE experiment_id = 'grow' GROUP BY 1;

SET client_min_messages = warning;
DROP SCHEMA segment_test CASCADE;
DROP EXTENSION guardrail;
