-- Events that have only a date beside exposures that have a time: days are compared with days.
--
-- Expected: counted by hand from the series that the users are made of; on random days the same in plain SQL, unit by unit.
SET client_min_messages = warning;
CREATE EXTENSION guardrail;
CREATE SCHEMA dates_test;
SET search_path = dates_test, public;

-- 2000 users exposed at 10:00 UTC on 5 January; half order on that day only, a tenth on the next
CREATE TABLE exposure (experiment_id text, user_id int, variant text, exposed_at timestamptz);
CREATE TABLE daily (user_id int, day date, orders int);
INSERT INTO exposure SELECT 'd', u, CASE u % 2 WHEN 0 THEN 'control' ELSE 'treatment' END, '2026-01-05 10:00+00' FROM generate_series(0, 1999) u;
INSERT INTO daily SELECT u, '2026-01-05', 1 FROM generate_series(0, 1999) u WHERE (u / 2) % 2 = 0;
INSERT INTO daily SELECT u, '2026-01-06', 1 FROM generate_series(0, 1999) u WHERE (u / 2) % 10 = 1;
-- and everybody on the day before, which does not count
INSERT INTO daily SELECT u, '2026-01-04', 1 FROM generate_series(0, 1999) u;
INSERT INTO guardrail_experiment (experiment_id, events, time_column, exposures, planned_units, monitoring, shares) VALUES ('d', 'daily', 'day', 'exposure', 2000, 'fixed', '{"control": 1, "treatment": 1}');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, window_length, retention_day, retention_time_zone, worse, limit_kind, limit_value) VALUES
 ('d', 'buyers', 'primary', 'proportion', 'orders', NULL, NULL, NULL, 'lower', 'relative', 0),
 ('d', 'buyers 1 day', 'secondary', 'proportion', 'orders', '1 day', NULL, NULL, 'lower', 'relative', 0),
 ('d', 'buyers 24 hours', 'secondary', 'proportion', 'orders', '24 hours', NULL, NULL, 'lower', 'relative', 0),
 ('d', 'buyers 2 days', 'secondary', 'proportion', 'orders', '2 days', NULL, NULL, 'lower', 'relative', 0),
 ('d', 'buyers 1 month', 'secondary', 'proportion', 'orders', '1 month', NULL, NULL, 'lower', 'relative', 0),
 ('d', 'day 0 UTC', 'secondary', 'retention', NULL, NULL, 0, 'UTC', 'lower', 'relative', 0),
 ('d', 'day 1 UTC', 'secondary', 'retention', NULL, NULL, 1, 'UTC', 'lower', 'relative', 0);
SELECT metric, control_value c, treatment_value t, units_control uc, events_control ec FROM guardrail_evaluate('d') ORDER BY metric;
-- an exposure without a zone has its day in UTC
ALTER TABLE exposure ALTER exposed_at TYPE timestamp USING exposed_at AT TIME ZONE 'UTC';
SELECT metric, control_value c, treatment_value t, units_control uc FROM guardrail_evaluate('d') ORDER BY metric;
ALTER TABLE exposure ALTER exposed_at TYPE timestamptz USING exposed_at AT TIME ZONE 'UTC';

-- ---- what cannot be known is refused when it is written

INSERT INTO guardrail_rule (experiment_id, metric, role, kind, retention_day, worse, limit_kind, limit_value) VALUES ('d', 'day 1 24h', 'secondary', 'retention', 1, 'lower', 'relative', 0);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, window_length, worse, limit_kind, limit_value) VALUES ('d', '36 hours', 'secondary', 'proportion', 'orders', '36 hours', 'lower', 'relative', 0);
UPDATE guardrail_rule SET window_length = '1 day 1 second' WHERE metric = 'buyers 1 day';
UPDATE guardrail_rule SET retention_time_zone = NULL WHERE metric = 'day 1 UTC';
-- and when the events become such: those that have a time first
CREATE TABLE timed (user_id int, day timestamptz, orders int);
INSERT INTO guardrail_experiment (experiment_id, events, time_column, exposures) VALUES ('t', 'timed', 'day', 'exposure');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, window_length, retention_day, worse, limit_kind, limit_value) VALUES ('t', 'day 1', 'primary', 'retention', NULL, NULL, 1, 'lower', 'relative', 0), ('t', '36 hours', 'guardrail', 'proportion', 'orders', '36 hours', NULL, 'lower', 'relative', 0.05);
UPDATE guardrail_experiment SET events = 'daily' WHERE experiment_id = 't';
DELETE FROM guardrail_rule WHERE metric = '36 hours';
UPDATE guardrail_experiment SET events = 'daily' WHERE experiment_id = 't';
UPDATE guardrail_rule SET retention_time_zone = 'UTC' WHERE metric = 'day 1';
UPDATE guardrail_experiment SET events = 'daily' WHERE experiment_id = 't';
-- exposures that have a date too, or none at all: as ever
CREATE TABLE exposed_on (experiment_id text, user_id int, variant text, exposed_at date);
UPDATE guardrail_experiment SET exposures = 'exposed_on' WHERE experiment_id = 't';
UPDATE guardrail_rule SET retention_time_zone = NULL WHERE metric = 'day 1';

