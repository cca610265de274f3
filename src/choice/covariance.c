/*
 * covariance.c
 *	  The joint covariance of two metrics' effects, from one more scan.
 *
 * To first order the value of a metric in an arm is a mean over units of numbers
 * that are linear in what was collected per unit (Deng, Knoblich and Lu 2018 for
 * ratios; CUPED subtracts theta times the covariate).  The covariance of two
 * values is the sum over units of the products of these numbers, each centred,
 * over sqrt(n1 (n1 - 1) n2 (n2 - 1)), n1 and n2 the units that have the metric:
 * for one and the same metric its variance, for two over the same units
 * covar_samp / n.  Arms are independent.
 */
#include "choice/choice.h"
#include "base/put.h"

#include <math.h>

#include "executor/spi.h"
#include "miscadmin.h"

PG_FUNCTION_INFO_V1(guardrail_covariance);

/* A term of a rule in an arm: coefficient * (number - centre). */
typedef struct Centred
{
	double		coefficient;
	double		centre;			/* mean over the units that have the metric */
	double		fill;			/* number of units without one; NaN: they do not count */
} Centred;

Joint *
gr_joint_collect(const Evaluation *v, const char *schema, const bool *wanted, MemoryContext context)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	Joint	   *joint = palloc0(sizeof(Joint));
	OwnerContext saved;

	gr_owner_enter(&saved, v->e->owner);
	joint->plan = gr_joint_plan(v->e, schema, wanted);
	gr_owner_leave(&saved);
	if (joint->plan->scan->spec->nmetrics > 0)
		joint->c = gr_collect(v->e, joint->plan->scan, schema, context);
	MemoryContextSwitchTo(old);
	return joint;
}

/* The terms of rule k in an arm; the number of units that have the metric. */
static double
centre_terms(const Evaluation *v, const Joint *joint, const ArmData *arm, int k, Centred *out)
{
	const JointRule *rule = &joint->plan->rules[k];
	int			nvalues = rule->nterms - rule->has_covariate;
	double		n = 0;

	for (int t = 0; t < nvalues; t++)
	{
		const JointTerm *term = &rule->term[t];
		const GrMoments *m = &arm->metrics[term->alone].moments;

		n = (double) m->n;
		/* the fold on the right of a proportion: no positive value is 0 */
		out[t] = (Centred) {1, gr_moments_mean(m, term->variable), rule->negative >= 0 ? 0 : NAN};
	}
	if (nvalues == 2)
	{
		double		ratio = out[0].centre / out[1].centre;

		out[0].coefficient = 1 / out[1].centre;
		out[1].coefficient = -ratio / out[1].centre;
	}
	if (rule->has_covariate)
	{
		const GrMoments *m = &arm->metrics[rule->term[nvalues].alone].moments;
		double		theta,
					pooled;

		gr_cuped_of(v, v->e->rules[k].metric, &theta, &pooled);
		out[nvalues] = (Centred) {-theta, pooled, pooled};
		if (m->n > 0)
			out[nvalues].centre += (double) m->n / n * (gr_moments_mean(m, 0) - pooled);
	}
	return n;
}

/*
 * The sum over units of the products of two centred numbers.  Units without the
 * right one have its fill.  Of units without the left one only their sum on the
 * right is needed, which is minus that of the others.
 */
static double
cross_sum(const MetricData *data, const JointTerm *left, bool left_fills, const Centred *x, const Centred *y)
{
	GrMoments	both = data->adjusted;
	GrMoments	rest;
	int			last = both.dim - 1;
	double		shift;

	if (!isnan(y->fill) && data->moments.n > 0 &&
		!(gr_moments_extend(&data->moments, y->fill, &rest) && gr_moments_merge(&both, &rest)))
		return NAN;
	if (both.n == 0)
		return 0;
	shift = gr_moments_mean(&both, left->variable) - (left_fills ? x->fill : x->centre);
	return (both.n > 1 ? gr_moments_cov(&both, left->variable, last) * (double) (both.n - 1) : 0) +
		(double) both.n * shift * (gr_moments_mean(&both, last) - y->centre);
}

