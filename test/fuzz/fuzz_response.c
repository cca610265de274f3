/*
 * fuzz_response.c
 *	  Responses to a setting and the best setting, for any arms and limits; the
 *	  ratio of two effects.
 */
#include "fuzz.h"
#include "joint.h"
#include "response.h"

#define MAX_ARMS 6
#define MAX_LIMITS 2

static double
take_any(Input *in, bool ordinary)
{
	return ordinary ? take_scale(in, -2.0, 2.0) : take_double(in);
}

static int
take_arms(Input *in, GrSetting *arms, bool ordinary, bool half_widths)
{
	int			n = take_below(in, MAX_ARMS + 1);

	for (int i = 0; i < n; i++)
	{
		arms[i].setting = ordinary ? take_below(in, 7) : take_double(in);
		arms[i].value = take_any(in, ordinary);
		arms[i].variance = fabs(take_any(in, ordinary));
		arms[i].half_width = half_widths ? fabs(take_any(in, ordinary)) : NAN;
	}
	return n;
}

static void
check_ratio(Input *in)
{
	double		y = take_double(in),
				x = take_double(in),
				lower,
				upper;
	GrCode		code = gr_fieller_ratio(y, x, take_double(in), take_double(in), take_double(in),
										take_double(in), &lower, &upper);

	EXPECT(lower <= upper);
	EXPECT((code == GR_OK) == (isfinite(lower) && isfinite(upper)));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		in = {data, size};
	bool		ordinary = take_below(&in, 4) > 0;
	bool		half_widths = take_below(&in, 2) == 0;
	int			nlimits = take_below(&in, MAX_LIMITS + 1);
	GrSetting	arms[MAX_LIMITS + 1][MAX_ARMS];
	GrConstraint limit[MAX_LIMITS];
	GrGoal		goal = {.sign = take_below(&in, 2) ? 1 : -1, .alpha = 0.05};
	GrOptimum	best;

	check_ratio(&in);
	if (gr_response_fit(arms[0], take_arms(&in, arms[0], ordinary, half_widths), &goal.response) != GR_OK)
		return 0;
	EXPECT(goal.response.df == 0 ? isnan(goal.response.p_fit) : !(goal.response.p_fit < 0 || goal.response.p_fit > 1));
	for (int k = 0; k < nlimits; k++)
	{
		GrConstraint *c = &limit[k];

		memset(c, 0, sizeof(*c));
		c->sign = take_below(&in, 2) ? 1 : -1;
		c->factor = take_any(&in, ordinary);
		c->offset = take_any(&in, ordinary);
		c->level = 0.05;
		c->reference_fitted = take_below(&in, 2) == 0;
		c->reference.setting = ordinary ? take_below(&in, 7) : take_double(&in);
		c->reference.value = take_any(&in, ordinary);
		c->reference.variance = fabs(take_any(&in, ordinary));
		c->reference.half_width = fabs(take_any(&in, ordinary));
		if (gr_response_fit(arms[k + 1], take_arms(&in, arms[k + 1], ordinary, half_widths), &c->response) != GR_OK)
			return 0;
		gr_constraint_prepare(c);
	}
	gr_optimize(&goal, limit, nlimits, &best);
	EXPECT(best.nnext >= 0 && best.nnext <= GR_MAX_NEXT);
	EXPECT((best.status == GR_SETTING_FOUND) == !isnan(best.setting));
	for (int k = 0; k < nlimits && best.status == GR_SETTING_FOUND; k++)
		EXPECT(gr_constraint_at(&limit[k], best.setting).upper <= 0);
	return 0;
}
