/*
 * share.c
 *	  Twenty experiments in one table of events, read once.
 *
 * Experiments of one relation and one owner are collected by one statement: one
 * aggregate for each, with the condition on its rows as FILTER.  Whether that is
 * less than a scan for each is asked of the planner, which knows the indexes.
 *
 * The scan comes before the experiments' rows are locked one after the other.  What
 * it found is used when the statement would still be the same and nobody else has
 * recorded a check meanwhile.
 */
#include "query/share.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/plancache.h"
#include "utils/snapmgr.h"

/* Each has a share of the memory setting, so not too many at once. */
#define MOST_SHARED 32

/* What waits is left to its own check; here it would keep all of them waiting. */
#define LOCK_TIMEOUT "100ms"

typedef struct ShareWork
{
	Oid			function;
	const char *schema;
	const char *id;
	Experiment *e;
	ScanPlan   *plan;
	Experiment **group;
	ScanPlan  **plans;
	int			n;
	int			workers;
	MemoryContext context;
	List	   *found;
} ShareWork;

static void
prepare_one(void *arg)
{
	ShareWork  *w = arg;
	OwnerContext saved;

	gr_writer_enter(&saved, w->function);
	w->e = gr_experiment_load(w->schema, w->id, w->context);
	gr_owner_leave(&saved);
	if (w->e->cursor_column || w->e->experiment_column == NULL || w->e->nsegments > 0 ||
		!gr_rows_are_events(w->e))
		return;
	gr_owner_enter(&saved, w->e->owner);
	gr_set_local("lock_timeout", LOCK_TIMEOUT);
	w->plan = gr_plan_make(w->e);
	gr_owner_leave(&saved);
	if (!gr_fast_shape_fits(w->plan))
		w->plan = NULL;
}

static int64
last_check(Oid function, const char *id)
{
	const char *args[] = {id};
	OwnerContext saved;

	gr_writer_enter(&saved, function);
	gr_spi_query(psprintf("SELECT max(check_id) FROM %s.guardrail_check_log WHERE experiment_id = $1",
						  gr_schema_of_function(function)), true, 1, args);
	gr_owner_leave(&saved);
	return gr_spi_int8(0, 1, 0);
}

/* The planner's estimate of a whole statement. */
static double
statement_cost(const char *sql)
{
	SPIPlanPtr	plan = SPI_prepare(sql, 0, NULL);
	CachedPlan *cached;
	double		cost;

	if (plan == NULL)
		elog(ERROR, "could not prepare \"%s\"", sql);
	cached = SPI_plan_get_cached_plan(plan);
	cost = linitial_node(PlannedStmt, cached->stmt_list)->planTree->total_cost;
	/* of a plan that is not saved no resource owner knows */
	ReleaseCachedPlan(cached, NULL);
	SPI_freeplan(plan);
	return cost;
}

static bool
pays(const ShareWork *w, const char *sql)
{
	double		alone = 0;

	for (int i = 0; i < w->n; i++)
		alone += statement_cost(gr_sql_fast(w->group[i], w->plans[i], w->schema));
	return statement_cost(sql) < alone;
}

