/*
 * test_estimate.c
 *	  Means and proportions, ratios by the delta method, clustered quantiles.
 */
#include "unit.h"
#include "stats.h"

#define Z975 1.959963984540054
#define MAX_LIST 20000

/* ---- ratios -------------------------------------------------------------- */

/* An arm from its units, or from sums and centred products. */
static void
read_ratio_arm(const Truth *truth, const char *arm, GrMoments *m)
{
	static double x[MAX_LIST];
	static double y[MAX_LIST];
	char		name[6][20];
	static const char *const stem[6] = {"n", "msum", "dsum", "mm", "md", "dd"};
	int			n;

	gr_moments_init(m, 2);
	snprintf(name[0], sizeof(name[0]), "m%s", arm);
	snprintf(name[1], sizeof(name[1]), "d%s", arm);
	n = truth_list(truth, name[0], x, MAX_LIST);
	if (n > 0)
	{
		truth_list(truth, name[1], y, MAX_LIST);
		for (int i = 0; i < n; i++)
		{
			double		unit[2] = {x[i], y[i]};

			gr_moments_add(m, unit);
		}
		return;
	}
	for (int i = 0; i < 6; i++)
		snprintf(name[i], sizeof(name[i]), "%s%s", stem[i], arm);
	m->n = (int64_t) truth_number(truth, name[0]);
	m->sum_hi[0] = truth_number(truth, name[1]);
	m->sum_hi[1] = truth_number(truth, name[2]);
	for (int i = 0; i < 3; i++)
		m->product[i] = truth_number(truth, name[3 + i]);
	CHECK_IN(truth_text(truth, "id"), gr_moments_valid(m));
}

static void
test_ratio_row(const Truth *truth)
{
	const char *id = truth_text(truth, "id");
	GrMoments	m[2];
	GrEstimate	c;
	GrEstimate	t;
	GrCode		code;
	double		statistic;
	double		df;
	double		se;
	double		lower;
	double		upper;

	read_ratio_arm(truth, "_c", &m[0]);
	read_ratio_arm(truth, "_t", &m[1]);
	CHECK_IN(id, gr_ratio_estimate(&m[0], &c) == GR_OK);
	CHECK_CLOSE(id, c.value, truth_number(truth, "ratio_c"), 1e-12, 0);
	CHECK_CLOSE(id, c.variance, truth_number(truth, "var_c"), 1e-9, 0);
	CHECK_IN(id, c.df == (double) m[0].n - 1.0);

	code = gr_ratio_estimate(&m[1], &t);
	if (!truth_given(truth, "ratio_t"))
	{
		CHECK_IN(id, code == GR_UNDEFINED && isnan(t.value));
		CHECK_IN(id, gr_contrast_statistic(GR_DIFFERENCE, &t, &c, 0.0,
										   &statistic, &df, &se)
				 == GR_UNDEFINED);
		return;
	}
	CHECK_IN(id, code == GR_OK);
	CHECK_CLOSE(id, t.value, truth_number(truth, "ratio_t"), 1e-12, 0);
	CHECK_CLOSE(id, t.variance, truth_number(truth, "var_t"), 1e-9, 0);

	CHECK_IN(id, gr_contrast_statistic(GR_DIFFERENCE, &t, &c, 0.0, &statistic,
									   &df, &se) == GR_OK);
	/* the difference of two rounded ratios near 1 has lost nine digits */
	CHECK_CLOSE(id, gr_effect(GR_DIFFERENCE, &t, &c),
				truth_number(truth, "diff"), 1e-9, 5e-16);
	CHECK_CLOSE(id, se, truth_number(truth, "se"), 1e-9, 0);
	CHECK_CLOSE(id, statistic, truth_number(truth, "z"), 1e-9,
				5e-16 / truth_number(truth, "se"));
	if (truth_given(truth, "gb_p"))
	{
		double		crit = gr_t_isf(0.025, df);

		gr_contrast_bounds(GR_DIFFERENCE, &t, &c, crit, &lower, &upper);
		CHECK_CLOSE(id, lower, truth_number(truth, "gb_lower"), 1e-6, 0);
		CHECK_CLOSE(id, upper, truth_number(truth, "gb_upper"), 1e-6, 0);
		CHECK_CLOSE(id, 2.0 * gr_t_sf(fabs(statistic), df),
					truth_number(truth, "gb_p"), 1e-6, 0);
	}
	if (truth_given(truth, "lift") && c.value > 0.0)
	{
		CHECK_CLOSE(id, gr_effect(GR_RELATIVE, &t, &c),
					truth_number(truth, "lift"), 1e-9, 5e-16);
		gr_contrast_statistic(GR_RELATIVE, &t, &c, 0.0, &statistic, &df, &se);
		CHECK_CLOSE(id, se, truth_number(truth, "lift_se"), 1e-9, 0);
	}
}

