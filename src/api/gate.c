/*
 * gate.c
 *	  What keeps a release back: guardrail_assert_shippable for a deploy job,
 *	  guardrail_release_gate for a table of releases.
 */
#include "query/query.h"

#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(guardrail_assert_shippable);
PG_FUNCTION_INFO_V1(guardrail_assert_shippable_only);
PG_FUNCTION_INFO_V1(guardrail_release_gate);

/* There is no verdict on the variant: has no check been made, or has none seen it? */
GR_NORETURN static void
refuse_unseen(const char *schema, const char *id, const char *variant)
{
	const char *args[] = {id};
	char	   *seen;

	gr_spi_query(psprintf("SELECT pg_catalog.string_agg(pg_catalog.quote_ident(variant), ', ' ORDER BY variant)"
						  " FROM %s.guardrail_verdict WHERE experiment_id = $1 HAVING count(*) > 0", schema),
				 true, 1, args);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("variant \"%s\" of experiment \"%s\" has no recorded verdict", variant, id),
				 errhint("Record one with CALL guardrail_check('%s').", id)));
	seen = gr_spi_text(0, 1);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("the last check of experiment \"%s\" did not find variant \"%s\"", id, variant),
			 errdetail("It found these treatment variants: %s.", seen ? seen : "none"),
			 errhint("Check whether its events are written under another variant name or for another experiment.")));
}

/* An error unless the recorded verdict is SHIP and newer than the interval of an argument. */
static void
require_shippable(FunctionCallInfo fcinfo, const char *id, const char *variant, int newer_than)
{
	const char *args[3] = {id, variant, NULL};
	char	   *verdict,
			   *reason;

	if (PG_ARGISNULL(newer_than))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"newer_than\" must not be NULL")));
	args[2] = DatumGetCString(DirectFunctionCall1(interval_out, PG_GETARG_DATUM(newer_than)));
	gr_spi_query(psprintf("SELECT COALESCE(verdict, 'no verdict'), COALESCE(reason, 'No reason was recorded.'), checked_at > pg_catalog.now() - $3::interval,"
						  " checked_at::text FROM %s.guardrail_verdict"
						  " WHERE experiment_id = $1 AND variant = $2", gr_schema_of(fcinfo)),
				 true, 3, args);
	if (SPI_processed == 0)
		refuse_unseen(gr_schema_of(fcinfo), id, variant);
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
}

/* guardrail_assert_shippable(experiment, variant, newer_than interval) */
Datum
guardrail_assert_shippable(PG_FUNCTION_ARGS)
{
	char	   *id = gr_arg_text(fcinfo, 0, "experiment");
	char	   *variant = gr_arg_text(fcinfo, 1, "variant");

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	require_shippable(fcinfo, id, variant, 2);
	SPI_finish();
	PG_RETURN_VOID();
}

/* The treatment variant that the last check found; an error unless there is one. */
static char *
only_variant(const char *schema, const char *id)
{
	const char *args[] = {id};
	char	   *known;

	gr_spi_query(psprintf("SELECT min(variant), count(variant), pg_catalog.string_agg(pg_catalog.quote_ident(variant), ', ' ORDER BY variant)"
						  " FROM %s.guardrail_verdict WHERE experiment_id = $1", schema), true, 1, args);
	if (gr_spi_int8(0, 2, 0) == 1)
		return gr_spi_text(0, 1);
	known = gr_spi_text(0, 3);
	if (known)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("experiment \"%s\" has several treatment variants: %s", id, known),
				 errhint("Name the one that is to ship: guardrail_assert_shippable('%s', variant).", id)));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("experiment \"%s\" has no recorded verdict on a treatment variant", id),
			 errhint("Record one with CALL guardrail_check('%s').", id)));
}

/* guardrail_assert_shippable(experiment, newer_than interval) */
Datum
guardrail_assert_shippable_only(PG_FUNCTION_ARGS)
{
	char	   *id = gr_arg_text(fcinfo, 0, "experiment");

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	require_shippable(fcinfo, id, only_variant(gr_schema_of(fcinfo), id), 1);
	SPI_finish();
	PG_RETURN_VOID();
}

/* ---- the trigger ----------------------------------------------------------- */

typedef struct Gate
{
	const char *experiment_column;
	const char *variant_column;
	bool		asks_for_ship;	/* else: that nothing speaks against it */
	const char *newer_than;		/* interval, of the verdict */
} Gate;

/* Arguments: experiment column, variant column, block or ship, interval; all have defaults. */
static Gate
gate_arguments(const TriggerData *data)
{
	static const char *const modes[] = {"block", "ship", NULL};
	const Trigger *t = data->tg_trigger;
	Gate		gate = {"experiment_id", "variant", false, "1 day"};

	if (t->tgnargs > 0)
		gate.experiment_column = t->tgargs[0];
	if (t->tgnargs > 1)
		gate.variant_column = t->tgargs[1];
	if (t->tgnargs > 2)
	{
		if (gr_word(t->tgargs[2], modes) < 0)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("unrecognized third argument \"%s\" of trigger \"%s\"", t->tgargs[2], t->tgname),
					 errhint("Use 'block' to reject variants that are BLOCK, INVALID, UNMEASURED or WATCH, or 'ship' to require the verdict SHIP.")));
		gate.asks_for_ship = strcmp(t->tgargs[2], "ship") == 0;
	}
	if (t->tgnargs > 3)
		gate.newer_than = t->tgargs[3];
	return gate;
}

