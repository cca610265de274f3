/*
 * test_spending.c
 *	  Spending functions and group sequential bounds.
 */
#include "unit.h"
#include "stats.h"

#include <time.h>

#define MAX_LOOKS 200

static GrLookState scratch[2];

static void
check_bounds(const char *id, const double *got, const double *expected, int k,
			 double tolerance)
{
	for (int i = 0; i < k; i++)
		CHECK_CLOSE(id, got[i], expected[i], 0, tolerance);
}

/* The bounds that given cumulative spends lead to. */
static GrCode
bounds_from_spent(const double *fractions, const double *spent, int k,
				  int sides, double *bounds)
{
	gr_look_init(&scratch[0], sides);
	for (int i = 0; i < k; i++)
	{
		GrCode		code = gr_look_bound(&scratch[i % 2], fractions[i], spent[i],
										 &bounds[i], &scratch[(i + 1) % 2]);

		if (code != GR_OK)
			return code;
	}
	return GR_OK;
}

/* What given bounds spend in all. */
static double
total_spent(const double *fractions, const double *bounds, int k, int sides)
{
	double		spent = NAN;

	gr_look_init(&scratch[0], sides);
	for (int i = 0; i < k; i++)
	{
		if (gr_look_spent(&scratch[i % 2], fractions[i], bounds[i], &spent,
						  &scratch[(i + 1) % 2]) != GR_OK)
			return NAN;
	}
	return spent;
}

static void
test_spending_row(const Truth *truth, int sides, const double *expected,
				  double tolerance)
{
	const char *id = truth_text(truth, "id");
	const char *spending = truth_text(truth, "spending");
	bool		each_side = strcmp(truth_text(truth, "kind"), "spending") == 0;
	double		alpha = truth_number(truth, "alpha") * (each_side ? sides : 1);
	double		phi = truth_number(truth, "parameter");
	double		fractions[MAX_LOOKS];
	double		spent[MAX_LOOKS];
	double		bounds[MAX_LOOKS];
	int			k = truth_list(truth, "information", fractions, MAX_LOOKS);
	GrSpending	type = strcmp(spending, "OF") == 0 ? GR_SPENDING_OBRIEN_FLEMING
		: strcmp(spending, "P") == 0 ? GR_SPENDING_POCOCK : GR_SPENDING_POWER;

	if (truth_list(truth, "spent", spent, MAX_LOOKS) == k)
	{
		for (int i = 0; i < k; i++)
		{
			spent[i] *= sides;
			if (strcmp(spending, "HSD") != 0)
				CHECK_CLOSE(id, gr_alpha_spent(type, phi, fractions[i], alpha,
											   sides), spent[i], 1e-9, 1e-300);
		}
		CHECK_IN(id, bounds_from_spent(fractions, spent, k, sides, bounds)
				 == GR_OK);
		check_bounds(id, bounds, expected, k, tolerance);
	}
	if (strcmp(spending, "HSD") == 0)
		return;
	CHECK_IN(id, gr_spending_bounds(fractions, k, alpha, sides, type, phi,
									bounds, scratch) == GR_OK);
	check_bounds(id, bounds, expected, k, tolerance);
}

static void
test_truth(void)
{
	Truth		truth;
	int			from_spent = 0;

	truth_open(&truth, "group_sequential");
	while (truth_next(&truth))
	{
		const char *id = truth_text(&truth, "id");
		const char *kind = truth_text(&truth, "kind");
		double		expected[MAX_LOOKS];
		double		fractions[MAX_LOOKS];

		from_spent += strcmp(truth_text(&truth, "spending"), "HSD") == 0;
		for (int sides = 1; sides <= 2; sides++)
		{
			int			k = truth_list(&truth,
									   sides == 1 ? "z_one_sided" : "z_two_sided",
									   expected, MAX_LOOKS);

			if (k == 0)
				continue;
			if (strcmp(kind, "constant") != 0)
				test_spending_row(&truth, sides, expected,
								  strcmp(kind, "power") == 0 ? 1e-3 : 1e-4);
			else
			{
				truth_list(&truth, "information", fractions, MAX_LOOKS);
				CHECK_CLOSE(id, total_spent(fractions, expected, k, sides),
							truth_number(&truth, "alpha"), 1e-4, 0);
			}
		}
	}
	unit_skip(from_spent, "Hwang-Shih-DeCani is not offered: bounds compared "
			  "from the given cumulative spends only");
}

