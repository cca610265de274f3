/*
 * stop.c
 *	  guardrail_stop: ends an experiment with a last check.
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
