SELECT count(*) FROM generate_series(1, 20) AS n, guardrail_evaluate('events_10_of_20 ' || n);
