/*
 * writing.h
 *	  Which function of the extension is at work on its tables.
 */
#ifndef GR_WRITING_H
#define GR_WRITING_H

/*
 * The triggers of the catalog and of the logs let pass what these do.  It is set
 * around single statements, and off while an experiment's owner's text runs
 * (owner.c): the functions in that may write to the same tables.
 */
typedef enum GrWriting
{
	GR_WRITING_NOTHING,
	GR_WRITING_LIFECYCLE,		/* the state of an experiment */
	GR_WRITING_AMENDMENT,		/* rows of a launched plan, for guardrail_amend() */
	GR_WRITING_PRUNING			/* deletes from the logs, for guardrail_prune() */
} GrWriting;

extern GrWriting gr_writing;

#endif							/* GR_WRITING_H */
