/*
 * test_decide.c
 *	  The decision layer by example: monitors, statuses, verdicts.
 */
#include "test_decide.h"

static const GrSpending spendings[] = {GR_SPENDING_POWER, GR_SPENDING_POCOCK, GR_SPENDING_OBRIEN_FLEMING};

/* A plan with n recorded looks that decided nothing. */
static void
sequential_plan(Plan *plan, int nlooks, const double *fraction, double now)
{
	plan_init(plan, GR_GROUP_SEQUENTIAL);
	plan->test.planned_units = 1000000;
	plan->test.total_units = plan->test.mature_units = (int64_t) (now * 1e6 + 0.5);
	plan->nlooks = nlooks;
	if (nlooks > 0)
		memcpy(plan->fraction, fraction, sizeof(double) * nlooks);
}

/* ---- monitors ------------------------------------------------------------- */

static void
check_consistent(const char *label, GrMonitor *m, GrTestKind kind, double level,
				 double z, const GrOccasion *at)
{
	double		c = gr_monitor_multiplier(m, kind, level, at);
	double		p = gr_monitor_p(m, kind, z, at);

	unit_check((p <= level) == (z >= c), __FILE__, __LINE__,
			   "%s: kind %d, level %g, multiplier %.17g, z %.17g, p %.17g", label, kind, level, c, z, p);
}

/* p <= level exactly where z reaches the multiplier, for z on, near and far. */
static void
check_levels(const char *label, GrMonitor *m, const double *level, int n,
			 const GrOccasion *at, double slack, Random *rng)
{
	for (int kind = 0; kind < GR_TEST_KINDS; kind++)
	{
		gr_monitor_p_levels(m, (GrTestKind) kind);
		for (int i = 0; i < n; i++)
			CHECK(gr_monitor_level(m, (GrTestKind) kind, level[i]));
		for (int i = 0; i < n; i++)
		{
			double		c = gr_monitor_multiplier(m, (GrTestKind) kind, level[i], at);
			double		z[] = {c * (1 - slack), c * (1 + slack), c * 0.9, c * 1.1, 0, 1e-3, 40, 1e6,
			5 * random_normal(rng), random_normal(rng), 3 * random_uniform(rng)};

			for (int j = 0; j < (int) (sizeof(z) / sizeof(z[0])); j++)
				if (isfinite(z[j]) && (kind != GR_TEST_GOAL || z[j] >= 0))
					check_consistent(label, m, (GrTestKind) kind, level[i], z[j], at);
			if (slack == 0 && isfinite(c))
				check_consistent(label, m, (GrTestKind) kind, level[i], c, at);
		}
	}
}

static void
test_consistency(void)
{
	static Plan plan;
	static Check check;
	GrMonitor  *m = &check.monitor;
	Random		rng = 5;

	for (int i = 0; i < 60; i++)
	{
		double		fraction[12];
		double		level[8];
		double		now = 0;
		int			nlooks = random_below(&rng, 6);

		for (int k = 0; k <= nlooks; k++)
			fraction[k] = now = fmin(1, now + LEAST_STEP + (random_below(&rng, 2) ? 0.3 : 0.003) * random_uniform(&rng));
		if (nlooks > 0 && now <= fraction[nlooks - 1])
			continue;
		for (int k = 0; k < 8; k++)
			level[k] = random_below(&rng, 3) ? 0.1 / (k + 1) : 0.5 * random_uniform(&rng);
		sequential_plan(&plan, nlooks, fraction, now);
		plan.spending = spendings[i % 3];
		plan.narms = 3;			/* room for the levels */
		plan.nrules = 5;
		monitor_init(&plan, m, true);
		m->now = now;
		m->is_look = true;
		check_levels("group_sequential", m, level, 8,
					 &(GrOccasion) {.look = random_below(&rng, nlooks + 1)}, 0, &rng);

		plan_init(&plan, GR_ALWAYS_VALID);
		plan.test.planned_units = i % 2 ? 20000 : 0;
		monitor_init(&plan, m, true);
		check_levels("always_valid", m, level, 8,
					 &(GrOccasion) {.n = floor(exp(14 * random_uniform(&rng))) + 1,.alpha = 0.1}, 1e-9, &rng);

		plan_init(&plan, GR_FIXED);
		monitor_init(&plan, m, true);
		check_levels("fixed", m, level, 8,
					 &(GrOccasion) {.df = exp(12 * random_uniform(&rng))}, 1e-9, &rng);
	}
}

