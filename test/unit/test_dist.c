/*
 * test_dist.c
 *	  Distributions against mpmath, and their identities.
 */
#include "unit.h"
#include "stats.h"

static double
evaluate(const char *function, double x, double df)
{
	if (strcmp(function, "normal_cdf") == 0)
		return gr_normal_cdf(x);
	if (strcmp(function, "normal_sf") == 0)
		return gr_normal_sf(x);
	if (strcmp(function, "log10_normal_sf") == 0)
		return gr_log_normal_cdf(-x) / log(10.0);
	if (strcmp(function, "normal_quantile") == 0)
		return -gr_normal_isf(x);
	if (strcmp(function, "t_cdf") == 0)
		return gr_t_cdf(x, df);
	if (strcmp(function, "t_sf") == 0)
		return gr_t_sf(x, df);
	if (strcmp(function, "t_two_sided") == 0)
		return 2.0 * gr_t_sf(fabs(x), df);
	if (strcmp(function, "t_quantile") == 0)
		return gr_t_isf(1.0 - x, df);
	if (strcmp(function, "chisq_sf") == 0)
		return gr_chisq_sf(x, df);
	return NAN;
}

static void
test_truth(void)
{
	Truth		truth;

	truth_open(&truth, "distributions");
	while (truth_next(&truth))
	{
		const char *function = truth_text(&truth, "function");
		double		x = truth_number(&truth, "x");
		double		df = truth_number(&truth, "df");
		double		expected = truth_number(&truth, "expected");
		double		tolerance = 1e-12;
		char		label[200];

		if (df < 1.0 || df > 1e6 || strstr(function, "quantile") != NULL)
			tolerance = 1e-10;
		snprintf(label, sizeof(label), "%s %s(%g, %g)",
				 truth_text(&truth, "id"), function, x, df);
		/* the slack is for subnormal numbers alone */
		CHECK_CLOSE(label, evaluate(function, x, df), expected, tolerance,
					1e-321);
	}
}

static void
test_edges(void)
{
	CHECK(gr_normal_isf(0.0) == INFINITY);
	CHECK(gr_normal_isf(1.0) == -INFINITY);
	CHECK(isnan(gr_normal_isf(-1e-300)));
	CHECK(isnan(gr_normal_isf(1.5)));
	CHECK(isnan(gr_normal_isf(NAN)));
	CHECK(gr_normal_isf(0.5) == 0.0);
	CHECK(gr_normal_sf(INFINITY) == 0.0);
	CHECK(gr_normal_cdf(INFINITY) == 1.0);
	CHECK(isnan(gr_normal_cdf(NAN)));
	CHECK(gr_log_normal_cdf(-INFINITY) == -INFINITY);
	CHECK(gr_log_normal_cdf(INFINITY) == 0.0);
	CHECK_CLOSE("log cdf far out", gr_log_normal_cdf(-1e150), -5e299, 1e-15, 0);
	CHECK(isnan(gr_log_normal_cdf(NAN)));

	CHECK(gr_t_isf(0.0, 3.0) == INFINITY);
	CHECK(gr_t_isf(1.0, 3.0) == -INFINITY);
	CHECK(gr_t_isf(0.5, 3.0) == 0.0);
	CHECK(isnan(gr_t_isf(0.1, 0.0)));
	CHECK(isnan(gr_t_isf(0.1, NAN)));
	CHECK(isnan(gr_t_isf(NAN, 3.0)));
	CHECK(isnan(gr_t_sf(1.0, -1.0)));
	CHECK(isnan(gr_t_sf(NAN, 1.0)));
	CHECK(gr_t_sf(INFINITY, 1.0) == 0.0);
	CHECK(gr_t_sf(-INFINITY, 1.0) == 1.0);
	CHECK(gr_t_sf(1.3, INFINITY) == gr_normal_sf(1.3));
	CHECK(gr_t_isf(0.03, INFINITY) == gr_normal_isf(0.03));

	/* over half of the distribution lies below any t > 0 */
	for (double df = 1e-18; df < 1.0; df *= 1.7)
	{
		for (double t = 1e-12; t < 10.0; t *= 1.9)
		{
			double		tail = gr_t_sf(t, df);

			if (!(tail >= 0.0 && tail <= 0.5))
				CHECK_CLOSE("upper tail", tail, 0.5, 0, 0);
		}
	}

	CHECK(gr_chisq_sf(0.0, 3.0) == 1.0);
	CHECK(gr_chisq_sf(INFINITY, 3.0) == 0.0);
	CHECK(gr_chisq_sf(1e9, 3.0) == 0.0);
	CHECK(isnan(gr_chisq_sf(-1.0, 3.0)));
	CHECK(isnan(gr_chisq_sf(1.0, 0.0)));
	CHECK(isnan(gr_chisq_sf(NAN, 1.0)));
}

