
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
  past bytea NOT NULL,
  checksum bigint,
  failures text[],
  surplus_arms boolean,
  decided text,
  unknown_arms text
);
-- a tenth of the time that pglz takes, where the server has it
DO $$ BEGIN
  ALTER TABLE guardrail_check_input ALTER collection SET COMPRESSION lz4;
EXCEPTION WHEN feature_not_supported THEN NULL;
END $$;
COMMENT ON TABLE guardrail_check_input IS
  'inputs of each check: summaries of the events, and the state that earlier checks left; guardrail_replay() repeats the decision from them; append-only';
COMMENT ON COLUMN guardrail_check_input.check_id IS 'number of the check';
COMMENT ON COLUMN guardrail_check_input.experiment_id IS 'identifier of the experiment, as in guardrail_experiment';
COMMENT ON COLUMN guardrail_check_input.plan_version IS 'version of the plan in force at the check';
COMMENT ON COLUMN guardrail_check_input.checked_at IS 'time of the check';
COMMENT ON COLUMN guardrail_check_input.state IS 'state of the experiment at the check: draft, running or stopped';
COMMENT ON COLUMN guardrail_check_input.extension_version IS 'version of the extension that made the check';
COMMENT ON COLUMN guardrail_check_input.metrics IS 'number of each rule in the collection, by role and name of the rule';
COMMENT ON COLUMN guardrail_check_input.fingerprints IS 'for each rule, hash of everything in the plan that its result depends on';
COMMENT ON COLUMN guardrail_check_input.ended IS 'true if ends_at had passed';
COMMENT ON COLUMN guardrail_check_input.snapshot IS 'transactions whose events the check saw, as of pg_current_snapshot()';
COMMENT ON COLUMN guardrail_check_input.spec IS 'description of the collection: what was collected, metric by metric';
COMMENT ON COLUMN guardrail_check_input.collection IS 'counts, moments and histograms per variant';
COMMENT ON COLUMN guardrail_check_input.past IS 'looks, smallest p-values and latched breaches of earlier checks';
COMMENT ON COLUMN guardrail_check_input.failures IS 'for each rule, why its expressions could not be evaluated; NULL: they were';
COMMENT ON COLUMN guardrail_check_input.surplus_arms IS 'true if the events had too many variant names; the rows of the rarest were left out';
COMMENT ON COLUMN guardrail_check_input.unknown_arms IS 'variants that are not planned, with their numbers of rows, where the reasons name them; NULL: they name none';
COMMENT ON COLUMN guardrail_check_input.decided IS 'the check that decided a fixed test before this one; NULL: there was none';
COMMENT ON COLUMN guardrail_check_input.checksum IS 'checksum of the row and of its rows in guardrail_segment_input; guardrail_replay() refuses what does not fit it';
CREATE TRIGGER guardrail_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON guardrail_check_input
  FOR EACH STATEMENT EXECUTE FUNCTION guardrail_append_only();

CREATE FUNCTION guardrail_replay(check_id bigint) RETURNS TABLE (
    @columns verdict verdict_0.3.0@,
    identical boolean,
    differences text)
  AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL UNSAFE COST 10000 ROWS 2;
COMMENT ON FUNCTION guardrail_replay(bigint) IS
  'repeats the decision of a recorded check from its stored summaries, and compares the verdict and the results with the recorded ones, bit for bit';

CREATE FUNCTION guardrail_prune(keep interval) RETURNS bigint
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION guardrail_prune(interval) IS
  'removes checks older than the interval, except the first and last check of each variant, those around a change of its verdict, and those that current plans depend on; returns the number of checks removed';
REVOKE EXECUTE ON FUNCTION guardrail_prune(interval) FROM PUBLIC;

CREATE FUNCTION guardrail_release_gate() RETURNS trigger AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION guardrail_release_gate() IS
  'trigger function for a table of releases: rejects a variant if its recorded verdict is BLOCK or INVALID, its status is UNMEASURED or WATCH, or its last check failed or is too old; in mode ship it requires a recent SHIP';
REVOKE EXECUTE ON FUNCTION guardrail_release_gate() FROM PUBLIC;

SELECT pg_catalog.pg_extension_config_dump('guardrail_check_input', '');
