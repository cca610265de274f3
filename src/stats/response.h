/*
 * response.h
 *	  Arms that are settings of one number: smooth responses fitted to their
 *	  values, and the best setting that is proven to keep to limits.
 *
 * Settings are scaled to [-1, 1].  A response is a quadratic, by least squares
 * weighted with the arms' variances, which are taken as known.  What is said of
 * the curve holds for all settings between the outermost arms at once, so that it
 * may be read at a setting that the data chose.
 *
 * Two kinds of band.  Once, at the end: the volume-of-tube bound of Naiman (1986)
 * and Sun and Loader (1994), P(sup of the standardised curve > c) <= 1 - Phi(c) +
 * kappa/(2 pi) exp(-c^2/2), kappa the length of the path of its direction.  Under
 * a sequential design: each arm's value lies within its own bounds, at alpha over
 * the number of arms, so the curve, a weighted sum of them, lies within the
 * weighted sum of the half widths.
 *
 * Total functions; GSL's workspaces are freed before they return.
 */
#ifndef GR_RESPONSE_H
#define GR_RESPONSE_H

#include "stats.h"

#define GR_COEFFICIENTS 3		/* of a quadratic */
#define GR_MIN_SETTINGS GR_COEFFICIENTS
#define GR_MAX_NEXT 2			/* settings to try next */

/* One arm of the fit. */
typedef struct GrSetting
{
	double		setting;
	double		value;
	double		variance;		/* of the value */
	double		half_width;		/* of its bounds under a sequential design, infinite
								 * where there is none; NaN: decide once, by the tube */
} GrSetting;

typedef struct GrResponse
{
	const GrSetting *arms;
	int			narms;
	double		centre;			/* u = (setting - centre) / half */
	double		half;
	double		beta[GR_COEFFICIENTS];
	double		cov[GR_COEFFICIENTS][GR_COEFFICIENTS];
	double		chisq;
	double		df;				/* of the test of fit; 0: as many settings as
								 * coefficients, which fit always */
	double		p_fit;			/* NaN then */
} GrResponse;

/*
 * Fit it (gsl_multifit_wlinear).  The chi-square test of lack of fit has narms - 3
 * degrees of freedom.  Fewer than three distinct settings, an arm without
 * variance or value: GR_UNDEFINED.
 */
extern GrCode gr_response_fit(const GrSetting *arms, int narms, GrResponse *out);

/* The fitted value, and its standard error. */
extern double gr_response_at(const GrResponse *r, double setting, double *se);

/*
 * What is asked of a response at a setting: sign * (f(setting) - factor *
 * reference - offset) <= 0, where the reference is f at another setting
 * (reference_fitted), or an arm outside the fit.  An absolute limit has factor 0,
 * a difference 1, a relative one 1 + limit with offset 0: it is linear in the
 * coefficients, as Fieller's.
 */
typedef struct GrConstraint
{
	GrResponse	response;
	double		sign;			/* 1: higher is worse, -1: lower */
	double		factor;
	double		offset;
	bool		reference_fitted;
	GrSetting	reference;		/* value and variance only if not fitted */
	double		level;			/* one-sided, over all settings */
	double		multiplier;		/* of the tube's band; NaN: half widths are used */
} GrConstraint;

/* Set the multiplier; response and what is asked are filled in. */
extern void gr_constraint_prepare(GrConstraint *c);

/*
 * The left side at a setting: its estimate, standard error, and the bounds that
 * hold over all settings.
 */
typedef struct GrMargin
{
	double		estimate;
	double		se;
	double		lower;
	double		upper;
} GrMargin;

extern GrMargin gr_constraint_at(const GrConstraint *c, double setting);

/* What is to be made as large (sign 1) or as small (-1) as can be. */
typedef struct GrGoal
{
	GrResponse	response;
	double		sign;
	double		alpha;			/* two-sided */
	void		(*breathe) (void);	/* called between steps; NULL: nothing */
} GrGoal;

typedef enum GrOptimumStatus
{
	GR_SETTING_FOUND,
	GR_SETTING_NONE_SAFE,		/* no setting is proven to keep to all limits */
	GR_SETTING_FLAT,			/* no setting is proven worse than the best */
	GR_SETTING_NO_FIT			/* a response is no quadratic */
} GrOptimumStatus;

typedef struct GrOptimum
{
	GrOptimumStatus status;
	double		setting;		/* the best; of FLAT and NO_FIT NaN */
	double		value;			/* of the goal there, with its bounds */
	double		lower;
	double		upper;
	double		near_lower;		/* settings proven safe, and not proven worse than it, ... */
	double		near_upper;		/* ... lie between these */
	int			binding;		/* constraint nearest to its limit there, or of
								 * NONE_SAFE the one that is furthest from proof; -1 */
	int			misfit;			/* constraint that does not fit; -1: the goal */
	double		p_fit;			/* of the worst fit; NaN: none can be tested */
	int			nnext;
	double		next[GR_MAX_NEXT];
} GrOptimum;

/* Lack of fit is found at this level over all responses together. */
#define GR_FIT_ALPHA 0.05

/*
 * The best setting: a grid between the outermost arms, refined by GSL's Brent
 * minimiser, or by bisection where a limit is reached first.  Nothing is
 * extrapolated.
 *
 * Next settings: (1) of those whose safety is neither proven nor disproven and
 * that may be better than the best proven one, the one where a limit's estimate is
 * nearest to it in standard errors; (2) of those that are proven safe and not
 * proven worse than the best, the one whose difference to it has the largest
 * standard error.  After NO_FIT: the middles of the gaps beside the best arm.
 */
extern void gr_optimize(const GrGoal *goal, const GrConstraint *constraints, int n,
						GrOptimum *out);

#endif							/* GR_RESPONSE_H */
