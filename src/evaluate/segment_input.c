/*
 * segment_input.c
 *	  The stored segments of a check, back into an evaluation.
 *
 * Only checks in which segments count stored any (record/input.c).
 */
#include "evaluate/input.h"
#include "evaluate/segment.h"

#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/builtins.h"

void
gr_segment_checksum(GrChecksum *c, int64 expression, const char *value, const char *why, const bytea *collection,
			const bytea *past)
{
	gr_checksum_int(c, expression);
	gr_checksum_text(c, value);
	gr_checksum_text(c, why);
	gr_checksum_bytea(c, collection);
	gr_checksum_bytea(c, past);
}

static bytea *
bytes(int row, int column)
{
	bool		null;
	Datum		d = SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &null);

	return null ? NULL : DatumGetByteaPP(d);
}

/* What is stored, in its order. */
static void
query_segments(const char *schema, int64 check_id)
{
	const char *args[] = {psprintf(INT64_FORMAT, check_id)};

	gr_spi_query(psprintf("SELECT expression::bigint, value::text, why::text, collection::bytea, past::bytea"
						  " FROM %s.guardrail_segment_input WHERE check_id = $1::bigint ORDER BY segment_no", schema),
				 true, 1, args);
}

void
gr_segments_checksum(const char *schema, int64 check_id, GrChecksum *c)
{
	query_segments(schema, check_id);
	for (int i = 0; i < (int) SPI_processed; i++)
	{
		CHECK_FOR_INTERRUPTS();
		gr_segment_checksum(c, gr_spi_int8(i, 1, -1), gr_spi_text(i, 2), gr_spi_text(i, 3), bytes(i, 4), bytes(i, 5));
	}
}

void
gr_segments_restore(Evaluation *v, const char *schema, int64 check_id)
{
	Segments   *s;

	if (v->e->nsegments == 0)
		return;
	query_segments(schema, check_id);
	if (SPI_processed == 0)
		return;
	s = v->segments = palloc0(sizeof(Segments));
	s->n = (int) SPI_processed;
	s->segment = palloc0(sizeof(Segment) * s->n);
	for (int i = 0; i < s->n; i++)
	{
		Segment    *segment = &s->segment[i];
		int			k = (int) gr_spi_int8(i, 1, -1);
		bytea	   *collection = bytes(i, 4);
		bytea	   *past = bytes(i, 5);

		CHECK_FOR_INTERRUPTS();
		segment->data.why = gr_spi_text(i, 3);
		if (k < 0 || k >= v->e->nsegments || (collection == NULL) != (segment->data.why != NULL) || past == NULL)
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("stored segments of experiment \"%s\" do not match version %d of its plan",
							v->e->id, v->e->plan_version),
					 errhint("Restore guardrail_segment_input from a backup.")));
		segment->data.expression = k;
		segment->expression = v->e->segments[k];
		segment->data.value = gr_spi_text(i, 2);
		if (collection)
			segment->data.c = gr_collection_decode(collection, v->plan->spec);
		segment->past = gr_past_decode(past);
	}
}
