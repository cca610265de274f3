/*
 * joint.c
 *	  Two effects at once: gradients, the ratio of two effects, joint regions.
 */
#include "joint.h"

#include <math.h>

GrGradient
gr_effect_gradient(GrContrastKind kind, double t, double c)
{
	switch (kind)
	{
		case GR_ABSOLUTE:
			return (GrGradient) {1, 0};
		case GR_DIFFERENCE:
			return (GrGradient) {1, -1};
		case GR_RELATIVE:
			if (c > 0)
				return (GrGradient) {1 / c, -(t / c) / c};
			break;
	}
	return (GrGradient) {NAN, NAN};
}

GrCode
gr_fieller_ratio(double y, double x, double vy, double vx, double cov,
				 double crit, double *lower, double *upper)
{
	double		k = crit * crit;
	double		a = x * x - k * vx;
	double		b = y * x - k * cov;
	double		c = y * y - k * vy;
	double		root;

	*lower = -INFINITY;
	*upper = INFINITY;
	if (!(crit >= 0) || !(vx >= 0) || !(vy >= 0) || !isfinite(b) || !isfinite(c) || !(a > 0))
		return GR_UNDEFINED;
	/* y/x itself is in the set: below zero by rounding only */
	root = sqrt(fmax(0, b * b - a * c));
	*lower = (b - root) / a;
	*upper = (b + root) / a;
	if (isfinite(*lower) && isfinite(*upper))
		return GR_OK;
	*lower = -INFINITY;
	*upper = INFINITY;
	return GR_UNDEFINED;
}

double
gr_ellipse_radius(double alpha)
{
	return alpha > 0 && alpha < 1 ? sqrt(-2 * log(alpha)) : NAN;
}

double
gr_ellipse_radius_mixture(double alpha, double n, double rho)
{
	if (!(alpha > 0 && alpha < 1) || !(n > 0) || !(rho > 0))
		return NAN;
	return sqrt(2 * (n + rho) / n * (log1p(n / rho) - log(alpha)));
}
