/*
 * summary.c
 *	  guardrail_summary: input, output, aggregates, accessors.
 *
 * The aggregate's state is the type itself, never internal, so that states can
 * travel between processes and servers and be stored.  Argument 0 of a
 * transition is changed in place only inside an aggregate, argument 1 never.
 */
#include "types/summary.h"

#include <limits.h>
#include <math.h>

#include "common/int.h"
#include "libpq/pqformat.h"

PG_FUNCTION_INFO_V1(guardrail_summary_in);
PG_FUNCTION_INFO_V1(guardrail_summary_out);
PG_FUNCTION_INFO_V1(guardrail_summary_recv);
PG_FUNCTION_INFO_V1(guardrail_summary_send);
PG_FUNCTION_INFO_V1(guardrail_summary_add);
PG_FUNCTION_INFO_V1(guardrail_summary_combine);
PG_FUNCTION_INFO_V1(guardrail_units);
PG_FUNCTION_INFO_V1(guardrail_skipped);
PG_FUNCTION_INFO_V1(guardrail_mean);
PG_FUNCTION_INFO_V1(guardrail_variance);
PG_FUNCTION_INFO_V1(guardrail_ratio);

/* The numbers of a summary, one after the other. */
typedef struct Numbers
{
	double	   *at;
	int			n;
} Numbers;

/* So many arrays of them at most. */
#define MAX_NUMBERS (6 + GR_MAX_DIM)

static int
list_numbers(GrMoments *m, int version, Numbers *list)
{
	int			dim = m->dim;
	int			products = dim * (dim + 1) / 2;
	int			triples = gr_ntriples(dim);
	int			n = 0;

	list[n++] = (Numbers) {m->sum_hi, dim};
	list[n++] = (Numbers) {m->sum_lo, dim};
	list[n++] = (Numbers) {m->product, products};
	if (version == 1)
		return n;
	list[n++] = (Numbers) {m->product_lo, products};
	list[n++] = (Numbers) {m->triple_hi, triples};
	list[n++] = (Numbers) {m->triple_lo, triples};
	for (int i = 0; i < dim; i++)
		list[n++] = (Numbers) {m->largest[i], dim};
	return n;
}

/* The oldest form that loses nothing. */
static int
version_of(const GrMoments *m)
{
	bool		more = gr_moments_have_triples(m) || gr_moments_have_largest(m);

	for (int k = 0; k < GR_MAX_PRODUCTS; k++)
		more = more || m->product_lo[k] != 0;
	return more ? GR_SUMMARY_VERSION : 1;
}

static Size
summary_size(int dim, int version)
{
	GrMoments	m = {.dim = dim};
	Numbers		list[MAX_NUMBERS];
	int			n = 0;

	for (int k = list_numbers(&m, version, list) - 1; k >= 0; k--)
		n += list[k].n;
	return offsetof(Summary, data) + sizeof(double) * n;
}

/* What is not known of a summary of version 1. */
static void
init_numbers(GrMoments *m, int dim, int version)
{
	memset(m, 0, sizeof(*m));
	m->dim = dim;
	if (version == 1)
	{
		gr_moments_forget_triples(m);
		gr_moments_forget_largest(m);
	}
}

static void
corrupt(const char *why)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("invalid guardrail_summary"),
			 errdetail("%s", why)));
}

void
gr_summary_read(const Summary *s, GrMoments *m, int64 *skipped)
{
	Size		size = VARSIZE(s);
	Numbers		list[MAX_NUMBERS];
	const double *from = s->data;
	int			n;

	if (size < offsetof(Summary, data) || s->version < 1 || s->version > GR_SUMMARY_VERSION ||
		s->flags != 0)
		corrupt("This version of guardrail does not support its version.");
	if (s->dim < 1 || s->dim > GR_MAX_DIM || size != summary_size(s->dim, s->version))
		corrupt("Its length does not match its number of variables.");
	init_numbers(m, s->dim, s->version);
	m->n = s->n;
	n = list_numbers(m, s->version, list);
	for (int k = 0; k < n; from += list[k++].n)
		memcpy(list[k].at, from, sizeof(double) * list[k].n);
	if (skipped)
		*skipped = s->skipped;
}

