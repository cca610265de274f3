-- guardrail: made from sql/parts by make; edit there.
-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION guardrail" to load this file. \quit

-- Copyright (C) 2026 the guardrail developers. GPL-3.0-or-later.

CREATE TYPE guardrail_summary;
CREATE TYPE guardrail_histogram;

CREATE FUNCTION guardrail_summary_in(cstring) RETURNS guardrail_summary
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION guardrail_summary_out(guardrail_summary) RETURNS cstring
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION guardrail_summary_recv(internal) RETURNS guardrail_summary
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION guardrail_summary_send(guardrail_summary) RETURNS bytea
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE TYPE guardrail_summary (
  INPUT = guardrail_summary_in, OUTPUT = guardrail_summary_out,
  RECEIVE = guardrail_summary_recv, SEND = guardrail_summary_send,
  STORAGE = external, ALIGNMENT = double);
COMMENT ON TYPE guardrail_summary IS
  'number of units, sums and centred cross products of one or two values per unit; made by guardrail_summarize';
COMMENT ON FUNCTION guardrail_summary_in(cstring) IS 'input of guardrail_summary';
COMMENT ON FUNCTION guardrail_summary_out(guardrail_summary) IS 'output of guardrail_summary';
COMMENT ON FUNCTION guardrail_summary_recv(internal) IS 'binary input of guardrail_summary';
COMMENT ON FUNCTION guardrail_summary_send(guardrail_summary) IS 'binary output of guardrail_summary';

CREATE FUNCTION guardrail_histogram_in(cstring) RETURNS guardrail_histogram
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION guardrail_histogram_out(guardrail_histogram) RETURNS cstring
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION guardrail_histogram_recv(internal) RETURNS guardrail_histogram
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION guardrail_histogram_send(guardrail_histogram) RETURNS bytea
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE TYPE guardrail_histogram (
  INPUT = guardrail_histogram_in, OUTPUT = guardrail_histogram_out,
  RECEIVE = guardrail_histogram_recv, SEND = guardrail_histogram_send,
  STORAGE = external, ALIGNMENT = double);
COMMENT ON TYPE guardrail_histogram IS
  'counts of values in log-linear bins of relative width 2^-10 or less; made by guardrail_histogram(x)';
COMMENT ON FUNCTION guardrail_histogram_in(cstring) IS 'input of guardrail_histogram';
COMMENT ON FUNCTION guardrail_histogram_out(guardrail_histogram) IS 'output of guardrail_histogram';
COMMENT ON FUNCTION guardrail_histogram_recv(internal) IS 'binary input of guardrail_histogram';
COMMENT ON FUNCTION guardrail_histogram_send(guardrail_histogram) IS 'binary output of guardrail_histogram';

-- ---- summaries of units -------------------------------------------------

CREATE FUNCTION guardrail_summary_add(guardrail_summary, double precision) RETURNS guardrail_summary
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_summary_add(guardrail_summary, double precision) IS 'transition of guardrail_summarize(x)';
CREATE FUNCTION guardrail_summary_add(guardrail_summary, double precision, double precision) RETURNS guardrail_summary
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_summary_add(guardrail_summary, double precision, double precision) IS 'transition of guardrail_summarize(x, y)';
CREATE FUNCTION guardrail_summary_combine(guardrail_summary, guardrail_summary) RETURNS guardrail_summary
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_summary_combine(guardrail_summary, guardrail_summary) IS 'merge two summaries';

CREATE AGGREGATE guardrail_summarize(x double precision) (
  SFUNC = guardrail_summary_add, STYPE = guardrail_summary, SSPACE = 64,
  COMBINEFUNC = guardrail_summary_combine, PARALLEL = SAFE);
COMMENT ON AGGREGATE guardrail_summarize(double precision) IS
  'summary of one value per unit: their number, mean and variance; NULL is no observation, NaN and infinities are left out and counted';
CREATE AGGREGATE guardrail_summarize(x double precision, y double precision) (
  SFUNC = guardrail_summary_add, STYPE = guardrail_summary, SSPACE = 96,
  COMBINEFUNC = guardrail_summary_combine, PARALLEL = SAFE);
COMMENT ON AGGREGATE guardrail_summarize(double precision, double precision) IS
  'summary of two values per unit, such as numerator and denominator of a ratio';
