/*
 * table.c
 *	  The hash table of units that a scan fills.
 *
 * Entries lie densely in the order of first sight; an open-addressing index of
 * (tag, entry) finds them.  No row waits for memory: its index slot is
 * prefetched when it is buffered, its entry when the buffer is full, and it is
 * added when the next buffer is full.  By then the buffer is added fold by
 * fold, in loops without branches that data decides.
 */
#include "units/units.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#define FIRST_UNITS 256
#define ARM_UNKNOWN (-2)

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

/* Entries start at a line of the cache, wherever the chunk that holds them lies. */
static void
resize_entries(Units *u, uint32 capacity)
{
	Size		size = u->stride * capacity + GR_CACHE_LINE;
	Size		before = u->entries - (char *) u->entries_chunk;
	char	   *chunk;

	if (u->entries_chunk == NULL)
		chunk = MemoryContextAllocHuge(u->context, size);
	else
		chunk = repalloc_huge(u->entries_chunk, size);
	u->entries_chunk = chunk;
	u->entries = (char *) TYPEALIGN(GR_CACHE_LINE, chunk);
	if (u->n > 0 && u->entries != chunk + before)
		memmove(u->entries, chunk + before, u->stride * u->n);
	u->capacity = capacity;
}

static UnitEntry *
make_blank(const CollectSpec *spec, Size size)
{
	UnitEntry  *e = palloc0(size);

	for (int f = 0; f < spec->nfolds; f++)
		if (spec->folds[f].kind == FOLD_MAX || spec->folds[f].kind == FOLD_MIN)
			e->slots[spec->folds[f].slot] = NAN;
	return e;
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
	u->stride = u->entry_size > GR_CACHE_LINE ? u->entry_size :
		u->entry_size > GR_CACHE_LINE / 2 ? GR_CACHE_LINE : GR_CACHE_LINE / 2;
	resize_entries(u, FIRST_UNITS);
	u->index_mask = 2 * FIRST_UNITS - 1;
	u->index = palloc0(sizeof(UnitSlot) * (u->index_mask + 1));
	u->lists = palloc0(sizeof(EventList) * Max(spec->nlists, 1));
	u->blank = make_blank(spec, u->entry_size);
	for (int i = 0; i < GR_BUFFERS; i++)
		u->rows[i].value = palloc(sizeof(double) * GR_BUFFERED_ROWS *
								  Max(spec->ncolumns, 1));
	u->used = u->stride * u->capacity +
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
	u->arm_name[u->narms] = pnstrdup(name, len);
	u->arm_length[u->narms] = len;
	u->narms++;
	MemoryContextSwitchTo(old);
}

int
gr_units_arm(Units *u, const char *name, int len)
{
	for (int i = 0; i < u->narms; i++)
		if (gr_units_is_arm(u, i, name, len))
			return i;
	if (u->arms_fixed)
		return ARM_UNKNOWN;
	gr_units_add_arm(u, name, len);
	return u->narms - 1;
}

