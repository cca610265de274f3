/*
 * query.h
 *	  From an experiment to one statement over its events, and its result.
 */
#ifndef GR_QUERY_H
#define GR_QUERY_H

#include "catalog/catalog.h"
#include "units/collection.h"

/* ---- whose rights (owner.c) -------------------------------------------- */

typedef struct OwnerContext
{
	Oid			user;
	int			security;
	int			guc_level;
} OwnerContext;

/*
 * From enter to leave, statements run with the rights of role, without the
 * right to change session state when role is not the caller, under settings
 * that fix the meaning of their text.  An error in between is undone by the
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
extern char *gr_sql_two_level(const Experiment *e, const ScanPlan *plan, const char *schema);
extern char *gr_sql_counts(const Experiment *e, const ScanPlan *plan, const char *schema);

/* Columns of the two-level statement for each metric, from the fifth on. */
#define METRIC_COLUMNS 5

/* "FROM events WHERE ..." of the experiment's rows. */
extern char *gr_sql_from(const Experiment *e);

/* The variant as the aggregate takes it, and as text. */
extern char *gr_sql_variant(const Experiment *e, bool as_text);

/* Can the fast shape be tried?  The function call must not be too wide. */
extern bool gr_fast_shape_fits(const ScanPlan *plan);

/* ---- running it (collect.c) ---------------------------------------------- */

/*
 * Collect as the experiment's owner, in the current snapshot.  SPI must be
 * connected; the result lives in "context".
 */
extern Collection *gr_collect(const Experiment *e, const ScanPlan *plan,
							  const char *schema, MemoryContext context);

/* The same as the two-level shape's rows (two_level.c). */
extern Collection *gr_collect_two_level(const Experiment *e, const ScanPlan *plan,
										const char *schema);

#endif							/* GR_QUERY_H */
