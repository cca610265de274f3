/*
 * fuzz_srm.c
 *	  The split of units: chi-square and the sequential Bayes factor.
 */
#include "fuzz.h"

#define MAX_ARMS 12

/*
 * A Bayes factor is a martingale under the plan: its mean over the arm of the
 * next unit is what it is now.
 */
static void
check_martingale(const int64_t *counts, const double *shares, int n,
				 double prior, bool slab, double log_e)
{
	double		whole = 0.0;
	double		mean = 0.0;

	for (int i = 0; i < n; i++)
		whole += shares[i];
	for (int i = 0; i < n; i++)
	{
		int64_t		next[MAX_ARMS];
		double		after;

		memcpy(next, counts, sizeof(next));
		next[i]++;
		EXPECT(gr_srm_sequential(next, shares, n, prior, slab, &after)
			   == GR_OK);
		mean += shares[i] / whole * exp(after - log_e);
	}
	EXPECT_WITH(fabs(mean - 1.0) <= 1e-9 * (1.0 + fabs(log_e)),
				"mean - 1 %.3g, log e %.17g, prior %.17g", mean - 1.0, log_e,
				prior);
}

static void
check_order(const int64_t *counts, const double *shares, int n, double prior,
			bool slab, double log_e)
{
	int64_t		turned[MAX_ARMS];
	double		turned_shares[MAX_ARMS];
	double		turned_log_e;

	for (int i = 0; i < n; i++)
	{
		turned[i] = counts[n - 1 - i];
		turned_shares[i] = shares[n - 1 - i];
	}
	EXPECT(gr_srm_sequential(turned, turned_shares, n, prior, slab,
							 &turned_log_e) == GR_OK);
	EXPECT_WITH(fabs(log_e - turned_log_e) <= 1e-9 * (1.0 + fabs(log_e)),
				"%.17g and %.17g", log_e, turned_log_e);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		in = {data, size};
	int64_t		counts[MAX_ARMS];
	double		shares[MAX_ARMS];
	int			n = take_below(&in, MAX_ARMS + 1);
	bool		wild = take_below(&in, 2) == 0;
	bool		slab = take_below(&in, 2) == 0;
	bool		equal = take_below(&in, 4) == 0;
	double		prior = wild ? take_double(&in) : take_scale(&in, -2.0, 6.0);
	double		statistic;
	double		df;
	double		p;
	double		log_e;
	GrCode		code;

	for (int i = 0; i < n; i++)
	{
		counts[i] = take_int64(&in);
		counts[i] = wild ? counts[i] >> take_below(&in, 64)
			: (int64_t) ((uint64_t) counts[i] >> (40 + take_below(&in, 24)));
		shares[i] = wild ? take_double(&in) : take_scale(&in, -2.0, 2.0);
	}
	code = gr_srm(counts, equal ? NULL : shares, n, &statistic, &df, &p);
	if (code == GR_OK)
		EXPECT_WITH(statistic >= 0.0 && df == n - 1.0 && is_probability(p),
					"chi-square %.17g p %.17g", statistic, p);
	else
		EXPECT(isnan(p) && (wild || n < 2 || code == GR_UNDEFINED));

	code = gr_srm_sequential(counts, equal ? NULL : shares, n, prior, slab,
							 &log_e);
	if (code != GR_OK)
	{
		EXPECT(isnan(log_e) && (wild || n < 2));
		return 0;
	}
	EXPECT(isfinite(log_e));
	if (wild || equal)
		return 0;
	check_martingale(counts, shares, n, prior, slab, log_e);
	check_order(counts, shares, n, prior, slab, log_e);
	return 0;
}
