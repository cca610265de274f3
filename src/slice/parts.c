/*
 * parts.c
 *	  The units of a slice in the table, part after part.
 *
 * A part with the rest of its row fills a page, so that it lies in the table itself:
 * reading it costs one visit of one page (out of line, in pieces of 2 kB, it costs
 * five of two tables).
 */
#include "slice/stored.h"

#include "access/genam.h"
#include "access/table.h"
#include "catalog/namespace.h"
#include "catalog/pg_type.h"
#include "miscadmin.h"
#include "utils/fmgroids.h"
#include "utils/lsyscache.h"
#include "utils/rel.h"
#include "utils/snapmgr.h"

/* Rows that are written at a time. */
#define ROWS_TOGETHER 64

/* ---- reading ------------------------------------------------------------------ */

/* The columns of guardrail_slice that are used here, which are also those of its key. */
#define COLUMN_EXPERIMENT 1
#define COLUMN_SLICE 2
#define COLUMN_PART 3
#define COLUMN_STATE 7

struct PartReader
{
	Relation	table;
	Relation	index;
	SysScanDesc scan;
	int64		slice;
	int64		seal;
	int			nparts;
	int			part;			/* read last */
	bytea	   *bytes;			/* of it */
	bool		detoasted;
};

/* They are read by their numbers. */
static void
require_columns(const PartReader *r)
{
	static const struct
	{
		int			number;
		Oid			type;
	}			columns[] = {{COLUMN_EXPERIMENT, TEXTOID}, {COLUMN_SLICE, INT8OID}, {COLUMN_PART, INT4OID},
	{COLUMN_STATE, BYTEAOID}};
	TupleDesc	desc = RelationGetDescr(r->table);
	bool		right = desc->natts >= COLUMN_STATE && IndexRelationGetNumberOfKeyAttributes(r->index) == 3;

	for (int i = 0; right && i < (int) lengthof(columns); i++)
		right = TupleDescAttr(desc, columns[i].number - 1)->atttypid == columns[i].type &&
			(i == 3 || r->index->rd_index->indkey.values[i] == columns[i].number);
	if (!right)
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("the columns or the primary key of table guardrail_slice have changed"),
				 errhint("Restore the columns experiment_id text, slice bigint, part integer, from_cursor text, "
						 "to_cursor text, units bigint, state bytea, and the primary key over the first three.")));
}

PartReader *
gr_parts_open(const Stored *s, const Run *run)
{
	PartReader *r = palloc0(sizeof(PartReader));
	Oid			table = get_relname_relid("guardrail_slice", get_func_namespace(s->function));
	ScanKeyData key[3];

	r->table = table_open(table, AccessShareLock);
	list_free(RelationGetIndexList(r->table));
	if (!OidIsValid(r->table->rd_pkindex))
		ereport(ERROR,
				(errcode(ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE),
				 errmsg("table guardrail_slice has no primary key"),
				 errhint("Create it again on (experiment_id, slice, part).")));
	r->index = index_open(r->table->rd_pkindex, AccessShareLock);
	require_columns(r);
	r->slice = run->slice;
	r->seal = run->seal;
	r->nparts = run->nparts;
	ScanKeyEntryInitialize(&key[0], 0, COLUMN_EXPERIMENT, BTEqualStrategyNumber, InvalidOid,
						   r->index->rd_indcollation[0], F_TEXTEQ, CStringGetTextDatum(s->e->id));
	ScanKeyInit(&key[1], COLUMN_SLICE, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(run->slice));
	ScanKeyInit(&key[2], COLUMN_PART, BTGreaterStrategyNumber, F_INT4GT, Int32GetDatum(0));
	r->scan = systable_beginscan_ordered(r->table, r->index, GetActiveSnapshot(), lengthof(key), key);
	return r;
}

const char *
gr_parts_next(PartReader *r, Size *length)
{
	TupleDesc	columns = RelationGetDescr(r->table);
	HeapTuple	tuple;
	bool		no_part,
				no_state;
	Datum		part,
				state;

	if (r->detoasted)
		pfree(r->bytes);
	r->detoasted = false;
	if (r->part == r->nparts)
		return NULL;
	tuple = systable_getnext_ordered(r->scan, ForwardScanDirection);
	if (!HeapTupleIsValid(tuple))
		gr_slice_corrupt(psprintf("Part %d of slice " INT64_FORMAT " is missing.", r->part + 1, r->slice));
	part = heap_getattr(tuple, COLUMN_PART, columns, &no_part);
	state = heap_getattr(tuple, COLUMN_STATE, columns, &no_state);
	if (no_part || no_state || DatumGetInt32(part) != ++r->part)
		gr_slice_corrupt(psprintf("Part %d of slice " INT64_FORMAT " is missing.", r->part, r->slice));
	/* in the page, unless it did not fit there */
	r->bytes = DatumGetByteaPP(state);
	r->detoasted = (Pointer) r->bytes != DatumGetPointer(state);
	*length = gr_unsealed(r->slice, r->seal, r->part, r->bytes);
	return VARDATA_ANY(r->bytes);
}

void
gr_parts_close(PartReader *r)
{
	if (r->detoasted)
		pfree(r->bytes);
	systable_endscan_ordered(r->scan);
	index_close(r->index, AccessShareLock);
	table_close(r->table, AccessShareLock);
	pfree(r);
}

/* ---- writing ------------------------------------------------------------------ */

struct PartWriter
{
	Stored	   *s;
	Run		   *run;
	MemoryContext context;		/* of the rows at hand */
	int			nrows;
	uint32		units[ROWS_TOGETHER];
	bytea	   *state[ROWS_TOGETHER];
};

/* How many units of a slice go into a part. */
uint32
gr_parts_capacity(const Stored *s, const Run *run)
{
	/* the row's header, the other columns, and what aligning them takes at most */
	Size		rest = 24 + strlen(s->e->id) + (run->from ? strlen(run->from) : 0) + strlen(run->to) + 64;
	Size		page = BLCKSZ - 32;

	return gr_part_capacity(s->spec, page > 2 * rest ? page - rest : page / 2);
}

PartWriter *
gr_parts_create(Stored *s, Run *run)
{
	PartWriter *w = palloc0(sizeof(PartWriter));

	w->s = s;
	w->run = run;
	w->context = AllocSetContextCreate(CurrentMemoryContext, "parts to write", ALLOCSET_DEFAULT_SIZES);
	run->nparts = 0;
	run->units = 0;
	return w;
}

static void
write_rows(PartWriter *w)
{
	gr_stored_insert_parts(w->s, w->run, w->run->nparts + 1, w->nrows, w->units, w->state);
	for (int i = 0; i < w->nrows; i++)
		w->run->units += w->units[i];
	w->run->nparts += w->nrows;
	w->nrows = 0;
	MemoryContextReset(w->context);
}

void
gr_parts_put(PartWriter *w, const char *entries, uint32 n)
{
	MemoryContext here = MemoryContextSwitchTo(w->context);

	CHECK_FOR_INTERRUPTS();
	w->units[w->nrows] = n;
	w->state[w->nrows++] = gr_part_encode(w->s->spec, entries, n);
	MemoryContextSwitchTo(here);
	if (w->nrows == ROWS_TOGETHER)
		write_rows(w);
}

void
gr_parts_end(PartWriter *w)
{
	if (w->nrows > 0)
		write_rows(w);
	MemoryContextDelete(w->context);
	pfree(w);
}
