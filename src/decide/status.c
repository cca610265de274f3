/*
 * status.c
 *	  From two estimates and a rule to BREACHED, SAFE, UNDECIDED; to WON, LOST.
 *
 * Everything is oriented by harm: h = effect when worse is higher, -effect
 * otherwise.  A status always comes from a p-value, and the bounds are computed
 * at the level that decided, so that status, p-value and bounds agree.
 */
#include "decide/decide.h"

#include <math.h>
#include <string.h>

GrContrastKind
gr_contrast_of(GrLimitKind kind)
{
	switch (kind)
	{
		case GR_LIMIT_ABSOLUTE:
			return GR_ABSOLUTE;
		case GR_LIMIT_RELATIVE:
			return GR_RELATIVE;
		case GR_LIMIT_DIFFERENCE:
		case GR_LIMIT_SIGNIFICANCE:
			break;
	}
	return GR_DIFFERENCE;
}

double
gr_signed_limit(const GrRule *rule)
{
	double		size = rule->limit_kind == GR_LIMIT_SIGNIFICANCE ? 0 : rule->limit_value;
	bool		towards_higher;

	if (rule->limit_kind == GR_LIMIT_ABSOLUTE)
		return size;
	/* of a guardrail the limit lies on the harmful side, of others on the good */
	towards_higher = (rule->role == GR_GUARDRAIL) == rule->worse_is_higher;
	return towards_higher ? size : -size;
}

/* The statistic of "h = limit", oriented: large is harm (or, for others, good). */
static GrCode
oriented_statistic(const GrResult *r, double margin, bool higher, double *z,
				   double *df, double *se)
{
	GrCode		code = gr_contrast_statistic(gr_contrast_of(r->rule->limit_kind),
											 &r->treatment, &r->control, margin,
											 z, df, se);

	if (!higher)
		*z = -*z;
	return code;
}

static void
set_bounds(GrResult *r, double alpha_lower, double alpha_upper, double df)
{
	GrContrastKind kind = gr_contrast_of(r->rule->limit_kind);
	double		unused;

	r->level_lower = alpha_lower;
	r->level_upper = alpha_upper;
	(void) gr_contrast_bounds(kind, &r->treatment, &r->control,
							  gr_t_isf(alpha_lower, df), &r->lower, &unused);
	(void) gr_contrast_bounds(kind, &r->treatment, &r->control,
							  gr_t_isf(alpha_upper, df), &unused, &r->upper);
}

/*
 * First pass: effect and unadjusted p-values.  False when nothing can be tested
 * (the status is then final).
 */
static bool
estimate_result(GrResult *r, const GrArm *control, const GrTestState *test)
{
	const GrRule *rule = r->rule;
	double		margin = gr_signed_limit(rule);
	double		z,
				df;

	r->effect = gr_effect(gr_contrast_of(rule->limit_kind), &r->treatment, &r->control);
	r->se = r->p_breach = r->p_breach_adjusted = r->p_safe = NAN;
	r->p_value = r->p_value_adjusted = r->units_needed = NAN;
	r->level_lower = r->level_upper = rule->role == GR_GUARDRAIL ? rule->alpha : rule->alpha / 2;
	r->lower = -INFINITY;
	r->upper = INFINITY;
	r->status = GR_UNDECIDED;
	if (r->arm->units == 0 || isnan(r->treatment.value) ||
		(rule->limit_kind != GR_LIMIT_ABSOLUTE &&
		 (control->units == 0 || isnan(r->control.value))))
	{
		r->status = GR_NO_DATA;
		return false;
	}
	if (oriented_statistic(r, margin, rule->worse_is_higher, &z, &df, &r->se) != GR_OK)
		return false;
	if (rule->role == GR_GUARDRAIL && rule->evidence != GR_POINT)
	{
		r->p_breach = gr_t_sf(z, df);
		r->p_safe = gr_t_cdf(z, df);
	}
	else if (rule->role != GR_GUARDRAIL)
		r->p_value = fmin(1, 2 * gr_t_sf(fabs(z), df));
	return r->arm->units >= test->min_units &&
		(rule->limit_kind == GR_LIMIT_ABSOLUTE || control->units >= test->min_units);
}

/* A point rule: the estimate alone. */
static void
decide_point(GrResult *r)
{
	double		margin = gr_signed_limit(r->rule);

	if (isnan(r->effect))
		return;
	r->status = (r->rule->worse_is_higher ? r->effect > margin : r->effect < margin) ?
		GR_BREACHED : GR_IS_SAFE;
}

/* Bounds and status of a guardrail whose p-values are final. */
static void
decide_guardrail(GrResult *r, double divisor, int narms, bool over)
{
	const GrRule *rule = r->rule;
	double		breach_alpha = rule->alpha / divisor;
	double		safe_alpha = rule->alpha / narms;
	double		margin = gr_signed_limit(rule);
	double		z,
				df;

	if (oriented_statistic(r, margin, rule->worse_is_higher, &z, &df, &r->se) != GR_OK)
		return;
	if (rule->worse_is_higher)
		set_bounds(r, breach_alpha, safe_alpha, df);
	else
		set_bounds(r, safe_alpha, breach_alpha, df);
	if (!over)
	{
		/* before its end a fixed test has estimates, no conclusions */
		r->p_breach = r->p_breach_adjusted = r->p_safe = NAN;
		return;
	}
	if (r->p_breach_adjusted <= rule->alpha)
		r->status = GR_BREACHED;
	else if (r->p_safe <= safe_alpha)
		r->status = GR_IS_SAFE;
}

