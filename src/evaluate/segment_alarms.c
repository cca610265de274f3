/*
 * segment_alarms.c
 *	  The units of each segment, and the alarms that earlier checks raised in them.
 *
 * An alarm stands under the sequential designs, also where its segment has no units
 * now.  Segments come out by expression, then value, NULL last.
 */
#include "evaluate/segment.h"

#include "executor/spi.h"

static Segment *
find_segment(Segments *s, const char *expression, const char *value)
{
	for (int i = 0; i < s->n; i++)
	{
		const SegmentData *d = &s->segment[i].data;

		if (d->why == NULL && strcmp(s->segment[i].expression, expression) == 0 &&
			(d->value == NULL ? value == NULL : value && strcmp(d->value, value) == 0))
			return &s->segment[i];
	}
	return NULL;
}

/* One that an alarm was raised in, and that has no units now. */
static Segment *
add_segment(Segments *s, const Evaluation *v, const char *expression, const char *value)
{
	for (int k = 0; k < v->e->nsegments; k++)
		if (strcmp(v->e->segments[k], expression) == 0)
		{
			Segment    *added = &s->segment[s->n++];

			added->data = (SegmentData) {k, value ? pstrdup(value) : NULL,
			gr_collection_make(v->plan->spec, 0), NULL};
			added->expression = v->e->segments[k];
			added->past = palloc0(sizeof(Past));
			return added;
		}
	return NULL;
}

/* Alarms of the last check of the same plan that has any rows of segments: they stand. */
static void
load_alarms(Evaluation *v, const char *schema)
{
	const char *args[] = {v->e->id, psprintf("%d", v->e->plan_version), v->e->launched_at};
	Segments   *s = v->segments;
	OwnerContext saved;
	int			n;

	gr_writer_enter(&saved, v->e->function);
	gr_spi_query(psprintf("SELECT segment, value, variant, metric, fingerprint FROM %s.guardrail_segment_log"
						  " WHERE experiment_id = $1 AND status = 'BREACHED' AND variant IS NOT NULL"
						  " AND metric IS NOT NULL AND segment IS NOT NULL AND check_id = ("
						  "SELECT max(check_id) FROM %s.guardrail_segment_log WHERE experiment_id = $1"
						  " AND plan_version = $2::integer AND checked_at >= $3::timestamptz) ORDER BY row_no",
						  schema, schema), true, 3, args);
	gr_owner_leave(&saved);
	n = (int) SPI_processed;
	s->segment = repalloc_huge(s->segment, sizeof(Segment) * (s->n + n + 1));
	memset(s->segment + s->n, 0, sizeof(Segment) * (n + 1));
	for (int i = 0; i < n; i++)
	{
		char	   *expression = gr_spi_text(i, 1);
		char	   *value = gr_spi_text(i, 2);
		Segment    *segment = find_segment(s, expression, value);
		PastResult *alarm;

		if (segment == NULL)
			segment = add_segment(s, v, expression, value);
		if (segment == NULL)
			continue;
		if (segment->past->results == NULL)
			segment->past->results = palloc0(sizeof(PastResult) * n);
		alarm = &segment->past->results[segment->past->nresults++];
		alarm->variant = gr_spi_text(i, 3);
		alarm->metric = gr_spi_text(i, 4);
		alarm->breached = true;
		alarm->fingerprint = gr_spi_int8(i, 5, 0);
	}
}

/* By expression; a reason why not first, NULL last. */
static int
compare_segments(const void *a, const void *b)
{
	const SegmentData *x = &((const Segment *) a)->data;
	const SegmentData *y = &((const Segment *) b)->data;

	if (x->expression != y->expression)
		return x->expression < y->expression ? -1 : 1;
	if ((x->why == NULL) != (y->why == NULL))
		return x->why ? -1 : 1;
	if (x->value == NULL || y->value == NULL)
		return (x->value == NULL) - (y->value == NULL);
	return strcmp(x->value, y->value);
}

void
gr_segments_collect(Evaluation *v, const char *schema, MemoryContext context)
{
	SegmentScan *scan = gr_collect_segments(v->e, v->plan, schema, context);
	Segments   *s = palloc0(sizeof(Segments));

	v->c = scan->whole;
	v->segments = s;
	s->segment = palloc0(sizeof(Segment) * Max(scan->n, 1));
	s->n = scan->n;
	for (int i = 0; i < s->n; i++)
	{
		s->segment[i].data = scan->segment[i];
		s->segment[i].expression = v->e->segments[scan->segment[i].expression];
		s->segment[i].past = palloc0(sizeof(Past));
	}
	if (v->e->plan_version > 0 && !gr_design_of(v->e->monitoring)->once)
		load_alarms(v, schema);
	qsort(s->segment, s->n, sizeof(Segment), compare_segments);
}
