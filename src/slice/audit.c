/*
 * audit.c
 *	  guardrail_audit: do the slices still say what the events say?
 *
 * Each slice is folded alone and held against a scan of its range of events, in
 * the caller's snapshot.  Histograms of events are of all slices together; so are
 * the running totals, which are held against the slices.
 */
#include "base/put.h"
#include "slice/stored.h"

#include <math.h>

#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(guardrail_audit);

/* Sums of the same numbers in another order. */
#define SUM_TOLERANCE 1e-9

typedef struct Audit
{
	FunctionCallInfo out;
	const Stored *s;
	const char *from;
	const char *to;
	const char *prefix;			/* of what differs */
} Audit;

static void
report(const Audit *a, const char *variant, const char *what, double stored, double events)
{
	Writer		w = {0};

	put_text(&w, "from_cursor", a->from);
	put_text(&w, "to_cursor", a->to);
	put_text(&w, "variant", variant);
	put_text(&w, "what", psprintf("%s%s", a->prefix, what));
	put(&w, "stored", FLOAT8OID, Float8GetDatum(stored), false);
	put(&w, "events", FLOAT8OID, Float8GetDatum(events), false);
	gr_put_row(a->out, &w);
}

static void
compare(const Audit *a, const char *variant, const char *what, double stored, double events)
{
	if (stored != events)
		report(a, variant, what, stored, events);
}

/* The rules' name for a metric of the spec. */
static const char *
metric_name(const Experiment *e, int metric)
{
	for (int i = 0; i < e->nrules; i++)
		if (e->rules[i].metric == metric)
			return e->rules[i].rule.metric;
	return "";
}

static double
sum_of(const GrMoments *m, int i)
{
	return m->sum_hi[i] + m->sum_lo[i];
}

static int64
total(const int64 *of, int n)
{
	int64		sum = 0;

	for (int i = 0; i < n; i++)
		sum += of[i];
	return sum;
}

static void
compare_metric(const Audit *a, const char *variant, const char *name, const MetricData *stored,
			   const MetricData *events)
{
	const GrMoments *x[] = {&stored->moments, &stored->adjusted};
	const GrMoments *y[] = {&events->moments, &events->adjusted};

	for (int k = 0; k < 2; k++)
	{
		compare(a, variant, psprintf("units of %s%s", name, k ? " with covariate" : ""),
				(double) x[k]->n, (double) y[k]->n);
		for (int i = 0; i < x[k]->dim; i++)
		{
			double		p = sum_of(x[k], i);
			double		q = sum_of(y[k], i);

			if (fabs(p - q) > SUM_TOLERANCE * Max(fabs(p), fabs(q)))
				report(a, variant, psprintf("%s of %s%s", k && i == x[k]->dim - 1 ? "covariate" :
											i ? "denominator" : "sum", name,
											k && i < x[k]->dim - 1 ? " with covariate" : ""), p, q);
		}
	}
}

static void
compare_histogram(const Audit *a, const char *variant, const char *name, const BinList *stored,
				  const BinList *events)
{
	double		p = (double) gr_histogram_total(stored->bins, stored->nbins);
	double		q = (double) gr_histogram_total(events->bins, events->nbins);
	bool		same = stored->nbins == events->nbins;

	for (int i = 0; same && i < stored->nbins; i++)
		same = stored->bins[i].bin == events->bins[i].bin && stored->bins[i].count == events->bins[i].count;
	if (!same)
		report(a, variant, psprintf("values of %s", name), p, q);
}

static void
compare_counts(const Audit *a, const char *name, const ArmData *stored, const ArmData *events)
{
	int			n = GR_BATCHES * a->s->spec->ncolumns;

	compare(a, name, "rows", total(stored->counts.rows, GR_BATCHES),
			total(events->counts.rows, GR_BATCHES));
	compare(a, name, "units", stored->units, events->units);
	compare(a, name, "events", stored->events, events->events);
	compare(a, name, "values that are NULL", total(stored->counts.nulls, n),
			total(events->counts.nulls, n));
	compare(a, name, "values that are not finite", total(stored->counts.nonfinite, n),
			total(events->counts.nonfinite, n));
}

static void
compare_counts_beside_arms(const Audit *a, const Collection *stored, const Collection *events)
{
	compare(a, NULL, "rows without a unit", stored->null_unit_rows, events->null_unit_rows);
	compare(a, NULL, "rows of unknown arms", stored->unknown_arm_rows, events->unknown_arm_rows);
}

