
-- ---- looking more than once, and planning --------------------------------

CREATE FUNCTION guardrail_sequential(estimate double precision, se double precision, n double precision,
    planned_n double precision DEFAULT 5000, alpha double precision DEFAULT 0.05, sides integer DEFAULT 2,
    OUT lower double precision, OUT upper double precision, OUT log_e double precision, OUT p_value double precision)
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_sequential(double precision, double precision, double precision, double precision, double precision, integer) IS
  'anytime-valid bounds, log e-value and p-value min(1, 1/e) of an estimate over n units, tightest at planned_n units; sides 2 tests effect = 0, sides 1 tests effect <= 0: only a lower bound, and large estimates are evidence (change the sign to test the other direction)';

CREATE FUNCTION guardrail_spending_bounds(fractions double precision[], alpha double precision DEFAULT 0.05,
    sides integer DEFAULT 2, spending text DEFAULT 'obrien_fleming', phi double precision DEFAULT 1)
  RETURNS double precision[]
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_spending_bounds(double precision[], double precision, integer, text, double precision) IS
  'returns the z bounds of looks at increasing information fractions, by Lan and DeMets; spending: obrien_fleming, pocock, or power (alpha t^phi); Infinity if a look may not spend any error yet';

CREATE FUNCTION guardrail_srm_sequential(counts bigint[], shares double precision[] DEFAULT NULL,
    prior double precision DEFAULT 10000, OUT log_e double precision, OUT p_value double precision)
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_srm_sequential(bigint[], double precision[], double precision) IS
  'anytime-valid test of unit counts against the planned shares (NULL: equal shares): log Bayes factor, half of it against Dirichlet(prior * shares) and half against the uniform distribution, and p-value min(1, 1/e)';

CREATE FUNCTION guardrail_sample_size(sd double precision, effect double precision, margin double precision DEFAULT 0,
    alpha double precision DEFAULT 0.05, power double precision DEFAULT 0.8, sides integer DEFAULT 2,
    ratio double precision DEFAULT 1)
  RETURNS double precision
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_sample_size(double precision, double precision, double precision, double precision, double precision, integer, double precision) IS
  'returns the number of control units (round up) needed to find an effect beyond the margin with the given power, by normal theory; ratio: units of treatment per unit of control';

CREATE FUNCTION guardrail_mde(sd double precision, n_t double precision, n_c double precision,
    alpha double precision DEFAULT 0.05, power double precision DEFAULT 0.8, sides integer DEFAULT 2)
  RETURNS double precision
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_mde(double precision, double precision, double precision, double precision, double precision, integer) IS
  'returns the minimum detectable effect beyond the margin with the given numbers of units in treatment and control: the inverse of guardrail_sample_size()';
