/*
 * attempt.c
 *	  Work that may fail without taking the transaction with it.
 */
#include "base/guardrail.h"

#include "access/xact.h"
#include "mb/pg_wchar.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

/* What is told, and recorded, of an error's message, in bytes. */
#define MAX_MESSAGE 2000

/*
 * What ends the session's work ends this too.  A function in an expression can raise
 * the same code, and so can another server: that is a failure like others, and must
 * not keep whoever checks all from the experiments that come after.
 */
static bool
is_cancel(const ErrorData *error)
{
	/* the other code: deadline.c */
	return (error->sqlerrcode == ERRCODE_QUERY_CANCELED || error->sqlerrcode == ERRCODE_ASSERT_FAILURE) &&
		error->funcname != NULL && strcmp(error->funcname, "ProcessInterrupts") == 0;
}

/* Whoever called did not write the statements that the error would be shown in. */
void
gr_without_context(void (*work) (void *), void *arg)
{
	MemoryContext here = CurrentMemoryContext;

	PG_TRY();
	{
		work(arg);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(here);
		error = CopyErrorData();
		FlushErrorState();
		error->context = NULL;
		error->internalquery = NULL;
		error->internalpos = 0;
		/* with the lines of whoever called */
		ThrowErrorData(error);
	}
	PG_END_TRY();
}

ErrorData *
gr_attempt_but(bool (*is_caught) (const ErrorData *error), void (*work) (void *), void *arg)
{
	MemoryContext here = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	ErrorData  *volatile error = NULL;
	volatile bool cancelled = false;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(here);
	PG_TRY();
	{
		work(arg);
		ReleaseCurrentSubTransaction();
	}
	PG_CATCH();
	{
		MemoryContextSwitchTo(here);
		error = CopyErrorData();
		cancelled = is_cancel(error) && !(is_caught && is_caught(error));
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
	}
	PG_END_TRY();
	MemoryContextSwitchTo(here);
	CurrentResourceOwner = owner;
	if (cancelled)
		ReThrowError(error);
	/* it may be a function's, and as long as that likes */
	if (error && strlen(error->message) > MAX_MESSAGE)
		error->message = pnstrdup(error->message,
								  pg_mbcliplen(error->message, strlen(error->message), MAX_MESSAGE));
	return error;
}

ErrorData *
gr_attempt(void (*work) (void *), void *arg)
{
	return gr_attempt_but(NULL, work, arg);
}
