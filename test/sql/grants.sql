-- Grants for three roles and row-level security written by hand, without extras/roles.sql: analysts write, launch, amend,
-- check and stop experiments of their own team and read all verdicts; BI reads the views; cron records checks and prunes,
-- without a right on any event.
--
-- Expected: each right and each missing right of each role, as the block says it.
SET client_min_messages = warning;
CREATE EXTENSION guardrail;

-- ---- the block; outside of tests without regress_ before the roles' names

CREATE ROLE regress_guardrail_analyst NOLOGIN;
CREATE ROLE regress_guardrail_bi NOLOGIN;
CREATE ROLE regress_guardrail_cron NOLOGIN;

-- nobody else creates objects beside the extension's
REVOKE CREATE ON SCHEMA public FROM PUBLIC;

-- analysts: never TRIGGER, REFERENCES or TRUNCATE, so never ALL
GRANT SELECT, INSERT, UPDATE, DELETE ON guardrail_experiment, guardrail_rule TO regress_guardrail_analyst;
GRANT SELECT ON guardrail_verdict, guardrail_result, guardrail_check_log, guardrail_result_log, guardrail_check_input, guardrail_plan TO regress_guardrail_analyst;

-- dashboards: the last verdicts and results
GRANT SELECT ON guardrail_verdict, guardrail_result TO regress_guardrail_bi;

-- the scheduler: the checks read the events with the rights of each experiment's owner
GRANT EXECUTE ON PROCEDURE guardrail_check(text) TO regress_guardrail_cron;
GRANT EXECUTE ON FUNCTION guardrail_prune(interval) TO regress_guardrail_cron;
GRANT SELECT ON guardrail_verdict TO regress_guardrail_cron;

-- analysts see and write the rows of the roles they are members of
ALTER TABLE guardrail_experiment ENABLE ROW LEVEL SECURITY;
ALTER TABLE guardrail_rule ENABLE ROW LEVEL SECURITY;
CREATE POLICY guardrail_owned ON guardrail_experiment TO regress_guardrail_analyst
  USING (pg_has_role(owner::oid, 'MEMBER')) WITH CHECK (pg_has_role(owner::oid, 'MEMBER'));
CREATE POLICY guardrail_owned ON guardrail_rule TO regress_guardrail_analyst
  USING (EXISTS (SELECT FROM guardrail_experiment e WHERE e.experiment_id = guardrail_rule.experiment_id))
  WITH CHECK (EXISTS (SELECT FROM guardrail_experiment e WHERE e.experiment_id = guardrail_rule.experiment_id));

-- ---- who is who

CREATE ROLE regress_guardrail_checkout;
CREATE ROLE regress_guardrail_search;
CREATE ROLE regress_guardrail_ann LOGIN;
CREATE ROLE regress_guardrail_bob LOGIN;
CREATE ROLE regress_guardrail_metabase LOGIN;
CREATE ROLE regress_guardrail_pg_cron LOGIN;
GRANT regress_guardrail_analyst, regress_guardrail_checkout TO regress_guardrail_ann;
GRANT regress_guardrail_analyst, regress_guardrail_search TO regress_guardrail_bob;
GRANT regress_guardrail_bi TO regress_guardrail_metabase;
GRANT regress_guardrail_cron TO regress_guardrail_pg_cron;
CREATE TABLE events AS
  SELECT e AS experiment_id, i AS user_id, CASE WHEN i % 2 = 0 THEN 'control' ELSE 'treatment' END AS variant, 100 + i % 7 + CASE WHEN e = 'blocks' THEN i % 2 * 30 ELSE 0 END AS ms
    FROM generate_series(1, 400) i, unnest('{one,blocks,of the superuser}'::text[]) e;
GRANT SELECT ON events TO regress_guardrail_checkout, regress_guardrail_search;
CREATE FUNCTION message(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE n bigint;
BEGIN
  EXECUTE sql;
  GET DIAGNOSTICS n = ROW_COUNT;
  RETURN 'rows: ' || n;
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE || ': ' || SQLERRM;
END $$;
CREATE FUNCTION plan(id text, owner regrole) RETURNS void LANGUAGE sql AS $$
  INSERT INTO guardrail_experiment (experiment_id, events, owner) VALUES ($1, 'events', $2);
  INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value)
  VALUES ($1, 'goal', 'primary', 'mean', 'ms', 'lower', 'significance', NULL), ($1, 'load', 'guardrail', 'mean', 'ms', 'higher', 'difference', 5), ($1, 'other', 'guardrail', 'mean', 'ms', 'higher', 'difference', 5) $$;