CREATE FUNCTION guardrail_summary_add(guardrail_summary, double precision, double precision, double precision) RETURNS guardrail_summary
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_summary_add(guardrail_summary, double precision, double precision, double precision) IS 'transition of guardrail_summarize(x, y, u)';
CREATE AGGREGATE guardrail_summarize(x double precision, y double precision, u double precision) (
  SFUNC = guardrail_summary_add, STYPE = guardrail_summary, SSPACE = 144,
  COMBINEFUNC = guardrail_summary_combine, PARALLEL = SAFE);
COMMENT ON AGGREGATE guardrail_summarize(double precision, double precision, double precision) IS
  'summary of three values per unit: numerator and denominator of a ratio, and a covariate';
CREATE AGGREGATE guardrail_rollup(guardrail_summary) (
  SFUNC = guardrail_summary_combine, STYPE = guardrail_summary, SSPACE = 96,
  COMBINEFUNC = guardrail_summary_combine, PARALLEL = SAFE);
COMMENT ON AGGREGATE guardrail_rollup(guardrail_summary) IS 'one summary of all units of several summaries';

CREATE FUNCTION guardrail_units(s guardrail_summary) RETURNS bigint
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_units(guardrail_summary) IS 'number of units in a summary';
CREATE FUNCTION guardrail_skipped(s guardrail_summary) RETURNS bigint
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_skipped(guardrail_summary) IS 'number of units left out of a summary because a value was NaN or infinite';
CREATE FUNCTION guardrail_mean(s guardrail_summary) RETURNS double precision
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_mean(guardrail_summary) IS 'mean of the (first) value over units; NULL without units';
CREATE FUNCTION guardrail_variance(s guardrail_summary) RETURNS double precision
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_variance(guardrail_summary) IS 'sample variance (n - 1) of the (first) value over units; NULL below two units';
CREATE FUNCTION guardrail_ratio(s guardrail_summary) RETURNS double precision
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_ratio(guardrail_summary) IS 'ratio of the sums of the first and the second value; NULL when the second sums to zero';

CREATE FUNCTION guardrail_compare(treatment guardrail_summary, control guardrail_summary,
    kind text DEFAULT 'difference', margin double precision DEFAULT 0,
    alternative text DEFAULT 'two-sided', level double precision DEFAULT 0.95,
    OUT estimate double precision, OUT se double precision, OUT df double precision, OUT statistic double precision,
    OUT p_value double precision, OUT lower double precision, OUT upper double precision)
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_compare(guardrail_summary, guardrail_summary, text, double precision, text, double precision) IS
  'test and interval for two summaries (means, or ratios of sums when they have two values): kind difference, relative (Fieller) or absolute; H0: effect = margin';

-- ---- histograms of events -----------------------------------------------

CREATE FUNCTION guardrail_histogram_add(guardrail_histogram, double precision) RETURNS guardrail_histogram
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_histogram_add(guardrail_histogram, double precision) IS 'transition of guardrail_histogram(x)';
CREATE FUNCTION guardrail_histogram_combine(guardrail_histogram, guardrail_histogram) RETURNS guardrail_histogram
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_histogram_combine(guardrail_histogram, guardrail_histogram) IS 'merge two histograms';
CREATE FUNCTION guardrail_histogram_final(guardrail_histogram) RETURNS guardrail_histogram
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_histogram_final(guardrail_histogram) IS 'the stored form of a histogram';

CREATE AGGREGATE guardrail_histogram(x double precision) (
  SFUNC = guardrail_histogram_add, STYPE = guardrail_histogram, SSPACE = 4096,
  FINALFUNC = guardrail_histogram_final,
  COMBINEFUNC = guardrail_histogram_combine, PARALLEL = SAFE);
COMMENT ON AGGREGATE guardrail_histogram(double precision) IS
  'histogram of events in log-linear bins; NULL is no event, NaN and infinities are left out and counted';
CREATE AGGREGATE guardrail_rollup(guardrail_histogram) (
  SFUNC = guardrail_histogram_combine, STYPE = guardrail_histogram, SSPACE = 16384,
  FINALFUNC = guardrail_histogram_final,
  COMBINEFUNC = guardrail_histogram_combine, PARALLEL = SAFE);
