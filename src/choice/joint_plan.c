/*
 * joint.c
 *	  The plan of a scan for the joint moments of two rules' unit values.
 *
 * It starts from the experiment's own plan, whose columns it keeps, and collects
 * other metrics over them.
 */
#include "choice/joint_plan.h"

#include <math.h>

#include "catalog/pg_type.h"

static int
add_metric(CollectSpec *spec, const Metric *m)
{
	for (int i = 0; i < spec->nmetrics; i++)
	{
		const Metric *x = &spec->metrics[i];

		if (gr_metric_same(x, m))
			return i;
	}
	if (spec->nmetrics >= GR_MAX_METRICS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the rules have too many pairs for one scan"),
				 errdetail("More than %d products per unit would be needed.", GR_MAX_METRICS),
				 errhint("Split the metrics between two experiments.")));
	spec->metrics[spec->nmetrics] = *m;
	return spec->nmetrics++;
}

/* Over the units that the rule looks at. */
static Metric
plain(const JointRule *r, GrShapeLetter shape, int fold)
{
	Metric		m = gr_metric_make(shape, fold, -1);

	m.mature = r->mature;
	return m;
}

/*
 * The largest value over a unit's events of "the value is positive (negative)": 1,
 * or none.
 */
static int
sign_fold(ScanPlan *plan, int column, bool positive, const char *schema)
{
	CollectSpec *spec = plan->spec;
	const char *value = plan->column_value[column];
	char	   *number;
	int			k = spec->ncolumns;

	if (plan->column_type[column] == BOOLOID)
		number = psprintf("%s::int", value);
	else if (plan->column_type[column] == NUMERICOID)
		number = psprintf("%s._guardrail_number(%s)", schema, value);
	else
		number = psprintf("%s::float8", value);
	value = psprintf("(CASE WHEN %s %s THEN 1 END)", number,
					 plan->column_type[column] == BOOLOID ? (positive ? "> 0" : "< 0") :
					 psprintf(positive ? "> 0 AND %s < 'Infinity'" : "< 0 AND %s > '-Infinity'", number));
	for (int i = 0; i < k; i++)
		if (strcmp(plan->column_value[i], value) == 0 &&
			plan->column_filter[i] == plan->column_filter[column])
			return gr_spec_fold(spec, FOLD_MAX, i);
	if (k >= GR_MAX_COLUMNS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the rules need more than %d different expressions", GR_MAX_COLUMNS),
				 errhint("Split the metrics between two experiments.")));
	plan->column_value[k] = (char *) value;
	plan->column_filter[k] = plan->column_filter[column];
	plan->column_type[k] = INT4OID;
	spec->filtered[k] = spec->filtered[column];
	spec->ncolumns++;
	return gr_spec_fold(spec, FOLD_MAX, k);
}

static JointTerm *
add_term(JointRule *r, Metric left, int variable, int fold)
{
	JointTerm  *t = &r->term[r->nterms++];

	t->left = left;
	t->variable = variable;
	t->fold = fold;
	return t;
}

/* A metric of the experiment's plan, with its folds in the new spec. */
static Metric
carry_over(CollectSpec *spec, const Fold *folds, const Metric *m)
{
	Metric		out = *m;

	out.a = gr_spec_fold(spec, folds[m->a].kind->letter, folds[m->a].column);
	if (m->b >= 0)
		out.b = gr_spec_fold(spec, folds[m->b].kind->letter, folds[m->b].column);
	if (m->mature >= 0)
		out.mature = gr_spec_fold(spec, folds[m->mature].kind->letter, folds[m->mature].column);
	out.covariate = -1;
	return out;
}

