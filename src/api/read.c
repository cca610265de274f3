/*
 * read.c
 *	  The live readers: guardrail_evaluate, guardrail_segment_evaluate, guardrail_decide,
 *	  guardrail_status, guardrail_explain.  They write nothing.
 */
#include "api/api.h"
#include "base/rights.h"
#include "catalog/protect.h"

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
	Evaluation *v = evaluate_argument(fcinfo);

	InitMaterializedSRF(fcinfo, 0);
	for (int a = 0; a < v->narms; a++)
		for (int k = 0; k < v->e->nrules; k++)
		{
			Writer		w = {0};

			gr_result_row(v, a, k, &w);
			gr_put_row(fcinfo, &w);
		}
	return (Datum) 0;
}

Datum
guardrail_segment_evaluate(PG_FUNCTION_ARGS)
{
	Evaluation *v = evaluate_argument(fcinfo);
	int64		fingerprint;

	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < gr_segment_nrows(v); i++)
	{
		Writer		w = {0};

		(void) gr_segment_row(v, i, &w, &fingerprint);
		gr_put_row(fcinfo, &w);
	}
	return (Datum) 0;
}

/* The columns that come from the experiment's row as it is now: no check records them. */
static void
standing_row(const char *schema, const char *id, Writer *w)
{
	const char *args[] = {id};

	gr_spi_query(psprintf("SELECT state, description, pg_catalog.pg_get_userbyid(owner) AS owner, launched_at"
						  " FROM %s.guardrail_experiment WHERE experiment_id = $1", schema), true, 1, args);
	for (int i = 1; SPI_processed > 0 && i <= SPI_tuptable->tupdesc->natts; i++)
	{
		bool		null;
		Datum		value = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i, &null);

		put(w, SPI_fname(SPI_tuptable->tupdesc, i), SPI_gettypeid(SPI_tuptable->tupdesc, i), value, null);
	}
}

Datum
guardrail_decide(PG_FUNCTION_ARGS)
{
	Evaluation *v = evaluate_argument(fcinfo);
	Writer		standing = {0};

	InitMaterializedSRF(fcinfo, 0);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	standing_row(gr_schema_of(fcinfo), v->e->id, &standing);
	for (int a = 0; a < v->narms; a++)
	{
		Writer		w = standing;

		gr_verdict_row(v, a, &w);
		gr_put_row(fcinfo, &w);
	}
	SPI_finish();
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

static void
add_line(FunctionCallInfo fcinfo, const char *line)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	Datum		value = CStringGetTextDatum(line);
	bool		null = false;

	tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, &value, &null);
}

/* The lines of one experiment; one that fails has a line that says so. */
static void
status_lines(FunctionCallInfo fcinfo, const char *id)
{
	Evaluation *v;
	ErrorData  *failure = gr_try_evaluate(fcinfo->flinfo->fn_oid, id, GR_FOR_READER, CurrentMemoryContext, &v);

	if (failure)
		add_line(fcinfo, psprintf("%s: NO DATA: %s", id, gr_error_text(failure)));
	else if (v->narms == 0)
		add_line(fcinfo, psprintf("%s: NO DATA", id));
	for (int a = 0; !failure && a < v->narms; a++)
		add_line(fcinfo, psprintf("%s / %s: %s", id, v->arms[a].name, v->verdicts[a].status));
}

/*
 * Experiments that row-level security hides may be blocked: whoever sees the rest is
 * told how many there are, and whoever sees none gets an error.
 */
static void
tell_hidden(FunctionCallInfo fcinfo, const char *schema, int visible)
{
	int			hidden = gr_hidden_running(fcinfo->flinfo->fn_oid, visible);
	const char *role = GetUserNameFromId(GetUserId(), false);

	if (hidden > 0 && visible == 0)
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("row-level security hides all running experiments (%d) from role \"%s\"", hidden, role),
				 errhint("Grant %s the owner role of its experiments; or, to see those of all owners, "
						 "GRANT EXECUTE ON FUNCTION %s.guardrail_sees_all() TO %s; or read view %s.guardrail_verdict.",
						 quote_identifier(role), schema, quote_identifier(role), schema)));
	if (hidden > 0)
		add_line(fcinfo, psprintf("NOT SHOWN: row-level security hides %d more running experiment%s from role \"%s\"",
								  hidden, hidden == 1 ? "" : "s", role));
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
	tell_hidden(fcinfo, schema, n);
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
