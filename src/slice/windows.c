/*
 * windows.c
 *	  Which bins of a batch's histogram of events are kept: those around quantiles.
 */
#include "slice/windows.h"

#include "base/varint.h"

/* A window's bins on either side of the quantile's: 3 to 6 % of it. */
#define WINDOW_BINS 64

/* So much is kept of a list at most when the windows hold everything. */
#define LITTLE_BINS (GR_BATCHES * (2 * WINDOW_BINS + 1))

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

	return metric->shape->over_events ? spec->folds[metric->a].slot : -1;
}

static int32
bin_of_quantile(const BinList *pooled, const Rule *rule)
{
	return gr_quantile_bin(pooled->bins, pooled->nbins, rule->rule.quantile);
}

bool
gr_windows_hold(const Windows *w, int32 bin)
{
	for (int i = 0; i < w->n; i++)
		if (bin >= w->window[i].low && bin <= w->window[i].high)
			return true;
	return false;
}

static Size
bins_of_all(const BinList *batch)
{
	Size		n = 0;

	for (int b = 0; b < GR_BATCHES; b++)
		n += batch[b].nbins;
	return n;
}

Windows
gr_windows_place(const Experiment *e, const CollectSpec *spec, int list, const BinList *batch,
				 const BinList *pooled)
{
	Windows		w = {0, palloc(sizeof(Window) * Max(e->nrules, 1))};
	int			n = 0;

	if (e->nrules > 0 && bins_of_all(batch) <= LITTLE_BINS)
	{
		w.window[w.n++] = (Window) {-GR_BIN_MAX, GR_BIN_MAX};
		return w;
	}
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

bool
gr_windows_suffice(const Windows *w, const Experiment *e, const CollectSpec *spec, int list,
				   const BinList *pooled)
{
	for (int i = 0; pooled->nbins > 0 && i < e->nrules; i++)
		if (list_of_rule(spec, &e->rules[i]) == list &&
			!gr_windows_hold(w, bin_of_quantile(pooled, &e->rules[i])))
			return false;
	return true;
}

bool
gr_windows_are_outgrown(const Windows *w, const BinList *batch)
{
	return w->n > 0 && w->window[0].low == -GR_BIN_MAX && w->window[0].high == GR_BIN_MAX &&
		bins_of_all(batch) > 2 * LITTLE_BINS;
}

/* Where a bin is counted; *k: the window at hand, for bins that ascend. */
static int32
kept_as(const Windows *w, int *k, int32 bin)
{
	while (*k < w->n && bin > w->window[*k].high)
		++*k;
	if (*k < w->n && bin >= w->window[*k].low)
		return bin;
	return *k > 0 ? w->window[*k - 1].high + 1 : w->n > 0 ? w->window[0].low - 1 : 0;
}

BinList
gr_windows_reduce(const Windows *w, const BinList *full)
{
	BinList		out = {0, palloc_extended(sizeof(GrBin) * Max(full->nbins, 1), MCXT_ALLOC_HUGE)};
	int			k = 0;

	for (int i = 0; i < full->nbins; i++)
	{
		int32		bin = kept_as(w, &k, full->bins[i].bin);

		if (out.nbins > 0 && out.bins[out.nbins - 1].bin == bin)
			out.bins[out.nbins - 1].count += full->bins[i].count;
		else
			out.bins[out.nbins++] = (GrBin) {bin, full->bins[i].count};
	}
	return out;
}

bool
gr_windows_is_reduced(const Windows *w, const BinList *list)
{
	int			k = 0;

	for (int i = 0; i < list->nbins; i++)
		if (kept_as(w, &k, list->bins[i].bin) != list->bins[i].bin)
			return false;
	return true;
}

/* ---- bytes: varints ---------------------------------------------------------------- */

void
gr_windows_encode(StringInfo buf, const Windows *w)
{
	gr_put_varint(buf, w->n);
	for (int i = 0; i < w->n; i++)
	{
		gr_put_signed(buf, w->window[i].low);
		gr_put_signed(buf, w->window[i].high);
	}
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

bool
gr_windows_decode(Windows *w, const char **p, const char *end)
{
	uint64		n;

	if (!gr_get_varint(p, end, &n) || n > GR_MAX_METRICS)
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
