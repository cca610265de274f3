/*
 * fuzz_contrast.c
 *	  Statistics and bounds of contrasts, Welch's test, the lift by both
 *	  methods: for any numbers, and never in contradiction to each other.
 */
#include "fuzz.h"

/*
 * How far rounding can move a margin's statistic: the effect and the margin
 * are subtracted, and each bound is an effect plus or minus a multiple.
 */
static double
statistic_slack(GrContrastKind kind, const GrEstimate *t, const GrEstimate *c,
				double margin, double statistic, double crit)
{
	double		size = fabs(t->value)
		+ (kind == GR_ABSOLUTE ? 0.0 : fabs(c->value) * (kind == GR_RELATIVE
														 ? 1.0 + fabs(margin) : 1.0))
		+ (kind == GR_RELATIVE ? 0.0 : fabs(margin));
	double		se = sqrt(t->variance);

	if (kind == GR_DIFFERENCE)
		se = hypot(se, sqrt(c->variance));
	if (kind == GR_RELATIVE)
		se = hypot(se, (1.0 + margin) * sqrt(c->variance));
	return 1e-9 * (1.0 + fabs(statistic) + crit) + 1e-14 * size / se;
}

static void
check_agreement(GrContrastKind kind, const GrEstimate *t, const GrEstimate *c,
				double margin, double crit, double statistic, double lower,
				double upper)
{
	double		slack = statistic_slack(kind, t, c, margin, statistic, crit);
	double		limit = kind == GR_RELATIVE && c->variance > 0.0
		? c->value / sqrt(c->variance) : INFINITY;

	/* at an edge, or close to where Fieller's set opens, rounding may decide */
	if (!isfinite(slack) || fabs(fabs(statistic) - crit) <= slack ||
		fabs(limit - crit) <= 1e-6 * crit)
		return;
	EXPECT_WITH((lower > margin) == (statistic > crit) &&
				(upper < margin) == (statistic < -crit),
				"kind %d t %.17g (%.17g) c %.17g (%.17g) margin %.17g "
				"crit %.17g: statistic %.17g, %.17g .. %.17g", (int) kind,
				t->value, t->variance, c->value, c->variance, margin, crit,
				statistic, lower, upper);
}

static void
check_contrast(Input *in, GrContrastKind kind, const GrEstimate *t,
			   const GrEstimate *c, bool ordinary)
{
	double		margin = take_double(in);
	double		crit = fabs(take_double(in));
	double		statistic;
	double		df;
	double		se;
	double		lower;
	double		upper;
	GrCode		bounds_code = gr_contrast_bounds(kind, t, c, crit, &lower,
												 &upper);
	GrCode		code = gr_contrast_statistic(kind, t, c, margin, &statistic,
											 &df, &se);

	EXPECT(lower <= upper);
	if (bounds_code != GR_OK)
		EXPECT(lower == -INFINITY && upper == INFINITY);
	(void) gr_effect(kind, t, c);
	if (code != GR_OK)
	{
		EXPECT(isnan(statistic) && isnan(df));
		return;
	}
	EXPECT_WITH(!isnan(statistic) && df > 0.0 && se >= 0.0 && isfinite(se),
				"kind %d t %.17g (%.17g, df %.17g) c %.17g (%.17g, df %.17g) "
				"margin %.17g: statistic %.17g df %.17g se %.17g", (int) kind,
				t->value, t->variance, t->df, c->value, c->variance, c->df,
				margin, statistic, df, se);
	if (ordinary && bounds_code == GR_OK && fabs(margin) < 1e12 && crit < 1e3)
		check_agreement(kind, t, c, margin, crit, statistic, lower, upper);
}

static void
check_test(GrCode code, const GrTest *r, GrAlternative alternative,
		   double level)
{
	if (code != GR_OK)
	{
		EXPECT(isnan(r->statistic) && isnan(r->p_value) && isnan(r->lower) &&
			   isnan(r->upper));
		return;
	}
	EXPECT(!isnan(r->statistic));
	EXPECT_WITH(is_probability(r->p_value), "p %.17g statistic %.17g df %.17g",
				r->p_value, r->statistic, r->df);
	EXPECT(r->df > 0.0 && r->se >= 0.0);
	EXPECT_WITH(r->lower <= r->upper, "%.17g .. %.17g, level %.17g",
				r->lower, r->upper, level);
	if (alternative == GR_GREATER)
		EXPECT(r->upper == INFINITY);
	if (alternative == GR_LESS)
		EXPECT(r->lower == -INFINITY);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		in = {data, size};
	GrEstimate	e[2];
	GrTest		r;
	GrAlternative alternative = (GrAlternative) take_below(&in, 3);
	GrContrastKind kind = (GrContrastKind) take_below(&in, 3);
	GrRelativeMethod method = (GrRelativeMethod) take_below(&in, 2);
	bool		ordinary = take_below(&in, 2) == 0;
	double		n[2];
	double		level;
	double		margin;
	GrCode		code;

	for (int i = 0; i < 2; i++)
	{
		e[i].value = take_double(&in);
		e[i].variance = take_double(&in);
		e[i].df = take_double(&in);
		if (ordinary)
		{
			e[i].value = (take_below(&in, 2) ? 1.0 : -1.0)
				* take_scale(&in, -6.0, 9.0);
			e[i].variance = take_below(&in, 8) == 0 ? 0.0
				: take_scale(&in, -20.0, 18.0);
			e[i].df = take_scale(&in, 0.0, 9.0);
		}
		n[i] = e[i].df + 1.0;
	}
	check_contrast(&in, kind, &e[0], &e[1], ordinary);

	margin = take_double(&in);
	level = take_below(&in, 4) == 0 ? take_double(&in) : take_unit(&in);
	code = gr_welch(e[0].value, e[0].variance, n[0], e[1].value,
					e[1].variance, n[1], margin, alternative, level, &r);
	check_test(code, &r, alternative, level);
	code = gr_relative(e[0].value, e[0].variance, n[0], e[1].value,
					   e[1].variance, n[1], margin, alternative, level, method,
					   &r);
	check_test(code, &r, alternative, level);
	return 0;
}
