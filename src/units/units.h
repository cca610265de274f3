/*
 * units.h
 *	  The units of one scan: hash tables while rows come in, a flat array ascending
 *	  by hash when they are sent to another process.
 *
 * A unit is known by a 64-bit hash of its value (two of n units share one with
 * probability n^2/2^65: 3e-8 for a million).  Its entry:
 *	 hash · arm · events · one double per fold
 * and for FOLD_EVENTS its values as histogram bins, for FOLD_VALUES as they are.
 * A unit seen in two arms becomes ARM_CROSSOVER and stays so, whatever is merged
 * with it.
 *
 * There is one table at first, and one for each range of hashes when they are many:
 * rows are buffered for each, so that what goes to memory at random goes to little of
 * it, and the order of the hashes is made range by range.
 *
 * Memory is counted as it is allocated.  What would pass the limit is spilled to
 * temporary files by the process that folds; any other raises an error, and the
 * caller of the scan does without that process.
 */
#ifndef GR_UNITS_H
#define GR_UNITS_H

#include "units/collection.h"
#include "spec/spec.h"

/* not the code of temp_file_limit, which another way to the same would meet too */
#define GR_ERRCODE_UNITS_MEMORY ERRCODE_INSUFFICIENT_RESOURCES

/* of one process among several: one alone may do it */
#define GR_ERRCODE_SENT_MEMORY ERRCODE_OUT_OF_MEMORY

#define ARM_CROSSOVER (-1)

#if defined(__GNUC__)
#define gr_prefetch(p) __builtin_prefetch(p)
#define gr_prefetch_to_write(p) __builtin_prefetch(p, 1)
#else
#define gr_prefetch(p) ((void) 0)
#define gr_prefetch_to_write(p) ((void) 0)
#endif

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
 * spilled, grouped by unit or merged.
 */
#define GR_BINS_OF_VALUE ((int) (sizeof(double) / sizeof(int32)))	/* of a row, at most */

#define GR_PIECE_EVENTS 1024

typedef struct EventPiece
{
	uint32		unit[GR_PIECE_EVENTS];	/* number of the entry */
	int32		bin[GR_PIECE_EVENTS];
} EventPiece;

typedef struct EventList
{
	Size		n;
	Size		capacity;
	EventPiece **piece;
	Size		pieces;			/* room for so many pointers */
} EventList;

/* The same grouped by unit, in the units' order. */
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

/* A row on its way into a table; NaN is no observation. */
typedef struct BufferedRow
{
	uint64		hash;
	int32		arm;
	double		value[FLEXIBLE_ARRAY_MEMBER];	/* [ncolumns] */
} BufferedRow;

typedef struct RowBuffer
{
	char	   *rows;
	char	   *next;			/* where one more goes */
	char	   *end;
} RowBuffer;

#define GR_BUFFERED_ROWS 512	/* at most */

typedef struct UnitSlot
{
	uint32		tag;			/* bits of the hash */
	uint32		unit;			/* number of the entry + 1; 0: free */
} UnitSlot;

/* Entries lie in pieces that never move. */
#define GR_PIECE_BITS 7
#define GR_PIECE_UNITS (1 << GR_PIECE_BITS)

typedef struct UnitTable
{
	uint32		n;
	uint32		capacity;
	char	  **piece;
	uint32		pieces;			/* room for so many pointers */
	UnitSlot   *index;
	uint32		index_mask;
	EventList  *lists;			/* [nlists] */
} UnitTable;

/* Tables by ranges of the hash, when there are several: as many as batches. */
#define GR_TABLE_BITS GR_BATCH_BITS

typedef struct Spill Spill;

