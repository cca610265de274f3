-- The extension in a schema of the user's choice, with a name that must be quoted, under an empty search path; and
-- that DROP EXTENSION leaves nothing behind.
--
-- Expected: the same answers as anywhere; numbers by avg in plain SQL.
SET client_min_messages = warning;
CREATE TABLE before_install AS
  SELECT classid::regclass::text AS class, objid FROM pg_depend WHERE classid IN ('pg_proc'::regclass, 'pg_class'::regclass, 'pg_type'::regclass) AND false;
INSERT INTO before_install
  SELECT 'pg_proc', oid FROM pg_proc UNION ALL SELECT 'pg_type', oid FROM pg_type UNION ALL SELECT 'pg_class', oid FROM pg_class UNION ALL SELECT 'pg_operator', oid FROM pg_operator
  UNION ALL SELECT 'pg_namespace', oid FROM pg_namespace UNION ALL SELECT 'pg_cast', oid FROM pg_cast UNION ALL SELECT 'pg_trigger', oid FROM pg_trigger UNION ALL SELECT 'pg_constraint', oid FROM pg_constraint
  UNION ALL SELECT 'pg_rewrite', oid FROM pg_rewrite UNION ALL SELECT 'pg_attrdef', oid FROM pg_attrdef;
CREATE SCHEMA "we ird""schema";
CREATE SCHEMA "Ev en''ts; --";
CREATE EXTENSION guardrail SCHEMA "we ird""schema";
SELECT extname, extnamespace::regnamespace, extrelocatable FROM pg_extension WHERE extname = 'guardrail';
-- everything is in that schema, and its name starts with guardrail_
SELECT count(*) FILTER (WHERE o.schema <> quote_ident('we ird"schema')) AS elsewhere, count(*) FILTER (WHERE o.name NOT LIKE 'guardrail\_%') AS other_names, count(*) > 50 AS objects
  FROM pg_depend d, pg_identify_object(d.classid, d.objid, 0) i,
       LATERAL (SELECT coalesce(i.schema, quote_ident('we ird"schema')) AS schema, ltrim(coalesce(i.name, split_part(i.identity, '.', 2)), '_"') AS name) o
 WHERE d.deptype = 'e' AND d.refclassid = 'pg_extension'::regclass AND d.refobjid = (SELECT oid FROM pg_extension WHERE extname = 'guardrail') AND i.type <> 'trigger';
-- each has a comment, each function says how parallel it is and what it may be called with
SELECT p.proname FROM pg_proc p JOIN pg_depend d ON d.objid = p.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e' JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'guardrail'
 WHERE obj_description(p.oid, 'pg_proc') IS NULL ORDER BY 1;
SELECT c.relname FROM pg_class c JOIN pg_depend d ON d.objid = c.oid AND d.classid = 'pg_class'::regclass AND d.deptype = 'e' JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'guardrail'
 WHERE obj_description(c.oid, 'pg_class') IS NULL ORDER BY 1;

CREATE TYPE "Ev en''ts; --"."Arm s" AS ENUM ('con trol', 'treat"ment');
CREATE TABLE "Ev en''ts; --"."T able ""x""" ("ex p" text, "us er" bigint, "Var""iant" "Ev en''ts; --"."Arm s", "wh en" timestamptz, "m s" float8, "group" int);
INSERT INTO "Ev en''ts; --"."T able ""x"""
  SELECT 'it''s; an "experiment" \ 1', i, (CASE WHEN i % 2 = 0 THEN 'con trol' ELSE 'treat"ment' END)::"Ev en''ts; --"."Arm s", '2026-01-01'::timestamptz + i * interval '1 minute', 100 + i % 7 + (i % 2) * 5, i % 3 FROM generate_series(1, 400) i;

