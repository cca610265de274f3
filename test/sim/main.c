/*
 * main.c
 *	  How often is a change blocked falsely, passed as safe falsely, and how soon
 *	  is a harm found?
 *
 *	 sim table [runs [seed [metric]]]	the tables, in Markdown
 *	 sim check					a short form that fails when a promise is broken
 */
#include "sim.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <gsl/gsl_randist.h>

/* A harm that one test at the plan's end finds with power 0.8. */
#define POWER 0.8

/* What a rule did over many experiments. */
typedef struct Tally
{
	double		runs;
	double		blocked;
	double		safe;
	double		share;			/* sum of the share of the plan until BLOCK, 1 without */
	double	   *reach;			/* [runs] of a published rule, when asked for; else NULL */
} Tally;

static void
count(Tally *t, const Outcome *o)
{
	if (t->reach)
		t->reach[(int) t->runs] = o->reach;
	t->runs++;
	t->blocked += (o->blocked > 0);
	t->safe += o->safe;
	t->share += o->blocked > 0 ? (double) o->blocked / LOOKS : 1;
}

static double
standard_error(double p, double runs)
{
	return sqrt(fmax(p * (1 - p), 1e-9) / runs);
}

/* ---- the z process -------------------------------------------------------- */

static void
brownian(gsl_rng *rng, double planned, double drift, int runs, Tally tally[RULES])
{
	double		bound[RULES][LOOKS + 1];

	memset(tally, 0, sizeof(Tally) * RULES);
	for (int rule = 0; rule < RULES; rule++)
		for (int look = 1; look <= LOOKS; look++)
			bound[rule][look] = rule_bound((RuleId) rule, look, planned);
	for (int i = 0; i < runs; i++)
	{
		Outcome		o[RULES];
		double		score = 0;

		memset(o, 0, sizeof(o));
		for (int look = 1; look <= LOOKS; look++)
		{
			double		z;

			score += drift / LOOKS + gsl_ran_gaussian_ziggurat(rng, 1 / sqrt(LOOKS));
			z = score / sqrt((double) look / LOOKS);
			for (int rule = 0; rule < RULES; rule++)
			{
				if (z > bound[rule][look] && o[rule].blocked == 0)
					o[rule].blocked = look;
				o[rule].safe = o[rule].safe || z < -bound[rule][look];
			}
		}
		for (int rule = 0; rule < RULES; rule++)
			count(&tally[rule], &o[rule]);
	}
}

static double
harm(void)
{
	return gr_normal_isf(ALPHA) + gr_normal_isf(1 - POWER);
}

static void
table_brownian(gsl_rng *rng, int runs)
{
	static const double plans[] = {5000, 10000, 50000, 200000};

	printf("### The z process\n\n");
	printf("%d Brownian motions a figure, standard error at most %.4f.  Each cell: harms found by the\n"
		   "plan's end · mean share of the planned units until BLOCK · false BLOCKs.\n\n",
		   runs, standard_error(0.5, runs));
	printf("| rule | plan of 5,000 units | 10,000 | 50,000 | 200,000 |\n|---|---|---|---|---|\n");
	static Tally null[4][RULES],
				found[4][RULES];

	for (int k = 0; k < 4; k++)
	{
		brownian(rng, plans[k], 0, runs, null[k]);
		brownian(rng, plans[k], harm(), runs, found[k]);
	}
	for (int rule = 0; rule < RULES; rule++)
	{
		printf("| %s |", rule_names[rule]);
		for (int k = 0; k < 4; k++)
			printf(" %.3f · %.3f · %.3f |", found[k][rule].blocked / runs,
				   found[k][rule].share / runs, null[k][rule].blocked / runs);
		printf("\n");
	}
	printf("\n");
}

/* ---- metrics -------------------------------------------------------------- */

/* No effect; an effect exactly at the margin; a harm against margin 0. */
typedef enum World
{
	NO_EFFECT,
	AT_MARGIN,
	HARM,
	WORLDS
} World;

static void
simulate(Kind kind, double share, int runs, gsl_rng *rng, int mask, Tally tally[WORLDS][RULES], double *lift)
{
	const Metric *metric = &metrics[kind];
	Data	   *data = data_new(kind, share);
	double		sign = metric->worse_is_higher ? 1 : -1;

	*lift = harm();
	if (kind != SCORE)
		*lift = sign * harm() * data_pilot(data, rng, 0, 20);
	for (int world = 0; world < WORLDS; world++)
		for (int rule = 0; rule < RULES; rule++)
			tally[world][rule] = (Tally) {.reach = tally[world][rule].reach};
	for (int world = 0; world < WORLDS; world++)
	{
		double		margin = world == AT_MARGIN ? metric->margin : 0;
		double		truth = world == HARM ? *lift : sign * margin;

		if (world == AT_MARGIN && margin == 0)
			continue;
		for (int i = 0; i < runs; i++)
		{
			Outcome		outcome[RULES];

			run_rules(data, kind, margin, rng, truth, mask, outcome);
			for (int rule = 0; rule < RULES; rule++)
				count(&tally[world][rule], &outcome[rule]);
		}
	}
	data_free(data);
}

