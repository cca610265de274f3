/*
 * test_contrast.c
 *	  Welch's test, and the lift by the delta method and by Fieller, against
 *	  published numbers.
 */
#include "unit.h"
#include "stats.h"

#define Z975 1.959963984540054

typedef struct Arm
{
	double		n;
	double		mean;
	double		variance;
} Arm;

static void
read_arms(const Truth *truth, Arm *c, Arm *t)
{
	c->n = truth_number(truth, "nc");
	c->mean = truth_number(truth, "mc");
	c->variance = truth_number(truth, "vc");
	t->n = truth_number(truth, "nt");
	t->mean = truth_number(truth, "mt");
	t->variance = truth_number(truth, "vt");
}

static GrCode
welch(const Arm *t, const Arm *c, double margin, GrAlternative alternative,
	  double level, GrTest *out)
{
	return gr_welch(t->mean, t->variance, t->n, c->mean, c->variance, c->n,
					margin, alternative, level, out);
}

static GrCode
relative(const Arm *t, const Arm *c, double margin, GrAlternative alternative,
		 double level, GrRelativeMethod method, GrTest *out)
{
	return gr_relative(t->mean, t->variance, t->n, c->mean, c->variance, c->n,
					   margin, alternative, level, method, out);
}

/* ---- two sample mean ------------------------------------------------------- */

/* Raw rows: through the moments.  False when a value was refused. */
static bool
moments_arm(const Truth *truth, const char *column, Arm *arm, double tolerance)
{
	double		values[200];
	int			n = truth_list(truth, column, values, 200);
	GrMoments	m;
	const char *id = truth_text(truth, "id");

	if (n == 0)
		return true;
	gr_moments_init(&m, 1);
	for (int i = 0; i < n; i++)
	{
		if (!gr_moments_add(&m, &values[i]))
			return false;
	}
	CHECK_CLOSE(id, gr_moments_mean(&m, 0), arm->mean, 1e-15, 0);
	CHECK_CLOSE(id, gr_moments_cov(&m, 0, 0), arm->variance, tolerance, 0);
	arm->mean = gr_moments_mean(&m, 0);
	arm->variance = gr_moments_cov(&m, 0, 0);
	return true;
}

static void
check_bounds(const Truth *truth, const Arm *t, const Arm *c, double tolerance)
{
	static const struct
	{
		const char *lower;
		const char *upper;
		GrAlternative alternative;
		double		level;
	}			bounds[] = {
		{"ci_lower", "ci_upper", GR_TWO_SIDED, 0.95},
		{"lb90", NULL, GR_GREATER, 0.90},
		{NULL, "ub90", GR_LESS, 0.90},
		{"lb95", NULL, GR_GREATER, 0.95},
		{NULL, "ub95", GR_LESS, 0.95},
	};
	const char *id = truth_text(truth, "id");

	for (int i = 0; i < 5; i++)
	{
		GrTest		r;
		double		slack;

		CHECK_IN(id, welch(t, c, 0.0, bounds[i].alternative, bounds[i].level,
						   &r) == GR_OK);
		slack = 1e-14 * r.se;
		if (bounds[i].lower == NULL)
			CHECK_IN(id, r.lower == -INFINITY);
		else if (truth_given(truth, bounds[i].lower))
			CHECK_CLOSE(id, r.lower, truth_number(truth, bounds[i].lower),
						tolerance, slack);
		if (bounds[i].upper == NULL)
			CHECK_IN(id, r.upper == INFINITY);
		else if (truth_given(truth, bounds[i].upper))
			CHECK_CLOSE(id, r.upper, truth_number(truth, bounds[i].upper),
						tolerance, slack);
	}
}

