-- Running totals: a check takes out of them what a unit was and adds what it is, and reads no other unit.
--
-- Expected: the same functions with guardrail.use_slices off, which other tests hold against plain SQL: counts and quantiles
-- exactly, other numbers to 1e-12; totals and variances in plain SQL. The checksum of a watermark: CRC-32C in plain SQL.
SET client_min_messages = warning;
CREATE EXTENSION guardrail;
CREATE SCHEMA totals_test;
SET search_path = totals_test, public;

CREATE TABLE ev (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id int, variant text, x float8, w int, before float8);
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, cursor_column, monitoring, planned_units, max_crossover) VALUES ('e', 'ev', NULL, 'id', 'fixed', 100000000, 1);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, denominator, quantile, quantile_over, covariate, cap_value, worse, limit_kind, limit_value)
SELECT 'e', r.*, 'higher', 'difference', 1 FROM (VALUES
  ('x', 'primary', 'mean', 'x', NULL, NULL::float8, 'events', NULL, NULL::float8), ('per w', 'guardrail', 'ratio', 'x', 'w', NULL, 'events', NULL, NULL), ('adjusted', 'guardrail', 'mean', 'x', NULL, NULL, 'events', 'before', NULL),
  ('capped', 'guardrail', 'mean', 'x', NULL, NULL, 'events', NULL, 3), ('bought', 'guardrail', 'proportion', 'x > 2', NULL, NULL, 'events', NULL, NULL),
  ('median user', 'guardrail', 'quantile', 'w', NULL, 0.5, 'units', NULL, NULL), ('median', 'guardrail', 'quantile', 'x', NULL, 0.5, 'events', NULL, NULL)) AS r;
SET client_min_messages = error;
SELECT guardrail_launch('e');
SET client_min_messages = warning;

