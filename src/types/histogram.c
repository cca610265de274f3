/*
 * histogram.c
 *	  guardrail_histogram: input, output, aggregates, accessors.
 *
 * Merging adds integers, so it is exact and independent of the order.
 */
#include "types/histogram.h"

#include <math.h>

#include "common/int.h"
#include "libpq/pqformat.h"
#include "utils/memutils.h"

PG_FUNCTION_INFO_V1(guardrail_histogram_in);
PG_FUNCTION_INFO_V1(guardrail_histogram_out);
PG_FUNCTION_INFO_V1(guardrail_histogram_recv);
PG_FUNCTION_INFO_V1(guardrail_histogram_send);
PG_FUNCTION_INFO_V1(guardrail_histogram_add);
PG_FUNCTION_INFO_V1(guardrail_histogram_combine);
PG_FUNCTION_INFO_V1(guardrail_histogram_final);
PG_FUNCTION_INFO_V1(guardrail_events);
PG_FUNCTION_INFO_V1(guardrail_quantile);

#define FIRST_CAPACITY 8
#define MAX_BINS (2 * GR_BIN_MAX + 1)

static int32 *
pending(const Histogram *h)
{
	return (int32 *) (h->bins + h->capacity);
}

static Size
histogram_size(int capacity, bool working)
{
	return offsetof(Histogram, bins) +
		(Size) capacity * (sizeof(GrBin) + (working ? sizeof(int32) : 0));
}

static Histogram *
histogram_alloc(int capacity, bool working)
{
	Size		size = histogram_size(capacity, working);
	Histogram  *h = palloc0(size);

	SET_VARSIZE(h, size);
	h->version = GR_HISTOGRAM_VERSION;
	h->flags = working ? GR_HISTOGRAM_WORKING : 0;
	h->capacity = capacity;
	return h;
}

/* GrBin has padding; keep it zero so that equal histograms are equal bytes. */
static void
copy_bins(GrBin *to, const GrBin *from, int n)
{
	memset(to, 0, sizeof(GrBin) * n);
	for (int i = 0; i < n; i++)
	{
		to[i].bin = from[i].bin;
		to[i].count = from[i].count;
	}
}

Histogram *
gr_histogram_make(const GrBin *bins, int nbins, int64 skipped)
{
	Histogram  *h = histogram_alloc(nbins, false);

	h->nbins = nbins;
	h->skipped = skipped;
	copy_bins(h->bins, bins, nbins);
	return h;
}

static void
check_form(const Histogram *h)
{
	bool		working;

	if (VARSIZE(h) < offsetof(Histogram, bins) ||
		h->version != GR_HISTOGRAM_VERSION ||
		(h->flags & ~GR_HISTOGRAM_WORKING) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("invalid guardrail_histogram"),
				 errdetail("This version of guardrail does not support its version.")));
	working = (h->flags & GR_HISTOGRAM_WORKING) != 0;
	if (h->capacity < 0 || h->nbins < 0 || h->nbins > h->capacity ||
		h->npending < 0 || h->npending > (working ? h->capacity : 0) ||
		VARSIZE(h) != histogram_size(h->capacity, working))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("invalid guardrail_histogram"),
				 errdetail("Its length does not match its number of bins.")));
}

static int
compare_int32(const void *a, const void *b)
{
	int32		x = *(const int32 *) a;
	int32		y = *(const int32 *) b;

	return (x > y) - (x < y);
}

/* The sorted bins with the pending values merged in, in memory of their own. */
static GrBin *
merged_bins(const Histogram *h, int *nbins)
{
	int32	   *values = palloc(sizeof(int32) * Max(h->npending, 1));
	GrBin	   *fresh = palloc(sizeof(GrBin) * Max(h->npending, 1));
	GrBin	   *out = MemoryContextAllocHuge(CurrentMemoryContext,
											 sizeof(GrBin) * Max(h->nbins + h->npending, 1));
	int			nfresh = 0;

	memcpy(values, pending(h), sizeof(int32) * h->npending);
	qsort(values, h->npending, sizeof(int32), compare_int32);
	for (int i = 0; i < h->npending; i++)
	{
		if (nfresh > 0 && fresh[nfresh - 1].bin == values[i])
			fresh[nfresh - 1].count++;
		else
		{
			fresh[nfresh].bin = values[i];
			fresh[nfresh++].count = 1;
		}
	}
	*nbins = (int) gr_histogram_merge(h->bins, h->nbins, fresh, nfresh, out);
	pfree(values);
	pfree(fresh);
	return out;
}

