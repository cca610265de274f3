-- Options that have a column in the catalog and do not work yet: refused when written, never accepted and ignored.
-- An option that works from now on leaves this file.
--
-- Expected: feature_not_supported (0A000) for each, and no row.
SET client_min_messages = warning;
CREATE EXTENSION guardrail;
CREATE SCHEMA unsupported_test;
SET search_path = unsupported_test, public;
CREATE TABLE ev (event_id bigint GENERATED ALWAYS AS IDENTITY, experiment_id text, user_id bigint, variant text, at timestamptz, exposed_at timestamptz, first_seen timestamptz, ms float8, before_ms float8, page text);
INSERT INTO guardrail_experiment (experiment_id, events, time_column) VALUES ('e', 'ev', 'at');

CREATE FUNCTION message(sql text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE m text; h text;
BEGIN
  EXECUTE sql;
  RETURN 'ACCEPTED';
EXCEPTION WHEN OTHERS THEN
  GET STACKED DIAGNOSTICS m = MESSAGE_TEXT, h = PG_EXCEPTION_HINT;
  RETURN SQLSTATE || ': ' || m || E'\n  hint: ' || h;
END $$;

SELECT c AS experiment, message(format('INSERT INTO guardrail_experiment (experiment_id, events, time_column, %s) VALUES (''x'', ''ev'', ''at'', %s)', split_part(c, ' = ', 1), split_part(c, ' = ', 2))) FROM unnest(ARRAY['cursor_column = ''event_id''']) c;
SELECT k AS kind, message(format('INSERT INTO guardrail_rule (experiment_id, metric, role, worse, limit_kind, kind, value) VALUES (''e'', ''m'', ''primary'', ''higher'', ''significance'', %L, ''page'')', k)) FROM unnest('{distinct,entropy}'::text[]) k;
-- an update is an INSERT of the same
INSERT INTO guardrail_rule (experiment_id, metric, role, worse, limit_kind, kind, value) VALUES ('e', 'load', 'primary', 'higher', 'significance', 'mean', 'ms');
SELECT message('UPDATE guardrail_rule SET kind = ''entropy''') AS rule, message('UPDATE guardrail_experiment SET cursor_column = ''event_id''') AS experiment;
SELECT metric, kind FROM guardrail_rule;

SET client_min_messages = warning;
DROP SCHEMA unsupported_test CASCADE;
DROP EXTENSION guardrail;
