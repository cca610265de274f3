/*
 * segment_rows.c
 *	  What readers see of segments: rows, notices, and the text of guardrail_explain.
 *
 * A row holds the columns of a result with those of the segment after the first
 * three; an expression that was not judged is one row without an arm.
 */
#include "evaluate/segment.h"

#include <math.h>

#include "catalog/pg_type.h"

/* Beside the columns of a result, after the first three of them. */
static const RowColumn segment_columns[] = {
	{"segment", TEXTOID}, {"value", TEXTOID}, {"segment_veto", BOOLOID},
	{"log_e", FLOAT8OID}, {"tests", INT4OID}
};

#define BEFORE 3
#define ADDED ((int) lengthof(segment_columns))

const RowColumn *
gr_segment_columns(int *n)
{
	RowColumn  *columns = palloc(sizeof(RowColumn) * GR_MAX_ROW);

	Assert(gr_result_ncolumns + ADDED <= GR_MAX_ROW);
	*n = gr_result_ncolumns + ADDED;
	memcpy(columns, gr_result_columns, sizeof(RowColumn) * BEFORE);
	memcpy(columns + BEFORE, segment_columns, sizeof(segment_columns));
	memcpy(columns + BEFORE + ADDED, gr_result_columns + BEFORE,
		   sizeof(RowColumn) * (gr_result_ncolumns - BEFORE));
	return columns;
}

static int
segment_cells(const Segment *segment)
{
	return segment->v ? segment->v->narms * segment->v->e->nrules : 1;
}

int
gr_segment_nrows(const Evaluation *v)
{
	int			n = 0;

	for (int i = 0; v->segments && i < v->segments->n; i++)
		n += segment_cells(&v->segments->segment[i]);
	return n;
}

/* An expression that was not judged: a row without an arm. */
static void
unjudged_row(const Evaluation *v, const Segment *segment, Datum *values, bool *nulls)
{
	int			n;
	const RowColumn *columns = gr_segment_columns(&n);

	memset(nulls, true, n);
	for (int i = 0; i < n; i++)
	{
		const char *text = strcmp(columns[i].name, "experiment_id") == 0 ? v->e->id :
			strcmp(columns[i].name, "segment") == 0 ? segment->expression :
			strcmp(columns[i].name, "status") == 0 ? gr_status_word(GR_NO_DATA) :
			strcmp(columns[i].name, "reason") == 0 ?
			psprintf("segment %s was not tested: %s", segment->expression, segment->data.why) : NULL;

		if (text)
			values[i] = CStringGetTextDatum(text);
		nulls[i] = (text == NULL);
	}
}

int
gr_segment_row(const Evaluation *v, int row, Datum *values, bool *nulls, int64 *fingerprint)
{
	const Segment *segment = v->segments->segment;
	const Experiment *e;
	Datum		all[GR_MAX_ROW];
	bool		all_nulls[GR_MAX_ROW];
	Datum		added[] = {0, 0, 0, 0, Int32GetDatum(v->segments->ntests)};
	int			rest = gr_result_ncolumns - BEFORE;

	while (row >= segment_cells(segment))
		row -= segment_cells(segment++);
	*fingerprint = 0;
	if (segment->v == NULL)
	{
		unjudged_row(v, segment, values, nulls);
		return -1;
	}
	e = segment->v->e;
	*fingerprint = e->rules[row % e->nrules].fingerprint;
	gr_result_row(segment->v, row / e->nrules, row % e->nrules, all, all_nulls);
	added[0] = CStringGetTextDatum(segment->expression);
	if (segment->data.value)
		added[1] = CStringGetTextDatum(segment->data.value);
	added[2] = BoolGetDatum(e->rules[row % e->nrules].segment_veto);
	added[3] = Float8GetDatum(segment->log_e[row]);
	memcpy(values, all, sizeof(Datum) * BEFORE);
	memcpy(nulls, all_nulls, BEFORE);
	memcpy(values + BEFORE, added, sizeof(added));
	memset(nulls + BEFORE, false, ADDED);
	nulls[BEFORE + 1] = (segment->data.value == NULL);
	nulls[BEFORE + 3] = isnan(segment->log_e[row]);
	memcpy(values + BEFORE + ADDED, all + BEFORE, sizeof(Datum) * rest);
	memcpy(nulls + BEFORE + ADDED, all_nulls + BEFORE, rest);
	return row / e->nrules;
}

void
gr_segments_notice(const Evaluation *v)
{
	for (int i = 0; v->segments && i < v->segments->n; i++)
		if (v->segments->segment[i].data.why)
			ereport(NOTICE,
					(errmsg("segment %s of experiment \"%s\" was not tested: %s",
							v->segments->segment[i].expression, v->e->id, v->segments->segment[i].data.why),
					 v->e->segments_failure ? errhint("Change the expression with guardrail_amend(), or fix the events.") :
					 errhint("Group its values in the expression, or increase guardrail.unit_memory.")));
}

void
gr_segments_explain(StringInfo buf, const Evaluation *v)
{
	const Segments *s = v->segments;

	if (s == NULL)
		return;
	appendStringInfo(buf, "\nSegments: %d tests by %s\n", s->ntests,
					 gr_design_of(v->monitor.kind)->segments_by);
	for (int i = 0; i < s->n; i++)
		if (s->segment[i].data.why)
			appendStringInfo(buf, "  segment %s was not tested: %s\n", s->segment[i].expression,
							 s->segment[i].data.why);
	for (int i = 0; i < s->n; i++)
		for (int k = 0; s->segment[i].v && k < segment_cells(&s->segment[i]); k++)
		{
			const GrResult *r = &s->segment[i].v->results[k];

			if (r->status == GR_BREACHED)
				appendStringInfo(buf, "  %s: %s\n", r->arm->name, r->reason);
		}
}
