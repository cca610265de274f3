/*
 * reason.c
 *	  Results in words that a product manager understands.
 */
#include "decide/decide.h"

#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define NUMBER_SIZE 128
#define UNIT_SIZE 80
#define NAME_SIZE 60

const char *
gr_status_word(GrStatus status)
{
	switch (status)
	{
		case GR_NO_DATA:
			return "NO DATA";
		case GR_UNDECIDED:
			return "UNDECIDED";
		case GR_BREACHED:
			return "BREACHED";
		case GR_IS_SAFE:
			return "SAFE";
		case GR_WON:
			return "WON";
		case GR_LOST:
			return "LOST";
		case GR_UNMEASURED:
			return "UNMEASURED";
	}
	return "?";
}

const char *
gr_verdict_word(GrVerdict verdict)
{
	switch (verdict)
	{
		case GR_VERDICT_INVALID:
			return "INVALID";
		case GR_VERDICT_BLOCK:
			return "BLOCK";
		case GR_VERDICT_HOLD:
			return "HOLD";
		case GR_VERDICT_SHIP:
			return "SHIP";
	}
	return "?";
}

int
gr_fitting(const char *name, int size)
{
	int			n = (int) strlen(name);

	if (n <= size)
		return n;
	/* name[n] must begin a character */
	for (n = size; n > 0 && ((unsigned char) name[n] & 0xC0) == 0x80; n--)
		;
	return n;
}

void
gr_rule_title(const GrRule *rule, char *buf, size_t size)
{
	char		suffix[32] = "";

	if (rule->quantile > 0)
		snprintf(suffix, sizeof(suffix), "p%.6g", rule->quantile * 100);
	if (suffix[0] == '\0' || strstr(rule->metric, suffix) != NULL)
		snprintf(buf, size, "%.100s", rule->metric);
	else
		snprintf(buf, size, "%.100s %s", rule->metric, suffix);
}

/* digits significant digits, never an exponent where a person reads one badly */
static void
format_number(double x, int digits, bool sign, char *buf, size_t size)
{
	double		magnitude = fabs(x);
	int			decimals = digits - 1;

	if (isinf(x))
	{
		snprintf(buf, size, x > 0 ? "+infinity" : "-infinity");
		return;
	}
	if (magnitude >= 1e15 || (magnitude > 0 && magnitude < 1e-9))
	{
		snprintf(buf, size, sign ? "%+.*g" : "%.*g", digits, x);
		return;
	}
	if (magnitude > 0)
		decimals -= (int) floor(log10(magnitude));
	else
		decimals = 0;
	if (decimals < 0)
		decimals = 0;
	snprintf(buf, size, sign && magnitude > 0 ? "%+.*f" : "%.*f", decimals,
			 magnitude > 0 ? x : 0.0);
}

/* The factor and the unit that an effect of the rule is shown with. */
static const char *
effect_unit(const GrRule *rule, double *factor)
{
	*factor = 100;
	if (rule->limit_kind == GR_LIMIT_RELATIVE)
		return "%";
	if (rule->is_proportion)
		return rule->limit_kind == GR_LIMIT_ABSOLUTE ? "%" : "pp";
	*factor = 1;
	return rule->display_unit;
}

void
gr_format_effect(const GrRule *rule, double x, int digits, char *buf, size_t size)
{
	double		factor;
	const char *unit = effect_unit(rule, &factor);
	char		number[NUMBER_SIZE];

	format_number(x * factor, digits, rule->limit_kind != GR_LIMIT_ABSOLUTE,
				  number, sizeof(number));
	if (unit && unit[0] && isfinite(x))
		snprintf(buf, size, "%s %.*s", number, gr_fitting(unit, UNIT_SIZE), unit);
	else
		snprintf(buf, size, "%s", number);
}

/* The limit as it was written: up to six digits, none of them idle. */
static void
format_limit(const GrRule *rule, char *buf, size_t size)
{
	double		factor;
	const char *unit = effect_unit(rule, &factor);
	double		x = gr_signed_limit(rule) * factor;
	bool		sign = rule->limit_kind != GR_LIMIT_ABSOLUTE && x != 0;

	snprintf(buf, size, sign ? "%+.6g%s%.*s" : "%.6g%s%.*s", x + 0.0,
			 unit && unit[0] ? " " : "", unit ? gr_fitting(unit, UNIT_SIZE) : 0,
			 unit ? unit : "");
}

