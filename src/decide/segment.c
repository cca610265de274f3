/*
 * segment.c
 *	  The guardrails of parts of the units: many tests, whose alarms are held to a
 *	  false discovery rate.
 *
 * Each segment has been decided as if it were a test of its own, without a
 * correction.  What was found so is no alarm before it survives e-BH (always_valid:
 * e-values, valid at any time and whatever their dependence) or BH (the p-values of
 * the fixed test, or of the group-sequential design at this look).  All tests count,
 * those that have too little data yet too.
 *
 * An alarm that a recorded check has raised stands.  An arm that harms no segment is
 * so blocked with probability at most alpha however long the test runs: the first
 * alarm comes at a stopping time.
 */
#include "decide/decide.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define EXPRESSION_SIZE 80
#define VALUE_SIZE 60

double
gr_segment_log_e(const GrResult *r, const GrMonitor *m)
{
	GrSample	t,
				c;
	GrTested	x = gr_tested_of(r, &t, &c);

	if (!r->usable || r->rule->evidence == GR_POINT)
		return NAN;
	return gr_test_log_e(m, &x, gr_signed_limit(r->rule), r->rule->worse_is_higher ? 1 : -1);
}

/* A status that no alarm has been allowed to enter. */
static void
settle(GrResult *r, bool alarm)
{
	if (r->rule->evidence == GR_POINT)
	{
		/* nothing bounds how often it is wrong, in one segment of many */
		if (r->status != GR_NO_DATA)
			r->status = GR_UNDECIDED;
	}
	else if (alarm || r->latched)
		r->status = GR_BREACHED;
	else if (r->status == GR_BREACHED)
		r->status = GR_UNDECIDED;
}

int
gr_decide_segments(GrResult *const *results, const double *log_e, int n,
				   const GrTestState *test, GrScratch *s)
{
	bool		e_values = gr_design_of(test->monitor->kind)->log_e != NULL;
	GrCode		code;
	int			k = 0;

	for (int i = 0; i < n; i++)
	{
		const GrResult *r = results[i];

		if (r->rule->evidence == GR_POINT)
			continue;
		s->member[k] = i;
		s->alpha[k] = r->rule->alpha;
		if (e_values)
			s->p[k++] = isnan(log_e[i]) ? -INFINITY : log_e[i];
		else
			s->p[k++] = isnan(r->p_breach) ? 1 : r->p_breach;
	}
	code = e_values ? gr_e_bh(s->p, s->alpha, k, s->divisor, s->adjusted, s->order) :
		gr_bh(s->p, s->alpha, k, s->divisor, s->adjusted, s->order);
	for (int j = 0; j < k; j++)
	{
		GrResult   *r = results[s->member[j]];

		r->p_breach_adjusted = code == GR_OK && !isnan(r->p_breach) ? s->adjusted[j] : NAN;
	}
	for (int i = 0; i < n; i++)
		settle(results[i], results[i]->p_breach_adjusted <= results[i]->rule->alpha);
	return k;
}

void
gr_segment_title(const GrRule *rule, const char *expression, const char *value,
				 char *buf, size_t size)
{
	char		title[160];

	gr_rule_title(rule, title, sizeof(title));
	if (value)
		snprintf(buf, size, "%s where %.*s%s is '%.*s%s'", title,
				 gr_fitting(expression, EXPRESSION_SIZE), expression,
				 strlen(expression) > EXPRESSION_SIZE ? "..." : "",
				 gr_fitting(value, VALUE_SIZE), value, strlen(value) > VALUE_SIZE ? "..." : "");
	else
		snprintf(buf, size, "%s where %.*s%s is null", title,
				 gr_fitting(expression, EXPRESSION_SIZE), expression,
				 strlen(expression) > EXPRESSION_SIZE ? "..." : "");
}

/* What the correction over the segments made of it. */
static void
correction_note(const GrResult *r, int ntests, const GrTestState *test, char *buf, size_t size)
{
	const char *method = gr_design_of(test->monitor->kind)->segments_by;
	bool		alarm = r->p_breach_adjusted <= r->rule->alpha;

	buf[0] = '\0';
	if (r->rule->evidence == GR_POINT)
		snprintf(buf, size, "; a point rule raises no alarm in segments: it has no error rate");
	else if (alarm)
		snprintf(buf, size, "; alarm after %s over %d test%s", method, ntests, ntests == 1 ? "" : "s");
	else if (r->status == GR_BREACHED)
		snprintf(buf, size, "; the alarm of an earlier check stands");
	else if (r->p_breach <= r->rule->alpha)
		snprintf(buf, size, "; no alarm after %s over %d test%s", method, ntests, ntests == 1 ? "" : "s");
}

void
gr_reason_of_segment(GrResult *r, const char *expression, const char *value,
					 int ntests, const GrArm *control, const GrTestState *test)
{
	char		rule[160],
				title[400],
				note[100],
				whole[2 * GR_REASON_SIZE + 100];
	const char *rest = "";

	gr_rule_title(r->rule, rule, sizeof(rule));
	gr_segment_title(r->rule, expression, value, title, sizeof(title));
	correction_note(r, ntests, test, note, sizeof(note));
	/* that is said by the note, in other words */
	r->is_witness[GR_TEST_BREACH] = true;
	/* what stands without data has no bound to show */
	if (r->status != GR_BREACHED || isfinite(r->rule->worse_is_higher ? r->lower : r->upper))
	{
		gr_reason_of_result(r, control, test);
		rest = r->reason + strlen(rule);
	}
	snprintf(whole, sizeof(whole), "%s%s%s", title, rest, note);
	whole[gr_fitting(whole, GR_REASON_SIZE - 1)] = '\0';
	memcpy(r->reason, whole, strlen(whole) + 1);
}