/* Five equal looks, from the design's table and Jennison and Turnbull. */
static void
test_check_values(void)
{
	static const double fractions[5] = {0.2, 0.4, 0.6, 0.8, 1.0};
	static const double obf[5] = {4.8769, 3.3570, 2.6803, 2.2898, 2.0310};
	static const double pocock[5] = {2.4380, 2.4268, 2.4102, 2.3966, 2.3860};
	static const double obf_one[5] = {3.4972, 2.3566, 1.8682, 1.5936, 1.4128};
	static const double naive[5] = {1.96, 1.96, 1.96, 1.96, 1.96};
	double		bounds[5];

	gr_spending_bounds(fractions, 5, 0.05, 2, GR_SPENDING_OBRIEN_FLEMING, 1.0,
					   bounds, scratch);
	check_bounds("OBF two-sided", bounds, obf, 5, 6e-5);
	gr_spending_bounds(fractions, 5, 0.05, 2, GR_SPENDING_POCOCK, 1.0, bounds,
					   scratch);
	check_bounds("Pocock two-sided", bounds, pocock, 5, 6e-5);
	gr_spending_bounds(fractions, 5, 0.10, 1, GR_SPENDING_OBRIEN_FLEMING, 1.0,
					   bounds, scratch);
	check_bounds("OBF one-sided", bounds, obf_one, 5, 6e-5);
	/* Armitage, McPherson and Rowe 1969, table 2: 0.142 */
	CHECK_CLOSE("five naive looks", total_spent(fractions, naive, 5, 2), 0.142,
				0, 5e-4);
}

/*
 * An independent recursion: the density on a lattice of the score, trapezoid
 * with a linear last cell.  What do these bounds spend?
 */
static double
lattice_spent(const double *fractions, const double *bounds, int k, int sides)
{
	enum
	{
		POINTS = 8001
	};
	static double density[POINTS];
	static double next[POINTS];
	double		top = 4.0 * sqrt(fractions[k - 1]);
	double		bottom = sides == 2 ? -top : -8.0 * sqrt(fractions[k - 1]);
	double		h = (top - bottom) / (POINTS - 1);
	double		spent = 0.0;

	for (int look = 0; look < k; look++)
	{
		double		t = fractions[look];
		double		last = look == 0 ? 0.0 : fractions[look - 1];
		double		sigma = sqrt(t - last);
		double		upper = fmin(bounds[look] * sqrt(t), top);
		double		lower = sides == 2 ? fmax(-upper, bottom) : bottom;
		int			reach = (int) ceil(8.0 * sigma / h);
		static double kernel[POINTS];
		double		inside = 0.0;

		for (int d = 0; d <= reach && d < POINTS; d++)
			kernel[d] = h / sigma * 0.3989422804014327
				* exp(-0.5 * (d * h / sigma) * (d * h / sigma));
		for (int i = 0; i < POINTS; i++)
		{
			double		s = bottom + i * h;
			double		sum = 0.0;
			int			from = i - reach < 0 ? 0 : i - reach;
			int			to = i + reach >= POINTS ? POINTS - 1 : i + reach;

			if (look == 0)
			{
				next[i] = 0.3989422804014327 / sigma
					* exp(-0.5 * s * s / (sigma * sigma));
				continue;
			}
			for (int j = from; j <= to; j++)
				sum += density[j] * kernel[abs(i - j)];
			next[i] = sum;
		}
		for (int i = 0; i < POINTS; i++)
		{
			double		s = bottom + i * h;
			/* the share of the point's own cell that lies inside */
			double		share = fmin(1.0, fmax(0.0, (upper - s) / h + 0.5))
				- fmin(1.0, fmax(0.0, (lower - s) / h + 0.5));

			density[i] = next[i] * share;
			inside += h * density[i];
		}
		spent = 1.0 - inside;
	}
	return spent;
}

