/*
 * rebuild.c
 *	  guardrail_rebuild: compute slices again from the events.
 *
 * Events that came late, were changed or deleted are mended so.  Of a range, the
 * slices that overlap it are computed again, each whole.  A slice holds the
 * histograms of events as differences that depend on all others; so when a rule
 * has a quantile over events, everything is computed again.
 */
#include "slice/stored.h"

#include "access/xact.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/memutils.h"
#include "utils/snapmgr.h"

PG_FUNCTION_INFO_V1(guardrail_rebuild);

/* Argument i as the cursor's type writes it; NULL: none. */
static char *
cursor_argument(FunctionCallInfo fcinfo, const Stored *s, int i, const char *name)
{
	char	   *text;
	OwnerContext saved;
	const char *args[1];

	if (PG_ARGISNULL(i))
		return NULL;
	args[0] = gr_arg_text(fcinfo, i, name);
	gr_owner_enter(&saved, s->e->owner);
	gr_spi_query(psprintf("SELECT $1::%s::text", s->cursor->type), true, 1, args);
	text = gr_spi_text(0, 1);
	gr_owner_leave(&saved);
	return text;
}

static bool
overlaps(const Stored *s, const Run *run, const char *from, const char *to)
{
	const char *args[] = {run->from, run->to, from, to};
	const char *type = s->cursor->type;
	OwnerContext saved;
	bool		result;

	gr_owner_enter(&saved, s->e->owner);
	gr_spi_query(psprintf("SELECT COALESCE($2::%s >= $3::%s, true) AND COALESCE($1::%s < $4::%s, true)",
						  type, type, type, type), true, 4, args);
	result = gr_spi_bool(0, 1);
	gr_owner_leave(&saved);
	return result;
}

/* False: its units do not fit, though they did in pieces. */
static bool
rebuild_slice(Stored *s, Run *run)
{
	MemoryContext here = CurrentMemoryContext;
	MemoryContext work = AllocSetContextCreate(here, "slice", ALLOCSET_DEFAULT_SIZES);
	char	   *range = gr_cursor_range(s->cursor, run->from, run->to);
	Units	   *units;
	Head	   *head;
	bool		fits;

	MemoryContextSwitchTo(work);
	fits = gr_slice_scan(s, range, work, &units);
	if (fits)
	{
		(void) gr_slice_fold(s, NULL, 0, units, range, false, &head, work);
		gr_slice_replace(s, run, units, head);
	}
	MemoryContextSwitchTo(here);
	MemoryContextDelete(work);
	return fits;
}

/* The slices that overlap a range; -1 when all must be computed again. */
static int64
rebuild_range(Stored *s, const char *from, const char *to)
{
	int64		n = 0;

	if (s->spec->nlists > 0 || !s->known || s->misfit || s->stored_fingerprint != s->fingerprint)
		return -1;
	for (int i = 0; i < s->nruns; i++)
	{
		if (!overlaps(s, &s->runs[i], from, to))
			continue;
		if (!rebuild_slice(s, &s->runs[i]))
			return -1;
		n++;
	}
	gr_totals_renew(s);
	/* where there was no event yet, there may be one now */
	s->position = s->nruns > 0 ? s->runs[s->nruns - 1].to : NULL;
	gr_stored_save(s);
	gr_stored_see_writes();
	return n;
}

static int64
rebuild(FunctionCallInfo fcinfo, Stored *s)
{
	char	   *from = cursor_argument(fcinfo, s, 1, "from_cursor");
	char	   *to = cursor_argument(fcinfo, s, 2, "to_cursor");
	char	   *upper;
	bool		reset;
	int64		n = -1;

	PushCopiedSnapshot(GetLatestSnapshot());
	if (from || to)
		n = rebuild_range(s, from, to);
	PopActiveSnapshot();
	if (n >= 0)
		return n;
	gr_stored_drop(s);
	PushActiveSnapshot(GetLatestSnapshot());
	upper = gr_cursor_upper(s, &reset);
	PopActiveSnapshot();
	PushCopiedSnapshot(GetLatestSnapshot());
	if (upper)
	{
		Collection *c = NULL;

		if (gr_slice_store(s, upper, false, &c, CurrentMemoryContext) == GR_NO_AGREEMENT)
			gr_slice_corrupt("The slices do not agree with the events that they were just made from.");
		gr_totals_mend(s);
		gr_stored_save(s);
	}
	PopActiveSnapshot();
	return s->nruns;
}

/* guardrail_rebuild(experiment, from_cursor, to_cursor): how many slices */
Datum
guardrail_rebuild(PG_FUNCTION_ARGS)
{
	char	   *schema = gr_schema_of(fcinfo);
	char	   *id = gr_arg_text(fcinfo, 0, "experiment");
	const char *args[] = {id};
	OwnerContext saved;
	int64		n;

	if (IsolationUsesXactSnapshot())
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("guardrail_rebuild must run in a READ COMMITTED transaction"),
				 errhint("Start a READ COMMITTED transaction: guardrail_rebuild must see what the last check stored.")));
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	gr_require_ownership(gr_experiment_load(schema, id, CurrentMemoryContext));
	/* no check meanwhile; then read what the last one has stored */
	gr_writer_enter(&saved, fcinfo->flinfo->fn_oid);
	gr_spi_query(psprintf("SELECT 1 FROM %s.guardrail_experiment WHERE experiment_id = $1"
						  " FOR NO KEY UPDATE", schema), false, 1, args);
	gr_owner_leave(&saved);
	PushActiveSnapshot(GetLatestSnapshot());
	n = rebuild(fcinfo, gr_stored_open(gr_experiment_load(schema, id, CurrentMemoryContext),
									   fcinfo->flinfo->fn_oid));
	PopActiveSnapshot();
	SPI_finish();
	PG_RETURN_INT64(n);
}
