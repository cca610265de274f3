/*
 * check.c
 *	  guardrail_check: evaluate and record, experiment by experiment.
 *
 * Each experiment is checked in a subtransaction: one that fails has its error
 * recorded and does not stop the others.  Called by itself, not in a transaction
 * block, each one's check is committed before the next begins, so that what is
 * done is kept whatever comes, and no lock is held for longer than one check.
 * A run with failures ends with an error, which takes back nothing of that.
 *
 * Each has guardrail.check_timeout.  Those whose last check is the oldest come first,
 * those whose last check failed come last: what ends the whole run, such as a
 * statement_timeout, does not hit the same ones every time.
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
#include "mb/pg_wchar.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(guardrail_check);

/* What the error at the end of a run shows: so many failures, and so many bytes of a name and a message. */
#define MOST_FAILURES 5
#define MOST_OF_ID 60
#define MOST_OF_MESSAGE 300

/* One call of guardrail_check on its way. */
typedef struct Run
{
	FunctionCallInfo fcinfo;
	char	   *schema;
	bool		all;			/* every running experiment, none named */
	bool		commits;		/* after each experiment */
	List	   *shared;			/* what one scan collected for several */
	int			n;
	char	  **ids;			/* in the order of their turns */
	Oid		   *events;			/* of those */
	int			nfailed;
	int			nunrecorded;	/* of those, failures that are not in the log */
	StringInfoData failures;	/* the first of them, in words */
	StringInfoData hint;		/* of the one that was named */
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
	TimestampTz began;
	MemoryContext context;
} CheckWork;

static void
do_check(void *arg)
{
	CheckWork  *w = arg;
	const Run  *run = w->run;

	if (w->error)
		gr_record(run->fcinfo, run->schema, w->id, NULL, w->error, w->began);
	else if (lock_experiment(run, w->id))
	{
		/* what the last check recorded must be seen: lock first, then look */
		PushActiveSnapshot(GetLatestSnapshot());
		gr_record(run->fcinfo, run->schema, w->id,
				  gr_evaluate(run->fcinfo->flinfo->fn_oid, w->id, GR_FOR_LOG,
							  gr_shared_find(run->shared, run->fcinfo->flinfo->fn_oid, w->id),
							  w->context), NULL, w->began);
		PopActiveSnapshot();
	}
}

/* Why it failed, or NULL. */
static ErrorData *
attempt(CheckWork *work, const char *error)
{
	ErrorData  *failure;

	work->error = error;
	failure = gr_attempt_within(guardrail_check_timeout, do_check, work);
	/* the log has no column for a hint */
	if (failure && gr_error_text(failure) != failure->message)
	{
		failure->message = (char *) gr_error_text(failure);
		failure->hint = NULL;
	}
	return failure;
}

/* Check, and record the failure if it fails: that, and why it could not be recorded, or NULL. */
static ErrorData *
attempt_recorded(CheckWork *work, const char **unrecorded)
{
	ErrorData  *failure = attempt(work, NULL);
	ErrorData  *second = failure ? attempt(work, failure->message) : NULL;

	*unrecorded = second ? second->message : NULL;
	return failure;
}

const char *
gr_check_alone(FunctionCallInfo fcinfo, char *schema, const char *id, const char **unrecorded)
{
	Run			run = {fcinfo, schema};
	CheckWork	work = {&run, id, NULL, GetCurrentTimestamp(), CurrentMemoryContext};
	ErrorData  *failure = attempt_recorded(&work, unrecorded);

	return failure ? failure->message : NULL;
}

/* Is the one check's failure the error of the whole run? */
static bool
ends_with_error(const Run *run)
{
	return run->commits && !run->all;
}

static char *
cut(const char *text, int most)
{
	int			length = (int) strlen(text);

	return length <= most ? pstrdup(text) : psprintf("%.*s...", pg_mbcliplen(text, length, most), text);
}

