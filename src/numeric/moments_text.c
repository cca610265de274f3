/*
 * moments_text.c
 *	  The text form of moments.
 *
 * Finite numbers are read back exactly as they were printed.
 */
#include "numeric/numeric.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNKNOWN_TRIPLES " triples=unknown"
#define UNKNOWN_LARGEST " largest=unknown"

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

static int
nproducts(int dim)
{
	return dim * (dim + 1) / 2;
}

static bool
has_low_products(const GrMoments *m, int dim)
{
	for (int k = 0; k < nproducts(dim); k++)
		if (m->product_lo[k] != 0.0)
			return true;
	return false;
}

static void
write_text(Writer *w, const char *text)
{
	bool		room = w->length < w->size;

	w->length += (size_t) snprintf(room ? w->buf + w->length : NULL, room ? w->size - w->length : 0,
								   "%s", text);
}

int
gr_moments_print(const GrMoments *m, char *buf, size_t size)
{
	Writer		w = {buf, size, 0};
	char		head[40];
	int			dim = m->dim >= 1 && m->dim <= GR_MAX_DIM ? m->dim : 0;
	bool		triples = gr_moments_have_triples(m);
	bool		largest = gr_moments_have_largest(m);
	bool		whole = triples || largest || has_low_products(m, dim);

	snprintf(head, sizeof(head), "v%d n=%" PRId64, whole ? 2 : 1, m->n);
	write_text(&w, head);
	write_numbers(&w, " sum=", m->sum_hi, dim);
	write_numbers(&w, " low=", m->sum_lo, dim);
	write_numbers(&w, " products=", m->product, nproducts(dim));
	if (!whole)
		return (int) w.length;
	write_numbers(&w, " products_low=", m->product_lo, nproducts(dim));
	if (triples)
	{
		write_numbers(&w, " triples=", m->triple_hi, gr_ntriples(dim));
		write_numbers(&w, " triples_low=", m->triple_lo, gr_ntriples(dim));
	}
	else
		write_text(&w, UNKNOWN_TRIPLES);
	for (int i = 0; largest && i < dim; i++)
		write_numbers(&w, i == 0 ? " largest=" : ",", m->largest[i], dim);
	if (!largest)
		write_text(&w, UNKNOWN_LARGEST);
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

/* The numbers after a label, which must be so many. */
static bool
read_labelled(const char **text, const char *label, double *values, int n)
{
	return skip_text(text, label) && read_numbers(text, values, n) == n;
}

/* What version 2 has beyond version 1. */
static bool
read_rest(const char **text, GrMoments *m)
{
	double		largest[GR_MAX_DIM * GR_MAX_DIM];

	if (!read_labelled(text, " products_low=", m->product_lo, nproducts(m->dim)))
		return false;
	if (skip_text(text, UNKNOWN_TRIPLES))
		gr_moments_forget_triples(m);
	else if (!read_labelled(text, " triples=", m->triple_hi, gr_ntriples(m->dim)) ||
			 !read_labelled(text, " triples_low=", m->triple_lo, gr_ntriples(m->dim)))
		return false;
	if (skip_text(text, UNKNOWN_LARGEST))
	{
		gr_moments_forget_largest(m);
		return true;
	}
	if (!read_labelled(text, " largest=", largest, m->dim * m->dim))
		return false;
	for (int i = 0; i < m->dim * m->dim; i++)
		m->largest[i / m->dim][i % m->dim] = largest[i];
	return true;
}

bool
gr_moments_parse(const char *text, GrMoments *m)
{
	bool		whole;

	gr_moments_init(m, 1);
	if (text == NULL)
		return false;
	whole = skip_text(&text, "v2 ");
	if ((!whole && !skip_text(&text, "v1 ")) || !skip_text(&text, "n=") ||
		!read_count(&text, &m->n) || !skip_text(&text, " sum="))
		return false;
	m->dim = read_numbers(&text, m->sum_hi, GR_MAX_DIM);
	if (m->dim < 1)
		return false;
	if (!read_labelled(&text, " low=", m->sum_lo, m->dim) ||
		!read_labelled(&text, " products=", m->product, nproducts(m->dim)))
		return false;
	if (!whole)
	{
		gr_moments_forget_triples(m);
		gr_moments_forget_largest(m);
	}
	else if (!read_rest(&text, m))
		return false;
	return *text == '\0' && gr_moments_valid(m);
}