COMMENT ON AGGREGATE guardrail_rollup(guardrail_histogram) IS 'one histogram of all events of several histograms';

CREATE FUNCTION guardrail_events(h guardrail_histogram) RETURNS bigint
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_events(guardrail_histogram) IS 'number of events in a histogram';
CREATE FUNCTION guardrail_quantile(h guardrail_histogram, p double precision) RETURNS double precision
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_quantile(guardrail_histogram, double precision) IS
  'the p-quantile of the events of a histogram, within 0.1 % of the value; NULL without events';

-- ---- statistics on plain numbers ----------------------------------------

CREATE FUNCTION guardrail_welch(mean_t double precision, var_t double precision, n_t double precision,
    mean_c double precision, var_c double precision, n_c double precision,
    margin double precision DEFAULT 0, alternative text DEFAULT 'two-sided', level double precision DEFAULT 0.95,
    OUT estimate double precision, OUT se double precision, OUT df double precision, OUT statistic double precision,
    OUT p_value double precision, OUT lower double precision, OUT upper double precision)
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_welch(double precision, double precision, double precision, double precision, double precision, double precision, double precision, text, double precision) IS
  'Welch''s t test of treatment - control = margin from means, sample variances and numbers of units; alternative two-sided, greater or less';

CREATE FUNCTION guardrail_relative(mean_t double precision, var_t double precision, n_t double precision,
    mean_c double precision, var_c double precision, n_c double precision,
    margin double precision DEFAULT 0, alternative text DEFAULT 'two-sided', level double precision DEFAULT 0.95,
    method text DEFAULT 'fieller',
    OUT estimate double precision, OUT se double precision, OUT df double precision, OUT statistic double precision,
    OUT p_value double precision, OUT lower double precision, OUT upper double precision)
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_relative(double precision, double precision, double precision, double precision, double precision, double precision, double precision, text, double precision, text) IS
  'test and interval of the relative lift treatment/control - 1 (0.05 is 5 %), by Fieller or the first-order delta method';

CREATE FUNCTION guardrail_p_adjust(p double precision[], method text DEFAULT 'holm') RETURNS double precision[]
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_p_adjust(double precision[], text) IS
  'adjusted p-values, in the order given: none, bonferroni, holm, hochberg or bh';

CREATE FUNCTION guardrail_srm(counts bigint[], shares double precision[] DEFAULT NULL,
    OUT statistic double precision, OUT df double precision, OUT p_value double precision)
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_srm(bigint[], double precision[]) IS
  'Pearson''s chi-square test of unit counts against the planned shares (NULL: equal shares)';

-- ---- looking more than once, and planning --------------------------------

CREATE FUNCTION guardrail_sequential(estimate double precision, se double precision, n double precision,
    planned_n double precision DEFAULT 5000, alpha double precision DEFAULT 0.05, sides integer DEFAULT 2,
    OUT lower double precision, OUT upper double precision, OUT log_e double precision, OUT p_value double precision)
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_sequential(double precision, double precision, double precision, double precision, double precision, integer) IS
  'anytime-valid bounds, log e-value and p-value min(1, 1/e) of an estimate over n units, tightest at planned_n of them; sides 2 tests effect = 0, sides 1 tests effect <= 0: lower bound alone, large estimates are evidence (for the other direction change the sign)';

CREATE FUNCTION guardrail_spending_bounds(fractions double precision[], alpha double precision DEFAULT 0.05,
    sides integer DEFAULT 2, spending text DEFAULT 'obrien_fleming', phi double precision DEFAULT 1)
  RETURNS double precision[]
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_spending_bounds(double precision[], double precision, integer, text, double precision) IS
  'z bounds of looks at increasing information fractions, by Lan and DeMets: obrien_fleming, pocock, or power (alpha t^phi); Infinity where nothing may be spent yet';

CREATE FUNCTION guardrail_srm_sequential(counts bigint[], shares double precision[] DEFAULT NULL,
    prior double precision DEFAULT 10000, OUT log_e double precision, OUT p_value double precision)
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_srm_sequential(bigint[], double precision[], double precision) IS
  'anytime-valid test of unit counts against the planned shares (NULL: equal shares): log Bayes factor, half of it against Dirichlet(prior * shares) and half against the uniform one, and p-value min(1, 1/e)';

