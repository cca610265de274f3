/*
 * store.c
 *	  Rows of guardrail_slice: written, deleted, and the heads read.
 *
 * They are read and written as the owner of the extension.  Reading keeps to the
 * active snapshot: a live function sees slices and events as of one moment, and a
 * check holds the lock on the experiment's row.
 */
#include "slice/stored.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "utils/array.h"
#include "utils/snapmgr.h"

int
gr_stored_arm(Stored *s, const char *name)
{
	for (int i = 0; i < s->narms; i++)
		if (strcmp(s->arm[i], name) == 0)
			return i;
	if (s->narms >= GR_MAX_ARMS)
		gr_refuse_arms();
	s->arm[s->narms] = MemoryContextStrdup(s->context, name);
	return s->narms++;
}

void
gr_stored_write(const Stored *s, const char *sql, int n, Oid *types, Datum *values, const char *nulls)
{
	MemoryContext here = CurrentMemoryContext;
	OwnerContext saved;
	int			code;

	gr_writer_enter(&saved, s->function);
	code = SPI_execute_with_args(sql, n, types, values, nulls, false, 0);
	if (code < 0)
		elog(ERROR, "%s in \"%s\"", SPI_result_code_string(code), sql);
	MemoryContextSwitchTo(here);
	gr_owner_leave(&saved);
}

static Datum
text_or_null(const char *text)
{
	return text ? CStringGetTextDatum(text) : (Datum) 0;
}

void
gr_stored_delete_slice(Stored *s, int64 slice)
{
	Oid			types[] = {TEXTOID, INT8OID};
	Datum		values[] = {CStringGetTextDatum(s->e->id), Int64GetDatum(slice)};

	gr_stored_write(s, psprintf("DELETE FROM %s.guardrail_slice WHERE experiment_id = $1 AND slice = $2",
					  s->schema), 2, types, values, "  ");
}

void
gr_stored_insert_parts(const Stored *s, const Run *run, int part, int n, const uint32 *units,
					   bytea *const *state)
{
	Oid			types[] = {TEXTOID, INT8OID, INT4OID, TEXTOID, TEXTOID, INT8ARRAYOID, BYTEAARRAYOID};
	Datum		values[] = {CStringGetTextDatum(s->e->id), Int64GetDatum(run->slice), Int32GetDatum(part),
	text_or_null(run->from), CStringGetTextDatum(run->to), (Datum) 0, (Datum) 0};
	char		nulls[] = {' ', ' ', ' ', run->from ? ' ' : 'n', ' ', ' ', ' ', '\0'};
	Datum	   *column = palloc(sizeof(Datum) * n);

	for (int i = 0; i < n; i++)
		column[i] = Int64GetDatum(units[i]);
	values[5] = PointerGetDatum(construct_array(column, n, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	for (int i = 0; i < n; i++)
		column[i] = PointerGetDatum(gr_seal(run, part + i, state[i]));
	values[6] = PointerGetDatum(construct_array(column, n, BYTEAOID, -1, false, TYPALIGN_INT));
	gr_stored_write(s, psprintf("INSERT INTO %s.guardrail_slice (experiment_id, slice, part, from_cursor, to_cursor, units, state)"
						   " SELECT $1, $2, pg_catalog.generate_series($3, $3 + pg_catalog.array_length($6, 1) - 1),"
						   " $4, $5, pg_catalog.unnest($6), pg_catalog.unnest($7)", s->schema),
			   lengthof(types), types, values, nulls);
	for (int i = 0; i < n; i++)
		pfree(DatumGetPointer(column[i]));
	pfree(column);
	pfree(DatumGetPointer(values[5]));
	pfree(DatumGetPointer(values[6]));
}

bytea *
gr_stored_read_head(const Stored *s, const Run *run)
{
	const char *args[] = {s->e->id, psprintf(INT64_FORMAT, run->slice)};
	OwnerContext saved;
	bool		null = true;
	Datum		d = (Datum) 0;
	bytea	   *copy;

	gr_writer_enter(&saved, s->function);
	gr_spi_query(psprintf("SELECT state::bytea FROM %s.guardrail_slice WHERE experiment_id = $1"
						  " AND slice = $2::bigint AND part = 0", s->schema), true, 2, args);
	if (SPI_processed == 1)
		d = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);
	if (null)
		gr_slice_corrupt(psprintf("The head of slice " INT64_FORMAT " is missing.", run->slice));
	copy = DatumGetByteaPCopy(d);
	SET_VARSIZE(copy, VARHDRSZ + gr_unsealed(run->slice, run->seal, 0, copy));
	SPI_freetuptable(SPI_tuptable);
	gr_owner_leave(&saved);
	return copy;
}

Head *
gr_stored_sum_heads(const Stored *s, const Run *runs, int nruns, const Head *delta)
{
	bytea	   *heads[GR_MAX_RUNS + 1];

	for (int k = 0; k < nruns; k++)
		heads[k] = gr_stored_read_head(s, &runs[k]);
	if (delta)
		heads[nruns] = gr_head_encode(delta);
	return gr_heads_sum(s->spec, heads, nruns + (delta != NULL));
}

void
gr_stored_see_writes(void)
{
	CommandCounterIncrement();
	UpdateActiveSnapshotCommandId();
}
