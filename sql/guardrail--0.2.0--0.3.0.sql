-- guardrail: from 0.2.0 to 0.3.0.
\echo Use "ALTER EXTENSION guardrail UPDATE TO '0.3.0'" to load this file. \quit

-- Copyright (C) 2026 the guardrail developers. GPL-3.0-or-later.

-- ---- UNMEASURED and WATCH -------------------------------------------------

ALTER TABLE guardrail_check_log ADD COLUMN unmeasured integer, ADD COLUMN watch integer;
ALTER TABLE guardrail_result_log ADD COLUMN watch boolean, ADD COLUMN samples bytea;
COMMENT ON COLUMN guardrail_result_log.watch IS 'true if nothing is proven but a check written by hand would block';
COMMENT ON COLUMN guardrail_result_log.samples IS
  'data of both variants, as seen by a check that set a smallest p-value; NULL in other checks';
ALTER TABLE guardrail_segment_log ADD COLUMN watch boolean;

CREATE OR REPLACE VIEW guardrail_verdict AS
  SELECT l.experiment_id, l.variant, l.verdict, l.status, l.reason, l.primary_metric, l.primary_status,
    l.primary_effect, l.primary_lower, l.primary_upper, l.guardrails, l.breached, l.safe, l.undecided,
    l.no_data, l.srm_p, l.crossover_share, l.crossover_units, l.units_control, l.units_treatment,
    l.events_control, l.events_treatment, l.null_unit_rows, l.unknown_arm_rows, l.monitoring, l.information,
    l.error, l.checked_at, l.check_id, l.plan_version, l.cannibalization,
    l.unmeasured, l.watch
  FROM guardrail_experiment e
  CROSS JOIN LATERAL (
    SELECT m.check_id FROM guardrail_check_log m
    WHERE m.experiment_id = e.experiment_id AND m.checked_at >= e.launched_at
    ORDER BY m.check_id DESC LIMIT 1) last
  JOIN guardrail_check_log l ON l.check_id = last.check_id AND l.experiment_id = e.experiment_id;
CREATE OR REPLACE VIEW guardrail_result AS
  SELECT l.experiment_id, l.variant, l.metric, l.role, l.severity, l.kind, l.north_star, l.control_value,
    l.treatment_value, l.control_se, l.treatment_se, l.effect, l.effect_lower, l.effect_upper, l.limit_kind,
    l.limit_value, l.evidence, l.alpha, l.p_breach, l.p_breach_adjusted, l.p_safe, l.p_value,
    l.p_value_adjusted, l.status, l.reason, l.units_control, l.units_treatment, l.events_control,
    l.events_treatment, l.units_needed, l.display_unit,
    l.checked_at, l.check_id, l.plan_version, l.watch
  FROM guardrail_experiment e
  CROSS JOIN LATERAL (
    SELECT m.check_id FROM guardrail_check_log m
    WHERE m.experiment_id = e.experiment_id AND m.checked_at >= e.launched_at
    ORDER BY m.check_id DESC LIMIT 1) last
  JOIN guardrail_result_log l ON l.check_id = last.check_id AND l.experiment_id = e.experiment_id;
CREATE OR REPLACE VIEW guardrail_segment_result AS
  SELECT l.experiment_id, l.variant, l.metric, l.segment, l.value, l.segment_veto, l.log_e, l.tests, l.role, l.severity,
    l.kind, l.north_star, l.control_value, l.treatment_value, l.control_se, l.treatment_se, l.effect, l.effect_lower,
    l.effect_upper, l.limit_kind, l.limit_value, l.evidence, l.alpha, l.p_breach, l.p_breach_adjusted, l.p_safe,
    l.p_value, l.p_value_adjusted, l.status, l.reason, l.units_control, l.units_treatment, l.events_control,
    l.events_treatment, l.units_needed, l.display_unit, l.checked_at, l.check_id, l.plan_version,
    l.watch
  FROM guardrail_experiment e
  CROSS JOIN LATERAL (
    SELECT m.check_id FROM guardrail_check_log m
    WHERE m.experiment_id = e.experiment_id AND m.checked_at >= e.launched_at
    ORDER BY m.check_id DESC LIMIT 1) last
  JOIN guardrail_segment_log l ON l.check_id = last.check_id AND l.experiment_id = e.experiment_id;

DROP FUNCTION guardrail_evaluate(text);
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
    display_unit text,
    watch boolean)
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000 ROWS 10;
COMMENT ON FUNCTION guardrail_evaluate(text) IS
  'evaluates an experiment now; returns one row per treatment variant and metric; records nothing';

