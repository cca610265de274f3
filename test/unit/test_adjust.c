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

/*
 * e-BH by its definition, in numpy: k = max{i: e_(i) >= n / (i alpha)}, and the
 * smallest level of each; the last case has levels of its own, each log e plus
 * ln(alpha / greatest alpha) held to the greatest.
 */
static void
test_e_bh(void)
{
	static const struct
	{
		int			n;
		double		log_e[12];
		double		alpha[12];
		double		adjusted[12];
		const char *rejected;
	}			cases[] = {
		{6, {1.0, 1.6, 0.45, -0.78, 0.09, -0.98}, {0}, {1, 1, 1, 1, 1, 1}, "000000"},
		{10, {3.15, 6.35, 1.77, 1.45, 4.22, 3.89, 3.26, 0.67, 2.93, 4.74}, {0},
			{0.07142021144506697, 0.017467471362611196, 0.2129162360317618, 0.260633653437553, 0.04899548168300595,
			0.05111336509484413, 0.07142021144506697, 0.5117085777865424, 0.07628148306456725, 0.043693230927366454},
		"1100111011"},
		{12, {800, 0.63, -3.7, 1.29, -3.53, 1.29, -1.8, 2.81, 2.47, 1.44, -5.55, 0.38}, {0},
			{0, 0.9130145160118237, 1, 0.5505415661795047, 1, 0.5505415661795047, 1, 0.33833943600625876,
			0.33833943600625876, 0.5505415661795047, 1, 1}, "100000000000"},
		{6, {4.2, 3.1, 2.9, 5.0, 0.3, -2.0}, {0.1, 0.05, 0.2, 0.01, 0.1, 0.1},
			{0.08253483008461085, 0.0675738035903367, 0.1650696601692217, 0.013475893998170932, 0.5, 0.5}, "101000"},
	};
	double		scaled[12];
	double		adjusted[12];
	double		alpha[12];
	int			order[12];

	for (int c = 0; c < 4; c++)
	{
		for (int i = 0; i < cases[c].n; i++)
			alpha[i] = cases[c].alpha[0] > 0 ? cases[c].alpha[i] : 0.1;
		CHECK(gr_e_bh(cases[c].log_e, alpha, cases[c].n, scaled, adjusted, order) == GR_OK);
		for (int i = 0; i < cases[c].n; i++)
		{
			CHECK_CLOSE("e-BH", adjusted[i], cases[c].adjusted[i], 1e-13, 0);
			CHECK((adjusted[i] <= alpha[i]) == (cases[c].rejected[i] == '1'));
		}
	}
	alpha[0] = alpha[1] = 0.1;
	scaled[0] = INFINITY;
	scaled[1] = -INFINITY;
	CHECK(gr_e_bh(scaled, alpha, 2, scaled, adjusted, order) == GR_OK && adjusted[0] == 0 && adjusted[1] == 1);
	scaled[0] = NAN;
	CHECK(gr_e_bh(scaled, alpha, 1, scaled, adjusted, order) == GR_BAD_ARGUMENT);
	scaled[0] = 1.5;
	CHECK(gr_bh(scaled, alpha, 1, scaled, adjusted, order) == GR_BAD_ARGUMENT);
	scaled[0] = 0.5;
	alpha[0] = 0;
	CHECK(gr_bh(scaled, alpha, 1, scaled, adjusted, order) == GR_BAD_ARGUMENT);
	CHECK(gr_e_bh(scaled, alpha, 0, scaled, adjusted, order) == GR_OK);
	/* levels so far apart that their ratio is no double */
	scaled[0] = 0;
	scaled[1] = 1e-321;
	alpha[0] = alpha[1] = 5e-324;
	alpha[2] = scaled[2] = 0.25;
	CHECK(gr_bh(scaled, alpha, 3, scaled, adjusted, order) == GR_OK && adjusted[0] == 0);
}

/* With one level for all it is p.adjust's BH; with several, adjusted <= alpha decides as the definition does. */
static void
test_bh_levels(void)
{
	Random		r = 77;
	int			broken = 0;

	for (int run = 0; run < 20000; run++)
	{
		double		p[MAX_TESTS],
					alpha[MAX_TESTS],
					scaled[MAX_TESTS],
					adjusted[MAX_TESTS];
		int			order[MAX_TESTS];
		int			n = 1 + random_below(&r, 20);
		double		greatest = 0;
		int			k = 0;

		for (int i = 0; i < n; i++)
		{
			alpha[i] = 0.01 * (1 + random_below(&r, 20));
			p[i] = pow(random_uniform(&r), 3);
			greatest = fmax(greatest, alpha[i]);
		}
		/* the most that can be rejected together: k of them with p_i <= k alpha_i / n */
		for (int j = 1; j <= n; j++)
		{
			int			below = 0;

			for (int i = 0; i < n; i++)
				below += p[i] <= j * alpha[i] / n;
			if (below >= j)
				k = j;
		}
		CHECK(gr_bh(p, alpha, n, scaled, adjusted, order) == GR_OK);
		for (int i = 0; i < n; i++)
			broken += (adjusted[i] <= alpha[i]) != (k > 0 && p[i] <= k * alpha[i] / n);
	}
	CHECK(broken == 0);
}

int
main(void)
{
	gr_stats_init();
	test_truth();
	test_divisor();
	test_holm_by_hand();
	test_edges();
	test_e_bh();
	test_bh_levels();
	return unit_report();
}
