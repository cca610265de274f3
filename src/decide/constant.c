/*
 * constant.c
 *	  What all units of an arm have in common, in words: an expression that gives every
 *	  unit the same value is seldom the one that was meant.
 *
 * It changes no status: what the tests decide of such data stands.
 */
#include "decide/words.h"

#include <math.h>
#include <stdio.h>

/* Standard errors from which an arm without variation is no chance. */
#define FAR 4.0

/* Do all limits that there are lie at the quantile? */
static bool
is_flat_around(const GrSample *s)
{
	for (int i = 0; i < GR_CURVE_POINTS; i++)
		if ((isfinite(s->lower[i]) && s->lower[i] != s->estimate.value) ||
			(isfinite(s->upper[i]) && s->upper[i] != s->estimate.value))
			return false;
	return true;
}

/* Have all units of the sample its estimate as their value?  Of a quantile: the values around it. */
static bool
is_constant(const GrSample *s, const GrResult *r)
{
	if (!isfinite(s->estimate.value))
		return false;
	switch (s->kind)
	{
		case GR_SAMPLE_SHARE:
			return s->n >= 2 && (s->events == 0 || s->events == s->n);
		case GR_SAMPLE_MEAN:
		case GR_SAMPLE_RATIO:
			/* what a covariate explains wholly varies all the same */
			return s->n >= 2 && s->square[0] == 0 && isnan(r->variance_removed);
		case GR_SAMPLE_QUANTILE:
			return is_flat_around(s);
		case GR_SAMPLE_NORMAL:
			break;
	}
	return false;
}

/* Is it worth a word that one arm does not vary, while the other does? */
static bool
is_odd(const GrSample *s, const GrSample *other)
{
	double		distance = s->estimate.value - other->estimate.value;

	if (s->kind == GR_SAMPLE_QUANTILE)
		return false;
	/* few units of many have what is rare, so none of few is no surprise */
	if (s->kind == GR_SAMPLE_SHARE || s->estimate.value == 0)
		return distance * distance > FAR * FAR * other->estimate.variance;
	return true;
}

/* of: "both variants", or one in quotes */
static void
append_value(GrResult *r, const GrSample *s, const char *of, const char *none_of)
{
	GrRule		value = *r->rule;
	char		number[NUMBER_SIZE];

	value.limit_kind = GR_LIMIT_ABSOLUTE;
	value.limit_value = s->estimate.value;
	gr_format_limit(&value, number, sizeof(number));
	if (s->kind == GR_SAMPLE_QUANTILE)
		gr_append(r->reason, GR_REASON_SIZE, "all values of %s around the quantile are %s", of, number);
	else if (r->rule->is_proportion && s->estimate.value == 0)
		gr_append(r->reason, GR_REASON_SIZE, "no unit of %s counts", none_of);
	else if (r->rule->is_proportion)
		gr_append(r->reason, GR_REASON_SIZE, "every unit of %s counts", of);
	else
		gr_append(r->reason, GR_REASON_SIZE, "every unit of %s has the %s %s", of,
				  s->kind == GR_SAMPLE_RATIO ? "ratio" : "value", number);
}

static void
append_arm(GrResult *r, const GrSample *s, const GrArm *arm)
{
	char		quoted[NAME_SIZE + 3];

	snprintf(quoted, sizeof(quoted), "\"%.*s\"", gr_fitting(arm->name, NAME_SIZE), arm->name);
	append_value(r, s, quoted, quoted);
}

bool
gr_append_constant(GrResult *r, const GrArm *control, const char *before)
{
	GrSample	t,
				c;
	GrTested	x = gr_tested_of(r, &t, &c);
	bool		of_t,
				of_c;

	if (r->status == GR_NO_DATA || r->failure || !r->enough_units)
		return false;
	of_t = is_constant(x.treatment, r);
	of_c = is_constant(x.control, r);
	if (of_t && !of_c && x.kind != GR_ABSOLUTE)
		of_t = is_odd(x.treatment, x.control);
	else if (of_c && !of_t)
		of_c = is_odd(x.control, x.treatment);
	/* values are rounded, and so quantiles of two arms lie often on two of them */
	if (of_t && of_c && x.treatment->kind == GR_SAMPLE_QUANTILE && x.treatment->estimate.value != x.control->estimate.value)
		return false;
	if (!of_t && !of_c)
		return false;
	gr_append(r->reason, GR_REASON_SIZE, "%s", before);
	if (of_t && of_c && x.treatment->estimate.value == x.control->estimate.value)
		append_value(r, x.treatment, "both variants", "either variant");
	else
	{
		if (of_c)
			append_arm(r, x.control, control);
		if (of_c && of_t)
			gr_append(r->reason, GR_REASON_SIZE, " and ");
		if (of_t)
			append_arm(r, x.treatment, r->arm);
	}
	/* of one arm it may be what was found; and values that are often met, a timeout for one, lie around quantiles */
	if (of_t && (of_c || x.kind == GR_ABSOLUTE) && x.treatment->kind != GR_SAMPLE_QUANTILE)
		gr_append(r->reason, GR_REASON_SIZE, ": is the expression what you meant?");
	return true;
}
