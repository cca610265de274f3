/*
 * expression.h
 *	  Expressions over one row of events: are they what they must be?
 */
#ifndef GR_EXPRESSION_H
#define GR_EXPRESSION_H

#include "catalog/catalog.h"

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

/* What an expression must be. */
typedef enum ExpressionRole
{
	EXPRESSION_NUMBER,			/* or boolean */
	EXPRESSION_CONDITION,
	EXPRESSION_CATEGORY			/* of any type that can be hashed */
} ExpressionRole;

extern bool gr_type_is_hashable(Oid type);

/* The same as gr_expression_type with errors that name column and metric. */
extern Oid	gr_expression_check(Oid events, const char *text, const char *column,
								const char *metric, ExpressionRole role);

/* A segment is an expression of any type; its text is what counts. */
extern Oid	gr_segment_type(Oid events, const char *text);

/* The same with errors that name the experiment. */
extern void gr_segment_check(Oid events, const char *text, const char *experiment);

/* Is the value of an expression another at another time? */
extern bool gr_expression_reads_clock(Oid events, const char *text);

/* Does it divide an integer by an integer, and so cut off what remains? */
extern bool gr_expression_divides_integers(Oid events, const char *text);

/* "schema.relation", quoted. */
extern char *gr_relation_name(Oid relation);

/* The base type of a column, or InvalidOid. */
extern Oid	gr_column_type(Oid relation, const char *column);

/* Have the events only a date, and the exposures a time, so that days are compared? */
extern bool gr_compares_days(Oid events, const char *time_column, Oid exposures,
							 const char *exposed_at_column);

/* ---- a look at the events (glance.c) ---------------------------------------- */

/*
 * The control's share of units in the first events that are there, less four standard
 * errors; NaN when nothing is known, or only a whole scan would tell (glance.c).  The
 * rule is the experiment's only one.
 */
extern double gr_glance_share(const Experiment *e, const Rule *rule);

#endif							/* GR_EXPRESSION_H */
