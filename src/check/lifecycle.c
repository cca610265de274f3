/*
 * lifecycle.c
 *	  guardrail_launch, guardrail_stop, guardrail_assert_shippable.
 */
#include "check/plan.h"

#include "executor/spi.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(guardrail_launch);
PG_FUNCTION_INFO_V1(guardrail_stop);
PG_FUNCTION_INFO_V1(guardrail_assert_shippable);

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
	gr_plan_require_whole(e);
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
	gr_plan_require_state(e, "running", "Only an experiment that runs can be stopped.");
	args[0] = e->id;
	gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
	gr_update_lifecycle(schema, "state = 'stopped', stopped_at = pg_catalog.now()", 1, args);
	gr_owner_leave(&saved);
	SPI_finish();
	PG_RETURN_VOID();
}

/* guardrail_assert_shippable(experiment, variant, newer_than interval) */
Datum
guardrail_assert_shippable(PG_FUNCTION_ARGS)
{
	char	   *id = gr_arg_text(fcinfo, 0, "experiment");
	char	   *variant = gr_arg_text(fcinfo, 1, "variant");
	const char *args[3] = {id, variant, NULL};
	char	   *verdict,
			   *reason;

	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"newer_than\" must not be NULL")));
	args[2] = DatumGetCString(DirectFunctionCall1(interval_out, PG_GETARG_DATUM(2)));
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	gr_spi_query(psprintf("SELECT verdict, reason, checked_at > pg_catalog.now() - $3::interval,"
						  " checked_at::text FROM %s.guardrail_verdict"
						  " WHERE experiment_id = $1 AND variant = $2", gr_schema_of(fcinfo)),
				 true, 3, args);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("variant \"%s\" of experiment \"%s\" has no recorded verdict", variant, id),
				 errhint("Record one with CALL guardrail_check('%s').", id)));
	verdict = gr_spi_text(0, 1);
	reason = gr_spi_text(0, 2);
	if (strcmp(verdict, "SHIP") != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("variant \"%s\" of experiment \"%s\" may not ship: %s", variant, id, verdict),
				 errdetail_internal("%s", reason)));
	if (!gr_spi_bool(0, 3))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("verdict of variant \"%s\" of experiment \"%s\" is too old", variant, id),
				 errdetail("It was recorded at %s.", gr_spi_text(0, 4)),
				 errhint("Record a new one with CALL guardrail_check('%s').", id)));
	SPI_finish();
	PG_RETURN_VOID();
}
