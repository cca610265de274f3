-- What ships was not harmful: 360 random experiments of every kind, limit, design, evidence and split, many of them
-- degenerate, and beside each verdict the check that people write by hand.
--
-- Expected: no SHIP that the check by hand refuses. It is plain SQL over the events: with a margin the estimates against the
-- limit; without one a plain one-sided z test of the difference (1.2816, the normal quantile at 0.10). Of a quantile it
-- compares percentile_disc. Relative limits on a control below zero have no meaning, so nothing may ship over them.
SET client_min_messages = error;
CREATE EXTENSION guardrail;
CREATE SCHEMA ship_test;
SET search_path = ship_test, public;

-- uniform in (0,1), and standard normal, by hash of (what for, who, which)
CREATE FUNCTION u(purpose int, a bigint, b bigint DEFAULT 0) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN (((hashint8extended(a * 100000 + b, purpose) >> 11) & 9007199254740991) + 0.5) / 9007199254740992;
CREATE FUNCTION z(purpose int, a bigint, b bigint DEFAULT 0) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN sqrt(-2 * ln(u(purpose, a, b))) * cos(2 * pi() * u(purpose + 1000, a, b));
CREATE FUNCTION one_of(choice text[], purpose int, a bigint) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN choice[1 + floor(u(purpose, a) * cardinality(choice))::int];

CREATE TABLE trial AS
SELECT i AS id, 't' || i AS experiment_id,
  one_of('{rare flag,rare flag,rare harm,outage,flag,flag harm,constant,constant harm,exponential,whales,zeros,negative,zero control,one whale,ties,ties harm}', 1, i) AS shape,
  one_of('{mean,mean,proportion,proportion,ratio,quantile}', 2, i) AS kind,
  one_of('{absolute,difference,difference,relative,relative,significance}', 3, i) AS limit_kind,
  one_of('{higher,lower}', 4, i) AS worse, one_of('{breach,breach,safe,point}', 5, i) AS evidence,
  one_of('{fixed,group_sequential,always_valid}', 6, i) AS monitoring, one_of('{block,hold}', 7, i) AS severity,
  one_of('{0.5,0.2,0.05,0.01}', 8, i)::float8 AS split, one_of('{400,1000,4000}', 9, i)::int AS units,
  one_of('{0,0,0.01,0.1}', 10, i)::float8 AS size
FROM generate_series(1, 360) AS i;
UPDATE trial SET kind = 'mean' WHERE kind = 'proportion' AND shape NOT LIKE '%flag%' AND shape NOT IN ('rare harm', 'outage', 'zeros');

CREATE TABLE event (experiment_id text, user_id bigint, variant text, sold float8, value float8, denominator float8);
INSERT INTO guardrail_experiment (experiment_id, events, planned_units, monitoring, shares, min_units)
SELECT experiment_id, 'event', units, monitoring, jsonb_build_object('control', 1 - split, 'treatment', split), 20 FROM trial;
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value)
SELECT experiment_id, 'sold', 'primary', 'mean', 'sold', 'lower', 'difference', 0 FROM trial;
INSERT INTO guardrail_rule (experiment_id, metric, role, severity, kind, value, denominator, quantile, worse, limit_kind, limit_value, evidence)
SELECT experiment_id, 'guard', 'guardrail', severity, kind, CASE WHEN kind = 'proportion' THEN 'value = 1' ELSE 'value' END,
  CASE WHEN kind = 'ratio' THEN 'denominator' END, CASE WHEN kind = 'quantile' THEN 0.9 END, worse, limit_kind,
  CASE limit_kind WHEN 'significance' THEN NULL WHEN 'absolute' THEN size * 10 ELSE size END,
  CASE WHEN limit_kind = 'significance' AND evidence = 'safe' THEN 'breach' ELSE evidence END
FROM trial;
SELECT count(guardrail_launch(experiment_id)) AS launched FROM trial;

-- the events come after the launch; the treatment sells more in each
INSERT INTO event
SELECT experiment_id, n, CASE WHEN treated THEN 'treatment' ELSE 'control' END, 2 + u(20, id, n) + CASE WHEN treated THEN 1 ELSE 0 END,
  CASE shape
    WHEN 'rare flag' THEN (u(21, id, n) < 0.01)::int
    WHEN 'rare harm' THEN (u(21, id, n) < CASE WHEN treated THEN 0.05 ELSE 0.005 END)::int
    WHEN 'outage' THEN treated::int
    WHEN 'flag' THEN (u(21, id, n) < 0.3)::int
    WHEN 'flag harm' THEN (u(21, id, n) < CASE WHEN treated THEN 0.4 ELSE 0.3 END)::int
    WHEN 'constant' THEN 1
    WHEN 'constant harm' THEN CASE WHEN treated THEN 1.5 ELSE 1 END
    WHEN 'exponential' THEN -ln(u(21, id, n))
    WHEN 'whales' THEN CASE WHEN u(21, id, n) < 0.1 THEN exp(1.5 * z(22, id, n)) ELSE 0 END
    WHEN 'zeros' THEN 0
    WHEN 'negative' THEN -1 - u(21, id, n) - CASE WHEN treated THEN 0.1 ELSE 0 END
    WHEN 'zero control' THEN CASE WHEN treated AND u(21, id, n) < 0.1 THEN 2 ELSE 0 END
    WHEN 'one whale' THEN u(21, id, n) + CASE WHEN n = 7 THEN 1000 ELSE 0 END
    WHEN 'ties' THEN floor(3 * u(21, id, n))
    ELSE CASE WHEN u(21, id, n) < CASE WHEN treated THEN 0.2 ELSE 0.05 END THEN 30000 ELSE 100 END END,
  1 + floor(4 * u(23, id, n))
