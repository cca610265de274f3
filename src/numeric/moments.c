/*
 * moments.c
 *	  Sums and centred cross products of up to three variables.
 *
 * Sums and products are kept as double-doubles, normalised (hi = hi + lo rounded),
 * so that the mean is known to far more digits than any observation and a
 * deviation from it is right to the last bit.
 */
#include "numeric/numeric.h"

#include <float.h>
#include <string.h>

#include "products.h"

static Pair
sum_of(const GrMoments *m, int i)
{
	Pair		s = {m->sum_hi[i], m->sum_lo[i]};

	return s;
}

static Pair
mean_of(const GrMoments *m, int i)
{
	return pair_over(sum_of(m, i), (double) m->n);
}

void
gr_moments_init(GrMoments *m, int dim)
{
	memset(m, 0, sizeof(*m));
	m->dim = dim;
}

/* ---- third products and largest units ------------------------------------ */

bool
gr_moments_have_triples(const GrMoments *m)
{
	return !isnan(m->triple_hi[0]);
}

bool
gr_moments_have_largest(const GrMoments *m)
{
	return !isnan(m->largest[0][0]);
}

void
gr_moments_forget_triples(GrMoments *m)
{
	for (int k = 0; k < GR_MAX_TRIPLES; k++)
	{
		m->triple_hi[k] = NAN;
		m->triple_lo[k] = 0.0;
	}
}

void
gr_moments_forget_largest(GrMoments *m)
{
	for (int i = 0; i < m->dim; i++)
		for (int j = 0; j < m->dim; j++)
			m->largest[i][j] = NAN;
}

bool
gr_unit_is_larger(const double *x, const double *y, int variable, int dim)
{
	if (fabs(x[variable]) != fabs(y[variable]))
		return fabs(x[variable]) > fabs(y[variable]);
	for (int j = 0; j < dim; j++)
		if (x[j] != y[j])
			return x[j] > y[j];
	return false;
}

void
gr_moments_keep_largest(GrMoments *m, const double *x)
{
	for (int i = 0; i < m->dim; i++)
		if (gr_unit_is_larger(x, m->largest[i], i, m->dim))
			for (int j = 0; j < m->dim; j++)
				m->largest[i][j] = x[j] + 0.0;
}

/*
 * The third products of the union of two parts (Pebay 2008, eq. 3.1): with the
 * difference of the means d and the parts' numbers a and b,
 *	 d_i d_j d_k ab(a - b)/(a + b)^2 + sum over i of d_i (a P_jk of b - b P_jk of a)/(a + b)
 * is what is added to the sum of both.
 */
static void
merge_triples(const GrMoments *a, const GrMoments *b, const Pair *delta, GrMoments *out)
{
	double		na = (double) a->n;
	double		nb = (double) b->n;
	double		n = na + nb;
	Pair		weight = pair_over(pair_over(pair_multiply(two_product(na, nb), pair_of(na - nb)), n), n);
	int			dim = a->dim;
	int			k = 0;

	if (!gr_moments_have_triples(a) || !gr_moments_have_triples(b))
	{
		gr_moments_forget_triples(out);
		return;
	}
	for (int i = 0; i < dim; i++)
		for (int j = i; j < dim; j++)
			for (int l = j; l < dim; l++, k++)
			{
				const int	index[3] = {i, j, l};
				Pair		sum = pair_add(triple_of(a, k), triple_of(b, k));
				Pair		cube = pair_multiply(pair_multiply(delta[i], delta[j]), delta[l]);

				sum = pair_add(sum, pair_multiply(weight, cube));
				for (int v = 0; v < 3; v++)
				{
					int			at = product_index(dim, index[(v + 1) % 3], index[(v + 2) % 3]);
					Pair		rest = pair_add(pair_multiply(pair_of(na), product_of(b, at)),
												pair_minus(pair_multiply(pair_of(nb), product_of(a, at))));

					sum = pair_add(sum, pair_over(pair_multiply(delta[index[v]], rest), n));
				}
				if (!pair_finite(sum))
				{
					gr_moments_forget_triples(out);
					return;
				}
				out->triple_hi[k] = sum.hi;
				out->triple_lo[k] = sum.lo;
			}
}

