/*
 * test_evidence.c
 *	  Tests for rare events, uneven splits and heavy units.
 *
 * truth/evidence.tsv is what evidence.py beside it computes with numpy and scipy: residuals
 * unit by unit, restricted estimates by numerical search, Clopper and Pearson by beta
 * quantiles, mixtures by quadrature.  Single figures: scipy, statsmodels 0.13
 * (test_proportions_2indep, score, correction off), R's fisher.test, or STATISTICS' own
 * published ones where the comment says so.
 */
#include "unit.h"
#include "sample.h"

#define MAX_VALUES 200

static GrContrastKind
contrast_of(const char *word)
{
	return strcmp(word, "absolute") == 0 ? GR_ABSOLUTE : strcmp(word, "relative") == 0 ? GR_RELATIVE : GR_DIFFERENCE;
}

/* Of n units k have the value 1. */
static GrSample
share(double k, double n)
{
	GrMoments	m;
	GrSample	s;

	gr_moments_init(&m, 1);
	m.n = (int64_t) n;
	m.sum_hi[0] = k;
	m.product[0] = k - k * k / n;
	m.largest[0][0] = k > 0;
	gr_sample_of_moments(&m, false, 0, 0, k, &s);
	s.traffic = n;
	return s;
}

/* "1,2,3", "1:4,2:5" or "3/100" */
static GrSample
arm_of(const char *text)
{
	GrMoments	m;
	GrSample	s;
	bool		pairs = strchr(text, ':') != NULL;
	char	   *end;

	if (strchr(text, '/'))
		return share(strtod(text, &end), strtod(strchr(text, '/') + 1, NULL));
	gr_moments_init(&m, pairs ? 2 : 1);
	for (;;)
	{
		double		x[2] = {strtod(text, &end), 1};

		if (pairs)
			x[1] = strtod(end + 1, &end);
		CHECK(gr_moments_add(&m, x));
		if (*end != ',')
			break;
		text = end + 1;
	}
	gr_sample_of_moments(&m, false, 0, 0, NAN, &s);
	return s;
}

static void
check_vector(Truth *truth, int row)
{
	char		label[80];
	GrContrastKind kind = contrast_of(truth_text(truth, "contrast"));
	double		limit = truth_number(truth, "limit");
	GrSample	t = arm_of(truth_text(truth, "treatment"));
	GrSample	c = arm_of(truth_text(truth, "control"));
	GrSaid		up,
				down;

	snprintf(label, sizeof(label), "%s, row %d", truth_text(truth, "kind"), row);
	if (strcmp(truth_text(truth, "kind"), "log_e") == 0)
	{
		CHECK_CLOSE(label, gr_share_log_e(kind, &t, &c, limit, (int) truth_number(truth, "down")),
					truth_number(truth, "up"), 1e-6, 0);
		return;
	}
	CHECK_IN(label, gr_evidence(kind, &t, &c, limit, 1, &up) == GR_OK);
	CHECK_IN(label, gr_evidence(kind, &t, &c, limit, -1, &down) == GR_OK);
	/* the search for the restricted shares ends at some 1e-8 of them */
	CHECK_CLOSE(label, up.z, truth_number(truth, "up"), 1e-5, 1e-6);
	CHECK_CLOSE(label, down.z, truth_number(truth, "down"), 1e-5, 1e-6);
	CHECK_CLOSE(label, up.skew, truth_number(truth, "skew"), 1e-5, 1e-9);
	if (t.kind == GR_SAMPLE_SHARE)
		return;
	CHECK_CLOSE(label, up.df, truth_number(truth, "df"), 1e-9, 0);
	/* of a ratio the heaviest is looked for among the units of largest x and of largest y */
	if (t.kind == GR_SAMPLE_RATIO)
		CHECK_IN(label, up.heaviest <= truth_number(truth, "heaviest") * (1 + 1e-9) &&
				 up.heaviest > truth_number(truth, "heaviest") / 2);
	else
		CHECK_CLOSE(label, up.heaviest, truth_number(truth, "heaviest"), 1e-9, 0);
}

static void
test_vectors(void)
{
	Truth		truth;
	int			row = 0;

	truth_open(&truth, "evidence");
	while (truth_next(&truth))
		check_vector(&truth, ++row);
}

static double
z_of(GrContrastKind kind, GrSample t, GrSample c, double limit, int direction)
{
	GrSaid		e;

	CHECK(gr_evidence(kind, &t, &c, limit, direction, &e) == GR_OK);
	return e.z;
}

