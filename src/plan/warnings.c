/*
 * warnings.c
 *	  What launching or amending says about a plan that is whole but weak.
 *
 * The power of a guardrail at the planned units needs a variance: that of the
 * events already there, else that of the last recorded check of the same metric
 * over the same events in another experiment.  A harm of twice the limit is found,
 * and harmlessness proven, with the same power Phi(limit / se - z) of a fixed
 * test at the rule's own level (STATISTICS, sample size).
 */
#include "plan/plan.h"

#include <math.h>

#include "executor/spi.h"

/* Beyond this no size of a test is information. */
#define MOST_TIMES_WIDER 100

#define WANTED_POWER 0.8

/* What is known of a metric before the test: its value and its variance per unit. */
typedef struct Prior
{
	double		value;
	double		variance;
	bool		known;
} Prior;

static void
warn_of_number(const Experiment *e)
{
	int			n = 0;

	for (int i = 0; i < e->nrules; i++)
		n += (e->rules[i].rule.role == GR_GUARDRAIL);
	if (n < 2)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("experiment \"%s\" has %d guardrail%s", e->id, n, n == 1 ? "" : "s"),
				 errhint("Two to five guardrails are usual. Consider what else the change could break.")));
	if (n > 5)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("experiment \"%s\" has %d guardrails", e->id, n),
				 errhint("Two to five guardrails are usual. Each additional one lowers the power of all, or adds a chance of a false block.")));
}

/* Does the value of a unit grow while it takes part? */
static bool
grows(const Rule *rule)
{
	if (rule->window_length)
		return false;
	return rule->rule.kind->grows && strcmp(rule->unit_aggregate, "avg") != 0;
}

/* A total that keeps growing has no one value for an always-valid test to speak of. */
static void
note_growing_means(const Experiment *e)
{
	StringInfoData names;

	if (!gr_design_of(e->monitoring)->any_time)
		return;
	initStringInfo(&names);
	for (int i = 0; i < e->nrules; i++)
		if (grows(&e->rules[i]))
			appendStringInfo(&names, "%s\"%s\"", names.len ? ", " : "", e->rules[i].rule.metric);
	if (names.len > 0)
		ereport(NOTICE,
				(errmsg("%s monitoring tests %s without a window_length", gr_design_of(e->monitoring)->name,
						names.data),
				 errdetail("The total of a unit grows while the unit takes part, so the estimated mean drifts. Error rates then "
						   "hold at each look only if old and new units behave alike.")));
}

/* The same metric over the same events, as the last experiment saw it. */
static Prior
earlier_result(FunctionCallInfo fcinfo, const char *schema, const Experiment *e, const char *metric)
{
	const char *args[] = {e->id, metric};
	OwnerContext saved;
	Prior		prior = {0};
	double		se;

	gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
	gr_spi_query(psprintf("SELECT l.control_value, l.control_se, l.units_control"
						  " FROM %s.guardrail_rule r JOIN %s.guardrail_experiment e USING (experiment_id)"
						  " JOIN %s.guardrail_experiment o ON o.events = e.events AND o.experiment_id <> e.experiment_id"
						  " AND o.unit_column = e.unit_column"
						  " JOIN %s.guardrail_rule s ON s.experiment_id = o.experiment_id AND s.kind = r.kind"
						  " AND (s.value, s.denominator, s.filter, s.unit_aggregate, s.quantile, s.quantile_over,"
						  " s.cap_value, s.cap_quantile, s.at_least, s.retention_day, s.retention_time_zone,"
						  " s.window_length) IS NOT DISTINCT FROM (r.value, r.denominator, r.filter,"
						  " r.unit_aggregate, r.quantile, r.quantile_over, r.cap_value, r.cap_quantile,"
						  " r.at_least, r.retention_day, r.retention_time_zone, r.window_length)"
						  " JOIN %s.guardrail_result_log l ON l.experiment_id = s.experiment_id AND l.metric = s.metric"
						  " WHERE r.experiment_id = $1 AND r.metric = $2 AND l.control_se > 0 AND l.units_control >= 100"
						  " ORDER BY l.check_id DESC LIMIT 1", schema, schema, schema, schema, schema),
				 true, 2, args);
	gr_owner_leave(&saved);
	if (SPI_processed == 0)
		return prior;
	se = gr_spi_float8(0, 2, NAN);
	prior.value = gr_spi_float8(0, 1, NAN);
	prior.variance = se * se * (double) gr_spi_int8(0, 3, 0);
	prior.known = isfinite(prior.value) && isfinite(prior.variance);
	return prior;
}

static Prior
seen_so_far(const Evaluation *v, int rule)
{
	Prior		prior = {0};

	for (int a = 0; v && a < v->narms && !prior.known; a++)
	{
		const GrResult *r = &v->results[a * v->e->nrules + rule];

		if (v->control.units < 100 || !(r->control.variance > 0) || isinf(r->control.variance))
			continue;
		prior.value = r->control.value;
		prior.variance = r->control.variance * (double) v->counts[a * v->e->nrules + rule].units_control;
		prior.known = isfinite(prior.value) && prior.variance > 0;
	}
	return prior;
}

