/*
 * protect.c
 *	  Row-level security of the catalog: switching it, and saying what it hides.
 *
 * The policies are made with the extension and do nothing until row-level security is
 * enabled.  pg_dump writes neither that it is enabled nor any policy for a table that
 * belongs to an extension, but it writes the rows of guardrail_protection.  So that
 * table has a row while the catalog is protected, and a CHECK constraint of the table
 * calls guardrail_protect_tables: restoring the row enables row-level security again.
 * A trigger could be disabled by the restore, a constraint cannot.
 *
 * A restore may run in several sessions, which hold locks on one of the two tables and
 * wait for the other; so both locks are taken at once or not at all.
 */
#include "catalog/protect.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "utils/rls.h"
#include "utils/syscache.h"

PG_FUNCTION_INFO_V1(guardrail_protect);
PG_FUNCTION_INFO_V1(guardrail_protect_tables);
PG_FUNCTION_INFO_V1(guardrail_sees_row);

/* the order in which other functions lock them */
static const char *const tables[] = {"guardrail_rule", "guardrail_experiment"};

/* Attempts, 10 ms apart, before the locks are waited for in the ordinary way. */
#define ATTEMPTS 500

static Oid
table_oid(Oid function, int i)
{
	Oid			table = get_relname_relid(tables[i], get_func_namespace(function));

	if (!OidIsValid(table))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_TABLE),
				 errmsg("table \"%s\" does not exist beside the extension's functions", tables[i]),
				 errhint("Restore the extension: drop and create it, then restore its rows.")));
	return table;
}

static bool
is_enabled(Oid table)
{
	HeapTuple	tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(table));
	bool		enabled;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for relation %u", table);
	enabled = ((Form_pg_class) GETSTRUCT(tuple))->relrowsecurity;
	ReleaseSysCache(tuple);
	return enabled;
}

static void
lock_both(const Oid *oids)
{
	for (int i = 0; i < ATTEMPTS; i++)
	{
		if (ConditionalLockRelationOid(oids[0], AccessExclusiveLock))
		{
			if (ConditionalLockRelationOid(oids[1], AccessExclusiveLock))
				return;
			UnlockRelationOid(oids[0], AccessExclusiveLock);
		}
		CHECK_FOR_INTERRUPTS();
		pg_usleep(10000);
	}
	/* a deadlock with a session that waits for this one is found here */
	for (int k = 0; k < 2; k++)
		LockRelationOid(oids[k], AccessExclusiveLock);
}

/* Enable or disable row-level security on both tables; SPI is connected. */
static void
switch_tables(Oid function, bool enable)
{
	Oid			oids[] = {table_oid(function, 0), table_oid(function, 1)};
	char	   *schema = gr_schema_of_function(function);
	OwnerContext saved;

	if (is_enabled(oids[0]) == enable && is_enabled(oids[1]) == enable)
		return;
	lock_both(oids);
	gr_writer_enter(&saved, function);
	for (int i = 0; i < 2; i++)
		gr_spi_query(psprintf("ALTER TABLE %s.%s %s ROW LEVEL SECURITY", schema, tables[i],
							  enable ? "ENABLE" : "DISABLE"), false, 0, NULL);
	gr_owner_leave(&saved);
}

/* guardrail_protect_tables(protected): the constraint of guardrail_protection; true */
Datum
guardrail_protect_tables(PG_FUNCTION_ARGS)
{
	if (!PG_ARGISNULL(0) && PG_GETARG_BOOL(0))
	{
		if (SPI_connect() != SPI_OK_CONNECT)
			elog(ERROR, "SPI_connect failed");
		switch_tables(fcinfo->flinfo->fn_oid, true);
		SPI_finish();
	}
	PG_RETURN_BOOL(true);
}

