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

#endif							/* GR_BINS_H */
