
-- ---- experiments whose ids are integers -----------------------------------
--
-- guardrail_status(1042) is guardrail_status('1042'); a literal in quotes, or NULL, is text.

@integers@
