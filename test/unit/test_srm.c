/*
 * test_srm.c
 *	  Sample ratio mismatch: chi-square and the sequential Bayes factor.
 */
#include "unit.h"
#include "stats.h"

#define MAX_ARMS 20

static int
read_counts(const Truth *truth, int64_t *counts)
{
	double		values[MAX_ARMS];
	int			n = truth_list(truth, "counts", values, MAX_ARMS);

	for (int i = 0; i < n; i++)
		counts[i] = (int64_t) values[i];
	return n;
}

static void
test_chisq(void)
{
	Truth		truth;

	truth_open(&truth, "srm");
	while (truth_next(&truth))
	{
		const char *id = truth_text(&truth, "id");
		int64_t		counts[MAX_ARMS];
		double		shares[MAX_ARMS];
		double		statistic;
		double		df;
		double		p;
		int			n = read_counts(&truth, counts);
		double		tolerance = counts[0] > 1000000000 ? 1e-6 : 1e-10;

		truth_list(&truth, "weights", shares, MAX_ARMS);
		CHECK_IN(id, gr_srm(counts, shares, n, &statistic, &df, &p) == GR_OK);
		CHECK_CLOSE(id, statistic, truth_number(&truth, "chisq"), tolerance,
					1e-15);
		CHECK_IN(id, df == truth_number(&truth, "df"));
		CHECK_CLOSE(id, p, truth_number(&truth, "p"), 1e-8, 1e-300);
	}
}

/* The slab alone, from the half-and-half mixture and the prior. */
static GrCode
slab_alone(const int64_t *counts, const double *shares, int n, double *log_e)
{
	double		near;
	double		both;
	GrCode		code;

	code = gr_srm_sequential(counts, shares, n, 7.0, false, &near);
	if (code != GR_OK)
		return code;
	code = gr_srm_sequential(counts, shares, n, 7.0, true, &both);
	*log_e = log(2.0 * exp(both) - exp(near));
	return code;
}

static void
test_sequential(void)
{
	Truth		truth;
	double		largest = 0.0;
	char		group[40] = "";

	truth_open(&truth, "sequential_srm");
	while (truth_next(&truth))
	{
		const char *id = truth_text(&truth, "id");
		double		expected = truth_number(&truth, "log_bf");
		double		prior = truth_number(&truth, "prior");
		int64_t		counts[MAX_ARMS];
		double		shares[MAX_ARMS];
		double		log_e;
		GrCode		code;
		int			n = read_counts(&truth, counts);

		truth_list(&truth, "shares", shares, MAX_ARMS);
		if (strcmp(truth_text(&truth, "kind"), "slab") == 0)
			code = slab_alone(counts, shares, n, &log_e);
		else
			code = gr_srm_sequential(counts, shares, n, prior, false, &log_e);
		CHECK_IN(id, code == GR_OK);
		CHECK_CLOSE(id, log_e, expected, 1e-10, 1e-8);

		/* p is the running minimum of 1/e */
		if (strncmp(group, id, strcspn(id, "-") + 4) != 0)
			largest = 0.0;
		snprintf(group, sizeof(group), "%.18s", id);
		largest = fmax(largest, log_e);
		CHECK_CLOSE(id, exp(-largest), truth_number(&truth, "p"), 1e-6, 1e-300);
	}
}

/*
 * Ville's inequality by simulation: under the planned split the e-process
 * passes 1/alpha in at most a share alpha of the runs.
 */
static void
test_level(void)
{
	Random		r = 61;
	double		shares[2] = {1.0, 2.0};
	int			alarms = 0;
	int			runs = 1000;

	for (int run = 0; run < runs; run++)
	{
		int64_t		counts[2] = {0, 0};

		for (int look = 0; look < 100; look++)
		{
			double		log_e;

			for (int i = 0; i < 50; i++)
				counts[random_below(&r, 3) > 0]++;
			gr_srm_sequential(counts, shares, 2, 10000.0, true, &log_e);
			if (log_e >= log(20.0))
			{
				alarms++;
				break;
			}
		}
	}
	CHECK(alarms <= runs * 0.05);
}

