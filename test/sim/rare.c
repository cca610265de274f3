/*
 * rare.c
 *	  How much data must carry a metric before its normal approximation may decide
 *	  anything?
 *
 * Experiments whose truth lies exactly on the limit are looked at after each of
 * 100 batches, under every design, and a guard says at which looks the statistic
 * may be used.  Printed are the worst false rates, in Markdown: over both tails
 * (false BLOCK and false SAFE), both directions of an uneven split, and sizes from
 * 20 events by the plan's end to 10,000.
 *
 * With shares s and 1 - s of the units and E units that are not 0, the difference
 * of two rare counts has the skewness |1 - 2s| / sqrt(s (1 - s) E).  Values with a
 * tail are skewed as if there were fewer: (sum x^2)^3 / (sum x^3)^2 of them.
 *
 *	 rare [runs [seed]]
 */
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>

#include "stats.h"

#define LOOKS 100
#define LEVELS 2
#define DESIGNS 5
#define GUARDS 6

static const double level_of[LEVELS] = {0.10, 0.01};
static const char *const design_name[DESIGNS] = {"fixed", "always_valid", "power", "pocock", "obrien_fleming"};
static const char *const guard_name[GUARDS] = {
	"none",
	"30 that are not 0",
	"and skewness² at most 1/100",
	"and skewness² at most 1/200",
	"the same, by mean and variance",
	"the same, by third moments",
};

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
	double		sigma;			/* of the log-normal value; negative: value 1 */
	double		cap;			/* quantile of the values above 0; 1: none */
	double		nonzero;		/* expected over both arms by the plan's end */
	double		margin;			/* relative; the truth lies on it */
} Scenario;

/* Rates of false decisions. */
typedef double Rates[LEVELS][DESIGNS][GUARDS];

static double spending_bound[LEVELS][3][LOOKS];

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

/* Units whose value is not 0: rare counts 0.1 %, purchases 10 %. */
static double
rate_of(const Scenario *c)
{
	return c->sigma < 0 ? 1e-3 : 0.1;
}

static void
fill_bounds(const Scenario *c, double bound[LEVELS][DESIGNS][LOOKS])
{
	double		units = c->nonzero / rate_of(c);

	for (int l = 0; l < LEVELS; l++)
		for (int i = 0; i < LOOKS; i++)
		{
			bound[l][0][i] = i == LOOKS - 1 ? gr_normal_isf(level_of[l]) : INFINITY;
			/* rho is tuned to the rule's alpha, whatever level decides */
			bound[l][1][i] = gr_mixture_multiplier(units * (i + 1) / LOOKS,
												   gr_mixture_rho(units / 4, 0.10, 1), level_of[l], 1);
			for (int s = 0; s < 3; s++)
				bound[l][2 + s][i] = spending_bound[l][s][i];
		}
}

