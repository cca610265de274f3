/*
 * test_power.c
 *	  Sample size and minimum detectable effect.
 */
#include "unit.h"
#include "stats.h"

static void
test_truth(void)
{
	Truth		truth;

	truth_open(&truth, "power");
	while (truth_next(&truth))
	{
		const char *id = truth_text(&truth, "id");
		const char *quantity = truth_text(&truth, "quantity");
		double		sd = truth_number(&truth, "sd");
		double		alpha = truth_number(&truth, "alpha");
		double		power = truth_number(&truth, "power");
		int			sides = (int) truth_number(&truth, "sides");
		double		ratio = truth_number(&truth, "ratio");
		double		expected = truth_number(&truth, "expected");
		double		t_answer = truth_number(&truth, "t_answer");
		double		got;

		if (strcmp(quantity, "mde") == 0)
		{
			double		n = truth_number(&truth, "n");

			CHECK_IN(id, gr_mde(sd, n, n, alpha, power, sides, &got) == GR_OK);
		}
		else
		{
			CHECK_IN(id, gr_sample_size(sd, truth_number(&truth, "effect"),
										truth_number(&truth, "margin"), alpha,
										power, sides, ratio, &got) == GR_OK);
			if (strcmp(quantity, "n_total") == 0)
				got *= 1.0 + ratio;
		}
		CHECK_CLOSE(id, got, expected, 1e-9, 0);
		/* Student's t asks for a little more, by z^2/4 units or so */
		if (!isnan(t_answer))
			CHECK_IN(id, got < t_answer &&
					 (strcmp(quantity, "mde") == 0 ? got > 0.98 * t_answer
					  : got > t_answer - 2.5));
	}
	unit_skip(4 + 8 + 1, "power of a given t test, and proportions by two "
			  "different variances or arcsine: formulas guardrail does not use");
}

/* One is the other's inverse, whatever the allocation. */
static void
test_inverse(void)
{
	Random		r = 81;
	bool		ok = true;

	for (int i = 0; i < 10000; i++)
	{
		double		sd = exp(random_normal(&r));
		double		margin = random_normal(&r);
		double		beyond = 0.01 + random_uniform(&r);
		double		alpha = 0.5 * random_uniform(&r);
		double		power = 0.5 + 0.499 * random_uniform(&r);
		double		ratio = exp(random_normal(&r));
		int			sides = 1 + i % 2;
		double		n;
		double		effect;

		ok = ok &&
			gr_sample_size(sd, margin - beyond, margin, alpha, power, sides,
						   ratio, &n) == GR_OK &&
			gr_mde(sd, n * ratio, n, alpha, power, sides, &effect) == GR_OK &&
			unit_close(effect, beyond, 1e-9, 0);
	}
	CHECK(ok);
}

static void
test_edges(void)
{
	double		n;

	CHECK(gr_sample_size(1.0, 0.1, 0.1, 0.05, 0.8, 2, 1.0, &n)
		  == GR_UNDEFINED && isnan(n));
	CHECK(gr_sample_size(0.0, 0.1, 0.0, 0.05, 0.8, 2, 1.0, &n) == GR_UNDEFINED);
	CHECK(gr_sample_size(-1.0, 0.1, 0.0, 0.05, 0.8, 2, 1.0, &n)
		  == GR_BAD_ARGUMENT);
	CHECK(gr_sample_size(1.0, NAN, 0.0, 0.05, 0.8, 2, 1.0, &n)
		  == GR_BAD_ARGUMENT);
	CHECK(gr_sample_size(1.0, 0.1, 0.0, 0.05, 0.8, 3, 1.0, &n)
		  == GR_BAD_ARGUMENT);
	CHECK(gr_sample_size(1.0, 0.1, 0.0, 1.0, 0.8, 2, 1.0, &n)
		  == GR_BAD_ARGUMENT);
	CHECK(gr_sample_size(1.0, 0.1, 0.0, 0.05, 1.0, 2, 1.0, &n)
		  == GR_BAD_ARGUMENT);
	CHECK(gr_sample_size(1.0, 0.1, 0.0, 0.05, 0.8, 2, 0.0, &n)
		  == GR_BAD_ARGUMENT);
	CHECK(gr_sample_size(1e300, 1e-300, 0.0, 0.05, 0.8, 2, 1.0, &n)
		  == GR_UNDEFINED && isnan(n));
	CHECK(gr_sample_size(1.0, 0.1, 0.0, 0.4, 0.1, 1, 1.0, &n) == GR_OK &&
		  n == 0.0);
	CHECK(gr_mde(1.0, 0.0, 10.0, 0.05, 0.8, 2, &n) == GR_BAD_ARGUMENT);
	CHECK(gr_mde(1.0, 10.0, NAN, 0.05, 0.8, 2, &n) == GR_BAD_ARGUMENT);
	CHECK(gr_mde(0.0, 10.0, 10.0, 0.05, 0.8, 2, &n) == GR_UNDEFINED);
	CHECK(gr_mde(1.0, 10.0, 10.0, 0.05, NAN, 2, &n) == GR_BAD_ARGUMENT);
}

int
main(void)
{
	gr_stats_init();
	test_truth();
	test_inverse();
	test_edges();
	return unit_report();
}
