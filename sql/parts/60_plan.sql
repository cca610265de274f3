
-- ---- plans --------------------------------------------------------------
--
-- Bodies are parsed when this script runs, with the extension's schema in the search path: functions are qualified and
-- literals have types, so that no operator or function that somebody left there fits better.

CREATE TABLE guardrail_plan (
  experiment_id text NOT NULL,
  version integer NOT NULL,
  plan_hash text NOT NULL,
  previous_hash text,
  made_at timestamptz NOT NULL,
  made_by text NOT NULL,
  reason text NOT NULL,
  after_data boolean NOT NULL,
  plan text NOT NULL,
  units_seen bigint,
  PRIMARY KEY (experiment_id, version)
);
COMMENT ON TABLE guardrail_plan IS 'every version of every launched plan; append-only';
COMMENT ON COLUMN guardrail_plan.experiment_id IS 'identifier of the experiment, as in guardrail_experiment';
COMMENT ON COLUMN guardrail_plan.version IS 'number of the version, from 1';
COMMENT ON COLUMN guardrail_plan.made_at IS 'time when this version was made';
COMMENT ON COLUMN guardrail_plan.plan_hash IS 'SHA-256 of the plan text in UTF-8, in hexadecimal digits';
COMMENT ON COLUMN guardrail_plan.previous_hash IS 'plan_hash of the previous version; NULL for the first version';
COMMENT ON COLUMN guardrail_plan.made_by IS 'session role that launched or amended the plan';
COMMENT ON COLUMN guardrail_plan.reason IS 'reason given for the amendment';
COMMENT ON COLUMN guardrail_plan.after_data IS 'true if events of the experiment had arrived before this version was made';
COMMENT ON COLUMN guardrail_plan.units_seen IS 'number of units seen when this version was made; NULL: none, or not counted';
COMMENT ON COLUMN guardrail_plan.plan IS
  'canonical text of the plan, as JSON: the experiment, its rules, and the definitions they depend on';

CREATE TRIGGER guardrail_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON guardrail_plan
  FOR EACH STATEMENT EXECUTE FUNCTION guardrail_append_only();

-- What the events are made of, when they are views: the views' queries and the functions in them.
CREATE FUNCTION guardrail_definitions(relation regclass) RETURNS jsonb
  LANGUAGE sql STABLE
  SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  WITH RECURSIVE seen(id) AS (
    SELECT relation::oid
    UNION
    SELECT d.refobjid FROM seen
      JOIN pg_catalog.pg_rewrite r ON r.ev_class = seen.id
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass::oid AND d.objid = r.oid
        AND d.refclassid = 'pg_catalog.pg_class'::regclass::oid)
  SELECT coalesce(pg_catalog.jsonb_object_agg(d.name, d.definition), '{}') FROM (
    SELECT c.oid::regclass::text AS name, pg_catalog.pg_get_viewdef(c.oid) AS definition
      FROM seen JOIN pg_catalog.pg_class c ON c.oid = seen.id WHERE c.relkind IN ('v', 'm')
    UNION
    SELECT p.oid::regprocedure::text, pg_catalog.pg_get_functiondef(p.oid)
      FROM seen JOIN pg_catalog.pg_rewrite r ON r.ev_class = seen.id
      JOIN pg_catalog.pg_depend d ON d.classid = 'pg_catalog.pg_rewrite'::regclass::oid AND d.objid = r.oid
        AND d.refclassid = 'pg_catalog.pg_proc'::regclass::oid
      JOIN pg_catalog.pg_proc p ON p.oid = d.refobjid WHERE p.prokind = 'f') AS d;
END;
COMMENT ON FUNCTION guardrail_definitions(regclass) IS
  'returns the queries of a view and of the views below it, and the functions they call';

CREATE FUNCTION guardrail_plan_functions(experiment text) RETURNS oid[]
  AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION guardrail_plan_functions(text) IS
  'returns the functions that the expressions of an experiment''s rules call directly, without the server''s own; NULL if an expression no longer fits the events';

-- The plan as its rows are now.  What is NULL is left out: a column that a later version adds is NULL in older plans.
CREATE FUNCTION guardrail_plan_body(experiment text) RETURNS jsonb
  LANGUAGE sql STABLE
  SET search_path = pg_catalog, pg_temp
  SET "TimeZone" = 'UTC' SET "DateStyle" = 'ISO, YMD' SET "IntervalStyle" = 'postgres' SET extra_float_digits = 1
