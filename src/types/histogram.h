/*
 * histogram.h
 *	  The SQL type guardrail_histogram: how many events fall into each
 *	  log-linear bin (src/stats/histogram.c).
 *
 * Stored form, version 1: header, then GrBin entries ascending by bin.
 * While an aggregate fills it, the working form (flag GR_HISTOGRAM_WORKING) has
 * room for "capacity" bins and, behind them, for as many values not yet sorted
 * in.  Every reader takes both forms.
 */
#ifndef GR_HISTOGRAM_H
#define GR_HISTOGRAM_H

#include "base/guardrail.h"

#define GR_HISTOGRAM_VERSION 1
#define GR_HISTOGRAM_WORKING 1

typedef struct Histogram
{
	int32		vl_len_;		/* varlena header, do not touch */
	uint8		version;
	uint8		flags;
	uint16		reserved;		/* 0 */
	int32		nbins;			/* sorted bins in use */
	int32		capacity;		/* bins there is room for; stored form: nbins */
	int32		npending;		/* values waiting behind the bins */
	int32		padding;		/* 0 */
	int64		skipped;		/* events left out: NaN or infinity */
	GrBin		bins[FLEXIBLE_ARRAY_MEMBER];
} Histogram;

/* The bins of any form, ascending; they may point into h. */
extern const GrBin *gr_histogram_read(const Histogram *h, int *nbins,
									  int64 *skipped);
extern Histogram *gr_histogram_make(const GrBin *bins, int nbins,
									int64 skipped);

#define PG_GETARG_HISTOGRAM_P(i) ((Histogram *) PG_DETOAST_DATUM(PG_GETARG_DATUM(i)))

#endif							/* GR_HISTOGRAM_H */
