-- Events to measure on: numbers :first to :last of them, of :users users in :experiments experiments, into the table
-- :table, whose unit column is of the type :unit; their experiments are called :name 1, :name 2 and so on.
--
-- Every random number is a hash of (what for, who or which event), so the table is the same on every machine. A user's
-- share of the events falls with the square root of his number: most have six, a few have thousands. Events come in no
-- order of users, as they do when they come in the order of time.
INSERT INTO :table
SELECT :'name' || ' ' || experiment, bench_unit(who, CAST (NULL AS :unit)), variant,
       '2026-01-01'::timestamptz + n * interval '1 month' / :events,
       CASE WHEN bench_uniform(1, n) >= 0.02
            THEN exp(6 + 0.4 * bench_normal(2, who) + 0.6 * bench_normal(4, n)) + 20 * (variant = 'treatment')::int END,
       bench_uniform(6, n) < 0.01,
       CASE WHEN bench_uniform(7, n) < 0.8 THEN 0 ELSE round(exp(3 + bench_normal(8, n))::numeric, 2) END
  FROM (SELECT n, who, 1 + n % :experiments AS experiment,
               CASE WHEN bench_uniform(10, who) < 0.5 THEN 'control' ELSE 'treatment' END AS variant
          FROM generate_series(:first::bigint, :last) AS n,
               LATERAL (SELECT floor(:users * bench_uniform(11, n) ^ 2)::bigint AS who OFFSET 0) AS unit) AS row;
