/*
 * stats.h
 *	  The statistics of guardrail: the inner ring.
 *
 * Nothing here includes a PostgreSQL header, keeps state, or allocates: every
 * array is the caller's.  Functions that can fail return a GrCode and leave
 * *out defined (NaN where there is no number) whatever they return.  All of
 * them are total: any double, including NaN and infinities, may be passed.
 *
 * GSL's error handler must be off (gr_stats_init).
 */
#ifndef GR_STATS_H
#define GR_STATS_H

#include "numeric/numeric.h"

/* ---- estimates (estimate.c) ------------------------------------------- */

typedef struct GrEstimate
{
	double		value;
	double		variance;		/* of the value (squared standard error) */
	double		df;				/* of the variance */
} GrEstimate;

/* Mean of variable i: variance s^2/n, df n - 1.  n < 2: GR_UNDEFINED (value is
 * still set when n = 1). */
extern GrCode gr_mean_estimate(const GrMoments *m, int i, GrEstimate *out);

/*
 * Ratio of sums, variable 0 over variable 1, by the delta method over units
 * (Deng, Knoblich and Lu 2018): v = (s2x - 2 r sxy + r^2 s2y) / (n ybar^2),
 * df n - 1.  A denominator that sums to zero: GR_UNDEFINED, value NaN.
 */
extern GrCode gr_ratio_estimate(const GrMoments *m, GrEstimate *out);

/*
 * Quantile of events clustered by unit (Woodruff 1952).  pooled: the arm's
 * events; below[k], total[k]: cluster k's events <= q and its events, where q
 * is gr_histogram_quantile(pooled, p).  Clusters without events are passed
 * over.  se_F is the standard error of the ratio sum(below)/sum(total), and
 * with the multiplier c: lower = Q(p - c se_F), upper = Q(p + c se_F),
 * variance = ((upper - lower) / (2c))^2, df = clusters - 1.
 * If p - c se_F <= 0 or p + c se_F >= 1, the data do not bound the quantile:
 * GR_UNDEFINED with value set, variance +Inf.  Fewer than 2 clusters likewise.
 */
extern GrCode gr_quantile_estimate(const GrBin *pooled, size_t nbins,
								   const double *below, const double *total,
								   int nclusters, double p, double multiplier,
								   GrEstimate *out);

/* Standard error of a ratio of sums over clusters, as above; df out. */
extern GrCode gr_share_se(const double *below, const double *total,
						  int nclusters, double *se, double *df);

/* ---- variance reduction (cuped.c) --------------------------------------- */

/*
 * CUPED with the last variable of the moments as covariate: of two variables the
 * outcome is the mean of the first, of three the ratio of the first two, taken
 * linearised.  theta is pooled within arms: sum of S_xu over sum of S_uu.
 * No variation of the covariate: GR_UNDEFINED.
 */
extern GrCode gr_cuped_theta(const GrMoments *arms, int narms, double *theta);

/*
 * Adjusted value m - theta (ubar - pooled_mean) and its variance
 * (s2x - 2 theta sxu + theta^2 s2u)/n; *raw_variance: without the covariate.
 * Fewer than two units, no denominator, overflow: GR_UNDEFINED, variance NaN.
 */
extern GrCode gr_cuped_estimate(const GrMoments *m, double theta,
								double pooled_mean, GrEstimate *out,
								double *raw_variance);

/*
 * The moments with one more variable that is u for every unit (units without a
 * covariate get its pooled mean).  False when there is no room or u is not finite.
 */
extern bool gr_moments_extend(const GrMoments *m, double u, GrMoments *out);

/* ---- contrasts (contrast.c) ------------------------------------------- */

typedef enum GrContrastKind
{
	GR_ABSOLUTE,				/* treatment alone */
	GR_DIFFERENCE,				/* treatment - control */
	GR_RELATIVE					/* treatment / control - 1, Fieller */
} GrContrastKind;

