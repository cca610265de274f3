/*
 * fold.c
 *	  From units to per-arm summaries and histograms.
 *
 * Units are visited in the order of their hashes, so the result does not depend
 * on the number of workers or on the order of rows, and the units of one batch
 * are neighbours: histograms are built batch by batch.
 */
#include "units/units.h"

#include <math.h>

#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics_double.h>

#include "miscadmin.h"
#include "utils/float.h"

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

/* ... counted when they lie close. */
static void
bins_by_counting(const BinBuffer *buffer, int32 lowest, int32 range, BinList *out)
{
	int64	   *count = palloc0(sizeof(int64) * range);
	int			distinct = 0;

	for (Size i = 0; i < buffer->n; i++)
		distinct += (count[buffer->bin[i] - lowest]++ == 0);
	out->bins = palloc_extended(sizeof(GrBin) * distinct, MCXT_ALLOC_HUGE);
	for (int32 k = 0; k < range; k++)
	{
		if (count[k] == 0)
			continue;
		out->bins[out->nbins].bin = lowest + k;
		out->bins[out->nbins++].count = count[k];
	}
	pfree(count);
}

/* The histogram of what is buffered, which is empty afterwards. */
static void
empty_buffer(BinBuffer *buffer, BinList *out)
{
	int32		lowest = PG_INT32_MAX,
				highest = PG_INT32_MIN;

	if (buffer->n == 0)
		return;
	for (Size i = 0; i < buffer->n; i++)
	{
		lowest = Min(lowest, buffer->bin[i]);
		highest = Max(highest, buffer->bin[i]);
	}
	if ((Size) (highest - lowest) < 4 * buffer->n + 4096)
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
pooled_quantile(const Units *u, const Metric *metric, int variable)
{
	double	   *values = palloc_extended(sizeof(double) * Max(u->flat->n, 1), MCXT_ALLOC_HUGE);
	Size		n = 0;
	double		cap;

	for (uint32 i = 0; i < u->flat->n; i++)
	{
		const UnitEntry *e = gr_entry(u->flat->entries, u->entry_size, i);
		double		x[GR_MAX_DIM];

		if (e->arm >= 0 && gr_metric_observe(u->spec, metric, e->slots, x) &&
			isfinite(x[variable]))
			values[n++] = x[variable];
	}
	cap = gr_pooled_cap(metric, values, n);
	pfree(values);
	return cap;
}

/* What each metric is capped at, the same in all arms. */
static void
set_caps(const Units *u, Collection *c)
{
	for (int m = 0; m < c->nmetrics; m++)
	{
		const Metric *metric = &u->spec->metrics[m];
		double		cap[2] = {get_float8_infinity(), get_float8_infinity()};

		if (!isnan(metric->cap_value))
			cap[0] = metric->cap_value;
		for (int i = 0; metric->cap_quantile > 0 && i < gr_metric_dim(metric); i++)
			cap[i] = u->caps ? u->caps[m][i] : pooled_quantile(u, metric, i);
		for (int a = 0; a < c->narms; a++)
			memcpy(c->arms[a].metrics[m].cap, cap, sizeof(cap));
	}
}

/* One unit's observation of one metric. */
static void
fold_unit(const CollectSpec *spec, int m, const UnitEntry *e,
		  const FlatList *list, Size at, uint32 count,
		  MetricData *data, BinBuffer *buffer)
{
	const Metric *metric = &spec->metrics[m];
	double		x[GR_MAX_DIM];

	if (metric->shape == SHAPE_EVENTS)
		buffer_bins(buffer, list->bin + at, count);
	else if (!gr_metric_observe(spec, metric, e->slots, x))
		return;
	else if (!gr_metric_has_histogram(metric))
		fold_moments(spec, metric, e, data, x);
	else if (isfinite(x[0]))
	{
		int32		bin = gr_bin(x[0]);

		buffer_bins(buffer, &bin, 1);
	}
	else
		data->skipped++;
}

static void
empty_buffers(Units *u, Collection *c, BinBuffer *buffers, int batch)
{
	CHECK_FOR_INTERRUPTS();
	for (int a = 0; a < c->narms; a++)
		for (int m = 0; m < c->nmetrics; m++)
			if (c->arms[a].metrics[m].batch)
				empty_buffer(&buffers[a * c->nmetrics + m],
							 &c->arms[a].metrics[m].batch[batch]);
}

Collection *
gr_units_fold(Units *u)
{
	const CollectSpec *spec = u->spec;
	Collection *c;
	BinBuffer  *buffers;
	Size	   *at = palloc0(sizeof(Size) * Max(spec->nlists, 1));
	int			batch = 0;

	gr_units_flatten(u);
	c = gr_collection_make(spec, u->narms);
	c->null_unit_rows = u->null_unit_rows;
	c->unknown_arm_rows = u->unknown_arm_rows;
	for (int a = 0; a < u->narms; a++)
	{
		c->arms[a].name = u->arm_name[a];
		c->arms[a].counts = u->counts[a];
	}
	set_caps(u, c);
	buffers = palloc0(sizeof(BinBuffer) * Max(u->narms * spec->nmetrics, 1));
	for (uint32 i = 0; i < u->flat->n; i++)
	{
		const UnitEntry *e = gr_entry(u->flat->entries, u->entry_size, i);
		ArmData    *arm = e->arm >= 0 ? &c->arms[e->arm] : NULL;

		if (gr_batch_of(e->hash) != batch)
		{
			empty_buffers(u, c, buffers, batch);
			batch = gr_batch_of(e->hash);
		}
		if (arm)
		{
			arm->units++;
			arm->events += e->events;
		}
		else
			c->crossover_units++;
		for (int m = 0; arm && m < spec->nmetrics; m++)
		{
			int			list = spec->folds[spec->metrics[m].a].slot;
			bool		events = spec->metrics[m].shape == SHAPE_EVENTS;

			fold_unit(spec, m, e, events ? &u->flat->lists[list] : NULL,
					  events ? at[list] : 0,
					  events ? u->flat->lists[list].count[i] : 0,
					  &arm->metrics[m], &buffers[e->arm * spec->nmetrics + m]);
		}
		for (int k = 0; k < spec->nlists; k++)
			at[k] += u->flat->lists[k].count[i];
	}
	empty_buffers(u, c, buffers, batch);
	return c;
}
