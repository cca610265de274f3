/*
 * validate.c
 *	  Triggers that refuse a bad row of the catalog when it is written.
 *
 * Each error names the column, what it holds and, as a hint, what it may hold.
 * Plain domains (words, ranges) are CHECK constraints where a constraint says
 * enough; here is what needs to look at the events, at other columns, or needs a
 * hint.  Expressions are checked with the writer's rights.
 *
 * A restore writes rows of experiments that run: only the tables' owner and
 * superusers may write a state other than draft, and nobody changes it by
 * UPDATE (check/lifecycle.c does).  What was good when it was written may fit
 * the events no longer, or their table may be gone: pg_dump switches
 * check_function_bodies off, and then nothing is held against the events.  By
 * several processes (pg_restore -j) it may write the rules before their experiments.
 * What a mistake would be measured as in silence (limits of shares, time zones, relations
 * without rows) is let in by a restore alone, whatever that setting is.
 */
#include "catalog/validate.h"

#include <math.h>

#include "executor/spi.h"
#include "miscadmin.h"
#include "catalog/expression.h"
#include "utils/guc.h"
#include "utils/rel.h"
#include "utils/timestamp.h"

PG_FUNCTION_INFO_V1(guardrail_experiment_check);

static void
check_monitoring(const Row *row)
{
	char	   *monitoring = gr_row_text(row, "monitoring");
	const char *names[GR_DESIGNS + 1];
	bool		null;
	double		phi = DatumGetFloat8(gr_row_datum(row, "spending_phi", &null));

	gr_design_names(names);
	if (monitoring)
		gr_require_word(row, "monitoring", names);
	gr_require_word(row, "spending", gr_words_spending);
	if (!(phi > 0 && phi <= 10))
		gr_refuse(row, "spending_phi", "Set it to a number above 0 and up to 10.");
	if (phi != 1 && strcmp(gr_row_text(row, "spending"), "power") != 0)
		gr_refuse(row, "spending_phi", "Leave it at 1, or set spending to \"power\".");
	if (monitoring && gr_design_of((GrMonitoring) gr_design_named(monitoring))->has_looks &&
		gr_row_text(row, "planned_units") == NULL)
		gr_refuse(row, "planned_units", "Set it to the number of units you plan, or set monitoring to \"always_valid\": "
				  "\"group_sequential\" spends alpha over the planned units.");
}

/* Rules that have a window need the time of the event. */
static void
require_time_of_rules(const Row *row, const char *schema)
{
	const char *args[] = {gr_row_text(row, "experiment_id")};

	if (!row->update || gr_row_text(row, "time_column"))
		return;
	gr_spi_query(psprintf("SELECT 1 FROM %s.guardrail_rule WHERE experiment_id = $1"
						  " AND (window_length IS NOT NULL OR retention_day IS NOT NULL)", schema), true, 1, args);
	if (SPI_processed > 0)
		gr_refuse(row, "time_column", "Set it to the column with the time of the event: rules with window_length or retention_day need it.");
}

/* Numbers and times; the table's own constraints say the same without a hint. */
static void
check_numbers(const Row *row)
{
	bool		null;
	double		crossover = DatumGetFloat8(gr_row_datum(row, "max_crossover", &null));
	Datum		starts_at,
				ends_at;
	bool		no_start,
				no_end;

	gr_require_between(row, "srm_alpha", 0, 0.5);
	if (!null && !(crossover >= 0 && crossover <= 1))
		gr_refuse(row, "max_crossover", "Set it to a share between 0 and 1.");
	if (DatumGetInt64(gr_row_datum(row, "min_units", &null)) < 2 && !null)
		gr_refuse(row, "min_units", "Set it to a number of units of at least 2.");
	if (DatumGetInt64(gr_row_datum(row, "planned_units", &null)) < 1 && !null)
		gr_refuse(row, "planned_units", "Set it to a number of units of at least 1.");
	starts_at = gr_row_datum(row, "starts_at", &no_start);
	ends_at = gr_row_datum(row, "ends_at", &no_end);
	if (!(no_start && no_end) && gr_row_text(row, "time_column") == NULL)
		gr_refuse(row, "time_column", "Set it to the column with the time of the event: starts_at and ends_at need it.");
	if (!no_start && !no_end && DatumGetTimestampTz(ends_at) <= DatumGetTimestampTz(starts_at))
		gr_refuse(row, "ends_at", "Set it to a time after starts_at.");
}

