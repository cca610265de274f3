/*
 * owner.c
 *	  The one place that changes whose rights statements run with.
 *
 * An experiment's expressions are the owner's text: they run with the owner's
 * rights whoever checks, in a security-restricted operation, with only
 * pg_catalog in the search path.  The settings that change what SQL text means
 * are fixed, so that an expression means at every check what it meant when it
 * was written: string literals, NULL comparison, dates, and UTC as time zone.
 */
#include "query/query.h"

#include "access/genam.h"
#include "catalog/pg_proc.h"
#include "miscadmin.h"
#include "utils/syscache.h"

static void
set_local(const char *name, const char *value)
{
	(void) set_config_option(name, value, PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
}

static void
enter(OwnerContext *saved, Oid role)
{
	GetUserIdAndSecContext(&saved->user, &saved->security);
	SetUserIdAndSecContext(role, saved->security | SECURITY_LOCAL_USERID_CHANGE |
						   (role != saved->user ? SECURITY_RESTRICTED_OPERATION : 0));
	saved->guc_level = NewGUCNestLevel();
	set_local("search_path", "pg_catalog, pg_temp");
	set_local("standard_conforming_strings", "on");
	set_local("transform_null_equals", "off");
	set_local("DateStyle", "ISO, YMD");
	set_local("IntervalStyle", "postgres");
	set_local("TimeZone", "UTC");
	set_local("extra_float_digits", "1");
}

void
gr_owner_enter(OwnerContext *saved, Oid role)
{
	/* the role may have been dropped: its name is what the error needs */
	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("owner of the experiment (role %u) does not exist", role),
				 errhint("Set guardrail_experiment.owner.")));
	enter(saved, role);
}

void
gr_owner_leave(const OwnerContext *saved)
{
	AtEOXact_GUC(false, saved->guc_level);
	SetUserIdAndSecContext(saved->user, saved->security);
}

void
gr_writer_enter(OwnerContext *saved, Oid function)
{
	HeapTuple	tuple = SearchSysCache1(PROCOID, ObjectIdGetDatum(function));
	Oid			owner;

	if (!HeapTupleIsValid(tuple))
		elog(ERROR, "cache lookup failed for function %u", function);
	owner = ((Form_pg_proc) GETSTRUCT(tuple))->proowner;
	ReleaseSysCache(tuple);
	enter(saved, owner);
}
