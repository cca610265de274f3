-- guardrail: made from sql/parts by make; edit there.
-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION guardrail" to load this file. \quit

-- Copyright (C) 2026 the guardrail developers. GPL-3.0-or-later.

CREATE TYPE guardrail_summary;
CREATE TYPE guardrail_histogram;

CREATE FUNCTION _guardrail_summary_in(cstring) RETURNS guardrail_summary
  AS 'MODULE_PATHNAME', 'guardrail_summary_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION _guardrail_summary_out(guardrail_summary) RETURNS cstring
  AS 'MODULE_PATHNAME', 'guardrail_summary_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION _guardrail_summary_recv(internal) RETURNS guardrail_summary
  AS 'MODULE_PATHNAME', 'guardrail_summary_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION _guardrail_summary_send(guardrail_summary) RETURNS bytea
  AS 'MODULE_PATHNAME', 'guardrail_summary_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE TYPE guardrail_summary (
  INPUT = _guardrail_summary_in, OUTPUT = _guardrail_summary_out,
  RECEIVE = _guardrail_summary_recv, SEND = _guardrail_summary_send,
  STORAGE = external, ALIGNMENT = double);
COMMENT ON TYPE guardrail_summary IS
  'number of units, sums and centred cross products of one to three values per unit; made by guardrail_summarize()';
COMMENT ON FUNCTION _guardrail_summary_in(cstring) IS 'input function of type guardrail_summary';
COMMENT ON FUNCTION _guardrail_summary_out(guardrail_summary) IS 'output function of type guardrail_summary';
COMMENT ON FUNCTION _guardrail_summary_recv(internal) IS 'binary input function of type guardrail_summary';
COMMENT ON FUNCTION _guardrail_summary_send(guardrail_summary) IS 'binary output function of type guardrail_summary';

CREATE FUNCTION _guardrail_histogram_in(cstring) RETURNS guardrail_histogram
  AS 'MODULE_PATHNAME', 'guardrail_histogram_in' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION _guardrail_histogram_out(guardrail_histogram) RETURNS cstring
  AS 'MODULE_PATHNAME', 'guardrail_histogram_out' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION _guardrail_histogram_recv(internal) RETURNS guardrail_histogram
  AS 'MODULE_PATHNAME', 'guardrail_histogram_recv' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE FUNCTION _guardrail_histogram_send(guardrail_histogram) RETURNS bytea
  AS 'MODULE_PATHNAME', 'guardrail_histogram_send' LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE;
CREATE TYPE guardrail_histogram (
  INPUT = _guardrail_histogram_in, OUTPUT = _guardrail_histogram_out,
  RECEIVE = _guardrail_histogram_recv, SEND = _guardrail_histogram_send,
  STORAGE = external, ALIGNMENT = double);
COMMENT ON TYPE guardrail_histogram IS
  'counts of values in log-linear bins of relative width 2^-10 or less; made by guardrail_histogram(x)';
COMMENT ON FUNCTION _guardrail_histogram_in(cstring) IS 'input function of type guardrail_histogram';
COMMENT ON FUNCTION _guardrail_histogram_out(guardrail_histogram) IS 'output function of type guardrail_histogram';
COMMENT ON FUNCTION _guardrail_histogram_recv(internal) IS 'binary input function of type guardrail_histogram';
COMMENT ON FUNCTION _guardrail_histogram_send(guardrail_histogram) IS 'binary output function of type guardrail_histogram';
