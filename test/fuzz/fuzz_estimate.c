/*
 * fuzz_estimate.c
 *	  Clustered shares and quantiles with their variance.
 */
#include "fuzz.h"

#define MAX_CLUSTERS 24

/* Clusters whose events are all in the pooled histogram, as they must be. */
static void
fuzz_clusters(Input *in)
{
	GrBin		pooled[MAX_CLUSTERS];
	double		below[MAX_CLUSTERS];
	double		total[MAX_CLUSTERS];
	int			n = take_below(in, MAX_CLUSTERS);
	double		p = take_unit(in);
	double		multiplier = take_scale(in, -3.0, 3.0);
	int32_t		bin = gr_bin(take_double(in));
	double		q;
	double		se;
	double		df;
	size_t		nbins = 0;
	GrEstimate	e;
	GrCode		code;

	/* cluster k has all of its events in bin k */
	for (int k = 0; k < n && bin < GR_BIN_MAX; k++)
	{
		pooled[nbins].bin = bin;
		pooled[nbins].count = 1 + take_below(in, 100);
		bin += 1 + take_below(in, 200) * 50;
		nbins++;
	}
	if (nbins == 0 || !gr_histogram_valid(pooled, nbins))
		return;
	q = gr_histogram_quantile(pooled, nbins, p);
	EXPECT(isfinite(q));
	for (size_t k = 0; k < nbins; k++)
	{
		total[k] = (double) pooled[k].count;
		below[k] = gr_histogram_below(&pooled[k], 1, q);
		EXPECT(below[k] >= 0.0 && below[k] <= total[k]);
	}
	code = gr_share_se(below, total, (int) nbins, &se, &df);
	EXPECT((code == GR_OK) == (nbins >= 2));
	if (code == GR_OK)
		EXPECT(se >= 0.0 && se <= 1.0 && df == nbins - 1.0);
	code = gr_quantile_estimate(pooled, nbins, below, total, (int) nbins, p,
								multiplier, &e);
	EXPECT(e.value == q);
	if (code == GR_OK)
		EXPECT(e.variance >= 0.0 && isfinite(e.variance) && e.df >= 1.0);
	else
		EXPECT(code == GR_UNDEFINED &&
			   (isnan(e.variance) || e.variance == INFINITY));
}

static void
fuzz_any(Input *in)
{
	GrBin		one[2] = {{gr_bin(take_double(in)), 1}, {GR_BIN_MAX, 1}};
	double		below[4];
	double		total[4];
	double		se;
	double		df;
	GrEstimate	e;
	GrCode		code;

	for (int i = 0; i < 4; i++)
	{
		below[i] = take_double(in);
		total[i] = take_double(in);
	}
	code = gr_share_se(below, total, take_below(in, 5), &se, &df);
	EXPECT((code == GR_OK) == !isnan(se));
	EXPECT(isnan(se) || (se >= 0.0 && df >= 1.0));
	code = gr_quantile_estimate(one, 1 + take_below(in, 2), below, total,
								take_below(in, 5), take_double(in),
								take_double(in), &e);
	if (code == GR_OK)
		EXPECT(isfinite(e.value) && e.variance >= 0.0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		in = {data, size};

	fuzz_any(&in);
	fuzz_clusters(&in);
	return 0;
}
