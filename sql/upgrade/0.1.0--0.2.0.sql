-- guardrail: made from sql/upgrade and sql/parts by make; edit there.
\echo Use "ALTER EXTENSION guardrail UPDATE TO '0.2.0'" to load this file. \quit

-- Copyright (C) 2026 the guardrail developers. GPL-3.0-or-later.

COMMENT ON FUNCTION guardrail_launch(text) IS 'set a draft running: checks its plan whole, registers it in guardrail_plan, and freezes it';
COMMENT ON COLUMN guardrail_experiment.cursor_column IS 'an ever-growing column (identity, or time of arrival): checks read only the events after the last check';

-- what a check needs of earlier ones must not cost more with each of them
DROP INDEX guardrail_result_log_experiment;
CREATE INDEX guardrail_result_log_arm ON guardrail_result_log (experiment_id, variant, metric, check_id);
CREATE INDEX guardrail_check_log_look ON guardrail_check_log (experiment_id, plan_version, look_no) WHERE look_no IS NOT NULL;

-- results name their plan
CREATE OR REPLACE VIEW guardrail_result AS
  SELECT l.experiment_id, l.variant, l.metric, l.role, l.severity, l.kind, l.north_star, l.control_value,
    l.treatment_value, l.control_se, l.treatment_se, l.effect, l.effect_lower, l.effect_upper, l.limit_kind,
    l.limit_value, l.evidence, l.alpha, l.p_breach, l.p_breach_adjusted, l.p_safe, l.p_value,
    l.p_value_adjusted, l.status, l.reason, l.units_control, l.units_treatment, l.events_control,
    l.events_treatment, l.units_needed, l.display_unit,
    l.checked_at, l.check_id, l.plan_version
  FROM guardrail_experiment e
  CROSS JOIN LATERAL (
    SELECT m.check_id FROM guardrail_check_log m
    WHERE m.experiment_id = e.experiment_id AND m.checked_at >= e.launched_at
    ORDER BY m.check_id DESC LIMIT 1) last
  JOIN guardrail_result_log l ON l.check_id = last.check_id AND l.experiment_id = e.experiment_id;

-- arms that are settings of one number; what was won at the cost of what
ALTER TABLE guardrail_experiment ADD COLUMN parameter jsonb;
COMMENT ON COLUMN guardrail_experiment.parameter IS 'arms that are settings of one number, such as {"control": 0, "low": 0.5, "high": 1}; guardrail_optimize() needs three';
ALTER TABLE guardrail_check_log ADD COLUMN cannibalization text;
COMMENT ON COLUMN guardrail_check_log.cannibalization IS 'which metrics won and which lost, where both has happened';
CREATE OR REPLACE VIEW guardrail_verdict AS
  SELECT l.experiment_id, l.variant, l.verdict, l.status, l.reason, l.primary_metric, l.primary_status,
    l.primary_effect, l.primary_lower, l.primary_upper, l.guardrails, l.breached, l.safe, l.undecided,
    l.no_data, l.srm_p, l.crossover_share, l.crossover_units, l.units_control, l.units_treatment,
    l.events_control, l.events_treatment, l.null_unit_rows, l.unknown_arm_rows, l.monitoring, l.information,
    l.error, l.checked_at, l.check_id, l.plan_version, l.cannibalization
  FROM guardrail_experiment e
  CROSS JOIN LATERAL (
    SELECT m.check_id FROM guardrail_check_log m
    WHERE m.experiment_id = e.experiment_id AND m.checked_at >= e.launched_at
    ORDER BY m.check_id DESC LIMIT 1) last
  JOIN guardrail_check_log l ON l.check_id = last.check_id AND l.experiment_id = e.experiment_id;
-- ---- exposures and windows ------------------------------------------------

ALTER TABLE guardrail_rule ADD COLUMN retention_time_zone text;
COMMENT ON COLUMN guardrail_experiment.exposures IS 'assignment table with the same unit, variant and experiment columns: its units count even without events; NULL: a unit''s first event is its exposure';
COMMENT ON COLUMN guardrail_experiment.exposed_at_column IS 'time of the exposure, in exposures; the first counts, and only events at or after it';
COMMENT ON COLUMN guardrail_experiment.time_column IS 'time of the event; starts_at, ends_at, exposures and windows need it';
COMMENT ON COLUMN guardrail_rule.kind IS 'mean per unit, proportion of units, ratio of sums, quantile, retention, distinct values per unit, entropy per unit';
COMMENT ON COLUMN guardrail_rule.value IS 'SQL expression over one event: a number or a boolean, which counts as 0 or 1; of distinct and entropy a category of any type; of retention NULL: any event is activity';
COMMENT ON COLUMN guardrail_rule.at_least IS 'of a proportion: a unit counts when its summed value reaches this';
COMMENT ON COLUMN guardrail_rule.retention_day IS 'of retention: active on this day after exposure; only units whose day has wholly passed count';
COMMENT ON COLUMN guardrail_rule.retention_time_zone IS 'of retention: days of the calendar in this time zone; NULL: of 24 hours from the exposure on';
COMMENT ON COLUMN guardrail_rule.window_length IS 'only events this long after exposure count, and only units whose window has closed';

-- ---- segments: sql/parts/85_segment.sql has the rest ------------------------

ALTER TABLE guardrail_experiment ADD COLUMN segments text[];
ALTER TABLE guardrail_rule ADD COLUMN segment_veto boolean;
COMMENT ON COLUMN guardrail_experiment.segments IS 'SQL expressions over one event, constant per unit, such as {device,country}: every guardrail is also judged for each of their values';
COMMENT ON COLUMN guardrail_rule.segment_veto IS 'true: an alarm in a segment BLOCKs as the guardrail itself does; NULL or false: it is shown only';