/* The effect: t, t - c, or t/c - 1 (NaN unless c > 0). */
extern double gr_effect(GrContrastKind kind, const GrEstimate *t,
						const GrEstimate *c);

/*
 * The statistic of H0 "effect = margin" and its Welch-Satterthwaite df.
 *	 ABSOLUTE   (t - margin)/sqrt(vt), df of t
 *	 DIFFERENCE (t - c - margin)/sqrt(vt + vc)
 *	 RELATIVE   (t - R c)/sqrt(vt + R^2 vc) with R = 1 + margin, where the
 *				variances in Satterthwaite's formula are vt and R^2 vc; its
 *				magnitude is cut at c/sqrt(vc), since a control that cannot be
 *				told from zero decides nothing (Fieller's set is unbounded).
 * Control <= 0 under RELATIVE, no variation, non-finite input: GR_UNDEFINED,
 * *statistic = NaN.  *se: of the effect on its own scale (RELATIVE: the first
 * order delta method, for display).
 */
extern GrCode gr_contrast_statistic(GrContrastKind kind, const GrEstimate *t,
									const GrEstimate *c, double margin,
									double *statistic, double *df, double *se);

/*
 * Welch and Satterthwaite's degrees of freedom of the sum of two variances; one that
 * is 0 has no say.  NaN when one that is not has no degrees of freedom.
 */
extern double gr_satterthwaite(double a, double df_a, double b, double df_b);

/*
 * Lower and upper bound of the effect, each at the multiplier crit >= 0:
 * margin is rejected upwards exactly when *lower > margin, that is when
 * gr_contrast_statistic(margin) > crit (and downwards likewise).  -Inf and +Inf
 * where the set is unbounded or GR_UNDEFINED.
 */
extern GrCode gr_contrast_bounds(GrContrastKind kind, const GrEstimate *t,
								 const GrEstimate *c, double crit,
								 double *lower, double *upper);

/*
 * The same where the multiplier is Student's t at a tail probability in (0, 0.5] (fieller.c):
 * a margin lies within exactly when its own test, with the df that it has under
 * RELATIVE, does not reject it.
 */
extern GrCode gr_contrast_t_bounds(GrContrastKind kind, const GrEstimate *t,
								   const GrEstimate *c, double tail,
								   double *lower, double *upper);

/* ---- tests with their interval (welch.c) ------------------------------ */

typedef struct GrTest
{
	double		estimate;
	double		se;
	double		df;
	double		statistic;
	double		p_value;
	double		lower;
	double		upper;
} GrTest;

/*
 * Student's test of H0 "effect = margin" of two estimates, and the interval: level in
 * (0,1) is of both sides, or one-sided with the other end infinite under GR_GREATER (lower
 * bound) and GR_LESS (upper bound).  GR_UNDEFINED: there is no test; all but the estimate
 * and se is NaN then.
 */
extern GrCode gr_contrast_test(GrContrastKind kind, const GrEstimate *t, const GrEstimate *c,
							   double margin, GrAlternative alternative, double level, GrTest *out);

/*
 * Welch's test of H0 "treatment - control = margin" from means, sample
 * variances and numbers of units.  level in (0,1) is the interval's: two-sided,
 * or one-sided with the other end infinite under GR_GREATER (lower bound) and
 * GR_LESS (upper bound).  No variation in both arms: GR_UNDEFINED with
 * estimate and se = 0 set, the rest NaN.
 */
extern GrCode gr_welch(double mean_t, double var_t, double n_t,
					   double mean_c, double var_c, double n_c, double margin,
					   GrAlternative alternative, double level, GrTest *out);

typedef enum GrRelativeMethod
{
	GR_FIELLER,
	GR_DELTA
} GrRelativeMethod;

