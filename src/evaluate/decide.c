/*
 * decide.c
 *	  From a collection to verdicts: arms, the state of the test, results, segments, verdicts.
 *
 * Reads no events.  A check that is replayed comes through here with what it stored,
 * and must decide the same to the bit.
 */
#include "evaluate/loosened.h"
#include "evaluate/past.h"
#include "evaluate/segment.h"

static int
compare_names(const void *a, const void *b)
{
	return strcmp(((const GrArm *) a)->name, ((const GrArm *) b)->name);
}

/* The treatment arms: planned, or seen; by name. */
static void
find_arms(Evaluation *v)
{
	const Experiment *e = v->e;
	int			n = e->narms > 0 ? e->narms : v->c->narms;

	gr_fill_arm(&v->control, v->c, e->control);
	v->arms = palloc0(sizeof(GrArm) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		const char *name = e->narms > 0 ? e->arms[i] : v->c->arms[i].name;

		if (strcmp(name, e->control) != 0)
			gr_fill_arm(&v->arms[v->narms++], v->c, name);
	}
	qsort(v->arms, v->narms, sizeof(GrArm), compare_names);
}

/*
 * Power pays for SHIP's many proofs (Schultzberg, Ankargren and Franberg 2024):
 * beta* = (beta - sum of alarm levels) / (safety proofs + 1), at beta = 0.2.
 */
static double
planned_beta(const Experiment *e)
{
	double		alarms = 0;
	double		largest = 0;
	int			proofs = 0;

	for (int k = 0; k < e->nrules; k++)
	{
		const GrRule *rule = &e->rules[k].rule;

		if (rule->role != GR_GUARDRAIL || rule->evidence == GR_POINT || rule->severity == GR_WARN)
			continue;
		proofs += (rule->evidence == GR_SAFE);
		if (rule->severity == GR_BLOCK)
		{
			alarms += rule->alpha;
			largest = Max(largest, rule->alpha);
		}
	}
	if (e->correction != GR_ADJUST_NONE)
		alarms = largest;
	return Max(0.01, (0.2 - alarms) / (proofs + 1));
}

/* Information comes from mature units: those that the slowest deciding rule has. */
static int64
mature_units(const Evaluation *v)
{
	int64		most = 0;

	for (int i = 0; i < v->e->nrules; i++)
	{
		const GrRule *rule = &v->e->rules[i].rule;

		int64		n = gr_immature_in(v, v->control.name, &v->e->rules[i]);

		for (int a = 0; a < v->narms; a++)
			n += gr_immature_in(v, v->arms[a].name, &v->e->rules[i]);
		if (rule->role != GR_SECONDARY && rule->severity != GR_WARN)
			most = Max(most, n);
	}
	return v->test.total_units - most;
}

/* Are the windows of most units of an arm open still, in a metric that can keep an arm from SHIP? */
static bool
waits_for_windows(const Evaluation *v)
{
	for (int i = 0; i < v->e->nrules; i++)
	{
		const Rule *rule = &v->e->rules[i];

		if (rule->rule.role == GR_SECONDARY || rule->rule.severity == GR_WARN)
			continue;
		for (int a = rule->rule.limit_kind == GR_LIMIT_ABSOLUTE ? 0 : -1; a < v->narms; a++)
		{
			const GrArm *arm = a < 0 ? &v->control : &v->arms[a];

			if (2 * gr_immature_in(v, arm->name, rule) > arm->units)
				return true;
		}
	}
	return false;
}

static void
fill_test(Evaluation *v)
{
	const Experiment *e = v->e;
	GrTestState *t = &v->test;

	t->correction = e->correction;
	t->srm_alpha = e->srm_alpha;
	t->max_crossover = e->max_crossover;
	t->min_units = e->min_units;
	t->planned_units = e->planned_units;
	t->crossover_units = v->c->crossover_units;
	gr_test_split(v);
	t->mature_units = mature_units(v);
	t->over = !gr_design_of(e->monitoring)->once || e->ended ||
		(((t->planned_units > 0 && t->mature_units >= t->planned_units) || strcmp(e->state, "stopped") == 0) &&
		 !waits_for_windows(v));
	t->beta = planned_beta(e);
	t->monitor = &v->monitor;
	for (int i = 0; i < e->nrules; i++)
		t->has_primary |= (e->rules[i].rule.role == GR_PRIMARY);
}

/* Has the control and at least one other arm enough units to look at? */
static bool
enough_to_look(const Evaluation *v)
{
	for (int a = 0; a < v->narms; a++)
		if (v->arms[a].units >= v->test.min_units && v->control.units >= v->test.min_units)
			return true;
	return false;
}

/* Was something not judged that the plan wants judged? */
static bool
is_incomplete(const Evaluation *v)
{
	for (int k = 0; k < v->e->nrules; k++)
		if (v->e->rules[k].failure)
			return true;
	return gr_segments_unjudged(v) != NULL;
}

void
gr_evaluation_verdicts(Evaluation *v)
{
	for (int a = 0; a < v->narms; a++)
		gr_decide_verdict(v->results + a * v->e->nrules, v->e->nrules, &v->arms[a],
						  &v->control, &v->test, &v->verdicts[a]);
}

void
gr_evaluation_decide(Evaluation *v, const char *schema)
{
	find_arms(v);
	fill_test(v);
	gr_monitor_setup(&v->monitor, schema, v->e, v->past, &v->test, enough_to_look(v) && !v->test.surplus_arms,
					 is_incomplete(v), v->narms);
	gr_evaluation_results(v);
	if (v->segments)
		gr_segments_decide(v);
	gr_loosened_apply(v, gr_schema_of_function(v->e->function));
	v->verdicts = palloc0(sizeof(GrArmVerdict) * Max(v->narms, 1));
	gr_evaluation_verdicts(v);
}
