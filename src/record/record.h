/*
 * record.h
 *	  Writing checks into the logs.
 */
#ifndef GR_RECORD_H
#define GR_RECORD_H

#include "evaluate/past.h"

/*
 * Record an evaluation, or with v NULL the error that a check ended with.  Tells
 * channel guardrail of every arm whose verdict changed.  With the rights of the
 * extension's owner; an experiment that is no more is passed over.  began: when the check did.
 */
extern void gr_record(FunctionCallInfo fcinfo, const char *schema, const char *id,
					  const Evaluation *v, const char *error, TimestampTz began);

/* Store the inputs of an evaluation, with its segments.  As the extension's owner. */
extern void gr_input_store(const Evaluation *v, const char *schema, int64 check_id,
						   TimestampTz checked_at, const char *snapshot);

#endif							/* GR_RECORD_H */
