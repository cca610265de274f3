-- A year of checks: which of them store inputs, what replay says of the others, the state of looks after a stop,
-- guardrail_archive and guardrail_discard.
--
-- Expected, counted by hand: inputs are stored by the first check of a plan version, by looks, by a check whose verdict or
-- status differs from the one before, by the first check of a day, and by all checks while guardrail.all_inputs is on.
-- An archive has every row that the tables had, column by column, and leaves none in them.

\set VERBOSITY default
SET client_min_messages = warning;
CREATE SCHEMA year_test;
SET search_path = year_test;
CREATE EXTENSION guardrail;
CREATE TABLE ev AS
  SELECT 'shop' AS experiment_id, i AS user_id, CASE WHEN i % 2 = 0 THEN 'control' ELSE 'treatment' END AS variant, 100 + i % 7 AS load, i % 5 AS goal FROM generate_series(1, 400) i;
CREATE FUNCTION new_experiment(id text, units bigint DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
  INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, planned_units, segments) VALUES (id, 'ev', NULL, units, '{user_id % 2}');
  INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES
    (id, 'goal', 'primary', 'mean', 'goal', 'lower', 'difference', 0), (id, 'load', 'guardrail', 'mean', 'load', 'higher', 'difference', 20);
$$;
-- the checks of an experiment, in order: with inputs or without
CREATE VIEW stored AS
  SELECT experiment_id, string_agg(CASE WHEN EXISTS (SELECT FROM guardrail_check_input i WHERE i.check_id = l.check_id) THEN 'x' ELSE '.' END, '' ORDER BY check_id) AS inputs
  FROM (SELECT DISTINCT experiment_id, check_id FROM guardrail_check_log) l GROUP BY 1;

-- ---- which checks store inputs

SELECT new_experiment('shop');
SELECT count(guardrail_launch('shop'));
CALL guardrail_check('shop');
CALL guardrail_check('shop');
CALL guardrail_check('shop');
SELECT * FROM stored;
-- it breaks, and stays broken
UPDATE ev SET load = load + 50 WHERE variant = 'treatment';
CALL guardrail_check('shop');
CALL guardrail_check('shop');
SELECT DISTINCT check_id, verdict, status FROM guardrail_check_log ORDER BY 1;
SELECT * FROM stored;
-- a check that fails stores nothing; the BLOCK stands meanwhile, so that the next says nothing new
ALTER TABLE ev RENAME variant TO arm;
CALL guardrail_check('shop');
ALTER TABLE ev RENAME arm TO variant;
CALL guardrail_check('shop');
CALL guardrail_check('shop');
SELECT * FROM stored;
SET guardrail.all_inputs = on;
CALL guardrail_check('shop');
RESET guardrail.all_inputs;
-- an amendment, and a day
SELECT guardrail_amend('shop', 'a note', '{"rules": {"load": {"note": "as always"}}}') AS version;
CALL guardrail_check('shop');
CALL guardrail_check('shop');
SET session_replication_role = replica;
UPDATE guardrail_check_input SET checked_at = checked_at - interval '1 day';
RESET session_replication_role;
CALL guardrail_check('shop');
CALL guardrail_check('shop');
SELECT * FROM stored;
-- an arm that comes, and goes
INSERT INTO ev SELECT 'shop', 1000 + i, 'second', 100, 1 FROM generate_series(1, 150) i;
CALL guardrail_check('shop');
CALL guardrail_check('shop');
SELECT * FROM stored;
SELECT count(*) AS replayed, bool_and(identical) AS identical FROM (SELECT check_id FROM guardrail_check_input) i, guardrail_replay(i.check_id);

