/*
 * table.c
 *	  The hash tables of units that a scan fills, with the buffers before them.
 *
 * Entries lie in the order of first sight, in pieces that never move; an
 * open-addressing index of (tag, entry) finds them.
 */
#include "units/units.h"

#include <math.h>
#include <sys/mman.h>

#include "miscadmin.h"
#include "utils/memutils.h"

#define ARM_UNKNOWN (-2)
#define FIRST_SLOTS 256

/* Pieces are cut from blocks, which grow with what there is already. */
#define MIN_BLOCK ((Size) 16 * 1024)
#define MAX_BLOCK ((Size) 1024 * 1024)

/* What all buffers of one scan may take together, beside the memory that units may. */
#define BUFFERS_SIZE(limit) Min((Size) 3 * 1024 * 1024, (limit) / 32)
#define MIN_BUFFERED_ROWS 8

bool
gr_units_charge(Units *u, Size bytes)
{
	if (u->used + bytes > (u->is_sent ? u->limit / 2 : u->limit))
		return false;
	u->used += bytes;
	return true;
}

void
gr_units_too_many(const Units *u)
{
	ereport(ERROR,
			(errcode(u->is_sent || u->flat ? GR_ERRCODE_SENT_MEMORY : GR_ERRCODE_UNITS_MEMORY),
			 errmsg("units of the scan need more than guardrail.unit_memory (%zu kB)",
					u->limit / 1024),
			 errhint("Increase guardrail.unit_memory.")));
}

/* Have the system give the memory at once instead of page by page, where it can. */
static void
populate(char *block, Size size)
{
#ifdef MADV_POPULATE_WRITE
	Size		page = 4096;
	uintptr_t	from = TYPEALIGN(page, (uintptr_t) block);
	uintptr_t	to = TYPEALIGN_DOWN(page, (uintptr_t) block + size);

	if (size >= MAX_BLOCK && from < to)
		(void) madvise((void *) from, to - from, MADV_POPULATE_WRITE);
#endif
}

/*
 * Memory that starts a line of the cache and stays until all tables go; NULL: no
 * room.  first: there must be some, however low the limit.
 */
static char *
take_piece(Units *u, Size size, bool first)
{
	size = TYPEALIGN(GR_CACHE_LINE, size);
	if ((Size) (u->room_end - u->room) < size)
	{
		Size		block = Max(size, Min(Max(u->used, MIN_BLOCK), MAX_BLOCK));
		char	   *chunk;

		if (!gr_units_charge(u, block))
		{
			block = size;
			if (!gr_units_charge(u, block) && !first)
				return NULL;
		}
		chunk = MemoryContextAllocHuge(u->tables_context, block + GR_CACHE_LINE);
		u->room = (char *) TYPEALIGN(GR_CACHE_LINE, chunk);
		u->room_end = u->room + block;
		populate(u->room, block);
	}
	u->room += size;
	return u->room - size;
}

/* Room for one more pointer in an array of them. */
static void *
grow_pointers(Units *u, void *array, Size n, Size *capacity)
{
	if (n < *capacity)
		return array;
	*capacity = Max(2 * *capacity, 8);
	if (array == NULL)
		return MemoryContextAlloc(u->tables_context, sizeof(char *) * *capacity);
	return repalloc_huge(array, sizeof(char *) * *capacity);
}

static UnitTable *
make_tables(Units *u, int n)
{
	UnitTable  *t = MemoryContextAllocZero(u->tables_context, sizeof(UnitTable) * n);

	for (int i = 0; i < n; i++)
	{
		t[i].index_mask = FIRST_SLOTS - 1;
		t[i].index = MemoryContextAllocZero(u->tables_context, sizeof(UnitSlot) * FIRST_SLOTS);
		t[i].lists = MemoryContextAllocZero(u->tables_context,
											sizeof(EventList) * Max(u->spec->nlists, 1));
		u->used += sizeof(UnitSlot) * FIRST_SLOTS;
	}
	return t;
}

static void
make_tables_context(Units *u)
{
	u->tables_context = AllocSetContextCreate(u->context, "tables of units",
											  ALLOCSET_DEFAULT_SIZES);
	u->room = u->room_end = NULL;
	u->used = 0;
}

static UnitEntry *
make_blank(const CollectSpec *spec, Size size)
{
	UnitEntry  *e = palloc0(size);

	for (int f = 0; f < spec->nfolds; f++)
		if (spec->folds[f].kind->starts_unknown)
			e->slots[spec->folds[f].slot] = NAN;
	return e;
}

