
-- ---- the scan -----------------------------------------------------------

CREATE FUNCTION guardrail_batch("any") RETURNS integer
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_batch("any") IS
  'returns the batch, of 128, that a unit belongs to by its hash; used in the statements that guardrail generates';
CREATE FUNCTION guardrail_number(numeric) RETURNS double precision
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_number(numeric) IS
  'converts numeric to double precision, to infinity if it is out of range; used in the statements that guardrail generates';

CREATE FUNCTION guardrail_collect_add(internal, text, text[], integer, "any", "any", VARIADIC "any") RETURNS internal
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_collect_add(internal, text, text[], integer, "any", "any", "any") IS
  'transition function of guardrail_collect()';
CREATE FUNCTION guardrail_collect_combine(internal, internal) RETURNS internal
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_collect_combine(internal, internal) IS 'merges two states of guardrail_collect()';
CREATE FUNCTION guardrail_collect_serialize(internal) RETURNS bytea
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_collect_serialize(internal) IS 'converts a state of guardrail_collect() to bytes';
CREATE FUNCTION guardrail_collect_deserialize(bytea, internal) RETURNS internal
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_collect_deserialize(bytea, internal) IS 'reads a state of guardrail_collect() from bytes';
CREATE FUNCTION guardrail_collect_final(internal) RETURNS bytea
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_collect_final(internal) IS 'final function of guardrail_collect()';

CREATE AGGREGATE guardrail_collect(text, text[], integer, "any", "any", VARIADIC "any") (
  SFUNC = guardrail_collect_add, STYPE = internal, SSPACE = 1048576,
  FINALFUNC = guardrail_collect_final, FINALFUNC_MODIFY = READ_WRITE,
  COMBINEFUNC = guardrail_collect_combine, SERIALFUNC = guardrail_collect_serialize,
  DESERIALFUNC = guardrail_collect_deserialize, PARALLEL = SAFE);
COMMENT ON AGGREGATE guardrail_collect(text, text[], integer, "any", "any", "any") IS
  'collects the metrics of an experiment in one pass over its events; called by guardrail_evaluate()';

CREATE FUNCTION guardrail_ties_add(internal, double precision) RETURNS internal
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_ties_add(internal, double precision) IS 'transition function of guardrail_ties()';
CREATE FUNCTION guardrail_ties_combine(internal, internal) RETURNS internal
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_ties_combine(internal, internal) IS 'merges two states of guardrail_ties()';
CREATE FUNCTION guardrail_ties_serialize(internal) RETURNS bytea
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_ties_serialize(internal) IS 'converts a state of guardrail_ties() to bytes; also its final function';
CREATE FUNCTION guardrail_ties_deserialize(bytea, internal) RETURNS internal
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_ties_deserialize(bytea, internal) IS 'reads a state of guardrail_ties() from bytes';

CREATE AGGREGATE guardrail_ties(double precision) (
  SFUNC = guardrail_ties_add, STYPE = internal, SSPACE = 65536, FINALFUNC = guardrail_ties_serialize,
  COMBINEFUNC = guardrail_ties_combine, SERIALFUNC = guardrail_ties_serialize,
  DESERIALFUNC = guardrail_ties_deserialize, PARALLEL = SAFE);
COMMENT ON AGGREGATE guardrail_ties(double precision) IS
  'finds the smallest and largest value in each bin of a histogram, and counts their occurrences; used in the statements that guardrail generates';
