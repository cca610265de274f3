/*
 * owner.c
 *	  The one place that changes whose rights statements run with.
 *
 * An experiment's expressions are the owner's text: they run with the owner's
 * rights whoever checks, in a security-restricted operation, with only
 * pg_catalog in the search path.  The settings that change what SQL text means
 * are fixed, so that an expression means at every check what it meant when it
 * was written: string literals, NULL comparison, dates, and UTC as time zone.
 *
 * Meanwhile the transaction is read-only: what an expression, or a view below the
 * events, calls has nothing to write, be it into tables that it may write to or into
 * the temporary schema of whose session it is; forbidden.c has the rest.  And what the extension's triggers
 * let pass while a function of it writes, they do not let pass for what runs in the
 * middle of that.
 */
#include "base/owner.h"

#include "access/genam.h"
#include "access/xact.h"
#include "catalog/pg_proc.h"
#include "miscadmin.h"
#include "utils/syscache.h"

GrWriting	gr_writing = GR_WRITING_NOTHING;

static void
enter(OwnerContext *saved, Oid role, int security)
{
	GetUserIdAndSecContext(&saved->user, &saved->security);
	saved->writing = gr_writing;
	saved->read_only = XactReadOnly;
	SetUserIdAndSecContext(role, saved->security | security | SECURITY_LOCAL_USERID_CHANGE |
						   (role != saved->user ? SECURITY_RESTRICTED_OPERATION : 0));
	saved->guc_level = NewGUCNestLevel();
	gr_set_local("search_path", GR_SEARCH_PATH);
	gr_set_local("standard_conforming_strings", "on");
	gr_set_local("transform_null_equals", "off");
	gr_set_local("DateStyle", "ISO, YMD");
	gr_set_local("IntervalStyle", "postgres");
	gr_set_local("TimeZone", "UTC");
	gr_set_local("extra_float_digits", "1");
	gr_set_local("row_security", "on");
}

void
gr_owner_enter(OwnerContext *saved, Oid role)
{
	/* the role may have been dropped: its name is what the error needs */
	if (!SearchSysCacheExists1(AUTHOID, ObjectIdGetDatum(role)))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("owner of the experiment (role %u) does not exist", role),
				 errhint("Set guardrail_experiment.owner to an existing role.")));
	enter(saved, role, GR_SECURITY_READING);
	gr_writing = GR_WRITING_NOTHING;
	XactReadOnly = true;
}

void
gr_owner_leave(const OwnerContext *saved)
{
	gr_writing = saved->writing;
	XactReadOnly = saved->read_only;
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
	enter(saved, owner, 0);
}
