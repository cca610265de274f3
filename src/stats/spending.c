/*
 * spending.c
 *	  Alpha spending functions and the bounds they lead to (Lan and DeMets
 *	  1983).
 */
#include "stats.h"

#include <math.h>

double
gr_alpha_spent(GrSpending spending, double phi, double t, double alpha,
			   int sides)
{
	double		spent = NAN;

	if ((sides != 1 && sides != 2) || isnan(t) ||
		!(alpha > 0.0 && alpha < 1.0))
		return NAN;
	if (spending == GR_SPENDING_POWER && (!(phi > 0.0) || isinf(phi)))
		return NAN;
	t = fmin(fmax(t, 0.0), 1.0);

	switch (spending)
	{
		case GR_SPENDING_OBRIEN_FLEMING:
			spent = 2.0 * sides
				* gr_normal_sf(gr_normal_isf(alpha / (2.0 * sides)) / sqrt(t));
			break;
		case GR_SPENDING_POCOCK:
			spent = alpha * log1p((exp(1.0) - 1.0) * t);
			break;
		case GR_SPENDING_POWER:
			spent = alpha * pow(t, phi);
			break;
	}
	if (isnan(spent))
		return NAN;
	return t == 1.0 ? alpha : fmin(spent, alpha);
}

double
gr_alpha_of_spent(GrSpending spending, double phi, double t, double spent, int sides)
{
	double		alpha = NAN;

	if ((sides != 1 && sides != 2) || !(t > 0.0) || !(spent >= 0.0 && spent <= 1.0))
		return NAN;
	if (spending == GR_SPENDING_POWER && (!(phi > 0.0) || isinf(phi)))
		return NAN;
	t = fmin(t, 1.0);
	switch (spending)
	{
		case GR_SPENDING_OBRIEN_FLEMING:
			alpha = 2.0 * sides
				* gr_normal_sf(gr_normal_isf(spent / (2.0 * sides)) * sqrt(t));
			break;
		case GR_SPENDING_POCOCK:
			alpha = spent / log1p((exp(1.0) - 1.0) * t);
			break;
		case GR_SPENDING_POWER:
			alpha = spent / pow(t, phi);
			break;
	}
	if (isnan(alpha))
		return NAN;
	return t == 1.0 ? spent : fmin(alpha, 1.0);
}

GrCode
gr_spending_bounds(const double *fractions, int k, double alpha, int sides,
				   GrSpending spending, double phi, double *bounds,
				   GrLookState scratch[2])
{
	for (int i = 0; i < k; i++)
		bounds[i] = NAN;
	if (k < 1 || k > GR_MAX_LOOKS ||
		isnan(gr_alpha_spent(spending, phi, 1.0, alpha, sides)))
		return GR_BAD_ARGUMENT;
	for (int i = 0; i < k; i++)
	{
		if (!(fractions[i] > (i == 0 ? 0.0 : fractions[i - 1])) ||
			fractions[i] > 1.0)
			return GR_BAD_ARGUMENT;
	}

	gr_look_init(&scratch[0], sides);
	for (int i = 0; i < k; i++)
	{
		double		spent = gr_alpha_spent(spending, phi, fractions[i], alpha,
										   sides);
		GrCode		code = gr_look_bound(&scratch[i % 2], fractions[i], spent,
										 &bounds[i], &scratch[(i + 1) % 2]);

		if (code != GR_OK)
			return code;
	}
	return GR_OK;
}