static void
summary_write(Summary *s, const GrMoments *m, int64 skipped)
{
	Numbers		list[MAX_NUMBERS];
	double	   *to = s->data;
	int			n = list_numbers((GrMoments *) m, s->version, list);

	s->n = m->n;
	s->skipped = skipped;
	for (int k = 0; k < n; to += list[k++].n)
		memcpy(to, list[k].at, sizeof(double) * list[k].n);
}

Summary *
gr_summary_make(const GrMoments *m, int64 skipped)
{
	int			version = version_of(m);
	Size		size = summary_size(m->dim, version);
	Summary    *s = palloc0(size);

	SET_VARSIZE(s, size);
	s->version = version;
	s->dim = m->dim;
	summary_write(s, m, skipped);
	return s;
}

Datum
guardrail_summary_in(PG_FUNCTION_ARGS)
{
	char	   *text = PG_GETARG_CSTRING(0);
	char	   *copy = pstrdup(text);
	char	   *tail = strstr(copy, " skipped=");
	int64		skipped = 0;
	GrMoments	m;
	bool		ok = true;

	if (tail)
	{
		char	   *end;

		*tail = '\0';
		tail += strlen(" skipped=");
		errno = 0;
		skipped = strtoll(tail, &end, 10);
		ok = errno == 0 && *tail >= '1' && *tail <= '9' && *end == '\0';
	}
	if (!ok || !gr_moments_parse(copy, &m))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_TEXT_REPRESENTATION),
				 errmsg("invalid input syntax for type %s: \"%s\"",
						"guardrail_summary", text),
				 errhint("Use the output of guardrail_summarize(), for example "
						 "\"v1 n=3 sum=6 low=0 products=2\".")));
	PG_RETURN_POINTER(gr_summary_make(&m, skipped));
}

Datum
guardrail_summary_out(PG_FUNCTION_ARGS)
{
	GrMoments	m;
	int64		skipped;
	char		buf[4096];
	int			len;

	gr_summary_read(PG_GETARG_SUMMARY_P(0), &m, &skipped);
	len = gr_moments_print(&m, buf, sizeof(buf));
	if (len < 0 || len >= (int) sizeof(buf))
		elog(ERROR, "text form of a guardrail_summary is too long");
	if (skipped > 0)
		PG_RETURN_CSTRING(psprintf("%s skipped=" INT64_FORMAT, buf, skipped));
	PG_RETURN_CSTRING(pstrdup(buf));
}

Datum
guardrail_summary_send(PG_FUNCTION_ARGS)
{
	GrMoments	m;
	int64		skipped;
	StringInfoData buf;
	Numbers		list[MAX_NUMBERS];
	int			version,
				n;

	gr_summary_read(PG_GETARG_SUMMARY_P(0), &m, &skipped);
	version = version_of(&m);
	pq_begintypsend(&buf);
	pq_sendbyte(&buf, version);
	pq_sendbyte(&buf, m.dim);
	pq_sendint64(&buf, m.n);
	pq_sendint64(&buf, skipped);
	n = list_numbers(&m, version, list);
	for (int k = 0; k < n; k++)
		for (int i = 0; i < list[k].n; i++)
			pq_sendfloat8(&buf, list[k].at[i]);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

Datum
guardrail_summary_recv(PG_FUNCTION_ARGS)
{
	StringInfo	buf = (StringInfo) PG_GETARG_POINTER(0);
	int			version = pq_getmsgbyte(buf);
	GrMoments	m;
	Numbers		list[MAX_NUMBERS];
	int64		skipped;
	int			dim,
				n;

	if (version < 1 || version > GR_SUMMARY_VERSION)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("unsupported version of guardrail_summary")));
	dim = pq_getmsgbyte(buf);
	if (dim < 1 || dim > GR_MAX_DIM)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid number of variables in guardrail_summary: %d", dim)));
	init_numbers(&m, dim, version);
	m.n = pq_getmsgint64(buf);
	skipped = pq_getmsgint64(buf);
	n = list_numbers(&m, version, list);
	for (int k = 0; k < n; k++)
		for (int i = 0; i < list[k].n; i++)
			list[k].at[i] = pq_getmsgfloat8(buf);
	pq_getmsgend(buf);
	if (skipped < 0 || !gr_moments_valid(&m))
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_BINARY_REPRESENTATION),
				 errmsg("invalid guardrail_summary"),
				 errdetail("Its numbers contradict each other.")));
	PG_RETURN_POINTER(gr_summary_make(&m, skipped));
}

