/*
 * evidence.c
 *	  Samples from moments, the test of two samples, and bounds by inverting it.
 */
#include "sample.h"

#include <math.h>
#include <string.h>

#include <gsl/gsl_errno.h>
#include <gsl/gsl_roots.h>

/* ---- samples ----------------------------------------------------------------------- */

void
gr_sample_of_estimate(const GrEstimate *e, double n, GrSample *out)
{
	*out = (GrSample) {.kind = GR_SAMPLE_NORMAL,.estimate = *e,.n = n};
}

/* Are all values that are not 0 the number 1, as sums and squares say it? */
static bool
is_share(const GrMoments *m, double ones)
{
	double		n = (double) m->n;
	double		sum = gr_moments_mean(m, 0) * n;

	return fabs(sum - ones) <= 1e-9 * ones &&
		fabs(m->product[0] - ones * (1.0 - ones / n)) <= 1e-9 * ones;
}

/*
 * e = weight times the variables, less its mean; y the second variable.  Largest units
 * are candidates for the largest e: those in which a variable is largest.
 */
static void
fill_sums(const GrMoments *m, const double *weight, GrSample *s)
{
	static const double one[GR_MAX_DIM] = {0, 1, 0};
	bool		ratio = s->kind == GR_SAMPLE_RATIO;
	double		mean = 0.0;

	s->square[0] = fmax(gr_moments_cross(m, weight, weight), 0.0);
	s->cube[0] = gr_moments_cross3(m, weight, weight, weight);
	if (ratio)
	{
		s->square[1] = gr_moments_cross(m, weight, one);
		s->square[2] = fmax(gr_moments_cross(m, one, one), 0.0);
		s->cube[1] = gr_moments_cross3(m, weight, weight, one);
		s->cube[2] = gr_moments_cross3(m, weight, one, one);
		s->cube[3] = gr_moments_cross3(m, one, one, one);
	}
	for (int i = 0; i < m->dim; i++)
		mean += weight[i] * gr_moments_mean(m, i);
	for (int i = 0; gr_moments_have_largest(m) && i < m->dim; i++)
	{
		double		e = -mean;

		for (int j = 0; j < m->dim; j++)
			e += weight[j] * m->largest[i][j];
		s->largest[i][0] = e;
		s->largest[i][1] = ratio ? m->largest[i][1] : 0.0;
		s->nlargest = i + 1;
	}
}

void
gr_sample_of_moments(const GrMoments *m, bool with_covariate, double theta,
					 double pooled_mean, double ones, GrSample *out)
{
	int			values = m->dim - (with_covariate ? 1 : 0);
	double		weight[GR_MAX_DIM] = {1, 0, 0};
	double		raw;

	*out = (GrSample) {.kind = values == 2 ? GR_SAMPLE_RATIO : GR_SAMPLE_MEAN,.n = (double) m->n,.denominator = 1};
	if (with_covariate)
		(void) gr_cuped_estimate(m, theta, pooled_mean, &out->estimate, &raw);
	else if (values == 2)
		(void) gr_ratio_estimate(m, &out->estimate);
	else
		(void) gr_mean_estimate(m, 0, &out->estimate);
	if (m->n < 1 || isnan(out->estimate.value))
		return;
	if (values == 2)
	{
		out->denominator = gr_moments_mean(m, 1);
		/* one event for each unit: a mean */
		if (out->denominator == 1.0 && gr_moments_cov(m, 1, 1) == 0.0)
			out->kind = GR_SAMPLE_MEAN;
		weight[1] = -out->estimate.value;
	}
	if (with_covariate)
		weight[values] = -theta * out->denominator;
	else if (out->kind == GR_SAMPLE_MEAN && is_share(m, ones))
	{
		out->kind = GR_SAMPLE_SHARE;
		out->events = ones;
	}
	fill_sums(m, weight, out);
}

/* ---- tests ---------------------------------------------------------------------------- */

double
gr_beyond(GrContrastKind kind, const GrSample *t, const GrSample *c, double limit)
{
	switch (kind)
	{
		case GR_ABSOLUTE:
			return t->estimate.value - limit;
		case GR_DIFFERENCE:
			return t->estimate.value - c->estimate.value - limit;
		case GR_RELATIVE:
			return (t->estimate.value - c->estimate.value) - limit * c->estimate.value;
	}
	return NAN;
}

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
	if (t->kind == GR_SAMPLE_QUANTILE && (alone || c->kind == GR_SAMPLE_QUANTILE))
		code = gr_curve_evidence(kind, t, c, limit, direction, out);
	else if (t->kind == GR_SAMPLE_SHARE && (alone || c->kind == GR_SAMPLE_SHARE))
		code = gr_share_evidence(kind, t, c, limit, direction, out);
	else if (t->kind == GR_SAMPLE_NORMAL || (!alone && c->kind == GR_SAMPLE_NORMAL) ||
			 t->kind == GR_SAMPLE_QUANTILE)
		code = normal_evidence(kind, t, c, limit, direction, out);
	else
		code = gr_score_evidence(kind, t, c, limit, direction, out);
	if (code != GR_OK)
		out->z = out->df = NAN;
	/* no correction makes evidence of an estimate on the other side */
	else if (direction * gr_beyond(kind, t, c, limit) <= 0.0)
		out->z = fmin(out->z, 0.0);
	return code;
}

/* ---- bounds ---------------------------------------------------------------------------- */

/* Infinities and NaN are no values for a root finder. */
typedef struct Search
{
	GrExcess	excess;
	void	   *arg;
	bool		of_shares;		/* differences: below 1 */
} Search;

static double
finite_excess(double limit, void *arg)
{
	Search	   *s = arg;
	double		x = s->excess(s->arg, limit);

	return isnan(x) ? -1.0 : fmin(fmax(x, -1e3), 1e3);
}

double
gr_excess_root(GrExcess excess, void *arg, double rejected, double kept)
{
	Search		search = {excess, arg, false};
	Search	   *s = &search;
	union
	{
		double		align;
		char		room[256];
	}			state;
	gsl_root_fsolver solver = {gsl_root_fsolver_brent, NULL, 0, 0, 0, state.room};
	gsl_function f = {finite_excess, s};
	double		low = fmin(rejected, kept),
				high = fmax(rejected, kept);

	if (gsl_root_fsolver_brent->size > sizeof(state.room) ||
		gsl_root_fsolver_set(&solver, &f, low, high) != GSL_SUCCESS)
		return kept;
	for (int i = 0; i < 200; i++)
	{
		if (gsl_root_fsolver_iterate(&solver) != GSL_SUCCESS ||
			gsl_root_test_interval(solver.x_lower, solver.x_upper, 1e-300, 1e-11) == GSL_SUCCESS)
			break;
	}
	return finite_excess(solver.root, s) < 0.0 ? solver.root :
		finite_excess(solver.x_lower, s) < 0.0 ? solver.x_lower : solver.x_upper;
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
		if (finite_excess(at, s) >= 0.0)
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

	if (direction < 0 || finite_excess(rejected, s) < 0.0)
		return direction < 0 ? INFINITY : -INFINITY;
	for (double at = 0.0; at <= LARGEST_LIFT; at = 2.0 * at + 1.0)
	{
		if (finite_excess(at, s) < 0.0)
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
	if (isfinite(hint) && finite_excess(hint, &s) >= 0.0)
		bound = direction > 0 ? fmax(bound, nextafter(hint, INFINITY)) : fmin(bound, nextafter(hint, -INFINITY));
	else if (isfinite(hint))
		bound = direction > 0 ? fmin(bound, hint) : fmax(bound, hint);
	return bound;
}