/* The numbers per unit behind one rule. */
static void
plan_rule(ScanPlan *plan, const Fold *folds, const Metric *metric, const char *schema, JointRule *r)
{
	CollectSpec *spec = plan->spec;
	bool		capped = gr_metric_is_capped(metric) || !isnan(metric->at_least);
	Metric		own;

	memset(r, 0, sizeof(*r));
	r->negative = r->mature = -1;
	r->why_not = metric->shape->unjoined;
	if (r->why_not)
		return;
	own = carry_over(spec, folds, metric);
	r->mature = own.mature;
	/* the covariate of units that have no value would count */
	if (metric->covariate >= 0 && (metric->shape->may_lack || spec->folds[own.a].kind->starts_unknown))
	{
		r->why_not = "an average or extreme per unit with a covariate has no joint covariance here";
		return;
	}
	if (metric->shape->dim > 1 && !capped)
	{
		add_term(r, plain(r, SHAPE_VALUE, own.a), 0, own.a);
		add_term(r, plain(r, SHAPE_VALUE, own.b), 0, own.b);
	}
	else if (metric->shape->dim > 1)
	{
		add_term(r, own, 0, -1);
		add_term(r, own, 1, -1);
	}
	else if (metric->shape->is_folds && !capped)
		add_term(r, own, 0, own.a);
	else if (metric->shape->is_zero_or_one && !capped)
	{
		Metric		negative = plain(r, SHAPE_POSITIVE,
									 sign_fold(plan, folds[metric->a].column, false, schema));

		add_term(r, own, 0, sign_fold(plan, folds[metric->a].column, true, schema));
		r->negative = add_metric(spec, &negative);
	}
	else
		add_term(r, own, 0, -1);
	if (metric->covariate >= 0)
	{
		int			u = gr_spec_fold(spec, folds[metric->covariate].kind->letter, folds[metric->covariate].column);

		r->has_covariate = true;
		add_term(r, plain(r, SHAPE_VALUE, u), 0, u);
	}
	r->is_right = true;
	for (int t = 0; t < r->nterms; t++)
	{
		r->is_right = r->is_right && r->term[t].fold >= 0;
		r->term[t].alone = add_metric(spec, &r->term[t].left);
	}
}

static void
plan_pair(JointPlan *p, int i, int j)
{
	JointPair  *pair = &p->pairs[i * p->nrules + j];
	const JointRule *a = &p->rules[i];
	const JointRule *b = &p->rules[j];
	bool		swap;

	pair->wanted = true;
	pair->left = pair->right = -1;
	if (a->why_not || b->why_not)
	{
		pair->why_not = a->why_not ? a->why_not : b->why_not;
		return;
	}
	if (a->mature != b->mature)
	{
		pair->why_not = "metrics with different windows have no joint covariance here";
		return;
	}
	if (!a->is_right && !b->is_right)
	{
		pair->why_not = "metrics that are averages per unit, capped, or shares with at_least have no joint covariance with each other here";
		return;
	}
	/* a proportion on the left needs no condition */
	swap = !b->is_right || (b->negative >= 0 && a->is_right && a->negative < 0);
	pair->left = swap ? j : i;
	pair->right = swap ? i : j;
	a = &p->rules[pair->left];
	b = &p->rules[pair->right];
	for (int s = 0; s < a->nterms; s++)
		for (int t = 0; t < b->nterms; t++)
		{
			Metric		m = a->term[s].left;

			m.covariate = b->term[t].fold;
			pair->metric[s][t] = add_metric(p->scan->spec, &m);
		}
}

JointPlan *
gr_joint_plan(Experiment *e, const char *schema, const bool *wanted)
{
	JointPlan  *p = palloc0(sizeof(JointPlan));
	CollectSpec *spec;
	Fold	   *folds;
	Metric	   *metrics;

	p->scan = gr_plan_make(e);
	p->nrules = e->nrules;
	p->rules = palloc0(sizeof(JointRule) * e->nrules);
	p->pairs = palloc0(sizeof(JointPair) * e->nrules * e->nrules);
	spec = p->scan->spec;
	folds = spec->folds;
	metrics = spec->metrics;
	spec->folds = palloc0(sizeof(Fold) * GR_MAX_FOLDS);
	spec->metrics = palloc0(sizeof(Metric) * GR_MAX_METRICS);
	spec->nfolds = spec->nmetrics = 0;
	if (spec->events >= 0)
		spec->events = gr_spec_fold(spec, folds[spec->events].kind->letter, folds[spec->events].column);
	for (int i = 0; i < e->nrules; i++)
	{
		bool		any = false;

		for (int j = 0; j < e->nrules; j++)
			any = any || wanted[Min(i, j) * e->nrules + Max(i, j)];
		if (any)
			plan_rule(p->scan, folds, &metrics[e->rules[i].metric], schema, &p->rules[i]);
	}
	for (int i = 0; i < e->nrules; i++)
		for (int j = i + 1; j < e->nrules; j++)
			if (wanted[i * e->nrules + j])
				plan_pair(p, i, j);
	gr_spec_number(spec);
	return p;
}