static void
check_owner(const Row *row)
{
	bool		null,
				never;
	Oid			owner = DatumGetObjectId(gr_row_datum(row, "owner", &null));
	char	   *old = gr_row_old_text(row, "owner");

	/* its events are read with the owner's rights: not everyone says how */
	if (old)
	{
		Experiment	e = {.id = gr_row_text(row, "experiment_id")};

		e.owner = DatumGetObjectId(gr_row_old_datum(row, "owner", &never));
		gr_require_ownership(&e);
	}

	if (null)
		gr_refuse(row, "owner", "Set it to a role of which you are a member.");
	if (old && strcmp(old, gr_row_text(row, "owner")) == 0)
		return;
	gr_require_member(owner);
}

/* Columns that only functions change. */
static void
check_managed(const Row *row)
{
	static const char *const managed[] = {"state", "launched_at", "stopped_at",
	"plan_version", "plan_hash", NULL};

	if (gr_writing == GR_WRITING_LIFECYCLE)
		return;
	for (int i = 0; managed[i]; i++)
	{
		char	   *now = gr_row_text(row, managed[i]);
		char	   *before = gr_row_old_text(row, managed[i]);

		if (!row->update)
			before = strcmp(managed[i], "state") == 0 ? "draft" : NULL;
		if ((now == NULL) == (before == NULL) && (now == NULL || strcmp(now, before) == 0))
			continue;
		/* a restore by who owns the table */
		if (!row->update && gr_owns_table(row->relation))
			continue;
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("column \"%s\" of experiment \"%s\" can only be changed by functions",
						managed[i], gr_row_text(row, "experiment_id")),
				 errhint("Use guardrail_launch() or guardrail_stop().")));
	}
}

/* The expressions of an experiment's rules against other events. */
static void
recheck_rules(const Row *row, Oid events, const char *schema)
{
	const char *args[] = {gr_row_text(row, "experiment_id")};
	MemoryContext context = CurrentMemoryContext;
	bool		null;
	Oid			owner = DatumGetObjectId(gr_row_datum(row, "owner", &null));
	int			n;
	char	 *(*cell)[6];

	gr_spi_query(psprintf("SELECT metric, kind, value, denominator, filter, covariate FROM %s.guardrail_rule"
						  " WHERE experiment_id = $1", schema), true, 1, args);
	n = (int) SPI_processed;
	cell = MemoryContextAlloc(context, sizeof(*cell) * Max(n, 1));
	for (int i = 0; i < n; i++)
		for (int k = 0; k < 6; k++)
			cell[i][k] = gr_spi_text(i, k + 1);
	for (int i = 0; i < n; i++)
		gr_check_expressions(owner, events, cell[i][0], gr_kind_named(cell[i][1]), cell[i][2], cell[i][3], cell[i][4],
							 cell[i][5]);
}

Datum
guardrail_experiment_check(PG_FUNCTION_ARGS)
{
	static const char *const states[] = {"draft", "running", "stopped", NULL};
	Row			row = gr_trigger_row(fcinfo, "experiment", "experiment_id");
	char	   *schema = gr_schema_of(fcinfo);
	bool		null;
	Oid			events,
				exposures;
	char	   *old_events;

	check_managed(&row);
	if (gr_row_text(&row, "experiment_id") == NULL || gr_row_text(&row, "experiment_id")[0] == '\0')
		gr_refuse(&row, "experiment_id", "Set it to the name of the experiment, as written in the events.");
	events = DatumGetObjectId(gr_row_datum(&row, "events", &null));
	if (null)
		gr_refuse(&row, "events", "Set it to the table or view that contains the events.");
	if (gr_writing == GR_WRITING_LIFECYCLE)
		PG_RETURN_POINTER(row.tuple);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	check_owner(&row);
	exposures = DatumGetObjectId(gr_row_datum(&row, "exposures", &null));
	if (null)
		exposures = InvalidOid;
	if (null && gr_row_text(&row, "exposed_at_column") && !gr_row_is(&row, "exposed_at_column", "exposed_at"))
		gr_refuse(&row, "exposed_at_column", "Set exposures first, or leave this column at its default.");
	if (check_function_bodies)
		gr_check_columns(&row, events, exposures);
	gr_check_relations(&row, events, exposures);
	require_time_of_rules(&row, schema);
	if (check_function_bodies)
		gr_check_days_of_rules(&row, schema, events, exposures);
	check_monitoring(&row);
	gr_require_word(&row, "correction", gr_words_correction);
	gr_require_word(&row, "state", states);
	check_numbers(&row);
	gr_refuse_nulls(&row);
	gr_check_shares(&row);
	gr_check_parameter(&row);
	if (check_function_bodies)
		gr_check_names(&row, events, exposures);
	gr_note_zone(&row, events, exposures);
	old_events = gr_row_old_text(&row, "events");
	if (check_function_bodies && old_events && strcmp(old_events, gr_row_text(&row, "events")) != 0)
		recheck_rules(&row, events, schema);
	row.tuple = SPI_copytuple(row.tuple);
	SPI_finish();
	PG_RETURN_POINTER(row.tuple);
}
