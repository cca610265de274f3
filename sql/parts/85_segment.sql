
-- ---- segments -------------------------------------------------------------

CREATE FUNCTION _guardrail_segment_value(value text, most integer) RETURNS text
  AS 'MODULE_PATHNAME', 'guardrail_segment_value' LANGUAGE C STABLE PARALLEL RESTRICTED;
COMMENT ON FUNCTION _guardrail_segment_value(text, integer) IS
  'returns "v" and the value while at most the given number of different values has been seen, and "o" after that; used in the statements that guardrail generates';

-- units of many groups at once must fit: one that spilled would leave the others room to outgrow what they share
CREATE AGGREGATE _guardrail_collect_segment(text, text[], integer, "any", "any", VARIADIC "any") (
  SFUNC = _guardrail_collect_units_add, STYPE = internal, SSPACE = 65536,
  FINALFUNC = _guardrail_collect_final, FINALFUNC_MODIFY = READ_WRITE,
  COMBINEFUNC = _guardrail_collect_combine, SERIALFUNC = _guardrail_collect_serialize,
  DESERIALFUNC = _guardrail_collect_deserialize, PARALLEL = SAFE);
COMMENT ON AGGREGATE _guardrail_collect_segment(text, text[], integer, "any", "any", "any") IS
  'variant of _guardrail_collect() for many groups, each with a part of the units; called by guardrail_evaluate()';

CREATE FUNCTION _guardrail_segment_check() RETURNS trigger AS 'MODULE_PATHNAME', 'guardrail_segment_check' LANGUAGE C;
COMMENT ON FUNCTION _guardrail_segment_check() IS 'trigger function: rejects segments that cannot be judged';
CREATE TRIGGER guardrail_segment_check BEFORE INSERT OR UPDATE ON guardrail_experiment
  FOR EACH ROW EXECUTE FUNCTION _guardrail_segment_check();
CREATE TRIGGER guardrail_segment_check BEFORE INSERT OR UPDATE ON guardrail_rule
  FOR EACH ROW EXECUTE FUNCTION _guardrail_segment_check();

CREATE FUNCTION guardrail_segment_evaluate(experiment text) RETURNS TABLE (
    @columns result_key segment result result_0.3.0@)
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000 ROWS 50;
COMMENT ON FUNCTION guardrail_segment_evaluate(text) IS
  'evaluates the segments of an experiment now; returns one row per segment, value, treatment variant and guardrail; records nothing';

CREATE TABLE guardrail_segment_log (
    check_id bigint NOT NULL,
    row_no integer NOT NULL,
    checked_at timestamptz NOT NULL,
    plan_version integer,
    fingerprint bigint,
    @columns result_key segment result result_0.3.0@,
    PRIMARY KEY (check_id, row_no)
);
ALTER TABLE guardrail_segment_log ALTER experiment_id SET NOT NULL, ALTER segment SET NOT NULL;
CREATE INDEX guardrail_segment_log_experiment ON guardrail_segment_log (experiment_id, check_id);
COMMENT ON TABLE guardrail_segment_log IS
  'the segments of every check ever recorded, one row per segment, value, treatment variant and guardrail; append-only';
@comments guardrail_segment_log check result_key segment result result_0.3.0@
COMMENT ON COLUMN guardrail_segment_log.row_no IS 'number of the row in its check, from 1';
COMMENT ON COLUMN guardrail_segment_log.fingerprint IS 'hash of everything in the plan that the result depends on; 0: the segment was not tested';
COMMENT ON COLUMN guardrail_segment_log.p_breach_adjusted IS 'p-value after e-BH or BH over all these tests; an alarm if at most alpha';
CREATE TRIGGER guardrail_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON guardrail_segment_log
  FOR EACH STATEMENT EXECUTE FUNCTION _guardrail_append_only();

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
  'inputs of the segments of a check, stored if one raised an alarm or a rule has segment_veto; see guardrail_check_input; append-only';
COMMENT ON COLUMN guardrail_segment_input.check_id IS 'number of the check';
COMMENT ON COLUMN guardrail_segment_input.segment_no IS 'number of the segment in its check, from 0';
COMMENT ON COLUMN guardrail_segment_input.value IS 'value of the expression as text; NULL: the units whose value is NULL';
COMMENT ON COLUMN guardrail_segment_input.collection IS 'counts, moments and histograms per variant; NULL: the expression was not judged';
COMMENT ON COLUMN guardrail_segment_input.expression IS 'position of the expression in guardrail_experiment.segments, from 0';
COMMENT ON COLUMN guardrail_segment_input.why IS 'reason why the expression was not judged; NULL: it was';
COMMENT ON COLUMN guardrail_segment_input.past IS 'alarms of earlier checks';
CREATE TRIGGER guardrail_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON guardrail_segment_input
  FOR EACH STATEMENT EXECUTE FUNCTION _guardrail_append_only();

CREATE VIEW guardrail_segment_result AS
  SELECT @finite l result_key segment result@,
    @fields l check result_0.3.0@, e.state
  @last guardrail_segment_log@
  ORDER BY e.state = 'stopped', l.experiment_id COLLATE "C", l.row_no;
COMMENT ON VIEW guardrail_segment_result IS
  'the last recorded check: one row per experiment, segment, value, treatment variant and guardrail; running experiments first';
@notes guardrail_segment_result check result_key segment result result_0.3.0 state@
COMMENT ON COLUMN guardrail_segment_result.p_breach_adjusted IS 'p-value after e-BH or BH over all these tests; an alarm if at most alpha';

SELECT pg_catalog.pg_extension_config_dump('guardrail_segment_log', '');
SELECT pg_catalog.pg_extension_config_dump('guardrail_segment_input', '');
