/*
 * test_histogram.c
 *	  Bins, their edges, merging, quantiles against sorting.
 */
#include "unit.h"
#include "stats.h"

static int
compare_doubles(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
}

static bool
bin_is_right(double x)
{
	int32_t		bin = gr_bin(x);
	double		lower = gr_bin_lower(bin);
	double		upper = gr_bin_upper(bin);
	double		near = fmin(fabs(lower), fabs(upper));

	if (gr_bin(-x) != -bin || gr_bin_lower(-bin) != -upper ||
		gr_bin_upper(-bin) != -lower)
		return false;
	if (x == 0.0)
		return bin == 0 && lower == 0.0 && upper == 0.0;
	if ((x > 0.0) != (bin > 0) || bin > GR_BIN_MAX || bin < -GR_BIN_MAX)
		return false;
	/* the edge nearer zero belongs to the bin */
	if (x > 0.0 ? !(lower <= x && (x < upper || x == DBL_MAX))
		: !(upper >= x && (x > lower || x == -DBL_MAX)))
		return false;
	return near < DBL_MIN || upper - lower <= near * 0x1p-10 * (1.0 + 1e-15);
}

static void
test_bins(void)
{
	static const double special[] = {
		0.0, 5e-324, 1e-320, 1e-310, DBL_MIN, 0x1.fffffffffffffp-1023,
		1.0, 2.0, 0.1, 1e15, 0x1p1023, DBL_MAX, 0x1.ffcp1023, 0x1.ffbfffffffffp1023
	};
	Random		r = 21;
	bool		ok = true;
	bool		monotone = true;

	for (size_t i = 0; i < sizeof(special) / sizeof(*special); i++)
	{
		CHECK(bin_is_right(special[i]));
		CHECK(bin_is_right(-special[i]));
	}
	CHECK(gr_bin(0.0) == 0 && gr_bin(-0.0) == 0);
	CHECK(gr_bin(5e-324) == 1 && gr_bin(-5e-324) == -1);
	CHECK(gr_bin(DBL_MAX) == GR_BIN_MAX);
	CHECK(gr_bin_lower(1) == 0.0 && gr_bin_upper(GR_BIN_MAX) == DBL_MAX);
	CHECK(gr_bin(1.0) == (1023 << 10) + 1);
	CHECK(gr_bin_lower(gr_bin(1.0)) == 1.0);
	CHECK(gr_bin_upper(gr_bin(1.0)) == 1.0 + 0x1p-10);
	CHECK(isnan(gr_bin_lower(GR_BIN_MAX + 1)));
	CHECK(isnan(gr_bin_upper(-GR_BIN_MAX - 1)));
	CHECK(isnan(gr_bin_upper(INT32_MIN)));
	CHECK(gr_bin(INFINITY) == GR_BIN_MAX && gr_bin(-INFINITY) == -GR_BIN_MAX);
	CHECK(gr_bin(NAN) == 0);

	for (int i = 0; i < 200000; i++)
	{
		double		x = random_double(&r);
		double		y = random_below(&r, 2) ? random_double(&r)
			: nextafter(x, INFINITY);

		if (!isfinite(x) || !isfinite(y))
			continue;
		ok = ok && bin_is_right(x);
		monotone = monotone &&
			(x <= y ? gr_bin(x) <= gr_bin(y) : gr_bin(x) >= gr_bin(y));
	}
	CHECK(ok);
	CHECK(monotone);

	/* neighbours share their edge, over the whole range */
	ok = true;
	for (int32_t bin = -GR_BIN_MAX; bin < GR_BIN_MAX; bin++)
		ok = ok && gr_bin_upper(bin) == gr_bin_lower(bin + 1) &&
			gr_bin_lower(bin) <= gr_bin_upper(bin);
	CHECK(ok);
}

