/*
 * advance.c
 *	  Collecting with what is stored: read what is new, store it, fold all.
 *
 * A check stores the events up to a cursor that no writer can go below any more
 * (cursor.c) and reads what lies beyond as a live function does, so its answer is
 * that of a scan of all events in its snapshot.
 */
#include "slice/slice.h"
#include "slice/stored.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

/* The range in two halves. */
static StoreResult
store_halves(Stored *s, const char *to, bool fold, Collection **c, MemoryContext context)
{
	char	   *half = gr_cursor_between(s, s->position, to);
	StoreResult result;

	if (half == NULL)
	{
		ereport(NOTICE,
				(errmsg("events of experiment \"%s\" with the same cursor value need more than guardrail.unit_memory (%d kB)",
						s->e->id, guardrail_unit_memory),
				 errdetail("Events from this value on are not stored, and each check reads all events."),
				 errhint("Increase guardrail.unit_memory.")));
		return GR_NO_ROOM;
	}
	/* not all units once more for each piece: afterwards */
	if (s->nruns > 0 && s->spec->nlists == 0)
		s->totals = NULL;
	result = gr_slice_store(s, half, false, c, context);
	return result == GR_STORED ? gr_slice_store(s, to, fold, c, context) : result;
}

StoreResult
gr_slice_store(Stored *s, const char *to, bool fold, Collection **c, MemoryContext context)
{
	MemoryContext here = CurrentMemoryContext;
	MemoryContext work = AllocSetContextCreate(here, "new slice", ALLOCSET_DEFAULT_SIZES);
	char	   *range = gr_cursor_range(s->cursor, s->position, to);
	Head	   *delta = NULL;
	Units	   *units;
	StoreResult result = GR_STORED;

	if (!gr_slice_scan(s, range, work, &units))
	{
		MemoryContextDelete(work);
		return store_halves(s, to, fold, c, context);
	}
	s->rows_read += gr_units_rows(units);
	if (units)
	{
		MemoryContextSwitchTo(work);
		*c = gr_slice_fold_on(s, units, range, fold, &delta, context);
		MemoryContextSwitchTo(here);
		if (delta)
			gr_slice_append(s, units, delta, to);
		else
			result = GR_NO_AGREEMENT;
	}
	if (result == GR_STORED)
		s->position = MemoryContextStrdup(s->context, to);
	MemoryContextDelete(work);
	return result;
}

/* The events after a position. */
typedef struct Tail
{
	char	   *range;
	bool		fits;			/* in the memory setting */
	Units	   *units;			/* NULL: there is no event */
} Tail;

static Tail
read_tail(Stored *s, const char *position)
{
	Tail		tail = {.range = gr_cursor_range(s->cursor, position, NULL)};

	tail.fits = gr_slice_scan(s, tail.range, CurrentMemoryContext, &tail.units);
	return tail;
}

/* Stored slices and all events after them; NULL when they cannot be put together. */
static Collection *
read_on(Stored *s, const Tail *tail, MemoryContext context)
{
	Head	   *delta;

	s->rows_read += gr_units_rows(tail->units);
	return tail->fits ? gr_slice_fold_on(s, tail->units, tail->range, true, &delta, context) : NULL;
}

static void
start_again(Stored *s, const char *why)
{
	if (s->nruns > 0)
		ereport(NOTICE,
				(errmsg("stored slices of experiment \"%s\" are computed again because %s", s->e->id, why)));
	gr_stored_drop(s);
	s->rows_read = 0;
}

/* What does not fit is not believed. */
static void
warn(const Stored *s, bool recorded)
{
	ereport(WARNING,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("stored slices of experiment \"%s\" are incomplete or damaged and will not be used", s->e->id),
			 errdetail_internal("%s", s->misfit),
			 recorded ? errhint("No action is needed: this check reads all events of the experiment and stores them again.") :
			 errhint("Store the events again with CALL guardrail_check(); until then, every call reads all of them.")));
}

/*
 * Store the events up to a cursor.  True when they are stored to the last one and the
 * arms still have the numbers that they had.
 */
