-- Plan texts that somebody else wrote, keys missing, of another type: an error, never a crash, never another number.
--
-- Expected: by counting keys.
SET client_min_messages = error;
CREATE EXTENSION guardrail;
CREATE SCHEMA stored_test;
SET search_path = stored_test, public;
CREATE TABLE ev (experiment_id text, user_id int, variant text, x float8, ms float8);
INSERT INTO ev SELECT 'e', u, CASE u % 2 WHEN 0 THEN 'control' ELSE 'treatment' END, u % 7 + u % 2, u % 100 FROM generate_series(1, 2000) AS u;
INSERT INTO guardrail_experiment (experiment_id, events, planned_units, shares, segments) VALUES ('e', 'ev', 2000, '{"control": 1, "treatment": 1}', '{user_id % 3}');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, quantile, worse, limit_kind, limit_value) VALUES
  ('e', 'x', 'primary', 'mean', 'x', NULL, 'lower', 'relative', 0), ('e', 'p95', 'guardrail', 'quantile', 'ms', 0.95, 'higher', 'difference', 5), ('e', 'mean ms', 'guardrail', 'mean', 'ms', NULL, 'higher', 'relative', 0.1);
SELECT guardrail_launch('e');
CALL guardrail_check('e');
SELECT verdict, identical FROM guardrail_replay((SELECT check_id FROM guardrail_verdict));

-- what the text says otherwise; rehash: by somebody who makes its hash fit, too
CREATE FUNCTION replayed(changed text, rehash boolean) RETURNS text LANGUAGE plpgsql AS $$
DECLARE said text;
BEGIN
  UPDATE guardrail_plan SET plan = changed, plan_hash = CASE WHEN rehash THEN encode(sha256(convert_to(changed, 'UTF8')), 'hex') ELSE plan_hash END;
  SELECT string_agg(verdict || ' ' || identical, ', ') INTO said FROM guardrail_replay((SELECT check_id FROM guardrail_verdict));
  RAISE EXCEPTION 'replayed: %', said;
EXCEPTION WHEN OTHERS THEN
  RETURN CASE WHEN SQLERRM LIKE 'replayed: %' THEN SQLERRM ELSE SQLSTATE END;
END $$;
-- the tables are written by hand as whoever restores an edited dump does it: no trigger sees it
SET session_replication_role = replica;
CREATE TABLE change AS
WITH plan AS (SELECT plan::jsonb AS p FROM guardrail_plan), path AS (
  SELECT ARRAY['experiment', k] AS path FROM plan, jsonb_object_keys(p -> 'experiment') AS k
  UNION ALL SELECT ARRAY['rules', r, k] FROM plan, jsonb_each(p -> 'rules') AS rule (r, v), jsonb_object_keys(v) AS k
  UNION ALL SELECT ARRAY['rules', r] FROM plan, jsonb_object_keys(p -> 'rules') AS r
  UNION ALL SELECT ARRAY[k] FROM plan, jsonb_object_keys(p) AS k)
SELECT path, how, CASE how WHEN 'removed' THEN p #- path WHEN 'null' THEN jsonb_set(p, path, 'null') WHEN 'a number' THEN jsonb_set(p, path, '-7') WHEN 'a text' THEN jsonb_set(p, path, '"nonsense"')
    WHEN 'a list' THEN jsonb_set(p, path, '[]') ELSE jsonb_set(p, path, '{}') END::text AS changed
  FROM plan, path, unnest('{removed,null,a number,a text,a list,an object}'::text[]) AS how;
SELECT count(*) > 200 AS changes, count(*) FILTER (WHERE replayed(changed, false) <> 'XX001') AS believed FROM change;
-- with a hash that fits, keys that are needed are missed: an error, or what is decided says that it differs, or it rests on no such key
SELECT path, how, said FROM (SELECT path, how, replayed(changed, true) AS said FROM change) AS c
 WHERE path[cardinality(path)] IN ('control', 'quantile_over', 'worse', 'kind', 'unit_aggregate', 'limit_kind', 'evidence', 'role', 'severity', 'unit_column', 'variant_column', 'correction', 'experiment_id', 'exposed_at_column')
   AND how IN ('removed', 'null') AND said <> 'XX001';
SELECT said, count(*) > 0 AS seen FROM (SELECT left(replayed(changed, true), 2) AS said FROM change) AS c WHERE said NOT IN ('XX', '22', '23', 're') GROUP BY 1 ORDER BY 1;
SELECT text, replayed(text, false) AS said, replayed(text, true) AS rehashed FROM unnest(ARRAY['', 'null', '[]', '{}', 'nonsense', '"experiment"', '{"experiment": {}, "rules": {}}']) AS text;
-- inputs with a piece missing
ALTER TABLE guardrail_check_input ALTER state DROP NOT NULL, ALTER spec DROP NOT NULL, ALTER collection DROP NOT NULL, ALTER past DROP NOT NULL, ALTER metrics DROP NOT NULL, ALTER fingerprints DROP NOT NULL, ALTER ended DROP NOT NULL;
CREATE FUNCTION replayed_without(what text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE format('UPDATE guardrail_check_input SET %I = NULL', what);
  PERFORM guardrail_replay((SELECT check_id FROM guardrail_verdict));
  RETURN 'believed';
EXCEPTION WHEN OTHERS THEN RETURN SQLSTATE || ' ' || SQLERRM;
END $$;
SELECT what, replayed_without(what) FROM unnest('{state,ended,spec,collection,past,metrics,fingerprints}'::text[]) AS what;
SELECT verdict, identical FROM guardrail_replay((SELECT check_id FROM guardrail_verdict));
RESET session_replication_role;
-- an owner who is gone
CREATE ROLE stored_gone;
CREATE ROLE stored_other;
GRANT USAGE ON SCHEMA stored_test TO stored_other;
INSERT INTO guardrail_experiment (experiment_id, events, owner) VALUES ('orphan', 'ev', 'stored_gone');
DROP ROLE stored_gone;
GRANT SELECT, UPDATE ON guardrail_experiment TO stored_other;
GRANT SELECT ON guardrail_rule TO stored_other;
SET ROLE stored_other;
UPDATE guardrail_experiment SET min_units = 50 WHERE experiment_id = 'orphan';
SELECT guardrail_stop('orphan');
RESET ROLE;
DROP SCHEMA stored_test CASCADE;
DROP EXTENSION guardrail;
DROP ROLE stored_other;
