/*
 * evaluate.c
 *	  From a collection to results and verdicts: the glue between what was
 *	  counted and the decisions of src/decide.
 */
#include "evaluate/past.h"
#include "catalog/expression.h"
#include "evaluate/segment.h"

#include <math.h>

#include "catalog/objectaddress.h"
#include "miscadmin.h"

static int
compare_names(const void *a, const void *b)
{
	return strcmp(((const GrArm *) a)->name, ((const GrArm *) b)->name);
}

void
gr_fill_arm(GrArm *arm, const Collection *c, const char *name)
{
	const ArmData *data = gr_collection_arm((Collection *) c, name);

	arm->name = name;
	arm->units = data ? data->units : 0;
	arm->events = data ? data->events : 0;
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

/* What earlier checks of the plan left for this arm and metric. */
static void
recall(const Past *past, const Rule *rule, GrResult *r)
{
	const PastResult *p = gr_past_result(past, r->arm->name, rule);

	if (p == NULL)
		return;
	memcpy(r->past, p->test, sizeof(r->past));
	/* what was BREACHED and cannot be evaluated now stays so, with every evidence and design */
	r->latched = p->breached &&
		(r->failure || !(r->rule->role == GR_GUARDRAIL && r->rule->evidence == GR_POINT));
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

void
gr_scratch_make(GrScratch *s, int n)
{
	n = Max(n, 1);
	s->p = palloc(sizeof(double) * n);
	s->alpha = palloc(sizeof(double) * n);
	s->adjusted = palloc(sizeof(double) * n);
	s->divisor = palloc(sizeof(double) * n);
	s->order = palloc(sizeof(int) * n);
	s->member = palloc(sizeof(int) * n);
	s->of_result = palloc(sizeof(double) * n);
	s->testable = palloc(sizeof(bool) * n);
}

/* What goes into the decision on one arm and rule. */
static void
fill_result(Evaluation *v, int a, int k)
{
	const Rule *rule = &v->e->rules[k];
	GrResult   *r = &v->results[a * v->e->nrules + k];
	CellCounts *c = &v->counts[a * v->e->nrules + k];
	GrSample   *samples = palloc(2 * sizeof(GrSample));
	double		n_compared;
	double		raw[2];

	r->rule = &rule->rule;
	r->arm = &v->arms[a];
	r->failure = rule->failure;
	r->immature = gr_immature_in(v, v->arms[a].name, rule);
	r->immature_control = gr_immature_in(v, v->control.name, rule);
	n_compared = (double) gr_mature_units(r);
	if (rule->rule.limit_kind != GR_LIMIT_ABSOLUTE)
		n_compared += (double) gr_mature_control(r, &v->control);
	gr_sample_cell(v, v->control.name, rule, n_compared, &samples[0], &raw[0],
				   &c->units_control, &c->events_control);
	gr_sample_cell(v, v->arms[a].name, rule, n_compared, &samples[1], &raw[1],
				   &c->units_treatment, &c->events_treatment);
	r->control_sample = &samples[0];
	r->treatment_sample = &samples[1];
	r->control = samples[0].estimate;
	r->treatment = samples[1].estimate;
	r->variance_removed = 1 - (r->control.variance + r->treatment.variance) / (raw[0] + raw[1]);
	r->cap = gr_cap_of(v, r->arm->name, rule);
	gr_inspect_column(v, rule, r);
	recall(v->past, rule, r);
}

void
gr_evaluation_results(Evaluation *v)
{
	const Experiment *e = v->e;
	int			n = v->narms * e->nrules;
	GrScratch	s;

	v->results = palloc_extended(sizeof(GrResult) * Max(n, 1), MCXT_ALLOC_HUGE | MCXT_ALLOC_ZERO);
	v->counts = palloc0(sizeof(CellCounts) * Max(n, 1));
	for (int a = 0; a < v->narms; a++)
		for (int k = 0; k < e->nrules; k++)
		{
			CHECK_FOR_INTERRUPTS();
			fill_result(v, a, k);
		}
	gr_scratch_make(&s, n);
	gr_decide_results(v->results, v->narms, e->nrules, &v->control, &v->test, &s);
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
gr_evaluation_decide(Evaluation *v, const char *schema)
{
	find_arms(v);
	fill_test(v);
	gr_monitor_setup(&v->monitor, schema, v->e, v->past, &v->test, enough_to_look(v) && !v->test.surplus_arms,
					 is_incomplete(v), v->narms);
	gr_evaluation_results(v);
	if (v->segments)
		gr_segments_decide(v);
	v->verdicts = palloc0(sizeof(GrArmVerdict) * Max(v->narms, 1));
	for (int a = 0; a < v->narms; a++)
		gr_decide_verdict(v->results + a * v->e->nrules, v->e->nrules, &v->arms[a],
						  &v->control, &v->test, &v->verdicts[a]);
}

static void
require_select(Oid relation)
{
	if (pg_class_aclcheck(relation, GetUserId(), ACL_SELECT) != ACLCHECK_OK)
		aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(get_rel_relkind(relation)),
					   get_rel_name(relation));
}

Evaluation *
gr_evaluate(Oid function, const char *id, GrPurpose purpose,
			const Shared *shared, MemoryContext context)
{
	char	   *schema = gr_schema_of_function(function);
	Experiment *e;
	OwnerContext saved;
	MemoryContext old;
	Evaluation *v;
	char	   *note;

	if (purpose != GR_FOR_READER)
		gr_writer_enter(&saved, function);
	e = gr_experiment_load(schema, id, context);
	if (purpose != GR_FOR_READER)
		gr_owner_leave(&saved);
	(void) gr_relation_name(e->events);
	if (OidIsValid(e->exposures))
		(void) gr_relation_name(e->exposures);
	/* live results are only for who may read the events himself */
	if (purpose == GR_FOR_READER)
	{
		require_select(e->events);
		if (OidIsValid(e->exposures))
			require_select(e->exposures);
	}
	old = MemoryContextSwitchTo(context);
	v = palloc0(sizeof(Evaluation));
	v->e = e;
	e->function = function;
	if (purpose != GR_FOR_PLAN)
	{
		v->test.plan_broken = gr_plan_broken(schema, e, context, &note);
		v->test.plan_note = note;
	}
	if (purpose == GR_FOR_LOG && v->test.plan_broken)
	{
		/* what such rows say is not worth a scan, and must not enter the log */
		MemoryContextSwitchTo(old);
		return v;
	}
	gr_rescue_plan(v);
	if (shared && strcmp(shared->sql, gr_sql_fast(e, v->plan, schema)) == 0)
	{
		v->c = shared->c;
		v->snapshot = shared->snapshot;
	}
	else
		gr_rescue_collect(v, schema, purpose == GR_FOR_LOG, context);
	v->scanned = v->plan;
	if (purpose != GR_FOR_PLAN)
		gr_fixed_recall(v, schema);
	/* a fixed test that is decided rests on the past that its check had */
	if (v->test.decided == NULL)
		v->past = gr_past_load(schema, e, context);
	gr_evaluation_decide(v, schema);
	MemoryContextSwitchTo(old);
	return v;
}

const char *
gr_worst_status(const Evaluation *v)
{
	static const char *const order[] = {"INVALID", "BLOCK", "NO DATA", "UNMEASURED", "WATCH", "OK", NULL};

	for (int k = 0; order[k]; k++)
		for (int a = 0; a < v->narms; a++)
			if (strncmp(v->verdicts[a].status, order[k], strlen(order[k])) == 0)
				return v->verdicts[a].status;
	return "NO DATA";
}
