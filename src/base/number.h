/*
 * number.h
 *	  Numbers in few bytes, for rows that are spilled.
 *
 * The first byte: below 160 it is the number itself; below 240 one more byte
 * follows, the lower eight bits; up to 246 two to eight more, the lowest first.
 * Signed numbers are zigzag.  A double that is a whole number of up to 53 bits is
 * written as that; others, -0 too, as their bits, behind a byte that says so.
 *
 * Every number is written and read as if it had GR_NUMBER_SIZE bytes: there must be
 * so many, whatever is in them.
 */
#ifndef GR_NUMBER_H
#define GR_NUMBER_H

#include "postgres.h"

#include <math.h>

#define GR_NUMBER_SIZE 9		/* at most */

#define NUMBER_ONE 160			/* first byte of those with one more byte, */
#define NUMBER_MORE 240			/* and with two */
#define NUMBER_NAN 247
#define NUMBER_BITS 248

static inline void
gr_put_bytes(char **p, uint64 x, int n)
{
	for (int i = 0; i < n; i++, x >>= 8)
		*(*p)++ = (char) x;
}

static inline uint64
gr_get_bytes(const char **p, int n)
{
	uint64		x = 0;

	for (int i = 0; i < n; i++)
		x |= (uint64) (uint8) *(*p)++ << (8 * i);
	return x;
}

static inline void
gr_put_number(char **p, uint64 x)
{
	uint64		rest = x - NUMBER_ONE;
	int			n = 2;

	if (x < NUMBER_ONE)
		*(*p)++ = (char) x;
	else if (rest < (NUMBER_MORE - NUMBER_ONE) << 8)
	{
		*(*p)++ = (char) (NUMBER_ONE + (rest >> 8));
		*(*p)++ = (char) rest;
	}
	else
	{
		while (n < 8 && x >> (8 * n) != 0)
			n++;
		*(*p)++ = (char) (NUMBER_MORE + n - 2);
		/* always eight bytes, of which n count: no loop */
		gr_put_bytes(p, x, 8);
		*p -= 8 - n;
	}
}

/* Behind a first byte that is no special one. */
static inline uint64
gr_get_rest(const char **p, uint8 first)
{
	int			n;
	uint64		x;

	if (first < NUMBER_ONE)
		return first;
	if (first < NUMBER_MORE)
		return (((uint64) (first - NUMBER_ONE) << 8) | (uint8) *(*p)++) + NUMBER_ONE;
	n = Min(first - NUMBER_MORE + 2, 8);
	x = gr_get_bytes(p, 8) & (PG_UINT64_MAX >> (64 - 8 * n));
	*p -= 8 - n;
	return x;
}

static inline uint64
gr_get_number(const char **p)
{
	uint8		first = (uint8) *(*p)++;

	return gr_get_rest(p, first);
}

static inline uint64
gr_zigzag(int64 x)
{
	return ((uint64) x << 1) ^ (uint64) (x >> 63);
}

static inline int64
gr_unzigzag(uint64 x)
{
	return (int64) (x >> 1) ^ -(int64) (x & 1);
}

static inline void
gr_put_double(char **p, double x)
{
	int64		whole = fabs(x) < 9007199254740992.0 ? (int64) x : 0;
	double		back = (double) whole;
	uint64		bits,
				back_bits;

	memcpy(&bits, &x, sizeof(bits));
	memcpy(&back_bits, &back, sizeof(back_bits));
	if (bits == back_bits)
		gr_put_number(p, gr_zigzag(whole));
	else if (isnan(x))
		*(*p)++ = (char) NUMBER_NAN;
	else
	{
		*(*p)++ = (char) NUMBER_BITS;
		gr_put_bytes(p, bits, 8);
	}
}

static inline double
gr_get_double(const char **p)
{
	uint8		first = (uint8) *(*p)++;
	uint64		bits;
	double		x;

	if (first == NUMBER_NAN)
		return NAN;
	if (first < NUMBER_NAN)
		return (double) gr_unzigzag(gr_get_rest(p, first));
	bits = gr_get_bytes(p, 8);
	memcpy(&x, &bits, sizeof(x));
	return x;
}

#endif							/* GR_NUMBER_H */
