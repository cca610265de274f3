/*
 * test_response.c
 *	  Responses to a setting, and the best setting under limits.
 *
 * Expected numbers: numpy and scipy, from the formulas in response.h;
 * the lengths of paths by 200,000 chords, the optima over two million settings.
 */
#include "unit.h"
#include "stats/response.h"

static const GrSetting goal_arms[] = {
	{0, 10.1, 0.04, NAN}, {0.25, 11.9, 0.05, NAN}, {0.5, 12.6, 0.03, NAN},
	{0.75, 12.2, 0.06, NAN}, {1, 10.4, 0.04, NAN}
};

static const GrSetting harm_arms[] = {
	{0, 5.0, 0.004, NAN}, {0.25, 5.05, 0.005, NAN}, {0.5, 5.3, 0.006, NAN},
	{0.75, 5.6, 0.005, NAN}, {1, 6.3, 0.004, NAN}
};

static GrGoal
the_goal(void)
{
	GrGoal		goal = {.sign = 1, .alpha = 0.05};

	CHECK(gr_response_fit(goal_arms, 5, &goal.response) == GR_OK);
	return goal;
}

static GrConstraint
limit(double factor, double offset, bool fitted, double value, double variance)
{
	GrConstraint c = {.sign = 1, .factor = factor, .offset = offset, .reference_fitted = fitted, .level = 0.1};

	CHECK(gr_response_fit(harm_arms, 5, &c.response) == GR_OK);
	c.reference.value = value;
	c.reference.variance = variance;
	gr_constraint_prepare(&c);
	return c;
}

static void
test_fit(void)
{
	static const double beta[] = {12.615714285714278, 0.1725396825396821, -2.362222222222214};
	static const double cov[3][3] = {
		{0.018857142857142843, 0.00038095238095237955, -0.021333333333333315},
		{0.0003809523809523795, 0.01691005291005291, -0.00029629629629629423},
		{-0.021333333333333315, -0.00029629629629629423, 0.04325925925925923}
	};
	GrGoal		goal = the_goal();
	double		se;

	for (int i = 0; i < 3; i++)
	{
		CHECK_CLOSE("beta", goal.response.beta[i], beta[i], 1e-11, 0);
		for (int k = 0; k < 3; k++)
			CHECK_CLOSE("cov", goal.response.cov[i][k], cov[i][k], 1e-11, 1e-15);
	}
	CHECK_CLOSE("chi-square", goal.response.chisq, 0.19523809523809277, 1e-9, 0);
	CHECK_CLOSE("p", goal.response.p_fit, 0.9069943596094324, 1e-9, 0);
	CHECK_CLOSE("value", gr_response_at(&goal.response, 0.3, &se), 12.16874285714285, 1e-12, 0);
	CHECK_CLOSE("se", se, 0.12480659323243186, 1e-11, 0);
}

/* Settings far from zero and from one are the same response. */
static void
test_scale(void)
{
	GrSetting	arms[5];
	GrGoal		goal = the_goal();
	GrOptimum	best;

	for (int i = 0; i < 5; i++)
	{
		arms[i] = goal_arms[i];
		arms[i].setting = 1e6 + 1e-3 * goal_arms[i].setting;
	}
	CHECK(gr_response_fit(arms, 5, &goal.response) == GR_OK);
	gr_optimize(&goal, NULL, 0, &best);
	CHECK(best.status == GR_SETTING_FOUND);
	CHECK_CLOSE("setting", (best.setting - 1e6) * 1e3, 0.518260314473861, 0, 2e-5);
}

static void
test_no_fit(void)
{
	GrSetting	arms[5];
	GrResponse	r;

	memcpy(arms, goal_arms, sizeof(arms));
	CHECK(gr_response_fit(arms, 2, &r) == GR_UNDEFINED);
	arms[1].setting = arms[2].setting = 0;
	CHECK(gr_response_fit(arms, 3, &r) == GR_UNDEFINED);
	memcpy(arms, goal_arms, sizeof(arms));
	arms[2].variance = 0;
	CHECK(gr_response_fit(arms, 5, &r) == GR_UNDEFINED);
	arms[2].variance = NAN;
	CHECK(gr_response_fit(arms, 5, &r) == GR_UNDEFINED);
	arms[2] = goal_arms[2];
	arms[2].value = INFINITY;
	CHECK(gr_response_fit(arms, 5, &r) == GR_UNDEFINED);
	CHECK(gr_response_fit(goal_arms, 3, &r) == GR_OK && r.df == 0 && isnan(r.p_fit));
}

