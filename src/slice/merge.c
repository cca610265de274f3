/*
 * merge.c
 *	  Slices read in the order of the units' hashes, and written.
 */
#include "slice/stored.h"

#include "miscadmin.h"
#include "utils/memutils.h"

/* Slices that are merged, with a new one, at least. */
#define MERGED_RUNS 4

/* A run at one of its units. */
typedef struct Reader
{
	PartReader *parts;
	Part		part;
	uint32		i;
	uint64		hash;			/* of the unit */
	bool		at_end;			/* its parts are closed */
} Reader;

/* Go to the first unit of the next part that has one; false at the end. */
static bool
next_part(const Stored *s, Reader *r)
{
	uint64		last = r->hash;
	bool		first = r->part.n == 0;

	do
	{
		Size		length;
		const char *bytes = gr_parts_next(r->parts, &length);

		CHECK_FOR_INTERRUPTS();
		if (bytes == NULL)
		{
			gr_parts_close(r->parts);
			return false;
		}
		gr_part_open(s->spec, bytes, length, &r->part);
	} while (r->part.n == 0);
	r->i = 0;
	r->hash = gr_get64(r->part.hash, 0);
	if (!first && r->hash <= last)
		gr_slice_corrupt("The units of a slice are not in their order.");
	return true;
}

/* Step to the next unit; false at the end. */
static inline bool
next_unit(const Stored *s, Reader *r)
{
	uint64		last = r->hash;

	if (++r->i == r->part.n)
		return next_part(s, r);
	r->hash = gr_get64(r->part.hash, r->i);
	if (r->hash <= last)
		gr_slice_corrupt("The units of a slice are not in their order.");
	return true;
}

/* Go to the first unit that is not before a hash; false at the end. */
static bool
seek(const Stored *s, Reader *r, uint64 hash)
{
	while (r->hash < hash)
	{
		/* not each unit of what is passed over */
		if (gr_get64(r->part.hash, r->part.n - 1) < hash)
		{
			r->i = r->part.n - 1;
			r->hash = gr_get64(r->part.hash, r->i);
		}
		if (!next_unit(s, r))
			return false;
	}
	return true;
}

/* One unit, added up over the runs and the tail. */
typedef struct Merge
{
	const Stored *s;
	int			nruns;
	Reader	   *readers;		/* [nruns], the oldest first */
	UnitEntry  *other;
	UnitEntry  *sum_of_runs;
	UnitEntry  *sum_of_all;
	GrMergedUnit unit;
} Merge;

static void
start_merge(Merge *m, const Stored *s, const Run *runs, int nruns)
{
	*m = (Merge) {.s = s, .nruns = nruns};
	m->readers = palloc0(sizeof(Reader) * Max(nruns, 1));
	m->other = palloc(s->entry_size);
	m->sum_of_runs = palloc(s->entry_size);
	m->sum_of_all = palloc(s->entry_size);
	for (int k = 0; k < nruns; k++)
	{
		m->readers[k].parts = gr_parts_open(s, &runs[k]);
		m->readers[k].at_end = !next_part(s, &m->readers[k]);
	}
}

static void
end_merge(Merge *m)
{
	for (int k = 0; k < m->nruns; k++)
		if (!m->readers[k].at_end)
			gr_parts_close(m->readers[k].parts);
	pfree(m->readers);
	pfree(m->other);
	pfree(m->sum_of_runs);
	pfree(m->sum_of_all);
}

static void
start_unit(Merge *m, const UnitEntry *tail)
{
	m->unit = (GrMergedUnit) {NULL, tail, NULL};
	if (tail)
		memcpy(m->sum_of_all, tail, m->s->entry_size);
}

/*
 * Numbers are added from the newest to the oldest, the tail first.  A slice that was
 * merged is the beginning of that sum: so a unit amounts to the same, to the last
 * bit, before its slices are merged and after.
 */
static void
add_run(Merge *m, const Reader *r)
{
	const CollectSpec *spec = m->s->spec;
	UnitEntry  *e = m->unit.runs ? m->other : m->sum_of_runs;

	gr_part_entry(spec, &r->part, r->i, m->s->narms, e);
	if (m->unit.tail)
		gr_entry_add(spec, m->sum_of_all, e, e->arm);
	if (m->unit.runs)
		gr_entry_add(spec, m->sum_of_runs, e, e->arm);
	m->unit.runs = m->sum_of_runs;
}

