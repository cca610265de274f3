/*
 * fuzz_evidence.c
 *	  Samples from any units, and what two of them are evidence of: z, bounds, e-values
 *	  and the events that are needed.
 */
#include "fuzz.h"

#include "sample.h"

/* An arm: units of any values, or so many of which so many have an event. */
static GrSample
take_sample(Input *in)
{
	int			dim = 1 + take_below(in, 2);
	int			shape = take_below(in, 4);
	double		ones = 0.0;
	GrMoments	m;
	GrSample	s;

	gr_moments_init(&m, dim);
	if (shape == 0)
	{
		GrEstimate	e = {take_double(in), fabs(take_double(in)), fabs(take_double(in))};

		gr_sample_of_estimate(&e, fabs(take_double(in)), &s);
		return s;
	}
	for (int i = 0, units = take_below(in, 40); i < units; i++)
	{
		double		x[GR_MAX_DIM] = {0};

		for (int j = 0; j < dim; j++)
			x[j] = shape == 1 ? (double) take_below(in, 2) : take_double(in);
		if (gr_moments_add(&m, x))
			ones += x[0] != 0.0;
	}
	gr_sample_of_moments(&m, false, 0.0, 0.0, shape == 3 ? NAN : ones, &s);
	s.traffic = fabs(take_double(in));
	return s;
}

typedef struct Question
{
	GrContrastKind kind;
	const GrSample *t;
	const GrSample *c;
	int			direction;
	double		z;
} Question;

static double
excess(void *arg, double limit)
{
	const Question *q = arg;
	GrSaid		e;

	return gr_evidence(q->kind, q->t, q->c, limit, q->direction, &e) == GR_OK ? e.z - q->z : -INFINITY;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		in = {data, size};
	GrSample	t = take_sample(&in),
				c = take_sample(&in);
	double		limit = take_double(&in);
	int			direction = take_below(&in, 2) ? 1 : -1;
	GrContrastKind kind = (GrContrastKind) take_below(&in, 3);
	Question	q = {kind, &t, &c, direction, fmin(fabs(take_double(&in)), 8.0)};
	GrSaid		e;
	bool		without;

	if (gr_evidence(kind, &t, &c, limit, direction, &e) == GR_OK)
	{
		EXPECT_WITH(fabs(e.z) <= GR_MOST_Z, "z %g", e.z);
		EXPECT(e.df > 0.0);
	}
	EXPECT(!isnan(gr_evidence_bound(kind, &t, &c, direction, limit, excess, &q)));
	if (t.kind == GR_SAMPLE_SHARE && (kind == GR_ABSOLUTE || c.kind == GR_SAMPLE_SHARE))
	{
		EXPECT(!isnan(gr_share_log_e(kind, &t, &c, limit, direction)));
		EXPECT(!(gr_share_needs(kind, &t, &c, limit, direction, 0.1, &without) < 0.0));
	}
	return 0;
}