/* ---- adding -------------------------------------------------------------- */

/*
 * A unit that would make a sum or a product overflow is refused like one that is
 * not finite, since no statistic could be computed afterwards.
 */
bool
gr_moments_add(GrMoments *m, const double *x)
{
	GrMoments	one;

	if (!dim_valid(m->dim) || m->n < 0 || m->n == INT64_MAX)
		return false;
	gr_moments_init(&one, m->dim);
	one.n = 1;
	for (int i = 0; i < m->dim; i++)
	{
		if (!isfinite(x[i]))
			return false;
		one.sum_hi[i] = x[i];
	}
	gr_moments_keep_largest(&one, x);
	return gr_moments_merge(m, &one);
}

/* What a sum loses by rounding is summed up beside it (Kahan 1965, Neumaier 1974). */
static inline void
accumulate(Pair *sum, Pair x)
{
	Pair		s = two_sum(sum->hi, x.hi);

	sum->hi = s.hi;
	sum->lo += s.lo + x.lo;
}

/* The sums of n units; false when one is not finite. */
static bool
sum_up(GrMoments *part, const double *x, size_t n)
{
	for (int i = 0; i < part->dim; i++)
	{
		Pair		sum = {0.0, 0.0};

		for (size_t u = 0; u < n; u++)
			accumulate(&sum, pair_of(x[u * part->dim + i]));
		sum = fast_two_sum(sum.hi, sum.lo);
		if (!pair_finite(sum))
			return false;
		part->sum_hi[i] = sum.hi;
		part->sum_lo[i] = sum.lo;
	}
	return true;
}

/* Sums of the deviations from a centre, and of their products. */
typedef struct Around
{
	double		centre[GR_MAX_DIM];
	Pair		sum[GR_MAX_DIM];
	Pair		product[GR_MAX_PRODUCTS];
	Pair		triple[GR_MAX_TRIPLES];
} Around;

static void
sum_around(Around *s, GrMoments *part, const double *x, size_t n)
{
	int			dim = part->dim;

	for (size_t u = 0; u < n; u++)
	{
		const double *unit = x + u * dim;
		double		d[GR_MAX_DIM];
		int			k = 0,
					t = 0;

		for (int i = 0; i < dim; i++)
		{
			d[i] = unit[i] - s->centre[i];
			accumulate(&s->sum[i], pair_of(d[i]));
		}
		for (int i = 0; i < dim; i++)
			for (int j = i; j < dim; j++)
			{
				Pair		p = two_product(d[i], d[j]);

				accumulate(&s->product[k++], p);
				for (int l = j; l < dim; l++)
				{
					Pair		c = two_product(p.hi, d[l]);

					c.lo += p.lo * d[l];
					accumulate(&s->triple[t++], c);
				}
			}
		gr_moments_keep_largest(part, unit);
	}
}

static Pair
normal(Pair p)
{
	return fast_two_sum(p.hi, p.lo);
}

/*
 * From around a centre to around the mean, which is off it by m: what is taken off is
 * tiny.  False when a product of two is not finite.
 */
