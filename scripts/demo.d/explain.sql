
-- Meanwhile: what it would take to decide about the banner.
SELECT guardrail_explain('loyalty_banner_2026q2');
