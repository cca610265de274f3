/*
 * evaluate.c
 *	  From a collection to results and verdicts: the glue between what was
 *	  counted and the decisions of src/decide.
 */
#include "check/past.h"

#include <math.h>

#include "catalog/objectaddress.h"
#include "miscadmin.h"

/* Concentration of the prior of the sequential test of the split. */
#define SRM_PRIOR 10000

/*
 * Units that must carry a metric before a normal approximation speaks, and the
 * same for a split that is not even, where the difference of two means is skewed
 * by |1 - 2s| / sqrt(s (1 - s) units).  Found by simulation: doc/simulation.md.
 */
#define MIN_CARRYING 30
#define MIN_CARRYING_SKEWED 200

static int
compare_names(const void *a, const void *b)
{
	return strcmp(((const GrArm *) a)->name, ((const GrArm *) b)->name);
}

static void
fill_arm(GrArm *arm, const Collection *c, const char *name)
{
	const ArmData *data = gr_collection_arm((Collection *) c, name);

	arm->name = name;
	arm->units = data ? data->units : 0;
	arm->events = data ? data->events : 0;
}

/* The treatment arms: planned, or seen; by name. */
static void
find_arms(Evaluation *v)
{
	const Experiment *e = v->e;
	int			n = e->narms > 0 ? e->narms : v->c->narms;

	fill_arm(&v->control, v->c, e->control);
	v->arms = palloc0(sizeof(GrArm) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		const char *name = e->narms > 0 ? e->arms[i] : v->c->arms[i].name;

		if (strcmp(name, e->control) != 0)
			fill_arm(&v->arms[v->narms++], v->c, name);
	}
	qsort(v->arms, v->narms, sizeof(GrArm), compare_names);
}

/* The arm that is furthest from its share, in words. */
static void
name_culprit(const Evaluation *v, StringInfo buf, const int64 *counts,
			 const double *shares, double total, double sum)
{
	int			worst = 0;
	double		largest = -1;

	for (int i = 0; i <= v->narms; i++)
	{
		double		expected = total * shares[i] / sum;
		double		z = fabs((double) counts[i] - expected) / sqrt(Max(expected, 1));

		/* of two that are equally far, the one that lost units */
		if ((double) counts[i] < expected)
			z *= 1 + 1e-9;
		if (z > largest)
		{
			largest = z;
			worst = i;
		}
	}
	appendStringInfo(buf, " units, %.0f too %s in %s",
					 fabs((double) counts[worst] - total * shares[worst] / sum),
					 (double) counts[worst] > total * shares[worst] / sum ? "many" : "few",
					 worst == 0 ? v->control.name : v->arms[worst - 1].name);
}

/* Unit counts of all arms against the plan; too few units: no test. */
static void
test_split(Evaluation *v)
{
	const Experiment *e = v->e;
	int			n = v->narms + 1;
	int64	   *counts = palloc(sizeof(int64) * n);
	double	   *shares = palloc(sizeof(double) * n);
	double		statistic,
				df,
				total = 0,
				sum = 0;
	StringInfoData split;
	bool		enough = n >= 2;

	initStringInfo(&split);
	v->test.srm_p = NAN;
	v->test.total_units = 0;
	for (int i = 0; i < n; i++)
	{
		const GrArm *arm = i == 0 ? &v->control : &v->arms[i - 1];

		counts[i] = arm->units;
		shares[i] = 1;
		for (int k = 0; k < e->narms; k++)
			if (strcmp(e->arms[k], arm->name) == 0)
				shares[i] = e->shares[k];
		total += (double) counts[i];
		sum += shares[i];
		v->test.total_units += counts[i];
		appendStringInfo(&split, "%s%s " INT64_FORMAT, i ? ", " : "", arm->name, arm->units);
	}
	/* the chi-square approximation wants five expected units everywhere */
	for (int i = 0; i < n; i++)
		enough = enough && total * shares[i] / sum >= 5;
	if (!enough)
		v->test.srm_p = v->past->srm_p;
	else if (e->monitoring == GR_FIXED)
		(void) gr_srm(counts, shares, n, &statistic, &df, &v->test.srm_p);
	else
	{
		double		log_e;

		v->test.srm_p = 1;
		if (gr_srm_sequential(counts, shares, n, SRM_PRIOR, true, &log_e) == GR_OK)
			v->test.srm_p = Min(1, exp(-log_e));
		if (v->past->srm_p < v->test.srm_p)
			v->test.srm_p = v->past->srm_p;
	}
	name_culprit(v, &split, counts, shares, total, sum);
	v->test.split = split.data;
}

/*
 * Power pays for SHIP's many proofs (Schultzberg, Ankargren and Franberg 2024):
 * beta* = (beta - sum of alarm levels) / (safety proofs + 1), at beta = 0.2.
 */