static void
check_welch_row(const Truth *truth, const Arm *t, const Arm *c,
				double tolerance)
{
	const char *id = truth_text(truth, "id");
	double		margin = truth_number(truth, "margin");
	/* p-values below the smallest double may be 0 */
	double		slack = 1e-300;
	GrTest		r;

	CHECK_IN(id, welch(t, c, 0.0, GR_TWO_SIDED, 0.95, &r) == GR_OK);
	CHECK_CLOSE(id, r.estimate, truth_number(truth, "estimate"), tolerance, 0);
	CHECK_CLOSE(id, r.se, truth_number(truth, "se"), tolerance, 0);
	CHECK_CLOSE(id, r.df, truth_number(truth, "df"), tolerance, 0);
	CHECK_CLOSE(id, r.statistic, truth_number(truth, "t"), tolerance, 0);
	CHECK_CLOSE(id, r.p_value, truth_number(truth, "p_two_sided"), 1e-8, slack);
	welch(t, c, 0.0, GR_GREATER, 0.95, &r);
	CHECK_CLOSE(id, r.p_value, truth_number(truth, "p_greater"), 1e-8, slack);
	welch(t, c, 0.0, GR_LESS, 0.95, &r);
	CHECK_CLOSE(id, r.p_value, truth_number(truth, "p_less"), 1e-8, slack);
	check_bounds(truth, t, c, tolerance);
	if (isnan(margin))
		return;
	CHECK_CLOSE(id, gr_t_isf(0.025, r.df), truth_number(truth, "t_crit_975"),
				1e-9, 0);
	welch(t, c, -margin, GR_GREATER, 0.95, &r);
	CHECK_CLOSE(id, r.p_value, truth_number(truth, "p_ni_higher"), 1e-8, slack);
	welch(t, c, margin, GR_LESS, 0.95, &r);
	CHECK_CLOSE(id, r.p_value, truth_number(truth, "p_ni_lower"), 1e-8, slack);
}

static void
test_two_sample_mean(void)
{
	Truth		truth;

	truth_open(&truth, "two_sample_mean");
	while (truth_next(&truth))
	{
		const char *id = truth_text(&truth, "id");
		double		tolerance = truth_given(&truth, "raw_c") ? 1e-9 : 1e-10;
		Arm			c;
		Arm			t;
		GrTest		r;

		read_arms(&truth, &c, &t);
		if (!isfinite(c.variance))
		{
			/* the variance itself overflows: refused, unit by unit */
			CHECK_IN(id, !moments_arm(&truth, "raw_c", &c, tolerance));
			CHECK_IN(id, welch(&t, &c, 0.0, GR_TWO_SIDED, 0.95, &r)
					 == GR_BAD_ARGUMENT);
			CHECK_IN(id, isnan(r.p_value));
			continue;
		}
		CHECK_IN(id, moments_arm(&truth, "raw_c", &c, tolerance));
		CHECK_IN(id, moments_arm(&truth, "raw_t", &t, tolerance));
		if (strcmp(truth_text(&truth, "status"), "no_verdict") == 0)
		{
			CHECK_IN(id, welch(&t, &c, 0.0, GR_TWO_SIDED, 0.95, &r)
					 == GR_UNDEFINED);
			CHECK_IN(id, isnan(r.p_value) && isnan(r.statistic) &&
					 isnan(r.lower) && isnan(r.upper) && r.se == 0.0 &&
					 r.estimate == t.mean - c.mean);
			continue;
		}
		check_welch_row(&truth, &t, &c, tolerance);
	}
}

/* ---- lift -------------------------------------------------------------------- */

static void
check_lift_row(const Truth *truth, const Arm *t, const Arm *c)
{
	static const double margins[] = {-0.01, -0.02, -0.05};
	static const char *const delta_p[] = {"p_m01", "p_m02", "p_m05"};
	static const char *const fieller_p[] = {"p_l01", "p_l02", "p_l05"};
	const char *id = truth_text(truth, "id");
	GrEstimate	te = {t->mean, t->variance / t->n, t->n - 1.0};
	GrEstimate	ce = {c->mean, c->variance / c->n, c->n - 1.0};
	double		lower;
	double		upper;
	GrTest		r;

	CHECK_IN(id, relative(t, c, 0.0, GR_TWO_SIDED, 0.95, GR_DELTA, &r)
			 == GR_OK);
	CHECK_CLOSE(id, r.estimate, truth_number(truth, "lift"), 1e-9, 2e-16);
	CHECK_CLOSE(id, r.se, truth_number(truth, "se"), 1e-9, 0);
	CHECK_CLOSE(id, r.df, truth_number(truth, "df"), 1e-9, 0);
	CHECK_CLOSE(id, r.lower, truth_number(truth, "ci_lower"), 1e-9, 0);
	CHECK_CLOSE(id, r.upper, truth_number(truth, "ci_upper"), 1e-9, 0);
	if (truth_given(truth, "gb_p"))
	{
		CHECK_CLOSE(id, r.p_value, truth_number(truth, "gb_p"), 1e-6, 0);
		relative(t, c, 0.0, GR_LESS, 0.90, GR_DELTA, &r);
		CHECK_CLOSE(id, r.upper, truth_number(truth, "gb_upper90"), 1e-6, 0);
		CHECK_CLOSE(id, r.p_value, truth_number(truth, "gb_p_less"), 1e-6, 0);
	}
	relative(t, c, 0.0, GR_GREATER, 0.90, GR_DELTA, &r);
	CHECK_CLOSE(id, r.lower, truth_number(truth, "lb90"), 1e-9, 0);
	relative(t, c, 0.0, GR_LESS, 0.90, GR_DELTA, &r);
	CHECK_CLOSE(id, r.upper, truth_number(truth, "ub90"), 1e-9, 0);

	gr_contrast_bounds(GR_RELATIVE, &te, &ce, Z975, &lower, &upper);
	CHECK_CLOSE(id, lower, truth_number(truth, "fieller_lower"), 1e-9, 0);
	CHECK_CLOSE(id, upper, truth_number(truth, "fieller_upper"), 1e-9, 0);

	for (int i = 0; i < 3; i++)
	{
		double		limit = ce.value / sqrt(ce.variance);
		double		statistic;
		double		df;
		double		se;

		relative(t, c, margins[i], GR_GREATER, 0.95, GR_DELTA, &r);
		CHECK_CLOSE(id, r.p_value, truth_number(truth, delta_p[i]), 1e-8, 0);
		gr_contrast_statistic(GR_RELATIVE, &te, &ce, margins[i], &statistic,
							  &df, &se);
		if (fabs(statistic) < limit)
			CHECK_CLOSE(id, gr_normal_sf(statistic),
						truth_number(truth, fieller_p[i]), 1e-8, 0);
		else
			CHECK_IN(id, fabs(statistic) == limit &&
					 gr_normal_sf(statistic)
					 >= truth_number(truth, fieller_p[i]));
	}
}

