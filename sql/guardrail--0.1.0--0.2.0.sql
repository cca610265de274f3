-- guardrail: from 0.1.0 to 0.2.0.
\echo Use "ALTER EXTENSION guardrail UPDATE TO '0.2.0'" to load this file. \quit

-- Copyright (C) 2026 the guardrail developers. GPL-3.0-or-later.

COMMENT ON FUNCTION guardrail_launch(text) IS 'set a draft running: checks its plan whole, registers it in guardrail_plan, and freezes it';
COMMENT ON COLUMN guardrail_experiment.cursor_column IS 'an ever-growing column (identity, or time of arrival): checks read only the events after the last check';

-- what a check needs of earlier ones must not cost more with each of them
DROP INDEX guardrail_result_log_experiment;
CREATE INDEX guardrail_result_log_arm ON guardrail_result_log (experiment_id, variant, metric, check_id);
CREATE INDEX guardrail_check_log_look ON guardrail_check_log (experiment_id, plan_version, look_no) WHERE look_no IS NOT NULL;

-- results name their plan
CREATE OR REPLACE VIEW guardrail_result AS
  SELECT l.experiment_id, l.variant, l.metric, l.role, l.severity, l.kind, l.north_star, l.control_value,
    l.treatment_value, l.control_se, l.treatment_se, l.effect, l.effect_lower, l.effect_upper, l.limit_kind,
    l.limit_value, l.evidence, l.alpha, l.p_breach, l.p_breach_adjusted, l.p_safe, l.p_value,
    l.p_value_adjusted, l.status, l.reason, l.units_control, l.units_treatment, l.events_control,
    l.events_treatment, l.units_needed, l.display_unit,
    l.checked_at, l.check_id, l.plan_version
  FROM guardrail_experiment e
  CROSS JOIN LATERAL (
    SELECT m.check_id FROM guardrail_check_log m
    WHERE m.experiment_id = e.experiment_id AND m.checked_at >= e.launched_at
    ORDER BY m.check_id DESC LIMIT 1) last
  JOIN guardrail_result_log l ON l.check_id = last.check_id AND l.experiment_id = e.experiment_id;

-- arms that are settings of one number; what was won at the cost of what
ALTER TABLE guardrail_experiment ADD COLUMN parameter jsonb;
COMMENT ON COLUMN guardrail_experiment.parameter IS 'arms that are settings of one number, such as {"control": 0, "low": 0.5, "high": 1}; guardrail_optimize() needs three';
ALTER TABLE guardrail_check_log ADD COLUMN cannibalization text;
COMMENT ON COLUMN guardrail_check_log.cannibalization IS 'which metrics won and which lost, where both has happened';
CREATE OR REPLACE VIEW guardrail_verdict AS
  SELECT l.experiment_id, l.variant, l.verdict, l.status, l.reason, l.primary_metric, l.primary_status,
    l.primary_effect, l.primary_lower, l.primary_upper, l.guardrails, l.breached, l.safe, l.undecided,
    l.no_data, l.srm_p, l.crossover_share, l.crossover_units, l.units_control, l.units_treatment,
    l.events_control, l.events_treatment, l.null_unit_rows, l.unknown_arm_rows, l.monitoring, l.information,
    l.error, l.checked_at, l.check_id, l.plan_version, l.cannibalization
  FROM guardrail_experiment e
  CROSS JOIN LATERAL (
    SELECT m.check_id FROM guardrail_check_log m
    WHERE m.experiment_id = e.experiment_id AND m.checked_at >= e.launched_at
    ORDER BY m.check_id DESC LIMIT 1) last
  JOIN guardrail_check_log l ON l.check_id = last.check_id AND l.experiment_id = e.experiment_id;
-- ---- exposures and windows ------------------------------------------------

