/*
 * watermark.c
 *	  What is stored of an experiment: read, written and forgotten as a whole.
 *
 * The row of guardrail_watermark states it all: the fingerprint, the position, the
 * arms, the running totals, and which slices there are (whole.c).
 */
#include "slice/stored.h"

#include "catalog/pg_type.h"
#include "common/hashfn.h"
#include "executor/spi.h"
#include "utils/array.h"

/* What the unit's hash depends on; more where it may differ elsewhere, or later. */
static char *
unit_type(const Experiment *e)
{
	Oid			type,
				collation;
	int32		typmod;

	AttrNumber	number = get_attnum(e->events, e->unit_column);

	if (number == InvalidAttrNumber)
		ereport(ERROR,
				(errcode(ERRCODE_UNDEFINED_COLUMN),
				 errmsg("column \"%s\" of the events of experiment \"%s\" does not exist", e->unit_column, e->id),
				 errhint("Restore the column, or change unit_column with guardrail_amend().")));
	get_atttypetypmodcoll(e->events, number, &type, &typmod, &collation);
	type = getBaseType(type);
	switch (type)
	{
		case INT2OID:
		case INT4OID:
		case INT8OID:
			return "integer";
		case UUIDOID:
			return "uuid";
		case TEXTOID:
		case VARCHAROID:
			if (!OidIsValid(collation) || get_collation_isdeterministic(collation))
				return "text";
	}
	return psprintf("%s %u collation %s server %d", format_type_be(type), type,
					OidIsValid(collation) ? get_collation_name(collation) : "", PG_VERSION_NUM / 10000);
}

/* Of all that the stored state depends on; no OIDs but of an unusual unit's type. */
static int64
fingerprint(const Experiment *e, const ScanPlan *plan)
{
	StringInfoData buf;
	OwnerContext saved;

	initStringInfo(&buf);
	gr_owner_enter(&saved, e->owner);
	appendStringInfo(&buf, "%s|%s|%s|%s|%s|%s|%s|%s", gr_spec_print(plan->spec), gr_sql_from(e),
					 gr_sql_variant(e, true), e->unit_column, unit_type(e), e->cursor_column,
					 format_type_be(get_atttype(e->events, get_attnum(e->events, e->cursor_column))),
					 gr_owner_name(e));
#ifdef WORDS_BIGENDIAN
	appendStringInfoString(&buf, "|big-endian");
#endif
	for (int k = 0; k < plan->spec->ncolumns; k++)
		appendStringInfo(&buf, "|%s|%s|%s", plan->column_value[k],
						 plan->column_filter[k] ? plan->column_filter[k] : "",
						 format_type_be(plan->column_type[k]));
	for (int i = 0; i < e->narms; i++)
		appendStringInfo(&buf, "|%s", e->arms[i]);
	gr_owner_leave(&saved);
	/* the form of the bytes */
	appendStringInfoString(&buf, "|3");
	return (int64) hash_bytes_extended((unsigned char *) buf.data, buf.len, 0);
}

/* Names of arms as the watermark has them; false: they are none. */
static bool
read_arms(Stored *s, ArrayType *array)
{
	Datum	   *names;
	bool	   *nulls;
	int			n;

	deconstruct_array(array, TEXTOID, -1, false, TYPALIGN_INT, &names, &nulls, &n);
	if (ARR_NDIM(array) > 1 || n > GR_MAX_ARMS)
		return false;
	for (int i = 0; i < n; i++)
		if (nulls[i] || gr_stored_arm(s, TextDatumGetCString(names[i])) != i)
			return false;
	return true;
}

/* The same of the slices' seals. */
static bool
read_seals(Statement *said, ArrayType *array)
{
	Datum	   *seals;
	bool	   *nulls;
	int			n;

	deconstruct_array(array, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &seals, &nulls, &n);
	if (ARR_NDIM(array) > 1 || n > GR_MAX_RUNS)
		return false;
	for (int i = 0; i < n; i++)
	{
		if (nulls[i])
			return false;
		said->seals[i] = DatumGetInt64(seals[i]);
	}
	said->nslices = n;
	return true;
}

