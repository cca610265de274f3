-- What good_sql.sql computes, and the interval of the percentile, clustered by batches of users (Woodruff): the share of
-- events below the percentile in each batch, the standard error of that share, and the percentiles that far apart, for
-- which only events above the 90th percentile are sorted.
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
percentiles AS MATERIALIZED (
  SELECT variant, percentile_cont(ARRAY[0.9, 0.95]) WITHIN GROUP (ORDER BY page_load_ms) AS p
    FROM :table WHERE experiment_id = :'experiment' GROUP BY variant),
batches AS (
  SELECT variant, hashint8(user_id) & 127 AS batch, count(*) FILTER (WHERE page_load_ms < p[2])::float8 AS below,
         count(page_load_ms)::float8 AS total
    FROM :table JOIN percentiles USING (variant) WHERE experiment_id = :'experiment' GROUP BY 1, 2),
shares AS (
  SELECT variant, sum(below) / sum(total) AS share, sum(below * below) AS bb, sum(below * total) AS bt,
         sum(total * total) AS tt, sum(total) AS t, count(*)::float8 AS n
    FROM batches GROUP BY variant),
errors AS MATERIALIZED (
  SELECT variant, sqrt(n / (n - 1) * (bb - 2 * share * bt + share * share * tt)) / t AS se FROM shares),
bounds AS (
  SELECT variant, percentile_cont(ARRAY[(0.05 - 2.5 * se) / 0.1, (0.05 + 2.5 * se) / 0.1]) WITHIN GROUP (ORDER BY page_load_ms)
    FROM :table JOIN percentiles USING (variant) JOIN errors USING (variant)
   WHERE experiment_id = :'experiment' AND page_load_ms > p[1] GROUP BY variant, se)
SELECT * FROM arms JOIN percentiles USING (variant) JOIN errors USING (variant) JOIN bounds USING (variant);
