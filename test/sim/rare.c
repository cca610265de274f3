/*
 * rare.c
 *	  How many units must carry a metric before its normal approximation may
 *	  decide anything?
 *
 * An experiment without effect is looked at after each of 100 batches.  For each
 * tail, design and level the largest value that a measure of "how much data
 * carries the metric" had at a look that crossed the bound is kept, so that one
 * simulation gives the rate of false decisions under every threshold of every
 * measure at once: the run decides falsely under a threshold if that largest
 * value reaches it.
 *
 *	 rare [runs [seed]]
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>

#include "stats.h"

#define LOOKS 100
#define LEVELS 3
#define DESIGNS 6
#define MEASURES 5

static const double level_of[LEVELS] = {0.10, 0.03, 0.01};
static const char *const design_name[DESIGNS] = {"fixed", "always_valid", "always_valid, plan",
	"power", "pocock", "obrien_fleming"};
static const char *const measure_name[MEASURES] = {"both arms", "smaller arm", "balanced",
	"balanced, (sum x)^2", "balanced, (sum x^2)^3"};
static const double threshold[] = {0, 5, 10, 20, 30, 50, 75, 100, 150, 200, 300, 500, 1000, 2000};
#define THRESHOLDS ((int) (sizeof(threshold) / sizeof(threshold[0])))

static double spending_bound[LEVELS][3][LOOKS];

/* One arm's running sums. */
typedef struct Sums
{
	double		n,
				x,
				xx,
				xxx,
				nonzero;
} Sums;

typedef struct Scenario
{
	double		share;			/* of the treatment */
	double		rate;			/* of units whose value is not 0 */
	double		sigma;			/* of the log-normal value; negative: value 1 */
	double		nonzero;		/* expected over both arms by the plan's end */
	double		margin;			/* relative; the truth lies on it */
	double		cap;			/* quantile of the values above 0; 1: none */
	bool		score;			/* variance of counts under the hypothesis */
} Scenario;

static void
prepare(void)
{
	static GrLookState scratch[2];
	const GrSpending spending[3] = {GR_SPENDING_POWER, GR_SPENDING_POCOCK, GR_SPENDING_OBRIEN_FLEMING};
	double		fraction[LOOKS];

	for (int i = 0; i < LOOKS; i++)
		fraction[i] = (i + 1.0) / LOOKS;
	for (int l = 0; l < LEVELS; l++)
		for (int s = 0; s < 3; s++)
			if (gr_spending_bounds(fraction, LOOKS, level_of[l], 1, spending[s], 1,
								   spending_bound[l][s], scratch) != GR_OK)
				abort();
}

static void
draw(gsl_rng *rng, Sums *s, double n, double rate, double sigma, double cap, double scale)
{
	unsigned	k = gsl_ran_binomial(rng, rate, (unsigned) n);

	s->n += floor(n);
	s->nonzero += k;
	if (sigma < 0)
	{
		s->x += k;
		s->xx += k;
		s->xxx += k;
		return;
	}
	for (unsigned i = 0; i < k; i++)
	{
		double		x = scale * fmin(exp(gsl_ran_gaussian_ziggurat(rng, sigma)), cap);

		s->x += x;
		s->xx += x * x;
		s->xxx += x * x * x;
	}
}

static double
variance_of_mean(const Sums *s)
{
	return (s->xx - s->x * s->x / s->n) / (s->n - 1) / s->n;
}

/* [tail][level][design][measure][threshold]: runs that decided falsely */
typedef long Counts[2][LEVELS][DESIGNS][MEASURES][THRESHOLDS];

static void
run(gsl_rng *rng, const Scenario *c, double bound[LEVELS][DESIGNS][LOOKS], Counts counts)
{
	double		n = c->nonzero / c->rate / LOOKS;
	double		lift = 1 + c->margin;
	double		least = fmin(c->share, 1 - c->share);
	double		balance = c->share * (1 - c->share) / pow(1 - 2 * c->share, 2);
	double		cap = c->cap < 1 ? exp(c->sigma * gr_normal_isf(1 - c->cap)) : INFINITY;
	Sums		t = {0},
				k = {0};
	double		best[2][LEVELS][DESIGNS][MEASURES];

	for (double *b = &best[0][0][0][0]; b < &best[0][0][0][0] + 2 * LEVELS * DESIGNS * MEASURES; b++)
		*b = -1;
	for (int i = 0; i < LOOKS; i++)
	{
		double		m[MEASURES];
		double		z,
					v;

		/* a proportion's harm is in its rate, revenue's in its size */
		draw(rng, &t, n * c->share, c->sigma < 0 ? c->rate * lift : c->rate, c->sigma, cap, lift);
		draw(rng, &k, n * (1 - c->share), c->rate, c->sigma, cap, 1);
		v = variance_of_mean(&t) + lift * lift * variance_of_mean(&k);
		if (c->score)
		{
			double		mean = (t.x + k.x) / (lift * t.n + k.n);

			v = lift * mean / t.n + lift * lift * mean / k.n;
		}
		if (!(v > 0))
			continue;
		z = (t.x / t.n - lift * k.x / k.n) / sqrt(v);
		/* Fieller: a control that cannot be told from zero decides nothing */
		if (c->margin != 0)
		{
			double		most = k.x / k.n / sqrt(variance_of_mean(&k));

			if (!(most > 0))
				continue;
			z = fmax(-most, fmin(most, z));
		}
		m[0] = t.nonzero + k.nonzero;
		m[1] = m[0] * least;
		m[2] = m[0] < 30 ? 0 : m[0] * balance;
		m[3] = m[0] < 30 ? 0 : pow(t.x + k.x, 2) / (t.xx + k.xx) * balance;
		m[4] = m[0] < 30 ? 0 : pow(t.xx + k.xx, 3) / pow(t.xxx + k.xxx, 2) * balance;
		for (int tail = 0; tail < 2; tail++)
			for (int l = 0; l < LEVELS; l++)
				for (int d = 0; d < DESIGNS; d++)
					if ((tail ? -z : z) >= bound[l][d][i])
						for (int j = 0; j < MEASURES; j++)
							best[tail][l][d][j] = fmax(best[tail][l][d][j], m[j]);
	}
	for (int tail = 0; tail < 2; tail++)
		for (int l = 0; l < LEVELS; l++)
			for (int d = 0; d < DESIGNS; d++)
				for (int j = 0; j < MEASURES; j++)
					for (int h = 0; h < THRESHOLDS; h++)
						counts[tail][l][d][j][h] += best[tail][l][d][j] >= threshold[h];
}

