/*
 * spill.c
 *	  Units that outgrow their memory: temporary files by ranges of the hash.
 *
 * When the tables are full, their entries and events go to the files, and all later
 * rows as they come.  At the end each file is read into a table of its own, which
 * may spill again.  A file has a unit's entry before its later rows, and those in
 * their order, so every sum is added up in the order in which it would have been
 * without spilling; the files' ranges ascend, so units are folded in the same
 * order too.
 *
 * Records, by their first byte: an arm's number: a row, hash and values; ENTRY: an
 * entry as it lies in memory; EVENT: list, hash and bin.
 */
#include "units/units.h"
#include "base/number.h"

#include "miscadmin.h"
#include "storage/buffile.h"
#include "utils/memutils.h"

#define RECORD_ENTRY 254
#define RECORD_EVENT 253

/* Files of one table: each has a buffer of a block, a quarter of the memory in all. */
#define MIN_BITS 4
#define MAX_BITS 7

/* A range of the hash so small that one unit must be what does not fit. */
#define MOST_BITS 32

#define READ_AT_ONCE (64 * 1024)

struct Spill
{
	int			bits;
	BufFile   **file;			/* [1 << bits]; NULL: nothing in it */
	Size		record_size;	/* at most */
	char	   *record;
};

static void
write_record(Units *u, uint64 hash, const char *end)
{
	Spill	   *s = u->spill;
	int			k = (int) ((hash << u->hash_bits) >> (64 - s->bits));

	if (s->file[k] == NULL)
	{
		MemoryContext old = MemoryContextSwitchTo(u->context);

		s->file[k] = BufFileCreateTemp(false);
		MemoryContextSwitchTo(old);
	}
	BufFileWrite(s->file[k], s->record, end - s->record);
}

static void
write_entry(Units *u, const UnitEntry *e)
{
	char	   *p = u->spill->record;

	*p++ = (char) RECORD_ENTRY;
	memcpy(p, e, u->entry_size);
	write_record(u, e->hash, p + u->entry_size);
}

static void
write_event(Units *u, int list, uint64 hash, int32 bin)
{
	char	   *p = u->spill->record;

	*p++ = (char) RECORD_EVENT;
	gr_put_bytes(&p, list, sizeof(uint16));
	gr_put_bytes(&p, hash, sizeof(uint64));
	gr_put_bytes(&p, (uint32) bin, sizeof(uint32));
	write_record(u, hash, p);
}

void
gr_spill_rows(Units *u, const char *rows, int n)
{
	for (int i = 0; i < n; i++)
	{
		const BufferedRow *row = gr_row(u, rows, i);
		char	   *p = u->spill->record;

		*p++ = (char) row->arm;
		gr_put_bytes(&p, row->hash, sizeof(uint64));
		for (int k = 0; k < u->spec->ncolumns; k++)
			gr_put_double(&p, row->value[k]);
		write_record(u, row->hash, p);
	}
	CHECK_FOR_INTERRUPTS();
}

static Spill *
make_spill(const Units *u)
{
	Spill	   *s = MemoryContextAllocZero(u->context, sizeof(Spill));

	s->bits = MIN_BITS;
	while (s->bits < MAX_BITS && ((Size) BLCKSZ << (s->bits + 1)) <= u->limit / 4)
		s->bits++;
	s->file = MemoryContextAllocZero(u->context, sizeof(BufFile *) << s->bits);
	s->record_size = 1 + Max(Max(u->entry_size, 16),
							 sizeof(uint64) + GR_NUMBER_SIZE * (Size) u->spec->ncolumns);
	s->record = MemoryContextAlloc(u->context, s->record_size);
	return s;
}

static void
write_table(Units *u, const UnitTable *t)
{
	for (uint32 i = 0; i < t->n; i++)
	{
		if ((i & 0xffff) == 0)
			CHECK_FOR_INTERRUPTS();
		write_entry(u, gr_table_entry(u, t, i));
	}
	for (int k = 0; k < u->spec->nlists; k++)
		for (Size i = 0; i < t->lists[k].n; i++)
		{
			const EventPiece *piece = t->lists[k].piece[i / GR_PIECE_EVENTS];
			uint32		unit = piece->unit[i % GR_PIECE_EVENTS];

			if ((i & 0xffff) == 0)
				CHECK_FOR_INTERRUPTS();
			write_event(u, k, gr_table_entry(u, t, unit)->hash, piece->bin[i % GR_PIECE_EVENTS]);
		}
}

