/*
 * fold.c
 *	  From units to per-arm summaries and histograms.
 *
 * Units are visited in the order of their hashes, so the result does not depend
 * on the number of workers or on the order of rows, and the units of one batch
 * are neighbours: histograms are built batch by batch.
 */
#include "units/walk.h"

#include <math.h>

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>

#include "miscadmin.h"
#include "units/bins.h"
#include "units/spill.h"
#include "utils/float.h"

/* Units whose observations are added to one summary together. */
#define OBSERVED_TOGETHER 64

typedef struct UnitBuffer
{
	int			n;
	double	   *x;				/* NULL: there was none */
} UnitBuffer;

/* What is on its way into one arm's data of one metric. */
typedef struct MetricBuffer
{
	BinBuffer	bins;
	UnitBuffer	units[2];		/* for the summary without and with covariate */
	TieTable	ties;			/* of a histogram over units */
} MetricBuffer;

static GrMoments *
summary_of(MetricData *data, int which)
{
	return which == 0 ? &data->moments : &data->adjusted;
}

static void
empty_units(UnitBuffer *buffer, MetricData *data, int which)
{
	GrMoments  *to = summary_of(data, which);
	bool		all = gr_moments_add_many(to, buffer->x, buffer->n);

	for (int i = 0; i < buffer->n; i++)
	{
		const double *x = buffer->x + i * to->dim;

		if (all || gr_moments_add(to, x))
			data->nonzero += (x[0] != 0);
		else
			data->skipped++;
	}
	buffer->n = 0;
}

/* A unit's observation, capped, to the summary with or without covariate. */
static void
fold_moments(const CollectSpec *spec, const Metric *metric, const UnitEntry *e,
			 MetricData *data, MetricBuffer *buffer, double *x)
{
	int			which = gr_metric_complete(spec, metric, e->slots, data->cap, x);
	int			dim = metric->shape->dim + which;
	UnitBuffer *to = &buffer->units[which];

	if (to->x == NULL)
		to->x = palloc(sizeof(double) * dim * OBSERVED_TOGETHER);
	memcpy(to->x + to->n * dim, x, sizeof(double) * dim);
	if (++to->n == OBSERVED_TOGETHER)
		empty_units(to, data, which);
}

/*
 * The pooled quantile of one variable of a metric over the units of all arms:
 * of a ratio over all of them, else over those that are not 0 when none is
 * negative.
 */
double
gr_pooled_cap(const Metric *metric, double *values, Size n)
{
	Size		positive = 0;

	CHECK_FOR_INTERRUPTS();
	gsl_sort(values, 1, n);
	while (positive < n && values[n - 1 - positive] > 0)
		positive++;
	if (metric->shape->caps_zeros || (n > 0 && values[0] < 0))
		positive = n;
	if (positive == 0)
		return get_float8_infinity();
	return gsl_stats_quantile_from_sorted_data(values + n - positive, 1, positive,
											   metric->cap_quantile);
}

static double
pooled_quantile(Walk *walk, const Metric *metric, int variable)
{
	double	   *values = palloc_extended(sizeof(double) * Max(gr_walk_count(walk), 1),
										 MCXT_ALLOC_HUGE);
	Size		n = 0;
	double		cap;
	const UnitEntry *e;

	gr_walk_start(walk, false);
	while ((e = gr_walk_next(walk)) != NULL)
	{
		double		x[GR_MAX_DIM];

		if ((n & 0xffff) == 0)
			CHECK_FOR_INTERRUPTS();

		if (e->arm >= 0 && gr_metric_observe(walk->spec, metric, e->slots, x) &&
			isfinite(x[variable]))
			values[n++] = x[variable];
	}
	cap = gr_pooled_cap(metric, values, n);
	pfree(values);
	return cap;
}

/* What each metric is capped at, the same in all arms; caps: known already. */
static void
set_caps(Walk *walk, Collection *c, double (*caps)[2])
{
	for (int m = 0; m < c->nmetrics; m++)
	{
		const Metric *metric = &walk->spec->metrics[m];
		double		cap[2] = {get_float8_infinity(), get_float8_infinity()};

		if (!isnan(metric->cap_value))
			cap[0] = metric->cap_value;
		for (int i = 0; metric->cap_quantile > 0 && i < metric->shape->dim; i++)
			cap[i] = caps ? caps[m][i] : pooled_quantile(walk, metric, i);
		for (int a = 0; a < c->narms; a++)
			memcpy(c->arms[a].metrics[m].cap, cap, sizeof(cap));
	}
}

