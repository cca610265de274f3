/*
 * prune.c
 *	  guardrail_prune: old checks out of the logs, but not what they led to.
 *
 * Kept, however old: the first and the last check of each arm and the two around
 * each change of its verdict, so that its history can still be read; and what the
 * next check of the present plan rests on: its looks, each metric's last result,
 * the checks that set its least p-values, the last test of the split, and the last
 * check with segments.
 */
#include "plan/plan.h"
#include "query/query.h"

#include "catalog/validate.h"
#include "executor/spi.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(guardrail_prune);

static char *
prune_statement(const char *s)
{
	return psprintf(
					"WITH arms AS (SELECT check_id, checked_at, verdict, lag(verdict) OVER w AS was, lead(verdict) OVER w AS becomes"
					"  FROM %s.guardrail_check_log WINDOW w AS (PARTITION BY experiment_id, variant ORDER BY check_id)),"
					" present AS MATERIALIZED (SELECT DISTINCT ON (r.experiment_id, r.variant, r.metric)"
					"  r.check_id, r.breach_check, r.safe_check, r.goal_check FROM %s.guardrail_result_log r"
					"  JOIN %s.guardrail_experiment e ON e.experiment_id = r.experiment_id AND e.plan_version = r.plan_version"
					"  ORDER BY r.experiment_id, r.variant, r.metric, r.check_id DESC),"
					" kept AS (SELECT check_id FROM arms WHERE checked_at >= pg_catalog.now() - $1::interval"
					"  OR was IS DISTINCT FROM verdict OR becomes IS DISTINCT FROM verdict"
					"  UNION SELECT pg_catalog.unnest(ARRAY[check_id, breach_check, safe_check, goal_check]) FROM present"
					"  UNION SELECT l.check_id FROM %s.guardrail_check_log l JOIN %s.guardrail_experiment e USING (experiment_id)"
					"  WHERE l.look_no IS NOT NULL AND l.plan_version = e.plan_version"
					"  UNION SELECT max(check_id) FROM %s.guardrail_check_log WHERE srm_p IS NOT NULL GROUP BY experiment_id, plan_version"
					"  UNION SELECT max(l.check_id) FROM %s.guardrail_segment_log l JOIN %s.guardrail_experiment e USING (experiment_id)"
					"  WHERE l.plan_version = e.plan_version GROUP BY l.experiment_id),"
					" doomed AS MATERIALIZED (SELECT DISTINCT check_id FROM %s.guardrail_check_log l"
					"  WHERE NOT EXISTS (SELECT FROM kept WHERE kept.check_id = l.check_id)),"
					" checks AS (DELETE FROM %s.guardrail_check_log l USING doomed WHERE l.check_id = doomed.check_id),"
					" results AS (DELETE FROM %s.guardrail_result_log l USING doomed WHERE l.check_id = doomed.check_id),"
					" inputs AS (DELETE FROM %s.guardrail_check_input l USING doomed WHERE l.check_id = doomed.check_id),"
					" segments AS (DELETE FROM %s.guardrail_segment_log l USING doomed WHERE l.check_id = doomed.check_id),"
					" segment_inputs AS (DELETE FROM %s.guardrail_segment_input l USING doomed WHERE l.check_id = doomed.check_id)"
					" SELECT count(*) FROM doomed", s, s, s, s, s, s, s, s, s, s, s, s, s, s);
}

/* guardrail_prune(keep): the number of checks removed */
Datum
guardrail_prune(PG_FUNCTION_ARGS)
{
	const char *args[1];
	OwnerContext saved;
	int64		n;

	if (PG_ARGISNULL(0))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"keep\" must not be NULL"),
				 errhint("Say how long to keep every check, such as '90 days'.")));
	gr_require_writable(fcinfo, "Run it on the primary.");
	args[0] = DatumGetCString(DirectFunctionCall1(interval_out, PG_GETARG_DATUM(0)));
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	gr_spi_query("SELECT $1::interval < '0'", true, 1, args);
	if (gr_spi_bool(0, 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"keep\" must not be negative, not \"%s\"", args[0]),
				 errhint("Say how long to keep every check, such as '90 days'.")));
	gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
	gr_writing = GR_WRITING_PRUNING;
	PG_TRY();
	{
		gr_spi_query(prune_statement(gr_schema_of(fcinfo)), false, 1, args);
	}
	PG_FINALLY();
	{
		gr_writing = GR_WRITING_NOTHING;
	}
	PG_END_TRY();
	gr_owner_leave(&saved);
	n = gr_spi_int8(0, 1, 0);
	SPI_finish();
	PG_RETURN_INT64(n);
}
