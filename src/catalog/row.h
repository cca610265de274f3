/*
 * row.h
 *	  The row that a trigger of the catalog was fired for.
 */
#ifndef GR_ROW_H
#define GR_ROW_H

#include "base/guardrail.h"

#include "access/htup_details.h"
#include "base/writing.h"
#include "decide/kind.h"
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

/* The row a trigger was fired for. */
extern Row	gr_trigger_row(FunctionCallInfo fcinfo, const char *kind, const char *what);

extern char *gr_row_text(const Row *row, const char *column);
extern char *gr_row_old_text(const Row *row, const char *column);
extern Datum gr_row_datum(const Row *row, const char *column, bool *null);
extern Datum gr_row_old_datum(const Row *row, const char *column, bool *null);
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

#endif							/* GR_ROW_H */
