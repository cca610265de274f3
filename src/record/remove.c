/*
 * remove.c
 *	  guardrail_archive and guardrail_discard: an experiment out of all tables.
 *
 * What belongs to an experiment stands in the extension's own tables: in those with a
 * column experiment_id its rows, in those with a column check_id alone the rows of its
 * checks.  The catalog is asked for them, so that a table that is added later is not
 * forgotten.
 *
 * The experiment's row is locked first, as a check locks it: a check that is under way
 * ends before, and none begins after.  The triggers of the tables let these deletes
 * pass, and no others.
 */
#include "plan/plan.h"

#include "access/xact.h"
#include "catalog/validate.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/datum.h"

PG_FUNCTION_INFO_V1(guardrail_archive);
PG_FUNCTION_INFO_V1(guardrail_discard);

/* Tables with rows of an experiment, in the order in which the rows are deleted. */
typedef struct Tables
{
	int			n;
	char	  **name;			/* with the schema */
	char	  **label;			/* without */
	char	  **condition;		/* that the rows meet; $1 is the experiment */
	char	  **order;			/* their key; NULL: the table is a cache, and not archived */
} Tables;

static Tables
find_tables(const char *schema)
{
	Tables		t;
	char	   *checks = psprintf("check_id IN (SELECT check_id FROM %s.guardrail_check_log WHERE experiment_id = $1"
								  " UNION SELECT check_id FROM %s.guardrail_check_input WHERE experiment_id = $1)",
								  schema, schema);

	/* those that only name checks first, while the checks are there; the experiment last */
	gr_spi_query("SELECT n.nspname, c.relname, k.of_experiment,"
				 " CASE WHEN c.relname NOT IN ('guardrail_look_state', 'guardrail_watermark', 'guardrail_slice') THEN COALESCE("
				 "  (SELECT pg_catalog.string_agg(pg_catalog.format('t.%I', a.attname), ', ' ORDER BY p.n)"
				 "   FROM pg_index i CROSS JOIN pg_catalog.unnest(i.indkey::smallint[]) WITH ORDINALITY AS p (attnum, n)"
				 "   JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = p.attnum"
				 "   WHERE i.indrelid = c.oid AND i.indisprimary), '1') END"
				 " FROM pg_extension x JOIN pg_depend d ON d.refclassid = 'pg_extension'::regclass AND d.refobjid = x.oid"
				 "  AND d.deptype = 'e' AND d.classid = 'pg_class'::regclass"
				 " JOIN pg_class c ON c.oid = d.objid AND c.relkind IN ('r', 'p') JOIN pg_namespace n ON n.oid = c.relnamespace"
				 " CROSS JOIN LATERAL (SELECT pg_catalog.bool_or(a.attname = 'experiment_id') AS of_experiment,"
				 "  pg_catalog.bool_or(a.attname = 'check_id') AS of_check FROM pg_attribute a"
				 "  WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped) k"
				 " WHERE x.extname = 'guardrail' AND (k.of_experiment OR k.of_check)"
				 " ORDER BY k.of_experiment, c.relname = 'guardrail_experiment', c.relname = 'guardrail_rule', c.relname",
				 true, 0, NULL);
	t.n = (int) SPI_processed;
	t.name = palloc(sizeof(char *) * t.n);
	t.label = palloc(sizeof(char *) * t.n);
	t.condition = palloc(sizeof(char *) * t.n);
	t.order = palloc(sizeof(char *) * t.n);
	for (int i = 0; i < t.n; i++)
	{
		t.label[i] = gr_spi_text(i, 2);
		t.name[i] = psprintf("%s.%s", quote_identifier(gr_spi_text(i, 1)), quote_identifier(t.label[i]));
		t.condition[i] = gr_spi_bool(i, 3) ? pstrdup("experiment_id = $1") : checks;
		t.order[i] = gr_spi_text(i, 4);
	}
	return t;
}

/* Delete the experiment's rows from all tables, but from "spared"; as the tables' owner. */
static void
delete_rows(const Tables *t, const char *id, const char *spared)
{
	const char *args[] = {id};

	gr_writing = GR_WRITING_REMOVAL;
	PG_TRY();
	{
		for (int i = 0; i < t->n; i++)
			if (spared == NULL || strcmp(t->label[i], spared) != 0)
				gr_spi_query(psprintf("DELETE FROM %s WHERE %s", t->name[i], t->condition[i]), false, 1, args);
	}
	PG_FINALLY();
	{
		gr_writing = GR_WRITING_NOTHING;
	}
	PG_END_TRY();
}

static void
refuse_old_snapshot(const char *function)
{
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("%s must run in a READ COMMITTED transaction", function),
				 errhint("Start a READ COMMITTED transaction: the function must see what the last check recorded.")));
}

typedef struct ArchiveWork
{
	const Tables *tables;
	const char *id;
} ArchiveWork;

