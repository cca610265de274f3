/*
 * state.c
 *	  The stored bytes of a slice: its head and its parts.
 *
 * Part, version 1, integers in network byte order, column by column:
 *	 version 1 byte · numbers per unit 2 · units 4 · hash 8 each, ascending ·
 *	 events 4 each · arm 1 each (255: seen in several) · for each number 8 each
 * that is 13 bytes and 8 for each number that is kept of a unit.
 *
 * Head, version 1, numbers as varints (seven bits a byte, the lowest first; signed
 * ones zigzag): what is most often zero or small takes a byte.
 */
#include "slice/slice.h"

#include "miscadmin.h"
#include "port/pg_bswap.h"

#define STATE_VERSION 1
#define PART_HEADER 7
#define ARM_BYTE_CROSSOVER 255

void
gr_slice_corrupt(void)
{
	ereport(ERROR,
			(errcode(ERRCODE_DATA_CORRUPTED),
			 errmsg("stored slice is damaged"),
			 errhint("Recompute the slices with guardrail_rebuild().")));
}

/* ---- parts ------------------------------------------------------------------ */

static inline void
put64(char **p, uint64 x)
{
	x = pg_hton64(x);
	memcpy(*p, &x, sizeof(x));
	*p += sizeof(x);
}

static inline uint64
get64(const char *p, uint32 i)
{
	uint64		x;

	memcpy(&x, p + sizeof(x) * (Size) i, sizeof(x));
	return pg_ntoh64(x);
}

static inline void
put32(char **p, uint32 x)
{
	x = pg_hton32(x);
	memcpy(*p, &x, sizeof(x));
	*p += sizeof(x);
}

static inline uint32
get32(const char *p, uint32 i)
{
	uint32		x;

	memcpy(&x, p + sizeof(x) * (Size) i, sizeof(x));
	return pg_ntoh32(x);
}

static Size
part_size(const CollectSpec *spec, Size n)
{
	return PART_HEADER + n * (13 + sizeof(double) * spec->nslots);
}

bytea *
gr_part_encode(const CollectSpec *spec, const char *entries, uint32 n)
{
	Size		size = GR_ENTRY_SIZE(spec->nslots);
	bytea	   *out = palloc(VARHDRSZ + part_size(spec, n));
	char	   *p = VARDATA(out);

	SET_VARSIZE(out, VARHDRSZ + part_size(spec, n));
	*p++ = STATE_VERSION;
	*p++ = (char) (spec->nslots >> 8);
	*p++ = (char) (spec->nslots & 0xff);
	put32(&p, n);
	for (uint32 i = 0; i < n; i++)
		put64(&p, gr_entry(entries, size, i)->hash);
	for (uint32 i = 0; i < n; i++)
		put32(&p, gr_entry(entries, size, i)->events);
	for (uint32 i = 0; i < n; i++)
		*p++ = (char) (gr_entry(entries, size, i)->arm);
	for (int k = 0; k < spec->nslots; k++)
		for (uint32 i = 0; i < n; i++)
		{
			uint64		bits;

			memcpy(&bits, &gr_entry(entries, size, i)->slots[k], sizeof(bits));
			put64(&p, bits);
		}
	return out;
}

char *
gr_part_decode(const CollectSpec *spec, const bytea *bytes, int narms, uint32 *n)
{
	Size		size = GR_ENTRY_SIZE(spec->nslots);
	const char *p = VARDATA_ANY(bytes);
	Size		length = VARSIZE_ANY_EXHDR(bytes);
	char	   *entries;

	if (length < PART_HEADER || p[0] != STATE_VERSION ||
		(((uint8) p[1] << 8) | (uint8) p[2]) != spec->nslots)
		gr_slice_corrupt();
	*n = get32(p + 3, 0);
	if (*n > length || length != part_size(spec, *n))
		gr_slice_corrupt();
	p += PART_HEADER;
	entries = palloc(size * Max(*n, 1));
	for (uint32 i = 0; i < *n; i++)
	{
		UnitEntry  *e = gr_entry(entries, size, i);
		uint8		arm = (uint8) p[12 * (Size) *n + i];

		e->hash = get64(p, i);
		e->events = get32(p + 8 * (Size) *n, i);
		e->arm = arm == ARM_BYTE_CROSSOVER ? ARM_CROSSOVER : arm;
		if (e->arm >= narms || (i > 0 && gr_entry(entries, size, i - 1)->hash >= e->hash))
			gr_slice_corrupt();
	}
	p += 13 * (Size) *n;
	for (int k = 0; k < spec->nslots; k++, p += sizeof(double) * *n)
		for (uint32 i = 0; i < *n; i++)
		{
			uint64		bits = get64(p, i);

			memcpy(&gr_entry(entries, size, i)->slots[k], &bits, sizeof(bits));
		}
	return entries;
}

/* ---- heads ------------------------------------------------------------------ */

Head *
gr_head_make(const CollectSpec *spec)
{
	Head	   *head = palloc0(sizeof(Head));

	head->nlists = spec->nlists;
	head->ncolumns = spec->ncolumns;
	return head;
}

RowCounts *
gr_head_counts(Head *head, int arm)
{
	if (head->counts[arm] == NULL)
	{
		head->counts[arm] = palloc(sizeof(RowCounts));
		gr_counts_init(head->counts[arm], head->ncolumns);
	}
	return head->counts[arm];
}

BinList *
gr_head_bins(Head *head, int arm, int list)
{
	if (head->bins[arm] == NULL)
		head->bins[arm] = palloc0(sizeof(BinList) * GR_BATCHES * head->nlists);
	return head->bins[arm] + GR_BATCHES * list;
}

