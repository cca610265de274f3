/*
 * loosened.h
 *	  What amendments loosened after data had come, and what was waived.
 */
#ifndef GR_LOOSENED_H
#define GR_LOOSENED_H

#include "evaluate/evaluation.h"

/* Something that guards less than an earlier version of the plan had it. */
typedef struct Loosening
{
	const char *name;			/* of the rule, or of a column of guardrail_experiment */
	bool		is_rule;
	char	   *text;			/* "limit of load 200 -> 250 ms" */
	int			version;		/* of the amendment that began it */
	int64		units;			/* seen then; -1: not counted */
} Loosening;

typedef struct Loosenings
{
	int			n;
	Loosening  *row;
} Loosenings;

/*
 * What a registered version of the plan has looser than any version before it, from the
 * one that was in force when the first event came.  Reads with the rights of the
 * extension's owner; the result lives in CurrentMemoryContext.
 */
extern Loosenings *gr_loosenings(const char *schema, const Experiment *e, int version);

/* Those of amendments from a version on, with the units seen, in words; NULL: none. */
extern char *gr_loosened_in_words(const Loosenings *l, int from);

/*
 * Set v->loosened, what GrArm says of it and of waivers, and GrResult.waived, as of
 * v->as_of.  The arms and results of v must be there.
 */
extern void gr_loosened_apply(Evaluation *v, const char *schema);

#endif							/* GR_LOOSENED_H */