/* A primary or secondary: WON beyond its limit, LOST when worse than zero. */
static void
decide_goal(GrResult *r, double divisor, bool over)
{
	const GrRule *rule = r->rule;
	double		alpha = rule->alpha / divisor;
	double		margin = gr_signed_limit(rule);
	double		z,
				df,
				se;

	if (oriented_statistic(r, margin, !rule->worse_is_higher, &z, &df, &se) != GR_OK)
		return;
	set_bounds(r, alpha / 2, alpha / 2, df);
	if (!over)
	{
		r->p_value = r->p_value_adjusted = NAN;
		return;
	}
	if (r->p_value_adjusted <= rule->alpha && z > 0)
		r->status = GR_WON;
	else if (rule->limit_kind != GR_LIMIT_ABSOLUTE &&
			 oriented_statistic(r, 0, rule->worse_is_higher, &z, &df, &se) == GR_OK &&
			 2 * gr_t_sf(z, df) <= alpha)
		r->status = GR_LOST;
}

/*
 * Units of the treatment arm still needed for a conclusion with power 0.8, if
 * the truth is no harm (a guardrail; its safety proof) or the estimate (others).
 */
static void
set_units_needed(GrResult *r)
{
	const GrRule *rule = r->rule;
	double		margin = gr_signed_limit(rule);
	double		truth,
				alpha,
				factor;

	if (r->status != GR_UNDECIDED || !(r->se > 0) || !isfinite(r->se))
		return;
	if (rule->role == GR_GUARDRAIL)
	{
		truth = rule->limit_kind == GR_LIMIT_ABSOLUTE ? r->effect : 0;
		alpha = rule->worse_is_higher ? r->level_upper : r->level_lower;
	}
	else
	{
		truth = r->effect;
		alpha = r->level_lower;
	}
	if (truth == margin)
		return;
	factor = (gr_normal_isf(alpha) + gr_normal_isf(0.2)) * r->se / (truth - margin);
	factor = factor * factor;
	if (factor > 1 && factor < 1e9)
		r->units_needed = ceil((factor - 1) * (double) r->arm->units);
}

/* Tests that are adjusted together: guardrails that block, or the primary. */
static bool
in_family(const GrResult *r, bool testable, GrRole role)
{
	if (!testable || r->rule->role != role)
		return false;
	if (role == GR_PRIMARY)
		return !isnan(r->p_value);
	return r->rule->severity == GR_BLOCK && !isnan(r->p_breach);
}

/* Adjust one family; divisor[] and adjusted go back to each member. */
static void
adjust_family(GrResult *results, int n, const bool *testable, GrRole role,
			  const GrTestState *test, GrScratch *s)
{
	int			k = 0;

	for (int i = 0; i < n; i++)
	{
		if (!in_family(&results[i], testable[i], role))
			continue;
		s->member[k] = i;
		s->p[k] = role == GR_PRIMARY ? results[i].p_value : results[i].p_breach;
		s->alpha[k++] = results[i].rule->alpha;
	}
	if (k == 0 || gr_p_adjust_divisor(s->p, s->alpha, k, test->correction,
									  s->divisor, s->adjusted, s->order) != GR_OK)
		return;
	for (int j = 0; j < k; j++)
	{
		GrResult   *r = &results[s->member[j]];

		s->of_result[s->member[j]] = s->divisor[j];
		if (role == GR_PRIMARY)
			r->p_value_adjusted = s->adjusted[j];
		else
			r->p_breach_adjusted = s->adjusted[j];
	}
}

void
gr_decide_results(GrResult *results, int narms, int nrules,
				  const GrArm *control, const GrTestState *test,
				  GrScratch *scratch)
{
	int			n = narms * nrules;
	double	   *divisors = scratch->of_result;
	bool	   *testable = scratch->testable;

	for (int i = 0; i < n; i++)
	{
		GrResult   *r = &results[i];

		divisors[i] = 1;
		testable[i] = estimate_result(r, control, test);
		r->p_breach_adjusted = r->p_breach;
		r->p_value_adjusted = r->p_value;
	}
	adjust_family(results, n, testable, GR_GUARDRAIL, test, scratch);
	adjust_family(results, n, testable, GR_PRIMARY, test, scratch);
	for (int i = 0; i < n; i++)
	{
		GrResult   *r = &results[i];
		bool		over = test->over && testable[i];
		bool		enough = r->arm->units >= test->min_units &&
			(control->units >= test->min_units ||
			 r->rule->limit_kind == GR_LIMIT_ABSOLUTE);

		if (r->status == GR_NO_DATA)
			;
		else if (r->rule->role != GR_GUARDRAIL)
			decide_goal(r, divisors[i], over);
		else if (r->rule->evidence != GR_POINT)
			decide_guardrail(r, divisors[i], narms, over);
		else if (enough)
			decide_point(r);
		set_units_needed(r);
		gr_reason_of_result(r, control, test);
	}
}
