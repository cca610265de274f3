/*
 * guard.c
 *	  How much a metric must have been observed before the normal approximation
 *	  is allowed to speak.
 *
 * The difference of two means is skewed by |1 - 2s| sqrt(k) / sqrt(s (1 - s) n),
 * where n units carry the metric (have a value that is not 0), s is the
 * treatment's share of the units, and k >= 1 grows with the tail of what they
 * carry.  Skewness makes one tail of the test too heavy: the arm with few units
 * has seen too little to know its own variance.  An even split has none.  The
 * limits were found by simulation: doc/simulation.md, test/sim.
 */
#include "decide/decide.h"

#include <math.h>

/* Units that must carry a metric whatever the split, ... */
#define FLOOR 30

/* ... and in units of the skewness: at 200 it is 0.07. */
#define SKEWED 200

double
gr_carrying_needed(double share, double floor, double concentration)
{
	double		uneven = (1 - 2 * share) * (1 - 2 * share) / (share * (1 - share));

	if (!(share > 0 && share < 1))
		return floor;
	if (!(concentration > 0) || concentration > 1)
		concentration = 1;
	return ceil(fmax(floor, SKEWED * uneven / pow(concentration, 3)));
}

double
gr_carrying_floor(bool one_arm)
{
	return one_arm ? SKEWED : FLOOR;
}

double
gr_tail_observations(double p, double se)
{
	return fmin(p, 1 - p) * p * (1 - p) / (se * se);
}
