/*
 * obstacle.c
 *	  What keeps a rule from being tested, and what the check that people write by hand
 *	  would say meanwhile.
 *
 * A guardrail that could not be tested is not one that held: it is UNMEASURED, and
 * nothing ships.  Where harm can be tested it is heard all the same; what an obstacle
 * forbids is the claim that there is none, or that a goal was reached.
 */
#include "decide/decide.h"

#include <math.h>

bool
gr_obstacle_allows_claims(GrObstacle obstacle)
{
	return obstacle == GR_NO_OBSTACLE || obstacle == GR_FEW_EVENTS;
}

/* Is the limit that harm would have to reach, or the goal, out of the data's reach? */
static GrObstacle
quantile_obstacle(const GrTested *x, const GrRule *rule, int direction)
{
	const double *of_t = direction > 0 ? x->treatment->lower : x->treatment->upper;
	const double *of_c = direction > 0 ? x->control->upper : x->control->lower;
	double		c = gr_normal_isf(rule->alpha);

	for (int i = 0; i < GR_CURVE_POINTS && gr_curve_multiplier(i) <= c + 0.125; i++)
		if (!isfinite(of_t[i]) || (x->kind != GR_ABSOLUTE && !isfinite(of_c[i])))
			return GR_FEW_IN_TAIL;
	return GR_NO_OBSTACLE;
}

bool
gr_limit_out_of_reach(const GrRule *rule, double control)
{
	double		limit = gr_signed_limit(rule);
	bool		upwards = (rule->role == GR_GUARDRAIL) == rule->worse_is_higher;

	switch (rule->limit_kind)
	{
		case GR_LIMIT_ABSOLUTE:
			return upwards ? limit > 1 : limit < 0;
		case GR_LIMIT_DIFFERENCE:
			return fabs(limit) > 1;
		case GR_LIMIT_RELATIVE:
			return upwards ? limit > 0 && control * (1 + limit) >= 1 : limit <= -1;
		case GR_LIMIT_SIGNIFICANCE:
			break;
	}
	return false;
}

/* Has no unit of an arm anything but 0? */
static bool
is_empty(const GrSample *s)
{
	return (s->kind == GR_SAMPLE_MEAN || s->kind == GR_SAMPLE_RATIO) &&
		s->square[0] == 0 && s->estimate.value == 0;
}

static GrObstacle
find_obstacle(GrResult *r, const GrTested *x, int direction)
{
	const GrRule *rule = r->rule;
	double		limit = gr_signed_limit(rule);
	bool		alone = x->kind == GR_ABSOLUTE;
	GrSaid		e;

	if (x->kind == GR_RELATIVE && x->control->estimate.value < 0)
		return GR_NEGATIVE_CONTROL;
	if (rule->kind->is_share && gr_limit_out_of_reach(rule, x->control->estimate.value))
		return GR_OUT_OF_REACH;
	if (x->treatment->kind == GR_SAMPLE_QUANTILE && (alone || x->control->kind == GR_SAMPLE_QUANTILE) &&
		quantile_obstacle(x, rule, direction) != GR_NO_OBSTACLE)
		return GR_FEW_IN_TAIL;
	/* what has not been seen yet may be large */
	if (is_empty(x->treatment) && (alone || is_empty(x->control)))
		return GR_CONSTANT;
	if (gr_evidence(x->kind, x->treatment, x->control, limit, direction, &e) != GR_OK)
		return isinf(r->treatment.variance) || isinf(r->control.variance) ? GR_FEW_IN_TAIL : GR_CONSTANT;
	r->heaviest = e.heaviest;
	if (e.heaviest > GR_MOST_HEAVY)
		return GR_HEAVY_UNIT;
	if (x->treatment->kind == GR_SAMPLE_SHARE && (alone || x->control->kind == GR_SAMPLE_SHARE))
	{
		r->events_needed = rule->role == GR_GUARDRAIL ?
			gr_share_needs(x->kind, x->treatment, x->control, limit, direction, rule->alpha, &r->needs_without) : 0;
		return r->events_needed == 0 ? GR_NO_OBSTACLE : GR_FEW_EVENTS;
	}
	return fabs(e.skew) > GR_MOST_SKEW ? GR_SKEWED : GR_NO_OBSTACLE;
}

void
gr_find_obstacle(GrResult *r)
{
	bool		harm = r->rule->role == GR_GUARDRAIL;
	GrSample	t,
				c;
	GrTested	x = gr_tested_of(r, &t, &c);

	r->obstacle = GR_NO_OBSTACLE;
	r->heaviest = r->events_needed = NAN;
	if (r->failure)
		r->obstacle = GR_FAILED;
	else if (r->status != GR_NO_DATA)
		r->obstacle = find_obstacle(r, &x, r->rule->worse_is_higher == harm ? 1 : -1);
}

/* The plain z of the difference from the limit, each arm with its own variance. */
static double
plain_z(const GrTested *x, double limit)
{
	double		ratio = x->kind == GR_RELATIVE ? 1 + limit : 1;
	double		variance = x->treatment->estimate.variance;

	if (x->kind != GR_ABSOLUTE)
		variance += ratio * ratio * x->control->estimate.variance;
	return gr_beyond(x->kind, x->treatment, x->control, limit) / sqrt(variance);
}

/*
 * With a margin, whether the estimate lies beyond it; without, whether a test of these
 * data alone finds harm: this rule's, or the plain one, whichever is more alarmed.
 */
void
gr_find_watch(GrResult *r)
{
	const GrRule *rule = r->rule;
	int			direction = rule->worse_is_higher ? 1 : -1;
	double		limit = gr_signed_limit(rule);
	bool		margin = rule->limit_kind == GR_LIMIT_ABSOLUTE || limit != 0;
	GrSample	t,
				c;
	GrTested	x = gr_tested_of(r, &t, &c);
	GrSaid		e;
	double		z;

	r->watch = false;
	r->watch_p = NAN;
	if (rule->role != GR_GUARDRAIL || r->status == GR_NO_DATA || r->status == GR_BREACHED ||
		r->obstacle == GR_NEGATIVE_CONTROL || r->obstacle == GR_FAILED)
		return;
	if (margin)
	{
		r->watch = direction * gr_beyond(x.kind, x.treatment, x.control, limit) > 0;
		return;
	}
	z = direction * plain_z(&x, limit);
	if (gr_evidence(x.kind, x.treatment, x.control, limit, direction, &e) == GR_OK)
		z = isnan(z) ? e.z : fmax(z, e.z);
	if (isnan(z))
		return;
	r->watch_p = gr_normal_sf(z);
	r->watch = r->watch_p < rule->alpha;
}
