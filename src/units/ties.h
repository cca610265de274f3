/*
 * ties.h
 *	  The ties of many events, by bin, while they come in and as a list.
 */
#ifndef GR_UNITS_TIES_H
#define GR_UNITS_TIES_H

#include "base/guardrail.h"

#include "lib/stringinfo.h"
#include "stats/stats.h"

/* More bins than this and ties are lost: of what spans so much no value matters. */
#define GR_MOST_TIES 65536

/* Ascending by bin. */
typedef struct TieList
{
	bool		lost;			/* nothing is known of them; n = 0 */
	int			n;
	GrTie	   *ties;
} TieList;

/* By bin in no order; all zero: empty. */
typedef struct TieTable
{
	MemoryContext context;		/* NULL: the current one */
	bool		lost;
	int			n;
	uint32		mask;			/* slots - 1 */
	GrTie	   *slot;			/* n = 0: free; NULL: none yet */
} TieTable;

/* at_low of a slot whose events have all gone: the bin is still its own. */
#define GR_TIE_GONE (-1)

/* Room for more, or they are lost. */
extern void gr_ties_grow(TieTable *t);

/* Neighbours lie side by side, in runs that are short. */
static inline uint32
gr_ties_hash(int32 bin)
{
	return (((uint32) bin >> 5) * UINT32_C(0x9E3779B1) >> 7 << 5) | ((uint32) bin & 31);
}

/* The tie of a bin; NULL: they are lost. */
static inline GrTie *
gr_ties_slot(TieTable *t, int32 bin)
{
	uint32		i;

	if (t->slot == NULL || (uint32) t->n * 2 > t->mask)
		gr_ties_grow(t);
	if (t->lost)
		return NULL;
	for (i = gr_ties_hash(bin) & t->mask;
		 (t->slot[i].n != 0 || t->slot[i].at_low == GR_TIE_GONE) && t->slot[i].bin != bin;
		 i = (i + 1) & t->mask)
		;
	if (t->slot[i].n == 0)
	{
		t->n += (t->slot[i].at_low != GR_TIE_GONE);
		t->slot[i].at_low = 0;
		t->slot[i].bin = bin;
	}
	return &t->slot[i];
}

/* One more event. */
static inline void
gr_ties_add(TieTable *t, double x)
{
	GrTie	   *tie = gr_ties_slot(t, gr_bin(x));

	if (tie == NULL)
		return;
	if (tie->n > 0 && x == tie->low && x == tie->high)
	{
		tie->n++;
		tie->at_low++;
		tie->at_high++;
	}
	else if (tie->n > 0 && x > tie->low && x < tie->high)
		tie->n++;
	else
		gr_tie_add(tie, x + 0.0);
}

/* Take out an event that was added. */
extern void gr_ties_remove(TieTable *t, double x);

extern TieList gr_ties_list(const TieTable *t);
extern void gr_ties_merge_table(TieTable *to, const TieTable *from);
extern void gr_ties_merge_list(TieTable *to, const TieList *from);

/* The union of two lists, in the current context. */
extern TieList gr_ties_union(const TieList *a, const TieList *b);

/* Bytes: varints, and the ends whole. */
extern void gr_ties_encode(StringInfo buf, const TieList *list);

/* False when the bytes are none that gr_ties_encode writes. */
extern bool gr_ties_decode(TieList *list, const char **p, const char *end);

#endif							/* GR_UNITS_TIES_H */
