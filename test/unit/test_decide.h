/*
 * test_decide.h
 *	  What the tests of the decision layer share: a plan, the log of its checks,
 *	  and one evaluation of it, done as the server does it.
 */
#ifndef TEST_DECIDE_H
#define TEST_DECIDE_H

#include "unit.h"
#include "decide/decide.h"

#define MAX_ARMS 3
#define MAX_RULES 5
#define MAX_RESULTS (MAX_ARMS * MAX_RULES)
#define MAX_CHECKS 40
#define MAX_ROWS 128
#define LEAST_STEP (1.0 / 200)

typedef struct Plan
{
	GrMonitoring monitoring;
	GrSpending	spending;
	double		phi;
	GrTestState test;			/* .monitor and the counts: per evaluation */
	int			narms;
	int			nrules;
	GrRule		rules[MAX_RULES];

	/* the log */
	int			nlooks;
	double		fraction[MAX_CHECKS];
	GrPast		past[MAX_RESULTS][GR_TEST_KINDS];
	GrSample	seen[MAX_RESULTS][GR_TEST_KINDS][2];
	bool		breached[MAX_RESULTS];

	/* the rows of bounds at the recorded looks, if they are kept */
	bool		remember;
	int			nrows;
	GrBoundRow	rows[MAX_ROWS];
	double		bound[MAX_ROWS][MAX_CHECKS + 1];
	GrLookState state[MAX_ROWS];
} Plan;

/* One evaluation: the arms and their estimates in, results and verdicts out. */
typedef struct Check
{
	GrArm		control;
	GrArm		arms[MAX_ARMS];
	GrMonitor	monitor;
	GrResult	results[MAX_RESULTS];
	GrArmVerdict verdicts[MAX_ARMS];
} Check;

static UNIT_UNUSED GrRule
guardrail_rule(const char *metric, GrLimitKind kind, double limit, bool worse_is_higher)
{
	return (GrRule)
	{
		.metric = metric,.kind = gr_kinds,.role = GR_GUARDRAIL,.severity = GR_BLOCK,.evidence = GR_BREACH,
		.limit_kind = kind,.limit_value = limit,.alpha = 0.10,.worse_is_higher = worse_is_higher,
	};
}

static UNIT_UNUSED GrRule
primary_rule(const char *metric, GrLimitKind kind, double limit, bool worse_is_higher)
{
	GrRule		rule = guardrail_rule(metric, kind, limit, worse_is_higher);

	rule.role = GR_PRIMARY;
	rule.alpha = 0.05;
	return rule;
}

static UNIT_UNUSED void
plan_init(Plan *plan, GrMonitoring monitoring)
{
	memset(plan, 0, offsetof(Plan, rows));
	plan->monitoring = monitoring;
	plan->spending = GR_SPENDING_POWER;
	plan->phi = 1;
	plan->test.correction = GR_ADJUST_HOLM;
	plan->test.srm_alpha = 0.001;
	plan->test.srm_p = NAN;
	plan->test.max_crossover = 0.01;
	plan->test.min_units = 100;
	plan->test.beta = 0.2;
	plan->test.over = true;
	plan->narms = 1;
	plan->nrules = 1;
}

static UNIT_UNUSED void
monitor_init(Plan *plan, GrMonitor *m, bool enough)
{
	static GrBoundRow rows[MAX_ROWS];
	static double bound[MAX_ROWS][MAX_CHECKS + 1];
	static GrLookState state[MAX_ROWS];
	static GrLookState scratch;
	const GrTestState *test = &plan->test;
	double		last = plan->nlooks > 0 ? plan->fraction[plan->nlooks - 1] : 0;
	double		t = test->planned_units > 0 ?
		(double) test->mature_units / (double) test->planned_units : 0;

	memset(m, 0, sizeof(*m));
	m->kind = plan->monitoring;
	m->n_star = test->planned_units > 0 ? fmax(1, (double) test->planned_units / 4) : 5000;
	m->spending = plan->spending;
	m->phi = plan->phi;
	if (m->kind != GR_GROUP_SEQUENTIAL)
		return;
	m->nlooks = plan->nlooks;
	m->fraction = plan->fraction;
	m->now = fmin(1, t);
	m->is_look = enough && plan->nlooks < MAX_CHECKS - 1 &&
		(m->now >= last + LEAST_STEP || (m->now >= 1 && last < 1));
	m->rows_room = gr_levels_needed(plan->nrules, plan->nrules, plan->narms);
	CHECK(m->rows_room <= MAX_ROWS);
	m->rows = rows;
	for (int i = 0; i < m->rows_room; i++)
	{
		rows[i].bound = bound[i];
		rows[i].state = &state[i];
	}
	m->scratch = &scratch;
	for (int i = 0; i < plan->nrows; i++)
	{
		GrBoundRow *row = gr_monitor_row(m, plan->rows[i].kind, plan->rows[i].level);

		CHECK(row != NULL);
		row->known = plan->rows[i].known;
		memcpy(row->bound, plan->bound[i], sizeof(double) * row->known);
		*row->state = plan->state[i];
	}
}

