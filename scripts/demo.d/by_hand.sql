
-- The check that most teams write by hand: three averages against three limits.
WITH metrics AS (
  SELECT variant, AVG(page_load_ms) AS load_ms, AVG(CASE WHEN crashed THEN 1.0 ELSE 0 END) AS crash_rate,
         SUM(revenue) * 1.0 / COUNT(DISTINCT user_id) AS rev_per_user
  FROM experiment_events WHERE experiment_id = 'checkout_redesign_2026q2' GROUP BY variant)
SELECT round((t.load_ms - c.load_ms)::numeric, 1) AS load_delta_ms,
       round((t.crash_rate - c.crash_rate) * 100, 3) AS crash_delta_pp,
       round((t.rev_per_user / c.rev_per_user - 1) * 100, 2) AS rev_delta_pct,
       CASE WHEN t.load_ms - c.load_ms > 200 THEN 'BLOCK: load'
            WHEN t.crash_rate - c.crash_rate > 0.001 THEN 'BLOCK: crash'
            WHEN t.rev_per_user / c.rev_per_user < 0.98 THEN 'BLOCK: revenue' ELSE 'OK' END AS guardrail_status
FROM metrics t JOIN metrics c ON t.variant = 'treatment' AND c.variant = 'control';