static bool
centre(const Around *s, GrMoments *part)
{
	Pair		n = pair_of((double) part->n);
	Pair		m[GR_MAX_DIM];
	int			dim = part->dim;
	int			k = 0,
				t = 0;

	for (int i = 0; i < dim; i++)
		m[i] = pair_over(normal(s->sum[i]), n.hi);
	for (int i = 0; i < dim; i++)
		for (int j = i; j < dim; j++, k++)
		{
			Pair		nm = pair_multiply(n, pair_multiply(m[i], m[j]));
			Pair		p = pair_add(normal(s->product[k]), pair_minus(nm));

			if (!pair_finite(p))
				return false;
			part->product[k] = i == j ? fmax(p.hi, 0.0) : p.hi;
			part->product_lo[k] = part->product[k] == p.hi ? p.lo : 0.0;
			for (int l = j; l < dim; l++, t++)
			{
				Pair		c = normal(s->triple[t]);

				c = pair_add(c, pair_minus(pair_multiply(m[i], normal(s->product[product_index(dim, j, l)]))));
				c = pair_add(c, pair_minus(pair_multiply(m[j], normal(s->product[product_index(dim, i, l)]))));
				c = pair_add(c, pair_minus(pair_multiply(m[l], normal(s->product[product_index(dim, i, j)]))));
				c = pair_add(c, pair_multiply(m[l], pair_add(nm, nm)));
				part->triple_hi[t] = c.hi;
				part->triple_lo[t] = c.lo;
			}
		}
	for (t = 0; t < gr_ntriples(dim); t++)
		if (!isfinite(part->triple_hi[t]) || !isfinite(part->triple_lo[t]))
		{
			gr_moments_forget_triples(part);
			break;
		}
	return true;
}

/*
 * In two passes: a centre near the mean, and the products of the deviations from it,
 * which are rounded but belong together.
 */
bool
gr_moments_add_many(GrMoments *m, const double *x, size_t n)
{
	GrMoments	part;
	Around		around;

	if (!dim_valid(m->dim) || n > INT64_MAX / 2)
		return false;
	if (n == 0)
		return true;
	gr_moments_init(&part, m->dim);
	memset(&around, 0, sizeof(around));
	part.n = (int64_t) n;
	if (!sum_up(&part, x, n))
		return false;
	for (int i = 0; i < m->dim; i++)
		around.centre[i] = mean_of(&part, i).hi;
	sum_around(&around, &part, x, n);
	if (!centre(&around, &part))
		return false;
	/* one unit has no products, whatever was rounded */
	if (n == 1)
		return gr_moments_add(m, x);
	return gr_moments_merge(m, &part);
}

/* Sums and second products of the union; false on overflow. */
static bool
merge_products(const GrMoments *a, const GrMoments *b, Pair *delta, GrMoments *out)
{
	Pair		weight = pair_over(two_product((double) a->n, (double) b->n), (double) a->n + (double) b->n);
	int			k = 0;

	for (int i = 0; i < a->dim; i++)
	{
		Pair		sum = pair_add(sum_of(a, i), sum_of(b, i));

		delta[i] = pair_add(mean_of(b, i), pair_minus(mean_of(a, i)));
		if (!pair_finite(sum) || !pair_finite(delta[i]))
			return false;
		out->sum_hi[i] = sum.hi;
		out->sum_lo[i] = sum.lo;
	}
	for (int i = 0; i < a->dim; i++)
		for (int j = i; j < a->dim; j++, k++)
		{
			Pair		between = pair_multiply(weight, pair_multiply(delta[i], delta[j]));
			Pair		p = pair_add(pair_add(product_of(a, k), product_of(b, k)), between);

			if (!pair_finite(p))
				return false;
			out->product[k] = p.hi;
			out->product_lo[k] = p.lo;
		}
	return true;
}

/*
 * Chan, Golub and LeVeque (1979).  Also false, and nothing done, when the
 * result would overflow.
 */
bool
gr_moments_merge(GrMoments *into, const GrMoments *from)
{
	GrMoments	out;
	Pair		delta[GR_MAX_DIM];

	if (into->dim != from->dim || !dim_valid(into->dim))
		return false;
	if (into->n < 0 || from->n < 0 || from->n > INT64_MAX - into->n)
		return false;
	if (from->n == 0)
		return true;
	if (into->n == 0)
	{
		*into = *from;
		return true;
	}
	gr_moments_init(&out, into->dim);
	if (!merge_products(into, from, delta, &out))
		return false;
	merge_triples(into, from, delta, &out);
	memcpy(out.largest, into->largest, sizeof(out.largest));
	if (!gr_moments_have_largest(from))
		gr_moments_forget_largest(&out);
	else if (gr_moments_have_largest(into))
		for (int i = 0; i < into->dim; i++)
			gr_moments_keep_largest(&out, from->largest[i]);
	out.n = into->n + from->n;
	*into = out;
	return true;
}
