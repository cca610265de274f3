/*
 * rights.h
 *	  What a missing right means, and what to do about it.
 */
#ifndef GR_RIGHTS_H
#define GR_RIGHTS_H

#include "base/guardrail.h"

/*
 * May the current role execute the function because it, or a role that it inherits
 * from, was granted that by name?  What PUBLIC may do does not count.  The function's
 * owner and superusers may.
 */
extern bool gr_granted_by_name(Oid function);

/*
 * An error context callback: an error of a missing right that comes without a hint
 * gets one, which names the role that lacks the right and, for guardrail's own tables,
 * what to grant it or to read instead.
 */
extern void gr_hint_at_rights(void *arg);

/* An error in one line: its message and, where a right is missing, what to grant. */
extern const char *gr_error_text(const ErrorData *error);

/* The hint of an error of a missing right on the events: what to grant to the role that reads them. */
extern void gr_hint_events(const char *relation, Oid role, bool is_owner);

#endif							/* GR_RIGHTS_H */