/* A bound; more digits when it would look like the limit. */
static void
format_bound(const GrRule *rule, double x, char *buf, size_t size)
{
	char		limit[NUMBER_SIZE];

	format_limit(rule, limit, sizeof(limit));
	for (int digits = 3; digits <= 9; digits++)
	{
		gr_format_effect(rule, x, digits, buf, size);
		if (strcmp(buf, limit) != 0)
			return;
	}
}

/* What was cut off may have ended within a UTF-8 character. */
static void
drop_partial_character(char *buf)
{
	size_t		n = strlen(buf);
	size_t		lead = n;

	while (lead > 0 && ((unsigned char) buf[lead - 1] & 0xC0) == 0x80)
		lead--;
	if (lead > 0 && (unsigned char) buf[lead - 1] >= 0xC0)
	{
		unsigned char c = (unsigned char) buf[lead - 1];
		size_t		length = c >= 0xF0 ? 4 : c >= 0xE0 ? 3 : 2;

		if (n - (lead - 1) < length)
			buf[lead - 1] = '\0';
	}
}

static void __attribute__((format(gnu_printf, 3, 4)))
append(char *buf, size_t size, const char *format,...)
{
	size_t		used = strlen(buf);
	va_list		args;

	if (used + 1 >= size)
		return;
	va_start(args, format);
	if (vsnprintf(buf + used, size - used, format, args) >= (int) (size - used))
		drop_partial_character(buf);
	va_end(args);
}

static void
append_limit(GrResult *r)
{
	char		limit[NUMBER_SIZE];

	if (r->rule->role != GR_GUARDRAIL && gr_signed_limit(r->rule) == 0)
		return;
	if (r->rule->limit_kind == GR_LIMIT_SIGNIFICANCE)
	{
		append(r->reason, GR_REASON_SIZE, ", no margin");
		return;
	}
	format_limit(r->rule, limit, sizeof(limit));
	append(r->reason, GR_REASON_SIZE, r->rule->role == GR_GUARDRAIL ?
		   ", limit %s" : ", asked for %s", limit);
}

/* "(90 % bound +214 ms, limit +200 ms)" */
static void
append_one_bound(GrResult *r, double bound, double alpha)
{
	char		number[NUMBER_SIZE];

	format_bound(r->rule, bound, number, sizeof(number));
	append(r->reason, GR_REASON_SIZE, " (%.4g %% bound %s", 100 * (1 - alpha), number);
	append_limit(r);
	append(r->reason, GR_REASON_SIZE, ")");
}

/* "(90 % bounds -3 ms to +230 ms, limit +200 ms)" */
static void
append_two_bounds(GrResult *r)
{
	char		lower[NUMBER_SIZE];
	char		upper[NUMBER_SIZE];
	bool		goal = r->rule->role != GR_GUARDRAIL;
	double		level = 1 - (goal ? 2 : 1) * fmax(r->level_lower, r->level_upper);

	format_bound(r->rule, r->lower, lower, sizeof(lower));
	format_bound(r->rule, r->upper, upper, sizeof(upper));
	append(r->reason, GR_REASON_SIZE, " (%.4g %% %s %s to %s", 100 * level,
		   goal ? "interval" : "bounds", lower, upper);
	append_limit(r);
	append(r->reason, GR_REASON_SIZE, ")");
}

/* A whole number, thousands apart. */
static void
format_whole(double n, char *buf, size_t size)
{
	char		digits[32];
	size_t		len,
				used = 0;

	snprintf(digits, sizeof(digits), "%.0f", n);
	len = strlen(digits);
	for (size_t i = 0; i < len && used + 2 < size; i++)
	{
		if (i > 0 && (len - i) % 3 == 0)
			buf[used++] = ',';
		buf[used++] = digits[i];
	}
	buf[used] = '\0';
}