-- a secondary metric that fails changes no status, and yet what the next check tries first
SELECT new_experiment('failing');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES ('failing', 'inverse', 'secondary', 'mean', '1.0 / goal', 'lower', 'difference', 0);
UPDATE ev SET goal = goal + 1;
SELECT count(guardrail_launch('failing'));
CALL guardrail_check('failing');
CALL guardrail_check('failing');
UPDATE ev SET goal = goal - 1;
CALL guardrail_check('failing');
CALL guardrail_check('failing');
UPDATE ev SET goal = goal + 1;
CALL guardrail_check('failing');
CALL guardrail_check('failing');
UPDATE ev SET goal = goal - 1;
SELECT * FROM stored WHERE experiment_id = 'failing';
SELECT string_agg(DISTINCT status, ', ') AS statuses FROM guardrail_check_log WHERE experiment_id = 'failing' AND variant = 'treatment';

-- ---- what replay says of the others

SELECT guardrail_replay(2);
SELECT guardrail_replay(6);
SELECT guardrail_replay((SELECT max(check_id) FROM guardrail_check_log));
SELECT guardrail_replay(1000);

-- ---- looks

SELECT new_experiment('looks', 1000);
SELECT count(guardrail_launch('looks'));
CALL guardrail_check('looks');
CALL guardrail_check('looks');
SELECT inputs, (SELECT count(*) > 0 FROM guardrail_look_state) AS state FROM stored WHERE experiment_id = 'looks';
INSERT INTO ev SELECT 'shop', 2000 + i, CASE WHEN i % 2 = 0 THEN 'control' ELSE 'treatment' END, 100, i % 5 FROM generate_series(1, 100) i;
CALL guardrail_check('looks');
SELECT inputs, (SELECT max(look_no) FROM guardrail_check_log WHERE experiment_id = 'looks') AS looks FROM stored WHERE experiment_id = 'looks';
CREATE TABLE before AS SELECT variant, metric, effect_lower, effect_upper FROM guardrail_evaluate('looks');
SELECT count(guardrail_stop('looks'));
SELECT count(*) AS state FROM guardrail_look_state;
-- the bounds are those of before, and a look after the end leaves no state
SELECT count(*) FROM (TABLE before EXCEPT SELECT variant, metric, effect_lower, effect_upper FROM guardrail_evaluate('looks')) d;
INSERT INTO ev SELECT 'shop', 3000 + i, CASE WHEN i % 2 = 0 THEN 'control' ELSE 'treatment' END, 100, i % 5 FROM generate_series(1, 100) i;
CALL guardrail_check('looks');
SELECT max(look_no) AS looks, (SELECT count(*) FROM guardrail_look_state) AS state FROM guardrail_check_log WHERE experiment_id = 'looks';

-- ---- prune: results go before verdicts

-- all checks are made a month old
SET session_replication_role = replica;
UPDATE guardrail_check_log SET checked_at = checked_at - interval '30 days';
UPDATE guardrail_experiment SET launched_at = launched_at - interval '30 days';
UPDATE guardrail_result_log SET checked_at = checked_at - interval '30 days';
RESET session_replication_role;
CREATE TABLE verdict_before AS TABLE guardrail_verdict;
CREATE TABLE result_view_before AS TABLE guardrail_result;
CREATE TABLE log_before AS TABLE guardrail_check_log;
CREATE TABLE result_log_before AS TABLE guardrail_result_log;
CREATE TABLE decided_before AS SELECT d.* FROM unnest('{shop,looks}'::text[]) e, guardrail_evaluate(e) d;
SELECT guardrail_prune('90 days', NULL);
SELECT guardrail_prune(NULL, '7 days');
SELECT guardrail_prune('90 days', '-7 days');
SELECT guardrail_prune('90 days', '31 days') AS nothing;
SELECT guardrail_prune('90 days', '7 days') AS thinned \gset
SELECT :thinned > 0 AS some, :thinned = count(DISTINCT check_id) AS counted FROM result_log_before b WHERE NOT EXISTS (SELECT FROM guardrail_result_log r WHERE r.check_id = b.check_id);
SELECT guardrail_prune('90 days', '7 days') AS again;
SELECT count(*) AS verdicts_differ FROM ((TABLE log_before EXCEPT TABLE guardrail_check_log) UNION ALL (TABLE guardrail_check_log EXCEPT TABLE log_before)) d;
SELECT count(*) AS differ FROM ((TABLE verdict_before EXCEPT TABLE guardrail_verdict) UNION ALL (TABLE guardrail_verdict EXCEPT TABLE verdict_before)) d;
SELECT count(*) AS differ FROM ((TABLE result_view_before EXCEPT TABLE guardrail_result) UNION ALL (TABLE guardrail_result EXCEPT TABLE result_view_before)) d;
SELECT count(*) AS differ FROM (TABLE decided_before EXCEPT SELECT d.* FROM unnest('{shop,looks}'::text[]) e, guardrail_evaluate(e) d) d;
-- a check that can be replayed has its results
SELECT count(*) AS replayed, bool_and(identical) AS identical FROM (SELECT check_id FROM guardrail_check_input) i, guardrail_replay(i.check_id);
SELECT guardrail_prune('7 days', '7 days') > 0 AS removed;
SELECT count(*) AS differ FROM (TABLE decided_before EXCEPT SELECT d.* FROM unnest('{shop,looks}'::text[]) e, guardrail_evaluate(e) d) d;