/* The document, as the only row and column of a query. */
static void
write_document(void *arg)
{
	ArchiveWork *w = arg;
	const char *args[] = {w->id, GetUserNameFromId(GetSessionUserId(), false), GUARDRAIL_VERSION};
	StringInfoData sql;
	bool		first = true;

	initStringInfo(&sql);
	appendStringInfoString(&sql, "SELECT pg_catalog.jsonb_build_object('format', 1, 'experiment_id', $1, 'archived_at',"
						   " pg_catalog.clock_timestamp(), 'archived_by', $2, 'extension_version', $3, 'tables',"
						   " pg_catalog.jsonb_build_object(");
	for (int i = 0; i < w->tables->n; i++)
	{
		if (w->tables->order[i] == NULL)
			continue;
		appendStringInfo(&sql, "%s%s, (SELECT COALESCE(pg_catalog.jsonb_agg(pg_catalog.jsonb_strip_nulls("
						 "pg_catalog.to_jsonb(t)) ORDER BY %s), '[]') FROM %s t WHERE %s)", first ? "" : ", ",
						 quote_literal_cstr(w->tables->label[i]), w->tables->order[i], w->tables->name[i],
						 w->tables->condition[i]);
		first = false;
	}
	appendStringInfoString(&sql, "))");
	gr_set_local("bytea_output", "hex");
	gr_spi_query(sql.data, false, lengthof(args), args);
}

/* guardrail_archive(experiment): all of a stopped one as a document, and out of the tables */
Datum
guardrail_archive(PG_FUNCTION_ARGS)
{
	char	   *schema = gr_schema_of(fcinfo);
	MemoryContext context = CurrentMemoryContext;
	ArchiveWork work;
	Tables		tables;
	OwnerContext saved;
	Experiment *e;
	ErrorData  *error;
	Datum		document;
	bool		null;

	refuse_old_snapshot("guardrail_archive");
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	e = gr_plan_lock(fcinfo, schema);
	gr_plan_require_state(e, "stopped", strcmp(e->state, "draft") == 0 ?
						  "A draft has no record: remove it with DELETE." : "Stop it first with guardrail_stop().");
	gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
	tables = find_tables(schema);
	work = (ArchiveWork) {&tables, e->id};
	error = gr_attempt(write_document, &work);
	if (error && error->sqlerrcode == ERRCODE_PROGRAM_LIMIT_EXCEEDED)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("the record of experiment \"%s\" is too large for one jsonb document: %s", e->id, error->message),
				 errhint("Remove its older checks first with guardrail_prune(), or copy its rows out of the logs.")));
	if (error)
		ReThrowError(error);
	document = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);
	MemoryContextSwitchTo(context);
	document = datumCopy(document, false, -1);
	delete_rows(&tables, e->id, NULL);
	gr_owner_leave(&saved);
	SPI_finish();
	PG_RETURN_DATUM(document);
}

/* What was decided stays: a check that recorded SHIP or BLOCK. */
static void
require_undecided(const char *schema, const char *id)
{
	const char *args[] = {id};

	gr_spi_query(psprintf("SELECT check_id::text, verdict, variant FROM %s.guardrail_check_log WHERE experiment_id = $1"
						  " AND verdict IN ('SHIP', 'BLOCK') ORDER BY check_id, arm_no LIMIT 1", schema), false, 1, args);
	if (SPI_processed > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("experiment \"%s\" cannot be discarded because check %s recorded %s for variant \"%s\"", id,
						gr_spi_text(0, 1), gr_spi_text(0, 2), gr_spi_text(0, 3)),
				 errhint("Stop it with guardrail_stop(). To remove it from the tables, store what guardrail_archive() returns.")));
}

/* guardrail_discard(experiment, reason): one launched by mistake */
Datum
guardrail_discard(PG_FUNCTION_ARGS)
{
	char	   *schema = gr_schema_of(fcinfo);
	char	   *reason = gr_plan_reason(fcinfo, 1, "Say why the experiment is discarded; guardrail_plan records the reason.");
	const char *args[3] = {NULL, GetUserNameFromId(GetSessionUserId(), false), psprintf(GR_DISCARDED "%s", reason)};
	Tables		tables;
	OwnerContext saved;
	Experiment *e;

	refuse_old_snapshot("guardrail_discard");
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	e = gr_plan_lock(fcinfo, schema);
	if (strcmp(e->state, "draft") == 0)
		gr_plan_require_state(e, "running", "A draft was not launched: remove it with DELETE.");
	gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
	require_undecided(schema, e->id);
	args[0] = e->id;
	/* after data, if a plan or a check has seen some: the events themselves may be gone */
	gr_spi_query(psprintf("SELECT %s._guardrail_plan_register($1, pg_catalog.jsonb_build_object('experiment',"
						  " pg_catalog.jsonb_build_object('experiment_id', $1), 'rules', '{}'::jsonb, 'definitions', '{}'::jsonb),"
						  " (SELECT COALESCE(max(version), 0) + 1 FROM %s.guardrail_plan WHERE experiment_id = $1), $2, $3,"
						  " EXISTS (SELECT FROM %s.guardrail_plan WHERE experiment_id = $1 AND after_data)"
						  " OR EXISTS (SELECT FROM %s.guardrail_check_log WHERE experiment_id = $1 AND units_treatment > 0), NULL::bigint)",
						  schema, schema, schema, schema), false, lengthof(args), args);
	tables = find_tables(schema);
	delete_rows(&tables, e->id, "guardrail_plan");
	gr_owner_leave(&saved);
	SPI_finish();
	PG_RETURN_VOID();
}
