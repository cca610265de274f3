/*
 * segment_rows.c
 *	  What readers see of segments: rows, notices, and the text of guardrail_explain.
 *
 * A row holds the columns of a result and those of the segment; an expression that
 * was not judged is one row without an arm.
 */
#include "evaluate/segment.h"

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
unjudged_row(const Evaluation *v, const Segment *segment, Writer *w)
{
	put_text(w, "experiment_id", v->e->id);
	put_text(w, "segment", segment->expression);
	put_text(w, "status", gr_status_word(GR_NO_DATA));
	put_text(w, "reason", psprintf("segment %s was not tested: %s", segment->expression, segment->data.why));
}

int
gr_segment_row(const Evaluation *v, int row, Writer *w, int64 *fingerprint)
{
	const Segment *segment = v->segments->segment;
	const Rule *rule;
	int			nrules;

	while (row >= segment_cells(segment))
		row -= segment_cells(segment++);
	*fingerprint = 0;
	if (segment->v == NULL)
	{
		unjudged_row(v, segment, w);
		return -1;
	}
	nrules = segment->v->e->nrules;
	rule = &segment->v->e->rules[row % nrules];
	*fingerprint = rule->fingerprint;
	gr_result_row(segment->v, row / nrules, row % nrules, w);
	put_text(w, "segment", segment->expression);
	put_text(w, "value", segment->data.value);
	put_bool(w, "segment_veto", rule->segment_veto);
	put_number(w, "log_e", segment->log_e[row]);
	put_int(w, "tests", v->segments->ntests);
	return row / nrules;
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
