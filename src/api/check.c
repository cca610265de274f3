/*
 * check.c
 *	  guardrail_check: evaluate and record, experiment by experiment.
 *
 * Each experiment is checked in a subtransaction: one that fails has its error
 * recorded and does not stop the others.  Called by itself, not in a transaction
 * block, each one's check is committed before the next begins, so that what is
 * done is kept whatever comes, and no lock is held for longer than one check.
 *
 * The experiment's row is locked, so that two checks of one experiment come one
 * after the other; then comes reading, in a fresh snapshot, then writing.
 */
#include "api/api.h"
#include "base/rights.h"
#include "catalog/protect.h"
#include "plan/plan.h"
#include "record/record.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(guardrail_check);

/* One call of guardrail_check on its way. */
typedef struct Run
{
	FunctionCallInfo fcinfo;
	char	   *schema;
	bool		all;			/* every running experiment, none named */
	bool		commits;		/* after each experiment */
	List	   *shared;			/* what one scan collected for several */
} Run;

/*
 * One check of an experiment at a time.  Whoever names it waits for another to
 * end, and then sees what that has recorded, which the looks and the running
 * minima rest on; whoever checks all leaves it to the other.  False: leave it.
 */
static bool
lock_experiment(const Run *run, const char *id)
{
	OwnerContext saved;
	const char *args[] = {id};
	bool		found;

	gr_writer_enter(&saved, run->fcinfo->flinfo->fn_oid);
	gr_spi_query(psprintf("SELECT state = 'running' FROM %s.guardrail_experiment"
						  " WHERE experiment_id = $1 FOR NO KEY UPDATE%s", run->schema,
						  run->all ? " SKIP LOCKED" : ""), false, 1, args);
	/* stopped or deleted since the list was made */
	found = SPI_processed > 0 && (gr_spi_bool(0, 1) || !run->all);
	if (SPI_processed == 0 && run->all)
		ereport(NOTICE,
				(errmsg("experiment \"%s\" is being checked or changed by another session: skipped", id)));
	gr_owner_leave(&saved);
	return found || !run->all;
}

typedef struct CheckWork
{
	const Run  *run;
	const char *id;
	const char *error;			/* to be recorded; NULL: evaluate and record */
	MemoryContext context;
} CheckWork;

static void
do_check(void *arg)
{
	CheckWork  *w = arg;
	const Run  *run = w->run;

	if (w->error)
		gr_record(run->fcinfo, run->schema, w->id, NULL, w->error);
	else if (lock_experiment(run, w->id))
	{
		/* what the last check recorded must be seen: lock first, then look */
		PushActiveSnapshot(GetLatestSnapshot());
		gr_record(run->fcinfo, run->schema, w->id,
				  gr_evaluate(run->fcinfo->flinfo->fn_oid, w->id, GR_FOR_LOG,
							  gr_shared_find(run->shared, run->fcinfo->flinfo->fn_oid, w->id),
							  w->context), NULL);
		PopActiveSnapshot();
	}
}

/* Why it failed, or NULL. */
static const char *
attempt(const Run *run, const char *id, const char *error)
{
	CheckWork	work = {run, id, error, CurrentMemoryContext};
	ErrorData  *failure = gr_attempt(do_check, &work);

	return failure ? gr_error_text(failure) : NULL;
}

/* Why it failed, or NULL; and why that could not be recorded, or NULL. */
static const char *
attempt_recorded(const Run *run, const char *id, const char **unrecorded)
{
	const char *error = attempt(run, id, NULL);

	*unrecorded = error ? attempt(run, id, error) : NULL;
	return error;
}

const char *
gr_check_alone(FunctionCallInfo fcinfo, char *schema, const char *id, const char **unrecorded)
{
	Run			run = {fcinfo, schema};

	return attempt_recorded(&run, id, unrecorded);
}

/* Did what the check found, be it an error, get into the log? */
static bool
check_one(const Run *run, const char *id)
{
	const char *unrecorded;
	const char *error = attempt_recorded(run, id, &unrecorded);

	if (unrecorded)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("check of experiment \"%s\" failed: %s", id, error),
				 errdetail("The failure could not be recorded: %s", unrecorded)));
	else if (error)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("check of experiment \"%s\" failed: %s", id, error),
				 errhint("The failure is recorded in guardrail_check_log.")));
	else if (!run->all)
		ereport(NOTICE, (errmsg("checked %s: %s", id, gr_check_line(run->fcinfo, run->schema, id))));
	return unrecorded == NULL;
}

static void
refuse_where_nothing_is_recorded(FunctionCallInfo fcinfo)
{
	gr_require_writable(fcinfo, "Run it on the primary; guardrail_evaluate() and guardrail_status() work here.");
	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("guardrail_check must run in a READ COMMITTED transaction"),
				 errhint("Start a READ COMMITTED transaction: a check must see what the last check recorded.")));
}

/* The experiments to check: the one named, or those that run. */
static char **
find_experiments(Run *run, MemoryContext context, int *n)
{
	OwnerContext saved;
	char	  **ids;

	/* whoever may call this needs no right on the catalog or on the events */
	gr_writer_enter(&saved, run->fcinfo->flinfo->fn_oid);
	gr_require_all_rows(run->fcinfo->flinfo->fn_oid);
	if (run->all)
		ids = gr_experiments_running(run->schema, n, context);
	else
	{
		ids = MemoryContextAlloc(context, sizeof(char *));
		ids[0] = MemoryContextStrdup(context, gr_arg_text(run->fcinfo, 0, "experiment"));
		*n = 1;
		/* one that does not exist, or a draft: the caller's error, no failed check */
		if (strcmp(gr_experiment_load(run->schema, ids[0], context)->state, "draft") == 0)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("experiment \"%s\" is a draft", ids[0]),
					 errhint("Launch it with guardrail_launch(), or use guardrail_evaluate(), which also accepts drafts.")));
	}
	gr_owner_leave(&saved);
	return ids;
}

/* guardrail_check(experiment text): NULL for all that run */
Datum
guardrail_check(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext loop;
	CallContext *call = (CallContext *) fcinfo->context;
	Run			run = {fcinfo, gr_schema_of(fcinfo), PG_ARGISNULL(0)};
	char	  **ids;
	int			n,
				unrecorded = 0;

	refuse_where_nothing_is_recorded(fcinfo);
	run.commits = call && IsA(call, CallContext) && !call->atomic && !IsSubTransaction();
	if (SPI_connect_ext(run.commits ? SPI_OPT_NONATOMIC : 0) != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	gr_require_may_check(fcinfo, run.schema);
	ids = find_experiments(&run, context, &n);
	if (run.all && n > 1)
		run.shared = gr_share_scans(fcinfo->flinfo->fn_oid, ids, n, context);
	loop = AllocSetContextCreate(context, "guardrail_check", ALLOCSET_DEFAULT_SIZES);
	for (int i = 0; i < n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(loop);

		CHECK_FOR_INTERRUPTS();
		unrecorded += !check_one(&run, ids[i]);
		MemoryContextSwitchTo(old);
		MemoryContextReset(loop);
		if (run.commits)
			SPI_commit();
	}
	/* in a transaction block an error would take back what was recorded of others */
	if (unrecorded > 0 && (run.commits || !run.all))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("%d of %d checks could not be recorded", unrecorded, n),
				 errhint("See the warnings above for the reasons.")));
	SPI_finish();
	MemoryContextDelete(loop);
	PG_RETURN_VOID();
}