CREATE TABLE differing (how text, of bigint, differences bigint);
CREATE FUNCTION compare(how text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  CREATE TEMP TABLE stored ON COMMIT DROP AS SELECT * FROM guardrail_evaluate('e');
  CREATE TEMP TABLE verdict ON COMMIT DROP AS SELECT * FROM guardrail_decide('e');
  PERFORM set_config('guardrail.use_slices', 'off', true);
  INSERT INTO differing SELECT how, count(*), (SELECT count(*) FROM guardrail_decide('e') l FULL JOIN verdict v USING (variant) WHERE (l.verdict, l.crossover_units, l.units_treatment) IS DISTINCT FROM (v.verdict, v.crossover_units, v.units_treatment))
      + count(*) FILTER (WHERE (l.status, l.reason, l.units_control, l.units_treatment, l.events_control) IS DISTINCT FROM (s.status, s.reason, s.units_control, s.units_treatment, s.events_control)
         OR (l.kind = 'quantile' AND (l.control_value, l.treatment_value, l.effect_lower) IS DISTINCT FROM (s.control_value, s.treatment_value, s.effect_lower))
         OR abs(l.control_value - s.control_value) > 1e-12 * abs(l.control_value) OR abs(l.treatment_value - s.treatment_value) > 1e-12 * abs(l.treatment_value) OR abs(l.control_se - s.control_se) > 1e-12 * l.control_se OR abs(l.treatment_se - s.treatment_se) > 1e-12 * l.treatment_se
         OR (l.control_value IS NULL, l.treatment_se IS NULL, l.effect_lower IS NULL) IS DISTINCT FROM (s.control_value IS NULL, s.treatment_se IS NULL, s.effect_lower IS NULL))
    FROM guardrail_evaluate('e') l FULL JOIN stored s USING (metric, variant);
  PERFORM set_config('guardrail.use_slices', 'on', true);
  DROP TABLE stored, verdict;
END $$;

-- units come, are seen again, turn up in a second arm; values are NULL and not finite
SELECT setseed(0.25);
CREATE FUNCTION more(n int, users int) RETURNS void LANGUAGE sql AS $$
  INSERT INTO ev (user_id, variant, x, w, before)
  SELECT who, CASE WHEN (who % 2 = 0) <> (random() < 0.002) THEN 'control' ELSE 'treatment' END,
         CASE WHEN random() < 0.02 THEN NULL WHEN random() < 0.001 THEN 'NaN' WHEN random() < 0.0005 THEN '-Infinity' ELSE exp(2 * random()) END, 1 + who % 5, nullif(who % 7, 3)
    FROM (SELECT ceil(users * random())::int AS who FROM generate_series(1, n)) u $$;
DO $$
BEGIN
  FOR k IN 1 .. 20 LOOP
    PERFORM more(1 + 60 * (k % 7), 400 + 20 * k);
    IF k % 2 = 0 THEN PERFORM compare('unread tail'); END IF;
    CALL public.guardrail_check('e');
    PERFORM compare('checked');
  END LOOP;
END $$;
SELECT how, count(*) AS comparisons, min(of) AS metrics, sum(differences) AS differences FROM differing GROUP BY 1 ORDER BY 1;
SELECT error FROM guardrail_verdict;
SELECT totals IS NOT NULL AS kept FROM guardrail_watermark;
SELECT * FROM guardrail_audit('e');
-- in plain SQL
WITH users AS (SELECT user_id, min(variant) AS variant, COALESCE(sum(x) FILTER (WHERE x NOT IN ('NaN', 'Infinity', '-Infinity')), 0) AS x FROM ev GROUP BY 1 HAVING min(variant) = max(variant))
SELECT variant, units_control + units_treatment = (SELECT count(*) FROM users) AS units, abs(control_value / (SELECT avg(x) FROM users WHERE variant = 'control') - 1) < 1e-12 AS mean,
       abs(control_se / (SELECT stddev_samp(x) / sqrt(count(*)) FROM users WHERE variant = 'control') - 1) < 1e-12 AS se FROM guardrail_evaluate('e') WHERE metric = 'x';

-- the checksum of a watermark, whose columns and slices are taken as they are: so that it fits totals that somebody wrote
CREATE TABLE crc (remainders bigint[]);
INSERT INTO crc WITH RECURSIVE r (byte, crc, bits) AS (SELECT b, b::bigint, 0 FROM generate_series(0, 255) b
  UNION ALL SELECT byte, (crc >> 1) # CASE crc & 1 WHEN 1 THEN x'82F63B78'::bigint ELSE 0 END, bits + 1 FROM r WHERE bits < 8)
  SELECT array_agg(crc ORDER BY byte) FROM r WHERE bits = 8;
CREATE FUNCTION crc32c(bytes bytea) RETURNS bigint LANGUAGE plpgsql IMMUTABLE AS $$
DECLARE r bigint[] := (SELECT remainders FROM totals_test.crc); c bigint := x'FFFFFFFF'::bigint;
BEGIN
  FOR i IN 0 .. length(bytes) - 1 LOOP
    c := (c >> 8) # r[((c # get_byte(bytes, i)) & 255) + 1];
  END LOOP;
  RETURN c # x'FFFFFFFF'::bigint;
END $$;
SELECT crc32c('123456789') = x'E3069283'::bigint AS as_published;
CREATE FUNCTION measured(bytes bytea) RETURNS bytea LANGUAGE sql IMMUTABLE RETURN CASE WHEN bytes IS NULL THEN int8send(-1) ELSE int8send(length(bytes)) || bytes END;
CREATE FUNCTION fitting(id text) RETURNS bigint LANGUAGE sql STABLE AS $$
  SELECT totals_test.crc32c(int8send(fingerprint) || totals_test.measured(convert_to("position", 'UTF8')) || int8send(cardinality(arms))
      || (SELECT string_agg(totals_test.measured(convert_to(arm, 'UTF8')), '' ORDER BY i) FROM unnest(arms) WITH ORDINALITY a (arm, i)) || totals_test.measured(totals) || int8send(cardinality(seals))
      || (SELECT string_agg(int8send(slice) || int8send(seals[i]) || int8send(parts) || int8send(n) || totals_test.measured(convert_to(from_cursor, 'UTF8')) || totals_test.measured(convert_to(to_cursor, 'UTF8')), '' ORDER BY i)
          FROM (SELECT slice, row_number() OVER (ORDER BY slice) AS i, max(part)::bigint AS parts, sum(units)::bigint AS n, min(from_cursor) AS from_cursor, min(to_cursor) AS to_cursor FROM public.guardrail_slice WHERE experiment_id = id GROUP BY 1) s))
    FROM public.guardrail_watermark WHERE experiment_id = id $$;
SELECT checksum = fitting('e') AS as_documented, cardinality(seals) = (SELECT count(DISTINCT slice) FROM guardrail_slice) AS seals, units = (SELECT sum(units) FROM guardrail_slice) AS units FROM guardrail_watermark;
CREATE FUNCTION write_totals(id text, bytes bytea) RETURNS void LANGUAGE sql AS $$
  UPDATE public.guardrail_watermark SET totals = bytes WHERE experiment_id = id;
  UPDATE public.guardrail_watermark SET checksum = totals_test.fitting(id) WHERE experiment_id = id;
$$;

-- totals that are wrong are seen by an audit, and mended by a rebuild
TRUNCATE differing;
SELECT write_totals('e', set_byte(totals, 16, 1)) FROM guardrail_watermark;
SELECT from_cursor, to_cursor::bigint = (SELECT max(id) FROM ev) AS to_the_last, variant, what, stored - events AS more FROM guardrail_audit('e');
SELECT guardrail_rebuild('e') > 0 AS rebuilt;
SELECT * FROM guardrail_audit('e');
SELECT compare('rebuilt');
-- without any, as of an older version: the next check that stores something computes them
SELECT write_totals('e', NULL);
SELECT compare('none');
SELECT more(10, 400);
CALL guardrail_check('e');
SELECT compare('none before');
SELECT totals IS NOT NULL AS kept FROM guardrail_watermark;
CREATE FUNCTION tampered_are_seen() RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE seen boolean;
BEGIN
  PERFORM totals_test.write_totals('e', set_byte(totals, 16, 1)) FROM public.guardrail_watermark;
  SELECT count(*) > 0 INTO seen FROM public.guardrail_audit('e');
  RAISE SQLSTATE 'ZZ001';
EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
  RETURN seen;
END $$;
-- bytes that cannot be right are as good as none: the answer is the same, and a rebuild or the next check computes them again
CREATE FUNCTION damaged(bytes bytea) RETURNS text LANGUAGE plpgsql AS $$
DECLARE m text; same boolean;
BEGIN
  CREATE TEMP TABLE right_one ON COMMIT DROP AS SELECT * FROM guardrail_evaluate('e');
  PERFORM totals_test.write_totals('e', bytes);
  SELECT count(*) = 0 INTO same FROM guardrail_evaluate('e') d FULL JOIN right_one r USING (metric) WHERE (d.status, d.units_control, d.events_treatment, round(d.control_value::numeric, 9), round(d.treatment_se::numeric, 9))
    IS DISTINCT FROM (r.status, r.units_control, r.events_treatment, round(r.control_value::numeric, 9), round(r.treatment_se::numeric, 9));
  RAISE SQLSTATE 'ZZ001';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS m = MESSAGE_TEXT;
  RETURN CASE WHEN SQLSTATE <> 'ZZ001' THEN SQLSTATE || ': ' || m WHEN same THEN 'the same' ELSE 'another answer' END;
END $$;
SELECT damaged(substring(totals FOR n)), count(*) FROM guardrail_watermark, unnest('{0,1,4,5,9,17,20,60,300,700,1000,1500}'::int[]) n GROUP BY 1 ORDER BY 1;
SELECT damaged(totals || '\x00') FROM guardrail_watermark;
-- any byte may be another: an answer, never an error or a crash
SELECT count(*) FILTER (WHERE d NOT IN ('the same', 'another answer')) AS errors, count(*) > 100 AS many, count(*) FILTER (WHERE d = 'another answer') > 5 AS totals_are_used
  FROM (SELECT damaged(set_byte(totals, i, (get_byte(totals, i) + 1 + 37 * i) % 256)) AS d FROM guardrail_watermark, generate_series(0, length(totals) - 1, 101) i) x;
SELECT write_totals('e', substring(totals FOR 50)) FROM guardrail_watermark;
SELECT guardrail_rebuild('e') > 0 AS rebuilt;
SELECT tampered_are_seen();
SELECT write_totals('e', substring(totals FOR 50)) FROM guardrail_watermark;
SELECT more(10, 400);
CALL guardrail_check('e');
SELECT error FROM guardrail_verdict;
SELECT tampered_are_seen();
SELECT compare('mended');

-- what is huge comes and goes: what is left of the sums is not certain, and is computed from all units
INSERT INTO ev (user_id, variant, x, w) VALUES (7, 'treatment', 1e30, 1), (8, 'control', 1e200, 1), (9, 'treatment', 1e-200, 1);
CALL guardrail_check('e');
SELECT compare('huge');
INSERT INTO ev (user_id, variant, x, w) VALUES (7, 'control', 1, 1), (8, 'treatment', 1, 1);
CALL guardrail_check('e');
SELECT compare('gone');
SELECT more(50, 400);
CALL guardrail_check('e');
SELECT compare('afterwards');
SET client_min_messages = notice;
SELECT * FROM guardrail_audit('e');
SET client_min_messages = warning;
-- when more has come and gone than there is, the totals are computed again, and are certain: an audit looks at those only
SELECT tampered_are_seen();
DO $$
BEGIN
  FOR k IN 1 .. 6 LOOP
    PERFORM more(600, 400);
    CALL public.guardrail_check('e');
  END LOOP;
END $$;
SELECT tampered_are_seen();
SELECT compare('computed again');
SELECT * FROM differing;

-- sums of decimals are not the same in another order: what is taken out is what was put in, whatever is merged meanwhile
CREATE TABLE paid (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id int, variant text, amount numeric);
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, cursor_column, monitoring, planned_units) VALUES ('paid', 'paid', NULL, 'id', 'fixed', 100000000);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, quantile, quantile_over, worse, limit_kind, limit_value) VALUES
  ('paid', 'revenue', 'primary', 'mean', 'amount', NULL, 'events', 'lower', 'difference', 1), ('paid', 'payers', 'guardrail', 'proportion', 'amount', NULL, 'events', 'lower', 'difference', 1), ('paid', 'median', 'guardrail', 'quantile', 'amount', 0.5, 'units', 'lower', 'difference', 1);