ALTER TABLE guardrail_rule ADD COLUMN retention_time_zone text;
COMMENT ON COLUMN guardrail_experiment.exposures IS 'assignment table with the same unit, variant and experiment columns: its units count even without events; NULL: a unit''s first event is its exposure';
COMMENT ON COLUMN guardrail_experiment.exposed_at_column IS 'time of the exposure, in exposures; the first counts, and only events at or after it';
COMMENT ON COLUMN guardrail_experiment.time_column IS 'time of the event; starts_at, ends_at, exposures and windows need it';
COMMENT ON COLUMN guardrail_rule.kind IS 'mean per unit, proportion of units, ratio of sums, quantile, retention, distinct values per unit, entropy per unit';
COMMENT ON COLUMN guardrail_rule.value IS 'SQL expression over one event: a number or a boolean, which counts as 0 or 1; of distinct and entropy a category of any type; of retention NULL: any event is activity';
COMMENT ON COLUMN guardrail_rule.at_least IS 'of a proportion: a unit counts when its summed value reaches this';
COMMENT ON COLUMN guardrail_rule.retention_day IS 'of retention: active on this day after exposure; only units whose day has wholly passed count';
COMMENT ON COLUMN guardrail_rule.retention_time_zone IS 'of retention: days of the calendar in this time zone; NULL: of 24 hours from the exposure on';
COMMENT ON COLUMN guardrail_rule.window_length IS 'only events this long after exposure count, and only units whose window has closed';

-- ---- segments: sql/parts/85_segment.sql has the rest ------------------------

ALTER TABLE guardrail_experiment ADD COLUMN segments text[];
ALTER TABLE guardrail_rule ADD COLUMN segment_veto boolean;
COMMENT ON COLUMN guardrail_experiment.segments IS 'SQL expressions over one event, constant per unit, such as {device,country}: every guardrail is also judged for each of their values';
COMMENT ON COLUMN guardrail_rule.segment_veto IS 'true: an alarm in a segment BLOCKs as the guardrail itself does; NULL or false: it is shown only';

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
  PRIMARY KEY (experiment_id, version)
);
COMMENT ON TABLE guardrail_plan IS 'every version of every launched plan; append-only';
COMMENT ON COLUMN guardrail_plan.plan_hash IS 'SHA-256 of plan in UTF-8, in hexadecimal digits';
COMMENT ON COLUMN guardrail_plan.previous_hash IS 'plan_hash of the version before; NULL for the first';
COMMENT ON COLUMN guardrail_plan.made_by IS 'the session''s role that launched or amended';
COMMENT ON COLUMN guardrail_plan.reason IS 'why it was amended';
COMMENT ON COLUMN guardrail_plan.after_data IS 'events of the experiment had been seen when this version was made';
COMMENT ON COLUMN guardrail_plan.plan IS 'canonical text: the experiment, its rules, and the definitions behind them, as JSON';

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
  'the queries of a view and of the views below it, and the functions they call';

CREATE FUNCTION guardrail_plan_functions(experiment text) RETURNS oid[]
  AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION guardrail_plan_functions(text) IS
  'the functions that the expressions of an experiment''s rules call by themselves, the server''s own left out; NULL when one fits the events no longer';

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
COMMENT ON FUNCTION guardrail_plan_body(text) IS 'an experiment and its rules as they are now, in the form of a plan';

CREATE FUNCTION guardrail_plan_text(body jsonb, version integer, previous_hash text, made_at timestamptz, made_by text,
    reason text, after_data boolean, extension_version text, server_version integer) RETURNS text
  LANGUAGE sql IMMUTABLE
  SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT pg_catalog.jsonb_pretty(pg_catalog.jsonb_build_object('experiment', body -> 'experiment'::text, 'rules', body -> 'rules'::text,
    'definitions', body -> 'definitions'::text, 'format', 1, 'version', version, 'previous_hash', previous_hash,
    'made_at', pg_catalog.to_char(made_at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.US"Z"'), 'made_by', made_by, 'reason', reason,
    'after_data', after_data, 'extension_version', extension_version, 'server_version', server_version));
END;
COMMENT ON FUNCTION guardrail_plan_text(jsonb, integer, text, timestamptz, text, text, boolean, text, integer) IS
  'the canonical text of a plan, whose SHA-256 is its hash';

-- Called by guardrail_launch and guardrail_amend, which set the experiment's columns; body: guardrail_plan_body's.
CREATE FUNCTION guardrail_plan_register(experiment text, body jsonb, version integer, made_by text, reason text, after_data boolean)
  RETURNS text
  LANGUAGE sql VOLATILE
  SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  INSERT INTO guardrail_plan (experiment_id, version, plan_hash, previous_hash, made_at, made_by, reason, after_data, plan)
  SELECT experiment, version, pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(t.plan, 'UTF8')), 'hex'), t.previous_hash, t.made_at, made_by, reason,
    after_data, t.plan
  FROM (SELECT n.made_at, n.previous_hash, guardrail_plan_text(body, version, n.previous_hash, n.made_at, made_by, reason,
      after_data, n.extension_version, n.server_version) AS plan
    FROM (SELECT pg_catalog.clock_timestamp() AS made_at,
      (SELECT p.plan_hash FROM guardrail_plan p WHERE p.experiment_id = experiment ORDER BY p.version DESC LIMIT 1) AS previous_hash,
      (SELECT x.extversion FROM pg_catalog.pg_extension x WHERE x.extname = 'guardrail') AS extension_version,
      pg_catalog.current_setting('server_version_num')::integer / 10000 AS server_version OFFSET 0) n OFFSET 0) t
  RETURNING plan_hash;
