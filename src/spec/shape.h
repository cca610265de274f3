/*
 * shape.h
 *	  What one scan collects: columns, folds per unit, metrics over units.
 *
 * A column is an SQL expression over an event (with its filter).  A fold is one
 * number kept per unit and column, or the list of the column's values.  A metric
 * makes one observation per unit out of one or two folds.  Rules that share an
 * expression share the column, and metrics share folds.
 *
 * What a kind of fold and a shape of metrics is stands in one row of a table each
 * (shape.c): no other code asks which it has.
 */
#ifndef GR_SHAPE_H
#define GR_SHAPE_H

#include "base/guardrail.h"

#include "decide/kind.h"

#define GR_MAX_COLUMNS 1000
#define GR_MAX_FOLDS 5000
#define GR_MAX_METRICS 1000

/* The letters of folds. */
typedef enum FoldLetter
{
	FOLD_SUM = 's',
	FOLD_COUNT = 'c',
	FOLD_MAX = 'x',
	FOLD_MIN = 'n',
	FOLD_EVENTS = 'h',			/* all values, as histogram bins */
	FOLD_VALUES = 'k'			/* all values, each as two halves of a double */
} FoldLetter;

typedef struct FoldKind
{
	FoldLetter	letter;
	const char *aggregate;		/* the unit_aggregate that it computes; NULL: none */
	bool		is_list;
	bool		in_bins;		/* its list is of histogram bins, and values are counted that a quantile may be tied at */
	bool		starts_unknown; /* NaN until a unit has a value, not 0 */
	/* as an SQL aggregate of a unit's values: what comes before, its name, what comes after */
	const char *sql_before;
	const char *sql_name;
	bool		sql_is_ours;	/* in the extension's schema */
	const char *sql_after;
	/* of one number, NULL for a list: it and another of the same unit, */
	double		(*merge) (double x, double y);
	/* and it, "offset" into each entry, and the values of n rows, "step" apart, NaN for none */
	void		(*add_rows) (char *const *entry, size_t offset, const char *value, size_t step, int n);
} FoldKind;

typedef struct Fold
{
	const FoldKind *kind;
	int			column;
	int			slot;			/* of the unit's numbers, or of its lists */
} Fold;

typedef struct Metric Metric;

typedef struct Shape
{
	GrShapeLetter letter;
	int			dim;			/* numbers of an observation */
	FoldLetter	list;			/* what fold a keeps a list of; 0: it is a number */
	bool		has_b;			/* there is a fold b */
	bool		is_folds;		/* the observation is the folds, as they are */
	bool		is_zero_or_one;
	bool		keeps_flags;	/* of flags it is made of flags */
	bool		may_lack;		/* a unit with a value may have no observation */
	bool		over_events;	/* the list's values are observations, and none is one of a unit */
	bool		has_histogram;
	bool		caps_zeros;		/* zeros count in the quantile that it is capped at */
	const char *sql_summary;	/* the aggregate over units */
	const char *unjoined;		/* why it has no joint covariance with another; NULL: it has */
	/* of two numbers of a unit: false when it has no observation; NULL: it has none of its own */
	bool		(*observe) (const Metric *metric, double a, double b, double *x);
	double		(*observe_values) (double *values, size_t n);	/* of a list; sorts it */
	char	   *(*sql) (const Metric *metric, const char *schema);	/* NULL: the fold */
} Shape;

struct Metric
{
	const Shape *shape;
	int			a;				/* folds */
	int			b;				/* -1: none */
	int			covariate;		/* fold of the covariate; -1: none */
	int			mature;			/* fold: above 0 when the unit's window has closed,
								 * 0 while it has not; -1: it has none */
	double		at_least;		/* NaN: none */
	bool		is_flag;		/* the values are of type boolean */
	double		cap_quantile;	/* 0: none; winsorise at this pooled quantile */
	double		cap_value;		/* NaN: none; winsorise at this value */
};

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

/* The row of a letter; NULL: there is none. */
extern const FoldKind *gr_fold_kind(char letter);
extern const Shape *gr_shape(char letter);

/* The fold that a unit_aggregate takes, of an average its dividend. */
extern FoldLetter gr_fold_of_aggregate(const char *aggregate);

/* The number of a fold of a column, added if it is new. */
extern int	gr_spec_fold(CollectSpec *spec, FoldLetter letter, int column);

/* A metric of those folds, with nothing else. */
extern Metric gr_metric_make(char shape, int a, int b);

/* Do two metrics of one spec observe the same? */
extern bool gr_metric_same(const Metric *a, const Metric *b);

extern bool gr_metric_is_capped(const Metric *metric);

/* Do events whose value is NULL drop out of the metric, rather than count as nothing? */
extern bool gr_metric_leaves_nulls_out(const CollectSpec *spec, const Metric *metric);

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

/* The observation of a unit: false when it has none. */
extern bool gr_metric_observe(const CollectSpec *spec, const Metric *metric,
							  const double *slots, double *x);

/*
 * Cap an observation, and put the unit's covariate after it: does it have one?
 * cap: of each variable, infinite for none.
 */
extern bool gr_metric_complete(const CollectSpec *spec, const Metric *metric,
							   const double *slots, const double *cap, double *x);

/* ---- as SQL: fold number n of a unit is x<n>, of the values v<column> ------------ */

extern char *gr_fold_sql(const Fold *fold, const char *schema);

/* A unit's observation of a metric, or the second number of it, over its folds. */
extern char *gr_metric_sql(const Metric *metric, int variable, const char *schema);

#endif							/* GR_SHAPE_H */
