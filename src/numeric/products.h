/*
 * products.h
 *	  Where the cross products of moments stand, for the files that read and write them.
 */
#ifndef GR_PRODUCTS_H
#define GR_PRODUCTS_H

#include "pair.h"
#include "numeric/numeric.h"

static inline Pair
pair_of(double x)
{
	return (Pair) {x, 0.0};
}

static inline Pair
product_of(const GrMoments *m, int k)
{
	return (Pair) {m->product[k], m->product_lo[k]};
}

static inline Pair
triple_of(const GrMoments *m, int k)
{
	return (Pair) {m->triple_hi[k], m->triple_lo[k]};
}

static inline bool
dim_valid(int dim)
{
	return dim >= 1 && dim <= GR_MAX_DIM;
}

/* Place of (i, j) in the upper triangle by rows. */
static inline int
product_index(int dim, int i, int j)
{
	int			low = i < j ? i : j;

	return low * dim - low * (low - 1) / 2 + (i > j ? i - j : j - i);
}

#endif							/* GR_PRODUCTS_H */