SET client_min_messages = error;
SELECT guardrail_launch('paid');
SET client_min_messages = warning;
-- the sums lie on the edges of bins and on 0, where the last bit decides; refunds; one large, and returned
DO $$
BEGIN
  FOR k IN 1 .. 30 LOOP
    INSERT INTO totals_test.paid (user_id, variant, amount) SELECT u, CASE u % 2 WHEN 0 THEN 'control' ELSE 'treatment' END,
      (ARRAY[0.1, 0.2, 0.7, 0.6, -0.7, 0.3, -0.3, 0.4, 100000000.1, -100000000.1])[1 + (k * (1 + u % 3) + u) % CASE WHEN u % 20 < 2 THEN 10 ELSE 8 END] FROM generate_series(1 + 7 * (k % 3), 300, 1 + k % 4) u;
    CALL public.guardrail_check('paid');
  END LOOP;
END $$;
SELECT error FROM guardrail_verdict WHERE experiment_id = 'paid';
SET client_min_messages = notice;
SELECT * FROM guardrail_audit('paid') WHERE what LIKE 'running total%';
SET client_min_messages = warning;
SELECT count(DISTINCT slice) > 1 AS several_slices FROM guardrail_slice WHERE experiment_id = 'paid';
-- in pieces, with little memory, the totals are computed afterwards
SET guardrail.unit_memory = '64kB';
INSERT INTO paid (user_id, variant, amount) SELECT u, CASE u % 2 WHEN 0 THEN 'control' ELSE 'treatment' END, 0.1 * (u % 7) FROM generate_series(200, 3000) u;
CALL guardrail_check('paid');
RESET guardrail.unit_memory;
SELECT * FROM guardrail_audit('paid') WHERE what LIKE 'running total%';
SELECT totals IS NOT NULL AS kept FROM guardrail_watermark WHERE experiment_id = 'paid';
SELECT guardrail_rebuild('paid', from_cursor => '1000') BETWEEN 1 AND 20 AS some_rebuilt;
SELECT * FROM guardrail_audit('paid') WHERE what LIKE 'running total%';

