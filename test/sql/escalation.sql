-- What a role with few rights writes is checked by a superuser: it runs with the rights of the experiment's owner, and
-- whatever it tries, nothing is gained.
--
-- Expected: the prizes are untouched (nothing in "loot" but what the attacker itself ran, the secret unread, no role with
-- an attribute it was not given); and who ran each function, as the functions themselves say.
SET client_min_messages = warning;
\set VERBOSITY terse
CREATE ROLE regress_guardrail_attacker LOGIN;
CREATE ROLE regress_guardrail_victim;
CREATE ROLE regress_guardrail_reader;
SELECT current_user AS superuser \gset
-- a public schema as open as it was until version 14
GRANT CREATE ON SCHEMA public TO regress_guardrail_attacker;
CREATE SCHEMA vault;
CREATE TABLE vault.secret AS SELECT 'the secret' AS word;
CREATE SCHEMA evil AUTHORIZATION regress_guardrail_attacker;
GRANT USAGE ON SCHEMA evil TO PUBLIC;

SET ROLE regress_guardrail_attacker;
-- grab(what): try for the prizes as whoever runs it.  What was run, and as whom, is kept in advisory locks of the session:
-- nothing else can be written where it is run.  An evaluation gives its locks back: of what ran in one is told only what ran as
-- somebody else, or got a prize.
CREATE FUNCTION evil.note(what text) RETURNS void LANGUAGE sql AS $$ SELECT pg_catalog.pg_try_advisory_lock(pg_catalog.hashtext($1), current_user::regrole::oid::int) $$;
CREATE FUNCTION evil.grab(what text) RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE word text;
BEGIN
  PERFORM evil.note($1);
  IF NOT pg_catalog.starts_with(current_user::text, 'regress_guardrail_attacker'::text) THEN RAISE WARNING 'not as the attacker: %', $1; END IF;
  BEGIN
    EXECUTE 'ALTER ROLE regress_guardrail_attacker SUPERUSER';
    RAISE WARNING 'IS SUPERUSER';
  EXCEPTION WHEN insufficient_privilege OR read_only_sql_transaction THEN NULL;
  END;
  BEGIN
    EXECUTE 'SELECT word FROM vault.secret' INTO word;
    RAISE WARNING 'HAS READ';
  EXCEPTION WHEN insufficient_privilege THEN NULL;
  END;
  RETURN 0;
END $$;
CREATE TABLE evil.words AS SELECT what FROM unnest('{constant,domain,filter,function,implicit cast,operator,policy,security definer,view,changed view,view under the old name,at once,index,constraint,partition,IS SUPERUSER,HAS READ}'::text[]) what;
CREATE VIEW evil.loot AS
  SELECT coalesce(w.what, '?') AS what, l.objid::regrole AS as_whom FROM pg_locks l LEFT JOIN evil.words w ON l.classid = hashtext(w.what)::oid WHERE l.locktype = 'advisory' AND l.pid = pg_backend_pid();
GRANT SELECT ON evil.loot TO PUBLIC;
-- the same for what wants no volatile function
CREATE FUNCTION evil.quiet(what text) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN evil.grab($1); END $$;
-- run(sql): run it as part of an expression, and say what comes of it
CREATE FUNCTION evil.run(sql text) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE sql;
  RAISE WARNING 'done as %: %', replace(current_user, session_user, 'superuser'), replace(sql, session_user, 'superuser');
EXCEPTION WHEN OTHERS THEN
  RAISE WARNING '% as %: %', SQLSTATE, replace(current_user, session_user, 'superuser'), replace(sql, session_user, 'superuser');
END $$;

-- ---- 1: operators and functions that fit better, there before the extension

CREATE FUNCTION public.trap(jsonb, jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT evil.grab('jsonb operator'); SELECT '{}'::jsonb $$;
CREATE FUNCTION public.trap_text(jsonb, jsonb) RETURNS text LANGUAGE sql AS $$ SELECT evil.grab('jsonb text operator'); SELECT NULL::text $$;
CREATE FUNCTION public.trap(oid, regclass) RETURNS boolean LANGUAGE sql AS $$ SELECT evil.grab('oid = regclass'); SELECT true $$;
CREATE FUNCTION public.trap(text, integer) RETURNS text LANGUAGE sql AS $$ SELECT evil.grab('text || integer'); SELECT '' $$;
CREATE OPERATOR public.-> (LEFTARG = jsonb, RIGHTARG = jsonb, FUNCTION = public.trap);
CREATE OPERATOR public.->> (LEFTARG = jsonb, RIGHTARG = jsonb, FUNCTION = public.trap_text);
CREATE OPERATOR public.#>> (LEFTARG = jsonb, RIGHTARG = jsonb, FUNCTION = public.trap_text);
CREATE OPERATOR public.= (LEFTARG = oid, RIGHTARG = regclass, FUNCTION = public.trap);
CREATE OPERATOR public.|| (LEFTARG = text, RIGHTARG = integer, FUNCTION = public.trap);
CREATE FUNCTION public.convert_to(text, text) RETURNS bytea LANGUAGE sql AS $$ SELECT evil.grab('convert_to'); SELECT ''::bytea $$;
CREATE FUNCTION public.to_json(text) RETURNS json LANGUAGE sql AS $$ SELECT evil.grab('to_json'); SELECT '1'::json $$;
CREATE FUNCTION public.format(text, json) RETURNS text LANGUAGE sql AS $$ SELECT evil.grab('format'); SELECT ''::text $$;
CREATE FUNCTION public.jsonb_build_object(text, jsonb, text, jsonb, text, jsonb) RETURNS jsonb LANGUAGE sql AS $$ SELECT evil.grab('jsonb_build_object'); SELECT '{}'::jsonb $$;
CREATE AGGREGATE public.count(text) (SFUNC = pg_catalog.int8inc_any, STYPE = int8);
CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE sql AS $$ SELECT evil.grab('now'); SELECT pg_catalog.now() $$;
CREATE FUNCTION evil.equal(text, text) RETURNS boolean LANGUAGE sql AS $$ SELECT evil.grab('text = text'); SELECT $1 OPERATOR(pg_catalog.=) $2 $$;
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.equal);
CREATE FUNCTION evil.max(anyelement) RETURNS anyelement LANGUAGE sql AS $$ SELECT evil.grab('max'); SELECT $1 $$;
RESET ROLE;

