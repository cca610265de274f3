/*
 * status.c
 *	  From two estimates and a rule to BREACHED, SAFE, UNDECIDED; to WON, LOST.
 *
 * Everything is oriented by harm: h = effect when worse is higher, -effect
 * otherwise.  A status comes from a p-value, which under a sequential design is
 * the running minimum over the recorded checks, and the bounds are computed at
 * the level that decided, from this evaluation and from the check that set the
 * minimum, whichever is tighter: so status, p-value and bounds agree.
 */
#include "decide/decide.h"

#include <math.h>
#include <string.h>

static bool
is_tested(const GrRule *rule, GrTestKind kind)
{
	if (kind == GR_TEST_GOAL)
		return rule->role != GR_GUARDRAIL;
	return rule->role == GR_GUARDRAIL && rule->evidence != GR_POINT;
}

/* Which way the effect lies beyond the limit where a kind of test finds something. */
static int
direction_of(const GrRule *rule, GrTestKind kind)
{
	return rule->worse_is_higher == (kind == GR_TEST_BREACH) ? 1 : -1;
}

static GrTested
tested_in_past(const GrRule *rule, const GrPast *past)
{
	return (GrTested) {gr_contrast_of(rule->limit_kind), past->treatment, past->control, past->at};
}

/* Is what is known of this evaluation fit for such a claim? */
static bool
may_claim(const GrResult *r, GrTestKind kind)
{
	return kind == GR_TEST_BREACH || gr_obstacle_allows_claims(r->obstacle);
}

/* This evaluation's p-value of a test into the running minimum. */
static double
running_p(GrResult *r, GrTestKind kind, const GrTestState *test)
{
	const GrPast *past = &r->past[kind];
	double		p = NAN;

	if (r->usable && may_claim(r, kind))
	{
		GrSample	t,
					c;
		GrTested	x = gr_tested_of(r, &t, &c);

		p = gr_test_p(test->monitor, kind, &x, gr_signed_limit(r->rule), direction_of(r->rule, kind), NULL);
	}
	r->is_witness[kind] = !isnan(p) && (!past->known || p <= past->p);
	return past->known && !r->is_witness[kind] ? past->p : p;
}

static bool
has_data(const GrResult *r, const GrArm *control)
{
	if (r->arm->units == 0 || isnan(r->treatment.value))
		return false;
	return r->rule->limit_kind == GR_LIMIT_ABSOLUTE ||
		(control->units > 0 && !isnan(r->control.value));
}

static bool
has_enough_units(const GrResult *r, const GrArm *control, const GrTestState *test)
{
	return gr_mature_units(r) >= test->min_units &&
		(r->rule->limit_kind == GR_LIMIT_ABSOLUTE || gr_mature_control(r, control) >= test->min_units);
}

/* First pass: effect, and p-values before any correction. */
static void
estimate_result(GrResult *r, const GrArm *control, const GrTestState *test)
{
	const GrRule *rule = r->rule;
	const GrMonitor *m = test->monitor;
	double		z,
				df;

	r->effect = gr_effect(gr_contrast_of(rule->limit_kind), &r->treatment, &r->control);
	r->se = r->p_breach = r->p_safe = r->p_value = r->units_needed = NAN;
	r->level_lower = r->level_upper = rule->role == GR_GUARDRAIL ? rule->alpha : rule->alpha / 2;
	r->lower = -INFINITY;
	r->upper = INFINITY;
	r->status = r->failure ? GR_UNMEASURED : has_data(r, control) ? GR_UNDECIDED : GR_NO_DATA;
	r->at.look = m->nlooks;
	r->at.alpha = rule->alpha;
	r->at.n = (double) gr_mature_units(r) +
		(rule->limit_kind == GR_LIMIT_ABSOLUTE ? 0 : (double) gr_mature_control(r, control));
	r->at.df = NAN;
	memset(r->is_witness, 0, sizeof(r->is_witness));
	r->enough_units = has_enough_units(r, control, test);
	r->usable = r->status == GR_UNDECIDED && r->enough_units && !gr_monitor_awaits_look(m);
	(void) gr_contrast_statistic(gr_contrast_of(rule->limit_kind), &r->treatment, &r->control,
								 gr_signed_limit(rule), &z, &df, &r->se);
	gr_find_obstacle(r);
	if (is_tested(rule, GR_TEST_BREACH))
	{
		r->p_breach = running_p(r, GR_TEST_BREACH, test);
		r->p_safe = running_p(r, GR_TEST_SAFE, test);
	}
	else if (is_tested(rule, GR_TEST_GOAL))
		r->p_value = running_p(r, GR_TEST_GOAL, test);
	r->p_breach_adjusted = r->p_breach;
	r->p_value_adjusted = r->p_value;
}

