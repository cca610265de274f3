/*
 * cuped.c
 *	  Variance reduction with a pre-experiment covariate (CUPED; Deng, Xu,
 *	  Kohavi and Walker 2013).
 *
 * The covariate is the last variable of the moments.  One coefficient theta for
 * all arms, from the cross products within arms, so that a difference of the
 * arms' outcomes does not leak into it.
 */
#include "stats.h"

#include <math.h>

/* Sample covariance of the outcome with itself or with the covariate. */
static double
outcome_cov(const GrMoments *m, double r, double ybar, bool with_covariate)
{
	int			u = m->dim - 1;

	if (m->dim == 2)
		return with_covariate ? gr_moments_cov(m, 0, u) : gr_moments_cov(m, 0, 0);
	/* a ratio, linearised: (x - r y) / ybar */
	if (with_covariate)
		return (gr_moments_cov(m, 0, u) - r * gr_moments_cov(m, 1, u)) / ybar;
	return (gr_moments_cov(m, 0, 0) - 2 * r * gr_moments_cov(m, 0, 1) +
			r * r * gr_moments_cov(m, 1, 1)) / (ybar * ybar);
}

/* Ratio and mean denominator of an arm; false when there is none. */
static bool
outcome_ratio(const GrMoments *m, double *r, double *ybar)
{
	*r = 0;
	*ybar = 1;
	if (m->dim == 2)
		return true;
	*ybar = gr_moments_mean(m, 1);
	*r = gr_moments_mean(m, 0) / *ybar;
	return isfinite(*r);
}

GrCode
gr_cuped_theta(const GrMoments *arms, int narms, double *theta)
{
	double		xu = 0,
				uu = 0;

	*theta = NAN;
	for (int a = 0; a < narms; a++)
	{
		const GrMoments *m = &arms[a];
		double		r,
					ybar;

		if (m->dim < 2 || m->dim > GR_MAX_DIM)
			return GR_BAD_ARGUMENT;
		if (m->n < 2 || !outcome_ratio(m, &r, &ybar))
			continue;
		xu += (double) (m->n - 1) * outcome_cov(m, r, ybar, true);
		uu += (double) (m->n - 1) * gr_moments_cov(m, m->dim - 1, m->dim - 1);
	}
	if (!(uu > 0) || !isfinite(xu / uu))
		return GR_UNDEFINED;
	*theta = xu / uu;
	return GR_OK;
}

GrCode
gr_cuped_estimate(const GrMoments *m, double theta, double pooled_mean,
				  GrEstimate *out, double *raw_variance)
{
	int			u = m->dim - 1;
	double		r,
				ybar,
				s2;

	*out = (GrEstimate) {NAN, NAN, NAN};
	*raw_variance = NAN;
	if (m->dim < 2 || m->dim > GR_MAX_DIM)
		return GR_BAD_ARGUMENT;
	if (m->n < 1 || !outcome_ratio(m, &r, &ybar))
		return GR_UNDEFINED;
	out->value = (m->dim == 2 ? gr_moments_mean(m, 0) : r) -
		theta * (gr_moments_mean(m, u) - pooled_mean);
	if (m->n < 2)
		return GR_UNDEFINED;
	s2 = outcome_cov(m, r, ybar, false);
	*raw_variance = s2 / (double) m->n;
	out->variance = (s2 - 2 * theta * outcome_cov(m, r, ybar, true) +
					 theta * theta * gr_moments_cov(m, u, u)) / (double) m->n;
	if (out->variance < 0)
		out->variance = 0;		/* rounding: it is a sum of squares */
	if (!isfinite(out->value) || !isfinite(out->variance))
	{
		/* an overflow must not pass for a variance of zero */
		*out = (GrEstimate) {out->value, NAN, NAN};
		return GR_UNDEFINED;
	}
	out->df = (double) m->n - 1;
	return GR_OK;
}

bool
gr_moments_extend(const GrMoments *m, double u, GrMoments *out)
{
	int			from = 0,
				to = 0;

	if (m->dim >= GR_MAX_DIM || !isfinite(u))
		return false;
	gr_moments_init(out, m->dim + 1);
	out->n = m->n;
	for (int i = 0; i < m->dim; i++)
	{
		out->sum_hi[i] = m->sum_hi[i];
		out->sum_lo[i] = m->sum_lo[i];
		for (int j = i; j < m->dim; j++)
			out->product[to++] = m->product[from++];
		to++;					/* with the constant: 0 */
	}
	out->sum_hi[m->dim] = u * (double) m->n;
	out->sum_lo[m->dim] = fma(u, (double) m->n, -out->sum_hi[m->dim]);
	return isfinite(out->sum_hi[m->dim]);
}
