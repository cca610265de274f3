/*
 * send.c
 *	  Units of one process for another: merge, send, receive.
 *
 * They are sent flat: entries ascending by hash, and for each list the count of each
 * unit's bins and the bins.  Processes of a parallel query have memory in common:
 * there the leader reads them where they were written, and merges them while they
 * are walked (walk.c).
 */
#include "units/walk.h"

#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "utils/dsa.h"
#include "utils/memutils.h"

#define UNITS_VERSION 4

/* A datum ends at 1 GB. */
#define MOST_BYTES ((Size) MaxAllocSize - 1024)

/* Add b's counts of rows to a's; map: the numbers that b's arms have in a. */
static void
merge_counts(Units *a, const Units *b, int *map)
{
	for (int i = 0; i < b->narms; i++)
	{
		RowCounts  *to;
		const RowCounts *from = &b->counts[i];

		map[i] = gr_units_arm(a, b->arm_name[i], b->arm_length[i]);
		if (map[i] < 0)
			elog(ERROR, "arm \"%s\" is not known to both processes", b->arm_name[i]);
		to = &a->counts[map[i]];
		gr_counts_add(to, from, a->spec->ncolumns);
	}
	a->null_unit_rows += b->null_unit_rows;
	a->unknown_arm_rows += b->unknown_arm_rows;
}

void
gr_units_combine(Units *a, Units *b)
{
	UnitsPart  *part;

	Assert(b->flat && b->nparts == 0);
	if (!gr_units_charge(a, b->used))
		gr_units_too_many(a);
	if (a->parts == NULL)
		a->parts = MemoryContextAlloc(a->context, sizeof(UnitsPart));
	else
		a->parts = repalloc(a->parts, sizeof(UnitsPart) * (a->nparts + 1));
	part = &a->parts[a->nparts++];
	part->units = b;
	merge_counts(a, b, part->arm);
}

/* ---- flat --------------------------------------------------------------------- */

/* The bins of a list of the unit at hand to the end of a flat's. */
static void
append_bins(const Walk *walk, int k, uint32 unit, FlatList *to)
{
	Size		before = to->n;

	for (int i = 0; i < walk->nsources; i++)
	{
		const WalkBins *from = &walk->source[i].bins[k];

		if (!walk->source[i].here || from->n == 0)
			continue;
		memcpy(to->bin + to->n, from->bin, sizeof(int32) * from->n);
		to->n += from->n;
	}
	to->count[unit] = (uint32) (to->n - before);
}

/* Where in one chunk of memory the arrays of a flat are, which has so many at most. */
static Size
lay_out(const CollectSpec *spec, char *at, Size units, const uint64 *bins, Flat *flat)
{
	Size		size = MAXALIGN(GR_ENTRY_SIZE(spec->nslots) * units);

	flat->entries = at;
	for (int k = 0; k < spec->nlists; k++)
	{
		flat->lists[k].count = (uint32 *) (at + size);
		size += MAXALIGN(sizeof(uint32) * units);
		flat->lists[k].bin = (int32 *) (at + size);
		size += MAXALIGN(sizeof(int32) * bins[k]);
	}
	return size;
}

static Flat *
make_flat(const CollectSpec *spec)
{
	Flat	   *flat = palloc0(sizeof(Flat));

	flat->lists = palloc0(sizeof(FlatList) * Max(spec->nlists, 1));
	return flat;
}

/* All units into a flat that is laid out. */
static void
write_flat(Walk *walk, Flat *flat)
{
	const UnitEntry *e;

	gr_walk_start(walk, true);
	while ((e = gr_walk_next(walk)) != NULL)
	{
		if ((flat->n & 0xffff) == 0)
			CHECK_FOR_INTERRUPTS();
		memcpy(gr_entry(flat->entries, walk->entry_size, flat->n), e, walk->entry_size);
		for (int k = 0; k < walk->spec->nlists; k++)
			append_bins(walk, k, flat->n, &flat->lists[k]);
		flat->n++;
	}
}