CREATE EXTENSION guardrail SCHEMA public;
-- nothing of it rests on an object that is neither its own nor the server's
SELECT pg_describe_object(d.classid, d.objid, d.objsubid) AS object, pg_describe_object(d.refclassid, d.refobjid, d.refobjsubid) AS rests_on
  FROM pg_depend d
 WHERE (d.classid, d.objid) IN (SELECT classid, objid FROM pg_depend WHERE deptype = 'e' AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'guardrail')) AND d.deptype = 'n'
   AND (d.refclassid, d.refobjid) NOT IN (SELECT classid, objid FROM pg_depend WHERE deptype = 'e' AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'guardrail'))
   AND d.refclassid IN ('pg_proc'::regclass::oid, 'pg_operator'::regclass::oid, 'pg_class'::regclass::oid, 'pg_type'::regclass::oid)
   AND (d.refclassid, d.refobjid) NOT IN (SELECT 'pg_type'::regclass::oid, c.reltype FROM pg_class c WHERE c.relname = 'guardrail_waiver' AND c.relnamespace = 'public'::regnamespace);

-- every right on the catalog's tables that lets no code of one's own be attached to them
GRANT SELECT, INSERT, UPDATE, DELETE, TRUNCATE ON guardrail_experiment, guardrail_rule TO regress_guardrail_attacker, regress_guardrail_victim;
GRANT SELECT ON guardrail_plan, guardrail_verdict, guardrail_result, guardrail_check_log TO regress_guardrail_attacker;
CREATE TABLE public.ev AS
  SELECT e AS experiment_id, i AS user_id, CASE WHEN i % 2 = 0 THEN 'control' ELSE 'treatment' END AS variant, 100 + i % 7 AS x FROM generate_series(1, 400) i, unnest('{theirs,draft of theirs,the superuser''s}'::text[]) e;
GRANT SELECT ON public.ev TO regress_guardrail_victim;
-- plan(id, value): an experiment of the caller's with that expression in its guardrail
CREATE FUNCTION public.plan(id text, events regclass, value text, filter text DEFAULT NULL) RETURNS void LANGUAGE sql AS $$
  INSERT INTO public.guardrail_experiment (experiment_id, events) VALUES ($1, $2);
  INSERT INTO public.guardrail_rule (experiment_id, metric, role, kind, value, filter, worse, limit_kind, limit_value)
  VALUES ($1, 'goal', 'primary', 'mean', 'x', NULL, 'lower', 'significance', NULL), ($1, 'load', 'guardrail', 'mean', $3, $4, 'higher', 'difference', 5),
         ($1, 'second', 'guardrail', 'mean', 'x', NULL, 'higher', 'difference', 5) $$;