/* Shares of the control and of the smallest treatment arm. */
static void
planned_shares(const Experiment *e, const Evaluation *v, double *control, double *treatment)
{
	double		sum = 0;

	if (e->narms == 0)
	{
		*control = *treatment = 1.0 / (v && v->narms > 1 ? v->narms + 1 : 2);
		return;
	}
	*treatment = INFINITY;
	*control = 0;
	for (int i = 0; i < e->narms; i++)
	{
		sum += e->shares[i];
		if (strcmp(e->arms[i], e->control) == 0)
			*control = e->shares[i];
		else
			*treatment = Min(*treatment, e->shares[i]);
	}
	*control /= sum;
	*treatment /= sum;
}

/* The distance from what is there to the limit; NaN: it has none. */
static double
room(const GrRule *rule, double value)
{
	switch (rule->limit_kind)
	{
		case GR_LIMIT_ABSOLUTE:
			return rule->worse_is_higher ? rule->limit_value - value : value - rule->limit_value;
		case GR_LIMIT_DIFFERENCE:
			return rule->limit_value;
		case GR_LIMIT_RELATIVE:
			return rule->limit_value * fabs(value);
		case GR_LIMIT_SIGNIFICANCE:
			break;
	}
	return NAN;
}

static void
warn_of_power(const Experiment *e, const Rule *rule, const Prior *prior, double share_c,
			  double share_t)
{
	double		planned = (double) e->planned_units;
	double		margin = room(&rule->rule, prior->value);
	double		alone = rule->rule.limit_kind == GR_LIMIT_ABSOLUTE;
	double		se = sqrt(prior->variance * (1 / (planned * share_t) + (alone ? 0 : 1 / (planned * share_c))));
	double		z = gr_normal_isf(rule->rule.alpha);
	double		power = gr_normal_sf(z - margin / se);
	double		wanted = z - gr_normal_isf(WANTED_POWER);

	if (isnan(power) || power >= WANTED_POWER)
		return;
	ereport(WARNING,
			(errcode(ERRCODE_WARNING),
			 errmsg("guardrail \"%s\" has a power of %.2f at " INT64_FORMAT " planned units",
					rule->rule.metric, power, e->planned_units),
			 errdetail("This is the probability of detecting a harm of twice the limit, or of proving safety if there is no harm, "
					   "with a control at %.6g and a standard deviation of %.6g per unit.",
					   prior->value, sqrt(prior->variance)),
			 margin <= 0 ? errhint("Change the limit: the control itself is beyond it.") :
			 wanted * se > MOST_TIMES_WIDER * margin ?
			 errhint("Widen the limit: no practical number of units gives a power of %g, but a limit %.3g times as wide does.",
					 WANTED_POWER, wanted * se / margin) :
			 errhint("For a power of %g, plan about %.0f units, or set a limit %.3g times as wide.",
					 WANTED_POWER, planned * (wanted * se / margin) * (wanted * se / margin),
					 wanted * se / margin)));
}

/* Was a rule written for this version of the plan?  A draft's was. */
static bool
is_new(FunctionCallInfo fcinfo, const char *schema, const Experiment *e, const char *metric)
{
	const char *args[] = {e->id, metric};
	OwnerContext saved;
	bool		same;

	if (strcmp(e->state, "draft") == 0)
		return true;
	gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
	gr_spi_query(psprintf("SELECT p.plan::jsonb -> 'rules' -> r.metric ="
						  " pg_catalog.jsonb_strip_nulls(pg_catalog.to_jsonb(r) - '{experiment_id,metric}'::text[])"
						  " FROM %s.guardrail_plan p JOIN %s.guardrail_rule r USING (experiment_id)"
						  " WHERE p.experiment_id = $1 AND r.metric = $2 ORDER BY p.version DESC LIMIT 1",
						  schema, schema), true, 2, args);
	same = SPI_processed > 0 && gr_spi_bool(0, 1);
	gr_owner_leave(&saved);
	return !same;
}

/* Of a control below zero no per cent is a limit: refused as long as it can be mended. */
static void
refuse_negative_control(const GrResult *r)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("rule \"%s\" has a relative limit, but the control's value is negative: %g",
					r->rule->metric, r->control.value),
			 errhint("Use limit_kind 'difference': a percentage of a negative value has no meaning.")));
}