static bool
store_up_to(Stored *s, const char *upper, bool fold, Collection **c, MemoryContext context)
{
	StoreResult result = gr_slice_store(s, upper, fold, c, context);
	bool		disagree = (result == GR_NO_AGREEMENT);

	if (disagree)
	{
		start_again(s, "they do not agree with the events");
		*c = NULL;
		result = gr_slice_store(s, upper, fold, c, context);
		if (result == GR_NO_AGREEMENT)
			gr_slice_corrupt("The slices do not agree with the events that they were just made from.");
	}
	gr_totals_mend(s);
	gr_stored_save(s);
	gr_stored_see_writes();
	return result == GR_STORED && !disagree;
}

/* Store what is new, and collect: no event is read twice, unless what is stored is not what it was. */
static Collection *
catch_up(Stored *s, MemoryContext context)
{
	Collection *c = NULL;
	Tail		tail;
	bool		reset;
	char	   *upper;

	if (s->misfit)
		gr_stored_drop(s);
	else if (!s->known || s->stored_fingerprint != s->fingerprint)
		start_again(s, "its plan, its events or the types of their columns have changed");
	upper = gr_cursor_upper(s, &reset);
	if (reset)
		start_again(s, "events that were already read have been removed");
	PushCopiedSnapshot(GetLatestSnapshot());
	tail = read_tail(s, upper ? upper : s->position);
	/* nothing beyond: one pass over the units does for both */
	if (upper && !store_up_to(s, upper, tail.fits && tail.units == NULL, &c, context) && c == NULL)
		tail = read_tail(s, s->position);
	if (c == NULL)
		c = read_on(s, &tail, context);
	PopActiveSnapshot();
	return c;
}

/* What validate.c refuses is read anew, should it be there all the same. */
bool
gr_slices_serve(const Experiment *e, const ScanPlan *plan)
{
	if (e->cursor_column == NULL || !guardrail_use_slices)
		return false;
	for (int m = 0; m < plan->spec->nmetrics; m++)
		if (plan->spec->metrics[m].shape->observe_values)
			return false;
	return gr_rows_are_events(e) && gr_fast_shape_fits(plan);
}

/* What one attempt at the stored slices is about. */
typedef struct StoredWork
{
	const Experiment *e;
	const ScanPlan *plan;
	Oid			function;
	bool		recorded;
	MemoryContext context;
	const char *misfit;			/* known already */
	Collection *c;
	int64		rows_read;
} StoredWork;

static void
use_stored(void *arg)
{
	StoredWork *w = arg;
	Stored	   *s = gr_stored_load(w->e, w->plan, w->function);

	if (w->misfit)
		s->misfit = w->misfit;
	if (s->misfit)
		warn(s, w->recorded);
	s->cursor = gr_cursor_open(w->e->events, w->e->experiment_column, w->e->cursor_column, w->e->id);
	if (w->recorded)
		w->c = catch_up(s, w->context);
	else if (s->known && s->position && !s->misfit && s->stored_fingerprint == s->fingerprint)
	{
		Tail		tail = read_tail(s, s->position);

		w->c = read_on(s, &tail, w->context);
	}
	w->rows_read = s->rows_read;
}

Collection *
gr_collect_stored(const Experiment *e, const ScanPlan *plan, Oid function, bool recorded,
				  MemoryContext context, int64 *rows_read)
{
	char	   *schema = gr_schema_of_function(function);
	StoredWork	w = {e, plan, function, recorded, context, NULL, NULL, 0};
	ErrorData  *error;
	MemoryContext work,
				old;

	gr_require_own_functions(schema);
	work = AllocSetContextCreate(context, "guardrail slices", ALLOCSET_DEFAULT_SIZES);
	old = MemoryContextSwitchTo(work);
	error = gr_attempt(use_stored, &w);
	if (error && error->sqlerrcode != ERRCODE_DATA_CORRUPTED && error->sqlerrcode != ERRCODE_INDEX_CORRUPTED)
		ReThrowError(error);
	if (error)
	{
		/* damage is seen when a row is read, and then once more from the beginning */
		w.misfit = error->detail ? error->detail : error->message;
		w.c = NULL;
		use_stored(&w);
	}
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
	*rows_read = w.c ? w.rows_read : -1;
	return w.c ? w.c : gr_collect(e, plan, schema, context);
}
