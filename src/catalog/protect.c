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