/* One scan for the group; with the rights of its owner. */
static void
scan_group(void *arg)
{
	ShareWork  *w = arg;
	char	   *sql = gr_sql_shared(w->group, w->plans, w->n, w->schema);
	OwnerContext saved;
	MemoryContext old;
	char	   *snapshot;
	List	   *found = NIL;
	int64	   *last = palloc(sizeof(int64) * w->n);

	for (int i = 0; i < w->n; i++)
		last[i] = last_check(w->function, w->group[i]->id);
	gr_owner_enter(&saved, w->group[0]->owner);
	gr_set_local("lock_timeout", LOCK_TIMEOUT);
	gr_set_workers(w->workers);
	if (!pays(w, sql))
	{
		gr_owner_leave(&saved);
		return;
	}
	gr_spi_query("SELECT pg_catalog.pg_current_snapshot()", true, 0, NULL);
	snapshot = MemoryContextStrdup(w->context, gr_spi_text(0, 1));
	gr_spi_query(sql, true, 0, NULL);
	old = MemoryContextSwitchTo(w->context);
	for (int i = 0; i < w->n; i++)
	{
		Shared	   *s = palloc0(sizeof(Shared));
		bool		null;
		Datum		d = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, i + 1, &null);

		s->id = w->group[i]->id;
		s->sql = gr_sql_fast(w->group[i], w->plans[i], w->schema);
		s->snapshot = snapshot;
		s->last_check = last[i];
		s->c = null ? gr_collection_make(w->plans[i]->spec, 0) :
			gr_collection_decode(DatumGetByteaPP(d), w->plans[i]->spec);
		found = lappend(found, s);
	}
	w->found = list_concat(w->found, found);
	MemoryContextSwitchTo(old);
	gr_owner_leave(&saved);
}

static bool
share_relation(const Experiment *a, const Experiment *b)
{
	return a->events == b->events && a->owner == b->owner &&
		strcmp(a->experiment_column, b->experiment_column) == 0;
}

/* Take a group out of the n that are left; the number in it. */
static int
take_group(ShareWork *w, Experiment **e, ScanPlan **plan, int n)
{
	Experiment *first = NULL;

	w->n = 0;
	for (int i = 0; i < n && w->n < MOST_SHARED; i++)
	{
		if (e[i] == NULL || (first && !share_relation(first, e[i])))
			continue;
		first = e[i];
		w->group[w->n] = e[i];
		w->plans[w->n++] = plan[i];
		e[i] = NULL;
	}
	return w->n;
}

List *
gr_share_scans(Oid function, char *const *ids, int n, MemoryContext context)
{
	ShareWork	w = {.function = function,.schema = gr_schema_of_function(function),.context = context};
	Experiment **e = palloc0(sizeof(Experiment *) * Max(n, 1));
	ScanPlan  **plan = palloc0(sizeof(ScanPlan *) * Max(n, 1));
	List	   *locks = gr_session_locks();
	/* an expression that sleeps takes its time once more in a check of its own */
	int			timeout = guardrail_check_timeout ? Max(1, guardrail_check_timeout / 2) : 0;

	w.group = palloc(sizeof(Experiment *) * MOST_SHARED);
	w.plans = palloc(sizeof(ScanPlan *) * MOST_SHARED);
	for (int i = 0; i < n; i++)
	{
		CHECK_FOR_INTERRUPTS();
		w.id = ids[i];
		w.plan = NULL;
		/* one that fails fails again by itself, and is recorded then */
		if (gr_attempt_within(timeout, prepare_one, &w) == NULL && w.plan)
		{
			e[i] = w.e;
			plan[i] = w.plan;
		}
	}
	PushActiveSnapshot(GetLatestSnapshot());
	gr_require_own_functions(w.schema);
	while (take_group(&w, e, plan, n) > 0)
		if (w.n > 1)
		{
			ErrorData  *error;

			w.workers = gr_useful_workers();
			error = gr_attempt_within(timeout, scan_group, &w);
			if (error && w.workers > 0 && gr_may_work_alone(error))
			{
				w.workers = 0;
				error = gr_attempt_within(timeout, scan_group, &w);
			}
			if (error)
				ereport(DEBUG1,
						(errmsg_internal("no shared scan of %d experiments: %s", w.n, error->message)));
		}
	PopActiveSnapshot();
	gr_restore_session_locks(locks);
	return w.found;
}

const Shared *
gr_shared_find(const List *shared, Oid function, const char *id)
{
	ListCell   *cell;

	foreach(cell, shared)
	{
		const Shared *s = lfirst(cell);

		if (strcmp(s->id, id) == 0)
			return last_check(function, id) == s->last_check ? s : NULL;
	}
	return NULL;
}