static void
note_failure(Run *run, const char *id, const ErrorData *failure)
{
	if (!run->all)
	{
		appendStringInfoString(&run->failures, failure->message);
		if (failure->hint)
			appendStringInfo(&run->hint, "%s ", failure->hint);
	}
	else if (run->nfailed < MOST_FAILURES)
		appendStringInfo(&run->failures, "%s\"%s\" (%s)", run->nfailed > 0 ? ", " : "",
						 cut(id, MOST_OF_ID), cut(failure->message, MOST_OF_MESSAGE));
	run->nfailed++;
}

/*
 * What took all its time may have waited for a lock on its events, or be slow because of
 * them: those over the same events come after all others.
 */
static void
postpone_those_like(Run *run, int i)
{
	int			rest = run->n - i - 1;
	char	  **ids = palloc(sizeof(char *) * Max(rest, 1));
	Oid		   *events = palloc(sizeof(Oid) * Max(rest, 1));
	int			n = 0;

	for (int like = 0; like < 2; like++)
		for (int k = i + 1; k < run->n; k++)
			if ((run->events[k] == run->events[i]) == (like == 1))
			{
				ids[n] = run->ids[k];
				events[n++] = run->events[k];
			}
	memcpy(run->ids + i + 1, ids, sizeof(char *) * rest);
	memcpy(run->events + i + 1, events, sizeof(Oid) * rest);
}

static void
check_one(Run *run, int i)
{
	const char *id = run->ids[i];
	CheckWork	work = {run, id, NULL, GetCurrentTimestamp(), CurrentMemoryContext};
	const char *unrecorded;
	ErrorData  *failure = attempt_recorded(&work, &unrecorded);
	const char *error = failure ? failure->message : NULL;

	if (error)
		note_failure(run, id, failure);
	run->nunrecorded += unrecorded != NULL;
	if (error && guardrail_check_timeout > 0 && run->all &&
		TimestampDifferenceExceeds(work.began, GetCurrentTimestamp(), guardrail_check_timeout))
		postpone_those_like(run, i);
	if (unrecorded)
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("check of experiment \"%s\" failed: %s", id, error),
				 errdetail("The failure could not be recorded: %s", unrecorded)));
	else if (error && !ends_with_error(run))
		ereport(WARNING,
				(errcode(ERRCODE_WARNING),
				 errmsg("check of experiment \"%s\" failed: %s", id, error),
				 errhint("%s%sThe failure is recorded in guardrail_check_log.", failure->hint ? failure->hint : "",
						 failure->hint ? " " : "")));
	else if (error == NULL && !run->all)
		ereport(NOTICE, (errmsg("checked %s: %s", id, gr_check_line(run->fcinfo, run->schema, id))));
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

/* The experiments that run, in the order of their turns; *sound: how many did not fail last time. */
static void
experiments_by_turn(Run *run, MemoryContext context, int *sound)
{
	gr_spi_query(psprintf("SELECT e.experiment_id, COALESCE(last.failed, false), e.events::pg_catalog.oid::pg_catalog.int8"
						  " FROM %s.guardrail_experiment e LEFT JOIN LATERAL"
						  " (SELECT l.error IS NOT NULL AS failed, l.check_id FROM %s.guardrail_check_log l"
						  "  WHERE l.experiment_id = e.experiment_id ORDER BY l.check_id DESC LIMIT 1) AS last ON true"
						  " WHERE e.state = 'running'"
						  " ORDER BY 2, last.check_id NULLS FIRST, e.experiment_id COLLATE pg_catalog.\"C\"",
						  run->schema, run->schema), true, 0, NULL);
	run->n = (int) SPI_processed;
	run->ids = MemoryContextAlloc(context, sizeof(char *) * Max(run->n, 1));
	run->events = MemoryContextAlloc(context, sizeof(Oid) * Max(run->n, 1));
	for (int i = 0; i < run->n; i++)
	{
		run->ids[i] = MemoryContextStrdup(context, gr_spi_text(i, 1));
		*sound += !gr_spi_bool(i, 2);
		run->events[i] = (Oid) gr_spi_int8(i, 3, 0);
	}
}

