/*
 * segment.c
 *	  The guardrails of an experiment in each of its segments.
 *
 * Each segment is an evaluation like the whole, of the guardrails alone and without
 * a correction; the results of all of them together are then decided as one family
 * (decide/segment.c).  Where a rule's veto reaches into segments, its result in the
 * whole learns of them before the verdict.
 */
#include "evaluate/segment.h"

#include <math.h>

#include "catalog/pg_type.h"
#include "decide/words.h"
#include "executor/spi.h"
#include "miscadmin.h"

PG_FUNCTION_INFO_V1(guardrail_segment_evaluate);

/* Segments that a verdict names; the others are counted. */
#define MOST_NAMED 3

/* ---- what earlier checks left --------------------------------------------- */

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

/* ---- deciding --------------------------------------------------------------- */

/* The experiment with its guardrails alone. */
static Experiment *
guardrails_of(const Experiment *e)
{
	Experiment *g = palloc(sizeof(Experiment));
	int			first = 0;

	*g = *e;
	while (first < e->nrules && e->rules[first].rule.role != GR_GUARDRAIL)
		first++;
	g->rules = e->rules + first;
	for (g->nrules = 0; first + g->nrules < e->nrules; g->nrules++)
		if (g->rules[g->nrules].rule.role != GR_GUARDRAIL)
			break;
	return g;
}

/* The whole's monitor with the levels that segments are decided at, if it lacks any. */
static GrMonitor *
segment_monitor(const Evaluation *v, const Experiment *e)
{
	GrMonitor  *m = palloc(sizeof(GrMonitor));

	*m = v->monitor;
	for (int k = 0; k < e->nrules; k++)
	{
		(void) gr_monitor_level(m, GR_TEST_BREACH, e->rules[k].rule.alpha);
		(void) gr_monitor_level(m, GR_TEST_SAFE, e->rules[k].rule.alpha / Max(v->narms, 1));
	}
	return m;
}

static Evaluation *
evaluate_segment(const Evaluation *whole, Experiment *e, const GrMonitor *m, Segment *segment)
{
	Evaluation *v = palloc(sizeof(Evaluation));

	*v = *whole;
	v->e = e;
	v->c = segment->data.c;
	v->past = segment->past;
	v->monitor = *m;
	v->test.monitor = &v->monitor;
	v->test.correction = GR_ADJUST_NONE;
	v->arms = palloc(sizeof(GrArm) * Max(whole->narms, 1));
	gr_fill_arm(&v->control, v->c, whole->control.name);
	for (int a = 0; a < whole->narms; a++)
		gr_fill_arm(&v->arms[a], v->c, whole->arms[a].name);
	gr_evaluation_results(v);
	segment->log_e = palloc(sizeof(double) * Max(v->narms * e->nrules, 1));
	for (int i = 0; i < v->narms * e->nrules; i++)
		segment->log_e[i] = gr_segment_log_e(&v->results[i], &v->monitor);
	return v;
}

/* All results of all segments through the correction, and into words. */
static void
decide_family(Evaluation *whole, int nrules)
{
	Segments   *s = whole->segments;
	int			cells = whole->narms * nrules;
	GrResult  **results = palloc_extended(sizeof(GrResult *) * Max((Size) s->n * cells, 1), MCXT_ALLOC_HUGE);
	double	   *log_e = palloc_extended(sizeof(double) * Max((Size) s->n * cells, 1), MCXT_ALLOC_HUGE);
	GrScratch	scratch;
	int			n = 0;

	for (int i = 0; i < s->n; i++)
		for (int k = 0; s->segment[i].v && k < cells; k++)
		{
			results[n] = &s->segment[i].v->results[k];
			log_e[n++] = s->segment[i].log_e[k];
		}
	gr_scratch_make(&scratch, n);
	s->ntests = gr_decide_segments(results, log_e, n, &whole->test, &scratch);
	for (int i = 0; i < s->n; i++)
		for (int k = 0; s->segment[i].v && k < cells; k++)
		{
			Evaluation *v = s->segment[i].v;

			CHECK_FOR_INTERRUPTS();
			gr_reason_of_segment(&v->results[k], s->segment[i].expression, s->segment[i].data.value,
								 s->ntests, &v->control, &v->test);
		}
}

/* A segment with an alarm of one arm and rule. */
typedef struct Alarm
{
	const Segment *segment;
	const GrResult *result;
	double		harm;
} Alarm;

/* The worst first; those without data last. */
static int
compare_alarms(const void *a, const void *b)
{
	const Alarm *x = a;
	const Alarm *y = b;

	if (isnan(x->harm) != isnan(y->harm))
		return isnan(x->harm) ? 1 : -1;
	/* ties as they came, so that the same comes out when it is decided again */
	if (isnan(x->harm) || x->harm == y->harm)
		return x->segment < y->segment ? -1 : 1;
	return x->harm < y->harm ? 1 : -1;
}