/* One look at the end of the plan is the fixed z-test. */
static void
test_single_look(void)
{
	static Plan plan;
	static Check check;
	GrMonitor  *m = &check.monitor;
	GrOccasion	at = {.look = 0};
	const double level[] = {0.4, 0.1, 0.05, 0.025, 0.01, 1e-4};

	for (int s = 0; s < 3; s++)
	{
		sequential_plan(&plan, 0, NULL, 1);
		plan.spending = spendings[s];
		plan.narms = plan.nrules = 3;
		monitor_init(&plan, m, true);
		CHECK(m->is_look && m->now == 1);
		for (int k = 0; k < 6; k++)
			for (int kind = 0; kind < GR_TEST_KINDS; kind++)
			{
				int			sides = kind == GR_TEST_GOAL ? 2 : 1;

				CHECK(gr_monitor_level(m, (GrTestKind) kind, level[k]));
				CHECK_CLOSE("one look", gr_monitor_multiplier(m, (GrTestKind) kind, level[k], &at),
							gr_normal_isf(level[k] / sides), 1e-9, 0);
			}
		/* and read between levels */
		for (double z = 0.3; z < 5; z += 0.1)
		{
			CHECK_CLOSE("one look", gr_monitor_p(m, GR_TEST_BREACH, z, &at), gr_normal_sf(z), 1e-9, 0);
			CHECK_CLOSE("one look", gr_monitor_p(m, GR_TEST_GOAL, -z, &at), 2 * gr_normal_sf(z), 1e-9, 0);
		}
	}
}

/* Published bounds through the monitor: O'Brien-Fleming, one-sided 0.10, five looks. */
static void
test_published(void)
{
	static Plan plan;
	static Check check;
	GrMonitor  *m = &check.monitor;
	const double fraction[] = {0.2, 0.4, 0.6, 0.8};
	const double bound[] = {3.4972, 2.3566, 1.8682, 1.5936, 1.4128};
	const double two_sided[] = {4.8769, 3.3570, 2.6803, 2.2898, 2.0310};

	sequential_plan(&plan, 4, fraction, 1);
	monitor_init(&plan, m, true);
	CHECK(gr_monitor_level(m, GR_TEST_SAFE, 0.10));
	CHECK(gr_monitor_level(m, GR_TEST_GOAL, 0.05));
	for (int k = 0; k < 5; k++)
	{
		GrOccasion	at = {.look = k};

		CHECK_CLOSE("safety", gr_monitor_multiplier(m, GR_TEST_SAFE, 0.10, &at), bound[k], 0, 5e-5);
		CHECK_CLOSE("goal", gr_monitor_multiplier(m, GR_TEST_GOAL, 0.05, &at), two_sided[k], 0, 5e-5);
	}
	/* a level that nobody announced decides nothing; nor does what is no look */
	CHECK(isinf(gr_monitor_multiplier(m, GR_TEST_SAFE, 0.05, &(GrOccasion) {.look = 4})));
	CHECK(isinf(gr_monitor_multiplier(m, GR_TEST_SAFE, 0.10, &(GrOccasion) {.look = -1})));
	CHECK(gr_monitor_p(m, GR_TEST_SAFE, 100, &(GrOccasion) {.look = -1}) == 1);
}

/* ---- statuses ------------------------------------------------------------- */