/* Closed forms: one and two degrees of freedom. */
static void
test_closed_forms(void)
{
	for (double t = 1e-3; t < 1e12; t *= 3.7)
	{
		char		label[50];
		double		root = sqrt(t * t + 2.0);

		snprintf(label, sizeof(label), "t = %g", t);
		CHECK_CLOSE(label, gr_t_sf(t, 1.0), atan2(1.0, t) / 3.141592653589793,
					1e-13, 0);
		/* (1 - t/root)/2 without the cancellation */
		CHECK_CLOSE(label, gr_t_sf(t, 2.0), 1.0 / (root * (root + t)), 1e-13,
					0);
		if (t < 1000.0)
			CHECK_CLOSE(label, gr_chisq_sf(t, 2.0), exp(-t / 2.0), 1e-12, 0);
		if (t < 37.0)
			CHECK_CLOSE(label, gr_chisq_sf(t * t, 1.0), 2.0 * gr_normal_sf(t),
						1e-12, 0);
	}
}

/* Quantiles are inverses, down to 1e-300 and for any degrees of freedom. */
static void
test_round_trip(void)
{
	Random		r = 1;
	bool		normal_ok = true;
	bool		student_ok = true;
	bool		ordered = true;

	for (int i = 0; i < 20000; i++)
	{
		double		q = i % 2 == 0 ? random_uniform(&r)
			: pow(10.0, -300.0 * random_uniform(&r));
		double		df = pow(10.0, -1.0 + 10.0 * random_uniform(&r));
		double		z = gr_normal_isf(q);
		double		t = gr_t_isf(q, df);

		normal_ok = normal_ok && unit_close(gr_normal_sf(z), q,
											1e-15 * (8.0 + z * z), 0);
		if (isinf(t))
			student_ok = student_ok && q < 1e-5 && df < 1.1;
		else
			student_ok = student_ok && unit_close(gr_t_sf(t, df), q, 3e-12, 0);
		/* a heavier tail has a quantile farther out */
		ordered = ordered && fabs(t) >= fabs(z) * (1.0 - 1e-12);
	}
	CHECK(normal_ok);
	CHECK(student_ok);
	CHECK(ordered);
}

/* Any bits at all: a number in range or NaN. */
static void
test_total(void)
{
	Random		r = 2;
	bool		ok = true;

	for (int i = 0; i < 20000; i++)
	{
		double		a = random_double(&r);
		double		b = random_double(&r);
		double		p[4] = {gr_t_sf(a, b), gr_t_sf(a, fabs(b)),
		gr_chisq_sf(fabs(a), fabs(b)), gr_normal_sf(a)};

		for (int k = 0; k < 4; k++)
			ok = ok && (isnan(p[k]) || (p[k] >= 0.0 && p[k] <= 1.0));
		ok = ok && !isnan(gr_t_isf(random_uniform(&r), fabs(b) + DBL_MIN))
			== !isnan(b);
		(void) gr_t_isf(a, b);
		(void) gr_log_normal_cdf(a);
		(void) gr_log_normal_cdf_scaled(a);
		(void) gr_normal_isf(a);
	}
	CHECK(ok);
}

int
main(void)
{
	gr_stats_init();
	test_truth();
	test_edges();
	test_closed_forms();
	test_round_trip();
	test_total();
	return unit_report();
}
