-- An amendment that loosens what guards after data holds the arms until somebody waives it by name.
--
-- Expected: 1,000 units in each arm, counted by hand; load is 1,000 in the control and 1,220 in the other arm, up to a
-- spread of 5, so that the harm of 220 is beyond 200 and below 250; buys wins by a share of 0.5 against 0.3.
\set VERBOSITY default
SET client_min_messages = error;
CREATE EXTENSION guardrail;
CREATE SCHEMA loosened_test;
SET search_path = loosened_test, public;
CREATE TABLE ev (user_id int, variant text, load float8, buys boolean);
INSERT INTO ev SELECT i, (ARRAY['control', 'new'])[1 + i % 2], 1000 + i % 2 * 220 + i / 2 % 11 - 5, i / 2 % 10 < 3 + i % 2 * 2 FROM generate_series(2, 2001) i;
CREATE PROCEDURE planned(id text) LANGUAGE sql AS $$
  INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, planned_units, min_units, monitoring) VALUES (id, 'ev', NULL, 2000, 100, 'fixed');
  INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value, display_unit)
  VALUES (id, 'load', 'guardrail', 'mean', 'load', 'higher', 'difference', 200, 'ms'), (id, 'buys', 'primary', 'proportion', 'buys', 'lower', 'difference', 0, NULL),
    (id, 'slow', 'guardrail', 'proportion', 'load > 2000', 'higher', 'difference', 0.01, NULL);
$$;
CREATE FUNCTION verdict(id text) RETURNS text LANGUAGE sql AS
$$ SELECT verdict || ' | ' || replace(status, session_user::text, 'somebody') || ' | ' || amended_after_data FROM guardrail_decide(id) $$;
CALL planned('page');
SELECT guardrail_launch('page');
CALL guardrail_check('page');
SELECT verdict('page');
-- a BLOCK is not amended away
SET client_min_messages = notice;
SELECT guardrail_amend('page', 'it is no slower than last year', '{"rules": {"load": {"limit_value": 250}}}');
SET client_min_messages = error;
CALL guardrail_check('page');
SELECT verdict, status, amended_after_data, reason FROM guardrail_verdict;
SELECT guardrail_assert_shippable('page', 'new');
-- what is stricter, or neither, is free
SELECT guardrail_amend('page', 'stricter', '{"experiment": {"description": "x"}, "rules": {"slow": {"limit_value": 0.005, "evidence": "safe", "note": "y"}}}');
SELECT verdict('page');
-- ---- waivers
SELECT guardrail_waive('page', 'new', 'lod', 'x');
SELECT guardrail_waive('page', 'old', 'load', 'x');
SELECT guardrail_waive('page', 'new', 'load', '  ');
SELECT guardrail_waive('page', 'new', NULL, 'x');
SELECT guardrail_waive('page', 'new', 'load', 'x', '2020-01-01');
SELECT guardrail_waive('page', 'new', 'load', 'x', '-infinity');
SELECT guardrail_waive('page', 'new', 'slow', 'x');
SELECT guardrail_waive('page', 'new', 'load', 'agreed with whoever owns the page', '2999-12-31 00:00:00+00');
CALL guardrail_check('page');
SELECT verdict, replace(status, current_user::text, 'somebody') AS status, regexp_replace(reason, current_user::text, 'somebody') AS reason FROM guardrail_verdict;
SELECT guardrail_assert_shippable('page', 'new');
-- whatever zone the reader has
SET TimeZone = 'Asia/Tokyo';
SELECT bool_and(identical) AS identical FROM (SELECT DISTINCT check_id FROM guardrail_check_input WHERE experiment_id = 'page') c, guardrail_replay(c.check_id);
RESET TimeZone;
-- looser than what was waived: held again; stricter: not
SELECT guardrail_amend('page', 'more', '{"rules": {"load": {"limit_value": 300}}}');
SELECT verdict('page');
SELECT guardrail_amend('page', 'less', '{"rules": {"load": {"limit_value": 230}}}');
SELECT verdict('page');
-- back: nothing is loosened any more, and the harm is beyond the limit again
SELECT guardrail_amend('page', 'as it was', '{"rules": {"load": {"limit_value": 200}}}');
SELECT verdict('page');
SELECT guardrail_waive('page', 'new', 'load', 'the harm is known', 'infinity');
SELECT verdict('page');
SELECT waiver_no, plan_version, variant, metric, reason, status, lifts_veto FROM guardrail_waiver ORDER BY 1;
-- ---- a waiver is in the chain
SELECT bool_and(intact) FROM guardrail_verify('page');
UPDATE guardrail_waiver SET until = NULL;
ALTER TABLE guardrail_waiver DISABLE TRIGGER ALL;
UPDATE guardrail_waiver SET metric = 'slow' WHERE waiver_no = 1;
SELECT verdict, status, reason FROM guardrail_decide('page');
SELECT finding FROM guardrail_verify('page') WHERE NOT intact;
UPDATE guardrail_waiver SET metric = 'load' WHERE waiver_no = 1;
ALTER TABLE guardrail_waiver ENABLE TRIGGER ALL;
SELECT verdict('page');
-- ---- each way to loosen, of experiments of their own; the harm is below every limit
UPDATE ev SET load = load - 220 WHERE variant = 'new';
CREATE TABLE said (n int, text text);
CREATE PROCEDURE loosen(n int, changes jsonb) LANGUAGE plpgsql AS $$
BEGIN
  CALL planned('e' || n);
  PERFORM guardrail_launch('e' || n);
  PERFORM guardrail_amend('e' || n, 'x', changes);
  INSERT INTO said SELECT n, verdict || ' | ' || coalesce(substring(reason, 'loosened: (.*) after 2,000 units; plan'), '') FROM guardrail_decide('e' || n);
