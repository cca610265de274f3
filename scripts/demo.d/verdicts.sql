
-- guardrail on the same events: on average the pages are quick enough, the slow ones are not.
SELECT guardrail_status('checkout_redesign_2026q2');

SELECT metric, status, reason FROM guardrail_evaluate('checkout_redesign_2026q2');

-- More conversions do not buy it out.
SELECT variant, verdict, status, reason FROM guardrail_decide('checkout_redesign_2026q2');

-- All experiments that are running, one line per arm.
SELECT guardrail_status();

-- This may ship.
SELECT metric, status, reason FROM guardrail_evaluate('search_ranking_2026q2');
SELECT variant, verdict, status, reason FROM guardrail_decide('search_ranking_2026q2');

-- Nothing is broken here, but nobody can tell whether revenue is safe.
SELECT metric, status, reason FROM guardrail_evaluate('loyalty_banner_2026q2');
SELECT variant, verdict, status, reason FROM guardrail_decide('loyalty_banner_2026q2');

-- Users are missing from one arm, so none of its numbers can be trusted.
SELECT variant, verdict, status, reason FROM guardrail_decide('signup_form_2026q2');

-- A canary of three hundred users sells twice as much, and crashes. So few are enough to see it.
SELECT metric, status, reason FROM guardrail_evaluate('app_canary_2026q2');
SELECT variant, verdict, status, reason FROM guardrail_decide('app_canary_2026q2');