-- ---- archive

SELECT guardrail_archive('shop');
SELECT new_experiment('draft');
SELECT guardrail_archive('draft');
SELECT guardrail_archive('nosuch');
SELECT guardrail_archive(NULL);
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT guardrail_archive('looks');
ROLLBACK;
CREATE ROLE regress_guardrail_reader;
GRANT USAGE ON SCHEMA year_test TO regress_guardrail_reader;
GRANT SELECT ON ALL TABLES IN SCHEMA year_test TO regress_guardrail_reader;
SET ROLE regress_guardrail_reader;
SELECT guardrail_archive('looks');
SELECT guardrail_discard('shop', 'not mine');
RESET ROLE;
-- the tables of the extension with rows of an experiment: an archive has those that are no cache
CREATE FUNCTION left_of(id text) RETURNS TABLE (name text, n bigint) LANGUAGE plpgsql AS $$
BEGIN
  FOR name IN SELECT c.relname FROM pg_depend d JOIN pg_class c ON c.oid = d.objid JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'experiment_id'
      WHERE d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'guardrail') AND d.refclassid = 'pg_extension'::regclass AND d.classid = 'pg_class'::regclass AND c.relkind = 'r' ORDER BY 1 LOOP
    EXECUTE format('SELECT count(*) FROM %I WHERE experiment_id = $1', name) INTO n USING id;
    IF n > 0 THEN RETURN NEXT; END IF;
  END LOOP;
END $$;
SELECT count(guardrail_stop('shop'));
CREATE TABLE kept_before AS SELECT * FROM left_of('shop');
CREATE TABLE result_before AS SELECT * FROM guardrail_result_log WHERE experiment_id = 'shop';
CREATE TABLE input_before AS SELECT * FROM guardrail_check_input WHERE experiment_id = 'shop';
CREATE TABLE archive AS SELECT guardrail_archive('shop') AS d;
SELECT d ->> 'format' AS format, d ->> 'experiment_id' AS id, d ->> 'archived_by' = session_user AS made_by, d ->> 'extension_version' = (SELECT extversion FROM pg_extension WHERE extname = 'guardrail') AS version,
  jsonb_array_length(d -> 'tables' -> 'guardrail_plan') AS plans, jsonb_array_length(d -> 'tables' -> 'guardrail_rule') AS rules, d #>> '{tables,guardrail_experiment,0,state}' AS state FROM archive;
SELECT b.name, b.n = jsonb_array_length(d -> 'tables' -> b.name) AS complete FROM kept_before b, archive WHERE d -> 'tables' ? b.name ORDER BY 1;
SELECT count(*) AS cached FROM archive, jsonb_object_keys(d -> 'tables') k WHERE k IN ('guardrail_look_state', 'guardrail_watermark', 'guardrail_slice');
SELECT count(*) AS differ FROM ((TABLE result_before EXCEPT SELECT r.* FROM archive, jsonb_populate_recordset(NULL::guardrail_result_log, d -> 'tables' -> 'guardrail_result_log') r)
  UNION ALL (SELECT r.* FROM archive, jsonb_populate_recordset(NULL::guardrail_result_log, d -> 'tables' -> 'guardrail_result_log') r EXCEPT TABLE result_before)) x;
