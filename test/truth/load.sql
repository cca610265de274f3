-- What the truth_* tests share; included by them (psql only).  Before \i: \set file NAME for NAME.tsv, and srcdir.
--
-- Rows become jsonb objects keyed by the file's own column names, NA becomes NULL.  Each comparison is noted, and at the
-- end only counts are shown: rows and numbers compared, how many are within the tolerance, and the rows that fail.
SET client_min_messages = warning;
CREATE EXTENSION IF NOT EXISTS guardrail;
CREATE SCHEMA IF NOT EXISTS truth_test;
SET search_path = truth_test, public;

CREATE TABLE IF NOT EXISTS line (file text, n int GENERATED ALWAYS AS IDENTITY, content text NOT NULL);
-- the whole line is one column: no tab, no other character divides it
ALTER TABLE line ALTER file SET DEFAULT :'file';
\set copy '\\copy truth_test.line(content) FROM ''' :srcdir /truth/ :file '.tsv'' WITH (DELIMITER E''\\001'')'
:copy

CREATE OR REPLACE FUNCTION truth(tsv text, OUT id text, OUT r jsonb) RETURNS SETOF record LANGUAGE sql AS $$
  SELECT r->>'id', r
    FROM (SELECT string_to_array(content, E'\t') AS names FROM line WHERE file = tsv AND content NOT LIKE '#%' ORDER BY n LIMIT 1) AS header,
         (SELECT string_to_array(content, E'\t', 'NA') AS cells FROM line WHERE file = tsv AND content NOT IN ('') AND content NOT LIKE '#%' ORDER BY n OFFSET 1) AS line,
         jsonb_object(names, cells) AS r $$;
CREATE OR REPLACE FUNCTION num(r jsonb, name text) RETURNS float8 LANGUAGE sql IMMUTABLE RETURN (r->>name)::float8;
CREATE OR REPLACE FUNCTION list(r jsonb, name text) RETURNS float8[] LANGUAGE sql IMMUTABLE RETURN string_to_array(r->>name, ',')::float8[];

CREATE TABLE IF NOT EXISTS checked (file text, what text, id text, got float8, expected float8, tolerance float8, slack float8);
-- (1e-290: the server takes a product that vanishes for an error)
CREATE OR REPLACE FUNCTION near(a float8, b float8, tolerance float8, slack float8) RETURNS boolean LANGUAGE sql IMMUTABLE
  RETURN coalesce(a = b OR abs(b) < 'Infinity' AND abs(a) < 'Infinity' AND abs(a - b) <= tolerance * greatest(abs(b), 1e-290) + slack, false);

-- whether a call is refused with an error that begins like this
CREATE OR REPLACE FUNCTION refused(call text, message text) RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
  EXECUTE 'SELECT ' || call;
  RETURN false;
EXCEPTION WHEN invalid_parameter_value OR null_value_not_allowed OR invalid_text_representation THEN
  RETURN starts_with(SQLERRM, message);
END $$;

CREATE OR REPLACE VIEW report AS
  SELECT file, what, count(DISTINCT id) AS rows, count(*) AS numbers, count(*) FILTER (WHERE ok) AS within,
         string_agg(DISTINCT id, ' ') FILTER (WHERE NOT ok) AS failing
    FROM (SELECT *, near(got, expected, tolerance, slack) AS ok FROM checked) AS c GROUP BY file, what ORDER BY file, what;
