
-- ---- row-level security ---------------------------------------------------
--
-- The policies do nothing until guardrail_protect() enables row-level security. pg_dump writes neither that nor policies for
-- the tables of an extension; it writes the row of guardrail_protection, whose constraint enables it again.

CREATE FUNCTION guardrail_sees_all() RETURNS boolean
  LANGUAGE sql IMMUTABLE PARALLEL SAFE
  RETURN true;
COMMENT ON FUNCTION guardrail_sees_all() IS
  'marks roles: under row-level security a role that may execute this function reads the experiments of all owners; returns true';
REVOKE EXECUTE ON FUNCTION guardrail_sees_all() FROM PUBLIC;

CREATE FUNCTION _guardrail_sees_row(owner oid) RETURNS boolean
  AS 'MODULE_PATHNAME', 'guardrail_sees_row' LANGUAGE C STABLE PARALLEL UNSAFE;
COMMENT ON FUNCTION _guardrail_sees_row(oid) IS
  'policy of guardrail_experiment: returns true if the current role is a member of the owner; raises an error if the role writes no experiments and would see none of them';

CREATE POLICY guardrail_own_rows ON guardrail_experiment
  USING (pg_catalog.pg_has_role(owner::pg_catalog.oid, 'MEMBER'::text))
  WITH CHECK (pg_catalog.pg_has_role(owner::pg_catalog.oid, 'MEMBER'::text));
CREATE POLICY guardrail_all_rows ON guardrail_experiment FOR SELECT
  USING (pg_catalog.has_function_privilege('guardrail_sees_all()'::regprocedure::pg_catalog.oid, 'EXECUTE'::text)
    OR _guardrail_sees_row(owner::pg_catalog.oid));
CREATE POLICY guardrail_own_rows ON guardrail_rule
  USING (EXISTS (SELECT FROM guardrail_experiment e
    WHERE e.experiment_id = guardrail_rule.experiment_id AND pg_catalog.pg_has_role(e.owner::pg_catalog.oid, 'MEMBER'::text)))
  WITH CHECK (EXISTS (SELECT FROM guardrail_experiment e
    WHERE e.experiment_id = guardrail_rule.experiment_id AND pg_catalog.pg_has_role(e.owner::pg_catalog.oid, 'MEMBER'::text)));
CREATE POLICY guardrail_all_rows ON guardrail_rule FOR SELECT
  USING (pg_catalog.has_function_privilege('guardrail_sees_all()'::regprocedure::pg_catalog.oid, 'EXECUTE'::text));

CREATE FUNCTION _guardrail_protect_tables(protected boolean) RETURNS boolean
  AS 'MODULE_PATHNAME', 'guardrail_protect_tables' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION _guardrail_protect_tables(boolean) IS
  'constraint of guardrail_protection: enables row-level security when the row is written or restored; returns true';
REVOKE EXECUTE ON FUNCTION _guardrail_protect_tables(boolean) FROM PUBLIC;

CREATE TABLE guardrail_protection (
  protected boolean PRIMARY KEY CHECK (protected) CHECK (_guardrail_protect_tables(protected))
);
COMMENT ON TABLE guardrail_protection IS
  'has one row while row-level security of guardrail_experiment and guardrail_rule is on, and none while it is off; guardrail_protect() writes it';
COMMENT ON COLUMN guardrail_protection.protected IS 'true: row-level security is on, also after the database was dumped and restored';

CREATE FUNCTION guardrail_protect(enable boolean DEFAULT true) RETURNS text
  AS 'MODULE_PATHNAME' LANGUAGE C VOLATILE PARALLEL UNSAFE;
COMMENT ON FUNCTION guardrail_protect(boolean) IS
  'turns row-level security of guardrail_experiment and guardrail_rule on or off, and returns what is in force; a dump and restore keeps it';
REVOKE EXECUTE ON FUNCTION guardrail_protect(boolean) FROM PUBLIC;

SELECT pg_catalog.pg_extension_config_dump('guardrail_protection', '');
