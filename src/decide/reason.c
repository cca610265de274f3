/*
 * reason.c
 *	  Results in words that a product manager understands.
 *
 * A reason is at most GR_REASON_SIZE bytes, ends at a whole UTF-8 character, and changes no
 * status: it only reads what was decided.
 */
#include "decide/words.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

/* The part of the other arm's share of NULLs below which an arm has next to none. */
#define FEW_NULLS 0.1

static void
append_limit(GrResult *r)
{
	char		limit[NUMBER_SIZE];

	if (r->rule->role != GR_GUARDRAIL && gr_signed_limit(r->rule) == 0)
		return;
	if (r->rule->limit_kind == GR_LIMIT_SIGNIFICANCE)
	{
		gr_append(r->reason, GR_REASON_SIZE, ", no margin");
		return;
	}
	gr_format_limit(r->rule, limit, sizeof(limit));
	gr_append(r->reason, GR_REASON_SIZE, r->rule->role == GR_GUARDRAIL ?
		   ", limit %s" : ", required %s", limit);
}

/* "(90 % bound +214 ms, limit +200 ms)" */
static void
append_one_bound(GrResult *r, double bound, double alpha)
{
	char		number[NUMBER_SIZE];

	gr_format_bound(r->rule, bound, number, sizeof(number));
	gr_append(r->reason, GR_REASON_SIZE, " (%.4g %% bound %s", 100 * (1 - alpha), number);
	append_limit(r);
	gr_append(r->reason, GR_REASON_SIZE, ")");
}

/* "(90 % bounds -3 ms to +230 ms, limit +200 ms)" */
static void
append_two_bounds(GrResult *r)
{
	char		lower[NUMBER_SIZE];
	char		upper[NUMBER_SIZE];
	bool		goal = r->rule->role != GR_GUARDRAIL;
	double		level = 1 - (goal ? 2 : 1) * fmax(r->level_lower, r->level_upper);

	gr_format_bound(r->rule, r->lower, lower, sizeof(lower));
	gr_format_bound(r->rule, r->upper, upper, sizeof(upper));
	gr_append(r->reason, GR_REASON_SIZE, " (%.4g %% %s %s to %s", 100 * level,
		   goal ? "interval" : "bounds", lower, upper);
	append_limit(r);
	gr_append(r->reason, GR_REASON_SIZE, ")");
}

/* Which limit no share of units can be beyond. */
static void
append_out_of_reach(GrResult *r)
{
	GrRule		value = *r->rule;
	char		limit[NUMBER_SIZE],
				control[NUMBER_SIZE];

	gr_format_limit(r->rule, limit, sizeof(limit));
	gr_append(r->reason, GR_REASON_SIZE, ": no share of units can go beyond the limit of %s", limit);
	if (r->rule->limit_kind == GR_LIMIT_RELATIVE)
	{
		value.limit_kind = GR_LIMIT_ABSOLUTE;
		gr_format_effect(&value, r->control.value, 3, control, sizeof(control));
		gr_append(r->reason, GR_REASON_SIZE, " while the control is at %s", control);
	}
	if (r->rule->limit_value >= 1)
		gr_append(r->reason, GR_REASON_SIZE, r->rule->limit_kind == GR_LIMIT_DIFFERENCE ?
			   "; write 0.05 for 5 percentage points" : "; write 0.05 for 5 %%");
}

/* That so few units have the event, or do not have it, that no split of them is proof. */
static void
append_few_events(GrResult *r, bool constant)
{
	char		count[NUMBER_SIZE];
	const char *events = r->needs_without ? "units without the event" : "events";

	if (isnan(r->events_needed))
	{
		gr_append(r->reason, GR_REASON_SIZE, constant ? " More units are needed to prove harm" :
				  ": too few units to prove harm, whatever the number of events");
		return;
	}
	gr_format_whole(r->events_needed, count, sizeof(count));
	if (constant)
		gr_append(r->reason, GR_REASON_SIZE, " At least %s %s are needed to prove harm", count, events);
	else
		gr_append(r->reason, GR_REASON_SIZE, ": too few %s to prove harm, however they are split; at least %s are needed",
				  events, count);
}

