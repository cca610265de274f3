/*
 * query.h
 *	  From an experiment to one statement over its events, and its result.
 */
#ifndef GR_QUERY_H
#define GR_QUERY_H

#include "catalog/catalog.h"
#include "base/owner.h"
#include "catalog/expression.h"
#include "units/collection.h"

/* ---- the statement (build.c, two_level.c) -------------------------------- */

typedef struct ScanPlan
{
	CollectSpec *spec;
	char	  **column_value;	/* [ncolumns] expressions, parenthesised */
	char	  **column_filter;	/* NULL: none */
	Oid		   *column_type;	/* base types */
	bool	   *column_category;	/* any type; collected as guardrail_category of it */
	bool	   *column_failed;	/* it cannot be evaluated, and is NULL in every row */
} ScanPlan;

/* A column's expression and filter (NULL: none) as a statement has them. */
extern const char *gr_column_value(const ScanPlan *plan, int k);
extern const char *gr_column_filter(const ScanPlan *plan, int k);

/*
 * What must be collected for the rules; sets each rule's metric.  The expressions of a
 * rule with a failure are NULL.
 */
extern ScanPlan *gr_plan_make(Experiment *e);

/* The fast shape; two_level.c has the other. */
extern char *gr_sql_fast(const Experiment *e, const ScanPlan *plan, const char *schema);
extern char *gr_sql_units(const Experiment *e, const ScanPlan *plan, const char *schema);
extern char *gr_sql_two_level(const Experiment *e, const ScanPlan *plan, const char *schema);
extern char *gr_sql_counts(const Experiment *e, const ScanPlan *plan, const char *schema);

/* Columns of the two-level statement for each metric, from the fifth on. */
#define METRIC_COLUMNS 7

/* A category's column as the number that it is collected as. */
extern char *gr_sql_category(const ScanPlan *plan, int k, const char *schema);

/* The fast shape for several experiments with a column of one relation. */
extern char *gr_sql_shared(Experiment *const *e, ScanPlan *const *plan, int n,
						   const char *schema);

/*
 * One scan for the experiment and for each value of each of its segments: the number
 * that GROUPING() gives the row's expression, the values, the collection.
 */
extern char *gr_sql_segments(const Experiment *e, const ScanPlan *plan, const char *schema);

/* A statement that evaluates some of the columns in every row, and keeps nothing. */
extern char *gr_sql_probe(const Experiment *e, const ScanPlan *plan, const char *schema,
						  const int *columns, int n);

/* A statement that evaluates the segments' expressions in every row. */
extern char *gr_sql_probe_segments(const Experiment *e);

/*
 * The names of arms that the rows have: at most n, the control first, then those of the
 * array "known" (a literal of text[]), then by rows.
 */
extern char *gr_sql_arms(const Experiment *e, const char *known, int n);

/* Can the fast shape be tried?  The function call must not be too wide. */
extern bool gr_fast_shape_fits(const ScanPlan *plan);

/* ---- the rows (from.c) ---------------------------------------------------- */

/* The condition on the experiment's events; empty: all of them are. */
extern char *gr_sql_condition(const Experiment *e);

/* Are its rows the events as they are, without exposures or their times? */
extern bool gr_rows_are_events(const Experiment *e);

/* "FROM ..." of the experiment's rows. */
extern char *gr_sql_from(const Experiment *e);

/* The unit, and the variant as the aggregate takes it or as text. */
extern char *gr_sql_unit(const Experiment *e);
extern char *gr_sql_variant(const Experiment *e, bool as_text);

/* "arm IS NOT NULL", and one of the planned ones if there are any. */
extern char *gr_sql_known_arms(const Experiment *e, const char *arm);

/* Must the time of a unit's exposure be known for the rules? */
extern bool gr_needs_exposure_time(const Experiment *e);

/* Is a row an event?  NULL: every row is. */
extern char *gr_sql_is_event(const Experiment *e);

