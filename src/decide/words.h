/*
 * words.h
 *	  The words and numbers that reasons are made of.
 */
#ifndef GR_WORDS_H
#define GR_WORDS_H

#include "decide/decide.h"

#define NUMBER_SIZE 128
#define UNIT_SIZE 80
#define NAME_SIZE 60

/* Add to a text; what does not fit is cut off before a character. */
extern void gr_append(char *buf, size_t size, const char *format,...) GR_PRINTF(3, 4);

/* digits significant digits, never an exponent where a person reads one badly */
extern void gr_format_number(double x, int digits, bool sign, char *buf, size_t size);

/* A whole number with its thousands apart, or about that: three digits. */
extern void gr_format_whole(double n, char *buf, size_t size);
extern void gr_format_count(double n, char *buf, size_t size);

/* A limit that was changed: "200 -> 250 ms". */
extern void gr_format_limits(const GrRule *was, const GrRule *is, const char *arrow, char *buf, size_t size);

/* The limit as it was written; a bound, with more digits when it would look like the limit. */
extern void gr_format_limit(const GrRule *rule, char *buf, size_t size);
extern void gr_format_bound(const GrRule *rule, double x, char *buf, size_t size);

#endif							/* GR_WORDS_H */
