/*
 * plan.h
 *	  Registered plans: launching, amending, and what a plan says of itself.
 */
#ifndef GR_PLAN_H
#define GR_PLAN_H

#include "evaluate/evaluation.h"

/* An error where nothing can be written; hint: what to do instead, during recovery. */
extern void gr_require_writable(FunctionCallInfo fcinfo, const char *hint);

/* The experiment's row, locked, then read as it is now; its owner's members only. */
extern Experiment *gr_plan_lock(FunctionCallInfo fcinfo, const char *schema);

/* An error with this hint unless the experiment is in that state. */
extern void gr_plan_require_state(const Experiment *e, const char *state, const char *hint);

/* Is it a whole plan: one primary, expressions that fit the events? */
extern void gr_plan_require_whole(Experiment *e, const char *schema);

/*
 * Make the rows as they are the given version of the plan, and set the columns
 * of the experiment that "set" names besides.
 */
extern void gr_plan_register(FunctionCallInfo fcinfo, const char *schema, Experiment *e,
							 int version, const char *reason, const char *set);

/*
 * Set columns of the experiment $1 that only functions change; as the tables' owner.
 */
extern void gr_update_lifecycle(const char *schema, const char *set, int nargs,
								const char *const *args);

/* End the experiment of argument 0 (lifecycle.c). */
extern Experiment *gr_plan_stop(FunctionCallInfo fcinfo, const char *schema);

/*
 * Do the events have the names of the plan?  Which arms they have, in words.  refuse:
 * names that others stand for in the events are an error, else a warning (seen.c).
 */
extern char *gr_plan_seen(FunctionCallInfo fcinfo, const char *schema, const Experiment *e, bool refuse);

/* What a version of the plan changed, in words (changes.c). */
extern char *gr_plan_changes(FunctionCallInfo fcinfo, const char *schema, const char *id, int version);

/*
 * Warnings about the plan before it is registered; what they were found by, if that took
 * an evaluation of the present events, or NULL (warnings.c).
 */
extern Evaluation *gr_plan_warn(FunctionCallInfo fcinfo, const char *schema, const Experiment *e,
								bool after_data);

#endif							/* GR_PLAN_H */