/* Is a row an event that the rule looks at, filter aside?  NULL: every row is. */
extern char *gr_sql_counts_for(const Experiment *e, const Rule *rule);

/* Has the window of the row's unit closed?  NULL: the rule has none. */
extern char *gr_sql_is_mature(const Experiment *e, const Rule *rule);

/* "FROM ..." of the rows that say which unit is in which arm: exposures, or events. */
extern char *gr_sql_assignments(const Experiment *e);

/* The statement that finds a row when there is an event. */
extern char *gr_sql_seen(const Experiment *e);

/* The statement that counts the units. */
extern char *gr_sql_unit_count(const Experiment *e);

/* ---- which names the rows have (arms.c) ----------------------------------- */

/* A name in the rows, with the units (of an arm) and rows that have it. */
typedef struct SeenName
{
	char	   *name;
	int64		units;
	int64		rows;
} SeenName;

typedef struct SeenNames
{
	int			n;
	SeenName   *seen;			/* the most frequent first */
	int64		rows;			/* that were looked at */
	bool		whole;			/* there are no others */
} SeenNames;

/*
 * Look at the first rows, as the experiment's owner, for the arms that they have, and
 * for one arm in all rows.
 */
extern SeenNames *gr_seen_arms(const Experiment *e);
extern bool gr_is_arm_seen(const Experiment *e, const char *arm);

/* The values of a column of a relation, whatever experiment its rows belong to. */
extern SeenNames *gr_seen_values(const Experiment *e, Oid relation, const char *column);

/* Arms that are not planned, "\"B\" 11,960 rows, \"C\" 3"; NULL: none was found. */
extern char *gr_unknown_arms(const Experiment *e);

/* A 12,003, B 11,960 and 3 more; units, or rows. */
extern char *gr_seen_list(const SeenNames *names, bool units, int most);

/* ---- running it (collect.c) ---------------------------------------------- */

/* How many parallel workers are of use, and that there may be so many in the GUC level at hand. */
extern int	gr_useful_workers(void);
extern void gr_set_workers(int workers);

/* Was it memory that one process alone would not need, what a parallel scan lacked? */
extern bool gr_may_work_alone(const ErrorData *error);

/*
 * Run a statement whose one result is a bytea, with "read" for its result (NULL
 * for a NULL), in "context".  False when the units do not fit guardrail.unit_memory;
 * any other error goes on.
 */
typedef void *(*GrReadResult) (const bytea *bytes, const ScanPlan *plan);
extern bool gr_run_fitting(const char *sql, const ScanPlan *plan, GrReadResult read,
						   MemoryContext context, void **result);

/*
 * An error when the extension's schema holds somebody else's function of a name that
 * a scan calls: one that fits the types of the columns better than "any" would be
 * called in place of ours, with the owner's rights.
 */
extern void gr_require_own_functions(const char *schema);

/*
 * Collect as the experiment's owner, in the current snapshot.  SPI must be
 * connected; the result lives in "context".
 */
extern Collection *gr_collect(const Experiment *e, const ScanPlan *plan,
							  const char *schema, MemoryContext context);

/* ---- segments (segment.c) ------------------------------------------------ */

#define GR_MAX_SEGMENT_VALUES 50

/* What was collected of the units with one value of one expression. */
typedef struct SegmentData
{
	int			expression;		/* in the experiment's segments */
	char	   *value;			/* NULL: of NULL */
	Collection *c;				/* NULL: the expression could not be judged, */
	const char *why;			/* for this reason */
} SegmentData;

typedef struct SegmentScan
{
	Collection *whole;
	int			n;
	SegmentData *segment;		/* in no order */
} SegmentScan;

/* As gr_collect, of an experiment that has segments. */
extern SegmentScan *gr_collect_segments(const Experiment *e, const ScanPlan *plan,
										const char *schema, MemoryContext context);

/* The same as the two-level shape's rows (two_level.c). */
extern Collection *gr_collect_two_level(const Experiment *e, const ScanPlan *plan,
										const char *schema);

#endif							/* GR_QUERY_H */
