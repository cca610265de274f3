/*
 * api.h
 *	  What the files of this folder share; nothing else includes it.
 */
#ifndef GR_API_H
#define GR_API_H

#include "evaluate/segment.h"

/* The text of guardrail_explain (explain.c). */
extern char *gr_explain(const Evaluation *v, const char *schema);

#endif							/* GR_API_H */
