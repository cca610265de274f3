/*
 * amend.c
 *	  guardrail_amend: the only way to change a plan that runs.
 *
 * The changes are JSON: {"experiment": {column: value}, "rules": {metric: {column:
 * value}}}; a metric that is null is taken out, one that is new is put in.  They
 * go through the same triggers as rows that are written by hand, all but the one
 * that freezes.
 */
#include "plan/plan.h"

#include "catalog/validate.h"
#include "evaluate/loosened.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(guardrail_amend);

GR_NORETURN static void
refuse_changes(const char *message)
{
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s", message),
			 errhint("Expected keys are \"experiment\" and \"rules\", for example {\"experiment\": {\"planned_units\": 40000}, "
					 "\"rules\": {\"load\": {\"limit_value\": 30}, \"crash\": null}}.")));
}

/* A piece of the changes: the columns of one row. */
typedef struct Piece
{
	const char *schema;
	const char *table;
	const char *what;			/* "rule \"load\"", "the experiment" */
	const char *object;			/* JSON */
} Piece;

/* Columns that a table has and functions alone change are none that can be amended. */
#define MANAGED "'{experiment_id,metric,state,launched_at,stopped_at,plan_version,plan_hash}'::text[]"

/* The names in the rows of the last query. */
static const char **
take_names(int *n)
{
	const char **names;

	*n = (int) SPI_processed;
	names = palloc(sizeof(char *) * Max(*n, 1));
	for (int i = 0; i < *n; i++)
		names[i] = gr_spi_text(i, 1);
	return names;
}

/* "Did you mean \"load\"? " or nothing */
static char *
did_you_mean(const char *likeliest)
{
	return likeliest ? psprintf("Did you mean %s? ", gr_shown(likeliest)) : pstrdup("");
}

GR_NORETURN static void
refuse_column(const Piece *piece, const char *column)
{
	const char *args[] = {psprintf("%s.%s", piece->schema, piece->table)};
	const char *likeliest;
	const char **names;
	char	   *all;
	int			n;

	gr_spi_query("SELECT attname FROM pg_catalog.pg_attribute WHERE attrelid = $1::regclass AND attnum > 0"
				 " AND NOT attisdropped AND attname <> ALL (" MANAGED ") ORDER BY attnum", true, 1, args);
	names = take_names(&n);
	all = gr_name_list(names, n, n);
	likeliest = gr_sort_by_likeness(column, names, n);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("%s in argument \"changes\" names %s, which is no column that can be amended", piece->what, gr_shown(column)),
			 errhint("%sThe columns of %s are %s.", did_you_mean(likeliest), piece->table, all)));
}

typedef struct HeldWork
{
	const Piece *piece;
	const char *column;
} HeldWork;

static void
convert_column(void *arg)
{
	HeldWork   *w = arg;
	const char *args[] = {w->piece->object, w->column};

	gr_spi_query(psprintf("SELECT pg_catalog.jsonb_populate_record(NULL::%s.%s,"
						  " pg_catalog.jsonb_build_object($2, $1::jsonb -> $2))", w->piece->schema, w->piece->table),
				 true, 2, args);
}

/* Values that a column's type does not have are told with the column. */
static void
require_held(const Piece *piece, const char *column)
{
	HeldWork	w = {piece, column};
	ErrorData  *failure = gr_attempt(convert_column, &w);
	const char *args[] = {piece->object, column};

	if (failure == NULL)
		return;
	gr_spi_query("SELECT $1::jsonb ->> $2", true, 2, args);
	ereport(ERROR,
			(errcode(failure->sqlerrcode),
			 errmsg("column \"%s\" of %s in argument \"changes\" cannot hold %s", column, piece->what,
					gr_spi_text(0, 1) ? gr_shown(gr_spi_text(0, 1)) : "null"),
			 errdetail_internal("%s", failure->message)));
}

