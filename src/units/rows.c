/*
 * rows.c
 *	  From rows to units: buffers of rows, emptied into the tables.
 *
 * A full buffer waits in a queue, and while further rows come in, with each of them
 * one of its rows is looked for: the index is prefetched, some rows later the entry,
 * and when that is so of STEP_ROWS rows they are added, fold by fold.  So memory is
 * waited for while the server brings the next rows, not afterwards; and as a buffer
 * goes to one range of hashes, it goes to few pages.
 */
#include "units/units.h"

#include <math.h>

#include "miscadmin.h"
#include "utils/memutils.h"

/* What all buffers of one scan may take together. */
#define BUFFERS_SIZE ((Size) 3 * 1024 * 1024)
#define MIN_BUFFERED_ROWS 8

/* Rows that are added together, and rows between the looks for one row. */
#define STEP_ROWS 64
#define LAG 32

/* When one table becomes many. */
#define DIVIDED_UNITS 8192
#define DIVIDED_EVENTS ((Size) 512 * 1024)

void
gr_units_make_buffers(Units *u)
{
	int			n = 1 << u->table_bits;
	char	   *room;

	u->row_size = offsetof(BufferedRow, value) + sizeof(double) * u->spec->ncolumns;
	u->buffered = GR_MAX_BUFFERED_ROWS;
	while (u->buffered > MIN_BUFFERED_ROWS && n * u->buffered * u->row_size > BUFFERS_SIZE)
		u->buffered /= 2;
	if (u->rows)
	{
		pfree(u->rows_room);
		pfree(u->rows);
	}
	u->rows = MemoryContextAllocZero(u->context, sizeof(RowBuffer) * n);
	room = MemoryContextAllocHuge(u->context, (n + GR_FULL_BUFFERS) * u->buffered * u->row_size);
	for (int i = 0; i < n + GR_FULL_BUFFERS; i++)
	{
		RowBuffer  *rows = i < n ? &u->rows[i] : &u->full[i - n].rows;

		rows->n = 0;
		rows->rows = room + i * u->buffered * u->row_size;
	}
	u->rows_room = room;
	u->nfull = u->drained = 0;
}

/*
 * One fold of n rows, x apart by "step".  A sum never is -0, so adding 0 for a
 * missing value changes nothing.
 */
static void
fold_rows(UnitEntry **e, FoldKind kind, int slot, const char *x, Size step, int n)
{
#define X (*(const double *) (x + step * i))
	switch (kind)
	{
		case FOLD_SUM:
			for (int i = 0; i < n; i++)
				e[i]->slots[slot] += isnan(X) ? 0 : X;
			break;
		case FOLD_COUNT:
			for (int i = 0; i < n; i++)
				e[i]->slots[slot] += !isnan(X);
			break;
		case FOLD_MAX:
			for (int i = 0; i < n; i++)
				if (X > e[i]->slots[slot] || isnan(e[i]->slots[slot]))
					e[i]->slots[slot] = X;
			break;
		case FOLD_MIN:
			for (int i = 0; i < n; i++)
				if (X < e[i]->slots[slot] || isnan(e[i]->slots[slot]))
					e[i]->slots[slot] = X;
			break;
		case FOLD_EVENTS:
		case FOLD_VALUES:
			break;
	}
#undef X
}

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

/* ---- full buffers ----------------------------------------------------------------- */

/* Look the row's unit up by its tag, and prefetch the entry. */
static inline uint32
expect_unit(const Units *u, const UnitTable *t, uint64 hash)
{
	uint32		tag = (uint32) hash;
	uint32		s = tag & t->index_mask;

	while (t->index[s].unit != 0 && t->index[s].tag != tag)
		s = (s + 1) & t->index_mask;
	if (t->index[s].unit != 0)
		gr_prefetch_entry(u, t, t->index[s].unit - 1);
	return t->index[s].unit;
}

