/*
 * pair.h
 *	  Double-double: a number as the unevaluated sum of two doubles.
 *
 * A sum of n such numbers is off by less than 3 n 2^-106 of the largest partial
 * sum (Joldes, Muller and Popescu 2017).  No operation may be contracted or
 * reordered: compile with -ffp-contract=off, never with -ffast-math.
 */
#ifndef GR_PAIR_H
#define GR_PAIR_H

#include <math.h>
#include <stdbool.h>

typedef struct Pair
{
	double		hi;
	double		lo;
} Pair;

/* a + b without error (Knuth). */
static inline Pair
two_sum(double a, double b)
{
	Pair		r;
	double		bb;

	r.hi = a + b;
	bb = r.hi - a;
	r.lo = (a - (r.hi - bb)) + (b - bb);
	return r;
}

/* The same for |a| >= |b| (Dekker). */
static inline Pair
fast_two_sum(double a, double b)
{
	Pair		r;

	r.hi = a + b;
	r.lo = b - (r.hi - a);
	return r;
}

/* a b without error, unless it is too large or too small. */
static inline Pair
two_product(double a, double b)
{
	Pair		r;

	r.hi = a * b;
	r.lo = fma(a, b, -r.hi);
	return r;
}

static inline Pair
pair_add(Pair a, Pair b)
{
	Pair		s = two_sum(a.hi, b.hi);
	Pair		t = two_sum(a.lo, b.lo);

	s = fast_two_sum(s.hi, s.lo + t.hi);
	return fast_two_sum(s.hi, s.lo + t.lo);
}

static inline Pair
pair_multiply(Pair a, Pair b)
{
	Pair		p = two_product(a.hi, b.hi);

	return fast_two_sum(p.hi, p.lo + (a.hi * b.lo + a.lo * b.hi));
}

/* A quotient, and what its remainder adds to it. */
static inline Pair
pair_over(Pair a, double b)
{
	double		q = a.hi / b;

	return fast_two_sum(q, (fma(-q, b, a.hi) + a.lo) / b);
}

static inline Pair
pair_minus(Pair a)
{
	Pair		r = {-a.hi, -a.lo};

	return r;
}

static inline bool
pair_finite(Pair p)
{
	return isfinite(p.hi) && isfinite(p.lo);
}

#endif							/* GR_PAIR_H */