/* The most that a flat of all units may have. */
static Size
count_all(const Walk *walk, uint64 *bins)
{
	Size		n = gr_walk_count(walk);

	for (int k = 0; k < walk->spec->nlists; k++)
		bins[k] = gr_walk_count_bins(walk, k);
	if (n > PG_UINT32_MAX)
		elog(ERROR, "too many units");
	return n;
}

/* ---- bytes ---------------------------------------------------------------------- */

static void
send_text(StringInfo buf, const char *text)
{
	pq_sendint32(buf, strlen(text));
	pq_sendbytes(buf, text, strlen(text));
}

static char *
receive_text(StringInfo buf)
{
	int			len = (int) pq_getmsgint(buf, 4);

	return pnstrdup(pq_getmsgbytes(buf, len), len);
}

static void
send_counts(StringInfo buf, const RowCounts *counts, int ncolumns)
{
	for (int k = 0; k < GR_BATCHES; k++)
		pq_sendint64(buf, counts->rows[k]);
	for (int k = 0; k < GR_BATCHES * ncolumns; k++)
	{
		pq_sendint64(buf, counts->nulls[k]);
		pq_sendint64(buf, counts->nonfinite[k]);
	}
	for (int k = 0; k < ncolumns; k++)
	{
		TieList		ties = gr_ties_list(&counts->ties[k]);

		gr_ties_encode(buf, &ties);
		pfree(ties.ties);
	}
}

static void
receive_counts(StringInfo buf, RowCounts *counts, int ncolumns)
{
	for (int k = 0; k < GR_BATCHES; k++)
		counts->rows[k] = pq_getmsgint64(buf);
	for (int k = 0; k < GR_BATCHES * ncolumns; k++)
	{
		counts->nulls[k] = pq_getmsgint64(buf);
		counts->nonfinite[k] = pq_getmsgint64(buf);
	}
	for (int k = 0; k < ncolumns; k++)
	{
		const char *p = buf->data + buf->cursor;
		TieList		ties;

		if (!gr_ties_decode(&ties, &p, buf->data + buf->len))
			ereport(ERROR,
					(errcode(ERRCODE_DATA_CORRUPTED),
					 errmsg("invalid state of _guardrail_collect")));
		gr_ties_merge_list(&counts->ties[k], &ties);
		buf->cursor = (int) (p - buf->data);
	}
}

/*
 * Units and their bins: how many at most, how many, then either where they are, or
 * they themselves.
 */
static void
send_units(StringInfo buf, Units *u, dsa_area *area)
{
	Flat	   *flat = make_flat(u->spec);
	uint64	   *bins = palloc(sizeof(uint64) * Max(u->spec->nlists, 1));
	Walk		walk;
	Size		n,
				size;
	int			at_numbers;
	uint64		number;

	gr_walk_init(&walk, u);
	n = count_all(&walk, bins);
	size = lay_out(u->spec, NULL, n, bins, flat);
	pq_sendint64(buf, n);
	for (int k = 0; k < u->spec->nlists; k++)
		pq_sendint64(buf, bins[k]);
	at_numbers = buf->len;
	for (int k = 0; k <= u->spec->nlists; k++)
		pq_sendint64(buf, 0);
	if (area && size > 0)
	{
		dsa_pointer chunk;

		if (size > u->limit / 2)
			gr_units_too_many(u);
		chunk = dsa_allocate_extended(area, size, DSA_ALLOC_HUGE);
		pq_sendint64(buf, chunk);
		(void) lay_out(u->spec, dsa_get_address(area, chunk), n, bins, flat);
		write_flat(&walk, flat);
	}
	else
	{
		Size		start = MAXALIGN(buf->len + sizeof(uint64));

		if (start + size > MOST_BYTES)
			gr_units_too_many(u);
		pq_sendint64(buf, InvalidDsaPointer);
		enlargeStringInfo(buf, (int) (start + size) - buf->len);
		memset(buf->data + buf->len, 0, start - buf->len);
		(void) lay_out(u->spec, buf->data + start, n, bins, flat);
		write_flat(&walk, flat);
		buf->len = (int) (start + size);
	}
	for (int k = 0; k <= u->spec->nlists; k++)
	{
		number = pg_hton64(k == 0 ? flat->n : flat->lists[k - 1].n);
		memcpy(buf->data + at_numbers + sizeof(number) * k, &number, sizeof(number));
	}
}