/* The score as it is published, before its third moment is matched. */
static void
test_published(void)
{
	double		p_t,
				p_c;

	/* statsmodels: test_proportions_2indep(300, 1000, 9, 9000, value=1.1, compare='ratio', method='score', correction=False) */
	CHECK_CLOSE("ratio", gr_share_score(GR_RELATIVE, 1000, 300, 9000, 9, 0.1, &p_t, &p_c), 49.40347701408204, 1e-9, 0);
	CHECK_CLOSE("ratio", p_t / p_c, 1.1, 1e-12, 0);
	/* value=0: the pooled z of proportions_ztest([637, 272], [999, 537]) */
	CHECK_CLOSE("pooled", gr_share_score(GR_DIFFERENCE, 999, 637, 537, 272, 0, &p_t, &p_c), 4.985612804056834, 1e-9, 0);
	/* scipy's minimize_scalar of the restricted likelihood */
	CHECK_CLOSE("difference", gr_share_score(GR_DIFFERENCE, 1000, 25, 1000, 3, 0.005, &p_t, &p_c), 3.4508243568686896, 1e-7, 0);
	CHECK_CLOSE("difference", p_t, 0.014791846520560991, 1e-6, 0);
	/* scipy.stats.gamma: norm.isf(gamma.sf(k + 2 sqrt(k), k)), k = 16 */
	CHECK_CLOSE("gamma", gr_gamma_z(2, 0.5), 1.8197296340551818, 1e-9, 0);
	CHECK_CLOSE("gamma", gr_gamma_z(-2, -0.5), -1.8197296340551818, 1e-9, 0);
	/* the same with k = 4/0.03^2 and 4/0.01^2, where a closed form takes over */
	CHECK_CLOSE("gamma", gr_gamma_z(3, 0.03), 2.961127048031826, 1e-7, 0);
	CHECK_CLOSE("gamma", gr_gamma_z(-5, 0.01), -5.040614904393115, 1e-8, 0);
	CHECK_CLOSE("gamma", gr_gamma_z(0, 0.03), 0.005, 1e-3, 0);
	CHECK(gr_gamma_z(1.5, 0) == 1.5 && gr_gamma_z(-6, 0.5) == -GR_MOST_Z);
}

/* Gross harm is seen however skewed a canary is, and grows with what is seen. */
static void
test_gross(void)
{
	double		before = 0;

	for (double k = 2; k <= 200; k += 2)
	{
		double		z = z_of(GR_DIFFERENCE, share(k, 200), share(99, 19800), 0, 1);

		CHECK(z >= before);
		before = z;
	}
	/* crashes from 0.5 to 50 % in 200 of 20,000 units */
	CHECK(z_of(GR_DIFFERENCE, share(100, 200), share(99, 19800), 0, 1) > 18);
	CHECK(z_of(GR_DIFFERENCE, share(1000, 1000), share(0, 1000), 0.01, 1) > 30);
	CHECK(z_of(GR_RELATIVE, share(200, 1000), share(0, 1000), 0.1, 1) > 10);
	CHECK(z_of(GR_ABSOLUTE, share(999, 1000), share(0, 1000), 0.05, 1) == GR_MOST_Z);
	/* R: fisher.test(matrix(c(25, 975, 0, 1000), 2), alternative = "greater"): p = 2.6e-8 */
	CHECK(z_of(GR_DIFFERENCE, share(25, 1000), share(0, 1000), 0, 1) > 4.9);
}

/* Nothing of many against nothing of many says little of a small limit. */
static void
test_few(void)
{
	GrSample	t = share(0, 1642),
				c = share(0, 14000);
	bool		without;

	/* exp(-1.642) = 0.1936 is the chance of no event at a share of 0.001; twice that */
	CHECK_CLOSE("none", gr_normal_sf(z_of(GR_DIFFERENCE, t, c, 0.001, -1)), 2 * pow(1 - 0.001, 1642), 1e-9, 0);
	CHECK(gr_share_needs(GR_RELATIVE, &t, &c, 0.1, 1, 0.10, &without) > 0);
	/* without units no number of events is proof */
	t = share(0, 3);
	c = share(0, 3);
	CHECK(isnan(gr_share_needs(GR_RELATIVE, &t, &c, 5, 1, 0.001, &without)));
	/* what was said to be enough is, and one less is not */
	t = share(0, 1000);
	c = share(0, 9000);
	for (double limit = 0; limit < 0.02; limit += 0.005)
	{
		double		k = gr_share_needs(GR_DIFFERENCE, &t, &c, limit, 1, 0.05, &without);

		CHECK(gr_normal_sf(z_of(GR_DIFFERENCE, share(k, 1000), c, limit, 1)) <= 0.05);
		CHECK(!without && (k < 2 || gr_normal_sf(z_of(GR_DIFFERENCE, share(k - 1, 1000), c, limit, 1)) > 0.05));
	}
	/* all of both arms have it: those without it are counted */
	t = share(1000, 1000);
	c = share(9000, 9000);
	{
		double		k = gr_share_needs(GR_DIFFERENCE, &t, &c, 0, -1, 0.05, &without);

		CHECK(without && gr_normal_sf(z_of(GR_DIFFERENCE, share(1000 - k, 1000), c, 0, -1)) <= 0.05);
		CHECK(k < 2 || gr_normal_sf(z_of(GR_DIFFERENCE, share(1001 - k, 1000), c, 0, -1)) > 0.05);
	}
}

