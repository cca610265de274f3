/*
 * protect.h
 *	  What row-level security of the catalog hides from whom.
 */
#ifndef GR_PROTECT_H
#define GR_PROTECT_H

#include "catalog/catalog.h"

/* May row-level security hide experiments from the current role? */
extern bool gr_rows_may_be_hidden(Oid function);

/* How many running experiments does the current role, who sees so many, not see? */
extern int	gr_hidden_running(Oid function, int visible);

/*
 * An error if row-level security may hide experiments from the current role, which is
 * the owner of the extension's tables.  For what speaks of all experiments.
 */
extern void gr_require_all_rows(Oid function);

#endif							/* GR_PROTECT_H */