-- message(sql): what happens when it is run
CREATE FUNCTION public.message(sql text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE sql;
  RETURN 'accepted';
EXCEPTION WHEN OTHERS THEN
  RETURN SQLSTATE || ': ' || replace(SQLERRM, session_user, 'superuser');
END $$;
SELECT plan('the superuser''s', 'public.ev', 'x');
SET ROLE regress_guardrail_victim;
SELECT plan('theirs', 'public.ev', 'x'), plan('draft of theirs', 'public.ev', 'x');
SELECT guardrail_launch('theirs');
RESET ROLE;
SELECT guardrail_launch('the superuser''s');

-- the superuser at work, as it would be, and with a search path that somebody else has a say in
CREATE FUNCTION pg_temp.at_work(id text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
  PERFORM public.guardrail_status(), public.guardrail_status(id), public.guardrail_explain(id);
  PERFORM FROM public.guardrail_evaluate(id);
  PERFORM FROM public.guardrail_decide(id);
  PERFORM FROM public.guardrail_verify(id);
  CALL public.guardrail_check();
  CALL public.guardrail_check(id);
  PERFORM public.guardrail_amend(id, 'because', '{"experiment": {"min_units": 50, "shares": {"control": 1, "treatment": 1}}, "rules": {"load": {"note": "x"}}}');
  PERFORM FROM public.guardrail_replay((SELECT pg_catalog.max(check_id) FROM public.guardrail_check_input));
  PERFORM public.guardrail_prune('1 day');
  RETURN NEXT 'done with ' || id;
EXCEPTION WHEN OTHERS THEN
  RETURN NEXT SQLSTATE || ': ' || SQLERRM;
END $$;
SELECT pg_temp.at_work('the superuser''s');
SELECT * FROM evil.loot ORDER BY 1, 2;
SET search_path = evil, public, pg_catalog;
SELECT public.guardrail_status('theirs'), pg_catalog.length(public.guardrail_explain('theirs')) OPERATOR(pg_catalog.>) 1000 AS explained;
SELECT metric, status FROM public.guardrail_evaluate('theirs');
SELECT verdict FROM public.guardrail_decide('theirs');
SELECT version, intact FROM public.guardrail_verify('theirs');
CALL public.guardrail_check();
CALL public.guardrail_check('theirs');
SELECT public.guardrail_amend('theirs', 'because', '{"experiment": {"owner": "regress_guardrail_victim", "min_units": 50}, "rules": {"load": {"note": "x"}}}');
SELECT public.guardrail_assert_shippable('theirs', 'treatment');
SELECT identical FROM public.guardrail_replay((SELECT pg_catalog.max(check_id) FROM public.guardrail_check_input));
SELECT public.guardrail_prune('1 day');
INSERT INTO public.guardrail_experiment (experiment_id, events, shares) VALUES ('by the superuser', 'public.ev', '{"control": 1, "treatment": 1}');
INSERT INTO public.guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind) VALUES ('by the superuser', 'goal', 'primary', 'mean', 'x', 'lower', 'significance');
UPDATE public.guardrail_experiment SET min_units = 60, events = 'public.ev' WHERE experiment_id OPERATOR(pg_catalog.=) 'by the superuser';
SELECT public.guardrail_launch('by the superuser');
SELECT public.guardrail_stop('by the superuser');
SET search_path = public;
SELECT * FROM evil.loot ORDER BY 1, 2;

-- ---- 2: functions named like those that guardrail calls

SET ROLE regress_guardrail_attacker;
CREATE FUNCTION public._guardrail_collect(text, text[], integer, text, integer, VARIADIC integer[]) RETURNS bigint LANGUAGE sql AS $$ SELECT evil.grab('guardrail_collect'); SELECT 4611686018427387904 $$;
CREATE FUNCTION public._guardrail_plan_body(varchar) RETURNS jsonb LANGUAGE sql AS $$ SELECT evil.grab('guardrail_plan_body'); SELECT '{}'::jsonb $$;
CREATE FUNCTION public._guardrail_plan_register(text, jsonb, integer, text, varchar, boolean, bigint) RETURNS text LANGUAGE sql AS $$ SELECT evil.grab('guardrail_plan_register'); SELECT '' $$;
RESET ROLE;
SELECT guardrail_status('theirs');
SELECT pg_temp.at_work('theirs');
CALL guardrail_check('theirs');
SELECT error FROM guardrail_check_log WHERE check_id = (SELECT max(check_id) FROM guardrail_check_log);
DROP FUNCTION public._guardrail_collect(text, text[], integer, text, integer, integer[]);
SELECT pg_temp.at_work('theirs');
SELECT * FROM evil.loot ORDER BY 1, 2;

-- ---- 3: the attacker's own expressions: whatever they call is called as the attacker

SET ROLE regress_guardrail_attacker;
CREATE DOMAIN evil.small AS float8 CHECK (evil.grab('domain') = 0);
CREATE TYPE evil.pair AS (a float8, b float8);
CREATE FUNCTION evil.pair_float8(evil.pair) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$ SELECT evil.quiet('implicit cast') $$;
CREATE CAST (evil.pair AS float8) WITH FUNCTION evil.pair_float8(evil.pair) AS IMPLICIT;
CREATE FUNCTION evil.plus(float8, evil.pair) RETURNS float8 LANGUAGE sql IMMUTABLE AS $$ SELECT evil.quiet('operator') $$;
CREATE OPERATOR evil.+ (LEFTARG = float8, RIGHTARG = evil.pair, FUNCTION = evil.plus);
CREATE TABLE evil.base (experiment_id text, user_id int, variant text, x int, p evil.pair);
INSERT INTO evil.base SELECT e, i, CASE WHEN i % 2 = 0 THEN 'control' ELSE 'treatment' END, 100 + i % 7, ROW(1.0, 2.0)::evil.pair FROM generate_series(1, 400) i, unnest('{mine,parts}'::text[]) e;
-- a view over a volatile function, security definer, row-level security, triggers, all in one
CREATE FUNCTION evil.definer() RETURNS float8 LANGUAGE sql SECURITY DEFINER AS $$ SELECT evil.grab('security definer') $$;
CREATE VIEW evil.ev AS SELECT experiment_id, user_id, variant, x, p, CASE WHEN user_id < 3 THEN evil.grab('view') + evil.definer() END AS viewed FROM evil.base;
ALTER TABLE evil.base ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY watch ON evil.base USING (user_id > 2 OR evil.grab('policy') = 0);
SELECT plan('mine', 'evil.ev', 'evil.quiet(''constant'') + CASE WHEN user_id < 3 THEN coalesce(viewed, 0) + evil.quiet(''function'')::evil.small + p::float8 + (0::float8 OPERATOR(evil.+) p) ELSE 0 END', 'user_id > 2 OR evil.quiet(''filter'' || left(variant, 0)) = 0');
SELECT guardrail_launch('mine');
SELECT pg_advisory_unlock_all();
RESET ROLE;
SELECT pg_temp.at_work('mine');
SELECT * FROM evil.loot ORDER BY 1, 2;
-- a view that is another after the launch
SET ROLE regress_guardrail_attacker;
SELECT pg_advisory_unlock_all();
CREATE OR REPLACE VIEW evil.ev AS SELECT experiment_id, user_id, variant, x, p, CASE WHEN user_id < 3 THEN evil.grab('changed view') END AS viewed FROM evil.base;
RESET ROLE;
SELECT pg_temp.at_work('mine');
SELECT * FROM evil.loot ORDER BY 1, 2;
SELECT verdict, status FROM guardrail_verdict WHERE experiment_id = 'mine';
-- a view that reads what its owner may not
SET ROLE regress_guardrail_attacker;
CREATE OR REPLACE VIEW evil.ev AS SELECT experiment_id, user_id, variant, (SELECT length(word) FROM vault.secret) AS x, p, 0::float8 AS viewed FROM evil.base;
RESET ROLE;
GRANT USAGE ON SCHEMA vault TO regress_guardrail_attacker;
SET ROLE regress_guardrail_attacker;
CREATE OR REPLACE VIEW evil.ev AS SELECT experiment_id, user_id, variant, (SELECT length(word) FROM vault.secret) AS x, p, 0::float8 AS viewed FROM evil.base;
RESET ROLE;
SELECT pg_temp.at_work('mine');

-- ---- 4: what a function may not do in the middle of it

SET ROLE regress_guardrail_attacker;
SELECT pg_advisory_unlock_all();
CREATE TABLE evil.queue (x int);
CREATE FUNCTION evil.later() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM evil.grab(replace(TG_NAME, '_', ' ')); RETURN NULL; END $$;
CREATE TRIGGER at_once AFTER INSERT ON evil.queue FOR EACH ROW EXECUTE FUNCTION evil.later();
CREATE FUNCTION evil.all_at_once() RETURNS float8 LANGUAGE plpgsql AS $$
DECLARE sql text;
BEGIN
  FOREACH sql IN ARRAY ARRAY[
    'SET ROLE ' || session_user, 'SET SESSION AUTHORIZATION ' || session_user, 'RESET ROLE', 'RESET SESSION AUTHORIZATION', 'SET LOCAL ROLE NONE',
    $x$SELECT set_config('role', 'none', false)$x$, $x$SELECT set_config('session_authorization', session_user, false)$x$,
    'CREATE TEMP TABLE pg_class AS SELECT 1 AS oid', 'CREATE FUNCTION pg_temp.now() RETURNS int LANGUAGE sql AS ''SELECT 1''',
    'DECLARE later CURSOR WITH HOLD FOR SELECT 1', 'PREPARE later AS SELECT 1', 'LISTEN guardrail', 'DISCARD ALL', 'COMMIT', 'DO ''BEGIN COMMIT; END''',
    $x$SELECT pg_read_file('PG_VERSION')$x$, $x$SELECT lo_import('PG_VERSION')$x$, $x$COPY evil.queue FROM PROGRAM 'echo 1'$x$, $x$COPY evil.queue TO '/tmp/guardrail_escalation'$x$,
    'GRANT ' || session_user || ' TO regress_guardrail_attacker', 'ALTER TABLE public.guardrail_rule DISABLE TRIGGER ALL', 'CREATE TRIGGER t BEFORE UPDATE ON public.guardrail_experiment FOR EACH ROW EXECUTE FUNCTION evil.later()',
    'CALL public.guardrail_check()', $x$SELECT public.guardrail_prune('0 days')$x$, $x$SELECT public._guardrail_plan_register('mine', '{}', 9, 'x', 'y', false, 0)$x$,
    $x$SELECT public.guardrail_amend('mine', 'in the name of another', '{}')$x$, $x$SELECT public.guardrail_stop('mine')$x$, $x$SELECT public.guardrail_launch('draft of theirs')$x$,
    $x$SELECT public.guardrail_amend('theirs', 'x', '{}')$x$, $x$DELETE FROM public.guardrail_experiment WHERE experiment_id = 'theirs'$x$, $x$DELETE FROM public.guardrail_rule WHERE experiment_id = 'draft of theirs'$x$,
    $x$UPDATE public.guardrail_experiment SET state = 'draft' WHERE experiment_id = 'mine'$x$, $x$DELETE FROM public.guardrail_rule WHERE experiment_id = 'mine'$x$,
    $x$UPDATE public.guardrail_experiment SET owner = 'regress_guardrail_attacker' WHERE experiment_id = 'draft of theirs'$x$, 'DELETE FROM public.guardrail_check_log', 'INSERT INTO public.guardrail_check_log DEFAULT VALUES',
    'TRUNCATE public.guardrail_rule', 'CREATE DOMAIN pg_temp.regclass AS pg_catalog.regclass', 'CREATE CONSTRAINT TRIGGER at_commit AFTER INSERT ON evil.queue DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION evil.later()', 'INSERT INTO evil.queue VALUES (1)',
    $x$SELECT set_config('search_path', 'evil, pg_catalog', false)$x$, $x$SELECT set_config('session_replication_role', 'replica', false)$x$] LOOP
    PERFORM evil.run(sql);
  END LOOP;
  RETURN 0;
END $$;
CREATE FUNCTION evil.all_at_once_quiet() RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN evil.all_at_once(); END $$;
CREATE OR REPLACE VIEW evil.ev AS SELECT experiment_id, user_id, variant, x, p, CASE WHEN user_id < 3 THEN evil.grab('changed view') END AS viewed FROM evil.base;
SELECT plan('parts', 'evil.base', 'x');
SELECT guardrail_launch('parts');
-- run by the planner, while the plan is being amended
SELECT message($$SELECT guardrail_amend('parts', 'an expression', '{"rules": {"load": {"value": "x + evil.all_at_once_quiet()"}}}')$$) AS by_itself;
RESET ROLE;
SELECT experiment_id, state, replace(owner::text, :'superuser', 'superuser') AS owner, plan_version FROM guardrail_experiment ORDER BY 1;
SELECT version, made_by = session_user AS made_by, reason, intact FROM guardrail_verify('parts');
SELECT pg_advisory_unlock_all();
-- the superuser runs the same
SELECT guardrail_status('parts');
SET client_min_messages = error;
CALL guardrail_check('parts');
SET client_min_messages = warning;
SELECT * FROM evil.loot ORDER BY 1, 2;
-- nor may it in another's name where it can write: the plan would say that the superuser amended it
SET ROLE regress_guardrail_attacker;
CREATE FUNCTION evil.in_another_s_name() RETURNS int LANGUAGE plpgsql AS $$ BEGIN PERFORM public.guardrail_amend('parts', 'in the name of another', '{}'); RETURN 1; END $$;
CREATE MATERIALIZED VIEW evil.refreshed AS SELECT evil.in_another_s_name() WITH NO DATA;
RESET ROLE;
REFRESH MATERIALIZED VIEW evil.refreshed;
SELECT experiment_id, state, replace(owner::text, :'superuser', 'superuser') AS owner FROM guardrail_experiment ORDER BY 1;
SELECT current_user = :'superuser' AS still_superuser, session_user = current_user AS same, current_setting('search_path') AS search_path, current_setting('session_replication_role') AS replication;
SELECT (SELECT count(*) FROM pg_prepared_statements WHERE name = 'later') AS prepared, (SELECT count(*) FROM pg_cursors WHERE name = 'later') AS cursors, (SELECT count(*) FROM pg_listening_channels()) AS channels;
SELECT tgrelid::regclass, tgname FROM pg_trigger WHERE tgrelid IN ('guardrail_experiment'::regclass, 'guardrail_rule'::regclass) AND NOT tgisinternal AND (tgenabled <> 'O' OR tgname NOT LIKE 'guardrail%');
-- what says that it was cancelled, and says it at length, does not end the run for the others
SET ROLE regress_guardrail_attacker;
CREATE FUNCTION evil.cancelled(x int, code text) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RAISE EXCEPTION '%', repeat('cancelled ', 100000) USING ERRCODE = code; END $$;
INSERT INTO evil.base SELECT 'a cancel', user_id, variant, x FROM evil.base WHERE experiment_id = 'mine';
INSERT INTO evil.base SELECT 'a shutdown', user_id, variant, x FROM evil.base WHERE experiment_id = 'mine';
SELECT plan('a cancel', 'evil.base', 'evil.cancelled(x, ''57014'')'), plan('a shutdown', 'evil.base', 'evil.cancelled(x, ''57P01'')');
SELECT guardrail_launch('a cancel'), guardrail_launch('a shutdown');
RESET ROLE;
SELECT max(check_id) AS before FROM guardrail_check_log \gset
SET client_min_messages = error;
CALL guardrail_check();
SELECT experiment_id, left(error, 30) AS error, length(error) FROM guardrail_check_log WHERE check_id > :before ORDER BY 1;
SELECT split_part(line, ' ', 1) || ' ' || split_part(line, ' ', 2) AS line FROM guardrail_status() line WHERE line LIKE 'a %' OR line LIKE 'theirs%' ORDER BY 1;
SET client_min_messages = warning;
-- what calls itself for ever ends with an error
SET ROLE regress_guardrail_attacker;
INSERT INTO evil.base VALUES ('again', 1, 'control', 1);
CREATE FUNCTION evil.again() RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN PERFORM public.guardrail_status('again'); RETURN 0; END $$;
CREATE FUNCTION evil.again_quiet(int) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN evil.again(); END $$;
SELECT plan('again', 'evil.base', 'evil.again_quiet(x)');
RESET ROLE;
SET max_stack_depth = '500kB';
SELECT message('SELECT public.guardrail_status(''again'')');
RESET max_stack_depth;
DELETE FROM guardrail_experiment WHERE experiment_id = 'again';

-- ---- 5: rows that were stored unchecked, as a restore stores them

SET ROLE regress_guardrail_attacker;
SELECT pg_advisory_unlock_all();
SET check_function_bodies = off;
-- a filter that closes its parentheses and goes on with another statement, whose result is no result of ours
SELECT plan('other statement', 'evil.base', 'x', 'true) THEN 1 END, true) FROM evil.base; SELECT 4611686018427387904, (($q$ ');
SELECT plan('two statements', 'evil.base', 'x); SELECT evil.grab(''second statement''); SELECT (1');
SELECT plan('no number', 'evil.base', 'variant');
SELECT plan('no condition', 'evil.base', 'x', 'x');
SELECT plan('subquery', 'evil.base', '(SELECT 1)');
SELECT plan('volatile', 'evil.base', 'evil.grab(''volatile'')');
SELECT plan('of the server', 'pg_catalog.pg_authid', '1');
SELECT plan('odd columns', 'evil.base', 'x');
SELECT plan('an index', 'public.guardrail_experiment_pkey', '1');
SELECT plan('nothing', '-', '1');
SELECT message('INSERT INTO public.guardrail_experiment (experiment_id, events, starts_at) VALUES (''no time'', ''evil.base'', now())') AS no_time,
       message('INSERT INTO public.guardrail_experiment (experiment_id, events, ends_at) VALUES (''no time'', ''evil.base'', now())') AS no_time_at_the_end;
UPDATE guardrail_experiment SET unit_column = 'p', variant_column = 'p', experiment_column = NULL WHERE experiment_id = 'odd columns';
RESET check_function_bodies;
RESET ROLE;
SELECT e AS experiment, message(format('SELECT guardrail_status(%L)', e)) AS status, message(format('SELECT guardrail_launch(%L)', e)) AS launched
  FROM unnest('{other statement,two statements,no number,no condition,subquery,volatile,of the server,odd columns,nothing}'::text[]) e;
-- a dump may bring an index, its message is another in other versions
SET check_function_bodies = off;
COPY guardrail_experiment (experiment_id, events, owner) FROM STDIN;
an index	public.guardrail_experiment_pkey	regress_guardrail_attacker
\.
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind) VALUES ('an index', 'goal', 'primary', 'mean', '1', 'lower', 'significance');
RESET check_function_bodies;
SELECT left(message('SELECT guardrail_status(''an index'')'), 5) AS status;
-- and one that the triggers would not have let in at all
BEGIN;
ALTER TABLE guardrail_experiment DISABLE TRIGGER USER;
UPDATE guardrail_experiment SET starts_at = now() WHERE experiment_id = 'draft of theirs';
SELECT message('SELECT guardrail_status(''draft of theirs'')');
ROLLBACK;
SELECT * FROM evil.loot ORDER BY 1, 2;
DELETE FROM guardrail_experiment WHERE state = 'draft' AND owner = 'regress_guardrail_attacker'::regrole;