/* The multipliers of the tube. */
static void
test_multipliers(void)
{
	GrGoal		goal = the_goal();
	GrConstraint c = {.response = goal.response, .sign = 1, .level = 0.1};

	gr_constraint_prepare(&c);
	CHECK_CLOSE("value", c.multiplier, 1.9841598574536052, 1e-6, 0);
	c.level = 0.025;
	gr_constraint_prepare(&c);
	CHECK_CLOSE("value", c.multiplier, 2.573102145580712, 1e-6, 0);
	c.factor = 1.05;
	c.reference_fitted = true;
	gr_constraint_prepare(&c);
	CHECK_CLOSE("relative", c.multiplier, 2.391731831692473, 1e-6, 0);
	/* the direction jumps at the reference itself, and two steps of the grid beside it are not measured */
	c.factor = 1;
	c.reference.setting = 0.5;
	gr_constraint_prepare(&c);
	CHECK_CLOSE("difference", c.multiplier, 2.699157516912073, 1e-3, 0);
	c.factor = 1.1;
	c.reference_fitted = false;
	c.reference.value = 1;
	c.reference.variance = 0.05;
	gr_constraint_prepare(&c);
	CHECK_CLOSE("outside", c.multiplier, 2.383533655719895, 1e-6, 0);
	/* the reference is the first point of the grid */
	CHECK_CLOSE("difference", limit(1, 0.5, true, 0, 0).multiplier, 1.6629637873816532, 1e-3, 0);
	CHECK_CLOSE("relative", limit(1.08, 0, true, 0, 0).multiplier, 1.7735951170059014, 1e-6, 0);
	CHECK_CLOSE("outside", limit(1.08, 0, false, 5.1, 0.003).multiplier, 1.831769774656271, 1e-6, 0);
}

/* A band of half widths: the sum of |weights| times 2.5 standard errors. */
static void
test_half_widths(void)
{
	GrSetting	arms[5];
	GrConstraint c = {.sign = 1, .level = 0.1};
	GrMargin	m;

	for (int i = 0; i < 5; i++)
	{
		arms[i] = goal_arms[i];
		arms[i].half_width = 2.5 * sqrt(arms[i].variance);
	}
	CHECK(gr_response_fit(arms, 5, &c.response) == GR_OK);
	gr_constraint_prepare(&c);
	CHECK(isnan(c.multiplier));
	m = gr_constraint_at(&c, 0.3);
	CHECK_CLOSE("upper", m.upper - m.estimate, 0.6352163294478412, 1e-10, 0);
	CHECK_CLOSE("lower", m.estimate - m.lower, 0.6352163294478412, 1e-10, 0);
	for (int i = 0; i < 5; i++)
		arms[i].half_width = INFINITY;
	m = gr_constraint_at(&c, 0.3);
	CHECK(m.upper == INFINITY && m.lower == -INFINITY);
}

static void
check_optimum(const char *label, GrConstraint c, double setting, double value)
{
	GrGoal		goal = the_goal();
	GrOptimum	best;

	gr_optimize(&goal, &c, 1, &best);
	CHECK_IN(label, best.status == GR_SETTING_FOUND);
	CHECK_CLOSE(label, best.setting, setting, 0, 3e-6);
	CHECK_CLOSE(label, best.value, value, 1e-8, 0);
	CHECK_IN(label, best.binding == 0);
	CHECK_IN(label, gr_constraint_at(&c, best.setting).upper <= 0);
}

static void
test_optimum(void)
{
	GrGoal		goal = the_goal();
	GrOptimum	best;

	gr_optimize(&goal, NULL, 0, &best);
	CHECK(best.status == GR_SETTING_FOUND && best.binding == -1);
	CHECK_CLOSE("free", best.setting, 0.518260314473861, 0, 1e-7);
	CHECK_CLOSE("free", best.value, 12.618864914576672, 1e-12, 0);
	CHECK_CLOSE("free", best.lower, 12.265583867809385, 1e-6, 0);
	CHECK_CLOSE("free", best.upper, 12.97214596134331, 1e-6, 0);
	/* on a grid of a thousand */
	CHECK_CLOSE("near", best.near_lower, 0.4504775, 0, 1e-3);
	CHECK_CLOSE("near", best.near_upper, 0.589267, 0, 1e-3);
	check_optimum("absolute", limit(0, 5.6, false, 0, 0), 0.518260314473861, 12.618864914576672);
	check_optimum("difference", limit(1, 0.5, true, 0, 0), 0.518260314473861, 12.618864914576672);
	check_optimum("relative", limit(1.08, 0, true, 0, 0), 0.5029705, 12.616655968198684);
	check_optimum("outside", limit(1.08, 0, false, 5.1, 0.003), 0.518260314473861, 12.618864914576672);
}

