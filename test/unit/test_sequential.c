/*
 * test_sequential.c
 *	  Mixture e-values and their bounds against the packages of their authors.
 */
#include "unit.h"
#include "stats.h"

/* The paper's closed form of the one-sided bound, equation 134. */
static double
closed_form_one_sided(double n, double rho, double alpha)
{
	double		r = n / rho;

	return sqrt(2.0 * (r + 1.0) / r * log1p(sqrt(r + 1.0) / (2.0 * alpha)));
}

static void
test_row(const Truth *truth, int *closed_forms)
{
	const char *id = truth_text(truth, "id");
	const char *quantity = truth_text(truth, "quantity");
	double		alpha = truth_number(truth, "alpha");
	double		n_star = truth_number(truth, "n_star");
	double		n = truth_number(truth, "n");
	double		theirs = truth_number(truth, "rho");
	int			sides = (int) truth_number(truth, "sides");
	double		z = truth_number(truth, "z");
	double		expected = truth_number(truth, "expected");
	double		rho;

	if (strcmp(quantity, "gb_rho") == 0)
		CHECK_CLOSE(id, gr_mixture_rho(n_star, alpha, sides),
					1.0 / (expected * expected), 1e-9, 0);
	else if (strcmp(quantity, "ws_rho2") == 0)
		CHECK_CLOSE(id, gr_mixture_rho(n_star, alpha, sides), 1.0 / expected,
					1e-9, 0);
	else if (strcmp(quantity, "gb_halfwidth") == 0)
	{
		double		c;

		rho = gr_mixture_rho(n_star, alpha, sides);
		c = gr_mixture_multiplier(n, rho, alpha, sides);
		if (sides == 2)
			CHECK_CLOSE(id, c * sqrt(z / n), expected, 1e-9, 0);
		else
		{
			/* theirs is the closed form; the exact root lies just inside */
			CHECK_CLOSE(id, closed_form_one_sided(n, rho, alpha) * sqrt(z / n),
						expected, 1e-9, 0);
			CHECK_IN(id, c * sqrt(z / n) <= expected &&
					 c * sqrt(z / n) > 0.95 * expected);
			(*closed_forms)++;
		}
	}
	else if (strcmp(quantity, "boundary") == 0)
	{
		rho = gr_mixture_rho(n_star, z, sides);
		CHECK_CLOSE(id, gr_mixture_multiplier(n, rho, alpha, sides) * sqrt(n),
					expected, sides == 2 ? 1e-9 : 1e-6, 0);
	}
	else if (strcmp(quantity, "log_mixture") == 0)
	{
		rho = gr_mixture_rho(n_star, alpha, sides);
		CHECK_CLOSE(id, gr_mixture_log_e(z / sqrt(n), n, rho, sides), expected,
					1e-9, 1e-12);
	}
	else if (strcmp(quantity, "ws_conjmix") == 0)
		CHECK_CLOSE(id, gr_mixture_multiplier(n, 1.0 / theirs, alpha, 2)
					/ sqrt(n), expected, 1e-9, 0);
	else if (strcmp(quantity, "z_radius") == 0)
		CHECK_CLOSE(id, gr_mixture_multiplier(n, theirs, alpha, 2), expected,
					1e-9, 0);
	else
		CHECK_IN(id, false);
}

static void
test_truth(void)
{
	Truth		truth;
	int			closed_forms = 0;

	truth_open(&truth, "sequential");
	while (truth_next(&truth))
		test_row(&truth, &closed_forms);
	unit_skip(closed_forms, "one-sided half-widths by the closed form: the "
			  "exact root is required to lie at most 5 % inside instead");
	unit_skip(21 + 6 + 3 + 2 + 3 + 1 + 4, "mixtures guardrail does not offer "
			  "(t, beta-binomial, gamma-exponential, betting, quantile, "
			  "stitching) and a sequence over a plug-in variance");
}

