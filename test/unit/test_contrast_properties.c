/*
 * test_contrast_properties.c
 *	  Bounds never contradict their statistic, whatever the scale and the input.
 */
#include "unit.h"
#include "stats.h"

/* ---- properties --------------------------------------------------------------- */

static double
random_scale(Random *r)
{
	switch (random_below(r, 4))
	{
		case 0:
			return 0.0;
		case 1:
			return pow(10.0, -30.0 + 40.0 * random_uniform(r));
		default:
			return random_uniform(r);
	}
}

/*
 * A margin is rejected by the bound exactly when it is by the statistic.  At
 * the edge rounding may decide, so margins within a hair of it are left out.
 */
static void
test_no_contradiction(void)
{
	Random		r = 41;
	int			contradictions = 0;
	int			unbounded = 0;
	int			rejected = 0;

	for (int i = 0; i < 100000; i++)
	{
		GrContrastKind kind = (GrContrastKind) random_below(&r, 3);
		GrEstimate	t = {random_normal(&r) * 3.0, random_scale(&r), 10.0};
		GrEstimate	c = {fabs(random_normal(&r)), random_scale(&r), 20.0};
		double		crit = random_below(&r, 5) == 0 ? 0.0
			: 6.0 * random_uniform(&r);
		double		lower;
		double		upper;
		double		margin;
		double		statistic;
		double		df;
		double		se;
		GrCode		bounds_code = gr_contrast_bounds(kind, &t, &c, crit,
													 &lower, &upper);
		GrCode		code;

		margin = random_below(&r, 2) ? random_normal(&r) * 3.0
			: lower + (upper - lower) * (random_uniform(&r) * 1.2 - 0.1);
		if (!isfinite(margin))
			margin = random_normal(&r);
		code = gr_contrast_statistic(kind, &t, &c, margin, &statistic, &df,
									 &se);
		if (code != bounds_code || lower > upper)
			contradictions++;
		if (code != GR_OK)
		{
			if (lower != -INFINITY || upper != INFINITY || !isnan(statistic))
				contradictions++;
			continue;
		}
		unbounded += lower == -INFINITY;
		rejected += lower > margin || upper < margin;
		if (fabs(fabs(statistic) - crit) <= 1e-9 * (1.0 + crit) ||
			fabs(lower - margin) <= 1e-13 * (1.0 + fabs(margin)) ||
			fabs(upper - margin) <= 1e-13 * (1.0 + fabs(margin)))
			continue;
		if ((lower > margin) != (statistic > crit) ||
			(upper < margin) != (statistic < -crit))
		{
			if (contradictions++ < 5)
				printf("kind %d t %g (%g) c %g (%g) crit %g margin %.17g: "
					   "%.17g %.17g statistic %.17g\n", kind, t.value,
					   t.variance, c.value, c.variance, crit, margin, lower,
					   upper, statistic);
		}
	}
	CHECK(contradictions == 0);
	/* and both cases were really met */
	CHECK(unbounded > 1000 && rejected > 1000);
}

/* At a finite end of Fieller's interval the statistic is the multiplier. */
static void
test_fieller_ends(void)
{
	Random		r = 42;
	double		worst = 0.0;

	for (int i = 0; i < 100000; i++)
	{
		GrEstimate	t = {1.0 + random_normal(&r), random_uniform(&r), 10.0};
		GrEstimate	c = {0.1 + random_uniform(&r), 0.1 * random_uniform(&r), 9.0};
		double		crit = 0.1 + 4.0 * random_uniform(&r);
		double		ends[2];

		gr_contrast_bounds(GR_RELATIVE, &t, &c, crit, &ends[0], &ends[1]);
		if (isinf(ends[0]) || c.value / sqrt(c.variance) < 1.01 * crit)
			continue;
		for (int k = 0; k < 2; k++)
		{
			double		statistic;
			double		df;
			double		se;

			gr_contrast_statistic(GR_RELATIVE, &t, &c, ends[k], &statistic,
								  &df, &se);
			worst = fmax(worst, fabs(fabs(statistic) - crit));
		}
	}
	CHECK(worst < 1e-10);
}

/* Tiny and huge scales: bounds move with the units. */
static void
test_scale_free(void)
{
	GrEstimate	t = {1.1, 1e-4, 100.0};
	GrEstimate	c = {1.0, 2e-4, 100.0};
	double		lower;
	double		upper;

	gr_contrast_bounds(GR_RELATIVE, &t, &c, 2.0, &lower, &upper);
	for (int e = -140; e <= 140; e += 20)
	{
		double		scale = ldexp(1.0, 3 * e);
		GrEstimate	ts = {t.value * scale, t.variance * scale * scale, 100.0};
		GrEstimate	cs = {c.value * scale, c.variance * scale * scale, 100.0};
		double		l;
		double		u;

		if (!(ts.variance > 1e-290 && ts.variance < 1e300))
			continue;
		CHECK(gr_contrast_bounds(GR_RELATIVE, &ts, &cs, 2.0, &l, &u) == GR_OK);
		CHECK_CLOSE("lower", l, lower, 1e-13, 0);
		CHECK_CLOSE("upper", u, upper, 1e-13, 0);
	}
	/* an offset of 1e9 with an effect of 1: the lift keeps its digits */
	t = (GrEstimate) {1e9 + 1.0, 1e-4, 100.0};
	c = (GrEstimate) {1e9, 0.0, 100.0};
	gr_contrast_bounds(GR_RELATIVE, &t, &c, 2.0, &lower, &upper);
	CHECK_CLOSE("lower", lower, 0.98e-9, 1e-12, 0);
	CHECK_CLOSE("upper", upper, 1.02e-9, 1e-12, 0);
}

/* Anything in: a number or a refusal, never a decision from nonsense. */
static void
test_total(void)
{
	Random		r = 44;
	bool		ok = true;

	for (int i = 0; i < 100000; i++)
	{
		GrEstimate	t = {random_double(&r), random_double(&r), random_double(&r)};
		GrEstimate	c = {random_double(&r), random_double(&r), random_double(&r)};
		GrContrastKind kind = (GrContrastKind) random_below(&r, 3);
		double		statistic;
		double		df;
		double		se;
		double		lower;
		double		upper;
		GrTest		out;

		if (gr_contrast_statistic(kind, &t, &c, random_double(&r), &statistic,
								  &df, &se) == GR_OK)
			ok = ok && !isnan(statistic) && df > 0.0 && se >= 0.0;
		else
			ok = ok && isnan(statistic);
		gr_contrast_bounds(kind, &t, &c, random_double(&r), &lower, &upper);
		ok = ok && !isnan(lower) && !isnan(upper) && lower <= upper;
		(void) gr_effect(kind, &t, &c);
		if (gr_welch(t.value, t.variance, t.df, c.value, c.variance, c.df, 0.0,
					 GR_TWO_SIDED, random_uniform(&r), &out) == GR_OK)
			ok = ok && out.p_value >= 0.0 && out.p_value <= 1.0;
		if (gr_relative(t.value, t.variance, t.df, c.value, c.variance, c.df,
						0.0, GR_LESS, 0.9, (GrRelativeMethod) (i % 2), &out)
			== GR_OK)
			ok = ok && out.p_value >= 0.0 && out.p_value <= 1.0;
	}
	CHECK(ok);
}

int
main(void)
{
	gr_stats_init();
	test_no_contradiction();
	test_fieller_ends();
	test_scale_free();
	test_total();
	return unit_report();
}