-- ---- calendars east and west of Greenwich

-- exposed at 20:00 UTC on 1 March, when it is 2 March in Shanghai; and at 02:00 UTC on 2 March, when it is 1 March in New York
INSERT INTO exposure SELECT 'z', u, CASE u % 2 WHEN 0 THEN 'control' ELSE 'treatment' END, CASE WHEN u < 1000 THEN timestamptz '2026-03-01 20:00+00' ELSE '2026-03-02 02:00+00' END FROM generate_series(0, 1999) u;
CREATE TABLE visits (user_id int, day date);
-- of the first half a quarter are seen on 1 March, half on 2 March; of the second three quarters on 1 March, none on 2 March
INSERT INTO visits SELECT u, '2026-03-01' FROM generate_series(0, 1999) u WHERE (u / 2) % 4 < CASE WHEN u < 1000 THEN 1 ELSE 3 END;
INSERT INTO visits SELECT u, '2026-03-02' FROM generate_series(0, 999) u WHERE (u / 2) % 4 >= 2;
INSERT INTO guardrail_experiment (experiment_id, events, time_column, exposures, monitoring, shares) VALUES ('z', 'visits', 'day', 'exposure', 'fixed', '{"control": 1, "treatment": 1}');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, retention_day, retention_time_zone, worse, limit_kind, limit_value) VALUES
 ('z', 'ever', 'primary', 'proportion', 'true', NULL, NULL, 'lower', 'relative', 0), ('z', 'Shanghai 0', 'secondary', 'retention', NULL, 0, 'Asia/Shanghai', 'lower', 'relative', 0), ('z', 'Shanghai 1', 'secondary', 'retention', NULL, 1, 'Asia/Shanghai', 'lower', 'relative', 0),
 ('z', 'New York 0', 'secondary', 'retention', NULL, 0, 'America/New_York', 'lower', 'relative', 0), ('z', 'New York 1', 'secondary', 'retention', NULL, 1, 'America/New_York', 'lower', 'relative', 0);
-- ever, from the UTC day of the exposure on: three quarters of the first half, nobody of the second
-- Shanghai: all were exposed on 2 March there, half of the first half was seen; New York: all on 1 March, (1/4 + 3/4) / 2; the next day (1/2 + 0) / 2
SELECT metric, control_value c, treatment_value t, units_control uc, events_control ec FROM guardrail_evaluate('z') ORDER BY metric;

-- ---- only who has had the whole window counts

INSERT INTO exposure SELECT 'm', u, CASE u % 2 WHEN 0 THEN 'control' ELSE 'treatment' END, date_trunc('day', now() AT TIME ZONE 'UTC') AT TIME ZONE 'UTC' - interval '1 day' * (u / 500) + interval '1 minute' FROM generate_series(0, 1999) u;
INSERT INTO guardrail_experiment (experiment_id, events, time_column, exposures, monitoring, shares) VALUES ('m', 'visits', 'day', 'exposure', 'fixed', '{"control": 1, "treatment": 1}');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, window_length, retention_day, retention_time_zone, worse, limit_kind, limit_value) VALUES
 ('m', 'all', 'primary', 'proportion', 'true', NULL, NULL, NULL, 'lower', 'relative', 0), ('m', '1 day', 'secondary', 'proportion', 'true', '1 day', NULL, NULL, 'lower', 'relative', 0), ('m', '2 days', 'secondary', 'proportion', 'true', '2 days', NULL, NULL, 'lower', 'relative', 0), ('m', 'day 2', 'secondary', 'retention', NULL, NULL, 2, 'UTC', 'lower', 'relative', 0);
-- of 2000 those of the last day, of the last two, of the last three have windows that are open
SELECT metric, substring(reason FROM '[0-9,]+ units immature') AS immature FROM guardrail_evaluate('m') ORDER BY metric;

-- ---- random days, in both shapes of the scan

