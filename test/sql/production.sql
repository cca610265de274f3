-- What keeps a program of experiments honest in production: guardrail_replay, guardrail_prune, guardrail_release_gate.
--
-- Expected: every replay says what the log says; after pruning each arm's history of verdicts, written as changes, is what
-- it was, and the next check says what it would have said; the gate follows the last recorded verdict.
SET client_min_messages = warning;
CREATE EXTENSION guardrail;
-- every check is replayed
SET guardrail.all_inputs = on;
CREATE ROLE regress_guardrail_deploy;
CREATE SCHEMA production_test;
GRANT USAGE ON SCHEMA production_test TO regress_guardrail_deploy;
SET search_path = production_test, public;
CREATE TABLE ev (experiment_id text, user_id bigint, variant text, x float8, y float8, before float8);
INSERT INTO guardrail_experiment (experiment_id, events, planned_units, monitoring, correction) VALUES ('always', 'ev', NULL, NULL, 'hochberg'), ('group', 'ev', 6000, NULL, 'holm'), ('fixed', 'ev', 3000, 'fixed', 'none'), ('pocock', 'ev', 12000, 'group_sequential', 'bonferroni');
UPDATE guardrail_experiment SET spending = 'pocock' WHERE experiment_id = 'pocock';
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, quantile, covariate, cap_quantile, worse, limit_kind, limit_value, evidence, severity)
SELECT e.experiment_id, r.* FROM guardrail_experiment e, (VALUES
  ('load', 'guardrail', 'mean', 'x', NULL::float8, NULL, NULL::float8, 'higher', 'relative', 0.02, 'breach', 'block'),
  ('p90', 'guardrail', 'quantile', 'x', 0.9, NULL, NULL, 'higher', 'difference', 0.5, 'safe', 'hold'),
  ('slow', 'guardrail', 'proportion', 'x > 1.5', NULL, NULL, NULL, 'higher', 'absolute', 0.3, 'point', 'warn'),
  ('capped', 'secondary', 'mean', 'x + y', NULL, NULL, 0.9, 'higher', 'difference', 0, 'breach', 'block'),
  ('goal', 'primary', 'mean', 'y', NULL, 'before', NULL, 'lower', 'difference', 0.01, 'breach', 'block')) AS r;
SELECT count(guardrail_launch(experiment_id)) FROM guardrail_experiment;
SELECT setseed(0.4);
DO $$
BEGIN
  FOR i IN 1 .. 30 LOOP
    INSERT INTO ev SELECT e, i * 1000 + u, (ARRAY['control', 'a', 'b'])[1 + u % 3], random() + 1 + CASE WHEN u % 3 = 2 THEN 0.06 ELSE 0 END, random() + CASE WHEN u % 3 = 1 THEN 0.1 ELSE 0 END, random()
      FROM unnest('{always,group,fixed,pocock}'::text[]) e, generate_series(1, CASE WHEN i % 4 = 0 THEN 1 ELSE 90 END) u;
    CALL guardrail_check();
  END LOOP;
END $$;

-- ---- replay