/* ---- bounds --------------------------------------------------------------- */

/*
 * The bound of a test at a level on the side of a direction (1: the lower), from now
 * and from the witness, whichever is tighter.
 */
static double
test_bound(const GrResult *r, GrTestKind kind, double level, int direction, const GrTestState *test)
{
	const GrPast *past = &r->past[kind];
	double		limit = gr_signed_limit(r->rule);
	double		bound = direction > 0 ? -INFINITY : INFINITY;
	bool		once = gr_design_of(test->monitor->kind)->once;

	/* one test that is not over decides nothing, and so may show them always */
	if ((r->usable || (once && !test->over)) && may_claim(r, kind))
	{
		GrSample	t,
					c;
		GrTested	x = gr_tested_of(r, &t, &c);

		bound = gr_test_bound(test->monitor, kind, &x, level, direction, limit);
	}
	if (past->known)
	{
		GrTested	x = tested_in_past(r->rule, past);
		double		then = gr_test_bound(test->monitor, kind, &x, level, direction, limit);

		bound = direction > 0 ? fmax(bound, then) : fmin(bound, then);
	}
	return bound;
}

/* ---- decisions ------------------------------------------------------------ */

/* A point rule: the estimate alone; a relative one without a division by the control. */
static void
decide_point(GrResult *r)
{
	GrSample	t,
				c;
	GrTested	x = gr_tested_of(r, &t, &c);
	double		beyond = gr_beyond(x.kind, x.treatment, x.control, gr_signed_limit(r->rule));

	if (r->obstacle == GR_FAILED && r->latched)
		r->status = GR_BREACHED;
	else if (r->obstacle == GR_NEGATIVE_CONTROL || r->obstacle == GR_OUT_OF_REACH ||
			 r->obstacle == GR_FAILED)
		r->status = GR_UNMEASURED;
	else if (!isnan(beyond))
		r->status = (r->rule->worse_is_higher ? beyond > 0 : beyond < 0) ? GR_BREACHED : GR_IS_SAFE;
}

/*
 * Nothing was decided: could it have been?  What only keeps safety from being claimed
 * matters where SHIP needs that claim.
 */
static bool
is_unmeasured(const GrResult *r, const GrTestState *test)
{
	if (r->obstacle == GR_NEGATIVE_CONTROL || (r->obstacle == GR_OUT_OF_REACH && r->enough_units))
		return true;
	if (r->obstacle == GR_NO_OBSTACLE || !r->enough_units)
		return false;
	if (r->obstacle == GR_SKEWED)
		return r->rule->evidence == GR_SAFE && r->rule->role == GR_GUARDRAIL;
	return test->over;
}

