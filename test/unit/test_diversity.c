/*
 * test_diversity.c
 *	  Distinct values and Shannon entropy.
 *
 * Expected numbers: by hand where the logarithms are whole, else the sum of
 * p log2(1/p) by Python's math.log2.
 */
#include "stats/stats.h"
#include "unit.h"

static void
expect(double *values, size_t n, double distinct, double bits)
{
	double		copy[64];

	memcpy(copy, values, n * sizeof(double));
	CHECK(gr_distinct(copy, n) == distinct);
	memcpy(copy, values, n * sizeof(double));
	CHECK(fabs(gr_entropy(copy, n) - bits) <= 1e-14);
}

int
main(void)
{
	double		one[] = {7};
	double		same[] = {3, 3, 3, 3, 3};
	double		even[] = {4, 1, 2, 3, 1, 4, 3, 2};
	double		uneven[] = {1, 2, 1, 1};
	double		counts_5_3_1_1[] = {9, 1, 9, 5, 1, 9, 0, 9, 1, 9};
	double		large[] = {9007199254740991.0, 9007199254740990.0};
	double		none[1] = {0};

	expect(one, 1, 1, 0);
	expect(same, 5, 1, 0);
	expect(even, 8, 4, 2);
	expect(uneven, 4, 2, 0.8112781244591328);
	expect(counts_5_3_1_1, 10, 4, 1.6854752972273344);
	expect(large, 2, 2, 1);
	CHECK(gr_distinct(none, 0) == 0);
	CHECK(isnan(gr_entropy(none, 0)));
	return unit_report();
}
