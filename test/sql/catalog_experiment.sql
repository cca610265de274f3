-- Rows of guardrail_experiment: what is refused when it is written, with the column, what it holds, and what it may hold.
--
-- Expected: the tables of columns in the documentation of the catalog; every message was read against it.
SET client_min_messages = warning;
CREATE EXTENSION guardrail;
CREATE ROLE regress_guardrail_analyst;
CREATE ROLE regress_guardrail_team;
CREATE ROLE regress_guardrail_other;
GRANT regress_guardrail_team TO regress_guardrail_analyst;
CREATE SCHEMA catalog_test;
GRANT ALL ON SCHEMA catalog_test TO PUBLIC;
SET search_path = catalog_test, public;

CREATE TYPE arm AS ENUM ('control', 'treatment');
CREATE DOMAIN arm_name AS text;
CREATE TABLE ev (experiment_id text, user_id bigint, variant text, at timestamptz, ts timestamp, d date, tm time, ms float8, crashed boolean,
                 revenue numeric, note text, enumerated arm, small smallint, flag boolean, named name, padded char(9), domained arm_name, uid uuid, place point, doc jsonb);
CREATE INDEX ev_index ON ev (user_id);
CREATE SEQUENCE ev_sequence;
CREATE TYPE ev_type AS (experiment_id text, user_id bigint, variant text);
CREATE VIEW ev_view AS SELECT * FROM ev;
CREATE MATERIALIZED VIEW ev_matview AS SELECT * FROM ev;
CREATE TABLE ev_parts (LIKE ev) PARTITION BY LIST (variant);

