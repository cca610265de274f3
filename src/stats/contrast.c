/*
 * contrast.c
 *	  Treatment against control: statistics, Fieller's bounds, Welch's test.
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

/* ---- tests with their interval ------------------------------------------ */

static void
undefined_test(GrTest *out)
{
	out->estimate = out->se = out->df = out->statistic = NAN;
	out->p_value = out->lower = out->upper = NAN;
}

/* The two arms' estimates from summaries; checks every argument of a test. */
static GrCode
arms_from_summaries(double mean_t, double var_t, double n_t,
					double mean_c, double var_c, double n_c, double margin,
					GrAlternative alternative, double level,
					GrEstimate *t, GrEstimate *c)
{
	if (!isfinite(mean_t) || !isfinite(mean_c) || !isfinite(margin) ||
		!(var_t >= 0.0) || !(var_c >= 0.0) ||
		!isfinite(var_t) || !isfinite(var_c) ||
		!(n_t >= 0.0) || !(n_c >= 0.0) || !isfinite(n_t) || !isfinite(n_c) ||
		!(level > 0.0 && level < 1.0) ||
		(alternative != GR_TWO_SIDED && alternative != GR_GREATER &&
		 alternative != GR_LESS))
		return GR_BAD_ARGUMENT;
	t->value = mean_t;
	t->variance = var_t / n_t;
	t->df = n_t - 1.0;
	c->value = mean_c;
	c->variance = var_c / n_c;
	c->df = n_c - 1.0;
	return n_t < 2.0 || n_c < 2.0 ? GR_UNDEFINED : GR_OK;
}

static double
test_p_value(double statistic, double df, GrAlternative alternative)
{
	switch (alternative)
	{
		case GR_TWO_SIDED:
			return fmin(1.0, 2.0 * gr_t_sf(fabs(statistic), df));
		case GR_GREATER:
			return gr_t_sf(statistic, df);
		case GR_LESS:
			return gr_t_cdf(statistic, df);
	}
	return NAN;
}

/*
 * Below one half a one-sided level asks for a multiplier below zero: then the lower bound
 * is the upper one of the level's complement (but an unbounded set stays unbounded).
 */
static void
test_bounds(GrContrastKind kind, const GrEstimate *t, const GrEstimate *c,
			double level, GrAlternative alternative, GrTest *out)
{
	double		tail = alternative == GR_TWO_SIDED
		? 0.5 * (1.0 - level) : 1.0 - level;
	double		lower;
	double		upper;

	gr_contrast_t_bounds(kind, t, c, fmin(tail, 1.0 - tail), &lower, &upper);
	if (tail > 0.5 && isfinite(lower) && isfinite(upper))
	{
		double		swap = lower;

		lower = upper;
		upper = swap;
	}
	out->lower = alternative == GR_LESS ? -INFINITY : lower;
	out->upper = alternative == GR_GREATER ? INFINITY : upper;
}

GrCode
gr_contrast_test(GrContrastKind kind, const GrEstimate *t, const GrEstimate *c,
				 double margin, GrAlternative alternative, double level, GrTest *out)
{
	GrCode		code;

	undefined_test(out);
	out->estimate = gr_effect(kind, t, c);
	code = gr_contrast_statistic(kind, t, c, margin, &out->statistic, &out->df, &out->se);
	if (code != GR_OK)
		return code;
	out->p_value = test_p_value(out->statistic, out->df, alternative);
	test_bounds(kind, t, c, level, alternative, out);
	return GR_OK;
}

GrCode
gr_welch(double mean_t, double var_t, double n_t, double mean_c, double var_c,
		 double n_c, double margin, GrAlternative alternative, double level,
		 GrTest *out)
{
	GrEstimate	t;
	GrEstimate	c;
	GrCode		code;

	undefined_test(out);
	code = arms_from_summaries(mean_t, var_t, n_t, mean_c, var_c, n_c, margin,
							   alternative, level, &t, &c);
	if (code == GR_BAD_ARGUMENT)
		return code;
	if (code != GR_OK)
	{
		out->estimate = gr_effect(GR_DIFFERENCE, &t, &c);
		return code;
	}
	code = gr_contrast_test(GR_DIFFERENCE, &t, &c, margin, alternative, level, out);
	if (code != GR_OK && t.variance == 0.0 && c.variance == 0.0)
		out->se = 0.0;
	return code;
}

GrCode
gr_relative(double mean_t, double var_t, double n_t, double mean_c,
			double var_c, double n_c, double margin,
			GrAlternative alternative, double level, GrRelativeMethod method,
			GrTest *out)
{
	GrEstimate	t;
	GrEstimate	c;
	GrCode		code;
	double		crit;

	undefined_test(out);
	code = arms_from_summaries(mean_t, var_t, n_t, mean_c, var_c, n_c, margin,
							   alternative, level, &t, &c);
	if (code == GR_BAD_ARGUMENT ||
		(method != GR_FIELLER && method != GR_DELTA))
		return GR_BAD_ARGUMENT;
	if (code != GR_OK)
	{
		out->estimate = gr_effect(GR_RELATIVE, &t, &c);
		return code;
	}
	code = gr_contrast_test(GR_RELATIVE, &t, &c, margin, alternative, level, out);
	if (code != GR_OK && t.variance == 0.0 && c.variance == 0.0)
		out->se = 0.0;
	if (code != GR_OK || method == GR_FIELLER)
		return code;

	/* the ratio or its error out of range: Fieller needs neither */
	if (!isfinite(out->estimate) || out->se == 0.0)
	{
		out->statistic = out->df = out->p_value = NAN;
		out->lower = out->upper = NAN;
		return GR_UNDEFINED;
	}
	out->statistic = (out->estimate - margin) / out->se;
	out->df = gr_satterthwaite(t.variance, t.df, c.variance, c.df);
	out->p_value = test_p_value(out->statistic, out->df, alternative);
	crit = gr_t_isf(alternative == GR_TWO_SIDED ? 0.5 * (1.0 - level) : 1.0 - level, out->df);
	out->lower = alternative == GR_LESS ? -INFINITY : out->estimate - crit * out->se;
	out->upper = alternative == GR_GREATER ? INFINITY : out->estimate + crit * out->se;
	return GR_OK;
}
