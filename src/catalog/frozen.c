/*
 * frozen.c
 *	  The triggers that keep a launched plan and what was recorded as they are,
 *	  for everyone.
 *
 * A draft's rows are free; those of an experiment that runs or is over change
 * through guardrail_amend() and the lifecycle functions alone.  A rule's writer
 * locks the experiment's row, so that no rule slips in beside a launch.
 *
 * A restore writes the rules of running experiments: who owns the table may insert
 * a rule that stands in the plan word for word, or any while the plan itself has
 * not been restored.  What pg_dump has written is restored as it was, tampered with
 * or not.  Whoever uses that, or switches the trigger off, is found out by the hash.
 */
#include "catalog/validate.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "catalog/expression.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(guardrail_frozen);
PG_FUNCTION_INFO_V1(guardrail_append_only);

GR_NORETURN static void
refuse_frozen(const char *what, const char *state)
{
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("%s is frozen because the experiment %s", what,
					strcmp(state, "running") == 0 ? "is running" : "has been stopped"),
			 strcmp(state, "running") == 0 ?
			 errhint("Use guardrail_amend(), which records who changed the plan, when and why.") :
			 errhint("The plan of a stopped experiment cannot change. Create another experiment for another test.")));
}

/* Is this rule, as it stands, part of the registered plan, or is there none yet? */
static bool
rule_is_planned(const char *schema, Relation rules, HeapTuple tuple, const char *id,
				const char *metric)
{
	Oid			types[] = {rules->rd_rel->reltype, TEXTOID, TEXTOID};
	Datum		values[] = {heap_copy_tuple_as_datum(tuple, RelationGetDescr(rules)),
	CStringGetTextDatum(id), CStringGetTextDatum(metric)};
	char	   *sql;

	sql = psprintf("SELECT count(*) = 0 OR bool_or(p.plan::pg_catalog.jsonb -> 'rules' -> $3 ="
				   " pg_catalog.jsonb_strip_nulls(pg_catalog.to_jsonb($1) - '{experiment_id,metric}'::text[]))"
				   " FROM %s.guardrail_plan p JOIN %s.guardrail_experiment e"
				   " ON e.experiment_id = p.experiment_id AND e.plan_version = p.version"
				   " WHERE p.experiment_id = $2", schema, schema);
	/* the launch that the lock waited for has registered a plan since the statement began */
	PushActiveSnapshot(GetLatestSnapshot());
	if (SPI_execute_with_args(sql, 3, types, values, NULL, true, 0) != SPI_OK_SELECT)
		elog(ERROR, "could not compare a rule with its plan");
	PopActiveSnapshot();
	return gr_spi_bool(0, 1);
}

/* The experiment of a rule, locked; NULL: it is no more, or not yet. */
static char *
lock_state(FunctionCallInfo fcinfo, const char *schema, const char *id, Oid *owner)
{
	OwnerContext saved;
	const char *args[] = {id};
	char	   *state;

	if (id == NULL)
		return NULL;
	gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
	gr_spi_query(psprintf("SELECT state, owner::oid::bigint FROM %s.guardrail_experiment"
						  " WHERE experiment_id = $1 FOR SHARE", schema), false, 1, args);
	gr_owner_leave(&saved);
	if (SPI_processed == 0)
		return NULL;
	state = gr_spi_text(0, 1);
	/* NULL only where somebody dropped the constraint: not a draft, to be sure */
	if (state == NULL)
		state = "";
	*owner = (Oid) gr_spi_int8(0, 2, 0);
	return state;
}

static void
check_rule(FunctionCallInfo fcinfo, TriggerData *data, HeapTuple tuple, bool inserting)
{
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	char	   *schema = gr_schema_of(fcinfo);
	char	   *id = SPI_getvalue(tuple, desc, SPI_fnumber(desc, "experiment_id"));
	char	   *metric = SPI_getvalue(tuple, desc, SPI_fnumber(desc, "metric"));
	Experiment	e = {.id = id};
	char	   *state = lock_state(fcinfo, schema, id, &e.owner);
	bool		planned = false;

	if (id == NULL || metric == NULL || (inserting && gr_in_restore(data->tg_relation)))
		return;
	if (state == NULL)
	{
		/* of a rule that is written, it must be there; of one that goes, it may go too */
		if (tuple != data->tg_trigtuple || inserting)
			gr_refuse_orphan(id, metric);
		return;
	}
	gr_require_ownership(&e);
	if (strcmp(state, "draft") == 0)
		return;
	if (inserting && gr_owns_table(data->tg_relation))
	{
		OwnerContext saved;

		gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
		planned = rule_is_planned(schema, data->tg_relation, tuple, id, metric);
		gr_owner_leave(&saved);
	}
	if (!planned)
		refuse_frozen(psprintf("rule \"%s\" of experiment \"%s\"", metric, id), state);
}