END;
COMMENT ON FUNCTION guardrail_plan_register(text, jsonb, integer, text, text, boolean) IS
  'write a version of a plan; called by guardrail_launch and guardrail_amend';
REVOKE EXECUTE ON FUNCTION guardrail_plan_register(text, jsonb, integer, text, text, boolean) FROM PUBLIC;

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
COMMENT ON FUNCTION guardrail_plan_differences(text, jsonb, jsonb) IS 'in what two parts of a plan differ';

-- The stored versions by themselves: text, hash, columns, order.
CREATE FUNCTION guardrail_plan_chain(experiment text) RETURNS TABLE (version integer, finding text)
  LANGUAGE sql STABLE
  SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT p.version, CASE
      WHEN pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(p.plan, 'UTF8')), 'hex') <> p.plan_hash THEN 'the plan text does not have its plan_hash'
      WHEN guardrail_plan_text(p.plan::jsonb, p.version, p.previous_hash, p.made_at, p.made_by, p.reason, p.after_data,
        p.plan::jsonb ->> 'extension_version'::text, (p.plan::jsonb ->> 'server_version'::text)::integer) IS DISTINCT FROM p.plan
        OR p.plan::jsonb -> 'experiment'::text ->> 'experiment_id'::text IS DISTINCT FROM p.experiment_id
        THEN 'the columns of guardrail_plan do not fit the plan text'
      WHEN p.previous_hash IS DISTINCT FROM pg_catalog.lag(p.plan_hash) OVER w OR p.version <> coalesce(pg_catalog.lag(p.version) OVER w + 1, p.version)
        THEN 'it does not follow from the version before'
    END
    FROM guardrail_plan p WHERE p.experiment_id = guardrail_plan_chain.experiment
    WINDOW w AS (ORDER BY p.version);
END;
COMMENT ON FUNCTION guardrail_plan_chain(text) IS 'what is wrong with each stored version of a plan; NULL: nothing';

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
COMMENT ON FUNCTION guardrail_plan_present(text) IS 'in what an experiment and its rules, as they are now, differ from the plan; no row: in nothing';

-- What the two above say at length, when it is nothing; every check asks.
CREATE FUNCTION guardrail_plan_intact(experiment text) RETURNS boolean
  LANGUAGE sql STABLE
  SET search_path = pg_catalog, pg_temp
BEGIN ATOMIC
  SELECT EXISTS (SELECT FROM guardrail_experiment e JOIN guardrail_plan p ON p.experiment_id = e.experiment_id AND p.version = e.plan_version
      WHERE e.experiment_id = guardrail_plan_intact.experiment AND e.plan_hash = p.plan_hash
        AND CASE WHEN pg_catalog.encode(pg_catalog.sha256(pg_catalog.convert_to(p.plan, 'UTF8')), 'hex') = p.plan_hash
            THEN p.plan::jsonb - '{format,version,previous_hash,made_at,made_by,reason,after_data,extension_version,server_version}'::text[]
              = guardrail_plan_body(e.experiment_id) END
        AND NOT EXISTS (SELECT FROM guardrail_plan l WHERE l.experiment_id = p.experiment_id AND l.version > p.version))
    AND NOT EXISTS (SELECT FROM guardrail_plan_chain(guardrail_plan_intact.experiment) c WHERE c.finding IS NOT NULL);
END;
COMMENT ON FUNCTION guardrail_plan_intact(text) IS 'are all versions of a plan as they were registered, and the rows as the last says; false: guardrail_verify says what differs, if anything';