BEGIN ATOMIC
  SELECT pg_catalog.jsonb_build_object(
    'experiment', pg_catalog.jsonb_strip_nulls(pg_catalog.to_jsonb(e) - '{state,launched_at,stopped_at,plan_version,plan_hash}'::text[]),
    'rules', (SELECT coalesce(pg_catalog.jsonb_object_agg(r.metric, pg_catalog.jsonb_strip_nulls(pg_catalog.to_jsonb(r) - '{experiment_id,metric}'::text[])), '{}')
      FROM guardrail_rule r WHERE r.experiment_id = e.experiment_id),
    -- not asked of tables: every check makes this
    'definitions', CASE WHEN EXISTS (SELECT FROM pg_catalog.pg_class c WHERE c.oid IN (e.events::oid, e.exposures::oid) AND c.relhasrules)
        THEN guardrail_definitions(e.events) || guardrail_definitions(e.exposures) ELSE '{}' END || (
      SELECT coalesce(pg_catalog.jsonb_object_agg(p.oid::regprocedure::text, pg_catalog.pg_get_functiondef(p.oid)), '{}')
      FROM pg_catalog.unnest(guardrail_plan_functions(e.experiment_id)) f JOIN pg_catalog.pg_proc p ON p.oid = f WHERE p.prokind = 'f'))
  FROM guardrail_experiment e WHERE e.experiment_id = guardrail_plan_body.experiment;
END;
COMMENT ON FUNCTION guardrail_plan_body(text) IS 'returns the current rows of an experiment and its rules in the form of a plan';

CREATE FUNCTION guardrail_plan_text(body jsonb, version integer, previous_hash text, made_at timestamptz, made_by text,
    reason text, after_data boolean, extension_version text, server_version integer, units_seen bigint) RETURNS text
  LANGUAGE sql IMMUTABLE
  SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT pg_catalog.jsonb_pretty(pg_catalog.jsonb_build_object('experiment', body -> 'experiment'::text, 'rules', body -> 'rules'::text,
    'definitions', body -> 'definitions'::text, 'format', 1, 'version', version, 'previous_hash', previous_hash,
    'made_at', pg_catalog.to_char(made_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'made_by', made_by, 'reason', reason,
    'after_data', after_data, 'extension_version', extension_version, 'server_version', server_version)
    -- versions before 0.3.0 did not count
    || CASE WHEN units_seen IS NULL THEN '{}'::jsonb ELSE pg_catalog.jsonb_build_object('units_seen', units_seen) END);
END;
COMMENT ON FUNCTION guardrail_plan_text(jsonb, integer, text, timestamptz, text, text, boolean, text, integer, bigint) IS
  'returns the canonical text of a plan; its SHA-256 is the plan''s hash';

-- Called by guardrail_launch and guardrail_amend, which set the experiment's columns; body: guardrail_plan_body's.
CREATE FUNCTION guardrail_plan_register(experiment text, body jsonb, version integer, made_by text, reason text, after_data boolean,
    units_seen bigint)
  RETURNS text
  LANGUAGE sql VOLATILE
  SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  INSERT INTO guardrail_plan (experiment_id, version, plan_hash, previous_hash, made_at, made_by, reason, after_data, plan, units_seen)
  SELECT experiment, version, pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(t.plan, 'UTF8')), 'hex'), t.previous_hash, t.made_at, made_by, reason,
    after_data, t.plan, units_seen
  FROM (SELECT n.made_at, n.previous_hash, guardrail_plan_text(body, version, n.previous_hash, n.made_at, made_by, reason,
      after_data, n.extension_version, n.server_version, units_seen) AS plan
    FROM (SELECT pg_catalog.clock_timestamp() AS made_at,
      (SELECT p.plan_hash FROM guardrail_plan p WHERE p.experiment_id = experiment ORDER BY p.version DESC LIMIT 1) AS previous_hash,
      (SELECT x.extversion FROM pg_catalog.pg_extension x WHERE x.extname = 'guardrail') AS extension_version,
      pg_catalog.current_setting('server_version_num')::integer / 10000 AS server_version OFFSET 0) n OFFSET 0) t
  RETURNING plan_hash;