CREATE FUNCTION guardrail_sample_size(sd double precision, effect double precision, margin double precision DEFAULT 0,
    alpha double precision DEFAULT 0.05, power double precision DEFAULT 0.8, sides integer DEFAULT 2,
    ratio double precision DEFAULT 1)
  RETURNS double precision
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_sample_size(double precision, double precision, double precision, double precision, double precision, integer, double precision) IS
  'units of the control arm (round up) to find an effect beyond the margin with that power, normal theory; ratio: units of treatment for each of control';

CREATE FUNCTION guardrail_mde(sd double precision, n_t double precision, n_c double precision,
    alpha double precision DEFAULT 0.05, power double precision DEFAULT 0.8, sides integer DEFAULT 2)
  RETURNS double precision
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_mde(double precision, double precision, double precision, double precision, double precision, integer) IS
  'minimum detectable effect beyond the margin with that many units in treatment and control: the inverse of guardrail_sample_size';

-- ---- the scan -----------------------------------------------------------

CREATE FUNCTION guardrail_batch("any") RETURNS integer
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_batch("any") IS
  'which of 128 batches a unit belongs to, by its hash; used in the statements that guardrail writes';
CREATE FUNCTION guardrail_number(numeric) RETURNS double precision
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_number(numeric) IS
  'numeric as double precision, infinite where that has no such number; used in the statements that guardrail writes';

CREATE FUNCTION guardrail_collect_add(internal, text, text[], integer, "any", "any", VARIADIC "any") RETURNS internal
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_collect_add(internal, text, text[], integer, "any", "any", "any") IS 'transition of guardrail_collect';
CREATE FUNCTION guardrail_collect_combine(internal, internal) RETURNS internal
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_collect_combine(internal, internal) IS 'merge two states of guardrail_collect';
CREATE FUNCTION guardrail_collect_serialize(internal) RETURNS bytea
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_collect_serialize(internal) IS 'state of guardrail_collect as bytes';
CREATE FUNCTION guardrail_collect_deserialize(bytea, internal) RETURNS internal
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_collect_deserialize(bytea, internal) IS 'state of guardrail_collect from bytes';
CREATE FUNCTION guardrail_collect_final(internal) RETURNS bytea
  AS 'MODULE_PATHNAME' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION guardrail_collect_final(internal) IS 'result of guardrail_collect';

CREATE AGGREGATE guardrail_collect(text, text[], integer, "any", "any", VARIADIC "any") (
  SFUNC = guardrail_collect_add, STYPE = internal, SSPACE = 1048576,
  FINALFUNC = guardrail_collect_final, FINALFUNC_MODIFY = READ_WRITE,
  COMBINEFUNC = guardrail_collect_combine, SERIALFUNC = guardrail_collect_serialize,
  DESERIALFUNC = guardrail_collect_deserialize, PARALLEL = SAFE);
COMMENT ON AGGREGATE guardrail_collect(text, text[], integer, "any", "any", "any") IS
  'one pass over the events of an experiment; called by guardrail_evaluate';

-- ---- the catalog --------------------------------------------------------

CREATE FUNCTION guardrail_experiment_check() RETURNS trigger AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION guardrail_experiment_check() IS 'refuses bad rows of guardrail_experiment';
CREATE FUNCTION guardrail_rule_check() RETURNS trigger AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION guardrail_rule_check() IS 'refuses bad rows of guardrail_rule';
CREATE FUNCTION guardrail_append_only() RETURNS trigger AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON FUNCTION guardrail_append_only() IS 'refuses changes of a log';

