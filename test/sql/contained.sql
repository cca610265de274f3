-- What the text of an experiment's owner does beside reading is refused, or undone when the events are read: notifications,
-- large objects, advisory locks of the session, settings, temporary tables. And what no statement could hold is refused when
-- it is written: a rule too many, an expression too long.
--
-- Expected: the session has the locks and settings that it had, counted by hand, and hears of nothing but checks. 237 rules:
-- 1,664 columns are the server's most, four are the statement's own, and each rule has seven.
SET client_min_messages = error;
\set VERBOSITY terse
CREATE SCHEMA contained_test;
CREATE EXTENSION guardrail SCHEMA contained_test;
CREATE ROLE regress_guardrail_contained;
GRANT USAGE, CREATE ON SCHEMA contained_test TO regress_guardrail_contained;
SET search_path = contained_test;
CREATE TABLE ev AS SELECT i AS user_id, CASE WHEN i % 2 = 0 THEN 'control' ELSE 'treatment' END AS variant, 100 + i % 7 AS x FROM generate_series(1, 400) i;
GRANT SELECT ON ev TO regress_guardrail_contained;
SET ROLE regress_guardrail_contained;
CREATE FUNCTION locks(x int) RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN PERFORM pg_advisory_lock(1), pg_advisory_lock(2), pg_advisory_lock_shared(3), pg_advisory_lock(4, 5); RETURN x; END $$;
CREATE FUNCTION locks_and_fails(x int) RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN PERFORM pg_advisory_lock(1); RETURN x / 0; END $$;
CREATE FUNCTION unlocks(x int) RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN PERFORM pg_advisory_unlock_all(); RETURN x; END $$;
CREATE FUNCTION notifies(x int) RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN PERFORM pg_notify('guardrail', 'forged'); RETURN x; END $$;
CREATE FUNCTION makes_large(x int) RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN PERFORM lo_from_bytea(0, 'a'); RETURN x; END $$;
CREATE FUNCTION makes_quietly(x int) RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN PERFORM lo_create(0); RETURN x; EXCEPTION WHEN OTHERS THEN RETURN x; END $$;
CREATE FUNCTION sets(x int) RETURNS int LANGUAGE plpgsql STABLE AS $$ BEGIN PERFORM set_config('application_name', 'forged', false), set_config('guardrail.check_timeout', '1ms', false); RETURN x; END $$;
CREATE FUNCTION notify_statement(x int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN NOTIFY guardrail, 'forged'; RETURN x; END $$;
CREATE FUNCTION temporary(x int) RETURNS int LANGUAGE plpgsql AS $$ BEGIN CREATE TEMP TABLE contained_temp (a int); RETURN x; END $$;
CREATE VIEW ev_notify AS SELECT user_id, variant, CASE WHEN user_id > 3 THEN notify_statement(x) END AS x FROM ev;
CREATE VIEW ev_temporary AS SELECT user_id, variant, CASE WHEN user_id > 3 THEN temporary(x) END AS x FROM ev;
RESET ROLE;
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, owner)
  SELECT name, CASE name WHEN 'notify' THEN 'ev_notify' WHEN 'temporary' THEN 'ev_temporary' ELSE 'ev' END::regclass, NULL, 'regress_guardrail_contained'
  FROM unnest('{locks,locks_and_fails,unlocks,notifies,makes_large,makes_quietly,sets,notify,temporary}'::text[]) name;
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value)
  SELECT experiment_id, r, r, 'mean', CASE WHEN r = 'primary' OR events <> 'ev'::regclass THEN 'x' ELSE format('contained_test.%s(x)', experiment_id) END, 'higher', 'difference', 5
  FROM guardrail_experiment, unnest('{primary,guardrail}'::text[]) r;
