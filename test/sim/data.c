/*
 * data.c
 *	  Metrics with the troubles of real ones: zeros, long tails, rare events,
 *	  events of one unit that are alike, a quantile of clustered events.
 *
 * Units are counted into moments, and events into histograms by batch of units,
 * as the extension does it.
 */
#include "sim.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_randist.h>

const Metric metrics[KINDS] = {
	[SCORE] = {"z process", true, 50000, 0},
	[REVENUE] = {"revenue per unit, 90 % zeros, log-normal", false, 100000, 0.05},
	[REVENUE_CAPPED] = {"revenue, capped at its 0.99 quantile", false, 100000, 0.05},
	[PROPORTION] = {"proportion, 10 %", false, 50000, 0.05},
	[CRASH_UNITS] = {"crashed units, 0.1 %", true, 4000000, 0.10},
	[CRASH_EVENTS] = {"crashes per event, 0.1 %", true, 400000, 0.10},
	[LATENCY] = {"time per event, clustered", true, 20000, 0.02},
	[LATENCY_P95] = {"p95 of time over events, clustered", true, 20000, 0.05},
};

/* Bins of a quantile's histograms: from LOW on, everything beyond in the last. */
#define BINS 12288
#define LOW_VALUE 1.0

/* Events per unit: geometric, mean 5. */
#define EVENT_SHARE 0.2

typedef struct Arm
{
	int			units_a_batch;
	double		lift;			/* 1 + effect, for this arm */
	GrMoments	moments;
	int64_t		nonzero;

	/* quantiles */
	int32_t	   *pooled;			/* [BINS] */
	uint16_t   *count;			/* [BATCHES][BINS] */
	int64_t		below[BATCHES]; /* events of a batch in bins before "at" */
	int64_t		total[BATCHES];
	int			at;
	GrBin	   *bins;			/* the pooled histogram */
	size_t		nbins;
	double		q;
	double		below_q[BATCHES];
	double		total_q[BATCHES];
	int			nclusters;
} Arm;

struct Data
{
	Kind		kind;
	gsl_rng    *rng;
	double		share;
	int32_t		low;
	double		cap;
	double		score;			/* SCORE: sum of the increments */
	double		drift;
	int			looks;
	Arm			arm[2];			/* control, treatment */
};

static bool
is_ratio(Kind kind)
{
	return kind == CRASH_EVENTS || kind == LATENCY;
}

Data *
data_new(Kind kind, double share)
{
	Data	   *data = calloc(1, sizeof(Data));

	data->kind = kind;
	data->share = share;
	data->low = gr_bin(LOW_VALUE);
	/* log-normal, sigma 1: its 0.99 quantile */
	data->cap = kind == REVENUE_CAPPED ? exp(gr_normal_isf(0.01)) : INFINITY;
	for (int t = 0; t < 2; t++)
	{
		Arm		   *arm = &data->arm[t];

		arm->units_a_batch = (int) lround(metrics[kind].units * (t ? share : 1 - share) / LOOKS);
		if (kind != LATENCY_P95)
			continue;
		arm->pooled = calloc(BINS, sizeof(*arm->pooled));
		arm->count = calloc((size_t) BATCHES * BINS, sizeof(*arm->count));
		arm->bins = calloc(BINS, sizeof(*arm->bins));
	}
	return data;
}

void
data_free(Data *data)
{
	for (int t = 0; t < 2; t++)
	{
		free(data->arm[t].pooled);
		free(data->arm[t].count);
		free(data->arm[t].bins);
	}
	free(data);
}

void
data_start(Data *data, gsl_rng *rng, double lift)
{
	data->rng = rng;
	data->looks = 0;
	data->score = 0;
	data->drift = lift;
	for (int t = 0; t < 2; t++)
	{
		Arm		   *arm = &data->arm[t];

		arm->lift = t ? 1 + lift : 1;
		arm->nonzero = 0;
		gr_moments_init(&arm->moments, is_ratio(data->kind) ? 2 : 1);
		if (data->kind != LATENCY_P95)
			continue;
		memset(arm->pooled, 0, BINS * sizeof(*arm->pooled));
		memset(arm->count, 0, (size_t) BATCHES * BINS * sizeof(*arm->count));
		memset(arm->below, 0, sizeof(arm->below));
		memset(arm->total, 0, sizeof(arm->total));
		arm->at = 0;
	}
}

/* ---- one unit ------------------------------------------------------------- */