/* Whole tests, with standard error and bounds. */
static void
test_sequential_tests(void)
{
	Truth		truth;

	truth_open(&truth, "sequential_test");
	while (truth_next(&truth))
	{
		const char *id = truth_text(&truth, "id");
		double		nt = truth_number(&truth, "nt");
		double		nc = truth_number(&truth, "nc");
		double		n = nt + nc;
		double		n_star = truth_number(&truth, "n_star");
		GrEstimate	t = {truth_number(&truth, "mt"),
		truth_number(&truth, "vt") / nt, nt - 1.0};
		GrEstimate	c = {truth_number(&truth, "mc"),
		truth_number(&truth, "vc") / nc, nc - 1.0};
		double		rho = gr_mixture_rho(n_star, 0.05, 2);
		double		z;
		double		df;
		double		se;
		double		lower;
		double		upper;
		double		half;

		gr_contrast_statistic(GR_DIFFERENCE, &t, &c, 0.0, &z, &df, &se);
		CHECK_CLOSE(id, se, truth_number(&truth, "se"), 1e-9, 0);
		gr_contrast_bounds(GR_DIFFERENCE, &t, &c,
						   gr_mixture_multiplier(n, rho, 0.05, 2), &lower,
						   &upper);
		CHECK_CLOSE(id, lower, truth_number(&truth, "lower"), 1e-9, 0);
		CHECK_CLOSE(id, upper, truth_number(&truth, "upper"), 1e-9, 0);
		if (truth_given(&truth, "p"))
			CHECK_CLOSE(id, fmin(1.0, exp(-gr_mixture_log_e(z, n, rho, 2))),
						truth_number(&truth, "p"), 1e-9, 1e-300);

		if (!truth_given(&truth, "lower90"))
			continue;
		rho = gr_mixture_rho(n_star, 0.10, 1);
		gr_contrast_bounds(GR_DIFFERENCE, &t, &c,
						   gr_mixture_multiplier(n, rho, 0.10, 1), &lower,
						   &upper);
		/* at most 5 % inside the closed form's, as above */
		half = truth_number(&truth, "estimate") - truth_number(&truth, "lower90");
		CHECK_IN(id, upper - lower <= 2.0 * half && upper - lower > 1.9 * half);
		half = truth_number(&truth, "upper90") - truth_number(&truth, "estimate");
		CHECK_IN(id, upper - lower <= 2.0 * half && upper - lower > 1.9 * half);
		CHECK_CLOSE(id, 0.5 * (lower + upper), truth_number(&truth, "estimate"),
					1e-9, 1e-12);
	}
}

/* v = n* = 100 at 0.05, from the design's table (confseq). */
static void
test_check_values(void)
{
	double		rho = gr_mixture_rho(100.0, 0.05, 2);
	double		rho_one = gr_mixture_rho(100.0, 0.05, 1);

	CHECK_CLOSE("rho", rho, 12.60056, 0, 5e-6);
	CHECK_CLOSE("two-sided", 10.0 * gr_mixture_multiplier(100.0, rho, 0.05, 2),
				30.35209, 0, 5e-6);
	CHECK_CLOSE("one-sided",
				10.0 * gr_mixture_multiplier(100.0, rho_one, 0.05, 1),
				27.66071, 0, 5e-6);
}

/* At the multiplier the e-value is 1/alpha; and it grows with the evidence. */
static void
test_inverse(void)
{
	Random		r = 71;
	double		worst = 0.0;
	bool		increasing = true;

	for (int i = 0; i < 20000; i++)
	{
		double		n = pow(10.0, -3.0 + 15.0 * random_uniform(&r));
		double		rho = pow(10.0, -3.0 + 12.0 * random_uniform(&r));
		double		alpha = pow(10.0, -12.0 * random_uniform(&r)) * 0.999;
		int			sides = 1 + i % 2;
		double		c = gr_mixture_multiplier(n, rho, alpha, sides);
		double		goal = -log(alpha);

		worst = fmax(worst, fabs(gr_mixture_log_e(c, n, rho, sides) - goal)
					 / fmax(1.0, goal));
		increasing = increasing &&
			gr_mixture_log_e(c * 1.01, n, rho, sides) > goal &&
			gr_mixture_log_e(c * 0.99, n, rho, sides) < goal;
	}
	CHECK(worst < 1e-12);
	CHECK(increasing);
}

/* An e-value's mean under H0 is 1: by quadrature over z. */
static void
test_mean_one(void)
{
	for (int sides = 1; sides <= 2; sides++)
	{
		for (double n = 1.0; n < 1e4; n *= 10.0)
		{
			double		sum = 0.0;
			double		h = 0.01;

			/* e grows like exp(z^2/2 n/(n+rho)): wide enough for n/rho = 1e2 */
			for (double z = -150.0; z <= 150.0; z += h)
				sum += h * exp(gr_mixture_log_e(z, n, 100.0, sides)
							   - 0.5 * z * z - 0.91893853320467274);
			CHECK_CLOSE("mean of e", sum, 1.0, 1e-9, 0);
		}
	}
}

