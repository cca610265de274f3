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