CREATE TABLE guardrail_experiment (
  experiment_id text PRIMARY KEY,
  events regclass NOT NULL,
  experiment_column name DEFAULT 'experiment_id',
  unit_column name NOT NULL DEFAULT 'user_id',
  variant_column name NOT NULL DEFAULT 'variant',
  time_column name,
  cursor_column name,
  exposures regclass,
  exposed_at_column name NOT NULL DEFAULT 'exposed_at',
  control text NOT NULL DEFAULT 'control',
  shares jsonb,
  starts_at timestamptz,
  ends_at timestamptz CHECK (ends_at > starts_at),
  planned_units bigint CHECK (planned_units > 0),
  monitoring text,
  spending text NOT NULL DEFAULT 'power',
  spending_phi double precision NOT NULL DEFAULT 1,
  correction text NOT NULL DEFAULT 'holm',
  srm_alpha double precision NOT NULL DEFAULT 0.001,
  max_crossover double precision NOT NULL DEFAULT 0.01,
  min_units bigint NOT NULL DEFAULT 100 CHECK (min_units >= 2),
  owner regrole NOT NULL DEFAULT current_user::regrole,
  state text NOT NULL DEFAULT 'draft' CHECK (state IN ('draft', 'running', 'stopped')),
  launched_at timestamptz,
  stopped_at timestamptz,
  plan_version integer,
  plan_hash text,
  description text
);
COMMENT ON TABLE guardrail_experiment IS 'where the events of an experiment are, and how it is decided; one row per experiment';
COMMENT ON COLUMN guardrail_experiment.experiment_id IS 'as it stands in the events';
COMMENT ON COLUMN guardrail_experiment.events IS 'table, partitioned table, view, materialized or foreign table with one row per event';
COMMENT ON COLUMN guardrail_experiment.experiment_column IS 'column with the experiment_id; NULL: every row belongs to this experiment';
COMMENT ON COLUMN guardrail_experiment.unit_column IS 'the unit of randomisation, of any hashable type';
COMMENT ON COLUMN guardrail_experiment.variant_column IS 'the arm: text, enum, integer or boolean';
COMMENT ON COLUMN guardrail_experiment.time_column IS 'time of the event; starts_at and ends_at need it';
COMMENT ON COLUMN guardrail_experiment.cursor_column IS 'not supported by this version';
COMMENT ON COLUMN guardrail_experiment.exposures IS 'not supported by this version';
COMMENT ON COLUMN guardrail_experiment.exposed_at_column IS 'not supported by this version';
COMMENT ON COLUMN guardrail_experiment.control IS 'the reference arm';
COMMENT ON COLUMN guardrail_experiment.shares IS 'planned traffic, such as {"control": 1, "treatment": 1}; NULL: the arms seen, in equal shares';
COMMENT ON COLUMN guardrail_experiment.starts_at IS 'only events at or after it count';
COMMENT ON COLUMN guardrail_experiment.ends_at IS 'only events before it count; the test is over when it has passed';
COMMENT ON COLUMN guardrail_experiment.planned_units IS 'units over all arms that the test was planned for';
COMMENT ON COLUMN guardrail_experiment.monitoring IS 'always_valid, group_sequential or fixed; NULL is settled at launch: group_sequential when planned_units is given, else always_valid';
COMMENT ON COLUMN guardrail_experiment.spending IS 'spending function of the breach tests under group_sequential: power, pocock, obrien_fleming';
COMMENT ON COLUMN guardrail_experiment.spending_phi IS 'exponent of spending power';
COMMENT ON COLUMN guardrail_experiment.correction IS 'over the breach tests of blocking guardrails and arms: none, bonferroni, holm, hochberg';
COMMENT ON COLUMN guardrail_experiment.srm_alpha IS 'level of the alarm for a sample ratio mismatch';
COMMENT ON COLUMN guardrail_experiment.max_crossover IS 'share of units seen in two arms above which the test is INVALID';
COMMENT ON COLUMN guardrail_experiment.min_units IS 'units per arm below which nothing is decided';
COMMENT ON COLUMN guardrail_experiment.owner IS 'whose rights the event query runs with';
COMMENT ON COLUMN guardrail_experiment.state IS 'draft, running or stopped; changed by functions only';

