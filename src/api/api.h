/*
 * api.h
 *	  What the files of this folder share; nothing else includes it.
 */
#ifndef GR_API_H
#define GR_API_H

#include "evaluate/segment.h"

/* The text of guardrail_explain (explain.c). */
extern char *gr_explain(const Evaluation *v, const char *schema);

/*
 * An error unless the caller may check the experiment of argument 0, or all if it is
 * NULL (may_check.c); SPI is connected.
 */
extern void gr_require_may_check(FunctionCallInfo fcinfo, const char *schema);

#endif							/* GR_API_H */
