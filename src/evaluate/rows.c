/*
 * rows.c
 *	  An evaluation as rows: the columns of guardrail_evaluate and
 *	  guardrail_decide, which the logs record as they are.
 */
#include "evaluate/put.h"

#include <math.h>

#include "catalog/pg_type.h"

const RowColumn gr_result_columns[] = {
	{"experiment_id", TEXTOID}, {"variant", TEXTOID}, {"metric", TEXTOID},
	{"role", TEXTOID}, {"severity", TEXTOID}, {"kind", TEXTOID},
	{"north_star", BOOLOID},
	{"control_value", FLOAT8OID}, {"treatment_value", FLOAT8OID},
	{"control_se", FLOAT8OID}, {"treatment_se", FLOAT8OID},
	{"effect", FLOAT8OID}, {"effect_lower", FLOAT8OID}, {"effect_upper", FLOAT8OID},
	{"limit_kind", TEXTOID}, {"limit_value", FLOAT8OID},
	{"evidence", TEXTOID}, {"alpha", FLOAT8OID},
	{"p_breach", FLOAT8OID}, {"p_breach_adjusted", FLOAT8OID}, {"p_safe", FLOAT8OID},
	{"p_value", FLOAT8OID}, {"p_value_adjusted", FLOAT8OID},
	{"status", TEXTOID}, {"reason", TEXTOID},
	{"units_control", INT8OID}, {"units_treatment", INT8OID},
	{"events_control", INT8OID}, {"events_treatment", INT8OID},
	{"units_needed", INT8OID}, {"display_unit", TEXTOID}, {"watch", BOOLOID}
};

const int	gr_result_ncolumns = lengthof(gr_result_columns);

const RowColumn gr_verdict_columns[] = {
	{"experiment_id", TEXTOID}, {"variant", TEXTOID},
	{"verdict", TEXTOID}, {"status", TEXTOID}, {"reason", TEXTOID},
	{"primary_metric", TEXTOID}, {"primary_status", TEXTOID},
	{"primary_effect", FLOAT8OID}, {"primary_lower", FLOAT8OID}, {"primary_upper", FLOAT8OID},
	{"guardrails", INT4OID}, {"breached", INT4OID}, {"safe", INT4OID},
	{"undecided", INT4OID}, {"no_data", INT4OID},
	{"srm_p", FLOAT8OID}, {"crossover_share", FLOAT8OID}, {"crossover_units", INT8OID},
	{"units_control", INT8OID}, {"units_treatment", INT8OID},
	{"events_control", INT8OID}, {"events_treatment", INT8OID},
	{"null_unit_rows", INT8OID}, {"unknown_arm_rows", INT8OID},
	{"monitoring", TEXTOID}, {"information", FLOAT8OID},
	{"unmeasured", INT4OID}, {"watch", INT4OID}
};

const int	gr_verdict_ncolumns = lengthof(gr_verdict_columns);

StaticAssertDecl(lengthof(gr_result_columns) <= GR_MAX_ROW, "GR_MAX_ROW");

void
gr_result_row(const Evaluation *v, int arm, int rule, Datum *values, bool *nulls)
{
	const GrResult *r = &v->results[arm * v->e->nrules + rule];
	const CellCounts *c = &v->counts[arm * v->e->nrules + rule];
	const Rule *row = &v->e->rules[rule];
	bool		guardrail = row->rule.role == GR_GUARDRAIL;
	Writer		w = {values, nulls, 0};

	put_text(&w, v->e->id);
	put_text(&w, r->arm->name);
	put_text(&w, row->rule.metric);
	put_text(&w, gr_words_role[row->rule.role]);
	put_text(&w, guardrail ? gr_words_severity[row->rule.severity] : NULL);
	put_text(&w, row->rule.kind->name);
	put(&w, BoolGetDatum(row->north_star), false);
	put_number(&w, r->control.value);
	put_number(&w, r->treatment.value);
	put_number(&w, finite_or_nan(sqrt(r->control.variance)));
	put_number(&w, finite_or_nan(sqrt(r->treatment.variance)));
	put_number(&w, r->effect);
	put_number(&w, r->status == GR_NO_DATA ? NAN : r->lower);
	put_number(&w, r->status == GR_NO_DATA ? NAN : r->upper);
	put_text(&w, gr_words_limit_kind[row->rule.limit_kind]);
	put_number(&w, row->rule.limit_kind == GR_LIMIT_SIGNIFICANCE ? NAN : row->rule.limit_value);
	put_text(&w, guardrail ? gr_words_evidence[row->rule.evidence] : NULL);
	put_number(&w, guardrail && row->rule.evidence == GR_POINT ? NAN : row->rule.alpha);
	put_number(&w, r->p_breach);
	put_number(&w, r->p_breach_adjusted);
	put_number(&w, r->p_safe);
	put_number(&w, r->p_value);
	put_number(&w, r->p_value_adjusted);
	put_text(&w, gr_status_word(r->status));
	put_text(&w, r->reason);
	put_count(&w, c->units_control);
	put_count(&w, c->units_treatment);
	put_count(&w, c->events_control);
	put_count(&w, c->events_treatment);
	put(&w, Int64GetDatum(isnan(r->units_needed) ? 0 : (int64) r->units_needed),
		isnan(r->units_needed));
	put_text(&w, row->rule.display_unit);
	put(&w, BoolGetDatum(r->watch), false);
	Assert(w.n == gr_result_ncolumns);
}

void
gr_verdict_row(const Evaluation *v, int arm, Datum *values, bool *nulls)
{
	const GrArmVerdict *d = &v->verdicts[arm];
	const GrResult *p = d->primary;
	double		seen = (double) (v->test.total_units + v->test.crossover_units);
	Writer		w = {values, nulls, 0};

	put_text(&w, v->e->id);
	put_text(&w, v->arms[arm].name);
	put_text(&w, gr_verdict_word(d->verdict));
	put_text(&w, d->status);
	put_text(&w, d->reason);
	put_text(&w, p ? p->rule->metric : NULL);
	put_text(&w, p ? gr_status_word(p->status) : NULL);
	put_number(&w, p ? p->effect : NAN);
	put_number(&w, p && p->status != GR_NO_DATA ? p->lower : NAN);
	put_number(&w, p && p->status != GR_NO_DATA ? p->upper : NAN);
	put(&w, Int32GetDatum(d->guardrails), false);
	put(&w, Int32GetDatum(d->breached), false);
	put(&w, Int32GetDatum(d->safe), false);
	put(&w, Int32GetDatum(d->undecided), false);
	put(&w, Int32GetDatum(d->no_data), false);
	put_number(&w, v->test.srm_p);
	put_number(&w, seen > 0 ? (double) v->test.crossover_units / seen : NAN);
	put_count(&w, v->test.crossover_units);
	put_count(&w, v->control.units);
	put_count(&w, v->arms[arm].units);
	put_count(&w, v->control.events);
	put_count(&w, v->arms[arm].events);
	put_count(&w, v->c->null_unit_rows);
	put_count(&w, v->c->unknown_arm_rows);
	put_text(&w, gr_design_of(v->e->monitoring)->name);
	put_number(&w, v->e->planned_units > 0 ?
			   (double) v->test.mature_units / (double) v->e->planned_units : NAN);
	put(&w, Int32GetDatum(d->unmeasured), false);
	put(&w, Int32GetDatum(d->watch), false);
	Assert(w.n == gr_verdict_ncolumns);
}
