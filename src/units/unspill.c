/*
 * unspill.c
 *	  Spilled units read again, file by file, each into a table of its own.
 *
 * The files' ranges of the hash ascend, so whoever visits the parts one after the
 * other sees the units in the order that one table would have had.
 */
#include "units/rows.h"
#include "units/spill.h"

#include "base/number.h"
#include "miscadmin.h"
#include "utils/memutils.h"

#define READ_AT_ONCE (64 * 1024)

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
		gr_spill_entry(u, hash, *p);
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
		gr_spill_event(u, list, hash, bin);
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
