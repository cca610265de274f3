/*
 * diversity.c
 *	  How many different values there are, and how evenly they come.
 */
#include "numeric/numeric.h"

#include <math.h>

#include <gsl/gsl_sort.h>

/* The end of the run of equal values that starts at "from". */
static size_t
end_of_run(const double *values, size_t n, size_t from)
{
	size_t		to = from + 1;

	while (to < n && values[to] == values[from])
		to++;
	return to;
}

double
gr_distinct(double *values, size_t n)
{
	double		distinct = 0;

	gsl_sort(values, 1, n);
	for (size_t i = 0; i < n; i = end_of_run(values, n, i))
		distinct++;
	return distinct;
}

double
gr_entropy(double *values, size_t n)
{
	double		bits = 0;
	size_t		to;

	if (n == 0)
		return NAN;
	gsl_sort(values, 1, n);
	for (size_t i = 0; i < n; i = to)
	{
		double		count;

		to = end_of_run(values, n, i);
		count = (double) (to - i);
		bits += count * log2((double) n / count);
	}
	return bits / (double) n;
}