static void
check_experiment(TriggerData *data)
{
	TupleDesc	desc = RelationGetDescr(data->tg_relation);
	HeapTuple	old = data->tg_trigtuple;
	Experiment	e = {.id = SPI_getvalue(old, desc, SPI_fnumber(desc, "experiment_id"))};
	char	   *state = SPI_getvalue(old, desc, SPI_fnumber(desc, "state"));
	bool		null;

	e.owner = DatumGetObjectId(SPI_getbinval(old, desc, SPI_fnumber(desc, "owner"), &null));
	gr_require_ownership(&e);
	if (state == NULL || strcmp(state, "draft") != 0)
		refuse_frozen(psprintf("experiment \"%s\"", e.id), state ? state : "");
}

/* Every row goes: no plan may be launched, and all must be the caller's. */
static void
check_truncate(FunctionCallInfo fcinfo, TriggerData *data)
{
	OwnerContext saved;

	gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
	PushActiveSnapshot(GetLatestSnapshot());
	gr_spi_query(psprintf("SELECT experiment_id, owner::oid::bigint, state FROM %s.guardrail_experiment"
						  " ORDER BY state = 'draft', experiment_id COLLATE \"C\"",
						  gr_schema_of(fcinfo)), true, 0, NULL);
	PopActiveSnapshot();
	gr_owner_leave(&saved);
	for (int i = 0; i < (int) SPI_processed; i++)
	{
		Experiment	e = {.id = gr_spi_text(i, 1), .owner = (Oid) gr_spi_int8(i, 2, 0)};
		char	   *state = gr_spi_text(i, 3);

		CHECK_FOR_INTERRUPTS();
		if (state == NULL || strcmp(state, "draft") != 0)
			refuse_frozen(psprintf("table \"%s\"", RelationGetRelationName(data->tg_relation)),
						  state ? state : "");
		gr_require_ownership(&e);
	}
}

Datum
guardrail_frozen(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	bool		rules;

	if (!CALLED_AS_TRIGGER(fcinfo) || !TRIGGER_FIRED_BEFORE(data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function must be called as a trigger, before the change")));
	rules = strcmp(RelationGetRelationName(data->tg_relation), "guardrail_rule") == 0;
	if (RelationGetNamespace(data->tg_relation) != get_func_namespace(fcinfo->flinfo->fn_oid) ||
		!(rules || strcmp(RelationGetRelationName(data->tg_relation), "guardrail_experiment") == 0))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function must be called for guardrail_experiment or guardrail_rule")));
	if (gr_writing != GR_WRITING_LIFECYCLE && gr_writing != GR_WRITING_AMENDMENT)
	{
		if (SPI_connect() != SPI_OK_CONNECT)
			elog(ERROR, "SPI_connect failed");
		if (TRIGGER_FIRED_BY_TRUNCATE(data->tg_event))
			check_truncate(fcinfo, data);
		else if (!rules)
			check_experiment(data);
		else
		{
			check_rule(fcinfo, data, data->tg_trigtuple, TRIGGER_FIRED_BY_INSERT(data->tg_event));
			if (TRIGGER_FIRED_BY_UPDATE(data->tg_event))
				check_rule(fcinfo, data, data->tg_newtuple, false);
		}
		SPI_finish();
	}
	PG_RETURN_POINTER(TRIGGER_FIRED_BY_UPDATE(data->tg_event) ? data->tg_newtuple : data->tg_trigtuple);
}

/* guardrail_append_only(): logs are added to, never changed */
Datum
guardrail_append_only(PG_FUNCTION_ARGS)
{
	TriggerData *data = (TriggerData *) fcinfo->context;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function must be called as a trigger")));
	if (gr_writing == GR_WRITING_PRUNING && TRIGGER_FIRED_BY_DELETE(data->tg_event))
		PG_RETURN_POINTER(NULL);
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 errmsg("table \"%s\" is append-only", RelationGetRelationName(data->tg_relation)),
			 errhint("Rows can only be added. Use guardrail_amend() to change a plan, and guardrail_prune() to remove old checks.")));
}
