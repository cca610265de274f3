/*
 * fold.c
 *	  From slices and a tail of unread events to a collection.
 *
 * With running totals only the units of the tail are looked at (totals.c).  Without,
 * all units are folded in blocks, and the blocks' collections added up: units of
 * different blocks are disjoint.  Caps at a pooled quantile need the totals of all
 * units first, so they take one more pass.
 *
 * Events of a FOLD_EVENTS metric are stored as histograms by arm and batch, not by
 * unit.  A unit that is first seen in a second arm takes its earlier events out of
 * them: those are read again, and must be as many as were stored.
 */
#include "slice/stored.h"

#include "miscadmin.h"
#include "utils/memutils.h"

#define BLOCK_UNITS 32768

/* Units whose earlier events are taken out, per statement. */
#define CROSSED_UNITS 10000

typedef struct FoldState
{
	Stored	   *s;
	Units	   *block;			/* NULL: nothing is folded */
	MemoryContext block_context;
	MemoryContext context;		/* of the result */
	Collection *total;
	Units	   *tail;			/* NULL: none */
	uint32		tail_at;
	int32	   *tail_arm;		/* of its units after merging */

	/* units that the tail has shown in a second arm, as stored */
	Size		ncrossed;
	Size		capacity;
	uint64	   *crossed;
	int64		crossed_events;
} FoldState;

/* ---- collections ------------------------------------------------------------- */

static void
add_metric(MetricData *to, const MetricData *from)
{
	if (!gr_moments_merge(&to->moments, &from->moments))
		to->skipped += from->moments.n;
	if (!gr_moments_merge(&to->adjusted, &from->adjusted))
		to->skipped += from->adjusted.n;
	memcpy(to->cap, from->cap, sizeof(to->cap));
	to->skipped += from->skipped;
	to->nonzero += from->nonzero;
	if (to->batch)
		to->ties = gr_ties_union(&to->ties, &from->ties);
	for (int b = 0; to->batch && b < GR_BATCHES; b++)
		gr_bins_add(&to->batch[b], &from->batch[b], 1);
}

static void
add_collection(Collection *to, const Collection *from)
{
	to->crossover_units += from->crossover_units;
	for (int a = 0; a < from->narms; a++)
	{
		to->arms[a].units += from->arms[a].units;
		to->arms[a].events += from->arms[a].events;
		for (int m = 0; m < to->nmetrics; m++)
			add_metric(&to->arms[a].metrics[m], &from->arms[a].metrics[m]);
	}
}

/*
 * The counts, and with events their histograms: false when these cannot be right.
 */
static bool
add_head(Collection *c, const CollectSpec *spec, Head *head, bool events)
{
	c->null_unit_rows = head->null_unit_rows;
	c->unknown_arm_rows = head->unknown_arm_rows;
	for (int a = 0; a < c->narms; a++)
	{
		c->arms[a].counts = *gr_head_counts(head, a);
		for (int m = 0; events && m < spec->nmetrics; m++)
		{
			MetricData *data = &c->arms[a].metrics[m];
			const BinList *bins;

			if (!spec->metrics[m].shape->over_events)
				continue;
			bins = gr_head_bins(head, a, spec->folds[spec->metrics[m].a].slot);
			memcpy(data->batch, bins, sizeof(BinList) * GR_BATCHES);
			for (int b = 0; b < GR_BATCHES; b++)
				if (!gr_histogram_valid(bins[b].bins, bins[b].nbins))
					return false;
			gr_metric_pool(data);
			data->reduced = false;
		}
	}
	if (events)
		gr_collection_take_ties(c, spec);
	return true;
}

/* Its arms' names, and the histograms over units of all batches. */
static void
name_and_pool(Collection *c, const Stored *s)
{
	for (int a = 0; a < c->narms; a++)
	{
		c->arms[a].name = pstrdup(s->arm[a]);
		for (int m = 0; m < c->nmetrics; m++)
			if (c->arms[a].metrics[m].batch && !s->spec->metrics[m].shape->over_events)
				gr_metric_pool(&c->arms[a].metrics[m]);
	}
}

/* ---- blocks of units ----------------------------------------------------------- */

