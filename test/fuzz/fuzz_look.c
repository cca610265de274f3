/*
 * fuzz_look.c
 *	  Group sequential looks: any fractions, any spending, and states whose
 *	  bytes came from elsewhere.
 */
#include "fuzz.h"

#define MAX_STEPS 5

static GrLookState states[2];

/* What has not crossed and what has been spent make up everything. */
static void
check_state(const GrLookState *state, double bound)
{
	double		mass = state->spent;

	EXPECT(gr_look_valid(state));
	EXPECT(state->npoints > 0);
	for (int i = 0; i < state->npoints; i++)
		mass += state->w[i];
	EXPECT_WITH(fabs(mass - 1.0) <= 1e-6 * state->looks, "mass - 1 is %.3g after look %d at "
				"%.17g, bound %.17g, spent %.17g, sides %d", mass - 1.0,
				state->looks, state->t, bound, state->spent, state->sides);
}

/*
 * The next fraction: an ordinary step, one close to the last, one far away, or
 * anything.
 */
static double
take_fraction(Input *in, double t)
{
	switch (take_below(in, 5))
	{
		case 0:
			return t == 0.0 ? take_scale(in, -9.0, 0.0)
				: t * (1.0 + take_scale(in, -15.0, -2.0));
		case 1:
			return t + take_scale(in, -12.0, 3.0);
		case 2:
			return take_double(in);
		default:
			return t + take_unit(in) * 0.5;
	}
}

static void
fuzz_looks(Input *in)
{
	int			sides = 1 + take_below(in, 2);
	int			steps = 1 + take_below(in, MAX_STEPS);
	GrSpending	spending = (GrSpending) take_below(in, 3);
	double		alpha = take_scale(in, -12.0, -0.01);
	double		phi = take_scale(in, -2.0, 2.0);
	bool		designed = take_below(in, 2) == 0;
	bool		crowded = false;
	GrLookState *state = &states[0];
	GrLookState *next = &states[1];

	gr_look_init(state, sides);
	for (int i = 0; i < steps; i++)
	{
		GrLookState *swap;
		double		t = take_fraction(in, state->t);
		double		spent = designed ? gr_alpha_spent(spending, phi, t, alpha, sides)
			: state->spent + (1.0 - state->spent) * take_scale(in, -40.0, -0.001);
		double		bound;
		double		back;
		GrCode		code = gr_look_bound(state, t, spent, &bound, next);

		crowded = crowded || t - state->t < 1e-6 * t;
		if (code != GR_OK)
		{
			/* refused: an argument out of range, or steps too small to take */
			EXPECT_WITH(!(t > state->t) || !isfinite(t) || t < DBL_MIN ||
						!(spent >= 0.0 && spent < 1.0) || spent > 0.4 ||
						crowded,
						"code %d, look %d, t %.17g after %.17g, spent %.17g "
						"after %.17g", (int) code, state->looks + 1, t,
						state->t, spent, state->spent);
			EXPECT(isnan(bound));
			return;
		}
		EXPECT(!isnan(bound) && (sides == 1 || bound >= 0.0));
		check_state(next, bound);
		EXPECT(gr_look_spent(state, t, bound, &back, NULL) == GR_OK);
		EXPECT_WITH(fabs(back - next->spent) <= 1e-9 * back + 1e-15,
					"bound %.17g spends %.17g for %.17g", bound, back,
					next->spent);
		swap = state;
		state = next;
		next = swap;
	}
}

/* A state with some bytes changed: refused, or used without harm. */
static void
fuzz_bytes(Input *in)
{
	GrLookState *state = &states[0];
	int			sides = 1 + take_below(in, 2);
	int			changes = 1 + take_below(in, 8);
	double		bound;
	double		t;
	GrCode		code;

	gr_look_init(&states[1], sides);
	EXPECT(gr_look_bound(&states[1], 0.3, 0.02, &bound, state) == GR_OK);
	for (int i = 0; i < changes; i++)
	{
		uint16_t	at;

		take_bytes(in, &at, sizeof(at));
		if (take_below(in, 2) == 0)
			at %= offsetof(GrLookState, x);
		take_bytes(in, (uint8_t *) state + at % sizeof(*state),
				   at % sizeof(*state) + 8 <= sizeof(*state) ? 1 + at % 8 : 1);
	}
	t = take_fraction(in, 0.3);
	code = gr_look_bound(state, t, take_unit(in), &bound, &states[1]);
	if (code == GR_OK)
		EXPECT(!isnan(bound) && gr_look_valid(&states[1]));
	else
		EXPECT(isnan(bound) || code == GR_NO_CONVERGENCE);
	code = gr_look_spent(state, t, take_double(in), &bound, &states[1]);
	if (code == GR_OK)
		EXPECT(is_probability(bound));
}

/* The wrapper over several looks, with anything. */
static void
fuzz_bounds(Input *in)
{
	double		fractions[MAX_STEPS];
	double		bounds[MAX_STEPS];
	int			k = take_below(in, MAX_STEPS + 1);
	double		t = 0.0;
	GrCode		code;

	for (int i = 0; i < k; i++)
		t = fractions[i] = take_below(in, 4) == 0 ? take_double(in)
			: t + take_unit(in) / MAX_STEPS;
	code = gr_spending_bounds(fractions, k, take_double(in),
							  take_below(in, 4),
							  (GrSpending) take_below(in, 4), take_double(in),
							  bounds, states);
	EXPECT(code == GR_OK || code == GR_BAD_ARGUMENT);
	for (int i = 0; i < k && code == GR_OK; i++)
		EXPECT(!isnan(bounds[i]));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	Input		in = {data, size};

	switch (take_below(&in, 4))
	{
		case 0:
			fuzz_bytes(&in);
			break;
		case 1:
			fuzz_bounds(&in);
			break;
		default:
			fuzz_looks(&in);
	}
	return 0;
}
