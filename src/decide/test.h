/*
 * test.h
 *	  One test of a rule under the experiment's design: what the two arms' samples are
 *	  worth at an occasion, as a p-value and as bounds.
 */
#ifndef GR_TEST_H
#define GR_TEST_H

#include "decide/monitor.h"
#include "stats/sample.h"

/* A contrast of two arms at an occasion. */
typedef struct GrTested
{
	GrContrastKind kind;
	const GrSample *treatment;
	const GrSample *control;	/* ABSOLUTE: not looked at */
	GrOccasion	at;
} GrTested;

/*
 * The p-value of a kind of test at a limit; direction: of the claim, 1 that the effect
 * lies above the limit; GR_TEST_GOAL takes either, and *favours says which.  NaN when
 * there is no test.
 */
extern double gr_test_p(GrMonitor *m, GrTestKind kind, const GrTested *x, double limit,
						int direction, int *favours);

/*
 * The bound of the effect at a level on the side of the direction (1: the lower),
 * consistent with gr_test_p at every limit; infinite where there is none.
 */
extern double gr_test_bound(GrMonitor *m, GrTestKind kind, const GrTested *x, double level,
							int direction, double hint);

/*
 * ln of the e-value of the one-sided claim, under a design whose evidence is one; NaN:
 * no test.
 */
extern double gr_test_log_e(const GrMonitor *m, const GrTested *x, double limit, int direction);

#endif							/* GR_TEST_H */
