/*
 * merge.c
 *	  Slices read in the order of the units' hashes, and written.
 */
#include "slice/slice.h"

#include "miscadmin.h"
#include "utils/memutils.h"

/* Slices that are merged, with a new one, at least. */
#define MERGED_RUNS 3

/* A run at one of its units. */
typedef struct Reader
{
	PartReader *parts;
	Part		part;
	uint32		i;
	uint64		hash;			/* of the unit */
} Reader;

/* Go to the first unit of the next part that has one; false at the end. */
static bool
next_part(const Stored *s, Reader *r)
{
	uint64		last = r->hash;
	bool		first = r->part.n == 0;

	do
	{
		const bytea *bytes = gr_parts_next(r->parts);

		CHECK_FOR_INTERRUPTS();
		if (bytes == NULL)
		{
			gr_parts_close(r->parts);
			return false;
		}
		gr_part_open(s->spec, bytes, &r->part);
	} while (r->part.n == 0);
	r->i = 0;
	r->hash = gr_get64(r->part.hash, 0);
	if (!first && r->hash <= last)
		gr_slice_corrupt();
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
		gr_slice_corrupt();
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
			r->i = r->part.n - 1;
		if (!next_unit(s, r))
			return false;
	}
	return true;
}

static int
open_readers(const Stored *s, const Run *runs, int nruns, Reader *readers)
{
	int			n = 0;

	for (int k = 0; k < nruns; k++)
	{
		readers[n] = (Reader) {.parts = gr_parts_open(s, &runs[k])};
		n += next_part(s, &readers[n]);
	}
	return n;
}

/* Room for a unit, and for one to be added to it. */
typedef struct Sum
{
	UnitEntry  *base;
	UnitEntry  *other;
	bool		is_there;
} Sum;

static Sum
make_sum(const Stored *s)
{
	return (Sum) {palloc(s->entry_size), palloc(s->entry_size), false};
}

static void
add_up(const Stored *s, const Reader *r, Sum *sum)
{
	UnitEntry  *to = sum->is_there ? sum->other : sum->base;

	gr_part_entry(s->spec, &r->part, r->i, s->narms, to);
	if (sum->is_there)
		gr_entry_add(s->spec, sum->base, to, to->arm);
	sum->is_there = true;
}

/* Step over the unit in each run that has it, adding up. */
static void
take_unit(const Stored *s, Reader *readers, int *n, uint64 hash, Sum *sum)
{
	sum->is_there = false;
	for (int k = *n - 1; k >= 0; k--)
	{
		if (readers[k].hash != hash)
			continue;
		add_up(s, &readers[k], sum);
		if (!next_unit(s, &readers[k]))
			readers[k] = readers[--*n];
	}
}

void
gr_merge(const Stored *s, const Run *runs, int nruns, const Flat *tail, GrVisit visit, void *arg)
{
	Reader	   *readers = palloc0(sizeof(Reader) * Max(nruns, 1));
	Sum			sum = make_sum(s);
	uint32		ntail = tail ? tail->n : 0;
	uint32		j = 0;
	int			n = open_readers(s, runs, nruns, readers);

	for (uint32 count = 0; n > 0 || j < ntail; count++)
	{
		const UnitEntry *t = j < ntail ? gr_entry(tail->entries, s->entry_size, j) : NULL;
		uint64		hash = t ? t->hash : PG_UINT64_MAX;

		if ((count & 0xffff) == 0)
			CHECK_FOR_INTERRUPTS();
		for (int k = 0; k < n; k++)
			hash = Min(hash, readers[k].hash);
		take_unit(s, readers, &n, hash, &sum);
		t = t && t->hash == hash ? t : NULL;
		visit(arg, sum.is_there ? sum.base : NULL, t);
		j += (t != NULL);
	}
	pfree(sum.base);
	pfree(sum.other);
	pfree(readers);
}

void
gr_merge_tail(const Stored *s, const Run *runs, int nruns, const Flat *tail, GrVisit visit,
			  void *arg)
{
	Reader	   *readers = palloc0(sizeof(Reader) * Max(nruns, 1));
	Sum			sum = make_sum(s);
	int			n = open_readers(s, runs, nruns, readers);

	for (uint32 j = 0; j < tail->n; j++)
	{
		const UnitEntry *t = gr_entry(tail->entries, s->entry_size, j);

		if ((j & 0xffff) == 0)
			CHECK_FOR_INTERRUPTS();
		sum.is_there = false;
		for (int k = n - 1; k >= 0; k--)
		{
			if (readers[k].hash < t->hash && !seek(s, &readers[k], t->hash))
				readers[k] = readers[--n];
			else if (readers[k].hash == t->hash)
				add_up(s, &readers[k], &sum);
		}
		visit(arg, sum.is_there ? sum.base : NULL, t);
	}
	for (int k = 0; k < n; k++)
		gr_parts_close(readers[k].parts);
	pfree(sum.base);
	pfree(sum.other);
	pfree(readers);
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
write_unit(void *arg, UnitEntry *base, const UnitEntry *tail)
{
	Writer	   *w = arg;
	UnitEntry  *to = gr_entry(w->entries, w->s->entry_size, w->n++);

	memcpy(to, base ? base : tail, w->s->entry_size);
	if (base && tail)
		gr_entry_add(w->s->spec, to, tail, tail->arm);
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
	bytea	   *heads[GR_MAX_RUNS + 1];
	Run			run = {0};

	while (k > 0 && s->runs[k - 1].units <= units + units / 8)
		units += s->runs[--k].units;
	/* a few of one size cost less to read than to write again each time */
	if (s->nruns - k < MERGED_RUNS)
		k = s->nruns;
	if (k >= GR_MAX_RUNS)
		elog(ERROR, "too many slices");
	heads[0] = gr_head_encode(head);
	for (int i = k; i < s->nruns; i++)
		heads[1 + i - k] = gr_stored_read_head(s, &s->runs[i]);
	if (k < s->nruns)
		head = gr_heads_sum(s->spec, heads, 1 + s->nruns - k);
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