/* Smallest instead of largest, lower is worse: mirrored data, the same answer. */
static void
test_mirror(void)
{
	GrSetting	goal_mirror[5],
				harm_mirror[5];
	GrGoal		goal = {.sign = -1, .alpha = 0.05};
	GrConstraint c = {.sign = -1, .factor = 1, .offset = -0.3, .reference_fitted = true, .level = 0.1};
	GrConstraint same = limit(1, 0.3, true, 0, 0);
	GrGoal		same_goal = the_goal();
	GrOptimum	best,
				same_best;

	for (int i = 0; i < 5; i++)
	{
		goal_mirror[i] = goal_arms[i];
		goal_mirror[i].value = -goal_arms[i].value;
		harm_mirror[i] = harm_arms[i];
		harm_mirror[i].value = -harm_arms[i].value;
	}
	CHECK(gr_response_fit(goal_mirror, 5, &goal.response) == GR_OK);
	CHECK(gr_response_fit(harm_mirror, 5, &c.response) == GR_OK);
	gr_constraint_prepare(&c);
	gr_optimize(&goal, &c, 1, &best);
	gr_optimize(&same_goal, &same, 1, &same_best);
	CHECK(best.status == GR_SETTING_FOUND && same_best.status == GR_SETTING_FOUND);
	CHECK_CLOSE("setting", best.setting, same_best.setting, 1e-9, 0);
	CHECK_CLOSE("value", best.value, -same_best.value, 1e-9, 0);
}

/* What the data cannot tell is said. */
static void
test_silence(void)
{
	GrSetting	flat[] = {{0, 10, 0.04, NAN}, {1, 10.1, 0.04, NAN}, {2, 10.05, 0.04, NAN}, {3, 10, 0.04, NAN}};
	GrSetting	kink[] = {{0, 10, 0.001, NAN}, {1, 10, 0.001, NAN}, {2, 11, 0.001, NAN}, {3, 10, 0.001, NAN}, {4, 10, 0.001, NAN}};
	GrGoal		goal = the_goal();
	GrConstraint never = limit(0, 4.9, false, 0, 0);
	GrConstraint barely = limit(0, 5.0, false, 0, 0);
	GrOptimum	best;

	gr_optimize(&goal, &never, 1, &best);
	CHECK(best.status == GR_SETTING_NONE_SAFE && isnan(best.setting) && best.binding == 0);
	/* 5.0 at setting 0 by the estimate: neither proven nor disproven there */
	gr_optimize(&goal, &barely, 1, &best);
	CHECK(best.status == GR_SETTING_NONE_SAFE && best.nnext == 1);
	CHECK(best.next[0] >= 0 && best.next[0] < 0.3);
	CHECK(gr_response_fit(flat, 4, &goal.response) == GR_OK);
	gr_optimize(&goal, NULL, 0, &best);
	CHECK(best.status == GR_SETTING_FLAT && isnan(best.setting) && isnan(best.value));
	CHECK(best.nnext >= 1);
	CHECK(gr_response_fit(kink, 5, &goal.response) == GR_OK);
	gr_optimize(&goal, NULL, 0, &best);
	CHECK(best.status == GR_SETTING_NO_FIT && best.misfit == -1 && isnan(best.setting));
	CHECK(best.nnext == 2 && best.next[0] == 1.5 && best.next[1] == 2.5);
	goal = the_goal();
	never = limit(0, 100, false, 0, 0);
	CHECK(gr_response_fit(kink, 5, &never.response) == GR_OK);
	gr_optimize(&goal, &never, 1, &best);
	CHECK(best.status == GR_SETTING_NO_FIT && best.misfit == 0);
}

/* ---- simulation -------------------------------------------------------------- */

#define SIM_ARMS 6
#define SIM_RUNS 800
#define SIM_ALPHA 0.1

