/*
 * fuzz.h
 *	  From a string of bytes to arguments, for the fuzz targets.
 *
 * Every read succeeds: after the last byte there are zeros.  A target must
 * never crash, never show undefined behaviour and never fail EXPECT; whatever
 * it reads is a legal call, since the functions are total.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <float.h>
#include <math.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "stats.h"

extern int	LLVMFuzzerInitialize(int *argc, char ***argv);
extern int	LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define FUZZ_UNUSED __attribute__((unused))

#define EXPECT(condition) \
	do { \
		if (!(condition)) \
		{ \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, \
					#condition); \
			abort(); \
		} \
	} while (0)

/* The same, with the numbers that break it. */
#define EXPECT_WITH(condition, ...) \
	do { \
		if (!(condition)) \
		{ \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, \
					#condition); \
			fprintf(stderr, __VA_ARGS__); \
			fprintf(stderr, "\n"); \
			abort(); \
		} \
	} while (0)

typedef struct Input
{
	const uint8_t *data;
	size_t		left;
} Input;

static FUZZ_UNUSED void
take_bytes(Input *in, void *to, size_t n)
{
	size_t		have = n < in->left ? n : in->left;

	memset(to, 0, n);
	if (have > 0)
		memcpy(to, in->data, have);
	in->data += have;
	in->left -= have;
}

static FUZZ_UNUSED int
take_below(Input *in, int n)
{
	uint8_t		byte;

	take_bytes(in, &byte, 1);
	return byte % n;
}

static FUZZ_UNUSED int64_t
take_int64(Input *in)
{
	int64_t		x;

	take_bytes(in, &x, sizeof(x));
	return x;
}

/* Strictly between 0 and 1. */
static FUZZ_UNUSED double
take_unit(Input *in)
{
	uint32_t	bits;

	take_bytes(in, &bits, sizeof(bits));
	return ((double) bits + 0.5) / 4294967296.0;
}

/* 10^from to 10^to. */
static FUZZ_UNUSED double
take_scale(Input *in, double from, double to)
{
	return pow(10.0, from + (to - from) * take_unit(in));
}

/* Any double: an ordinary one, a special one, or any bits at all. */
static FUZZ_UNUSED double
take_double(Input *in)
{
	static const double special[] = {
		0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 3.0, 1e-300, -1e-300, 5e-324, DBL_MIN,
		DBL_MAX, -DBL_MAX, 1e154, -1e154, 1e15, 1e-15, 9007199254740993.0,
		1.0 + DBL_EPSILON, 1.0 - DBL_EPSILON / 2.0, NAN, INFINITY, -INFINITY
	};
	int			kind = take_below(in, 8);
	double		x;

	if (kind == 0)
		return special[take_below(in, sizeof(special) / sizeof(special[0]))];
	if (kind == 1)
	{
		take_bytes(in, &x, sizeof(x));
		return x;
	}
	if (kind == 2)
		return (double) (take_int64(in) >> take_below(in, 64));
	if (kind == 3)
		return take_scale(in, -320.0, 308.2);
	if (kind == 4)
		return take_unit(in);
	x = take_scale(in, -6.0, 9.0);
	return kind == 5 ? -x : x;
}

static FUZZ_UNUSED bool
near(double a, double b, double tolerance)
{
	return a == b || fabs(a - b) <= tolerance * fmax(fabs(a), fabs(b));
}

static FUZZ_UNUSED bool
is_probability(double p)
{
	return p >= 0.0 && p <= 1.0;
}

int
LLVMFuzzerInitialize(int *argc FUZZ_UNUSED, char ***argv FUZZ_UNUSED)
{
	gr_stats_init();
	return 0;
}

#endif							/* FUZZ_H */
