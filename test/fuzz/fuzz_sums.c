/*
 * fuzz_sums.c
 *	  Units that come and go: what is left, as certain as it says.
 *
 * The units that are left are summed again, in 113-bit arithmetic.
 */
#include "fuzz.h"
#include "numeric/sums.h"

#define UNITS 16

typedef __float128 Quad;

typedef struct Unit
{
	bool		here;
	double		x[GR_MAX_DIM];
} Unit;

static void
check_left(const GrSums *s, const GrMoments *m, const Unit *unit)
{
	Quad		mean[GR_MAX_DIM] = {0};
	int			k = 0;

	EXPECT(m->dim == s->dim && m->n == s->n && gr_moments_valid(m));
	if (m->n == 0)
		return;
	for (int i = 0; i < s->dim; i++)
	{
		for (int u = 0; u < UNITS; u++)
			mean[i] += unit[u].here ? (Quad) unit[u].x[i] : 0;
		mean[i] /= m->n;
	}
	for (int i = 0; i < s->dim; i++)
		for (int j = i; j < s->dim; j++, k++)
		{
			Quad		sum = 0;

			for (int u = 0; u < UNITS; u++)
				if (unit[u].here)
					sum += (unit[u].x[i] - mean[i]) * (unit[u].x[j] - mean[j]);
			if (i == j)
				EXPECT_WITH(fabs(m->product[k] - (double) sum) <= 0x1p-44 * fabs((double) sum),
							"%d units: %.17g, not %.17g", (int) m->n, m->product[k], (double) sum);
		}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		in = {data, size};
	Unit		unit[UNITS] = {0};
	GrSums		s;
	GrMoments	m;
	int64_t		n = 0;

	gr_sums_init(&s, 1 + take_below(&in, GR_MAX_DIM));
	for (int step = 0; step < 200 && in.left > 0; step++)
	{
		int			u = take_below(&in, UNITS);

		EXPECT(gr_sums_valid(&s) && s.n == n);
		if (unit[u].here)
		{
			EXPECT(gr_sums_add(&s, unit[u].x, -1));
			unit[u].here = false;
			n--;
		}
		if (take_below(&in, 4) == 0)
			continue;
		for (int i = 0; i < GR_MAX_DIM; i++)
			unit[u].x[i] = take_double(&in);
		unit[u].here = gr_sums_add(&s, unit[u].x, 1);
		n += unit[u].here;
		for (int i = 0; i < s.dim; i++)
			EXPECT(isfinite(unit[u].x[i]) || !unit[u].here);
	}
	if (gr_sums_moments(&s, &m))
		check_left(&s, &m, unit);

	/* any bytes: whatever is called valid gives moments or not */
	take_bytes(&in, &s.n, sizeof(s.n));
	take_bytes(&in, s.sum, sizeof(s.sum));
	take_bytes(&in, s.product, sizeof(s.product));
	take_bytes(&in, s.peak, sizeof(s.peak));
	if (gr_sums_valid(&s) && gr_sums_moments(&s, &m))
		EXPECT(gr_moments_valid(&m));
	return 0;
}
