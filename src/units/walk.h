/*
 * walk.h
 *	  All units of one scan in the order of their hashes, wherever they are: in
 *	  the tables still, or flat, as other processes sent them.
 */
#ifndef GR_WALK_H
#define GR_WALK_H

#include "units/units.h"

/* Bins of the unit at hand. */
typedef struct WalkBins
{
	const int32 *bin;
	uint32		n;
} WalkBins;

typedef struct WalkSource
{
	const Units *units;
	int			table;			/* at hand; flat: none */
	TableOrder	order;
	uint32		n;				/* of the table or the flat */
	uint32		at;
	const UnitEntry *entry;		/* at hand, or NULL */
	uint64		hash;			/* its; the largest there is without one */
	const FlatList *lists;		/* of the table or the flat */
	WalkBins   *bins;			/* [nlists] */
	const int  *arm;			/* number of each of its arms in the result */
	bool		here;			/* has the walk's unit at hand */
} WalkSource;

typedef struct Walk
{
	const CollectSpec *spec;
	Size		entry_size;
	bool		with_bins;
	int			nsources;
	WalkSource *source;
	UnitEntry  *merged;			/* the unit at hand, when sources are several */
} Walk;

extern void gr_walk_init(Walk *walk, const Units *u);

/* To the start; with or without the units' bins. */
extern void gr_walk_start(Walk *walk, bool bins);

/* The next unit, or NULL. */
extern const UnitEntry *gr_walk_next(Walk *walk);

/* The greatest number there may be of units, and of bins of a list. */
extern Size gr_walk_count(const Walk *walk);
extern Size gr_walk_count_bins(const Walk *walk, int list);

#endif							/* GR_WALK_H */
