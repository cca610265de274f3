/*
 * evaluation.h
 *	  One evaluation of an experiment: what every reader and the log show.
 */
#ifndef GR_EVALUATION_H
#define GR_EVALUATION_H

#include "base/put.h"
#include "query/share.h"
#include "query/query.h"

/* What the result rows say of an arm and rule beside its GrResult. */
typedef struct CellCounts
{
	int64		units_control;
	int64		units_treatment;
	int64		events_control;
	int64		events_treatment;
} CellCounts;

typedef struct Evaluation
{
	Experiment *e;
	ScanPlan   *plan;			/* of the collection */
	ScanPlan   *scanned;		/* of the scan, where the collection is another's */
	Collection *c;
	const struct Source *source;	/* where the collection came from (source.h) */
	const char *snapshot;		/* it was read in, where that is not the present one */
	int64		rows_read;		/* events that were read for it; -1: not known */
	GrTestState test;
	GrMonitor	monitor;
	struct Past *past;			/* past.h */
	GrArm		control;
	int			narms;			/* treatment arms, by name */
	GrArm	   *arms;
	GrResult   *results;		/* [narms][nrules] */
	CellCounts *counts;			/* [narms][nrules] */
	GrArmVerdict *verdicts;		/* [narms] */
	struct Segments *segments;	/* segment.h; NULL: it has none */
	struct Loosenings *loosened;	/* loosened.h */
	const char *as_of;			/* timestamptz as text: of a check that is decided again; NULL: now */
} Evaluation;

/* What for: a reader must have the right to read the events, the others not. */
typedef enum GrPurpose
{
	GR_FOR_READER,
	GR_FOR_LOG,					/* no scan when the plan is broken */
	GR_FOR_PLAN					/* whatever the plan registered last says */
} GrPurpose;

/*
 * Read, scan, decide.  SPI must be connected; the result lives in "context".
 * function: the caller, by which the extension's schema and owner are known.
 * shared: what a scan for several experiments has collected for this one, or NULL.
 */
extern Evaluation *gr_evaluate(Oid function, const char *id, GrPurpose purpose,
							   const Shared *shared, MemoryContext context);

/* The same in a subtransaction: the error that ended it, or NULL.  *v: NULL after an error. */
extern ErrorData *gr_try_evaluate(Oid function, const char *id, GrPurpose purpose, MemoryContext context,
								  Evaluation **v);

/*
 * From experiment, plan, collection and past to results and verdicts.  schema
 * NULL: without the bounds of looks that are stored.
 */
extern void gr_evaluation_decide(Evaluation *v, const char *schema);

/* The verdicts of what is decided, with what is known of the test by now. */
extern void gr_evaluation_verdicts(Evaluation *v);

/* The units and events of an arm. */
extern void gr_fill_arm(GrArm *arm, const Collection *c, const char *name);

/* Room for a family of n tests. */
extern void gr_scratch_make(GrScratch *s, int n);

/*
 * The plan and the collection, whatever becomes of some rules' expressions or of
 * names of arms beyond number (rescue.c): what keeps a rule from being evaluated goes
 * into Rule.failure.  shared: what a scan for several experiments collected, or NULL.
 * recorded: what is new may be stored as slices.
 */
extern void gr_rescue_plan(Evaluation *v);
extern void gr_rescue_collect(Evaluation *v, const char *schema, const Shared *shared, bool recorded,
							  MemoryContext context);

/*
 * A fixed test that a recorded check has decided: put what that check saw in the place of
 * what was collected.  And does this evaluation, recorded, decide it?  (fixed.c)
 */
extern void gr_fixed_recall(Evaluation *v, const char *schema);
extern bool gr_fixed_decides(const Evaluation *v);

/* From arms, test, monitor and past to results and counts, without verdicts. */
extern void gr_evaluation_results(Evaluation *v);

/* ---- estimates of one arm (estimate.c) ------------------------------------ */

/*
 * What was seen of a rule's metric in an arm, the units and events behind it, and its
 * variance without the covariate (NaN: there is none).  n_compared: units of the arms
 * compared, which an always-valid quantile's multiplier depends on.
 */
extern void gr_sample_cell(const Evaluation *v, const char *arm, const Rule *rule,
						   double n_compared, GrSample *out, double *raw_variance,
						   int64 *units, int64 *events);

/* CUPED's coefficient of a metric with a covariate, and the covariate's pooled mean. */
extern void gr_cuped_of(const Evaluation *v, int metric, double *theta, double *pooled_mean);
/* Units of an arm whose window for a rule has not closed. */
extern int64 gr_immature_in(const Evaluation *v, const char *arm, const Rule *rule);

/* What the metric's unit totals were capped at; NaN: nothing. */
extern double gr_cap_of(const Evaluation *v, const char *name, const Rule *rule);

/* ---- trust (trust.c) ------------------------------------------------------ */

/* The test of the split into v->test, with the counts in words. */
extern void gr_test_split(Evaluation *v);

/* NULLs and non-finite values of the rule's expression into the result. */
extern void gr_inspect_column(const Evaluation *v, const Rule *rule, GrResult *r);

/* ---- rows (rows.c): their columns are added to w --------------------------- */

extern void gr_result_row(const Evaluation *v, int arm, int rule, Writer *w);
extern void gr_verdict_row(const Evaluation *v, int arm, Writer *w);

/* The status of the worst arm. */
extern const char *gr_worst_status(const Evaluation *v);

#endif							/* GR_EVALUATION_H */
