
-- ---- verdicts -----------------------------------------------------------

CREATE SEQUENCE guardrail_check_id;
COMMENT ON SEQUENCE guardrail_check_id IS 'numbers of the checks';

CREATE TABLE guardrail_check_log (
    check_id bigint NOT NULL,
    arm_no integer NOT NULL,
    checked_at timestamptz NOT NULL,
    plan_version integer,
    @columns error@,
    look_no integer,
    @columns verdict@,
    @columns cannibalization@,
    @columns verdict_0.3.0@,
    @columns effort_0.3.0@,
    PRIMARY KEY (check_id, arm_no)
);
@comments guardrail_check_log check error verdict cannibalization verdict_0.3.0 effort_0.3.0@
COMMENT ON COLUMN guardrail_check_log.arm_no IS 'number of the row in its check';
COMMENT ON COLUMN guardrail_check_log.look_no IS 'number of the look under group_sequential, from 1; 1 under fixed if the check decides; NULL: no look';
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
    @columns result_key result result_0.3.0@,
    samples bytea,
    PRIMARY KEY (check_id, variant, metric)
);
ALTER TABLE guardrail_result_log ALTER experiment_id SET NOT NULL;
CREATE INDEX guardrail_result_log_arm ON guardrail_result_log (experiment_id, variant, metric, check_id);
@comments guardrail_result_log check result_key result result_0.3.0@
COMMENT ON COLUMN guardrail_result_log.n_compared IS 'number of units of both variants in the tests';
COMMENT ON COLUMN guardrail_result_log.look_no IS 'number of the look under group_sequential, from 1; 1 under fixed if the check decides; NULL: no look';
COMMENT ON COLUMN guardrail_result_log.fingerprint IS 'hash of everything in the plan that the result depends on';
COMMENT ON COLUMN guardrail_result_log.breach_check IS 'check_id of the check with the smallest p_breach so far; NULL: there is none';
COMMENT ON COLUMN guardrail_result_log.safe_check IS 'check_id of the check with the smallest p_safe so far; NULL: there is none';
COMMENT ON COLUMN guardrail_result_log.goal_check IS 'check_id of the check with the smallest p_value so far; NULL: there is none';
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
COMMENT ON COLUMN guardrail_look_state.experiment_id IS 'identifier of the experiment, as in guardrail_experiment';
COMMENT ON COLUMN guardrail_look_state.kind IS 'test that the bounds belong to: 0 breach, 1 safety, 2 primary and secondary metrics';
COMMENT ON COLUMN guardrail_look_state.level IS 'level of the test, 0 to 1: one-sided, or two-sided for primary and secondary metrics';
COMMENT ON COLUMN guardrail_look_state.plan_version IS 'version of the plan that the looks belong to';
COMMENT ON COLUMN guardrail_look_state.looks IS 'number of looks so far';
COMMENT ON COLUMN guardrail_look_state.bounds IS 'z bound of each look, the first look first';
COMMENT ON COLUMN guardrail_look_state.state IS 'density from which the next bound is computed, and a checksum of the row';

CREATE TRIGGER guardrail_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON guardrail_check_log
  FOR EACH STATEMENT EXECUTE FUNCTION guardrail_append_only();
CREATE TRIGGER guardrail_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON guardrail_result_log
  FOR EACH STATEMENT EXECUTE FUNCTION guardrail_append_only();

CREATE VIEW guardrail_verdict AS
  SELECT @fields l verdict@,
    @fields l error check cannibalization verdict_0.3.0@
  @last guardrail_check_log@;
COMMENT ON VIEW guardrail_verdict IS 'the last recorded check: one row per experiment and treatment variant';
@comments guardrail_verdict check error verdict cannibalization verdict_0.3.0@

CREATE VIEW guardrail_result AS
  SELECT @fields l result_key result@,
    @fields l check result_0.3.0@
  @last guardrail_result_log@;
COMMENT ON VIEW guardrail_result IS 'the last recorded check: one row per experiment, treatment variant and metric';
@comments guardrail_result check result_key result result_0.3.0@

CREATE FUNCTION guardrail_evaluate(experiment text) RETURNS TABLE (
    @columns result_key result result_0.3.0@)
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000 ROWS 10;
COMMENT ON FUNCTION guardrail_evaluate(text) IS
  'evaluates an experiment now; returns one row per treatment variant and metric; records nothing';

CREATE FUNCTION guardrail_decide(experiment text) RETURNS TABLE (
    @columns verdict verdict_0.3.0@)
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
  'evaluates one experiment, or all running experiments, records the verdicts, notifies channel guardrail of changed verdicts, and ends with an error if a check failed';

CREATE FUNCTION guardrail_launch(experiment text, unseen boolean DEFAULT false) RETURNS text
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION guardrail_launch(text, boolean) IS
  'launches a draft: checks the whole plan, registers it in guardrail_plan, and freezes it; with unseen, also if the events have other names than the plan; returns a line that says what was launched and which variants were seen';
CREATE FUNCTION guardrail_stop(experiment text) RETURNS text
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION guardrail_stop(text) IS
  'ends a running experiment and records a last check; returns a line that says what the check found';
CREATE FUNCTION guardrail_assert_shippable(experiment text, variant text, newer_than interval DEFAULT '1 day') RETURNS void
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION guardrail_assert_shippable(text, text, interval) IS
  'raises an error unless the recorded verdict is SHIP and newer than the interval; for deploy jobs';

CREATE FUNCTION guardrail_assert_shippable(experiment text, newer_than interval DEFAULT '1 day') RETURNS void
  AS 'MODULE_PATHNAME', 'guardrail_assert_shippable_only' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION guardrail_assert_shippable(text, interval) IS
  'the same for the only treatment variant of an experiment; an error if it has several';

-- Everybody may check what they own; the procedure itself refuses the rest to roles that have no grant of their own. Both
-- statements leave the entries in the order in which an upgrade leaves them.
REVOKE EXECUTE ON PROCEDURE guardrail_check(text) FROM PUBLIC;
GRANT EXECUTE ON PROCEDURE guardrail_check(text) TO PUBLIC;

-- ---- dump and restore ---------------------------------------------------

-- A row that names a temporary table or an index is left out: the name does not exist when the row is restored, and the
-- COPY of all experiments would fail. Names of this schema do not stand here: the schema may be renamed.
SELECT pg_catalog.pg_extension_config_dump('guardrail_experiment', 'WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c'
  ' WHERE c.oid IN (events::pg_catalog.oid, exposures::pg_catalog.oid) AND (c.relpersistence = ''t'' OR c.relkind IN (''i'', ''I'', ''t'')))');
SELECT pg_catalog.pg_extension_config_dump('guardrail_rule', '');
SELECT pg_catalog.pg_extension_config_dump('guardrail_check_id', '');
SELECT pg_catalog.pg_extension_config_dump('guardrail_check_log', '');
SELECT pg_catalog.pg_extension_config_dump('guardrail_result_log', '');