/* A known surface: what is gained and two harms with their limits, by setting. */
typedef struct Surface
{
	double		gain[3];
	double		harm[2][3];		/* f(s) - limit <= 0 */
	double		sd;				/* of each arm's value */
	double		best;			/* the true constrained optimum */
} Surface;

static double
quadratic(const double *c, double s)
{
	return c[0] + s * (c[1] + s * c[2]);
}

/* Each limit is reached somewhere in [0, 1]; the optimum by hand. */
static const Surface surfaces[] = {
	/* gain grows; the harms cross zero at 0.6 and 0.8 */
	{{0, 1, 0}, {{-0.6, 1, 0}, {-0.8, 1, 0}}, 0.05, 0.6},
	/* the gain's top at 0.7 lies beyond the limit, s^2 = 0.25 */
	{{0, 1.4, -1}, {{-0.25, 0, 1}, {-1, 0, 0}}, 0.03, 0.5},
	/* safe between 0.2 and 0.7 only: (s - 0.2)(s - 0.7); gain falls */
	{{0, -1, 0}, {{0.14, -0.9, 1}, {-0.5, 0, 0}}, 0.004, 0.2},
	/* the limit is not reached: the top at 0.4 */
	{{0, 0.8, -1}, {{-1, 0.5, 0}, {-1, 0, 0.2}}, 0.02, 0.4},
	/* a trifle beyond its limit everywhere: nothing must be returned */
	{{0, 1, 0}, {{1e-9, 0, 0}, {-1, 0, 0}}, 0.05, NAN}
};

static void
draw(Random *rng, const double *c, double sd, double multiplier, GrSetting *arms)
{
	for (int i = 0; i < SIM_ARMS; i++)
	{
		double		s = (double) i / (SIM_ARMS - 1);

		arms[i] = (GrSetting) {s, quadratic(c, s) + sd * random_normal(rng), sd * sd, multiplier * sd};
	}
}

static void
search(GrSetting arms[3][SIM_ARMS], GrOptimum *out)
{
	GrGoal		goal = {.sign = 1, .alpha = 0.05};
	GrConstraint c[2];

	memset(c, 0, sizeof(c));
	CHECK(gr_response_fit(arms[0], SIM_ARMS, &goal.response) == GR_OK);
	for (int k = 0; k < 2; k++)
	{
		c[k].sign = 1;
		c[k].level = SIM_ALPHA / 2;
		CHECK(gr_response_fit(arms[k + 1], SIM_ARMS, &c[k].response) == GR_OK);
		gr_constraint_prepare(&c[k]);
	}
	gr_optimize(&goal, c, 2, out);
}

static bool
is_violated(const Surface *surface, double setting)
{
	return quadratic(surface->harm[0], setting) > 1e-12 || quadratic(surface->harm[1], setting) > 1e-12;
}

/*
 * The limits hold at the setting returned but with probability alpha: the share of
 * runs that break one is a binomial, so above alpha by 3.5 standard errors with
 * probability 2e-4.
 */
static void
simulate_once(const Surface *surface, Random *rng)
{
	GrSetting	arms[3][SIM_ARMS];
	GrOptimum	best;
	int			broken = 0,
				found = 0;

	for (int run = 0; run < SIM_RUNS; run++)
	{
		draw(rng, surface->gain, surface->sd, NAN, arms[0]);
		draw(rng, surface->harm[0], surface->sd, NAN, arms[1]);
		draw(rng, surface->harm[1], surface->sd, NAN, arms[2]);
		search(arms, &best);
		found += best.status == GR_SETTING_FOUND;
		broken += best.status == GR_SETTING_FOUND && is_violated(surface, best.setting);
	}
	unit_check((double) broken / SIM_RUNS <= SIM_ALPHA + 3.5 * sqrt(SIM_ALPHA * (1 - SIM_ALPHA) / SIM_RUNS),
			   __FILE__, __LINE__, "surface %d: limits broken in %d of %d runs",
			   (int) (surface - surfaces), broken, SIM_RUNS);
	/* a found setting is the rule where there is one, else a breach itself */
	if (isnan(surface->best))
		CHECK(found == broken);
	else
		unit_check(found > 0.8 * SIM_RUNS, __FILE__, __LINE__, "surface %d: found in %d of %d runs",
				   (int) (surface - surfaces), found, SIM_RUNS);
}