CREATE FUNCTION guardrail_verify(experiment text)
  RETURNS TABLE (version integer, plan_hash text, made_at timestamptz, made_by text, reason text, after_data boolean, intact boolean, finding text)
  AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL UNSAFE COST 10000 ROWS 2;
COMMENT ON FUNCTION guardrail_verify(text) IS
  'recompute the hash chain of an experiment''s plans and compare the last with its rows: one row per version, and where it breaks';

CREATE FUNCTION guardrail_amend(experiment text, reason text, changes jsonb) RETURNS integer
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION guardrail_amend(text, text, jsonb) IS
  'change a running plan, for a reason that is recorded: {"experiment": {column: value}, "rules": {metric: {column: value} or null}}; the new version''s number';

CREATE FUNCTION guardrail_frozen() RETURNS trigger AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION guardrail_frozen() IS 'refuses changes of a launched plan';
-- after the checks of the row, by name
CREATE TRIGGER guardrail_frozen BEFORE UPDATE OR DELETE ON guardrail_experiment
  FOR EACH ROW EXECUTE FUNCTION guardrail_frozen();
CREATE TRIGGER guardrail_frozen BEFORE INSERT OR UPDATE OR DELETE ON guardrail_rule
  FOR EACH ROW EXECUTE FUNCTION guardrail_frozen();
CREATE TRIGGER guardrail_frozen_all BEFORE TRUNCATE ON guardrail_experiment
  FOR EACH STATEMENT EXECUTE FUNCTION guardrail_frozen();
CREATE TRIGGER guardrail_frozen_all BEFORE TRUNCATE ON guardrail_rule
  FOR EACH STATEMENT EXECUTE FUNCTION guardrail_frozen();

SELECT pg_catalog.pg_extension_config_dump('guardrail_plan', '');

-- ---- replay, retention, gates -------------------------------------------

CREATE TABLE guardrail_check_input (
  check_id bigint PRIMARY KEY,
  experiment_id text NOT NULL,
  plan_version integer NOT NULL,
  checked_at timestamptz NOT NULL,
  state text NOT NULL,
  ended boolean NOT NULL,
  snapshot pg_snapshot NOT NULL,
  extension_version text NOT NULL,
  spec text NOT NULL,
  metrics integer[] NOT NULL,
  fingerprints bigint[] NOT NULL,
  collection bytea NOT NULL,
  past bytea NOT NULL
);
-- a tenth of the time that pglz takes, where the server has it
DO $$ BEGIN
  ALTER TABLE guardrail_check_input ALTER collection SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN NULL;
END $$;
COMMENT ON TABLE guardrail_check_input IS
  'what each check decided from: summaries of the events and what earlier checks left; guardrail_replay() decides again from it; append-only';
COMMENT ON COLUMN guardrail_check_input.ended IS 'ends_at had passed';
COMMENT ON COLUMN guardrail_check_input.snapshot IS 'the transactions whose events the check saw, as of pg_current_snapshot()';
COMMENT ON COLUMN guardrail_check_input.spec IS 'what was collected; metrics: the number in it of each rule, by role and name';
COMMENT ON COLUMN guardrail_check_input.collection IS 'counts, moments and histograms per arm';
COMMENT ON COLUMN guardrail_check_input.past IS 'looks, least p-values and latched breaches of earlier checks';
CREATE TRIGGER guardrail_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON guardrail_check_input
  FOR EACH STATEMENT EXECUTE FUNCTION guardrail_append_only();

CREATE FUNCTION guardrail_replay(check_id bigint) RETURNS TABLE (
    experiment_id text,
    variant text,
    verdict text,
    status text,
    reason text,
    primary_metric text,
    primary_status text,
    primary_effect double precision,
    primary_lower double precision,
    primary_upper double precision,
    guardrails integer,
    breached integer,
    safe integer,
    undecided integer,
    no_data integer,
    srm_p double precision,
    crossover_share double precision,
    crossover_units bigint,
    units_control bigint,
    units_treatment bigint,
    events_control bigint,
    events_treatment bigint,
    null_unit_rows bigint,
    unknown_arm_rows bigint,
    monitoring text,
    information double precision,
    identical boolean,
    differences text)
  AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL UNSAFE COST 10000 ROWS 2;
COMMENT ON FUNCTION guardrail_replay(bigint) IS
  'decide a recorded check again from its stored summaries, and compare with what was recorded, verdict and results, bit for bit';