const GrBin *
gr_histogram_read(const Histogram *h, int *nbins, int64 *skipped)
{
	check_form(h);
	if (skipped)
		*skipped = h->skipped;
	if (h->npending > 0)
		return merged_bins(h, nbins);
	*nbins = h->nbins;
	return h->bins;
}

/* A working form with twice the room that h fills. */
static Histogram *
histogram_grow(const Histogram *h)
{
	int			nbins;
	GrBin	   *bins = merged_bins(h, &nbins);
	int			capacity = Max(FIRST_CAPACITY, 2 * Min(nbins, MAX_BINS));
	Histogram  *grown;

	/* few distinct values: the same room serves again */
	if (nbins <= h->capacity / 2 && (h->flags & GR_HISTOGRAM_WORKING))
		capacity = h->capacity;
	grown = histogram_alloc(capacity, true);
	grown->nbins = nbins;
	grown->skipped = h->skipped;
	copy_bins(grown->bins, bins, nbins);
	pfree(bins);
	return grown;
}

/* guardrail_histogram_add(state, x): NULL is no observation */
Datum
guardrail_histogram_add(PG_FUNCTION_ARGS)
{
	Histogram  *h;
	double		x;

	if (PG_ARGISNULL(0))
		h = histogram_alloc(FIRST_CAPACITY, true);
	else
	{
		h = PG_GETARG_HISTOGRAM_P(0);
		check_form(h);
		if (!AggCheckCallContext(fcinfo, NULL) ||
			!(h->flags & GR_HISTOGRAM_WORKING) || h->npending >= h->capacity)
			h = histogram_grow(h);
	}
	if (PG_ARGISNULL(1))
		PG_RETURN_POINTER(h);
	x = PG_GETARG_FLOAT8(1);
	if (isfinite(x))
		pending(h)[h->npending++] = gr_bin(x);
	else
		h->skipped++;
	PG_RETURN_POINTER(h);
}

Datum
guardrail_histogram_combine(PG_FUNCTION_ARGS)
{
	const GrBin *a,
			   *b;
	GrBin	   *out;
	int			na,
				nb,
				n;
	int64		skipped_a,
				skipped_b,
				total;

	if (PG_ARGISNULL(0) && PG_ARGISNULL(1))
		PG_RETURN_NULL();
	if (PG_ARGISNULL(0))
		PG_RETURN_DATUM(PG_GETARG_DATUM(1));
	if (PG_ARGISNULL(1))
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	a = gr_histogram_read(PG_GETARG_HISTOGRAM_P(0), &na, &skipped_a);
	b = gr_histogram_read(PG_GETARG_HISTOGRAM_P(1), &nb, &skipped_b);
	if (pg_add_s64_overflow(gr_histogram_total(a, na), gr_histogram_total(b, nb), &total) ||
		pg_add_s64_overflow(skipped_a, skipped_b, &skipped_a))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("cannot merge histograms: a number would be out of range")));
	out = MemoryContextAllocHuge(CurrentMemoryContext,
								 sizeof(GrBin) * Max(na + nb, 1));
	n = (int) gr_histogram_merge(a, na, b, nb, out);
	PG_RETURN_POINTER(gr_histogram_make(out, n, skipped_a));
}

Datum
guardrail_histogram_final(PG_FUNCTION_ARGS)
{
	const GrBin *bins;
	int			nbins;
	int64		skipped;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	bins = gr_histogram_read(PG_GETARG_HISTOGRAM_P(0), &nbins, &skipped);
	PG_RETURN_POINTER(gr_histogram_make(bins, nbins, skipped));
}

/* A decimal integer at *text, which is moved behind it. */
static bool
scan_int(const char **text, int64 *value)
{
	const char *p = *text;
	char	   *end;

	if (*p == '-')
		p++;
	if (*p < '0' || *p > '9')
		return false;
	errno = 0;
	*value = strtoll(*text, &end, 10);
	*text = end;
	return errno == 0;
}

