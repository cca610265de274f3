/*
 * input.h
 *	  What a check decided from, stored with it.
 */
#ifndef GR_INPUT_H
#define GR_INPUT_H

#include "check/past.h"

/* Store the inputs of an evaluation.  As the extension's owner. */
extern void gr_input_store(const Evaluation *v, const char *schema, int64 check_id,
						   TimestampTz checked_at, const char *snapshot);

/*
 * The collection with the batches of its histograms reduced to what the rules'
 * quantiles ask of them: less than a tenth, and the same decision.
 */
extern bytea *gr_input_collection(const Evaluation *v);

/* The past as bytes, and back; an error when they do not stand up. */
extern bytea *gr_past_encode(const Past *past);
extern Past *gr_past_decode(const bytea *bytes);

#endif							/* GR_INPUT_H */
