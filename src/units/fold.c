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
#include "utils/float.h"

/* Places of the table that events are counted in. */
#define MIN_COUNTS ((Size) 1024 * 1024)
#define MAX_COUNTS ((Size) 8 * 1024 * 1024)

/* Events whose places in it are prefetched together. */
#define COUNTED_AT_ONCE 64

/* A unit's observation, capped, into the summary with or without covariate. */
static void
fold_moments(const CollectSpec *spec, const Metric *metric, const UnitEntry *e,
			 MetricData *data, double *x)
{
	double		covariate = gr_metric_covariate(spec, metric, e->slots);
	int			dim = gr_metric_dim(metric);
	GrMoments  *to = &data->moments;

	for (int i = 0; i < dim; i++)
		x[i] = Min(x[i], data->cap[i]);
	if (!isnan(covariate))
	{
		x[dim] = covariate;
		to = &data->adjusted;
	}
	if (!gr_moments_add(to, x))
		data->skipped++;
	else
		data->nonzero += (x[0] != 0);
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
	if (metric->shape == SHAPE_RATIO || (n > 0 && values[0] < 0))
		positive = n;
	if (positive == 0)
		return get_float8_infinity();
	return gsl_stats_quantile_from_sorted_data(values + n - positive, 1, positive,
											   metric->cap_quantile);
}