-- ---- 6: whose rights: the owner cannot be somebody else

SET ROLE regress_guardrail_attacker;
SELECT o AS owner, message(format('INSERT INTO public.guardrail_experiment (experiment_id, events, owner) VALUES (''e'', ''evil.base'', %L)', o)) AS inserted,
       message(format('UPDATE public.guardrail_experiment SET owner = %L WHERE experiment_id = ''parts''', o)) AS updated,
       message(format('SELECT public.guardrail_amend(''parts'', ''x'', %L)', jsonb_build_object('experiment', jsonb_build_object('owner', o)))) AS amended
  FROM unnest('{regress_guardrail_victim,"\"regress_guardrail_victim\"",pg_read_server_files,pg_database_owner,-,10,NULL}'::text[]) o;
SELECT message($$SELECT public.guardrail_amend('parts', 'x', '{"experiment": {"owner": 10}}')$$) AS a_number, message($$SELECT public.guardrail_amend('parts', 'x', '{"experiment": {"owner": {"a": 1}}}')$$) AS an_object,
       message($$SELECT public.guardrail_amend('parts', 'x', '{"experiment": {"events": "vault.secret"}}')$$) AS events, message($$SELECT public.guardrail_amend('parts', 'x', '{"experiment": {"events": "pg_authid"}}')$$) AS of_the_server,
       message($$SELECT public.guardrail_amend('parts', 'x', '{"experiment": {"unit_column": "user_id; DROP TABLE ev"}}')$$) AS a_column, message($$SELECT public.guardrail_amend('parts', 'x', '{"experiment": {"state = $x$": 1}}')$$) AS a_name,
       message($$SELECT public.guardrail_amend('parts', 'x', '{"rules": {"load": {"experiment_id": "theirs"}}}')$$) AS to_another, message($$SELECT public.guardrail_amend('parts', 'x', '{"rules": {"load": {"quantile": "evil.grab(1)"}}}')$$) AS cast_as_text;
