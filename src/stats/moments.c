/*
 * moments.c
 *	  Sums and centred cross products of up to three variables.
 *
 * The sum is kept as a double-double, normalised (hi = hi + lo rounded), so
 * that the mean is known to far more digits than any observation and a
 * deviation from it is right to the last bit.
 */
#include "stats.h"

#include <float.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pair.h"

static Pair
sum_of(const GrMoments *m, int i)
{
	Pair		s = {m->sum_hi[i], m->sum_lo[i]};

	return s;
}

/* The mean as a pair: quotient and what the remainder adds to it. */
static Pair
mean_of(const GrMoments *m, int i)
{
	double		n = (double) m->n;
	double		q = m->sum_hi[i] / n;
	double		rest = fma(-q, n, m->sum_hi[i]) + m->sum_lo[i];

	return fast_two_sum(q, rest / n);
}

void
gr_moments_init(GrMoments *m, int dim)
{
	memset(m, 0, sizeof(*m));
	m->dim = dim;
}

static bool
dim_valid(int dim)
{
	return dim >= 1 && dim <= GR_MAX_DIM;
}

/*
 * Youngs and Cramer (1971): the products grow by (n x - T)^2 / (n (n - 1)),
 * which is the squared deviation from the earlier mean times (n - 1) / n.
 * A unit that would make a sum or a product overflow is refused like one that
 * is not finite, since no statistic could be computed afterwards.
 */
bool
gr_moments_add(GrMoments *m, const double *x)
{
	Pair		sum[GR_MAX_DIM];
	double		deviation[GR_MAX_DIM];
	double		product[GR_MAX_PRODUCTS];
	double		shrink;
	int			k = 0;

	if (!dim_valid(m->dim) || m->n < 0 || m->n == INT64_MAX)
		return false;

	for (int i = 0; i < m->dim; i++)
	{
		Pair		value = {x[i], 0.0};

		if (!isfinite(x[i]))
			return false;
		sum[i] = pair_add(sum_of(m, i), value);
		if (!pair_finite(sum[i]))
			return false;
		deviation[i] = 0.0;
		if (m->n > 0)
		{
			Pair		mean = mean_of(m, i);

			deviation[i] = (x[i] - mean.hi) - mean.lo;
		}
	}

	shrink = (double) m->n / ((double) m->n + 1.0);
	for (int i = 0; i < m->dim; i++)
	{
		for (int j = i; j < m->dim; j++, k++)
		{
			product[k] = m->product[k]
				+ deviation[i] * shrink * deviation[j];
			if (!isfinite(product[k]))
				return false;
		}
	}

	for (int i = 0; i < m->dim; i++)
	{
		m->sum_hi[i] = sum[i].hi;
		m->sum_lo[i] = sum[i].lo;
	}
	memcpy(m->product, product, k * sizeof(double));
	m->n++;
	return true;
}

/*
 * In two passes: the mean, and the products of the deviations from it.  What a sum
 * loses by rounding is summed up beside it (Kahan 1965, Neumaier 1974).
 */
bool
gr_moments_add_many(GrMoments *m, const double *x, size_t n)
{
	GrMoments	part;
	Pair		mean[GR_MAX_DIM];
	int			k = 0;

	if (!dim_valid(m->dim) || n > INT64_MAX / 2)
		return false;
	if (n == 0)
		return true;
	gr_moments_init(&part, m->dim);
	part.n = (int64_t) n;
	for (int i = 0; i < m->dim; i++)
	{
		Pair		sum = {0.0, 0.0};

		for (size_t u = 0; u < n; u++)
		{
			Pair		s = two_sum(sum.hi, x[u * m->dim + i]);

			sum.hi = s.hi;
			sum.lo += s.lo;
		}
		sum = fast_two_sum(sum.hi, sum.lo);
		if (!pair_finite(sum))
			return false;
		part.sum_hi[i] = sum.hi;
		part.sum_lo[i] = sum.lo;
		mean[i] = mean_of(&part, i);
	}
	for (int i = 0; i < m->dim; i++)
		for (int j = i; j < m->dim; j++, k++)
		{
			for (size_t u = 0; u < n; u++)
				part.product[k] += ((x[u * m->dim + i] - mean[i].hi) - mean[i].lo) *
					((x[u * m->dim + j] - mean[j].hi) - mean[j].lo);
			if (!isfinite(part.product[k]))
				return false;
		}
	return gr_moments_merge(m, &part);
}

/*
 * Chan, Golub and LeVeque (1979).  Also false, and nothing done, when the
 * result would overflow.
 */
bool
gr_moments_merge(GrMoments *into, const GrMoments *from)
{
	Pair		sum[GR_MAX_DIM];
	double		delta[GR_MAX_DIM];
	double		product[GR_MAX_PRODUCTS];
	double		weight;
	int			k = 0;

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

	for (int i = 0; i < into->dim; i++)
	{
		Pair		a = mean_of(into, i);
		Pair		b = mean_of(from, i);

		sum[i] = pair_add(sum_of(into, i), sum_of(from, i));
		delta[i] = (b.hi - a.hi) + (b.lo - a.lo);
		if (!pair_finite(sum[i]) || !isfinite(delta[i]))
			return false;
	}

	weight = (double) into->n
		/ ((double) into->n + (double) from->n) * (double) from->n;
	for (int i = 0; i < into->dim; i++)
	{
		for (int j = i; j < into->dim; j++, k++)
		{
			product[k] = into->product[k] + from->product[k]
				+ delta[i] * weight * delta[j];
			if (!isfinite(product[k]))
				return false;
		}
	}

	for (int i = 0; i < into->dim; i++)
	{
		into->sum_hi[i] = sum[i].hi;
		into->sum_lo[i] = sum[i].lo;
	}
	memcpy(into->product, product, k * sizeof(double));
	into->n += from->n;
	return true;
}

