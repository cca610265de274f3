
-- A release breaks the arm that was about to ship: one visit in twenty crashes.
INSERT INTO experiment_events (experiment_id, user_id, variant, occurred_at, page_load_ms, crashed, revenue, converted)
SELECT experiment_id, user_id, variant, max(occurred_at) + interval '1 hour', avg(page_load_ms),
       demo_uniform(20, user_id) < 0.05, 0, false
  FROM experiment_events
 WHERE experiment_id = 'search_ranking_2026q2' AND variant = 'treatment'
 GROUP BY experiment_id, variant, user_id;
