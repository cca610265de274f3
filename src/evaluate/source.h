/*
 * source.h
 *	  Where a collection comes from.
 */
#ifndef GR_SOURCE_H
#define GR_SOURCE_H

#include "evaluate/evaluation.h"

/* What is asked of a source. */
typedef struct SourceRequest
{
	const char *schema;
	const Shared *shared;		/* what a scan for several experiments collected, or NULL */
	bool		recorded;		/* what is new may be stored as slices */
	MemoryContext context;		/* of the collection */
} SourceRequest;

/* One source; source.c has one row for each. */
typedef struct Source
{
	/* Does it serve this experiment, as its plan and the request are? */
	bool		(*serves) (const Evaluation *v, const SourceRequest *request);
	/* v->c, and v->segments of an experiment that has some */
	void		(*collect) (Evaluation *v, const SourceRequest *request);
	/* the statement that guardrail_explain shows, and what else it says of it (NULL: nothing) */
	char	   *(*statement) (const Experiment *e, const ScanPlan *plan, const char *schema);
	const char *(*remark) (const Evaluation *v);
} Source;

/* Collect from the first source that serves. */
extern void gr_source_collect(Evaluation *v, const SourceRequest *request);

#endif							/* GR_SOURCE_H */
