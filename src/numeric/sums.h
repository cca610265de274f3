/*
 * sums.h
 *	  Sums that units can be taken out of again.
 */
#ifndef GR_SUMS_H
#define GR_SUMS_H

#include "numeric/numeric.h"

/* The units in which a variable is largest, the largest first. */
#define GR_TOP 16

typedef struct GrTop
{
	int			n;
	bool		left_out;		/* there are units below the last that are not here */
	double		unit[GR_TOP][GR_MAX_DIM];
} GrTop;

/*
 * What GrMoments holds, as sums of the values and of their products, in
 * double-double: each sum is two numbers, {hi, lo}.
 */
typedef struct GrSums
{
	int			dim;			/* 1 .. GR_MAX_DIM */
	bool		exact;			/* nothing was ever rounded */
	bool		lost;			/* a value came whose square is too large or too small */
	int64_t		n;				/* units in it now */
	int64_t		steps;			/* units that came or went since there were none */
	double		sum[GR_MAX_DIM][2];
	double		product[GR_MAX_PRODUCTS][2];
	double		triple[GR_MAX_TRIPLES][2];
	double		peak[GR_MAX_DIM];	/* the largest sum of squares there was: rounding is
									 * in proportion to it */
	GrTop		top[GR_MAX_DIM];	/* by variable */
} GrSums;

extern void gr_sums_init(GrSums *s, int dim);

/* Add a unit (sign 1), or take one out that was added (-1).  False, and nothing
 * done, when a value is not finite. */
extern bool gr_sums_add(GrSums *s, const double *x, int sign);

/*
 * As moments, each variance right to 2^-46 of itself and each covariance to 2^-46 of
 * the product of the standard deviations.  False when that is not certain: too much
 * has come and gone, a variance is too small beside the mean, or all of the largest
 * units that were known have gone.
 */
extern bool gr_sums_moments(const GrSums *s, GrMoments *out);

/* Would sums of the units that are in them now be certain of more? */
extern bool gr_sums_are_worn(const GrSums *s);

/* Can it be what gr_sums_add leaves?  For bytes from outside. */
extern bool gr_sums_valid(const GrSums *s);

#endif							/* GR_SUMS_H */
