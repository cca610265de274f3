/*
 * query.h
 *	  From an experiment to one statement over its events, and its result.
 */
#ifndef GR_QUERY_H
#define GR_QUERY_H

#include "catalog/catalog.h"
#include "catalog/writing.h"
#include "units/collection.h"

/* ---- whose rights (owner.c) -------------------------------------------- */

typedef struct OwnerContext
{
	Oid			user;
	int			security;
	int			guc_level;
	GrWriting	writing;
	bool		read_only;
} OwnerContext;

/*
 * From enter to leave, statements run with the rights of role, without the
 * right to change session state when role is not the caller, under settings
 * that fix the meaning of their text, and write nothing.  An error in between is undone by the
 * end of the (sub)transaction.
 */
extern void gr_owner_enter(OwnerContext *saved, Oid role);
extern void gr_owner_leave(const OwnerContext *saved);

/* Write the extension's own tables: as their owner. */
extern void gr_writer_enter(OwnerContext *saved, Oid function);

/* ---- expressions (expression.c) ----------------------------------------- */

/*
 * The type of an expression over one row of events.  An error unless it is one
 * expression, without aggregates, window functions, subqueries, set-returning or
 * volatile functions.  Under gr_owner_enter's settings.
 */
extern Oid	gr_expression_type(Oid events, const char *text);

/*
 * Add the functions that an expression calls by itself, its operators and casts
 * included, to a list of their OIDs; not the server's own.
 */
extern List *gr_expression_functions(Oid events, const char *text, List *functions);

/* The same as gr_expression_type with errors that name column and metric; must be a number (or, with
 * boolean, a condition). */
extern void gr_expression_check(Oid events, const char *text, const char *column,
								const char *metric, bool boolean);

/* A segment is an expression of any type; its text is what counts. */
extern Oid	gr_segment_type(Oid events, const char *text);

/* The same with errors that name the experiment. */
extern void gr_segment_check(Oid events, const char *text, const char *experiment);

/* Is the value of an expression another at another time? */
extern bool gr_expression_reads_clock(Oid events, const char *text);

/* "schema.relation", quoted. */
extern char *gr_relation_name(Oid relation);

/* ---- the statement (build.c, two_level.c) -------------------------------- */

typedef struct ScanPlan
{
	CollectSpec *spec;
	char	  **column_value;	/* [ncolumns] expressions, parenthesised */
	char	  **column_filter;	/* NULL: none */
	Oid		   *column_type;	/* base types */
} ScanPlan;

/* What must be collected for the rules; sets each rule's metric. */
extern ScanPlan *gr_plan_make(Experiment *e);

/* The fast shape; two_level.c has the other. */
extern char *gr_sql_fast(const Experiment *e, const ScanPlan *plan, const char *schema);
extern char *gr_sql_units(const Experiment *e, const ScanPlan *plan, const char *schema);
extern char *gr_sql_two_level(const Experiment *e, const ScanPlan *plan, const char *schema);
extern char *gr_sql_counts(const Experiment *e, const ScanPlan *plan, const char *schema);

/* Columns of the two-level statement for each metric, from the fifth on. */
#define METRIC_COLUMNS 5

/* The fast shape for several experiments with a column of one relation. */
extern char *gr_sql_shared(Experiment *const *e, ScanPlan *const *plan, int n,
						   const char *schema);

/*
 * One scan for the experiment and for each value of each of its segments: the number
 * that GROUPING() gives the row's expression, the values, the collection.
 */
extern char *gr_sql_segments(const Experiment *e, const ScanPlan *plan, const char *schema);

/* The condition on the experiment's rows; empty: all of them are. */
extern char *gr_sql_condition(const Experiment *e);

/* "FROM events WHERE ..." of the experiment's rows. */
extern char *gr_sql_from(const Experiment *e);

/* The variant as the aggregate takes it, and as text. */
extern char *gr_sql_variant(const Experiment *e, bool as_text);

/* Can the fast shape be tried?  The function call must not be too wide. */
extern bool gr_fast_shape_fits(const ScanPlan *plan);

/* ---- running it (collect.c) ---------------------------------------------- */

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

#define GR_MAX_SEGMENTS 8
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
