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
 * Bytes: number of arms · the row counts and what is kept of the batches, as a head,
 * after its length · by arm and list: the windows, and the histogram of all batches.
 * Numbers are varints.
 */
#include "slice/slice.h"

#include "units/bins.h"
#include "units/varint.h"

/* A window's bins on either side of the quantile's: 6 % of it or more. */
#define WINDOW_BINS 64

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

struct HeadTotals
{
	MemoryContext context;
	const CollectSpec *spec;
	Head	   *head;			/* its histograms are reduced to the windows */
	Windows    *windows[GR_MAX_ARMS];	/* [nlists]; NULL as the pooled ones: none */
	BinList    *pooled[GR_MAX_ARMS];	/* [nlists], of all batches */
};

/* ---- windows ----------------------------------------------------------------------- */

static int
compare_windows(const void *a, const void *b)
{
	const Window *x = a;
	const Window *y = b;

	return (x->low > y->low) - (x->low < y->low);
}

/* The list that a rule's quantile is one of; -1: none. */
static int
list_of_rule(const CollectSpec *spec, const Rule *rule)
{
	const Metric *metric = &spec->metrics[rule->metric];

	return metric->shape == SHAPE_EVENTS ? spec->folds[metric->a].slot : -1;
}

static int32
bin_of_quantile(const BinList *pooled, const Rule *rule)
{
	return gr_bin(gr_histogram_quantile(pooled->bins, pooled->nbins, rule->rule.quantile));
}

/* Around the quantiles that the rules ask of a list. */
static Windows
place_windows(const Experiment *e, const CollectSpec *spec, int list, const BinList *pooled)
{
	Windows		w = {0, palloc(sizeof(Window) * Max(e->nrules, 1))};
	int			n = 0;

	for (int i = 0; pooled->nbins > 0 && i < e->nrules; i++)
	{
		int32		bin;

		if (list_of_rule(spec, &e->rules[i]) != list)
			continue;
		bin = bin_of_quantile(pooled, &e->rules[i]);
		w.window[n].low = Max(bin - WINDOW_BINS, -GR_BIN_MAX);
		w.window[n++].high = Min(bin + WINDOW_BINS, GR_BIN_MAX);
	}
	qsort(w.window, n, sizeof(Window), compare_windows);
	for (int i = 0; i < n; i++)
	{
		if (w.n > 0 && w.window[i].low <= w.window[w.n - 1].high + 1)
			w.window[w.n - 1].high = w.window[i].high;
		else
			w.window[w.n++] = w.window[i];
	}
	return w;
}

static bool
windows_valid(const Windows *w)
{
	int64		last = -GR_BIN_MAX - 2;

	for (int i = 0; i < w->n; i++)
	{
		if (w->window[i].low <= last + 1 || w->window[i].high < w->window[i].low)
			return false;
		last = w->window[i].high;
	}
	return last <= GR_BIN_MAX;
}

static bool
in_a_window(const Windows *w, int32 bin)
{
	for (int i = 0; i < w->n; i++)
		if (bin >= w->window[i].low && bin <= w->window[i].high)
			return true;
	return false;
}

/* What lies outside of the windows goes to the bin beside the one before it, or after. */
static BinList
reduce(const Windows *w, const BinList *full)
{
	BinList		out = {0, palloc_extended(sizeof(GrBin) * Max(full->nbins, 1), MCXT_ALLOC_HUGE)};
	int			k = 0;

	for (int i = 0; i < full->nbins; i++)
	{
		int32		bin = full->bins[i].bin;

		while (k < w->n && bin > w->window[k].high)
			k++;
		if (k == w->n || bin < w->window[k].low)
			bin = k > 0 ? w->window[k - 1].high + 1 : w->n > 0 ? w->window[0].low - 1 : 0;
		if (out.nbins > 0 && out.bins[out.nbins - 1].bin == bin)
			out.bins[out.nbins - 1].count += full->bins[i].count;
		else
			out.bins[out.nbins++] = (GrBin) {bin, full->bins[i].count};
	}
	return out;
}

/* ---- changing -------------------------------------------------------------------- */

static void
need_arm(HeadTotals *t, int arm)
{
	if (t->windows[arm])
		return;
	t->windows[arm] = palloc0(sizeof(Windows) * Max(t->spec->nlists, 1));
	t->pooled[arm] = palloc0(sizeof(BinList) * Max(t->spec->nlists, 1));
}

static BinList
pool(BinList *batch)
{
	MetricData	data = {.batch = batch};

	gr_metric_pool(&data);
	return data.pooled;
}

static void
add_counts(RowCounts *to, const RowCounts *from, int ncolumns)
{
	for (int b = 0; b < GR_BATCHES; b++)
		to->rows[b] += from->rows[b];
	for (int k = 0; k < GR_BATCHES * ncolumns; k++)
	{
		to->nulls[k] += from->nulls[k];
		to->nonfinite[k] += from->nonfinite[k];
	}
}

static void
add_list(HeadTotals *t, int arm, int list, const BinList *delta)
{
	BinList    *to = gr_head_bins(t->head, arm, list);

	for (int b = 0; b < GR_BATCHES; b++)
	{
		BinList		reduced = reduce(&t->windows[arm][list], &delta[b]);

		gr_bins_add(&to[b], &reduced, 1);
		pfree(reduced.bins);
	}
}

