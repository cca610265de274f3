/*
 * api.h
 *	  What the files of this folder share; nothing else includes it.
 */
#ifndef GR_API_H
#define GR_API_H

#include "evaluate/segment.h"

/*
 * One check of an experiment, as guardrail_check() makes it: why it failed, or NULL; and
 * why the failure could not be recorded (check.c).
 */
extern const char *gr_check_alone(FunctionCallInfo fcinfo, char *schema, const char *id,
								  const char **unrecorded);

/* What the last recorded check says of each arm, in one line (line.c). */
extern char *gr_check_line(FunctionCallInfo fcinfo, const char *schema, const char *id);

/* The text of guardrail_explain (explain.c). */
extern char *gr_explain(const Evaluation *v, const char *schema);

/*
 * An error unless the caller may check the experiment of argument 0, or all if it is
 * NULL (may_check.c); SPI is connected.
 */
extern void gr_require_may_check(FunctionCallInfo fcinfo, const char *schema);

#endif							/* GR_API_H */