static void
make_buffers(Units *u)
{
	Size		n = (Size) 1 << u->table_bits;
	Size		size;
	int			buffered = GR_BUFFERED_ROWS;
	char	   *room;

	u->row_size = offsetof(BufferedRow, value) + sizeof(double) * u->spec->ncolumns;
	while (buffered > MIN_BUFFERED_ROWS && n * buffered * u->row_size > BUFFERS_SIZE(u->limit))
		buffered /= 2;
	if (u->rows)
	{
		pfree(u->rows->rows);
		pfree(u->rows);
	}
	size = buffered * u->row_size;
	u->rows = MemoryContextAlloc(u->context, sizeof(RowBuffer) * n);
	room = MemoryContextAllocHuge(u->context, n * size);
	for (Size i = 0; i < n; i++, room += size)
		u->rows[i] = (RowBuffer) {room, room, room + size};
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
	u->blank = make_blank(spec, u->entry_size);
	make_tables_context(u);
	u->tables = make_tables(u, 1);
	make_buffers(u);
	MemoryContextSwitchTo(old);
	return u;
}

void
gr_units_add_arm(Units *u, const char *name, int len)
{
	MemoryContext old;

	if (u->narms >= GR_MAX_ARMS)
		gr_refuse_arms();
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
	if (u->arms_fixed || len > GR_MAX_ARM_NAME)
		return ARM_UNKNOWN;
	gr_units_add_arm(u, name, len);
	return u->narms - 1;
}

/* ---- room ------------------------------------------------------------------------ */

static void
put_slot(UnitSlot *index, uint32 mask, UnitSlot slot)
{
	uint32		s = slot.tag & mask;

	while (index[s].unit != 0)
		s = (s + 1) & mask;
	index[s] = slot;
}

