/*
 * writers.c
 *	  Who writes into a table now, and waiting until they have ended.
 */
#include "base/writers.h"

#include "catalog/pg_inherits.h"
#include "miscadmin.h"
#include "storage/lmgr.h"
#include "storage/lock.h"
#include "storage/proc.h"
#include "utils/timestamp.h"

/* ms that they are waited for at most */
#define LONGEST_WAIT 10000

/* Transactions of others that hold a lock for writing on the events. */
List *
gr_writers(Oid events, bool *prepared)
{
	List	   *relations = find_all_inheritors(events, NoLock, NULL);
	LockData   *locks = GetLockStatusData();
	List	   *found = NIL;

	*prepared = false;
	for (int i = 0; i < locks->nelements; i++)
	{
		const LockInstanceData *lock = &locks->locks[i];
		VirtualTransactionId *vxid;

		if (lock->locktag.locktag_type != LOCKTAG_RELATION ||
			lock->locktag.locktag_field1 != MyDatabaseId || lock->pid == MyProcPid ||
			(lock->holdMask & LOCKBIT_ON(RowExclusiveLock)) == 0 ||
			!list_member_oid(relations, lock->locktag.locktag_field2))
			continue;
		*prepared |= (lock->pid == 0);
		vxid = palloc(sizeof(VirtualTransactionId));
		GR_LOCK_VXID(*vxid, lock);
		found = lappend(found, vxid);
	}
	return found;
}

/* Writers that did not end while they were waited for, the newest ones: no check waits for them again. */
#define REMEMBERED 32

static VirtualTransactionId too_long[REMEMBERED];
static int	ntoo_long = 0;

static bool
is_remembered(VirtualTransactionId writer)
{
	for (int i = 0; i < Min(ntoo_long, REMEMBERED); i++)
		if (VirtualTransactionIdEquals(too_long[i], writer))
			return true;
	return false;
}

static void
wait_for_end(void *writer)
{
	(void) VirtualXactLock(*(VirtualTransactionId *) writer, true);
}

/* How long writers are waited for: half of what a check has, so that it can do without them. */
static int
longest_wait(void)
{
	return guardrail_check_timeout > 0 ? Max(1, Min(LONGEST_WAIT, guardrail_check_timeout / 2)) : LONGEST_WAIT;
}

/* Wait for a writer to end, some milliseconds; false: it has not. */
static bool
has_ended(VirtualTransactionId *writer, int wait)
{
	int			level = NewGUCNestLevel();
	bool		is_ours = LockTimeout == 0 || LockTimeout > wait;
	ErrorData  *error;

	/* a lock_timeout that is shorter ends the check, as it ends all that waits */
	if (is_ours)
		gr_set_local("lock_timeout", psprintf("%d", wait));
	error = gr_attempt(wait_for_end, writer);
	AtEOXact_GUC(false, level);
	if (error && !(is_ours && error->sqlerrcode == ERRCODE_LOCK_NOT_AVAILABLE))
		ReThrowError(error);
	return error == NULL;
}

/*
 * False: some have not ended in time, and what lies above the position is not to be
 * stored yet.  VACUUM, ANALYZE and index builds hold stronger locks and write no events, so
 * WaitForLockersMultiple would wait for too many.
 */
bool
gr_wait_for_writers(Oid events)
{
	bool		prepared;
	ListCell   *cell;
	List	   *list = gr_writers(events, &prepared);
	TimestampTz until = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), longest_wait());

	foreach(cell, list)
		if (is_remembered(*(VirtualTransactionId *) lfirst(cell)))
			return false;
	foreach(cell, list)
	{
		VirtualTransactionId *writer = lfirst(cell);
		long		left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), until);

		CHECK_FOR_INTERRUPTS();
		if (!has_ended(writer, (int) Max(left, 1)))
		{
			too_long[ntoo_long++ % REMEMBERED] = *writer;
			return false;
		}
	}
	return true;
}
