/*
 * validate_segment.c
 *	  The triggers that refuse segments that cannot be judged.
 *
 * They come after the checks of the rows themselves (validate.c, validate_rule.c), by
 * name.  As those they look at no events in a restore.
 */
#include "catalog/validate.h"

#include "catalog/pg_type.h"
#include "commands/trigger.h"
#include "executor/spi.h"
#include "catalog/expression.h"
#include "utils/array.h"
#include "utils/guc.h"
#include "utils/rel.h"

PG_FUNCTION_INFO_V1(guardrail_segment_check);

static void
check_rule(const Row *row)
{
	if (!gr_row_is(row, "segment_veto", "t"))
		return;
	if (!gr_row_is(row, "role", "guardrail") || !gr_row_is(row, "severity", "block"))
		gr_refuse(row, "segment_veto", "Leave it NULL or false: only rules of role \"guardrail\" and severity \"block\" use it.");
	if (gr_row_is(row, "evidence", "point"))
		gr_refuse(row, "segment_veto", "Set evidence to \"breach\" or \"safe\": a veto in one segment of many needs an error rate, "
				  "and \"point\" has none.");
}

/* The array's form; its elements. */
static char **
check_form(const Row *row, ArrayType *array, int *n)
{
	const char *hint = psprintf("Set it to 1 to %d different SQL expressions over the columns of the events, "
								"such as ARRAY['device', 'country'], or leave it NULL.", GR_MAX_SEGMENTS);
	Datum	   *elements;
	bool	   *nulls;
	char	  **texts;

	if (ARR_NDIM(array) != 1)
		gr_refuse(row, "segments", hint);
	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &elements, &nulls, n);
	if (*n > GR_MAX_SEGMENTS)
		gr_refuse(row, "segments", hint);
	texts = palloc(sizeof(char *) * *n);
	for (int i = 0; i < *n; i++)
	{
		if (nulls[i])
			gr_refuse(row, "segments", hint);
		texts[i] = TextDatumGetCString(elements[i]);
		for (int k = 0; k < i; k++)
			if (strcmp(texts[i], texts[k]) == 0)
				gr_refuse(row, "segments", hint);
	}
	return texts;
}

static void
check_experiment(const Row *row)
{
	bool		null;
	Datum		segments = gr_row_datum(row, "segments", &null);
	Oid			owner,
				events;
	OwnerContext saved;
	char	  **texts;
	int			n;

	if (null)
		return;
	texts = check_form(row, DatumGetArrayTypeP(segments), &n);
	if (gr_row_text(row, "cursor_column"))
		gr_refuse_beside(row, "cursor_column", "segments",
						 "Leave one of them NULL: every check collects the segments from the events themselves.");
	if (gr_row_text(row, "exposures"))
		gr_refuse_beside(row, "exposures", "segments",
						 "Leave one of them NULL: an exposed unit without events belongs to no segment.");
	owner = DatumGetObjectId(gr_row_datum(row, "owner", &null));
	events = DatumGetObjectId(gr_row_datum(row, "events", &null));
	gr_owner_enter(&saved, owner);
	for (int i = 0; i < n; i++)
		gr_segment_check(events, texts[i], gr_row_text(row, "experiment_id"));
	gr_owner_leave(&saved);
}

/* guardrail_segment_check(): of guardrail_experiment and of guardrail_rule */
Datum
guardrail_segment_check(PG_FUNCTION_ARGS)
{
	bool		rule = CALLED_AS_TRIGGER(fcinfo) &&
		strcmp(RelationGetRelationName(((TriggerData *) fcinfo->context)->tg_relation), "guardrail_rule") == 0;
	Row			row = gr_trigger_row(fcinfo, rule ? "rule" : "experiment", rule ? "metric" : "experiment_id");

	if (gr_writing == GR_WRITING_LIFECYCLE || !check_function_bodies)
		PG_RETURN_POINTER(row.tuple);
	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	if (rule)
		check_rule(&row);
	else
		check_experiment(&row);
	SPI_finish();
	PG_RETURN_POINTER(row.tuple);
}
