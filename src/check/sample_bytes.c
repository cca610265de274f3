/*
 * sample_bytes.c
 *	  What was seen of a metric in an arm as bytes: kept with the check that set a
 *	  test's least p-value, since later checks show its bounds.
 *
 * Version 1: kind · estimate · n · events · traffic · denominator · sums of squares and
 * cubes · largest units · of a quantile its limits.
 */
#include "check/input.h"

#include "libpq/pqformat.h"

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
				 errmsg("stored sample of a check is damaged")));
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

bytea *
gr_samples_encode(const GrSample *treatment, const GrSample *control)
{
	StringInfoData buf;

	pq_begintypsend(&buf);
	gr_sample_send(&buf, treatment);
	gr_sample_send(&buf, control);
	return pq_endtypsend(&buf);
}

void
gr_samples_decode(const bytea *bytes, const GrSample **treatment, const GrSample **control)
{
	StringInfoData buf;

	buf.data = (char *) VARDATA_ANY(bytes);
	buf.len = buf.maxlen = VARSIZE_ANY_EXHDR(bytes);
	buf.cursor = 0;
	*treatment = gr_sample_receive(&buf);
	*control = gr_sample_receive(&buf);
	pq_getmsgend(&buf);
}