CREATE FUNCTION u(purpose int, a bigint, b bigint DEFAULT 0) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN (((hashint8extended(a * 100000 + b, purpose) >> 11) & 9007199254740991) + 0.5) / 9007199254740992;
TRUNCATE exposure;
INSERT INTO exposure SELECT 'r', who, CASE WHEN u(1, who) < 0.5 THEN 'control' ELSE 'treatment' END, timestamptz '2026-03-20 00:00+00' + interval '1 minute' * floor(1440 * 17 * u(2, who)) FROM generate_series(1, 3000) who;
CREATE TABLE days AS SELECT who AS user_id, date '2026-03-18' + floor(22 * u(3, who, n))::int AS day, floor(10 * u(4, who, n) - 3)::int AS x FROM generate_series(1, 3100) who, generate_series(1, floor(8 * u(5, who))::int) n;
INSERT INTO guardrail_experiment (experiment_id, events, time_column, exposures, monitoring, shares, ends_at) VALUES ('r', 'days', 'day', 'exposure', 'fixed', '{"control": 1, "treatment": 1}', '2026-04-07 05:00+00');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, window_length, retention_day, retention_time_zone, worse, limit_kind, limit_value) VALUES
 ('r', 'sum', 'primary', 'mean', 'x', NULL, NULL, NULL, 'lower', 'relative', 0), ('r', 'sum 3 days', 'secondary', 'mean', 'x', '3 days', NULL, NULL, 'lower', 'relative', 0), ('r', 'ratio 5 days', 'secondary', 'ratio', 'x', '5 days', NULL, NULL, 'lower', 'relative', 0),
 ('r', 'day 1 Auckland', 'secondary', 'retention', NULL, NULL, 1, 'Pacific/Auckland', 'lower', 'relative', 0), ('r', 'day 0 Honolulu', 'secondary', 'retention', NULL, NULL, 0, 'Pacific/Honolulu', 'lower', 'relative', 0), ('r', 'day 3 UTC', 'secondary', 'retention', 'x', NULL, 3, 'UTC', 'lower', 'relative', 0);
SET timezone = 'UTC';
CREATE VIEW by_hand AS
WITH did AS (SELECT p.*, e.day, e.x FROM exposure p LEFT JOIN days e ON e.user_id = p.user_id AND e.day < timestamptz '2026-04-07 05:00+00'),
per_unit AS (
  SELECT user_id, variant, exposed_at,
    coalesce(sum(x) FILTER (WHERE day >= exposed_at::date), 0) AS total,
    coalesce(sum(x) FILTER (WHERE day - exposed_at::date BETWEEN 0 AND 2), 0) AS total3,
    coalesce(sum(x) FILTER (WHERE day - exposed_at::date BETWEEN 0 AND 4), 0) AS total5, count(x) FILTER (WHERE day - exposed_at::date BETWEEN 0 AND 4) AS n5,
    coalesce(bool_or(day - (exposed_at AT TIME ZONE 'Pacific/Auckland')::date = 1), false) AS auckland,
    coalesce(bool_or(day = (exposed_at AT TIME ZONE 'Pacific/Honolulu')::date), false) AS honolulu,
    coalesce(sum(x) FILTER (WHERE day - exposed_at::date = 3), 0) > 0 AS utc
  FROM did GROUP BY 1, 2, 3)
SELECT m.metric, variant, m.value FROM (SELECT variant,
    avg(total) AS v1,
    avg(total3) FILTER (WHERE exposed_at::date + 3 <= timestamp '2026-04-07 05:00') AS v2,
    sum(total5) FILTER (WHERE exposed_at::date + 5 <= timestamp '2026-04-07 05:00') / sum(n5) FILTER (WHERE exposed_at::date + 5 <= timestamp '2026-04-07 05:00') AS v3,
    avg(auckland::int) FILTER (WHERE (exposed_at AT TIME ZONE 'Pacific/Auckland')::date + 1 < (timestamptz '2026-04-07 05:00+00' AT TIME ZONE 'Pacific/Auckland')::date) AS v4,
    avg(honolulu::int) FILTER (WHERE (exposed_at AT TIME ZONE 'Pacific/Honolulu')::date < (timestamptz '2026-04-07 05:00+00' AT TIME ZONE 'Pacific/Honolulu')::date) AS v5,
    avg(utc::int) FILTER (WHERE exposed_at::date + 3 < date '2026-04-07') AS v6
  FROM per_unit GROUP BY 1) v, LATERAL (VALUES ('sum', v1), ('sum 3 days', v2), ('ratio 5 days', v3), ('day 1 Auckland', v4), ('day 0 Honolulu', v5), ('day 3 UTC', v6)) AS m(metric, value);
SELECT e.metric, abs(control_value - c.value) < 1e-9 AS control, abs(treatment_value - t.value) < 1e-9 AS treatment, e.events_control = (SELECT count(*) FROM exposure p JOIN days d USING (user_id) WHERE p.variant = 'control' AND d.day >= p.exposed_at::date AND d.day < timestamptz '2026-04-07 05:00+00') AS events
  FROM guardrail_evaluate('r') e JOIN by_hand c ON c.metric = e.metric AND c.variant = 'control' JOIN by_hand t ON t.metric = e.metric AND t.variant = 'treatment' ORDER BY 1;
CREATE TABLE one_scan AS SELECT metric, control_value, treatment_value, units_control, events_control, events_treatment FROM guardrail_evaluate('r');
SET guardrail.unit_memory = 64;
SELECT count(*) AS other_in_two_levels FROM (SELECT metric, control_value, treatment_value, units_control, events_control, events_treatment FROM guardrail_evaluate('r') EXCEPT TABLE one_scan) x;
RESET guardrail.unit_memory;

-- ---- done

DROP SCHEMA dates_test CASCADE;
DROP EXTENSION guardrail;
