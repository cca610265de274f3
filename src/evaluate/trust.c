/*
 * trust.c
 *	  Can the data be trusted?  The split of the units, and values that are
 *	  missing in one arm more than in the other.
 */
#include "evaluate/past.h"

#include <math.h>

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
	appendStringInfo(buf, " units, %.0f too %s in \"%s\"",
					 fabs((double) counts[worst] - total * shares[worst] / sum),
					 (double) counts[worst] > total * shares[worst] / sum ? "many" : "few",
					 worst == 0 ? v->control.name : v->arms[worst - 1].name);
}

/* Unit counts of all arms against the plan; too few units: no test. */
void
gr_test_split(Evaluation *v)
{
	const Experiment *e = v->e;
	int			n = v->narms + 1;
	int64	   *counts = palloc(sizeof(int64) * n);
	double	   *shares = palloc(sizeof(double) * n);
	double		total = 0,
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
		appendStringInfo(&split, "%s\"%s\" " INT64_FORMAT, i ? ", " : "", arm->name, arm->units);
	}
	/* the chi-square approximation wants five expected units everywhere */
	for (int i = 0; i < n; i++)
		enough = enough && total * shares[i] / sum >= 5;
	if (!enough || v->test.surplus_arms)
		v->test.srm_p = v->past->srm_p;
	else
		v->test.srm_p = gr_design_of(e->monitoring)->split_p(counts, shares, n, v->past->srm_p);
	name_culprit(v, &split, counts, shares, total, sum);
	v->test.split = split.data;
}

/* A column's count in each batch: of its NULLs, or of its values that are not finite. */
static const int64 *
missing_of(const ArmData *arm, int column, bool nulls)
{
	return (nulls ? arm->counts.nulls : arm->counts.nonfinite) + column * GR_BATCHES;
}

/* The share of an arm's rows that are so, with its error clustered by batch. */
static bool
missing_share(const ArmData *arm, const int64 *missing, GrEstimate *out)
{
	double		part[GR_BATCHES],
				rows[GR_BATCHES];
	double		sum_part = 0,
				sum_rows = 0,
				se;

	for (int b = 0; b < GR_BATCHES; b++)
	{
		part[b] = (double) missing[b];
		rows[b] = (double) arm->counts.rows[b];
		sum_part += part[b];
		sum_rows += rows[b];
	}
	if (sum_rows == 0 || gr_share_se(part, rows, GR_BATCHES, &se, &out->df) != GR_OK)
		return false;
	out->value = sum_part / sum_rows;
	out->variance = se * se;
	return true;
}

/* p of "both arms' rows lack as many values", and the shares that do; NaN: no test. */
static double
missing_p(ArmData *const arm[2], int column, bool nulls, GrEstimate share[2])
{
	double		pooled,
				z,
				df,
				se;

	for (int i = 0; i < 2; i++)
		if (arm[i] == NULL || !missing_share(arm[i], missing_of(arm[i], column, nulls), &share[i]))
			return NAN;
	if (gr_contrast_statistic(GR_DIFFERENCE, &share[0], &share[1], 0, &z, &df, &se) == GR_OK)
		return Min(1, 2 * gr_t_sf(fabs(z), df));
	/* the same share in all batches of each arm: units are as independent as they can be */
	pooled = (share[0].value * (double) arm[0]->units + share[1].value * (double) arm[1]->units) /
		(double) (arm[0]->units + arm[1]->units);
	z = (share[0].value - share[1].value) /
		sqrt(pooled * (1 - pooled) * (1 / (double) arm[0]->units + 1 / (double) arm[1]->units));
	return isnan(z) ? NAN : Min(1, 2 * gr_normal_sf(fabs(z)));
}

/* NULLs and non-finite values of the rule's expressions in the two arms. */
void
gr_inspect_column(const Evaluation *v, const Rule *rule, GrResult *r)
{
	const CollectSpec *spec = v->plan->spec;
	const Metric *metric = &spec->metrics[rule->metric];
	const char *names[2] = {r->arm->name, v->control.name};
	ArmData    *arm[2];
	int			column[2] = {spec->folds[metric->a].column, -1};

	if (metric->b >= 0 && spec->folds[metric->b].column != column[0])
		column[1] = spec->folds[metric->b].column;
	r->left_out = 0;
	r->null_share_p = r->null_share[0] = r->null_share[1] = r->nonfinite_share_p = NAN;
	r->nulls_left_out = gr_metric_leaves_nulls_out(spec, metric);
	r->missing_share_alpha = v->test.srm_alpha;
	for (int i = 0; i < 2; i++)
	{
		arm[i] = gr_collection_arm(v->c, names[i]);
		for (int k = 0; arm[i] && k < 2 && column[k] >= 0; k++)
			for (int b = 0; b < GR_BATCHES; b++)
				r->left_out += (double) missing_of(arm[i], column[k], false)[b];
		if (arm[i])
			r->left_out += (double) arm[i]->metrics[rule->metric].skipped;
	}
	/* a ratio's two expressions share the alarm */
	for (int k = 0; k < 2 && column[k] >= 0; k++)
	{
		double		tests = column[1] >= 0 ? 2 : 1;
		GrEstimate	share[2];
		double		p = fmin(1, tests * missing_p(arm, column[k], true, share));

		if (isnan(r->null_share_p) || p < r->null_share_p)
		{
			r->null_share_p = p;
			r->null_share[0] = share[0].value;
			r->null_share[1] = share[1].value;
		}
		r->nonfinite_share_p = fmin(r->nonfinite_share_p, fmin(1, tests * missing_p(arm, column[k], false, share)));
	}
}
