/*
 * collect.c
 *	  Run the scan: the fast shape, and when its units do not fit the memory
 *	  setting, the two-level shape.
 *
 * The fast shape runs in a subtransaction, so that a process which outgrows the
 * setting ends it cleanly.  Reading comes first, writing later: what is collected
 * is a plain SELECT through SPI, which the server may run in parallel.
 */
#include "query/query.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "units/units.h"
#include "utils/memutils.h"
#include "utils/resowner.h"

/* Copy through bytes: what SPI made lives only until SPI_finish. */
static Collection *
keep(const Collection *c, const ScanPlan *plan, MemoryContext context)
{
	MemoryContext old;
	bytea	   *bytes = gr_collection_encode(c);
	Collection *copy;

	old = MemoryContextSwitchTo(context);
	copy = gr_collection_decode(bytes, plan->spec);
	MemoryContextSwitchTo(old);
	pfree(bytes);
	return copy;
}

static void *
run(const char *sql, const ScanPlan *plan, GrReadResult read, MemoryContext context)
{
	void	   *result;
	bool		null;
	Datum		d;
	MemoryContext old;

	gr_spi_query(sql, true, 0, NULL);
	d = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);
	old = MemoryContextSwitchTo(context);
	result = read(null ? NULL : DatumGetByteaPP(d), plan);
	MemoryContextSwitchTo(old);
	SPI_freetuptable(SPI_tuptable);
	return result;
}

bool
gr_run_fitting(const char *sql, const ScanPlan *plan, GrReadResult read,
			   MemoryContext context, void **result)
{
	MemoryContext here = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	volatile bool fits = true;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(here);
	PG_TRY();
	{
		*result = run(sql, plan, read, context);
		ReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(here);
		CurrentResourceOwner = owner;
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(here);
		error = CopyErrorData();
		FlushErrorState();
		RollbackAndReleaseCurrentSubTransaction();
		MemoryContextSwitchTo(here);
		CurrentResourceOwner = owner;
		if (error->sqlerrcode != GR_ERRCODE_UNITS_MEMORY)
			ReThrowError(error);
		FreeErrorData(error);
		fits = false;
	}
	PG_END_TRY();
	return fits;
}

static void *
read_collection(const bytea *bytes, const ScanPlan *plan)
{
	return bytes ? gr_collection_decode(bytes, plan->spec) :
		gr_collection_make(plan->spec, 0);
}

/* NULL when the units do not fit. */
static Collection *
try_fast(const Experiment *e, const ScanPlan *plan, const char *schema,
		 MemoryContext context)
{
	void	   *c = NULL;

	if (gr_run_fitting(gr_sql_fast(e, plan, schema), plan, read_collection, context, &c))
		return c;
	ereport(DEBUG1,
			(errmsg_internal("units of experiment \"%s\" do not fit guardrail.unit_memory: two-level shape",
							 e->id)));
	return NULL;
}

Collection *
gr_collect(const Experiment *e, const ScanPlan *plan, const char *schema,
		   MemoryContext context)
{
	OwnerContext saved;
	Collection *c = NULL;

	gr_owner_enter(&saved, e->owner);
	if (gr_fast_shape_fits(plan))
		c = try_fast(e, plan, schema, context);
	if (c == NULL)
		c = keep(gr_collect_two_level(e, plan, schema), plan, context);
	gr_owner_leave(&saved);
	return c;
}