CREATE FUNCTION guardrail_prune(keep interval) RETURNS bigint
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION guardrail_prune(interval) IS
  'remove checks older than the interval, but for the last of each experiment, those around a change of a verdict, and those that present plans rest on; how many';
REVOKE EXECUTE ON FUNCTION guardrail_prune(interval) FROM PUBLIC;

CREATE FUNCTION guardrail_release_gate() RETURNS trigger AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION guardrail_release_gate() IS
  'trigger for a table of releases: refuses a row whose experiment and variant a recorded BLOCK or INVALID speaks against';
REVOKE EXECUTE ON FUNCTION guardrail_release_gate() FROM PUBLIC;

SELECT pg_catalog.pg_extension_config_dump('guardrail_check_input', '');

-- ---- stored slices, for incremental checks --------------------------------

CREATE FUNCTION guardrail_unit_hash("any") RETURNS bigint
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_unit_hash("any") IS
  'the hash that a unit is known by; used in the statements that guardrail writes';

CREATE FUNCTION guardrail_collect_units_add(internal, text, text[], integer, "any", "any", VARIADIC "any") RETURNS internal
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_collect_units_add(internal, text, text[], integer, "any", "any", "any") IS 'transition of guardrail_collect_units, whose units must fit';

CREATE AGGREGATE guardrail_collect_units(text, text[], integer, "any", "any", VARIADIC "any") (
  SFUNC = guardrail_collect_units_add, STYPE = internal, SSPACE = 1048576,
  FINALFUNC = guardrail_collect_serialize, FINALFUNC_MODIFY = READ_WRITE,
  COMBINEFUNC = guardrail_collect_combine, SERIALFUNC = guardrail_collect_serialize,
  DESERIALFUNC = guardrail_collect_deserialize, PARALLEL = SAFE);
COMMENT ON AGGREGATE guardrail_collect_units(text, text[], integer, "any", "any", "any") IS
  'one pass over the events of an experiment, its units as bytes; called by guardrail_check';

CREATE TABLE guardrail_watermark (
  experiment_id text PRIMARY KEY REFERENCES guardrail_experiment ON UPDATE CASCADE ON DELETE CASCADE,
  fingerprint bigint NOT NULL,
  "position" text,
  arms text[] NOT NULL,
  totals bytea
);
ALTER TABLE guardrail_watermark ALTER totals SET STORAGE EXTERNAL;
COMMENT ON TABLE guardrail_watermark IS 'up to where the events of an experiment with a cursor are stored in guardrail_slice';
COMMENT ON COLUMN guardrail_watermark.fingerprint IS 'of all that the slices depend on; when it changes they are computed again';
COMMENT ON COLUMN guardrail_watermark."position" IS 'value of the cursor_column: the events up to it are stored';
COMMENT ON COLUMN guardrail_watermark.arms IS 'names of the arms that slices number, from 0';
COMMENT ON COLUMN guardrail_watermark.totals IS 'what the units of all slices amount to, as sums that units can be taken out of again; NULL: not kept';

CREATE TABLE guardrail_slice (
  experiment_id text NOT NULL REFERENCES guardrail_watermark ON UPDATE CASCADE ON DELETE CASCADE,
  slice bigint NOT NULL,
  part integer NOT NULL,
  from_cursor text,
  to_cursor text NOT NULL,
  units bigint NOT NULL,
  state bytea NOT NULL,
  PRIMARY KEY (experiment_id, slice, part)
);
-- the slices of an experiment, without a look at each of their parts
CREATE UNIQUE INDEX guardrail_slice_head ON guardrail_slice (experiment_id, slice) WHERE part = 0;
-- compressing it would cost more time than it saves room
ALTER TABLE guardrail_slice ALTER state SET STORAGE EXTERNAL;
-- a part fills a page, and lies in it
DO $$ BEGIN
  EXECUTE pg_catalog.format('ALTER TABLE guardrail_slice SET (toast_tuple_target = %s)',
                            pg_catalog.current_setting('block_size')::integer - 32);
