-- What guardrail_launch, guardrail_amend, guardrail_stop and guardrail_check say, and names that the events do not have.
--
-- Expected: units counted from the series that make the events (u % 3 = 0 etc.); what is refused, by thought: the plan names
-- an identifier or a variant that no row has, while the rows have others.
CREATE EXTENSION guardrail;
CREATE SCHEMA said_test;
SET search_path = said_test, public;
\set VERBOSITY default
CREATE TABLE ev (experiment_id text, user_id int, variant text, x float8, goal boolean, at timestamptz);
CREATE FUNCTION experiment(id text, planned bigint DEFAULT NULL, shares jsonb DEFAULT NULL, control text DEFAULT 'control', events regclass DEFAULT 'ev') RETURNS void LANGUAGE sql AS $$
  INSERT INTO guardrail_experiment (experiment_id, events, planned_units, shares, control) VALUES ($1, $5, $2, $3, $4);
  INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES ($1, 'goal', 'primary', 'proportion', 'goal', 'lower', 'difference', 0), ($1, 'load', 'guardrail', 'ratio', 'x', 'higher', 'difference', 500), ($1, 'slow', 'guardrail', 'ratio', 'x > 1000', 'higher', 'difference', 0.5) $$;
-- n users in the arms, one after the other, two events each
CREATE FUNCTION events(id text, arms text[], n int) RETURNS void LANGUAGE sql AS $$
  INSERT INTO ev SELECT $1, u, arms[1 + u % cardinality(arms)], u % 100 * 15, u % 7 = 0, '2026-01-01'::timestamptz + u * interval '1 minute' FROM generate_series(1, n) u, generate_series(1, 2) $$;
\pset format unaligned
\pset tuples_only on
SELECT experiment('empty');

-- ---- launched: with nothing to look at, and over events

SELECT guardrail_launch('empty');
SELECT experiment('three', 40000), events('three', '{A,control,"B new"}', 30000);
SELECT guardrail_launch('three');
SELECT experiment('fixed', 1234567, '{"control": 1, "treatment": 1}'), events('fixed', '{control,treatment}', 1000);
UPDATE guardrail_experiment SET monitoring = 'fixed' WHERE experiment_id = 'fixed';
SELECT guardrail_launch('fixed');

-- ---- variants that no event has

SELECT experiment('wrong control'), events('wrong control', '{A,B_new_checkout}', 1000);
SELECT guardrail_launch('wrong control');
SELECT state, plan_version FROM guardrail_experiment WHERE experiment_id = 'wrong control';
-- another way of writing it is the likeliest
SELECT experiment('writing'), events('writing', '{treatment,Control}', 6);
SELECT guardrail_launch('writing');
SELECT experiment('one arm', NULL, NULL, 'base'), events('one arm', '{new}', 400);
SELECT guardrail_launch('one arm');
-- three users may all be in one arm by chance: 1 in 8
SELECT experiment('few', NULL, NULL, 'base'), events('few', '{new}', 3);
SELECT guardrail_launch('few');
SELECT experiment('shares', NULL, '{"control": 1, "treatmnt": 1}'), events('shares', '{control,treatment}', 1000);
SELECT guardrail_launch('shares');
-- one that comes later beside others that are planned
SELECT experiment('staggered', NULL, '{"control": 1, "first": 1, "second": 1}'), events('staggered', '{control,first}', 1000);
SELECT guardrail_launch('staggered');
SELECT guardrail_launch('shares', unseen => true);
CALL guardrail_check('shares');
SELECT verdict, reason FROM guardrail_verdict WHERE experiment_id = 'shares';
SELECT identical, differences FROM guardrail_replay((SELECT max(check_id) FROM guardrail_check_log WHERE experiment_id = 'shares'));
-- no unit of either arm: NO DATA, with names, three of them
SELECT experiment('none', NULL, '{"control": 1, "treatment": 1}'), events('none', '{A,A,A,B,B,C,D,NULL}', 800);
SELECT guardrail_launch('none', true);
SELECT verdict, status, reason FROM guardrail_decide('none');
-- an amendment that names the wrong arm is told
SELECT guardrail_amend('three', 'typo', '{"experiment": {"control": "controll"}}');

-- ---- an identifier that no event has

TRUNCATE ev;
SELECT events('other', '{control,treatment}', 1000), events('checkout_v2', '{control,treatment}', 20), experiment('checkout v2');
SELECT guardrail_launch('checkout v2');
SELECT guardrail_launch('checkout v2', true);
-- rows of other experiments are no sign of a mistake
SELECT experiment('other'), experiment('checkout_v2'), experiment('new');
SELECT guardrail_launch('new');