DROP FUNCTION guardrail_decide(text);
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
    information double precision,
    unmeasured integer,
    watch integer)
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000 ROWS 2;
COMMENT ON FUNCTION guardrail_decide(text) IS
  'decides an experiment now; returns one row per treatment variant with the verdict SHIP, HOLD, BLOCK or INVALID; records nothing';

DROP FUNCTION guardrail_replay(bigint);
CREATE FUNCTION guardrail_replay(check_id bigint) RETURNS TABLE (
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
    unmeasured integer,
    watch integer,
    identical boolean,
    differences text)
  AS 'MODULE_PATHNAME' LANGUAGE C STABLE PARALLEL UNSAFE COST 10000 ROWS 2;
COMMENT ON FUNCTION guardrail_replay(bigint) IS
  'repeats the decision of a recorded check from its stored summaries, and compares the verdict and the results with the recorded ones, bit for bit';

DROP FUNCTION guardrail_segment_evaluate(text);
CREATE FUNCTION guardrail_segment_evaluate(experiment text) RETURNS TABLE (
    experiment_id text,
    variant text,
    metric text,
    segment text,
    value text,
    segment_veto boolean,
    log_e double precision,
    tests integer,
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
    watch boolean)
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000 ROWS 50;
COMMENT ON FUNCTION guardrail_segment_evaluate(text) IS
  'evaluates the segments of an experiment now; returns one row per segment, value, treatment variant and guardrail; records nothing';

COMMENT ON FUNCTION guardrail_release_gate() IS
  'trigger function for a table of releases: rejects a variant if its recorded verdict is BLOCK or INVALID, its status is UNMEASURED or WATCH, or its last check failed or is too old; in mode ship it requires a recent SHIP';
COMMENT ON FUNCTION guardrail_status(text, text) IS
  'returns the current status of the worst variant of an experiment, or of the named variant: INVALID, BLOCK, NO DATA, UNMEASURED, WATCH or OK';

-- ---- quantiles of tied values ----------------------------------------------

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

-- ---- comments ----------------------------------------------------------------

COMMENT ON TYPE guardrail_summary IS
  'number of units, sums and centred cross products of one to three values per unit; made by guardrail_summarize()';
COMMENT ON FUNCTION guardrail_summary_in(cstring) IS 'input function of type guardrail_summary';
COMMENT ON FUNCTION guardrail_summary_out(guardrail_summary) IS 'output function of type guardrail_summary';
COMMENT ON FUNCTION guardrail_summary_recv(internal) IS 'binary input function of type guardrail_summary';
COMMENT ON FUNCTION guardrail_summary_send(guardrail_summary) IS 'binary output function of type guardrail_summary';
COMMENT ON FUNCTION guardrail_histogram_in(cstring) IS 'input function of type guardrail_histogram';
COMMENT ON FUNCTION guardrail_histogram_out(guardrail_histogram) IS 'output function of type guardrail_histogram';
COMMENT ON FUNCTION guardrail_histogram_recv(internal) IS 'binary input function of type guardrail_histogram';
COMMENT ON FUNCTION guardrail_histogram_send(guardrail_histogram) IS 'binary output function of type guardrail_histogram';
COMMENT ON FUNCTION guardrail_summary_add(guardrail_summary, double precision) IS 'transition function of guardrail_summarize(x)';
COMMENT ON FUNCTION guardrail_summary_add(guardrail_summary, double precision, double precision) IS
  'transition function of guardrail_summarize(x, y)';
COMMENT ON FUNCTION guardrail_summary_combine(guardrail_summary, guardrail_summary) IS 'merges two summaries';
COMMENT ON AGGREGATE guardrail_summarize(double precision) IS
  'summarizes one value per unit: number of units, mean and variance; ignores NULL, leaves out and counts NaN and infinities';
COMMENT ON AGGREGATE guardrail_summarize(double precision, double precision) IS
  'summarizes two values per unit, such as numerator and denominator of a ratio';
COMMENT ON FUNCTION guardrail_summary_add(guardrail_summary, double precision, double precision, double precision) IS
  'transition function of guardrail_summarize(x, y, u)';
COMMENT ON AGGREGATE guardrail_summarize(double precision, double precision, double precision) IS
  'summarizes three values per unit: numerator and denominator of a ratio, and a covariate';