END $$;
CALL loosen(1, '{"rules": {"load": {"evidence": "point"}}}');
CALL loosen(2, '{"rules": {"load": {"severity": "hold"}}}');
CALL loosen(3, '{"rules": {"load": {"alpha": 0.01}}}');
CALL loosen(4, '{"rules": {"load": {"alpha": 0.2}}}');
CALL loosen(5, '{"rules": {"load": null}}');
CALL loosen(6, '{"rules": {"load": {"value": "least(load, 1100)"}}}');
CALL loosen(7, '{"rules": {"load": {"limit_kind": "relative", "limit_value": 0.5}}}');
CALL loosen(8, '{"rules": {"load": {"limit_kind": "significance", "limit_value": null}}}');
CALL loosen(9, '{"rules": {"buys": null, "wins": {"role": "primary", "kind": "proportion", "value": "buys", "worse": "lower", "limit_kind": "difference", "limit_value": 0}}}');
CALL loosen(10, '{"rules": {"buys": {"alpha": 0.2}}}');
CALL loosen(11, '{"experiment": {"min_units": 10}}');
CALL loosen(12, '{"experiment": {"min_units": 1000, "srm_alpha": 0.01}}');
CALL loosen(13, '{"experiment": {"srm_alpha": 0.00001}}');
CALL loosen(14, '{"rules": {"more": {"role": "guardrail", "kind": "mean", "value": "load", "worse": "higher", "limit_kind": "difference", "limit_value": 100}}}');
CALL loosen(15, '{"rules": {"load": {"severity": "warn"}}}');
-- a rule that was added after data guards from then on
SELECT guardrail_amend('e14', 'another', '{"rules": {"more": {"value": "least(load, 1)"}}}');
SELECT verdict('e14');
SELECT guardrail_amend('e14', 'away', '{"rules": {"more": null}}');
SELECT verdict('e14');
SELECT * FROM said ORDER BY n;
-- before any data an amendment is only an amendment
CREATE TABLE later (LIKE ev);
CALL planned('early');
UPDATE guardrail_experiment SET events = 'later' WHERE experiment_id = 'early';
SELECT guardrail_launch('early');
SELECT guardrail_amend('early', 'not yet begun', '{"rules": {"load": {"limit_value": 500}, "slow": null}}');
INSERT INTO later SELECT * FROM ev;
SELECT verdict('early');
-- what is not the caller's is not waived
CREATE ROLE regress_guardrail_stranger;
GRANT USAGE ON SCHEMA loosened_test TO regress_guardrail_stranger;
GRANT SELECT ON guardrail_experiment, guardrail_rule TO regress_guardrail_stranger;
SET ROLE regress_guardrail_stranger;
SELECT guardrail_waive('page', 'new', 'load', 'x');
SELECT * FROM guardrail_waiver;
RESET ROLE;
DROP OWNED BY regress_guardrail_stranger;
DROP ROLE regress_guardrail_stranger;
DROP SCHEMA loosened_test CASCADE;
DROP EXTENSION guardrail;