SET search_path = '';
INSERT INTO "we ird""schema".guardrail_experiment (experiment_id, events, experiment_column, unit_column, variant_column, time_column, starts_at, control, shares)
VALUES ('it''s; an "experiment" \ 1', '"Ev en''''ts; --"."T able ""x"""', 'ex p', 'us er', 'Var"iant', 'wh en', '2026-01-01', 'con trol', '{"con trol": 1, "treat\"ment": 1}');
INSERT INTO "we ird""schema".guardrail_rule (experiment_id, metric, role, kind, value, filter, worse, limit_kind, limit_value, evidence, quantile, display_unit, cap_quantile)
VALUES ('it''s; an "experiment" \ 1', 'lo''ad', 'guardrail', 'ratio', '"m s"', NULL, 'higher', 'difference', 4, 'point', NULL, 'm"s', NULL),
       ('it''s; an "experiment" \ 1', 'lo"ad2', 'guardrail', 'quantile', '"m s" -- the time', '"group" < 2', 'higher', 'difference', 40, 'point', 0.5, NULL, NULL),
       ('it''s; an "experiment" \ 1', 'goal', 'primary', 'mean', '"m s"', NULL, 'higher', NULL, NULL, 'breach', NULL, NULL, 0.9);
SELECT "we ird""schema".guardrail_launch('it''s; an "experiment" \ 1');
SELECT variant, metric, status, control_value = (SELECT avg("m s") FROM "Ev en''ts; --"."T able ""x""" WHERE "Var""iant" = 'con trol' AND "wh en" >= '2026-01-01') AS control_value, events_control
  FROM "we ird""schema".guardrail_evaluate('it''s; an "experiment" \ 1') WHERE metric = 'lo''ad';
SELECT metric, status, events_treatment FROM "we ird""schema".guardrail_evaluate('it''s; an "experiment" \ 1') ORDER BY metric;
SELECT "we ird""schema".guardrail_status();
SELECT "we ird""schema".guardrail_status('it''s; an "experiment" \ 1', 'treat"ment');
SELECT length("we ird""schema".guardrail_explain('it''s; an "experiment" \ 1')) > 1000 AS explained;
-- the two-level shape, which a cap at a pooled quantile asks for when memory is short, says the same
SELECT array_agg(e ORDER BY e.metric) AS fast FROM "we ird""schema".guardrail_evaluate('it''s; an "experiment" \ 1') e \gset
SET guardrail.unit_memory = '64kB';
SELECT array_agg(e ORDER BY e.metric)::text = :'fast' AS same FROM "we ird""schema".guardrail_evaluate('it''s; an "experiment" \ 1') e;
RESET guardrail.unit_memory;
CALL "we ird""schema".guardrail_check();
CALL "we ird""schema".guardrail_check('it''s; an "experiment" \ 1');
SELECT experiment_id, variant, verdict, status, error FROM "we ird""schema".guardrail_verdict;
SELECT count(*) AS results FROM "we ird""schema".guardrail_result;
SELECT count(DISTINCT check_id) AS checks FROM "we ird""schema".guardrail_check_log;
SELECT "we ird""schema".guardrail_assert_shippable('it''s; an "experiment" \ 1', 'treat"ment');
SELECT "we ird""schema".guardrail_stop('it''s; an "experiment" \ 1');
SELECT state FROM "we ird""schema".guardrail_experiment;
SELECT p.estimate FROM "we ird""schema".guardrail_welch(3, 1, 10, 2, 1, 10) p;
SELECT "we ird""schema".guardrail_units("we ird""schema".guardrail_summarize(x)) FROM (VALUES (1), (2)) AS v(x);

-- ---- what is gone is gone

SET search_path = public;
DROP SCHEMA "Ev en''ts; --" CASCADE;
DROP EXTENSION guardrail;
SELECT count(*) AS left_behind FROM (
  SELECT 'pg_proc', oid FROM pg_proc UNION ALL SELECT 'pg_type', oid FROM pg_type UNION ALL SELECT 'pg_class', oid FROM pg_class UNION ALL SELECT 'pg_operator', oid FROM pg_operator
  UNION ALL SELECT 'pg_namespace', oid FROM pg_namespace WHERE nspname <> 'we ird"schema' UNION ALL SELECT 'pg_cast', oid FROM pg_cast UNION ALL SELECT 'pg_trigger', oid FROM pg_trigger
  UNION ALL SELECT 'pg_constraint', oid FROM pg_constraint UNION ALL SELECT 'pg_rewrite', oid FROM pg_rewrite UNION ALL SELECT 'pg_attrdef', oid FROM pg_attrdef
  EXCEPT SELECT class, objid FROM before_install) AS now;
SELECT count(*) AS in_its_schema FROM pg_class WHERE relnamespace = '"we ird""schema"'::regnamespace;
DROP SCHEMA "we ird""schema";
DROP TABLE before_install;
-- with CASCADE, tables of its types lose those columns only
CREATE EXTENSION guardrail;
CREATE TABLE holds (id int, s guardrail_summary);
DROP EXTENSION guardrail CASCADE;
SELECT attname FROM pg_attribute WHERE attrelid = 'holds'::regclass AND attnum > 0 AND NOT attisdropped;
DROP TABLE holds;
