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

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"
#include "utils/builtins.h"
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
	const Oid	types[] = {INT8OID, INT4OID, INT4OID, TEXTOID, TEXTOID, BYTEAOID, BYTEAOID};
	char	   *sql = psprintf("INSERT INTO %s.guardrail_segment_input (check_id, segment_no, expression, value,"
							   " why, collection, past) VALUES ($1, $2, $3, $4, $5, $6, $7)", schema);

	if (v->segments == NULL || !segments_count(v))
		return;
	for (int i = 0; i < v->segments->n; i++)
	{
		const Segment *s = &v->segments->segment[i];
		bytea	   *collection = s->data.why ? NULL : gr_input_collection(s->v);
		bytea	   *past = gr_past_encode(s->past);
		Datum		values[lengthof(types)] = {Int64GetDatum(check_id), Int32GetDatum(i),
		Int32GetDatum(s->data.expression)};
		char		nulls[lengthof(types) + 1] = "       ";

		CHECK_FOR_INTERRUPTS();
		if (s->data.value)
			values[3] = CStringGetTextDatum(s->data.value);
		if (s->data.why)
			values[4] = CStringGetTextDatum(s->data.why);
		values[5] = PointerGetDatum(collection);
		values[6] = PointerGetDatum(past);
		gr_segment_checksum(c, s->data.expression, s->data.value, s->data.why, collection, past);
		nulls[3] = s->data.value ? ' ' : 'n';
		nulls[4] = s->data.why ? ' ' : 'n';
		nulls[5] = s->data.why ? 'n' : ' ';
		if (SPI_execute_with_args(sql, lengthof(types), (Oid *) types, values, nulls, false, 0) != SPI_OK_INSERT)
			elog(ERROR, "could not insert into guardrail_segment_input");
	}
}

void
gr_input_store(const Evaluation *v, const char *schema, int64 check_id, TimestampTz checked_at,
			   const char *snapshot)
{
	const Oid	types[] = {INT8OID, TEXTOID, INT4OID, TIMESTAMPTZOID, TEXTOID, BOOLOID, TEXTOID,
	TEXTOID, INT4ARRAYOID, INT8ARRAYOID, BYTEAOID, BYTEAOID, INT8OID, TEXTARRAYOID, BOOLOID, TEXTOID, TEXTOID};
	char		nulls[lengthof(types) + 1];
	InputRow	row = input_row(v);
	GrChecksum	c;
	Datum		values[lengthof(types)];

	gr_checksum_start(&c);
	gr_checksum_int(&c, check_id);
	store_segments(v, schema, check_id, &c);
	gr_input_checksum(&c, &row);
	values[0] = Int64GetDatum(check_id);
	values[1] = CStringGetTextDatum(row.id);
	values[2] = Int32GetDatum(row.plan_version);
	values[3] = TimestampTzGetDatum(checked_at);
	values[4] = CStringGetTextDatum(row.state);
	values[5] = BoolGetDatum(row.ended);
	values[6] = CStringGetTextDatum(snapshot);
	values[7] = CStringGetTextDatum(row.spec);
	values[8] = PointerGetDatum(row.metrics);
	values[9] = PointerGetDatum(row.fingerprints);
	values[10] = PointerGetDatum(row.collection);
	values[11] = PointerGetDatum(row.past);
	values[12] = Int64GetDatum(gr_checksum_end(&c));
	memset(nulls, ' ', lengthof(types));
	nulls[13] = row.failures ? ' ' : 'n';
	values[13] = PointerGetDatum(row.failures);
	values[14] = BoolGetDatum(row.surplus_arms);
	nulls[15] = row.decided ? ' ' : 'n';
	values[15] = row.decided ? CStringGetTextDatum(row.decided) : (Datum) 0;
	nulls[16] = row.unknown_arms ? ' ' : 'n';
	values[16] = row.unknown_arms ? CStringGetTextDatum(row.unknown_arms) : (Datum) 0;
	if (SPI_execute_with_args(psprintf("INSERT INTO %s.guardrail_check_input (check_id, experiment_id, plan_version,"
									   " checked_at, state, ended, snapshot, spec, metrics, fingerprints, collection, past,"
									   " checksum, failures, surplus_arms, decided, unknown_arms, extension_version) SELECT $1, $2, $3, $4, $5, $6,"
									   " $7::pg_catalog.pg_snapshot, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, x.extversion"
									   " FROM pg_catalog.pg_extension x WHERE x.extname = 'guardrail'", schema),
							  lengthof(types), (Oid *) types, values, nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not insert into guardrail_check_input");
}
