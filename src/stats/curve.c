/*
 * curve.c
 *	  Quantiles: one-sided limits at a row of multipliers, and what they say.
 *
 * At a multiplier c the limits are the quantiles at p - s se and p + s se, where se is
 * the clustered standard error of the share of events up to the quantile (Woodruff
 * 1952), and s = c -+ g (c^2 - 1)/6 with the skewness g of that share.  Where many
 * events are tied at the quantile, the share below it is what the lower limit asks, and
 * the share up to it what the upper one does.  Limits of two arms are combined by MOVER (Donner
 * and Zou 2012): the lower bound of t - R c is t - R c less the root of the squares of
 * the distances to t's lower and to R times c's upper limit.
 */
#include "sample.h"

#include <math.h>

/* Close together where tests decide; beyond, one test in many. */
double
gr_curve_multiplier(int i)
{
	static const double far[GR_CURVE_POINTS - 33] = {4.5, 5, 5.5, 6, 7, 8, 10, 13, 18, 25, GR_MOST_Z};

	return i <= 32 ? 0.125 * i : far[i - 33];
}

/* ---- building ----------------------------------------------------------------------- */

/* Standard error and skewness of the share of the clusters' events. */
static bool
share_moments(const double *part, const double *total, int n, double *se, double *skew)
{
	double		events = 0.0,
				sum = 0.0,
				square = 0.0,
				cube = 0.0;
	double		df;

	if (gr_share_se(part, total, n, se, &df) != GR_OK)
		return false;
	for (int i = 0; i < n; i++)
	{
		events += total[i];
		sum += part[i];
	}
	for (int i = 0; i < n; i++)
	{
		double		e = part[i] - sum / events * total[i];

		square += e * e;
		cube += e * e * e;
	}
	*skew = square > 0.0 ? cube / (square * sqrt(square)) : 0.0;
	return true;
}

/* A quantile under way. */
typedef struct Quantile
{
	const GrBin *pooled;
	size_t		nbins;
	const GrTie *ties;
	size_t		nties;
	double		p;
	int32_t		bin;			/* that it lies in */
	double		se_under;		/* of the share of events below it, ... */
	double		skew_under;
	double		se_upto;		/* ... and up to it */
	double		skew_upto;
} Quantile;

static double
limit_at(const Quantile *q, double p, int direction)
{
	return gr_tied_limit(q->pooled, q->nbins, q->ties, q->nties, p, q->bin, direction);
}

/*
 * Independent events that have such an error of their share; of an error of zero, which
 * says nothing of them, the units.
 */
static double
independent_events(const Quantile *q, double se, double units)
{
	double		events = (double) gr_histogram_total(q->pooled, q->nbins);

	return se > 0.0 ? fmin(events, q->p * (1.0 - q->p) / (se * se)) : units;
}

/*
 * The limits.  However n events lie, all may be on one side of the true quantile with
 * probability p^n or (1 - p)^n: no limit is more certain than that.
 */
static void
fill_limits(const Quantile *q, GrSample *s)
{
	double		surest_lower = gr_z_of_log_p(independent_events(q, q->se_under, s->n) * log1p(-q->p));
	double		surest_upper = gr_z_of_log_p(independent_events(q, q->se_upto, s->n) * log(q->p));
	double		down = 0.0,
				up = 0.0;

	for (int i = 0; i < GR_CURVE_POINTS; i++)
	{
		double		c = gr_curve_multiplier(i);
		double		bend = (c * c - 1.0) / 6.0;
		double		below,
					above;

		/* never narrower than at a smaller multiplier */
		down = fmax(down, c - bend * q->skew_under);
		up = fmax(up, c + bend * q->skew_upto);
		below = q->p - down * q->se_under;
		above = q->p + up * q->se_upto;
		s->lower[i] = below > 0.0 && c <= surest_lower ? fmin(limit_at(q, below, -1), s->estimate.value) : -INFINITY;
		s->upper[i] = above < 1.0 && c <= surest_upper ? fmax(limit_at(q, above, 1), s->estimate.value) : INFINITY;
	}
}

