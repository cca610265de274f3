/*
 * put.c
 *	  Rows of named columns into the results of functions and into tables.
 */
#include "base/put.h"

#include "executor/spi.h"

/* The position of a column, most likely the one given; -1: there is none. */
static int
find_column(const Writer *w, const char *name, int likely)
{
	if (likely < w->n && strcmp(w->names[likely], name) == 0)
		return likely;
	for (int i = 0; i < w->n; i++)
		if (strcmp(w->names[i], name) == 0)
			return i;
	return -1;
}

void
gr_put_row(FunctionCallInfo fcinfo, const Writer *w)
{
	ReturnSetInfo *rsinfo = (ReturnSetInfo *) fcinfo->resultinfo;
	TupleDesc	desc = rsinfo->setDesc;
	Datum		values[GR_MAX_ROW];
	bool		nulls[GR_MAX_ROW];
	int			found = 0;

	for (int i = 0; i < Min(desc->natts, GR_MAX_ROW); i++)
	{
		const char *name = NameStr(TupleDescAttr(desc, i)->attname);
		int			k = find_column(w, name, i);

		nulls[i] = k < 0 || w->nulls[k];
		values[i] = k < 0 ? (Datum) 0 : w->values[k];
		if (k >= 0 && TupleDescAttr(desc, i)->atttypid != w->types[k])
			elog(ERROR, "column \"%s\" of the result has another type", name);
		found += (k >= 0);
	}
	if (desc->natts > GR_MAX_ROW || found != w->n)
		elog(ERROR, "the result has other columns than its rows");
	tuplestore_putvalues(rsinfo->setResult, desc, values, nulls);
}

void
gr_insert_row(const char *schema, const char *table, const Writer *w)
{
	StringInfoData names;
	StringInfoData places;
	char		nulls[GR_MAX_ROW + 1] = "";

	initStringInfo(&names);
	initStringInfo(&places);
	for (int i = 0; i < w->n; i++)
	{
		appendStringInfo(&names, "%s%s", i ? ", " : "", w->names[i]);
		appendStringInfo(&places, "%s$%d", i ? ", " : "", i + 1);
		nulls[i] = w->nulls[i] ? 'n' : ' ';
	}
	if (SPI_execute_with_args(psprintf("INSERT INTO %s.%s (%s) VALUES (%s)", schema, table, names.data, places.data),
							  w->n, (Oid *) w->types, (Datum *) w->values, nulls, false, 0) != SPI_OK_INSERT)
		elog(ERROR, "could not insert into %s", table);
}