/* One arm, one rule, under fixed at the end: z of harm against the limit. */
static const GrResult *
decide_one(Plan *plan, Check *check, GrRule rule, double z)
{
	double		limit = gr_signed_limit(&rule);
	double		lift = rule.limit_kind == GR_LIMIT_RELATIVE ? 1 + limit : 1;
	double		shift = rule.limit_kind == GR_LIMIT_RELATIVE ? 0 : limit;
	double		control = rule.limit_kind == GR_LIMIT_ABSOLUTE ? 0 : 10;
	double		noise = rule.limit_kind == GR_LIMIT_ABSOLUTE ? 0 : 0.01;

	memset(check, 0, sizeof(*check));
	check->control = (GrArm) {.name = "control",.units = 1000,.events = 1000};
	check->arms[0] = (GrArm) {.name = "treatment",.units = 1000,.events = 1000};
	check->results[0].control = (GrEstimate) {control, noise, INFINITY};
	check->results[0].treatment = (GrEstimate)
	{
		lift * control + shift + (rule.worse_is_higher ? z : -z) * sqrt(0.01 + lift * lift * noise), 0.01, INFINITY
	};
	plan->rules[0] = rule;
	evaluate(plan, check);
	return &check->results[0];
}

static void
test_statuses(void)
{
	static Plan plan;
	static Check check;
	const GrLimitKind kinds[] = {GR_LIMIT_ABSOLUTE, GR_LIMIT_DIFFERENCE, GR_LIMIT_RELATIVE, GR_LIMIT_SIGNIFICANCE};

	plan_init(&plan, GR_FIXED);
	for (int k = 0; k < 4; k++)
		for (int higher = 0; higher < 2; higher++)
		{
			GrRule		rule = guardrail_rule("m", kinds[k], 0.2, higher);
			GrRule		goal = primary_rule("m", kinds[k], 0.1, higher);
			const GrResult *r;

			/* 1.2816 is the bound at 0.10 one-sided */
			CHECK(decide_one(&plan, &check, rule, 1.29)->status == GR_BREACHED);
			CHECK(decide_one(&plan, &check, rule, 1.27)->status == GR_UNDECIDED);
			CHECK(decide_one(&plan, &check, rule, -1.27)->status == GR_UNDECIDED);
			CHECK(decide_one(&plan, &check, rule, -1.29)->status == GR_IS_SAFE);
			r = decide_one(&plan, &check, rule, 1.5);
			CHECK_CLOSE("p", r->p_breach, gr_normal_sf(1.5), 1e-9, 0);
			CHECK_CLOSE("p", r->p_safe, gr_normal_cdf(1.5), 1e-9, 0);

			/* a goal: better than its limit, two-sided 0.05 */
			CHECK(decide_one(&plan, &check, goal, -1.97)->status == GR_WON);
			CHECK(decide_one(&plan, &check, goal, -1.95)->status != GR_WON);
			r = decide_one(&plan, &check, goal, 30);
			CHECK(r->status == (kinds[k] == GR_LIMIT_ABSOLUTE ? GR_UNDECIDED : GR_LOST));

			/* the estimate alone, and without an error rate */
			rule.evidence = GR_POINT;
			CHECK(decide_one(&plan, &check, rule, 0.01)->status == GR_BREACHED);
			CHECK(decide_one(&plan, &check, rule, -0.01)->status == GR_IS_SAFE);
			CHECK(isnan(check.results[0].p_breach) && isnan(check.results[0].p_safe));
		}
}

/* Where too little is known, nothing is decided, and no bound says otherwise. */
static void
test_too_little(void)
{
	static Plan plan;
	static Check check;
	const GrMonitoring designs[] = {GR_FIXED, GR_ALWAYS_VALID, GR_GROUP_SEQUENTIAL};
	GrRule		rule = guardrail_rule("m", GR_LIMIT_DIFFERENCE, 0, true);

	for (int d = 0; d < 3; d++)
	{
		plan_init(&plan, designs[d]);
		plan.test.planned_units = 2000;
		CHECK(decide_one(&plan, &check, rule, 50)->status == GR_BREACHED);
		plan.test.min_units = 5000;
		CHECK(decide_one(&plan, &check, rule, 50)->status == GR_UNDECIDED);
		CHECK(isinf(check.results[0].lower) && isnan(check.results[0].p_breach));
		plan.test.min_units = 100;
		plan.test.over = false;
		if (designs[d] != GR_FIXED)
			continue;
		/* before its end a fixed test shows bounds and decides nothing */
		CHECK(decide_one(&plan, &check, rule, 50)->status == GR_UNDECIDED);
		CHECK(check.results[0].lower > 0 && isnan(check.results[0].p_breach));
	}
}