/* About how many: three digits. */
static void
format_count(double n, char *buf, size_t size)
{
	double		step = n >= 1000 ? pow(10, floor(log10(n)) - 2) : 1;

	format_whole(ceil(n / step) * step, buf, size);
}

/* Which limit no share of units can be beyond. */
static void
append_out_of_reach(GrResult *r)
{
	GrRule		value = *r->rule;
	char		limit[NUMBER_SIZE],
				control[NUMBER_SIZE];

	format_limit(r->rule, limit, sizeof(limit));
	append(r->reason, GR_REASON_SIZE, ": no share of units can be beyond the limit of %s", limit);
	if (r->rule->limit_kind == GR_LIMIT_RELATIVE)
	{
		value.limit_kind = GR_LIMIT_ABSOLUTE;
		gr_format_effect(&value, r->control.value, 3, control, sizeof(control));
		append(r->reason, GR_REASON_SIZE, " while the control is at %s", control);
	}
	if (r->rule->limit_value >= 1)
		append(r->reason, GR_REASON_SIZE, r->rule->limit_kind == GR_LIMIT_DIFFERENCE ?
			   "; limit_value 0.05 is 5 percentage points" : "; limit_value 0.05 is 5 %%");
}

/* Why there is no valid test on these data, and what would help. */
static void
append_unmeasured(GrResult *r)
{
	char		count[NUMBER_SIZE];

	switch (r->obstacle)
	{
		case GR_FAILED:
			append(r->reason, GR_REASON_SIZE, ": %s", r->failure);
			break;
		case GR_NEGATIVE_CONTROL:
			append(r->reason, GR_REASON_SIZE, ": the control's value is negative, so a relative limit has no "
				   "meaning; use limit_kind 'difference'");
			break;
		case GR_OUT_OF_REACH:
			append_out_of_reach(r);
			break;
		case GR_CONSTANT:
			append(r->reason, GR_REASON_SIZE, ": every unit of both arms has the same value, so nothing can be "
				   "tested; is the expression what you meant?");
			break;
		case GR_HEAVY_UNIT:
			append(r->reason, GR_REASON_SIZE, ": few units carry the metric, one alone has %.0f %% of the variance "
				   "that the test rests on; cap_quantile limits what one unit can weigh", 100 * r->heaviest);
			break;
		case GR_SKEWED:
			append(r->reason, GR_REASON_SIZE, ": too few units carry the metric to prove that it is safe");
			break;
		case GR_FEW_EVENTS:
			if (isnan(r->events_needed))
				append(r->reason, GR_REASON_SIZE, ": too few units for any number of events to prove harm");
			else
			{
				format_whole(r->events_needed, count, sizeof(count));
				append(r->reason, GR_REASON_SIZE, ": too few %s to prove harm however they are spread; %s could",
					   r->needs_without ? "units without the event" : "events", count);
			}
			break;
		case GR_FEW_IN_TAIL:
			append(r->reason, GR_REASON_SIZE, ": too few events beyond the quantile for a bound");
			break;
		case GR_NO_OBSTACLE:
			append(r->reason, GR_REASON_SIZE, ": not measured");
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
		append(r->reason, GR_REASON_SIZE,
			   ": %" PRId64 " units, nothing is decided below %" PRId64 " in each arm",
			   fewest, test->min_units);
	else if (test->monitor->kind == GR_GROUP_SEQUENTIAL && !test->monitor->is_look)
		append(r->reason, GR_REASON_SIZE, test->monitor->nlooks > 0 ?
			   ": undecided at the last look" : ": the first look comes with more units");
	else if (!test->over && test->planned_units > 0)
		append(r->reason, GR_REASON_SIZE,
			   ": decided at the end of the test, %" PRId64 " of %" PRId64 " units are in%s",
			   test->mature_units, test->planned_units,
			   test->mature_units < test->total_units ? " and mature" : "");
	else if (!test->over)
		append(r->reason, GR_REASON_SIZE, ": decided at the end of the test");
	else if (r->lower > r->upper)
		append(r->reason, GR_REASON_SIZE,
			   ": earlier looks and this one exclude each other, the effect has changed");
	else if (!isnan(r->units_needed))
	{
		char		count[NUMBER_SIZE];

		format_count(r->units_needed, count, sizeof(count));
		append(r->reason, GR_REASON_SIZE, ": undecided, about %s more units needed in \"%.*s\"",
			   count, gr_fitting(r->arm->name, NAME_SIZE), r->arm->name);
	}
	else
		append(r->reason, GR_REASON_SIZE, ": undecided");
}

/* What the check that people write by hand would say. */
static void
append_watch(GrResult *r)
{
	if (!r->watch)
		return;
	if (isnan(r->watch_p))
		append(r->reason, GR_REASON_SIZE, "; nothing is proven, but the estimate is beyond the limit");
	else
		append(r->reason, GR_REASON_SIZE, "; nothing is proven, but one plain test of these data would find harm "
			   "(p = %.2g)", r->watch_p);
}

/* Could it be made of whole numbers that are no doubles?  Larger ones are no bigints. */
static bool
is_rounded(double value)
{
	return fabs(value) >= 0x1p53 && fabs(value) < 0x1p70;
}

static void
append_notes(GrResult *r)
{
	char		number[NUMBER_SIZE];

	append_watch(r);

	if (r->immature + r->immature_control > 0)
	{
		format_whole((double) (r->immature + r->immature_control), number, sizeof(number));
		append(r->reason, GR_REASON_SIZE, "; %s unit%s immature", number,
			   r->immature + r->immature_control == 1 ? "" : "s");
	}
	if (!isnan(r->variance_removed))
		append(r->reason, GR_REASON_SIZE, "; the covariate removed %.0f %% of the variance",
			   100 * r->variance_removed);
	if (!isnan(r->cap))
	{
		format_number(r->cap, 3, false, number, sizeof(number));
		append(r->reason, GR_REASON_SIZE, "; unit totals capped at %s", number);
	}
	if (r->status == GR_BREACHED && r->latched && !r->is_witness[GR_TEST_BREACH])
		append(r->reason, GR_REASON_SIZE, "; proven by an earlier check, which stands");
	if (r->failure && r->status != GR_UNMEASURED)
		append(r->reason, GR_REASON_SIZE, "; %s", r->failure);
	if (r->left_out > 0)
		append(r->reason, GR_REASON_SIZE, "; %.0f values that are not finite left out",
			   r->left_out);
	if (is_rounded(r->treatment.value) || is_rounded(r->control.value))
		append(r->reason, GR_REASON_SIZE, "; values beyond 2^53 are kept to 16 digits");
	if (r->null_share_p < r->missing_share_alpha)
		append(r->reason, GR_REASON_SIZE,
			   "; warning: the share of NULLs differs between the arms (p = %.2g)",
			   r->null_share_p);
	if (r->nonfinite_share_p < r->missing_share_alpha)
		append(r->reason, GR_REASON_SIZE,
			   "; warning: the share of NaN and infinite values differs between the arms (p = %.2g)",
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
		append(r->reason, GR_REASON_SIZE, " %s", number);
		return;
	}
	value.limit_kind = GR_LIMIT_ABSOLUTE;
	gr_format_effect(&value, r->treatment.value, 3, number, sizeof(number));
	gr_format_effect(&value, r->control.value, 3, control, sizeof(control));
	append(r->reason, GR_REASON_SIZE, " %s (control %s)", number, control);
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

		append(r->reason, GR_REASON_SIZE, ": no data in \"%.*s\"", gr_fitting(name, NAME_SIZE), name);
		append_notes(r);
		return;
	}
	if (r->failure == NULL)
		append_effect(r);
	if (rule->role != GR_GUARDRAIL && decided)
		append_two_bounds(r);
	else if (rule->role == GR_GUARDRAIL && rule->evidence == GR_POINT && decided)
	{
		append(r->reason, GR_REASON_SIZE, " (point check without an error rate");
		append_limit(r);
		append(r->reason, GR_REASON_SIZE, ")");
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
			append_unmeasured(r);
		else
		{
			if (isfinite(r->lower) || isfinite(r->upper))
				append_two_bounds(r);
			append_undecided(r, control, test);
		}
	}
	append_notes(r);
}
