/*
 * row.c
 *	  The row that a trigger of the catalog was fired for: its columns as text or
 *	  datum, what changed, and refusals that name the column and what it holds.
 *
 * Column names are those of the table; one that a later version added reads as
 * NULL.  Nothing here knows what a column means: that is in validate*.c.
 */
#include "catalog/row.h"

#include <math.h>

#include "commands/trigger.h"
#include "executor/spi.h"
#include "miscadmin.h"
#include "catalog/catalog.h"
#include "utils/guc.h"
#include "utils/rel.h"

bool
gr_owns_table(Relation relation)
{
	return member_can_set_role(GetUserId(), relation->rd_rel->relowner);
}

bool
gr_in_restore(Relation relation)
{
	/* an amendment is written as the table's owner, for whoever makes it */
	return !check_function_bodies && gr_writing != GR_WRITING_AMENDMENT && gr_owns_table(relation);
}

Row
gr_trigger_row(FunctionCallInfo fcinfo, const char *kind, const char *what)
{
	TriggerData *data = (TriggerData *) fcinfo->context;
	Row			row;

	if (!CALLED_AS_TRIGGER(fcinfo))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function must be called as a trigger")));
	if (!TRIGGER_FIRED_BEFORE(data->tg_event) || !TRIGGER_FIRED_FOR_ROW(data->tg_event) ||
		TRIGGER_FIRED_BY_DELETE(data->tg_event))
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function must be called by a trigger before insert or update, for each row")));
	/* anyone may attach it to a table whose columns are of other types */
	if (RelationGetNamespace(data->tg_relation) != get_func_namespace(fcinfo->flinfo->fn_oid) ||
		strcmp(RelationGetRelationName(data->tg_relation), psprintf("guardrail_%s", kind)) != 0)
		ereport(ERROR,
				(errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
				 errmsg("function must be called for table guardrail_%s", kind)));
	row.update = TRIGGER_FIRED_BY_UPDATE(data->tg_event);
	row.relation = data->tg_relation;
	row.tuple = row.update ? data->tg_newtuple : data->tg_trigtuple;
	row.old = row.update ? data->tg_trigtuple : NULL;
	row.kind = kind;
	row.what = what;
	return row;
}

/* 0: a column that came with a later version than the extension's objects are of. */
static int
column_number(const Row *row, const char *column)
{
	int			n = SPI_fnumber(RelationGetDescr(row->relation), column);

	return n > 0 ? n : 0;
}

static char *
text_of(const Row *row, HeapTuple tuple, const char *column)
{
	int			n = column_number(row, column);

	return n > 0 && tuple ? SPI_getvalue(tuple, RelationGetDescr(row->relation), n) : NULL;
}

char *
gr_row_text(const Row *row, const char *column)
{
	return text_of(row, row->tuple, column);
}

char *
gr_row_old_text(const Row *row, const char *column)
{
	return text_of(row, row->old, column);
}

bool
gr_row_changed(const Row *row, const char *const *columns)
{
	if (!row->update)
		return true;
	for (int i = 0; columns[i]; i++)
	{
		char	   *now = gr_row_text(row, columns[i]);
		char	   *before = gr_row_old_text(row, columns[i]);

		if ((now == NULL) != (before == NULL) || (now && strcmp(now, before) != 0))
			return true;
	}
	return false;
}

static Datum
datum_of(const Row *row, HeapTuple tuple, const char *column, bool *null)
{
	int			n = column_number(row, column);

	*null = true;
	return n > 0 && tuple ? SPI_getbinval(tuple, RelationGetDescr(row->relation), n, null) : (Datum) 0;
}

Datum
gr_row_datum(const Row *row, const char *column, bool *null)
{
	return datum_of(row, row->tuple, column, null);
}

Datum
gr_row_old_datum(const Row *row, const char *column, bool *null)
{
	return datum_of(row, row->old, column, null);
}

void
gr_row_set(Row *row, const char *column, Datum value)
{
	int			n = column_number(row, column);
	bool		null = false;

	row->tuple = heap_modify_tuple_by_cols(row->tuple, RelationGetDescr(row->relation),
										   1, &n, &value, &null);
}

void
gr_refuse_orphan(const char *experiment, const char *metric)
{
	ereport(ERROR,
			(errcode(ERRCODE_FOREIGN_KEY_VIOLATION),
			 errmsg("experiment \"%s\" of rule \"%s\" does not exist",
					experiment, metric),
			 errhint("Insert it into guardrail_experiment first.")));
}

void
gr_refuse(const Row *row, const char *column, const char *hint)
{
	char	   *value = gr_row_text(row, column);
	char	   *name = gr_row_text(row, row->what);

	ereport(ERROR,
			(errcode(ERRCODE_CHECK_VIOLATION),
			 value ? errmsg("column \"%s\" of %s \"%s\" holds \"%s\"",
							column, row->kind, name ? name : "", value) :
			 errmsg("column \"%s\" of %s \"%s\" is NULL", column, row->kind, name ? name : ""),
			 errhint("%s", hint)));
}

void
gr_refuse_beside(const Row *row, const char *column, const char *other, const char *hint)
{
	char	   *value = gr_row_text(row, column);

	ereport(ERROR,
			(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
			 errmsg("column \"%s\" of %s \"%s\" holds \"%s\", which cannot be combined with %s",
					column, row->kind, gr_row_text(row, row->what), value ? value : "NULL", other),
			 errhint("%s", hint)));
}

/* What the table requires and no other check has spoken of. */
void
gr_refuse_nulls(const Row *row)
{
	TupleDesc	desc = RelationGetDescr(row->relation);

	for (int i = 0; i < desc->natts; i++)
		if (TupleDescAttr(desc, i)->attnotnull && heap_attisnull(row->tuple, i + 1, desc))
			gr_refuse(row, NameStr(TupleDescAttr(desc, i)->attname), "Set it to a value: the column does not accept NULL.");
}

bool
gr_row_is(const Row *row, const char *column, const char *word)
{
	char	   *value = gr_row_text(row, column);

	return value && strcmp(value, word) == 0;
}

void
gr_require_word(const Row *row, const char *column, const char *const *words)
{
	if (gr_word(gr_row_text(row, column), words) < 0)
		gr_refuse(row, column, psprintf("Set it to %s.", gr_quoted_list(words)));
}

const GrKind *
gr_row_kind(const Row *row)
{
	const char *names[GR_KINDS + 1];

	gr_kind_names(names);
	gr_require_word(row, "kind", names);
	return gr_kind_named(gr_row_text(row, "kind"));
}

/* A finite number strictly between two others, NULL allowed. */
void
gr_require_between(const Row *row, const char *column, double lower, double upper)
{
	bool		null;
	double		x = DatumGetFloat8(gr_row_datum(row, column, &null));

	if (!null && !(x > lower && x < upper))
		gr_refuse(row, column, psprintf("Set it to a number between %g and %g (exclusive).",
										lower, upper));
}