static void
test_ratios(void)
{
	Truth		truth;

	truth_open(&truth, "ratio_metric");
	while (truth_next(&truth))
		test_ratio_row(&truth);
}

static void
test_ratio_edges(void)
{
	GrMoments	m;
	GrEstimate	e;
	double		unit[2] = {3.0, 4.0};

	gr_moments_init(&m, 2);
	CHECK(gr_ratio_estimate(&m, &e) == GR_UNDEFINED && isnan(e.value));
	gr_moments_add(&m, unit);
	CHECK(gr_ratio_estimate(&m, &e) == GR_UNDEFINED && e.value == 0.75);
	CHECK(isnan(e.variance));
	unit[1] = -4.0;
	gr_moments_add(&m, unit);
	CHECK(gr_ratio_estimate(&m, &e) == GR_UNDEFINED && isnan(e.value));

	/* numerator proportional to denominator: no variance, never below 0 */
	gr_moments_init(&m, 2);
	for (int i = 1; i < 1000; i++)
	{
		unit[0] = 0.1 * i;
		unit[1] = 0.3 * i;
		gr_moments_add(&m, unit);
	}
	CHECK(gr_ratio_estimate(&m, &e) == GR_OK);
	CHECK(e.variance >= 0.0 && e.variance < 1e-17);

	gr_moments_init(&m, 1);
	CHECK(gr_ratio_estimate(&m, &e) == GR_BAD_ARGUMENT && isnan(e.value));
	CHECK(gr_mean_estimate(&m, 1, &e) == GR_BAD_ARGUMENT);
	CHECK(gr_mean_estimate(&m, -1, &e) == GR_BAD_ARGUMENT);
	CHECK(gr_mean_estimate(&m, 0, &e) == GR_UNDEFINED && isnan(e.value));
	gr_moments_add(&m, unit);
	CHECK(gr_mean_estimate(&m, 0, &e) == GR_UNDEFINED && e.value == unit[0]);
	CHECK(isnan(e.variance) && isnan(e.df));
}

/* ---- proportions ---------------------------------------------------------- */

static void
read_proportion(const Truth *truth, const char *n_name, const char *x_name,
				GrEstimate *e, GrCode *code)
{
	int			n = (int) truth_number(truth, n_name);
	int			x = (int) truth_number(truth, x_name);
	GrMoments	m;

	gr_moments_init(&m, 1);
	for (int i = 0; i < n; i++)
	{
		double		value = i < x ? 1.0 : 0.0;

		gr_moments_add(&m, &value);
	}
	*code = gr_mean_estimate(&m, 0, e);
	e->variance *= (n - 1.0) / n;	/* the truth divides by n */
}

static void
test_proportions(void)
{
	Truth		truth;

	truth_open(&truth, "proportions");
	while (truth_next(&truth))
	{
		const char *id = truth_text(&truth, "id");
		double		margin = truth_number(&truth, "margin");
		GrEstimate	c;
		GrEstimate	t;
		GrCode		codes[2];
		double		statistic;
		double		df;
		double		se;
		double		lower;
		double		upper;
		GrCode		code;

		read_proportion(&truth, "nc", "xc", &c, &codes[0]);
		read_proportion(&truth, "nt", "xt", &t, &codes[1]);
		CHECK_CLOSE(id, gr_effect(GR_DIFFERENCE, &t, &c),
					truth_number(&truth, "diff"), 1e-9, 1e-17);
		code = gr_contrast_statistic(GR_DIFFERENCE, &t, &c, 0.0, &statistic,
									 &df, &se);
		if (truth_number(&truth, "se") == 0.0)
		{
			CHECK_IN(id, code == GR_UNDEFINED && isnan(statistic));
			CHECK_IN(id, gr_contrast_bounds(GR_DIFFERENCE, &t, &c, Z975, &lower,
											&upper) == GR_UNDEFINED);
			CHECK_IN(id, lower == -INFINITY && upper == INFINITY);
			continue;
		}
		CHECK_IN(id, code == GR_OK && codes[0] == GR_OK && codes[1] == GR_OK);
		CHECK_CLOSE(id, se, truth_number(&truth, "se"), 1e-9, 0);
		CHECK_CLOSE(id, statistic, truth_number(&truth, "z"), 1e-9, 0);
		CHECK_CLOSE(id, 2.0 * gr_normal_sf(fabs(statistic)),
					truth_number(&truth, "p_two_sided"), 1e-9, 1e-300);
		gr_contrast_bounds(GR_DIFFERENCE, &t, &c, Z975, &lower, &upper);
		CHECK_CLOSE(id, lower, truth_number(&truth, "ci_lower"), 1e-9, 1e-16);
		CHECK_CLOSE(id, upper, truth_number(&truth, "ci_upper"), 1e-9, 1e-16);
		if (!truth_given(&truth, "ni_z"))
			continue;
		gr_contrast_statistic(GR_DIFFERENCE, &t, &c, -margin, &statistic, &df,
							  &se);
		CHECK_CLOSE(id, statistic, truth_number(&truth, "ni_z"), 1e-9, 0);
		CHECK_CLOSE(id, gr_normal_sf(statistic),
					truth_number(&truth, "ni_p_higher"), 1e-9, 1e-300);
		gr_contrast_statistic(GR_DIFFERENCE, &t, &c, margin, &statistic, &df,
							  &se);
		CHECK_CLOSE(id, gr_normal_cdf(statistic),
					truth_number(&truth, "ni_p_lower"), 1e-9, 1e-300);
	}
}

