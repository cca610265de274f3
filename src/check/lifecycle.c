/*
 * lifecycle.c
 *	  guardrail_launch, guardrail_stop, guardrail_assert_shippable.
 *
 * The state of an experiment is changed here and nowhere else: the trigger on
 * guardrail_experiment refuses it unless gr_in_lifecycle_change is set, which is
 * true only around the one UPDATE below.
 */
#include "check/evaluation.h"

#include "catalog/pg_type.h"
#include "catalog/validate.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(guardrail_launch);
PG_FUNCTION_INFO_V1(guardrail_stop);
PG_FUNCTION_INFO_V1(guardrail_assert_shippable);

static void
change_state(FunctionCallInfo fcinfo, const char *schema, const char *id, const char *set)
{
	OwnerContext saved;
	const char *args[] = {id};

	gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
	gr_in_lifecycle_change = true;
	PG_TRY();
	{
		gr_spi_query(psprintf("UPDATE %s.guardrail_experiment SET %s WHERE experiment_id = $1",
							  schema, set), false, 1, args);
	}
	PG_FINALLY();
	{
		gr_in_lifecycle_change = false;
	}
	PG_END_TRY();
	gr_owner_leave(&saved);
}

static void
require_state(const Experiment *e, const char *state, const char *hint)
{
	if (strcmp(e->state, state) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("experiment \"%s\" is %s", e->id,
						strcmp(e->state, "draft") == 0 ? "a draft" : e->state),
				 errhint("%s", hint)));
}

/* The row, locked against a second launch or stop, then read. */
static Experiment *
lock_experiment(FunctionCallInfo fcinfo, const char *schema)
{
	char	   *id = gr_arg_text(fcinfo, 0, "experiment");
	const char *args[] = {id};
	OwnerContext saved;
	Experiment *e;

	gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
	gr_spi_query(psprintf("SELECT 1 FROM %s.guardrail_experiment WHERE experiment_id = $1 FOR UPDATE",
						  schema), false, 1, args);
	gr_owner_leave(&saved);
	/* what the lock waited for is newer than the caller's snapshot */
	PushActiveSnapshot(GetTransactionSnapshot());
	e = gr_experiment_load(schema, id, CurrentMemoryContext);
	PopActiveSnapshot();
	gr_require_ownership(e);
	return e;
}

/* An experiment of the same name, deleted since, may have left some. */
static void
forget_looks(FunctionCallInfo fcinfo, const char *schema, const char *id)
{
	OwnerContext saved;
	const char *args[] = {id};

	gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
	gr_spi_query(psprintf("DELETE FROM %s.guardrail_look_state WHERE experiment_id = $1", schema),
				 false, 1, args);
	gr_owner_leave(&saved);
}

/* guardrail_launch(experiment) */
Datum
guardrail_launch(PG_FUNCTION_ARGS)
{
	char	   *schema = gr_schema_of(fcinfo);
	Experiment *e;
	OwnerContext saved;
	int			primaries = 0;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	e = lock_experiment(fcinfo, schema);
	require_state(e, "draft", "Only a draft can be launched, and only once.");
	for (int i = 0; i < e->nrules; i++)
		primaries += (e->rules[i].rule.role == GR_PRIMARY);
	if (primaries != 1)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("experiment \"%s\" has %d rules of role primary", e->id, primaries),
				 errhint("A plan has exactly one primary metric: the one the change is made for.")));
	/* every expression still fits the events, with the owner's rights */
	gr_owner_enter(&saved, e->owner);
	(void) gr_plan_make(e);
	gr_owner_leave(&saved);
	change_state(fcinfo, schema, e->id,
				 psprintf("state = 'running', launched_at = pg_catalog.clock_timestamp(), plan_version = 1,"
						  " monitoring = '%s'", gr_words_monitoring[e->monitoring]));
	forget_looks(fcinfo, schema, e->id);
	SPI_finish();
	PG_RETURN_VOID();
}

/* guardrail_stop(experiment) */
Datum
guardrail_stop(PG_FUNCTION_ARGS)
{
	char	   *schema = gr_schema_of(fcinfo);
	Experiment *e;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	e = lock_experiment(fcinfo, schema);
	require_state(e, "running", "Only an experiment that runs can be stopped.");
	change_state(fcinfo, schema, e->id, "state = 'stopped', stopped_at = pg_catalog.now()");
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
