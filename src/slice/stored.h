/*
 * stored.h
 *	  Stored units: what incremental checks read instead of old events.
 *
 * The events of an experiment with a cursor_column are cut by ranges of the
 * cursor.  What was collected from a range is a slice: its units in the order of
 * their hashes, in parts that fill a page of the table, and a head with what is
 * counted by batch.  When there are a few that are not larger than those after
 * them together, they are merged: a unit is rewritten O(log n) times, and there are
 * O(log n) slices.
 * Reading merges all slices part by part, so memory does not grow with the units.
 *
 * Invariants:
 * - Up to the position of guardrail_watermark, each event that counts is in
 *	 exactly one slice; the slices' ranges adjoin.
 * - A slice's units have the arm that they have in the slice's own events.
 * - The bins of a head are signed differences: the sum over all slices is the
 *	 histogram of the events of those units that are in one arm only.
 * - A unit's numbers are added up from the newest slice to the oldest.  Only the
 *	 newest slices are merged, so a merged one is the beginning of that sum, and
 *	 changes no bit of it: what the running totals hold of a unit can be taken out.
 * - Slices, totals and position are written in one transaction, with the
 *	 experiment's row locked, and belong to one fingerprint: of all that they depend on.
 */
#ifndef GR_STORED_H
#define GR_STORED_H

#include "query/query.h"
#include "units/units.h"

#include "port/pg_bswap.h"

/* ---- the additive part of a slice (head.c) ------------------------------------- */

typedef struct Head
{
	int			nlists;
	int			ncolumns;
	int64		null_unit_rows;
	int64		unknown_arm_rows;
	RowCounts  *counts[GR_MAX_ARMS];	/* NULL: no row */
	BinList    *bins[GR_MAX_ARMS];	/* [nlists][GR_BATCHES], signed; NULL: none */
} Head;

extern Head *gr_head_make(const CollectSpec *spec);
extern RowCounts *gr_head_counts(Head *head, int arm);
extern BinList *gr_head_bins(Head *head, int arm, int list);

/* Add sign * "from" to "to". */
extern void gr_bins_add(BinList *to, const BinList *from, int sign);
extern bytea *gr_head_encode(const Head *head);

/*
 * The sum of heads.  Its histograms cannot be added to: they do not lie by
 * themselves in memory.
 */
extern Head *gr_heads_sum(const CollectSpec *spec, bytea *const *bytes, int n);

/* One head; NULL when the bytes are none. */
extern Head *gr_head_decode(const CollectSpec *spec, bytea *bytes);

/* ---- bytes of units (state.c) --------------------------------------------------- */

/* Units of a part; gr_part_open has seen that they are all there. */
typedef struct Part
{
	uint32		n;
	const char *hash;
	const char *rest;
} Part;

static inline uint64
gr_get64(const char *p, Size i)
{
	uint64		x;

	memcpy(&x, p + sizeof(x) * i, sizeof(x));
	return pg_ntoh64(x);
}

static inline uint32
gr_get32(const char *p, Size i)
{
	uint32		x;

	memcpy(&x, p + sizeof(x) * i, sizeof(x));
	return pg_ntoh32(x);
}

extern uint32 gr_part_capacity(const CollectSpec *spec, Size size);
extern bytea *gr_part_encode(const CollectSpec *spec, const char *entries, uint32 n);

/* The part points into the bytes. */
extern void gr_part_open(const CollectSpec *spec, const char *bytes, Size length, Part *part);
extern void gr_part_entry(const CollectSpec *spec, const Part *part, uint32 i, int narms,
						  UnitEntry *e);

/* why: a sentence, for the error's detail. */
GR_NORETURN extern void gr_slice_corrupt(const char *why);

/* ---- what is stored of an experiment (watermark.c) ------------------------------ */

typedef struct Run
{
	int64		slice;
	int64		seal;			/* see whole.c */
	int			nparts;			/* beside the head, which is part 0 */
	int64		units;
	char	   *from;			/* exclusive; NULL: from the first event on */
	char	   *to;				/* inclusive */
} Run;