/* "v1 skipped=0 bins=-5:1,0:2,7:1" */
static Histogram *
histogram_parse(const char *text)
{
	static const char head[] = "v1 skipped=";
	static const char middle[] = " bins=";
	int64		skipped,
				bin,
				count;
	int			room = 1,
				n = 0;
	GrBin	   *bins;

	if (strncmp(text, head, strlen(head)) != 0)
		return NULL;
	text += strlen(head);
	if (!scan_int(&text, &skipped) || skipped < 0 ||
		strncmp(text, middle, strlen(middle)) != 0)
		return NULL;
	text += strlen(middle);
	for (const char *p = text; *p; p++)
		room += (*p == ',');
	bins = palloc_extended(sizeof(GrBin) * room, MCXT_ALLOC_HUGE);
	while (*text != '\0')
	{
		if (!scan_int(&text, &bin) || *text++ != ':' ||
			!scan_int(&text, &count) ||
			bin < -GR_BIN_MAX || bin > GR_BIN_MAX)
			return NULL;
		bins[n].bin = (int32) bin;
		bins[n++].count = count;
		if (*text == '\0')
			break;
		if (*text++ != ',' || *text == '\0')
			return NULL;
	}
	if (!gr_histogram_valid(bins, n))
		return NULL;
	return gr_histogram_make(bins, n, skipped);
}

Datum
guardrail_histogram_in(PG_FUNCTION_ARGS)
{
	char	   *text = PG_GETARG_CSTRING(0);
	Histogram  *h = histogram_parse(text);

	if (h == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s: \"%.100s\"",
						"guardrail_histogram", text),
				 errhint("Use the output of guardrail_histogram(), for example "
						 "\"v1 skipped=0 bins=-5:1,0:2,7:1\".")));
	PG_RETURN_POINTER(h);
}

Datum
guardrail_histogram_out(PG_FUNCTION_ARGS)
{
	int			nbins;
	int64		skipped;
	const GrBin *bins = gr_histogram_read(PG_GETARG_HISTOGRAM_P(0), &nbins, &skipped);
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfo(&buf, "v1 skipped=" INT64_FORMAT " bins=", skipped);
	for (int i = 0; i < nbins; i++)
		appendStringInfo(&buf, "%s%d:" INT64_FORMAT, i ? "," : "",
						 bins[i].bin, bins[i].count);
	PG_RETURN_CSTRING(buf.data);
}

Datum
guardrail_histogram_send(PG_FUNCTION_ARGS)
{
	int			nbins;
	int64		skipped;
	const GrBin *bins = gr_histogram_read(PG_GETARG_HISTOGRAM_P(0), &nbins, &skipped);
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendbyte(&buf, GR_HISTOGRAM_VERSION);
	pq_sendint64(&buf, skipped);
	pq_sendint32(&buf, nbins);
	for (int i = 0; i < nbins; i++)
	{
		pq_sendint32(&buf, bins[i].bin);
		pq_sendint64(&buf, bins[i].count);
	}
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

Datum
guardrail_histogram_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int64		skipped;
	int32		nbins;
	Histogram  *h;

	if (pq_getmsgbyte(buf) != GR_HISTOGRAM_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("unsupported version of guardrail_histogram")));
	skipped = pq_getmsgint64(buf);
	nbins = (int32) pq_getmsgint(buf, 4);
	if (nbins < 0 || nbins > MAX_BINS ||
		(Size) nbins * 12 != (Size) (buf->len - buf->cursor))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid number of bins in guardrail_histogram: %d", nbins)));
	h = histogram_alloc(nbins, false);
	h->nbins = nbins;
	h->skipped = skipped;
	for (int i = 0; i < nbins; i++)
	{
		h->bins[i].bin = (int32) pq_getmsgint(buf, 4);
		h->bins[i].count = pq_getmsgint64(buf);
	}
	pq_getmsgend(buf);
	if (skipped < 0 || !gr_histogram_valid(h->bins, nbins))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid guardrail_histogram"),
				 errdetail("Its bins must be in ascending order and its counts must be positive.")));
	PG_RETURN_POINTER(h);
}

Datum
guardrail_events(PG_FUNCTION_ARGS)
{
	int			nbins;
	const GrBin *bins = gr_histogram_read(PG_GETARG_HISTOGRAM_P(0), &nbins, NULL);

	PG_RETURN_INT64(gr_histogram_total(bins, nbins));
}

/* guardrail_quantile(h, p), p in [0,1]; NULL when there are no events */
Datum
guardrail_quantile(PG_FUNCTION_ARGS)
{
	int			nbins;
	const GrBin *bins;
	double		p;

	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	p = gr_arg_number_in(fcinfo, 1, "p", 0, 1, false);
	bins = gr_histogram_read(PG_GETARG_HISTOGRAM_P(0), &nbins, NULL);
	if (nbins == 0)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(gr_histogram_quantile(bins, nbins, p));
}