/* The columns that a piece names, quoted, with commas; of its table only. */
static char *
changed_columns(const Piece *piece, const char *prefix)
{
	const char *args[] = {piece->object, psprintf("%s.%s", piece->schema, piece->table)};
	StringInfoData buf;
	int			n;
	char	  **columns;

	gr_spi_query("SELECT k.key FROM pg_catalog.jsonb_object_keys($1::jsonb) AS k(key) WHERE k.key = ANY (" MANAGED ")"
				 " OR NOT EXISTS (SELECT FROM pg_catalog.pg_attribute a WHERE a.attrelid = $2::regclass AND a.attname = k.key"
				 " AND a.attnum > 0 AND NOT a.attisdropped) ORDER BY k.key COLLATE \"C\" LIMIT 1", true, 2, args);
	if (SPI_processed > 0)
		refuse_column(piece, gr_spi_text(0, 1));
	gr_spi_query("SELECT k.key FROM pg_catalog.jsonb_object_keys($1::jsonb) AS k(key) ORDER BY k.key COLLATE \"C\"", true, 1, args);
	n = (int) SPI_processed;
	columns = palloc(sizeof(char *) * Max(n, 1));
	for (int i = 0; i < n; i++)
		columns[i] = gr_spi_text(i, 1);
	initStringInfo(&buf);
	for (int i = 0; i < n; i++)
	{
		require_held(piece, columns[i]);
		appendStringInfo(&buf, "%s%s%s", i ? ", " : "", prefix, quote_identifier(columns[i]));
	}
	return n > 0 ? buf.data : NULL;
}

static void
require_object(const char *what, const char *type)
{
	if (type == NULL || strcmp(type, "object") != 0)
		refuse_changes(psprintf("%s must be a JSON object, not of type %s", what, type ? type : "null"));
}

/* An owner is named before the rules are checked with its rights. */
static void
require_member_of_new_owner(const char *schema, const char *object)
{
	const char *args[] = {object};
	Piece		piece = {schema, "guardrail_experiment", "the experiment", object};
	Oid			owner;

	(void) changed_columns(&piece, "");
	gr_spi_query("SELECT ($1::jsonb ->> 'owner')::regrole::oid::bigint", true, 1, args);
	owner = (Oid) gr_spi_int8(0, 1, 0);
	if (OidIsValid(owner))
		gr_require_member(owner);
}

static void
amend_experiment(const char *schema, const char *id, const char *object)
{
	const char *args[] = {id, object};
	Piece		piece = {schema, "guardrail_experiment", "the experiment", object};
	char	   *columns = changed_columns(&piece, "");
	char	   *values = changed_columns(&piece, "r.");

	if (columns)
		gr_spi_query(psprintf("UPDATE %s.guardrail_experiment AS t SET (%s) = ROW(%s)"
							  " FROM %s.guardrail_experiment AS o,"
							  " LATERAL pg_catalog.jsonb_populate_record(o, $2::jsonb) AS r"
							  " WHERE t.experiment_id = $1 AND o.experiment_id = $1",
							  schema, columns, values, schema), false, 2, args);
}

/* A rule of this name that is not there, and is not made by what is said of it. */
GR_NORETURN static void
refuse_rule(const char *schema, const char *id, const char *metric)
{
	const char *args[] = {id};
	const char *likeliest;
	const char **names;
	int			n;

	gr_spi_query(psprintf("SELECT metric FROM %s.guardrail_rule WHERE experiment_id = $1 ORDER BY metric COLLATE \"C\"", schema),
				 true, 1, args);
	names = take_names(&n);
	likeliest = gr_sort_by_likeness(metric, names, n);
	ereport(ERROR,
			(errcode(ERRCODE_UNDEFINED_OBJECT),
			 errmsg("no rule %s in the plan of experiment \"%s\"", gr_shown(metric), id),
			 errdetail("It has %s.", n > 0 ? gr_name_list(names, n, 30) : "no rules"),
			 errhint("%sTo add a rule, give its role, kind, value, worse, limit_kind and limit_value.", did_you_mean(likeliest))));
}

static bool
has_rule(const char *schema, const char *id, const char *metric)
{
	const char *args[] = {id, metric};

	gr_spi_query(psprintf("SELECT 1 FROM %s.guardrail_rule WHERE experiment_id = $1 AND metric = $2", schema), false, 2, args);
	return SPI_processed > 0;
}