static void
compare_arm(const Audit *a, const char *name, ArmData *stored, ArmData *events, bool whole)
{
	const CollectSpec *spec = a->s->spec;

	compare_counts(a, name, stored, events);
	for (int m = 0; m < spec->nmetrics; m++)
	{
		const char *metric = metric_name(a->s->e, m);

		if (!spec->metrics[m].shape->has_histogram)
			compare_metric(a, name, metric, &stored->metrics[m], &events->metrics[m]);
		else if (whole || !spec->metrics[m].shape->over_events)
			compare_histogram(a, name, metric, &stored->metrics[m].pooled, &events->metrics[m].pooled);
	}
}

/* Hold some runs against the events of their range. */
static void
compare_range(Audit *a, Stored *s, const Run *runs, int nruns)
{
	Experiment	e = *s->e;
	Head	   *delta;
	Collection *events;
	Collection *stored = gr_slice_fold(s, runs, nruns, NULL, NULL, true, &delta, CurrentMemoryContext);

	if (stored == NULL)
		gr_slice_corrupt("A histogram of events is negative.");
	e.range = gr_cursor_range(s->cursor, a->from, a->to);
	events = gr_collect(&e, s->plan, s->schema, CurrentMemoryContext);
	compare_counts_beside_arms(a, stored, events);
	compare(a, NULL, "units in several arms", stored->crossover_units, events->crossover_units);
	for (int i = 0; i < stored->narms + events->narms; i++)
	{
		bool		from_stored = i < stored->narms;
		ArmData    *arm = from_stored ? &stored->arms[i] : &events->arms[i - stored->narms];
		ArmData    *other = gr_collection_arm(from_stored ? events : stored, arm->name);
		ArmData    *none = &gr_collection_make(s->spec, 1)->arms[0];

		if (from_stored)
			compare_arm(a, arm->name, arm, other ? other : none, nruns == s->nruns);
		else if (other == NULL)
			compare_arm(a, arm->name, none, arm, nruns == s->nruns);
	}
}

/* Against the standard deviations of both variables. */
static void
compare_products(const Audit *a, const char *variant, const char *name, const GrMoments *totals,
				 const GrMoments *slices)
{
	for (int i = 0; i < totals->dim; i++)
		for (int j = i; j < totals->dim; j++)
		{
			double		p = gr_moments_cov(totals, i, j);
			double		q = gr_moments_cov(slices, i, j);
			double		scale = sqrt(gr_moments_cov(slices, i, i)) * sqrt(gr_moments_cov(slices, j, j));

			if (fabs(p - q) > SUM_TOLERANCE * scale)
				report(a, variant, psprintf("%s of %s", i == j ? "variance" : "covariance", name), p, q);
		}
}

static void
compare_total(const Audit *a, const char *variant, const char *name, const MetricData *total,
			  const MetricData *slices)
{
	compare_metric(a, variant, name, total, slices);
	compare(a, variant, psprintf("units of %s that are not 0", name), total->nonzero, slices->nonzero);
	compare(a, variant, psprintf("units of %s that are not finite", name), total->skipped, slices->skipped);
	compare_products(a, variant, name, &total->moments, &slices->moments);
	compare_products(a, variant, name, &total->adjusted, &slices->adjusted);
}

/* Histograms of events are kept as far as the rules ask. */
static void
compare_events(const Audit *a, int arm, int m, const MetricData *total, const MetricData *slices)
{
	const CollectSpec *spec = a->s->spec;
	const HeadTotals *heads = gr_totals_heads(a->s->totals);
	const char *name = metric_name(a->s->e, m);

	compare_histogram(a, a->s->arm[arm], name, &total->pooled, &slices->pooled);
	for (int b = 0; b < GR_BATCHES; b++)
	{
		BinList		reduced = gr_head_totals_reduced(heads, arm, spec->folds[spec->metrics[m].a].slot,
													 &slices->batch[b]);

		compare_histogram(a, a->s->arm[arm], name, &total->batch[b], &reduced);
	}
}

