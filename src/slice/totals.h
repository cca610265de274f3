/*
 * totals.h
 *	  What running totals hold; see totals.c.
 */
#ifndef GR_TOTALS_H
#define GR_TOTALS_H

#include "slice/stored.h"

#include "numeric/sums.h"
#include "units/bins.h"

typedef struct MetricTotal
{
	GrSums		sums[2];		/* without and with the covariate */
	int64		skipped;
	int64		nonzero;
	BinList    *batch;			/* [GR_BATCHES] of a histogram over units; else NULL */
	BinBuffer	change[2];		/* in the batch at hand: comes, goes */
	TieTable	ties;			/* of that histogram */
} MetricTotal;

typedef struct ArmTotal
{
	int64		units;
	int64		events;
	MetricTotal *metrics;
} ArmTotal;

struct Totals
{
	MemoryContext context;
	const CollectSpec *spec;
	int64		crossover_units;
	int			narms;
	int			batch;			/* at hand */
	bool		certain;		/* nothing changed since a collection was made of them */
	bool		lacks_ties;		/* an end of a bin that was asked for is not known */
	ArmTotal	arms[GR_MAX_ARMS];
	HeadTotals *heads;
};

/* Make room for the totals of an arm, and of those below it. */
extern void gr_totals_need_arm(Totals *t, int arm);

/* Put what came and went in the batch at hand into its histograms. */
extern void gr_totals_settle(Totals *t);

#endif							/* GR_TOTALS_H */
