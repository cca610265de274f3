/*
 * sort.c
 *	  The units of a hash table in the order of their hashes.
 *
 * Loops that go to memory at random prefetch what is some steps ahead.
 */
#include "units/units.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#define AHEAD 16
#define RADIX_BITS 11
#define RADIX (1 << RADIX_BITS)

/* One counting pass over the bits of n keys from "shift" on. */
static void
sort_pass(const uint64 *from, uint64 *to, uint32 n, int shift, uint32 *start)
{
	memset(start, 0, sizeof(uint32) * (RADIX + 1));
	for (uint32 i = 0; i < n; i++)
		start[((from[i] >> shift) & (RADIX - 1)) + 1]++;
	for (int k = 1; k < RADIX; k++)
		start[k] += start[k - 1];
	for (uint32 i = 0; i < n; i++)
		to[start[(from[i] >> shift) & (RADIX - 1)]++] = from[i];
	CHECK_FOR_INTERRUPTS();
}

/* Put the few entries that share the upper half of their hashes in order. */
static void
sort_ties(const Units *u, uint64 *order)
{
	for (uint32 i = 1; i < u->n; i++)
	{
		uint64		key = order[i];
		uint64		hash;
		uint32		k = i;

		if (key >> 32 != order[i - 1] >> 32)
			continue;
		hash = gr_table_entry(u, (uint32) key)->hash;
		for (; k > 0 && order[k - 1] >> 32 == key >> 32 &&
			 gr_table_entry(u, (uint32) order[k - 1])->hash > hash; k--)
			order[k] = order[k - 1];
		order[k] = key;
	}
}

/*
 * Upper half of the hash and number of the entry, sorted by the former in three
 * passes; the index is not needed any more, and its room is.
 */
uint64 *
gr_units_order(Units *u)
{
	uint64	   *order,
			   *other,
			   *swap;
	uint32		start[RADIX + 1];

	gr_units_flush(u);
	gr_units_free_index(u);
	order = palloc_extended(sizeof(uint64) * (Size) Max(u->n, 1), MCXT_ALLOC_HUGE);
	other = palloc_extended(sizeof(uint64) * (Size) Max(u->n, 1), MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < u->n; i++)
		order[i] = (gr_table_entry(u, i)->hash & ~UINT64CONST(0xffffffff)) | i;
	for (int shift = 32; shift < 64; shift += RADIX_BITS)
	{
		sort_pass(order, other, u->n, shift, start);
		swap = order;
		order = other;
		other = swap;
	}
	pfree(other);
	sort_ties(u, order);
	return order;
}

/* Units whose events are put in place together, within what the cache holds. */
#define PARTITION_BITS 12

/* The list's events by groups of 2^PARTITION_BITS units; uses the list up. */
static EventList
partition_list(EventList *list, const uint32 *rank, uint32 nunits)
{
	uint32		nparts = (nunits >> PARTITION_BITS) + 1;
	Size	   *start = palloc0(sizeof(Size) * (nparts + 1));
	EventList	out = {list->n, list->n, NULL, NULL};

	out.unit = palloc_extended(sizeof(uint32) * Max(list->n, 1), MCXT_ALLOC_HUGE);
	out.bin = palloc_extended(sizeof(int32) * Max(list->n, 1), MCXT_ALLOC_HUGE);
	for (Size i = 0; i < list->n; i++)
	{
		if (i + AHEAD < list->n)
			gr_prefetch(&rank[list->unit[i + AHEAD]]);
		list->unit[i] = rank[list->unit[i]];
		start[(list->unit[i] >> PARTITION_BITS) + 1]++;
	}
	CHECK_FOR_INTERRUPTS();
	for (uint32 k = 0; k < nparts; k++)
		start[k + 1] += start[k];
	for (Size i = 0; i < list->n; i++)
	{
		Size		at = start[list->unit[i] >> PARTITION_BITS]++;

		out.unit[at] = list->unit[i];
		out.bin[at] = list->bin[i];
	}
	pfree(start);
	gr_events_free(list);
	return out;
}

/* Group a list's events by unit, in the units' new order; uses the list up. */
static void
flatten_list(EventList *list, const uint32 *rank, uint32 nunits, FlatList *flat)
{
	EventList	parts = partition_list(list, rank, nunits);
	Size	   *start = palloc(sizeof(Size) << PARTITION_BITS);
	Size		done = 0;

	CHECK_FOR_INTERRUPTS();
	flat->n = parts.n;
	flat->count = palloc_extended(sizeof(uint32) * (Size) Max(nunits, 1),
								  MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	flat->bin = palloc_extended(sizeof(int32) * Max(parts.n, 1), MCXT_ALLOC_HUGE);
	for (uint32 first = 0; first < nunits; first += 1 << PARTITION_BITS)
	{
		uint32		n = Min(nunits - first, 1 << PARTITION_BITS);
		Size		from = done;

		for (; done < parts.n && parts.unit[done] - first < n; done++)
			flat->count[parts.unit[done]]++;
		start[0] = from;
		for (uint32 k = 1; k < n; k++)
			start[k] = start[k - 1] + flat->count[first + k - 1];
		for (Size i = from; i < done; i++)
			flat->bin[start[parts.unit[i] - first]++] = parts.bin[i];
	}
	pfree(start);
	pfree(parts.unit);
	pfree(parts.bin);
}

FlatList *
gr_units_group(Units *u, const uint64 *order)
{
	FlatList   *lists = palloc0(sizeof(FlatList) * Max(u->spec->nlists, 1));
	uint32	   *rank = palloc_extended(sizeof(uint32) * (Size) Max(u->n, 1), MCXT_ALLOC_HUGE);

	for (uint32 i = 0; i < u->n; i++)
		rank[(uint32) order[i]] = i;
	for (int k = 0; k < u->spec->nlists; k++)
		flatten_list(&u->lists[k], rank, u->n, &lists[k]);
	pfree(rank);
	return lists;
}
