
-- what was launched before plans were registered is registered as it is now
ALTER TABLE guardrail_experiment DISABLE TRIGGER USER;
WITH registered AS (
  SELECT experiment_id, guardrail_plan_register(experiment_id, guardrail_plan_body(experiment_id), plan_version, session_user::text,
    'launched before plans were registered'::text, true) AS plan_hash
  FROM guardrail_experiment WHERE state <> 'draft')
UPDATE guardrail_experiment e SET plan_hash = r.plan_hash FROM registered r WHERE r.experiment_id = e.experiment_id;
ALTER TABLE guardrail_experiment ENABLE TRIGGER USER;

-- rules may be restored before their experiments
ALTER TABLE guardrail_rule DISABLE TRIGGER ALL;
ALTER TABLE guardrail_rule ENABLE TRIGGER USER;