/* guardrail_protect(enable): what is in force from now on, in words */
Datum
guardrail_protect(PG_FUNCTION_ARGS)
{
	Oid			function = fcinfo->flinfo->fn_oid;
	char	   *schema = gr_schema_of(fcinfo);
	OwnerContext saved;
	bool		enable;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"enable\" must not be NULL"),
				 errhint("Use true to enable row-level security, or false to disable it.")));
	enable = PG_GETARG_BOOL(0);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	gr_writer_enter(&saved, function);
	/* the constraint enables it, even where somebody disabled it by hand */
	gr_spi_query(psprintf(enable ? "INSERT INTO %s.guardrail_protection VALUES (true) ON CONFLICT DO NOTHING" :
						  "DELETE FROM %s.guardrail_protection", schema), false, 0, NULL);
	gr_owner_leave(&saved);
	if (!enable)
		switch_tables(function, false);
	SPI_finish();
	PG_RETURN_TEXT_P(cstring_to_text(enable ?
									 "row-level security is on: a role sees the experiments whose owner it is a member of" :
									 "row-level security is off: a role that may read guardrail_experiment sees every experiment"));
}

/* Is the role a member of the owner of any experiment? */
static bool
owns_any(Oid function, Oid role)
{
	const char *args[] = {psprintf("%u", role)};
	OwnerContext saved;
	bool		any;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	gr_writer_enter(&saved, function);
	gr_spi_query(psprintf("SELECT EXISTS (SELECT FROM %s.guardrail_experiment"
						  " WHERE pg_catalog.pg_has_role($1::oid, owner::oid, 'MEMBER'))",
						  gr_schema_of_function(function)), true, 1, args);
	any = gr_spi_bool(0, 1);
	gr_owner_leave(&saved);
	SPI_finish();
	return any;
}

/*
 * guardrail_sees_row(owner): does row-level security show the row to the current role?
 *
 * A role that writes experiments, or belongs to the owner of one, sees its own.  To any
 * other nothing would be left, and a table without rows reads like one without problems:
 * an error.
 */
Datum
guardrail_sees_row(PG_FUNCTION_ARGS)
{
	Oid			function = fcinfo->flinfo->fn_oid;
	Oid			role = GetUserId();
	const char *name;
	char	   *schema;

	if (PG_ARGISNULL(0))
		PG_RETURN_BOOL(false);
	if (is_member_of_role(role, PG_GETARG_OID(0)))
		PG_RETURN_BOOL(true);
	/* asked once for all rows of a query */
	if (fcinfo->flinfo->fn_extra == NULL)
	{
		bool	   *limited = MemoryContextAlloc(fcinfo->flinfo->fn_mcxt, sizeof(bool));

		*limited = pg_class_aclcheck(table_oid(function, 1), role, ACL_INSERT) == ACLCHECK_OK ||
			owns_any(function, role);
		fcinfo->flinfo->fn_extra = limited;
	}
	if (*(bool *) fcinfo->flinfo->fn_extra)
		PG_RETURN_BOOL(false);
	name = GetUserNameFromId(role, false);
	schema = gr_schema_of_function(function);
	ereport(ERROR,
			(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
			 errmsg("row-level security hides experiments from role \"%s\"", name),
			 errhint("To let it see those of all owners, GRANT EXECUTE ON FUNCTION %s.guardrail_sees_all() TO %s; "
					 "to let it see those of a team, grant it the team's role. View %s.guardrail_verdict has the recorded verdicts of all.",
					 schema, quote_identifier(name), schema)));
}

bool
gr_rows_may_be_hidden(Oid function)
{
	return check_enable_rls(table_oid(function, 1), InvalidOid, true) == RLS_ENABLED;
}

int
gr_hidden_running(Oid function, int visible)
{
	OwnerContext saved;
	int64		all;

	if (!gr_rows_may_be_hidden(function))
		return 0;
	gr_writer_enter(&saved, function);
	gr_spi_query(psprintf("SELECT count(*) FROM %s.guardrail_experiment WHERE state = 'running'",
						  gr_schema_of_function(function)), true, 0, NULL);
	all = gr_spi_int8(0, 1, 0);
	gr_owner_leave(&saved);
	return (int) Max(all - visible, 0);
}

void
gr_require_all_rows(Oid function)
{
	if (gr_rows_may_be_hidden(function))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("row-level security may hide experiments from role \"%s\", the owner of guardrail's tables",
						GetUserNameFromId(GetUserId(), false)),
				 errhint("Run ALTER TABLE %s.guardrail_experiment NO FORCE ROW LEVEL SECURITY, and the same for guardrail_rule.",
						 gr_schema_of_function(function))));
}