/* Why there is no valid test on these data, and what would help. */
static void
append_unmeasured(GrResult *r, const GrArm *control)
{
	switch (r->obstacle)
	{
		case GR_FAILED:
			gr_append(r->reason, GR_REASON_SIZE, ": %s", r->failure);
			break;
		case GR_NEGATIVE_CONTROL:
			gr_append(r->reason, GR_REASON_SIZE, ": the control's value is negative, so a relative limit has no "
				   "meaning; use limit_kind 'difference'");
			break;
		case GR_OUT_OF_REACH:
			append_out_of_reach(r);
			break;
		case GR_CONSTANT:
			gr_append(r->reason, GR_REASON_SIZE, ": nothing varies, so there is nothing to test");
			(void) gr_append_constant(r, control, "; ");
			break;
		case GR_HEAVY_UNIT:
			gr_append(r->reason, GR_REASON_SIZE, ": few units carry the metric, and one unit accounts for %.0f %% of the "
				   "variance in the test; set cap_quantile to limit the weight of a unit", 100 * r->heaviest);
			break;
		case GR_SKEWED:
			gr_append(r->reason, GR_REASON_SIZE, ": too few units carry the metric to prove that it is safe");
			break;
		case GR_FEW_EVENTS:
			append_few_events(r, gr_append_constant(r, control, ": "));
			break;
		case GR_FEW_IN_TAIL:
			gr_append(r->reason, GR_REASON_SIZE, ": too few events beyond the quantile for a bound");
			break;
		case GR_NO_OBSTACLE:
			gr_append(r->reason, GR_REASON_SIZE, ": not measured");
			break;
	}
}

/* Why nothing could be said, for a result that stayed UNDECIDED. */
static void
append_undecided(GrResult *r, const GrArm *control, const GrTestState *test)
{
	bool		alone = r->rule->limit_kind == GR_LIMIT_ABSOLUTE;
	int64_t		fewest = alone || gr_mature_units(r) < gr_mature_control(r, control) ?
		gr_mature_units(r) : gr_mature_control(r, control);

	if (fewest < test->min_units)
		gr_append(r->reason, GR_REASON_SIZE,
			   ": %" PRId64 " units, at least %" PRId64 " are needed in each variant",
			   fewest, test->min_units);
	else if (gr_monitor_awaits_look(test->monitor))
		gr_append(r->reason, GR_REASON_SIZE, test->monitor->nlooks > 0 ?
			   ": undecided at the last look" : ": the first look needs more units");
	else if (!test->over && test->planned_units > 0)
		gr_append(r->reason, GR_REASON_SIZE,
			   ": will be decided at the end of the test, %" PRId64 " of %" PRId64 " units are in%s",
			   test->mature_units, test->planned_units,
			   test->mature_units < test->total_units ? " and mature" : "");
	else if (!test->over)
		gr_append(r->reason, GR_REASON_SIZE, ": will be decided at the end of the test");
	else if (r->lower > r->upper)
		gr_append(r->reason, GR_REASON_SIZE,
			   ": the bounds of earlier looks and of this one do not overlap, so the effect has changed");
	else if (!isnan(r->units_needed))
	{
		char		count[NUMBER_SIZE];

		gr_format_count(r->units_needed, count, sizeof(count));
		gr_append(r->reason, GR_REASON_SIZE, ": undecided, about %s more units needed in \"%.*s\"",
			   count, gr_fitting(r->arm->name, NAME_SIZE), r->arm->name);
	}
	else
		gr_append(r->reason, GR_REASON_SIZE, ": undecided");
}

/* What the check that people write by hand would say. */
static void
append_watch(GrResult *r)
{
	if (!r->watch)
		return;
	if (isnan(r->watch_p))
		gr_append(r->reason, GR_REASON_SIZE, "; nothing is proven, but the estimate is beyond the limit");
	else
		gr_append(r->reason, GR_REASON_SIZE, "; nothing is proven, but one plain test of these data would find harm "
			   "(p = %.2g)", r->watch_p);
}

/* Could it be made of whole numbers that are no doubles?  Larger ones are no bigints. */
static bool
is_rounded(double value)
{
	return fabs(value) >= 0x1p53 && fabs(value) < 0x1p70;
}

/*
 * NULLs that differ: of values that are left out they bias what is left; where they count
 * as nothing, they are lost values only if the other arm has next to none.
 */
static void
append_nulls(GrResult *r, const GrArm *control)
{
	bool		more = r->null_share[0] > r->null_share[1];
	const char *most = more ? r->arm->name : control->name;
	const char *least = more ? control->name : r->arm->name;

	if (!(r->null_share_p < r->missing_share_alpha))
		return;
	if (r->nulls_left_out)
		gr_append(r->reason, GR_REASON_SIZE, "; warning: the share of NULLs, which are left out, differs between the variants "
				  "(p = %.2g); if NULL means none, write COALESCE(..., 0); if such events are not to count, filter on IS NOT NULL",
				  r->null_share_p);
	else if (fmin(r->null_share[0], r->null_share[1]) < FEW_NULLS * fmax(r->null_share[0], r->null_share[1]))
		gr_append(r->reason, GR_REASON_SIZE, "; warning: NULLs, which count as none, are %.3g %% of the events in \"%.*s\" and "
				  "%.3g %% in \"%.*s\" (p = %.2g): were values lost?",
				  100 * fmax(r->null_share[0], r->null_share[1]), gr_fitting(most, NAME_SIZE), most,
				  100 * fmin(r->null_share[0], r->null_share[1]), gr_fitting(least, NAME_SIZE), least, r->null_share_p);
}