/* Quantiles and events one by one take longer. */
static int
runs_of(Kind kind, int runs)
{
	return kind == LATENCY_P95 || kind == CRASH_EVENTS ? runs / 4 : runs;
}

static int
compare_numbers(const void *a, const void *b)
{
	double		x = *(const double *) a,
				y = *(const double *) b;

	return (x > y) - (x < y);
}

/*
 * Harms that a published rule would find if its bound were stretched or shrunk so that
 * its false BLOCKs, without an effect or at the margin, are as many as it promises.
 */
static double
found_at_level(const Tally *none, const Tally *margin, const Tally *harm)
{
	int			runs = (int) harm->runs;
	double		factor = 0,
				found = 0;

	for (int w = 0; w < 2; w++)
	{
		const Tally *t = w == 0 ? none : margin;

		if (t->runs == 0)
			continue;
		qsort(t->reach, (size_t) t->runs, sizeof(double), compare_numbers);
		factor = fmax(factor, t->reach[(int) (t->runs * (1 - ALPHA))]);
	}
	for (int i = 0; i < runs; i++)
		found += harm->reach[i] > factor;
	return found / runs;
}

static void
table_row(int rule, Tally tally[WORLDS][RULES])
{
	const Tally *n = &tally[NO_EFFECT][rule],
			   *m = &tally[AT_MARGIN][rule],
			   *h = &tally[HARM][rule];

	printf("| %s | %.3f | %.3f |", rule_names[rule], n->blocked / n->runs, m->blocked / m->runs);
	if (rule == POINT)
		printf(" | |");
	else
		printf(" %.3f | %.3f |", n->safe / n->runs, m->safe / m->runs);
	printf(" %.3f | %.2f |", h->blocked / h->runs, h->share / h->runs);
	if (rule >= OWN_RULES)
		printf(" %.3f |\n", found_at_level(n, m, h));
	else
		printf(" |\n");
}

static void
table_metric(Kind kind, double share, int runs, gsl_rng *rng)
{
	const Metric *metric = &metrics[kind];
	Tally		tally[WORLDS][RULES];
	int			mask = share == 0.5 ? ALL_RULES : ONE_OF_EACH;
	double		lift;

	for (int world = 0; world < WORLDS; world++)
		for (int rule = 0; rule < RULES; rule++)
			tally[world][rule].reach = calloc((size_t) runs, sizeof(double));
	simulate(kind, share, runs, rng, mask, tally, &lift);
	printf("### %c%s, %g/%g\n\n", metric->name[0] - 'a' + 'A', metric->name + 1, 100 * (1 - share), 100 * share);
	printf("Plan of %.0f units, %d runs, standard error %.3f at 0.10 and %.3f at 0.5; margin %g %%, harm %.2g %%.\n\n",
		   metric->units, runs, standard_error(0.1, runs), standard_error(0.5, runs),
		   100 * metric->margin, 100 * fabs(lift));
	printf("| rule | false BLOCK | at the margin | false SAFE | at the margin | found | until BLOCK | found at 0.10 |\n"
		   "|---|---|---|---|---|---|---|---|\n");
	for (int rule = 0; rule < RULES; rule++)
		if (rule >= OWN_RULES || mask & (1 << rule))
			table_row(rule, tally);
	printf("\n");
	fflush(stdout);
	for (int world = 0; world < WORLDS; world++)
		for (int rule = 0; rule < RULES; rule++)
			free(tally[world][rule].reach);
}

/* Every table has random numbers of its own, so that one can be made alone. */
static void
tables(int runs, unsigned long seed, int only)
{
	gsl_rng    *rng = gsl_rng_alloc(gsl_rng_taus2);
	static const double shares[] = {0.5, 0.2, 0.05, 0.01};

	for (int kind = 0; kind < KINDS; kind++)
	{
		if (only >= 0 && kind != only)
			continue;
		gsl_rng_set(rng, 1000 * seed + (unsigned long) kind);
		if (kind == SCORE)
			table_brownian(rng, 50 * runs);
		for (int k = 0; k < 4 && kind != SCORE; k++)
			table_metric((Kind) kind, shares[k], runs_of((Kind) kind, runs), rng);
	}
	gsl_rng_free(rng);
}

/* ---- promises ------------------------------------------------------------- */

static int	passed;
static int	failed;

