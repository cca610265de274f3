/*
 * optimize.c
 *	  guardrail_optimize: the best setting of a number, of which the arms are
 *	  settings, that keeps to every blocking guardrail.
 *
 * The mathematics is in stats/response.h.  Each guardrail's alpha is divided by
 * the number of guardrails: all of them hold at the setting returned with
 * probability 1 - alpha.
 */
#include "choice/choice.h"
#include "base/put.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "stats/response.h"
#include "utils/array.h"

PG_FUNCTION_INFO_V1(guardrail_optimize);

/* The settings of the arms; NaN: it has none. */
typedef struct Settings
{
	double		control;
	double	   *arm;			/* [narms] */
	StringInfo	unseen;			/* arms without units, in words */
} Settings;

typedef struct Search
{
	Evaluation *v;
	Bounds		bounds;
	Settings	settings;
	int			primary;		/* of the rules */
	int			nguards;
	int		   *guard;			/* rules */
	GrGoal		goal;
	GrConstraint *constraints;
} Search;

/* What is answered. */
typedef struct Answer
{
	const char *status;
	char	   *reason;
	bool		searched;
	GrOptimum	best;
} Answer;

static Settings
load_settings(const Evaluation *v, const char *schema)
{
	const char *args[] = {v->e->id};
	Settings	s = {NAN, palloc(sizeof(double) * Max(v->narms, 1)), makeStringInfo()};

	for (int a = 0; a < v->narms; a++)
		s.arm[a] = NAN;
	gr_spi_query(psprintf("SELECT p.key, p.value::double precision FROM %s.guardrail_experiment e,"
						  " LATERAL pg_catalog.jsonb_each_text(CASE pg_catalog.jsonb_typeof(e.parameter) WHEN 'object' THEN e.parameter END) AS p WHERE e.experiment_id = $1",
						  schema), true, 1, args);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the variants of experiment \"%s\" have no numeric settings", v->e->id),
				 errhint("Set column \"parameter\" of guardrail_experiment to at least three settings, such as "
						 "{\"control\": 0, \"low\": 0.5, \"high\": 1}.")));
	for (int row = 0; row < (int) SPI_processed; row++)
	{
		char	   *name = gr_spi_text(row, 1);
		double		x = gr_spi_float8(row, 2, NAN);
		bool		seen = strcmp(name, v->control.name) == 0;

		if (seen)
			s.control = x;
		for (int a = 0; a < v->narms; a++)
			if (strcmp(name, v->arms[a].name) == 0)
			{
				s.arm[a] = x;
				seen = v->arms[a].units > 0;
			}
		if (!seen)
			appendStringInfo(s.unseen, "; the events contain no unit of variant \"%.*s\"", gr_fitting(name, 100), name);
	}
	return s;
}

static void
require_settings(const Search *s)
{
	int			n = !isnan(s->settings.control);

	for (int a = 0; a < s->v->narms; a++)
		n += !isnan(s->settings.arm[a]);
	if (n < GR_MIN_SETTINGS && s->v->narms > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("only %d variants of experiment \"%s\" have a setting", n, s->v->e->id),
				 errdetail("guardrail_optimize() needs at least %d settings.", GR_MIN_SETTINGS),
				 errhint("Name the variants in column \"parameter\" of guardrail_experiment as they are written in the events.")));
}

/* One arm's value of a rule as a point of the response. */
static GrSetting
point(const Search *s, double setting, const GrEstimate *e, int64 units, double level)
{
	GrSetting	p = {setting, e->value, e->variance, NAN};

	if (!gr_design_of(s->v->monitor.kind)->once)
		p.half_width = sqrt(e->variance) * gr_bounds_multiplier(&s->bounds, level, (double) units, e->df);
	return p;
}

/* Has the arm what it takes to decide on its value? */
static bool
is_known(const Evaluation *v, const GrResult *r)
{
	return r->status != GR_NO_DATA && r->arm->units >= v->test.min_units &&
		gr_obstacle_allows_claims(r->obstacle) && isfinite(r->treatment.variance);
}

/*
 * Fit the response of a rule.  alpha: over all arms, and the control where it is
 * compared with from outside.
 */
