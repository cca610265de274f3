
-- Five experiments, all on the one table of events. Each was planned for so many users, half of them in each arm, so
-- its error is spent over that plan (group_sequential); one goes on being watched after its end (always_valid). The last
-- is a canary: one user in twenty.
CREATE EXTENSION guardrail;

INSERT INTO guardrail_experiment (experiment_id, events, planned_units, shares, monitoring)
VALUES ('checkout_redesign_2026q2', 'experiment_events', 20000, '{"control": 1, "treatment": 1}', NULL),
       ('search_ranking_2026q2',    'experiment_events', 20000, '{"control": 1, "treatment": 1}', 'always_valid'),
       ('loyalty_banner_2026q2',    'experiment_events',  6000, '{"control": 1, "treatment": 1}', NULL),
       ('signup_form_2026q2',       'experiment_events', 16000, '{"control": 1, "treatment": 1}', NULL),
       ('app_canary_2026q2',        'experiment_events',  5000, '{"control": 19, "treatment": 1}', NULL);

-- The same rules for all. Conversion is what they are for. Three things must not break: slow loads (95th percentile,
-- 200 ms), crashes (0.1 percentage points), and revenue per user, where a loss of 2 % has to be ruled out.
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, quantile, worse,
                            limit_kind, limit_value, evidence, display_unit)
SELECT experiment_id, rule.*
  FROM guardrail_experiment,
       (VALUES ('conversion', 'primary',   'proportion', 'converted',    NULL::float8, 'lower',  'relative',   0,     'breach', NULL),
               ('load',       'guardrail', 'quantile',   'page_load_ms', 0.95,         'higher', 'difference', 200,   'breach', 'ms'),
               ('crash',      'guardrail', 'ratio',      'crashed',      NULL,         'higher', 'difference', 0.001, 'breach', '%'),
               ('revenue',    'guardrail', 'mean',       'revenue',      NULL,         'lower',  'relative',   0.02,  'safe',   NULL)
       ) AS rule;

-- Launching registers and freezes the plans. The events of this demo are there already; each verdict will say so.
SELECT experiment_id, guardrail_launch(experiment_id) FROM guardrail_experiment;
SELECT experiment_id, monitoring FROM guardrail_experiment ORDER BY 1;