void
gr_head_totals_add(HeadTotals *t, Head *delta)
{
	MemoryContext here = MemoryContextSwitchTo(t->context);

	t->head->null_unit_rows += delta->null_unit_rows;
	t->head->unknown_arm_rows += delta->unknown_arm_rows;
	for (int a = 0; a < GR_MAX_ARMS; a++)
	{
		if (delta->counts[a])
			add_counts(gr_head_counts(t->head, a), delta->counts[a], delta->ncolumns);
		if (delta->bins[a] == NULL)
			continue;
		need_arm(t, a);
		for (int k = 0; k < delta->nlists; k++)
		{
			BinList		pooled = pool(gr_head_bins(delta, a, k));

			gr_bins_add(&t->pooled[a][k], &pooled, 1);
			add_list(t, a, k, gr_head_bins(delta, a, k));
		}
	}
	MemoryContextSwitchTo(here);
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
	for (int a = 0; a < GR_MAX_ARMS; a++)
	{
		if (sum->bins[a] == NULL)
			continue;
		need_arm(t, a);
		for (int k = 0; k < spec->nlists; k++)
		{
			BinList		pooled = pool(gr_head_bins(sum, a, k));

			t->windows[a][k] = place_windows(e, spec, k, &pooled);
			if (pooled.bins)
				pfree(pooled.bins);
		}
	}
	gr_head_totals_add(t, sum);
	MemoryContextSwitchTo(here);
	return t;
}

/* ---- reading ------------------------------------------------------------------------ */

static int64
total_of(const BinList *list)
{
	return gr_histogram_total(list->bins, list->nbins);
}

/* Copy a list of one arm to the metrics over it; false when it cannot be right. */
static bool
complete_list(const HeadTotals *t, int arm, int list, MetricData *data)
{
	const BinList *batch = t->head->bins[arm] + GR_BATCHES * list;
	const BinList *pooled = &t->pooled[arm][list];
	int64		events = 0;

	if (!gr_histogram_valid(pooled->bins, pooled->nbins))
		return false;
	for (int b = 0; b < GR_BATCHES; b++)
	{
		if (!gr_histogram_valid(batch[b].bins, batch[b].nbins) ||
			pg_add_s64_overflow(events, total_of(&batch[b]), &events))
			return false;
		data->batch[b].nbins = batch[b].nbins;
		data->batch[b].bins = palloc(sizeof(GrBin) * Max(batch[b].nbins, 1));
		memcpy(data->batch[b].bins, batch[b].bins, sizeof(GrBin) * batch[b].nbins);
	}
	data->reduced = true;
	data->pooled.nbins = pooled->nbins;
	data->pooled.bins = palloc(sizeof(GrBin) * Max(pooled->nbins, 1));
	memcpy(data->pooled.bins, pooled->bins, sizeof(GrBin) * pooled->nbins);
	return events == total_of(pooled);
}

/* Do the windows hold every quantile that is asked for? */
static bool
covers(const HeadTotals *t, const Experiment *e)
{
	for (int a = 0; a < GR_MAX_ARMS; a++)
		for (int i = 0; t->pooled[a] && i < e->nrules; i++)
		{
			int			list = list_of_rule(t->spec, &e->rules[i]);

			if (list >= 0 && t->pooled[a][list].nbins > 0 &&
				!in_a_window(&t->windows[a][list], bin_of_quantile(&t->pooled[a][list], &e->rules[i])))
				return false;
		}
	return true;
}

static void
copy_counts(const RowCounts *from, RowCounts *to, int ncolumns)
{
	if (from == NULL)
		return;
	memcpy(to->rows, from->rows, sizeof(to->rows));
	memcpy(to->nulls, from->nulls, sizeof(int64) * GR_BATCHES * ncolumns);
	memcpy(to->nonfinite, from->nonfinite, sizeof(int64) * GR_BATCHES * ncolumns);
}

bool
gr_head_totals_complete(const HeadTotals *t, const Experiment *e, Collection *c)
{
	const CollectSpec *spec = t->spec;

	if (!covers(t, e))
		return false;
	c->null_unit_rows = t->head->null_unit_rows;
	c->unknown_arm_rows = t->head->unknown_arm_rows;
	for (int a = 0; a < c->narms; a++)
	{
		copy_counts(t->head->counts[a], &c->arms[a].counts, spec->ncolumns);
		for (int m = 0; t->head->bins[a] && m < spec->nmetrics; m++)
			if (spec->metrics[m].shape == SHAPE_EVENTS &&
				!complete_list(t, a, spec->folds[spec->metrics[m].a].slot, &c->arms[a].metrics[m]))
				return false;
	}
	return true;
}

BinList
gr_head_totals_reduced(const HeadTotals *t, int arm, int list, const BinList *full)
{
	const Windows none = {0, NULL};

	return reduce(t->windows[arm] ? &t->windows[arm][list] : &none, full);
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
			const Windows *w = &t->windows[a][k];

			gr_put_varint(buf, w->n);
			for (int i = 0; i < w->n; i++)
			{
				gr_put_signed(buf, w->window[i].low);
				gr_put_signed(buf, w->window[i].high);
			}
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
decode_windows(Windows *w, const char **p, const char *end)
{
	uint64		n;

	if (!gr_get_varint(p, end, &n) || n > (uint64) (end - *p) / 2)
		return false;
	w->n = (int) n;
	w->window = palloc(sizeof(Window) * Max(n, 1));
	for (int i = 0; i < w->n; i++)
	{
		int64		low,
					high;

		if (!gr_get_signed(p, end, &low) || !gr_get_signed(p, end, &high) ||
			low < -GR_BIN_MAX || high > GR_BIN_MAX || low > high)
			return false;
		w->window[i] = (Window) {(int32) low, (int32) high};
	}
	return windows_valid(w);
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
		if (head->bins[a])
			separate_lists(head->bins[a], GR_BATCHES * spec->nlists);
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

			right = decode_windows(&t->windows[a][k], p, end) && gr_bins_decode(&room, p, end);
			t->pooled[a][k] = (BinList) {room.n, room.bins};
		}
	}
	MemoryContextSwitchTo(here);
	return right ? t : NULL;
}
