/*
 * bin.h
 *	  The bin of a number in a histogram.
 *
 * Apart from stats.h because it is computed for every event: inline.
 */
#ifndef GR_BIN_H
#define GR_BIN_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/*
 * Log-linear bins on the bits of an IEEE-754 double, as HdrHistogram and
 * circllhist do: sign, exponent, and the first 10 bits of the mantissa, which
 * together grow with the number; one up, to leave 0 for zero.  Bin 0
 * holds zero alone; positive x has a positive bin that grows with x, and
 * bin(-x) = -bin(x).  A bin's width is at most 2^-10 of its edge nearer zero
 * (subnormal numbers aside).  gr_bin is for finite x only.
 */
#define GR_BIN_MAX ((int32_t) (2047 << 10))
#define GR_BIN_DROPPED_BITS 42

static inline int32_t
gr_bin(double x)
{
	uint64_t	bits;
	int32_t		bin;

	if (x == 0.0 || isnan(x))
		return 0;
	memcpy(&bits, &x, sizeof(bits));
	bits &= UINT64_MAX >> 1;
	if (bits > UINT64_C(0x7fefffffffffffff))	/* DBL_MAX */
		bits = UINT64_C(0x7fefffffffffffff);
	bin = (int32_t) (bits >> GR_BIN_DROPPED_BITS) + 1;
	return x < 0.0 ? -bin : bin;
}

#endif							/* GR_BIN_H */
