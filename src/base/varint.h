/*
 * varint.h
 *	  Whole numbers in as few bytes as they need: seven bits a byte, the lowest
 *	  first; signed ones zigzag.  For bytes that may be anyone's, unlike number.h.
 */
#ifndef GR_VARINT_H
#define GR_VARINT_H

#include "base/guardrail.h"
#include "lib/stringinfo.h"
#include "base/number.h"

static inline void
gr_put_varint(StringInfo buf, uint64 x)
{
	while (x >= 0x80)
	{
		appendStringInfoCharMacro(buf, (char) (x | 0x80));
		x >>= 7;
	}
	appendStringInfoCharMacro(buf, (char) x);
}

static inline void
gr_put_signed(StringInfo buf, int64 x)
{
	gr_put_varint(buf, gr_zigzag(x));
}

/* False at the end of the bytes, or when it is too long. */
static inline bool
gr_get_varint(const char **p, const char *end, uint64 *x)
{
	*x = 0;
	for (int shift = 0; shift < 64; shift += 7)
	{
		uint8		byte;

		if (*p >= end)
			return false;
		byte = (uint8) *(*p)++;
		*x |= (uint64) (byte & 0x7f) << shift;
		if (byte < 0x80)
			return true;
	}
	return false;
}

static inline bool
gr_get_signed(const char **p, const char *end, int64 *x)
{
	uint64		u;

	if (!gr_get_varint(p, end, &u))
		return false;
	*x = gr_unzigzag(u);
	return true;
}

#endif							/* GR_VARINT_H */
