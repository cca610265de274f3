-- extras/roles.sql: five roles for guardrail with the rights that each needs, and row-level security between teams.
--
--   psql -d shop -f extras/roles.sql
--   psql -d shop -v prefix=abtest -v row_security=off -f extras/roles.sql
--
-- Run it as a superuser, again after each upgrade of guardrail, and as often as you like: it grants what is missing.
-- Variables, all optional:
--
--   prefix        beginning of the roles' names (default guardrail): guardrail_analyst, guardrail_operator,
--                 guardrail_deploy, guardrail_bi, guardrail_cron
--   schema        schema of the extension (default: where it is); a wrong one is an error
--   row_security  on (default): analysts see and write only the experiments whose owner they are a member of
--
-- The roles cannot log in; grant them to those that can. doc/production.md has the table of who may what. The script does
-- not grant rights on events: the owner of an experiment needs SELECT on its events, and so does an analyst who wants
-- live results.

\set ON_ERROR_STOP on
\if :{?prefix}
\else
  \set prefix guardrail
\endif
\if :{?row_security}
\else
  \set row_security on
\endif
\if :{?schema}
\else
  \set schema ''
\endif

BEGIN;
SET LOCAL search_path = pg_catalog;
SET LOCAL client_min_messages = warning;

SELECT coalesce((SELECT n.nspname::text FROM pg_extension x JOIN pg_namespace n ON n.oid = x.extnamespace WHERE x.extname = 'guardrail'), '') AS installed \gset
SELECT :'installed' = '' AS missing, :'schema' NOT IN ('', :'installed') AS elsewhere \gset
\if :missing
  \warn 'extras/roles.sql: this database does not have the extension. Run CREATE EXTENSION guardrail first.'
  DO $$ BEGIN RAISE undefined_object USING MESSAGE = 'extension "guardrail" does not exist'; END $$;
\endif
\if :elsewhere
  \warn 'extras/roles.sql: the extension is in schema' :installed 'and not in schema' :schema
  DO $$ BEGIN RAISE undefined_object USING MESSAGE = 'variable "schema" names a schema that does not have the extension'; END $$;
\endif
\set schema :installed

\set analyst :prefix _analyst
\set operator :prefix _operator
\set deploy :prefix _deploy
\set bi :prefix _bi
\set cron :prefix _cron

-- ---- the roles

SELECT format('CREATE ROLE %I NOLOGIN', role)
  FROM unnest(ARRAY[:'analyst', :'operator', :'deploy', :'bi', :'cron']) AS role
  WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role) \gexec

-- ---- the schema: every role may use it, as the owners of experiments must, since their event queries call guardrail's
-- functions; only its owner creates objects in it

REVOKE CREATE ON SCHEMA :"schema" FROM PUBLIC;
GRANT USAGE ON SCHEMA :"schema" TO PUBLIC;

-- ---- analyst: writes, launches, amends, checks and stops experiments of the owners it is a member of; reads all verdicts

GRANT SELECT, INSERT, UPDATE, DELETE ON :"schema".guardrail_experiment, :"schema".guardrail_rule TO :"analyst";
GRANT SELECT ON :"schema".guardrail_check_log, :"schema".guardrail_result_log, :"schema".guardrail_segment_log,
  :"schema".guardrail_check_input, :"schema".guardrail_segment_input, :"schema".guardrail_plan,
  :"schema".guardrail_waiver TO :"analyst";

-- ---- operator: checks everything, prunes, looks at every experiment, log and plan, and writes none of them

GRANT SELECT ON :"schema".guardrail_experiment, :"schema".guardrail_rule, :"schema".guardrail_check_log,
  :"schema".guardrail_result_log, :"schema".guardrail_segment_log, :"schema".guardrail_check_input,
  :"schema".guardrail_segment_input, :"schema".guardrail_plan, :"schema".guardrail_waiver TO :"operator";
GRANT EXECUTE ON FUNCTION :"schema".guardrail_sees_all() TO :"operator";
GRANT EXECUTE ON PROCEDURE :"schema".guardrail_check(text) TO :"operator";
GRANT EXECUTE ON FUNCTION :"schema".guardrail_prune(interval), :"schema".guardrail_prune(interval, interval) TO :"operator";

-- ---- deploy: asks guardrail_assert_shippable(), and attaches the release gate to tables of its own

GRANT SELECT ON :"schema".guardrail_verdict TO :"deploy";
GRANT EXECUTE ON FUNCTION :"schema".guardrail_release_gate() TO :"deploy";

-- ---- BI: every view; analysts and operators read them too

SELECT format('GRANT SELECT ON %I.%I TO %I, %I, %I', :'schema', c.relname, :'bi', :'analyst', :'operator')
  FROM pg_class c JOIN pg_depend d ON d.classid = 'pg_class'::regclass AND d.objid = c.oid AND d.deptype = 'e'
    JOIN pg_extension x ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = x.oid
  WHERE x.extname = 'guardrail' AND c.relkind = 'v' ORDER BY c.relname \gexec

-- ---- cron: checks everything, with the rights of each experiment's owner on the events; sees what failed; prunes

GRANT EXECUTE ON PROCEDURE :"schema".guardrail_check(text) TO :"cron";
GRANT EXECUTE ON FUNCTION :"schema".guardrail_prune(interval), :"schema".guardrail_prune(interval, interval) TO :"cron";
GRANT SELECT ON :"schema".guardrail_verdict TO :"cron";

-- ---- between teams; guardrail_protect() makes this outlast a dump and restore

SELECT :"schema".guardrail_protect(:'row_security'::boolean) AS row_security;

COMMIT;
