/*
 * power.c
 *	  Sample size and minimum detectable effect, normal approximation.
 */
#include "stats.h"

#include <math.h>

/* z_{1 - alpha/sides} + z_power, or NaN. */
static double
critical_sum(double alpha, double power, int sides)
{
	if ((sides != 1 && sides != 2) || !(alpha > 0.0 && alpha < 1.0) ||
		!(power > 0.0 && power < 1.0))
		return NAN;
	return gr_normal_isf(alpha / sides) - gr_normal_isf(power);
}

GrCode
gr_sample_size(double sd, double effect, double margin, double alpha,
			   double power, int sides, double ratio, double *n_control)
{
	double		z = critical_sum(alpha, power, sides);
	double		root;

	*n_control = NAN;
	if (isnan(z) || !(sd >= 0.0) || isinf(sd) || !isfinite(effect) ||
		!isfinite(margin) || !(ratio > 0.0) || isinf(ratio))
		return GR_BAD_ARGUMENT;
	if (effect == margin || sd == 0.0)
		return GR_UNDEFINED;
	if (z <= 0.0)
	{
		*n_control = 0.0;		/* any number has that power */
		return GR_OK;
	}
	root = z * (sd / (effect - margin));
	root = root * root * (1.0 + 1.0 / ratio);
	if (!isfinite(root))
		return GR_UNDEFINED;
	*n_control = root;
	return GR_OK;
}

GrCode
gr_mde(double sd, double n_t, double n_c, double alpha, double power,
	   int sides, double *effect)
{
	double		z = critical_sum(alpha, power, sides);
	double		result;

	*effect = NAN;
	if (isnan(z) || !(sd >= 0.0) || isinf(sd) || !(n_t > 0.0) ||
		!(n_c > 0.0) || isinf(n_t) || isinf(n_c))
		return GR_BAD_ARGUMENT;
	if (sd == 0.0)
		return GR_UNDEFINED;
	result = fmax(z, 0.0) * sd * sqrt(1.0 / n_t + 1.0 / n_c);
	if (!isfinite(result))
		return GR_UNDEFINED;
	*effect = result;
	return GR_OK;
}
