/*
 * plan.c
 *	  A plan's registration, and its comparison with the rows.
 *
 * The text, its hash and the comparison are SQL functions over the catalog
 * (sql/parts/60_plan.sql): whoever doubts them can read and run them.
 */
#include "plan/plan.h"

#include "catalog/pg_type.h"
#include "catalog/validate.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/array.h"
#include "utils/lsyscache.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(guardrail_verify);
PG_FUNCTION_INFO_V1(guardrail_plan_functions);

void
gr_require_writable(FunctionCallInfo fcinfo, const char *hint)
{
	char	   *command = psprintf("%s()", get_func_name(fcinfo->flinfo->fn_oid));

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot execute %s during recovery", command),
				 errhint("%s", hint)));
	PreventCommandIfReadOnly(command);
}

Experiment *
gr_plan_lock(FunctionCallInfo fcinfo, const char *schema)
{
	char	   *id = gr_arg_text(fcinfo, 0, "experiment");
	const char *args[] = {id};
	OwnerContext saved;
	Experiment *e;

	/* the log would name the session's user, who asked for something else */
	if (InSecurityRestrictedOperation())
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("cannot change the plan of experiment \"%s\" within security-restricted operation", id),
				 errhint("Call the function directly: expressions, and functions in them, cannot launch, amend or stop an experiment.")));
	gr_require_writable(fcinfo, "Run it on the primary.");
	gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
	gr_spi_query(psprintf("SELECT 1 FROM %s.guardrail_experiment WHERE experiment_id = $1 FOR UPDATE",
						  schema), false, 1, args);
	gr_owner_leave(&saved);
	/* what the lock waited for is newer than the caller's snapshot */
	PushActiveSnapshot(GetLatestSnapshot());
	e = gr_experiment_load(schema, id, CurrentMemoryContext);
	PopActiveSnapshot();
	gr_require_ownership(e);
	return e;
}

char *
gr_plan_reason(FunctionCallInfo fcinfo, int n, const char *hint)
{
	char	   *reason = gr_arg_text(fcinfo, n, "reason");

	if (strspn(reason, " \t\r\n") == strlen(reason))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"reason\" must not be empty"),
				 errhint("%s", hint)));
	return reason;
}

void
gr_plan_require_state(const Experiment *e, const char *state, const char *hint)
{
	if (strcmp(e->state, state) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("experiment \"%s\" is %s", e->id,
						strcmp(e->state, "draft") == 0 ? "a draft" : e->state),
				 errhint("%s", hint)));
}

/* The event query calls functions of the extension: with the owner's rights. */
static void
require_schema(const Experiment *e, const char *schema)
{
	const char *args[] = {psprintf("%u", e->owner), schema};

	gr_spi_query("SELECT pg_catalog.has_schema_privilege($1::oid, $2::regnamespace::oid, 'USAGE')", true, 2, args);
	if (!gr_spi_bool(0, 1))
		ereport(ERROR,
				(errcode(ERRCODE_INSUFFICIENT_PRIVILEGE),
				 errmsg("role \"%s\", which owns experiment \"%s\", may not use schema %s", gr_owner_name(e), e->id, schema),
				 errhint("GRANT USAGE ON SCHEMA %s TO %s.", schema, quote_identifier(gr_owner_name(e)))));
}

void
gr_plan_require_whole(Experiment *e, const char *schema)
{
	OwnerContext saved;
	ScanPlan   *plan;
	int			primaries = 0;

	for (int i = 0; i < e->nrules; i++)
		primaries += (e->rules[i].rule.role == GR_PRIMARY);
	if (primaries != 1)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 primaries == 0 ? errmsg("experiment \"%s\" has no primary metric", e->id) :
				 errmsg("experiment \"%s\" has %d primary metrics", e->id, primaries),
				 errhint("Set role to 'primary' in exactly one rule: the metric that the change should improve.")));
	for (int i = 0; i < e->nrules; i++)
		if (e->rules[i].segment_veto && e->nsegments == 0)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("rule \"%s\" has segment_veto, and experiment \"%s\" has no segments",
							e->rules[i].rule.metric, e->id),
					 errhint("Set guardrail_experiment.segments, or leave segment_veto NULL.")));
	/* every expression still fits the events, with the owner's rights */
	gr_owner_enter(&saved, e->owner);
	require_schema(e, schema);
	plan = gr_plan_make(e);
	/* nor does the owner lack a right on the exposures, or a name mean two things */
	if (OidIsValid(e->exposures) || gr_needs_exposure_time(e))
		gr_spi_query(psprintf("EXPLAIN (COSTS OFF) %s", gr_sql_two_level(e, plan, schema)),
					 false, 0, NULL);
	gr_owner_leave(&saved);
}

