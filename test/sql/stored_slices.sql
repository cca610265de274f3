-- Rows of what is stored that somebody removed, doubled or changed, one at a time: live functions and checks give the numbers
-- that a scan of all events gives, or an error with a hint; never a crash, never other numbers.
--
-- Expected: the same functions with guardrail.use_slices off, before anything was changed.
SET client_min_messages = error;
CREATE EXTENSION guardrail;
CREATE SCHEMA stored_test;
SET search_path = stored_test, public;
CREATE TABLE ev (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, user_id int, variant text, x float8, before float8);
CREATE PROCEDURE more(first int, last int) LANGUAGE sql AS $$
  INSERT INTO ev (user_id, variant, x, before) SELECT u, CASE u % 2 WHEN 0 THEN 'control' ELSE 'treatment' END, 1 + u % 17 + u % 2 * 0.25, u % 5 FROM generate_series(first, last) u $$;
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, cursor_column, planned_units) SELECT e, 'ev', NULL, c, 2000 FROM (VALUES ('e', 'id'), ('other', 'id')) v (e, c);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, quantile, quantile_over, covariate, worse, limit_kind, limit_value) SELECT experiment_id, r.*, 'higher', 'difference', 5 FROM guardrail_experiment, (VALUES
  ('x', 'primary', 'mean', 'x', NULL::float8, 'events', 'before'), ('p90', 'guardrail', 'quantile', 'x', 0.9, 'events', NULL), ('median user', 'guardrail', 'quantile', 'x', 0.5, 'units', NULL), ('load', 'guardrail', 'ratio', 'x', NULL, 'events', NULL)) r;
SELECT guardrail_launch(experiment_id) FROM guardrail_experiment;
CALL more(1, 700);
CALL guardrail_check();
CALL more(701, 900);
CALL guardrail_check();
CALL more(841, 960);
CALL guardrail_check();
SELECT slice, count(*) - 1 AS parts, sum(units) AS units FROM guardrail_slice WHERE experiment_id = 'e' GROUP BY 1 ORDER BY 1;
SELECT experiment_id, seals IS NOT NULL AS seals, units, checksum IS NOT NULL AS checksum FROM guardrail_watermark ORDER BY 1;

-- rows are written as whoever restores a part of a dump does it
SET session_replication_role = replica;
CREATE VIEW answer AS SELECT md5(string_agg(format('%s %s %s %s %s %s %s %s', variant, metric, status, units_control, units_treatment, events_treatment, round(control_value::numeric, 9), round(effect_upper::numeric, 9)), ' ' ORDER BY metric)) AS a FROM guardrail_evaluate('e');
CREATE FUNCTION recorded() RETURNS text LANGUAGE sql AS $$
  SELECT md5(string_agg(format('%s %s %s %s %s %s %s %s', variant, metric, status, units_control, units_treatment, events_treatment, round(control_value::numeric, 9), round(effect_upper::numeric, 9)), ' ' ORDER BY metric)) FROM public.guardrail_result WHERE experiment_id = 'e' $$;
CREATE TABLE truth (a text, tail text, checked text, after text);
DO $$
DECLARE t stored_test.truth;
BEGIN
  PERFORM set_config('guardrail.use_slices', 'off', true);
  SELECT a INTO t.a FROM stored_test.answer;
  CALL stored_test.more(951, 980);
  SELECT a INTO t.tail FROM stored_test.answer;
  CALL public.guardrail_check('e');
  t.checked := stored_test.recorded();
  SELECT a INTO t.after FROM stored_test.answer;
  RAISE EXCEPTION 'truth' USING DETAIL = to_json(t);
EXCEPTION WHEN raise_exception THEN
  GET STACKED DIAGNOSTICS t.a = PG_EXCEPTION_DETAIL;
  INSERT INTO stored_test.truth SELECT * FROM json_populate_record(NULL::stored_test.truth, t.a::json);
END $$;
SELECT a <> tail AND tail = checked AND checked = after AS different FROM truth;