static GrSample
constant(double x, int n)
{
	GrMoments	m;
	GrSample	s;

	gr_moments_init(&m, 1);
	for (int i = 0; i < n; i++)
		CHECK(gr_moments_add(&m, &x));
	gr_sample_of_moments(&m, false, 0, 0, NAN, &s);
	return s;
}

/* Arms that do not vary: one order in (n + m over n), or one in 2^n. */
static void
test_constant(void)
{
	GrSample	t = constant(30, 10),
				c = constant(1, 10);
	GrSaid		e;

	CHECK_CLOSE("all", gr_normal_sf(z_of(GR_DIFFERENCE, t, c, 5, 1)), 1.0 / 184756, 1e-9, 0);
	CHECK_CLOSE("all", gr_normal_sf(z_of(GR_RELATIVE, t, c, 0.5, 1)), 1.0 / 184756, 1e-9, 0);
	CHECK_CLOSE("all", gr_normal_sf(z_of(GR_ABSOLUTE, t, c, 5, 1)), 1.0 / 1024, 1e-9, 0);
	CHECK(z_of(GR_DIFFERENCE, t, c, 5, -1) < -4 && z_of(GR_DIFFERENCE, t, c, 50, -1) > 4);
	CHECK(gr_evidence(GR_DIFFERENCE, &t, &t, 0, 1, &e) == GR_UNDEFINED && isnan(e.z));
	c.estimate.value = -1;
	CHECK(gr_evidence(GR_RELATIVE, &t, &c, 0.5, 1, &e) == GR_UNDEFINED);
}

/* Of an even split without skewness the rule is Welch's t. */
static void
test_is_welch(void)
{
	GrMoments	m[2];
	GrSample	s[2];
	Random		r = 5;

	for (int a = 0; a < 2; a++)
	{
		gr_moments_init(&m[a], 1);
		for (int i = 0; i < 400; i++)
		{
			double		z = random_normal(&r),
						x[2] = {10 + 0.1 * a + z, 10 + 0.1 * a - z};

			CHECK(gr_moments_add(&m[a], &x[0]) && gr_moments_add(&m[a], &x[1]));
		}
		gr_sample_of_moments(&m[a], false, 0, 0, 800, &s[a]);
	}
	for (double limit = -0.3; limit < 0.4; limit += 0.1)
	{
		double		welch,
					df,
					se;

		CHECK(gr_contrast_statistic(GR_DIFFERENCE, &s[1].estimate, &s[0].estimate, limit, &welch, &df, &se) == GR_OK);
		CHECK_CLOSE("welch", z_of(GR_DIFFERENCE, s[1], s[0], limit, welch > 0 ? 1 : -1), fabs(welch), 0.01, 1e-6);
	}
}

typedef struct Level
{
	GrContrastKind kind;
	const GrSample *t;
	const GrSample *c;
	int			direction;
	double		crit;
} Level;

static double
excess(void *arg, double limit)
{
	Level	   *l = arg;
	GrSaid		e;

	return gr_evidence(l->kind, l->t, l->c, limit, l->direction, &e) == GR_OK ? e.z - l->crit : NAN;
}

/* The bound is where the test changes its mind. */
static void
test_bounds(void)
{
	Truth		truth;

	truth_open(&truth, "evidence");
	while (truth_next(&truth))
	{
		GrContrastKind kind = contrast_of(truth_text(&truth, "contrast"));
		GrSample	t = arm_of(truth_text(&truth, "treatment"));
		GrSample	c = arm_of(truth_text(&truth, "control"));

		for (int direction = -1; direction <= 1; direction += 2)
			for (double crit = 0.5; crit < 4; crit += 1.1)
			{
				Level		l = {kind, &t, &c, direction, crit};
				double		bound = gr_evidence_bound(kind, &t, &c, direction, NAN, excess, &l);

				if (!isfinite(bound) || (kind == GR_RELATIVE && bound > 1e8))
					continue;
				/* the limit that is kept, and one a little further */
				CHECK_IN(truth_text(&truth, "kind"), !(excess(&l, bound + direction * 1e-9 * (1 + fabs(bound))) > 1e-4));
				CHECK_IN(truth_text(&truth, "kind"), !(excess(&l, bound - direction * 1e-6 * (1 + fabs(bound))) < -1e-4));
				CHECK_IN(truth_text(&truth, "kind"), kind != GR_RELATIVE || bound >= -1);
			}
	}
}

