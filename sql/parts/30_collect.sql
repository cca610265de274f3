
-- ---- the scan -----------------------------------------------------------

CREATE FUNCTION _guardrail_batch("any") RETURNS integer
  AS 'MODULE_PATHNAME', 'guardrail_batch' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION _guardrail_batch("any") IS
  'returns the batch, of 128, that a unit belongs to by its hash; used in the statements that guardrail generates';
CREATE FUNCTION _guardrail_number(numeric) RETURNS double precision
  AS 'MODULE_PATHNAME', 'guardrail_number' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION _guardrail_number(numeric) IS
  'converts numeric to double precision, to infinity if it is out of range; used in the statements that guardrail generates';

CREATE FUNCTION _guardrail_collect_add(internal, text, text[], integer, "any", "any", VARIADIC "any") RETURNS internal
  AS 'MODULE_PATHNAME', 'guardrail_collect_add' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION _guardrail_collect_add(internal, text, text[], integer, "any", "any", "any") IS
  'transition function of _guardrail_collect()';
CREATE FUNCTION _guardrail_collect_combine(internal, internal) RETURNS internal
  AS 'MODULE_PATHNAME', 'guardrail_collect_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION _guardrail_collect_combine(internal, internal) IS 'merges two states of _guardrail_collect()';
CREATE FUNCTION _guardrail_collect_serialize(internal) RETURNS bytea
  AS 'MODULE_PATHNAME', 'guardrail_collect_serialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION _guardrail_collect_serialize(internal) IS 'converts a state of _guardrail_collect() to bytes';
CREATE FUNCTION _guardrail_collect_deserialize(bytea, internal) RETURNS internal
  AS 'MODULE_PATHNAME', 'guardrail_collect_deserialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION _guardrail_collect_deserialize(bytea, internal) IS 'reads a state of _guardrail_collect() from bytes';
CREATE FUNCTION _guardrail_collect_final(internal) RETURNS bytea
  AS 'MODULE_PATHNAME', 'guardrail_collect_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION _guardrail_collect_final(internal) IS 'final function of _guardrail_collect()';

CREATE AGGREGATE _guardrail_collect(text, text[], integer, "any", "any", VARIADIC "any") (
  SFUNC = _guardrail_collect_add, STYPE = internal, SSPACE = 1048576,
  FINALFUNC = _guardrail_collect_final, FINALFUNC_MODIFY = READ_WRITE,
  COMBINEFUNC = _guardrail_collect_combine, SERIALFUNC = _guardrail_collect_serialize,
  DESERIALFUNC = _guardrail_collect_deserialize, PARALLEL = SAFE);
COMMENT ON AGGREGATE _guardrail_collect(text, text[], integer, "any", "any", "any") IS
  'collects the metrics of an experiment in one pass over its events; called by guardrail_evaluate()';

CREATE FUNCTION _guardrail_ties_add(internal, double precision) RETURNS internal
  AS 'MODULE_PATHNAME', 'guardrail_ties_add' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION _guardrail_ties_add(internal, double precision) IS 'transition function of _guardrail_ties()';
CREATE FUNCTION _guardrail_ties_combine(internal, internal) RETURNS internal
  AS 'MODULE_PATHNAME', 'guardrail_ties_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION _guardrail_ties_combine(internal, internal) IS 'merges two states of _guardrail_ties()';
CREATE FUNCTION _guardrail_ties_serialize(internal) RETURNS bytea
  AS 'MODULE_PATHNAME', 'guardrail_ties_serialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION _guardrail_ties_serialize(internal) IS 'converts a state of _guardrail_ties() to bytes; also its final function';
CREATE FUNCTION _guardrail_ties_deserialize(bytea, internal) RETURNS internal
  AS 'MODULE_PATHNAME', 'guardrail_ties_deserialize' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION _guardrail_ties_deserialize(bytea, internal) IS 'reads a state of _guardrail_ties() from bytes';

CREATE AGGREGATE _guardrail_ties(double precision) (
  SFUNC = _guardrail_ties_add, STYPE = internal, SSPACE = 65536, FINALFUNC = _guardrail_ties_serialize,
  COMBINEFUNC = _guardrail_ties_combine, SERIALFUNC = _guardrail_ties_serialize,
  DESERIALFUNC = _guardrail_ties_deserialize, PARALLEL = SAFE);
COMMENT ON AGGREGATE _guardrail_ties(double precision) IS
  'finds the smallest and largest value in each bin of a histogram, and counts their occurrences; used in the statements that guardrail generates';
