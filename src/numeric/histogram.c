/*
 * histogram.c
 *	  Log-linear histograms of doubles: sparse, signed, merged exactly.
 *
 * What a bin is: bin.h.
 */
#include "numeric/numeric.h"

#include <float.h>
#include <math.h>
#include <string.h>

/* The edge between bins "index" and "index" + 1 of the positive numbers. */
static double
edge(int32_t index)
{
	uint64_t	bits = (uint64_t) index << GR_BIN_DROPPED_BITS;
	double		x;

	if (index >= GR_BIN_MAX)
		return DBL_MAX;
	memcpy(&x, &bits, sizeof(x));
	return x;
}

double
gr_bin_lower(int32_t bin)
{
	if (bin > GR_BIN_MAX || bin < -GR_BIN_MAX)
		return NAN;
	if (bin == 0)
		return 0.0;
	return bin > 0 ? edge(bin - 1) : -edge(-bin);
}

double
gr_bin_upper(int32_t bin)
{
	if (bin > GR_BIN_MAX || bin < -GR_BIN_MAX)
		return NAN;
	if (bin == 0)
		return 0.0;
	if (bin == -1)
		return 0.0;				/* not -0 */
	return bin > 0 ? edge(bin) : -edge(-bin - 1);
}

bool
gr_histogram_valid(const GrBin *bins, size_t nbins)
{
	int64_t		total = 0;

	for (size_t i = 0; i < nbins; i++)
	{
		if (bins[i].bin > GR_BIN_MAX || bins[i].bin < -GR_BIN_MAX ||
			bins[i].count <= 0 || bins[i].count > INT64_MAX - total)
			return false;
		if (i > 0 && bins[i].bin <= bins[i - 1].bin)
			return false;
		total += bins[i].count;
	}
	return true;
}

/* Sums of counts stop at the largest int64 rather than wrap. */
static int64_t
add_counts(int64_t a, int64_t b)
{
	if (a > 0 && b > INT64_MAX - a)
		return INT64_MAX;
	if (a < 0 && b < INT64_MIN - a)
		return INT64_MIN;
	return a + b;
}

int64_t
gr_histogram_total(const GrBin *bins, size_t nbins)
{
	int64_t		total = 0;

	for (size_t i = 0; i < nbins; i++)
		total = add_counts(total, bins[i].count);
	return total;
}

size_t
gr_histogram_merge(const GrBin *a, size_t na, const GrBin *b, size_t nb,
				   GrBin *out)
{
	size_t		i = 0;
	size_t		j = 0;
	size_t		n = 0;

	while (i < na || j < nb)
	{
		if (j >= nb || (i < na && a[i].bin < b[j].bin))
			out[n++] = a[i++];
		else if (i >= na || b[j].bin < a[i].bin)
			out[n++] = b[j++];
		else
		{
			out[n].bin = a[i].bin;
			out[n++].count = add_counts(a[i++].count, b[j++].count);
		}
	}
	return n;
}

double
gr_histogram_quantile(const GrBin *bins, size_t nbins, double p)
{
	int64_t		total = gr_histogram_total(bins, nbins);
	int64_t		before = 0;
	double		target;

	if (total <= 0 || !(p >= 0.0 && p <= 1.0))
		return NAN;
	target = p * (double) total;

	for (size_t i = 0; i < nbins; i++)
	{
		double		lower = gr_bin_lower(bins[i].bin);
		double		upper = gr_bin_upper(bins[i].bin);
		int64_t		after = add_counts(before, bins[i].count);

		if ((double) after >= target || i + 1 == nbins)
		{
			double		share = (target - (double) before)
				/ (double) bins[i].count;

			share = fmin(fmax(share, 0.0), 1.0);
			return fmin(fmax(lower + share * (upper - lower), lower), upper);
		}
		before = after;
	}
	return NAN;
}

double
gr_histogram_below(const GrBin *bins, size_t nbins, double x)
{
	int32_t		bin = x < -DBL_MAX ? -GR_BIN_MAX - 1 : x > DBL_MAX ? GR_BIN_MAX + 1 : gr_bin(x);
	int64_t		below = 0;
	int64_t		after;
	double		lower;
	double		upper;
	size_t		i = 0;

	if (isnan(x))
		return NAN;
	for (; i < nbins && bins[i].bin < bin; i++)
		below = add_counts(below, bins[i].count);
	if (i == nbins || bins[i].bin != bin)
		return (double) below;
	after = add_counts(below, bins[i].count);
	lower = gr_bin_lower(bin);
	upper = gr_bin_upper(bin);
	/* zero, or the upper edge of a negative bin */
	if (x >= upper)
		return (double) after;
	/* beyond 2^53 events the sum may round past what the next bin starts at */
	return fmin((double) below
				+ (double) bins[i].count * ((x - lower) / (upper - lower)),
				(double) after);
}
