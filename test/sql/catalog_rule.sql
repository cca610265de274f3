-- Rows of guardrail_rule: what is refused when it is written, with the column, what it holds, and what it may hold.
--
-- Expected: the tables of columns in the documentation of the catalog; every message was read against it.
SET client_min_messages = warning;
CREATE EXTENSION guardrail;
CREATE ROLE regress_guardrail_analyst;
CREATE SCHEMA catalog_test;
GRANT ALL ON SCHEMA catalog_test TO PUBLIC;
SET search_path = catalog_test, public;

CREATE DOMAIN money_amount AS numeric;
CREATE TABLE ev (experiment_id text, user_id bigint, variant text, at timestamptz, ms float8, small smallint, real_ms real, revenue numeric, domained money_amount, crashed boolean,
                 note text, gap interval, doc jsonb, tags text[], "order" int, "Odd "" name" int);
CREATE FUNCTION plain(float8) RETURNS float8 LANGUAGE sql IMMUTABLE RETURN $1 * 2;
CREATE FUNCTION many(int) RETURNS SETOF int LANGUAGE sql IMMUTABLE AS 'SELECT generate_series(1, $1)';
CREATE FUNCTION moody(float8) RETURNS float8 LANGUAGE sql VOLATILE AS 'SELECT $1';
INSERT INTO guardrail_experiment (experiment_id, events) VALUES ('e', 'ev');

