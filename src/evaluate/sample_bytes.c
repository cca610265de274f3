/*
 * sample_bytes.c
 *	  What was seen of a metric in an arm as bytes: kept with the check that set a
 *	  test's least p-value, since later checks show its bounds.
 *
 * Version 1: kind · estimate · n · events · traffic · denominator · sums of squares and
 * cubes · largest units · of a quantile its limits.  A result's two samples have a
 * checksum of 4 bytes after them.
 */
#include "evaluate/input.h"

#include "libpq/pqformat.h"
#include "port/pg_bswap.h"

#define SAMPLE_VERSION 1

/* The numbers of a sample in their order. */
typedef void (*Visit) (double *x, StringInfo buf);

static void
send_number(double *x, StringInfo buf)
{
	pq_sendfloat8(buf, *x);
}

static void
receive_number(double *x, StringInfo buf)
{
	*x = pq_getmsgfloat8(buf);
}

static void
visit_numbers(GrSample *s, Visit visit, StringInfo buf)
{
	visit(&s->estimate.value, buf);
	visit(&s->estimate.variance, buf);
	visit(&s->estimate.df, buf);
	visit(&s->n, buf);
	visit(&s->events, buf);
	visit(&s->traffic, buf);
	visit(&s->denominator, buf);
	for (int i = 0; i < (int) lengthof(s->square); i++)
		visit(&s->square[i], buf);
	for (int i = 0; i < (int) lengthof(s->cube); i++)
		visit(&s->cube[i], buf);
	for (int i = 0; i < s->nlargest; i++)
	{
		visit(&s->largest[i][0], buf);
		visit(&s->largest[i][1], buf);
	}
	for (int i = 0; s->kind == GR_SAMPLE_QUANTILE && i < GR_CURVE_POINTS; i++)
	{
		visit(&s->lower[i], buf);
		visit(&s->upper[i], buf);
	}
}

void
gr_sample_send(StringInfo buf, const GrSample *s)
{
	pq_sendbyte(buf, SAMPLE_VERSION);
	pq_sendbyte(buf, s->kind);
	pq_sendbyte(buf, s->nlargest);
	visit_numbers((GrSample *) s, send_number, buf);
}

GrSample *
gr_sample_receive(StringInfo buf)
{
	GrSample   *s = palloc0(sizeof(GrSample));
	int			version = pq_getmsgbyte(buf);
	int			kind = pq_getmsgbyte(buf);

	s->nlargest = pq_getmsgbyte(buf);
	if (version != SAMPLE_VERSION || kind > GR_SAMPLE_QUANTILE || s->nlargest > GR_MAX_DIM)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("stored sample of a check is damaged"),
				 errhint("Restore guardrail_check_input from a backup.")));
	s->kind = (GrSampleKind) kind;
	visit_numbers(s, receive_number, buf);
	return s;
}

GrSample *
gr_sample_from(double value, double variance, double df)
{
	GrSample   *s = palloc0(sizeof(GrSample));

	gr_sample_of_estimate(&(GrEstimate) {value, variance, df}, 0, s);
	return s;
}

/* Of the bytes of both samples and of the result that has them. */
static uint32
result_checksum(int64 check_id, const char *variant, const char *metric, const char *bytes, int n)
{
	GrChecksum	c;

	gr_checksum_start(&c);
	gr_checksum_int(&c, check_id);
	gr_checksum_text(&c, variant);
	gr_checksum_text(&c, metric);
	gr_checksum_bytes(&c, bytes, n);
	return (uint32) gr_checksum_end(&c);
}

bytea *
gr_samples_encode(const GrSample *treatment, const GrSample *control, int64 check_id, const char *variant,
				  const char *metric)
{
	StringInfoData buf;

	pq_begintypsend(&buf);
	gr_sample_send(&buf, treatment);
	gr_sample_send(&buf, control);
	pq_sendint32(&buf, result_checksum(check_id, variant, metric, buf.data + VARHDRSZ, buf.len - VARHDRSZ));
	return pq_endtypsend(&buf);
}

void
gr_samples_decode(const bytea *bytes, int64 check_id, const char *variant, const char *metric,
				  const GrSample **treatment, const GrSample **control)
{
	StringInfoData buf;
	uint32		checksum;

	buf.data = (char *) VARDATA_ANY(bytes);
	buf.len = buf.maxlen = (int) VARSIZE_ANY_EXHDR(bytes) - (int) sizeof(checksum);
	buf.cursor = 0;
	if (buf.len > 0)
		memcpy(&checksum, buf.data + buf.len, sizeof(checksum));
	if (buf.len <= 0 || pg_ntoh32(checksum) != result_checksum(check_id, variant, metric, buf.data, buf.len))
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("column \"samples\" of check " INT64_FORMAT ", variant \"%s\", metric \"%s\" is damaged",
						check_id, variant, metric),
				 errhint("Restore guardrail_result_log from a backup.")));
	*treatment = gr_sample_receive(&buf);
	*control = gr_sample_receive(&buf);
	pq_getmsgend(&buf);
}