/* 1000 units of 0 and one of a value. */
static GrSample
one_heavy_unit(double value)
{
	GrMoments	m;
	GrSample	s;
	double		x = 0;

	gr_moments_init(&m, 1);
	for (int i = 0; i < 999; i++)
		CHECK(gr_moments_add(&m, &x));
	CHECK(gr_moments_add(&m, &value));
	gr_sample_of_moments(&m, false, 0, 0, 1, &s);
	return s;
}

/*
 * One unit carries the metric: no claim that it is safe, nor that a goal is reached, now
 * or ever after; harm is heard all the same.
 */
static void
test_heavy_unit(void)
{
	static Plan plan;
	static Check check;
	GrSample	heavy = one_heavy_unit(1000),
				light = one_heavy_unit(0.001);

	for (int harm = 0; harm < 2; harm++)
	{
		GrResult   *r = &check.results[0];

		plan_init(&plan, GR_ALWAYS_VALID);
		(void) decide_one(&plan, &check, guardrail_rule("m", GR_LIMIT_DIFFERENCE, 100, !harm), 0);
		r->treatment_sample = &heavy;
		r->control_sample = &light;
		r->treatment = heavy.estimate;
		r->control = light.estimate;
		evaluate(&plan, &check);
		CHECK(r->obstacle == GR_HEAVY_UNIT && r->heaviest > 0.99 && r->heaviest <= 1);
		CHECK(r->status == GR_UNMEASURED && isnan(r->p_safe) && !isnan(r->p_breach));
		CHECK(strstr(r->reason, "cap_quantile") != NULL);
		CHECK(isinf(harm ? r->lower : r->upper));
		CHECK(check.verdicts[0].verdict == GR_VERDICT_HOLD && check.verdicts[0].unmeasured == 1);
		CHECK(strcmp(check.verdicts[0].status, "UNMEASURED: m") == 0);
		record(&plan, &check);
		CHECK(!plan.past[0][GR_TEST_SAFE].known && plan.past[0][GR_TEST_BREACH].known);
		plan.rules[0] = primary_rule("m", GR_LIMIT_DIFFERENCE, 0, true);
		evaluate(&plan, &check);
		CHECK(r->status == GR_UNMEASURED && isnan(r->p_value));
	}
}

/* A waived guardrail keeps its status and no arm from SHIP; what was loosened keeps it. */
static void
test_waived(void)
{
	static Plan plan;
	static Check check;
	const GrResult *r;

	plan_init(&plan, GR_ALWAYS_VALID);
	r = decide_one(&plan, &check, guardrail_rule("m", GR_LIMIT_DIFFERENCE, 0.2, true), 10);
	CHECK(r->status == GR_BREACHED && check.verdicts[0].verdict == GR_VERDICT_BLOCK);
	check.results[0].waived = true;
	check.arms[0].waived = "m (anna)";
	gr_decide_verdict(check.results, 1, &check.arms[0], &check.control, &plan.test, &check.verdicts[0]);
	CHECK(check.verdicts[0].verdict == GR_VERDICT_HOLD && check.verdicts[0].breached == 1);
	CHECK(strcmp(check.verdicts[0].status, "OK; waived: m (anna)") == 0);
	CHECK(strstr(check.verdicts[0].reason, "waived: m (anna)") != NULL && strstr(check.verdicts[0].reason, "breached:") == NULL);
	check.results[0].waived = false;
	check.arms[0].waived = NULL;
	check.arms[0].held = "m";
	check.arms[0].loosened = "limit of m 1 -> 2 after 10 units";
	gr_decide_verdict(check.results, 1, &check.arms[0], &check.control, &plan.test, &check.verdicts[0]);
	CHECK(check.verdicts[0].verdict == GR_VERDICT_BLOCK && strcmp(check.verdicts[0].status, "BLOCK: m") == 0);
	CHECK(strstr(check.verdicts[0].reason, "limit of m 1 -> 2") != NULL);
}

