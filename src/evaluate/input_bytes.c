/*
 * input_bytes.c
 *	  The stored form of what a check was decided from: the past, the collection, the
 *	  failures of rules, and the checksum over all of it.
 *
 * What is read back gives the same decision to the bit.  Bytes that are not what was
 * written raise an error; they never stop the server.  Older versions are read.
 */
#include "evaluate/input.h"

#include "catalog/pg_type.h"
#include "libpq/pqformat.h"
#include "utils/array.h"
#include "utils/builtins.h"

#define PAST_VERSION 2

GR_NORETURN static void
refuse_bytes(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("stored history of a check is damaged"),
			 errhint("Restore guardrail_check_input from a backup.")));
}

/* In version 1 an estimate: value, variance, df. */
static const GrSample *
receive_past_sample(StringInfo buf, int version)
{
	double		value,
				variance,
				df;

	if (version > 1)
		return gr_sample_receive(buf);
	value = pq_getmsgfloat8(buf);
	variance = pq_getmsgfloat8(buf);
	df = pq_getmsgfloat8(buf);
	return gr_sample_from(value, variance, df);
}

bytea *
gr_past_encode(const Past *past)
{
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendbyte(&buf, PAST_VERSION);
	pq_sendfloat8(&buf, past->srm_p);
	pq_sendint32(&buf, past->nlooks);
	for (int i = 0; i < past->nlooks; i++)
		pq_sendfloat8(&buf, past->fraction[i]);
	pq_sendint32(&buf, past->nresults);
	for (int i = 0; i < past->nresults; i++)
	{
		const PastResult *r = &past->results[i];

		pq_sendstring(&buf, r->variant);
		pq_sendstring(&buf, r->metric);
		pq_sendbyte(&buf, r->breached);
		pq_sendint64(&buf, r->fingerprint);
		for (int k = 0; k < GR_TEST_KINDS; k++)
		{
			const GrPast *t = &r->test[k];

			pq_sendbyte(&buf, t->known);
			pq_sendfloat8(&buf, t->p);
			if (!t->known)
				continue;
			gr_sample_send(&buf, t->treatment);
			gr_sample_send(&buf, t->control);
			pq_sendint32(&buf, t->at.look);
			pq_sendfloat8(&buf, t->at.n);
			pq_sendfloat8(&buf, t->at.df);
			pq_sendfloat8(&buf, t->at.alpha);
		}
	}
	return pq_endtypsend(&buf);
}

/* A count of things of at least "size" bytes each, of which there is that much left. */
static int
get_count(StringInfo buf, int size)
{
	int			n = (int) pq_getmsgint(buf, 4);

	if (n < 0 || n > (buf->len - buf->cursor) / size)
		refuse_bytes();
	return n;
}

Past *
gr_past_decode(const bytea *bytes)
{
	Past	   *past = palloc0(sizeof(Past));
	StringInfoData buf;
	int			version;

	buf.data = (char *) VARDATA_ANY(bytes);
	buf.len = buf.maxlen = VARSIZE_ANY_EXHDR(bytes);
	buf.cursor = 0;
	version = pq_getmsgbyte(&buf);
	if (version < 1 || version > PAST_VERSION)
		refuse_bytes();
	past->srm_p = pq_getmsgfloat8(&buf);
	past->nlooks = get_count(&buf, 8);
	if (past->nlooks > GR_MAX_LOOKS)
		refuse_bytes();
	past->fraction = palloc(sizeof(double) * Max(past->nlooks, 1));
	for (int i = 0; i < past->nlooks; i++)
		past->fraction[i] = pq_getmsgfloat8(&buf);
	past->nresults = get_count(&buf, 11);
	past->results = palloc0(sizeof(PastResult) * Max(past->nresults, 1));
	for (int i = 0; i < past->nresults; i++)
	{
		PastResult *r = &past->results[i];

		r->variant = pstrdup(pq_getmsgstring(&buf));
		r->metric = pstrdup(pq_getmsgstring(&buf));
		r->breached = pq_getmsgbyte(&buf);
		r->fingerprint = pq_getmsgint64(&buf);
		for (int k = 0; k < GR_TEST_KINDS; k++)
		{
			GrPast	   *t = &r->test[k];

			t->known = pq_getmsgbyte(&buf);
			t->p = pq_getmsgfloat8(&buf);
			if (version > 1 && !t->known)
				continue;
			t->treatment = receive_past_sample(&buf, version);
			t->control = receive_past_sample(&buf, version);
			t->at.look = (int) pq_getmsgint(&buf, 4);
			t->at.n = pq_getmsgfloat8(&buf);
			t->at.df = pq_getmsgfloat8(&buf);
			t->at.alpha = pq_getmsgfloat8(&buf);
		}
	}
	if (buf.cursor != buf.len)
		refuse_bytes();
	return past;
}

/*
 * A batch's bins as far as the shares below some values are asked of them: bins
 * that hold one of the values as they are, runs of others as one.  bin: those of the
 * values.
 */
static BinList
reduce_bins(const BinList *list, const int32 *bin, int n)
{
	BinList		out = {0, palloc(sizeof(GrBin) * Min(Max(list->nbins, 1), 2 * n + 1))};
	int			last = -1;		/* values above the run at hand; -1: there is none */

	for (int i = 0; i < list->nbins; i++)
	{
		int			above = 0;
		bool		holds = false;

		for (int k = 0; k < n; k++)
		{
			above += (bin[k] > list->bins[i].bin);
			holds |= (bin[k] == list->bins[i].bin);
		}
		if (!holds && above == last)
			out.bins[out.nbins - 1].count += list->bins[i].count;
		else
			out.bins[out.nbins++] = list->bins[i];
		last = holds ? -1 : above;
	}
	return out;
}

