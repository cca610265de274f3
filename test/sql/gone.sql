-- What an experiment rests on is dropped while it runs: the error names it, the failure is recorded, the run fails.
--
-- Expected: the names as they were written; by thought.
SET client_min_messages = error;
CREATE SCHEMA gone_test;
CREATE EXTENSION guardrail SCHEMA gone_test;
SET search_path = gone_test;
CREATE ROLE regress_guardrail_gone;
GRANT USAGE ON SCHEMA gone_test TO regress_guardrail_gone;
CREATE FUNCTION twice(x int) RETURNS int LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN 2 * x; END $$;
CREATE TABLE seen AS SELECT i AS user_id, CASE WHEN i % 2 = 0 THEN 'control' ELSE 'treatment' END AS variant, timestamptz '2026-01-01' AS exposed_at FROM generate_series(1, 300) i;
CREATE TABLE kept AS SELECT *, exposed_at AS at, 100 + user_id % 7 AS x FROM seen;
DO $$ DECLARE name text; BEGIN
  FOREACH name IN ARRAY '{table,view,unit,variant,time,filtered,owner,exposures,exposed_at,function,draft,stopped}'::text[] LOOP
    EXECUTE format('CREATE TABLE %I AS TABLE kept', 'ev ' || name);
    EXECUTE format('GRANT SELECT ON %I TO PUBLIC', 'ev ' || name);
    EXECUTE format('INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, time_column) VALUES (%L, %L, NULL, ''at'')', name, quote_ident('ev ' || name));
  END LOOP;
  CREATE VIEW seen_view AS TABLE seen;
  CREATE VIEW shown AS TABLE "ev view";
  UPDATE guardrail_experiment SET exposures = 'seen_view' WHERE experiment_id = 'exposures';
  UPDATE guardrail_experiment SET exposures = '"ev exposed_at"' WHERE experiment_id = 'exposed_at';
  UPDATE guardrail_experiment SET events = 'shown' WHERE experiment_id = 'view';
  UPDATE guardrail_experiment SET owner = 'regress_guardrail_gone' WHERE experiment_id = 'owner';
  INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, filter, worse, limit_kind, limit_value)
    SELECT experiment_id, r, r, 'mean', CASE WHEN experiment_id = 'function' AND r = 'guardrail' THEN 'gone_test.twice(x)' ELSE 'x' END, CASE WHEN experiment_id = 'filtered' THEN 'exposed_at IS NOT NULL' END, 'higher', 'difference', 5
    FROM guardrail_experiment, unnest('{primary,guardrail}'::text[]) r;
  PERFORM guardrail_launch(experiment_id) FROM guardrail_experiment WHERE experiment_id <> 'draft';
END $$;
CALL guardrail_check();
SELECT guardrail_stop('stopped');
SELECT count(*) AS checked FROM guardrail_verdict WHERE error IS NULL;

DROP TABLE "ev table", "ev draft", "ev stopped";
DROP VIEW shown, seen_view;
ALTER TABLE "ev unit" DROP user_id;
ALTER TABLE "ev variant" DROP variant;
ALTER TABLE "ev time" DROP at;
ALTER TABLE "ev filtered" DROP exposed_at;
ALTER TABLE "ev exposed_at" DROP exposed_at;
DROP FUNCTION twice;
-- one of the same name is another
CREATE TABLE "ev table" AS TABLE kept;
REVOKE ALL ON SCHEMA gone_test FROM regress_guardrail_gone;
DROP ROLE regress_guardrail_gone;

\set VERBOSITY terse
CALL guardrail_check();
\set VERBOSITY default
CALL guardrail_check('table');
CALL guardrail_check('unit');
CALL guardrail_check('owner');
CALL guardrail_check('stopped');
SELECT regexp_replace(line, 'OID \d+', 'OID ...') AS status FROM guardrail_status() line ORDER BY line COLLATE "C";
SELECT * FROM guardrail_evaluate('view');
DO $$ BEGIN PERFORM guardrail_evaluate('draft'); EXCEPTION WHEN OTHERS THEN RAISE INFO '%', regexp_replace(SQLERRM, 'OID \d+', 'OID ...'); END $$;
SELECT DISTINCT experiment_id, verdict, error FROM guardrail_verdict ORDER BY experiment_id;
-- what replaces it
SELECT guardrail_amend('table', 'the table was made anew', '{"experiment": {"events": "gone_test.\"ev table\""}}') IS NOT NULL AS amended;
CALL guardrail_check('table');
SELECT guardrail_stop('unit');
SELECT experiment_id, verdict, error FROM guardrail_verdict WHERE experiment_id IN ('table', 'unit') ORDER BY 1;

DROP EXTENSION guardrail;
DROP SCHEMA gone_test CASCADE;