/* Place of (i, j) in the upper triangle by rows. */
static int
product_index(int dim, int i, int j)
{
	if (i > j)
	{
		int			t = i;

		i = j;
		j = t;
	}
	return i * dim - i * (i - 1) / 2 + (j - i);
}

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

bool
gr_moments_valid(const GrMoments *m)
{
	if (!dim_valid(m->dim) || m->n < 0)
		return false;
	for (int i = 0; i < m->dim; i++)
	{
		if (!isfinite(m->sum_hi[i]) || !isfinite(m->sum_lo[i]) ||
			m->sum_hi[i] + m->sum_lo[i] != m->sum_hi[i])
			return false;
		if (m->n == 0 && m->sum_hi[i] != 0.0)
			return false;
		for (int j = i; j < m->dim; j++)
		{
			double		p = m->product[product_index(m->dim, i, j)];

			if (!isfinite(p) || (i == j && p < 0.0) ||
				(m->n < 2 && p != 0.0))
				return false;
		}
	}
	for (int i = 0; i < m->dim; i++)
	{
		for (int j = i + 1; j < m->dim; j++)
		{
			if (!product_bounded(m, i, j))
				return false;
		}
	}
	return true;
}

double
gr_moments_mean(const GrMoments *m, int i)
{
	if (!dim_valid(m->dim) || i < 0 || i >= m->dim || m->n < 1)
		return NAN;
	return mean_of(m, i).hi;
}

double
gr_moments_cov(const GrMoments *m, int i, int j)
{
	if (!dim_valid(m->dim) || m->n < 2 ||
		i < 0 || i >= m->dim || j < 0 || j >= m->dim)
		return NAN;
	return m->product[product_index(m->dim, i, j)] / ((double) m->n - 1.0);
}

/* ---- text --------------------------------------------------------------- */

typedef struct Writer
{
	char	   *buf;
	size_t		size;
	size_t		length;			/* of the whole text, written or not */
} Writer;

static void
write_numbers(Writer *w, const char *label, const double *values, int n)
{
	for (int i = 0; i < n; i++)
	{
		bool		room = w->length < w->size;

		w->length += (size_t) snprintf(room ? w->buf + w->length : NULL,
									   room ? w->size - w->length : 0,
									   "%s%.17g", i == 0 ? label : ",",
									   values[i]);
	}
}

int
gr_moments_print(const GrMoments *m, char *buf, size_t size)
{
	Writer		w = {buf, size, 0};
	int			dim = dim_valid(m->dim) ? m->dim : 0;

	w.length = (size_t) snprintf(size > 0 ? buf : NULL, size,
								 "v1 n=%" PRId64, m->n);
	write_numbers(&w, " sum=", m->sum_hi, dim);
	write_numbers(&w, " low=", m->sum_lo, dim);
	write_numbers(&w, " products=", m->product, dim * (dim + 1) / 2);
	return (int) w.length;
}

/* Pass over "expected" or fail. */
static bool
skip_text(const char **text, const char *expected)
{
	size_t		n = strlen(expected);

	if (strncmp(*text, expected, n) != 0)
		return false;
	*text += n;
	return true;
}

static size_t
digits(const char *s)
{
	size_t		n = 0;

	while (s[n] >= '0' && s[n] <= '9')
		n++;
	return n;
}

/* Length of a decimal number at s (no hexadecimal, no inf, no nan), or 0. */
static size_t
number_length(const char *s)
{
	size_t		i = s[0] == '-' ? 1 : 0;
	size_t		n = digits(s + i);

	if (n == 0)
		return 0;
	i += n;
	if (s[i] == '.')
	{
		n = digits(s + i + 1);
		if (n == 0)
			return 0;
		i += 1 + n;
	}
	if (s[i] == 'e' || s[i] == 'E')
	{
		size_t		j = i + 1;

		if (s[j] == '+' || s[j] == '-')
			j++;
		n = digits(s + j);
		if (n == 0)
			return 0;
		i = j + n;
	}
	return i;
}

/* Numbers separated by commas.  How many, or -1. */
static int
read_numbers(const char **text, double *values, int room)
{
	int			n = 0;

	do
	{
		size_t		length = number_length(*text);
		char	   *end;

		if (length == 0 || n == room)
			return -1;
		values[n] = strtod(*text, &end);
		if (end != *text + length || !isfinite(values[n]))
			return -1;
		*text = end;
		n++;
	} while (skip_text(text, ","));
	return n;
}

static bool
read_count(const char **text, int64_t *n)
{
	size_t		length = digits(*text);

	if (length == 0)
		return false;
	*n = 0;
	for (size_t i = 0; i < length; i++)
	{
		int			digit = (*text)[i] - '0';

		if (*n > (INT64_MAX - digit) / 10)
			return false;
		*n = *n * 10 + digit;
	}
	*text += length;
	return true;
}

bool
gr_moments_parse(const char *text, GrMoments *m)
{
	gr_moments_init(m, 1);
	if (text == NULL || !skip_text(&text, "v1 n=") ||
		!read_count(&text, &m->n) || !skip_text(&text, " sum="))
		return false;
	m->dim = read_numbers(&text, m->sum_hi, GR_MAX_DIM);
	if (m->dim < 1)
		return false;
	if (!skip_text(&text, " low=") ||
		read_numbers(&text, m->sum_lo, GR_MAX_DIM) != m->dim)
		return false;
	if (!skip_text(&text, " products=") ||
		read_numbers(&text, m->product, GR_MAX_PRODUCTS)
		!= m->dim * (m->dim + 1) / 2)
		return false;
	return *text == '\0' && gr_moments_valid(m);
}
