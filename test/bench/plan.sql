-- The experiments of the table :table, with four metrics: mean load, crash rate, revenue per user, and the 95th
-- percentile of the load with its interval clustered by user.
INSERT INTO guardrail_experiment (experiment_id, events, planned_units, shares, monitoring)
SELECT :'table' || ' ' || n, :'table', :users, '{"control": 1, "treatment": 1}', 'always_valid'
  FROM generate_series(1, :experiments) AS n;

INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, quantile, worse, limit_kind, limit_value)
SELECT :'table' || ' ' || n, rule.*
  FROM generate_series(1, :experiments) AS n,
       (VALUES ('load',    'guardrail', 'ratio',    'page_load_ms', NULL::float8, 'higher', 'difference', 200),
               ('crash',   'guardrail', 'ratio',    'crashed',      NULL,         'higher', 'difference', 0.001),
               ('revenue', 'primary',   'mean',     'revenue',      NULL,         'lower',  'relative',   0.02),
               ('slow',    'guardrail', 'quantile', 'page_load_ms', 0.95,         'higher', 'difference', 200)) AS rule;