DO $$ BEGIN PERFORM guardrail_launch(experiment_id) FROM guardrail_experiment; END $$;
-- the session's own: one once, one twice, one for the transaction alone
DO $$ BEGIN PERFORM pg_advisory_lock(9), pg_advisory_lock(2), pg_advisory_lock(2); END $$;
LISTEN guardrail;
BEGIN;
SELECT FROM pg_advisory_xact_lock(4, 5);
CALL guardrail_check('locks');
CALL guardrail_check('unlocks');
ROLLBACK;
UNLISTEN guardrail;
CALL guardrail_check();
SELECT r.experiment_id, r.status, r.reason FROM guardrail_result r WHERE r.metric = 'guardrail' AND r.status = 'UNMEASURED' ORDER BY 1;
SELECT experiment_id, error FROM guardrail_verdict WHERE error IS NOT NULL ORDER BY 1;
-- live, and when a rule fails
SELECT count(guardrail_status(experiment_id)) FROM guardrail_experiment WHERE experiment_id IN ('locks', 'unlocks', 'locks_and_fails', 'makes_large');
SELECT classid, objid, objsubid, mode FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid() ORDER BY 1, 2;
SELECT pg_advisory_unlock(1) AS one, pg_advisory_unlock(2) AS two, pg_advisory_unlock(2) AS twice, pg_advisory_unlock(2) AS thrice, pg_advisory_unlock(9) AS nine;
SELECT (SELECT count(*) FROM pg_largeobject_metadata) AS large_objects, current_setting('application_name') = 'forged' AS set, current_setting('guardrail.check_timeout') AS check_timeout,
       (SELECT count(*) FROM pg_class WHERE relname = 'contained_temp') AS temporary_tables;
-- the session itself may do all that
SELECT FROM pg_notify('guardrail', 'mine');
SELECT lo_unlink(lo_create(0)) AS unlinked;

-- ---- a rule too many

INSERT INTO guardrail_experiment (experiment_id, events, experiment_column) VALUES ('many', 'ev', NULL);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, denominator, filter, worse, limit_kind, limit_value)
  SELECT 'many', 'm' || i, CASE i WHEN 1 THEN 'primary' ELSE 'secondary' END, 'ratio', 'x + ' || i, 'x + 1000 + ' || i, 'x > ' || i % 90, 'higher', 'difference', 0 FROM generate_series(1, 237) i;
SELECT count(*) FROM guardrail_evaluate('many') WHERE status <> 'UNMEASURED';
\set VERBOSITY default
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES ('many', 'one more', 'secondary', 'mean', 'x', 'higher', 'difference', 0);
UPDATE guardrail_rule SET value = 'x + 2' WHERE experiment_id = 'many' AND metric = 'm3';
UPDATE guardrail_rule SET experiment_id = 'many' WHERE experiment_id = 'sets' AND metric = 'primary';

-- ---- an expression too long

INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES ('many', 'm1', 'primary', 'mean', 'x', 'higher', 'difference', 0)
  ON CONFLICT (experiment_id, metric) DO UPDATE SET value = 'x + 0' || repeat(' ', 65531);
UPDATE guardrail_rule SET value = 'x + 0' || repeat(' ', 65532) WHERE experiment_id = 'many' AND metric = 'm1';
UPDATE guardrail_rule SET denominator = 'x + 0' || repeat(' ', 65532) WHERE experiment_id = 'many' AND metric = 'm1';
UPDATE guardrail_rule SET filter = 'x > 0' || repeat(' ', 65532) WHERE experiment_id = 'many' AND metric = 'm1';
UPDATE guardrail_rule SET kind = 'mean', denominator = NULL, covariate = 'x + 0' || repeat(' ', 65532) WHERE experiment_id = 'many' AND metric = 'm1';
UPDATE guardrail_experiment SET segments = ARRAY['x + 0' || repeat(' ', 65532)] WHERE experiment_id = 'many';
-- a restore writes what is there
SET check_function_bodies = off;
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES ('many', 'one more', 'secondary', 'mean', 'x', 'higher', 'difference', 0);
RESET check_function_bodies;
SELECT guardrail_status('many');

DROP EXTENSION guardrail;
DROP SCHEMA contained_test CASCADE;
DROP ROLE regress_guardrail_contained;
