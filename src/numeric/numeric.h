/*
 * numeric.h
 *	  The numbers beneath the statistics: distributions, moments, histograms.
 *
 * Part of the inner ring: nothing here includes a PostgreSQL header, keeps state, or
 * allocates.  Functions that can fail return a GrCode and leave *out defined; all of
 * them are total: any double, including NaN and infinities, may be passed.
 */
#ifndef GR_NUMERIC_H
#define GR_NUMERIC_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bin.h"

typedef enum GrCode
{
	GR_OK = 0,
	GR_BAD_ARGUMENT,			/* outside the function's domain */
	GR_UNDEFINED,				/* no such number for these data: no
								 * variation, too few units */
	GR_NO_CONVERGENCE			/* the numerics did not settle */
} GrCode;

typedef enum GrAlternative
{
	GR_TWO_SIDED,
	GR_GREATER,
	GR_LESS
} GrAlternative;

#include "counts.h"

/* Turn off GSL's aborting error handler.  Call once, before anything else. */
extern void gr_stats_init(void);

/* ---- distributions (dist.c) ------------------------------------------- */

/*
 * Standard normal: lower tail, upper tail, and the z whose upper tail is q.
 * Tails keep their relative precision down to 1e-300.  q outside [0,1] or NaN
 * gives NaN; q = 0 gives +Inf, q = 1 gives -Inf.
 */
extern double gr_normal_cdf(double z);
extern double gr_normal_sf(double z);
extern double gr_normal_isf(double q);

/* ln of the normal lower tail, finite for z down to -1e150. */
extern double gr_log_normal_cdf(double z);

/* ln(exp(z^2/2) Phi(z)): what is left of it when the exponential is out. */
extern double gr_log_normal_cdf_scaled(double z);

/*
 * Student t with df > 0 degrees of freedom (real; +Inf is the normal).
 * Same conventions.
 */
extern double gr_t_cdf(double t, double df);
extern double gr_t_sf(double t, double df);
extern double gr_t_isf(double q, double df);

/*
 * Upper tail of chi-square, x >= 0, df > 0.  NaN where it does not settle: x
 * close to df beyond some 1e6.
 */
extern double gr_chisq_sf(double x, double df);

/* ---- diversity (diversity.c) -------------------------------------------- */

/* Both sort the values.  The number of different ones, and in bits the entropy
 * of their frequencies, NaN of none. */
extern double gr_distinct(double *values, size_t n);
extern double gr_entropy(double *values, size_t n);

#endif							/* GR_NUMERIC_H */