/*
 * The slab finds a gross mismatch among few units, where the concentrated prior
 * is weak, and costs at most ln 2.  Values by mpmath at 50 digits.
 */
static void
test_slab(void)
{
	static const struct
	{
		int64_t		counts[2];
		double		near;
		double		both;
	}			cases[] = {
		{{5200, 4800}, 3.6538806657425465, 3.6380084725770213},
		{{600, 400}, 1.7707899707114506, 16.193133747061952},
		{{80, 20}, 0.17326110388800372, 16.275815600260154},
	};
	int64_t		counts[2] = {1, 0};
	int64_t		huge[3] = {INT64_MAX / 4, INT64_MAX / 4, INT64_MAX / 4};
	double		near;
	double		both;

	for (int i = 0; i < 3; i++)
	{
		CHECK(gr_srm_sequential(cases[i].counts, NULL, 2, 10000.0, false, &near)
			  == GR_OK);
		CHECK(gr_srm_sequential(cases[i].counts, NULL, 2, 10000.0, true, &both)
			  == GR_OK);
		CHECK_CLOSE("prior", near, cases[i].near, 1e-12, 1e-12);
		CHECK_CLOSE("with slab", both, cases[i].both, 1e-12, 1e-12);
	}
	CHECK(gr_srm_sequential(huge, NULL, 3, 10000.0, true, &both) == GR_OK);
	CHECK(both < 0.0);
	/* one observation tells nothing under the mean it was planned with */
	CHECK(gr_srm_sequential(counts, NULL, 2, 10000.0, true, &both) == GR_OK);
	CHECK_CLOSE("one unit", both, 0.0, 0, 1e-12);
}

static void
test_edges(void)
{
	int64_t		counts[3] = {10, 20, 30};
	double		shares[3] = {1.0, 2.0, 3.0};
	double		statistic;
	double		df;
	double		p;

	CHECK(gr_srm(counts, shares, 3, &statistic, &df, &p) == GR_OK);
	CHECK(statistic < 1e-25 && p > 1.0 - 1e-12 && df == 2.0);
	CHECK(gr_srm(counts, NULL, 3, &statistic, &df, &p) == GR_OK);
	CHECK_CLOSE("equal", statistic, 10.0, 1e-12, 0);
	CHECK(gr_srm(counts, shares, 1, &statistic, &df, &p) == GR_UNDEFINED);
	CHECK(gr_srm(counts, shares, 0, &statistic, &df, &p) == GR_UNDEFINED);
	CHECK(isnan(statistic) && isnan(df) && isnan(p));
	shares[1] = 0.0;
	CHECK(gr_srm(counts, shares, 3, &statistic, &df, &p) == GR_BAD_ARGUMENT);
	shares[1] = NAN;
	CHECK(gr_srm(counts, shares, 3, &statistic, &df, &p) == GR_BAD_ARGUMENT);
	CHECK(gr_srm_sequential(counts, shares, 3, 10.0, true, &p)
		  == GR_BAD_ARGUMENT);
	shares[1] = 2.0;
	CHECK(gr_srm_sequential(counts, shares, 3, 0.0, true, &p)
		  == GR_BAD_ARGUMENT);
	CHECK(gr_srm_sequential(counts, shares, 3, INFINITY, true, &p)
		  == GR_BAD_ARGUMENT);
	counts[0] = -1;
	CHECK(gr_srm(counts, shares, 3, &statistic, &df, &p) == GR_BAD_ARGUMENT);
	counts[0] = counts[1] = counts[2] = 0;
	CHECK(gr_srm(counts, shares, 3, &statistic, &df, &p) == GR_UNDEFINED);
	CHECK(gr_srm_sequential(counts, shares, 3, 10.0, true, &p) == GR_OK);
	CHECK_CLOSE("no units", p, 0.0, 0, 1e-15);
}

int
main(void)
{
	gr_stats_init();
	test_chisq();
	test_sequential();
	test_level();
	test_slab();
	test_edges();
	return unit_report();
}
