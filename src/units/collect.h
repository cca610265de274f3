/*
 * collect.h
 *	  What the aggregate and the two-level shape share: values and hashes.
 */
#ifndef GR_COLLECT_H
#define GR_COLLECT_H

#include "guardrail.h"

/* Types a value may have. */
extern bool gr_is_number_type(Oid type);

/* Its value as a double; numeric beyond double's range is an infinity. */
extern double gr_number(Datum value, Oid basetype);

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

#endif							/* GR_COLLECT_H */
