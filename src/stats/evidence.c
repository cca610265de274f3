/*
 * evidence.c
 *	  The test of two samples, by what both are, and bounds by inverting it.
 *
 * Every bound agrees with the test: the search asks the test itself, limit by limit.
 * An estimate that is not beyond the limit is never evidence that the effect is.
 */
#include "sample.h"

#include <math.h>

/* ---- tests ---------------------------------------------------------------------------- */

/* Only estimates and variances are known. */
static GrCode
normal_evidence(GrContrastKind kind, const GrSample *t, const GrSample *c,
				double limit, int direction, GrSaid *out)
{
	double		ratio = kind == GR_RELATIVE ? 1.0 + limit : 1.0;
	double		vt = t->estimate.variance,
				vc = kind == GR_ABSOLUTE ? 0.0 : ratio * ratio * c->estimate.variance;
	double		d = gr_beyond(kind, t, c, limit);

	if (!isfinite(vt) || !isfinite(vc) || vt < 0.0 || vc < 0.0 || vt + vc == 0.0)
		return GR_UNDEFINED;
	out->df = kind == GR_ABSOLUTE ? t->estimate.df :
		gr_satterthwaite(vt, t->estimate.df, vc, c->estimate.df);
	out->z = direction * fmin(fmax(d / hypot(sqrt(vt), sqrt(vc)), -GR_MOST_Z), GR_MOST_Z);
	return isnan(out->z) || !(out->df > 0.0) ? GR_UNDEFINED : GR_OK;
}

typedef GrCode (*Test) (GrContrastKind kind, const GrSample *t, const GrSample *c,
						double limit, int direction, GrSaid *out);

/* The test of two samples that are alike, by what they are. */
static const Test tests[] = {
	[GR_SAMPLE_NORMAL] = normal_evidence,
	[GR_SAMPLE_MEAN] = gr_score_evidence,
	[GR_SAMPLE_SHARE] = gr_share_evidence,
	[GR_SAMPLE_RATIO] = gr_score_evidence,
	[GR_SAMPLE_QUANTILE] = gr_curve_evidence
};

/* Of two that differ, as much as is known of both is used. */
static Test
test_for(const GrSample *t, const GrSample *c)
{
	if (t->kind == c->kind)
		return tests[t->kind];
	return t->kind == GR_SAMPLE_NORMAL || c->kind == GR_SAMPLE_NORMAL || t->kind == GR_SAMPLE_QUANTILE ?
		normal_evidence : gr_score_evidence;
}

GrCode
gr_evidence(GrContrastKind kind, const GrSample *t, const GrSample *c,
			double limit, int direction, GrSaid *out)
{
	bool		alone = kind == GR_ABSOLUTE;
	GrCode		code;

	*out = (GrSaid) {NAN, NAN, NAN, NAN, NAN};
	if (!isfinite(limit) || !isfinite(t->estimate.value) || (!alone && !isfinite(c->estimate.value)))
		return GR_UNDEFINED;
	if (kind == GR_RELATIVE && (c->estimate.value < 0.0 || limit < -1.0))
		return GR_UNDEFINED;
	code = test_for(t, alone ? t : c) (kind, t, c, limit, direction, out);
	if (code != GR_OK)
		out->z = out->df = NAN;
	/* no correction makes evidence of an estimate on the other side */
	else if (direction * gr_beyond(kind, t, c, limit) <= 0.0)
		out->z = fmin(out->z, 0.0);
	return code;
}

/* ---- bounds ---------------------------------------------------------------------------- */

typedef struct Search
{
	GrExcess	excess;
	void	   *arg;
	bool		of_shares;		/* differences: below 1 */
} Search;

static double
excess_at(const Search *s, double limit)
{
	return gr_finite_excess(s->excess, s->arg, limit);
}

/* The step that a search outwards begins with. */
static double
first_step(GrContrastKind kind, const GrSample *t, const GrSample *c)
{
	double		vt = t->estimate.variance,
				vc = kind == GR_ABSOLUTE ? 0.0 : c->estimate.variance;
	double		scale = fabs(t->estimate.value) + (kind == GR_ABSOLUTE ? 0.0 : fabs(c->estimate.value));
	double		step = isfinite(vt + vc) && vt + vc > 0.0 ? 2.0 * sqrt(vt + vc) : 0.1 * scale;

	if (kind == GR_RELATIVE)
		step = c->estimate.value > 0.0 ? step / c->estimate.value : 1.0;
	return step > 0.0 && isfinite(step) ? step : 0.01;
}

/* How far limits are looked for: a lift beyond this is no number. */
#define LARGEST_LIFT 1e9

/* From a limit that is not rejected outwards to one that is. */
static double
search_out(Search *s, GrContrastKind kind, double from, double step, int direction)
{
	double		kept = from;

	for (int i = 0; i < 80; i++, step *= 2.0)
	{
		double		at = from - direction * step;

		if (kind == GR_RELATIVE)
			at = fmin(fmax(at, -1.0), LARGEST_LIFT);
		if (!isfinite(at) || at == kept || (s->of_shares && fabs(at) >= 1.0))
			break;
		if (excess_at(s, at) >= 0.0)
			return gr_excess_root(s->excess, s->arg, at, kept);
		kept = at;
	}
	return direction > 0 ? -INFINITY : INFINITY;
}

/*
 * A control of 0: no lift is a number, but the bound from below may be, where the
 * treatment is not 0.
 */
static double
bound_above_zero_control(Search *s, int direction)
{
	double		rejected = -1.0;

	if (direction < 0 || excess_at(s, rejected) < 0.0)
		return direction < 0 ? INFINITY : -INFINITY;
	for (double at = 0.0; at <= LARGEST_LIFT; at = 2.0 * at + 1.0)
	{
		if (excess_at(s, at) < 0.0)
			return gr_excess_root(s->excess, s->arg, rejected, at);
		rejected = at;
	}
	return rejected;
}

double
gr_evidence_bound(GrContrastKind kind, const GrSample *t, const GrSample *c,
				  int direction, double hint, GrExcess excess, void *arg)
{
	Search		s = {excess, arg, kind == GR_DIFFERENCE && t->kind == GR_SAMPLE_SHARE && c->kind == GR_SAMPLE_SHARE};
	double		effect = kind == GR_RELATIVE ?
		gr_beyond(GR_DIFFERENCE, t, c, 0.0) / c->estimate.value : gr_beyond(kind, t, c, 0.0);
	double		bound;

	if (kind == GR_RELATIVE && c->estimate.value == 0.0)
		bound = bound_above_zero_control(&s, direction);
	else if (!isfinite(effect))
		return direction > 0 ? -INFINITY : INFINITY;
	else
		bound = search_out(&s, kind, effect, first_step(kind, t, c), direction);
	/* test and bound do not contradict each other, whatever was rounded */
	if (isfinite(hint) && excess_at(&s, hint) >= 0.0)
		bound = direction > 0 ? fmax(bound, nextafter(hint, INFINITY)) : fmin(bound, nextafter(hint, -INFINITY));
	else if (isfinite(hint))
		bound = direction > 0 ? fmin(bound, hint) : fmax(bound, hint);
	return bound;
}
