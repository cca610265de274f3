/*
 * walk.c
 *	  All units of one scan in the order of their hashes.
 *
 * Tables are ordered one after the other as the walk comes to them.  What several
 * processes sent is merged unit by unit.
 */
#include "units/walk.h"

#define AHEAD 16

static void
add_source(Walk *walk, const Units *u, const int *arm)
{
	WalkSource *s = &walk->source[walk->nsources++];

	s->units = u;
	s->arm = arm;
	s->bins = palloc0(sizeof(WalkBins) * Max(u->spec->nlists, 1));
	gr_order_init(&s->order, u);
}

void
gr_walk_init(Walk *walk, const Units *u)
{
	*walk = (Walk) {.spec = u->spec, .entry_size = u->entry_size};
	walk->source = palloc0(sizeof(WalkSource) * (1 + u->nparts));
	walk->merged = palloc0(u->entry_size);
	add_source(walk, u, NULL);
	for (int i = 0; i < u->nparts; i++)
		add_source(walk, u->parts[i].units, u->parts[i].arm);
}

Size
gr_walk_count(const Walk *walk)
{
	Size		n = 0;

	for (int i = 0; i < walk->nsources; i++)
		n += gr_units_count(walk->source[i].units);
	return n;
}

Size
gr_walk_count_bins(const Walk *walk, int list)
{
	Size		n = 0;

	for (int i = 0; i < walk->nsources; i++)
		n += gr_units_count_bins(walk->source[i].units, list);
	return n;
}

static inline const UnitEntry *
entry_of(const Walk *walk, const WalkSource *s)
{
	const UnitTable *t;

	if (s->units->flat)
		return gr_entry(s->units->flat->entries, walk->entry_size, s->at);
	t = &s->units->tables[s->table];
	if (s->at + AHEAD < s->n)
		gr_prefetch_entry(s->units, t, (uint32) s->order.order[s->at + AHEAD]);
	return gr_table_entry(s->units, t, (uint32) s->order.order[s->at]);
}

/* The units of a source that come next, a table or all of a flat. */
static void
reach_units(const Walk *walk, WalkSource *s)
{
	const Units *u = s->units;
	int			ntables = u->flat == NULL && u->tables ? 1 << u->table_bits : 0;

	s->at = s->n = 0;
	s->entry = NULL;
	s->hash = PG_UINT64_MAX;
	if (u->flat)
	{
		if (++s->table == 0)
			s->n = u->flat->n;
		s->lists = u->flat->lists;
	}
	else
	{
		while (s->n == 0 && ++s->table < ntables)
			s->n = u->tables[s->table].n;
		if (s->n > 0)
			gr_order_table(&s->order, u, s->table, walk->with_bins);
		s->lists = s->order.lists;
	}
	if (s->n == 0)
		return;
	s->entry = entry_of(walk, s);
	s->hash = s->entry->hash;
	for (int k = 0; walk->with_bins && k < walk->spec->nlists; k++)
	{
		s->bins[k].bin = s->lists[k].bin;
		s->bins[k].n = s->lists[k].count[0];
	}
}

/* Step over the unit at hand. */
static inline void
leave_unit(const Walk *walk, WalkSource *s)
{
	s->here = false;
	if (++s->at == s->n)
	{
		reach_units(walk, s);
		return;
	}
	s->entry = entry_of(walk, s);
	s->hash = s->entry->hash;
	for (int k = 0; walk->with_bins && k < walk->spec->nlists; k++)
	{
		/* where there are none, there may be no array */
		if (s->bins[k].n > 0)
			s->bins[k].bin += s->bins[k].n;
		s->bins[k].n = s->lists[k].count[s->at];
	}
}

void
gr_walk_start(Walk *walk, bool bins)
{
	walk->with_bins = bins;
	for (int i = 0; i < walk->nsources; i++)
	{
		walk->source[i].table = -1;
		walk->source[i].here = false;
		reach_units(walk, &walk->source[i]);
	}
}

static const UnitEntry *
next_of_several(Walk *walk)
{
	uint64		lowest = PG_UINT64_MAX;
	UnitEntry  *to = NULL;

	for (int i = 0; i < walk->nsources; i++)
	{
		lowest = Min(lowest, walk->source[i].hash);
	}
	for (int i = 0; i < walk->nsources; i++)
	{
		WalkSource *s = &walk->source[i];
		const UnitEntry *e = s->entry;
		int			arm;

		if (s->hash != lowest || e == NULL)
			continue;
		s->here = true;
		arm = s->arm && e->arm >= 0 ? s->arm[e->arm] : e->arm;
		if (to)
			gr_entry_add(walk->spec, to, e, arm);
		else
		{
			to = walk->merged;
			memcpy(to, e, walk->entry_size);
			to->arm = arm;
		}
	}
	return to;
}

const UnitEntry *
gr_walk_next(Walk *walk)
{
	for (int i = 0; i < walk->nsources; i++)
		if (walk->source[i].here)
			leave_unit(walk, &walk->source[i]);
	if (walk->nsources > 1)
		return next_of_several(walk);
	walk->source->here = walk->source->entry != NULL;
	return walk->source->entry;
}
