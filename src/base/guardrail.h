/*
 * guardrail.h
 *	  What the outer ring shares: settings, argument checks, small helpers.
 */
#ifndef GUARDRAIL_H
#define GUARDRAIL_H

#include "base/compat.h"

#include "fmgr.h"
#include "lib/stringinfo.h"
#include "utils/builtins.h"

#include "stats/stats.h"

/* kB of memory that one process may use for the units of a scan */
extern int	guardrail_unit_memory;

/* read what is stored of experiments that have a cursor */
extern bool guardrail_use_slices;

/* milliseconds that a run gives each experiment; 0: any time */
extern int	guardrail_check_timeout;

/* ---- arguments of SQL-callable functions (args.c) ---------------------- */

/* A finite number; NULL, NaN and infinities are errors that name it. */
extern double gr_arg_number(FunctionCallInfo fcinfo, int i, const char *name);

/* The same, and within [lower, upper] or, with open, strictly between. */
extern double gr_arg_number_in(FunctionCallInfo fcinfo, int i, const char *name,
							   double lower, double upper, bool open);
extern int64 gr_arg_int(FunctionCallInfo fcinfo, int i, const char *name,
						int64 lower, int64 upper);
extern char *gr_arg_text(FunctionCallInfo fcinfo, int i, const char *name);

/* One of a list of words that ends with NULL: its position. */
extern int	gr_arg_choice(FunctionCallInfo fcinfo, int i, const char *name,
						  const char *const *words);
extern GrAlternative gr_arg_alternative(FunctionCallInfo fcinfo, int i);

/* A one-dimensional array without NULLs; palloc'd. */
extern double *gr_arg_float8_array(FunctionCallInfo fcinfo, int i,
								   const char *name, int *n);
extern int64 *gr_arg_int8_array(FunctionCallInfo fcinfo, int i,
								const char *name, int *n);

/* The memory of the aggregate that is called; an error, with its name, when none is. */
extern MemoryContext gr_aggregate_context(FunctionCallInfo fcinfo, const char *name);

/*
 * "counts" and "shares" of a test of the split: *n >= 2 counts, none negative,
 * and as many positive shares; *shares is NULL for equal shares.
 */
extern int64 *gr_arg_split(FunctionCallInfo fcinfo, int i_counts, int i_shares,
						   int *n, double **shares);

/* Are two texts the same, or both NULL? */
extern bool gr_same_text(const char *a, const char *b);

/* "a", "b" or "c" */
extern char *gr_quoted_list(const char *const *words);

/* A record of the function's declared result type; NaN becomes NULL. */
extern Datum gr_float8_record(FunctionCallInfo fcinfo, const double *values,
							  int n);

/*
 * Do work(arg) in a subtransaction.  The error that ended it, or NULL; what
 * cancels the session is thrown on.  Memory that work makes in the current
 * context stays (attempt.c).
 */
extern ErrorData *gr_attempt(void (*work) (void *), void *arg);

/* The same, with the cancels that is_caught knows among the errors. */
extern ErrorData *gr_attempt_but(bool (*is_caught) (const ErrorData *error), void (*work) (void *), void *arg);

/*
 * The same, for so many milliseconds at most (0: as long as it takes).  Work that is
 * not done by then is cancelled, which is an error like others (deadline.c).
 */
extern ErrorData *gr_attempt_within(int milliseconds, void (*work) (void *), void *arg);

/* The same without the lines that say which statements of the extension it came from. */
extern void gr_without_context(void (*work) (void *), void *arg);

/* ---- names in messages (names.c) ---------------------------------------- */

/* "12,003", and a name in quotes, cut where it is too long. */
extern char *gr_thousands(int64 n);
extern char *gr_shown(const char *name);

/* The same without quotes where none are needed. */
extern char *gr_plainly(const char *name);

/*
 * Put the names first that are most like the wanted one; the first, if it is so like it
 * that it may be meant, or NULL.
 */
extern const char *gr_sort_by_likeness(const char *wanted, const char **names, int n);

/* "a", "b" and 3 more */
extern char *gr_name_list(const char *const *names, int n, int most);

/* ---- checksums of what is stored (checksum.c) -------------------------- */

/*
 * They are the same on every machine and in every encoding of the server, and tell
 * damage, not malice: whoever may write the tables can make a checksum fit.
 */
typedef struct GrChecksum
{
	uint32		crc;
} GrChecksum;

extern void gr_checksum_start(GrChecksum *c);

/* How many bytes there are, and the bytes. */
extern void gr_checksum_bytes(GrChecksum *c, const void *p, Size n);
extern void gr_checksum_bytea(GrChecksum *c, const bytea *bytes);

/* NULL is something else than the empty text. */
extern void gr_checksum_text(GrChecksum *c, const char *text);
extern void gr_checksum_int(GrChecksum *c, int64 x);

/* A number from 0 to 2^32 - 1. */
extern int64 gr_checksum_end(const GrChecksum *c);

#endif							/* GUARDRAIL_H */
