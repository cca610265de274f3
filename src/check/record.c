/*
 * record.c
 *	  guardrail_check: evaluate, record, compare with the last verdict, notify.
 *
 * With lifecycle.c the only module that writes.  Each experiment is evaluated in
 * a subtransaction: one that fails has its error recorded and does not stop the
 * others.  The experiment's row is locked, so that two checks of one experiment
 * come one after the other; then comes reading, in a fresh snapshot, then writing,
 * with the rights of the extension's owner.
 */
#include "check/past.h"

#include "access/xact.h"
#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "tcop/utility.h"
#include "utils/memutils.h"
#include "utils/resowner.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(guardrail_check);

/* One check of one experiment on its way into the log. */
typedef struct Check
{
	const char *schema;
	const char *id;
	int64		check_id;
	TimestampTz checked_at;
	int			plan_version;
	const char *error;			/* NULL: it worked */
	int			look_no;		/* 0: it is no look */
} Check;

/* INSERT of n fixed values and a row's columns. */
static void
insert_row(const Check *check, const char *table, const char *fixed_names,
		   const Oid *fixed_types, const Datum *fixed, const bool *fixed_nulls,
		   int nfixed, const RowColumn *columns, const Datum *values,
		   const bool *nulls, int n)
{
	StringInfoData buf;
	Oid			types[GR_MAX_ROW + 10];
	Datum		all[GR_MAX_ROW + 10];
	char		all_nulls[GR_MAX_ROW + 10 + 1] = "";

	initStringInfo(&buf);
	appendStringInfo(&buf, "INSERT INTO %s.%s (%s", check->schema, table, fixed_names);
	for (int i = 0; i < nfixed; i++)
	{
		types[i] = fixed_types[i];
		all[i] = fixed[i];
		all_nulls[i] = fixed_nulls[i] ? 'n' : ' ';
	}
	for (int i = 0; i < n; i++)
	{
		appendStringInfo(&buf, ", %s", columns[i].name);
		types[nfixed + i] = columns[i].type;
		all[nfixed + i] = values[i];
		all_nulls[nfixed + i] = nulls[i] ? 'n' : ' ';
	}
	appendStringInfoString(&buf, ") VALUES ($1");
	for (int i = 1; i < nfixed + n; i++)
		appendStringInfo(&buf, ", $%d", i + 1);
	appendStringInfoChar(&buf, ')');
	if (SPI_execute_with_args(buf.data, nfixed + n, types, all, all_nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not insert into %s", table);
}

static void
insert_verdict(const Check *check, int arm_no, const Datum *values, const bool *nulls)
{
	const Oid	types[] = {INT8OID, INT4OID, TIMESTAMPTZOID, INT4OID, TEXTOID, INT4OID};
	const Datum fixed[] = {Int64GetDatum(check->check_id), Int32GetDatum(arm_no),
		TimestampTzGetDatum(check->checked_at), Int32GetDatum(check->plan_version),
		check->error ? CStringGetTextDatum(check->error) : (Datum) 0,
	Int32GetDatum(check->look_no)};
	const bool	fixed_nulls[] = {false, false, false, false, check->error == NULL,
	check->look_no == 0};

	insert_row(check, "guardrail_check_log",
			   "check_id, arm_no, checked_at, plan_version, error, look_no",
			   types, fixed, fixed_nulls, lengthof(types),
			   gr_verdict_columns, values, nulls, gr_verdict_ncolumns);
}

/* The check that set each test's running minimum: this one, or an earlier one. */
static void
insert_result(const Check *check, const Evaluation *v, const Rule *rule, const GrResult *r,
			  const Datum *values, const bool *nulls)
{
	const PastResult *past = gr_past_result(v->past, r->arm->name, rule);
	Oid			types[9] = {INT8OID, TIMESTAMPTZOID, INT4OID, FLOAT8OID, INT4OID, INT8OID, INT8OID, INT8OID, INT8OID};
	Datum		fixed[9] = {Int64GetDatum(check->check_id), TimestampTzGetDatum(check->checked_at),
		Int32GetDatum(check->plan_version), Float8GetDatum(r->at.n), Int32GetDatum(check->look_no),
	Int64GetDatum(rule->fingerprint)};
	bool		fixed_nulls[9] = {false, false, false, false, check->look_no == 0};

	for (int k = 0; k < GR_TEST_KINDS; k++)
	{
		int64		witness = r->is_witness[k] ? check->check_id :
			past && past->test[k].known ? past->witness[k] : 0;

		fixed[6 + k] = Int64GetDatum(witness);
		fixed_nulls[6 + k] = (witness == 0);
	}
	insert_row(check, "guardrail_result_log",
			   "check_id, checked_at, plan_version, n_compared, look_no, fingerprint,"
			   " breach_check, safe_check, goal_check",
			   types, fixed, fixed_nulls, lengthof(types),
			   gr_result_columns, values, nulls, gr_result_ncolumns);
}

/*
 * Tell who listens about every arm whose verdict in this check is not the one
 * that its last check gave it.  A payload is at most 8000 bytes long, a name has
 * no limit, and JSON makes six bytes of one: what is too long is cut.
 */
static void
notify_changes(const Check *check)
{
	const char *args[] = {psprintf(INT64_FORMAT, check->check_id), check->id};

	gr_spi_query(psprintf(
						  "SELECT pg_catalog.pg_notify('guardrail', (SELECT json.payload"
						  " FROM (VALUES (1500), (300)) AS longest(size), LATERAL (SELECT pg_catalog.json_build_object("
						  "'experiment_id', pg_catalog.\"left\"(n.experiment_id, size),"
						  " 'variant', pg_catalog.\"left\"(n.variant, size), 'was', o.verdict, 'verdict', n.verdict,"
						  " 'status', pg_catalog.\"left\"(n.status, size), 'reason', pg_catalog.\"left\"(n.reason, size),"
						  " 'check_id', n.check_id, 'checked_at', n.checked_at)::text) AS json(payload)"
						  " WHERE pg_catalog.octet_length(json.payload) < 8000 ORDER BY size DESC LIMIT 1))"
						  " FROM %s.guardrail_check_log n LEFT JOIN LATERAL ("
						  "  SELECT l.verdict FROM %s.guardrail_check_log l"
						  "  WHERE l.experiment_id = n.experiment_id AND l.check_id < n.check_id"
						  "  AND l.variant IS NOT DISTINCT FROM n.variant"
						  "  ORDER BY l.check_id DESC LIMIT 1) o ON true"
						  " WHERE n.check_id = $1::bigint AND n.experiment_id = $2"
						  " AND n.verdict IS DISTINCT FROM o.verdict ORDER BY n.arm_no",
						  check->schema, check->schema),
				 false, 2, args);
}

/*
 * A check that failed: HOLD for every arm that the last check knew, or for the
 * experiment as a whole.
 */
static void
record_failure(const Check *check)
{
	const char *args[] = {check->id};
	const char *variants[GR_MAX_ARMS];
	int			n;

	gr_spi_query(psprintf("SELECT variant FROM %s.guardrail_check_log WHERE experiment_id = $1"
						  " AND check_id = (SELECT max(check_id) FROM %s.guardrail_check_log"
						  " WHERE experiment_id = $1) ORDER BY arm_no",
						  check->schema, check->schema), false, 1, args);
	n = Min((int) SPI_processed, GR_MAX_ARMS);
	for (int i = 0; i < n; i++)
		variants[i] = gr_spi_text(i, 1);
	if (n == 0)
		variants[n++] = NULL;
	for (int i = 0; i < n; i++)
	{
		Datum		values[GR_MAX_ROW] = {0};
		bool		nulls[GR_MAX_ROW];
		const char *filled[] = {check->id, variants[i], gr_verdict_word(GR_VERDICT_HOLD),
			"NO DATA: the check failed",
		psprintf("the check failed: %s", check->error)};

		memset(nulls, true, sizeof(nulls));
		for (int k = 0; k < (int) lengthof(filled); k++)
		{
			nulls[k] = (filled[k] == NULL);
			values[k] = filled[k] ? CStringGetTextDatum(filled[k]) : (Datum) 0;
		}
		insert_verdict(check, i, values, nulls);
	}
}

/* An experiment without a treatment arm so far. */
static void
record_empty(const Check *check)
{
	Datum		values[GR_MAX_ROW] = {0};
	bool		nulls[GR_MAX_ROW];

	memset(nulls, true, sizeof(nulls));
	nulls[0] = nulls[2] = nulls[3] = nulls[4] = false;
	values[0] = CStringGetTextDatum(check->id);
	values[2] = CStringGetTextDatum(gr_verdict_word(GR_VERDICT_HOLD));
	values[3] = CStringGetTextDatum("NO DATA");
	values[4] = CStringGetTextDatum("no unit of a treatment arm has been seen");
	insert_verdict(check, 0, values, nulls);
}

static void
record_evaluation(const Check *check, const Evaluation *v)
{
	Datum		values[GR_MAX_ROW];
	bool		nulls[GR_MAX_ROW];

	if (v->narms == 0)
		record_empty(check);
	for (int a = 0; a < v->narms; a++)
	{
		gr_verdict_row(v, a, values, nulls);
		insert_verdict(check, a + 1, values, nulls);
		for (int k = 0; k < v->e->nrules; k++)
		{
			gr_result_row(v, a, k, values, nulls);
			insert_result(check, v, &v->e->rules[k], &v->results[a * v->e->nrules + k], values, nulls);
		}
	}
}

/* v NULL: the check failed with "error". */
static void
record(FunctionCallInfo fcinfo, const char *schema, const char *id,
	   const Evaluation *v, const char *error)
{
	OwnerContext saved;
	Check		check = {schema, id};
	const char *args[] = {id};

	gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
	gr_spi_query(psprintf("SELECT plan_version::bigint FROM %s.guardrail_experiment"
						  " WHERE experiment_id = $1", schema), false, 1, args);
	if (SPI_processed == 0)
	{
		/* deleted meanwhile */
		gr_owner_leave(&saved);
		return;
	}
	check.plan_version = (int) gr_spi_int8(0, 1, 0);
	gr_spi_query(psprintf("SELECT pg_catalog.nextval(%s)",
						  quote_literal_cstr(psprintf("%s.guardrail_check_id", schema))),
				 false, 0, NULL);
	check.check_id = gr_spi_int8(0, 1, 0);
	check.checked_at = GetCurrentTimestamp();
	check.error = error;
	check.look_no = v && v->monitor.is_look ? v->monitor.nlooks + 1 : 0;
	if (v)
		record_evaluation(&check, v);
	else
		record_failure(&check);
	if (check.look_no > 0)
		gr_look_state_store(&v->monitor, schema, v->e);
	notify_changes(&check);
	gr_owner_leave(&saved);
	if (check.look_no > 0 && v->test.total_units > v->e->planned_units)
		ereport(NOTICE,
				(errmsg("experiment \"%s\" has more units than planned: " INT64_FORMAT " of " INT64_FORMAT,
						id, v->test.total_units, v->e->planned_units),
				 errdetail("This look spends what was left of alpha; there will be no other.")));
}

/*
 * One check of an experiment at a time: a second one waits here, and then sees
 * what the first has recorded, which the looks and the running minima rest on.
 */
static void
lock_experiment(FunctionCallInfo fcinfo, const char *schema, const char *id)
{
	OwnerContext saved;
	const char *args[] = {id};

	gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
	gr_spi_query(psprintf("SELECT 1 FROM %s.guardrail_experiment"
						  " WHERE experiment_id = $1 FOR NO KEY UPDATE", schema), false, 1, args);
	gr_owner_leave(&saved);
}

/*
 * Evaluate and record in a subtransaction.  Returns why it failed, or NULL; a
 * cancelled check is not recorded but goes on cancelling.
 */
static char *
try_check(FunctionCallInfo fcinfo, const char *schema, const char *id)
{
	MemoryContext here = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	char	   *volatile message = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(here);
	PG_TRY();
	{
		/* what the last check recorded must be seen: lock first, then look */
		lock_experiment(fcinfo, schema, id);
		PushActiveSnapshot(GetLatestSnapshot());
		record(fcinfo, schema, id, gr_evaluate(fcinfo->flinfo->fn_oid, id, true, here), NULL);
		PopActiveSnapshot();
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		ErrorData  *data;

		MemoryContextSwitchTo(here);
		data = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		switch (data->sqlerrcode)
		{
			case ERRCODE_QUERY_CANCELED:
			case ERRCODE_ADMIN_SHUTDOWN:
			case ERRCODE_CRASH_SHUTDOWN:
				MemoryContextSwitchTo(here);
				CurrentResourceOwner = owner;
				ReThrowError(data);
		}
		message = data->message;
	}
	PG_END_TRY();
	MemoryContextSwitchTo(here);
	CurrentResourceOwner = owner;
	return message;
}

static void
check_one(FunctionCallInfo fcinfo, const char *schema, const char *id)
{
	char	   *error = try_check(fcinfo, schema, id);

	if (error)
	{
		record(fcinfo, schema, id, NULL, error);
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("check of experiment \"%s\" failed: %s", id, error),
				 errhint("The failure is recorded in guardrail_check_log.")));
	}
}

