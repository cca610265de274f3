/*
 * lifecycle.c
 *	  guardrail_launch and guardrail_stop.
 */
#include "plan/plan.h"

#include "executor/spi.h"

PG_FUNCTION_INFO_V1(guardrail_launch);
PG_FUNCTION_INFO_V1(guardrail_stop);

/* guardrail_launch(experiment) */
Datum
guardrail_launch(PG_FUNCTION_ARGS)
{
	char	   *schema = gr_schema_of(fcinfo);
	Experiment *e;
	OwnerContext saved;
	const char *args[1];
	int			version;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	e = gr_plan_lock(fcinfo, schema);
	gr_plan_require_state(e, "draft", "Only a draft can be launched, and only once.");
	gr_plan_require_whole(e, schema);
	/* plans of an experiment of this name that somebody made away with stay in the chain */
	args[0] = e->id;
	gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
	gr_spi_query(psprintf("SELECT COALESCE(max(version), 0)::bigint + 1 FROM %s.guardrail_plan"
						  " WHERE experiment_id = $1", schema), true, 1, args);
	gr_owner_leave(&saved);
	version = (int) gr_spi_int8(0, 1, 1);
	gr_plan_register(fcinfo, schema, e, version, "launched",
					 "state = 'running', launched_at = pg_catalog.clock_timestamp()");
	SPI_finish();
	PG_RETURN_VOID();
}

/* guardrail_stop(experiment) */
Datum
guardrail_stop(PG_FUNCTION_ARGS)
{
	char	   *schema = gr_schema_of(fcinfo);
	Experiment *e;
	OwnerContext saved;
	const char *args[1];

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	e = gr_plan_lock(fcinfo, schema);
	gr_plan_require_state(e, "running", "Only a running experiment can be stopped.");
	args[0] = e->id;
	gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
	gr_update_lifecycle(schema, "state = 'stopped', stopped_at = pg_catalog.now()", 1, args);
	/* no look follows */
	gr_spi_query(psprintf("DELETE FROM %s.guardrail_look_state WHERE experiment_id = $1", schema), false, 1, args);
	gr_owner_leave(&saved);
	SPI_finish();
	PG_RETURN_VOID();
}
