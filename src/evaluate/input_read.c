/*
 * input_read.c
 *	  The stored inputs of a check, back into an evaluation.
 */
#include "evaluate/input.h"
#include "evaluate/segment.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "utils/array.h"

/* The n-th column of the only row, not NULL. */
static Datum
column(int n)
{
	bool		null;
	Datum		d = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, n, &null);

	if (null)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("stored inputs have no %s", SPI_fname(SPI_tuptable->tupdesc, n)),
				 errhint("Restore guardrail_check_input from a backup.")));
	return d;
}

/* The numbers that the check stored for each rule. */
static void
number_rules(Experiment *e, ArrayType *metrics, ArrayType *fingerprints, const CollectSpec *spec)
{
	bool		fit = ARR_NDIM(metrics) <= 1 && ARR_NDIM(fingerprints) <= 1 &&
		ArrayGetNItems(ARR_NDIM(metrics), ARR_DIMS(metrics)) == e->nrules &&
		ArrayGetNItems(ARR_NDIM(fingerprints), ARR_DIMS(fingerprints)) == e->nrules &&
		!ARR_HASNULL(metrics) && !ARR_HASNULL(fingerprints);

	for (int i = 0; fit && i < e->nrules; i++)
	{
		Rule	   *rule = &e->rules[i];

		rule->metric = ((int32 *) ARR_DATA_PTR(metrics))[i];
		rule->fingerprint = ((int64 *) ARR_DATA_PTR(fingerprints))[i];
		fit = rule->metric >= 0 && rule->metric < spec->nmetrics &&
			spec->metrics[rule->metric].shape->has_histogram == rule->rule.kind->has_histogram &&
			(spec->metrics[rule->metric].covariate >= 0) == (rule->covariate != NULL);
	}
	if (!fit)
		ereport(ERROR,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("stored inputs of experiment \"%s\" do not match version %d of its plan",
						e->id, e->plan_version),
				 errhint("Restore guardrail_check_input and guardrail_plan from a backup.")));
}

GR_NORETURN static void
refuse_input(int64 check_id)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("stored inputs of check " INT64_FORMAT " have changed since the check stored them", check_id),
			 errhint("Restore guardrail_check_input and guardrail_segment_input from a backup.")));
}

bool
gr_input_read(const char *schema, int64 check_id, InputRow *row)
{
	const char *args[] = {psprintf(INT64_FORMAT, check_id)};
	Datum		failures;
	bool		null;

	/* the casts are for columns of other types than guardrail made */
	gr_spi_query(psprintf("SELECT experiment_id::text, plan_version::integer, state::text, ended::boolean, spec::text,"
						  " metrics::integer[], fingerprints::bigint[], collection::bytea, past::bytea,"
						  " checksum::bigint, failures::text[], surplus_arms::boolean, decided::text, COALESCE(extension_version IN ('0.1.0', '0.2.0'), false),"
						  " unknown_arms::text,"
						  " pg_catalog.to_jsonb(checked_at) #>> '{}'"
						  " FROM %s.guardrail_check_input WHERE check_id = $1::bigint", schema), true, 1, args);
	if (SPI_processed == 0)
		return false;
	row->id = TextDatumGetCString(column(1));
	row->plan_version = DatumGetInt32(column(2));
	row->state = TextDatumGetCString(column(3));
	row->ended = DatumGetBool(column(4));
	row->spec = TextDatumGetCString(column(5));
	row->metrics = DatumGetArrayTypePCopy(column(6));
	row->fingerprints = DatumGetArrayTypePCopy(column(7));
	row->collection = DatumGetByteaPCopy(column(8));
	row->past = DatumGetByteaPCopy(column(9));
	failures = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 11, &null);
	row->failures = null ? NULL : DatumGetArrayTypePCopy(failures);
	row->surplus_arms = gr_spi_bool(0, 12);
	row->decided = gr_spi_text(0, 13);
	row->unknown_arms = gr_spi_text(0, 15);
	row->checked_at = gr_spi_text(0, 16);
	row->checksum = gr_spi_int8(0, 10, PG_INT64_MAX);
	if (row->checksum == PG_INT64_MAX && gr_spi_bool(0, 14))
		row->checksum = -1;
	else if (row->checksum < 0)
		refuse_input(check_id);
	return true;
}

/* Whoever may not read the rows of segments can replay what has none. */
static void
require_checksum(const Experiment *e, const InputRow *row, const char *schema, int64 check_id)
{
	GrChecksum	c;

	gr_checksum_start(&c);
	gr_checksum_int(&c, check_id);
	if (e->nsegments > 0)
		gr_segments_checksum(schema, check_id, &c);
	gr_input_checksum(&c, row);
	if (row->checksum != gr_checksum_end(&c))
		refuse_input(check_id);
}

typedef struct DecodeWork
{
	Evaluation *v;
	const InputRow *row;
	const char *schema;
	int64		check_id;
} DecodeWork;

static void
decode_input(void *arg)
{
	DecodeWork *w = arg;
	Evaluation *v = w->v;

	v->plan->spec = gr_spec_parse(w->row->spec);
	number_rules(v->e, w->row->metrics, w->row->fingerprints, v->plan->spec);
	v->c = gr_collection_decode(w->row->collection, v->plan->spec);
	v->past = gr_past_decode(w->row->past);
	gr_failures_decode(v->e, w->row);
	v->test.surplus_arms = w->row->surplus_arms;
	v->test.decided = w->row->decided;
	v->test.unknown_arms = w->row->unknown_arms;
	gr_segments_restore(v, w->schema, w->check_id);
}

void
gr_input_restore(Evaluation *v, const char *schema, int64 check_id, const InputRow *row)
{
	DecodeWork	work = {v, row, schema, check_id};
	ErrorData  *error;

	if (row->checksum >= 0)
		require_checksum(v->e, row, schema, check_id);
	v->e->state = row->state;
	v->e->ended = row->ended;
	v->plan = palloc0(sizeof(ScanPlan));
	error = gr_attempt(decode_input, &work);
	/* rows of earlier versions have no checksum: their bytes may end too soon */
	if (error && error->sqlerrcode == ERRCODE_PROTOCOL_VIOLATION)
		refuse_input(check_id);
	if (error)
		ReThrowError(error);
}