/*
 * Add rows whose units are expected to be "unit" (number + 1; 0: none).  False, and
 * nothing is changed, when there is no room.
 */
static bool
add_rows(Units *u, UnitTable *t, const RowBuffer *rows, uint32 *unit)
{
	int			n = rows->n;
	UnitEntry  *e[STEP_ROWS];
	uint32		more = 0;

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
		const char *x = rows->rows + offsetof(BufferedRow, value) + sizeof(double) * fold->column;

		if (fold->kind == FOLD_EVENTS)
			append_events(&t->lists[fold->slot], unit, x, u->row_size, n);
		else if (fold->kind == FOLD_VALUES)
			append_values(&t->lists[fold->slot], unit, x, u->row_size, n);
		else
			fold_rows(e, fold->kind, fold->slot, x, u->row_size, n);
	}
	return true;
}

/* Rows of a buffer to its table, or to a file. */
static void
leave_rows(Units *u, const FullBuffer *full, int from, int n)
{
	RowBuffer	rows = {n, full->rows.rows + u->row_size * from};

	if (!u->spill && !add_rows(u, &u->tables[full->table], &rows, u->expected + from))
		gr_spill_start(u);
	if (u->spill)
		gr_spill_rows(u, &rows);
}

/* The oldest full buffer, which is empty now, behind the others. */
static void
finish_buffer(Units *u)
{
	FullBuffer	empty = u->full[0];

	empty.rows.n = 0;
	u->nfull--;
	for (int i = 0; i < u->nfull; i++)
		u->full[i] = u->full[i + 1];
	u->full[u->nfull] = empty;
	u->drained = 0;
}

/* One step with the oldest full buffer. */
static inline void
drain(Units *u)
{
	const FullBuffer *full = &u->full[0];
	int			i = u->drained++;
	int			n = full->rows.n;
	int			added = i + 1 - 2 * LAG;

	if (!u->spill)
	{
		const UnitTable *t = &u->tables[full->table];

		if (i < n)
			gr_prefetch(&t->index[(uint32) gr_row(u, &full->rows, i)->hash & t->index_mask]);
		if (i >= LAG && i - LAG < n)
			u->expected[i - LAG] = expect_unit(u, t, gr_row(u, &full->rows, i - LAG)->hash);
	}
	if (added > 0 && (added % STEP_ROWS == 0 || added == n))
	{
		int			from = (added - 1) / STEP_ROWS * STEP_ROWS;

		leave_rows(u, full, from, added - from);
		if (added == n)
			finish_buffer(u);
	}
}

void
gr_units_drain(Units *u)
{
	drain(u);
	/* they must not become ever more */
	if (u->nfull > 1)
		drain(u);
}

static void
drain_all(Units *u)
{
	while (u->nfull > 0)
		drain(u);
}

static bool
is_large(const Units *u, const UnitTable *t)
{
	for (int k = 0; k < u->spec->nlists; k++)
		if (t->lists[k].n >= DIVIDED_EVENTS)
			return true;
	return t->n >= DIVIDED_UNITS;
}

/* Queue a table's buffer, which gets an empty one. */
static void
queue_buffer(Units *u, int table)
{
	FullBuffer *full;
	RowBuffer	empty;

	while (u->nfull == GR_FULL_BUFFERS)
		drain(u);
	full = &u->full[u->nfull++];
	empty = full->rows;
	full->table = table;
	full->rows = u->rows[table];
	u->rows[table] = empty;
}

void
gr_units_full(Units *u, int table)
{
	queue_buffer(u, table);
	if (u->table_bits == 0 && !u->spill && is_large(u, u->tables))
	{
		drain_all(u);
		if (!u->spill)
			gr_units_divide(u);
	}
}

void
gr_units_flush(Units *u)
{
	for (int i = 0; i < 1 << u->table_bits; i++)
		if (u->rows[i].n > 0)
			queue_buffer(u, i);
	drain_all(u);
}
