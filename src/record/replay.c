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
	v->as_of = row.checked_at;
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

/* Add what a recorded row, the only one that the query of "where" finds, says otherwise. */
static void
compare_row(StringInfo out, const char *what, const Writer *w, const char *where, int nargs, const char *const *args)
{
	StringInfoData sql;

	initStringInfo(&sql);
	for (int i = 0; i < w->n; i++)
		appendStringInfo(&sql, "%s %s", i ? "," : "SELECT", w->names[i]);
	appendStringInfo(&sql, " FROM %s", where);
	gr_spi_query(sql.data, true, nargs, args);
	if (SPI_processed != 1)
	{
		appendStringInfo(out, "%s%s: not recorded", out->len ? "; " : "", what);
		return;
	}
	for (int i = 0; i < w->n; i++)
	{
		bool		null;
		Datum		d = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1, &null);
		char	   *recorded = shown(d, null, w->types[i]);
		char	   *replayed = shown(w->values[i], w->nulls[i], w->types[i]);

		if (strcmp(recorded, replayed) != 0)
			appendStringInfo(out, "%s%s: %s is %s, recorded %s", out->len ? "; " : "", what,
							 w->names[i], replayed, recorded);
	}
}

/* Everything of one arm that the log says otherwise; verdict: the row of its verdict. */
static void
compare_arm(const Evaluation *v, const char *schema, int64 check_id, int arm, const Writer *verdict, StringInfo out)
{
	const char *args[] = {psprintf(INT64_FORMAT, check_id), v->arms[arm].name, NULL};

	compare_row(out, "verdict", verdict,
				psprintf("%s.guardrail_check_log WHERE check_id = $1::bigint AND variant = $2", schema), 2, args);
	for (int k = 0; k < v->e->nrules; k++)
	{
		Writer		w = {0};

		args[2] = v->e->rules[k].rule.metric;
		gr_result_row(v, arm, k, &w);
		compare_row(out, args[2], &w,
					psprintf("%s.guardrail_result_log WHERE check_id = $1::bigint AND variant = $2 AND metric = $3", schema),
					3, args);
	}
}

/* The rows of one arm's segments. */
static void
compare_segments(const Evaluation *v, const char *schema, int64 check_id, int arm, StringInfo out)
{
	for (int i = 0; i < gr_segment_nrows(v); i++)
	{
		const char *args[] = {psprintf(INT64_FORMAT, check_id), psprintf("%d", i + 1)};
		Writer		w = {0};
		int64		fingerprint;

		CHECK_FOR_INTERRUPTS();
		if (gr_segment_row(v, i, &w, &fingerprint) != arm)
			continue;
		compare_row(out, psprintf("row %d of the segments", i + 1), &w,
					psprintf("%s.guardrail_segment_log WHERE check_id = $1::bigint AND row_no = $2::integer", schema), 2, args);
	}
}

/* guardrail_replay(check_id) */
Datum
guardrail_replay(PG_FUNCTION_ARGS)
{
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
		Writer		w = {0};
		StringInfoData differences;

		initStringInfo(&differences);
		gr_verdict_row(v, a, &w);
		compare_arm(v, schema, check_id, a, &w, &differences);
		compare_segments(v, schema, check_id, a, &differences);
		put_bool(&w, "identical", differences.len == 0);
		put_text(&w, "differences", differences.len ? differences.data : NULL);
		gr_put_row(fcinfo, &w);
	}
	AtEOXact_GUC(false, level);
	SPI_finish();
	return (Datum) 0;
}
