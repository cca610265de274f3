/*
 * walk.c
 *	  All units of one scan in the order of their hashes.
 *
 * What several processes sent is unpacked and merged unit by unit while it is
 * walked, so that the leader of a parallel scan holds it only packed.
 */
#include "units/walk.h"

#include "units/number.h"

#define AHEAD 16

static void
add_source(Walk *walk, Units *u, const int *arm, bool bins)
{
	WalkSource *s = &walk->source[walk->nsources++];

	s->units = u;
	s->arm = arm;
	s->n = u->flat ? u->flat->n : u->n;
	s->bins = palloc0(sizeof(WalkBins) * Max(u->spec->nlists, 1));
	if (u->packed)
		s->unpacked = palloc0(u->entry_size);
	else if (u->flat)
		s->lists = u->flat->lists;
	else
	{
		s->order = gr_units_order(u);
		s->lists = bins ? gr_units_group(u, s->order) : NULL;
	}
}

void
gr_walk_init(Walk *walk, Units *u, bool bins)
{
	walk->spec = u->spec;
	walk->entry_size = u->entry_size;
	walk->nsources = 0;
	walk->source = palloc0(sizeof(WalkSource) * (1 + u->nparts));
	walk->merged = palloc0(u->entry_size);
	add_source(walk, u, NULL, bins);
	for (int i = 0; i < u->nparts; i++)
		add_source(walk, u->parts[i].units, u->parts[i].arm, bins);
}

static void
truncated(void)
{
	elog(ERROR, "units of another process are truncated");
}

static void
unpack_bins(WalkSource *s, WalkBins *bins)
{
	uint64		n = gr_get_number(&s->next);

	if (s->next > s->units->packed_end || n > (uint64) (s->units->packed_end - s->next))
		truncated();
	if (n > bins->capacity)
	{
		bins->capacity = (uint32) Min(2 * n, PG_UINT32_MAX);
		if (bins->unpacked)
			pfree(bins->unpacked);
		bins->unpacked = palloc_extended(sizeof(int32) * (Size) bins->capacity, MCXT_ALLOC_HUGE);
	}
	for (uint64 i = 0; i < n && s->next < s->units->packed_end; i++)
		bins->unpacked[i] = (int32) gr_unzigzag(gr_get_number(&s->next));
	bins->bin = bins->unpacked;
	bins->n = (uint32) n;
}

static void
unpack_unit(const Walk *walk, WalkSource *s)
{
	UnitEntry  *e = s->unpacked;
	uint8		arm;

	if (s->next >= s->units->packed_end)
		truncated();
	e->hash = gr_get_bytes(&s->next, sizeof(uint64));
	arm = (uint8) *s->next++;
	e->arm = arm < GR_MAX_ARMS ? arm : ARM_CROSSOVER;
	e->events = (uint32) gr_get_number(&s->next);
	for (int k = 0; k < walk->spec->nslots; k++)
		e->slots[k] = gr_get_double(&s->next);
	for (int k = 0; k < walk->spec->nlists; k++)
		unpack_bins(s, &s->bins[k]);
}

/* The unit at "at" is the source's next. */
static void
reach_unit(const Walk *walk, WalkSource *s)
{
	if (s->at >= s->n)
		return;
	if (s->unpacked)
		unpack_unit(walk, s);
	else if (s->lists)
		for (int k = 0; k < walk->spec->nlists; k++)
			s->bins[k].n = s->lists[k].count[s->at];
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
		s->next = s->units->packed;
		if (s->lists)
			for (int k = 0; k < walk->spec->nlists; k++)
				s->bins[k].bin = s->lists[k].bin;
		reach_unit(walk, s);
		n += s->n;
	}
	return n;
}

static const UnitEntry *
entry_of(const Walk *walk, const WalkSource *s)
{
	if (s->unpacked)
		return s->unpacked;
	if (s->order == NULL)
		return gr_entry(s->units->flat->entries, walk->entry_size, s->at);
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
			if (s->bins[k].n > 0)
				s->bins[k].bin += s->bins[k].n;
	s->at++;
	s->here = false;
	reach_unit(walk, s);
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
