/*
 * segment.c
 *	  One scan for the whole experiment and for the values of its segments.
 *
 * The statement groups by sets: none, and each expression by itself.  A column with
 * many values would be many groups, each with units of its own: the values go through
 * guardrail_segment_value, which lets the first GR_MAX_SEGMENT_VALUES through and then
 * only says that there are more.  Which came first means nothing, so such an
 * expression is not judged at all, and what it cost is bounded.
 */
#include "query/query.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "units/units.h"

PG_FUNCTION_INFO_V1(guardrail_segment_value);

/* The first byte of what is returned: a value follows, or there are too many. */
#define IS_VALUE 'v'
#define IS_OVERFLOW 'o'

typedef struct Values
{
	int			most;
	int			n;				/* more than most: no others are looked up */
	uint32		mask;			/* slots - 1 */
	text	  **slot;			/* with the first byte; NULL: free */
	text	   *overflow;
} Values;

static text *
marked(char mark, const char *bytes, int len)
{
	text	   *t = palloc(VARHDRSZ + 1 + len);

	SET_VARSIZE(t, VARHDRSZ + 1 + len);
	*VARDATA(t) = mark;
	if (len > 0)
		memcpy(VARDATA(t) + 1, bytes, len);
	return t;
}

static Values *
make_values(FunctionCallInfo fcinfo)
{
	MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);
	Values	   *v = palloc0(sizeof(Values));

	v->most = (int) gr_arg_int(fcinfo, 1, "most", 1, 1000);
	v->mask = pg_nextpower2_32(2 * (uint32) v->most + 2) - 1;
	v->slot = palloc0(sizeof(text *) * (v->mask + 1));
	v->overflow = marked(IS_OVERFLOW, NULL, 0);
	MemoryContextSwitchTo(old);
	fcinfo->flinfo->fn_extra = v;
	return v;
}

/*
 * guardrail_segment_value(value, most): "v" and the value, as long as no more than
 * "most" different ones were seen in this place of the statement; then "o"
 */
Datum
guardrail_segment_value(PG_FUNCTION_ARGS)
{
	Values	   *v = fcinfo->flinfo->fn_extra;
	text	   *value;
	int			len;
	uint32		i;

	if (v == NULL)
		v = make_values(fcinfo);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	if (v->n > v->most)
		PG_RETURN_TEXT_P(v->overflow);
	value = PG_GETARG_TEXT_PP(0);
	len = VARSIZE_ANY_EXHDR(value);
	i = hash_bytes((unsigned char *) VARDATA_ANY(value), len) & v->mask;
	for (; v->slot[i]; i = (i + 1) & v->mask)
		if (VARSIZE(v->slot[i]) == (Size) (VARHDRSZ + 1 + len) &&
			memcmp(VARDATA(v->slot[i]) + 1, VARDATA_ANY(value), len) == 0)
			PG_RETURN_TEXT_P(v->slot[i]);
	if (++v->n <= v->most)
	{
		MemoryContext old = MemoryContextSwitchTo(fcinfo->flinfo->fn_mcxt);

		v->slot[i] = marked(IS_VALUE, VARDATA_ANY(value), len);
		MemoryContextSwitchTo(old);
		PG_RETURN_TEXT_P(v->slot[i]);
	}
	PG_RETURN_TEXT_P(v->overflow);
}

typedef struct SegmentWork
{
	const Experiment *e;
	const ScanPlan *plan;
	const char *schema;
	MemoryContext context;
	SegmentScan *scan;
	bool		over[GR_MAX_SEGMENTS];
} SegmentWork;

/* Which expression a row is grouped by; -1: none, it is the whole. */
static int
row_expression(const SegmentWork *w, int row)
{
	bool		null;
	int			n = w->e->nsegments;
	uint32		grouping = (uint32) DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[row],
																SPI_tuptable->tupdesc, 1, &null));

	/* a bit for each expression that it is not grouped by, the last one's lowest */
	for (int i = 0; i < n; i++)
		if ((grouping & (1u << (n - 1 - i))) == 0)
			return i;
	return -1;
}

