/*
 * deadline.c
 *	  Work that has only so much time.
 *
 * A timer cancels what the session does, as pg_cancel_backend() would: a sleep, a scan
 * with its parallel workers, and a wait for a lock end at once.  While that error is
 * being raised it is given a message of its own, by which it is known from a cancel that
 * somebody asked for, and from a statement_timeout: those end the session's work.  The
 * timer fires again every second, for a function that catches what it is told; then the
 * error has another code every other time, of those that no handler catches unless it names them.
 */
#include "base/guardrail.h"

#include <signal.h>

#include "miscadmin.h"
#include "utils/timeout.h"
#include "utils/timestamp.h"

#define AGAIN_AFTER 1000		/* ms */

/* How the server words a cancel that has no other reason. */
static const char *const server_format = "canceling statement due to user request";
static const char *const our_format = "check took longer than guardrail.check_timeout (%d %s)";

static int	limit = 0;			/* ms; 0: no work is timed */
static volatile sig_atomic_t asked = false; /* to cancel, by the timer alone */
static int	times = 0;			/* that it was told to end */

static void
ask_to_cancel(void)
{
	/* somebody else asks already */
	if (QueryCancelPending)
		return;
	asked = true;
	QueryCancelPending = true;
	InterruptPending = true;
}

/* The error that is being raised: is it the timer's? */
static void
name_cancel(void *arg)
{
	MemoryContext old;
	ErrorData  *error;
	bool		ours;

	if (!asked || geterrcode() != ERRCODE_QUERY_CANCELED)
		return;
	old = MemoryContextSwitchTo((MemoryContext) arg);
	error = CopyErrorData();
	ours = error->message_id && strcmp(error->message_id, server_format) == 0;
	FreeErrorData(error);
	MemoryContextSwitchTo(old);
	if (!ours)
		return;
	asked = false;
	if (limit % 60000 == 0)
		errmsg_internal(our_format, limit / 60000, "min");
	else if (limit % 1000 == 0)
		errmsg_internal(our_format, limit / 1000, "s");
	else
		errmsg_internal(our_format, limit, "ms");
	if (++times % 2 == 0)
		errcode(ERRCODE_ASSERT_FAILURE);
	errhint("Look for a lock on its events or a slow expression, or increase guardrail.check_timeout.");
}

static bool
is_ours(const ErrorData *error)
{
	return error->message_id && strcmp(error->message_id, our_format) == 0;
}

static void
set_timer(int milliseconds)
{
	static TimeoutId timer = USER_TIMEOUT;
	static bool registered = false;

	if (milliseconds == 0)
	{
		disable_timeout(timer, false);
		/* it may have fired too late to be of use */
		if (asked)
			QueryCancelPending = false;
		asked = false;
		limit = 0;
		return;
	}
	if (!registered)
		timer = RegisterTimeout(USER_TIMEOUT, ask_to_cancel);
	registered = true;
	limit = milliseconds;
	times = 0;
	asked = false;
	enable_timeout_every(timer, TimestampTzPlusMilliseconds(GetCurrentTimestamp(), milliseconds), AGAIN_AFTER);
}

ErrorData *
gr_attempt_within(int milliseconds, void (*work) (void *), void *arg)
{
	ErrorContextCallback naming = {.previous = error_context_stack,.callback = name_cancel,
	.arg = CurrentMemoryContext};
	ErrorData  *volatile error = NULL;

	/* within work that is timed, the time is that of the whole */
	if (milliseconds <= 0 || limit > 0)
		return gr_attempt(work, arg);
	error_context_stack = &naming;
	set_timer(milliseconds);
	PG_TRY();
	{
		error = gr_attempt_but(is_ours, work, arg);
	}
	PG_FINALLY();
	{
		set_timer(0);
	}
	PG_END_TRY();
	error_context_stack = naming.previous;
	return error;
}
