/*
 * input.h
 *	  What a check decided from, stored with it.
 */
#ifndef GR_INPUT_H
#define GR_INPUT_H

#include "evaluate/past.h"

#include "lib/stringinfo.h"
#include "utils/array.h"

/* A row of guardrail_check_input, as far as a decision rests on it. */
typedef struct InputRow
{
	char	   *id;
	int			plan_version;
	char	   *state;
	bool		ended;
	char	   *spec;
	ArrayType  *metrics;
	ArrayType  *fingerprints;
	bytea	   *collection;
	bytea	   *past;
	ArrayType  *failures;		/* of text: for each rule why it could not be evaluated; NULL: none */
	bool		surplus_arms;
	char	   *unknown_arms;	/* as in GrTestState */
	char	   *decided;		/* the check that a fixed test was decided by; NULL: this one, or none */
	char	   *checked_at;		/* timestamptz as text */
	int64		checksum;		/* that the row states; -1: it is of a version that stated none */
} InputRow;

/*
 * Read a check's row; false: there is none.  An error when a piece is missing.  Then put
 * it into an evaluation whose experiment is loaded: the plan's spec, collection, past,
 * segments, and the numbers, failures, state and end of the rules and the experiment; an
 * error when it is not what the check stored.
 */
extern bool gr_input_read(const char *schema, int64 check_id, InputRow *row);
extern void gr_input_restore(Evaluation *v, const char *schema, int64 check_id, const InputRow *row);

/* Add a row to a checksum that has its check_id and what was stored of its segments. */
extern void gr_input_checksum(GrChecksum *c, const InputRow *row);

/*
 * The collection with the batches of its histograms reduced to what the rules'
 * quantiles ask of them: less than a tenth, and the same decision.
 */
extern bytea *gr_input_collection(const Evaluation *v);

/* The past as bytes, and back; an error when they do not stand up. */
extern bytea *gr_past_encode(const Past *past);
extern Past *gr_past_decode(const bytea *bytes);

/* For each rule why it could not be evaluated, or NULL: all could.  And back into the rules. */
extern ArrayType *gr_failures_encode(const Experiment *e);
extern void gr_failures_decode(Experiment *e, const InputRow *row);

/* ---- samples as bytes (sample_bytes.c) ----------------------------------------- */

/* One after the other; an error when the bytes are none that were sent. */
extern void gr_sample_send(StringInfo buf, const GrSample *s);
extern GrSample *gr_sample_receive(StringInfo buf);

/* Both arms' of a result, which those of no other fit. */
extern bytea *gr_samples_encode(const GrSample *treatment, const GrSample *control, int64 check_id,
								const char *variant, const char *metric);
extern void gr_samples_decode(const bytea *bytes, int64 check_id, const char *variant, const char *metric,
							  const GrSample **treatment, const GrSample **control);

/* Of which nothing but the estimate was recorded. */
extern GrSample *gr_sample_from(double value, double variance, double df);

#endif							/* GR_INPUT_H */
