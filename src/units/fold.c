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
#include "utils/float.h"

/* Entries of the table that events are counted in. */
#define MAX_COUNTS (8 * 1024 * 1024)

/* Events whose places in it are prefetched together. */
#define COUNTED_AT_ONCE 64

/* Bins of one arm and metric in the batch at hand. */
typedef struct BinBuffer
{
	Size		n;
	Size		capacity;
	int32	   *bin;
} BinBuffer;

static void
buffer_bins(BinBuffer *buffer, const int32 *bin, Size n)
{
	if (buffer->n + n > buffer->capacity)
	{
		buffer->capacity = Max(2 * buffer->capacity, buffer->n + n + 64);
		if (buffer->bin == NULL)
			buffer->bin = palloc_extended(sizeof(int32) * buffer->capacity, MCXT_ALLOC_HUGE);
		else
			buffer->bin = repalloc_huge(buffer->bin, sizeof(int32) * buffer->capacity);
	}
	memcpy(buffer->bin + buffer->n, bin, sizeof(int32) * n);
	buffer->n += n;
}

static int
compare_int32(const void *a, const void *b)
{
	int32		x = *(const int32 *) a;
	int32		y = *(const int32 *) b;

	return (x > y) - (x < y);
}

/* Sorted in place when the values are spread wide, ... */
static void
bins_by_sorting(BinBuffer *buffer, BinList *out)
{
	qsort(buffer->bin, buffer->n, sizeof(int32), compare_int32);
	out->bins = palloc_extended(sizeof(GrBin) * buffer->n, MCXT_ALLOC_HUGE);
	for (Size i = 0; i < buffer->n; i++)
	{
		if (out->nbins > 0 && out->bins[out->nbins - 1].bin == buffer->bin[i])
			out->bins[out->nbins - 1].count++;
		else
		{
			out->bins[out->nbins].bin = buffer->bin[i];
			out->bins[out->nbins++].count = 1;
		}
	}
}

/* The bins that have been counted, from "lowest" on. */
static void
bins_of_counts(const uint32 *count, int32 lowest, int32 range, BinList *out)
{
	int			distinct = 0;

	for (int32 k = 0; k < range; k++)
		distinct += count[k] != 0;
	out->bins = palloc_extended(sizeof(GrBin) * Max(distinct, 1), MCXT_ALLOC_HUGE);
	for (int32 k = 0; k < range; k++)
	{
		if (count[k] == 0)
			continue;
		out->bins[out->nbins].bin = lowest + k;
		out->bins[out->nbins++].count = count[k];
	}
}

/* ... counted when they lie close. */
static void
bins_by_counting(const BinBuffer *buffer, int32 lowest, int32 range, BinList *out)
{
	uint32	   *count = palloc0(sizeof(uint32) * range);

	for (Size i = 0; i < buffer->n; i++)
		count[buffer->bin[i] - lowest]++;
	bins_of_counts(count, lowest, range, out);
	pfree(count);
}

static void
bins_range(const int32 *bin, Size n, int32 *lowest, int32 *highest)
{
	int32		low = PG_INT32_MAX,
				high = PG_INT32_MIN;

	for (Size i = 0; i < n; i++)
	{
		low = Min(low, bin[i]);
		high = Max(high, bin[i]);
	}
	*lowest = low;
	*highest = high;
}

/* The histogram of what is buffered, which is empty afterwards. */
static void
empty_buffer(BinBuffer *buffer, BinList *out)
{
	int32		lowest,
				highest;

	if (buffer->n == 0)
		return;
	bins_range(buffer->bin, buffer->n, &lowest, &highest);
	if ((Size) (highest - lowest) < 4 * buffer->n + 4096 && buffer->n <= PG_UINT32_MAX)
		bins_by_counting(buffer, lowest, highest - lowest + 1, out);
	else
		bins_by_sorting(buffer, out);
	buffer->n = 0;
}

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
		const WalkSource *s = &walk->source[i];

		if (s->here && s->lists)
			buffer_bins(buffer, s->lists[k].bin + s->bin_at[k], s->lists[k].count[s->at]);
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
	n = buffer->n / 2;
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

		buffer_bins(buffer, &bin, 1);
	}
	else
		data->skipped++;
}

