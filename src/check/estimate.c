/*
 * estimate.c
 *	  What was collected of one arm, as the estimate of a rule's metric, and
 *	  whether it is enough.
 */
#include "check/past.h"

#include <math.h>

/* Events below q and in all, of each batch that has any; their number. */
static int
quantile_clusters(const MetricData *data, double q, double *below, double *total)
{
	int			n = 0;

	for (int b = 0; b < GR_BATCHES; b++)
	{
		const BinList *list = &data->batch[b];

		if (list->nbins == 0)
			continue;
		total[n] = (double) gr_histogram_total(list->bins, list->nbins);
		below[n++] = gr_histogram_below(list->bins, list->nbins, q);
	}
	return n;
}

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
	int			n = quantile_clusters(data, q, below, total);

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

/* CUPED: the estimate of one arm, with theta and the covariate's mean from all of them. */
static void
estimate_adjusted(const Evaluation *v, const MetricData *m, int metric,
				  GrEstimate *out, double *raw_variance)
{
	GrMoments	own;
	double		mean,
				theta;

	gr_cuped_of(v, metric, &theta, &mean);
	if (all_units(m, mean, &own))
		(void) gr_cuped_estimate(&own, theta, mean, out, raw_variance);
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
	*units = data->units - m->immature;
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

/* Independent events of one arm beyond a rule's quantile. */
static double
tail_observations(const MetricData *m, const GrRule *rule)
{
	double		below[GR_BATCHES],
				total[GR_BATCHES];
	double		q = gr_histogram_quantile(m->pooled.bins, m->pooled.nbins, rule->quantile);
	double		se,
				df;

	if (m->pooled.nbins == 0 ||
		gr_share_se(below, total, quantile_clusters(m, q, below, total), &se, &df) != GR_OK)
		return 0;
	return gr_tail_observations(rule->quantile, se);
}

/* How alike the values are that are not 0, over the arms compared. */
static double
concentration(const MetricData *const *arms, int n)
{
	double		sum = 0,
				squares = 0,
				carrying = 0;

	for (int i = 0; i < n; i++)
	{
		GrMoments	all = arms[i]->moments;
		double		mean;

		/* of a covariate only the value's own moments matter */
		if (arms[i]->adjusted.dim > 0 && arms[i]->adjusted.n > all.n)
			all = arms[i]->adjusted;
		if (all.n == 0)
			continue;
		mean = gr_moments_mean(&all, 0);
		sum += mean * (double) all.n;
		squares += all.product[0] + mean * mean * (double) all.n;
		carrying += (double) arms[i]->nonzero * (double) all.n /
			(double) (arms[i]->moments.n + arms[i]->adjusted.n);
	}
	return sum * sum / (carrying * squares);
}

/*
 * How many units, or events beyond a quantile, carry the metric, and how many
 * must (guard.c).  A metric that most units carry needs no more than min_units.
 */
void
gr_observed_enough(const Evaluation *v, const Rule *rule, const GrArm *control, GrResult *r)
{
	const char *names[2] = {r->arm->name, control->name};
	const MetricData *data[2];
	bool		one_arm = rule->rule.limit_kind == GR_LIMIT_ABSOLUTE;
	double		share = one_arm ? NAN : (double) r->arm->units / (double) (r->arm->units + control->units);
	double		floor = gr_carrying_floor(one_arm);
	double		nonzero = 0,
				zero = 0,
				tail = 0;
	int			n = one_arm ? 1 : 2;

	r->carrying = r->carrying_needed = NAN;
	for (int i = 0; i < n; i++)
	{
		const ArmData *arm = gr_collection_arm(v->c, names[i]);

		if (arm == NULL)
			return;
		data[i] = &arm->metrics[rule->metric];
		nonzero += (double) data[i]->nonzero;
		zero += (double) (data[i]->moments.n + data[i]->adjusted.n - data[i]->nonzero);
		if (data[i]->batch)
			tail += tail_observations(data[i], &rule->rule);
	}
	if (data[0]->batch)
	{
		r->carrying = tail;
		r->carrying_needed = gr_carrying_needed(share, 0, 1);
	}
	else if (gr_rule_is_share(rule))
	{
		r->carrying = Min(nonzero, zero);
		r->carrying_needed = gr_carrying_needed(share, floor, 1);
	}
	else if (nonzero < zero)
	{
		r->carrying = nonzero;
		r->carrying_needed = gr_carrying_needed(share, floor, strcmp(rule->kind, "ratio") != 0 ?
												concentration(data, n) : 1);
	}
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
