/*
 * flat.c
 *	  The flat form of a scan's units: merge, send, receive.
 *
 * Two flats are merged in one pass over both, since both ascend by hash.  What
 * parallel workers send is not merged here but when it is folded (walk.c).
 */
#include "units/units.h"

#include <math.h>

#include "libpq/pqformat.h"
#include "miscadmin.h"
#include "port/pg_bswap.h"
#include "utils/memutils.h"

#define UNITS_VERSION 1

static Flat *
flat_alloc(const Units *u, uint32 nunits, const Size *nbins)
{
	Flat	   *flat = palloc0(sizeof(Flat));

	flat->entries = palloc_extended(u->entry_size * Max(nunits, 1), MCXT_ALLOC_HUGE);
	flat->lists = palloc0(sizeof(FlatList) * Max(u->spec->nlists, 1));
	for (int k = 0; k < u->spec->nlists; k++)
	{
		flat->lists[k].count = palloc_extended(sizeof(uint32) * (Size) Max(nunits, 1),
											   MCXT_ALLOC_HUGE);
		flat->lists[k].bin = palloc_extended(sizeof(int32) * Max(nbins[k], 1),
											 MCXT_ALLOC_HUGE);
	}
	return flat;
}

static void
flat_free(const Units *u, Flat *flat)
{
	for (int k = 0; k < u->spec->nlists; k++)
	{
		pfree(flat->lists[k].count);
		pfree(flat->lists[k].bin);
	}
	pfree(flat->lists);
	pfree(flat->entries);
	pfree(flat);
}

/* The bytes of a flat of that many units and bins. */
static Size
flat_size(const Units *u, Size nunits, Size nbins)
{
	return nunits * (u->entry_size + sizeof(uint32) * u->spec->nlists) +
		nbins * sizeof(int32);
}

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

		map[i] = gr_units_arm(a, b->arm_name[i], strlen(b->arm_name[i]));
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

/* One unit's bins of list k, from position *at of "from", to the end of "to". */
static void
move_bins(FlatList *to, const FlatList *from, uint32 unit, Size *at)
{
	uint32		n = from->count[unit];

	memcpy(to->bin + to->n, from->bin + *at, sizeof(int32) * n);
	to->n += n;
	*at += n;
}

/* Merge b's units into a's. */
static void
merge_flats(Units *a, Units *b, const int *map)
{
	MemoryContext old = MemoryContextSwitchTo(a->context);
	int			nlists = a->spec->nlists;
	Size	   *nbins = palloc0(sizeof(Size) * Max(nlists, 1));
	Size	   *at_a = palloc0(sizeof(Size) * Max(nlists, 1));
	Size	   *at_b = palloc0(sizeof(Size) * Max(nlists, 1));
	uint32		i = 0,
				j = 0;
	Flat	   *out;

	for (int k = 0; k < nlists; k++)
		nbins[k] = a->flat->lists[k].n + b->flat->lists[k].n;
	out = flat_alloc(a, a->flat->n + b->flat->n, nbins);
	while (i < a->flat->n || j < b->flat->n)
	{
		UnitEntry  *to = gr_entry(out->entries, a->entry_size, out->n);
		const UnitEntry *x = i < a->flat->n ? gr_entry(a->flat->entries, a->entry_size, i) : NULL;
		UnitEntry  *y = j < b->flat->n ? gr_entry(b->flat->entries, a->entry_size, j) : NULL;
		bool		take_a = x && (!y || x->hash <= y->hash);
		bool		take_b = y && (!x || y->hash <= x->hash);

		if ((out->n & 0xffff) == 0)
			CHECK_FOR_INTERRUPTS();
		if (take_b && y->arm >= 0)
			y->arm = map[y->arm];
		memcpy(to, take_a ? x : y, a->entry_size);
		if (take_a && take_b)
			gr_entry_add(a->spec, to, y, y->arm);
		for (int k = 0; k < nlists; k++)
		{
			Size		before = out->lists[k].n;

			if (take_a)
				move_bins(&out->lists[k], &a->flat->lists[k], i, &at_a[k]);
			if (take_b)
				move_bins(&out->lists[k], &b->flat->lists[k], j, &at_b[k]);
			out->lists[k].count[out->n] = (uint32) (out->lists[k].n - before);
		}
		i += take_a;
		j += take_b;
		out->n++;
	}
	flat_free(a, a->flat);
	flat_free(b, b->flat);
	b->flat = NULL;
	a->flat = out;
	pfree(nbins);
	pfree(at_a);
	pfree(at_b);
	MemoryContextSwitchTo(old);
}