SELECT plan('of the superuser', current_user::regrole);
SELECT guardrail_launch('of the superuser');

-- ---- an analyst, of her own

SET SESSION AUTHORIZATION regress_guardrail_ann;
SELECT plan('one', 'regress_guardrail_checkout'), plan('blocks', 'regress_guardrail_checkout'), plan('dropped', 'regress_guardrail_ann');
SELECT message('SELECT plan(''of all analysts'', ''regress_guardrail_analyst'')') AS events_the_owner_may_not_read;
UPDATE guardrail_experiment SET min_units = 50;
UPDATE guardrail_rule SET note = 'mine' WHERE metric = 'load';
DELETE FROM guardrail_experiment WHERE experiment_id = 'dropped';
SELECT guardrail_launch('one'), guardrail_launch('blocks');
SELECT guardrail_status();
SELECT metric, status FROM guardrail_evaluate('blocks');
SELECT verdict FROM guardrail_decide('blocks');
SELECT length(guardrail_explain('blocks')) > 1000 AS explained;
SELECT guardrail_amend('one', 'a wider limit', '{"experiment": {"min_units": 60}, "rules": {"load": {"limit_value": 6}, "other": null, "third": {"role": "guardrail", "kind": "mean", "value": "ms", "worse": "higher", "limit_kind": "difference", "limit_value": 5}}}');
SELECT version, made_by, reason, intact FROM guardrail_verify('one');
SELECT experiment_id, state, owner FROM guardrail_experiment ORDER BY 1;
SELECT experiment_id, metric FROM guardrail_rule ORDER BY 1, 2;
CALL guardrail_check('one');
SELECT experiment_id, verdict FROM guardrail_verdict;
-- and what she may not
SELECT sql, message(sql) FROM unnest(ARRAY['CALL guardrail_check()', 'CALL guardrail_check(''of the superuser'')', 'SELECT guardrail_prune(''1 day'')', 'UPDATE guardrail_experiment SET min_units = 2 WHERE experiment_id = ''one''', 'DELETE FROM guardrail_rule WHERE experiment_id = ''one'' AND metric = ''goal''', 'TRUNCATE guardrail_rule',
  'SELECT plan(''taken'', ''regress_guardrail_search'')', 'INSERT INTO guardrail_check_log SELECT * FROM guardrail_check_log', 'DELETE FROM guardrail_plan', 'INSERT INTO guardrail_check_input DEFAULT VALUES', 'SELECT * FROM guardrail_look_state',
  'ALTER TABLE guardrail_experiment DISABLE ROW LEVEL SECURITY', 'CREATE TABLE refers (e text REFERENCES guardrail_experiment)', 'SET ROLE regress_guardrail_cron']) sql;

-- ---- an analyst, of another team's: there is nothing

SET SESSION AUTHORIZATION regress_guardrail_bob;
SELECT count(*) AS experiments FROM guardrail_experiment;
SELECT count(*) AS rules FROM guardrail_rule;
SELECT plan('of search', 'regress_guardrail_search');
SELECT sql, message(sql) FROM unnest(ARRAY['UPDATE guardrail_experiment SET description = ''x'' WHERE experiment_id = ''one''', 'DELETE FROM guardrail_experiment WHERE experiment_id = ''one''', 'UPDATE guardrail_rule SET note = ''x'' WHERE experiment_id = ''one''', 'DELETE FROM guardrail_rule WHERE experiment_id = ''one''',
  'INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind) VALUES (''one'', ''m'', ''secondary'', ''mean'', ''ms'', ''lower'', ''significance'')', 'UPDATE guardrail_experiment SET owner = ''regress_guardrail_checkout''', 'SELECT plan(''one'', ''regress_guardrail_search'')',
  'UPDATE guardrail_rule SET experiment_id = ''one'', metric = ''slipped in'' WHERE metric = ''load''', 'SELECT guardrail_launch(''one'')', 'SELECT guardrail_stop(''one'')', 'SELECT guardrail_amend(''one'', ''x'', ''{}'')', 'SELECT guardrail_status(''one'')', 'SELECT * FROM guardrail_evaluate(''one'')', 'SELECT * FROM guardrail_verify(''one'')']) sql;
SELECT guardrail_status();
-- a superuser's experiments are his own: no analyst sees them
SET SESSION AUTHORIZATION DEFAULT;
SELECT count(*) AS experiments FROM guardrail_experiment;

-- ---- cron: records, of all, without a right on the events or on the catalog

