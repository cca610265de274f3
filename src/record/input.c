/*
 * input.c
 *	  The inputs of a check as a row of guardrail_check_input.
 */
#include "evaluate/input.h"
#include "evaluate/segment.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "libpq/pqformat.h"
#include "utils/array.h"
#include "utils/builtins.h"
#include "utils/timestamp.h"

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

/* For each rule why it could not be evaluated; NULL: all could. */
static ArrayType *
failures_encode(const Experiment *e)
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
}

/* The row of an evaluation. */
static InputRow
input_row(const Evaluation *v)
{
	const Experiment *e = v->e;
	Datum	   *metrics = palloc(sizeof(Datum) * Max(e->nrules, 1));
	Datum	   *fingerprints = palloc(sizeof(Datum) * Max(e->nrules, 1));

	for (int i = 0; i < e->nrules; i++)
	{
		metrics[i] = Int32GetDatum(e->rules[i].metric);
		fingerprints[i] = Int64GetDatum(e->rules[i].fingerprint);
	}
	return (InputRow) {
		.id = e->id, .plan_version = e->plan_version, .state = e->state, .ended = e->ended,
		.spec = gr_spec_print(v->plan->spec),
		.metrics = construct_array(metrics, e->nrules, INT4OID, 4, true, TYPALIGN_INT),
		.fingerprints = construct_array(fingerprints, e->nrules, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE),
		.collection = gr_input_collection(v),
		.past = gr_past_encode(v->past),
		.failures = failures_encode(e),.surplus_arms = v->test.surplus_arms,.decided = (char *) v->test.decided
	};
}

void
gr_input_store(const Evaluation *v, const char *schema, int64 check_id, TimestampTz checked_at,
			   const char *snapshot)
{
	const Oid	types[] = {INT8OID, TEXTOID, INT4OID, TIMESTAMPTZOID, TEXTOID, BOOLOID, TEXTOID,
	TEXTOID, INT4ARRAYOID, INT8ARRAYOID, BYTEAOID, BYTEAOID, INT8OID, TEXTARRAYOID, BOOLOID, TEXTOID};
	char		nulls[lengthof(types) + 1];
	InputRow	row = input_row(v);
	GrChecksum	c;
	Datum		values[lengthof(types)];

	gr_checksum_start(&c);
	gr_checksum_int(&c, check_id);
	gr_segments_store(v, schema, check_id, &c);
	gr_input_checksum(&c, &row);
	values[0] = Int64GetDatum(check_id);
	values[1] = CStringGetTextDatum(row.id);
	values[2] = Int32GetDatum(row.plan_version);
	values[3] = TimestampTzGetDatum(checked_at);
	values[4] = CStringGetTextDatum(row.state);
	values[5] = BoolGetDatum(row.ended);
	values[6] = CStringGetTextDatum(snapshot);
	values[7] = CStringGetTextDatum(row.spec);
	values[8] = PointerGetDatum(row.metrics);
	values[9] = PointerGetDatum(row.fingerprints);
	values[10] = PointerGetDatum(row.collection);
	values[11] = PointerGetDatum(row.past);
	values[12] = Int64GetDatum(gr_checksum_end(&c));
	memset(nulls, ' ', lengthof(types));
	nulls[13] = row.failures ? ' ' : 'n';
	values[13] = PointerGetDatum(row.failures);
	values[14] = BoolGetDatum(row.surplus_arms);
	nulls[15] = row.decided ? ' ' : 'n';
	values[15] = row.decided ? CStringGetTextDatum(row.decided) : (Datum) 0;
	if (SPI_execute_with_args(psprintf("INSERT INTO %s.guardrail_check_input (check_id, experiment_id, plan_version,"
									   " checked_at, state, ended, snapshot, spec, metrics, fingerprints, collection, past,"
									   " checksum, failures, surplus_arms, decided, extension_version) SELECT $1, $2, $3, $4, $5, $6,"
									   " $7::pg_catalog.pg_snapshot, $8, $9, $10, $11, $12, $13, $14, $15, $16, x.extversion"
									   " FROM pg_catalog.pg_extension x WHERE x.extname = 'guardrail'", schema),
							  lengthof(types), (Oid *) types, values, nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not insert into guardrail_check_input");
}
