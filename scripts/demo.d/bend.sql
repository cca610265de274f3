
-- "It is only 300 ms, that is fine", says somebody now.
\set ON_ERROR_STOP off
UPDATE guardrail_rule SET limit_value = 1000 WHERE experiment_id = 'checkout_redesign_2026q2' AND metric = 'load';
\set ON_ERROR_STOP on

-- The plan is what was registered, and the verdict is what its check decided from.
SELECT version, reason, after_data, intact, left(plan_hash, 16) AS plan_hash FROM guardrail_verify('checkout_redesign_2026q2');

SELECT variant, verdict, identical
  FROM guardrail_verdict v, LATERAL (SELECT identical FROM guardrail_replay(v.check_id) r WHERE r.variant = v.variant) AS replayed
 WHERE experiment_id = 'checkout_redesign_2026q2';
