/*
 * collection.c
 *	  The bytes of a collection.
 *
 * They are written by guardrail_collect's final function and read in the same
 * session; still every count and length is checked, since anyone may call it.
 */
#include "units/collection.h"

#include "common/int.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "units/bins.h"
#include "utils/float.h"

#define COLLECTION_VERSION 3

/* What is sent of a metric's histogram. */
#define NO_HISTOGRAM 0
#define HISTOGRAM 1
#define REDUCED_HISTOGRAM 2		/* as it was written until recorded ones were made smaller */
#define PACKED_REDUCED_HISTOGRAM 3

void
gr_counts_init(RowCounts *counts, int ncolumns)
{
	memset(counts->rows, 0, sizeof(counts->rows));
	counts->nulls = palloc0(sizeof(int64) * GR_BATCHES * Max(ncolumns, 1));
	counts->nonfinite = palloc0(sizeof(int64) * GR_BATCHES * Max(ncolumns, 1));
	counts->ties = palloc0(sizeof(TieTable) * Max(ncolumns, 1));
	for (int k = 0; k < ncolumns; k++)
		counts->ties[k].context = CurrentMemoryContext;
}

void
gr_counts_add(RowCounts *to, const RowCounts *from, int ncolumns)
{
	for (int b = 0; b < GR_BATCHES; b++)
		to->rows[b] += from->rows[b];
	for (int k = 0; k < GR_BATCHES * ncolumns; k++)
	{
		to->nulls[k] += from->nulls[k];
		to->nonfinite[k] += from->nonfinite[k];
	}
	for (int k = 0; k < ncolumns; k++)
		gr_ties_merge_table(&to->ties[k], &from->ties[k]);
}

void
gr_collection_take_ties(Collection *c, const CollectSpec *spec)
{
	for (int a = 0; a < c->narms; a++)
		for (int m = 0; c->arms[a].counts.ties && m < spec->nmetrics; m++)
			if (spec->metrics[m].shape->over_events)
				c->arms[a].metrics[m].ties =
					gr_ties_list(&c->arms[a].counts.ties[spec->folds[spec->metrics[m].a].column]);
}

Collection *
gr_collection_make(const CollectSpec *spec, int narms)
{
	Collection *c = palloc0(sizeof(Collection));

	c->nmetrics = spec->nmetrics;
	c->ncolumns = spec->ncolumns;
	c->narms = narms;
	c->arms = palloc0(sizeof(ArmData) * Max(narms, 1));
	for (int a = 0; a < narms; a++)
	{
		ArmData    *arm = &c->arms[a];

		gr_counts_init(&arm->counts, spec->ncolumns);
		arm->metrics = palloc0(sizeof(MetricData) * spec->nmetrics);
		for (int m = 0; m < spec->nmetrics; m++)
		{
			arm->metrics[m].cap[0] = arm->metrics[m].cap[1] = get_float8_infinity();
			gr_moments_init(&arm->metrics[m].moments,
							spec->metrics[m].shape->dim);
			if (spec->metrics[m].covariate >= 0)
				gr_moments_init(&arm->metrics[m].adjusted,
								spec->metrics[m].shape->dim + 1);
			if (spec->metrics[m].shape->has_histogram)
				arm->metrics[m].batch = palloc0(sizeof(BinList) * GR_BATCHES);
		}
	}
	return c;
}

void
gr_refuse_arms(void)
{
	ereport(ERROR,
			(errcode(GR_ERRCODE_ARMS),
			 errmsg("experiment has more than %d variants", GR_MAX_ARMS),
			 errhint("Check that variant_column is the right column, or list the planned variants in shares.")));
}

ArmData *
gr_collection_arm(Collection *c, const char *name)
{
	for (int a = 0; a < c->narms; a++)
		if (strcmp(c->arms[a].name, name) == 0)
			return &c->arms[a];
	return NULL;
}

/* Bins that lie close are added up in a table of so many. */
#define MAX_POOLED_RANGE (1024 * 1024)

/* The lowest and the highest bin of all batches; false when there is none. */
static bool
bins_span(const BinList *batch, int32 *lowest, int32 *highest)
{
	*lowest = PG_INT32_MAX;
	*highest = PG_INT32_MIN;
	for (int b = 0; b < GR_BATCHES; b++)
	{
		if (batch[b].nbins == 0)
			continue;
		*lowest = Min(*lowest, batch[b].bins[0].bin);
		*highest = Max(*highest, batch[b].bins[batch[b].nbins - 1].bin);
	}
	return *lowest <= *highest;
}