END $$;
COMMENT ON TABLE guardrail_slice IS 'what was collected from a range of an experiment''s events: its units in the order of their hashes, in parts';
COMMENT ON COLUMN guardrail_slice.slice IS 'numbers an experiment''s slices, the oldest first';
COMMENT ON COLUMN guardrail_slice.part IS '0 is the head: row counts and histograms of events; the others are units';
COMMENT ON COLUMN guardrail_slice.from_cursor IS 'the slice''s events come after this value of the cursor_column; NULL: from the first on';
COMMENT ON COLUMN guardrail_slice.to_cursor IS 'the last value of the cursor_column that is in the slice';
COMMENT ON COLUMN guardrail_slice.units IS 'units of the part';
COMMENT ON COLUMN guardrail_slice.state IS 'see doc/incremental.md';

CREATE FUNCTION guardrail_slice_check() RETURNS trigger AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION guardrail_slice_check() IS 'refuses a cursor_column that cannot be followed, and rules that cannot be stored';
CREATE TRIGGER guardrail_slice_check BEFORE INSERT OR UPDATE ON guardrail_experiment
  FOR EACH ROW EXECUTE FUNCTION guardrail_slice_check();
CREATE TRIGGER guardrail_slice_check BEFORE INSERT OR UPDATE ON guardrail_rule
  FOR EACH ROW EXECUTE FUNCTION guardrail_slice_check();

CREATE FUNCTION guardrail_rebuild(experiment text, from_cursor text DEFAULT NULL, to_cursor text DEFAULT NULL) RETURNS bigint
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION guardrail_rebuild(text, text, text) IS
  'compute an experiment''s slices again that overlap the range of its cursor, or all; returns how many; for its owner';

CREATE FUNCTION guardrail_audit(experiment text) RETURNS TABLE (
    from_cursor text,
    to_cursor text,
    variant text,
    what text,
    stored double precision,
    events double precision)
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000 ROWS 10;
COMMENT ON FUNCTION guardrail_audit(text) IS
  'what differs between an experiment''s slices and its events: no row when they agree; for its owner';

SELECT pg_catalog.pg_extension_config_dump('guardrail_watermark', '');
SELECT pg_catalog.pg_extension_config_dump('guardrail_slice', '');
-- ---- diversity of a unit's events ------------------------------------------

CREATE FUNCTION guardrail_category("any") RETURNS double precision
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_category("any") IS
  'a number that stands for a value of any type that can be hashed, 53 bits of its hash; used in the statements that guardrail writes';
CREATE FUNCTION guardrail_distinct(categories double precision[]) RETURNS double precision
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_distinct(double precision[]) IS
  'how many different numbers an array has; used in the statements that guardrail writes';
CREATE FUNCTION guardrail_entropy(categories double precision[]) RETURNS double precision
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_entropy(double precision[]) IS
  'Shannon entropy, in bits, of the frequencies of an array''s numbers; used in the statements that guardrail writes';

-- ---- segments -------------------------------------------------------------

CREATE FUNCTION guardrail_segment_value(value text, most integer) RETURNS text
  AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION guardrail_segment_value(text, integer) IS
  '"v" and the value, as long as no more than so many different ones have been seen, then "o"; used in the statements that guardrail writes';

-- units of many groups at once must fit: one that spilled would leave the others room to outgrow what they share
CREATE AGGREGATE guardrail_collect_segment(text, text[], integer, "any", "any", VARIADIC "any") (
  SFUNC = guardrail_collect_units_add, STYPE = internal, SSPACE = 65536,
  FINALFUNC = guardrail_collect_final, FINALFUNC_MODIFY = READ_WRITE,
  COMBINEFUNC = guardrail_collect_combine, SERIALFUNC = guardrail_collect_serialize,
  DESERIALFUNC = guardrail_collect_deserialize, PARALLEL = SAFE);
COMMENT ON AGGREGATE guardrail_collect_segment(text, text[], integer, "any", "any", "any") IS
  'guardrail_collect for many groups, each with a part of the units; called by guardrail_evaluate';

CREATE FUNCTION guardrail_segment_check() RETURNS trigger AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION guardrail_segment_check() IS 'refuses segments that cannot be judged';
CREATE TRIGGER guardrail_segment_check BEFORE INSERT OR UPDATE ON guardrail_experiment
  FOR EACH ROW EXECUTE FUNCTION guardrail_segment_check();
CREATE TRIGGER guardrail_segment_check BEFORE INSERT OR UPDATE ON guardrail_rule
  FOR EACH ROW EXECUTE FUNCTION guardrail_segment_check();

