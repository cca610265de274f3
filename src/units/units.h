/*
 * units.h
 *	  The units of one scan: a hash table while rows come in, a flat array
 *	  sorted by hash when it is sent, merged or folded.
 *
 * A unit is known by a 64-bit hash of its value (two of n units share one with
 * probability n^2/2^65: 3e-8 for a million).  Its entry:
 *	 hash · arm · events · one double per fold
 * and for FOLD_EVENTS its values as histogram bins, for FOLD_VALUES as they are.  A unit seen in two arms
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

/*
 * Values of one fold with a list, in the order they came; of FOLD_VALUES each is
 * two neighbours, the halves of a double, which stay neighbours when they are
 * grouped by unit or merged.
 */
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

/* Rows on their way into the table, by column; NaN is no observation. */
#define GR_BUFFERED_ROWS 64
#define GR_BUFFERS 3

typedef struct RowBuffer
{
	int			n;
	uint64		hash[GR_BUFFERED_ROWS];
	int32		arm[GR_BUFFERED_ROWS];
	uint32		unit[GR_BUFFERED_ROWS]; /* likely number of the entry + 1; 0: none */
	double	   *value;			/* [ncolumns][GR_BUFFERED_ROWS] */
} RowBuffer;

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
	Size		entry_size;		/* in a flat */

	/* arms; fixed when the plan names them, else as they are seen */
	bool		arms_fixed;
	int			narms;
	char	   *arm_name[GR_MAX_ARMS];
	int			arm_length[GR_MAX_ARMS];
	RowCounts	counts[GR_MAX_ARMS];
	int64		null_unit_rows;
	int64		unknown_arm_rows;

	/* while rows come in */
	uint32		n;
	uint32		capacity;
	Size		stride;			/* of the entries */
	char	   *entries;		/* starts a line of the cache */
	void	   *entries_chunk;	/* where it was allocated */
	UnitSlot   *index;
	uint32		index_mask;
	EventList  *lists;
	UnitEntry  *blank;			/* what a new entry starts as */
	RowBuffer	rows[GR_BUFFERS];
	int			filling;		/* number of the buffer that rows go to */

	/* afterwards; NULL before */
	Flat	   *flat;

	/* [nmetrics], when these are not all units that the caps come from */
	double		(*caps)[2];

	/* flats that are to be merged with it */
	int			nparts;
	struct UnitsPart *parts;
} Units;

typedef struct UnitsPart
{
	Units	   *units;
	int			arm[GR_MAX_ARMS];	/* its arms' numbers in the whole */
} UnitsPart;

extern Units *gr_units_make(MemoryContext context, CollectSpec *spec,
							Size limit);

/* The arm's number; negative when it is unknown. */
extern int	gr_units_arm(Units *u, const char *name, int len);
extern void gr_units_add_arm(Units *u, const char *name, int len);

/*
 * Where one more row's values go, GR_BUFFERED_ROWS from one column to the next;
 * then gr_units_add.
 */
static inline double *
gr_units_row(Units *u)
{
	return u->rows[u->filling].value + u->rows[u->filling].n;
}

extern void gr_units_add(Units *u, uint64 hash, int arm);

/* Add the rows that are buffered. */
extern void gr_units_flush(Units *u);

/*
 * The entries' numbers, each in the lower half of a uint64, in the order of
 * their hashes.  Nothing can be added to the table afterwards.
 */
extern uint64 *gr_units_order(Units *u);
extern void gr_events_free(EventList *list);

/* Turn the table into its flat form. */
extern void gr_units_flatten(Units *u);

/*
 * Take b, which must live as long as a, into a.  It is merged when a is folded,
 * or at once when memory is short.
 */
extern void gr_units_combine(Units *a, Units *b);

/* Merge b, which is used up, into a.  Both become flat. */
extern void gr_units_merge(Units *a, Units *b);

/* Add "from", the same unit's entry, to "to"; from_arm: its arm as "to" numbers it. */
extern void gr_entry_add(const CollectSpec *spec, UnitEntry *to,
						 const UnitEntry *from, int from_arm);

extern bytea *gr_units_serialize(Units *u);
extern Units *gr_units_deserialize(MemoryContext context, const bytea *bytes);

/*
 * The cap that the observations of all units in arms, any order, give one of a
 * metric's variables; they are sorted.  Infinite when there are none.
 */
extern double gr_pooled_cap(const Metric *metric, double *values, Size n);

/* Fold the units of a flat into a collection. */
extern Collection *gr_units_fold(Units *u);

extern void gr_units_charge(Units *u, Size bytes);

static inline bool
gr_units_is_arm(const Units *u, int arm, const char *name, int len)
{
	return u->arm_length[arm] == len && memcmp(u->arm_name[arm], name, len) == 0;
}

static inline UnitEntry *
gr_entry(const char *entries, Size size, uint32 i)
{
	return (UnitEntry *) (entries + size * i);
}

#if defined(__GNUC__)
#define gr_prefetch(p) __builtin_prefetch(p)
#else
#define gr_prefetch(p) ((void) 0)
#endif

/* An entry of the table; those of usual size lie in one line of the cache. */
#define GR_CACHE_LINE 64

static inline UnitEntry *
gr_table_entry(const Units *u, uint32 i)
{
	return gr_entry(u->entries, u->stride, i);
}

static inline void
gr_prefetch_entry(const Units *u, uint32 i)
{
	const char *e = (const char *) gr_table_entry(u, i);

	gr_prefetch(e);
	if (u->stride > GR_CACHE_LINE)
		gr_prefetch(e + GR_CACHE_LINE);
}

#endif							/* GR_UNITS_H */