CREATE TABLE guardrail_rule (
  experiment_id text NOT NULL REFERENCES guardrail_experiment ON UPDATE CASCADE ON DELETE CASCADE,
  metric text NOT NULL,
  role text NOT NULL,
  north_star boolean NOT NULL DEFAULT false,
  severity text NOT NULL DEFAULT 'block',
  kind text NOT NULL,
  value text,
  denominator text,
  filter text,
  unit_aggregate text NOT NULL DEFAULT 'sum',
  quantile double precision,
  quantile_over text NOT NULL DEFAULT 'events',
  at_least double precision,
  retention_day integer,
  window_length interval,
  covariate text,
  cap_quantile double precision,
  cap_value double precision,
  worse text NOT NULL,
  limit_kind text NOT NULL,
  limit_value double precision,
  evidence text NOT NULL DEFAULT 'breach',
  alpha double precision NOT NULL,
  display_unit text CHECK (length(display_unit) <= 20),
  note text,
  PRIMARY KEY (experiment_id, metric)
);
CREATE UNIQUE INDEX guardrail_rule_north_star ON guardrail_rule (experiment_id) WHERE north_star;
COMMENT ON TABLE guardrail_rule IS 'what is measured in an experiment, and what must not break; one row per metric';
COMMENT ON COLUMN guardrail_rule.metric IS 'short name, shown in verdicts';
COMMENT ON COLUMN guardrail_rule.role IS 'primary (exactly one at launch), secondary (never vetoes) or guardrail';
COMMENT ON COLUMN guardrail_rule.north_star IS 'marks the product''s North Star; at most one per experiment';
COMMENT ON COLUMN guardrail_rule.severity IS 'of a guardrail: block vetoes, hold prevents SHIP, warn is shown only';
COMMENT ON COLUMN guardrail_rule.kind IS 'mean per unit, proportion of units, ratio of sums, quantile';
COMMENT ON COLUMN guardrail_rule.value IS 'SQL expression over one event; a boolean counts as 0 or 1';
COMMENT ON COLUMN guardrail_rule.denominator IS 'of a ratio; NULL: the number of events whose value is not null';
COMMENT ON COLUMN guardrail_rule.filter IS 'boolean SQL expression: which events count';
COMMENT ON COLUMN guardrail_rule.unit_aggregate IS 'how a mean folds the events of a unit: sum, count, max, min, avg';
COMMENT ON COLUMN guardrail_rule.quantile IS '0.95 for p95';
COMMENT ON COLUMN guardrail_rule.quantile_over IS 'events (clustered by unit) or units';
COMMENT ON COLUMN guardrail_rule.covariate IS 'SQL expression: a value per unit from before the experiment, constant over its events (CUPED)';
COMMENT ON COLUMN guardrail_rule.cap_quantile IS 'winsorise the unit totals at this quantile, pooled over all arms';
COMMENT ON COLUMN guardrail_rule.cap_value IS 'winsorise the unit totals at this value';
COMMENT ON COLUMN guardrail_rule.worse IS 'higher or lower: the direction of harm';
COMMENT ON COLUMN guardrail_rule.limit_kind IS 'absolute (the treatment''s own value), difference, relative (0.05 is 5 % of control), significance (no margin)';
COMMENT ON COLUMN guardrail_rule.limit_value IS 'in the metric''s unit; a size without sign for difference and relative; on the primary the improvement asked for';
COMMENT ON COLUMN guardrail_rule.evidence IS 'point: the estimate decides; breach: vetoes when harm beyond the limit is proven; safe: SHIP needs proof of no harm beyond it';
COMMENT ON COLUMN guardrail_rule.alpha IS 'one-sided for guardrails (default 0.10), two-sided for others (0.05)';
COMMENT ON COLUMN guardrail_rule.display_unit IS 'ms, EUR, ... in reasons; % shows a fraction in per cent and percentage points';

CREATE TRIGGER guardrail_experiment_check BEFORE INSERT OR UPDATE ON guardrail_experiment
  FOR EACH ROW EXECUTE FUNCTION guardrail_experiment_check();
CREATE TRIGGER guardrail_rule_check BEFORE INSERT OR UPDATE ON guardrail_rule
  FOR EACH ROW EXECUTE FUNCTION guardrail_rule_check();

-- ---- verdicts -----------------------------------------------------------

CREATE SEQUENCE guardrail_check_id;
COMMENT ON SEQUENCE guardrail_check_id IS 'numbers the checks';

