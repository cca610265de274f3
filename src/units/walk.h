/*
 * walk.h
 *	  All units of one scan in the order of their hashes, wherever they are: in
 *	  the table still, in a flat, in several flats of parallel workers.
 */
#ifndef GR_WALK_H
#define GR_WALK_H

#include "units/units.h"

typedef struct WalkSource
{
	const Units *units;
	const char *entries;		/* of a flat */
	uint32		n;
	uint32		at;
	const uint64 *order;		/* of a table's entries; NULL: a flat */
	const FlatList *lists;		/* NULL: the events are not grouped by unit */
	Size	   *bin_at;			/* [nlists] first bin of the unit at hand */
	const int  *arm;			/* number of each of its arms in the result */
	bool		here;			/* has the unit at hand */
} WalkSource;

typedef struct Walk
{
	const CollectSpec *spec;
	Size		entry_size;
	int			nsources;
	WalkSource *source;
	UnitEntry  *merged;			/* the unit at hand, when sources are several */
} Walk;

/* The units' table, unless it is flat, takes no more rows. */
extern void gr_walk_init(Walk *walk, Units *u);

/* To the start; returns the greatest number of units there may be. */
extern Size gr_walk_start(Walk *walk);

/* The next unit, or NULL. */
extern const UnitEntry *gr_walk_next(Walk *walk);

#endif							/* GR_WALK_H */
