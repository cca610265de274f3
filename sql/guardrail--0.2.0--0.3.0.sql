-- guardrail: from 0.2.0 to 0.3.0.
\echo Use "ALTER EXTENSION guardrail UPDATE TO '0.3.0'" to load this file. \quit

-- Copyright (C) 2026 the guardrail developers. GPL-3.0-or-later.

-- ---- UNMEASURED and WATCH -------------------------------------------------

ALTER TABLE guardrail_check_log ADD COLUMN unmeasured integer, ADD COLUMN watch integer;
ALTER TABLE guardrail_result_log ADD COLUMN watch boolean, ADD COLUMN samples bytea;
COMMENT ON COLUMN guardrail_result_log.watch IS 'nothing is proven, but a check written by hand would block';
COMMENT ON COLUMN guardrail_result_log.samples IS 'what a check that set a least p-value saw in both arms; NULL in other checks';
ALTER TABLE guardrail_segment_log ADD COLUMN watch boolean;

CREATE OR REPLACE VIEW guardrail_verdict AS
  SELECT l.experiment_id, l.variant, l.verdict, l.status, l.reason, l.primary_metric, l.primary_status,
    l.primary_effect, l.primary_lower, l.primary_upper, l.guardrails, l.breached, l.safe, l.undecided,
    l.no_data, l.srm_p, l.crossover_share, l.crossover_units, l.units_control, l.units_treatment,
    l.events_control, l.events_treatment, l.null_unit_rows, l.unknown_arm_rows, l.monitoring, l.information,
    l.error, l.checked_at, l.check_id, l.plan_version, l.cannibalization,
    l.unmeasured, l.watch
  FROM guardrail_experiment e
  CROSS JOIN LATERAL (
    SELECT m.check_id FROM guardrail_check_log m
    WHERE m.experiment_id = e.experiment_id AND m.checked_at >= e.launched_at
    ORDER BY m.check_id DESC LIMIT 1) last
  JOIN guardrail_check_log l ON l.check_id = last.check_id AND l.experiment_id = e.experiment_id;
CREATE OR REPLACE VIEW guardrail_result AS
  SELECT l.experiment_id, l.variant, l.metric, l.role, l.severity, l.kind, l.north_star, l.control_value,
    l.treatment_value, l.control_se, l.treatment_se, l.effect, l.effect_lower, l.effect_upper, l.limit_kind,
    l.limit_value, l.evidence, l.alpha, l.p_breach, l.p_breach_adjusted, l.p_safe, l.p_value,
    l.p_value_adjusted, l.status, l.reason, l.units_control, l.units_treatment, l.events_control,
    l.events_treatment, l.units_needed, l.display_unit,
    l.checked_at, l.check_id, l.plan_version, l.watch
  FROM guardrail_experiment e
  CROSS JOIN LATERAL (
    SELECT m.check_id FROM guardrail_check_log m
    WHERE m.experiment_id = e.experiment_id AND m.checked_at >= e.launched_at
    ORDER BY m.check_id DESC LIMIT 1) last
  JOIN guardrail_result_log l ON l.check_id = last.check_id AND l.experiment_id = e.experiment_id;
CREATE OR REPLACE VIEW guardrail_segment_result AS
  SELECT l.experiment_id, l.variant, l.metric, l.segment, l.value, l.segment_veto, l.log_e, l.tests, l.role, l.severity,
    l.kind, l.north_star, l.control_value, l.treatment_value, l.control_se, l.treatment_se, l.effect, l.effect_lower,
    l.effect_upper, l.limit_kind, l.limit_value, l.evidence, l.alpha, l.p_breach, l.p_breach_adjusted, l.p_safe,
    l.p_value, l.p_value_adjusted, l.status, l.reason, l.units_control, l.units_treatment, l.events_control,
    l.events_treatment, l.units_needed, l.display_unit, l.checked_at, l.check_id, l.plan_version,
    l.watch
  FROM guardrail_experiment e
  CROSS JOIN LATERAL (
    SELECT m.check_id FROM guardrail_check_log m
    WHERE m.experiment_id = e.experiment_id AND m.checked_at >= e.launched_at
    ORDER BY m.check_id DESC LIMIT 1) last
  JOIN guardrail_segment_log l ON l.check_id = last.check_id AND l.experiment_id = e.experiment_id;

DROP FUNCTION guardrail_evaluate(text);
CREATE FUNCTION guardrail_evaluate(experiment text) RETURNS TABLE (
    experiment_id text,
    variant text,
    metric text,
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
    watch boolean)
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000 ROWS 10;
COMMENT ON FUNCTION guardrail_evaluate(text) IS
  'evaluate an experiment now: one row per treatment arm and metric; records nothing';

DROP FUNCTION guardrail_decide(text);
CREATE FUNCTION guardrail_decide(experiment text) RETURNS TABLE (
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
    unmeasured integer,
    watch integer)
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000 ROWS 2;
COMMENT ON FUNCTION guardrail_decide(text) IS
  'the verdict on an experiment now: one row per treatment arm, SHIP, HOLD, BLOCK or INVALID; records nothing';