END;
COMMENT ON FUNCTION guardrail_plan_register(text, jsonb, integer, text, text, boolean, bigint) IS
  'stores a version of a plan; called by guardrail_launch() and guardrail_amend()';
REVOKE EXECUTE ON FUNCTION guardrail_plan_register(text, jsonb, integer, text, text, boolean, bigint) FROM PUBLIC;

-- Differences of two JSON objects, in words; "what" says what a key is.
CREATE FUNCTION guardrail_plan_differences(what text, planned jsonb, present jsonb) RETURNS SETOF text
  LANGUAGE sql IMMUTABLE
  SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT CASE WHEN a.value IS NULL THEN pg_catalog.format('%s %s is %s, not in the plan', what, pg_catalog.to_json(coalesce(a.key, b.key)), pg_catalog."left"(b.value::text, 200))
      WHEN b.value IS NULL THEN pg_catalog.format('%s %s is NULL, planned %s', what, pg_catalog.to_json(coalesce(a.key, b.key)), pg_catalog."left"(a.value::text, 200))
      ELSE pg_catalog.format('%s %s is %s, planned %s', what, pg_catalog.to_json(coalesce(a.key, b.key)), pg_catalog."left"(b.value::text, 200), pg_catalog."left"(a.value::text, 200)) END
    FROM pg_catalog.jsonb_each(coalesce(planned, '{}')) a FULL JOIN pg_catalog.jsonb_each(coalesce(present, '{}')) b ON a.key = b.key
    WHERE a.value IS DISTINCT FROM b.value ORDER BY coalesce(a.key, b.key) COLLATE "C";
END;
COMMENT ON FUNCTION guardrail_plan_differences(text, jsonb, jsonb) IS 'describes the differences between two parts of a plan';

-- The stored versions by themselves: text, hash, columns, order.
CREATE FUNCTION guardrail_plan_chain(experiment text) RETURNS TABLE (version integer, finding text)
  LANGUAGE sql STABLE
  SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT p.version, CASE
      WHEN pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(p.plan, 'UTF8')), 'hex') <> p.plan_hash THEN 'the plan text does not have its plan_hash'
      WHEN guardrail_plan_text(p.plan::jsonb, p.version, p.previous_hash, p.made_at, p.made_by, p.reason, p.after_data,
        p.plan::jsonb ->> 'extension_version'::text, (p.plan::jsonb ->> 'server_version'::text)::integer, p.units_seen) IS DISTINCT FROM p.plan
        OR p.plan::jsonb -> 'experiment'::text ->> 'experiment_id'::text IS DISTINCT FROM p.experiment_id
        THEN 'the columns of guardrail_plan do not fit the plan text'
      WHEN p.previous_hash IS DISTINCT FROM pg_catalog.lag(p.plan_hash) OVER w OR p.version <> coalesce(pg_catalog.lag(p.version) OVER w + 1, p.version)
        THEN 'it does not follow from the version before'
    END
    FROM guardrail_plan p WHERE p.experiment_id = guardrail_plan_chain.experiment
    WINDOW w AS (ORDER BY p.version);
END;
COMMENT ON FUNCTION guardrail_plan_chain(text) IS
  'checks each stored version of a plan and describes what is wrong with it; NULL if nothing is';

