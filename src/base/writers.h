/*
 * writers.h
 *	  Who writes into a table.
 */
#ifndef GR_WRITERS_H
#define GR_WRITERS_H

#include "base/spi.h"

/* Transactions of others that hold a lock for writing on the relation or one that inherits from it; *prepared: some are prepared. */
extern List *gr_writers(Oid events, bool *prepared);

/*
 * Wait for those to end.  False: some have not, in 10 seconds or half of
 * guardrail.check_timeout; they are not waited for again.
 */
extern bool gr_wait_for_writers(Oid events);

#endif							/* GR_WRITERS_H */
