/*
 * slice.h
 *	  Collecting by what is stored of units; what stored.h has is the folder's own.
 */
#ifndef GR_SLICE_H
#define GR_SLICE_H

#include "query/query.h"

/* Can the experiment be collected from stored slices?  It has a cursor, and they hold what its rules need. */
extern bool gr_slices_serve(const Experiment *e, const ScanPlan *plan);

/*
 * Collect such an experiment, reading what is stored.  recorded: for
 * a check, which holds the lock on the experiment's row and stores what is new.
 * SPI must be connected; the result lives in "context".  *rows_read: how many events
 * it read, those that are stored not counted; -1: all of them.
 */
extern Collection *gr_collect_stored(const Experiment *e, const ScanPlan *plan,
									 Oid function, bool recorded,
									 MemoryContext context, int64 *rows_read);

#endif							/* GR_SLICE_H */