static void
empty_buffers(Collection *c, BinBuffer *buffers, int batch)
{
	CHECK_FOR_INTERRUPTS();
	for (int a = 0; a < c->narms; a++)
		for (int m = 0; m < c->nmetrics; m++)
			if (c->arms[a].metrics[m].batch)
				empty_buffer(&buffers[a * c->nmetrics + m],
							 &c->arms[a].metrics[m].batch[batch]);
}

/* Not every row that a unit has is an event. */
static int64
events_of(const CollectSpec *spec, const UnitEntry *e)
{
	return spec->events < 0 ? e->events : (int64) e->slots[spec->folds[spec->events].slot];
}

static void
fold_units(Walk *walk, Collection *c)
{
	BinBuffer  *buffers = palloc0(sizeof(BinBuffer) * Max(c->narms * c->nmetrics, 1));
	int			batch = 0;
	const UnitEntry *e;

	gr_walk_start(walk);
	while ((e = gr_walk_next(walk)) != NULL)
	{
		ArmData    *arm;

		if (gr_batch_of(e->hash) != batch)
		{
			empty_buffers(c, buffers, batch);
			batch = gr_batch_of(e->hash);
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
			fold_unit(walk, m, e, &arm->metrics[m], &buffers[e->arm * c->nmetrics + m]);
	}
	empty_buffers(c, buffers, batch);
}

/* The list of events of a metric of the table's. */
static const EventList *
metric_events(const Units *u, int m)
{
	return &u->lists[u->spec->folds[u->spec->metrics[m].a].slot];
}

/*
 * Can the events be counted as they came, in one table of all arms and batches,
 * or would that be too large?
 */
static bool
events_can_be_counted(const Units *u)
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
		bins_range(list->bin, list->n, &lowest, &highest);
		if (((Size) highest - lowest + 1) * (1 + u->narms * GR_BATCHES) > MAX_COUNTS ||
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
	int32		lowest,
				highest;
	Size		range;
	uint32	   *count;
	uint32	  **place;			/* of a unit: where its arm and batch are counted */
	uint32	   *nowhere;		/* what is left out */

	if (list->n == 0)
		return;
	bins_range(list->bin, list->n, &lowest, &highest);
	range = (Size) highest - lowest + 1;
	nowhere = palloc0(sizeof(uint32) * range * (1 + c->narms * GR_BATCHES));
	count = nowhere + range;
	place = palloc_extended(sizeof(uint32 *) * (Size) u->n, MCXT_ALLOC_HUGE);
	for (uint32 i = 0; i < u->n; i++)
	{
		const UnitEntry *e = gr_table_entry(u, i);

		place[i] = e->arm < 0 || !gr_metric_looks_at(u->spec, metric, e->slots) ? nowhere :
			count + (e->arm * GR_BATCHES + gr_batch_of(e->hash)) * range;
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
		for (int b = 0; b < GR_BATCHES; b++)
			bins_of_counts(count + (a * GR_BATCHES + b) * range, lowest, (int32) range,
						   &c->arms[a].metrics[m].batch[b]);
	pfree(place);
	pfree(nowhere);
}

Collection *
gr_units_fold(Units *u)
{
	Collection *c = gr_collection_make(u->spec, u->narms);
	Walk		walk;

	gr_units_flush(u);
	c->null_unit_rows = u->null_unit_rows;
	c->unknown_arm_rows = u->unknown_arm_rows;
	for (int a = 0; a < u->narms; a++)
	{
		c->arms[a].name = u->arm_name[a];
		c->arms[a].counts = u->counts[a];
	}
	if (!events_can_be_counted(u))
		gr_units_flatten(u);
	for (int m = 0; m < c->nmetrics && !u->flat; m++)
		if (u->spec->metrics[m].shape == SHAPE_EVENTS)
			count_events(u, c, m);
	gr_walk_init(&walk, u);
	set_caps(&walk, c, u->caps);
	fold_units(&walk, c);
	return c;
}
