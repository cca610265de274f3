/*
 * rows.h
 *	  Rows of units as a scan finds them, on their way into the tables.
 */
#ifndef GR_ROWS_H
#define GR_ROWS_H

#include "units/units.h"

/* Where one more row of a unit goes; to be filled, then gr_units_add. */
static inline BufferedRow *
gr_units_row(Units *u, uint64 hash)
{
	BufferedRow *row = (BufferedRow *) u->rows[gr_table_of(u, hash)].next;

	row->hash = hash;
	return row;
}

extern void gr_units_empty(Units *u, int table);

/* The row that was filled is there. */
static inline void
gr_units_add(Units *u, const BufferedRow *row)
{
	int			table = gr_table_of(u, row->hash);
	RowBuffer  *buffer = &u->rows[table];

	/* where the next but one goes */
	gr_prefetch_to_write(buffer->next + 2 * u->row_size);
	buffer->next += u->row_size;
	if (buffer->next == buffer->end)
		gr_units_empty(u, table);
}

#endif							/* GR_ROWS_H */