/* Has an event of the experiment been seen?  Asked with its owner's rights. */
static bool
has_events(const Experiment *e)
{
	OwnerContext saved;
	bool		found;

	gr_owner_enter(&saved, e->owner);
	gr_spi_query(gr_sql_seen(e), true, 0, NULL);
	found = SPI_processed > 0;
	gr_owner_leave(&saved);
	return found;
}

static void
count_distinct(void *arg)
{
	const Experiment *e = arg;
	OwnerContext saved;

	gr_owner_enter(&saved, e->owner);
	gr_spi_query(gr_sql_unit_count(e), true, 0, NULL);
	gr_owner_leave(&saved);
}

/* How many units, as text?  NULL: they cannot be counted. */
static char *
count_units(Experiment *e, const Evaluation *v)
{
	int64		n = 0;

	if (v)
	{
		n = v->control.units;
		for (int a = 0; a < v->narms; a++)
			n += v->arms[a].units;
	}
	else if (gr_attempt(count_distinct, e) == NULL)
		n = gr_spi_int8(0, 1, 0);
	else
		return NULL;
	return psprintf(INT64_FORMAT, n);
}

/*
 * The trigger on guardrail_experiment refuses changes of these columns unless
 * gr_writing says that it is this one statement.
 */
void
gr_update_lifecycle(const char *schema, const char *set, int nargs, const char *const *args)
{
	gr_writing = GR_WRITING_LIFECYCLE;
	PG_TRY();
	{
		gr_spi_query(psprintf("UPDATE %s.guardrail_experiment SET %s WHERE experiment_id = $1",
							  schema, set), false, nargs, args);
	}
	PG_FINALLY();
	{
		gr_writing = GR_WRITING_NOTHING;
	}
	PG_END_TRY();
}

void
gr_plan_register(FunctionCallInfo fcinfo, const char *schema, Experiment *e,
				 int version, const char *reason, const char *set)
{
	const char *args[7] = {e->id, NULL, psprintf("%d", version),
	GetUserNameFromId(GetSessionUserId(), false), reason, NULL, NULL};
	OwnerContext saved;
	bool		after_data;
	Evaluation *v;

	/* the snapshot of the lock, whatever the isolation level */
	PushActiveSnapshot(GetLatestSnapshot());
	after_data = has_events(e);
	v = gr_plan_warn(fcinfo, schema, e, after_data);
	if (after_data)
		args[6] = count_units(e, v);
	PopActiveSnapshot();

	gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
	/* a design that was left open is settled now, and so part of the plan */
	gr_update_lifecycle(schema, psprintf("%s%smonitoring = '%s', plan_version = %d", set, set[0] ? ", " : "",
										 gr_design_of(e->monitoring)->name, version), 1, args);
	PushActiveSnapshot(GetLatestSnapshot());
	gr_spi_query(psprintf("SELECT %s._guardrail_plan_body($1)", schema), true, 1, args);
	args[1] = gr_spi_text(0, 1);
	PopActiveSnapshot();
	args[5] = after_data ? "true" : "false";
	gr_spi_query(psprintf("SELECT %s._guardrail_plan_register($1, $2::jsonb, $3::integer, $4, $5, $6::boolean, $7::bigint)",
						  schema), false, 7, args);
	args[1] = gr_spi_text(0, 1);
	gr_update_lifecycle(schema, "plan_hash = $2", 2, args);
	/* an experiment of the same name, deleted since, or the last version, left some */
	gr_spi_query(psprintf("DELETE FROM %s.guardrail_look_state WHERE experiment_id = $1", schema),
				 false, 1, args);
	gr_owner_leave(&saved);
}

typedef struct FunctionWork
{
	const Experiment *e;
	List	   *functions;
} FunctionWork;

