/*
 * head_totals.c
 *	  Running totals of heads: row counts, and histograms of events.
 *
 * All histograms of events, by batch, are a large part of what a check would read,
 * add up and look through, and grow with the history.  What the rules ask of them is
 * a quantile of all, and then by batch how many events lie below it.  So of an arm's
 * histogram over all batches everything is kept, and of each batch's the bins around
 * the quantile, in windows; what lies between two windows is one number.  All are whole
 * numbers, and exact.  When a quantile leaves its window, or there is another one,
 * the heads are added up and the windows placed anew.
 *
 * Bytes: the row counts and what is kept of the batches, as a head, after its length
 * as a varint · for each arm that has any, by list: the windows, and the histogram of
 * all batches.
 */
#include "slice/stored.h"

#include "common/int.h"
#include "miscadmin.h"
#include "slice/windows.h"
#include "units/bins.h"
#include "base/varint.h"

struct HeadTotals
{
	MemoryContext context;
	const CollectSpec *spec;
	Head	   *head;			/* its histograms are reduced to the windows */
	Windows    *windows[GR_MAX_ARMS];	/* [nlists]; NULL as the pooled ones: none */
	BinList    *pooled[GR_MAX_ARMS];	/* [nlists], of all batches */
};

/* ---- changing -------------------------------------------------------------------- */

static void
need_arm(HeadTotals *t, int arm)
{
	if (t->windows[arm])
		return;
	t->windows[arm] = palloc0(sizeof(Windows) * Max(t->spec->nlists, 1));
	t->pooled[arm] = palloc0(sizeof(BinList) * Max(t->spec->nlists, 1));
}

/* e: to place the windows anew; NULL: they stay. */
static void
add_list(HeadTotals *t, int arm, int list, BinList *delta, const Experiment *e)
{
	BinList    *to = gr_head_bins(t->head, arm, list);
	Windows    *windows = &t->windows[arm][list];
	MemoryContext work = AllocSetContextCreate(t->context, "histograms of events", ALLOCSET_DEFAULT_SIZES);
	MemoryContext here = MemoryContextSwitchTo(work);
	MetricData	data = {.batch = delta};

	CHECK_FOR_INTERRUPTS();
	gr_metric_pool(&data);
	MemoryContextSwitchTo(here);
	if (e)
		*windows = gr_windows_place(e, t->spec, list, delta, &data.pooled);
	gr_bins_add(&t->pooled[arm][list], &data.pooled, 1);
	for (int b = 0; b < GR_BATCHES; b++)
	{
		BinList		reduced;

		MemoryContextSwitchTo(work);
		reduced = gr_windows_reduce(windows, &delta[b]);
		MemoryContextSwitchTo(here);
		gr_bins_add(&to[b], &reduced, 1);
	}
	MemoryContextDelete(work);
}

/* Of ties, those in the windows, the first and the last. */
static void
keep_ties(HeadTotals *t, int arm)
{
	for (int f = 0; t->head->counts[arm] && f < t->spec->nfolds; f++)
	{
		const Fold *fold = &t->spec->folds[f];
		TieTable   *ties = &t->head->counts[arm]->ties[fold->column];
		TieList		all,
					kept;

		if (!fold->kind->in_bins || ties->n == 0)
			continue;
		all = gr_ties_list(ties);
		kept = all;
		kept.n = 0;
		for (int i = 0; i < all.n; i++)
			if (i == 0 || i == all.n - 1 || gr_windows_hold(&t->windows[arm][fold->slot], all.ties[i].bin))
				kept.ties[kept.n++] = all.ties[i];
		pfree(ties->slot);
		ties->slot = NULL;
		ties->n = 0;
		gr_ties_merge_list(ties, &kept);
		pfree(kept.ties);
	}
}

static void
add_head(HeadTotals *t, Head *delta, const Experiment *e)
{
	MemoryContext here = MemoryContextSwitchTo(t->context);

	t->head->null_unit_rows += delta->null_unit_rows;
	t->head->unknown_arm_rows += delta->unknown_arm_rows;
	for (int a = 0; a < GR_MAX_ARMS; a++)
	{
		if (delta->counts[a])
			gr_counts_add(gr_head_counts(t->head, a), delta->counts[a], delta->ncolumns);
		if (delta->bins[a] == NULL)
			continue;
		need_arm(t, a);
		for (int k = 0; k < delta->nlists; k++)
			add_list(t, a, k, gr_head_bins(delta, a, k), e);
		keep_ties(t, a);
	}
	MemoryContextSwitchTo(here);
}

