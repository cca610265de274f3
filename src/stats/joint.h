/*
 * joint.h
 *	  Two effects at once: what is paid for one in the other.
 *
 * Total functions, no allocation, as in stats.h.
 */
#ifndef GR_JOINT_H
#define GR_JOINT_H

#include "stats.h"

/*
 * How an effect moves with the two arms' values, to first order: the effect's
 * variance is t^2 vt + c^2 vc, the covariance of two effects in the same arms is
 * t1 t2 cov_t + c1 c2 cov_c.  ABSOLUTE (1, 0), DIFFERENCE (1, -1), RELATIVE
 * (1/c, -t/c^2).
 */
typedef struct GrGradient
{
	double		t;
	double		c;
} GrGradient;

extern GrGradient gr_effect_gradient(GrContrastKind kind, double t, double c);

/*
 * Fieller's set for y/x (Fieller 1954): the r with (y - r x)^2 <= crit^2 (vy -
 * 2 r cov + r^2 vx).  When x cannot be told from 0 at crit the set is no interval:
 * GR_UNDEFINED with -Inf, +Inf.
 */
extern GrCode gr_fieller_ratio(double y, double x, double vy, double vx, double cov,
							   double crit, double *lower, double *upper);

/*
 * Radius of the ellipse (d - e)' V^-1 (d - e) <= radius^2 that holds two effects
 * with probability 1 - alpha, once: the square root of the chi-square quantile
 * with 2 degrees of freedom, -2 ln alpha.
 */
extern double gr_ellipse_radius(double alpha);

/*
 * The same at any time.  The normal mixture of sequential.c in two dimensions,
 * whose e-value is (rho/(n+rho)) exp(q n/(2(n+rho))) with q the quadratic form
 * (Robbins 1970; a product of two independent mixtures after whitening).
 */
extern double gr_ellipse_radius_mixture(double alpha, double n, double rho);

#endif							/* GR_JOINT_H */
