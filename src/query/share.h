/*
 * share.h
 *	  One scan of a relation for several experiments that have their events in it.
 */
#ifndef GR_SHARE_H
#define GR_SHARE_H

#include "query/query.h"

#include "nodes/pg_list.h"

/* What a shared scan collected for one experiment. */
typedef struct Shared
{
	const char *id;
	const char *sql;			/* the statement that its own scan would have run */
	Collection *c;
	const char *snapshot;		/* as of pg_current_snapshot() */
	int64		last_check;		/* recorded before the scan; 0: none */
} Shared;

/*
 * Scan for those of the experiments that share a relation and whose own scans
 * would cost more together, as the planner sees it.  A list of Shared, in "context";
 * what fails on the way is left to the experiments' own scans.
 */
extern List *gr_share_scans(Oid function, char *const *ids, int n, MemoryContext context);

/* The one of an experiment, if no check of it was recorded since; else NULL. */
extern const Shared *gr_shared_find(const List *shared, Oid function, const char *id);

#endif							/* GR_SHARE_H */