-- message(sql): what happens when it is run; nothing stays
CREATE FUNCTION message(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE m text; d text; h text;
BEGIN
  BEGIN
    EXECUTE sql;
    RAISE EXCEPTION USING MESSAGE = 'accepted', ERRCODE = 'ZZ999';
  EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
    IF SQLSTATE = 'ZZ999' THEN RETURN 'accepted'; END IF;
    RETURN SQLSTATE || ': ' || m || coalesce(E'\n  detail: ' || nullif(d, ''), '') || coalesce(E'\n  hint: ' || nullif(h, ''), '');
  END;
END $$;
-- experiment(changes): a good row but for the changes
CREATE FUNCTION experiment(changes jsonb) RETURNS text LANGUAGE sql AS $$
  SELECT message(format('INSERT INTO guardrail_experiment (%s) VALUES (%s)', string_agg(quote_ident(key), ', '), string_agg(quote_nullable(value), ', ')))
    FROM jsonb_each_text('{"experiment_id": "e", "events": "ev"}' || changes) $$;

SELECT experiment('{}') AS plain;

-- ---- the events and their columns

SELECT v AS events, experiment(jsonb_build_object('events', v)) FROM unnest('{ev_view,ev_matview,ev_parts,ev_index,ev_sequence,ev_type,nosuch,pg_toast.nosuch,99999999,NULL}'::text[]) v;
SELECT c AS unit_column, experiment(jsonb_build_object('unit_column', c)) FROM unnest('{uid,note,revenue,enumerated,at,place,nosuch,USER_ID,user_id; DROP TABLE ev,ctid,"",NULL}'::text[]) c;
SELECT c AS variant_column, experiment(jsonb_build_object('variant_column', c)) FROM unnest('{enumerated,small,user_id,flag,named,padded,domained,ms,revenue,at,doc,uid,nosuch,tableoid,NULL}'::text[]) c;
SELECT c AS experiment_column, experiment(jsonb_build_object('experiment_column', c)) FROM unnest('{note,nosuch,"",NULL}'::text[]) c;
SELECT c AS time_column, experiment(jsonb_build_object('time_column', c)) FROM unnest('{at,ts,d,tm,ms,note,nosuch,NULL}'::text[]) c;

-- ---- words, numbers and times

SELECT changes, experiment(changes::jsonb) FROM unnest(ARRAY[
  '{"experiment_id": null}', '{"experiment_id": ""}', '{"control": null}', '{"control": "A"}', '{"correction": "holm"}', '{"correction": "hochberg"}', '{"correction": "Holm"}', '{"correction": "bh"}', '{"correction": ""}', '{"correction": null}',
  '{"monitoring": "fixed"}', '{"monitoring": "sometimes"}', '{"srm_alpha": 0.01}', '{"srm_alpha": 0}', '{"srm_alpha": -0.1}', '{"srm_alpha": 1}', '{"srm_alpha": "NaN"}', '{"srm_alpha": "Infinity"}', '{"srm_alpha": null}',
  '{"max_crossover": 0}', '{"max_crossover": 1}', '{"max_crossover": -0.01}', '{"max_crossover": 1.01}', '{"max_crossover": "NaN"}', '{"max_crossover": null}', '{"min_units": 2}', '{"min_units": 1}', '{"min_units": -5}', '{"min_units": null}', '{"min_units": "many"}',
  '{"planned_units": 1}', '{"planned_units": 0}', '{"planned_units": -1}', '{"planned_units": 1e20}',
  '{"starts_at": "2026-01-01"}', '{"ends_at": "2026-01-01"}', '{"time_column": "at", "starts_at": "2026-01-01", "ends_at": "2026-01-02"}', '{"time_column": "at", "starts_at": "2026-01-02", "ends_at": "2026-01-02"}',
  '{"time_column": "at", "starts_at": "2026-01-02", "ends_at": "2026-01-01"}', '{"time_column": "at", "ends_at": "infinity"}', '{"time_column": "at", "ends_at": "-infinity", "starts_at": "2026-01-01"}', '{"state": "draft"}', '{"state": "paused"}', '{"state": null}',
  '{"exposed_at_column": null}', '{"spending": null}', '{"spending_phi": null}', '{"exposed_at_column": "exposed_at", "spending": "power", "spending_phi": 1}']) AS c(changes);

-- ---- the planned split

SELECT s AS shares, experiment(jsonb_build_object('shares', s::jsonb)) FROM unnest(ARRAY[
  '{"control": 1, "treatment": 1}', '{"control": 0.9, "a": 0.05, "b": 0.05}', '{"control": 1}', '{"a": 1, "b": 1}', '{"control": 1, "treatment": 0}', '{"control": 1, "treatment": -1}', '{"control": 1, "treatment": "1"}',
  '{"control": 1, "treatment": null}', '{"control": 1, "treatment": 1e10}', '{"control": 1, "treatment": 1e-10}', '{"control": 1, "treatment": [1]}', '[1, 1]', '1', '{}']) s;
SELECT experiment('{"shares": "{\"A\": 1, \"B\": 1}", "control": "A"}') AS other_control, experiment('{"shares": "{\"A\": 1, \"B\": 1}"}') AS control_not_in_shares;

-- ---- whose rights

SET ROLE regress_guardrail_analyst;
SELECT message('INSERT INTO guardrail_experiment (experiment_id, events) VALUES (''e'', ''ev'')') AS without_rights;
RESET ROLE;
GRANT SELECT, INSERT, UPDATE, DELETE ON guardrail_experiment, guardrail_rule TO regress_guardrail_analyst;
GRANT SELECT ON ev TO regress_guardrail_analyst;
SET ROLE regress_guardrail_analyst;
SELECT o AS owner, experiment(jsonb_build_object('owner', o)) FROM unnest('{regress_guardrail_analyst,regress_guardrail_team,regress_guardrail_other,regress_guardrail_nobody,NULL}'::text[]) o;
INSERT INTO guardrail_experiment (experiment_id, events) VALUES ('mine', 'ev');
SELECT experiment_id, owner, state, monitoring FROM guardrail_experiment;
SELECT message('UPDATE guardrail_experiment SET owner = ''regress_guardrail_other''') AS to_another, message('UPDATE guardrail_experiment SET owner = ''regress_guardrail_team''') AS to_a_group;
-- the row of another owner may be described, its owner may not be taken over
RESET ROLE;
INSERT INTO guardrail_experiment (experiment_id, events, owner) VALUES ('theirs', 'ev', 'regress_guardrail_other');
SET ROLE regress_guardrail_analyst;
SELECT message('UPDATE guardrail_experiment SET unit_column = ''note'' WHERE experiment_id = ''theirs''') AS change_theirs,
       message('UPDATE guardrail_experiment SET owner = ''regress_guardrail_analyst'' WHERE experiment_id = ''theirs''') AS take_theirs,
       message('INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind) VALUES (''theirs'', ''m'', ''primary'', ''mean'', ''ms'', ''lower'', ''significance'')') AS rule_for_theirs,
       message('DELETE FROM guardrail_experiment WHERE experiment_id = ''theirs''') AS delete_theirs;
RESET ROLE;

-- ---- what only functions change

SELECT c AS change, message(format('UPDATE guardrail_experiment SET %s WHERE experiment_id = ''mine''', c)) FROM unnest(ARRAY[
  'state = ''running''', 'state = ''stopped''', 'state = ''draft''', 'state = NULL', 'launched_at = now()', 'stopped_at = now()', 'plan_version = 1', 'plan_hash = ''x''', 'description = ''x''', 'experiment_id = ''other''']) c;
SET ROLE regress_guardrail_analyst;
SELECT experiment('{"state": "running"}') AS as_writer, experiment('{"plan_version": 3}') AS plan_version;
RESET ROLE;
SELECT experiment('{"state": "running", "launched_at": "2026-01-01"}') AS as_restore;

-- ---- a change of the events is checked against the rules

CREATE TABLE other_ev (experiment_id text, user_id bigint, variant text, ms text);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind) VALUES ('mine', 'load', 'primary', 'mean', 'ms', 'higher', 'significance');
GRANT SELECT ON other_ev, ev_view TO regress_guardrail_analyst;
SELECT message('UPDATE guardrail_experiment SET events = ''other_ev'' WHERE experiment_id = ''mine''') AS other_type,
       message('UPDATE guardrail_experiment SET events = ''ev_view'' WHERE experiment_id = ''mine''') AS same_columns;

