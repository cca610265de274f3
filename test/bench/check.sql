CALL guardrail_check(:'table');
