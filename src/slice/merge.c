/*
 * merge.c
 *	  Slices read in the order of the units' hashes, and written.
 */
#include "slice/slice.h"

#include "miscadmin.h"
#include "utils/memutils.h"

/* Slices that are merged, with a new one, at least. */
#define MERGED_RUNS 3

/* One sorted source of units: a run, part by part, or a flat. */
typedef struct Reader
{
	const Run  *run;			/* NULL: a flat */
	int			part;			/* read last */
	MemoryContext context;		/* of the part */
	char	   *entries;
	uint32		n;
	uint32		i;
} Reader;

/* Make sure that entry i is there; false at the end. */
static bool
fill(const Stored *s, Reader *r)
{
	while (r->i == r->n)
	{
		MemoryContext old;
		uint64		last = r->n ? gr_entry(r->entries, s->entry_size, r->n - 1)->hash : 0;

		if (r->run == NULL || r->part == r->run->nparts)
			return false;
		CHECK_FOR_INTERRUPTS();
		MemoryContextReset(r->context);
		old = MemoryContextSwitchTo(r->context);
		r->entries = gr_part_decode(s->spec, gr_stored_read_part(s, r->run, ++r->part),
									s->narms, &r->n);
		MemoryContextSwitchTo(old);
		if (r->part > 1 && (r->n == 0 || gr_entry(r->entries, s->entry_size, 0)->hash <= last))
			gr_slice_corrupt();
		r->i = 0;
	}
	return true;
}

/* The unit of lowest hash over all runs, its entries added up; NULL at the end. */
static UnitEntry *
next_unit(const Stored *s, const Reader *readers, int n)
{
	UnitEntry  *first = NULL;
	uint64		hash = PG_UINT64_MAX;

	for (int k = 0; k < n; k++)
	{
		UnitEntry  *e = gr_entry(readers[k].entries, s->entry_size, readers[k].i);

		if (first == NULL || e->hash < hash)
		{
			first = e;
			hash = e->hash;
		}
	}
	return first;
}

/* Step over the unit in each run that has it, adding up into *base. */
static void
take_unit(const Stored *s, Reader *readers, int *n, uint64 hash, UnitEntry *base)
{
	bool		first = true;

	for (int k = *n - 1; k >= 0; k--)
	{
		UnitEntry  *e = gr_entry(readers[k].entries, s->entry_size, readers[k].i);

		if (e->hash != hash)
			continue;
		if (first)
			memcpy(base, e, s->entry_size);
		else
			gr_entry_add(s->spec, base, e, e->arm);
		first = false;
		readers[k].i++;
		if (readers[k].i == readers[k].n && !fill(s, &readers[k]))
		{
			MemoryContextDelete(readers[k].context);
			readers[k] = readers[--*n];
		}
	}
}

void
gr_merge(const Stored *s, const Run *runs, int nruns, const Flat *tail, GrVisit visit, void *arg)
{
	Reader	   *readers = palloc0(sizeof(Reader) * Max(nruns, 1));
	UnitEntry  *base = palloc(s->entry_size);
	uint32		ntail = tail ? tail->n : 0;
	uint32		j = 0;
	int			n = 0;

	for (int k = 0; k < nruns; k++)
	{
		readers[n].run = &runs[k];
		readers[n].context = AllocSetContextCreate(CurrentMemoryContext, "part of a slice",
												   ALLOCSET_DEFAULT_SIZES);
		n += fill(s, &readers[n]);
	}
	for (uint32 count = 0; n > 0 || j < ntail; count++)
	{
		const UnitEntry *b = n > 0 ? next_unit(s, readers, n) : NULL;
		const UnitEntry *t = j < ntail ? gr_entry(tail->entries, s->entry_size, j) : NULL;
		bool		take_b = b && (t == NULL || b->hash <= t->hash);
		bool		take_t = t && (b == NULL || t->hash <= b->hash);

		if ((count & 0xffff) == 0)
			CHECK_FOR_INTERRUPTS();
		if (take_b)
			take_unit(s, readers, &n, b->hash, base);
		visit(arg, take_b ? base : NULL, take_t ? t : NULL);
		j += take_t;
	}
	pfree(base);
	pfree(readers);
}

/* ---- writing ---------------------------------------------------------------- */

typedef struct Writer
{
	Stored	   *s;
	Run			run;
	MemoryContext context;		/* of one part */
	char	   *entries;
	uint32		n;
	uint32		capacity;
} Writer;

static void
write_part(Writer *w)
{
	MemoryContext old = MemoryContextSwitchTo(w->context);

	CHECK_FOR_INTERRUPTS();
	gr_stored_insert_part(w->s, &w->run, ++w->run.nparts, w->n,
						  gr_part_encode(w->s->spec, w->entries, w->n));
	w->run.units += w->n;
	w->n = 0;
	MemoryContextSwitchTo(old);
	MemoryContextReset(w->context);
}

static void
write_unit(void *arg, UnitEntry *base, const UnitEntry *tail)
{
	Writer	   *w = arg;
	UnitEntry  *to = gr_entry(w->entries, w->s->entry_size, w->n++);

	memcpy(to, base ? base : tail, w->s->entry_size);
	if (base && tail)
		gr_entry_add(w->s->spec, to, tail, tail->arm);
	if (w->n == w->capacity)
		write_part(w);
}

/* Units of some runs and of a tail as one slice, with its head. */
static Run
write_run(Stored *s, Run run, const Run *runs, int nruns, const Units *tail, const Head *head)
{
	Writer		w = {.s = s, .run = run};

	w.run.nparts = 0;
	w.run.units = 0;
	w.capacity = Max(16, GR_PART_SIZE / s->entry_size);
	w.entries = palloc(s->entry_size * w.capacity);
	w.context = AllocSetContextCreate(CurrentMemoryContext, "slice to write", ALLOCSET_DEFAULT_SIZES);
	gr_merge(s, runs, nruns, tail ? tail->flat : NULL, write_unit, &w);
	if (w.n > 0)
		write_part(&w);
	gr_stored_insert_part(s, &w.run, 0, 0, gr_head_encode(head));
	MemoryContextDelete(w.context);
	pfree(w.entries);
	return w.run;
}

void
gr_slice_append(Stored *s, const Units *tail, Head *head, const char *to)
{
	int			k = s->nruns;
	int64		units = tail->flat->n;
	Run			run = {0};

	while (k > 0 && s->runs[k - 1].units <= units + units / 8)
		units += s->runs[--k].units;
	/* a few of one size cost less to read than to write again each time */
	if (s->nruns - k < MERGED_RUNS)
		k = s->nruns;
	if (k >= GR_MAX_RUNS)
		elog(ERROR, "too many slices");
	for (int i = k; i < s->nruns; i++)
		gr_head_add(head, gr_stored_read_part(s, &s->runs[i], 0));
	run.slice = s->nruns > 0 ? s->runs[s->nruns - 1].slice + 1 : 1;
	run.from = k < s->nruns ? s->runs[k].from : k > 0 ? s->runs[k - 1].to : NULL;
	run.to = MemoryContextStrdup(s->context, to);
	run = write_run(s, run, s->runs + k, s->nruns - k, tail, head);
	for (int i = k; i < s->nruns; i++)
		gr_stored_delete_slice(s, s->runs[i].slice);
	s->runs[k] = run;
	s->nruns = k + 1;
	gr_stored_see_writes();
}

void
gr_slice_replace(Stored *s, Run *run, const Units *tail, Head *head)
{
	gr_stored_delete_slice(s, run->slice);
	*run = write_run(s, *run, NULL, 0, tail, head);
	gr_stored_see_writes();
}
