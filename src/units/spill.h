/*
 * spill.h
 *	  Units in temporary files: what writes them and what reads them again.
 */
#ifndef GR_SPILL_H
#define GR_SPILL_H

#include "units/units.h"

#include "storage/buffile.h"

#define RECORD_ENTRY 254
#define RECORD_EVENT 253

struct Spill
{
	int			bits;
	BufFile   **file;			/* [1 << bits]; NULL: nothing in it */
	Size		record_size;	/* at most */
	char	   *record;
};

/* The tables go to files, or an error when they may not; rows then do. */
extern void gr_spill_start(Units *u);
extern void gr_spill_rows(Units *u, const char *rows, int n);
extern void gr_spill_close(Units *u);

/* One record to the file of its hash; the entry need not be aligned. */
extern void gr_spill_entry(Units *u, uint64 hash, const void *entry);
extern void gr_spill_event(Units *u, int list, uint64 hash, int32 bin);

#endif							/* GR_SPILL_H */
