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
	[ERROR_UNITS] = {"failed units, 0.5 %, a small test", true, 40000, 0.50},
	[TICKETS] = {"tickets per unit, negative binomial", true, 50000, 0.10},
	[HEAVY] = {"revenue per unit, 95 % zeros, log-normal of sigma 1.5", false, 100000, 0.10},
	[SPREAD] = {"time per unit, log-normal, wider in treatment", true, 50000, 0.05},
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
	double		waiting[64 * 2];	/* units that are not in the moments yet */
	int			nwaiting;
	double		sigma;			/* SPREAD */

	/* quantiles */
	int32_t	   *pooled;			/* [BINS] */
	uint16_t   *count;			/* [BATCHES][BINS] */
	int64_t		below[BATCHES]; /* events of a batch in bins before "at" */
	int64_t		total[BATCHES];
	int			at;
	GrBin	   *bins;			/* the pooled histogram */
	size_t		nbins;
	double		under[BATCHES];
	double		upto[BATCHES];
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
		arm->sigma = t ? 1.2 : 0.8;
		arm->nonzero = 0;
		arm->nwaiting = 0;
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
	m.triple_hi[0] = k * pow(1 - k / n, 3) - (n - k) * pow(k / n, 3);
	m.largest[0][0] = k > 0;
	(void) gr_moments_merge(&arm->moments, &m);
	arm->nonzero += (int64_t) k;
}

static void
empty_waiting(Arm *arm)
{
	(void) gr_moments_add_many(&arm->moments, arm->waiting, (size_t) arm->nwaiting);
	arm->nwaiting = 0;
}

static void
add_unit(Arm *arm, const double *x)
{
	memcpy(arm->waiting + arm->nwaiting * arm->moments.dim, x, sizeof(double) * (size_t) arm->moments.dim);
	if (++arm->nwaiting == 64)
		empty_waiting(arm);
}

/* n units of value 0. */
static void
add_zeros(Arm *arm, double n)
{
	if (n > 0)
		add_counts(arm, n, 0);
}

static void
batch_revenue(Data *data, Arm *arm, double share, double sigma)
{
	unsigned	buyers = gsl_ran_binomial(data->rng, share, (unsigned) arm->units_a_batch);

	for (unsigned i = 0; i < buyers; i++)
	{
		double		x = arm->lift * fmin(data->cap, exp(gsl_ran_gaussian_ziggurat(data->rng, sigma)));

		add_unit(arm, &x);
	}
	arm->nonzero += buyers;
	empty_waiting(arm);
	add_zeros(arm, arm->units_a_batch - (double) buyers);
}

/* Gamma-Poisson: those that have none at once, the others one by one. */
static void
batch_tickets(Data *data, Arm *arm)
{
	const double dispersion = 0.3;
	double		p = dispersion / (dispersion + 0.3 * arm->lift);
	int			zeros = 0;

	for (int i = 0; i < arm->units_a_batch; i++)
	{
		double		x = gsl_ran_negative_binomial(data->rng, p, dispersion);

		zeros += x == 0;
		if (x > 0)
			add_unit(arm, &x);
	}
	arm->nonzero += arm->units_a_batch - zeros;
	empty_waiting(arm);
	add_zeros(arm, zeros);
}

/* Mean 1 whatever sigma is. */
static void
batch_spread(Data *data, Arm *arm)
{
	for (int i = 0; i < arm->units_a_batch; i++)
	{
		double		x = arm->lift * exp(gsl_ran_gaussian_ziggurat(data->rng, arm->sigma) - arm->sigma * arm->sigma / 2);

		add_unit(arm, &x);
	}
	arm->nonzero += arm->units_a_batch;
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
	add_unit(arm, x);
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
	add_unit(arm, x);
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

/* The pooled quantile's bin, and each batch's events below and up to it. */
static void
place_quantile(Data *data, Arm *arm)
{
	int			at;

	arm->nbins = 0;
	for (int b = 0; b < BINS; b++)
		if (arm->pooled[b] > 0)
			arm->bins[arm->nbins++] = (GrBin) {data->low + b, arm->pooled[b]};
	at = gr_quantile_bin(arm->bins, arm->nbins, 0.95) - data->low;
	arm->nclusters = 0;
	for (int k = 0; k < BATCHES; k++)
	{
		const uint16_t *count = arm->count + (size_t) k * BINS;

		for (int b = arm->at; b < at; b++)
			arm->below[k] += count[b];
		for (int b = at; b < arm->at; b++)
			arm->below[k] -= count[b];
		if (arm->total[k] == 0)
			continue;
		arm->under[arm->nclusters] = (double) arm->below[k];
		arm->upto[arm->nclusters] = (double) (arm->below[k] + count[at]);
		arm->total_q[arm->nclusters++] = (double) arm->total[k];
	}
	arm->at = at;
}

/* ---- batches -------------------------------------------------------------- */

static void
batch_of_arm(Data *data, Arm *arm)
{
	double		rate = (data->kind == PROPORTION ? 0.1 : data->kind == ERROR_UNITS ? 0.005 : 0.001) * arm->lift;

	switch (data->kind)
	{
		case REVENUE:
		case REVENUE_CAPPED:
			batch_revenue(data, arm, 0.1, 1);
			break;
		case HEAVY:
			batch_revenue(data, arm, 0.05, 1.5);
			break;
		case TICKETS:
			batch_tickets(data, arm);
			break;
		case SPREAD:
			batch_spread(data, arm);
			break;
		case PROPORTION:
		case CRASH_UNITS:
		case ERROR_UNITS:
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
sample(Data *data, Arm *arm, double multiplier, double units, GrSample *out)
{
	empty_waiting(arm);
	if (data->kind == LATENCY_P95)
		gr_sample_of_quantile(arm->bins, arm->nbins, NULL, 0,
							  &(GrClusters) {arm->nclusters, arm->upto, arm->under, arm->total_q},
							  0.95, multiplier, units, out);
	else
		gr_sample_of_moments(&arm->moments, false, 0, 0, (double) arm->nonzero, out);
	out->traffic = arm->units_a_batch;
}

void
data_samples(Data *data, double multiplier, GrSample *treatment, GrSample *control)
{
	if (data->kind == SCORE)
	{
		/* the difference has variance 1/t, and the mean that belongs to it */
		double		t = (double) data->looks / LOOKS;

		gr_sample_of_estimate(&(GrEstimate) {100 + data->score / t, 0.5 / t, INFINITY}, 0, treatment);
		gr_sample_of_estimate(&(GrEstimate) {100, 0.5 / t, INFINITY}, 0, control);
		return;
	}
	sample(data, &data->arm[1], multiplier, (double) data_units(data, true), treatment);
	sample(data, &data->arm[0], multiplier, (double) data_units(data, false), control);
}

double
data_pilot(Data *data, gsl_rng *rng, double lift, int runs)
{
	double		sum = 0;

	if (data->kind == SCORE)
		return 1;
	for (int i = 0; i < runs; i++)
	{
		GrSample	t,
					c;
		double		z,
					df,
					se;

		data_start(data, rng, lift);
		for (int k = 0; k < LOOKS; k++)
			data_batch(data);
		data_samples(data, gr_normal_isf(ALPHA), &t, &c);
		if (gr_contrast_statistic(GR_RELATIVE, &t.estimate, &c.estimate, 0, &z, &df, &se) == GR_OK)
			sum += sqrt(t.estimate.variance + c.estimate.variance) / c.estimate.value;
	}
	return sum / runs;
}
