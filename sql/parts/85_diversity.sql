-- ---- diversity of a unit's events ------------------------------------------

CREATE FUNCTION _guardrail_category("any") RETURNS double precision
  AS 'MODULE_PATHNAME', 'guardrail_category' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION _guardrail_category("any") IS
  'returns 53 bits of the hash of a value of any hashable type, as a number; used in the statements that guardrail generates';
CREATE FUNCTION _guardrail_distinct(categories double precision[]) RETURNS double precision
  AS 'MODULE_PATHNAME', 'guardrail_distinct' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION _guardrail_distinct(double precision[]) IS
  'counts the different numbers in an array; used in the statements that guardrail generates';
CREATE FUNCTION _guardrail_entropy(categories double precision[]) RETURNS double precision
  AS 'MODULE_PATHNAME', 'guardrail_entropy' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION _guardrail_entropy(double precision[]) IS
  'returns the Shannon entropy, in bits, of the frequencies of an array''s numbers; used in the statements that guardrail generates';
