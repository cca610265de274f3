/*
 * estimate.c
 *	  What was collected of one arm, as the estimate of a rule's metric.
 */
#include "check/past.h"

#include <math.h>

/*
 * Units that must carry a metric before a normal approximation speaks, and the
 * same for a split that is not even, where the difference of two means is skewed
 * by |1 - 2s| / sqrt(s (1 - s) units).  Found by simulation: doc/simulation.md.
 */
#define MIN_CARRYING 30
#define MIN_CARRYING_SKEWED 200

/* The quantile of one arm, clustered by batch. */
static void
estimate_quantile(const Evaluation *v, const MetricData *data, const GrRule *rule,
				  double n_compared, GrEstimate *out)
{
	double		q = gr_histogram_quantile(data->pooled.bins, data->pooled.nbins, rule->quantile);
	double		below[GR_BATCHES],
				total[GR_BATCHES];
	GrTestKind	kind = rule->role == GR_GUARDRAIL ? GR_TEST_BREACH : GR_TEST_GOAL;
	GrOccasion	at = {v->monitor.nlooks, n_compared, 1, rule->alpha};
	double		multiplier;
	int			n = 0;

	for (int b = 0; b < GR_BATCHES; b++)
	{
		const BinList *list = &data->batch[b];

		if (list->nbins == 0)
			continue;
		total[n] = (double) gr_histogram_total(list->bins, list->nbins);
		below[n++] = gr_histogram_below(list->bins, list->nbins, q);
	}
	/* the multiplier in force; between looks and before there is one, t's */
	at.df = Max(n - 1, 1);
	(void) gr_monitor_level((GrMonitor *) &v->monitor, kind, rule->alpha);
	multiplier = gr_monitor_multiplier((GrMonitor *) &v->monitor, kind, rule->alpha, &at);
	if (!isfinite(multiplier))
		multiplier = gr_t_isf(rule->alpha / (kind == GR_TEST_GOAL ? 2 : 1), at.df);
	(void) gr_quantile_estimate(data->pooled.bins, data->pooled.nbins, below, total, n,
								rule->quantile, multiplier, out);
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
 * CUPED: the estimate of one arm, with theta and the covariate's mean from all of
 * them.  A covariate that explains nothing, since no unit has one or it does not
 * vary, changes nothing.
 */
static void
estimate_adjusted(const Evaluation *v, const MetricData *m, int metric,
				  GrEstimate *out, double *raw_variance)
{
	GrMoments  *arms = palloc(sizeof(GrMoments) * Max(v->c->narms, 1));
	GrMoments	own;
	double		mean = pooled_covariate(v->c, metric);
	double		theta;
	bool		known = !isnan(mean);

	if (!known)
		mean = 0;
	for (int a = 0; a < v->c->narms; a++)
		known = all_units(&v->c->arms[a].metrics[metric], mean, &arms[a]) && known;
	if (!known || gr_cuped_theta(arms, v->c->narms, &theta) != GR_OK)
		theta = 0;
	if (all_units(m, mean, &own))
		(void) gr_cuped_estimate(&own, theta, mean, out, raw_variance);
	pfree(arms);
}

void
gr_estimate_cell(const Evaluation *v, const char *arm, const Rule *rule,
			  double n_compared, GrEstimate *out, double *raw_variance,
			  int64 *units, int64 *events)
{
	const ArmData *data = gr_collection_arm(v->c, arm);
	const MetricData *m;

	*out = (GrEstimate) {NAN, NAN, NAN};
	*raw_variance = NAN;
	*units = *events = 0;
	if (data == NULL || data->units == 0)
		return;
	m = &data->metrics[rule->metric];
	*units = data->units;
	*events = data->events;
	if (m->batch)
	{
		if (v->plan->spec->metrics[rule->metric].shape == SHAPE_EVENTS)
			*events = gr_histogram_total(m->pooled.bins, m->pooled.nbins);
		else
			*units = gr_histogram_total(m->pooled.bins, m->pooled.nbins);
		if (m->pooled.nbins > 0)
			estimate_quantile(v, m, &rule->rule, n_compared, out);
		return;
	}
	*units = m->moments.n + m->adjusted.n;
	if (m->adjusted.dim > 0)
		estimate_adjusted(v, m, rule->metric, out, raw_variance);
	else if (m->moments.dim == 2)
		(void) gr_ratio_estimate(&m->moments, out);
	else
		(void) gr_mean_estimate(&m->moments, 0, out);
}

/*
 * Units of the arms compared that carry the metric: those whose value is not 0,
 * of a proportion the fewer of ones and zeros.  NaN for quantiles, and where
 * most units carry it: a dense metric needs no more than min_units.
 */
double
gr_carrying_units(const Evaluation *v, const GrResult *r, const Rule *rule)
{
	const char *names[2] = {r->arm->name, v->control.name};
	double		nonzero = 0,
				zero = 0;

	for (int i = 0; i < (rule->rule.limit_kind == GR_LIMIT_ABSOLUTE ? 1 : 2); i++)
	{
		const ArmData *arm = gr_collection_arm(v->c, names[i]);
		const MetricData *m = arm ? &arm->metrics[rule->metric] : NULL;

		if (m == NULL || m->batch)
			return NAN;
		nonzero += (double) m->nonzero;
		zero += (double) (m->moments.n + m->adjusted.n - m->nonzero);
	}
	if (strcmp(rule->kind, "proportion") == 0)
		return Min(nonzero, zero);
	return nonzero < zero ? nonzero : NAN;
}

/* How many units must carry the metric, for the split of these two arms. */
double
gr_carrying_needed(const GrArm *arm, const GrArm *control, const Rule *rule)
{
	double		s = (double) arm->units / (double) Max(arm->units + control->units, 1);

	if (rule->rule.limit_kind == GR_LIMIT_ABSOLUTE)
		return MIN_CARRYING_SKEWED;
	if (s <= 0 || s >= 1)
		return MIN_CARRYING;
	return ceil(Max(MIN_CARRYING, MIN_CARRYING_SKEWED * (1 - 2 * s) * (1 - 2 * s) / (s * (1 - s))));
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