static size_t
build(const double *sorted, int n, GrBin *bins)
{
	size_t		nbins = 0;

	for (int i = 0; i < n; i++)
	{
		int32_t		bin = gr_bin(sorted[i]);

		if (nbins == 0 || bins[nbins - 1].bin != bin)
		{
			bins[nbins].bin = bin;
			bins[nbins++].count = 0;
		}
		bins[nbins - 1].count++;
	}
	return nbins;
}

static double
random_value(Random *r, int kind)
{
	switch (kind)
	{
		case 0:
			return exp(random_normal(r));
		case 1:
			return random_normal(r) * 100.0;
		case 2:
			return floor(random_uniform(r) * 5.0) - 2.0;
		default:
			return round(exp(2.0 * random_normal(r)) * 10.0) / 10.0;
	}
}

static double values[20000];
static GrBin bins[20000];
static GrBin parts[2][20000];
static GrBin merged[40000];

static int
compare_bins(const void *a, const void *b)
{
	int32_t		x = ((const GrBin *) a)->bin;
	int32_t		y = ((const GrBin *) b)->bin;

	return (x > y) - (x < y);
}

/*
 * The p-quantile lies in the bin of the order statistic ceil(p n), and below()
 * leads back.
 */
static void
test_quantiles(void)
{
	Random		r = 22;
	bool		in_bin = true;
	bool		inverse = true;
	bool		ordered = true;

	for (int round = 0; round < 200; round++)
	{
		int			n = 1 + random_below(&r, round % 10 == 0 ? 20000 : 300);
		size_t		nbins;
		double		last = -INFINITY;

		for (int i = 0; i < n; i++)
			values[i] = random_value(&r, round % 4);
		qsort(values, (size_t) n, sizeof(double), compare_doubles);
		nbins = build(values, n, bins);
		in_bin = in_bin && gr_histogram_valid(bins, nbins) &&
			gr_histogram_total(bins, nbins) == n;
		for (int k = 0; k <= 100; k++)
		{
			double		p = k / 100.0;
			double		q = gr_histogram_quantile(bins, nbins, p);
			int			rank = (int) ceil(p * n);
			double		order = values[rank < 1 ? 0 : rank - 1];
			int32_t		bin = gr_bin(order);
			double		below = gr_histogram_below(bins, nbins, q);

			in_bin = in_bin && q >= gr_bin_lower(bin) && q <= gr_bin_upper(bin);
			ordered = ordered && q >= last;
			last = q;
			/* at zero the distribution function jumps */
			inverse = inverse && (q == 0.0 ? below >= p * n - 1e-9
								  : fabs(below - p * n) <= 1e-8 * n);
		}
		ordered = ordered &&
			gr_histogram_below(bins, nbins, INFINITY) == n &&
			gr_histogram_below(bins, nbins, -INFINITY) == 0.0 &&
			gr_histogram_below(bins, nbins, values[n - 1] + 1e9) == n;
	}
	CHECK(in_bin);
	CHECK(inverse);
	CHECK(ordered);
}

static void
test_merge(void)
{
	Random		r = 23;
	bool		ok = true;

	for (int round = 0; round < 200; round++)
	{
		int			n = 1 + random_below(&r, 500);
		size_t		nbins;
		size_t		np[2] = {0, 0};
		size_t		nm;

		for (int i = 0; i < n; i++)
			values[i] = random_value(&r, round % 4);
		for (int i = 0; i < n; i++)
		{
			int			k = random_below(&r, 2);
			int32_t		bin = gr_bin(values[i]);
			size_t		at = 0;

			while (at < np[k] && parts[k][at].bin != bin)
				at++;
			if (at == np[k])
			{
				parts[k][at].bin = bin;
				parts[k][at].count = 0;
				np[k]++;
			}
			parts[k][at].count++;
		}
		for (int k = 0; k < 2; k++)
			qsort(parts[k], np[k], sizeof(GrBin), compare_bins);
		qsort(values, (size_t) n, sizeof(double), compare_doubles);
		nbins = build(values, n, bins);
		nm = gr_histogram_merge(parts[0], np[0], parts[1], np[1], merged);
		ok = ok && nm == nbins;
		for (size_t i = 0; ok && i < nbins; i++)
			ok = merged[i].bin == bins[i].bin &&
				merged[i].count == bins[i].count;
	}
	CHECK(ok);
	CHECK(gr_histogram_merge(NULL, 0, NULL, 0, merged) == 0);
}