CREATE FUNCTION guardrail_segment_evaluate(experiment text) RETURNS TABLE (
    experiment_id text,
    variant text,
    metric text,
    segment text,
    value text,
    segment_veto boolean,
    log_e double precision,
    tests integer,
    role text,
    severity text,
    kind text,
    north_star boolean,
    control_value double precision,
    treatment_value double precision,
    control_se double precision,
    treatment_se double precision,
    effect double precision,
    effect_lower double precision,
    effect_upper double precision,
    limit_kind text,
    limit_value double precision,
    evidence text,
    alpha double precision,
    p_breach double precision,
    p_breach_adjusted double precision,
    p_safe double precision,
    p_value double precision,
    p_value_adjusted double precision,
    status text,
    reason text,
    units_control bigint,
    units_treatment bigint,
    events_control bigint,
    events_treatment bigint,
    units_needed bigint,
    display_unit text)
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000 ROWS 50;
COMMENT ON FUNCTION guardrail_segment_evaluate(text) IS
  'evaluate the segments of an experiment now: one row per segment, value, treatment arm and guardrail; records nothing';

CREATE TABLE guardrail_segment_log (
    check_id bigint NOT NULL,
    row_no integer NOT NULL,
    checked_at timestamptz NOT NULL,
    plan_version integer,
    fingerprint bigint,
    experiment_id text NOT NULL,
    variant text,
    metric text,
    segment text NOT NULL,
    value text,
    segment_veto boolean,
    log_e double precision,
    tests integer,
    role text,
    severity text,
    kind text,
    north_star boolean,
    control_value double precision,
    treatment_value double precision,
    control_se double precision,
    treatment_se double precision,
    effect double precision,
    effect_lower double precision,
    effect_upper double precision,
    limit_kind text,
    limit_value double precision,
    evidence text,
    alpha double precision,
    p_breach double precision,
    p_breach_adjusted double precision,
    p_safe double precision,
    p_value double precision,
    p_value_adjusted double precision,
    status text,
    reason text,
    units_control bigint,
    units_treatment bigint,
    events_control bigint,
    events_treatment bigint,
    units_needed bigint,
    display_unit text,
    PRIMARY KEY (check_id, row_no)
);
CREATE INDEX guardrail_segment_log_experiment ON guardrail_segment_log (experiment_id, check_id);
COMMENT ON TABLE guardrail_segment_log IS
  'the segments of every check ever recorded, one row per segment, value, treatment arm and guardrail; append-only';
COMMENT ON COLUMN guardrail_segment_log.segment IS 'the expression, as in guardrail_experiment.segments';
COMMENT ON COLUMN guardrail_segment_log.value IS 'its value as text; NULL: of the units whose value is NULL';
COMMENT ON COLUMN guardrail_segment_log.log_e IS 'ln of the e-value against "no harm beyond the limit", under always_valid';
COMMENT ON COLUMN guardrail_segment_log.tests IS 'tests that were adjusted together';
COMMENT ON COLUMN guardrail_segment_log.p_breach_adjusted IS 'after e-BH or BH over all of them; at most alpha: an alarm';
CREATE TRIGGER guardrail_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON guardrail_segment_log
  FOR EACH STATEMENT EXECUTE FUNCTION guardrail_append_only();

CREATE TABLE guardrail_segment_input (
    check_id bigint NOT NULL,
    segment_no integer NOT NULL,
    expression integer NOT NULL,
    value text,
    why text,
    collection bytea,
    past bytea NOT NULL,
    PRIMARY KEY (check_id, segment_no)
);
COMMENT ON TABLE guardrail_segment_input IS
  'what the segments of a check were decided from, when one raised an alarm or a rule has segment_veto; see guardrail_check_input; append-only';
COMMENT ON COLUMN guardrail_segment_input.expression IS 'its place in guardrail_experiment.segments, from 0';
COMMENT ON COLUMN guardrail_segment_input.why IS 'why it was not judged';
COMMENT ON COLUMN guardrail_segment_input.past IS 'alarms of earlier checks';
CREATE TRIGGER guardrail_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON guardrail_segment_input
  FOR EACH STATEMENT EXECUTE FUNCTION guardrail_append_only();

