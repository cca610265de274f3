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
#include "catalog/pg_type.h"
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

static Collection *
run_fast(const Experiment *e, const ScanPlan *plan, const char *schema,
		 MemoryContext context)
{
	Collection *c;
	bool		null;
	Datum		d;
	MemoryContext old;

	gr_spi_query(gr_sql_fast(e, plan, schema), true, 0, NULL);
	if (SPI_processed != 1 || SPI_gettypeid(SPI_tuptable->tupdesc, 1) != BYTEAOID)
		elog(ERROR, "guardrail_collect did not return one bytea");
	d = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);
	old = MemoryContextSwitchTo(context);
	c = null ? gr_collection_make(plan->spec, 0) :
		gr_collection_decode(DatumGetByteaPP(d), plan->spec);
	MemoryContextSwitchTo(old);
	SPI_freetuptable(SPI_tuptable);
	return c;
}

/* NULL when the units do not fit; any other error goes on. */
static Collection *
try_fast(const Experiment *e, const ScanPlan *plan, const char *schema,
		 MemoryContext context)
{
	MemoryContext here = CurrentMemoryContext;
	ResourceOwner owner = CurrentResourceOwner;
	Collection *volatile c = NULL;

	BeginInternalSubTransaction(NULL);
	MemoryContextSwitchTo(here);
	PG_TRY();
	{
		c = run_fast(e, plan, schema, context);
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
		ereport(DEBUG1,
				(errmsg_internal("units of experiment \"%s\" do not fit guardrail.unit_memory: two-level shape",
								 e->id)));
	}
	PG_END_TRY();
	return c;
}

/*
 * A function of the same name that fits the types of the columns better than "any"
 * would be called in place of ours, with the owner's rights.
 */
static void
require_own_functions(const char *schema)
{
	const char *args[] = {schema};

	gr_spi_query("SELECT p.oid::regprocedure::text FROM pg_proc p"
				 " WHERE p.proname = ANY ('{guardrail_collect,guardrail_batch,guardrail_number,"
				 "guardrail_summarize,guardrail_histogram,guardrail_rollup}'::name[])"
				 " AND p.pronamespace = $1::regnamespace AND NOT EXISTS (SELECT FROM pg_depend d"
				 "  WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')"
				 " ORDER BY p.oid LIMIT 1", true, 1, args);
	if (SPI_processed > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("function %s does not belong to guardrail and would be called in place of its own",
						gr_spi_text(0, 1)),
				 errhint("Drop it, and let nobody create objects in schema %s.", schema)));
}

Collection *
gr_collect(const Experiment *e, const ScanPlan *plan, const char *schema,
		   MemoryContext context)
{
	OwnerContext saved;
	Collection *c = NULL;

	require_own_functions(schema);
	gr_owner_enter(&saved, e->owner);
	if (gr_fast_shape_fits(plan))
		c = try_fast(e, plan, schema, context);
	if (c == NULL)
		c = keep(gr_collect_two_level(e, plan, schema), plan, context);
	gr_owner_leave(&saved);
	return c;
}