UPDATE guardrail_experiment SET experiment_id = 'mine' WHERE experiment_id = 'theirs';
INSERT INTO guardrail_experiment (experiment_id, events) VALUES ('theirs', 'evil.base') ON CONFLICT (experiment_id) DO UPDATE SET description = 'mine';
UPDATE guardrail_rule SET experiment_id = 'draft of theirs', metric = 'slipped in' WHERE experiment_id = 'parts' AND metric = 'second';
SELECT plan('passed on', 'evil.base', 'x');
UPDATE guardrail_rule SET experiment_id = 'draft of theirs', metric = 'slipped in' WHERE experiment_id = 'passed on' AND metric = 'second';
DELETE FROM guardrail_experiment WHERE experiment_id = 'passed on';
RESET ROLE;

-- ---- 7: the events behind the name

SET ROLE regress_guardrail_attacker;
SELECT guardrail_amend('parts', 'plain again', '{"rules": {"load": {"value": "x"}}}');
ALTER TABLE evil.base RENAME TO "base; DROP TABLE public.ev; --";
RESET ROLE;
SELECT guardrail_status('parts');
-- another relation under the old name, and then in its place
SET ROLE regress_guardrail_attacker;
SELECT pg_advisory_unlock_all();
CREATE VIEW evil.base AS SELECT 'parts'::text AS experiment_id, 1 AS user_id, 'control'::text AS variant, evil.grab('view under the old name')::int AS x;
RESET ROLE;
SELECT guardrail_status('parts');
SET ROLE regress_guardrail_attacker;
DROP TABLE evil."base; DROP TABLE public.ev; --" CASCADE;
RESET ROLE;
SELECT regexp_replace(message('SELECT guardrail_status(''parts'')'), 'OID \d+', 'OID ...');
SELECT * FROM evil.loot ORDER BY 1, 2;
-- a table with the attacker's own partition: its constraint, its index, its policy
SET ROLE regress_guardrail_attacker;
CREATE TABLE evil.parts (experiment_id text, user_id int, variant text, x float8) PARTITION BY LIST (variant);
CREATE TABLE evil.control PARTITION OF evil.parts FOR VALUES IN ('control');
CREATE TABLE evil.treatment PARTITION OF evil.parts (x DEFAULT 1, CHECK (evil.quiet('constraint') = 0)) FOR VALUES IN ('treatment');
CREATE INDEX ON evil.control (evil.quiet('index' || left(x::text, 0)));
INSERT INTO evil.parts SELECT 'own', i, CASE WHEN i % 2 = 0 THEN 'control' ELSE 'treatment' END, i % 10 FROM generate_series(1, 20) i;
ALTER TABLE evil.parts ENABLE ROW LEVEL SECURITY, FORCE ROW LEVEL SECURITY;
CREATE POLICY watch ON evil.parts USING (evil.grab('partition') = 0);
SELECT plan('own', 'evil.parts', 'x', 'evil.quiet(''index'' || left(x::text, 0)) = 0');
SELECT guardrail_launch('own');
SELECT pg_advisory_unlock_all();
RESET ROLE;
SET client_min_messages = error;
SELECT pg_temp.at_work('own');
SET guardrail.unit_memory = '64kB';
SELECT pg_temp.at_work('own');
RESET guardrail.unit_memory;
SET client_min_messages = warning;
SELECT * FROM evil.loot ORDER BY 1, 2;