#define GR_MAX_RUNS 200

typedef struct Stored
{
	const Experiment *e;
	const ScanPlan *plan;
	const CollectSpec *spec;
	Oid			function;		/* of the extension */
	char	   *schema;
	int64		fingerprint;
	Size		entry_size;
	MemoryContext context;		/* of all this */
	struct Cursor *cursor;		/* cursor.c */

	bool		known;			/* there is a row of guardrail_watermark */
	int64		stored_fingerprint;
	const char *misfit;			/* why the rest is not believed, a sentence; NULL: it is */
	char	   *position;		/* cursor read so far; NULL: nothing */
	int			narms;
	char	   *arm[GR_MAX_ARMS];
	int			nruns;			/* oldest first */
	Run			runs[GR_MAX_RUNS];
	struct Totals *totals;		/* of the units of all runs; NULL: there are none */
	int64		rows_read;		/* new events, and those that are not stored yet */
} Stored;

/* Whether what is there is what was stored, is for the caller to ask (misfit). */
extern Stored *gr_stored_load(const Experiment *e, const ScanPlan *plan, Oid function);

/* The same with its plan and cursor, of an experiment that must have one. */
extern Stored *gr_stored_open(Experiment *e, Oid function);
extern void gr_stored_save(Stored *s);

/* Forget all that is stored. */
extern void gr_stored_drop(Stored *s);

/* ---- rows of the tables (store.c) ----------------------------------------------- */

/* The number of an arm, added when it is new. */
extern int	gr_stored_arm(Stored *s, const char *name);

/* A statement with parameters of any type, as the extension's owner. */
extern void gr_stored_write(const Stored *s, const char *sql, int n, Oid *types, Datum *values,
							const char *nulls);
extern void gr_stored_delete_slice(Stored *s, int64 slice);

/* Rows of a slice, from a part on: of each, how many units, and the bytes. */
extern void gr_stored_insert_parts(const Stored *s, const Run *run, int part, int n,
								   const uint32 *units, bytea *const *state);
extern bytea *gr_stored_read_head(const Stored *s, const Run *run);

/* Make what was written visible to the active snapshot. */
extern void gr_stored_see_writes(void);

/* The heads of some runs, and of what comes to them (NULL: nothing). */
extern Head *gr_stored_sum_heads(const Stored *s, const Run *runs, int nruns, const Head *delta);

/* ---- is it what was stored? (whole.c) ------------------------------------------ */

/* What a watermark states of itself and of the slices. */
typedef struct Statement
{
	bool		made;			/* false: by none before version 0.3.0 */
	int			nslices;		/* -1: it cannot be read */
	int64		seals[GR_MAX_RUNS];
	int64		units;			/* in the slices, each as often as it is in one */
	int64		checksum;
} Statement;

extern int64 gr_whole_units(const Stored *s);
extern int64 gr_whole_checksum(const Stored *s, const bytea *totals);

/* A number for a slice that is written. */
extern int64 gr_new_seal(void);

/* Give the slices their seals; what does not fit, a sentence, or NULL. */
extern const char *gr_whole_misfit(Stored *s, const Statement *said, const bytea *totals);

/* The bytes of a row with their checksum, as the table has them. */
extern bytea *gr_seal(const Run *run, int part, const bytea *bytes);

/* How long they are without it; an error when they are not what was stored. */
extern Size gr_unsealed(int64 slice, int64 seal, int part, const bytea *bytes);

/* ---- the units of a slice (parts.c) ------------------------------------------ */

typedef struct PartReader PartReader;
typedef struct PartWriter PartWriter;

extern PartReader *gr_parts_open(const Stored *s, const Run *run);

/* NULL at the end; good until the next is read. */
extern const char *gr_parts_next(PartReader *r, Size *length);
extern void gr_parts_close(PartReader *r);