/* k units of value 1 and the others 0, merged at once. */
static void
add_counts(Arm *arm, double n, double k)
{
	GrMoments	m;

	gr_moments_init(&m, 1);
	m.n = (int64_t) n;
	m.sum_hi[0] = k;
	m.product[0] = k - k * k / n;
	(void) gr_moments_merge(&arm->moments, &m);
	arm->nonzero += (int64_t) k;
}

/* n units of value 0. */
static void
add_zeros(Arm *arm, double n)
{
	if (n > 0)
		add_counts(arm, n, 0);
}

static void
batch_revenue(Data *data, Arm *arm)
{
	unsigned	buyers = gsl_ran_binomial(data->rng, 0.1, (unsigned) arm->units_a_batch);

	for (unsigned i = 0; i < buyers; i++)
	{
		double		x = arm->lift * fmin(data->cap, exp(gsl_ran_gaussian_ziggurat(data->rng, 1)));

		(void) gr_moments_add(&arm->moments, &x);
	}
	arm->nonzero += buyers;
	add_zeros(arm, arm->units_a_batch - (double) buyers);
}

/* A unit's rate of crashes is exponential around 0.1 % per event. */
static void
unit_crashes(Data *data, Arm *arm)
{
	double		x[2] = {0, gsl_ran_geometric(data->rng, EVENT_SHARE)};
	double		expected = x[1] * 0.001 * arm->lift * -log(gsl_rng_uniform_pos(data->rng));
	double		left = exp(-expected);
	double		u = gsl_rng_uniform_pos(data->rng);

	for (double p = left; u > p && x[0] < x[1]; p += left)
	{
		x[0]++;
		left *= expected / x[0];
	}
	(void) gr_moments_add(&arm->moments, x);
	arm->nonzero += (x[0] > 0);
}

/* Times of one unit share a component of their logarithm. */
static double
unit_time(Data *data, double of_unit)
{
	return 200 * exp(of_unit + gsl_ran_gaussian_ziggurat(data->rng, 0.5));
}

static void
unit_latency(Data *data, Arm *arm)
{
	double		of_unit = gsl_ran_gaussian_ziggurat(data->rng, 0.4);
	double		x[2] = {0, gsl_ran_geometric(data->rng, EVENT_SHARE)};

	for (int i = 0; i < (int) x[1]; i++)
		x[0] += arm->lift * unit_time(data, of_unit);
	(void) gr_moments_add(&arm->moments, x);
	arm->nonzero++;
}

static void
unit_events(Data *data, Arm *arm)
{
	double		of_unit = gsl_ran_gaussian_ziggurat(data->rng, 0.4);
	int			n = (int) gsl_ran_geometric(data->rng, EVENT_SHARE);
	int			batch = (int) gsl_rng_uniform_int(data->rng, BATCHES);

	for (int i = 0; i < n; i++)
	{
		int			bin = gr_bin(arm->lift * unit_time(data, of_unit)) - data->low;

		bin = bin < 0 ? 0 : bin >= BINS ? BINS - 1 : bin;
		arm->pooled[bin]++;
		arm->count[(size_t) batch * BINS + bin]++;
		arm->total[batch]++;
		arm->below[batch] += (bin < arm->at);
	}
	arm->nonzero++;
}

/* The pooled quantile, and each batch's events up to it. */
static void
place_quantile(Data *data, Arm *arm)
{
	int			at;
	double		part;

	arm->nbins = 0;
	for (int b = 0; b < BINS; b++)
		if (arm->pooled[b] > 0)
			arm->bins[arm->nbins++] = (GrBin) {data->low + b, arm->pooled[b]};
	arm->q = gr_histogram_quantile(arm->bins, arm->nbins, 0.95);
	at = gr_bin(arm->q) - data->low;
	for (int k = 0; k < BATCHES; k++)
	{
		const uint16_t *count = arm->count + (size_t) k * BINS;

		for (int b = arm->at; b < at; b++)
			arm->below[k] += count[b];
		for (int b = at; b < arm->at; b++)
			arm->below[k] -= count[b];
	}
	arm->at = at;
	/* a bin's events lie evenly in it */
	part = (arm->q - gr_bin_lower(data->low + at)) /
		(gr_bin_upper(data->low + at) - gr_bin_lower(data->low + at));
	arm->nclusters = 0;
	for (int k = 0; k < BATCHES; k++)
	{
		if (arm->total[k] == 0)
			continue;
		arm->below_q[arm->nclusters] = (double) arm->below[k] + part * arm->count[(size_t) k * BINS + at];
		arm->total_q[arm->nclusters++] = (double) arm->total[k];
	}
}

/* ---- batches -------------------------------------------------------------- */