static double
planned_beta(const Experiment *e)
{
	double		alarms = 0;
	double		largest = 0;
	int			proofs = 0;

	for (int k = 0; k < e->nrules; k++)
	{
		const GrRule *rule = &e->rules[k].rule;

		if (rule->role != GR_GUARDRAIL || rule->evidence == GR_POINT || rule->severity == GR_WARN)
			continue;
		proofs += (rule->evidence == GR_SAFE);
		if (rule->severity == GR_BLOCK)
		{
			alarms += rule->alpha;
			largest = Max(largest, rule->alpha);
		}
	}
	if (e->correction != GR_ADJUST_NONE)
		alarms = largest;
	return Max(0.01, (0.2 - alarms) / (proofs + 1));
}

static void
fill_test(Evaluation *v)
{
	const Experiment *e = v->e;
	GrTestState *t = &v->test;

	t->correction = e->correction;
	t->srm_alpha = e->srm_alpha;
	t->max_crossover = e->max_crossover;
	t->min_units = e->min_units;
	t->planned_units = e->planned_units;
	t->crossover_units = v->c->crossover_units;
	test_split(v);
	t->over = e->monitoring != GR_FIXED ||
		(t->planned_units > 0 && t->total_units >= t->planned_units) ||
		e->ended || strcmp(e->state, "stopped") == 0;
	t->beta = planned_beta(e);
	t->monitor = &v->monitor;
	for (int i = 0; i < e->nrules; i++)
		t->has_primary |= (e->rules[i].rule.role == GR_PRIMARY);
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

static void
estimate_cell(const Evaluation *v, const char *arm, const Rule *rule,
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

/* The share of a column's rows that are NULL, with its error clustered by batch. */
static bool
null_share(const ArmData *arm, int column, GrEstimate *out)
{
	double		nulls[GR_BATCHES],
				rows[GR_BATCHES];
	double		sum_nulls = 0,
				sum_rows = 0,
				se;

	for (int b = 0; b < GR_BATCHES; b++)
	{
		nulls[b] = (double) arm->counts.nulls[column * GR_BATCHES + b];
		rows[b] = (double) arm->counts.rows[b];
		sum_nulls += nulls[b];
		sum_rows += rows[b];
	}
	if (sum_rows == 0 || gr_share_se(nulls, rows, GR_BATCHES, &se, &out->df) != GR_OK)
		return false;
	out->value = sum_nulls / sum_rows;
	out->variance = se * se;
	return true;
}

/* NULLs and non-finite values of the rule's expression in the two arms. */
static void
inspect_column(const Evaluation *v, const Rule *rule, GrResult *r)
{
	const CollectSpec *spec = v->plan->spec;
	const Metric *metric = &spec->metrics[rule->metric];
	int			column = spec->folds[metric->a].column;
	const char *names[2] = {r->arm->name, v->control.name};
	GrEstimate	share[2];
	bool		known = true;
	double		z,
				df,
				se;

	r->left_out = 0;
	r->null_share_p = NAN;
	r->null_share_alpha = v->test.srm_alpha;
	for (int i = 0; i < 2; i++)
	{
		const ArmData *arm = gr_collection_arm(v->c, names[i]);

		if (arm == NULL)
		{
			known = false;
			continue;
		}
		for (int b = 0; b < GR_BATCHES; b++)
			r->left_out += (double) arm->counts.nonfinite[column * GR_BATCHES + b];
		r->left_out += (double) arm->metrics[rule->metric].skipped;
		known = known && null_share(arm, column, &share[i]);
	}
	if (known && gr_contrast_statistic(GR_DIFFERENCE, &share[0], &share[1], 0, &z, &df, &se) == GR_OK)
		r->null_share_p = Min(1, 2 * gr_t_sf(fabs(z), df));
}

/*
 * Units of the arms compared that carry the metric: those whose value is not 0,
 * of a proportion the fewer of ones and zeros.  NaN for quantiles, and where
 * most units carry it: a dense metric needs no more than min_units.
 */
static double
carrying_units(const Evaluation *v, const GrResult *r, const Rule *rule)
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
static double
carrying_needed(const GrArm *arm, const GrArm *control, const Rule *rule)
{
	double		s = (double) arm->units / (double) Max(arm->units + control->units, 1);

	if (rule->rule.limit_kind == GR_LIMIT_ABSOLUTE)
		return MIN_CARRYING_SKEWED;
	if (s <= 0 || s >= 1)
		return MIN_CARRYING;
	return ceil(Max(MIN_CARRYING, MIN_CARRYING_SKEWED * (1 - 2 * s) * (1 - 2 * s) / (s * (1 - s))));
}

/* What the metric's unit totals were capped at; NaN: nothing. */
static double
cap_of(const Evaluation *v, const char *name, const Rule *rule)
{
	const ArmData *arm = gr_collection_arm(v->c, name);

	if (arm == NULL || !gr_metric_is_capped(&v->plan->spec->metrics[rule->metric]))
		return NAN;
	return isfinite(arm->metrics[rule->metric].cap[0]) ? arm->metrics[rule->metric].cap[0] : NAN;
}

/* What earlier checks of the plan left for this arm and metric. */
static void
recall(const Past *past, GrResult *r)
{
	const PastResult *p = gr_past_result(past, r->arm->name, r->rule->metric);

	if (p == NULL)
		return;
	memcpy(r->past, p->test, sizeof(r->past));
	r->latched = p->breached && !(r->rule->role == GR_GUARDRAIL && r->rule->evidence == GR_POINT);
}

/* Has the control and at least one other arm enough units to look at? */
static bool
enough_to_look(const Evaluation *v)
{
	for (int a = 0; a < v->narms; a++)
		if (v->arms[a].units >= v->test.min_units && v->control.units >= v->test.min_units)
			return true;
	return false;
}

static void
decide(Evaluation *v)
{
	const Experiment *e = v->e;
	int			n = v->narms * e->nrules;
	GrScratch	s;

	v->results = palloc_extended(sizeof(GrResult) * Max(n, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	v->counts = palloc0(sizeof(CellCounts) * Max(n, 1));
	v->verdicts = palloc0(sizeof(GrArmVerdict) * Max(v->narms, 1));
	for (int a = 0; a < v->narms; a++)
		for (int k = 0; k < e->nrules; k++)
		{
			GrResult   *r = &v->results[a * e->nrules + k];
			CellCounts *c = &v->counts[a * e->nrules + k];

			CHECK_FOR_INTERRUPTS();
			double		n_compared = (double) v->arms[a].units;
			double		raw[2];

			if (e->rules[k].rule.limit_kind != GR_LIMIT_ABSOLUTE)
				n_compared += (double) v->control.units;
			r->rule = &e->rules[k].rule;
			r->arm = &v->arms[a];
			estimate_cell(v, v->control.name, &e->rules[k], n_compared, &r->control, &raw[0],
						  &c->units_control, &c->events_control);
			estimate_cell(v, v->arms[a].name, &e->rules[k], n_compared, &r->treatment, &raw[1],
						  &c->units_treatment, &c->events_treatment);
			r->variance_removed = 1 - (r->control.variance + r->treatment.variance) / (raw[0] + raw[1]);
			r->cap = cap_of(v, r->arm->name, &e->rules[k]);
			r->carrying = carrying_units(v, r, &e->rules[k]);
			r->carrying_needed = carrying_needed(r->arm, &v->control, &e->rules[k]);
			inspect_column(v, &e->rules[k], r);
			recall(v->past, r);
		}
	s.p = palloc(sizeof(double) * Max(n, 1));
	s.alpha = palloc(sizeof(double) * Max(n, 1));
	s.adjusted = palloc(sizeof(double) * Max(n, 1));
	s.divisor = palloc(sizeof(double) * Max(n, 1));
	s.order = palloc(sizeof(int) * Max(n, 1));
	s.member = palloc(sizeof(int) * Max(n, 1));
	s.of_result = palloc(sizeof(double) * Max(n, 1));
	s.testable = palloc(sizeof(bool) * Max(n, 1));
	gr_decide_results(v->results, v->narms, e->nrules, &v->control, &v->test, &s);
	for (int a = 0; a < v->narms; a++)
		gr_decide_verdict(v->results + a * e->nrules, e->nrules, &v->arms[a],
						  &v->control, &v->test, &v->verdicts[a]);
}

Evaluation *
gr_evaluate(Oid function, const char *id, bool recorded, MemoryContext context)
{
	char	   *schema = gr_schema_of_function(function);
	Experiment *e;
	OwnerContext saved;
	MemoryContext old;
	Evaluation *v;

	if (recorded)
		gr_writer_enter(&saved, function);
	e = gr_experiment_load(schema, id, context);
	if (recorded)
		gr_owner_leave(&saved);
	(void) gr_relation_name(e->events);
	/* live results are only for who may read the events himself */
	if (!recorded && pg_class_aclcheck(e->events, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(get_rel_relkind(e->events)),
					   get_rel_name(e->events));
	old = MemoryContextSwitchTo(context);
	v = palloc0(sizeof(Evaluation));
	v->e = e;
	gr_owner_enter(&saved, e->owner);
	v->plan = gr_plan_make(e);
	gr_owner_leave(&saved);
	v->c = gr_collect(e, v->plan, schema, context);
	e->function = function;
	v->past = gr_past_load(schema, e, context);
	find_arms(v);
	fill_test(v);
	gr_monitor_setup(&v->monitor, schema, e, v->past, &v->test, enough_to_look(v), v->narms);
	decide(v);
	MemoryContextSwitchTo(old);
	return v;
}

const char *
gr_worst_status(const Evaluation *v)
{
	static const char *const order[] = {"INVALID", "BLOCK", "NO DATA", "OK", NULL};

	for (int k = 0; order[k]; k++)
		for (int a = 0; a < v->narms; a++)
			if (strncmp(v->verdicts[a].status, order[k], strlen(order[k])) == 0)
				return v->verdicts[a].status;
	return "NO DATA";
}