SELECT count(DISTINCT check_id) AS checks, count(*) AS arms, count(DISTINCT verdict) AS verdicts, bool_or(look_no > 10) AS looks FROM guardrail_check_log;
CREATE TABLE replayed AS SELECT c.check_id, r.* FROM (SELECT DISTINCT check_id FROM guardrail_check_log) c, guardrail_replay(c.check_id) r;
SELECT count(*) AS arms, count(*) FILTER (WHERE identical) AS identical, string_agg(DISTINCT differences, ' ') AS differences FROM replayed;
SELECT count(*) AS arms, count(*) FILTER (WHERE to_jsonb(l) @> to_jsonb(r) - '{identical,differences}'::text[]) AS same FROM replayed r JOIN guardrail_check_log l USING (check_id, variant);
-- neither the events nor the rows of the plan are needed
SELECT max(check_id) AS last FROM guardrail_check_log WHERE experiment_id = 'group' \gset
SELECT guardrail_amend('group', 'another limit', '{"rules": {"load": {"limit_value": 0.5}, "p90": null}}');
ALTER TABLE ev RENAME TO elsewhere;
SELECT variant, identical, differences FROM guardrail_replay(:last) ORDER BY 1;
ALTER TABLE elsewhere RENAME TO ev;
-- what was recorded otherwise is named
ALTER TABLE guardrail_result_log DISABLE TRIGGER USER;
ALTER TABLE guardrail_check_log DISABLE TRIGGER USER;
UPDATE guardrail_result_log SET p_breach = 0.5, status = 'SAFE' WHERE check_id = :last AND variant = 'b' AND metric = 'load';
UPDATE guardrail_check_log SET verdict = 'SHIP' WHERE check_id = :last AND variant = 'b';
SELECT variant, identical, regexp_replace(differences, 'p_breach is [^,]*,', 'p_breach is ...,') AS differences FROM guardrail_replay(:last) ORDER BY 1;
UPDATE guardrail_result_log l SET p_breach = NULL WHERE false;
ALTER TABLE guardrail_result_log ENABLE TRIGGER USER;
ALTER TABLE guardrail_check_log ENABLE TRIGGER USER;
SELECT guardrail_replay(NULL);
SELECT guardrail_replay(0);
SELECT guardrail_replay(-9223372036854775808);
ALTER TABLE ev RENAME user_id TO z;
SET client_min_messages = error;
CALL guardrail_check('always');
SET client_min_messages = warning;
ALTER TABLE ev RENAME z TO user_id;
SELECT check_id AS failed FROM guardrail_verdict WHERE experiment_id = 'always' LIMIT 1 \gset
\set VERBOSITY terse
SELECT guardrail_replay(:failed);
\set VERBOSITY default
SELECT snapshot IS NOT NULL AS snapshot, state, ended, extension_version = (SELECT extversion FROM pg_extension WHERE extname = 'guardrail') AS version FROM guardrail_check_input WHERE check_id = :last;
DELETE FROM guardrail_check_input;

-- ---- prune: the history of verdicts stays, and what the next check rests on

CREATE VIEW history AS
  SELECT experiment_id, variant, string_agg(verdict, '>' ORDER BY check_id) AS verdicts FROM (SELECT *, lag(verdict) OVER (PARTITION BY experiment_id, variant ORDER BY check_id) AS was FROM guardrail_check_log) l WHERE verdict IS DISTINCT FROM was GROUP BY 1, 2;
CREATE VIEW decided AS
  SELECT d.experiment_id, d.variant, d.verdict, d.status, d.reason, d.srm_p, d.primary_lower, e.metric, e.status AS metric_status, e.effect_lower, e.effect_upper, e.p_breach, e.p_breach_adjusted, e.p_safe, e.p_value FROM guardrail_experiment x, guardrail_decide(x.experiment_id) d, guardrail_evaluate(x.experiment_id) e WHERE e.variant = d.variant;
CREATE TABLE history_before AS TABLE history;
CREATE TABLE decided_before AS TABLE decided;
CREATE TABLE verdict_before AS TABLE guardrail_verdict;
CREATE TABLE result_before AS TABLE guardrail_result;
SELECT guardrail_prune(NULL);
SELECT guardrail_prune('-1 day');
SELECT guardrail_prune('1 day');
SELECT count(*) AS checks FROM (SELECT DISTINCT check_id FROM guardrail_check_log) c \gset
SELECT guardrail_prune('0') AS pruned \gset
SELECT :pruned > 10 AS some, :checks - :pruned = count(DISTINCT check_id) AS counted FROM guardrail_check_log;
SELECT guardrail_prune('0') AS again;
SELECT count(*) AS differ FROM ((TABLE history EXCEPT TABLE history_before) UNION ALL (TABLE history_before EXCEPT TABLE history)) d;
SELECT count(*) AS differ FROM ((TABLE decided EXCEPT TABLE decided_before) UNION ALL (TABLE decided_before EXCEPT TABLE decided)) d;
SELECT count(*) AS differ FROM ((TABLE guardrail_verdict EXCEPT TABLE verdict_before) UNION ALL (TABLE verdict_before EXCEPT TABLE guardrail_verdict)) d;
SELECT count(*) AS differ FROM ((TABLE guardrail_result EXCEPT TABLE result_before) UNION ALL (TABLE result_before EXCEPT TABLE guardrail_result)) d;
-- nothing is left over, and what is left can still be replayed
SELECT count(*) AS orphans FROM guardrail_result_log r WHERE NOT EXISTS (SELECT FROM guardrail_check_log l WHERE l.check_id = r.check_id);
SELECT count(*) AS orphans FROM guardrail_check_input r WHERE NOT EXISTS (SELECT FROM guardrail_check_log l WHERE l.check_id = r.check_id);
SELECT bool_and(identical OR check_id = :last) AS identical FROM guardrail_check_input, LATERAL guardrail_replay(check_id);

