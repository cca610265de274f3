/*
 * table.c
 *	  The hash table of units that a scan fills.
 *
 * Entries lie densely in the order of first sight; an open-addressing index of
 * (tag, entry) finds them.  Rows are buffered in groups of 64: first all their
 * index slots are prefetched, then all their entries, so that cache misses
 * overlap.
 */
#include "units/units.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#define FIRST_UNITS 256
#define ARM_UNKNOWN (-2)

#if defined(__GNUC__)
#define prefetch(p) __builtin_prefetch(p)
#else
#define prefetch(p) ((void) 0)
#endif

void
gr_units_charge(Units *u, Size bytes)
{
	u->used += bytes;
	if (u->used > u->limit)
		ereport(ERROR,
				(errcode(GR_ERRCODE_UNITS_MEMORY),
				 errmsg("units of the scan need more than guardrail.unit_memory (%zu kB)",
						u->limit / 1024),
				 errhint("Raise guardrail.unit_memory.")));
}

Units *
gr_units_make(MemoryContext context, CollectSpec *spec, Size limit)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	Units	   *u = palloc0(sizeof(Units));

	u->context = context;
	u->spec = spec;
	u->limit = limit;
	u->entry_size = GR_ENTRY_SIZE(spec->nslots);
	u->capacity = FIRST_UNITS;
	u->entries = palloc(u->entry_size * u->capacity);
	u->index_mask = 2 * FIRST_UNITS - 1;
	u->index = palloc0(sizeof(UnitSlot) * (u->index_mask + 1));
	u->lists = palloc0(sizeof(EventList) * Max(spec->nlists, 1));
	u->buffered_value = palloc(sizeof(double) * GR_BUFFERED_ROWS *
							   Max(spec->ncolumns, 1));
	u->used = u->entry_size * u->capacity +
		sizeof(UnitSlot) * (u->index_mask + 1);
	MemoryContextSwitchTo(old);
	return u;
}

void
gr_units_add_arm(Units *u, const char *name, int len)
{
	MemoryContext old;

	if (u->narms >= GR_MAX_ARMS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("experiment has more than %d arms", GR_MAX_ARMS),
				 errhint("Is variant_column the right column? "
						 "The planned arms can be named in shares.")));
	old = MemoryContextSwitchTo(u->context);
	gr_counts_init(&u->counts[u->narms], u->spec->ncolumns);
	u->arm_name[u->narms++] = pnstrdup(name, len);
	MemoryContextSwitchTo(old);
}

int
gr_units_arm(Units *u, const char *name, int len)
{
	for (int i = 0; i < u->narms; i++)
		if (strncmp(u->arm_name[i], name, len) == 0 &&
			u->arm_name[i][len] == '\0')
			return i;
	if (u->arms_fixed)
		return ARM_UNKNOWN;
	gr_units_add_arm(u, name, len);
	return u->narms - 1;
}