/*
 * The same for the lift treatment/control - 1.  Fieller: test and interval as
 * above (df at the margin).  Delta: v = vt/c^2 + t^2 vc/c^4, df by
 * Welch-Satterthwaite of the difference.  se: the delta method's in both.
 */
extern GrCode gr_relative(double mean_t, double var_t, double n_t,
						  double mean_c, double var_c, double n_c,
						  double margin, GrAlternative alternative,
						  double level, GrRelativeMethod method, GrTest *out);

/* ---- several tests (adjust.c) ----------------------------------------- */

typedef enum GrAdjust
{
	GR_ADJUST_NONE,
	GR_ADJUST_BONFERRONI,
	GR_ADJUST_HOLM,
	GR_ADJUST_HOCHBERG,
	GR_ADJUST_BH
} GrAdjust;

/*
 * Adjusted p-values, in the order of p, each at most 1 (as R's p.adjust).
 * order: room for n ints.  p outside [0,1] or NaN: GR_BAD_ARGUMENT.
 */
extern GrCode gr_p_adjust(const double *p, int n, GrAdjust method,
						  double *adjusted, int *order);

/*
 * For each test the number that its level alpha[i] is divided by when its bound
 * is reported, so that bound and adjusted p-value agree: with adjusted from
 * gr_p_adjust, p[i] <= alpha[i]/divisor[i] if and only if adjusted[i] <=
 * alpha[i].  A rejected test has its own step's divisor, or under Hochberg, if
 * that would not reject it, the nearest later step's that does; another the one
 * of the step where the procedure stopped (Holm), or its own (Hochberg).  Every
 * alpha in [0, 1).  Not for BH.
 */
extern GrCode gr_p_adjust_divisor(const double *p, const double *alpha, int n,
								  GrAdjust method, double *divisor,
								  double *adjusted, int *order);

/*
 * Benjamini and Hochberg (1995) over tests that have levels of their own:
 * p[i] times (greatest alpha / alpha[i]) is a p-value again, and those are held to
 * the greatest alpha.  With one level for all it is the plain procedure.  Test i is
 * rejected if and only if adjusted[i] <= alpha[i].  scaled: room for n, or p itself.
 * Every alpha in (0, 1).
 */
extern GrCode gr_bh(const double *p, const double *alpha, int n, double *scaled,
					double *adjusted, int *order);

/*
 * e-BH (Wang and Ramdas 2022): of the e-values in descending order the first k are
 * rejected, k = max{i: e_(i) >= n / (i alpha)}; the false discovery rate is at most
 * alpha whatever the dependence, and at any stopping time when each e-value is an
 * e-process.  It is gr_bh of the numbers 1/e.  log_e may be infinite, not NaN.
 */
extern GrCode gr_e_bh(const double *log_e, const double *alpha, int n, double *scaled,
					  double *adjusted, int *order);

/* ---- sample ratio mismatch (srm.c) ------------------------------------ */

/*
 * Pearson's chi-square of counts (>= 0) against shares (> 0, any scale; NULL:
 * equal).  n < 2, all counts zero: GR_UNDEFINED.
 */
extern GrCode gr_srm(const int64_t *counts, const double *shares, int n,
					 double *statistic, double *df, double *p_value);

/*
 * Bayes factor of the Dirichlet-multinomial e-process (Lindon and Malek 2022)
 * against the planned shares: half the weight on Dirichlet(prior * shares),
 * half on the slab Dirichlet(1).  *log_e its logarithm at these counts.
 * slab = false: the concentrated prior alone.
 */
extern GrCode gr_srm_sequential(const int64_t *counts, const double *shares,
								int n, double prior, bool slab, double *log_e);

/* ---- anytime-valid (sequential.c) -------------------------------------- */

/* The mixture's rho for a bound that is tightest at v = n_star. */
extern double gr_mixture_rho(double n_star, double alpha, int sides);

