/*
 * spill.c
 *	  Units that outgrow their memory: temporary files by ranges of the hash.
 *
 * When the tables are full, their entries and events go to the files, and all later
 * rows as they come.  At the end each file is read into a table of its own
 * (unspill.c), which may spill again.  A file has a unit's entry before its later
 * rows, and those in their order, so every sum is added up in the order in which it
 * would have been without spilling; the files' ranges ascend, so units are folded in
 * the same order too.
 *
 * Records, by their first byte: an arm's number: a row, hash and values; ENTRY: an
 * entry as it lies in memory; EVENT: list, hash and bin.
 */
#include "units/spill.h"
#include "base/number.h"

#include "miscadmin.h"
#include "utils/memutils.h"

/* Files of one table: each has a buffer of a block, a quarter of the memory in all. */
#define MIN_BITS 4
#define MAX_BITS 7

/* A range of the hash so small that one unit must be what does not fit. */
#define MOST_BITS 32

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

void
gr_spill_entry(Units *u, uint64 hash, const void *entry)
{
	char	   *p = u->spill->record;

	*p++ = (char) RECORD_ENTRY;
	memcpy(p, entry, u->entry_size);
	write_record(u, hash, p + u->entry_size);
}

void
gr_spill_event(Units *u, int list, uint64 hash, int32 bin)
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
		const UnitEntry *e;

		if ((i & 0xffff) == 0)
			CHECK_FOR_INTERRUPTS();
		e = gr_table_entry(u, t, i);
		gr_spill_entry(u, e->hash, e);
	}
	for (int k = 0; k < u->spec->nlists; k++)
		for (Size i = 0; i < t->lists[k].n; i++)
		{
			const EventPiece *piece = t->lists[k].piece[i / GR_PIECE_EVENTS];
			uint32		unit = piece->unit[i % GR_PIECE_EVENTS];

			if ((i & 0xffff) == 0)
				CHECK_FOR_INTERRUPTS();
			gr_spill_event(u, k, gr_table_entry(u, t, unit)->hash, piece->bin[i % GR_PIECE_EVENTS]);
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