-- exposures have the arms; the events have none of the name
CREATE TABLE shown (experiment_id text, user_id int, variant text, exposed_at timestamptz);
INSERT INTO shown SELECT 'shown', u, CASE u % 2 WHEN 0 THEN 'control' ELSE 'treatment' END, '2026-01-01' FROM generate_series(1, 300) u;
INSERT INTO guardrail_experiment (experiment_id, events, exposures, time_column, control) VALUES ('shown', 'ev', 'shown', 'at', 'base');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES ('shown', 'goal', 'primary', 'proportion', 'goal', 'lower', 'difference', 0);
SELECT guardrail_launch('shown');
UPDATE guardrail_experiment SET control = 'control' WHERE experiment_id = 'shown';
DELETE FROM guardrail_experiment WHERE experiment_id = 'other';
SELECT guardrail_launch('shown');
SELECT experiment('other');
SELECT guardrail_launch('shown');

-- ---- amended

SELECT guardrail_launch('other');
SELECT guardrail_amend('other', 'load was set in seconds', '{"rules": {"load": {"limit_value": 20, "display_unit": "ms"}, "slow": null, "more": {"role": "guardrail", "kind": "quantile", "value": "x", "quantile": 0.9, "worse": "higher", "limit_kind": "relative", "limit_value": 0.1}}, "experiment": {"max_crossover": 0.02, "description": "so"}}');
SELECT guardrail_amend('other', 'nothing', '{}');
SELECT guardrail_amend('other', 'x', '{"rules": {"laod": {"limit_value": 20}}}');
SELECT guardrail_amend('other', 'x', '{"rules": {"latency": {"limit_value": 20, "kind": "mean"}}}');
SELECT guardrail_amend('other', 'x', '{"rules": {"latency": null}}');
SELECT guardrail_amend('other', 'x', '{"rules": {"load": {"limit_valu": 20}}}');
SELECT guardrail_amend('other', 'x', '{"rules": {"load": {"metric": "wait"}}}');
SELECT guardrail_amend('other', 'x', '{"experiment": {"state": "draft"}}');
SELECT guardrail_amend('other', 'x', '{"rules": {"load": {"limit_value": "much"}}}');
SELECT guardrail_amend('other', 'x', '{"rules": {"load": {"limit_value": {"a": 1}}}}');
SELECT guardrail_amend('other', 'x', '{"rules": {"load": {"value": "y"}}}');
SELECT guardrail_amend('other', 'x', '{"rules": {"load": {"limit_value": null}}}');
SELECT guardrail_amend('other', 'x', '{"rules": {"load": []}}');
SELECT guardrail_amend('other', 'x', '{"rules": {"wait": {"role": "guardrail", "kind": "mean"}}}');
SELECT guardrail_amend('other', 'x', '{"rules": {"": {"limit_value": 1}}}');
SELECT guardrail_amend('other', 'x', '{"experiment": {"owner": "nobody of that name"}}');
SELECT guardrail_amend('other', 'x', '{"experiment": {"events": "said_test.nosuch"}}');
SELECT plan_version FROM guardrail_experiment WHERE experiment_id = 'other';

-- ---- checked and stopped

CALL guardrail_check('other');
CALL guardrail_check();
SELECT count(*) AS checks FROM guardrail_check_log WHERE experiment_id = 'other' \gset
SELECT guardrail_stop('other');
SELECT count(DISTINCT check_id) - :checks AS more FROM guardrail_check_log WHERE experiment_id = 'other';
SELECT guardrail_stop('other');
-- a fixed test is over when it is stopped: half of its units won
SELECT experiment('over', 100000), events('over', '{control,treatment}', 4000);
UPDATE guardrail_experiment SET monitoring = 'fixed' WHERE experiment_id = 'over';
UPDATE ev SET goal = user_id % 10 < CASE variant WHEN 'control' THEN 4 ELSE 7 END WHERE experiment_id = 'over';
SELECT guardrail_launch('over');
CALL guardrail_check('over');
SELECT guardrail_stop('over');
SELECT verdict FROM guardrail_verdict WHERE experiment_id = 'over';
-- what cannot be checked is stopped all the same
CREATE TABLE gone AS TABLE ev;
SELECT experiment('gone', NULL, NULL, 'control', 'gone');
INSERT INTO gone SELECT 'gone', u, CASE u % 2 WHEN 0 THEN 'control' ELSE 'treatment' END, 1, true FROM generate_series(1, 400) u;
SELECT guardrail_launch('gone');
ALTER TABLE gone RENAME x TO y;
ALTER TABLE gone DROP y;
ALTER TABLE gone RENAME user_id TO uid;
SELECT guardrail_stop('gone');
SELECT state, (SELECT error FROM guardrail_verdict v WHERE v.experiment_id = e.experiment_id) AS error FROM guardrail_experiment e WHERE experiment_id = 'gone';
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT guardrail_stop('new');
COMMIT;
-- whoever may stop it has its verdict, without the right to check
CREATE ROLE regress_guardrail_stopper;
GRANT USAGE ON SCHEMA said_test TO regress_guardrail_stopper;
GRANT SELECT ON ev TO regress_guardrail_stopper;
GRANT SELECT, INSERT ON guardrail_experiment, guardrail_rule TO regress_guardrail_stopper;
GRANT SELECT ON guardrail_verdict TO regress_guardrail_stopper;
SET ROLE regress_guardrail_stopper;
SELECT experiment('mine');
RESET ROLE;
SELECT events('mine', '{control,treatment}', 4000);
SET ROLE regress_guardrail_stopper;
SELECT guardrail_launch('mine');
CALL guardrail_check('mine');
SELECT guardrail_stop('mine');
SELECT verdict FROM guardrail_verdict WHERE experiment_id = 'mine';
SELECT guardrail_stop('three');
RESET ROLE;