static Collection *
row_collection(const SegmentWork *w, int row)
{
	bool		null;
	Datum		d = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc,
								  w->e->nsegments + 2, &null);

	return null ? gr_collection_make(w->plan->spec, 0) :
		gr_collection_decode(DatumGetByteaPP(d), w->plan->spec);
}

static void
scan(void *arg)
{
	SegmentWork *w = arg;
	MemoryContext old;
	SegmentScan *s;

	gr_spi_query(gr_sql_segments(w->e, w->plan, w->schema), true, 0, NULL);
	old = MemoryContextSwitchTo(w->context);
	s = palloc0(sizeof(SegmentScan));
	s->segment = palloc0(sizeof(SegmentData) * (SPI_processed + w->e->nsegments));
	for (int row = 0; row < (int) SPI_processed; row++)
	{
		int			k = row_expression(w, row);
		char	   *value = k < 0 ? NULL : gr_spi_text(row, k + 2);

		CHECK_FOR_INTERRUPTS();
		if (k < 0)
			s->whole = row_collection(w, row);
		else if (value && value[0] == IS_OVERFLOW)
			w->over[k] = true;
		else
			s->segment[s->n++] = (SegmentData) {k, value ? pstrdup(value + 1) : NULL,
			row_collection(w, row), NULL};
	}
	MemoryContextSwitchTo(old);
	SPI_freetuptable(SPI_tuptable);
	if (s->whole == NULL)
		elog(ERROR, "the scan of segments did not return the whole");
	w->scan = s;
}

/* An expression that is not judged has one entry, which says why. */
static void
give_up(SegmentWork *w, int expression, const char *why)
{
	SegmentScan *s = w->scan;
	int			n = 0;

	for (int i = 0; i < s->n; i++)
		if (s->segment[i].expression != expression)
			s->segment[n++] = s->segment[i];
	s->segment[n++] = (SegmentData) {expression, NULL, NULL, why};
	s->n = n;
}

/* The whole alone, as an experiment without segments. */
static void
collect_whole(SegmentWork *w, const char *why)
{
	SegmentScan *s = MemoryContextAllocZero(w->context, sizeof(SegmentScan));

	s->whole = gr_collect(w->e, w->plan, w->schema, w->context);
	s->segment = MemoryContextAllocZero(w->context, sizeof(SegmentData) * w->e->nsegments);
	w->scan = s;
	for (int k = 0; k < w->e->nsegments; k++)
		give_up(w, k, why);
}

SegmentScan *
gr_collect_segments(const Experiment *e, const ScanPlan *plan, const char *schema,
					MemoryContext context)
{
	SegmentWork w = {.e = e,.plan = plan,.schema = schema,.context = context};
	OwnerContext saved;
	ErrorData  *error;

	if (e->nsegments > GR_MAX_SEGMENTS)
		ereport(ERROR,
				(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
				 errmsg("experiment \"%s\" has more than %d segments", e->id, GR_MAX_SEGMENTS),
				 errhint("Remove segments with guardrail_amend(); one expression can combine several columns.")));
	if (!gr_fast_shape_fits(plan))
	{
		collect_whole(&w, "the rules have too many expressions for one scan with segments");
		return w.scan;
	}
	if (e->segments_failure)
	{
		collect_whole(&w, psprintf("evaluating it failed: %s", e->segments_failure));
		return w.scan;
	}
	gr_require_own_functions(schema);
	gr_owner_enter(&saved, e->owner);
	/* groups are hashed when the planner believes that they fit; what bounds them is unit_memory */
	gr_set_local("work_mem", psprintf("%d", Max(work_mem, guardrail_unit_memory)));
	error = gr_attempt(scan, &w);
	if (error && error->sqlerrcode != GR_ERRCODE_UNITS_MEMORY)
		ReThrowError(error);
	gr_owner_leave(&saved);
	if (error)
		collect_whole(&w, "its units, together with those of the whole population, need more than guardrail.unit_memory");
	for (int k = 0; k < e->nsegments; k++)
		if (w.over[k])
			give_up(&w, k, psprintf("it has more than %d values", GR_MAX_SEGMENT_VALUES));
	return w.scan;
}