-- ---- 8: by the direct way

SET ROLE regress_guardrail_attacker;
SELECT sql, message(sql) FROM unnest(ARRAY['INSERT INTO guardrail_plan VALUES (''mine'', 9, ''x'', NULL, now(), ''x'', ''x'', false, ''{}'')', 'INSERT INTO guardrail_check_log (check_id, arm_no, checked_at, experiment_id, verdict) VALUES (1e9, 1, now(), ''mine'', ''SHIP'')',
  'INSERT INTO guardrail_result_log (check_id, checked_at, experiment_id, variant, metric) VALUES (1e9, now(), ''mine'', ''x'', ''x'')', 'INSERT INTO guardrail_check_input DEFAULT VALUES', 'INSERT INTO guardrail_look_state DEFAULT VALUES', 'UPDATE guardrail_look_state SET looks = 1', 'DELETE FROM guardrail_look_state',
  'UPDATE guardrail_check_log SET verdict = ''SHIP''', 'DELETE FROM guardrail_plan', 'SELECT nextval(''guardrail_check_id'')', 'SELECT setval(''guardrail_check_id'', 1)', 'UPDATE guardrail_verdict SET verdict = ''SHIP''', 'SELECT * FROM guardrail_check_input', 'SELECT * FROM guardrail_replay(1)',
  'SELECT _guardrail_plan_register(''mine'', ''{}'', 9, ''x'', ''y''::text, false, 0)', 'SELECT guardrail_prune(''1 day'')', 'CALL guardrail_check()', 'CALL guardrail_check(''theirs'')', 'SELECT _guardrail_experiment_check()', 'SELECT _guardrail_frozen()',
  'SELECT guardrail_launch(''draft of theirs'')', 'SELECT guardrail_stop(''theirs'')', 'SELECT guardrail_amend(''theirs'', ''x'', ''{}'')', 'SELECT guardrail_status(''theirs'')', 'SELECT * FROM guardrail_evaluate(''theirs'')', 'SELECT guardrail_explain(''theirs'')',
  'DELETE FROM guardrail_experiment WHERE experiment_id = ''draft of theirs''', 'DELETE FROM guardrail_rule WHERE experiment_id = ''draft of theirs''', 'UPDATE guardrail_experiment SET description = ''x'' WHERE experiment_id = ''draft of theirs''',
  'UPDATE guardrail_rule SET note = ''x'' WHERE experiment_id = ''draft of theirs''', 'INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind) VALUES (''draft of theirs'', ''m'', ''secondary'', ''mean'', ''x'', ''lower'', ''significance'')',
  'TRUNCATE guardrail_rule', 'TRUNCATE guardrail_experiment, guardrail_rule', 'CREATE TABLE evil.refers (e text REFERENCES public.guardrail_experiment ON DELETE CASCADE)', 'CREATE TRIGGER t AFTER UPDATE ON public.guardrail_experiment EXECUTE FUNCTION evil.later()',
  'CREATE RULE r AS ON UPDATE TO public.guardrail_experiment DO ALSO SELECT evil.grab(''rule'')', 'CREATE POLICY p ON public.guardrail_experiment', 'ALTER TABLE public.guardrail_experiment ADD x int', 'CREATE TABLE evil.child () INHERITS (public.guardrail_experiment)']) sql;