SET SESSION AUTHORIZATION regress_guardrail_pg_cron;
CALL guardrail_check();
CALL guardrail_check('one');
SELECT experiment_id, variant, verdict, error FROM guardrail_verdict ORDER BY 1;
SELECT guardrail_prune('1 day');
SELECT sql, message(sql) FROM unnest(ARRAY['SELECT count(*) FROM events', 'SELECT * FROM guardrail_experiment', 'SELECT * FROM guardrail_rule', 'SELECT * FROM guardrail_check_log', 'SELECT * FROM guardrail_plan', 'SELECT guardrail_status()', 'SELECT guardrail_status(''one'')', 'SELECT guardrail_launch(''of search'')', 'SELECT guardrail_stop(''one'')',
  'SELECT guardrail_amend(''one'', ''x'', ''{}'')', 'SELECT guardrail_explain(''one'')', 'INSERT INTO guardrail_check_log DEFAULT VALUES', 'DELETE FROM guardrail_check_log', 'SELECT _guardrail_plan_register(''one'', ''{}'', 9, ''x'', ''y'', false, 0)']) sql;

-- ---- BI: the views, and nothing else

SET SESSION AUTHORIZATION regress_guardrail_metabase;
SELECT experiment_id, variant, verdict, status FROM guardrail_verdict ORDER BY 1;
SELECT experiment_id, metric, status FROM guardrail_result ORDER BY 1, 2;
SELECT guardrail_assert_shippable('blocks', 'treatment');
SELECT sql, message(sql) FROM unnest(ARRAY['SELECT count(*) FROM events', 'SELECT * FROM guardrail_experiment', 'SELECT * FROM guardrail_rule', 'SELECT * FROM guardrail_check_log', 'SELECT * FROM guardrail_result_log', 'SELECT * FROM guardrail_plan', 'SELECT guardrail_status()', 'SELECT guardrail_status(''one'')', 'SELECT * FROM guardrail_verify(''one'')',
  'SELECT guardrail_launch(''of search'')', 'SELECT guardrail_stop(''one'')', 'CALL guardrail_check()', 'SELECT guardrail_prune(''1 day'')', 'UPDATE guardrail_verdict SET verdict = ''SHIP''']) sql;

-- ---- an analyst reads the verdicts of all, and stops her own

SET SESSION AUTHORIZATION regress_guardrail_ann;
SELECT experiment_id, verdict FROM guardrail_verdict ORDER BY 1;
SELECT DISTINCT experiment_id FROM guardrail_check_log ORDER BY 1;
SELECT DISTINCT experiment_id FROM guardrail_plan ORDER BY 1;
SELECT count(*) AS checks, bool_and(identical) AS identical FROM guardrail_check_input i, guardrail_replay(i.check_id);
SELECT guardrail_stop('blocks');
SELECT message('SELECT guardrail_stop(''of the superuser'')') AS of_the_superuser, message('SELECT guardrail_stop(''of search'')') AS of_search;
SET SESSION AUTHORIZATION regress_guardrail_bob;
SELECT guardrail_launch('of search');
SELECT experiment_id, state FROM guardrail_experiment ORDER BY 1;
SET SESSION AUTHORIZATION DEFAULT;

-- ---- FORCE is not needed: the extension's owner, whose rights write checks and plans, is to see every row.  With it, all
-- goes on as before while that owner is a superuser.

ALTER TABLE guardrail_experiment FORCE ROW LEVEL SECURITY;
ALTER TABLE guardrail_rule FORCE ROW LEVEL SECURITY;
SET SESSION AUTHORIZATION regress_guardrail_pg_cron;
CALL guardrail_check();
SELECT experiment_id, verdict, error FROM guardrail_verdict ORDER BY 1;
SET SESSION AUTHORIZATION regress_guardrail_ann;
SELECT guardrail_amend('one', 'again', '{"rules": {"load": {"limit_value": 7}}}');
SELECT version, intact FROM guardrail_verify('one');
SET SESSION AUTHORIZATION DEFAULT;

DROP OWNED BY regress_guardrail_analyst, regress_guardrail_bi, regress_guardrail_cron, regress_guardrail_checkout, regress_guardrail_search;
DROP EXTENSION guardrail;
DROP TABLE events;
DROP FUNCTION plan(text, regrole), message(text);
DROP ROLE regress_guardrail_ann, regress_guardrail_bob, regress_guardrail_metabase, regress_guardrail_pg_cron, regress_guardrail_checkout, regress_guardrail_search, regress_guardrail_analyst, regress_guardrail_bi, regress_guardrail_cron;