static void *
bytes_or_null(int column)
{
	bool		null;
	Datum		d = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column, &null);

	return null ? NULL : PG_DETOAST_DATUM(d);
}

/* After the runs: what it states is held against them. */
static void
read_watermark(Stored *s)
{
	Statement  *said = palloc0(sizeof(Statement));
	const char *args[] = {s->e->id};
	ArrayType  *arms,
			   *seals;
	bytea	   *totals = NULL;

	/* the casts are for columns of other types than guardrail made */
	gr_spi_query(psprintf("SELECT fingerprint::bigint, \"position\"::text, arms::text[], totals::bytea, seals::bigint[],"
						  " units::bigint, checksum::bigint FROM %s.guardrail_watermark WHERE experiment_id = $1",
						  s->schema), true, 1, args);
	s->known = SPI_processed > 0;
	if (s->known)
	{
		s->stored_fingerprint = gr_spi_int8(0, 1, 0);
		s->position = gr_spi_text(0, 2);
		arms = bytes_or_null(3);
		totals = bytes_or_null(4);
		seals = bytes_or_null(5);
		said->units = gr_spi_int8(0, 6, -1);
		said->checksum = gr_spi_int8(0, 7, -1);
		said->made = seals || said->units >= 0 || said->checksum >= 0;
		if (arms == NULL || !read_arms(s, arms) || seals == NULL || !read_seals(said, seals))
			said->nslices = -1;
		if (totals && s->stored_fingerprint == s->fingerprint && gr_totals_suit(s->spec))
			s->totals = gr_totals_decode(s->spec, totals, s->context);
	}
	s->misfit = gr_whole_misfit(s, said, totals);
	pfree(said);
}

static void
read_runs(Stored *s)
{
	const char *args[] = {s->e->id};

	/* all parts of a slice but the last are full */
	gr_spi_query(psprintf("SELECT h.slice::bigint, l.part::bigint, (SELECT f.units::bigint FROM %1$s.guardrail_slice f"
						  " WHERE f.experiment_id = h.experiment_id AND f.slice = h.slice AND f.part = 1), l.units::bigint,"
						  " h.from_cursor, h.to_cursor FROM %1$s.guardrail_slice h"
						  " CROSS JOIN LATERAL (SELECT part, units FROM %1$s.guardrail_slice p"
						  " WHERE p.experiment_id = h.experiment_id AND p.slice = h.slice ORDER BY part DESC LIMIT 1) l"
						  " WHERE h.experiment_id = $1 AND h.part = 0 ORDER BY h.slice LIMIT %2$d", s->schema, GR_MAX_RUNS + 1),
				 true, 1, args);
	if (SPI_processed > GR_MAX_RUNS)
		s->misfit = "There are more slices than are ever stored.";
	for (s->nruns = 0; s->nruns < (int) Min(SPI_processed, GR_MAX_RUNS); s->nruns++)
	{
		int64		nparts = gr_spi_int8(s->nruns, 2, 0);
		uint64		full = (uint64) gr_spi_int8(s->nruns, 3, 0);
		uint64		rest = (uint64) gr_spi_int8(s->nruns, 4, 0);
		char	   *to = gr_spi_text(s->nruns, 6);

		/* numbers that anybody may have written: the product may wrap around */
		s->runs[s->nruns] = (Run) {
			.slice = gr_spi_int8(s->nruns, 1, 0), .nparts = (int) nparts,
			.units = nparts > 0 ? (int64) ((uint64) (nparts - 1) * full + rest) : (int64) rest,
			.from = gr_spi_text(s->nruns, 5), .to = to ? to : ""
		};
	}
}

