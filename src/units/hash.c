/*
 * hash.c
 *	  Values as doubles, units as 64-bit hashes.
 *
 * Integers are hashed by their eight bytes: the server's own hash of bigint
 * folds it to 32 bits first, which would make distinct units collide.
 */
#include "units/hash.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "utils/fmgrprotos.h"
#include "utils/numeric.h"
#include "utils/typcache.h"
#include "utils/uuid.h"

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

/*
 * numeric to double: where the digits make an integer of at most 2^53, times or
 * divided by a power of ten that is a double too, one operation rounds as
 * reading the text would (Clinger 1990).  Everything else, NaN and infinities
 * included, goes through the server's own conversion.
 *
 * The stored form of numeric is private to numeric.c, but fixed by the files of
 * every cluster: header, weight, digits to the base 10000, the first worth
 * 10000^weight.
 */
double
gr_numeric_number(Datum value)
{
	static const double power[] = {1, 1e4, 1e8, 1e12, 1e16, 1e20};
	struct varlena *v = gr_packed(value);
	const char *data = VARDATA_ANY(v);
	int			size = VARSIZE_ANY_EXHDR(v);
	uint16		header,
				digit;
	int			at = sizeof(uint16);
	int16		weight;
	bool		negative;
	uint64		integer = 0;

	memcpy(&header, data, sizeof(header));
	if ((header & 0xC000) == 0x8000)	/* the short form: sign, scale, weight in one */
	{
		negative = (header & 0x2000) != 0;
		weight = (int16) ((header & 0x003F) - (header & 0x0040));
	}
	else if ((header & 0xC000) != 0xC000)
	{
		negative = (header & 0x4000) != 0;
		memcpy(&weight, data + at, sizeof(weight));
		at += sizeof(weight);
	}
	else
		at = size + 1;			/* no number */
	if (at <= size && size - at <= 4 * (int) sizeof(uint16))
	{
		for (; at < size; at += sizeof(uint16), weight--)
		{
			memcpy(&digit, data + at, sizeof(digit));
			integer = integer * 10000 + digit;
		}
		/* the last digit is worth 10000^(weight + 1) */
		if (integer <= UINT64CONST(1) << 53 && weight >= -6 && weight <= 4)
		{
			double		x = (double) integer;

			x = weight >= -1 ? x * power[weight + 1] : x / power[-weight - 1];
			return negative ? -x : x;
		}
	}
	return DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow, value));
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
				 errmsg("values of type %s cannot be hashed", format_type_be(type))));
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
				struct varlena *v = gr_packed(unit);

				return hash_bytes_extended((unsigned char *) VARDATA_ANY(v),
										   VARSIZE_ANY_EXHDR(v), 0);
			}
			return DatumGetUInt64(FunctionCall2Coll(&how->cache->hash_extended_proc_finfo,
													how->collation, unit,
													Int64GetDatum(0)));
	}
	return hash_bytes_extended((unsigned char *) &integer, sizeof(integer), 0);
}