static void
test_invalid(void)
{
	GrBin		b[3] = {{1, 5}, {2, 6}, {3, 7}};
	GrBin		huge[2] = {{1, INT64_MAX}, {2, INT64_MAX}};

	CHECK(gr_histogram_valid(b, 3));
	CHECK(gr_histogram_valid(b, 0));
	CHECK(gr_histogram_total(b, 3) == 18);
	b[1].bin = 1;
	CHECK(!gr_histogram_valid(b, 3));
	b[1].bin = 2;
	b[1].count = 0;
	CHECK(!gr_histogram_valid(b, 3));
	b[1].count = -1;
	CHECK(!gr_histogram_valid(b, 3));
	b[1].count = 1;
	b[2].bin = GR_BIN_MAX + 1;
	CHECK(!gr_histogram_valid(b, 3));
	b[2].bin = INT32_MIN;
	CHECK(!gr_histogram_valid(b, 3));
	CHECK(!gr_histogram_valid(huge, 2));
	CHECK(gr_histogram_total(huge, 2) == INT64_MAX);
	CHECK(gr_histogram_merge(huge, 1, huge, 1, merged) == 1);
	CHECK(merged[0].count == INT64_MAX);

	CHECK(isnan(gr_histogram_quantile(b, 0, 0.5)));
	CHECK(isnan(gr_histogram_quantile(b, 2, -0.1)));
	CHECK(isnan(gr_histogram_quantile(b, 2, 1.1)));
	CHECK(isnan(gr_histogram_quantile(b, 2, NAN)));
	CHECK(isnan(gr_histogram_below(b, 2, NAN)));
	CHECK(gr_histogram_below(b, 0, 1.0) == 0.0);
}

/* Extremes: one bin at the top, subnormals, both signs. */
static void
test_extremes(void)
{
	GrBin		top[2] = {{-GR_BIN_MAX, 10}, {GR_BIN_MAX, 10}};
	GrBin		small[3] = {{-1, 10}, {0, 10}, {1, 10}};

	CHECK(gr_histogram_quantile(top, 2, 0.0) == -DBL_MAX);
	CHECK(gr_histogram_quantile(top, 2, 1.0) == DBL_MAX);
	CHECK(isfinite(gr_histogram_quantile(top, 2, 0.75)));
	CHECK(gr_histogram_below(top, 2, 0.0) == 10.0);
	CHECK(gr_histogram_below(top, 2, DBL_MAX) == 20.0);
	CHECK(gr_histogram_quantile(small, 3, 0.5) == 0.0);
	CHECK(gr_histogram_below(small, 3, 0.0) == 20.0);
	CHECK(gr_histogram_below(small, 3, -5e-324) < 10.0 + 1e-9);
	CHECK_CLOSE("middle of the first bin",
				gr_histogram_quantile(small, 3, 2.5 / 3.0),
				0.5 * gr_bin_upper(1), 1e-9, 0);
}

/* Counts that a double cannot hold: still no step downwards at a bin's edge. */
static void
test_below_of_huge_counts(void)
{
	GrBin		bins[2] = {{gr_bin(1.0), (INT64_C(1) << 53) + 3}, {gr_bin(1.0) + 1, 2}};
	double		edge = gr_bin_upper(bins[1].bin);

	CHECK(gr_histogram_below(bins, 2, nextafter(edge, 0)) <= gr_histogram_below(bins, 2, edge));
}

int
main(void)
{
	gr_stats_init();
	test_below_of_huge_counts();
	test_bins();
	test_quantiles();
	test_merge();
	test_invalid();
	test_extremes();
	return unit_report();
}
