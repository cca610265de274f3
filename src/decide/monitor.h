/*
 * monitor.h
 *	  The monitoring designs: what a statistic is worth at this look.
 *
 * A design answers two questions for a test at a level: the multiplier of its
 * bound at a look, and the p-value of a statistic there.  They are consistent:
 * p <= level exactly when the statistic reaches the multiplier, for every level
 * that has been announced (gr_monitor_level).
 *
 *	 fixed				Student t, once
 *	 always_valid		normal mixture, any time (sequential.c)
 *	 group_sequential	Lan-DeMets spending at the looks (spending.c)
 *
 * design.c has what they differ in.
 */
#ifndef GR_MONITOR_H
#define GR_MONITOR_H

#include "stats/stats.h"

typedef enum GrMonitoring
{
	GR_ALWAYS_VALID,
	GR_GROUP_SEQUENTIAL,
	GR_FIXED,
	GR_DESIGNS					/* how many there are */
} GrMonitoring;

typedef enum GrTestKind
{
	GR_TEST_BREACH,				/* one-sided */
	GR_TEST_SAFE,				/* one-sided */
	GR_TEST_GOAL				/* two-sided: levels are of both sides */
} GrTestKind;

/* One level of one kind of test under group_sequential: its bound at each look. */
typedef struct GrBoundRow
{
	GrTestKind	kind;
	double		level;
	bool		announced;		/* p-values are read from it */
	int			known;			/* looks whose bound stands in bound[] */
	double	   *bound;			/* [nlooks + 1] */
	GrLookState *state;			/* after "known" looks */
} GrBoundRow;

typedef struct GrMonitor
{
	GrMonitoring kind;
	double		n_star;			/* always_valid: units the bound is tuned to */

	/* group_sequential */
	GrSpending	spending;		/* of the breach tests */
	double		phi;
	int			nlooks;			/* recorded before this evaluation */
	const double *fraction;		/* [nlooks] their information fractions */
	bool		is_look;		/* would this evaluation be one? */
	double		now;			/* its fraction, at most 1 */
	int			nrows;
	int			rows_room;
	GrBoundRow *rows;			/* the caller's, with room for bound[] and state */
	GrLookState *scratch;		/* the caller's */
	void		(*breathe) (void);	/* called between steps; NULL: nothing */
} GrMonitor;

/* How far a unit-of-information and a sample are at a look. */
typedef struct GrOccasion
{
	int			look;			/* group_sequential: 0 .. nlooks */
	double		n;				/* always_valid: units of the arms compared */
	double		df;				/* fixed */
	double		alpha;			/* always_valid: the level rho is tuned to */
} GrOccasion;

/*
 * Announce a level that will be decided at (group_sequential; for the others
 * nothing to do).  False when there is no room.
 */
extern bool gr_monitor_level(GrMonitor *m, GrTestKind kind, double level);

/*
 * The row of a level (NULL: no room) to be filled with stored looks.  It serves when the
 * level is announced; what earlier checks have asked for changes no p-value.
 */
extern GrBoundRow *gr_monitor_row(GrMonitor *m, GrTestKind kind, double level);

/* Levels that p-values are read between. */
#define GR_P_LEVELS 4
/* Smaller ones that are announced when a statistic is beyond these. */
#define GR_DEEP_LEVELS 6
extern void gr_monitor_p_levels(GrMonitor *m, GrTestKind kind);

/* The multiplier of the bound; +Inf where nothing can be rejected. */
extern double gr_monitor_multiplier(GrMonitor *m, GrTestKind kind, double level,
									const GrOccasion *at);

/*
 * The p-value of statistic z (GR_TEST_GOAL: of its magnitude), 1 where nothing
 * can be rejected.
 */
extern double gr_monitor_p(GrMonitor *m, GrTestKind kind, double z,
						   const GrOccasion *at);

/* Does the design test at looks, of which this evaluation is none? */
extern bool gr_monitor_awaits_look(const GrMonitor *m);

/* 2 where the levels of a kind of test are of both sides, else 1. */
static inline int
gr_sides_of(GrTestKind kind)
{
	return kind == GR_TEST_GOAL ? 2 : 1;
}

/* Of a design with looks (group_sequential.c); where a look has no bound nothing is rejected. */
extern double gr_looks_multiplier(GrMonitor *m, GrTestKind kind, double level, const GrOccasion *at);
extern double gr_looks_p(GrMonitor *m, GrTestKind kind, double z, const GrOccasion *at);

#endif							/* GR_MONITOR_H */
