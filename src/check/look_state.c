/*
 * look_state.c
 *	  The group-sequential recursion, stored between looks.
 *
 * One row for each kind and level of test: the bounds of the looks so far, and
 * the density that the next step starts from.  It is a cache: rows that do not
 * fit the recorded looks, or whose bytes do not stand up, are computed anew.
 */
#include "check/past.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/array.h"

#define STATE_VERSION 1

static bytea *
encode(const GrLookState *s)
{
	StringInfoData buf;

	pq_begintypsend(&buf);
	pq_sendbyte(&buf, STATE_VERSION);
	pq_sendint32(&buf, s->sides);
	pq_sendint32(&buf, s->looks);
	pq_sendint32(&buf, s->npoints);
	pq_sendfloat8(&buf, s->t);
	pq_sendfloat8(&buf, s->spent);
	for (int i = 0; i < s->npoints; i++)
	{
		pq_sendfloat8(&buf, s->x[i]);
		pq_sendfloat8(&buf, s->w[i]);
	}
	return pq_endtypsend(&buf);
}

static bool
decode(const bytea *bytes, GrLookState *s)
{
	StringInfoData buf;
	Size		head = 1 + 3 * 4 + 2 * 8;

	buf.data = (char *) VARDATA_ANY(bytes);
	buf.len = VARSIZE_ANY_EXHDR(bytes);
	buf.maxlen = buf.len;
	buf.cursor = 0;
	if ((Size) buf.len < head || pq_getmsgbyte(&buf) != STATE_VERSION)
		return false;
	s->sides = (int) pq_getmsgint(&buf, 4);
	s->looks = (int) pq_getmsgint(&buf, 4);
	s->npoints = (int) pq_getmsgint(&buf, 4);
	if (s->npoints < 0 || s->npoints > GR_GRID ||
		(Size) buf.len != head + 16 * (Size) s->npoints)
		return false;
	s->t = pq_getmsgfloat8(&buf);
	s->spent = pq_getmsgfloat8(&buf);
	for (int i = 0; i < s->npoints; i++)
	{
		s->x[i] = pq_getmsgfloat8(&buf);
		s->w[i] = pq_getmsgfloat8(&buf);
	}
	return gr_look_valid(s);
}

/* One stored row into the monitor, if it is what the recorded looks call for. */
static void
load_row(GrMonitor *m, int row)
{
	TupleDesc	desc = SPI_tuptable->tupdesc;
	HeapTuple	tuple = SPI_tuptable->vals[row];
	bool		null;
	int			kind = DatumGetInt32(SPI_getbinval(tuple, desc, 1, &null));
	double		level = gr_spi_float8(row, 2, 0);
	Datum	   *bounds;
	bool	   *nulls;
	int			n;
	GrBoundRow *r;

	for (int i = 1; i <= desc->natts; i++)
		if (heap_attisnull(tuple, i, desc))
			return;
	if (kind < 0 || kind >= GR_TEST_KINDS)
		return;
	deconstruct_array(DatumGetArrayTypeP(SPI_getbinval(tuple, desc, 3, &null)), FLOAT8OID,
					  8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &bounds, &nulls, &n);
	for (int k = 0; k < n; k++)
		if (nulls[k] || !(DatumGetFloat8(bounds[k]) > 0))
			return;
	if (n != m->nlooks || !decode(DatumGetByteaPP(SPI_getbinval(tuple, desc, 4, &null)), m->scratch) ||
		m->scratch->t != m->fraction[m->nlooks - 1])
		return;
	r = gr_monitor_row(m, (GrTestKind) kind, level);
	if (r == NULL || r->state->sides != m->scratch->sides)
		return;
	for (int k = 0; k < n; k++)
		r->bound[k] = DatumGetFloat8(bounds[k]);
	memcpy(r->state, m->scratch, sizeof(GrLookState));
	r->known = n;
}

void
gr_look_state_load(GrMonitor *m, const char *schema, const Experiment *e)
{
	const char *args[] = {e->id, psprintf("%d", e->plan_version), psprintf("%d", m->nlooks)};
	OwnerContext saved;

	gr_writer_enter(&saved, e->function);
	gr_spi_query(psprintf("SELECT kind, level, bounds, state FROM %s.guardrail_look_state"
						  " WHERE experiment_id = $1 AND plan_version = $2::integer"
						  " AND looks = $3::integer", schema), true, 3, args);
	gr_monitor_make_room(m, m->rows_room + (int) SPI_processed);
	for (int i = 0; i < (int) SPI_processed; i++)
		load_row(m, i);
	gr_owner_leave(&saved);
}

void
gr_look_state_store(const GrMonitor *m, const char *schema, const Experiment *e)
{
	Oid			types[] = {TEXTOID, INT4OID, FLOAT8OID, INT4OID, INT4OID, FLOAT8ARRAYOID, BYTEAOID};
	char	   *sql = psprintf("INSERT INTO %s.guardrail_look_state VALUES ($1, $2, $3, $4, $5, $6, $7)"
							   " ON CONFLICT (experiment_id, kind, level) DO UPDATE SET"
							   " plan_version = excluded.plan_version, looks = excluded.looks,"
							   " bounds = excluded.bounds, state = excluded.state", schema);

	for (int i = 0; i < m->nrows; i++)
	{
		const GrBoundRow *r = &m->rows[i];
		Datum		values[7];
		Datum	   *bounds = palloc(sizeof(Datum) * Max(r->known, 1));

		/* a level that nobody asked for */
		if (r->known != m->nlooks + 1)
			continue;
		CHECK_FOR_INTERRUPTS();
		for (int k = 0; k < r->known; k++)
			bounds[k] = Float8GetDatum(r->bound[k]);
		values[0] = CStringGetTextDatum(e->id);
		values[1] = Int32GetDatum(r->kind);
		values[2] = Float8GetDatum(r->level);
		values[3] = Int32GetDatum(e->plan_version);
		values[4] = Int32GetDatum(r->known);
		values[5] = PointerGetDatum(construct_array(bounds, r->known, FLOAT8OID, 8,
													FLOAT8PASSBYVAL, TYPALIGN_DOUBLE));
		values[6] = PointerGetDatum(encode(r->state));
		if (SPI_execute_with_args(sql, 7, types, values, NULL, false, 0) < 0)
			elog(ERROR, "could not store a look");
	}
}
