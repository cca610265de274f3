/*
 * lifecycle.c
 *	  guardrail_launch, and the step that guardrail_stop takes.
 */
#include "plan/plan.h"

#include "executor/spi.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(guardrail_launch);

/* The version that comes after those of any experiment of this name. */
static int
next_version(FunctionCallInfo fcinfo, const char *schema, const char *id)
{
	const char *args[] = {id};
	OwnerContext saved;

	/* plans of an experiment of this name that somebody made away with stay in the chain */
	gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
	gr_spi_query(psprintf("SELECT COALESCE(max(version), 0)::bigint + 1 FROM %s.guardrail_plan"
						  " WHERE experiment_id = $1", schema), true, 1, args);
	gr_owner_leave(&saved);
	return (int) gr_spi_int8(0, 1, 1);
}

/* The design, in words. */
static char *
describe_design(const Experiment *e)
{
	const char *name = gr_design_of(e->monitoring)->name;

	return e->planned_units > 0 ? psprintf("%s over %s units", name, gr_thousands(e->planned_units)) : pstrdup(name);
}

/* guardrail_launch(experiment, unseen) */
Datum
guardrail_launch(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *schema = gr_schema_of(fcinfo);
	bool		unseen = PG_NARGS() > 1 && !PG_ARGISNULL(1) && PG_GETARG_BOOL(1);
	Experiment *e;
	char	   *arms,
			   *said;
	int			version;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	e = gr_plan_lock(fcinfo, schema);
	gr_plan_require_state(e, "draft", "Only a draft can be launched, and only once.");
	gr_plan_require_whole(e, schema);
	/* rows that came since the caller's statement began count, as in what is registered */
	PushActiveSnapshot(GetLatestSnapshot());
	arms = gr_plan_seen(fcinfo, schema, e, !unseen);
	PopActiveSnapshot();
	version = next_version(fcinfo, schema, e->id);
	gr_plan_register(fcinfo, schema, e, version, "launched",
					 "state = 'running', launched_at = pg_catalog.clock_timestamp()");
	said = MemoryContextStrdup(context, psprintf("launched %s: plan %d, %s; %s", e->id, version, describe_design(e), arms));
	SPI_finish();
	PG_RETURN_TEXT_P(cstring_to_text(said));
}

Experiment *
gr_plan_stop(FunctionCallInfo fcinfo, const char *schema)
{
	Experiment *e = gr_plan_lock(fcinfo, schema);
	OwnerContext saved;
	const char *args[] = {e->id};

	gr_plan_require_state(e, "running", "Only a running experiment can be stopped.");
	gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
	gr_update_lifecycle(schema, "state = 'stopped', stopped_at = pg_catalog.now()", 1, args);
	gr_owner_leave(&saved);
	return e;
}
