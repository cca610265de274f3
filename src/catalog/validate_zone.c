/*
 * validate_zone.c
 *	  Columns of type timestamp and date: which times do they hold?
 *
 * Everything of an experiment is read in UTC (base/owner.c), so such a column is too.
 * Whoever fills it with the time on a wall elsewhere is told when the experiment or the
 * rule is written, as far as the zone matters: beside starts_at and ends_at, exposures,
 * and windows, which close by the time of the check.
 */
#include "catalog/validate.h"

#include "catalog/expression.h"
#include "catalog/pg_type.h"
#include "utils/guc.h"

static bool
lacks_zone(Oid relation, const char *column)
{
	Oid			type = column && OidIsValid(relation) ? gr_column_type(relation, column) : InvalidOid;

	return type == TIMESTAMPOID || type == DATEOID;
}

/* "column \"at\" of public.ev (timestamp)" */
static char *
describe(Oid relation, const char *column)
{
	return psprintf("column \"%s\" of %s (%s)", column, gr_relation_name(relation),
					gr_column_type(relation, column) == DATEOID ? "date" : "timestamp without time zone");
}

char *
gr_columns_without_zone(Oid events, const char *time_column, Oid exposures, const char *exposed_at_column)
{
	bool		of_events = lacks_zone(events, time_column);
	bool		of_exposures = lacks_zone(exposures, exposed_at_column);

	if (of_events && of_exposures)
		return psprintf("%s and %s", describe(events, time_column), describe(exposures, exposed_at_column));
	return of_events ? describe(events, time_column) : of_exposures ? describe(exposures, exposed_at_column) : NULL;
}

static void
note(const char *columns)
{
	if (columns)
		ereport(NOTICE,
				(errmsg("guardrail reads %s as UTC", columns),
				 errhint("If the values are local times, let the events be a view that converts them, for example with at AT TIME ZONE 'Europe/Berlin'.")));
}

void
gr_note_zone(const Row *row, Oid events, Oid exposures)
{
	static const char *const columns[] = {"events", "time_column", "exposures", "exposed_at_column", "starts_at", "ends_at", NULL};

	/* at the first of them that matters, and not again for each column that follows */
	if (!check_function_bodies || !gr_row_changed(row, columns) ||
		!(OidIsValid(exposures) || gr_row_text(row, "starts_at") || gr_row_text(row, "ends_at")))
		return;
	note(gr_columns_without_zone(events, gr_row_text(row, "time_column"), exposures, gr_row_text(row, "exposed_at_column")));
}

void
gr_note_zone_of_rule(const Row *row, const Experiment *e)
{
	static const char *const columns[] = {"window_length", "retention_day", NULL};

	if (!gr_row_changed(row, columns) || !(gr_row_text(row, "window_length") || gr_row_text(row, "retention_day")))
		return;
	/* the experiment has said it already */
	if (OidIsValid(e->exposures) || e->starts_at || e->ends_at)
		return;
	note(gr_columns_without_zone(e->events, e->time_column, e->exposures, e->exposed_at_column));
}
