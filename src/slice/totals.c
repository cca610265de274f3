/*
 * totals.c
 *	  Running totals: what all stored units amount to.
 *
 * A check changes the numbers of few units.  What each gave before is taken out of
 * the totals and what it gives now is added, so that no other unit is folded.
 * What is taken out is to the last bit what was put in (merge.c sees to that).
 * Counts and histograms are whole numbers, and exact; sums are kept so that what
 * went through them costs no digits, and say when they are not sure (sums.c in
 * stats): then, and when there are none, all units are folded.  They can always be
 * computed from the slices: bytes that cannot be right are as good as none.
 */
#include "slice/totals.h"

#include <math.h>

#include "miscadmin.h"
#include "units/bins.h"

bool
gr_totals_suit(const CollectSpec *spec)
{
	for (int m = 0; m < spec->nmetrics; m++)
		if (spec->metrics[m].mature >= 0 || spec->metrics[m].shape->observe_values)
			return false;
	return !gr_spec_has_pooled_cap(spec);
}

Totals *
gr_totals_make(const CollectSpec *spec, MemoryContext context)
{
	Totals	   *t = MemoryContextAllocZero(context, sizeof(Totals));

	t->context = context;
	t->spec = spec;
	return t;
}

void
gr_totals_need_arm(Totals *t, int arm)
{
	MemoryContext old = MemoryContextSwitchTo(t->context);

	for (; t->narms <= arm; t->narms++)
	{
		ArmTotal   *a = &t->arms[t->narms];

		a->metrics = palloc0(sizeof(MetricTotal) * t->spec->nmetrics);
		for (int m = 0; m < t->spec->nmetrics; m++)
		{
			int			dim = t->spec->metrics[m].shape->dim;

			gr_sums_init(&a->metrics[m].sums[0], dim);
			gr_sums_init(&a->metrics[m].sums[1], Min(dim + 1, GR_MAX_DIM));
			if (!t->spec->metrics[m].shape->over_events && t->spec->metrics[m].shape->has_histogram)
				a->metrics[m].batch = palloc0(sizeof(BinList) * GR_BATCHES);
			a->metrics[m].ties.context = t->context;
		}
	}
	MemoryContextSwitchTo(old);
}

/* ---- changing ------------------------------------------------------------------ */

static void
change_metric(Totals *t, const Metric *metric, MetricTotal *total, const UnitEntry *e, int sign)
{
	double		cap[2] = {isnan(metric->cap_value) ? INFINITY : metric->cap_value, INFINITY};
	double		x[GR_MAX_DIM];
	bool		adjusted;

	if (metric->shape->over_events || !gr_metric_observe(t->spec, metric, e->slots, x))
		return;
	if (total->batch)
	{
		if (isfinite(x[0]))
		{
			int32		bin = gr_bin(x[0]);

			gr_buffer_bins(&total->change[sign < 0], &bin, 1);
			if (sign > 0)
				gr_ties_add(&total->ties, x[0]);
			else
				gr_ties_remove(&total->ties, x[0]);
		}
		else
			total->skipped += sign;
		return;
	}
	adjusted = gr_metric_complete(t->spec, metric, e->slots, cap, x);
	if (gr_sums_add(&total->sums[adjusted], x, sign))
		total->nonzero += sign * (x[0] != 0);
	else
		total->skipped += sign;
}

/* The histograms of the batch at hand. */
void
gr_totals_settle(Totals *t)
{
	CHECK_FOR_INTERRUPTS();
	for (int a = 0; a < t->narms; a++)
		for (int m = 0; m < t->spec->nmetrics; m++)
		{
			MetricTotal *total = &t->arms[a].metrics[m];

			for (int k = 0; total->batch && k < 2; k++)
			{
				BinList		change = {0};

				gr_buffer_empty(&total->change[k], &change);
				gr_bins_add(&total->batch[t->batch], &change, k == 0 ? 1 : -1);
				if (change.bins)
					pfree(change.bins);
			}
		}
}

void
gr_totals_change(Totals *t, const UnitEntry *e, int sign)
{
	MemoryContext old;
	ArmTotal   *arm;

	t->certain = false;
	if (e->arm < 0)
	{
		t->crossover_units += sign;
		return;
	}
	gr_totals_need_arm(t, e->arm);
	old = MemoryContextSwitchTo(t->context);
	if (gr_batch_of(e->hash) != t->batch)
	{
		gr_totals_settle(t);
		t->batch = gr_batch_of(e->hash);
	}
	arm = &t->arms[e->arm];
	arm->units += sign;
	arm->events += sign * gr_unit_events(t->spec, e);
	for (int m = 0; m < t->spec->nmetrics; m++)
		change_metric(t, &t->spec->metrics[m], &arm->metrics[m], e, sign);
	MemoryContextSwitchTo(old);
}

HeadTotals *
gr_totals_heads(const Totals *t)
{
	return t->heads;
}

void
gr_totals_set_heads(Totals *t, HeadTotals *heads)
{
	t->heads = heads;
}

/* ---- reading ------------------------------------------------------------------- */

static bool
copy_histogram(const MetricTotal *total, MetricData *data)
{
	for (int b = 0; b < GR_BATCHES; b++)
	{
		const BinList *from = &total->batch[b];

		if (!gr_histogram_valid(from->bins, from->nbins))
			return false;
		data->batch[b].nbins = from->nbins;
		data->batch[b].bins = palloc_extended(sizeof(GrBin) * Max(from->nbins, 1), MCXT_ALLOC_HUGE);
		memcpy(data->batch[b].bins, from->bins, sizeof(GrBin) * from->nbins);
	}
	return true;
}

static bool
collect_metric(const Metric *metric, const MetricTotal *total, MetricData *data)
{
	if (total->skipped < 0 || total->nonzero < 0)
		return false;
	data->skipped = total->skipped;
	data->nonzero = total->nonzero;
	if (total->batch && !copy_histogram(total, data))
		return false;
	if (total->batch)
		data->ties = gr_ties_list(&total->ties);
	if (metric->shape->has_histogram)
		return true;
	if (!isnan(metric->cap_value))
		data->cap[0] = metric->cap_value;
	return gr_sums_moments(&total->sums[0], &data->moments) &&
		(metric->covariate < 0 || gr_sums_moments(&total->sums[1], &data->adjusted)) &&
		total->nonzero <= total->sums[0].n + total->sums[1].n;
}

Collection *
gr_totals_collect(Totals *t, int narms)
{
	Collection *c = gr_collection_make(t->spec, narms);
	MemoryContext old;

	gr_totals_need_arm(t, narms - 1);
	if (t->narms > narms || t->crossover_units < 0)
		return NULL;
	old = MemoryContextSwitchTo(t->context);
	gr_totals_settle(t);
	MemoryContextSwitchTo(old);
	c->crossover_units = t->crossover_units;
	for (int a = 0; a < narms; a++)
	{
		if (t->arms[a].units < 0 || t->arms[a].events < 0)
			return NULL;
		c->arms[a].units = t->arms[a].units;
		c->arms[a].events = t->arms[a].events;
		for (int m = 0; m < t->spec->nmetrics; m++)
			if (!collect_metric(&t->spec->metrics[m], &t->arms[a].metrics[m], &c->arms[a].metrics[m]))
				return NULL;
	}
	t->certain = true;
	return c;
}

void
gr_totals_lack_ties(Totals *t)
{
	t->lacks_ties = true;
}
