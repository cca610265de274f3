/*
 * counts.h
 *	  What units and events are counted into: moments, histograms, values that are alike.
 *
 * Part of numeric.h, whose promises hold here too.
 */
#ifndef GR_COUNTS_H
#define GR_COUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bin.h"

/* ---- moments (moments.c) ---------------------------------------------- */

#define GR_MAX_DIM 3
#define GR_MAX_PRODUCTS (GR_MAX_DIM * (GR_MAX_DIM + 1) / 2)
#define GR_MAX_TRIPLES (GR_MAX_DIM * (GR_MAX_DIM + 1) * (GR_MAX_DIM + 2) / 6)

/*
 * Number of units, sums and centred cross products, of two and of three variables
 * at a time, of up to three variables observed together; and of each variable the
 * unit in which it is largest.  Sums and products are double-doubles (unevaluated
 * sums of two doubles): values near 1e15 with variance 1 keep that variance, integer
 * sums are exact, and what is left of products that cancel, as in the variance of a
 * ratio, has digits.  Products are kept centred (Youngs and Cramer 1971 within a
 * stream; Chan, Golub and LeVeque 1979 and Pebay 2008 for merging).
 *
 * product[] holds the upper triangle by rows: (0,0) (0,1) .. (1,1) ..; triple[]
 * likewise: (0,0,0) (0,0,1) .. (0,1,1) ..  Where the third products are not known
 * (bytes of version 1, values too large to be cubed) all of triple_hi[] are NaN;
 * where the largest units are not, all of largest[] are.
 */
typedef struct GrMoments
{
	int			dim;			/* 1 .. GR_MAX_DIM */
	int64_t		n;				/* units */
	double		sum_hi[GR_MAX_DIM];
	double		sum_lo[GR_MAX_DIM];
	double		product[GR_MAX_PRODUCTS];
	double		product_lo[GR_MAX_PRODUCTS];
	double		triple_hi[GR_MAX_TRIPLES];
	double		triple_lo[GR_MAX_TRIPLES];
	double		largest[GR_MAX_DIM][GR_MAX_DIM];	/* [variable][all its variables] */
} GrMoments;

/* How many third products there are of dim variables. */
static inline int
gr_ntriples(int dim)
{
	return dim * (dim + 1) * (dim + 2) / 6;
}

extern void gr_moments_init(GrMoments *m, int dim);

/*
 * Add one unit.  False, and nothing added, when a value is not finite or a sum
 * or product of two would overflow (values beyond about 1e154).
 */
extern bool gr_moments_add(GrMoments *m, const double *x);

/*
 * Add n units, the variables of each side by side: the same but for rounding, in a
 * fraction of the time.  False, and nothing added, when one of them or a sum or
 * product of two would not be finite.
 */
extern bool gr_moments_add_many(GrMoments *m, const double *x, size_t n);

/*
 * Merge "from" into "into".  False, nothing done, if their dim differs or the
 * result would overflow.
 */
extern bool gr_moments_merge(GrMoments *into, const GrMoments *from);

/* Keep the unit where it is the largest so far; ties whatever the order. */
extern void gr_moments_keep_largest(GrMoments *m, const double *x);

/* Is |x| of a variable larger than |y|'s, and of two that are alike, which counts? */
extern bool gr_unit_is_larger(const double *x, const double *y, int variable, int dim);

extern bool gr_moments_have_triples(const GrMoments *m);
extern bool gr_moments_have_largest(const GrMoments *m);
extern void gr_moments_forget_triples(GrMoments *m);
extern void gr_moments_forget_largest(GrMoments *m);

/*
 * Are all invariants kept (dim, n >= 0, finite sums, normalised double-double,
 * variances >= 0, |covariance| within Cauchy-Schwarz up to rounding, n < 2
 * without products, n = 0 without sums)?  For bytes and text from outside.
 */
extern bool gr_moments_valid(const GrMoments *m);

/*
 * Sums over the units of the product of two, or three, weighted sums of the
 * variables, centred around their means; NaN where they are not known.  a, b, c:
 * the weight of each variable.
 */
extern double gr_moments_cross(const GrMoments *m, const double *a, const double *b);
extern double gr_moments_cross3(const GrMoments *m, const double *a, const double *b, const double *c);