CREATE TABLE guardrail_check_log (
    check_id bigint NOT NULL,
    arm_no integer NOT NULL,
    checked_at timestamptz NOT NULL,
    plan_version integer,
    error text,
    look_no integer,
    experiment_id text,
    variant text,
    verdict text,
    status text,
    reason text,
    primary_metric text,
    primary_status text,
    primary_effect double precision,
    primary_lower double precision,
    primary_upper double precision,
    guardrails integer,
    breached integer,
    safe integer,
    undecided integer,
    no_data integer,
    srm_p double precision,
    crossover_share double precision,
    crossover_units bigint,
    units_control bigint,
    units_treatment bigint,
    events_control bigint,
    events_treatment bigint,
    null_unit_rows bigint,
    unknown_arm_rows bigint,
    monitoring text,
    information double precision,
    PRIMARY KEY (check_id, arm_no)
);
ALTER TABLE guardrail_check_log ALTER experiment_id SET NOT NULL, ALTER verdict SET NOT NULL;
CREATE INDEX guardrail_check_log_experiment ON guardrail_check_log (experiment_id, check_id DESC);
COMMENT ON TABLE guardrail_check_log IS
  'every check ever recorded, one row per treatment arm; append-only; error: why a check failed';

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
    experiment_id text,
    variant text,
    metric text,
    role text,
    severity text,
    kind text,
    north_star boolean,
    control_value double precision,
    treatment_value double precision,
    control_se double precision,
    treatment_se double precision,
    effect double precision,
    effect_lower double precision,
    effect_upper double precision,
    limit_kind text,
    limit_value double precision,
    evidence text,
    alpha double precision,
    p_breach double precision,
    p_breach_adjusted double precision,
    p_safe double precision,
    p_value double precision,
    p_value_adjusted double precision,
    status text,
    reason text,
    units_control bigint,
    units_treatment bigint,
    events_control bigint,
    events_treatment bigint,
    units_needed bigint,
    display_unit text,
    PRIMARY KEY (check_id, variant, metric)
);
ALTER TABLE guardrail_result_log ALTER experiment_id SET NOT NULL;
CREATE INDEX guardrail_result_log_experiment ON guardrail_result_log (experiment_id, check_id DESC);
COMMENT ON TABLE guardrail_result_log IS
  'the metrics of every check ever recorded, one row per treatment arm and metric; append-only';

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
  'bounds of the looks so far under group_sequential, so that the next costs one step; computed anew when missing';

CREATE TRIGGER guardrail_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON guardrail_check_log
  FOR EACH STATEMENT EXECUTE FUNCTION guardrail_append_only();
CREATE TRIGGER guardrail_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON guardrail_result_log
  FOR EACH STATEMENT EXECUTE FUNCTION guardrail_append_only();

CREATE VIEW guardrail_verdict AS
  SELECT l.experiment_id, l.variant, l.verdict, l.status, l.reason, l.primary_metric, l.primary_status,
    l.primary_effect, l.primary_lower, l.primary_upper, l.guardrails, l.breached, l.safe, l.undecided,
    l.no_data, l.srm_p, l.crossover_share, l.crossover_units, l.units_control, l.units_treatment,
    l.events_control, l.events_treatment, l.null_unit_rows, l.unknown_arm_rows, l.monitoring, l.information,
    l.error, l.checked_at, l.check_id, l.plan_version
  FROM guardrail_experiment e
  CROSS JOIN LATERAL (
    SELECT m.check_id FROM guardrail_check_log m
    WHERE m.experiment_id = e.experiment_id AND m.checked_at >= e.launched_at
    ORDER BY m.check_id DESC LIMIT 1) last
  JOIN guardrail_check_log l ON l.check_id = last.check_id AND l.experiment_id = e.experiment_id;
COMMENT ON VIEW guardrail_verdict IS 'the last recorded check: one row per experiment and treatment arm';

CREATE VIEW guardrail_result AS
  SELECT l.experiment_id, l.variant, l.metric, l.role, l.severity, l.kind, l.north_star, l.control_value,
    l.treatment_value, l.control_se, l.treatment_se, l.effect, l.effect_lower, l.effect_upper, l.limit_kind,
    l.limit_value, l.evidence, l.alpha, l.p_breach, l.p_breach_adjusted, l.p_safe, l.p_value,
    l.p_value_adjusted, l.status, l.reason, l.units_control, l.units_treatment, l.events_control,
    l.events_treatment, l.units_needed, l.display_unit,
    l.checked_at, l.check_id
  FROM guardrail_experiment e
  CROSS JOIN LATERAL (
    SELECT m.check_id FROM guardrail_check_log m
    WHERE m.experiment_id = e.experiment_id AND m.checked_at >= e.launched_at
    ORDER BY m.check_id DESC LIMIT 1) last
  JOIN guardrail_result_log l ON l.check_id = last.check_id AND l.experiment_id = e.experiment_id;
