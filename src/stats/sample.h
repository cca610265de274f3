/*
 * sample.h
 *	  What was seen of a metric in one arm, and what two arms are evidence of.
 *
 * The tests for metrics that few units carry, in arms of any size.  For means and
 * ratios two statistics, each right where the other is not, and the one with the
 * larger p: Hall's (1992), studentised, and the pooled score, its third moment matched
 * by a gamma distribution (score.c).  For shares of units the score at the limit
 * (Miettinen and Nurminen 1985, Farrington and Manning 1990, Koopman 1984), exact
 * where few units are expected to have the event (share.c); for quantiles limits by
 * inversion, combined by MOVER (curve.c).
 */
#ifndef GR_SAMPLE_H
#define GR_SAMPLE_H

#include "stats.h"

typedef enum GrSampleKind
{
	GR_SAMPLE_NORMAL,			/* nothing but an estimate is known */
	GR_SAMPLE_MEAN,				/* a value per unit */
	GR_SAMPLE_SHARE,			/* a value per unit, all of them 0 or 1 */
	GR_SAMPLE_RATIO,			/* a numerator and a denominator per unit */
	GR_SAMPLE_QUANTILE
} GrSampleKind;

/* Multipliers that the limits of a quantile are kept at (curve.c). */
#define GR_CURVE_POINTS 44

typedef struct GrSample
{
	GrSampleKind kind;
	GrEstimate	estimate;
	double		n;				/* units */
	double		events;			/* SHARE: units of value 1 */
	double		traffic;		/* planned share of the units, on any scale */

	/*
	 * MEAN: e, the value less its mean.  RATIO: e = x - r y with the arm's own ratio
	 * r, and y.  Centred sums over the units; cubes NaN where they are not known.
	 */
	double		denominator;	/* mean of y; MEAN: 1 */
	double		square[3];		/* ee, ey, yy */
	double		cube[4];		/* eee, eey, eyy, yyy */
	int			nlargest;
	double		largest[GR_MAX_DIM][2]; /* units that may weigh most: e, y */

	/* QUANTILE: one-sided limits at the multipliers; infinite where there is none */
	double		lower[GR_CURVE_POINTS];
	double		upper[GR_CURVE_POINTS];
} GrSample;

/* The multiplier of a point of the limits, 0 <= i < GR_CURVE_POINTS; ascending from 0. */
extern double gr_curve_multiplier(int i);

/* What the data say against "the effect is not beyond the limit" in one direction. */
typedef struct GrSaid
{
	double		z;				/* large: strong evidence; at most GR_MOST_Z either way */
	double		df;				/* of the t distribution that a single test reads z in */
	double		skew;			/* third moment of the score, standardised; NaN: none */
	double		heaviest;		/* largest unit's part of what the test rests on; NaN */
	double		expected;		/* SHARE: units expected at the limit to have the event,
								 * or not to have it, where that is least; NaN */
} GrSaid;

#define GR_MOST_Z 37.5

/* Skewness beyond which the score's lower tail is not believed. */
#define GR_MOST_SKEW 0.8

/* The largest part that one unit may have. */
#define GR_MOST_HEAVY 0.25

/*
 * Evidence that the effect lies above (direction 1) or below (-1) the limit.  The
 * limit is on the scale of the contrast; RELATIVE tests t - (1 + limit) c, and asks
 * of the control only that it is not below zero, and of the limit to be at least -1.
 * ABSOLUTE does not look at c.  GR_UNDEFINED: there is no test (no variation and no
 * difference, a control below zero, no data); *out is NaN then.
 */
extern GrCode gr_evidence(GrContrastKind kind, const GrSample *t, const GrSample *c,
						  double limit, int direction, GrSaid *out);

/*
 * The bound of the effect on the side of the direction (1: the lower one): where
 * excess, which is positive when the limit is rejected in that direction, is zero;
 * infinite where no limit is rejected.  hint: a limit that is known to be, or not to
 * be rejected; the bound lies on the side of it that excess says.
 */