static void
pool_by_counting(MetricData *m, int32 lowest, int32 range)
{
	int64	   *count = palloc0(sizeof(int64) * range);
	int			distinct = 0;

	for (int b = 0; b < GR_BATCHES; b++)
		for (int i = 0; i < m->batch[b].nbins; i++)
		{
			const GrBin *bin = &m->batch[b].bins[i];
			int64	   *to = &count[bin->bin - lowest];

			distinct += *to == 0;
			if (pg_add_s64_overflow(*to, bin->count, to))
				*to = PG_INT64_MAX;
		}
	m->pooled.bins = palloc(sizeof(GrBin) * distinct);
	for (int32 k = 0; k < range; k++)
	{
		if (count[k] == 0)
			continue;
		m->pooled.bins[m->pooled.nbins].bin = lowest + k;
		m->pooled.bins[m->pooled.nbins++].count = count[k];
	}
	pfree(count);
}

void
gr_metric_pool(MetricData *m)
{
	BinList		level[GR_BATCHES];
	int32		lowest,
				highest;

	m->pooled.nbins = 0;
	if (bins_span(m->batch, &lowest, &highest) && highest - lowest < MAX_POOLED_RANGE)
	{
		pool_by_counting(m, lowest, highest - lowest + 1);
		return;
	}
	/* pairwise, so that each bin is copied log2(batches) times */
	memcpy(level, m->batch, sizeof(level));
	for (int n = GR_BATCHES; n > 1; n /= 2)
	{
		CHECK_FOR_INTERRUPTS();
		for (int i = 0; i < n / 2; i++)
		{
			BinList    *a = &level[2 * i];
			BinList    *b = &level[2 * i + 1];
			GrBin	   *out = palloc_extended(sizeof(GrBin) * Max(a->nbins + b->nbins, 1),
											  MCXT_ALLOC_HUGE);
			int			nbins = (int) gr_histogram_merge(a->bins, a->nbins,
														 b->bins, b->nbins, out);

			level[i].bins = out;
			level[i].nbins = nbins;
		}
	}
	m->pooled = level[0];
}

/* A bin takes so many bytes. */
#define SENT_BIN (sizeof(int32) + sizeof(int64))

static void
send_bins(StringInfo buf, const BinList *list)
{
	char	   *to;

	pq_sendint32(buf, list->nbins);
	enlargeStringInfo(buf, list->nbins * (int) SENT_BIN);
	to = buf->data + buf->len;
	for (int i = 0; i < list->nbins; i++, to += SENT_BIN)
	{
		uint32		bin = pg_hton32((uint32) list->bins[i].bin);
		uint64		count = pg_hton64((uint64) list->bins[i].count);

		memcpy(to, &bin, sizeof(bin));
		memcpy(to + sizeof(bin), &count, sizeof(count));
	}
	buf->len += list->nbins * (int) SENT_BIN;
}

static void
send_moments(StringInfo buf, const GrMoments *m)
{
	pq_sendbyte(buf, m->dim);
	pq_sendint64(buf, m->n);
	for (int i = 0; i < GR_MAX_DIM; i++)
	{
		pq_sendfloat8(buf, m->sum_hi[i]);
		pq_sendfloat8(buf, m->sum_lo[i]);
	}
	for (int i = 0; i < GR_MAX_PRODUCTS; i++)
		pq_sendfloat8(buf, m->product[i]);
	for (int i = 0; i < GR_MAX_PRODUCTS; i++)
		pq_sendfloat8(buf, m->product_lo[i]);
	for (int i = 0; i < gr_ntriples(m->dim); i++)
	{
		pq_sendfloat8(buf, m->triple_hi[i]);
		pq_sendfloat8(buf, m->triple_lo[i]);
	}
	for (int i = 0; i < m->dim * m->dim; i++)
		pq_sendfloat8(buf, m->largest[i / m->dim][i % m->dim]);
}