COMMENT ON AGGREGATE guardrail_rollup(guardrail_summary) IS 'merges several summaries into one over all their units';
COMMENT ON FUNCTION guardrail_units(guardrail_summary) IS 'returns the number of units in a summary';
COMMENT ON FUNCTION guardrail_skipped(guardrail_summary) IS
  'returns the number of units left out of a summary because a value was NaN or infinite';
COMMENT ON FUNCTION guardrail_mean(guardrail_summary) IS 'returns the mean of the (first) value over units; NULL without units';
COMMENT ON FUNCTION guardrail_variance(guardrail_summary) IS
  'returns the sample variance (divisor n - 1) of the (first) value over units; NULL below two units';
COMMENT ON FUNCTION guardrail_ratio(guardrail_summary) IS
  'returns the ratio of the sums of the first and the second value; NULL if the second sums to zero';
COMMENT ON FUNCTION guardrail_compare(guardrail_summary, guardrail_summary, text, double precision, text, double precision) IS
  'tests and bounds the effect between two summaries (means, or ratios of sums if they have two values): kind difference, relative (Fieller) or absolute; H0: effect = margin';
COMMENT ON FUNCTION guardrail_histogram_add(guardrail_histogram, double precision) IS 'transition function of guardrail_histogram(x)';
COMMENT ON FUNCTION guardrail_histogram_combine(guardrail_histogram, guardrail_histogram) IS 'merges two histograms';
COMMENT ON FUNCTION guardrail_histogram_final(guardrail_histogram) IS 'returns the stored form of a histogram';
COMMENT ON AGGREGATE guardrail_histogram(double precision) IS
  'counts events in the log-linear bins of a histogram; ignores NULL, leaves out and counts NaN and infinities';
COMMENT ON AGGREGATE guardrail_rollup(guardrail_histogram) IS 'merges several histograms into one over all their events';
COMMENT ON FUNCTION guardrail_events(guardrail_histogram) IS 'returns the number of events in a histogram';
COMMENT ON FUNCTION guardrail_quantile(guardrail_histogram, double precision) IS
  'returns the p-quantile of the events of a histogram, within 0.1 % of the exact value; NULL without events';
COMMENT ON FUNCTION guardrail_welch(double precision, double precision, double precision, double precision, double precision, double precision, double precision, text, double precision) IS
  'Welch''s t test of treatment - control = margin from means, sample variances and numbers of units; alternative: two-sided, greater or less';
COMMENT ON FUNCTION guardrail_relative(double precision, double precision, double precision, double precision, double precision, double precision, double precision, text, double precision, text) IS
  'tests and bounds the relative lift treatment/control - 1 (0.05 is 5 %), by Fieller''s method or the first-order delta method';
COMMENT ON FUNCTION guardrail_p_adjust(double precision[], text) IS
  'adjusts p-values for several tests and returns them in the given order; method: none, bonferroni, holm, hochberg or bh';
COMMENT ON FUNCTION guardrail_sequential(double precision, double precision, double precision, double precision, double precision, integer) IS
  'anytime-valid bounds, log e-value and p-value min(1, 1/e) of an estimate over n units, tightest at planned_n units; sides 2 tests effect = 0, sides 1 tests effect <= 0: only a lower bound, and large estimates are evidence (change the sign to test the other direction)';
COMMENT ON FUNCTION guardrail_spending_bounds(double precision[], double precision, integer, text, double precision) IS
  'returns the z bounds of looks at increasing information fractions, by Lan and DeMets; spending: obrien_fleming, pocock, or power (alpha t^phi); Infinity if a look may not spend any error yet';
COMMENT ON FUNCTION guardrail_srm_sequential(bigint[], double precision[], double precision) IS
  'anytime-valid test of unit counts against the planned shares (NULL: equal shares): log Bayes factor, half of it against Dirichlet(prior * shares) and half against the uniform distribution, and p-value min(1, 1/e)';
COMMENT ON FUNCTION guardrail_sample_size(double precision, double precision, double precision, double precision, double precision, integer, double precision) IS
  'returns the number of control units (round up) needed to find an effect beyond the margin with the given power, by normal theory; ratio: units of treatment per unit of control';
COMMENT ON FUNCTION guardrail_mde(double precision, double precision, double precision, double precision, double precision, integer) IS
  'returns the minimum detectable effect beyond the margin with the given numbers of units in treatment and control: the inverse of guardrail_sample_size()';
COMMENT ON FUNCTION guardrail_batch("any") IS
  'returns the batch, of 128, that a unit belongs to by its hash; used in the statements that guardrail generates';