/* The covariance of the two values in one arm. */
static double
arm_covariance(const Evaluation *v, const Joint *joint, const JointPair *pair, const char *name)
{
	const ArmData *arm = gr_collection_arm(joint->c, name);
	const JointRule *left = &joint->plan->rules[pair->left];
	const JointRule *right = &joint->plan->rules[pair->right];
	Centred		x[GR_JOINT_TERMS],
				y[GR_JOINT_TERMS];
	double		sum = 0,
				nx,
				ny;

	if (arm == NULL)
		return NAN;
	nx = centre_terms(v, joint, arm, pair->left, x);
	ny = centre_terms(v, joint, arm, pair->right, y);
	if (nx < 2 || ny < 2)
		return NAN;
	for (int s = 0; s < left->nterms; s++)
		for (int t = 0; t < right->nterms; t++)
			sum += x[s].coefficient * y[t].coefficient *
				cross_sum(&arm->metrics[pair->metric[s][t]], &left->term[s],
						  left->has_covariate && s == left->nterms - 1, &x[s], &y[t]);
	return sum / sqrt(nx * (nx - 1)) / sqrt(ny * (ny - 1));
}

GrContrastKind
gr_joint_contrast(const GrRule *rule)
{
	return rule->limit_kind == GR_LIMIT_RELATIVE ? GR_RELATIVE : GR_DIFFERENCE;
}

/* Units whose values have both signs. */
static bool
has_negative(const Joint *joint, const JointRule *rule)
{
	for (int a = 0; rule->negative >= 0 && a < joint->c->narms; a++)
		if (joint->c->arms[a].metrics[rule->negative].nonzero > 0)
			return true;
	return false;
}

JointEffect
gr_joint_effect(const Evaluation *v, const Joint *joint, int a, int i, int j)
{
	const int	k[2] = {i, j};
	const JointPair *pair = &joint->plan->pairs[i * joint->plan->nrules + j];
	GrGradient	g[2];
	JointEffect out = {{NAN, NAN}, {NAN, NAN}, NAN, pair->why_not};

	for (int s = 0; s < 2; s++)
	{
		const GrResult *r = &v->results[a * v->e->nrules + k[s]];
		GrContrastKind kind = gr_joint_contrast(r->rule);

		g[s] = gr_effect_gradient(kind, r->treatment.value, r->control.value);
		out.effect[s] = gr_effect(kind, &r->treatment, &r->control);
		out.variance[s] = g[s].t * g[s].t * r->treatment.variance + g[s].c * g[s].c * r->control.variance;
		if (!isfinite(out.variance[s]) && out.why_not == NULL)
			out.why_not = psprintf("%.100s has no variance in one of the variants", r->rule->metric);
	}
	if (out.why_not)
		return out;
	if (has_negative(joint, &joint->plan->rules[pair->right]))
	{
		out.why_not = psprintf("%.100s is a proportion over values of both signs, which has no joint covariance here",
							   v->e->rules[pair->right].rule.metric);
		return out;
	}
	out.covariance = g[0].t * g[1].t * arm_covariance(v, joint, pair, v->arms[a].name) +
		g[0].c * g[1].c * arm_covariance(v, joint, pair, v->control.name);
	if (!isfinite(out.covariance))
	{
		out.covariance = NAN;
		out.why_not = "one of the variants has too few units";
	}
	return out;
}

/* guardrail_covariance(experiment) */
Datum
guardrail_covariance(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *schema;
	Evaluation *v;
	Joint	   *joint;
	bool	   *wanted;
	int			n;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	v = gr_evaluate_argument(fcinfo, context, &schema);
	n = v->e->nrules;
	wanted = palloc0(sizeof(bool) * n * n);
	for (int i = 0; i < n; i++)
		for (int j = i + 1; j < n; j++)
			wanted[i * n + j] = true;
	joint = gr_joint_collect(v, schema, wanted, context);
	SPI_finish();
	InitMaterializedSRF(fcinfo, 0);
	for (int a = 0; a < v->narms; a++)
		for (int pair = 0; pair < n * n; pair++)
		{
			int			i = pair / n,
						j = pair % n;
			Writer		w = {0};
			JointEffect e;

			CHECK_FOR_INTERRUPTS();
			if (i >= j)
				continue;
			e = gr_joint_effect(v, joint, a, i, j);
			put_text(&w, "experiment_id", v->e->id);
			put_text(&w, "variant", v->arms[a].name);
			put_text(&w, "metric", v->e->rules[i].rule.metric);
			put_text(&w, "other", v->e->rules[j].rule.metric);
			for (int s = 0; s < 2; s++)
			{
				put_number(&w, s ? "other_effect" : "effect", e.effect[s]);
				put_number(&w, s ? "other_variance" : "variance", finite_or_nan(e.variance[s]));
			}
			put_number(&w, "covariance", e.covariance);
			put_number(&w, "correlation", finite_or_nan(e.covariance / sqrt(e.variance[0]) / sqrt(e.variance[1])));
			put_text(&w, "reason", e.why_not);
			gr_put_row(fcinfo, &w);
		}
	return (Datum) 0;
}
