/*
 * estimate.c
 *	  Means, ratios and clustered quantiles with the variance of each.
 *
 * Without a variance an estimate still has its value, as far as there is one.
 */
#include "stats.h"

#include <math.h>

static void
undefined_estimate(GrEstimate *out)
{
	out->value = NAN;
	out->variance = NAN;
	out->df = NAN;
}

/* A finite value and a finite variance, or it was overflow. */
static GrCode
check_estimate(GrEstimate *out)
{
	if (isfinite(out->value) && isfinite(out->variance))
		return GR_OK;
	out->variance = NAN;
	out->df = NAN;
	return GR_UNDEFINED;
}

GrCode
gr_mean_estimate(const GrMoments *m, int i, GrEstimate *out)
{
	undefined_estimate(out);
	if (i < 0 || i >= m->dim || m->dim > GR_MAX_DIM)
		return GR_BAD_ARGUMENT;
	if (m->n < 1)
		return GR_UNDEFINED;
	out->value = gr_moments_mean(m, i);
	if (m->n < 2)
		return GR_UNDEFINED;
	out->variance = gr_moments_cov(m, i, i) / (double) m->n;
	out->df = (double) m->n - 1.0;
	return check_estimate(out);
}

GrCode
gr_ratio_estimate(const GrMoments *m, GrEstimate *out)
{
	double		ybar;
	double		r;
	double		coefficient[GR_MAX_DIM] = {0};
	double		square;

	undefined_estimate(out);
	if (m->dim < 2 || m->dim > GR_MAX_DIM)
		return GR_BAD_ARGUMENT;
	if (m->n < 1)
		return GR_UNDEFINED;
	ybar = gr_moments_mean(m, 1);
	if (ybar == 0.0)
		return GR_UNDEFINED;
	r = gr_moments_mean(m, 0) / ybar;
	out->value = r;
	if (m->n < 2)
		return GR_UNDEFINED;

	coefficient[0] = 1.0;
	coefficient[1] = -r;
	square = gr_moments_cross(m, coefficient, coefficient);
	if (square < 0.0)
		square = 0.0;			/* rounding: it is a sum of squares */
	out->variance = square / ((double) m->n - 1.0) / ybar / ybar / (double) m->n;
	out->df = (double) m->n - 1.0;
	return check_estimate(out);
}

/*
 * With r = sum(below)/sum(total) the residuals below - r total sum to zero,
 * so their sum of squares is what the delta method's three terms come to,
 * without the cancellation between them.
 */
GrCode
gr_share_se(const double *below, const double *total, int nclusters,
			double *se, double *df)
{
	double		events = 0.0;
	double		under = 0.0;
	double		squares = 0.0;
	int			k = 0;

	*se = NAN;
	*df = NAN;
	if (nclusters < 0)
		return GR_BAD_ARGUMENT;
	for (int i = 0; i < nclusters; i++)
	{
		if (!(total[i] >= 0.0 && below[i] >= 0.0) ||
			!isfinite(total[i]) || !isfinite(below[i]))
			return GR_BAD_ARGUMENT;
		if (total[i] == 0.0)
			continue;
		events += total[i];
		under += below[i];
		k++;
	}
	if (k < 2 || !isfinite(events) || !isfinite(under))
		return GR_UNDEFINED;

	for (int i = 0; i < nclusters; i++)
	{
		double		residual = below[i] - under / events * total[i];

		if (total[i] > 0.0)
			squares += residual * residual;
	}
	*se = sqrt(squares * ((double) k / ((double) k - 1.0))) / events;
	*df = (double) k - 1.0;
	if (isfinite(*se))
		return GR_OK;
	*se = NAN;
	*df = NAN;
	return GR_UNDEFINED;
}

GrCode
gr_quantile_estimate(const GrBin *pooled, size_t nbins, const double *below,
					 const double *total, int nclusters, double p,
					 double multiplier, GrEstimate *out)
{
	GrCode		code;
	double		se;
	double		df;
	double		lower;
	double		upper;

	undefined_estimate(out);
	if (!(p >= 0.0 && p <= 1.0) || !(multiplier > 0.0))
		return GR_BAD_ARGUMENT;
	out->value = gr_histogram_quantile(pooled, nbins, p);
	if (isnan(out->value))
		return GR_UNDEFINED;

	out->variance = INFINITY;
	code = gr_share_se(below, total, nclusters, &se, &df);
	if (code == GR_BAD_ARGUMENT)
		undefined_estimate(out);
	if (code != GR_OK)
		return code;
	out->df = df;
	lower = p - multiplier * se;
	upper = p + multiplier * se;
	if (!(lower > 0.0 && upper < 1.0))
		return GR_UNDEFINED;

	se = gr_histogram_quantile(pooled, nbins, upper) / (2.0 * multiplier)
		- gr_histogram_quantile(pooled, nbins, lower) / (2.0 * multiplier);
	out->variance = se * se;
	return check_estimate(out);
}