/* Bytes of u's flat, without its parts. */
static Size
own_size(const Units *u)
{
	Size		nbins = 0;

	for (int k = 0; k < u->spec->nlists; k++)
		nbins += u->flat->lists[k].n;
	return flat_size(u, u->flat->n, nbins);
}

/* Merge all parts into the whole. */
static void
merge_parts(Units *u)
{
	for (int i = 0; i < u->nparts; i++)
		merge_flats(u, u->parts[i].units, u->parts[i].arm);
	u->nparts = 0;
	u->used = 0;
	if (!gr_units_charge(u, own_size(u)))
		gr_units_too_many(u);
}

void
gr_units_combine(Units *a, Units *b)
{
	UnitsPart  *part;

	gr_units_flatten(a);
	gr_units_flatten(b);
	merge_parts(b);
	if (a->parts == NULL)
		a->parts = MemoryContextAlloc(a->context, sizeof(UnitsPart));
	else
		a->parts = repalloc(a->parts, sizeof(UnitsPart) * (a->nparts + 1));
	part = &a->parts[a->nparts++];
	part->units = b;
	merge_counts(a, b, part->arm);
	if (a->nparts == 1)
		a->used = own_size(a);
	a->used += own_size(b);
	if (a->used > a->limit)
		merge_parts(a);
}

void
gr_units_merge(Units *a, Units *b)
{
	gr_units_combine(a, b);
	merge_parts(a);
}

/* ---- bytes: every field in network order, arrays as a whole ---------------- */

static char *
put_uint32s(char *to, const void *from, Size n)
{
	for (Size i = 0; i < n; i++)
	{
		uint32		x;

		memcpy(&x, (const char *) from + 4 * i, 4);
		x = pg_hton32(x);
		memcpy(to + 4 * i, &x, 4);
	}
	return to + 4 * n;
}

static char *
put_uint64s(char *to, const void *from, Size n)
{
	for (Size i = 0; i < n; i++)
	{
		uint64		x;

		memcpy(&x, (const char *) from + 8 * i, 8);
		x = pg_hton64(x);
		memcpy(to + 8 * i, &x, 8);
	}
	return to + 8 * n;
}

/* Room for that many bytes at the end of the buffer, which are written there. */
static char *
make_room(StringInfo buf, Size size)
{
	char	   *to;

	enlargeStringInfo(buf, (int) size);
	to = buf->data + buf->len;
	buf->len += (int) size;
	return to;
}

static void
send_entries(StringInfo buf, const Units *u)
{
	char	   *to = make_room(buf, u->flat->n * u->entry_size);

	for (uint32 i = 0; i < u->flat->n; i++)
	{
		const UnitEntry *e = gr_entry(u->flat->entries, u->entry_size, i);

		to = put_uint64s(to, &e->hash, 1);
		to = put_uint32s(to, &e->events, 1);
		to = put_uint32s(to, &e->arm, 1);
		to = put_uint64s(to, e->slots, u->spec->nslots);
	}
}