-- message(sql): what happens when it is run; nothing stays
CREATE FUNCTION message(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE m text; d text; h text;
BEGIN
  BEGIN
    EXECUTE sql;
    RAISE EXCEPTION USING MESSAGE = 'accepted', ERRCODE = 'ZZ999';
  EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, d = PG_EXCEPTION_DETAIL, h = PG_EXCEPTION_HINT;
    IF SQLSTATE = 'ZZ999' THEN RETURN 'accepted'; END IF;
    RETURN SQLSTATE || ': ' || m || coalesce(E'\n  detail: ' || nullif(d, ''), '') || coalesce(E'\n  hint: ' || nullif(h, ''), '');
  END;
END $$;
-- rule(changes): a good row but for the changes
CREATE FUNCTION rule(changes jsonb) RETURNS text LANGUAGE sql AS $$
  SELECT message(format('INSERT INTO guardrail_rule (%s) VALUES (%s)', string_agg(quote_ident(key), ', '), string_agg(quote_nullable(value), ', ')))
    FROM jsonb_each_text('{"experiment_id": "e", "metric": "load", "role": "guardrail", "kind": "mean", "value": "ms", "worse": "higher", "limit_kind": "difference", "limit_value": 200}' || changes) $$;
CREATE FUNCTION value(expression text) RETURNS text LANGUAGE sql AS $$ SELECT rule(jsonb_build_object('value', expression)) $$;

SELECT rule('{}') AS plain;

-- ---- one expression, and no more

SELECT x AS accepted, value(x) FROM unnest(ARRAY['ms', ' ms ', E'\n\tms\n', '(ms)', '((ms))', 'ms + 1', 'ms /* a comment */', 'ms -- a comment', E'-- first\nms', 'CASE WHEN crashed THEN 1 ELSE 0 END', 'ms::int', 'ms IS NULL', 'crashed AND ms > 3', 'NOT crashed',
  'small', 'real_ms', 'revenue', 'domained', '"order"', '"Odd "" name"', 'ev.ms', 'coalesce(ms, 0)', 'round(ms::numeric, 2)', '''1''::float8', '1', 'note = ''; DROP TABLE x; --''', 'note IN (''a'', ''b'')', 'ms BETWEEN 1 AND 2', '(doc->>''ms'')::float8',
  'extract(epoch FROM gap)', 'array_length(tags, 1)', 'catalog_test.plain(ms)', '''x'' = ANY (tags)', '$$a$$ = note', 'ms > 1 OR note LIKE ''%''']) x;
SELECT x AS refused, value(x) FROM unnest(ARRAY['', '  ', E'\n', '-- only a comment', '/* only a comment */', '1); DROP TABLE x; --', 'a, b', 'ms, ms', 'ms;', 'ms; SELECT 1', ';', ')', '(', '(ms', 'ms)', 'ms) FROM ev; DROP TABLE ev; --', 'ms /* open', 'ms ''open', 'ms "open', 'ms $x$ open',
  '*', 'ev.*', 'ms AS x', 'ms x', 'ms FROM ev', 'ms WHERE true', 'ms GROUP BY ms', 'ms ORDER BY 1', 'ms LIMIT 1', 'ms UNION SELECT 1', 'ms INTO x', 'DISTINCT ms', 'ALL ms', 'ms FOR UPDATE', 'SELECT ms', 'SELECT 1', 'VALUES (1)', 'WITH x AS (SELECT 1) SELECT 1', 'TABLE ev', 'DELETE FROM ev',
  'COPY ev TO PROGRAM ''x''', 'nosuch', 'nosuch(ms)', 'plain(ms)', 'ms +', '1 / 0', 'avg(ms)', 'count(*)', 'sum(ms) OVER ()', 'row_number() OVER ()', 'avg(ms) FILTER (WHERE crashed)', '(SELECT 1)', '(SELECT max(ms) FROM ev)', 'EXISTS (SELECT 1)', 'ms IN (SELECT 1)', 'ARRAY(SELECT 1)',
  'generate_series(1, 2)', 'catalog_test.many(3)', 'unnest(tags)', 'random()', 'catalog_test.moody(ms)', 'clock_timestamp() > at', 'nextval(''x'')', 'pg_sleep(1)', 'set_config(''x.y'', ''1'', false)', 'now() > at', '$1', ':x', '?', 'note', 'gap', 'at', 'doc', 'tags', 'NULL', '''text''', 'ev', 'ROW(ms, 1)', 'grouping(ms)', 'ms::nosuch']) x;

-- ---- the denominator and the filter are expressions too

SELECT c AS changes, rule('{"kind": "ratio"}' || c::jsonb) FROM unnest(ARRAY['{"denominator": "ms"}', '{"denominator": "1); DROP TABLE x; --"}', '{"denominator": "a, b"}', '{"denominator": "note"}', '{"denominator": "avg(ms)"}', '{"denominator": ""}', '{"filter": "crashed"}', '{"filter": "ms > 3 -- slow"}',
  '{"filter": "1); DROP TABLE x; --"}', '{"filter": "crashed, crashed"}', '{"filter": "ms"}', '{"filter": "1"}', '{"filter": "note"}', '{"filter": "random() < 0.5"}', '{"filter": "true) OR (true"}', '{"filter": ""}', '{"filter": "NULL"}']) c;

-- ---- words, and what belongs to which kind

SELECT c AS changes, rule(c::jsonb) FROM unnest(ARRAY['{"experiment_id": "nosuch"}', '{"experiment_id": null}', '{"metric": null}', '{"metric": ""}', '{"role": "primary"}', '{"role": "boss"}', '{"role": null}', '{"severity": "hold"}', '{"severity": "warn"}', '{"severity": "deadly"}', '{"severity": null}',
  '{"role": "primary", "severity": "hold"}', '{"role": "secondary", "evidence": "safe"}', '{"evidence": "point"}', '{"evidence": "hearsay"}', '{"evidence": null}', '{"worse": "lower"}', '{"worse": "up"}', '{"worse": null}', '{"kind": "median"}', '{"kind": null}', '{"value": null}',
  '{"unit_aggregate": "avg"}', '{"unit_aggregate": "median"}', '{"unit_aggregate": null}', '{"north_star": true}', '{"north_star": null}', '{"display_unit": "ms"}', '{"display_unit": "a very long unit of measure"}', '{"note": "anything"}',
  '{"denominator": "ms"}', '{"kind": "proportion", "denominator": "ms"}', '{"kind": "quantile", "quantile": 0.5, "denominator": "ms"}', '{"quantile": 0.5}', '{"kind": "ratio", "quantile": 0.5}', '{"quantile_over": "units"}', '{"kind": "proportion", "unit_aggregate": "max"}', '{"kind": "ratio", "unit_aggregate": "avg"}',
  '{"kind": "quantile"}', '{"kind": "quantile", "quantile": 0.95}', '{"kind": "quantile", "quantile": 0}', '{"kind": "quantile", "quantile": 1}', '{"kind": "quantile", "quantile": 95}', '{"kind": "quantile", "quantile": -0.5}', '{"kind": "quantile", "quantile": "NaN"}', '{"kind": "quantile", "quantile": "Infinity"}',
  '{"kind": "quantile", "quantile": 0.5, "quantile_over": "units", "unit_aggregate": "max"}', '{"kind": "quantile", "quantile": 0.5, "unit_aggregate": "max"}', '{"kind": "quantile", "quantile": 0.5, "quantile_over": "users"}', '{"kind": "quantile", "quantile": 0.5, "quantile_over": null}']) c;
SELECT rule(jsonb_build_object('metric', repeat('m', 100))) AS long_name, left(rule(jsonb_build_object('metric', repeat('m', 101))), 45) AS too_long, rule('{"metric": "P95 of \"load\"; DROP TABLE x"}') AS odd_name;

-- ---- limits and levels

SELECT c AS changes, rule(c::jsonb) FROM unnest(ARRAY['{"limit_kind": null}', '{"limit_kind": "percent"}', '{"limit_value": null}', '{"limit_value": 0}', '{"limit_value": -200}', '{"limit_value": "NaN"}', '{"limit_value": "Infinity"}', '{"limit_value": "-Infinity"}', '{"limit_value": "200 ms"}',
  '{"limit_kind": "absolute", "limit_value": -5}', '{"limit_kind": "absolute", "limit_value": null}', '{"limit_kind": "absolute", "limit_value": "NaN"}', '{"limit_kind": "relative", "limit_value": 0.05}', '{"limit_kind": "relative", "limit_value": 5}', '{"limit_kind": "relative", "limit_value": 1, "worse": "lower"}',
  '{"limit_kind": "relative", "limit_value": -0.05}', '{"limit_kind": "relative", "limit_value": null}', '{"limit_kind": "significance", "limit_value": null}', '{"limit_kind": "significance", "limit_value": 0}', '{"limit_kind": "significance", "limit_value": 5}',
  '{"role": "primary", "limit_value": null}', '{"role": "primary", "limit_kind": null, "limit_value": null}', '{"role": "primary", "limit_kind": null}', '{"role": "primary", "limit_kind": "absolute", "limit_value": null}', '{"role": "primary", "limit_kind": "relative", "limit_value": 1, "worse": "higher"}',
  '{"role": "primary", "limit_kind": "relative", "limit_value": 1, "worse": "lower"}', '{"role": "primary", "limit_value": -1}', '{"alpha": 0.01}', '{"alpha": 0}', '{"alpha": 0.5}', '{"alpha": 1}', '{"alpha": 5}', '{"alpha": -0.1}', '{"alpha": "NaN"}', '{"alpha": null}']) c;

-- what is not said is filled in: 0.10 one-sided for a guardrail, 0.05 two-sided for the others
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) VALUES
  ('e', 'g', 'guardrail', 'mean', 'ms', 'higher', 'difference', 1), ('e', 's', 'secondary', 'mean', 'ms', 'higher', 'difference', NULL), ('e', 'p', 'primary', 'mean', 'ms', 'lower', NULL, NULL);