/* Hold the running totals against the slices. */
static void
compare_totals(Audit *a, Stored *s)
{
	Head	   *delta;
	Collection *totals = gr_totals_collect(s->totals, s->narms);
	Collection *slices = gr_slice_fold(s, s->runs, s->nruns, NULL, NULL, true, &delta, CurrentMemoryContext);
	bool		heads;

	if (slices == NULL)
		gr_slice_corrupt("A histogram of events is negative.");
	if (totals == NULL)
	{
		ereport(NOTICE,
				(errmsg("running totals of experiment \"%s\" are not certain, so its checks read all stored units", s->e->id),
				 errhint("A later check computes them again; guardrail_rebuild() does so at once.")));
		return;
	}
	gr_head_totals_counts(gr_totals_heads(s->totals), totals);
	/* histograms that do not suffice are not used, and the next check that stores makes them anew */
	heads = gr_head_totals_complete(gr_totals_heads(s->totals), s->e, totals);
	compare(a, NULL, "units in several arms", totals->crossover_units, slices->crossover_units);
	compare_counts_beside_arms(a, totals, slices);
	for (int i = 0; i < s->narms; i++)
	{
		const ArmData *t = &totals->arms[i];
		const ArmData *u = &slices->arms[i];

		compare_counts(a, s->arm[i], t, u);
		for (int m = 0; m < s->spec->nmetrics; m++)
		{
			const MetricData *x = &t->metrics[m];
			const char *name = metric_name(a->s->e, m);

			if (s->spec->metrics[m].shape->over_events)
			{
				if (heads)
					compare_events(a, i, m, x, &u->metrics[m]);
				continue;
			}
			compare_total(a, s->arm[i], name, x, &u->metrics[m]);
			for (int b = 0; x->batch && b < GR_BATCHES; b++)
				compare_histogram(a, s->arm[i], name, &x->batch[b], &u->metrics[m].batch[b]);
		}
	}
}

static void
audit(Audit *a, Stored *s)
{
	MemoryContext here = CurrentMemoryContext;
	MemoryContext work = AllocSetContextCreate(here, "audit", ALLOCSET_DEFAULT_SIZES);
	const char *last = s->nruns > 0 ? s->runs[s->nruns - 1].to : NULL;

	for (int i = 0; i < s->nruns; i++)
	{
		MemoryContextSwitchTo(work);
		a->from = s->runs[i].from;
		a->to = s->runs[i].to;
		compare_range(a, s, &s->runs[i], 1);
		MemoryContextSwitchTo(here);
		MemoryContextReset(work);
	}
	MemoryContextSwitchTo(work);
	/* up to the position there was no event */
	if (s->position && (last == NULL || strcmp(last, s->position) != 0))
	{
		a->from = last;
		a->to = s->position;
		compare_range(a, s, NULL, 0);
	}
	if (s->spec->nlists > 0 && s->nruns > 1)
	{
		a->from = NULL;
		a->to = last;
		compare_range(a, s, s->runs, s->nruns);
	}
	if (s->totals)
	{
		a->from = NULL;
		a->to = last;
		a->prefix = "running total: ";
		compare_totals(a, s);
	}
	MemoryContextSwitchTo(here);
	MemoryContextDelete(work);
}

/* guardrail_audit(experiment): what differs between its slices and the events */
Datum
guardrail_audit(PG_FUNCTION_ARGS)
{
	MemoryContext context = CurrentMemoryContext;
	char	   *id = gr_arg_text(fcinfo, 0, "experiment");
	Audit		a = {.prefix = ""};
	Experiment *e;
	Stored	   *s;

	InitMaterializedSRF(fcinfo, 0);
	a.out = fcinfo;
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	e = gr_experiment_load(gr_schema_of(fcinfo), id, context);
	gr_require_ownership(e);
	s = gr_stored_open(e, fcinfo->flinfo->fn_oid);
	a.s = s;
	if (!s->known || s->stored_fingerprint != s->fingerprint)
		ereport(NOTICE,
				(errmsg("experiment \"%s\" has no stored slices for its current plan", id),
				 errhint("Compute them with CALL guardrail_check().")));
	else
	{
		if (s->misfit)
			ereport(WARNING,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("stored slices of experiment \"%s\" are incomplete or damaged", id),
					 errdetail_internal("%s", s->misfit),
					 errhint("Store all its events again with CALL guardrail_check() or with guardrail_rebuild().")));
		audit(&a, s);
	}
	SPI_finish();
	return (Datum) 0;
}