-- a column that does not vary, and few units
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, cursor_column, monitoring, planned_units) VALUES ('constant', 'ev', NULL, 'id', 'fixed', 100000000);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, unit_aggregate, worse, limit_kind, limit_value) VALUES ('constant', 'one', 'primary', 'mean', '0.1', 'max', 'higher', 'difference', 1), ('constant', 'whole', 'guardrail', 'mean', '3', 'max', 'higher', 'difference', 1);
SET client_min_messages = error;
SELECT guardrail_launch('constant');
SET client_min_messages = warning;
CALL guardrail_check('constant');
SELECT more(100, 400);
CALL guardrail_check('constant');
SELECT metric, control_value, control_se, treatment_value, treatment_se FROM guardrail_evaluate('constant') ORDER BY 1;
SELECT error FROM guardrail_verdict WHERE experiment_id = 'constant';

-- what is kept of events' histograms is what lies around the quantiles: these move away and come back, lie far apart and close together,
-- and another is asked of the same values
CREATE TABLE drift (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id int, variant text, x float8);
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, cursor_column, monitoring, planned_units, max_crossover) VALUES ('drift', 'drift', NULL, 'id', 'fixed', 100000000, 1);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, quantile, quantile_over, worse, limit_kind, limit_value) VALUES
  ('drift', 'median', 'primary', 'quantile', 'x', 0.5, 'events', 'higher', 'difference', 1), ('drift', 'p95', 'guardrail', 'quantile', 'x', 0.95, 'events', 'higher', 'difference', 1),
  ('drift', 'least', 'guardrail', 'quantile', 'x', 0.01, 'events', 'higher', 'difference', 1);