-- The rows as they are now against the plan that the experiment names.
CREATE FUNCTION guardrail_plan_present(experiment text) RETURNS SETOF text
  LANGUAGE sql STABLE
  SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  WITH now AS MATERIALIZED (
    SELECT e.plan_version, e.plan_hash, p.version, p.plan_hash AS stored_hash, guardrail_plan_body(e.experiment_id) AS body,
      CASE WHEN pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(p.plan, 'UTF8')), 'hex') = p.plan_hash THEN p.plan::jsonb END AS plan
    FROM guardrail_experiment e LEFT JOIN guardrail_plan p ON p.experiment_id = e.experiment_id AND p.version = e.plan_version
    WHERE e.experiment_id = guardrail_plan_present.experiment AND e.state <> 'draft')
  SELECT pg_catalog.format('version %s of the plan is not registered', plan_version) FROM now WHERE version IS NULL
  UNION ALL
  SELECT pg_catalog.format('the experiment''s plan_hash is not that of version %s', version) FROM now
    WHERE version IS NOT NULL AND plan_hash IS DISTINCT FROM stored_hash
  UNION ALL
  SELECT pg_catalog.format('there is a later version than %s', now.version) FROM now
    WHERE EXISTS (SELECT FROM guardrail_plan p WHERE p.experiment_id = experiment AND p.version > now.version)
  UNION ALL
  SELECT d.d FROM now, guardrail_plan_differences('column'::text, plan -> 'experiment'::text, body -> 'experiment'::text) d WHERE plan IS NOT NULL
  UNION ALL
  SELECT pg_catalog.format(CASE WHEN planned.value IS NULL THEN 'rule %s is not in the plan' ELSE 'rule %s is gone' END, pg_catalog.to_json(coalesce(planned.key, present.key)))
    FROM now, pg_catalog.jsonb_each(plan -> 'rules'::text) planned FULL JOIN (SELECT r.key FROM now, pg_catalog.jsonb_each(body -> 'rules'::text) r) present ON present.key = planned.key
    WHERE (planned.key IS NULL OR present.key IS NULL) AND EXISTS (SELECT FROM now WHERE plan IS NOT NULL)
  UNION ALL
  SELECT d.d FROM now, pg_catalog.jsonb_each(plan -> 'rules'::text) r,
    guardrail_plan_differences(pg_catalog.format('rule %s: column', pg_catalog.to_json(r.key)), r.value, body -> 'rules'::text -> r.key) d
    WHERE plan IS NOT NULL AND body -> 'rules'::text ? r.key
  UNION ALL
  -- another major version may print the same query in other words; what an expression calls that does not fit is not known
  SELECT pg_catalog.format('the definition of %s has changed', pg_catalog.to_json(coalesce(planned.key, present.key)))
    FROM (SELECT d.* FROM now, pg_catalog.jsonb_each(plan -> 'definitions'::text) d) planned
    FULL JOIN (SELECT d.* FROM now, pg_catalog.jsonb_each(body -> 'definitions'::text) d) present ON present.key = planned.key
    WHERE planned.value IS DISTINCT FROM present.value
      AND (present.key IS NOT NULL OR guardrail_plan_functions(experiment) IS NOT NULL)
      AND EXISTS (SELECT FROM now WHERE plan ->> 'server_version'::text = (pg_catalog.current_setting('server_version_num')::integer / 10000)::text);
END;
COMMENT ON FUNCTION guardrail_plan_present(text) IS
  'describes the differences between the current rows of an experiment and its plan; returns no row if there are none';

-- ---- waivers ------------------------------------------------------------

CREATE TABLE guardrail_waiver (
  experiment_id text NOT NULL,
  waiver_no integer NOT NULL,
  waiver_hash text NOT NULL,
  previous_hash text NOT NULL,
  plan_version integer NOT NULL,
  variant text NOT NULL,
  metric text NOT NULL,
  reason text NOT NULL,
  until timestamptz,
  status text NOT NULL,
  lifts_veto boolean NOT NULL,
  made_at timestamptz NOT NULL,
  made_by text NOT NULL,
  PRIMARY KEY (experiment_id, waiver_no)
);
COMMENT ON TABLE guardrail_waiver IS 'every veto that somebody lifted by name; append-only';
COMMENT ON COLUMN guardrail_waiver.experiment_id IS 'identifier of the experiment, as in guardrail_experiment';
COMMENT ON COLUMN guardrail_waiver.waiver_no IS 'number of the waiver in its experiment, from 1';
COMMENT ON COLUMN guardrail_waiver.waiver_hash IS 'SHA-256 of the waiver''s text in UTF-8, in hexadecimal digits';
COMMENT ON COLUMN guardrail_waiver.previous_hash IS 'waiver_hash of the previous waiver; for the first one the plan_hash of its plan_version';
COMMENT ON COLUMN guardrail_waiver.plan_version IS 'version of the plan in force when the waiver was given';
COMMENT ON COLUMN guardrail_waiver.variant IS 'name of the treatment variant that it holds for';
COMMENT ON COLUMN guardrail_waiver.metric IS 'name of the rule, or of the loosened column of guardrail_experiment';
COMMENT ON COLUMN guardrail_waiver.reason IS 'reason given for the waiver';
COMMENT ON COLUMN guardrail_waiver.until IS 'time when the waiver ends; NULL: it does not end';
COMMENT ON COLUMN guardrail_waiver.status IS 'status of the metric when the waiver was given';
COMMENT ON COLUMN guardrail_waiver.lifts_veto IS
  'true if the metric kept the variant from SHIP when the waiver was given, and no longer does; false: the waiver only accepts the loosened rule';
