/*
 * totals_bytes.c
 *	  Running totals as bytes.
 *
 * Bytes, version 3: version, numbers of arms and of metrics as varints · units in
 * several arms 8 · by arm: units and events 8 each; of each metric what
 * send_metric writes · those of the heads.
 */
#include "slice/totals.h"

#include "libpq/pqformat.h"
#include "port/pg_bswap.h"
#include "base/varint.h"

/* To be raised when a metric comes to observe something else of the same unit. */
#define TOTALS_VERSION 3

static void
send_sums(StringInfo buf, const GrSums *s)
{
	gr_put_varint(buf, s->exact);
	gr_put_varint(buf, s->lost);
	pq_sendint64(buf, s->n);
	pq_sendint64(buf, s->steps);
	for (int i = 0; i < s->dim; i++)
		pq_sendfloat8(buf, s->peak[i]);
	for (int i = 0; i < 2 * s->dim; i++)
		pq_sendfloat8(buf, s->sum[i / 2][i % 2]);
	for (int i = 0; i < s->dim * (s->dim + 1); i++)
		pq_sendfloat8(buf, s->product[i / 2][i % 2]);
	for (int i = 0; i < 2 * gr_ntriples(s->dim); i++)
		pq_sendfloat8(buf, s->triple[i / 2][i % 2]);
	for (int i = 0; i < s->dim; i++)
	{
		gr_put_varint(buf, s->top[i].n);
		gr_put_varint(buf, s->top[i].left_out);
		for (int k = 0; k < s->top[i].n * s->dim; k++)
			pq_sendfloat8(buf, s->top[i].unit[k / s->dim][k % s->dim]);
	}
}

/* A reader of bytes, which may be anything. */
typedef struct Bytes
{
	const char *p;
	const char *end;
	bool		right;			/* so far */
} Bytes;

static int64
get_int64(Bytes *b)
{
	uint64		x;

	b->right = b->right && b->end - b->p >= (ptrdiff_t) sizeof(x);
	if (!b->right)
		return 0;
	memcpy(&x, b->p, sizeof(x));
	b->p += sizeof(x);
	return (int64) pg_ntoh64(x);
}

static double
get_float8(Bytes *b)
{
	return DatumGetFloat8(Int64GetDatum(get_int64(b)));
}

static uint64
get_number(Bytes *b)
{
	uint64		x = 0;

	b->right = b->right && gr_get_varint(&b->p, b->end, &x);
	return x;
}

static void
receive_sums(Bytes *b, GrSums *s)
{
	s->exact = get_number(b) != 0;
	s->lost = get_number(b) != 0;
	s->n = get_int64(b);
	s->steps = get_int64(b);
	for (int i = 0; i < s->dim; i++)
		s->peak[i] = get_float8(b);
	for (int i = 0; i < 2 * s->dim; i++)
		s->sum[i / 2][i % 2] = get_float8(b);
	for (int i = 0; i < s->dim * (s->dim + 1); i++)
		s->product[i / 2][i % 2] = get_float8(b);
	for (int i = 0; i < 2 * gr_ntriples(s->dim); i++)
		s->triple[i / 2][i % 2] = get_float8(b);
	for (int i = 0; i < s->dim && b->right; i++)
	{
		uint64		n = get_number(b);

		b->right = b->right && n <= GR_TOP;
		s->top[i].n = b->right ? (int) n : 0;
		s->top[i].left_out = get_number(b) != 0;
		for (int k = 0; k < s->top[i].n * s->dim; k++)
			s->top[i].unit[k / s->dim][k % s->dim] = get_float8(b);
	}
	b->right = b->right && gr_sums_valid(s);
}

static void
send_metric(StringInfo buf, const Metric *metric, const MetricTotal *total)
{
	pq_sendint64(buf, total->skipped);
	pq_sendint64(buf, total->nonzero);
	for (int b = 0; total->batch && b < GR_BATCHES; b++)
		gr_bins_encode(buf, &total->batch[b]);
	if (total->batch)
	{
		TieList		ties = gr_ties_list(&total->ties);

		gr_ties_encode(buf, &ties);
	}
	if (metric->shape->has_histogram)
		return;
	send_sums(buf, &total->sums[0]);
	if (metric->covariate >= 0)
		send_sums(buf, &total->sums[1]);
}

static void
receive_metric(Bytes *b, const Metric *metric, MetricTotal *total)
{
	total->skipped = get_int64(b);
	total->nonzero = get_int64(b);
	for (int i = 0; total->batch && i < GR_BATCHES && b->right; i++)
	{
		BinRoom		room = {0};

		b->right = gr_bins_decode(&room, &b->p, b->end);
		total->batch[i] = (BinList) {room.n, room.bins};
	}
	if (total->batch && b->right)
	{
		TieList		ties;

		b->right = gr_ties_decode(&ties, &b->p, b->end);
		gr_ties_merge_list(&total->ties, &ties);
	}
	if (metric->shape->has_histogram)
		return;
	receive_sums(b, &total->sums[0]);
	if (metric->covariate >= 0)
		receive_sums(b, &total->sums[1]);
}

bytea *
gr_totals_encode(Totals *t)
{
	MemoryContext old = MemoryContextSwitchTo(t->context);
	StringInfoData buf;

	gr_totals_settle(t);
	MemoryContextSwitchTo(old);
	pq_begintypsend(&buf);
	gr_put_varint(&buf, TOTALS_VERSION);
	gr_put_varint(&buf, t->narms);
	gr_put_varint(&buf, t->spec->nmetrics);
	pq_sendint64(&buf, t->crossover_units);
	for (int a = 0; a < t->narms; a++)
	{
		pq_sendint64(&buf, t->arms[a].units);
		pq_sendint64(&buf, t->arms[a].events);
		for (int m = 0; m < t->spec->nmetrics; m++)
			send_metric(&buf, &t->spec->metrics[m], &t->arms[a].metrics[m]);
	}
	gr_head_totals_encode(&buf, t->heads);
	return pq_endtypsend(&buf);
}

Totals *
gr_totals_decode(const CollectSpec *spec, const bytea *bytes, MemoryContext context)
{
	Totals	   *t = gr_totals_make(spec, context);
	MemoryContext here = MemoryContextSwitchTo(context);
	Bytes		b = {VARDATA_ANY(bytes), VARDATA_ANY(bytes) + VARSIZE_ANY_EXHDR(bytes), true};
	uint64		narms;

	b.right = get_number(&b) == TOTALS_VERSION;
	narms = get_number(&b);
	b.right = b.right && narms <= GR_MAX_ARMS && get_number(&b) == (uint64) spec->nmetrics;
	if (b.right)
		gr_totals_need_arm(t, (int) narms - 1);
	t->crossover_units = get_int64(&b);
	for (int a = 0; a < t->narms; a++)
	{
		t->arms[a].units = get_int64(&b);
		t->arms[a].events = get_int64(&b);
		for (int m = 0; m < spec->nmetrics; m++)
			receive_metric(&b, &spec->metrics[m], &t->arms[a].metrics[m]);
	}
	MemoryContextSwitchTo(here);
	if (b.right)
		t->heads = gr_head_totals_decode(spec, &b.p, b.end, context);
	return t->heads && b.p == b.end ? t : NULL;
}
