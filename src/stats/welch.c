/*
 * welch.c
 *	  Student's test of two arms with its interval: Welch's of a difference, Fieller's
 *	  and the delta method's of a lift.
 *
 * Where there is no test, every number but the estimate and its error is NaN.
 */
#include "stats.h"

#include <math.h>

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