void
gr_head_totals_add(HeadTotals *t, Head *delta)
{
	add_head(t, delta, NULL);
}

static HeadTotals *
make(const CollectSpec *spec, MemoryContext context)
{
	HeadTotals *t = palloc0(sizeof(HeadTotals));

	t->context = context;
	t->spec = spec;
	return t;
}

HeadTotals *
gr_head_totals_make(const Experiment *e, const CollectSpec *spec, Head *sum, MemoryContext context)
{
	MemoryContext here = MemoryContextSwitchTo(context);
	HeadTotals *t = make(spec, context);

	t->head = gr_head_make(spec);
	add_head(t, sum, e);
	MemoryContextSwitchTo(here);
	return t;
}

/* ---- reading ------------------------------------------------------------------------ */

static int64
total_of(const BinList *list)
{
	return gr_histogram_total(list->bins, list->nbins);
}

static void
copy_list(const BinList *from, BinList *to)
{
	to->nbins = from->nbins;
	to->bins = palloc(sizeof(GrBin) * Max(from->nbins, 1));
	memcpy(to->bins, from->bins, sizeof(GrBin) * from->nbins);
}

/* Can they be right: do the batches add up to all of them, in bins that are kept? */
static bool
list_valid(const Windows *w, const BinList *batch, const BinList *pooled)
{
	int64		events = 0;

	if (!gr_histogram_valid(pooled->bins, pooled->nbins))
		return false;
	for (int b = 0; b < GR_BATCHES; b++)
	{
		if (!gr_histogram_valid(batch[b].bins, batch[b].nbins) ||
			!gr_windows_is_reduced(w, &batch[b]) ||
			pg_add_s64_overflow(events, total_of(&batch[b]), &events))
			return false;
	}
	return events == total_of(pooled);
}

bool
gr_head_totals_suffice(const HeadTotals *t, const Experiment *e)
{
	for (int a = 0; a < GR_MAX_ARMS; a++)
		for (int k = 0; t->pooled[a] && k < t->spec->nlists; k++)
			if (!list_valid(&t->windows[a][k], t->head->bins[a] + GR_BATCHES * k, &t->pooled[a][k]) ||
				!gr_windows_suffice(&t->windows[a][k], e, t->spec, k, &t->pooled[a][k]))
				return false;
	return true;
}

bool
gr_head_totals_are_worn(const HeadTotals *t, const Experiment *e)
{
	for (int a = 0; a < GR_MAX_ARMS; a++)
		for (int k = 0; t->pooled[a] && k < t->spec->nlists; k++)
			if (gr_windows_are_outgrown(&t->windows[a][k], t->head->bins[a] + GR_BATCHES * k))
				return true;
	return !gr_head_totals_suffice(t, e);
}

static void
copy_counts(const RowCounts *from, RowCounts *to, int ncolumns)
{
	if (from == NULL)
		return;
	memcpy(to->rows, from->rows, sizeof(to->rows));
	memcpy(to->nulls, from->nulls, sizeof(int64) * GR_BATCHES * ncolumns);
	memcpy(to->nonfinite, from->nonfinite, sizeof(int64) * GR_BATCHES * ncolumns);
	for (int k = 0; k < ncolumns; k++)
		gr_ties_merge_table(&to->ties[k], &from->ties[k]);
}

void
gr_head_totals_counts(const HeadTotals *t, Collection *c)
{
	c->null_unit_rows = t->head->null_unit_rows;
	c->unknown_arm_rows = t->head->unknown_arm_rows;
	for (int a = 0; a < c->narms; a++)
		copy_counts(t->head->counts[a], &c->arms[a].counts, t->spec->ncolumns);
}

