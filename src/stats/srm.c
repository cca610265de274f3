/*
 * srm.c
 *	  Sample ratio mismatch: were the units split as planned?
 *
 * Counts and shares are in the same order.  A test that cannot be made has no p-value (NaN).
 */
#include "stats.h"

#include <math.h>

/* Total of the counts and of the shares; checks both. */
static GrCode
check_split(const int64_t *counts, const double *shares, int n,
			double *units, double *whole)
{
	*units = 0.0;
	*whole = 0.0;
	for (int i = 0; i < n; i++)
	{
		double		share = shares == NULL ? 1.0 : shares[i];

		if (counts[i] < 0 || !(share > 0.0) || !isfinite(share))
			return GR_BAD_ARGUMENT;
		*units += (double) counts[i];
		*whole += share;
	}
	if (!isfinite(*whole))
		return GR_BAD_ARGUMENT;
	return n < 2 ? GR_UNDEFINED : GR_OK;
}

static double
planned_share(const double *shares, int n, int i, double whole)
{
	return shares == NULL ? 1.0 / n : shares[i] / whole;
}

GrCode
gr_srm(const int64_t *counts, const double *shares, int n,
	   double *statistic, double *df, double *p_value)
{
	double		units;
	double		whole;
	double		sum = 0.0;
	GrCode		code;

	*statistic = NAN;
	*df = NAN;
	*p_value = NAN;
	code = check_split(counts, shares, n, &units, &whole);
	if (code != GR_OK)
		return code;
	if (units == 0.0)
		return GR_UNDEFINED;

	for (int i = 0; i < n; i++)
	{
		double		share = planned_share(shares, n, i, whole);
		double		expected = units * share;
		double		excess = fma(-units, share, (double) counts[i]);

		sum += excess * (excess / expected);
	}
	*statistic = sum;
	*df = n - 1.0;
	*p_value = gr_chisq_sf(sum, *df);
	return isnan(*p_value) ? GR_NO_CONVERGENCE : GR_OK;
}

/*
 * What Stirling's formula leaves of ln Gamma(z):
 *	 ln Gamma(z) = (z - 1/2) ln z - z + ln(2 pi)/2 + stirling_rest(z)
 * (Abramowitz and Stegun 6.1.40).
 */
static double
stirling_rest(double z)
{
	double		v;

	if (z < 10.0)
	{
		double		shift = 0.0;

		/* rest(z) = rest(z + 1) + (z + 1/2) ln(1 + 1/z) - 1 */
		for (; z < 10.0; z += 1.0)
			shift += (z + 0.5) * log1p(1.0 / z) - 1.0;
		return shift + stirling_rest(z);
	}
	v = (1.0 / z) / z;
	return (1.0 / 12.0 + v * (-1.0 / 360.0 + v * (1.0 / 1260.0 +
			v * (-1.0 / 1680.0 + v * (1.0 / 1188.0 +
			v * (-691.0 / 360360.0)))))) / z;
}

/* (1 + x) ln(1 + x) - x, which is never negative. */
static double
relative_entropy_term(double x)
{
	if (x <= -1.0)
		return 1.0;
	if (fabs(x) < 1e-2)
	{
		double		sum = 0.0;
		double		power = x * x;

		/* x^2/2 - x^3/6 + x^4/12 - ... */
		for (int k = 2; k < 12; k++)
		{
			sum += power / (k * (k - 1.0));
			power *= -x;
		}
		return sum;
	}
	return (1.0 + x) * log1p(x) - x;
}

/*
 * ln of the Bayes factor of Dirichlet(a) against the planned shares.  Stirling's
 * formula is taken out of every ln Gamma, and what is large in them comes
 * together to Kullback-Leibler divergences, so that no digits are lost with
 * hundreds of millions of units.
 */
static double
log_bayes_factor(const int64_t *counts, const double *shares, int n,
				 double units, double whole, double prior, bool slab)
{
	double		before = slab ? n : prior;
	double		after = before + units;
	double		result;

	result = 0.5 * log1p(units / before)
		- stirling_rest(after) + stirling_rest(before);
	for (int i = 0; i < n; i++)
	{
		double		share = planned_share(shares, n, i, whole);
		double		a = slab ? 1.0 : prior * share;
		double		count = (double) counts[i];
		double		posterior = (fma(-units, share, count)
								 + (a - before * share)) / (after * share);

		result += after * share * relative_entropy_term(posterior)
			- 0.5 * log1p(count / a)
			+ stirling_rest(a + count) - stirling_rest(a);
		if (slab)
			result -= before * share
				* relative_entropy_term(1.0 / (before * share) - 1.0);
	}
	return result;
}

GrCode
gr_srm_sequential(const int64_t *counts, const double *shares, int n,
				  double prior, bool slab, double *log_e)
{
	double		units;
	double		whole;
	double		near;
	double		wide;
	GrCode		code;

	*log_e = NAN;
	if (!(prior > 0.0) || !isfinite(prior))
		return GR_BAD_ARGUMENT;
	code = check_split(counts, shares, n, &units, &whole);
	if (code != GR_OK)
		return code;

	near = log_bayes_factor(counts, shares, n, units, whole, prior, false);
	if (slab)
	{
		wide = log_bayes_factor(counts, shares, n, units, whole, prior, true);
		near = fmax(near, wide) + log1p(exp(-fabs(near - wide))) - M_LN2;
	}
	if (!isfinite(near))
		return GR_NO_CONVERGENCE;
	*log_e = near;
	return GR_OK;
}
