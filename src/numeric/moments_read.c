/*
 * moments_read.c
 *	  What moments say, and whether they can be right.
 */
#include "numeric/numeric.h"

#include <float.h>

#include "products.h"

/*
 * Cauchy-Schwarz, up to what rounding over many units and the underflow of a
 * squared deviation can do.
 */
static bool
product_bounded(const GrMoments *m, int i, int j)
{
	double		slack = (double) m->n * DBL_MIN;
	double		a = m->product[product_index(m->dim, i, i)];
	double		b = m->product[product_index(m->dim, j, j)];
	double		c = m->product[product_index(m->dim, i, j)];

	return fabs(c) * (1.0 - 1e-6) <= sqrt(a + slack) * sqrt(b + slack);
}

static bool
pair_valid(double hi, double lo)
{
	return isfinite(hi) && isfinite(lo) && hi + lo == hi;
}

static bool
third_part_valid(const GrMoments *m)
{
	for (int k = 0; gr_moments_have_triples(m) && k < gr_ntriples(m->dim); k++)
		if (!pair_valid(m->triple_hi[k], m->triple_lo[k]) || (m->n < 2 && m->triple_hi[k] != 0.0))
			return false;
	for (int i = 0; gr_moments_have_largest(m) && i < m->dim; i++)
		for (int j = 0; j < m->dim; j++)
			if (!isfinite(m->largest[i][j]) || (m->n == 0 && m->largest[i][j] != 0.0))
				return false;
	return true;
}

bool
gr_moments_valid(const GrMoments *m)
{
	if (!dim_valid(m->dim) || m->n < 0)
		return false;
	for (int i = 0; i < m->dim; i++)
	{
		if (!pair_valid(m->sum_hi[i], m->sum_lo[i]) || (m->n == 0 && m->sum_hi[i] != 0.0))
			return false;
		for (int j = i; j < m->dim; j++)
		{
			int			k = product_index(m->dim, i, j);

			if (!pair_valid(m->product[k], m->product_lo[k]) || (i == j && m->product[k] < 0.0) ||
				(m->n < 2 && m->product[k] != 0.0))
				return false;
		}
	}
	for (int i = 0; i < m->dim; i++)
		for (int j = i + 1; j < m->dim; j++)
			if (!product_bounded(m, i, j))
				return false;
	return third_part_valid(m);
}

double
gr_moments_mean(const GrMoments *m, int i)
{
	if (!dim_valid(m->dim) || i < 0 || i >= m->dim || m->n < 1)
		return NAN;
	return pair_over((Pair) {m->sum_hi[i], m->sum_lo[i]}, (double) m->n).hi;
}

double
gr_moments_cov(const GrMoments *m, int i, int j)
{
	if (!dim_valid(m->dim) || m->n < 2 ||
		i < 0 || i >= m->dim || j < 0 || j >= m->dim)
		return NAN;
	return m->product[product_index(m->dim, i, j)] / ((double) m->n - 1.0);
}

double
gr_moments_cross(const GrMoments *m, const double *a, const double *b)
{
	Pair		sum = {0.0, 0.0};

	if (!dim_valid(m->dim) || m->n < 1)
		return NAN;
	for (int i = 0; i < m->dim; i++)
		for (int j = 0; j < m->dim; j++)
			sum = pair_add(sum, pair_multiply(two_product(a[i], b[j]), product_of(m, product_index(m->dim, i, j))));
	/* an overflow must not pass for a number */
	return pair_finite(sum) ? sum.hi : NAN;
}

/* Place of a triple in any order. */
static int
triple_index(int dim, int i, int j, int l)
{
	int			low = i < j ? (i < l ? i : l) : (j < l ? j : l);
	int			high = i > j ? (i > l ? i : l) : (j > l ? j : l);
	int			middle = i + j + l - low - high;
	int			at = 0;

	for (int v = 0; v < low; v++)
		at += (dim - v) * (dim - v + 1) / 2;
	return at + product_index(dim - low, middle - low, high - low);
}

/* A sum of squares as a weight's share in the rounding of third products. */
static double
spread(const GrMoments *m, int i)
{
	return sqrt(fmax(m->product[product_index(m->dim, i, i)], 0.0));
}

/*
 * Third products are rounded in proportion to the spread of what goes into them.  A
 * weighted sum in which that is more than a thousandth of its own spread's cube says
 * nothing of the shape: 0.
 */
double
gr_moments_cross3(const GrMoments *m, const double *a, const double *b, const double *c)
{
	Pair		sum = {0.0, 0.0};
	double		rounding = 0.0;
	double		own;

	if (!dim_valid(m->dim) || m->n < 1 || !gr_moments_have_triples(m))
		return NAN;
	for (int i = 0; i < m->dim; i++)
		for (int j = 0; j < m->dim; j++)
			for (int l = 0; l < m->dim; l++)
			{
				Pair		weight = pair_multiply(two_product(a[i], b[j]), pair_of(c[l]));
				Pair		triple = triple_of(m, triple_index(m->dim, i, j, l));

				sum = pair_add(sum, pair_multiply(weight, triple));
				rounding += fabs(weight.hi) * spread(m, i) * spread(m, j) * spread(m, l);
			}
	if (!pair_finite(sum))
		return NAN;
	own = sqrt(fmax(gr_moments_cross(m, a, a), 0.0)) * sqrt(fmax(gr_moments_cross(m, b, b), 0.0)) *
		sqrt(fmax(gr_moments_cross(m, c, c), 0.0));
	return rounding * 0x1p-98 > 1e-3 * own ? 0.0 : sum.hi;
}
