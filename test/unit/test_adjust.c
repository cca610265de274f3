/*
 * test_adjust.c
 *	  Adjusted p-values against R, and the level each test was held to.
 */
#include "unit.h"
#include "stats.h"

#define MAX_TESTS 64

static void
test_truth(void)
{
	static const struct
	{
		const char *column;
		GrAdjust	method;
	}			methods[] = {
		{"p", GR_ADJUST_NONE},
		{"bonferroni", GR_ADJUST_BONFERRONI},
		{"holm", GR_ADJUST_HOLM},
		{"hochberg", GR_ADJUST_HOCHBERG},
		{"bh", GR_ADJUST_BH},
	};
	Truth		truth;

	truth_open(&truth, "multiple_testing");
	while (truth_next(&truth))
	{
		const char *id = truth_text(&truth, "id");
		bool		missing = strcmp(truth_text(&truth, "status"), "missing") == 0;

		for (int k = 0; k < 5; k++)
		{
			double		p[MAX_TESTS];
			double		expected[MAX_TESTS];
			double		adjusted[MAX_TESTS];
			int			order[MAX_TESTS];
			int			n = truth_list(&truth, "p", p, MAX_TESTS);

			truth_list(&truth, methods[k].column, expected, MAX_TESTS);
			if (missing)
			{
				int			given = 0;

				CHECK_IN(id, gr_p_adjust(p, n, methods[k].method, adjusted,
										 order) == GR_BAD_ARGUMENT);
				CHECK_IN(id, isnan(adjusted[0]));
				/* without the missing one it is what R answers */
				for (int i = 0; i < n; i++)
				{
					if (isnan(p[i]))
						continue;
					expected[given] = expected[i];
					p[given++] = p[i];
				}
				n = given;
			}
			CHECK_IN(id, gr_p_adjust(p, n, methods[k].method, adjusted, order)
					 == GR_OK);
			for (int i = 0; i < n; i++)
				CHECK_CLOSE(id, adjusted[i], expected[i], 0, 1e-12);
		}
	}
}

/*
 * p <= alpha / divisor exactly when adjusted <= alpha: for every method, for
 * levels that differ, with ties, zeros, ones and values on the boundary.
 */
static void
test_divisor(void)
{
	static const GrAdjust methods[] = {
		GR_ADJUST_NONE, GR_ADJUST_BONFERRONI, GR_ADJUST_HOLM,
		GR_ADJUST_HOCHBERG
	};
	Random		r = 51;
	int			broken = 0;
	int			rejections = 0;
	int			out_of_range = 0;

	for (int round = 0; round < 200000; round++)
	{
		double		p[12];
		double		alpha[12];
		double		divisor[12];
		double		adjusted[12];
		int			order[12];
		int			n = 1 + random_below(&r, 12);
		bool		one_level = random_below(&r, 2) == 1;

		for (int i = 0; i < n; i++)
		{
			alpha[i] = i > 0 && one_level ? alpha[0]
				: 0.005 * (1 + random_below(&r, 40));
			switch (random_below(&r, 5))
			{
				case 0:
					p[i] = 0.005 * random_below(&r, 201);
					break;
				case 1:
					p[i] = alpha[i] / (1 + random_below(&r, n));
					break;
				case 2:
					p[i] = i > 0 ? p[i - 1] : 0.0;
					break;
				default:
					p[i] = pow(random_uniform(&r), 3.0);
			}
		}
		for (int k = 0; k < 4; k++)
		{
			if (gr_p_adjust_divisor(p, alpha, n, methods[k], divisor, adjusted,
									order) != GR_OK)
				broken++;
			for (int i = 0; i < n; i++)
			{
				bool		rejected = adjusted[i] <= alpha[i];

				rejections += rejected;
				broken += (p[i] <= alpha[i] / divisor[i]) != rejected;
				out_of_range += !(divisor[i] >= 1.0 - 1e-12 &&
								  divisor[i] <= n + 1e-12);
			}
		}
	}
	CHECK(broken == 0);
	CHECK(out_of_range == 0);
	CHECK(rejections > 10000);
}

/* Holm's steps by hand: 0.01, 0.02, 0.04, 0.2 at 0.05 stops at the second. */
static void
test_holm_by_hand(void)
{
	double		p[4] = {0.2, 0.02, 0.01, 0.04};
	double		alpha[4] = {0.05, 0.05, 0.05, 0.05};
	double		divisor[4];
	double		adjusted[4];
	int			order[4];

	CHECK(gr_p_adjust_divisor(p, alpha, 4, GR_ADJUST_HOLM, divisor, adjusted,
							  order) == GR_OK);
	CHECK(order[0] == 2 && order[1] == 1 && order[2] == 3 && order[3] == 0);
	CHECK(divisor[2] == 4.0);
	CHECK(divisor[1] == 3.0 && divisor[3] == 3.0 && divisor[0] == 3.0);
	CHECK_CLOSE("first", adjusted[2], 0.04, 1e-15, 0);
	CHECK_CLOSE("second", adjusted[1], 0.06, 1e-15, 0);
}

static void
test_edges(void)
{
	double		p[3] = {0.1, 0.2, 0.3};
	double		alpha[3] = {0.1, 0.1, 0.1};
	double		divisor[3];
	double		adjusted[3];
	int			order[3];

	CHECK(gr_p_adjust(p, 0, GR_ADJUST_HOLM, adjusted, order) == GR_OK);
	CHECK(gr_p_adjust(p, -1, GR_ADJUST_HOLM, adjusted, order)
		  == GR_BAD_ARGUMENT);
	CHECK(gr_p_adjust(p, 3, (GrAdjust) 9, adjusted, order) == GR_BAD_ARGUMENT);
	CHECK(gr_p_adjust_divisor(p, alpha, 3, GR_ADJUST_BH, divisor, adjusted,
							  order) == GR_BAD_ARGUMENT);
	CHECK(isnan(divisor[0]));
	p[1] = NAN;
	CHECK(gr_p_adjust(p, 3, GR_ADJUST_HOLM, adjusted, order)
		  == GR_BAD_ARGUMENT && isnan(adjusted[0]));
	p[1] = 1.0 + 1e-15;
	CHECK(gr_p_adjust(p, 3, GR_ADJUST_HOLM, adjusted, order)
		  == GR_BAD_ARGUMENT);
	p[1] = -0.1;
	CHECK(gr_p_adjust(p, 3, GR_ADJUST_NONE, adjusted, order)
		  == GR_BAD_ARGUMENT);
	p[1] = 1.0;
	alpha[2] = NAN;
	CHECK(gr_p_adjust_divisor(p, alpha, 3, GR_ADJUST_HOLM, divisor, adjusted,
							  order) == GR_BAD_ARGUMENT);
	alpha[2] = 1.0;
	CHECK(gr_p_adjust_divisor(p, alpha, 3, GR_ADJUST_HOLM, divisor, adjusted,
							  order) == GR_BAD_ARGUMENT);
}

int
main(void)
{
	gr_stats_init();
	test_truth();
	test_divisor();
	test_holm_by_hand();
	test_edges();
	return unit_report();
}
