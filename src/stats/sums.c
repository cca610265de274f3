/*
 * sums.c
 *	  Sums of values and products that units can be taken out of again.
 *
 * Centred products cannot give a unit back without losing digits each time.  Plain
 * sums in double-double can: an addition is off by at most 3 2^-106 of the largest
 * partial sum.  After k of them the sum of squares is off by 3 k 2^-106 of its peak p;
 * the sum, which was never above sqrt(k p), by as much of that, and so its square
 * over n by 6 k 2^-106 p sqrt(k / n).  What is left after the mean is taken off is
 * compared with both, and with what that subtraction itself loses.
 */
#include "sums.h"

#include <float.h>
#include <string.h>

#include "pair.h"

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
pair_of(const double *x)
{
	Pair		p = {x[0], x[1]};

	return p;
}

/* Add to a sum; was nothing rounded? */
static bool
add_to(double *to, Pair x)
{
	Pair		sum = pair_add(pair_of(to), x);

	to[0] = sum.hi;
	to[1] = sum.lo;
	return x.lo == 0.0 && sum.lo == 0.0;
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
			Pair		square = pair_multiply(pair_of(s->sum[i]), pair_of(s->sum[j]));
			Pair		minus = {-square.hi, -square.lo};
			Pair		centred = pair_add(pair_multiply(n, pair_of(s->product[k])), minus);

			if (s->n > 1)
				out->product[k] = centred.hi / n.hi;
			if (s->n > 1 && i == j && !certain(s, i, out->product[k]))
				return false;
		}
	}
	return gr_moments_valid(out);
}

bool
gr_sums_valid(const GrSums *s)
{
	if (s->dim < 1 || s->dim > GR_MAX_DIM || s->n < 0 || s->steps < s->n)
		return false;
	for (int i = 0; i < s->dim; i++)
		if (!(s->peak[i] >= 0.0))
			return false;
	return true;
}
