/*
 * hash.h
 *	  What a scan makes of values: doubles, and of units 64-bit hashes.
 */
#ifndef GR_HASH_H
#define GR_HASH_H

#include "base/guardrail.h"

#include "catalog/pg_type.h"

/* PG_DETOAST_DATUM_PACKED, without a call where there is nothing to do. */
static inline struct varlena *
gr_packed(Datum value)
{
	struct varlena *v = (struct varlena *) DatumGetPointer(value);

	return VARATT_IS_COMPRESSED(v) || VARATT_IS_EXTERNAL(v) ? pg_detoast_datum_packed(v) : v;
}

/* Types a value may have. */
extern bool gr_is_number_type(Oid type);

/* numeric as a double; an infinity beyond double's range. */
extern double gr_numeric_number(Datum value);

/* A value of a type that is a number, as a double. */
static inline double
gr_number(Datum value, Oid basetype)
{
	switch (basetype)
	{
		case FLOAT8OID:
			return DatumGetFloat8(value);
		case NUMERICOID:
			return gr_numeric_number(value);
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
	}
	elog(ERROR, "type %u is no number", basetype);
}

/* How a unit's 64-bit hash is computed, settled once per scan. */
typedef struct UnitHash
{
	Oid			basetype;
	Oid			collation;
	bool		bytes;			/* varlena hashed as its bytes */
	struct TypeCacheEntry *cache;
} UnitHash;

extern void gr_unit_hash_init(UnitHash *how, Oid type, Oid collation);
extern uint64 gr_unit_hash(const UnitHash *how, Datum unit);

#endif							/* GR_HASH_H */
