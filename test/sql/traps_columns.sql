-- Columns that the events do not have, told all at once, and times without a zone, told as they are read.
--
-- Expected: by thought, from the columns of the tables below.
CREATE EXTENSION guardrail;
CREATE SCHEMA columns_test;
SET search_path = columns_test, public;
CREATE TABLE visits (test text, visitor bigint, arm text, happened timestamptz, ms float8);
CREATE TABLE ev (experiment_id text, user_id int, variant text, x float8, at timestamp, day date, real_time timestamptz);
CREATE TABLE shown (experiment_id text, user_id int, variant text, exposed_at timestamp, seen timestamptz);
INSERT INTO guardrail_experiment (experiment_id, events) VALUES ('e', 'visits');
INSERT INTO guardrail_experiment (experiment_id, events, unit_column, variant_column, experiment_column, time_column) VALUES ('e', 'visits', 'visiter', 'Arm', NULL, 'hapened');
INSERT INTO guardrail_experiment (experiment_id, events, unit_column, variant_column, experiment_column) VALUES ('e', 'visits', 'visitor', 'arm', 'experiment');
INSERT INTO guardrail_experiment (experiment_id, events, unit_column, variant_column, experiment_column) VALUES ('e', 'visits', 'visitor', 'user_id; DROP TABLE visits', 'test');
INSERT INTO guardrail_experiment (experiment_id, events, unit_column, variant_column, experiment_column, cursor_column) VALUES ('e', 'visits', 'visitor', 'arm', 'test', 'id');
INSERT INTO guardrail_experiment (experiment_id, events, exposures, time_column) VALUES ('e', 'visits', 'visits', 'at');
INSERT INTO guardrail_experiment (experiment_id, events, exposures, exposed_at_column, time_column) VALUES ('e', 'ev', 'shown', 'at', 'real_time');
CREATE TABLE bare ();
INSERT INTO guardrail_experiment (experiment_id, events) VALUES ('e', 'bare');

-- ---- times

SET TimeZone = 'Europe/Berlin';
INSERT INTO guardrail_experiment (experiment_id, events, time_column, starts_at) VALUES ('starts', 'ev', 'at', '2026-01-01');
INSERT INTO guardrail_experiment (experiment_id, events, time_column) VALUES ('no limit', 'ev', 'at'), ('with zone', 'ev', 'real_time');
UPDATE guardrail_experiment SET ends_at = '2027-01-01' WHERE experiment_id <> 'starts';
UPDATE guardrail_experiment SET description = 'said once' WHERE experiment_id = 'starts';
INSERT INTO guardrail_experiment (experiment_id, events, time_column, ends_at) VALUES ('days', 'ev', 'day', '2027-01-01');
INSERT INTO guardrail_experiment (experiment_id, events, time_column, exposures) VALUES ('shown', 'ev', 'real_time', 'shown');
INSERT INTO guardrail_experiment (experiment_id, events, time_column, exposures) VALUES ('both', 'ev', 'at', 'shown');
INSERT INTO guardrail_experiment (experiment_id, events, time_column, exposures, exposed_at_column) VALUES ('seen', 'ev', 'real_time', 'shown', 'seen');
INSERT INTO guardrail_experiment (experiment_id, events, time_column) VALUES ('windows', 'ev', 'at');
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, window_length, worse, limit_kind, limit_value) VALUES ('windows', 'x', 'guardrail', 'mean', 'x', '7 days', 'higher', 'difference', 1), ('windows', 'y', 'guardrail', 'mean', 'x', NULL, 'higher', 'difference', 1);
INSERT INTO guardrail_rule (experiment_id, metric, role, kind, value, worse, limit_kind, limit_value) SELECT e, 'x', 'guardrail', 'mean', 'x', 'higher', 'difference', 1 FROM unnest('{starts,both,seen}'::text[]) e;
SELECT line FROM unnest('{starts,windows,both,seen}'::text[]) id, LATERAL regexp_split_to_table(guardrail_explain(id), '\n') line WHERE line ~ 'zone';

SET client_min_messages = warning;
DROP SCHEMA columns_test CASCADE;
DROP EXTENSION guardrail;
