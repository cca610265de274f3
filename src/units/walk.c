/*
 * walk.c
 *	  All units of one scan in the order of their hashes.
 *
 * Several flats are merged unit by unit while they are walked, so that the
 * leader of a parallel scan writes no merged copy.
 */
#include "units/walk.h"

#define AHEAD 16

static void
add_source(Walk *walk, Units *u, const int *arm)
{
	WalkSource *s = &walk->source[walk->nsources++];

	s->units = u;
	s->arm = arm;
	s->bin_at = palloc0(sizeof(Size) * Max(u->spec->nlists, 1));
	if (u->flat)
	{
		s->entries = u->flat->entries;
		s->n = u->flat->n;
		s->lists = u->flat->lists;
		return;
	}
	s->order = gr_units_order(u);
	s->n = u->n;
}

void
gr_walk_init(Walk *walk, Units *u)
{
	walk->spec = u->spec;
	walk->entry_size = u->entry_size;
	walk->nsources = 0;
	walk->source = palloc0(sizeof(WalkSource) * (1 + u->nparts));
	walk->merged = palloc0(u->entry_size);
	add_source(walk, u, NULL);
	for (int i = 0; i < u->nparts; i++)
		add_source(walk, u->parts[i].units, u->parts[i].arm);
}

Size
gr_walk_start(Walk *walk)
{
	Size		n = 0;

	for (int i = 0; i < walk->nsources; i++)
	{
		WalkSource *s = &walk->source[i];

		s->at = 0;
		s->here = false;
		memset(s->bin_at, 0, sizeof(Size) * walk->spec->nlists);
		n += s->n;
	}
	return n;
}

static const UnitEntry *
entry_of(const Walk *walk, const WalkSource *s)
{
	if (s->order == NULL)
		return gr_entry(s->entries, walk->entry_size, s->at);
	if (s->at + AHEAD < s->n)
		gr_prefetch_entry(s->units, (uint32) s->order[s->at + AHEAD]);
	return gr_table_entry(s->units, (uint32) s->order[s->at]);
}

/* Step over the unit at hand. */
static void
leave_unit(const Walk *walk, WalkSource *s)
{
	if (s->lists)
		for (int k = 0; k < walk->spec->nlists; k++)
			s->bin_at[k] += s->lists[k].count[s->at];
	s->at++;
	s->here = false;
}

static const UnitEntry *
next_of_several(Walk *walk)
{
	uint64		lowest = PG_UINT64_MAX;
	UnitEntry  *to = NULL;

	for (int i = 0; i < walk->nsources; i++)
	{
		const WalkSource *s = &walk->source[i];

		if (s->at < s->n)
			lowest = Min(lowest, entry_of(walk, s)->hash);
	}
	for (int i = 0; i < walk->nsources; i++)
	{
		WalkSource *s = &walk->source[i];
		const UnitEntry *e;
		int			arm;

		if (s->at >= s->n || (e = entry_of(walk, s))->hash != lowest)
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
	if (walk->source->at >= walk->source->n)
		return NULL;
	walk->source->here = true;
	return entry_of(walk, walk->source);
}
