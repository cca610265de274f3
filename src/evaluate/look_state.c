/*
 * look_state.c
 *	  The group-sequential recursion, stored between looks.
 *
 * One row for each kind and level of test: the bounds of the looks so far, and
 * the density that the next step starts from.  It is a cache: rows that do not
 * fit the recorded looks, or are not as they were written, are computed anew.
 */
#include "evaluate/past.h"

#include "catalog/pg_type.h"
#include "executor/spi.h"
#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/array.h"

/* Version 1 had no checksum. */
#define STATE_VERSION 2

/* Of what a row is about, its bounds, and the bytes of its state before the checksum. */
static uint32
row_checksum(const Experiment *e, int kind, double level, const double *bounds, int n, const char *bytes, int length)
{
	GrChecksum	c;

	gr_checksum_start(&c);
	gr_checksum_text(&c, e->id);
	gr_checksum_int(&c, e->plan_version);
	gr_checksum_int(&c, kind);
	gr_checksum_int(&c, DatumGetInt64(Float8GetDatum(level)));
	gr_checksum_int(&c, n);
	for (int k = 0; k < n; k++)
		gr_checksum_int(&c, DatumGetInt64(Float8GetDatum(bounds[k])));
	gr_checksum_bytes(&c, bytes, length);
	return (uint32) gr_checksum_end(&c);
}

static bytea *
encode(const Experiment *e, const GrBoundRow *r)
{
	const GrLookState *s = r->state;
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
	pq_sendint32(&buf, row_checksum(e, r->kind, r->level, r->bound, r->known, buf.data + VARHDRSZ, buf.len - VARHDRSZ));
	return pq_endtypsend(&buf);
}

/* The bytes before the checksum; false: they are none that encode makes. */
static bool
decode(StringInfo buf, GrLookState *s)
{
	int			head = 1 + 3 * 4 + 2 * 8;

	if (buf->len < head || pq_getmsgbyte(buf) != STATE_VERSION)
		return false;
	s->sides = (int) pq_getmsgint(buf, 4);
	s->looks = (int) pq_getmsgint(buf, 4);
	s->npoints = (int) pq_getmsgint(buf, 4);
	if (s->npoints < 0 || s->npoints > GR_GRID || buf->len != head + 16 * s->npoints)
		return false;
	s->t = pq_getmsgfloat8(buf);
	s->spent = pq_getmsgfloat8(buf);
	for (int i = 0; i < s->npoints; i++)
	{
		s->x[i] = pq_getmsgfloat8(buf);
		s->w[i] = pq_getmsgfloat8(buf);
	}
	return gr_look_valid(s);
}

/* A stored row, one of the query at hand. */
typedef struct StoredLook
{
	int			kind;
	double		level;
	int			n;
	double	   *bounds;
} StoredLook;

/* Into the scratch state of the monitor; false: it is not as it was written. */
static bool
read_row(GrMonitor *m, const Experiment *e, int row, StoredLook *look)
{
	TupleDesc	desc = SPI_tuptable->tupdesc;
	HeapTuple	tuple = SPI_tuptable->vals[row];
	StringInfoData buf;
	uint32		checksum;
	bool		no_bounds,
				no_state;
	Datum		bounds = SPI_getbinval(tuple, desc, 3, &no_bounds);
	Datum		state = SPI_getbinval(tuple, desc, 4, &no_state);
	Datum	   *elements;
	bool	   *nulls;

	look->kind = (int) gr_spi_int8(row, 1, -1);
	look->level = gr_spi_float8(row, 2, 0);
	if (look->kind < 0 || look->kind >= GR_TEST_KINDS || no_bounds || no_state)
		return false;
	deconstruct_array(DatumGetArrayTypeP(bounds), FLOAT8OID, 8, FLOAT8PASSBYVAL, TYPALIGN_DOUBLE, &elements, &nulls,
					  &look->n);
	look->bounds = palloc(sizeof(double) * Max(look->n, 1));
	for (int k = 0; k < look->n; k++)
	{
		if (nulls[k])
			return false;
		look->bounds[k] = DatumGetFloat8(elements[k]);
	}
	buf.data = (char *) VARDATA_ANY(DatumGetByteaPP(state));
	buf.len = buf.maxlen = (int) VARSIZE_ANY_EXHDR(DatumGetByteaPP(state)) - (int) sizeof(uint32);
	buf.cursor = 0;
	if (buf.len < 0)
		return false;
	/* of an earlier version: not damaged, but of no use */
	if (buf.data[0] == 1)
	{
		look->n = -1;
		return true;
	}
	memcpy(&checksum, buf.data + buf.len, sizeof(checksum));
	return pg_ntoh32(checksum) == row_checksum(e, look->kind, look->level, look->bounds, look->n, buf.data, buf.len) &&
		decode(&buf, m->scratch);
}

/* One stored row into the monitor, if it is what the recorded looks call for. */
static void
load_row(GrMonitor *m, const Experiment *e, int row)
{
	StoredLook	look = {0};
	GrBoundRow *r;

	if (!read_row(m, e, row, &look))
	{
		ereport(WARNING,
				(errcode(ERRCODE_DATA_CORRUPTED),
				 errmsg("stored bounds of experiment \"%s\" are damaged and will not be used", e->id),
				 errhint("No action is needed: guardrail computes them again from the recorded looks.")));
		return;
	}
	if (look.n != m->nlooks || m->scratch->t != m->fraction[m->nlooks - 1])
		return;
	r = gr_monitor_row(m, (GrTestKind) look.kind, look.level);
	if (r == NULL || r->state->sides != m->scratch->sides)
		return;
	memcpy(r->bound, look.bounds, sizeof(double) * look.n);
	memcpy(r->state, m->scratch, sizeof(GrLookState));
	r->known = look.n;
}

void
gr_monitor_make_room(GrMonitor *m, int rows)
{
	int			room = m->nrows + rows;

	if (room <= m->rows_room)
		return;
	m->rows = m->rows ? repalloc(m->rows, sizeof(GrBoundRow) * room) : palloc(sizeof(GrBoundRow) * room);
	for (int i = m->rows_room; i < room; i++)
	{
		MemSet(&m->rows[i], 0, sizeof(GrBoundRow));
		m->rows[i].bound = palloc(sizeof(double) * (m->nlooks + 1));
		m->rows[i].state = palloc(sizeof(GrLookState));
	}
	m->rows_room = room;
}

void
gr_look_state_load(GrMonitor *m, const char *schema, const Experiment *e)
{
	const char *args[] = {e->id, psprintf("%d", e->plan_version), psprintf("%d", m->nlooks)};
	OwnerContext saved;

	gr_writer_enter(&saved, e->function);
	gr_spi_query(psprintf("SELECT kind::bigint, level::float8, bounds::float8[], state::bytea FROM %s.guardrail_look_state"
						  " WHERE experiment_id = $1 AND plan_version = $2::integer"
						  " AND looks = $3::integer", schema), true, 3, args);
	gr_monitor_make_room(m, m->rows_room + (int) SPI_processed);
	for (int i = 0; i < (int) SPI_processed; i++)
		load_row(m, e, i);
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
		values[6] = PointerGetDatum(encode(e, r));
		if (SPI_execute_with_args(sql, 7, types, values, NULL, false, 0) < 0)
			elog(ERROR, "could not store a look");
	}
}