static void __attribute__((format(printf, 2, 3)))
expect(bool ok, const char *format,...)
{
	va_list		args;

	if (ok)
	{
		passed++;
		return;
	}
	failed++;
	va_start(args, format);
	printf("FAILED: ");
	vprintf(format, args);
	printf("\n");
	va_end(args);
}

/* The published rule that finds most harms. */
static int
best_rival(const Tally tally[RULES])
{
	int			best = OWN_RULES;

	for (int rule = OWN_RULES + 1; rule < RULES; rule++)
		if (tally[rule].blocked > tally[best].blocked)
			best = rule;
	return best;
}

static void
expect_level(const char *what, const char *rule, double false_ones, double runs)
{
	double		limit = ALPHA + 3.5 * standard_error(ALPHA, runs);

	expect(false_ones / runs <= limit, "%s, %s: %.4f of %.0f runs, %.4f allowed",
		   what, rule, false_ones / runs, runs, limit);
}

static void
check_brownian(gsl_rng *rng, int runs)
{
	static const double plans[] = {5000, 10000, 50000, 200000};

	for (int k = 0; k < 4; k++)
	{
		Tally		null[RULES],
					found[RULES];
		char		label[60];
		int			best;

		brownian(rng, plans[k], 0, runs, null);
		brownian(rng, plans[k], harm(), runs, found);
		snprintf(label, sizeof(label), "z process, plan of %.0f", plans[k]);
		for (int rule = 0; rule < POINT; rule++)
		{
			expect_level(label, rule_names[rule], null[rule].blocked, runs);
			expect_level(label, rule_names[rule], null[rule].safe, runs);
		}
		best = best_rival(found);
		printf("%s: power finds %.3f in %.3f of the plan, always_valid %.3f in %.3f, %s rule %.3f in %.3f\n",
			   label, found[GS_POWER].blocked / runs, found[GS_POWER].share / runs,
			   found[ALWAYS_VALID].blocked / runs, found[ALWAYS_VALID].share / runs,
			   rule_names[best], found[best].blocked / runs, found[best].share / runs);
		expect(found[GS_POWER].blocked >= 1.4 * found[best].blocked,
			   "%s: group_sequential finds %.3f times what %s rule finds", label,
			   found[GS_POWER].blocked / found[best].blocked, rule_names[best]);
		for (int rule = GS_POWER; rule <= GS_OBRIEN_FLEMING; rule++)
			expect(found[rule].share < found[best].share, "%s: %s needs more units than %s rule",
				   label, rule_names[rule], rule_names[best]);
		/* without a plan: the rule with the same tuning, and every rule in a test of that size */
		expect(found[ALWAYS_VALID].blocked >= found[GROWTHBOOK].blocked &&
			   found[ALWAYS_VALID].share <= found[GROWTHBOOK].share,
			   "%s: always_valid is behind %s rule", label, rule_names[GROWTHBOOK]);
		if (plans[k] <= 10000)
			expect(found[ALWAYS_VALID].blocked >= found[best].blocked &&
				   found[ALWAYS_VALID].share <= found[best].share,
				   "%s: always_valid is behind %s rule", label, rule_names[best]);
	}
}

static void
check_metric(gsl_rng *rng, Kind kind, double share, int runs, Tally all[RULES])
{
	Tally		tally[WORLDS][RULES] = {{{0}}};
	int			mask = share == 0.5 && (kind == SCORE || kind == PROPORTION) ? ALL_RULES : ONE_OF_EACH;
	char		label[100];
	double		lift;

	simulate(kind, share, runs, rng, mask, tally, &lift);
	snprintf(label, sizeof(label), "%s, %g/%g", metrics[kind].name, 100 * (1 - share), 100 * share);
	for (int rule = 0; rule < POINT; rule++)
		for (int world = NO_EFFECT; world <= AT_MARGIN; world++)
		{
			if (tally[world][rule].runs == 0 || (mask & (1 << rule)) == 0)
				continue;
			expect_level(label, rule_names[rule], tally[world][rule].blocked, runs);
			expect_level(label, rule_names[rule], tally[world][rule].safe, runs);
		}
	for (int rule = 0; all && rule < RULES; rule++)
	{
		const Tally *h = &tally[HARM][rule];

		all[rule].runs += h->runs;
		all[rule].blocked += h->blocked;
		all[rule].share += h->share;
	}
}

/*
 * Gross harm in a canary: ten times as many units carry the metric as 2 % of the
 * control's, 100 units of 10,000 are in.  It is found there in 9 of 10 runs, by
 * group_sequential with a plan of twice as many and by always_valid.
 */