/* 200 looks, one every 1/200: quick, and right by the lattice. */
static void
test_many_looks(void)
{
	static const struct
	{
		GrSpending	spending;
		double		phi;
		double		alpha;
		int			sides;
	}			designs[] = {
		{GR_SPENDING_POWER, 1.0, 0.10, 1},
		{GR_SPENDING_POCOCK, 1.0, 0.05, 2},
		{GR_SPENDING_OBRIEN_FLEMING, 1.0, 0.05, 1},
	};
	double		fractions[200];
	double		bounds[200];

	for (int i = 0; i < 200; i++)
		fractions[i] = (i + 1) / 200.0;
	for (int d = 0; d < 3; d++)
	{
		clock_t		start = clock();
		char		label[20];
		int			first = 0;

		snprintf(label, sizeof(label), "design %d", d);
		CHECK_IN(label, gr_spending_bounds(fractions, 200, designs[d].alpha,
										   designs[d].sides,
										   designs[d].spending, designs[d].phi,
										   bounds, scratch) == GR_OK);
		/* far below a second but for sanitizers and slow machines */
		CHECK_IN(label, (double) (clock() - start) / CLOCKS_PER_SEC < 10.0);
		/* bounds above the lattice's range spend nothing it could see */
		while (bounds[first] > 7.5)
			first++;
		CHECK_CLOSE(label, lattice_spent(fractions + first, bounds + first,
										 200 - first, designs[d].sides),
					designs[d].alpha, 5e-5, 0);
		CHECK_CLOSE(label, scratch[0].spent, designs[d].alpha, 1e-12, 0);
	}
}

/* The mass on the grid and what has been spent make 1. */
static double
mass_gap(const GrLookState *state)
{
	double		mass = 0.0;

	for (int i = 0; i < state->npoints; i++)
		mass += state->w[i];
	return fabs(1.0 - mass - state->spent);
}

/*
 * Random designs: bounds exist, spend what they should, and the stored state
 * continues exactly as the one in hand.
 */
static void
test_random_designs(void)
{
	Random		r = 91;
	double		worst_mass = 0.0;
	double		worst_spent = 0.0;
	bool		ok = true;

	for (int round = 0; round < 150; round++)
	{
		int			k = 1 + random_below(&r, 15);
		int			sides = 1 + random_below(&r, 2);
		double		alpha = 0.5 * pow(10.0, -12.0 * random_uniform(&r));
		double		phi = 0.5 + 3.0 * random_uniform(&r);
		GrSpending	spending = (GrSpending) random_below(&r, 3);
		double		fractions[15];
		double		bounds[15];
		double		t = 0.0;

		for (int i = 0; i < k; i++)
		{
			/* from far apart to a millionth */
			t += random_below(&r, 3) == 0 ? 1e-6 * random_uniform(&r)
				: 0.06 * random_uniform(&r);
			fractions[i] = t;
		}
		if (gr_spending_bounds(fractions, k, alpha, sides, spending, phi,
							   bounds, scratch) != GR_OK)
		{
			ok = false;
			continue;
		}
		worst_mass = fmax(worst_mass, mass_gap(&scratch[k % 2]));
		for (int i = 0; i < k; i++)
			ok = ok && !isnan(bounds[i]) && bounds[i] > -0.1;
		if (isfinite(bounds[k - 1]))
		{
			double		target = gr_alpha_spent(spending, phi,
												fractions[k - 1], alpha, sides);

			worst_spent = fmax(worst_spent,
							   fabs(total_spent(fractions, bounds, k, sides)
									/ target - 1.0));
		}
	}
	CHECK(ok);
	CHECK(worst_mass < 1e-8);
	CHECK(worst_spent < 1e-6);
}

