
-- ---- stored slices, for incremental checks --------------------------------

CREATE FUNCTION _guardrail_unit_hash("any") RETURNS bigint
  AS 'MODULE_PATHNAME', 'guardrail_unit_hash' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION _guardrail_unit_hash("any") IS
  'returns the hash that identifies a unit; used in the statements that guardrail generates';

CREATE FUNCTION _guardrail_collect_units_add(internal, text, text[], integer, "any", "any", VARIADIC "any") RETURNS internal
  AS 'MODULE_PATHNAME', 'guardrail_collect_units_add' LANGUAGE C IMMUTABLE PARALLEL SAFE;
COMMENT ON FUNCTION _guardrail_collect_units_add(internal, text, text[], integer, "any", "any", "any") IS
  'transition function of _guardrail_collect_units(); its units must fit guardrail.unit_memory';

CREATE AGGREGATE _guardrail_collect_units(text, text[], integer, "any", "any", VARIADIC "any") (
  SFUNC = _guardrail_collect_units_add, STYPE = internal, SSPACE = 1048576,
  FINALFUNC = _guardrail_collect_serialize, FINALFUNC_MODIFY = READ_WRITE,
  COMBINEFUNC = _guardrail_collect_combine, SERIALFUNC = _guardrail_collect_serialize,
  DESERIALFUNC = _guardrail_collect_deserialize, PARALLEL = SAFE);
COMMENT ON AGGREGATE _guardrail_collect_units(text, text[], integer, "any", "any", "any") IS
  'collects the units of an experiment as bytes in one pass over its events; called by guardrail_check()';

CREATE TABLE guardrail_watermark (
  experiment_id text PRIMARY KEY REFERENCES guardrail_experiment ON UPDATE CASCADE ON DELETE CASCADE,
  fingerprint bigint NOT NULL,
  "position" text,
  arms text[] NOT NULL,
  totals bytea,
  seals bigint[],
  units bigint,
  checksum bigint
);
ALTER TABLE guardrail_watermark ALTER totals SET STORAGE EXTERNAL;
-- A restore may load these tables in any order, as with guardrail_rule; what is incomplete is not used. Before other tables
-- refer to this one: what goes with its rows must go on.
ALTER TABLE guardrail_watermark DISABLE TRIGGER ALL;
COMMENT ON TABLE guardrail_watermark IS 'position up to which guardrail_slice stores the events of an experiment with a cursor';
COMMENT ON COLUMN guardrail_watermark.experiment_id IS 'identifier of the experiment, as in guardrail_experiment';
COMMENT ON COLUMN guardrail_watermark.fingerprint IS
  'fingerprint of everything the slices depend on; if it changes, they are computed again';
COMMENT ON COLUMN guardrail_watermark."position" IS 'value of the cursor_column up to which events are stored; NULL: none are';
COMMENT ON COLUMN guardrail_watermark.arms IS 'names of the variants that the slices number from 0';
COMMENT ON COLUMN guardrail_watermark.totals IS
  'sums over the units of all slices, from which units can be subtracted again; NULL: not kept';
COMMENT ON COLUMN guardrail_watermark.seals IS 'one random number for each slice, the oldest first: the checksums in the rows of the slice depend on it';
COMMENT ON COLUMN guardrail_watermark.units IS 'the number of units in all slices; a unit counts once for each slice that has it';
COMMENT ON COLUMN guardrail_watermark.checksum IS 'checksum of this row and of the ranges of the slices; slices that do not fit it are computed again';

CREATE TABLE guardrail_slice (
  experiment_id text NOT NULL REFERENCES guardrail_watermark ON UPDATE CASCADE ON DELETE CASCADE,
  slice bigint NOT NULL,
  part integer NOT NULL,
  from_cursor text,
  to_cursor text NOT NULL,
  units bigint NOT NULL,
  state bytea NOT NULL,
  PRIMARY KEY (experiment_id, slice, part)
);
ALTER TABLE guardrail_slice DISABLE TRIGGER ALL;
-- the slices of an experiment, without a look at each of their parts
CREATE UNIQUE INDEX guardrail_slice_head ON guardrail_slice (experiment_id, slice) WHERE part = 0;
-- compressing it would cost more time than it saves room
ALTER TABLE guardrail_slice ALTER state SET STORAGE EXTERNAL;
-- a part fills a page, and lies in it
DO $$ BEGIN
  EXECUTE pg_catalog.format('ALTER TABLE guardrail_slice SET (toast_tuple_target = %s)',
                            pg_catalog.current_setting('block_size')::integer - 32);
END $$;
COMMENT ON TABLE guardrail_slice IS
  'data collected from a range of an experiment''s events: its units in the order of their hashes, in parts';
COMMENT ON COLUMN guardrail_slice.experiment_id IS 'identifier of the experiment, as in guardrail_experiment';
COMMENT ON COLUMN guardrail_slice.slice IS 'number of the slice within its experiment, the oldest first';
COMMENT ON COLUMN guardrail_slice.part IS '0 is the head, with row counts and histograms of events; the other parts hold units';
COMMENT ON COLUMN guardrail_slice.from_cursor IS
  'value of the cursor_column after which the slice''s events begin; NULL: from the first event on';
COMMENT ON COLUMN guardrail_slice.to_cursor IS 'last value of the cursor_column in the slice';
COMMENT ON COLUMN guardrail_slice.units IS 'number of units in the part';
COMMENT ON COLUMN guardrail_slice.state IS 'stored data of the part; see doc/incremental.md';

CREATE FUNCTION _guardrail_slice_check() RETURNS trigger AS 'MODULE_PATHNAME', 'guardrail_slice_check' LANGUAGE C;
COMMENT ON FUNCTION _guardrail_slice_check() IS
  'trigger function: rejects a cursor_column that cannot be followed, and rules that cannot be stored';
CREATE TRIGGER guardrail_slice_check BEFORE INSERT OR UPDATE ON guardrail_experiment
  FOR EACH ROW EXECUTE FUNCTION _guardrail_slice_check();
CREATE TRIGGER guardrail_slice_check BEFORE INSERT OR UPDATE ON guardrail_rule
  FOR EACH ROW EXECUTE FUNCTION _guardrail_slice_check();

CREATE FUNCTION guardrail_rebuild(experiment text, from_cursor text DEFAULT NULL, to_cursor text DEFAULT NULL) RETURNS bigint
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION guardrail_rebuild(text, text, text) IS
  'computes the slices of an experiment that overlap the range of its cursor again, or all slices; returns their number; for members of its owner';

CREATE FUNCTION guardrail_audit(experiment text) RETURNS TABLE (
    from_cursor text,
    to_cursor text,
    variant text,
    what text,
    stored double precision,
    events double precision)
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE COST 10000 ROWS 10;
COMMENT ON FUNCTION guardrail_audit(text) IS
  'returns the differences between an experiment''s slices and its events, no row if they agree; for members of its owner';

SELECT pg_catalog.pg_extension_config_dump('guardrail_watermark', '');
SELECT pg_catalog.pg_extension_config_dump('guardrail_slice', '');
