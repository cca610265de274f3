-- Plans: guardrail_launch, guardrail_amend, guardrail_verify, and rows that cannot be bent.
--
-- Expected: what the documentation says; hashes by the server's own sha256(); power by scipy.stats.norm:
-- norm.cdf(m / sqrt(2 * s2 * 2 / n) - norm.isf(alpha)).
SET client_min_messages = warning;
CREATE EXTENSION guardrail;
CREATE SCHEMA plan_test;
SET search_path = plan_test, public;
CREATE TABLE ev (experiment_id text, user_id bigint, variant text, x float8);
CREATE FUNCTION slow(x float8) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN x > 103;
CREATE VIEW inner_view AS SELECT * FROM ev WHERE x > 0;
CREATE VIEW outer_view AS SELECT * FROM inner_view;
CREATE FUNCTION experiment(id text, events regclass, planned bigint DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
  INSERT INTO guardrail_experiment (experiment_id, events, planned_units) VALUES ($1, $2, $3);
  INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES ($1, 'load', 'guardrail', 'ratio', 'x', 'higher', 'difference', 5), ($1, 'slow', 'guardrail', 'ratio', 'plan_test.slow(x)', 'higher', 'difference', 0.1), ($1, 'goal', 'primary', 'ratio', 'x', 'higher', 'difference', 0) $$;
CREATE FUNCTION events(id text) RETURNS void LANGUAGE sql AS $$
  INSERT INTO ev SELECT $1, u, (ARRAY['control', 'treatment'])[1 + u % 2], 100 + u % 7 FROM generate_series(1, 1000) u $$;

-- ---- launched before any data, and after

SELECT experiment('before', 'ev'), experiment('after', 'ev'), events('after');
SELECT guardrail_launch('before'), guardrail_launch('after');
SELECT experiment_id, version, previous_hash, made_by = session_user AS made_by, reason, after_data, encode(sha256(convert_to(plan, 'UTF8')), 'hex') = plan_hash AS hashed FROM guardrail_plan ORDER BY 1;
SELECT e.experiment_id, e.plan_version, e.plan_hash = p.plan_hash AS same FROM guardrail_experiment e JOIN guardrail_plan p USING (experiment_id) ORDER BY 1;
SELECT events('before');
CALL guardrail_check();
SELECT experiment_id, verdict, reason, plan_version FROM guardrail_verdict ORDER BY 1;
SELECT experiment_id, reason FROM guardrail_decide('before') UNION ALL SELECT experiment_id, reason FROM guardrail_decide('after');
SELECT version, made_by = session_user AS made_by, reason, after_data, intact, finding FROM guardrail_verify('after');
-- what a plan holds: everything that decides, nothing that is NULL
SELECT jsonb_object_keys(plan::jsonb) AS key FROM guardrail_plan WHERE experiment_id = 'before' ORDER BY 1;
SELECT (plan::jsonb -> 'experiment') - 'owner' AS experiment FROM guardrail_plan WHERE experiment_id = 'before';
SELECT plan::jsonb -> 'rules' -> 'slow' AS slow FROM guardrail_plan WHERE experiment_id = 'before';
SELECT key, value LIKE '%103%' AS has_the_body FROM guardrail_plan, jsonb_each_text(plan::jsonb -> 'definitions') WHERE experiment_id = 'before';

-- ---- frozen, for superusers too

UPDATE guardrail_experiment SET min_units = 2 WHERE experiment_id = 'before';
UPDATE guardrail_experiment SET description = 'harmless' WHERE experiment_id = 'before';
UPDATE guardrail_experiment SET experiment_id = 'renamed' WHERE experiment_id = 'before';
UPDATE guardrail_experiment SET state = 'draft', plan_version = NULL WHERE experiment_id = 'before';
DELETE FROM guardrail_experiment WHERE experiment_id = 'before';
UPDATE guardrail_rule SET limit_value = 500 WHERE experiment_id = 'before' AND metric = 'load';
UPDATE guardrail_rule SET note = 'harmless' WHERE experiment_id = 'before';
UPDATE guardrail_rule SET metric = 'renamed' WHERE experiment_id = 'before' AND metric = 'load';
DELETE FROM guardrail_rule WHERE experiment_id = 'before' AND metric = 'load';
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES ('before', 'more', 'guardrail', 'ratio', 'x', 'higher', 'difference', 5);
TRUNCATE guardrail_rule;
TRUNCATE guardrail_experiment CASCADE;
-- a rule cannot be moved in or out either
SELECT experiment('draft', 'ev');
UPDATE guardrail_rule SET experiment_id = 'before', metric = 'moved' WHERE experiment_id = 'draft' AND metric = 'load';
UPDATE guardrail_rule SET experiment_id = 'draft', metric = 'moved' WHERE experiment_id = 'before' AND metric = 'load';
-- nor the record
UPDATE guardrail_plan SET reason = 'other';
DELETE FROM guardrail_plan;
TRUNCATE guardrail_plan;
-- a draft is free
UPDATE guardrail_experiment SET min_units = 50 WHERE experiment_id = 'draft';
UPDATE guardrail_rule SET limit_value = 7 WHERE experiment_id = 'draft' AND metric = 'load';
UPDATE guardrail_experiment SET experiment_id = 'draft 2' WHERE experiment_id = 'draft';
SELECT experiment_id, count(*) FROM guardrail_rule GROUP BY 1 ORDER BY 1;
DELETE FROM guardrail_experiment WHERE experiment_id = 'draft 2';
SELECT experiment_id, count(*) FROM guardrail_rule GROUP BY 1 ORDER BY 1;
SELECT count(*) AS not_intact FROM guardrail_experiment, guardrail_verify(experiment_id) WHERE NOT intact;
SELECT experiment('draft', 'ev');
SELECT * FROM guardrail_verify('draft');
SELECT * FROM guardrail_verify('nosuch');
SELECT * FROM guardrail_verify(NULL);
-- what is over stays as it was
SELECT guardrail_stop('after');
UPDATE guardrail_rule SET limit_value = 500 WHERE experiment_id = 'after';
DELETE FROM guardrail_experiment WHERE experiment_id = 'after';
SELECT guardrail_amend('after', 'too late', '{}');
SELECT intact FROM guardrail_verify('after');

-- ---- amended

SELECT guardrail_amend('before', 'load was set in seconds', '{"rules": {"load": {"limit_value": 20, "display_unit": "ms"}, "slow": null, "more": {"role": "guardrail", "kind": "quantile", "value": "x", "quantile": 0.9, "worse": "higher", "limit_kind": "relative", "limit_value": 0.1}}, "experiment": {"max_crossover": 0.02, "description": "so"}}');
SELECT metric, limit_value, display_unit, quantile, alpha FROM guardrail_rule WHERE experiment_id = 'before' ORDER BY 1;
SELECT max_crossover, description, plan_version FROM guardrail_experiment WHERE experiment_id = 'before';
SELECT p.version, p.previous_hash = o.plan_hash AS follows, p.reason, p.after_data FROM guardrail_plan p LEFT JOIN guardrail_plan o ON o.experiment_id = p.experiment_id AND o.version = p.version - 1 WHERE p.experiment_id = 'before' ORDER BY 1;
SELECT version, intact, finding FROM guardrail_verify('before');
SELECT plan_version, verdict FROM guardrail_verdict WHERE experiment_id = 'before';
CALL guardrail_check('before');
SELECT plan_version, reason FROM guardrail_verdict WHERE experiment_id = 'before';
-- a column to NULL
SELECT guardrail_amend('before', 'no unit', '{"rules": {"load": {"display_unit": null}}}');
SELECT display_unit FROM guardrail_rule WHERE experiment_id = 'before' AND metric = 'load';
-- what cannot be
SELECT guardrail_amend('before', ' ', '{}');
SELECT guardrail_amend('before', NULL, '{}');
SELECT guardrail_amend('before', 'x', NULL);
SELECT guardrail_amend(NULL, 'x', '{}');
SELECT guardrail_amend('nosuch', 'x', '{}');
SELECT guardrail_amend('draft', 'x', '{}');
SELECT guardrail_amend('before', 'x', '[1]');
SELECT guardrail_amend('before', 'x', '"rules"');
SELECT guardrail_amend('before', 'x', '{"rule": {}}');
SELECT guardrail_amend('before', 'x', '{"rules": []}');
SELECT guardrail_amend('before', 'x', '{"rules": {"load": 5}}');
SELECT guardrail_amend('before', 'x', '{"rules": {"load": {}}}');
SELECT guardrail_amend('before', 'x', '{"rules": {"nosuch": null}}');
SELECT guardrail_amend('before', 'x', '{"rules": {"load": {"experiment_id": "draft"}}}');
SELECT guardrail_amend('before', 'x', '{"rules": {"load": {"limit_value": 1, "nosuch": 1}}}');
SELECT guardrail_amend('before', 'x', '{"experiment": {"state": "draft"}}');
SELECT guardrail_amend('before', 'x', '{"experiment": {"plan_hash": "0"}}');
SELECT guardrail_amend('before', 'x', '{"experiment": null}');
\set VERBOSITY terse
SELECT guardrail_amend('before', 'x', '{"experiment": {"min_units": "many"}}');
SELECT guardrail_amend('before', 'x', '{"experiment": {"min_units": 0}}');
SELECT guardrail_amend('before', 'x', '{"experiment": {"owner": "nobody of that name"}}');
SELECT guardrail_amend('before', 'x', '{"experiment": {"events": "plan_test.nosuch"}}');
SELECT guardrail_amend('before', 'x', '{"rules": {"load": {"value": "x; DROP TABLE ev"}}}');
SELECT guardrail_amend('before', 'x', '{"rules": {"load": {"value": "nosuch"}}}');
SELECT guardrail_amend('before', 'x', '{"rules": {"goal": null}}');
SELECT guardrail_amend('before', 'x', '{"rules": {"goal2": {"role": "primary", "kind": "ratio", "value": "x", "worse": "higher", "limit_kind": null}}}');
\set VERBOSITY default
SELECT version, intact FROM guardrail_verify('before');

-- ---- bent by who may switch triggers off

CREATE FUNCTION bend(what text, undo text) RETURNS TABLE (status text, findings text) LANGUAGE plpgsql AS $$
DECLARE t text;
BEGIN
  FOREACH t IN ARRAY '{guardrail_experiment,guardrail_rule,guardrail_plan}'::text[] LOOP EXECUTE format('ALTER TABLE %I DISABLE TRIGGER USER', t); END LOOP;
  EXECUTE what;
  status := guardrail_status('bent');
  SELECT string_agg(v.version || ': ' || v.finding, '; ' ORDER BY v.version) INTO findings FROM guardrail_verify('bent') v WHERE NOT v.intact;
  RETURN NEXT;
  EXECUTE undo;
  FOREACH t IN ARRAY '{guardrail_experiment,guardrail_rule,guardrail_plan}'::text[] LOOP EXECUTE format('ALTER TABLE %I ENABLE TRIGGER USER', t); END LOOP;
END $$;
SELECT experiment('bent', 'outer_view'), events('bent');
SELECT guardrail_launch('bent');
SELECT guardrail_amend('bent', 'a second version', '{}');
SELECT guardrail_status('bent');
SELECT * FROM bend('UPDATE guardrail_rule SET limit_value = 500 WHERE experiment_id = ''bent'' AND metric = ''load''', 'UPDATE guardrail_rule SET limit_value = 5 WHERE experiment_id = ''bent'' AND metric = ''load''');
SELECT * FROM bend('UPDATE guardrail_rule SET note = ''x'', filter = ''x > 1'' WHERE experiment_id = ''bent'' AND metric = ''load''', 'UPDATE guardrail_rule SET note = NULL, filter = NULL WHERE experiment_id = ''bent'' AND metric = ''load''');
SELECT * FROM bend('UPDATE guardrail_rule SET metric = ''laod'' WHERE experiment_id = ''bent'' AND metric = ''load''', 'UPDATE guardrail_rule SET metric = ''load'' WHERE metric = ''laod''');
SELECT * FROM bend('UPDATE guardrail_experiment SET shares = ''{"control": 1, "treatment": 2}'', srm_alpha = 0.01 WHERE experiment_id = ''bent''', 'UPDATE guardrail_experiment SET shares = NULL, srm_alpha = 0.001 WHERE experiment_id = ''bent''');
SELECT * FROM bend('UPDATE guardrail_experiment SET plan_hash = ''0'' WHERE experiment_id = ''bent''', 'UPDATE guardrail_experiment e SET plan_hash = p.plan_hash FROM guardrail_plan p WHERE p.experiment_id = e.experiment_id AND p.version = e.plan_version AND e.experiment_id = ''bent''');
SELECT * FROM bend('UPDATE guardrail_experiment SET plan_version = 1 WHERE experiment_id = ''bent''', 'UPDATE guardrail_experiment SET plan_version = 2 WHERE experiment_id = ''bent''');
SELECT * FROM bend('UPDATE guardrail_plan SET reason = ''a better one'' WHERE experiment_id = ''bent'' AND version = 1', 'UPDATE guardrail_plan SET reason = ''launched'' WHERE experiment_id = ''bent'' AND version = 1');
SELECT * FROM bend('UPDATE guardrail_plan SET plan = replace(plan, ''0.001'', ''0.002'') WHERE experiment_id = ''bent'' AND version = 1', 'UPDATE guardrail_plan SET plan = replace(plan, ''0.002'', ''0.001'') WHERE experiment_id = ''bent'' AND version = 1');
-- text and hash of an old version rewritten together: the next one does not follow
SELECT * FROM bend('UPDATE guardrail_plan SET plan = replace(plan, ''0.001'', ''0.002''), plan_hash = encode(sha256(convert_to(replace(plan, ''0.001'', ''0.002''), ''UTF8'')), ''hex'') WHERE experiment_id = ''bent'' AND version = 1', 'UPDATE guardrail_plan SET plan = replace(plan, ''0.002'', ''0.001''), plan_hash = encode(sha256(convert_to(replace(plan, ''0.002'', ''0.001''), ''UTF8'')), ''hex'') WHERE experiment_id = ''bent'' AND version = 1');
SELECT * FROM bend('UPDATE guardrail_plan SET version = 12 WHERE experiment_id = ''bent'' AND version = 2', 'UPDATE guardrail_plan SET version = 2 WHERE experiment_id = ''bent'' AND version = 12');
SELECT * FROM bend('CREATE OR REPLACE VIEW inner_view AS SELECT * FROM ev WHERE x > 100', 'CREATE OR REPLACE VIEW inner_view AS SELECT * FROM ev WHERE x > 0');
SELECT * FROM bend('ALTER VIEW outer_view RENAME TO other_view', 'ALTER VIEW other_view RENAME TO outer_view');
SELECT * FROM bend('CREATE OR REPLACE FUNCTION slow(x float8) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN x > 104', 'CREATE OR REPLACE FUNCTION slow(x float8) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN x > 103');
SELECT guardrail_status('bent');
-- a check records no number of a bent plan; the way out is to amend, which stays in the chain
CALL guardrail_check('bent');
CREATE OR REPLACE VIEW inner_view AS SELECT * FROM ev WHERE x > 100;
CALL guardrail_check('bent');
SELECT verdict, status, reason, srm_p, primary_effect FROM guardrail_verdict WHERE experiment_id = 'bent';
SELECT count(*) AS results FROM guardrail_result WHERE experiment_id = 'bent';
SELECT guardrail_amend('bent', 'the view leaves out what was never an event', '{}');
CALL guardrail_check('bent');
SELECT verdict, plan_version FROM guardrail_verdict WHERE experiment_id = 'bent';
SELECT version, reason, intact FROM guardrail_verify('bent');

-- ---- what launch says of a weak plan

SET client_min_messages = notice;
INSERT INTO guardrail_experiment (experiment_id, events) VALUES ('lonely', 'ev'), ('many', 'ev');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES ('lonely', 'goal', 'primary', 'mean', 'x', 'higher', 'difference', 0), ('many', 'goal', 'primary', 'ratio', 'x', 'higher', 'difference', 0);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) SELECT 'many', 'g' || i, 'guardrail', 'ratio', 'x', 'higher', 'difference', 5 FROM generate_series(1, 6) i;
SELECT guardrail_launch('lonely');
SELECT guardrail_launch('many');
-- power: from the events that are there; x of the control has variance 4.006 per unit: 0.408 at 400 units
TRUNCATE ev;
SELECT experiment('power', 'ev', 400), events('power');
UPDATE guardrail_rule SET limit_value = CASE metric WHEN 'load' THEN 0.21 ELSE 0.17 END, kind = 'mean' WHERE experiment_id = 'power' AND role = 'guardrail';
SELECT guardrail_launch('power');
-- the same metrics over the same events, before their own are there
CALL guardrail_check('power');
SELECT experiment('next', 'ev', 400);
UPDATE guardrail_rule SET limit_value = CASE metric WHEN 'load' THEN 0.21 ELSE 0.17 END, kind = 'mean' WHERE experiment_id = 'next' AND role = 'guardrail';
SELECT guardrail_launch('next');
-- nobody knows
CREATE TABLE others AS SELECT * FROM ev WHERE false;
SELECT experiment('unknown', 'others', 400);
SELECT guardrail_launch('unknown');

SET client_min_messages = warning;
DROP SCHEMA plan_test CASCADE;
DROP EXTENSION guardrail;