static bool
fit_rule(const Search *s, int k, double alpha, bool outside, GrResponse *out)
{
	const Evaluation *v = s->v;
	GrSetting  *arms = palloc(sizeof(GrSetting) * (v->narms + 1));
	double		level = alpha / (v->narms + (outside || !isnan(s->settings.control)));
	const GrResult *r = &v->results[k];
	int			n = 0;

	if (!isnan(s->settings.control) && v->control.units >= v->test.min_units && isfinite(r->control.variance))
		arms[n++] = point(s, s->settings.control, &r->control, v->control.units, level);
	for (int a = 0; a < v->narms; a++)
	{
		r = &v->results[a * v->e->nrules + k];
		if (!isnan(s->settings.arm[a]) && is_known(v, r))
			arms[n++] = point(s, s->settings.arm[a], &r->treatment, r->arm->units, level);
	}
	return gr_response_fit(arms, n, out) == GR_OK;
}

/* What a guardrail asks; false when it cannot be fitted. */
static bool
fit_guardrail(const Search *s, int k, GrConstraint *c)
{
	const Evaluation *v = s->v;
	const GrRule *rule = &v->e->rules[k].rule;
	const GrEstimate *control = &v->results[k].control;
	double		limit = gr_signed_limit(rule);
	double		alpha = rule->alpha / s->nguards;
	bool		compares = rule->limit_kind != GR_LIMIT_ABSOLUTE;
	bool		outside = compares && isnan(s->settings.control);

	memset(c, 0, sizeof(*c));
	c->sign = rule->worse_is_higher ? 1 : -1;
	c->factor = !compares ? 0 : rule->limit_kind == GR_LIMIT_RELATIVE ? 1 + limit : 1;
	c->offset = rule->limit_kind == GR_LIMIT_RELATIVE ? 0 : limit;
	c->level = alpha;
	c->reference_fitted = compares && !outside;
	c->reference.setting = s->settings.control;
	if (!fit_rule(s, k, alpha, outside, &c->response))
		return false;
	if (compares && (!isfinite(control->variance) || v->control.units < v->test.min_units ||
					 (rule->limit_kind == GR_LIMIT_RELATIVE && !(control->value > 0))))
		return false;
	if (outside)
		c->reference = point(s, NAN, control, v->control.units, alpha / (v->narms + 1));
	gr_constraint_prepare(c);
	return true;
}

/* Let a cancel through. */
static void
breathe(void)
{
	CHECK_FOR_INTERRUPTS();
}

/* Fit all; the rule that cannot be fitted, or -1. */
static int
fit_all(Search *s)
{
	const Evaluation *v = s->v;
	const GrRule *primary = &v->e->rules[s->primary].rule;

	s->goal.sign = primary->worse_is_higher ? -1 : 1;
	s->goal.alpha = primary->alpha;
	s->goal.breathe = breathe;
	if (!fit_rule(s, s->primary, primary->alpha, false, &s->goal.response))
		return s->primary;
	for (int i = 0; i < s->nguards; i++)
	{
		CHECK_FOR_INTERRUPTS();
		if (!fit_guardrail(s, s->guard[i], &s->constraints[i]))
			return s->guard[i];
	}
	return -1;
}

/* ---- words ------------------------------------------------------------------- */

static const char *
metric_name(const Search *s, int rule)
{
	return s->v->e->rules[rule].rule.metric;
}

static void
append_next(StringInfo buf, const GrOptimum *best)
{
	for (int i = 0; i < best->nnext; i++)
		appendStringInfo(buf, "%s%.4g", i ? " and " : "; next to try: ", best->next[i]);
}

static void
describe(const Search *s, Answer *out)
{
	const GrOptimum *best = &out->best;
	const char *metric = metric_name(s, s->primary);
	const char *guard = best->binding >= 0 ? metric_name(s, s->guard[best->binding]) : NULL;
	StringInfoData buf;

	initStringInfo(&buf);
	switch (best->status)
	{
		case GR_SETTING_FOUND:
			out->status = "OPTIMUM";
			appendStringInfo(&buf, "among the settings proven safe by every blocking guardrail, %.100s is %s at %.4g",
							 metric, s->goal.sign > 0 ? "largest" : "smallest", best->setting);
			if (guard)
				appendStringInfo(&buf, "; %.100s is nearest to its limit there", guard);
			appendStringInfo(&buf, "; settings from %.4g to %.4g are not proven worse", best->near_lower, best->near_upper);
			break;
		case GR_SETTING_NONE_SAFE:
			out->status = "UNSAFE";
			appendStringInfo(&buf, "no setting is proven safe by every blocking guardrail; "
							 "at the best setting for %.100s, guardrail %.100s is furthest from proof", metric, guard);
			break;
		case GR_SETTING_FLAT:
			out->status = "FLAT";
			appendStringInfo(&buf, "the data cannot tell the settings apart: %.100s is not proven worse at any of them", metric);
			break;
		case GR_SETTING_NO_FIT:
			out->status = "MISFIT";
			appendStringInfo(&buf, "the response of %.100s is not quadratic (p = %.2g)",
							 metric_name(s, best->misfit < 0 ? s->primary : s->guard[best->misfit]), best->p_fit);
			break;
	}
	if (isnan(best->p_fit))
		appendStringInfoString(&buf, "; a quadratic always fits three settings, so its fit cannot be tested");
	append_next(&buf, best);
	appendStringInfoString(&buf, s->settings.unseen->data);
	out->reason = buf.data;
}