static void
visit_unit(Merge *m, GrVisit visit, void *arg)
{
	m->unit.all = m->unit.tail ? m->sum_of_all : m->unit.runs;
	visit(arg, &m->unit);
}

void
gr_merge(const Stored *s, const Run *runs, int nruns, const Flat *tail, GrVisit visit, void *arg)
{
	uint32		ntail = tail ? tail->n : 0;
	uint32		j = 0;
	Merge		m;

	start_merge(&m, s, runs, nruns);
	for (uint32 count = 0;; count++)
	{
		const UnitEntry *t = j < ntail ? gr_entry(tail->entries, s->entry_size, j) : NULL;
		uint64		hash = t ? t->hash : PG_UINT64_MAX;
		bool		any = t != NULL;

		if ((count & 0xffff) == 0)
			CHECK_FOR_INTERRUPTS();
		for (int k = 0; k < nruns; k++)
			if (!m.readers[k].at_end)
			{
				hash = Min(hash, m.readers[k].hash);
				any = true;
			}
		if (!any)
			break;
		t = t && t->hash == hash ? t : NULL;
		j += (t != NULL);
		start_unit(&m, t);
		for (int k = nruns - 1; k >= 0; k--)
		{
			Reader	   *r = &m.readers[k];

			if (r->at_end || r->hash != hash)
				continue;
			add_run(&m, r);
			r->at_end = !next_unit(s, r);
		}
		visit_unit(&m, visit, arg);
	}
	end_merge(&m);
}

void
gr_merge_tail(const Stored *s, const Run *runs, int nruns, const Flat *tail, GrVisit visit,
			  void *arg)
{
	Merge		m;

	start_merge(&m, s, runs, nruns);
	for (uint32 j = 0; j < tail->n; j++)
	{
		const UnitEntry *t = gr_entry(tail->entries, s->entry_size, j);

		if ((j & 0xffff) == 0)
			CHECK_FOR_INTERRUPTS();
		start_unit(&m, t);
		for (int k = nruns - 1; k >= 0; k--)
		{
			Reader	   *r = &m.readers[k];

			r->at_end = r->at_end || !seek(s, r, t->hash);
			if (!r->at_end && r->hash == t->hash)
				add_run(&m, r);
		}
		visit_unit(&m, visit, arg);
	}
	end_merge(&m);
}

/* ---- writing ---------------------------------------------------------------- */

typedef struct Writer
{
	const Stored *s;
	PartWriter *parts;
	char	   *entries;
	uint32		n;
	uint32		capacity;
} Writer;

static void
write_unit(void *arg, const GrMergedUnit *unit)
{
	Writer	   *w = arg;

	memcpy(gr_entry(w->entries, w->s->entry_size, w->n++), unit->all, w->s->entry_size);
	if (w->n < w->capacity)
		return;
	gr_parts_put(w->parts, w->entries, w->n);
	w->n = 0;
}

/* Units of some runs and of a tail as one slice, with its head. */
static Run
write_run(Stored *s, Run run, const Run *runs, int nruns, const Units *tail, const Head *head)
{
	Writer		w = {.s = s, .capacity = gr_parts_capacity(s, &run)};
	const uint32 no_units = 0;
	bytea	   *bytes = gr_head_encode(head);

	run.seal = gr_new_seal();
	w.entries = palloc(s->entry_size * w.capacity);
	w.parts = gr_parts_create(s, &run);
	gr_merge(s, runs, nruns, tail ? tail->flat : NULL, write_unit, &w);
	if (w.n > 0)
		gr_parts_put(w.parts, w.entries, w.n);
	gr_parts_end(w.parts);
	gr_stored_insert_parts(s, &run, 0, 1, &no_units, &bytes);
	pfree(w.entries);
	return run;
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
	if (k < s->nruns)
		head = gr_stored_sum_heads(s, s->runs + k, s->nruns - k, head);
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
