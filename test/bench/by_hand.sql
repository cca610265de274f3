WITH metrics AS (
  SELECT variant, AVG(page_load_ms) AS load_ms, AVG(CASE WHEN crashed THEN 1.0 ELSE 0 END) AS crash_rate,
         SUM(revenue) * 1.0 / COUNT(DISTINCT user_id) AS rev_per_user
    FROM :table WHERE experiment_id = :'experiment' GROUP BY variant)
SELECT t.load_ms - c.load_ms, t.crash_rate - c.crash_rate, t.rev_per_user / c.rev_per_user - 1
  FROM metrics t, metrics c WHERE t.variant = 'treatment' AND c.variant = 'control';