/* What the check that people write by hand would block is watched, and does not ship. */
static void
test_watch(void)
{
	static Plan plan;
	static Check check;
	GrRule		margin = guardrail_rule("m", GR_LIMIT_DIFFERENCE, 0.2, true);
	GrRule		none = guardrail_rule("m", GR_LIMIT_SIGNIFICANCE, 0, true);
	const GrResult *r;

	plan_init(&plan, GR_ALWAYS_VALID);
	r = decide_one(&plan, &check, margin, 0.1);
	CHECK(r->status == GR_UNDECIDED && r->watch && isnan(r->watch_p));
	CHECK(strcmp(check.verdicts[0].status, "WATCH: m") == 0 && check.verdicts[0].watch == 1);
	CHECK(strstr(r->reason, "beyond the limit") != NULL);
	CHECK(!decide_one(&plan, &check, margin, -0.1)->watch);
	CHECK(strcmp(check.verdicts[0].status, "OK") == 0);
	/* without a margin one plain test, at z = 1.2816, and not every second harmless change */
	CHECK(!decide_one(&plan, &check, none, 1.27)->watch);
	r = decide_one(&plan, &check, none, 1.29);
	CHECK(r->watch && r->status == GR_UNDECIDED);
	CHECK_CLOSE("p", r->watch_p, gr_normal_sf(1.29), 1e-9, 0);
	/* a zero difference asked for is no margin */
	none.limit_kind = GR_LIMIT_DIFFERENCE;
	CHECK(!decide_one(&plan, &check, none, 1.27)->watch && decide_one(&plan, &check, none, 1.29)->watch);
}

/* A control below zero has no relative limit; one of zero has. */
static void
test_relative_to_nothing(void)
{
	static Plan plan;
	static Check check;
	GrResult   *r = &check.results[0];

	plan_init(&plan, GR_FIXED);
	(void) decide_one(&plan, &check, guardrail_rule("m", GR_LIMIT_RELATIVE, 0.1, true), 50);
	r->control.value = -1;
	evaluate(&plan, &check);
	CHECK(r->status == GR_UNMEASURED && strstr(r->reason, "difference") != NULL);
	r->control.value = 0;
	evaluate(&plan, &check);
	CHECK(r->status == GR_BREACHED && isnan(r->effect) && r->lower > 0.1);
	plan.rules[0].evidence = GR_POINT;
	evaluate(&plan, &check);
	CHECK(r->status == GR_BREACHED);
	r->control.value = -1;
	evaluate(&plan, &check);
	CHECK(r->status == GR_UNMEASURED);
}

/* BREACHED stays, with its bound, when the data go the other way or away. */
static void
test_latch(void)
{
	static Plan plan;
	static Check check;
	const GrMonitoring designs[] = {GR_ALWAYS_VALID, GR_GROUP_SEQUENTIAL};
	GrRule		rule = guardrail_rule("m", GR_LIMIT_DIFFERENCE, 0, true);

	for (int d = 0; d < 2; d++)
	{
		double		p;

		plan_init(&plan, designs[d]);
		plan.test.planned_units = 4000;
		p = decide_one(&plan, &check, rule, 6)->p_breach;
		CHECK(check.results[0].status == GR_BREACHED);
		record(&plan, &check);
		CHECK(decide_one(&plan, &check, rule, -6)->status == GR_BREACHED);
		CHECK(check.results[0].p_breach == p && check.results[0].lower > 0);
		record(&plan, &check);
		(void) decide_one(&plan, &check, rule, -6);
		check.results[0].treatment = (GrEstimate) {NAN, NAN, NAN};
		evaluate(&plan, &check);
		CHECK(check.results[0].status == GR_BREACHED);
		CHECK(check.results[0].p_breach == p && check.results[0].lower > 0);
		CHECK(check.verdicts[0].verdict == GR_VERDICT_BLOCK);
	}
}