/* Counts the parts and units of the run. */
extern PartWriter *gr_parts_create(Stored *s, Run *run);
extern uint32 gr_parts_capacity(const Stored *s, const Run *run);
extern void gr_parts_put(PartWriter *w, const char *entries, uint32 n);
extern void gr_parts_end(PartWriter *w);

/* ---- reading in the order of the hashes (merge.c) --------------------------- */

/* A unit of some runs and a tail; either may be NULL, not both. */
typedef struct GrMergedUnit
{
	const UnitEntry *runs;		/* what it amounts to in the runs */
	const UnitEntry *tail;		/* in the tail */
	const UnitEntry *all;		/* in both */
} GrMergedUnit;

typedef void (*GrVisit) (void *arg, const GrMergedUnit *unit);

/* Visit the units of some runs and of a flat (NULL: none). */
extern void gr_merge(const Stored *s, const Run *runs, int nruns, const Flat *tail,
					 GrVisit visit, void *arg);

/* The same for the units of the flat only. */
extern void gr_merge_tail(const Stored *s, const Run *runs, int nruns, const Flat *tail,
						  GrVisit visit, void *arg);

/*
 * Store the units and the head of the events up to "to" as the newest slice,
 * merged with older ones when a few are not larger.
 */
extern void gr_slice_append(Stored *s, const Units *tail, Head *head, const char *to);

/* Store a slice under a number and range that it has already. */
extern void gr_slice_replace(Stored *s, Run *run, const Units *tail, Head *head);

/* ---- running totals of heads (head_totals.c) ---------------------------------- */

typedef struct HeadTotals HeadTotals;

/* Of the sum of all heads, with windows for what the experiment's rules ask. */
extern HeadTotals *gr_head_totals_make(const Experiment *e, const CollectSpec *spec, Head *sum,
									   MemoryContext context);

/* A slice, or a tail, adds this to the heads. */
extern void gr_head_totals_add(HeadTotals *t, Head *delta);

/* Do they hold what the rules ask: is each quantile in a window, and can they be right? */
extern bool gr_head_totals_suffice(const HeadTotals *t, const Experiment *e);

/* Should they be made anew before they are stored? */
extern bool gr_head_totals_are_worn(const HeadTotals *t, const Experiment *e);

/* Give a collection the row counts. */
extern void gr_head_totals_counts(const HeadTotals *t, Collection *c);

/*
 * ... and histograms of events, in the current context.  False when they do not
 * suffice: it is to have both from the heads then.
 */
extern bool gr_head_totals_complete(const HeadTotals *t, const Experiment *e, Collection *c);

/* A batch's histogram as far as it is kept. */
extern BinList gr_head_totals_reduced(const HeadTotals *t, int arm, int list, const BinList *full);

extern void gr_head_totals_encode(StringInfo buf, const HeadTotals *t);

/* NULL when the bytes are none that gr_head_totals_encode writes. */
extern HeadTotals *gr_head_totals_decode(const CollectSpec *spec, const char **p, const char *end,
										 MemoryContext context);

/* ---- running totals (totals.c) ----------------------------------------------- */

typedef struct Totals Totals;

/* Do they do for such metrics?  Not for caps at a quantile: that is of all units. */
extern bool gr_totals_suit(const CollectSpec *spec);
extern Totals *gr_totals_make(const CollectSpec *spec, MemoryContext context);

/* Those of the heads; never NULL. */
extern HeadTotals *gr_totals_heads(const Totals *t);
extern void gr_totals_set_heads(Totals *t, HeadTotals *heads);

/* A unit comes (1), or goes (-1) as it came. */
extern void gr_totals_change(Totals *t, const UnitEntry *e, int sign);

/*
 * A collection of so many arms, but for what heads hold; NULL when a sum is not
 * certain enough, or they cannot be right.
 */
extern Collection *gr_totals_collect(Totals *t, int narms);

/* What a quantile over units is tied at is not known any more: they are to be renewed. */
extern void gr_totals_lack_ties(Totals *t);

extern bytea *gr_totals_encode(Totals *t);

