/*
 * test_moments.c
 *	  Moments: exact sums, centred products, merging.
 */
#include "unit.h"
#include "stats.h"

#define MAX_UNITS 5000

/* Two-pass reference in extended precision (or double-double by hand). */
static void
reference(const double (*x)[GR_MAX_DIM], int n, int dim,
		  double *mean, double *product)
{
	long double m[GR_MAX_DIM] = {0};
	int			k = 0;

	for (int i = 0; i < n; i++)
	{
		for (int j = 0; j < dim; j++)
			m[j] += (long double) (x[i][j] - x[0][j]);
	}
	for (int j = 0; j < dim; j++)
	{
		m[j] /= n;
		mean[j] = (double) (m[j] + x[0][j]);
	}
	for (int a = 0; a < dim; a++)
	{
		for (int b = a; b < dim; b++, k++)
		{
			long double sum = 0;

			for (int i = 0; i < n; i++)
				sum += ((long double) (x[i][a] - x[0][a]) - m[a])
					* ((long double) (x[i][b] - x[0][b]) - m[b]);
			product[k] = (double) sum;
		}
	}
}

/* The third products, and the largest units. */
static void
check_third(const char *label, const GrMoments *m, const double (*x)[GR_MAX_DIM], int n)
{
	long double mean[GR_MAX_DIM] = {0};
	int			t = 0;

	for (int j = 0; j < m->dim; j++)
	{
		double		largest = 0;

		for (int i = 0; i < n; i++)
		{
			mean[j] += (long double) (x[i][j] - x[0][j]);
			largest = fmax(largest, fabs(x[i][j]));
		}
		mean[j] /= n;
		CHECK_IN(label, fabs(m->largest[j][j]) == largest);
	}
	for (int a = 0; a < m->dim; a++)
		for (int b = a; b < m->dim; b++)
			for (int c = b; c < m->dim; c++, t++)
			{
				long double sum = 0,
							scale = 0;

				for (int i = 0; i < n; i++)
				{
					long double term = ((long double) (x[i][a] - x[0][a]) - mean[a]) *
						((long double) (x[i][b] - x[0][b]) - mean[b]) * ((long double) (x[i][c] - x[0][c]) - mean[c]);

					sum += term;
					scale += fabsl(term);
				}
				CHECK_CLOSE(label, m->triple_hi[t], (double) sum, 1e-12, (double) scale * 1e-15);
			}
}

static void
check_against_reference(const char *label, const GrMoments *m,
						const double (*x)[GR_MAX_DIM], int n, double tolerance)
{
	double		mean[GR_MAX_DIM];
	double		product[GR_MAX_PRODUCTS];
	int			k = 0;

	reference(x, n, m->dim, mean, product);
	check_third(label, m, x, n);
	CHECK_IN(label, m->n == n);
	CHECK_IN(label, gr_moments_valid(m));
	for (int a = 0; a < m->dim; a++)
	{
		double		scale = sqrt(m->product[0]) + sqrt(fabs(product[k]));

		CHECK_CLOSE(label, gr_moments_mean(m, a), mean[a], 1e-14, 1e-15);
		for (int b = a; b < m->dim; b++, k++)
		{
			CHECK_CLOSE(label, m->product[k], product[k], tolerance,
						tolerance * scale);
			CHECK_CLOSE(label, gr_moments_cov(m, a, b), product[k] / (n - 1.0),
						tolerance, tolerance * scale / n);
			CHECK_IN(label, gr_moments_cov(m, a, b) == gr_moments_cov(m, b, a));
		}
	}
}

static double data[MAX_UNITS][GR_MAX_DIM];

/* The same added some at a time, their variables side by side. */
static const GrMoments *
in_blocks(int dim, int n, int size)
{
	static GrMoments m;
	static double block[200 * GR_MAX_DIM];

	gr_moments_init(&m, dim);
	for (int i = 0; i < n; i += size)
	{
		int			rows = n - i < size ? n - i : size;

		for (int u = 0; u < rows; u++)
			memcpy(&block[u * dim], data[i + u], dim * sizeof(double));
		CHECK(gr_moments_add_many(&m, block, rows));
	}
	CHECK(gr_moments_valid(&m));
	return &m;
}

