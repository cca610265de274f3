/*
 * fuzz_dist.c
 *	  Tails and quantiles for any arguments.
 */
#include "fuzz.h"

static void
check_normal(double z, double q)
{
	double		back = gr_normal_isf(q);

	if (isnan(z))
		EXPECT(isnan(gr_normal_cdf(z)) && isnan(gr_normal_sf(z)) &&
			   isnan(gr_log_normal_cdf(z)));
	else
	{
		EXPECT(is_probability(gr_normal_cdf(z)));
		EXPECT(gr_normal_sf(z) == gr_normal_cdf(-z));
		EXPECT(gr_log_normal_cdf(z) <= 0.0);
		if (fabs(z) < 1e150)
		{
			EXPECT(isfinite(gr_log_normal_cdf(z)));
			EXPECT(isfinite(gr_log_normal_cdf_scaled(z)));
		}
		if (z > -37.0)
			EXPECT_WITH(fabs(gr_log_normal_cdf(z) - log(gr_normal_cdf(z)))
						<= 1e-12 * fmax(1.0, fabs(gr_log_normal_cdf(z))),
						"z %.17g", z);
	}
	if (!is_probability(q))
		EXPECT(isnan(back));
	else
	{
		EXPECT(!isnan(back));
		if (q > 1e-300)
			EXPECT_WITH(near(gr_normal_sf(back), q, 1e-12), "q %.17g z %.17g",
						q, back);
	}
}

static void
check_student(double t, double df, double q)
{
	double		back = gr_t_isf(q, df);

	if (isnan(t) || !(df > 0.0))
	{
		EXPECT(isnan(gr_t_sf(t, df)));
		EXPECT(df > 0.0 || isnan(back));
		return;
	}
	EXPECT_WITH(is_probability(gr_t_sf(t, df)), "t %.17g df %.17g: %.17g", t,
				df, gr_t_sf(t, df));
	EXPECT(gr_t_cdf(t, df) == gr_t_sf(-t, df));
	EXPECT_WITH(t > 0.0 ? gr_t_sf(t, df) <= 0.5 : gr_t_sf(t, df) >= 0.5,
				"t %.17g df %.17g: %.17g", t, df, gr_t_sf(t, df));
	if (!is_probability(q))
	{
		EXPECT(isnan(back));
		return;
	}
	EXPECT_WITH(!isnan(back), "q %.17g df %.17g", q, df);
	EXPECT(q < 0.5 ? back >= 0.0 : back <= 0.0);
	/* at a finite quantile the tail is the probability again */
	if (q > 1e-290 && q < 0.49 && df > 1e-2 && isfinite(back) && back < 1e300)
		EXPECT_WITH(near(gr_t_sf(back, df), q, 1e-8),
					"q %.17g df %.17g t %.17g sf %.17g", q, df, back,
					gr_t_sf(back, df));
}

/*
 * The tail falls as t grows.  (No contrast has less than one degree of freedom;
 * far below that the tail is 1/2 over hundreds of orders of magnitude.)
 */
static void
check_order(double a, double b, double df)
{
	if (a < b && df >= 0.1)
		EXPECT_WITH(gr_t_sf(a, df) >= gr_t_sf(b, df) * (1.0 - 1e-9),
					"t %.17g and %.17g df %.17g: %.17g %.17g", a, b, df,
					gr_t_sf(a, df), gr_t_sf(b, df));
}

static void
check_chisq(double x, double df)
{
	double		p = gr_chisq_sf(x, df);

	EXPECT(isnan(p) || is_probability(p));
	if (!(x >= 0.0) || !(df > 0.0) || isinf(df))
		EXPECT(isnan(p));
	/* as many arms as there may be, however far the split is off */
	else if (df >= 1.0 && df <= 1e5)
		EXPECT_WITH(!isnan(p), "x %.17g df %.17g", x, df);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		in = {data, size};
	double		x = take_double(&in);
	double		df = take_double(&in);
	double		q = take_double(&in);

	check_normal(x, q);
	check_student(x, df, q);
	check_order(x, take_double(&in), df);
	check_chisq(x, df);
	return 0;
}