/*
 * guardrail_summary_add(state, x [, y [, u]])
 *
 * One more unit.  A unit with a NULL is no observation; one with NaN or an
 * infinity is left out and counted.
 */
Datum
guardrail_summary_add(PG_FUNCTION_ARGS)
{
	int			dim = PG_NARGS() - 1;
	double		x[GR_MAX_DIM];
	Summary    *s = PG_ARGISNULL(0) ? NULL : PG_GETARG_SUMMARY_P(0);
	GrMoments	m;
	int64		skipped = 0;
	bool		seen = true;

	for (int i = 0; i < dim; i++)
	{
		if (PG_ARGISNULL(i + 1))
			seen = false;
		else
			x[i] = PG_GETARG_FLOAT8(i + 1);
	}
	if (s == NULL)
		gr_moments_init(&m, dim);
	else
	{
		gr_summary_read(s, &m, &skipped);
		if (m.dim != dim)
			ereport(ERROR,
					(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
					 errmsg("summary has %d variables, not %d", m.dim, dim)));
	}
	if (seen && !gr_moments_add(&m, x))
		skipped++;
	if (s == NULL || s->version != GR_SUMMARY_VERSION || !AggCheckCallContext(fcinfo, NULL))
		PG_RETURN_POINTER(gr_summary_make(&m, skipped));
	summary_write(s, &m, skipped);
	PG_RETURN_POINTER(s);
}

Datum
guardrail_summary_combine(PG_FUNCTION_ARGS)
{
	GrMoments	a,
				b;
	int64		skipped_a,
				skipped_b;

	if (PG_ARGISNULL(0) && PG_ARGISNULL(1))
		PG_RETURN_NULL();
	if (PG_ARGISNULL(1))
		PG_RETURN_DATUM(PG_GETARG_DATUM(0));
	gr_summary_read(PG_GETARG_SUMMARY_P(1), &b, &skipped_b);
	if (PG_ARGISNULL(0))
		PG_RETURN_POINTER(gr_summary_make(&b, skipped_b));
	gr_summary_read(PG_GETARG_SUMMARY_P(0), &a, &skipped_a);
	if (a.dim != b.dim)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("cannot merge summaries of %d and %d variables", a.dim, b.dim)));
	if (!gr_moments_merge(&a, &b) || pg_add_s64_overflow(skipped_a, skipped_b, &skipped_a))
		ereport(ERROR,
				(errcode(ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE),
				 errmsg("cannot merge summaries: a number would be out of range")));
	PG_RETURN_POINTER(gr_summary_make(&a, skipped_a));
}

Datum
guardrail_units(PG_FUNCTION_ARGS)
{
	GrMoments	m;

	gr_summary_read(PG_GETARG_SUMMARY_P(0), &m, NULL);
	PG_RETURN_INT64(m.n);
}

Datum
guardrail_skipped(PG_FUNCTION_ARGS)
{
	GrMoments	m;
	int64		skipped;

	gr_summary_read(PG_GETARG_SUMMARY_P(0), &m, &skipped);
	PG_RETURN_INT64(skipped);
}

Datum
guardrail_mean(PG_FUNCTION_ARGS)
{
	GrMoments	m;

	gr_summary_read(PG_GETARG_SUMMARY_P(0), &m, NULL);
	if (m.n < 1)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(gr_moments_mean(&m, 0));
}

Datum
guardrail_variance(PG_FUNCTION_ARGS)
{
	GrMoments	m;

	gr_summary_read(PG_GETARG_SUMMARY_P(0), &m, NULL);
	if (m.n < 2)
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(gr_moments_cov(&m, 0, 0));
}

Datum
guardrail_ratio(PG_FUNCTION_ARGS)
{
	GrMoments	m;
	GrEstimate	estimate;

	gr_summary_read(PG_GETARG_SUMMARY_P(0), &m, NULL);
	if (m.dim < 2)
		ereport(ERROR,
				(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
				 errmsg("summary has no denominator"),
				 errhint("Make it with guardrail_summarize(numerator, denominator).")));
	(void) gr_ratio_estimate(&m, &estimate);
	if (isnan(estimate.value))
		PG_RETURN_NULL();
	PG_RETURN_FLOAT8(estimate.value);
}