COMMENT ON FUNCTION guardrail_number(numeric) IS
  'converts numeric to double precision, to infinity if it is out of range; used in the statements that guardrail generates';
COMMENT ON FUNCTION guardrail_collect_add(internal, text, text[], integer, "any", "any", "any") IS
  'transition function of guardrail_collect()';
COMMENT ON FUNCTION guardrail_collect_combine(internal, internal) IS 'merges two states of guardrail_collect()';
COMMENT ON FUNCTION guardrail_collect_serialize(internal) IS 'converts a state of guardrail_collect() to bytes';
COMMENT ON FUNCTION guardrail_collect_deserialize(bytea, internal) IS 'reads a state of guardrail_collect() from bytes';
COMMENT ON FUNCTION guardrail_collect_final(internal) IS 'final function of guardrail_collect()';
COMMENT ON AGGREGATE guardrail_collect(text, text[], integer, "any", "any", "any") IS
  'collects the metrics of an experiment in one pass over its events; called by guardrail_evaluate()';
COMMENT ON FUNCTION guardrail_experiment_check() IS 'trigger function: rejects invalid rows of guardrail_experiment';
COMMENT ON FUNCTION guardrail_rule_check() IS 'trigger function: rejects invalid rows of guardrail_rule';
COMMENT ON FUNCTION guardrail_append_only() IS 'trigger function: rejects changes to a log';
COMMENT ON TABLE guardrail_experiment IS 'experiments: where their events are, and how they are decided; one row per experiment';
COMMENT ON COLUMN guardrail_experiment.experiment_id IS 'identifier of the experiment, as written in the events';
COMMENT ON COLUMN guardrail_experiment.experiment_column IS
  'column that holds the experiment_id; NULL: every row belongs to this experiment';
COMMENT ON COLUMN guardrail_experiment.unit_column IS 'column with the unit of randomisation, of any hashable type';
COMMENT ON COLUMN guardrail_experiment.variant_column IS 'column with the variant: text, enum, integer or boolean';
COMMENT ON COLUMN guardrail_experiment.time_column IS
  'column with the time of the event; starts_at, ends_at, exposures and windows need it';
COMMENT ON COLUMN guardrail_experiment.cursor_column IS
  'column whose values only grow (identity, or time of arrival): each check reads only the events after the last check';
COMMENT ON COLUMN guardrail_experiment.exposures IS
  'assignment table with the same unit, variant and experiment columns, whose units count even without events; NULL: the first event of a unit is its exposure';
COMMENT ON COLUMN guardrail_experiment.exposed_at_column IS
  'column of exposures with the time of the exposure; the first exposure counts, and only events at or after it';
COMMENT ON COLUMN guardrail_experiment.control IS 'the reference variant';
COMMENT ON COLUMN guardrail_experiment.shares IS
  'planned traffic, such as {"control": 1, "treatment": 1}; NULL: the variants seen, in equal shares';
COMMENT ON COLUMN guardrail_experiment.starts_at IS 'only events at or after this time count';
COMMENT ON COLUMN guardrail_experiment.ends_at IS 'only events before this time count; the test is over once it has passed';
COMMENT ON COLUMN guardrail_experiment.planned_units IS 'planned number of units over all variants';
COMMENT ON COLUMN guardrail_experiment.monitoring IS
  'always_valid, group_sequential or fixed; guardrail_launch() replaces NULL by group_sequential if planned_units is given, else by always_valid';
COMMENT ON COLUMN guardrail_experiment.spending IS
  'spending function of the breach tests under group_sequential: power, pocock or obrien_fleming';
COMMENT ON COLUMN guardrail_experiment.spending_phi IS 'exponent of the spending function power';
COMMENT ON COLUMN guardrail_experiment.correction IS
  'correction of the breach tests of blocking guardrails over all variants: none, bonferroni, holm or hochberg';
COMMENT ON COLUMN guardrail_experiment.srm_alpha IS 'level of the alarm for a sample ratio mismatch (a p-value)';
COMMENT ON COLUMN guardrail_experiment.max_crossover IS
  'the test is INVALID if a larger share of units was seen in two variants (0.01 is 1 %)';
COMMENT ON COLUMN guardrail_experiment.min_units IS 'number of units per variant below which nothing is decided';
COMMENT ON COLUMN guardrail_experiment.owner IS 'role whose rights the event query runs with';
COMMENT ON COLUMN guardrail_experiment.parameter IS
  'number that each variant sets, such as {"control": 0, "low": 0.5, "high": 1}; guardrail_optimize() needs three variants';
