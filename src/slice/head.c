/*
 * head.c
 *	  The head of a slice: row counts, and histograms of events, by batch.
 *
 * Bytes, version 2 (1 had no ties), numbers as varints (seven bits a byte, the lowest first; signed
 * ones zigzag): what is most often zero or small takes a byte.
 */
#include "slice/stored.h"

#include "miscadmin.h"
#include "port/pg_bitutils.h"
#include "units/bins.h"
#include "base/varint.h"

#define STATE_VERSION 2

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

bytea *
gr_head_encode(const Head *head)
{
	StringInfoData buf;

	initStringInfo(&buf);
	appendStringInfoSpaces(&buf, VARHDRSZ);
	appendStringInfoChar(&buf, STATE_VERSION);
	gr_put_varint(&buf, head->null_unit_rows);
	gr_put_varint(&buf, head->unknown_arm_rows);
	for (int a = 0; a < GR_MAX_ARMS; a++)
	{
		const RowCounts *counts = head->counts[a];

		CHECK_FOR_INTERRUPTS();
		appendStringInfoChar(&buf, (counts ? 1 : 0) | (head->bins[a] ? 2 : 0));
		for (int b = 0; counts && b < GR_BATCHES; b++)
			gr_put_varint(&buf, counts->rows[b]);
		for (int k = 0; counts && k < GR_BATCHES * head->ncolumns; k++)
		{
			gr_put_varint(&buf, counts->nulls[k]);
			gr_put_varint(&buf, counts->nonfinite[k]);
		}
		for (int k = 0; counts && k < head->ncolumns; k++)
		{
			TieList		ties = gr_ties_list(&counts->ties[k]);

			gr_ties_encode(&buf, &ties);
			pfree(ties.ties);
		}
		for (int k = 0; head->bins[a] && k < GR_BATCHES * head->nlists; k++)
			gr_bins_encode(&buf, &head->bins[a][k]);
	}
	SET_VARSIZE(buf.data, buf.len);
	return (bytea *) buf.data;
}

/* ---- many heads at once --------------------------------------------------------- */

/* Bins that lie within so many are added up in a table. */
#define COUNTED_RANGE 65536

typedef struct HeadReader
{
	const char *p;
	const char *end;
	int			version;
	uint64		parts;			/* of the arm at hand */
	BinRoom		room;
} HeadReader;

typedef struct HeadSum
{
	int			n;
	HeadReader *reader;
	bool		right;			/* so far: the bytes are those of heads */
	int64	   *count;			/* [COUNTED_RANGE], all 0 between */
	uint64	   *used;			/* a bit for each, all 0 between */

	/* where the next histogram goes */
	GrBin	   *free;
	Size		nfree;
} HeadSum;

static uint64
get_count(HeadSum *s, HeadReader *r)
{
	uint64		x = 0;

	s->right = s->right && gr_get_varint(&r->p, r->end, &x);
	return x;
}

/* Bins out of a large piece of memory, not each list by itself. */
static GrBin *
room_for(HeadSum *s, Size n)
{
	GrBin	   *room;

	if (s->nfree < n)
	{
		s->nfree = Max(n, COUNTED_RANGE);
		s->free = palloc_extended(sizeof(GrBin) * s->nfree, MCXT_ALLOC_HUGE);
	}
	room = s->free;
	s->free += n;
	s->nfree -= n;
	return room;
}

static void
add_by_counting(HeadSum *s, int32 lowest, int32 range, BinList *to)
{
	Size		most = 0;

	for (int h = 0; h < s->n; h++)
	{
		const BinRoom *from = &s->reader[h].room;

		most += from->n;
		for (int i = 0; i < from->n; i++)
		{
			int32		k = from->bins[i].bin - lowest;

			s->count[k] += from->bins[i].count;
			s->used[k / 64] |= UINT64CONST(1) << (k % 64);
		}
	}
	most = Min(most, (Size) range);
	to->bins = room_for(s, most);
	for (int32 word = 0; word <= (range - 1) / 64; word++)
	{
		for (uint64 bits = s->used[word]; bits != 0; bits &= bits - 1)
		{
			int32		k = 64 * word + pg_rightmost_one_pos64(bits);

			if (s->count[k] != 0)
				to->bins[to->nbins++] = (GrBin) {lowest + k, s->count[k]};
			s->count[k] = 0;
		}
		s->used[word] = 0;
	}
	/* what it did not take */
	s->free -= most - to->nbins;
	s->nfree += most - to->nbins;
}