void
gr_sample_of_quantile(const GrBin *pooled, size_t nbins, const GrTie *ties, size_t nties,
					  const GrClusters *clusters, double p, double multiplier, double units,
					  GrSample *out)
{
	Quantile	q = {.pooled = pooled, .nbins = nbins, .ties = ties, .nties = nties, .p = p,
	.bin = gr_quantile_bin(pooled, nbins, p)};
	bool		known;

	*out = (GrSample) {.kind = GR_SAMPLE_QUANTILE,.n = units};
	known = share_moments(clusters->upto, clusters->total, clusters->n, &q.se_upto, &q.skew_upto) &&
		share_moments(clusters->under, clusters->total, clusters->n, &q.se_under, &q.skew_under);
	(void) gr_quantile_estimate(pooled, nbins, q.se_upto >= q.se_under ? clusters->upto : clusters->under,
								clusters->total, clusters->n, p, multiplier, &out->estimate);
	if (isnan(out->estimate.value))
		return;
	out->estimate.value = gr_tied_quantile(pooled, nbins, ties, nties, p);
	if (!known)
	{
		for (int i = 0; i < GR_CURVE_POINTS; i++)
		{
			out->lower[i] = -INFINITY;
			out->upper[i] = INFINITY;
		}
		return;
	}
	fill_limits(&q, out);
	/* the clusters are what Student's t counts, also where the limits are infinite */
	out->estimate.df = clusters->n - 1;
}

/* ---- evidence -------------------------------------------------------------------------- */

/* How far the limits at a point lie from the estimates, together. */
static double
distance(const GrSample *t, const GrSample *c, double ratio, bool below_t, int i)
{
	double		of_t = below_t ? t->estimate.value - t->lower[i] : t->upper[i] - t->estimate.value;
	double		of_c = 0.0;

	if (c)
		of_c = ratio * (below_t ? c->upper[i] - c->estimate.value : c->estimate.value - c->lower[i]);
	return hypot(of_t, of_c);
}

/* The multiplier at which the limits just reach so far; linear between two points. */
static double
multiplier_of(const GrSample *t, const GrSample *c, double ratio, bool below_t, double far)
{
	double		before = 0.0;

	for (int i = 0; i < GR_CURVE_POINTS; i++)
	{
		double		now = distance(t, c, ratio, below_t, i);

		if (now >= far)
		{
			double		c0 = i > 0 ? gr_curve_multiplier(i - 1) : 0.0;

			if (i == 0 || !isfinite(now) || !(now > before))
				return c0;
			return c0 + (gr_curve_multiplier(i) - c0) * (far - before) / (now - before);
		}
		before = now;
	}
	return GR_MOST_Z;
}

GrCode
gr_curve_evidence(GrContrastKind kind, const GrSample *t, const GrSample *c,
				  double limit, int direction, GrSaid *out)
{
	double		ratio = kind == GR_RELATIVE ? 1.0 + limit : 1.0;
	double		d = gr_beyond(kind, t, c, limit);
	double		z = d == 0.0 ? 0.0 :
		multiplier_of(t, kind == GR_ABSOLUTE ? NULL : c, ratio, d > 0.0, fabs(d));
	double		vt = t->estimate.variance,
				vc = kind == GR_ABSOLUTE ? 0.0 : ratio * ratio * c->estimate.variance;

	out->z = (d > 0.0) == (direction > 0) ? z : -z;
	out->df = kind == GR_ABSOLUTE ? t->estimate.df :
		gr_satterthwaite(vt, t->estimate.df, vc, c->estimate.df);
	if (isnan(out->df))
		out->df = kind == GR_ABSOLUTE ? NAN : fmin(t->estimate.df, c->estimate.df);
	return isnan(out->z) || isnan(out->df) ? GR_UNDEFINED : GR_OK;
}
