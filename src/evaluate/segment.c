/*
 * segment.c
 *	  The guardrails of an experiment in each of its segments, decided.
 *
 * Each segment is an evaluation like the whole, of the guardrails alone and without
 * a correction; the results of all of them together are then decided as one family
 * (decide/segment.c).  Where a rule's veto reaches into segments, its result in the
 * whole learns of them before the verdict.
 */
#include "evaluate/segment.h"

#include <math.h>

#include "decide/words.h"
#include "miscadmin.h"

/* Segments that a verdict names; the others are counted. */
#define MOST_NAMED 3

/* The experiment with its guardrails alone. */
static Experiment *
guardrails_of(const Experiment *e)
{
	Experiment *g = palloc(sizeof(Experiment));
	int			first = 0;

	*g = *e;
	while (first < e->nrules && e->rules[first].rule.role != GR_GUARDRAIL)
		first++;
	g->rules = e->rules + first;
	for (g->nrules = 0; first + g->nrules < e->nrules; g->nrules++)
		if (g->rules[g->nrules].rule.role != GR_GUARDRAIL)
			break;
	return g;
}

/* The whole's monitor with the levels that segments are decided at, if it lacks any. */
static GrMonitor *
segment_monitor(const Evaluation *v, const Experiment *e)
{
	GrMonitor  *m = palloc(sizeof(GrMonitor));

	*m = v->monitor;
	for (int k = 0; k < e->nrules; k++)
	{
		(void) gr_monitor_level(m, GR_TEST_BREACH, e->rules[k].rule.alpha);
		(void) gr_monitor_level(m, GR_TEST_SAFE, e->rules[k].rule.alpha / Max(v->narms, 1));
	}
	return m;
}

static Evaluation *
evaluate_segment(const Evaluation *whole, Experiment *e, const GrMonitor *m, Segment *segment)
{
	Evaluation *v = palloc(sizeof(Evaluation));

	*v = *whole;
	v->e = e;
	v->c = segment->data.c;
	v->past = segment->past;
	v->monitor = *m;
	v->test.monitor = &v->monitor;
	v->test.correction = GR_ADJUST_NONE;
	v->arms = palloc0(sizeof(GrArm) * Max(whole->narms, 1));
	gr_fill_arm(&v->control, v->c, whole->control.name);
	for (int a = 0; a < whole->narms; a++)
		gr_fill_arm(&v->arms[a], v->c, whole->arms[a].name);
	gr_evaluation_results(v);
	segment->log_e = palloc(sizeof(double) * Max(v->narms * e->nrules, 1));
	for (int i = 0; i < v->narms * e->nrules; i++)
		segment->log_e[i] = gr_segment_log_e(&v->results[i], &v->monitor);
	return v;
}

/* All results of all segments through the correction, and into words. */
static void
decide_family(Evaluation *whole, int nrules)
{
	Segments   *s = whole->segments;
	int			cells = whole->narms * nrules;
	GrResult  **results = palloc_extended(sizeof(GrResult *) * Max((Size) s->n * cells, 1), MCXT_ALLOC_HUGE);
	double	   *log_e = palloc_extended(sizeof(double) * Max((Size) s->n * cells, 1), MCXT_ALLOC_HUGE);
	GrScratch	scratch;
	int			n = 0;

	for (int i = 0; i < s->n; i++)
		for (int k = 0; s->segment[i].v && k < cells; k++)
		{
			results[n] = &s->segment[i].v->results[k];
			log_e[n++] = s->segment[i].log_e[k];
		}
	gr_scratch_make(&scratch, n);
	s->ntests = gr_decide_segments(results, log_e, n, &whole->test, &scratch);
	for (int i = 0; i < s->n; i++)
		for (int k = 0; s->segment[i].v && k < cells; k++)
		{
			Evaluation *v = s->segment[i].v;

			CHECK_FOR_INTERRUPTS();
			gr_reason_of_segment(&v->results[k], s->segment[i].expression, s->segment[i].data.value,
								 s->ntests, &v->control, &v->test);
		}
}