/* Extremes of fraction and alpha. */
static void
test_extremes(void)
{
	static const double alphas[] = {1e-12, 1e-6, 0.05, 0.5};
	static const double fractions[4] = {1e-6, 2e-6, 0.5, 1.0};

	for (int a = 0; a < 4; a++)
	{
		for (int sides = 1; sides <= 2; sides++)
		{
			for (int s = 0; s < 3; s++)
			{
				double		bounds[4];
				char		label[60];

				snprintf(label, sizeof(label), "alpha %g sides %d type %d",
						 alphas[a], sides, s);
				CHECK_IN(label, gr_spending_bounds(fractions, 4, alphas[a],
												   sides, (GrSpending) s, 1.0,
												   bounds, scratch) == GR_OK);
				for (int i = 0; i < 4; i++)
					CHECK_IN(label, bounds[i] > -0.01);
				CHECK_CLOSE(label, scratch[0].spent, alphas[a], 1e-9, 0);
			}
		}
	}
}

/*
 * The last look alone decides when nothing was spent before; a look hardly
 * later than the last adds hardly anything.
 */
static void
test_nothing_spent(void)
{
	GrLookState *s = scratch;
	GrLookState *next = scratch + 1;
	double		bound;

	gr_look_init(s, 1);
	CHECK(gr_look_bound(s, 0.5, 0.0, &bound, next) == GR_OK);
	CHECK(bound == INFINITY && next->looks == 1 && next->spent == 0.0);
	CHECK(gr_look_bound(next, 1.0, 0.05, &bound, NULL) == GR_OK);
	CHECK_CLOSE("only look", bound, gr_normal_isf(0.05), 0, 1e-9);
	/* less was allowed than has been spent */
	CHECK(gr_look_bound(next, 1.0, 0.05, &bound, s) == GR_OK);
	CHECK(gr_look_bound(s, 1.5, 0.04, &bound, next) == GR_OK);
	CHECK(bound == INFINITY && next->spent == 0.05);

	gr_look_init(s, 2);
	CHECK(gr_look_bound(s, 0.5, 0.05, &bound, next) == GR_OK);
	CHECK(gr_look_bound(next, 0.5 * (1.0 + 1e-12), 0.0500001, &bound, s)
		  == GR_OK);
	CHECK(isfinite(bound) && gr_look_valid(s) && mass_gap(s) < 1e-6);
}