/* Ties of the bins, the first and the last. */
static TieList
reduce_ties(const TieList *list, const int32 *bin, int n)
{
	TieList		out = {list->lost, 0, palloc(sizeof(GrTie) * Min(Max(list->n, 1), n + 2))};

	for (int i = 0; i < list->n; i++)
	{
		bool		asked = i == 0 || i == list->n - 1;

		for (int k = 0; k < n && !asked; k++)
			asked = bin[k] == list->ties[i].bin;
		if (asked)
			out.ties[out.n++] = list->ties[i];
	}
	return out;
}

bytea *
gr_input_collection(const Evaluation *v)
{
	const Experiment *e = v->e;
	Collection *c = palloc(sizeof(Collection));
	int32	   *bin = palloc(sizeof(int32) * Max(e->nrules, 1));

	*c = *v->c;
	c->arms = palloc(sizeof(ArmData) * Max(c->narms, 1));
	for (int a = 0; a < c->narms; a++)
	{
		c->arms[a] = v->c->arms[a];
		c->arms[a].metrics = palloc(sizeof(MetricData) * c->nmetrics);
		for (int m = 0; m < c->nmetrics; m++)
		{
			MetricData *data = &c->arms[a].metrics[m];
			int			n = 0;

			*data = v->c->arms[a].metrics[m];
			if (data->batch == NULL)
				continue;
			for (int i = 0; i < e->nrules; i++)
				if (e->rules[i].metric == m)
					bin[n++] = gr_quantile_bin(data->pooled.bins, data->pooled.nbins,
											   e->rules[i].rule.quantile);
			data->ties = reduce_ties(&data->ties, bin, n);
			data->batch = palloc(sizeof(BinList) * GR_BATCHES);
			for (int b = 0; b < GR_BATCHES; b++)
				data->batch[b] = reduce_bins(&v->c->arms[a].metrics[m].batch[b], bin, n);
			data->reduced = true;
		}
	}
	return gr_collection_encode(c);
}

ArrayType *
gr_failures_encode(const Experiment *e)
{
	Datum	   *failures = palloc0(sizeof(Datum) * Max(e->nrules, 1));
	bool	   *nulls = palloc(sizeof(bool) * Max(e->nrules, 1));
	int			n = e->nrules,
				lower = 1;
	bool		any = false;

	for (int i = 0; i < e->nrules; i++)
	{
		nulls[i] = e->rules[i].failure == NULL;
		if (!nulls[i])
			failures[i] = CStringGetTextDatum(e->rules[i].failure);
		any |= !nulls[i];
	}
	return any ? construct_md_array(failures, nulls, 1, &n, &lower, TEXTOID, -1, false, TYPALIGN_INT) : NULL;
}

static void
failures_checksum(GrChecksum *c, ArrayType *failures)
{
	Datum	   *texts;
	bool	   *nulls;
	int			n = 0;

	if (failures)
		deconstruct_array(failures, TEXTOID, -1, false, TYPALIGN_INT, &texts, &nulls, &n);
	gr_checksum_int(c, n);
	for (int i = 0; i < n; i++)
		gr_checksum_text(c, nulls[i] ? NULL : TextDatumGetCString(texts[i]));
}

void
gr_failures_decode(Experiment *e, const InputRow *row)
{
	Datum	   *texts;
	bool	   *nulls;
	int			n;

	if (row->failures == NULL)
		return;
	deconstruct_array(row->failures, TEXTOID, -1, false, TYPALIGN_INT, &texts, &nulls, &n);
	if (n != e->nrules)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("stored inputs of experiment \"%s\" do not match version %d of its plan",
						e->id, e->plan_version),
				 errhint("Restore guardrail_check_input from a backup.")));
	for (int i = 0; i < n; i++)
		e->rules[i].failure = nulls[i] ? NULL : TextDatumGetCString(texts[i]);
}

void
gr_input_checksum(GrChecksum *c, const InputRow *row)
{
	const ArrayType *arrays[] = {row->metrics, row->fingerprints};

	gr_checksum_text(c, row->id);
	gr_checksum_int(c, row->plan_version);
	gr_checksum_text(c, row->state);
	gr_checksum_int(c, row->ended);
	gr_checksum_text(c, row->spec);
	for (int k = 0; k < (int) lengthof(arrays); k++)
	{
		int			n = ArrayGetNItems(ARR_NDIM(arrays[k]), ARR_DIMS(arrays[k]));
		const char *p = ARR_DATA_PTR(arrays[k]);

		gr_checksum_int(c, ARR_HASNULL(arrays[k]) ? -1 : n);
		for (int i = 0; i < n && !ARR_HASNULL(arrays[k]); i++)
			gr_checksum_int(c, k == 0 ? ((const int32 *) p)[i] : ((const int64 *) p)[i]);
	}
	gr_checksum_bytea(c, row->collection);
	gr_checksum_bytea(c, row->past);
	failures_checksum(c, row->failures);
	gr_checksum_int(c, row->surplus_arms);
	gr_checksum_text(c, row->decided);
	if (row->unknown_arms)
		gr_checksum_text(c, row->unknown_arms);
}
