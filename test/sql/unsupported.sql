-- What cannot be followed with bounded state: refused beside cursor_column when it is written, whichever comes first.
--
-- Expected: feature_not_supported (0A000) for each, and no change of a row.
SET client_min_messages = warning;
CREATE EXTENSION guardrail;
CREATE SCHEMA unsupported_test;
SET search_path = unsupported_test, public;
CREATE TABLE ev (event_id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, experiment_id text, user_id bigint, variant text, at timestamptz, ms float8, page text);
CREATE TABLE shown (experiment_id text, user_id bigint, variant text, exposed_at timestamptz);
INSERT INTO guardrail_experiment (experiment_id, events, time_column, cursor_column) VALUES ('followed', 'ev', 'at', 'event_id'), ('read anew', 'ev', 'at', NULL);

CREATE FUNCTION message(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE m text; h text;
BEGIN
  EXECUTE sql;
  RETURN 'ACCEPTED';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, h = PG_EXCEPTION_HINT;
  RETURN SQLSTATE || ': ' || m || E'\n  hint: ' || h;
END $$;
CREATE FUNCTION rule(id text, kind text, value text, columns text, vals text) RETURNS text LANGUAGE sql AS $$
  SELECT message(format('INSERT INTO guardrail_rule (experiment_id, metric, role, worse, limit_kind, kind, value, %s) VALUES (%L, %L, ''secondary'', ''higher'', ''significance'', %L, %L, %s)', columns, id, kind || ' ' || columns, kind, value, vals)) $$;
\x on
-- the cursor first
SELECT rule('followed', k, v, c, x) AS message FROM (VALUES ('mean', 'ms', 'window_length', '''7 days'''), ('retention', NULL, 'retention_day', '7'), ('distinct', 'page', 'note', 'NULL'), ('entropy', 'page', 'note', 'NULL')) AS r(k, v, c, x)
UNION ALL SELECT message($$UPDATE guardrail_experiment SET exposures = 'shown' WHERE experiment_id = 'followed'$$);
-- what it can follow
SELECT rule('followed', k, v, c, x) AS message FROM (VALUES ('proportion', 'ms', 'at_least', '100'), ('mean', 'ms', 'unit_aggregate', '''max'''), ('quantile', 'ms', 'quantile', '0.9')) AS r(k, v, c, x);
-- the rules first
SELECT rule('read anew', k, v, c, x) AS message FROM (VALUES ('mean', 'ms', 'window_length', '''7 days'''), ('retention', NULL, 'retention_day', '7'), ('distinct', 'page', 'note', 'NULL'), ('entropy', 'page', 'note', 'NULL')) AS r(k, v, c, x);
SELECT message($$UPDATE guardrail_experiment SET cursor_column = 'event_id' WHERE experiment_id = 'read anew'$$);
DELETE FROM guardrail_rule WHERE experiment_id = 'read anew' AND kind IN ('mean', 'retention');
SELECT message($$UPDATE guardrail_experiment SET cursor_column = 'event_id' WHERE experiment_id = 'read anew'$$);
DELETE FROM guardrail_rule WHERE experiment_id = 'read anew';
SELECT message($$UPDATE guardrail_experiment SET cursor_column = 'event_id', exposures = 'shown' WHERE experiment_id = 'read anew'$$);
-- a limit against the past
SELECT message($$INSERT INTO guardrail_rule (experiment_id, metric, role, worse, limit_kind, limit_value, kind, value) VALUES ('read anew', 'past', 'guardrail', 'higher', 'baseline', 0.2, 'mean', 'ms')$$);
\x off
SELECT experiment_id, cursor_column, exposures FROM guardrail_experiment ORDER BY 1;
SELECT experiment_id, metric FROM guardrail_rule ORDER BY experiment_id, metric COLLATE "C";

-- written all the same, with the triggers off, it is computed from all events: never from what is stored
INSERT INTO ev (experiment_id, user_id, variant, at, ms, page) SELECT 'followed', n % 200, CASE WHEN n % 2 = 0 THEN 'control' ELSE 'treatment' END, '2026-01-01'::timestamptz + interval '1 hour' * (n / 200), 1, 'page ' || n / 200 FROM generate_series(0, 999) n;
INSERT INTO guardrail_rule (experiment_id, metric, role, worse, limit_kind, kind, value) VALUES ('followed', 'goal', 'primary', 'higher', 'significance', 'mean', 'ms');
SET client_min_messages = error;
SELECT guardrail_launch('followed');
CALL guardrail_check('followed');
INSERT INTO ev (experiment_id, user_id, variant, at, ms, page) SELECT 'followed', n % 200, CASE WHEN n % 2 = 0 THEN 'control' ELSE 'treatment' END, '2026-01-01 05:00', 1, 'page 5' FROM generate_series(0, 199) n;
BEGIN;
ALTER TABLE guardrail_rule DISABLE TRIGGER USER;
UPDATE guardrail_rule SET kind = 'distinct', value = 'page' WHERE metric = 'goal';
UPDATE guardrail_rule SET window_length = '3 hours' WHERE metric = 'mean unit_aggregate';
SELECT metric, control_value, treatment_value FROM guardrail_evaluate('followed') WHERE metric IN ('goal', 'mean unit_aggregate', 'proportion at_least') ORDER BY metric;
ROLLBACK;

SET client_min_messages = warning;
DROP SCHEMA unsupported_test CASCADE;
DROP EXTENSION guardrail;