static void
send_metric(StringInfo buf, const MetricData *m)
{
	pq_sendbyte(buf, m->batch == NULL ? NO_HISTOGRAM : m->reduced ? PACKED_REDUCED_HISTOGRAM : HISTOGRAM);
	pq_sendint64(buf, m->skipped);
	pq_sendint64(buf, m->nonzero);
	pq_sendint64(buf, m->immature);
	if (m->batch)
	{
		for (int b = 0; b < GR_BATCHES; b++)
		{
			if (m->reduced)
				gr_bins_encode(buf, &m->batch[b]);
			else
				send_bins(buf, &m->batch[b]);
		}
		if (m->reduced)
			gr_bins_encode(buf, &m->pooled);
		gr_ties_encode(buf, &m->ties);
		return;
	}
	pq_sendfloat8(buf, m->cap[0]);
	pq_sendfloat8(buf, m->cap[1]);
	send_moments(buf, &m->moments);
	if (m->adjusted.dim > 0)
		send_moments(buf, &m->adjusted);
}

bytea *
gr_collection_encode(const Collection *c)
{
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendbyte(&buf, COLLECTION_VERSION);
	pq_sendint32(&buf, c->nmetrics);
	pq_sendint32(&buf, c->ncolumns);
	pq_sendint64(&buf, c->crossover_units);
	pq_sendint64(&buf, c->null_unit_rows);
	pq_sendint64(&buf, c->unknown_arm_rows);
	pq_sendint32(&buf, c->narms);
	for (int a = 0; a < c->narms; a++)
	{
		const ArmData *arm = &c->arms[a];

		CHECK_FOR_INTERRUPTS();
		pq_sendint32(&buf, strlen(arm->name));
		pq_sendbytes(&buf, arm->name, strlen(arm->name));
		pq_sendint64(&buf, arm->units);
		pq_sendint64(&buf, arm->events);
		for (int b = 0; b < GR_BATCHES; b++)
			pq_sendint64(&buf, arm->counts.rows[b]);
		for (int i = 0; i < GR_BATCHES * c->ncolumns; i++)
		{
			pq_sendint64(&buf, arm->counts.nulls[i]);
			pq_sendint64(&buf, arm->counts.nonfinite[i]);
		}
		for (int m = 0; m < c->nmetrics; m++)
			send_metric(&buf, &arm->metrics[m]);
	}
	return pq_endtypsend(&buf);
}

static void
corrupt(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("invalid result of _guardrail_collect")));
}

static void
receive_bins(StringInfo buf, BinList *list)
{
	const char *from;

	list->nbins = (int) pq_getmsgint(buf, 4);
	if (list->nbins < 0 ||
		(Size) list->nbins * SENT_BIN > (Size) (buf->len - buf->cursor))
		corrupt();
	from = pq_getmsgbytes(buf, list->nbins * (int) SENT_BIN);
	list->bins = palloc_extended(sizeof(GrBin) * Max(list->nbins, 1),
								 MCXT_ALLOC_HUGE);
	for (int i = 0; i < list->nbins; i++, from += SENT_BIN)
	{
		uint32		bin;
		uint64		count;

		memcpy(&bin, from, sizeof(bin));
		memcpy(&count, from + sizeof(bin), sizeof(count));
		list->bins[i].bin = (int32) pg_ntoh32(bin);
		list->bins[i].count = (int64) pg_ntoh64(count);
	}
	if (!gr_histogram_valid(list->bins, list->nbins))
		corrupt();
}

static void
receive_packed_bins(StringInfo buf, BinList *list)
{
	const char *p = buf->data + buf->cursor;
	BinRoom		room = {0};

	if (!gr_bins_decode(&room, &p, buf->data + buf->len) || !gr_histogram_valid(room.bins, room.n))
		corrupt();
	buf->cursor = (int) (p - buf->data);
	*list = (BinList) {room.n, room.bins};
}

static void
receive_histogram(StringInfo buf, MetricData *m, int form)
{
	void		(*receive) (StringInfo, BinList *) =
		form == PACKED_REDUCED_HISTOGRAM ? receive_packed_bins : receive_bins;

	for (int b = 0; b < GR_BATCHES; b++)
		receive(buf, &m->batch[b]);
	m->reduced = (form != HISTOGRAM);
	if (m->reduced)
		receive(buf, &m->pooled);
	else
		gr_metric_pool(m);
}

/* What version 3 has beyond version 2. */
static void
receive_rest(StringInfo buf, GrMoments *m)
{
	for (int i = 0; i < GR_MAX_PRODUCTS; i++)
		m->product_lo[i] = pq_getmsgfloat8(buf);
	for (int i = 0; i < gr_ntriples(m->dim); i++)
	{
		m->triple_hi[i] = pq_getmsgfloat8(buf);
		m->triple_lo[i] = pq_getmsgfloat8(buf);
	}
	for (int i = 0; i < m->dim * m->dim; i++)
		m->largest[i / m->dim][i % m->dim] = pq_getmsgfloat8(buf);
}