/* Does an object say what a rule cannot be without? */
static bool
makes_rule(const char *object)
{
	const char *args[] = {object};

	gr_spi_query("SELECT pg_catalog.jsonb_exists_all(pg_catalog.jsonb_strip_nulls($1::jsonb), '{role,kind}'::text[])", true, 1, args);
	return gr_spi_bool(0, 1);
}

static void
amend_rule(const char *schema, const char *id, const char *metric, const char *object)
{
	const char *args[] = {id, metric, object};
	Piece		piece = {schema, "guardrail_rule", psprintf("rule %s", gr_shown(metric)), object};
	bool		there = has_rule(schema, id, metric);
	char	   *columns,
			   *values;

	if (!there && (object == NULL || !makes_rule(object)))
		refuse_rule(schema, id, metric);
	if (object == NULL)
	{
		gr_spi_query(psprintf("DELETE FROM %s.guardrail_rule WHERE experiment_id = $1 AND metric = $2",
							  schema), false, 2, args);
		return;
	}
	columns = changed_columns(&piece, "");
	values = changed_columns(&piece, "r.");
	if (columns == NULL)
		refuse_changes(psprintf("argument \"changes\" names no column of %s", piece.what));
	if (there)
		gr_spi_query(psprintf("UPDATE %s.guardrail_rule AS t SET (%s) = ROW(%s) FROM %s.guardrail_rule AS o,"
							  " LATERAL pg_catalog.jsonb_populate_record(o, $3::jsonb) AS r"
							  " WHERE t.experiment_id = $1 AND t.metric = $2 AND o.experiment_id = $1 AND o.metric = $2",
							  schema, columns, values, schema), false, 3, args);
	else
		gr_spi_query(psprintf("INSERT INTO %s.guardrail_rule (experiment_id, metric, %s) SELECT $1, $2, %s"
							  " FROM pg_catalog.jsonb_populate_record(NULL::%s.guardrail_rule, $3::jsonb) AS r",
							  schema, columns, values, schema), false, 3, args);
}

/* The keys of an object and, of each, value and type; palloc'd arrays. */
static int
object_entries(const char *object, char ***keys, char ***values, char ***types)
{
	const char *args[] = {object};
	int			n;

	gr_spi_query("SELECT key, value::text, pg_catalog.jsonb_typeof(value) FROM pg_catalog.jsonb_each($1::jsonb)"
				 " ORDER BY key COLLATE \"C\"", true, 1, args);
	n = (int) SPI_processed;
	*keys = palloc(sizeof(char *) * Max(n, 1));
	*values = palloc(sizeof(char *) * Max(n, 1));
	*types = palloc(sizeof(char *) * Max(n, 1));
	for (int i = 0; i < n; i++)
	{
		(*keys)[i] = gr_spi_text(i, 1);
		(*values)[i] = gr_spi_text(i, 2);
		(*types)[i] = gr_spi_text(i, 3);
	}
	return n;
}

static void
amend_rules(const char *schema, const char *id, const char *object)
{
	char	  **keys,
			  **values,
			  **types;
	int			n = object_entries(object, &keys, &values, &types);

	/* what goes first: at most one north star, one name */
	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < n; i++)
		{
			bool		out = strcmp(types[i], "null") == 0;

			if (!out)
				require_object(psprintf("rule \"%s\" in argument \"changes\"", keys[i]), types[i]);
			if (out == (pass == 0))
				amend_rule(schema, id, keys[i], out ? NULL : values[i]);
		}
}

/* Write the changes as the tables' owner. */
static void
apply(FunctionCallInfo fcinfo, const char *schema, const char *id, const char *changes)
{
	char	  **keys,
			  **values,
			  **types;
	int			n = object_entries(changes, &keys, &values, &types);
	OwnerContext saved;

	for (int i = 0; i < n; i++)
	{
		if (strcmp(keys[i], "experiment") != 0 && strcmp(keys[i], "rules") != 0)
			refuse_changes(psprintf("unrecognized key \"%s\" in argument \"changes\"", keys[i]));
		require_object(psprintf("key \"%s\" in argument \"changes\"", keys[i]), types[i]);
		if (strcmp(keys[i], "experiment") == 0)
			require_member_of_new_owner(schema, values[i]);
	}
	gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
	gr_writing = GR_WRITING_AMENDMENT;
	PG_TRY();
	{
		/* "experiment" before "rules", as they are in order */
		for (int i = 0; i < n; i++)
			if (strcmp(keys[i], "experiment") == 0)
				amend_experiment(schema, id, values[i]);
			else
				amend_rules(schema, id, values[i]);
	}
	PG_FINALLY();
	{
		gr_writing = GR_WRITING_NOTHING;
	}
	PG_END_TRY();
	gr_owner_leave(&saved);
}

