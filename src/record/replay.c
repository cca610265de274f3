/*
 * replay.c
 *	  guardrail_replay: decide a recorded check again, from what it stored.
 *
 * The plan comes from guardrail_plan, the summaries and the past from
 * guardrail_check_input; neither the events nor the present rows are looked at.
 */
#include "evaluate/input.h"
#include "plan/plan.h"
#include "evaluate/segment.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"

PG_FUNCTION_INFO_V1(guardrail_replay);

static void
refuse_missing(const char *schema, const char *check_id)
{
	const char *args[] = {check_id};
	char	   *error;

	gr_spi_query(psprintf("SELECT COALESCE(error, reason, 'No reason was recorded.') FROM %s.guardrail_check_log"
						  " WHERE check_id = $1::bigint LIMIT 1", schema), true, 1, args);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_OBJECT),
				 errmsg("check %s does not exist", check_id),
				 errhint("Use a check_id of guardrail_check_log; guardrail_prune() removes old checks.")));
	error = gr_spi_text(0, 1);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("check %s cannot be replayed because it stored no inputs", check_id),
			 errdetail_internal("%s", error),
			 errhint("Replay another check: checks that failed or found the plan changed, "
					 "and all checks of version 0.1.0, stored no inputs.")));
}

/* Read the inputs and decide. */
static Evaluation *
replay(FunctionCallInfo fcinfo, const char *schema, int64 check_id)
{
	Evaluation *v = palloc0(sizeof(Evaluation));
	InputRow	row;
	char	   *note;

	if (!gr_input_read(schema, check_id, &row))
		refuse_missing(schema, psprintf(INT64_FORMAT, check_id));
	v->e = gr_experiment_load_plan(schema, row.id, row.plan_version, CurrentMemoryContext);
	v->e->function = fcinfo->flinfo->fn_oid;
	gr_input_restore(v, schema, check_id, &row);
	gr_plan_note(schema, v->e, CurrentMemoryContext, &note);
	v->test.plan_note = note;
	gr_evaluation_decide(v, NULL);
	return v;
}

/* A value as text tells every bit of a number but the sign of a zero. */
static char *
shown(Datum value, bool null, Oid type)
{
	Oid			output;
	bool		varlena;

	if (null)
		return "NULL";
	getTypeOutputInfo(type, &output, &varlena);
	return OidOutputFunctionCall(output, value);
}

/* Add what a recorded row, the only one read, says otherwise. */
static void
compare_row(StringInfo out, const char *what, const RowColumn *columns, int n,
			const Datum *values, const bool *nulls)
{
	if (SPI_processed != 1)
	{
		appendStringInfo(out, "%s%s: not recorded", out->len ? "; " : "", what);
		return;
	}
	for (int i = 0; i < n; i++)
	{
		bool		null;
		Datum		d = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1, &null);
		char	   *recorded = shown(d, null, columns[i].type);
		char	   *replayed = shown(values[i], nulls[i], columns[i].type);

		if (strcmp(recorded, replayed) != 0)
			appendStringInfo(out, "%s%s: %s is %s, recorded %s", out->len ? "; " : "", what,
							 columns[i].name, replayed, recorded);
	}
}

static char *
column_list(const RowColumn *columns, int n)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < n; i++)
		appendStringInfo(&buf, "%s%s", i ? ", " : "", columns[i].name);
	return buf.data;
}

/* Everything of one arm that the log says otherwise. */
static void
compare_arm(const Evaluation *v, const char *schema, int64 check_id, int arm, StringInfo out)
{
	const char *args[] = {psprintf(INT64_FORMAT, check_id), v->arms[arm].name, NULL};
	Datum		values[GR_MAX_ROW];
	bool		nulls[GR_MAX_ROW];

	gr_spi_query(psprintf("SELECT %s FROM %s.guardrail_check_log WHERE check_id = $1::bigint AND variant = $2",
						  column_list(gr_verdict_columns, gr_verdict_ncolumns), schema), true, 2, args);
	gr_verdict_row(v, arm, values, nulls);
	compare_row(out, "verdict", gr_verdict_columns, gr_verdict_ncolumns, values, nulls);
	for (int k = 0; k < v->e->nrules; k++)
	{
		args[2] = v->e->rules[k].rule.metric;
		gr_spi_query(psprintf("SELECT %s FROM %s.guardrail_result_log WHERE check_id = $1::bigint AND variant = $2"
							  " AND metric = $3", column_list(gr_result_columns, gr_result_ncolumns), schema),
					 true, 3, args);
		gr_result_row(v, arm, k, values, nulls);
		compare_row(out, args[2], gr_result_columns, gr_result_ncolumns, values, nulls);
	}
}

/* The rows of one arm's segments. */
static void
compare_segments(const Evaluation *v, const char *schema, int64 check_id, int arm, StringInfo out)
{
	int			n;
	const RowColumn *columns = gr_segment_columns(&n);
	Datum		values[GR_MAX_ROW];
	bool		nulls[GR_MAX_ROW];

	for (int i = 0; i < gr_segment_nrows(v); i++)
	{
		const char *args[] = {psprintf(INT64_FORMAT, check_id), psprintf("%d", i + 1)};
		int64		fingerprint;

		CHECK_FOR_INTERRUPTS();
		if (gr_segment_row(v, i, values, nulls, &fingerprint) != arm)
			continue;
		gr_spi_query(psprintf("SELECT %s FROM %s.guardrail_segment_log WHERE check_id = $1::bigint"
							  " AND row_no = $2::integer", column_list(columns, n), schema), true, 2, args);
		compare_row(out, psprintf("row %d of the segments", i + 1), columns, n, values, nulls);
	}
}

/* guardrail_replay(check_id) */
Datum
guardrail_replay(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *schema = gr_schema_of(fcinfo);
	int64		check_id = gr_arg_int(fcinfo, 0, "check_id", PG_INT64_MIN, PG_INT64_MAX);
	int			level = NewGUCNestLevel();
	Evaluation *v;

	InitMaterializedSRF(fcinfo, 0);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	(void) set_config_option("extra_float_digits", "1", PGC_USERSET, PGC_S_SESSION,
							 GUC_ACTION_SAVE, true, 0, false);
	v = replay(fcinfo, schema, check_id);
	for (int a = 0; a < v->narms; a++)
	{
		Datum		values[GR_MAX_ROW];
		bool		nulls[GR_MAX_ROW];
		StringInfoData differences;

		initStringInfo(&differences);
		compare_arm(v, schema, check_id, a, &differences);
		compare_segments(v, schema, check_id, a, &differences);
		gr_verdict_row(v, a, values, nulls);
		values[gr_verdict_ncolumns] = BoolGetDatum(differences.len == 0);
		nulls[gr_verdict_ncolumns] = false;
		values[gr_verdict_ncolumns + 1] = CStringGetTextDatum(differences.data);
		nulls[gr_verdict_ncolumns + 1] = (differences.len == 0);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	AtEOXact_GUC(false, level);
	SPI_finish();
	return (Datum) 0;
}
