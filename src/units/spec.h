/*
 * spec.h
 *	  What one scan collects: columns, folds per unit, metrics over units.
 *
 * A column is an SQL expression over an event (with its filter).  A fold is one
 * number kept per unit and column, or the list of the column's values.  A metric
 * makes one observation per unit out of one or two folds.  Rules that share an
 * expression share the column, and metrics share folds.
 *
 * The spec travels to parallel workers as text, an argument of the aggregate:
 *	 columns=2 filters=.f folds=s0,c0,x1,n1,h0 metrics=v0,p1,r0/1,a0/1,e4
 * A metric's covariate follows as @fold, the fold that says whether the unit is
 * mature as ?fold, what its value must reach as >3, ! when the values are flags (of
 * boolean type), its cap as ^q0.99 or ^v100.
 * After the metrics, events=fold: the sum that counts a unit's events, when not
 * every row is one.
 */
#ifndef GR_SPEC_H
#define GR_SPEC_H

#include "base/guardrail.h"

#define GR_MAX_COLUMNS 1000
#define GR_MAX_FOLDS 5000
#define GR_MAX_METRICS 1000

typedef enum FoldKind
{
	FOLD_SUM = 's',
	FOLD_COUNT = 'c',
	FOLD_MAX = 'x',
	FOLD_MIN = 'n',
	FOLD_EVENTS = 'h',			/* all values, as histogram bins */
	FOLD_VALUES = 'k'			/* all values, each as two halves of a double */
} FoldKind;

typedef struct Fold
{
	FoldKind	kind;
	int			column;
	int			slot;			/* of the unit's numbers, or of its lists */
} Fold;

typedef enum MetricShape
{
	SHAPE_VALUE = 'v',			/* x = a */
	SHAPE_POSITIVE = 'p',		/* x = 1 if a > 0 (or a >= at_least), else 0 */
	SHAPE_AVERAGE = 'a',		/* x = a / b, no observation when b = 0 */
	SHAPE_RATIO = 'r',			/* x = a, y = b */
	SHAPE_EVENTS = 'e',			/* histogram of the events of list a */
	SHAPE_UNITS = 'u',			/* histogram over units of a */
	SHAPE_UNITS_AVERAGE = 'w',	/* histogram over units of a / b */
	SHAPE_DISTINCT = 'd',		/* x = number of different values in list a */
	SHAPE_ENTROPY = 'y'			/* x = entropy of the values in list a, in bits */
} MetricShape;

typedef struct Metric
{
	MetricShape shape;
	int			a;				/* folds */
	int			b;				/* -1: none */
	int			covariate;		/* fold of the covariate; -1: none */
	int			mature;			/* fold: above 0 when the unit's window has closed,
								 * 0 while it has not; -1: it has none */
	double		at_least;		/* NaN: none */
	bool		is_flag;		/* the values are of type boolean */
	double		cap_quantile;	/* 0: none; winsorise at this pooled quantile */
	double		cap_value;		/* NaN: none; winsorise at this value */
} Metric;

typedef struct CollectSpec
{
	int			ncolumns;
	bool	   *filtered;		/* the column has a filter */
	int			nfolds;
	Fold	   *folds;
	int			nslots;			/* numbers per unit */
	int			nlists;			/* lists of events per unit */
	int			nmetrics;
	Metric	   *metrics;
	int			events;			/* fold that counts a unit's events; -1: its rows */
} CollectSpec;

extern char *gr_spec_print(const CollectSpec *spec);
extern CollectSpec *gr_spec_parse(const char *text);

/* Do two metrics of one spec observe the same? */
extern bool gr_metric_same(const Metric *a, const Metric *b);

/* Does a fold keep a list, and does a metric look at the values of one? */
extern bool gr_fold_is_list(FoldKind kind);
extern bool gr_metric_has_values(const Metric *metric);

/* Has the metric a histogram, and does its observation come in pairs? */
extern bool gr_metric_has_histogram(const Metric *metric);
extern int	gr_metric_dim(const Metric *metric);
extern bool gr_metric_is_capped(const Metric *metric);

/* Does any cap rest on the values of all units? */
extern bool gr_spec_has_pooled_cap(const CollectSpec *spec);

/* The covariate of a unit; NaN when it has none. */
extern double gr_metric_covariate(const CollectSpec *spec, const Metric *metric,
								  const double *slots);

/* Is the unit's window still open? */
extern bool gr_metric_is_immature(const CollectSpec *spec, const Metric *metric,
								  const double *slots);

/* Does the metric look at the unit: has it no window, or has it closed? */
extern bool gr_metric_looks_at(const CollectSpec *spec, const Metric *metric,
							   const double *slots);

/* A metric of those folds, with nothing else. */
extern Metric gr_metric_make(MetricShape shape, int a, int b);

/* The observation of a unit: false when it has none. */
extern bool gr_metric_observe(const CollectSpec *spec, const Metric *metric,
							  const double *slots, double *x);

/*
 * Cap an observation, and put the unit's covariate after it: does it have one?
 * cap: of each variable, infinite for none.
 */
extern bool gr_metric_complete(const CollectSpec *spec, const Metric *metric,
							   const double *slots, const double *cap, double *x);

/* Number the slots and lists of the folds. */
extern void gr_spec_number(CollectSpec *spec);

#endif							/* GR_SPEC_H */
