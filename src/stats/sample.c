/*
 * sample.c
 *	  Samples from estimates and from moments, and how far two of them lie beyond a limit.
 *
 * A sample says of itself which test suits it: a share when all values are 0 or 1, a
 * mean when each unit has one event, else a ratio.  Its sums are centred.
 */
#include "sample.h"

#include <math.h>

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