static void
find_functions(void *arg)
{
	FunctionWork *w = arg;
	OwnerContext saved;

	gr_owner_enter(&saved, w->e->owner);
	for (int i = 0; i < w->e->nrules; i++)
	{
		const Rule *r = &w->e->rules[i];
		const char *texts[] = {r->value, r->denominator, r->filter, r->covariate};

		for (int k = 0; k < (int) lengthof(texts); k++)
			if (texts[k])
				w->functions = gr_expression_functions(w->e->events, texts[k], w->functions);
	}
	for (int i = 0; i < w->e->nsegments; i++)
		w->functions = gr_expression_functions(w->e->events, w->e->segments[i], w->functions);
	gr_owner_leave(&saved);
}

/* guardrail_plan_functions(experiment): what the rules' expressions call */
Datum
guardrail_plan_functions(PG_FUNCTION_ARGS)
{
	FunctionWork work = {0};
	Datum	   *oids;
	int			n = 0;
	ListCell   *cell;
	ArrayType  *result;
	MemoryContext context = CurrentMemoryContext;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	work.e = gr_experiment_load(gr_schema_of(fcinfo), gr_arg_text(fcinfo, 0, "experiment"),
								CurrentMemoryContext);
	/* of what no longer fits the events nobody knows what it calls; the check itself says what is wrong */
	if (gr_attempt(find_functions, &work) != NULL)
	{
		SPI_finish();
		PG_RETURN_NULL();
	}
	oids = palloc(sizeof(Datum) * (list_length(work.functions) + 1));
	foreach(cell, work.functions)
		oids[n++] = ObjectIdGetDatum(lfirst_oid(cell));
	MemoryContextSwitchTo(context);
	result = construct_array(oids, n, OIDOID, sizeof(Oid), true, TYPALIGN_INT);
	SPI_finish();
	PG_RETURN_ARRAYTYPE_P(result);
}

/*
 * Is there no such experiment since guardrail_discard() removed it?  Whoever may not read
 * the plans is told no more than that it does not exist.
 */
static bool
was_discarded(const char *schema, const char *id)
{
	const char *args[] = {id, psprintf("%s.guardrail_plan", schema)};

	gr_spi_query(psprintf("SELECT EXISTS (SELECT FROM %s.guardrail_experiment WHERE experiment_id = $1)"
						  " OR NOT pg_catalog.has_table_privilege($2, 'SELECT')", schema), true, 2, args);
	if (gr_spi_bool(0, 1))
		return false;
	gr_spi_query(psprintf("SELECT pg_catalog.starts_with(reason, '" GR_DISCARDED "') FROM %s.guardrail_plan"
						  " WHERE experiment_id = $1 ORDER BY version DESC LIMIT 1", schema), true, 1, args);
	return SPI_processed > 0 && gr_spi_bool(0, 1);
}

/* guardrail_verify(experiment): one row per version of its plan */
Datum
guardrail_verify(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	char	   *schema = gr_schema_of(fcinfo);
	const char *args[] = {gr_arg_text(fcinfo, 0, "experiment")};
	OwnerContext saved;
	Experiment *e;

	InitMaterializedSRF(fcinfo, 0);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	/* with the caller's right to read the catalog */
	if (!was_discarded(schema, args[0]))
	{
		e = gr_experiment_load(schema, args[0], CurrentMemoryContext);
		if (strcmp(e->state, "draft") == 0)
			gr_plan_require_state(e, "running", "A draft has no plan yet. Register it with guardrail_launch().");
	}
	gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
	gr_spi_query(psprintf(
						  "SELECT n.version, p.plan_hash, p.made_at, p.made_by, p.reason, p.after_data,"
						  " n.finding IS NULL, n.finding FROM ("
						  "SELECT v.version, pg_catalog.string_agg(v.finding, '; ') AS finding FROM ("
						  "SELECT version, finding FROM %s._guardrail_plan_chain($1)"
						  " UNION ALL SELECT plan_version, finding FROM %s._guardrail_waiver_chain($1)"
						  " UNION ALL SELECT e.plan_version, f FROM %s.guardrail_experiment e, %s._guardrail_plan_present($1) f"
						  " WHERE e.experiment_id = $1) v GROUP BY v.version) n"
						  " LEFT JOIN %s.guardrail_plan p ON p.experiment_id = $1 AND p.version = n.version"
						  " ORDER BY n.version", schema, schema, schema, schema, schema), true, 1, args);
	gr_owner_leave(&saved);
	for (uint64 i = 0; i < SPI_processed; i++)
		tuplestore_puttuple(rsinfo->setResult, SPI_tuptable->vals[i]);
	SPI_finish();
	return (Datum) 0;
}
