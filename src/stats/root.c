/*
 * root.c
 *	  The limit at which a test begins to reject.
 *
 * The search takes a bounded number of steps and returns a limit that is kept.
 */
#include "sample.h"

#include <math.h>

#include <gsl/gsl_errno.h>
#include <gsl/gsl_roots.h>

typedef struct Excess
{
	GrExcess	at;
	void	   *arg;
} Excess;

double
gr_finite_excess(GrExcess excess, void *arg, double limit)
{
	double		x = excess(arg, limit);

	return isnan(x) ? -1.0 : fmin(fmax(x, -1e3), 1e3);
}

static double
value_at(double limit, void *arg)
{
	const Excess *s = arg;

	return gr_finite_excess(s->at, s->arg, limit);
}

double
gr_excess_root(GrExcess excess, void *arg, double rejected, double kept)
{
	Excess		s = {excess, arg};
	union
	{
		double		align;
		char		room[256];
	}			state;
	gsl_root_fsolver solver = {gsl_root_fsolver_brent, NULL, 0, 0, 0, state.room};
	gsl_function f = {value_at, &s};
	double		low = fmin(rejected, kept),
				high = fmax(rejected, kept);

	if (gsl_root_fsolver_brent->size > sizeof(state.room) ||
		gsl_root_fsolver_set(&solver, &f, low, high) != GSL_SUCCESS)
		return kept;
	for (int i = 0; i < 200; i++)
	{
		if (gsl_root_fsolver_iterate(&solver) != GSL_SUCCESS ||
			gsl_root_test_interval(solver.x_lower, solver.x_upper, 1e-300, 1e-11) == GSL_SUCCESS)
			break;
	}
	return gr_finite_excess(excess, arg, solver.root) < 0.0 ? solver.root :
		gr_finite_excess(excess, arg, solver.x_lower) < 0.0 ? solver.x_lower : solver.x_upper;
}
