/*
 * bins.h
 *	  Histograms out of bins as they come.
 */
#ifndef GR_BINS_H
#define GR_BINS_H

#include "units/collection.h"

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

/* Add a batch's bins to those that it has from units before. */
extern void gr_bins_merge(BinList *to, const BinList *more);

/* The bins that have been counted, from "lowest" on. */
extern void gr_bins_of_counts(const uint32 *count, int32 lowest, int32 range, BinList *out);

extern void gr_bins_range(const int32 *bin, Size n, int32 *lowest, int32 *highest);

#endif							/* GR_BINS_H */
