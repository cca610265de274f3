/*
 * sort.c
 *	  The units of a hash table in the order of their hashes, and their events.
 */
#include "units/units.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#define RADIX_BITS 11
#define RADIX (1 << RADIX_BITS)

/* Bits that the two passes sort by: all but very large tables have few that share them. */
#define SORTED_SHIFT (64 - 2 * RADIX_BITS)

/* One counting pass over the bits of n keys from "shift" on. */
static void
sort_pass(const uint64 *from, uint64 *to, uint32 n, int shift)
{
	uint32		start[RADIX + 1] = {0};

	for (uint32 i = 0; i < n; i++)
		start[((from[i] >> shift) & (RADIX - 1)) + 1]++;
	for (int k = 1; k < RADIX; k++)
		start[k] += start[k - 1];
	for (uint32 i = 0; i < n; i++)
		to[start[(from[i] >> shift) & (RADIX - 1)]++] = from[i];
	CHECK_FOR_INTERRUPTS();
}

typedef struct Table
{
	const Units *u;
	const UnitTable *t;
} Table;

static int
compare_entries(const void *a, const void *b, void *arg)
{
	const Table *in = arg;
	uint64		x = gr_table_entry(in->u, in->t, (uint32) *(const uint64 *) a)->hash;
	uint64		y = gr_table_entry(in->u, in->t, (uint32) *(const uint64 *) b)->hash;

	return (x > y) - (x < y);
}

/* Put the few entries that share the bits sorted by in order. */
static void
sort_ties(const Units *u, const UnitTable *t, uint64 *order)
{
	Table		in = {u, t};
	uint32		n;

	for (uint32 i = 0; i < t->n; i += n)
	{
		uint64		key = order[i] >> SORTED_SHIFT;

		for (n = 1; i + n < t->n && order[i + n] >> SORTED_SHIFT == key; n++)
			;
		if (n > 1)
		{
			CHECK_FOR_INTERRUPTS();
			qsort_arg(&order[i], n, sizeof(uint64), compare_entries, &in);
		}
	}
}

static void *
make_room(const TableOrder *o, void *old, Size size)
{
	if (old)
		pfree(old);
	return MemoryContextAllocHuge(o->context, size);
}

void
gr_order_init(TableOrder *o, const Units *u)
{
	*o = (TableOrder) {.context = CurrentMemoryContext};
	o->lists = palloc0(sizeof(FlatList) * Max(u->spec->nlists, 1));
	o->bins = palloc0(sizeof(Size) * Max(u->spec->nlists, 1));
}

static Size
events_in_piece(const EventList *list, Size from)
{
	return Min(list->n - from, GR_PIECE_EVENTS);
}

/* Group a list's events by the rank of their units, which is below nranks. */
static void
group_events(const EventList *list, const uint32 *rank, uint32 nranks, FlatList *to)
{
	Size		start = 0;

	to->n = list->n;
	memset(to->count, 0, sizeof(uint32) * (nranks + 1));
	for (Size from = 0; from < list->n; from += GR_PIECE_EVENTS)
	{
		const EventPiece *piece = list->piece[from / GR_PIECE_EVENTS];

		CHECK_FOR_INTERRUPTS();
		for (Size i = 0; i < events_in_piece(list, from); i++)
			to->count[rank[piece->unit[i]] + 1]++;
	}
	/* where the next of each goes */
	for (uint32 i = 0; i < nranks; i++)
		to->count[i + 1] += to->count[i];
	for (Size from = 0; from < list->n; from += GR_PIECE_EVENTS)
	{
		const EventPiece *piece = list->piece[from / GR_PIECE_EVENTS];

		CHECK_FOR_INTERRUPTS();
		for (Size i = 0; i < events_in_piece(list, from); i++)
			to->bin[to->count[rank[piece->unit[i]]]++] = piece->bin[i];
	}
	/* where each ends: how many they are */
	for (uint32 i = 0; i < nranks; i++)
	{
		uint32		end = to->count[i];

		to->count[i] = end - start;
		start = end;
	}
}

/* Room for so many entries, or ranks. */
static void
need_room(TableOrder *o, const Units *u, uint32 n)
{
	if (n <= o->capacity && o->capacity > 0)
		return;
	o->capacity = Max(n, 1);
	o->order = make_room(o, o->order, sizeof(uint64) * o->capacity);
	o->other = make_room(o, o->other, sizeof(uint64) * o->capacity);
	o->rank = make_room(o, o->rank, sizeof(uint32) * o->capacity);
	for (int k = 0; k < u->spec->nlists; k++)
		o->lists[k].count = make_room(o, o->lists[k].count, sizeof(uint32) * ((Size) o->capacity + 1));
}

static void
need_bins(TableOrder *o, int list, Size n)
{
	if (n <= o->bins[list] && o->bins[list] > 0)
		return;
	o->bins[list] = Max(n, 1);
	o->lists[list].bin = make_room(o, o->lists[list].bin, sizeof(int32) * o->bins[list]);
}

void
gr_order_table(TableOrder *o, const Units *u, int table, bool lists)
{
	const UnitTable *t = &u->tables[table];
	int			bits = u->hash_bits + u->table_bits;

	need_room(o, u, t->n);
	for (uint32 i = 0; i < t->n; i++)
		o->order[i] = ((gr_table_entry(u, t, i)->hash << bits) & ~UINT64CONST(0xffffffff)) | i;
	sort_pass(o->order, o->other, t->n, SORTED_SHIFT);
	sort_pass(o->other, o->order, t->n, SORTED_SHIFT + RADIX_BITS);
	sort_ties(u, t, o->order);
	if (!lists)
		return;
	for (uint32 i = 0; i < t->n; i++)
		o->rank[(uint32) o->order[i]] = i;
	for (int k = 0; k < u->spec->nlists; k++)
	{
		need_bins(o, k, t->lists[k].n);
		group_events(&t->lists[k], o->rank, t->n, &o->lists[k]);
	}
}

const FlatList *
gr_order_events(TableOrder *o, const Units *u, int table, int list, int narms,
				bool (*counts) (const UnitEntry *e, void *arg), void *arg)
{
	const UnitTable *t = &u->tables[table];

	need_room(o, u, Max(t->n, (uint32) narms + 1));
	need_bins(o, list, t->lists[list].n);
	for (uint32 i = 0; i < t->n; i++)
	{
		const UnitEntry *e = gr_table_entry(u, t, i);

		o->rank[i] = e->arm >= 0 && counts(e, arg) ? 1 + e->arm : 0;
	}
	group_events(&t->lists[list], o->rank, narms + 1, &o->lists[list]);
	return &o->lists[list];
}