/* A live call spends nothing; a check that brings little is no look. */
static void
test_looks(void)
{
	static Plan plan;
	static Check check;
	GrRule		rule = guardrail_rule("m", GR_LIMIT_DIFFERENCE, 0, true);
	double		lower;

	plan_init(&plan, GR_GROUP_SEQUENTIAL);
	plan.test.planned_units = 8000;
	lower = decide_one(&plan, &check, rule, 1)->lower;
	CHECK(isfinite(lower) && check.monitor.is_look);
	CHECK(decide_one(&plan, &check, rule, 1)->lower == lower);
	record(&plan, &check);
	CHECK(plan.nlooks == 1 && plan.fraction[0] == 0.25);
	/* the same units again: estimates move, the status does not */
	CHECK(decide_one(&plan, &check, rule, 50)->status == GR_UNDECIDED);
	CHECK(!check.monitor.is_look && check.results[0].lower == lower);
	record(&plan, &check);
	CHECK(plan.nlooks == 1);
	/* beyond the plan: what is left is spent, once */
	plan.test.planned_units = 1500;
	CHECK(decide_one(&plan, &check, rule, 1)->status == GR_UNDECIDED);
	CHECK(check.monitor.is_look && check.monitor.now == 1);
	record(&plan, &check);
	CHECK(decide_one(&plan, &check, rule, 50)->status == GR_UNDECIDED);
	CHECK(!check.monitor.is_look);
}

/* Alarms are adjusted together over arms and metrics; safety over arms only. */
static void
test_families(void)
{
	static Plan plan;
	static Check check;
	const double z[2][2] = {{1.7, -1.7}, {2.3, 0}};

	plan_init(&plan, GR_FIXED);
	plan.narms = plan.nrules = 2;
	for (int k = 0; k < 2; k++)
		plan.rules[k] = guardrail_rule(k ? "b" : "a", GR_LIMIT_DIFFERENCE, 0, true);
	memset(&check, 0, sizeof(check));
	check.control = (GrArm) {.name = "control",.units = 1000,.events = 1000};
	for (int a = 0; a < 2; a++)
		check.arms[a] = (GrArm) {.name = a ? "y" : "x",.units = 1000,.events = 1000};
	for (int i = 0; i < 4; i++)
	{
		check.results[i].control = (GrEstimate) {1, 0.5, INFINITY};
		check.results[i].treatment = (GrEstimate) {1 + z[i / 2][i % 2], 0.5, INFINITY};
	}
	evaluate(&plan, &check);
	/* Holm over four: 0.0107 * 4 passes 0.10, 0.0446 * 3 does not */
	CHECK(check.results[2].status == GR_BREACHED);
	CHECK_CLOSE("holm", check.results[2].p_breach_adjusted, 4 * gr_normal_sf(2.3), 1e-9, 0);
	CHECK(check.results[2].level_lower == 0.10 / 4);
	CHECK(check.results[0].status == GR_UNDECIDED);
	CHECK_CLOSE("holm", check.results[0].p_breach_adjusted, 3 * gr_normal_sf(1.7), 1e-9, 0);
	CHECK(check.results[0].level_lower == 0.10 / 3);
	/* Bonferroni over two arms: 0.0446 passes 0.05 */
	CHECK(check.results[1].status == GR_IS_SAFE && check.results[1].level_upper == 0.05);
	CHECK(check.verdicts[0].verdict == GR_VERDICT_HOLD);
	CHECK(check.verdicts[1].verdict == GR_VERDICT_BLOCK);

	plan.test.correction = GR_ADJUST_NONE;
	evaluate(&plan, &check);
	CHECK(check.results[0].status == GR_BREACHED);
	/* what does not block is no alarm */
	plan.rules[0].severity = GR_HOLD;
	plan.test.correction = GR_ADJUST_BONFERRONI;
	evaluate(&plan, &check);
	CHECK(check.results[0].status == GR_BREACHED && check.results[0].level_lower == 0.10);
	CHECK(check.verdicts[0].verdict == GR_VERDICT_HOLD);
}

int
main(void)
{
	gr_stats_init();
	test_consistency();
	test_single_look();
	test_published();
	test_statuses();
	test_too_little();
	test_heavy_unit();
	test_waived();
	test_watch();
	test_relative_to_nothing();
	test_latch();
	test_looks();
	test_families();
	return unit_report();
}