static void
draw(gsl_rng *rng, Sums *s, double n, double rate, const Scenario *c, double scale)
{
	unsigned	k = gsl_ran_binomial(rng, rate, (unsigned) lround(n));
	double		cap = c->cap < 1 ? exp(c->sigma * gr_normal_isf(1 - c->cap)) : INFINITY;

	s->n += lround(n);
	s->nonzero += k;
	for (unsigned i = 0; i < k; i++)
	{
		double		x = c->sigma < 0 ? 1 : scale * fmin(exp(gsl_ran_gaussian_ziggurat(rng, c->sigma)), cap);

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

/* T against the margin; 0 where there is none. */
static double
statistic(const Sums *t, const Sums *k, double lift, bool relative)
{
	double		v = variance_of_mean(t) + lift * lift * variance_of_mean(k);
	double		z = (t->x / t->n - lift * k->x / k->n) / sqrt(v);
	double		most = k->x / k->n / sqrt(variance_of_mean(k));

	if (!(v > 0) || (relative && !(most > 0)))
		return 0;
	/* Fieller: a control that cannot be told from zero decides nothing */
	return relative ? fmax(-most, fmin(most, z)) : z;
}

static void
fill_guards(const Sums *t, const Sums *k, double share, bool may[GUARDS])
{
	double		nonzero = t->nonzero + k->nonzero;
	double		x = t->x + k->x,
				xx = t->xx + k->xx,
				xxx = t->xxx + k->xxx;
	double		balance = share * (1 - share) / pow(1 - 2 * share, 2);
	bool		enough = nonzero >= 30;

	may[0] = true;
	may[1] = enough;
	may[2] = enough && nonzero * balance >= 100;
	may[3] = enough && nonzero * balance >= 200;
	/* log-normal values: the third moment follows from the first two */
	may[4] = enough && nonzero * pow(x * x / (nonzero * xx), 3) * balance >= 200;
	may[5] = enough && pow(xx, 3) / (xxx * xxx) * balance >= 200;
}

/* One experiment; which tails cross under which guard. */
static void
run(gsl_rng *rng, const Scenario *c, double bound[LEVELS][DESIGNS][LOOKS], Rates crossed[2])
{
	double		rate = rate_of(c);
	double		n = c->nonzero / rate / LOOKS;
	double		lift = 1 + c->margin;
	bool		hit[2][LEVELS][DESIGNS][GUARDS];
	Sums		t = {0},
				k = {0};

	memset(hit, 0, sizeof(hit));
	for (int i = 0; i < LOOKS; i++)
	{
		bool		may[GUARDS];
		double		z;

		/* a count's harm is in its rate, revenue's in its size */
		draw(rng, &t, n * c->share, c->sigma < 0 ? rate * lift : rate, c, lift);
		draw(rng, &k, n * (1 - c->share), rate, c, 1);
		z = statistic(&t, &k, lift, c->margin != 0);
		fill_guards(&t, &k, c->share, may);
		for (int l = 0; l < LEVELS; l++)
			for (int d = 0; d < DESIGNS; d++)
				if (fabs(z) >= bound[l][d][i])
					for (int g = 0; g < GUARDS; g++)
						hit[z < 0][l][d][g] |= may[g];
	}
	for (int tail = 0; tail < 2; tail++)
		for (int l = 0; l < LEVELS; l++)
			for (int d = 0; d < DESIGNS; d++)
				for (int g = 0; g < GUARDS; g++)
					crossed[tail][l][d][g] += hit[tail][l][d][g];
}

static void
scenario(gsl_rng *rng, const Scenario *c, int runs, Rates worst)
{
	static double bound[LEVELS][DESIGNS][LOOKS];
	static Rates crossed[2];

	memset(crossed, 0, sizeof(crossed));
	fill_bounds(c, bound);
	for (int i = 0; i < runs; i++)
		run(rng, c, bound, crossed);
	for (int tail = 0; tail < 2; tail++)
		for (int l = 0; l < LEVELS; l++)
			for (int d = 0; d < DESIGNS; d++)
				for (int g = 0; g < GUARDS; g++)
					worst[l][d][g] = fmax(worst[l][d][g], crossed[tail][l][d][g] / runs);
}

static void
table(gsl_rng *rng, const char *what, double share, double sigma, double cap, double margin, int runs)
{
	static const double counts[] = {20, 50, 100, 200, 400, 800, 1600, 4000, 10000};
	static const double money[] = {100, 400, 1600, 6400, 25600};
	const double *sizes = sigma < 0 ? counts : money;
	int			nsizes = sigma < 0 ? 9 : 5;
	Rates		worst = {{{0}}};

	for (int e = 0; e < nsizes; e++)
		for (int way = 0; way < (share == 0.5 ? 1 : 2); way++)
		{
			Scenario	c = {way ? 1 - share : share, sigma, cap, sizes[e], margin};

			scenario(rng, &c, runs, worst);
		}
	printf("### %s, %g/%g\n\n| guard |", what, 100 * (1 - share), 100 * share);
	for (int d = 0; d < DESIGNS; d++)
		printf(" %s |", design_name[d]);
	printf("\n|---|---|---|---|---|---|\n");
	for (int g = 0; g < GUARDS; g++)
	{
		/* at an even split nothing is skewed, and of counts all moments are one */
		if ((share == 0.5 && g > 1) || (sigma < 0 && g > 3))
			continue;
		printf("| %s |", guard_name[g]);
		for (int d = 0; d < DESIGNS; d++)
			printf(" %.3f · %.4f |", worst[0][d][g], worst[1][d][g]);
		printf("\n");
	}
	printf("\n");
	fflush(stdout);
}

int
main(int argc, char **argv)
{
	int			runs = argc > 1 ? atoi(argv[1]) : 20000;
	unsigned long seed = argc > 2 ? strtoul(argv[2], NULL, 10) : 1;
	gsl_rng    *rng = gsl_rng_alloc(gsl_rng_taus2);
	const double shares[] = {0.5, 0.2, 0.1};
	const double sigmas[] = {1, 1.5, 2};

	gr_stats_init();
	gsl_rng_set(rng, seed);
	prepare();
	printf("Worst false rates at level 0.10 · at level 0.01; %d runs a size for counts, %d for values;\n"
		   "standard errors %.4f · %.4f and %.4f · %.4f.\n\n", runs, runs / 5,
		   sqrt(0.09 / runs), sqrt(0.0099 / runs), sqrt(0.45 / runs), sqrt(0.0495 / runs));
	for (int s = 0; s < 3; s++)
	{
		table(rng, "Rare counts", shares[s], -1, 1, 0, runs);
		table(rng, "Rare counts, margin +50 %", shares[s], -1, 1, 0.5, runs);
	}
	for (int g = 0; g < 3; g++)
		for (int s = 0; s < 3; s += 2)
			for (int capped = 0; capped < 2; capped++)
			{
				char		what[80];

				snprintf(what, sizeof(what), "10 %% not 0, log-normal, sigma %g%s", sigmas[g],
						 capped ? ", capped at 0.99" : "");
				table(rng, what, shares[s], sigmas[g], capped ? 0.99 : 1, 0, runs / 5);
			}
	gsl_rng_free(rng);
	return 0;
}
