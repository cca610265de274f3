/*
 * put.h
 *	  Values of a row, one after the other.
 */
#ifndef GR_PUT_H
#define GR_PUT_H

#include "evaluate/evaluation.h"

#include <math.h>

/* Fill values one after the other. */
typedef struct Writer
{
	Datum	   *values;
	bool	   *nulls;
	int			n;
} Writer;

static inline void
put(Writer *w, Datum value, bool null)
{
	w->values[w->n] = value;
	w->nulls[w->n++] = null;
}

static inline void
put_text(Writer *w, const char *text)
{
	put(w, text ? CStringGetTextDatum(text) : (Datum) 0, text == NULL);
}

/* NaN: NULL */
static inline void
put_number(Writer *w, double x)
{
	put(w, Float8GetDatum(x), isnan(x));
}

static inline void
put_count(Writer *w, int64 n)
{
	put(w, Int64GetDatum(n), false);
}

static inline double
finite_or_nan(double x)
{
	return isfinite(x) ? x : NAN;
}

#endif							/* GR_PUT_H */
