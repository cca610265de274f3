
-- ---- statistics on plain numbers ----------------------------------------

CREATE FUNCTION guardrail_welch(mean_t double precision, var_t double precision, n_t double precision,
    mean_c double precision, var_c double precision, n_c double precision,
    margin double precision DEFAULT 0, alternative text DEFAULT 'two-sided', level double precision DEFAULT 0.95,
    OUT estimate double precision, OUT se double precision, OUT df double precision, OUT statistic double precision,
    OUT p_value double precision, OUT lower double precision, OUT upper double precision)
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_welch(double precision, double precision, double precision, double precision, double precision, double precision, double precision, text, double precision) IS
  'Welch''s t test of treatment - control = margin from means, sample variances and numbers of units; alternative: two-sided, greater or less';

CREATE FUNCTION guardrail_relative(mean_t double precision, var_t double precision, n_t double precision,
    mean_c double precision, var_c double precision, n_c double precision,
    margin double precision DEFAULT 0, alternative text DEFAULT 'two-sided', level double precision DEFAULT 0.95,
    method text DEFAULT 'fieller',
    OUT estimate double precision, OUT se double precision, OUT df double precision, OUT statistic double precision,
    OUT p_value double precision, OUT lower double precision, OUT upper double precision)
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_relative(double precision, double precision, double precision, double precision, double precision, double precision, double precision, text, double precision, text) IS
  'tests and bounds the relative lift treatment/control - 1 (0.05 is 5 %), by Fieller''s method or the first-order delta method';

CREATE FUNCTION guardrail_p_adjust(p double precision[], method text DEFAULT 'holm') RETURNS double precision[]
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_p_adjust(double precision[], text) IS
  'adjusts p-values for several tests and returns them in the given order; method: none, bonferroni, holm, hochberg or bh';

CREATE FUNCTION guardrail_srm(counts bigint[], shares double precision[] DEFAULT NULL,
    OUT statistic double precision, OUT df double precision, OUT p_value double precision)
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_srm(bigint[], double precision[]) IS
  'Pearson''s chi-square test of unit counts against the planned shares (NULL: equal shares)';
