/*
 * flat.c
 *	  The flat form of a scan's units: merge, send, receive.
 *
 * Two flats are merged in one pass over both, since both ascend by hash.
 */
#include "units/units.h"

#include <math.h>

#include "libpq/pqformat.h"
#include "miscadmin.h"
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
gr_units_add_entry(const CollectSpec *spec, UnitEntry *to, const UnitEntry *from)
{
	to->events += from->events;
	if (to->arm != from->arm)
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

/* Rename b's arms to a's numbers. */
static void
map_arms(Units *a, const Units *b, int *map)
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

void
gr_units_merge(Units *a, Units *b)
{
	MemoryContext old = MemoryContextSwitchTo(a->context);
	int			map[GR_MAX_ARMS];
	int			nlists = a->spec->nlists;
	Size	   *nbins = palloc0(sizeof(Size) * Max(nlists, 1));
	Size	   *at_a = palloc0(sizeof(Size) * Max(nlists, 1));
	Size	   *at_b = palloc0(sizeof(Size) * Max(nlists, 1));
	Size		total = 0;
	Size		units;
	uint32		i = 0,
				j = 0;
	Flat	   *out;

	gr_units_flatten(a);
	gr_units_flatten(b);
	map_arms(a, b, map);
	for (int k = 0; k < nlists; k++)
	{
		nbins[k] = a->flat->lists[k].n + b->flat->lists[k].n;
		total += nbins[k];
	}
	units = (Size) a->flat->n + b->flat->n;
	a->used = 0;
	gr_units_charge(a, flat_size(a, Max(a->flat->n, b->flat->n), total));
	out = flat_alloc(a, (uint32) units, nbins);
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
			gr_units_add_entry(a->spec, to, y);
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
	a->used = 0;
	gr_units_charge(a, flat_size(a, out->n, total));
	pfree(nbins);
	pfree(at_a);
	pfree(at_b);
	MemoryContextSwitchTo(old);
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
	Size		bins = 0;

	gr_units_flatten(u);
	for (int k = 0; k < u->spec->nlists; k++)
		bins += u->flat->lists[k].n;
	/* a datum ends at 1 GB */
	if (flat_size(u, u->flat->n, bins) > MaxAllocSize - 1024 * 1024 * 16)
		ereport(ERROR,
				(errcode(GR_ERRCODE_UNITS_MEMORY),
				 errmsg("units of one process are too many to send")));
	pq_begintypsend(&buf);
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
	enlargeStringInfo(&buf, flat_size(u, u->flat->n, bins));
	for (uint32 i = 0; i < u->flat->n; i++)
	{
		const UnitEntry *e = gr_entry(u->flat->entries, u->entry_size, i);

		pq_sendint64(&buf, e->hash);
		pq_sendint32(&buf, e->events);
		pq_sendint32(&buf, e->arm);
		for (int k = 0; k < u->spec->nslots; k++)
			pq_sendfloat8(&buf, e->slots[k]);
	}
	for (int k = 0; k < u->spec->nlists; k++)
	{
		const FlatList *list = &u->flat->lists[k];

		CHECK_FOR_INTERRUPTS();
		pq_sendint64(&buf, list->n);
		for (uint32 i = 0; i < u->flat->n; i++)
			pq_sendint32(&buf, list->count[i]);
		for (Size i = 0; i < list->n; i++)
			pq_sendint32(&buf, list->bin[i]);
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
	for (uint32 i = 0; i < n; i++)
	{
		UnitEntry  *e = gr_entry(u->flat->entries, u->entry_size, i);

		e->hash = pq_getmsgint64(&buf);
		e->events = pq_getmsgint(&buf, 4);
		e->arm = (int32) pq_getmsgint(&buf, 4);
		for (int k = 0; k < spec->nslots; k++)
			e->slots[k] = pq_getmsgfloat8(&buf);
	}
	for (int k = 0; k < spec->nlists; k++)
	{
		FlatList   *list = &u->flat->lists[k];

		list->n = (Size) pq_getmsgint64(&buf);
		list->count = palloc_extended(sizeof(uint32) * (Size) Max(n, 1), MCXT_ALLOC_HUGE);
		list->bin = palloc_extended(sizeof(int32) * Max(list->n, 1), MCXT_ALLOC_HUGE);
		for (uint32 i = 0; i < n; i++)
			list->count[i] = pq_getmsgint(&buf, 4);
		for (Size i = 0; i < list->n; i++)
			list->bin[i] = (int32) pq_getmsgint(&buf, 4);
	}
	pq_getmsgend(&buf);
	MemoryContextSwitchTo(old);
	return u;
}