static void
receive_moments(StringInfo buf, GrMoments *m, int version)
{
	if (pq_getmsgbyte(buf) != m->dim)
		corrupt();
	m->n = pq_getmsgint64(buf);
	for (int i = 0; i < GR_MAX_DIM; i++)
	{
		m->sum_hi[i] = pq_getmsgfloat8(buf);
		m->sum_lo[i] = pq_getmsgfloat8(buf);
	}
	for (int i = 0; i < GR_MAX_PRODUCTS; i++)
		m->product[i] = pq_getmsgfloat8(buf);
	if (version == 2)
	{
		gr_moments_forget_triples(m);
		gr_moments_forget_largest(m);
	}
	else
		receive_rest(buf, m);
	if (!gr_moments_valid(m))
		corrupt();
}

/* Version 2 had none. */
static void
receive_ties(StringInfo buf, MetricData *m, int version)
{
	const char *p = buf->data + buf->cursor;

	m->ties = (TieList) {true, 0, NULL};
	if (version == 2)
		return;
	if (!gr_ties_decode(&m->ties, &p, buf->data + buf->len))
		corrupt();
	buf->cursor = (int) (p - buf->data);
}

static void
receive_metric(StringInfo buf, MetricData *m, int version)
{
	int			form = pq_getmsgbyte(buf);

	m->skipped = pq_getmsgint64(buf);
	m->nonzero = pq_getmsgint64(buf);
	m->immature = pq_getmsgint64(buf);
	if (form > PACKED_REDUCED_HISTOGRAM || (form != NO_HISTOGRAM) != (m->batch != NULL))
		corrupt();
	if (m->batch)
	{
		receive_histogram(buf, m, form);
		receive_ties(buf, m, version);
		return;
	}
	m->cap[0] = pq_getmsgfloat8(buf);
	m->cap[1] = pq_getmsgfloat8(buf);
	receive_moments(buf, &m->moments, version);
	if (m->adjusted.dim > 0)
		receive_moments(buf, &m->adjusted, version);
}

Collection *
gr_collection_decode(const bytea *bytes, const CollectSpec *spec)
{
	StringInfoData buf;
	Collection *c;
	Collection	head = {0};
	int			version;

	buf.data = (char *) VARDATA_ANY(bytes);
	buf.len = VARSIZE_ANY_EXHDR(bytes);
	buf.maxlen = buf.len;
	buf.cursor = 0;
	version = pq_getmsgbyte(&buf);
	if (version < 2 || version > COLLECTION_VERSION)
		corrupt();
	head.nmetrics = (int) pq_getmsgint(&buf, 4);
	head.ncolumns = (int) pq_getmsgint(&buf, 4);
	head.crossover_units = pq_getmsgint64(&buf);
	head.null_unit_rows = pq_getmsgint64(&buf);
	head.unknown_arm_rows = pq_getmsgint64(&buf);
	head.narms = (int) pq_getmsgint(&buf, 4);
	if (head.nmetrics != spec->nmetrics || head.ncolumns != spec->ncolumns ||
		head.narms < 0 || head.narms > GR_MAX_ARMS)
		corrupt();
	c = gr_collection_make(spec, head.narms);
	c->crossover_units = head.crossover_units;
	c->null_unit_rows = head.null_unit_rows;
	c->unknown_arm_rows = head.unknown_arm_rows;
	for (int a = 0; a < c->narms; a++)
	{
		ArmData    *arm = &c->arms[a];
		int			len = (int) pq_getmsgint(&buf, 4);

		if (len < 0)
			corrupt();
		arm->name = pnstrdup(pq_getmsgbytes(&buf, len), len);
		arm->units = pq_getmsgint64(&buf);
		arm->events = pq_getmsgint64(&buf);
		for (int b = 0; b < GR_BATCHES; b++)
			arm->counts.rows[b] = pq_getmsgint64(&buf);
		for (int i = 0; i < GR_BATCHES * c->ncolumns; i++)
		{
			arm->counts.nulls[i] = pq_getmsgint64(&buf);
			arm->counts.nonfinite[i] = pq_getmsgint64(&buf);
		}
		for (int m = 0; m < c->nmetrics; m++)
			receive_metric(&buf, &arm->metrics[m], version);
	}
	pq_getmsgend(&buf);
	return c;
}