-- ---- a table of releases

INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, planned_units, monitoring) VALUES ('gate', 'ev', NULL, 100000, 'fixed'), ('not launched', 'ev', NULL, 1, 'fixed');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value, evidence) VALUES ('gate', 'load', 'guardrail', 'mean', 'x', 'higher', 'difference', 10, 'point'), ('gate', 'goal', 'primary', 'mean', 'y', 'lower', 'difference', 0, 'breach');
CREATE TABLE releases (release int GENERATED ALWAYS AS IDENTITY, experiment_id text, variant text, note text);
CREATE TRIGGER guardrail BEFORE INSERT OR UPDATE ON releases FOR EACH ROW EXECUTE FUNCTION guardrail_release_gate();
CREATE TABLE strict (feature text, test text, arm text);
CREATE TRIGGER guardrail AFTER INSERT ON strict FOR EACH ROW EXECUTE FUNCTION guardrail_release_gate('test', 'arm', 'ship', '1 hour');
TRUNCATE ev;
CREATE PROCEDURE seen(a float8, goal float8) LANGUAGE sql AS $$
  DELETE FROM ev; INSERT INTO ev SELECT 'gate', u, (ARRAY['control', 'a'])[1 + u % 2], u % 7 + (u % 2) * a, u % 5 + (u % 2) * goal FROM generate_series(1, 4000) u $$;
