/*
 * rows.c
 *	  An evaluation as rows: the columns of guardrail_evaluate and
 *	  guardrail_decide, which the logs record as they are (sql/columns).
 */
#include "evaluate/loosened.h"

void
gr_result_row(const Evaluation *v, int arm, int rule, Writer *w)
{
	const GrResult *r = &v->results[arm * v->e->nrules + rule];
	const CellCounts *c = &v->counts[arm * v->e->nrules + rule];
	const Rule *row = &v->e->rules[rule];
	bool		guardrail = row->rule.role == GR_GUARDRAIL;

	put_text(w, "experiment_id", v->e->id);
	put_text(w, "variant", r->arm->name);
	put_text(w, "metric", row->rule.metric);
	put_text(w, "role", gr_words_role[row->rule.role]);
	put_text(w, "severity", guardrail ? gr_words_severity[row->rule.severity] : NULL);
	put_text(w, "kind", row->rule.kind->name);
	put_bool(w, "north_star", row->north_star);
	put_number(w, "control_value", r->control.value);
	put_number(w, "treatment_value", r->treatment.value);
	put_number(w, "control_se", finite_or_nan(sqrt(r->control.variance)));
	put_number(w, "treatment_se", finite_or_nan(sqrt(r->treatment.variance)));
	put_number(w, "effect", r->effect);
	put_number(w, "effect_lower", r->status == GR_NO_DATA ? NAN : r->lower);
	put_number(w, "effect_upper", r->status == GR_NO_DATA ? NAN : r->upper);
	put_text(w, "limit_kind", gr_words_limit_kind[row->rule.limit_kind]);
	put_number(w, "limit_value", row->rule.limit_kind == GR_LIMIT_SIGNIFICANCE ? NAN : row->rule.limit_value);
	put_text(w, "evidence", guardrail ? gr_words_evidence[row->rule.evidence] : NULL);
	put_number(w, "alpha", guardrail && row->rule.evidence == GR_POINT ? NAN : row->rule.alpha);
	put_number(w, "p_breach", r->p_breach);
	put_number(w, "p_breach_adjusted", r->p_breach_adjusted);
	put_number(w, "p_safe", r->p_safe);
	put_number(w, "p_value", r->p_value);
	put_number(w, "p_value_adjusted", r->p_value_adjusted);
	put_text(w, "status", gr_status_word(r->status));
	put_text(w, "reason", r->reason);
	put_count(w, "units_control", c->units_control);
	put_count(w, "units_treatment", c->units_treatment);
	put_count(w, "events_control", c->events_control);
	put_count(w, "events_treatment", c->events_treatment);
	put(w, "units_needed", INT8OID, Int64GetDatum(isnan(r->units_needed) ? 0 : (int64) r->units_needed),
		isnan(r->units_needed));
	put_text(w, "display_unit", row->rule.display_unit);
	put_bool(w, "watch", r->watch);
}

void
gr_verdict_row(const Evaluation *v, int arm, Writer *w)
{
	const GrArmVerdict *d = &v->verdicts[arm];
	const GrResult *p = d->primary;
	double		seen = (double) (v->test.total_units + v->test.crossover_units);

	put_text(w, "experiment_id", v->e->id);
	put_text(w, "variant", v->arms[arm].name);
	put_text(w, "verdict", gr_verdict_word(d->verdict));
	put_text(w, "status", d->status);
	put_text(w, "reason", d->reason);
	put_text(w, "primary_metric", p ? p->rule->metric : NULL);
	put_text(w, "primary_status", p ? gr_status_word(p->status) : NULL);
	put_number(w, "primary_effect", p ? p->effect : NAN);
	put_number(w, "primary_lower", p && p->status != GR_NO_DATA ? p->lower : NAN);
	put_number(w, "primary_upper", p && p->status != GR_NO_DATA ? p->upper : NAN);
	put_int(w, "guardrails", d->guardrails);
	put_int(w, "breached", d->breached);
	put_int(w, "safe", d->safe);
	put_int(w, "undecided", d->undecided);
	put_int(w, "no_data", d->no_data);
	put_number(w, "srm_p", v->test.srm_p);
	put_number(w, "crossover_share", seen > 0 ? (double) v->test.crossover_units / seen : NAN);
	put_count(w, "crossover_units", v->test.crossover_units);
	put_count(w, "units_control", v->control.units);
	put_count(w, "units_treatment", v->arms[arm].units);
	put_count(w, "events_control", v->control.events);
	put_count(w, "events_treatment", v->arms[arm].events);
	put_count(w, "null_unit_rows", v->c->null_unit_rows);
	put_count(w, "unknown_arm_rows", v->c->unknown_arm_rows);
	put_text(w, "monitoring", gr_design_of(v->e->monitoring)->name);
	put_number(w, "information", v->e->planned_units > 0 ?
			   (double) v->test.mature_units / (double) v->e->planned_units : NAN);
	put_int(w, "unmeasured", d->unmeasured);
	put_int(w, "watch", d->watch);
	put_bool(w, "amended_after_data", v->loosened->n > 0);
}