/* The next histogram of each head, added up. */
static void
add_lists(HeadSum *s, BinList *to)
{
	int64		lowest = PG_INT64_MAX;
	int64		highest = PG_INT64_MIN;

	for (int h = 0; h < s->n; h++)
	{
		HeadReader *r = &s->reader[h];

		r->room.n = 0;
		if ((r->parts & 2) == 0)
			continue;
		if (!gr_bins_decode(&r->room, &r->p, r->end))
		{
			s->right = false;
			return;
		}
		if (r->room.n == 0)
			continue;
		lowest = Min(lowest, r->room.bins[0].bin);
		highest = Max(highest, r->room.bins[r->room.n - 1].bin);
	}
	if (lowest > highest)
		return;
	if (s->n == 1)
	{
		to->nbins = s->reader[0].room.n;
		to->bins = room_for(s, to->nbins);
		memcpy(to->bins, s->reader[0].room.bins, sizeof(GrBin) * to->nbins);
	}
	else if (highest - lowest < COUNTED_RANGE)
		add_by_counting(s, (int32) lowest, (int32) (highest - lowest + 1), to);
	else
		for (int h = 0; h < s->n; h++)
			gr_bins_add(to, &(BinList) {s->reader[h].room.n, s->reader[h].room.bins}, 1);
}

static void
add_counts(HeadSum *s, HeadReader *r, RowCounts *counts, int ncolumns)
{
	for (int b = 0; b < GR_BATCHES; b++)
		counts->rows[b] += get_count(s, r);
	for (int k = 0; k < GR_BATCHES * ncolumns; k++)
	{
		counts->nulls[k] += get_count(s, r);
		counts->nonfinite[k] += get_count(s, r);
	}
	for (int k = 0; s->right && k < ncolumns; k++)
	{
		TieList		ties = {.lost = true};

		if (r->version > 1 && !gr_ties_decode(&ties, &r->p, r->end))
			s->right = false;
		else
			gr_ties_merge_list(&counts->ties[k], &ties);
	}
}

/* The row counts and histograms of one arm. */
static void
add_arm(HeadSum *s, int arm, Head *head)
{
	uint64		any = 0;

	for (int h = 0; h < s->n; h++)
	{
		HeadReader *r = &s->reader[h];

		r->parts = get_count(s, r);
		any |= r->parts;
		if (r->parts & 1)
			add_counts(s, r, gr_head_counts(head, arm), head->ncolumns);
	}
	for (int k = 0; (any & 2) && s->right && k < GR_BATCHES * head->nlists; k++)
		add_lists(s, gr_head_bins(head, arm, 0) + k);
}

/* NULL: the bytes are not those of heads. */
static Head *
sum_or_null(const CollectSpec *spec, bytea *const *bytes, int n)
{
	Head	   *head = gr_head_make(spec);
	HeadSum		s = {.n = n, .right = true};

	s.reader = palloc0(sizeof(HeadReader) * Max(n, 1));
	s.count = palloc0(n > 1 ? sizeof(int64) * COUNTED_RANGE : 1);
	s.used = palloc0(n > 1 ? COUNTED_RANGE / BITS_PER_BYTE : 1);
	for (int h = 0; h < n; h++)
	{
		HeadReader *r = &s.reader[h];

		r->p = VARDATA_ANY(bytes[h]);
		r->end = r->p + VARSIZE_ANY_EXHDR(bytes[h]);
		r->version = r->p < r->end ? *r->p++ : 0;
		s.right = s.right && r->version >= 1 && r->version <= STATE_VERSION;
		head->null_unit_rows += get_count(&s, r);
		head->unknown_arm_rows += get_count(&s, r);
	}
	for (int a = 0; a < GR_MAX_ARMS && s.right; a++)
	{
		CHECK_FOR_INTERRUPTS();
		add_arm(&s, a, head);
	}
	for (int h = 0; h < n; h++)
	{
		s.right = s.right && s.reader[h].p == s.reader[h].end;
		if (s.reader[h].room.bins)
			pfree(s.reader[h].room.bins);
	}
	pfree(s.count);
	pfree(s.used);
	pfree(s.reader);
	return s.right ? head : NULL;
}

Head *
gr_heads_sum(const CollectSpec *spec, bytea *const *bytes, int n)
{
	Head	   *head = sum_or_null(spec, bytes, n);

	if (head == NULL)
		gr_slice_corrupt("The head of a slice cannot be read.");
	return head;
}

Head *
gr_head_decode(const CollectSpec *spec, bytea *bytes)
{
	return sum_or_null(spec, &bytes, 1);
}