typedef double (*GrExcess) (void *arg, double limit);

extern double gr_evidence_bound(GrContrastKind kind, const GrSample *t, const GrSample *c,
								int direction, double hint, GrExcess excess, void *arg);

/* The excess as a root finder takes it: finite, and below zero where it is NaN (root.c). */
extern double gr_finite_excess(GrExcess excess, void *arg, double limit);

/*
 * The root of excess between a limit that is rejected and one that is kept, by Brent's
 * method: the last limit that is kept.
 */
extern double gr_excess_root(GrExcess excess, void *arg, double rejected, double kept);

/* The linear effect against a limit: t - limit, t - c - limit, t - (1 + limit) c. */
extern double gr_beyond(GrContrastKind kind, const GrSample *t, const GrSample *c, double limit);

/* ---- building samples ------------------------------------------------------ */

extern void gr_sample_of_estimate(const GrEstimate *e, double n, GrSample *out);

/*
 * From moments of one variable or of two (a ratio); with_covariate: and of a
 * covariate after them, of which theta times the distance to pooled_mean is taken
 * off.  ones: units whose value is not 0; where the moments say that these are all 1
 * the sample is a share; NaN: it is none.  *out has an estimate as far as there is one.
 */
extern void gr_sample_of_moments(const GrMoments *m, bool with_covariate, double theta,
								 double pooled_mean, double ones, GrSample *out);

/* Events of clusters of units: in bins up to the quantile's, in bins below, and all. */
typedef struct GrClusters
{
	int			n;
	const double *upto;
	const double *under;
	const double *total;
} GrClusters;

/*
 * A quantile of events clustered by unit, with the estimate of gr_quantile_estimate.
 * units: that the events come from.
 */
extern void gr_sample_of_quantile(const GrBin *pooled, size_t nbins, const GrTie *ties, size_t nties,
								  const GrClusters *clusters, double p, double multiplier, double units,
								  GrSample *out);

/* ---- tails (tail.c) ------------------------------------------------------- */

/* z of p = exp(log_p), upper tail. */
extern double gr_z_of_log_p(double log_p);

/* Within GR_MOST_Z either way; NaN stays NaN. */
extern double gr_clamp_z(double z);

/* z of a standardised statistic s with skewness g: of the gamma distribution's tail. */
extern double gr_gamma_z(double s, double g);

/* ---- by kind ----------------------------------------------------------------- */

/* Means and ratios (score.c). */
extern GrCode gr_score_evidence(GrContrastKind kind, const GrSample *t, const GrSample *c,
								double limit, int direction, GrSaid *out);

/* Shares (share.c), quantiles (curve.c). */
extern GrCode gr_share_evidence(GrContrastKind kind, const GrSample *t, const GrSample *c,
								double limit, int direction, GrSaid *out);
extern GrCode gr_curve_evidence(GrContrastKind kind, const GrSample *t, const GrSample *c,
								double limit, int direction, GrSaid *out);

/*
 * The score statistic of two shares as it is published, and its restricted estimates
 * (share.c).  In: units and events; limit as above.
 */
extern double gr_share_score(GrContrastKind kind, double n_t, double x_t, double n_c, double x_c,
							 double limit, double *p_t, double *p_c);

/*
 * ln of the e-value of shares that few units have (share_sequence.c): conditional on
 * the units with the event where the limit is a ratio, else of each arm, at the worst
 * common share.  Beta(1/2, 1/2) mixtures over the side of the direction.
 */
extern double gr_share_log_e(GrContrastKind kind, const GrSample *t, const GrSample *c,
							 double limit, int direction);

/*
 * Events with which the most extreme arrangement of them, all in the arm where they are
 * evidence, reaches the level; *without: units without the event, when these are the
 * fewer.  0 when those that were seen do; NaN when no number does.
 */
extern double gr_share_needs(GrContrastKind kind, const GrSample *t, const GrSample *c,
							 double limit, int direction, double level, bool *without);

#endif							/* GR_SAMPLE_H */