static void
test_edges(void)
{
	GrLookState *s = scratch;
	GrLookState *next = scratch + 1;
	double		fractions[3] = {0.2, 0.2, 1.0};
	double		bounds[3];
	double		bound;
	Random		r = 92;

	CHECK(isnan(gr_alpha_spent(GR_SPENDING_POWER, 0.0, 0.5, 0.1, 1)));
	CHECK(isnan(gr_alpha_spent(GR_SPENDING_POWER, NAN, 0.5, 0.1, 1)));
	CHECK(isnan(gr_alpha_spent(GR_SPENDING_POCOCK, 1.0, NAN, 0.1, 1)));
	CHECK(isnan(gr_alpha_spent(GR_SPENDING_POCOCK, 1.0, 0.5, 0.0, 1)));
	CHECK(isnan(gr_alpha_spent(GR_SPENDING_POCOCK, 1.0, 0.5, 0.1, 3)));
	CHECK(isnan(gr_alpha_spent((GrSpending) 9, 1.0, 0.5, 0.1, 1)));
	CHECK(isnan(gr_alpha_spent((GrSpending) 9, 1.0, 1.0, 0.1, 1)));
	CHECK(gr_alpha_spent(GR_SPENDING_OBRIEN_FLEMING, 1.0, 0.0, 0.1, 1) == 0.0);
	CHECK(gr_alpha_spent(GR_SPENDING_OBRIEN_FLEMING, 1.0, 1.0, 0.1, 2) == 0.1);
	CHECK(gr_alpha_spent(GR_SPENDING_POCOCK, 1.0, 1.7, 0.1, 2) == 0.1);
	CHECK(gr_alpha_spent(GR_SPENDING_POWER, 2.0, -1.0, 0.1, 2) == 0.0);

	CHECK(gr_spending_bounds(fractions, 3, 0.05, 1, GR_SPENDING_POCOCK, 1.0,
							 bounds, scratch) == GR_BAD_ARGUMENT);
	CHECK(isnan(bounds[0]) && isnan(bounds[2]));
	fractions[1] = 0.5;
	fractions[2] = 1.01;
	CHECK(gr_spending_bounds(fractions, 3, 0.05, 1, GR_SPENDING_POCOCK, 1.0,
							 bounds, scratch) == GR_BAD_ARGUMENT);
	fractions[2] = NAN;
	CHECK(gr_spending_bounds(fractions, 3, 0.05, 1, GR_SPENDING_POCOCK, 1.0,
							 bounds, scratch) == GR_BAD_ARGUMENT);
	fractions[2] = 1.0;
	CHECK(gr_spending_bounds(fractions, 0, 0.05, 1, GR_SPENDING_POCOCK, 1.0,
							 bounds, scratch) == GR_BAD_ARGUMENT);
	CHECK(gr_spending_bounds(fractions, 3, 1.5, 1, GR_SPENDING_POCOCK, 1.0,
							 bounds, scratch) == GR_BAD_ARGUMENT);

	gr_look_init(s, 1);
	CHECK(gr_look_valid(s));
	CHECK(gr_look_bound(s, 0.0, 0.01, &bound, next) == GR_BAD_ARGUMENT);
	CHECK(gr_look_bound(s, NAN, 0.01, &bound, next) == GR_BAD_ARGUMENT);
	CHECK(gr_look_bound(s, INFINITY, 0.01, &bound, next) == GR_BAD_ARGUMENT);
	CHECK(gr_look_bound(s, 0.5, NAN, &bound, next) == GR_BAD_ARGUMENT);
	CHECK(gr_look_bound(s, 0.5, 1.0, &bound, next) == GR_BAD_ARGUMENT);
	CHECK(gr_look_bound(s, 0.5, 0.01, &bound, s) == GR_BAD_ARGUMENT);
	CHECK(gr_look_spent(s, 0.5, NAN, &bound, NULL) == GR_BAD_ARGUMENT);
	CHECK(gr_look_bound(s, 0.5, 0.01, &bound, next) == GR_OK);
	CHECK(gr_look_bound(next, 0.5, 0.02, &bound, NULL) == GR_BAD_ARGUMENT);
	CHECK(gr_look_bound(next, 0.6, 0.999, &bound, NULL) != GR_NO_CONVERGENCE);
	s->sides = 3;
	CHECK(!gr_look_valid(s));
	CHECK(gr_look_bound(s, 0.5, 0.01, &bound, NULL) == GR_BAD_ARGUMENT);

	/* bytes from anywhere */
	for (int i = 0; i < 2000; i++)
	{
		GrLookState *from = scratch;

		gr_look_init(from, 1);
		gr_look_bound(from, 0.5, 0.01, &bound, next);
		for (int k = 0; k < 3; k++)
		{
			size_t		at = (size_t) random_below(&r, (int) offsetof(GrLookState, x)
												   + (i % 2 ? 4096 : 0));

			((unsigned char *) next)[at] = (unsigned char) random_bits(&r);
		}
		(void) gr_look_bound(next, 0.7, 0.03, &bound, from);
	}
}

int
main(void)
{
	gr_stats_init();
	test_truth();
	test_check_values();
	test_many_looks();
	test_random_designs();
	test_extremes();
	test_nothing_spent();
	test_edges();
	return unit_report();
}