static void
test_relative_lift(void)
{
	Truth		truth;
	int			not_positive = 0;

	truth_open(&truth, "relative_lift");
	while (truth_next(&truth))
	{
		const char *id = truth_text(&truth, "id");
		Arm			c;
		Arm			t;
		GrTest		r;

		read_arms(&truth, &c, &t);
		if (strcmp(truth_text(&truth, "status"), "ok") == 0)
		{
			check_lift_row(&truth, &t, &c);
			continue;
		}
		not_positive += c.mean < 0.0;
		for (int method = 0; method < 2; method++)
		{
			CHECK_IN(id, relative(&t, &c, 0.0, GR_TWO_SIDED, 0.95,
								  (GrRelativeMethod) method, &r)
					 == GR_UNDEFINED);
			CHECK_IN(id, isnan(r.p_value) && isnan(r.lower));
		}
	}
	unit_skip(not_positive, "a control mean below zero: other packages divide "
			  "by it, guardrail's lift is defined for a positive control only "
			  "(checked: refused)");
}

/* The test and its interval agree for every alternative. */
static void
test_p_value_and_bounds(void)
{
	Random		r = 43;
	int			disagree = 0;
	int			apart = 0;

	for (int i = 0; i < 20000; i++)
	{
		Arm			t = {2 + random_below(&r, 30), 1.0 + random_normal(&r),
		random_uniform(&r)};
		Arm			c = {2 + random_below(&r, 30), 1.0 + random_uniform(&r),
		random_uniform(&r)};
		GrAlternative alternative = (GrAlternative) random_below(&r, 3);
		double		level = 0.02 + 0.96 * random_uniform(&r);
		double		margin = random_normal(&r);
		bool		lift = random_below(&r, 2) == 1;
		GrTest		out;
		GrCode		code = lift ? relative(&t, &c, margin, alternative, level,
										   GR_FIELLER, &out)
			: welch(&t, &c, margin, alternative, level, &out);
		bool		outside;

		if (code != GR_OK || fabs(out.p_value - (1.0 - level)) < 1e-9)
			continue;
		outside = out.lower > margin || out.upper < margin;
		/* under half, a one-sided Fieller bound may be on the far side */
		if (lift && alternative != GR_TWO_SIDED && level < 0.5)
			continue;
		/*
		 * Fieller's set may have a part of its own far from the estimate, where the df are
		 * few; the interval is the part around the estimate, and beside it all is rejected.
		 */
		if (lift && outside && out.p_value >= 1.0 - level)
		{
			double		bound = out.lower > margin ? out.lower : out.upper;
			GrTest		beside;

			(void) relative(&t, &c, bound + (margin > bound ? 1e-6 : -1e-6) * (1.0 + fabs(bound)), alternative,
							level, GR_FIELLER, &beside);
			disagree += !(beside.p_value < 1.0 - level);
			apart++;
			continue;
		}
		disagree += outside != (out.p_value < 1.0 - level);
	}
	CHECK(disagree == 0);
	CHECK(apart < 100);
}