COMMENT ON COLUMN guardrail_experiment.state IS 'draft, running or stopped; only functions change it';
COMMENT ON TABLE guardrail_rule IS 'metrics of the experiments and their limits; one row per metric';
COMMENT ON COLUMN guardrail_rule.metric IS 'short name of the metric, shown in verdicts';
COMMENT ON COLUMN guardrail_rule.severity IS 'for guardrails: block vetoes, hold prevents SHIP, warn is shown only';
COMMENT ON COLUMN guardrail_rule.kind IS
  'mean per unit, proportion of units, ratio of sums, quantile, retention, distinct values per unit, or entropy per unit';
COMMENT ON COLUMN guardrail_rule.value IS
  'SQL expression over one event: a number, or a boolean, which counts as 0 or 1; for distinct and entropy a category of any hashable type; for retention NULL means that any event is activity';
COMMENT ON COLUMN guardrail_rule.denominator IS
  'for ratios: SQL expression over one event; NULL: the number of events whose value is not null';
COMMENT ON COLUMN guardrail_rule.filter IS 'boolean SQL expression that selects the events that count';
COMMENT ON COLUMN guardrail_rule.unit_aggregate IS 'how the events of a unit are combined for a mean: sum, count, max, min or avg';
COMMENT ON COLUMN guardrail_rule.quantile IS 'for quantiles: 0.95 is p95';
COMMENT ON COLUMN guardrail_rule.at_least IS 'for proportions: a unit counts if the sum of its values reaches this number';
COMMENT ON COLUMN guardrail_rule.retention_day IS
  'for retention: a unit counts as retained if it was active on this day after exposure; only units whose day has passed completely count';
COMMENT ON COLUMN guardrail_rule.retention_time_zone IS
  'for retention: days are calendar days in this time zone; NULL: days of 24 hours from the exposure on';
COMMENT ON COLUMN guardrail_rule.window_length IS
  'only events within this time after exposure count, and only units whose window has closed';
COMMENT ON COLUMN guardrail_rule.cap_quantile IS 'unit totals are winsorised at this quantile, pooled over all variants';
COMMENT ON COLUMN guardrail_rule.cap_value IS 'unit totals are winsorised at this value';
COMMENT ON COLUMN guardrail_rule.worse IS 'direction of harm: higher or lower';
COMMENT ON COLUMN guardrail_rule.limit_kind IS
  'absolute (the treatment''s own value), difference (treatment - control), relative (0.05 is 5 % of control) or significance (no margin)';
COMMENT ON COLUMN guardrail_rule.limit_value IS
  'limit in the metric''s unit; non-negative for difference and relative; for the primary metric the minimum improvement required';
COMMENT ON COLUMN guardrail_rule.evidence IS
  'point: the estimate decides; breach: the rule vetoes if harm beyond the limit is proven; safe: SHIP also needs proof that the harm is within the limit';
COMMENT ON COLUMN guardrail_rule.alpha IS 'level of the tests: one-sided for guardrails (default 0.10), two-sided for other roles (0.05)';
COMMENT ON COLUMN guardrail_rule.display_unit IS
  'unit shown in the reasons: ms, EUR, ...; % shows a fraction in per cent and percentage points';
COMMENT ON COLUMN guardrail_rule.segment_veto IS
  'true: an alarm in a segment BLOCKs like the guardrail itself; NULL or false: it is shown only';
COMMENT ON SEQUENCE guardrail_check_id IS 'numbers of the checks';
COMMENT ON COLUMN guardrail_check_log.cannibalization IS 'the metrics that won and those that lost; NULL unless there are both';
COMMENT ON TABLE guardrail_check_log IS
  'every check ever recorded, one row per treatment variant; append-only; column error holds the reason why a check failed';
COMMENT ON TABLE guardrail_result_log IS 'the metrics of every check ever recorded, one row per treatment variant and metric; append-only';
COMMENT ON TABLE guardrail_look_state IS
  'cache of the bounds of earlier looks under group_sequential, so that the next look costs one step; computed again if missing';
COMMENT ON VIEW guardrail_verdict IS 'the last recorded check: one row per experiment and treatment variant';
COMMENT ON VIEW guardrail_result IS 'the last recorded check: one row per experiment, treatment variant and metric';
COMMENT ON FUNCTION guardrail_status() IS 'returns the current status of every running experiment, one line per treatment variant';
COMMENT ON FUNCTION guardrail_explain(text) IS
  'explains a verdict: prints the SQL statement, the counts, and the formulas with their numbers';
