-- guardrail: made from sql/upgrade and sql/parts by make; edit there.
\echo Use "ALTER EXTENSION guardrail UPDATE TO '0.2.0'" to load this file. \quit

-- Copyright (C) 2026 the guardrail developers. GPL-3.0-or-later.

COMMENT ON FUNCTION guardrail_launch(text) IS 'set a draft running: checks its plan whole, registers it in guardrail_plan, and freezes it';
COMMENT ON COLUMN guardrail_experiment.cursor_column IS 'an ever-growing column (identity, or time of arrival): checks read only the events after the last check';

-- what a check needs of earlier ones must not cost more with each of them
DROP INDEX guardrail_result_log_experiment;
CREATE INDEX guardrail_result_log_arm ON guardrail_result_log (experiment_id, variant, metric, check_id);
CREATE INDEX guardrail_check_log_look ON guardrail_check_log (experiment_id, plan_version, look_no) WHERE look_no IS NOT NULL;

-- ---- segments: sql/parts/85_segment.sql has the rest ------------------------

ALTER TABLE guardrail_experiment ADD COLUMN segments text[];
ALTER TABLE guardrail_rule ADD COLUMN segment_veto boolean;
COMMENT ON COLUMN guardrail_experiment.segments IS 'SQL expressions over one event, constant per unit, such as {device,country}: every guardrail is also judged for each of their values';
COMMENT ON COLUMN guardrail_rule.segment_veto IS 'true: an alarm in a segment BLOCKs as the guardrail itself does; NULL or false: it is shown only';
