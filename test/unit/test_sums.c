/*
 * test_sums.c
 *	  Sums that units come to and go from, against those of what is left.
 *
 * The reference is computed over the units that are left, in two passes of
 * 113-bit arithmetic.
 */
#include "unit.h"
#include "numeric/sums.h"

#define UNITS 3000

typedef __float128 Quad;

static double data[UNITS][GR_MAX_DIM];
static bool here[UNITS];

/* The largest unit of each variable, and the third products, in 113 bits. */
static void
check_shape(const char *label, const GrMoments *m, const Quad *mean, const double *sd)
{
	int			k = 0;

	for (int i = 0; i < m->dim; i++)
	{
		double		largest = 0;

		for (int u = 0; u < UNITS; u++)
			largest = here[u] ? fmax(largest, fabs(data[u][i])) : largest;
		CHECK_CLOSE(label, fabs(m->largest[i][i]), largest, 0, 0);
		for (int j = i; j < m->dim; j++)
			for (int l = j; l < m->dim; l++, k++)
			{
				Quad		triple = 0;

				for (int u = 0; u < UNITS; u++)
					if (here[u])
						triple += (data[u][i] - mean[i]) * (data[u][j] - mean[j]) * (data[u][l] - mean[l]);
				CHECK_CLOSE(label, m->triple_hi[k], (double) triple, 1e-9,
							1e-9 * sd[i] * sd[j] * sd[l] / sqrt((double) m->n));
			}
	}
}

/* Is it what the units that are here amount to, as certain as it says? */
static void
check_left(const char *label, GrSums *s)
{
	GrMoments	m;
	Quad		mean[GR_MAX_DIM] = {0};
	Quad		product[GR_MAX_PRODUCTS] = {0};
	double		sd[GR_MAX_DIM];
	int64_t		n = 0;
	int			k = 0;

	for (int u = 0; u < UNITS; u++)
	{
		n += here[u];
		for (int i = 0; here[u] && i < s->dim; i++)
			mean[i] += data[u][i];
	}
	CHECK_IN(label, gr_sums_valid(s));
	CHECK_IN(label, s->n == n);
	for (int i = 0; i < s->dim; i++)
		if (s->top[i].n == 0 && n > 0)
		{
			gr_sums_init(s, s->dim);
			for (int u = 0; u < UNITS; u++)
				if (here[u])
					CHECK(gr_sums_add(s, data[u], 1));
		}
	CHECK_IN(label, gr_sums_moments(s, &m));
	CHECK_IN(label, m.n == n);
	for (int i = 0; i < s->dim; i++)
		mean[i] /= n > 0 ? n : 1;
	for (int i = 0; i < s->dim; i++)
		for (int j = i; j < s->dim; j++, k++)
		{
			for (int u = 0; u < UNITS; u++)
				if (here[u])
					product[k] += (data[u][i] - mean[i]) * (data[u][j] - mean[j]);
			if (i == j)
				sd[i] = sqrt((double) product[k]);
		}
	k = 0;
	for (int i = 0; i < s->dim; i++)
	{
		if (n > 0)
			CHECK_CLOSE(label, gr_moments_mean(&m, i), (double) mean[i], 1e-14, 1e-15 * sd[i]);
		for (int j = i; j < s->dim; j++, k++)
			CHECK_CLOSE(label, m.product[k], (double) product[k], 0x1p-45, 0x1p-45 * sd[i] * sd[j]);
	}
	if (n > 1)
		check_shape(label, &m, mean, sd);
}

/* Units of all sorts come, change and go. */
static void
test_come_and_go(void)
{
	Random		r = 71;

	for (int round = 0; round < 24; round++)
	{
		int			dim = 1 + round % GR_MAX_DIM;
		double		offset = round % 4 == 0 ? 1e4 : round % 4 == 1 ? -300 : 0;
		double		scale = round % 5 == 0 ? 1e-60 : round % 5 == 1 ? 1e70 : 1;
		GrSums		s;
		bool		done = true;
		char		label[80];

		gr_sums_init(&s, dim);
		memset(here, 0, sizeof(here));
		for (int step = 0; step < 20 * UNITS; step++)
		{
			int			u = random_below(&r, UNITS);

			if (here[u])
				done &= gr_sums_add(&s, data[u], -1);
			here[u] = random_below(&r, 4) != 0;
			if (!here[u])
				continue;
			for (int i = 0; i < GR_MAX_DIM; i++)
				data[u][i] = scale * (offset + exp(2 * random_normal(&r)) + (i > 0 ? data[u][0] / scale : 0));
			done &= gr_sums_add(&s, data[u], 1);
			if (step % UNITS == 17)
			{
				snprintf(label, sizeof(label), "round %d, step %d", round, step);
				check_left(label, &s);
			}
		}
		snprintf(label, sizeof(label), "round %d", round);
		CHECK_IN(label, done);
		check_left(label, &s);
	}
}