static void
batch_of_arm(Data *data, Arm *arm)
{
	double		rate = (data->kind == PROPORTION ? 0.1 : 0.001) * arm->lift;

	switch (data->kind)
	{
		case REVENUE:
		case REVENUE_CAPPED:
			batch_revenue(data, arm);
			break;
		case PROPORTION:
		case CRASH_UNITS:
			add_counts(arm, arm->units_a_batch,
					   gsl_ran_binomial(data->rng, rate, (unsigned) arm->units_a_batch));
			break;
		case CRASH_EVENTS:
			for (int i = 0; i < arm->units_a_batch; i++)
				unit_crashes(data, arm);
			break;
		case LATENCY:
			for (int i = 0; i < arm->units_a_batch; i++)
				unit_latency(data, arm);
			break;
		case LATENCY_P95:
			for (int i = 0; i < arm->units_a_batch; i++)
				unit_events(data, arm);
			place_quantile(data, arm);
			break;
		case SCORE:
		case KINDS:
			break;
	}
}

void
data_batch(Data *data)
{
	data->looks++;
	if (data->kind == SCORE)
		data->score += data->drift / LOOKS + gsl_ran_gaussian_ziggurat(data->rng, 1 / sqrt(LOOKS));
	for (int t = 0; t < 2; t++)
		batch_of_arm(data, &data->arm[t]);
}

int64_t
data_units(const Data *data, bool treatment)
{
	return (int64_t) data->looks * data->arm[treatment].units_a_batch;
}

static void
estimate(Data *data, const Arm *arm, double multiplier, GrEstimate *out)
{
	if (data->kind == LATENCY_P95)
		(void) gr_quantile_estimate(arm->bins, arm->nbins, arm->below_q, arm->total_q,
									arm->nclusters, 0.95, multiplier, out);
	else if (is_ratio(data->kind))
		(void) gr_ratio_estimate(&arm->moments, out);
	else
		(void) gr_mean_estimate(&arm->moments, 0, out);
}

void
data_estimates(Data *data, double multiplier, GrEstimate *treatment, GrEstimate *control)
{
	if (data->kind == SCORE)
	{
		/* the difference has variance 1/t, and the mean that belongs to it */
		double		t = (double) data->looks / LOOKS;

		*treatment = (GrEstimate) {100 + data->score / t, 0.5 / t, INFINITY};
		*control = (GrEstimate) {100, 0.5 / t, INFINITY};
		return;
	}
	estimate(data, &data->arm[1], multiplier, treatment);
	estimate(data, &data->arm[0], multiplier, control);
}

double
data_carrying(const Data *data, double *needed)
{
	double		nonzero = 0,
				units = 0,
				sum = 0,
				squares = 0,
				tail = 0;

	*needed = NAN;
	for (int i = 0; i < 2; i++)
	{
		const Arm  *arm = &data->arm[i];
		double		n = (double) data_units(data, i == 1);
		double		se,
					df;

		nonzero += (double) arm->nonzero;
		units += n;
		if (data->kind == LATENCY_P95)
			tail += gr_share_se(arm->below_q, arm->total_q, arm->nclusters, &se, &df) == GR_OK ?
				gr_tail_observations(0.95, se) : 0;
		else if (data->kind != SCORE && arm->moments.n > 0)
		{
			double		mean = gr_moments_mean(&arm->moments, 0);

			sum += mean * n;
			squares += arm->moments.product[0] + mean * mean * n;
		}
	}
	if (data->kind == SCORE)
		return NAN;
	*needed = gr_carrying_needed(data->share, data->kind == LATENCY_P95 ? 0 : gr_carrying_floor(false),
								 data->kind == REVENUE || data->kind == REVENUE_CAPPED ?
								 sum * sum / (nonzero * squares) : 1);
	if (data->kind == LATENCY_P95)
		return tail;
	if (data->kind == PROPORTION || data->kind == CRASH_UNITS)
		return fmin(nonzero, units - nonzero);
	return nonzero < units - nonzero ? nonzero : NAN;
}

double
data_pilot(Data *data, gsl_rng *rng, double lift, int runs)
{
	double		sum = 0;

	if (data->kind == SCORE)
		return 1;
	for (int i = 0; i < runs; i++)
	{
		GrEstimate	t,
					c;
		double		z,
					df,
					se;

		data_start(data, rng, lift);
		for (int k = 0; k < LOOKS; k++)
			data_batch(data);
		data_estimates(data, gr_normal_isf(ALPHA), &t, &c);
		if (gr_contrast_statistic(GR_RELATIVE, &t, &c, 0, &z, &df, &se) == GR_OK)
			sum += sqrt(t.variance + c.variance) / c.value;
	}
	return sum / runs;
}