SELECT count(*) AS differ FROM (SELECT check_id, spec, metrics, collection, past, checksum FROM input_before
  EXCEPT SELECT check_id, spec, metrics, collection, past, checksum FROM archive, jsonb_populate_recordset(NULL::guardrail_check_input, d -> 'tables' -> 'guardrail_check_input') r) x;
SELECT * FROM left_of('shop');
SELECT count(*) AS orphans FROM guardrail_segment_input s WHERE NOT EXISTS (SELECT FROM guardrail_check_log l WHERE l.check_id = s.check_id);
-- the others are as they were, and the tables as closed
SELECT name, n > 0 AS some FROM left_of('looks');
SELECT bool_and(intact) AS intact FROM guardrail_verify('looks');
DELETE FROM guardrail_check_log;
DELETE FROM guardrail_experiment WHERE experiment_id = 'looks';
DELETE FROM guardrail_rule WHERE experiment_id = 'looks';
TRUNCATE guardrail_plan;
SELECT guardrail_verify('shop');
-- the name is free
DELETE FROM ev WHERE variant = 'second';
UPDATE ev SET load = 100 WHERE variant = 'treatment';
SELECT new_experiment('shop');
SELECT count(guardrail_launch('shop'));
SELECT version, previous_hash IS NULL AS first FROM guardrail_plan WHERE experiment_id = 'shop';

-- ---- discard

CALL guardrail_check('shop');
SELECT verdict FROM guardrail_verdict WHERE experiment_id = 'shop' ORDER BY variant;
SELECT guardrail_discard('draft', 'never launched');
SELECT guardrail_discard('shop', ' ');
SELECT guardrail_discard('shop', NULL);
SELECT guardrail_discard('nosuch', 'x');
SELECT count(guardrail_discard('shop', 'launched with the wrong control'));
SELECT * FROM left_of('shop');
SELECT version, reason, after_data, intact, finding FROM guardrail_verify('shop');
SELECT v.version, v.plan_hash = encode(sha256(convert_to(p.plan, 'UTF8')), 'hex') AS hash, p.previous_hash = lag(p.plan_hash) OVER (ORDER BY p.version) AS follows
  FROM guardrail_verify('shop') v JOIN guardrail_plan p ON p.experiment_id = 'shop' AND p.version = v.version;
SELECT guardrail_status('shop');
SELECT guardrail_discard('shop', 'again');
-- used again: the chain goes on
SELECT new_experiment('shop');
SELECT count(guardrail_launch('shop'));
CALL guardrail_check('shop');
SELECT version, reason, intact, finding FROM guardrail_verify('shop');
SELECT verdict, status, plan_version FROM guardrail_verdict WHERE experiment_id = 'shop' ORDER BY variant;
-- one that was decided stays
UPDATE ev SET load = load + 50 WHERE variant = 'treatment';
CALL guardrail_check('shop');
DO $$ BEGIN PERFORM guardrail_discard('shop', 'inconvenient'); EXCEPTION WHEN object_not_in_prerequisite_state THEN RAISE WARNING '%', regexp_replace(SQLERRM, 'check \d+', 'check n'); END $$;
SELECT count(*) FROM guardrail_verdict WHERE experiment_id = 'shop';
-- without the events
SELECT new_experiment('gone');
SELECT count(guardrail_launch('gone'));
DROP TABLE ev;
SELECT count(guardrail_discard('gone', 'its events are gone'));
SELECT version, reason, after_data, intact FROM guardrail_verify('gone');
SELECT count(guardrail_stop('shop'));
SELECT jsonb_array_length(guardrail_archive('shop') -> 'tables' -> 'guardrail_plan') AS plans;

DROP OWNED BY regress_guardrail_reader;
DROP ROLE regress_guardrail_reader;
DROP SCHEMA year_test CASCADE;