/* Whole numbers are exact, whatever comes and goes: also when all are the same. */
static void
test_whole_numbers(void)
{
	GrSums		s;
	GrMoments	m;

	gr_sums_init(&s, 2);
	for (int u = 0; u < UNITS; u++)
	{
		data[u][0] = 1;
		data[u][1] = u % 10 == 0;
		here[u] = true;
		CHECK(gr_sums_add(&s, data[u], 1));
	}
	check_left("all the same", &s);
	CHECK(gr_sums_moments(&s, &m) && m.product[0] == 0 && m.product[1] == 0 && m.product[2] == 270);
	for (int u = 0; u < UNITS; u += 3)
	{
		double		large[2] = {1e6, -1e6};

		CHECK(gr_sums_add(&s, data[u], -1) && gr_sums_add(&s, large, 1) && gr_sums_add(&s, large, -1));
		here[u] = false;
	}
	check_left("a third gone", &s);
	for (int u = 0; u < UNITS; u++)
		if (here[u])
			CHECK(gr_sums_add(&s, data[u], -1));
	CHECK(s.n == 0 && gr_sums_moments(&s, &m) && m.n == 0 && m.sum_hi[0] == 0 && m.product[2] == 0);
}

/* What is not certain is not given. */
static void
test_refusals(void)
{
	GrSums		s;
	GrMoments	m;
	double		x;

	/* a constant that is no sum of few powers of two */
	gr_sums_init(&s, 1);
	x = 0.1;
	for (int u = 0; u < 1000; u++)
		CHECK(gr_sums_add(&s, &x, 1));
	CHECK(!gr_sums_moments(&s, &m));

	/* little is left beside what came and went */
	gr_sums_init(&s, 1);
	for (int u = 0; u < 1000; u++)
	{
		x = 0.1 * u;
		CHECK(gr_sums_add(&s, &x, 1));
	}
	CHECK(gr_sums_moments(&s, &m));
	x = 0.3e20;
	CHECK(gr_sums_add(&s, &x, 1) && gr_sums_moments(&s, &m));
	CHECK(gr_sums_add(&s, &x, -1) && s.n == 1000 && !gr_sums_moments(&s, &m));

	/* squares that are no doubles, and what is no number */
	for (int k = 0; k < 2; k++)
	{
		gr_sums_init(&s, 1);
		x = k == 0 ? 1e160 : 1e-160;
		double		other = 5;

		CHECK(gr_sums_add(&s, &other, 1) && gr_sums_add(&s, &x, 1) && !gr_sums_moments(&s, &m));
		CHECK(gr_sums_add(&s, &x, -1) && s.n == 1 && !gr_sums_moments(&s, &m));
		CHECK(gr_sums_add(&s, &other, -1) && s.n == 0 && gr_sums_moments(&s, &m));
	}
	gr_sums_init(&s, 2);
	for (int k = 0; k < 4; k++)
	{
		double		y[2] = {k == 0 ? NAN : k == 1 ? INFINITY : 1, k == 2 ? -INFINITY : k == 3 ? NAN : 1};

		CHECK(!gr_sums_add(&s, y, 1));
	}
	CHECK(s.n == 0 && s.steps == 0 && gr_sums_valid(&s));

	/* one unit has no variance, and what was never there cannot go */
	gr_sums_init(&s, 1);
	x = 0.7;
	CHECK(gr_sums_add(&s, &x, 1) && gr_sums_moments(&s, &m) && m.n == 1 && m.product[0] == 0);
	CHECK(gr_sums_add(&s, &x, -1) && gr_sums_add(&s, &x, -1));
	CHECK(s.n == -1 && !gr_sums_moments(&s, &m) && !gr_sums_valid(&s));
	gr_sums_init(&s, GR_MAX_DIM + 1);
	CHECK(!gr_sums_add(&s, &x, 1) && !gr_sums_valid(&s) && !gr_sums_moments(&s, &m));
}

int
main(void)
{
	gr_stats_init();
	test_come_and_go();
	test_whole_numbers();
	test_refusals();
	return unit_report();
}