-- the triggers of guardrail on a table of one's own
CREATE TABLE evil.guardrail_rule (LIKE public.guardrail_rule);
CREATE TABLE evil.guardrail_experiment (LIKE public.guardrail_experiment);
CREATE TRIGGER t BEFORE INSERT OR UPDATE OR DELETE ON evil.guardrail_rule FOR EACH ROW EXECUTE FUNCTION _guardrail_frozen();
CREATE TRIGGER t BEFORE INSERT OR UPDATE ON evil.guardrail_experiment FOR EACH ROW EXECUTE FUNCTION _guardrail_experiment_check();
INSERT INTO evil.guardrail_rule SELECT * FROM public.guardrail_rule LIMIT 1;
INSERT INTO evil.guardrail_experiment SELECT * FROM public.guardrail_experiment LIMIT 1;
CREATE TRIGGER v BEFORE INSERT ON evil.words FOR EACH ROW EXECUTE FUNCTION guardrail_release_gate();
RESET ROLE;
-- where only drafts are left, and they are somebody else's
ALTER TABLE guardrail_experiment DISABLE TRIGGER USER;
ALTER TABLE guardrail_rule DISABLE TRIGGER USER;
DELETE FROM guardrail_experiment WHERE state <> 'draft';
ALTER TABLE guardrail_experiment ENABLE TRIGGER USER;
ALTER TABLE guardrail_rule ENABLE TRIGGER USER;
SET ROLE regress_guardrail_attacker;
TRUNCATE guardrail_rule;
TRUNCATE guardrail_experiment, guardrail_rule;
SET ROLE regress_guardrail_victim;
SELECT count(*) AS rules FROM guardrail_rule;
SELECT guardrail_launch('draft of theirs');
RESET ROLE;
CALL guardrail_check();

