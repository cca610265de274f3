/*
 * prune.c
 *	  guardrail_prune: old checks out of the logs, but not what they led to.
 *
 * Needed, however old: the first and the last check of each arm and the two around
 * each change of its verdict, so that its history can still be read; and what the
 * next check of the present plan rests on: its looks, each metric's last result,
 * the checks that set its least p-values, the last test of the split, and the last
 * check with segments.
 *
 * Of a check that said nothing new, and so stored no inputs, the results can go before
 * the verdicts do: they are most of what it left.
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
					" needed AS MATERIALIZED (SELECT check_id FROM arms WHERE was IS DISTINCT FROM verdict OR becomes IS DISTINCT FROM verdict"
					"  UNION SELECT pg_catalog.unnest(ARRAY[check_id, breach_check, safe_check, goal_check]) FROM present"
					"  UNION SELECT l.check_id FROM %s.guardrail_check_log l JOIN %s.guardrail_experiment e USING (experiment_id)"
					"  WHERE l.look_no IS NOT NULL AND l.plan_version = e.plan_version"
					"  UNION SELECT max(check_id) FROM %s.guardrail_check_log WHERE srm_p IS NOT NULL GROUP BY experiment_id, plan_version"
					"  UNION SELECT max(l.check_id) FROM %s.guardrail_segment_log l JOIN %s.guardrail_experiment e USING (experiment_id)"
					"  WHERE l.plan_version = e.plan_version GROUP BY l.experiment_id),"
					" old AS MATERIALIZED (SELECT check_id, max(checked_at) AS checked_at FROM %s.guardrail_check_log l"
					"  WHERE NOT EXISTS (SELECT FROM needed WHERE needed.check_id = l.check_id) GROUP BY check_id),"
					" doomed AS MATERIALIZED (SELECT check_id FROM old WHERE checked_at < pg_catalog.now() - $1::interval),"
					" thinned AS MATERIALIZED (SELECT check_id FROM old WHERE checked_at >= pg_catalog.now() - $1::interval"
					"  AND checked_at < pg_catalog.now() - $2::interval"
					"  AND NOT EXISTS (SELECT FROM %s.guardrail_check_input i WHERE i.check_id = old.check_id)"
					"  AND EXISTS (SELECT FROM %s.guardrail_result_log r WHERE r.check_id = old.check_id)),"
					" poorer AS MATERIALIZED (TABLE doomed UNION ALL TABLE thinned),"
					" checks AS (DELETE FROM %s.guardrail_check_log l USING doomed WHERE l.check_id = doomed.check_id),"
					" results AS (DELETE FROM %s.guardrail_result_log l USING poorer WHERE l.check_id = poorer.check_id),"
					" inputs AS (DELETE FROM %s.guardrail_check_input l USING doomed WHERE l.check_id = doomed.check_id),"
					" segments AS (DELETE FROM %s.guardrail_segment_log l USING poorer WHERE l.check_id = poorer.check_id),"
					" segment_inputs AS (DELETE FROM %s.guardrail_segment_input l USING doomed WHERE l.check_id = doomed.check_id)"
					" SELECT count(*) FROM poorer", s, s, s, s, s, s, s, s, s, s, s, s, s, s, s, s);
}

/* An argument that says how long, as text. */
static char *
age(FunctionCallInfo fcinfo, int n, const char *name, const char *what)
{
	const char *args[1];

	if (PG_ARGISNULL(n))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"%s\" must not be NULL", name),
				 errhint("Say how long to keep %s, such as '90 days'.", what)));
	args[0] = DatumGetCString(DirectFunctionCall1(interval_out, PG_GETARG_DATUM(n)));
	gr_spi_query("SELECT $1::interval < '0'", true, 1, args);
	if (gr_spi_bool(0, 1))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"%s\" must not be negative, not \"%s\"", name, args[0]),
				 errhint("Say how long to keep %s, such as '90 days'.", what)));
	return (char *) args[0];
}

/*
 * guardrail_prune(keep), guardrail_prune(keep, keep_results): the number of checks
 * removed, and of those that lost their results
 */
Datum
guardrail_prune(PG_FUNCTION_ARGS)
{
	const char *args[2] = {NULL, NULL};
	OwnerContext saved;
	int64		n;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	args[0] = age(fcinfo, 0, "keep", "every check");
	if (PG_NARGS() > 1)
		args[1] = age(fcinfo, 1, "keep_results", "the results of every check");
	gr_require_writable(fcinfo, "Run it on the primary.");
	gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
	gr_writing = GR_WRITING_PRUNING;
	PG_TRY();
	{
		gr_spi_query(prune_statement(gr_schema_of(fcinfo)), false, 2, args);
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