static void
start_blocks(FoldState *f, CapPair *caps)
{
	const CollectSpec *spec = f->s->spec;
	MemoryContext old;
	Units	   *u = gr_units_make(CurrentMemoryContext, (CollectSpec *) spec, PG_INT32_MAX);

	for (int a = 0; a < f->s->narms; a++)
		gr_units_add_arm(u, f->s->arm[a], strlen(f->s->arm[a]));
	u->caps = caps;
	u->flat = palloc0(sizeof(Flat));
	u->flat->entries = palloc_extended(f->s->entry_size * BLOCK_UNITS, MCXT_ALLOC_HUGE);
	u->flat->lists = palloc0(sizeof(FlatList) * Max(spec->nlists, 1));
	/* their events are not in the units */
	for (int k = 0; k < spec->nlists; k++)
		u->flat->lists[k].count = palloc0(sizeof(uint32) * BLOCK_UNITS);
	f->block = u;
	f->block_context = AllocSetContextCreate(CurrentMemoryContext, "block of units",
											 ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(f->context);
	f->total = gr_collection_make(spec, f->s->narms);
	MemoryContextSwitchTo(old);
}

static void
flush_block(FoldState *f)
{
	MemoryContext old = MemoryContextSwitchTo(f->block_context);
	Collection *c = gr_units_fold(f->block);

	MemoryContextSwitchTo(f->context);
	add_collection(f->total, c);
	MemoryContextSwitchTo(old);
	MemoryContextReset(f->block_context);
	f->block->flat->n = 0;
}

/* A unit of the tail: is it in one arm still? */
static void
note_arms(FoldState *f, const GrMergedUnit *unit)
{
	const UnitEntry *before = unit->runs;

	f->tail_arm[f->tail_at++] = unit->all->arm;
	if (before == NULL || before->arm < 0 || unit->all->arm >= 0)
		return;
	if (f->ncrossed == f->capacity)
	{
		f->capacity = Max(1024, 2 * f->capacity);
		f->crossed = f->crossed ? repalloc_huge(f->crossed, sizeof(uint64) * f->capacity) :
			palloc_extended(sizeof(uint64) * f->capacity, MCXT_ALLOC_HUGE);
	}
	f->crossed[f->ncrossed++] = before->hash;
	f->crossed_events += before->events;
}

static void
fold_unit(void *arg, const GrMergedUnit *unit)
{
	FoldState  *f = arg;

	if (unit->tail && f->tail_arm)
		note_arms(f, unit);
	if (f->block == NULL)
		return;
	memcpy(gr_entry(f->block->flat->entries, f->s->entry_size, f->block->flat->n++), unit->all,
		   f->s->entry_size);
	if (f->block->flat->n == BLOCK_UNITS)
		flush_block(f);
}

/* ---- histograms of events ------------------------------------------------------ */

/* The spec with the metrics that are histograms of events alone. */
static CollectSpec *
events_spec(const CollectSpec *spec)
{
	CollectSpec *events = palloc(sizeof(CollectSpec));

	*events = *spec;
	events->nmetrics = 0;
	events->metrics = palloc(sizeof(Metric) * spec->nmetrics);
	for (int m = 0; m < spec->nmetrics; m++)
		if (spec->metrics[m].shape->over_events)
			events->metrics[events->nmetrics++] = spec->metrics[m];
	return events;
}

/* Histograms of some units' events by arm, added to a head's. */
static void
add_events(Head *head, Units *u, int sign)
{
	CollectSpec *spec = u->spec;
	CollectSpec *events = events_spec(spec);
	Collection *c;

	u->spec = events;
	c = gr_units_fold(u);
	u->spec = spec;
	for (int a = 0; a < c->narms; a++)
		for (int m = 0; m < events->nmetrics; m++)
			for (int b = 0; b < GR_BATCHES; b++)
				gr_bins_add(gr_head_bins(head, a, spec->folds[events->metrics[m].a].slot) + b,
							&c->arms[a].metrics[m].batch[b], sign);
}

/* The tail's events of units that are in one arm. */
static void
add_tail_events(FoldState *f, Head *head)
{
	Units	   *tail = f->tail;

	for (int pass = 0; pass < 2; pass++)
	{
		/* with the arms that the units have in all; then with their own again */
		for (uint32 i = 0; i < tail->flat->n; i++)
		{
			UnitEntry  *e = gr_entry(tail->flat->entries, f->s->entry_size, i);
			int32		arm = e->arm;

			e->arm = f->tail_arm[i];
			f->tail_arm[i] = arm;
		}
		if (pass == 0)
			add_events(head, tail, 1);
	}
}

/*
 * Take the stored events of units that are in two arms now out of the
 * histograms.  False when they are not those that were stored.
 */
static bool
remove_crossed(FoldState *f, Head *head, const char *tail_range)
{
	Stored	   *s = f->s;
	const char *unit = quote_identifier(s->e->unit_column);
	Experiment	tail = *s->e;
	int64		events = 0;
	Units	   *units;

	if (s->position == NULL)
		return false;
	tail.range = tail_range;
	for (Size at = 0; at < f->ncrossed; at += CROSSED_UNITS)
	{
		StringInfoData range;

		initStringInfo(&range);
		appendStringInfo(&range, "%s AND %s IN (SELECT %s %s AND %s._guardrail_unit_hash(%s) = ANY ('{",
						 gr_cursor_range(s->cursor, NULL, s->position), unit, unit,
						 gr_sql_from(&tail), s->schema, unit);
		for (Size i = at; i < Min(at + CROSSED_UNITS, f->ncrossed); i++)
			appendStringInfo(&range, "%s" INT64_FORMAT, i > at ? "," : "", (int64) f->crossed[i]);
		appendStringInfoString(&range, "}'::bigint[]))");
		if (!gr_slice_scan(s, range.data, CurrentMemoryContext, &units))
			ereport(ERROR,
					(errcode(GR_ERRCODE_UNITS_MEMORY),
					 errmsg("events of units in more than one variant need more than guardrail.unit_memory (%d kB)",
							guardrail_unit_memory),
					 errhint("Increase guardrail.unit_memory.")));
		if (units == NULL)
			return false;
		for (uint32 i = 0; i < units->flat->n; i++)
		{
			const UnitEntry *e = gr_entry(units->flat->entries, s->entry_size, i);

			if (e->arm < 0)
				return false;
			events += e->events;
		}
		add_events(head, units, -1);
	}
	return events == f->crossed_events;
}

/* What the tail adds to the heads of the runs. */
static Head *
tail_head(FoldState *f, const char *tail_range)
{
	const CollectSpec *spec = f->s->spec;
	Head	   *head = gr_head_make(spec);
	const Units *tail = f->tail;

	if (tail == NULL)
		return head;
	head->null_unit_rows = tail->null_unit_rows;
	head->unknown_arm_rows = tail->unknown_arm_rows;
	for (int a = 0; a < tail->narms; a++)
		if (tail->counts[a].nulls)
			*gr_head_counts(head, a) = tail->counts[a];
	if (spec->nlists == 0)
		return head;
	add_tail_events(f, head);
	if (f->ncrossed > 0 && !remove_crossed(f, head, tail_range))
		return NULL;
	return head;
}

/* Room for the arms that the tail's units have after merging, when that matters. */
static int32 *
arms_of_tail(const Stored *s, const Units *tail)
{
	if (tail == NULL || s->spec->nlists == 0)
		return NULL;
	return palloc_extended(sizeof(int32) * Max(tail->flat->n, 1), MCXT_ALLOC_HUGE);
}

/* Complete a collection (NULL: there is none to be) by the heads. */
static Collection *
finish(FoldState *f, const Run *runs, int nruns, Head **delta)
{
	MemoryContext here;

	if (*delta == NULL || f->total == NULL)
		return NULL;
	here = MemoryContextSwitchTo(f->context);
	name_and_pool(f->total, f->s);
	if (!add_head(f->total, f->s->spec, gr_stored_sum_heads(f->s, runs, nruns, *delta), nruns == f->s->nruns))
		*delta = NULL;
	MemoryContextSwitchTo(here);
	return *delta ? f->total : NULL;
}

Collection *
gr_slice_fold(Stored *s, const Run *runs, int nruns, Units *tail, const char *tail_range,
			  bool fold, Head **delta, MemoryContext context)
{
	FoldState	f = {.s = s, .tail = tail, .context = context};

	f.tail_arm = arms_of_tail(s, tail);
	if (fold)
	{
		CapPair    *caps = gr_slice_caps(s, runs, nruns, tail, &fold);

		if (fold)
			start_blocks(&f, caps);
	}
	if (fold)
		gr_merge(s, runs, nruns, tail ? tail->flat : NULL, fold_unit, &f);
	else if (f.tail_arm)
		gr_merge_tail(s, runs, nruns, tail->flat, fold_unit, &f);
	if (fold)
		flush_block(&f);
	*delta = tail_head(&f, tail_range);
	return finish(&f, runs, nruns, delta);
}

/* ---- by the running totals ------------------------------------------------------ */

static void
change_unit(void *arg, const GrMergedUnit *unit)
{
	FoldState  *f = arg;

	if (f->tail_arm)
		note_arms(f, unit);
	if (unit->runs)
		gr_totals_change(f->s->totals, unit->runs, -1);
	gr_totals_change(f->s->totals, unit->all, 1);
}

/* Complete a collection (NULL: there is none to be) by the totals of the heads. */
static Collection *
finish_on(FoldState *f, Head **delta)
{
	Stored	   *s = f->s;
	MemoryContext here = MemoryContextSwitchTo(f->context);

	if (f->total && *delta)
	{
		name_and_pool(f->total, s);
		if (!gr_head_totals_complete(gr_totals_heads(s->totals), s->e, f->total))
		{
			Head	   *sum = gr_stored_sum_heads(s, s->runs, s->nruns, *delta);

			if (add_head(f->total, s->spec, sum, true))
				gr_totals_set_heads(s->totals, gr_head_totals_make(s->e, s->spec, sum, s->context));
			else
				*delta = NULL;
		}
	}
	MemoryContextSwitchTo(here);
	return *delta ? f->total : NULL;
}

/*
 * Are the values known that the rules' quantiles over units may be tied at, and the
 * least and the greatest?  Units that went may have taken them along.
 */
static bool
ties_known(const Stored *s, Collection *c)
{
	for (int i = 0; i < s->e->nrules; i++)
		for (int a = 0; a < c->narms; a++)
		{
			MetricData *data = &c->arms[a].metrics[s->e->rules[i].metric];
			const TieList *ties = &data->ties;
			const GrTie *tie;

			if (data->batch == NULL || s->spec->metrics[s->e->rules[i].metric].shape->over_events)
				continue;
			gr_metric_pool(data);
			if (ties->lost || data->pooled.nbins == 0)
				continue;
			tie = gr_ties_find(ties->ties, ties->n, gr_quantile_bin(data->pooled.bins, data->pooled.nbins,
																	s->e->rules[i].rule.quantile));
			if (tie == NULL || !gr_tie_known(tie) || ties->ties[0].at_low == 0 ||
				ties->ties[ties->n - 1].at_high == 0)
				return false;
		}
	return true;
}

Collection *
gr_slice_fold_on(Stored *s, Units *tail, const char *tail_range, bool fold, Head **delta,
				 MemoryContext context)
{
	FoldState	f = {.s = s, .tail = tail, .context = context};
	Collection *c;

	if (s->totals)
	{
		MemoryContext here = CurrentMemoryContext;

		f.tail_arm = arms_of_tail(s, tail);
		if (tail)
			gr_merge_tail(s, s->runs, s->nruns, tail->flat, change_unit, &f);
		if (fold)
		{
			MemoryContextSwitchTo(context);
			f.total = gr_totals_collect(s->totals, s->narms);
			if (f.total && !ties_known(s, f.total))
			{
				gr_totals_lack_ties(s->totals);
				f.total = NULL;
			}
			MemoryContextSwitchTo(here);
		}
		if (f.total || !fold)
		{
			*delta = tail_head(&f, tail_range);
			if (*delta)
				gr_head_totals_add(gr_totals_heads(s->totals), *delta);
			return finish_on(&f, delta);
		}
	}
	c = gr_slice_fold(s, s->runs, s->nruns, tail, tail_range, fold, delta, context);
	if (s->totals && *delta)
		gr_head_totals_add(gr_totals_heads(s->totals), *delta);
	return c;
}
