/*
 * fuzz_histogram.c
 *	  Bins, merging, and the distribution function with its inverse.
 */
#include "fuzz.h"

#define MAX_BINS 40

static void
check_bin(double x)
{
	int32_t		bin = gr_bin(x);

	EXPECT(bin >= -GR_BIN_MAX && bin <= GR_BIN_MAX);
	if (!isfinite(x))
		return;
	EXPECT(gr_bin(-x) == -bin);
	EXPECT(gr_bin_lower(bin) <= x && x <= gr_bin_upper(bin));
	if (fabs(x) >= DBL_MIN && fabs(x) < 1e308)
		EXPECT(gr_bin_upper(bin) - gr_bin_lower(bin) <=
			   fmin(fabs(gr_bin_lower(bin)), fabs(gr_bin_upper(bin))) / 1024.0);
	/* bins follow each other without a gap */
	if (bin < GR_BIN_MAX)
		EXPECT(bin == 0 || bin == -1 ||
			   gr_bin_lower(bin + 1) == gr_bin_upper(bin));
}

/* Ascending bins of a stream, as a histogram is; or, one in eight, anything. */
static size_t
take_histogram(Input *in, GrBin *bins, bool *valid)
{
	size_t		n = (size_t) take_below(in, MAX_BINS);
	bool		wild = take_below(in, 8) == 0;
	size_t		kept = 0;

	for (size_t i = 0; i < n; i++)
	{
		GrBin		bin;

		if (wild)
			take_bytes(in, &bin.bin, sizeof(bin.bin));
		else
			bin.bin = gr_bin(take_double(in));
		bin.count = wild ? take_int64(in)
			: 1 + (int64_t) ((uint64_t) take_int64(in) >> (6 + take_below(in, 58)));
		if (!wild)
		{
			size_t		at = kept;

			while (at > 0 && bins[at - 1].bin >= bin.bin)
				at--;
			if (at < kept && bins[at].bin == bin.bin)
				continue;
			memmove(bins + at + 1, bins + at, (kept - at) * sizeof(GrBin));
			bins[at] = bin;
		}
		else
			bins[kept] = bin;
		kept++;
	}
	*valid = gr_histogram_valid(bins, kept);
	EXPECT(wild || *valid);
	return kept;
}

static void
check_distribution(Input *in, const GrBin *bins, size_t n)
{
	double		total = (double) gr_histogram_total(bins, n);
	double		p[2] = {take_unit(in), take_unit(in)};
	double		q[2];
	double		below;

	if (n == 0)
	{
		EXPECT(isnan(gr_histogram_quantile(bins, n, p[0])));
		EXPECT(gr_histogram_below(bins, n, 0.0) == 0.0);
		return;
	}
	if (take_below(in, 4) == 0)
		p[0] = 0.0;
	if (take_below(in, 4) == 0)
		p[1] = 1.0;
	for (int i = 0; i < 2; i++)
	{
		q[i] = gr_histogram_quantile(bins, n, p[i]);
		EXPECT(isfinite(q[i]));
		EXPECT(q[i] >= gr_bin_lower(bins[0].bin) &&
			   q[i] <= gr_bin_upper(bins[n - 1].bin));
		below = gr_histogram_below(bins, n, q[i]);
		EXPECT(below >= 0.0 && below <= total);
		/* zero is a point: the function jumps over p there */
		if (q[i] != 0.0 && fabs(q[i]) > 1e-300)
			EXPECT_WITH(fabs(below / total - p[i]) <= 1e-9,
						"p %.17g q %.17g below %.17g of %.17g", p[i], q[i],
						below, total);
	}
	EXPECT(p[0] == p[1] || (p[0] < p[1]) == (q[0] <= q[1]) || q[0] == q[1]);
	for (int i = 0; i < 2; i++)
		q[i] = take_double(in);
	if (q[0] <= q[1])
		EXPECT(gr_histogram_below(bins, n, q[0])
			   <= gr_histogram_below(bins, n, q[1]));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		in = {data, size};
	GrBin		a[MAX_BINS];
	GrBin		b[MAX_BINS];
	GrBin		ab[2 * MAX_BINS];
	GrBin		ba[2 * MAX_BINS];
	bool		valid_a;
	bool		valid_b;
	int32_t		any;
	size_t		na;
	size_t		nb;
	size_t		n;

	check_bin(take_double(&in));
	take_bytes(&in, &any, sizeof(any));
	(void) gr_bin_lower(any);
	(void) gr_bin_upper(any);

	na = take_histogram(&in, a, &valid_a);
	nb = take_histogram(&in, b, &valid_b);
	n = gr_histogram_merge(a, na, b, nb, ab);
	EXPECT(n <= na + nb);
	if (!valid_a || !valid_b)
	{
		/* anything may come out, but something must */
		(void) gr_histogram_quantile(ab, n, take_unit(&in));
		(void) gr_histogram_below(ab, n, take_double(&in));
		return 0;
	}
	check_distribution(&in, a, na);
	EXPECT(n == gr_histogram_merge(b, nb, a, na, ba));
	for (size_t i = 0; i < n; i++)
		EXPECT(ab[i].bin == ba[i].bin && ab[i].count == ba[i].count);
	/* counts stop at the largest number, and such a total is not valid */
	if (gr_histogram_total(a, na) > INT64_MAX - gr_histogram_total(b, nb))
		EXPECT(gr_histogram_total(ab, n) == INT64_MAX);
	else
	{
		EXPECT(gr_histogram_valid(ab, n));
		EXPECT(gr_histogram_total(ab, n) == gr_histogram_total(a, na)
			   + gr_histogram_total(b, nb));
		check_distribution(&in, ab, n);
	}
	return 0;
}