static Answer
answer(Search *s)
{
	const Evaluation *v = s->v;
	Answer		out = {0};
	char		why[GR_REASON_SIZE];
	int			unfit;

	if (gr_test_invalid(&v->test, why, sizeof(why)))
		return (Answer) {"INVALID", pstrdup(why)};
	if (!v->test.over)
		return (Answer) {"UNDECIDED", "the test is not over, and a fixed test proves nothing before its end"};
	if (s->bounds.look < 0)
		return (Answer) {"UNDECIDED", "nothing can be proven between two looks; the next recorded check is a look"};
	if (v->narms == 0)
		return (Answer) {"NO DATA", "the events contain no unit of a treatment variant"};
	unfit = fit_all(s);
	if (unfit >= 0)
		return (Answer) {"NO DATA", psprintf("the value of %.100s is too uncertain: it needs enough data in at least three settings, and in the control "
											 "if the rule compares with it%s", metric_name(s, unfit), s->settings.unseen->data)};
	gr_optimize(&s->goal, s->constraints, s->nguards, &out.best);
	out.searched = true;
	describe(s, &out);
	return out;
}

static void
put_answer(Writer *w, const Search *s, const Answer *a)
{
	const GrOptimum *b = &a->best;
	Datum		next[GR_MAX_NEXT];

	for (int i = 0; i < b->nnext; i++)
		next[i] = Float8GetDatum(b->next[i]);
	put_text(w, "experiment_id", s->v->e->id);
	put_text(w, "status", a->status);
	put_number(w, "setting", a->searched ? b->setting : NAN);
	put_text(w, "primary_metric", metric_name(s, s->primary));
	put_number(w, "primary_value", a->searched ? b->value : NAN);
	put_number(w, "primary_lower", a->searched ? b->lower : NAN);
	put_number(w, "primary_upper", a->searched ? b->upper : NAN);
	put_number(w, "setting_lower", a->searched ? b->near_lower : NAN);
	put_number(w, "setting_upper", a->searched ? b->near_upper : NAN);
	put_text(w, "guardrail", a->searched && b->binding >= 0 ? metric_name(s, s->guard[b->binding]) : NULL);
	put_number(w, "fit_p", a->searched ? b->p_fit : NAN);
	put(w, "next_settings", FLOAT8ARRAYOID,
		PointerGetDatum(construct_array(next, b->nnext, FLOAT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE)),
		!a->searched);
	put_text(w, "reason", a->reason);
}

static Search
make_search(Evaluation *v, const char *schema)
{
	Search		s = {.v = v, .primary = -1};

	s.guard = palloc(sizeof(int) * v->e->nrules);
	for (int k = 0; k < v->e->nrules; k++)
	{
		const GrRule *rule = &v->e->rules[k].rule;

		if (rule->role == GR_PRIMARY)
			s.primary = k;
		else if (rule->role == GR_GUARDRAIL && rule->severity == GR_BLOCK)
			s.guard[s.nguards++] = k;
	}
	if (s.primary < 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("experiment \"%s\" has no primary metric", v->e->id),
				 errhint("Set role to 'primary' in one of its rules.")));
	s.constraints = palloc0(sizeof(GrConstraint) * Max(s.nguards, 1));
	s.bounds = gr_bounds_make(v, schema, 2 * (s.nguards + 1));
	s.settings = load_settings(v, schema);
	require_settings(&s);
	return s;
}

/* guardrail_optimize(experiment) */
Datum
guardrail_optimize(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *schema;
	Evaluation *v;
	Search		s;
	Answer		a;
	Writer		w = {0};

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	v = gr_evaluate_argument(fcinfo, context, &schema);
	s = make_search(v, schema);
	a = answer(&s);
	InitMaterializedSRF(fcinfo, 0);
	put_answer(&w, &s, &a);
	gr_put_row(fcinfo, &w);
	SPI_finish();
	return (Datum) 0;
}
