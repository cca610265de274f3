/*
 * send.c
 *	  Units of one process for another: merge, send, receive.
 *
 * They are sent unit by unit, ascending by hash, in few bytes (number.h): hash 8 ·
 * arm 1 (255: seen in several) · events · the unit's numbers · for each list the
 * count of its bins and the bins.  Whoever receives them keeps them so, and merges
 * them with others' while they are walked (walk.c).
 */
#include "units/walk.h"

#include <math.h>

#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "units/number.h"
#include "utils/memutils.h"

#define UNITS_VERSION 2

/* A datum ends at 1 GB. */
#define MOST_BYTES ((Size) MaxAllocSize - 1024)

void
gr_entry_add(const CollectSpec *spec, UnitEntry *to, const UnitEntry *from, int from_arm)
{
	to->events += from->events;
	if (to->arm != from_arm)
		to->arm = ARM_CROSSOVER;
	for (int f = 0; f < spec->nfolds; f++)
	{
		const Fold *fold = &spec->folds[f];
		double	   *x = &to->slots[fold->slot];
		double		y = from->slots[fold->slot];

		if (fold->kind == FOLD_SUM || fold->kind == FOLD_COUNT)
			*x += y;
		else if (fold->kind == FOLD_MAX)
			*x = (isnan(*x) || y > *x) ? y : *x;
		else if (fold->kind == FOLD_MIN)
			*x = (isnan(*x) || y < *x) ? y : *x;
	}
}

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
		for (int k = 0; k < GR_BATCHES; k++)
			to->rows[k] += from->rows[k];
		for (int k = 0; k < GR_BATCHES * a->spec->ncolumns; k++)
		{
			to->nulls[k] += from->nulls[k];
			to->nonfinite[k] += from->nonfinite[k];
		}
	}
	a->null_unit_rows += b->null_unit_rows;
	a->unknown_arm_rows += b->unknown_arm_rows;
}

void
gr_units_combine(Units *a, Units *b)
{
	Size		bytes = b->packed_end - b->packed;
	UnitsPart  *part;

	Assert(b->packed && b->nparts == 0);
	if (!gr_units_charge(a, bytes))
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
append_bins(const Walk *walk, int k, uint32 unit, FlatList *to, Size *capacity)
{
	Size		before = to->n;

	for (int i = 0; i < walk->nsources; i++)
	{
		const WalkBins *from = &walk->source[i].bins[k];

		if (!walk->source[i].here || from->n == 0)
			continue;
		if (to->n + from->n > *capacity)
		{
			*capacity = 2 * *capacity + from->n;
			to->bin = repalloc_huge(to->bin, sizeof(int32) * *capacity);
		}
		memcpy(to->bin + to->n, from->bin, sizeof(int32) * from->n);
		to->n += from->n;
	}
	to->count[unit] = (uint32) (to->n - before);
}

void
gr_units_flatten(Units *u)
{
	MemoryContext old = MemoryContextSwitchTo(u->context);
	Flat	   *flat = palloc0(sizeof(Flat));
	Size	   *capacity = palloc0(sizeof(Size) * Max(u->spec->nlists, 1));
	Walk		walk;
	Size		n;
	const UnitEntry *e;

	gr_walk_init(&walk, u, true);
	n = Max(gr_walk_start(&walk), 1);
	flat->entries = palloc_extended(u->entry_size * n, MCXT_ALLOC_HUGE);
	flat->lists = palloc0(sizeof(FlatList) * Max(u->spec->nlists, 1));
	for (int k = 0; k < u->spec->nlists; k++)
	{
		capacity[k] = n;
		flat->lists[k].count = palloc_extended(sizeof(uint32) * n, MCXT_ALLOC_HUGE);
		flat->lists[k].bin = palloc_extended(sizeof(int32) * n, MCXT_ALLOC_HUGE);
	}
	while ((e = gr_walk_next(&walk)) != NULL)
	{
		if ((flat->n & 0xffff) == 0)
			CHECK_FOR_INTERRUPTS();
		memcpy(gr_entry(flat->entries, u->entry_size, flat->n), e, u->entry_size);
		for (int k = 0; k < u->spec->nlists; k++)
			append_bins(&walk, k, flat->n, &flat->lists[k], &capacity[k]);
		flat->n++;
	}
	pfree(capacity);
	u->nparts = 0;
	u->packed = u->packed_end = NULL;
	u->flat = flat;
	MemoryContextSwitchTo(old);
}

/* ---- bytes ---------------------------------------------------------------------- */

/* The bytes that the unit at hand takes at most. */
static Size
most_bytes(const Walk *walk)
{
	Size		n = sizeof(uint64) + 1 +
		GR_NUMBER_SIZE * (Size) (1 + walk->spec->nslots + walk->spec->nlists);

	for (int i = 0; i < walk->nsources; i++)
		for (int k = 0; walk->source[i].here && k < walk->spec->nlists; k++)
			n += GR_NUMBER_SIZE * (Size) walk->source[i].bins[k].n;
	return n;
}

static char *
pack_bins(char *p, const Walk *walk, int k)
{
	uint64		n = 0;

	for (int i = 0; i < walk->nsources; i++)
		if (walk->source[i].here)
			n += walk->source[i].bins[k].n;
	gr_put_number(&p, n);
	for (int i = 0; i < walk->nsources; i++)
		for (uint32 j = 0; walk->source[i].here && j < walk->source[i].bins[k].n; j++)
			gr_put_number(&p, gr_zigzag(walk->source[i].bins[k].bin[j]));
	return p;
}

/* All units, behind their number. */
static void
send_units(StringInfo buf, Units *u)
{
	int			at_number = buf->len;
	uint32		n = 0;
	Walk		walk;
	const UnitEntry *e;

	pq_sendint32(buf, 0);
	gr_walk_init(&walk, u, true);
	gr_walk_start(&walk);
	while ((e = gr_walk_next(&walk)) != NULL)
	{
		Size		need = most_bytes(&walk);
		char	   *p;

		if ((n++ & 0xffff) == 0)
			CHECK_FOR_INTERRUPTS();
		if (buf->len + need > MOST_BYTES)
			gr_units_too_many(u);
		if ((Size) (buf->maxlen - buf->len) <= need)
			enlargeStringInfo(buf, (int) need);
		p = buf->data + buf->len;
		gr_put_bytes(&p, e->hash, sizeof(uint64));
		*p++ = (char) e->arm;
		gr_put_number(&p, e->events);
		for (int k = 0; k < u->spec->nslots; k++)
			gr_put_double(&p, e->slots[k]);
		for (int k = 0; k < u->spec->nlists; k++)
			p = pack_bins(p, &walk, k);
		buf->len = (int) (p - buf->data);
	}
	n = pg_hton32(n);
	memcpy(buf->data + at_number, &n, sizeof(n));
}

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
}

