/*
 * test_joint.c
 *	  Two effects at once: gradients, the ratio of two effects, joint regions.
 *
 * Expected numbers: scipy, by root finding from the formulas in joint.h.
 */
#include "unit.h"
#include "stats/joint.h"

static void
test_joint(void)
{
	double		lower,
				upper;
	GrGradient	g;

	CHECK(gr_fieller_ratio(-0.8, 2, 0.04, 0.09, -0.02, 1.96, &lower, &upper) == GR_OK);
	CHECK_CLOSE("lower", lower, -0.6184426665191212, 1e-12, 0);
	CHECK_CLOSE("upper", upper, -0.21519788849399263, 1e-12, 0);
	CHECK(gr_fieller_ratio(3, 1, 0.5, 0.04, 0.1, 2.5, &lower, &upper) == GR_OK);
	CHECK_CLOSE("lower", lower, 1.6853009304474018, 1e-12, 0);
	CHECK_CLOSE("upper", upper, 4.6480324028859314, 1e-12, 0);
	CHECK(gr_fieller_ratio(3, 1, 0.5, 0.5, 0.1, 2, &lower, &upper) == GR_UNDEFINED &&
		  lower == -INFINITY && upper == INFINITY);
	CHECK(gr_fieller_ratio(3, 1, 0.5, 0.01, 0.1, INFINITY, &lower, &upper) == GR_UNDEFINED);
	CHECK(gr_fieller_ratio(NAN, 1, 0.5, 0.01, 0.1, 1, &lower, &upper) == GR_UNDEFINED);
	CHECK(gr_fieller_ratio(1, 1, -1, 0.01, 0, 1, &lower, &upper) == GR_UNDEFINED);
	CHECK_CLOSE("ellipse", gr_ellipse_radius(0.05), 2.4477468306808166, 1e-12, 0);
	CHECK_CLOSE("ellipse", gr_ellipse_radius(0.1), 2.145966026289347, 1e-12, 0);
	CHECK_CLOSE("mixture", gr_ellipse_radius_mixture(0.05, 2000, 500), 3.393070212207556, 1e-12, 0);
	CHECK(isnan(gr_ellipse_radius(0)) && isnan(gr_ellipse_radius(NAN)));
	CHECK(isnan(gr_ellipse_radius_mixture(0.05, 0, 500)) && isnan(gr_ellipse_radius_mixture(0.05, 1, NAN)));
	g = gr_effect_gradient(GR_RELATIVE, 3, 2);
	CHECK(g.t == 0.5 && g.c == -0.75);
	g = gr_effect_gradient(GR_DIFFERENCE, 3, 2);
	CHECK(g.t == 1 && g.c == -1);
	g = gr_effect_gradient(GR_ABSOLUTE, 3, 2);
	CHECK(g.t == 1 && g.c == 0);
	CHECK(isnan(gr_effect_gradient(GR_RELATIVE, 3, 0).t));
}

int
main(void)
{
	gr_stats_init();
	test_joint();
	return unit_report();
}
