/*
 * units.h
 *	  The units of one scan: a hash table while rows come in, a flat array
 *	  sorted by hash when it is sent, merged or folded.
 *
 * A unit is known by a 64-bit hash of its value (two of n units share one with
 * probability n^2/2^65: 3e-8 for a million).  Its entry:
 *	 hash · arm · events · one double per fold
 * and for FOLD_EVENTS its values as histogram bins.  A unit seen in two arms
 * becomes ARM_CROSSOVER and stays so, whatever is merged with it.
 *
 * Memory is counted as it is allocated; what would pass the limit raises
 * GR_ERRCODE_UNITS_MEMORY, which the caller of the scan turns into the
 * two-level shape.
 */
#ifndef GR_UNITS_H
#define GR_UNITS_H

#include "units/collection.h"
#include "units/spec.h"

#define GR_ERRCODE_UNITS_MEMORY ERRCODE_CONFIGURATION_LIMIT_EXCEEDED

#define ARM_CROSSOVER (-1)

typedef struct UnitEntry
{
	uint64		hash;
	uint32		events;
	int32		arm;
	double		slots[FLEXIBLE_ARRAY_MEMBER];
} UnitEntry;

#define GR_ENTRY_SIZE(nslots) (offsetof(UnitEntry, slots) + sizeof(double) * (nslots))

/* Values of one FOLD_EVENTS fold, in the order they came. */
typedef struct EventList
{
	Size		n;
	Size		capacity;
	uint32	   *unit;			/* number of the entry */
	int32	   *bin;
} EventList;

/* The same in a flat: grouped by unit, in the units' order. */
typedef struct FlatList
{
	uint32	   *count;			/* per unit */
	Size		n;				/* bins in all */
	int32	   *bin;
} FlatList;

typedef struct Flat
{
	uint32		n;
	char	   *entries;		/* n entries, ascending by hash */
	FlatList   *lists;
} Flat;

/* A row on its way into the table; NaN is no observation. */
#define GR_BUFFERED_ROWS 64

typedef struct UnitSlot
{
	uint32		tag;			/* low bits of the hash */
	uint32		unit;			/* number of the entry + 1; 0: free */
} UnitSlot;

typedef struct Units
{
	MemoryContext context;
	CollectSpec *spec;
	Size		limit;			/* bytes */
	Size		used;
	Size		entry_size;

	/* arms; fixed when the plan names them, else as they are seen */
	bool		arms_fixed;
	int			narms;
	char	   *arm_name[GR_MAX_ARMS];
	RowCounts	counts[GR_MAX_ARMS];
	int64		null_unit_rows;
	int64		unknown_arm_rows;

	/* while rows come in */
	uint32		n;
	uint32		capacity;
	char	   *entries;
	UnitSlot   *index;
	uint32		index_mask;
	EventList  *lists;
	int			nbuffered;
	uint64		buffered_hash[GR_BUFFERED_ROWS];
	int32		buffered_arm[GR_BUFFERED_ROWS];
	double	   *buffered_value; /* [GR_BUFFERED_ROWS][ncolumns] */

	/* afterwards; NULL before */
	Flat	   *flat;

	/* [nmetrics], when these are not all units that the caps come from */
	double		(*caps)[2];
} Units;

extern Units *gr_units_make(MemoryContext context, CollectSpec *spec,
							Size limit);

/* The arm's number; -2 when it is unknown or there are too many. */
extern int	gr_units_arm(Units *u, const char *name, int len);
extern void gr_units_add_arm(Units *u, const char *name, int len);

/* Room for one more row's values in the buffer; then gr_units_add. */
extern double *gr_units_row(Units *u);
extern void gr_units_add(Units *u, uint64 hash, int arm);

/* Turn the table into its flat form. */
extern void gr_units_flatten(Units *u);

/* Merge b, which is used up, into a.  Both become flat. */
extern void gr_units_merge(Units *a, Units *b);

extern bytea *gr_units_serialize(Units *u);
extern Units *gr_units_deserialize(MemoryContext context, const bytea *bytes);

/* Add "from", the same unit's entry, to "to". */
extern void gr_units_add_entry(const CollectSpec *spec, UnitEntry *to,
							   const UnitEntry *from);

/*
 * The cap that the observations of all units in arms, any order, give one of a
 * metric's variables; they are sorted.  Infinite when there are none.
 */
extern double gr_pooled_cap(const Metric *metric, double *values, Size n);

/* Fold the units of a flat into a collection. */
extern Collection *gr_units_fold(Units *u);

extern void gr_units_charge(Units *u, Size bytes);

static inline UnitEntry *
gr_entry(const char *entries, Size size, uint32 i)
{
	return (UnitEntry *) (entries + size * i);
}

#endif							/* GR_UNITS_H */
