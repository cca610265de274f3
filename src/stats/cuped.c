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
#include <string.h>

/*
 * The outcome, less theta times the covariate, as a sum of the variables: a ratio is
 * linearised, (x - r y) / ybar.
 */
static void
outcome_coefficients(const GrMoments *m, double r, double ybar, double theta, double *coefficient)
{
	coefficient[0] = m->dim == 2 ? 1 : 1 / ybar;
	coefficient[1] = -r / ybar;
	coefficient[m->dim - 1] = -theta;
}

static double
outcome_variance(const GrMoments *m, double r, double ybar, double theta)
{
	double		coefficient[GR_MAX_DIM];
	double		square;

	outcome_coefficients(m, r, ybar, theta, coefficient);
	square = gr_moments_cross(m, coefficient, coefficient);
	/* rounding: it is a sum of squares */
	return (square < 0 ? 0 : square) / (double) (m->n - 1);
}

/* Sample covariance of the outcome with the covariate. */
static double
outcome_cov(const GrMoments *m, double r, double ybar)
{
	int			u = m->dim - 1;

	if (m->dim == 2)
		return gr_moments_cov(m, 0, u);
	return (gr_moments_cov(m, 0, u) - r * gr_moments_cov(m, 1, u)) / ybar;
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
		xu += (double) (m->n - 1) * outcome_cov(m, r, ybar);
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
				ybar;

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
	*raw_variance = outcome_variance(m, r, ybar, 0) / (double) m->n;
	out->variance = outcome_variance(m, r, ybar, theta) / (double) m->n;
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
				to = 0,
				triple = 0,
				triple_to = 0;

	if (m->dim >= GR_MAX_DIM || !isfinite(u))
		return false;
	gr_moments_init(out, m->dim + 1);
	out->n = m->n;
	for (int i = 0; i < m->dim; i++)
	{
		out->sum_hi[i] = m->sum_hi[i];
		out->sum_lo[i] = m->sum_lo[i];
		for (int j = i; j < m->dim; j++)
		{
			out->product[to] = m->product[from];
			out->product_lo[to++] = m->product_lo[from++];
			for (int l = j; l < m->dim; l++)
			{
				out->triple_hi[triple_to] = m->triple_hi[triple];
				out->triple_lo[triple_to++] = m->triple_lo[triple++];
			}
			triple_to++;		/* with the constant: 0 */
		}
		to++;
		triple_to++;
		memcpy(out->largest[i], m->largest[i], sizeof(double) * (size_t) m->dim);
		out->largest[i][m->dim] = m->n > 0 ? u : 0;
	}
	memcpy(out->largest[m->dim], out->largest[0], sizeof(out->largest[0]));
	if (!gr_moments_have_triples(m))
		gr_moments_forget_triples(out);
	out->sum_hi[m->dim] = u * (double) m->n;
	out->sum_lo[m->dim] = fma(u, (double) m->n, -out->sum_hi[m->dim]);
	return isfinite(out->sum_hi[m->dim]);
}