typedef struct Units
{
	MemoryContext context;
	CollectSpec *spec;
	Size		limit;			/* bytes */
	bool		may_spill;
	bool		is_sent;		/* may take half: when it is sent, it is there twice */
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
	MemoryContext tables_context;	/* pieces and indexes */
	char	   *room;			/* what is free of the newest block of pieces */
	char	   *room_end;
	Size		stride;			/* of the entries */
	int			table_bits;
	UnitTable  *tables;			/* [1 << table_bits] */
	UnitEntry  *blank;			/* what a new entry starts as */
	Size		row_size;
	RowBuffer  *rows;			/* [1 << table_bits] */

	/* rows of units that did not fit; NULL: all did */
	Spill	   *spill;

	/* so many bits at their beginning the hashes of all its units have in common */
	int			hash_bits;

	Flat	   *flat;			/* afterwards; NULL before */

	/* [nmetrics], when these are not all units that the caps come from */
	double		(*caps)[2];

	/* those of other processes, flat */
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

static inline int
gr_table_of(const Units *u, uint64 hash)
{
	/* in two steps, as there may be no bit */
	return (int) ((hash << u->hash_bits) >> 1 >> (63 - u->table_bits));
}

static inline BufferedRow *
gr_row(const Units *u, const char *rows, int i)
{
	return (BufferedRow *) (rows + u->row_size * i);
}

/* Add the rows that are buffered (rows.c). */
extern void gr_units_flush(Units *u);

/* ---- table.c ---------------------------------------------------------------- */

/* Count bytes that are to be allocated; false when they are too many. */
extern bool gr_units_charge(Units *u, Size bytes);
GR_NORETURN extern void gr_units_too_many(const Units *u);

/* Room for more units and events in a table; false when memory does not hold it. */
extern bool gr_table_make_room(Units *u, UnitTable *t, uint32 units, Size events);

/* The number of the unit's entry, made if it is new; there must be room. */
extern uint32 gr_table_find(Units *u, UnitTable *t, uint64 hash, int arm);

/* Add "from", the same unit's entry, to "to"; from_arm: its arm as "to" numbers it. */
extern void gr_entry_add(const CollectSpec *spec, UnitEntry *to,
						 const UnitEntry *from, int from_arm);

/* One table becomes many, if there is memory for it. */
extern void gr_units_divide(Units *u);
extern void gr_units_free_tables(Units *u);

/* The number of units, and of the bins of a list. */
extern Size gr_units_count(const Units *u);
extern Size gr_units_count_bins(const Units *u, int list);

/* ---- sort.c ----------------------------------------------------------------- */

/* Room for one table's units in order, used by one table after the other. */
typedef struct TableOrder
{
	MemoryContext context;		/* of the rest */
	uint64	   *order;			/* numbers of the entries, each in the lower half */
	uint64	   *other;
	uint32	   *rank;			/* of the entries in the order */
	uint32		capacity;
	FlatList   *lists;			/* [nlists] */
	Size	   *bins;			/* room for so many */
} TableOrder;

extern void gr_order_init(TableOrder *o, const Units *u);

/* Put a table's units into the order of their hashes, with "lists" their events too. */
extern void gr_order_table(TableOrder *o, const Units *u, int table, bool lists);

/*
 * A table's events of one list by arm: first those of units that are in
 * several or do not count, then those of each arm.
 */
extern const FlatList *gr_order_events(TableOrder *o, const Units *u, int table, int list,
									   int narms, bool (*counts) (const UnitEntry *e, void *arg),
									   void *arg);

/* ---- send.c ----------------------------------------------------------------- */

/*
 * Take b, which was received and must live as long as a, into a.  They are merged
 * when a is folded or sent.
 */
extern void gr_units_combine(Units *a, Units *b);

/*
 * As bytes; with an area, which sender and receiver share, the units go there.
 * Uses the tables up.
 */
extern bytea *gr_units_serialize(Units *u, struct dsa_area *area);

/* stays: the area is there as long as the units are. */
extern Units *gr_units_deserialize(MemoryContext context, const bytea *bytes,
								   struct dsa_area *area, bool stays);

/*
 * The cap that the observations of all units in arms, any order, give one of a
 * metric's variables; they are sorted.  Infinite when there are none.
 */
extern double gr_pooled_cap(const Metric *metric, double *values, Size n);

/* How many events a unit has: not every row of it need be one. */
extern int64 gr_unit_events(const CollectSpec *spec, const UnitEntry *e);

/* Fold the units of a flat into a collection. */
extern Collection *gr_units_fold(Units *u);

/* ---- unspill.c ---------------------------------------------------------------- */

/*
 * Visit units that are wholly in memory: these, or, when they were spilled, part
 * after part, ascending by hash.
 */
typedef void (*GrVisitUnits) (Units *part, void *arg);
extern void gr_units_each(Units *u, GrVisitUnits visit, void *arg);

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

/* Pieces start there; entries of usual size lie in one line of the cache. */
#define GR_CACHE_LINE 64

static inline UnitEntry *
gr_table_entry(const Units *u, const UnitTable *t, uint32 i)
{
	return gr_entry(t->piece[i >> GR_PIECE_BITS], u->stride, i & (GR_PIECE_UNITS - 1));
}

/* Not merely inline: a function that does nothing but prefetch is one that a compiler may leave out. */
static pg_attribute_always_inline void
gr_prefetch_entry(const Units *u, const UnitTable *t, uint32 i)
{
	const char *e = (const char *) gr_table_entry(u, t, i);

	gr_prefetch(e);
	if (u->stride > GR_CACHE_LINE)
		gr_prefetch(e + GR_CACHE_LINE);
}

static inline void
gr_push_event(EventList *list, uint32 unit, int32 bin)
{
	EventPiece *piece = list->piece[list->n / GR_PIECE_EVENTS];

	piece->unit[list->n % GR_PIECE_EVENTS] = unit;
	piece->bin[list->n % GR_PIECE_EVENTS] = bin;
	list->n++;
}

#endif							/* GR_UNITS_H */