-- ---- the one treatment variant, and experiments that are numbers

SELECT guardrail_assert_shippable('over');
SELECT guardrail_assert_shippable('over', newer_than => '1 hour');
SELECT guardrail_assert_shippable('over', NULL);
SELECT guardrail_assert_shippable('mine');
SELECT guardrail_assert_shippable('staggered');
CALL guardrail_check('staggered');
SELECT guardrail_assert_shippable('staggered');
SELECT guardrail_assert_shippable('nosuch');
SELECT experiment('1042'), events('1042', '{control,treatment}', 1000);
SELECT guardrail_launch(1042);
CALL guardrail_check(1042);
SELECT guardrail_status(1042), guardrail_status(1042::smallint), guardrail_status(1042::bigint, 'treatment'), guardrail_status('1042'), guardrail_status('1042'::varchar);
CREATE DOMAIN number AS integer;
SELECT guardrail_status(1042::number), (SELECT count(*) FROM guardrail_evaluate(1042)), (SELECT count(*) FROM guardrail_decide(1042)), length(guardrail_explain(1042)) > 100, (SELECT count(*) FROM guardrail_verify(1042)), (SELECT count(*) FROM guardrail_choose(1042));
SELECT guardrail_status(1043);
SELECT guardrail_status(NULL);
SELECT guardrail_status(NULL::int);
SELECT guardrail_status(-9223372036854775808);
SELECT guardrail_amend(1042, 'wider', '{"rules": {"load": {"limit_value": 600}}}');
SELECT guardrail_assert_shippable(1042);
SELECT guardrail_assert_shippable(1042, 'treatment');
SELECT guardrail_stop(1042);
-- every function of users that takes a name takes a number; who may check all is granted for both
SELECT p.oid::regprocedure FROM pg_proc p WHERE proname LIKE 'guardrail\_%' AND proname NOT LIKE 'guardrail_plan\_%' AND proargnames[1] = 'experiment' AND proargtypes[0] = 'text'::regtype AND prolang = (SELECT oid FROM pg_language WHERE lanname = 'c')
  AND NOT EXISTS (SELECT FROM pg_proc q WHERE q.proname = p.proname AND q.proargnames[1] = 'experiment' AND q.proargtypes[0] = 'bigint'::regtype AND q.pronargs = p.pronargs AND q.proacl IS NOT DISTINCT FROM p.proacl AND q.prosrc = p.prosrc);
-- and each of them reads the number as such: no experiment has this one
DO $$
DECLARE r record; said text;
BEGIN
  FOR r IN SELECT p.oid::regprocedure::text AS f, proname, CASE prokind WHEN 'p' THEN 'CALL ' ELSE 'SELECT ' END AS verb,
      (SELECT string_agg(CASE n WHEN 1 THEN '-7::bigint' ELSE 'NULL::' || format_type(t, NULL) END, ', ' ORDER BY n) FROM unnest(proargtypes::oid[]) WITH ORDINALITY AS a(t, n)) AS arguments
    FROM pg_proc p WHERE proargnames[1] = 'experiment' AND proargtypes[0] = 'bigint'::regtype ORDER BY 1
  LOOP
    BEGIN
      EXECUTE r.verb || r.proname || '(' || r.arguments || ')';
      RAISE WARNING '%: accepted', r.f;
    EXCEPTION WHEN OTHERS THEN
      IF SQLERRM !~ '"-7"|must not be NULL' THEN RAISE WARNING '%: %', r.f, SQLERRM; END IF;
    END;
  END LOOP;
END $$;

SET client_min_messages = warning;
DROP SCHEMA said_test CASCADE;
DROP EXTENSION guardrail;
DROP ROLE regress_guardrail_stopper;