extern double gr_moments_mean(const GrMoments *m, int i);

/* Sample covariance (n - 1); NaN for n < 2. */
extern double gr_moments_cov(const GrMoments *m, int i, int j);

/*
 * Text form, which loses nothing (moments_text.c):
 *	 v2 n=3 sum=6,0.5 low=0,0 products=2,0.5,0.25 products_low=0,0,0
 *	 triples=0,0,0,0 triples_low=0,0,0,0 largest=3,0.5,3,0.5
 * in one line; v1 ends after products, and is what is printed where triples and
 * largest units are not known.
 * print returns the length as snprintf does.  parse accepts exactly that form
 * (single spaces, any finite decimal numbers, nothing before or after), checks
 * gr_moments_valid and returns false otherwise.
 */
extern int	gr_moments_print(const GrMoments *m, char *buf, size_t size);
extern bool gr_moments_parse(const char *text, GrMoments *m);

/* ---- histograms (histogram.c) ----------------------------------------- */

/* The edges of a bin (bin.h) by value; NaN beyond GR_BIN_MAX. */
extern double gr_bin_lower(int32_t bin);
extern double gr_bin_upper(int32_t bin);

/* One bin that is not empty; a histogram is an array ascending by bin. */
typedef struct GrBin
{
	int32_t		bin;
	int64_t		count;			/* > 0 */
} GrBin;

/* Ascending, counts positive, bins in range, total within int64? */
extern bool gr_histogram_valid(const GrBin *bins, size_t nbins);
extern int64_t gr_histogram_total(const GrBin *bins, size_t nbins);

/*
 * Merge two histograms; out has room for na + nb bins.  Returns the number of
 * bins written.
 */
extern size_t gr_histogram_merge(const GrBin *a, size_t na,
								 const GrBin *b, size_t nb, GrBin *out);

/*
 * The p-quantile, 0 <= p <= 1: inverse of the piecewise linear distribution
 * function that spreads a bin's events evenly over the bin (bin 0: a point).
 * NaN when empty or p is out of range.
 */
extern double gr_histogram_quantile(const GrBin *bins, size_t nbins, double p);

/* Events <= x under the same distribution function (a real number). */
extern double gr_histogram_below(const GrBin *bins, size_t nbins, double x);

/* ---- what the events of a bin are (ties.c) --------------------------------- */

/*
 * The least and the greatest value of a bin's events, and how many events have each:
 * where many events are tied there, a quantile is that value and not a place in the
 * bin.  Two of one bin add up whatever the order.
 */
typedef struct GrTie
{
	int32_t		bin;
	int64_t		n;				/* events; 0: none yet */
	double		low;
	int64_t		at_low;
	double		high;			/* the same as low: all are tied */
	int64_t		at_high;
} GrTie;

extern void gr_tie_add(GrTie *tie, double x);
extern void gr_tie_merge(GrTie *to, const GrTie *from);

/*
 * Take out an event that was added.  When the last one at an end goes, that end is not
 * known any more: at_low or at_high is 0.
 */
extern void gr_tie_remove(GrTie *tie, double x);
extern bool gr_tie_known(const GrTie *tie);
extern bool gr_tie_valid(const GrTie *tie);

/* The one of a bin among n ascending by bin, or NULL. */
extern const GrTie *gr_ties_find(const GrTie *ties, size_t n, int32_t bin);

/* The bin that the p-quantile lies in; 0 when there is none. */
extern int32_t gr_quantile_bin(const GrBin *bins, size_t nbins, double p);

/*
 * The p-quantile where ties are known: of the bin's two values where it has no more,
 * one of its ends as far as events are tied there, between them else; in bins that
 * are not among the ties, as gr_histogram_quantile.
 */
extern double gr_tied_quantile(const GrBin *bins, size_t nbins, const GrTie *ties, size_t nties,
							   double p);

/*
 * A value that is not above (direction -1), or not below (1) the p-quantile wherever
 * the events of a bin lie in it: in bin "exact" gr_tied_quantile, in others the edge;
 * never beyond the range of the first and the last tie.
 */
extern double gr_tied_limit(const GrBin *bins, size_t nbins, const GrTie *ties, size_t nties,
							double p, int32_t exact, int direction);

#endif							/* GR_COUNTS_H */