COMMENT ON PROCEDURE guardrail_check(text) IS
  'evaluates one experiment, or all running experiments, records the verdicts, and notifies channel guardrail of changed verdicts';
COMMENT ON FUNCTION guardrail_launch(text) IS 'launches a draft: checks the whole plan, registers it in guardrail_plan, and freezes it';
COMMENT ON FUNCTION guardrail_stop(text) IS 'ends a running experiment';
COMMENT ON FUNCTION guardrail_assert_shippable(text, text, interval) IS
  'raises an error unless the recorded verdict is SHIP and newer than the interval; for deploy jobs';
COMMENT ON COLUMN guardrail_plan.plan_hash IS 'SHA-256 of the plan text in UTF-8, in hexadecimal digits';
COMMENT ON COLUMN guardrail_plan.previous_hash IS 'plan_hash of the previous version; NULL for the first version';
COMMENT ON COLUMN guardrail_plan.made_by IS 'session role that launched or amended the plan';
COMMENT ON COLUMN guardrail_plan.reason IS 'reason given for the amendment';
COMMENT ON COLUMN guardrail_plan.after_data IS 'true if events of the experiment had arrived before this version was made';
COMMENT ON COLUMN guardrail_plan.plan IS
  'canonical text of the plan, as JSON: the experiment, its rules, and the definitions they depend on';
COMMENT ON FUNCTION guardrail_definitions(regclass) IS
  'returns the queries of a view and of the views below it, and the functions they call';
COMMENT ON FUNCTION guardrail_plan_functions(text) IS
  'returns the functions that the expressions of an experiment''s rules call directly, without the server''s own; NULL if an expression no longer fits the events';
COMMENT ON FUNCTION guardrail_plan_body(text) IS 'returns the current rows of an experiment and its rules in the form of a plan';
COMMENT ON FUNCTION guardrail_plan_text(jsonb, integer, text, timestamptz, text, text, boolean, text, integer) IS
  'returns the canonical text of a plan; its SHA-256 is the plan''s hash';
COMMENT ON FUNCTION guardrail_plan_register(text, jsonb, integer, text, text, boolean) IS
  'stores a version of a plan; called by guardrail_launch() and guardrail_amend()';
COMMENT ON FUNCTION guardrail_plan_differences(text, jsonb, jsonb) IS 'describes the differences between two parts of a plan';
COMMENT ON FUNCTION guardrail_plan_chain(text) IS
  'checks each stored version of a plan and describes what is wrong with it; NULL if nothing is';
COMMENT ON FUNCTION guardrail_plan_present(text) IS
  'describes the differences between the current rows of an experiment and its plan; returns no row if there are none';
COMMENT ON FUNCTION guardrail_plan_intact(text) IS
  'returns true if all versions of a plan are as registered and the rows match the last version; if false, guardrail_verify() describes the differences';
COMMENT ON FUNCTION guardrail_verify(text) IS
  'recomputes the hash chain of an experiment''s plans and compares the last version with the current rows; returns one row per version, and describes each mismatch';
COMMENT ON FUNCTION guardrail_amend(text, text, jsonb) IS
  'changes a running plan and records the reason; changes: {"experiment": {column: value}, "rules": {metric: {column: value} or null}}; returns the number of the new version';
COMMENT ON FUNCTION guardrail_frozen() IS 'trigger function: rejects changes to a launched plan';
COMMENT ON TABLE guardrail_check_input IS
  'inputs of each check: summaries of the events, and the state that earlier checks left; guardrail_replay() repeats the decision from them; append-only';
COMMENT ON COLUMN guardrail_check_input.ended IS 'true if ends_at had passed';
COMMENT ON COLUMN guardrail_check_input.snapshot IS 'transactions whose events the check saw, as of pg_current_snapshot()';
COMMENT ON COLUMN guardrail_check_input.spec IS 'description of the collection; metrics: the number of each rule in it, by role and name';
COMMENT ON COLUMN guardrail_check_input.collection IS 'counts, moments and histograms per variant';
COMMENT ON COLUMN guardrail_check_input.past IS 'looks, smallest p-values and latched breaches of earlier checks';
COMMENT ON FUNCTION guardrail_prune(interval) IS
  'removes checks older than the interval, except the first and last check of each variant, those around a change of its verdict, and those that current plans depend on; returns the number of checks removed';
