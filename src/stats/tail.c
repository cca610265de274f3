/*
 * tail.c
 *	  Normal deviates of tails: of a p-value's logarithm, and of a skewed statistic.
 *
 * Every z lies within GR_MOST_Z either way, or is NaN where its argument is.
 */
#include "sample.h"

#include <math.h>

#include <gsl/gsl_cdf.h>

/* Below this skewness the normal distribution is the same. */
#define LEAST_SKEW 1e-3

/* Below this one a closed form is the same to eight digits. */
#define LITTLE_SKEW 0.05

double
gr_clamp_z(double z)
{
	return isnan(z) ? NAN : fmin(fmax(z, -GR_MOST_Z), GR_MOST_Z);
}

double
gr_z_of_log_p(double log_p)
{
	if (log_p >= 0.0)
		return -GR_MOST_Z;
	return log_p < -700.0 ? fmin(GR_MOST_Z, sqrt(-2.0 * log_p)) : gr_clamp_z(gr_normal_isf(exp(log_p)));
}

/*
 * Of a nearly normal gamma distribution, whose series are long: the normal deviate of
 * the signed root of the deviance (Barndorff-Nielsen 1986), off by a thousandth of the
 * skewness's cube.
 */
static double
deviance_z(double u, double k)
{
	double		root = sqrt(k);
	double		w;

	if (fabs(u) < 1e-3)
		return u + (1.0 - u * u) / (3.0 * root);
	w = copysign(sqrt(2.0 * (u * root - k * log1p(u / root))), u);
	return w + log(u / w) / w;
}

double
gr_gamma_z(double s, double g)
{
	double		skew = fabs(g);
	double		k = 4.0 / (skew * skew);
	double		u = g < 0.0 ? -s : s;
	double		x = k + u * sqrt(k);
	double		z;

	if (!(skew >= LEAST_SKEW) || isinf(k))
		return gr_clamp_z(s);
	if (x <= 0.0)
		z = -GR_MOST_Z;
	else if (skew < LITTLE_SKEW)
		z = deviance_z(u, k);
	else if (u > 0.0)
		z = gr_normal_isf(gsl_cdf_gamma_Q(x, k, 1.0));
	else
		z = -gr_normal_isf(gsl_cdf_gamma_P(x, k, 1.0));
	if (isnan(z))
		return gr_clamp_z(s);
	return gr_clamp_z(g < 0.0 ? -z : z);
}