/* A limit that no share of units can be beyond, such as 5 for 5 %. */
static void
tell_out_of_reach(const GrResult *r, bool refuse)
{
	ereport(refuse ? ERROR : WARNING,
			(errcode(refuse ? ERRCODE_INVALID_PARAMETER_VALUE : ERRCODE_WARNING),
			 errmsg("rule \"%s\" has a %s limit of %g, but no share of units can go beyond it",
					r->rule->metric, gr_words_limit_kind[r->rule->limit_kind], r->rule->limit_value),
			 errdetail("The control's share is %.4g.", r->control.value),
			 r->rule->limit_value >= 1 ? errhint("Write 0.05 for 5 %%.") :
			 r->rule->limit_kind == GR_LIMIT_RELATIVE ?
			 errhint("Set a smaller limit: a share of %.4g can rise by at most %.4g %%.", r->control.value, 100 * (1 / r->control.value - 1)) :
			 errhint("Set a smaller limit: a share of %.4g can rise by at most %.4g and fall by at most %.4g. Write 0.05 for 5 percentage points.",
					 r->control.value, 1 - r->control.value, r->control.value)));
}

/* Would the limit have to lie below 0 or above 1? */
static bool
difference_is_out_of_reach(const GrResult *r)
{
	double		edge = r->control.value + gr_signed_limit(r->rule);

	return r->rule->limit_kind == GR_LIMIT_DIFFERENCE && r->rule->limit_value > 0 &&
		r->control.value > 0 && r->control.value < 1 && (edge <= 0 || edge >= 1);
}

/* Limits that mean nothing beside the control that is there. */
static void
check_limits(FunctionCallInfo fcinfo, const char *schema, const Experiment *e, const Evaluation *v)
{
	for (int i = 0; v && i < v->narms * e->nrules; i++)
	{
		const GrResult *r = &v->results[i];
		bool		draft = strcmp(e->state, "draft") == 0;

		if (r->rule->role == GR_SECONDARY)
			continue;
		if (draft && r->rule->limit_kind == GR_LIMIT_RELATIVE && r->control.value < 0)
			refuse_negative_control(r);
		if (!r->rule->kind->is_share || i >= e->nrules)
			continue;
		if (r->enough_units && gr_limit_out_of_reach(r->rule, r->control.value))
			tell_out_of_reach(r, is_new(fcinfo, schema, e, r->rule->metric));
		else if (r->enough_units && difference_is_out_of_reach(r))
			tell_out_of_reach(r, false);
	}
}

static bool
has_relative_limit(const Experiment *e)
{
	for (int k = 0; k < e->nrules; k++)
		if (e->rules[k].rule.limit_kind == GR_LIMIT_RELATIVE && e->rules[k].rule.role != GR_SECONDARY)
			return true;
	return false;
}

static void
warn_of_powers(FunctionCallInfo fcinfo, const char *schema, const Experiment *e, const Evaluation *v)
{
	StringInfoData unknown;
	double		control,
				treatment;

	initStringInfo(&unknown);
	planned_shares(e, v, &control, &treatment);
	for (int k = 0; k < e->nrules; k++)
	{
		const Rule *rule = &e->rules[k];
		Prior		prior;

		/* by its estimate alone, or against no size of harm: nothing to be powered for */
		if (rule->rule.role != GR_GUARDRAIL || rule->rule.evidence == GR_POINT ||
			rule->rule.limit_kind == GR_LIMIT_SIGNIFICANCE)
			continue;
		prior = seen_so_far(v, k);
		if (!prior.known)
			prior = earlier_result(fcinfo, schema, e, rule->rule.metric);
		if (prior.known)
			warn_of_power(e, rule, &prior, control, treatment);
		else
			appendStringInfo(&unknown, "%s\"%s\"", unknown.len ? ", " : "", rule->rule.metric);
	}
	if (unknown.len > 0)
		ereport(NOTICE,
				(errmsg("could not estimate the power of %s at " INT64_FORMAT " planned units", unknown.data, e->planned_units),
				 v ? errdetail("The events so far show no variance, and no earlier experiment on this table used these metrics.") :
				 errdetail("There are no events yet, and no earlier experiment on this table used these metrics, to estimate a variance from."),
				 errhint("If you know the standard deviation, guardrail_sample_size() tells how many units you need.")));
}

Evaluation *
gr_plan_warn(FunctionCallInfo fcinfo, const char *schema, const Experiment *e, bool after_data)
{
	Evaluation *v = NULL;
	ErrorData  *failure = NULL;

	warn_of_number(e);
	note_growing_means(e);
	if (e->planned_units == 0 && !has_relative_limit(e))
		return NULL;
	if (after_data)
		failure = gr_try_evaluate(fcinfo->flinfo->fn_oid, e->id, GR_FOR_PLAN, CurrentMemoryContext, &v);
	if (failure)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("experiment \"%s\" cannot be evaluated with its current events: %s",
						e->id, failure->message),
				 errhint("Fix the events or the rules; until then, its checks will fail.")));
	check_limits(fcinfo, schema, e, v);
	if (e->planned_units > 0)
		warn_of_powers(fcinfo, schema, e, v);
	return v;
}