static void
append_notes(GrResult *r, const GrArm *control)
{
	char		number[NUMBER_SIZE];
	bool		is_reason = r->status == GR_UNMEASURED && (r->obstacle == GR_CONSTANT || r->obstacle == GR_FEW_EVENTS);

	append_watch(r);
	if (!is_reason)
		(void) gr_append_constant(r, control, "; ");

	if (r->immature + r->immature_control > 0)
	{
		gr_format_whole((double) (r->immature + r->immature_control), number, sizeof(number));
		gr_append(r->reason, GR_REASON_SIZE, "; %s unit%s immature", number,
			   r->immature + r->immature_control == 1 ? "" : "s");
	}
	if (!isnan(r->variance_removed))
		gr_append(r->reason, GR_REASON_SIZE, "; the covariate removed %.0f %% of the variance",
			   100 * r->variance_removed);
	if (!isnan(r->cap))
	{
		gr_format_number(r->cap, 3, false, number, sizeof(number));
		gr_append(r->reason, GR_REASON_SIZE, "; unit totals capped at %s", number);
	}
	if (r->status == GR_BREACHED && r->latched && !r->is_witness[GR_TEST_BREACH])
		gr_append(r->reason, GR_REASON_SIZE, "; proven by an earlier check, and stands until the plan is amended");
	if (r->failure && r->status != GR_UNMEASURED)
		gr_append(r->reason, GR_REASON_SIZE, "; %s", r->failure);
	if (r->left_out > 0)
		gr_append(r->reason, GR_REASON_SIZE, "; %.0f non-finite values left out",
			   r->left_out);
	if (is_rounded(r->treatment.value) || is_rounded(r->control.value))
		gr_append(r->reason, GR_REASON_SIZE, "; values beyond 2^53 are kept to 16 digits");
	append_nulls(r, control);
	if (r->nonfinite_share_p < r->missing_share_alpha)
		gr_append(r->reason, GR_REASON_SIZE,
			   "; warning: the share of NaN and infinite values differs between the variants (p = %.2g)",
			   r->nonfinite_share_p);
}

/* The effect; where a per cent of the control is none, the values. */
static void
append_effect(GrResult *r)
{
	GrRule		value = *r->rule;
	char		number[NUMBER_SIZE],
				control[NUMBER_SIZE];

	if (!isnan(r->effect))
	{
		gr_format_effect(r->rule, r->effect, 3, number, sizeof(number));
		gr_append(r->reason, GR_REASON_SIZE, " %s", number);
		return;
	}
	value.limit_kind = GR_LIMIT_ABSOLUTE;
	gr_format_effect(&value, r->treatment.value, 3, number, sizeof(number));
	gr_format_effect(&value, r->control.value, 3, control, sizeof(control));
	gr_append(r->reason, GR_REASON_SIZE, " %s (control %s)", number, control);
}

void
gr_reason_of_result(GrResult *r, const GrArm *control, const GrTestState *test)
{
	const GrRule *rule = r->rule;
	bool		harm_is_lower_bound = rule->worse_is_higher;
	bool		decided = r->status != GR_UNDECIDED && r->status != GR_UNMEASURED;

	gr_rule_title(rule, r->reason, GR_REASON_SIZE);
	if (r->status == GR_NO_DATA)
	{
		const char *name = r->arm->units == 0 || isnan(r->treatment.value) ?
			r->arm->name : control->name;

		gr_append(r->reason, GR_REASON_SIZE, ": no data in \"%.*s\"", gr_fitting(name, NAME_SIZE), name);
		append_notes(r, control);
		return;
	}
	if (r->failure == NULL)
		append_effect(r);
	if (rule->role != GR_GUARDRAIL && decided)
		append_two_bounds(r);
	else if (rule->role == GR_GUARDRAIL && rule->evidence == GR_POINT && decided)
	{
		gr_append(r->reason, GR_REASON_SIZE, " (point check without an error rate");
		append_limit(r);
		gr_append(r->reason, GR_REASON_SIZE, ")");
	}
	else if (r->status == GR_BREACHED)
		append_one_bound(r, harm_is_lower_bound ? r->lower : r->upper,
						 harm_is_lower_bound ? r->level_lower : r->level_upper);
	else if (r->status == GR_IS_SAFE)
		append_one_bound(r, harm_is_lower_bound ? r->upper : r->lower,
						 harm_is_lower_bound ? r->level_upper : r->level_lower);
	else
	{
		if (r->status == GR_UNMEASURED)
			append_unmeasured(r, control);
		else
		{
			if (isfinite(r->lower) || isfinite(r->upper))
				append_two_bounds(r);
			append_undecided(r, control, test);
		}
	}
	append_notes(r, control);
}
