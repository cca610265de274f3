/*
 * input.c
 *	  Stores what a check was decided from: a row of guardrail_check_input, and
 *	  rows of guardrail_segment_input where segments count.
 *
 * They are most of what a check could leave, so that only some checks store them:
 * the looks, the first check of a day (UTC) and of a version of the plan, and each
 * that says something else than the one before it: other variants, verdicts or
 * statuses, other rules that failed, arms too many or no longer, another state.
 * Later checks rest on that: rules that failed last are those of the last inputs
 * (evaluate/rescue.c).
 *
 * evaluate/input_read.c reads them back.
 */
#include "evaluate/input.h"
#include "evaluate/segment.h"
#include "record/record.h"

#include "executor/spi.h"
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

/* Which rules failed, as an array of their numbers, from 1. */
static char *
failed_rules(const Experiment *e)
{
	StringInfoData buf;

	initStringInfo(&buf);
	for (int i = 0; i < e->nrules; i++)
		if (e->rules[i].failure)
			appendStringInfo(&buf, "%s%d", buf.len ? "," : "", i + 1);
	return psprintf("{%s}", buf.data);
}

bool
gr_input_due(const Evaluation *v, const char *schema, int64 check_id, bool look)
{
	const Experiment *e = v->e;
	const char *args[] = {e->id, psprintf(INT64_FORMAT, check_id), psprintf("%d", e->plan_version), e->state,
		e->ended ? "true" : "false", v->test.surplus_arms ? "true" : "false", failed_rules(e)};

	if (guardrail_all_inputs || look)
		return true;
	gr_spi_query(psprintf("WITH last AS (SELECT max(check_id) AS id FROM %s.guardrail_check_log"
						  "  WHERE experiment_id = $1 AND check_id < $2::bigint),"
						  " said AS (SELECT variant, verdict, status FROM %s.guardrail_check_log WHERE check_id = $2::bigint),"
						  " before AS (SELECT variant, verdict, status FROM %s.guardrail_check_log WHERE check_id = (SELECT id FROM last))"
						  " SELECT EXISTS (SELECT FROM %s.guardrail_check_input i"
						  "  WHERE i.check_id = (SELECT max(check_id) FROM %s.guardrail_check_input WHERE experiment_id = $1)"
						  "  AND i.plan_version = $3::integer AND i.state = $4 AND i.ended = $5::boolean"
						  "  AND i.surplus_arms = $6::boolean"
						  "  AND (i.checked_at AT TIME ZONE 'UTC')::date = (pg_catalog.clock_timestamp() AT TIME ZONE 'UTC')::date"
						  "  AND ARRAY(SELECT f.n FROM pg_catalog.unnest(i.failures) WITH ORDINALITY AS f (why, n)"
						  "   WHERE f.why IS NOT NULL ORDER BY f.n) = $7::bigint[])"
						  " AND NOT EXISTS ((TABLE said EXCEPT TABLE before) UNION ALL (TABLE before EXCEPT TABLE said))",
						  schema, schema, schema, schema, schema), false, lengthof(args), args);
	return !gr_spi_bool(0, 1);
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
