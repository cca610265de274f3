/*
 * estimate.c
 *	  What was collected of one arm, as the estimate of a rule's metric, and
 *	  whether it is enough.
 */
#include "evaluate/past.h"

#include <math.h>

/* The events of each batch that has any, as they lie around a quantile's bin. */
typedef struct BatchEvents
{
	int			n;
	double		upto[GR_BATCHES];
	double		under[GR_BATCHES];
	double		total[GR_BATCHES];
} BatchEvents;

static void
fill_batch_events(const MetricData *data, int32 bin, BatchEvents *e)
{
	e->n = 0;
	for (int b = 0; b < GR_BATCHES; b++)
	{
		const BinList *list = &data->batch[b];
		int64		under = 0,
					upto;
		int			i = 0;

		if (list->nbins == 0)
			continue;
		for (; i < list->nbins && list->bins[i].bin < bin; i++)
			under += list->bins[i].count;
		upto = under + (i < list->nbins && list->bins[i].bin == bin ? list->bins[i].count : 0);
		e->under[e->n] = (double) under;
		e->upto[e->n] = (double) upto;
		e->total[e->n++] = (double) gr_histogram_total(list->bins, list->nbins);
	}
}

/* The quantile of one arm, clustered by batch. */
static void
sample_quantile(const Evaluation *v, const MetricData *data, const GrRule *rule,
				double n_compared, double units, GrSample *out)
{
	BatchEvents e;
	GrTestKind	test = rule->role == GR_GUARDRAIL ? GR_TEST_BREACH : GR_TEST_GOAL;
	GrOccasion	at = {v->monitor.nlooks, n_compared, 1, rule->alpha};
	double		multiplier;

	fill_batch_events(data, gr_quantile_bin(data->pooled.bins, data->pooled.nbins, rule->quantile), &e);
	/* the multiplier in force; between looks and before there is one, t's */
	at.df = Max(e.n - 1, 1);
	(void) gr_monitor_level((GrMonitor *) &v->monitor, test, rule->alpha);
	multiplier = gr_monitor_multiplier((GrMonitor *) &v->monitor, test, rule->alpha, &at);
	if (!isfinite(multiplier))
		multiplier = gr_t_isf(rule->alpha / (test == GR_TEST_GOAL ? 2 : 1), at.df);
	gr_sample_of_quantile(data->pooled.bins, data->pooled.nbins, data->ties.ties, data->ties.n,
						  &(GrClusters) {e.n, e.upto, e.under, e.total},
						  rule->quantile, multiplier, units, out);
}

/* All units of an arm; those without a covariate have its pooled mean. */
static bool
all_units(const MetricData *m, double pooled_mean, GrMoments *out)
{
	GrMoments	rest;

	*out = m->adjusted;
	return gr_moments_extend(&m->moments, pooled_mean, &rest) && gr_moments_merge(out, &rest);
}

/* The mean of the covariate over the units of all arms that have it. */
static double
pooled_covariate(const Collection *c, int metric)
{
	double		sum = 0,
				n = 0;

	for (int a = 0; a < c->narms; a++)
	{
		const GrMoments *m = &c->arms[a].metrics[metric].adjusted;

		if (m->n > 0)
			sum += gr_moments_mean(m, m->dim - 1) * (double) m->n;
		n += (double) m->n;
	}
	return sum / n;
}

/*
 * A covariate that explains nothing, since no unit has one or it does not vary,
 * changes nothing.
 */
void
gr_cuped_of(const Evaluation *v, int metric, double *theta, double *pooled_mean)
{
	GrMoments  *arms = palloc(sizeof(GrMoments) * Max(v->c->narms, 1));
	bool		known;

	*pooled_mean = pooled_covariate(v->c, metric);
	known = !isnan(*pooled_mean);
	if (!known)
		*pooled_mean = 0;
	for (int a = 0; a < v->c->narms; a++)
		known = all_units(&v->c->arms[a].metrics[metric], *pooled_mean, &arms[a]) && known;
	if (!known || gr_cuped_theta(arms, v->c->narms, theta) != GR_OK)
		*theta = 0;
	pfree(arms);
}

/*
 * Units of value 1, if all values are 0 or 1; where all are 0, only flags are known to
 * be no large values that have not come yet.
 */
static double
ones_of(const Metric *metric, const MetricData *m)
{
	return m->nonzero > 0 || metric->is_flag || metric->shape->is_zero_or_one ? (double) m->nonzero : NAN;
}

/* The moments of a metric, with the covariate if it has one. */
static void
sample_moments(const Evaluation *v, const MetricData *m, int metric, GrSample *out, double *raw_variance)
{
	GrMoments	own;
	GrEstimate	adjusted;
	double		mean,
				theta;

	if (m->adjusted.dim == 0)
	{
		gr_sample_of_moments(&m->moments, false, 0, 0, ones_of(&v->plan->spec->metrics[metric], m), out);
		return;
	}
	gr_cuped_of(v, metric, &theta, &mean);
	if (!all_units(m, mean, &own))
		return;
	(void) gr_cuped_estimate(&own, theta, mean, &adjusted, raw_variance);
	gr_sample_of_moments(&own, true, theta, mean, NAN, out);
}

/* The arm's planned share of the traffic: equal ones where there is no plan. */
static double
traffic_of(const Experiment *e, const char *arm)
{
	for (int k = 0; k < e->narms; k++)
		if (strcmp(e->arms[k], arm) == 0)
			return e->shares[k];
	return 1;
}

void
gr_sample_cell(const Evaluation *v, const char *arm, const Rule *rule,
			   double n_compared, GrSample *out, double *raw_variance,
			   int64 *units, int64 *events)
{
	const ArmData *data = gr_collection_arm(v->c, arm);
	const MetricData *m;

	gr_sample_of_estimate(&(GrEstimate) {NAN, NAN, NAN}, 0, out);
	*raw_variance = NAN;
	*units = *events = 0;
	if (data == NULL || data->units == 0 || rule->failure)
		return;
	m = &data->metrics[rule->metric];
	*units = data->units - m->immature;
	*events = data->events;
	if (m->batch)
	{
		if (v->plan->spec->metrics[rule->metric].shape->over_events)
			*events = gr_histogram_total(m->pooled.bins, m->pooled.nbins);
		else
			*units = gr_histogram_total(m->pooled.bins, m->pooled.nbins);
		if (m->pooled.nbins > 0)
			sample_quantile(v, m, &rule->rule, n_compared, (double) Min(*units, *events), out);
	}
	else
	{
		*units = m->moments.n + m->adjusted.n;
		sample_moments(v, m, rule->metric, out, raw_variance);
	}
	out->traffic = traffic_of(v->e, arm);
}

int64
gr_immature_in(const Evaluation *v, const char *arm, const Rule *rule)
{
	const ArmData *data = gr_collection_arm(v->c, arm);

	return data ? data->metrics[rule->metric].immature : 0;
}

/* What the metric's unit totals were capped at; NaN: nothing. */
double
gr_cap_of(const Evaluation *v, const char *name, const Rule *rule)
{
	const ArmData *arm = gr_collection_arm(v->c, name);

	if (arm == NULL || !gr_metric_is_capped(&v->plan->spec->metrics[rule->metric]))
		return NAN;
	return isfinite(arm->metrics[rule->metric].cap[0]) ? arm->metrics[rule->metric].cap[0] : NAN;
}
