/*
 * stop.c
 *	  guardrail_stop: ends an experiment with a last check, and what checks say.
 *
 * The last check comes after the end, so that a fixed test is over.  It belongs to
 * whoever may stop the experiment.  One that fails is recorded as any other, and the
 * experiment is stopped all the same.
 */
#include "api/api.h"
#include "plan/plan.h"

#include "access/xact.h"
#include "executor/spi.h"

PG_FUNCTION_INFO_V1(guardrail_stop);

/* Arms that a line names. */
#define MOST_ARMS 5

char *
gr_check_line(FunctionCallInfo fcinfo, const char *schema, const char *id)
{
	const char *args[] = {id};
	OwnerContext saved;
	StringInfoData buf;
	int			n;

	gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
	/* a status that begins with the verdict says more */
	gr_spi_query(psprintf("SELECT variant, CASE WHEN pg_catalog.starts_with(status, verdict) THEN status ELSE verdict END, status"
						  " FROM %s.guardrail_check_log WHERE experiment_id = $1 AND check_id ="
						  " (SELECT max(check_id) FROM %s.guardrail_check_log WHERE experiment_id = $1)"
						  " ORDER BY arm_no", schema, schema), false, 1, args);
	gr_owner_leave(&saved);
	n = (int) SPI_processed;
	initStringInfo(&buf);
	for (int i = 0; i < n && i < MOST_ARMS; i++)
		if (gr_spi_text(i, 1))
			appendStringInfo(&buf, "%s%s %s", i ? "; " : "", gr_plainly(gr_spi_text(i, 1)), gr_spi_text(i, 2));
		else
			appendStringInfo(&buf, "%s%s", i ? "; " : "", gr_spi_text(i, 3) ? gr_spi_text(i, 3) : gr_spi_text(i, 2));
	if (n > MOST_ARMS)
		appendStringInfo(&buf, "; and %d more", n - MOST_ARMS);
	return buf.data;
}

/* What the last check found, in words. */
static char *
last_check(FunctionCallInfo fcinfo, char *schema, const char *id)
{
	const char *unrecorded = NULL;
	const char *error;

	/* a snapshot that is older than the last check would see none of it */
	if (IsolationUsesXactSnapshot())
		return pstrdup("no last check, since the transaction is not READ COMMITTED");
	error = gr_check_alone(fcinfo, schema, id, &unrecorded);
	if (unrecorded)
		return psprintf("the last check failed, and could not be recorded: %s", error);
	if (error)
		return psprintf("the last check failed: %s", error);
	return psprintf("last check: %s", gr_check_line(fcinfo, schema, id));
}

/* guardrail_stop(experiment) */
Datum
guardrail_stop(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *schema = gr_schema_of(fcinfo);
	Experiment *e;
	char	   *said;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	e = gr_plan_stop(fcinfo, schema);
	CommandCounterIncrement();
	said = MemoryContextStrdup(context, psprintf("stopped %s: %s", e->id, last_check(fcinfo, schema, e->id)));
	SPI_finish();
	PG_RETURN_TEXT_P(cstring_to_text(said));
}