/* Keep the rows after a look that was recorded. */
static UNIT_UNUSED void
keep_rows(Plan *plan, const GrMonitor *m)
{
	plan->nrows = 0;
	for (int i = 0; i < m->nrows; i++)
	{
		if (m->rows[i].known != plan->nlooks)
			continue;
		plan->rows[plan->nrows] = m->rows[i];
		memcpy(plan->bound[plan->nrows], m->rows[i].bound, sizeof(double) * plan->nlooks);
		plan->state[plan->nrows++] = *m->rows[i].state;
	}
}

/* Evaluate what stands in check->control, ->arms and the results' inputs. */
static UNIT_UNUSED void
evaluate(Plan *plan, Check *check)
{
	static double p[MAX_RESULTS],
				alpha[MAX_RESULTS],
				adjusted[MAX_RESULTS],
				divisor[MAX_RESULTS],
				of_result[MAX_RESULTS];
	static int	order[MAX_RESULTS],
				member[MAX_RESULTS];
	static bool testable[MAX_RESULTS];
	GrScratch	scratch = {p, alpha, adjusted, divisor, order, member, of_result, testable};
	GrTestState *test = &plan->test;
	bool		enough = false;

	test->total_units = check->control.units;
	for (int a = 0; a < plan->narms; a++)
	{
		test->total_units += check->arms[a].units;
		enough = enough || (check->arms[a].units >= test->min_units &&
							check->control.units >= test->min_units);
	}
	test->mature_units = test->total_units;
	monitor_init(plan, &check->monitor, enough);
	test->monitor = &check->monitor;
	for (int k = 0; k < plan->nrules; k++)
		test->has_primary = test->has_primary || plan->rules[k].role == GR_PRIMARY;
	for (int i = 0; i < plan->narms * plan->nrules; i++)
	{
		GrResult   *r = &check->results[i];

		r->rule = &plan->rules[i % plan->nrules];
		r->arm = &check->arms[i / plan->nrules];
		r->variance_removed = r->cap = r->null_share_p = r->nonfinite_share_p = NAN;
		r->missing_share_alpha = test->srm_alpha;
		memcpy(r->past, plan->past[i], sizeof(r->past));
		r->latched = plan->breached[i] &&
			!(r->rule->role == GR_GUARDRAIL && r->rule->evidence == GR_POINT);
	}
	gr_decide_results(check->results, plan->narms, plan->nrules, &check->control, test, &scratch);
	for (int a = 0; a < plan->narms; a++)
		gr_decide_verdict(check->results + a * plan->nrules, plan->nrules, &check->arms[a],
						  &check->control, test, &check->verdicts[a]);
}

/* What is read back of an arm: its sample, or its estimate where that is all. */
static UNIT_UNUSED const GrSample *
logged(GrSample *room, const GrSample *sample, GrEstimate e)
{
	double		se = sqrt(e.variance);

	if (sample)
		*room = *sample;
	else
		gr_sample_of_estimate(&(GrEstimate) {e.value, se * se, INFINITY}, 0, room);
	return room;
}

/* Write the check into the log. */
static UNIT_UNUSED void
record(Plan *plan, const Check *check)
{
	const GrMonitor *m = &check->monitor;

	if (plan->monitoring == GR_FIXED)
		return;
	for (int i = 0; i < plan->narms * plan->nrules; i++)
	{
		const GrResult *r = &check->results[i];
		const double p[GR_TEST_KINDS] = {r->p_breach, r->p_safe, r->p_value};

		plan->breached[i] = (r->status == GR_BREACHED);
		for (int k = 0; k < GR_TEST_KINDS; k++)
		{
			GrPast	   *past = &plan->past[i][k];

			if (r->is_witness[k])
			{
				past->treatment = logged(&plan->seen[i][k][0], r->treatment_sample, r->treatment);
				past->control = logged(&plan->seen[i][k][1], r->control_sample, r->control);
				past->at = r->at;
				past->at.look = m->is_look ? plan->nlooks : -1;
				past->at.df = INFINITY;
				past->known = !isnan(past->treatment->estimate.variance);
			}
			past->known = past->known && !isnan(p[k]);
			past->p = p[k];
		}
	}
	if (!m->is_look)
		return;
	plan->fraction[plan->nlooks++] = m->now;
	if (plan->remember)
		keep_rows(plan, m);
}

/* Bounds oriented by harm: how far beyond the limit is the side that blocks? */
static UNIT_UNUSED bool
harm_beyond(const GrResult *r, double limit)
{
	return r->rule->worse_is_higher ? r->lower > limit : r->upper < limit;
}

static UNIT_UNUSED bool
safe_within(const GrResult *r, double limit)
{
	return r->rule->worse_is_higher ? r->upper < limit : r->lower > limit;
}

#endif							/* TEST_DECIDE_H */