FROM (SELECT t.*, n, n <= split * units AS treated FROM trial AS t, generate_series(1, units) AS n) AS one;
CREATE INDEX ON event (experiment_id);
ANALYZE event;
CALL guardrail_check();

-- by hand: both arms' estimates and the variances of their means
CREATE VIEW by_hand AS
WITH arm AS (
  SELECT t.experiment_id, variant, count(*) AS n,
    CASE kind WHEN 'ratio' THEN sum(value) / sum(denominator)
              WHEN 'quantile' THEN percentile_disc(0.9) WITHIN GROUP (ORDER BY value) ELSE avg(value) END AS m,
    CASE kind WHEN 'ratio' THEN (var_samp(value) - 2 * sum(value) / sum(denominator) * covar_samp(value, denominator)
                                 + (sum(value) / sum(denominator)) ^ 2 * var_samp(denominator)) / count(*) / avg(denominator) ^ 2
              WHEN 'quantile' THEN NULL ELSE var_samp(value) / count(*) END AS v
    FROM trial AS t JOIN event USING (experiment_id) GROUP BY t.experiment_id, kind, variant),
sized AS (
  SELECT t.*, c.m AS c, a.m AS t, c.v + a.v AS v, CASE WHEN worse = 'higher' THEN 1 ELSE -1 END AS sign,
    CASE WHEN limit_kind = 'significance' THEN 0 WHEN limit_kind = 'absolute' THEN size * 10 ELSE size END AS lim
    FROM trial AS t JOIN arm AS a ON a.experiment_id = t.experiment_id AND a.variant = 'treatment'
                    JOIN arm AS c ON c.experiment_id = t.experiment_id AND c.variant = 'control')
SELECT *, CASE
    WHEN limit_kind = 'relative' AND c < 0 THEN 'no meaning'
    WHEN limit_kind = 'absolute' THEN CASE WHEN sign * (t - lim) > 0 THEN 'harm' ELSE 'OK' END
    WHEN limit_kind = 'relative' AND lim > 0 THEN CASE WHEN sign * (t - (1 + sign * lim) * c) > 0 THEN 'harm' ELSE 'OK' END
    WHEN limit_kind = 'difference' AND lim > 0 THEN CASE WHEN sign * (t - c) > lim THEN 'harm' ELSE 'OK' END
    WHEN sign * (t - c) > 0 AND sign * (t - c) > 1.2816 * sqrt(v) THEN 'harm' ELSE 'OK' END AS says
  FROM sized;

SELECT count(*) FILTER (WHERE verdict = 'SHIP') >= 100 AS many_ship, count(*) FILTER (WHERE verdict = 'BLOCK') >= 30 AS many_block,
       count(*) FILTER (WHERE verdict = 'HOLD') >= 60 AS many_hold, count(*) FILTER (WHERE verdict NOT IN ('SHIP', 'BLOCK', 'HOLD')) AS other
  FROM guardrail_verdict;
-- no SHIP that the check by hand refuses
SELECT h.experiment_id, shape, kind, limit_kind, worse, h.evidence, h.monitoring, split, units, c, t, says, v.status
  FROM by_hand AS h JOIN guardrail_verdict AS v USING (experiment_id) WHERE verdict = 'SHIP' AND says <> 'OK';
-- and none without a number, or where nothing could be tested
SELECT r.experiment_id, r.status, r.watch FROM guardrail_result AS r JOIN guardrail_verdict AS v USING (experiment_id)
 WHERE verdict = 'SHIP' AND metric = 'guard' AND (r.status NOT IN ('SAFE', 'UNDECIDED') OR r.watch);
-- every way out of the database says the same
SELECT count(*) FILTER (WHERE d.verdict IS DISTINCT FROM v.verdict) AS live_differs, count(*) FILTER (WHERE NOT identical) AS replay_differs
  FROM guardrail_verdict AS v, LATERAL guardrail_decide(v.experiment_id) AS d, LATERAL guardrail_replay(v.check_id) AS p
 WHERE v.monitoring <> 'group_sequential';
DROP SCHEMA ship_test CASCADE;
DROP EXTENSION guardrail;