/* NULL when the bytes are none that gr_totals_encode writes. */
extern Totals *gr_totals_decode(const CollectSpec *spec, const bytea *bytes, MemoryContext context);

/* ---- running totals made anew (renew.c) ----------------------------------------- */

/* Compute them from all runs; there are none afterwards when they do not suit. */
extern void gr_totals_renew(Stored *s);

/*
 * The same as far as it is needed before they are stored: when there are none; when a
 * sum is not certain after more units came and went than are in it; when they cannot
 * be right, or the heads' do not suffice.
 */
extern void gr_totals_mend(Stored *s);

/* ---- caps (caps.c) ------------------------------------------------------------ */

/* What the variables of a metric are capped at. */
typedef double CapPair[2];

/*
 * What the metrics are capped at, over all units; NULL when none has such a cap.
 * *fits: false when guardrail.unit_memory does not hold the totals of the units.
 */
extern CapPair *gr_slice_caps(Stored *s, const Run *runs, int nruns, const Units *tail, bool *fits);

/* ---- from units to a collection (fold.c) ------------------------------------- */

/*
 * Fold some runs and a tail (NULL: none), whose arms are numbered as the stored
 * ones are.  *delta: what the tail adds to the heads of all runs (to be given to
 * gr_slice_append); NULL when the runs do not agree with the events, as after one
 * was deleted.  fold false: only that; also when there are caps at a quantile and
 * the memory setting does not hold the units' totals.  Histograms of events are of
 * all runs together: when these are not all, they are left empty.
 */
extern Collection *gr_slice_fold(Stored *s, const Run *runs, int nruns, Units *tail,
								 const char *tail_range, bool fold, Head **delta,
								 MemoryContext context);

/*
 * The same of all runs and a tail, by the running totals if there are any and they
 * are certain.  These are then the totals with the tail.
 */
extern Collection *gr_slice_fold_on(Stored *s, Units *tail, const char *tail_range, bool fold,
									Head **delta, MemoryContext context);

/* ---- the cursor (cursor.c) --------------------------------------------------- */

typedef struct Cursor
{
	const char *column;			/* quoted */
	const char *type;			/* as SQL writes it */
	Oid			basetype;
	bool		leads_index;	/* an index begins with it */
	bool		follows_index;	/* ... or with experiment_column and it */
} Cursor;

/* Look at the column; an error when it cannot be followed. */
extern Cursor *gr_cursor_open(Oid events, const char *experiment_column,
							  const char *column, const char *id);

/* "cursor > from AND cursor <= to"; NULL: no such limit. */
extern char *gr_cursor_range(const Cursor *cursor, const char *from, const char *to);

/*
 * A cursor that no event will be at or before which is not committed now; waits
 * for writers.  NULL when there is none after the stored position.  *reset: the
 * events that were read are there no longer.
 */
extern char *gr_cursor_upper(const Stored *s, bool *reset);

/* A cursor between two; NULL when there is none. */
extern char *gr_cursor_between(const Stored *s, const char *from, const char *to);

/* ---- scanning (scan.c) ---------------------------------------------------- */

/*
 * The units of the events in a range, arms numbered as stored; *units NULL: no
 * event.  False when they do not fit the memory setting.
 */
extern int64 gr_units_rows(const Units *u);
extern bool gr_slice_scan(Stored *s, const char *range, MemoryContext context,
						  Units **units);

/* ---- storing (advance.c) ---------------------------------------------------------- */

typedef enum StoreResult
{
	GR_STORED,
	GR_NO_ROOM,					/* events of one cursor do not fit the memory setting */
	GR_NO_AGREEMENT				/* what was stored is not what the events are */
} StoreResult;

/*
 * Store the events up to "to", or as far as it goes.  With fold, the collection
 * when it came on the way, else NULL.
 */
extern StoreResult gr_slice_store(Stored *s, const char *to, bool fold,
								  Collection **c, MemoryContext context);

#endif							/* GR_STORED_H */