bytea *
gr_units_serialize(Units *u, dsa_area *area)
{
	MemoryContext work = AllocSetContextCreate(CurrentMemoryContext, "units to send",
											   ALLOCSET_DEFAULT_SIZES);
	StringInfoData buf;
	MemoryContext old;

	gr_units_flush(u);
	pq_begintypsend(&buf);
	pq_sendbyte(&buf, UNITS_VERSION);
	send_text(&buf, gr_spec_print(u->spec));
	pq_sendint64(&buf, u->limit);
	pq_sendint64(&buf, u->null_unit_rows);
	pq_sendint64(&buf, u->unknown_arm_rows);
	pq_sendint32(&buf, u->narms);
	for (int a = 0; a < u->narms; a++)
	{
		send_text(&buf, u->arm_name[a]);
		send_counts(&buf, &u->counts[a], u->spec->ncolumns);
	}
	old = MemoryContextSwitchTo(work);
	send_units(&buf, u, area);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
	gr_units_free_tables(u);
	return pq_endtypsend(&buf);
}

static void
receive_units(StringInfo buf, Units *u, dsa_area *area, bool stays)
{
	Flat	   *flat = make_flat(u->spec);
	uint64	   *bins = palloc(sizeof(uint64) * Max(u->spec->nlists, 1));
	Size		n,
				size;
	dsa_pointer chunk;
	char	   *at;

	n = (Size) pq_getmsgint64(buf);
	for (int k = 0; k < u->spec->nlists; k++)
		bins[k] = (uint64) pq_getmsgint64(buf);
	flat->n = (uint32) pq_getmsgint64(buf);
	for (int k = 0; k < u->spec->nlists; k++)
		flat->lists[k].n = (Size) pq_getmsgint64(buf);
	chunk = (dsa_pointer) pq_getmsgint64(buf);
	size = lay_out(u->spec, NULL, n, bins, flat);
	if (!DsaPointerIsValid(chunk))
	{
		(void) pq_getmsgbytes(buf, (int) (MAXALIGN(buf->cursor + VARHDRSZ) - VARHDRSZ) - buf->cursor);
		at = unconstify(char *, pq_getmsgbytes(buf, (int) size));
		stays = false;
	}
	else if (area)
		at = dsa_get_address(area, chunk);
	else
		ereport(ERROR,
				(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
				 errmsg("units of parallel workers can only be merged directly above their Gather node"),
				 errhint("Set enable_partitionwise_aggregate to off.")));
	if (!stays)
		at = memcpy(palloc_extended(size + 1, MCXT_ALLOC_HUGE), at, size);
	(void) lay_out(u->spec, at, n, bins, flat);
	pfree(bins);
	u->flat = flat;
	u->used += size;
}

Units *
gr_units_deserialize(MemoryContext context, const bytea *bytes, dsa_area *area, bool stays)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	StringInfoData buf;
	CollectSpec *spec;
	Units	   *u;
	int			narms;

	buf.data = (char *) VARDATA_ANY(bytes);
	buf.len = VARSIZE_ANY_EXHDR(bytes);
	buf.maxlen = buf.len;
	buf.cursor = 0;
	if (pq_getmsgbyte(&buf) != UNITS_VERSION)
		elog(ERROR, "unsupported version of a units state");
	spec = gr_spec_parse(receive_text(&buf));
	u = gr_units_make(context, spec, (Size) pq_getmsgint64(&buf));
	gr_units_free_tables(u);
	u->null_unit_rows = pq_getmsgint64(&buf);
	u->unknown_arm_rows = pq_getmsgint64(&buf);
	narms = (int) pq_getmsgint(&buf, 4);
	for (int a = 0; a < narms; a++)
	{
		char	   *name = receive_text(&buf);

		gr_units_add_arm(u, name, strlen(name));
		receive_counts(&buf, &u->counts[a], spec->ncolumns);
	}
	receive_units(&buf, u, area, stays);
	MemoryContextSwitchTo(old);
	return u;
}
