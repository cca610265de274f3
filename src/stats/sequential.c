/*
 * sequential.c
 *	  Normal mixture e-values and confidence sequences.
 *
 * Robbins (1970); Howard, Ramdas, McAuliffe and Sekhon (2021), two- and
 * one-sided normal mixture; Waudby-Smith, Arbour, Sinha, Kennedy and Ramdas
 * (2024), equations 9 and 134.  With s = z sqrt(n) and v = n everything
 * depends on x = z sqrt(n / (n + rho)).
 */
#include "stats.h"

#include <float.h>
#include <math.h>

static bool
sides_valid(int sides)
{
	return sides == 1 || sides == 2;
}

/* ln(1 + n/rho), whose quotient may overflow. */
static double
log_growth(double n, double rho)
{
	double		quotient = n / rho;

	return isinf(quotient) ? log(n) - log(rho) : log1p(quotient);
}

/* sqrt((n + rho)/n): what s/sqrt(n + rho) is smaller than z by. */
static double
root_shrink(double n, double rho)
{
	double		quotient = rho / n;

	return isinf(quotient) ? sqrt(rho) / sqrt(n) : sqrt(1.0 + quotient);
}

double
gr_mixture_rho(double n_star, double alpha, int sides)
{
	double		level = sides == 1 ? 2.0 * alpha : alpha;
	double		twice_log;
	double		rho;

	if (!sides_valid(sides) || !(n_star > 0.0) || isinf(n_star) ||
		!(level > 0.0 && level < 1.0))
		return NAN;
	twice_log = -2.0 * log(level);
	rho = n_star / (twice_log + log1p(twice_log));
	return fmin(fmax(rho, DBL_TRUE_MIN), DBL_MAX);
}

double
gr_mixture_log_e(double z, double n, double rho, int sides)
{
	double		x;
	double		shrink;

	if (!sides_valid(sides) || isnan(z) || !(n >= 0.0) || isinf(n) ||
		!(rho > 0.0) || isinf(rho))
		return NAN;
	if (n == 0.0)
		return 0.0;
	x = z / fmin(root_shrink(n, rho), DBL_MAX);
	shrink = -0.5 * log_growth(n, rho);
	if (sides == 2)
		return shrink + 0.5 * x * x;
	return shrink + log(2.0) + gr_log_normal_cdf_scaled(x);
}

/*
 * One-sided: the root in x of ln 2 + x^2/2 + ln Phi(x) = goal, goal > 0.  The
 * left side is convex, increasing and at least x^2/2 for x >= 0, so Newton's
 * method comes down to the root from sqrt(2 goal).
 */
static double
one_sided_root(double goal)
{
	double		x = sqrt(2.0 * goal);

	for (int i = 0; i < 100; i++)
	{
		double		value = log(2.0) + gr_log_normal_cdf_scaled(x);
		double		mills = exp(-gr_log_normal_cdf_scaled(x)
								- 0.91893853320467274178);
		double		step = (value - goal) / (x + mills);

		x -= step;
		if (!(fabs(step) > 2.0 * DBL_EPSILON * x))
			break;
	}
	return x;
}

double
gr_mixture_multiplier(double n, double rho, double alpha, int sides)
{
	double		goal;
	double		x;

	if (!sides_valid(sides) || !(n >= 0.0) || isinf(n) ||
		!(rho > 0.0) || isinf(rho) || !(alpha > 0.0 && alpha < 1.0))
		return NAN;
	if (n == 0.0)
		return INFINITY;
	goal = 0.5 * log_growth(n, rho) - log(alpha);
	x = sides == 2 ? sqrt(2.0 * goal) : one_sided_root(goal);
	return x * root_shrink(n, rho);
}
