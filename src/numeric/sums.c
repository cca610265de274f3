/*
 * sums.c
 *	  Sums of values and products that units can be taken out of again.
 *
 * Centred products cannot give a unit back without losing digits each time.  Plain
 * sums in double-double can: an addition is off by at most 3 2^-106 of the largest
 * partial sum.  After k of them the sum of squares is off by 3 k 2^-106 of its peak p;
 * the sum, which was never above sqrt(k p), by as much of that, and so its square
 * over n by 6 k 2^-106 p sqrt(k / n).  What is left after the mean is taken off is
 * compared with both, and with what that subtraction itself loses.  Where the
 * variances are certain to 2^-46, the third products are to 2^-16 of the deviation's
 * cube at the worst, and to far more where the mean is not huge beside it.
 *
 * Of the largest units a few are kept.  What goes is taken out of them when it is not
 * smaller than the last; what comes is put in when it is larger than the last, or
 * when nothing was ever left out.  Units that are alike may stand for each other.
 */
#include "sums.h"

#include <float.h>
#include <string.h>

#include "products.h"

/* Beyond these the square, or the error of the square, is no double. */
#define LARGEST 1e150
#define SMALLEST 1e-140

/* n times a sum must be exact. */
#define MOST_UNITS (INT64_C(1) << 53)

void
gr_sums_init(GrSums *s, int dim)
{
	memset(s, 0, sizeof(*s));
	s->dim = dim;
	s->exact = true;
}

static Pair
pair_at(const double *x)
{
	Pair		p = {x[0], x[1]};

	return p;
}

/* Add to a sum; was nothing rounded? */
static bool
add_to(double *to, Pair x)
{
	Pair		sum = pair_add(pair_at(to), x);

	to[0] = sum.hi;
	to[1] = sum.lo;
	return x.lo == 0.0 && sum.lo == 0.0;
}

/* ---- the largest units --------------------------------------------------- */

static bool
same_unit(const double *x, const double *y, int dim)
{
	for (int j = 0; j < dim; j++)
		if (x[j] != y[j])
			return false;
	return true;
}

static void
top_insert(GrTop *top, const double *x, int variable, int dim)
{
	int			at = top->n;

	while (at > 0 && gr_unit_is_larger(x, top->unit[at - 1], variable, dim))
		at--;
	/* below the last of them there may be others */
	if (at == top->n && (top->left_out || top->n == GR_TOP))
	{
		top->left_out = true;
		return;
	}
	if (top->n == GR_TOP)
		top->left_out = true;
	else
		top->n++;
	memmove(top->unit[at + 1], top->unit[at], sizeof(top->unit[0]) * (size_t) (top->n - at - 1));
	for (int j = 0; j < dim; j++)
		top->unit[at][j] = x[j] + 0.0;
}

static void
top_remove(GrTop *top, const double *x, int dim)
{
	for (int at = 0; at < top->n; at++)
	{
		if (!same_unit(x, top->unit[at], dim))
			continue;
		memmove(top->unit[at], top->unit[at + 1], sizeof(top->unit[0]) * (size_t) (top->n - at - 1));
		top->n--;
		return;
	}
}

/* ---- sums ------------------------------------------------------------------ */

static void
add_triples(GrSums *s, const double *x, int sign)
{
	int			k = 0;

	for (int i = 0; i < s->dim; i++)
		for (int j = i; j < s->dim; j++)
			for (int l = j; l < s->dim; l++, k++)
			{
				Pair		cube = pair_multiply(two_product(sign * x[i], x[j]), (Pair) {x[l], 0.0});

				(void) add_to(s->triple[k], cube);
			}
}

bool
gr_sums_add(GrSums *s, const double *x, int sign)
{
	int			k = 0;

	if (s->dim < 1 || s->dim > GR_MAX_DIM)
		return false;
	for (int i = 0; i < s->dim; i++)
		if (!isfinite(x[i]))
			return false;
	for (int i = 0; i < s->dim; i++)
	{
		Pair		value = {sign * x[i], 0.0};

		if (fabs(x[i]) > LARGEST || (x[i] != 0.0 && fabs(x[i]) < SMALLEST))
			s->lost = true;
		s->exact &= add_to(s->sum[i], value);
		for (int j = i; j < s->dim; j++, k++)
		{
			s->exact &= add_to(s->product[k], two_product(sign * x[i], x[j]));
			if (i == j)
				s->peak[i] = fmax(s->peak[i], fabs(s->product[k][0]));
		}
	}
	add_triples(s, x, sign);
	for (int i = 0; i < s->dim; i++)
		if (sign > 0)
			top_insert(&s->top[i], x, i, s->dim);
		else
			top_remove(&s->top[i], x, s->dim);
	s->n += sign;
	s->steps++;
	/* nothing is left: neither is what rounding left */
	if (s->n == 0)
		gr_sums_init(s, s->dim);
	return true;
}