/* A stream, the same in random pieces merged in a random tree, and the truth. */
static void
test_merge_equals_stream(void)
{
	Random		r = 11;

	for (int round = 0; round < 40; round++)
	{
		int			dim = 1 + round % GR_MAX_DIM;
		int			n = 2 + random_below(&r, MAX_UNITS - 2);
		int			nparts = 1 + random_below(&r, 50);
		double		offset = round % 4 == 0 ? 1e15 : round % 4 == 1 ? -3e9 : 0.0;
		GrMoments	stream;
		GrMoments	part[50];
		bool		added = true;
		char		label[80];

		snprintf(label, sizeof(label), "round %d", round);
		gr_moments_init(&stream, dim);
		for (int k = 0; k < nparts; k++)
			gr_moments_init(&part[k], dim);
		for (int i = 0; i < n; i++)
		{
			double		z = random_normal(&r);

			data[i][0] = offset + z;
			data[i][1] = offset + 0.5 * z + random_normal(&r);
			data[i][2] = random_uniform(&r) * 1e-3;
			added = added && gr_moments_add(&stream, data[i]) &&
				gr_moments_add(&part[random_below(&r, nparts)], data[i]);
		}
		while (nparts > 1)
		{
			int			k = random_below(&r, nparts - 1);

			added = added && gr_moments_merge(&part[k], &part[nparts - 1]);
			nparts--;
		}
		CHECK_IN(label, added);
		check_against_reference(label, &stream,
								(const double (*)[GR_MAX_DIM]) data, n, 1e-12);
		check_against_reference(label, &part[0],
								(const double (*)[GR_MAX_DIM]) data, n, 1e-12);
		check_against_reference(label, in_blocks(dim, n, 1 + random_below(&r, 200)),
								(const double (*)[GR_MAX_DIM]) data, n, 1e-12);
	}
}

/* Values near 1e15 with variance 1 keep that variance. */
static void
test_large_offset(void)
{
	GrMoments	m;
	GrMoments	half[2];
	bool		added = true;

	gr_moments_init(&m, 1);
	gr_moments_init(&half[0], 1);
	gr_moments_init(&half[1], 1);
	for (int i = 0; i < 100000; i++)
	{
		double		x = 1e15 + (i % 2 == 0 ? 1.0 : -1.0);

		added = added && gr_moments_add(&m, &x) &&
			gr_moments_add(&half[i < 33333], &x);
	}
	CHECK(added);
	CHECK(gr_moments_mean(&m, 0) == 1e15);
	CHECK_CLOSE("variance", gr_moments_cov(&m, 0, 0), 100000.0 / 99999.0,
				1e-12, 0);
	CHECK(gr_moments_merge(&half[0], &half[1]));
	CHECK_CLOSE("merged", gr_moments_cov(&half[0], 0, 0), 100000.0 / 99999.0,
				1e-12, 0);
	CHECK(half[0].sum_hi[0] == 1e20 && half[0].sum_lo[0] == 0.0);
}

/* Sums of integers do not depend on order or on the tree, bit for bit. */
static void
test_integer_sums(void)
{
	Random		r = 12;
	static double values[2000];
	bool		same = true;

	for (int round = 0; round < 50; round++)
	{
		int			n = 1 + random_below(&r, 2000);
		__int128	exact = 0;
		GrMoments	first;

		for (int i = 0; i < n; i++)
		{
			values[i] = (double) ((int64_t) random_bits(&r) >> random_below(&r, 60));
			exact += (__int128) values[i];
		}
		for (int order = 0; order < 4; order++)
		{
			GrMoments	m[3];

			for (int k = 0; k < 3; k++)
				gr_moments_init(&m[k], 1);
			for (int i = n - 1; i > 0; i--)
			{
				int			j = random_below(&r, i + 1);
				double		swap = values[i];

				values[i] = values[j];
				values[j] = swap;
			}
			for (int i = 0; i < n; i++)
				gr_moments_add(&m[random_below(&r, 3)], &values[i]);
			gr_moments_merge(&m[0], &m[1]);
			gr_moments_merge(&m[2], &m[0]);
			if (order == 0)
				first = m[2];
			same = same && m[2].n == n &&
				memcmp(&first.sum_hi[0], &m[2].sum_hi[0], sizeof(double)) == 0 &&
				memcmp(&first.sum_lo[0], &m[2].sum_lo[0], sizeof(double)) == 0 &&
				(__int128) m[2].sum_hi[0] + (__int128) m[2].sum_lo[0] == exact;
		}
	}
	CHECK(same);
}