/* A segment with an alarm of one arm and rule. */
typedef struct Alarm
{
	const Segment *segment;
	const GrResult *result;
	double		harm;
} Alarm;

/* The worst first; those without data last. */
static int
compare_alarms(const void *a, const void *b)
{
	const Alarm *x = a;
	const Alarm *y = b;

	if (isnan(x->harm) != isnan(y->harm))
		return isnan(x->harm) ? 1 : -1;
	/* ties as they came, so that the same comes out when it is decided again */
	if (isnan(x->harm) || x->harm == y->harm)
		return x->segment < y->segment ? -1 : 1;
	return x->harm < y->harm ? 1 : -1;
}

/* The segments in which a rule of an arm is breached, into its result in the whole. */
static void
tell_result(const Evaluation *whole, int arm, int rule, int part, int nrules)
{
	const Segments *s = whole->segments;
	GrResult   *r = &whole->results[arm * whole->e->nrules + rule];
	Alarm	   *alarm = palloc(sizeof(Alarm) * Max(s->n, 1));
	StringInfoData names;
	int			n = 0;

	for (int i = 0; i < s->n; i++)
	{
		const GrResult *p = s->segment[i].v ? &s->segment[i].v->results[arm * nrules + part] : NULL;

		if (p && p->status == GR_BREACHED)
			alarm[n++] = (Alarm) {&s->segment[i], p, r->rule->worse_is_higher ? p->effect : -p->effect};
	}
	if (n == 0)
		return;
	qsort(alarm, n, sizeof(Alarm), compare_alarms);
	initStringInfo(&names);
	for (int i = 0; i < Min(n, MOST_NAMED); i++)
	{
		char		title[400];

		gr_segment_title(r->rule, alarm[i].segment->expression, alarm[i].segment->data.value,
						 title, sizeof(title));
		appendStringInfo(&names, "%s%.*s", i ? ", " : "", gr_fitting(title, 180), title);
	}
	if (n > MOST_NAMED)
		appendStringInfo(&names, " and in %d more", n - MOST_NAMED);
	r->segments = names.data;
	r->segments_reason = n == 1 ? alarm[0].result->reason :
		psprintf("%s; and in %d more segment%s", alarm[0].result->reason, n - 1, n > 2 ? "s" : "");
	r->segments_veto = whole->e->rules[rule].segment_veto;
}

/* A veto that reaches into segments which could not be judged: its rule was not measured. */
static void
hold_vetoes(Evaluation *v)
{
	const char *why = gr_segments_unjudged(v);

	for (int i = 0; why && i < v->narms * v->e->nrules; i++)
	{
		GrResult   *r = &v->results[i];

		if (!v->e->rules[i % v->e->nrules].segment_veto || r->status == GR_BREACHED)
			continue;
		r->status = GR_UNMEASURED;
		gr_append(r->reason, sizeof(r->reason), "; %s", why);
	}
}

void
gr_segments_decide(Evaluation *v)
{
	Segments   *s = v->segments;
	Experiment *e = guardrails_of(v->e);
	GrMonitor  *m = segment_monitor(v, e);

	for (int i = 0; i < s->n; i++)
		if (s->segment[i].data.why == NULL)
			s->segment[i].v = evaluate_segment(v, e, m, &s->segment[i]);
	decide_family(v, e->nrules);
	for (int a = 0; a < v->narms; a++)
		for (int k = 0; k < e->nrules; k++)
			tell_result(v, a, (int) (e->rules - v->e->rules) + k, k, e->nrules);
	hold_vetoes(v);
}

const char *
gr_segments_unjudged(const Evaluation *v)
{
	bool		veto = false;

	for (int k = 0; k < v->e->nrules; k++)
		veto |= v->e->rules[k].segment_veto;
	for (int i = 0; veto && v->segments && i < v->segments->n; i++)
		if (v->segments->segment[i].data.why)
			return psprintf("segment %s was not tested: %s", v->segments->segment[i].expression,
							v->segments->segment[i].data.why);
	return NULL;
}