SELECT metric, alpha, limit_kind, limit_value, severity, evidence, unit_aggregate, quantile_over, north_star FROM guardrail_rule ORDER BY metric;
-- the same metric twice, a second North Star
UPDATE guardrail_rule SET north_star = true WHERE metric = 'g';
SELECT rule('{"metric": "g"}') AS twice, rule('{"north_star": true}') AS second_star;
-- an update is checked as an insert is
SELECT c AS change, message('UPDATE guardrail_rule SET ' || c || ' WHERE metric = ''g''') FROM unnest(ARRAY['value = ''revenue''', 'value = ''nosuch''', 'value = ''1); DROP TABLE x; --''', 'limit_value = -1', 'kind = ''quantile''', 'role = ''secondary''', 'metric = NULL', 'experiment_id = ''nosuch''']) c;

-- ---- the writer must be able to read what the expression reads

GRANT SELECT, INSERT ON guardrail_experiment, guardrail_rule TO regress_guardrail_analyst;
CREATE FUNCTION secret(float8) RETURNS float8 LANGUAGE sql IMMUTABLE RETURN $1;
REVOKE EXECUTE ON FUNCTION secret(float8) FROM PUBLIC;
SET ROLE regress_guardrail_analyst;
INSERT INTO guardrail_experiment (experiment_id, events) VALUES ('mine', 'ev');
SELECT rule('{"experiment_id": "mine"}') AS events_not_readable;
RESET ROLE;
GRANT SELECT (experiment_id, user_id, variant, ms) ON ev TO regress_guardrail_analyst;
SET ROLE regress_guardrail_analyst;
SELECT rule('{"experiment_id": "mine"}') AS readable_column, rule('{"experiment_id": "mine", "value": "revenue"}') AS unreadable_column, rule('{"experiment_id": "mine", "value": "catalog_test.secret(ms)"}') AS secret_function;
RESET ROLE;

-- meaning does not depend on the writer's settings
SET standard_conforming_strings = off;
SET escape_string_warning = off;
SELECT value($$note = 'a\' AND true$$) AS backslash;
RESET standard_conforming_strings;

SET client_min_messages = warning;
DROP SCHEMA catalog_test CASCADE;
DROP EXTENSION guardrail;
DROP ROLE regress_guardrail_analyst;