COMMENT ON COLUMN guardrail_waiver.made_at IS 'time when the waiver was given';
COMMENT ON COLUMN guardrail_waiver.made_by IS 'session role that gave the waiver';

CREATE TRIGGER guardrail_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON guardrail_waiver
  FOR EACH STATEMENT EXECUTE FUNCTION guardrail_append_only();

CREATE FUNCTION guardrail_waiver_text(w guardrail_waiver) RETURNS text
  LANGUAGE sql IMMUTABLE
  SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT pg_catalog.jsonb_pretty(pg_catalog.jsonb_build_object('experiment_id', (w).experiment_id, 'waiver_no', (w).waiver_no,
    'previous_hash', (w).previous_hash, 'plan_version', (w).plan_version, 'variant', (w).variant, 'metric', (w).metric, 'reason', (w).reason,
    'until', pg_catalog.to_char((w).until AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'status', (w).status, 'lifts_veto', (w).lifts_veto,
    'made_at', pg_catalog.to_char((w).made_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'made_by', (w).made_by));
END;
COMMENT ON FUNCTION guardrail_waiver_text(guardrail_waiver) IS 'returns the canonical text of a waiver; its SHA-256 is the waiver''s hash';

CREATE FUNCTION guardrail_waiver_register(experiment text, plan_version integer, variant text, metric text, reason text,
    until timestamptz, status text, lifts_veto boolean, made_by text) RETURNS integer
  LANGUAGE sql VOLATILE
  SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  INSERT INTO guardrail_waiver
  SELECT w.experiment_id, w.waiver_no,
    pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(guardrail_waiver_text(w.*::guardrail_waiver), 'UTF8')), 'hex'),
    w.previous_hash, w.plan_version, w.variant, w.metric, w.reason, w.until, w.status, w.lifts_veto, w.made_at, w.made_by
  FROM (SELECT p.experiment_id, coalesce(l.waiver_no, 0) + 1 AS waiver_no, ''::text AS waiver_hash,
      coalesce(l.waiver_hash, p.plan_hash) AS previous_hash, p.version AS plan_version, guardrail_waiver_register.variant, guardrail_waiver_register.metric,
      guardrail_waiver_register.reason, guardrail_waiver_register.until, guardrail_waiver_register.status, guardrail_waiver_register.lifts_veto,
      pg_catalog.clock_timestamp() AS made_at, guardrail_waiver_register.made_by
    FROM guardrail_plan p LEFT JOIN LATERAL (SELECT x.waiver_no, x.waiver_hash FROM guardrail_waiver x
      WHERE x.experiment_id = p.experiment_id ORDER BY x.waiver_no DESC LIMIT 1) l ON true
    WHERE p.experiment_id = experiment AND p.version = guardrail_waiver_register.plan_version OFFSET 0) w
  RETURNING waiver_no;
END;
COMMENT ON FUNCTION guardrail_waiver_register(text, integer, text, text, text, timestamptz, text, boolean, text) IS
  'stores a waiver; called by guardrail_waive()';
REVOKE EXECUTE ON FUNCTION guardrail_waiver_register(text, integer, text, text, text, timestamptz, text, boolean, text) FROM PUBLIC;

-- The stored waivers by themselves: hash and order.
CREATE FUNCTION guardrail_waiver_chain(experiment text) RETURNS TABLE (waiver_no integer, plan_version integer, finding text)
  LANGUAGE sql STABLE
  SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT w.waiver_no, w.plan_version, CASE
      WHEN pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(guardrail_waiver_text(w), 'UTF8')), 'hex') <> w.waiver_hash
        THEN pg_catalog.format('waiver %s does not have its waiver_hash', w.waiver_no)
      WHEN w.previous_hash IS DISTINCT FROM coalesce(pg_catalog.lag(w.waiver_hash) OVER o,
          (SELECT p.plan_hash FROM guardrail_plan p WHERE p.experiment_id = w.experiment_id AND p.version = w.plan_version))
        OR w.waiver_no <> coalesce(pg_catalog.lag(w.waiver_no) OVER o, 0) + 1
        THEN pg_catalog.format('waiver %s does not follow from the one before', w.waiver_no)
    END
    FROM guardrail_waiver w WHERE w.experiment_id = guardrail_waiver_chain.experiment
    WINDOW o AS (ORDER BY w.waiver_no);
