/*
 * scan.c
 *	  The units of a range of events, with their arms numbered as the stored ones are.
 */
#include "slice/stored.h"

static void *
read_units(const bytea *bytes, const ScanPlan *plan)
{
	return bytes ? gr_units_deserialize(CurrentMemoryContext, bytes, NULL, false) : NULL;
}

/* Number the arms as the stored ones are. */
static void
renumber_arms(Stored *s, Units *u)
{
	int			map[GR_MAX_ARMS];
	RowCounts  *counts = palloc0(sizeof(RowCounts) * GR_MAX_ARMS);

	for (int a = 0; a < u->narms; a++)
	{
		map[a] = gr_stored_arm(s, u->arm_name[a]);
		counts[map[a]] = u->counts[a];
	}
	for (int a = 0; a < s->narms; a++)
	{
		if (counts[a].nulls == NULL)
			gr_counts_init(&counts[a], s->spec->ncolumns);
		u->counts[a] = counts[a];
		u->arm_name[a] = s->arm[a];
		u->arm_length[a] = (int) strlen(s->arm[a]);
	}
	u->narms = s->narms;
	for (uint32 i = 0; i < u->flat->n; i++)
	{
		UnitEntry  *e = gr_entry(u->flat->entries, u->entry_size, i);

		if (e->arm >= 0)
			e->arm = map[e->arm];
	}
	pfree(counts);
}

int64
gr_units_rows(const Units *u)
{
	int64		rows = u ? u->null_unit_rows + u->unknown_arm_rows : 0;

	for (int a = 0; u && a < u->narms; a++)
		for (int b = 0; b < GR_BATCHES; b++)
			rows += u->counts[a].rows[b];
	return rows;
}

bool
gr_slice_scan(Stored *s, const char *range, MemoryContext context, Units **units)
{
	Experiment	e = *s->e;
	OwnerContext saved;
	void	   *result = NULL;
	bool		fits;

	e.range = range;
	gr_owner_enter(&saved, e.owner);
	fits = gr_run_fitting(gr_sql_units(&e, s->plan, s->schema), s->plan, read_units, context, &result);
	gr_owner_leave(&saved);
	*units = result;
	if (fits && result)
	{
		MemoryContext old = MemoryContextSwitchTo(context);

		renumber_arms(s, result);
		MemoryContextSwitchTo(old);
	}
	return fits;
}