/* Say at once what holds the arms from now on. */
static void
notice_loosened(FunctionCallInfo fcinfo, const char *schema, Experiment *e, int version)
{
	char	   *loosened;

	e->function = fcinfo->flinfo->fn_oid;
	PushActiveSnapshot(GetLatestSnapshot());
	loosened = gr_loosened_in_words(gr_loosenings(schema, e, version), version);
	PopActiveSnapshot();
	if (loosened)
		ereport(NOTICE,
				(errmsg("this amendment loosens the plan of experiment \"%s\": %s", e->id, loosened),
				 errdetail("No variant can be SHIP until each of these is waived by name."),
				 errhint("Call guardrail_waive(experiment, variant, metric, reason) for each variant, or amend the plan back.")));
}

/* Does an amendment of the experiment touch the names that its events must have? */
static bool
names_change(const char *changes)
{
	const char *args[] = {changes};

	gr_spi_query("SELECT pg_catalog.jsonb_exists_any($1::jsonb -> 'experiment', '{events,exposures,experiment_column,variant_column,control,shares}'::text[])",
				 true, 1, args);
	return gr_spi_bool(0, 1);
}

typedef struct Amendment
{
	FunctionCallInfo fcinfo;
	char	   *reason;
	char	   *changes;
	char	   *said;
} Amendment;

static void
amend(void *arg)
{
	Amendment  *a = arg;
	char	   *schema = gr_schema_of(a->fcinfo);
	const char *args[] = {a->changes};
	Experiment *e;
	int			version;

	gr_spi_query("SELECT pg_catalog.jsonb_typeof($1::jsonb)", true, 1, args);
	require_object("argument \"changes\"", gr_spi_text(0, 1));
	e = gr_plan_lock(a->fcinfo, schema);
	gr_plan_require_state(e, "running", strcmp(e->state, "draft") == 0 ?
						  "Change the rows of a draft with UPDATE." :
						  "The plan of a stopped experiment cannot change. Create another experiment for another test.");
	version = e->plan_version + 1;
	apply(a->fcinfo, schema, e->id, a->changes);
	PushActiveSnapshot(GetLatestSnapshot());
	e = gr_experiment_load(schema, e->id, CurrentMemoryContext);
	if (names_change(a->changes))
		(void) gr_plan_seen(a->fcinfo, schema, e, false);
	PopActiveSnapshot();
	gr_plan_require_whole(e, schema);
	gr_plan_register(a->fcinfo, schema, e, version, a->reason, "");
	notice_loosened(a->fcinfo, schema, e, version);
	/* the version that was registered just now is newer than the caller's snapshot */
	PushActiveSnapshot(GetLatestSnapshot());
	a->said = psprintf("amended %s: plan %d; %s", e->id, version, gr_plan_changes(a->fcinfo, schema, e->id, version));
	PopActiveSnapshot();
}

/* guardrail_amend(experiment, reason, changes) */
Datum
guardrail_amend(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	Amendment	a = {fcinfo,.reason = gr_arg_text(fcinfo, 1, "reason")};

	if (strspn(a.reason, " \t\r\n") == strlen(a.reason))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"reason\" must not be empty"),
				 errhint("Say why the plan had to change; guardrail_plan records the reason.")));
	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"changes\" must not be NULL"),
				 errhint("Use '{}' to register the rows as they are.")));
	a.changes = DatumGetCString(DirectFunctionCall1(jsonb_out, PG_GETARG_DATUM(2)));
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	gr_without_context(amend, &a);
	a.said = MemoryContextStrdup(context, a.said);
	SPI_finish();
	PG_RETURN_TEXT_P(cstring_to_text(a.said));
}