/* Bounds and status of a guardrail whose p-values are final. */
static void
decide_guardrail(GrResult *r, double divisor, int narms, const GrTestState *test)
{
	const GrRule *rule = r->rule;
	double		breach_level = rule->alpha / divisor;
	double		safe_level = rule->alpha / narms;
	double		breach,
				safe;

	breach = test_bound(r, GR_TEST_BREACH, breach_level, direction_of(rule, GR_TEST_BREACH), test);
	safe = test_bound(r, GR_TEST_SAFE, safe_level, direction_of(rule, GR_TEST_SAFE), test);
	r->lower = rule->worse_is_higher ? breach : safe;
	r->upper = rule->worse_is_higher ? safe : breach;
	r->level_lower = rule->worse_is_higher ? breach_level : safe_level;
	r->level_upper = rule->worse_is_higher ? safe_level : breach_level;
	if (!test->over)
	{
		/* before its end a fixed test has estimates, no conclusions */
		r->p_breach = r->p_breach_adjusted = r->p_safe = NAN;
		if (r->obstacle == GR_NEGATIVE_CONTROL || r->obstacle == GR_OUT_OF_REACH)
			r->status = is_unmeasured(r, test) ? GR_UNMEASURED : r->status;
		if (r->latched)
			r->status = GR_BREACHED;
		return;
	}
	if (r->p_breach_adjusted <= rule->alpha || r->latched)
		r->status = GR_BREACHED;
	else if (r->p_safe <= safe_level && r->lower <= r->upper && gr_obstacle_allows_claims(r->obstacle))
		r->status = GR_IS_SAFE;
	else if (is_unmeasured(r, test))
		r->status = GR_UNMEASURED;
}

/* Did the check that set the running minimum look good? */
static bool
witness_is_good(const GrResult *r, const GrTestState *test)
{
	const GrPast *past = &r->past[GR_TEST_GOAL];
	bool		now = r->is_witness[GR_TEST_GOAL] || !past->known;
	int			good = direction_of(r->rule, GR_TEST_GOAL);
	int			favours = 0;
	GrSample	t,
				c;
	GrTested	x = now ? gr_tested_of(r, &t, &c) : tested_in_past(r->rule, past);

	return !isnan(gr_test_p(test->monitor, GR_TEST_GOAL, &x, gr_signed_limit(r->rule), good, &favours)) &&
		favours == good;
}

/* A primary or secondary: WON beyond its limit, LOST when worse than zero. */
static void
decide_goal(GrResult *r, double divisor, const GrTestState *test)
{
	const GrRule *rule = r->rule;
	double		level = rule->alpha / divisor;

	r->lower = test_bound(r, GR_TEST_GOAL, level, 1, test);
	r->upper = test_bound(r, GR_TEST_GOAL, level, -1, test);
	r->level_lower = r->level_upper = level / 2;
	if (!test->over)
	{
		r->p_value = r->p_value_adjusted = NAN;
		return;
	}
	if (r->obstacle == GR_FAILED)
		return;
	/* looks that exclude each other: the effect is not what it was */
	if (isnan(r->p_value_adjusted) || r->lower > r->upper)
	{
		if (is_unmeasured(r, test))
			r->status = GR_UNMEASURED;
		return;
	}
	if (r->p_value_adjusted <= rule->alpha && witness_is_good(r, test))
		r->status = gr_obstacle_allows_claims(r->obstacle) ? GR_WON : GR_UNMEASURED;
	else if (rule->limit_kind != GR_LIMIT_ABSOLUTE &&
			 (rule->worse_is_higher ? r->lower > 0 : r->upper < 0))
		r->status = GR_LOST;
}

/*
 * Units of the treatment arm still needed for a conclusion with the planned
 * power, if the truth is no harm (a guardrail; its safety proof) or the estimate
 * (others).
 */
static void
set_units_needed(GrResult *r, const GrTestState *test)
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
	factor = (gr_normal_isf(alpha) + gr_normal_isf(test->beta)) * r->se / (truth - margin);
	factor = factor * factor;
	/* a thousand times as many is no information */
	if (factor > 1 && factor < 1000)
		r->units_needed = ceil((factor - 1) * (double) gr_mature_units(r));
}

/* ---- several tests -------------------------------------------------------- */

/*
 * Tests that are adjusted together: of guardrails that block, or the primary's;
 * over all arms, and whether they can be tested yet or not.
 */
static bool
in_family(const GrRule *rule, GrTestKind kind)
{
	if (!is_tested(rule, kind))
		return false;
	return kind == GR_TEST_GOAL ? rule->role == GR_PRIMARY : rule->severity == GR_BLOCK;
}

