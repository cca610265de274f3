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

/* The columns that a JSON object names, quoted, with commas; of this table only. */
static char *
changed_columns(const char *schema, const char *table, const char *object, const char *prefix)
{
	const char *args[] = {object, psprintf("%s.%s", schema, table), prefix};

	gr_spi_query("SELECT pg_catalog.string_agg(k.key, ', ') FILTER (WHERE a.attname IS NULL),"
				 " pg_catalog.string_agg($3 || pg_catalog.quote_ident(k.key), ', ' ORDER BY k.key)"
				 " FROM pg_catalog.jsonb_object_keys($1::jsonb) AS k(key)"
				 " LEFT JOIN pg_catalog.pg_attribute a ON a.attrelid = $2::regclass AND a.attname = k.key"
				 " AND a.attnum > 0 AND NOT a.attisdropped AND a.attname <> ALL"
				 " ('{experiment_id,metric,state,launched_at,stopped_at,plan_version,plan_hash}')",
				 true, 3, args);
	if (gr_spi_text(0, 1))
		refuse_changes(psprintf("argument \"changes\" names columns that %s does not have or that cannot be amended: %s",
								table, gr_spi_text(0, 1)));
	return gr_spi_text(0, 2);
}

static void
require_object(const char *what, const char *type)
{
	if (type == NULL || strcmp(type, "object") != 0)
		refuse_changes(psprintf("%s must be a JSON object, not of type %s", what, type ? type : "null"));
}

/* An owner is named before the rules are checked with its rights. */
static void
require_member_of_new_owner(const char *object)
{
	const char *args[] = {object};
	Oid			owner;

	gr_spi_query("SELECT ($1::jsonb ->> 'owner')::regrole::oid::bigint", true, 1, args);
	owner = (Oid) gr_spi_int8(0, 1, 0);
	if (OidIsValid(owner))
		gr_require_member(owner);
}

static void
amend_experiment(const char *schema, const char *id, const char *object)
{
	const char *args[] = {id, object};
	char	   *columns = changed_columns(schema, "guardrail_experiment", object, "");
	char	   *values = changed_columns(schema, "guardrail_experiment", object, "r.");

	if (columns)
		gr_spi_query(psprintf("UPDATE %s.guardrail_experiment AS t SET (%s) = ROW(%s)"
							  " FROM %s.guardrail_experiment AS o,"
							  " LATERAL pg_catalog.jsonb_populate_record(o, $2::jsonb) AS r"
							  " WHERE t.experiment_id = $1 AND o.experiment_id = $1",
							  schema, columns, values, schema), false, 2, args);
}

static void
amend_rule(const char *schema, const char *id, const char *metric, const char *object)
{
	const char *args[] = {id, metric, object};
	char	   *columns,
			   *values;

	if (object == NULL)
	{
		gr_spi_query(psprintf("DELETE FROM %s.guardrail_rule WHERE experiment_id = $1 AND metric = $2",
							  schema), false, 2, args);
		if (SPI_processed == 0)
			refuse_changes(psprintf("argument \"changes\" removes rule \"%s\", which does not exist", metric));
		return;
	}
	columns = changed_columns(schema, "guardrail_rule", object, "");
	values = changed_columns(schema, "guardrail_rule", object, "r.");
	if (columns == NULL)
		refuse_changes(psprintf("argument \"changes\" names no column of rule \"%s\"", metric));
	gr_spi_query(psprintf("UPDATE %s.guardrail_rule AS t SET (%s) = ROW(%s) FROM %s.guardrail_rule AS o,"
						  " LATERAL pg_catalog.jsonb_populate_record(o, $3::jsonb) AS r"
						  " WHERE t.experiment_id = $1 AND t.metric = $2 AND o.experiment_id = $1 AND o.metric = $2",
						  schema, columns, values, schema), false, 3, args);
	if (SPI_processed == 0)
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
			require_member_of_new_owner(values[i]);
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

/* guardrail_amend(experiment, reason, changes): the new version */
Datum
guardrail_amend(PG_FUNCTION_ARGS)
{
	char	   *schema = gr_schema_of(fcinfo);
	char	   *reason = gr_plan_reason(fcinfo, 1, "Say why the plan had to change; guardrail_plan records the reason.");
	const char *args[1];
	Experiment *e;
	int			version;

	if (PG_ARGISNULL(2))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"changes\" must not be NULL"),
				 errhint("Use '{}' to register the rows as they are.")));
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	args[0] = DatumGetCString(DirectFunctionCall1(jsonb_out, PG_GETARG_DATUM(2)));
	gr_spi_query("SELECT pg_catalog.jsonb_typeof($1::jsonb)", true, 1, args);
	require_object("argument \"changes\"", gr_spi_text(0, 1));
	e = gr_plan_lock(fcinfo, schema);
	gr_plan_require_state(e, "running", strcmp(e->state, "draft") == 0 ?
						  "Change the rows of a draft with UPDATE." :
						  "The plan of a stopped experiment cannot change. Create another experiment for another test.");
	version = e->plan_version + 1;
	apply(fcinfo, schema, e->id, args[0]);
	PushActiveSnapshot(GetLatestSnapshot());
	e = gr_experiment_load(schema, e->id, CurrentMemoryContext);
	PopActiveSnapshot();
	gr_plan_require_whole(e, schema);
	gr_plan_register(fcinfo, schema, e, version, reason, "");
	notice_loosened(fcinfo, schema, e, version);
	SPI_finish();
	PG_RETURN_INT32(version);
}