/* guardrail_check(experiment text): NULL for all that run */
Datum
guardrail_check(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext loop = AllocSetContextCreate(context, "guardrail_check",
											   ALLOCSET_DEFAULT_SIZES);
	char	   *schema = gr_schema_of(fcinfo);
	OwnerContext saved;
	char	  **ids;
	int			n = 1;

	if (RecoveryInProgress())
		ereport(ERROR,
				(errcode(ERRCODE_READ_ONLY_SQL_TRANSACTION),
				 errmsg("cannot record a check during recovery"),
				 errhint("Run guardrail_check() on the primary; guardrail_evaluate() and "
						 "guardrail_status() work here.")));
	PreventCommandIfReadOnly("guardrail_check()");
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("guardrail_check must run in a READ COMMITTED transaction"),
				 errhint("A check must see what the last check has recorded.")));
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	/* whoever may call this needs no right on the catalog or on the events */
	gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
	if (PG_ARGISNULL(0))
		ids = gr_experiments_running(schema, &n, context);
	else
	{
		ids = palloc(sizeof(char *));
		ids[0] = gr_arg_text(fcinfo, 0, "experiment");
		/* one that does not exist, or a draft: the caller's error, no failed check */
		if (strcmp(gr_experiment_load(schema, ids[0], context)->state, "draft") == 0)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("experiment \"%s\" is a draft", ids[0]),
					 errhint("Launch it with guardrail_launch(); guardrail_evaluate() shows drafts.")));
	}
	gr_owner_leave(&saved);
	for (int i = 0; i < n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(loop);

		CHECK_FOR_INTERRUPTS();
		check_one(fcinfo, schema, ids[i]);
		MemoryContextSwitchTo(old);
		MemoryContextReset(loop);
	}
	SPI_finish();
	MemoryContextDelete(loop);
	PG_RETURN_VOID();
}