/* A random walk watched at every step keeps its level. */
static void
test_level(void)
{
	Random		r = 72;
	double		rho = gr_mixture_rho(200.0, 0.1, 1);
	int			crossings = 0;
	int			runs = 1000;

	for (int run = 0; run < runs; run++)
	{
		double		s = 0.0;

		for (int n = 1; n <= 1000; n++)
		{
			s += random_normal(&r);
			if (gr_mixture_log_e(s / sqrt(n), n, rho, 1) >= log(10.0))
			{
				crossings++;
				break;
			}
		}
	}
	CHECK(crossings <= runs * 0.1);
	CHECK(crossings >= runs * 0.02);
}

/*
 * n/rho and rho/n beyond the largest double: log e is then -(ln n - ln rho)/2
 * plus z^2/2 or nothing, and the multiplier follows.
 */
static void
test_extremes(void)
{
	double		growth = log(1e300) - log(1e-300);

	CHECK_CLOSE("huge n", gr_mixture_log_e(40.0, 1e300, 1e-300, 2),
				800.0 - 0.5 * growth, 1e-14, 0);
	CHECK_CLOSE("huge n, one-sided", gr_mixture_log_e(40.0, 1e300, 1e-300, 1),
				800.0 - 0.5 * growth + log(2.0), 1e-14, 0);
	CHECK_CLOSE("huge n, multiplier",
				gr_mixture_multiplier(1e300, 1e-300, 0.05, 2),
				sqrt(growth + 2.0 * log(20.0)), 1e-14, 0);
	CHECK_CLOSE("huge rho", gr_mixture_log_e(40.0, 1e-300, 1e300, 2), 0.0, 0,
				1e-15);
	CHECK_CLOSE("huge rho, multiplier",
				gr_mixture_multiplier(1e-160, 1e150, 0.05, 2),
				1e155 * sqrt(2.0 * log(20.0)), 1e-14, 0);
	CHECK(gr_mixture_log_e(INFINITY, 1e-300, 1e300, 2) == INFINITY);
	CHECK(gr_mixture_rho(5e-324, 0.05, 2) > 0.0);
	CHECK(isfinite(gr_mixture_rho(DBL_MAX, 0.49999999999999994, 1)));
}

static void
test_edges(void)
{
	CHECK(isnan(gr_mixture_rho(0.0, 0.05, 2)));
	CHECK(isnan(gr_mixture_rho(100.0, 0.0, 2)));
	CHECK(isnan(gr_mixture_rho(100.0, 1.0, 2)));
	CHECK(isnan(gr_mixture_rho(100.0, 0.5, 1)));
	CHECK(isnan(gr_mixture_rho(100.0, 0.1, 3)));
	CHECK(isnan(gr_mixture_rho(NAN, 0.1, 1)));
	CHECK(isnan(gr_mixture_log_e(NAN, 10.0, 1.0, 2)));
	CHECK(isnan(gr_mixture_log_e(1.0, -1.0, 1.0, 2)));
	CHECK(isnan(gr_mixture_log_e(1.0, 1.0, 0.0, 2)));
	CHECK(gr_mixture_log_e(1.0, 0.0, 1.0, 1) == 0.0);
	CHECK(gr_mixture_log_e(INFINITY, 10.0, 1.0, 1) == INFINITY);
	CHECK(gr_mixture_log_e(-INFINITY, 10.0, 1.0, 1) == -INFINITY);
	CHECK(gr_mixture_log_e(-INFINITY, 10.0, 1.0, 2) == INFINITY);
	CHECK(isfinite(gr_mixture_log_e(-1e100, 10.0, 1.0, 1)));
	CHECK(gr_mixture_multiplier(0.0, 1.0, 0.05, 1) == INFINITY);
	CHECK(isnan(gr_mixture_multiplier(10.0, 1.0, 0.0, 1)));
	CHECK(isnan(gr_mixture_multiplier(10.0, 1.0, NAN, 1)));
	CHECK(isnan(gr_mixture_multiplier(NAN, 1.0, 0.1, 1)));
}

int
main(void)
{
	gr_stats_init();
	test_truth();
	test_sequential_tests();
	test_check_values();
	test_inverse();
	test_mean_one();
	test_level();
	test_extremes();
	test_edges();
	return unit_report();
}