static double
pooled_quantile(Walk *walk, const Metric *metric, int variable)
{
	double	   *values = palloc_extended(sizeof(double) * Max(gr_walk_start(walk), 1),
										 MCXT_ALLOC_HUGE);
	Size		n = 0;
	double		cap;
	const UnitEntry *e;

	while ((e = gr_walk_next(walk)) != NULL)
	{
		double		x[GR_MAX_DIM];

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
		for (int i = 0; metric->cap_quantile > 0 && i < gr_metric_dim(metric); i++)
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
	if (metric->shape == SHAPE_ENTROPY)
		x[0] = gr_entropy(values, n);
	else
		x[0] = gr_distinct(values, n);
	return !isnan(x[0]);
}

/* One unit's observation of one metric. */
static void
fold_unit(const Walk *walk, int m, const UnitEntry *e, MetricData *data, BinBuffer *buffer)
{
	const Metric *metric = &walk->spec->metrics[m];
	double		x[GR_MAX_DIM];

	data->immature += gr_metric_is_immature(walk->spec, metric, e->slots);
	if (!gr_metric_looks_at(walk->spec, metric, e->slots))
		return;
	if (metric->shape == SHAPE_EVENTS)
	{
		buffer_list(walk, metric, buffer);
		return;
	}
	if (gr_metric_has_values(metric) ? !observe_values(walk, metric, buffer, x) :
		!gr_metric_observe(walk->spec, metric, e->slots, x))
		return;
	if (!gr_metric_has_histogram(metric))
		fold_moments(walk->spec, metric, e, data, x);
	else if (isfinite(x[0]))
	{
		int32		bin = gr_bin(x[0]);

		gr_buffer_bins(buffer, &bin, 1);
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
	BinBuffer  *buffers;		/* [narms][nmetrics] */
} FoldState;

static void
empty_buffers(FoldState *f)
{
	Collection *c = f->c;

	CHECK_FOR_INTERRUPTS();
	for (int a = 0; a < c->narms; a++)
		for (int m = 0; m < c->nmetrics; m++)
			if (c->arms[a].metrics[m].batch)
				gr_buffer_empty(&f->buffers[a * c->nmetrics + m],
							 &c->arms[a].metrics[m].batch[f->batch]);
}

/* Not every row that a unit has is an event. */
static int64
events_of(const CollectSpec *spec, const UnitEntry *e)
{
	return spec->events < 0 ? e->events : (int64) e->slots[spec->folds[spec->events].slot];
}

static void
fold_units(Walk *walk, FoldState *f)
{
	Collection *c = f->c;
	const UnitEntry *e;

	gr_walk_start(walk);
	while ((e = gr_walk_next(walk)) != NULL)
	{
		ArmData    *arm;

		if (gr_batch_of(e->hash) != f->batch)
		{
			empty_buffers(f);
			f->batch = gr_batch_of(e->hash);
		}
		if (e->arm < 0)
		{
			c->crossover_units++;
			continue;
		}
		arm = &c->arms[e->arm];
		arm->units++;
		arm->events += events_of(walk->spec, e);
		for (int m = 0; m < c->nmetrics; m++)
			fold_unit(walk, m, e, &arm->metrics[m], &f->buffers[e->arm * c->nmetrics + m]);
	}
}

/* The list of events of a metric of the table's. */
static const EventList *
metric_events(const Units *u, int m)
{
	return &u->lists[u->spec->folds[u->spec->metrics[m].a].slot];
}

/* The batches that the units of a part are in. */
static int
first_batch(const Units *u)
{
	return gr_batch_of(u->hash_prefix);
}

static int
count_batches(const Units *u)
{
	return GR_BATCHES >> Min(u->hash_bits, GR_BATCH_BITS);
}

/* Places of a table for counting, which is a part of the memory that units may use. */
static Size
most_counts(const Units *u)
{
	return Min(Max(u->limit / 4 / sizeof(uint32), MIN_COUNTS), MAX_COUNTS);
}

/*
 * Can the events be counted as they came, in one table of all arms and batches,
 * or would that be too large?
 */
static bool
events_can_be_counted(const Units *u, int narms)
{
	for (int m = 0; m < u->spec->nmetrics; m++)
	{
		const EventList *list;
		int32		lowest,
					highest;

		/* values are looked at unit by unit */
		if (gr_metric_has_values(&u->spec->metrics[m]))
			return false;
		if (u->spec->metrics[m].shape != SHAPE_EVENTS)
			continue;
		list = metric_events(u, m);
		if (list->n == 0)
			continue;
		gr_bins_range(list->bin, list->n, &lowest, &highest);
		if (((Size) highest - lowest + 1) * (1 + narms * count_batches(u)) > most_counts(u) ||
			list->n > PG_UINT32_MAX)
			return false;
	}
	return true;
}

/* A metric of events whose bins are still as they came. */
static void
count_events(const Units *u, Collection *c, int m)
{
	const Metric *metric = &u->spec->metrics[m];
	const EventList *list = metric_events(u, m);
	int			nbatches = count_batches(u);
	int32		lowest,
				highest;
	Size		range;
	uint32	   *count;
	uint32	  **place;			/* of a unit: where its arm and batch are counted */
	uint32	   *nowhere;		/* what is left out */

	if (list->n == 0)
		return;
	gr_bins_range(list->bin, list->n, &lowest, &highest);
	range = (Size) highest - lowest + 1;
	nowhere = palloc0(sizeof(uint32) * range * (1 + c->narms * nbatches));
	count = nowhere + range;
	place = palloc_extended(sizeof(uint32 *) * (Size) u->n, MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < u->n; i++)
	{
		const UnitEntry *e = gr_table_entry(u, i);

		place[i] = e->arm < 0 || !gr_metric_looks_at(u->spec, metric, e->slots) ? nowhere :
			count + (e->arm * nbatches + gr_batch_of(e->hash) - first_batch(u)) * range;
	}
	for (Size i = 0; i < list->n; i += COUNTED_AT_ONCE)
	{
		Size		n = Min(list->n - i, COUNTED_AT_ONCE);
		uint32	   *at[COUNTED_AT_ONCE];

		if ((i & 0xfffff) == 0)
			CHECK_FOR_INTERRUPTS();
		for (Size k = 0; k < n; k++)
		{
			at[k] = place[list->unit[i + k]] + (list->bin[i + k] - lowest);
			gr_prefetch(at[k]);
		}
		for (Size k = 0; k < n; k++)
			(*at[k])++;
	}
	for (int a = 0; a < c->narms; a++)
		for (int b = 0; b < nbatches; b++)
		{
			BinList		bins = {0};

			gr_bins_of_counts(count + (a * nbatches + b) * range, lowest, (int32) range, &bins);
			gr_bins_merge(&c->arms[a].metrics[m].batch[first_batch(u) + b], &bins);
		}
	pfree(place);
	pfree(nowhere);
}

/* Is there no room for putting the events into the order of the units? */
static bool
grouping_outgrows(Units *u)
{
	Size		events = 0;

	if (!u->may_spill || u->spill)
		return false;
	for (int k = 0; k < u->spec->nlists; k++)
		events = Max(events, u->lists[k].n);
	return u->used + events * 2 * sizeof(uint32) > u->limit &&
		!events_can_be_counted(u, u->narms);
}

/* Units that are wholly in memory. */
static void
fold_part(Units *u, void *arg)
{
	FoldState  *f = arg;
	Walk		walk;
	MemoryContext old;
	bool		counted;

	gr_units_free_index(u);
	counted = !u->flat && !u->packed && events_can_be_counted(u, f->c->narms);
	for (int m = 0; counted && m < f->c->nmetrics; m++)
		if (u->spec->metrics[m].shape == SHAPE_EVENTS)
			count_events(u, f->c, m);
	/* what is needed of a part goes with it */
	old = MemoryContextSwitchTo(u->context);
	gr_walk_init(&walk, u, !counted);
	MemoryContextSwitchTo(old);
	set_caps(&walk, f->c, f->caps);
	fold_units(&walk, f);
}

Collection *
gr_units_fold(Units *u)
{
	FoldState	f = {.caps = u->caps};

	f.c = gr_collection_make(u->spec, u->narms);
	f.buffers = palloc0(sizeof(BinBuffer) * Max(u->narms * f.c->nmetrics, 1));
	f.c->null_unit_rows = u->null_unit_rows;
	f.c->unknown_arm_rows = u->unknown_arm_rows;
	for (int a = 0; a < u->narms; a++)
	{
		f.c->arms[a].name = u->arm_name[a];
		f.c->arms[a].counts = u->counts[a];
	}
	gr_units_flush(u);
	if (grouping_outgrows(u))
		gr_spill_start(u);
	gr_units_each(u, fold_part, &f);
	empty_buffers(&f);
	return f.c;
}
