/*
 * windows.h
 *	  Which bins of a batch's histogram of events are kept: those around quantiles.
 */
#ifndef GR_WINDOWS_H
#define GR_WINDOWS_H

#include "catalog/catalog.h"
#include "units/collection.h"

#include "lib/stringinfo.h"

/* Both ends are in it. */
typedef struct Window
{
	int32		low;
	int32		high;
} Window;

/* Ascending; there is at least one bin between two. */
typedef struct Windows
{
	int			n;
	Window	   *window;
} Windows;

/*
 * Around the quantiles that the rules ask of a list, in its histogram "pooled" of all
 * batches; where there is little in the batches, one window that holds everything.
 */
extern Windows gr_windows_place(const Experiment *e, const CollectSpec *spec, int list,
								const BinList *batch, const BinList *pooled);

/* Is each quantile that the rules ask of a list in a window? */
extern bool gr_windows_suffice(const Windows *w, const Experiment *e, const CollectSpec *spec,
							   int list, const BinList *pooled);

/* Is a bin in one of them? */
extern bool gr_windows_hold(const Windows *w, int32 bin);

/* Do they hold everything where that is not little any more? */
extern bool gr_windows_are_outgrown(const Windows *w, const BinList *batch);

/*
 * A histogram as far as it is kept: what lies outside of the windows is counted in
 * the bin next to the window before it, or, before the first, in the bin next to that.
 */
extern BinList gr_windows_reduce(const Windows *w, const BinList *full);

/* Is a histogram one that gr_windows_reduce gives? */
extern bool gr_windows_is_reduced(const Windows *w, const BinList *list);

extern void gr_windows_encode(StringInfo buf, const Windows *w);

/* False when the bytes are none that gr_windows_encode writes. */
extern bool gr_windows_decode(Windows *w, const char **p, const char *end);

#endif							/* GR_WINDOWS_H */
