/*
 * ties.c
 *	  guardrail_ties: the bytes of the ties of a column, for statements of the
 *	  two-level shape.
 */
#include "units/ties.h"

#include <math.h>

#include "libpq/pqformat.h"

PG_FUNCTION_INFO_V1(guardrail_ties_add);
PG_FUNCTION_INFO_V1(guardrail_ties_combine);
PG_FUNCTION_INFO_V1(guardrail_ties_serialize);
PG_FUNCTION_INFO_V1(guardrail_ties_deserialize);

static MemoryContext
aggregate_context(FunctionCallInfo fcinfo)
{
	return gr_aggregate_context(fcinfo, "_guardrail_ties");
}

static TieTable *
state_of(FunctionCallInfo fcinfo, MemoryContext context)
{
	return PG_ARGISNULL(0) ? MemoryContextAllocZero(context, sizeof(TieTable)) : (TieTable *) PG_GETARG_POINTER(0);
}

/* guardrail_ties_add(state, x): NULL and what is not finite are left out */
Datum
guardrail_ties_add(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo);
	TieTable   *t = state_of(fcinfo, context);
	MemoryContext old = MemoryContextSwitchTo(context);

	if (!PG_ARGISNULL(1) && isfinite(PG_GETARG_FLOAT8(1)))
		gr_ties_add(t, PG_GETARG_FLOAT8(1));
	MemoryContextSwitchTo(old);
	PG_RETURN_POINTER(t);
}

Datum
guardrail_ties_combine(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo);
	TieTable   *t;
	MemoryContext old;

	if (PG_ARGISNULL(0) && PG_ARGISNULL(1))
		PG_RETURN_NULL();
	t = state_of(fcinfo, context);
	old = MemoryContextSwitchTo(context);
	if (!PG_ARGISNULL(1))
		gr_ties_merge_table(t, (TieTable *) PG_GETARG_POINTER(1));
	MemoryContextSwitchTo(old);
	PG_RETURN_POINTER(t);
}

/* also the final function */
Datum
guardrail_ties_serialize(PG_FUNCTION_ARGS)
{
	StringInfoData buf;
	TieList		list;

	(void) aggregate_context(fcinfo);
	if (PG_ARGISNULL(0))
		PG_RETURN_NULL();
	list = gr_ties_list((TieTable *) PG_GETARG_POINTER(0));
	pq_begintypsend(&buf);
	gr_ties_encode(&buf, &list);
	PG_RETURN_BYTEA_P(pq_endtypsend(&buf));
}

Datum
guardrail_ties_deserialize(PG_FUNCTION_ARGS)
{
	MemoryContext context = aggregate_context(fcinfo);
	bytea	   *bytes = PG_GETARG_BYTEA_PP(0);
	const char *p = VARDATA_ANY(bytes);
	const char *end = p + VARSIZE_ANY_EXHDR(bytes);
	TieTable   *t = MemoryContextAllocZero(context, sizeof(TieTable));
	MemoryContext old = MemoryContextSwitchTo(context);
	TieList		list;

	if (!gr_ties_decode(&list, &p, end) || p != end)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("invalid state of _guardrail_ties")));
	gr_ties_merge_list(t, &list);
	MemoryContextSwitchTo(old);
	PG_RETURN_POINTER(t);
}