COMMENT ON FUNCTION guardrail_unit_hash("any") IS
  'returns the hash that identifies a unit; used in the statements that guardrail generates';
COMMENT ON FUNCTION guardrail_collect_units_add(internal, text, text[], integer, "any", "any", "any") IS
  'transition function of guardrail_collect_units(); its units must fit guardrail.unit_memory';
COMMENT ON AGGREGATE guardrail_collect_units(text, text[], integer, "any", "any", "any") IS
  'collects the units of an experiment as bytes in one pass over its events; called by guardrail_check()';
COMMENT ON TABLE guardrail_watermark IS 'position up to which guardrail_slice stores the events of an experiment with a cursor';
COMMENT ON COLUMN guardrail_watermark.fingerprint IS
  'fingerprint of everything the slices depend on; if it changes, they are computed again';
COMMENT ON COLUMN guardrail_watermark."position" IS 'value of the cursor_column up to which events are stored';
COMMENT ON COLUMN guardrail_watermark.arms IS 'names of the variants that the slices number from 0';
COMMENT ON COLUMN guardrail_watermark.totals IS
  'sums over the units of all slices, from which units can be subtracted again; NULL: not kept';
COMMENT ON TABLE guardrail_slice IS
  'data collected from a range of an experiment''s events: its units in the order of their hashes, in parts';
COMMENT ON COLUMN guardrail_slice.slice IS 'number of the slice within its experiment, the oldest first';
COMMENT ON COLUMN guardrail_slice.part IS '0 is the head, with row counts and histograms of events; the other parts hold units';
COMMENT ON COLUMN guardrail_slice.from_cursor IS
  'value of the cursor_column after which the slice''s events begin; NULL: from the first event on';
COMMENT ON COLUMN guardrail_slice.to_cursor IS 'last value of the cursor_column in the slice';
COMMENT ON COLUMN guardrail_slice.units IS 'number of units in the part';
COMMENT ON COLUMN guardrail_slice.state IS 'stored data of the part; see doc/incremental.md';
COMMENT ON FUNCTION guardrail_slice_check() IS
  'trigger function: rejects a cursor_column that cannot be followed, and rules that cannot be stored';
COMMENT ON FUNCTION guardrail_rebuild(text, text, text) IS
  'computes the slices of an experiment that overlap the range of its cursor again, or all slices; returns their number; for members of its owner';
COMMENT ON FUNCTION guardrail_audit(text) IS
  'returns the differences between an experiment''s slices and its events, no row if they agree; for members of its owner';
COMMENT ON FUNCTION guardrail_category("any") IS
  'returns 53 bits of the hash of a value of any hashable type, as a number; used in the statements that guardrail generates';
COMMENT ON FUNCTION guardrail_distinct(double precision[]) IS
  'counts the different numbers in an array; used in the statements that guardrail generates';
COMMENT ON FUNCTION guardrail_entropy(double precision[]) IS
  'returns the Shannon entropy, in bits, of the frequencies of an array''s numbers; used in the statements that guardrail generates';
COMMENT ON FUNCTION guardrail_segment_value(text, integer) IS
  'returns "v" and the value while at most the given number of different values has been seen, and "o" after that; used in the statements that guardrail generates';
COMMENT ON AGGREGATE guardrail_collect_segment(text, text[], integer, "any", "any", "any") IS
  'variant of guardrail_collect() for many groups, each with a part of the units; called by guardrail_evaluate()';
COMMENT ON FUNCTION guardrail_segment_check() IS 'trigger function: rejects segments that cannot be judged';
COMMENT ON TABLE guardrail_segment_log IS
  'the segments of every check ever recorded, one row per segment, value, treatment variant and guardrail; append-only';
COMMENT ON COLUMN guardrail_segment_log.segment IS 'expression of the segment, as in guardrail_experiment.segments';
COMMENT ON COLUMN guardrail_segment_log.value IS 'value of the expression as text; NULL: the units whose value is NULL';
COMMENT ON COLUMN guardrail_segment_log.log_e IS 'natural logarithm of the e-value against "no harm beyond the limit", under always_valid';
COMMENT ON COLUMN guardrail_segment_log.tests IS 'number of tests that were adjusted together';
COMMENT ON COLUMN guardrail_segment_log.p_breach_adjusted IS 'p-value after e-BH or BH over all these tests; an alarm if at most alpha';
COMMENT ON TABLE guardrail_segment_input IS
  'inputs of the segments of a check, stored if one raised an alarm or a rule has segment_veto; see guardrail_check_input; append-only';
