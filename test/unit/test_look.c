/*
 * test_look.c
 *	  What fuzzing has found in the recursion from look to look.
 */
#include "unit.h"
#include "stats.h"

static GrLookState scratch[2];

static double
mass_gap(const GrLookState *state)
{
	double		mass = 0.0;

	for (int i = 0; i < state->npoints; i++)
		mass += state->w[i];
	return fabs(1.0 - mass - state->spent);
}

/*
 * Looks that all but coincide: a bend of the density that is
 * as narrow as the step must not fall between the nodes of a wide panel.  What
 * has not crossed and what has been spent are everything.
 */
static void
test_close_looks(void)
{
	static const struct
	{
		int			sides;
		int			k;
		double		t[5];
		double		spent[5];
	}			cases[] = {
		{2, 3, {0.89768713605677297, 1.397685610142942, 1.3976856101529238},
		{0.0019935078491222966, 0.0036352281116527906, 0.0036352281116527906}},
		{2, 5, {0.0033838551497466242, 0.0033839401348375194, 0.40338394009991291,
		0.40338502925858066, 0.40338611842018918},
		{1.0444372457694677e-11, 7.8487492723621694e-09, 0.085008328505851466,
		0.085008328515407974, 0.085008328524964483}},
		{1, 3, {0.99968384045937775, 0.99970794273694319, 1.0997082586066358},
		{0.99770005312523302, 0.99770005312523302, 0.99770005312523302}},
	};
	double		bound;

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
	{
		gr_look_init(&scratch[0], cases[i].sides);
		for (int k = 0; k < cases[i].k; k++)
		{
			CHECK(gr_look_bound(&scratch[k % 2], cases[i].t[k],
								cases[i].spent[k], &bound,
								&scratch[(k + 1) % 2]) == GR_OK);
			CHECK(gr_look_valid(&scratch[(k + 1) % 2]));
			CHECK(mass_gap(&scratch[(k + 1) % 2]) < 1e-6);
		}
	}

	/* closer than rounding allows, or nearly everything spent: refused whole */
	gr_look_init(&scratch[0], 2);
	CHECK(gr_look_bound(&scratch[0], 0.5, 0.01, &bound, &scratch[1]) == GR_OK);
	CHECK(gr_look_bound(&scratch[1], 0.5 * (1.0 + 1e-14), 0.02, &bound, NULL)
		  == GR_BAD_ARGUMENT && isnan(bound));
	gr_look_init(&scratch[0], 2);
	gr_look_bound(&scratch[0], 0.99999999758749436, 0.99770005312523302,
				  &bound, &scratch[1]);
	gr_look_bound(&scratch[1], 1.0099999975285221, 0.99999471024437325,
				  &bound, &scratch[0]);
	CHECK(gr_look_bound(&scratch[0], 1.0099999999106855, 0.99999471024437325,
						&bound, &scratch[1]) == GR_OK);
	if (gr_look_bound(&scratch[1], 1.0100000022922941, 0.99999471024437325,
					  &bound, &scratch[0]) == GR_OK)
		CHECK(mass_gap(&scratch[0]) < 1e-6);
	else
		CHECK(isnan(bound));
}

int
main(void)
{
	gr_stats_init();
	test_close_looks();
	return unit_report();
}
