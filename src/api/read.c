/*
 * read.c
 *	  The live readers: guardrail_evaluate, guardrail_segment_evaluate, guardrail_decide,
 *	  guardrail_status, guardrail_explain.  They write nothing.
 */
#include "api/api.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(guardrail_evaluate);
PG_FUNCTION_INFO_V1(guardrail_segment_evaluate);
PG_FUNCTION_INFO_V1(guardrail_decide);
PG_FUNCTION_INFO_V1(guardrail_status_all);
PG_FUNCTION_INFO_V1(guardrail_status);
PG_FUNCTION_INFO_V1(guardrail_explain);

/* Evaluate the experiment of argument 0 in the caller's context. */
static Evaluation *
evaluate_argument(FunctionCallInfo fcinfo)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *id = gr_arg_text(fcinfo, 0, "experiment");
	Evaluation *v;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	v = gr_evaluate(fcinfo->flinfo->fn_oid, id, GR_FOR_READER, NULL, context);
	SPI_finish();
	return v;
}

Datum
guardrail_evaluate(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Evaluation *v = evaluate_argument(fcinfo);
	Datum		values[GR_MAX_ROW];
	bool		nulls[GR_MAX_ROW];

	InitMaterializedSRF(fcinfo, 0);
	for (int a = 0; a < v->narms; a++)
		for (int k = 0; k < v->e->nrules; k++)
		{
			gr_result_row(v, a, k, values, nulls);
			tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
		}
	return (Datum) 0;
}

Datum
guardrail_segment_evaluate(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Evaluation *v = evaluate_argument(fcinfo);
	Datum		values[GR_MAX_ROW];
	bool		nulls[GR_MAX_ROW];
	int64		fingerprint;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < gr_segment_nrows(v); i++)
	{
		(void) gr_segment_row(v, i, values, nulls, &fingerprint);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

Datum
guardrail_decide(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Evaluation *v = evaluate_argument(fcinfo);
	Datum		values[GR_MAX_ROW];
	bool		nulls[GR_MAX_ROW];

	InitMaterializedSRF(fcinfo, 0);
	for (int a = 0; a < v->narms; a++)
	{
		gr_verdict_row(v, a, values, nulls);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}

/* guardrail_status(experiment [, variant]) */
Datum
guardrail_status(PG_FUNCTION_ARGS)
{
	Evaluation *v = evaluate_argument(fcinfo);
	char	   *variant;
	StringInfoData known;

	if (PG_ARGISNULL(1))
		PG_RETURN_TEXT_P(cstring_to_text(gr_worst_status(v)));
	variant = text_to_cstring(PG_GETARG_TEXT_PP(1));
	initStringInfo(&known);
	for (int a = 0; a < v->narms; a++)
	{
		if (strcmp(v->arms[a].name, variant) == 0)
			PG_RETURN_TEXT_P(cstring_to_text(v->verdicts[a].status));
		appendStringInfo(&known, "%s\"%s\"", a ? ", " : "", v->arms[a].name);
	}
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("experiment \"%s\" has no treatment variant \"%s\"", v->e->id, variant),
			 errhint("Its treatment variants are: %s.", v->narms ? known.data : "none yet")));
}

typedef struct StatusWork
{
	Oid			function;
	const char *id;
	MemoryContext context;
	Evaluation *v;
} StatusWork;

static void
evaluate_for_status(void *arg)
{
	StatusWork *w = arg;

	w->v = gr_evaluate(w->function, w->id, GR_FOR_READER, NULL, w->context);
}

/* The lines of one experiment; one that fails has a line that says so. */
static void
status_lines(FunctionCallInfo fcinfo, const char *id)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	StatusWork	work = {fcinfo->flinfo->fn_oid, id, CurrentMemoryContext};
	ErrorData  *failure = gr_attempt(evaluate_for_status, &work);
	Evaluation *v = work.v;
	bool		null = false;
	Datum		line;

	if (failure || v->narms == 0)
	{
		line = CStringGetTextDatum(failure ? psprintf("%s: NO DATA: %s", id, failure->message) :
								   psprintf("%s: NO DATA", id));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &line, &null);
	}
	for (int a = 0; !failure && a < v->narms; a++)
	{
		line = CStringGetTextDatum(psprintf("%s / %s: %s", id, v->arms[a].name,
											v->verdicts[a].status));
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &line, &null);
	}
}

/* guardrail_status(): one line per running experiment and treatment arm */
Datum
guardrail_status_all(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext loop;
	char	   *schema = gr_schema_of(fcinfo);
	char	  **ids;
	int			n;

	InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
	loop = AllocSetContextCreate(context, "guardrail_status", ALLOCSET_DEFAULT_SIZES);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	ids = gr_experiments_running(schema, &n, context);
	for (int i = 0; i < n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(loop);

		status_lines(fcinfo, ids[i]);
		MemoryContextSwitchTo(old);
		MemoryContextReset(loop);
	}
	SPI_finish();
	MemoryContextDelete(loop);
	return (Datum) 0;
}

Datum
guardrail_explain(PG_FUNCTION_ARGS)
{
	Evaluation *v = evaluate_argument(fcinfo);

	PG_RETURN_TEXT_P(cstring_to_text(gr_explain(v, gr_schema_of(fcinfo))));
}
