/*
 * validate.c
 *	  Triggers that refuse what cannot be followed or stored, when it is written.
 *
 * They come after those of src/catalog, which have seen that the columns are there
 * and that the expressions are good.  As those they look at no events in a restore.
 */
#include "slice/stored.h"

#include "catalog/validate.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "utils/guc.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(guardrail_slice_check);

/* A value that changes by itself is not what was stored. */
static void
check_clock(Oid owner, Oid events, const char *metric, const char *column, const char *text)
{
	OwnerContext saved;
	bool		found;

	if (text == NULL)
		return;
	gr_owner_enter(&saved, owner);
	found = gr_expression_reads_clock(events, text);
	gr_owner_leave(&saved);
	if (found)
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("column \"%s\" of rule \"%s\" holds \"%s\", which depends on the time of the check",
						column, metric, text),
				 errhint("Compare with columns of the event, or leave cursor_column NULL: "
						 "with cursor_column, guardrail computes each event once and stores the result.")));
}

/* Columns of a rule that can ask for it. */
static const char *const unbounded[] = {"window_length", "retention_day", "kind"};

/* Why a rule cannot be followed with bounded state; NULL: it can. */
static const char *
unfollowed(const GrKind *kind, bool has_window)
{
	if (has_window)
		return "guardrail must read all events of a unit to find when it was exposed";
	return kind ? kind->unfollowed : NULL;
}

static const char *const expressions[] = {"value", "denominator", "filter", "covariate"};

static void
check_rule(const Row *row, const char *schema)
{
	const char *args[] = {gr_row_text(row, "experiment_id")};
	Oid			owner,
				events;

	gr_spi_query(psprintf("SELECT owner::oid::bigint, events::oid::bigint FROM %s.guardrail_experiment"
						  " WHERE experiment_id = $1 AND cursor_column IS NOT NULL", schema), true, 1, args);
	if (SPI_processed == 0)
		return;
	for (int k = 0; k < (int) lengthof(unbounded); k++)
	{
		bool		window = strcmp(unbounded[k], "kind") != 0;
		const char *why = gr_row_text(row, unbounded[k]) ?
			unfollowed(gr_kind_named(gr_row_text(row, "kind")), window) : NULL;

		if (why)
			gr_refuse_beside(row, unbounded[k], "the experiment's cursor_column",
							 psprintf("Leave cursor_column NULL: %s.", why));
	}
	owner = (Oid) gr_spi_int8(0, 1, 0);
	events = (Oid) gr_spi_int8(0, 2, 0);
	for (int k = 0; k < (int) lengthof(expressions); k++)
		check_clock(owner, events, gr_row_text(row, "metric"), expressions[k],
					gr_row_text(row, expressions[k]));
}

/* The rules that the experiment has already. */
static void
check_rules(const Row *row, const char *schema, Oid owner, Oid events)
{
	const char *args[] = {gr_row_text(row, "experiment_id")};
	int			n;
	char	 *(*cell)[lengthof(expressions) + 1];

	gr_spi_query(psprintf("SELECT metric, kind, COALESCE(window_length::text, retention_day::text) FROM %s.guardrail_rule"
						  " WHERE experiment_id = $1 ORDER BY metric COLLATE \"C\"", schema), true, 1, args);
	for (uint64 i = 0; i < SPI_processed; i++)
	{
		const char *why = unfollowed(gr_kind_named(gr_spi_text(i, 2)), gr_spi_text(i, 3) != NULL);

		if (why)
			gr_refuse_beside(row, "cursor_column", psprintf("rule \"%s\"", gr_spi_text(i, 1)),
							 psprintf("Leave cursor_column NULL: %s.", why));
	}
	gr_spi_query(psprintf("SELECT metric, value, denominator, filter, covariate FROM %s.guardrail_rule"
						  " WHERE experiment_id = $1", schema), true, 1, args);
	n = (int) SPI_processed;
	cell = palloc(sizeof(*cell) * Max(n, 1));
	for (int i = 0; i < n; i++)
		for (int k = 0; k <= (int) lengthof(expressions); k++)
			cell[i][k] = gr_spi_text(i, k + 1);
	for (int i = 0; i < n; i++)
		for (int k = 0; k < (int) lengthof(expressions); k++)
			check_clock(owner, events, cell[i][0], expressions[k], cell[i][k + 1]);
}

static void
check_experiment(const Row *row, const char *schema)
{
	char	   *column = gr_row_text(row, "cursor_column");
	char	   *id = gr_row_text(row, "experiment_id");
	bool		null;
	Oid			owner = DatumGetObjectId(gr_row_datum(row, "owner", &null));
	Oid			events = DatumGetObjectId(gr_row_datum(row, "events", &null));
	Cursor	   *c;

	if (column == NULL)
		return;
	if (gr_row_text(row, "exposures"))
		gr_refuse_beside(row, "cursor_column", "exposures",
						 "Leave one of them NULL: every check reads the whole table of exposures.");
	c = gr_cursor_open(events, gr_row_text(row, "experiment_column"), column, id);
	if (!c->leads_index && !c->follows_index)
		ereport(NOTICE,
				(errmsg("no index on %s begins with \"%s\", so every check scans all events of experiment \"%s\"",
						gr_relation_name(events), column, id),
				 errhint("Run CREATE INDEX ON %s (%s).", gr_relation_name(events), c->column)));
	check_rules(row, schema, owner, events);
}

/* guardrail_slice_check(): of guardrail_experiment and of guardrail_rule */
Datum
guardrail_slice_check(PG_FUNCTION_ARGS)
{
	const char *kind = CALLED_AS_TRIGGER(fcinfo) &&
		strcmp(RelationGetRelationName(((TriggerData *) fcinfo->context)->tg_relation), "guardrail_rule") == 0 ?
		"rule" : "experiment";
	bool		rule = strcmp(kind, "rule") == 0;
	Row			row = gr_trigger_row(fcinfo, kind, rule ? "metric" : "experiment_id");
	char	   *schema = gr_schema_of(fcinfo);

	if (gr_writing == GR_WRITING_LIFECYCLE || !check_function_bodies)
		PG_RETURN_POINTER(row.tuple);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (rule)
		check_rule(&row, schema);
	else
		check_experiment(&row, schema);
	SPI_finish();
	PG_RETURN_POINTER(row.tuple);
}
