/*
 * explain.c
 *	  guardrail_explain: how a verdict came about, for whoever doubts it.
 */
#include "api/api.h"
#include "catalog/validate.h"
#include "evaluate/source.h"

#include <math.h>

#include "miscadmin.h"

/* How times are read that could be read otherwise. */
static void
explain_zone(StringInfo buf, const Experiment *e)
{
	char	   *columns = gr_columns_without_zone(e->events, e->time_column, e->exposures, e->exposed_at_column);

	if (columns)
		appendStringInfo(buf, "\nTimes without a zone are read as UTC: %s\n", columns);
}

/* The design, and where it stands. */
static void
explain_monitor(StringInfo buf, const Evaluation *v)
{
	const GrMonitor *m = &v->monitor;
	char		words[GR_REASON_SIZE] = "";

	gr_design_of(m->kind)->describe(m, gr_words_spending[m->spending], v->test.over, words, sizeof(words));
	appendStringInfo(buf, "  %s\n", words);
}

/* The z that a bound rests on now. */
static void
explain_multiplier(StringInfo buf, const Evaluation *v, const GrResult *r, GrTestKind kind,
				   double level, const char *what)
{
	GrMonitor  *m = (GrMonitor *) &v->monitor;

	if (!gr_design_of(m->kind)->reads_df && r->usable)
		appendStringInfo(buf, "    z that the %s needs now at level %.6g: %.6g\n", what, level,
						 gr_monitor_multiplier(m, kind, level, &r->at));
}

static void
explain_counts(StringInfo buf, const Evaluation *v)
{
	const GrTestState *t = &v->test;

	appendStringInfo(buf, "\nUnits and events\n");
	for (int i = -1; i < v->narms; i++)
	{
		const GrArm *arm = i < 0 ? &v->control : &v->arms[i];

		appendStringInfo(buf, "  %s%s: " INT64_FORMAT " units, " INT64_FORMAT " events\n",
						 arm->name, i < 0 ? " (control)" : "", arm->units, arm->events);
	}
	appendStringInfo(buf, "  left out: " INT64_FORMAT " units seen in two arms, " INT64_FORMAT
					 " rows without a unit, " INT64_FORMAT " rows of unknown arms\n",
					 t->crossover_units, v->c->null_unit_rows, v->c->unknown_arm_rows);
	if (isnan(t->srm_p))
		appendStringInfo(buf, "  split: not tested, too few units\n");
	else
		appendStringInfo(buf, "  split: %s p = %.6g, alarm below %g\n",
						 gr_design_of(v->e->monitoring)->split_by, t->srm_p, t->srm_alpha);
	if (t->planned_units > 0)
		appendStringInfo(buf, "  " INT64_FORMAT " of " INT64_FORMAT " planned units%s\n",
						 t->mature_units, t->planned_units,
						 t->mature_units < t->total_units ? " are in and mature" : "");
	explain_monitor(buf, v);
}

