/*
 * input.c
 *	  Stores what a check was decided from: a row of guardrail_check_input, and
 *	  rows of guardrail_segment_input where segments count.
 *
 * evaluate/input_read.c reads them back.
 */
#include "evaluate/input.h"
#include "evaluate/segment.h"
#include "record/record.h"

#include "miscadmin.h"
#include "utils/array.h"
#include "utils/fmgrprotos.h"
#include "utils/timestamp.h"

/* The row of an evaluation. */
static InputRow
input_row(const Evaluation *v)
{
	const Experiment *e = v->e;
	Datum	   *metrics = palloc(sizeof(Datum) * Max(e->nrules, 1));
	Datum	   *fingerprints = palloc(sizeof(Datum) * Max(e->nrules, 1));

	for (int i = 0; i < e->nrules; i++)
	{
		metrics[i] = Int32GetDatum(e->rules[i].metric);
		fingerprints[i] = Int64GetDatum(e->rules[i].fingerprint);
	}
	return (InputRow) {
		.id = e->id, .plan_version = e->plan_version, .state = e->state, .ended = e->ended,
		.spec = gr_spec_print(v->plan->spec),
		.metrics = construct_array(metrics, e->nrules, INT4OID, 4, true, TYPALIGN_INT),
		.fingerprints = construct_array(fingerprints, e->nrules, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE),
		.collection = gr_input_collection(v),
		.past = gr_past_encode(v->past),
		.failures = gr_failures_encode(e),.surplus_arms = v->test.surplus_arms,
		.unknown_arms = (char *) v->test.unknown_arms,.decided = (char *) v->test.decided
	};
}

/*
 * Segments enter a verdict by an alarm, or could by a veto: only then must they be
 * there when the check is decided again.  Histograms of many segments are large.
 */
static bool
segments_count(const Evaluation *v)
{
	for (int i = 0; i < v->e->nrules; i++)
	{
		if (v->e->rules[i].segment_veto)
			return true;
		for (int a = 0; a < v->narms; a++)
			if (v->results[a * v->e->nrules + i].segments)
				return true;
	}
	return false;
}

static void
store_segments(const Evaluation *v, const char *schema, int64 check_id, GrChecksum *c)
{
	if (v->segments == NULL || !segments_count(v))
		return;
	for (int i = 0; i < v->segments->n; i++)
	{
		const Segment *s = &v->segments->segment[i];
		bytea	   *collection = s->data.why ? NULL : gr_input_collection(s->v);
		bytea	   *past = gr_past_encode(s->past);
		Writer		w = {0};

		CHECK_FOR_INTERRUPTS();
		gr_segment_checksum(c, s->data.expression, s->data.value, s->data.why, collection, past);
		put_count(&w, "check_id", check_id);
		put_int(&w, "segment_no", i);
		put_int(&w, "expression", s->data.expression);
		put_text(&w, "value", s->data.value);
		put_text(&w, "why", s->data.why);
		put(&w, "collection", BYTEAOID, PointerGetDatum(collection), collection == NULL);
		put(&w, "past", BYTEAOID, PointerGetDatum(past), false);
		gr_insert_row(schema, "guardrail_segment_input", &w);
	}
}

void
gr_input_store(const Evaluation *v, const char *schema, int64 check_id, TimestampTz checked_at,
			   const char *snapshot)
{
	InputRow	row = input_row(v);
	GrChecksum	c;
	Writer		w = {0};

	gr_checksum_start(&c);
	gr_checksum_int(&c, check_id);
	store_segments(v, schema, check_id, &c);
	gr_input_checksum(&c, &row);
	put_count(&w, "check_id", check_id);
	put_text(&w, "experiment_id", row.id);
	put_int(&w, "plan_version", row.plan_version);
	put(&w, "checked_at", TIMESTAMPTZOID, TimestampTzGetDatum(checked_at), false);
	put_text(&w, "state", row.state);
	put_bool(&w, "ended", row.ended);
	put(&w, "snapshot", PG_SNAPSHOTOID, DirectFunctionCall1(pg_snapshot_in, CStringGetDatum(snapshot)), false);
	/* that of the extension's objects: the experiment would not have been read otherwise */
	put_text(&w, "extension_version", GUARDRAIL_VERSION);
	put_text(&w, "spec", row.spec);
	put(&w, "metrics", INT4ARRAYOID, PointerGetDatum(row.metrics), false);
	put(&w, "fingerprints", INT8ARRAYOID, PointerGetDatum(row.fingerprints), false);
	put(&w, "collection", BYTEAOID, PointerGetDatum(row.collection), false);
	put(&w, "past", BYTEAOID, PointerGetDatum(row.past), false);
	put_count(&w, "checksum", gr_checksum_end(&c));
	put(&w, "failures", TEXTARRAYOID, PointerGetDatum(row.failures), row.failures == NULL);
	put_bool(&w, "surplus_arms", row.surplus_arms);
	put_text(&w, "decided", row.decided);
	put_text(&w, "unknown_arms", row.unknown_arms);
	gr_insert_row(schema, "guardrail_check_input", &w);
}
