/*
 * summary.h
 *	  The SQL type guardrail_summary: moments of up to three variables over
 *	  units.
 *
 * Stored form (no OIDs, no pointers, same on every platform of one byte order;
 * send/recv are portable):
 *	 varlena header · version · dim · flags (0) · n · skipped ·
 *	 sum_hi[dim] · sum_lo[dim] · product[dim (dim + 1) / 2]
 * and in version 2
 *	 product_lo[dim (dim + 1) / 2] · triple_hi[t] · triple_lo[t] · largest[dim dim],
 *	 t = dim (dim + 1) (dim + 2) / 6; NaN where they are not known.
 * Version 1 is read, and written where nothing more is known.
 */
#ifndef GR_SUMMARY_H
#define GR_SUMMARY_H

#include "base/guardrail.h"

#define GR_SUMMARY_VERSION 2

typedef struct Summary
{
	int32		vl_len_;		/* varlena header, do not touch */
	uint8		version;
	uint8		dim;
	uint16		flags;			/* reserved, 0 */
	int64		n;
	int64		skipped;		/* units left out: NaN or infinity */
	double		data[FLEXIBLE_ARRAY_MEMBER];
} Summary;

/* Read any stored form, checking it; error on anything else. */
extern void gr_summary_read(const Summary *s, GrMoments *m, int64 *skipped);
extern Summary *gr_summary_make(const GrMoments *m, int64 skipped);

#define PG_GETARG_SUMMARY_P(i) ((Summary *) PG_DETOAST_DATUM(PG_GETARG_DATUM(i)))

#endif							/* GR_SUMMARY_H */