static void
check_gross(gsl_rng *rng, bool flags, int runs)
{
	double		found[2] = {0};

	for (int i = 0; i < runs; i++)
	{
		GrSample	s[2];
		GrMonitor	m = {.kind = GR_ALWAYS_VALID,.n_star = 5000};
		GrTested	x = {GR_RELATIVE, &s[1], &s[0], {0, 10000, INFINITY, ALPHA}};
		GrSaid		e;

		for (int arm = 0; arm < 2; arm++)
		{
			GrMoments	moments;
			double		ones = 0;

			gr_moments_init(&moments, 1);
			for (int u = 0; u < (arm ? 100 : 9900); u++)
			{
				bool		carries = gsl_rng_uniform(rng) < (arm ? 0.2 : 0.02);
				double		value = !carries ? 0 : flags ? 1 : exp(gsl_ran_gaussian_ziggurat(rng, 0.5));

				ones += carries;
				(void) gr_moments_add(&moments, &value);
			}
			gr_sample_of_moments(&moments, false, 0, 0, ones, &s[arm]);
			s[arm].traffic = arm ? 1 : 99;
		}
		/* at half of the plan a test of level 0.10 may spend half of it */
		found[0] += gr_evidence(GR_RELATIVE, &s[1], &s[0], 0.1, 1, &e) == GR_OK && e.z >= gr_normal_isf(ALPHA / 2);
		found[1] += gr_test_p(&m, GR_TEST_BREACH, &x, 0.1, 1, NULL) <= ALPHA;
	}
	for (int k = 0; k < 2; k++)
		expect(found[k] >= 0.9 * runs, "gross harm of %s: found in %.0f of %d", flags ? "flags" : "values", found[k], runs);
}

static int
check_promises(void)
{
	gsl_rng    *rng = gsl_rng_alloc(gsl_rng_taus2);
	Tally		all[RULES];
	int			best;

	gsl_rng_set(rng, 20240607);
	memset(all, 0, sizeof(all));
	check_brownian(rng, 10000);
	check_metric(rng, SCORE, 0.5, 400, all);
	check_metric(rng, REVENUE, 0.5, 300, all);
	check_metric(rng, REVENUE_CAPPED, 0.5, 300, all);
	check_metric(rng, REVENUE_CAPPED, 0.1, 300, all);
	check_metric(rng, PROPORTION, 0.5, 400, all);
	check_metric(rng, PROPORTION, 0.1, 400, all);
	check_metric(rng, CRASH_UNITS, 0.5, 400, all);
	check_metric(rng, CRASH_UNITS, 0.1, 400, all);
	check_metric(rng, CRASH_EVENTS, 0.5, 40, all);
	check_metric(rng, LATENCY, 0.5, 150, all);
	check_metric(rng, LATENCY, 0.1, 150, all);
	check_metric(rng, LATENCY_P95, 0.5, 40, all);
	/* uneven splits and rare events */
	for (int k = 0; k < 3; k++)
	{
		static const double shares[] = {0.2, 0.05, 0.01};

		check_metric(rng, ERROR_UNITS, shares[k], 150, NULL);
		check_metric(rng, TICKETS, shares[k], 100, NULL);
		check_metric(rng, REVENUE, shares[k], 100, NULL);
		check_metric(rng, HEAVY, shares[k], 100, NULL);
		check_metric(rng, PROPORTION, shares[k], 100, NULL);
	}
	check_metric(rng, LATENCY, 0.05, 60, NULL);
	check_metric(rng, CRASH_EVENTS, 0.05, 30, NULL);
	check_gross(rng, true, 500);
	check_gross(rng, false, 500);
	best = best_rival(all);
	printf("all metrics: power finds %.3f in %.3f of the plan, %s rule %.3f in %.3f\n",
		   all[GS_POWER].blocked / all[GS_POWER].runs, all[GS_POWER].share / all[GS_POWER].runs,
		   rule_names[best], all[best].blocked / all[best].runs, all[best].share / all[best].runs);
	expect(all[GS_POWER].blocked >= 1.4 * all[best].blocked,
		   "group_sequential finds %.3f times what %s rule finds",
		   all[GS_POWER].blocked / all[best].blocked, rule_names[best]);
	expect(all[GS_POWER].share < all[best].share, "group_sequential needs more units than %s rule",
		   rule_names[best]);
	gsl_rng_free(rng);
	printf("sim: %d passed, %d failed\n", passed, failed);
	return failed == 0 && passed > 0 ? 0 : 1;
}

int
main(int argc, char **argv)
{
	gr_stats_init();
	if (argc >= 2 && strcmp(argv[1], "check") == 0)
		return check_promises();
	if (argc < 2 || strcmp(argv[1], "table") != 0)
	{
		fprintf(stderr, "usage: %s table [runs [seed [metric]]] | check\n", argv[0]);
		return 2;
	}
	tables(argc > 2 ? atoi(argv[2]) : 2000, argc > 3 ? strtoul(argv[3], NULL, 10) : 1,
		   argc > 4 ? atoi(argv[4]) : -1);
	return 0;
}
