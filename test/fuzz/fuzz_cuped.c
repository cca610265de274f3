/*
 * fuzz_cuped.c
 *	  Adjustment by a covariate, for any units.
 */
#include "fuzz.h"

#define MAX_ARMS 3

static void
take_arm(Input *in, GrMoments *m, int dim, bool ordinary)
{
	int			n = take_below(in, 20);

	gr_moments_init(m, dim);
	for (int unit = 0; unit < n; unit++)
	{
		double		x[GR_MAX_DIM];

		for (int i = 0; i < dim; i++)
			x[i] = ordinary ? take_scale(in, -2.0, 2.0) : take_double(in);
		(void) gr_moments_add(m, x);
	}
}

static void
check_extended(const GrMoments *m, double u)
{
	GrMoments	more;
	int			last = m->dim;

	if (!gr_moments_extend(m, u, &more))
		return;
	EXPECT(more.dim == m->dim + 1 && more.n == m->n);
	EXPECT(gr_moments_valid(&more));
	if (m->n > 0)
		EXPECT_WITH(near(gr_moments_mean(&more, last), u, 1e-15),
					"mean %.17g of %.17g", gr_moments_mean(&more, last), u);
	for (int i = 0; i < m->dim; i++)
	{
		EXPECT(m->n == 0 ||
			   gr_moments_mean(&more, i) == gr_moments_mean(m, i));
		if (m->n >= 2)
			EXPECT(gr_moments_cov(&more, i, last) == 0.0 &&
				   gr_moments_cov(&more, i, i) == gr_moments_cov(m, i, i));
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		in = {data, size};
	GrMoments	arms[MAX_ARMS];
	int			narms = take_below(&in, MAX_ARMS + 1);
	int			dim = 1 + take_below(&in, GR_MAX_DIM);
	bool		ordinary = take_below(&in, 2) == 0;
	double		theta;
	double		raw;
	GrEstimate	e;
	GrCode		code;

	for (int a = 0; a < narms; a++)
	{
		take_arm(&in, &arms[a], dim, ordinary);
		check_extended(&arms[a], take_double(&in));
	}
	code = gr_cuped_theta(arms, narms, &theta);
	EXPECT((code == GR_OK) == isfinite(theta) && (code == GR_OK || isnan(theta)));
	EXPECT(narms == 0 || dim > 1 || code == GR_BAD_ARGUMENT);
	if (take_below(&in, 8) == 0)
		theta = take_double(&in);
	for (int a = 0; a < narms; a++)
	{
		code = gr_cuped_estimate(&arms[a], theta, take_double(&in), &e, &raw);
		if (code != GR_OK)
		{
			EXPECT(isnan(e.variance) && isnan(e.df));
			continue;
		}
		EXPECT(isfinite(e.value) && isfinite(e.variance) && e.variance >= 0.0);
		EXPECT(e.df >= 1.0 && e.df == (double) arms[a].n - 1.0);
		/* a lone arm's own coefficient can only take variance away */
		if (narms == 1 && ordinary && gr_cuped_theta(arms, 1, &theta) == GR_OK &&
			gr_cuped_estimate(arms, theta, 0.0, &e, &raw) == GR_OK)
			EXPECT_WITH(e.variance <= raw + 1e-9 * fabs(raw) + 1e-12,
						"%.17g of %.17g", e.variance, raw);
	}
	return 0;
}
