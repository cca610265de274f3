/*
 * hash.c
 *	  Values as doubles, units as 64-bit hashes.
 *
 * Integers are hashed by their eight bytes: the server's own hash of bigint
 * folds it to 32 bits first, which would make distinct units collide.
 */
#include "units/collect.h"

#include <math.h>

#include "catalog/pg_collation.h"
#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/fmgrprotos.h"
#include "utils/typcache.h"
#include "utils/uuid.h"
#include "units/collection.h"

PG_FUNCTION_INFO_V1(guardrail_batch);
PG_FUNCTION_INFO_V1(guardrail_unit_hash);
PG_FUNCTION_INFO_V1(guardrail_number);

bool
gr_is_number_type(Oid type)
{
	switch (getBaseType(type))
	{
		case BOOLOID:
		case INT2OID:
		case INT4OID:
		case INT8OID:
		case FLOAT4OID:
		case FLOAT8OID:
		case NUMERICOID:
			return true;
	}
	return false;
}

double
gr_number(Datum value, Oid basetype)
{
	switch (basetype)
	{
		case BOOLOID:
			return DatumGetBool(value) ? 1 : 0;
		case INT2OID:
			return DatumGetInt16(value);
		case INT4OID:
			return DatumGetInt32(value);
		case INT8OID:
			return (double) DatumGetInt64(value);
		case FLOAT4OID:
			return DatumGetFloat4(value);
		case FLOAT8OID:
			return DatumGetFloat8(value);
		case NUMERICOID:
			return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, value));
	}
	elog(ERROR, "type %u is no number", basetype);
}

void
gr_unit_hash_init(UnitHash *how, Oid type, Oid collation)
{
	how->basetype = getBaseType(type);
	how->collation = collation;
	how->cache = lookup_type_cache(how->basetype, TYPECACHE_HASH_EXTENDED_PROC_FINFO);
	how->bytes = (how->basetype == TEXTOID || how->basetype == VARCHAROID) &&
		(!OidIsValid(collation) || get_collation_isdeterministic(collation));
	if (!OidIsValid(how->cache->hash_extended_proc))
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_FUNCTION),
				 errmsg("units of type %s cannot be hashed", format_type_be(type))));
}

uint64
gr_unit_hash(const UnitHash *how, Datum unit)
{
	int64		integer;

	switch (how->basetype)
	{
		case INT2OID:
			integer = DatumGetInt16(unit);
			break;
		case INT4OID:
			integer = DatumGetInt32(unit);
			break;
		case INT8OID:
			integer = DatumGetInt64(unit);
			break;
		case UUIDOID:
			return hash_bytes_extended(DatumGetUUIDP(unit)->data, UUID_LEN, 0);
		default:
			if (how->bytes)
			{
				struct varlena *v = PG_DETOAST_DATUM_PACKED(unit);

				return hash_bytes_extended((unsigned char *) VARDATA_ANY(v),
										   VARSIZE_ANY_EXHDR(v), 0);
			}
			return DatumGetUInt64(FunctionCall2Coll(&how->cache->hash_extended_proc_finfo,
													how->collation, unit,
													Int64GetDatum(0)));
	}
	return hash_bytes_extended((unsigned char *) &integer, sizeof(integer), 0);
}

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
					 errmsg("could not determine the type of the unit")));
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
