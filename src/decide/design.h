/*
 * design.h
 *	  What a monitoring design is: the columns of the table in design.c.
 */
#ifndef GR_DESIGN_H
#define GR_DESIGN_H

#include "decide/monitor.h"

typedef struct GrDesign
{
	const char *name;			/* in column monitoring */

	/* when it tests */
	bool		once;			/* one test at the end, whose decision stands */
	bool		has_looks;		/* only at looks, over which it spends alpha: it needs planned units */
	bool		any_time;		/* at any time, with no end */

	/* what a statistic is worth: see gr_monitor_multiplier, gr_monitor_p */
	bool		reads_df;		/* the multiplier depends on the degrees of freedom of each test */
	double		(*multiplier) (GrMonitor *m, GrTestKind kind, double level, const GrOccasion *at);
	double		(*p) (GrMonitor *m, GrTestKind kind, double z, const GrOccasion *at);
	double		(*log_e) (const GrMonitor *m, GrTestKind kind, double z, const GrOccasion *at);	/* NULL: its evidence is
																								 * no e-value */

	/* the correction over segments: by e-values where it has them */
	const char *segments_by;

	/* the split of the traffic; past: the smallest p-value of the recorded checks, NaN: none */
	const char *split_by;
	double		(*split_p) (const int64_t *counts, const double *shares, int n, double past);

	/* radius of the ellipse that holds two effects; NULL: each has bounds of its own, at half the level */
	double		(*radius) (const GrMonitor *m, double alpha, double n);

	/* append in words where it stands; spending: the name of the function that breach tests spend by */
	void		(*describe) (const GrMonitor *m, const char *spending, bool over, char *buf, size_t size);
} GrDesign;

extern const GrDesign *gr_design_of(GrMonitoring monitoring);

/* The design of that name; -1: none, also of NULL. */
extern int	gr_design_named(const char *name);

/* The names of all designs, NULL after the last. */
extern void gr_design_names(const char *names[GR_DESIGNS + 1]);

/* The design of an experiment that names none. */
extern GrMonitoring gr_design_by_default(bool units_are_planned);

#endif							/* GR_DESIGN_H */