SET client_min_messages = error;
SELECT guardrail_launch('drift');
SET client_min_messages = warning;
CREATE TABLE drifted (step int, metrics bigint, estimated bigint, differing bigint);
CREATE PROCEDURE drift(step int, x text, users int DEFAULT 700, times int DEFAULT 1, arms text[] DEFAULT '{control,treatment}') LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('INSERT INTO totals_test.drift (user_id, variant, x) SELECT u, (%L::text[])[1 + u %% 2], %s FROM generate_series(1, %s) u, generate_series(1, %s)', arms, x, users, times);
  CALL public.guardrail_check('drift');
  CREATE TEMP TABLE stored ON COMMIT DROP AS SELECT * FROM guardrail_evaluate('drift');
  PERFORM set_config('guardrail.use_slices', 'off', true);
  INSERT INTO totals_test.drifted SELECT step, count(*), count(l.effect_lower), count(*) FILTER (WHERE (l.control_value, l.treatment_value, l.control_se, l.effect_lower, l.events_control, l.status)
      IS DISTINCT FROM (s.control_value, s.treatment_value, s.control_se, s.effect_lower, s.events_control, s.status))
    FROM guardrail_evaluate('drift') l FULL JOIN stored s USING (metric, variant);
  PERFORM set_config('guardrail.use_slices', 'on', true);
  DROP TABLE stored;