bool
gr_head_totals_complete(const HeadTotals *t, const Experiment *e, Collection *c)
{
	const CollectSpec *spec = t->spec;

	if (!gr_head_totals_suffice(t, e))
		return false;
	gr_head_totals_counts(t, c);
	for (int a = 0; a < c->narms; a++)
		for (int m = 0; t->head->bins[a] && m < spec->nmetrics; m++)
		{
			MetricData *data = &c->arms[a].metrics[m];
			int			list;

			if (!spec->metrics[m].shape->over_events)
				continue;
			list = spec->folds[spec->metrics[m].a].slot;
			for (int b = 0; b < GR_BATCHES; b++)
				copy_list(&t->head->bins[a][GR_BATCHES * list + b], &data->batch[b]);
			copy_list(&t->pooled[a][list], &data->pooled);
			data->reduced = true;
		}
	gr_collection_take_ties(c, spec);
	return true;
}

BinList
gr_head_totals_reduced(const HeadTotals *t, int arm, int list, const BinList *full)
{
	const Windows none = {0, NULL};

	return gr_windows_reduce(t->windows[arm] ? &t->windows[arm][list] : &none, full);
}

/* ---- bytes --------------------------------------------------------------------------- */

void
gr_head_totals_encode(StringInfo buf, const HeadTotals *t)
{
	bytea	   *head = gr_head_encode(t->head);

	gr_put_varint(buf, VARSIZE_ANY_EXHDR(head));
	appendBinaryStringInfo(buf, VARDATA_ANY(head), VARSIZE_ANY_EXHDR(head));
	pfree(head);
	for (int a = 0; a < GR_MAX_ARMS; a++)
	{
		for (int k = 0; t->head->bins[a] && k < t->spec->nlists; k++)
		{
			gr_windows_encode(buf, &t->windows[a][k]);
			gr_bins_encode(buf, &t->pooled[a][k]);
		}
	}
}

/* The histograms each by itself in memory, so that they can be added to. */
static void
separate_lists(BinList *list, int n)
{
	for (int i = 0; i < n; i++)
	{
		GrBin	   *bins = list[i].bins;

		if (bins == NULL)
			continue;
		list[i].bins = palloc(sizeof(GrBin) * Max(list[i].nbins, 1));
		memcpy(list[i].bins, bins, sizeof(GrBin) * list[i].nbins);
	}
}

static bool
counts_valid(const RowCounts *counts, int ncolumns)
{
	for (int b = 0; b < GR_BATCHES; b++)
		if (counts->rows[b] < 0)
			return false;
	for (int k = 0; k < GR_BATCHES * ncolumns; k++)
		if (counts->nulls[k] < 0 || counts->nonfinite[k] < 0)
			return false;
	return true;
}

static Head *
decode_head(const CollectSpec *spec, const char **p, const char *end)
{
	uint64		size;
	bytea	   *bytes;
	Head	   *head;

	if (!gr_get_varint(p, end, &size) || size > (uint64) (end - *p))
		return NULL;
	bytes = palloc(VARHDRSZ + size);
	SET_VARSIZE(bytes, VARHDRSZ + size);
	memcpy(VARDATA(bytes), *p, size);
	*p += size;
	head = gr_head_decode(spec, bytes);
	pfree(bytes);
	for (int a = 0; head && a < GR_MAX_ARMS; a++)
	{
		if (head->counts[a] && !counts_valid(head->counts[a], head->ncolumns))
			return NULL;
		if (head->bins[a])
			separate_lists(head->bins[a], GR_BATCHES * spec->nlists);
	}
	return head;
}

HeadTotals *
gr_head_totals_decode(const CollectSpec *spec, const char **p, const char *end, MemoryContext context)
{
	MemoryContext here = MemoryContextSwitchTo(context);
	HeadTotals *t = make(spec, context);
	bool		right;

	t->head = decode_head(spec, p, end);
	right = t->head != NULL;
	for (int a = 0; right && a < GR_MAX_ARMS; a++)
	{
		if (t->head->bins[a] == NULL)
			continue;
		need_arm(t, a);
		for (int k = 0; right && k < spec->nlists; k++)
		{
			BinRoom		room = {0};

			right = gr_windows_decode(&t->windows[a][k], p, end) && gr_bins_decode(&room, p, end);
			t->pooled[a][k] = (BinList) {room.n, room.bins};
		}
	}
	MemoryContextSwitchTo(here);
	return right ? t : NULL;
}