COMMENT ON COLUMN guardrail_segment_input.expression IS 'position of the expression in guardrail_experiment.segments, from 0';
COMMENT ON COLUMN guardrail_segment_input.why IS 'reason why the expression was not judged';
COMMENT ON VIEW guardrail_segment_result IS
  'the last recorded check: one row per experiment, segment, value, treatment variant and guardrail';
COMMENT ON FUNCTION guardrail_covariance(text) IS
  'returns the current joint covariance of the effects of every two metrics in each treatment variant; reason says why a pair has none';
COMMENT ON FUNCTION guardrail_cannibalization(text) IS
  'returns each current pair of a metric that won and a metric that lost, with their joint region and the rate of exchange';
COMMENT ON FUNCTION guardrail_choose(text) IS
  'chooses, among the variants whose primary metric WON and whose guardrails are all SAFE, the one with the largest gain; returns one row per variant and guardrail, with the frontier and the cost of the guardrail';
COMMENT ON FUNCTION guardrail_optimize(text) IS
  'if the variants are settings of one number (guardrail_experiment.parameter): returns the setting that is best for the primary metric and proven to stay within the limits of every blocking guardrail';

-- what version 0.1.0 launched, before plans were registered, is registered as it is now; by the newest script, since the
-- functions are the library's
ALTER TABLE guardrail_experiment DISABLE TRIGGER USER;
WITH registered AS (
  SELECT experiment_id, guardrail_plan_register(experiment_id, guardrail_plan_body(experiment_id), plan_version, session_user::text,
    'launched before plans were registered'::text, true) AS plan_hash
  FROM guardrail_experiment WHERE state <> 'draft' AND plan_hash IS NULL)
UPDATE guardrail_experiment e SET plan_hash = r.plan_hash FROM registered r WHERE r.experiment_id = e.experiment_id;
ALTER TABLE guardrail_experiment ENABLE TRIGGER USER;

-- ---- stored slices that are whole or are not used ---------------------------

-- what an earlier version stored is computed again by the next check
TRUNCATE guardrail_watermark, guardrail_slice;
ALTER TABLE guardrail_watermark ADD seals bigint[], ADD units bigint, ADD checksum bigint;
COMMENT ON COLUMN guardrail_watermark.seals IS 'one random number for each slice, the oldest first: the checksums in the rows of the slice depend on it';
COMMENT ON COLUMN guardrail_watermark.units IS 'the number of units in all slices; a unit counts once for each slice that has it';
COMMENT ON COLUMN guardrail_watermark.checksum IS 'checksum of this row and of the ranges of the slices; slices that do not fit it are computed again';
-- a restore may load these tables in any order; what goes with the rows of the watermark must go on
ALTER TABLE guardrail_slice DROP CONSTRAINT guardrail_slice_experiment_id_fkey;
ALTER TABLE guardrail_watermark DISABLE TRIGGER ALL;
ALTER TABLE guardrail_slice ADD CONSTRAINT guardrail_slice_experiment_id_fkey FOREIGN KEY (experiment_id)
  REFERENCES guardrail_watermark ON UPDATE CASCADE ON DELETE CASCADE;
ALTER TABLE guardrail_slice DISABLE TRIGGER ALL;

-- an experiment over a temporary table, or over an index, is left out of dumps, where it would fail the others
SELECT pg_catalog.pg_extension_config_dump('guardrail_experiment', 'WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class c'
  ' WHERE c.oid IN (events::pg_catalog.oid, exposures::pg_catalog.oid) AND (c.relpersistence = ''t'' OR c.relkind IN (''i'', ''I'', ''t'')))');

ALTER TABLE guardrail_check_input ADD checksum bigint, ADD failures text[], ADD surplus_arms boolean, ADD decided text;
COMMENT ON COLUMN guardrail_check_input.failures IS 'for each rule, why its expressions could not be evaluated; NULL: they were';
COMMENT ON COLUMN guardrail_check_input.surplus_arms IS 'true if the events had too many variant names; the rows of the rarest were left out';
COMMENT ON COLUMN guardrail_check_input.decided IS 'the check that decided a fixed test before this one; NULL: there was none';
COMMENT ON COLUMN guardrail_check_input.checksum IS 'checksum of the row and of its rows in guardrail_segment_input; guardrail_replay() refuses what does not fit it';