/* Adjust one family; divisor[] and adjusted go back to each member. */
static void
adjust_family(GrResult *results, int n, GrTestKind kind, const GrTestState *test,
			  GrScratch *s)
{
	int			k = 0;

	for (int i = 0; i < n; i++)
	{
		double		p = kind == GR_TEST_GOAL ? results[i].p_value : results[i].p_breach;

		if (!in_family(results[i].rule, kind))
			continue;
		s->member[k] = i;
		s->p[k] = isnan(p) ? 1 : p;
		s->alpha[k++] = results[i].rule->alpha;
	}
	if (k == 0 || gr_p_adjust_divisor(s->p, s->alpha, k, test->correction,
									  s->divisor, s->adjusted, s->order) != GR_OK)
		return;
	for (int j = 0; j < k; j++)
	{
		GrResult   *r = &results[s->member[j]];

		s->of_result[s->member[j]] = s->divisor[j];
		if (kind == GR_TEST_GOAL && !isnan(r->p_value))
			r->p_value_adjusted = s->adjusted[j];
		else if (kind == GR_TEST_BREACH && !isnan(r->p_breach))
			r->p_breach_adjusted = s->adjusted[j];
	}
}

/* Announce the levels that a family of that size may decide at. */
static void
announce(GrMonitor *m, GrTestKind kind, double alpha, GrAdjust correction, int size)
{
	if (correction == GR_ADJUST_NONE || correction == GR_ADJUST_BONFERRONI)
		(void) gr_monitor_level(m, kind, correction == GR_ADJUST_NONE ? alpha : alpha / size);
	else
		for (int divisor = 1; divisor <= size; divisor++)
			(void) gr_monitor_level(m, kind, alpha / divisor);
}

static void
announce_levels(const GrResult *results, int narms, int nrules, const GrTestState *test)
{
	int			size[GR_TEST_KINDS] = {0};

	for (int k = 0; k < nrules; k++)
		for (int kind = 0; kind < GR_TEST_KINDS; kind++)
			size[kind] += narms * in_family(results[k].rule, (GrTestKind) kind);
	for (int k = 0; k < nrules; k++)
	{
		const GrRule *rule = results[k].rule;

		for (int kind = 0; kind < GR_TEST_KINDS; kind++)
		{
			GrTestKind	test_kind = (GrTestKind) kind;

			if (!is_tested(rule, test_kind))
				continue;
			gr_monitor_p_levels(test->monitor, test_kind);
			if (test_kind == GR_TEST_SAFE)
				(void) gr_monitor_level(test->monitor, test_kind, rule->alpha / narms);
			else
				announce(test->monitor, test_kind, rule->alpha,
						 in_family(rule, test_kind) ? test->correction : GR_ADJUST_NONE,
						 size[kind]);
		}
	}
}

int
gr_levels_needed(int nalphas, int nrules, int narms)
{
	/* each alpha over 1 .. all tests of the two families, alone, and for safety */
	return nalphas * (nrules * narms + 3) + GR_TEST_KINDS * (GR_P_LEVELS + GR_DEEP_LEVELS);
}

void
gr_decide_results(GrResult *results, int narms, int nrules,
				  const GrArm *control, const GrTestState *test,
				  GrScratch *scratch)
{
	int			n = narms * nrules;

	if (n == 0)
		return;
	announce_levels(results, narms, nrules, test);
	for (int i = 0; i < n; i++)
	{
		scratch->of_result[i] = 1;
		estimate_result(&results[i], control, test);
	}
	adjust_family(results, n, GR_TEST_BREACH, test, scratch);
	adjust_family(results, n, GR_TEST_GOAL, test, scratch);
	for (int i = 0; i < n; i++)
	{
		GrResult   *r = &results[i];

		if (r->status == GR_NO_DATA && !r->latched)
			;					/* what was breached stays so, with its bounds */
		else if (r->rule->role != GR_GUARDRAIL)
			decide_goal(r, scratch->of_result[i], test);
		else if (r->rule->evidence != GR_POINT)
			decide_guardrail(r, scratch->of_result[i], narms, test);
		else if (r->enough_units)
			decide_point(r);
		gr_find_watch(r);
		set_units_needed(r, test);
		gr_reason_of_result(r, control, test);
	}
}
