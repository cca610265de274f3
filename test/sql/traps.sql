-- Rows that would be measured as nobody meant: refused, or told of, when they are written.
--
-- Expected: what a share can be (0 to 1), what PostgreSQL's types can hold, the sign convention of POSIX time zones, each by thought;
-- shares counted from the series the events are made of.
CREATE EXTENSION guardrail;
CREATE ROLE regress_guardrail_trapped;
CREATE SCHEMA traps_test;
GRANT ALL ON SCHEMA traps_test TO regress_guardrail_trapped;
SET search_path = traps_test, public;

-- message(sql): what happens when it is run; nothing stays
CREATE FUNCTION message(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE m text; h text;
BEGIN
  BEGIN
    EXECUTE sql;
    RAISE EXCEPTION USING MESSAGE = 'accepted', ERRCODE = 'ZZ999';
  EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, h = PG_EXCEPTION_HINT;
    IF SQLSTATE = 'ZZ999' THEN RETURN 'accepted'; END IF;
    RETURN SQLSTATE || ': ' || m || coalesce(E'\n  hint: ' || nullif(h, ''), '');
  END;
END $$;
-- put(table, row): one row, of a JSON object
CREATE FUNCTION put(target text, r jsonb) RETURNS text LANGUAGE sql AS $$
  SELECT message(format('INSERT INTO %I (%s) VALUES (%s)', target, string_agg(quote_ident(key), ', '), string_agg(quote_nullable(value), ', '))) FROM jsonb_each_text(r) $$;

-- ---- limits that a share cannot be beyond

CREATE TABLE ev (experiment_id text, user_id int, variant text, bounced boolean, score float8, clicks int, views int, small smallint, large bigint, cost numeric, at timestamptz);
INSERT INTO guardrail_experiment (experiment_id, events, time_column, planned_units, monitoring) VALUES ('p', 'ev', 'at', 10000, 'fixed');
CREATE FUNCTION rule(changes jsonb) RETURNS text LANGUAGE sql AS $$
  SELECT put('guardrail_rule', '{"experiment_id": "p", "metric": "m", "role": "guardrail", "kind": "proportion", "value": "bounced", "worse": "higher", "limit_kind": "relative", "limit_value": 0.05}' || changes) $$;
\pset format unaligned
SELECT c AS changes, rule(c::jsonb) FROM unnest(ARRAY['{}',
  '{"limit_kind": "difference", "limit_value": 5}', '{"limit_kind": "difference", "limit_value": 1.000001}', '{"limit_kind": "difference", "limit_value": 0.05}', '{"limit_kind": "difference", "limit_value": 5, "worse": "lower"}',
  '{"limit_kind": "absolute", "limit_value": 30}', '{"limit_kind": "absolute", "limit_value": 1.01}', '{"limit_kind": "absolute", "limit_value": -0.01}', '{"limit_kind": "absolute", "limit_value": 70, "worse": "lower"}', '{"limit_kind": "absolute", "limit_value": 0}', '{"limit_kind": "absolute", "limit_value": 1, "worse": "lower"}',
  '{"limit_value": 5, "worse": "lower"}', '{"role": "primary", "limit_value": 5}', '{"role": "primary", "limit_kind": "difference", "limit_value": 3}', '{"role": "secondary", "limit_kind": "absolute", "limit_value": 2, "worse": "lower"}',
  '{"kind": "retention", "value": null, "retention_day": 1, "limit_kind": "difference", "limit_value": 2}', '{"kind": "retention", "value": null, "retention_day": 1, "limit_kind": "absolute", "limit_value": 40, "worse": "lower"}', '{"value": "clicks", "at_least": 3, "limit_kind": "difference", "limit_value": 2}',
  -- the share of events that are true, and the folds of booleans that cannot leave 0 to 1; a sum can
  '{"kind": "ratio", "limit_kind": "absolute", "limit_value": 2}', '{"kind": "ratio", "denominator": "clicks", "limit_kind": "absolute", "limit_value": 2}', '{"kind": "ratio", "value": "score", "limit_kind": "absolute", "limit_value": 2}',
  '{"kind": "mean", "limit_kind": "absolute", "limit_value": 2}', '{"kind": "mean", "unit_aggregate": "avg", "limit_kind": "absolute", "limit_value": 2}', '{"kind": "mean", "unit_aggregate": "max", "limit_kind": "difference", "limit_value": 2}', '{"kind": "mean", "unit_aggregate": "count", "limit_kind": "difference", "limit_value": 2}',
  '{"kind": "quantile", "quantile": 0.5, "limit_kind": "absolute", "limit_value": 50}', '{"kind": "quantile", "quantile": 0.5, "quantile_over": "units", "limit_kind": "absolute", "limit_value": 50}']) c;
\pset format aligned
-- accepted, with a word on it
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES
  ('p', 'score', 'primary', 'ratio', 'score', 'higher', 'relative', 0),
  ('p', 'bounce', 'guardrail', 'proportion', 'bounced', 'higher', 'relative', 5),
  ('p', 'triple', 'guardrail', 'mean', 'score', 'higher', 'relative', 2),
  ('p', 'all', 'guardrail', 'proportion', 'bounced', 'higher', 'absolute', 1),
  ('p', 'none', 'guardrail', 'proportion', 'bounced', 'lower', 'absolute', 0),
  ('p', 'every', 'guardrail', 'proportion', 'bounced', 'lower', 'difference', 1);
-- and once
UPDATE guardrail_rule SET note = 'six times as many' WHERE metric = 'bounce';
UPDATE guardrail_rule SET limit_value = 2 WHERE metric = 'all';
DELETE FROM guardrail_rule WHERE metric IN ('triple', 'all', 'none', 'every');
-- of ten users of an arm six bounce in the control, seven in the treatment
INSERT INTO ev SELECT 'p', u, CASE u % 2 WHEN 0 THEN 'control' ELSE 'treatment' END, (u / 2) % 10 < 6 + u % 2, 100 + u % 50, 1, 2, 1, 1, 1, now() FROM generate_series(0, 9999) u;
-- with events a proportion that cannot be reached is refused at once; one in a hundred may well be six
SELECT x AS changes, rule(x::jsonb) FROM unnest(ARRAY['{"limit_value": 5}', '{"limit_value": 1}', '{"limit_value": 0.9}', '{"limit_value": 5, "filter": "user_id % 100 = 0"}', '{"limit_value": 5, "value": "score", "at_least": 149}', '{"limit_value": 5, "value": "score", "at_least": 100}', '{"limit_value": 5, "value": "1 / (user_id - 5000)"}', '{"limit_value": 5, "worse": "lower", "role": "primary"}']) x;
-- 0.6 cannot rise by 500 %, with any evidence, nor before the end of the test
SELECT evidence, (SELECT status FROM guardrail_evaluate('p') WHERE metric = 'bounce') AS before FROM guardrail_rule WHERE metric = 'bounce';
SELECT metric, control_value, treatment_value, status, reason FROM guardrail_evaluate('p') WHERE metric = 'bounce';
UPDATE guardrail_rule SET evidence = 'point' WHERE metric = 'bounce';
SELECT status FROM guardrail_evaluate('p') WHERE metric = 'bounce';
UPDATE guardrail_rule SET evidence = 'safe' WHERE metric = 'bounce';
SELECT verdict, status FROM guardrail_decide('p');
UPDATE guardrail_experiment SET planned_units = 20000;
SELECT verdict, status FROM guardrail_decide('p');
SELECT guardrail_launch('p');
-- 0.6 rises by two thirds at most: 66 % can be found, 67 % cannot
UPDATE guardrail_rule SET limit_value = 0.67 WHERE metric = 'bounce';
SELECT status FROM guardrail_evaluate('p') WHERE metric = 'bounce';
UPDATE guardrail_rule SET limit_value = 0.66 WHERE metric = 'bounce';
SELECT status FROM guardrail_evaluate('p') WHERE metric = 'bounce';
-- an improvement that cannot be reached
UPDATE guardrail_rule SET worse = 'lower', limit_value = 0.7, role = 'primary', kind = 'proportion', value = 'bounced' WHERE metric = 'score';
SELECT message($$SELECT guardrail_launch('p')$$);
UPDATE guardrail_experiment SET planned_units = 10000;
SELECT verdict, status, primary_status FROM guardrail_decide('p');
UPDATE guardrail_rule SET limit_kind = 'difference', limit_value = 0.45, role = 'primary' WHERE metric = 'score';
-- by a difference it is only told
SELECT guardrail_launch('p');
-- an amendment goes the same way
SELECT message($$SELECT guardrail_amend('p', 'percent', '{"rules": {"bounce": {"limit_value": 5}}}')$$);
SELECT message($$SELECT guardrail_amend('p', 'percentage points', '{"rules": {"bounce": {"limit_kind": "difference", "limit_value": 5}}}')$$);
SELECT guardrail_amend('p', 'more', '{"rules": {"bounce": {"limit_value": 0.1}}}');

-- ---- arms and experiments that the columns cannot hold

CREATE TYPE arm AS ENUM ('A', 'B', 'it''s "C"');
CREATE DOMAIN flag AS boolean;
CREATE DOMAIN word AS text CHECK (VALUE IN ('control', 'treatment'));
CREATE DOMAIN short AS varchar(8);
CREATE TABLE held (i int, s smallint, l bigint, b boolean, bd flag, e arm, v varchar(8), c char(9), n name, w word, sd short, u uuid, num numeric(10, 2), doc json, letter "char", at timestamptz, user_id int, variant text, experiment_id text);
CREATE FUNCTION arm(of name, name text) RETURNS text LANGUAGE sql AS $$ SELECT put('guardrail_experiment', jsonb_build_object('experiment_id', 'x', 'events', 'held', 'variant_column', of, 'control', name)) $$;
CREATE FUNCTION id(of name, name text) RETURNS text LANGUAGE sql AS $$ SELECT put('guardrail_experiment', jsonb_build_object('experiment_id', name, 'events', 'held', 'experiment_column', of)) $$;
\pset format unaligned
SELECT c AS variant_column, a AS control, arm(c, a) FROM (VALUES ('i', '7'), ('i', '-7'), ('i', '07'), ('i', ' 7'), ('i', '+7'), ('i', '7.0'), ('i', '2147483648'), ('i', 'control'), ('s', '32767'), ('s', '32768'), ('l', '2147483648'), ('l', '1e3'),
  ('b', 'true'), ('b', 'false'), ('b', 'f'), ('b', 't'), ('b', 'FALSE'), ('b', '0'), ('b', 'control'), ('bd', 'false'), ('bd', 'f'), ('e', 'A'), ('e', 'it''s "C"'), ('e', 'a'), ('e', 'A '), ('e', 'control'),
  ('v', 'control'), ('v', 'treatment'), ('v', 'control  '), ('sd', 'treatment'), ('c', 'treatment'), ('c', 'control '), ('c', 'treatment2'), ('n', 'control'), ('n', repeat('x', 64)), ('w', 'control'), ('w', 'holdout'), ('variant', 'anything  at all')) AS x(c, a);
-- the default is an arm too
SELECT put('guardrail_experiment', '{"experiment_id": "x", "events": "held", "variant_column": "b"}') AS no_control;
SELECT c AS experiment_column, x AS experiment_id, id(c, x) FROM (VALUES ('i', '7'), ('i', '07'), ('i', 'seven'), ('b', 'true'), ('b', 'yes'), ('e', 'B'), ('e', 'checkout'), ('v', 'checkout'), ('v', 'checkout2'), ('u', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'), ('u', 'checkout'), ('num', '7'), ('num', '7.005'), ('num', 'seven'), ('letter', 'c'), ('letter', 'checkout'),
  ('num', '123456789'), ('at', '2026-01-01'), ('doc', '7'), ('experiment_id', 'anything')) AS y(c, x);
-- in shares and parameter, of the exposures, and by an update
CREATE TABLE exposed (experiment_id int, user_id int, variant boolean, exposed_at timestamptz);
SELECT x AS experiment, put('guardrail_experiment', '{"experiment_id": "7", "events": "held", "variant_column": "b", "control": "false"}' || x::jsonb) FROM unnest(ARRAY['{"shares": {"false": 1, "true": 1}}', '{"shares": {"false": 1, "t": 1}}', '{"parameter": {"false": 0, "true": 1, "1": 2}}',
  '{"variant_column": "variant", "exposures": "exposed", "time_column": "at"}', '{"variant_column": "variant", "exposures": "exposed", "time_column": "at", "control": "f"}', '{"variant_column": "variant", "exposures": "exposed", "time_column": "at", "experiment_id": "seven"}']) x;
\pset format aligned
INSERT INTO guardrail_experiment (experiment_id, events, variant_column, control) VALUES ('u', 'held', 'b', 'false');
UPDATE guardrail_experiment SET control = 'f' WHERE experiment_id = 'u';
UPDATE guardrail_experiment SET variant_column = 'e' WHERE experiment_id = 'u';
-- what is there from before does not stand in the way of other columns
SET check_function_bodies = off;
UPDATE guardrail_experiment SET control = 'f' WHERE experiment_id = 'u';
RESET check_function_bodies;
UPDATE guardrail_experiment SET min_units = 50 WHERE experiment_id = 'u';
-- a domain's constraint that does something else than to refuse
CREATE FUNCTION cost(text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN DELETE FROM traps_test.held; RETURN true; END $$;
CREATE DOMAIN sly AS text CHECK (traps_test.cost(VALUE));
ALTER TABLE held ADD COLUMN sly sly;
SELECT arm('sly', 'control');

-- ---- planned shares and settings: what is wrong with them

SELECT s AS shares, regexp_replace(put('guardrail_experiment', jsonb_build_object('experiment_id', 's', 'events', 'ev', 'shares', s::jsonb)), '.*\n  hint: ', '') AS hint FROM unnest(ARRAY['{"control": 1, "treatment": 1}', '[1, 1]', '50', '{}', '{"control": 1}', '{"A": 1, "B": 1}',
  '{"control": 50, "treatment": "50%"}', '{"control": 50, "treatment": "50"}', '{"control": 50, "treatment": null}', '{"control": 50, "treatment": [1]}', '{"control": 50, "treatment": true}', '{"control": 50, "treatment": 0}', '{"control": -1, "treatment": 1}', '{"control": 1, "treatment": 1e10}', '{"control": 1, "treatment": 1e-10}']) s;
SELECT regexp_replace(put('guardrail_experiment', jsonb_build_object('experiment_id', 's', 'events', 'ev', 'shares', (SELECT jsonb_object_agg(CASE n WHEN 1 THEN 'control' ELSE 'arm ' || n END, n) FROM generate_series(1, 101) n))), '.*\n  hint: ', '') AS too_many;
SELECT p AS parameter, regexp_replace(put('guardrail_experiment', jsonb_build_object('experiment_id', 's', 'events', 'ev', 'shares', '{"control": 1, "low": 1}'::jsonb, 'parameter', p::jsonb)), '.*\n  hint: ', '') AS hint
  FROM unnest(ARRAY['{"control": 0, "low": -0.5}', '{"low": 0.5}', '[0, 1]', '{}', '{"control": "0"}', '{"control": "50%"}', '{"control": null}', '{"control": 1e101}', '{"control": 1e-101}', '{"control": 0, "lwo": 1}']) p;

-- ---- time zones that POSIX reads the other way round

CREATE FUNCTION zone(name text) RETURNS text LANGUAGE sql AS $$ SELECT rule(jsonb_build_object('experiment_id', 'z', 'kind', 'retention', 'value', NULL, 'retention_day', 1, 'retention_time_zone', name)) $$;
INSERT INTO guardrail_experiment (experiment_id, events, time_column) VALUES ('z', 'ev', 'at');
SELECT left(z, 16) AS zone, regexp_replace(zone(z), '.*\n  hint: ', '') AS hint FROM unnest(ARRAY['Europe/Berlin', 'asia/shanghai', 'Etc/GMT-8', 'UTC', 'utc', 'GMT', 'UTC+8', '+08', 'utc+08', 'GMT+8', 'UTC +8', '<+08>-8', 'UTC-5', '-05', '-05:30', '+05:30', '+0530', 'UTC+5:45', '-3:30', '+9:30', '+14', '-12', '-13', '+05:17', 'UTC+0', '+25', '+08:99',
  '+8:', 'UTC+', '8', 'CET-1', 'CET-1CEST', 'IST', 'Etc/GMT+25', 'Asia/Shanghai ', 'Mars/Olympus', '', '+', '<', '<+08', '<+08>', '../../etc/passwd', repeat('+', 300)]) z;
-- a restore keeps what there was, and what is there stays while it is not touched
SET check_function_bodies = off;
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, retention_day, retention_time_zone, worse, limit_kind, limit_value) VALUES ('z', 'day 1', 'guardrail', 'retention', 1, '+08', 'lower', 'relative', 0.05);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES ('z', 'much', 'guardrail', 'proportion', 'bounced', 'higher', 'absolute', 30);
RESET check_function_bodies;
UPDATE guardrail_rule SET note = 'to be mended' WHERE experiment_id = 'z';
UPDATE guardrail_rule SET retention_time_zone = '+09' WHERE metric = 'day 1';
-- who restores nothing is refused whatever the setting says
GRANT SELECT, INSERT ON guardrail_experiment, guardrail_rule TO regress_guardrail_trapped;
GRANT SELECT ON ev TO regress_guardrail_trapped;
SET ROLE regress_guardrail_trapped;
INSERT INTO guardrail_experiment (experiment_id, events, time_column) VALUES ('mine', 'ev', 'at');
SET check_function_bodies = off;
SELECT rule('{"experiment_id": "mine", "kind": "retention", "value": null, "retention_day": 1, "retention_time_zone": "+08"}') AS zone, rule('{"experiment_id": "mine", "limit_kind": "difference", "limit_value": 5}') AS difference;
RESET check_function_bodies;
RESET ROLE;

-- ---- integers divided by integers

CREATE DOMAIN counted AS int;
ALTER TABLE ev ADD COLUMN counted counted;
-- told of
SELECT x AS expression, rule(jsonb_build_object('experiment_id', 'z', 'value', x, 'kind', 'mean')) FROM unnest(ARRAY['clicks / views', '(clicks / views)::float8', 'score * (clicks / views)', '100 * clicks / views', 'small / clicks', 'large / small', 'clicks / large', 'counted / views', 'coalesce(clicks / nullif(views, 0), 0)', 'clicks / 1000', '1 / 2 * score', 'CASE WHEN bounced THEN clicks / views END', 'clicks / views > 0.5']) x;
-- nothing to tell
SELECT x AS expression, rule(jsonb_build_object('experiment_id', 'z', 'value', x, 'kind', 'mean')) FROM unnest(ARRAY['clicks::float8 / views', 'clicks / views::numeric', '1.0 * clicks / views', 'cost / 2', 'clicks / cost', 'score / 2', 'clicks % views', 'mod(clicks, views)', '3600 / 60 * score', 'clicks / 1', 'clicks - views', '''a / b'' = variant', 'div(cost, 2)']) x;
-- once per rule, however often it divides; again only when it is written anew; not of a category
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, denominator, worse, limit_kind, limit_value) VALUES ('z', 'ctr', 'guardrail', 'ratio', 'clicks / views', 'views / clicks', 'lower', 'relative', 0.05), ('z', 'ratio', 'guardrail', 'ratio', 'clicks', 'views / 2', 'lower', 'relative', 0.05), ('z', 'hundreds', 'guardrail', 'distinct', 'clicks / 100', NULL, 'lower', 'relative', 0.05);
UPDATE guardrail_rule SET note = 'no fraction' WHERE metric = 'ctr';
UPDATE guardrail_rule SET value = 'clicks' WHERE metric = 'ctr';

-- ---- relations without rows, or of one session, whatever check_function_bodies says

CREATE TEMP TABLE fleeting (LIKE ev);
CREATE TEMP VIEW fleeting_view AS SELECT * FROM ev;
CREATE VIEW over_fleeting AS SELECT * FROM fleeting;
CREATE INDEX ev_index ON ev (user_id);
CREATE TABLE parts (LIKE ev) PARTITION BY LIST (variant);
CREATE INDEX parts_index ON parts (user_id);
CREATE SEQUENCE counter;
CREATE TYPE composite AS (experiment_id text, user_id int, variant text);
CREATE FUNCTION relation(name text) RETURNS text LANGUAGE sql AS $$ SELECT regexp_replace(put('guardrail_experiment', jsonb_build_object('experiment_id', 'r', 'events', name)), '^.*\n', '') $$;
CREATE FUNCTION exposures(name text) RETURNS text LANGUAGE sql AS $$ SELECT regexp_replace(put('guardrail_experiment', jsonb_build_object('experiment_id', 'r', 'events', 'ev', 'time_column', 'at', 'exposed_at_column', 'at', 'exposures', name)), '^.*\n', '') $$;
SELECT r AS events, relation(r), exposures(r) FROM unnest(ARRAY['ev', 'parts', 'fleeting', 'fleeting_view', 'over_fleeting', 'ev_index', 'parts_index', 'counter', 'composite', (SELECT reltoastrelid::regclass::text FROM pg_class WHERE oid = 'exposed'::regclass AND reltoastrelid <> 0)]) r WHERE r IS NOT NULL;
SET check_function_bodies = off;
SELECT r AS events, relation(r), exposures(r) FROM unnest(ARRAY['ev', 'parts', 'fleeting', 'fleeting_view', 'over_fleeting', 'ev_index', 'parts_index', 'counter', 'composite', '4294967295']) r;
SET ROLE regress_guardrail_trapped;
SELECT r AS events, relation(r) FROM unnest(ARRAY['ev', 'ev_index', 'counter']) r;
RESET ROLE;
UPDATE guardrail_experiment SET events = 'ev_index' WHERE experiment_id = 'u';
-- a dump whose table has become an index, or is gone, is restored
COPY guardrail_experiment (experiment_id, events) FROM STDIN;
index	traps_test.ev_index
gone	4294967295
\.
-- a temporary table never is: no dump of one can be
COPY guardrail_experiment (experiment_id, events) FROM STDIN;
temporary	pg_temp.fleeting
\.
RESET check_function_bodies;
COPY guardrail_experiment (experiment_id, events) FROM STDIN;
sequence	traps_test.counter
\.
SELECT experiment_id, events FROM guardrail_experiment WHERE experiment_id IN ('index', 'gone', 'temporary', 'sequence') ORDER BY 1;

-- ---- an amendment is written as the tables' owner, and is checked as what its maker writes

SET ROLE regress_guardrail_trapped;
INSERT INTO guardrail_experiment (experiment_id, events, experiment_column, time_column) VALUES ('amended', 'ev', NULL, 'at');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, retention_day, worse, limit_kind, limit_value) VALUES ('amended', 'score', 'primary', 'ratio', 'score', NULL, 'higher', 'relative', 0), ('amended', 'bounce', 'guardrail', 'proportion', 'bounced', NULL, 'higher', 'relative', 0.05), ('amended', 'day 1', 'guardrail', 'retention', NULL, 1, 'lower', 'relative', 0.05);
SELECT guardrail_launch('amended');
SET check_function_bodies = off;
SELECT message(format($$SELECT guardrail_amend('amended', 'x', %L)$$, c)) AS amended FROM unnest(ARRAY['{"rules": {"bounce": {"limit_kind": "difference", "limit_value": 5}}}', '{"rules": {"day 1": {"retention_time_zone": "+08"}}}', '{"experiment": {"events": "traps_test.ev_index"}}']) c;
RESET check_function_bodies;
RESET ROLE;

-- ---- done

SET client_min_messages = warning;
DROP SCHEMA traps_test CASCADE;
DROP EXTENSION guardrail;
DROP ROLE regress_guardrail_trapped;