/* The per-arm estimate's formula with its numbers. */
static void
explain_arm(StringInfo buf, const Evaluation *v, const char *name, const Rule *rule,
			const GrEstimate *estimate)
{
	const ArmData *arm = gr_collection_arm(v->c, name);
	const MetricData *m;

	m = arm ? &arm->metrics[rule->metric] : NULL;
	if (m && m->immature > 0)
		appendStringInfo(buf, "    %s: " INT64_FORMAT " of " INT64_FORMAT " units left out: their windows"
						 " close after %s, or they have no time\n", name, m->immature, arm->units, v->e->as_of);
	if (m == NULL || isnan(estimate->value))
	{
		appendStringInfo(buf, "    %s: no data\n", name);
		return;
	}
	if (m->batch)
		appendStringInfo(buf, "    %s: p%g of " INT64_FORMAT " values = %.9g, standard error %.6g"
						 " (Woodruff, clustered in batches of units), df %g\n",
						 name, rule->rule.quantile * 100,
						 gr_histogram_total(m->pooled.bins, m->pooled.nbins),
						 estimate->value, sqrt(estimate->variance), estimate->df);
	else if (m->adjusted.dim > 0)
		appendStringInfo(buf, "    %s: " INT64_FORMAT " units, " INT64_FORMAT " of them with the covariate;"
						 " adjusted value %.9g, standard error %.6g (CUPED)\n",
						 name, m->moments.n + m->adjusted.n, m->adjusted.n, estimate->value,
						 sqrt(estimate->variance));
	else if (m->moments.dim == 2)
		appendStringInfo(buf, "    %s: ratio of sums %.9g / %.9g = %.9g, standard error %.6g"
						 " (delta method over " INT64_FORMAT " units)\n",
						 name, m->moments.sum_hi[0], m->moments.sum_hi[1], estimate->value,
						 sqrt(estimate->variance), m->moments.n);
	else
		appendStringInfo(buf, "    %s: mean of " INT64_FORMAT " units = %.9g, variance %.9g,"
						 " standard error sqrt(variance / n) = %.6g\n",
						 name, m->moments.n, estimate->value,
						 gr_moments_cov(&m->moments, 0, 0), sqrt(estimate->variance));
	if (m->skipped > 0)
		appendStringInfo(buf, "      " INT64_FORMAT " units left out: not finite\n", m->skipped);
}

/* Which test the samples of two arms are put to (sample.h). */
static const char *
name_of_test(const GrTested *x)
{
	if (x->kind != GR_ABSOLUTE && x->treatment->kind != x->control->kind)
		return "Welch's t, of estimates alone";
	switch (x->treatment->kind)
	{
		case GR_SAMPLE_MEAN:
			return "the less extreme of Hall's test and the pooled score";
		case GR_SAMPLE_RATIO:
			return "the less extreme of Hall's test and the pooled score of residuals at the limit";
		case GR_SAMPLE_SHARE:
			return x->kind == GR_RELATIVE ? "Koopman's score, safety exact below 10 expected events" :
				x->kind == GR_ABSOLUTE ? "score against a fixed share, safety exact below 10 expected events" :
				"Miettinen and Nurminen's score, safety exact below 10 expected events";
		case GR_SAMPLE_QUANTILE:
			return "limits of each arm, combined by MOVER";
		default:
			return "Welch's t, of estimates alone";
	}
}

/* d, and what it is evidence of in either direction; false: nothing can be tested. */
static bool
explain_evidence(StringInfo buf, const GrResult *r)
{
	const GrRule *rule = r->rule;
	double		margin = gr_signed_limit(rule);
	GrSample	t,
				c;
	GrTested	x = gr_tested_of(r, &t, &c);
	GrSaid		above,
				below;

	if (gr_evidence(x.kind, x.treatment, x.control, margin, 1, &above) != GR_OK ||
		gr_evidence(x.kind, x.treatment, x.control, margin, -1, &below) != GR_OK)
	{
		appendStringInfo(buf, "    nothing can be tested\n");
		return false;
	}
	appendStringInfo(buf, x.kind == GR_ABSOLUTE ? "    d = treatment - %g" :
					 x.kind == GR_RELATIVE ? "    d = treatment - %g control" :
					 "    d = treatment - control - %g", x.kind == GR_RELATIVE ? 1 + margin : margin);
	appendStringInfo(buf, " = %.6g; evidence that it is above 0: z %.6g, below 0: z %.6g",
					 gr_beyond(x.kind, x.treatment, x.control, margin), above.z, below.z);
	if (isfinite(above.df))
		appendStringInfo(buf, ", df %.6g", above.df);
	appendStringInfo(buf, "\n      (%s)\n", name_of_test(&x));
	if (!isnan(above.skew))
		appendStringInfo(buf, "      skewness of d %.3g\n", above.skew);
	if (!isnan(above.heaviest))
		appendStringInfo(buf, "      the largest unit carries %.2g %% of the test\n", above.heaviest * 100);
	if (!isnan(above.expected))
		appendStringInfo(buf, "      least count expected at the limit %.6g\n", fmin(above.expected, below.expected));
	return true;
}

