
-- Record it all. What a dashboard reads from then on is a view that costs no scan of the events.
CALL guardrail_check();

SELECT experiment_id, variant, verdict, status FROM guardrail_verdict ORDER BY experiment_id;