END $$;
SELECT setseed(0.5);
CALL drift(1, '0');
CALL drift(2, '10 + random()');
-- more than little: from here on windows
CALL drift(3, '10 + 5 * random()', 700, 80);
CALL drift(4, '10.1 + 0.001 * random()');
DO $$ BEGIN FOR k IN 5 .. 10 LOOP CALL totals_test.drift(k, format('%s * random()', 2 ^ (3 * k)), 700, 20); END LOOP; END $$;
CALL drift(11, '-1e300 * random()');
CALL drift(12, 'CASE WHEN u % 3 = 0 THEN 1.7976931348623157e308 WHEN u % 3 = 1 THEN -1.7976931348623157e308 ELSE 1e-320 END');
-- units in a second arm, whose events go; and a third arm
CALL drift(13, 'random()', 100, 1, '{treatment,control}');
CALL drift(14, 'random()', 150, 1, '{control,third}');
SELECT guardrail_amend('drift', 'another quantile of the same', '{"rules": {"p90": {"role": "guardrail", "kind": "quantile", "value": "x", "quantile": 0.9, "quantile_over": "events", "worse": "higher", "limit_kind": "difference", "limit_value": 1}}}');
CALL drift(15, 'random()');
CALL drift(16, 'random()');
SELECT step, metrics, estimated, differing FROM drifted ORDER BY 1;
SELECT DISTINCT error FROM guardrail_verdict WHERE experiment_id = 'drift';
SET client_min_messages = notice;
SELECT * FROM guardrail_audit('drift');
SET client_min_messages = warning;
-- they are what checks use: one that is wrong is seen by an audit
CREATE FUNCTION seen_of(id text, bytes bytea) RETURNS text[] LANGUAGE plpgsql AS $$
DECLARE seen text[];
BEGIN
  PERFORM totals_test.write_totals(id, bytes);
  SELECT array_agg(what) INTO seen FROM public.guardrail_audit(id);
  RAISE SQLSTATE 'ZZ001';
EXCEPTION WHEN SQLSTATE 'ZZ001' THEN
  RETURN seen;
END $$;
SELECT DISTINCT what FROM guardrail_watermark, unnest(ARRAY[120, 300, 500]) i, unnest(seen_of('drift', set_byte(totals, i, (get_byte(totals, i) + 2) % 128))) what WHERE experiment_id = 'drift' ORDER BY 1;

-- with events that are too new to be stored, at every check, as in a table that is written all the time
CREATE TABLE timed (user_id int, variant text, x float8, at timestamptz NOT NULL);
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, cursor_column, monitoring, planned_units) VALUES ('timed', 'timed', NULL, 'at', 'fixed', 100000000);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, quantile, quantile_over, worse, limit_kind, limit_value) VALUES ('timed', 'p95', 'primary', 'quantile', 'x', 0.95, 'events', 'higher', 'difference', 1);
SET client_min_messages = error;
SELECT guardrail_launch('timed');
SET client_min_messages = warning;
INSERT INTO timed SELECT u % 500, CASE u % 2 WHEN 0 THEN 'control' ELSE 'treatment' END, 1 + 10 * random(), now() - interval '1 hour' FROM generate_series(1, 40000) u;
INSERT INTO timed SELECT u % 500, CASE u % 2 WHEN 0 THEN 'control' ELSE 'treatment' END, 1 + 10 * random(), now() FROM generate_series(1, 100) u;
CALL guardrail_check('timed');
SELECT sum(units) AS stored, (SELECT sum(events_control + events_treatment) FROM guardrail_evaluate('timed')) AS events FROM guardrail_slice WHERE experiment_id = 'timed';
SELECT error FROM guardrail_verdict WHERE experiment_id = 'timed';
SELECT * FROM guardrail_audit('timed');
SELECT DISTINCT what FROM guardrail_watermark, generate_series(length(totals) - 43, length(totals) - 36) i, unnest(seen_of('timed', set_byte(totals, i, (get_byte(totals, i) + 2) % 128))) what WHERE experiment_id = 'timed' ORDER BY 1;
SELECT guardrail_rebuild('timed');
SELECT DISTINCT what FROM guardrail_watermark, generate_series(length(totals) - 43, length(totals) - 36) i, unnest(seen_of('timed', set_byte(totals, i, (get_byte(totals, i) + 2) % 128))) what WHERE experiment_id = 'timed' ORDER BY 1;

DROP EXTENSION guardrail CASCADE;
DROP SCHEMA totals_test CASCADE;