bytea *
gr_units_serialize(Units *u)
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
	send_units(&buf, u);
	MemoryContextSwitchTo(old);
	MemoryContextDelete(work);
	if (!u->packed)
		gr_units_free_table(u);
	return pq_endtypsend(&buf);
}

Units *
gr_units_deserialize(MemoryContext context, const bytea *bytes)
{
	MemoryContext old = MemoryContextSwitchTo(context);
	StringInfoData buf;
	CollectSpec *spec;
	Units	   *u;
	int			narms;
	Size		size,
				slack;

	buf.data = (char *) VARDATA_ANY(bytes);
	buf.len = VARSIZE_ANY_EXHDR(bytes);
	buf.maxlen = buf.len;
	buf.cursor = 0;
	if (pq_getmsgbyte(&buf) != UNITS_VERSION)
		elog(ERROR, "unsupported version of a units state");
	spec = gr_spec_parse(receive_text(&buf));
	u = gr_units_make(context, spec, (Size) pq_getmsgint64(&buf));
	gr_units_free_table(u);
	u->null_unit_rows = pq_getmsgint64(&buf);
	u->unknown_arm_rows = pq_getmsgint64(&buf);
	narms = (int) pq_getmsgint(&buf, 4);
	for (int a = 0; a < narms; a++)
	{
		char	   *name = receive_text(&buf);

		gr_units_add_arm(u, name, strlen(name));
		receive_counts(&buf, &u->counts[a], spec->ncolumns);
	}
	u->n = pq_getmsgint(&buf, 4);
	size = buf.len - buf.cursor;
	/* what is read of a unit before the end is looked for */
	slack = sizeof(uint64) + 1 + GR_NUMBER_SIZE * (Size) (2 + spec->nslots + spec->nlists);
	u->packed = palloc_extended(size + slack, MCXT_ALLOC_HUGE);
	memcpy(u->packed, pq_getmsgbytes(&buf, (int) size), size);
	memset(u->packed + size, 0, slack);
	u->packed_end = u->packed + size;
	(void) gr_units_charge(u, size);
	MemoryContextSwitchTo(old);
	return u;
}
