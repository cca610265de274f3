/*
 * fuzz_moments.c
 *	  The text form of a summary, from anyone; streams and merges of units.
 *
 * First byte even: the rest is text, split at line ends, and each line is
 * parsed.  Odd: the rest are units.
 */
#include "fuzz.h"

static bool
same(const GrMoments *a, const GrMoments *b)
{
	return a->dim == b->dim && a->n == b->n &&
		memcmp(a->sum_hi, b->sum_hi, sizeof(a->sum_hi)) == 0 &&
		memcmp(a->sum_lo, b->sum_lo, sizeof(a->sum_lo)) == 0 &&
		memcmp(a->product, b->product, sizeof(a->product)) == 0 &&
		memcmp(a->product_lo, b->product_lo, sizeof(a->product_lo)) == 0;
}

/* What is valid prints, and what is printed parses to the same bits. */
static void
check_round_trip(const GrMoments *m)
{
	char		text[4000];
	char		cut[40];
	GrMoments	back;
	int			length;

	EXPECT(gr_moments_valid(m));
	length = gr_moments_print(m, text, sizeof(text));
	EXPECT(length > 0 && (size_t) length == strlen(text));
	EXPECT_WITH(gr_moments_parse(text, &back), "%s", text);
	EXPECT_WITH(same(m, &back), "%s", text);
	/* a short buffer is cut, not overrun */
	EXPECT(gr_moments_print(m, cut, sizeof(cut)) == length);
	EXPECT(strncmp(cut, text, sizeof(cut) - 1) == 0);
	EXPECT(gr_moments_print(m, NULL, 0) == length);
}

static void
check_estimates(const GrMoments *m)
{
	GrEstimate	e;
	GrCode		code;

	for (int i = 0; i < m->dim; i++)
	{
		code = gr_mean_estimate(m, i, &e);
		if (code == GR_OK)
			EXPECT(isfinite(e.value) && e.variance >= 0.0 && e.df >= 1.0);
		else
			EXPECT(isnan(e.variance) && isnan(e.df));
		for (int j = 0; j < m->dim; j++)
			EXPECT(m->n < 2 ? isnan(gr_moments_cov(m, i, j))
				   : isfinite(gr_moments_cov(m, i, j)));
	}
	code = gr_ratio_estimate(m, &e);
	if (code == GR_OK)
		EXPECT(m->dim >= 2 && isfinite(e.value) && e.variance >= 0.0);
	else
		EXPECT(isnan(e.variance) && isnan(e.df));
}

/* A merge that is done leaves a summary that could be stored and read. */
static void
check_merge(const GrMoments *a, const GrMoments *b)
{
	GrMoments	m = *a;

	if (!gr_moments_merge(&m, b))
	{
		EXPECT(same(&m, a));
		return;
	}
	EXPECT(m.n == a->n + b->n);
	check_round_trip(&m);
	check_estimates(&m);
}

static void
fuzz_text(const uint8_t *data, size_t size)
{
	char	   *text = malloc(size + 1);
	GrMoments	last;
	bool		have_last = false;

	memcpy(text, data, size);
	text[size] = '\0';
	for (char *line = text; line != NULL;)
	{
		char	   *end = strchr(line, '\n');
		GrMoments	m;

		if (end != NULL)
			*end++ = '\0';
		if (gr_moments_parse(line, &m))
		{
			check_round_trip(&m);
			check_estimates(&m);
			if (have_last)
			{
				check_merge(&last, &m);
				check_merge(&m, &last);
			}
			last = m;
			have_last = true;
		}
		line = end;
	}
	free(text);
}

static void
fuzz_units(Input *in)
{
	GrMoments	whole;
	GrMoments	part[2];
	double		lowest = INFINITY;
	double		highest = -INFINITY;
	int			dim = 1 + take_below(in, GR_MAX_DIM);
	int			split = take_below(in, 32);

	gr_moments_init(&whole, dim);
	gr_moments_init(&part[0], dim);
	gr_moments_init(&part[1], dim);
	for (int unit = 0; unit < 64 && in->left > 0; unit++)
	{
		double		x[GR_MAX_DIM];
		GrMoments	before = whole;

		for (int i = 0; i < dim; i++)
			x[i] = take_double(in);
		if (!gr_moments_add(&whole, x))
		{
			EXPECT(same(&whole, &before));
			continue;
		}
		EXPECT(whole.n == before.n + 1);
		(void) gr_moments_add(&part[unit >= split], x);
		lowest = fmin(lowest, x[0]);
		highest = fmax(highest, x[0]);
	}
	check_round_trip(&whole);
	check_estimates(&whole);
	if (whole.n > 0)
		EXPECT(gr_moments_mean(&whole, 0) >= lowest &&
			   gr_moments_mean(&whole, 0) <= highest);
	check_merge(&part[0], &part[1]);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		in = {data + 1, size - 1};

	if (size < 2)
		return 0;
	if (data[0] % 2 == 0)
		fuzz_text(data + 1, size - 1);
	else
		fuzz_units(&in);
	return 0;
}
