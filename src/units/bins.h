/*
 * bins.h
 *	  Histograms out of bins as they come.
 */
#ifndef GR_BINS_H
#define GR_BINS_H

#include "base/guardrail.h"

#include "lib/stringinfo.h"
#include "stats/stats.h"

typedef struct BinList
{
	int			nbins;
	GrBin	   *bins;
} BinList;

/* Bins of one arm and metric in the batch at hand, or the values of one unit. */
typedef struct BinBuffer
{
	Size		n;
	Size		capacity;
	int32	   *bin;
} BinBuffer;

extern void gr_buffer_bins(BinBuffer *buffer, const int32 *bin, Size n);

/* Add the histogram of what is buffered, which is empty afterwards. */
extern void gr_buffer_empty(BinBuffer *buffer, BinList *to);

/* A histogram as bytes: varints, the bins as differences. */
extern void gr_bins_encode(StringInfo buf, const BinList *list);

/* A histogram that is read, in room that is used again. */
typedef struct BinRoom
{
	int			n;
	int			capacity;
	GrBin	   *bins;
} BinRoom;

/* Read one, ascending, of counts of either sign; false when the bytes are none. */
extern bool gr_bins_decode(BinRoom *to, const char **p, const char *end);

#endif							/* GR_BINS_H */