-- what is seen after a change: of the events as they are, of a tail that is not stored, of a check that stores it, and after that
CREATE FUNCTION seen(change text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE t stored_test.truth; said text := ''; hint text; state text; found text;
BEGIN
  SELECT * INTO t FROM stored_test.truth;
  EXECUTE change;
  SELECT a INTO found FROM stored_test.answer;
  said := CASE WHEN found = t.a THEN 'as before' ELSE 'other numbers' END;
  CALL stored_test.more(951, 980);
  SELECT a INTO found FROM stored_test.answer;
  said := said || CASE WHEN found = t.tail THEN '' ELSE ', other numbers with a tail' END;
  CALL public.guardrail_check('e');
  said := said || COALESCE((SELECT ', a check: ' || error FROM public.guardrail_verdict WHERE experiment_id = 'e'), CASE WHEN stored_test.recorded() = t.checked THEN '' ELSE ', other numbers recorded' END);
  SELECT a INTO found FROM stored_test.answer;
  said := said || CASE WHEN found = t.after THEN '' ELSE ', other numbers afterwards' END;
  RAISE SQLSTATE 'ZZ001';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, hint = PG_EXCEPTION_HINT;
  RETURN CASE WHEN state = 'ZZ001' THEN said ELSE format('%s %s%s', state, SQLERRM, CASE WHEN hint = '' THEN ', without a hint' ELSE '' END) END;
END $$;
SELECT seen('');

-- bytes that are cut, longer, or another
CREATE FUNCTION changed(bytes bytea, step int) RETURNS TABLE (how text, b bytea) LANGUAGE sql AS $$
  SELECT 'cut to ' || n, substring(bytes FOR n) FROM unnest(ARRAY[0, 1, 3, 4, 7, length(bytes) / 2, length(bytes) - 4, length(bytes) - 1]) n
  UNION ALL SELECT 'longer', bytes || '\x00' UNION ALL SELECT 'doubled', bytes || bytes
  UNION ALL SELECT 'byte ' || i, set_byte(bytes, i, (get_byte(bytes, i) + 1 + 37 * i) % 256) FROM generate_series(0, length(bytes) - 1, step) i
  UNION ALL SELECT 'bit ' || i, set_bit(bytes, i, 1 - get_bit(bytes, i)) FROM generate_series(3, 8 * length(bytes) - 1, 8 * step + 1) i $$;

ALTER TABLE guardrail_slice ALTER to_cursor DROP NOT NULL, ALTER units DROP NOT NULL, ALTER state DROP NOT NULL;
ALTER TABLE guardrail_watermark ALTER fingerprint DROP NOT NULL, ALTER arms DROP NOT NULL;
CREATE TABLE change (nr int GENERATED ALWAYS AS IDENTITY, what text, change text);
-- each row of the slices
INSERT INTO change (what, change)
SELECT format('slice %s part %s %s', slice, part, how), replace(replace(sql, '@', format('public.guardrail_slice s')), '#', format('s.experiment_id = ''e'' AND s.slice = %s AND s.part = %s', slice, part))
  FROM guardrail_slice, (VALUES ('removed', 'DELETE FROM @ WHERE #'), ('elsewhere', 'UPDATE @ SET experiment_id = ''nosuch'' WHERE #'), ('another slice', 'UPDATE @ SET slice = slice + 100 WHERE #'), ('another part', 'UPDATE @ SET part = part + 7 WHERE #'), ('a negative part', 'UPDATE @ SET part = -1 WHERE #'),
    ('NULL units', 'UPDATE @ SET units = NULL WHERE #'), ('no units', 'UPDATE @ SET units = -5 WHERE #'), ('many units', 'UPDATE @ SET units = 9223372036854775807 WHERE #'),
    ('NULL to', 'UPDATE @ SET to_cursor = NULL WHERE #'), ('nonsense to', 'UPDATE @ SET to_cursor = ''nonsense'' WHERE #'), ('another to', 'UPDATE @ SET to_cursor = ''500'' WHERE #'), ('nonsense from', 'UPDATE @ SET from_cursor = '''' WHERE #'), ('another from', 'UPDATE @ SET from_cursor = ''10'' WHERE #'),
    ('NULL', 'UPDATE @ SET state = NULL WHERE #'), ('of another part', 'UPDATE @ SET state = o.state FROM public.guardrail_slice o WHERE o.experiment_id = s.experiment_id AND (o.slice, o.part) <> (s.slice, s.part) AND #'),
    ('of another experiment', 'UPDATE @ SET state = o.state FROM public.guardrail_slice o WHERE o.experiment_id = ''other'' AND (o.slice, o.part) = (s.slice, s.part) AND #'),
    ('doubled', 'INSERT INTO public.guardrail_slice SELECT experiment_id, slice + 100, part, from_cursor, to_cursor, units, state FROM @ WHERE #'), ('one part more', 'INSERT INTO public.guardrail_slice SELECT experiment_id, slice, part + 1, from_cursor, to_cursor, units, state FROM @ WHERE # ON CONFLICT DO NOTHING')) v (how, sql)
 WHERE experiment_id = 'e';
INSERT INTO change (what, change)
SELECT format('slice %s part %s %s', slice, part, how), format('UPDATE public.guardrail_slice SET state = %L WHERE experiment_id = ''e'' AND slice = %s AND part = %s', b, slice, part)
  FROM guardrail_slice, changed(state, 1 + length(state) / 4) WHERE experiment_id = 'e' AND part < 2;
-- all of them, and the watermark
INSERT INTO change (what, change) SELECT what, replace(replace(sql, '#', 'experiment_id = ''e'''), '@', 'public.guardrail_') FROM (VALUES ('no slices', 'DELETE FROM @slice WHERE #'), ('nothing', 'TRUNCATE @slice, @watermark'), ('no heads', 'DELETE FROM @slice WHERE # AND part = 0'), ('only heads', 'DELETE FROM @slice WHERE # AND part > 0'),
    ('one slice of three', 'DELETE FROM @slice WHERE # AND slice > 1'), ('all doubled', 'INSERT INTO @slice SELECT experiment_id, slice + 100, part, from_cursor, to_cursor, units, state FROM @slice WHERE #'),
    ('too many slices', 'INSERT INTO @slice SELECT experiment_id, slice + 100 * i, part, from_cursor, to_cursor, units, state FROM @slice, generate_series(1, 300) i WHERE # AND part = 0'),
    ('of another experiment', 'DELETE FROM @slice WHERE #; UPDATE @slice SET # WHERE experiment_id = ''other'''), ('both of another', 'DELETE FROM @slice WHERE #; DELETE FROM @watermark WHERE #; UPDATE @slice SET # WHERE experiment_id = ''other''; UPDATE @watermark SET # WHERE experiment_id = ''other'''),
    ('no watermark', 'DELETE FROM @watermark WHERE #'), ('an older watermark', 'UPDATE @watermark SET seals = NULL, units = NULL, checksum = NULL WHERE #'), ('another watermark', 'UPDATE @watermark w SET (fingerprint, position, arms, totals, seals, units, checksum) = (SELECT fingerprint, position, arms, totals, seals, units, checksum FROM @watermark WHERE experiment_id = ''other'') WHERE #')) v (what, sql);
INSERT INTO change (what, change) SELECT format('watermark %s = %s', c, v), format('UPDATE public.guardrail_watermark SET %I = %s WHERE experiment_id = ''e''', c, COALESCE(v, 'NULL')) FROM (VALUES
    ('fingerprint', '{NULL,0,fingerprint + 1}'::text[]), ('position', '{NULL,'''',''nonsense'',''0'',''1000000'',''-1'',''700'',''99999999999999999999999''}'), ('seals', '{NULL,"''{}''",seals[1:1],"seals || seals","seals || ARRAY[NULL]::bigint[]","ARRAY[seals, seals]","ARRAY[seals[2], seals[1], seals[3]]","array_fill(1, ''{400}'')"}'),
    ('arms', '{NULL,"''{}''","''{control}''","''{treatment,control}''","''{control,NULL}''","''{{control,treatment}}''","''{control,treatment,third}''","''{control,control}''","array_fill(''x''::text, ''{300}'')"}'), ('units', '{NULL,0,-1,units + 1,9223372036854775807}'), ('checksum', '{NULL,0,-1,checksum + 1,checksum + 4294967296}'), ('totals', '{NULL}')) w (c, vs), unnest(vs) v;
INSERT INTO change (what, change) SELECT 'totals ' || how, format('UPDATE public.guardrail_watermark SET totals = %L WHERE experiment_id = ''e''', b) FROM guardrail_watermark, changed(totals, 1 + length(totals) / 15) WHERE experiment_id = 'e';
SELECT count(*) > 250 AS many FROM change;
SELECT said, count(*) > 200 AS many FROM (SELECT seen(change) AS said FROM change) c GROUP BY 1 ORDER BY 1;
-- an audit reads it, or says why it does not; a rebuild computes it again, whatever it is
CREATE FUNCTION mended(change text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE t stored_test.truth; found text; hint text;
BEGIN
  SELECT * INTO t FROM stored_test.truth;
  EXECUTE change;
  BEGIN
    PERFORM public.guardrail_audit('e');
  EXCEPTION WHEN data_corrupted THEN
    GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
    IF hint = '' THEN RAISE; END IF;
  WHEN invalid_text_representation OR numeric_value_out_of_range THEN
    -- a range that is none
  END;
  PERFORM public.guardrail_rebuild('e');
  SELECT a INTO found FROM stored_test.answer;
  RAISE SQLSTATE 'ZZ001' USING MESSAGE = CASE WHEN found <> t.a THEN 'other numbers' WHEN EXISTS (SELECT FROM public.guardrail_audit('e')) THEN 'differences' ELSE 'mended' END;
EXCEPTION WHEN OTHERS THEN
  RETURN CASE WHEN SQLSTATE = 'ZZ001' THEN SQLERRM ELSE SQLSTATE || ' ' || SQLERRM END;
END $$;
SELECT said, count(*) > 50 AS many FROM (SELECT mended(change) AS said FROM change WHERE nr % 4 = 1) c GROUP BY 1 ORDER BY 1;

-- columns of another type, and another key
CREATE TABLE retyped (change text);
INSERT INTO retyped SELECT format('ALTER TABLE public.guardrail_%s ALTER %I TYPE %s USING %s', t, c, type, COALESCE(expression, format('%I::%s', c, type))) FROM (VALUES
    ('watermark', 'fingerprint', '{text,numeric,float8}'::text[], NULL), ('watermark', 'position', '{bigint,name}', NULL), ('watermark', 'arms', '{text,varchar[]}', NULL), ('watermark', 'totals', '{text}', 'encode(totals, ''base64'')'), ('watermark', 'seals', '{text,numeric[]}', NULL),
    ('watermark', 'units', '{text,integer}', NULL), ('watermark', 'checksum', '{text,float8}', NULL), ('slice', 'slice', '{integer,text}', NULL), ('slice', 'part', '{bigint,text}', NULL), ('slice', 'units', '{text,numeric,integer}', NULL), ('slice', 'from_cursor', '{bigint}', NULL),
    ('slice', 'to_cursor', '{bigint}', NULL), ('slice', 'state', '{text}', 'encode(state, ''hex'')')) v (t, c, types, expression), unnest(types) type
  UNION ALL SELECT unnest(ARRAY['ALTER TABLE public.guardrail_slice DROP CONSTRAINT guardrail_slice_pkey', 'ALTER TABLE public.guardrail_slice DROP CONSTRAINT guardrail_slice_pkey, ADD PRIMARY KEY (slice, part, experiment_id)', 'ALTER TABLE public.guardrail_slice DROP state']);
SELECT change, seen(change) FROM retyped;

-- what checks were decided from
CREATE TABLE segmented AS SELECT u AS user_id, CASE u % 2 WHEN 0 THEN 'control' ELSE 'treatment' END AS variant, u % 3 AS device, 1 + u % 17 + u % 2 * (u % 3) * 10.0 AS x FROM generate_series(1, 1200) u;
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, segments, planned_units) VALUES ('segmented', 'segmented', NULL, '{device}', 1200);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, quantile, worse, limit_kind, limit_value, alpha, segment_veto) VALUES ('segmented', 'x', 'primary', 'mean', 'x', NULL, 'higher', 'difference', 5, 0.05, NULL), ('segmented', 'load', 'guardrail', 'mean', 'x', NULL, 'higher', 'difference', 5, 0.1, true), ('segmented', 'p90', 'guardrail', 'quantile', 'x', 0.9, 'higher', 'difference', 5, 0.1, NULL);
RESET session_replication_role;
SELECT guardrail_launch('segmented');
CALL guardrail_check('segmented');
SET session_replication_role = replica;
SELECT verdict, identical FROM guardrail_replay((SELECT check_id FROM guardrail_verdict WHERE experiment_id = 'segmented'));
SELECT count(*) AS segments FROM guardrail_segment_input;
CREATE TABLE replayed AS SELECT max(check_id) AS id, r.a FROM guardrail_check_input, LATERAL (SELECT md5(string_agg(r::text, ' ')) AS a FROM guardrail_replay(check_id) r) r WHERE experiment_id IN ('e', 'segmented') GROUP BY experiment_id, check_id, r.a;
CREATE FUNCTION replayed_after(change text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE hint text; other boolean;
BEGIN
  EXECUTE change;
  SELECT bool_or(a IS DISTINCT FROM (SELECT md5(string_agg(r::text, ' ')) FROM public.guardrail_replay(id) r)) INTO other FROM stored_test.replayed;
  RAISE SQLSTATE 'ZZ001';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS hint = PG_EXCEPTION_HINT;
  RETURN CASE WHEN SQLSTATE = 'ZZ001' THEN CASE WHEN other THEN 'other numbers' ELSE 'as before' END ELSE format('%s %s%s', SQLSTATE, regexp_replace(SQLERRM, '\d+', 'N', 'g'), CASE WHEN hint = '' THEN ', without a hint' ELSE '' END) END;
END $$;
SELECT replayed_after('');
ALTER TABLE guardrail_check_input ALTER experiment_id DROP NOT NULL, ALTER plan_version DROP NOT NULL, ALTER state DROP NOT NULL, ALTER ended DROP NOT NULL, ALTER spec DROP NOT NULL, ALTER metrics DROP NOT NULL, ALTER fingerprints DROP NOT NULL, ALTER collection DROP NOT NULL, ALTER past DROP NOT NULL, ALTER extension_version DROP NOT NULL;
ALTER TABLE guardrail_segment_input ALTER expression DROP NOT NULL, ALTER past DROP NOT NULL;
CREATE TABLE input_change (t text, c text, changed text, change text);
INSERT INTO input_change SELECT t, c, v, format('UPDATE public.guardrail_%s SET %I = %s WHERE check_id = %s', t, c, COALESCE(v, 'NULL'), id) FROM replayed, (VALUES
    ('check_input', 'experiment_id', '{NULL,'''',''other'',''nosuch''}'::text[]), ('check_input', 'plan_version', '{NULL,0,-1,2}'), ('check_input', 'state', '{NULL,'''',''draft'',''stopped'',''nonsense''}'), ('check_input', 'ended', '{NULL,NOT ended}'),
    ('check_input', 'spec', '{NULL,'''',''nonsense'',"replace(spec, ''v'', ''p'')","left(spec, 20)","spec || '',''","replace(spec, ''1'', ''0'')"}'), ('check_input', 'metrics', '{NULL,"''{}''","metrics || 1","metrics[1:1]","ARRAY[metrics, metrics]","array_replace(metrics, 1, 0)","array_replace(metrics, 0, NULL)","array_replace(metrics, 0, 1000000)","array_replace(metrics, 0, -1)"}'),
    ('check_input', 'fingerprints', '{NULL,"''{}''","fingerprints || 1::bigint","ARRAY[fingerprints]","array_replace(fingerprints, fingerprints[1], NULL)","array_replace(fingerprints, fingerprints[1], 0)"}'), ('check_input', 'checksum', '{NULL,0,-1,checksum + 1}'), ('check_input', 'extension_version', '{NULL,'''',''0.2.0''}'),
    ('segment_input', 'expression', '{NULL,-1,1,1000000}'), ('segment_input', 'value', '{NULL,'''',''3''}'), ('segment_input', 'why', '{'''',''so''}'), ('segment_input', 'collection', '{NULL,''''}'), ('segment_input', 'past', '{NULL,''''}'), ('segment_input', 'segment_no', '{-segment_no}')) w (t, c, vs), unnest(vs) v
  WHERE t = 'check_input' OR EXISTS (SELECT FROM guardrail_segment_input WHERE check_id = id);
INSERT INTO input_change SELECT 'check_input', column_name, how, format('UPDATE public.guardrail_check_input SET %I = %L WHERE check_id = %s', column_name, b, check_id) FROM guardrail_check_input JOIN replayed ON check_id = id, (VALUES ('collection'), ('past')) c (column_name), LATERAL changed(CASE column_name WHEN 'past' THEN past ELSE collection END, 1 + length(CASE column_name WHEN 'past' THEN past ELSE collection END) / 10);
INSERT INTO input_change SELECT 'segment_input', column_name, how, format('UPDATE public.guardrail_segment_input SET %I = %L WHERE (check_id, segment_no) = (%s, %s)', column_name, b, check_id, segment_no) FROM guardrail_segment_input, (VALUES ('collection'), ('past')) c (column_name), LATERAL changed(CASE column_name WHEN 'past' THEN past ELSE collection END, 1 + length(CASE column_name WHEN 'past' THEN past ELSE collection END) / 6) WHERE segment_no < 2;
INSERT INTO input_change SELECT 'segment_input', how, NULL, change FROM (VALUES ('removed', 'DELETE FROM public.guardrail_segment_input'), ('one removed', 'DELETE FROM public.guardrail_segment_input WHERE segment_no = 1'), ('doubled', 'INSERT INTO public.guardrail_segment_input SELECT check_id, segment_no + 10, expression, value, why, collection, past FROM public.guardrail_segment_input')) v (how, change);
SELECT count(*) > 150 AS many FROM input_change;
SELECT said, count(*) > 100 AS many FROM (SELECT replayed_after(change) AS said FROM input_change) c GROUP BY 1 ORDER BY 1;
-- a checksum that says nothing is believed of rows that older versions wrote: what reads the rest must stand any of it
SELECT DISTINCT left(said, 5) AS state FROM (SELECT replayed_after(format('UPDATE public.guardrail_check_input SET checksum = NULL, extension_version = ''0.2.0''; %s', change)) AS said FROM input_change) c WHERE said NOT LIKE 'XX001%' ORDER BY 1;
CREATE TABLE input_retyped (change text);
INSERT INTO input_retyped SELECT format('ALTER TABLE public.guardrail_%s ALTER %I TYPE %s USING %s', t, c, type, COALESCE(expression, format('%I::%s', c, type))) FROM (VALUES ('check_input', 'experiment_id', '{name}'::text[], NULL), ('check_input', 'plan_version', '{text,bigint,float8}', NULL), ('check_input', 'state', '{name}', NULL), ('check_input', 'ended', '{text,integer}', NULL),
    ('check_input', 'metrics', '{bigint[],text}', NULL), ('check_input', 'fingerprints', '{numeric[],text}', NULL), ('check_input', 'collection', '{text}', 'encode(collection, ''hex'')'), ('check_input', 'past', '{text}', NULL), ('check_input', 'checksum', '{text,float8}', NULL), ('segment_input', 'expression', '{text,bigint}', NULL), ('segment_input', 'past', '{text}', NULL),
    ('segment_input', 'collection', '{text}', NULL), ('segment_input', 'why', '{name}', NULL)) v (t, c, types, expression), unnest(types) type;
SELECT change, replayed_after(change) FROM input_retyped;

-- what looks and least p-values left behind
SELECT count(*) > 0 AS looks FROM guardrail_look_state WHERE experiment_id = 'e';
SELECT count(*) > 0 AS samples FROM guardrail_witness WHERE experiment_id = 'e';
ALTER TABLE guardrail_look_state ALTER bounds DROP NOT NULL, ALTER state DROP NOT NULL;
CREATE TABLE look_change (change text);
INSERT INTO look_change SELECT format('UPDATE public.guardrail_look_state SET %I = %s WHERE experiment_id = ''e''', c, COALESCE(v, 'NULL')) FROM (VALUES ('bounds', '{NULL,"''{}''","bounds || 1::float8","array_fill(1::float8, ARRAY[cardinality(bounds)])","array_fill(''NaN''::float8, ARRAY[cardinality(bounds)])","array_fill(NULL::float8, ARRAY[cardinality(bounds)])","ARRAY[bounds]"}'::text[]),
    ('kind', '{kind + 10,-1 - kind}'), ('level', '{level * 7,-level}'), ('looks', '{looks + 1,-1}'), ('plan_version', '{7}'), ('state', '{NULL}')) w (c, vs), unnest(vs) v;
INSERT INTO look_change SELECT format('UPDATE public.guardrail_look_state SET state = %L WHERE experiment_id = ''e'' AND kind = %s AND level = %s', b, kind, level) FROM (SELECT * FROM guardrail_look_state WHERE experiment_id = 'e' ORDER BY kind, level LIMIT 1) l, changed(state, 1 + length(state) / 6);
SELECT count(*) > 25 AS many, count(*) FILTER (WHERE said <> 'as before') AS otherwise FROM (SELECT seen(change) AS said FROM look_change) c;
SELECT said, count(*) > 10 AS many FROM (SELECT regexp_replace(seen(format('UPDATE public.guardrail_witness SET samples = %L WHERE experiment_id = ''e'' AND (variant, metric, test) = (%L, %L, %s)', b, variant, metric, test)), 'metric "[^"]*"|\d+(?= *,)', '', 'g') AS said
  FROM (SELECT DISTINCT ON (metric) * FROM guardrail_witness WHERE experiment_id = 'e' ORDER BY metric, check_id DESC, test) l, changed(samples, 1 + length(samples) / 2)) c GROUP BY 1 ORDER BY 1;
-- anything in the log: an answer or an error
SELECT count(*) > 50 AS many, count(*) FILTER (WHERE seen(format('UPDATE public.guardrail_%s SET %I = %s WHERE experiment_id = ''e''', t, c, COALESCE(v, 'NULL'))) IS NULL) AS no_answer FROM (VALUES
    ('check_log', 'information', '{NULL,''NaN'',-1,0,1e308,''-Infinity''}'::text[]), ('check_log', 'look_no', '{NULL,0,-5,2147483647}'), ('check_log', 'srm_p', '{NULL,''NaN'',-1,2}'), ('check_log', 'status', '{NULL,''''}'), ('check_log', 'verdict', '{'''',''nonsense''}'), ('check_log', 'plan_version', '{NULL,0,7}'), ('check_log', 'checked_at', '{''infinity'',''-infinity''}'),
    ('result_log', 'status', '{NULL,'''',''BREACHED'',''nonsense''}'), ('result_log', 'alpha', '{NULL,''NaN'',-1,0,1e300}'), ('result_log', 'p_breach', '{NULL,''NaN'',-1,0,2,1e-320}'), ('result_log', 'p_safe', '{NULL,''NaN'',-1,0,2}'), ('result_log', 'p_value', '{NULL,''NaN'',-1,0,2}'), ('result_log', 'n_compared', '{NULL,''NaN'',-1,0,1e308}'), ('result_log', 'look_no', '{NULL,0,-5,2147483647}'),
    ('result_log', 'breach_check', '{NULL,0,-1,9223372036854775807}'), ('result_log', 'fingerprint', '{NULL,0}'), ('result_log', 'treatment_se', '{NULL,''NaN'',-1,''Infinity''}'), ('witness', 'check_id', '{0,-1}'), ('result_log', 'plan_version', '{NULL,7}')) w (t, c, vs), unnest(vs) v;
RESET session_replication_role;
DROP SCHEMA stored_test CASCADE;
DROP EXTENSION guardrail;
