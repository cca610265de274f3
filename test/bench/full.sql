SELECT metric, status FROM guardrail_evaluate(:'table');