static void
receive_entries(StringInfo buf, Units *u)
{
	Size		size = u->flat->n * u->entry_size;
	const char *from = pq_getmsgbytes(buf, (int) size);

	for (uint32 i = 0; i < u->flat->n; i++, from += u->entry_size)
	{
		UnitEntry  *e = gr_entry(u->flat->entries, u->entry_size, i);

		put_uint64s((char *) &e->hash, from, 1);
		put_uint32s((char *) &e->events, from + 8, 1);
		put_uint32s((char *) &e->arm, from + 12, 1);
		put_uint64s((char *) e->slots, from + 16, u->spec->nslots);
	}
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

bytea *
gr_units_serialize(Units *u)
{
	StringInfoData buf;

	gr_units_flatten(u);
	merge_parts(u);
	/* a datum ends at 1 GB */
	if (own_size(u) > MaxAllocSize - 1024 * 1024 * 16)
		ereport(ERROR,
				(errcode(GR_ERRCODE_UNITS_MEMORY),
				 errmsg("units of one process are too many to send")));
	pq_begintypsend(&buf);
	enlargeStringInfo(&buf, (int) own_size(u));
	pq_sendbyte(&buf, UNITS_VERSION);
	send_text(&buf, gr_spec_print(u->spec));
	pq_sendint64(&buf, u->limit);
	pq_sendbyte(&buf, u->arms_fixed);
	pq_sendint64(&buf, u->null_unit_rows);
	pq_sendint64(&buf, u->unknown_arm_rows);
	pq_sendint32(&buf, u->narms);
	for (int a = 0; a < u->narms; a++)
	{
		send_text(&buf, u->arm_name[a]);
		for (int k = 0; k < GR_BATCHES; k++)
			pq_sendint64(&buf, u->counts[a].rows[k]);
		for (int k = 0; k < GR_BATCHES * u->spec->ncolumns; k++)
		{
			pq_sendint64(&buf, u->counts[a].nulls[k]);
			pq_sendint64(&buf, u->counts[a].nonfinite[k]);
		}
	}
	pq_sendint32(&buf, u->flat->n);
	send_entries(&buf, u);
	for (int k = 0; k < u->spec->nlists; k++)
	{
		const FlatList *list = &u->flat->lists[k];

		CHECK_FOR_INTERRUPTS();
		pq_sendint64(&buf, list->n);
		put_uint32s(make_room(&buf, 4 * (Size) u->flat->n), list->count, u->flat->n);
		put_uint32s(make_room(&buf, 4 * list->n), list->bin, list->n);
	}
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
	uint32		n;

	buf.data = (char *) VARDATA_ANY(bytes);
	buf.len = VARSIZE_ANY_EXHDR(bytes);
	buf.maxlen = buf.len;
	buf.cursor = 0;
	if (pq_getmsgbyte(&buf) != UNITS_VERSION)
		elog(ERROR, "unsupported version of a units state");
	spec = gr_spec_parse(receive_text(&buf));
	u = gr_units_make(context, spec, (Size) pq_getmsgint64(&buf));
	u->arms_fixed = false;
	(void) pq_getmsgbyte(&buf);
	u->null_unit_rows = pq_getmsgint64(&buf);
	u->unknown_arm_rows = pq_getmsgint64(&buf);
	narms = (int) pq_getmsgint(&buf, 4);
	for (int a = 0; a < narms; a++)
	{
		char	   *name = receive_text(&buf);

		gr_units_add_arm(u, name, strlen(name));
		for (int k = 0; k < GR_BATCHES; k++)
			u->counts[a].rows[k] = pq_getmsgint64(&buf);
		for (int k = 0; k < GR_BATCHES * spec->ncolumns; k++)
		{
			u->counts[a].nulls[k] = pq_getmsgint64(&buf);
			u->counts[a].nonfinite[k] = pq_getmsgint64(&buf);
		}
	}
	n = pq_getmsgint(&buf, 4);
	u->flat = palloc0(sizeof(Flat));
	u->flat->n = n;
	u->flat->entries = palloc_extended(u->entry_size * Max(n, 1), MCXT_ALLOC_HUGE);
	u->flat->lists = palloc0(sizeof(FlatList) * Max(spec->nlists, 1));
	receive_entries(&buf, u);
	for (int k = 0; k < spec->nlists; k++)
	{
		FlatList   *list = &u->flat->lists[k];

		list->n = (Size) pq_getmsgint64(&buf);
		list->count = palloc_extended(sizeof(uint32) * (Size) Max(n, 1), MCXT_ALLOC_HUGE);
		list->bin = palloc_extended(sizeof(int32) * Max(list->n, 1), MCXT_ALLOC_HUGE);
		put_uint32s((char *) list->count, pq_getmsgbytes(&buf, 4 * (int) n), n);
		put_uint32s((char *) list->bin, pq_getmsgbytes(&buf, (int) (4 * list->n)), list->n);
	}
	pq_getmsgend(&buf);
	MemoryContextSwitchTo(old);
	return u;
}
