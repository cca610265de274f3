/*
 * fieller.c
 *	  Bounds of an effect by inverting Student's t-test, margin by margin.
 *
 * The variance of t - R c depends on the ratio R that is tested, and so do Welch and
 * Satterthwaite's degrees of freedom.  Fieller's set is that of the margins which are not
 * rejected with the degrees of freedom of each; those of any one margin bracket it.
 */
#include "sample.h"

#include <math.h>

typedef struct Inversion
{
	const GrEstimate *t;
	const GrEstimate *c;
	double		tail;
	int			direction;		/* 1: the lower bound */
} Inversion;

/* How far the statistic of a margin is beyond its multiplier. */
static double
excess_at(void *arg, double margin)
{
	const Inversion *i = arg;
	double		statistic,
				df,
				se;

	if (gr_contrast_statistic(GR_RELATIVE, i->t, i->c, margin, &statistic, &df, &se) != GR_OK)
		return NAN;
	return i->direction * statistic - gr_t_isf(i->tail, df);
}

/* Fieller's bound with one number of degrees of freedom. */
static double
bound_with(const Inversion *i, double df)
{
	double		lower,
				upper;

	(void) gr_contrast_bounds(GR_RELATIVE, i->t, i->c, gr_t_isf(i->tail, df), &lower, &upper);
	return i->direction > 0 ? lower : upper;
}

/*
 * No margin has more degrees of freedom than both arms together, or fewer than the smaller
 * one.  Where those do not bracket the bound, it is the first margin that is rejected
 * on the way out: far beyond, degrees of freedom are the control's, and fewer.
 */
static double
relative_bound(const Inversion *i)
{
	double		kept = bound_with(i, i->t->df + i->c->df);
	double		rejected = bound_with(i, fmin(i->t->df, i->c->df));
	double		step = fabs(kept - gr_effect(GR_RELATIVE, i->t, i->c)) / 8.0;

	if (!isfinite(kept) || rejected == kept)
		return kept;
	for (int k = 0; k < 200 && !isfinite(rejected); k++, step *= 1.5)
	{
		double		at = kept - i->direction * step;

		if (excess_at((void *) i, at) >= 0.0)
			rejected = at;
		else
			kept = at;
	}
	return isfinite(rejected) ? gr_excess_root(excess_at, (void *) i, rejected, kept) :
		i->direction > 0 ? -INFINITY : INFINITY;
}

GrCode
gr_contrast_t_bounds(GrContrastKind kind, const GrEstimate *t, const GrEstimate *c,
					 double tail, double *lower, double *upper)
{
	Inversion	i = {t, c, tail, 1};
	double		statistic,
				df,
				se;
	GrCode		code = gr_contrast_statistic(kind, t, c, 0.0, &statistic, &df, &se);

	*lower = -INFINITY;
	*upper = INFINITY;
	if (!(tail > 0.0 && tail <= 0.5))
		return GR_BAD_ARGUMENT;
	if (code != GR_OK)
		return code;
	if (kind != GR_RELATIVE || t->variance == 0.0 || c->variance == 0.0)
		return gr_contrast_bounds(kind, t, c, gr_t_isf(tail, df), lower, upper);
	*lower = relative_bound(&i);
	i.direction = -1;
	*upper = relative_bound(&i);
	return GR_OK;
}
