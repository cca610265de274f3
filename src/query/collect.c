/*
 * collect.c
 *	  Run the scan: the fast shape, which spills units that do not fit the memory
 *	  setting, and when it cannot, the two-level shape.
 *
 * The fast shape runs in a subtransaction, so that a process which outgrows the
 * setting ends it cleanly.  Only a process that reads alone spills: a parallel
 * worker's files would go with it.  So what does not fit in parallel is read
 * again by one process.  Reading comes first, writing later: what is collected
 * is a plain SELECT through SPI, which the server may run in parallel.
 */
#include "query/query.h"

#include <unistd.h>

#include "catalog/pg_type.h"
#include "catalog/validate.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "optimizer/cost.h"
#include "units/units.h"

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

typedef struct RunWork
{
	const char *sql;
	const ScanPlan *plan;
	GrReadResult read;
	MemoryContext context;
	void	   *result;
} RunWork;

static void
run(void *arg)
{
	RunWork    *w = arg;
	bool		null;
	Datum		d;
	MemoryContext old;

	gr_spi_query(w->sql, true, 0, NULL);
	if (SPI_processed != 1 || SPI_gettypeid(SPI_tuptable->tupdesc, 1) != BYTEAOID)
		elog(ERROR, "the scan did not return one bytea");
	d = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);
	old = MemoryContextSwitchTo(w->context);
	w->result = w->read(null ? NULL : DatumGetByteaPP(d), w->plan);
	MemoryContextSwitchTo(old);
	SPI_freetuptable(SPI_tuptable);
}

/* There was too little of what parallel processes share; it is not tried again and again. */
static bool shared_memory_is_short = false;

/*
 * Each process has a table of nearly all units, to be merged with the others', so
 * more processes than processors cost more than they bring.
 */
int
gr_useful_workers(void)
{
	long		processors = sysconf(_SC_NPROCESSORS_ONLN);

	if (shared_memory_is_short)
		return 0;
	return processors < 1 ? max_parallel_workers_per_gather :
		(int) Min(max_parallel_workers_per_gather, processors - 1);
}

void
gr_set_workers(int workers)
{
	gr_set_local("max_parallel_workers_per_gather", psprintf("%d", workers));
	/* units are merged directly above the Gather (send.c) */
	gr_set_local("enable_partitionwise_aggregate", "off");
}

static ErrorData *
attempt(RunWork *w, int workers)
{
	int			level = NewGUCNestLevel();
	ErrorData  *error;

	gr_set_workers(workers);
	error = gr_attempt(run, w);
	AtEOXact_GUC(false, level);
	return error;
}

bool
gr_may_work_alone(const ErrorData *error)
{
	if (error->sqlerrcode == ERRCODE_DISK_FULL)
		shared_memory_is_short = true;
	return error->sqlerrcode == ERRCODE_DISK_FULL || error->sqlerrcode == GR_ERRCODE_SENT_MEMORY;
}

bool
gr_run_fitting(const char *sql, const ScanPlan *plan, GrReadResult read,
			   MemoryContext context, void **result)
{
	RunWork		w = {sql, plan, read, context, NULL};
	int			workers = gr_useful_workers();
	ErrorData  *error = attempt(&w, workers);

	if (error && workers > 0 && gr_may_work_alone(error))
		error = attempt(&w, 0);
	if (error && error->sqlerrcode != GR_ERRCODE_UNITS_MEMORY)
		ReThrowError(error);
	*result = w.result;
	return error == NULL;
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

void
gr_require_own_functions(const char *schema)
{
	const char *args[] = {schema};

	gr_spi_query("SELECT p.oid::regprocedure::text FROM pg_proc p"
				 " WHERE p.proname = ANY ('{_guardrail_collect,_guardrail_collect_units,_guardrail_batch,_guardrail_number,"
				 "guardrail_summarize,guardrail_histogram,guardrail_rollup,_guardrail_category,"
				 "_guardrail_distinct,_guardrail_entropy,_guardrail_collect_segment,_guardrail_ties}'::name[])"
				 " AND p.pronamespace = $1::regnamespace AND NOT EXISTS (SELECT FROM pg_depend d"
				 "  WHERE d.classid = 'pg_proc'::regclass AND d.objid = p.oid AND d.deptype = 'e')"
				 " ORDER BY p.oid LIMIT 1", true, 1, args);
	if (SPI_processed > 0)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("function %s does not belong to guardrail but would be called instead of its function of the same name",
						gr_spi_text(0, 1)),
				 errhint("Drop it, and revoke the right to create objects in schema %s.", schema)));
}

Collection *
gr_collect(const Experiment *e, const ScanPlan *plan, const char *schema,
		   MemoryContext context)
{
	OwnerContext saved;
	Collection *c = NULL;

	gr_require_own_functions(schema);
	gr_owner_enter(&saved, e->owner);
	if (gr_fast_shape_fits(plan))
		c = try_fast(e, plan, schema, context);
	if (c == NULL)
		c = keep(gr_collect_two_level(e, plan, schema), plan, context);
	gr_owner_leave(&saved);
	return c;
}