CREATE VIEW guardrail_segment_result AS
  SELECT l.experiment_id, l.variant, l.metric, l.segment, l.value, l.segment_veto, l.log_e, l.tests, l.role, l.severity,
    l.kind, l.north_star, l.control_value, l.treatment_value, l.control_se, l.treatment_se, l.effect, l.effect_lower,
    l.effect_upper, l.limit_kind, l.limit_value, l.evidence, l.alpha, l.p_breach, l.p_breach_adjusted, l.p_safe,
    l.p_value, l.p_value_adjusted, l.status, l.reason, l.units_control, l.units_treatment, l.events_control,
    l.events_treatment, l.units_needed, l.display_unit, l.checked_at, l.check_id, l.plan_version
  FROM guardrail_experiment e
  CROSS JOIN LATERAL (
    SELECT m.check_id FROM guardrail_check_log m
    WHERE m.experiment_id = e.experiment_id AND m.checked_at >= e.launched_at
    ORDER BY m.check_id DESC LIMIT 1) last
  JOIN guardrail_segment_log l ON l.check_id = last.check_id AND l.experiment_id = e.experiment_id;
COMMENT ON VIEW guardrail_segment_result IS
  'the last recorded check: one row per experiment, segment, value, treatment arm and guardrail';

SELECT pg_catalog.pg_extension_config_dump('guardrail_segment_log', '');
SELECT pg_catalog.pg_extension_config_dump('guardrail_segment_input', '');

-- ---- several metrics, several arms --------------------------------------

CREATE FUNCTION guardrail_covariance(experiment text) RETURNS TABLE (
    experiment_id text,
    variant text,
    metric text,
    other text,
    effect double precision,
    variance double precision,
    other_effect double precision,
    other_variance double precision,
    covariance double precision,
    correlation double precision,
    reason text)
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 20000 ROWS 20;
COMMENT ON FUNCTION guardrail_covariance(text) IS
  'the joint covariance now of every two metrics'' effects in each treatment arm; reason: why a pair has none';

CREATE FUNCTION guardrail_cannibalization(experiment text) RETURNS TABLE (
    experiment_id text,
    variant text,
    won text,
    won_effect double precision,
    won_se double precision,
    won_lower double precision,
    won_upper double precision,
    lost text,
    lost_effect double precision,
    lost_se double precision,
    lost_lower double precision,
    lost_upper double precision,
    correlation double precision,
    region text,
    radius double precision,
    alpha double precision,
    exchange_rate double precision,
    exchange_lower double precision,
    exchange_upper double precision,
    reason text)
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 20000 ROWS 5;
COMMENT ON FUNCTION guardrail_cannibalization(text) IS
  'what is won at the cost of what, now: each pair of a metric that won and one that lost, their joint region, and the rate of exchange';

CREATE FUNCTION guardrail_choose(experiment text) RETURNS TABLE (
    experiment_id text,
    variant text,
    chosen boolean,
    feasible boolean,
    primary_metric text,
    primary_status text,
    primary_effect double precision,
    primary_lower double precision,
    primary_upper double precision,
    difference double precision,
    difference_lower double precision,
    difference_upper double precision,
    guardrail text,
    guardrail_effect double precision,
    guardrail_lower double precision,
    guardrail_upper double precision,
    guardrail_status text,
    frontier boolean,
    shadow_price double precision,
    shadow_lower double precision,
    shadow_upper double precision,
    reason text)
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000 ROWS 10;
COMMENT ON FUNCTION guardrail_choose(text) IS
  'the arm with the largest primary of those that won and that every guardrail is SAFE in, now: one row per arm and guardrail, with the frontier and what the guardrail costs';

CREATE FUNCTION guardrail_optimize(experiment text) RETURNS TABLE (
    experiment_id text,
    status text,
    setting double precision,
    primary_metric text,
    primary_value double precision,
    primary_lower double precision,
    primary_upper double precision,
    setting_lower double precision,
    setting_upper double precision,
    guardrail text,
    fit_p double precision,
    next_settings double precision[],
    reason text)
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000 ROWS 1;
COMMENT ON FUNCTION guardrail_optimize(text) IS
  'of arms that are settings of one number (guardrail_experiment.parameter): the setting that is best for the primary and proven to keep to every blocking guardrail';

-- rules may be restored before their experiments
ALTER TABLE guardrail_rule DISABLE TRIGGER ALL;
ALTER TABLE guardrail_rule ENABLE TRIGGER USER;
