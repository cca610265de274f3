/*
 * sequential.c
 *	  Tests that may be looked at again and again, and their planning, on plain
 *	  numbers, as SQL functions.
 *
 * The statistics are those of src/stats; here arguments are checked.  What is
 * beyond the largest double is an overflow error where a size was asked for,
 * and Infinity where evidence was.
 */
#include "base/guardrail.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/float.h"

PG_FUNCTION_INFO_V1(guardrail_sequential);
PG_FUNCTION_INFO_V1(guardrail_spending_bounds);
PG_FUNCTION_INFO_V1(guardrail_srm_sequential);
PG_FUNCTION_INFO_V1(guardrail_sample_size);
PG_FUNCTION_INFO_V1(guardrail_mde);

static int
read_sides(FunctionCallInfo fcinfo, int i)
{
	int			sides;

	if (PG_ARGISNULL(i))
		ereport(ERROR,
				(errcode(ERRCODE_NULL_VALUE_NOT_ALLOWED),
				 errmsg("argument \"sides\" must not be NULL")));
	sides = PG_GETARG_INT32(i);
	if (sides != 1 && sides != 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"sides\" must be 1 or 2"),
				 errdetail("It is %d.", sides)));
	return sides;
}

/* min(1, 1/e) */
static double
e_to_p(double log_e)
{
	return isnan(log_e) ? NAN : Min(1.0, exp(-log_e));
}

/*
 * guardrail_sequential(estimate, se, n, planned_n, alpha, sides)
 *
 * H0 is effect = 0 (sides 2) or effect <= 0 (sides 1, bounded below).  The
 * lower bound lies above 0 exactly when the e-value passes 1/alpha.
 */
Datum
guardrail_sequential(PG_FUNCTION_ARGS)
{
	double		estimate = gr_arg_number(fcinfo, 0, "estimate");
	double		se = gr_arg_number_in(fcinfo, 1, "se", 0, INFINITY, true);
	double		n = gr_arg_number_in(fcinfo, 2, "n", 0, INFINITY, true);
	double		planned_n = gr_arg_number_in(fcinfo, 3, "planned_n", 0, INFINITY, true);
	int			sides = read_sides(fcinfo, 5);
	double		alpha = gr_arg_number_in(fcinfo, 4, "alpha", 0,
										 sides == 1 ? 0.5 : 1, true);
	double		rho = gr_mixture_rho(planned_n, alpha, sides);
	double		half = gr_mixture_multiplier(n, rho, alpha, sides) * se;
	double		log_e = gr_mixture_log_e(estimate / se, n, rho, sides);
	double		values[4];

	values[0] = estimate - half;
	values[1] = sides == 1 ? INFINITY : estimate + half;
	values[2] = log_e;
	values[3] = e_to_p(log_e);
	return gr_float8_record(fcinfo, values, lengthof(values));
}

/* Increasing fractions in (0, 1], one for each look. */
static double *
read_fractions(FunctionCallInfo fcinfo, int i, int *n)
{
	double	   *fractions = gr_arg_float8_array(fcinfo, i, "fractions", n);

	if (*n < 1 || *n > GR_MAX_LOOKS)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"fractions\" must have between 1 and %d elements",
						GR_MAX_LOOKS),
				 errdetail("It has %d.", *n)));
	for (int k = 0; k < *n; k++)
	{
		if (fractions[k] <= 0 || fractions[k] > 1)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("argument \"fractions\" must contain numbers above 0 and up to 1 only"),
					 errdetail("Element %d is %g.", k + 1, fractions[k])));
		if (k > 0 && fractions[k] <= fractions[k - 1])
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("argument \"fractions\" must increase from element to element"),
					 errdetail("Element %d is %g after %g.", k + 1, fractions[k],
							   fractions[k - 1])));
	}
	return fractions;
}

/*
 * guardrail_spending_bounds(fractions, alpha, sides, spending, phi)
 *
 * Look by look, since a thousand of them take a second and must be cancellable.
 */
