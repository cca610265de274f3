/*
 * test_cuped.c
 *	  Variance reduction with a covariate: test/truth/cuped.tsv, and properties.
 */
#include "unit.h"
#include "stats.h"

/* Moments of (y, x) from sums and centred products. */
static GrMoments
read_arm(const Truth *truth, const char *arm)
{
	static const char *const names[] = {"n", "y", "x", "yy", "xy", "xx"};
	double		value[6];
	GrMoments	m;

	for (int i = 0; i < 6; i++)
	{
		char		column[16];

		snprintf(column, sizeof(column), "%s_%s", names[i], arm);
		value[i] = truth_number(truth, column);
	}
	gr_moments_init(&m, 2);
	m.n = (int64_t) value[0];
	m.sum_hi[0] = value[1];
	m.sum_hi[1] = value[2];
	m.product[0] = value[3];
	m.product[1] = value[4];
	m.product[2] = value[5];
	return m;
}

static void
test_truth(void)
{
	Truth		truth;

	truth_open(&truth, "cuped");
	while (truth_next(&truth))
	{
		const char *id = truth_text(&truth, "id");
		GrMoments	arms[2];
		double		mean,
					theta,
					raw;
		double		tolerance;

		arms[0] = read_arm(&truth, "c");
		arms[1] = read_arm(&truth, "t");
		tolerance = fabs(arms[0].sum_hi[0]) > 1e9 ? 1e-6 : 1e-9;
		mean = (arms[0].sum_hi[1] + arms[1].sum_hi[1]) / (double) (arms[0].n + arms[1].n);
		for (int a = 0; a < 2; a++)
		{
			GrEstimate	e;
			const char *suffix = a == 0 ? "c" : "t";
			char		column[16];

			CHECK_IN(id, gr_cuped_estimate(&arms[a], truth_number(&truth, "theta"), mean,
										   &e, &raw) == GR_OK);
			snprintf(column, sizeof(column), "mean_%s", suffix);
			CHECK_CLOSE(id, e.value, truth_number(&truth, column), tolerance, 1e-12);
			snprintf(column, sizeof(column), "var_%s", suffix);
			CHECK_CLOSE(id, e.variance * (double) arms[a].n, truth_number(&truth, column),
						tolerance, 1e-12);
			CHECK_CLOSE(id, raw * (double) arms[a].n, gr_moments_cov(&arms[a], 0, 0), 1e-12, 0);
		}
		if (truth_given(&truth, "ancova_theta"))
		{
			CHECK_IN(id, gr_cuped_theta(arms, 2, &theta) == GR_OK);
			CHECK_CLOSE(id, theta, truth_number(&truth, "ancova_theta"),
						1e-8, 1e-12);
		}
	}
}

/* A ratio whose denominator is always 1 is a mean, also when it is adjusted. */
static void
test_ratio_of_ones(void)
{
	GrMoments	mean[2],
				ratio[2];
	double		theta[2],
				raw[2];
	GrEstimate	e[2];

	for (int a = 0; a < 2; a++)
	{
		gr_moments_init(&mean[a], 2);
		gr_moments_init(&ratio[a], 3);
		for (int i = 0; i < 50; i++)
		{
			double		u = (i * 37 % 23) + a;
			double		x[3] = {3 * u + (i * 11 % 7), u, 0};
			double		y[3] = {x[0], 1, u};

			CHECK(gr_moments_add(&mean[a], x));
			CHECK(gr_moments_add(&ratio[a], y));
		}
	}
	CHECK(gr_cuped_theta(mean, 2, &theta[0]) == GR_OK);
	CHECK(gr_cuped_theta(ratio, 2, &theta[1]) == GR_OK);
	CHECK_CLOSE("theta", theta[1], theta[0], 1e-12, 0);
	CHECK(gr_cuped_estimate(&mean[1], theta[0], 11, &e[0], &raw[0]) == GR_OK);
	CHECK(gr_cuped_estimate(&ratio[1], theta[1], 11, &e[1], &raw[1]) == GR_OK);
	CHECK_CLOSE("value", e[1].value, e[0].value, 1e-12, 0);
	CHECK_CLOSE("variance", e[1].variance, e[0].variance, 1e-10, 0);
	CHECK(e[0].variance < raw[0]);
}

/* Units that all have u are the units with u added one by one. */
static void
test_extend(void)
{
	GrMoments	plain,
				extended,
				streamed;

	gr_moments_init(&plain, 2);
	gr_moments_init(&streamed, 3);
	for (int i = 0; i < 20; i++)
	{
		double		x[3] = {i * 0.7, i % 5, 0.1};

		CHECK(gr_moments_add(&plain, x));
		CHECK(gr_moments_add(&streamed, x));
	}
	CHECK(gr_moments_extend(&plain, 0.1, &extended));
	CHECK(gr_moments_valid(&extended));
	CHECK(extended.n == streamed.n && extended.dim == 3);
	for (int i = 0; i < 3; i++)
	{
		CHECK_CLOSE("mean", gr_moments_mean(&extended, i), gr_moments_mean(&streamed, i), 1e-15, 0);
		for (int j = i; j < 3; j++)
			CHECK_CLOSE("cov", gr_moments_cov(&extended, i, j),
						gr_moments_cov(&streamed, i, j), 1e-12, 1e-14);
	}
	CHECK(!gr_moments_extend(&extended, 1, &plain));
	CHECK(!gr_moments_extend(&plain, INFINITY, &extended));
}

static void
test_refusals(void)
{
	GrMoments	m;
	GrEstimate	e;
	double		theta,
				raw;
	double		x[2] = {1, 2};

	gr_moments_init(&m, 2);
	CHECK(gr_cuped_theta(&m, 1, &theta) == GR_UNDEFINED && isnan(theta));
	CHECK(gr_cuped_estimate(&m, 0, 0, &e, &raw) == GR_UNDEFINED && isnan(e.value));
	CHECK(gr_moments_add(&m, x));
	CHECK(gr_cuped_estimate(&m, 0, 0, &e, &raw) == GR_UNDEFINED && e.value == 1 && isnan(e.variance));
	CHECK(gr_moments_add(&m, x));
	/* a covariate that does not vary */
	CHECK(gr_cuped_theta(&m, 1, &theta) == GR_UNDEFINED);
	/* a coefficient that overflows leaves no variance, least of all zero */
	x[0] = 1e100;
	x[1] = 1e150;
	CHECK(gr_moments_add(&m, x));
	CHECK(gr_cuped_estimate(&m, 1e100, 0, &e, &raw) == GR_UNDEFINED && isnan(e.variance) && isnan(e.df));
	CHECK(gr_cuped_estimate(&m, NAN, 0, &e, &raw) == GR_UNDEFINED && isnan(e.variance));
	gr_moments_init(&m, 1);
	CHECK(gr_cuped_theta(&m, 1, &theta) == GR_BAD_ARGUMENT);
}

int
main(void)
{
	gr_stats_init();
	test_truth();
	test_ratio_of_ones();
	test_extend();
	test_refusals();
	return unit_report();
}
