/*
 * contrast.c
 *	  Treatment against control: effects, statistics, and bounds at a multiplier.
 *
 * Bound and statistic make the same comparisons, so a margin lies outside the bounds
 * exactly when its statistic is beyond the multiplier.
 */
#include "stats.h"

#include <math.h>

/*
 * Is the contrast defined at all?  Reads c only where there is one.
 */
static GrCode
check_inputs(GrContrastKind kind, const GrEstimate *t, const GrEstimate *c)
{
	if (kind != GR_ABSOLUTE && kind != GR_DIFFERENCE && kind != GR_RELATIVE)
		return GR_BAD_ARGUMENT;
	if (!isfinite(t->value) || !isfinite(t->variance) || t->variance < 0.0)
		return GR_UNDEFINED;
	if (kind == GR_ABSOLUTE)
		return t->variance > 0.0 ? GR_OK : GR_UNDEFINED;
	if (!isfinite(c->value) || !isfinite(c->variance) || c->variance < 0.0)
		return GR_UNDEFINED;
	if (t->variance == 0.0 && c->variance == 0.0)
		return GR_UNDEFINED;
	if (kind == GR_RELATIVE && !(c->value > 0.0))
		return GR_UNDEFINED;
	return GR_OK;
}

double
gr_effect(GrContrastKind kind, const GrEstimate *t, const GrEstimate *c)
{
	double		lift;

	switch (kind)
	{
		case GR_ABSOLUTE:
			return t->value;
		case GR_DIFFERENCE:
			return t->value - c->value;
		case GR_RELATIVE:
			if (!(c->value > 0.0))
				return NAN;
			lift = (t->value - c->value) / c->value;
			return isfinite(lift) ? lift : t->value / c->value - 1.0;
	}
	return NAN;
}

double
gr_satterthwaite(double a, double df_a, double b, double df_b)
{
	double		share_a = a >= b ? 1.0 / (1.0 + b / a) : b > 0.0
		? (a / b) / (1.0 + a / b) : NAN;
	double		share_b = a >= b ? (b / a) / (1.0 + b / a) : b > 0.0
		? 1.0 / (1.0 + a / b) : NAN;
	double		sum = 0.0;

	if ((a > 0.0 && !(df_a > 0.0)) || (b > 0.0 && !(df_b > 0.0)))
		return NAN;
	if (a > 0.0)
		sum += share_a * share_a / df_a;
	if (b > 0.0)
		sum += share_b * share_b / df_b;
	return isinf(sum) ? NAN : 1.0 / sum;
}

/* First order standard error of t/c, scaled by c so that nothing overflows. */
static double
delta_se(const GrEstimate *t, const GrEstimate *c)
{
	return hypot(sqrt(t->variance) / c->value,
				 t->value / c->value * (sqrt(c->variance) / c->value));
}

/* T of the lift's test, cut at the control's own distance from zero. */
static double
relative_statistic(const GrEstimate *t, const GrEstimate *c, double margin)
{
	double		ratio = 1.0 + margin;
	double		numerator = (t->value - c->value) - margin * c->value;
	double		scale = hypot(sqrt(t->variance), ratio * sqrt(c->variance));
	double		statistic;

	if (numerator == 0.0)
		return 0.0;
	statistic = numerator / scale;
	if (c->variance > 0.0)
	{
		double		limit = c->value / sqrt(c->variance);

		statistic = fmin(fmax(statistic, -limit), limit);
	}
	return statistic;
}

GrCode
gr_contrast_statistic(GrContrastKind kind, const GrEstimate *t,
					  const GrEstimate *c, double margin,
					  double *statistic, double *df, double *se)
{
	GrCode		code = check_inputs(kind, t, c);
	double		ratio = 1.0 + margin;
	double		scaled;

	*statistic = NAN;
	*df = NAN;
	*se = NAN;
	if (code != GR_OK)
		return code;
	if (!isfinite(margin))
		return GR_UNDEFINED;

	switch (kind)
	{
		case GR_ABSOLUTE:
			*se = sqrt(t->variance);
			*df = t->df > 0.0 ? t->df : NAN;
			*statistic = (t->value - margin) / *se;
			break;
		case GR_DIFFERENCE:
			*se = hypot(sqrt(t->variance), sqrt(c->variance));
			*df = gr_satterthwaite(t->variance, t->df, c->variance, c->df);
			*statistic = (t->value - c->value - margin) / *se;
			break;
		case GR_RELATIVE:
			*se = delta_se(t, c);
			scaled = ratio * ratio * c->variance;
			if (t->variance > 0.0 || scaled > 0.0)
				*df = gr_satterthwaite(t->variance, t->df, scaled, c->df);
			else
				*df = c->df > 0.0 ? c->df : NAN;
			*statistic = relative_statistic(t, c, margin);
			break;
	}
	if (!isnan(*statistic) && !isnan(*df) && isfinite(*se))
		return GR_OK;
	*statistic = NAN;
	*df = NAN;
	return GR_UNDEFINED;
}

/*
 * Fieller (1954) on the lift itself.  In units of the control's mean, with
 * d = (t - c)/c, g and h the coefficients of variation of treatment and
 * control and k = crit, the margins not rejected lie between
 *	 (d + k^2 h^2 -+ k sqrt(g^2 a + h^2 (1 + d)^2)) / a,  a = 1 - k^2 h^2,
 * where subtracting 1 first keeps the digits of a small lift.
 */
static void
fieller_bounds(const GrEstimate *t, const GrEstimate *c, double crit,
			   double *lower, double *upper)
{
	double		lift = gr_effect(GR_RELATIVE, t, c);
	double		kg = crit * (sqrt(t->variance) / c->value);
	double		kh = crit * (sqrt(c->variance) / c->value);
	double		a = (1.0 - kh) * (1.0 + kh);
	double		half;

	/* the same comparison as the cut of the statistic */
	if (c->variance > 0.0 && c->value / sqrt(c->variance) <= crit)
		return;
	if (!(a > 0.0))
		return;
	half = hypot(kg * sqrt(a), kh * (t->value / c->value));
	*lower = (lift + kh * kh - half) / a;
	*upper = (lift + kh * kh + half) / a;
}

GrCode
gr_contrast_bounds(GrContrastKind kind, const GrEstimate *t,
				   const GrEstimate *c, double crit,
				   double *lower, double *upper)
{
	GrCode		code = check_inputs(kind, t, c);
	double		effect;
	double		half;

	*lower = -INFINITY;
	*upper = INFINITY;
	if (!(crit >= 0.0))
		return GR_BAD_ARGUMENT;
	if (code != GR_OK || isinf(crit))
		return code;

	if (kind == GR_RELATIVE)
		fieller_bounds(t, c, crit, lower, upper);
	else
	{
		effect = gr_effect(kind, t, c);
		half = crit * (kind == GR_ABSOLUTE ? sqrt(t->variance)
					   : hypot(sqrt(t->variance), sqrt(c->variance)));
		*lower = effect - half;
		*upper = effect + half;
	}
	if (!isnan(*lower) && !isnan(*upper))
		return GR_OK;
	*lower = -INFINITY;
	*upper = INFINITY;
	return GR_UNDEFINED;
}
