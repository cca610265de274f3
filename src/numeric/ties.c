/*
 * ties.c
 *	  Quantiles of events that are tied.
 *
 * A bin says where an event lies to a thousandth.  Requests that are cut off at 30,000
 * ms, prices, and whole numbers all have the same value there, or one of two: the ends
 * of a bin and how many events lie at each tell them.
 */
#include "numeric/numeric.h"

#include <math.h>

void
gr_tie_add(GrTie *tie, double x)
{
	gr_tie_merge(tie, &(GrTie) {tie->bin, 1, x, 1, x, 1});
}

static int64_t
add_counts(int64_t a, int64_t b)
{
	return a > INT64_MAX - b ? INT64_MAX : a + b;
}

void
gr_tie_merge(GrTie *to, const GrTie *from)
{
	if (from->n == 0)
		return;
	if (to->n == 0)
	{
		*to = *from;
		return;
	}
	to->n = add_counts(to->n, from->n);
	/* beyond an end that is not known the new one is */
	if (from->low < to->low)
	{
		to->low = from->low;
		to->at_low = from->at_low;
	}
	else if (from->low == to->low)
		to->at_low = add_counts(to->at_low, from->at_low);
	if (from->high > to->high)
	{
		to->high = from->high;
		to->at_high = from->at_high;
	}
	else if (from->high == to->high)
		to->at_high = add_counts(to->at_high, from->at_high);
}

void
gr_tie_remove(GrTie *tie, double x)
{
	tie->n--;
	if (x == tie->low)
		tie->at_low--;
	if (x == tie->high)
		tie->at_high--;
	if (tie->n <= 0)
		*tie = (GrTie) {.bin = tie->bin};
	/* what is left may be tied */
	else if (tie->at_high == tie->n)
	{
		tie->low = tie->high;
		tie->at_low = tie->n;
	}
	else if (tie->at_low == tie->n)
	{
		tie->high = tie->low;
		tie->at_high = tie->n;
	}
}

bool
gr_tie_known(const GrTie *tie)
{
	return tie->at_low > 0 && tie->at_high > 0;
}

bool
gr_tie_valid(const GrTie *tie)
{
	if (!isfinite(tie->low) || !isfinite(tie->high) || gr_bin(tie->low) != tie->bin ||
		gr_bin(tie->high) != tie->bin || tie->n < 1 || tie->at_low < 0 || tie->at_high < 0 ||
		tie->low > tie->high)
		return false;
	if (tie->low == tie->high)
		return tie->at_low == tie->n && tie->at_high == tie->n;
	return tie->at_low <= tie->n - tie->at_high;
}

const GrTie *
gr_ties_find(const GrTie *ties, size_t n, int32_t bin)
{
	size_t		low = 0,
				high = n;

	while (low < high)
	{
		size_t		middle = (low + high) / 2;

		if (ties[middle].bin < bin)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n && ties[low].bin == bin ? &ties[low] : NULL;
}

/* The bin that the p-quantile lies in, and the share of its events up to it. */
static const GrBin *
find_bin(const GrBin *bins, size_t nbins, double p, double *share)
{
	double		target = p * (double) gr_histogram_total(bins, nbins);
	double		before = 0.0;

	for (size_t i = 0; i < nbins; i++)
	{
		double		after = before + (double) bins[i].count;

		if (after >= target || i + 1 == nbins)
		{
			*share = fmin(fmax((target - before) / (double) bins[i].count, 0.0), 1.0);
			return &bins[i];
		}
		before = after;
	}
	return NULL;
}

/* Where a share of a bin's events ends: at an end, or between them. */
static double
place_in_bin(const GrTie *tie, double share)
{
	double		low = (double) tie->at_low / (double) tie->n;
	double		high = (double) tie->at_high / (double) tie->n;

	if (tie->low == tie->high || share <= low)
		return tie->low;
	if (tie->at_low + tie->at_high >= tie->n || share > 1.0 - high)
		return tie->high;
	return tie->low + (share - low) / (1.0 - low - high) * (tie->high - tie->low);
}

int32_t
gr_quantile_bin(const GrBin *bins, size_t nbins, double p)
{
	double		share;

	if (!(p >= 0.0 && p <= 1.0) || gr_histogram_total(bins, nbins) <= 0)
		return 0;
	return find_bin(bins, nbins, p, &share)->bin;
}

double
gr_tied_quantile(const GrBin *bins, size_t nbins, const GrTie *ties, size_t nties, double p)
{
	double		share;
	const GrBin *at;
	const GrTie *tie;

	if (!(p >= 0.0 && p <= 1.0) || gr_histogram_total(bins, nbins) <= 0)
		return NAN;
	at = find_bin(bins, nbins, p, &share);
	tie = gr_ties_find(ties, nties, at->bin);
	if (tie == NULL || !gr_tie_known(tie))
		return gr_histogram_quantile(bins, nbins, p);
	return place_in_bin(tie, share);
}

double
gr_tied_limit(const GrBin *bins, size_t nbins, const GrTie *ties, size_t nties,
			  double p, int32_t exact, int direction)
{
	double		share;
	const GrBin *at;
	double		x;

	if (!(p >= 0.0 && p <= 1.0) || gr_histogram_total(bins, nbins) <= 0)
		return NAN;
	at = find_bin(bins, nbins, p, &share);
	if (nties == 0)
		x = gr_histogram_quantile(bins, nbins, p);
	else if (at->bin == exact)
		x = gr_tied_quantile(bins, nbins, ties, nties, p);
	else
		x = direction < 0 ? gr_bin_lower(at->bin) : gr_bin_upper(at->bin);
	if (nties > 0)
		x = fmin(fmax(x, ties[0].low), ties[nties - 1].high);
	return x;
}
