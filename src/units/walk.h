/*
 * walk.h
 *	  All units of one scan in the order of their hashes, wherever they are: in
 *	  the table still, in a flat, packed as several processes sent them.
 */
#ifndef GR_WALK_H
#define GR_WALK_H

#include "units/units.h"

/* Bins of the unit at hand. */
typedef struct WalkBins
{
	const int32 *bin;
	uint32		n;
	int32	   *unpacked;
	uint32		capacity;
} WalkBins;

typedef struct WalkSource
{
	const Units *units;
	uint32		n;
	uint32		at;
	const uint64 *order;		/* of a table's entries; NULL: no table */
	const FlatList *lists;		/* of a table or flat; NULL: not grouped by unit */
	const char *next;			/* packed: what follows the unit at hand */
	UnitEntry  *unpacked;		/* packed: the unit at hand */
	WalkBins   *bins;			/* [nlists] */
	const int  *arm;			/* number of each of its arms in the result */
	bool		here;			/* has the walk's unit at hand */
} WalkSource;

typedef struct Walk
{
	const CollectSpec *spec;
	Size		entry_size;
	int			nsources;
	WalkSource *source;
	UnitEntry  *merged;			/* the unit at hand, when sources are several */
} Walk;

/*
 * A table takes no more rows; with "bins" its events go into the order of the
 * units, else they stay as they came and the walk has none.
 */
extern void gr_walk_init(Walk *walk, Units *u, bool bins);

/* To the start; returns the greatest number of units there may be. */
extern Size gr_walk_start(Walk *walk);

/* The next unit, or NULL. */
extern const UnitEntry *gr_walk_next(Walk *walk);

#endif							/* GR_WALK_H */
