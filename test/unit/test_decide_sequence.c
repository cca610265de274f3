/*
 * test_decide_sequence.c
 *	  Random plans, checked again and again on random data: bounds, p-values,
 *	  statuses and verdicts never contradict each other, whatever the design.
 */
#include "test_decide.h"

/* Properties are reported one by one where they fail and counted by evaluation. */
#define HOLDS(label, condition) \
	do { \
		if (!(condition)) \
		{ \
			contradictions++; \
			unit_check(false, __FILE__, __LINE__, "%s: %s", label, #condition); \
		} \
	} while (0)

static int	contradictions;
static const double levels[] = {0.01, 0.025, 0.05, 0.1, 0.2, 0.4};

/* How one arm and metric behaves over the checks of a plan. */
typedef struct Story
{
	double		drift;			/* mean of the statistic of harm */
	double		spread;
} Story;

static void
random_rule(Random *rng, GrRule *rule, int k)
{
	static const char *const names[MAX_RULES] = {"m0", "m1", "m2", "m3", "m4"};

	*rule = guardrail_rule(names[k], (GrLimitKind) random_below(rng, 4), 0, random_below(rng, 2));
	if (k == 0 && random_below(rng, 4) > 0)
		rule->role = GR_PRIMARY;
	else if (random_below(rng, 6) == 0)
		rule->role = GR_SECONDARY;
	rule->severity = (GrSeverity) (random_below(rng, 5) > 2 ? random_below(rng, 3) : 0);
	rule->evidence = (GrEvidence) random_below(rng, 3);
	rule->alpha = levels[random_below(rng, 6)];
	rule->is_proportion = random_below(rng, 2);
	rule->limit_value = random_below(rng, 3) ? random_uniform(rng) : 0;
	if (rule->limit_kind == GR_LIMIT_ABSOLUTE)
		rule->limit_value = 4 * random_uniform(rng) - 2;
	if (rule->limit_kind == GR_LIMIT_RELATIVE)
		rule->limit_value *= 0.5;
}

static void
random_plan(Random *rng, Plan *plan, GrMonitoring monitoring)
{
	plan_init(plan, monitoring);
	plan->spending = (GrSpending) random_below(rng, 3);
	plan->phi = plan->spending == GR_SPENDING_POWER ? 0.5 + 2 * random_uniform(rng) : 1;
	plan->test.correction = (GrAdjust) random_below(rng, 4);
	plan->narms = 1 + random_below(rng, MAX_ARMS);
	plan->nrules = 1 + random_below(rng, MAX_RULES);
	if (monitoring == GR_GROUP_SEQUENTIAL || random_below(rng, 2))
		plan->test.planned_units = 1000 + random_below(rng, 100000);
	for (int k = 0; k < plan->nrules; k++)
		random_rule(rng, &plan->rules[k], k);
	plan->test.has_primary = false;
}

/* An estimate pair whose statistic of harm against the limit is z. */
static void
random_estimates(Random *rng, GrResult *r, const GrRule *rule, double z, double n)
{
	double		limit = gr_signed_limit(rule);
	double		lift = rule->limit_kind == GR_LIMIT_RELATIVE ? 1 + limit : 1;
	double		shift = rule->limit_kind == GR_LIMIT_RELATIVE ? 0 : limit;
	double		se;

	r->control = (GrEstimate) {0.5 + random_uniform(rng), 0.3 * random_uniform(rng) / n, 2 * n};
	r->treatment = (GrEstimate) {0, 0.3 * random_uniform(rng) / n, 2 * n};
	if (rule->limit_kind == GR_LIMIT_ABSOLUTE)
		r->control.value = r->control.variance = 0;
	se = sqrt(r->treatment.variance + lift * lift * r->control.variance);
	r->treatment.value = lift * r->control.value + shift + (rule->worse_is_higher ? z : -z) * se;
	switch (random_below(rng, 60))
	{
		case 0:
			r->treatment = (GrEstimate) {NAN, NAN, NAN};
			break;
		case 1:
			r->control.variance = r->treatment.variance = 0;
			break;
		case 2:
			r->treatment.variance = INFINITY;
			break;
		case 3:
			r->control.value = -r->control.value;
			break;
		case 4:
			r->treatment.value *= 1e6;
			break;
		case 5:
			r->treatment.df = 1;
			break;
	}
}

/* ---- samples ---------------------------------------------------------------- */

static GrSample room[MAX_RESULTS][2];

static double
random_value(Random *rng, bool heavy)
{
	double		x = exp(random_normal(rng));

	if (random_below(rng, 3) == 0)
		return 0;
	return heavy && random_below(rng, 200) == 0 ? 1000 * x : x;
}

static void
random_moments(Random *rng, int dim, double scale, bool shares, GrSample *out)
{
	GrMoments	m;
	double		ones = 0;
	int			n = 2 + random_below(rng, 300);
	bool		heavy = random_below(rng, 4) == 0;
	double		rate = random_below(rng, 2) ? random_uniform(rng) : 0.02;

	gr_moments_init(&m, dim);
	for (int u = 0; u < n; u++)
	{
		double		x[2] = {shares ? random_uniform(rng) < rate * scale : scale * random_value(rng, heavy),
		1 + random_below(rng, 5)};

		ones += x[0] != 0;
		(void) gr_moments_add(&m, x);
	}
	gr_sample_of_moments(&m, false, 0, 0, ones, out);
}

static void
random_quantile(Random *rng, double scale, GrSample *out)
{
	GrBin		bins[40];
	double		upto[20],
				under[20],
				total[20];
	int			n = 1 + random_below(rng, 40);

	for (int i = 0; i < n; i++)
		bins[i] = (GrBin) {gr_bin(scale * 100) + i * (1 + random_below(rng, 2) * 100), 1 + random_below(rng, 100)};
	for (int i = 1; i < n; i++)
		bins[i].bin = bins[i].bin > bins[i - 1].bin ? bins[i].bin : bins[i - 1].bin + 1;
	for (int k = 0; k < 20; k++)
	{
		total[k] = 1 + random_below(rng, 50);
		upto[k] = floor(total[k] * random_uniform(rng));
		under[k] = floor(upto[k] * random_uniform(rng));
	}
	gr_sample_of_quantile(bins, n, NULL, 0, &(GrClusters) {20, upto, under, total}, 0.5, 1.3,
						  50 + random_below(rng, 1000), out);
}

/* Samples of one kind in both arms, the treatment's values a random multiple. */
static void
random_samples(Random *rng, GrResult *r, GrSample *t, GrSample *c)
{
	double		lift = random_below(rng, 3) ? exp(0.3 * random_normal(rng)) : 1;
	int			kind = random_below(rng, 4);

	for (int arm = 0; arm < 2; arm++)
	{
		GrSample   *s = arm ? t : c;
		double		scale = arm ? lift : 1;

		if (kind == 3)
			random_quantile(rng, scale, s);
		else
			random_moments(rng, kind == 1 ? 2 : 1, scale, kind == 0, s);
		s->traffic = 1 + arm;
	}
	r->treatment_sample = t;
	r->control_sample = c;
	r->treatment = t->estimate;
	r->control = c->estimate;
}

/* ---- what must hold ------------------------------------------------------- */

static void
check_guardrail(const char *label, const Plan *plan, const GrResult *r)
{
	const GrRule *rule = r->rule;
	double		limit = gr_signed_limit(rule);
	bool		family = rule->severity == GR_BLOCK;
	bool		breached = r->p_breach_adjusted <= rule->alpha || r->latched;
	bool		safe = r->p_safe <= rule->alpha / plan->narms;

	if (rule->evidence == GR_POINT)
	{
		HOLDS(label, isnan(r->p_breach) && isnan(r->p_safe));
		if (!isnan(r->effect) && (r->status == GR_BREACHED || r->status == GR_IS_SAFE))
			HOLDS(label, (r->status == GR_BREACHED) ==
					 (rule->worse_is_higher ? r->effect > limit : r->effect < limit));
		return;
	}
	HOLDS(label, r->status == GR_BREACHED || r->status == GR_IS_SAFE || r->status == GR_UNMEASURED ||
			 r->status == GR_UNDECIDED || r->status == GR_NO_DATA);
	HOLDS(label, r->status != GR_UNMEASURED || r->obstacle != GR_NO_OBSTACLE);
	if (!plan->test.over)
	{
		HOLDS(label, r->status == GR_UNDECIDED || r->status == GR_NO_DATA || r->obstacle == GR_NEGATIVE_CONTROL);
		HOLDS(label, isnan(r->p_breach) && isnan(r->p_safe) && isnan(r->p_breach_adjusted));
		return;
	}
	if (r->status == GR_NO_DATA)
	{
		HOLDS(label, !r->latched);
		return;
	}
	HOLDS(label, (r->status == GR_BREACHED) == breached);
	HOLDS(label, (r->status == GR_BREACHED) == harm_beyond(r, limit));
	/* looks that exclude each other leave no proof of safety */
	HOLDS(label, (r->status == GR_IS_SAFE) == (safe && !breached && r->lower <= r->upper &&
												gr_obstacle_allows_claims(r->obstacle)));
	HOLDS(label, safe == safe_within(r, limit));
	HOLDS(label, isnan(r->p_breach) == isnan(r->p_breach_adjusted));
	HOLDS(label, isnan(r->p_breach) || r->p_breach_adjusted >= r->p_breach);
	HOLDS(label, isnan(r->p_breach) || (r->p_breach >= 0 && r->p_breach <= 1));
	if (!family || plan->test.correction == GR_ADJUST_NONE)
	{
		HOLDS(label, isnan(r->p_breach) || r->p_breach_adjusted == r->p_breach);
		HOLDS(label, (rule->worse_is_higher ? r->level_lower : r->level_upper) == rule->alpha);
	}
	HOLDS(label, (rule->worse_is_higher ? r->level_upper : r->level_lower) == rule->alpha / plan->narms);
}

static void
check_goal(const char *label, const Plan *plan, const GrResult *r)
{
	const GrRule *rule = r->rule;
	double		limit = gr_signed_limit(rule);
	bool		won;

	HOLDS(label, r->status == GR_WON || r->status == GR_LOST || r->status == GR_UNMEASURED ||
			 r->status == GR_UNDECIDED || r->status == GR_NO_DATA);
	if (!plan->test.over)
	{
		HOLDS(label, r->status == GR_UNDECIDED || r->status == GR_NO_DATA);
		HOLDS(label, isnan(r->p_value) && isnan(r->p_value_adjusted));
		return;
	}
	if (r->status == GR_NO_DATA)
		return;
	won = safe_within(r, limit);
	/* looks that contradict each other may leave no effect that is possible */
	if (r->lower > r->upper)
		return;
	HOLDS(label, (r->status == GR_WON) == (won && gr_obstacle_allows_claims(r->obstacle)));
	HOLDS(label, r->status != GR_WON || r->p_value_adjusted <= rule->alpha);
	HOLDS(label, (r->p_value_adjusted <= rule->alpha) == (won || harm_beyond(r, limit)));
	if (rule->limit_kind != GR_LIMIT_ABSOLUTE)
		HOLDS(label, (r->status == GR_LOST) == (!won && harm_beyond(r, 0)));
	HOLDS(label, isnan(r->p_value) || r->p_value_adjusted >= r->p_value);
}

/* A first look: the bounds come from these estimates alone. */
static void
check_first(const char *label, const GrResult *r)
{
	for (int k = 0; k < GR_TEST_KINDS; k++)
		if (r->past[k].known)
			return;
	if (r->usable && !isnan(r->effect))
		HOLDS(label, r->lower <= nextafter(r->effect, INFINITY) && nextafter(r->effect, -INFINITY) <= r->upper);
}

static void
check_verdict(const char *label, const Plan *plan, const Check *check, int a)
{
	const GrArmVerdict *v = &check->verdicts[a];
	const GrTestState *test = &plan->test;
	char		why[GR_REASON_SIZE];
	bool		invalid = gr_test_invalid(test, why, sizeof(why));
	bool		blocked = false,
				breached = false,
				unproven = false,
				unknown = false;
	const GrResult *primary = NULL;

	for (int k = 0; k < plan->nrules; k++)
	{
		const GrResult *r = &check->results[a * plan->nrules + k];

		if (r->rule->role == GR_PRIMARY)
			primary = r;
		if (r->rule->role != GR_GUARDRAIL)
			continue;
		if (r->status == GR_BREACHED && r->rule->severity == GR_BLOCK)
			blocked = true;
		if (r->rule->severity == GR_WARN)
			continue;
		breached = breached || r->status == GR_BREACHED;
		unproven = unproven || (r->rule->evidence == GR_SAFE && r->status != GR_IS_SAFE);
		unknown = unknown || r->status == GR_NO_DATA || r->status == GR_UNMEASURED || r->watch;
	}
	HOLDS(label, (v->verdict == GR_VERDICT_INVALID) == invalid);
	HOLDS(label, (v->verdict == GR_VERDICT_BLOCK) == (blocked && !invalid));
	if (v->verdict == GR_VERDICT_SHIP)
	{
		HOLDS(label, !breached && !unproven && !unknown);
		HOLDS(label, test->over);
		HOLDS(label, primary != NULL && primary->status == GR_WON);
		HOLDS(label, check->arms[a].units >= test->min_units &&
				 check->control.units >= test->min_units);
	}
	HOLDS(label, v->reason[0] != '\0' && v->status[0] != '\0');
	if (!invalid)
		HOLDS(label, (strncmp(v->status, "BLOCK", 5) == 0) == blocked);
}

static bool
may_follow(double before, double now)
{
	return isnan(before) || now <= before;
}

/* Against the check recorded before. */
static void
check_memory(const char *label, const Plan *plan, int i, const GrResult *r)
{
	const GrPast *past = plan->past[i];

	if (plan->monitoring == GR_FIXED || r->rule->evidence == GR_POINT)
		return;
	HOLDS(label, !past[GR_TEST_BREACH].known || may_follow(past[GR_TEST_BREACH].p, r->p_breach));
	HOLDS(label, !past[GR_TEST_SAFE].known || may_follow(past[GR_TEST_SAFE].p, r->p_safe));
	HOLDS(label, !past[GR_TEST_GOAL].known || may_follow(past[GR_TEST_GOAL].p, r->p_value));
	if (plan->breached[i] && r->rule->role == GR_GUARDRAIL)
		HOLDS(label, r->status == GR_BREACHED);
}

static void
check_all(const char *label, const Plan *plan, const Check *check)
{
	contradictions = 0;
	for (int i = 0; i < plan->narms * plan->nrules; i++)
	{
		const GrResult *r = &check->results[i];

		if (r->rule->role == GR_GUARDRAIL)
			check_guardrail(label, plan, r);
		else
			check_goal(label, plan, r);
		check_first(label, r);
		check_memory(label, plan, i, r);
		HOLDS(label, r->reason[0] != '\0');
		HOLDS(label, !(r->units_needed <= 0));
	}
	for (int a = 0; a < plan->narms; a++)
		check_verdict(label, plan, check, a);
	CHECK_IN(label, contradictions == 0);
}

/* ---- sequences ------------------------------------------------------------ */

static int	statuses[GR_UNMEASURED + 1];
static int	verdicts[4];

static void
run_plan(Random *rng, Plan *plan, int checks, const char *label, bool samples)
{
	static Check check;
	Story		story[MAX_RESULTS];
	static const char *const arm_names[MAX_ARMS] = {"a", "b", "c"};
	double		end = plan->test.planned_units > 0 ? (double) plan->test.planned_units : 50000;
	double		total = 0;

	for (int i = 0; i < MAX_RESULTS; i++)
		story[i] = (Story) {8 * random_uniform(rng) - 4, random_below(rng, 4) ? 1 : 3};
	for (int c = 0; c < checks; c++)
	{
		memset(&check, 0, offsetof(Check, verdicts));
		/* units mostly grow, by little or much, and may pass the plan's end */
		total += end * (random_below(rng, 3) ? 2.0 / checks : 0.004) * random_uniform(rng);
		if (random_below(rng, 20) == 0)
			total *= 0.9;
		check.control.name = "control";
		check.control.units = (int64_t) (total / (plan->narms + 1));
		for (int a = 0; a < plan->narms; a++)
			check.arms[a] = (GrArm) {.name = arm_names[a],.units = random_below(rng, 40) ? check.control.units : 0,.events = 10};
		plan->test.srm_p = random_below(rng, 40) ? 0.5 : 1e-4;
		plan->test.crossover_units = random_below(rng, 40) ? 0 : (int64_t) total;
		plan->test.over = plan->monitoring != GR_FIXED || random_below(rng, 2);
		for (int i = 0; i < plan->narms * plan->nrules; i++)
			if (samples)
				random_samples(rng, &check.results[i], &room[i][1], &room[i][0]);
			else
				random_estimates(rng, &check.results[i], &plan->rules[i % plan->nrules],
								 story[i].drift + story[i].spread * random_normal(rng), 1 + total / 4);
		evaluate(plan, &check);
		check_all(label, plan, &check);
		for (int i = 0; i < plan->narms * plan->nrules; i++)
			statuses[check.results[i].status]++;
		for (int a = 0; a < plan->narms; a++)
			verdicts[check.verdicts[a].verdict]++;
		/* a live call leaves nothing behind */
		if (random_below(rng, 4))
			record(plan, &check);
	}
}

static void
test_design(GrMonitoring monitoring, int plans, const char *name)
{
	static Plan plan;
	Random		rng = 20240607 + (Random) monitoring;

	for (int i = 0; i < plans; i++)
	{
		char		label[64];

		snprintf(label, sizeof(label), "%s, plan %d", name, i);
		random_plan(&rng, &plan, monitoring);
		plan.remember = true;
		run_plan(&rng, &plan, 1 + random_below(&rng, 30), label, i % 16 == 1);
	}
}

/* Bounds computed from scratch at every check, as the server does it. */
static void
test_without_memory(void)
{
	static Plan plan;
	Random		rng = 77;

	for (int i = 0; i < 8; i++)
	{
		random_plan(&rng, &plan, GR_GROUP_SEQUENTIAL);
		plan.narms = 1;
		plan.nrules = plan.nrules > 2 ? 2 : plan.nrules;
		run_plan(&rng, &plan, 1 + random_below(&rng, 5), "bounds computed anew", false);
	}
}

int
main(void)
{
	gr_stats_init();
	test_design(GR_FIXED, 2000, "fixed");
	test_design(GR_ALWAYS_VALID, 2000, "always_valid");
	test_design(GR_GROUP_SEQUENTIAL, 60, "group_sequential");
	test_without_memory();
	/* every status and verdict has been seen often */
	for (int i = 0; i <= GR_UNMEASURED; i++)
		CHECK(statuses[i] > 100);
	for (int i = 0; i < 4; i++)
		CHECK(verdicts[i] > 100);
	return unit_report();
}