/* The list of the unit at hand. */
static void
buffer_list(const Walk *walk, const Metric *metric, BinBuffer *buffer)
{
	int			k = walk->spec->folds[metric->a].slot;

	for (int i = 0; i < walk->nsources; i++)
	{
		const WalkBins *bins = &walk->source[i].bins[k];

		if (walk->source[i].here && bins->n > 0)
			gr_buffer_bins(buffer, bins->bin, bins->n);
	}
}

/* What the values of the unit at hand amount to; the buffer is left empty. */
static bool
observe_values(const Walk *walk, const Metric *metric, BinBuffer *buffer, double *x)
{
	double	   *values;
	Size		n;

	buffer_list(walk, metric, buffer);
	values = (double *) buffer->bin;
	n = buffer->n / GR_BINS_OF_VALUE;
	buffer->n = 0;
	x[0] = metric->shape->observe_values(values, n);
	return !isnan(x[0]);
}

/* One unit's observation of one metric. */
static void
fold_unit(const Walk *walk, int m, const UnitEntry *e, MetricData *data, MetricBuffer *buffer)
{
	const Metric *metric = &walk->spec->metrics[m];
	double		x[GR_MAX_DIM];

	if (metric->mature >= 0)
	{
		data->immature += gr_metric_is_immature(walk->spec, metric, e->slots);
		if (!gr_metric_looks_at(walk->spec, metric, e->slots))
			return;
	}
	if (metric->shape->over_events)
	{
		if (walk->with_bins)
			buffer_list(walk, metric, &buffer->bins);
		return;
	}
	if (metric->shape->observe_values ? !observe_values(walk, metric, &buffer->bins, x) :
		!gr_metric_observe(walk->spec, metric, e->slots, x))
		return;
	if (!metric->shape->has_histogram)
		fold_moments(walk->spec, metric, e, data, buffer, x);
	else if (isfinite(x[0]))
	{
		int32		bin = gr_bin(x[0]);

		gr_buffer_bins(&buffer->bins, &bin, 1);
		gr_ties_add(&buffer->ties, x[0]);
	}
	else
		data->skipped++;
}

/* What is folded so far; the units may come in parts, ascending by hash. */
typedef struct FoldState
{
	Collection *c;
	double		(*caps)[2];		/* known already; NULL: they come from the units */
	int			batch;			/* at hand */
	MetricBuffer *buffers;		/* [narms][nmetrics] */
} FoldState;

static void
empty_bins(FoldState *f)
{
	Collection *c = f->c;

	CHECK_FOR_INTERRUPTS();
	for (int a = 0; a < c->narms; a++)
		for (int m = 0; m < c->nmetrics; m++)
			if (c->arms[a].metrics[m].batch)
				gr_buffer_empty(&f->buffers[a * c->nmetrics + m].bins,
								&c->arms[a].metrics[m].batch[f->batch]);
}

int64
gr_unit_events(const CollectSpec *spec, const UnitEntry *e)
{
	return spec->events < 0 ? e->events : (int64) e->slots[spec->folds[spec->events].slot];
}

static void
fold_units(Walk *walk, FoldState *f, bool bins)
{
	Collection *c = f->c;
	const UnitEntry *e;
	uint32		n = 0;

	gr_walk_start(walk, bins);
	while ((e = gr_walk_next(walk)) != NULL)
	{
		ArmData    *arm;

		if ((++n & 0xffff) == 0)
			CHECK_FOR_INTERRUPTS();
		if (gr_batch_of(e->hash) != f->batch)
		{
			empty_bins(f);
			f->batch = gr_batch_of(e->hash);
		}
		if (e->arm < 0)
		{
			c->crossover_units++;
			continue;
		}
		arm = &c->arms[e->arm];
		arm->units++;
		arm->events += gr_unit_events(walk->spec, e);
		for (int m = 0; m < c->nmetrics; m++)
			fold_unit(walk, m, e, &arm->metrics[m], &f->buffers[e->arm * c->nmetrics + m]);
	}
}

