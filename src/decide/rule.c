/*
 * rule.c
 *	  What a rule asks of its two arms: which contrast, beyond which limit, of which units.
 *
 * Obstacles, statuses and reasons all read a rule through these functions, so they
 * never differ about its limit.  Nothing here reads a p-value or a status.
 */
#include "decide/decide.h"

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

GrTested
gr_tested_of(const GrResult *r, GrSample *t, GrSample *c)
{
	GrTested	x = {gr_contrast_of(r->rule->limit_kind), r->treatment_sample, r->control_sample, r->at};

	if (x.treatment == NULL)
	{
		gr_sample_of_estimate(&r->treatment, 0, t);
		x.treatment = t;
	}
	if (x.control == NULL)
	{
		gr_sample_of_estimate(&r->control, 0, c);
		x.control = c;
	}
	return x;
}

int64_t
gr_mature_units(const GrResult *r)
{
	return r->arm->units - r->immature;
}

int64_t
gr_mature_control(const GrResult *r, const GrArm *control)
{
	return control->units - r->immature_control;
}
