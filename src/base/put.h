/*
 * put.h
 *	  A row, column by column: for the result of a function, or for a log (put.c).
 */
#ifndef GR_PUT_H
#define GR_PUT_H

#include "base/guardrail.h"

#include <math.h>

#include "catalog/pg_type.h"

#define GR_MAX_ROW 50

/* Columns in any order; names are not copied.  {0}: no column yet. */
typedef struct Writer
{
	int			n;
	const char *names[GR_MAX_ROW];
	Oid			types[GR_MAX_ROW];
	Datum		values[GR_MAX_ROW];
	bool		nulls[GR_MAX_ROW];
} Writer;

static inline void
put(Writer *w, const char *name, Oid type, Datum value, bool null)
{
	if (w->n >= GR_MAX_ROW)
		elog(ERROR, "a row has more than %d columns", GR_MAX_ROW);
	w->names[w->n] = name;
	w->types[w->n] = type;
	w->values[w->n] = value;
	w->nulls[w->n++] = null;
}

static inline void
put_text(Writer *w, const char *name, const char *text)
{
	put(w, name, TEXTOID, text ? CStringGetTextDatum(text) : (Datum) 0, text == NULL);
}

/* NaN: NULL */
static inline void
put_number(Writer *w, const char *name, double x)
{
	put(w, name, FLOAT8OID, Float8GetDatum(x), isnan(x));
}

static inline void
put_count(Writer *w, const char *name, int64 n)
{
	put(w, name, INT8OID, Int64GetDatum(n), false);
}

static inline void
put_int(Writer *w, const char *name, int n)
{
	put(w, name, INT4OID, Int32GetDatum(n), false);
}

static inline void
put_bool(Writer *w, const char *name, bool x)
{
	put(w, name, BOOLOID, BoolGetDatum(x), false);
}

static inline double
finite_or_nan(double x)
{
	return isfinite(x) ? x : NAN;
}

/*
 * Add the row to the result of a function after InitMaterializedSRF.  A column of the
 * result that the row does not have is NULL.
 */
extern void gr_put_row(FunctionCallInfo fcinfo, const Writer *w);

/* INSERT of the row into a table, through SPI. */
extern void gr_insert_row(const char *schema, const char *table, const Writer *w);

#endif							/* GR_PUT_H */