-- ---- 9: who may read the views and not the events

GRANT SELECT ON guardrail_verdict, guardrail_result TO regress_guardrail_reader;
SET ROLE regress_guardrail_reader;
SELECT experiment_id, variant, verdict FROM guardrail_verdict;
SELECT metric, status FROM guardrail_result ORDER BY 1;
SELECT sql, message(sql) FROM unnest(ARRAY['SELECT guardrail_status()', 'SELECT guardrail_status(''draft of theirs'')', 'SELECT count(*) FROM ev']) sql;
RESET ROLE;
GRANT SELECT ON guardrail_experiment, guardrail_rule TO regress_guardrail_reader;
SET ROLE regress_guardrail_reader;
SELECT sql, message(sql) FROM unnest(ARRAY['SELECT guardrail_status(''draft of theirs'')', 'SELECT * FROM guardrail_evaluate(''draft of theirs'')', 'SELECT * FROM guardrail_decide(''draft of theirs'')', 'SELECT guardrail_explain(''draft of theirs'')']) sql;
SELECT guardrail_status();
SELECT version, made_by = session_user AS made_by, intact FROM guardrail_verify('draft of theirs');
RESET ROLE;

-- ---- nothing was gained

SELECT rolname, rolsuper, rolcreaterole, rolcreatedb, rolbypassrls, (SELECT count(*) FROM pg_auth_members m WHERE m.member = r.oid) AS memberships FROM pg_roles r WHERE rolname LIKE 'regress\_guardrail\_%' ORDER BY 1;
SELECT count(*) AS gained FROM evil.loot WHERE as_whom <> 'regress_guardrail_attacker'::regrole OR what IN ('?', 'IS SUPERUSER', 'HAS READ');
SELECT pg_advisory_unlock_all();
SELECT * FROM vault.secret;

DROP OWNED BY regress_guardrail_attacker CASCADE;
DROP EXTENSION guardrail;
DROP TABLE ev;
DROP SCHEMA vault CASCADE;
DROP FUNCTION plan(text, regclass, text, text), message(text);
DROP OWNED BY regress_guardrail_victim, regress_guardrail_reader;
DROP ROLE regress_guardrail_attacker, regress_guardrail_victim, regress_guardrail_reader;