/* What is left of a sum of squares, over what it may be off by. */
static bool
certain(const GrSums *s, int i, double centred)
{
	double		k = (double) s->steps;
	double		off = (9.0 * k * sqrt(k / (double) s->n) + 32.0) * 0x1p-106 * s->peak[i];

	return s->exact || s->peak[i] == 0.0 || centred >= 0x1p46 * off;
}

static Pair
mean_times(const GrSums *s, int variable, const double *sum)
{
	return pair_multiply(pair_over(pair_at(s->sum[variable]), (double) s->n), pair_at(sum));
}

/*
 * sum xyz - mean x sum yz - mean y sum xz - mean z sum xy + 2 n mean x mean y mean z;
 * false when one is too large.
 */
static bool
centre_triples(const GrSums *s, GrMoments *out)
{
	int			dim = s->dim;
	int			k = 0;

	for (int i = 0; i < dim; i++)
		for (int j = i; j < dim; j++)
			for (int l = j; l < dim; l++, k++)
			{
				Pair		means = mean_times(s, i, s->sum[l]);
				Pair		t = pair_at(s->triple[k]);

				means = pair_multiply(means, pair_over(pair_at(s->sum[j]), (double) s->n));
				t = pair_add(t, pair_minus(mean_times(s, i, s->product[product_index(dim, j, l)])));
				t = pair_add(t, pair_minus(mean_times(s, j, s->product[product_index(dim, i, l)])));
				t = pair_add(t, pair_minus(mean_times(s, l, s->product[product_index(dim, i, j)])));
				t = pair_add(t, pair_add(means, means));
				if (!pair_finite(t))
					return false;
				out->triple_hi[k] = s->n > 1 ? t.hi : 0.0;
				out->triple_lo[k] = s->n > 1 ? t.lo : 0.0;
			}
	return true;
}

bool
gr_sums_moments(const GrSums *s, GrMoments *out)
{
	Pair		n = {(double) s->n, 0.0};
	int			k = 0;

	gr_moments_init(out, s->dim);
	if (s->dim < 1 || s->dim > GR_MAX_DIM || s->lost || s->n < 0 || s->n > MOST_UNITS)
		return false;
	if (s->n == 0)
		return true;
	out->n = s->n;
	for (int i = 0; i < s->dim; i++)
	{
		Pair		sum = fast_two_sum(s->sum[i][0], s->sum[i][1]);

		out->sum_hi[i] = sum.hi;
		out->sum_lo[i] = sum.lo;
		for (int j = i; j < s->dim; j++, k++)
		{
			Pair		square = pair_multiply(pair_at(s->sum[i]), pair_at(s->sum[j]));
			Pair		minus = {-square.hi, -square.lo};
			Pair		centred = pair_add(pair_multiply(n, pair_at(s->product[k])), minus);

			centred = pair_over(centred, n.hi);
			if (s->n > 1)
			{
				out->product[k] = i == j ? fmax(centred.hi, 0.0) : centred.hi;
				out->product_lo[k] = out->product[k] == centred.hi ? centred.lo : 0.0;
			}
			if (s->n > 1 && i == j && !certain(s, i, out->product[k]))
				return false;
		}
	}
	for (int i = 0; i < s->dim; i++)
	{
		if (s->top[i].n == 0)
			return false;
		memcpy(out->largest[i], s->top[i].unit[0], sizeof(double) * (size_t) s->dim);
	}
	return centre_triples(s, out) && gr_moments_valid(out);
}

bool
gr_sums_are_worn(const GrSums *s)
{
	for (int i = 0; i < s->dim; i++)
		if (s->top[i].n == 0 && s->n > 0)
			return true;
	return s->steps / 2 > s->n;
}

bool
gr_sums_valid(const GrSums *s)
{
	if (s->dim < 1 || s->dim > GR_MAX_DIM || s->n < 0 || s->steps < s->n)
		return false;
	for (int i = 0; i < s->dim; i++)
		if (!(s->peak[i] >= 0.0) || s->top[i].n < 0 || s->top[i].n > GR_TOP)
			return false;
	return true;
}