/* Twice the room for entries, and an index to match. */
static void
grow(Units *u)
{
	uint32		slots = 2 * (u->index_mask + 1);
	UnitSlot   *index;

	if (u->capacity > UINT32_MAX / 8)
		ereport(ERROR,
				(errcode(GR_ERRCODE_UNITS_MEMORY),
				 errmsg("too many units for one process")));
	gr_units_charge(u, u->entry_size * u->capacity + sizeof(UnitSlot) * slots / 2);
	u->entries = repalloc_huge(u->entries, u->entry_size * u->capacity * 2);
	u->capacity *= 2;
	pfree(u->index);
	index = MemoryContextAllocExtended(u->context, sizeof(UnitSlot) * slots,
									   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	u->index = index;
	u->index_mask = slots - 1;
	for (uint32 i = 0; i < u->n; i++)
	{
		uint64		hash = gr_entry(u->entries, u->entry_size, i)->hash;
		uint32		s = (uint32) (hash >> 20) & u->index_mask;

		if ((i & 0xffff) == 0)
			CHECK_FOR_INTERRUPTS();
		while (index[s].unit != 0)
			s = (s + 1) & u->index_mask;
		index[s].tag = (uint32) hash;
		index[s].unit = i + 1;
	}
}

static UnitEntry *
new_entry(Units *u, uint64 hash, int arm)
{
	UnitEntry  *e = gr_entry(u->entries, u->entry_size, u->n++);

	e->hash = hash;
	e->events = 0;
	e->arm = arm;
	for (int f = 0; f < u->spec->nfolds; f++)
	{
		const Fold *fold = &u->spec->folds[f];

		if (fold->kind == FOLD_MAX || fold->kind == FOLD_MIN)
			e->slots[fold->slot] = NAN;
		else if (fold->kind != FOLD_EVENTS)
			e->slots[fold->slot] = 0;
	}
	return e;
}

/* The number of the unit's entry, made if it is new. */
static uint32
find_unit(Units *u, uint64 hash, int arm)
{
	uint32		s = (uint32) (hash >> 20) & u->index_mask;

	while (u->index[s].unit != 0)
	{
		if (u->index[s].tag == (uint32) hash)
		{
			uint32		unit = u->index[s].unit - 1;

			if (gr_entry(u->entries, u->entry_size, unit)->hash == hash)
				return unit;
		}
		s = (s + 1) & u->index_mask;
	}
	u->index[s].tag = (uint32) hash;
	u->index[s].unit = u->n + 1;
	(void) new_entry(u, hash, arm);
	return u->n - 1;
}

static void
append_event(Units *u, EventList *list, uint32 unit, double x)
{
	if (list->n == list->capacity)
	{
		Size		capacity = list->capacity ? 2 * list->capacity : 1024;

		gr_units_charge(u, (capacity - list->capacity) * 2 * sizeof(uint32));
		if (list->capacity == 0)
		{
			list->unit = MemoryContextAlloc(u->context, capacity * sizeof(uint32));
			list->bin = MemoryContextAlloc(u->context, capacity * sizeof(int32));
		}
		else
		{
			list->unit = repalloc_huge(list->unit, capacity * sizeof(uint32));
			list->bin = repalloc_huge(list->bin, capacity * sizeof(int32));
		}
		list->capacity = capacity;
	}
	list->unit[list->n] = unit;
	list->bin[list->n++] = gr_bin(x);
}

static void
apply_row(Units *u, uint32 unit, int arm, const double *value)
{
	UnitEntry  *e = gr_entry(u->entries, u->entry_size, unit);

	e->events++;
	if (e->arm != arm)
		e->arm = ARM_CROSSOVER;
	for (int f = 0; f < u->spec->nfolds; f++)
	{
		const Fold *fold = &u->spec->folds[f];
		double		x = value[fold->column];
		double	   *slot;

		if (isnan(x))
			continue;
		if (fold->kind == FOLD_EVENTS)
		{
			append_event(u, &u->lists[fold->slot], unit, x);
			continue;
		}
		slot = &e->slots[fold->slot];
		if (fold->kind == FOLD_SUM)
			*slot += x;
		else if (fold->kind == FOLD_COUNT)
			*slot += 1;
		else if (fold->kind == FOLD_MAX)
			*slot = (isnan(*slot) || x > *slot) ? x : *slot;
		else
			*slot = (isnan(*slot) || x < *slot) ? x : *slot;
	}
}

static void
flush_rows(Units *u)
{
	int			n = u->nbuffered;
	uint32		unit[GR_BUFFERED_ROWS];

	/* room for all of them, so that nothing moves below */
	while (u->n + n > u->capacity)
		grow(u);
	for (int i = 0; i < n; i++)
		prefetch(&u->index[(uint32) (u->buffered_hash[i] >> 20) & u->index_mask]);
	for (int i = 0; i < n; i++)
	{
		uint32		s = (uint32) (u->buffered_hash[i] >> 20) & u->index_mask;

		if (u->index[s].unit != 0)
			prefetch(gr_entry(u->entries, u->entry_size, u->index[s].unit - 1));
	}
	for (int i = 0; i < n; i++)
		unit[i] = find_unit(u, u->buffered_hash[i], u->buffered_arm[i]);
	for (int i = 0; i < n; i++)
		apply_row(u, unit[i], u->buffered_arm[i],
				  u->buffered_value + (Size) i * u->spec->ncolumns);
	u->nbuffered = 0;
}

double *
gr_units_row(Units *u)
{
	return u->buffered_value + (Size) u->nbuffered * u->spec->ncolumns;
}

void
gr_units_add(Units *u, uint64 hash, int arm)
{
	u->buffered_hash[u->nbuffered] = hash;
	u->buffered_arm[u->nbuffered] = arm;
	if (++u->nbuffered == GR_BUFFERED_ROWS)
		flush_rows(u);
}

/*
 * The entries' numbers in the order of their hashes: two counting passes over
 * the top 32 bits, then insertion among the few that share them.
 */
static uint32 *
sorted_order(const Units *u)
{
	uint32	   *order = palloc_extended(sizeof(uint32) * (Size) Max(u->n, 1), MCXT_ALLOC_HUGE);
	uint32	   *other = palloc_extended(sizeof(uint32) * (Size) Max(u->n, 1), MCXT_ALLOC_HUGE);
	uint32	   *start = palloc(sizeof(uint32) * 65537);

	for (uint32 i = 0; i < u->n; i++)
		other[i] = i;
	for (int pass = 0; pass < 2; pass++)
	{
		int			shift = pass == 0 ? 32 : 48;
		uint32	   *from = pass == 0 ? other : order;
		uint32	   *to = pass == 0 ? order : other;

		CHECK_FOR_INTERRUPTS();
		memset(start, 0, sizeof(uint32) * 65537);
		for (uint32 i = 0; i < u->n; i++)
			start[((gr_entry(u->entries, u->entry_size, from[i])->hash >> shift) & 0xffff) + 1]++;
		for (int k = 1; k <= 65536; k++)
			start[k] += start[k - 1];
		for (uint32 i = 0; i < u->n; i++)
			to[start[(gr_entry(u->entries, u->entry_size, from[i])->hash >> shift) & 0xffff]++] = from[i];
	}
	for (uint32 i = 1; i < u->n; i++)
	{
		uint32		x = other[i];
		uint64		hash = gr_entry(u->entries, u->entry_size, x)->hash;
		uint32		k = i;

		for (; k > 0 && gr_entry(u->entries, u->entry_size, other[k - 1])->hash > hash; k--)
			other[k] = other[k - 1];
		other[k] = x;
	}
	pfree(start);
	pfree(order);
	return other;
}

/* Group a list's events by unit, in the units' new order. */
static void
flatten_list(const EventList *list, const uint32 *rank, uint32 nunits,
			 FlatList *flat)
{
	Size	   *start = palloc_extended(sizeof(Size) * ((Size) nunits + 1),
										MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);

	flat->n = list->n;
	flat->count = palloc_extended(sizeof(uint32) * (Size) Max(nunits, 1),
								  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	flat->bin = palloc_extended(sizeof(int32) * Max(list->n, 1), MCXT_ALLOC_HUGE);
	for (Size i = 0; i < list->n; i++)
		flat->count[rank[list->unit[i]]]++;
	for (uint32 i = 0; i < nunits; i++)
		start[i + 1] = start[i] + flat->count[i];
	CHECK_FOR_INTERRUPTS();
	for (Size i = 0; i < list->n; i++)
		flat->bin[start[rank[list->unit[i]]]++] = list->bin[i];
	pfree(start);
}

void
gr_units_flatten(Units *u)
{
	MemoryContext old;
	uint32	   *order,
			   *rank;
	Flat	   *flat;

	if (u->flat)
		return;
	old = MemoryContextSwitchTo(u->context);
	flush_rows(u);
	pfree(u->index);
	u->index = NULL;
	order = sorted_order(u);
	flat = palloc0(sizeof(Flat));
	flat->n = u->n;
	flat->entries = palloc_extended(u->entry_size * Max(u->n, 1), MCXT_ALLOC_HUGE);
	flat->lists = palloc0(sizeof(FlatList) * Max(u->spec->nlists, 1));
	rank = palloc_extended(sizeof(uint32) * (Size) Max(u->n, 1), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < u->n; i++)
	{
		memcpy(gr_entry(flat->entries, u->entry_size, i),
			   gr_entry(u->entries, u->entry_size, order[i]), u->entry_size);
		rank[order[i]] = i;
	}
	pfree(u->entries);
	u->entries = NULL;
	for (int k = 0; k < u->spec->nlists; k++)
	{
		flatten_list(&u->lists[k], rank, u->n, &flat->lists[k]);
		if (u->lists[k].capacity > 0)
		{
			pfree(u->lists[k].unit);
			pfree(u->lists[k].bin);
		}
		u->lists[k] = (EventList) {0};
	}
	pfree(order);
	pfree(rank);
	u->flat = flat;
	MemoryContextSwitchTo(old);
}