static inline uint32
first_slot(const Units *u, uint64 hash)
{
	return (uint32) (hash >> 20) & u->index_mask;
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
	gr_units_charge(u, u->stride * u->capacity + sizeof(UnitSlot) * slots / 2);
	resize_entries(u, u->capacity * 2);
	pfree(u->index);
	index = MemoryContextAllocExtended(u->context, sizeof(UnitSlot) * slots,
									   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	u->index = index;
	u->index_mask = slots - 1;
	for (uint32 i = 0; i < u->n; i++)
	{
		uint64		hash = gr_table_entry(u, i)->hash;
		uint32		s = first_slot(u, hash);

		if ((i & 0xffff) == 0)
			CHECK_FOR_INTERRUPTS();
		while (index[s].unit != 0)
			s = (s + 1) & u->index_mask;
		index[s].tag = (uint32) hash;
		index[s].unit = i + 1;
	}
}

/* The number of the unit's entry, made if it is new. */
static uint32
find_unit(Units *u, uint64 hash, int arm)
{
	uint32		s = first_slot(u, hash);
	UnitEntry  *e;

	while (u->index[s].unit != 0)
	{
		if (u->index[s].tag == (uint32) hash)
		{
			uint32		unit = u->index[s].unit - 1;

			if (gr_table_entry(u, unit)->hash == hash)
				return unit;
		}
		s = (s + 1) & u->index_mask;
	}
	u->index[s].tag = (uint32) hash;
	u->index[s].unit = u->n + 1;
	e = gr_table_entry(u, u->n);
	memcpy(e, u->blank, u->entry_size);
	e->hash = hash;
	e->arm = arm;
	return u->n++;
}

/* Look the buffer's units up by their tags, and prefetch the entries. */
static void
expect_units(Units *u, RowBuffer *rows)
{
	for (int i = 0; i < rows->n; i++)
	{
		uint32		s = first_slot(u, rows->hash[i]);

		while (u->index[s].unit != 0 && u->index[s].tag != (uint32) rows->hash[i])
			s = (s + 1) & u->index_mask;
		rows->unit[i] = u->index[s].unit;
		if (rows->unit[i] != 0)
			gr_prefetch_entry(u, rows->unit[i] - 1);
	}
}

void
gr_events_free(EventList *list)
{
	if (list->capacity > 0)
	{
		pfree(list->unit);
		pfree(list->bin);
	}
	*list = (EventList) {0};
}

/* Room for n more events. */
static void
reserve_events(Units *u, EventList *list, int n)
{
	Size		capacity = list->capacity ? 2 * list->capacity : 1024;

	if (list->n + n <= list->capacity)
		return;
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

static void
append_events(Units *u, EventList *list, const uint32 *unit, const double *x, int n)
{
	reserve_events(u, list, n);
	for (int i = 0; i < n; i++)
	{
		list->unit[list->n] = unit[i];
		list->bin[list->n] = gr_bin(x[i]);
		list->n += !isnan(x[i]);
	}
}

static void
append_values(Units *u, EventList *list, const uint32 *unit, const double *x, int n)
{
	reserve_events(u, list, 2 * n);
	for (int i = 0; i < n; i++)
	{
		if (isnan(x[i]))
			continue;
		list->unit[list->n] = list->unit[list->n + 1] = unit[i];
		memcpy(&list->bin[list->n], &x[i], sizeof(double));
		list->n += 2;
	}
}

/*
 * One fold of n rows.  A sum never is -0, so adding 0 for a missing value
 * changes nothing.
 */
static void
fold_rows(UnitEntry **e, FoldKind kind, int slot, const double *x, int n)
{
	switch (kind)
	{
		case FOLD_SUM:
			for (int i = 0; i < n; i++)
				e[i]->slots[slot] += isnan(x[i]) ? 0 : x[i];
			break;
		case FOLD_COUNT:
			for (int i = 0; i < n; i++)
				e[i]->slots[slot] += !isnan(x[i]);
			break;
		case FOLD_MAX:
			for (int i = 0; i < n; i++)
				if (x[i] > e[i]->slots[slot] || isnan(e[i]->slots[slot]))
					e[i]->slots[slot] = x[i];
			break;
		case FOLD_MIN:
			for (int i = 0; i < n; i++)
				if (x[i] < e[i]->slots[slot] || isnan(e[i]->slots[slot]))
					e[i]->slots[slot] = x[i];
			break;
		case FOLD_EVENTS:
		case FOLD_VALUES:
			break;
	}
}

/* Empty a buffer into the table. */
static void
add_rows(Units *u, RowBuffer *rows)
{
	int			n = rows->n;
	uint32		unit[GR_BUFFERED_ROWS];
	UnitEntry  *e[GR_BUFFERED_ROWS];

	/* room for all of them, so that nothing moves below */
	while (u->n + n > u->capacity)
		grow(u);
	for (int i = 0; i < n; i++)
	{
		unit[i] = rows->unit[i] - 1;
		if (rows->unit[i] == 0 ||
			gr_table_entry(u, unit[i])->hash != rows->hash[i])
			unit[i] = find_unit(u, rows->hash[i], rows->arm[i]);
		e[i] = gr_table_entry(u, unit[i]);
		e[i]->events++;
		e[i]->arm = e[i]->arm == rows->arm[i] ? e[i]->arm : ARM_CROSSOVER;
	}
	for (int f = 0; f < u->spec->nfolds; f++)
	{
		const Fold *fold = &u->spec->folds[f];
		const double *x = rows->value + fold->column * GR_BUFFERED_ROWS;

		if (fold->kind == FOLD_EVENTS)
			append_events(u, &u->lists[fold->slot], unit, x, n);
		else if (fold->kind == FOLD_VALUES)
			append_values(u, &u->lists[fold->slot], unit, x, n);
		else
			fold_rows(e, fold->kind, fold->slot, x, n);
	}
	rows->n = 0;
}

/* Empty the oldest buffer, and fill it next. */
static void
turn_buffers(Units *u)
{
	const RowBuffer *full = &u->rows[u->filling];

	for (int i = 0; i < full->n; i++)
		gr_prefetch(&u->index[first_slot(u, full->hash[i])]);
	expect_units(u, &u->rows[(u->filling + GR_BUFFERS - 1) % GR_BUFFERS]);
	u->filling = (u->filling + 1) % GR_BUFFERS;
	add_rows(u, &u->rows[u->filling]);
}

void
gr_units_add(Units *u, uint64 hash, int arm)
{
	RowBuffer  *rows = &u->rows[u->filling];

	rows->hash[rows->n] = hash;
	rows->arm[rows->n] = arm;
	if (++rows->n == GR_BUFFERED_ROWS)
		turn_buffers(u);
}

void
gr_units_flush(Units *u)
{
	for (int i = 0; i < GR_BUFFERS; i++)
		turn_buffers(u);
}