/* ---- quantiles ------------------------------------------------------------ */

static int
compare_doubles(const void *a, const void *b)
{
	double		x = *(const double *) a;
	double		y = *(const double *) b;

	return (x > y) - (x < y);
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

static double cluster_of[MAX_LIST];
static double event[MAX_LIST];
static double sorted[MAX_LIST];
static GrBin bins[MAX_LIST];

/* The listed events: share's error by clusters, quantile within its bins. */
static void
test_quantile_events(const Truth *truth, int n)
{
	const char *id = truth_text(truth, "id");
	double		p = truth_number(truth, "p");
	double		q = truth_number(truth, "quantile");
	double		below[1000] = {0};
	double		total[1000] = {0};
	double		se;
	double		df;
	double		hist;
	double		rank = p * (n - 1);
	size_t		nbins;

	truth_list(truth, "value", event, MAX_LIST);
	for (int i = 0; i < n; i++)
	{
		int			k = (int) cluster_of[i];

		total[k] += 1.0;
		below[k] += event[i] <= q ? 1.0 : 0.0;
	}
	CHECK_IN(id, gr_share_se(below, total, 1000, &se, &df) == GR_OK);
	CHECK_CLOSE(id, se * se, truth_number(truth, "share_var"), 1e-8, 0);

	memcpy(sorted, event, sizeof(double) * (size_t) n);
	qsort(sorted, (size_t) n, sizeof(double), compare_doubles);
	nbins = build(sorted, n, bins);
	hist = gr_histogram_quantile(bins, nbins, p);
	/* linear interpolation lies between the same order statistics, or next */
	CHECK_IN(id, hist >= gr_bin_lower(gr_bin(sorted[(int) rank])) &&
			 hist <= gr_bin_upper(gr_bin(sorted[(int) rank + 1])));
}

static void
test_quantile_truth(void)
{
	Truth		truth;
	int			undefined = 0;

	truth_open(&truth, "quantile_clustered");
	while (truth_next(&truth))
	{
		const char *id = truth_text(&truth, "id");
		GrMoments	m;
		GrEstimate	e;
		GrCode		code;
		int			n;

		gr_moments_init(&m, 2);
		m.n = (int64_t) truth_number(&truth, "clusters");
		m.sum_hi[0] = truth_number(&truth, "main_sum");
		m.sum_hi[1] = truth_number(&truth, "den_sum");
		m.product[0] = truth_number(&truth, "mm");
		m.product[1] = truth_number(&truth, "md");
		m.product[2] = truth_number(&truth, "dd");
		code = gr_ratio_estimate(&m, &e);
		if (m.n < 2)
		{
			CHECK_IN(id, code == GR_UNDEFINED);
			continue;
		}
		CHECK_IN(id, code == GR_OK);
		if (truth_given(&truth, "share_var"))
			CHECK_CLOSE(id, e.variance, truth_number(&truth, "share_var"), 1e-8,
						0);
		else
			undefined++;
		n = truth_list(&truth, "cluster", cluster_of, MAX_LIST);
		if (n > 0)
			test_quantile_events(&truth, n);
	}
	unit_skip(undefined, "rows with one cluster in the other arm, where the "
			  "source gives no variance of the share");
	unit_skip(24, "gbstats' variance of the quantile scales an interval for "
			  "independent events; guardrail inverts the clustered one "
			  "(Woodruff), so only the share's variance is comparable");
}

/*
 * Woodruff's interval against the same computed from sorted events: equal at
 * the resolution of the bins.
 */
static void
test_quantile_simulated(void)
{
	static const double levels[] = {0.1, 0.5, 0.9, 0.99};
	Random		r = 31;

	for (int round = 0; round < 8; round++)
	{
		int			nclusters = 200;
		int			n = 0;
		double		p = levels[round % 4];
		double		below[200];
		double		total[200];
		double		exact_below[200] = {0};
		double		q;
		double		se;
		double		df;
		double		lower;
		double		upper;
		size_t		nbins;
		GrEstimate	e;
		char		label[30];

		snprintf(label, sizeof(label), "round %d, p %g", round, p);
		for (int k = 0; k < nclusters; k++)
		{
			double		level = 0.3 * random_normal(&r);
			int			events = 40 + random_below(&r, 60);

			total[k] = events;
			for (int i = 0; i < events; i++)
			{
				cluster_of[n] = k;
				event[n++] = 100.0 * exp(level + 0.8 * random_normal(&r));
			}
		}
		memcpy(sorted, event, sizeof(double) * (size_t) n);
		qsort(sorted, (size_t) n, sizeof(double), compare_doubles);
		q = sorted[(int) ceil(p * n) - 1];
		for (int i = 0; i < n; i++)
			exact_below[(int) cluster_of[i]] += event[i] <= q ? 1.0 : 0.0;

		nbins = build(sorted, n, bins);
		for (int k = 0; k < nclusters; k++)
		{
			GrBin		own[100];
			double		mine[100];
			int			m = 0;

			for (int i = 0; i < n; i++)
			{
				if ((int) cluster_of[i] == k)
					mine[m++] = event[i];
			}
			qsort(mine, (size_t) m, sizeof(double), compare_doubles);
			below[k] = gr_histogram_below(own, build(mine, m, own),
										  gr_histogram_quantile(bins, nbins, p));
		}
		CHECK_IN(label, gr_quantile_estimate(bins, nbins, below, total,
											 nclusters, p, Z975, &e) == GR_OK);
		gr_share_se(exact_below, total, nclusters, &se, &df);
		lower = sorted[(int) ceil((p - Z975 * se) * n) - 1];
		upper = sorted[(int) ceil((p + Z975 * se) * n) - 1];
		CHECK_CLOSE(label, e.value, q, 3e-3, 0);
		CHECK_CLOSE(label, sqrt(e.variance), (upper - lower) / (2.0 * Z975),
					0.05, 0);
		CHECK_IN(label, e.df == nclusters - 1.0);
	}
}

static void
test_quantile_edges(void)
{
	GrBin		one[1] = {{(1023 << 10) + 1, 50}};	/* from 1 on */
	double		below[3] = {5.0, 6.0, 0.0};
	double		total[3] = {10.0, 10.0, 0.0};
	GrEstimate	e;
	double		se;
	double		df;

	/* a cluster without events is passed over: 5/10 and 6/10, r = 0.55 */
	CHECK(gr_share_se(below, total, 3, &se, &df) == GR_OK);
	CHECK(df == 1.0);
	CHECK_CLOSE("share", se, 0.05, 1e-12, 0);
	CHECK(gr_share_se(below, total, 1, &se, &df) == GR_UNDEFINED && isnan(se));
	CHECK(gr_share_se(below, total, 0, &se, &df) == GR_UNDEFINED);
	CHECK(gr_share_se(below, total, -1, &se, &df) == GR_BAD_ARGUMENT);
	CHECK(gr_quantile_estimate(one, 1, below, total, 3, 0.55, 2.0, &e)
		  == GR_OK);
	CHECK(e.df == 1.0 && e.variance > 0.0);
	/* 0.55 + 9.1 * 0.05 >= 1 */
	CHECK(gr_quantile_estimate(one, 1, below, total, 3, 0.55, 9.1, &e)
		  == GR_UNDEFINED);
	CHECK(e.variance == INFINITY && isfinite(e.value) && e.df == 1.0);
	CHECK(gr_quantile_estimate(one, 1, below, total, 3, 0.55, INFINITY, &e)
		  == GR_UNDEFINED);
	CHECK(e.variance == INFINITY);
	CHECK(gr_quantile_estimate(one, 1, below, total, 1, 0.5, 2.0, &e)
		  == GR_UNDEFINED);
	CHECK(e.variance == INFINITY && isfinite(e.value));
	CHECK(gr_quantile_estimate(one, 0, below, total, 3, 0.5, 2.0, &e)
		  == GR_UNDEFINED);
	CHECK(isnan(e.value));
	CHECK(gr_quantile_estimate(one, 1, below, total, 3, NAN, 2.0, &e)
		  == GR_BAD_ARGUMENT);
	CHECK(gr_quantile_estimate(one, 1, below, total, 3, 0.5, NAN, &e)
		  == GR_BAD_ARGUMENT);
	CHECK(gr_quantile_estimate(one, 1, below, total, 3, 0.5, 0.0, &e)
		  == GR_BAD_ARGUMENT);
	below[1] = NAN;
	CHECK(gr_quantile_estimate(one, 1, below, total, 3, 0.5, 2.0, &e)
		  == GR_BAD_ARGUMENT);
	CHECK(isnan(e.value) && isnan(e.variance));
}

int
main(void)
{
	gr_stats_init();
	test_ratios();
	test_ratio_edges();
	test_proportions();
	test_quantile_truth();
	test_quantile_simulated();
	test_quantile_edges();
	return unit_report();
}