static void
explain_test(StringInfo buf, const Evaluation *v, const GrResult *r)
{
	const GrRule *rule = r->rule;

	if (!explain_evidence(buf, r))
		return;
	appendStringInfo(buf, "    effect %.9g, bounds %.9g (one-sided level %.6g) and %.9g (level %.6g)\n",
					 r->effect, r->lower, 1 - r->level_lower, r->upper, 1 - r->level_upper);
	if (rule->role == GR_GUARDRAIL)
	{
		explain_multiplier(buf, v, r, GR_TEST_BREACH,
						   rule->worse_is_higher ? r->level_lower : r->level_upper, "breach bound");
		explain_multiplier(buf, v, r, GR_TEST_SAFE,
						   rule->worse_is_higher ? r->level_upper : r->level_lower, "safety bound");
	}
	else
		explain_multiplier(buf, v, r, GR_TEST_GOAL, 2 * r->level_lower, "interval");
	if (!isnan(r->p_breach))
		appendStringInfo(buf, "    p of the breach %.6g, adjusted %.6g, alpha %g; p of the safety %.6g\n",
						 r->p_breach, r->p_breach_adjusted, rule->alpha, r->p_safe);
	if (!isnan(r->p_value))
		appendStringInfo(buf, "    two-sided p %.6g, adjusted %.6g, alpha %g\n",
						 r->p_value, r->p_value_adjusted, rule->alpha);
}

static void
explain_result(StringInfo buf, const Evaluation *v, int a, int k)
{
	const GrResult *r = &v->results[a * v->e->nrules + k];
	const Rule *rule = &v->e->rules[k];

	appendStringInfo(buf, "  %s (%s, %s): %s\n    %s\n", rule->rule.metric,
					 gr_words_role[rule->rule.role], rule->rule.kind->name,
					 gr_status_word(r->status), r->reason);
	explain_arm(buf, v, v->control.name, rule, &r->control);
	explain_arm(buf, v, r->arm->name, rule, &r->treatment);
	if (r->status == GR_NO_DATA)
		return;
	if (rule->rule.role == GR_GUARDRAIL && rule->rule.evidence == GR_POINT)
		appendStringInfo(buf, "    the estimate alone decides: no error rate is claimed\n");
	else
		explain_test(buf, v, r);
	if (!isnan(r->units_needed))
		appendStringInfo(buf, "    would be decided with power %.3g by about %.0f more units in %s%s\n",
						 1 - v->test.beta, r->units_needed, r->arm->name,
						 rule->rule.role == GR_GUARDRAIL ? ", if there is no harm" :
						 ", if the effect is what it is estimated to be");
}

char *
gr_explain(const Evaluation *v, const char *schema)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "Experiment %s, state %s, monitoring %s, correction %s\n",
					 v->e->id, v->e->state, gr_design_of(v->e->monitoring)->name,
					 gr_words_correction[v->e->correction]);
	appendStringInfo(&buf, "\nThe statement, run as %s\n%s\n",
					 gr_owner_name(v->e),
					 v->source->statement(v->e, v->scanned, schema));
	explain_zone(&buf, v->e);
	if (v->source->remark)
		appendStringInfo(&buf, "\n%s\n", v->source->remark(v));
	explain_counts(&buf, v);
	for (int a = 0; a < v->narms; a++)
	{
		appendStringInfo(&buf, "\nArm %s: %s\n  %s\n", v->arms[a].name,
						 gr_verdict_word(v->verdicts[a].verdict), v->verdicts[a].reason);
		for (int k = 0; k < v->e->nrules; k++)
			explain_result(&buf, v, a, k);
	}
	gr_segments_explain(&buf, v);
	return buf.data;
}
