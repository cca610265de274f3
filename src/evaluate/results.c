/*
 * results.c
 *	  From arms, a collection, the past and the monitor to results: one per arm and rule.
 *
 * The whole and each segment come through here; what a verdict makes of the results
 * is in decide.c.  Nothing here knows how the collection came about.
 */
#include "evaluate/past.h"

#include "miscadmin.h"

void
gr_fill_arm(GrArm *arm, const Collection *c, const char *name)
{
	const ArmData *data = gr_collection_arm((Collection *) c, name);

	arm->name = name;
	arm->units = data ? data->units : 0;
	arm->events = data ? data->events : 0;
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
