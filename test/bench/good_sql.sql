WITH units AS (
  SELECT user_id, min(variant) AS variant, max(variant) AS other, count(page_load_ms)::float8 AS loads,
         coalesce(sum(page_load_ms), 0) AS load, count(*)::float8 AS events, sum(crashed::int)::float8 AS crashes,
         sum(revenue)::float8 AS revenue
    FROM :table WHERE experiment_id = :'experiment' GROUP BY user_id),
arms AS (
  SELECT variant, count(*) AS units, sum(loads), sum(load), sum(events), sum(crashes), sum(revenue),
         sum(load * load), sum(loads * loads), sum(load * loads), sum(crashes * crashes), sum(events * events),
         sum(crashes * events), sum(revenue * revenue)
    FROM units WHERE variant = other GROUP BY variant),
percentiles AS (
  SELECT variant, percentile_cont(0.95) WITHIN GROUP (ORDER BY page_load_ms) AS p95
    FROM :table WHERE experiment_id = :'experiment' GROUP BY variant)
SELECT * FROM arms JOIN percentiles USING (variant);
