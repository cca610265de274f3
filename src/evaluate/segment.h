/*
 * segment.h
 *	  The guardrails of an experiment in each of its segments.
 */
#ifndef GR_SEGMENT_H
#define GR_SEGMENT_H

#include "evaluate/past.h"

/* The units with one value of one expression, judged as an experiment of their own. */
typedef struct Segment
{
	SegmentData data;
	const char *expression;
	Past	   *past;			/* alarms that recorded checks have raised */
	Evaluation *v;				/* of the guardrails alone; data.why: NULL */
	double	   *log_e;			/* [narms][nrules] of v */
} Segment;

typedef struct Segments
{
	int			n;
	Segment    *segment;		/* by expression, then value */
	int			ntests;
} Segments;

/* Scan, for the whole and its segments, and find what earlier checks left (segment_alarms.c). */
extern void gr_segments_collect(Evaluation *v, const char *schema, MemoryContext context);

/* From v's segments to their results, and what of them the arms' results must say. */
extern void gr_segments_decide(Evaluation *v);

/* Why some segments were not judged that a rule's veto reaches into, or NULL. */
extern const char *gr_segments_unjudged(const Evaluation *v);

/* ---- rows: the columns of guardrail_segment_evaluate (segment_rows.c) -------- */

extern int	gr_segment_nrows(const Evaluation *v);

/* One row; its arm (-1: of none) and the fingerprint of its rule. */
extern int	gr_segment_row(const Evaluation *v, int row, Writer *w, int64 *fingerprint);

/* Tell whoever checks of expressions that were not judged. */
extern void gr_segments_notice(const Evaluation *v);

/* What guardrail_explain says of them. */
extern void gr_segments_explain(StringInfo buf, const Evaluation *v);

/* ---- stored with a check (segment_input.c) ----------------------------------- */

/* Add one segment, as it is stored, to the checksum of its check. */
extern void gr_segment_checksum(GrChecksum *c, int64 expression, const char *value, const char *why,
								const bytea *collection, const bytea *past);

/* Add to a checksum what is stored of a check's segments. */
extern void gr_segments_checksum(const char *schema, int64 check_id, GrChecksum *c);

/* What is stored, back into v; without an alarm or a veto there is nothing. */
extern void gr_segments_restore(Evaluation *v, const char *schema, int64 check_id);

#endif							/* GR_SEGMENT_H */
