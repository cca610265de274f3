/*
 * validate.h
 *	  What the catalog's triggers share: the row at hand, and refusals.
 */
#ifndef GR_VALIDATE_H
#define GR_VALIDATE_H

#include "catalog/catalog.h"
#include "base/writing.h"

#include "access/htup_details.h"
#include "utils/relcache.h"

typedef struct Row
{
	Relation	relation;
	HeapTuple	tuple;
	HeapTuple	old;			/* NULL on insert */
	bool		update;
	const char *kind;			/* "experiment", "rule" */
	const char *what;			/* the column with its name */
} Row;

extern char *gr_row_text(const Row *row, const char *column);
extern char *gr_row_old_text(const Row *row, const char *column);
extern Datum gr_row_datum(const Row *row, const char *column, bool *null);
/* Is the row new, or does one of some columns (NULL ends them) hold something else than before? */
extern bool gr_row_changed(const Row *row, const char *const *columns);
extern void gr_row_set(Row *row, const char *column, Datum value);

/* Whoever owns the table, or is a superuser, writes what a restore writes. */
extern bool gr_owns_table(Relation relation);

/* Is a script of pg_dump inserting?  It switches check_function_bodies off. */
extern bool gr_in_restore(Relation relation);

GR_NORETURN extern void gr_refuse_orphan(const char *experiment, const char *metric);
GR_NORETURN extern void gr_refuse(const Row *row, const char *column, const char *hint);
/* Column "other", of this row or of its experiment or rule, is in the way. */
GR_NORETURN extern void gr_refuse_beside(const Row *row, const char *column, const char *other,
										 const char *hint);
extern void gr_refuse_nulls(const Row *row);
/* The kind of a rule; a row that has another word is refused. */
extern const GrKind *gr_row_kind(const Row *row);

extern bool gr_row_is(const Row *row, const char *column, const char *word);
extern void gr_require_word(const Row *row, const char *column,
							const char *const *words);
extern void gr_require_between(const Row *row, const char *column,
							   double lower, double upper);

/*
 * Are the events and exposures, if they are new, relations that have rows in every
 * session?  Asked whatever check_function_bodies is set to (validate_columns.c).
 */
extern void gr_check_relations(const Row *row, Oid events, Oid exposures);

/* The columns that an experiment names; exposures: InvalidOid for none (validate_columns.c). */
extern void gr_check_columns(const Row *row, Oid events, Oid exposures);

/* Planned shares and settings of arms, by themselves (validate_arms.c). */
extern void gr_check_shares(const Row *row);
extern void gr_check_parameter(const Row *row);

/* Can the columns that an experiment names hold its arms and its own name? */
extern void gr_check_names(const Row *row, Oid events, Oid exposures);

/* Is retention_time_zone, if it is new, a name of a zone (validate_time.c)? */
extern void gr_check_time_zone(const Row *row);

/* Can a rule's window be told where events have only a date?  And those of all rules, when an experiment changes? */
extern void gr_check_days(const Row *row, Oid events, const char *time_column, Oid exposures,
						  const char *exposed_at_column);
extern void gr_check_days_of_rules(const Row *row, const char *schema, Oid events, Oid exposures);

/*
 * Parse, analyse and plan a rule's expressions with the rights of the experiment's
 * owner, whom the writer is a member of: planning runs functions that claim to be
 * immutable.  The type of the value; InvalidOid without one.
 */
extern Oid	gr_check_expressions(Oid owner, Oid events, const char *metric, const GrKind *kind,
								 const char *value, const char *denominator, const char *filter,
								 const char *covariate);

/* The row a trigger was fired for. */
extern Row	gr_trigger_row(FunctionCallInfo fcinfo, const char *kind, const char *what);

#endif							/* GR_VALIDATE_H */
