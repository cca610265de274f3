/*
 * forbidden.c
 *	  What an experiment's owner's text may not do, beside writing.
 *
 * It runs in the session of whoever checks, in a transaction that is read-only for the
 * time being.  The server lets some things pass in one all the same: NOTIFY, which would
 * be sent in that session's name, and until version 16 writing large objects.  Those are
 * refused.  Advisory locks of the session outlast the transaction: after the work the
 * session has those that it had before.
 */
#include "base/owner.h"

#include "catalog/objectaccess.h"
#include "catalog/pg_proc.h"
#include "miscadmin.h"
#include "storage/lock.h"
#include "tcop/utility.h"
#include "utils/fmgroids.h"

/* ---- what is refused --------------------------------------------------------------- */

static object_access_hook_type next_access_hook = NULL;
static ProcessUtility_hook_type next_utility_hook = NULL;

static bool
is_owners_text(void)
{
	Oid			user;
	int			security;

	GetUserIdAndSecContext(&user, &security);
	return (security & GR_SECURITY_READING) != 0;
}

static void
refuse(const char *what)
{
	ereport(ERROR,
			(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
			 errmsg("cannot execute %s while guardrail reads events", what),
			 errhint("Expressions of rules, and views and functions below the events, may only read.")));
}

/* Functions that a read-only transaction does not keep from leaving something behind. */
static bool
leaves_something(Oid function)
{
	switch (function)
	{
		case F_PG_NOTIFY:
		case F_LO_CREAT:
		case F_LO_CREATE:
		case F_LO_FROM_BYTEA:
		case F_LO_IMPORT_TEXT:
		case F_LO_IMPORT_TEXT_OID:
		case F_LO_EXPORT:
		case F_LO_PUT:
		case F_LO_TRUNCATE:
		case F_LO_TRUNCATE64:
		case F_LO_UNLINK:
		case F_LOWRITE:
			return true;
	}
	return false;
}

static void
access_hook(ObjectAccessType access, Oid class, Oid object, int sub, void *arg)
{
	if (access == OAT_FUNCTION_EXECUTE && leaves_something(object) && is_owners_text())
		refuse(psprintf("%s()", get_func_name(object)));
	if (next_access_hook)
		next_access_hook(access, class, object, sub, arg);
}

static void
utility_hook(PlannedStmt *statement, const char *text, bool read_only, ProcessUtilityContext context,
			 ParamListInfo params, QueryEnvironment *environment, DestReceiver *to, QueryCompletion *completion)
{
	if (IsA(statement->utilityStmt, NotifyStmt) && is_owners_text())
		refuse("NOTIFY");
	(next_utility_hook ? next_utility_hook : standard_ProcessUtility)
		(statement, text, read_only, context, params, environment, to, completion);
}

void
gr_forbid_side_effects(void)
{
	next_access_hook = object_access_hook;
	object_access_hook = access_hook;
	next_utility_hook = ProcessUtility_hook;
	ProcessUtility_hook = utility_hook;
}

/* ---- locks of the session -------------------------------------------------------- */

/* One advisory lock, and how often the session has taken it. */
typedef struct Held
{
	LOCKTAG		tag;
	LOCKMODE	mode;
	int64		times;
} Held;

/* The session's share of a lock that this process holds. */
static int64
times_held(const LOCKTAG *tag, LOCKMODE mode)
{
	LOCALLOCK  *local = NULL;
	int64		times = 0;

	/* what is held already is there at once; once more shows how often */
	if (GR_LOCK_ACQUIRE(tag, mode, &local) == LOCKACQUIRE_NOT_AVAIL)
		return 0;
	for (int i = 0; i < local->numLockOwners; i++)
		if (local->lockOwners[i].owner == NULL)
			times = local->lockOwners[i].nLocks;
	(void) LockRelease(tag, mode, true);
	return times - 1;
}

static void
add_held(List **list, const LOCKTAG *tag, LOCKMODE mode)
{
	Held	   *h = palloc(sizeof(Held));

	*h = (Held) {*tag, mode, times_held(tag, mode)};
	*list = lappend(*list, h);
}

List *
gr_session_locks(void)
{
	LockData   *locks = GetLockStatusData();
	List	   *found = NIL;

	for (int i = 0; i < locks->nelements; i++)
	{
		const LockInstanceData *lock = &locks->locks[i];

		if (lock->pid != MyProcPid || lock->locktag.locktag_type != LOCKTAG_ADVISORY)
			continue;
		for (LOCKMODE mode = 1; mode <= MaxLockMode; mode++)
			if (lock->holdMask & LOCKBIT_ON(mode))
				add_held(&found, &lock->locktag, mode);
	}
	return found;
}

/* How often the list has the lock. */
static int64
times_in(const List *list, const Held *lock)
{
	ListCell   *cell;

	foreach(cell, list)
	{
		const Held *h = lfirst(cell);

		if (h->mode == lock->mode && memcmp(&h->tag, &lock->tag, sizeof(LOCKTAG)) == 0)
			return h->times;
	}
	return 0;
}

void
gr_restore_session_locks(const List *before)
{
	const List *now = gr_session_locks();
	ListCell   *cell;

	foreach(cell, now)
	{
		const Held *h = lfirst(cell);

		for (int64 n = times_in(before, h); n < h->times; n++)
			(void) LockRelease(&h->tag, h->mode, true);
	}
	/* what was given back is taken again, unless somebody was faster */
	foreach(cell, before)
	{
		const Held *h = lfirst(cell);
		LOCALLOCK  *local;

		for (int64 n = times_in(now, h); n < h->times; n++)
			if (GR_LOCK_ACQUIRE(&h->tag, h->mode, &local) == LOCKACQUIRE_NOT_AVAIL)
			{
				ereport(WARNING,
						(errcode(ERRCODE_WARNING),
						 errmsg("an advisory lock of this session was released while guardrail read events"),
						 errdetail("A function below the events released it, and another session holds it now.")));
				break;
			}
	}
}
