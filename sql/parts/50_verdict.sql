
-- ---- verdicts -----------------------------------------------------------

CREATE SEQUENCE guardrail_check_id;
COMMENT ON SEQUENCE guardrail_check_id IS 'numbers of the checks';

CREATE TABLE guardrail_check_log (
    check_id bigint NOT NULL,
    arm_no integer NOT NULL,
    checked_at timestamptz NOT NULL,
    plan_version integer,
    error text,
    look_no integer,
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
    cannibalization text,
    unmeasured integer,
    watch integer,
    PRIMARY KEY (check_id, arm_no)
);
COMMENT ON COLUMN guardrail_check_log.cannibalization IS 'the metrics that won and those that lost; NULL unless there are both';
ALTER TABLE guardrail_check_log ALTER experiment_id SET NOT NULL, ALTER verdict SET NOT NULL;
CREATE INDEX guardrail_check_log_experiment ON guardrail_check_log (experiment_id, check_id DESC);
CREATE INDEX guardrail_check_log_look ON guardrail_check_log (experiment_id, plan_version, look_no) WHERE look_no IS NOT NULL;
COMMENT ON TABLE guardrail_check_log IS
  'every check ever recorded, one row per treatment variant; append-only; column error holds the reason why a check failed';

CREATE TABLE guardrail_result_log (
    check_id bigint NOT NULL,
    checked_at timestamptz NOT NULL,
    plan_version integer,
    n_compared double precision,
    look_no integer,
    fingerprint bigint,
    breach_check bigint,
    safe_check bigint,
    goal_check bigint,
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
    watch boolean,
    samples bytea,
    PRIMARY KEY (check_id, variant, metric)
);
ALTER TABLE guardrail_result_log ALTER experiment_id SET NOT NULL;
CREATE INDEX guardrail_result_log_arm ON guardrail_result_log (experiment_id, variant, metric, check_id);
COMMENT ON COLUMN guardrail_result_log.watch IS 'true if nothing is proven but a check written by hand would block';
COMMENT ON COLUMN guardrail_result_log.samples IS
  'data of both variants, as seen by a check that set a smallest p-value; NULL in other checks';
COMMENT ON TABLE guardrail_result_log IS 'the metrics of every check ever recorded, one row per treatment variant and metric; append-only';

CREATE TABLE guardrail_look_state (
    experiment_id text NOT NULL,
    kind integer NOT NULL,
    level double precision NOT NULL,
    plan_version integer NOT NULL,
    looks integer NOT NULL,
    bounds double precision[] NOT NULL,
    state bytea NOT NULL,
    PRIMARY KEY (experiment_id, kind, level)
);
COMMENT ON TABLE guardrail_look_state IS
  'cache of the bounds of earlier looks under group_sequential, so that the next look costs one step; computed again if missing';

CREATE TRIGGER guardrail_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON guardrail_check_log
  FOR EACH STATEMENT EXECUTE FUNCTION guardrail_append_only();
CREATE TRIGGER guardrail_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON guardrail_result_log
  FOR EACH STATEMENT EXECUTE FUNCTION guardrail_append_only();

CREATE VIEW guardrail_verdict AS
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
COMMENT ON VIEW guardrail_verdict IS 'the last recorded check: one row per experiment and treatment variant';

CREATE VIEW guardrail_result AS
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
COMMENT ON VIEW guardrail_result IS 'the last recorded check: one row per experiment, treatment variant and metric';

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
  'evaluates an experiment now; returns one row per treatment variant and metric; records nothing';

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
  'decides an experiment now; returns one row per treatment variant with the verdict SHIP, HOLD, BLOCK or INVALID; records nothing';

CREATE FUNCTION guardrail_status() RETURNS SETOF text
  AS 'MODULE_PATHNAME', 'guardrail_status_all' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000 ROWS 10;
COMMENT ON FUNCTION guardrail_status() IS 'returns the current status of every running experiment, one line per treatment variant';
CREATE FUNCTION guardrail_status(experiment text, variant text DEFAULT NULL) RETURNS text
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000;
COMMENT ON FUNCTION guardrail_status(text, text) IS
  'returns the current status of the worst variant of an experiment, or of the named variant: INVALID, BLOCK, NO DATA, UNMEASURED, WATCH or OK';
CREATE FUNCTION guardrail_explain(experiment text) RETURNS text
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000;
COMMENT ON FUNCTION guardrail_explain(text) IS
  'explains a verdict: prints the SQL statement, the counts, and the formulas with their numbers';

CREATE PROCEDURE guardrail_check(experiment text DEFAULT NULL)
  AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON PROCEDURE guardrail_check(text) IS
  'evaluates one experiment, or all running experiments, records the verdicts, and notifies channel guardrail of changed verdicts';

CREATE FUNCTION guardrail_launch(experiment text) RETURNS void
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION guardrail_launch(text) IS 'launches a draft: checks the whole plan, registers it in guardrail_plan, and freezes it';
CREATE FUNCTION guardrail_stop(experiment text) RETURNS void
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION guardrail_stop(text) IS 'ends a running experiment';
CREATE FUNCTION guardrail_assert_shippable(experiment text, variant text, newer_than interval DEFAULT '1 day') RETURNS void
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION guardrail_assert_shippable(text, text, interval) IS
  'raises an error unless the recorded verdict is SHIP and newer than the interval; for deploy jobs';

-- who may record checks is granted, not given
REVOKE EXECUTE ON PROCEDURE guardrail_check(text) FROM PUBLIC;

-- ---- dump and restore ---------------------------------------------------

-- A row that names a temporary table or an index is left out: the name does not exist when the row is restored, and the
-- COPY of all experiments would fail. Names of this schema do not stand here: the schema may be renamed.
SELECT pg_catalog.pg_extension_config_dump('guardrail_experiment', 'WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c'
  ' WHERE c.oid IN (events::pg_catalog.oid, exposures::pg_catalog.oid) AND (c.relpersistence = ''t'' OR c.relkind IN (''i'', ''I'', ''t'')))');
SELECT pg_catalog.pg_extension_config_dump('guardrail_rule', '');
SELECT pg_catalog.pg_extension_config_dump('guardrail_check_id', '');
SELECT pg_catalog.pg_extension_config_dump('guardrail_check_log', '');
SELECT pg_catalog.pg_extension_config_dump('guardrail_result_log', '');
