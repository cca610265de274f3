-- guardrail: made from sql/upgrade and sql/parts by make; edit there.
\echo Use "ALTER EXTENSION guardrail UPDATE TO '0.2.0'" to load this file. \quit

-- Copyright (C) 2026 the guardrail developers. GPL-3.0-or-later.

COMMENT ON FUNCTION guardrail_launch(text) IS 'set a draft running: checks its plan whole, registers it in guardrail_plan, and freezes it';

-- what a check needs of earlier ones must not cost more with each of them
DROP INDEX guardrail_result_log_experiment;
CREATE INDEX guardrail_result_log_arm ON guardrail_result_log (experiment_id, variant, metric, check_id);
CREATE INDEX guardrail_check_log_look ON guardrail_check_log (experiment_id, plan_version, look_no) WHERE look_no IS NOT NULL;
