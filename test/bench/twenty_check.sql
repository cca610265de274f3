CALL guardrail_check();