Datum
guardrail_spending_bounds(PG_FUNCTION_ARGS)
{
	/* the order of GrSpending */
	static const char *const spendings[] = {"obrien_fleming", "pocock", "power", NULL};
	int			n;
	double	   *fractions = read_fractions(fcinfo, 0, &n);
	double		alpha = gr_arg_number_in(fcinfo, 1, "alpha", 0, 1, true);
	int			sides = read_sides(fcinfo, 2);
	GrSpending	spending = (GrSpending) gr_arg_choice(fcinfo, 3, "spending", spendings);
	double		phi = gr_arg_number_in(fcinfo, 4, "phi", 0, INFINITY, true);
	GrLookState *states = palloc(2 * sizeof(GrLookState));
	Datum	   *bounds = palloc(sizeof(Datum) * n);

	gr_look_init(&states[0], sides);
	for (int k = 0; k < n; k++)
	{
		double		spent = gr_alpha_spent(spending, phi, fractions[k], alpha, sides);
		double		bound;

		CHECK_FOR_INTERRUPTS();
		if (gr_look_bound(&states[k % 2], fractions[k], spent, &bound,
						  k + 1 < n ? &states[(k + 1) % 2] : NULL) != GR_OK)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("could not find a bound for element %d of argument \"fractions\"",
							k + 1),
					 errdetail("Its fraction is %.17g, and the level spent up to it is %g.",
							   fractions[k], spent),
					 errhint("Use looks that are further apart, or a smaller \"alpha\".")));
		bounds[k] = Float8GetDatum(bound);
	}
	PG_RETURN_ARRAYTYPE_P(construct_array(bounds, n, FLOAT8OID, 8,
										  FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
}

/* guardrail_srm_sequential(counts, shares, prior) */
Datum
guardrail_srm_sequential(PG_FUNCTION_ARGS)
{
	int			n;
	double	   *shares;
	int64	   *counts = gr_arg_split(fcinfo, 0, 1, &n, &shares);
	double		prior = gr_arg_number_in(fcinfo, 2, "prior", 0, INFINITY, true);
	double		values[2];

	(void) gr_srm_sequential(counts, shares, n, prior, true, &values[0]);
	values[1] = e_to_p(values[0]);
	return gr_float8_record(fcinfo, values, lengthof(values));
}

/* guardrail_sample_size(sd, effect, margin, alpha, power, sides, ratio) */
Datum
guardrail_sample_size(PG_FUNCTION_ARGS)
{
	double		sd = gr_arg_number_in(fcinfo, 0, "sd", 0, INFINITY, true);
	double		effect = gr_arg_number(fcinfo, 1, "effect");
	double		margin = gr_arg_number(fcinfo, 2, "margin");
	double		alpha = gr_arg_number_in(fcinfo, 3, "alpha", 0, 1, true);
	double		power = gr_arg_number_in(fcinfo, 4, "power", 0, 1, true);
	int			sides = read_sides(fcinfo, 5);
	double		ratio = gr_arg_number_in(fcinfo, 6, "ratio", 0, INFINITY, true);
	double		n;

	if (effect == margin)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("argument \"effect\" must differ from \"margin\""),
				 errdetail("Both are %g.", effect),
				 errhint("Use an effect other than the margin: no number of units can distinguish the two.")));
	if (gr_sample_size(sd, effect, margin, alpha, power, sides, ratio, &n) != GR_OK)
		float_overflow_error();
	PG_RETURN_FLOAT8(n);
}

/* guardrail_mde(sd, n_t, n_c, alpha, power, sides) */
Datum
guardrail_mde(PG_FUNCTION_ARGS)
{
	double		sd = gr_arg_number_in(fcinfo, 0, "sd", 0, INFINITY, true);
	double		n_t = gr_arg_number_in(fcinfo, 1, "n_t", 0, INFINITY, true);
	double		n_c = gr_arg_number_in(fcinfo, 2, "n_c", 0, INFINITY, true);
	double		alpha = gr_arg_number_in(fcinfo, 3, "alpha", 0, 1, true);
	double		power = gr_arg_number_in(fcinfo, 4, "power", 0, 1, true);
	int			sides = read_sides(fcinfo, 5);
	double		effect;

	if (gr_mde(sd, n_t, n_c, alpha, power, sides, &effect) != GR_OK)
		float_overflow_error();
	PG_RETURN_FLOAT8(effect);
}
