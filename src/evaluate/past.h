/*
 * past.h
 *	  What the recorded checks of the present plan leave behind.
 */
#ifndef GR_PAST_H
#define GR_PAST_H

#include "evaluate/evaluation.h"

/* The last check's results and the looks taken so far. */
typedef struct PastResult
{
	char	   *variant;
	char	   *metric;
	bool		breached;
	int64		fingerprint;	/* of the rule it was about */
	GrPast		test[GR_TEST_KINDS];
	int64		witness[GR_TEST_KINDS]; /* check_id; 0: none */
} PastResult;

typedef struct Past
{
	int			nlooks;
	double	   *fraction;
	double		srm_p;			/* running minimum; NaN: none */
	int			nresults;
	PastResult *results;
} Past;

/* Read it with the rights of the extension's owner.  SPI must be connected. */
extern Past *gr_past_load(const char *schema, const Experiment *e,
						  MemoryContext context);

/*
 * The past of one arm and rule, or NULL; also when the rule of that name asked
 * for something else then.
 */
extern const PastResult *gr_past_result(const Past *past, const char *variant,
										const Rule *rule);

/* ---- stored looks (look_state.c) ------------------------------------------ */

/* Room for so many rows beside those that there are. */
extern void gr_monitor_make_room(GrMonitor *m, int rows);

/* Put what is stored of the recorded looks into the monitor's rows. */
extern void gr_look_state_load(GrMonitor *m, const char *schema, const Experiment *e);

/* Store the rows after a look that was recorded.  As the extension's owner. */
extern void gr_look_state_store(const GrMonitor *m, const char *schema, const Experiment *e);

/*
 * Set up the monitor for this evaluation: is it a look, at which fraction?
 * schema NULL: nothing stored is read.  incomplete: something could not be judged; then
 * it is not the last look.
 */
extern void gr_monitor_setup(GrMonitor *m, const char *schema, const Experiment *e, const Past *past,
							 const GrTestState *test, bool enough, bool incomplete, int narms);

#endif							/* GR_PAST_H */