static void
test_edges(void)
{
	GrEstimate	t = {1.0, 0.0, 9.0};
	GrEstimate	c = {2.0, 0.0, 9.0};
	double		statistic;
	double		df;
	double		se;
	double		lower;
	double		upper;
	GrTest		r;
	Arm			one = {1.0, 5.0, 0.0};
	Arm			many = {100.0, 5.0, 1.0};

	CHECK(gr_contrast_statistic(GR_ABSOLUTE, &t, NULL, 0.0, &statistic, &df,
								&se) == GR_UNDEFINED);
	CHECK(gr_contrast_statistic(GR_DIFFERENCE, &t, &c, 0.0, &statistic, &df,
								&se) == GR_UNDEFINED);
	t.variance = 0.25;
	CHECK(gr_contrast_statistic(GR_ABSOLUTE, &t, NULL, 0.0, &statistic, &df,
								&se) == GR_OK);
	CHECK(statistic == 2.0 && df == 9.0 && se == 0.5);
	CHECK(gr_contrast_bounds(GR_ABSOLUTE, &t, NULL, 2.0, &lower, &upper)
		  == GR_OK);
	CHECK(lower == 0.0 && upper == 2.0);
	CHECK(gr_contrast_bounds(GR_ABSOLUTE, &t, NULL, -1.0, &lower, &upper)
		  == GR_BAD_ARGUMENT);
	CHECK(lower == -INFINITY && upper == INFINITY);
	CHECK(gr_contrast_bounds(GR_ABSOLUTE, &t, NULL, NAN, &lower, &upper)
		  == GR_BAD_ARGUMENT);
	CHECK(gr_contrast_bounds(GR_ABSOLUTE, &t, NULL, INFINITY, &lower, &upper)
		  == GR_OK);
	CHECK(lower == -INFINITY && upper == INFINITY);
	CHECK(gr_contrast_statistic((GrContrastKind) 7, &t, &c, 0.0, &statistic,
								&df, &se) == GR_BAD_ARGUMENT);
	/* the unbounded variance of a quantile decides nothing */
	t.variance = INFINITY;
	CHECK(gr_contrast_statistic(GR_DIFFERENCE, &t, &c, 0.0, &statistic, &df,
								&se) == GR_UNDEFINED);
	CHECK(isnan(gr_effect(GR_RELATIVE, &t, &(GrEstimate) {0.0, 1.0, 9.0})));

	/* so few degrees of freedom that their sum underflows are none */
	t = (GrEstimate) {1.0, 0.25, 1e-320};
	CHECK(gr_contrast_statistic(GR_DIFFERENCE, &t, &c, 0.0, &statistic, &df,
								&se) == GR_UNDEFINED && isnan(df));
	/* the delta method's error vanishes beside such a control; Fieller's test
	 * does not need it */
	CHECK(gr_relative(1e-200, 1e-300, 10.0, 1e300, 1e-300, 10.0, 0.0, GR_LESS,
					  1e-300, GR_DELTA, &r) == GR_UNDEFINED);
	CHECK(isnan(r.statistic) && isnan(r.p_value) && isnan(r.upper));

	CHECK(welch(&many, &one, 0.0, GR_TWO_SIDED, 0.95, &r) == GR_UNDEFINED);
	CHECK(r.estimate == 0.0 && isnan(r.p_value));
	CHECK(welch(&many, &many, 0.0, GR_TWO_SIDED, 1.0, &r) == GR_BAD_ARGUMENT);
	CHECK(welch(&many, &many, 0.0, GR_TWO_SIDED, 0.0, &r) == GR_BAD_ARGUMENT);
	CHECK(welch(&many, &many, NAN, GR_TWO_SIDED, 0.9, &r) == GR_BAD_ARGUMENT);
	CHECK(welch(&many, &many, 0.0, (GrAlternative) 9, 0.9, &r)
		  == GR_BAD_ARGUMENT);
	CHECK(relative(&many, &many, 0.0, GR_LESS, 0.9, (GrRelativeMethod) 5, &r)
		  == GR_BAD_ARGUMENT);
}

int
main(void)
{
	gr_stats_init();
	test_two_sample_mean();
	test_relative_lift();
	test_p_value_and_bounds();
	test_edges();
	return unit_report();
}