/*
 * With noise a thousandth the optimum is found: a limit's crossing moves by no
 * more than its band over the least slope there (0.5), six standard errors wide;
 * the top of a parabola with curvature 2 by as much as its slope's noise.
 */
static void
simulate_exact(const Surface *surface, Random *rng)
{
	GrSetting	arms[3][SIM_ARMS];
	GrOptimum	best;
	double		sd = surface->sd / 1000;

	draw(rng, surface->gain, sd, NAN, arms[0]);
	draw(rng, surface->harm[0], sd, NAN, arms[1]);
	draw(rng, surface->harm[1], sd, NAN, arms[2]);
	search(arms, &best);
	CHECK(best.status == GR_SETTING_FOUND);
	CHECK_CLOSE("optimum", best.setting, surface->best, 0, 12 * sd);
}

/*
 * Looked at twenty times with the bounds of an always-valid design: the limits
 * hold at every setting ever returned.
 */
static void
simulate_looks(const Surface *surface, Random *rng)
{
	enum
	{
		runs = 300, looks = 20, units = 500
	};
	int			broken = 0;

	for (int run = 0; run < runs; run++)
	{
		double		sum[3][SIM_ARMS] = {{0}};
		bool		breach = false;

		for (int look = 1; look <= looks; look++)
		{
			GrSetting	arms[3][SIM_ARMS];
			const double *form[3] = {surface->gain, surface->harm[0], surface->harm[1]};
			double		n = look * units;
			GrOptimum	best;

			for (int k = 0; k < 3; k++)
			{
				double		level = (k ? SIM_ALPHA / 2 : 0.05) / SIM_ARMS;
				double		crit = gr_mixture_multiplier(n, gr_mixture_rho(5000, level, 2), level, 2);

				for (int i = 0; i < SIM_ARMS; i++)
				{
					double		s = (double) i / (SIM_ARMS - 1);
					double		sd = surface->sd * sqrt(5000.0);

					sum[k][i] += units * quadratic(form[k], s) + sqrt(units) * sd * random_normal(rng);
					arms[k][i] = (GrSetting) {s, sum[k][i] / n, sd * sd / n, crit * sd / sqrt(n)};
				}
			}
			search(arms, &best);
			breach = breach || (best.status == GR_SETTING_FOUND && is_violated(surface, best.setting));
		}
		broken += breach;
	}
	unit_check((double) broken / runs <= SIM_ALPHA + 3.5 * sqrt(SIM_ALPHA * (1 - SIM_ALPHA) / runs),
			   __FILE__, __LINE__, "surface %d: limits broken in %d of %d runs with looks",
			   (int) (surface - surfaces), broken, runs);
}

static void
test_simulation(void)
{
	Random		rng = 20260101;

	for (int i = 0; i < (int) (sizeof(surfaces) / sizeof(surfaces[0])); i++)
	{
		simulate_once(&surfaces[i], &rng);
		if (!isnan(surfaces[i].best))
			simulate_exact(&surfaces[i], &rng);
	}
	simulate_looks(&surfaces[0], &rng);
	simulate_looks(&surfaces[4], &rng);
}

/* Any doubles: no crash, and what is returned is in order. */
static void
test_total(void)
{
	Random		rng = 7;

	for (int run = 0; run < 300; run++)
	{
		GrSetting	arms[4];
		GrGoal		goal = {.sign = 1, .alpha = 0.05};
		GrConstraint c = {.sign = 1, .factor = random_double(&rng), .offset = random_double(&rng), .level = 0.1};
		GrOptimum	best;

		for (int i = 0; i < 4; i++)
			arms[i] = (GrSetting) {random_double(&rng), random_double(&rng), fabs(random_double(&rng)), NAN};
		if (gr_response_fit(arms, 4, &goal.response) != GR_OK)
			continue;
		c.response = goal.response;
		gr_constraint_prepare(&c);
		gr_optimize(&goal, &c, 1, &best);
		CHECK(best.status != GR_SETTING_FOUND || gr_constraint_at(&c, best.setting).upper <= 0);
	}
	CHECK(true);
}

int
main(void)
{
	gr_stats_init();
	test_fit();
	test_scale();
	test_no_fit();
	test_multipliers();
	test_half_widths();
	test_optimum();
	test_mirror();
	test_silence();
	test_simulation();
	test_total();
	return unit_report();
}