COMMENT ON VIEW guardrail_result IS 'the last recorded check: one row per experiment, treatment arm and metric';

CREATE FUNCTION guardrail_evaluate(experiment text) RETURNS TABLE (
    experiment_id text,
    variant text,
    metric text,
    role text,
    severity text,
    kind text,
    north_star boolean,
    control_value double precision,
    treatment_value double precision,
    control_se double precision,
    treatment_se double precision,
    effect double precision,
    effect_lower double precision,
    effect_upper double precision,
    limit_kind text,
    limit_value double precision,
    evidence text,
    alpha double precision,
    p_breach double precision,
    p_breach_adjusted double precision,
    p_safe double precision,
    p_value double precision,
    p_value_adjusted double precision,
    status text,
    reason text,
    units_control bigint,
    units_treatment bigint,
    events_control bigint,
    events_treatment bigint,
    units_needed bigint,
    display_unit text)
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000 ROWS 10;
COMMENT ON FUNCTION guardrail_evaluate(text) IS
  'evaluate an experiment now: one row per treatment arm and metric; records nothing';

CREATE FUNCTION guardrail_decide(experiment text) RETURNS TABLE (
    experiment_id text,
    variant text,
    verdict text,
    status text,
    reason text,
    primary_metric text,
    primary_status text,
    primary_effect double precision,
    primary_lower double precision,
    primary_upper double precision,
    guardrails integer,
    breached integer,
    safe integer,
    undecided integer,
    no_data integer,
    srm_p double precision,
    crossover_share double precision,
    crossover_units bigint,
    units_control bigint,
    units_treatment bigint,
    events_control bigint,
    events_treatment bigint,
    null_unit_rows bigint,
    unknown_arm_rows bigint,
    monitoring text,
    information double precision)
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000 ROWS 2;
COMMENT ON FUNCTION guardrail_decide(text) IS
  'the verdict on an experiment now: one row per treatment arm, SHIP, HOLD, BLOCK or INVALID; records nothing';

CREATE FUNCTION guardrail_status() RETURNS SETOF text
  AS 'MODULE_PATHNAME', 'guardrail_status_all' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000 ROWS 10;
COMMENT ON FUNCTION guardrail_status() IS 'status now of every running experiment, one line per treatment arm';
CREATE FUNCTION guardrail_status(experiment text, variant text DEFAULT NULL) RETURNS text
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000;
COMMENT ON FUNCTION guardrail_status(text, text) IS
  'status now of an experiment''s worst arm, or of the arm named: OK, BLOCK, INVALID or NO DATA';
CREATE FUNCTION guardrail_explain(experiment text) RETURNS text
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000;
COMMENT ON FUNCTION guardrail_explain(text) IS
  'how the verdict comes about: the statement, the counts, the formulas with their numbers';

CREATE PROCEDURE guardrail_check(experiment text DEFAULT NULL)
  AS 'MODULE_PATHNAME' LANGUAGE C;
COMMENT ON PROCEDURE guardrail_check(text) IS
  'evaluate all running experiments, or one, record the verdicts, and notify channel guardrail of those that changed';

CREATE FUNCTION guardrail_launch(experiment text) RETURNS void
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION guardrail_launch(text) IS 'set a draft running; refuses a plan without exactly one primary';
CREATE FUNCTION guardrail_stop(experiment text) RETURNS void
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION guardrail_stop(text) IS 'end a running experiment';
CREATE FUNCTION guardrail_assert_shippable(experiment text, variant text, newer_than interval DEFAULT '1 day') RETURNS void
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION guardrail_assert_shippable(text, text, interval) IS
  'an error unless the recorded verdict is SHIP and newer than the interval; for deploy jobs';

-- who may record checks is granted, not given
REVOKE EXECUTE ON PROCEDURE guardrail_check(text) FROM PUBLIC;

-- ---- dump and restore ---------------------------------------------------

SELECT pg_catalog.pg_extension_config_dump('guardrail_experiment', '');
SELECT pg_catalog.pg_extension_config_dump('guardrail_rule', '');
SELECT pg_catalog.pg_extension_config_dump('guardrail_check_id', '');
SELECT pg_catalog.pg_extension_config_dump('guardrail_check_log', '');
SELECT pg_catalog.pg_extension_config_dump('guardrail_result_log', '');
