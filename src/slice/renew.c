/*
 * renew.c
 *	  Running totals made anew from the slices: all of them, or those of the heads.
 */
#include "slice/totals.h"

#include "utils/memutils.h"

static void
add_unit(void *arg, const GrMergedUnit *unit)
{
	gr_totals_change(arg, unit->all, 1);
}

/* What sums of heads take is not kept. */
static void
renew_heads(Stored *s)
{
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "heads", ALLOCSET_DEFAULT_SIZES);
	MemoryContext here = MemoryContextSwitchTo(work);

	s->totals->heads = gr_head_totals_make(s->e, s->spec, gr_stored_sum_heads(s, s->runs, s->nruns, NULL),
										   s->context);
	MemoryContextSwitchTo(here);
	MemoryContextDelete(work);
}

void
gr_totals_renew(Stored *s)
{
	s->totals = NULL;
	if (!gr_totals_suit(s->spec))
		return;
	s->totals = gr_totals_make(s->spec, s->context);
	gr_merge(s, s->runs, s->nruns, NULL, add_unit, s->totals);
	renew_heads(s);
}

/* Is one of the sums why there is no collection? */
static bool
is_uncertain(const Totals *t, bool *worn)
{
	GrMoments	moments;
	bool		any = false;

	for (int a = 0; a < t->narms; a++)
		for (int m = 0; m < t->spec->nmetrics; m++)
			for (int k = 0; k < 2; k++)
			{
				const GrSums *sums = &t->arms[a].metrics[m].sums[k];

				if (gr_sums_moments(sums, &moments))
					continue;
				any = true;
				*worn |= gr_sums_are_worn(sums);
			}
	return any;
}

static bool
are_worn(Totals *t)
{
	MemoryContext work,
				old;
	bool		worn = false;
	bool		wrong;

	if (t->certain || t->lacks_ties)
		return t->lacks_ties;
	work = AllocSetContextCreate(CurrentMemoryContext, "collection", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(work);
	wrong = gr_totals_collect(t, t->narms) == NULL && !is_uncertain(t, &worn);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
	return wrong || worn;
}

void
gr_totals_mend(Stored *s)
{
	if (s->totals == NULL || are_worn(s->totals))
		gr_totals_renew(s);
	else if (gr_head_totals_are_worn(s->totals->heads, s->e))
		renew_heads(s);
}