static void
fill_bounds(const Scenario *c, double bound[LEVELS][DESIGNS][LOOKS])
{
	double		units = c->nonzero / c->rate;

	for (int l = 0; l < LEVELS; l++)
		for (int i = 0; i < LOOKS; i++)
		{
			double		n = units * (i + 1) / LOOKS;

			/* rho is tuned to the rule's alpha, whatever level decides */
			bound[l][0][i] = i == LOOKS - 1 ? gr_normal_isf(level_of[l]) : INFINITY;
			bound[l][1][i] = gr_mixture_multiplier(n, gr_mixture_rho(5000, 0.10, 1), level_of[l], 1);
			bound[l][2][i] = gr_mixture_multiplier(n, gr_mixture_rho(units / 4, 0.10, 1), level_of[l], 1);
			for (int s = 0; s < 3; s++)
				bound[l][3 + s][i] = spending_bound[l][s][i];
		}
}

static void
scenario(gsl_rng *rng, const Scenario *c, int runs)
{
	static Counts counts;
	static double bound[LEVELS][DESIGNS][LOOKS];

	memset(counts, 0, sizeof(counts));
	fill_bounds(c, bound);
	for (int i = 0; i < runs; i++)
		run(rng, c, bound, counts);
	/* machine readable: one line per tail, level, design, measure */
	for (int tail = 0; tail < 2; tail++)
		for (int l = 0; l < LEVELS; l++)
			for (int d = 0; d < DESIGNS; d++)
				for (int j = 0; j < MEASURES; j++)
				{
					if (c->sigma < 0 && j >= 3)
						continue;
					printf("%g\t%g\t%g\t%g\t%s\t%g\t%g\t%s\t%g\t%s\t%s\t%d", c->share, c->rate, c->sigma,
						   c->cap, c->score ? "score" : "wald", c->nonzero, c->margin, tail ? "lower" : "upper", level_of[l],
						   design_name[d], measure_name[j], runs);
					for (int h = 0; h < THRESHOLDS; h++)
						printf("\t%.5f", (double) counts[tail][l][d][j][h] / runs);
					putchar('\n');
				}
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	int			runs = argc > 1 ? atoi(argv[1]) : 20000;
	unsigned long seed = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
	gsl_rng    *rng = gsl_rng_alloc(gsl_rng_taus2);
	const double shares[] = {0.5, 0.8, 0.9, 0.1};
	const double caps[] = {1, 0.999, 0.99};
	const double ends[] = {20, 50, 100, 200, 400, 800, 1600, 4000, 10000};
	const double margins[] = {0, 0.5};
	const double sigmas[] = {1, 1.5, 2};
	const double money[] = {100, 400, 1600, 6400, 25600};

	gr_stats_init();
	gsl_rng_set(rng, seed);
	prepare();
	printf("share\trate\tsigma\tcap\tstatistic\tnonzero\tmargin\ttail\tlevel\tdesign\tmeasure\truns");
	for (int h = 0; h < THRESHOLDS; h++)
		printf("\t%g", threshold[h]);
	putchar('\n');
	for (int m = 0; m < 2; m++)
		for (int s = 0; s < 4; s++)
			for (int e = 0; e < 9; e++)
				for (int q = 0; q < 2; q++)
				{
					Scenario	c = {shares[s], 1e-3, -1, ends[e], margins[m], 1, q};

					scenario(rng, &c, runs);
				}
	for (int g = 0; g < 3; g++)
		for (int s = 0; s < 4; s++)
			for (int e = 0; e < 5; e++)
				for (int q = 0; q < 3; q++)
				{
					Scenario	c = {shares[s], 0.1, sigmas[g], money[e], 0, caps[q], false};

					scenario(rng, &c, runs / (e == 4 ? 4 : 1));
				}
	gsl_rng_free(rng);
	return 0;
}
