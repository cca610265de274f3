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