Stored *
gr_stored_load(const Experiment *e, const ScanPlan *plan, Oid function)
{
	Stored	   *s = palloc0(sizeof(Stored));
	OwnerContext saved;

	s->e = e;
	s->plan = plan;
	s->spec = plan->spec;
	s->function = function;
	s->schema = gr_schema_of_function(function);
	s->context = CurrentMemoryContext;
	s->entry_size = GR_ENTRY_SIZE(plan->spec->nslots);
	s->fingerprint = fingerprint(e, plan);
	gr_writer_enter(&saved, function);
	read_runs(s);
	read_watermark(s);
	gr_owner_leave(&saved);
	return s;
}

Stored *
gr_stored_open(Experiment *e, Oid function)
{
	OwnerContext saved;
	ScanPlan   *plan;
	Stored	   *s;

	if (e->cursor_column == NULL)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("experiment \"%s\" has no cursor_column", e->id),
				 errhint("Set cursor_column to store slices; without it, every check reads all events.")));
	gr_owner_enter(&saved, e->owner);
	plan = gr_plan_make(e);
	gr_owner_leave(&saved);
	s = gr_stored_load(e, plan, function);
	s->cursor = gr_cursor_open(e->events, e->experiment_column, e->cursor_column, e->id);
	return s;
}

void
gr_stored_save(Stored *s)
{
	Datum		names[GR_MAX_ARMS];
	Datum		seals[GR_MAX_RUNS];
	Oid			types[] = {TEXTOID, INT8OID, TEXTOID, TEXTARRAYOID, BYTEAOID, INT8ARRAYOID, INT8OID, INT8OID};
	Datum		values[lengthof(types)];
	char		nulls[] = {' ', ' ', s->position ? ' ' : 'n', ' ', s->totals ? ' ' : 'n', ' ', ' ', ' ', '\0'};
	bytea	   *totals = s->totals ? gr_totals_encode(s->totals) : NULL;

	s->known = true;
	s->stored_fingerprint = s->fingerprint;
	s->misfit = NULL;
	for (int k = 0; k < s->nruns; k++)
		seals[k] = Int64GetDatum(s->runs[k].seal);
	for (int i = 0; i < s->narms; i++)
		names[i] = CStringGetTextDatum(s->arm[i]);
	values[0] = CStringGetTextDatum(s->e->id);
	values[1] = Int64GetDatum(s->fingerprint);
	values[2] = s->position ? CStringGetTextDatum(s->position) : (Datum) 0;
	values[3] = PointerGetDatum(construct_array(names, s->narms, TEXTOID, -1, false, TYPALIGN_INT));
	values[4] = PointerGetDatum(totals);
	values[5] = PointerGetDatum(construct_array(seals, s->nruns, INT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
	values[6] = Int64GetDatum(gr_whole_units(s));
	values[7] = Int64GetDatum(gr_whole_checksum(s, totals));
	gr_stored_write(s, psprintf("INSERT INTO %s.guardrail_watermark (experiment_id, fingerprint, \"position\", arms, totals,"
						   " seals, units, checksum) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)"
						   " ON CONFLICT (experiment_id) DO UPDATE SET"
						   " fingerprint = excluded.fingerprint, \"position\" = excluded.\"position\","
						   " arms = excluded.arms, totals = excluded.totals, seals = excluded.seals,"
						   " units = excluded.units, checksum = excluded.checksum", s->schema),
			   lengthof(types), types, values, nulls);
}

void
gr_stored_drop(Stored *s)
{
	Oid			types[] = {TEXTOID};
	Datum		values[] = {CStringGetTextDatum(s->e->id)};

	gr_stored_write(s, psprintf("DELETE FROM %s.guardrail_slice WHERE experiment_id = $1", s->schema),
		  1, types, values, " ");
	s->nruns = 0;
	s->narms = 0;
	s->position = NULL;
	gr_totals_renew(s);
	gr_stored_save(s);
}