DROP FUNCTION guardrail_replay(bigint);
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
    unmeasured integer,
    watch integer,
    identical boolean,
    differences text)
  AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL UNSAFE COST 10000 ROWS 2;
COMMENT ON FUNCTION guardrail_replay(bigint) IS
  'decide a recorded check again from its stored summaries, and compare with what was recorded, verdict and results, bit for bit';

DROP FUNCTION guardrail_segment_evaluate(text);
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
    display_unit text,
    watch boolean)
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000 ROWS 50;
COMMENT ON FUNCTION guardrail_segment_evaluate(text) IS
  'evaluate the segments of an experiment now: one row per segment, value, treatment arm and guardrail; records nothing';

COMMENT ON FUNCTION guardrail_release_gate() IS
  'trigger for a table of releases: refuses a variant while its recorded verdict is BLOCK or INVALID, its status UNMEASURED or WATCH, its last check failed or is old; in mode ship all but a recent SHIP';
COMMENT ON FUNCTION guardrail_status(text, text) IS
  'status now of an experiment''s worst arm, or of the arm named: INVALID, BLOCK, NO DATA, UNMEASURED, WATCH or OK';

-- ---- quantiles of tied values ----------------------------------------------

CREATE FUNCTION guardrail_ties_add(internal, double precision) RETURNS internal
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_ties_add(internal, double precision) IS 'transition of guardrail_ties';
CREATE FUNCTION guardrail_ties_combine(internal, internal) RETURNS internal
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_ties_combine(internal, internal) IS 'merge two states of guardrail_ties';
CREATE FUNCTION guardrail_ties_serialize(internal) RETURNS bytea
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_ties_serialize(internal) IS 'state of guardrail_ties as bytes, and its result';
CREATE FUNCTION guardrail_ties_deserialize(bytea, internal) RETURNS internal
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_ties_deserialize(bytea, internal) IS 'state of guardrail_ties from bytes';

CREATE AGGREGATE guardrail_ties(double precision) (
  SFUNC = guardrail_ties_add, STYPE = internal, SSPACE = 65536, FINALFUNC = guardrail_ties_serialize,
  COMBINEFUNC = guardrail_ties_combine, SERIALFUNC = guardrail_ties_serialize,
  DESERIALFUNC = guardrail_ties_deserialize, PARALLEL = SAFE);
COMMENT ON AGGREGATE guardrail_ties(double precision) IS
  'the least and the greatest value of each bin of a histogram, and how many have it; used in the statements that guardrail writes';

-- what version 0.1.0 launched, before plans were registered, is registered as it is now; by the newest script, since the
-- functions are the library's
ALTER TABLE guardrail_experiment DISABLE TRIGGER USER;
WITH registered AS (
  SELECT experiment_id, guardrail_plan_register(experiment_id, guardrail_plan_body(experiment_id), plan_version, session_user::text,
    'launched before plans were registered'::text, true) AS plan_hash
  FROM guardrail_experiment WHERE state <> 'draft' AND plan_hash IS NULL)
UPDATE guardrail_experiment e SET plan_hash = r.plan_hash FROM registered r WHERE r.experiment_id = e.experiment_id;
ALTER TABLE guardrail_experiment ENABLE TRIGGER USER;

-- ---- stored slices that are whole or are not used ---------------------------

-- what an earlier version stored is computed again by the next check
TRUNCATE guardrail_watermark, guardrail_slice;
ALTER TABLE guardrail_watermark ADD seals bigint[], ADD units bigint, ADD checksum bigint;
COMMENT ON COLUMN guardrail_watermark.seals IS 'one random number for each slice, the oldest first: the checksums in the rows of the slice depend on it';
COMMENT ON COLUMN guardrail_watermark.units IS 'the number of units in all slices; a unit counts once for each slice that has it';
COMMENT ON COLUMN guardrail_watermark.checksum IS 'checksum of this row and of the ranges of the slices; slices that do not fit it are computed again';
-- a restore may load these tables in any order; what goes with the rows of the watermark must go on
ALTER TABLE guardrail_slice DROP CONSTRAINT guardrail_slice_experiment_id_fkey;
ALTER TABLE guardrail_watermark DISABLE TRIGGER ALL;
ALTER TABLE guardrail_slice ADD CONSTRAINT guardrail_slice_experiment_id_fkey FOREIGN KEY (experiment_id)
  REFERENCES guardrail_watermark ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE guardrail_slice DISABLE TRIGGER ALL;

-- an experiment over a temporary table, or over an index, is left out of dumps, where it would fail the others
SELECT pg_catalog.pg_extension_config_dump('guardrail_experiment', 'WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c'
  ' WHERE c.oid IN (events::pg_catalog.oid, exposures::pg_catalog.oid) AND (c.relpersistence = ''t'' OR c.relkind IN (''i'', ''I'', ''t'')))');

ALTER TABLE guardrail_check_input ADD checksum bigint;
COMMENT ON COLUMN guardrail_check_input.checksum IS 'checksum of the row and of its rows in guardrail_segment_input; guardrail_replay() refuses what does not fit it';