static bool
grow_index(Units *u, UnitTable *t)
{
	Size		slots = 2 * ((Size) t->index_mask + 1);
	UnitSlot   *index;

	if (slots > PG_UINT32_MAX / 2 || !gr_units_charge(u, sizeof(UnitSlot) * slots / 2))
		return false;
	index = MemoryContextAllocExtended(u->tables_context, sizeof(UnitSlot) * slots,
									   MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (Size s = 0; s < slots / 2; s++)
	{
		if ((s & 0xfffff) == 0)
			CHECK_FOR_INTERRUPTS();
		if (t->index[s].unit != 0)
			put_slot(index, (uint32) slots - 1, t->index[s]);
	}
	pfree(t->index);
	t->index = index;
	t->index_mask = (uint32) slots - 1;
	return true;
}

static bool
grow_entries(Units *u, UnitTable *t)
{
	char	   *piece = take_piece(u, u->stride * GR_PIECE_UNITS, t->capacity == 0 && u->table_bits == 0);
	Size		pieces = t->pieces;

	if (piece == NULL)
		return false;
	t->piece = grow_pointers(u, t->piece, t->capacity / GR_PIECE_UNITS, &pieces);
	t->pieces = (uint32) pieces;
	t->piece[t->capacity / GR_PIECE_UNITS] = piece;
	t->capacity += GR_PIECE_UNITS;
	return true;
}

static bool
grow_events(Units *u, EventList *list)
{
	EventPiece *piece = NULL;

	if (list->capacity <= PG_UINT32_MAX - GR_PIECE_EVENTS)
		piece = (EventPiece *) take_piece(u, sizeof(EventPiece),
										  list->capacity == 0 && u->table_bits == 0);
	if (piece == NULL)
		return false;
	list->piece = grow_pointers(u, list->piece, list->capacity / GR_PIECE_EVENTS, &list->pieces);
	list->piece[list->capacity / GR_PIECE_EVENTS] = piece;
	list->capacity += GR_PIECE_EVENTS;
	return true;
}

bool
gr_table_make_room(Units *u, UnitTable *t, uint32 units, Size events)
{
	/* an index of which at most five eighths are taken */
	while (t->n + units > (t->index_mask / 8 + 1) * 5)
		if (!grow_index(u, t))
			return false;
	while (t->n + units > t->capacity)
		if (!grow_entries(u, t))
			return false;
	for (int k = 0; k < u->spec->nlists; k++)
		while (t->lists[k].n + events > t->lists[k].capacity)
			if (!grow_events(u, &t->lists[k]))
				return false;
	return true;
}

uint32
gr_table_find(Units *u, UnitTable *t, uint64 hash, int arm)
{
	uint32		s = (uint32) hash & t->index_mask;
	UnitEntry  *e;

	for (; t->index[s].unit != 0; s = (s + 1) & t->index_mask)
		if (t->index[s].tag == (uint32) hash &&
			gr_table_entry(u, t, t->index[s].unit - 1)->hash == hash)
			return t->index[s].unit - 1;
	t->index[s].tag = (uint32) hash;
	t->index[s].unit = t->n + 1;
	e = gr_table_entry(u, t, t->n);
	memcpy(e, u->blank, u->entry_size);
	e->hash = hash;
	e->arm = arm;
	return t->n++;
}

void
gr_entry_add(const CollectSpec *spec, UnitEntry *to, const UnitEntry *from, int from_arm)
{
	to->events += from->events;
	if (to->arm != from_arm)
		to->arm = ARM_CROSSOVER;
	for (int f = 0; f < spec->nfolds; f++)
	{
		const Fold *fold = &spec->folds[f];

		if (!fold->kind->is_list)
			to->slots[fold->slot] = fold->kind->merge(to->slots[fold->slot], from->slots[fold->slot]);
	}
}

/* ---- all tables ------------------------------------------------------------------ */

/* Move the only table's entries and events to those of their ranges. */
static void
move_units(Units *u, const UnitTable *from)
{
	uint32	   *unit = MemoryContextAllocHuge(u->context, sizeof(uint32) * (Size) Max(from->n, 1));

	for (uint32 i = 0; i < from->n; i++)
	{
		const UnitEntry *e = gr_table_entry(u, from, i);
		UnitTable  *t = &u->tables[gr_table_of(u, e->hash)];

		if ((i & 0xffff) == 0)
			CHECK_FOR_INTERRUPTS();
		(void) gr_table_make_room(u, t, 1, 0);
		unit[i] = gr_table_find(u, t, e->hash, e->arm);
		memcpy(gr_table_entry(u, t, unit[i]), e, u->entry_size);
	}
	for (int k = 0; k < u->spec->nlists; k++)
		for (Size i = 0; i < from->lists[k].n; i++)
		{
			const EventPiece *piece = from->lists[k].piece[i / GR_PIECE_EVENTS];
			uint32		of = piece->unit[i % GR_PIECE_EVENTS];
			UnitTable  *t = &u->tables[gr_table_of(u, gr_table_entry(u, from, of)->hash)];
			EventList  *list = &t->lists[k];

			if ((i & 0xfffff) == 0)
				CHECK_FOR_INTERRUPTS();
			if (list->n == list->capacity)
				(void) grow_events(u, list);
			gr_push_event(list, unit[of], piece->bin[i % GR_PIECE_EVENTS]);
		}
	pfree(unit);
}

void
gr_units_divide(Units *u)
{
	UnitTable  *from = u->tables;
	MemoryContext before = u->tables_context;
	Size		n = (Size) 1 << GR_TABLE_BITS;
	Size		limit = u->limit;
	Size		need = u->used + n * (u->stride * GR_PIECE_UNITS + sizeof(UnitSlot) * FIRST_SLOTS +
									  sizeof(EventPiece) * u->spec->nlists) + MAX_BLOCK;

	/* both are there for a moment */
	if (!gr_units_charge(u, need))
		return;
	make_tables_context(u);
	u->limit = SIZE_MAX;
	u->table_bits = GR_TABLE_BITS;
	u->tables = make_tables(u, (int) n);
	move_units(u, from);
	u->limit = limit;
	MemoryContextDelete(before);
	make_buffers(u);
}

void
gr_units_free_tables(Units *u)
{
	MemoryContextDelete(u->tables_context);
	make_tables_context(u);
	u->tables = NULL;
}

Size
gr_units_count(const Units *u)
{
	Size		n = 0;

	for (int i = 0; u->tables && i < 1 << u->table_bits; i++)
		n += u->tables[i].n;
	return u->flat ? u->flat->n : n;
}

Size
gr_units_count_bins(const Units *u, int list)
{
	Size		n = 0;

	for (int i = 0; u->tables && i < 1 << u->table_bits; i++)
		n += u->tables[i].lists[list].n;
	return u->flat ? u->flat->lists[list].n : n;
}