/*
 * log e-value of H0 "effect = margin" (sides 2) or "effect <= margin" (sides 1,
 * large positive z is evidence), z = statistic, n = units of both arms:
 *	 two-sided log e = (1/2) ln(rho/(n+rho)) + z^2 n/(2(n+rho))
 *	 one-sided log e = (1/2) ln(4rho/(n+rho)) + z^2 n/(2(n+rho))
 *					   + ln Phi(z sqrt(n/(n+rho)))
 */
extern double gr_mixture_log_e(double z, double n, double rho, int sides);

/* The z at which log e = ln(1/alpha): the multiplier of the bound. */
extern double gr_mixture_multiplier(double n, double rho, double alpha,
									int sides);

/* ---- group sequential (spending.c) ------------------------------------- */

typedef enum GrSpending
{
	GR_SPENDING_OBRIEN_FLEMING,
	GR_SPENDING_POCOCK,
	GR_SPENDING_POWER
} GrSpending;

#define GR_MAX_LOOKS 1000

/* Cumulative alpha spent at information fraction t, one- or two-sided. */
extern double gr_alpha_spent(GrSpending spending, double phi, double t,
							 double alpha, int sides);

/*
 * The level whose function has spent so much at t, the inverse of gr_alpha_spent; at
 * most 1.  NaN where there is none.
 */
extern double gr_alpha_of_spent(GrSpending spending, double phi, double t,
								double spent, int sides);

/*
 * The density of the score process after a look, among the paths that have not
 * crossed, so that the next look costs one step.  Plain old data: may be copied
 * and stored (gr_look_valid on the way back).  The points come in panels of
 * GR_PANEL_POINTS Gauss-Legendre nodes, narrower where the density bends, so
 * that looks may follow each other closely.
 */
#define GR_PANEL_POINTS 16
#define GR_GRID (75 * GR_PANEL_POINTS)
typedef struct GrLookState
{
	int			sides;			/* 1 or 2 */
	int			looks;
	int			npoints;
	double		t;				/* information fraction of the last look */
	double		spent;			/* alpha spent so far */
	double		x[GR_GRID];		/* points on the z scale of the last look */
	double		w[GR_GRID];		/* density times quadrature weight */
} GrLookState;

extern void gr_look_init(GrLookState *state, int sides);

/* Could this state have come from the functions below?  For stored bytes. */
extern bool gr_look_valid(const GrLookState *state);

/*
 * The z bound of a look at fraction t that may have spent "spent" in all (two
 * sides together), by recursive integration (Armitage, McPherson and Rowe
 * 1969).  next (may be NULL) receives the state after the look.  Nothing to
 * spend, or less than 1e-30: +Inf, and the rest is kept for later.  t not above
 * state->t by more than rounding (1e-13 t): GR_BAD_ARGUMENT.
 */
extern GrCode gr_look_bound(const GrLookState *state, double t, double spent,
							double *bound, GrLookState *next);

/* The converse: what has been spent in all after a look at a given z bound. */
extern GrCode gr_look_spent(const GrLookState *state, double t, double bound,
							double *spent, GrLookState *next);

/* Bounds at k increasing fractions in (0, 1]; scratch: two states. */
extern GrCode gr_spending_bounds(const double *fractions, int k, double alpha,
								 int sides, GrSpending spending, double phi,
								 double *bounds, GrLookState scratch[2]);

/* ---- planning (power.c) ------------------------------------------------ */

/*
 * Units of the control arm: (z_{1-alpha/sides} + z_power)^2 sd^2 (1 + 1/ratio)
 * / (effect - margin)^2, ratio = treatment units per control unit.
 */
extern GrCode gr_sample_size(double sd, double effect, double margin,
							 double alpha, double power, int sides,
							 double ratio, double *n_control);

/* Its inverse: the smallest effect beyond the margin found with that power. */
extern GrCode gr_mde(double sd, double n_t, double n_c, double alpha,
					 double power, int sides, double *effect);

#endif							/* GR_STATS_H */
