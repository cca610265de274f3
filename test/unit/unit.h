/*
 * unit.h
 *	  A test program in plain C: checks that count, truth from tab-separated
 *	  files, random numbers that repeat.
 *
 * A program calls CHECK... and ends with "return unit_report();".
 */
#ifndef UNIT_H
#define UNIT_H

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNIT_UNUSED __attribute__((unused))

static long unit_passed;
static long unit_failed;
static const char *unit_name = __BASE_FILE__;

static UNIT_UNUSED bool
unit_check(bool ok, const char *file, int line, const char *format,...)
{
	va_list		args;

	if (ok)
	{
		unit_passed++;
		return true;
	}
	unit_failed++;
	if (unit_failed <= 50)
	{
		printf("%s:%d: ", file, line);
		va_start(args, format);
		vprintf(format, args);
		va_end(args);
		printf("\n");
	}
	return false;
}

/* Equal within tolerance * |expected| + slack; infinities and NaN alike. */
static UNIT_UNUSED bool
unit_close(double got, double expected, double tolerance, double slack)
{
	if (isnan(expected) || isnan(got))
		return isnan(expected) && isnan(got);
	if (isinf(expected) || isinf(got))
		return got == expected;
	return fabs(got - expected) <= tolerance * fabs(expected) + slack;
}

#define CHECK(condition) \
	unit_check(condition, __FILE__, __LINE__, "%s", #condition)
#define CHECK_IN(label, condition) \
	unit_check(condition, __FILE__, __LINE__, "%s: %s", label, #condition)
#define CHECK_CLOSE(label, got, expected, tolerance, slack) \
	do { \
		double		got_ = (got); \
		double		expected_ = (expected); \
		unit_check(unit_close(got_, expected_, tolerance, slack), \
				   __FILE__, __LINE__, "%s: %s is %.17g, expected %.17g", \
				   label, #got, got_, expected_); \
	} while (0)

/* Vectors of a truth file that are not compared, and why. */
static UNIT_UNUSED void
unit_skip(int vectors, const char *why)
{
	if (vectors > 0)
		printf("skip %d: %s\n", vectors, why);
}

static UNIT_UNUSED int
unit_report(void)
{
	const char *base = strrchr(unit_name, '/');
	int			length;

	base = base == NULL ? unit_name : base + 1;
	length = (int) strcspn(base, ".");
	printf("%.*s: %ld passed, %ld failed\n", length, base, unit_passed,
		   unit_failed);
	return unit_failed == 0 && unit_passed > 0 ? 0 : 1;
}

/* ---- random numbers (splitmix64) ---------------------------------------- */

typedef uint64_t Random;

static UNIT_UNUSED uint64_t
random_bits(Random *r)
{
	uint64_t	z = (*r += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static UNIT_UNUSED double
random_uniform(Random *r)
{
	return ((double) (random_bits(r) >> 11) + 0.5) * 0x1p-53;
}

static UNIT_UNUSED int
random_below(Random *r, int n)
{
	return (int) (random_bits(r) % (uint64_t) n);
}

static UNIT_UNUSED double
random_normal(Random *r)
{
	double		u = random_uniform(r);

	return sqrt(-2.0 * log(u)) * cos(6.283185307179586 * random_uniform(r));
}

/* Any bit pattern: every exponent, NaN and infinities among them. */
static UNIT_UNUSED double
random_double(Random *r)
{
	uint64_t	bits = random_bits(r);
	double		x;

	memcpy(&x, &bits, sizeof(x));
	return x;
}

/* ---- truth files ---------------------------------------------------------- */

#define TRUTH_COLUMNS 40

/*
 * A tab-separated file: lines that start with # are comments, the first other
 * line names the columns.  NA is no value.
 */
typedef struct Truth
{
	FILE	   *file;
	char	   *header;
	char	   *line;
	size_t		header_size;
	size_t		line_size;
	int			ncolumns;
	char	   *column[TRUTH_COLUMNS];
	char	   *field[TRUTH_COLUMNS];
	int			rows;
} Truth;

static UNIT_UNUSED int
truth_split(char *line, char **parts)
{
	int			n = 0;

	line[strcspn(line, "\r\n")] = '\0';
	while (n < TRUTH_COLUMNS)
	{
		parts[n++] = line;
		line = strchr(line, '\t');
		if (line == NULL)
			break;
		*line++ = '\0';
	}
	return n;
}

static UNIT_UNUSED void
truth_open(Truth *truth, const char *name)
{
	char		path[4096];

	memset(truth, 0, sizeof(*truth));
	snprintf(path, sizeof(path), "%s/%s.tsv", TRUTH_DIR, name);
	truth->file = fopen(path, "r");
	if (truth->file == NULL)
	{
		unit_check(false, __FILE__, __LINE__, "cannot open %s", path);
		return;
	}
	while (getline(&truth->header, &truth->header_size, truth->file) > 0)
	{
		if (truth->header[0] != '#')
		{
			truth->ncolumns = truth_split(truth->header, truth->column);
			return;
		}
	}
}

/* The next row; closes the file after the last. */
static UNIT_UNUSED bool
truth_next(Truth *truth)
{
	if (truth->file == NULL)
		return false;
	if (getline(&truth->line, &truth->line_size, truth->file) > 0)
	{
		if (truth_split(truth->line, truth->field) != truth->ncolumns)
		{
			unit_check(false, __FILE__, __LINE__, "ragged row %d",
					   truth->rows);
			exit(1);
		}
		truth->rows++;
		return true;
	}
	fclose(truth->file);
	unit_check(truth->rows > 0, __FILE__, __LINE__, "empty truth file");
	free(truth->line);
	free(truth->header);
	truth->file = NULL;
	return false;
}

static UNIT_UNUSED const char *
truth_text(const Truth *truth, const char *column)
{
	for (int i = 0; i < truth->ncolumns; i++)
	{
		if (strcmp(truth->column[i], column) == 0)
			return truth->field[i];
	}
	printf("no column %s\n", column);
	exit(1);
}

static UNIT_UNUSED bool
truth_given(const Truth *truth, const char *column)
{
	return strcmp(truth_text(truth, column), "NA") != 0;
}

static UNIT_UNUSED double
truth_number(const Truth *truth, const char *column)
{
	const char *text = truth_text(truth, column);

	return strcmp(text, "NA") == 0 ? NAN : strtod(text, NULL);
}

/* A list separated by commas; how many. */
static UNIT_UNUSED int
truth_list(const Truth *truth, const char *column, double *values, int room)
{
	const char *text = truth_text(truth, column);
	int			n = 0;

	if (strcmp(text, "NA") == 0)
		return 0;
	for (;;)
	{
		char	   *end;

		if (n == room)
		{
			printf("list too long\n");
			exit(1);
		}
		values[n++] = strtod(text, &end);
		if (*end != ',')
			return n;
		text = end + 1;
	}
}

#endif							/* UNIT_H */