static char *
column_text(const TriggerData *data, HeapTuple tuple, const char *column)
{
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	int			n = SPI_fnumber(desc, column);

	if (n <= 0)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("table \"%s\" has no column \"%s\"", RelationGetRelationName(data->tg_relation), column),
				 errhint("Name the columns of the experiment and of the variant in the arguments of trigger \"%s\".",
						 data->tg_trigger->tgname)));
	return SPI_getvalue(tuple, desc, n);
}

GR_NORETURN static void
refuse_release(const char *id, const char *variant, const char *verdict, const char *detail, const char *hint)
{
	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 errmsg("variant \"%s\" of experiment \"%s\" may not be released: %s", variant, id, verdict),
			 errdetail_internal("%s", detail),
			 hint ? errhint(hint, id) : 0));
}

/*
 * Each arm's last recorded verdict: of the variant, or of all when it is NULL.  An
 * arm that has gone from the data keeps its own; so does one whose plan was
 * amended, until the next check.  Where nobody has looked lately, or the last look
 * failed, nobody knows.
 */
static void
hold_gate(const Gate *gate, const char *schema, const char *id, const char *variant)
{
	const char *args[] = {id, variant, gate->newer_than, gate->asks_for_ship ? "ship" : "block"};

	gr_spi_query(psprintf("SELECT COALESCE(control = $2, false) FROM %s.guardrail_experiment WHERE experiment_id = $1", schema),
				 true, 2, args);
	if (SPI_processed == 0)
		ereport(ERROR,
				(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
				 errmsg("experiment \"%s\" does not exist", id),
				 errhint("Correct its name, or leave the column NULL if the release has no experiment.")));
	/* the way back is open */
	if (!gate->asks_for_ship && gr_spi_bool(0, 1))
		return;
	/* the last verdict of a test that is over is its last */
	gr_spi_query(psprintf("SELECT DISTINCT ON (l.variant) l.variant, COALESCE(l.verdict, 'no verdict'),"
						  " COALESCE(l.reason, 'No reason was recorded.'),"
						  " l.checked_at > pg_catalog.now() - $3::interval OR ($4 = 'block' AND e.state = 'stopped'"
						  " AND l.checked_at >= e.stopped_at), l.checked_at::text, l.status, l.error IS NOT NULL"
						  " FROM %s.guardrail_check_log l JOIN %s.guardrail_experiment e USING (experiment_id)"
						  " WHERE experiment_id = $1 AND l.checked_at >= e.launched_at AND ($2 IS NULL OR l.variant = $2)"
						  /* a check that saw no arm at all says nothing once another did */
						  " AND (l.variant IS NOT NULL OR NOT EXISTS (SELECT FROM %s.guardrail_check_log n"
						  " WHERE n.experiment_id = $1 AND n.check_id > l.check_id))"
						  " ORDER BY l.variant, l.check_id DESC", schema, schema, schema), true, 4, args);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		char	   *arm = gr_spi_text(i, 1);
		char	   *verdict = gr_spi_text(i, 2);
		char	   *status = gr_spi_text(i, 6);
		bool		against = strcmp(verdict, "BLOCK") == 0 || strcmp(verdict, "INVALID") == 0;

		/* what could not be measured, or the hand-written check would block, is no permission */
		if (!against && status && (strncmp(status, "UNMEASURED", 10) == 0 || strncmp(status, "WATCH", 5) == 0))
			refuse_release(id, arm ? arm : "", status, gr_spi_text(i, 3), NULL);
		if (!against && gr_spi_bool(i, 7))
			refuse_release(id, arm ? arm : "", "its last check failed", gr_spi_text(i, 3), "Fix the failure, then record a new verdict with CALL guardrail_check('%s').");
		if (against || (gate->asks_for_ship && strcmp(verdict, "SHIP") != 0))
			refuse_release(id, arm ? arm : "", verdict, gr_spi_text(i, 3), NULL);
		if (!gr_spi_bool(i, 4))
			refuse_release(id, arm ? arm : "", "its verdict is too old",
						   psprintf("It was recorded at %s.", gr_spi_text(i, 5)), "Record a new one with CALL guardrail_check('%s').");
	}
	if (SPI_processed == 0)
		refuse_release(id, variant ? variant : "", "it has no recorded verdict", "No check has recorded a verdict for it.",
					   "Record one with CALL guardrail_check('%s').");
}

/* guardrail_release_gate(): before or after insert or update, for each row */
Datum
guardrail_release_gate(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	HeapTuple	tuple;
	Gate		gate;
	char	   *id,
			   *variant;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_FOR_ROW(data->tg_event) ||
		TRIGGER_FIRED_BY_DELETE(data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function must be called as a trigger for each row that is inserted or updated")));
	tuple = TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple;
	gate = gate_arguments(data);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	id = column_text(data, tuple, gate.experiment_column);
	variant = column_text(data, tuple, gate.variant_column);
	if (id)
	{
		OwnerContext saved;

		/* a verdict recorded a moment ago counts, whatever the isolation level */
		PushActiveSnapshot(GetLatestSnapshot());
		gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
		hold_gate(&gate, gr_schema_of(fcinfo), id, variant);
		gr_owner_leave(&saved);
		PopActiveSnapshot();
	}
	SPI_finish();
	PG_RETURN_POINTER(tuple);
}
