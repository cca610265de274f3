/*
 * ties.c
 *	  The ties of many events: tables, lists, bytes.
 *
 * They are of an arm's rows, those of units in several arms among them.  Bytes, version
 * 1: version, whether they are lost, number of ties; then of each its bin as the difference to the one before,
 * events, events at its ends (one more for the first, 0 where both ends are one), the ends.  Numbers are varints; the ends 8 bytes each, the
 * greater left out where both are one.
 */
#include "units/ties.h"

#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "base/number.h"
#include "base/varint.h"

#define TIES_VERSION 1
#define FIRST_SLOTS 64

static void
gr_ties_lose(TieTable *t)
{
	if (t->slot)
		pfree(t->slot);
	t->slot = NULL;
	t->n = 0;
	t->lost = true;
}

void
gr_ties_grow(TieTable *t)
{
	TieTable	old = *t;
	uint32		slots = old.slot ? 2 * (old.mask + 1) : FIRST_SLOTS;
	MemoryContext context = old.context ? old.context : CurrentMemoryContext;

	if (old.lost || old.n >= GR_MOST_TIES)
	{
		gr_ties_lose(t);
		return;
	}
	t->slot = MemoryContextAllocExtended(context, sizeof(GrTie) * slots, MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	t->mask = slots - 1;
	t->n = 0;
	for (uint32 i = 0; old.slot && i <= old.mask; i++)
		if (old.slot[i].n > 0)
			*gr_ties_slot(t, old.slot[i].bin) = old.slot[i];
	if (old.slot)
		pfree(old.slot);
}

static int
compare_ties(const void *a, const void *b)
{
	int32		x = ((const GrTie *) a)->bin;
	int32		y = ((const GrTie *) b)->bin;

	return (x > y) - (x < y);
}

TieList
gr_ties_list(const TieTable *t)
{
	TieList		list = {t->lost, 0, palloc_extended(sizeof(GrTie) * Max(t->n, 1), MCXT_ALLOC_HUGE)};

	for (uint32 i = 0; t->slot && i <= t->mask; i++)
		if (t->slot[i].n > 0)
			list.ties[list.n++] = t->slot[i];
	qsort(list.ties, list.n, sizeof(GrTie), compare_ties);
	return list;
}

void
gr_ties_remove(TieTable *t, double x)
{
	GrTie	   *tie = gr_ties_slot(t, gr_bin(x));

	if (tie == NULL)
		return;
	gr_tie_remove(tie, x);
	/* others may lie behind it */
	if (tie->n == 0)
		tie->at_low = GR_TIE_GONE;
}

static void
merge_one(TieTable *to, const GrTie *tie)
{
	GrTie	   *slot = gr_ties_slot(to, tie->bin);

	if (slot)
		gr_tie_merge(slot, tie);
}

void
gr_ties_merge_list(TieTable *to, const TieList *from)
{
	if (from->lost)
		gr_ties_lose(to);
	for (int i = 0; i < from->n; i++)
		merge_one(to, &from->ties[i]);
}

void
gr_ties_merge_table(TieTable *to, const TieTable *from)
{
	if (from->lost)
		gr_ties_lose(to);
	for (uint32 i = 0; from->slot && i <= from->mask; i++)
		if (from->slot[i].n > 0)
			merge_one(to, &from->slot[i]);
}

TieList
gr_ties_union(const TieList *a, const TieList *b)
{
	TieList		out = {a->lost || b->lost, 0, NULL};
	int			i = 0,
				j = 0;

	if (out.lost)
		return out;
	out.ties = palloc_extended(sizeof(GrTie) * Max((Size) a->n + b->n, 1), MCXT_ALLOC_HUGE);
	while (i < a->n || j < b->n)
	{
		if (j >= b->n || (i < a->n && a->ties[i].bin < b->ties[j].bin))
			out.ties[out.n++] = a->ties[i++];
		else if (i >= a->n || b->ties[j].bin < a->ties[i].bin)
			out.ties[out.n++] = b->ties[j++];
		else
		{
			out.ties[out.n] = a->ties[i++];
			gr_tie_merge(&out.ties[out.n++], &b->ties[j++]);
		}
	}
	return out;
}

/* ---- bytes ---------------------------------------------------------------------- */

static void
put_number(StringInfo buf, double x)
{
	uint64		bits = pg_hton64((uint64) DatumGetInt64(Float8GetDatum(x)));

	appendBinaryStringInfo(buf, (const char *) &bits, sizeof(bits));
}

static bool
get_number(const char **p, const char *end, double *x)
{
	uint64		bits;

	if (end - *p < (ptrdiff_t) sizeof(bits))
		return false;
	memcpy(&bits, *p, sizeof(bits));
	*p += sizeof(bits);
	*x = DatumGetFloat8(Int64GetDatum((int64) pg_ntoh64(bits)));
	return true;
}

void
gr_ties_encode(StringInfo buf, const TieList *list)
{
	int32		before = 0;

	gr_put_varint(buf, TIES_VERSION);
	gr_put_varint(buf, list->lost);
	gr_put_varint(buf, list->n);
	for (int i = 0; i < list->n; i++)
	{
		const GrTie *tie = &list->ties[i];
		bool		one = tie->low == tie->high;

		gr_put_signed(buf, (int64) tie->bin - before);
		gr_put_varint(buf, tie->n);
		gr_put_varint(buf, one ? 0 : tie->at_low + 1);
		put_number(buf, tie->low);
		if (!one)
		{
			gr_put_varint(buf, tie->at_high);
			put_number(buf, tie->high);
		}
		before = tie->bin;
	}
}

static bool
get_tie(GrTie *tie, int32 before, const char **p, const char *end)
{
	int64		step;
	uint64		n,
				at_low,
				at_high;

	if (!gr_get_signed(p, end, &step) || step < -2 * (int64) GR_BIN_MAX || step > 2 * (int64) GR_BIN_MAX ||
		!gr_get_varint(p, end, &n) || !gr_get_varint(p, end, &at_low) || !get_number(p, end, &tie->low))
		return false;
	tie->bin = (int32) (before + step);
	tie->high = tie->low;
	at_high = n;
	if (at_low == 0)
		at_low = n;
	else
	{
		at_low--;
		if (!gr_get_varint(p, end, &at_high) || !get_number(p, end, &tie->high) || tie->high == tie->low)
			return false;
	}
	if (n > PG_INT64_MAX || at_low > n || at_high > n)
		return false;
	tie->n = (int64) n;
	tie->at_low = (int64) at_low;
	tie->at_high = (int64) at_high;
	return gr_tie_valid(tie);
}

bool
gr_ties_decode(TieList *list, const char **p, const char *end)
{
	uint64		version,
				lost,
				n;

	*list = (TieList) {false, 0, NULL};
	if (!gr_get_varint(p, end, &version) || version != TIES_VERSION || !gr_get_varint(p, end, &lost) ||
		!gr_get_varint(p, end, &n) || n > (uint64) (end - *p) / 11 || (lost && n > 0))
		return false;
	list->lost = lost != 0;
	list->ties = palloc_extended(sizeof(GrTie) * Max(n, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	for (; list->n < (int) n; list->n++)
	{
		GrTie	   *tie = &list->ties[list->n];

		if (!get_tie(tie, list->n > 0 ? tie[-1].bin : 0, p, end) || (list->n > 0 && tie->bin <= tie[-1].bin))
			return false;
	}
	return true;
}
