/*
 * collection.h
 *	  What one scan found: per arm, the counts, summaries and histograms.
 *
 * Both shapes of the scan end in this structure.  It travels as bytes (the
 * result of guardrail_collect), version 3, every field by itself; 2 is read too.
 */
#ifndef GR_COLLECTION_H
#define GR_COLLECTION_H

#include "spec/spec.h"
#include "units/bins.h"
#include "units/ties.h"

/* Units are dealt into batches by the top bits of their hash. */
#define GR_BATCH_BITS 7
#define GR_BATCHES (1 << GR_BATCH_BITS)
#define gr_batch_of(hash) ((int) ((hash) >> (64 - GR_BATCH_BITS)))

#define GR_MAX_ARMS 100

/* The error of one arm too many, and its code. */
#define GR_ERRCODE_ARMS ERRCODE_TOO_MANY_COLUMNS
GR_NORETURN extern void gr_refuse_arms(void);

/* Bytes of a name that is not planned; a longer one is no arm. */
#define GR_MAX_ARM_NAME 500

typedef struct MetricData
{
	GrMoments	moments;		/* over units; of a histogram metric: empty; of a
								 * metric with a covariate: units without one */
	GrMoments	adjusted;		/* units with the covariate, which is the last
								 * variable; dim 0: the metric has none */
	double		cap[2];			/* what values were capped at; infinite: nothing */
	int64		immature;		/* units whose window is open, or that have no time: not in the above */
	int64		skipped;		/* units whose observation is not finite */
	int64		nonzero;		/* units whose (first) value is not 0; of a histogram
								 * metric: 0 */
	BinList    *batch;			/* [GR_BATCHES], or NULL */
	BinList		pooled;			/* of all batches */
	TieList		ties;			/* of what the histogram is of; see units/ties.c */
	bool		reduced;		/* the batches hold only what is asked of them; they do
								 * not add up to the pooled one */
} MetricData;

/*
 * Rows with a known unit and arm, crossover units included, by batch.  nulls:
 * rows that pass the filter and have no value; nonfinite: NaN or infinity.
 */
typedef struct RowCounts
{
	int64		rows[GR_BATCHES];
	int64	   *nulls;			/* [ncolumns][GR_BATCHES] */
	int64	   *nonfinite;
	TieTable   *ties;			/* [ncolumns], of columns that have histograms of events */
} RowCounts;

typedef struct ArmData
{
	char	   *name;
	int64		units;			/* without crossover units */
	int64		events;			/* of those */
	RowCounts	counts;
	MetricData *metrics;		/* [nmetrics] */
} ArmData;

typedef struct Collection
{
	int			nmetrics;
	int			ncolumns;
	int64		crossover_units;
	int64		null_unit_rows;
	int64		unknown_arm_rows;
	int			narms;
	ArmData    *arms;
} Collection;

extern Collection *gr_collection_make(const CollectSpec *spec, int narms);
extern void gr_counts_init(RowCounts *counts, int ncolumns);

/* Add what was counted of the same columns. */
extern void gr_counts_add(RowCounts *to, const RowCounts *from, int ncolumns);

/* Give the histograms of events the ties of their columns. */
extern void gr_collection_take_ties(Collection *c, const CollectSpec *spec);
extern bytea *gr_collection_encode(const Collection *c);
extern Collection *gr_collection_decode(const bytea *bytes,
										const CollectSpec *spec);

/* Find an arm by name, or NULL. */
extern ArmData *gr_collection_arm(Collection *c, const char *name);

/* Merge a histogram metric's batches into its pooled histogram. */
extern void gr_metric_pool(MetricData *m);

#endif							/* GR_COLLECTION_H */