-- not launched, and never checked: nothing speaks for it
INSERT INTO releases (experiment_id, variant) VALUES ('not launched', 'a');
INSERT INTO strict VALUES ('button', 'not launched', 'a');
SELECT guardrail_launch('gate');
CALL seen(0, 0);
CALL guardrail_check('gate');
SELECT verdict FROM guardrail_verdict WHERE experiment_id = 'gate';
INSERT INTO releases (experiment_id, variant) VALUES ('gate', 'a');
\set VERBOSITY terse
INSERT INTO strict VALUES ('button', 'gate', 'a');
\set VERBOSITY default
-- a check that fails, and one that is old, are no permission; the way back to control is open
ALTER TABLE ev RENAME user_id TO z;
SET client_min_messages = error;
CALL guardrail_check('gate');
SET client_min_messages = warning;
ALTER TABLE ev RENAME z TO user_id;
\set VERBOSITY terse
INSERT INTO releases (experiment_id, variant) VALUES ('gate', 'a');
\set VERBOSITY default
INSERT INTO releases (experiment_id, variant) VALUES ('gate', 'control');
CALL guardrail_check('gate');
CREATE TABLE impatient (experiment_id text, variant text);
CREATE TRIGGER guardrail BEFORE INSERT ON impatient FOR EACH ROW EXECUTE FUNCTION guardrail_release_gate('experiment_id', 'variant', 'block', '0 seconds');
\set VERBOSITY terse
INSERT INTO impatient VALUES ('gate', 'a');
\set VERBOSITY default
-- BLOCK
CALL seen(20, 0);
CALL guardrail_check('gate');
INSERT INTO releases (experiment_id, variant) VALUES ('gate', 'a');
INSERT INTO releases (experiment_id, variant) VALUES ('gate', NULL);
INSERT INTO releases (experiment_id, variant) VALUES ('gate', 'control'), (NULL, 'a');
UPDATE releases SET note = 'x' WHERE experiment_id = 'gate' AND variant = 'a';
SELECT release, experiment_id, variant, note FROM releases ORDER BY 1;
-- it stands over a check that fails, and over an arm that is gone
ALTER TABLE ev RENAME user_id TO z;
SET client_min_messages = error;
CALL guardrail_check('gate');
SET client_min_messages = warning;
ALTER TABLE ev RENAME z TO user_id;
\set VERBOSITY terse
INSERT INTO releases (experiment_id, variant) VALUES ('gate', 'a');
DELETE FROM ev;
CALL guardrail_check('gate');
INSERT INTO releases (experiment_id, variant) VALUES ('gate', 'a');
INSERT INTO ev SELECT 'gate', u, (ARRAY['control', 'b'])[1 + u % 2], u % 7, u % 5 FROM generate_series(1, 4000) u;
CALL guardrail_check('gate');
SELECT variant, verdict FROM guardrail_verdict WHERE experiment_id = 'gate';
INSERT INTO releases (experiment_id, variant) VALUES ('gate', 'a');
-- and over an amended plan, until the next check
SELECT guardrail_amend('gate', 'a limit that lets it pass, and the end', '{"experiment": {"planned_units": 1}, "rules": {"load": {"limit_value": 100}}}');
INSERT INTO releases (experiment_id, variant) VALUES ('gate', 'a');
CALL seen(0, 1);
CALL guardrail_check('gate');
SELECT variant, verdict FROM guardrail_verdict WHERE experiment_id = 'gate';
-- nor while nobody answers for the looser plan
INSERT INTO strict VALUES ('button', 'gate', 'a');
SELECT guardrail_waive('gate', 'a', name, 'agreed') FROM unnest('{load,planned_units}'::text[]) AS name;
CALL guardrail_check('gate');
SELECT variant, verdict FROM guardrail_verdict WHERE experiment_id = 'gate';
INSERT INTO releases (experiment_id, variant) VALUES ('gate', 'a');
INSERT INTO strict VALUES ('button', 'gate', 'a');
-- a plan that was bent
ALTER TABLE guardrail_rule DISABLE TRIGGER guardrail_frozen;
UPDATE guardrail_rule SET limit_value = 1000 WHERE experiment_id = 'gate' AND metric = 'load';
ALTER TABLE guardrail_rule ENABLE TRIGGER guardrail_frozen;
CALL guardrail_check('gate');
INSERT INTO releases (experiment_id, variant) VALUES ('gate', 'a');
\set VERBOSITY default
-- what cannot be
INSERT INTO releases (experiment_id, variant) VALUES ('gaet', 'a');
CREATE TRIGGER other BEFORE INSERT ON releases FOR EACH ROW EXECUTE FUNCTION guardrail_release_gate('nosuch');
INSERT INTO releases (experiment_id, variant) VALUES (NULL, 'a');
DROP TRIGGER other ON releases;
CREATE TRIGGER other BEFORE INSERT ON releases FOR EACH ROW EXECUTE FUNCTION guardrail_release_gate('experiment_id', 'variant', 'perhaps');
INSERT INTO releases (experiment_id, variant) VALUES (NULL, 'a');
DROP TRIGGER other ON releases;
CREATE TRIGGER other BEFORE INSERT ON releases FOR EACH STATEMENT EXECUTE FUNCTION guardrail_release_gate();
INSERT INTO releases (experiment_id, variant) VALUES (NULL, 'a');
DROP TRIGGER other ON releases;
SELECT guardrail_release_gate();
-- who inserts releases needs no right on anything of guardrail's; attaching the gate is granted
GRANT INSERT ON releases TO regress_guardrail_deploy;
GRANT CREATE ON SCHEMA production_test TO regress_guardrail_deploy;
SET ROLE regress_guardrail_deploy;
INSERT INTO releases (experiment_id, variant) VALUES ('gate', 'a');
CREATE TABLE probe (experiment_id text, variant text);
CREATE TRIGGER probe BEFORE INSERT ON probe FOR EACH ROW EXECUTE FUNCTION guardrail_release_gate();
SELECT guardrail_prune('0');
RESET ROLE;

SET client_min_messages = warning;
DROP SCHEMA production_test CASCADE;
DROP EXTENSION guardrail;
DROP ROLE regress_guardrail_deploy;