/* The segments in which a rule of an arm is breached, into its result in the whole. */
static void
tell_result(const Evaluation *whole, int arm, int rule, int part, int nrules)
{
	const Segments *s = whole->segments;
	GrResult   *r = &whole->results[arm * whole->e->nrules + rule];
	Alarm	   *alarm = palloc(sizeof(Alarm) * Max(s->n, 1));
	StringInfoData names;
	int			n = 0;

	for (int i = 0; i < s->n; i++)
	{
		const GrResult *p = s->segment[i].v ? &s->segment[i].v->results[arm * nrules + part] : NULL;

		if (p && p->status == GR_BREACHED)
			alarm[n++] = (Alarm) {&s->segment[i], p, r->rule->worse_is_higher ? p->effect : -p->effect};
	}
	if (n == 0)
		return;
	qsort(alarm, n, sizeof(Alarm), compare_alarms);
	initStringInfo(&names);
	for (int i = 0; i < Min(n, MOST_NAMED); i++)
	{
		char		title[400];

		gr_segment_title(r->rule, alarm[i].segment->expression, alarm[i].segment->data.value,
						 title, sizeof(title));
		appendStringInfo(&names, "%s%.*s", i ? ", " : "", gr_fitting(title, 180), title);
	}
	if (n > MOST_NAMED)
		appendStringInfo(&names, " and in %d more", n - MOST_NAMED);
	r->segments = names.data;
	r->segments_reason = n == 1 ? alarm[0].result->reason :
		psprintf("%s; and in %d more segment%s", alarm[0].result->reason, n - 1, n > 2 ? "s" : "");
	r->segments_veto = whole->e->rules[rule].segment_veto;
}

/* A veto that reaches into segments which could not be judged: its rule was not measured. */
static void
hold_vetoes(Evaluation *v)
{
	const char *why = gr_segments_unjudged(v);

	for (int i = 0; why && i < v->narms * v->e->nrules; i++)
	{
		GrResult   *r = &v->results[i];

		if (!v->e->rules[i % v->e->nrules].segment_veto || r->status == GR_BREACHED)
			continue;
		r->status = GR_UNMEASURED;
		gr_append(r->reason, sizeof(r->reason), "; %s", why);
	}
}

void
gr_segments_decide(Evaluation *v)
{
	Segments   *s = v->segments;
	Experiment *e = guardrails_of(v->e);
	GrMonitor  *m = segment_monitor(v, e);

	for (int i = 0; i < s->n; i++)
		if (s->segment[i].data.why == NULL)
			s->segment[i].v = evaluate_segment(v, e, m, &s->segment[i]);
	decide_family(v, e->nrules);
	for (int a = 0; a < v->narms; a++)
		for (int k = 0; k < e->nrules; k++)
			tell_result(v, a, (int) (e->rules - v->e->rules) + k, k, e->nrules);
	hold_vetoes(v);
}

const char *
gr_segments_unjudged(const Evaluation *v)
{
	bool		veto = false;

	for (int k = 0; k < v->e->nrules; k++)
		veto |= v->e->rules[k].segment_veto;
	for (int i = 0; veto && v->segments && i < v->segments->n; i++)
		if (v->segments->segment[i].data.why)
			return psprintf("segment %s was not tested: %s", v->segments->segment[i].expression,
							v->segments->segment[i].data.why);
	return NULL;
}

/* ---- rows -------------------------------------------------------------------- */

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

/* guardrail_segment_evaluate(experiment) */
Datum
guardrail_segment_evaluate(PG_FUNCTION_ARGS)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	MemoryContext context = CurrentMemoryContext;
	char	   *id = gr_arg_text(fcinfo, 0, "experiment");
	Datum		values[GR_MAX_ROW];
	bool		nulls[GR_MAX_ROW];
	int64		fingerprint;
	Evaluation *v;

	if (SPI_connect() != SPI_OK_CONNECT)
		elog(ERROR, "SPI_connect failed");
	v = gr_evaluate(fcinfo->flinfo->fn_oid, id, GR_FOR_READER, NULL, context);
	SPI_finish();
	InitMaterializedSRF(fcinfo, 0);
	for (int i = 0; i < gr_segment_nrows(v); i++)
	{
		(void) gr_segment_row(v, i, values, nulls, &fingerprint);
		tuplestore_putvalues(rsinfo->setResult, rsinfo->setDesc, values, nulls);
	}
	return (Datum) 0;
}