/* ---- events by table ----------------------------------------------------------- */

/*
 * Where each table holds units of one batch, and no other process has events of the
 * same units, a histogram takes the events of a table as they come.
 */
static bool
events_by_table(const Units *u)
{
	for (int m = 0; m < u->spec->nmetrics; m++)
		if (u->spec->metrics[m].shape->observe_values)
			return false;
	return !u->flat && u->tables && u->nparts == 0 && u->hash_bits + u->table_bits >= GR_BATCH_BITS;
}

typedef struct Looking
{
	const CollectSpec *spec;
	const Metric *metric;
} Looking;

static bool
looks_at(const UnitEntry *e, void *arg)
{
	const Looking *l = arg;

	return gr_metric_looks_at(l->spec, l->metric, e->slots);
}

static void
fold_events(const Units *u, TableOrder *order, Collection *c)
{
	for (int t = 0; t < 1 << u->table_bits; t++)
		for (int m = 0; u->tables[t].n > 0 && m < c->nmetrics; m++)
		{
			Looking		looking = {u->spec, &u->spec->metrics[m]};
			int			batch = gr_batch_of(gr_table_entry(u, &u->tables[t], 0)->hash);
			const FlatList *events;
			int32	   *bin;

			if (!looking.metric->shape->over_events)
				continue;
			events = gr_order_events(order, u, t, u->spec->folds[looking.metric->a].slot, c->narms,
									 looks_at, &looking);
			bin = events->bin + events->count[0];
			for (int a = 0; a < c->narms; bin += events->count[1 + a++])
				gr_buffer_empty(&(BinBuffer) {events->count[1 + a], 0, bin}, &c->arms[a].metrics[m].batch[batch]);
		}
}

/* Is there no room for putting the events of some table into the order of its units? */
static bool
grouping_outgrows(const Units *u)
{
	Size		most = 0;

	for (int i = 0; !u->spill && !u->flat && i < 1 << u->table_bits; i++)
	{
		Size		numbers = 0;

		for (int k = 0; k < u->spec->nlists; k++)
			numbers += u->tables[i].lists[k].n + u->tables[i].n;
		most = Max(most, numbers);
	}
	return u->used + most * sizeof(int32) > u->limit;
}

/* Units that are wholly in memory. */
static void
fold_part(Units *u, void *arg)
{
	FoldState  *f = arg;
	bool		by_table = events_by_table(u);
	Walk		walk;
	MemoryContext old;

	/* what is needed of a part goes with it */
	old = MemoryContextSwitchTo(u->context);
	gr_walk_init(&walk, u);
	set_caps(&walk, f->c, f->caps);
	MemoryContextSwitchTo(old);
	fold_units(&walk, f, !by_table);
	if (by_table)
		fold_events(u, &walk.source[0].order, f->c);
}

Collection *
gr_units_fold(Units *u)
{
	FoldState	f = {.caps = u->caps};

	f.c = gr_collection_make(u->spec, u->narms);
	f.buffers = palloc0(sizeof(MetricBuffer) * Max(u->narms * f.c->nmetrics, 1));
	f.c->null_unit_rows = u->null_unit_rows;
	f.c->unknown_arm_rows = u->unknown_arm_rows;
	for (int a = 0; a < u->narms; a++)
	{
		f.c->arms[a].name = u->arm_name[a];
		f.c->arms[a].counts = u->counts[a];
	}
	gr_units_flush(u);
	if (u->may_spill && grouping_outgrows(u))
		gr_spill_start(u);
	gr_units_each(u, fold_part, &f);
	empty_bins(&f);
	for (int a = 0; a < f.c->narms; a++)
		for (int m = 0; m < f.c->nmetrics; m++)
		{
			MetricBuffer *buffer = &f.buffers[a * f.c->nmetrics + m];

			for (int which = 0; which < 2; which++)
				empty_units(&buffer->units[which], &f.c->arms[a].metrics[m], which);
			if (f.c->arms[a].metrics[m].batch)
				f.c->arms[a].metrics[m].ties = gr_ties_list(&buffer->ties);
		}
	gr_collection_take_ties(f.c, u->spec);
	return f.c;
}