void
gr_spill_start(Units *u)
{
	if (!u->may_spill || u->hash_bits >= MOST_BITS)
		gr_units_too_many(u);
	u->spill = make_spill(u);
	for (int i = 0; i < 1 << u->table_bits; i++)
		write_table(u, &u->tables[i]);
	gr_units_free_tables(u);
}

void
gr_spill_close(Units *u)
{
	for (int k = 0; u->spill && k < 1 << u->spill->bits; k++)
		if (u->spill->file[k])
		{
			BufFileClose(u->spill->file[k]);
			u->spill->file[k] = NULL;
		}
}

/* ---- reading ------------------------------------------------------------------ */

/* The table that a unit goes to, with room for it and an event; NULL: to a file. */
static UnitTable *
table_for(Units *u, uint64 hash)
{
	if (!u->spill && !gr_table_make_room(u, &u->tables[gr_table_of(u, hash)], 1, GR_BINS_OF_VALUE))
		gr_spill_start(u);
	return u->spill ? NULL : &u->tables[gr_table_of(u, hash)];
}

static void
load_entry(Units *u, const char **p)
{
	uint64		hash;
	UnitTable  *t;

	memcpy(&hash, *p + offsetof(UnitEntry, hash), sizeof(hash));
	t = table_for(u, hash);
	if (t)
		memcpy(gr_table_entry(u, t, gr_table_find(u, t, hash, 0)), *p, u->entry_size);
	else
	{
		u->spill->record[0] = (char) RECORD_ENTRY;
		memcpy(u->spill->record + 1, *p, u->entry_size);
		write_record(u, hash, u->spill->record + 1 + u->entry_size);
	}
	*p += u->entry_size;
}

static void
load_event(Units *u, const char **p)
{
	int			list = (int) gr_get_bytes(p, sizeof(uint16));
	uint64		hash = gr_get_bytes(p, sizeof(uint64));
	int32		bin = (int32) gr_get_bytes(p, sizeof(uint32));
	UnitTable  *t = table_for(u, hash);

	if (t)
		gr_push_event(&t->lists[list], gr_table_find(u, t, hash, 0), bin);
	else
		write_event(u, list, hash, bin);
}

static void
load_row(Units *u, int arm, const char **p)
{
	BufferedRow *row = gr_units_row(u, gr_get_bytes(p, sizeof(uint64)));

	row->arm = arm;
	for (int k = 0; k < u->spec->ncolumns; k++)
		row->value[k] = gr_get_double(p);
	gr_units_add(u, row);
}

/* What is in a file, into a table. */
static void
read_file(Units *u, BufFile *file, Size record_size)
{
	Size		size = READ_AT_ONCE + record_size;
	char	   *buffer = MemoryContextAllocZero(u->context, size + GR_NUMBER_SIZE);
	Size		left = 0;

	if (BufFileSeek(file, 0, 0, SEEK_SET) != 0)
		ereport(ERROR,
				(errcode_for_file_access(),
				 errmsg("could not rewind temporary file of units")));
	for (;;)
	{
		Size		got = BufFileRead(file, buffer + left, size - left);
		bool		end = got < size - left;
		const char *p = buffer;

		CHECK_FOR_INTERRUPTS();
		left += got;
		while (buffer + left >= p + (end ? 1 : record_size))
		{
			uint8		what = (uint8) *p++;

			if (what == RECORD_ENTRY)
				load_entry(u, &p);
			else if (what == RECORD_EVENT)
				load_event(u, &p);
			else
				load_row(u, what, &p);
		}
		if (end)
		{
			if (p != buffer + left)
				elog(ERROR, "unexpected end of a temporary file of units");
			break;
		}
		left -= p - buffer;
		memmove(buffer, p, left);
	}
	pfree(buffer);
}

void
gr_units_each(Units *u, GrVisitUnits visit, void *arg)
{
	gr_units_flush(u);
	if (u->spill == NULL)
	{
		visit(u, arg);
		return;
	}
	for (int k = 0; k < 1 << u->spill->bits; k++)
	{
		MemoryContext context;
		Units	   *part;

		if (u->spill->file[k] == NULL)
			continue;
		context = AllocSetContextCreate(u->context, "spilled units", ALLOCSET_DEFAULT_SIZES);
		part = gr_units_make(context, u->spec, u->limit);
		part->may_spill = true;
		part->hash_bits = u->hash_bits + u->spill->bits;
		read_file(part, u->spill->file[k], u->spill->record_size);
		BufFileClose(u->spill->file[k]);
		u->spill->file[k] = NULL;
		gr_units_each(part, visit, arg);
		MemoryContextDelete(context);
	}
}
