/*
 * values.c
 *	  What the two-level shape calls for values and units in SQL: the same numbers
 *	  and hashes as the aggregate makes of them.
 */
#include "units/hash.h"

#include <math.h>

#include "units/collection.h"
#include "utils/float.h"
#include "utils/numeric.h"

PG_FUNCTION_INFO_V1(guardrail_batch);
PG_FUNCTION_INFO_V1(guardrail_unit_hash);
PG_FUNCTION_INFO_V1(guardrail_number);
PG_FUNCTION_INFO_V1(guardrail_category);
PG_FUNCTION_INFO_V1(guardrail_distinct);
PG_FUNCTION_INFO_V1(guardrail_entropy);

/* The hash of argument 0, which is not NULL. */
static uint64
hash_argument(FunctionCallInfo fcinfo)
{
	UnitHash   *how = fcinfo->flinfo->fn_extra;

	if (how == NULL)
	{
		Oid			type = get_fn_expr_argtype(fcinfo->flinfo, 0);

		if (!OidIsValid(type))
			ereport(ERROR,
					(errcode(ERRCODE_INDETERMINATE_DATATYPE),
					 errmsg("could not determine the type of the value to hash")));
		how = MemoryContextAllocZero(fcinfo->flinfo->fn_mcxt, sizeof(UnitHash));
		gr_unit_hash_init(how, type, PG_GET_COLLATION());
		fcinfo->flinfo->fn_extra = how;
	}
	return gr_unit_hash(how, PG_GETARG_DATUM(0));
}

/*
 * guardrail_batch(unit "any"): the batch of a unit, from the same hash as
 * guardrail_collect's.
 */
Datum
guardrail_batch(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_INT32(gr_batch_of(hash_argument(fcinfo)));
}

/* guardrail_unit_hash(unit "any"): the hash itself */
Datum
guardrail_unit_hash(PG_FUNCTION_ARGS)
{
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	PG_RETURN_INT64((int64) hash_argument(fcinfo));
}

/* guardrail_number(numeric): as float8, infinite where float8 has no such number */
Datum
guardrail_number(PG_FUNCTION_ARGS)
{
	PG_RETURN_FLOAT8(gr_number(PG_GETARG_DATUM(0), NUMERICOID));
}

/* Is a numeric NaN or infinite? */
static bool
is_special(Datum value)
{
	Numeric		n = DatumGetNumeric(value);

	return numeric_is_nan(n) || numeric_is_inf(n);
}

/*
 * guardrail_category(value "any"): a number that stands for the value, 53 bits of
 * its hash: of n different values two share one with probability n^2/2^54.  NaN for
 * a number that is not finite.
 */
Datum
guardrail_category(PG_FUNCTION_ARGS)
{
	uint64		hash;
	Oid			type;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	hash = hash_argument(fcinfo);
	type = ((UnitHash *) fcinfo->flinfo->fn_extra)->basetype;
	/* only these can hold one */
	if ((type == FLOAT8OID && !isfinite(PG_GETARG_FLOAT8(0))) ||
		(type == FLOAT4OID && !isfinite(PG_GETARG_FLOAT4(0))) ||
		(type == NUMERICOID && is_special(PG_GETARG_DATUM(0))))
		PG_RETURN_FLOAT8(get_float8_nan());
	PG_RETURN_FLOAT8((double) (hash >> 11));
}

/* guardrail_distinct(categories), guardrail_entropy(categories): of one unit */
Datum
guardrail_distinct(PG_FUNCTION_ARGS)
{
	int			n;
	double	   *values = gr_arg_float8_array(fcinfo, 0, "categories", &n);

	PG_RETURN_FLOAT8(gr_distinct(values, n));
}

Datum
guardrail_entropy(PG_FUNCTION_ARGS)
{
	int			n;
	double	   *values = gr_arg_float8_array(fcinfo, 0, "categories", &n);

	if (n == 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(gr_entropy(values, n));
}
