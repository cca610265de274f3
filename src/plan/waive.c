/*
 * waive.c
 *	  guardrail_waive: lift the veto of a rule for a variant, by name.
 *
 * A waiver says what it lifts: a metric that kept the variant from SHIP when it was given,
 * or the acceptance of a rule that was loosened after data and keeps guarding as it is
 * now.  Waivers are a hash chain of their own, which begins at the plan's.
 */
#include "plan/plan.h"

#include "evaluate/loosened.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(guardrail_waive);

static int
find_arm(const Evaluation *v, const char *variant)
{
	StringInfoData known;

	initStringInfo(&known);
	for (int a = 0; a < v->narms; a++)
	{
		if (strcmp(v->arms[a].name, variant) == 0)
			return a;
		appendStringInfo(&known, "%s\"%s\"", known.len ? ", " : "", v->arms[a].name);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("experiment \"%s\" has no treatment variant \"%s\"", v->e->id, variant),
			 errhint("Its treatment variants are: %s.", known.len ? known.data : "none yet")));
}

static const Loosening *
find_loosened(const Evaluation *v, const char *name)
{
	for (int i = 0; i < v->loosened->n; i++)
		if (strcmp(v->loosened->row[i].name, name) == 0)
			return &v->loosened->row[i];
	return NULL;
}

/* The result of a guardrail by name, or NULL. */
static const GrResult *
find_guardrail(const Evaluation *v, int arm, const char *name)
{
	for (int k = 0; k < v->e->nrules; k++)
	{
		const GrResult *r = &v->results[arm * v->e->nrules + k];

		if (r->rule->role == GR_GUARDRAIL && strcmp(r->rule->metric, name) == 0)
			return r;
	}
	return NULL;
}

GR_NORETURN static void
refuse_name(const Evaluation *v, const char *name)
{
	StringInfoData known;

	initStringInfo(&known);
	for (int k = 0; k < v->e->nrules; k++)
		if (v->e->rules[k].rule.role == GR_GUARDRAIL)
			appendStringInfo(&known, "%s\"%s\"", known.len ? ", " : "", v->e->rules[k].rule.metric);
	for (int i = 0; i < v->loosened->n; i++)
		if (v->narms == 0 || find_guardrail(v, 0, v->loosened->row[i].name) == NULL)
			appendStringInfo(&known, "%s\"%s\"", known.len ? ", " : "", v->loosened->row[i].name);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("experiment \"%s\" has no guardrail \"%s\", and no amendment loosened one of that name", v->e->id, name),
			 errhint("You can waive: %s.", known.len ? known.data : "nothing")));
}

/* Does the metric keep the arm from SHIP, whatever becomes of the others? */
static bool
is_veto(const GrResult *r)
{
	return r->segments_veto || r->status == GR_BREACHED || r->status == GR_UNMEASURED || r->status == GR_NO_DATA ||
		r->watch || (r->rule->evidence == GR_SAFE && r->status != GR_IS_SAFE);
}

/* The end of a waiver as text; NULL: it has none. */
static char *
end_of(FunctionCallInfo fcinfo, int n)
{
	TimestampTz time;
	char	   *text;

	if (PG_ARGISNULL(n) || TIMESTAMP_IS_NOEND(PG_GETARG_TIMESTAMPTZ(n)))
		return NULL;
	time = PG_GETARG_TIMESTAMPTZ(n);
	text = DatumGetCString(DirectFunctionCall1(timestamptz_out, TimestampTzGetDatum(time)));
	if (time <= GetCurrentTimestamp())
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"until\" is %s, which has passed", text),
				 errhint("Set it to a time to come, or leave it NULL.")));
	return text;
}

/* guardrail_waive(experiment, variant, metric, reason, until): what was done, in a line */
Datum
guardrail_waive(PG_FUNCTION_ARGS)
{
	char	   *schema = gr_schema_of(fcinfo);
	char	   *variant = gr_arg_text(fcinfo, 1, "variant");
	char	   *metric = gr_arg_text(fcinfo, 2, "metric");
	char	   *reason = gr_plan_reason(fcinfo, 3, "Say why the veto is lifted; guardrail_waiver records the reason.");
	MemoryContext context = CurrentMemoryContext;
	const char *args[9] = {NULL, NULL, variant, metric, reason, end_of(fcinfo, 4)};
	OwnerContext saved;
	Experiment *e;
	Evaluation *v;
	const GrResult *r;
	const Loosening *loosened;
	bool		veto;
	char	   *line;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	e = gr_plan_lock(fcinfo, schema);
	if (strcmp(e->state, "draft") == 0)
		gr_plan_require_state(e, "running", "A draft has no plan yet; change its rules with UPDATE.");
	PushActiveSnapshot(GetLatestSnapshot());
	v = gr_evaluate(fcinfo->flinfo->fn_oid, e->id, GR_FOR_PLAN, NULL, CurrentMemoryContext);
	r = find_guardrail(v, find_arm(v, variant), metric);
	loosened = find_loosened(v, metric);
	if (r == NULL && loosened == NULL)
		refuse_name(v, metric);
	veto = r && is_veto(r);
	if (!veto && loosened == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("guardrail \"%s\" does not keep variant \"%s\" of experiment \"%s\" from SHIP: it is %s",
						metric, variant, e->id, gr_status_word(r->status)),
				 errhint("There is nothing to waive.")));
	args[0] = e->id;
	args[1] = psprintf("%d", e->plan_version);
	args[6] = r ? gr_status_word(r->status) : "removed";
	args[7] = veto ? "true" : "false";
	args[8] = GetUserNameFromId(GetSessionUserId(), false);
	gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
	gr_spi_query(psprintf("SELECT %s._guardrail_waiver_register($1, $2::integer, $3, $4, $5, $6::timestamptz, $7, $8::boolean, $9)",
						  schema), false, 9, args);
	gr_owner_leave(&saved);
	PopActiveSnapshot();
	line = psprintf("waived %s for %s%s%s: %s", metric, variant, args[5] ? " until " : "", args[5] ? args[5] : "",
					veto ? psprintf("its status %s no longer keeps the variant from SHIP", args[6]) :
					psprintf("%s is accepted", loosened->text));
	line = MemoryContextStrdup(context, line);
	SPI_finish();
	PG_RETURN_TEXT_P(cstring_to_text(line));
}
