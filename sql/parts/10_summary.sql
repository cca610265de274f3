
-- ---- summaries of units -------------------------------------------------

CREATE FUNCTION _guardrail_summary_add(guardrail_summary, double precision) RETURNS guardrail_summary
  AS 'MODULE_PATHNAME', 'guardrail_summary_add' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION _guardrail_summary_add(guardrail_summary, double precision) IS 'transition function of guardrail_summarize(x)';
CREATE FUNCTION _guardrail_summary_add(guardrail_summary, double precision, double precision) RETURNS guardrail_summary
  AS 'MODULE_PATHNAME', 'guardrail_summary_add' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION _guardrail_summary_add(guardrail_summary, double precision, double precision) IS
  'transition function of guardrail_summarize(x, y)';
CREATE FUNCTION _guardrail_summary_combine(guardrail_summary, guardrail_summary) RETURNS guardrail_summary
  AS 'MODULE_PATHNAME', 'guardrail_summary_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION _guardrail_summary_combine(guardrail_summary, guardrail_summary) IS 'merges two summaries';

CREATE AGGREGATE guardrail_summarize(x double precision) (
  SFUNC = _guardrail_summary_add, STYPE = guardrail_summary, SSPACE = 64,
  COMBINEFUNC = _guardrail_summary_combine, PARALLEL = SAFE);
COMMENT ON AGGREGATE guardrail_summarize(double precision) IS
  'summarizes one value per unit: number of units, mean and variance; ignores NULL, leaves out and counts NaN and infinities';
CREATE AGGREGATE guardrail_summarize(x double precision, y double precision) (
  SFUNC = _guardrail_summary_add, STYPE = guardrail_summary, SSPACE = 96,
  COMBINEFUNC = _guardrail_summary_combine, PARALLEL = SAFE);
COMMENT ON AGGREGATE guardrail_summarize(double precision, double precision) IS
  'summarizes two values per unit, such as numerator and denominator of a ratio';
CREATE FUNCTION _guardrail_summary_add(guardrail_summary, double precision, double precision, double precision) RETURNS guardrail_summary
  AS 'MODULE_PATHNAME', 'guardrail_summary_add' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION _guardrail_summary_add(guardrail_summary, double precision, double precision, double precision) IS
  'transition function of guardrail_summarize(x, y, u)';
CREATE AGGREGATE guardrail_summarize(x double precision, y double precision, u double precision) (
  SFUNC = _guardrail_summary_add, STYPE = guardrail_summary, SSPACE = 144,
  COMBINEFUNC = _guardrail_summary_combine, PARALLEL = SAFE);
COMMENT ON AGGREGATE guardrail_summarize(double precision, double precision, double precision) IS
  'summarizes three values per unit: numerator and denominator of a ratio, and a covariate';
CREATE AGGREGATE guardrail_rollup(guardrail_summary) (
  SFUNC = _guardrail_summary_combine, STYPE = guardrail_summary, SSPACE = 96,
  COMBINEFUNC = _guardrail_summary_combine, PARALLEL = SAFE);
COMMENT ON AGGREGATE guardrail_rollup(guardrail_summary) IS 'merges several summaries into one over all their units';

CREATE FUNCTION guardrail_units(s guardrail_summary) RETURNS bigint
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_units(guardrail_summary) IS 'returns the number of units in a summary';
CREATE FUNCTION guardrail_skipped(s guardrail_summary) RETURNS bigint
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_skipped(guardrail_summary) IS
  'returns the number of units left out of a summary because a value was NaN or infinite';
CREATE FUNCTION guardrail_mean(s guardrail_summary) RETURNS double precision
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_mean(guardrail_summary) IS 'returns the mean of the (first) value over units; NULL without units';
CREATE FUNCTION guardrail_variance(s guardrail_summary) RETURNS double precision
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_variance(guardrail_summary) IS
  'returns the sample variance (divisor n - 1) of the (first) value over units; NULL below two units';
CREATE FUNCTION guardrail_ratio(s guardrail_summary) RETURNS double precision
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_ratio(guardrail_summary) IS
  'returns the ratio of the sums of the first and the second value; NULL if the second sums to zero';

CREATE FUNCTION guardrail_compare(treatment guardrail_summary, control guardrail_summary,
    kind text DEFAULT 'difference', margin double precision DEFAULT 0,
    alternative text DEFAULT 'two-sided', level double precision DEFAULT 0.95,
    OUT estimate double precision, OUT se double precision, OUT df double precision, OUT statistic double precision,
    OUT p_value double precision, OUT lower double precision, OUT upper double precision)
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_compare(guardrail_summary, guardrail_summary, text, double precision, text, double precision) IS
  'tests and bounds the effect between two summaries (means, or ratios of sums if they have two values): kind difference, relative (Fieller) or absolute; H0: effect = margin';

-- ---- histograms of events -----------------------------------------------

CREATE FUNCTION _guardrail_histogram_add(guardrail_histogram, double precision) RETURNS guardrail_histogram
  AS 'MODULE_PATHNAME', 'guardrail_histogram_add' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION _guardrail_histogram_add(guardrail_histogram, double precision) IS 'transition function of guardrail_histogram(x)';
CREATE FUNCTION _guardrail_histogram_combine(guardrail_histogram, guardrail_histogram) RETURNS guardrail_histogram
  AS 'MODULE_PATHNAME', 'guardrail_histogram_combine' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION _guardrail_histogram_combine(guardrail_histogram, guardrail_histogram) IS 'merges two histograms';
CREATE FUNCTION _guardrail_histogram_final(guardrail_histogram) RETURNS guardrail_histogram
  AS 'MODULE_PATHNAME', 'guardrail_histogram_final' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION _guardrail_histogram_final(guardrail_histogram) IS 'returns the stored form of a histogram';

CREATE AGGREGATE guardrail_histogram(x double precision) (
  SFUNC = _guardrail_histogram_add, STYPE = guardrail_histogram, SSPACE = 4096,
  FINALFUNC = _guardrail_histogram_final,
  COMBINEFUNC = _guardrail_histogram_combine, PARALLEL = SAFE);
COMMENT ON AGGREGATE guardrail_histogram(double precision) IS
  'counts events in the log-linear bins of a histogram; ignores NULL, leaves out and counts NaN and infinities';
CREATE AGGREGATE guardrail_rollup(guardrail_histogram) (
  SFUNC = _guardrail_histogram_combine, STYPE = guardrail_histogram, SSPACE = 16384,
  FINALFUNC = _guardrail_histogram_final,
  COMBINEFUNC = _guardrail_histogram_combine, PARALLEL = SAFE);
COMMENT ON AGGREGATE guardrail_rollup(guardrail_histogram) IS 'merges several histograms into one over all their events';

CREATE FUNCTION guardrail_events(h guardrail_histogram) RETURNS bigint
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_events(guardrail_histogram) IS 'returns the number of events in a histogram';
CREATE FUNCTION guardrail_quantile(h guardrail_histogram, p double precision) RETURNS double precision
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_quantile(guardrail_histogram, double precision) IS
  'returns the p-quantile of the events of a histogram, within 0.1 % of the exact value; NULL without events';