void
gr_bins_add(BinList *to, const BinList *from, int sign)
{
	GrBin	   *out;
	int			i = 0,
				j = 0,
				n = 0;

	if (from->nbins == 0)
		return;
	out = palloc_extended(sizeof(GrBin) * ((Size) to->nbins + from->nbins), MCXT_ALLOC_HUGE);
	while (i < to->nbins || j < from->nbins)
	{
		bool		take_to = i < to->nbins && (j >= from->nbins || to->bins[i].bin <= from->bins[j].bin);
		bool		take_from = j < from->nbins && (i >= to->nbins || from->bins[j].bin <= to->bins[i].bin);

		out[n].bin = take_to ? to->bins[i].bin : from->bins[j].bin;
		out[n].count = (take_to ? to->bins[i].count : 0) + (take_from ? sign * from->bins[j].count : 0);
		n += (out[n].count != 0);
		i += take_to;
		j += take_from;
	}
	if (to->bins)
		pfree(to->bins);
	to->bins = out;
	to->nbins = n;
}

static void
put_varint(StringInfo buf, uint64 x)
{
	while (x >= 0x80)
	{
		appendStringInfoCharMacro(buf, (char) (x | 0x80));
		x >>= 7;
	}
	appendStringInfoCharMacro(buf, (char) x);
}

static void
put_signed(StringInfo buf, int64 x)
{
	put_varint(buf, ((uint64) x << 1) ^ (uint64) (x >> 63));
}

static inline uint64
get_varint(const char **p, const char *end)
{
	uint64		x = 0;

	for (int shift = 0; shift < 64; shift += 7)
	{
		uint8		byte;

		if (*p >= end)
			gr_slice_corrupt();
		byte = (uint8) *(*p)++;
		x |= (uint64) (byte & 0x7f) << shift;
		if (byte < 0x80)
			return x;
	}
	gr_slice_corrupt();
}

static inline int64
get_signed(const char **p, const char *end)
{
	uint64		x = get_varint(p, end);

	return (int64) (x >> 1) ^ -(int64) (x & 1);
}

bytea *
gr_head_encode(const Head *head)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoSpaces(&buf, VARHDRSZ);
	appendStringInfoChar(&buf, STATE_VERSION);
	put_varint(&buf, head->null_unit_rows);
	put_varint(&buf, head->unknown_arm_rows);
	for (int a = 0; a < GR_MAX_ARMS; a++)
	{
		const RowCounts *counts = head->counts[a];

		CHECK_FOR_INTERRUPTS();
		appendStringInfoChar(&buf, (counts ? 1 : 0) | (head->bins[a] ? 2 : 0));
		for (int b = 0; counts && b < GR_BATCHES; b++)
			put_varint(&buf, counts->rows[b]);
		for (int k = 0; counts && k < GR_BATCHES * head->ncolumns; k++)
		{
			put_varint(&buf, counts->nulls[k]);
			put_varint(&buf, counts->nonfinite[k]);
		}
		for (int k = 0; head->bins[a] && k < GR_BATCHES * head->nlists; k++)
		{
			const BinList *list = &head->bins[a][k];
			int32		last = 0;

			put_varint(&buf, list->nbins);
			for (int i = 0; i < list->nbins; i++)
			{
				put_signed(&buf, (int64) list->bins[i].bin - last);
				put_signed(&buf, list->bins[i].count);
				last = list->bins[i].bin;
			}
		}
	}
	SET_VARSIZE(buf.data, buf.len);
	return (bytea *) buf.data;
}

static void
add_bins(BinList *to, const char **p, const char *end)
{
	uint64		n = get_varint(p, end);
	BinList		from;
	int64		last = 0;

	if (n > (uint64) (end - *p) / 2)
		gr_slice_corrupt();
	from.nbins = (int) n;
	from.bins = palloc_extended(sizeof(GrBin) * Max(n, 1), MCXT_ALLOC_HUGE);
	for (int i = 0; i < from.nbins; i++)
	{
		int64		step = get_signed(p, end);

		if ((i > 0 && step <= 0) || step > PG_INT32_MAX || step < PG_INT32_MIN ||
			last + step > GR_BIN_MAX || last + step < -GR_BIN_MAX)
			gr_slice_corrupt();
		last += step;
		from.bins[i].bin = (int32) last;
		from.bins[i].count = get_signed(p, end);
	}
	if (to->nbins > 0)
	{
		gr_bins_add(to, &from, 1);
		pfree(from.bins);
	}
	else
		*to = from;
}

void
gr_head_add(Head *head, const bytea *bytes)
{
	const char *p = VARDATA_ANY(bytes);
	const char *end = p + VARSIZE_ANY_EXHDR(bytes);

	if (p >= end || *p++ != STATE_VERSION)
		gr_slice_corrupt();
	head->null_unit_rows += get_varint(&p, end);
	head->unknown_arm_rows += get_varint(&p, end);
	for (int a = 0; a < GR_MAX_ARMS; a++)
	{
		uint64		parts = get_varint(&p, end);
		RowCounts  *counts = (parts & 1) ? gr_head_counts(head, a) : NULL;

		CHECK_FOR_INTERRUPTS();
		for (int b = 0; counts && b < GR_BATCHES; b++)
			counts->rows[b] += get_varint(&p, end);
		for (int k = 0; counts && k < GR_BATCHES * head->ncolumns; k++)
		{
			counts->nulls[k] += get_varint(&p, end);
			counts->nonfinite[k] += get_varint(&p, end);
		}
		for (int k = 0; (parts & 2) && k < GR_BATCHES * head->nlists; k++)
			add_bins(gr_head_bins(head, a, 0) + k, &p, end);
	}
	if (p != end)
		gr_slice_corrupt();
}