/* Values that are tied: quantiles that occurred, and no limit beyond the range. */
static void
test_ties(void)
{
	Random		r = 9;
	static double values[2000];

	for (int round = 0; round < 200; round++)
	{
		GrTie		ties[2000];
		GrBin		bins[2000];
		int			n = 1 + random_below(&r, 2000),
					distinct = 1 + random_below(&r, 30),
					nbins = 0;
		double		least = INFINITY,
					greatest = -INFINITY;

		for (int i = 0; i < n; i++)
		{
			values[i] = (random_below(&r, distinct) - distinct / 3) * (round % 3 ? 9.99 : 1000) + 0.0;
			least = fmin(least, values[i]);
			greatest = fmax(greatest, values[i]);
		}
		/* ascending by value, which is ascending by bin */
		for (int i = 1; i < n; i++)
			for (int k = i; k > 0 && values[k] < values[k - 1]; k--)
			{
				double		v = values[k];

				values[k] = values[k - 1];
				values[k - 1] = v;
			}
		for (int i = 0; i < n; i++)
		{
			int32_t		bin = gr_bin(values[i]);

			if (nbins == 0 || bins[nbins - 1].bin != bin)
			{
				ties[nbins] = (GrTie) {.bin = bin};
				bins[nbins++] = (GrBin) {bin, 0};
			}
			bins[nbins - 1].count++;
			gr_tie_add(&ties[nbins - 1], values[i]);
			CHECK(gr_tie_valid(&ties[nbins - 1]));
		}
		for (double p = 0.001; p < 1; p += 0.0173)
		{
			double		q = gr_tied_quantile(bins, nbins, ties, nbins, p);
			int			rank = (int) ceil(p * n);

			/* as percentile_disc: the first whose share reaches p */
			CHECK_CLOSE("quantile", q, values[rank > 0 ? rank - 1 : 0], 0, 0);
			for (int direction = -1; direction <= 1; direction += 2)
			{
				double		limit = gr_tied_limit(bins, nbins, ties, nbins, p, gr_bin(q), direction);

				CHECK(limit >= least && limit <= greatest);
			}
		}
		/* what is taken out is as if it had never come */
		for (int i = 0; i < n; i++)
		{
			int			k = 0;

			while (bins[k].bin != gr_bin(values[i]))
				k++;
			gr_tie_remove(&ties[k], values[i]);
			CHECK(ties[k].n == 0 || !gr_tie_known(&ties[k]) || gr_tie_valid(&ties[k]));
		}
		for (int k = 0; k < nbins; k++)
			CHECK(ties[k].n == 0);
	}
}

/* Equal ties in both arms: no effect, and bounds that contain it. */
static void
test_tied_arms(void)
{
	GrBin		bins[2] = {{gr_bin(200), 9400}, {gr_bin(30000), 600}};
	GrTie		ties[2] = {{gr_bin(200), 9400, 199, 1, 200.1, 1}, {gr_bin(30000), 600, 30000, 600, 30000, 600}};
	double		upto[50],
				under[50],
				total[50];
	GrSample	t,
				c;

	for (int k = 0; k < 50; k++)
	{
		total[k] = upto[k] = 200;
		under[k] = 180 + k % 17;
	}
	gr_sample_of_quantile(bins, 2, ties, 2, &(GrClusters) {50, upto, under, total}, 0.95, 1.3, 2000, &t);
	bins[0].count = 8000;
	bins[1].count = ties[1].n = ties[1].at_low = ties[1].at_high = 2000;
	gr_sample_of_quantile(bins, 2, ties, 2, &(GrClusters) {50, upto, under, total}, 0.95, 1.3, 2000, &c);
	CHECK(t.estimate.value == 30000 && c.estimate.value == 30000);
	CHECK(z_of(GR_DIFFERENCE, t, c, 0, 1) <= 0 && z_of(GR_DIFFERENCE, t, c, 0, -1) <= 0);
	for (int i = 0; i < GR_CURVE_POINTS; i++)
		CHECK(t.lower[i] <= 30000 && t.upper[i] >= 30000 && (isinf(t.upper[i]) || t.upper[i] == 30000));
}

int
main(void)
{
	gr_stats_init();
	test_vectors();
	test_published();
	test_gross();
	test_few();
	test_constant();
	test_is_welch();
	test_bounds();
	test_ties();
	test_tied_arms();
	return unit_report();
}