static void
test_refusals(void)
{
	GrMoments	m;
	GrMoments	other;
	GrMoments	before;
	double		x[3] = {1.0, 2.0, 3.0};
	const double bad[] = {NAN, INFINITY, -INFINITY, 1e200, DBL_MAX};

	gr_moments_init(&m, 2);
	CHECK(gr_moments_valid(&m));
	CHECK(isnan(gr_moments_mean(&m, 0)));
	CHECK(gr_moments_add(&m, x));
	CHECK(gr_moments_mean(&m, 1) == 2.0);
	CHECK(isnan(gr_moments_cov(&m, 0, 0)));
	for (int i = 0; i < 5; i++)
	{
		double		y[3] = {1.0, bad[i], 1.0};

		before = m;
		CHECK(!gr_moments_add(&m, y));
		CHECK(memcmp(&m, &before, sizeof(m)) == 0);
		CHECK(!gr_moments_add_many(&m, (double[]) {1.0, 2.0, y[0], y[1]}, 2));
		CHECK(memcmp(&m, &before, sizeof(m)) == 0);
	}
	CHECK(gr_moments_add_many(&m, x, 0));
	CHECK(memcmp(&m, &before, sizeof(m)) == 0);
	gr_moments_init(&other, 1);
	CHECK(!gr_moments_merge(&m, &other));
	CHECK(memcmp(&m, &before, sizeof(m)) == 0);

	/* a merge whose products overflow is refused whole */
	gr_moments_init(&m, 1);
	gr_moments_init(&other, 1);
	x[0] = 1e300;
	CHECK(gr_moments_add(&m, x));
	x[0] = -1e300;
	CHECK(gr_moments_add(&other, x));
	before = m;
	CHECK(!gr_moments_merge(&m, &other));
	CHECK(memcmp(&m, &before, sizeof(m)) == 0);

	m.n = INT64_MAX;
	CHECK(!gr_moments_add(&m, x));
	CHECK(!gr_moments_add_many(&m, x, 1));
	CHECK(!gr_moments_merge(&m, &other));
	m.n = -1;
	CHECK(!gr_moments_add(&m, x));
	CHECK(!gr_moments_valid(&m));
	m.dim = 4;
	CHECK(!gr_moments_add(&m, x));
	CHECK(isnan(gr_moments_mean(&m, 0)));
	CHECK(isnan(gr_moments_cov(&m, 0, 0)));
}

static void
test_valid(void)
{
	static const char *const good[] = {
		"v1 n=0 sum=0 low=0 products=0",
		"v1 n=3 sum=6,0.5 low=0,0 products=2,0.5,0.25",
		"v1 n=1 sum=-3.5 low=0 products=0",
		"v1 n=9223372036854775807 sum=1e300 low=-1e270 products=5e-324",
		"v1 n=4 sum=1,2,3 low=0,0,0 products=1,0,0,1,0,1",
		"v1 n=2 sum=1E5 low=0 products=1e+2",
	};
	static const char *const wrong[] = {
		"",
		"v1",
		"v2 n=0 sum=0 low=0 products=0",
		" v1 n=0 sum=0 low=0 products=0",
		"v1 n=0 sum=0 low=0 products=0 ",
		"v1 n=0 sum=0 low=0 products=0\n",
		"v1  n=0 sum=0 low=0 products=0",
		"v1 n=-1 sum=0 low=0 products=0",
		"v1 n=+1 sum=0 low=0 products=0",
		"v1 n=0 sum=1 low=0 products=0",
		"v1 n=1 sum=1 low=0 products=1",
		"v1 n=2 sum=1 low=0 products=-1",
		"v1 n=2 sum=1 low=1 products=1",
		"v1 n=2 sum=inf low=0 products=1",
		"v1 n=2 sum=nan low=0 products=1",
		"v1 n=2 sum=0x1p3 low=0 products=1",
		"v1 n=2 sum=1e400 low=0 products=1",
		"v1 n=2 sum=1. low=0 products=1",
		"v1 n=2 sum=.5 low=0 products=1",
		"v1 n=2 sum=1e low=0 products=1",
		"v1 n=2 sum=+1 low=0 products=1",
		"v1 n=2 sum=1, low=0 products=1",
		"v1 n=2 sum=1,,2 low=0,0 products=1,1,1",
		"v1 n=2 sum=1,2 low=0 products=1,1,1",
		"v1 n=2 sum=1,2 low=0,0 products=1,1",
		"v1 n=2 sum=1,2 low=0,0 products=1,1,1,1",
		"v1 n=2 sum=1,2,3,4 low=0,0,0,0 products=1,1,1,1,1,1,1,1,1,1",
		"v1 n=2 sum=1,2 low=0,0 products=1,1.1,1",
		"v1 n=9223372036854775808 sum=1 low=0 products=1",
		"v1 n=99999999999999999999999 sum=1 low=0 products=1",
	};
	GrMoments	m;

	for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++)
		CHECK_IN(good[i], gr_moments_parse(good[i], &m));
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++)
		CHECK_IN(wrong[i], !gr_moments_parse(wrong[i], &m));
	CHECK(!gr_moments_parse(NULL, &m));
}

int
main(void)
{
	gr_stats_init();
	test_merge_equals_stream();
	test_large_offset();
	test_integer_sums();
	test_refusals();
	test_valid();
	return unit_report();
}