END;
COMMENT ON FUNCTION guardrail_waiver_chain(text) IS
  'checks each waiver of an experiment and describes what is wrong with it; NULL if nothing is';

-- What the above say at length, when it is nothing; every check asks.
CREATE FUNCTION guardrail_plan_intact(experiment text) RETURNS boolean
  LANGUAGE sql STABLE
  SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT EXISTS (SELECT FROM guardrail_experiment e JOIN guardrail_plan p ON p.experiment_id = e.experiment_id AND p.version = e.plan_version
      WHERE e.experiment_id = guardrail_plan_intact.experiment AND e.plan_hash = p.plan_hash
        AND CASE WHEN pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(p.plan, 'UTF8')), 'hex') = p.plan_hash
            THEN p.plan::jsonb - '{format,version,previous_hash,made_at,made_by,reason,after_data,extension_version,server_version,units_seen}'::text[]
              = guardrail_plan_body(e.experiment_id) END
        AND NOT EXISTS (SELECT FROM guardrail_plan l WHERE l.experiment_id = p.experiment_id AND l.version > p.version))
    AND NOT EXISTS (SELECT FROM guardrail_plan_chain(guardrail_plan_intact.experiment) c WHERE c.finding IS NOT NULL)
    AND NOT EXISTS (SELECT FROM guardrail_waiver_chain(guardrail_plan_intact.experiment) c WHERE c.finding IS NOT NULL);
END;
COMMENT ON FUNCTION guardrail_plan_intact(text) IS
  'returns true if all versions of a plan are as registered and the rows match the last version; if false, guardrail_verify() describes the differences';

CREATE FUNCTION guardrail_verify(experiment text)
  RETURNS TABLE (version integer, plan_hash text, made_at timestamptz, made_by text, reason text, after_data boolean, intact boolean, finding text)
  AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL UNSAFE COST 10000 ROWS 2;
COMMENT ON FUNCTION guardrail_verify(text) IS
  'recomputes the hash chain of an experiment''s plans and compares the last version with the current rows; returns one row per version, and describes each mismatch';

CREATE FUNCTION guardrail_amend(experiment text, reason text, changes jsonb) RETURNS text
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION guardrail_amend(text, text, jsonb) IS
  'changes a running plan and records the reason; changes: {"experiment": {column: value}, "rules": {metric: {column: value} or null}}; returns a line that says what was changed';

CREATE FUNCTION guardrail_frozen() RETURNS trigger AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION guardrail_frozen() IS 'trigger function: rejects changes to a launched plan';
-- after the checks of the row, by name
CREATE TRIGGER guardrail_frozen BEFORE UPDATE OR DELETE ON guardrail_experiment
  FOR EACH ROW EXECUTE FUNCTION guardrail_frozen();
CREATE TRIGGER guardrail_frozen BEFORE INSERT OR UPDATE OR DELETE ON guardrail_rule
  FOR EACH ROW EXECUTE FUNCTION guardrail_frozen();
CREATE TRIGGER guardrail_frozen_all BEFORE TRUNCATE ON guardrail_experiment
  FOR EACH STATEMENT EXECUTE FUNCTION guardrail_frozen();
CREATE TRIGGER guardrail_frozen_all BEFORE TRUNCATE ON guardrail_rule
  FOR EACH STATEMENT EXECUTE FUNCTION guardrail_frozen();

CREATE FUNCTION guardrail_waive(experiment text, variant text, metric text, reason text, until timestamptz DEFAULT NULL) RETURNS text
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION guardrail_waive(text, text, text, text, timestamptz) IS
  'lifts the veto of a rule for a variant, by name, until a time (NULL: for good); accepts a rule that was loosened after data; the metric keeps its status';

SELECT pg_catalog.pg_extension_config_dump('guardrail_plan', '');
SELECT pg_catalog.pg_extension_config_dump('guardrail_waiver', '');