-- ---- keys: the rules follow their experiment

SELECT message('INSERT INTO guardrail_experiment (experiment_id, events) VALUES (''mine'', ''ev'')') AS twice;
UPDATE guardrail_experiment SET experiment_id = 'renamed' WHERE experiment_id = 'mine';
SELECT experiment_id, metric FROM guardrail_rule;
DELETE FROM guardrail_experiment WHERE experiment_id = 'renamed';
SELECT count(*) AS rules FROM guardrail_rule;

-- ---- logs are added to, never changed

SELECT t AS log, message(format(c, t)) FROM unnest('{guardrail_check_log,guardrail_result_log}'::text[]) t, unnest(ARRAY['UPDATE %s SET checked_at = now()', 'DELETE FROM %s', 'TRUNCATE %s']) c;

-- ---- triggers are no functions

SELECT _guardrail_experiment_check();
SELECT _guardrail_append_only();
CREATE TRIGGER bad AFTER INSERT ON ev FOR EACH ROW EXECUTE FUNCTION _guardrail_experiment_check();
SELECT message('INSERT INTO ev DEFAULT VALUES') AS wrong_time;
DROP TRIGGER bad ON ev;
CREATE TRIGGER bad BEFORE INSERT ON ev FOR EACH ROW EXECUTE FUNCTION _guardrail_rule_check();
SELECT message('INSERT INTO ev DEFAULT VALUES') AS wrong_table;
-- a table whose columns have the same names and other types
CREATE TABLE guardrail_rule AS SELECT experiment_id, metric, role, severity, kind, value, unit_aggregate, quantile_over, worse, limit_kind, evidence, 1 AS quantile, now() AS limit_value, NULL::text AS alpha, ''::text AS at_least FROM public.guardrail_rule;
CREATE TRIGGER bad BEFORE INSERT ON guardrail_rule FOR EACH ROW EXECUTE FUNCTION public._guardrail_rule_check();
INSERT INTO catalog_test.guardrail_rule (experiment_id, metric, role, severity, kind, value, unit_aggregate, quantile_over, worse, limit_kind, evidence)
VALUES ('e', 'm', 'primary', 'block', 'mean', '1', 'sum', 'events', 'lower', 'significance', 'breach');

SET client_min_messages = warning;
DROP SCHEMA catalog_test CASCADE;
DROP EXTENSION guardrail;
DROP ROLE regress_guardrail_analyst, regress_guardrail_team, regress_guardrail_other;