/* The experiments to check: the one named, or those that run. */
static void
find_experiments(Run *run, MemoryContext context, int *sound)
{
	OwnerContext saved;

	/* whoever may call this needs no right on the catalog or on the events */
	gr_writer_enter(&saved, run->fcinfo->flinfo->fn_oid);
	gr_require_all_rows(run->fcinfo->flinfo->fn_oid);
	if (run->all)
		experiments_by_turn(run, context, sound);
	else
	{
		run->n = 1;
		run->ids = MemoryContextAlloc(context, sizeof(char *));
		run->ids[0] = MemoryContextStrdup(context, gr_arg_text(run->fcinfo, 0, "experiment"));
		/* one that does not exist, or a draft: the caller's error, no failed check */
		if (strcmp(gr_experiment_load(run->schema, run->ids[0], context)->state, "draft") == 0)
			ereport(ERROR,
					(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
					 errmsg("experiment \"%s\" is a draft", run->ids[0]),
					 errhint("Launch it with guardrail_launch(), or use guardrail_evaluate(), which also accepts drafts.")));
	}
	gr_owner_leave(&saved);
}

/*
 * So that a scheduler, psql or CI sees it.  In a transaction block the error would take
 * back what was recorded; there the warnings must do.
 */
static void
fail_if_any_failed(const Run *run)
{
	if (run->nfailed == 0 || !(run->commits || (run->nunrecorded > 0 && !run->all)))
		return;
	if (!run->all)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("check of experiment \"%s\" failed: %s", run->ids[0], run->failures.data),
				 run->nunrecorded > 0 ? errdetail("The failure could not be recorded; the warning above says why.") : 0,
				 errhint("%s%s", run->hint.data,
						 run->nunrecorded > 0 ? "" : "The failure is recorded in guardrail_check_log.")));
	ereport(ERROR,
			(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
			 run->nfailed <= MOST_FAILURES ?
			 errmsg("%d of %d checks failed: %s", run->nfailed, run->n, run->failures.data) :
			 errmsg("%d of %d checks failed: %s and %d more", run->nfailed, run->n, run->failures.data,
					run->nfailed - MOST_FAILURES),
			 run->nunrecorded > 0 ? errdetail("%d of the failures could not be recorded; the warnings above say why.",
											  run->nunrecorded) : 0,
			 errhint("All other checks are recorded. Column error of guardrail_check_log has the failures.")));
}

/* guardrail_check(experiment text): NULL for all that run */
Datum
guardrail_check(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	MemoryContext loop;
	CallContext *call = (CallContext *) fcinfo->context;
	Run			run = {fcinfo, gr_schema_of(fcinfo), PG_ARGISNULL(0)};
	int			sound = 0;

	refuse_where_nothing_is_recorded(fcinfo);
	initStringInfo(&run.failures);
	initStringInfo(&run.hint);
	run.commits = call && IsA(call, CallContext) && !call->atomic && !IsSubTransaction();
	if (SPI_connect_ext(run.commits ? SPI_OPT_NONATOMIC : 0) != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	gr_require_may_check(fcinfo, run.schema);
	find_experiments(&run, context, &sound);
	/* one that failed would fail with those that it shares a scan with */
	if (sound > 1)
		run.shared = gr_share_scans(fcinfo->flinfo->fn_oid, run.ids, sound, context);
	loop = AllocSetContextCreate(context, "guardrail_check", ALLOCSET_DEFAULT_SIZES);
	for (int i = 0; i < run.n; i++)
	{
		MemoryContext old = MemoryContextSwitchTo(loop);

		CHECK_FOR_INTERRUPTS();
		check_one(&run, i);
		MemoryContextSwitchTo(old);
		MemoryContextReset(loop);
		if (run.commits)
			SPI_commit();
	}
	fail_if_any_failed(&run);
	SPI_finish();
	MemoryContextDelete(loop);
	PG_RETURN_VOID();
}
