/*
 * source.c
 *	  Where a collection comes from: one row per source, the first that serves is taken.
 *
 * All sources give the same collection to the bit.  A new way to read events is a new
 * row here; nothing else asks which one it was.
 */
#include "evaluate/source.h"
#include "evaluate/segment.h"
#include "slice/slice.h"

#include "utils/builtins.h"

/* ---- a scan that was made for several experiments -------------------------------- */

static bool
shared_serves(const Evaluation *v, const SourceRequest *request)
{
	return request->shared && v->e->nsegments == 0 &&
		strcmp(request->shared->sql, gr_sql_fast(v->e, v->plan, request->schema)) == 0;
}

static void
shared_collect(Evaluation *v, const SourceRequest *request)
{
	v->c = request->shared->c;
	v->snapshot = request->shared->snapshot;
}

/* ---- the experiment and its segments ---------------------------------------------- */

static bool
segments_serve(const Evaluation *v, const SourceRequest *request)
{
	return v->e->nsegments > 0;
}

static void
segments_collect(Evaluation *v, const SourceRequest *request)
{
	gr_segments_collect(v, request->schema, request->context);
}

static char *
segments_statement(const Experiment *e, const ScanPlan *plan, const char *schema)
{
	return gr_fast_shape_fits(plan) ? gr_sql_segments(e, plan, schema) : gr_sql_two_level(e, plan, schema);
}

/* ---- stored slices ----------------------------------------------------------------- */

static bool
slices_serve(const Evaluation *v, const SourceRequest *request)
{
	return gr_slices_serve(v->e, v->plan);
}

static void
slices_collect(Evaluation *v, const SourceRequest *request)
{
	v->c = gr_collect_stored(v->e, v->plan, v->e->function, request->recorded, request->context,
							 &v->rows_read);
}

static const char *
slices_remark(const Evaluation *v)
{
	return psprintf("Of events that are stored in slices it is not run again: it reads those with a greater %s",
					quote_identifier(v->e->cursor_column));
}

/* ---- a statement of its own -------------------------------------------------------- */

static bool
fast_serves(const Evaluation *v, const SourceRequest *request)
{
	return gr_fast_shape_fits(v->plan);
}

static bool
two_level_serves(const Evaluation *v, const SourceRequest *request)
{
	return true;
}

static void
statement_collect(Evaluation *v, const SourceRequest *request)
{
	if (v->e->cursor_column && request->recorded && !gr_fast_shape_fits(v->plan))
		ereport(NOTICE,
				(errmsg("experiment \"%s\" has too many expressions to store slices, so its checks read all events", v->e->id)));
	v->c = gr_collect(v->e, v->plan, request->schema, request->context);
}

static const Source sources[] = {
	{shared_serves, shared_collect, gr_sql_fast, NULL},
	{segments_serve, segments_collect, segments_statement, NULL},
	{slices_serve, slices_collect, gr_sql_fast, slices_remark},
	{fast_serves, statement_collect, gr_sql_fast, NULL},
	{two_level_serves, statement_collect, gr_sql_two_level, NULL}
};

/* Rows that a scan of all of the experiment's has read; with exposures some of them are no events. */
static int64
rows_of(const Evaluation *v)
{
	int64		rows = v->c->null_unit_rows + v->c->unknown_arm_rows;

	if (!gr_rows_are_events(v->e))
		return -1;
	for (int a = 0; a < v->c->narms; a++)
		for (int b = 0; b < GR_BATCHES; b++)
			rows += v->c->arms[a].counts.rows[b];
	return rows;
}

void
gr_source_collect(Evaluation *v, const SourceRequest *request)
{
	for (int i = 0; i < (int) lengthof(sources); i++)
		if (sources[i].serves(v, request))
		{
			v->source = &sources[i];
			v->rows_read = -1;
			sources[i].collect(v, request);
			if (v->rows_read < 0)
				v->rows_read = rows_of(v);
			return;
		}
}
