/*
 * rows.c
 *	  From rows to units: buffers of rows, emptied into the tables.
 *
 * No row waits for memory: of all rows of a buffer the index is prefetched first,
 * then the entries, and then they are added fold by fold.
 */
#include "units/rows.h"
#include "units/spill.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

/* When one table becomes many. */
#define DIVIDED_UNITS 8192
#define DIVIDED_EVENTS ((Size) 512 * 1024)

/* There is room for one more than those that count: no branch that data decides. */
static void
append_events(EventList *list, const uint32 *unit, const char *x, Size step, int n)
{
	for (int i = 0; i < n; i++)
	{
		double		value = *(const double *) (x + step * i);

		gr_push_event(list, unit[i], gr_bin(value));
		list->n -= isnan(value);
	}
}

static void
append_values(EventList *list, const uint32 *unit, const char *x, Size step, int n)
{
	for (int i = 0; i < n; i++)
	{
		double		value = *(const double *) (x + step * i);
		int32		half[GR_BINS_OF_VALUE];

		if (isnan(value))
			continue;
		memcpy(half, &value, sizeof(double));
		for (int k = 0; k < GR_BINS_OF_VALUE; k++)
			gr_push_event(list, unit[i], half[k]);
	}
}

/* The entry's number + 1 for each row by the tags, the entries prefetched; 0: none. */
static void
expect_units(const Units *u, const UnitTable *t, const char *rows, int n, uint32 *unit)
{
	for (int i = 0; i < n; i++)
		gr_prefetch(&t->index[(uint32) gr_row(u, rows, i)->hash & t->index_mask]);
	for (int i = 0; i < n; i++)
	{
		uint32		tag = (uint32) gr_row(u, rows, i)->hash;
		uint32		s = tag & t->index_mask;

		while (t->index[s].unit != 0 && t->index[s].tag != tag)
			s = (s + 1) & t->index_mask;
		unit[i] = t->index[s].unit;
		if (unit[i] != 0)
			gr_prefetch_entry(u, t, unit[i] - 1);
	}
}

/* False, and nothing is changed, when there is no room. */
static bool
add_rows(Units *u, UnitTable *t, const char *rows, int n)
{
	uint32		unit[GR_BUFFERED_ROWS];
	UnitEntry  *e[GR_BUFFERED_ROWS];
	uint32		more = 0;

	expect_units(u, t, rows, n, unit);
	for (int i = 0; i < n; i++)
	{
		if (unit[i] != 0 && gr_table_entry(u, t, unit[i] - 1)->hash != gr_row(u, rows, i)->hash)
			unit[i] = 0;
		more += unit[i] == 0;
	}
	if (!gr_table_make_room(u, t, more, (Size) n * GR_BINS_OF_VALUE))
		return false;
	for (int i = 0; i < n; i++)
	{
		const BufferedRow *row = gr_row(u, rows, i);

		unit[i] = unit[i] != 0 ? unit[i] - 1 : gr_table_find(u, t, row->hash, row->arm);
		e[i] = gr_table_entry(u, t, unit[i]);
		e[i]->events++;
		e[i]->arm = e[i]->arm == row->arm ? e[i]->arm : ARM_CROSSOVER;
	}
	for (int f = 0; f < u->spec->nfolds; f++)
	{
		const Fold *fold = &u->spec->folds[f];
		const char *x = rows + offsetof(BufferedRow, value) + sizeof(double) * fold->column;

		if (fold->kind->in_bins)
			append_events(&t->lists[fold->slot], unit, x, u->row_size, n);
		else if (fold->kind->is_list)
			append_values(&t->lists[fold->slot], unit, x, u->row_size, n);
		else
			fold->kind->add_rows((char *const *) e, GR_ENTRY_SIZE(fold->slot), x, u->row_size, n);
	}
	return true;
}

static bool
is_large(const Units *u, const UnitTable *t)
{
	for (int k = 0; k < u->spec->nlists; k++)
		if (t->lists[k].n >= DIVIDED_EVENTS)
			return true;
	return t->n >= DIVIDED_UNITS;
}

void
gr_units_empty(Units *u, int table)
{
	RowBuffer  *buffer = &u->rows[table];
	int			n = (int) ((Size) (buffer->next - buffer->rows) / u->row_size);

	if (n == 0)
		return;
	if (!u->spill && !add_rows(u, &u->tables[table], buffer->rows, n))
		gr_spill_start(u);
	if (u->spill)
		gr_spill_rows(u, buffer->rows, n);
	buffer->next = buffer->rows;
	if (u->table_bits == 0 && !u->spill && is_large(u, u->tables))
		gr_units_divide(u);
}

void
gr_units_flush(Units *u)
{
	int			n = 1 << u->table_bits;

	/* the last may divide the only table, and leaves nothing */
	for (int i = 0; i < n; i++)
		gr_units_empty(u, i);
}
